# SPDX-License-Identifier: Apache-2.0
"""The dashboard in Chromium: what it shows is what the daemon, its files and its frames are."""
import json
import subprocess
import time

import e2e_reference as reference
from browser import Browser
from e2e_case import case, check, contains, equal, near, until
from e2e_daemon import free_port
from e2e_http import Monitor, by_reason, stream_with_losses

SHAPE = (32, 48)
SATURATED, MARKED = (5, 7), [255, 64, 220, 255]
FIGURES = """Object.fromEntries([...document.querySelectorAll('[data-figure]')].map(
    (e) => [e.dataset.figure, [e.dataset.as, e.textContent]]))"""
# Counts what the page asks for: streams, and the most requests of a kind at a time.
COUNTING = """(() => {
    const now = {}, asked = window.asked = {streams: 0, times: {}, most: {}, headers: []};
    const real = window.fetch, Stream = window.EventSource;
    window.fetch = async (path, options) => {
        const kind = path.split('?')[0];
        now[kind] = (now[kind] ?? 0) + 1;
        asked.times[kind] = (asked.times[kind] ?? 0) + 1;
        asked.most[kind] = Math.max(asked.most[kind] ?? 0, now[kind]);
        asked.headers.push(options?.headers ?? {});
        try { return await real(path, options); } finally { now[kind]--; }
    };
    window.EventSource = class extends Stream { constructor(url) { super(url); asked.streams++; } };
})()"""
# Texts that can hardly be read: their contrast with what is behind them is below 4.5.
FAINT = """(() => {
    const probe = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const colour = (text, under) => {
        probe.fillStyle = `rgb(${under})`; probe.fillRect(0, 0, 1, 1);
        probe.fillStyle = text; probe.fillRect(0, 0, 1, 1);
        return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const behind = (e) => e ? colour(getComputedStyle(e).backgroundColor, behind(e.parentElement)) : [255, 255, 255];
    const light = (c) => c.map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const found = [];
    for (const e of document.querySelectorAll('body *')) {
        const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
        if (!(own || 'value' in e) || !e.checkVisibility({opacityProperty: true, visibilityProperty: true}) || e.closest('#view, svg, .visually-hidden'))
            continue;
        const back = behind(e), [a, b] = [light(colour(getComputedStyle(e).color, back)), light(back)];
        const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (contrast < 4.5)
            found.push(`${e.tagName} ${e.id || e.className} ${e.textContent.slice(0, 20)}: ${contrast.toFixed(2)}`);
    }
    return found;
})()"""
CONTROLS = """[...document.querySelectorAll('a[href], button, input, select, canvas[tabindex]')]
    .filter((e) => !e.disabled && e.checkVisibility()).length"""


def settings(**more):
    return {"monitor.http": "127.0.0.1:0", "reduce.type": "source", "series.idle_end": "600ms", **more}


def number(text):
    return float(text.replace("\u202f", "").replace("\u2013", "nan"))


def member(status, path):
    for key in path.split("."):
        status = status[key]
    return status


def no_complaints(browser, *expected):
    """Its console has nothing but what the test brought about."""
    left = [c for c in browser.complaints if not any(e in c for e in expected)]
    equal(left, [], "complaints of the console")


# ---- figures

def figures_are_those_of(browser, status):
    shown = browser.eval(FIGURES)
    check(len(shown) > 40, "there are figures")
    for path, (manner, text) in shown.items():
        if path.startswith(("rate.", "buffer.")):
            continue  # go on changing
        value = member(status, path)
        if value is None:
            equal(text, "\u2013", path)
        elif manner == "count":
            equal(number(text), value, path)
        elif manner == "ms":
            near(number(text), value, path, relative=0.01, absolute=0.0006)
        else:
            equal(text, str(value), path)
    for label, path in browser.eval("""[...document.querySelectorAll('#frames dd[data-figure]')].map(
            (e) => [e.parentElement.querySelector('dt').textContent, e.dataset.figure])"""):
        check(path.rsplit(".", 1)[1] in label.replace(" ", "_"), f"{path} is called {label}")
    for group in ("dropped", "missing", "rejected"):
        total = sum(status["frames"][group].values())
        equal(number(browser.text(f"#{group}")), total, f"sum of {group}")
        equal(browser.eval(f"document.getElementById('{group}').classList.contains('lost')"), total > 0,
              f"{group} is marked")
    return {path: number(text) for path, (manner, text) in shown.items() if manner == "count"}


