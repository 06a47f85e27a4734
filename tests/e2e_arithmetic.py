# SPDX-License-Identifier: Apache-2.0
"""What becomes of the pixels: normalisation, bad pixels, binning, statistics, histograms."""
import hashlib

import numpy
import tifffile

import e2e_reference as reference
from e2e_case import Skip, case, check, equal, near, same_pixels

F32 = numpy.float32
SHAPE = (61, 83)  # odd, and prime: no tile, lane or bin divides it


def calibrated(bench, shape=SHAPE, **more):
    """Settings with a dark and a flat, and what numpy makes of them: (settings, dark, flat, gain)."""
    dark, flat, _ = reference.calibration(shape)
    settings = {"calibration.dark": bench.tiff("dark.tif", dark),
                "calibration.flat": bench.tiff("flat.tif", flat),
                "reduce.normalise": "transmission", **more}
    return settings, dark, flat, reference.gain(dark, flat)


def sample_images(count=6, shape=SHAPE):
    images = [reference.noise_image(shape, seed, 50, 34000) for seed in range(count)]
    images[-1][5, 5:9] = 65535  # saturated
    images[-1][6, 5:9] = 0
    return images


@case(quick=True)
def transmission_is_that_of_numpy(bench):
    settings, dark, flat, gain = calibrated(bench)
    images = sample_images()
    series = bench.measure(images, settings).require_complete(len(images))
    for number, found in series.images().items():
        expected = reference.transmission(images[number], dark, gain)
        same_pixels(found, expected, f"T of frame {number}")
        exact = reference.exact_transmission(images[number], dark, flat)
        good = numpy.isfinite(expected)
        check(reference.ulps(found[good], exact[good]).max() <= 2, "within 2 ulp of (I-D)/(F-D)")


@case
def dark_subtraction_is_that_of_numpy(bench):
    settings, dark, _, _ = calibrated(bench, **{"reduce.normalise": "dark", "calibration.flat": ""})
    images = sample_images()
    series = bench.measure(images, settings).require_complete(len(images))
    bad = ~numpy.isfinite(dark)
    for number, found in series.images().items():
        expected = images[number].astype(F32) - dark
        expected[bad] = numpy.nan
        same_pixels(found, expected, f"I - D of frame {number}")
    equal(set(series.column("bad", int)), {int(bad.sum())}, "bad pixels")


@case
def large_counts_keep_their_difference_to_the_dark(bench):
    dark = numpy.full(SHAPE, 3e9, F32)
    images = [reference.noise_image(SHAPE, 3, 3_000_000_000, 3_000_100_000, "uint32")]
    series = bench.measure(images, {"reduce.normalise": "dark",
                                    "calibration.dark": bench.tiff("dark.tif", dark)})
    exact = images[0].astype(float) - dark.astype(float)
    check(reference.ulps(series.images()[0], exact).max() <= 2, "I - D is formed in double")


@case
def every_pixel_type_is_written_as_float_and_as_it_came(bench):
    for dtype in ("uint8", "uint16", "uint32", "float32"):
        for order in "<>":
            images = [reference.noise_image(SHAPE, seed, 0, 250, dtype) for seed in range(3)]
            sent = [i.astype(i.dtype.newbyteorder(order)) for i in images]
            for product, cast in (("float32", "float32"), ("source", dtype)):
                output = f"{dtype}{'le' if order == '<' else 'be'}-{product}"
                bench.measure_into(output, sent, {"reduce.type": product})
                series = bench.series(bench.folder / output).require_complete(3)
                for number, found in series.images().items():
                    same_pixels(found, images[number].astype(cast), f"{output} frame {number}")


@case
def integer_output_maps_the_window(bench):
    images = sample_images()
    for dtype in ("uint8", "uint16"):
        settings, dark, _, gain = calibrated(
            bench, **{"reduce.type": dtype, "reduce.window": [0.1, 0.9]})
        bench.measure_into(dtype, images, settings)
        series = bench.series(bench.folder / dtype).require_complete(len(images))
        clipped = series.column("clipped", int)
        for number, found in series.images().items():
            exact = reference.transmission(images[number], dark, gain)
            expected, outside = reference.to_integer(exact, dtype, 0.1, 0.9)
            same_pixels(found, expected, f"{dtype} of frame {number}")
            equal(clipped[number], outside, f"clipped in frame {number}")


