# SPDX-License-Identifier: Apache-2.0
"""openbeam replay: what was recorded comes out of its source frames once more, and what differs is named."""
import json
import os
import shutil

import numpy
import zmq

import e2e_reference as reference
from e2e_calibration import frames_of
from e2e_case import case, check, contains, equal, same_pixels
from e2e_detectors import sls, stream, v1_end, v1_header, v1_image

SHAPE = (61, 83)
TOP = {"uint8": 256, "uint16": 60000, "uint32": 4_000_000_000, "float32": 60000}
ROI = {"x": 13, "y": 7, "width": 50, "height": 40}


def images(count, dtype="uint16"):
    return [reference.noise_image(SHAPE, seed, 50, TOP[dtype], dtype) for seed in range(count)]


def calibrated(bench):
    dark, flat, _ = reference.calibration(SHAPE)
    return {"calibration.dark": bench.tiff("dark.tif", dark), "calibration.flat": bench.tiff("flat.tif", flat),
            "reduce.normalise": "transmission"}


def record(bench, sent, settings=None, name="r", source="raw", status=0, **sink):
    """A series with both products, the reduced one first; its folder."""
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "series.frames": len(sent), **(settings or {}), "sinks": [
            bench.sink(folder=name), bench.sink(source, folder=name + "-source", product="source", **sink)]})
    camera.send_all(sent)
    daemon.wait(status)
    return bench.series(bench.folder / name).folder


def source_file(bench, name="r"):
    path, = (bench.folder / f"{name}-source").glob("*/*_000000.*")
    return path


def replay(bench, folder, status, *arguments):
    """(standard output, standard error) of a replay that ends so."""
    found, out, err = bench.run("openbeam", "replay", *arguments, folder)
    equal(found, status, f"exit status of the replay\n{out}{err}")
    return out, err


def replay_json(bench, folder, status, *arguments):
    out, err = replay(bench, folder, status, "--json", *arguments)
    return json.loads(out)


def require_alike(bench, folder, frames):
    out, err = replay(bench, folder, 0)
    equal(err, "", "differences")
    contains(out, f"alike: {folder}: {frames} frames replayed: all alike", "with histograms")
    return out


@case(quick=True)
def every_pixel_type_replays_alike(bench):
    for dtype in ("uint8", "uint16", "uint32", "float32"):
        form = {"uint8": "tiff", "uint16": "raw", "uint32": "hdf5", "float32": "tiff"}[dtype]
        require_alike(bench, record(bench, images(6, dtype), calibrated(bench), dtype, form), 6)


@case
def every_way_of_reducing_replays_alike(bench):
    mask = numpy.zeros(SHAPE, "uint8")
    mask[20, 30:40] = 1
    mask = bench.tiff("mask.tif", mask)
    settings = (
        {"reduce.roi": ROI, "reduce.bin": 2, "calibration.mask": mask},
        {"reduce.normalise": "attenuation", "reduce.bad_pixels": "median", "calibration.mask": mask},
        {"reduce.type": "uint16", "reduce.window": [-0.1, 1.2], "histogram.raw.bins": 0},
        {"reduce.type": "uint8", "reduce.bin": 4, "ingest.bits": 14, "ingest.saturation": 16000},
        {"reduce.bad_pixels": "zero", "daemon.isa": "scalar", "reduce.roi": {"x": 3, "y": 0}},
        {"reduce.normalise": "dark", "histogram.normalised": {"bins": 100, "low": -5, "high": 70000}},
        {"reduce.normalise": "none", "reduce.type": "source"},
    )
    for i, one in enumerate(settings):
        require_alike(bench, record(bench, images(5), {**calibrated(bench), **one}, f"w{i}"), 5)


@case
def compressed_source_frames_replay_alike(bench):
    for dtype in ("uint16", "float32"):
        folder = record(bench, images(5, dtype), calibrated(bench), dtype, "hdf5", compression="bslz4")
        require_alike(bench, folder, 5)


