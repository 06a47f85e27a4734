#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Read what sinks_write wrote with numpy, tifffile and h5py: check_sinks.py SINKS_WRITE."""
import csv
import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import tifffile

TYPES = [np.uint8, np.uint16, np.uint32, np.float32]
COLUMNS = ("frame,state,reason,flags,file,index,averaged,timestamp_ns,received_ns,durable_ns,"
           "min,max,mean,std,raw_min,raw_max,raw_mean,raw_std,saturated,bad,clipped,dose,crc32c,"
           "rotation,calibration,raw_p0.1,raw_p1,raw_p50,raw_p99,raw_p99.9,p0.1,p1,p50,p99,p99.9")
REGION = ("mean", "std", "min", "max", "snr", "raw_mean", "raw_std", "raw_min", "raw_max",
          "saturated", "good")
COLUMNS += "".join(",%s_%s" % (region, name) for region in ("beam", "sample") for name in REGION)


def crc32c(data):
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
        table.append(n)
    crc = 0xffffffff
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xffffffff


def frame(number, width, height, kind):
    values = (number * 7919 + np.arange(width * height)) % 251
    if TYPES[kind] is np.float32:
        values = values.astype(np.float32) / np.float32(7)
    return values.astype(TYPES[kind]).reshape(height, width)


def read_file(path, width, height, kind):
    if path.endswith(".raw"):
        return np.fromfile(path, TYPES[kind]).reshape(-1, height, width)
    if path.endswith(".h5"):
        with h5py.File(path, "r") as f:
            data = f["/entry1/data/data"]
            assert data.shape[1:] == (height, width) and data.dtype == TYPES[kind]
            assert data.chunks is None and data.id.get_offset() % 4096 == 0
            assert f.attrs["default"] == "entry1"
            numbers = f["/entry1/data/frame"][:]
            assert len(numbers) == len(data)
            assert np.array_equal(numbers, np.arange(len(data)) + numbers[0])
            return data[:]
    with tifffile.TiffFile(path) as t:
        assert t.byteorder == "<"
        pages = np.stack([p.asarray() for p in t.pages])
        whole = t.asarray().reshape(pages.shape)
        assert np.array_equal(pages, whole), path
        assert t.is_imagej == (not t.is_bigtiff), path
        numbers = [int(line.split("=")[1]) for p in t.pages
                   for line in p.tags[270].value.split("\n") if line.startswith("frame=")]
        assert numbers == list(range(numbers[0], numbers[0] + len(pages))), numbers
        if t.is_imagej:
            assert t.imagej_metadata["images"] == len(pages)
            first = t.pages[0].dataoffsets[0]
            step = width * height * pages.dtype.itemsize
            assert first % 4096 == 0
            assert [p.dataoffsets[0] for p in t.pages] == [
                first + i * step for i in range(len(pages))]
        return pages


def check_quality(r, n):
    assert r["calibration"] == "3"
    raw = [-np.inf, 1.5, n, 3, np.inf]
    values = np.array([0.1, n / 3, 0.5, 1, 2], np.float32)
    for name, a, b in zip(("p0.1", "p1", "p50", "p99", "p99.9"), raw, values):
        assert float(r["raw_" + name]) == a and np.float32(r[name]) == b, name
    for i, region in enumerate(("beam", "sample")):
        v = {name: r[region + "_" + name] for name in REGION}
        assert float(v["mean"]) == n / 7 + i and float(v["std"]) == n / 9
        assert float(v["snr"]) == (n / 7 + i) / (n / 9)
        assert float(v["min"]) == -i and float(v["max"]) == n + 1
        assert float(v["raw_mean"]) == n / 11 and v["raw_std"] == ""
        assert (v["raw_min"], v["raw_max"]) == (str(i), str(n))
        assert (v["saturated"], v["good"]) == (str(i), str(n + i))


