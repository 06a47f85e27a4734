# SPDX-License-Identifier: Apache-2.0
"""What is on disk: formats, several sinks, roll-over, full disks, crashes."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

import numpy
import tifffile
import zmq

import e2e_reference as reference
from e2e_case import Skip, case, check, contains, equal, same_pixels, until
from e2e_journal import WRITTEN, pixels_of, read_journal

SHAPE = (48, 64)
SOURCE = {"reduce.type": "source"}


def images(count, shape=SHAPE):
    return [reference.noise_image(shape, n, 0, 60000) for n in range(count)]


@case(quick=True)
def a_tiff_opens_in_tifffile_as_one_stack(bench):
    sent = images(30)
    series = bench.measure(sent, SOURCE).require_complete(30)
    name, = series.files()
    path = series.folder / name
    stack = tifffile.imread(path)
    same_pixels(stack, numpy.stack(sent), "the stack")
    with tifffile.TiffFile(path) as tiff:
        equal(len(tiff.pages), 30, "pages")
        check(not tiff.is_bigtiff, "a small file is a classic TIFF")
        check(tiff.is_imagej, "the description is ImageJ's")
        images_said = tiff.imagej_metadata.get("images", 1)
        equal(tuple(tiff.series[0].shape), (30, *SHAPE), "the series tifffile sees")
        offsets = [p.dataoffsets[0] for p in tiff.pages]
        if images_said == 30:
            equal({b - a for a, b in zip(offsets, offsets[1:])}, {sent[0].nbytes},
                  "frames are back to back where ImageJ is told how many")


@case
def a_tiff_opens_in_libtiff_without_a_warning(bench):
    if not shutil.which("tiffinfo"):
        raise Skip("no tiffinfo")
    for dtype in ("uint8", "uint16", "uint32", "float32"):
        sent = [i.astype(dtype) for i in images(5)]
        bench.measure_into(dtype, sent, SOURCE)
        series = bench.series(bench.folder / dtype)
        path = series.folder / series.files()[0]
        said = subprocess.run(["tiffinfo", "-D", path], capture_output=True, text=True, check=False)
        equal((said.returncode, said.stderr), (0, ""), f"tiffinfo of {dtype}")
        equal(said.stdout.count("TIFF Directory at") + said.stdout.count("=== TIFF directory") > 0, True,
              "directories")
        copy = bench.folder / f"{dtype}-copy.tif"
        said = subprocess.run(["tiffcp", path, copy], capture_output=True, text=True, check=False)
        equal((said.returncode, said.stderr), (0, ""), f"tiffcp of {dtype}")
        same_pixels(tifffile.imread(copy), numpy.stack(sent), f"{dtype} through libtiff")


@case
def frames_of_odd_sizes_are_read_back(bench):
    for shape in ((1, 1), (7, 3), (33, 129), (64, 64), (4096, 3)):
        for product in ("source", "float32"):
            folder = f"{shape[0]}x{shape[1]}-{product}"
            sent = images(4, shape)
            bench.measure_into(folder, sent, {"reduce.type": product})
            series = bench.series(bench.folder / folder).require_complete(4)
            for n, found in series.images().items():
                kind = "uint16" if product == "source" else "float32"
                same_pixels(found.reshape(shape), sent[n].astype(kind), f"{folder} frame {n}")


@case
def files_roll_over(bench):
    sent = images(25)
    series = bench.measure(sent, {**SOURCE, "sinks": [bench.sink(frames_per_file=10)]})
    series.require_complete(25)
    files = series.files()
    equal(len(files), 3, "files")
    equal([(r["file"], int(r["index"])) for r in series.rows],
          [(files[n // 10], n % 10) for n in range(25)], "file and index in the ledger")
    for n, found in series.images().items():
        same_pixels(found, sent[n], f"frame {n}")


@case
def files_roll_over_by_size(bench):
    sent = images(20)
    series = bench.measure(sent, {**SOURCE, "sinks": [bench.sink(file_size="40KiB")]})
    series.require_complete(20)
    check(4 <= len(series.files()) <= 10, f"{len(series.files())} files of about 40 KiB")
    for n, found in series.images().items():
        same_pixels(found, sent[n], f"frame {n}")


@case
def a_frame_that_is_absent_has_no_page(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **SOURCE, "series.frames": 6, "series.idle_end": "400ms"})
    sent = images(6)
    for n in (0, 1, 3, 5):
        camera.send(n, sent[n])
    daemon.wait(1)
    series = bench.series().require_closed()
    same_pixels(tifffile.imread(series.folder / series.files()[0]),
                numpy.stack([sent[n] for n in (0, 1, 3, 5)]), "the stack of those present")
    equal([r["index"] for r in series.rows], ["0", "1", "", "2", "", "3"], "index")
    equal(series.rows[2]["crc32c"] + series.rows[2]["mean"], "", "fields of a missing frame")


@case
def raw_files_hold_frames_back_to_back(bench):
    sent = images(12)
    series = bench.measure(sent, {**SOURCE, "sinks": [bench.sink("raw", frames_per_file=5)]})
    series.require_complete(12)
    files = series.files("*.raw")
    equal(len(files), 3, "files")
    data = numpy.concatenate([numpy.fromfile(series.folder / f, "<u2") for f in files])
    same_pixels(data.reshape(12, *SHAPE), numpy.stack(sent).astype("<u2"), "the raw frames")
    equal([(r["file"], int(r["index"])) for r in series.rows],
          [(files[n // 5], n % 5) for n in range(12)], "file and index")


@case
def the_null_sink_accounts_without_pixels(bench):
    sent = images(12)
    series = bench.measure(sent, {"sinks": [{"format": "null", "directory": str(bench.output)}]})
    equal((series.state, series.totals["written"]), ("complete", 12), "state, written")
    equal(series.files("*.tif") + series.files("*.raw") + series.files("*.part"), [], "image files")
    equal(len(series.rows), 12, "lines of the ledger")
    equal([int(float(v)) for v in series.column("raw_max")], [int(i.max()) for i in sent], "raw_max")


@case
def reduced_and_source_are_written_side_by_side(bench):
    sent = images(15)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "reduce.bin": 2, "series.frames": 15, "sinks": [
            bench.sink("tiff", "reduced"), bench.sink("tiff", "source", product="source")]})
    camera.send_all(sent)
    daemon.wait()
    series = bench.series(bench.folder / "reduced").require_complete(15)
    for n, found in series.images().items():
        expected = reference.binned(sent[n].astype("float32"), 2)
        check(numpy.allclose(found, expected, rtol=1e-6), f"reduced frame {n}")
    source, = (bench.folder / "source").glob("*/*.tif")
    same_pixels(tifffile.imread(source), numpy.stack(sent), "source frames")


@case
def a_further_sink_has_a_ledger_of_its_own(bench):
    sent = images(15)
    series = bench.measure(sent, {**SOURCE, "sinks": [
        bench.sink("tiff"), bench.sink("raw", frames_per_file=4)]}).require_complete(15)
    rows = series.read_csv("sink-1.csv")
    equal([(int(r["frame"]), r["state"], int(r["index"])) for r in rows],
          [(n, "written", n % 4) for n in range(15)], "sink-1.csv")
    for row in rows:
        frame = numpy.fromfile(series.folder / row["file"], "<u2").reshape(-1, *SHAPE)[int(row["index"])]
        same_pixels(frame, sent[int(row["frame"])], "the raw sink")


@case
def bigtiff_is_written_when_asked_for_more_than_4_gib(bench):
    sent = images(4)
    series = bench.measure(sent, {**SOURCE, "sinks": [bench.sink(file_size="5GiB")]})
    with tifffile.TiffFile(series.folder / series.files()[0]) as tiff:
        check(tiff.is_bigtiff, "a file that may pass 4 GiB is a BigTIFF")
        same_pixels(numpy.stack([p.asarray() for p in tiff.pages]), numpy.stack(sent), "frames")
    if shutil.which("tiffinfo"):
        said = subprocess.run(["tiffinfo", "-D", series.folder / series.files()[0]], capture_output=True,
                              text=True, check=False)
        equal((said.returncode, said.stderr), (0, ""), "tiffinfo")


@case
def every_way_of_writing_gives_the_same_file(bench):
    sent, seen = images(20), {}
    for direct in ("auto", "yes", "no"):
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, {
            **SOURCE, "series.frames": 20, "sinks": [bench.sink(folder=direct, direct=direct)]})
        camera.send_all(sent)
        status = daemon.wait(None)
        if status and direct == "yes":
            contains(daemon.log, "direct")
            continue
        series = bench.series(bench.folder / direct).require_complete(20)
        written = (series.folder / series.files()[0]).read_bytes()
        seen[direct] = re.sub(rb"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", b"DateTime", written)
    equal(len(set(seen.values())), 1, f"different files among direct: {list(seen)}")


class SmallDisk:
    """A file system of a few MiB, for root alone."""

    def __init__(self, folder, mebibytes):
        self.folder = folder
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "openbeam", folder],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise Skip(f"no small file system can be mounted: {done.stderr.strip()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.folder], check=False)


@case
def a_full_disk_is_said_and_the_ledger_tells_what_is_on_it(bench):
    with SmallDisk(bench.folder / "small", 6):
        sent = images(40, (256, 512))  # 256 KiB each, 10 MiB
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, {
            **SOURCE, "series.frames": 40, "sinks": [bench.sink(folder="small", frames_per_file=8)]})
        for n, one in enumerate(sent):
            camera.send(n, one)
            time.sleep(0.02)
        daemon.wait(1)
        series = bench.series(bench.folder / "small")
        equal(series.state, "incomplete", "state")
        series.require_closed()
        check(series.totals["dropped"]["no_space"] > 0, "frames are dropped as no_space")
        check(series.totals["written"] >= 8, f"written: {series.totals['written']}")
        for n, found in series.images().items():
            same_pixels(found, sent[n], f"frame {n} of the full disk")
        contains(daemon.log, "disk full", str(bench.folder / "small"))


@case
def space_that_comes_back_is_used_again(bench):
    with SmallDisk(bench.folder / "small", 6):
        ballast = bench.folder / "small" / "ballast"
        ballast.write_bytes(bytes(5 << 20))
        sent = images(60, (256, 256))  # 128 KiB each
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, {
            **SOURCE, "series.frames": 60, "sinks": [bench.sink(folder="small", frames_per_file=4)]})
        for n in range(30):
            camera.send(n, sent[n])
        until(lambda: "disk full" in daemon.log, "the full disk is said")
        ballast.unlink()
        time.sleep(2.5)  # space is tried again once a second
        for n in range(30, 60):
            camera.send(n, sent[n])
        daemon.wait(1)
        series = bench.series(bench.folder / "small").require_closed()
        check(series.totals["dropped"]["no_space"] > 0, "frames are dropped as no_space")
        late = [n for n, (state, _) in series.states().items() if n >= 30 and state == "written"]
        check(len(late) >= 20, f"written after space came back: {len(late)} of 30")
        for n, found in series.images().items():
            same_pixels(found, sent[n], f"frame {n}")


@case
def an_output_folder_that_is_not_there_is_said_at_start(bench):
    for folder, why in (("nowhere", "no such"), ("file", "director")):
        (bench.folder / "file").write_text("x")
        said = bench.refused({"sinks": [{"format": "tiff", "directory": str(bench.folder / folder)}]}, 73)
        contains(said.lower(), str(bench.folder / folder).lower(), why)


@case
def an_output_folder_that_cannot_be_written_is_said_at_start(bench):
    folder = bench.folder / "readonly"
    folder.mkdir(mode=0o555)
    wrapper = ()
    if os.geteuid() == 0:
        wrapper = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        if not shutil.which("setpriv"):
            raise Skip("root can write everywhere, and there is no setpriv")
        bench.folder.chmod(0o755)
        folder.chmod(0o755)  # of root: nobody cannot write
        probe = subprocess.run([*wrapper, bench.programs / "openbeamd", "--version"],
                               capture_output=True, check=False)
        if probe.returncode:
            raise Skip("the programs cannot be run as nobody")
    said = bench.refused({"sinks": [{"format": "tiff", "directory": str(folder)}]}, None, wrapper=wrapper)
    contains(said, str(folder))
    check(bench.daemons[-1].process.returncode in (73, 77), "exit status 73 or 77")


@case
def a_crash_leaves_parts_and_a_journal_and_no_false_end(bench):
    sent = images(40)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **SOURCE, "series.frames": 1000, "sinks": [bench.sink(sync="100ms", frames_per_file=15)]})
    camera.send_all(sent)
    bench.wait_for_series(1)
    folder = next(bench.output.iterdir())
    until(lambda: len(list(folder.glob("*.tif"))) >= 2, "two files are finished")
    time.sleep(0.6)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(-signal.SIGKILL)
    check(list(folder.glob("*.part")), "the unfinished file ends in .part")
    for path in sorted(folder.glob("*.tif")):
        equal(tifffile.imread(path).shape, (15, *SHAPE), f"{path.name} is whole")
    name, suffix, records = read_journal(folder / "journal.bin")
    check(len(records) >= 30, f"{len(records)} frames were durable")
    for record in records:
        equal(record["state"], WRITTEN, "state of a record")
        pixels = pixels_of(folder, name, suffix, record)
        check(pixels == sent[record["number"]].tobytes(), f"pixels of frame {record['number']}")
    equal(json.loads((folder / "manifest.json").read_text())["state"], "running", "state")

    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.frames": 5})
    camera.send_all(sent[:5])
    daemon.wait()
    equal(len([p for p in bench.output.iterdir() if p.is_dir()]), 2, "the next series has its own folder")
    check(list(folder.glob("*.part")), "what the crash left is untouched")


@case(limit=120)
def durable_frames_survive_a_kill_at_any_moment(bench):
    sent = images(8, (128, 128))
    for delay in numpy.linspace(0.01, 0.8, 20 if bench.long else 8):
        folder = f"after-{delay:.2f}"
        camera = bench.camera()
        camera.socket.linger = 0
        camera.socket.sndtimeo = 50
        daemon = bench.daemon(camera.endpoint, {
            **SOURCE, "series.frames": 100000,
            "sinks": [bench.sink(folder=folder, sync="20ms", frames_per_file=30)]})
        number = stream_until(camera, daemon, sent, bench.folder / folder, delay)
        daemon.wait(-signal.SIGKILL)
        series, = (bench.folder / folder).iterdir()
        name, suffix, records = read_journal(series / "journal.bin")
        for record in records:
            check(record["number"] < number, "a number that was sent")
            pixels = pixels_of(series, name, suffix, record)
            check(pixels == sent[record["number"] % 8].tobytes(), f"pixels of frame {record['number']}")
        for path in series.glob("*.tif"):
            equal(tifffile.imread(path).shape, (30, 128, 128), f"{path.name} is whole")


def stream_until(camera, daemon, sent, output, delay):
    """Send until `delay` after the series began, kill the daemon; how many were sent."""
    number, end = 0, time.monotonic() + 20
    while time.monotonic() < end:
        try:
            camera.send(number, sent[number % 8])
            number += 1
        except zmq.Again:
            pass
        if end > time.monotonic() + delay and list(output.glob("*/journal.bin")):
            end = time.monotonic() + delay
    daemon.send_signal(signal.SIGKILL)
    return number


@case
def a_write_that_fails_ends_the_file_not_the_run(bench):
    if not shutil.which("prlimit"):
        raise Skip("no prlimit")
    sent = images(30)
    camera = bench.camera()
    daemon = bench.daemon(
        camera.endpoint, {**SOURCE, "series.frames": 30, "sinks": [bench.sink(direct="no")]},
        wrapper=("prlimit", "--fsize=65536"))
    camera.send_all(sent)
    daemon.wait(1)
    series = bench.series().require_closed()
    check(series.totals["dropped"]["write"] + series.totals["dropped"]["no_space"] > 0,
          "frames beyond the limit are dropped")
    for n, found in series.images().items():
        same_pixels(found, sent[n], f"frame {n}")


@case
def compressed_hdf5_reads_with_the_librarys_own_filter(bench):
    try:
        import bitshuffle.h5  # which tells the library of it
        import h5py
    except ImportError as missing:
        raise Skip(f"no {missing.name}") from None
    equal(bitshuffle.h5.H5FILTER, 32008, "its filter")
    sent = [reference.noise_image((24, 32), n, 0, 300) for n in range(30)]
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "reduce.type": "source", "series.frames": 30,
        "sinks": [bench.sink("hdf5", compression="bslz4", frames_per_file=12)]})
    camera.send_all(sent)
    daemon.wait()
    series = bench.series()
    for row in series.written():
        with h5py.File(series.folder / row["file"]) as file:
            found = file["entry1/data/data"][int(row["index"])]
        same_pixels(found, sent[int(row["frame"])], f"frame {row['frame']} of {row['file']}")
    equal(bench.run("openbeam", "audit", series.folder)[0], 0, "status of the audit")
