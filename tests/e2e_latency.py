# SPDX-License-Identifier: Apache-2.0
"""How long frames take, why some are lost, and what Prometheus makes of it."""
import json
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from e2e_case import Skip, case, check, contains, equal, until
from e2e_daemon import free_port
from e2e_http import Monitor, by_reason, images, stream_with_losses

HERE = {"monitor.http": "127.0.0.1:0", "reduce.type": "source"}
ALERTS = Path(__file__).resolve().parent.parent / "config" / "openbeam-alerts.yaml"
STAGES = ("queue", "reduce", "collect", "submit", "write", "durable")


def overload(bench, frames=100):
    """A sender too fast for the disk; the daemon that drops, its monitor, once the series is over."""
    endpoint = f"ipc://{bench.folder}/fast.socket"
    daemon = bench.daemon(
        endpoint, {**HERE, "series.frames": frames, "series.idle_end": "3s",
                   "ingest.overload": "drop", "ingest.buffer": "18MiB", "ingest.frame_limit": "1MiB",
                   "ingest.frame": {"width": 512, "height": 512, "type": "uint16"}},
        series=None, wrapper=("env", "OPENBEAM_TEST_DISK_BYTES_PER_S=10000000"),
        program="openbeamd_slow")
    monitor = Monitor(daemon)
    sender = bench.send(endpoint, "--frames", frames, "--size", "512x512", "--pattern", "counter",
                        "--rate", 150)
    until(lambda: monitor.status()["since_start"]["series_closed"], "the series is closed", 40)
    sender.wait(20)
    return daemon, monitor


@case
def why_frames_were_lost_is_said_with_what_was_slow(bench):
    daemon, monitor = overload(bench)
    status, metrics = monitor.status(), monitor.metrics()
    series = bench.series().require_closed()
    for name in ("expected", "received", "written", "durable", "dropped", "missing"):
        equal(status["frames"][name], series.totals[name], f"frames.{name}")
    equal(by_reason(metrics, "frames_dropped_total"), series.totals["dropped"], "dropped")
    dropped = [n for n, state in series.states().items() if state == ("dropped", "overload")]
    check(dropped, "the disk was too slow")
    for stage in STAGES:
        equal(status["latency_ms"][stage]["count"], series.totals["written"], f"frames through {stage}")

    loss = status["last_loss"]
    first, last = loss["first_frame"], loss["last_frame"]
    equal((loss["state"], loss["reason"], loss["cause"]), ("dropped", "overload", "disk"), "the loss")
    equal(last, max(dropped), "the last frame that was lost")
    equal(loss["frames"], sum(first <= n <= last for n in dropped), f"losses from {first} to {last}")
    check(first in dropped, f"frame {first} was lost")
    check(loss["buffer_used"] >= 0.75 and loss["write_ms_max"] > 0, f"a full buffer, a slow write: {loss}")
    check(0 < loss["bytes_out_per_s"] < loss["bytes_in_per_s"], f"more came than was written: {loss}")
    equal((status["buffer"]["peak_ratio"], series.manifest["buffer"]["peak_ratio"]), (1, 1), "a full buffer")
    contains(loss["text"], f"to {last} dropped (overload): the buffer was", "the longest write took",
             "the disk is too slow: write less")
    equal(series.manifest["losses"][-1]["text"], loss["text"], "the manifest's sentence")
    equal(daemon.log.count(loss["text"]), 1, "lines of it in the log")
    check(abs(metrics["openbeam_last_loss_timestamp_seconds"] - time.time()) < 60, "when it was")
    daemon.stop(1)


def flow_of(bench, output, rate, frames=60, program="openbeamd", **more):
    """The manifest of a series in which nothing is lost."""
    endpoint = f"ipc://{bench.folder}/{output}.socket"
    daemon = bench.daemon(
        endpoint, {"reduce.type": "source", "series.frames": frames, "ingest.buffer": "18MiB",
                   "ingest.frame_limit": "1MiB", "sinks": [bench.sink("tiff", output)],
                   "ingest.frame": {"width": 512, "height": 512, "type": "uint16"}, **more},
        program=program, wrapper=("env", "OPENBEAM_TEST_DISK_BYTES_PER_S=10000000"))
    bench.send(endpoint, "--frames", frames, "--size", "512x512", "--rate", rate).wait(30)
    daemon.wait(0)
    return bench.series(bench.folder / output).require_complete(frames).manifest


@case
def the_manifest_says_how_full_the_buffer_was_and_what_threads_waited_for(bench):
    easy = flow_of(bench, "easy", 100, **{"ingest.buffer": "128MiB"})
    slow = flow_of(bench, "slow", 0, program="openbeamd_slow")
    equal(set(easy["waited_s"]["rx0"]), {"messages", "room"}, "what a receiver waits for")
    check({"rx0", "work0", "sink"} <= set(easy["waited_s"]), f"threads: {easy['waited_s']}")
    check(easy["waited_s"]["rx0"]["messages"] > 0.1 and easy["waited_s"]["rx0"]["room"] < 0.1,
          f"an unhurried camera is waited for: {easy['waited_s']}")
    check(easy["waited_s"]["work0"]["frames"] > 0.1, f"workers, too: {easy['waited_s']}")
    check(0 < easy["buffer"]["slots_peak"] < easy["buffer"]["slots"] and
          0 < easy["buffer"]["peak_ratio"] < 1, f"room is left: {easy['buffer']}")
    check(slow["waited_s"]["rx0"]["room"] > 0.5, f"a slow disk leaves no room: {slow['waited_s']}")
    equal((slow["buffer"]["peak_ratio"], slow["buffer"]["slots_peak"]), (1, slow["buffer"]["slots"]), "full")


