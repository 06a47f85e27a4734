# SPDX-License-Identifier: Apache-2.0
"""Detectors' streams under pressure: what is said twice, too late, wrongly or not at all."""
import struct
import time

import cbor2
import lz4.block
import numpy

from e2e_case import case, check, contains, equal, until
from e2e_detectors import (RAW, SLS_END, image, sls, stream, v1_end, v1_header, v1_image, v2, v2_image)

SHAPE = (12, 20)


def start(bench, cameras, protocol, settings=None, series=1):
    return bench.daemon([c.endpoint for c in cameras], {
        "ingest.protocol": protocol, **RAW, "series.end_grace": "300ms", **(settings or {})},
        series=series)


def v1_series(camera, series, frames, first=0):
    for n in range(first, frames):
        camera.send_parts(*v1_image(series, n, image(n)))
    camera.send_parts(*v1_end(series))


def send_ports(cameras, number, whole, skip=(), **more):
    width = whole.shape[1] // len(cameras)
    for place, camera in enumerate(cameras):
        part = numpy.ascontiguousarray(whole[:, place * width:(place + 1) * width])
        if place not in skip:
            camera.send_parts(sls(number, 0, place, (len(cameras), 1), part,
                                  bits=8 * part.itemsize, **more), part.tobytes())


@case(limit=90)
def start_messages_on_every_socket_change_the_mask_once(bench):
    cameras = [bench.camera() for _ in range(2)]
    shape, rounds = (300, 300), 8
    daemon = start(bench, cameras, "dectris-v1", {"reduce.type": "float32"}, series=rounds)
    for k in range(1, rounds + 1):
        mask = numpy.zeros(shape, "uint32")
        mask[k, k] = 1
        for camera in cameras:
            camera.send_parts(*v1_header(k, 2, shape, "all", mask))
        for n, camera in enumerate(cameras):
            camera.send_parts(*v1_image(k, n, image(n, shape)))
        bench.wait_for_end(k)
    daemon.wait()
    for k, series in enumerate(bench.all_series(), 1):
        for found in series.require_complete(2).images().values():
            equal(numpy.argwhere(numpy.isnan(found)).tolist(), [[k, k]], f"bad pixels of series {k}")


@case
def a_start_message_with_impossible_sizes_is_survived(bench):
    messages = [v2(type="start", series_id=5, series_unique_id="01X", number_of_images=3,
                   image_size_x=2**31, image_size_y=2**31, image_dtype="uint32"),
                v2(type="end", series_id=5, series_unique_id="01X"),
                v2(type="start", series_id=6, series_unique_id="01Y", number_of_images=1),
                v2(type="image", series_id=6, series_unique_id="01Y", image_id=0,
                   data=cbor2.loads(v2_image(0, image(0))[0])["data"]),
                v2(type="end", series_id=6, series_unique_id="01Y")]
    daemon = stream(bench, "dectris-v2", messages, series=2, status=1)
    contains(daemon.log, "3 frames were expected, none came")
    bench.series().require_complete(1)


@case
def an_armed_series_waits_for_its_trigger(bench):
    camera = bench.camera()
    daemon = start(bench, [camera], "dectris-v1", {"series.end_timeout": "500ms"})
    camera.send_parts(*v1_header(1, 4, SHAPE))
    time.sleep(2)
    v1_series(camera, 1, 4)
    daemon.wait()
    bench.series().require_complete(4)


@case
def a_pause_beyond_the_end_timeout_makes_two_series_and_loses_nothing(bench):
    camera = bench.camera()
    daemon = start(bench, [camera], "dectris-v1", {"series.end_timeout": "500ms"}, series=2)
    camera.send_parts(*v1_header(1, 8, SHAPE))
    for n in range(4):
        camera.send_parts(*v1_image(1, n, image(n)))
    bench.wait_for_end(1)
    v1_series(camera, 1, 8, first=4)
    daemon.wait(1)
    equal([s.totals["written"] for s in bench.all_series()], [4, 4], "written")


@case
def a_duplicate_from_far_back_does_not_split_a_series(bench):
    camera = bench.camera()
    daemon = start(bench, [camera], "dectris-v1", {"series.headless": "reject"})
    camera.send_parts(*v1_header(1, 100, SHAPE))
    for n in (*range(70), 0, *range(70, 100)):
        camera.send_parts(*v1_image(1, n, image(n)))
    camera.send_parts(*v1_end(1))
    daemon.wait()
    equal(bench.series().require_complete(100).totals["duplicate"], 1, "duplicates")


@case
def images_nobody_announced_do_not_hold_up_the_next_series(bench):
    cameras = [bench.camera() for _ in range(2)]
    daemon = start(bench, cameras, "dectris-v1", {"series.headless": "reject",
                                                  "series.end_grace": "500ms"})
    for n in range(30):
        cameras[n % 2].send_parts(*v1_image(1, n, image(n)))
    cameras[0].send_parts(*v1_end(1))
    cameras[0].send_parts(*v1_header(2, 4, SHAPE))
    for n in range(4):
        cameras[n % 2].send_parts(*v1_image(2, n, image(n)))
    daemon.wait(0, 10)
    series = bench.series().require_complete(4)
    equal(series.lost("rejected"), {"no_series": 30}, "rejected")


@case
def a_late_start_that_announces_less_than_came_keeps_the_ledger_whole(bench):
    cameras = [bench.camera() for _ in range(2)]
    daemon = start(bench, cameras, "dectris-v1", series=None)
    for n in range(10):
        cameras[0].send_parts(*v1_image(1, n, image(n)))
    bench.wait_for_series(1)
    time.sleep(0.7)
    cameras[1].send_parts(*v1_header(1, 5, SHAPE))
    time.sleep(0.3)
    cameras[1].send_parts(*v1_end(1))
    bench.wait_for_end(1)
    daemon.stop(None)
    equal(bench.series().require_closed().totals["written"], 10, "written")


