# SPDX-License-Identifier: Apache-2.0
"""GenICam's packed pixels: what numpy unpacks is what is written."""
import json

import numpy
import tifffile

import e2e_reference as reference
from e2e_case import Skip, case, check, equal, same_pixels
from e2e_daemon import array_header

SHAPE = (101, 131)  # odd: rows begin anywhere in a byte; more than one tile
FORMATS = {"Mono10p": (10, 10), "Mono10Packed": (12, 10), "Mono12p": (12, 12),
           "Mono12Packed": (12, 12), "Mono14p": (14, 14)}  # bits on the wire, significant


def payload_bytes(name, shape):
    return (shape[0] * shape[1] * FORMATS[name][0] + 7) // 8


def random_payload(name, shape, seed):
    """Any bytes are pixels, and bits that belong to none have no meaning."""
    return numpy.random.default_rng(seed).integers(0, 256, payload_bytes(name, shape), "uint8")


def unpack_stream(payload, shape, bits):
    stream = numpy.unpackbits(payload, bitorder="little")[:shape[0] * shape[1] * bits]
    return (stream.reshape(*shape, bits) << numpy.arange(bits, dtype="uint16")).sum(
        axis=2, dtype="uint16")


def unpack_pairs(payload, shape, low):
    """Three bytes for two pixels: high bits, the low bits of both, high bits."""
    padded = numpy.append(payload, numpy.zeros(-len(payload) % 3, "uint8"))
    first, shared, second = padded.reshape(-1, 3).astype("uint16").T
    mask = 2**low - 1
    pixels = numpy.stack([first << low | shared & mask, second << low | shared >> 4 & mask], axis=1)
    return pixels.ravel()[:shape[0] * shape[1]].reshape(shape)


def unpacked(name, payload, shape):
    bits = FORMATS[name][1]
    if name.endswith("p"):
        return unpack_stream(payload, shape, bits)
    return unpack_pairs(payload, shape, bits - 8)


def header(number, shape):
    return json.dumps(array_header(numpy.empty(shape, "uint16"), number, type="uint12")).encode()


def send(camera, number, payload, shape):
    camera.send_parts(header(number, shape), payload.tobytes())


def stream(bench, name, payloads, shape, settings):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "ingest.pixel_format": name, "series.frames": len(payloads), **settings})
    for number, payload in enumerate(payloads):
        send(camera, number, payload, shape)
    daemon.wait()


@case
def a_region_begins_anywhere_in_a_byte(bench):
    for name in FORMATS:
        payload = random_payload(name, SHAPE, 8)
        whole = unpacked(name, payload, SHAPE)
        for x, y, width, height in ((3, 1, 125, 100), (0, 50, 131, 51), (1, 0, 1, 1)):
            output = f"{name}-{x}"
            stream(bench, name, [payload], SHAPE, {
                "reduce.type": "source", "sinks": [bench.sink(folder=output)],
                "reduce.roi": {"x": x, "y": y, "width": width, "height": height}})
            series = bench.series(bench.folder / output).require_complete(1)
            same_pixels(series.images()[0], whole[y:y + height, x:x + width], output)


@case
def the_published_examples_arrive(bench):
    examples = {"Mono10p": ("0154a5eaff", [0x001, 0x155, 0x2AA, 0x3FF]),
                "Mono10Packed": ("001155aa32ff", [0x001, 0x155, 0x2AA, 0x3FF]),
                "Mono12p": ("23c1ab56d4fe", [0x123, 0xABC, 0x456, 0xFED]),
                "Mono12Packed": ("12c3ab45d6fe", [0x123, 0xABC, 0x456, 0xFED]),
                "Mono14p": ("014055a5aafeff", [0x0001, 0x1555, 0x2AAA, 0x3FFF])}
    for name, (text, pixels) in examples.items():
        payload = numpy.frombuffer(bytes.fromhex(text), "uint8")
        expected = numpy.array(pixels, "uint16").reshape(2, 2)
        same_pixels(unpacked(name, payload, (2, 2)), expected, f"the test's own {name}")
        stream(bench, name, [payload], (2, 2), {"reduce.type": "source",
                                                "sinks": [bench.sink(folder=name)]})
        series = bench.series(bench.folder / name).require_complete(1)
        same_pixels(series.images()[0], expected, name)


@case(quick=True, limit=120)
def packed_pixels_are_those_of_numpy_on_every_isa(bench):
    flags = set(open("/proc/cpuinfo").read().split("flags", 1)[-1].split("\n")[0].split())
    isas = (["scalar"] + ["avx2"] * ("avx2" in flags) + ["avx512"] * ("avx512vl" in flags)
            + ["avx512icl"] * ("avx512_vbmi2" in flags))
    dark, flat, _ = reference.calibration(SHAPE)
    gain = reference.gain(dark, flat)
    planes = {"calibration.dark": bench.tiff("dark.tif", dark),
              "calibration.flat": bench.tiff("flat.tif", flat), "reduce.normalise": "transmission"}
    for name, (_, bits) in FORMATS.items():
        payloads = [random_payload(name, SHAPE, seed) for seed in range(3)]
        images = [unpacked(name, p, SHAPE) for p in payloads]
        for isa in isas:
            output = f"{name}-{isa}"
            stream(bench, name, payloads, SHAPE, {**planes, "daemon.isa": isa, "sinks": [
                bench.sink("tiff", output), bench.sink("tiff", f"{output}-source", product="source")]})
            reduced = bench.series(bench.folder / output).require_complete(3)
            source, = (bench.folder / f"{output}-source").glob("*/*.tif")
            same_pixels(tifffile.imread(source), numpy.stack(images), f"source, {output}")
            for number, found in reduced.images().items():
                same_pixels(found, reference.transmission(images[number], dark, gain),
                            f"{output} frame {number}")
            good = ~numpy.isnan(gain)
            equal(reduced.column("saturated", int),
                  [int((i[good] == 2**bits - 1).sum()) for i in images], f"saturated, {output}")
    if isas[-1] != "avx512icl":
        raise Skip("no AVX-512 with VBMI here; good on " + ", ".join(isas))


@case
def packed_frames_of_a_few_pixels_are_whole(bench):
    for name in FORMATS:
        for shape in ((1, 1), (1, 3), (3, 1), (3, 5), (5, 7)):
            output = f"{name}-{shape[0]}x{shape[1]}"
            payload = random_payload(name, shape, 7)
            stream(bench, name, [payload], shape, {"reduce.type": "source",
                                                   "sinks": [bench.sink(folder=output)]})
            series = bench.series(bench.folder / output).require_complete(1)
            same_pixels(series.images()[0], unpacked(name, payload, shape), output)


@case
def packed_blobs_of_a_wrong_length_are_rejected(bench):
    for name in FORMATS:
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, {
            "ingest.pixel_format": name, "series.frames": 2, "reduce.type": "source",
            "sinks": [bench.sink(folder=name)]})
        payload = random_payload(name, SHAPE, 1)
        whole = numpy.zeros(2 * SHAPE[0] * SHAPE[1], "uint8")  # in 16-bit words
        send(camera, 0, payload, SHAPE)
        for wrong in (payload[:-1], numpy.append(payload, payload[:1]), payload[:0], whole):
            send(camera, 1, wrong, SHAPE)
        send(camera, 1, payload, SHAPE)
        daemon.wait()
        series = bench.series(bench.folder / name).require_complete(2)
        equal(series.lost("rejected"), {"length": 4}, f"rejected, {name}")
        check((series.images()[1] == unpacked(name, payload, SHAPE)).all(), "the frame after them")
