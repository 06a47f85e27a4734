# SPDX-License-Identifier: Apache-2.0
"""Peers that end, come back, stall, or are two: no hang, and the next series is clean."""
import os
import re
import signal
import subprocess
import time

import e2e_reference as reference
from e2e_case import case, check, contains, equal, until
from e2e_detectors import RAW, image, v1_end, v1_header, v1_image

SHAPE = (12, 20)
V1 = {"ingest.protocol": "dectris-v1", **RAW, "series.end_grace": "200ms"}


def v1_series(camera, series, frames, first=0, end=True, header=True):
    if header:
        camera.send_parts(*v1_header(series, frames, SHAPE))
    for n in range(first, frames):
        camera.send_parts(*v1_image(series, n, image(n)))
    if end:
        camera.send_parts(*v1_end(series))


def shm_send(bench, endpoint, *arguments):
    log = open(bench.folder / "sender.log", "wb")
    return subprocess.Popen(
        [bench.programs / "openbeam-send", "--protocol", "shm", "--to", endpoint, "--size", "64x48",
         "--pattern", "counter", *map(str, arguments)], cwd=bench.folder,
        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)


@case
def a_detector_that_dies_in_mid_series_and_comes_back_begins_a_clean_one(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, V1, series=2)
    camera.send_parts(*v1_header(1, 50, SHAPE))
    for n in range(20):
        camera.send_parts(*v1_image(1, n, image(n)))
    bench.wait_for_series(1)
    endpoint = camera.endpoint
    camera.close()
    bench.cameras.remove(camera)
    again = bench.camera(endpoint=endpoint)
    v1_series(again, 1, 30)  # it counts series from 1 again
    daemon.wait(1)
    old, new = bench.all_series()
    equal((old.totals["expected"], old.totals["written"]), (50, 20), "expected, written before")
    new.require_complete(30)


@case
def a_daemon_that_was_killed_takes_the_rest_and_the_next_series(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, V1, series=None)
    camera.send_parts(*v1_header(1, 40, SHAPE))
    for n in range(10):
        camera.send_parts(*v1_image(1, n, image(n)))
    bench.wait_for_series(1)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(None)
    second = bench.daemon(camera.endpoint, {**V1, "sinks": [bench.sink(folder="second")]}, series=2)
    until(lambda: "connected" in second.log, "the second one is connected")
    v1_series(camera, 1, 40, first=20, header=False)
    v1_series(camera, 2, 10)
    second.wait(1)
    rest, clean = bench.all_series(bench.folder / "second")
    written = sorted(int(r["frame"]) for r in rest.written())
    check(written[-1] == 39 and len(written) >= 20, f"the rest was written: {written}")
    equal(rest.totals["missing"]["never"], 40 - len(written), "missing: what the first one took")
    clean.require_complete(10)


@case
def two_detectors_on_one_endpoint_are_two_series_or_strays_but_never_mixed(bench):
    """Both connect to a daemon that listens: their frames come in turns."""
    endpoint = f"ipc://{bench.folder}/ours"
    daemon = bench.daemon(endpoint, {**V1, "ingest.attach": "bind", "series.end_timeout": "1s"},
                          series=None)
    until(lambda: "listening" in daemon.log, "it listens")
    one, two = (bench.camera(endpoint=endpoint, attach="connect") for _ in range(2))
    one.send_parts(*v1_header(1, 30, SHAPE))
    one.send_parts(*v1_image(1, 0, image(0)))
    bench.wait_for_series(1)
    two.send_parts(*v1_header(2, 20, SHAPE))
    two.send_parts(*v1_image(2, 0, image(100)))
    bench.wait_for_series(2)
    for n in range(1, 20):
        one.send_parts(*v1_image(1, n, image(n)))
        two.send_parts(*v1_image(2, n, image(100 + n)))
    two.send_parts(*v1_end(2))
    bench.wait_for_end(2)
    v1_series(one, 3, 5)
    bench.wait_for_end(3)
    daemon.stop(1)
    first, second, third = bench.all_series()
    equal(first.totals["written"], 1, "written of the one that was cut off")
    second.require_complete(20)
    for number, found in second.images().items():
        check((found == image(100 + number)).all(), f"frame {number} is the second detector's")
    third.require_complete(5)


@case(limit=90)
def a_sender_that_stalls_for_long_is_waited_for(bench):
    """The end of a series with messages is not a matter of silence, up to series.end_timeout."""
    seconds = 30 if bench.long else 4
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**V1, "series.idle_end": "1s"}, series=2)
    camera.send_parts(*v1_header(1, 10, SHAPE))
    for n in range(5):
        camera.send_parts(*v1_image(1, n, image(n)))
    time.sleep(seconds)
    daemon.require_running()
    v1_series(camera, 1, 10, first=5, header=False)
    v1_series(camera, 2, 3)
    daemon.wait(0, 30)
    for series, frames in zip(bench.all_series(), (10, 3)):
        series.require_complete(frames)


