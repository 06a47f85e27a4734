# SPDX-License-Identifier: Apache-2.0
"""The daemon over HTTP: what it says, to whom, what it is told; and the tool that does so."""
import http.client
import http.server
import json
import re
import shutil
import socket
import subprocess
import threading
import time

import numpy
import tifffile

import e2e_reference as reference
from e2e_case import Skip, case, check, contains, equal, same_pixels, until
from e2e_daemon import free_port

SHAPE = (32, 48)
HERE = {"monitor.http": "127.0.0.1:0", "reduce.type": "source"}
QUICK = {"series.frames": 40, "series.idle_end": "600ms"}
UNAVAILABLE, PROTOCOL, PERMISSION = 69, 76, 77
DEADLINE_S = 10


def images(count, seed=0):
    return [reference.noise_image(SHAPE, seed + n, 0, 60000) for n in range(count)]


class Monitor:
    """A daemon's HTTP as a client sees it, with headers of the client's choice."""

    def __init__(self, daemon):
        self.daemon = daemon
        found = until(lambda: re.search(r"listening on http://([0-9.]+):(\d+)", daemon.log),
                      "the monitor listens")
        self.address = (found[1], int(found[2]))
        self.url = f"http://{found[1]}:{found[2]}"

    def ask(self, path, method="GET", body=None, **headers):
        """(status, headers, body); a header's _ is a -."""
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            connection.request(method, path, body,
                               {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def status_of(self, path, method="GET", body=None, **headers):
        return self.ask(path, method, body, **headers)[0]

    def json(self, path):
        status, _, body = self.ask(path)
        equal(status, 200, f"status of {path}: {body!r}")
        return json.loads(body)

    def status(self):
        return self.json("/api/v1/status")

    def command(self, what, **headers):
        body = what if isinstance(what, str) else json.dumps(what)
        status, _, answer = self.ask("/api/v1/command", "POST", body, **headers)
        return status, json.loads(answer)

    def metrics(self):
        """{name{labels}: value}, checked by Prometheus' own tool where that is."""
        status, headers, body = self.ask("/metrics")
        equal(status, 200, "status of /metrics")
        contains(headers["Content-Type"], "text/plain; version=0.0.4")
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True)
            equal((done.returncode, done.stdout, done.stderr), (0, b"", b""), "promtool")
        lines = [line.rsplit(" ", 1) for line in body.decode().splitlines() if line[0] != "#"]
        return {name: float(value) for name, value in lines}

    def socket(self, *sent):
        connection = socket.create_connection(self.address, timeout=20)
        for part in sent:
            connection.sendall(part)
        return connection


def sent_raw(monitor, request):
    """All that is answered until the peer closes."""
    with monitor.socket(request) as connection, connection.makefile("rb") as answer:
        return answer.read()


def stays_open(connection):
    """Whether the peer has not closed it."""
    connection.settimeout(0.01)
    try:
        return connection.recv(1) != b""
    except socket.timeout:
        return True
    except OSError:
        return False


def answered(monitor, *request, **headers):
    """The status; None where the connection was cut before the answer was read."""
    try:
        return monitor.status_of(*request, **headers)
    except ConnectionError:
        return None


def deaf_watcher(address):
    """A stream of events that is never read, with little room before the server notices."""
    watcher = socket.socket()
    watcher.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    watcher.connect(address)
    watcher.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return watcher


def drip(connection, end):
    """Send a byte now and then, until the peer has enough."""
    while time.monotonic() < end:
        try:
            connection.sendall(b"X")
        except OSError:
            return
        time.sleep(0.2)


def stream_with_losses(camera, first, count):
    """Frames with a gap, a duplicate and two unusable messages; the last one is there."""
    for number, pixels in enumerate(images(count, first), first):
        if number - first not in (7, 8, 20):
            camera.send(number, pixels)
        if number - first == 10:
            camera.send(number, pixels)
            camera.send_parts(b"{", b"x")
            camera.send(number, pixels, type="complex64")


def by_reason(metrics, name, label="reason"):
    pattern = re.compile(rf'openbeam_{name}{{.*{label}="(\w+)"}}')
    return {m[1]: value for key, value in metrics.items() if (m := pattern.fullmatch(key))}


@case(quick=True)
def status_and_metrics_are_the_ledger_at_the_end(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**HERE, **QUICK, "ingest.name": "eye"}, series=2)
    monitor = Monitor(daemon)
    before = monitor.metrics()
    equal(monitor.status()["state"], "idle", "state before the first frame")
    equal(set(by_reason(before, "frames_dropped_total").values()), {0}, "reasons at the start")
    stream_with_losses(camera, 0, 40)
    status = until(lambda: (s := monitor.status())["since_start"]["series_closed"] and s,
                   "the first series is closed")
    series = bench.series().require_closed()
    totals = series.totals
    frames = status["frames"]
    for name in ("expected", "received", "written", "durable", "pending", "flagged", "duplicate",
                 "dropped", "missing", "rejected"):
        equal(frames[name], totals[name], f"frames.{name}")
    equal(series.lost("missing"), {"never": 3}, "missing")
    equal(series.lost("rejected"), {"header": 1, "type": 1}, "rejected")
    equal((status["state"], status["series"]["number"]), ("idle", 1), "state and number")
    equal(status["series"]["path"], str(series.folder), "path")
    metrics = monitor.metrics()
    equal(metrics['openbeam_frames_received_total{source="eye"}'], totals["received"], "received")
    for name in ("written", "durable"):
        equal(metrics[f'openbeam_frames_{name}_total{{sink="tiff"}}'], totals[name], name)
    for state, name in (("dropped", "frames_dropped"), ("missing", "frames_missing"),
                        ("rejected", "messages_rejected")):
        equal(by_reason(metrics, f"{name}_total"), totals[state], name)
    for stage, latency in status["latency_ms"].items():
        equal(latency["count"], totals["written"], f"frames through {stage}")
        equal(metrics[f'openbeam_frame_latency_seconds_count{{stage="{stage}"}}'], totals["written"],
              f"frames through {stage}, since start")
    loss = status["last_loss"]
    equal((loss["state"], loss["reason"], loss["last_frame"]), ("missing", "never", 20), "the last loss")
    equal(loss["frames"], sum(loss["first_frame"] <= n for n in (7, 8, 20)), f"frames of {loss}")
    contains(daemon.log, loss["text"])
    equal(metrics.keys(), before.keys(), "names, labels and reasons from the start")
    check(metrics['openbeam_written_bytes_total{sink="tiff"}'] >= 37 * 32 * 48 * 2, "bytes written")
    equal(by_reason(metrics, "series_state", "state"),
          {"idle": 1, "armed": 0, "running": 0, "degraded": 0, "error": 0}, "state")

    # The last series' figures stay until the next begins; sums go on.
    camera.send(0, images(1)[0])
    status = until(lambda: (s := monitor.status())["frames"]["received"] == 1 and s, "a new series")
    equal((status["series"]["number"], status["frames"]["duplicate"]), (2, 0), "the new series'")
    received = 'openbeam_frames_received_total{source="eye"}'
    after = until(lambda: (m := monitor.metrics())[received] != totals["received"] and m, "it is in the metrics")
    equal(after[received], totals["received"] + 1, "received in all")
    falling = [n for n, v in before.items()
               if "_total" in n and not v <= metrics[n] <= after[n]]
    equal(falling, [], "counters that went down")
    camera.send_all(images(40)[1:], 1)
    daemon.wait(1)


