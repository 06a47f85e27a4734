# SPDX-License-Identifier: Apache-2.0
"""What may arrive: the dialects of array-1.0, and everything that is no usable frame."""
import json
import socket
import struct

import numpy
import zmq

import e2e_reference as reference
from e2e_case import case, check, equal, same_pixels, until
from e2e_daemon import array_header, free_port

SHAPE = (12, 20)
SOURCE = {"reduce.type": "source"}


def image(seed=0, shape=SHAPE, dtype="uint16"):
    return reference.noise_image(shape, seed, 0, 4096, dtype)


def blob(pixels):
    return pixels.tobytes()


def text(pixels, number, **more):
    return json.dumps(array_header(pixels, number, **more)).encode()


@case
def headers_of_every_sender_are_understood(bench):
    gigafrost = {"htype": ["array-1.0"], "endianess": "little", "source": "gigafrost", "tags": ["0"],
                 "image_attributes": {"scan_index": 0, "image_number": 7766800, "time_stamp": 1,
                                      "image_is_complete": True, "nested": {"deep": [1, {"er": 2}]}}}
    streamvis = {"is_good_frame": 1, "daq_rec": 0, "pulse_id": 2**40, "detector_name": "JF",
                 "pedestal_file": "", "gain_file": ""}
    dialects = [
        {}, gigafrost, streamvis, {"is_good_frame": True}, {"tags": []}, {"encoding": ""},
        {"endianness": "little"}, {"source": "", "unknown": None or {"a": []}},
        {"frame_rate": 1.5e3, "i_image": 18446744073709551615},
    ]
    camera = bench.camera()
    images = [image(n) for n in range(len(dialects) + 2)]
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.frames": len(images)})
    for number, dialect in enumerate(dialects):
        camera.send(number, images[number], **dialect)
    number = len(dialects)
    shape = json.dumps(list(SHAPE))
    camera.send_parts(f'\n{{ "frame" :{number} , "type":"uint16",\t"shape":{shape},'
                      '"htype":"array-1.0"}\n'.encode(), blob(images[number]))
    camera.send_parts(f'{{"htype":"array-1.1","shape":{shape},"type":"uint16",'
                      f'"frame":{number + 1}}}'.encode(), blob(images[number + 1]))
    daemon.wait()
    series = bench.series().require_complete(len(images))
    for number, found in series.images().items():
        same_pixels(found, images[number], f"frame {number}")


@case
def endianness_is_understood_as_senders_spell_it(bench):
    for field in ("endianness", "endianess"):
        for value, order in (("big", ">u2"), ("little", "<u2")):
            folder = f"{field}-{value}"
            camera = bench.camera()
            daemon = bench.daemon(camera.endpoint, {
                **SOURCE, "series.frames": 3, "sinks": [bench.sink(folder=folder)]})
            for number in range(3):
                camera.send(number, image(number).astype(order),
                            **{"endianness": None, field: value})
            daemon.wait()
            series = bench.series(bench.folder / folder).require_complete(3)
            same_pixels(series.images()[2], image(2), folder)


@case
def recorded_gigafrost_headers_are_understood(bench):
    folder = bench.shared("vectors", "array10_gigafrost")
    headers = [p.read_bytes() for p in sorted(folder.glob("*_000.raw"))]
    pixels = [image(n, (1200, 2016)) for n in range(len(headers))]
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **SOURCE, "ingest.buffer": "300MiB", "series.first": 7766800, "series.step": 50,
        "series.frames": len(headers)})
    for header, one in zip(headers, pixels):
        camera.send_parts(header, blob(one))
    daemon.wait()
    series = bench.series().require_complete(len(headers))
    equal([int(r["frame"]) for r in series.rows], list(range(7766800, 7767251, 50)), "numbers")
    same_pixels(series.images()[7767250], pixels[-1], "the last frame")


