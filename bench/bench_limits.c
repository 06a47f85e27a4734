/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_options.h"
#include "bench/disk_limit.h"
#include "bench/machine.h"
#include "daemon/memory_limit.h"
#include "bench/results.h"
#include "bench/zmq_limit.h"

#include <errno.h>
#include <sysexits.h>

/* Memory on so many cores. */
static int add_memory(struct results *r, unsigned threads, const char *read_name,
                      const char *copy_name, unsigned runs)
{
	struct samples read = { 0 }, copy = { 0 };
	struct memory_limit m;
	json_t *cores = json_pack("{s:i}", "cores", (int)threads);

	if (memory_limit_open(&m, threads)) {
		json_decref(cores);
		return -ENOMEM;
	}
	memory_limit_read(&m, runs, &read);
	memory_limit_copy(&m, runs, &copy);
	memory_limit_close(&m);
	results_add(r, &(struct result){ .name = read_name,
	                                 .unit = "GB/s",
	                                 .samples = &read,
	                                 .more = json_incref(cores) });
	results_add(r, &(struct result){ .name = copy_name,
	                                 .unit = "GB/s",
	                                 .samples = &copy,
	                                 .more = cores,
	                                 .note = "bytes copied: each read and written" });
	return 0;
}

static int add_zmq(struct results *r, const struct bench_options *o, const char *name,
                   const char *endpoint, char why[512])
{
	size_t frame_bytes = (size_t)2 * o->width * o->height;
	struct zmq_limit limit;
	double rate;
	char note[96];
	int err = zmq_limit_measure(endpoint, frame_bytes, o->full ? 9 : 5, o->full ? 3.0 : 1.0,
	                            &limit, why);

	if (err)
		return err;
	rate = samples_median(&limit.frames_per_s);
	snprintf(note, sizeof note, "%.2f GB/s, %.2f ms of CPU a frame",
	         rate * (double)frame_bytes * 1e-9, 1e3 * samples_median(&limit.cpu_s_per_frame));
	results_add(r,
	            &(struct result){ .name = name,
	                              .unit = "frames/s",
	                              .samples = &limit.frames_per_s,
	                              .note = note,
	                              .more = json_pack("{s:I, s:f, s:f}", "frame_bytes",
	                                                (json_int_t)frame_bytes, "gb_per_s",
	                                                rate * (double)frame_bytes * 1e-9,
	                                                "cpu_s_per_frame",
	                                                samples_median(&limit.cpu_s_per_frame)) });
	return 0;
}

static int add_disk(struct results *r, const struct bench_options *o, char why[512])
{
	struct disk_limit limit;
	unsigned long long bytes = (o->full ? 8ull : 2ull) << 30;
	int err = disk_limit_measure(o->directory, o->full ? 5 : 3, o->full ? 10.0 : 4.0, bytes,
	                             &limit, why);

	if (err)
		return err;
	results_add(r,
	            &(struct result){ .name = "disk-write",
	                              .unit = "GB/s",
	                              .samples = &limit.gb_per_s,
	                              .note = limit.method,
	                              .more = json_pack("{s:s, s:s, s:f}", "method", limit.method,
	                                                "directory", o->directory, "cpu_s_per_gb",
	                                                samples_median(&limit.cpu_s_per_gb)) });
	return 0;
}

static int status_of(int err, char why[512])
{
	if (err == -ENOMEM && !why[0])
		snprintf(why, 512, "no memory for the measurement");
	return err == -ENOMEM                     ? EX_OSERR
	       : err == -EACCES || err == -ENOENT ? EX_CANTCREAT
	                                          : EX_IOERR;
}

int bench_limits(const struct bench_options *o, struct results *r, char why[512])
{
	unsigned cores = machine_cores(), runs = o->full ? 21 : 7;
	int err = add_memory(r, 1, "memory-read-one-core", "memory-copy-one-core", runs);

	if (!err)
		err = add_memory(r, cores, "memory-read", "memory-copy", runs);
	if (!err)
		err = add_zmq(r, o, "zmq-tcp", "tcp://127.0.0.1:*", why);
	if (!err)
		err = add_zmq(r, o, "zmq-ipc", "ipc://*", why);
	if (!err)
		err = add_disk(r, o, why);
	return err ? status_of(err, why) : 0;
}
