#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measure one series: arm, wait, read the totals. The pattern for a Tango device, an EPICS soft
IOC or a Bluesky device. client.py NAME FRAMES [--url URL] [--token-file FILE]; exit status 0: all
frames are written, 1: not, or why not is said."""
import argparse, json, sys, time, urllib.error, urllib.request  # noqa: E401

class Daemon:
    def __init__(self, url="http://127.0.0.1:8080", token=""):
        self.url, self.headers = url, {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, path, command=None):
        body = command and json.dumps(command).encode()
        try:
            return json.load(urllib.request.urlopen(
                urllib.request.Request(self.url + path, body, self.headers), timeout=10))
        except urllib.error.HTTPError as refusal:  # it says why
            raise RuntimeError(json.load(refusal)["error"]) from None
        except OSError as problem:
            raise RuntimeError(f"{self.url} does not answer ({problem}): is openbeamd running?")

    def arm(self, name, frames):  # before the detector starts
        self.ask("/api/v1/command", {"command": "arm", "name": name, "frames": frames})

    def wait(self, name):  # until that series has ended: its status
        while (status := self.ask("/api/v1/status"))["state"] != "idle":
            time.sleep(0.1)
        if status["series"]["name"] != name:
            raise RuntimeError(f"{name} was disarmed before its first frame")
        return status

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name"), parser.add_argument("frames", type=int)
    parser.add_argument("--url", default="http://127.0.0.1:8080"), parser.add_argument("--token-file")
    a = parser.parse_args()
    try:
        daemon = Daemon(a.url, open(a.token_file).read().strip() if a.token_file else "")
        daemon.arm(a.name, a.frames)
        print(f"armed: {a.name}, {a.frames} frames; start the detector", flush=True)
        status = daemon.wait(a.name)
    except (RuntimeError, OSError) as problem:
        sys.exit(f"client.py: {problem}")
    except ValueError:
        sys.exit(f"client.py: {a.url} is no openbeamd: its answer is no JSON")
    frames = status["frames"]
    lost = sum(frames["dropped"].values()) + sum(frames["missing"].values())
    print(f"{status['series']['path']}: {frames['written']} of {frames['expected']} frames written, {lost} lost")
    sys.exit(not frames["written"] == frames["expected"] == a.frames or frames["flagged"] > 0)
