# SPDX-License-Identifier: Apache-2.0
"""The daemon in service: sockets, signals, overload, idling, memory."""
import ctypes
import os
import signal
import socket
import time

import zmq

import e2e_reference as reference
from e2e_case import Skip, case, check, contains, equal, same_pixels, until
from e2e_daemon import free_port

SHAPE = (32, 48)
SOURCE = {"reduce.type": "source"}


def images(count, shape=SHAPE):
    return [reference.noise_image(shape, n, 0, 60000) for n in range(count)]


@case
def it_connects_to_a_detector_over_tcp(bench):
    camera = bench.camera(endpoint="tcp://127.0.0.1:*")
    sent = images(20)
    series = bench.measure(sent, SOURCE, camera=camera).require_complete(20)
    same_pixels(series.images()[19], sent[19], "the last frame")


@case
def it_binds_and_a_detector_connects(bench):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    daemon = bench.daemon(endpoint, {**SOURCE, "ingest.attach": "bind", "series.frames": 20})
    camera = bench.camera(zmq.PUSH, endpoint, "connect")
    camera.send_all(images(20))
    daemon.wait()
    bench.series().require_complete(20)


@case
def it_subscribes_to_a_publisher(bench):
    camera = bench.camera(zmq.XPUB)
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "ingest.socket": "sub", "series.frames": 50})
    camera.wait_for_subscriber()
    camera.send_all(images(50))
    daemon.wait()
    bench.series().require_complete(50)
    contains(daemon.log, "warning", "cannot hold")


@case
def several_endpoints_are_one_source(bench):
    cameras = [bench.camera() for _ in range(3)]
    sent = images(90)
    daemon = bench.daemon([c.endpoint for c in cameras], {**SOURCE, "series.frames": 90})
    for number, one in enumerate(sent):
        cameras[number % 3].send(number, one)
    daemon.wait()
    series = bench.series().require_complete(90)
    for number, found in series.images().items():
        same_pixels(found, sent[number], f"frame {number}")


@case
def a_detector_may_start_before_and_after(bench):
    endpoint = f"ipc://{bench.folder}/late"
    daemon = bench.daemon(endpoint, {**SOURCE, "series.frames": 10})
    time.sleep(0.5)
    camera = bench.camera(endpoint=endpoint)
    camera.send_all(images(10))
    daemon.wait()
    bench.series().require_complete(10)


@case
def a_detector_may_restart(bench):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    daemon = bench.daemon(endpoint, {**SOURCE, "series.frames": 20})
    sent = images(20)
    camera = bench.camera(endpoint=endpoint)
    camera.send_all(sent[:10])
    camera.close()
    bench.cameras.remove(camera)
    camera = bench.camera(endpoint=endpoint)
    camera.send_all(sent[10:], first=10)
    daemon.wait()
    bench.series().require_complete(20)


@case(quick=True)
def term_and_int_drain_and_finish(bench):
    sent, running = images(200), []
    for number in (signal.SIGTERM, signal.SIGINT):
        folder = signal.Signals(number).name
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, {
            **SOURCE, "series.first": "auto",
            "sinks": [{**bench.sink(folder=folder), "sync": "60s"}]}, series=None)
        camera.send_all(sent)
        running.append((daemon, number, folder))
    for daemon, number, folder in running:
        until(lambda d=daemon: "received 200 " in d.log, "the progress line tells of all frames")
        daemon.stop(0, number)
        series = bench.series(bench.folder / folder).require_complete(200)
        same_pixels(series.images()[199], sent[199], "the last frame")


@case
def a_signal_in_the_middle_of_the_stream_leaves_a_closed_ledger(bench):
    for delay in (0, 0.05, 0.2):
        folder = f"after-{delay}"
        camera = bench.camera()
        camera.socket.linger = 0
        daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.first": "auto",
                                                "sinks": [bench.sink(folder=folder)]}, series=None)
        sent = images(8, (64, 256))
        for number in range(400):
            camera.send(number, sent[number % 8])
        bench.wait_for_series(1, bench.folder / folder)
        time.sleep(delay)
        daemon.stop(0)
        series = bench.series(bench.folder / folder)
        series.require_complete(series.totals["written"])
        for number, found in series.images().items():
            same_pixels(found, sent[number % 8], f"frame {number}")


