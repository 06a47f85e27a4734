# SPDX-License-Identifier: Apache-2.0
"""Detectors' protocols: recorded messages, and the ways in which series begin and end."""
import hashlib
import json
import re
import struct

import cbor2
import lz4.block
import numpy
import zmq

import e2e_reference as reference
from e2e_case import case, check, contains, equal, same_pixels, until

RAW = {"reduce.type": "source", "series.first": None}


def image(seed=0, shape=(12, 20), dtype="uint16", top=4096):
    return reference.noise_image(shape, seed, 0, top, dtype)


def expected_hashes(bench):
    entries = json.loads(bench.shared("vectors", "expected.json").read_text())
    return {(e["file"], e["part"]): e for e in entries}


def raw_frames(bench, series):
    """{number: bytes} of a raw sink's files."""
    row_bytes = {}
    for row in series.written():
        data = (series.folder / row["file"]).read_bytes()
        size = len(data) // sum(r["file"] == row["file"] for r in series.written())
        index = int(row["index"])
        row_bytes[int(row["frame"])] = data[index * size:(index + 1) * size]
    return row_bytes


def require_hash(entry, pixels, what):
    equal(hashlib.sha256(pixels).hexdigest(), entry["sha256_decoded_native_le"], f"sha256 of {what}")


def stream(bench, protocol, messages, settings=None, series=1, status=0, folder="", **options):
    """Send messages (lists of parts) from one PUSH socket; the daemon that took them."""
    camera = bench.camera(**options)
    daemon = bench.daemon(camera.endpoint, {
        "ingest.protocol": protocol, **RAW, "series.end_grace": "200ms",
        "sinks": [bench.sink("raw", folder)], **(settings or {})}, series=series)
    for parts in messages:
        camera.send_parts(*parts)
    daemon.wait(status)
    return daemon


def v1_recording(folder):
    """[(kind, [parts], [paths])] of a folder of streamData files."""
    paths = sorted(folder.glob("streamData.*"))
    messages, at = [], 0
    while at < len(paths):
        header = json.loads(paths[at].read_bytes())
        kind = header["htype"].split("-")[0]
        count = {"dheader": 8, "dimage": 4, "dseries_end": 1}[kind]
        chosen = paths[at:at + count]
        messages.append((kind, [p.read_bytes() for p in chosen], chosen))
        at += count
    return messages


@case(limit=120)
def the_recorded_eiger_series_are_two_complete_ones(bench):
    folder = bench.shared("vectors", "dectris_v1_eiger2_1M")
    hashes, messages = expected_hashes(bench), v1_recording(folder)
    daemon = stream(bench, "dectris-v1", [parts for _, parts, _ in messages], series=2)
    found = bench.all_series()
    equal(len(found), 2, "series")
    images = [paths for kind, _, paths in messages if kind == "dimage"]
    for which, series in enumerate(found):
        series.require_complete(10)
        equal(series.manifest["expected_from"], "protocol", "expected_from")
        for number, pixels in raw_frames(bench, series).items():
            path = images[10 * which + number][2]
            entry = hashes[(f"dectris_v1_eiger2_1M/{path.name}", "whole file")]
            require_hash(entry, pixels, path.name)
            row = series.rows[number]
            equal(int(row["bad"]), entry["count_eq_max"], "bad pixels: those of value 2^32 - 1")
            equal(int(float(row["raw_max"])), entry["max_below_max_minus_1"], "raw_max")
            equal(row["saturated"], "0", "saturated")
    detector = found[0].manifest["detector"]
    equal(detector["description"], "Dectris EIGER2 Si 1M", "description")
    equal(detector["exposure_s"], 0.9999999, "exposure")
    equal(detector["saturation"], 1702013, "saturation: one above the cut-off")
    contains(daemon.log, "Dectris EIGER2 Si 1M")


@case(limit=120)
def the_truncated_recording_gives_three_rejected_frames_and_a_clean_end(bench):
    path = bench.shared("vectors", "dectris_v1_eiger2_9M_trunc", "eiger-small.cbors")
    messages = []
    with open(path, "rb") as file:
        while True:
            try:
                messages.append([bytes(p) for p in cbor2.load(file)])
            except (cbor2.CBORDecodeEOF, EOFError):
                break
    stream(bench, "dectris-v1", messages, {"ingest.frame_limit": "64MiB", "ingest.buffer": "1GiB"},
           status=1)
    series = bench.series().require_closed()
    equal(series.lost("rejected"), {"length": 3}, "rejected")
    equal((series.totals["written"], series.totals["received"]), (0, 0), "written, received")
    equal(series.lost("missing")["rejected"], 3, "missing, by rejected messages")


