# SPDX-License-Identifier: Apache-2.0
"""What an end-to-end test works with: a folder, cameras, the daemon, the series it wrote."""
import csv
import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import numpy
import tifffile
import zmq

from e2e_case import Failure, check, equal, until

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"

DEFAULTS = {
    "ingest.frame_limit": "8MiB",
    "ingest.buffer": "128MiB",
    "series.name": "s",
    "series.first": 0,
    "series.idle_end": "20s",
    "reduce.normalise": "none",
    "daemon.workers": 2,
    "monitor.http": "",  # tests run side by side
}


def yaml_scalar(value):
    text = str(value)
    plain = re.fullmatch(r"[A-Za-z0-9_./+-][A-Za-z0-9_./+:-]*", text) and not text.endswith(":")
    return text if plain else json.dumps(text)


def yaml_lines(value, indent=0):
    """YAML as people write it: maps in blocks, lists of words in one line."""
    pad = " " * indent
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield f"{pad}{key}:"
            yield from yaml_lines(inner, indent + 2)
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield f"{pad}{key}:"
            for item in inner:
                lines = list(yaml_lines(item, indent + 4))
                yield f"{pad}  - {lines[0].lstrip()}"
                yield from lines[1:]
        elif isinstance(inner, list):
            yield f"{pad}{key}: [{', '.join(map(yaml_scalar, inner))}]"
        else:
            yield f"{pad}{key}: {yaml_scalar(inner)}"


def nested(settings):
    """{"a.b": 1} as {"a": {"b": 1}}."""
    tree = {}
    for path, value in settings.items():
        *folders, leaf = path.split(".")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = value
    return tree


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def array_header(pixels, number, **more):
    """A header of array-1.0 for an image; `more` replaces or adds fields, None leaves one out."""
    header = {"htype": "array-1.0", "shape": list(pixels.shape),
              "type": pixels.dtype.newbyteorder("=").name, "frame": number}
    if pixels.dtype.byteorder == ">":
        header["endianness"] = "big"
    header.update(more)
    return {k: v for k, v in header.items() if v is not None}


class Camera:
    """A detector: one bound (or connected) ZeroMQ socket that sends array-1.0."""

    def __init__(self, kind, endpoint, attach="bind"):
        self.context = zmq.Context()
        self.socket = self.context.socket(kind)
        self.socket.linger = 20000
        self.socket.sndtimeo = 20000
        self.socket.rcvtimeo = 20000
        self.socket.sndhwm = 1000
        if attach == "bind":
            self.socket.bind(endpoint)
            self.endpoint = self.socket.last_endpoint.decode().rstrip("\0")
        else:
            self.socket.connect(endpoint)
            self.endpoint = endpoint

    def wait_for_subscriber(self):
        check(self.socket.recv()[:1] == b"\1", "an XPUB socket hears a subscription")

    def send(self, number, pixels, **header):
        text = json.dumps(array_header(pixels, number, **header)).encode()
        self.send_parts(text, numpy.ascontiguousarray(pixels).tobytes())

    def send_parts(self, *parts):
        self.socket.send_multipart(parts)

    def send_all(self, images, first=0):
        for number, pixels in enumerate(images, first):
            self.send(number, pixels)

    def close(self):
        self.socket.close()
        self.context.term()


