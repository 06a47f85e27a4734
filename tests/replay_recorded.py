#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Give a fuzz target what was recorded of detectors, and see that their frames come out.

usage: tests/replay_recorded.py NAME REPLAY_PROGRAM FOLDER

Each recording in FOLDER (../shared/vectors) becomes one input, written to a temporary folder.
Exit status 77 where the folder is not there, or has nothing for this target.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

from make_corpus import message, messages

LIMIT = 64 << 20  # bytes of a frame


def read(path):
    with open(path, "rb") as f:
        return f.read()


def numbered(folder):
    return [read(os.path.join(folder, name)) for name in sorted(os.listdir(folder))]


# ---- a sequence of CBOR arrays of byte strings, one for each message

def cbor_head(data, at):
    major, low = data[at] >> 5, data[at] & 31
    bytes_ = {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0)
    value = int.from_bytes(data[at + 1:at + 1 + bytes_], "big") if bytes_ else low
    return major, value, at + 1 + bytes_


def cbor_messages(data):
    at = 0
    while at < len(data):
        major, count, at = cbor_head(data, at)
        assert major == 4, f"no array but major type {major}"
        parts = []
        for _ in range(count):
            major, size, at = cbor_head(data, at)
            assert major in (2, 3), f"no string but major type {major}"
            parts.append(data[at:at + size])
            at += size
        yield message(*parts)


# ---- recordings: (input, the counts that must come out)

def eiger_messages(parts):
    """How many parts a message has is told by its first one."""
    counts = {"dheader": 8, "dimage": 4, "dseries_end": 1}
    at = 0
    while at < len(parts):
        kind = json.loads(parts[at])["htype"].rsplit("-", 1)[0]
        yield message(*parts[at:at + counts[kind]])
        at += counts[kind]


def dectris_v1(folder):
    whole = list(eiger_messages(numbered(os.path.join(folder, "dectris_v1_eiger2_1M"))))
    for begin in range(0, len(whole), 24):  # a target takes no more than 64
        part = whole[begin:begin + 24]
        frames = sum(b"dimage-" in m for m in part)
        yield messages(*part), {"frames": frames, "expanded": frames}
    cut = read(os.path.join(folder, "dectris_v1_eiger2_9M_trunc", "eiger-small.cbors"))
    yield messages(*cbor_messages(cut)), {"starts": 1, "rejected": 3, "ends": 1}


def dectris_v2(folder):
    files = {name: read(os.path.join(folder, "dectris_v2", name))
             for name in sorted(os.listdir(os.path.join(folder, "dectris_v2")))}
    for choice in range(3):  # each of the channels
        for prefix in ("bslz4_16bit", "lz4_8bit"):
            of = [message(data) for name, data in files.items() if name.startswith(prefix)]
            yield (messages(*of, choices=choice),
                   {"frames": len(of) - 1, "expanded": len(of) - 1, "ends": 1})
    made = os.path.join(folder, "synthetic")
    yield (messages(*(message(read(os.path.join(made, f"v2_{name}.cbor"))) for name in
                      ("start", "image_raw", "image_lz4_stored", "end", "end_nomagic"))),
           {"starts": 1, "frames": 2, "expanded": 1, "ends": 2})


def bsread(folder):
    yield messages(message(*numbered(os.path.join(folder, "bsread_cam")))), {"frames": 1}


def stins(folder):
    data = read(os.path.join(folder, "maxiv_stins", "xspress3-multipart.cbors"))
    yield messages(*cbor_messages(data)), {"starts": 1, "frames": 5, "ends": 1}


def pair(folder, name):
    return [read(os.path.join(folder, "synthetic", f"{name}.{end}")) for end in ("hdr", "blob")]


def sls(folder):
    end = message(read(os.path.join(folder, "synthetic", "sls_end.hdr")))
    yield messages(message(*pair(folder, "sls_4bit")), end), {"pieces": 1, "ends": 1}


def odin_live(folder):
    yield messages(message(*pair(folder, "odin_live"))), {"frames": 1}


def array10(folder):
    """Inputs of that target: choices, bytes of the blob, header."""
    for header in numbered(os.path.join(folder, "array10_gigafrost")):
        yield b"\0\0\0" + header, {}


def decompress(folder):
    """Inputs of that target: codec, element, plain bytes as announced, data."""
    with open(os.path.join(folder, "dectris_compression_unit", "vectors.json")) as f:
        vectors = json.load(f)
    elements = [1, 2, 4, 0, 3, 8, 255, 256]
    for vector in vectors["valid"]:
        codec = {"lz4": 1, "bslz4": 2}[vector["algorithm"]]
        element = elements.index(vector["elem_size"] or 1)
        yield (bytes([codec, element, 0, 0, 0x80]) + bytes.fromhex(vector["encoded_hex"]),
               {"expanded": 1, "damaged": 0})


def main():
    name, program, folder = sys.argv[1:]
    if not os.path.isdir(folder):
        print(f"skipped: no recordings: {folder} is not there")
        return 77
    failed = run = 0
    with tempfile.TemporaryDirectory() as scratch:
        for data, expected in globals()[name](folder):
            path = os.path.join(scratch, f"{run:03d}")
            with open(path, "wb") as out:
                out.write(data)
            done = subprocess.run([program, "--frame-limit", str(LIMIT), path],
                                  capture_output=True, text=True, check=False)
            said = {k: int(v) for k, v in re.findall(r" (\w+)=(\d+)", done.stdout)}
            wrong = {k: said.get(k, 0) for k, v in expected.items() if said.get(k, 0) != v}
            run += 1
            if done.returncode != 0 or wrong:
                failed += 1
                print(f"recording {run}: status {done.returncode}, {wrong or done.stdout}, "
                      f"expected {expected}\n{done.stderr}")
    print(f"{run} inputs of recordings, {failed} failed")
    return 0 if run > 0 and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
