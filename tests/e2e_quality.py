# SPDX-License-Identifier: Apache-2.0
"""Regions, dose and percentiles of every frame, against numpy."""
import math

import h5py
import numpy

import e2e_reference as reference
from e2e_case import case, check, contains, equal, near, same_pixels

F32 = numpy.float32
SHAPE = (61, 83)
RANKS = (0.1, 1, 50, 99, 99.9)
REGIONS = [{"name": "open", "x": 0, "y": 0, "width": 20, "height": 61},
           {"name": "right", "x": 70, "y": 3, "width": 13, "height": 40},
           {"name": "sample", "x": 17, "y": 20, "width": 40, "height": 17},
           {"name": "dot", "x": 82, "y": 60, "width": 1, "height": 1}]


def cut(image, name):
    r = next(r for r in REGIONS if r["name"] == name)
    return image[r["y"]:r["y"] + r["height"], r["x"]:r["x"] + r["width"]]


def calibrated(bench, **more):
    dark, flat, _ = reference.calibration(SHAPE)
    return {"calibration.dark": bench.tiff("dark.tif", dark), "calibration.flat": bench.tiff("flat.tif", flat),
            "reduce.normalise": "transmission", "regions": REGIONS, **more}, dark, flat


def transmissions(images, dark, flat):
    gain = reference.gain(dark, flat)
    return [reference.transmission(i, dark, gain) for i in images]


def sample(count, dtype="uint16", top=4096):
    return [reference.noise_image(SHAPE, seed, 50, top, dtype) for seed in range(count)]


def doses(t):
    """Mean T of the open regions, in double."""
    values = numpy.concatenate([cut(t, "open").ravel(), cut(t, "right").ravel()]).astype(float)
    return values[numpy.isfinite(values)].mean()


def near_moments(row, prefix, pixels, what):
    good = pixels[numpy.isfinite(pixels)].astype(float)
    if good.size == 0:
        equal(row[f"{prefix}mean"], "", f"{what}: mean")
        return
    near(float(row[f"{prefix}mean"]), good.mean(), f"{what}: mean", relative=1e-6)
    near(float(row[f"{prefix}std"]), good.std(), f"{what}: std", relative=1e-6, absolute=1e-9)
    near(float(row[f"{prefix}min"]), good.min(), f"{what}: min", relative=1e-8)
    near(float(row[f"{prefix}max"]), good.max(), f"{what}: max", relative=1e-8)


def check_regions(row, raw, t, bad, saturation):
    for region in REGIONS:
        name = region["name"]
        r, n, b = cut(raw, name).astype(float), cut(t, name), cut(bad, name)
        near_moments(row, f"{name}_raw_", numpy.where(b, numpy.nan, r), f"{name}, raw")
        near_moments(row, f"{name}_", n, name)
        equal(int(row[f"{name}_good"]), int((~b).sum()), f"{name}: good pixels")
        equal(int(row[f"{name}_saturated"]), int((r[~b] >= saturation).sum()), f"{name}: saturated")
        if (~b).sum() > 1:
            good = n[~b].astype(float)
            near(float(row[f"{name}_snr"]), good.mean() / good.std(), f"{name}: snr", relative=1e-5)


@case(quick=True)
def regions_are_those_of_numpy_for_raw_and_normalised_pixels(bench):
    settings, dark, flat = calibrated(bench, **{"ingest.saturation": 4000})
    images = sample(8)
    series = bench.measure(images, settings).require_complete(8)
    for row, raw, t in zip(series.rows, images, transmissions(images, dark, flat)):
        check_regions(row, raw, t, numpy.isnan(t), 4000)


@case
def regions_of_every_pixel_type_and_inside_a_region_of_interest(bench):
    for dtype, top in (("uint8", 256), ("uint32", 4_000_000_000), ("float32", 4096)):
        images = sample(3, dtype, top)
        bench.measure_into(dtype, images, {"regions": REGIONS})
        for row, raw in zip(bench.series(bench.folder / dtype).rows, images):
            none = numpy.zeros(SHAPE, bool)
            check_regions(row, raw, raw.astype(F32), none, numpy.inf if dtype == "float32" else
                          2 ** (8 * raw.itemsize) - 1)
    settings, dark, flat = calibrated(bench, **{
        "regions": REGIONS[2:3], "reduce.roi": {"x": 10, "y": 12, "width": 60, "height": 40}})
    images = sample(3)
    series = bench.measure(images, settings)
    for row, t in zip(series.rows, transmissions(images, dark, flat)):
        near_moments(row, "sample_", cut(t, "sample"), "inside a region of interest")


@case(quick=True)
def the_dose_is_recorded_or_applied(bench):
    images = sample(6)
    for use in ("record", "apply"):
        settings, dark, flat = calibrated(bench, **{
            "beam": {"regions": ["open", "right"], "use": use, "dump": 0.01}, "sinks": [bench.sink(folder=use)]})
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, {"series.frames": 6, **settings})
        camera.send_all(images)
        daemon.wait()
        series = bench.series(bench.folder / use).require_complete(6)
        pixels = series.images()
        for number, t in enumerate(transmissions(images, dark, flat)):
            dose = float(series.rows[number]["dose"])
            near(dose, doses(t), f"dose of {number}", relative=1e-6)
            wanted = t if use == "record" else (t * F32(1 / dose)).astype(F32)
            same_pixels(pixels[number], wanted, f"frame {number}, {use}")
            check_regions(series.rows[number], images[number], wanted, numpy.isnan(t), 65535)


