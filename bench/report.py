#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One report of the benchmarks whose JSON is in FOLDER: report.md, report.json, summary.md, plots.

report.py --begin FOLDER   before they run: note the machine and its load, remove an old report
report.py FOLDER           after: FOLDER/NAME.json of each, FOLDER/runs.tsv: name, status, seconds
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import report_plots

ORDER = ("limits", "kernels", "rings", "pipeline", "sinks", "stream", "profiles", "soak", "peers")
ABOUT = {
    "limits": "What the machine does by itself.",
    "kernels": "Each kernel on each instruction set, in the second cache and in memory; the limit is "
               "reading that memory.",
    "rings": "An entry from the receiver by a worker to the collector and back, with no work: the "
             "daemon's rings, and a mutex with conditions.",
    "pipeline": "Frames in memory through the daemon's threads to nowhere; the limit is reading "
                "their bytes.",
    "sinks": "Reduced frames to files; the limit is fio on the same file system.",
    "stream": "openbeam-send to openbeamd; the limit is cores / (CPU time of bare libzmq + of the "
              "pass + of the write), each measured alone.",
    "profiles": "Sources at their rate through the whole daemon; the limit is that rate.",
    "soak": "A long run below what is held: does anything grow or fade?",
    "peers": "What people use today, doing the same; times is openbeam's rate over theirs.",
}
KNOWN = {"name", "unit", "median", "min", "max", "runs", "limit", "ratio", "lost", "openbeam", "skipped"}
# What has a table of its own.
SHOWN = {"profiles": {"held", "transport", "sink", "gb_per_s", "buffer_peak", "cpu_cores",
                      "disk_mb_per_s", "machines", "factor_missing"},
         "stream": {"rate_hz", "endpoints", "machines", "fps_of_this_machine", "cpu_ms_per_frame",
                    "receive_ms", "pass_ms", "write_ms", "rest_ms", "memory_gb_per_s"}}
NOISY = 0.25  # (max - min) / median
LIBRARIES = ("libc6", "libzmq5", "liburing2", "libtiff6", "libhdf5-103-1", "libhdf5-103",
             "libmicrohttpd12", "liblz4-1", "libzstd1", "libjansson4", "libyaml-0-2", "fio",
             "python3-numpy", "python3-opencv", "python3-zmq", "python3-h5py", "gnuplot-nox")


# ---- the machine ----

def read(path):
    """First line of a small file, or ''."""
    try:
        return Path(path).read_text().split("\n", 1)[0].strip()
    except OSError:
        return ""


