# SPDX-License-Identifier: Apache-2.0
"""openbeamd killed with SIGKILL while frames come fast; openbeam recover, and what audit says of it."""
import json
import random
import signal
import time

import numpy
import tifffile

from e2e_case import case, check, contains, equal, until
from e2e_journal import HEADER_BYTES, RECORD_BYTES

SINKS = ({"form": "tiff"}, {"form": "raw"}, {"form": "hdf5"}, {"form": "hdf5", "compression": "bslz4"})
FRAMES, RATE = 20000, 4000


def recorded(folder):
    """The numbers that the journal calls written, by its whole records."""
    try:
        rows = (folder / "journal.bin").read_bytes()[HEADER_BYTES:]
    except FileNotFoundError:
        return set()
    rows = [rows[i:i + RECORD_BYTES] for i in range(0, len(rows) - RECORD_BYTES + 1, RECORD_BYTES)]
    return {int.from_bytes(row[8:16], "little") for row in rows if row[0] == 1 and row[16] == 0}


def start(bench, name, sink, **settings):
    """A daemon whose series has begun, its sender, and the folder of the series."""
    endpoint = f"ipc://{bench.folder}/{name}.camera"
    sender = bench.send(endpoint, "--size", "32x24", "--pixel-format", "Mono16",
                        "--frames", FRAMES, "--rate", RATE)
    daemon = bench.daemon(endpoint, {
        "reduce.type": "source", "series.frames": FRAMES, "daemon.workers": 1, "ingest.buffer": "64MiB",
        "sinks": [bench.sink(folder=name, sync="5ms", frames_per_file=60, **sink)], **settings})
    output = bench.folder / name
    until(lambda: list(output.glob("*/manifest.json")), "the series begins")
    return daemon, sender, next(output.iterdir())


def recover(bench, folder, *allowed):
    status, out, err = bench.run("openbeam", "recover", folder, seconds=60)
    check(status in allowed, f"openbeam recover ends with {status}\n{out}{err}")
    return status, out, err


def kill_once(bench, name, sink, seconds, **settings):
    daemon, sender, folder = start(bench, name, sink, **settings)
    time.sleep(seconds)
    promised = recorded(folder)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(-signal.SIGKILL)
    sender.kill()
    sender.wait()
    recover(bench, folder, 0, 1)
    status, out, err = bench.run("openbeam", "audit", folder, seconds=60)
    check(status in (0, 1), f"the audit ends with {status}\n{out}{err}")
    equal([p.name for p in folder.glob("*.part")], [], "unfinished files")
    lost = promised - recorded(folder)
    check(not lost, f"frames that had a record are lost: {sorted(lost)[:10]}")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    recover(bench, folder, 0, 1)
    equal({p.name for p in folder.iterdir()}, set(before), "files after one recovery more")
    changed = [p.name for p in folder.iterdir() if p.read_bytes() != before[p.name]]
    equal(changed, [], "files that one recovery more changes")
    return len(promised)


@case(limit=1800)
def a_daemon_that_is_killed_keeps_what_it_called_durable(bench):
    rng, frames = random.Random(7), 0
    kills = 200 if bench.long else 6
    for n in range(kills):
        settings = {"reduce.average": 3, "reduce.type": "float32"} if n % 5 == 4 else {}
        frames += kill_once(bench, f"k{n}", SINKS[n % len(SINKS)], rng.uniform(0, 0.6), **settings)
    print(f"{kills} daemons killed, {frames} frames were recorded and are there")
    check(frames > 0, "frames were recorded")


@case(limit=90)
def a_series_that_runs_is_not_recovered(bench):
    daemon, sender, folder = start(bench, "running", SINKS[0])
    _, out, err = recover(bench, folder, 69)
    contains(err, "a running daemon still writes this series")
    contains(out, "not recovered")
    recover(bench, folder.parent, 69)
    until(lambda: len(recorded(folder)) > 100, "it goes on")
    sender.kill()
    sender.wait()
    daemon.stop(None)
    equal(bench.run("openbeam", "audit", folder)[0], 1, "status of the audit of what it was")


def content_of(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@case
def a_sound_series_is_left_as_it_is(bench):
    flat = bench.folder / "flat.tif"
    tifffile.imwrite(flat, numpy.full((24, 32), 1000, numpy.uint16))
    endpoint = f"ipc://{bench.folder}/sound.camera"
    daemon = bench.daemon(endpoint, {"reduce.normalise": "none", "calibration.flat": str(flat),
                                     "series.frames": 20, "sinks": [bench.sink(form="hdf5")]}, series=1)
    bench.send(endpoint, "--size", "32x24", "--pixel-format", "Mono16", "--frames", 20).wait()
    daemon.wait(0)
    folder, = (p.parent for p in bench.folder.glob("*/*/manifest.json"))
    flat.unlink()
    before = content_of(folder)
    contains(recover(bench, folder.parent, 0)[1], "nothing to finish", "20 frames, 20 durable, 0 lost")
    equal([n for n in before if content_of(folder)[n] != before[n]], [], "files that recovery changed")


@case
def recovery_keeps_to_the_folders_of_its_series(bench):
    folders = {}
    for name in ("a", "b"):
        daemon, sender, folder = start(bench, name, SINKS[0], sinks=[
            bench.sink("tiff", name, sync="5ms"), bench.sink("hdf5", f"{name}-h5", sync="5ms")],
            **{"ingest.buffer": "256MiB"})
        until(lambda: len(recorded(folder)) > 50, "frames are durable")
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(-signal.SIGKILL)
        sender.kill()
        sender.wait()
        folders[name] = folder
    # The manifest of a says where it is, from wherever one looks; one that lies is not believed.
    strange = bench.folder / "b-h5" / folders["b"].name
    (strange / "user_fit.csv.part").write_text("mine")
    before = content_of(strange)
    recover(bench, folders["a"], 0, 1)
    manifest = folders["a"] / "manifest.json"
    said = json.loads(manifest.read_text())
    check(all(s["directory"].startswith("/") for s in said["sinks"]), "folders are whole paths")
    equal(content_of(strange), before, "another series' files")
    # The audit would call it a file that was never finished.
    check(bench.run("openbeam", "recover", "--no-audit", folders["b"])[0] in (0, 1), "recover b")
    check((strange / "user_fit.csv.part").exists(), "a stranger's file is left alone")


@case
def a_data_file_that_is_gone_is_a_reason_not_an_end(bench):
    daemon, sender, folder = start(bench, "gone", SINKS[0])
    until(lambda: list(folder.glob("*_000002.tif")), "a file is finished")
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(-signal.SIGKILL)
    sender.kill()
    sender.wait()
    next(folder.glob("*_000001.tif")).unlink()
    status, out, err = recover(bench, folder, 65)
    contains(err, "_000001.tif", "it is not there")
    manifest = json.loads((folder / "manifest.json").read_text())
    equal(manifest["state"], "incomplete", "state")
    check(not [p for p in folder.glob("*.part")], "the other files are finished")