def figures_are_those_of_metrics_and_files(shown, monitor, series):
    frames = {path.removeprefix("frames."): value for path, value in shown.items()}
    metrics = monitor.metrics()
    for name in ("received", "flagged", "duplicate"):
        equal(frames[name], metrics[f'openbeam_frames_{name}_total{{source="camera"}}'], f"metric {name}")
    for name in ("written", "durable"):
        equal(frames[name], metrics[f'openbeam_frames_{name}_total{{sink="tiff"}}'], f"metric {name}")
    for group, name in (("dropped", "frames_dropped_total"), ("missing", "frames_missing_total"),
                        ("rejected", "messages_rejected_total")):
        for reason, count in by_reason(metrics, name).items():
            equal(frames[f"{group}.{reason}"], count, f"metric {group} {reason}")
            equal(frames[f"{group}.{reason}"], series.totals[group][reason], f"manifest {group} {reason}")
    for name in ("expected", "received", "written", "durable", "pending", "flagged", "duplicate"):
        equal(frames[name], series.totals[name], f"manifest {name}")
    states = [r["state"] for r in series.rows]
    equal(frames["written"], states.count("written"), "frames.csv, written")
    equal(frames["expected"], len(states), "frames.csv, lines")


# ---- the picture

def pixel(browser, row, column):
    return browser.eval("[...document.getElementById('live').getContext('2d')"
                        f".getImageData({column}, {row}, 1, 1).data]")


def point_at(browser, row, column):
    left, top, scale = browser.eval(f"""(() => {{
        const r = document.getElementById('live').getBoundingClientRect();
        const s = Math.min(r.width / {SHAPE[1]}, r.height / {SHAPE[0]});
        return [r.x + (r.width - s * {SHAPE[1]}) / 2, r.y + (r.height - s * {SHAPE[0]}) / 2, s];
    }})()""")
    browser.point(left + (column + 0.5) * scale, top + (row + 0.5) * scale)


def reads(browser, row, column, value, unit="counts"):
    browser.wait(f"document.getElementById('readout').textContent.startsWith("
                 f"'x {column}  y {row}  {value} {unit}')", f"{value} at {row}, {column}: "
                 + browser.text("#readout"))


def picture_is(browser, image):
    browser.eval("document.getElementById('picture').scrollIntoView()")
    for row, column in ((0, 0), (31, 47), (12, 30), SATURATED):
        point_at(browser, row, column)
        reads(browser, row, column, image[row, column])
    contains(browser.text("#readout"), "saturated")
    browser.eval("document.getElementById('live').focus()")
    browser.key("ArrowRight")
    reads(browser, SATURATED[0], SATURATED[1] + 1, image[SATURATED[0], SATURATED[1] + 1])
    browser.key("ArrowDown", shift=True)
    reads(browser, SATURATED[0] + 10, SATURATED[1] + 1, image[SATURATED[0] + 10, SATURATED[1] + 1])
    contains(browser.text(".marks"), "1 saturated", "0 bad", "1\u202f536")


def switches_change_the_picture(browser):
    equal(pixel(browser, *SATURATED), MARKED, "the colour of a saturated pixel")
    seen = [browser.eval("document.getElementById('live').toDataURL()")]
    for name, value in (("map", "inferno"), ("map", "grey"), ("scale", "log"), ("auto", False),
                        ("high", "30000"), ("marks", False)):
        browser.choose(name, value)
        now = browser.eval("document.getElementById('live').toDataURL()")
        check(now not in seen or name == "auto", f"{name} {value} changes the picture")
        seen.append(now)
    equal(pixel(browser, *SATURATED), [255, 255, 255, 255], "the saturated pixel, in grey, unmarked")


def first_figures_ms(browser, url, loads):
    found = []
    for _ in range(loads):
        browser.open(url)
        browser.wait("performance.getEntriesByType('mark').length", "the state is shown")
        found.append(browser.eval("performance.getEntriesByType('mark')[0].startTime"))
    return sorted(found)