def said(*command):
    """What a program prints, or ''."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def cpu_times():
    """(all, stolen) of /proc/stat."""
    times = [int(t) for t in read("/proc/stat").split()[1:9]]
    return (sum(times), times[7]) if len(times) == 8 else (0, 0)


def file_system(path):
    """Its type and device: the longest mount point above `path`."""
    best = ("", "unknown", "")
    path = str(Path(path).resolve())
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        mounts = []
    for line in mounts:
        device, point, kind = line.split()[:3]
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, kind, device)
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize / 1e9
    return f"{best[1]} on {best[2]}, {free:.0f} GB free"


def begin(folder):
    """Remove what an old report left and note how the machine is."""
    folder.mkdir(parents=True, exist_ok=True)
    old = [f"{n}.{e}" for n in ORDER for e in ("json", "txt")]
    old += ["report.md", "report.json", "summary.md", "settings.yaml", "runs.tsv", "start.json"]
    old += [f"{plot.file}.png" for plot in report_plots.PLOTS]
    for name in old:
        (folder / name).unlink(missing_ok=True)
    start = {"time": time.strftime("%Y-%m-%d %H:%M:%S %Z"), "load": read("/proc/loadavg"),
             "cpu_times": cpu_times(), "file_system": file_system(".")}
    (folder / "start.json").write_text(json.dumps(start) + "\n")


def facts(start, machine):
    """[(what, value)] about the machine."""
    cpufreq = "/sys/devices/system/cpu/cpu0/cpufreq/"
    all_then, stolen_then = start.get("cpu_times", (0, 0))
    all_now, stolen_now = cpu_times()
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    stolen = (f"{100 * (stolen_now - stolen_then) / (all_now - all_then):.1f} % of the time of all CPUs"
              if all_then and all_now > all_then else "unknown")
    memory = machine.get("memory_bytes")
    return [
        ("CPU", machine.get("cpu", "unknown") + (", virtual" if " hypervisor" in flags else "")),
        ("cores used", machine.get("cores", "unknown")),
        ("instruction set", machine.get("isa", "unknown")),
        ("caches", machine.get("caches") or "unknown"),
        ("NUMA nodes", len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) or "unknown"),
        ("memory", f"{memory / 2**30:.1f} GiB" if memory else "unknown"),
        ("kernel", machine.get("kernel", platform.release())),
        ("transparent huge pages", read("/sys/kernel/mm/transparent_hugepage/enabled") or "none"),
        ("frequency governor", read(cpufreq + "scaling_governor") or "unknown"),
        ("file system of the files", start.get("file_system", "unknown")),
        ("taken by others of the host", stolen),
        ("load when it began", " ".join(start.get("load", "unknown").split()[:3])),
        ("began", start.get("time", "unknown")),
    ]


def versions(bin_folder, machine, version):
    """[(what, version)]."""
    found = [("openbeam", version or "unknown"), ("compiler", machine.get("compiler", "unknown"))]
    root = Path(__file__).resolve().parent.parent
    commit = said("git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12")
    found.insert(1, ("commit", commit or "unknown"))
    daemon = said(str(bin_folder / "openbeamd"), "--version") if bin_folder else ""
    if daemon:
        found.insert(2, ("openbeamd", daemon.splitlines()[0]))
    packages = said("dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package} ${Version}\n", *LIBRARIES)
    for line in packages.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "ii":
            found.append((words[1], words[2]))
    return found


# ---- results ----

class Collected:
    """What the benchmarks left in a folder."""

    def __init__(self, folder):
        self.folder, self.machine, self.version = folder, {}, ""
        self.start = self.load("start.json") or {}
        self.results, self.runs, self.broken = {}, [], []
        for name in ORDER:
            found = self.load(f"{name}.json")
            if not isinstance(found, dict) or not isinstance(found.get("results"), list):
                continue
            self.results[name] = found["results"]
            self.machine = self.machine or found.get("machine") or {}
            self.version = self.version or found.get("version") or ""
        tsv = folder / "runs.tsv"
        for line in tsv.read_text().splitlines() if tsv.exists() else ():
            name, status, seconds = line.split("\t")[:3]
            self.runs.append((name, int(status), int(seconds)))

    def load(self, name):
        path = self.folder / name
        if not path.exists() or path.stat().st_size == 0:
            return None
        try:
            return json.loads(path.read_text())
        except ValueError as problem:
            self.broken.append(f"{name} is no JSON: {problem}")
            return None

    def row(self, benchmark, name):
        for row in self.results.get(benchmark, ()):
            if row["name"] == name and row.get("median") is not None:
                return row
        return None

    def busy(self):
        """What else ran before anything was measured."""
        load, cores = self.start.get("load", "").split()[:1], self.machine.get("cores")
        if load and cores and float(load[0]) > 0.25 * cores:
            yield f"NOISY, the machine was busy when it began: a load of {load[0]} on {cores} cores"

    def remarks(self):
        """Sentences about what did not go well."""
        yield from self.broken
        yield from self.busy()
        for name, status, _ in self.runs:
            if status:
                what = "has results" if self.results.get(name) else "has no results"
                yield f"**{name} ended with status {status}** and {what}: see {name}.txt"
        for name, rows in self.results.items():
            skipped = {}
            for row in rows:
                if row.get("skipped"):
                    skipped.setdefault(row["skipped"], []).append(row["name"])
            for why, names in skipped.items():
                yield f"{name}: {', '.join(names)} skipped: {why}"
            lost = [row["name"] for row in rows if row.get("lost")]
            if lost:
                yield f"**{name}: NOT HELD, frames were lost** or wrong: {', '.join(lost)}"
        noisy = [f"{name}: {row['name']}" for name, rows in self.results.items() if name != "kernels"
                 for row in rows if is_noisy(name, row)]
        if noisy:
            named = ", ".join(noisy[:6]) + (", ..." if len(noisy) > 6 else "")
            yield (f"NOISY, runs differ by more than {100 * NOISY:.0f} % of the median: "
                   f"{len(noisy)} row{'s' if len(noisy) > 1 else ''} ({named})")


def is_noisy(benchmark, row):
    """Of repeated runs: soak's least and most are of one, profiles' the same run."""
    return (benchmark != "soak" and row.get("runs", 0) > 1 and row.get("median")
            and (row["max"] - row["min"]) > NOISY * abs(row["median"]))


# ---- Markdown ----

def figure(value):
    """Four digits, and no more."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value}"
    if isinstance(value, float):
        size = abs(value)
        digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3
        return f"{value:.{digits}f}" if size >= 0.001 or value == 0 else f"{value:.3g}"
    return str(value)


