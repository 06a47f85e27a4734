# SPDX-License-Identifier: Apache-2.0
"""Arm, stop, abort and reset: what a series is told from outside, and what becomes of its frames."""
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import e2e_reference as reference
from e2e_case import case, check, contains, equal, until
from e2e_detectors import v1_end, v1_header, v1_image
from e2e_http import Monitor

CLIENT = Path(__file__).resolve().parent.parent / "bench/client.py"
SHAPE = (12, 20)
REMOTE = {"monitor.http": "127.0.0.1:0", "reduce.type": "source", "series.first": None}
ARMED = {**REMOTE, "series.start": "armed"}


def image(number, shape=SHAPE):
    return reference.noise_image(shape, number, 0, 4096)


class Control(Monitor):
    """A daemon that is told what to do."""

    def order(self, command, status=200, **more):
        found, answer = self.command({"command": command, **more})
        equal(found, status, f"status of {command} {more}: {answer}")
        equal((answer["ok"], answer["error"] is None), (status == 200, status == 200), str(answer))
        return answer["error"] or answer["series"]

    def require_ledger(self):
        """The equation holds, of whatever moment."""
        status = self.status()
        f = status["frames"]
        equal(f["expected"], f["written"] + f["pending"] + sum(f["dropped"].values())
              + sum(f["missing"].values()), f"expected frames of {status}")
        return status

    def wait_for(self, condition, what):
        """The first status of which this is true."""
        return until(lambda: (s := self.require_ledger()) and condition(s) and s, what)

    def wait_for_frames(self, count, folder="s-0001"):
        """Of the series of that folder; status keeps the one before until it begins."""
        return self.wait_for(lambda s: (s["series"]["path"] or "").endswith(f"/{folder}")
                             and s["frames"]["received"] >= count, f"{count} frames of {folder}")

    def wait_for_rejected(self, count):
        """Since start."""
        return self.wait_for(lambda s: s["since_start"]["rejected"]["no_series"] >= count,
                             f"{count} messages rejected")

    def wait_for_idle(self):
        return self.wait_for(lambda s: s["state"] == "idle", "the series is over")


def start(bench, camera, settings=ARMED, **more):
    daemon = bench.daemon(camera.endpoint, settings, **{"series": None, **more})
    return daemon, Control(daemon)


def audit(bench, series, losses=False):
    status, out, err = bench.run("openbeam", "audit", series.folder)
    equal(status, int(losses), f"status of the audit\n{out}{err}")
    equal("with losses" in out, losses, out)


def named(bench, name):
    """The one series of that folder."""
    found = [s for s in bench.all_series() if s.folder.name == name]
    equal(len(found), 1, f"folders {name}")
    return found[0]


class Sending:
    """A detector that sends on from a number until it is told to stop, as fast as it can."""

    def __init__(self, camera, first=0, pause_s=0.0, shape=SHAPE):
        self.camera, self.next, self.pause_s, self.on = camera, first, pause_s, True
        self.pixels = image(0, shape)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while self.on:
            self.camera.send(self.next, self.pixels)
            self.next += 1
            if self.pause_s:
                time.sleep(self.pause_s)

    def end(self):
        self.on = False
        self.thread.join()
        return self.next


@case
def an_arm_is_for_one_series_and_says_its_name_frames_and_first_number(bench):
    camera = bench.camera()
    daemon, control = start(bench, camera)
    camera.send_all([image(n) for n in range(3)])  # before any shape is known
    control.wait_for_rejected(3)
    contains(daemon.log, "series.start is armed", "nothing is armed", "openbeam arm")
    equal(control.order("arm", name="first"), "first", "series")
    # A second one takes its place.
    equal(control.order("arm", name="beam.7", frames=5, first=100), "beam.7", "series")
    status = control.status()
    equal((status["state"], status["armed"], status["series"]["start"]),
          ("armed", {"name": "beam.7", "frames": 5, "first": 100}, "armed"), "status")
    contains(daemon.log, "is replaced")
    # Neither what is before the number asked for, nor what is beyond the last one.
    for number in (3, 99, 105, 101, 100, 102, 104, 103, 105):
        camera.send(number, image(number))
    status = control.wait_for_idle()
    control.wait_for_rejected(7)
    equal((status["armed"], status["series"]["name"]), (None, "beam.7"), "status after it")
    series = named(bench, "beam.7-0001").require_complete(5)
    equal((series.manifest["expected_from"], series.manifest["stopped"]), ("config", None), "manifest")
    equal(sorted(series.states()), [100, 101, 102, 103, 104], "numbers")
    camera.send(0, image(0))  # numbers that begin anew are no arm
    control.wait_for_rejected(8)
    equal(len(bench.all_series()), 1, "series")
    equal(daemon.log.count("a series begins only after"), 1, "times that it was explained")
    control.order("arm", name="wide", frames=3)  # of another shape from its first frame on
    camera.send_all([image(n, (5, 30)) for n in range(3)])
    control.wait_for(lambda s: s["since_start"]["series_closed"] == 2, "the second series")
    equal(named(bench, "wide-0001").require_complete(3).images()[0].shape, (5, 30), "shape")
    daemon.stop()


