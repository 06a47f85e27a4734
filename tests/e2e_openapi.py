# SPDX-License-Identifier: Apache-2.0
"""/openapi.json is what the daemon does: every route is in it, every answer is as it says."""
import json
import re

import jsonschema
import numpy

from e2e_case import case, check, contains, equal, until
from e2e_http import HERE, SHAPE, Monitor, images

OTHER = {"GET": "POST", "POST": "GET"}


def plain(node, document):
    """A schema of OpenAPI 3.0 as JSON Schema has it: references followed, nullable a type."""
    if isinstance(node, list):
        return [plain(item, document) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        at = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            at = at[part]
        return plain(at, document)
    found = {key: plain(value, document) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [found, {"type": "null"}]} if node.get("nullable") else found


class Description:
    def __init__(self, monitor):
        self.monitor, self.document = monitor, monitor.json("/openapi.json")

    def paths(self):
        """{path: (method, operation)}, one for each value that a part of the path may have."""
        found = {}
        for path, methods in self.document["paths"].items():
            (method, operation), = methods.items()
            names = [path]
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    names = [path.replace(f"{{{parameter['name']}}}", value)
                             for value in parameter["schema"]["enum"]]
            found.update({name: (method.upper(), operation) for name in names})
        return found

    def hold(self, operation, answer, what):
        """The answer against its description; a stream of events has no end to be asked for."""
        status, headers, body = answer
        responses = operation["responses"]
        content = plain(responses.get(str(status), responses["default"]), self.document)["content"]
        check(headers["Content-Type"] in content, f"{what}: type {headers['Content-Type']}")
        schema = content[headers["Content-Type"]]["schema"]
        if "json" in headers["Content-Type"]:
            self.judge(json.loads(body), schema, f"{what}: {status}")
        check(str(status) in responses or status >= 400, f"{what}: {status} is not described")

    def judge(self, value, schema, what):
        wrong = jsonschema.Draft4Validator(schema).iter_errors(value)
        equal([f"{list(e.absolute_path)}: {e.message[:200]}" for e in wrong], [], what)

    def hold_all(self, moment):
        statuses = {}
        for path, (method, operation) in self.paths().items():
            if method != "GET" or path == "/api/v1/events":
                continue
            queries = [""]
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query" and "enum" in parameter["schema"]:
                    queries += [f"?{parameter['name']}={value}" for value in parameter["schema"]["enum"]]
            for query in queries:
                answer = self.monitor.ask(path + query)
                self.hold(operation, answer, f"{moment}: {path}{query}")
                statuses[path + query] = answer[0]
        return statuses


def event_of(monitor, kind):
    """The data of the next event of that kind."""
    with monitor.socket(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n") as stream:
        file = stream.makefile("rb")
        headers = iter(file.readline, b"\r\n")
        contains(b"".join(headers).decode(), "HTTP/1.1 200", "Content-Type: text/event-stream\r\n")
        while file.readline() != f"event: {kind}\n".encode():
            pass
        data = file.readline()
        check(data.startswith(b"data: "), "an event has data")
        return json.loads(data[6:])


@case
def the_description_is_what_the_daemon_does(bench):
    camera = bench.camera()
    level = numpy.full(SHAPE, 100, "float32")
    daemon = bench.daemon(camera.endpoint, {
        **HERE, "series.frames": 300, "reduce.type": "float32",
        "reduce.normalise": "transmission", "calibration.dark": bench.tiff("dark.tif", level),
        "calibration.flat": bench.tiff("flat.tif", level + 20000),
        "regions": [{"name": "beam", "x": 0, "y": 0, "width": 8, "height": 8}]}, series=None)
    monitor = Monitor(daemon)
    description = Description(monitor)
    schemas = description.document["components"]["schemas"]

    # Every row of the table of routes is described, and nothing else is; in no other method.
    rows = re.findall(r" (/[\w./]*)", json.loads(monitor.ask("/nothing")[2])["error"])
    paths = description.paths()
    for row in rows:
        check(row in paths or (row.endswith("/") and any(p.startswith(row) for p in paths)),
              f"{row} is described")
    for path, (method, operation) in paths.items():
        check(path in rows or any(path.startswith(row) and row.endswith("/") for row in rows),
              f"{path} is there: {rows}")
        status, headers, body = monitor.ask(path, OTHER[method], b"{}" if method == "GET" else None)
        equal((status, headers["Allow"]), (405, "GET, HEAD" if method == "GET" else "POST"), path)
        description.hold(operation, (status, headers, body), path)

    description.hold_all("before the first frame")
    numbers = (number for number in range(300) if number not in (200, 201))
    pixels = images(1)[0]

    def a_frame_more():
        camera.send(next(numbers), pixels)
        return monitor.status_of("/api/v1/live") == 200
    until(a_frame_more, "a picture")
    trend = event_of(monitor, "trend")
    description.judge(trend, plain(schemas["TrendRow"], description.document), "event: trend")
    status = event_of(monitor, "status")
    description.judge(status, plain(schemas["Status"], description.document), "event: status")
    equal(status["series"]["number"], 1, "the series of the event")
    running = description.hold_all("while it runs")
    equal({path for path, found in running.items() if found != 200}, set(), "routes that do not answer")
    equal(monitor.json("/api/v1/histogram?kind=raw")["saturation"], 65535, "saturated counts")
    equal(monitor.json("/api/v1/histogram")["saturation"], None, "of what is no count")
    for number in numbers:
        camera.send(number, pixels)
    until(lambda: monitor.status()["since_start"]["series_closed"] == 1, "the series is closed")
    description.hold_all("after it")
    equal(monitor.status()["last_loss"]["frames"], 2, "frames of the loss that is described")

    operation = paths["/api/v1/command"][1]
    for body in (b"", b"{}", b'{"command": "keep"}', b'{"command": "dance"}', b" " * 65537):
        answer = monitor.ask("/api/v1/command", "POST", body)
        description.hold(operation, answer, f"command {body[:20]}")
    for wrong in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        description.hold(operation, monitor.ask("/api/v1/command", "POST", b"{}", **wrong), str(wrong))
    command = plain(schemas["Command"], description.document)
    picture = event_of(monitor, "picture")
    description.judge(picture, plain(schemas["Picture"], description.document), "event: picture")
    for good in ({"command": "arm", "name": "a", "frames": 5, "first": 0}, {"command": "stop"},
                 {"command": "dark", "frames": 5, "combine": "median", "timeout_s": 1.5, "for": "flats"},
                 {"command": "keep"}):
        description.judge(good, command, "a command that is taken")
    check(list(jsonschema.Draft4Validator(command).iter_errors({"command": "keep", "frames": 5})),
          "one that is not is not described")
    daemon.stop(1)
