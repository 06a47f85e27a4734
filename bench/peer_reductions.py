# SPDX-License-Identifier: Apache-2.0
"""The work of one frame, as it is written with numpy and with OpenCV.

All do the same with a frame I of uint16 counts, a dark D, G = 1 / (flat - dark) and a mask of the
good pixels:

  T = (I - D) * G
  good pixels' min, max, mean and standard deviation, of I and of T
  histogram of T, 256 bins from 0 to 1.5, and if wanted of I, 4096 bins
  mean of T over the good pixels of each 2 x 2 square, as uint16: 0 to 1.5 becomes 0 to 65534
  a checksum of that: zlib's CRC-32 (openbeam's own is CRC-32C, which costs it no more)

Where that makes it faster they do it in strips of rows that stay in the cache, and in buffers that
are made once."""
import zlib
from typing import NamedTuple

import numpy

try:
    import cv2
except ImportError:
    cv2 = None

LOW, HIGH, BINS = 0.0, 1.5, 256
RAW_BINS, RAW_HIGH = 4096, 65536
TOP = 65534  # of the integer window: 65535 marks a square without a good pixel
STRIP = 32   # rows: T, its deviations and its bins then fit the second cache


class Moments(NamedTuple):
    """Of the good pixels."""
    min: float
    max: float
    mean: float
    std: float


class Reduced(NamedTuple):
    """What is made of a frame."""
    raw: Moments
    normalised: Moments
    raw_histogram: numpy.ndarray  # [RAW_BINS], or None
    histogram: numpy.ndarray      # [BINS] of what lies in the window
    binned: numpy.ndarray         # [height / 2, width / 2] uint16
    checksum: int