def stuck_camera(browser, camera, image, count):
    """Send one image again and again; the first alarm that the page shows meanwhile."""
    alarm = ""
    for number in range(count):
        camera.send(number, image)
        alarm = alarm or browser.eval("document.querySelector('.alarm-text')?.textContent ?? ''")
        time.sleep(0 if alarm else 0.05)
    return alarm


def no_stranger_is_let_in(monitor):
    """The policy allows no inline script or style and nothing from elsewhere; files are those of the table."""
    policy = monitor.ask("/")[1]["Content-Security-Policy"]
    contains(policy, "default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'")
    for path in ("/assets/", "/assets/page", "/assets/../page.css", "/assets/%2e%2e/status", "/assets//page.js"):
        equal(monitor.status_of(path), 404, f"status of {path}")


@case
def the_page_shows_the_ledger_and_the_picture(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, settings(**{"series.frames": 40, "ingest.saturation": 65535}),
                          series=None)
    monitor = Monitor(daemon)
    with Browser() as browser:
        browser.ask("Page.addScriptToEvaluateOnNewDocument", source=COUNTING)
        no_stranger_is_let_in(monitor)
        times = first_figures_ms(browser, monitor.url, 3)
        print("navigation to first figures, ms:", ", ".join(f"{t:.0f}" for t in times))
        check(times[0] < 3000, f"first figures within 3 s: {times}")
        equal(browser.text("#state-word"), "idle", "state")
        browser.choose("product", "raw")
        browser.choose("histogram-kind", "raw")
        stream_with_losses(camera, 0, 40)
        until(lambda: monitor.status()["since_start"]["series_closed"], "the series is closed")
        series = bench.series().require_closed()
        browser.wait(f"document.querySelector('[data-figure=\"frames.durable\"]').textContent === "
                     f"'{series.totals['durable']}' && document.getElementById('state').dataset.state === 'idle'",
                     "the page has the end")
        status = monitor.status()
        shown = figures_are_those_of(browser, status)
        figures_are_those_of_metrics_and_files(shown, monitor, series)
        equal(browser.text("#series-name"), "s-0001", "series")
        equal(browser.eval("asked.streams"), 1, "event streams that were opened")
        # That of a page which was left counts until an event finds nobody.
        until(lambda: monitor.status()["watchers"]["events"] == 1, "one event stream is open")

        image = reference.noise_image(SHAPE, 1, 0, 60000)
        image[SATURATED] = 65535
        check("the same pixels" in stuck_camera(browser, camera, image, 40), "the alarm is shown")
        browser.wait("document.getElementById('saturated-count').textContent === '1 saturated'",
                     "a picture of the second series")
        browser.wait("document.querySelector('#age.stale') !== null && "
                     "/^frame [0-9]+, .* old: stale$/.test(document.getElementById('age').textContent)",
                     "the last picture is stale")
        picture_is(browser, image)
        switches_change_the_picture(browser)
        contains(browser.text("#histogram-tails"), "0 below 0", "saturated from 65\u202f535", "0 above 65536")
        most = browser.eval("asked.most")
        equal((most["/api/v1/live"], most["/api/v1/histogram"]), (1, 1), "requests at a time")
        no_complaints(browser)


# ---- another daemon, commands

def press(browser, selector):
    browser.eval(f"document.querySelector('{selector}').click()")


def arms_and_aborts(browser):
    for name, value in (("arm-name", "scan"), ("arm-frames", "5"), ("arm-first", "3")):
        browser.choose(name, value)
    press(browser, "#arm-form button")
    answer_of(browser, 2, "arm scan: accepted")
    browser.wait("!document.getElementById('armed').hidden", "what is armed is shown")
    contains(browser.text("#armed"), "scan, 5 frames, from number 3")
    press(browser, "#abort")
    press(browser, "#abort-yes")
    answer_of(browser, 3, "abort: accepted")
    browser.wait("document.getElementById('armed').hidden", "nothing is armed")