@case(limit=120)
def recorded_v2_images_decode_on_every_channel(bench):
    folder = bench.shared("vectors", "dectris_v2")
    hashes = expected_hashes(bench)
    for kind, names in (("bslz4_16bit", ["000001", "000002"]), ("lz4_8bit", ["000001"])):
        files = [f"{kind}_{n}.cbor" for n in names]
        messages = [[(folder / f).read_bytes()] for f in (*files, f"{kind}_000011.cbor")]
        for channel in ("threshold_1", "threshold_2", "difference", ""):
            out = f"{kind}-{channel or 'first'}"
            stream(bench, "dectris-v2", messages, {"ingest.channel": channel}, folder=out)
            series = bench.series(bench.folder / out).require_complete(len(files))
            for number, pixels in raw_frames(bench, series).items():
                entry = hashes[(f"dectris_v2/{files[number]}", channel or "threshold_1")]
                require_hash(entry, pixels, f"{files[number]} {channel}")
            check(int(series.rows[0]["timestamp_ns"]) > 1676000000 * 10**9, "a time of 2023")


@case
def a_recorded_camera_message_of_bsread_decodes(bench):
    folder = bench.shared("vectors", "bsread_cam")
    parts = [(folder / f"000000_00{i}.raw").read_bytes() for i in range(4)]
    stream(bench, "bsread", [parts], {"series.frames": 1})
    series = bench.series().require_complete(1)
    number = json.loads(parts[0])["pulse_id"]
    entry = expected_hashes(bench)[("bsread_cam/000000_002.raw", "blob")]
    require_hash(entry, raw_frames(bench, series)[number], "the camera's frame")
    stamp = json.loads(parts[0])["global_timestamp"]
    seconds = stamp.get("sec", stamp.get("epoch"))
    equal(int(series.rows[0]["timestamp_ns"]), seconds * 10**9 + stamp["ns"], "timestamp")


@case
def the_recorded_stins_stream_decodes_and_its_pickles_are_left_alone(bench):
    path = bench.shared("vectors", "maxiv_stins", "xspress3-multipart.cbors")
    messages = []
    with open(path, "rb") as file:
        while True:
            try:
                messages.append([bytes(p) for p in cbor2.load(file)])
            except (cbor2.CBORDecodeEOF, EOFError):
                break
    images = [m for m in messages if json.loads(m[0])["htype"] == "image"]
    check(all(len(m) == 3 for m in images), "images have extras")
    stream(bench, "stins", messages)
    series = bench.series().require_complete(len(images))
    for number, pixels in raw_frames(bench, series).items():
        header = json.loads(images[number][0])
        equal(header["frame"], number, "number")
        equal(pixels, images[number][1], f"pixels of frame {number}")


@case
def recorded_tiffs_pass_unchanged(bench):
    folder = bench.shared("vectors", "tomo_wood")
    for name in ("wood", "ob", "dc"):
        endpoint = f"ipc://{bench.folder}/{name}.socket"
        daemon = bench.daemon(endpoint, {**RAW, "series.frames": 1, "series.first": 0,
                                         "sinks": [bench.sink("raw", name)]})
        sender = bench.send(endpoint, "--tiff", folder / f"{name}_0000.tif", "--frames", 1)
        daemon.wait()
        equal(sender.wait(10), 0, "status of the sender")
        series = bench.series(bench.folder / name).require_complete(1)
        entry = expected_hashes(bench)[(f"tomo_wood/{name}_0000.tif", "page 0")]
        pixels = numpy.frombuffer(raw_frames(bench, series)[0], "<u2")
        require_hash(entry, pixels.tobytes(), name)


# ---- messages of our own

