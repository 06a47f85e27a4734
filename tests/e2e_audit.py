# SPDX-License-Identifier: Apache-2.0
"""openbeam audit: what it says of series that the daemon wrote, whole and damaged."""
import csv
import json
import os
import shutil
import signal
import struct
import time

import numpy

import e2e_reference as reference
from e2e_case import Skip, case, check, contains, equal, until
from e2e_journal import HEADER_BYTES, RECORD_BYTES, crc_of

SHAPE = (48, 64)
SOURCE = {"reduce.type": "source"}


def images(count, shape=SHAPE):
    return [reference.noise_image(shape, n, 0, 60000) for n in range(count)]


def audit(bench, folder, status, *arguments):
    """(standard output, standard error) of an audit that ends so."""
    found, out, err = bench.run("openbeam", "audit", *arguments, folder)
    equal(found, status, f"exit status of the audit\n{out}{err}")
    return out, err


@case(quick=True)
def an_audit_proves_what_the_daemon_wrote(bench):
    for form in ("tiff", "raw", "null"):
        bench.measure_into(form, images(25), SOURCE, form)
        series = bench.series(bench.folder / form)
        out, err = audit(bench, series.folder, 0)
        equal(err, "", "findings")
        contains(out, f"sound: {series.folder}: 25 frames, 25 written", "0 lost")
        contains(out, "no pixels were kept" if form == "null" else "25 written and read back")
    out, err = audit(bench, series.folder.parent.parent / "tiff", 0, "--quick")
    contains(out, "sound: ", "pixels not read")


@case
def an_audit_proves_every_product(bench):
    settings = ({"reduce.bin": 2, "reduce.roi": {"x": 3, "y": 5, "width": 40, "height": 30}},
                {"reduce.average": 4}, {"reduce.type": "uint8"}, {"histogram.raw.bins": 0},
                {"reduce.average": 3, "sinks": None})
    for i, one in enumerate(settings):
        camera = bench.camera()
        sinks = [bench.sink(folder=f"p{i}", frames_per_file=4)]
        if "sinks" in one:
            sinks.append(bench.sink("raw", folder=f"q{i}", product="source"))
        daemon = bench.daemon(camera.endpoint, {"series.frames": 22, **one, "sinks": sinks})
        camera.send_all(images(22))
        daemon.wait()
        out, err = audit(bench, bench.folder / f"p{i}", 0)
        equal(err, "", f"findings of {one}")
        contains(out, "22 written and read back")


