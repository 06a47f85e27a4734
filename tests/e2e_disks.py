# SPDX-License-Identifier: Apache-2.0
"""Disks that are slow, full, failing or gone, and daemons that are killed over them."""
import json
import os
import shutil
import signal
import subprocess
import time

import h5py
import numpy
import tifffile

import e2e_reference as reference
from check_nexus import httomo
from e2e_case import Skip, case, check, contains, equal, same_pixels, until
from e2e_journal import read_journal
from e2e_sender import counter, lines

SOURCE = {"reduce.type": "source"}
ANGLES = {"rotation.start": 0, "rotation.step": 0.25}
SHAPE = (256, 256)


def images(count, shape=SHAPE):
    return [reference.noise_image(shape, n, 0, 60000) for n in range(count)]


def audit(bench, folder, status):
    found, out, err = bench.run("openbeam", "audit", folder)
    equal(found, status, f"status of the audit\n{out}{err}")


def stack_in(path):
    """The frames of a data file, whatever its format."""
    if path.suffix == ".h5":
        with h5py.File(path, "r") as f:
            return f["entry1/data/data"][...]
    if path.suffix == ".tif":
        stack = tifffile.imread(path)
        return stack if stack.ndim == 3 else stack[None]
    return numpy.fromfile(path, "<u2").reshape(-1, *SHAPE)


def pixels_of_rows(folder, rows):
    """{number: pixels} of all that a ledger calls written; files have no frame beside those."""
    found, written = {}, [r for r in rows if r["state"] == "written"]
    for name in {r["file"] for r in written}:
        stack, own = stack_in(folder / name), [r for r in written if r["file"] == name]
        equal(len(stack), len(own), f"frames in {name}")
        found.update({int(r["frame"]): stack[int(r["index"])] for r in own})
    return found


def frames_of(series):
    return pixels_of_rows(series.folder, series.rows)


def same_frames(series, sent, name_of):
    """Each frame that was written is the one sent; name_of(number) names it."""
    for n, found in frames_of(series).items():
        same_pixels(found, sent[n], name_of(n))


# ---- a slow disk


def on_a_slow_disk(bench, form, overload, frames, rate, disk_rate, *faults, status):
    """The series of a sender faster than the disk, its report, and how long it sent."""
    endpoint = f"ipc://{bench.folder}/{form}-{overload}.socket"
    report = bench.folder / f"{form}-{overload}.json"
    folder = f"{form}-{overload}"
    daemon = bench.daemon(
        endpoint, {**SOURCE, **ANGLES, "series.frames": frames, "series.idle_end": "3s",
                   "ingest.overload": overload, "ingest.buffer": "18MiB", "ingest.frame_limit": "1MiB",
                   "ingest.frame": {"width": 512, "height": 512, "type": "uint16"},
                   "sinks": [bench.sink(form, folder, frames_per_file=25)]},
        wrapper=("env", f"OPENBEAM_TEST_DISK_BYTES_PER_S={disk_rate}"), program="openbeamd_slow")
    began = time.monotonic()
    sender = bench.send(endpoint, "--frames", frames, "--size", "512x512", "--pattern", "counter",
                        "--rate", rate, "--hwm", 4, "--report", report, *faults)
    equal(sender.wait(80), 0, "status of the sender")
    seconds = time.monotonic() - began
    daemon.wait(status, 80)
    series = bench.series(bench.folder / folder).require_closed()
    for n, found in frames_of(series).items():
        same_pixels(found, counter(n, (512, 512)).astype("uint16"), f"frame {n}")
    audit(bench, series.folder, status)
    return series, json.loads(report.read_text()), seconds


@case(limit=120)
def a_disk_ten_times_too_slow_holds_the_sender_back_and_loses_nothing(bench):
    frames, rate = 100, 200  # of 512 KiB: 105 MB/s
    disk = rate * (512 << 10) / 10
    for form in ("tiff", "hdf5"):
        series, report, seconds = on_a_slow_disk(bench, form, "block", frames, rate, disk, status=0)
        series.require_complete(frames)
        equal((report["sent"], report["unsent"]), (frames, []), "sent, not sent")
        # What it needs less what buffers on the way may hold: 18 MiB and a few messages.
        least = 10 * frames / rate - (22 << 20) / disk
        check(seconds > least, f"{form}: the sender was held back: {seconds:.1f} s, not {least:.1f} s")


