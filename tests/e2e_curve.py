# SPDX-License-Identifier: Apache-2.0
"""CURVE: who is let in, who is not, and keys that pyzmq and this program make for each other."""
import contextlib
import json
import os
import re
import socket
import stat
import threading
import time

import zmq
import zmq.auth

import e2e_reference as reference
from e2e_case import case, check, contains, equal, same_pixels, until
from e2e_daemon import array_header, free_port

SHAPE = (12, 20)
CONFIGURATION, PERMISSION, CANNOT_CREATE, UNAVAILABLE, USAGE = 78, 77, 73, 69, 2


def image(seed):
    return reference.noise_image(SHAPE, seed, 0, 4096)


class Keys:
    """A pair that openbeam keygen made."""

    def __init__(self, bench, name):
        status, printed, said = bench.run("openbeam", "keygen", "--output", bench.folder / name)
        equal((status, said), (0, ""), "keygen")
        self.secret_file, self.public_file = bench.folder / f"{name}.key", bench.folder / f"{name}.pub"
        self.public = printed.splitlines()[0]
        public, secret = zmq.auth.load_certificate(self.secret_file)
        equal(public.decode(), self.public, "the public key printed")
        self.pair = public, secret


class Sender:
    """A PUSH socket of pyzmq; plain without keys, a CURVE client or server with them."""

    def __init__(self, bench, keys=None, server_key=None, endpoint="", attach="connect"):
        self.bench = bench
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PUSH)
        self.socket.linger = 20000
        self.socket.sndtimeo = 20000
        if keys:
            self.socket.curve_publickey, self.socket.curve_secretkey = keys
            if server_key:
                self.socket.curve_serverkey = server_key
            else:
                self.socket.curve_server = True
        if attach == "connect":
            self.socket.connect(endpoint)
            self.endpoint = endpoint
        else:
            self.socket.bind(endpoint or f"ipc://{bench.folder}/s")
            self.endpoint = self.socket.last_endpoint.decode().rstrip("\0")
        bench.cameras.append(self)

    def send(self, number, pixels):
        self.socket.send_multipart([json.dumps(array_header(pixels, number)).encode(), pixels.tobytes()])

    def try_to_send(self, number, pixels):
        """Without waiting for somebody to send to."""
        self.socket.sndtimeo = 0
        with contextlib.suppress(zmq.Again):
            self.send(number, pixels)

    def close(self):
        self.socket.close()
        self.context.term()

    def give_up(self):
        """Leave at once, with what was not delivered."""
        self.bench.cameras.remove(self)
        self.socket.linger = 0
        self.close()


class Server:
    """A daemon that binds as a CURVE server and lets in the keys of a file."""

    def __init__(self, bench, frames, allowed=(), **more):
        self.bench = bench
        self.keys = Keys(bench, "server")
        self.list = bench.folder / "allowed"
        self.allow(*allowed)
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.daemon = bench.daemon(self.endpoint, {
            "ingest.attach": "bind", "reduce.type": "source", "series.frames": frames,
            "ingest.curve.role": "server", "ingest.curve.secret_key_file": str(self.keys.secret_file),
            "ingest.curve.allowed_keys_file": str(self.list), **more})
        until(lambda: " ready " in self.daemon.log, "the daemon is ready")

    def allow(self, *clients):
        """Replace the list, as an editor does."""
        new = self.list.with_suffix(".new")
        new.write_text("# who may send\n" + "".join(f"{c.public}  client {n}\n"
                                                     for n, c in enumerate(clients)))
        os.replace(new, self.list)

    def client(self, keys):
        return Sender(self.bench, keys.pair, self.keys.pair[0], self.endpoint)

    def said(self, *parts):
        """How many lines of the log have all parts."""
        return sum(all(p in line for p in parts) for line in self.daemon.log.splitlines())

    def hears(self, *parts, times=1):
        until(lambda: self.said(*parts) >= times, f"a line with {parts}")