@case
def every_status_of_a_running_series_adds_up(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **HERE, "series.frames": 3000, "series.reorder": 16, "series.idle_end": "600ms"})
    monitor = Monitor(daemon)
    pixels = images(1)[0]

    def send():
        for n in range(3000):
            if n % 7:
                camera.send(n, pixels)
            if n % 300 == 0:
                time.sleep(0.05)  # answers are at most 100 ms old
    sender = threading.Thread(target=send)
    seen, last = set(), {}
    sender.start()
    while daemon.process.poll() is None:
        try:
            frames = monitor.status()["frames"]
        except OSError:
            break
        decided = frames["written"] + sum(frames["dropped"].values()) + sum(frames["missing"].values())
        equal(frames["expected"], decided + frames["pending"], "expected is what it adds up to")
        for name in ("received", "written", "durable"):
            check(frames[name] >= last.get(name, 0), f"{name} goes up")
            last[name] = frames[name]
        check(frames["durable"] <= frames["written"] <= frames["received"] <= 3000, str(frames))
        seen.add(frames["received"])
    sender.join()
    daemon.wait(1)
    check(len(seen) > 3, f"it was asked while it ran: {sorted(seen)}")


@case
def who_may_ask_and_who_may_command(bench):
    secret = "only-for-the-beamline-0123456789"
    (bench.folder / "token").write_text(f"{secret}\n")
    monitor = Monitor(bench.daemon(f"ipc://{bench.folder}/nobody", {
        **HERE, "monitor.token_file": str(bench.folder / "token"),
        "monitor.allowed_hosts": ["beam.example.org", "proxy.example.org:8443"]}, series=None))
    port = monitor.address[1]
    asked = "/api/v1/status"
    for host in ("localhost", f"localhost:{port}", "127.0.0.1:1", "[::1]", "beam.example.org",
                 f"BEAM.example.org:{port}", "proxy.example.org:8443"):
        equal(monitor.status_of(asked, Host=host), 200, f"status for host {host}")
    for host in ("evil.example", "localhost.evil.example", "beam.example.org:1",
                 "proxy.example.org", "", "a b"):
        equal(monitor.status_of(asked, Host=host), 421, f"status for host {host!r}")
    equal(monitor.status_of(asked, Host="evil.example", method="POST", body="{}"), 421, "with a body")
    for origin, wanted in ((monitor.url, 200), ("http://evil.example", 403), ("null", 403),
                           (f"http://localhost:{port}", 403)):
        equal(monitor.status_of(asked, Origin=origin), wanted, f"status for origin {origin}")
    status, headers, body = monitor.ask(asked, Origin="http://evil.example")
    contains(headers["Content-Type"], "application/json")
    check(json.loads(body)["error"], "errors are JSON")
    check("Access-Control-Allow-Origin" not in headers, "no page of another origin may read")

    # From this machine no token is asked for; what a proxy hands on is not from this machine.
    wrong = {"command": "dark", "frames": 0}
    equal(monitor.command(wrong)[0], 400, "a command from this machine")
    equal(monitor.command(wrong, Origin="http://evil.example")[0], 403, "one of a foreign page")
    for more in ({"Host": "beam.example.org"}, {"X_Forwarded_For": "10.1.1.1"}, {"Forwarded": "for=x"}):
        status, answer = monitor.command(wrong, **more)
        equal((status, answer["ok"]), (401, False), f"a command with {more}")
        contains(answer["error"], "token")
        equal(monitor.command(wrong, Authorization=f"Bearer {secret}x", **more)[0], 401, "another token")
        equal(monitor.command(wrong, Authorization=f"Bearer {secret}", **more)[0], 400, "the token")
    equal(monitor.ask("/api/v1/command", "POST", "{}", Forwarded="x")[1]["WWW-Authenticate"], "Bearer",
          "how to show it")