def v1_header(series, frames, shape, detail="basic", mask=None, **config):
    config = {"nimages": frames, "ntrigger": 1, "trigger_mode": "ints", "count_time": 0.001,
              "frame_time": 0.002, "x_pixels_in_detector": shape[1],
              "y_pixels_in_detector": shape[0], "bit_depth_image": 16, **config}
    parts = [{"htype": "dheader-1.0", "series": series, "header_detail": detail}]
    if detail != "none":
        parts.append(config)
    parts = [json.dumps(p).encode() for p in parts]
    if detail == "all":
        empty = b'{"htype":"dflatfield-1.0","shape":[],"type":"undefined"}'
        parts += [empty, b""]
        if mask is None:
            parts += [empty.replace(b"dflatfield", b"dpixelmask"), b""]
        else:
            parts += [json.dumps({"htype": "dpixelmask-1.0", "type": "uint32",
                                  "shape": [mask.shape[1], mask.shape[0]]}).encode(),
                      mask.astype("<u4").tobytes()]
        parts += [b'{"htype":"dcountrate_table-1.0","shape":[2,1],"type":"float32"}', bytes(8)]
    return parts


def v1_image(series, frame, pixels, encoding="lz4<", **more):
    data = pixels.tobytes()
    if encoding == "lz4<":
        data = lz4.block.compress(data, store_size=False)
    shape = {"htype": "dimage_d-1.0", "shape": [pixels.shape[1], pixels.shape[0]],
             "type": pixels.dtype.name, "encoding": encoding, "size": len(data), **more}
    return [json.dumps({"htype": "dimage-1.0", "series": series, "frame": frame,
                        "hash": "0" * 32}).encode(),
            json.dumps(shape).encode(), data,
            json.dumps({"htype": "dconfig-1.0", "start_time": 1000 * frame, "stop_time": 0,
                        "real_time": 1000000}).encode()]


def v1_end(series):
    return [json.dumps({"htype": "dseries_end-1.0", "series": series}).encode()]


@case
def the_detectors_pixel_mask_and_cut_off_are_used(bench):
    shape = (12, 20)
    mask = numpy.zeros(shape, "uint32")
    mask[3, 4], mask[5, 6] = 1, 16
    pixels = [image(n, shape) for n in range(4)]
    pixels[2][0, 0] = 65535
    messages = [v1_header(1, 4, shape, "all", mask, countrate_correction_count_cutoff=3999),
                *(v1_image(1, n, p) for n, p in enumerate(pixels)), v1_end(1)]
    stream(bench, "dectris-v1", messages, {"reduce.type": "float32", "sinks": [bench.sink()]})
    series = bench.series().require_complete(4)
    for number, found in series.images().items():
        expected = pixels[number].astype("float32")
        expected[mask != 0] = numpy.nan
        expected[pixels[number] == 65535] = numpy.nan
        same_pixels(found, expected, f"frame {number}")
        good = (mask == 0) & (pixels[number] != 65535)
        equal(int(series.rows[number]["bad"]), int((~good).sum()), "bad")
        equal(int(series.rows[number]["saturated"]), int((pixels[number][good] >= 4000).sum()),
              "saturated")
    equal(series.manifest["detector"]["masked"], 2, "masked pixels")


@case
def a_mask_that_changes_between_series_changes_the_pixels(bench):
    shape = (12, 20)
    masks = [numpy.zeros(shape, "uint32") for _ in range(3)]
    masks[0][1, 1] = masks[2][2, 2] = 2
    messages = []
    for number, mask in enumerate(masks):
        messages += [v1_header(number, 2, shape, "all", mask),
                     *(v1_image(number, n, image(n, shape)) for n in range(2)), v1_end(number)]
    stream(bench, "dectris-v1", messages, {"reduce.type": "float32", "sinks": [bench.sink()]},
           series=3)
    for series, mask in zip(bench.all_series(), masks):
        found = series.require_complete(2).images()[1]
        equal(numpy.argwhere(numpy.isnan(found)).tolist(), numpy.argwhere(mask).tolist(), "bad")


@case
def every_encoding_of_v1_decodes(bench):
    import bitshuffle
    shape = (10, 27)

    def shuffled(pixels):
        data = bitshuffle.compress_lz4(pixels.reshape(-1)).tobytes()
        return struct.pack(">QI", pixels.nbytes, 8192) + data

    cases = []
    for dtype, bits in (("uint8", 8), ("uint16", 16), ("uint32", 32)):
        cases.append((dtype, f"bs{bits}-lz4<", shuffled))
        cases.append((dtype, "<", lambda p: p.tobytes()))
        cases.append((dtype, "lz4<", lambda p: lz4.block.compress(p.tobytes(), store_size=False)))
        cases.append((dtype, ">", lambda p: p.byteswap().tobytes()))
    for number, (dtype, encoding, make) in enumerate(cases):
        pixels = image(number, shape, dtype, 200)
        data = make(pixels)
        parts = v1_image(number, 0, pixels, encoding, size=len(data))
        parts[2] = data
        stream(bench, "dectris-v1", [v1_header(number, 1, shape), [*parts, b"appendix, no JSON"],
                                     v1_end(number)], folder=f"case{number}")
        series = bench.series(bench.folder / f"case{number}").require_complete(1)
        equal(raw_frames(bench, series)[0], pixels.tobytes(), f"{dtype} {encoding}")