def old_greetings(endpoint):
    """What peers of ZMTP 1.0 and 2.0, which had no security, say, and a frame after it."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    frame = b'{"htype":"array-1.0","type":"uint8","shape":[1,1],"frame":1}'
    old = bytes([1, 0]) + bytes([len(frame) + 1, 1]) + frame + bytes([2, 0, 7])
    two = (b"\xff" + bytes(7) + b"\1\x7f" + b"\1\x08" + bytes([0, 0]) +
           bytes([1, len(frame)]) + frame + bytes([0, 1, 7]))
    for message in (old, two):
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(message)
            time.sleep(0.2)


@case(quick=True)
def an_allowed_client_is_written_and_strangers_get_nothing_through(bench):
    good, stranger, elsewhere = (Keys(bench, n) for n in ("good", "stranger", "elsewhere"))
    server = Server(bench, 6, [good])
    camera = server.client(good)
    images = [image(n) for n in range(6)]
    for number in range(3):
        camera.send(number, images[number])
    server.hears("let in", good.public, "client 0")

    intruders = [server.client(stranger), Sender(bench, endpoint=server.endpoint),
                 Sender(bench, good.pair, elsewhere.pair[0], server.endpoint)]
    for intruder in intruders:
        for number in range(10):
            intruder.try_to_send(number, image(100 + number))
    server.hears("warning", "127.0.0.1 refused", stranger.public, str(server.list))
    until(lambda: server.said("warning", "refused", "does not encrypt") +
          server.said("warning", "refused", "before it had shown a key"), "the plain one is refused")
    server.hears("warning", "refused", "another server's public key")
    old_greetings(server.endpoint)
    for intruder in intruders:
        intruder.give_up()
    for number in range(3, 6):
        camera.send(number, images[number])
    server.daemon.wait()
    series = bench.series().require_complete(6)
    for number, found in series.images().items():
        same_pixels(found, images[number], f"frame {number}")
    equal(series.totals["rejected"] and series.lost("rejected"), {}, "rejected")
    contains(server.daemon.log, "messages=6 ", server.keys.public)
    check(int(re.search(r" refused=(\d+)", server.daemon.log)[1]) >= 3, "three are counted as refused")


@case
def keys_are_added_and_revoked_while_it_runs(bench):
    first, second = Keys(bench, "first"), Keys(bench, "second")
    server = Server(bench, 3, [first])
    camera = server.client(first)
    camera.send(0, image(0))
    server.hears("let in", first.public)

    late = server.client(second)
    late.try_to_send(1, image(66))
    server.hears("refused", second.public)
    late.give_up()

    server.allow(first, second)
    late = server.client(second)
    late.send(1, image(1))
    server.hears("let in", second.public, "client 1")
    equal(server.said("allowed keys read again: 2 in"), 1, "lines about the list")

    time.sleep(1.1)  # lines about peers are counted instead of written above 8 a second
    server.list.write_text("what is this\n")
    again = server.client(first)
    server.hears("warning", "allowed keys stay as they were, 2 of them", f"{server.list}:1:")
    server.hears("let in", first.public, times=2)
    again.give_up()

    server.allow(second)
    revoked = server.client(first)
    revoked.try_to_send(2, image(67))
    server.hears("refused", first.public)
    revoked.give_up()
    late.send(2, image(2))
    server.daemon.wait()
    series = bench.series().require_complete(3)
    for number, found in series.images().items():
        same_pixels(found, image(number), f"frame {number}")
    contains(server.daemon.log, "refused=2 ")


@case
def a_handshake_is_answered_while_the_buffer_is_full(bench):
    first, second = Keys(bench, "first"), Keys(bench, "second")
    frames, shape = 60, (1024, 2048)
    server = Server(bench, frames, [first, second], **{
        "ingest.buffer": "64MiB", "daemon.workers": 1, "daemon.isa": "scalar",
        "reduce.type": "uint16", "reduce.window": [0.0, 4096.0]})
    camera = server.client(first)
    pixels = reference.noise_image(shape, 1, 0, 4096)

    def stream():
        for number in range(frames - 1):
            camera.send(number, pixels)
    streaming = threading.Thread(target=stream)
    streaming.start()
    bench.wait_for_series(1)
    started = time.monotonic()
    other = server.client(second)
    other.send(frames - 1, pixels)
    server.hears("let in", second.public)
    seconds = time.monotonic() - started
    check(seconds < 5, f"the handshake took {seconds:.1f} s")
    streaming.join()
    server.daemon.wait()
    bench.series().require_complete(frames)


def as_client(keys, server_key_file, **more):
    return {"ingest.curve.role": "client", "ingest.curve.secret_key_file": str(keys.secret_file),
            "ingest.curve.server_key_file": str(server_key_file), "reduce.type": "source", **more}


@case
def the_daemon_is_a_client_of_a_server_that_pyzmq_made(bench):
    mine = Keys(bench, "mine")
    public_file, _ = zmq.auth.create_certificates(bench.folder, "theirs")
    theirs = zmq.auth.load_certificate(bench.folder / "theirs.key_secret")
    camera = Sender(bench, theirs, endpoint="tcp://127.0.0.1:*", attach="bind")
    daemon = bench.daemon(camera.endpoint, as_client(mine, public_file, **{"series.frames": 3}))
    for number in range(3):
        camera.send(number, image(number))
    daemon.wait()
    series = bench.series().require_complete(3)
    same_pixels(series.images()[2], image(2), "frame 2")
    contains(daemon.log, "CURVE client", mine.public, theirs[0].decode())


@case
def a_client_gets_nothing_from_another_server_or_a_plain_one(bench):
    mine, other = Keys(bench, "mine"), Keys(bench, "other")
    server = Sender(bench, mine.pair, endpoint=f"ipc://{bench.folder}/a", attach="bind")
    plain = Sender(bench, endpoint=f"ipc://{bench.folder}/b", attach="bind")
    for camera, said in ((server, "server_key_file"), (plain, "no CURVE server")):
        daemon = bench.daemon(camera.endpoint, as_client(mine, other.public_file))
        until(lambda: said in daemon.log, f"it says {said}")  # pylint: disable=cell-var-from-loop
        check(not camera.socket.poll(300, zmq.POLLOUT), "nobody is connected")
        daemon.stop()
        contains(daemon.log, "messages=0 ")
    equal(bench.all_series(), [], "series")


@case
def a_server_may_connect_and_a_client_bind(bench):
    mine, camera_keys = Keys(bench, "mine"), Keys(bench, "camera")
    allowed = bench.folder / "allowed"
    allowed.write_text(camera_keys.public + "\n")
    camera = Sender(bench, camera_keys.pair, mine.pair[0], attach="bind")
    daemon = bench.daemon(camera.endpoint, {
        "ingest.curve.role": "server", "ingest.curve.secret_key_file": str(mine.secret_file),
        "ingest.curve.allowed_keys_file": str(allowed), "series.frames": 2,
        "sinks": [bench.sink(folder="a")]})
    for number in range(2):
        camera.send(number, image(number))
    daemon.wait()
    bench.series(bench.folder / "a").require_complete(2)

    endpoint = f"ipc://{bench.folder}/t"
    daemon = bench.daemon(endpoint, as_client(mine, camera_keys.public_file, **{
        "ingest.attach": "bind", "series.frames": 2, "sinks": [bench.sink(folder="b")]}))
    until(lambda: " ready " in daemon.log, "the daemon is ready")
    server = Sender(bench, camera_keys.pair, endpoint=endpoint)
    for number in range(2):
        server.send(number, image(number))
    daemon.wait()
    bench.series(bench.folder / "b").require_complete(2)


@case
def openbeam_send_encrypts_as_client_and_as_server(bench):
    keys = Keys(bench, "send")
    server = Server(bench, 20, [keys])
    status, _, said = bench.run(
        "openbeam-send", "--to", server.endpoint, "--attach", "connect", "--size", "20x12",
        "--frames", 20, "--curve-role", "client", "--curve-secret-key", keys.secret_file,
        "--curve-server-key", server.keys.public_file)
    equal(status, 0, said)
    server.daemon.wait()
    bench.series().require_complete(20)

    endpoint = f"ipc://{bench.folder}/v"
    sender = bench.send(endpoint, "--size", "20x12", "--frames", 20, "--curve-role", "server",
                        "--curve-secret-key", keys.secret_file)
    daemon = bench.daemon(endpoint, as_client(server.keys, keys.public_file, **{
        "series.frames": 20, "sinks": [bench.sink(folder="b")]}))
    daemon.wait()
    equal(sender.wait(20), 0, "openbeam-send")
    bench.series(bench.folder / "b").require_complete(20)

    for arguments, why in ((("--curve-role", "client"), "--curve-secret-key"),
                           (("--curve-secret-key", keys.secret_file), "--curve-server-key"),
                           (("--curve-role", "both"), "client or server")):
        status, _, said = bench.run("openbeam-send", "--to", endpoint, *arguments)
        equal(status, USAGE, f"status of {arguments}")
        contains(said, why)
    status, _, said = bench.run("openbeam-send", "--to", endpoint, "--curve-role", "server",
                                "--curve-secret-key", bench.folder / "nowhere")
    equal(status, 66, said)


@case
def key_files_that_cannot_be_used_are_named_with_a_remedy(bench):
    keys = Keys(bench, "mine")
    allowed = bench.folder / "allowed"
    allowed.write_text(keys.public + "\n")
    zmq.auth.create_certificates(bench.folder, "theirs")
    loose = bench.folder / "theirs.key_secret"
    os.chmod(loose, 0o644)
    bad_list = bench.folder / "bad"
    bad_list.write_text(f"{keys.public} fine\n\nnonsense\n")
    bad_key = bench.folder / "bad.key"
    bad_key.write_text("public-key = \"abc\"\n")
    os.chmod(bad_key, 0o600)
    server = {"ingest.curve.role": "server", "ingest.curve.secret_key_file": str(keys.secret_file),
              "ingest.curve.allowed_keys_file": str(allowed)}
    secret, listed = "ingest.curve.secret_key_file", "ingest.curve.allowed_keys_file"
    for more, status, said in (
            ({secret: str(loose)}, PERMISSION, f"chmod 600 {loose}"),
            ({secret: str(bench.folder / "nowhere")}, CONFIGURATION, "nowhere: cannot be read: No such"),
            ({secret: str(bad_key)}, CONFIGURATION, f"{bad_key}:1: the value is no key"),
            ({secret: str(keys.public_file)}, CONFIGURATION, "holds no secret key"),
            ({listed: str(bad_list)}, CONFIGURATION, f"{bad_list}:3: does not begin with a key"),
            ({listed: str(bench.folder)}, CONFIGURATION, "is no file"),
            ({listed: None}, CONFIGURATION, "or every client would be let in"),
            ({"ingest.curve.role": None}, CONFIGURATION, "encrypt nothing")):
        contains(bench.refused({**server, **more}, status), said)
        check(keys.pair[1].decode() not in bench.daemons[-1].log, "the secret is not repeated")
        if said.startswith(("or every", "encrypt")):
            continue
        found, out, _ = bench.run("openbeamd", "-c", bench.daemons[-1].configuration, "--check")
        equal(found, status, f"--check: {out}")
        contains(out, "error curve: ingest.curve: ", said)
    daemon = bench.daemon(f"ipc://{bench.folder}/x", {**server, "ingest.attach": "bind"},
                          series=None, arguments=["--check"])
    daemon.wait()
    contains(daemon.log, f"ok curve: server {keys.public}", f"1 keys of {allowed}")


@case
def keygen_writes_for_the_owner_only_and_overwrites_nothing(bench):
    keys = Keys(bench, "mine")
    for path in (keys.secret_file, keys.public_file):
        equal(stat.S_IMODE(path.stat().st_mode), 0o600, f"mode of {path}")
    equal(zmq.auth.load_certificate(keys.public_file), (keys.pair[0], None), "the public half")
    equal(zmq.curve_public(keys.pair[1]), keys.pair[0], "the public key of the secret one")
    before = keys.secret_file.read_text()
    status, out, said = bench.run("openbeam", "keygen", "--output", bench.folder / "mine")
    equal((status, out), (CANNOT_CREATE, ""), "status, output")
    contains(said, "mine.key", "is there already")
    equal(keys.secret_file.read_text(), before, "the secret")
    status, out, _ = bench.run("openbeam", "keygen")
    equal(status, 0, "status")
    check((bench.folder / "openbeam.key").exists() and (bench.folder / "openbeam.pub").exists(), out)
    contains(out, "openbeam.key", "openbeam.pub")
    status, _, said = bench.run("openbeam", "keygen", "--output", "/proc/none/mine")
    check(status in (CANNOT_CREATE, PERMISSION), f"status {status}")
    contains(said, "/proc/none/mine.key")


@case
def openbeam_knows_its_commands(bench):
    status, out, _ = bench.run("openbeam", "--help")
    equal(status, 0, "--help")
    contains(out, "usage: openbeam", "keygen", "audit", "recover", "top", "arm")
    check("Not in this version" not in out, "everything is in this version")
    equal(bench.run("openbeam", "keygen", "--help")[0], 0, "keygen --help")
    status, out, _ = bench.run("openbeam", "--version")
    equal(status, 0, "--version")
    contains(out, "openbeam ")
    for command in ("audit", "recover", "replay"):
        status, out, said = bench.run("openbeam", command, "10")
        equal(status, 66, f"status of {command}")
        contains(said, "10")
    for wrong in (("nonsense",), ("--nonsense",), (), ("audit",), ("recover",), ("recover", "--nonsense", "."), ("keygen", "stray"), ("keygen", "--nonsense"),
                  ("keygen", "--output", ""), ("keygen", "--output", "folder/")):
        status, out, said = bench.run("openbeam", *wrong)
        equal((status, out), (USAGE, ""), f"status, output of {wrong}")
        check(said, "it says why")
    contains(bench.run("openbeam", "nonsense")[2], "nonsense", "keygen")