@case
def requests_are_answered_by_the_letter(bench):
    monitor = Monitor(bench.daemon(f"ipc://{bench.folder}/nobody", HERE, series=None))
    for path in ("/api/v1/status", "/api/v1/config", "/metrics", "/healthz"):
        status, headers, body = monitor.ask(path)
        equal(status, 200, path)
        equal((headers["X-Content-Type-Options"], headers["X-Frame-Options"], headers["Cache-Control"]),
              ("nosniff", "DENY", "no-store"), f"headers of {path}")
        status, headers, nothing = monitor.ask(path, "HEAD")
        equal((status, nothing), (200, b""), f"HEAD of {path}")
        check(int(headers["Content-Length"]) > 0, "HEAD says how long it would be")
        status, headers, _ = monitor.ask(path, "POST", "{}")
        equal((status, headers["Allow"]), (405, "GET, HEAD"), f"POST to {path}")
    equal(monitor.json("/healthz"), {"ok": True, "state": "idle"}, "health")
    equal(monitor.json("/api/v1/config")["monitor"]["http"], "127.0.0.1:0", "the configuration")
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"):
        status, headers, _ = monitor.ask("/api/v1/status", method)
        equal((status, headers["Allow"]), (405, "GET, HEAD, POST"), method)
    equal(monitor.status_of("/api/v1/command"), 405, "GET of the command")
    for path in ("/api", "/api/v1/status/", "/etc/passwd", "/../metrics", "/api/v1/arm",
                 "/api/v1/status%00", "/assets/page.js%00.html"):
        status, _, body = monitor.ask(path)
        equal((status, "error" in json.loads(body)), (404, True), path)
    for query, named in (("kind=colour", "colour"), ("window=year", "year"), ("kind=", "raw"),
                         ("bins=7", "bins"), ("kind=raw&kind=raw", "repeated")):
        status, _, body = monitor.ask(f"/api/v1/histogram?{query}")
        equal(status, 400, query)
        contains(json.loads(body)["error"], named)
    equal(monitor.status_of("/api/v1/status?" + "&".join(f"a{n}" for n in range(20))), 400, "20 parameters")
    equal(monitor.status_of("/api/v1/status?x=1"), 400, "a parameter that is not known")
    equal(monitor.status_of("/api/v1/histogram?kind=raw%00"), 400, "a zero behind what is known")
    equal(sent_raw(monitor, b"HEAD /api/v1/events HTTP/1.1\r\nHost: localhost\r\n"
                            b"Connection: close\r\n\r\n").partition(b"\r\n\r\n")[2], b"", "what follows HEAD's headers")
    contains(sent_raw(monitor, b"POST /api/v1/command HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
                               b"Content-Length: 20\r\n\r\n{}"), b"one Content-Length")