@case
def who_joins_late_gets_the_rest(bench):
    camera = bench.camera()
    daemon = start(bench, [camera], "dectris-v1")
    for n in range(2000000, 2000050):
        camera.send_parts(*v1_image(1, n, image(n)))
    camera.send_parts(*v1_end(1))
    daemon.wait()
    series = bench.series().require_complete(48)
    equal(series.lost("rejected"), {"jump": 2}, "rejected, until three agree")


@case
def term_ends_the_wait_for_a_start_message(bench):
    cameras = [bench.camera() for _ in range(2)]
    daemon = start(bench, cameras, "dectris-v1", {"series.end_grace": "20s"}, series=None)
    cameras[0].send_parts(*v1_image(1, 0, image(0)))
    time.sleep(0.5)
    began = time.monotonic()
    daemon.stop(None)
    check(time.monotonic() - began < 5, "it ends at once")
    equal(bench.series().require_closed().totals["written"], 1, "written")


@case
def ports_that_count_anew_without_an_end_are_whole(bench):
    cameras = [bench.camera() for _ in range(2)]
    daemon = start(bench, cameras, "sls", {"series.end_timeout": "500ms"}, series=2)
    for n in range(1, 101):
        send_ports(cameras, n, image(n, (6, 16)))
    bench.wait_for_end(1)
    time.sleep(1)
    for n in range(1, 51):
        send_ports(cameras, n, image(n, (6, 16)))
    for camera in cameras:
        camera.send_parts(SLS_END)
    daemon.wait()
    for series, frames in zip(bench.all_series(), (100, 50)):
        series.require_complete(frames)


@case
def one_wild_port_number_costs_one_frame(bench):
    cameras = [bench.camera() for _ in range(2)]
    daemon = start(bench, cameras, "sls", {"ingest.assembly_timeout": "200ms"}, series=None)
    part = numpy.zeros((6, 8), "uint16")
    for n in range(1, 11):
        send_ports(cameras, n, image(n, (6, 16)))
    cameras[0].send_parts(sls(2**40, 0, 0, (2, 1), part), part.tobytes())
    time.sleep(0.5)
    for n in range(11, 51):
        send_ports(cameras, n, image(n, (6, 16)))
    for camera in cameras:
        camera.send_parts(SLS_END)
    bench.wait_for_end(1)
    daemon.stop(None)
    series = bench.series().require_closed()
    equal((series.totals["written"], series.totals["flagged"]), (50, 0), "written, flagged")
    equal(series.lost("rejected"), {"jump": 1}, "rejected")


@case
def an_average_has_no_value_where_a_port_lacks(bench):
    for bits, kind in ((8, "uint8"), (16, "uint16"), (32, "uint32")):
        cameras = [bench.camera() for _ in range(2)]
        daemon = start(bench, cameras, "sls", {
            "reduce.average": 2, "reduce.type": "float32", "ingest.assembly_timeout": "200ms",
            "sinks": [bench.sink(folder=f"bits{bits}")]})
        ten = numpy.full((6, 16), 10, kind)
        send_ports(cameras, 1, ten)
        send_ports(cameras, 2, ten, skip=(1,))
        time.sleep(0.5)
        for camera in cameras:
            camera.send_parts(SLS_END)
        daemon.wait(1)
        page = bench.series(bench.folder / f"bits{bits}").pages()[0]
        check((page[:, :8] == 10).all() and numpy.isnan(page[:, 8:]).all(), f"{bits} bit: {page[0]}")


@case
def an_average_has_no_value_where_a_pixel_had_none(bench):
    pixels = [numpy.full(SHAPE, 10, "uint16") for _ in range(2)]
    pixels[1][3, 4] = 65535
    messages = [v1_header(1, 2, SHAPE), *(v1_image(1, n, p) for n, p in enumerate(pixels)), v1_end(1)]
    stream(bench, "dectris-v1", messages, {"reduce.average": 2, "reduce.type": "float32",
                                           "sinks": [bench.sink()]})
    page = bench.series().pages()[0]
    equal(numpy.argwhere(numpy.isnan(page)).tolist(), [[3, 4]], "pixels without value")
    check((page[~numpy.isnan(page)] == 10).all(), "the others' mean")


@case(limit=120)
def a_mask_that_is_a_bomb_does_not_pass_the_ceiling(bench):
    camera = bench.camera()
    daemon = start(bench, [camera], "dectris-v2", {"ingest.buffer": "256MiB",
                                                   "ingest.frame_limit": "64MiB"})
    side, block, frames = 8192, 1 << 20, 50
    one = lz4.block.compress(bytes(block), store_size=False)
    data = struct.pack(">QI", 4 * side * side, block) + \
        (struct.pack(">I", len(one)) + one) * (4 * side * side // block)
    mask = cbor2.CBORTag(40, [[side, side], cbor2.CBORTag(70, cbor2.CBORTag(56500, ["lz4", 0, data]))])
    camera.send_parts(*v2(type="start", series_id=5, series_unique_id="01X", number_of_images=frames,
                          pixel_mask={"threshold_1": mask}))
    for n in range(frames):
        camera.send_parts(*v2_image(n, image(n, (300, 300))))
    camera.send_parts(*v2(type="end", series_id=5, series_unique_id="01X"))
    daemon.wait()
    bench.series().require_complete(frames)
    check("memory passed the ceiling" not in daemon.log, "the ceiling was kept")