class Daemon:
    """openbeamd, started with a configuration of its own."""

    def __init__(self, program, folder, name, settings, arguments, wrapper=()):
        self.configuration = folder / f"{name}.yaml"
        self.configuration.write_text("\n".join(yaml_lines(nested(settings))) + "\n")
        self.log_path = folder / f"{name}.log"
        self.name = name
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*wrapper, program, "-c", self.configuration, *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=folder,
                env={**os.environ, "NO_COLOR": "1"})

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait(self, expected=0, seconds=40):
        """Wait for it to end by itself."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} has not ended within {seconds} s") from None
        if expected is not None:
            equal(status, expected, f"exit status of {self.name}")
        return status

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, expected=0, number=signal.SIGTERM):
        self.require_running()
        self.send_signal(number)
        return self.wait(expected)

    def require_running(self):
        check(self.process.poll() is None, f"{self.name} is running")

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self, what="VmRSS"):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) * 1024

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Series:
    """A series folder, read with the standard tools."""

    def __init__(self, folder):
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.totals = self.manifest["totals"]
        self.state = self.manifest["state"]
        self.rows = self.read_csv("frames.csv")

    def read_csv(self, name):
        with open(self.folder / name, newline="") as file:
            return list(csv.DictReader(file))

    def files(self, pattern="*.tif"):
        return sorted(p.name for p in self.folder.glob(pattern))

    def states(self):
        """{number: (state, reason)}"""
        return {int(r["frame"]): (r["state"], r["reason"]) for r in self.rows}

    def written(self):
        return [r for r in self.rows if r["state"] == "written"]

    def column(self, name, kind=float):
        return [kind(r[name]) for r in self.written()]

    def lost(self, state):
        """The reasons of a state that are not zero."""
        return {reason: n for reason, n in self.totals[state].items() if n}

    def image(self, row):
        """The pixels of one ledger line, where the ledger says they are."""
        return tifffile.imread(self.folder / row["file"], key=int(row["index"]))

    def images(self):
        """{number: pixels} of all that was written, each file opened once."""
        pages = {name: tifffile.TiffFile(self.folder / name) for name in self.files()}
        try:
            return {int(r["frame"]): pages[r["file"]].pages[int(r["index"])].asarray()
                    for r in self.written()}
        finally:
            for file in pages.values():
                file.close()

    def pages(self):
        """The pixels of every page, in the order of files and pages."""
        found = []
        for name in self.files():
            with tifffile.TiffFile(self.folder / name) as file:
                found += [page.asarray() for page in file.pages]
        return found

    def histogram(self, kind):
        """[(low, high, count)] as printed, the bins and then the tails."""
        return [(float(r["low"]), float(r["high"]), int(r["count"]))
                for r in self.read_csv("histogram.csv") if r["kind"] == kind]

    def require_closed(self):
        """The promise: every number in one state, everything accounted for, nothing half done."""
        t = self.totals
        dropped, missing = sum(t["dropped"].values()), sum(t["missing"].values())
        equal(t["pending"], 0, "pending at the end")
        equal(t["expected"], t["written"] + dropped + missing, "expected = written + dropped + missing")
        equal(t["durable"], t["written"], "durable at the end")
        numbers = [int(r["frame"]) for r in self.rows]
        equal(len(numbers), len(set(numbers)), "lines per number")
        equal(len(numbers), t["expected"], "lines of the ledger")
        for state, total in (("written", t["written"]), ("dropped", dropped), ("missing", missing)):
            equal(sum(r["state"] == state for r in self.rows), total, f"ledger lines {state}")
        for state in ("dropped", "missing"):
            for reason, count in t[state].items():
                equal(sum((r["state"], r["reason"]) == (state, reason) for r in self.rows), count,
                      f"ledger lines {state} {reason}")
        equal(self.files("*.part"), [], "unfinished files")
        return self

    def require_complete(self, frames):
        equal(self.state, "complete", "state")
        equal(self.totals["written"], frames, "written")
        equal(self.totals["expected"], frames, "expected")
        return self.require_closed()


class Bench:
    """One test's own folder and processes; all gone after it."""

    def __init__(self, programs, folder, long=False):
        self.programs, self.folder, self.long = Path(programs), Path(folder), long
        self.output = self.folder / "out"
        self.output.mkdir()
        self.daemons, self.cameras = [], []

    def close(self):
        for daemon in self.daemons:
            daemon.close()
        for camera in self.cameras:
            camera.socket.linger = 0
            camera.close()

    def show_logs(self):
        for daemon in self.daemons:
            print(f"---- {daemon.configuration.name}\n{daemon.configuration.read_text()}")
            print(f"---- {daemon.log_path.name} (status {daemon.process.poll()})\n{daemon.log}")
        sender = self.folder / "sender.log"
        if sender.exists():
            print(f"---- {sender.name}\n{sender.read_text(errors='replace')}")

    def camera(self, kind=zmq.PUSH, endpoint="", attach="bind"):
        endpoint = endpoint or f"ipc://{self.folder}/c{len(self.cameras)}"
        check(not endpoint.startswith("ipc") or len(endpoint) < 107, "the socket's path is short")
        camera = Camera(kind, endpoint, attach)
        self.cameras.append(camera)
        return camera

    def sink(self, form="tiff", folder="", **more):
        """One entry of `sinks`; a folder other than `out` is made."""
        directory = self.folder / folder if folder else self.output
        directory.mkdir(exist_ok=True)
        return {"format": form, "directory": str(directory), "sync": "200ms", **more}

    def daemon(self, endpoints, settings=None, series=1, arguments=(), wrapper=(), program="openbeamd"):
        """Start it; endpoints: one, or a list; series: None for no --series."""
        wanted = dict(DEFAULTS)
        wanted["ingest.endpoints"] = [endpoints] if isinstance(endpoints, str) else list(endpoints)
        wanted["sinks"] = [self.sink()]
        wanted.update(settings or {})
        arguments = [*arguments, *(() if series is None else ("--series", series))]
        daemon = Daemon(self.programs / program, self.folder, f"openbeamd-{len(self.daemons)}",
                        {k: v for k, v in wanted.items() if v is not None}, arguments, wrapper)
        self.daemons.append(daemon)
        return daemon

    def measure(self, images, settings=None, status=0, camera=None, **options):
        """Stream images numbered from 0 through a daemon; the series they became."""
        camera = camera or self.camera()
        daemon = self.daemon(camera.endpoint, {"series.frames": len(images), **(settings or {})},
                             **options)
        camera.send_all(images)
        daemon.wait(status)
        return self.series()

    def measure_into(self, folder, images, settings, form="tiff"):
        """measure() for tests that do so several times: the series goes to a folder of its own."""
        camera = self.camera()
        daemon = self.daemon(camera.endpoint, {
            "series.frames": len(images), **settings, "sinks": [self.sink(form, folder)]})
        camera.send_all(images)
        daemon.wait()

    def run(self, program, *arguments, seconds=30):
        """Run a program to its end: (status, stdout, stderr)."""
        done = subprocess.run([self.programs / program, *map(str, arguments)], cwd=self.folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=seconds)
        return done.returncode, done.stdout, done.stderr

    def refused(self, settings, status, **options):
        """Start with settings that cannot work; what it says."""
        daemon = self.daemon(f"ipc://{self.folder}/nobody", settings, **options)
        daemon.wait(status)
        return daemon.log

    def send(self, endpoint, *arguments):
        """Start openbeam-send as a detector that binds."""
        return subprocess.Popen(
            [self.programs / "openbeam-send", "--to", endpoint, "--attach", "bind", "--socket",
             "push", "--protocol", "array-1.0", *map(str, arguments)], cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=open(self.folder / "sender.log", "wb"),
            stderr=subprocess.STDOUT)

    def tiff(self, name, image):
        path = self.folder / name
        tifffile.imwrite(path, image, photometric="minisblack")
        return str(path)

    def all_series(self, output=None):
        return [Series(p.parent) for p in sorted((output or self.output).glob("*/manifest.json"))]

    def series(self, output=None):
        found = self.all_series(output)
        equal(len(found), 1, "series folders")
        return found[0]

    def wait_for_series(self, count, output=None):
        until(lambda: len(list((output or self.output).glob("*/manifest.json"))) >= count,
              f"{count} series begun")

    def wait_for_end(self, count, output=None):
        """Wait until so many series are closed: their ledgers are the last that is written."""
        def closed():
            manifests = (output or self.output).glob("*/manifest.json")
            return sum('"running"' not in m.read_text() for m in manifests) >= count
        until(closed, f"{count} series closed")

    def shared(self, *path):
        """Test data outside the repository, which may not be there."""
        from e2e_case import Skip
        found = SHARED.joinpath(*path)
        if not found.exists():
            raise Skip(f"no {found}")
        return found