@case
def commands_are_refused_with_what_is_wrong(bench):
    monitor = Monitor(bench.daemon(f"ipc://{bench.folder}/nobody", HERE, series=None))
    for body, status, named in (
            ("", 400, "JSON"), ("{", 400, "JSON"), ("[]", 400, "object"), ("{}", 400, "command"),
            ({"command": "dance"}, 400, "dance"), ({"command": "dark"}, 400, "frames"),
            ({"command": "dark", "frames": 0}, 400, "frames"),
            ({"command": "dark", "frames": "5"}, 400, "frames"),
            ({"command": "dark", "frames": 5, "frmes": 5}, 400, "frmes"),
            ('{"command": "dark", "frames": 5, "frames": 6}', 400, "duplicate"),
            ({"command": "flat", "frames": 5, "for": "flats"}, 400, "for"),
            ({"command": "keep", "frames": 5}, 400, "frames"),
            ({"command": "stop"}, 409, "nothing to stop"),
            ({"command": "arm", "name": "../x"}, 400, "name")):
        found, answer = monitor.command(body)
        equal((found, answer["ok"], answer["series"]), (status, False, None), f"answer to {body}")
        contains(answer["error"], named)
    for body in (b"\xff\xfe", b"{\"command\": \"\xff\"}", b"[" * 60000):
        equal(monitor.status_of("/api/v1/command", "POST", body), 400, f"status for {body[:10]}")


