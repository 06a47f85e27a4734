# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven over its debugging pipe: JSON messages, a 0 after each."""
import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from e2e_case import Failure, Skip

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
         "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
         "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe", "about:blank")
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38,
        "ArrowRight": 39, "ArrowDown": 40}
SHIFT = 8


class Browser:
    """One Chromium with one page. `complaints` are the errors of its console, of whatever source."""

    def __init__(self, seconds=30):
        program = shutil.which("chromium")
        if not program:
            raise Skip("no chromium: the page is not tested")
        self.profile = Path(tempfile.mkdtemp(prefix="ob-chromium-", dir="/tmp"))
        self.complaints, self.last, self.session = [], 0, None
        self.unread = b""
        commands, self.to = os.pipe()
        self.of, answers = os.pipe()
        self.process = subprocess.Popen(
            [program, f"--user-data-dir={self.profile}", *FLAGS], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            env={**os.environ, "HOME": str(self.profile)},
            preexec_fn=lambda: place(commands, answers))
        os.close(commands)
        os.close(answers)
        target = self.ask("Target.createTarget", seconds, url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        self.size(1440, 1000)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.to)
        os.close(self.of)
        for _ in range(50):  # its children see the pipe close, and end
            shutil.rmtree(self.profile, ignore_errors=True)
            if not self.profile.exists():
                return
            time.sleep(0.1)

    # ---- messages

    def ask(self, method, seconds=20, **parameters):
        """Send a command and wait for its result."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + seconds
        while True:
            answer = self.receive(end, method)
            if answer.get("id") == self.last:
                break
            self.notice(answer)
        if "error" in answer:
            raise Failure(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def receive(self, end, method):
        while b"\0" not in self.unread:
            ready, _, _ = select.select([self.of], [], [], max(end - time.monotonic(), 0))
            data = os.read(self.of, 1 << 20) if ready else b""
            if not data:
                raise Failure(f"Chromium {'has ended' if ready else 'does not answer'}: {method}")
            self.unread += data
        message, self.unread = self.unread.split(b"\0", 1)
        return json.loads(message)

    def notice(self, event):
        parameters = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif event.get("method") == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert"):
            self.complaints.append(str([a.get("value", a.get("description")) for a in parameters["args"]]))
        elif event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            entry = parameters["entry"]
            self.complaints.append(f"{entry['text']} ({entry.get('url', '')})")

    # ---- the page

    def open(self, url):
        self.ask("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'", f"{url} is loaded")

    def eval(self, js):
        """The value of an expression; of a promise, what it becomes."""
        result = self.ask("Runtime.evaluate", expression=js, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise Failure(f"{js}: {details.get('exception', {}).get('description', details['text'])}")
        return result["result"].get("value")

    def wait(self, js, what="", seconds=20):
        """Wait until an expression is true; its value."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(Failure):  # while a page is being left
                value = self.eval(js)
                if value:
                    return value
            if time.monotonic() > end:
                raise Failure(f"not within {seconds} s: {what or js}; {self.complaints}")
            time.sleep(0.03)

    def text(self, selector):
        return self.eval(f"document.querySelector({json.dumps(selector)}).textContent")

    def choose(self, name, value):
        """Set a select, an input or a checkbox by its id, as a person does."""
        member = "checked" if isinstance(value, bool) else "value"
        self.eval(f"""(() => {{
            const e = document.getElementById({json.dumps(name)});
            e.{member} = {json.dumps(value)};
            for (const kind of ['input', 'change']) e.dispatchEvent(new Event(kind, {{bubbles: true}}));
        }})()""")

    def key(self, key, shift=False):
        about = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key],
                 "modifiers": SHIFT if shift else 0}
        self.ask("Input.dispatchKeyEvent", type="rawKeyDown", **about)
        if key == "Enter":
            self.ask("Input.dispatchKeyEvent", type="char", text="\r", **about)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **about)

    def point(self, x, y):
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    # ---- how it looks

    def size(self, width, height):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=False)

    def theme(self, name):
        self.ask("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": name}])

    def screenshot(self, path, whole=False):
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(shot["data"]))


def place(commands, answers):
    """In the child: Chromium reads 3 and writes 4."""
    commands, answers = os.dup(commands), os.dup(answers)  # neither is 3 or 4 by chance
    high = [os.dup2(commands, 60), os.dup2(answers, 61)]
    os.dup2(high[0], 3)
    os.dup2(high[1], 4)
    os.closerange(5, 100)
