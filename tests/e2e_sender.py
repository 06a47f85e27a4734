# SPDX-License-Identifier: Apache-2.0
"""openbeam-send and openbeamd against each other, compared number by number."""
import json

import numpy
import tifffile

import e2e_reference as reference
from e2e_case import case, check, equal, same_pixels

SOURCE = {"reduce.type": "source"}
NUMBER_READABLE = ("no_shape", "unknown_type", "long_pixels")


def stream(bench, settings, *arguments, status=0, frames=200):
    """Run both to their ends; the series, and the sender's report."""
    endpoint = f"ipc://{bench.folder}/camera{len(bench.daemons)}"
    report = bench.folder / "sent.json"
    daemon = bench.daemon(endpoint, {"series.frames": frames, **settings})
    sender = bench.send(endpoint, "--frames", frames, "--report", report, *arguments)
    equal(sender.wait(40), 0, "exit status of openbeam-send")
    daemon.wait(status)
    return bench.series(), json.loads(report.read_text())


def counter(number, shape, bits=16):
    """The pattern `counter`, as its definition says."""
    y, x = numpy.indices(shape)
    return (number * 7919 + y * 131 + x * 31) % 4096 % 2**bits


@case(quick=True)
def the_counter_pattern_arrives_pixel_by_pixel(bench):
    series, report = stream(bench, SOURCE, "--size", "72x40", "--pattern", "counter", frames=60)
    series.require_complete(60)
    equal(report["sent"], 60, "sent")
    for number, found in series.images().items():
        same_pixels(found, counter(number, (40, 72)).astype("uint16"), f"frame {number}")


@case
def every_pixel_format_of_the_sender_arrives(bench):
    for name, dtype, bits in (("Mono8", "uint8", 8), ("Mono12", "uint16", 12), ("Mono16", "uint16", 16),
                              ("uint32", "uint32", 16), ("float32", "float32", 16)):
        for order in ((), ("--big-endian",)):
            folder = f"{name}{len(order)}"
            endpoint = f"ipc://{bench.folder}/{folder}.socket"
            daemon = bench.daemon(endpoint, {**SOURCE, "series.frames": 5,
                                             "sinks": [bench.sink(folder=folder)]})
            sender = bench.send(endpoint, "--frames", 5, "--size", "31x17", "--pattern", "counter",
                                "--pixel-format", name, *order)
            daemon.wait()
            equal(sender.wait(10), 0, "status of the sender")
            for number, found in bench.series(bench.folder / folder).images().items():
                same_pixels(found, counter(number, (17, 31), bits).astype(dtype), f"{folder} {number}")


@case
def packed_pixels_of_the_sender_arrive(bench):
    for name, bits in (("Mono10p", 10), ("Mono10Packed", 10), ("Mono12p", 12), ("Mono12Packed", 12),
                       ("Mono14p", 14)):
        for size in ("31x17", "32x17"):  # rows that begin inside a byte, and rows that do not
            folder, (width, height) = f"{name}-{size}", map(int, size.split("x"))
            endpoint = f"ipc://{bench.folder}/{folder}.socket"
            daemon = bench.daemon(endpoint, {
                **SOURCE, "ingest.pixel_format": name, "series.frames": 5,
                "sinks": [bench.sink(folder=folder)]})
            sender = bench.send(endpoint, "--frames", 5, "--size", size, "--pattern", "counter",
                                "--pixel-format", name)
            daemon.wait()
            equal(sender.wait(10), 0, "status of the sender")
            series = bench.series(bench.folder / folder).require_complete(5)
            for number, found in series.images().items():
                same_pixels(found, counter(number, (height, width), bits).astype("uint16"),
                            f"{folder} {number}")


def lines(series, state):
    return {int(r["frame"]): r["reason"] for r in series.rows if r["state"] == state}