@case(limit=120)
def hostile_clients_cost_their_connections_only(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**HERE, "series.frames": 400}, series=None)
    monitor = Monitor(daemon)
    began = time.monotonic()
    slow = monitor.socket(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
    silent = monitor.socket()
    body = monitor.socket(b"POST /api/v1/command HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n")
    watcher = deaf_watcher(monitor.address)
    dripping = [threading.Thread(target=drip, args=(c, began + 3 * DEADLINE_S)) for c in (slow, body)]
    for thread in dripping:
        thread.start()

    # One address has 128 connections, four of which are those above.
    crowd = [monitor.socket() for _ in range(150)]
    until(lambda: sum(map(stays_open, crowd)) <= 124, "those beyond 128 are closed", 5)
    equal(sum(map(stays_open, crowd)), 124, "connections that are not")
    camera.send_all(images(400))
    for connection in crowd:
        connection.close()

    until(lambda: answered(monitor, "/healthz") == 200, "connections are there again")
    # Too large, in every direction; each is refused, and the next request is answered.
    check(answered(monitor, "/healthz", X_Long="a" * 20000) in (431, None), "long header")
    check(answered(monitor, "/" + "a" * 20000) in (414, 431, None), "long line")
    check(answered(monitor, "/api/v1/command", "POST", b" " * 65537) in (413, None), "long body")
    equal(monitor.status_of("/api/v1/command", "POST", b" " * 65536), 400, "the longest body")
    equal(monitor.status_of("/api/v1/command", "POST", iter([b"{}"])), 411, "a body of unknown length")
    huge = monitor.socket(b"POST /api/v1/command HTTP/1.1\r\nHost: localhost\r\n"
                          b"Content-Length: 99999999999\r\n\r\n")
    contains(huge.recv(1000).decode(), "413")
    for line in (b"\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"):
        with monitor.socket(line) as connection:
            stays_open(connection)
    equal(monitor.status_of("/healthz"), 200, "health, after all that")

    until(lambda: monitor.status()["watchers"]["events"] == 0, "a stream that nobody reads is cut", 40)
    watcher.close()
    until(lambda: not stays_open(slow) and not stays_open(silent) and not stays_open(body),
          "slow requests are cut", DEADLINE_S + 5)
    seconds = time.monotonic() - began
    check(seconds >= DEADLINE_S - 1, f"but not before {DEADLINE_S} s: {seconds:.1f} s")
    for thread in dripping:
        thread.join()
    daemon.stop()
    bench.series().require_complete(400)


@case
def a_connection_can_be_kept(bench):
    monitor = Monitor(bench.daemon(f"ipc://{bench.folder}/nobody", HERE, series=None))
    connection = http.client.HTTPConnection(*monitor.address, timeout=20)
    for _ in range(50):
        connection.request("GET", "/api/v1/status")
        answer = connection.getresponse()
        equal((answer.status, "frames" in json.loads(answer.read())), (200, True), "status")
    connection.close()


@case
def a_port_that_is_taken_is_said_and_the_measurement_goes_on(bench):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, {**HERE, "monitor.http": address, "series.frames": 5})
        camera.send_all(images(5))
        daemon.wait()
    bench.series().require_complete(5)
    contains(daemon.log, "error monitor", address, "Address already in use", "another port", "goes on")


@case
def a_token_that_cannot_be_read_is_said(bench):
    daemon = bench.daemon(f"ipc://{bench.folder}/nobody", {
        **HERE, "monitor.token_file": str(bench.folder / "none")}, series=None)
    monitor = Monitor(daemon)
    contains(daemon.log, "error monitor", "none", "No such file")
    equal(monitor.command({"command": "keep"}, Forwarded="x")[0], 401, "a command from elsewhere")


# ---- the tool

@case
def the_tool_says_when_nothing_answers(bench):
    port = free_port()
    for command in (("status",), ("dark", 5), ("flat", 5), ("keep",), ("cancel",)):
        status, out, said = bench.run("openbeam", *command, "--url", f"http://127.0.0.1:{port}")
        equal((status, out), (UNAVAILABLE, ""), f"status, output of {command}")
        contains(said, f"nothing answers at http://127.0.0.1:{port}: is openbeamd running, with "
                 "monitor.http set to that address?")
        equal(bench.run("openbeam", command[0], "--help")[0], 0, f"{command[0]} --help")
    status, _, said = bench.run("openbeam", "status", "--url", "http://a..b:80")
    equal(status, UNAVAILABLE, "status of a name that is none")
    contains(said, "the host of http://a..b:80 is not known")
    for wrong in (("dark",), ("dark", 0), ("dark", -1), ("dark", "x"), ("flat", "1.5"), ("status", 5),
                  ("flat", 5, "--for", "flats"), ("dark", 5, "--for", "darks"), ("keep", "--median"),
                  ("dark", 5, "--timeout", "60"), ("dark", 5, "--timeout", "0s"), ("dark", 5, 6),
                  ("status", "--url", "https://a"), ("status", "--url", "127.0.0.1:8080"),
                  ("cancel", "--nonsense")):
        status, out, said = bench.run("openbeam", *wrong)
        equal((status, out), (2, ""), f"status, output of {wrong}")
        check(said, "it says why")