@case
def alerts_are_about_metrics_that_there_are(bench):
    metrics = Monitor(bench.daemon(f"ipc://{bench.folder}/nobody", HERE, series=None)).metrics()
    known = {re.sub("{.*", "", name) for name in metrics}
    expressions = "".join(re.findall(r"expr:.*?labels:", ALERTS.read_text(), re.DOTALL))
    used = set(re.findall(r"\b(?:openbeam|process)_[a-z_]+", expressions))
    check(len(used) > 10, f"metrics in the rules: {used}")
    equal(used - known, set(), "metrics in the rules that the daemon does not have")


class Prometheus:
    """Debian's, scraping one daemon each second."""

    def __init__(self, bench, target):
        if not shutil.which("prometheus"):
            raise Skip("no prometheus")
        self.url = f"http://127.0.0.1:{free_port()}"
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [{"job_name": "openbeam", "static_configs": [{"targets": [target]}]}]}
        (bench.folder / "prometheus.yml").write_text(json.dumps(configuration))
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={bench.folder}/prometheus.yml",
             f"--storage.tsdb.path={bench.folder}/tsdb",
             f"--web.listen-address={self.url.removeprefix('http://')}"],
            cwd=bench.folder, stdout=open(bench.folder / "prometheus.log", "wb"),
            stderr=subprocess.STDOUT)

    def ask(self, path):
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def value(self, query):
        """The one value of a query; None while there is none."""
        found = self.ask(f"query?query={urllib.request.quote(query)}")
        return float(found["result"][0]["value"][1]) if found and found["result"] else None

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


@case(limit=120, long_only=True)
def a_real_prometheus_has_the_ledger_and_raises_the_alarm(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**HERE, "series.frames": 40, "series.idle_end": "600ms"},
                          series=None)
    monitor = Monitor(daemon)
    prometheus = Prometheus(bench, f"{monitor.address[0]}:{monitor.address[1]}")
    try:
        until(lambda: prometheus.value("openbeam_frames_received_total") == 0, "a scrape before", 60)
        stream_with_losses(camera, 0, 40)
        bench.wait_for_end(1)
        totals = bench.series().require_closed().totals
        wanted = {"openbeam_frames_received_total": totals["received"],
                  "openbeam_frames_written_total": totals["written"],
                  "openbeam_frames_durable_total": totals["durable"],
                  'openbeam_frames_missing_total{reason="never"}': totals["missing"]["never"],
                  'openbeam_messages_rejected_total{reason="type"}': totals["rejected"]["type"],
                  "openbeam_frames_duplicate_total": totals["duplicate"],
                  'openbeam_frame_latency_seconds_count{stage="durable"}': totals["durable"]}
        for query, value in wanted.items():
            until(lambda: prometheus.value(query) == value, f"{query} is {value}", 30)
        until(lambda: {a["labels"]["alertname"] for a in (prometheus.ask("alerts") or {}).get("alerts", ())}
              >= {"OpenbeamFramesMissing", "OpenbeamMessagesRejected"}, "the alarms", 30)
        rules = prometheus.ask("rules")["groups"][0]["rules"]
        equal({r["health"] for r in rules}, {"ok"}, "health of the rules")
    finally:
        prometheus.close()
    daemon.stop(1)


@case
def latency_grows_where_the_disk_is_slow_and_a_new_series_begins_anew(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **HERE, "series.frames": 12, "series.idle_end": "300ms", "ingest.overload": "block",
        "ingest.frame_limit": "1MiB", "sinks": [bench.sink("raw")]}, series=None,
        wrapper=("env", "OPENBEAM_TEST_DISK_BYTES_PER_S=200000"), program="openbeamd_slow")
    monitor = Monitor(daemon)
    equal(monitor.status()["latency_ms"]["queue"],
          {"count": 0, "p50": None, "p99": None, "p999": None, "max": None}, "before the first frame")
    camera.send_all(images(12))
    bench.wait_for_end(1)
    latency = until(lambda: (s := monitor.status())["since_start"]["series_closed"] and s["latency_ms"],
                    "the first series is closed")
    equal(set(latency), set(STAGES), "stages")
    for stage, s in latency.items():
        equal(s["count"], 12, f"frames through {stage}")
        check(0 <= s["p50"] <= s["p99"] <= s["p999"] <= s["max"] < 60000, f"{stage} {s}")
    # A frame of 3072 bytes takes 15 ms, and they are written in order.
    check(latency["durable"]["max"] >= latency["write"]["max"] >= 12, f"the disk's time: {latency}")
    check(latency["submit"]["max"] >= latency["reduce"]["p50"], f"the way to the sinks: {latency}")
    equal(bench.series().manifest["latency_ms"], latency, "the manifest's")

    def begin_again():
        camera.send(0, images(1)[0])  # not before the silence that ends a series
        time.sleep(0.5)
        return monitor.status()["latency_ms"]["write"]["count"] == 1
    until(begin_again, "the new series' own figures")
    metrics = monitor.metrics()
    equal(metrics['openbeam_frame_latency_seconds_count{stage="write"}'], 13, "since start")
    equal(metrics['openbeam_frame_latency_seconds_bucket{stage="write",le="+Inf"}'], 13, "since start")
    check(metrics['openbeam_frame_latency_seconds_sum{stage="write"}'] >= 0.012, "their sum")
    daemon.stop(1)  # of the second series, one frame came
