# SPDX-License-Identifier: Apache-2.0
"""Those who watch: streams of events, many pages at once, clients that mean harm. What is saved does
not depend on them."""
import multiprocessing
import os
import re
import select
import socket
import statistics
import struct
import threading
import time
from pathlib import Path

import e2e_reference as reference
from e2e_case import case, check, contains, equal, until
from e2e_http import DEADLINE_S, HERE, Monitor, deaf_watcher, images

STREAMS_MAX = 64
EVENTS = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"


def get(path, *more):
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: localhost", *more, "\r\n")).encode()


def post(length, *more):
    return "\r\n".join(("POST /api/v1/command HTTP/1.1", f"Content-Length: {length}", *more,
                        "\r\n")).encode()


# ---- a crowd, in a process of its own

def status_of(address, text, body=b"", body_bytes=0):
    """What is answered; None: the connection was cut. A body is sent until it is not taken."""
    with socket.create_connection(address, timeout=20) as connection:
        try:
            connection.sendall(text)
            for _ in range(0, body_bytes, len(body) or 1):
                connection.sendall(body)
        except OSError:
            pass  # the answer may be there all the same
        try:
            answer = connection.recv(1000).split()
        except ConnectionError:
            answer = []
        return int(answer[1]) if len(answer) > 1 else None


def reset_in_mid_answer(address):
    with socket.create_connection(address, timeout=20) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(get("/api/v1/histogram?kind=raw"))
        connection.recv(1)


HARM = {  # name: (what is done, what may be answered)
    "body of 1 GiB": (lambda a: status_of(a, post(1 << 30, "Host: localhost"), bytes(1 << 16), 1 << 30),
                      {413, None}),
    "body without a length": (lambda a: status_of(a, post(0, "Host: localhost").replace(
        b"Content-Length: 0", b"Transfer-Encoding: chunked"), b"10000\r\n" + bytes(65536) + b"\r\n",
        1 << 30), {411, None}),
    "one header too many": (lambda a: status_of(a, get("/healthz", *(f"X-{n}: a" for n in range(5000)))),
                            {431, None}),
    "traversal": (lambda a: status_of(a, get("/../../../../etc/passwd")), {404}),
    "traversal in %": (lambda a: status_of(a, get("/assets/%2e%2e%2f%2e%2e%2fetc/passwd")), {404}),
    "another host": (lambda a: status_of(a, get("/api/v1/status").replace(b"localhost", b"evil.example")),
                     {421}),
    "a post of another origin": (lambda a: status_of(a, post(
        2, "Host: localhost", "Origin: http://evil.example") + b"{}"), {403}),
    "reset in mid-answer": (reset_in_mid_answer, {None}),
    "a connection for nothing": (lambda a: socket.create_connection(a, timeout=20).close(), {None}),
    "pixels": (lambda a: status_of(a, get("/api/v1/live?marks=1")), {200, 503}),
    "a picture of its own": (lambda a: status_of(a, get(f"/api/v1/live.png?low={-time.monotonic()}")),
                             {200, 503}),
    "a status more": (lambda a: status_of(a, get("/api/v1/status")), {200}),
}


class Pages:
    """Streams that are read, and now and then an answer."""

    def __init__(self, address, count):
        self.address, self.events, self.closed = address, {}, 0
        self.streams = {}
        for _ in range(count):
            stream = socket.create_connection(address, timeout=20)
            stream.sendall(EVENTS)
            self.streams[stream.fileno()] = stream
            self.events[stream.fileno()] = 0
        self.poll = select.poll()
        for fd in self.streams:
            self.poll.register(fd, select.POLLIN)

    def read(self):
        for fd, _ in self.poll.poll(100):
            try:
                data = self.streams[fd].recv(1 << 16)
            except OSError:
                data = b""
            self.events[fd] += data.count(b"event: ")
            if not data:
                self.closed += 1
                self.poll.unregister(fd)


def drip(address, stop):
    """Headers that come a byte a second, again and again."""
    slow = [socket.create_connection(address, timeout=20) for _ in range(10)]
    while not stop.wait(1):
        for i, connection in enumerate(slow):
            try:
                connection.sendall(b"G")
            except OSError:
                slow[i] = socket.create_connection(address, timeout=20)


def never_read(address):
    """As many answers as fit are asked for; none is taken."""
    connection = socket.create_connection(address, timeout=20)
    connection.setblocking(False)
    try:
        connection.send(get("/api/v1/histogram?kind=raw") * 30)
    except OSError:
        pass
    return connection