@case
def damaged_data_are_dropped_by_name_and_the_series_goes_on(bench):
    shape = (64, 64)
    good = [image(n, shape) for n in range(3)]
    bad = v1_image(1, 1, good[1])
    bad[2] = bytes([bad[2][0] ^ 0xff]) + bytes(len(bad[2]) - 1)
    daemon = stream(bench, "dectris-v1", [
        v1_header(1, 3, shape), v1_image(1, 0, good[0]), bad, v1_image(1, 2, good[2]), v1_end(1)],
        status=1)
    series = bench.series().require_closed()
    equal(series.lost("dropped"), {"decode": 1}, "dropped")
    equal(series.totals["written"], 2, "written")
    contains(daemon.log, "frame 1 dropped: the LZ4 block is damaged")


@case
def an_end_that_overtakes_images_waits_for_them(bench):
    shape = (12, 20)
    messages = [v1_header(1, 4, shape), v1_image(1, 0, image(0)), v1_end(1),
                *(v1_image(1, n, image(n)) for n in (2, 1, 3))]
    stream(bench, "dectris-v1", messages)
    bench.series().require_complete(4)


@case
def an_end_before_the_last_image_leaves_a_loss_that_is_told(bench):
    stream(bench, "dectris-v1", [v1_header(1, 4, (12, 20)), v1_image(1, 0, image(0)), v1_end(1)],
           status=1)
    series = bench.series().require_closed()
    equal((series.totals["expected"], series.lost("missing")), (4, {"never": 3}), "expected, missing")


@case
def a_new_series_ends_the_old_one_and_its_stragglers_are_rejected(bench):
    shape = (12, 20)
    messages = [v1_header(1, 4, shape), v1_image(1, 0, image(0)), v1_image(1, 1, image(1)),
                v1_header(2, 2, shape), v1_image(1, 2, image(2)), v1_image(2, 0, image(5)),
                v1_image(1, 3, image(3)), v1_image(2, 1, image(6)), v1_end(2)]
    stream(bench, "dectris-v1", messages, series=2, status=1)
    old, new = bench.all_series()
    equal((old.totals["written"], old.lost("missing")), (2, {"never": 2}), "of the old one")
    new.require_complete(2)
    equal(new.lost("rejected"), {"no_series": 2}, "rejected stragglers")
    equal(raw_frames(bench, new)[0], image(5).tobytes(), "the new one's first frame")


@case
def images_without_a_start_message_are_taken_or_not_as_configured(bench):
    messages = [v1_image(7, 0, image(0)), v1_image(7, 1, image(1)), v1_end(7)]
    stream(bench, "dectris-v1", messages, folder="accept")
    series = bench.series(bench.folder / "accept").require_complete(2)
    equal(series.manifest["expected_from"], "seen", "expected_from")
    messages += [v1_header(8, 1, (12, 20)), v1_image(8, 0, image(2)), v1_end(8)]
    stream(bench, "dectris-v1", messages, {"series.headless": "reject"}, folder="reject")
    series = bench.series(bench.folder / "reject").require_complete(1)
    equal(series.lost("rejected"), {"no_series": 2}, "rejected")


@case
def series_that_change_without_a_word_are_told_apart(bench):
    messages = [v1_image(1, 0, image(0)), v1_image(1, 1, image(1)), v1_image(2, 0, image(2)),
                v1_image(2, 1, image(3)), v1_end(2)]
    daemon = stream(bench, "dectris-v1", messages, series=2)
    for series in bench.all_series():
        series.require_complete(2)
    contains(daemon.log, "frames of another series come without an end message")


@case
def parts_of_an_aborted_image_are_rejected_and_the_next_series_is_clean(bench):
    shape = (12, 20)
    whole = v1_image(1, 1, image(1))
    messages = [v1_header(1, 2, shape), v1_image(1, 0, image(0)), whole[1:], [whole[2]],
                [whole[3]], whole[:2],
                v1_header(2, 1, shape), v1_image(2, 0, image(2)), v1_end(2)]
    stream(bench, "dectris-v1", messages, series=2, status=1)
    old, new = bench.all_series()
    equal(old.lost("rejected"), {"header": 3, "parts": 1}, "rejected")
    equal(old.lost("missing"), {"rejected": 1}, "missing")
    new.require_complete(1)