@case
def a_signal_without_a_series_ends_at_once(bench):
    daemon = bench.daemon(f"ipc://{bench.folder}/nobody", series=None)
    time.sleep(0.5)
    started = time.monotonic()
    daemon.stop(0)
    check(time.monotonic() - started < 3, "it ends within 3 s")
    equal(list(bench.output.iterdir()), [], "output")


@case
def a_signal_in_a_series_of_known_length_tells_what_is_missing(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.frames": 100})
    camera.send_all(images(40))
    bench.wait_for_series(1)
    time.sleep(0.5)
    daemon.stop(1)
    series = bench.series().require_closed()
    equal((series.state, series.totals["written"], series.totals["expected"]), ("incomplete", 40, 100),
          "state, written, expected")


@case
def several_series_end_the_daemon_with_the_worst_status(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.idle_end": "300ms", "series.first": "auto"},
                          series=3)
    sent = images(10)
    for count, numbers in enumerate((range(5), (0, 1, 3), range(4)), 1):
        for number in numbers:
            camera.send(number, sent[number])
        bench.wait_for_end(count)
    daemon.wait(1)
    equal([s.require_closed().state for s in bench.all_series()],
          ["complete", "incomplete", "complete"], "states")


@case(limit=90)
def overload_drop_counts_what_it_drops(bench):
    shape, count = (1024, 1024), 150
    camera = bench.camera()
    camera.socket.sndhwm = 4
    daemon = bench.daemon(camera.endpoint, {
        "ingest.overload": "drop", "ingest.frame_limit": "4MiB", "ingest.buffer": "80MiB",
        "histogram.raw": {"bins": 65536}, "daemon.isa": "scalar", "daemon.workers": 1,
        "series.frames": count, "series.idle_end": "3s"})
    pool = [i.tobytes() for i in images(4, shape)]
    header = '{"htype":"array-1.0","shape":[1024,1024],"type":"uint16","frame":%d}'
    for number in range(count):
        camera.send_parts((header % number).encode(), pool[number % 4])
    daemon.wait(1, 60)
    series = bench.series().require_closed()
    equal(series.totals["expected"], count, "expected")
    equal(series.state, "incomplete", "state")
    check(series.totals["dropped"]["overload"] > 0, "frames were dropped")
    check(series.totals["written"] > 0, "frames were written")
    equal(series.lost("missing"), {}, "missing: a dropped frame is not missing")
    equal(series.lost("dropped"), {"overload": series.totals["dropped"]["overload"]}, "dropped")
    found = series.images()
    for number in list(found)[::10]:
        check(found[number].astype("uint16").tobytes() == pool[number % 4], f"pixels of frame {number}")


@case(limit=90)
def overload_block_holds_the_sender_and_loses_nothing(bench):
    shape, count = (1024, 1024), 100
    camera = bench.camera()
    camera.socket.sndhwm = 4
    daemon = bench.daemon(camera.endpoint, {
        **SOURCE, "ingest.frame_limit": "4MiB", "ingest.buffer": "80MiB", "daemon.isa": "scalar",
        "daemon.workers": 1, "series.frames": count})
    sent = images(4, shape)
    camera.socket.sndtimeo = 60000
    for number in range(count):
        camera.send(number, sent[number % 4])
    daemon.wait(0, 60)
    bench.series().require_complete(count)


@case(limit=90)
def memory_stays_within_its_budget(bench):
    if "asan" in str(bench.programs):
        return
    shape, count = (1024, 1024), 300
    camera = bench.camera()
    camera.socket.sndtimeo = 60000
    daemon = bench.daemon(camera.endpoint, {
        "ingest.frame_limit": "4MiB", "ingest.buffer": "96MiB", "series.frames": count,
        "sinks": [{"format": "null", "directory": str(bench.output)}]})
    sent = images(4, shape)
    peak = 0
    for number in range(count):
        camera.send(number, sent[number % 4])
        if number % 20 == 0 and daemon.process.poll() is None:
            peak = max(peak, daemon.memory_bytes("VmRSS"))
    daemon.wait(0, 60)
    print(f"peak resident memory {peak >> 20} MiB with a buffer of 96 MiB")
    check(peak < 256 << 20, f"resident memory reached {peak >> 20} MiB")


@case(alone=True)
def an_idle_daemon_uses_no_processor(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.idle_end": "300ms", "daemon.workers": 4},
                          series=None)
    camera.send_all(images(5))
    until(lambda: [s for s in bench.all_series() if s.state == "complete"]
          if list(bench.output.glob("*/frames.csv")) else None, "the series ends")
    time.sleep(0.5)
    before, started = daemon.cpu_seconds(), time.monotonic()
    time.sleep(3)
    share = (daemon.cpu_seconds() - before) / (time.monotonic() - started)
    print(f"an idle daemon uses {100 * share:.2f} % of a core")
    check(share < 0.03, f"{100 * share:.2f} % of a core")
    daemon.stop(0)


@case
def threads_have_names(bench):
    daemon = bench.daemon([f"ipc://{bench.folder}/{n}" for n in "ab"], {"daemon.workers": 3}, series=None)

    def names():
        tasks = f"/proc/{daemon.process.pid}/task"
        return {open(f"{tasks}/{t}/comm").read().strip() for t in os.listdir(tasks)}
    until(lambda: {"rx0", "rx1", "work0", "work1", "work2", "sink"} <= names(), "the threads have names")
    daemon.stop(0)


@case
def threads_are_pinned_as_configured(bench):
    cpu = min(os.sched_getaffinity(0))
    daemon = bench.daemon(f"ipc://{bench.folder}/a", {"daemon.cpus": [cpu], "daemon.workers": 1},
                          series=None)

    def pinned():
        tasks = f"/proc/{daemon.process.pid}/task"
        for task in os.listdir(tasks):
            if open(f"{tasks}/{task}/comm").read().strip() == "rx0":
                return os.sched_getaffinity(int(task)) == {cpu}
        return False
    until(pinned, f"rx0 is pinned to CPU {cpu}")
    daemon.stop(0)


@case
def a_camera_is_connected_to_when_there_is_room_for_its_frames(bench):
    with socket.create_server(("127.0.0.1", 0)) as camera:
        daemon = bench.daemon(f"tcp://127.0.0.1:{camera.getsockname()[1]}", {
            "ingest.attach": "connect", "ingest.buffer": "256MiB",
            "ingest.frame": {"width": 1024, "height": 1024, "type": "uint16"}}, series=None)
        camera.settimeout(20)
        connection, _ = camera.accept()
        with open(f"/proc/{daemon.process.pid}/statm") as f:
            resident = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        connection.close()
    check(resident > 128 << 20, f"{resident >> 20} MiB are there when it connects")
    daemon.stop(0)


def affinity_of(daemon, name):
    """Of each thread of that name."""
    tasks = f"/proc/{daemon.process.pid}/task"
    return [os.sched_getaffinity(int(t)) for t in os.listdir(tasks)
            if open(f"{tasks}/{t}/comm").read().strip() == name]


@case
def threads_of_zeromq_are_pinned_as_configured(bench):
    cpu = max(os.sched_getaffinity(0))
    daemon = bench.daemon([f"ipc://{bench.folder}/a", f"ipc://{bench.folder}/b"],
                          {"ingest.io_cpus": [cpu]}, series=None)
    until(lambda: sorted(affinity_of(daemon, "ZMQbg/IO/0"), key=len) ==
          sorted([{cpu}, os.sched_getaffinity(0)], key=len), "one I/O thread is pinned, one is not")
    daemon.stop(0)
    refused = bench.daemon(f"ipc://{bench.folder}/c", {"ingest.io_cpus": [1023]}, series=None)
    refused.wait(78)
    contains(refused.log, "ingest.io_cpus names core 1023")


@case
def the_log_is_one_line_of_text_or_json_per_event(bench):
    import json
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.frames": 3, "daemon.log": "json"})
    camera.send_all(images(3))
    daemon.wait()
    lines = daemon.log.splitlines()
    check(lines, "there is a log")
    for line in lines:
        check(isinstance(json.loads(line), dict), f"a JSON object: {line}")


@case
def the_end_of_a_series_is_told(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.frames": 5, "series.idle_end": "300ms"})
    for number in (0, 1, 4):
        camera.send(number, images(1)[0])
    daemon.wait(1)
    contains(daemon.log, "expected=5", "written=3", "missing=2")


@case
def a_stopped_process_takes_its_own_pause_neither_for_silence_nor_for_death(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **SOURCE, "series.frames": 60, "series.idle_end": "700ms"})
    sent = images(60)
    for number in range(30):
        camera.send(number, sent[number])
    until(lambda: "series begins" in daemon.log, "the series begins")
    daemon.send_signal(signal.SIGSTOP)
    time.sleep(2.5)
    for number in range(30, 60):
        camera.send(number, sent[number])
    daemon.send_signal(signal.SIGCONT)
    daemon.wait()
    bench.series().require_complete(60)


class Manager:
    """The end of a notify socket that systemd has, with a watchdog of a second."""

    def __init__(self, bench):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(bench.folder / "notify"))
        self.socket.setblocking(False)
        os.environ["NOTIFY_SOCKET"] = str(bench.folder / "notify")
        os.environ["WATCHDOG_USEC"] = "1000000"
        self.said = []

    def heard(self, beginning):
        """The lines so far that begin like this."""
        try:
            while True:
                self.said += self.socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            return [line for line in self.said if line.startswith(beginning)]

    def hears(self, text, times=1):
        until(lambda: len([line for line in self.heard("") if text in line]) >= times,
              f"{text!r} is said {times} times: {self.said[-5:]}")

    def fed_within(self, seconds):
        before = len(self.heard("WATCHDOG=1"))
        time.sleep(seconds)
        return len(self.heard("WATCHDOG=1")) - before


