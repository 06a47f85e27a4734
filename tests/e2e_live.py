# SPDX-License-Identifier: Apache-2.0
"""The live picture: its pixels, its colours, and that it costs the measurement nothing."""
import struct
import threading
import time
import urllib.parse
import zlib

import numpy
import tifffile

import e2e_reference as reference
from e2e_case import case, check, contains, equal, same_pixels, until
from e2e_http import HERE, Monitor

SHAPE, STEP = (760, 1030), 2  # more than 320 Ki pixels, none of them a multiple of the step
SMALL = (24, 40)
SATURATED, BAD = 1, 2
TYPES = {0: numpy.uint8, 1: numpy.uint16, 2: numpy.float32}


class Picture:
    """An answer of /api/v1/live."""

    def __init__(self, body):
        (magic, version, kind, width, height, self.frame, self.time_ns, self.low, self.high,
         self.step, *self.full, flags) = struct.unpack_from("<4sHHIIQQffIIII", body)
        equal((magic, version, body[56:64]), (b"OBLV", 1, bytes(8)), "magic, version, zeros")
        dtype, shape = numpy.dtype(TYPES[kind]), (height, width)
        count = height * width
        equal(len(body), 64 + count * (dtype.itemsize + flags), "bytes")
        self.pixels = numpy.frombuffer(body, dtype, count, 64).reshape(shape)
        self.marks = numpy.frombuffer(body, numpy.uint8, count * flags, len(body) - count * flags)
        self.marks = self.marks.reshape(shape) if flags else None


class Png:
    """A PNG of palette indices, read without a library."""

    def __init__(self, body):
        equal(body[:8], b"\x89PNG\r\n\x1a\n", "signature")
        at, data, self.texts = 8, b"", {}
        while at < len(body):
            length, kind = struct.unpack_from(">I4s", body, at)
            chunk = body[at + 8:at + 8 + length]
            crc = struct.unpack_from(">I", body, at + 8 + length)[0]
            equal(crc, zlib.crc32(kind + chunk), f"CRC of {kind}")
            if kind == b"IHDR":
                width, height, *rest = struct.unpack(">IIBBBBB", chunk)
                equal(rest, [8, 3, 0, 0, 0], "8-bit palette, no interlace")
            elif kind == b"PLTE":
                self.palette = numpy.frombuffer(chunk, numpy.uint8).reshape(-1, 3)
            elif kind == b"tEXt":
                key, value = chunk.split(b"\0")
                self.texts[key.decode()] = value.decode()
            elif kind == b"IDAT":
                data += chunk
            at += length + 12
        rows = numpy.frombuffer(zlib.decompress(data), numpy.uint8).reshape(height, width + 1)
        check(not rows[:, 0].any(), "no row is filtered")
        self.indices = rows[:, 1:]


def loud(shape, number):
    """Any counts, and some saturated pixels."""
    image = reference.noise_image(shape, number, 0, 60000)
    image.ravel()[number * 7 % 101::1501] = 65535
    return image


def quiet(shape, number):
    return reference.noise_image(shape, number, 95, 106)


class Show:
    """A detector with someone who looks: it sends frames until one is shown."""

    def __init__(self, bench, settings, shape, make=None):
        self.camera = bench.camera()
        self.daemon = bench.daemon(self.camera.endpoint, {**HERE, **settings})
        self.monitor = Monitor(self.daemon)
        self.shape, self.make, self.frames = shape, make or loud, {}

    def send(self):
        number = len(self.frames)
        image = self.frames[number] = self.make(self.shape, number)
        self.camera.send(number, image)

    def next(self, path, after=-1):
        """(body, its frame) of the first picture behind frame `after`."""
        def newer():
            self.send()
            time.sleep(0.05)
            status, headers, body = self.monitor.ask(path)
            if status == 503:
                contains(body.decode(), "ask again")
                return None
            equal(status, 200, f"{path}: {body[:200]!r}")
            frame = int(Png(body).texts["Frame"]) if ".png" in path else Picture(body).frame
            kind = "image/png" if ".png" in path else "application/octet-stream"
            equal(headers["Content-Type"], kind, "type")
            return frame > after and (body, frame)
        return until(newer, f"a picture behind frame {after}")

    def picture(self, query="", after=-1):
        body, frame = self.next(f"/api/v1/live?{query}", after)
        return Picture(body), self.frames[frame]

    def png(self, after=-1, **query):
        body, frame = self.next(f"/api/v1/live.png?{urllib.parse.urlencode(query)}", after)
        return Png(body), self.frames[frame]

    def stop(self):
        self.daemon.stop()


