# SPDX-License-Identifier: Apache-2.0
"""Plots of a report, by gnuplot. Each takes the results, {benchmark: [row, ...]}, and returns a
script, or a sentence why there is none: rows that were not measured make no plot."""
import re
import shutil
import subprocess
from typing import NamedTuple

COLOURS = ("#2a6f97", "#e07a2f", "#5b9b57", "#b23a48", "#7b5ea7", "#8a8f98", "#c9a227", "#3aa6a0")
OURS, OTHERS, LATE = COLOURS[0], "#b9c0c8", "#b23a48"
HEAD = """\
set terminal pngcairo size 900,520 font "DejaVu Sans,11" noenhanced background "white"
set output "{file}"
set title "{title}" font ",13"
set border 3 lc "#606060"
set tics nomirror
set grid ytics lc "#d8dce0" lt 1
set key outside right top Left reverse samplen 2 spacing 1.15
set style fill solid 0.95 noborder
set boxwidth 0.75
"""


class Absent(Exception):
    """Why a plot is left out."""


class Plot(NamedTuple):
    """What becomes FILE.png."""
    file: str
    title: str
    script: object  # {benchmark: [row]} -> lines of gnuplot after HEAD; raises Absent


def rows_of(results, benchmark):
    rows = [r for r in results.get(benchmark, ()) if r.get("median") is not None]
    if not rows:
        raise Absent(f"{benchmark} has no rows")
    return rows


def by_name(results, benchmark):
    return {r["name"]: r for r in rows_of(results, benchmark)}


def block(name, lines):
    return "\n".join([f"${name} << EOD", *lines, "EOD"]) + "\n"


def quoted(text):
    return '"' + str(text).replace('"', "'") + '"'


