# SPDX-License-Identifier: Apache-2.0
"""The black box: raw frames from before something happened, and from after."""
import re
import time

import numpy
import tifffile

import e2e_reference as reference
from e2e_case import case, check, contains, equal, until
from e2e_daemon import Series
from e2e_detectors import sls
from e2e_http import Monitor

SHAPE = (40, 56)
LISTENS = {"monitor.http": "127.0.0.1:0", "sentinels.rate": 0}


def picture(number, dtype="uint16"):
    return reference.noise_image(SHAPE, number, 100, 250 if dtype == "uint8" else 4000, dtype)


def box(bench, **more):
    directory = bench.folder / "box"
    directory.mkdir(exist_ok=True)
    return {"blackbox": {"before": "1s", "after": "500ms", "memory": "64MiB", "directory": str(directory), **more}}


def stream(camera, first, count, rate, dtype="uint16", skip=()):
    for number in range(first, first + count):
        if number not in skip:
            camera.send(number, picture(number, dtype))
        time.sleep(1 / rate)


def events(bench):
    """The series of those that are over."""
    manifests = sorted((bench.folder / "box").glob("*/manifest.json"))
    return [Series(m.parent) for m in manifests if '"running"' not in m.read_text()]


def raw_images(series, dtype="uint16"):
    """{number: pixels} of a raw series."""
    found, files = {}, {}
    for row in series.written():
        data = files.setdefault(row["file"], (series.folder / row["file"]).read_bytes())
        size = SHAPE[0] * SHAPE[1] * numpy.dtype(dtype).itemsize
        at = int(row["index"]) * size
        found[int(row["frame"])] = numpy.frombuffer(data[at:at + size], dtype).reshape(SHAPE)
    return found


@case(quick=True)
def a_command_keeps_what_was_before_and_after_it(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**LISTENS, **box(bench)}, series=None)
    monitor = Monitor(daemon)
    stream(camera, 0, 80, 50)
    before = until(lambda: (b := monitor.status()["blackbox"])["frames"] and b, "frames are held")
    check(before["frames"] < 80, "the oldest are let go of")
    status, answer = monitor.command({"command": "keep"})
    equal((status, answer["ok"]), (200, True), "keep")
    stream(camera, 80, 60, 50)
    event = until(lambda: events(bench), "the event is written")[0].require_closed()
    images = raw_images(event)
    equal(event.manifest["kind"], "blackbox", "kind")
    equal(sorted(images), list(range(min(images), max(images) + 1)), "numbers without a gap")
    check(min(images) > 0 and min(images) < 79 < 80 < max(images) < 139, f"before and after: {min(images)} to {max(images)}")
    for number, pixels in images.items():
        check((pixels == picture(number)).all(), f"pixels of {number}")
    contains(event.manifest["why"], "command")
    daemon.stop(0)
    for command, says in (("audit", "sound"), ("replay", "alike")):
        status, said, _ = bench.run("openbeam", command, event.folder)
        equal((status, said.split(":")[0]), (0, says), command)


@case
def an_alarm_and_a_loss_are_kept(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **LISTENS, **box(bench), "ingest.saturation": 4000, "series.reorder": 2, "series.frames": 300,
        "sentinels.saturated": 0.01, "sentinels.saturated_for": "0s", "sentinels.clear": "100ms"},
        series=None)
    for number in range(300):
        pixels = picture(number)
        if number == 60:
            pixels[:10] = 4095
        if number != 200:
            camera.send(number, pixels)
        time.sleep(0.01)
    daemon_events = until(lambda: len(e := events(bench)) == 2 and e, "two events are written")
    alarm, loss = daemon_events
    check(60 in alarm.states(), "the frame of the alarm")
    contains(alarm.manifest["why"], "saturated")
    equal(loss.states()[200], ("missing", "never"), "the lost frame in the ledger of the event")
    check({150, 199, 201, 210} <= set(loss.states()), "frames around the loss")
    daemon.stop(None)


@case
def what_the_memory_cannot_hold_is_told_in_the_ledger(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**LISTENS, **box(bench, memory="1MiB", before="10s")}, series=None)
    monitor = Monitor(daemon)
    stream(camera, 0, 1000, 500)
    until(lambda: monitor.status()["frames"]["received"] == 1000, "all frames are received")
    held = monitor.status()["blackbox"]
    check(held["bytes"] <= 1 << 20 and 200 < held["frames"] < 240, f"held: {held}")
    daemon.stop(0)


@case
def a_daemon_without_one_says_so(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, LISTENS, series=None)
    status, answer = Monitor(daemon).command({"command": "keep"})
    equal((status, answer["ok"]), (501, False), "keep")
    contains(answer["error"], "blackbox.before")
    daemon.stop(0)