@case
def bad_pixels_are_replaced_as_configured(bench):
    mask = numpy.zeros(SHAPE, "uint8")
    mask[20, 30:40] = 1
    images = sample_images(3)
    for name, value in (("nan", numpy.nan), ("zero", 0)):
        settings, dark, _, gain = calibrated(bench, **{
            "reduce.bad_pixels": name, "calibration.mask": bench.tiff("mask.tif", mask)})
        bench.measure_into(name, images, settings)
        series = bench.series(bench.folder / name).require_complete(3)
        bad = numpy.isnan(gain) | (mask > 0)
        for number, found in series.images().items():
            expected = reference.transmission(images[number], dark, gain)
            expected[bad] = value
            same_pixels(found, expected, f"bad_pixels: {name}, frame {number}")
        equal(set(series.column("bad", int)), {int(bad.sum())}, "bad pixels")


@case
def a_mask_alone_marks_pixels_of_raw_counts(bench):
    mask = numpy.zeros(SHAPE, "uint16")
    mask[3, 4] = 700
    image = reference.noise_image(SHAPE, 1, 0, 60000)
    image[3, 4] = 65535  # bad, so neither saturated nor the largest
    series = bench.measure([image], {"calibration.mask": bench.tiff("mask.tif", mask)})
    row = series.written()[0]
    equal((row["bad"], row["saturated"]), ("1", "0"), "bad, saturated")
    equal(int(row["raw_max"]), int(image[mask == 0].max()), "raw_max of good pixels")
    check(numpy.isnan(series.images()[0][3, 4]), "the masked pixel is NaN")


@case
def several_pages_of_a_calibration_file_are_averaged(bench):
    dark = numpy.stack([numpy.full(SHAPE, v, "uint16") for v in (100, 101, 103)])
    flat = numpy.stack([numpy.full(SHAPE, v, "uint16") for v in (1100, 1300)])
    image = reference.noise_image(SHAPE, 1, 100, 1300)
    series = bench.measure([image], {
        "reduce.normalise": "transmission", "calibration.dark": bench.tiff("d.tif", dark),
        "calibration.flat": bench.tiff("f.tif", flat)})
    d, f = dark.mean(0).astype(F32), flat.mean(0).astype(F32)
    same_pixels(series.images()[0], reference.transmission(image, d, reference.gain(d, f)), "T")


@case
def calibration_files_of_every_kind_are_read(bench):
    image = reference.noise_image(SHAPE, 1, 0, 250)
    dark = reference.noise_image(SHAPE, 2, 0, 100, "uint8")
    kinds = {"u8": {}, "u16-big": {"dtype": ">u2", "byteorder": ">"}, "u32": {"dtype": "u4"},
             "f32-big": {"dtype": ">f4", "byteorder": ">"}, "f64": {"dtype": "f8"},
             "tiled": {"dtype": "u2", "tile": (16, 16)}, "strips": {"dtype": "u2", "rowsperstrip": 7},
             "big": {"dtype": "u2", "bigtiff": True},
             "imagej": {"dtype": "u2", "description": "ImageJ=1.51n\ncf=0\nc0=-32768.0\nc1=1.0\n"}}
    for name, options in kinds.items():
        path = bench.folder / f"{name}.tif"
        stored = dark.astype(options.pop("dtype", "u1"))
        tifffile.imwrite(path, stored, metadata=None, **options)
        bench.measure_into(name, [image], {"reduce.normalise": "dark", "calibration.dark": path})
        found = bench.series(bench.folder / name).images()[0]
        same_pixels(found, image.astype(F32) - dark.astype(F32), f"dark stored as {name}")


@case
def binning_is_the_mean_of_good_pixels(bench):
    images = sample_images(3)
    for factor in (1, 2, 4, 8):
        settings, dark, _, gain = calibrated(bench, **{"reduce.bin": factor})
        bench.measure_into(f"bin{factor}", images, settings)
        series = bench.series(bench.folder / f"bin{factor}").require_complete(3)
        for number, found in series.images().items():
            expected = reference.binned(reference.transmission(images[number], dark, gain), factor)
            equal(found.shape, expected.shape, "shape")
            good = numpy.isfinite(expected)
            equal(bool((numpy.isfinite(found) == good).all()), True, "where bins are bad")
            check(numpy.allclose(found[good], expected[good], rtol=2e-6, atol=1e-7),
                  f"bin {factor}: largest error {numpy.abs(found[good] - expected[good]).max()}")


