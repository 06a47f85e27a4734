#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Read the NeXus masters that nexus_write makes over data files of h5py: check_nexus.py NEXUS_WRITE."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

import h5py
import numpy as np

TYPES = [np.uint8, np.uint16, np.uint32, np.float32]
NONE, DARK, TRANSMISSION = 0, 1, 2
FLOAT32, UINT16, UINT8, SOURCE = range(4)
NO_FILE = 2**32 - 1
TOMO = "/entry1/tomo_entry"
REASONS = {1: ["overload", "decode", "write", "no_space", "aborted", "crash"],
           2: ["never", "rejected", "overload_at_sender"]}


class Series:
    """A series of `frames` (None: lost) in a folder, and the plan of its master."""

    def __init__(self, program, folder, frames, per_file, maps=None, **plan):
        kind = next(f for f in frames if f is not None)
        self.program, self.folder, self.frames = program, folder, frames
        self.per_file, self.maps, self.kept = per_file, maps or {}, []
        self.plan = {"series": "wood-0001", "name": "wood", "width": kind.shape[1],
                     "height": kind.shape[0], "type": TYPES.index(kind.dtype.type),
                     "normalise": NONE, "normalised": 0, "bin": 1, "end_ns": 1700000060000000000,
                     "reduce_type": FLOAT32, "window_low": 0, "window_high": 1.5, "rows": [],
                     "records": []} | plan

    def place(self):
        for n, frame in enumerate(self.frames):
            number = 100 + n
            file, index = divmod(len(self.kept), self.per_file)
            if frame is None:
                self.plan["rows"].append([number, 0, 0, 0, n / 2])
                self.plan["records"].append([number, 1, 3, 0, NO_FILE, 0, 1, 1])
                continue
            self.kept.append(frame)
            self.plan["rows"].append([number, 1, file, index, n / 2])
            self.plan["records"].append([number, 0, 0, n % 2, file, index, 1, 1])

    def write(self):
        self.place()
        for i in range(0, len(self.kept), self.per_file):
            name = os.path.join(self.folder, "wood-0001_%06d.h5" % (i // self.per_file))
            with h5py.File(name, "w") as f:
                f["/entry1/data/data"] = np.stack(self.kept[i:i + self.per_file])
        self.plan["maps"] = []
        for role, image in self.maps.items():
            path = os.path.join(self.folder, role + ".raw")
            image.astype(np.float32).tofile(path)
            self.plan["maps"].append([role, path, image.shape[1], image.shape[0], 0xabc])
        return self.compose()

    def compose(self):
        path = os.path.join(self.folder, "wood-0001.h5")
        plan = os.path.join(self.folder, "plan.json")
        with open(plan, "w") as f:
            json.dump(self.plan, f)
        run = subprocess.run([self.program, plan, path], capture_output=True, text=True)
        assert run.returncode == 0, run
        self.said = run.stdout.strip()
        return path

    def stack(self):
        """What the rows of frames shall read as."""
        dtype = self.kept[0].dtype
        none = np.nan if dtype.kind == "f" else np.iinfo(dtype).max
        return np.stack([np.full(self.kept[0].shape, none, dtype) if f is None else f
                         for f in self.frames])


def equal(a, b):
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def httomo(f):
    """The paths httomo's `auto` takes: those of the first group that has a dataset `definition`."""
    found = []

    def visit(name, item):
        if isinstance(item, h5py.Group) and isinstance(item.get("definition"), h5py.Dataset):
            found.append(name)
    f.visititems(visit)
    assert len(found) == 1, found
    group = f[found[0]]
    return group["data/data"], group["data/rotation_angle"], group["instrument/detector/image_key"]


def reader_arithmetic(f):
    """As programs normalise: by the darks and flats that the key names, if there are any."""
    data, angle, key = (d[...] for d in httomo(f))
    projections = data[key == 0].astype(np.float64)
    assert len(angle) == len(data) == len(key)
    dark = data[key == 2].mean(axis=0, dtype=np.float64) if (key == 2).any() else 0.0
    flat = data[key == 1].mean(axis=0, dtype=np.float64) if (key == 1).any() else 1.0
    return (projections - dark) / (flat - dark)


def default_of(f):
    """What silx shows: along the default attributes to an NXdata and its signal."""
    group = f
    while "default" in group.attrs:
        group = group[group.attrs["default"]]
    assert group.attrs["NX_class"] == "NXdata"
    return group, group[group.attrs["signal"]]


def check_tree(path, series):
    with h5py.File(path, "r") as f:
        classes = {}
        f.visititems(lambda name, item: classes.__setitem__(name, item.attrs.get("NX_class"))
                     if isinstance(item, h5py.Group) else None)
        assert f.attrs["NX_class"] == "NXroot" and None not in classes.values(), classes
        assert classes["entry1"] == "NXentry" and "definition" not in f["entry1"]
        assert classes["entry1/tomo_entry"] == "NXsubentry"
        assert {classes["entry1/tomo_entry/" + n] for n in
                ("instrument", "instrument/source", "instrument/detector", "sample", "control",
                 "data")} == {"NXinstrument", "NXsource", "NXdetector", "NXsample", "NXmonitor",
                              "NXdata"}
        tomo = f[TOMO]
        assert tomo["definition"].asstr()[()] == "NXtomo" and tomo["title"].asstr()[()] == "wood"
        assert tomo["start_time"].asstr()[()] == "2023-11-14T22:13:20.000000001Z"
        assert tomo["end_time"].asstr()[()] == "2023-11-14T22:14:20.000000000Z"
        assert tomo["sample/name"].asstr()[()] == "wood"
        group, signal = default_of(f)
        assert group == tomo["data"] and signal == tomo["instrument/detector/data"]
        assert list(group.attrs["axes"]) == ["rotation_angle", ".", "."]
        assert group["rotation_angle"] == tomo["sample/rotation_angle"]
        assert group["image_key"] == tomo["instrument/detector/image_key"]
        assert group["rotation_angle"].attrs["units"] == "degrees"
        assert signal.is_virtual and signal.attrs["interpretation"] == "image"
        assert f[signal.attrs["target"]] == signal
        assert tomo["instrument/detector/image_key"].dtype == np.int32
        rows = [row + [0, None] if len(row) < 7 else row for row in series.plan["rows"]]
        assert equal(tomo["control/data"][...][-len(rows):],
                     np.array([np.nan if row[6] is None else row[6] for row in rows]))
        assert len(tomo["control/data"]) == len(signal)
        openbeam = f["/entry1/openbeam"]
        assert json.loads(openbeam["manifest"].asstr()[()])["name"] == "h\u00f6lzer"
        assert openbeam["configuration"].asstr()[()] == '{"key": [1, 2]}'
        check_histograms(openbeam["histogram"])
        if "description" in series.plan:
            detector = tomo["instrument/detector"]
            assert detector["description"].asstr()[()] == series.plan["description"]
            assert detector["count_time"][()] == series.plan["exposure_s"]
            assert detector["count_time"].attrs["units"] == "s" and "frame_time" not in detector


def check_histograms(group):
    raw, normalised = group["raw"], group["normalised"]
    assert raw.attrs["signal"] == "counts" and list(raw.attrs["axes"]) == ["centres"]
    assert list(raw["counts"]) == [3, 4] and list(raw["edges"]) == [0, 2048, 4096]
    assert list(raw["centres"]) == [1024, 3072]
    assert (raw["below"][()], raw["above"][()], raw["nan"][()]) == (1, 2, 0)
    assert list(normalised["counts"]) == [5, 6, 7]
    assert list(normalised["edges"]) == [0, 0.5, 1, 1.5]
    assert normalised["nan"][()] == 10


def check_stack(path, series, ahead):
    """Every frame, its key, angle and number; `ahead`: the keys of the images before them."""
    want = series.stack()
    n = len(ahead)
    with h5py.File(path, "r") as f:
        data, angle, key = httomo(f)
        assert data.shape == (n + len(want),) + want.shape[1:]
        assert equal(data[n:], want)
        assert [k for k in key] == ahead + [3 if f is None else 0 for f in series.frames]
        assert np.isnan(angle[:n]).all() and list(angle[n:]) == [i / 2 for i in range(len(want))]
        numbers = f["/entry1/openbeam/frame_number"][...]
        assert list(numbers) == [2**64 - 1] * n + list(range(100, 100 + len(want)))
        for i in (0, len(want) // 2, len(want) - 1):
            assert equal(data[n + i], want[i])
        assert equal(data[n:, 1, 2], want[:, 1, 2]) and equal(data[n::3, ::2], want[::3, ::2])


def check_ledger(path, series):
    """The columns follow from the numbers as record_of() in nexus_write.c makes them."""
    with h5py.File(path, "r") as f:
        ledger = f["/entry1/openbeam/ledger"]
        records = np.array(series.plan["records"], np.int64).reshape(-1, 8)
        repeat = records[:, 6]
        numbers = np.concatenate([[0]] + [r[0] + r[7] * np.arange(r[6]) for r in records])[1:]
        first, state, reason, flags, file, index = np.repeat(records[:, :6], repeat, axis=0).T
        written, placed = state == 0, file != NO_FILE
        frame = ledger["frame"]
        assert frame.dtype == np.uint64 and np.array_equal(frame, numbers)
        states = np.array(["written", "dropped", "missing"])
        reasons = np.array([[""] * 6, REASONS[1], REASONS[2] + [""] * 3])
        assert np.array_equal(ledger["state"].asstr()[...].astype(str), states[state])
        assert np.array_equal(ledger["reason"].asstr()[...].astype(str), reasons[state, reason])
        assert np.array_equal(ledger["file"], file)
        assert np.array_equal(ledger["index"], np.where(placed, index, NO_FILE))
        for name, value in {"flags": flags, "timestamp_ns": first * 1000,
                            "received_ns": first * 1000 + 1}.items():
            assert np.array_equal(ledger[name], value), name
        for name, value in {"durable_ns": first * 1000 + 2, "averaged": first * 0 + 1,
                            "bad": first + 2, "saturated": first + 3, "clipped": first + 4,
                            "crc32c": first * 2654435761 % 2**32}.items():
            assert np.array_equal(ledger[name], np.where(written, value, 0)), name
        for name, value in {"min": first - 0.5, "max": first + 0.5, "mean": first / 3,
                            "std": first / 7, "raw_min": first - 8.0, "raw_max": first + 8.0,
                            "raw_mean": first / 5, "raw_std": first / 9}.items():
            assert equal(ledger[name][...], np.where(written, value, np.nan)), name
        assert ledger["crc32c"].dtype == ledger["file"].dtype == np.uint32
        assert equal(ledger["dose"][...], np.where(written, first / 11, np.nan))
        assert np.array_equal(ledger["calibration"], np.where(written, first % 5, 0))
        for name, value in {"raw_p0.1": -np.inf, "raw_p1": 1, "raw_p50": first, "raw_p99.9": np.inf,
                            "p0.1": np.nan, "p50": first.astype(np.float32) / np.float32(3)}.items():
            want = np.where(written, value, np.nan).astype(np.float32)
            assert equal(ledger[name][...], want), name
        assert {len(c) for c in ledger.values()} == {len(frame)} and len(ledger) == 34
        check_regions(f["/entry1/openbeam"], series.plan.get("regions", 0), first, written)
        statistics = f["/entry1/openbeam/statistics"]
        assert statistics[statistics.attrs["signal"]] == ledger["mean"]
        assert statistics[statistics.attrs["axes"][0]] == ledger["frame"]
        assert all(n in statistics for n in statistics.attrs["auxiliary_signals"])


def check_regions(openbeam, count, n, written):
    """As regions_of() in nexus_write.c makes them."""
    assert ("regions" in openbeam) == (count > 0)
    for i in range(count):
        region = openbeam["regions/r%d" % i]
        assert region.attrs["NX_class"] == "NXdata" and region["frame"] == openbeam["ledger/frame"]
        assert region[region.attrs["signal"]] == region["mean"] and len(region) == 12
        assert list(region.attrs["rectangle"]) == [i, 2, 3, 4]
        with np.errstate(invalid="ignore"):
            want = {"mean": n / 8, "std": n / 3 + i, "min": -n, "max": n + 1,
                    "snr": (n / 8) / (n / 3 + i), "raw_mean": n / 2, "raw_std": n / 4, "raw_min": n,
                    "raw_max": n + i}
        for name, value in want.items():
            assert equal(region[name][...], np.where(written, value, np.nan)), (i, name)
        assert np.array_equal(region["good"], np.where(written, n + i, 0))
        assert np.array_equal(region["saturated"], np.where(written, i, 0))
        assert region["raw_mean"].attrs["units"] == "counts"


def check_process(path, **want):
    with h5py.File(path, "r") as f:
        process = f["/entry1/process"]
        assert process.attrs["NX_class"] == "NXprocess"
        assert process["program"].asstr()[()] == "openbeam"
        assert process["version"].asstr()[()] == "1.2.3"
        for name, value in want.items():
            if name == "words":
                assert process["description"].asstr()[()] == value
            elif isinstance(value, str):
                assert process[name].asstr()[()] == value, name
            else:
                assert np.array_equal(process[name][()], value), name


def check_h5dump(path):
    run = subprocess.run(["h5dump", path], capture_output=True, text=True)
    assert run.returncode == 0 and "error" not in run.stderr.lower(), run.stderr
    assert "NXtomo" in run.stdout


def in_folder(case):
    def run(program):
        with tempfile.TemporaryDirectory(prefix="openbeam-nexus-") as folder:
            case(program, folder)
        print("ok", case.__name__)
    return run


def some_frames(rng, count, shape, dtype, lost=()):
    values = rng.integers(40, 200, (count,) + shape)
    frames = [v.astype(dtype) for v in values]
    return [None if i in lost else f for i, f in enumerate(frames)]


@in_folder
def every_type_and_places(program, folder):
    rng = np.random.default_rng(1)
    for dtype in TYPES:
        s = Series(program, folder, some_frames(rng, 23, (5, 7), dtype, (0, 4, 5, 9, 22)), 4,
                   normalised=1, normalise=TRANSMISSION, description="EIGER \u00b5", exposure_s=0.25)
        path = s.write()
        check_tree(path, s)
        check_stack(path, s, [])
        check_ledger(path, s)
        check_h5dump(path)


@in_folder
def regions_dose_and_frames_that_are_darks_or_flats(program, folder):
    rng = np.random.default_rng(11)
    frames = some_frames(rng, 12, (5, 7), np.uint16, (4, 5))
    s = Series(program, folder, frames, 4, {"dark": np.ones((5, 7), np.float32),
                                            "flat_dark": np.full((5, 7), 3, np.float32)})
    s.write()
    keys = {0: (2, 2), 4: (2, 3), 7: (4, 1), 8: (6, 2), 9: (9, 0), 10: (5, 1)}
    for i, row in enumerate(s.plan["rows"]):
        row += [keys.get(i, (0, 0))[0], None if i % 3 == 0 else i / 4]
    for count in (1, 16):
        s.plan["regions"] = count
        path = s.compose()
        check_tree(path, s)
        check_ledger(path, s)
        with h5py.File(path, "r") as f:
            _, _, key = httomo(f)
            want = [keys[i][1] if i in keys else 3 if frame is None else 0
                    for i, frame in enumerate(frames)]
            assert list(key) == [2] + want, key
            stored = f["/entry1/openbeam/calibration"]
            assert (stored["flat_dark"][...] == 3).all() and "flat_dark_frame" not in stored
    check_h5dump(path)


@in_folder
def not_normalised_leaves_it_to_the_reader(program, folder):
    rng = np.random.default_rng(2)
    dark = rng.normal(20, 1, (6, 8))
    flat = rng.normal(220, 3, (6, 8))
    dark[1, 2] = np.nan
    maps = {"dark": dark.astype(np.float32), "flat": flat.astype(np.float32),
            "mask": np.zeros((6, 8), np.float32)}
    s = Series(program, folder, some_frames(rng, 9, (6, 8), np.float32, (3,)), 3, maps)
    path = s.write()
    check_tree(path, s)
    check_stack(path, s, [2, 1])
    check_process(path, normalised="no", normalise="none", bin=1, type="float32", product="reduced",
                  words="pixels unpacked")
    with h5py.File(path, "r") as f:
        got = reader_arithmetic(f)
        d, fl = maps["dark"].astype(np.float64), maps["flat"].astype(np.float64)
        want = (np.stack(s.kept).astype(np.float64) - d) / (fl - d)
        assert np.array_equal(got, want, equal_nan=True)
        assert np.isnan(got[:, 1, 2]).all() and np.isnan(got).sum() == len(got)
        calibration = f["/entry1/openbeam/calibration"]
        for role, image in maps.items():
            assert equal(calibration[role][...], image)
            assert calibration[role].attrs["path"].endswith(role + ".raw")
            assert calibration[role].attrs["crc32c"] == "00000abc"
    check_h5dump(path)


@in_folder
def normalised_leaves_the_reader_nothing(program, folder):
    rng = np.random.default_rng(3)
    maps = {"dark": np.full((6, 8), 9, np.float32), "flat": np.full((6, 8), 99, np.float32)}
    s = Series(program, folder, some_frames(rng, 9, (6, 8), np.float32, (8,)), 4, maps,
               normalised=1, normalise=TRANSMISSION)
    path = s.write()
    check_stack(path, s, [])
    check_process(path, normalised="yes", normalise="transmission",
                  words="pixels unpacked; transmission: (I - D) / (F - D)")
    with h5py.File(path, "r") as f:
        assert np.array_equal(reader_arithmetic(f), np.stack(s.kept))
        assert equal(f["/entry1/openbeam/calibration/flat"][...], maps["flat"])


@in_folder
def calibration_frames_are_cut_binned_and_converted(program, folder):
    rng = np.random.default_rng(4)
    raw = rng.integers(300, 3000, (6, 9, 12)).astype(np.float32)
    dark = rng.normal(100, 5, (9, 12)).astype(np.float32)
    flat = rng.normal(3500, 50, (9, 12)).astype(np.float32)
    cut = np.s_[..., 1:8, 2:11]  # 7 x 9, in bins of 2: 3 x 4

    def bins(image):
        return image[cut][..., :6, :8].reshape(image.shape[:-2] + (3, 2, 4, 2)).mean((-3, -1))

    def window(image):
        return np.rint(np.clip(bins(image) / 4000, 0, 1) * 65534).astype(np.uint16)
    s = Series(program, folder, list(window(raw)), 4, {"dark": dark, "flat": flat}, bin=2, roi_x=2,
               roi_y=1, roi_width=9, roi_height=7, reduce_type=UINT16, window_high=4000)
    path = s.write()
    check_stack(path, s, [2, 1])
    check_process(path, bin=2, roi=[2, 1, 9, 7], type="uint16", window=[0, 4000],
                  words="pixels unpacked, of a region; mean of the good pixels of 2 x 2; "
                        "0 to 4000 mapped to 0 to the type's maximum less 1")
    with h5py.File(path, "r") as f:
        data = f[TOMO + "/data/data"]
        # float32 against float64: now and then the next level.
        assert np.abs(data[0].astype(int) - window(dark)).max() <= 1
        assert np.abs(data[1].astype(int) - window(flat)).max() <= 1
        want = (bins(raw) - bins(dark)) / (bins(flat) - bins(dark))
        assert np.abs(reader_arithmetic(f) - want).max() < 1e-4


@in_folder
def source_frames_are_only_cut(program, folder):
    rng = np.random.default_rng(5)
    dark = rng.normal(20, 1, (6, 8)).astype(np.float32)
    s = Series(program, folder, some_frames(rng, 5, (4, 5), np.uint16), 2, {"dark": dark}, source=1,
               normalise=TRANSMISSION, bin=2, reduce_type=UINT8, roi_x=3, roi_y=2)
    path = s.write()
    check_stack(path, s, [2])
    check_process(path, product="source", normalise="none", bin=1, type="uint16")
    with h5py.File(path, "r") as f:
        assert equal(f[TOMO + "/data/data"][0], np.rint(dark[2:, 3:]).astype(np.uint16))


@in_folder
def holes_in_files_are_left_out(program, folder):
    """Frames whose writes failed lie in the file and not in the stack; and files come back."""
    rng = np.random.default_rng(6)
    s = Series(program, folder, some_frames(rng, 12, (3, 4), np.float32), 12, normalised=1)
    s.write()
    order = [(0, 1, 0, 1), (1, 1, 0, 2), (2, 0, 0, 0), (3, 1, 0, 6), (4, 1, 0, 5), (5, 1, 0, 11)]
    s.plan["rows"] = [[100 + n, p, f, i, None] for n, p, f, i in order]
    with h5py.File(s.compose(), "r") as f:
        data = f[TOMO + "/data/data"]
        for n, present, _, index in order:
            want = s.kept[index] if present else np.full((3, 4), np.nan, np.float32)
            assert equal(data[n], want), n
        whole = data[...]
        assert equal(whole, np.stack([data[n] for n in range(len(order))]))
        assert list(f[TOMO + "/data"].attrs["axes"]) == [".", ".", "."]
        assert np.isnan(f[TOMO + "/data/rotation_angle"]).all()


@in_folder
def nothing_present(program, folder):
    s = Series(program, folder, some_frames(np.random.default_rng(7), 3, (3, 4), np.uint16), 12,
               normalised=1, end_ns=0)
    s.write()
    for count in (3, 0):
        s.plan["rows"] = [[n, 0, 0, 0, None] for n in range(count)]
        s.plan["records"] = [[0, 2, 0, 0, NO_FILE, 0, 3, 1]][:count]
        path = s.compose()
        check_ledger(path, s)
        check_h5dump(path)
        with h5py.File(path, "r") as f:
            data = f[TOMO + "/data/data"][...]
            assert data.shape == (count, 3, 4) and (data == 65535).all()
            assert (f[TOMO + "/instrument/detector/image_key"][...] == 3).all()
            assert "end_time" not in f[TOMO]


@in_folder
def records_of_many_frames(program, folder):
    s = Series(program, folder, some_frames(np.random.default_rng(8), 3, (3, 4), np.uint16), 12,
               normalised=1)
    s.write()
    s.plan["records"] = [[10, 0, 0, 0, 0, 0, 1, 2], [12, 2, 2, 0, NO_FILE, 0, 40000, 2],
                         [80012, 0, 0, 1, 0, 1, 1, 2]]
    path = s.compose()
    check_ledger(path, s)
    assert os.path.getsize(path) < 1 << 20
    s.plan["records"][1][6] = 2**62
    path = s.compose()
    with h5py.File(path, "r") as f:
        ledger = f["/entry1/openbeam/ledger"]
        assert list(ledger["frame"]) == [10, 12, 80012]
        assert list(ledger["repeat"]) == [1, 2**62, 1] and list(ledger["step"]) == [2, 2, 2]


@in_folder
def one_frame_in_ten_lost(program, folder):
    """100 000 frames with 10 000 holes, regular and not: made and read in reasonable time."""
    count, shape = 100000, (4, 5)
    frames = np.arange(count * 20, dtype=np.float32).reshape((count,) + shape)
    random = np.random.default_rng(9).random(count) < 0.1
    for lost, per_file in ((np.arange(count) % 10 == 9, 1000), (random, count)):
        s = Series(program, folder, [None if gone else f for f, gone in zip(frames, lost)],
                   per_file, normalised=1)
        path = s.write()
        began = time.monotonic()
        with h5py.File(path, "r") as f:
            data = f[TOMO + "/data/data"]
            opened = time.monotonic()
            frame = data[54321]
            one = time.monotonic()
            whole = data[...]
            read = time.monotonic()
            mappings = len(data.virtual_sources())
        want = s.stack()
        assert equal(whole, want) and equal(frame, want[54321])
        assert mappings <= 100 and read - began < 30
        check_ledger(path, s)
        print("  composed in %s; %d mappings; opened in %.3f s, a frame %.4f s, all %.3f s" % (
            s.said, mappings, opened - began, one - opened, read - one))


@in_folder
def an_image_of_another_size_is_refused(program, folder):
    rng = np.random.default_rng(10)
    s = Series(program, folder, some_frames(rng, 3, (3, 4), np.uint16), 12,
               {"flat": np.ones((3, 5), np.float32)})
    try:
        s.write()
    except AssertionError as e:
        assert "returncode=2" in str(e) and "4 x 3 pixels of the flat, which has 5 x 3" in str(e), e
    else:
        raise AssertionError("composed")


@in_folder
def the_folder_can_move(program, folder):
    s = Series(program, folder, some_frames(np.random.default_rng(11), 4, (3, 4), np.uint16), 2,
               normalised=1)
    s.write()
    moved = os.path.join(folder, "moved")
    os.mkdir(moved)
    for name in os.listdir(folder):
        if name.endswith(".h5"):
            shutil.move(os.path.join(folder, name), moved)
    check_stack(os.path.join(moved, "wood-0001.h5"), s, [])


def main():
    warnings.simplefilter("error")
    for case in (every_type_and_places, regions_dose_and_frames_that_are_darks_or_flats,
                 not_normalised_leaves_it_to_the_reader,
                 normalised_leaves_the_reader_nothing,
                 calibration_frames_are_cut_binned_and_converted, source_frames_are_only_cut,
                 holes_in_files_are_left_out, nothing_present, records_of_many_frames,
                 an_image_of_another_size_is_refused, the_folder_can_move, one_frame_in_ten_lost):
        case(sys.argv[1])


if __name__ == "__main__":
    main()