@case(limit=120)
def a_disk_ten_times_too_slow_drops_exactly_what_it_counts(bench):
    frames, rate = 400, 200
    disk = rate * (512 << 10) / 10
    for form in ("tiff", "hdf5"):
        series, report, seconds = on_a_slow_disk(bench, form, "drop", frames, rate, disk, "--lose", 0.05,
                                                 "--seed", 11, status=1)
        dropped, missing = lines(series, "dropped"), lines(series, "missing")
        equal(set(dropped.values()), {"overload"}, "why frames were dropped")
        equal(set(missing), set(report["lost"]), "missing is what the sender lost")
        equal(series.totals["expected"], frames, "expected")
        equal(series.totals["written"] + len(dropped), report["sent"], "written and dropped are what was sent")
        check(len(dropped) > frames / 2, f"{len(dropped)} of {frames} dropped on a disk ten times too slow")
        check(series.totals["written"] >= frames / 12, f"the disk was used: {series.totals['written']}")
        check(seconds < 2 * frames / rate + 2, f"the sender was not held back: {seconds:.1f} s")


# ---- directories: shared, taken, gone


@case
def two_daemons_in_one_directory_keep_every_frame_of_both(bench):
    sent = [images(40), [255 - i // 300 for i in images(40)]]
    cameras = [bench.camera() for _ in range(2)]
    forms = ("tiff", "hdf5")
    daemons = [bench.daemon(c.endpoint, {
        **SOURCE, **ANGLES, "series.frames": 20, "series.idle_end": "300ms",
        "sinks": [bench.sink(form, frames_per_file=7)]}, series=2)
        for c, form in zip(cameras, forms)]
    for half in range(2):
        for n in range(20):
            for camera, pictures in zip(cameras, sent):
                camera.send(n, pictures[20 * half + n])
        bench.wait_for_end(2 * half + 2)
        time.sleep(0.6)  # silence, or the next frames would belong to no series
    for daemon in daemons:
        daemon.wait()
    found = {}
    for series in bench.all_series():
        series.require_complete(20)
        audit(bench, series.folder, 0)
        form = "tiff" if series.files("*.tif") else "hdf5"
        found.setdefault(form, []).append(series)
    equal(sorted(p.name for p in bench.output.iterdir()), [f"s-000{i}" for i in range(1, 5)], "folders")
    for form, pictures in zip(forms, sent):
        equal(len(found[form]), 2, f"series of the {form} daemon")
        for half, series in enumerate(found[form]):
            for n, pixels in frames_of(series).items():
                same_pixels(pixels, pictures[20 * half + n], f"{series.folder.name} frame {n}")


@case
def a_name_that_exists_is_left_alone_and_the_next_number_taken(bench):
    for name in ("s-0001", "s-0003"):
        (bench.output / name).mkdir()
        (bench.output / name / "precious").write_text(name)
    (bench.output / "s-0002").write_text("a file")
    sent = images(4)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.frames": 4})
    camera.send_all(sent)
    daemon.wait()
    series = bench.series().require_complete(4)
    equal(series.folder.name, "s-0004", "the folder")
    equal([(bench.output / n / "precious").read_text() for n in ("s-0001", "s-0003")],
          ["s-0001", "s-0003"], "what was there")
    equal((bench.output / "s-0002").read_text(), "a file", "the file that was there")


def three_series(bench, between, settings=None):
    """Series of 30 frames, with something done before the second and before the third: the daemon."""
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **SOURCE, "series.frames": 30, "series.idle_end": "300ms",
        "sinks": [bench.sink(frames_per_file=10)], **(settings or {})}, series=3)
    for turn in range(3):
        between(turn)
        camera.send_all(images(30))
        until(lambda: daemon.log.count("info series: series complete") +
              daemon.log.count("series incomplete") >= turn + 1, f"series {turn + 1} ended")
        time.sleep(0.6)
    return daemon


