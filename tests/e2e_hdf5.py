# SPDX-License-Identifier: Apache-2.0
"""HDF5 series, read as programs read them: with h5py, by the rules of NXtomo and of httomo."""
import json
import os
import shutil
import subprocess
import sys
import time

import h5py
import numpy

import e2e_reference as reference
from check_nexus import httomo, reader_arithmetic
from e2e_case import Skip, case, check, contains, equal, same_pixels
from e2e_sender import counter

F32 = numpy.float32
SHAPE = (61, 83)
SOURCE = {"reduce.type": "source"}
DARK, FLAT, PROJECTION, ABSENT = 2, 1, 0, 3
ANGLES = {"rotation.start": -90, "rotation.step": 0.5}


def images(count, shape=SHAPE, dtype="uint16"):
    return [reference.noise_image(shape, n, 150, 34000, dtype) for n in range(count)]


def master_of(series):
    return series.folder / f"{series.folder.name}.h5"


def stack_of(series):
    """What a program takes of the master: data, angles, keys, numbers."""
    with h5py.File(master_of(series), "r") as f:
        data, angles, keys = (d[...] for d in httomo(f))
        return data, angles, list(keys), list(f["entry1/openbeam/frame_number"][...])


def proved(bench, series, status=0):
    found, out, err = bench.run("openbeam", "audit", series.folder)
    equal(found, status, f"status of the audit\n{out}{err}")
    return series


def calibrated(bench, whole_counts=False, shape=SHAPE):
    """Settings with a dark and a flat, and what they are: (settings, dark, flat)."""
    dark, flat, _ = reference.calibration(shape)
    if whole_counts:
        dark, flat = (numpy.nan_to_num(numpy.rint(c), nan=7, posinf=9) for c in (dark, flat))
    return {"calibration.dark": bench.tiff("dark.tif", dark),
            "calibration.flat": bench.tiff("flat.tif", flat)}, dark, flat


def measure(bench, sent, settings, folder="out", **sink):
    """A series of its own in a folder of its own."""
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "series.frames": len(sent), **settings, "sinks": [bench.sink("hdf5", folder, **sink)]})
    camera.send_all(sent)
    daemon.wait()
    return bench.series(bench.folder / folder).require_complete(len(sent))


def near_transmission(found, exact, what):
    """Where neither is bad; the others must be bad in both."""
    good = numpy.isfinite(exact)
    check(good.sum() > 0.9 * good.size, f"{what}: most pixels are good")
    check(reference.ulps(found[good].astype(F32), exact[good]).max() <= 2, f"{what}: within 2 ulp")


@case(quick=True)
def hdf5_holds_the_senders_frames_bit_for_bit(bench):
    endpoint = f"ipc://{bench.folder}/camera"
    daemon = bench.daemon(endpoint, {**SOURCE, **ANGLES, "series.frames": 60,
                                     "sinks": [bench.sink("hdf5", frames_per_file=25)]})
    sender = bench.send(endpoint, "--frames", 60, "--size", "72x40", "--pattern", "counter")
    daemon.wait()
    equal(sender.wait(10), 0, "status of the sender")
    series = proved(bench, bench.series().require_complete(60))
    name = series.folder.name
    equal(series.files("*.h5"), [f"{name}.h5", *(f"{name}_{i:06}.h5" for i in range(3))], "files")
    expected = numpy.stack([counter(n, (40, 72)).astype("uint16") for n in range(60)])
    data, angles, keys, numbers = stack_of(series)
    same_pixels(data, expected, "the stack of the master")
    equal((keys, numbers), ([PROJECTION] * 60, list(range(60))), "keys and numbers")
    same_pixels(angles, -90 + 0.5 * numpy.arange(60), "angles")
    for row in series.rows:
        with h5py.File(series.folder / row["file"], "r") as f:
            same_pixels(f["entry1/data/data"][int(row["index"])], expected[int(row["frame"])],
                        f"frame {row['frame']} where the ledger says")


@case
def hdf5_takes_every_type_and_size(bench):
    for dtype in ("uint8", "uint16", "uint32", "float32"):
        for shape in ((1, 1), (7, 3), (33, 129), (256, 512)):
            folder = f"{dtype}-{shape[0]}"
            sent = [i.astype(dtype) for i in images(6, shape)]
            series = measure(bench, sent, {**SOURCE, **ANGLES}, folder, frames_per_file=4)
            same_pixels(stack_of(proved(bench, series))[0], numpy.stack(sent), folder)


