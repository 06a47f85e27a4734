# SPDX-License-Identifier: Apache-2.0
"""Which number belongs to which series, and what becomes of each."""
import time

import e2e_reference as reference
from e2e_case import case, check, equal

SHAPE = (8, 16)


def image(number):
    return reference.noise_image(SHAPE, number, 0, 4096)


def stream(bench, numbers, settings, status=0, series=1):
    """Send frames with these numbers; what was written."""
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"series.idle_end": "400ms", **settings}, series=series)
    for number in numbers:
        camera.send(number, image(number))
    daemon.wait(status)
    return bench.all_series()


def states(series):
    """{number: state or state:reason} in short."""
    return {n: state + (f":{reason}" if reason else "") for n, (state, reason) in series.states().items()}


def written(*numbers):
    return {n: "written" for n in numbers}


@case
def the_first_number_is_the_smallest_seen(bench):
    series, = stream(bench, [42, 40, 41, 43], {"series.first": "auto"})
    equal(states(series.require_closed()), written(40, 41, 42, 43), "states")
    equal(series.manifest["expected_from"], "seen", "expected_from")
    equal([int(r["index"]) for r in series.rows], [0, 1, 2, 3], "pages in order of number")


@case
def a_lost_head_and_tail_are_known_when_first_and_frames_are_given(bench):
    series, = stream(bench, [2, 3, 5], {"series.first": 0, "series.frames": 8}, 1)
    missing = {n: "missing:never" for n in (0, 1, 4, 6, 7)}
    equal(states(series.require_closed()), {**written(2, 3, 5), **missing}, "states")
    equal(series.manifest["expected_from"], "config", "expected_from")
    equal(series.state, "incomplete", "state")


@case
def a_gap_is_named_and_does_not_hold_up_the_rest(bench):
    series, = stream(bench, [n for n in range(300) if n != 100], {"series.frames": 300}, 1)
    equal({n: s for n, s in states(series.require_closed()).items() if s != "written"},
          {100: "missing:never"}, "lost")


@case
def frames_out_of_order_are_put_in_order(bench):
    numbers = list(range(100))
    for at in range(0, 96, 5):
        numbers[at], numbers[at + 4] = numbers[at + 4], numbers[at]
    series, = stream(bench, numbers, {"series.frames": 100})
    series.require_complete(100)
    equal([int(r["frame"]) for r in series.rows], list(range(100)), "numbers in the ledger")
    equal([int(r["index"]) for r in series.rows], list(range(100)), "pages")
    for number, found in series.images().items():
        check((found == image(number)).all(), f"the page of frame {number} holds its pixels")


@case
def a_number_sent_twice_is_written_once(bench):
    series, = stream(bench, [0, 1, 1, 2, 2, 2, 3], {"series.frames": 4})
    equal(states(series.require_complete(4)), written(0, 1, 2, 3), "states")
    equal(series.totals["duplicate"], 3, "duplicate")
    equal(series.totals["received"], 4, "received does not count duplicates")


@case
def a_number_already_declared_missing_is_late(bench):
    numbers = [n for n in range(200) if n != 50]
    numbers.insert(numbers.index(116), 50)  # 65 behind the newest, one more than reorder
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"series.frames": 300, "series.idle_end": "400ms"})
    for number in numbers:
        camera.send(number, image(number))
    status = daemon.wait(None)
    equal(status, 1, "exit status")
    first = bench.all_series()[0]
    equal(states(first)[50].split(":")[0], "missing", "state of frame 50")
    equal(first.lost("rejected"), {"late": 1}, "rejected")


@case
def the_counter_going_back_begins_a_new_series(bench):
    numbers = [*range(200), *range(150)]
    first, second = stream(bench, numbers, {"series.first": "auto"}, series=2)
    equal(states(first.require_closed()), written(*range(200)), "the first series")
    equal(states(second.require_closed()), written(*range(150)), "the second series")
    check(first.folder != second.folder, "each in a folder of its own")


@case
def silence_ends_a_series_and_the_next_frame_begins_another(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"series.first": "auto", "series.idle_end": "300ms"},
                          series=2)
    for number in range(5):
        camera.send(number, image(number))
    bench.wait_for_end(1)
    daemon.require_running()
    for number in range(5, 9):
        camera.send(number, image(number))
    daemon.wait()
    first, second = bench.all_series()
    equal(states(first.require_closed()), written(*range(5)), "the first series")
    equal(states(second.require_closed()), written(*range(5, 9)), "the second series")


@case
def a_series_of_n_frames_ends_by_itself(bench):
    started = time.monotonic()
    series, = stream(bench, range(10), {"series.frames": 10, "series.idle_end": "60s"})
    series.require_complete(10)
    check(time.monotonic() - started < 15, "it did not wait for silence")


@case
def messages_after_the_last_frame_belong_to_no_series(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"series.frames": 3, "series.idle_end": "700ms"}, series=2)
    for number in range(6):
        camera.send(number, image(number))
    bench.wait_for_end(1)
    time.sleep(1.5)  # silence, after which numbers count anew
    for number in range(3):
        camera.send(number, image(100 + number))
    daemon.wait()
    first, second = bench.all_series()
    first.require_complete(3)
    second.require_complete(3)
    total = sum(s.totals["rejected"]["no_series"] for s in (first, second))
    equal(total, 3, "rejected as no_series, in either manifest")


@case
def a_decimated_stream_counts_in_steps(bench):
    series, = stream(bench, [0, 50, 100, 120, 150, 250], {"series.step": 50, "series.frames": 6}, 1)
    equal(states(series.require_closed()),
          {**written(0, 50, 100, 150, 250), 200: "missing:never"}, "states")
    equal(series.lost("rejected"), {"step": 1}, "rejected")


