# SPDX-License-Identifier: Apache-2.0
"""Dark and flat from the stream: what they are made of, when they are used, what is refused."""
import json
import pathlib
import signal
import time

import h5py
import numpy
import tifffile

import e2e_reference as reference
from e2e_case import case, check, contains, equal, same_pixels, until
from e2e_detectors import v1_end, v1_header, v1_image
from e2e_http import Monitor

F32 = numpy.float32
SHAPE = (48, 64)


def frames_of(level, count, seed, spread=20, shape=SHAPE, dtype="uint16"):
    """Frames around a level that differs from pixel to pixel."""
    rng = numpy.random.default_rng(seed)
    base = level + rng.integers(0, max(level // 5, 2), shape)
    return [(base + rng.integers(0, spread, shape)).astype(dtype) for _ in range(count)]


def settings(bench, sequence, **more):
    return {"calibration.sequence": sequence, "reduce.normalise": "transmission",
            "calibration.directory": str(bench.output), "series.name": "scan", **more}


def numbered(*groups):
    """Groups of frames that follow each other, numbered from 0 in each."""
    for group in groups:
        yield from enumerate(group)


def sidecar(path):
    return json.loads(pathlib.Path(path).with_suffix(".json").read_text())


def image(bench, name):
    return tifffile.imread(bench.output / name)


def kept(frames):
    """Without those whose mean is beyond 5 median absolute deviations."""
    means = numpy.array([f.mean(dtype=float) for f in frames])
    away = abs(means - numpy.median(means))
    return [f for f, far in zip(frames, away > 5 * numpy.median(away)) if not far]


def exact_mean(frames):
    frames = kept(frames)
    return (numpy.sum([f.astype(numpy.uint64) for f in frames], axis=0) / len(frames)).astype(F32)


def exact_variance(frames):
    frames = kept(frames)
    stack = numpy.array(frames, dtype=object)
    total, squares = stack.sum(axis=0), (stack * stack).sum(axis=0)
    return ((len(frames) * squares - total * total) / len(frames) ** 2).astype(F32)


def measure(bench, dark, flat, sample, more=None, status=0, header=None):
    """A sequence of darks and flats, then the sample; the sample's series."""
    camera = bench.camera()
    sequence = [f"dark {len(dark)}", f"flat {len(flat)}"]
    daemon = bench.daemon(camera.endpoint, settings(
        bench, sequence, **{"series.frames": len(sample), **(more or {})}))
    for number, pixels in numbered(dark, flat, sample):
        camera.send(number, pixels, **(header or {}))
    daemon.wait(status)
    return daemon, {s.folder.name: s for s in bench.all_series()}


@case(quick=True)
def darks_and_flats_of_the_sequence_normalise_the_sample_that_follows(bench):
    dark, flat = frames_of(100, 12, 1), frames_of(3000, 10, 2)
    sample = frames_of(1500, 30, 3)
    daemon, series = measure(bench, dark, flat, sample)
    equal(sorted(series), ["scan-0001", "scan-dark-0001", "scan-flat-0001"], "series")
    check("no calibration is configured" not in daemon.log, "a sequence is a calibration")
    same_pixels(image(bench, "dark-0001.tif"), exact_mean(dark), "dark")
    same_pixels(image(bench, "flat-0001.tif"), exact_mean(flat), "flat")
    same_pixels(image(bench, "dark-0001-variance.tif"), exact_variance(dark), "its variance")
    same_pixels(image(bench, "flat-0001-variance.tif"), exact_variance(flat), "its variance")
    scan = series["scan-0001"].require_complete(30)
    gain = reference.gain(exact_mean(dark), exact_mean(flat))
    for number, pixels in scan.images().items():
        same_pixels(pixels, reference.transmission(sample[number], exact_mean(dark), gain), f"frame {number}")
    equal(set(scan.column("calibration", int)), {2}, "calibration of the frames")
    used = {c["role"]: c for c in scan.manifest["calibration"]}
    equal(sorted(used), ["dark", "flat"], "calibration of the series")
    for role, frames in (("dark", dark), ("flat", flat)):
        equal((used[role]["frames"], used[role]["from_stream"]), (len(kept(frames)), True), role)
        equal(used[role]["path"], str(bench.output / f"{role}-0001.tif"), "path")
    about = sidecar(bench.output / "dark-0001.tif")
    equal((about["role"], about["frames"], about["asked"]), ("dark", len(kept(dark)), 12), "sidecar")
    equal((about["width"], about["height"]), (SHAPE[1], SHAPE[0]), "size in the sidecar")
    for name, frames, kind in (("scan-dark-0001", 12, "dark"), ("scan-flat-0001", 10, "flat")):
        equal(series[name].require_complete(frames).manifest["kind"], kind, name)
        equal({r["flags"] for r in series[name].rows}, {kind}, "flags")


@case
def a_median_and_every_pixel_type(bench):
    for dtype, top in (("uint8", 1), ("uint32", 100000), ("float32", 1)):
        folder = bench.folder / dtype
        folder.mkdir()
        dark, flat = frames_of(10 * top, 5, 1, 3, dtype=dtype), frames_of(150 * top, 6, 2, 9, dtype=dtype)
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, settings(
            bench, ["dark 5", "flat 6"], **{
                "series.frames": 3, "calibration.directory": str(folder), "calibration.combine": "median",
                "sinks": [bench.sink(folder=dtype)]}))
        for number, pixels in numbered(dark, flat, flat[:3]):
            camera.send(number, pixels)
        daemon.wait()
        for role, frames in (("dark", dark), ("flat", flat)):
            same_pixels(tifffile.imread(folder / f"{role}-0001.tif"),
                        numpy.median(kept(frames), axis=0).astype(F32), f"{role} of {dtype}")


@case(quick=True)
def outlying_frames_are_left_out_and_named(bench):
    dark, flat = frames_of(100, 20, 1), frames_of(3000, 20, 2)
    dark[7] = dark[7] + 400
    flat[3] = (flat[3] // 3).astype("uint16")
    daemon, series = measure(bench, dark, flat, frames_of(1500, 3, 3))
    for role, frames, outlier in (("dark", dark, 7), ("flat", flat, 3)):
        same_pixels(image(bench, f"{role}-0001.tif"), exact_mean(frames), role)
        out = [f["frame"] for f in sidecar(bench.output / f"{role}-0001.tif")["left_out"]]
        equal((outlier in out, len(out)), (True, 20 - len(kept(frames))), f"left out of the {role}")
        contains(daemon.log, f"{role} of {len(kept(frames))} frames", str(outlier))


@case
def hot_noisy_and_dead_pixels_are_found_and_bad(bench):
    dark, flat = frames_of(100, 20, 1), frames_of(3000, 20, 2)
    rng = numpy.random.default_rng(5)
    for i in range(20):
        dark[i][3, 4] = 2500
        dark[i][10, 11] = rng.integers(0, 240)
        flat[i][20, 21] = dark[i][20, 21] + 40
    daemon, series = measure(bench, dark, flat, frames_of(1500, 3, 3))
    equal(numpy.argwhere(image(bench, "dark-0001-found.tif") & 1).tolist(), [[3, 4]], "hot")
    equal(numpy.argwhere(image(bench, "dark-0001-found.tif") & 2).tolist(), [[10, 11]], "noisy")
    equal(numpy.argwhere(image(bench, "flat-0001-found.tif") & 4).tolist()[-1], [20, 21], "dead")
    first = series["scan-0001"].images()[0]
    for at in ((3, 4), (10, 11), (20, 21)):
        check(numpy.isnan(first[at]), f"pixel {at} is bad")


@case(quick=True)
def a_closed_shutter_is_refused_and_the_sample_stays_without_calibration(bench):
    dark = frames_of(100, 10, 1)
    daemon, series = measure(bench, dark, dark, frames_of(1500, 3, 3), status=1)
    contains(daemon.log, "shutter")
    scan = series["scan-0001"].require_complete(3)
    equal({c["role"] for c in scan.manifest["calibration"]}, {"dark"}, "calibration in use")
    equal(list(bench.output.glob("flat-*")), [], "files of the flat")


@case
def numbers_that_run_on_from_dark_to_sample_are_split_at_the_frame(bench):
    dark, flat, sample = frames_of(100, 9, 1), frames_of(3000, 7, 2), frames_of(1500, 200, 3)
    for workers in (1, 3):
        folder = bench.folder / f"w{workers}"
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, settings(
            bench, ["dark 9", "flat 7"], **{
                "series.first": "auto", "series.frames": 200, "daemon.workers": workers, "calibration.directory": str(bench.folder),
                "sinks": [bench.sink(folder=folder.name)]}))
        camera.send_all([*dark, *flat, *sample], first=1000)
        daemon.wait()
        scan, = [s for s in bench.all_series(folder) if s.folder.name == "scan-0001"]
        scan.require_complete(200)
        equal(int(scan.rows[0]["frame"]), 1016, "first frame of the sample")
        gain = reference.gain(exact_mean(dark), exact_mean(flat))
        for number, pixels in scan.images().items():
            same_pixels(pixels, reference.transmission(sample[number - 1016], exact_mean(dark), gain),
                        f"frame {number}")


@case
def numbers_may_begin_anew_or_jump_between_dark_flat_and_sample(bench):
    dark, flat, sample = frames_of(100, 10, 1), frames_of(3000, 10, 2), frames_of(1500, 20, 3)
    for name, first, numbers in (("anew", "auto", (0, 10, 0)), ("given", 100, (0, 0, 100)), ("jumps", "auto", (0, 1000, 5000))):
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, settings(
            bench, ["dark 10", "flat 10"], **{"series.first": first, "series.frames": 20, "sinks": [bench.sink(folder=name)]}))
        for start, group in zip(numbers, (dark, flat, sample)):
            camera.send_all(group, start)
        daemon.wait()
        for series in bench.all_series(bench.folder / name):
            series.require_complete(20 if series.folder.name == "scan-0001" else 10)


