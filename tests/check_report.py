#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The report of made-up results, `./run bench` over made-up programs, and the reductions of
bench/peers.py against each other. check_report.py; exit status 0 or 1."""
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "bench"))
import report_plots  # noqa: E402

MACHINE = {"cpu": "Made Up 9000", "cores": 2, "isa": "avx2", "caches": "48K L1 Data",
           "memory_bytes": 2**33, "kernel": "Linux 6.1", "compiler": "gcc 12"}
failures = []


def check(good, sentence):
    if not good:
        failures.append(sentence)
        print(f"FAILED: {sentence}")


def row(name, unit, median, limit=None, spread=0.02, **more):
    found = {"name": name, "unit": unit, "median": median, "min": median * (1 - spread),
             "max": median * (1 + spread), "runs": 5, "limit": limit,
             "ratio": median / limit if limit else None, "lost": None}
    return {**found, **more}


def stream_row(name, median, mib, **more):
    size = int(mib * 2**20)
    return row(name, "frames/s", median, frame_bytes=size, gb_per_s=median * size * 1e-9, **more)


def profile(name, asked, reached, held, p50):
    return row(name, "frames/s", reached, asked, held=held, lost=0 if held else 12, transport="tcp",
               sink="tiff", gb_per_s=reached * 8e-3, seconds=4.0, buffer_peak=0.31, cpu_cores=1.2,
               disk_mb_per_s=120.0, machines=1 if held else 4, factor_missing=asked / reached,
               latency_ms={"submit": {"p50": p50, "p99": 3 * p50, "p999": 9 * p50}, "write": None})


def made_up():
    """{benchmark: rows} with everything that a report can show."""
    stream = [row("cost-zmq", "ms/frame", 3.0), row("cost-pass", "ms/frame", 1.5),
              row("cost-write", "ms/frame", 0.5),
              stream_row("tcp-null", 400.0, 10.5, limit=444.4, ratio=0.9, reached_cpu_ms=4.6,
                         others_ms=0.1, daemon_calls_text="poll 2.0, read 1.5",
                         threads=[{"thread": "rx0", "user_ms": 0.5, "asleep_for": "messages"},
                                  {"thread": "work0", "user_ms": 0.9, "faults": 3}]),
              stream_row("tcp-disk", 340.0, 10.5, limit=400.0, ratio=0.85),
              stream_row("tcp-null-2x", 430.0, 10.5), stream_row("tcp-null-1MiB", 3000.0, 1),
              stream_row("ipc-null-1MiB-2x", 5000.0, 1), stream_row("ipc-null-1MiB", 4000.0, 1),
              stream_row("ipc-null-300x200", 30000.0, 0.115),
              row("scaling-pass-1", "frames/s", 650.0), row("scaling-pass-2", "frames/s", 1250.0),
              row("scaling-stream-1", "frames/s", 200.0), row("scaling-stream-2", "frames/s", 390.0),
              *(row(f"predict-cores-{n}", "frames/s", 200.0 * n, cores=n,
                    by_endpoints={"1": min(200.0 * n, 700.0), "8": 200.0 * n}) for n in (2, 4, 8, 16)),
              row("predict-csaxs-shm", "cores", 63.0, rate_hz=740.0, gb_per_s=30.0, endpoints=1,
                  machines=32, fps_of_this_machine=23.5)]
    profiles = [profile("headline", 1500, 700.0, False, 9.0), profile("lightsheet", 60, 60.0, True, 2.0),
                profile("fps1000", 840, 840.0, True, 0.4)]
    rings = [row(f"{side}-{w}worker{'s' if w > 1 else ''}-hand{h}", "M/s", 1e3 / ns, workers=w, hand=h,
                 ns_per_entry=float(ns), to_locked=4.0)
             for side, ns in (("rings", 50), ("locked", 200)) for w in (1, 2) for h in (1, 8)]
    soak = [row("soak-rate", "frames/s", 300.0, 300.0, verdict="flat", slope_per_hour=0.1,
                time_s=list(range(0, 600, 10)), value=[300 + t % 3 for t in range(60)]),
            row("soak-memory", "MiB", 900.0, verdict="flat", slope_per_hour=0.0,
                time_s=list(range(0, 600, 10)), value=[None] + 59 * [900]),
            row("soak-ledger", "frames", 9000, 9000, exact=True)]
    peers = [row("openbeam-pass", "frames/s", 1200.0), row("numpy", "frames/s", 5.0, openbeam=1200.0,
                                                           ratio=240.0),
             row("numpy-fast", "frames/s", 20.0, openbeam=1200.0, ratio=60.0),
             row("pyzmq-h5py", "frames/s", 15.0, openbeam=340.0, ratio=22.7),
             {"name": "opencv", "unit": "frames/s", "median": None, "min": None, "max": None, "runs": 0,
              "limit": None, "ratio": None, "lost": None, "openbeam": None,
              "skipped": "python3-opencv is not installed"}]
    return {"limits": [row("memory-read", "GB/s", 40.0, spread=0.4)],
            "pipeline": [row("headline", "frames/s", 1200.0, 3600.0)],
            "sinks": [row("tiff", "GB/s", 1.9, 2.0), row("hdf5", "GB/s", 1.8, 2.0)],
            "stream": stream, "profiles": profiles, "rings": rings, "soak": soak, "peers": peers}


def write(folder, results, runs=()):
    subprocess.run([ROOT / "bench" / "report.py", "--begin", folder], check=True)
    for name, rows in results.items():
        (folder / f"{name}.json").write_text(json.dumps(
            {"benchmark": name, "machine": MACHINE, "version": "9.9", "results": rows}))
    (folder / "runs.tsv").write_text("".join(f"{n}\t{s}\t{t}\n" for n, s, t in runs))
    return subprocess.run([ROOT / "bench" / "report.py", folder], capture_output=True, text=True)


def a_busy_machine_is_noisy(scratch):
    folder = scratch / "busy"
    for load, said in (("1.90 1 1 1/99 7", True), ("0.10 1 1 1/99 7", False)):
        write(folder, {"limits": made_up()["limits"]})
        start = json.loads((folder / "start.json").read_text())
        (folder / "start.json").write_text(json.dumps({**start, "load": load}))
        subprocess.run([ROOT / "bench" / "report.py", folder], capture_output=True)
        found = "the machine was busy when it began" in (folder / "report.md").read_text()
        check(found == said, f"a load of {load}: {found}")


def everything_is_shown(scratch):
    folder = scratch / "all"
    done = write(folder, made_up(), [("stream", 0, 40), ("profiles", 1, 70), ("soak", 70, 3)])
    check(done.returncode == 0, f"report.py: {done.stderr}")
    text = (folder / "report.md").read_text()
    for wanted in ("Made Up 9000", "| tcp-disk | 340.0 |", "400.0 | 0.85", "Threads of tcp-null",
                   "| rx0 |", "poll 2.0",
                   "| 4 | 700.0 | 800.0 |", "| csaxs-shm | 740.0 | 30.00 | 63 | 1 | 32 |", "NUMA", "NOISY",
                   "skipped: python3-opencv is not installed",
                   "**profiles ended with status 1**", "**soak ended with status 70**",
                   "NOT HELD, frames were lost", "1500 | 700.0 | **no**", "113 s in all"):
        check(wanted in text, f"{wanted!r} is not in report.md")
    for line in text.splitlines():
        if line.startswith("|"):
            check(line.endswith("|"), f"a broken row: {line}")
    summary = (folder / "summary.md").read_text()
    for wanted in ("0.85", "60 times", "2 of 3: lightsheet, fps1000", "mutex: 200.0 ns", "ledger exact"):
        check(wanted in summary, f"{wanted!r} is not in summary.md")
    whole = json.loads((folder / "report.json").read_text())
    check(whole["benchmarks"]["stream"][0]["name"] == "cost-zmq", "report.json has all rows")
    if not shutil.which("gnuplot"):
        print("skipped: gnuplot-nox is not installed: no plots")
        check("gnuplot-nox is not installed" in text, "the report says that there are no plots")
        return
    for plot in report_plots.PLOTS:
        image = folder / f"{plot.file}.png"
        check(image.exists() and image.read_bytes()[:4] == b"\x89PNG",
              f"{plot.file}: {whole['plots'][plot.file]}")


def what_is_not_there_is_left_out(scratch):
    folder = scratch / "few"
    done = write(folder, {"limits": made_up()["limits"], "stream": []})
    (folder / "profiles.json").write_text("")
    check(done.returncode == 0, f"report.py: {done.stderr}")
    text = (folder / "report.md").read_text()
    check("Left out: ratios: no row has a limit" in text, "a plot that is left out is named")
    check(not list(folder.glob("*.png")), "no plot of what was not measured")
    (folder / "limits.json").write_text("{ broken")
    done = subprocess.run([ROOT / "bench" / "report.py", folder], capture_output=True, text=True)
    check(done.returncode == 0 and "limits.json is no JSON" in (folder / "report.md").read_text(),
          "results that cannot be read are named")
    empty = scratch / "empty"
    empty.mkdir()
    done = subprocess.run([ROOT / "bench" / "report.py", empty], capture_output=True, text=True)
    check(done.returncode == 1 and "has no results" in done.stderr, "an empty folder is refused")


FAKE = """#!/bin/bash
[[ $1 != sinks ]] || { echo 'no room'; exit 74; }
echo "options: $*"
while [[ $# -gt 0 ]]; do [[ $1 != --json ]] || cp "${0%/*}/limits.json" "$2"; shift; done
"""


def run_bench(scratch):
    programs, output = scratch / "bin", scratch / "bench report"
    programs.mkdir()
    (programs / "openbeam-bench").write_text(FAKE)
    (programs / "openbeam-bench").chmod(0o755)
    (programs / "limits.json").write_text(json.dumps(
        {"benchmark": "limits", "machine": MACHINE, "version": "9.9", "results": made_up()["limits"]}))

    def bench(*arguments):
        return subprocess.run([ROOT / "run", "bench", *arguments], cwd=scratch, capture_output=True,
                              text=True, env={**os.environ, "OPENBEAM_BIN": str(programs)})

    done = bench("--output", output, "sinks", "limits")
    check(done.returncode == 74, f"the status is that of what failed, not {done.returncode}: {done.stderr}")
    check("sinks FAILED with status 74" in done.stdout, f"what failed is named: {done.stdout}")
    check("memory read, all cores" in done.stdout, "the table is shown")
    check("no room" in (output / "sinks.txt").read_text(), "what it said is kept")
    check("sinks ended with status 74" in (output / "report.md").read_text(), "and told in the report")
    said = bench("--full", "soak").stdout
    check("--seconds 600 --full" in said, f"a long soak with --full: {said}")
    done = bench("nonsense")
    check(done.returncode == 2 and "no benchmark 'nonsense'" in done.stderr, "nonsense is refused")
    check(bench("--output").returncode == 2, "--output needs a value")
    done = bench("--help")
    check(done.returncode == 0 and "peers" in done.stdout, "--help")


def peers_agree():
    """What numpy makes of a frame line by line is what the faster ways make of it."""
    import numpy
    import peer_reductions as peer
    random = numpy.random.default_rng(1)
    shape = (70, 52)  # a strip and a part of one
    dark = random.uniform(90, 110, shape).astype(numpy.float32)
    flat = dark + random.uniform(3e4, 4e4, shape).astype(numpy.float32)
    for dead in ((0, 0), (0, 1), (1, 0), (1, 1), (33, 7), (69, 51)):  # the first square is all dead
        flat[dead] = dark[dead]
    frames = [random.integers(0, 65536, shape, numpy.uint16) for _ in range(3)]
    calibration = peer.Calibration(dark, flat)
    plain = peer.NumpyPlain(calibration, True)
    others = [peer.NumpyFast]
    if importlib.util.find_spec("cv2"):
        others.append(peer.OpenCv)
    else:
        print("skipped: python3-opencv is not installed: it is not compared")
    for kind in others:
        other = kind(calibration, True)
        for frame in frames:
            expected, found = plain.reduce(frame), other.reduce(frame)
            for a, b in zip(found.raw + found.normalised, expected.raw + expected.normalised):
                check(abs(a - b) <= 2e-5 * abs(b), f"{kind.__name__}: {a} for {b}")
            check(abs(found.binned.astype(int) - expected.binned).max() <= 1, f"{kind.__name__}: binned")
            check(found.binned[0, 0] == 65535, f"{kind.__name__}: a square without a good pixel")
            check((found.raw_histogram == expected.raw_histogram).all(), f"{kind.__name__}: raw histogram")
            moved = abs(found.histogram.astype(int) - expected.histogram).sum()
            check(moved <= 4, f"{kind.__name__}: {moved} pixels in other bins")


def peers_refuse():
    """What cannot be measured is said at once."""
    for arguments, status, word in ((["--help"], 0, "pyzmq"), (["--size", "65x64"], 2, "even numbers"),
                                    (["--bin", "/nowhere"], 69, "/nowhere/openbeamd is not there")):
        done = subprocess.run([ROOT / "bench" / "peers.py", *arguments], capture_output=True, text=True)
        check(done.returncode == status and word in done.stdout + done.stderr,
              f"peers.py {arguments}: status {done.returncode}, {done.stderr[-200:]}")


def main():
    scratch = Path(tempfile.mkdtemp(prefix="openbeam-report-"))
    try:
        everything_is_shown(scratch)
        a_busy_machine_is_noisy(scratch)
        what_is_not_there_is_left_out(scratch)
        run_bench(scratch)
        peers_agree()
        peers_refuse()
        if len(sys.argv) > 1:  # to look at
            shutil.copytree(scratch / "all", sys.argv[1], dirs_exist_ok=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