def be_a_crowd(address, pages, interval_s, pipe, cores):
    """The process: until it is told to stop; what was answered goes back."""
    os.nice(19)
    os.sched_setaffinity(0, cores)
    stop, statuses, turns = threading.Event(), {name: set() for name in HARM}, 0
    watching = Pages(address, pages)
    kept = [never_read(address) for _ in range(10)]
    kept.append(deaf_watcher(address))
    threading.Thread(target=drip, args=(address, stop), daemon=True).start()

    def harm():
        nonlocal turns
        while not stop.is_set():
            for name, (act, _) in HARM.items():
                statuses[name].add(act(address))
                if stop.wait(interval_s):
                    return
            turns += 1
    harming = threading.Thread(target=harm, daemon=True)
    harming.start()
    pipe.send("there")
    while not pipe.poll():
        watching.read()
    before = watching.closed
    stop.set()
    harming.join(20)
    pipe.send((statuses, turns, before, min(watching.events.values(), default=0)))
    pipe.recv()  # hold everything open until we may go


class Crowd:
    def __init__(self, address, pages=50, interval_s=0.02, cores=None):
        fork = multiprocessing.get_context("fork")
        self.pipe, theirs = fork.Pipe()
        self.process = fork.Process(target=be_a_crowd, daemon=True, args=(
            address, pages, interval_s, theirs, cores or os.sched_getaffinity(0)))
        self.process.start()
        equal(self.receive(), "there", "the crowd")

    def receive(self):
        check(self.pipe.poll(60), "the crowd answers")
        return self.pipe.recv()

    def report(self):
        """(statuses by harm, turns, streams that were closed, events of the page with the fewest)"""
        self.pipe.send("stop")
        return self.receive()

    def leave(self):
        self.process.kill()
        self.process.join()


# ---- events

class Stream:
    """A stream of events, with its data as text."""

    def __init__(self, monitor):
        self.socket = monitor.socket(EVENTS)
        self.file = self.socket.makefile("rb")

    def next(self):
        """(kind, data); None at the end."""
        kind = None
        for line in iter(self.file.readline, b""):
            if line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            elif line.startswith(b"data: "):
                return kind, line[6:].strip()
        return None

    def wait_for(self, kind, part=b""):
        while (event := self.next()) is not None:
            if event[0] == kind and part in event[1]:
                return event
        raise AssertionError(f"the stream ended before {kind} {part!r}")


@case
def a_stream_tells_what_happens(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**HERE, "series.frames": 20}, series=None)
    monitor = Monitor(daemon)
    early, late = Stream(monitor), Stream(monitor)
    early.wait_for("status", b'"state":"idle"')
    # Its own half of the connection is closed, and a next request waits behind it: no matter.
    early.socket.sendall(get("/healthz"))
    early.socket.shutdown(socket.SHUT_WR)
    for number, pixels in enumerate(images(19)):
        camera.send(number, pixels)
    early.wait_for("status", b'"received":19')
    early.wait_for("trend")
    until(lambda: monitor.json("/api/v1/trend")["rows"], "the same when asked")
    camera.send(19, images(1)[0])
    early.wait_for("status", b'"series_closed":1')
    # Whoever did not read since finds an older event, and then what is now.
    late.wait_for("status", b'"state":"idle"')
    late.wait_for("status", b'"series_closed":1')
    status, headers, body = monitor.ask("/api/v1/events", "HEAD")
    equal((status, headers["Content-Type"], body), (200, "text/event-stream", b""), "HEAD")
    equal(monitor.status_of("/api/v1/events?x=1"), 400, "a parameter that is not known")
    equal(monitor.status()["watchers"]["events"], 2, "streams that are open")
    daemon.stop()
    for stream in (early, late):
        until(lambda s=stream: s.next() is None, "streams end with the daemon")
    bench.series().require_complete(20)


@case
def streams_have_a_limit_and_give_their_place_back(bench):
    monitor = Monitor(bench.daemon(f"ipc://{bench.folder}/nobody", HERE, series=None))
    streams = [Stream(monitor) for _ in range(STREAMS_MAX)]
    for stream in streams:
        stream.wait_for("status")
    status, headers, body = monitor.ask("/api/v1/events")
    equal((status, headers["Content-Type"]), (503, "application/json"), "one more")
    contains(body.decode(), "64", "/api/v1/status")
    # What is asked for often is made anew once a tick.
    watchers = until(lambda: (w := monitor.status()["watchers"])["events"] and w, "streams are counted")
    equal((watchers["events"], watchers["connections"] > STREAMS_MAX), (STREAMS_MAX, True), str(watchers))
    for stream in streams[1:]:
        stream.file.close()
        stream.socket.close()
    until(lambda: monitor.status()["watchers"]["events"] == 1, "those that left are forgotten")
    for _ in range(3):
        Stream(monitor).wait_for("status")
    streams[0].wait_for("status")
    # Those that send and leave at once do not keep their place until the deadline.
    for part in (get("/healthz"), b"GET /heal") * 20:
        monitor.socket(part).close()
    until(lambda: monitor.status()["watchers"]["connections"] < 10, "they are forgotten", DEADLINE_S - 2)


# ---- a crowd

def ceiling(daemon):
    return int(re.search(r"memory_ceiling_bytes=(\d+)", daemon.log)[1])