@case
def a_command_that_cannot_be_obeyed_is_refused_and_an_empty_box_told(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**LISTENS, **box(bench, on=["alarm"])}, series=None)
    status, answer = Monitor(daemon).command({"command": "keep"})
    equal((status, answer["ok"]), (501, False), "keep")
    contains(answer["error"], "blackbox.on")
    daemon.stop(0)
    daemon = bench.daemon(camera.endpoint, {**LISTENS, **box(bench, after="100ms")}, series=None)
    monitor = Monitor(daemon)
    equal(monitor.command({"command": "keep"})[0], 200, "keep")
    until(lambda: "nothing was kept: no frame came" in daemon.log, "an event without frames is told")
    camera.send(0, picture(0))
    until(lambda: monitor.status()["blackbox"]["frames"], "a frame is held")
    equal(monitor.command({"command": "keep"})[0], 200, "keep")
    event = until(lambda: events(bench), "the event is written")[0]
    until(lambda: monitor.status()["blackbox"]["path"], "it has a path")
    status, said, _ = bench.run("openbeam", "status", "--url", monitor.url)
    equal(status, 0, "status")
    contains(said, "black box    ready", f"last: {event.folder}: asked for by command")
    daemon.stop(0)


@case
def an_event_that_is_open_is_written_before_the_end(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**LISTENS, **box(bench, before="60s", after="60s")}, series=None)
    monitor = Monitor(daemon)
    camera.send_all(picture(number) for number in range(20))
    until(lambda: monitor.status()["blackbox"]["frames"] == 20, "frames are held")
    equal(monitor.command({"command": "keep"})[0], 200, "keep")
    until(lambda: monitor.status()["blackbox"]["writing"], "the event is open")
    camera.send_all((picture(number) for number in range(20, 40)), 20)
    until(lambda: monitor.status()["frames"]["received"] == 40, "frames after")
    daemon.stop(0)
    event, = events(bench)
    images = raw_images(event.require_complete(40))
    check(all((images[n] == picture(n)).all() for n in range(40)), "pixels")


@case
def frames_of_several_ports_are_kept_whole(bench):
    cameras = [bench.camera() for _ in range(2)]
    daemon = bench.daemon([c.endpoint for c in cameras], {
        **LISTENS, **box(bench, before="60s"), "ingest.protocol": "sls", "calibration.directory": str(bench.output)}, series=None)
    monitor = Monitor(daemon)
    equal(monitor.command({"command": "dark", "frames": 12})[0], 200, "dark")
    for number in range(12):
        for column, camera in enumerate(cameras):
            part = numpy.ascontiguousarray(picture(number)[:, 28 * column:28 * column + 28])
            camera.send_parts(sls(number, 0, column, (2, 1), part), part.tobytes())
    until(lambda: monitor.status()["calibration"]["done"], "the dark is made")
    equal(monitor.command({"command": "keep"})[0], 200, "keep")
    until(lambda: monitor.status()["blackbox"]["writing"], "the event is open")
    daemon.stop(0)
    event, = events(bench)
    images = raw_images(event.require_complete(12))
    check(all((images[n] == picture(n)).all() for n in range(12)), "pixels")
    equal(tifffile.imread(bench.output / "dark-0001.tif").shape, SHAPE, "size of the dark")


@case
def memory_that_it_lets_go_of_is_not_held_against_the_peers(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **LISTENS, **box(bench, memory="2GiB", on=["command"]), "ingest.buffer": "64MiB",
        "sinks": [{"format": "null", "directory": str(bench.output)}]}, series=None)
    monitor = Monitor(daemon)
    pixels = numpy.zeros((1000, 1000), "uint16")
    camera.send_all([pixels] * 350)
    until(lambda: monitor.status()["frames"]["received"] == 350, "all frames at once")
    for number in range(350, 370):
        camera.send(number, pixels)
        time.sleep(0.1)
    check(monitor.status()["blackbox"]["frames"] < 20, "the others are let go of")
    daemon.stop(0)
    check("ceiling:" not in daemon.log, "no socket is closed")


@case
def what_could_not_be_written_is_told_once_and_not_counted_as_kept(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **LISTENS, **box(bench, before="10s", after="100ms"), "sinks": [bench.sink("null")],
        "ingest.frame.width": SHAPE[1], "ingest.frame.height": SHAPE[0], "ingest.frame.type": "uint16"},
        series=None, wrapper=("prlimit", "--fsize=122880"))
    monitor = Monitor(daemon)
    camera.send_all([picture(number) for number in range(60)])
    until(lambda: monitor.status()["blackbox"]["frames"] == 60, "frames are held")
    equal(monitor.command({"command": "keep"})[0], 200, "keep")
    event = until(lambda: events(bench), "the event is over")[0].require_closed()
    written = event.totals["written"]
    check(written < 60, f"not all fit: {written}")
    until(lambda: f"warning blackbox: kept frames={written} path={event.folder}" in daemon.log, "it is told")
    errors = [line for line in daemon.log.splitlines() if line.startswith("error blackbox")]
    equal(len(errors), len(set(errors)), f"lines that are the same: {errors}")
    check(errors, "why is told")
    daemon.stop(0)
