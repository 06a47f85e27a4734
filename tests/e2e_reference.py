# SPDX-License-Identifier: Apache-2.0
"""The arithmetic in numpy: what a frame must become, written for clarity alone."""
import math

import numpy

F32 = numpy.float32
LARGEST = {"uint8": 255, "uint16": 65535}  # marks bad pixels; data end one below


def noise_image(shape, seed, low, high, dtype="uint16"):
    values = numpy.random.default_rng(seed).integers(low, high, shape)
    return values.astype(dtype)


def calibration(shape, seed=1):
    """A believable dark and flat, float32: fixed pattern, profile, and broken pixels.

    Returns dark, flat and where they are bad.
    """
    random = numpy.random.default_rng(seed)
    y, x = numpy.indices(shape)
    profile = numpy.exp(-((x / shape[1] - 0.5) ** 2 + (y / shape[0] - 0.4) ** 2))
    dark = (100 + 5 * random.standard_normal(shape)).astype(F32)
    flat = (dark + 30000 * profile + 200 * random.standard_normal(shape)).astype(F32)
    bad = numpy.zeros(shape, bool)
    for at, (d, f) in {(0, 0): (500, 500), (0, 1): (900, 200), (1, 3): (numpy.nan, 30000),
                       (2, 2): (100, numpy.inf), (-1, -1): (50, 50)}.items():
        dark[at], flat[at], bad[at] = d, f, True
    return dark, flat, bad


def gain(dark, flat):
    """1 / (F - D), made in double and rounded once; NaN where the pixel is bad."""
    with numpy.errstate(all="ignore"):
        difference = flat.astype(float) - dark.astype(float)
        g = (1 / difference).astype(F32)
    tiny = numpy.abs(g) < numpy.finfo(F32).tiny
    bad = ~(numpy.isfinite(dark) & numpy.isfinite(flat) & (difference > 0) & numpy.isfinite(g)) | tiny
    return numpy.where(bad, F32(numpy.nan), g)


def transmission(raw, dark, g):
    """T = ((float)I - D) * G."""
    with numpy.errstate(invalid="ignore"):
        return (raw.astype(F32) - dark) * g


def exact_transmission(raw, dark, flat):
    """(I - D) / (F - D) in double."""
    with numpy.errstate(all="ignore"):
        d = dark.astype(float)
        return (raw.astype(float) - d) / (flat.astype(float) - d)


def ulps(found, exact):
    """How many float32 steps `found` is from a value known in double."""
    nearest = exact.astype(F32)
    return numpy.abs(found.astype(float) - exact) / numpy.spacing(numpy.abs(nearest)).astype(float)


def binned(image, factor):
    """Mean of the good pixels of factor x factor, in double; remainders are left out."""
    height, width = (n // factor * factor for n in image.shape)
    blocks = image[:height, :width].astype(float)
    blocks = blocks.reshape(height // factor, factor, width // factor, factor)
    good = numpy.isfinite(blocks)
    count = good.sum(axis=(1, 3))
    with numpy.errstate(invalid="ignore"):
        return numpy.where(good, blocks, 0).sum(axis=(1, 3)) / count


def mended(image):
    """Bad pixels become the median of the good ones of their 8 neighbours, NaN without any."""
    around = numpy.pad(image, 1, constant_values=numpy.nan)
    out = image.copy()
    for y, x in numpy.argwhere(numpy.isnan(image)):
        block = around[y:y + 3, x:x + 3].ravel()
        good = block[numpy.isfinite(block)]
        if len(good):
            out[y, x] = numpy.median(good)
    return out


def attenuation(t):
    """-ln T in double; NaN where T is not above 0."""
    with numpy.errstate(all="ignore"):
        return numpy.where(t > 0, -numpy.log(t.astype(float)), numpy.nan)


def to_integer(image, dtype, low, high):
    """The window to 0 ... max - 1, nearest even; max marks bad. Returns pixels and clipped."""
    top = LARGEST[dtype] - 1
    scaled = (image.astype(F32) - F32(low)) * F32(top / (high - low))
    bad = numpy.isnan(scaled)
    with numpy.errstate(invalid="ignore"):
        clipped = (image < F32(low)) | (image > F32(high))
        pixels = numpy.rint(numpy.clip(scaled, 0, top))
    pixels[bad] = top + 1
    return pixels.astype(dtype), int((clipped & ~bad).sum())


def float_moments(image):
    """min, max, mean, std of the good pixels, in double."""
    good = image[numpy.isfinite(image)].astype(float)
    return good.min(), good.max(), good.mean(), good.std()


def exact_moments(counts):
    """min, max, mean, std of integers, through exact sums."""
    values = counts.ravel().astype(object)
    n, total, squares = len(values), int(values.sum()), int((values * values).sum())
    return (int(values.min()), int(values.max()), total / n,
            math.sqrt((n * squares - total * total) / (n * n)))


def normalised_counts(image, bins, low, high):
    """Counts of the bins, then below, above, nan: the float32 rule of the program."""
    scale = F32(bins / (high - low))
    good = image[~numpy.isnan(image)]
    inside = good[(good >= F32(low)) & (good <= F32(high))]
    at = numpy.minimum(((inside - F32(low)) * scale).astype(int), bins - 1)
    return (numpy.bincount(at, minlength=bins), int((good < F32(low)).sum()),
            int((good > F32(high)).sum()), int(numpy.isnan(image).sum()))


def moved(found, expected):
    """How many pixels must move by one bin to make one histogram of another."""
    return int(numpy.abs(numpy.cumsum(found.astype(int) - expected.astype(int))).sum())


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return numpy.array(table, numpy.uint32)


def crc32c(images):
    """CRC-32C of each of some images of one shape, as eight hexadecimal digits."""
    rows = numpy.stack([numpy.frombuffer(i.astype(i.dtype.newbyteorder("<")).tobytes(), numpy.uint8)
                        for i in images])
    table = crc32c_table()
    crc = numpy.full(len(rows), 0xFFFFFFFF, numpy.uint32)
    for column in rows.T:
        crc = table[(crc ^ column) & 0xFF] ^ (crc >> numpy.uint32(8))
    return [f"{c:08x}" for c in crc ^ 0xFFFFFFFF]
