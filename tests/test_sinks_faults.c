/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sinks_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define FOREVER UINT32_MAX

static struct rig rig;

/* Frames in own memory (zero copy), and frames that go through staging blocks. */
struct layout {
	uint32_t width, height;
};
static const struct layout layouts[] = { { 512, 256 }, { 897, 604 }, { 40, 30 } };
static const enum sink_format kept[] = { SINK_TIFF, SINK_RAW, SINK_HDF5 };

#define FOR_EACH_CASE                                                                              \
	for (unsigned f = 0; f < 3; f++)                                                           \
		for (unsigned l = 0; l < 3; l++)                                                   \
			for (unsigned plain = 0; plain < 2; plain++)

static void make(enum sink_format format, const struct layout *l, bool plain)
{
	rig_make(&rig, format);
	rig_shape(&rig, l->width, l->height, PRODUCT_UINT16);
	rig.refuse_ring = plain;
	rig.config.sinks[0].frames_per_file = 20;
}

static void run(uint64_t frames)
{
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
	rig_begin(&rig);
	for (uint64_t i = 0; i < frames; i++)
		rig_put(&rig, i);
	rig_end(&rig);
	rig_check(&rig);
}

Test(sinks_faults, short_writes_are_written_on)
{
	FOR_EACH_CASE
	{
		make(kept[f], &layouts[l], plain);
		rig.faults[0] = (struct rig_fault){
			.kind = DISK_WRITE, .from = 1, .to = FOREVER, .short_bytes = 70000
		};
		run(30);
		cr_assert(rig.complete, "%s", rig.said);
		cr_assert_str_empty(rig.said);
		rig_done(&rig);
	}
}

Test(sinks_faults, interruptions_and_lack_of_resources_are_tried_again)
{
	static const int errors[] = { -EAGAIN, -EINTR };

	FOR_EACH_CASE
	{
		make(kept[f], &layouts[l], plain);
		for (unsigned i = 0; i < 2; i++)
			for (unsigned k = 0; k < 2; k++)
				rig.faults[2 * i + k] =
					(struct rig_fault){ .kind = k ? DISK_SYNC_DATA : DISK_WRITE,
					                    .from = 1 + 2 * i,
					                    .to = 3 + 2 * i,
					                    .error = errors[i] };
		run(30);
		cr_assert(rig.complete, "%s", rig.said);
		rig_done(&rig);
	}
}

/* The n-th write to a data file fails: the file ends there, the series goes on. */
Test(sinks_faults, a_failed_write_ends_the_file_and_not_the_series)
{
	FOR_EACH_CASE
	{
		for (unsigned nth = 1; nth < 40; nth += 13) {
			uint64_t lost;

			make(kept[f], &layouts[l], plain);
			rig.faults[0] = (struct rig_fault){ .kind = DISK_WRITE,
				                            .on = "wood-0001_",
				                            .from = nth,
				                            .to = nth + 1,
				                            .error = -EIO };
			run(50);
			lost = rig_count(&rig, FRAME_DROPPED, DROPPED_WRITE);
			cr_assert_eq(lost + rig_count(&rig, FRAME_WRITTEN, 0), 50);
			if (rig.faults[0].counted < nth)
				cr_assert(rig.complete);
			else
				cr_assert_not_null(strstr(rig.said, "wood-0001_0"), "%s", rig.said);
			if (lost) {
				cr_assert_not(rig.complete);
				cr_assert_not_null(strstr(rig.said, "write failed"), "%s",
				                   rig.said);
			}
			rig_done(&rig);
		}
	}
}