@case
def a_frame_its_sender_calls_damaged_is_written_and_flagged(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"series.frames": 4})
    camera.send(0, image(0), is_good_frame=1)
    camera.send(1, image(1), is_good_frame=0)
    camera.send(2, image(2), is_good_frame=False)
    camera.send(3, image(3), image_attributes={"image_is_complete": False})
    daemon.wait(1)
    series = bench.series().require_closed()
    equal((series.state, series.totals["written"], series.totals["flagged"]), ("incomplete", 4, 3),
          "state, written, flagged")
    equal([bool(r["flags"]) and r["flags"] != "0" for r in series.rows], [False, True, True, True],
          "flags in the ledger")


@case
def dummy_frames_are_counted_apart(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.frames": 3})
    dummy = numpy.zeros((2, 2), "uint16")
    camera.send(99, dummy)
    camera.send(0, image(0))
    camera.send(100, dummy)
    camera.send(101, dummy)
    camera.send(1, image(1))
    camera.send(102, dummy)
    camera.send(2, image(2))
    daemon.wait()
    series = bench.series().require_complete(3)
    equal(series.lost("rejected"), {}, "rejected")
    equal(series.totals["received"], 3, "received")
    equal(series.totals["dummies"], 4, "dummies")


def wrong_messages(number):
    """(name, reason, parts): every message that is no usable frame, bearing `number` if any."""
    good = image(number)
    pixels = blob(good)

    def shaped(shape, payload=pixels, **more):
        return [text(good, number, shape=shape, **more), payload]

    yield "no JSON", "header", [b"hello", pixels]
    yield "empty header", "header", [b"", pixels]
    yield "truncated JSON", "header", [text(good, number)[:-7], pixels]
    yield "JSON with a tail", "header", [text(good, number) + b"{}", pixels]
    yield "deep nesting", "header", [b'{"a":' * 20000 + b"1" + b"}" * 20000, pixels]
    yield "deep lists", "header", [b"[" * 100000 + b"]" * 100000, pixels]
    yield "a list", "header", [b"[1,2]", pixels]
    yield "no UTF-8", "header", [b'{"htype":"array-1.0","source":"\xff\xfe"}', pixels]
    yield "another htype", "header", [text(good, number, htype="dimage-1.0"), pixels]
    yield "no htype and no shape", "header", [text(good, number, htype=None, shape=None), pixels]
    yield "no frame", "header", [text(good, number, frame=None), pixels]
    yield "frame as text", "header", [text(good, number, frame="7"), pixels]
    yield "a negative frame", "header", [text(good, -1), pixels]
    yield "a frame beyond 64 bits", "header", [
        text(good, 1234567).replace(b"1234567", b"99999999999999999999"), pixels]
    yield "shape as text", "header|shape", shaped("12x20")
    yield "a zero shape", "shape", shaped([0, 20], b"")
    yield "a negative shape", "shape", shaped([-12, 20])
    yield "both negative", "shape", shaped([-12, -20])
    yield "an overflowing shape", "shape|length", shaped([2**31, 2**33])
    yield "a shape beyond 64 bits", "shape|header", [
        text(good, number, shape=[1234567, 20]).replace(b"1234567", b"99999999999999999999"), pixels]
    yield "one dimension", "shape", shaped([240])
    yield "three dimensions", "shape", shaped([2, 6, 20])
    yield "no dimension", "shape", shaped([])
    yield "a fractional shape", "shape|header", shaped([12.5, 20])
    yield "3 GiB announced", "length|shape", shaped([32768, 49152])
    yield "a short blob", "length", [text(good, number), pixels[:-1]]
    yield "an empty blob", "length", [text(good, number), b""]
    yield "a long blob", "length", [text(good, number), pixels + b"\0"]
    yield "an unknown type", "type", shaped(list(SHAPE), type="uint17")
    yield "a type not taken", "type", shaped(list(SHAPE), type="int64")
    yield "type as number", "type|header", shaped(list(SHAPE), type=16)
    yield "an unknown encoding", "encoding", shaped(list(SHAPE), encoding="lz4")
    yield "an unknown endianness", "encoding", shaped(list(SHAPE), endianness="middle")
    yield "one part", "parts", [text(good, number)]
    yield "three parts", "parts", [text(good, number), pixels, pixels]
    yield "a thousand parts", "parts", [text(good, number)] + [b"x"] * 999
    yield "a frame of another size", "shape", [text(image(0, (6, 40)), number), pixels]
    yield "a frame of another type", "shape", [text(image(0, SHAPE, "uint8"), number),
                                               blob(image(0, SHAPE, "uint8"))]


@case(quick=True, limit=90)
def wrong_messages_are_rejected_by_name_and_the_next_frame_is_good(bench):
    wrong = list(wrong_messages(1))
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.frames": 2})
    camera.send(0, image(0))
    for _, _, parts in wrong:
        camera.send_parts(*parts)
    camera.send(1, image(1))
    daemon.wait()
    series = bench.series().require_complete(2)
    same_pixels(series.images()[1], image(1), "the frame after the wrong messages")
    rejected = series.lost("rejected")
    equal(sum(rejected.values()), len(wrong), f"rejected, of {len(wrong)} sent; by reason {rejected}")
    for reason in ("header", "parts", "shape", "type", "length", "encoding"):
        certain = sum(r == reason for _, r, _ in wrong)
        possible = sum(reason in r.split("|") for _, r, _ in wrong)
        check(certain <= rejected.get(reason, 0) <= possible,
              f"{reason}: {rejected.get(reason, 0)} counted, {certain} to {possible} sent")


@case(limit=120)
def each_wrong_message_is_counted_under_its_own_reason(bench):
    """The same, one daemon each for those a stranger would try first."""
    tried = ("no JSON", "truncated JSON", "deep nesting", "a short blob", "a long blob",
             "a zero shape", "a negative shape", "an overflowing shape", "an unknown type", "one part",
             "a thousand parts", "3 GiB announced", "a frame of another size")
    for name, reasons, parts in wrong_messages(1):
        if name not in tried:
            continue
        camera = bench.camera()
        output = name.replace(" ", "-")
        daemon = bench.daemon(camera.endpoint, {
            **SOURCE, "series.frames": 2, "sinks": [bench.sink(folder=output)]})
        camera.send(0, image(0))
        camera.send_parts(*parts)
        camera.send(1, image(1))
        daemon.wait()
        rejected = bench.series(bench.folder / output).require_complete(2).lost("rejected")
        check(list(rejected.values()) == [1] and set(rejected) <= set(reasons.split("|")),
              f"{name}: rejected {rejected}, expected one of {reasons}")


@case
def a_number_that_only_unusable_messages_bore_is_missing_as_rejected(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"series.frames": 5, "series.idle_end": "500ms"})
    camera.send(0, image(0))
    camera.send_parts(text(image(1), 1), blob(image(1))[:-3])
    camera.send(2, image(2))
    camera.send(4, image(4))
    daemon.wait(1)
    series = bench.series().require_closed()
    equal(series.states(), {0: ("written", ""), 1: ("missing", "rejected"), 2: ("written", ""),
                            3: ("missing", "never"), 4: ("written", "")}, "states")
    equal(series.lost("rejected"), {"length": 1}, "rejected")