@case
def a_series_without_images_closes_with_a_word(bench):
    messages = [v1_header(1, 5, (12, 20)), v1_end(1),
                v1_header(2, 1, (12, 20)), v1_image(2, 0, image(0)), v1_end(2)]
    stream(bench, "dectris-v1", messages, series=2, status=1)
    empty, good = bench.all_series()
    equal(empty.require_closed().lost("missing"), {"never": 5}, "missing")
    good.require_complete(1)


@case
def a_detector_that_counts_series_from_one_again_is_no_stranger(bench):
    shape = (12, 20)
    one = [v1_header(1, 2, shape), v1_image(1, 0, image(0)), v1_image(1, 1, image(1)), v1_end(1)]
    stream(bench, "dectris-v1", one + one + one, series=3)
    for series in bench.all_series():
        series.require_complete(2)


@case(limit=90)
def several_pull_sockets_share_one_stream(bench):
    """The start message reaches one socket, the end message another, and both overtake images."""
    shape, frames = (12, 20), 200
    mask = numpy.zeros(shape, "uint32")
    mask[0, 0] = 1
    cameras = [bench.camera() for _ in range(4)]
    daemon = bench.daemon([c.endpoint for c in cameras], {
        "ingest.protocol": "dectris-v1", **RAW, "reduce.type": "float32",
        "series.end_grace": "500ms"}, series=3)
    for series in range(1, 4):
        cameras[1].send_parts(*v1_header(series, frames, shape, "all", mask))
        for n in range(frames):
            cameras[n % 4].send_parts(*v1_image(series, n, image(n)))
            if n == frames - 20:
                cameras[2].send_parts(*v1_end(series))
        bench.wait_for_end(series)
    daemon.wait()
    for series in bench.all_series():
        series.require_complete(frames)
        for number, found in list(series.images().items())[::37]:
            check(numpy.isnan(found[0, 0]) and not numpy.isnan(found[0, 1]), f"mask in {number}")


@case
def announcing_a_million_million_frames_does_not_hang(bench):
    messages = [v1_header(1, 10**12, (12, 20)), v1_image(1, 0, image(0)), v1_end(1)]
    stream(bench, "dectris-v1", messages, status=1)
    series = bench.series()
    equal((series.totals["expected"], series.state), (1, "incomplete"), "expected, state")
    contains(" ".join(series.manifest["reasons"]), "the detector announced 1000000000000 frames")


# ---- stream V2

def typed(pixels, compression=None):
    import bitshuffle
    tag = {"uint8": 64, "uint16": 69, "uint32": 70, "uint64": 71, "int16": 77, "int32": 78,
           "int64": 79, "float16": 84, "float32": 85, "float64": 86}
    data = pixels.tobytes()
    if compression == "bslz4":
        packed = bitshuffle.compress_lz4(pixels.reshape(-1)).tobytes()
        data = cbor2.CBORTag(56500, ["bslz4", pixels.dtype.itemsize,
                                     struct.pack(">QI", pixels.nbytes, 8192) + packed])
    return cbor2.CBORTag(40, [list(pixels.shape), cbor2.CBORTag(tag[pixels.dtype.name], data)])


def v2(magic=True, **fields):
    return [(b"\xd9\xd9\xf7" if magic else b"") + cbor2.dumps(fields)]


def v2_image(number, pixels, compression=None, channel="threshold_1", **more):
    return v2(type="image", series_id=5, series_unique_id="01X", image_id=number,
              data={channel: typed(pixels, compression)}, **more)