def start_at(bench, camera, port):
    return bench.daemon(camera.endpoint, settings(**{
        "monitor.http": f"127.0.0.1:{port}", "sinks": [bench.sink(folder="<img src=x>")]}), series=None)


def answer_of(browser, before, *words):
    browser.wait(f"document.querySelectorAll('#answers li').length > {before}", "the answer is shown")
    contains(browser.text("#answers li"), *words)


@case
def the_page_gives_commands_and_waits_for_a_daemon_that_is_gone(bench):
    camera = bench.camera()
    port = free_port()
    daemon = start_at(bench, camera, port)
    monitor = Monitor(daemon)
    with Browser() as browser:
        browser.ask("Page.addScriptToEvaluateOnNewDocument", source=COUNTING)
        browser.open(monitor.url)
        browser.wait("document.getElementById('state').dataset.state === 'idle'", "it is idle")
        browser.choose("token", "a-secret")
        browser.choose("dark-frames", "7")
        press(browser, "#dark-form button")
        answer_of(browser, 0, "dark of 7 frames: accepted")
        contains(json.dumps(browser.eval("asked.headers")), '"Authorization": "Bearer a-secret"')
        equal(browser.eval("[sessionStorage.length, localStorage.length]"), [1, 0], "where the token is kept")
        browser.wait("document.getElementById('calibration-word').textContent === 'taking the dark: 0 of 7 frames'")
        status, answer = monitor.command({"command": "flat", "frames": 5})
        equal(status, 409, "status of a second calibration")
        press(browser, "#flat-form button")
        answer_of(browser, 1, "flat of 50 frames: refused", answer["error"])
        press(browser, "#abort")
        check(browser.eval("document.getElementById('abort-question').open"), "abort asks")
        browser.key("Enter")
        check(not browser.eval("document.getElementById('abort-question').open"), "and is given up")
        equal(browser.eval("document.querySelectorAll('#answers li').length"), 2, "answers")

        camera.send_all([reference.noise_image(SHAPE, n, 0, 4000) for n in range(7)])
        browser.wait("document.querySelector('[data-figure=\"frames.written\"]').textContent === '7'")
        daemon.stop()
        stopped = time.monotonic()
        browser.wait("!document.getElementById('outage').hidden", "the page says that nobody answers")
        print(f"said {time.monotonic() - stopped:.1f} s after the daemon had ended")
        contains(browser.text("#outage"), "The daemon does not answer since ")
        equal(browser.text("#state-word"), "no answer", "state")
        equal(browser.text('[data-figure="frames.written"]'), "7", "the figures are kept")
        contains(browser.text("#series-path"), "/<img src=x>/")
        equal(browser.eval("document.images.length"), 0, "texts that became elements")

        start_at(bench, camera, port)
        browser.wait("document.getElementById('outage').hidden && "
                     "document.getElementById('state').dataset.state === 'idle'", "it is back by itself")
        browser.wait("document.querySelector('[data-figure=\"frames.written\"]').textContent === '0'",
                     "the figures are the new run's")
        arms_and_aborts(browser)
        no_complaints(browser, "409 (Conflict)", "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING",
                      "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")


# ---- how it looks, and who can use it

def can_be_used_by_keyboard(browser):
    """Tab reaches every control, and each shows that it has the focus."""
    wanted = browser.eval(CONTROLS)
    reached = set()
    for _ in range(wanted + 2):
        browser.key("Tab")
        at, seen = browser.eval("""(() => {
            const e = document.activeElement, s = getComputedStyle(e);
            return [`${e.tagName} ${e.id} ${e.textContent.trim().slice(0, 30)} ${[...document.querySelectorAll('*')].indexOf(e)}`,
                    e === document.body || s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2];
        })()""")
        check(seen, f"the focus is seen on {at}")
        reached.add(at)
    check(len([r for r in reached if not r.startswith("BODY")]) >= wanted, f"{wanted} controls: {sorted(reached)}")


