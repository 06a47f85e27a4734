/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/proc_threads.h"
#include "bench/trial.h"
#include "bench/trial_parts.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#define FRAMES 50

static const volatile sig_atomic_t stop;

static const struct trial_plan small = {
	.endpoints = 1,
	.width = 64,
	.height = 64,
	.pixel_format = "Mono16",
	.sink = "null",
};

static void run(struct trial *t, struct trial_figures *ret)
{
	char why[512] = "";

	cr_assert_eq(trial_run(t, FRAMES, 20.0, ret, why), 0, "%s", why);
	cr_assert_eq(ret->expected, FRAMES);
}

static void open_small(struct trial *t, const struct trial_plan *plan)
{
	char why[512] = "";

	cr_assert_eq(trial_open(t, plan, "/tmp", &stop, why), 0, "%s", why);
}

static void runs_exactly(const struct trial_plan *plan)
{
	struct trial t;
	struct trial_figures f;

	open_small(&t, plan);
	run(&t, &f);
	cr_expect_eq(f.written, FRAMES);
	cr_expect_eq(f.wrong, 0);
	cr_expect_gt(f.fps, 0);
	cr_expect_eq(f.lost, 0);
	cr_expect_gt(f.thread_count, 2);
	cr_expect_eq(f.latency[TRIAL_SUBMIT].count, FRAMES);
	trial_close(&t);
}

Test(trial, a_small_stream_is_exact)
{
	runs_exactly(&small);
}

Test(trial, so_is_one_with_everything_through_shared_memory)
{
	struct trial_plan plan = small;

	plan.transport = TRIAL_SHM;
	plan.everything = true;
	plan.pixel_format = "Mono8";
	runs_exactly(&plan);
}

Test(trial, packed_pixels_as_they_came_over_two_endpoints)
{
	struct trial_plan plan = small;

	plan.transport = TRIAL_IPC;
	plan.endpoints = 2;
	plan.pixel_format = "Mono12p";
	plan.sink = "raw";
	plan.source = true;
	runs_exactly(&plan);
}

Test(trial, a_wrong_checksum_is_found)
{
	struct trial t;
	struct trial_figures f;

	open_small(&t, &small);
	t.crc32c[7] ^= 1;
	run(&t, &f);
	cr_expect_eq(f.wrong, 1);
	cr_expect_eq(f.lost, 0);
	trial_close(&t);
}

/* The manifest begins at 9 s, when the series had its folder. */
Test(trial, a_run_begins_with_its_first_frame)
{
	uint32_t crc = 0x12345678;
	struct trial t = { .plan = small, .crc32c = &crc, .places = 1 };
	struct trial_figures f = { .seconds = 1, .end_ns = 10000000000, .written = 3 };
	struct trial_path path;
	char why[512] = "";
	FILE *out;

	cr_assert_eq(scratch_folder_open(&t.scratch, "/tmp", "openbeam-test"), 0);
	cr_assert_eq(mkdir(trial_in_scratch(&t, "out").text, 0700), 0);
	cr_assert_eq(mkdir(trial_in_scratch(&t, "out/a").text, 0700), 0);
	path = trial_in_scratch(&t, "out/a/frames.csv");
	out = fopen(path.text, "w");
	fputs("frame,state,received_ns,crc32c\n"
	      "0,written,9100000000,12345678\n"
	      "1,written,8500000000,12345678\n"
	      "2,missing,,\n",
	      out);
	fclose(out);
	cr_expect_eq(trial_read_ledger(&t, 3, &f, why), 0, "%s", why);
	cr_expect_eq(f.wrong, 0);
	cr_expect_float_eq(f.seconds, 1.5, 1e-9);
	cr_expect_float_eq(f.fps, 2, 1e-9);
	scratch_folder_close(&t.scratch);
}

Test(trial, a_plan_that_cannot_be_is_refused)
{
	struct trial_plan plan = small;
	char why[512] = "";
	struct trial t;

	plan.transport = TRIAL_SHM;
	plan.endpoints = 2;
	cr_expect_neq(trial_open(&t, &plan, "/tmp", &stop, why), 0);
	cr_expect_neq(why[0], '\0');
	trial_close(&t);
}