@case
def v2_series_with_mask_decode_whatever_the_type(bench):
    shape = (10, 27)
    mask = numpy.zeros(shape, "uint32")
    mask[2, 3] = 1
    for dtype in ("uint8", "uint16", "uint32", "int16", "int32", "float32", "int64", "uint64",
                  "float16", "float64"):
        for compression in (None, "bslz4"):
            if compression and (dtype == "float32" or dtype.endswith("64")):
                continue
            pixels = image(3, shape, dtype, 100)
            if dtype.startswith("int"):
                pixels = pixels - 50
                pixels[4, 4] = -32768
            name = f"{dtype}-{compression}"
            start = dict(type="start", series_id=5, series_unique_id="01X", number_of_images=1,
                         image_size_x=shape[1], image_size_y=shape[0], channels=["threshold_1"],
                         pixel_mask={"threshold_1": typed(mask, "bslz4")}, error_value=-32768,
                         arm_date=cbor2.CBORTag(0, "2023-02-10T15:49:05.281+01:00"),
                         user_data=[{"a": [1, 2.5, None, True]}, "💙"], detector_description="J")
            if not dtype.startswith("int"):
                del start["error_value"]
            stream(bench, "dectris-v2", [v2(**start), v2_image(0, pixels, compression),
                                         v2(type="end", series_id=5, series_unique_id="01X")],
                   {"reduce.type": "float32", "sinks": [bench.sink(folder=name)]})
            series = bench.series(bench.folder / name).require_complete(1)
            expected = pixels.astype("float32")
            expected[2, 3] = numpy.nan
            if dtype.startswith("int"):
                expected[4, 4] = numpy.nan
            same_pixels(series.images()[0], expected, name)


@case
def v2_messages_of_every_legal_form_are_taken_and_others_refused_by_name(bench):
    good = image(0)
    shuffled = dict(reversed(list(cbor2.loads(v2_image(1, good)[0]).items())))
    bad_tag = cbor2.CBORTag(1040, [[12, 20], cbor2.CBORTag(69, good.tobytes())])
    trpx = cbor2.CBORTag(40, [[12, 20], cbor2.CBORTag(69, cbor2.CBORTag(56500, ["trpx", 0, b"x"]))])
    messages = [
        v2(type="start", series_id=5, series_unique_id="01X", number_of_images=3),
        v2(type="calibration", data=1), v2(type="metadata", images=[1, 2]),
        v2_image(0, good), [cbor2.dumps(shuffled)], v2_image(2, good, magic=False),
        v2(type="image", series_id=5, series_unique_id="01X", image_id=9, data={"t": bad_tag}),
        v2(type="image", series_id=5, series_unique_id="01X", image_id=9, data={"t": trpx}),
        v2(type="image", series_number=1, image_number=1), v2(type="image", data=b"abc"),
        [b"\xd9\xd9\xf7"], [b"{}"], [cbor2.dumps([1])], [b"\xa1" * 200]]
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {"ingest.protocol": "dectris-v2", **RAW,
                                            "series.idle_end": "1s", "series.end_timeout": "1s",
                                            "sinks": [bench.sink("raw")]}, series=None)
    for parts in messages:
        camera.send_parts(*parts)
    bench.wait_for_end(1)
    until(lambda: "this is the alpha format" in daemon.log, "the alpha format is named")
    daemon.stop()
    bench.series().require_complete(3)
    contains(daemon.log, "column-major", '"trpx"', "alpha format")


@case
def signed_and_dummy_frames_of_a_preview(bench):
    dummy = numpy.zeros((2, 2), "int16")
    stream(bench, "dectris-v2", [
        v2(type="start", series_id=5, series_unique_id="01X", number_of_images=2),
        v2_image(0, image(0)), v2_image(7, dummy), v2_image(1, image(1)),
        v2(type="end", series_id=5, series_unique_id="01X")])
    series = bench.series().require_complete(2)
    equal(series.totals["dummies"], 1, "dummies")


# ---- bsread

def bsread(pulse, channels, **main):
    """channels: [(description, value or None, with a timestamp)]"""
    data_header = json.dumps({"htype": "bsr_d-1.1", "channels": [c for c, _, _ in channels]}).encode()
    header = {"htype": "bsr_m-1.1", "pulse_id": pulse, "global_timestamp": {"sec": 5, "ns": pulse},
              "hash": hashlib.md5(data_header).hexdigest(), **main}
    parts = [json.dumps(header).encode(), data_header]
    for _, value, stamped in channels:
        parts += [value or b"", struct.pack("<qq", 5, pulse) if stamped else b""]
    return parts