def compare(series, report):
    """The ledger and the sender's report say the same of every number."""
    lost, truncated = set(report["lost"]), set(report["truncated"])
    kinds = {k: set(v) for k, v in report["corrupted_by_kind"].items()}
    bearing = truncated.union(*(kinds[k] for k in NUMBER_READABLE))
    unknown = lost.union(*(v for k, v in kinds.items() if k not in NUMBER_READABLE))
    missing = lines(series, "missing")
    equal({n for n, why in missing.items() if why == "never"}, unknown, "numbers never seen")
    equal({n for n, why in missing.items() if why == "rejected"}, bearing, "numbers only rejected")
    equal(lines(series, "dropped"), {}, "dropped")
    equal(len(lines(series, "written")), report["sent"], "written")
    totals = series.totals
    equal(totals["expected"], report["counts"]["numbers"], "expected")
    equal(totals["received"], report["sent"], "received")
    equal(totals["duplicate"], len(report["duplicated"]), "duplicates")
    equal(series.lost("rejected"), {k: v for k, v in {
        "length": len(truncated) + len(kinds["long_pixels"]),
        "type": len(kinds["unknown_type"]),
        "header": sum(len(v) for k, v in kinds.items() if k not in ("long_pixels", "unknown_type")),
    }.items() if v}, "rejected")


@case(quick=True)
def the_ledger_agrees_with_the_senders_report(bench):
    series, report = stream(
        bench, {**SOURCE, "series.idle_end": "700ms"}, "--size", "64x48", "--pattern", "counter",
        "--lose", 0.02, "--duplicate", 0.01, "--reorder", 0.02, "--corrupt", 0.01, "--seed", 5,
        status=1, frames=3000)
    check(report["lost"] and report["duplicated"] and report["swapped"] and report["corrupted"],
          "every fault happened")
    compare(series.require_closed(), report)
    for number, found in list(series.images().items())[::50]:
        same_pixels(found, counter(number, (48, 64)).astype("uint16"), f"frame {number}")


@case
def the_ledger_agrees_for_packed_pixels(bench):
    series, report = stream(
        bench, {**SOURCE, "ingest.pixel_format": "Mono10p", "series.idle_end": "700ms"},
        "--size", "31x17", "--pixel-format", "Mono10p", "--lose", 0.02, "--corrupt", 0.2,
        "--truncate", 0.1, "--seed", 5, status=1, frames=400)
    equal(report["corrupted_by_kind"]["unknown_type"], [], "types that nobody reads")
    check(report["lost"] and report["truncated"] and report["corrupted"], "the other faults happened")
    compare(series.require_closed(), report)


@case(limit=120)
def the_ledger_agrees_whatever_the_seed(bench):
    for seed in range(30 if bench.long else 5):
        folder = f"seed{seed}"
        endpoint = f"ipc://{bench.folder}/{folder}.socket"
        report = bench.folder / f"{folder}.json"
        daemon = bench.daemon(endpoint, {
            "series.frames": 400, "series.idle_end": "500ms", "sinks": [bench.sink(folder=folder)]})
        sender = bench.send(endpoint, "--frames", 400, "--size", "16x12", "--pattern", "noise",
                            "--lose", 0.1, "--duplicate", 0.1, "--reorder", 0.2, "--corrupt", 0.1,
                            "--truncate", 0.05, "--seed", seed, "--report", report)
        daemon.wait(1)
        equal(sender.wait(10), 0, "status of the sender")
        compare(bench.series(bench.folder / folder).require_closed(), json.loads(report.read_text()))


@case
def mishaps_are_in_the_pixels_as_the_report_says(bench):
    faults = ("--dip", "5:2:0.5", "--freeze", "9:2", "--saturate", "12:1", "--new-hot", "14:6", "--new-dead",
              "15:3")
    pictures = {}
    for name, arguments in (("good", ()), ("bad", faults)):
        settings = {**SOURCE, "sinks": [bench.sink(folder=name)]}
        endpoint = f"ipc://{bench.folder}/{name}.socket"
        report = bench.folder / f"{name}.json"
        daemon = bench.daemon(endpoint, {"series.frames": 20, **settings})
        sender = bench.send(endpoint, "--frames", 20, "--size", "64x48", "--pattern", "flat",
                            "--pixel-format", "Mono12", "--report", report, *arguments)
        daemon.wait()
        equal(sender.wait(10), 0, "status of the sender")
        pictures[name] = bench.series(bench.folder / name).require_complete(20).images()
    said = json.loads(report.read_text())
    good, bad = pictures["good"], pictures["bad"]
    for number in (0, 4, 7, 8, 11, 13):
        same_pixels(bad[number], good[number], f"frame {number}")
    for number in (9, 10):
        same_pixels(bad[number], good[8], f"frozen frame {number}")
    check(0.45 < bad[6].mean() / good[6].mean() < 0.55, "half the beam")
    check((bad[12] == 4095).mean() > 0.6, "saturated pixels")
    failed = [tuple(p) for name in ("new_hot", "new_dead") for p in said["mishaps"][name]["pixels"]]
    y, x = numpy.nonzero(bad[19] != good[19])
    equal(sorted(zip(x.tolist(), y.tolist())), sorted(failed), "pixels that failed")
    check(len(failed) == 9 and said["mishaps"]["dip"] == {"frame": 5, "count": 2, "factor": 0.5},
          "what the report says")
    for x, y in said["defects"]["dead"]:
        equal(len({int(image[y, x]) for image in good.values()}), 1, f"values of dead pixel {x} {y}")