@case
def binned_integers_are_the_rounded_mean(bench):
    images = sample_images(3)
    settings, dark, _, gain = calibrated(bench, **{
        "reduce.bin": 2, "reduce.type": "uint16", "reduce.window": [0.0, 1.5]})
    series = bench.measure(images, settings).require_complete(3)
    for number, found in series.images().items():
        mean = reference.binned(reference.transmission(images[number], dark, gain), 2)
        expected, _ = reference.to_integer(mean, "uint16", 0.0, 1.5)
        error = numpy.abs(found.astype(int) - expected.astype(int))
        check(error.max() <= 1, "within one step of the window")
        check((error > 0).mean() < 0.02, "the rounding differs in few pixels only")


@case(quick=True)
def statistics_are_those_of_numpy(bench):
    settings, dark, _, gain = calibrated(bench)
    images = sample_images()
    series = bench.measure(images, settings).require_complete(len(images))
    good = numpy.isfinite(gain)
    for row in series.written():
        number = int(row["frame"])
        t = reference.transmission(images[number], dark, gain)
        low, high, mean, std = reference.float_moments(t)
        near(float(row["min"]), low, "min", relative=1e-8)
        near(float(row["max"]), high, "max", relative=1e-8)
        near(float(row["mean"]), mean, "mean", relative=1e-6)
        near(float(row["std"]), std, "std", relative=1e-6)
        low, high, mean, std = reference.exact_moments(images[number][good])
        equal((int(float(row["raw_min"])), int(float(row["raw_max"]))), (low, high), "raw range")
        near(float(row["raw_mean"]), mean, "raw_mean", relative=1e-14)
        near(float(row["raw_std"]), std, "raw_std", relative=1e-14)
        equal(int(row["bad"]), int((~good).sum()), "bad")
        equal(int(row["saturated"]), int((images[number][good] == 65535).sum()), "saturated")
        equal(int(row["averaged"]), 1, "averaged")


@case(quick=True)
def bad_pixels_become_the_median_of_good_neighbours(bench):
    mask = numpy.zeros(SHAPE, "uint8")
    mask[20, 30:40] = mask[40:44, 50:54] = mask[60, 82] = mask[30, 0] = 1
    images = sample_images(3)
    for dtype in ("float32", "uint16"):
        settings, dark, _, gain = calibrated(bench, **{
            "reduce.bad_pixels": "median", "reduce.type": dtype, "reduce.window": [0, 1.5],
            "calibration.mask": bench.tiff("mask.tif", mask)})
        bench.measure_into(dtype, images, settings)
        series = bench.series(bench.folder / dtype).require_complete(3)
        for number, found in series.images().items():
            t = reference.transmission(images[number], dark, gain)
            t[mask > 0] = numpy.nan
            expected = reference.mended(t)
            check(numpy.isnan(expected).sum() == 4, "four have no good neighbour")
            if dtype != "float32":
                expected, _ = reference.to_integer(expected, dtype, 0, 1.5)
            same_pixels(found, expected, f"median in {dtype}, frame {number}")
        equal(set(series.column("bad", int)), {int(numpy.isnan(t).sum())}, "bad pixels")


def near_logarithm(found, exact, name):
    good = numpy.isfinite(exact)
    check((numpy.isnan(found) == ~good).all(), f"{name}: the same pixels are bad")
    check(reference.ulps(found[good], exact[good]).max() <= 4, f"{name} within 4 ulp of -ln T")


@case(quick=True)
def attenuation_is_that_of_numpy(bench):
    images = sample_images()
    settings, dark, _, gain = calibrated(bench, **{
        "reduce.normalise": "attenuation",
        "histogram.normalised": {"bins": 100, "low": -0.5, "high": 3}})
    series = bench.measure(images, settings).require_complete(len(images))
    values = {}
    for row in series.written():
        number = int(row["frame"])
        t = reference.transmission(images[number], dark, gain)
        exact = reference.attenuation(t)
        values[number] = series.images()[number]
        near_logarithm(values[number], exact, f"frame {number}")
        low, high, mean, std = reference.float_moments(values[number])
        near(float(row["min"]), low, "min", relative=1e-8)
        near(float(row["max"]), high, "max", relative=1e-8)
        near(float(row["mean"]), mean, "mean", relative=1e-6)
        near(float(row["std"]), std, "std", relative=1e-6)
        good = numpy.isfinite(exact)
        low, high, mean, _ = reference.exact_moments(images[number][good])
        equal((int(float(row["raw_min"])), int(float(row["raw_max"]))), (low, high), "raw range")
        near(float(row["raw_mean"]), mean, "raw_mean", relative=1e-14)
        equal(int(row["bad"]), int((~good).sum()), "bad: T is not above 0")
    compare_normalised(series.histogram("normalised"), numpy.stack(list(values.values())),
                       100, -0.5, 3)


