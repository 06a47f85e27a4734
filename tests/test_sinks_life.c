/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sinks_rig.h"

#include "kernels/cpu.h"
#include "kernels/crc32c.h"
#include "sinks/journal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static struct rig rig;

/* Root is above modes and limits: go on as somebody else, in this test's process only. */
static void become_nobody(void)
{
	if (geteuid() != 0)
		return;
	cr_assert_eq(chown(rig.root, NOBODY, NOBODY), 0);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(chown(rig.dirs[i], NOBODY, NOBODY), 0);
	cr_assert_eq(setresuid(NOBODY, NOBODY, NOBODY), 0);
}

static void *collect(void *unused)
{
	(void)unused;
	for (unsigned series = 0; series < 2; series++) {
		rig_begin(&rig);
		for (uint64_t i = 0; i < 30; i++)
			rig_put(&rig, i);
		rig_end(&rig);
		rig_check(&rig);
	}
	return NULL;
}

Test(sinks_life, the_collecting_thread_need_not_be_the_one_that_opened)
{
	pthread_t thread;

	rig_make(&rig, SINK_TIFF);
	rig_shape(&rig, 256, 200, PRODUCT_UINT16);
	cr_assert_eq(rig_open(&rig), 0);
	cr_assert_eq(pthread_create(&thread, NULL, collect, NULL), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert(rig.complete, "%s", rig.said);
	rig_done(&rig);
}

Test(sinks_life, a_series_of_another_shape_follows)
{
	rig_make(&rig, SINK_TIFF);
	rig_shape(&rig, 256, 256, PRODUCT_UINT16);
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	rig_put(&rig, 1);
	rig_end(&rig);
	rig_check(&rig);
	rig_shape(&rig, 51, 43, PRODUCT_UINT8); /* smaller, so the slots do */
	cr_assert_eq(sinks_lay_out(rig.sinks, &rig.geometry), 0);
	rig_begin(&rig);
	rig_put(&rig, 1);
	rig_put(&rig, 2);
	rig_end(&rig);
	rig_check(&rig);
	cr_assert(rig.complete);
	rig_done(&rig);
}

Test(sinks_life, plain_writes_do_where_the_lock_limit_is_low)
{
	struct rlimit low = { 65536, 65536 };

	rig_make(&rig, SINK_TIFF);
	rig_shape(&rig, 512, 512, PRODUCT_UINT16);
	become_nobody();
	cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &low), 0);
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
	if (!strstr(sinks_writer_summary(rig.sinks), "pwrite"))
		cr_assert_not_null(strstr(sinks_writer_summary(rig.sinks),
		                          "plain buffers (RLIMIT_MEMLOCK is 64 KiB"),
		                   "%s", sinks_writer_summary(rig.sinks));
	rig_begin(&rig);
	for (uint64_t i = 0; i < 10; i++)
		rig_put(&rig, i);
	rig_end(&rig);
	rig_check(&rig);
	cr_assert(rig.complete);
	rig_done(&rig);
}

Test(sinks_life, a_directory_of_somebody_else_is_refused_by_name)
{
	rig_make(&rig, SINK_TIFF);
	become_nobody();
	rig.config.sinks[0].directory = (char *)(uintptr_t) "/usr";
	cr_assert_eq(rig_open(&rig), -EACCES);
	cr_assert_not_null(strstr(rig.why, "/usr"), "%s", rig.why);
	cr_assert_not_null(strstr(rig.why, "right to write"), "%s", rig.why);
	rig_done(&rig);
}

static void one_series(uint64_t frames)
{
	rig_begin(&rig);
	for (uint64_t i = 0; i < frames; i++)
		rig_put(&rig, i);
	rig_end(&rig);
	rig_check(&rig);
}