@case
def losses_on_record_are_status_1(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.frames": 12, "series.idle_end": "400ms"})
    sent = images(12)
    for n in (0, 1, 2, 5, 6, 9):
        camera.send(n, sent[n])
    daemon.wait(1)
    out, err = audit(bench, bench.output, 1)
    contains(out, "true, with losses: ", "12 frames, 6 written and read back", "6 lost", "6 missing")
    contains(err, "manifest.json: incomplete: 6 frames missing (never)")


@case
def a_sender_that_loses_frames_is_audited(bench):
    endpoint = f"ipc://{bench.folder}/lossy"
    daemon = bench.daemon(endpoint, {**SOURCE, "series.frames": 200, "series.idle_end": "1s"})
    sender = bench.send(endpoint, "--size", "64x48", "--pixel-format", "Mono16", "--frames", "200",
                        "--rate", "0", "--lose", "0.1", "--duplicate", "0.1", "--reorder", "0.1",
                        "--seed", "7")
    equal(sender.wait(30), 0, "the sender")
    daemon.wait(1)
    totals = bench.series().totals
    out, _ = audit(bench, bench.output, 1)
    contains(out, f"200 frames, {totals['written']} written and read back")


@case
def damage_is_status_65_and_named(bench):
    series = bench.measure(images(20), {**SOURCE, "sinks": [bench.sink(frames_per_file=7)]})
    whole = bench.folder / "whole"
    shutil.copytree(series.folder, whole)
    path = whole / series.files()[1]
    data = bytearray(path.read_bytes())
    data[4096 + 2 * 48 * 64 * 2 + 77] ^= 4
    path.write_bytes(data)
    out, err = audit(bench, whole, 65)
    contains(out, f"damaged: {whole}: 1 finding; 20 frames, 20 written and 19 read back")
    contains(err, f"{path}: frame 9 (index 2): pixels have checksum")
    audit(bench, whole, 0, "--quick")
    path.unlink()
    out, err = audit(bench, whole, 65)
    contains(err, f"{path}: is not there, the ledger has 7 frames in it")
    audit(bench, series.folder, 0)


@case
def findings_beyond_twenty_are_counted(bench):
    series = bench.measure(images(60), {**SOURCE, "sinks": [bench.sink("raw")]})
    path, = series.folder.glob("*.raw")
    path.write_bytes(bytes(len(path.read_bytes())))
    out, err = audit(bench, series.folder, 65)
    contains(out, "60 findings")
    equal(err.count("were changed"), 20, "findings shown")
    contains(err, "and 40 more")


@case
def a_folder_of_series_has_a_verdict_for_each_and_the_worst_status(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {**SOURCE, "series.frames": 5, "series.idle_end": "300ms"},
                          series=3)
    for turn in range(3):
        for n, one in enumerate(images(5)):
            if turn != 1 or n != 2:
                camera.send(n, one)
        bench.wait_for_end(turn + 1)
        time.sleep(0.6)  # silence, or the next frame would belong to no series
    daemon.wait(1)
    out, _ = audit(bench, bench.output, 1)
    equal([line.split(":")[0] for line in out.splitlines()], ["sound", "true, with losses", "sound"], out)
    (bench.output / "s-0003" / "manifest.json").unlink()
    out, err = audit(bench, bench.output, 65)
    contains(out, f"damaged: {bench.output}/s-0003")
    contains(err, "s-0003/manifest.json: is not there")
    audit(bench, bench.folder, 66)


@case
def a_series_that_was_killed_is_unfinished(bench):
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **SOURCE, "series.frames": 1000, "sinks": [bench.sink(sync="100ms", frames_per_file=15)]})
    camera.send_all(images(40))
    bench.wait_for_series(1)
    folder = next(bench.output.iterdir())
    until(lambda: len(list(folder.glob("*.tif"))) >= 2, "two files are finished")
    until(lambda: os.path.getsize(folder / "journal.bin") >= HEADER_BYTES + 30 * RECORD_BYTES, "records")
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(-signal.SIGKILL)
    out, err = audit(bench, folder, 65)
    contains(out, f"unfinished: {folder}: 1 finding; ")
    contains(err, "was cut off, or still runs", f"openbeam recover {folder}")


@case
def what_cannot_be_audited_is_said(bench):
    contains(audit(bench, bench.folder / "nowhere", 66)[1], "No such file")
    (bench.folder / "file").write_text("x")
    contains(audit(bench, bench.folder / "file", 66)[1], "is no folder")
    equal(bench.run("openbeam", "audit")[0], 2, "status without a folder")
    equal(bench.run("openbeam", "audit", "--fast", bench.output)[0], 2, "status with an unknown option")
    status, out, _ = bench.run("openbeam", "audit", "--help")
    equal(status, 0, "status of --help")
    contains(out, "usage: openbeam audit", "65", "66", "74")


# ---- HDF5, from files that h5py wrote


def seal(row):
    return row[:-4] + struct.pack("<I", int(crc_of([row[:-4]])[0], 16))