@case
def attenuation_is_taken_of_the_binned_mean(bench):
    images = sample_images(3)
    for dtype in ("float32", "uint16"):
        settings, dark, _, gain = calibrated(bench, **{
            "reduce.normalise": "attenuation", "reduce.bin": 2, "reduce.type": dtype,
            "reduce.window": [-0.5, 3]})
        bench.measure_into(dtype, images, settings)
        series = bench.series(bench.folder / dtype).require_complete(3)
        for number, found in series.images().items():
            t = reference.transmission(images[number], dark, gain)
            t[~(t > 0)] = numpy.nan
            exact = reference.attenuation(reference.binned(t, 2))
            if dtype == "float32":
                near_relative = numpy.abs(found - exact) <= 1e-6 * numpy.abs(exact) + 1e-6
                check(near_relative[numpy.isfinite(exact)].all(), f"frame {number}")
            else:
                expected, _ = reference.to_integer(exact, dtype, -0.5, 3)
                check(numpy.abs(found.astype(int) - expected).max() <= 1, f"frame {number}")


@case(quick=True)
def a_region_is_all_that_is_kept(bench):
    region = numpy.s_[7:7 + 40, 13:13 + 51]
    mask = numpy.zeros(SHAPE, "uint8")
    mask[20, 30:40] = mask[0, 0] = 1
    images = sample_images()
    settings, dark, _, gain = calibrated(bench, **{
        "reduce.roi": {"x": 13, "y": 7, "width": 51, "height": 40},
        "calibration.mask": bench.tiff("mask.tif", mask)})
    gain[mask > 0] = numpy.nan
    series = bench.measure(images, settings).require_complete(len(images))
    cut = [reference.transmission(i, dark, gain)[region] for i in images]
    for row in series.written():
        number = int(row["frame"])
        same_pixels(series.images()[number], cut[number], f"region of frame {number}")
        low, high, mean, std = reference.float_moments(cut[number])
        near(float(row["mean"]), mean, "mean", relative=1e-6)
        near(float(row["std"]), std, "std", relative=1e-6)
        equal(int(row["bad"]), int(numpy.isnan(cut[number]).sum()), "bad pixels of the region")
    compare_raw(series.histogram("raw"), numpy.stack([i[region] for i in images]), 4096, 0, 65536)
    compare_normalised(series.histogram("normalised"), numpy.stack(cut), 256, 0, 1.5)


@case
def a_region_of_every_pixel_type_is_binned_and_kept_as_it_came(bench):
    rows, columns = numpy.s_[3:3 + 32], numpy.s_[5:5 + 64]
    roi = {"x": 5, "y": 3, "width": 64, "height": 32}
    for dtype in ("uint8", "uint16", "uint32", "float32"):
        for order in "<>":
            images = [reference.noise_image(SHAPE, seed, 0, 250, dtype) for seed in range(2)]
            sent = [i.astype(i.dtype.newbyteorder(order)) for i in images]
            for name, more in (("source", {"reduce.type": "source"}), ("binned", {"reduce.bin": 2})):
                output = f"{dtype}{'le' if order == '<' else 'be'}-{name}"
                bench.measure_into(output, sent, {"reduce.roi": roi, **more})
                series = bench.series(bench.folder / output).require_complete(2)
                for number, found in series.images().items():
                    expected = images[number][rows, columns]
                    if name == "binned":
                        expected = reference.binned(expected.astype(F32), 2).astype(F32)
                    same_pixels(found, expected, f"{output} frame {number}")


@case
def a_small_deviation_on_a_large_mean_is_found(bench):
    random = numpy.random.default_rng(5)
    image = (1000 + 0.01 * random.standard_normal((512, 512))).astype(F32)
    row = bench.measure([image]).written()[0]
    near(float(row["mean"]), image.astype(float).mean(), "mean", relative=1e-6)
    near(float(row["std"]), image.astype(float).std(), "std", relative=1e-6)


