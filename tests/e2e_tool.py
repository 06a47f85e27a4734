# SPDX-License-Identifier: Apache-2.0
"""The tool `openbeam` on a terminal and in scripts, and `openbeamd --check` of what will fit."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios

from e2e_case import Skip, case, check, contains, equal, until
from e2e_daemon import free_port
from e2e_http import HERE, Monitor, Scripted, images

UNAVAILABLE = 69


class Terminal:
    """A program in a terminal of its own, and what its screen shows."""

    def __init__(self, program, *arguments, size=(24, 80), **environment):
        self.ours, theirs = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            [program, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, env={**os.environ, "LC_ALL": "C.UTF-8", **environment})
        self.theirs, self.text = theirs, ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.ours], [], [], 0)[0]:
            self.text += os.read(self.ours, 65536).decode(errors="replace")
        return self.text

    def screen(self):
        """The lines of the last whole frame, without colours; "" before the first."""
        frames = re.findall(r"\033\[H(.*?)\033\[J", self.read(), re.DOTALL)
        return re.sub(r"\033\[[0-9;]*[mK]|\r", "", frames[-1]) if frames else ""

    def until(self, *wanted):
        return until(lambda: (shown := self.screen()) and all(w in shown for w in wanted) and shown,
                     f"the screen shows {wanted}; it is:\n{self.screen()}")

    def end(self, status):
        """It has ended so, and the terminal is what it was."""
        equal(self.process.wait(20), status, "exit status")
        self.read()
        check(self.text.endswith("\033[?25h\033[?1049l"), f"the first screen is back: {self.text[-60:]!r}")
        equal(termios.tcgetattr(self.theirs), self.before, "the terminal's modes")
        os.close(self.ours)
        os.close(self.theirs)


@case(quick=True)
def top_shows_the_status_and_survives_the_daemon(bench):
    port, camera = free_port(), bench.camera()
    settings = {**HERE, "monitor.http": f"127.0.0.1:{port}", "series.frames": 50, "series.idle_end": "600ms"}
    daemon = bench.daemon(camera.endpoint, settings, series=None)
    monitor = Monitor(daemon)
    top = Terminal(bench.programs / "openbeam", "top", "-i", "200ms", "--url", monitor.url, NO_COLOR="1")
    top.until("idle  camera", "none yet", "dropped     0   overload 0", "last loss none")
    camera.send_all(images(48))
    camera.send(49, images(1)[0])
    until(lambda: monitor.status()["frames"]["durable"] == 49, "the series is closed")
    frames = monitor.status()["frames"]
    shown = top.until("! 1 LOST", *(f"{name} {frames[name]}" for name in ("expected", "received", "written",
                                                                          "durable", "pending")))
    contains(shown, "missing   ! 1   never 1", f"{bench.output}/s-0001"[:60])
    check("\033[3" not in top.text and "\033[1" not in top.text, "no colours with NO_COLOR")
    check(all(len(line) <= 80 for line in shown.splitlines()), f"80 columns:\n{shown}")

    top.resize(6, 30)
    top.process.send_signal(signal.SIGWINCH)
    until(lambda: len(top.screen().splitlines()) <= 6, "it fits 6 rows")
    check(all(len(line) <= 30 for line in top.screen().splitlines()), f"30 columns:\n{top.screen()}")
    contains(top.screen(), "! 1 LOST")
    top.resize(24, 80)

    daemon.stop(1)
    top.until("! NO ANSWER since ", "nothing answers", "expected 50")
    again = bench.daemon(f"ipc://{bench.folder}/nobody", settings, series=None)
    Monitor(again)
    shown = top.until("none yet")
    check("NO ANSWER" not in shown, "it is back")
    os.write(top.ours, b"xq")
    top.end(0)
    again.stop()


@case
def top_gives_the_terminal_back_however_it_ends(bench):
    monitor = Monitor(bench.daemon(f"ipc://{bench.folder}/nobody", HERE, series=None))
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129),
                           (signal.SIGSEGV, -signal.SIGSEGV)):
        top = Terminal(bench.programs / "openbeam", "top", "--url", monitor.url, LC_ALL="C")
        shown = top.until("idle", "camera")
        check(shown.isascii(), "ASCII in a locale that has no more")
        top.process.send_signal(number)
        top.end(status)


@case
def top_prints_once_where_there_is_no_terminal(bench):
    monitor = Monitor(bench.daemon(f"ipc://{bench.folder}/nobody", HERE, series=None))
    environment = {**os.environ, "OPENBEAM_URL": monitor.url, "COLUMNS": "40"}
    done = subprocess.run([bench.programs / "openbeam", "top"], env=environment, capture_output=True, text=True)
    equal((done.returncode, done.stderr), (0, ""), "status, what is wrong")
    contains(done.stdout, "idle", "rejected    0")
    check(all(len(line) <= 40 for line in done.stdout.splitlines()), "as wide as COLUMNS says")
    check("\033" not in done.stdout, "no escapes")
    status, out, _ = bench.run("openbeam", "top", "--json", "--url", monitor.url)
    equal((status, json.loads(out)["state"]), (0, "idle"), "status, state")
    status, out, said = bench.run("openbeam", "top", "--once", "--url", f"http://127.0.0.1:{free_port()}")
    equal((status, out), (UNAVAILABLE, ""), "status, output without a daemon")
    contains(said, "nothing answers")
    for wrong in (("top", "--wait"), ("top", "-i", "1"), ("arm", "--frames", 0), ("stop", "--name", "x"),
                  ("reset", "--wait")):
        status, out, said = bench.run("openbeam", *wrong)
        equal((status, out), (2, ""), f"status, output of {wrong}")
    contains(bench.run("openbeam", "arm", "--nonsense")[2], "openbeam arm: unrecognized option")



@case
def a_script_arms_and_learns_how_the_series_ended(bench):
    camera = bench.camera()
    monitor = Monitor(bench.daemon(camera.endpoint, {
        **HERE, "series.start": "armed", "series.first": None}, series=None))

    def tool(*arguments):
        return bench.run("openbeam", *arguments, "--url", monitor.url)

    def wait_for(*arguments):
        return subprocess.Popen([bench.programs / "openbeam", *map(str, arguments), "--url", monitor.url],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def armed():
        return until(lambda: monitor.status()["armed"], "it is armed")
    status, out, said = tool("stop")
    equal((status, out), (1, ""), "status, output of stop without a series")
    contains(said, "not now: no series runs and none is armed")
    waiting = wait_for("arm", "--name", "good", "--frames", 10, "--first", 100, "--wait")
    equal({k: armed()[k] for k in ("name", "frames", "first")}, {"name": "good", "frames": 10, "first": 100},
          "what is armed")
    contains(tool("status")[1], "armed        the next frames begin good, 10 frames from number 100")
    contains(tool("top")[1], "armed     the next frames begin good, 10 frames from number 100")
    for n, image in enumerate(images(10)):
        camera.send(100 + n, image)
    out, said = waiting.communicate(timeout=20)
    equal((waiting.returncode, said), (0, ""), "exit status of arm --wait")
    equal(out, f"{bench.output}/good-0001\nexpected 10  written 10  durable 10  dropped 0  missing 0  flagged 0\n",
          "what it prints")

    waiting = wait_for("arm", "--name", "bad", "--wait", "--json")
    armed()
    for n in (0, 1, 3):
        camera.send(n, images(1)[0])
    until(lambda: monitor.status()["frames"]["received"] == 3, "the frames are there")
    status, out, _ = tool("stop", "--wait")
    equal(status, 1, "exit status of stop --wait with a frame missing")
    contains(out, "bad-0001", "missing 1")
    out, _ = waiting.communicate(timeout=20)
    equal((waiting.returncode, json.loads(out)["frames"]["missing"]["never"]), (1, 1), "arm --wait, too")

    waiting = wait_for("arm", "--wait")
    armed()
    equal(tool("reset"), (0, "reset\n", ""), "reset")
    _, said = waiting.communicate(timeout=20)
    equal(waiting.returncode, 1, "exit status of arm --wait when it was disarmed")
    contains(said, "there was no series: it was disarmed")


# ---- will it fit?

FRAMES = {"ingest.frame.type": "uint16", "reduce.type": "source"}


def check_host(bench, *arguments, program="openbeamd", **settings):
    """(status, findings, output) of its --check."""
    sets = [f"--set={key}={value}" for key, value in {
        **FRAMES, "reduce.normalise": "none", "ingest.endpoints": f"[ipc://{bench.folder}/nobody]",
        "sinks": json.dumps([{"format": "raw", "directory": str(bench.output)}]), **settings}.items()]
    status, out, _ = bench.run(program, "--check", *arguments, *sets, seconds=60)
    return status, [line.split(": ", 1) for line in out.splitlines()], out


@case
def check_says_that_a_small_load_fits_and_leaves_nothing_behind(bench):
    status, findings, out = check_host(bench, "--rate", 20, "--for", "10s", "--size", "64x64")
    equal(status, 0, f"exit status of:\n{out}")
    check(findings[-1][0] in ("ok fit", "warning fit") and "fits with" in findings[-1][1], out)
    contains(out, "cores: a frame takes", "receiving: ", "memory: copies move", "disk: took")
    equal(list(bench.output.iterdir()), [], "what is left")


@case
def check_says_that_a_disk_is_too_slow_and_when(bench):
    """And that a folder in memory is one."""
    memory = tempfile.mkdtemp(prefix="ob-check-", dir="/dev/shm")
    os.environ["OPENBEAM_TEST_DISK_BYTES_PER_S"] = "20e6"
    try:
        status, findings, out = check_host(
            bench, "--rate", "1e5", "--size", "256x256", program="openbeamd_slow",
            sinks=json.dumps([{"format": "raw", "directory": memory}]))
        equal(os.listdir(memory), [], "what is left")
    finally:
        del os.environ["OPENBEAM_TEST_DISK_BYTES_PER_S"]
        os.rmdir(memory)
    equal(status, 1, f"exit status of:\n{out}")
    found = re.search(r"stops fitting after 0\.\d s, because 13\.\d GB/s are to be written and this disk took "
                      r"([0-9.]+) MB/s: the buffer of \d+ frames .* Remedy: write less", findings[-1][1])
    equal((findings[-1][0], bool(found)), ("error fit", True), f"the last finding of:\n{out}")
    check(5 < float(found[1]) < 25, f"{found[1]} MB/s of a disk that takes 20")
    contains(out, f"warning disk: {memory} is memory (tmpfs)")


@case
def check_measures_nothing_where_it_cannot(bench):
    status, _, out = check_host(bench, "--rate", "max")
    equal(status, 78, "exit status without a size")
    contains(out, "error fit: the size of the frames is not known: give --size")
    status, _, out = check_host(bench, "--rate", "max", "--size", "8x8", **{"ingest.buffer": "1MiB"})
    equal(status, 78, "exit status with an error before")
    contains(out, "error buffer", "error fit: nothing is measured before the errors are gone")
    for wrong in (("--rate", "0"), ("--rate", "x"), ("--size", "8"), ("--for", "5"), ("--for", "5s"),
                  ("--rate", "5", "--for", "5s", "--frames", "5")):
        equal(check_host(bench, *wrong)[0], 2, f"exit status of {wrong}")
    equal(bench.run("openbeamd", "--rate", "5")[0], 2, "exit status without --check")


@case
def check_does_not_fill_a_disk(bench):
    small = bench.folder / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", small], capture_output=True).returncode:
        raise Skip("no tmpfs can be mounted here")
    try:
        status, _, out = check_host(bench, "--rate", "max", "--size", "512x512",
                                    sinks=json.dumps([{"format": "raw", "directory": str(small)}]))
        contains(out, f"error disk: {small} has 2.1 MB free: too little to try 32 frames there")
        check(status != 0, "the exit status")
        equal(list(small.iterdir()), [], "what is left")
    finally:
        subprocess.run(["umount", small], check=True)


CONTAINER = """
mount -t tmpfs none /sys/fs/cgroup && mkdir -p /sys/fs/cgroup/a/b && cd /sys/fs/cgroup || exit 125
echo "50000 100000" > a/b/cpu.max; echo "max 100000" > a/cpu.max; echo 3000000000 > a/memory.max
echo max > a/b/memory.max; echo 0::/a/b > group; mount --bind group /proc/$$/cgroup || exit 125
cd "$OLDPWD"; exec "$@"
"""


@case
def check_sees_the_limits_of_a_container(bench):
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", CONTAINER, "sh", bench.programs / "openbeamd", "--check", "--set",
         f"sinks=[{{format: raw, directory: {bench.output}}}]"], cwd=bench.folder, capture_output=True, text=True)
    if done.returncode in (1, 125):
        raise Skip(f"no mount namespace can be made here: {done.stderr.strip()}")
    equal(done.returncode, 0, f"exit status of:\n{done.stdout}{done.stderr}")
    contains(done.stdout, "warning limits: cpu.max of the container or unit gives 0.5 cores",
             "ok limits: memory.max of the container or unit is 3000000000 bytes", "only 3000000000 are available: lower ingest.buffer")