@case
def without_a_first_number_an_armed_series_begins_behind_what_was_in_flight(bench):
    camera = bench.camera()
    daemon, control = start(bench, camera, {
        **ARMED, "series.idle_end": "60s", "series.reorder": 4})
    control.order("arm", frames=3)
    for number in (7, 8, 9, 10, 11):  # the last two are left over
        camera.send(number, image(number))
    control.wait_for_rejected(2)
    time.sleep(0.2)
    control.order("arm", frames=3)  # the stream has paused: this camera counts on
    for number in (12, 13, 14):
        camera.send(number, image(number))
    control.wait_for(lambda s: s["since_start"]["series_closed"] == 2, "two series")
    equal([sorted(s.require_complete(3).states()) for s in bench.all_series()], [[7, 8, 9], [12, 13, 14]],
          "numbers")
    contains(daemon.log, "begins with frame 12, which goes on where the series before ended")
    control.order("arm", first=0)
    camera.send(15, image(15))  # goes on where the last one ended: not the one that was asked for
    control.wait_for_rejected(3)
    camera.send(0, image(0))
    control.wait_for_frames(1, "s-0003")
    equal(control.order("stop"), "s-0003", "series that was stopped")
    equal(sorted(named(bench, "s-0003").require_complete(1).states()), [0], "numbers")
    daemon.stop()


@case(quick=True)
def a_stop_at_full_rate_writes_what_had_arrived_and_calls_it_complete(bench):
    camera = bench.camera()
    daemon, control = start(bench, camera, {**REMOTE, "series.frames": 10**6}, series=2)
    sending = Sending(camera)
    control.wait_for_frames(300)
    equal(control.order("stop"), "s-0001", "series that was stopped")
    control.wait_for_rejected(10)  # what follows is nobody's
    control.order("stop", 409)
    contains(control.order("abort", 409), "nothing to abort")
    sending.end()
    series = bench.series().require_closed()
    audit(bench, series)
    equal((series.state, series.manifest["expected_from"]), ("complete", "seen"), "state")
    stopped = series.manifest["stopped"]
    equal((stopped["command"], stopped["by"], stopped["frames"]), ("stop", "127.0.0.1", 10**6), "stopped")
    check(series.totals["written"] >= 300, f"{series.totals}")
    equal(sorted(series.states()), list(range(series.totals["written"])), "numbers, without a gap")
    control.order("arm", name="next", frames=20, first=0)
    camera.send_all([image(n) for n in range(20)])
    daemon.wait(0)
    named(bench, "next-0001").require_complete(20)


@case(quick=True)
def an_abort_drops_what_is_in_no_file_and_the_daemon_goes_on(bench):
    camera = bench.camera()
    daemon, control = start(bench, camera, {**REMOTE, "series.frames": 2000}, series=2)
    sending = Sending(camera, pause_s=0.002)
    control.wait_for_frames(100)
    equal(control.order("abort"), "s-0001", "series that was aborted")
    control.wait_for_idle()
    sending.end()
    series = bench.series().require_closed()
    audit(bench, series, losses=True)
    t = series.totals
    equal((series.state, series.lost("missing"), t["expected"]), ("incomplete", {}, 2000), "series")
    equal(series.lost("dropped"), {"aborted": 2000 - t["written"]}, "dropped")
    equal(series.manifest["stopped"]["command"], "abort", "stopped")
    contains(str(series.manifest["reasons"]), "aborted by a command from 127.0.0.1")
    equal(control.order("reset"), None, "series after a reset")
    status = control.status()
    equal((status["state"], status["series"]["path"], status["frames"]["expected"],
           status["frames"]["written"], status["latency_ms"]["durable"]["count"]),
          ("idle", None, 0, 0, 0), "status after a reset")
    camera.send_all([image(n) for n in range(5000, 7000)], 5000)  # whatever they count from
    daemon.wait(1)
    bench.all_series()[1].require_complete(2000)