Test(sinks_faults, a_failed_sync_takes_back_what_it_should_have_covered)
{
	FOR_EACH_CASE
	{
		uint64_t revoked = 0;

		make(kept[f], &layouts[l], plain);
		rig.config.sinks[0].sync_ns = 1000000;
		rig.faults[0] = (struct rig_fault){ .kind = DISK_SYNC_DATA,
			                            .on = "wood-0001_",
			                            .from = 2,
			                            .to = 3,
			                            .error = -EIO };
		cr_assert_eq(rig_open(&rig), 0);
		rig_begin(&rig);
		for (uint64_t i = 0; i < 15; i++) {
			rig_put(&rig, i);
			if (i == 4)
				rig_wait_for(&rig, &rig.durable, 1);
			if (i == 9)
				rig_wait_for(&rig, &rig.faults[0].counted, 2);
		}
		rig_end(&rig);
		rig_check(&rig);
		for (uint64_t i = 0; i < 15; i++)
			revoked += rig.revoked[i];
		cr_assert_gt(revoked, 0);
		cr_assert_gt(rig_count(&rig, FRAME_WRITTEN, 0), 0);
		cr_assert_geq(rig_count(&rig, FRAME_DROPPED, DROPPED_WRITE), revoked);
		cr_assert_not(rig.complete);
		cr_assert_not_null(strstr(rig.said, "sync failed"), "%s", rig.said);
		rig_done(&rig);
	}
}

/* A write fails while a sync is under way that fails too: nothing it covered may count. */
static void fail_write_then(enum disk_kind sync)
{
	make(SINK_TIFF, &layouts[0], false);
	rig.config.sinks[0].sync_ns = 1000000;
	rig.faults[0] = (struct rig_fault){
		.kind = DISK_WRITE, .on = "_000000", .from = 6, .to = 7, .error = -EIO
	};
	rig.faults[1] =
		(struct rig_fault){ .kind = sync, .from = 1, .to = FOREVER, .error = -EAGAIN };
	rig.faults[2] = (struct rig_fault){ .kind = sync, .from = 1, .to = 2, .error = -EIO };
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 5; i++)
		rig_put(&rig, i);
	rig_wait_for(&rig, &rig.faults[1].counted, 1);
	cr_assert_gt(rig.faults[1].counted, 0);
	rig_put(&rig, 5);
	rig_wait_for(&rig, &rig.faults[0].counted, 6);
	cr_assert_eq(rig.faults[0].counted, 6);
	cr_assert_eq(rig.faults[2].counted, 0);
	rig.faults[1].from = 0;
	rig_end(&rig);
	rig_check(&rig);
	cr_assert_eq(rig.durable, 0, "%s", rig.said);
	cr_assert_eq(rig_count(&rig, FRAME_DROPPED, DROPPED_WRITE), 6);
	cr_assert_not_null(strstr(rig.said, "sync"), "%s", rig.said);
	rig_done(&rig);
}

Test(sinks_faults, a_sync_that_fails_after_a_write_keeps_nothing_it_covered)
{
	fail_write_then(DISK_SYNC_DATA);
	fail_write_then(DISK_SYNC); /* of the folder, where the file's entry is */
}

Test(sinks_faults, the_last_sync_of_a_file_can_fail_too)
{
	FOR_EACH_CASE
	{
		make(kept[f], &layouts[l], plain);
		rig.config.sinks[0].sync_ns = UINT64_C(3600000000000);
		rig.faults[0] = (struct rig_fault){
			.kind = DISK_SYNC, .on = "wood-0001_", .from = 1, .to = 2, .error = -EIO
		};
		run(50);
		cr_assert_not(rig.complete);
		cr_assert_eq(rig_count(&rig, FRAME_DROPPED, DROPPED_WRITE), 20);
		cr_assert_eq(rig_files(&rig, ".part"), 1); /* nothing in it is known to be good */
		rig_done(&rig);
	}
}