def short(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


# ---- shapes ----

def bars(labels, values, ylabel, colours=None, marks=None, log=False, low=None, high=None):
    """One bar each, what it says above it."""
    colours = colours or [OURS] * len(values)
    marks = marks or [short(v) for v in values]
    data = [f"{i} {v:.9g} {quoted(label)} {int(c[1:], 16)} {quoted(m)}"
            for i, (label, v, c, m) in enumerate(zip(labels, values, colours, marks))]
    most = max(values) * (2.5 if log else 1.15)
    lines = [block("data", data), "unset key", f'set ylabel "{ylabel}"',
             "set xtics rotate by -30 left", f"set xrange [-0.6:{len(values) - 0.4}]"]
    if log:
        lines.append("set logscale y")
    lines.append(f"set yrange [{low if low is not None else 0}:{high or most}]")
    return "\n".join(lines + [
        "plot $data using 1:2:4:xtic(3) with boxes lc rgb variable, \\",
        f'     $data using 1:2:5 with labels offset 0,{1.3 if log or high else 0.7} font ",9"']) + "\n"


def lines_of(series, xlabel, ylabel, extra=()):
    """{title: [(x, y, low, high)]}: a line each, with its spread; `~` before a title: without."""
    script, parts = [], []
    for i, (title, points) in enumerate(series.items()):
        script.append(block(f"s{i}", [f"{x} {y} {low} {high}" for x, y, low, high in sorted(points)]))
        colour, dashed = COLOURS[i % len(COLOURS)], title.startswith("~")
        style = f'lc rgb "{colour}" lw 2'
        dash = " dt 2" if dashed and len(points) < 20 else ""
        parts.append(f"$s{i} using 1:2 with lines {style}{dash} title {quoted(title.lstrip('~'))}")
        if not dashed:
            parts.append(f"$s{i} using 1:2:3:4 with yerrorbars {style} pt 7 ps 0.8 notitle")
    script += [f'set xlabel "{xlabel}"', f'set ylabel "{ylabel}"', "set yrange [0:*]",
               "set offsets graph 0.04, graph 0.04, graph 0.08, 0", *extra]
    return "\n".join(script) + "\nplot " + ", \\\n     ".join(parts) + "\n"


def groups(labels, columns, ylabel, log=False, stacked=False, colours=COLOURS):
    """{title: [value]} for each label, beside each other or stacked."""
    data = [" ".join([quoted(label), *(f"{c[i]:.9g}" for c in columns.values())])
            for i, label in enumerate(labels)]
    kind = "rowstacked" if stacked else "clustered gap 1"
    parts = [f"$data using {n}{':xtic(1)' if n == 2 else ''} lc rgb \"{colours[n - 2]}\" "
             f"title {quoted(title)}" for n, title in enumerate(columns, 2)]
    everything = [v for c in columns.values() for v in c if v > 0]
    scale = f"[{min(everything) / 2:.3g}:{4 * max(everything):.3g}]" if log else "[0:*]"
    return "\n".join([
        block("data", data), "set style data histograms", f"set style histogram {kind}",
        f"set boxwidth {0.6 if stacked else 0.9}", f'set ylabel "{ylabel}"',
        "set xtics rotate by -30 left", "set logscale y" if log else "",
        f"set xrange [-0.7:{len(labels) - 0.3}]", "" if log else "set offsets 0, 0, graph 0.08, 0",
        f"set yrange {scale}", "plot " + ", \\\n     ".join(parts)]) + "\n"


# ---- what is plotted ----

def spread(row, scale=1.0):
    return tuple(scale * row[k] for k in ("median", "min", "max"))


def gigabytes(row):
    """(GB/s, its least, its most) of a row in frames/s."""
    return spread(row, row["gb_per_s"] / row["median"] if row["median"] else 0)


# The names of streams: transport, sink, size where it is another one, endpoints where they are more.
STREAM = re.compile(r"(tcp|ipc|shm)-([a-z0-9]+?)(?:-\d+[KM]iB|-\d+x\d+)?(?:-(\d+)x)?")


def streams(results):
    """Rows of stream that are one way of sending frames, with transport, sink and endpoints."""
    found = []
    for row in rows_of(results, "stream"):
        cut = STREAM.fullmatch(row["name"])
        if cut and "frame_bytes" in row and "gb_per_s" in row:
            found.append({"transport": cut[1], "sink": cut[2], "endpoints": int(cut[3] or 1), **row})
    if not found:
        raise Absent("stream has no rows of transports")
    return found


def grouped(rows, title, x):
    """{title: points} of those groups that have more than one x."""
    found = {}
    for row in rows:
        found.setdefault(title(row), {})[x(row)] = (x(row), *gigabytes(row))
    return {t: list(p.values()) for t, p in sorted(found.items()) if len(p) > 1}


def by_size(results):
    rows = [r for r in streams(results) if r["endpoints"] == 1]
    found = grouped(rows, lambda r: f"{r['transport']}, {r['sink']}", lambda r: r["frame_bytes"] / 2**20)
    if not found:
        raise Absent("there is one frame size alone (stream --full has more)")
    return lines_of(found, "frame, MiB", "GB/s, one endpoint", ["set logscale x 2"])


def by_endpoints(results):
    rows = streams(results)
    found = grouped(rows, lambda r: f"{r['transport']}, {r['sink']}, {r['frame_bytes'] / 2**20:.3g} MiB",
                    lambda r: r["endpoints"])
    if not found:
        raise Absent("there is one number of endpoints alone (stream --full has more)")
    return lines_of(found, "endpoints", "GB/s", ["set xtics 1"])


RATIOS = (("pipeline", "headline", "pass / memory read"), ("stream", "tcp-null", "tcp to nowhere"),
          ("stream", "tcp-disk", "tcp to disk"), ("sinks", "tiff", "TIFF / fio"),
          ("sinks", "raw", "raw / fio"), ("sinks", "hdf5", "HDF5 / fio"))


def ratios(results):
    found = [(label, row) for benchmark, name, label in RATIOS
             for row in results.get(benchmark, ()) if row["name"] == name and row.get("ratio")]
    if not found:
        raise Absent("no row has a limit")
    values = [row["ratio"] for _, row in found]
    marks = [f"{row['ratio']:.2f}\\n{short(row['median'])} {row['unit']}" for _, row in found]
    return ("set arrow from graph 0, first 1 to graph 1, first 1 nohead lc '#404040' dt 2\n" +
            bars([label for label, _ in found], values, "reached / what is possible in the same run",
                 marks=marks, high=max(1.25, 1.25 * max(values))))


def costs(results):
    """Where the cores' time of one frame went: the parts measured alone, what both programs needed
    beside these, other programs, and nobody."""
    rows = by_name(results, "stream")
    parts = [rows[f"cost-{p}"]["median"] if f"cost-{p}" in rows else None for p in ("zmq", "pass", "write")]
    runs = [n for n in ("tcp-null", "tcp-disk") if n in rows and rows[n]["median"]]
    cores = results.get("machine", {}).get("cores")
    if None in parts[:2] or not runs or not cores:
        raise Absent("stream has no rows cost-zmq, cost-pass and tcp-null or tcp-disk")
    columns = {"libzmq": [], "pass": [], "write": [], "rest": [], "other programs": [], "idle": []}
    for name in runs:
        row, took = rows[name], 1e3 * cores / rows[name]["median"]
        mine = [*parts[:2], (parts[2] or 0) if name == "tcp-disk" else 0]
        others = row.get("others_ms") or 0
        reached = row.get("reached_cpu_ms") or took - others - (row.get("idle_ms") or 0)
        idle = max(0.0, took - reached - others)
        for column, value in zip(columns.values(), [*mine, max(0.0, reached - sum(mine)), others, idle]):
            column.append(value)
    columns = {title: values for title, values in columns.items() if any(values)}
    colours = dict(zip(("libzmq", "pass", "write", "rest", "other programs", "idle"),
                       (*COLOURS[:3], COLOURS[4], OTHERS, "#e4e7ea")))
    return groups(runs, columns, f"ms of {cores} cores a frame", stacked=True,
                  colours=[colours[title] for title in columns])


def scaling(results):
    rows, found = rows_of(results, "stream"), {}
    for row in rows:
        cut = re.fullmatch(r"scaling-(\w+?)-(\d+)", row["name"])
        if cut:
            found.setdefault(cut[1], []).append((int(cut[2]), *spread(row)))
    if not any(len(p) > 1 for p in found.values()):
        raise Absent("stream has no rows scaling-pass-N or scaling-stream-N for more than one N")
    predicted = [r for r in rows if r["name"].startswith("predict-cores-") and r.get("by_endpoints")]
    ends = sorted({int(e) for r in predicted for e in r["by_endpoints"]})
    for endpoints in dict.fromkeys((ends[0], ends[-1]) if ends else ()):
        rates = [(r["cores"], r["by_endpoints"][str(endpoints)]) for r in predicted]
        found[f"~predicted, {endpoints} endpoint{'s' if endpoints > 1 else ''}"] = [
            (cores, rate, rate, rate) for cores, rate in rates]
    return lines_of(found, "cores", "frames/s", ["set logscale x 2", "set logscale y", "set yrange [*:*]",
                                                   "set offsets graph 0.04, graph 0.04, 0, 0"])


def profiles(results):
    rows = [r for r in rows_of(results, "profiles") if r.get("limit")]
    if not rows:
        raise Absent("profiles has no rates that were asked for")
    script = groups([r["name"] for r in rows], {"asked": [r["limit"] for r in rows],
                                                "reached": [r["median"] for r in rows]},
                    "frames/s", log=True, colours=(OTHERS, OURS))
    for i, row in enumerate(rows):
        if not row.get("held", True):
            script = (f'set label "not held" at {i},graph 0.97 center font ",9" '
                      f'textcolor rgb "{LATE}"\n' + script)
    return script


def latencies(results):
    rows = [r for r in rows_of(results, "profiles")
            if isinstance((r.get("latency_ms") or {}).get("submit"), dict)]
    if not rows:
        raise Absent("profiles tells no latency")
    columns = {title: [r["latency_ms"]["submit"].get(key) or 0 for r in rows]
               for title, key in (("median", "p50"), ("99 %", "p99"), ("99.9 %", "p999"))}
    return groups([r["name"] for r in rows], columns, "ms, last byte in until handed to the sink",
                  log=True, colours=("#a9cce3", OURS, "#1b3f57"))


def peers(results):
    rows = [r for r in rows_of(results, "peers") if r["name"] != "openbeam-pass-both"
            and r["name"] != "numpy-fast-both"]
    labels = [r["name"] for r in rows]
    colours = [OURS if n.startswith("openbeam") else OTHERS for n in labels]
    marks = [short(r["median"]) + (f"\\n1/{short(r['ratio'])}" if r.get("ratio") else "") for r in rows]
    values = [r["median"] for r in rows]
    return bars(labels, values, "frames/s, 1/x: of openbeam's", colours, marks, log=True,
                low=min(values) / 2, high=max(values) * 3)


def rings(results):
    rows, found = rows_of(results, "rings"), {}
    for row in rows:
        cut = re.fullmatch(r"(rings|locked)-(\d+)workers?-hand(\d+)", row["name"])
        if cut:
            found.setdefault((int(cut[2]), int(cut[3])), {})[cut[1]] = row["ns_per_entry"]
    keys = sorted(k for k, sides in found.items() if len(sides) == 2)
    if not keys:
        raise Absent("rings has no two sides")
    labels = [f"{w} worker{'' if w == 1 else 's'}, hand of {h}" for w, h in keys]
    return groups(labels, {"rings": [found[k]["rings"] for k in keys],
                           "mutex": [found[k]["locked"] for k in keys]}, "ns an entry",
                  colours=(OURS, OTHERS))


def soak(results):
    """Each quantity over time, as a share of its median."""
    found = {}
    for row in rows_of(results, "soak"):
        points = [(t / 60, v / row["median"]) for t, v in zip(row.get("time_s", ()), row.get("value", ()))
                  if v is not None and row["median"]]
        if points:
            found["~" + row["name"]] = [(t, v, v, v) for t, v in points]
    if not found:
        raise Absent("soak tells no points over time")
    shares = [p[1] for points in found.values() for p in points]
    scale = f"set yrange [{min(0.9, *shares):.3g}:{max(1.1, *shares):.3g}]"
    return lines_of(found, "minutes", "share of the median", [scale, "set xrange [0:*]"])


PLOTS = (
    Plot("ratios", "What is reached of what is possible", ratios),
    Plot("costs", "Where the time of a frame goes", costs),
    Plot("rate-by-size", "Stream: rate by the size of frames", by_size),
    Plot("rate-by-endpoints", "Stream: rate by endpoints", by_endpoints),
    Plot("scaling", "Rate by cores", scaling),
    Plot("profiles", "Sources: asked and reached", profiles),
    Plot("latency", "Sources: latency", latencies),
    Plot("peers", "The same work on the same machine, frames of the peers' run", peers),
    Plot("rings", "Handing an entry from thread to thread", rings),
    Plot("soak", "A long run", soak),
)


def draw(results, folder):
    """Draw what can be drawn. [(Plot, None or why it was left out)]."""
    gnuplot = shutil.which("gnuplot")
    made = []
    for plot in PLOTS:
        file = folder / f"{plot.file}.png"
        file.unlink(missing_ok=True)
        try:
            script = HEAD.format(file=file, title=plot.title) + plot.script(results)
        except Absent as why:
            made.append((plot, str(why)))
            continue
        if not gnuplot:
            made.append((plot, "gnuplot-nox is not installed"))
            continue
        done = subprocess.run([gnuplot], input=script.encode(), capture_output=True)
        said = done.stderr.decode(errors="replace").strip()
        good = done.returncode == 0 and file.exists() and file.stat().st_size > 0
        made.append((plot, None if good else f"gnuplot failed: {said[-200:]}"))
    return made
