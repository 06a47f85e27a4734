#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What people use today, doing openbeam's work on this machine in the same run.

numpy line by line, numpy written for speed, that on every core, OpenCV on one thread and on all, and
a plain pyzmq + h5py receiver. bench/peer_reductions.py and bench/peer_stream.py are short: read
them, and tell us where you would write them faster. Frames are openbeam-send's phantom; before
anything is timed, each result is compared with what openbeamd writes about the same frames. The other
side is openbeam-bench's pass over frames in memory, and openbeam-send to openbeamd to HDF5.

exit status: 0 done, also when a package is missing; 1 results differ or frames were lost; 2 usage;
69 a program is missing or failed
"""
import argparse
import importlib.util
import json
import multiprocessing
import os
import queue
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# A dot product of one strip is not worth other threads; more cores are used by more processes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

PACKAGES = {"numpy": "python3-numpy", "tifffile": "python3-tifffile", "cv2": "python3-opencv",
            "zmq": "python3-zmq", "h5py": "python3-h5py"}
PICTURES = 8  # more bytes than caches have, in turn
RUNS = 3
PATIENCE_S = 30
EX_DIFFER, EX_UNAVAILABLE = 1, 69


def missing(*modules):
    """Why something cannot run, or None."""
    absent = [PACKAGES[m] for m in modules if not importlib.util.find_spec(m)]
    if absent:
        return f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed"
    return None


class Table:
    """Rows as openbeam-bench prints and writes them."""

    def __init__(self):
        self.rows = []
        print(f"{'peers':34} {'median':>10} {'min':>10} {'max':>10}  {'unit':10} {'runs':>4} "
              f"{'openbeam':>10} {'times':>7}", flush=True)

    def add(self, name, rates, note="", *, openbeam=None, **more):
        median = statistics.median(rates)
        ratio = openbeam / median if openbeam and median else None
        self.rows.append({"name": name, "unit": "frames/s", "median": median, "min": min(rates),
                          "max": max(rates), "runs": len(rates), "limit": None, "ratio": ratio,
                          "lost": None, "openbeam": openbeam, **more})
        against = f"{openbeam:10.1f} {ratio:7.1f}" if ratio else " " * 18
        print(f"{name:34} {median:10.2f} {min(rates):10.2f} {max(rates):10.2f}  {'frames/s':10} "
              f"{len(rates):4} {against}  {note}", flush=True)

    def skip(self, name, why):
        self.rows.append({"name": name, "unit": "frames/s", "median": None, "min": None,
                          "max": None, "runs": 0, "limit": None, "ratio": None, "lost": None,
                          "openbeam": None, "skipped": why})
        print(f"{name:34} skipped: {why}", flush=True)


# ---- the same results ----

def closer(found, expected, relative, what):
    if not abs(found - expected) <= relative * abs(expected) + 1e-7:
        yield f"{what} is {found:.9g}, openbeam's {expected:.9g}"


def moments_differ(moments, row, prefix):
    for name, tolerance in (("min", 1e-6), ("max", 1e-6), ("mean", 1e-6), ("std", 2e-5)):
        column = prefix + name
        yield from closer(getattr(moments, name), float(row[column]), tolerance,
                          f"frame {row['frame']}: {column}")


def counts_differ(found, expected, share, what):
    moved = int(abs(found.astype(int) - expected).sum()) // 2
    if abs(int(found.sum()) - int(expected.sum())) + moved > share * expected.sum():
        yield f"{what}: {moved} of {int(expected.sum())} pixels are in other bins"


def pixels_differ(found, expected, what):
    most = int(abs(found.astype(int) - expected).max())
    if most > 1:
        yield f"{what}: a binned pixel differs by {most}"


class Truth:
    """What openbeamd writes about the pictures."""

    def __init__(self, series, shape):
        self.rows, self.pixels = series.frames, series.pixels(shape)
        self.histogram = series.histogram("normalised")
        self.raw_histogram = series.histogram("raw")
        self.checksums = [row["crc32c"] for row in self.rows]

    def differences(self, reduced):
        """Sentences about results [PICTURES] that are not openbeam's."""
        for row, pixels, one in zip(self.rows, self.pixels, reduced):
            yield from moments_differ(one.raw, row, "raw_")
            yield from moments_differ(one.normalised, row, "")
            yield from pixels_differ(one.binned, pixels, f"frame {row['frame']}")
        yield from counts_differ(sum(one.histogram for one in reduced), self.histogram, 2e-4,
                                 "normalised histogram")
        if reduced[0].raw_histogram is not None:
            yield from counts_differ(sum(one.raw_histogram for one in reduced),
                                     self.raw_histogram, 0, "raw histogram")


# ---- measuring ----

def frames_per_s(reduction, pictures, seconds):
    begin, frames = time.perf_counter(), 0
    while True:
        reduction.reduce(pictures[frames % len(pictures)])
        frames += 1
        taken = time.perf_counter() - begin
        if taken >= seconds:
            return frames / taken