@case
def percentiles_of_raw_pixels_are_those_of_numpy(bench):
    images = sample(5)
    series = bench.measure(images, {"ingest.bits": 12}).require_complete(5)
    for row, raw in zip(series.rows, images):
        for rank in RANKS:
            expected = numpy.percentile(raw, rank, method="inverted_cdf")
            equal(float(row[f"raw_p{rank:g}"]), float(expected), f"raw percentile {rank}")
    total = numpy.concatenate([i.ravel() for i in images])
    equal(series.manifest["percentiles"]["raw"],
          [float(numpy.percentile(total, rank, method="inverted_cdf")) for rank in RANKS],
          "percentiles of the series")


@case
def percentiles_of_normalised_pixels_are_those_of_their_histogram(bench):
    settings, dark, flat = calibrated(bench, **{"histogram.normalised": {"bins": 1000, "low": 0.0, "high": 4.0}})
    images = sample(5)
    series = bench.measure(images, settings).require_complete(5)
    for row, t in zip(series.rows, transmissions(images, dark, flat)):
        good = numpy.sort(t[numpy.isfinite(t)])
        for rank in RANKS:
            exact = good[max(1, math.ceil(rank * good.size / 100)) - 1]
            found = float(row[f"p{rank:g}"])
            if 0 <= exact < 4:
                near(found, float(exact), f"percentile {rank}", absolute=0.0041)
            else:
                equal(found, math.copysign(math.inf, exact), f"percentile {rank}, outside")


@case
def quality_does_not_depend_on_isa_workers_or_batch(bench):
    images = sample(12)
    found = []
    for i, (isa, workers, batch) in enumerate((("auto", 3, 8), ("scalar", 1, 1), ("avx2", 2, 3))):
        settings, *_ = calibrated(bench, **{
            "beam": {"regions": ["open", "right"], "use": "apply", "dump": 0.01}, "daemon.isa": isa,
            "daemon.workers": workers, "daemon.batch": batch})
        bench.measure_into(f"q{i}", images, settings)
        skip = ("received_ns", "durable_ns", "timestamp_ns")
        found.append([{k: v for k, v in r.items() if k not in skip}
                      for r in bench.series(bench.folder / f"q{i}").rows])
    equal(found[1], found[0], "ledger of scalar, one worker")
    equal(found[2], found[0], "ledger of avx2, two workers")


@case
def a_region_that_leaves_the_frame_is_refused_by_name(bench):
    wide = [{"name": "wide", "x": 80, "y": 0, "width": 10, "height": 3}]
    log = bench.refused({"regions": wide, "ingest.frame": {"width": 83, "height": 61}}, 78)
    contains(log, "regions.0.x", "columns 80 to 89", "ingest.frame")
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"regions": wide, "series.frames": 1}, series=None)
    camera.send_all(sample(1))
    from e2e_case import until
    until(lambda: "wide" in daemon.log, "the region is named")
    daemon.stop(None)


@case
def a_dose_divides_nothing_before_there_is_a_flat(bench):
    images = sample(4)
    series = bench.measure(images, {
        "reduce.normalise": "transmission", "calibration.flat": "", "regions": [
            {"name": "open", "x": 2, "y": 3, "width": 20, "height": 11}],
        "beam": {"regions": ["open"], "use": "apply"}}).require_complete(4)
    equal({r["flags"] for r in series.rows}, {""}, "flags")
    for number, pixels in series.images().items():
        same_pixels(pixels, images[number].astype("float32"), f"counts of frame {number}")


@case
def a_master_says_that_frames_were_divided_by_their_dose(bench):
    odd = "1.x-_9"
    settings, dark, flat = calibrated(bench, **{"beam": {"regions": ["open", odd], "use": "apply", "dump": 0.01}})
    settings["regions"] = [{**r, "name": odd} if r["name"] == "right" else r for r in REGIONS]
    images = sample(3)
    bench.measure_into("h5", images, settings, "hdf5")
    series = bench.series(bench.folder / "h5")
    t = transmissions(images, dark, flat)
    with h5py.File(next(series.folder.glob("s-????.h5"))) as master:
        process = master["/entry1/process"]
        equal(process["dose_applied"].asstr()[()], "yes", "dose_applied")
        contains(process["description"].asstr()[()], "(I - D) / (F - D)", "divided by the frame's dose")
        for number in range(3):
            dose = doses(t[number])
            near(master["/entry1/tomo_entry/control/data"][number], dose, f"dose of {number}", relative=1e-6)
            near(master[f"/entry1/openbeam/regions/{odd}/mean"][number],
                 numpy.nanmean(cut(t[number], "right").astype(float)) / dose, f"mean of {number}", relative=1e-6)
    equal(bench.run("openbeam", "audit", series.folder)[0], 0, "audit")


@case
def an_open_beam_without_a_good_pixel_is_said(bench):
    settings, _, _ = calibrated(bench, **{"beam.regions": ["right"]})
    mask = numpy.zeros(SHAPE, "uint8")
    mask[3:43, 70:83] = 1
    settings["calibration.mask"] = bench.tiff("mask.tif", mask)
    series = bench.measure(sample(3), settings)
    equal({r["dose"] for r in series.rows}, {""}, "dose")
    contains(bench.daemons[-1].log, "warning calibration: every pixel of beam.regions is bad")
    mask[42, 82] = 0
    settings["calibration.mask"] = bench.tiff("mask.tif", mask)
    bench.measure_into("seen", sample(3), settings)
    check("beam.regions is bad" not in bench.daemons[-1].log, "one good pixel is a beam")
