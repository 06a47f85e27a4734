/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_options.h"
#include "bench/child.h"
#include "daemon/clock.h"
#include "daemon/crew.h"
#include "bench/pass_limit.h"
#include "bench/pipeline_run.h"
#include "bench/results.h"
#include "daemon/log.h"
#include "kernels/cpu.h"
#include "daemon/scratch_folder.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int parse(struct bench_options *o, char *line, char why[512])
{
	char *argv[12] = { "openbeam-bench" };
	int argc = 1;

	why[0] = '\0';
	for (char *word = strtok(line, " "); word && argc < 11; word = strtok(NULL, " "))
		argv[argc++] = word;
	return bench_options_parse(o, argc, argv, why);
}

Test(bench, reads_its_options)
{
	struct bench_options o;
	char line[] = "stream --json x.json --size 640x480 --directory /data --full", why[512];

	cr_assert_eq(parse(&o, line, why), 0, "%s", why);
	cr_assert_str_eq(o.benchmark, "stream");
	cr_assert_str_eq(o.json, "x.json");
	cr_assert_str_eq(o.directory, "/data");
	cr_assert(o.width == 640 && o.height == 480 && o.full && o.action == BENCH_RUN);
}

Test(bench, reads_the_options_of_sinks)
{
	struct bench_options o;
	char line[] = "--runs 5 sinks --file-size 2000", why[512];

	cr_assert_eq(parse(&o, line, why), 0, "%s", why);
	cr_assert_str_eq(o.benchmark, "sinks");
	cr_assert(o.runs == 5 && o.file_mb == 2000);
}

Test(bench, reads_the_options_of_stream)
{
	struct bench_options o;
	char line[] = "stream --transport ipc --endpoints 4 --sink raw", why[512];

	cr_assert_eq(parse(&o, line, why), 0, "%s", why);
	cr_expect_str_eq(o.transport, "ipc");
	cr_expect_str_eq(o.sink, "raw");
	cr_expect(o.endpoints == 4 && !o.sized);
}

