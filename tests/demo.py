#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The two ends of ./run demo.

demo.py prepare DIR SCRATCH       sort a folder of TIFFs into flat, dark and sample
demo.py port                      a port of the loopback that is free
demo.py watch URL LOG             what the daemon does, until it ends, and what it warns of
demo.py show SCRATCH OUTPUT BIN   tell what the series that are new in OUTPUT hold, and compare it
                                  with what the detector says that it did
"""
import csv
import fnmatch
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy
import tifffile

ROLES = {"flat": ("ob*", "flat*", "open*"), "dark": ("dc*", "dark*")}
PIXELS = ("uint8", "uint16", "uint32", "float32")
HOT, DEAD = 1, 4  # flags in a calibration's map of found pixels
MISHAPS = {"dip": ("beam", "dip of the beam"), "saturate": ("saturated", "overexposure")}
CALIBRATION_MEMORY = 1 << 30  # bytes, within the daemon's default
CLEAR = "\r\033[K"
PAGES_SHOWN = 16  # percentiles are of so many pages, evenly spaced


class Misfit(Exception):
    """The folder cannot be streamed."""


def role_of(path):
    for role, patterns in ROLES.items():
        if any(fnmatch.fnmatch(path.name.lower(), pattern) for pattern in patterns):
            return role
    return "sample"


def kind_of(path):
    """(height, width, type) of all pages of a TIFF."""
    try:
        with tifffile.TiffFile(path) as tiff:
            kinds = {(*page.shape, str(page.dtype)) for page in tiff.pages}
    except (tifffile.TiffFileError, OSError, ValueError) as error:
        raise Misfit(f"{path.name} cannot be read: {error}") from error
    if len(kinds) != 1:
        raise Misfit(f"{path.name}: its pages differ in size or type")
    kind = kinds.pop()
    if len(kind) != 3:
        raise Misfit(f"{path.name}: one value per pixel is needed, its shape is {kind[:-1]}")
    return kind


def sort_folder(folder):
    """{role: [path]} of the TIFFs in a folder."""
    found = {"flat": [], "dark": [], "sample": []}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".tif", ".tiff"):
            found[role_of(path)].append(path)
    return found


def describe(found):
    for role, paths in found.items():
        names = ", ".join(p.name for p in paths[:4]) + (", ..." if len(paths) > 4 else "")
        yield f"  {role:7} {len(paths):4}  {names or '-'}"


def require_fit(folder, found):
    """The size and type of the samples, when the folder can be streamed."""
    if not any(found.values()):
        raise Misfit(f"no .tif or .tiff among its {len(list(folder.iterdir()))} entries")
    for role in ("sample", "flat"):
        if not found[role]:
            names = " or ".join(ROLES.get(role, ("any other name",)))
            raise Misfit(f"no {role} ({names})")
    kinds = {path: kind_of(path) for paths in found.values() for path in paths}
    sizes = {kind[:2] for kind in kinds.values()}
    if len(sizes) != 1:
        lines = [f"{p.name} {k[1]}x{k[0]}" for p, k in kinds.items()]
        raise Misfit("the sizes differ: " + ", ".join(lines[:8]) + (", ..." if len(lines) > 8 else ""))
    types = {kinds[p][2] for p in found["sample"]}
    if len(types) != 1 or not types <= set(PIXELS):
        raise Misfit(f"samples are {', '.join(sorted(types))}; one of {', '.join(PIXELS)} is streamed")
    return kinds[found["sample"][0]]


def combined(paths, combined_path):
    """One TIFF for a role: the file itself, or all pages of several in one."""
    if len(paths) < 2:
        return paths[0]
    with tifffile.TiffWriter(combined_path, bigtiff=True) as tiff:
        for path in paths:
            for page in tifffile.TiffFile(path).pages:
                tiff.write(page.asarray(), contiguous=False, metadata=None)
    return combined_path


def pages_of(paths):
    """As many as are sent for one dark or flat: the daemon keeps them in memory."""
    pages = [page for path in paths for page in tifffile.TiffFile(path).pages]
    return min(len(pages), max(1, CALIBRATION_MEMORY // max(page.nbytes for page in pages))) if pages else 0


def prepare_role(role, paths, pixel, scratch):
    """Darks and flats are streamed; those of another type than the samples, as means are, cannot be."""
    streamed = all(kind_of(path)[2] == pixel for path in paths)
    (scratch / f"{role}.files").write_text("".join(f"{p}\n" for p in paths if streamed))
    (scratch / f"{role}.pages").write_text(f"{pages_of(paths) if streamed else 0}\n")
    (scratch / role).write_text("" if streamed else f"{combined(paths, scratch / f'{role}.tif')}\n")


def prepare(folder, scratch):
    folder = folder.resolve()
    found = {}
    try:
        found = sort_folder(folder)
        height, width, pixel = require_fit(folder, found)
    except (Misfit, OSError) as misfit:
        print(f"run: --real {folder}: {getattr(misfit, 'strerror', misfit)}", file=sys.stderr)
        for line in describe(found):
            print(line, file=sys.stderr)
        return 2
    print(f"in {folder}:")
    print("\n".join(describe(found)))
    (scratch / "size").write_text(f"{width}x{height}\n")
    (scratch / "type").write_text(f"{pixel}\n")
    (scratch / "samples").write_text("".join(f"{p}\n" for p in found["sample"]))
    for role in ROLES:
        prepare_role(role, found[role], pixel, scratch)
    return 0


def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        print(probe.getsockname()[1])
    return 0


# ---- while it runs

def status_of(url):
    """What the daemon says of itself; None: it has ended."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/status", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def progress_of(status):
    frames = status["frames"]
    lost = sum(frames["dropped"].values()) + sum(frames["missing"].values())
    return (f"received {frames['received']}, written {frames['written']}, durable {frames['durable']}, lost {lost};"
            f" {status['rate']['fps'] or 0:.0f} frames/s")