@case(limit=120, quick=True)
def watching_never_costs_data(bench):
    """50 pages, clients that never read or send a byte a second, and all kinds of harm."""
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **HERE, "series.frames": 2000, "ingest.buffer": "64MiB", "histogram.raw.bins": 65536},
        series=None)
    monitor = Monitor(daemon)
    pixels = reference.noise_image((128, 192), 7, 0, 60000)
    camera.send(0, pixels)
    crowd = Crowd(monitor.address)
    try:
        until(lambda: monitor.status()["watchers"]["events"] >= 50, "the pages are there")
        for number in range(1, 2000):
            camera.send(number, pixels)
            if number % 10 == 0:
                time.sleep(0.015)  # some seconds in all: the crowd is to have its time
        until(lambda: monitor.status()["since_start"]["series_closed"] == 1, "the series is closed")
        statuses, turns, closed, events = crowd.report()
        for name, found in statuses.items():
            check(found and found <= HARM[name][1], f"{name}: {found}, expected {HARM[name][1]}")
        equal(closed, 0, "pages whose stream was cut")
        check(turns > 0 and events > 0, f"turns {turns}, events of each page {events}")
        peak = daemon.memory_bytes("VmHWM")
        check(peak < ceiling(daemon), f"resident memory {peak} below the ceiling {ceiling(daemon)}")
        began = time.monotonic()
        daemon.stop()  # with all of them there
        check(time.monotonic() - began < 20, "it ends all the same")
    finally:
        crowd.leave()
    bench.series().require_complete(2000)


# ---- what watching costs

DATA_PATH = ("rx", "work", "sink", "ZMQbg")


def cpu_ns(daemon):
    """CPU time of the threads of the data path, and of the server's."""
    path = server = 0
    for task in Path(f"/proc/{daemon.process.pid}/task").iterdir():
        name, spent = (task / "comm").read_text().strip(), int((task / "schedstat").read_text().split()[0])
        path += spent * name.startswith(DATA_PATH)
        server += spent * (name == "http")
    return path, server


class Costs:
    """What a stretch of a running stream costs: us of CPU a frame, of the data path and of the
    server; frames/s."""

    def __init__(self, daemon, monitor):
        self.daemon, self.monitor = daemon, monitor

    def look(self):
        return (time.monotonic(), self.monitor.status()["frames"]["received"], *cpu_ns(self.daemon))

    def of(self, seconds):
        before = self.look()
        time.sleep(seconds)
        spent, frames, path, server = (after - b for after, b in zip(self.look(), before))
        return path / 1000 / frames, server / 1000 / frames, frames / spent


def alternate(bench, rate, turns=8, seconds=4):
    """{watched: [costs]}, in turns of one stream. The crowd has a core of its own: what it does itself
    is not what watching costs."""
    *ours, theirs = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, ours or {theirs})
    endpoint = f"ipc://{bench.folder}/r{rate}"
    daemon = bench.daemon(endpoint, {
        **HERE, "ingest.buffer": "512MiB", "reduce.type": "uint16", "series.idle_end": "2s",
        "sinks": [bench.sink("null")]}, series=None)
    monitor = Monitor(daemon)
    sender = bench.send(endpoint, "--size", "1024x1024", "--pattern", "noise", "--rate", rate,
                        "--frames", 10000000)
    until(lambda: monitor.status()["frames"]["received"] > 100, "frames come")
    costs, found = Costs(daemon, monitor), {False: [], True: []}
    for _ in range(turns):
        found[False].append(costs.of(seconds))
        crowd = Crowd(monitor.address, cores={theirs})
        found[True].append(costs.of(seconds))
        crowd.report()
        crowd.leave()
        time.sleep(1)
    sender.terminate()
    sender.wait()
    until(lambda: monitor.status()["since_start"]["series_closed"] == 1, "the series is closed")
    daemon.stop()
    series = bench.all_series()[-1].require_closed()
    equal((series.state, series.totals["written"]), ("complete", series.totals["expected"]), "nothing lost")
    return found


@case(limit=900, alone=True, long_only=True)
def watching_costs_the_data_path_next_to_nothing(bench):
    """Stretches with and without the crowd in turns, at a rate well below what is possible and at
    the full one. Nothing may be lost; what it costs is shown, and must not be gross."""
    for name, rate in (("at 100 frames/s", 100), ("at the full rate", 0)):
        found = alternate(bench, rate)
        for what, column in (("data path, us of CPU a frame", 0), ("server, us of CPU a frame", 1),
                             ("frames/s", 2)):
            alone, watched = ([run[column] for run in found[w]] for w in (False, True))
            share = statistics.median(w / a - 1 for a, w in zip(alone, watched))
            print(f"{name}: {what}: alone {statistics.median(alone):.1f} ({min(alone):.1f} to "
                  f"{max(alone):.1f}), watched {statistics.median(watched):.1f} ({min(watched):.1f} to "
                  f"{max(watched):.1f}), pairs {share:+.1%}")
        alone, watched = (statistics.median(run[0] for run in found[w]) for w in (False, True))
        check(watched < 1.5 * alone, f"{name}: {watched:.1f} us of the data path a frame for {alone:.1f}")
