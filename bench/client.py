#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measure one series: arm, wait, look. The pattern for a Tango device, an EPICS soft IOC or a
Bluesky device, in plain Python. Exit status: 0 complete, 1 not, or nothing answers."""
import argparse
import json
import sys
import time
import urllib.error
import urllib.request


def ask(url, path, body=None, token=""):
    """The daemon's answer to a question, or with a body to a command."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url + path, body and json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:  # it says why
        raise RuntimeError(json.load(refusal)["error"]) from None
    except OSError as problem:
        raise RuntimeError(f"{url} does not answer ({problem}): is openbeamd running?") from None


def arm(url, name, frames, token=""):
    """Arm for one series, before the detector starts; the name it gets."""
    command = {"command": "arm", "name": name, "frames": frames}
    return ask(url, "/api/v1/command", command, token)["series"]


def wait(url, timeout_s=3600):
    """Wait until the armed series has ended; the last status."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        status = ask(url, "/api/v1/status")
        if status["state"] == "idle":
            return status
        time.sleep(0.1)
    raise RuntimeError(f"the series has not ended within {timeout_s} s")


def totals(status):
    """(frames expected, written, lost) of the last series."""
    frames = status["frames"]
    lost = sum(frames["dropped"].values()) + sum(frames["missing"].values())
    return frames["expected"], frames["written"], lost


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of the series")
    parser.add_argument("frames", type=int, help="that it has")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="of the daemon")
    parser.add_argument("--token-file", help="with the daemon's monitor.token_file, from afar")
    options = parser.parse_args()
    token = open(options.token_file).read().strip() if options.token_file else ""
    name = arm(options.url, options.name, options.frames, token)
    print(f"armed: {name}, {options.frames} frames; start the detector", flush=True)
    status = wait(options.url)
    if status["series"]["name"] != name:
        raise RuntimeError(f"{name} was disarmed before its first frame")
    expected, written, lost = totals(status)
    print(f"{status['series']['path']}: {written} of {expected} frames written, {lost} lost")
    return 0 if written == expected == options.frames and not status["frames"]["flagged"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, OSError) as problem:
        sys.exit(f"client.py: {problem}")