def what_is_not_seen_is_not_asked_for(browser):
    """A picture comes five times a second, and a histogram once."""
    browser.size(360, 400)
    browser.eval("scrollTo(0, document.body.scrollHeight)")
    large = "['/api/v1/live', '/api/v1/histogram'].map((kind) => asked.times[kind])"
    browser.wait(f"window.before === (window.before = String({large}))", "they are asked for no more")
    rows = "document.querySelector('[data-figure=\"frames.received\"]').textContent"
    before = browser.eval(large)
    for _ in range(3):
        browser.wait(f"window.last !== (window.last = {rows})", "the figures go on")
        time.sleep(0.5)
    equal(browser.eval(large), before, "requests for what is not seen")
    browser.eval("scrollTo(0, 0)")


def theme_after_a_press(browser):
    """The button goes from the system's theme to dark, light, and back to the system's."""
    press(browser, "#theme")
    red = browser.eval("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0]")
    return "light" if int(red) > 127 else "dark"


def is_well_in(browser, theme, width):
    browser.theme(theme)
    browser.size(width, 900)
    browser.wait(f"innerWidth === {width}")
    equal(browser.eval("document.documentElement.scrollWidth"), width, f"width of the page, {theme}")
    equal(browser.eval(FAINT), [], f"texts that can hardly be read, {theme}")


def phantom(bench, endpoint, frames, *more):
    """openbeam-send as a camera that connects."""
    return subprocess.Popen(
        [bench.programs / "openbeam-send", "--to", endpoint, "--attach", "connect", "--socket", "push",
         "--protocol", "array-1.0", "--size", "640x480", "--timestamps", "--frames", str(frames), *more],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def calibrate(bench, monitor, endpoint, role):
    equal(monitor.command({"command": role, "frames": 12})[0], 200, role)
    phantom(bench, endpoint, 12, "--pattern", role, "--rate", "60").wait()
    until(lambda: monitor.status()["calibration"]["done"] and monitor.status()["calibration"]["role"] == role,
          f"the {role} is made")


@case(limit=150)
def the_page_can_be_read_and_used_by_everybody(bench):
    endpoint = f"ipc://{bench.folder}/camera"
    daemon = bench.daemon(endpoint, {
        "monitor.http": "127.0.0.1:0", "ingest.attach": "bind", "series.name": "wood",
        "series.idle_end": "1s", "series.reorder": 8, "calibration": {"dark": "", "flat": ""}, "reduce.normalise": "transmission",
        "regions": [{"name": "left", "x": 0, "y": 0, "width": 11, "height": 480}],
        "beam": {"regions": ["left"]}, "blackbox": {"before": "300ms", "after": "300ms"},
        "sentinels": {"saturated_for": "400ms"}}, series=None)
    monitor = Monitor(daemon)
    with Browser() as browser:
        for role in ("dark", "flat"):
            calibrate(bench, monitor, endpoint, role)
        sender = phantom(bench, endpoint, 4000, "--pattern", "phantom", "--rate", "30", "--lose", "0.004",
                         "--duplicate", "0.004", "--corrupt", "0.004")
        try:
            looks_well(bench, browser, monitor)
        finally:
            sender.kill()
            sender.wait()


def looks_well(bench, browser, monitor):
    browser.ask("Page.addScriptToEvaluateOnNewDocument", source=COUNTING)
    browser.theme("dark")
    browser.size(1280, 1000)
    browser.open(monitor.url)
    browser.wait("/^frame /.test(document.getElementById('age').textContent) && "
                 "document.querySelector('#charts canvas') !== null && "
                 "document.getElementById('missing').textContent > '0'", "picture, trends, losses")
    if bench.long:
        time.sleep(60)  # trends to be looked at
    logs = bench.programs.parent.parent / "log"
    logs.mkdir(exist_ok=True)
    browser.screenshot(logs / "page-wide-dark.png", whole=True)
    is_well_in(browser, "dark", 1280)
    is_well_in(browser, "dark", 360)
    browser.screenshot(logs / "page-phone.png", whole=True)
    what_is_not_seen_is_not_asked_for(browser)
    is_well_in(browser, "light", 360)
    is_well_in(browser, "light", 1280)
    browser.screenshot(logs / "page-wide-light.png", whole=True)
    can_be_used_by_keyboard(browser)
    equal([theme_after_a_press(browser) for _ in range(3)], ["dark", "light", "light"], "themes by the button")
    no_complaints(browser, "product=normalised&marks=1")  # before there is the first picture
