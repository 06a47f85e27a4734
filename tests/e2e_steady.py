# SPDX-License-Identifier: Apache-2.0
"""What a frame costs beside its work: no allocation, no lock, no page fault of ours."""
import subprocess

from e2e_case import Skip, case, check, equal

STAGES = ("rx", "work", "sink")
RATE = 1000  # frames a second: what waits for the journal reaches its height in the shorter run, too


def counts_of(bench, frames, size, form, protocol, more):
    """{thread: {what: count}} of the stages over a whole run."""
    counter = bench.programs / "libsteady_count.so"
    if not counter.exists():
        raise Skip("this build has no counter: sanitizers have an allocator of their own")
    report = bench.folder / f"report-{frames}-{size[0]}-{form}-{protocol}"
    endpoint = f"ipc://{bench.folder}/s{frames}{form}{protocol}"
    folder = f"{form}{frames}x{size[0]}{protocol}"
    daemon = bench.daemon(endpoint, {
        "ingest.attach": "bind", "ingest.protocol": protocol, "ingest.frame": {"width": size[0], "height": size[1], "type": "uint16"},
        "ingest.buffer": "512MiB", "series.first": 0, "series.frames": frames, "daemon.workers": 2,
        "sinks": [bench.sink(form, folder)], **more},
        wrapper=("env", f"LD_PRELOAD={counter}", f"STEADY_REPORT={report}"))
    subprocess.run([bench.programs / "openbeam-send", "--to", endpoint, "--attach", "connect",
                    "--size", f"{size[0]}x{size[1]}", "--frames", str(frames), "--quiet",
                    "--rate", str(RATE), "--protocol", protocol, "--pattern", "dark"],
                   check=True, timeout=120)
    daemon.wait(0)
    found = {}
    for line in report.read_text().splitlines():
        name, *fields = line.split()
        if name.startswith(STAGES):
            found[name] = {k: int(v) for k, v in (f.split("=") for f in fields)}
    equal({n.rstrip("0123456789") for n in found}, set(STAGES), "threads")
    return found


def compare(bench, size, form, frames, protocol="array-1.0", **more):
    """The same run with more frames: what the further ones cost, by stage."""
    few = counts_of(bench, frames, size, form, protocol, more)
    many = counts_of(bench, 5 * frames, size, form, protocol, more)
    further = 4 * frames
    for stage in STAGES:
        cost = {what: sum(c[what] for n, c in many.items() if n.startswith(stage)) -
                sum(c[what] for n, c in few.items() if n.startswith(stage))
                for what in ("allocations", "locks", "faults")}
        print(f"{protocol} {size[0]}x{size[1]} to {form}: {further} further frames cost {stage} {cost}")
        # A journal's batch or a file may grow once more; a cost of each frame would be `further`.
        check(cost["allocations"] < further / 20, f"{stage} allocates: {cost}")
        check(cost["locks"] < further / 20, f"{stage} locks: {cost}")
        if stage != "rx":  # messages are libzmq's memory, faulted in by its own threads and ours
            # What waits for the journal reaches new pages now and then: up to 165 in 3200 frames seen.
            check(cost["faults"] < further / 4, f"{stage} faults: {cost}")


@case(limit=120)
def a_small_frame_costs_no_allocation_lock_or_page_fault(bench):
    compare(bench, (64, 48), "null", 800)


@case(limit=120)
def a_large_frame_costs_no_allocation_lock_or_page_fault(bench):
    compare(bench, (1280, 1080), "null", 60, **{"reduce.bin": 2, "reduce.type": "uint16"})


@case(limit=120)
def a_written_frame_costs_no_allocation_lock_or_page_fault(bench):
    compare(bench, (128, 96), "raw", 800)


@case(limit=120)
def a_frame_of_a_detector_costs_no_allocation_lock_or_page_fault(bench):
    for protocol in ("dectris-v1", "dectris-v2", "bsread", "shm"):
        compare(bench, (64, 48), "null", 800, protocol)