@case
def means_replay_alike(bench):
    for dtype in ("uint16", "float32"):
        folder = record(bench, images(10, dtype), {**calibrated(bench), "reduce.average": 4}, dtype)
        contains(require_alike(bench, folder, 10), "3 pages")


@case
def regions_dose_and_percentiles_replay_alike(bench):
    regions = [{"name": "open", "x": 13, "y": 7, "width": 20, "height": 9},
               {"name": "sample", "x": 40, "y": 20, "width": 11, "height": 20}]
    for i, use in enumerate(("record", "apply")):
        for average in (1, 2):
            folder = record(bench, images(5), {
                **calibrated(bench), "regions": regions, "beam": {"regions": ["open"], "use": use},
                "reduce.roi": ROI, "reduce.average": average}, f"q{i}{average}")
            require_alike(bench, folder, 5)


@case
def frames_that_were_lost_are_no_difference(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "series.frames": 12, "series.idle_end": "400ms", "series.step": 5, "series.first": 100,
        "reduce.average": 3, "sinks": [bench.sink("null"), bench.sink("raw", product="source")]})
    sent = images(12)
    for n in (0, 1, 3, 4, 5, 11, 9):
        camera.send(100 + 5 * n, sent[n])
    daemon.wait(1)
    out = require_alike(bench, bench.series().folder, 7)
    contains(out, "3 pages")


@case
def calibrations_taken_from_the_stream_replay_alike(bench):
    dark, flat, sample = frames_of(100, 8, 1), frames_of(3000, 8, 2), frames_of(1500, 12, 3)
    flat[5][4, 7] = 0
    groups = (dark, 2), (flat, 1), (sample, 0), (frames_of(2500, 8, 4), 1), (sample, 0)
    for average in (1, 4, 5):
        name = f"a{average}"
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, {
            "calibration.from_key": "image_key", "calibration.directory": str(bench.output),
            "reduce.normalise": "transmission", "reduce.average": average, "series.frames": 48, "sinks": [
                bench.sink(folder=name), bench.sink("hdf5", folder="source", product="source")]})
        for number, (pixels, key) in enumerate((p, key) for group, key in groups for p in group):
            camera.send(number, pixels, image_key=key)
        daemon.wait()
        folder = bench.series(bench.folder / name).folder
        if average == 5:  # pages of frames of several calibrations
            out, err = replay(bench, folder, 0)
            contains(out, "45 compared, 45 alike, 7 pages")
            contains(err, "averaged while the calibration changed: left out in 3 frames: 8, 16, 36")
        else:
            require_alike(bench, folder, 48)
    said = replay_json(bench, folder, 0, "--to", bench.folder / "again")
    equal(said["written"], 48, "written")
    equal(bench.series(bench.folder / "again").column("calibration", str),
          bench.series(bench.folder / name).column("calibration", str), "calibrations")


@case
def a_detectors_values_without_a_meaning_replay_alike(bench):
    shape = (12, 20)
    pixels = [reference.noise_image(shape, n, 0, 5000) for n in range(4)]
    pixels[2][0, 0] = 65535
    mask = numpy.zeros(shape, "uint32")
    mask[3, 4] = 1
    for name, more in (("plain", []), ("masked", [mask])):
        messages = [v1_header(1, 4, shape, "all", *more, countrate_correction_count_cutoff=3999),
                    *(v1_image(1, n, p) for n, p in enumerate(pixels)), v1_end(1)]
        stream(bench, "dectris-v1", messages, {"reduce.type": "float32", "sinks": [
            bench.sink(folder=name), bench.sink("raw", folder="source", product="source")]})
    require_alike(bench, bench.series(bench.folder / "plain").folder, 4)
    err = replay(bench, bench.series(bench.folder / "masked").folder, 65)[1]
    contains(err, "of a detector whose mask of bad pixels is not kept: left out in 4 frames: 0, 1, 2, 3",
             "nothing can be compared")