def tell_news(log):
    """Lines that are new in the daemon's log and of interest to people."""
    for line in log:
        warns = line.startswith(("warning ", "error ")) and "blackbox: keeping" not in line
        if warns or " kept frames=" in line or " well again: " in line:
            print(f"{CLEAR if sys.stdout.isatty() else ''}  {line}", end="", flush=True)


def watch(url, log_path):
    url = str(url).replace(":/", "://", 1)  # as Path has it
    terminal, told = sys.stdout.isatty(), time.monotonic()
    with open(log_path, errors="replace") as log:
        log.seek(0, os.SEEK_END)
        while (status := status_of(url)):
            tell_news(log)
            if terminal and "demo-flat" not in (status["series"]["path"] or "demo-flat"):
                print(f"{CLEAR}  {progress_of(status)}", end="", flush=True)
            elif not terminal and time.monotonic() - told >= 5:
                print(f"  {progress_of(status)}", flush=True)
                told = time.monotonic()
            time.sleep(0.1)
        tell_news(log)
    print(CLEAR if terminal else "", end="", flush=True)
    return 0


# ---- what came out

def marked(good):
    """yes or NO, in colour where that is wanted."""
    word, colour = ("yes", "32") if good else ("NO", "31;1")
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        word = f"\033[{colour}m{word}\033[0m"
    return word


class Summary:
    """Lines with a label before the first of each part, and whether all that was asked is so."""

    def __init__(self):
        self.good = True

    def tell(self, label, *lines):
        for line in lines:
            print(f"{label:13} {line}")
            label = ""

    def ask(self, label, question, good):
        """One comparison: its answer decides the exit status."""
        self.tell(label, f"{question}: {marked(good)}")
        self.good = self.good and bool(good)


class Series:
    """A series folder."""

    def __init__(self, folder):
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        with open(folder / "frames.csv", newline="") as ledger:
            self.rows = list(csv.DictReader(ledger))
        self.written = [r for r in self.rows if r["state"] == "written"]

    @property
    def complete(self):
        return self.manifest["state"] == "complete" and not list(self.folder.glob("*.part"))


def new_series(scratch, output):
    """{kind: [series]} that were not there before."""
    before = set((scratch / "before").read_text().splitlines())
    found = {"sample": [], "dark": [], "flat": [], "blackbox": []}
    for folder in sorted(p for p in output.iterdir() if p.name not in before):
        if (folder / "manifest.json").is_file() and (folder / "frames.csv").is_file():
            series = Series(folder)
            found[series.manifest["kind"]].append(series)
    return found


