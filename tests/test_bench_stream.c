/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stream_costs.h"
#include "bench/stream_kind.h"
#include "bench/stream_where.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static void named(enum trial_transport t, const char *sink, unsigned endpoints, uint32_t width,
                  uint32_t height, const char *expected)
{
	const struct stream_kind k = { t, sink, endpoints, width, height };
	char name[STREAM_NAME_BYTES];

	stream_kind_name(&k, name);
	cr_expect_str_eq(name, expected, "%s is not %s", name, expected);
}

Test(stream_kind, rows_are_named_by_what_they_measure)
{
	named(TRIAL_TCP, "null", 1, 2560, 2160, "tcp-null");
	named(TRIAL_TCP, "tiff", 1, 2560, 2160, "tcp-disk");
	named(TRIAL_TCP, "null", 2, 2560, 2160, "tcp-null-2x");
	named(TRIAL_IPC, "tiff", 1, 8192, 4096, "ipc-disk-64MiB");
	named(TRIAL_SHM, "null", 1, 256, 128, "shm-null-64KiB");
	named(TRIAL_IPC, "hdf5", 8, 1024, 512, "ipc-hdf5-1MiB-8x");
	named(TRIAL_TCP, "raw", 1, 640, 481, "tcp-raw-640x481");
}

static unsigned kinds_of(struct bench_options o, struct stream_kind *ret)
{
	o.width = o.width ? o.width : 2560;
	o.height = o.height ? o.height : 2160;
	return stream_kinds(&o, ret);
}

Test(stream_kind, by_default_there_are_two)
{
	struct stream_kind k[STREAM_KINDS_MAX];

	cr_assert_eq(kinds_of((struct bench_options){ 0 }, k), 2);
	cr_expect_str_eq(k[0].sink, "null");
	cr_expect_str_eq(k[1].sink, "tiff");
	cr_expect(k[0].transport == TRIAL_TCP && k[1].endpoints == 1);
}

Test(stream_kind, what_is_asked_for_is_all_there_is)
{
	struct stream_kind k[STREAM_KINDS_MAX];
	const struct bench_options o = {
		.transport = "ipc", .sink = "raw", .endpoints = 4, .full = true
	};

	cr_assert_eq(kinds_of(o, k), 1);
	cr_expect(k[0].transport == TRIAL_IPC && k[0].endpoints == 4);
	cr_expect_str_eq(k[0].sink, "raw");
}

Test(stream_kind, the_long_run_has_every_transport_size_and_endpoint)
{
	struct stream_kind k[STREAM_KINDS_MAX];
	unsigned n = kinds_of((struct bench_options){ .full = true }, k), disks = 0, eight = 0;
	uint64_t least = UINT64_MAX, most = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t bytes = (uint64_t)2 * k[i].width * k[i].height;

		least = bytes < least ? bytes : least;
		most = bytes > most ? bytes : most;
		disks += strcmp(k[i].sink, "tiff") == 0;
		eight += k[i].endpoints == 8;
		cr_expect(k[i].transport != TRIAL_SHM || k[i].endpoints == 1);
	}
	cr_expect_eq(n, 7 * 3 + 12 + 9);
	cr_expect_eq(disks, 9);
	cr_expect_eq(eight, 4);
	cr_expect_eq(least, 64 * 1024);
	cr_expect_eq(most, 64 * 1024 * 1024);
}

Test(stream_where, runs_are_summed_and_idle_is_what_is_left)
{
	static struct stream_where w;
	struct trial_figures *f = calloc(1, sizeof *f);
	const struct stream_kind k = { TRIAL_TCP, "null", 1, 100, 50 };

	f->written = 100;
	f->seconds = 2;
	f->cpu_daemon_s = 1.5;
	f->cpu_sender_s = 0.5;
	f->others_s = 1;
	f->loopback_bytes = 1000 * 1000 + 500;
	f->thread_count = 3;
	f->threads[0] = (struct trial_thread){ .process = 'd', .name = "rx0", .run_s = 0.25 };
	f->threads[1] = (struct trial_thread){ .process = 'd', .name = "iou-wrk-71", .run_s = 0.1 };
	f->threads[2] = (struct trial_thread){ .process = 'd', .name = "iou-wrk-72", .run_s = 0.2 };
	stream_where_add(&w, f);
	stream_where_add(&w, f);
	free(f);
	cr_assert_eq(w.count, 2);
	cr_expect_str_eq(w.threads[1].name, "iou-wrk");
	cr_expect_float_eq(w.threads[1].run_s, 0.6, 1e-9);
	cr_expect_float_eq(w.threads[0].run_s, 0.5, 1e-9);
	cr_expect_float_eq(stream_where_idle(&w, 2), 2 * 1.0 / 200, 1e-9);
	cr_expect_float_eq(stream_where_others(&w, 2), 0.25, 1e-9);
	cr_expect_float_eq(stream_where_carried(&w, &k), 1.0005, 1e-9);
	cr_expect_eq(stream_where_copies(&k), 2);
}

Test(stream_costs, spread_is_over_the_median)
{
	struct samples s = { 3, { 10, 12, 11 } };

	cr_expect_float_eq(stream_spread(&s), 2.0 / 11, 1e-9);
	s.count = 1;
	cr_expect_eq(stream_spread(&s), 0);
}