@case
def systemd_hears_that_it_is_ready_well_and_ending(bench):
    manager, port = Manager(bench), free_port()
    daemon = bench.daemon(f"tcp://127.0.0.1:{port}", {**SOURCE, "ingest.attach": "bind"}, series=None)
    manager.hears("READY=1")
    socket.create_connection(("127.0.0.1", port)).close()
    manager.hears("STATUS=idle: series closed 0")
    camera = bench.camera(zmq.PUSH, f"tcp://127.0.0.1:{port}", "connect")
    camera.send_all(images(20))
    manager.hears("STATUS=running: series 1, frames received 20, ")
    manager.hears("WATCHDOG=1", times=len(manager.heard("WATCHDOG=1")) + 3)
    daemon.stop(0)
    said = manager.heard("")
    equal(said[0], "READY=1", "the first line")
    check("STOPPING=1" in said, f"it says that it ends: {said[-4:]}")
    equal(manager.heard("READY=1"), ["READY=1"], "it is ready once")


def hold_thread(pid, name):
    """Stop one thread of a process, as if it hung; the function that lets it go."""
    tasks = f"/proc/{pid}/task"
    task = int(next(t for t in os.listdir(tasks) if open(f"{tasks}/{t}/comm").read().strip() == name))
    libc = ctypes.CDLL(None, use_errno=True)
    seize, interrupt, detach = 0x4206, 0x4207, 17
    if libc.ptrace(seize, task, None, None) != 0:
        raise Skip(f"no thread can be held: ptrace: {os.strerror(ctypes.get_errno())}")
    libc.ptrace(interrupt, task, None, None)
    os.waitpid(task, 0x40000000)  # __WALL
    return lambda: libc.ptrace(detach, task, None, None)


