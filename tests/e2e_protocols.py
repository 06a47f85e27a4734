# SPDX-License-Identifier: Apache-2.0
"""What openbeam-send sends in each protocol, decoded by other people's libraries."""
import contextlib
import ctypes
import json
import subprocess

import numpy
import zmq

from e2e_case import Skip, case, check, equal, same_pixels

WIDTH, HEIGHT, FRAMES = 72, 40, 6
SILENCE_MS = 50  # after the sender has closed its sockets, which it does when all is delivered
TYPES = {"uint8": "u1", "uint16": "u2", "uint32": "u4", "float": "f4", "float32": "f4"}


def module(name):
    """A library that may not be installed."""
    import importlib
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Skip(f"no python3 module {name}") from None


def counter(number, bits=16, shape=(HEIGHT, WIDTH), dtype="uint16"):
    y, x = numpy.indices(shape)
    return ((number * 7919 + y * 131 + x * 31) % 4096 % 2**bits).astype(dtype)


class Receiver:
    """Sockets on ipc endpoints, and a sender bound to them."""

    def __init__(self, bench, ends=1, kind=zmq.PULL):
        self.bench, self.context = bench, zmq.Context()
        self.endpoints = [f"ipc://{bench.folder}/end{i}" for i in range(ends)]
        self.sockets = [self.context.socket(kind) for _ in range(ends)]
        for one, endpoint in zip(self.sockets, self.endpoints):
            one.linger = 0
            if kind == zmq.SUB:
                one.subscribe(b"")
            one.connect(endpoint)

    def send(self, *arguments, status=0):
        """Run the sender; for each endpoint the messages as lists of parts. And the report."""
        path = self.bench.folder / "sent.json"
        ends = [word for e in self.endpoints for word in ("--to", e)]
        sender = subprocess.Popen(
            [self.bench.programs / "openbeam-send", *ends, "--report", path, "--quiet",
             *map(str, arguments)], cwd=self.bench.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        found = [[] for _ in self.sockets]
        poller = zmq.Poller()
        for one in self.sockets:
            poller.register(one, zmq.POLLIN)
        over = False
        while True:
            ready = dict(poller.poll(SILENCE_MS))
            if not ready and over:
                break
            over = sender.poll() is not None
            for i, one in enumerate(self.sockets):
                if one in ready:
                    found[i].append(one.recv_multipart())
        said = sender.communicate(timeout=20)[0].decode(errors="replace")
        equal(sender.returncode, status, f"status of openbeam-send; it said {said}")
        return found, json.loads(path.read_text()) if status == 0 else None

    def close(self):
        for one in self.sockets:
            one.close()
        self.context.term()


@contextlib.contextmanager
def receiver(bench, ends=1, kind=zmq.PULL):
    r = Receiver(bench, ends, kind)
    try:
        yield r
    finally:
        r.close()


def one_stream(bench, protocol, *arguments, size=(WIDTH, HEIGHT), frames=FRAMES):
    with receiver(bench) as r:
        (messages,), report = r.send(
            "--protocol", protocol, "--size", f"{size[0]}x{size[1]}", "--frames", frames,
            "--pattern", "counter", *arguments)
    equal(report["protocol"], protocol, "protocol in the report")
    equal(report["counts"]["numbers"], frames, "numbers")
    return messages, report


# ---- bytes to pixels ----

def lz4_block(data, size):
    return module("lz4.block").decompress(bytes(data), uncompressed_size=size)


def lz4_hdf5(data, size):
    """Filter 32004: blocks, one as long as it should be is stored."""
    total, block = int.from_bytes(data[:8], "big"), int.from_bytes(data[8:12], "big")
    equal(total, size, "size in front")
    plain, at = b"", 12
    while len(plain) < total:
        wanted, length = min(block, total - len(plain)), int.from_bytes(data[at:at + 4], "big")
        piece = data[at + 4:at + 4 + length]
        plain += piece if length == wanted else lz4_block(piece, wanted)
        at += 4 + length
    equal(at, len(data), "bytes used")
    return plain


def bitshuffle_blocks(data, dtype, count):
    """Filter 32008: [(elements, compressed)] and the tail. The library does not look for ends."""
    total, block = int.from_bytes(data[:8], "big"), int.from_bytes(data[8:12], "big")
    equal(total, count * dtype.itemsize, "size in front")
    blocks, at, done = [], 12, 0
    tail = total % (8 * dtype.itemsize)
    while done < total - tail:
        length, wanted = int.from_bytes(data[at:at + 4], "big"), min(block, total - tail - done)
        blocks.append((wanted // dtype.itemsize, data[at + 4:at + 4 + length]))
        at, done = at + 4 + length, done + wanted
    equal(at + tail, len(data), "bytes used")
    return block // dtype.itemsize, blocks, data[at:]


def bitshuffled(data, dtype, count):
    bitshuffle, dtype = module("bitshuffle"), numpy.dtype(dtype)
    block, _, _ = bitshuffle_blocks(data, dtype, count)
    return bitshuffle.decompress_lz4(numpy.frombuffer(data[12:], "u1"), (count,), dtype,
                                     block).tobytes()


def zstd_frame(data, size):
    library = ctypes.CDLL("libzstd.so.1")
    plain = ctypes.create_string_buffer(size)
    equal(library.ZSTD_decompress(plain, ctypes.c_size_t(size), bytes(data),
                                  ctypes.c_size_t(len(data))), size, "bytes of a zstd frame")
    return plain.raw


def bitshuffled_zstd(data, dtype, count):
    dtype, plain = numpy.dtype(dtype), b""
    _, blocks, tail = bitshuffle_blocks(data, dtype, count)
    for elements, compressed in blocks:
        rows = numpy.frombuffer(zstd_frame(compressed, elements * dtype.itemsize), "u1")
        bits = numpy.unpackbits(rows.reshape(8 * dtype.itemsize, -1), axis=1, bitorder="little")
        plain += numpy.packbits(bits.T, axis=1, bitorder="little").tobytes()
    return plain + tail


def pixels(data, dtype, shape, framing="plain"):
    dtype, count = numpy.dtype(dtype), shape[0] * shape[1]
    data = {
        "plain": lambda: data,
        "lz4 block": lambda: lz4_block(data, count * dtype.itemsize),
        "lz4 hdf5": lambda: lz4_hdf5(data, count * dtype.itemsize),
        "bslz4": lambda: bitshuffled(data, dtype.newbyteorder("<"), count),
        "bszstd": lambda: bitshuffled_zstd(data, dtype.newbyteorder("<"), count),
    }[framing]()
    equal(len(data), count * dtype.itemsize, "bytes of pixels")
    image = numpy.frombuffer(data, dtype).reshape(shape)
    return image.astype(dtype.newbyteorder("="))


def dtype_of(name, order="little"):
    return numpy.dtype(TYPES[name]).newbyteorder(">" if order == "big" else "<")


# ---- protocols: a message to (number, image) ----

def bsread_image(parts):
    main, data = json.loads(parts[0]), json.loads(parts[1])
    equal((main["htype"], data["htype"], len(parts)), ("bsr_m-1.1", "bsr_d-1.1", 6), "bsread")
    check(len(main["hash"]) == 32 and int(main["hash"], 16), "a hash")
    scalar, image = data["channels"]
    equal((scalar["name"], image["name"]), ("camera1:INTENSITY", "camera1:FPICTURE"), "channels")
    check(1 <= numpy.frombuffer(parts[2], "<f8")[0] < 2, "the intensity")
    order = ">" if image["encoding"] == "big" else "<"
    equal([int(v) for v in numpy.frombuffer(parts[3], "<i8")],
          [int(v) for v in numpy.frombuffer(parts[5], order + "i8")], "timestamps")
    equal(int(numpy.frombuffer(parts[3], "<i8")[0]), main["global_timestamp"]["sec"], "seconds")
    width, height = image["shape"]
    blob, framing = parts[4], "plain"
    if image["compression"] == "lz4":
        size = int.from_bytes(blob[:4], image["encoding"])
        equal(size, width * height * dtype_of(image["type"]).itemsize, "size in front")
        blob, framing = blob[4:], "lz4 block"
    elif image["compression"] == "bitshuffle_lz4":
        framing = "bslz4"
    return main["pulse_id"], pixels(blob, dtype_of(image["type"], image["encoding"]),
                                    (height, width), framing)


def v1_image(parts):
    head, shape, times = json.loads(parts[0]), json.loads(parts[1]), json.loads(parts[3])
    equal((head["htype"], shape["htype"], times["htype"], len(parts)),
          ("dimage-1.0", "dimage_d-1.0", "dconfig-1.0", 4), "parts of an image")
    check(len(head["hash"]) == 32, "a hash")
    equal(shape["size"], len(parts[2]), "size")
    equal(times["stop_time"] - times["start_time"], times["real_time"], "real time")
    width, height = shape["shape"]
    dtype = dtype_of(shape["type"], "big" if shape["encoding"][-1] == ">" else "little")
    framing = {"": "plain", "lz4": "lz4 block", f"bs{8 * dtype.itemsize}-lz4": "bslz4"}[
        shape["encoding"][:-1]]
    return head["frame"], pixels(parts[2], dtype, (height, width), framing)


def v2_message(parts):
    cbor2 = module("cbor2")
    equal(len(parts), 1, "parts")
    equal(parts[0][:3], b"\xd9\xd9\xf7", "the self-describing tag")
    def keep(_, tag):
        return tag
    return cbor2.loads(parts[0], tag_hook=keep)


def v2_array(found):
    equal(found.tag, 40, "the array's tag")
    (height, width), typed = found.value
    dtype = {64: "u1", 69: "<u2", 65: ">u2", 70: "<u4", 66: ">u4", 85: "<f4", 81: ">f4"}[typed.tag]
    if isinstance(typed.value, bytes):
        return pixels(typed.value, dtype, (height, width))
    equal(typed.value.tag, 56500, "the compression's tag")
    algorithm, element, data = typed.value.value
    equal(element, 0 if algorithm == "lz4" else numpy.dtype(dtype).itemsize, "element size")
    return pixels(data, dtype, (height, width), "lz4 hdf5" if algorithm == "lz4" else algorithm)


def v2_image(parts):
    found = v2_message(parts)
    equal(found["type"], "image", "type")
    equal(found["start_time"][1], 50000000, "ticks per second")
    return found["image_id"], v2_array(found["data"]["threshold_1"])


def odin_image(parts):
    head = json.loads(parts[0])
    equal((head["dataset"], head["dsize"], len(parts)), ("data", len(parts[1]), 2), "odin")
    framing = {"none": "plain", "LZ4": "lz4 block", "BSLZ4": "bslz4"}[head["compression"]]
    shape = tuple(map(int, head["shape"]))
    return head["frame_num"], pixels(parts[1], dtype_of(head["dtype"]), shape, framing)


def stins_image(parts):
    head = json.loads(parts[0])
    equal((head["htype"], head["compression"], len(parts)), ("image", "none", 2), "stins")
    return head["frame"], pixels(parts[1], dtype_of(head["type"]), tuple(head["shape"]))


def sls_pixels(head, data):
    (width, height), bits = head["shape"], head["bitmode"]
    equal(head["size"], len(data), "size")
    raw = numpy.frombuffer(data, "u1")
    if bits == 4:
        return numpy.stack((raw >> 4, raw & 15), 1).reshape(height, width)
    if bits == 12:
        triple = raw.reshape(-1, 3).astype("u2")
        return numpy.stack((triple[:, 0] | (triple[:, 1] & 15) << 8,
                            triple[:, 1] >> 4 | triple[:, 2] << 4), 1).reshape(height, width)
    return pixels(data, {8: "u1", 16: "<u2", 32: "<u4"}[bits], (height, width))


def sls_head(parts):
    check(parts[0].endswith(b"}\n"), "a newline ends the header")
    return json.loads(parts[0])


def expect_images(images, bits=16, dtype="uint16", frames=FRAMES, shape=(HEIGHT, WIDTH)):
    equal([number for number, _ in images], list(range(frames)), "frame numbers")
    for number, image in images:
        same_pixels(image, counter(number, bits, shape, dtype), f"frame {number}")


FORMATS = (("Mono8", 8, "uint8"), ("Mono12", 12, "uint16"), ("Mono16", 16, "uint16"),
           ("uint32", 16, "uint32"), ("float32", 16, "float32"))
SIZES = ((WIDTH, HEIGHT), (67, 31))  # the second one ends inside a block of eight pixels


def every_format(bench, protocol, image_of, compressions, orders, series):
    """`series` messages precede the images and follow them."""
    for compression in compressions:
        for name, bits, dtype in FORMATS:
            for order in orders:
                size = SIZES[bits % 16 == 0]
                messages, report = one_stream(bench, protocol, "--compression", compression,
                                              "--pixel-format", name, *order, size=size)
                equal(report["parameters"]["compression"], compression, "compression")
                images = [image_of(m) for m in messages[series:len(messages) - series]]
                expect_images(images, bits, dtype, shape=size[::-1])


LITTLE, BOTH = ((),), ((), ("--big-endian",))


@case(limit=120)
def bsread_carries_every_format_and_compression(bench):
    every_format(bench, "bsread", bsread_image, ("none", "lz4", "bslz4"), BOTH, 0)


@case(limit=120)
def dectris_v1_carries_every_format_and_compression(bench):
    every_format(bench, "dectris-v1", v1_image, ("none", "lz4", "bslz4"), BOTH, 1)


@case(limit=120)
def dectris_v2_carries_every_format_and_compression(bench):
    every_format(bench, "dectris-v2", v2_image, ("none", "lz4", "bslz4"), BOTH, 1)


@case
def dectris_v2_carries_bitshuffled_zstd(bench):
    every_format(bench, "dectris-v2", v2_image, ("bszstd",), LITTLE, 1)


@case(limit=120)
def odin_live_carries_every_format_and_compression(bench):
    every_format(bench, "odin-live", odin_image, ("none", "lz4", "bslz4"), LITTLE, 0)


@case
def stins_carries_every_format(bench):
    every_format(bench, "stins", stins_image, ("none",), LITTLE, 1)


@case
def sls_carries_every_bitmode(bench):
    for name, bits, dtype in (("Mono4", 4, "uint8"), ("Mono8", 8, "uint8"), ("Mono12p", 12, "uint16"),
                              ("Mono16", 16, "uint16"), ("uint32", 32, "uint32")):
        messages, _ = one_stream(bench, "sls", "--socket", "push", "--pixel-format", name)
        heads = [sls_head(m) for m in messages]
        equal([h["data"] for h in heads], [1] * FRAMES + [0], "data")
        equal({h["bitmode"] for h in heads[:-1]}, {bits}, "bitmode")
        equal(len(messages[-1]), 1, "parts of the end")
        expect_images([(h["frameNumber"], sls_pixels(h, m[1]).astype(dtype))
                       for h, m in zip(heads[:-1], messages)], min(bits, 16), dtype)


@case
def the_phantom_is_the_same_compressed_or_not(bench):
    plain = {}
    for compression in ("none", "lz4", "bslz4"):
        with receiver(bench) as r:
            (messages,), _ = r.send("--protocol", "dectris-v1", "--size", f"{WIDTH}x{HEIGHT}",
                                    "--frames", 70, "--compression", compression)
        for number, image in map(v1_image, messages[1:-1]):
            same_pixels(image, plain.setdefault(number, image), f"{compression}, frame {number}")
    equal(len(plain), 70, "frames")


# ---- series ----

def v1_kinds(messages):
    """htype and series of each message; an image's number for its htype."""
    heads = [json.loads(m[0]) for m in messages]
    return [(h.get("frame", h["htype"]), h["series"]) for h in heads]


@case
def dectris_v1_announces_what_comes(bench):
    for detail, parts in (("none", 1), ("basic", 2), ("all", 8)):
        messages, _ = one_stream(bench, "dectris-v1", "--header-detail", detail, "--rate", 500)
        start = messages[0]
        equal(len(start), parts, "parts of the header")
        equal(json.loads(start[0]), {"header_detail": detail, "htype": "dheader-1.0", "series": 1},
              "first part")
        equal(json.loads(messages[-1][0]), {"htype": "dseries_end-1.0", "series": 1}, "end")
        if parts > 1:
            found = json.loads(start[1])
            equal((found["nimages"], found["ntrigger"], found["trigger_mode"], found["frame_time"],
                   found["x_pixels_in_detector"], found["y_pixels_in_detector"],
                   found["bit_depth_image"], found["compression"]),
                  (FRAMES, 1, "ints", 0.002, WIDTH, HEIGHT, 16, "bslz4"), "configuration")
    equal([json.loads(start[i])["htype"] for i in (2, 4, 6)],
          ["dflatfield-1.0", "dpixelmask-1.0", "dcountrate_table-1.0"], "calibration")
    check((numpy.frombuffer(start[3], "<f4") == 1).all(), "flat field")
    mask = numpy.frombuffer(start[5], "<u4")
    equal((mask.size, list(numpy.flatnonzero(mask)), list(mask[mask > 0])),
          (WIDTH * HEIGHT, [i * WIDTH * HEIGHT // 8 for i in range(8)],
           [1, 2, 4, 8, 16, 1, 2, 4]), "mask")
    equal(8 * json.loads(start[6])["shape"][1], len(start[7]), "count-rate table")


@case
def dectris_v2_announces_what_comes(bench):
    messages, _ = one_stream(bench, "dectris-v2", "--header-detail", "all", "--channel", "default",
                             "--series", 5)
    start, image, end = (v2_message(messages[i]) for i in (0, 1, -1))
    for key, value in {"type": "start", "series_id": 5, "channels": ["default"], "image_dtype": "uint16",
                       "image_size_x": WIDTH, "image_size_y": HEIGHT, "number_of_images": FRAMES}.items():
        equal(start[key], value, key)
    mask = v2_array(start["pixel_mask"]["default"])
    equal((mask.shape, str(mask.dtype), int((mask > 0).sum())), ((HEIGHT, WIDTH), "uint32", 8), "mask")
    equal(list(image["data"]), ["default"], "channel")
    equal((end["type"], end["series_id"]), ("end", 5), "end")
    equal({len(m["series_unique_id"]) for m in (start, image, end)}, {26}, "unique id")
    equal(len({m["series_unique_id"] for m in (start, image, end)}), 1, "unique id")
    equal(start["series_date"], image["series_date"], "date of the series")


@case
def series_are_repeated_under_rising_ids(bench):
    messages, report = one_stream(bench, "dectris-v1", "--series", 70, "--first", 3, frames=2)
    equal(v1_kinds(messages), [("dheader-1.0", 70), (3, 70), (4, 70), ("dseries_end-1.0", 70)], "one")
    with receiver(bench) as r:
        (messages,), report = r.send(
            "--protocol", "dectris-v1", "--size", "16x8", "--frames", 40, "--pattern", "counter",
            "--series", 70, "--repeat", 3, "--lose", 0.1, "--seed", 3)
    kinds = v1_kinds(messages)
    for s in report["series"]:
        lost = set(s["lost"])
        equal([k for k, series in kinds if series == s["id"]],
              ["dheader-1.0", *(n for n in range(40) if n not in lost), "dseries_end-1.0"],
              f"series {s['id']}")
        equal((s["frames"], s["sent"], s["started"], s["ended"]), (40, 40 - len(lost), True, True),
              "the report of a series")
    equal([s["id"] for s in report["series"]], [70, 71, 72], "ids")
    equal(report["counts"]["lost"], sum(len(s["lost"]) for s in report["series"]), "lost")
    check(report["series"][0]["lost"] != report["series"][1]["lost"], "each has faults of its own")


@case
def starts_and_ends_can_be_left_out_or_come_early(bench):
    def kinds(*arguments):
        messages, report = one_stream(bench, "stins", *arguments, frames=4)
        return [h.get("frame", h["htype"]) for h in (json.loads(m[0]) for m in messages)], report
    equal(kinds()[0], ["header", 0, 1, 2, 3, "series_end"], "all")
    equal(kinds("--no-start")[0], [0, 1, 2, 3, "series_end"], "no start")
    found, report = kinds("--no-end")
    equal(found, ["header", 0, 1, 2, 3], "no end")
    equal(report["series"][0]["ended"], False, "ended")
    equal(kinds("--early-end", 1)[0], ["header", 0, 1, 2, "series_end", 3], "early by one")
    equal(kinds("--early-end", 4)[0], ["header", "series_end", 0, 1, 2, 3], "early by all")


@case
def frames_go_round_and_marks_to_the_first_or_to_all(bench):
    for protocol, options, marks in (("dectris-v1", (), (2, 0, 0)), ("dectris-v2", (), (2, 0, 0)),
                                     ("dectris-v2", ("--start-to-all",), (2, 2, 2))):
        with receiver(bench, 3) as r:
            found, _ = r.send("--protocol", protocol, "--size", "16x8", "--frames", 30, *options,
                              "--pattern", "counter")
        equal([len(f) for f in found], [10 + m for m in marks], f"messages of {protocol} {options}")


@case
def sls_sends_each_port_its_part(bench):
    for kind, socket in ((zmq.PULL, "push"), (zmq.SUB, "pub")):
        with receiver(bench, 6, kind) as r:
            found, report = r.send("--protocol", "sls", "--ports", "3x2", "--size", f"{WIDTH}x{HEIGHT}",
                                   "--frames", 40, "--pattern", "counter", "--lose-port", 0.1,
                                   "--socket", socket, "--rate", 400)
        lost = {tuple(pair) for pair in report["ports_lost"]}
        check(lost and report["counts"]["ports_lost"] == len(lost), "parts were lost")
        images = {n: counter(n) for n in range(40)}
        for port, messages in enumerate(found):
            heads = [sls_head(m) for m in messages]
            equal(heads[-1]["data"], 0, "the end comes to each port")
            equal([h["frameNumber"] for h in heads[:-1]],
                  [n for n in range(40) if (n, port) not in lost], f"frames of port {port}")
            for head, (_, blob) in zip(heads, messages[:-1]):
                equal((head["detshape"], head["row"], head["column"]), ([3, 2], port // 3, port % 3),
                      "place")
                rows, columns = slice(port // 3 * 20, port // 3 * 20 + 20), \
                    slice(port % 3 * 24, port % 3 * 24 + 24)
                same_pixels(sls_pixels(head, blob), images[head["frameNumber"]][rows, columns],
                            f"port {port} of {head['frameNumber']}")


@case
def packed_ports_are_cut_at_whole_bytes(bench):
    for name, bits in (("Mono4", 4), ("Mono12p", 12)):
        with receiver(bench, 2) as r:
            found, _ = r.send("--protocol", "sls", "--ports", "2x1", "--size", f"{WIDTH}x{HEIGHT}",
                              "--frames", 3, "--pattern", "counter", "--pixel-format", name,
                              "--socket", "push")
        for n in range(3):
            halves = [sls_pixels(sls_head(m[n]), m[n][1]) for m in found]
            same_pixels(numpy.hstack(halves).astype("uint16"), counter(n, bits), f"{name} {n}")


# ---- damage ----

def damage(bench, protocol, usable, *arguments):
    """Half of the messages are damaged; what the judge takes is what the report calls sent."""
    messages, report = one_stream(bench, protocol, "--corrupt", 0.3, "--truncate", 0.2, "--seed", 4,
                                  *arguments, frames=400)
    kinds = report["corrupted_by_kind"]
    check(all(kinds.values()) and report["truncated"], "every damage happened")
    bad = set(report["corrupted"]) | set(report["truncated"])
    numbers = [usable(m) for m in messages]
    equal([n for n in numbers if n is not None], [n for n in range(400) if n not in bad], "usable")


def judge(image_of):
    """The number of a good image; None of anything else that is no mark of a series."""
    def usable(parts):
        try:
            number, image = image_of(parts)
            same_pixels(image, counter(number), "pixels")
            return number
        except Skip:
            raise
        except Exception:
            return None
    return usable


@case(limit=120)
def damaged_messages_are_no_frames_in_any_protocol(bench):
    for protocol, image_of, compressions in (
            ("bsread", bsread_image, ("none", "lz4", "bslz4")),
            ("dectris-v1", v1_image, ("none", "lz4", "bslz4")),
            ("dectris-v2", v2_image, ("none", "lz4", "bslz4", "bszstd")),
            ("odin-live", odin_image, ("none", "lz4", "bslz4")), ("stins", stins_image, ("none",))):
        for compression in compressions:
            damage(bench, protocol, judge(image_of), "--compression", compression)

    def sls_image(parts):
        head = sls_head(parts)
        return head["frameNumber"], sls_pixels(head, parts[1])
    damage(bench, "sls", judge(sls_image), "--socket", "push")


# ---- recordings ----

@case
def a_recording_is_sent_as_it_is(bench):
    for name, count, parts in (("dectris_v1_eiger2_1M", 24, 98), ("bsread_cam", 1, 4)):
        folder = bench.shared("vectors", name)
        with receiver(bench) as r:
            (messages,), report = r.send("--replay", folder)
        equal((report["messages"], report["parts"], len(messages)), (count, parts, count), name)
        files = sorted(p for p in folder.iterdir() if p.suffix != ".md")
        equal([len(part) for m in messages for part in m], [f.stat().st_size for f in files], "sizes")
        check(b"".join(p for m in messages for p in m) == b"".join(f.read_bytes() for f in files),
              "every byte")


@case
def recordings_go_round_again_and_again(bench):
    folder = bench.folder / "recorded"
    folder.mkdir()
    for i in range(5):
        (folder / f"m{i}.hdr").write_text(f'{{"n":{i}}}')
        (folder / f"m{i}.blob").write_bytes(bytes([i]) * i)
    with receiver(bench, 2) as r:
        found, report = r.send("--replay", folder, "--repeat", 4, "--rate", 1000)
    equal((report["messages"], report["parts"]), (20, 40), "sent")
    both = [m for pair in zip(*found) for m in pair]
    equal(both, [[f'{{"n":{i % 5}}}'.encode(), bytes([i % 5]) * (i % 5)] for i in range(20)], "messages")


@case
def a_folder_that_is_no_recording_is_refused(bench):
    status, _, said = bench.run("openbeam-send", "--to", f"ipc://{bench.folder}/end", "--replay",
                                bench.folder)
    equal(status, 65, f"status; it said {said}")


# ---- the daemon ----

def taken(bench, protocol, name, *arguments, settings=None, ends=1, frames=FRAMES, bits=16,
          dtype="uint16"):
    """Send to a daemon; its series has every frame, pixel by pixel."""
    endpoints = [f"ipc://{bench.folder}/{name}{i}" for i in range(ends)]
    daemon = bench.daemon(endpoints[0], {
        "ingest.protocol": protocol, "ingest.endpoints": endpoints, "reduce.type": "source",
        "series.frames": frames, "sinks": [bench.sink(folder=name)], **(settings or {})})
    others = [word for e in endpoints[1:] for word in ("--to", e)]
    sender = bench.send(endpoints[0], *others, "--protocol", protocol, "--size",
                        f"{WIDTH}x{HEIGHT}", "--frames", frames, "--pattern", "counter", *arguments)
    equal(sender.wait(20), 0, "status of the sender")
    daemon.wait()
    series = bench.series(bench.folder / name).require_complete(frames)
    for number, found in series.images().items():
        same_pixels(found, counter(number, bits, dtype=dtype), f"{name} {number}")


@case(limit=120)
def the_daemon_takes_every_protocol_and_compression(bench):
    for protocol, compressions in (
            ("bsread", ("none", "lz4", "bslz4")), ("dectris-v1", ("none", "lz4", "bslz4")),
            ("dectris-v2", ("none", "lz4", "bslz4", "bszstd")), ("stins", ("none",)),
            ("odin-live", ("none", "lz4", "bslz4"))):
        for compression in compressions:
            taken(bench, protocol, f"{protocol}-{compression}", "--compression", compression)


@case
def the_daemon_puts_ports_together(bench):
    for name, bits, dtype in (("Mono4", 4, "uint8"), ("Mono12p", 12, "uint16"),
                              ("Mono16", 16, "uint16"), ("uint32", 32, "uint32")):
        taken(bench, "sls", name, "--ports", "3x2", "--pixel-format", name, ends=6, bits=min(bits, 16),
              dtype=dtype)


NUMBER_READABLE = ("no_shape", "unknown_type", "long_pixels")


@case(limit=120)
def the_ledger_agrees_in_every_protocol(bench):
    for protocol, compression in (
            ("bsread", "none"), ("bsread", "lz4"), ("bsread", "bslz4"), ("dectris-v1", "none"),
            ("dectris-v1", "lz4"), ("dectris-v1", "bslz4"), ("dectris-v2", "none"),
            ("dectris-v2", "lz4"), ("dectris-v2", "bslz4"), ("dectris-v2", "bszstd"),
            ("stins", "none"), ("odin-live", "none"), ("odin-live", "lz4"), ("odin-live", "bslz4")):
        name = f"{protocol}-{compression}"
        endpoint = f"ipc://{bench.folder}/{name}.socket"
        report = bench.folder / f"{name}.json"
        daemon = bench.daemon(endpoint, {
            "ingest.protocol": protocol, "reduce.type": "source", "series.frames": 400,
            "series.idle_end": "1s", "sinks": [bench.sink(folder=name)]})
        sender = bench.send(endpoint, "--protocol", protocol, "--compression", compression, "--size",
                            "64x48", "--frames", 400, "--pattern", "counter", "--lose", 0.03,
                            "--duplicate", 0.02, "--reorder", 0.03, "--corrupt", 0.1, "--truncate",
                            0.05, "--seed", 5, "--report", report)
        equal(sender.wait(20), 0, "status of the sender")
        daemon.wait(1)
        series = bench.series(bench.folder / name).require_closed()
        sent = json.loads(report.read_text())
        kinds = {k: set(v) for k, v in sent["corrupted_by_kind"].items()}
        bearing = set(sent["truncated"]).union(*(kinds[k] for k in NUMBER_READABLE))
        missing = {int(r["frame"]): r["reason"] for r in series.rows if r["state"] == "missing"}
        unknown = set(sent["lost"]).union(*(v for k, v in kinds.items() if k not in NUMBER_READABLE))
        # Compressed pixels cut short are found only when they are expanded, without a size beside.
        decoded = {int(r["frame"]) for r in series.rows if r["reason"] == "decode"}
        check(decoded <= set(sent["truncated"]), f"{name}: what could not be expanded")
        equal({n for n, why in missing.items() if why == "rejected"} | decoded, bearing,
              f"{name}: rejected")
        equal({n for n, why in missing.items() if why == "never"}, unknown, f"{name}: never seen")
        equal(sum(r["state"] == "written" for r in series.rows), sent["sent"], f"{name}: written")


@case(limit=90)
def recordings_replayed_through_the_daemon_are_complete(bench):
    """The recorded EIGER series 71 and 72, and a stream of STINS, as openbeam-send replays them."""
    for protocol, folder, frames in (("dectris-v1", "dectris_v1_eiger2_1M", [10, 10]),
                                     ("stins", "maxiv_stins", [5])):
        endpoint = f"ipc://{bench.folder}/{protocol}.socket"
        daemon = bench.daemon(endpoint, {
            "ingest.protocol": protocol, "series.first": None, "reduce.type": "source",
            "sinks": [bench.sink("raw", protocol)]}, series=len(frames))
        sender = bench.run("openbeam-send", "--to", endpoint, "--replay",
                           bench.shared("vectors", folder), "--rate", 0)
        equal(sender[0], 0, f"status of the sender: {sender[2]}")
        daemon.wait()
        found = bench.all_series(bench.folder / protocol)
        equal(len(found), len(frames), "series")
        for series, expected in zip(found, frames):
            series.require_complete(expected)


@case(limit=90)
def lost_ports_are_flagged_and_the_ledger_agrees_with_the_report(bench):
    endpoints = [f"ipc://{bench.folder}/p{i}" for i in range(4)]
    report = bench.folder / "ports.json"
    daemon = bench.daemon(endpoints, {
        "ingest.protocol": "sls", "ingest.socket": "sub", "series.frames": 300,
        "series.first": 0, "ingest.assembly_timeout": "200ms"})
    status, _, said = bench.run(
        "openbeam-send", "--protocol", "sls", *(x for e in endpoints for x in ("--to", e)), "--ports",
        "2x2", "--size", "64x48", "--frames", 300, "--rate", 1000, "--lose-port", 0.02, "--seed", 3,
        "--pattern", "counter", "--report", report, seconds=60)
    equal(status, 0, f"status of the sender: {said}")
    daemon.wait(1)
    lost = json.loads(report.read_text())["ports_lost"]
    check(lost, "ports were lost")
    series = bench.series().require_closed()
    equal(series.totals["written"], 300, "written")
    equal(series.totals["flagged"], len({frame for frame, _ in lost}), "flagged")
    flagged = {int(r["frame"]) for r in series.rows if r["flags"] not in ("", "0")}
    equal(flagged, {frame for frame, _ in lost}, "frames flagged in the ledger")
    for frame, port in lost[:5]:
        found = series.image(series.rows[frame])
        row, column = divmod(port, 2)
        part = found[row * 24:row * 24 + 24, column * 32:column * 32 + 32]
        check(numpy.isnan(part).all(), f"port {port} of frame {frame} has no pixels")