@case
def a_directory_that_vanishes_between_series_costs_that_series_alone(bench):
    kept = bench.folder / "kept"

    def between(turn):
        if turn == 1:
            shutil.copytree(bench.output / "s-0001", kept)
            shutil.rmtree(bench.output)
        elif turn == 2:
            bench.output.mkdir()

    daemon = three_series(bench, between)
    daemon.wait(1)
    contains(daemon.log, f"cannot make the series folder {bench.output}/s-0002: No such file or directory",
             "dropped=30")
    series = bench.series().require_complete(30)
    for n, found in series.images().items():
        same_pixels(found, images(30)[n], f"frame {n} after the directory was back")
    audit(bench, series.folder, 0)
    audit(bench, kept, 0)


@case
def a_directory_that_is_replaced_is_followed(bench):
    away = bench.folder / "away"

    def between(turn):
        if turn == 1:
            bench.output.rename(away)
            bench.output.mkdir()

    daemon = three_series(bench, between)
    daemon.wait()
    contains(daemon.log, f"{bench.output} is another directory now")
    bench.series(away).require_complete(30)
    series = bench.all_series()
    equal([s.folder.name for s in series], ["s-0001", "s-0002"], "series in the new directory")
    for one in series:
        one.require_complete(30)
        audit(bench, one.folder, 0)


@case
def a_directory_that_vanishes_during_a_series_is_named_and_the_next_works(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **SOURCE, "series.frames": 60, "series.idle_end": "300ms",
        "sinks": [bench.sink(frames_per_file=10, sync="50ms")]}, series=2)
    sent = images(60)
    for n in range(25):
        camera.send(n, sent[n])
    until(lambda: len(list(bench.output.glob("*/*.tif"))) >= 2, "two files are finished")
    shutil.rmtree(bench.output)
    for n in range(25, 60):
        camera.send(n, sent[n])
    until(lambda: "series incomplete" in daemon.log, "the first series ended")
    daemon.require_running()
    contains(daemon.log, str(bench.output / "s-0001"), "No such file or directory")
    bench.output.mkdir()
    time.sleep(0.6)
    camera.send_all(sent)
    daemon.wait(1)
    series = bench.series().require_complete(60)
    for n, found in series.images().items():
        same_pixels(found, sent[n], f"frame {n}")
    audit(bench, series.folder, 0)


# ---- killed, and recovered


FORMS = {"tiff": {}, "raw": {}, "hdf5": {}, "bslz4": {"compression": "bslz4"}}


def sink_of(bench, form, **more):
    return bench.sink("hdf5" if form == "bslz4" else form, form, **FORMS[form], **more)


def require_recovered(bench, form, sent, folder, durable):
    """All that was durable is there, opens, and is what was sent; the rest is on record."""
    series = bench.series(bench.folder / form).require_closed()
    equal(series.folder, folder, "the folder")
    check(series.manifest.get("recovered"), f"{form}: the manifest says recovered")
    equal(series.totals["written"], durable, f"{form}: written is what was durable")
    frames = frames_of(series)
    equal(len(frames), durable, f"{form}: frames in the files")
    for n, found in frames.items():
        same_pixels(found, sent[n], f"{form}: frame {n}")
    equal({why for why in lines(series, "dropped").values()} - {"crash"}, set(), "why frames are lost")
    equal(len(series.rows), series.totals["expected"], "lines of the ledger")
    equal(list(folder.glob("*.part")), [], "unfinished files")
    return series


def stack_of_master(series):
    with h5py.File(series.folder / f"{series.folder.name}.h5", "r") as f:
        data, angles, keys = (d[...] for d in httomo(f))
    return data, angles, list(keys)