def table(head, rows):
    def cell(value):
        return figure(value).replace("|", "\\|").replace("\n", " ")
    numbers = [all(isinstance(r[i], (int, float)) or r[i] in (None, "") for r in rows)
               for i in range(len(head))]
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join("--:" if n else "---" for n in numbers) + "|"
    for row in rows:
        yield "| " + " | ".join(map(cell, row)) + " |"
    yield ""


def details(benchmark, row):
    """Further members, short ones."""
    words = []
    for key, value in row.items():
        if (key in KNOWN or key in SHOWN.get(benchmark, ()) or value is None
                or isinstance(value, (list, dict)) or key.endswith("_text")):
            continue
        words.append(f"{key.replace('_', ' ')} {figure(value)}")
    return ", ".join(words)


def remark(benchmark, row):
    words = []
    if row.get("skipped"):
        words.append(f"skipped: {row['skipped']}")
    if is_noisy(benchmark, row):
        words.append(f"NOISY (±{50 * (row['max'] - row['min']) / row['median']:.0f} %)")
    if row.get("lost"):
        words.append("NOT HELD")
    more = details(benchmark, row)
    if more:
        words.append(more)
    return "; ".join(words)


def results_table(benchmark, rows):
    limit, ratio = ("openbeam", "times") if benchmark == "peers" else ("limit", "ratio")
    return table(
        ("name", "median", "min", "max", "unit", "runs", limit, ratio, "lost", "remarks"),
        [(r["name"], r.get("median"), r.get("min"), r.get("max"), r.get("unit", ""), r.get("runs"),
          r.get("openbeam") if benchmark == "peers" else r.get("limit"), r.get("ratio"),
          r.get("lost"), remark(benchmark, r)) for r in rows])


def threads_tables(rows):
    """What each thread of a stream did, where a row tells."""
    for row in rows:
        threads = [t for t in row.get("threads") or () if isinstance(t, dict)]
        if not threads:
            continue
        head = list(dict.fromkeys(key for t in threads for key in t))
        yield f"Threads of {row['name']}:"
        yield ""
        yield from table([h.replace("_", " ") for h in head], [[t.get(h) for h in head] for t in threads])
        calls = [f"{key.removesuffix('_text').replace('_', ' ')}: {value}" for key, value in row.items()
                 if key.endswith("_text")]
        if calls:
            yield "; ".join(calls) + "."
            yield ""


LEFT_OUT = """\
From the costs above. Left out: the network card and its interrupts, NUMA, memory that the cores of \
one socket share beyond what was measured, turbo, how fast the disk is, and other programs."""


def predictions(rows):
    """What more cores and endpoints would reduce, and what a detector needs."""
    cores = [r for r in rows if r.get("by_endpoints")]
    loads = [r for r in rows if r["name"].startswith("predict-") and "rate_hz" in r]
    if cores:
        ends = sorted({int(e) for r in cores for e in r["by_endpoints"]})
        yield "Predicted frames/s, sender and daemon on the same cores, to disk, by cores and endpoints:"
        yield ""
        yield from table(["cores", *(f"{e} endpoint{'s' if e > 1 else ''}" for e in ends)],
                         [[r["cores"], *(r["by_endpoints"].get(str(e)) for e in ends)] for r in cores])
    if loads:
        yield "What a detector needs, the sender being elsewhere:"
        yield ""
        yield from table(
            ("load", "Hz", "GB/s", "cores", "endpoints", "machines like this", "Hz of this machine",
             "CPU ms a frame", "receive", "pass", "write", "rest", "memory GB/s"),
            [(r["name"].removeprefix("predict-"), r["rate_hz"], r.get("gb_per_s"), int(r["median"]),
              r.get("endpoints"), r.get("machines"), r.get("fps_of_this_machine"),
              r.get("cpu_ms_per_frame"), r.get("receive_ms"), r.get("pass_ms"), r.get("write_ms"),
              r.get("rest_ms"), r.get("memory_gb_per_s")) for r in loads])
    if cores or loads:
        yield LEFT_OUT
        yield ""