Test(trial_calls, a_summary_of_strace_is_read)
{
	struct trial_calls c = { 0 };
	const char *text = "% time     seconds  usecs/call     calls    errors syscall\n"
			   "------ ----------- ----------- --------- --------- ----------------\n"
			   " 90.10    0.091000           7     13000       120 recvfrom\n"
			   "  9.90    0.010000          10      1000           poll\n"
			   "------ ----------- ----------- --------- --------- ----------------\n"
			   "100.00    0.101000           7     14000       120 total\n";

	cr_assert(trial_calls_parse(text, &c));
	cr_assert_eq(c.count, 2);
	cr_expect_str_eq(c.at[0].name, "recvfrom");
	cr_expect_eq(c.at[0].calls, 13000);
	cr_expect_str_eq(c.at[1].name, "poll");
	cr_expect_eq(c.at[1].calls, 1000);
	cr_expect_not(trial_calls_parse("strace: ptrace: not permitted\n", &c));
}

Test(proc_threads, so_are_those_of_the_machine)
{
	uint64_t bytes = 0;
	double busy = 0;

	cr_assert(proc_parse_machine("cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 2 3\n", &busy));
	cr_expect_float_eq(busy, 1.71, 1e-9);
	cr_expect_not(proc_parse_machine("intr 1 2", &busy));
	cr_assert(proc_parse_loopback("Inter-|   Receive\n  eth0: 9 1 0\n    lo: 12345 67 0\n",
	                              &bytes));
	cr_expect_eq(bytes, 12345);
	cr_expect_not(proc_parse_loopback("  eth0: 9 1 0\n", &bytes));
}

Test(proc_threads, texts_of_the_kernel_are_read)
{
	struct proc_thread t = { 0 };
	struct proc_process p = { 0 };
	uint64_t peak = 0;

	cr_assert(proc_parse_stat("71 (rx (0) a) R 70 71 70 0 -1 4194368 250 0 3 0 120 45 0 0 20 0",
	                          &t));
	cr_expect_str_eq(t.name, "rx (0) a");
	cr_expect_eq(t.faults, 253);
	cr_expect_eq(t.major_faults, 3);
	cr_expect_float_eq(t.user_s, 1.2, 1e-9);
	cr_expect_float_eq(t.system_s, 0.45, 1e-9);
	cr_assert(proc_parse_schedstat("1500000000 250000000 77\n", &t));
	cr_expect_float_eq(t.run_s, 1.5, 1e-9);
	cr_expect_float_eq(t.queue_s, 0.25, 1e-9);
	cr_assert(proc_parse_status("Name:\trx0\nVmHWM:\t    2048 kB\n"
	                            "voluntary_ctxt_switches:\t12\n"
	                            "nonvoluntary_ctxt_switches:\t7\n",
	                            &t, &peak));
	cr_expect_eq(peak, 2048 * 1024);
	cr_expect_eq(t.switches, 12);
	cr_expect_eq(t.preemptions, 7);
	cr_assert(proc_parse_io("rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\n"
	                        "write_bytes: 6\ncancelled_write_bytes: 9\n",
	                        &p));
	cr_expect_eq(p.read_calls, 3);
	cr_expect_eq(p.write_calls, 4);
	cr_expect_eq(p.written_bytes, 6);
}

Test(proc_threads, other_texts_are_refused)
{
	struct proc_thread t = { 0 };
	struct proc_process p = { 0 };
	uint64_t peak = 0;

	cr_expect_not(proc_parse_stat("71 rx0 R 70", &t));
	cr_expect_not(proc_parse_stat("71 (rx0) R 70 71", &t));
	cr_expect_not(proc_parse_schedstat("none", &t));
	cr_expect_not(proc_parse_status("Name: x\n", &t, &peak));
	cr_expect_not(proc_parse_io("syscr:\n", &p));
}