def percent(values, *points):
    return "   ".join(f"{v:.4g}" for v in numpy.percentile(values, points))


def span_of(first, last):
    return f"frame {first}" if first == last else f"frames {first} to {last}"


def show_frames(summary, series, asked):
    totals = series.manifest["totals"]
    lost = {state: sum(totals[state].values()) for state in ("dropped", "missing", "rejected")}
    summary.tell("frames", f"expected {totals['expected']} = written {totals['written']} + dropped {lost['dropped']}"
                 f" + missing {lost['missing']} + pending {totals['pending']}",
                 f"durable {totals['durable']}, duplicate {totals['duplicate']}, rejected {lost['rejected']}",
                 *(f"{state} ({reason}): {count}" for state in lost
                   for reason, count in totals[state].items() if count))
    summary.ask("", f"all {asked} on disk", series.complete and totals["durable"] == asked)


def show_times(summary, series):
    if len(series.written) < 2:
        return
    received, durable = (numpy.array([int(r[f"{event}_ns"] or 0) for r in series.written], dtype=numpy.int64)
                         for event in ("received", "durable"))
    span = (received.max() - received.min()) / 1e9
    if span > 0:
        summary.tell("rate", f"{(len(series.written) - 1) / span:.1f} frames/s over {span:.2f} s")
    if durable.all():
        summary.tell("latency", "received to durable, percentiles 50, 99:  "
                     f"{percent((durable - received) / 1e6, 50, 99)} ms")


def show_pixels(summary, series):
    if not series.written:
        return
    chosen = [series.written[i] for i in
              sorted(set(numpy.linspace(0, len(series.written) - 1, PAGES_SHOWN).astype(int)))]
    pages = numpy.stack([tifffile.imread(series.folder / r["file"], key=int(r["index"])) for r in chosen])
    summary.tell("pixels", f"{pages.shape[2]} x {pages.shape[1]} {pages.dtype}; {chosen[0]['bad']} bad,"
                 f" {chosen[0]['saturated']} saturated in the first frame")
    summary.tell("transmission", "percentiles 1, 50, 99:  "
                 f"{percent(pages[numpy.isfinite(pages)], 1, 50, 99)}   (of {len(chosen)} frames)")


# ---- calibration

def sidecar(used):
    path = Path(used["path"]).with_suffix(".json")
    return json.loads(path.read_text()) if path.is_file() else {}


def found_pixels(used, flag):
    """{(x, y)} that the image's map of found pixels calls so."""
    path = Path(used["path"])
    found = tifffile.imread(path.with_name(f"{path.stem}-found.tif"))
    return {(int(x), int(y)) for y, x in numpy.argwhere(found & flag)}


def ask_pixels(summary, what, found, sent):
    """All of them; those beside them are no mistake: dust is dark, too."""
    beside = len(found - sent)
    summary.ask("", f"{len(found & sent)} of the camera's {len(sent)} {what} pixels found"
                + (f", and {beside} more" if beside else ""), sent <= found)


def compare_camera(summary, role, used, sent):
    """What the detector says that is wrong with its pixels; a later defect hides the one before."""
    defects = {kind: {tuple(at) for at in pixels} for kind, pixels in sent["defects"].items()}
    if role == "dark":
        ask_pixels(summary, "hot", found_pixels(used, HOT), defects["hot"] - defects["dead"])
        return
    full = 2 ** sent["parameters"]["bits"] - 1
    shown = {(int(x), int(y)) for y, x in numpy.argwhere(tifffile.imread(used["path"]) >= full)}
    shown -= defects["hot"]  # light fills some of them
    ask_pixels(summary, "dead", found_pixels(used, DEAD), defects["dead"])
    ask_pixels(summary, "saturated", shown, defects["saturated"] - defects["dead"] - defects["hot"])


def show_calibration(summary, sample, sent):
    """Each image that the sample was normalised with."""
    for used in sample.manifest["calibration"]:
        about = sidecar(used)
        label = {"dark": "dark", "flat": "flat"}.get(used["role"], used["role"])
        if not used["from_stream"]:
            summary.tell(label, used["path"])
            continue
        summary.tell(label, f"{used['path']}",
                     f"of {about['frames']} frames, {len(about['left_out'])} left out; level {about['level']:.1f},"
                     f" noise {about['noise']:.1f} counts; {about['hot']} hot, {about['noisy']} noisy,"
                     f" {about['dead']} dead")
        if any(sent["defects"].values()):
            compare_camera(summary, used["role"], used, sent)


