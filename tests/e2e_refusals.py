# SPDX-License-Identifier: Apache-2.0
"""What is refused at the start, and how clearly; the options that only tell."""
import os
import socket
import subprocess

import numpy

import e2e_reference as reference
from e2e_case import case, check, contains, equal, until

SHAPE = (8, 16)
CONFIGURATION = 78


def calibration_refused(bench, role, path, why, **more):
    """Stream one frame with a calibration file that cannot serve."""
    good = bench.tiff("good.tif", numpy.full(SHAPE, 1000, "float32"))
    settings = {"reduce.normalise": "transmission", "calibration.flat": good,
                "ingest.frame": {"width": SHAPE[1], "height": SHAPE[0], "type": "uint16"},
                f"calibration.{role}": str(path), **more}
    said = bench.refused(settings, CONFIGURATION)
    contains(said, str(path))
    check(any(w in said.lower() for w in why.split("|")), f"one of {why} in:\n{said}")


@case
def a_calibration_file_that_is_not_there_is_refused(bench):
    for role in ("dark", "flat", "mask"):
        calibration_refused(bench, role, bench.folder / "nowhere.tif", "no such")


@case
def a_calibration_file_of_another_size_is_refused(bench):
    for role in ("dark", "flat", "mask"):
        path = bench.tiff(f"{role}-wrong.tif", numpy.ones((9, 16), "uint16"))
        calibration_refused(bench, role, path, "16x9|16 x 9")


@case
def a_calibration_file_that_is_no_tiff_is_refused(bench):
    text = bench.folder / "text.tif"
    text.write_text("this is no TIFF\n" * 100)
    empty = bench.folder / "empty.tif"
    empty.touch()
    folder = bench.folder / "folder.tif"
    folder.mkdir()
    whole = open(bench.tiff("whole.tif", reference.noise_image((64, 64), 1, 0, 99)), "rb").read()
    short = bench.folder / "short.tif"
    short.write_bytes(whole[:len(whole) // 2])
    for path, why in ((text, "tiff"), (empty, "tiff|empty"), (folder, "director"),
                      (short, "tiff|read|truncated|short|size")):
        calibration_refused(bench, "flat", path, why)


@case
def a_calibration_file_that_cannot_be_read_is_refused(bench):
    path = bench.tiff("secret.tif", numpy.ones(SHAPE, "uint16"))
    os.chmod(path, 0)
    if os.geteuid() == 0:
        path = "/proc/self/mem"  # root reads every file: this one opens and then fails
        said = bench.refused({"reduce.normalise": "transmission", "calibration.flat": path}, CONFIGURATION)
        contains(said, path)
        return
    calibration_refused(bench, "flat", path, "permission")


@case
def colour_images_are_refused_for_calibration(bench):
    path = bench.folder / "colour.tif"
    import tifffile
    tifffile.imwrite(path, numpy.zeros((*SHAPE, 3), "uint8"), photometric="rgb")
    calibration_refused(bench, "flat", path, "sample|colour|channel")


@case
def an_all_zero_flat_is_refused(bench):
    path = bench.tiff("zero.tif", numpy.zeros(SHAPE, "uint16"))
    calibration_refused(bench, "flat", path, "usable pixel|good pixel|nowhere|zero")


@case
def a_flat_no_brighter_than_its_dark_is_refused(bench):
    dark = bench.tiff("dark.tif", numpy.full(SHAPE, 500, "uint16"))
    path = bench.tiff("dim.tif", numpy.full(SHAPE, 400, "uint16"))
    calibration_refused(bench, "flat", path, "usable pixel|good pixel|nowhere brighter",
                        **{"calibration.dark": dark})


@case
def transmission_without_a_flat_is_refused(bench):
    contains(bench.refused({"reduce.normalise": "transmission"}, CONFIGURATION), "calibration.flat")


@case
def a_key_of_the_angle_is_refused_where_frames_have_no_keys(bench):
    for protocol in ("dectris-v2", "bsread", "shm"):
        said = bench.refused({"rotation.from_key": "angle", "ingest.protocol": protocol}, CONFIGURATION)
        contains(said, f"rotation.from_key: frames of {protocol} come without")


@case
def a_key_of_the_role_is_refused_where_frames_have_no_keys(bench):
    said = bench.refused({"calibration.from_key": "image_key", "ingest.protocol": "bsread"}, CONFIGURATION)
    contains(said, "calibration.from_key: frames of bsread come without")


@case
def a_calibration_of_another_size_than_the_frames_is_said_when_they_come(bench):
    """With the geometry learnt from the first frame, it can be known only then."""
    flat = bench.tiff("flat.tif", numpy.full((9, 16), 1000, "uint16"))
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "reduce.normalise": "transmission", "calibration.flat": flat, "series.frames": 2})
    camera.send_all([reference.noise_image(SHAPE, n, 0, 99) for n in range(3)])
    until(lambda: flat in daemon.log and "rejected" in daemon.log, "the log names the file")
    camera.send_all([reference.noise_image((9, 16), n, 0, 99) for n in range(2)])
    daemon.wait()
    equal(bench.series().require_complete(2).lost("rejected"), {"shape": 3}, "rejected")