@case
def hdf5_products_are_those_of_numpy(bench):
    sent = images(8)
    calibration, dark, flat = calibrated(bench)
    gain = reference.gain(dark, flat)
    kept = ~numpy.isnan(gain)
    transmission = [reference.transmission(i, dark, gain) for i in sent]
    expected = {"none": [i.astype(F32) for i in sent], "dark": [i.astype(F32) - dark for i in sent],
                "transmission": transmission, "attenuation": None}
    for normalise, wanted in expected.items():
        series = proved(bench, measure(
            bench, sent, {**calibration, **ANGLES, "reduce.normalise": normalise}, normalise))
        data, _, keys, _ = stack_of(series)
        rows = data[len(keys) - len(sent):]
        for n, found in enumerate(rows):
            if wanted is not None:
                same_pixels(found[kept], wanted[n][kept].astype(F32), f"{normalise} of frame {n}")
                continue
            exact = reference.attenuation(transmission[n])
            good = numpy.isfinite(exact)
            check(reference.ulps(found[good], exact[good]).max() <= 2, f"-ln of frame {n}")
        check_calibration(series, normalise, keys, dark, flat, len(sent))


def check_calibration(series, normalise, keys, dark, flat, frames):
    """Not normalised: the stack begins with dark and flat. Else nobody may do it twice."""
    plain = normalise == "none"
    equal(keys, ([DARK, FLAT] if plain else []) + [PROJECTION] * frames, f"keys with {normalise}")
    with h5py.File(master_of(series), "r") as f:
        group = f["entry1/openbeam/calibration"]
        same_pixels(group["dark"][...], dark, "the dark")
        same_pixels(group["flat"][...], flat, "the flat")
        equal({n for n in group if n.endswith("_frame")},
              {"dark_frame", "flat_frame"} if plain else set(), f"frames of the stack, {normalise}")
        if plain:
            data = httomo(f)[0]
            for row, name in enumerate(("dark_frame", "flat_frame")):
                same_pixels(data[row], numpy.squeeze(group[name][...]), name)


@case
def a_reader_that_normalises_gets_what_the_daemon_does(bench):
    sent = images(6)
    calibration, dark, flat = calibrated(bench)
    plain = measure(bench, sent, {**calibration, **ANGLES, "reduce.normalise": "none"}, "plain")
    done = measure(bench, sent, {**calibration, **ANGLES, "reduce.normalise": "transmission"}, "done")
    ours = stack_of(done)[0]
    with h5py.File(master_of(plain), "r") as f, numpy.errstate(all="ignore"):
        theirs = reader_arithmetic(f)
    for n in range(len(sent)):
        good = numpy.isfinite(ours[n])
        equal(good.sum(), good.size - 5, "good pixels")
        check(reference.ulps(ours[n][good], theirs[n][good]).max() <= 2, f"frame {n}: within 2 ulp")
    with h5py.File(master_of(done), "r") as f:
        same_pixels(reader_arithmetic(f), ours.astype(float), "what a reader makes of transmission")


@case
def a_reader_normalises_source_frames_beside_the_reduced_ones(bench):
    sent = images(6)
    calibration, dark, flat = calibrated(bench, whole_counts=True)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **calibration, **ANGLES, "reduce.normalise": "transmission", "series.frames": len(sent),
        "sinks": [bench.sink("hdf5", "reduced"), bench.sink("hdf5", "source", product="source")]})
    camera.send_all(sent)
    daemon.wait()
    reduced = proved(bench, bench.series(bench.folder / "reduced").require_complete(len(sent)))
    ours = stack_of(reduced)[0]
    path = bench.folder / "source" / reduced.folder.name / f"{reduced.folder.name}.h5"
    with h5py.File(path, "r") as f, numpy.errstate(all="ignore"):
        data, _, keys = (d[...] for d in httomo(f))
        theirs = reader_arithmetic(f)
    equal((list(keys), str(data.dtype)), ([DARK, FLAT] + [PROJECTION] * 6, "uint16"), "keys, type")
    same_pixels(data[2:], numpy.stack(sent), "source frames")
    for n in range(len(sent)):
        good = numpy.isfinite(ours[n])
        check(good.sum() > 0.9 * good.size, "most pixels are good")
        check(reference.ulps(ours[n][good], theirs[n][good]).max() <= 2, f"frame {n}: within 2 ulp")


