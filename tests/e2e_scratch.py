import time, numpy
from e2e_case import case, check, contains, equal, until
from e2e_http import Monitor
@case
def m1_memory_is_given_back(bench):
    camera = bench.camera()
    box = bench.folder / "box"; box.mkdir()
    daemon = bench.daemon(camera.endpoint, {"monitor.http": "127.0.0.1:0", "sinks": [{"format": "null", "directory": str(bench.output)}], "ingest.buffer": "64MiB", "blackbox": {"before": "1s", "memory": "2GiB", "directory": str(box)}}, series=None)
    m = Monitor(daemon)
    f = numpy.zeros((1000, 1000), "uint16")
    n = 0
    t = time.time()
    while time.time() - t < 2.5:
        camera.send(n, f); n += 1
    print(m.status()["blackbox"], daemon.memory_bytes() >> 20)
    for _ in range(40):
        camera.send(n, f); n += 1
        time.sleep(.1)
    print(m.status()["blackbox"], daemon.memory_bytes() >> 20)
    print(daemon.log)
    check("passed the ceiling" not in daemon.log, "no reopen")
    daemon.stop(None)