@case
def moments_of_large_integers_are_exact(bench):
    image = reference.noise_image(SHAPE, 9, 0, 2**32, "uint32")
    image[0, 0], image[0, 1] = 2**32 - 1, 0
    row = bench.measure([image]).written()[0]
    low, high, mean, std = reference.exact_moments(image)
    equal((float(row["raw_min"]), float(row["raw_max"])), (low, high), "raw range")
    near(float(row["raw_mean"]), mean, "raw_mean", relative=1e-14)
    near(float(row["raw_std"]), std, "raw_std", relative=1e-14)
    equal(int(row["saturated"]), 1, "saturated at 2^32 - 1")


@case
def one_good_pixel_is_enough_for_statistics(bench):
    image = reference.noise_image(SHAPE, 1, 1, 100)
    mask = numpy.ones(SHAPE, "uint8")
    mask[17, 71] = 0
    series = bench.measure([image], {"calibration.mask": bench.tiff("mask.tif", mask)})
    row = series.require_closed().written()[0]
    equal(int(row["bad"]), image.size - 1, "bad")
    for column in ("min", "max", "mean", "raw_min", "raw_max", "raw_mean"):
        equal(float(row[column]), float(image[17, 71]), column)
    equal((float(row["std"]), float(row["raw_std"])), (0.0, 0.0), "deviations")


@case(quick=True)
def histograms_are_those_of_numpy(bench):
    settings, dark, _, gain = calibrated(bench, **{
        "histogram.raw": {"bins": 512, "low": 100, "high": 30000},
        "histogram.normalised": {"bins": 100, "low": 0.1, "high": 1.1}})
    images = sample_images()
    series = bench.measure(images, settings).require_complete(len(images))
    raw = numpy.stack(images)
    compare_raw(series.histogram("raw"), raw, 512, 100, 30000)
    compare_normalised(series.histogram("normalised"),
                       numpy.stack([reference.transmission(i, dark, gain) for i in images]),
                       100, 0.1, 1.1)


def split(histogram, bins):
    """(edges, counts, below, above, nan) of the printed lines."""
    equal(len(histogram), bins + 3, "lines")
    body, (below, above, nan) = histogram[:bins], histogram[bins:]
    equal((below[0], below[1]), (-numpy.inf, body[0][0]), "the line below")
    equal((above[0], above[1]), (body[-1][1], numpy.inf), "the line above")
    check(nan[0] != nan[0] and nan[1] != nan[1], "the line of NaN")
    equal([b[1] for b in body[:-1]], [b[0] for b in body[1:]], "bins without gaps")
    return ([b[0] for b in body] + [body[-1][1]], numpy.array([b[2] for b in body]),
            below[2], above[2], nan[2])


def compare_raw(histogram, raw, bins, low, high):
    edges, counts, below, above, nan = split(histogram, bins)
    equal((edges[0], edges[-1]), (low, high), "range")
    exact = ((raw.astype(float) - low) * bins / (high - low)).astype(numpy.int64)
    exact = numpy.minimum(exact[(raw >= low) & (raw <= high)], bins - 1)
    expected = numpy.bincount(exact.ravel(), minlength=bins)
    equal(counts.tolist(), expected.tolist(), "raw counts")
    equal((below, above, nan), ((raw < low).sum(), (raw > high).sum(), 0), "raw tails")


def compare_normalised(histogram, images, bins, low, high):
    edges, counts, below, above, nan = split(histogram, bins)
    near(edges[0], low, "low", 1e-6)
    near(edges[-1], high, "high", 1e-6)
    expected, *tails = reference.normalised_counts(images, bins, low, high)
    equal(counts.tolist(), expected.tolist(), "normalised counts")
    equal([below, above, nan], tails, "normalised tails")
    equal(int(counts.sum()) + below + above + nan, images.size, "every pixel is counted")
    numpys, _ = numpy.histogram(images[numpy.isfinite(images)], bins, (low, high))
    check(reference.moved(counts, numpys) <= 2e-4 * images.size + 1, "near numpy.histogram")


@case
def default_histograms_cover_the_type(bench):
    for dtype, top in (("uint8", 256), ("uint16", 65536), ("uint32", 65536), ("float32", 65536)):
        images = [reference.noise_image(SHAPE, 4, 0, 256 if dtype == "uint8" else 70000, dtype)
                  if dtype != "uint16" else reference.noise_image(SHAPE, 4, 0, 65536)]
        bench.measure_into(dtype, images, {})
        series = bench.series(bench.folder / dtype)
        compare_raw(series.histogram("raw"), images[0], 4096, 0, top)