Test(bench, refuses_what_it_does_not_know_or_does_not_have_yet)
{
	static const char *const rows[][2] = {
		{ "", "limits, kernels, pipeline, sinks, profiles, soak or stream" },
		{ "rings", "not in this version" },
		{ "everything", "unknown" },
		{ "limits kernels", "one benchmark at a time" },
		{ "limits --size 10x10", "--size 10x10" },
		{ "stream --transport udp", "tcp, ipc or shm" },
		{ "stream --sink zip", "null, tiff, raw or hdf5" },
		{ "stream --endpoints 9", "1 to 8" },
		{ "stream --endpoints 2 --transport shm", "one endpoint" },
		{ "limits --sink null", "is for stream alone" },
		{ "limits --runs 3", "--runs" },
		{ "limits --file-size 3", "--file-size" },
		{ "sinks --runs 0", "from 1 to 64" },
		{ "sinks --file-size much", "in MB" },
		{ "limits --nonsense", "--nonsense" },
		{ "limits --json", "--json" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bench_options o;
		char line[64], why[512];

		snprintf(line, sizeof line, "%s", rows[i][0]);
		cr_assert_eq(parse(&o, line, why), -EINVAL, "\"%s\" was taken", rows[i][0]);
		cr_assert(strstr(why, rows[i][1]), "\"%s\": %s", rows[i][0], why);
	}
}

Test(bench, help_needs_no_benchmark)
{
	struct bench_options o;
	char line[] = "--help", why[512];

	cr_assert_eq(parse(&o, line, why), 0);
	cr_assert_eq(o.action, BENCH_HELP);
}

Test(bench, median_is_the_value_in_the_middle)
{
	struct samples s = { 0 };

	cr_assert_eq(samples_median(&s), 0);
	samples_add(&s, 5);
	cr_assert_eq(samples_median(&s), 5);
	samples_add(&s, 1);
	cr_assert_eq(samples_median(&s), 3);
	samples_add(&s, 100);
	cr_assert_eq(samples_median(&s), 5);
	cr_assert(samples_min(&s) == 1 && samples_max(&s) == 100);
	for (int i = 0; i < 2 * SAMPLES_MAX; i++)
		samples_add(&s, 0);
	cr_assert_eq(s.count, SAMPLES_MAX);
}

static double real(json_t *object, const char *name)
{
	cr_assert(json_is_number(json_object_get(object, name)), "%s", name);
	return json_number_value(json_object_get(object, name));
}

Test(bench, writes_json_of_the_agreed_shape)
{
	char path[] = "/tmp/openbeam-bench-XXXXXX";
	struct samples rate = { 3, { 9, 7, 8 } };
	struct results r;
	json_t *all, *row;

	close(mkstemp(path));
	cr_assert_eq(results_open(&r, "stream"), 0);
	results_add(&r, &(struct result){ .name = "tcp-disk",
	                                  .unit = "frames/s",
	                                  .samples = &rate,
	                                  .limit = 16,
	                                  .counts_lost = true,
	                                  .lost = 2,
	                                  .more = json_pack("{s:i}", "frames", 500) });
	results_add(&r, &(struct result){ .name = "plain", .unit = "GB/s", .samples = &rate });
	cr_assert_eq(results_write(&r, path), 0);
	results_close(&r);

	all = json_load_file(path, 0, NULL);
	unlink(path);
	cr_assert_not_null(all);
	cr_assert_str_eq(json_string_value(json_object_get(all, "benchmark")), "stream");
	cr_assert(json_is_string(json_object_get(all, "version")));
	cr_assert_gt(real(json_object_get(all, "machine"), "cores"), 0);
	row = json_array_get(json_object_get(all, "results"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(row, "name")), "tcp-disk");
	cr_assert(real(row, "median") == 8 && real(row, "min") == 7 && real(row, "max") == 9);
	cr_assert(real(row, "runs") == 3 && real(row, "limit") == 16 && real(row, "ratio") == 0.5);
	cr_assert(real(row, "lost") == 2 && real(row, "frames") == 500);
	row = json_array_get(json_object_get(all, "results"), 1);
	cr_assert(json_is_null(json_object_get(row, "limit")));
	cr_assert(json_is_null(json_object_get(row, "lost")));
	json_decref(all);
	cr_assert_eq(results_open(&r, "x"), 0);
	cr_assert_eq(results_write(&r, "/nowhere/x.json"), -ENOENT);
	results_close(&r);
}

static void count_member(void *user, unsigned member)
{
	_Atomic unsigned *seen = user;

	atomic_fetch_or(seen, 1u << member);
	usleep(20000);
}

Test(bench, a_crew_works_side_by_side_and_is_timed_to_the_last)
{
	_Atomic unsigned seen = 0;
	uint64_t ns = crew_time_ns(5, count_member, &seen);

	cr_assert_eq(atomic_load(&seen), 31);
	cr_assert_geq(ns, 20000000);
	cr_assert_lt(ns, 5 * NS_PER_S);
}

Test(bench, a_child_is_waited_for_timed_out_and_ended)
{
	static const volatile sig_atomic_t never = 0, now = 1;
	const char *const seven[] = { "/bin/sh", "-c", "exit 7", NULL };
	const char *const slow[] = { "/bin/sleep", "60", NULL };
	const char *const absent[] = { "/nowhere/program", NULL };
	uint64_t soon = clock_now_ns() + 10 * NS_PER_S;
	struct child c;

	cr_assert_eq(child_start(&c, seven, "/dev/null"), 0);
	cr_assert_eq(child_wait(&c, soon, &never), 7);
	cr_assert_eq(c.pid, 0);
	cr_assert_eq(child_start(&c, absent, "/dev/null"), 0);
	cr_assert_eq(child_wait(&c, soon, &never), 127);
	cr_assert_eq(child_start(&c, slow, "/dev/null"), 0);
	cr_assert_eq(child_wait(&c, clock_now_ns(), &never), -ETIMEDOUT);
	cr_assert_eq(child_wait(&c, soon, &now), -EINTR);
	child_end(&c);
	cr_assert_eq(c.pid, 0);
	child_end(&c);
}

Test(bench, a_scratch_folder_leaves_nothing)
{
	struct scratch_folder f;
	char path[SCRATCH_PATH_MAX + 32];
	struct stat status;
	FILE *out;

	cr_assert_eq(scratch_folder_open(&f, "/tmp", "openbeam-bench"), 0);
	snprintf(path, sizeof path, "%s/out", f.path);
	cr_assert_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/out/file", f.path);
	out = fopen(path, "w");
	cr_assert_not_null(out);
	fclose(out);
	scratch_folder_remove(&f, "out");
	cr_assert_neq(stat(path, &status), 0);
	snprintf(path, sizeof path, "%s", f.path);
	cr_assert_eq(stat(path, &status), 0);
	scratch_folder_close(&f);
	cr_assert_neq(stat(path, &status), 0);
	cr_assert_eq(scratch_folder_open(&f, "/nowhere", "openbeam-bench"), -ENOENT);
	scratch_folder_close(&f);
}

/* Two cores at most, so that the same is measured everywhere. */
Test(bench, feeds_the_pipeline_and_holds_its_ledger)
{
	static uint32_t crc32c[IMAGES_COUNT];
	struct images images;
	struct pipeline_setup setup = { .images = &images, .directory = "/tmp", .crc32c = crc32c };
	struct pipeline_figures f;
	char why[512] = "";

	log_least(LOG_ERROR);
	cr_assert_eq(images_open(&images, IMAGES_PHANTOM, 96, 64), 0);
	cr_assert(pipeline_expect(&images, true, crc32c));
	setup.quality = true;
	cr_assert_eq(pipeline_run(&setup, 300, &f, why), 0, "%s", why);
	cr_assert(f.expected == 300 && f.written == 300 && f.wrong == 0);
	setup.quality = false;
	cr_assert_eq(pipeline_run(&setup, 300, &f, why), 0, "%s", why);
	cr_assert_eq(f.wrong, 300, "a frame divided by its dose is another one");
	cr_assert(pipeline_expect(&images, false, crc32c));
	for (unsigned cores = 0; cores < 2; cores++) {
		setup.cores = cores;
		setup.raw_histogram = cores;
		cr_assert_eq(pipeline_run(&setup, 300, &f, why), 0, "%s", why);
		cr_assert(f.expected == 300 && f.written == 300 && f.wrong == 0);
		cr_assert(f.frames_per_s > 0 && f.hand >= 1 && f.workers >= 1);
	}
	crc32c[7] ^= 1; /* of 300 frames 12 or 13 are number 7 of 24 */
	cr_assert_eq(pipeline_run(&setup, 300, &f, why), 0, "%s", why);
	cr_assert_eq(f.wrong, 13);
	images_close(&images);
}

Test(bench, times_the_pass_of_every_layout)
{
	struct pass_load load = { .cpu = cpu_detect(), .threads = 1 };
	struct pass_limit pass;
	struct pass_figures f;

	cr_assert_eq(pass_limit_open(&pass, 96, 64, 1), 0);
	for (int layout = 0; layout < RAW_LAYOUT_COUNT; layout++) {
		cr_assert_eq(pass_limit_layout(&pass, (enum raw_layout)layout), 0);
		cr_assert(pass_limit_measure(&pass, &load, 1, 0.001, &f), "layout %d", layout);
		cr_assert_eq(f.frames_per_s.count, 1);
	}
	cr_assert_eq(pass_limit_images(&pass, IMAGES_NOISE), 0);
	load.raw_histogram = true;
	cr_assert(pass_limit_measure(&pass, &load, 1, 0.001, &f));
	pass_limit_close(&pass);
}
