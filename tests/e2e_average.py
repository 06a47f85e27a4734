# SPDX-License-Identifier: Apache-2.0
"""Averaging: the pages are means of raw counts, the ledger keeps every frame."""
import numpy
import tifffile

import e2e_reference as reference
from e2e_case import case, check, equal, near, same_pixels

F32 = numpy.float32
SHAPE = (61, 83)


def calibrated(bench, **more):
    dark, flat, _ = reference.calibration(SHAPE)
    settings = {"calibration.dark": bench.tiff("dark.tif", dark),
                "calibration.flat": bench.tiff("flat.tif", flat),
                "reduce.normalise": "transmission", "series.first": 0, **more}
    return settings, dark, flat


def noise(count, dtype="uint16"):
    top = {"uint8": 256, "uint16": 60000, "uint32": 4_000_000_000, "float32": 60000}[dtype]
    return [reference.noise_image(SHAPE, seed, 50, top, dtype) for seed in range(count)]


def mean_transmission(images, dark, flat):
    """(mean I - D) / (F - D) in double; NaN where the pixel is bad."""
    bad = numpy.isnan(reference.gain(dark, flat))
    exact = reference.exact_transmission(numpy.mean([i.astype(float) for i in images], axis=0), dark, flat)
    exact[bad] = numpy.nan
    return exact


def send(bench, numbers, images, settings, status=0):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"series.idle_end": "400ms", **settings})
    for number in numbers:
        camera.send(number, images[number])
    daemon.wait(status)
    return bench.series()


def near_mean(found, exact, what):
    good = numpy.isfinite(exact)
    check((numpy.isnan(found) == ~good).all(), f"{what}: the same pixels are bad")
    check(reference.ulps(found[good], exact[good]).max() <= 2, f"{what}: within 2 ulp")


def check_ledger(series, groups):
    """groups: the numbers of each page, in order."""
    rows = {int(r["frame"]): r for r in series.written()}
    equal(sorted(rows), [n for g in groups for n in g], "written frames")
    for page, group in enumerate(groups):
        for number in group:
            row = rows[number]
            equal((int(row["index"]), int(row["averaged"])), (page, len(group)), f"place of {number}")
        equal(len({rows[n]["crc32c"] for n in group}), 1, "one checksum for a page")
    pages = series.pages()
    equal(len(pages), len(groups), "pages")
    equal([rows[g[0]]["crc32c"] for g in groups], reference.crc32c(pages), "checksums of the pages")
    return pages


@case(quick=True)
def pages_are_means_and_every_frame_is_in_the_ledger(bench):
    images = noise(10)
    settings, dark, flat = calibrated(bench, **{"reduce.average": 4, "series.frames": 10})
    series = send(bench, range(10), images, settings).require_closed()
    groups = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    for page, group in zip(check_ledger(series, groups), groups):
        near_mean(page, mean_transmission([images[n] for n in group], dark, flat), f"page of {group}")
    equal(series.state, "complete", "state")
    gain = reference.gain(dark, flat)
    for row in series.written():  # statistics are each frame's own
        low, high, mean, std = reference.float_moments(
            reference.transmission(images[int(row["frame"])], dark, gain))
        near(float(row["mean"]), mean, "mean", relative=1e-6)
        near(float(row["max"]), high, "max", relative=1e-8)


@case
def every_pixel_type_is_averaged(bench):
    for dtype in ("uint8", "uint16", "uint32", "float32"):
        images = noise(5, dtype)
        bench.measure_into(dtype, images, {"reduce.average": 5, "series.first": 0})
        series = bench.series(bench.folder / dtype)
        page, = check_ledger(series, [[0, 1, 2, 3, 4]])
        exact = numpy.mean([i.astype(float) for i in images], axis=0)
        check(reference.ulps(page, exact).max() <= 2, f"mean of {dtype}")


@case(quick=True)
def lost_disordered_and_doubled_frames_do_not_spoil_a_mean(bench):
    images = noise(12)
    settings, dark, flat = calibrated(bench, **{"reduce.average": 3, "series.frames": 12})
    numbers = [1, 0, 1, 2, 4, 3, 3, 8, 6, 7, 0, 11]  # 5, 9 and 10 never come
    series = send(bench, numbers, images, settings, 1).require_closed()
    groups = [[0, 1, 2], [3, 4], [6, 7, 8], [11]]
    for page, group in zip(check_ledger(series, groups), groups):
        near_mean(page, mean_transmission([images[n] for n in group], dark, flat), f"page of {group}")
    lost = {n for n, (state, _) in series.states().items() if state == "missing"}
    equal(lost, {5, 9, 10}, "missing frames")
    equal(series.totals["duplicate"], 3, "duplicates")