@case
def lost_and_disordered_darks_are_made_of_those_that_came(bench):
    dark, flat, sample = frames_of(100, 20, 1), frames_of(3000, 20, 2), frames_of(1500, 5, 3)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, settings(
        bench, ["dark 20", "flat 20"], **{"series.frames": 5}))
    order = [0, 2, 1, 4, 6, 5, 7, 8, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]  # 3 is lost
    for number in order:
        camera.send(number, dark[number])
    for number, pixels in numbered(flat, sample):
        camera.send(number, pixels)
    daemon.wait(1)
    same_pixels(image(bench, "dark-0001.tif"), exact_mean([f for i, f in enumerate(dark) if i != 3]), "dark")
    same_pixels(image(bench, "flat-0001.tif"), exact_mean(flat), "flat")
    equal(sidecar(bench.output / "dark-0001.tif")["asked"], 20, "frames asked for")


@case
def a_dark_that_lost_frames_ends_where_the_flat_begins(bench):
    dark, flat, sample = frames_of(100, 20, 1), frames_of(3000, 10, 2), frames_of(1500, 5, 3)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, settings(
        bench, ["dark 20", "flat 10"], **{"series.first": "auto", "series.frames": 5}))
    lost = {3, 17, 20, 29}  # the last two are the first and the last flat
    for number, pixels in enumerate([*dark, *flat, *sample]):
        if number not in lost:
            camera.send(number, pixels)
    daemon.wait(1)
    same_pixels(image(bench, "dark-0001.tif"),
                exact_mean([f for i, f in enumerate(dark) if i not in lost]), "dark")
    same_pixels(image(bench, "flat-0001.tif"), exact_mean(flat[1:9]), "flat")
    by_name = {s.folder.name: s for s in bench.all_series()}
    for name, missing in (("scan-dark-0001", {3, 17}), ("scan-flat-0001", {20, 29}), ("scan-0001", set())):
        states = by_name[name].require_closed().states()
        equal({n for n, (state, _) in states.items() if state == "missing"}, missing, f"missing of {name}")