# ---- quality

def in_two(sentinel, text):
    """A finding: what is so, and below it what to do."""
    fact, _, advice = text.rpartition(": ")
    return (f"{sentinel:11} {fact}", f"{'':11} {advice}") if fact else (f"{sentinel:11} {text}",)


def show_findings(summary, sample, sent):
    findings = sample.manifest["findings"]
    summary.tell("findings", *(line for f in findings for line in in_two(f["sentinel"], f["text"])) or ["none"])
    found = {(f["sentinel"], f["first_frame"], f["last_frame"]) for f in findings}
    for name, mishap in sent["mishaps"].items():
        first, last = mishap["frame"], mishap["frame"] + mishap["count"] - 1
        summary.ask("", f"{MISHAPS[name][1]} in {span_of(first, last)}, found there",
                    (MISHAPS[name][0], first, last) in found)


def show_black_box(summary, kept, sent):
    for series in kept:
        numbers = [int(r["frame"]) for r in series.written]
        why = series.manifest["why"].rpartition(": ")
        what = f"raw {span_of(numbers[0], numbers[-1])}" if numbers else "no frames"
        summary.tell("black box" if series is kept[0] else "", f"{series.folder}",
                     f"{what}: {why[0] or why[2]}")
    if not kept:
        summary.tell("black box", "nothing happened that it is for")
    all_kept = {int(r["frame"]) for series in kept for r in series.written}
    for name, mishap in sent["mishaps"].items():
        summary.ask("", f"it has the {MISHAPS[name][1].split()[0]} at frame {mishap['frame']}",
                    mishap["frame"] in all_kept)


# ---- files

def show_audit(summary, programs, series):
    """Everything that was written, read back once more. The black box may have left frames out."""
    for label, one in zip(["audit"] + [""] * len(series), series):
        done = subprocess.run([programs / "openbeam", "audit", one.folder], capture_output=True, text=True)
        said = (done.stdout or done.stderr).strip().replace(f"{one.folder.parent}/", "")
        summary.tell(label, said)
        summary.good = summary.good and done.returncode <= (one.manifest["kind"] == "blackbox")


def show_files(summary, sample, kept, programs):
    images = sorted(sample.folder.glob("*.tif"))
    summary.tell("files", str(sample.folder),
                 *(f"{path.stat().st_size:>13,}  {path.name}" for path in sorted(sample.folder.iterdir())))
    if images:
        summary.tell("open it", "ImageJ/Fiji: File > Open...; frames.csv says which page is which frame",
                     f"python3 -c \"import tifffile; print(tifffile.imread('{images[0]}').shape)\"",
                     f"{programs}/openbeam audit {sample.folder}")
    replays = subprocess.run([programs / "openbeam", "replay", "--help"], capture_output=True).returncode == 0
    if kept and replays:
        summary.tell("", f"{programs}/openbeam replay {kept[0].folder}")


def show(scratch, output, programs):
    new = new_series(scratch, output)
    if not new["sample"]:
        print(f"run: no series was written to {output}", file=sys.stderr)
        return 1
    sample, summary = new["sample"][-1], Summary()
    sent = json.loads((scratch / "sent.json").read_text())
    summary.tell("series", f"{sample.folder.name}, {sample.manifest['state']}")
    show_frames(summary, sample, sent["counts"]["numbers"])
    show_times(summary, sample)
    show_pixels(summary, sample)
    show_calibration(summary, sample, sent)
    show_findings(summary, sample, sent)
    show_black_box(summary, new["blackbox"], sent)
    show_audit(summary, programs, [s for kind in new.values() for s in kind])
    show_files(summary, sample, new["blackbox"], programs)
    return 0 if summary.good else 1


def main(arguments):
    commands = {("prepare", 3): prepare, ("port", 1): port, ("watch", 3): watch, ("show", 4): show}
    command = commands.get((arguments[0], len(arguments))) if arguments else None
    if command:
        return command(*map(Path, arguments[1:]))
    print(__doc__)
    return 0 if arguments[:1] == ["--help"] else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