@case
def frames_with_ports_missing_are_named_and_left_out(bench):
    frames = [reference.noise_image((4, 12), n, 0, 5000) for n in range(4)]
    cameras = [bench.camera(zmq.XPUB) for _ in range(2)]
    daemon = bench.daemon([c.endpoint for c in cameras], {
        "ingest.protocol": "sls", "ingest.socket": "sub", "ingest.assembly_timeout": "100ms",
        "series.frames": 4, "sinks": [bench.sink(), bench.sink("raw", folder="source", product="source")]})
    for camera in cameras:
        camera.wait_for_subscriber()
    for number, pixels in enumerate(frames):
        for column, camera in enumerate(cameras):
            part = numpy.ascontiguousarray(pixels[:, 6 * column:6 * column + 6])
            if (number, column) != (2, 1):
                camera.send_parts(sls(number, 0, column, (2, 1), part), part.tobytes())
    daemon.wait(1)
    out, err = replay(bench, bench.series().folder, 0)
    contains(out, "4 frames replayed: 3 compared, 3 alike")
    contains(err, "incomplete: which of its pixels were there is not kept: left out in 1 frame: 2")


@case
def a_frame_that_its_sender_calls_damaged_replays_alike(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"series.frames": 3, "sinks": [bench.sink("raw", product="source")]})
    for number, pixels in enumerate(images(3)):
        camera.send(number, pixels, is_good_frame=int(number != 1))
    daemon.wait(1)
    require_alike(bench, bench.series().folder, 3)


@case(quick=True)
def a_pixel_that_was_changed_is_named(bench):
    for form, more in (("raw", {}), ("hdf5", {"compression": "bslz4"})):
        folder = record(bench, images(6), calibrated(bench), form, form, **more)
        path = source_file(bench, form)
        data = bytearray(path.read_bytes())
        at = len(data) // 2 if form == "hdf5" else 2 * SHAPE[0] * SHAPE[1] * 2 + 77
        data[at] ^= 4
        path.write_bytes(data)
        said = replay_json(bench, folder, 1)
        equal(said["verdict"], "different", "verdict")
        equal([(d["what"], d["count"]) for d in said["differences"]], [("source pixels", 1)], "differences")
        equal((said["compared"], said["alike"], said["histograms"]), (5, 5, False), "the others")
        contains(said["differences"][0]["example"], path.name)
        if form == "raw":
            equal(said["differences"][0]["frames"], [2], "the frame")
        os.truncate(path, 100)
        out, err = replay(bench, folder, 1)
        contains(err, "source pixels: different in 6 frames: 0, 1, 2, 3, 4, 5;", "it was cut")
        path.unlink()
        contains(replay(bench, folder, 1)[1], f"{path.name} is not there")
        path.mkdir()
        contains(replay(bench, folder, 1)[1], f"{path.name} is no regular file")


def edit_manifest(folder, change):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


@case
def a_configuration_that_was_changed_is_found(bench):
    settings = {**calibrated(bench), "reduce.bin": 2, "reduce.type": "uint16",
                "regions": [{"name": "r", "x": 1, "y": 2, "width": 3, "height": 4}]}
    folder = record(bench, images(12), settings)
    whole = bench.folder / "manifest.json"
    shutil.copy(folder / "manifest.json", whole)
    changes = (
        (("reduce", "window"), [0, 1.25], "pixels of sink 0: different in 12 frames: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..."),
        (("reduce", "normalise"), "dark", "mean: different in 12 frames"),
        (("reduce", "bin"), 4, "pixels of sink 0"),
        (("ingest", "saturation"), 59000, "saturated: different"),
        (("histogram", "normalised", "high"), 1.25, "histogram.csv: different"),
        (("regions", 0, "x"), 2, "regions: different"),
    )
    for place, value, said in changes:
        def change(manifest):
            node = manifest["configuration"]
            for key in place[:-1]:
                node = node[key]
            check(node[place[-1]] != value, "a change")
            node[place[-1]] = value
        edit_manifest(folder, change)
        err = replay(bench, folder, 1)[1]
        contains(err, said)
        shutil.copy(whole, folder / "manifest.json")
    require_alike(bench, folder, 12)


