# SPDX-License-Identifier: Apache-2.0
"""./run demo: a phantom measurement, and one of TIFFs that a user has."""
import os
import subprocess
from pathlib import Path

import numpy
import tifffile

from e2e_case import case, check, contains, equal

RUN = Path(__file__).resolve().parent.parent / "run"
SHAPE = (96, 128)


def demo(bench, *arguments, status=0):
    """What it prints: the summary, or why it refuses."""
    done = subprocess.run([RUN, "demo", "--output", bench.output, *map(str, arguments)], cwd=bench.folder,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50,
                          env={**os.environ, "OPENBEAM_BIN": str(bench.programs.resolve())})
    print(done.stdout, done.stderr)
    equal(done.returncode, status, "exit status of the demo")
    check("\033" not in done.stdout, "no colours where there is no terminal")
    return done.stdout if status == 0 else done.stderr


def folder_of(bench, **files):
    """A folder of TIFFs: {name: images}."""
    folder = bench.folder / "own"
    folder.mkdir()
    for name, images in files.items():
        tifffile.imwrite(folder / f"{name}.tif", numpy.stack(images), photometric="minisblack")
    return folder


def frames(level, count, seed, dtype="uint16"):
    rng = numpy.random.default_rng(seed)
    base = level + rng.integers(0, level // 5, SHAPE)
    return [(base + rng.integers(0, 20, SHAPE)).astype(dtype) for _ in range(count)]


def scan_of(bench):
    found, = [s for s in bench.all_series() if s.manifest["kind"] == "sample"]
    return found


@case
def the_demo_measures_a_phantom_and_finds_what_befell_it(bench):
    said = demo(bench, "--size", "128x96", "--frames", 120)
    contains(said, "all 120 on disk: yes", "1 of the camera's 1 hot pixels found: yes",
             "1 of the camera's 1 dead pixels found: yes", "dip of the beam in frames 30 to 32, found there: yes",
             "overexposure in frames 60 to 79, found there: yes", "it has the dip at frame 30: yes")
    check(": NO" not in said, "everything was found")
    kinds = [s.manifest["kind"] for s in bench.all_series()]
    equal({kind: kinds.count(kind) > 0 for kind in ("sample", "dark", "flat", "blackbox")},
          dict.fromkeys(("sample", "dark", "flat", "blackbox"), True), f"series {kinds}")


@case
def the_demo_streams_the_darks_flats_and_samples_of_a_folder(bench):
    dark, flat, sample = frames(100, 6, 1), frames(3000, 5, 2), frames(1500, 3, 3)
    folder = folder_of(bench, DC_1=dark[:3], dc_2=dark[3:], OB_1=flat, scan=sample)
    said = demo(bench, "--real", folder, "--frames", 20)
    contains(said, "all 20 on disk: yes", "of 6 frames, 0 left out", "of 5 frames, 0 left out")
    used = {c["role"]: c["frames"] for c in scan_of(bench).manifest["calibration"]}
    equal(used, {"dark": 6, "flat": 5}, "calibration")


@case
def a_single_flat_without_a_dark_will_do_for_the_demo(bench):
    folder = folder_of(bench, flat=frames(3000, 1, 2), scan=frames(1500, 3, 3))
    contains(demo(bench, "--real", folder, "--frames", 20), "all 20 on disk: yes", "of 1 frames")


@case
def a_mean_dark_of_another_type_is_used_as_a_file(bench):
    dark = [numpy.mean(frames(100, 6, 1), axis=0).astype("float32")]
    folder = folder_of(bench, dark=dark, flat=frames(3000, 5, 2), scan=frames(1500, 3, 3))
    contains(demo(bench, "--real", folder, "--frames", 20), "all 20 on disk: yes", "of 5 frames")
    used = {c["role"]: c["from_stream"] for c in scan_of(bench).manifest["calibration"]}
    equal(used, {"dark": False, "flat": True}, "calibration")


@case
def a_folder_that_does_not_fit_is_refused_with_what_was_found(bench):
    said = demo(bench, "--real", folder_of(bench, scan=frames(1500, 3, 3)), status=2)
    contains(said, "no flat", "sample", "scan.tif")
    equal(bench.all_series(), [], "series")
