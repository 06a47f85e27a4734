/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_options.h"
#include "bench/fio.h"
#include "bench/results.h"
#include "bench/sinks_run.h"
#include "bench/write_pool.h"
#include "sinks/format.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define SLOTS 4

static const volatile sig_atomic_t never;

static char folder[] = "/tmp/openbeam-bench-test-XXXXXX";
static char program[96], path[64];

/* A program `fio` first in PATH; NULL: none is there. */
static void make_folder(const char *script)
{
	FILE *out;

	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/bin", folder);
	snprintf(program, sizeof program, "%s/fio", path);
	cr_assert_eq(mkdir(path, 0700), 0);
	if (script) {
		out = fopen(program, "w");
		cr_assert_not_null(out);
		fprintf(out, "#!/bin/sh\n%s", script);
		fclose(out);
		cr_assert_eq(chmod(program, 0700), 0);
	}
	cr_assert_eq(setenv("PATH", path, 1), 0);
}

/* Fails when anything else was left. */
static void remove_folder(void)
{
	unlink(program);
	cr_assert_eq(rmdir(path), 0);
	cr_assert_eq(rmdir(folder), 0, "%s: files were left: %s", folder, strerror(errno));
}

/* 2 GB in a second at 10 and 20 % of a core. */
static const char two_gb_per_s[] =
	"for word; do case $word in --output=*) report=${word#--output=} ;; esac; done\n"
	"[ -z \"$report\" ] || echo '{\"jobs\": [{\"job_runtime\": 1000, \"usr_cpu\": 10.0,"
	" \"sys_cpu\": 20.0, \"write\": {\"io_bytes\": 2000000000, \"runtime\": 1000}}]}' "
	">\"$report\"\n";

static const json_t *find(const struct results *r, const char *name)
{
	const json_t *row;
	size_t i;

	json_array_foreach(r->rows, i,
	                   row) if (strcmp(json_string_value(json_object_get(row, "name")), name) ==
	                            0) return row;
	cr_assert_fail("no row %s", name);
	return NULL;
}

static double real(const json_t *row, const char *name)
{
	cr_assert(json_is_number(json_object_get(row, name)), "%s", name);
	return json_number_value(json_object_get(row, name));
}

static const char *text(const json_t *row, const char *name)
{
	cr_assert(json_is_string(json_object_get(row, name)), "%s", name);
	return json_string_value(json_object_get(row, name));
}

static int measure(struct results *r, bool full, char why[512])
{
	const struct bench_options o = { .benchmark = "sinks",
		                         .directory = folder,
		                         .width = 256,
		                         .height = 128,
		                         .full = full,
		                         .runs = 1,
		                         .file_mb = 1 };

	why[0] = '\0';
	cr_assert_eq(results_open(r, "sinks"), 0);
	return bench_sinks(&o, r, why);
}

static void check_row(const struct results *r, const char *name, unsigned depth, double limit)
{
	const json_t *row = find(r, name);

	cr_assert_str_eq(text(row, "unit"), "GB/s");
	cr_assert_gt(real(row, "median"), 0);
	cr_assert_eq(real(row, "limit"), limit, "%s", name);
	cr_assert_float_eq(real(row, "ratio"), real(row, "median") / limit, 1e-6);
	cr_assert(real(row, "runs") == 1 && real(row, "lost") == 0, "%s", name);
	cr_assert(real(row, "queue_depth") == depth && real(row, "cpu_s_per_gb") > 0, "%s", name);
}

Test(bench_sinks, every_format_is_beside_fio)
{
	struct results r;
	char why[512], name[64];

	make_folder(two_gb_per_s);
	cr_assert_eq(measure(&r, false, why), 0, "%s", why);
	cr_assert_eq(real(find(&r, "fio-qd8"), "median"), 2);
	cr_assert_float_eq(real(find(&r, "fio-qd8"), "cpu_s_per_gb"), 0.15, 1e-9);
	cr_assert(json_is_null(json_object_get(find(&r, "fio-qd8"), "limit")));
	for (const struct format *const *f = formats; *f; f++) {
		if (!(*f)->suffix)
			continue;
		check_row(&r, (*f)->name, 8, 2);
		snprintf(name, sizeof name, "%s-qd2", (*f)->name);
		check_row(&r, name, 2, 2);
		snprintf(name, sizeof name, "%s-buffered-qd8", (*f)->name);
		check_row(&r, name, 8, 2);
		cr_assert_not_null(strstr(text(find(&r, name), "method"), "buffered"));
	}
	cr_assert_str_eq(text(find(&r, "pwrite-pool-qd8"), "engine"), "pwrite pool");
	results_close(&r);
	remove_folder();
}

