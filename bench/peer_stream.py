# SPDX-License-Identifier: Apache-2.0
"""A stream of frames from openbeam-send: into a plain pyzmq + h5py receiver, or into openbeamd.
Both reduce every frame and write the binned ones to an HDF5 file, and both are timed from the first
frame until the file is on disk."""
import csv
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import numpy

try:
    import zmq
except ImportError:
    zmq = None
try:
    import h5py
except ImportError:
    h5py = None

PATIENCE_S = 20


class Streamed(NamedTuple):
    """What became of one stream."""
    frames_per_s: float
    written: int
    lost: int
    wrong: int  # numbers out of order, or other pixels than they should be


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Sender:
    """openbeam-send as a camera: `prepared` pictures again and again, as fast as they are taken."""

    def __init__(self, bin_folder, size, frames, prepared):
        width, height = size
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        memory = -(-2 * width * height * prepared // 2**20)
        self.process = subprocess.Popen(
            [bin_folder / "openbeam-send", "--to", self.endpoint, "--size", f"{width}x{height}",
             "--frames", str(frames), "--memory", str(memory), "--quiet", "--linger", "5"],
            stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, problem, *_):
        try:
            self.process.wait(0 if problem else PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait()


class Frames:
    """A PULL socket: (number, pixels) of array-1.0 messages, a JSON header and the pixels."""

    def __init__(self, endpoint):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PULL)
        self.socket.rcvhwm = 8  # of 11 MB: the default of 1000 would take all memory
        self.socket.connect(endpoint)

    def receive(self):
        if not self.socket.poll(PATIENCE_S * 1000):
            raise RuntimeError(f"no frame from openbeam-send for {PATIENCE_S} s")
        header, pixels = self.socket.recv_multipart(copy=False)
        header = json.loads(header.bytes)
        return header["frame"], numpy.frombuffer(pixels, header["type"]).reshape(header["shape"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close(0)
        self.context.term()


def receive_to_hdf5(bin_folder, size, count, prepared, reduction, checksums, path):
    """The receiver as people write it.

    checksums   what the binned frame of each prepared picture must have [prepared]
    """
    width, height = size
    wrong = 0
    with Sender(bin_folder, size, count, prepared) as sender, Frames(sender.endpoint) as frames, \
            h5py.File(path, "w") as file:
        images = file.create_dataset("frames", (count, height // 2, width // 2), "uint16",
                                     chunks=(1, height // 2, width // 2))
        moments = numpy.zeros((count, 8))
        for index in range(count):
            number, pixels = frames.receive()
            if index == 0:
                began = time.monotonic()
            reduced = reduction.reduce(pixels)
            images[index] = reduced.binned
            moments[index] = reduced.raw + reduced.normalised
            wrong += number != index or reduced.checksum != checksums[number % prepared]
        file["moments"] = moments
        file.flush()
        os.fsync(file.id.get_vfd_handle())
        seconds = time.monotonic() - began
    with h5py.File(path) as file:
        written = len(file["frames"])
    os.unlink(path)
    return Streamed(count / seconds, written, count - written, wrong)


REDUCED = "normalise: transmission, bin: 2, type: uint16, window: [0.0, 1.5]"
AS_IT_CAME = "normalise: none, type: source"
CONFIGURATION = """\
ingest:
  endpoints: ["{endpoint}"]
  frame: {{width: {width}, height: {height}, type: uint16}}
  frame_limit: {limit}MiB
series: {{name: stream, first: 0, frames: {frames}, idle_end: 20s}}
calibration: {{dark: "{folder}/dark.tif", flat: "{folder}/flat.tif"}}
reduce: {{{reduce}}}
histogram: {{raw: {{bins: 4096}}, normalised: {{bins: 256, low: 0.0, high: 1.5}}}}
monitor: {{http: ""}}
sinks: [{{format: {sink}, directory: "{folder}/out"}}]
"""


class Series:
    """What openbeamd has written."""

    def __init__(self, folder):
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        with open(folder / "frames.csv", newline="") as lines:
            self.frames = [row for row in csv.DictReader(lines) if row["state"] == "written"]

    def histogram(self, kind):
        """Counts of the bins, over the series."""
        with open(self.folder / "histogram.csv", newline="") as lines:
            rows = [row for row in csv.DictReader(lines) if row["kind"] == kind]
        return numpy.array([int(row["count"]) for row in rows[:-3]])

    def pixels(self, shape):
        """Of a raw file, [frames, *shape] uint16."""
        files = sorted(self.folder.glob("*.raw"))
        pixels = numpy.concatenate([numpy.fromfile(f, "<u2") for f in files])
        return pixels.reshape(len(self.frames), *shape)


def run_openbeamd(bin_folder, folder, size, count, prepared, sink, reduce=REDUCED):
    """One series of `count` frames, written to folder/out; its Series."""
    width, height = size
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()
    with Sender(bin_folder, size, count, prepared) as sender:
        (folder / "openbeam.yaml").write_text(CONFIGURATION.format(
            endpoint=sender.endpoint, width=width, height=height, folder=folder, frames=count,
            limit=2 * width * height // 2**20 + 2, sink=sink, reduce=reduce))
        with open(folder / "openbeamd.log", "wb") as log:
            status = subprocess.run(
                [bin_folder / "openbeamd", "-c", folder / "openbeam.yaml", "--series", "1"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=120).returncode
    if status not in (0, 1):  # 1: losses, which are counted
        said = (folder / "openbeamd.log").read_text(errors="replace")[-500:]
        raise RuntimeError(f"openbeamd ended with status {status}: {said}")
    return Series(next(Path(folder / "out").iterdir()))


def stream_to_openbeamd(bin_folder, folder, size, count, prepared, checksums):
    """checksums   those that the ledger must have, of each prepared picture [prepared]"""
    series = run_openbeamd(bin_folder, folder, size, count, prepared, "hdf5")
    totals = series.manifest["totals"]
    seconds = (series.manifest["end_ns"] - series.manifest["start_ns"]) * 1e-9
    wrong = sum(row["crc32c"] != checksums[int(row["frame"]) % prepared] for row in series.frames)
    shutil.rmtree(folder / "out")
    return Streamed(totals["written"] / seconds, totals["written"],
                    totals["expected"] - totals["written"], wrong)