@case
def a_detectors_series_is_armed_stopped_and_aborted(bench):
    camera = bench.camera()
    daemon, control = start(bench, camera, {**ARMED, "ingest.protocol": "dectris-v1"})

    def send(series, numbers):
        for n in numbers:
            camera.send_parts(*v1_image(series, n, image(n)))

    camera.send_parts(*v1_header(1, 3, SHAPE))  # nobody asked for it
    send(1, range(3))
    camera.send_parts(*v1_end(1))
    status = control.wait_for_rejected(4)
    equal((status["state"], status["armed"]), ("idle", None), "state")
    contains(daemon.log, "start message rejected")

    control.order("arm", name="whole")
    camera.send_parts(*v1_header(2, 4, SHAPE))
    until(lambda: "the detector says" in daemon.log, "the start message came")
    # Until its first frame comes, what is asked for is about this one.
    control.order("arm", name="less", frames=3)
    control.order("arm", name="whole")
    send(2, range(4))
    camera.send_parts(*v1_end(2))
    control.wait_for_idle()
    equal(named(bench, "whole-0001").require_complete(4).manifest["expected_from"], "protocol", "expected_from")

    control.order("arm", name="cut", frames=50)
    camera.send_parts(*v1_header(3, 100, SHAPE))
    send(3, range(20))
    control.wait_for_frames(20, "cut-0001")
    contains(daemon.log, "announces 100 frames, and 50 are armed")
    equal(control.order("stop"), "cut-0001", "series that was stopped")
    send(3, range(20, 30))
    camera.send_parts(*v1_end(3))
    control.wait_for_rejected(14)
    named(bench, "cut-0001").require_complete(20)

    control.order("arm", name="given-up")
    camera.send_parts(*v1_header(4, 100, SHAPE))
    send(4, range(10))
    control.wait_for_frames(10, "given-up-0001")
    control.order("abort")
    control.order("arm", name="after")  # what is left of the old one is known by its name
    send(4, range(10, 15))
    camera.send_parts(*v1_header(5, 2, SHAPE))
    send(5, range(2))
    camera.send_parts(*v1_end(5))
    control.wait_for(lambda s: s["series"]["name"] == "after" and s["state"] == "idle", "the next")
    series = named(bench, "given-up-0001").require_closed()
    equal((series.totals["expected"], series.lost("missing")), (100, {}), "aborted series")
    named(bench, "after-0001").require_complete(2)

    control.order("arm", name="never")
    camera.send_parts(*v1_header(6, 2, SHAPE))
    until(lambda: daemon.log.count("the detector says") == 5, "the start message came")
    equal(control.order("stop"), None, "series without a frame")
    equal(control.wait_for_idle()["armed"], None, "armed")
    daemon.stop(1)  # of the abort
    equal(len(bench.all_series()), 4, "series")


@case
def commands_that_do_not_fit_the_state_are_refused_with_what_to_do(bench):
    camera = bench.camera()
    daemon, control = start(bench, camera, {
        **REMOTE, "ingest.frame": {"width": SHAPE[1], "height": SHAPE[0], "type": "uint16"}})
    for command in ("stop", "abort"):
        contains(control.order(command, 409), "no series runs and none is armed")
    control.order("reset")
    control.order("arm", name="twice")
    equal(control.order("stop"), "twice", "name that is disarmed")
    equal(control.status()["state"], "idle", "state")
    # One that cannot fit is named with its numbers, and taken all the same where it is asked for.
    contains(control.order("arm", 409, frames=10**9), "GB", str(bench.output), "force")
    control.order("arm", frames=10**9, force=True)
    control.order("reset")
    camera.send(0, image(0))
    control.wait_for_frames(1)
    for command, todo in (("arm", "stop or abort it"), ("reset", "stop or abort it first")):
        contains(control.order(command, 409), "series s-0001 runs", todo)
    control.order("stop")
    control.order("dark", frames=4)
    contains(control.order("arm", 409), "a dark is being taken", "cancel")
    contains(control.order("stop", 409), "none is armed")
    control.order("reset")  # nothing of it has come
    equal(control.status()["calibration"]["state"], "idle", "state of the dark")
    daemon.stop()