@case(limit=120)
def what_a_kill_left_is_recovered_in_every_format(bench):
    sent = images(100)
    for form in FORMS:
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, {
            **SOURCE, **ANGLES, "series.frames": 100,
            "sinks": [sink_of(bench, form, sync="100ms", frames_per_file=15)]})
        for n in range(40):
            camera.send(n, sent[n])
        until(lambda: len(list((bench.folder / form).glob("*/s-0001_*[0-9].*[fhr5w]"))) >= 2,
              f"{form}: two files are finished")
        folder, = (bench.folder / form).iterdir()
        status, out, err = bench.run("openbeam", "recover", folder)
        equal(status, 69, f"{form}: recover while the daemon writes\n{out}{err}")
        for n in range(40, 60):
            camera.send(n, sent[n])
        time.sleep(0.25)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(-signal.SIGKILL)
        equal(json.loads((folder / "manifest.json").read_text())["state"], "running", "state")
        durable = len(read_journal(folder / "journal.bin")[2])
        check(durable >= 30, f"{form}: {durable} frames were durable")
        status, out, err = bench.run("openbeam", "recover", folder)
        equal(status, 1, f"{form}: status of recover\n{out}{err}")
        contains(out, f"100 frames, {durable} durable, {100 - durable} lost ({100 - durable} by the crash)")
        series = require_recovered(bench, form, sent, folder, durable)
        equal(series.totals["expected"], 100, "numbers that the configuration announced")
        if form in ("hdf5", "bslz4"):
            data, angles, keys = stack_of_master(series)
            equal(keys, [0 if series.states()[n][0] == "written" else 3 for n in range(100)], "keys")
            same_pixels(angles, numpy.arange(100) / 4, "angles")
            for n, pixels in enumerate(data):
                wanted = sent[n] if keys[n] == 0 else numpy.full_like(sent[n], 65535)
                same_pixels(pixels, wanted, f"{form}: row {n} of the master")
        audit(bench, folder, 1)
        status, out, _ = bench.run("openbeam", "recover", folder)
        equal(status, 1, f"{form}: status of another recover")
        contains(out, "nothing to finish")


@case
def a_kill_behind_the_last_frame_costs_none(bench):
    sent = images(50)
    for form in FORMS:
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, {
            **SOURCE, **ANGLES, "series.idle_end": "20s",
            "sinks": [sink_of(bench, form, sync="50ms", frames_per_file=20)]})
        camera.send_all(sent)
        journal = bench.folder / form / "s-0001" / "journal.bin"
        until(lambda: journal.exists() and len(read_journal(journal)[2]) == 50, f"{form}: all durable")
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(-signal.SIGKILL)
        status, out, err = bench.run("openbeam", "recover", journal.parent)
        equal(status, 0, f"{form}: status of recover\n{out}{err}")
        series = require_recovered(bench, form, sent, journal.parent, 50)
        equal((series.totals["expected"], series.lost("dropped")), (50, {}), "expected, dropped")
        equal(series.state, "incomplete", "state, as nothing says that it was the end")
        contains(" ".join(series.manifest["reasons"]), "whether frames were to follow is not known")
        audit(bench, journal.parent, 1)


# ---- file systems of their own, for root


def tool(name):
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not path:
        raise Skip(f"no {name}")
    return path


def command(*words):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)


class Ext4:
    """An ext4 of its own in an image file, mounted by root through a loop device."""

    def __init__(self, folder, image, *options, mount="defaults"):
        self.folder, self.image, self.mount_options = folder, image, mount
        if os.geteuid() != 0:
            raise Skip("only root can mount a file system")
        done = command(tool("mkfs.ext4"), "-q", "-F", "-m", "0", *options, image)
        if done.returncode:
            raise Skip(f"no ext4 can be made: {done.stderr.strip()}")
        folder.mkdir()
        self.mount()

    def mount(self):
        done = command(tool("mount"), "-t", "ext4", "-o", f"loop,{self.mount_options}", self.image, self.folder)
        if done.returncode:
            raise Skip(f"no ext4 can be mounted: {done.stderr.strip()}")

    def unmount(self):
        equal(command(tool("umount"), self.folder).returncode, 0, "umount")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        command(tool("umount"), "-l", self.folder)