def write(bench, text):
    path = bench.folder / "wrong.yaml"
    path.write_text(text)
    return path


@case(quick=True)
def every_error_of_a_configuration_is_named_with_its_line(bench):
    path = write(bench, """ingest:
  endpoints: [tcp://127.0.0.1:9999]
  bufer: 1GiB
  frame_limit: 64 parsecs
series:
  reorder: -1
  idle_end: soon
reduce:
  bin: 3
  type: float64
  window: [1.0]
sinks:
  - format: tif
    directory: data
""")
    status, _, said = bench.run("openbeamd", "-c", path)
    equal(status, CONFIGURATION, "status")
    for line, key in ((3, "bufer"), (4, "frame_limit"), (6, "reorder"), (7, "idle_end"), (9, "bin"),
                      (10, "type"), (11, "window"), (13, "format")):
        check(any(f"wrong.yaml:{line}:" in l and key in l for l in said.splitlines()),
              f"line {line} and {key} in:\n{said}")
    contains(said, "buffer", "float32", "tiff")  # the nearest key, what is accepted


@case
def a_configuration_that_cannot_be_read_is_named(bench):
    for path in (bench.folder / "nowhere.yaml", bench.folder):
        status, _, said = bench.run("openbeamd", "-c", path)
        check(status in (66, CONFIGURATION), f"status {status}")
        contains(said, str(path))
    for text in ("ingest: [unclosed\n", "ingest: {a: b\n", "\tingest: 1\n", "- 1\n- 2\n", "\0\1\2",
                 "ingest:\n  name: a\n  name: b\n", "a: &x [*x]\n"):
        status, _, said = bench.run("openbeamd", "-c", write(bench, text))
        equal(status, CONFIGURATION, f"status for {text!r}")
        contains(said, "wrong.yaml")


@case
def a_region_outside_the_frame_is_refused_with_both_sizes(bench):
    status, _, said = bench.run("openbeamd", "--set", "ingest.frame={width: 64, height: 48, type: uint16}",
                                "--set", "sinks=[{format: null, directory: .}]",
                                "--set", "reduce.roi={x: 60, y: 0, width: 8, height: 8}")
    equal(status, CONFIGURATION, "status")
    contains(said, "reduce.roi", "x 60", "width 8", "64 x 48")


@case
def a_set_that_is_wrong_is_refused(bench):
    for wrong in ("ingest.bufer=1GiB", "reduce.bin=3", "nonsense", "reduce.bin", "=1"):
        status, _, said = bench.run("openbeamd", "--check", "--set", wrong)
        check(status in (2, CONFIGURATION), f"status {status} of --set {wrong}")
        contains(said, wrong.split("=")[0] or "=1")


@case
def a_set_overrides_the_file(bench):
    path = write(bench, "reduce:\n  bin: 2\n")
    status, printed, _ = bench.run("openbeamd", "-c", path, "--set", "reduce.bin=4",
                                   "--set", "series.name=other", "--print-config")
    equal(status, 0, "status")
    check(any(l.split("#")[0].strip() == "bin: 4" for l in printed.splitlines()), printed)
    contains(printed, "other")


@case
def the_printed_configuration_is_read_back_to_the_same(bench):
    status, printed, _ = bench.run("openbeamd", "--print-config", "--set", "reduce.bin=8",
                                   "--set", "ingest.buffer=300MiB", "--set", "series.idle_end=1500ms")
    equal(status, 0, "status")
    status, again, said = bench.run("openbeamd", "-c", write(bench, printed), "--print-config")
    equal((status, said), (0, ""), "status, errors")
    equal(again, printed, "the configuration printed again")