/* A frame is half in the staging blocks of one file when the file before it fails. */
Test(sinks_faults, an_older_file_that_fails_leaves_the_current_one_whole)
{
	for (unsigned f = 0; f < 3; f++) {
		make(kept[f], &layouts[1], false);
		rig.config.sinks[0].frames_per_file = 60;
		rig.config.sinks[0].sync_ns = UINT64_C(3600000000000);
		rig.faults[0] = (struct rig_fault){ .kind = DISK_WRITE,
			                            .on = "_000001",
			                            .from = 1,
			                            .to = FOREVER,
			                            .error = -EAGAIN };
		rig.faults[1] = (struct rig_fault){ .kind = DISK_SYNC,
			                            .on = "_000000",
			                            .from = 1,
			                            .to = FOREVER,
			                            .error = -EAGAIN };
		rig.faults[2] = (struct rig_fault){
			.kind = DISK_SYNC, .on = "_000000", .from = 1, .to = 2, .error = -ENOSPC
		};
		cr_assert_eq(rig_open(&rig), 0);
		rig_begin(&rig);
		for (uint64_t i = 0; i < 90; i++) /* staging is short before the last */
			rig_put(&rig, i);
		rig_wait_for(&rig, &rig.faults[1].counted, 1);
		cr_assert_gt(rig.faults[1].counted, 0);
		rig.faults[1].from = 0;
		rig_wait_for(&rig, &rig.faults[2].counted, 1);
		cr_assert_geq(rig.faults[2].counted, 1);
		rig.faults[0].from = 0;
		for (uint64_t i = 90; i < 100; i++)
			rig_put(&rig, i);
		rig_end(&rig);
		rig_check(&rig);
		for (uint64_t i = 60; i < 100; i++)
			cr_assert_eq(rig.state[i], FRAME_WRITTEN, "%s", rig.said);
		rig_done(&rig);
	}
}

Test(sinks_faults, on_error_stop_drops_everything_after)
{
	FOR_EACH_CASE
	{
		make(kept[f], &layouts[l], plain);
		rig.config.sinks[0].on_error = ON_ERROR_STOP;
		rig.config.sinks[0].sync_ns = 1000000;
		rig.faults[0] = (struct rig_fault){ .kind = DISK_WRITE,
			                            .on = "wood-0001_000001",
			                            .from = 1,
			                            .to = 2,
			                            .error = -EIO };
		run(70);
		/* The next file may have taken frames before the error came back. */
		uint64_t written = rig_count(&rig, FRAME_WRITTEN, 0);
		cr_assert(written >= 20 && written <= 40, "%llu", (unsigned long long)written);
		cr_assert_eq(rig_count(&rig, FRAME_DROPPED, DROPPED_WRITE), 70 - written);
		cr_assert_not_null(strstr(rig.said, "on_error: stop"), "%s", rig.said);
		cr_assert_eq(rig_files(&rig, "_000003"), 0);
		rig_done(&rig);
	}
}

Test(sinks_faults, a_full_disk_is_named_and_tried_again)
{
	FOR_EACH_CASE
	{
		make(kept[f], &layouts[l], plain);
		/* Allocation answers first, where the file system has it. */
		rig.faults[0] = (struct rig_fault){ .kind = DISK_EXTEND,
			                            .on = "wood-0001_",
			                            .from = 2,
			                            .to = 5,
			                            .error = -ENOSPC };
		cr_assert_eq(rig_open(&rig), 0);
		rig_begin(&rig);
		for (uint64_t i = 0; i < 60; i++)
			rig_put(&rig, i);
		rig_poll_for(&rig, 1050);
		for (uint64_t i = 60; i < 80; i++)
			rig_put(&rig, i);
		rig_end(&rig);
		rig_check(&rig);
		cr_assert_not(rig.complete);
		cr_assert_eq(rig_count(&rig, FRAME_DROPPED, DROPPED_WRITE), 0);
		cr_assert_gt(rig_count(&rig, FRAME_DROPPED, DROPPED_NO_SPACE), 0);
		cr_assert_eq(rig.state[79], FRAME_WRITTEN);
		cr_assert_not_null(strstr(rig.said, "disk full"), "%s", rig.said);
		cr_assert_not_null(strstr(rig.said, "space again"), "%s", rig.said);
		cr_assert_eq(rig_files(&rig, ".part"), 0);
		rig_done(&rig);
	}
}