Test(sinks_life, hdf5_without_angles_is_said_once_a_series)
{
	static const char wanted[] = "rotation.from_key";

	rig_make(&rig, SINK_HDF5);
	rig.rotation_key[0] = '\0';
	cr_assert_eq(rig_open(&rig), 0);
	one_series(3);
	cr_assert_not_null(strstr(rig.said, wanted), "%s", rig.said);
	cr_assert_null(strstr(strstr(rig.said, wanted) + 1, wanted), "%s", rig.said);
	rig.said[0] = '\0';
	one_series(1);
	cr_assert_not_null(strstr(rig.said, wanted), "%s", rig.said);
	rig.rotation_key[0] = 'a';
	rig.said[0] = '\0';
	one_series(1);
	rig.rotation_key[0] = '\0';
	rig.config.rotation.start_auto = false;
	one_series(1);
	cr_assert_null(strstr(rig.said, wanted), "%s", rig.said);
	rig_done(&rig);
}

Test(sinks_life, tiffs_need_no_angles)
{
	rig_make(&rig, SINK_TIFF);
	cr_assert_eq(rig_open(&rig), 0);
	one_series(1);
	cr_assert_null(strstr(rig.said, "rotation"), "%s", rig.said);
	rig_done(&rig);
}

/* A directory that is not the one that was opened. */

static void replace_directory(void)
{
	char away[96];

	snprintf(away, sizeof away, "%s/away", rig.root);
	cr_assert_eq(rename(rig.dirs[0], away), 0);
	cr_assert_eq(mkdir(rig.dirs[0], 0777), 0);
}

Test(sinks_life, a_series_goes_where_the_path_leads_when_it_begins)
{
	for (unsigned direct = 0; direct < 2; direct++) {
		rig_make(&rig, SINK_TIFF);
		cr_assert_eq(rig_open(&rig), 0);
		one_series(5);
		replace_directory();
		rig.refuse_direct = direct;
		one_series(5);
		cr_assert(rig.complete, "%s", rig.said);
		cr_assert_eq(sinks_series_number(rig.sinks), 1);
		cr_assert_not_null(strstr(rig.said, rig.dirs[0]), "%s", rig.said);
		cr_assert_not_null(strstr(rig.said, "another directory"), "%s", rig.said);
		rig_done(&rig);
	}
}

Test(sinks_life, a_directory_that_is_gone_loses_its_series_and_no_other)
{
	rig_make(&rig, SINK_TIFF);
	cr_assert_eq(rig_open(&rig), 0);
	cr_assert_eq(rmdir(rig.dirs[0]), 0);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 5; i++)
		rig_put(&rig, i);
	rig_end(&rig);
	cr_assert_not(rig.complete);
	cr_assert_eq(rig_count(&rig, FRAME_DROPPED, DROPPED_WRITE), 5);
	cr_assert_not_null(strstr(rig.said, rig.dirs[0]), "%s", rig.said);
	cr_assert_eq(mkdir(rig.dirs[0], 0777), 0);
	one_series(5);
	cr_assert(rig.complete, "%s", rig.said);
	rig_done(&rig);
}

Test(sinks_life, directories_that_became_one_stay_two)
{
	char away[96];

	rig_make(&rig, SINK_TIFF);
	rig.config.sink_count = 2;
	cr_assert_eq(rig_open(&rig), 0);
	snprintf(away, sizeof away, "%s/away", rig.root);
	cr_assert_eq(rename(rig.dirs[1], away), 0);
	cr_assert_eq(symlink(rig.dirs[0], rig.dirs[1]), 0);
	rig_begin(&rig);
	rig_put(&rig, 1);
	rig_end(&rig);
	cr_assert(rig.complete, "%s", rig.said);
	cr_assert_eq(sinks_series_number(rig.sinks), 1);
	rig_done(&rig);
}

/* What a crash leaves: every valid record names pixels that are there. */

static void write_until_killed(void)
{
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	for (uint64_t i = 0;; i++)
		rig_put(&rig, i % RIG_FRAMES_MAX);
}

