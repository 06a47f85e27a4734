/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/host_fit.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <string.h>

/* 1000 frames/s are held by 2 cores, 4000 by the disk; memory and network take far more. */
static const struct fit host = {
	.what = "1000 x 1000 uint16",
	.directory = "/data",
	.frame_bytes = 2e6,
	.out_bytes = 1e6,
	.cores = 2,
	.path_cpu_s = 0.0015,
	.wire_cpu_s = 0.0005,
	.wire_rate = 9000,
	.memory_bytes_per_s = 100e9,
	.disk_bytes_per_s = 4e9,
	.free_bytes = 100e9,
	.buffer_frames = 500,
};

static const char *last_text(const struct fit_verdict *v)
{
	return v->findings[v->count - 1].text;
}

static void expect_last(const struct fit *f, const char *level, const char *text)
{
	struct fit_verdict v;

	fit_judge(f, &v);
	cr_expect_str_eq(v.findings[v.count - 1].area, "fit");
	cr_expect_str_eq(v.findings[v.count - 1].level, level, "%s", last_text(&v));
	cr_expect(strstr(last_text(&v), text), "'%s' is not in: %s", text, last_text(&v));
}

Test(host_fit, says_what_is_the_highest_rate)
{
	struct fit_verdict v;

	fit_judge(&host, &v);
	cr_expect(v.fits);
	cr_expect_eq(v.limit, FIT_CORES);
	cr_expect_float_eq(v.rate, 1000, 1e-9);
	expect_last(&host, "ok",
	            "holds about 1000 frames/s of 1000 x 1000 uint16, 2.00 GB/s; what ends first: "
	            "cores; its disk is then full after 100 s");
}

Test(host_fit, says_how_much_is_to_spare)
{
	struct fit f = host;

	f.rate = 700;
	expect_last(&f, "ok",
	            "fits with 1.43 times to spare (cores); the disk is full after 2 min");
	f.rate = 950;
	expect_last(&f, "warning", "fits with 1.05 times to spare (cores)");
}

Test(host_fit, says_when_the_buffer_is_full_and_why)
{
	struct fit f = host;
	struct fit_verdict v;

	f.rate = 1250;
	fit_judge(&f, &v);
	cr_expect_not(v.fits);
	cr_expect_float_eq(v.until_s, 2, 1e-9, "500 frames at 250 a second");
	cr_expect_float_eq(v.spare, 0.8, 1e-9);
	expect_last(&f, "error",
	            "stops fitting after 2.0 s, because 2.50 cores would be busy and there "
	            "are 2: the buffer of 500 frames holds the difference for so long, "
	            "then frames are dropped. Remedy: more cores");
	f.sender_is_held = true;
	expect_last(&f, "error", "then the sender is held back");
	f.seconds = 1.5;
	fit_judge(&f, &v);
	cr_expect(v.fits, "for a while");
	expect_last(&f, "warning", "fits for the 1.5 s asked for, but not for longer than 2.0 s");
}

Test(host_fit, finds_the_tightest_of_all)
{
	static const struct {
		double rate;
		size_t at;
		double value;
		enum fit_limit limit;
		const char *text;
	} rows[] = {
		{ 900, offsetof(struct fit, disk_bytes_per_s), 0.8e9, FIT_DISK,
		  "because 900 MB/s are to be written and this disk took 800 MB/s" },
		{ 900, offsetof(struct fit, wire_rate), 450, FIT_WIRE,
		  "because receiving takes 450 frames/s" },
		{ 900, offsetof(struct fit, memory_bytes_per_s), 5e9, FIT_MEMORY,
		  "because 9.00 GB/s would pass through memory, which moves 5.00 GB/s" },
		{ 900, offsetof(struct fit, path_rate), 300, FIT_PATH,
		  "because the data path takes 300 frames/s" },
		{ 900, offsetof(struct fit, sender_cpu_s), 0.002, FIT_CORES,
		  "because 3.60 cores would be busy" },
	};

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fit f = host;
		struct fit_verdict v;

		f.rate = rows[i].rate;
		memcpy((char *)&f + rows[i].at, &rows[i].value, sizeof rows[i].value);
		fit_judge(&f, &v);
		cr_expect_not(v.fits);
		cr_expect_eq(v.limit, rows[i].limit, "%s", last_text(&v));
		expect_last(&f, "error", rows[i].text);
	}
}

Test(host_fit, says_when_the_disk_is_full)
{
	struct fit f = host;
	struct fit_verdict v;

	f.rate = 500;
	f.seconds = 300;
	fit_judge(&f, &v);
	cr_expect_not(v.fits);
	cr_expect_eq(v.limit, FIT_SPACE);
	cr_expect_float_eq(v.until_s, 200, 1e-6);
	expect_last(
		&f, "error",
		"stops fitting after 3 min, because 150 GB are to be written and /data has 100 GB "
		"free: then frames are dropped. Remedy: free some space");
	f.seconds = 150;
	expect_last(&f, "ok", "fits with 1.33 times to spare (disk space)");
}

Test(host_fit, a_disk_that_was_not_waited_for_ends_nothing)
{
	struct fit f = host;
	struct fit_verdict v;

	f.disk_bytes_per_s = 1e8;
	f.disk_is_least = true;
	f.rate = 900;
	fit_judge(&f, &v);
	cr_expect(v.fits);
	cr_expect_eq(v.limit, FIT_CORES);
}

Test(host_fit, says_when_nothing_is_known)
{
	struct fit f = { .what = "", .rate = 1 };
	struct fit_verdict v;

	fit_judge(&f, &v);
	cr_expect_not(v.fits);
	cr_expect_str_eq(last_text(&v), "nothing could be measured");
}