@case
def a_jump_that_is_not_confirmed_is_rejected(bench):
    settings = {"series.first": "auto", "series.max_gap": 1000}
    series, = stream(bench, [*range(10), 500000, *range(10, 20)], settings)
    equal(states(series.require_closed()), written(*range(20)), "states")
    equal(series.lost("rejected"), {"jump": 1}, "rejected")


@case
def a_jump_that_three_frames_confirm_begins_a_new_series(bench):
    settings = {"series.first": "auto", "series.max_gap": 1000}
    first, second = stream(bench, [*range(10), *range(500000, 500010)], settings, series=2)
    equal(states(first.require_closed()), written(*range(10)), "the first series")
    check(set(states(second.require_closed())) >= set(range(500003, 500010)), "the second series")


@case
def numbers_of_64_bits_are_kept(bench):
    start = 2**53 + 1
    series, = stream(bench, range(start, start + 5), {"series.first": "auto"})
    equal(states(series.require_closed()), written(*range(start, start + 5)), "states")


@case
def a_new_size_after_silence_begins_a_new_series(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"series.first": "auto", "series.idle_end": "300ms"},
                          series=2)
    for number in range(4):
        camera.send(number, image(number))
    bench.wait_for_end(1)
    for number in range(4):
        camera.send(number, reference.noise_image((31, 7), number, 0, 99, "uint8"))
    daemon.wait()
    first, second = bench.all_series()
    equal(first.require_complete(4).images()[0].shape, SHAPE, "shape of the first")
    equal(second.require_complete(4).images()[0].shape, (31, 7), "shape of the second")


@case
def a_new_size_that_stays_begins_a_new_series(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "series.first": "auto", "series.idle_end": "600ms", "series.reorder": 8}, series=2)
    for number in range(20):
        camera.send(number, image(number))
    for number in range(20, 60):
        camera.send(number, reference.noise_image((9, 9), number, 0, 99))
    daemon.wait(1)
    first, second = bench.all_series()
    first.require_closed()
    second.require_closed()
    equal(first.totals["written"], 20, "written of the first size")
    check(30 <= second.totals["written"] <= 40, f"written of the second: {second.totals['written']}")
    rejected = sum(s.totals["rejected"]["shape"] for s in (first, second))
    equal(rejected + second.totals["written"], 40, "each frame of the second size is accounted for")


@case
def folders_are_never_overwritten(bench):
    for run in range(3):
        stream(bench, range(3), {"series.frames": 3})
    folders = [s.require_complete(3).folder.name for s in bench.all_series()]
    equal(len(set(folders)), 3, f"folders: {folders}")


@case
def angles_come_from_the_frames_headers(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        "rotation.from_key": "image_attributes.angle", "series.frames": 5})
    for number, angle in enumerate((0.1, -7, "12.5", "east", None)):
        camera.send(number, image(number), image_attributes={"angle": angle})
    daemon.wait()
    series, = bench.all_series()
    equal([row["rotation"] for row in series.rows], ["0.10000000000000001", "-7", "12.5", "", ""],
          "angles")


@case
def angles_are_computed_by_number(bench):
    series, = stream(bench, (10, 12, 18), {
        "rotation.start": -90, "rotation.step": 0.5, "series.step": 2, "series.frames": 5,
        "series.first": "auto"}, status=1)
    equal([row["rotation"] for row in series.rows], ["-90", "-89.5", "", "", "-88"], "angles")


@case(quick=True)
def the_ledger_has_its_columns_and_times(bench):
    before = time.time_ns()
    series, = stream(bench, range(20), {"series.frames": 20})
    columns = ("frame,state,reason,flags,file,index,averaged,timestamp_ns,received_ns,durable_ns,min,max,"
               "mean,std,raw_min,raw_max,raw_mean,raw_std,saturated,bad,clipped,dose,crc32c,"
               "rotation,calibration,raw_p0.1,raw_p1,raw_p50,raw_p99,raw_p99.9,p0.1,p1,p50,p99,p99.9"
               ).split(",")
    equal(list(series.rows[0]), columns, "columns")
    equal({row["rotation"] for row in series.rows}, {""}, "angles when none are configured")
    height, width = image(0).shape
    said = series.manifest["frames"]
    equal([said[k] for k in ("width", "height", "payload_width", "payload_height", "left", "top")],
          [width, height, width, height, 0, 0], "the frames by the manifest")
    equal((said["type"], said["bits"], said["saturation"], said["no_value"]),
          ("uint16", 16, 65535, None), "their pixels")
    equal((series.manifest["kind"], series.manifest["findings"], series.manifest["regions"]),
          ("sample", [], []), "what the manifest has of a plain series")
    for kind in ("raw", "normalised"):
        values = series.manifest["percentiles"][kind]
        check(len(values) == 5 and values == sorted(values), f"percentiles {kind}: {values}")
    for row in series.rows:
        received, durable = int(row["received_ns"]), int(row["durable_ns"])
        check(before <= received <= durable <= time.time_ns(), "received, then durable, in this run")
    reasons = series.totals
    equal(set(reasons["dropped"]), {"overload", "decode", "write", "no_space", "aborted", "crash"},
          "reasons of dropped")
    equal(set(reasons["missing"]), {"never", "rejected", "overload_at_sender"}, "reasons of missing")
    equal(set(reasons["rejected"]), {"header", "parts", "shape", "type", "length", "step", "jump",
                                     "late", "no_series", "encoding"}, "reasons of rejected")
    for key in ("version", "commit", "isa", "totals", "expected_from", "state"):
        check(key in series.manifest, f"the manifest has {key}")
