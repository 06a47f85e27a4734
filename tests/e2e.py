#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""End-to-end tests: the programs as people use them, judged by numpy, pyzmq and tifffile.

Each test runs in a process group and a folder of its own; what it leaves is killed and removed.
One line per test, and at the end "N passed, N failed, N skipped".
"""
import argparse
import contextlib
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from e2e_case import CASES, Skip
from e2e_daemon import Bench

MODULES = ("e2e_arithmetic", "e2e_wire", "e2e_series", "e2e_files", "e2e_refusals",
           "e2e_operation", "e2e_detectors", "e2e_restarts", "e2e_pressure", "e2e_packed",
           "e2e_average", "e2e_sender", "e2e_protocols", "e2e_steady", "e2e_curve", "e2e_stream",
           "e2e_calibration", "e2e_quality", "e2e_blackbox", "e2e_audit", "e2e_replay", "e2e_hdf5",
           "e2e_disks", "e2e_crash", "e2e_sentinels", "e2e_demo", "e2e_http", "e2e_live",
           "e2e_openapi", "e2e_watchers", "e2e_control", "e2e_page", "e2e_latency", "e2e_tool")
PASSED, FAILED, SKIPPED = 0, 1, 77


def run_here(test, programs, folder, long):
    """The test itself, in the child: its exit status says how it went."""
    bench = Bench(programs, folder, long)
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(
        TimeoutError(f"the test has run for {test.limit} s")))
    signal.alarm(test.limit)
    try:
        test(bench)
        status = PASSED
    except Skip as skip:
        print(skip)
        status = SKIPPED
    except BaseException:  # whatever it is, it is this test's failure
        traceback.print_exc(file=sys.stdout)
        bench.show_logs()
        status = FAILED
    signal.alarm(0)
    with contextlib.suppress(Exception):
        bench.close()
    return status


class Running:
    """A test in its own process group."""

    def __init__(self, test, programs, long):
        self.test, self.started = test, time.monotonic()
        self.folder = Path(tempfile.mkdtemp(prefix="ob-", dir="/tmp"))
        self.said = self.folder / "said"
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.setpgid(0, 0)
            output = os.open(self.said, os.O_WRONLY | os.O_CREAT, 0o644)
            os.dup2(output, 1)
            os.dup2(output, 2)
            status = run_here(test, programs, self.folder, long)
            sys.stdout.flush()
            os._exit(status)
        with contextlib.suppress(OSError):
            os.setpgid(self.pid, self.pid)

    def finished(self):
        """(status, seconds) when it is over, else None. One that hangs is killed."""
        seconds = time.monotonic() - self.started
        if seconds > self.test.limit + 15:
            self.kill()
            os.waitpid(self.pid, 0)
            return FAILED, seconds
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.kill()  # what it may have left behind
        return os.waitstatus_to_exitcode(status), seconds

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def report(running, status, seconds, counts, verbose):
    said = running.said.read_text(errors="replace") if running.said.exists() else ""
    name = running.test.__name__
    if status == PASSED:
        print(f"ok   {name} ({seconds:.1f} s)")
        if verbose and said:
            print(said, end="")
    elif status == SKIPPED:
        print(f"skip {name}: {said.strip()}")
    else:
        print(f"FAIL {name} ({seconds:.1f} s, status {status})\n{said}")
    counts[{PASSED: "passed", SKIPPED: "skipped"}.get(status, "failed")] += 1
    shutil.rmtree(running.folder, ignore_errors=True)


def run_all(tests, arguments):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    waiting = [t for t in tests if not t.alone] + [t for t in tests if t.alone]
    running = []
    try:
        while waiting or running:
            while waiting and len(running) < (1 if waiting[0].alone else arguments.jobs):
                running.append(Running(waiting.pop(0), arguments.bin, arguments.long))
            for one in list(running):
                over = one.finished()
                if over:
                    running.remove(one)
                    report(one, *over, counts, arguments.verbose)
            sys.stdout.flush()
            time.sleep(0.02)
    finally:
        for one in running:
            one.kill()
            shutil.rmtree(one.folder, ignore_errors=True)
    return counts


def chosen(arguments):
    return [t for t in CASES
            if (not arguments.only or any(p in t.__name__ for p in arguments.only))
            and (not arguments.quick or t.quick) and (not t.long_only or arguments.long)
            and t.__module__ not in arguments.without]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, help="folder with the programs")
    parser.add_argument("--only", action="append", metavar="TEXT",
                        help="tests whose name contains TEXT (may be repeated)")
    parser.add_argument("--without", action="append", metavar="MODULE", default=[],
                        help="leave out the tests of this module (may be repeated)")
    parser.add_argument("--list", action="store_true", help="the names of the tests")
    parser.add_argument("--quick", action="store_true", help="the few that matter under sanitizers")
    parser.add_argument("--long", action="store_true", help="longer sweeps as well")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="tests at a time")
    parser.add_argument("--verbose", action="store_true", help="what passing tests print")
    arguments = parser.parse_args()
    for module in MODULES:
        importlib.import_module(module)
    tests = chosen(arguments)
    if arguments.list:
        print("\n".join(t.__name__ for t in tests))
        return 0
    if not arguments.bin or not (arguments.bin / "openbeamd").exists():
        parser.error(f"no openbeamd in --bin {arguments.bin}")
    arguments.bin = arguments.bin.resolve()
    counts = run_all(tests, arguments)
    print(", ".join(f"{n} {name}" for name, n in counts.items()))
    return 1 if counts["failed"] or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