@case
def half_the_frames_lost_is_refused_by_name(bench):
    dark, flat = frames_of(100, 20, 1), frames_of(3000, 10, 2)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, settings(
        bench, ["dark 20", "flat 10"], **{"series.first": "auto", "series.frames": 3}))
    for number, pixels in enumerate([*dark, *flat, *flat[:3]]):
        if not 4 <= number < 15:
            camera.send(number, pixels)
    daemon.wait(1)
    contains(daemon.log, "only 9 of 20 frames")
    equal(list(bench.output.glob("dark-*")), [], "files of the dark")


@case
def a_key_in_the_header_tells_dark_flat_and_sample_apart(bench):
    dark, flat, sample = frames_of(100, 8, 1), frames_of(3000, 8, 2), frames_of(1500, 12, 3)
    after = frames_of(2500, 8, 4)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "calibration.from_key": "image_key", "calibration.directory": str(bench.output),
        "reduce.normalise": "transmission", "series.frames": 8 + 8 + 12 + 8 + 12})
    number = 0
    for group, key in ((dark, 2), (flat, 1), (sample, 0), (after, "flat"), (sample, 0)):
        for pixels in group:
            camera.send(number, pixels, image_key=key)
            number += 1
    daemon.wait()
    series = bench.series().require_complete(48)
    rows = {int(r["frame"]): r for r in series.rows}
    images = series.images()
    equal([rows[n]["flags"] for n in (0, 8, 16, 28, 36)], ["dark", "flat", "", "flat", ""], "flags")
    for start, used in ((16, flat), (36, after)):
        gain = reference.gain(exact_mean(dark), exact_mean(used))
        for i in range(12):
            same_pixels(images[start + i], reference.transmission(sample[i], exact_mean(dark), gain),
                        f"frame {start + i}")
    equal([int(rows[n]["calibration"]) for n in (16, 27, 36, 47)], [2, 2, 3, 3], "calibration")


@case
def what_is_beyond_the_memory_is_told_and_still_a_dark(bench):
    camera = bench.camera()
    dark, flat, sample = frames_of(100, 200, 1), frames_of(3000, 20, 2), frames_of(1500, 5, 3)
    daemon = bench.daemon(camera.endpoint, {
        "calibration.from_key": "image_key", "calibration.directory": str(bench.output),
        "calibration.memory": "1MiB", "reduce.normalise": "transmission", "series.frames": 225})
    number = 0
    for group, key in ((dark, 2), (flat, 1), (sample, 0)):
        for pixels in group:
            camera.send(number, pixels, image_key=key)
            number += 1
    daemon.wait()
    flags = [r["flags"] for r in bench.series().require_complete(225).rows]
    equal(flags, ["dark"] * 200 + ["flat"] * 20 + [""] * 5, "flags")
    contains(daemon.log, "calibration.memory holds 170 frames")


@case
def a_sequence_that_the_memory_cannot_hold_says_so(bench):
    for folder, count, status, text in (("a", 400, 1, "calibration.memory holds only 170 of 400 frames"),
                                        ("b", 200, 0, "calibration.memory holds 170 frames")):
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, settings(bench, [f"dark {count}"], **{
            "calibration.memory": "1MiB", "reduce.normalise": "dark", "series.frames": 3,
            "sinks": [bench.sink(folder=folder)]}))
        for number, pixels in numbered(frames_of(100, count, 1), frames_of(1500, 3, 3)):
            camera.send(number, pixels)
        daemon.wait(status)
        contains(daemon.log, text)
        dark, = (s for s in bench.all_series(bench.folder / folder) if "dark" in s.folder.name)
        equal({r["flags"] for r in dark.rows}, {"dark"}, "flags")


def running(bench, **more):
    """A daemon that streams and listens: (camera, daemon, monitor)."""
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "monitor.http": "127.0.0.1:0", "reduce.normalise": "transmission", "series.name": "scan",
        "calibration.directory": str(bench.output), "calibration.flat": "", **more}, series=None)
    return camera, daemon, Monitor(daemon)