class Calibration:
    """Planes of float32 [height, width], with even sides."""

    def __init__(self, dark, flat):
        difference = flat.astype(numpy.float64) - dark
        self.good = difference > 0
        self.dark = dark.astype(numpy.float32)
        self.gain = numpy.zeros_like(self.dark)  # a bad pixel has T = 0 and adds nothing to a square
        self.gain[self.good] = 1 / difference[self.good]
        height, width = dark.shape
        self.per_square = self.good.reshape(height // 2, 2, width // 2, 2).sum(axis=(1, 3))
        scale = numpy.float32(TOP / (HIGH - LOW))
        self.mean_scale = scale / numpy.maximum(self.per_square, 1).astype(numpy.float32)


class NumpyPlain:
    """Line by line as the formulas are, one core."""

    def __init__(self, calibration, raw_histogram=False):
        self.c, self.raw_histogram = calibration, raw_histogram

    @staticmethod
    def moments(values):
        return Moments(values.min(), values.max(), values.mean(dtype=float), values.std(dtype=float))

    def reduce(self, frame):
        c = self.c
        transmission = (frame - c.dark) * c.gain
        good, raw = transmission[c.good], frame[c.good]
        histogram, _ = numpy.histogram(good, bins=BINS, range=(LOW, HIGH))
        raw_histogram = None
        if self.raw_histogram:
            raw_histogram, _ = numpy.histogram(frame, bins=RAW_BINS, range=(0, RAW_HIGH))
        height, width = frame.shape
        total = transmission.reshape(height // 2, 2, width // 2, 2).sum(axis=(1, 3))
        binned = numpy.clip(numpy.rint(total * c.mean_scale), 0, TOP).astype(numpy.uint16)
        binned[c.per_square == 0] = TOP + 1
        return Reduced(self.moments(raw), self.moments(good), raw_histogram, histogram, binned,
                       zlib.crc32(binned))


class Sums:
    """Moments strip by strip: deviations from a value near the mean, in float32 within a strip and
    in double over the strips."""

    def __init__(self):
        self.near = 0.0  # the mean of the frame before

    def begin(self):
        self.count, self.sum, self.squares = 0, 0.0, 0.0
        self.min, self.max = numpy.inf, -numpy.inf

    def add(self, deviations, bad, good):
        """`deviations` of a strip, the indices of its bad pixels and of one that is good."""
        flat = deviations.ravel()
        if len(bad) == flat.size:
            return
        flat[bad] = flat[good]  # nobody's minimum or maximum
        self.min, self.max = min(self.min, flat.min()), max(self.max, flat.max())
        flat[bad] = 0
        self.count += flat.size - len(bad)
        self.sum += float(flat.sum())
        self.squares += float(numpy.dot(flat, flat))

    def end(self):
        mean = self.sum / self.count
        std = numpy.sqrt(max(self.squares / self.count - mean * mean, 0.0))
        found = Moments(self.near + self.min, self.near + self.max, self.near + mean, std)
        self.near = found.mean
        return found


class NumpyFast:
    """The faster numpy version: strips that stay in the cache, buffers that are kept, integer bins
    counted with bincount. One core."""

    def __init__(self, calibration, raw_histogram=False):
        c, self.raw_histogram = calibration, raw_histogram
        self.c = c
        height, width = c.dark.shape
        rows = min(STRIP, height)
        self.transmission = numpy.empty((rows, width), numpy.float32)
        self.work = numpy.empty((rows, width), numpy.float32)
        self.bins = numpy.empty((rows, width), numpy.intp)
        self.pairs = numpy.empty((rows // 2, width), numpy.float32)
        self.squares = numpy.empty((rows // 2, width // 2), numpy.float32)
        self.strips = [slice(y, min(y + rows, height)) for y in range(0, height, rows)]
        self.bad = [numpy.flatnonzero(~c.good[s]) for s in self.strips]
        self.one_good = [c.good[s].ravel().argmax() for s in self.strips]
        self.without = c.per_square == 0
        self.raw, self.normalised = Sums(), Sums()

    def bin_squares(self, t, out, scale):
        pairs, squares = self.pairs[:len(out)], self.squares[:len(out)]
        numpy.add(t[0::2], t[1::2], out=pairs)
        numpy.add(pairs[:, 0::2], pairs[:, 1::2], out=squares)
        numpy.multiply(squares, scale, out=squares)
        numpy.rint(squares, out=squares)
        numpy.maximum(squares, 0, out=squares)
        numpy.minimum(squares, TOP, out=squares)
        numpy.copyto(out, squares, casting="unsafe")

    def count_bins(self, t, bad, work, bins, counts):
        numpy.multiply(t, BINS / (HIGH - LOW), out=work)
        numpy.add(work, 1, out=work)  # bin 0 is below, bin BINS + 1 above the window
        numpy.maximum(work, 0, out=work)
        numpy.minimum(work, BINS + 1, out=work)
        numpy.copyto(bins, work, casting="unsafe")
        bins.ravel()[bad] = 0
        counts += numpy.bincount(bins.ravel(), minlength=BINS + 2)

    def strip(self, index, frame, binned, counts, raw_counts):
        rows, bad, good = self.strips[index], self.bad[index], self.one_good[index]
        raw, count = frame[rows], rows.stop - rows.start
        t, work, bins = self.transmission[:count], self.work[:count], self.bins[:count]
        half = slice(rows.start // 2, rows.stop // 2)
        numpy.subtract(raw, self.c.dark[rows], out=t)
        numpy.multiply(t, self.c.gain[rows], out=t)
        self.bin_squares(t, binned[half], self.c.mean_scale[half])
        self.count_bins(t, bad, work, bins, counts)
        numpy.subtract(t, numpy.float32(self.normalised.near), out=work)
        self.normalised.add(work, bad, good)
        numpy.subtract(raw, numpy.float32(self.raw.near), out=work)
        self.raw.add(work, bad, good)
        if self.raw_histogram:
            numpy.right_shift(raw, 4, out=bins, casting="unsafe")
            raw_counts += numpy.bincount(bins.ravel(), minlength=RAW_BINS)

    def reduce(self, frame):
        height, width = frame.shape
        binned = numpy.empty((height // 2, width // 2), numpy.uint16)
        counts = numpy.zeros(BINS + 2, numpy.intp)
        raw_counts = numpy.zeros(RAW_BINS, numpy.intp) if self.raw_histogram else None
        self.raw.near = round(self.raw.near)  # whole counts: deviations are exact
        self.normalised.near = float(numpy.float32(self.normalised.near))
        self.raw.begin()
        self.normalised.begin()
        for index in range(len(self.strips)):
            self.strip(index, frame, binned, counts, raw_counts)
        binned[self.without] = TOP + 1
        return Reduced(self.raw.end(), self.normalised.end(), raw_counts, counts[1:-1], binned,
                       zlib.crc32(binned))


class OpenCv:
    """OpenCV's functions over whole frames; those that can use several threads do, as
    cv2.setNumThreads says."""

    def __init__(self, calibration, raw_histogram=False):
        c, self.raw_histogram = calibration, raw_histogram
        self.c = c
        self.mask = c.good.astype(numpy.uint8)
        self.transmission = numpy.empty_like(c.dark)
        self.squares = numpy.empty_like(c.mean_scale)
        self.scale = c.mean_scale * numpy.float32(4)  # INTER_AREA divides by all four
        self.without = c.per_square == 0

    def moments(self, values):
        low, high, _, _ = cv2.minMaxLoc(values, self.mask)
        mean, std = cv2.meanStdDev(values, mask=self.mask)
        return Moments(low, high, mean[0, 0], std[0, 0])

    def reduce(self, frame):
        t = self.transmission
        cv2.subtract(frame, self.c.dark, dst=t, dtype=cv2.CV_32F)
        cv2.multiply(t, self.c.gain, dst=t)
        histogram = cv2.calcHist([t], [0], self.mask, [BINS], [LOW, HIGH])[:, 0]
        raw_histogram = None
        if self.raw_histogram:
            raw_histogram = cv2.calcHist([frame], [0], None, [RAW_BINS], [0, RAW_HIGH])[:, 0]
        height, width = frame.shape
        cv2.resize(t, (width // 2, height // 2), dst=self.squares, interpolation=cv2.INTER_AREA)
        binned = cv2.multiply(self.squares, self.scale, dtype=cv2.CV_16U)
        binned = cv2.min(binned, TOP)
        binned[self.without] = TOP + 1
        return Reduced(self.moments(frame), self.moments(t), raw_histogram, histogram, binned,
                       zlib.crc32(binned))