Test(bench_sinks, full_adds_depths_system_calls_and_overwriting)
{
	struct results r;
	char why[512];

	make_folder(two_gb_per_s);
	cr_assert_eq(measure(&r, true, why), 0, "%s", why);
	check_row(&r, "raw-qd1", 1, 2);
	check_row(&r, "raw-qd16", 16, 2);
	check_row(&r, "raw-pwrite-qd8", 8, 2);
	cr_assert_not_null(strstr(text(find(&r, "raw-pwrite-qd8"), "method"), "OPENBEAM_WRITER"));
	cr_assert_eq(real(find(&r, "overwrite"), "limit"), 2);
	results_close(&r);
	remove_folder();
}

Test(bench_sinks, without_fio_another_limit_says_so)
{
	struct results r;
	char why[512];
	double limit;

	make_folder(NULL);
	cr_assert_not(fio_is_installed());
	cr_assert_eq(measure(&r, false, why), 0, "%s", why);
	cr_assert_not_null(strstr(text(find(&r, "disk-qd8"), "method"), "NOT INSTALLED"));
	limit = real(find(&r, "disk-qd8"), "median");
	check_row(&r, "tiff", 8, limit);
	check_row(&r, "tiff-qd2", 2, limit);
	results_close(&r);
	remove_folder();
}

Test(bench_sinks, what_fio_refuses_is_told)
{
	struct results r;
	char why[512];

	make_folder(
		"[ \"$1\" = --version ] || { echo 'engine io_uring not loadable' >&2; exit 1; }\n");
	cr_assert(fio_is_installed());
	cr_assert_eq(measure(&r, false, why), EX_UNAVAILABLE);
	cr_assert_str_eq(why, "fio failed: engine io_uring not loadable");
	results_close(&r);
	remove_folder();
}

Test(bench_sinks, who_is_interrupted_leaves_nothing)
{
	struct results r;
	char why[512];

	make_folder("[ \"$1\" = --version ] || { kill -PIPE $PPID; exec /bin/sleep 60; }\n");
	cr_assert_eq(measure(&r, false, why), 130);
	results_close(&r);
	remove_folder();
}

Test(bench_sinks, a_report_without_figures_is_refused)
{
	struct results r;
	char why[512];

	make_folder("exit 0\n");
	cr_assert_eq(measure(&r, false, why), EX_UNAVAILABLE);
	cr_assert_not_null(strstr(why, "fio failed"));
	results_close(&r);
	remove_folder();
}

/* Frames of 64 KiB through the sinks, in the folder. */
static int run_sinks(struct frame_slots *slots, uint64_t frames, struct sinks_figures *ret,
                     char why[512])
{
	struct scratch_folder scratch;
	struct sinks_load load = { .scratch = &scratch,
		                   .slots = slots,
		                   .format = "raw",
		                   .depth = SLOTS,
		                   .frames = frames,
		                   .stop = &never };
	int status;

	cr_assert_eq(frame_slots_open(slots, 256, 128, SLOTS), 0);
	cr_assert_eq(scratch_folder_open(&scratch, folder, "openbeam-bench"), 0);
	status = sinks_run(&load, ret, why);
	scratch_folder_close(&scratch);
	frame_slots_close(slots);
	return status;
}

Test(bench_sinks, frames_are_counted_when_they_are_durable)
{
	struct frame_slots slots;
	struct sinks_figures f;
	char why[512];

	make_folder(NULL);
	cr_assert_eq(run_sinks(&slots, 40, &f, why), 0, "%s", why);
	cr_assert(f.written == 40 && f.durable == 40 && f.seconds > 0 && f.cpu_s > 0);
	cr_assert_str_empty(why);
	remove_folder();
}

Test(bench_sinks, lost_frames_are_told)
{
	struct rlimit limit;
	struct frame_slots slots;
	struct sinks_figures f;
	char why[512];

	make_folder(NULL);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 1 << 20; /* a file of 16 frames */
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_eq(run_sinks(&slots, 40, &f, why), 0, "%s", why);
	cr_assert_lt(f.durable, 40);
	cr_assert_not_null(strstr(why, strerror(EFBIG)), "%s", why);
	limit.rlim_cur = limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	remove_folder();
}

Test(bench_sinks, a_pool_writes_every_frame_or_says_why_not)
{
	struct scratch_folder scratch;
	struct frame_slots slots;
	struct write_pool_load load = { &scratch, &slots, 3, 20 };
	struct write_pool_figures f = { 0 };

	make_folder(NULL);
	cr_assert_eq(frame_slots_open(&slots, 100, 30, SLOTS), 0);
	cr_assert(slots.frame_bytes == 6000 && slots.slot_bytes == 8192);
	cr_assert_eq(scratch_folder_open(&scratch, folder, "openbeam-bench"), 0);
	cr_assert_eq(write_pool_run(&load, &f), 0);
	cr_assert_gt(f.seconds, 0);
	scratch_folder_close(&scratch);
	snprintf(scratch.path, sizeof scratch.path, "/nowhere");
	cr_assert_eq(write_pool_run(&load, &f), -ENOENT);
	frame_slots_close(&slots);
	remove_folder();
}