def image_file(bench, mebibytes):
    path = bench.folder / "disk.img"
    with open(path, "wb") as file:
        file.truncate(mebibytes << 20)
    return path


@case(long_only=True, limit=180)
def an_ext4_that_fills_up_loses_what_it_counts_and_works_again(bench):
    for form in FORMS:
        with Ext4(bench.folder / form, image_file(bench, 48)) as disk:
            ballast = disk.folder / "ballast"
            ballast.write_bytes(bytes(28 << 20))
            fills_up(bench, form, disk, ballast)


def fills_up(bench, form, disk, ballast):
    sent = images(140)  # 128 KiB each, 17.5 MiB
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **SOURCE, **ANGLES, "series.frames": 140, "series.idle_end": "500ms",
        "sinks": [sink_of(bench, form, frames_per_file=40)]}, series=2)
    for n, one in enumerate(sent):
        camera.send(n, one)
        time.sleep(0.005)
    bench.wait_for_end(1, disk.folder)
    daemon.require_running()
    first = bench.series(disk.folder).require_closed()
    equal((first.state, first.totals["expected"]), ("incomplete", 140), "state, expected")
    equal(first.lost("dropped"), {"no_space": 140 - first.totals["written"]}, "dropped")
    check(20 < first.totals["written"] < 130, f"{form}: written on the full disk: {first.totals['written']}")
    contains(daemon.log, "disk full", f"{first.folder}/s-0001_00000")
    same_frames(first, sent, lambda n: f"{form}: frame {n} of the full disk")
    ballast.unlink()
    time.sleep(1)
    camera.send_all(sent)
    daemon.wait(1)
    _, second = bench.all_series(disk.folder)
    second.require_complete(140)
    same_frames(second, sent, lambda n: f"{form}: frame {n} after space came back")
    audit(bench, first.folder, 1)
    audit(bench, second.folder, 0)


@case(long_only=True, limit=180)
def a_kill_on_a_full_ext4_is_recovered_once_there_is_space(bench):
    sent = images(140)
    for form in FORMS:
        with Ext4(bench.folder / form, image_file(bench, 48)) as disk:
            ballast = disk.folder / "ballast"
            ballast.write_bytes(bytes(28 << 20))
            camera = bench.camera()
            daemon = bench.daemon(camera.endpoint, {
                **SOURCE, **ANGLES, "series.frames": 200, "series.idle_end": "20s",
                "sinks": [sink_of(bench, form, frames_per_file=40)]})
            camera.send_all(sent)
            until(lambda: "disk full" in daemon.log, "the full disk is said")
            time.sleep(1)
            daemon.send_signal(signal.SIGKILL)
            daemon.wait(-signal.SIGKILL)
            folder = disk.folder / "s-0001"
            durable = [r["number"] for r in read_journal(folder / "journal.bin")[2] if r["state"] == 0]
            check(20 < len(durable) < 140, f"{form}: {len(durable)} durable")
            with open(disk.folder / "filler", "wb", buffering=0) as filler:
                fill(filler)
            status, out, err = bench.run("openbeam", "recover", folder)
            check(status in (1, 74), f"{form}: recover on a full disk ends with {status}\n{out}{err}")
            if status == 74:
                contains(err, "No space left on device")
            ballast.unlink()
            status, out, err = bench.run("openbeam", "recover", folder)
            equal(status, 1, f"{form}: status of recover\n{out}{err}")
            series = bench.series(disk.folder).require_closed()
            equal(series.totals["expected"], 200, "expected")
            frames = frames_of(series)
            equal(sorted(frames), durable, f"{form}: what was durable")
            for n, found in frames.items():
                same_pixels(found, sent[n], f"{form}: frame {n}")
            audit(bench, folder, 1)


def fill(file):
    """Take what is left of the file system."""
    for size in (1 << 16, 4096, 512):
        try:
            while file.write(bytes(size)) == size:
                pass
        except OSError:
            pass