@case(quick=True)
def the_tool_shows_a_running_daemon(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**HERE, "series.frames": 50, "series.idle_end": "600ms"},
                          series=None)
    monitor = Monitor(daemon)
    status, out, _ = bench.run("openbeam", "status", "--url", monitor.url)
    equal(status, 0, "status before")
    contains(out, "idle: no series yet", "laid out at the first frame")
    camera.send_all(images(48))
    camera.send(49, images(1)[0])
    until(lambda: monitor.status()["frames"]["durable"] == 49, "the series is closed")
    status, out, said = bench.run("openbeam", "status", "--url", monitor.url)
    equal((status, said), (0, ""), "status after")
    contains(out, f"{bench.output}/s-0001", "expected 50", "written 49", "missing 1 (never 1)", "GB free")
    status, out, _ = bench.run("openbeam", "status", "--json", "--url", monitor.url)
    equal(json.loads(out)["frames"], monitor.status()["frames"], "the same as JSON")
    daemon.stop(1)


@case
def the_tool_has_a_dark_taken_of_what_streams(bench):
    """Meanwhile no other is taken; the next frames are corrected with it."""
    camera = bench.camera()
    level = numpy.arange(SHAPE[0] * SHAPE[1], dtype="uint16").reshape(SHAPE)
    daemon = bench.daemon(camera.endpoint, {
        **HERE, "reduce.type": "float32", "reduce.normalise": "dark", "series.frames": 20,
        "calibration.dark": bench.tiff("old.tif", level), "calibration.directory": str(bench.output)},
        series=1)
    monitor = Monitor(daemon)
    said = {}
    taking = threading.Thread(target=lambda: said.update(dark=bench.run(
        "openbeam", "dark", 5, "--median", "--url", monitor.url)))
    taking.start()
    until(lambda: monitor.status()["calibration"]["state"] == "collecting", "it is being taken")
    status, answer = monitor.command({"command": "flat", "frames": 5})
    equal((status, answer["ok"]), (409, False), "another one meanwhile")
    contains(answer["error"], "dark")
    camera.send_all([level + 50 + n for n in range(5)])
    taking.join()
    status, out, error = said["dark"]
    equal((status, error), (0, ""), "dark")
    path = bench.output / "dark-0001.tif"
    contains(out, "dark of 5 frames", f"\n{path}\n")
    same_pixels(tifffile.imread(path), (level + 52).astype("float32"), "the dark")
    calibration = monitor.status()["calibration"]
    equal((calibration["done"], calibration["path"], calibration["taken"]), (True, str(path), 5), "status")
    equal(monitor.metrics()["openbeam_calibration_id"], calibration["id"], "the one in use")

    camera.send_all([level + 60] * 19)
    until(lambda: monitor.status()["quality"]["mean"] == 8, "the frames are corrected with it")
    raw = "/api/v1/histogram?kind=raw&window=series"
    histogram = until(lambda: (h := monitor.json(raw))["frames"] == 19 and h, "19 frames of the series")
    equal(sum(histogram["counts"]) + histogram["below"] + histogram["above"] + histogram["nan"],
          19 * level.size, "its pixels")
    equal(monitor.json("/api/v1/histogram?window=frame")["above"], level.size, "pixels above 1.5")
    trend = until(lambda: (t := monitor.json("/api/v1/trend")) and t["rows"] and t, "a row of the trend")
    equal({len(row) for row in trend["rows"]}, {len(trend["columns"])}, "columns of the rows")
    camera.send(19, level + 60)
    daemon.wait()