@case
def not_a_number_and_infinity_on_the_wire_are_counted(bench):
    image = reference.noise_image(SHAPE, 4, 0, 1000, "float32")
    image[0, :3] = numpy.nan, numpy.inf, -numpy.inf
    series = bench.measure([image]).require_complete(1)
    found = series.images()[0]
    same_pixels(found[1:], image[1:], "the other pixels")
    _, counts, below, above, nan = split(series.histogram("raw"), 4096)
    equal(int(counts.sum()) + below + above + nan, image.size, "every pixel is counted")
    equal((below, above, nan), (1, 1, 1), "raw tails")


@case
def checksums_are_of_the_pixels_in_the_file(bench):
    settings, *_ = calibrated(bench)
    for output, more in (("plain", {}), ("u16", {"reduce.type": "uint16", "reduce.bin": 2}),
                         ("u8", {"reduce.type": "uint8"})):
        bench.measure_into(output, sample_images(), {**settings, **more})
        series = bench.series(bench.folder / output)
        images = series.images()
        expected = reference.crc32c([images[n] for n in sorted(images)])
        equal(series.column("crc32c", str), expected, f"crc32c of {output}")


def fingerprint(series):
    """What must not depend on how it was computed: pixels, histogram, statistics."""
    columns = ("frame", "state", "index", "averaged", "min", "max", "mean", "std", "raw_min", "raw_max",
               "raw_mean", "raw_std", "saturated", "bad", "clipped", "crc32c")
    pixels = {n: hashlib.sha256(i.tobytes()).hexdigest() for n, i in series.images().items()}
    histogram = (series.folder / "histogram.csv").read_text()
    return pixels, histogram, [[row[c] for c in columns] for row in series.rows]


@case(limit=120, quick=True)
def results_do_not_depend_on_isa_workers_or_batch(bench):
    flags = set(open("/proc/cpuinfo").read().split("flags", 1)[-1].split("\n")[0].split())
    isas = ["scalar"] + ["avx2"] * ("avx2" in flags) + ["avx512"] * ("avx512vl" in flags)
    shape = (127, 211)
    images = [reference.noise_image(shape, seed, 0, 40000) for seed in range(24)]
    types = ("float32", "uint16") if bench.long else ("float32",)
    for output_type in types:
        settings, *_ = calibrated(bench, shape, **{"reduce.type": output_type})
        first = None
        for isa in isas:
            for workers, batch in ((1, 1), (2, 8), (4, 8), (4, 1), (1, 8)):
                output = f"{output_type}-{isa}-{workers}-{batch}"
                bench.measure_into(output, images, {
                    **settings, "daemon.isa": isa, "daemon.workers": workers, "daemon.batch": batch})
                series = bench.series(bench.folder / output).require_complete(len(images))
                equal(series.manifest["isa"], isa, "the ISA in the manifest")
                first = first or fingerprint(series)
                check(fingerprint(series) == first, f"{output} has the same bits as scalar")
    if "avx512vl" not in flags:
        raise Skip("no AVX-512 here; equal on " + ", ".join(isas))


@case(limit=120)
def real_neutron_radiograph_gives_numpys_transmission(bench):
    folder = bench.shared("vectors", "tomo_wood")
    wood, flat, dark = (tifffile.imread(folder / f"{n}_0000.tif") for n in ("wood", "ob", "dc"))
    images = [wood.astype("uint16")] * 20
    series = bench.measure(images, {
        "reduce.normalise": "transmission", "calibration.dark": folder / "dc_0000.tif",
        "calibration.flat": folder / "ob_0000.tif"}).require_complete(20)
    dark, flat = dark.astype(F32), flat.astype(F32)
    gain = reference.gain(dark, flat)
    exact = reference.exact_transmission(wood, dark, flat)
    for found in series.images().values():
        same_pixels(found, reference.transmission(wood, dark, gain), "transmission of wood")
        check(reference.ulps(found, exact).max() <= 2, "within 2 ulp")
    for point, value in ((1, 0.38), (50, 1.20), (99, 1.24)):
        near(float(numpy.percentile(found, point)), value, f"percentile {point}", absolute=0.01)