class FailingDisk:
    """A block device whose writes fail while a file is there: nbdkit, by FUSE, below a loop device."""

    def __init__(self, folder, mebibytes):
        if os.geteuid() != 0:
            raise Skip("only root can mount a file system")
        nbdkit, nbdfuse = tool("nbdkit"), tool("nbdfuse")  # Debian: nbdkit, libnbd-bin
        if not os.path.exists("/dev/fuse"):
            raise Skip("no /dev/fuse in this kernel")
        self.folder, self.trigger, socket = folder, folder / "trigger", folder / "socket"
        self.image = folder / "disk"
        folder.mkdir()
        self.image.touch()
        self.processes = [subprocess.Popen(
            [nbdkit, "-f", "-U", socket, "--filter=error", "memory", f"size={mebibytes}M",
             "error-pwrite=EIO", "error-pwrite-rate=100%", f"error-file={self.trigger}"],
            stderr=open(folder / "nbdkit.log", "wb"))]
        until(socket.exists, "nbdkit listens")
        self.processes.append(subprocess.Popen(
            [nbdfuse, self.image, f"nbd+unix://?socket={socket}"],
            stderr=open(folder / "nbdfuse.log", "wb")))
        until(lambda: self.image.stat().st_size or self.processes[1].poll() is not None, "nbdfuse answers")
        if self.processes[1].poll() is not None:
            raise Skip(f"nbdfuse: {(folder / 'nbdfuse.log').read_text().strip()}")

    def fail(self, on):
        if on:
            self.trigger.touch()
        else:
            self.trigger.unlink()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        command(tool("umount"), "-l", self.image)
        for process in self.processes:
            process.terminate()


def over_a_failure(bench, device, camera, daemon, sent):
    """Send 120 frames, the middle third of them while writes fail."""
    for n in range(40):
        camera.send(n, sent[n])
    time.sleep(0.5)
    device.fail(True)
    for n in range(40, 80):
        camera.send(n, sent[n])
    until(lambda: "error sink" in daemon.log, "the failure is said")
    time.sleep(0.5)
    device.fail(False)
    time.sleep(1.2)
    for n in range(80, 120):
        camera.send(n, sent[n])


def finish(bench, folder, form):
    """A file whose directory could not be written is left as .part, which recover finishes."""
    status, out, err = bench.run("openbeam", "recover", folder)
    equal(status, 1, f"{form}: status of recover\n{out}{err}")


@case(long_only=True, limit=180)
def pixels_that_cannot_be_written_cost_files_and_not_the_series(bench):
    """The journal is on the first sink's disk, which is sound: the other one's goes on in new files."""
    sent = images(120)
    for form in FORMS:
        with FailingDisk(bench.folder / f"{form}-disk", 96) as device, \
                Ext4(bench.folder / form, device.image, "-O", "^has_journal", mount="errors=continue") as disk:
            camera = bench.camera()
            daemon = bench.daemon(camera.endpoint, {
                **SOURCE, **ANGLES, "series.frames": 120, "sinks": [
                    bench.sink("tiff", f"{form}-sound"),
                    sink_of(bench, form, frames_per_file=20, sync="100ms")]})
            over_a_failure(bench, device, camera, daemon, sent)
            daemon.wait(1)
            contains(daemon.log, "Input/output error", str(disk.folder / "s-0001" / "s-0001_00000"))
            disk.unmount()  # what is only in memory goes
            disk.mount()
            finish(bench, bench.folder / f"{form}-sound" / "s-0001", form)
            series = bench.series(bench.folder / f"{form}-sound").require_closed()
            equal((series.state, series.totals["written"]), ("incomplete", 120), "state, written")
            rows = series.read_csv("sink-1.csv")
            fates = {(r["state"], r["reason"]) for r in rows}
            equal((len(rows), fates), (120, {("written", ""), ("dropped", "write")}), f"{form}: sink-1.csv")
            kept = pixels_of_rows(disk.folder / "s-0001", rows)
            check(set(range(20)) | set(range(100, 120)) <= set(kept), f"{form}: before and after: {sorted(kept)}")
            for n, found in kept.items():
                same_pixels(found, sent[n], f"{form}: frame {n}")
            audit(bench, series.folder, 1)