@case(long_only=True)
def the_watchdog_is_not_fed_while_a_stage_stands_still(bench):
    manager = Manager(bench)
    for thread in ("rx0", "work1", "sink"):
        daemon = bench.daemon(f"ipc://{bench.folder}/a", SOURCE, series=None)
        manager.hears("WATCHDOG=1", times=3)
        let_go = hold_thread(daemon.process.pid, thread)
        check(manager.fed_within(2) > 0, "a stage may stand still for a moment")
        manager.hears(f"; {thread} has not moved for ")
        manager.heard("")
        equal(manager.fed_within(1.5), 0, f"food for the watchdog while {thread} stands still")
        let_go()
        manager.hears("WATCHDOG=1", times=len(manager.heard("WATCHDOG=1")) + 1)
        daemon.stop(0)
        manager.said.clear()


@case(long_only=True)
def the_watchdog_is_fed_while_a_stage_waits_for_the_disk(bench):
    os.environ["OPENBEAM_TEST_DISK_BYTES_PER_S"] = "1"
    manager, camera = Manager(bench), bench.camera()
    daemon = bench.daemon(camera.endpoint, SOURCE, series=None, program="openbeamd_slow")
    camera.send_all(images(20))
    manager.hears("; sink has waited for the disk for ")
    check(manager.fed_within(3) > 0, "the watchdog is fed")
    daemon.close()
