# SPDX-License-Identifier: Apache-2.0
"""Frames sent on to viewers: another daemon, and pyzmq as viewers use it."""
import json
import time

import numpy
import zmq

from e2e_case import case, check, contains, equal, near, same_pixels, until
from e2e_daemon import free_port

SIZE = (48, 64)
UNAVAILABLE = 69


def streamed(bench, **more):
    """One entry of `sinks`; the directory is that of the ledger when it is the only one."""
    return bench.sink("stream", **{"endpoint": f"tcp://127.0.0.1:{free_port()}", **more})


class Viewer:
    """A SUB or PULL socket that connects."""

    def __init__(self, bench, sink, kind=zmq.SUB, **options):
        self.context = zmq.Context()
        self.socket = self.context.socket(kind)
        self.socket.linger = 0
        for name, value in options.items():
            setattr(self.socket, name, value)
        if kind == zmq.SUB:
            self.socket.subscribe(b"")
        self.socket.connect(sink["endpoint"])
        bench.cameras.append(self)

    def frames(self, quiet=1.0):
        """[(header, pixels)] until nothing more has come for so many seconds."""
        found = []
        while self.socket.poll(quiet * 1000):
            header, blob = self.socket.recv_multipart()
            header = json.loads(header)
            found.append((header, numpy.frombuffer(blob, header["type"]).reshape(header["shape"])))
        return found

    def close(self):
        self.socket.close()
        self.context.term()


def images(count, dtype="uint16", shape=SIZE):
    y, x = numpy.indices(shape)
    return [((n * 7919 + y * 131 + x * 31) % 4096).astype(dtype) for n in range(count)]


def started(bench, camera, settings, viewers=(), **options):
    """A daemon that has bound its streams, and viewers that have found it."""
    known = {"width": SIZE[1], "height": SIZE[0], "type": "uint16"}  # nobody pauses at the first frame
    daemon = bench.daemon(camera.endpoint, {"ingest.frame": known, **settings}, **options)
    until(lambda: " ready " in daemon.log, "the stream is bound")
    made = [make() for make in viewers]
    time.sleep(0.5)
    return daemon, made


def entry(series, index):
    return series.manifest["sinks"][index]


@case
def another_daemon_takes_the_frames_bit_for_bit(bench):
    for kind, reduced in (("pub", "uint8"), ("pub", "uint16"), ("push", "float32"), ("pub", "source")):
        sink = streamed(bench, socket=kind, queue=200)
        tiff, name = bench.sink(folder=f"a-{kind}-{reduced}"), f"b-{kind}-{reduced}"
        endpoint = f"ipc://{bench.folder}/{name}.socket"
        # With a known geometry nobody pauses at the first frame, where pub could not wait for it.
        known = {"ingest.frame": {"width": SIZE[1], "height": SIZE[0], "type": "uint16"}}
        # The first lives on when its series is over: what is queued at its end has little time.
        first = bench.daemon(endpoint, {**known, "series.frames": 200, "reduce.type": reduced,
                                        "reduce.window": [0, 4096], "sinks": [tiff, sink]}, series=None)
        known["ingest.frame"]["type"] = {"source": "uint16"}.get(reduced, reduced)
        second = bench.daemon(sink["endpoint"], {
            **known, "series.frames": 200, "ingest.socket": "sub" if kind == "pub" else "pull",
            "reduce.type": "source", "sinks": [bench.sink("raw", folder=name)]})
        until(lambda: " connected to " in second.log, "they have met")
        time.sleep(0.5)
        sender = bench.send(endpoint, "--frames", 200, "--size", "64x48", "--pattern", "counter",
                            "--rate", 100)
        second.wait()
        equal(sender.wait(10), 0, "status of the sender")
        first.stop()
        before = bench.series(bench.folder / f"a-{kind}-{reduced}").require_complete(200)
        after = bench.series(bench.folder / name).require_complete(200)
        equal({k: v for k, v in entry(before, 1).items() if k in ("sent", "skipped", "lost_to_viewers")},
              {"sent": 200, "skipped": 0, "lost_to_viewers": 0}, "the stream's figures")
        dtype = {"source": "uint16"}.get(reduced, reduced)
        raw = numpy.fromfile(bench.folder / name / "s-0001" / "s-0001_000000.raw", dtype).reshape(-1, *SIZE)
        equal([r["frame"] for r in after.written()], [r["frame"] for r in before.written()], "numbers")
        equal([r["crc32c"] for r in after.written()], [r["crc32c"] for r in before.written()], "checksums")
        for number, page in before.images().items():
            same_pixels(raw[number], page, f"{kind} {reduced} frame {number}")