Test(sinks_faults, a_full_disk_without_allocation_shows_in_writes)
{
	FOR_EACH_CASE
	{
		make(kept[f], &layouts[l], plain);
		rig.faults[0] = (struct rig_fault){
			.kind = DISK_EXTEND, .from = 1, .to = FOREVER, .error = -EOPNOTSUPP
		};
		rig.faults[1] = (struct rig_fault){ .kind = DISK_WRITE,
			                            .on = "wood-0001_000001",
			                            .from = 1,
			                            .to = 2,
			                            .error = -ENOSPC };
		run(60);
		cr_assert_not(rig.complete);
		cr_assert_eq(rig_count(&rig, FRAME_DROPPED, DROPPED_WRITE), 0);
		cr_assert_gt(rig_count(&rig, FRAME_DROPPED, DROPPED_NO_SPACE), 0);
		cr_assert_geq(rig_count(&rig, FRAME_WRITTEN, 0), 20);
		cr_assert_not_null(strstr(rig.said, "disk full"), "%s", rig.said);
		rig_done(&rig);
	}
}

Test(sinks_faults, a_directory_that_cannot_be_written_leaves_the_part_and_the_frames)
{
	make(SINK_TIFF, &layouts[0], false);
	rig.config.sinks[0].sync_ns = UINT64_C(3600000000000);
	rig.config.sinks[0].frames_per_file = 10;
	/* Ten frames, then the tail, which fails twice. */
	rig.faults[0] = (struct rig_fault){
		.kind = DISK_WRITE, .on = "wood-0001_000000", .from = 11, .to = 13, .error = -EIO
	};
	run(15);
	cr_assert_not(rig.complete);
	cr_assert_eq(rig_count(&rig, FRAME_WRITTEN, 0), 15);
	cr_assert_eq(rig_files(&rig, "_000000.tif.part"), 1);
	cr_assert_not_null(strstr(rig.said, "left unfinished"), "%s", rig.said);
	rig_done(&rig);
}

Test(sinks_faults, a_journal_that_fails_stops_the_series)
{
	static const enum disk_kind kinds[] = { DISK_WRITE, DISK_SYNC_DATA };

	FOR_EACH_CASE
	{
		for (unsigned k = 0; k < 2; k++) {
			make(kept[f], &layouts[l], plain);
			rig.config.sinks[0].sync_ns = 1000000;
			rig.faults[0] = (struct rig_fault){ .kind = kinds[k],
				                            .on = "journal.bin",
				                            .from = 2,
				                            .to = 3,
				                            .error = -EIO };
			cr_assert_eq(rig_open(&rig), 0);
			rig_begin(&rig);
			for (uint64_t i = 0; i < 40; i++) {
				rig_put(&rig, i);
				if (i == 7)
					rig_wait_for(&rig, &rig.durable, 1);
				if (i == 15)
					rig_wait_for(&rig, &rig.faults[0].counted, 2);
			}
			rig_end(&rig);
			rig_check(&rig);
			cr_assert_not(rig.complete);
			cr_assert_eq(rig.state[39], FRAME_DROPPED);
			cr_assert_eq(rig.state[0], FRAME_WRITTEN);
			cr_assert_not_null(strstr(rig.said, "the journal failed"), "%s", rig.said);
			rig_begin(&rig); /* the next series has a journal of its own */
			rig_put(&rig, 5);
			rig_end(&rig);
			rig_check(&rig);
			cr_assert(rig.complete);
			rig_done(&rig);
		}
	}
}

Test(sinks_faults, a_journal_that_fails_lets_a_sink_without_files_end, .timeout = 20)
{
	make(SINK_NULL, &layouts[2], false);
	rig.faults[0] = (struct rig_fault){
		.kind = DISK_WRITE, .on = "journal.bin", .from = 1, .to = FOREVER, .error = -EAGAIN
	};
	rig.faults[1] = (struct rig_fault){
		.kind = DISK_WRITE, .on = "journal.bin", .from = 1, .to = 2, .error = -EIO
	};
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 5; i++)
		rig_put(&rig, i);
	rig_poll_for(&rig, 100);
	cr_assert_gt(rig.faults[0].counted, 0);
	for (uint64_t i = 5; i < 10; i++) /* behind the batch that will fail */
		rig_put(&rig, i);
	rig.faults[0].from = 0;
	rig_poll_for(&rig, 50);
	rig_end(&rig);
	cr_assert_not(rig.complete);
	cr_assert_eq(rig.durable, 0);
	cr_assert_eq(rig_count(&rig, FRAME_DROPPED, DROPPED_WRITE), 10);
	rig_done(&rig);
}

