# SPDX-License-Identifier: Apache-2.0
"""A reader of journal.bin of its own, from the layout in sinks/record.h."""
import struct

import numpy

import e2e_reference as reference
from e2e_case import check, equal

HEADER_BYTES, RECORD_BYTES = 512, 256
WRITTEN = 0


def crc_of(rows):
    return reference.crc32c([numpy.frombuffer(row, numpy.uint8) for row in rows])


def read_journal(path):
    """(folder name, file suffix, [record]) of the valid prefix."""
    data = path.read_bytes()
    check(len(data) >= HEADER_BYTES and data[:8] == b"OBJRNL01", "a journal begins with its magic")
    header = data[:HEADER_BYTES]
    equal(struct.unpack("<2I", header[8:16]), (HEADER_BYTES, RECORD_BYTES), "sizes in the header")
    equal(crc_of([header[:508]])[0], f"{struct.unpack('<I', header[508:])[0]:08x}", "CRC of the header")
    suffix, folder = (header[a:b].split(b"\0")[0].decode() for a, b in ((72, 88), (88, 344)))
    body = data[HEADER_BYTES:]
    rows = [body[i:i + RECORD_BYTES] for i in range(0, len(body) - RECORD_BYTES + 1, RECORD_BYTES)]
    checksums = crc_of([row[:252] for row in rows]) if rows else []
    records = []
    for position, (row, crc) in enumerate(zip(rows, checksums)):
        kind, index = struct.unpack("<2I", row[:8])
        if (kind, index, crc) != (1, position, f"{struct.unpack('<I', row[252:])[0]:08x}"):
            break
        number, state, reason = struct.unpack("<Q2B", row[8:18])
        file, page, offset, length = struct.unpack("<2I2Q", row[24:48])
        records.append({"number": number, "state": state, "reason": reason, "file": file,
                        "index": page, "offset": offset, "length": length,
                        "crc32c": f"{struct.unpack('<I', row[52:56])[0]:08x}",
                        "durable_ns": struct.unpack("<Q", row[72:80])[0]})
    return folder, suffix, records


def pixels_of(directory, folder, suffix, record):
    """The bytes of a durable frame, in the finished file or in the unfinished one."""
    name = f"{folder}_{record['file']:06}{suffix}"
    path = directory / name
    with open(path if path.exists() else directory / f"{name}.part", "rb") as file:
        file.seek(record["offset"])
        return file.read(record["length"])