@case
def a_group_without_a_frame_has_no_page(bench):
    images = noise(9)
    series = send(bench, [0, 1, 2, 6, 7, 8], images,
                  {"reduce.average": 3, "series.first": 0, "series.frames": 9}, 1).require_closed()
    check_ledger(series, [[0, 1, 2], [6, 7, 8]])


@case
def groups_begin_at_the_first_number_and_count_steps(bench):
    images = {n: reference.noise_image(SHAPE, n, 0, 60000) for n in range(100, 130, 5)}
    series = send(bench, images, images, {"reduce.average": 2, "series.first": 100, "series.step": 5,
                                          "series.frames": 6}).require_closed()
    groups = [[100, 105], [110, 115], [120, 125]]
    for page, group in zip(check_ledger(series, groups), groups):
        exact = numpy.mean([images[n].astype(float) for n in group], axis=0)
        check(reference.ulps(page, exact).max() <= 2, f"mean of {group}")


@case
def a_mean_is_cut_mended_binned_and_mapped_like_a_frame(bench):
    images = noise(6)
    region = numpy.s_[7:7 + 40, 13:13 + 50]
    roi = {"x": 13, "y": 7, "width": 50, "height": 40}
    mask = numpy.zeros(SHAPE, "uint8")
    mask[20, 30:40] = 1
    for name, more in (("binned", {"reduce.bin": 2, "reduce.type": "uint16"}),
                       ("mended", {"reduce.bad_pixels": "median"}),
                       ("attenuation", {"reduce.normalise": "attenuation"})):
        settings, dark, flat = calibrated(bench, **{
            "reduce.average": 6, "reduce.roi": roi, "calibration.mask": bench.tiff("mask.tif", mask), **more})
        bench.measure_into(name, images, settings)
        page, = check_ledger(bench.series(bench.folder / name), [list(range(6))])
        exact = mean_transmission(images, dark, flat)
        exact[mask > 0] = numpy.nan
        exact = exact[region]
        if name == "binned":
            expected, _ = reference.to_integer(reference.binned(exact, 2), "uint16", 0, 1.5)
            check(numpy.abs(page.astype(int) - expected).max() <= 1, "binned")
        elif name == "mended":
            check(numpy.nanmax(numpy.abs(page - reference.mended(exact))) < 1e-6, "mended")
        else:
            exact[~(exact > 0)] = numpy.nan
            error = numpy.abs(page + numpy.log(exact))
            check(numpy.nanmax(error) < 1e-5, "attenuation")


@case
def source_frames_are_kept_one_by_one_beside_the_means(bench):
    images = noise(6)
    settings = {"reduce.average": 3, "series.first": 0, "sinks": [
        bench.sink(folder="means"), bench.sink(folder="frames", product="source")]}
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"series.frames": 6, **settings})
    camera.send_all(images)
    daemon.wait()
    check_ledger(bench.series(bench.folder / "means"), [[0, 1, 2], [3, 4, 5]])
    path, = (bench.folder / "frames").glob("*/*.tif")
    for number, found in enumerate(tifffile.imread(path)):
        same_pixels(found, images[number], f"source frame {number}")


@case
def more_frames_than_the_series_has_make_one_page(bench):
    images = noise(7)
    series = send(bench, range(7), images, {"reduce.average": 65536, "series.first": 0,
                                            "series.frames": 7}).require_closed()
    page, = check_ledger(series, [list(range(7))])
    exact = numpy.mean([i.astype(float) for i in images], axis=0)
    check(reference.ulps(page, exact).max() <= 2, "mean of 7")


@case
def a_mean_does_not_depend_on_workers_or_isa(bench):
    images = noise(40)
    found = []
    for workers, isa in ((1, "scalar"), (3, "auto"), (4, "auto")):
        output = f"{workers}-{isa}"
        settings, *_ = calibrated(bench, **{"reduce.average": 7, "reduce.bin": 2,
                                            "daemon.workers": workers, "daemon.isa": isa})
        bench.measure_into(output, images, settings)
        series = bench.series(bench.folder / output).require_complete(40)
        found.append([(r["frame"], r["index"], r["averaged"], r["mean"], r["crc32c"])
                      for r in series.written()])
    equal(found[0], found[1], "1 scalar worker and 3")
    equal(found[0], found[2], "1 scalar worker and 4")


@case
def a_mean_of_unchanged_pixels_is_refused(bench):
    status, _, said = bench.run("openbeamd", "--check", "--set", "reduce.average=4",
                                "--set", "reduce.type=source", "--set", "reduce.normalise=none")
    equal(status, 78, "status")
    check("reduce.average" in said and "source" in said, f"says why: {said}")