@case
def duplicates_and_order_alone_leave_a_series_complete(bench):
    series, report = stream(bench, SOURCE, "--size", "64x48", "--pattern", "counter",
                            "--duplicate", 0.1, "--reorder", 0.2, frames=500)
    series.require_complete(500)
    equal(series.totals["duplicate"], len(report["duplicated"]), "duplicates")


@case
def a_stall_is_no_end_of_series(bench):
    series, _ = stream(bench, {**SOURCE, "series.idle_end": "5s"}, "--size", "64x48",
                       "--pattern", "counter", "--rate", 500, "--stall", 1200, frames=100)
    series.require_complete(100)


@case
def files_are_streamed_page_by_page(bench):
    pages = numpy.stack([reference.noise_image((20, 30), n, 0, 60000) for n in range(3)])
    bench.tiff("one.tif", pages)
    tifffile.imwrite(bench.folder / "two.tif", pages[0] + 1, byteorder=">")
    series, _ = stream(bench, SOURCE, "--tiff", bench.folder / "one.tif", bench.folder / "two.tif",
                       frames=9)
    sequence = [*pages, pages[0] + 1]
    for number, found in series.require_complete(9).images().items():
        same_pixels(found, sequence[number % 4], f"frame {number}")


@case(limit=120)
def the_phantom_normalises_to_a_believable_transmission(bench):
    dark, flat = bench.folder / "dark.tif", bench.folder / "flat.tif"
    status, _, said = bench.run("openbeam-send", "--size", "320x240", "--write-dark", dark,
                                "--write-flat", flat)
    equal(status, 0, f"status of openbeam-send; {said}")
    series, _ = stream(bench, {
        "reduce.normalise": "transmission", "calibration.dark": dark, "calibration.flat": flat},
        "--size", "320x240", "--pattern", "phantom", frames=30)
    image = series.require_complete(30).images()[7]
    good = image[numpy.isfinite(image)]
    low, middle, high = numpy.percentile(good, (1, 50, 99))
    check(0 <= low < 0.9 and 0.8 < high < 1.3, f"percentiles {low:.3f} {middle:.3f} {high:.3f}")
    check(0 < int(series.rows[7]["bad"]) < 0.05 * image.size, "a few dead pixels")
    gain = reference.gain(tifffile.imread(dark), tifffile.imread(flat))
    equal(int(numpy.isnan(gain).sum()), int(series.rows[7]["bad"]), "bad pixels")


@case(limit=120)
def large_frames_through_tcp_into_a_binned_tiff_are_complete(bench):
    camera = bench.camera(endpoint="tcp://127.0.0.1:*")
    endpoint = camera.endpoint
    camera.close()
    bench.cameras.remove(camera)
    frames = 1000 if bench.long else 60
    daemon = bench.daemon(endpoint, {
        "ingest.frame_limit": "16MiB", "ingest.buffer": "512MiB", "reduce.bin": 2,
        "reduce.type": "uint16", "reduce.window": [0, 4096], "series.frames": frames,
        "sinks": [bench.sink(sync="1s")]})
    sender = bench.send(endpoint, "--size", "2560x2160", "--rate", 0, "--frames", frames,
                        "--pattern", "counter")
    daemon.wait(0, 110)
    equal(sender.wait(10), 0, "status of the sender")
    series = bench.series().require_complete(frames)
    mean = reference.binned(counter(11, (2160, 2560)).astype("float32"), 2)
    expected, _ = reference.to_integer(mean, "uint16", 0, 4096)
    found = series.image(series.rows[11])
    check(numpy.abs(found.astype(int) - expected.astype(int)).max() <= 1, "the binned frame")