@case
def bsread_takes_the_channel_that_is_named_however_it_is_compressed(bench):
    import bitshuffle
    shape = (10, 27)
    pixels = image(1, shape)
    values = {
        "none": pixels.tobytes(),
        "lz4": struct.pack("<I", pixels.nbytes) + lz4.block.compress(pixels.tobytes(), store_size=False),
        "bitshuffle_lz4": struct.pack(">QI", pixels.nbytes, 8192) +
        bitshuffle.compress_lz4(pixels.reshape(-1)).tobytes(),
    }
    big = pixels.astype(">u2").tobytes()
    scalar = ({"name": "GUN:CURRENT", "type": "float64"}, struct.pack("<d", 1.5), True)
    other = ({"name": "CAM0:FPICTURE", "type": "uint8", "shape": [3, 2]}, b"abcdef", False)
    for number, (compression, encoding, value) in enumerate(
            [(k, "little", v) for k, v in values.items()] + [("none", "big", big)]):
        ours = {"name": "CAM1:FPICTURE", "type": "uint16", "shape": [27, 10], "encoding": encoding,
                "compression": compression}
        messages = [bsread(100 + n, [scalar, other, (ours, value if n != 1 else None, n == 0)])
                    for n in range(3)]
        messages[2] = messages[2][:-1]  # the last timestamp may be left out
        messages.append(bsread(103, [(ours, value, True)]))
        stream(bench, "bsread", messages, {"ingest.channel": "CAM1:FPICTURE", "series.first": 100,
                                           "series.frames": 4, "series.idle_end": "300ms"}, folder=f"case{number}", status=1)
        series = bench.series(bench.folder / f"case{number}").require_closed()
        equal((series.totals["written"], series.totals["dummies"]), (3, 1), "written, without value")
        equal(raw_frames(bench, series)[103], pixels.tobytes(), f"{compression} {encoding}")


@case
def without_a_name_bsread_takes_the_first_image(bench):
    pixels = image(1, (2, 3), "uint8")
    channels = [({"name": "A", "type": "float64"}, bytes(8), True),
                ({"name": "B", "type": "uint8", "shape": [3, 2]}, pixels.tobytes(), True)]
    packed = bsread(7, channels)
    plain = packed[1]
    for number, (name, data) in enumerate((
            ("none", plain),
            ("lz4", struct.pack(">I", len(plain)) + lz4.block.compress(plain, store_size=False)))):
        parts = bsread(7, channels, dh_compression=name)
        parts[1] = data
        stream(bench, "bsread", [parts], {"series.frames": 1}, folder=name)
        series = bench.series(bench.folder / name).require_complete(1)
        equal(raw_frames(bench, series)[7], pixels.tobytes(), name)


# ---- odin live view, slsDetectorPackage

@case
def odin_live_view_keeps_to_one_dataset(bench):
    import bitshuffle
    pixels = image(1)
    packed = struct.pack(">QI", pixels.nbytes, 8192) + \
        bitshuffle.compress_lz4(pixels.reshape(-1)).tobytes()

    def message(number, dataset, compression, data):
        return [json.dumps({"frame_num": number, "acquisition_id": "", "dtype": "uint16",
                            "dsize": len(data), "dataset": dataset, "compression": compression,
                            "shape": ["12", "20"]}).encode(), data]

    block = lz4.block.compress(pixels.tobytes(), store_size=False)
    messages = [message(0, "data", "LZ4", block), message(0, "sum", "none", bytes(480)),
                message(1, "data", "none", pixels.tobytes()), message(2, "data", "BSLZ4", packed)]
    stream(bench, "odin-live", messages, {"series.frames": 3, "series.first": 0})
    series = bench.series().require_complete(3)
    for number, found in raw_frames(bench, series).items():
        equal(found, pixels.tobytes(), f"frame {number}")


def sls(number, row, column, grid, pixels, bits=16, **more):
    header = {"jsonversion": 4, "bitmode": bits, "fileIndex": 0, "detshape": list(grid),
              "shape": [pixels.shape[1], pixels.shape[0]], "size": pixels.nbytes,
              "acqIndex": number, "frameIndex": number - 1, "progress": 30, "fname": "/tmp/run",
              "data": 1, "completeImage": 1, "frameNumber": number, "timestamp": 10 * number,
              "row": row, "column": column, "detType": 3, "flipRows": 0, "quad": 0,
              "rx_roi": [-1, -1, -1, -1], **more}
    return json.dumps(header).encode() + b"\n"


SLS_END = json.dumps({"jsonversion": 4, "bitmode": 0, "detshape": [0, 0], "shape": [0, 0],
                      "size": 0, "frameNumber": 0, "data": 0, "completeImage": 0}).encode() + b"\n"