@case
def a_viewer_that_never_reads_costs_no_frame(bench):
    shape, count = (512, 1024), 200
    sink, camera = streamed(bench, product="source"), bench.camera()
    daemon, (idle, viewer) = started(bench, camera, {
        "ingest.frame": {"width": shape[1], "height": shape[0], "type": "uint16"},
        "series.frames": count, "reduce.type": "source", "sinks": [bench.sink(), sink]},
        (lambda: Viewer(bench, sink, rcvhwm=1, rcvbuf=4096), lambda: Viewer(bench, sink, rcvhwm=1000)), series=None)
    seen = []
    for number, image in enumerate(images(count, shape=shape)):
        camera.send(number, image)
        if viewer.socket.poll(5000):
            seen.append(json.loads(viewer.socket.recv_multipart()[0])["frame"])
    bench.wait_for_end(1)
    taken = len(idle.frames())
    daemon.stop(0)
    series = bench.series().require_complete(count)
    stream = entry(series, 1)
    equal(seen, list(range(count)), "what the other viewer has seen")
    check(stream["lost_to_viewers"] > count / 2, f"lost_to_viewers is {stream['lost_to_viewers']}")
    equal(stream["lost_to_viewers"] + stream["sent"], count, "lost_to_viewers + sent")
    near(taken + stream["lost_to_viewers"], count, "what it took before it was full, and the rest", absolute=1)
    equal(series.manifest["reasons"], [], "reasons")
    contains(daemon.log, f"{stream['lost_to_viewers']} of {count} frames were lost to viewers")


@case
def push_with_no_peer_costs_no_frame(bench):
    settings = {"reduce.type": "source", "sinks": [bench.sink(), streamed(bench, socket="push")]}
    series = bench.measure(images(100), settings).require_complete(100)
    equal(entry(series, 1)["lost_to_viewers"], 100, "lost_to_viewers")


@case
def pub_with_no_viewer_loses_nothing(bench):
    settings = {"reduce.type": "source", "sinks": [bench.sink(), streamed(bench)]}
    series = bench.measure(images(100), settings).require_complete(100)
    equal([entry(series, 1)[k] for k in ("sent", "unwatched", "lost_to_viewers")], [0, 100, 0], "figures")
    check("lost to viewers" not in bench.daemons[0].log, "the log is silent of it")


@case
def a_stream_alone_has_a_ledger(bench):
    sink, camera = streamed(bench, every=5), bench.camera()
    daemon, (viewer,) = started(bench, camera, {"series.frames": 40, "sinks": [sink]},
                                (lambda: Viewer(bench, sink),))
    sent = images(40)
    camera.send_all(sent)
    found = viewer.frames()
    daemon.wait()
    series = bench.series().require_complete(40)
    equal([h["frame"] for h, _ in found], list(range(0, 40, 5)), "frames seen")
    for header, pixels in found:
        same_pixels(pixels, sent[header["frame"]].astype("float32"), f"frame {header['frame']}")
        equal((header["htype"], header["source"], header["series"]), ("array-1.0", "camera", "s-0001"),
              "names")
    equal((entry(series, 0)["sent"], entry(series, 0)["skipped"]), (8, 32), "sent and skipped")
    equal({r["file"] for r in series.rows}, {""}, "files of the ledger")


@case
def means_are_sent_on_once_and_damage_is_told(bench):
    sink, camera = streamed(bench), bench.camera()
    daemon, (viewer,) = started(bench, camera, {
        "series.frames": 12, "reduce.average": 4, "sinks": [bench.sink(), sink]},
        (lambda: Viewer(bench, sink),))
    sent = images(12)
    for number, image in enumerate(sent):
        camera.send(number, image, **({"is_good_frame": False} if number == 7 else {}),
                    image_attributes={"time_stamp": 1000 + number})
    found = viewer.frames()
    daemon.wait(1)
    equal([h["frame"] for h, _ in found], [3, 7, 11], "frames seen")
    equal(["is_good_frame" in h for h, _ in found], [False, True, False], "damage")
    equal([h["timestamp_ns"] for h, _ in found], [1003000, 1007000, 1011000], "times")
    for number, page in zip((3, 7, 11), bench.series().pages()):
        same_pixels(found[number // 4][1], page, f"mean {number}")


@case
def a_rate_holds_back_what_is_beyond_it(bench):
    sink, camera = streamed(bench, rate=20), bench.camera()
    daemon, (viewer,) = started(bench, camera, {"series.frames": 300, "sinks": [bench.sink(), sink]},
                                (lambda: Viewer(bench, sink),))
    began = time.monotonic()
    for number, image in enumerate(images(300)):
        camera.send(number, image)
        time.sleep(0.004)
    took = time.monotonic() - began
    found = viewer.frames()
    daemon.wait()
    check(5 <= len(found) <= 20 * (took + 2), f"{len(found)} frames in {took:.1f} s")
    stream = entry(bench.series().require_complete(300), 1)
    equal((stream["sent"], stream["skipped"]), (len(found), 300 - len(found)), "sent and skipped")


@case
def an_address_in_use_is_refused_by_name(bench):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    context = zmq.Context()
    taken = context.socket(zmq.PUB)
    taken.bind(endpoint)
    said = bench.refused({"sinks": [bench.sink(), streamed(bench, endpoint=endpoint)]}, UNAVAILABLE)
    contains(said, "sink 1 (stream)", endpoint, "sinks.1.endpoint")
    status, out, _ = bench.run("openbeamd", "--check", "-c", bench.daemons[0].configuration)
    equal(status, UNAVAILABLE, "status of --check")
    contains(out, endpoint)
    context.destroy(0)


@case
def keys_of_streams_are_refused_elsewhere(bench):
    said = bench.refused({"sinks": [bench.sink(every=2)]}, 78)
    contains(said, "sinks.0.every", "format stream", "tiff")
    said = bench.refused({"sinks": [bench.sink("stream")]}, 78)
    contains(said, "sinks.0.format", "endpoint")