@case(quick=True)
def a_calibration_that_was_changed_is_refused_by_name(bench):
    folder = record(bench, images(3), calibrated(bench))
    flat = bench.folder / "flat.tif"
    data = bytearray(flat.read_bytes())
    data[-1] ^= 1
    flat.write_bytes(data)
    out, err = replay(bench, folder, 65)
    contains(err, f"calibration.flat: {flat} was changed: it has checksum ")
    equal(replay_json(bench, folder, 65)["verdict"], "refused", "verdict")
    flat.write_bytes(data + b"?")
    contains(replay(bench, folder, 65)[1], f"calibration.flat: {flat} was changed: it has {len(data) + 1} bytes")
    flat.unlink()
    contains(replay(bench, folder, 65)[1], f"calibration.flat: {flat}: No such file")
    os.mkfifo(flat)
    contains(replay(bench, folder, 65)[1], f"calibration.flat: {flat}: is no regular file")


@case
def what_cannot_be_replayed_is_refused(bench):
    contains(replay(bench, bench.folder / "nowhere", 66)[1], "No such file")
    contains(replay(bench, bench.tiff("file.tif", images(1)[0]), 66)[1], "is no folder")
    contains(replay(bench, bench.folder, 66)[1], "manifest.json and journal.bin")
    bench.measure(images(2))
    contains(replay(bench, bench.series().folder, 65)[1], "no source product", "product: source")
    folder = record(bench, images(2))
    contains(replay(bench, source_file(bench).parent, 66)[1], "name that of the first")
    whole = (folder / "manifest.json").read_text()
    changes = (
        (lambda m: m["configuration"].update(mood=1), 65, "not of this version", "mood"),
        (lambda m: m["configuration"]["reduce"].update(bin=3), 65, "reduce.bin"),
        (lambda m: m.update(configuration=None), 65, "no configuration"),
        (lambda m: m.update(frames=None), 65, "`frames`"),
        (lambda m: m["frames"].update(payload_width=10), 65, "`frames`"),
        (lambda m: m["configuration"]["reduce"]["roi"].update(x=1), 65, "reduce.roi"),
        (lambda m: m.update(state="running"), 69, "openbeam recover"),
        (lambda m: m.update(detector={"masked": 7}), 65, "mask of bad pixels"),
        (lambda m: m.update(calibration=[{"role": "dark"}]), 65, "calibration 0"),
    )
    for change, status, *said in changes:
        edit_manifest(folder, change)
        contains(replay(bench, folder, status)[1], *said)
        (folder / "manifest.json").write_text(whole)
    journal = (folder / "journal.bin").read_bytes()
    (folder / "journal.bin").write_bytes(journal[:700] + b"?" + journal[701:])
    contains(replay(bench, folder, 65)[1], "journal.bin", "openbeam audit")


@case
def a_command_line_that_makes_no_sense_is_refused(bench):
    for arguments in ((), ("a", "b"), ("--flats", "a,b", "p"), ("--flats", "a", "--to", "d", "p"),
                      ("--flats", "a,b,c", "--to", "d", "p"), ("--fast", "p"), ("--to",)):
        equal(bench.run("openbeam", "replay", *arguments)[0], 2, f"status of {arguments}")
    contains(bench.run("openbeam", "replay", "--flats", "a,b", "p")[2], "--flats needs --to")
    status, out, _ = bench.run("openbeam", "replay", "--help")
    equal(status, 0, "status of --help")
    contains(out, "usage: openbeam replay", "taken_ns", "65", "66")