def profiles_table(rows):
    def submit(row, key):
        return ((row.get("latency_ms") or {}).get("submit") or {}).get(key)

    def peak(row):
        share = row.get("buffer_peak")
        return None if share is None else f"{100 * share:.0f} %"

    return table(
        ("profile", "asked, frames/s", "reached", "held", "lost", "by", "to", "GB/s", "p50, ms",
         "p99", "p99.9", "buffer peak", "cores", "disk, MB/s", "machines", "factor missing"),
        [(r["name"], r.get("limit"), r.get("median"), "yes" if r.get("held") else "**no**",
          r.get("lost"), r.get("transport", ""), r.get("sink", ""), r.get("gb_per_s"),
          submit(r, "p50"), submit(r, "p99"), submit(r, "p999"), peak(r), r.get("cpu_cores"),
          r.get("disk_mb_per_s"), r.get("machines"), r.get("factor_missing")) for r in rows])


# What the README's table and the last lines of `./run bench` show: (benchmark, row, what it is).
HEADLINES = (
    ("limits", "memory-read", "memory read, all cores"),
    ("limits", "zmq-tcp", "bare libzmq over tcp"),
    ("limits", "disk-write", "disk write"),
    ("pipeline", "headline", "the pass, frames in memory"),
    ("pipeline", "headline-both", "the same with the raw histogram"),
    ("pipeline", "headline-1core", "the pass on one core"),
    ("stream", "tcp-null", "openbeam-send to openbeamd by tcp, to nowhere"),
    ("stream", "tcp-disk", "the same, reduced frames to disk"),
    ("sinks", "tiff", "TIFF files"),
    ("sinks", "raw", "raw files"),
    ("sinks", "hdf5", "HDF5 files"),
)
PEERS = (("numpy", "numpy, line by line"), ("numpy-fast", "numpy, the faster version"),
         ("numpy-fast-all-cores", "the same on all cores"), ("opencv", "OpenCV"),
         ("pyzmq-h5py", "pyzmq + h5py receiver"))


def headline_rows(c):
    """(what, figure, limit, ratio), texts."""
    for benchmark, name, what in HEADLINES:
        row = c.row(benchmark, name)
        if row:
            limit = f"{figure(row['limit'])} {row['unit']}" if row.get("limit") else ""
            yield (what, with_spread(benchmark, row), limit, two_digits(row.get("ratio")))
    row = widest_rings(c)
    if row:
        yield ("an entry from thread to thread and back", f"{figure(row['ns_per_entry'])} ns",
               f"mutex: {figure(row['ns_per_entry'] * row['to_locked'])} ns",
               f"{row['to_locked']:.2f}")
    yield from profile_headlines(c)
    yield from soak_headlines(c)
    for name, what in PEERS:
        row = c.row("peers", name)
        if row and row.get("ratio"):
            yield (f"{what}, the same work", with_spread("peers", row),
                   f"openbeam: {figure(row['openbeam'])} {row['unit']}", f"{row['ratio']:.3g} times")


def with_spread(benchmark, row):
    text = f"{figure(row['median'])} {row['unit']}"
    if row.get("runs", 0) > 1:
        text += f" ({figure(row['min'])} to {figure(row['max'])})"
    if row.get("lost"):
        text += f", NOT HELD: {row['lost']} lost"
    return text + (" NOISY" if is_noisy(benchmark, row) else "")


def two_digits(ratio):
    return "" if ratio is None else f"{ratio:.2f}"


def widest_rings(c):
    rows = [r for r in c.results.get("rings", ()) if r["name"].startswith("rings-") and "to_locked" in r]
    return max(rows, key=lambda r: (r["workers"], r["hand"]), default=None)


def profile_headlines(c):
    rows = c.results.get("profiles", ())
    if not rows:
        return
    held = [r["name"] for r in rows if r.get("held")]
    yield ("sources held without loss", f"{len(held)} of {len(rows)}: {', '.join(held) or 'none'}", "", "")
    for row in rows:
        if row["name"].startswith("headline") and row.get("median") is not None:
            more = "held" if row.get("held") else f"not held, by {row.get('transport', '?')}"
            yield (f"{row['name']}, {more}", with_spread("profiles", row),
                   f"{figure(row['limit'])} frames/s" if row.get("limit") else "",
                   two_digits(row.get("ratio")))


def soak_headlines(c):
    rows = [r for r in c.results.get("soak", ()) if "verdict" in r or "exact" in r]
    if rows:
        words = [f"{r['name'].removeprefix('soak-')} "
                 f"{r.get('verdict') or ('exact' if r.get('exact') else 'NOT EXACT')}" for r in rows]
        yield ("a long run", ", ".join(words), "", "")