def finished(monitor, asked):
    def over():
        c = monitor.status()["calibration"]
        return c["asked"] == asked and (c["done"] or c["failed"]) and c
    return until(over, f"calibration {asked} is done or has failed")


@case(quick=True)
def a_dark_and_a_flat_are_taken_by_command_between_series(bench):
    camera, daemon, monitor = running(bench, **{"series.frames": 20})
    dark, flat, sample = frames_of(100, 10, 1), frames_of(3000, 12, 2), frames_of(1500, 20, 3)
    for asked, (role, frames) in enumerate((("dark", dark), ("flat", flat)), 1):
        status, answer = monitor.command({"command": role, "frames": len(frames)})
        equal((status, answer["ok"]), (200, True), role)
        camera.send_all([*frames, *frames[:3]])  # more than were wanted
        result = finished(monitor, asked)
        equal((result["failed"], result["role"], result["taken"]), (False, role, len(frames)), "result")
        equal(result["path"], str(bench.output / f"{role}-0001.tif"), "path")
    camera.send_all(sample)
    bench.wait_for_end(3)
    scan = next(s for s in bench.all_series() if s.folder.name == "scan-0001").require_complete(20)
    gain = reference.gain(exact_mean(dark), exact_mean(flat))
    for number, pixels in scan.images().items():
        same_pixels(pixels, reference.transmission(sample[number], exact_mean(dark), gain), f"frame {number}")
    daemon.stop(0)


@case
def a_command_follows_a_sequence_whose_numbers_ran_on(bench):
    dark, flat, sample = frames_of(100, 10, 1), frames_of(3000, 10, 2), frames_of(1500, 20, 3)
    camera, daemon, monitor = running(bench, **{
        "calibration.sequence": ["dark 10", "flat 10"], "series.first": "auto", "series.frames": 20})
    camera.send_all([*dark, *flat, *sample])
    bench.wait_for_end(3)
    equal(monitor.command({"command": "dark", "frames": 10, "timeout_s": 3})[0], 200, "dark")
    camera.send_all(dark)
    equal(finished(monitor, 3)["text"][:17], "dark of 10 frames", "result")
    daemon.stop(0)


@case
def a_calibration_changes_in_mid_series_between_two_frames(bench):
    dark, flat = frames_of(100, 10, 1), frames_of(3000, 10, 2)
    camera, daemon, monitor = running(bench, **{"daemon.workers": 3, "calibration.flat": bench.tiff("flat.tif", flat[0]),
                                                "calibration.dark": bench.tiff("dark.tif", dark[0])})
    sample = frames_of(2500, 40, 3)
    sent = 0

    def send(count):
        nonlocal sent
        for _ in range(count):
            camera.send(sent, sample[sent % 40])
            sent += 1

    equal(monitor.status()["calibration"]["id"], 1, "calibration in use")
    send(50)
    until(lambda: monitor.status()["frames"]["received"] == 50, "frames before")
    equal(monitor.command({"command": "flat", "frames": 8})[0], 200, "the command is taken")
    while monitor.status()["calibration"]["id"] == 1:
        send(5)
    send(60)
    until(lambda: monitor.status()["frames"]["received"] == sent, "frames after")
    daemon.stop(0)
    scan = bench.series().require_complete(sent)
    taken = [int(r["frame"]) for r in scan.rows if r["flags"] == "flat"]
    equal((len(taken), taken[-1] - taken[0]), (8, 7), "frames of the flat are marked")
    new_flat = exact_mean([sample[n % 40] for n in taken])
    old = dark[0].astype(F32), reference.gain(dark[0].astype(F32), flat[0].astype(F32))
    new = dark[0].astype(F32), reference.gain(dark[0].astype(F32), new_flat)
    images, used = scan.images(), [int(r["calibration"]) for r in scan.rows]
    equal(used, sorted(used), "the calibration changes once")
    equal(set(used), {1, 2}, "calibrations")
    for number, pixels in images.items():
        d, gain = old if used[number] == 1 else new
        same_pixels(pixels, reference.transmission(sample[number % 40], d, gain), f"frame {number}")
    listed = [(c["role"], c["id"]) for c in scan.manifest["calibration"]]
    equal(listed, [("dark", 1), ("flat", 1), ("dark", 2), ("flat", 2)], "calibrations of the series")


@case
def a_dark_for_the_flats_is_taken_from_them_alone(bench):
    dark, long_dark, flat = frames_of(100, 9, 1), frames_of(400, 9, 4), frames_of(3000, 9, 2)
    sample = frames_of(1500, 4, 3)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, settings(
        bench, ["dark 9", "flat_dark 9", "flat 9"], **{"series.frames": 4}))
    for number, pixels in numbered(dark, long_dark, flat, sample):
        camera.send(number, pixels)
    daemon.wait()
    scan = next(s for s in bench.all_series() if s.folder.name == "scan-0001").require_complete(4)
    difference = exact_mean(flat).astype(float) - exact_mean(long_dark).astype(float)
    gain = (1 / difference).astype(F32)
    for number, pixels in scan.images().items():
        same_pixels(pixels, ((sample[number].astype(F32) - exact_mean(dark)) * gain).astype(F32), f"frame {number}")
    equal([c["role"] for c in scan.manifest["calibration"]], ["dark", "flat", "flat_dark"], "roles")