@case(quick=True)
def what_comes_out_is_written_as_a_series(bench):
    recorded = record(bench, images(9), {**calibrated(bench), "reduce.bin": 2, "reduce.roi": ROI})
    said = replay_json(bench, recorded, 0, "--to", bench.folder / "again")
    equal((said["verdict"], said["written"], said["histograms"]), ("alike", 9, True), "verdict")
    again = bench.series(bench.folder / "again").require_complete(9)
    equal(str(again.folder), said["folder"], "folder")
    was = bench.series(bench.folder / "r")
    for number, pixels in was.images().items():
        same_pixels(again.images()[number], pixels, f"frame {number}")
    columns = [c for c in was.rows[0] if c not in ("durable_ns",)]
    equal([[r[c] for c in columns] for r in again.rows], [[r[c] for c in columns] for r in was.rows], "ledger")
    equal(again.read_csv("histogram.csv"), was.read_csv("histogram.csv"), "histograms")
    equal([(c["role"], c["crc32c"]) for c in again.manifest["calibration"]],
          [(c["role"], c["crc32c"]) for c in was.manifest["calibration"]], "calibration")
    equal(bench.run("openbeam", "audit", again.folder)[0], 0, "status of the audit")


@case
def means_and_losses_are_written_as_they_were(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "series.frames": 12, "series.idle_end": "400ms", "reduce.average": 3, **calibrated(bench), "sinks": [
            bench.sink("hdf5", compression="bslz4"), bench.sink("raw", folder="frames", product="source")]})
    sent = images(12)
    for n in (0, 1, 2, 4, 5, 9, 11):
        camera.send(n, sent[n])
    daemon.wait(1)
    was = bench.series()
    said = replay_json(bench, was.folder, 0, "--to", bench.folder / "again")
    equal((said["written"], said["pages"], said["left_out"]), (7, 3, []), "verdict")
    again = bench.series(bench.folder / "again").require_closed()
    equal(again.files("*.h5"), ["s-0001.h5", "s-0001_000000.h5"], "format")
    columns = ("frame", "state", "reason", "averaged", "crc32c", "mean", "clipped", "calibration")
    equal([[r[c] for c in columns] for r in again.rows], [[r[c] for c in columns] for r in was.rows], "ledger")
    equal(bench.run("openbeam", "audit", again.folder)[0], 1, "status of the audit")


@case
def a_series_is_written_without_what_cannot_be_read(bench):
    folder = record(bench, images(4), {})
    path = source_file(bench)
    os.truncate(path, 3 * SHAPE[0] * SHAPE[1] * 2)
    said = replay_json(bench, folder, 1, "--to", bench.folder / "again")
    equal((said["written"], said["alike"]), (3, 3), "frames")
    again = bench.series(bench.folder / "again").require_closed()
    equal(again.states()[3], ("dropped", "decode"), "what became of the last")
    equal((folder / "manifest.json").read_text().count('"state": "complete"'), 1, "the series itself is whole")
    (bench.folder / "file").write_text("")
    contains(replay(bench, folder, 74, "--to", bench.folder / "file" / "d")[1], "Not a directory")


def flats_of(bench, taken_ns, sidecars=True):
    """Two flats that were taken then; the dark and both."""
    dark, flat, _ = reference.calibration(SHAPE)
    flats = flat, flat - reference.noise_image(SHAPE, 77, 0, 3000).astype("float32")
    for name, pixels, taken in zip(("before", "after"), flats, taken_ns):
        path = bench.tiff(f"{name}.tif", pixels)
        os.utime(path, ns=(taken, taken))
        if sidecars:
            (bench.folder / f"{name}.json").write_text(json.dumps({"taken_ns": taken}))
    return dark, flats


def flat_at(flats, taken_ns, t):
    """Fb + (Fa - Fb) (t - tb) / (ta - tb), in double, rounded once."""
    w = min(max((t - taken_ns[0]) / (taken_ns[1] - taken_ns[0]), 0), 1)
    before, after = (f.astype(float) for f in flats)
    with numpy.errstate(invalid="ignore"):
        return (before + (after - before) * w).astype("float32")