def summary(c):
    rows = list(headline_rows(c))
    return list(table(("what", "figure", "limit in the same run", "ratio"), rows)) if rows else []


def report(c, bin_folder, plots):
    yield "# openbeam on this machine"
    yield ""
    yield "Medians of several runs and, in brackets, the least and the most. A limit is measured in " \
          "the same run as the figure beside it; ratio is figure over limit."
    yield ""
    yield from summary(c)
    remarks = list(c.remarks())
    if remarks:
        yield "## Remarks"
        yield ""
        yield from (f"- {sentence}" for sentence in remarks)
        yield ""
    yield "## Machine"
    yield ""
    yield from table(("", ""), facts(c.start, c.machine))
    yield "## Versions and settings"
    yield ""
    yield from table(("", ""), versions(bin_folder, c.machine, c.version))
    if (c.folder / "settings.yaml").exists():
        yield "Every key of the daemon with its value, unless a benchmark says otherwise: " \
              "[settings.yaml](settings.yaml)."
        yield ""
    yield from plot_lines(plots)
    for name in ORDER:
        if name in c.results:
            yield from benchmark_section(name, c.results[name])
    yield from times_section(c)


def plot_lines(plots):
    yield "## Plots"
    yield ""
    for plot, why in plots:
        if not why:
            yield f"![{plot.title}]({plot.file}.png)"
            yield ""
    absent = [(plot, why) for plot, why in plots if why]
    if absent:
        yield "Left out: " + "; ".join(f"{plot.file}: {why}" for plot, why in absent) + "."
        yield ""


def benchmark_section(name, rows):
    yield f"## {name}"
    yield ""
    yield ABOUT[name]
    yield ""
    if not rows:
        yield "No rows."
        yield ""
        return
    if name == "profiles":
        yield from profiles_table(rows)
    if len(rows) > 40:  # Markdown's readers fold it
        yield f"<details><summary>{len(rows)} rows</summary>"
        yield ""
    yield from results_table(name, rows)
    if len(rows) > 40:
        yield "</details>"
        yield ""
    yield from threads_tables(rows)
    yield from predictions(rows)


def times_section(c):
    if c.runs:
        yield "## Times"
        yield ""
        yield from table(("benchmark", "seconds", "status"), [(n, t, s) for n, s, t in c.runs])
        yield f"{sum(t for _, _, t in c.runs)} s in all."


def write(folder, bin_folder):
    c = Collected(folder)
    if not c.results and not c.runs:
        print(f"report.py: {folder} has no results: run ./run bench", file=sys.stderr)
        return 1
    if bin_folder:
        settings = said(str(bin_folder / "openbeamd"), "--print-config")
        if settings:
            (folder / "settings.yaml").write_text(settings + "\n")
    plots = report_plots.draw({**c.results, "machine": c.machine}, folder)
    (folder / "report.md").write_text("\n".join(report(c, bin_folder, plots)).rstrip() + "\n")
    short = "\n".join(summary(c))
    (folder / "summary.md").write_text(short + "\n")
    everything = {
        "version": c.version, "machine": c.machine, "start": c.start,
        "facts": {k: v for k, v in facts(c.start, c.machine)},
        "versions": dict(versions(bin_folder, c.machine, c.version)),
        "runs": [{"benchmark": n, "status": s, "seconds": t} for n, s, t in c.runs],
        "remarks": list(c.remarks()), "benchmarks": c.results,
        "plots": {plot.file: why or "drawn" for plot, why in plots}}
    (folder / "report.json").write_text(json.dumps(everything, indent=2) + "\n")
    print(terminal(list(headline_rows(c))))
    absent = [plot.file for plot, why in plots if why]
    if absent:
        print(f"\nplots left out, report.md says why: {', '.join(absent)}")
    return 0


def terminal(rows):
    """The summary in columns."""
    if not rows:
        return "nothing was measured"
    head = ("what", "figure", "limit in the same run", "ratio")
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(4)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(r, widths)).rstrip()
                     for r in [head, *rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--begin", action="store_true", help="before the benchmarks")
    parser.add_argument("--bin", type=Path, metavar="DIR", help="folder with the programs")
    arguments = parser.parse_args()
    try:
        if arguments.begin:
            begin(arguments.folder)
            return 0
        return write(arguments.folder, arguments.bin)
    except OSError as problem:
        print(f"report.py: {problem}", file=sys.stderr)
        return 73


if __name__ == "__main__":
    sys.exit(main())