class Nexus:
    """A raw series made into one of HDF5: data files, the master, and what names them."""

    def __init__(self, folder, sent, shape=SHAPE, compressed=False):
        import h5py
        self.h5py, self.folder, self.name = h5py, folder, folder.name
        self.journal = (folder / "journal.bin").read_bytes()
        self.rows = [self.journal[i:i + RECORD_BYTES]
                     for i in range(HEADER_BYTES, len(self.journal), RECORD_BYTES)]
        self.files = {}
        for row in self.rows:
            if row[16] == 0:
                file, index = struct.unpack("<2I", row[24:32])
                self.files.setdefault(file, {})[index] = sent[struct.unpack("<Q", row[8:16])[0]]
        self.places = {file: self.write_file(file, frames, compressed)
                       for file, frames in self.files.items()}
        self.write_ledger()
        for path in folder.glob("*.raw"):
            path.unlink()

    def path(self, file):
        return self.folder / f"{self.name}_{file:06}.h5"

    def write_file(self, file, frames, compressed):
        """Where each frame is: (offset, bytes)."""
        stack = numpy.stack([frames[i] for i in range(len(frames))])
        with self.h5py.File(self.path(file), "w") as h5:
            group = h5.create_group("entry1/data")
            space = self.h5py.h5s.create_simple(stack.shape)
            kind = self.h5py.h5t.py_create(stack.dtype)
            plist = self.h5py.h5p.create(self.h5py.h5p.DATASET_CREATE)
            plist.set_chunk((1, *stack.shape[1:]))
            if compressed:
                # The filter's own library, where there is one, puts three values before these.
                own = () if self.h5py.h5z.filter_avail(32008) else (0, 4, stack.itemsize)
                plist.set_filter(32008, self.h5py.h5z.FLAG_OPTIONAL, (*own, 0, 2))
            data = self.h5py.h5d.create(group.id, b"data", kind, space, plist)
            for i, one in enumerate(stack):
                self.write_chunk(data, i, one, compressed)
            return [(info.byte_offset, info.size) for info in
                    (data.get_chunk_info_by_coord((i, 0, 0)) for i in range(len(stack)))]

    def write_chunk(self, data, row, one, compressed):
        """By the filter's own library every other one, where it is."""
        if compressed and row % 2 and self.h5py.h5z.filter_avail(32008):
            space = data.get_space()
            space.select_hyperslab((row, 0, 0), (1, *one.shape))
            data.write(self.h5py.h5s.create_simple((1, *one.shape)), space, one)
        else:
            data.write_direct_chunk((row, 0, 0), compressed(one) if compressed else one.tobytes())

    def write_ledger(self):
        header = bytearray(self.journal[:HEADER_BYTES])
        header[72:88] = b".h5".ljust(16, b"\0")
        rows = [seal(bytes(header))]
        for row in self.rows:
            if row[16] == 0:
                file, index = struct.unpack("<2I", row[24:32])
                row = seal(row[:32] + struct.pack("<2Q", *self.places[file][index]) + row[48:])
            rows.append(row)
        (self.folder / "journal.bin").write_bytes(b"".join(rows))
        for name in ("frames.csv", "manifest.json"):
            text = (self.folder / name).read_text()
            (self.folder / name).write_text(text.replace(".raw", ".h5").replace('"raw"', '"hdf5"', 1))

    def write_master(self, first, last, average=1, calibration=2, leave_out=(), key=None):
        with open(self.folder / "frames.csv", newline="") as table:
            written = {int(r["frame"]): (r["file"], int(r["index"]))
                       for r in csv.DictReader(table) if r["state"] == "written"}
        one = next(iter(next(iter(self.files.values())).values()))
        groups = range(first, last + 1, average)
        layout = self.h5py.VirtualLayout((calibration + len(groups), *one.shape), one.dtype)
        keys = [1] * calibration
        with self.h5py.File(self.folder / f"{self.name}.h5", "w") as h5:
            h5["entry1/openbeam/flat"] = numpy.zeros((max(calibration, 1), *one.shape), "float32")
            if calibration:
                layout[:calibration] = self.h5py.VirtualSource(
                    ".", "entry1/openbeam/flat", (calibration, *one.shape), "float32")
            for row, number in enumerate(groups, calibration):
                places = [written[n] for n in range(number, number + average) if n in written]
                keys.append(0 if places else 3)
                if places and number not in leave_out:
                    file, index = places[0]
                    count = len(self.files[int(file[-9:-3])])
                    layout[row] = self.h5py.VirtualSource(
                        file, "entry1/data/data", (count, *one.shape), one.dtype)[index]
            h5.create_virtual_dataset("entry1/tomo_entry/data/data", layout, fillvalue=65535)
            h5["entry1/tomo_entry/instrument/detector/image_key"] = numpy.array(
                key or keys, "int32")
            h5["entry1/openbeam/frame_number"] = numpy.array(
                [2**64 - 1] * calibration + list(groups), "uint64")


def nexus(bench, numbers=range(20), compressed=None, **master):
    try:
        import h5py
        h5py.h5d.DatasetID.get_chunk_info_by_coord
    except (ImportError, AttributeError):
        raise Skip("no h5py that tells where chunks are") from None
    sent = images(20)
    camera = bench.camera()
    daemon = bench.daemon(camera.endpoint, {
        **SOURCE, "series.frames": 20, "series.idle_end": "300ms",
        "sinks": [bench.sink("raw", frames_per_file=7)]})
    for n in numbers:
        camera.send(n, sent[n])
    daemon.wait(None)
    made = Nexus(bench.series().folder, sent, compressed=compressed)
    made.write_master(0, 19, **master)
    return made


@case
def hdf5_files_are_proved_by_their_library(bench):
    made = nexus(bench)
    out, err = audit(bench, made.folder, 0)
    equal(err, "", "findings")
    contains(out, "20 written and read back", "3 files")
    data = bytearray(made.path(1).read_bytes())
    data[made.places[1][3][0] + 50] ^= 1
    made.path(1).write_bytes(data)
    _, err = audit(bench, made.folder, 65)
    contains(err, f"{made.path(1).name}: frame 10 (index 3): pixels have checksum",
             f"{made.name}.h5: row 12 is not frame 10 of the ledger")
    audit(bench, made.folder, 0, "--quick")