@case(limit=90)
def sls_ports_are_put_together_and_missing_ones_told(bench):
    """Two columns and two rows of ports; the lower ones count their rows from below."""
    frames, grid, port = 40, (2, 2), (6, 8)
    whole = {n: image(n, (12, 16)) for n in range(1, frames + 1)}
    cameras = [bench.camera(zmq.XPUB) for _ in range(4)]
    daemon = bench.daemon([c.endpoint for c in cameras], {
        "ingest.protocol": "sls", "ingest.socket": "sub", **RAW, "reduce.type": "float32",
        "ingest.assembly_timeout": "300ms", "sinks": [bench.sink()]})
    for camera in cameras:
        camera.wait_for_subscriber()
    lost = {(5, 1), (17, 0), (17, 3), (frames, 2)}
    for n in range(1, frames + 1):
        for place, camera in enumerate(cameras):
            row, column = divmod(place, 2)
            part = whole[n][row * 6:row * 6 + 6, column * 8:column * 8 + 8]
            part = numpy.ascontiguousarray(part[::-1] if row else part)
            if (n, place) not in lost:
                camera.send_parts(sls(n, row, column, grid, part, flipRows=row), part.tobytes())
    for camera in cameras:
        camera.send_parts(SLS_END)
    daemon.wait(1)
    series = bench.series().require_closed()
    equal((series.totals["written"], series.totals["flagged"]), (frames, 3), "written, flagged")
    for number, found in series.images().items():
        expected = whole[number].astype("float32")
        for n, place in lost:
            if n == number:
                row, column = divmod(place, 2)
                expected[row * 6:row * 6 + 6, column * 8:column * 8 + 8] = numpy.nan
        same_pixels(found, expected, f"frame {number}")


@case
def sls_bit_modes_and_headers_that_are_no_json(bench):
    pixels = image(1, (4, 6), "uint8", 16)
    nibbles = (pixels[:, ::2] << 4 | pixels[:, 1::2]).astype("uint8")
    twelve = image(2, (4, 6), "uint16", 4096)
    bits = numpy.zeros(4 * 6 * 12, "uint8")
    for i, value in enumerate(twelve.reshape(-1)):
        bits[12 * i:12 * i + 12] = [value >> b & 1 for b in range(12)]
    packed = numpy.packbits(bits, bitorder="little")
    cases = [(4, nibbles.tobytes(), pixels), (8, pixels.tobytes(), pixels),
             (12, packed.tobytes(), twelve), (16, twelve.tobytes(), twelve),
             (32, twelve.astype("<u4").tobytes(), twelve.astype("uint32"))]
    for mode, data, expected in cases:
        camera = bench.camera()
        daemon = bench.daemon(camera.endpoint, {"ingest.protocol": "sls", **RAW,
                                                "sinks": [bench.sink("raw", f"m{mode}")]})
        header = sls(3, 0, 0, (1, 1), expected, mode, size=len(data))
        camera.send_parts(header, data)
        camera.send_parts(header.replace(b'"frameNumber": 3', b'"frameNumber": 4')
                          .replace(b'"progress": 30', b'"progress": -nan')
                          .replace(b"/tmp/run", b"C:\\data\\run"), data)
        camera.send_parts(SLS_END)
        daemon.wait()
        series = bench.series(bench.folder / f"m{mode}").require_complete(2)
        for found in raw_frames(bench, series).values():
            equal(found, expected.tobytes(), f"{mode} bit")


@case
def synthetic_examples_of_the_specification_decode(bench):
    folder = bench.shared("vectors", "synthetic")

    def parts(*names):
        return [(folder / n).read_bytes() for n in names]

    stream(bench, "odin-live", [parts("odin_live.hdr", "odin_live.blob")], {"series.frames": 1},
           folder="odin")
    series = bench.series(bench.folder / "odin").require_complete(1)
    equal(raw_frames(bench, series)[2], parts("odin_live.blob")[0], "odin")
    stream(bench, "sls", [parts("sls_4bit.hdr", "sls_4bit.blob"), parts("sls_end.hdr")], folder="sls")
    series = bench.series(bench.folder / "sls").require_complete(1)
    equal(list(raw_frames(bench, series)[12]), [1, 2, 3, 4, 5, 6, 7, 8], "sls")
    for name in ("v2_image_raw", "v2_image_lz4_stored"):
        stream(bench, "dectris-v2", [parts("v2_start.cbor"), parts(f"{name}.cbor"),
                                     parts("v2_end_nomagic.cbor")], folder=name, status=None)
        series = bench.series(bench.folder / name).require_closed()
        equal(series.totals["written"], 1, f"{name} written")
