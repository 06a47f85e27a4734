# SPDX-License-Identifier: Apache-2.0
"""openbeam replay: what was recorded comes out of its source frames once more, and what differs is named."""
import json
import os
import shutil

import numpy
import tifffile

import e2e_reference as reference
from e2e_case import case, check, contains, equal, same_pixels

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
    path, = (p for p in (bench.folder / f"{name}-source").glob("*/*") if p.suffix in (".raw", ".tif", ".h5"))
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