def check_flats(bench, folder, dark, flats, taken_ns, sent, to):
    again = bench.series(bench.folder / to).require_complete(len(sent))
    times = [int(r["received_ns"]) for r in again.rows]
    for number, pixels in again.images().items():
        flat = flat_at(flats, taken_ns, times[number])
        expected = reference.transmission(sent[number], dark, reference.gain(dark, flat))
        same_pixels(pixels, expected, f"frame {number}")
        exact = reference.exact_transmission(sent[number], dark, flat)
        good = numpy.isfinite(pixels)
        check(reference.ulps(pixels[good], exact[good]).max() <= 2, "within 2 ulp")
    return again


def replay_between(bench, folder, taken_ns, to, **more):
    """Replay with two flats of those times: (dark, flats, what was said)."""
    dark, flats = flats_of(bench, taken_ns, **more)
    names = f"{bench.folder}/before.tif,{bench.folder}/after.tif"
    return dark, flats, replay(bench, folder, 0, "--to", bench.folder / to, "--flats", names)


@case(quick=True)
def flats_are_interpolated_to_the_time_of_each_frame(bench):
    sent = images(6)
    folder = record(bench, sent, calibrated(bench))
    times = [int(r["received_ns"]) for r in bench.series(bench.folder / "r").rows]
    between = times[0] - 1_000_000, times[-1] + 3_000_000
    dark, flats, (out, err) = replay_between(bench, folder, between, "mid")
    contains(out, "not compared: ", "6 frames replayed", "6 written: ")
    equal(err, "", "warnings")
    again = check_flats(bench, folder, dark, flats, between, sent, "mid")
    used = {c["role"]: c["path"] for c in again.manifest["calibration"]}
    equal(used, {"dark": f"{bench.folder}/dark.tif", "flat": f"{bench.folder}/before.tif",
                 "flat_after": f"{bench.folder}/after.tif"}, "calibration")
    outside = times[1], times[3]  # the first frame is before, the last behind
    dark, flats, (out, err) = replay_between(bench, folder, outside, "out")
    check_flats(bench, folder, dark, flats, outside, sent, "out")
    contains(replay(bench, folder, 65, "--to", bench.folder / "no", "--flats",
                    f"{bench.folder}/after.tif,{bench.folder}/before.tif")[1], "was not taken before")
    equal(list(bench.folder.glob("no/*")), [], "series that were begun")


@case
def flats_without_a_sidecar_are_of_the_time_of_their_files(bench):
    sent = images(3)
    folder = record(bench, sent, calibrated(bench))
    times = [int(r["received_ns"]) for r in bench.series(bench.folder / "r").rows]
    between = times[0] - 5_000_000_000, times[-1] + 5_000_000_000
    dark, flats, (out, err) = replay_between(bench, folder, between, "to", sidecars=False)
    contains(err, "before.tif has no JSON beside it", "after.tif has no JSON beside it")
    check_flats(bench, folder, dark, flats, between, sent, "to")


@case
def flats_are_refused_where_they_mean_nothing(bench):
    folder = record(bench, images(2), {})
    flats_of(bench, (1, 2))
    names = f"{bench.folder}/before.tif,{bench.folder}/after.tif"
    contains(replay(bench, folder, 65, "--to", bench.folder / "to", "--flats", names)[1], "needs no flats")
    folder = record(bench, images(2), calibrated(bench), "t")
    small = bench.tiff("small.tif", numpy.full((5, 5), 30000, "float32"))
    contains(replay(bench, folder, 65, "--to", bench.folder / "to", "--flats", f"{bench.folder}/before.tif,{small}")[1],
             "5 x 5 pixels")
    contains(replay(bench, folder, 65, "--to", bench.folder / "to", "--flats", f"{small},nothing.tif")[1],
             "nothing.tif")