static void check_record(const struct journal_view *v, uint32_t i, int folder)
{
	size_t bytes = rig.geometry.reduced.bytes;
	unsigned char *found = malloc(bytes), *expected = malloc(bytes);
	struct journal_record r;
	char name[400];
	int fd;

	journal_view_record(v, i, &r);
	snprintf(name, sizeof name, "%s_%06u%s", v->header.folder, r.file, v->header.suffix);
	fd = openat(folder, name, O_RDONLY);
	if (fd < 0) {
		strcat(name, ".part");
		fd = openat(folder, name, O_RDONLY);
	}
	cr_assert_geq(fd, 0, "%s", name);
	cr_assert_eq(r.length, bytes);
	cr_assert_eq(r.offset, v->header.head_bytes + r.index * bytes);
	cr_assert_eq(pread(fd, found, bytes, (off_t)r.offset), (ssize_t)bytes);
	rig_pattern(expected, &rig.geometry.reduced, r.number);
	cr_assert_eq(memcmp(found, expected, bytes), 0, "frame %u", i);
	cr_assert_eq(r.crc32c, crc32c_for(cpu_detect())(0, found, bytes));
	close(fd);
	free(found);
	free(expected);
}

/* Until some frames are durable, however slow the disk is. */
static void wait_for_records(void)
{
	char path[160];
	struct stat st = { 0 };

	snprintf(path, sizeof path, "%s/wood-0001/journal.bin", rig.dirs[0]);
	for (unsigned i = 0; i < 20000 && st.st_size < 10 * JOURNAL_RECORD_BYTES; i++) {
		usleep(1000);
		(void)stat(path, &st);
	}
}

static void kill_and_check(enum sink_format format, uint32_t width, unsigned after_ms)
{
	struct journal_view v;
	char path[128];
	pid_t child;
	int folder;

	rig_make(&rig, format);
	rig_shape(&rig, width, 100, PRODUCT_UINT16);
	rig.config.sinks[0].sync_ns = 5000000;
	rig.config.sinks[0].frames_per_file = 50;
	child = fork();
	if (child == 0)
		write_until_killed();
	wait_for_records();
	usleep(after_ms * 1000);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	snprintf(path, sizeof path, "%s/wood-0001", rig.dirs[0]);
	folder = open(path, O_RDONLY | O_DIRECTORY);
	cr_assert_geq(folder, 0);
	cr_assert_eq(journal_view_open(&v, folder, "journal.bin", UINT64_MAX), 0);
	cr_assert_gt(v.records, 0);
	for (uint32_t i = 0; i < v.records; i++)
		check_record(&v, i, folder);
	journal_view_close(&v);
	close(folder);
	rig_done(&rig);
}

Test(sinks_life, after_a_kill_every_record_names_pixels_that_are_there)
{
	for (unsigned ms = 3; ms < 200; ms += 70) {
		kill_and_check(SINK_TIFF, 128, ms);
		kill_and_check(SINK_TIFF, 777, ms);
		kill_and_check(SINK_RAW, 3, ms);
	}
}

/* One frame a file: more failures in a moment than are said. */
static void fail_often(void)
{
	rig_make(&rig, SINK_RAW);
	rig_shape(&rig, 512, 256, PRODUCT_UINT16);
	rig.config.sinks[0].frames_per_file = 1;
	rig.config.sinks[0].sync_ns = 3600000000000;
	rig.faults[0] = (struct rig_fault){
		.kind = DISK_SYNC, .on = "wood-0001_", .from = 1, .to = 31, .error = -EIO
	};
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 30; i++)
		rig_put(&rig, i);
}

Test(sinks_life, the_end_of_a_series_says_how_much_was_left_unsaid)
{
	fail_often();
	rig_end(&rig);
	cr_assert_not_null(strstr(rig.said, "further sentences left out"), "%s", rig.said);
	rig_done(&rig);
}

Test(sinks_life, the_next_second_says_how_much_was_left_unsaid)
{
	fail_often();
	rig_poll_for(&rig, 1500);
	cr_assert_not_null(strstr(rig.said, "further sentences left out"), "%s", rig.said);
	rig_end(&rig);
	rig_done(&rig);
}