def blocks(flags, step):
    """Whether any pixel of each step x step block is set; those at the edge may be smaller."""
    padded = numpy.pad(flags, [(0, -n % step) for n in flags.shape])
    height, width = (n // step for n in padded.shape)
    return padded.reshape(height, step, width, step).any(axis=(1, 3))


def marks_of(image, bad, step=STEP):
    return (blocks((image == 65535) & ~bad, step) * SATURATED
            + blocks(bad, step) * BAD).astype(numpy.uint8)


def thousandths(pixels, good):
    """The levels that are found: of every third pixel of a picture of this size."""
    pixels, good = pixels.ravel()[::3], good.ravel()[::3]
    values = numpy.sort(pixels[good & numpy.isfinite(pixels)])
    return float(values[len(values) // 1000]), float(values[-1 - len(values) // 1000])


def indices_of(values, low, high, log=False):
    values, low, high = values.astype(numpy.float32), numpy.float32(low), numpy.float32(high)
    with numpy.errstate(all="ignore"):
        if log:
            values, low, high = numpy.log(values), numpy.log(low), numpy.log(high)
        at = (values - low) * (numpy.float32(254) / (high - low))
        return numpy.where(at >= 0, numpy.minimum(at, 253), 0).astype(numpy.uint8)


def marked(indices, marks):
    return numpy.where(marks & SATURATED, 254, numpy.where(marks & BAD, 255, indices))


def calibrated(bench):
    dark, flat, bad = reference.calibration(SHAPE)
    return dark, flat, bad, {
        "reduce.normalise": "transmission", "reduce.type": "float32", "sinks": [bench.sink("null")],
        "calibration.dark": bench.tiff("dark.tif", dark),
        "calibration.flat": bench.tiff("flat.tif", flat)}


@case(quick=True)
def the_live_picture_is_of_the_detectors_own_pixels(bench):
    dark, flat, bad, settings = calibrated(bench)
    show = Show(bench, settings, SHAPE)
    equal(show.monitor.status_of("/api/v1/live"), 503, "before the first frame")
    gain = reference.gain(dark, flat)
    at = numpy.s_[::STEP, ::STEP]
    expected = {"normalised": lambda image: reference.transmission(image, dark, gain),
                "raw": lambda image: image, "dark": lambda image: dark, "flat": lambda image: flat}
    started, shown = time.time_ns(), -1
    for product, of in expected.items():
        picture, image = show.picture(f"product={product}&marks=1", shown)
        shown = picture.frame
        same_pixels(picture.pixels, of(image)[at], product)
        marks = marks_of(image, bad) & (3 if product in ("normalised", "raw") else BAD)
        equal(set(numpy.unique(marks)) - {0, 1, 2, 3}, set(), "marks")
        same_pixels(picture.marks, marks, f"marks of {product}")
        good = ~bad[at]
        equal((picture.low, picture.high), thousandths(of(image)[at], good), f"levels of {product}")
        equal((picture.step, picture.full), (STEP, [SHAPE[1], SHAPE[0]]), "step and full size")
        check(started <= picture.time_ns <= time.time_ns(), "it was received just now")
    check(show.picture()[0].marks is None, "marks come when they are asked for")
    show.stop()


@case
def the_live_png_has_the_colours_of_the_values(bench):
    dark, flat, bad, settings = calibrated(bench)
    show = Show(bench, settings, SHAPE)
    gain = reference.gain(dark, flat)
    at = numpy.s_[::STEP, ::STEP]
    png, image = show.png(low=0.2, high=1.25)
    t = reference.transmission(image, dark, gain)[at]
    same_pixels(png.indices, marked(indices_of(t, 0.2, 1.25), marks_of(image, bad)).astype("uint8"),
                "linear")
    equal([list(png.palette[i]) for i in (0, 253, 254, 255)],
          [[68, 1, 84], [253, 231, 37], [255, 0, 0], [255, 0, 255]], "viridis and the marks")
    equal((png.texts["Levels"], png.texts["Product"]), ("0.200000003 1.25", "normalised"), "texts")
    png, image = show.png(product="raw", scale="log", low=100, high=50000, map="inferno", marks=0)
    off = png.indices.astype(int) - indices_of(image[at], 100, 50000, log=True)
    check(abs(off).max() <= 1 and (off != 0).mean() < 1e-3, "logarithmic, but for rounding")
    check(png.indices.max() <= 253, "nothing is marked")
    equal([list(png.palette[i]) for i in (0, 253)], [[0, 0, 4], [252, 255, 164]], "inferno")
    png, image = show.png(product="raw", map="grey", scale="linear", marks=0)
    low, high = thousandths(image[at], ~bad[at])
    same_pixels(png.indices, indices_of(image[at], low, high), "of the levels that are found")
    check((numpy.diff(png.palette[:254].astype(int), axis=0) >= 1).all(), "grey rises")
    show.stop()


@case
def what_makes_no_sense_of_a_live_picture_is_refused(bench):
    show = Show(bench, {"sinks": [bench.sink("null")]}, SMALL)
    refused = {"product=sum": "product", "map=jet": "map", "scale=sqrt": "scale", "marks=2": "marks",
               "low=x": "low", "high=nan": "high", "high=1e39": "high", "low=": "low",
               "low=2&high=2": "below", "low=3&high=2": "below", "scale=log&high=0": "above 0",
               "low=1&low=2": "repeated", "gamma=1": "gamma"}
    for query, part in refused.items():
        status, _, body = show.monitor.ask(f"/api/v1/live.png?{query}")
        equal(status, 400, query)
        contains(body.decode(), part)
    for query in ("map=grey", "product=mean", "marks=yes", "marks=1&marks=1"):
        equal(show.monitor.status_of(f"/api/v1/live?{query}"), 400, query)
    picture, image = show.picture()
    same_pixels(picture.pixels, image.astype("float32"), "without calibration T is the count")
    equal(picture.step, 1, "a small frame comes whole")
    status, _, body = show.monitor.ask("/api/v1/live?product=flat")
    equal(status, 503, "there is no flat")
    contains(body.decode(), "without a flat")
    show.stop()


@case
def the_live_picture_follows_the_calibration(bench):
    show = Show(bench, {"reduce.normalise": "dark", "reduce.type": "float32",
                        "calibration.dark": bench.tiff("old.tif", quiet(SMALL, 1000)),
                        "calibration.directory": str(bench.output)}, SMALL, quiet)
    status, _ = show.monitor.command({"command": "dark", "frames": 4})
    equal(status, 200, "dark")
    shown = show.picture("product=raw")[0].frame
    until(lambda: show.send() or show.monitor.status()["calibration"]["done"], "a dark is made")
    check(shown < len(show.frames), "frames of a dark are shown as well")
    picture, _ = show.picture("product=dark", len(show.frames))
    same_pixels(picture.pixels, tifffile.imread(show.monitor.status()["calibration"]["path"]),
                "the dark in use")
    t, image = show.picture("", picture.frame)
    same_pixels(t.pixels, image.astype("float32") - picture.pixels, "T")
    show.stop()


def watch(monitor, paths, over, seen, wrong):
    """Ask for pictures one after the other, until it is over."""
    shown = -1
    while not over.is_set():
        for path in paths:
            status, _, body = monitor.ask(path)
            if status != 200 or ".png" in path:
                continue
            frame = Picture(body).frame
            if frame < shown:
                wrong.append((shown, frame))
            shown = frame
            seen.add(frame)


def swapped(number):
    """Pairs of numbers whose frames come the wrong way round."""
    return number ^ 1 if number % 8 in (4, 5) else number


def send_watched(bench, settings):
    """Send frames until some pictures were seen; how many it took."""
    paths = ("/api/v1/live", "/api/v1/live?product=raw&marks=1", "/api/v1/live.png?map=grey")
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**settings, "monitor.http": HERE["monitor.http"],
                                            "sinks": [bench.sink(folder="watched")]})
    over, seen, wrong, count = threading.Event(), set(), [], 0
    watchers = [threading.Thread(target=watch, args=(Monitor(daemon), paths, over, seen, wrong))
                for _ in range(2)]
    for watcher in watchers:
        watcher.start()

    def send():
        nonlocal count
        for _ in range(16):
            camera.send(swapped(count), reference.noise_image(SMALL, count, 0, 65536))
            count += 1
            time.sleep(0.002)
        return len(seen) > 4
    until(send, "some pictures are seen")
    over.set()
    for watcher in watchers:
        watcher.join()
    daemon.stop()
    equal(wrong, [], "an older picture after a newer one")
    return count


def ledger(bench, folder, count):
    series = bench.series(bench.folder / folder).require_complete(count)
    return [(row["frame"], row["crc32c"], row["mean"], row["std"]) for row in series.rows]


@case
def a_live_picture_changes_nothing_and_never_goes_back(bench):
    settings = {"reduce.normalise": "none", "reduce.type": "float32"}
    count = send_watched(bench, settings)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**settings, "series.frames": count,
                                            "sinks": [bench.sink(folder="alone")]})
    for number in range(count):
        camera.send(swapped(number), reference.noise_image(SMALL, number, 0, 65536))
    daemon.wait()
    equal(ledger(bench, "watched", count), ledger(bench, "alone", count), "with somebody watching")