@case(long_only=True, limit=180)
def a_disk_whose_writes_fail_costs_the_series_and_not_the_next(bench):
    """Nor the journal: what has a record is there, what has none is dropped."""
    sent = images(120)
    for form in FORMS:
        with FailingDisk(bench.folder / f"{form}-disk", 96) as device, \
                Ext4(bench.folder / form, device.image, "-O", "^has_journal", mount="errors=continue") as disk:
            camera = bench.camera()
            daemon = bench.daemon(camera.endpoint, {
                **SOURCE, **ANGLES, "series.frames": 120, "series.idle_end": "3s",
                "sinks": [sink_of(bench, form, frames_per_file=20, sync="100ms")]}, series=2)
            over_a_failure(bench, device, camera, daemon, sent)
            bench.wait_for_end(1, disk.folder)
            time.sleep(3.5)  # silence, or the next frames would belong to no series
            camera.send_all(sent)
            daemon.wait(1)
            contains(daemon.log, "Input/output error", str(disk.folder / "s-0001"))
            ended = bench.all_series(disk.folder)[0]
            equal(ended.lost("dropped"), {"write": 120 - ended.totals["written"]}, f"{form}: dropped")
            disk.unmount()  # what is only in memory goes
            disk.mount()
            finish(bench, disk.folder / "s-0001", form)
            first, second = bench.all_series(disk.folder)
            first.require_closed()
            equal((first.state, first.totals["expected"]), ("incomplete", 120), "state, expected")
            # Those of which the journal took no record are to recovery what a crash cost.
            equal(sum(first.lost("dropped").values()), 120 - first.totals["written"], f"{form}: dropped")
            check(set(first.lost("dropped")) <= {"write", "crash"}, f"{form}: {first.lost('dropped')}")
            check(first.totals["written"] >= 20, f"{form}: written {first.totals['written']}")
            second.require_complete(120)
            for series in (first, second):
                same_frames(series, sent, lambda n: f"{form}: frame {n} of {series.folder.name}")
            audit(bench, first.folder, 1)
            audit(bench, second.folder, 0)


@case(long_only=True, limit=180)
def a_disk_that_breaks_the_file_systems_journal_keeps_what_was_durable(bench):
    """ext4 turns read-only for good: nothing more can be written, no end either."""
    sent = images(120)
    for form in FORMS:
        with FailingDisk(bench.folder / f"{form}-disk", 96) as device, \
                Ext4(bench.folder / form, device.image) as disk:
            camera = bench.camera()
            daemon = bench.daemon(camera.endpoint, {
                **SOURCE, **ANGLES, "series.frames": 120, "series.idle_end": "500ms",
                "sinks": [sink_of(bench, form, frames_per_file=20, sync="100ms")]})
            for n in range(50):
                camera.send(n, sent[n])
            folder = disk.folder / "s-0001"
            journal = folder / "journal.bin"
            until(lambda: journal.exists() and len(read_journal(journal)[2]) >= 50, "50 are durable")
            device.fail(True)
            for n in range(50, 120):
                camera.send(n, sent[n])
            daemon.wait(1)
            contains(daemon.log, str(folder), "series incomplete", "dropped=70")
            disk.unmount()
            device.fail(False)
            done = command(tool("e2fsck"), "-fy", device.image)
            check(done.returncode < 4, f"e2fsck: {done.stdout}{done.stderr}")
            disk.mount()
            status, out, err = bench.run("openbeam", "recover", folder)
            equal(status, 1, f"{form}: status of recover\n{out}{err}")
            series = bench.series(disk.folder).require_closed()
            equal(series.totals["expected"], 120, "expected")
            frames = frames_of(series)
            equal(set(range(50)) - set(frames), set(), f"{form}: what was durable")
            for n, found in frames.items():
                same_pixels(found, sent[n], f"{form}: frame {n}")
            audit(bench, folder, 1)