def one_process(make, pictures, seconds, start, rates):
    reduction = make()
    reduction.reduce(pictures[0])
    start.wait()
    rates.put(frames_per_s(reduction, pictures, seconds))


def all_cores_per_s(make, pictures, seconds, processes):
    """A process for each core, each with its share of the frames."""
    fork = multiprocessing.get_context("fork")
    start, rates = fork.Barrier(processes, timeout=PATIENCE_S), fork.Queue()
    started = [fork.Process(target=one_process, args=(make, pictures, seconds, start, rates))
               for _ in range(processes)]
    for process in started:
        process.start()
    try:
        total = sum(rates.get(timeout=2 * PATIENCE_S + seconds) for _ in started)
    except queue.Empty:
        raise RuntimeError("a process of numpy has ended without a result") from None
    for process in started:
        process.join()
    return total


class Peers:
    """Everything that is measured, in turn."""

    def __init__(self, arguments, folder):
        from peer_reductions import Calibration
        import tifffile
        import peer_stream
        self.stream, self.folder = peer_stream, folder
        self.bin, self.size, self.seconds = arguments.bin, arguments.size, arguments.seconds
        self.cores = len(os.sched_getaffinity(0))
        self.differ, self.machine, self.version = False, {}, ""
        self.program("openbeam-send", "--size", "{}x{}".format(*self.size), "--write-dark",
                     folder / "dark.tif", "--write-flat", folder / "flat.tif")
        self.calibration = Calibration(tifffile.imread(folder / "dark.tif"),
                                       tifffile.imread(folder / "flat.tif"))
        width, height = self.size
        self.truth = Truth(self.written(peer_stream.REDUCED), (height // 2, width // 2))
        self.pictures = list(self.written(peer_stream.AS_IT_CAME).pixels((height, width)))
        self.table = Table()

    def program(self, name, *arguments):
        done = subprocess.run([self.bin / name, *map(str, arguments)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"{name} ended with status {done.returncode}: "
                               f"{done.stdout.decode(errors='replace')[-500:]}")
        return done

    def written(self, reduce):
        """What openbeamd writes about the pictures, as raw."""
        series = self.stream.run_openbeamd(self.bin, self.folder, self.size, PICTURES, PICTURES,
                                           "raw", reduce)
        if len(series.frames) != PICTURES:
            raise RuntimeError(f"openbeamd wrote {len(series.frames)} of {PICTURES} frames")
        return series

    def measure_pass(self):
        """openbeam's pass: {row of `openbeam-bench pipeline`: median}."""
        json_path = self.folder / "pipeline.json"
        done = self.program("openbeam-bench", "pipeline", "--brief", "--json", json_path,
                            "--size", "{}x{}".format(*self.size), "--directory", self.folder)
        found = json.loads(json_path.read_text())
        self.machine, self.version = found["machine"], found["version"]
        self.differ |= done.returncode != 0
        rows = {row["name"]: row for row in found["results"]}
        for name, source in (("openbeam-pass", "headline"), ("openbeam-pass-1core", "headline-1core"),
                             ("openbeam-pass-both", "headline-both")):
            row = rows[source]
            self.table.rows.append({**row, "name": name, "limit": None, "ratio": None,
                                    "openbeam": None})
            print(f"{name:34} {row['median']:10.2f} {row['min']:10.2f} {row['max']:10.2f}  "
                  f"{row['unit']:10} {row['runs']:4}", flush=True)
        self.openbeam = {name: row["median"] for name, row in rows.items()}

    def verify(self, name, reduction):
        """The results of all pictures, told about where they are not openbeam's."""
        reduction.reduce(self.pictures[-1])  # the first one warms up
        reduced = [reduction.reduce(p) for p in self.pictures]
        wrong = list(self.truth.differences(reduced))
        self.differ |= bool(wrong)
        for sentence in wrong[:5]:
            print(f"  {name} DIFFERS: {sentence}", flush=True)
        return reduced, len(wrong)

    def reduce(self, name, make, note, cores=1, against="headline", rate=None):
        """A row: `make` gives a reduction, `rate` measures one run of it."""
        reduction = make()
        _, wrong = self.verify(name, reduction)
        seconds = self.seconds / RUNS
        rates = [rate(seconds) if rate else frames_per_s(reduction, self.pictures, seconds)
                 for _ in range(RUNS)]
        more = {}
        if cores == 1 and against == "headline":
            more["openbeam_one_core"] = self.openbeam["headline-1core"]
            more["ratio_one_core"] = self.openbeam["headline-1core"] / statistics.median(rates)
            note += f"; openbeam on one core: {more['ratio_one_core']:.1f} times"
        self.table.add(name, rates, note, openbeam=self.openbeam[against], cores=cores,
                       against=f"openbeam-bench pipeline: {against}", verified=PICTURES,
                       wrong=wrong, **more)

    def numpy(self):
        from peer_reductions import NumpyFast, NumpyPlain

        def fast():
            return NumpyFast(self.calibration)

        def everywhere(seconds):
            return all_cores_per_s(fast, self.pictures, seconds, self.cores)

        self.reduce("numpy", lambda: NumpyPlain(self.calibration), "line by line")
        self.reduce("numpy-fast", fast, "strips, buffers kept, bincount")
        self.reduce("numpy-fast-both", lambda: NumpyFast(self.calibration, True),
                    "with the raw histogram, too", against="headline-both")
        self.reduce("numpy-fast-all-cores", fast, f"{self.cores} processes", self.cores,
                    rate=everywhere)

    def opencv(self):
        rows = (("opencv-1thread", 1, "one thread"), ("opencv", self.cores, "OpenCV's threads"))
        for name, threads, note in rows:
            why = missing("cv2")
            if why:
                self.table.skip(name, why)
                continue
            import cv2
            from peer_reductions import OpenCv
            cv2.setNumThreads(threads)
            self.reduce(name, lambda: OpenCv(self.calibration), note, threads)

    def receivers(self):
        why = missing("zmq", "h5py")
        ours = self.openbeam_stream()
        if why:
            self.table.skip("pyzmq-h5py", why)
            return
        from peer_reductions import NumpyFast
        reduction = NumpyFast(self.calibration)
        reduced, wrong = self.verify("pyzmq-h5py", reduction)
        checksums = [one.checksum for one in reduced]
        rate = frames_per_s(reduction, self.pictures, 0.3)
        frames = max(PICTURES, round(rate * self.seconds / RUNS))
        runs = [self.stream.receive_to_hdf5(self.bin, self.size, frames, PICTURES, reduction,
                                            checksums, self.folder / "receiver.h5")
                for _ in range(RUNS)]
        self.add_stream("pyzmq-h5py", runs, "receive, reduce with numpy-fast, write",
                        openbeam=ours, cores=1, against="openbeam-hdf5", differences=wrong)

    def openbeam_stream(self):
        def run(frames):
            return self.stream.stream_to_openbeamd(self.bin, self.folder, self.size, frames,
                                                   PICTURES, self.truth.checksums)
        frames = max(PICTURES, round(run(5 * PICTURES).frames_per_s * self.seconds / RUNS))
        runs = [run(frames) for _ in range(RUNS)]
        return self.add_stream("openbeam-hdf5", runs,
                               "openbeam-send to openbeamd, with the raw histogram, too",
                               cores=self.cores)

    def add_stream(self, name, runs, note, **more):
        lost, wrong = sum(r.lost for r in runs), sum(r.wrong for r in runs)
        verified = sum(r.written for r in runs)
        self.differ |= lost + wrong > 0
        self.table.add(name, [r.frames_per_s for r in runs],
                       f"{note}; {lost} lost, {verified} verified, {wrong} wrong",
                       **{**more, "lost": lost, "verified": verified, "wrong": wrong})
        return self.table.rows[-1]["median"]

    def measure(self):
        self.measure_pass()
        self.numpy()
        self.opencv()
        self.receivers()


def write_json(path, machine, version, rows):
    path.write_text(json.dumps({"benchmark": "peers", "machine": machine, "version": version,
                                "results": rows}, indent=2) + "\n")


def pair(text):
    """WIDTHxHEIGHT: even, for every 2 x 2 square is whole."""
    try:
        width, height = map(int, text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT") from None
    if width % 2 or height % 2 or not (64 <= width <= 65534 and 64 <= height <= 65534):
        raise argparse.ArgumentTypeError(f"{text}: even numbers from 64 to 65534")
    return width, height


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--bin", type=Path, metavar="DIR", default=root / "build/release/bin",
                        help="folder with the programs (default: build/release/bin)")
    parser.add_argument("--seconds", type=float, default=3.0,
                        help=f"of each row, over {RUNS} runs (default 3)")
    parser.add_argument("--size", type=pair, default=(2560, 2160), metavar="WxH",
                        help="pixels of a frame (default 2560x2160)")
    parser.add_argument("--directory", type=Path, metavar="DIR", default=Path("."),
                        help="where files are written and removed again (default .)")
    arguments = parser.parse_args()
    if not 0 < arguments.seconds <= 600:
        parser.error("--seconds: more than 0, at most 600")
    arguments.bin = arguments.bin.resolve()
    for name in ("openbeamd", "openbeam-send", "openbeam-bench"):
        if not (arguments.bin / name).exists():
            print(f"peers.py: {arguments.bin / name} is not there: build it, or give --bin",
                  file=sys.stderr)
            sys.exit(EX_UNAVAILABLE)
    return arguments


def main():
    arguments = read_arguments()
    why = missing("numpy", "tifffile")
    if why:
        table = Table()
        table.skip("numpy", why)
        if arguments.json:
            write_json(arguments.json, {}, "", table.rows)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="openbeam-peers-", dir=arguments.directory)).resolve()
    try:
        peers = Peers(arguments, folder)
        peers.measure()
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as problem:
        print(f"peers.py: {problem}", file=sys.stderr)
        return EX_UNAVAILABLE
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if arguments.json:
        write_json(arguments.json, peers.machine, peers.version, peers.table.rows)
    return EX_DIFFER if peers.differ else 0


if __name__ == "__main__":
    sys.exit(main())