@case
def compressed_hdf5_is_decoded_without_a_plugin(bench):
    try:
        import lz4.block
    except ImportError:
        raise Skip("no lz4") from None

    def shuffled(block):
        """Bit i of element e becomes bit e of row i."""
        n, size = len(block), block.itemsize
        bits = numpy.unpackbits(block.view(numpy.uint8).reshape(n, size), axis=1, bitorder="little")
        return numpy.packbits(bits.T.copy(), bitorder="little").tobytes()

    def compressed(pixels):
        flat, block, out = pixels.reshape(-1), 1024, []
        for i in range(0, len(flat), block):
            packed = lz4.block.compress(shuffled(flat[i:i + block]), store_size=False)
            out.append(struct.pack(">I", len(packed)) + packed)
        return struct.pack(">QI", pixels.nbytes, block * pixels.itemsize) + b"".join(out)

    made = nexus(bench, compressed=compressed)
    out, err = audit(bench, made.folder, 0)
    equal(err, "", "findings")
    contains(out, "20 written and read back")
    data = bytearray(made.path(2).read_bytes())
    data[made.places[2][0][0] + 3] ^= 0x40  # a length of terabytes
    made.path(2).write_bytes(data)
    contains(audit(bench, made.folder, 65)[1], "frame 14 (index 0) cannot be read by the HDF5 library")


@case
def absent_frames_of_a_master_are_the_fill_value(bench):
    made = nexus(bench, numbers=[n for n in range(20) if n not in (4, 5, 11)])
    out, _ = audit(bench, made.folder, 1)
    contains(out, "17 written and read back", "3 missing")
    made.write_master(0, 19, leave_out=(6,))
    contains(audit(bench, made.folder, 65)[1], "row 8 is not frame 6 of the ledger")


@case
def every_source_of_a_master_is_opened(bench):
    made = nexus(bench)
    whole = bench.folder / "whole"
    shutil.copytree(made.folder, whole)
    moved = bench.folder / "elsewhere.h5"
    (whole / made.path(1).name).rename(moved)
    _, err = audit(bench, whole, 65)
    contains(err, f"{made.name}.h5: takes frames from {made.path(1).name}: No such file",
             f"{made.path(1).name}: is not there")
    os.mkfifo(whole / made.path(1).name)
    contains(audit(bench, whole, 65)[1], "no regular file")
    os.unlink(whole / made.path(1).name)
    shutil.copy(made.path(2), whole / made.path(1).name)
    contains(audit(bench, whole, 65)[1], "has 6 frames, by the ledger 7", "is not frame")


@case
def keys_and_rows_of_a_master_are_those_of_the_ledger(bench):
    made = nexus(bench, calibration=0)
    audit(bench, made.folder, 0)
    made.write_master(0, 18)
    contains(audit(bench, made.folder, 65)[1], "has 19 projections, the ledger calls for 20")
    made.write_master(0, 19, key=[1, 1, 3] + [0] * 19)
    contains(audit(bench, made.folder, 65)[1], "row 2: image_key is 3, the ledger calls for 0")
    made.write_master(0, 19, key=[0] * 5)
    contains(audit(bench, made.folder, 65)[1], "has not a key for each of the 22 rows")
    (made.folder / f"{made.name}.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(5000))
    contains(audit(bench, made.folder, 65)[1], "does not open in the HDF5 library")
    (made.folder / f"{made.name}.h5").unlink()
    contains(audit(bench, made.folder, 65)[1], f"{made.name}.h5: cannot be opened: No such file")


@case(limit=120)
def damaged_hdf5_never_breaks_an_audit(bench):
    made = nexus(bench)
    random = numpy.random.default_rng(5)
    for path in (made.path(0), made.folder / f"{made.name}.h5"):
        whole = path.read_bytes()
        for _ in range(200 if bench.long else 60):
            data = bytearray(whole)
            for at in random.integers(0, len(data), 3):
                if not any(o <= at < o + n for o, n in made.places[0]) or path != made.path(0):
                    data[at] ^= 1 << int(random.integers(8))
            path.write_bytes(data)
            status, out, err = bench.run("openbeam", "audit", made.folder)
            check(status in (0, 65, 74) and out.count("\n") == 1, f"status {status}\n{out}{err}")
        path.write_bytes(whole)
    audit(bench, made.folder, 0)