@case
def darks_need_no_arm_and_a_stop_makes_one_of_what_came(bench):
    camera = bench.camera()
    daemon, control = start(bench, camera, {
        **ARMED, "calibration.sequence": ["dark 4"], "calibration.directory": str(bench.output)})
    control.order("arm", name="sample", frames=3)  # for what comes behind the sequence
    camera.send_all([image(n) for n in range(4)])
    camera.send_all([image(n) for n in range(3)])
    control.wait_for(lambda s: s["since_start"]["series_closed"] == 1, "the sample")
    named(bench, "s-dark-0001").require_complete(4)
    named(bench, "sample-0001").require_complete(3)

    control.order("dark", frames=10)
    camera.send_all([image(n) for n in range(50, 56)], 50)
    control.wait_for_frames(6, "s-dark-0002")
    contains(control.order("arm", 409), "a dark is being taken")
    equal(control.order("stop"), "s-dark-0002", "series that was stopped")
    control.wait_for(lambda s: s["calibration"]["done"], "the dark is made")
    equal(control.status()["calibration"]["taken"], 6, "frames of the dark")
    named(bench, "s-dark-0002").require_complete(6)
    control.order("dark", frames=10)
    camera.send_all([image(n) for n in range(8)])
    control.wait_for_frames(8, "s-dark-0003")
    control.order("abort")
    contains(control.wait_for(lambda s: s["calibration"]["failed"], "it is given up")["calibration"]["text"],
             "aborted")
    equal(named(bench, "s-dark-0003").require_closed().lost("dropped"), {"aborted": 10}, "dropped")
    daemon.stop(1)


@case
def a_stop_within_a_group_that_is_averaged_writes_what_the_group_has(bench):
    camera = bench.camera()
    daemon, control = start(bench, camera, {
        **REMOTE, "reduce.type": "float32", "reduce.average": 4, "series.frames": 100})
    camera.send_all([image(n) for n in range(10)])
    control.wait_for_frames(10)
    control.order("stop")
    series = bench.series().require_complete(10)
    equal([int(r["averaged"]) for r in series.rows[3::4]] + [int(series.rows[9]["averaged"])], [4, 4, 2],
          "frames of each page")
    audit(bench, series)
    daemon.stop()


@case
def an_abort_on_a_slow_disk_is_answered_at_once_and_shown(bench):
    camera = bench.camera()
    shape = (512, 512)
    daemon, control = start(
        bench, camera, {**REMOTE, "ingest.buffer": "18MiB", "ingest.frame_limit": "1MiB"},
        wrapper=("env", "OPENBEAM_TEST_DISK_BYTES_PER_S=1.5e6"), program="openbeamd_slow")
    sending = Sending(camera, shape=shape)
    control.wait_for_frames(6)
    asked = time.monotonic()
    equal(control.order("abort"), "s-0001", "series that was aborted")
    check(time.monotonic() - asked < 2, f"it was answered after {time.monotonic() - asked:.1f} s")
    control.wait_for(lambda s: s["series"]["ending"] == "abort" or s["state"] == "idle",
                     "it is shown while the disk is waited for, unless that is over")
    sending.on = False  # it may wait for room
    control.wait_for_idle()
    sending.end()
    series = bench.series().require_closed()
    equal(series.state, "incomplete", "state")
    audit(bench, series, losses=True)
    daemon.stop(1)