@case
def frames_that_are_lost_have_a_key_and_no_value(bench):
    for product, none in (("source", 65535), ("float32", numpy.nan), ("uint8", 255)):
        endpoint, report = f"ipc://{bench.folder}/{product}.socket", bench.folder / f"{product}.json"
        daemon = bench.daemon(endpoint, {
            "reduce.type": product, "reduce.window": [0, 4096], **ANGLES, "series.frames": 200,
            "series.idle_end": "700ms", "sinks": [bench.sink("hdf5", product, frames_per_file=30)]})
        sender = bench.send(endpoint, "--frames", 200, "--size", "40x30", "--pattern", "counter",
                            "--lose", 0.2, "--seed", 3, "--report", report)
        equal(sender.wait(20), 0, "status of the sender")
        daemon.wait(1)
        series = proved(bench, bench.series(bench.folder / product).require_closed(), 1)
        lost = set(json.loads(report.read_text())["lost"])
        check(len(lost) > 20, "many were lost")
        data, angles, keys, numbers = stack_of(series)
        equal(numbers, list(range(200)), "every number has its row")
        equal({n for n in numbers if keys[n] == ABSENT}, lost, "absent frames")
        equal(set(keys), {PROJECTION, ABSENT}, "keys")
        same_pixels(angles, -90 + 0.5 * numpy.arange(200), "angles, those of lost frames too")
        for n in numbers:
            sent = counter(n, (30, 40)).astype("uint16")
            wanted = {"source": sent, "float32": sent.astype(F32),
                      "uint8": reference.to_integer(sent, "uint8", 0, 4096)[0]}[product]
            same_pixels(data[n], numpy.full_like(wanted, none) if n in lost else wanted, f"row {n}")


@case
def angles_are_from_the_frames_or_not_there_with_a_warning(bench):
    sent, said = images(5), "httomo and Savu need"
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **SOURCE, "rotation.from_key": "stage.angle", "series.frames": 5,
        "sinks": [bench.sink("hdf5", "key")]})
    for n, one in enumerate(sent):
        camera.send(n, one, stage={"angle": 10 - n / 4} if n != 3 else None)
    daemon.wait()
    series = proved(bench, bench.series(bench.folder / "key").require_complete(5))
    same_pixels(stack_of(series)[1], numpy.array([10, 9.75, 9.5, numpy.nan, 9]), "angles by key")
    check(said not in daemon.log, "no warning where a key is named")

    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **SOURCE, "series.frames": 5, "series.idle_end": "300ms",
        "sinks": [bench.sink("hdf5", "none"), bench.sink("raw", "raw")]}, series=2)
    for turn in range(2):
        camera.send_all(sent)
        bench.wait_for_end(turn + 1, bench.folder / "none")
        time.sleep(0.6)  # silence, or the next frames would belong to no series
    daemon.wait()
    for series in bench.all_series(bench.folder / "none"):
        same_pixels(stack_of(series)[1], numpy.full(5, numpy.nan), "no angles")
    equal(daemon.log.count(said), 2, "warnings, one a series")
    contains(daemon.log, "rotation.start", "rotation.step", "rotation.from_key")