Test(sinks_faults, a_journal_without_space_goes_on_when_there_is_some)
{
	make(SINK_TIFF, &layouts[0], false);
	rig.config.sinks[0].sync_ns = 1000000;
	rig.faults[0] = (struct rig_fault){
		.kind = DISK_WRITE, .on = "journal.bin", .from = 2, .to = 3, .error = -ENOSPC
	};
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 30; i++) {
		rig_put(&rig, i);
		rig_poll_for(&rig, i % 10 == 9 ? 20 : 0);
	}
	rig_poll_for(&rig, 1050);
	rig_put(&rig, 30);
	rig_end(&rig);
	rig_check(&rig);
	cr_assert_eq(rig.state[30], FRAME_WRITTEN);
	cr_assert_gt(rig_count(&rig, FRAME_DROPPED, DROPPED_NO_SPACE), 0);
	cr_assert_eq(rig_count(&rig, FRAME_DROPPED, DROPPED_WRITE), 0);
	rig_done(&rig);
}

Test(sinks_faults, a_further_sink_that_loses_frames_makes_the_series_incomplete)
{
	make(SINK_TIFF, &layouts[2], false);
	rig.config.sink_count = 2;
	rig.config.sinks[1].format = SINK_RAW;
	rig.config.sinks[1].directory = rig.dirs[0];
	rig.faults[0] = (struct rig_fault){
		.kind = DISK_WRITE, .on = ".raw", .from = 1, .to = FOREVER, .error = -EIO
	};
	run(10);
	cr_assert_eq(rig_count(&rig, FRAME_WRITTEN, 0), 10);
	cr_assert_not(rig.complete);
	rig_done(&rig);
}

Test(sinks_faults, everything_fails_and_the_ledger_still_closes)
{
	FOR_EACH_CASE
	{
		make(kept[f], &layouts[l], plain);
		rig.faults[0] = (struct rig_fault){ .kind = DISK_WRITE,
			                            .on = "wood-0001_",
			                            .from = 1,
			                            .to = FOREVER,
			                            .error = -EIO };
		run(40);
		cr_assert_eq(rig_count(&rig, FRAME_DROPPED, DROPPED_WRITE), 40);
		cr_assert_eq(rig_files(&rig, ".tif") + rig_files(&rig, ".raw"), 0);
		rig_done(&rig);
	}
}

/* Any operation may fail in any way: whatever happens, ledger, files and callbacks agree. */
Test(sinks_faults, random_faults_never_break_the_ledger)
{
	static const int errors[] = { -EIO, -ENOSPC, -EAGAIN, -EDQUOT, 0 };
	static const char *const on[] = { NULL, "journal.bin", "wood-0001_", "_000001" };

	time_t end = time(NULL) + 10;

	srandom(7);
	for (unsigned round = 0; round < 150 && (round < 20 || time(NULL) < end); round++) {
		make(kept[random() % 2], &layouts[random() % 3], random() % 2);
		rig.config.sinks[0].frames_per_file = 1 + random() % 12;
		rig.config.sinks[0].sync_ns = (uint64_t)random() % 3000000;
		rig.config.sinks[0].direct = random() % 3 ? DIRECT_AUTO : DIRECT_NO;
		for (unsigned i = 0; i < 3; i++) {
			unsigned from = 1 + (unsigned)(random() % 20);

			rig.faults[i] = (struct rig_fault){
				.kind = (enum disk_kind)(random() % DISK_KIND_COUNT),
				.on = on[random() % 4],
				.from = from,
				.to = from + 1 + (unsigned)(random() % 3),
				.error = errors[random() % 5],
				.short_bytes = 1 + (uint64_t)random() % 100000
			};
		}
		cr_assert_eq(rig_open(&rig), 0);
		rig_begin(&rig);
		for (uint64_t i = 0; i < 40; i++)
			rig_put(&rig, i);
		rig_end(&rig);
		rig_check(&rig);
		rig_done(&rig);
	}
}