@case(quick=True)
def what_cannot_be_is_refused_by_name(bench):
    camera, daemon, monitor = running(bench, **{"calibration.memory": "1MiB", "series.idle_end": "300ms"})
    equal(monitor.command({"command": "dark", "frames": 0})[0], 400, "no frames")
    status, answer = monitor.command({"command": "cancel"})
    equal((status, answer["error"]), (409, "no dark or flat is being taken"), "nothing to cancel")
    camera.send_all(frames_of(100, 3, 1))
    bench.wait_for_end(1)
    status, answer = monitor.command({"command": "dark", "frames": 171})
    equal(status, 413, "more frames than memory")
    contains(answer["error"], "at most 170", "calibration.memory")
    contains(monitor.command({"command": "dark", "frames": 70000})[1]["error"], "1 to 65535, not 70000")
    equal(monitor.command({"command": "dark", "frames": 170, "timeout_s": 1})[0], 200, "so many fit")
    equal(monitor.command({"command": "flat", "frames": 2})[0], 409, "while a dark is being taken")
    failed = finished(monitor, 1)
    check(failed["failed"], "nobody sends")
    contains(failed["text"], "no frame came within 1 s")
    equal(monitor.command({"command": "flat", "frames": 5})[0], 200, "the next one")
    equal(monitor.command({"command": "cancel"})[0], 200, "cancel")
    contains(finished(monitor, 2)["text"], "cancelled")
    equal(monitor.command({"command": "flat", "frames": 5, "timeout_s": 1})[0], 200, "a flat")
    camera.send_all(frames_of(100, 2, 1))
    contains(finished(monitor, 3)["text"], "only 2 of 5 frames")
    equal(monitor.status()["calibration"]["id"], 0, "calibration in use")
    daemon.stop(None)


@case
def frames_beyond_the_memory_are_not_used_and_it_is_told(bench):
    camera, daemon, monitor = running(bench, **{"calibration.memory": "1MiB", "calibration.sequence": ["dark 300"]})
    camera.send_all(frames_of(100, 300, 1))
    equal(finished(monitor, 1)["failed"], False, "a dark of those that fit")
    contains(daemon.log, "calibration.memory holds 170 frames")
    daemon.stop(0)
    camera, daemon, monitor = running(bench, **{"calibration.memory": "1MiB"})
    equal(monitor.command({"command": "dark", "frames": 400})[0], 200, "nobody knows how large they are")
    camera.send_all(frames_of(100, 400, 1))
    contains(finished(monitor, 1)["text"], "calibration.memory holds only 170 of 400 frames")
    daemon.stop(0)


@case
def a_dark_whose_frames_are_all_there_is_made_before_the_end(bench):
    camera, daemon, monitor = running(bench)
    equal(monitor.command({"command": "dark", "frames": 30, "combine": "median"})[0], 200, "dark")
    camera.send_all(frames_of(100, 30, 1, shape=(300, 400)))
    until(lambda: monitor.status()["frames"]["received"] == 30, "all frames")
    daemon.stop(0)
    contains(daemon.log, "calibration: dark of 30 frames")


@case
def an_abort_does_not_wait_for_what_is_being_made(bench):
    camera, daemon, monitor = running(bench, **{"ingest.buffer": "256MiB"})
    equal(monitor.command({"command": "dark", "frames": 20, "combine": "median"})[0], 200, "dark")
    camera.send_all(frames_of(100, 20, 1, shape=(1200, 1200)))
    until(lambda: monitor.status()["calibration"]["state"] != "collecting", "all frames")
    daemon.send_signal(signal.SIGINT)
    daemon.send_signal(signal.SIGTERM)
    check(daemon.wait(None, 10) in (0, 1), "it ends as it should")


@case
def frames_of_another_size_set_the_calibration_aside(bench):
    camera, daemon, monitor = running(bench, **{"series.frames": 10, "series.idle_end": "200ms"})
    for asked, shape in enumerate(((48, 64), (20, 30)), 1):
        if asked == 2:
            time.sleep(0.7)  # silence, after which a series of any size may begin
            camera.send_all(frames_of(1500, 10, 3, shape=shape))
            bench.wait_for_end(2)
            equal(monitor.status()["calibration"]["id"], 0, "calibration in use")
        monitor.command({"command": "dark", "frames": 10})
        camera.send_all(frames_of(100, 10, asked, shape=shape))
        equal(finished(monitor, asked)["failed"], False, f"dark {asked}")
        bench.wait_for_end(2 * asked - 1)
    camera.send_all(frames_of(1500, 10, 4, shape=shape))
    bench.wait_for_end(4)
    daemon.stop(0)
    contains(daemon.log, "refused: ", "and the frames are 30 x 20")
    scans = [s.require_complete(10) for s in bench.all_series() if "dark" not in s.folder.name]
    equal([set(s.column("calibration", str)) for s in scans], [{""}, {"2"}], "calibrations")


