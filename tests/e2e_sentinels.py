# SPDX-License-Identifier: Apache-2.0
"""What the sentinels say of a phantom measurement: of a good one nothing, of a bad one everything."""
import json
import os
import re
import subprocess
import time

from e2e_case import Skip, case, check, contains, equal, until

SIZE = "128x96"
OPEN = [{"name": "left", "x": 0, "y": 0, "width": 12, "height": 96},
        {"name": "right", "x": 116, "y": 0, "width": 12, "height": 96}]
CALIBRATION = 40  # frames of the dark, and of the flat


def begin(bench, frames, **more):
    """The daemon, with dark and flat taken; the sample is next."""
    daemon = bench.daemon(f"ipc://{bench.folder}/camera", {
        "ingest.attach": "bind", "series.frames": frames, "series.first": 0, "monitor.http": "",
        "calibration.sequence": [f"dark {CALIBRATION}", f"flat {CALIBRATION}"],
        "reduce.normalise": "transmission", "reduce.bin": 4, "reduce.type": "uint16",
        "regions": OPEN, "beam.regions": [r["name"] for r in OPEN],
        "sinks": [bench.sink("raw", sync="1s")], **more})
    for role in ("dark", "flat"):
        expose(bench, "--pattern", role, "--frames", CALIBRATION, "--rate", 400)
    return daemon


def expose(bench, *arguments):
    """The simulated detector, until it has sent everything; what it says it did."""
    report = bench.folder / "sent.json"
    subprocess.run([bench.programs / "openbeam-send", "--to", f"ipc://{bench.folder}/camera", "--attach",
                    "connect", "--size", SIZE, "--timestamps", "--quiet", "--report", report,
                    *map(str, arguments)], check=True, timeout=40)
    return json.loads(report.read_text())


def sample(bench):
    found, = [s for s in bench.all_series() if s.manifest["kind"] == "sample"]
    return found


def findings(series):
    """{sentinel: [(first frame, last frame)]}"""
    found = {}
    for f in series.manifest["findings"]:
        found.setdefault(f["sentinel"], []).append((f["first_frame"], f["last_frame"]))
    return found


def text_of(series, sentinel):
    return next(f["text"] for f in series.manifest["findings"] if f["sentinel"] == sentinel)


def span(mishap):
    """First and last of the frames of a mishap in the sender's report."""
    return mishap["frame"], mishap["frame"] + mishap["count"] - 1


@case
def of_ten_thousand_good_frames_no_sentinel_says_a_word(bench):
    frames = 10000
    daemon = begin(bench, frames)
    expose(bench, "--frames", frames, "--rate", 1500)
    daemon.wait()
    series = sample(bench).require_complete(frames)
    equal(series.manifest["findings"], [], "findings")
    check("sentinel=" not in daemon.log, "no sentinel in the log")
    equal({r["flags"] for r in series.rows}, {""}, "flags")


@case
def each_mishap_of_camera_and_beam_is_found_at_its_frames_and_ends(bench):
    quick = {"sentinels.clear": "300ms", "sentinels.saturated_for": "200ms",
             "sentinels.flat_drift_for": "300ms", "sentinels.pixels_every": 20}
    daemon = begin(bench, 2600, **quick)
    sent = expose(bench, "--frames", 2000, "--rate", 500, "--dip", "300:5:0.5", "--saturate", "500:250:2",
                  "--freeze", "1100:5", "--new-hot", "1200:30", "--new-dead", "1300:40")["mishaps"]
    time.sleep(0.6)  # the detector pauses, and is slower from then on
    dump = expose(bench, "--first", 2000, "--frames", 600, "--rate", 150, "--dip", "2300:4:0.02")["mishaps"]
    daemon.wait()
    series = sample(bench).require_complete(2600)
    found = findings(series)
    equal(found["beam"], [span(sent["dip"]), span(dump["dip"])], "dips")
    equal(found["saturated"], [span(sent["saturate"])], "overexposed frames")
    still = span(sent["freeze"])  # they show what the one before them shows
    equal(found["repeated"], [(still[0] - 1, still[1])], "repeated frames")
    equal(found["timestamps"], [(2000, 2000)], "pause")
    for name, key in (("hot_pixels", "new_hot"), ("dead_pixels", "new_dead")):
        (first, last), = found[name]
        check(0 <= first - sent[key]["frame"] <= 100, f"{name} from frame {first} on")
        pixels = int(text_of(series, name).split()[0])  # those that stand out from their neighbours
        check(sent[key]["count"] // 2 <= pixels <= sent[key]["count"], f"{pixels} {name}")
    # What follows from these: hot and dead pixels are in the open beam, too.
    for name, begins in (("flat_drift", 500), ("noise", 1200), ("frame_rate", 2000)):
        (first, last), = found[name]
        check(begins <= first <= begins + 500, f"{name} from frame {first} on")
    equal(set(found), {"beam", "saturated", "repeated", "timestamps", "hot_pixels", "dead_pixels",
                       "flat_drift", "noise", "frame_rate"}, "sentinels that found something")
    for name, spans in found.items():
        begun, ended = (sum(f" sentinel={name}" in line and ("well again" in line) == end
                            for line in daemon.log.splitlines()) for end in (False, True))
        equal((begun, ended), (len(spans), len(spans)), f"{name} in the log, begun and ended")
    flags = {int(r["frame"]): r["flags"] for r in series.rows if r["flags"]}
    dips = {n: "beam-dip" for n in range(300, 305)} | {n: "beam-dip|no-beam" for n in range(2300, 2304)}
    equal(flags, dips, "flags")


@case
def a_disk_that_is_nearly_full_is_told(bench):
    if os.geteuid() != 0:
        raise Skip("a small file system needs root")
    small = bench.folder / "small"
    small.mkdir()
    camera = bench.camera()
    daemon = bench.daemon(
        camera.endpoint, {"sinks": [{"format": "tiff", "directory": str(small), "sync": "200ms"}]}, series=None,
        wrapper=("unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=64m none {small} && exec "$@"', "sh"))
    until(lambda: re.search(rf"disk {small} has \d+ MiB left: free space or stop", daemon.log),
          "the sentinel of the disk")
    contains(daemon.log, "sentinel=disk")
    daemon.stop(0)