@case
def a_daemon_killed_behind_a_stop_leaves_what_the_stop_said(bench):
    for disk, folder in ((1e9, "quick"), (4e6, "slow")):  # closed by then, and not
        camera = bench.camera()
        daemon, control = start(
            bench, camera, {**REMOTE, "series.frames": 1000, "ingest.buffer": "18MiB",
                            "ingest.frame_limit": "1MiB", "sinks": [bench.sink(folder=folder)]},
            wrapper=("env", f"OPENBEAM_TEST_DISK_BYTES_PER_S={disk}"), program="openbeamd_slow")
        camera.send_all([image(n, (512, 512)) for n in range(8)])
        control.wait_for_frames(4)
        name = control.order("stop")
        control.wait_for(lambda s: s["series"]["ending"] == "stop" or s["state"] == "idle", "it is taken")
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(-signal.SIGKILL)
        bench.run("openbeam", "recover", bench.folder / folder / name)
        series = bench.series(bench.folder / folder).require_closed()
        check(series.totals["expected"] <= 8, f"{series.totals}")
        equal(series.manifest["expected_from"], "seen", "expected_from")
        equal(series.manifest["stopped"]["command"], "stop", "stopped")
        audit(bench, series, losses=series.state != "complete")


@case(limit=90)
def commands_from_everywhere_never_leave_a_wrong_state(bench):
    camera = bench.camera()
    daemon, control = start(bench, camera, {**REMOTE, "series.idle_end": "200ms", "series.reorder": 4})
    sending = Sending(camera, pause_s=0.0005)
    ended, problems = [], []

    def command(seed):
        chance = random.Random(seed)
        for _ in range(25):
            word = chance.choice(("arm", "stop", "abort", "reset", "stop"))
            more = {"name": f"t{seed}", "frames": chance.choice((0, 5, 50))} if word == "arm" else {}
            status, answer = control.command({"command": word, **more})
            # 503: the disk keeps the daemon longer than a client is kept waiting.
            if status not in (200, 409, 503) or answer["ok"] != (status == 200) or answer["ok"] == bool(answer["error"]):
                problems.append((word, status, answer))
            if status == 200 and word in ("stop", "abort") and "-0" in (answer["series"] or ""):
                ended.append((answer["series"], word))
            control.require_ledger()

    threads = [threading.Thread(target=command, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sending.end()
    equal(problems, [], "answers")
    # It works as ever.
    until(lambda: control.command({"command": "arm", "name": "last", "frames": 5, "first": 0})[0] == 200,
          "it can be armed once more")
    camera.send_all([image(n) for n in range(5)])
    control.wait_for(lambda s: s["series"]["name"] == "last" and s["state"] == "idle", "the last series")
    named(bench, "last-0001").require_complete(5)
    daemon.stop(None)
    check(len(ended) > 3, f"series that were ended by command: {ended}")
    found = {s.folder.name: s.require_closed() for s in bench.all_series()}
    for name, word in ended:  # each answer is about a series that was ended so, or by its last frame
        manifest = found[name].manifest
        check(manifest["stopped"] or manifest["expected_from"] == "config", f"{name} was ended by {word}")


@case
def the_example_of_a_client_measures_and_says_what_was_lost(bench):
    camera = bench.camera()
    daemon, control = start(bench, camera, {**ARMED, "series.idle_end": "300ms"})

    def run(name):
        return subprocess.Popen([sys.executable, CLIENT, name, "20", "--url", control.url, "--token-file",
                                 token], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    token = bench.folder / "token"
    token.write_text("of-no-use-from-this-machine\n")

    for name, lost, status in (("good", (), 0), ("bad", (4, 11), 1)):
        client = run(name)
        control.wait_for(lambda s: s["armed"], "the client arms")
        for number in range(20):
            if number not in lost:
                camera.send(number, image(number))
        out = client.communicate(timeout=30)[0]
        equal(client.returncode, status, f"status of the client: {out}")
        contains(out, f"{name}-0001: {20 - len(lost)} of 20 frames written, {len(lost)} lost")
    client = run("lost")
    control.wait_for(lambda s: s["armed"], "the client arms")
    control.order("stop")
    contains(client.communicate(timeout=30)[0], "lost was disarmed")
    equal(client.returncode, 1, "status of a client whose series never began")
    daemon.stop(1)
    client = run("late")
    out = client.communicate(timeout=30)[0]
    equal(client.returncode, 1, "status without a daemon")
    contains(out, "does not answer", control.url)
    check("Traceback" not in out, out)