@case
def averages_are_rows_and_the_ledger_keeps_each_frame(bench):
    sent = images(22)
    calibration, dark, flat = calibrated(bench)
    series = proved(bench, measure(bench, sent, {
        **calibration, **ANGLES, "reduce.normalise": "transmission", "reduce.average": 4},
        frames_per_file=3))
    data, angles, keys, numbers = stack_of(series)
    groups = [range(first, min(first + 4, 22)) for first in range(0, 22, 4)]
    equal((keys, numbers), ([PROJECTION] * 6, [g[0] for g in groups]), "rows")
    same_pixels(angles, numpy.array([numpy.mean([-90 + 0.5 * n for n in g]) for g in groups]),
                "mean angles")
    bad = numpy.isnan(reference.gain(dark, flat))
    for found, group in zip(data, groups):
        mean = numpy.mean([sent[n].astype(float) for n in group], axis=0)
        exact = reference.exact_transmission(mean, dark, flat)
        exact[bad] = numpy.nan
        equal((numpy.isnan(found) == bad).all(), True, "bad pixels")
        near_transmission(found, exact, f"mean from frame {group[0]}")
    with h5py.File(master_of(series), "r") as f:
        ledger = f["entry1/openbeam/ledger"]
        equal(list(ledger["frame"][...]), list(range(22)), "frames of the ledger")
        equal(list(ledger["averaged"][...]), [len(groups[n // 4]) for n in range(22)], "averaged")


@case
def regions_and_bins_are_cut_of_the_calibration_too(bench):
    sent = images(4)
    calibration, dark, flat = calibrated(bench, whole_counts=True)
    series = proved(bench, measure(bench, sent, {
        **calibration, **ANGLES, "reduce.normalise": "none", "reduce.bin": 4,
        "reduce.roi": {"x": 8, "y": 4, "width": 40, "height": 50}}))
    data, _, keys, _ = stack_of(series)
    equal(keys, [DARK, FLAT] + [PROJECTION] * 4, "keys")
    for n, plane in enumerate([dark, flat, *sent]):
        expected = reference.binned(plane[4:54, 8:48].astype(F32), 4)
        equal(data[n].shape, expected.shape, "shape")
        check(numpy.allclose(data[n], expected, rtol=1e-6), f"row {n}")


def read_elsewhere(path):
    """The stack as a program without our modules or settings reads it: its bytes, or what failed."""
    program = ("import h5py, sys\n"
               "with h5py.File(sys.argv[1], 'r') as f:\n"
               "    sys.stdout.buffer.write(f['entry1/tomo_entry/data/data'][...].tobytes())\n")
    environment = {k: v for k, v in os.environ.items() if k != "HDF5_PLUGIN_PATH"}
    return subprocess.run([sys.executable, "-c", program, path], capture_output=True, check=False,
                          env=environment)


@case(quick=True)
def bitshuffled_hdf5_is_read_with_debians_plugin(bench):
    if not h5py.h5z.filter_avail(32008):
        raise Skip("no HDF5 plugin of filter 32008 (Debian package bitshuffle)")
    for dtype, shape in (("uint8", (33, 129)), ("uint16", (256, 320)), ("uint32", SHAPE),
                         ("float32", (7, 3))):
        sent = [(i // 64).astype(dtype) for i in images(12, shape)]
        series = proved(bench, measure(bench, sent, {**SOURCE, **ANGLES}, dtype, frames_per_file=5,
                                       compression="bslz4"))
        read = read_elsewhere(master_of(series))
        equal((read.returncode, read.stderr), (0, b""), f"h5py on {dtype}")
        check(read.stdout == numpy.stack(sent).tobytes(), f"{dtype}: the sender's frames")
        with h5py.File(series.folder / f"{series.folder.name}_000000.h5", "r") as f:
            data = f["entry1/data/data"]
            check("32008" in data._filters, "the filter is named in the file")
            stored = data.id.get_storage_size()
        if dtype == "uint16":
            check(stored < 0.8 * 5 * sent[0].nbytes, f"{stored} bytes of 5 frames")


@case
def compression_changes_no_product(bench):
    sent = images(9)
    calibration, _, _ = calibrated(bench)
    read = {}
    for compression in ("none", "bslz4"):
        series = proved(bench, measure(bench, sent, {
            **calibration, **ANGLES, "reduce.normalise": "transmission"}, compression,
            frames_per_file=4, compression=compression))
        read[compression] = stack_of(series)[0]
    same_pixels(read["bslz4"], read["none"], "transmission, compressed")


@case
def tiff_and_hdf5_side_by_side_hold_the_same(bench):
    sent = images(15)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **ANGLES, "series.frames": 15, "sinks": [
            bench.sink("tiff"), bench.sink("hdf5", "nexus", frames_per_file=4)]})
    camera.send_all(sent)
    daemon.wait()
    series = proved(bench, bench.series().require_complete(15))
    pages = numpy.stack(series.pages())
    same_pixels(pages, numpy.stack(sent).astype(F32), "pages of the TIFF")
    folder = bench.folder / "nexus" / series.folder.name
    equal(sorted(p.name for p in folder.iterdir()),
          sorted([f"{folder.name}.h5", *(f"{folder.name}_{i:06}.h5" for i in range(4))]),
          "files in the other directory")
    with h5py.File(folder / f"{folder.name}.h5", "r") as f:
        same_pixels(httomo(f)[0][...], pages, "the stack of the master")
    rows = series.read_csv("sink-1.csv")
    equal([(r["file"], int(r["index"])) for r in rows],
          [(f"{folder.name}_{n // 4:06}.h5", n % 4) for n in range(15)], "sink-1.csv")


@case
def a_series_folder_can_be_moved(bench):
    sent = images(9)
    series = measure(bench, sent, {**SOURCE, **ANGLES}, frames_per_file=4)
    moved = bench.folder / "elsewhere" / "renamed"
    moved.parent.mkdir()
    shutil.move(series.folder, moved)
    with h5py.File(moved / f"{series.folder.name}.h5", "r") as f:
        same_pixels(httomo(f)[0][...], numpy.stack(sent), "the stack")


@case
def h5dump_reads_every_file(bench):
    if not shutil.which("h5dump"):
        raise Skip("no h5dump")
    for compression in ("none", "bslz4"):
        series = measure(bench, images(5), {**SOURCE, **ANGLES}, compression, frames_per_file=3,
                         compression=compression)
        for name in series.files("*.h5"):
            done = subprocess.run(["h5dump", "-H", series.folder / name], capture_output=True,
                                  text=True, check=False)
            equal((done.returncode, done.stderr), (0, ""), f"h5dump -H {name}")
            contains(done.stdout, 'DATASET "data"', "( 5, 61, 83 )" if "_" not in name else "61, 83")