@case
def wrong_messages_before_the_first_frame_do_no_harm(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.frames": 2})
    for name, _, parts in wrong_messages(0):
        if "another" not in name or "htype" in name:
            camera.send_parts(*parts)
    camera.send_all([image(0), image(1)])
    daemon.wait()
    same_pixels(bench.series().require_complete(2).images()[0], image(0), "the first frame")


def raw_connection(port):
    def connect():
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except ConnectionRefusedError:
            return None
    return until(connect, f"something listens on port {port}")


def zmtp_handshake(connection, kind=b"PUSH"):
    """Greet as a ZMTP 3.0 peer with the NULL mechanism and be greeted."""
    connection.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
    ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    connection.sendall(bytes((4, len(ready))) + ready)
    greeting = b""
    while len(greeting) < 64 + 2:
        greeting += connection.recv(4096)


def is_closed(connection):
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        pass
    except socket.timeout:
        return False
    return True


@case
def strangers_on_the_port_do_no_harm(bench):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    port = int(endpoint.rsplit(":", 1)[1])
    daemon = bench.daemon(endpoint, {**SOURCE, "ingest.attach": "bind", "series.frames": 2})
    noise = numpy.random.default_rng(1).integers(0, 256, 100000, "uint8").tobytes()
    for hello in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", noise, b"", b"\xff" * 64, bytes(200)):
        with raw_connection(port) as stranger:
            try:
                stranger.sendall(hello)
            except ConnectionError:
                pass
    camera = bench.camera(zmq.PUSH, endpoint, "connect")
    camera.send(0, image(0))
    with raw_connection(port) as stranger:
        stranger.sendall(noise[:1000])
        camera.send(1, image(1))
        daemon.wait()
    series = bench.series().require_complete(2)
    equal(series.lost("rejected"), {}, "rejected")


@case
def a_message_above_the_frame_limit_ends_its_connection_only(bench):
    port = free_port()
    daemon = bench.daemon(f"tcp://127.0.0.1:{port}", {
        **SOURCE, "ingest.attach": "bind", "ingest.frame_limit": "1MiB", "series.frames": 2})
    camera = bench.camera(zmq.PUSH, f"tcp://127.0.0.1:{port}", "connect")
    camera.send(0, image(0))
    bench.wait_for_series(1)
    before = daemon.memory_bytes()
    with raw_connection(port) as peer:
        zmtp_handshake(peer)
        peer.sendall(b"\x02" + struct.pack(">Q", 3 << 30) + bytes(70000))
        peer.settimeout(10)
        check(is_closed(peer), "the peer that announced 3 GiB is disconnected")
    check(daemon.memory_bytes() < before + (64 << 20), "the announced memory was not taken")
    camera.send(1, image(1))
    daemon.wait()
    bench.series().require_complete(2)


@case
def a_message_that_stops_half_way_is_no_frame(bench):
    port = free_port()
    daemon = bench.daemon(f"tcp://127.0.0.1:{port}", {
        **SOURCE, "ingest.attach": "bind", "series.frames": 2})
    camera = bench.camera(zmq.PUSH, f"tcp://127.0.0.1:{port}", "connect")
    camera.send(0, image(0))
    with raw_connection(port) as peer:
        zmtp_handshake(peer)
        header = text(image(1), 1)
        peer.sendall(b"\x03" + struct.pack(">Q", len(header)) + header)
        peer.sendall(b"\x02" + struct.pack(">Q", image(1).nbytes) + bytes(100))
    camera.send(1, image(1))
    daemon.wait()
    series = bench.series().require_complete(2)
    same_pixels(series.images()[1], image(1), "frame 1, from the peer that finished")
    equal(series.totals["duplicate"], 0, "duplicates")


@case
def a_thousand_tiny_frames_go_through(bench):
    images = [image(n, (3, 5)) for n in range(1000)]
    series = bench.measure(images, SOURCE).require_complete(1000)
    found = series.images()
    for number in range(1000):
        same_pixels(found[number], images[number], f"frame {number}")


@case
def one_pixel_is_a_frame(bench):
    images = [numpy.full((1, 1), n, "uint16") for n in range(5)]
    series = bench.measure(images, SOURCE).require_complete(5)
    equal([int(i[0, 0]) for _, i in sorted(series.images().items())], [0, 1, 2, 3, 4], "pixels")


@case
def narrow_and_wide_frames_go_through(bench):
    for shape in ((1, 4097), (4097, 1), (3, 1), (2, 3), (5, 1025)):
        images = [image(n, shape) for n in range(3)]
        folder = f"{shape[0]}x{shape[1]}"
        bench.measure_into(folder, images, SOURCE)
        series = bench.series(bench.folder / folder).require_complete(3)
        same_pixels(numpy.atleast_2d(series.images()[2]).reshape(shape), images[2], folder)