class Scripted(http.server.ThreadingHTTPServer):
    """What a daemon might answer: its calibration in turns, its answer to commands."""

    def __init__(self, turns, answer=(200, {"ok": True, "series": None, "error": None})):
        super().__init__(("127.0.0.1", 0), ScriptedHandler)
        self.turns, self.answer, self.commands = list(turns), answer, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class ScriptedHandler(http.server.BaseHTTPRequestHandler):
    def reply(self, status, answer):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        turns = self.server.turns
        self.reply(200, {"calibration": turns.pop(0) if len(turns) > 1 else turns[0]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.commands.append((json.loads(body), self.headers["Authorization"]))
        self.reply(*self.server.answer)

    def log_message(self, *_):
        pass


IDLE = {"state": "idle", "asked": 3, "done": True, "failed": False, "text": "an older one", "path": None}
TAKING = {"state": "collecting", "asked": 4, "done": False, "failed": False, "taken": 2, "wanted": 5}
DONE = {"state": "idle", "asked": 4, "done": True, "failed": False, "path": "/data/dark.tif",
        "text": "dark of 5 frames: 1 dead pixel\x1b[31m"}


@case
def the_tool_waits_for_the_calibration_that_it_asked_for(bench):
    with Scripted([IDLE, IDLE, TAKING, {**TAKING, "state": "making"}, DONE]) as daemon:
        status, out, said = bench.run("openbeam", "dark", 5, "--median", "--for", "flats", "--timeout",
                                      "1500 ms", "--url", daemon.url)
        equal((status, out, said), (0, "dark of 5 frames: 1 dead pixel [31m\n/data/dark.tif\n", ""), "result")
        equal(daemon.commands, [({"command": "dark", "frames": 5, "combine": "median",
                                  "timeout_s": 1.5, "for": "flats"}, None)], "what was asked")
    failed = {**DONE, "done": False, "failed": True, "text": "no frame came for 60 s"}
    with Scripted([IDLE, failed]) as daemon:
        status, out, said = bench.run("openbeam", "flat", 5, "--url", daemon.url)
        equal((status, out), (1, ""), "status and output when it failed")
        contains(said, "no frame came for 60 s")
        status, out, _ = bench.run("openbeam", "flat", 5, "--no-wait", "--url", daemon.url)
        equal((status, out), (0, "flat of 5 frames asked for\n"), "without waiting")
    with Scripted([IDLE, {**DONE, "asked": 5}]) as daemon:
        status, _, said = bench.run("openbeam", "flat", 5, "--url", daemon.url)
        equal(status, 1, "status when somebody else has asked since")
        contains(said, "another calibration")
    with Scripted([IDLE, DONE]) as daemon:
        status, out, _ = bench.run("openbeam", "dark", 5, "--json", "--url", daemon.url)
        equal((status, json.loads(out)), (0, DONE), "as JSON")


@case
def the_tool_says_in_words_why_it_was_refused(bench):
    (bench.folder / "token").write_text("a-secret-of-some-length")
    for answer, wanted, words in (
            ((401, {"ok": False, "error": "x"}), PERMISSION, "--token-file"),
            ((403, {"error": "a foreign page"}), PERMISSION, "a foreign page"),
            ((421, {"error": "x"}), PERMISSION, "monitor.allowed_hosts"),
            ((409, {"ok": False, "error": "a dark is being taken"}), 1, "not now: a dark is being taken"),
            ((413, {"ok": False, "error": "at most 80 frames"}), 1, "at most 80 frames"),
            ((501, {"ok": False, "error": "no black box"}), 1, "no black box"),
            ((404, "nothing"), PROTOCOL, "no openbeamd")):
        with Scripted([IDLE], answer) as daemon:
            for command in (("keep",), ("dark", 5)):
                status, out, said = bench.run("openbeam", *command, "--url", daemon.url, "--token-file",
                                              bench.folder / "token")
                equal((status, out), (wanted, ""), f"status, output for {answer}")
                contains(said, words)
            equal({token for _, token in daemon.commands}, {"Bearer a-secret-of-some-length"}, "token")
    with Scripted([IDLE]) as daemon:
        equal(bench.run("openbeam", "cancel", "--url", daemon.url), (0, "cancelled\n", ""), "cancel")
        status, _, said = bench.run("openbeam", "keep", "--url", daemon.url, "--token-file", "nowhere")
        equal(status, 66, "status without the file")
        contains(said, "nowhere")


@case
def the_tool_is_not_held_by_what_is_no_daemon(bench):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        url = f"http://127.0.0.1:{other.getsockname()[1]}"

        def answer(text):
            connection, _ = other.accept()
            connection.recv(10000)
            connection.sendall(text)
            connection.close()
        for text in (b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n\r\n<html>", b"HTTP/1.1 200 OK\r\n\r\n[1]",
                     b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
                     b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (17 << 20)):
            thread = threading.Thread(target=lambda t=text: _ignore(answer, t))
            thread.start()
            status, out, said = bench.run("openbeam", "status", "--url", url)
            thread.join()
            equal((status, out), (PROTOCOL, ""), f"status, output for {text[:30]}")
            contains(said, "no openbeamd")


def _ignore(function, argument):
    try:
        function(argument)
    except OSError:
        pass


@case
def promtool_is_there_to_judge_metrics(bench):
    del bench
    if not shutil.which("promtool"):
        raise Skip("no promtool (Debian package prometheus): metrics are not checked by it")