@case
def a_stall_beyond_the_end_timeout_closes_the_series_and_the_next_is_clean(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**V1, "series.end_timeout": "500ms"}, series=2)
    camera.send_parts(*v1_header(1, 10, SHAPE))
    for n in range(5):
        camera.send_parts(*v1_image(1, n, image(n)))
    bench.wait_for_end(1)
    v1_series(camera, 2, 3)
    daemon.wait(1)
    old, new = bench.all_series()
    equal(old.lost("missing"), {"never": 5}, "missing")
    new.require_complete(3)


@case
def shared_memory_passes_every_frame_and_gives_every_slot_back(bench):
    endpoint = f"ipc://{bench.folder}/ring"
    daemon = bench.daemon(endpoint, {"ingest.protocol": "shm", **RAW})
    sender = shm_send(bench, endpoint, "--frames", 2000, "--rate", 0, "--slots", 8)
    daemon.wait()
    equal(sender.wait(10), 0, "status of the sender")
    series = bench.series().require_complete(2000)
    for number in (0, 7, 8, 1999):
        found = series.image(series.rows[number])
        y, x = reference.numpy.mgrid[0:48, 0:64]
        expected = (number * 7919 + y * 131 + x * 31) % 4096
        check((found == expected).all(), f"frame {number}")
    text = (bench.folder / "sender.log").read_text()
    contains(text, "of CPU a frame", "0 slots reclaimed")


@case(limit=90)
def a_dead_consumer_of_shared_memory_holds_the_producer_for_a_bounded_time(bench):
    endpoint = f"ipc://{bench.folder}/ring"
    settings = {"ingest.protocol": "shm", **RAW, "series.idle_end": "1s"}
    daemon = bench.daemon(endpoint, settings, series=None)
    sender = shm_send(bench, endpoint, "--frames", 3000, "--rate", 500, "--slots", 8,
                      "--shm-wait", 500)
    bench.wait_for_series(1)
    time.sleep(1)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(None)
    second = bench.daemon(endpoint, {**settings, "sinks": [bench.sink(folder="second")]})
    second.wait(None, 40)
    equal(sender.wait(20), 0, "status of the sender")
    series = bench.series(bench.folder / "second").require_closed()
    check(series.totals["written"] > 500, f"written {series.totals['written']}")
    equal(series.lost("dropped"), {}, "dropped by the second one")


@case(limit=90)
def a_dead_producer_of_shared_memory_ends_the_series_and_the_next_is_clean(bench):
    endpoint = f"ipc://{bench.folder}/ring"
    daemon = bench.daemon(endpoint, {"ingest.protocol": "shm", **RAW, "series.end_timeout": "1s",
                                     "series.idle_end": "1s"}, series=2)
    sender = shm_send(bench, endpoint, "--frames", 100000, "--rate", 500, "--slots", 8)
    bench.wait_for_series(1)
    time.sleep(0.5)
    sender.kill()
    sender.wait()
    bench.wait_for_end(1)
    os.unlink(endpoint[6:])
    sender = shm_send(bench, endpoint, "--frames", 100, "--slots", 8)
    daemon.wait(None)
    equal(sender.wait(10), 0, "status of the sender")
    bench.all_series()[1].require_complete(100)


@case
def garbage_announcements_are_rejected_by_name(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"ingest.protocol": "shm", **RAW}, series=None)
    good = b"OBSA" + (1).to_bytes(4, "little") + (77).to_bytes(8, "little") + bytes(56)
    for message in (b"", b"OBSA", bytes(248), b"OBSA" + bytes(244), good + bytes(248 - len(good)),
                    good + b"/etc/passwd".ljust(248 - len(good), b"\0"),
                    good + b"/proc/1/fd/1".ljust(248 - len(good), b"\0"),
                    good + b"/x" * ((248 - len(good)) // 2), b"x" * 248):
        camera.send_parts(message)
    until(lambda: len(re.findall("message rejected", daemon.log)) > 0, "they are rejected")
    time.sleep(1.2)
    daemon.stop(None)
    total = sum(int(n) for n in re.findall(r"reason=header count=(\d+)", daemon.log))
    equal(total, 9, "rejected outside a series")


@case
def the_example_of_a_producer_works(bench):
    endpoint = f"ipc://{bench.folder}/example"
    daemon = bench.daemon(endpoint, {"ingest.protocol": "shm", **RAW})
    status, _, said = bench.run("shm-example", endpoint, 100)
    equal(status, 0, f"status of the example: {said}")
    daemon.wait()
    series = bench.series().require_complete(100)
    expected = (reference.numpy.arange(640 * 480) + 77).astype("uint16").reshape(480, 640)
    check((series.image(series.rows[77]) == expected).all(), "the pixels of frame 77")