def check_ledger(folder, frames, width, height, kind):
    with open(os.path.join(folder, "frames.csv"), newline="") as f:
        text = f.read()
    assert text.splitlines()[0] == COLUMNS
    rows = list(csv.DictReader(text.splitlines()))
    assert [int(r["frame"]) for r in rows] == list(range(100, 100 + frames))
    files = {}
    for r in rows:
        n = int(r["frame"])
        assert (r["state"], r["reason"], r["flags"]) == ("written", "", "dark|no-beam")
        assert float(r["dose"]) == n / 3
        assert r["timestamp_ns"] == "" and int(r["received_ns"]) == n + 1
        assert float(r["mean"]) == 1 / 3 and r["mean"] == "0.33333333333333331"
        assert r["min"] == "0.100000001" and r["max"] == "2"
        assert r["raw_min"] == str(n) and float(r["raw_max"]) == n + 0.5
        assert r["raw_std"] == ""
        check_quality(r, n)
        assert float(r["rotation"]) == -90 + 0.25 * (n - 100)
        if r["file"] not in files:
            files[r["file"]] = read_file(os.path.join(folder, r["file"]), width, height, kind)
        page = files[r["file"]][int(r["index"])]
        expected = frame(n, width, height, kind)
        assert np.array_equal(page, expected), (r["file"], r["index"])
        if n < 103:
            assert r["crc32c"] == "%08x" % crc32c(expected.tobytes())
    assert sum(len(f) for f in files.values()) == frames
    return len(files)


def check_manifest(folder, frames, files):
    with open(os.path.join(folder, "manifest.json")) as f:
        m = json.load(f)
    assert m["state"] == "complete" and m["reasons"] == []
    assert m["version"] == "1.2.3" and m["configuration"] == {"key": [1, 2]}
    totals = m["totals"]
    assert totals["written"] == totals["durable"] == totals["expected"] == frames
    assert set(totals["dropped"]) == {
        "overload", "decode", "write", "no_space", "aborted", "crash"}
    assert set(totals["missing"]) == {"never", "rejected", "overload_at_sender"}
    assert set(totals["rejected"]) == {
        "header", "parts", "shape", "type", "length", "step", "jump", "late", "no_series",
        "encoding"}
    assert [r["name"] for r in m["regions"]] == ["beam", "sample"] and m["kind"] == "sample"
    assert m["start_ns"] < m["end_ns"] and m["start"].endswith("Z")
    assert len(m["sinks"][0]["files"]) == files
    assert sum(f["frames"] for f in m["sinks"][0]["files"]) == frames


def check_histogram(folder):
    with open(os.path.join(folder, "histogram.csv")) as f:
        lines = f.read().split("\n")
    assert lines == ["kind,low,high,count", "raw,0,2048,3", "raw,2048,4096,4", "raw,-inf,0,1",
                     "raw,4096,inf,2", "raw,nan,nan,0", "normalised,0,0.5,5",
                     "normalised,0.5,1,6", "normalised,1,1.5,7", "normalised,-inf,0,8",
                     "normalised,1.5,inf,9", "normalised,nan,nan,10", ""]


def check(program, kind_name, width, height, kind, frames, per_file, file_size=0):
    with tempfile.TemporaryDirectory(prefix="openbeam-check-") as directory:
        folder = subprocess.run(
            [program, directory, kind_name, str(width), str(height), str(kind), str(frames),
             str(per_file), str(file_size)],
            check=True, capture_output=True, text=True).stdout.strip()
        names = os.listdir(folder)
        assert not [n for n in names if n.endswith(".part")], names
        files = check_ledger(folder, frames, width, height, kind)
        check_manifest(folder, frames, files)
        check_histogram(folder)
        assert files == -(-frames // per_file) or per_file < 0
    print("ok", kind_name, width, height, TYPES[kind].__name__, frames, per_file, file_size)


def main():
    program = sys.argv[1]
    for name in ("tiff", "raw", "hdf5"):
        for kind in range(4):
            check(program, name, 64, 48, kind, 5, -1)
        check(program, name, 897, 604, 3, 7, 3)
        check(program, name, 33, 31, 0, 600, 256)
        check(program, name, 1, 1, 0, 3, 2)
        check(program, name, 512, 512, 1, 9, 4)
        check(program, name, 40, 40, 1, 1, -1)
    # More than 4 GiB asked for: BigTIFF, however little comes.
    check(program, "tiff", 512, 512, 3, 6, 5000)
    check(program, "tiff", 33, 31, 0, 6, -1, 8 << 30)


main()
