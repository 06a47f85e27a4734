#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The two ends of ./run demo.

demo.py prepare DIR SCRATCH   sort a folder of TIFFs into flat, dark and sample
demo.py show SCRATCH OUTPUT   tell what the series that is new in OUTPUT holds
"""
import csv
import fnmatch
import json
import sys
from pathlib import Path

import numpy
import tifffile

ROLES = {"flat": ("ob*", "flat*", "open*"), "dark": ("dc*", "dark*")}
PIXELS = ("uint8", "uint16", "uint32", "float32")
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
        return paths[0] if paths else ""
    with tifffile.TiffWriter(combined_path, bigtiff=True) as tiff:
        for path in paths:
            for page in tifffile.TiffFile(path).pages:
                tiff.write(page.asarray(), contiguous=False, metadata=None)
    return combined_path


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
        (scratch / role).write_text(f"{combined(found[role], scratch / f'{role}.tif')}\n")
    return 0


def new_series(scratch, output):
    before = set((scratch / "before").read_text().splitlines())
    folders = sorted(p for p in output.iterdir()
                     if p.name not in before and (p / "manifest.json").is_file())
    return folders[-1] if folders else None


def percent(values, *points):
    return "   ".join(f"{v:.4g}" for v in numpy.percentile(values, points))


def show_ledger(manifest):
    totals = manifest["totals"]
    lost = {f"{state} ({reason})": count
            for state in ("dropped", "missing", "rejected")
            for reason, count in totals[state].items() if count}
    print(f"ledger        expected {totals['expected']} = written {totals['written']}"
          f" + dropped {sum(totals['dropped'].values())}"
          f" + missing {sum(totals['missing'].values())} + pending {totals['pending']}")
    print(f"              durable {totals['durable']}, duplicate {totals['duplicate']},"
          f" rejected {sum(totals['rejected'].values())}")
    for name, count in lost.items():
        print(f"              {name}: {count}")


def show_times(rows):
    written = [r for r in rows if r["state"] == "written"]
    if len(written) < 2:
        return
    received = numpy.array([int(r["received_ns"]) for r in written], dtype=numpy.int64)
    span = (received.max() - received.min()) / 1e9
    print(f"rate          {(len(written) - 1) / span:.1f} frames/s over {span:.2f} s"
          if span > 0 else "rate          all at once")
    durable = numpy.array([int(r["durable_ns"] or 0) for r in written], dtype=numpy.int64)
    if durable.all():
        print("received to   percentiles 50, 99:  "
              f"{percent((durable - received) / 1e6, 50, 99)} ms")
        print("  durable")


def show_pixels(folder, rows):
    written = [r for r in rows if r["state"] == "written"]
    if not written:
        return
    chosen = [written[i] for i in
              sorted(set(numpy.linspace(0, len(written) - 1, PAGES_SHOWN).astype(int)))]
    pages = numpy.stack([tifffile.imread(folder / r["file"], key=int(r["index"])) for r in chosen])
    print("transmission  percentiles 1, 50, 99:  "
          f"{percent(pages[numpy.isfinite(pages)], 1, 50, 99)}   (of {len(chosen)} frames)")
    print(f"pixels        {pages.shape[2]} x {pages.shape[1]} {pages.dtype};"
          f" bad {chosen[0]['bad']}, saturated {chosen[0]['saturated']} in the first frame")


def show(scratch, output):
    folder = new_series(scratch, output)
    if not folder:
        print(f"run: no series was written to {output}", file=sys.stderr)
        return 1
    manifest = json.loads((folder / "manifest.json").read_text())
    with open(folder / "frames.csv", newline="") as ledger:
        rows = list(csv.DictReader(ledger))
    images = sorted(folder.glob("*.tif"))
    print(f"series        {folder}")
    print(f"state         {manifest['state']}")
    for path in sorted(folder.iterdir()):
        print(f"  {path.stat().st_size:>13,}  {path.name}")
    show_ledger(manifest)
    show_times(rows)
    show_pixels(folder, rows)
    if images:
        print(f"open it       python3 -c \"import tifffile; print(tifffile.imread('{images[0]}').shape)\"")
        print("              or ImageJ/Fiji: File > Open...; frames.csv says which page is which frame")
    return 0 if manifest["state"] == "complete" and not list(folder.glob("*.part")) else 1


def main(arguments):
    if len(arguments) == 3 and arguments[0] in ("prepare", "show"):
        return {"prepare": prepare, "show": show}[arguments[0]](*map(Path, arguments[1:]))
    print(__doc__)
    return 0 if arguments[:1] == ["--help"] else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