@case
def plain_and_compressed_frames_make_one_dark(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "monitor.http": "127.0.0.1:0", "ingest.protocol": "dectris-v1", "calibration.directory": str(bench.output),
        "blackbox": {"before": "10s", "after": "100ms", "directory": str(bench.folder)}}, series=None)
    monitor = Monitor(daemon)
    frames = frames_of(100, 20, 1)
    encodings = ["lz4<"] * 8 + ["<", "lz4<", "<"] + ["lz4<"] * 9

    def send(numbers):
        for number in numbers:
            camera.send_parts(*v1_image(1, number, frames[number], encodings[number]))

    camera.send_parts(*v1_header(1, 20, SHAPE))
    send(range(8))
    until(lambda: monitor.status()["frames"]["received"] == 8, "frames before")
    equal(monitor.command({"command": "dark", "frames": 10})[0], 200, "dark")
    until(lambda: monitor.status()["calibration"]["state"] == "collecting", "the command is followed")
    send(range(8, 20))
    equal(finished(monitor, 1)["failed"], False, "the dark")
    same_pixels(image(bench, "dark-0001.tif"), exact_mean(frames[8:18]), "dark")
    equal(monitor.command({"command": "keep"})[0], 200, "keep")
    camera.send_parts(*v1_end(1))
    bench.wait_for_end(1)
    daemon.stop(0)
    events = [s for s in bench.all_series(bench.folder) if s.manifest["kind"] == "blackbox"]
    equal(sum(s.require_closed().totals["written"] for s in events), 20, "frames in the black box")


@case
def without_a_calibration_frames_keep_their_counts_and_it_is_told(bench):
    for mode in ("attenuation", "dark", "transmission"):
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, {
            "calibration.dark": "", "calibration.flat": "", "reduce.normalise": mode, "series.frames": 3,
            "sinks": [bench.sink(folder=mode)]})
        sample = frames_of(1500, 3, 3)
        camera.send_all(sample)
        daemon.wait()
        contains(daemon.log, "frames keep their counts")
        for number, pixels in bench.series(bench.folder / mode).images().items():
            same_pixels(pixels, sample[number].astype(F32), f"frame {number} with {mode}")


@case
def an_endpoint_that_sends_nothing_holds_no_calibration_back(bench):
    camera, silent = bench.camera(), bench.camera()
    daemon = bench.daemon([camera.endpoint, silent.endpoint], {
        "monitor.http": "127.0.0.1:0", "reduce.normalise": "dark", "calibration.dark": "",
        "calibration.directory": str(bench.output)}, series=None)
    monitor = Monitor(daemon)
    frames = frames_of(100, 40, 1)
    camera.send_all(frames[:4])
    until(lambda: monitor.status()["frames"]["received"] == 4, "frames before")
    for taken in range(1, 11):
        equal(monitor.command({"command": "dark", "frames": 2})[0], 200, "dark")
        camera.send_all(frames[2 + 2 * taken:4 + 2 * taken], 2 + 2 * taken)
        equal(finished(monitor, taken)["id"], taken, "calibration in use")
    camera.send_all(frames[24:], 24)
    until(lambda: monitor.status()["frames"]["received"] == 40, "all frames")
    daemon.stop(0)
    equal(bench.series().require_complete(40).column("calibration", str)[24:], ["10"] * 16, "calibration of the last")


@case
def the_check_looks_where_calibrations_and_the_black_box_go(bench):
    def check_of(**wanted):
        daemon = bench.daemon("ipc:///tmp/nobody", settings(bench, ["dark 9", "flat 200"], **{
            "ingest.frame": {"width": 64, "height": 48, "type": "uint16"}, "calibration.memory": "1MiB", **wanted}),
            series=None, arguments=["--check"])
        return daemon.wait(None), daemon.log

    status, said = check_of()
    equal(status, 0, said)
    contains(said, "calibration.memory of 1048576 bytes holds 170 frames, \"flat 200\" takes more: set it to 1228800",
             f"calibration.directory: {bench.output} can be written")
    for key in ("calibration", "blackbox"):
        status, said = check_of(**{f"{key}.directory": str(bench.folder / "gone"), "blackbox.before": "1s"})
        equal(status, 73, said)
        contains(said, f"{key}.directory: cannot write to {bench.folder}/gone")


@case(quick=True)
def frames_that_are_sent_after_the_answer_are_taken(bench):
    camera, daemon, monitor = running(bench, sinks=[bench.sink("hdf5")])  # whose files take time to begin
    dark, flat = frames_of(100, 5, 1), frames_of(3000, 5, 2)
    camera.send_all(frames_of(1500, 10, 3))
    bench.wait_for_series(1)
    for asked, (role, frames) in enumerate((("dark", dark), ("flat", flat), ("dark", dark)), 1):
        equal(monitor.command({"command": role, "frames": 5})[0], 200, role)
        camera.send_all(frames, 5 + 5 * asked)
        equal(finished(monitor, asked)["failed"], False, role)
    camera.send_all(frames_of(1500, 10, 4), 25)
    until(lambda: monitor.status()["frames"]["received"] == 35, "all frames")
    daemon.stop(0)
    series = bench.series().require_complete(35)
    equal([r["flags"] for r in series.rows], [""] * 10 + ["dark"] * 5 + ["flat"] * 5 + ["dark"] * 5 + [""] * 10, "flags")


@case
def a_full_disk_costs_the_calibration_and_nothing_else(bench):
    camera, daemon, monitor = running(bench, **{"calibration.directory": str(bench.folder / "gone"), "series.frames": 4})
    monitor.command({"command": "dark", "frames": 5})
    camera.send_all(frames_of(100, 5, 1))
    failed = finished(monitor, 1)
    contains(failed["text"], "gone")
    camera.send_all(frames_of(1500, 4, 3))
    until(lambda: (bench.output / "scan-0001" / "frames.csv").exists(), "the sample is complete")
    daemon.stop(None)