@case(quick=True)
def options_that_only_tell_end_with_0(bench):
    for program in ("openbeamd", "openbeam", "openbeam-send", "openbeam-bench"):
        status, out, _ = bench.run(program, "--help")
        equal(status, 0, f"{program} --help")
        contains(out.lower(), "usage", program)
    status, out, _ = bench.run("openbeamd", "--version")
    equal(status, 0, "--version")
    contains(out, "openbeam")
    status, out, _ = bench.run("openbeamd", "--list")
    equal(status, 0, "--list")
    contains(out, "array-1.0", "bsread", "dectris-v1", "dectris-v2", "sls", "stins", "odin-live",
             "shm", "tiff", "hdf5", "raw", "stream", "null", "scalar")


@case
def wrong_usage_ends_with_2(bench):
    for program in ("openbeamd", "openbeam-send", "openbeam-bench"):
        status, _, said = bench.run(program, "--nonsense")
        equal(status, 2, f"{program} --nonsense")
        contains(said, "nonsense")
    for arguments in (("-c",), ("--series", "many"), ("--series", "-1"), ("stray",)):
        status, _, said = bench.run("openbeamd", *arguments)
        equal(status, 2, f"openbeamd {' '.join(arguments)}")
        check(said, "it says why")


@case
def check_tells_about_configuration_and_host(bench):
    path = write(bench, f"sinks:\n  - format: tiff\n    directory: {bench.output}\n"
                        "reduce:\n  normalise: none\n")
    status, out, said = bench.run("openbeamd", "-c", path, "--check")
    equal(status, 0, f"status; {said}")
    check(out or said, "it tells what it found")
    equal(list(bench.output.iterdir()), [], "it leaves nothing behind")
    for key, more in (("calibration.directory", ()), ("blackbox.directory", ("blackbox.before=1s",))):
        wanted = [word for value in (f"{key}={bench.folder}/gone", *more) for word in ("--set", value)]
        status, out, _ = bench.run("openbeamd", "-c", path, "--check", *wanted)
        equal(status, 73, f"a {key} that is not there")
        contains(out, f"error {key.split('.')[0]}: {key}: cannot write to {bench.folder}/gone")
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        status, out, _ = bench.run("openbeamd", "-c", path, "--check", "--set", f"monitor.http={address}",
                                   "--set", f"monitor.token_file={bench.folder}/gone")
    equal(status, 0, "a monitor that cannot listen keeps nothing from being measured")
    contains(out, f"warning monitor: cannot listen on {address}: Address already in use")
    contains(out, f"warning monitor: monitor.token_file {bench.folder}/gone: No such file")


@case
def an_isa_that_is_not_there_is_refused(bench):
    flags = open("/proc/cpuinfo").read()
    if "avx512" in flags:
        status, _, said = bench.run("openbeamd", "--check", "--set", "daemon.isa=sse9")
        equal(status, CONFIGURATION, "status")
        contains(said, "sse9", "avx2")
        return
    contains(bench.refused({"daemon.isa": "avx512"}, CONFIGURATION), "avx512")


@case
def an_endpoint_that_cannot_be_bound_is_said_at_start(bench):
    import socket
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        daemon = bench.daemon(endpoint, {"ingest.attach": "bind"})
        status = daemon.wait(None)
        check(status in (69, 71, CONFIGURATION), f"status {status}")
        contains(daemon.log, endpoint, "in use")
    for endpoint in ("nonsense", "tcp://", "xyz://a:1"):
        daemon = bench.daemon(endpoint)
        check(daemon.wait(None) in (69, CONFIGURATION), f"status for {endpoint}")
        contains(daemon.log, endpoint)


@case
def nothing_is_written_to_standard_output(bench):
    camera = bench.camera()
    camera.socket.linger = 0
    daemon = bench.daemon(camera.endpoint, {"series.frames": 1})
    camera.send(0, reference.noise_image(SHAPE, 1, 0, 99))
    daemon.wait()
    done = subprocess.run([bench.programs / "openbeamd", "-c", daemon.configuration, "--series", "1",
                           "--set", "daemon.isa=nonsense"], capture_output=True, check=False)
    equal(done.stdout, b"", "standard output")
