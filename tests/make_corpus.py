#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Write the seeds of the fuzz targets to tests/corpus/: messages made up from the protocols'
specifications, nothing recorded. Files that others put there (reproducers) stay.

usage: tests/make_corpus.py [FOLDER]    (default: corpus, beside this script)
"""
import json
import os
import struct
import sys


# ---- inputs of tests/fuzz_parts.h

def as_bytes(part):
    if isinstance(part, bytes):
        return part
    return part.encode() if isinstance(part, str) else json.dumps(part).encode()


def message(*parts):
    parts = [as_bytes(p) for p in parts]
    return struct.pack("<H", len(parts)) + b"".join(struct.pack("<I", len(p)) + p for p in parts)


def messages(*of, choices=0):
    return bytes([choices]) + b"".join(of)


# ---- compression

def lz4_sequence(literals, distance=0, length=0):
    def extra(n):
        out = b""
        while n >= 255:
            out, n = out + b"\xff", n - 255
        return out + bytes([n])

    many = len(literals)
    token = min(many, 15) << 4 | (min(length - 4, 15) if length else 0)
    out = bytes([token]) + (extra(many - 15) if many >= 15 else b"") + literals
    if length:
        out += struct.pack("<H", distance) + (extra(length - 19) if length >= 19 else b"")
    return out


def lz4_block(data):
    """Greedy, with one earlier place for each four bytes."""
    out, at, start, seen = b"", 0, 0, {}
    while at < len(data) - 12:
        key = data[at:at + 4]
        earlier = seen.get(key)
        seen[key] = at
        if earlier is None or at - earlier > 65535:
            at += 1
            continue
        length = 4
        while at + length < len(data) - 5 and data[earlier + length] == data[at + length]:
            length += 1
        out += lz4_sequence(data[start:at], at - earlier, length)
        at += length
        start = at
    return out + lz4_sequence(data[start:])


def zstd_frame(data):
    """One block: of one repeated byte where it can be, else raw."""
    size = len(data)
    if size < 256:
        head = b"\x20" + bytes([size])
    else:
        head = b"\x60" + struct.pack("<H", size - 256)
    repeated = size > 0 and data == data[:1] * size
    block = struct.pack("<I", 1 | (1 if repeated else 0) << 1 | size << 3)[:3]
    return b"\x28\xb5\x2f\xfd" + head + block + (data[:1] if repeated else data)


def bitshuffle(data, element):
    count = len(data) // element
    out = bytearray(len(data))
    for i in range(count):
        for bit in range(8 * element):
            if data[i * element + bit // 8] >> bit % 8 & 1:
                out[bit * (count // 8) + i // 8] |= 1 << i % 8
    return bytes(out)


def shuffled(data, element, block=0, compress=lz4_block, written=None):
    size = block or max(8192 // element // 8 * 8, 128) * element
    tail = len(data) % (8 * element)
    body = data[:len(data) - tail]
    out = struct.pack(">QI", len(data), block if written is None else written)
    for at in range(0, len(body), size):
        packed = compress(bitshuffle(body[at:at + size], element))
        out += struct.pack(">I", len(packed)) + packed
    return out + data[len(data) - tail:]


def lz4_blocks(data, block=8192):
    out = struct.pack(">QI", len(data), block)
    for at in range(0, len(data), block):
        piece = data[at:at + block]
        packed = lz4_block(piece)
        packed = packed if len(packed) < len(piece) else piece
        out += struct.pack(">I", len(packed)) + packed
    return out


def ramp(count, element):
    return b"".join(struct.pack("<I", i * 3 % (1 << min(8 * element, 20)))[:element]
                    for i in range(count))


# ---- CBOR

def cbor_head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for code, form in ((24, ">B"), (25, ">H"), (26, ">I"), (27, ">Q")):
        if value < 1 << 8 * struct.calcsize(form):
            return bytes([major << 5 | code]) + struct.pack(form, value)
    raise ValueError(value)


class Raw(bytes):
    """CBOR already."""


def cbor(value):
    if isinstance(value, Raw):
        return bytes(value)
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, int):
        return cbor_head(0, value) if value >= 0 else cbor_head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return cbor_head(2, len(value)) + value
    if isinstance(value, str):
        return cbor_head(3, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        return cbor_head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())
    return cbor_head(4, len(value)) + b"".join(cbor(v) for v in value)


def tag(number, value):
    return Raw(cbor_head(6, number) + cbor(value))


def array(rows, columns, type_tag, data, algorithm=None, element=0):
    if algorithm:
        data = tag(56500, [algorithm, element, data])
    return tag(40, [[rows, columns], tag(type_tag, data)])


MAGIC = b"\xd9\xd9\xf7"


# ---- the protocols

def bsread():
    data = ramp(12, 2)

    def main(**more):
        return {"htype": "bsr_m-1.1", "pulse_id": 7, "hash": "0" * 32,
                "global_timestamp": {"sec": 1700000000, "ns": 5}, **more}

    def channel(**more):
        return {"name": "CAM:FPICTURE", "type": "uint16", "shape": [4, 3], "encoding": "little",
                "compression": "none", "modulo": 1, "offset": 0, **more}

    def head(*channels):
        return {"htype": "bsr_d-1.1", "channels": list(channels)}

    def one(value, stamp=bytes(16), header=None, top=None, **more):
        return message(top or main(), header or head(channel(**more)), value, stamp)

    scalar = {"name": "CAM:X", "type": "float64", "shape": [1]}
    text = as_bytes(head(channel()))
    yield "plain", messages(one(data), one(data), one(data))
    yield "named", messages(message(main(), head(scalar, channel()), bytes(8), bytes(16), data,
                                    bytes(16)), choices=1)
    yield "unnamed", messages(message(main(), head(scalar, channel()), bytes(8), b"", data))
    yield "absent", messages(one(data), choices=2)
    yield "empty-value", messages(one(b"", b""), one(data))
    yield "no-timestamp", messages(message(main(), head(channel()), data))
    yield "big-endian", messages(one(data, encoding="big"), one(data, encoding="middle"))
    yield "types", messages(*(one(ramp(12, size), type=name) for name, size in
                              (("int8", 1), ("int16", 2), ("int32", 4), ("uint8", 1),
                               ("uint32", 4), ("float32", 4), ("float64", 8), ("string", 1))))
    yield "bslz4", messages(one(shuffled(data, 2), compression="bitshuffle_lz4"))
    yield "bslz4-signed", messages(one(shuffled(ramp(12, 4), 4, 128), type="int32",
                                       compression="bitshuffle_lz4"))
    yield "bslz4-other-size", messages(one(shuffled(data[2:], 2), compression="bitshuffle_lz4"))
    yield "lz4", messages(one(struct.pack("<I", 24) + lz4_block(data), compression="lz4"),
                          one(struct.pack(">I", 24) + lz4_block(data), compression="lz4",
                              encoding="big"))
    yield "lz4-short", messages(one(b"\x18\0\0", compression="lz4"),
                                one(struct.pack("<I", 25) + lz4_block(data), compression="lz4"))
    yield "compressed-header", messages(
        one(data, top=main(dh_compression="bitshuffle_lz4"), header=shuffled(text, 1)),
        one(data, top=main(dh_compression="lz4"),
            header=struct.pack(">I", len(text)) + lz4_block(text)),
        one(data, top=main(dh_compression="lz4"),
            header=struct.pack("<I", len(text)) + lz4_block(text)),
        one(data))
    yield "compressed-header-huge", messages(
        one(data, top=main(dh_compression="lz4"), header=b"\x7f\xff\xff\x7f" + lz4_block(text)),
        one(data, top=main(dh_compression="bitshuffle_lz4"),
            header=struct.pack(">QI", 1 << 40, 0) + bytes(40)))
    yield "changing-header", messages(one(data), one(ramp(6, 2), shape=[2, 3]), one(data))
    yield "bad-then-good", messages(one(data, shape=[0, 3]), one(data, shape=[0, 3]), one(data))
    yield "epoch", messages(one(data, top=main(global_timestamp={"epoch": 1 << 40, "ns": 1})))
    yield "no-channels", messages(message(main(), head()), message(main(), {"htype": "bsr_d-1.1"}),
                                  message(main(), head(1, None, [], {})))
    yield "one-part", messages(message(main()), message(), message(b"", b""))
    yield "wrong-parts", messages(message(main(), head(channel()), data, b"", b""))
    many = head(*({"name": str(i), "shape": [1]} for i in range(260)), channel())
    yield "many-channels", messages(message(main(), many, *[b""] * 521, data, b""))
    yield "huge", messages(one(data, shape=[4294967295, 4294967295]), one(data, shape=[70000, 2]))


def dectris_v1():
    data16, data32 = ramp(42, 2), ramp(42, 4)
    end = {"htype": "dseries_end-1.0", "series": 6}

    def header(detail="basic", *more, series=6):
        return message({"htype": "dheader-1.0", "series": series, "header_detail": detail}, *more)

    def config(**more):
        return {"nimages": 10, "ntrigger": 2, "trigger_mode": "ints", "x_pixels_in_detector": 7,
                "y_pixels_in_detector": 6, "bit_depth_image": 16, "count_time": 0.01,
                "frame_time": 0.011, "countrate_correction_count_cutoff": 60000,
                "description": "Made up \u00e9", **more}

    def image(data, type_name="uint16", encoding="<", frame=0, shape=(7, 6), more=(), **also):
        return message({"htype": "dimage-1.0", "series": 6, "frame": frame, "hash": "0" * 32},
                       {"htype": "dimage_d-1.0", "shape": list(shape), "type": type_name,
                        "encoding": encoding, "size": len(data), **also}, data,
                       {"htype": "dconfig-1.0", "start_time": 143051295370,
                        "stop_time": 143051394995, "real_time": 99251}, *more)

    def shape(kind, sides, type_name):
        return {"htype": kind + "-1.0", "shape": sides, "type": type_name}

    def full(mask, sides=(7, 6), type_name="uint32", kind="dpixelmask", configured=None):
        return header("all", configured or config(), shape("dflatfield", [7, 6], "float32"),
                      bytes(168), shape(kind, list(sides), type_name), mask,
                      shape("dcountrate_table", [2, 2], "float32"), bytes(16))

    mask = b"".join(struct.pack("<I", i % 3) for i in range(42))
    yield "none", messages(header("none"), image(data16), message(end))
    yield "basic", messages(header("basic", config()), image(data16), image(data16, frame=1),
                            message(end))
    yield "all", messages(full(mask), image(data16), message(end))
    yield "appendix", messages(header("none", "{}"), header("basic", config(), "no JSON"),
                               image(data16, more=['{"acqID": "x"}']), message(end, "x"))
    yield "empty-calibration", messages(
        header("all", config(), shape("dflatfield", [], "undefined"), b"",
               shape("dpixelmask", [], "undefined"), b"",
               shape("dcountrate_table", [2, 2], "float32"), bytes(16)), image(data16))
    yield "mask-then-other", messages(full(mask), full(mask[:16], (2, 2), configured={}),
                                      full(mask[:20]), full(mask, type_name="uint8"),
                                      full(mask, kind="dflatfield"), full(mask))
    yield "mask-other-size", messages(full(mask[:48], (4, 3)), full(mask, (6, 7)),
                                      full(mask, (4294967295, 4294967295)))
    yield "external", messages(header("basic", config(trigger_mode="exte")),
                               header("basic", config(nimages=1 << 63, ntrigger=4)),
                               header("basic", {}), header("basic", config(saturation_value=99)),
                               header("basic", config(count_time=-1, frame_time="x",
                                                      x_pixels_in_detector=1 << 40)))
    yield "ticks", messages(header("basic", config(count_time=0.002)), image(data16))
    yield "lz4", messages(image(lz4_block(data32), "uint32", "lz4<"), image(b"\0", "uint32", "lz4<"))
    yield "bs8", messages(image(shuffled(ramp(42, 1), 1), "uint8", "bs8-lz4<"))
    yield "bs16", messages(image(shuffled(data16, 2), "uint16", "bs16-lz4<"),
                           image(shuffled(data16, 2, 16), "uint16", "bs16lz4<"))
    yield "bs32", messages(image(shuffled(data32, 4, 64), "uint32", "bs32-lz4<"),
                           image(shuffled(data32, 4)[:-3], "uint32", "bs32-lz4<"))
    yield "bs-of-others", messages(image(shuffled(data32, 4), "uint16", "bs32-lz4<"),
                                   image(shuffled(data16, 2), "uint16", "bs16<"))
    yield "big-endian", messages(image(data16, encoding=">"), image(data16, encoding="?"),
                                 image(data16, encoding=""))
    yield "float", messages(image(data32, "float32"), image(bytes(84), "int16"))
    yield "short-blob", messages(image(data16, size=755083), image(b""))
    yield "tokens", messages(header("none", series="08/15"), header("none", series=None),
                             message({"htype": "dseries_end-1.0", "series": "08/15"}),
                             message({"htype": "deseries_end-1.0", "series": 6}))
    yield "newline", messages(message(json.dumps(end) + "\n"))
    yield "cut-off", messages(message({"htype": "dimage_d-1.0"}), message(data16), message(),
                              message(b""))
    yield "details", messages(header("some"), header(None), header("all"), header("basic"))
    yield "numbers", messages(image(data16, frame=18446744073709551614),
                              image(data16, frame=18446744073709551615), image(data16, frame=-1))
    yield "huge", messages(image(lz4_block(data16), "uint32", "lz4<", shape=(60000, 60000)))


def dectris_v2():
    data = ramp(42, 2)

    def image(channels, **more):
        return {"type": "image", "series_id": 1, "series_unique_id": "01MADEUP", "image_id": 3,
                "real_time": [999995, 50000000],
                "series_date": tag(0, "2023-02-10T15:49:05.281+01:00"),
                "start_time": [50000000, 50000000], "user_data": [1, "\U0001f499"],
                "data": channels, **more}

    def start(**more):
        return {"type": "start", "series_id": 1, "series_unique_id": "01MADEUP",
                "channels": ["threshold_1"], "image_size_x": 7, "image_size_y": 6,
                "number_of_images": 100, "image_dtype": "uint16", "saturation_value": 65533,
                "count_time": 0.01, "frame_time": Raw(b"\xf9\x34\x00"),
                "detector_description": "Made up \u00e9", "goniometer": {"phi": {"start": 0.0}},
                "user_data": None, **more}

    def one(value, head=MAGIC):
        return message(head + cbor(value))

    grid = array(6, 7, 69, data)
    three = {"threshold_1": grid, "threshold_2": array(6, 7, 69, shuffled(data, 2), "bslz4", 2),
             "difference": array(6, 7, 70, ramp(42, 4))}
    end = {"type": "end", "series_id": 1, "series_unique_id": "01MADEUP"}
    mask = b"".join(struct.pack("<I", i % 3) for i in range(42))

    def masked(packed, *how, rows=6, columns=7, type_tag=70):
        return one(start(pixel_mask={"threshold_1": array(rows, columns, type_tag, packed, *how)},
                         flatfield={"threshold_1": array(6, 7, 85, bytes(168))}))

    yield "series", messages(one(start()), one(image({"threshold_1": grid})), one(end))
    for choice, name in enumerate(("first", "one", "difference", "small")):
        yield "channels-" + name, messages(one(image(three)), choices=choice)
    yield "no-magic", messages(one(start(), b""), one(image(three), b""), one(end, b""))
    yield "typed", messages(*(one(image({"default": array(6, 7, t, ramp(42, 1 << (t >> 4 & 1)
                                                                        + (t & 3)))}))
                              for t in range(64, 88)))
    yield "bslz4", messages(one(image({"a": array(6, 7, 70, shuffled(ramp(42, 4), 4), "bslz4", 4)})),
                            one(image({"a": array(6, 7, 64, shuffled(ramp(42, 1), 1), "bslz4", 1)})))
    yield "bszstd", messages(one(image({"a": array(6, 7, 69, shuffled(data, 2, 0, zstd_frame),
                                                   "bszstd", 2)})),
                             one(image({"a": array(6, 8, 69, shuffled(bytes(96), 2, 64, zstd_frame),
                                                   "bszstd", 2)})))
    yield "lz4", messages(one(image({"a": array(6, 7, 69, lz4_blocks(data, 64), "lz4", 0)})),
                          one(image({"a": array(6, 7, 69, lz4_blocks(bytes(84)), "lz4", 0)})))
    yield "signed", messages(one(start(error_value=-2147483648)),
                             one(image({"a": array(6, 7, 78, shuffled(ramp(42, 4), 4), "bslz4", 4)})),
                             one(image({"a": array(6, 7, 77, shuffled(data, 2), "bslz4", 2)})),
                             one(image({"a": array(6, 7, 72, ramp(42, 1))})))
    yield "element-of-others", messages(*(one(image({"a": array(6, 7, 69, shuffled(data, 2), "bslz4",
                                                                element)})) for element in
                                          (1, 4, 0, 3, 256)))
    yield "mask-plain", messages(masked(mask), one(image(three)), masked(mask[:16], rows=2, columns=2))
    yield "mask-bslz4", messages(masked(shuffled(mask, 4), "bslz4", 4), masked(mask))
    yield "mask-bszstd", messages(masked(shuffled(mask, 4, 32, zstd_frame), "bszstd", 4))
    yield "mask-lz4", messages(masked(lz4_blocks(mask, 32), "lz4", 0))
    yield "mask-damaged", messages(masked(mask[:-1]), masked(data, type_tag=69), masked(b""),
                                   masked(shuffled(mask, 4)[:-9], "bslz4", 4))
    yield "mask-first-seen", messages(one({"type": "start", "pixel_mask":
                                           {"x": array(2, 2, 70, mask[:16])}}),
                                      one({"type": "start", "pixel_mask":
                                           {"x": array(65536, 65536, 70, mask)}}))
    yield "dummy", messages(one(image({"a": array(2, 2, 64, b"1234")})),
                            one(image({"a": array(2, 2, 69, b"")})))
    yield "taken-2x2", messages(one(image({"a": array(2, 2, 64, b"1234")})), choices=3)
    yield "column-major", messages(one(image({"a": tag(1040, [[6, 7], tag(69, data)])})))
    yield "trpx", messages(one(image({"a": array(6, 7, 69, data, "trpx", 0)})))
    yield "alpha", messages(one({"type": "image", "series_number": 1, "image_number": 0,
                                 "channels": [{"data": [[6, 7], data]}]}))
    yield "flat-data", messages(one({"type": "image", "data": shuffled(data, 2), "image_id": 1}, b""))
    yield "others", messages(one({"type": "calibration", "data": three}),
                             one({"type": "metadata", "images": [end, end]}), one({"type": 3}),
                             one({}), one([]), message(MAGIC), message(b""), message(), message(b"", b""))
    endless = Raw(b"\xbf" + cbor("type") + cbor("image") + cbor("image_id") + b"\x05" +
                  cbor("data") + b"\xbf" + cbor("a") + bytes(grid) + b"\xff" + cbor("user_data") +
                  b"\x9f\x7f\x61a\x61b\xff\x5f\x41a\xff\xff\xff")
    yield "endless", messages(one(endless), one(endless, b""))
    yield "many-tags", messages(message(MAGIC * 9 + cbor(end)), message(MAGIC * 8 + cbor(end)))
    deep = Raw(b"\x81" * 40 + b"\0")
    yield "deep", messages(one(dict(end, user_data=deep)), one({"type": "end", "x": Raw(b"\xa1\0" * 31
                                                                                     + b"\xa0")}))
    yield "dates", messages(*(one(image({"a": grid}, series_date=tag(0, date))) for date in
                              ("1970-01-01T00:00:00Z", "2023-02-30T25:61:61.5-99:99",
                               "9999-12-31T23:59:60.999999999999+23:59", "x", "", "1969-01-01T00:00:00Z",
                               "2023-02-10T15:49:05.+01:00")))
    yield "times", messages(one(image({"a": grid}, start_time=[1 << 63, 1])),
                            one(image({"a": grid}, start_time=[1, 0])),
                            one(image({"a": grid}, start_time=Raw(b"\x9f\x01\x02\xff"))),
                            one(start(count_time=-1, frame_time=Raw(b"\xfb\x7f\xf0" + bytes(6)))))
    yield "left-over", messages(message(MAGIC + cbor(end) + b"\0"), message((MAGIC + cbor(end))[:-1]))
    yield "huge", messages(one(image({"a": array(4294967295, 4294967295, 70, mask)})),
                           one(image({"a": array(60000, 60000, 69, shuffled(data, 2), "bslz4", 2)})))


def sls():
    def header(**more):
        return {"jsonversion": 4, "bitmode": 16, "fileIndex": 0, "detshape": [2, 1], "shape": [4, 3],
                "size": 24, "acqIndex": 12, "frameIndex": 0, "progress": 1.5, "fname": "/data/run",
                "data": 1, "completeImage": 1, "frameNumber": 12, "expLength": 0,
                "packetNumber": 128, "detSpec1": 0, "timestamp": 12345, "modId": 0, "row": 0,
                "column": 1, "detType": 3, "version": 2, "flipRows": 0, "quad": 0,
                "addJsonHeader": {"a": "b"}, "rx_roi": [-1, -1, -1, -1], **more}

    def one(data=ramp(12, 2), **more):
        return message(json.dumps(header(**more)) + "\n", data)

    text = json.dumps(header())
    end = message({"jsonversion": 4, "data": 0, "bitmode": 0})
    yield "ports", messages(one(column=0), one(), end)
    yield "bits-4", messages(one(ramp(6, 1), bitmode=4), one(ramp(5, 1), bitmode=4, shape=[3, 3]))
    yield "bits-8", messages(one(ramp(12, 1), bitmode=8))
    yield "bits-12", messages(one(ramp(18, 1), bitmode=12), one(ramp(14, 1), bitmode=12, shape=[3, 3]))
    yield "bits-32", messages(one(ramp(12, 4), bitmode=32), one(bitmode=24), one(bitmode=None))
    yield "incomplete", messages(one(completeImage=0, flipRows=1), one(completeImage=2))
    yield "old", messages(one(frameNumber=None))
    yield "grid", messages(one(detshape=[8, 8], row=7, column=7, flipRows=1),
                           one(detshape=[64, 1], column=63), one(detshape=[1, 64], row=63, column=0),
                           one(detshape=[1, 1], column=0))
    yield "grid-wrong", messages(one(detshape=[9, 8]), one(detshape=[4294967295, 1]), one(column=2),
                                 one(row=-1), one(detshape=[0, 1]), one(row=None))
    yield "quad", messages(one(quad=1), one(quad="x"))
    yield "roi", messages(one(rx_roi=[0, 3, 0, 2]), one(rx_roi=[[0, 3, 0, 2]]),
                          one(rx_roi=[0, 3, 0, 2], detshape=[1, 1], column=0))
    yield "progress", messages(*(message(text.replace("1.5", p), ramp(12, 2)) for p in
                                 ("inf", "-inf", "nan", "-nan", "-", "-nan(ind)")))
    yield "name", messages(message(text.replace("/data/run", "C:\\data\\run"), ramp(12, 2)),
                           message(text.encode().replace(b"/data/run", b"\xff\\\x01"), ramp(12, 2)),
                           message('{"fname"', b""), message('{"fname": \\', b""),
                           message('{"progress": -', b""), message('{"progress": n', b""))
    yield "parts", messages(message(text), message(), message(text, b"", b""), message({"data": 0}, b""))
    yield "no-json", messages(message("x", b""), message(b"{\0}", b""), message({"data": 3}))
    yield "length", messages(one(b""), one(ramp(11, 2)), one(ramp(13, 2)))
    yield "huge", messages(one(shape=[4294967295, 4294967295]), one(shape=[30000, 30000]),
                           one(shape=[2147483648, 1]))


def stins():
    def image(data=ramp(12, 4), *more, **fields):
        return message({"htype": "image", "frame": 0, "shape": [3, 4], "type": "uint32",
                        "compression": "none", **fields}, data, *more)

    header = message({"htype": "header", "filename": "/data/x.h5", "msg_number": 0})
    end = message({"htype": "series_end", "msg_number": 7})
    yield "series", messages(header, image(), image(frame=1), end)
    yield "extras", messages(image(ramp(12, 4), b"\x80\x04N."), image(ramp(12, 4), b"", b""))
    yield "types", messages(*(image(ramp(12, size), type=name) for name, size in
                              (("uint8", 1), ("uint16", 2), ("float32", 4), ("int8", 1), ("int16", 2),
                               ("int32", 4), ("float64", 8), (None, 1))))
    yield "compression", messages(image(compression="bslz4"), image(compression=None))
    yield "shapes", messages(image(shape=[3]), image(shape=[1, 3, 4]), image(shape=[0, 4]),
                             image(shape=["3", 4]), image(shape=[4294967295, 4294967295]))
    yield "numbers", messages(image(frame="0"), image(frame=-1), image(frame=18446744073709551615),
                              image(frame=18446744073709551614), image(frame=1e3))
    yield "length", messages(image(b""), image(ramp(11, 4)))
    yield "others", messages(message({"htype": "images"}), message({}), message("[]"), message(b""),
                             message(), message("\x1b[31m{"))


def odin_live():
    data = ramp(12, 2)

    def one(blob=data, **fields):
        return message({"frame_num": 2, "acquisition_id": "test", "dtype": "uint16",
                        "dsize": len(blob), "dataset": "data", "compression": "none",
                        "shape": ["3", "4"], **fields}, blob)

    yield "plain", messages(one(), one(frame_num=3))
    yield "named", messages(one(), one(dataset="other"), one(dataset=None), choices=1)
    yield "interleaved", messages(one(dataset="b"), one(dataset="a"), one(dataset="b"))
    yield "long-dataset", messages(one(dataset="d" * 300), one(dataset="d" * 301))
    yield "types", messages(*(one(ramp(12, size), dtype=name) for name, size in
                              (("uint8", 1), ("uint32", 4), ("uint64", 8), ("float", 4),
                               ("unknown", 1), ("int16", 2))))
    yield "lz4", messages(one(lz4_block(data), compression="LZ4"), one(b"", compression="LZ4"))
    yield "bslz4", messages(one(shuffled(data, 2), compression="BSLZ4"),
                            one(shuffled(data, 2, 16), compression="bslz4"),
                            one(shuffled(data, 2)[:11], compression="BSLZ4"))
    yield "blosc", messages(one(compression="blosc"), one(compression="unknown"))
    yield "shapes", messages(one(shape=["1", "3", "4"]), one(shape=["2", "3", "4"]), one(shape=[3, 4]),
                             one(shape=["3"]), one(shape=["-3", "4"]), one(shape=["99999999999", "4"]),
                             one(shape=["4294967295", "4294967295"]), one(shape=["", "4"]))
    yield "dsize", messages(one(dsize=25), one(dsize="24"), one(dsize=None))
    yield "parts", messages(message({"frame_num": 1}), message(), message("x", b""), one(frame_num=None))


def shm():
    def step(kind, *what):
        return message(bytes([kind]) + b"".join(what))

    def announcement(kind=1, ring=1, series=9, frame=0, generation=2, size=16, slot=0, width=4,
                     height=2, pixel=1, bits=0, flags=0):
        return b"OBSA" + struct.pack("<IQQQQQQIIIIII", kind, ring, series, frame, generation, 5, size,
                                     slot, width, height, pixel, bits, flags)

    def announce(memory=0, cut=0, kind=0, name=b"", **fields):
        fields.setdefault("ring", 1 + memory)
        return step(kind, bytes([memory, cut]), announcement(**fields), name)

    def ring(version=1, slots=4, slot_bytes=12288, first=4096, ring_id=2, more=b"", magic=b"OBSHM001"):
        return step(1, magic, struct.pack("<IIQQQ", version, slots, slot_bytes, first, ring_id), more)

    back, tend = step(3, b"\0"), step(4)
    yield "series", messages(announce(kind=0, **{}), back, tend, announce(slot=1), back, tend)
    yield "start-end", messages(step(0, b"\0\0", announcement(kind=2, frame=100)), announce(),
                                step(0, b"\0\0", announcement(kind=3)),
                                step(0, b"\0\0", announcement(kind=4)))
    yield "all-slots", messages(*(announce(slot=i) for i in range(5)), back, back, tend,
                                announce(slot=0))
    yield "twice", messages(announce(), announce(), announce(generation=4), back, announce(), tend)
    yield "memories", messages(*(announce(memory=i) for i in range(4)), *[back] * 4, tend)
    yield "types", messages(*(announce(slot=i, pixel=i, size=8 * (1, 2, 4, 4)[i]) for i in range(4)),
                            announce(pixel=4))
    yield "sizes", messages(announce(size=17), announce(width=0), announce(size=8192, width=4096,
                                                                           height=1),
                            announce(slot=1, size=8194, width=4097, height=1),
                            announce(slot=2, width=4294967295, height=4294967295))
    yield "fields", messages(announce(bits=33), announce(slot=1, bits=12, flags=1),
                             announce(slot=2, frame=(1 << 64) - 1), announce(slot=3, generation=3),
                             announce(slot=3, generation=0))
    yield "damaged", messages(announce(cut=1), announce(cut=130), announce(cut=128), step(0),
                              step(0, b"\0\0XXXX"))
    yield "slots-written", messages(announce(), step(2, b"\0", struct.pack("<Q", 3)), back,
                                    step(2, b"\0", struct.pack("<Q", 4)), announce(generation=4))
    yield "cut-short", messages(announce(memory=2), step(5, b"\1"), announce(memory=2, slot=1), back,
                                back, tend, step(5, b"\0"), announce(memory=2))
    yield "cut-before", messages(step(5, b"\2"), announce(memory=2), step(5, b"\0"), announce(memory=2))
    for name, fields in (("few", {"slots": 1}), ("many", {"slots": 65537}), ("large", {"slots": 5}),
                         ("page", {"slot_bytes": 4096}), ("odd", {"slot_bytes": 8193}),
                         ("first", {"first": 0}), ("far", {"first": 1 << 44}),
                         ("version", {"version": 2}), ("id", {"ring_id": 3}),
                         ("overflow", {"slots": 65536, "slot_bytes": 1 << 44}),
                         ("release", {"more": b"inproc://x\0"}), ("endless", {"more": b"x" * 216}),
                         ("magic", {"magic": b"OBSHM002"})):
        yield "ring-" + name, messages(ring(**fields), announce(memory=1), back)
    yield "many-rings", messages(*(s for i in range(10) for s in (ring(ring_id=100 + i),
                                                                  announce(memory=1, ring=100 + i))),
                                 *[back] * 10, tend, ring(ring_id=200), announce(memory=1, ring=200))
    yield "names", messages(*(announce(memory=3, ring=50, name=name) for name in
                              (b"/\0", b"/..\0", b"/.\0", b"x\0", b"/a/b\0", b"/not-there\0",
                               b"/proc/x/fd/1\0", b"y" * 168, b"\0")), announce(memory=3, ring=0))


def decompress():
    codecs = {"lz4": 0, "blocks": 1, "bslz4": 2, "bszstd": 3}
    elements = (1, 2, 4, 0, 3, 8, 255, 256)

    def one(codec, element, data, plain=None):
        size = b"\0\0\x80" if plain is None else struct.pack("<I", plain)[:3]
        return bytes([codecs[codec], elements.index(element)]) + size + data

    for element in (1, 2, 4):
        data = ramp(1000 // element, element)
        yield f"bslz4-{element}", one("bslz4", element, shuffled(data, element))
        yield f"bslz4-{element}-blocks", one("bslz4", element, shuffled(data[:303], element,
                                                                        16 * element))
        yield f"bszstd-{element}", one("bszstd", element, shuffled(data[:301], element, 0, zstd_frame))
        yield f"bszstd-{element}-zeros", one("bszstd", element, shuffled(bytes(4096), element, 1024,
                                                                         zstd_frame))
    zeros = bytes(30000)
    yield "bslz4-zeros", one("bslz4", 2, shuffled(zeros, 2))
    yield "bslz4-one-block", one("bslz4", 2, shuffled(zeros, 2, 1 << 16))
    yield "bslz4-block-above", one("bslz4", 2, shuffled(zeros, 2, 1 << 21))
    yield "bslz4-tail", one("bslz4", 4, shuffled(ramp(7, 4), 4))
    yield "bslz4-empty", one("bslz4", 2, bytes(12))
    yield "bslz4-block-odd", one("bslz4", 2, shuffled(bytes(64), 2, 16, written=17))
    yield "bslz4-short", one("bslz4", 2, shuffled(zeros, 2)[:-1])
    yield "bslz4-long", one("bslz4", 2, shuffled(zeros, 2) + b"\0")
    yield "bslz4-other-size", one("bslz4", 2, shuffled(zeros, 2), 29998)
    yield "bslz4-huge", one("bslz4", 2, struct.pack(">QI", (1 << 64) - 1, 0xfffffff0) + bytes(20))
    for element in (0, 3, 8, 255, 256):
        yield f"bslz4-element-{element}", one("bslz4", element, shuffled(zeros[:64], 2))
    yield "bszstd-damaged", one("bszstd", 2, shuffled(zeros[:64], 2, 0, lambda d: zstd_frame(d)[:-1]))
    yield "bszstd-two-frames", one("bszstd", 1, shuffled(
        ramp(64, 1), 1, 0, lambda d: zstd_frame(d[:20]) + b"\x50\x2a\x4d\x18\x02\0\0\0ab"
        + zstd_frame(d[20:])))
    yield "bszstd-longer", one("bszstd", 1, shuffled(ramp(64, 1), 1, 0, lambda d: zstd_frame(d + b"x")))
    yield "blocks", one("blocks", 1, lz4_blocks(ramp(1000, 1), 256))
    yield "blocks-stored", one("blocks", 1, lz4_blocks(bytes(range(100)), 64))
    yield "blocks-one", one("blocks", 1, lz4_blocks(zeros, 1 << 20))
    yield "blocks-zero", one("blocks", 1, struct.pack(">QI", 5, 0) + b"abcde")
    yield "blocks-above", one("blocks", 1, struct.pack(">QI", 5, 1 << 31) + b"abcde")
    yield "blocks-empty", one("blocks", 1, bytes(12))
    yield "lz4", one("lz4", 1, lz4_block(ramp(1000, 1)), 1000)
    yield "lz4-short", one("lz4", 1, lz4_block(zeros)[:-1], 30000)
    yield "lz4-empty", one("lz4", 1, b"", 0)
    yield "lz4-zero", one("lz4", 1, b"\0", 0)
    yield "lz4-far", one("lz4", 1, lz4_sequence(b"abcd", 65535, 40) + lz4_sequence(b"12345"), 49)


def assembly():
    def piece(distance, port, geometry=0):
        return struct.pack("<BbBB", 0, distance, port, geometry)

    def jump(number, port, geometry=0):
        return b"\5" + struct.pack("<QBB", number, port, geometry)

    def wait(ms):
        return b"\6" + struct.pack("<H", ms * 10)

    end = b"\7"
    pairs = b"".join(piece(1, 0) + piece(0, 1) for _ in range(40))
    yield "pairs", b"\xf4" + pairs + end + jump(0, 0) + piece(0, 1)
    yield "one-lacks", b"\xf4" + piece(1, 0) + pairs
    yield "all-lack", b"\xf4" + b"".join(piece(1, 0) for _ in range(60))
    yield "small-buffer", b"\x04" + b"".join(piece(1, 0, 0x20) for _ in range(20)) + pairs
    yield "time-out", b"\xf1" + piece(1, 0) + wait(5) + piece(0, 1) + piece(1, 1) + wait(1) + piece(0, 0)
    yield "duplicate", b"\xf4" + piece(1, 0) + piece(0, 0) + piece(0, 1) + piece(0, 1)
    yield "geometry", b"\xf4" + piece(1, 0) + piece(0, 1, 2) + piece(1, 0, 2) + piece(0, 7, 2)
    yield "whole-grid", b"\xf4" + b"".join(piece(0, p, 3) for p in range(64)) + piece(1, 0, 1)
    yield "in-the-way", b"\xff" + jump(5, 0) + jump(261, 0) + jump(517, 1) + jump(5, 1)
    yield "far", b"\xff" + jump((1 << 64) - 2, 0) + jump(3, 0) + piece(0, 1) + jump((1 << 64) - 1, 0)
    yield "silence", b"\xfe" + pairs + wait(1500) + jump(1, 0) + piece(0, 1)
    yield "forgotten", b"\xf4" + jump(7, 0) + piece(0, 1) + wait(1500) + piece(0, 0) + piece(0, 1)
    yield "wild", (b"\xf4" + jump(9, 0) + piece(0, 1) + jump(1 << 60, 0) + wait(50) + jump(10, 0)
                   + wait(2) + piece(0, 1))
    yield "left-open", b"\xfe" + piece(1, 0) + piece(1, 1, 2) + piece(1, 5, 3)


def config():
    yield "empty", b""
    yield "set", b"series.name=x\0ingest:\n  protocol: sls\n"
    yield "ingest", (b"ingest:\n  endpoints: [tcp://127.0.0.1:9999, \"ipc:///tmp/x\"]\n  socket: sub\n"
                     b"  protocol: dectris-v2\n  frame: {width: 4, height: auto, type: uint16}\n"
                     b"  buffer: 64MiB\n  frame_limit: 1e6\n")
    yield "sinks", b"sinks:\n  - format: tiff\n    directory: /tmp\n  - {format: hdf5}\n"
    yield "anchors", b"a: &a [1, *a]\nb: !!str 5\n? c\n: |\n  text\n"
    yield "twice", b"series:\n  name: a\n  name: b\nseris: {}\n"
    yield "units", b"series: {idle_end: 5s, end_grace: 1.5ms, end_timeout: -1s, frames: 0x10}\n"
    yield "damaged", b"ingest: [\xff\xfe\x00"


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "corpus")
    for of in (bsread, dectris_v1, dectris_v2, sls, stins, odin_live, shm, decompress, assembly,
               config):
        os.makedirs(os.path.join(folder, of.__name__), exist_ok=True)
        for name, data in of():
            with open(os.path.join(folder, of.__name__, name), "wb") as out:
                out.write(data)


if __name__ == "__main__":
    main()