/* A disk of a few megabytes that fills up for real. */

static bool small_disk(const char *where, const char *size)
{
	char options[64];

	snprintf(options, sizeof options, "size=%s", size);
	/* In a name space of this process alone, so that nothing stays behind. */
	if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("none", where, "tmpfs", 0, options) == 0)
		return true;
	/* Not cr_log_warn(): Criterion counts a warning as a failure. */
	fprintf(stderr, "skipped: mounting a small tmpfs needs root\n");
	return false;
}

static uint64_t free_bytes(const char *where)
{
	struct statvfs v;

	cr_assert_eq(statvfs(where, &v), 0);
	return (uint64_t)v.f_bavail * v.f_frsize;
}

static void fill_up(enum sink_format format, const struct layout *l, const char *size)
{
	uint64_t frame, used;

	make(format, l, false);
	frame = rig.geometry.reduced.bytes;
	rig.config.sinks[0].frames_per_file = CONFIG_AUTO;
	rig.config.sinks[0].sync_ns = 1000000;
	if (!small_disk(rig.dirs[0], size)) {
		rig_done(&rig);
		cr_skip();
	}
	used = free_bytes(rig.dirs[0]);
	run(20000000 / frame < RIG_FRAMES_MAX ? 20000000 / frame : RIG_FRAMES_MAX - 1);
	used -= free_bytes(rig.dirs[0]);
	cr_assert_not(rig.complete);
	cr_assert_not_null(strstr(rig.said, "disk full"), "%s", rig.said);
	cr_assert_gt(rig_count(&rig, FRAME_DROPPED, DROPPED_NO_SPACE), 0);
	cr_assert_eq(rig_count(&rig, FRAME_DROPPED, DROPPED_WRITE), 0);
	cr_assert_gt(rig_count(&rig, FRAME_WRITTEN, 0) * frame, 5000000, "%s", rig.said);
	cr_assert_eq(rig_files(&rig, ".part"), 0);
	cr_assert_geq(used, rig_count(&rig, FRAME_WRITTEN, 0) * frame);
	/* Space again: the next series is complete. */
	cr_assert_eq(mount("none", rig.dirs[0], "tmpfs", MS_REMOUNT, "size=40m"), 0);
	rig_begin(&rig);
	rig_put(&rig, 0);
	rig_end(&rig);
	rig_check(&rig);
	cr_assert(rig.complete, "%s", rig.said);
	sinks_close(rig.sinks);
	rig.sinks = NULL;
	cr_assert_eq(umount(rig.dirs[0]), 0);
	rig_done(&rig);
}

Test(sinks_faults, a_disk_that_is_really_full_keeps_the_ledger_and_the_files)
{
	for (unsigned f = 0; f < 3; f++)
		for (unsigned l = 0; l < 3; l++)
			fill_up(kept[f], &layouts[l], "10m");
}

Test(sinks_faults, a_disk_without_room_for_a_folder_drops_every_frame)
{
	char ballast[128];
	int fd;

	make(SINK_TIFF, &layouts[0], false);
	if (!small_disk(rig.dirs[0], "256k")) {
		rig_done(&rig);
		cr_skip();
	}
	cr_assert_eq(rig_open(&rig), 0);
	snprintf(ballast, sizeof ballast, "%s/ballast", rig.dirs[0]);
	fd = creat(ballast, 0600);
	while (write(fd, ballast, sizeof ballast) > 0)
		;
	close(fd);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 5; i++)
		rig_put(&rig, i);
	rig_end(&rig);
	cr_assert_not(rig.complete);
	cr_assert_eq(rig.released, 5);
	cr_assert_eq(rig_count(&rig, FRAME_DROPPED, DROPPED_NO_SPACE), 5);
	cr_assert_not_null(strstr(rig.said, "No space left"), "%s", rig.said);
	sinks_close(rig.sinks);
	rig.sinks = NULL;
	cr_assert_eq(umount(rig.dirs[0]), 0);
	rig_done(&rig);
}