@case
def the_image_made_is_a_calibration_of_the_next_run(bench):
    dark, flat, sample = frames_of(100, 12, 1), frames_of(3000, 10, 2), frames_of(1500, 5, 3)
    for i in range(12):
        dark[i][3, 4] = 2600
    _, series = measure(bench, dark, flat, sample)
    live = series["scan-0001"].images()
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "reduce.normalise": "transmission", "series.frames": 5, "sinks": [bench.sink(folder="again")],
        "calibration.dark": str(bench.output / "dark-0001.tif"),
        "calibration.flat": str(bench.output / "flat-0001.tif")})
    camera.send_all(sample)
    daemon.wait()
    for number, pixels in bench.series(bench.folder / "again").images().items():
        same_pixels(pixels, live[number], f"frame {number}")
        check(numpy.isnan(pixels[3, 4]), "the hot pixel is bad here too")


@case
def a_calibration_that_does_not_fit_is_set_aside_and_used_again_where_it_does(bench):
    camera, daemon, monitor = running(bench, **{"series.frames": 5, "series.idle_end": "300ms"})
    dark, flat, sample = frames_of(100, 6, 1), frames_of(3000, 6, 2), frames_of(1500, 5, 3)
    for asked, (role, frames) in enumerate((("dark", dark), ("flat", flat)), 1):
        monitor.command({"command": role, "frames": 6})
        camera.send_all(frames)
        check(finished(monitor, asked)["done"], role)
    small, bytes_ = [f[:20].copy() for f in sample], [(f // 16).astype("uint8") for f in sample]
    for count, frames in enumerate((sample, small, bytes_, sample), 1):
        camera.send_all(frames)
        until(lambda: (bench.output / f"scan-{count:04}" / "frames.csv").exists(), f"series {count}")
        time.sleep(0.5)  # silence: another geometry is no stray frame
    daemon.stop(None)
    series = [s.require_complete(5) for s in bench.all_series() if s.manifest["kind"] == "sample"]
    equal([set(s.column("calibration", str)) for s in series], [{"2"}, {""}, {""}, {"2"}], "calibrations")
    same_pixels(series[1].images()[0], small[0].astype(F32), "counts of the small ones")
    same_pixels(series[2].images()[4], bytes_[4].astype(F32), "counts of the bytes")
    for number, pixels in series[0].images().items():
        same_pixels(series[3].images()[number], pixels, f"frame {number} again")
    contains(daemon.log, f"refused: {bench.output}/dark-0001.tif is 64 x 48 pixels",
             f"refused: {bench.output}/dark-0001.tif was made of frames of uint16", "fits again")


@case
def a_dark_is_saved_where_nothing_is_normalised(bench):
    camera, daemon, monitor = running(bench, **{"reduce.normalise": "none", "calibration.flat": None, "series.frames": 5})
    dark = frames_of(100, 6, 1)
    monitor.command({"command": "dark", "frames": 6})
    camera.send_all(dark)
    result = finished(monitor, 1)
    equal((result["done"], result["id"]), (True, 0), result["text"])
    same_pixels(image(bench, "dark-0001.tif"), exact_mean(dark), "dark")
    camera.send_all(dark[:5])
    bench.wait_for_end(2)
    scan = next(s for s in bench.all_series() if s.folder.name == "scan-0001").require_complete(5)
    same_pixels(scan.images()[2], dark[2].astype(F32), "counts")
    daemon.stop(0)


@case
def a_crash_leaves_the_calibrations_that_came_into_use(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "calibration.from_key": "image_key", "calibration.directory": str(bench.output),
        "reduce.normalise": "transmission", "sinks": [bench.sink("hdf5")], "monitor.http": "127.0.0.1:0"}, series=None)
    monitor = Monitor(daemon)
    groups = ((frames_of(100, 8, 1), 2), (frames_of(3000, 8, 2), 1), (frames_of(1500, 80, 3), 0))
    for number, (pixels, key) in enumerate((p, key) for group, key in groups for p in group):
        camera.send(number, pixels, image_key=key)
    until(lambda: monitor.status()["frames"]["durable"] == 96, "frames are durable")
    daemon.close()
    folder = bench.output / "s-0001"
    equal(bench.run("openbeam", "recover", folder)[0], 0, "recover")
    series, = bench.all_series()
    listed = [(c["role"], c["id"]) for c in series.manifest["calibration"]]
    equal(listed, [("dark", 1), ("dark", 2), ("flat", 2)], "calibrations of the series")
    equal({r["calibration"] for r in series.rows[16:]}, {"2"}, "calibration of the sample")
    with h5py.File(folder / "s-0001.h5") as master:
        stored = master["/entry1/openbeam/calibration"]
        same_pixels(stored["flat"][()], image(bench, "flat-0001.tif"), "flat in the master")


@case
def an_announced_series_is_of_one_step_however_long(bench):
    endpoint = f"ipc://{bench.folder}/d"
    daemon = bench.daemon(endpoint, settings(bench, ["dark 10", "flat 10"], **{
        "ingest.protocol": "dectris-v1", "series.first": None, "calibration.found": "report"}))
    for series, pattern in enumerate(("dark", "flat", "phantom"), 1):
        status, _, said = bench.run("openbeam-send", "--to", endpoint, "--protocol", "dectris-v1", "--size", "64x48",
                                    "--frames", 20, "--series", series, "--pattern", pattern)
        equal(status, 0, said)
    daemon.wait()
    by_name = {s.folder.name: s.require_complete(20) for s in bench.all_series()}
    equal(sorted(by_name), ["scan-0001", "scan-dark-0001", "scan-flat-0001"], "series")
    for kind in ("dark", "flat"):
        equal({r["flags"] for r in by_name[f"scan-{kind}-0001"].rows}, {kind}, "flags")
        about = sidecar(bench.output / f"{kind}-0001.tif")
        equal((about["first"], about["last"]), (0, 9), f"frames of the {kind}")
    equal(set(by_name["scan-0001"].column("calibration", int)), {2}, "calibration of the sample")


@case
def a_scan_with_many_flats_lists_all_of_them(bench):
    camera = bench.camera()
    rounds, shape = 70, (8, 16)
    daemon = bench.daemon(camera.endpoint, {
        "calibration.from_key": "image_key", "calibration.directory": str(bench.output),
        "reduce.normalise": "transmission", "series.frames": 2 + 3 * rounds, "sinks": [bench.sink("hdf5")]})
    dark, sample = frames_of(100, 2, 1, shape=shape), frames_of(1500, 1, 2, shape=shape)[0]
    groups = [(dark, 2)]
    for i in range(rounds):
        groups += [(frames_of(3000 + i, 2, i, shape=shape), 1), ([sample], 0)]
    for number, (pixels, key) in enumerate((p, key) for group, key in groups for p in group):
        camera.send(number, pixels, image_key=key)
    daemon.wait()
    series = bench.series().require_complete(2 + 3 * rounds)
    used = [(c["role"], c["id"]) for c in series.manifest["calibration"]]
    equal(used, [("dark", 1)] + [(role, 2 + i) for i in range(rounds) for role in ("dark", "flat")], "calibrations")
    equal(bench.run("openbeam", "audit", series.folder)[0], 0, "audit")
    with h5py.File(next(series.folder.glob("s-????.h5"))) as master:
        last = image(bench, f"flat-{rounds:04}.tif")
        same_pixels(master["/entry1/openbeam/calibration/flat"][()], last, "flat in the master")


@case
def hot_and_noisy_pixels_are_found_on_any_scale_of_floats(bench):
    dark, flat = ([(f / 4000).astype(F32) for f in frames_of(level, 12, seed)] for level, seed in ((100, 1), (3000, 2)))
    for i, frame in enumerate(dark):
        frame[3, 4] = 0.9
        frame[10, 11] = 0.01 + 0.04 * (i % 2)
    zeros = [numpy.zeros(SHAPE, F32) for _ in range(4)]
    for frame in zeros:
        frame[5, 6] = 0.25
    for folder, frames, found in (("a", dark, {(3, 4): 1, (10, 11): 2}), ("b", zeros, {})):
        directory = bench.folder / folder
        directory.mkdir()
        measure(bench, frames, flat, flat[:2], {"calibration.directory": str(directory)})
        flags = tifffile.imread(directory / "dark-0001-found.tif")
        equal({(y, x): flags[y, x] for y, x in numpy.argwhere(flags).tolist()}, found, f"found in {folder}")


@case
def a_calibration_of_another_exposure_is_refused_and_used_again_where_it_fits(bench):
    dark, flat, sample = frames_of(100, 6, 1), frames_of(3000, 6, 2), frames_of(1500, 6, 3)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "ingest.protocol": "dectris-v1", "series.name": "scan", "reduce.normalise": "transmission",
        "calibration.sequence": ["dark 6", "flat 6", "flat 6"], "calibration.directory": str(bench.output)}, series=4)
    # Dark and second flat were exposed for 0.1 s; so are the first and the last sample.
    for series, (group, seconds) in enumerate(
            ((dark, 0.1), (flat, 0.2), (flat, 0.1), (sample, 0.1), (sample, 0.5), (sample, 0.5), (sample, 0.1)), 1):
        camera.send_parts(*v1_header(series, 6, SHAPE, count_time=seconds))
        for number, pixels in enumerate(group):
            camera.send_parts(*v1_image(series, number, pixels, "<"))
        camera.send_parts(*v1_end(series))
    daemon.wait(1)  # a step of the sequence was refused
    contains(daemon.log, "no flat: the dark was exposed for 0.1 s and these frames for 0.2 s",
             "refused: ", "was exposed for 0.1 s, and the detector says 0.5 s", "fits again and is used")
    equal(daemon.log.count("refused: "), 2, "times that it is said, for 0.2 s and for 0.5 s")
    equal(sidecar(bench.output / "dark-0001.tif")["exposure_s"], 0.1, "exposure in the sidecar")
    scans = [s.require_complete(6) for s in bench.all_series() if s.manifest["kind"] == "sample"]
    equal([set(s.column("calibration", str)) for s in scans], [{"2"}, {""}, {""}, {"2"}], "calibrations")
    gain = reference.gain(exact_mean(dark), exact_mean(flat))
    for scan, normalised in zip(scans, (True, False, False, True)):
        for number, pixels in scan.images().items():
            wanted = reference.transmission(sample[number], exact_mean(dark), gain)
            same_pixels(pixels, wanted if normalised else sample[number].astype(F32), f"{scan.folder.name}, {number}")
