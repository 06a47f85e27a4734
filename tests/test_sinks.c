/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sinks_rig.h"

#include "sinks/folder.h"
#include "sinks/format.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tiffio.h>
#include <unistd.h>

static struct rig rig;

static void run_series(struct rig *r, uint64_t first, uint64_t frames)
{
	rig_begin(r);
	for (uint64_t i = 0; i < frames; i++)
		rig_put(r, first + i);
	rig_end(r);
	rig_check(r);
}

/* The contract, for each format of the table. */

static void check_clean_series(enum sink_format format, uint32_t width, uint32_t height,
                               enum product_type type, int64_t per_file, uint64_t frames)
{
	rig_make(&rig, format);
	rig_shape(&rig, width, height, type);
	rig.config.sinks[0].frames_per_file = per_file;
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
	run_series(&rig, 3, frames);
	cr_assert(rig.complete, "%s", rig.said);
	cr_assert_eq(rig_count(&rig, FRAME_WRITTEN, 0), frames);
	cr_assert_eq(rig_files(&rig, ".part"), 0);
	cr_assert_str_empty(rig.said);
	rig_done(&rig);
}

Test(sinks, every_format_writes_what_it_was_given)
{
	for (const struct format *const *f = formats; *f; f++)
		for (unsigned type = 0; type < PRODUCT_TYPE_COUNT; type++)
			check_clean_series((*f)->id, 64, 48, (enum product_type)type, CONFIG_AUTO,
			                   20);
}

Test(sinks, every_format_takes_frames_that_fill_no_block)
{
	for (const struct format *const *f = formats; *f; f++) {
		check_clean_series((*f)->id, 897, 604, PRODUCT_FLOAT32, 5, 12);
		check_clean_series((*f)->id, 1, 1, PRODUCT_UINT8, 7, 50);
		check_clean_series((*f)->id, 33, 31, PRODUCT_UINT8, 10, 33);
	}
}

Test(sinks, every_format_takes_frames_from_their_own_memory)
{
	for (const struct format *const *f = formats; *f; f++)
		check_clean_series((*f)->id, 512, 256, PRODUCT_UINT16, 6, 20);
}

Test(sinks, every_format_takes_a_series_of_one_frame)
{
	for (const struct format *const *f = formats; *f; f++)
		check_clean_series((*f)->id, 16, 16, PRODUCT_UINT32, CONFIG_AUTO, 1);
}

Test(sinks, one_frame_a_file_gives_as_many_files)
{
	for (const struct format *const *f = formats; *f; f++)
		check_clean_series((*f)->id, 100, 10, PRODUCT_UINT16, 1, 40);
}

Test(sinks, rows_and_formats_have_the_same_names)
{
	unsigned n = 0;

	for (; formats[n]; n++)
		cr_assert_str_eq(formats[n]->name, sink_rows[n].name);
	cr_assert_null(sink_rows[n].name);
	cr_assert(sink_format_built(SINK_TIFF) && sink_format_built(SINK_NULL));
}

Test(sinks, buffered_files_hold_the_same)
{
	for (unsigned staged = 0; staged < 2; staged++) {
		rig_make(&rig, SINK_TIFF);
		rig_shape(&rig, staged ? 15 : 301, staged ? 7 : 299, PRODUCT_UINT16);
		rig.config.sinks[0].direct = DIRECT_NO;
		rig.config.sinks[0].frames_per_file = 9;
		cr_assert_eq(rig_open(&rig), 0);
		cr_assert_not_null(strstr(sinks_writer_summary(rig.sinks), "buffered"));
		run_series(&rig, 0, 30);
		cr_assert(rig.complete);
		rig_done(&rig);
	}
}

Test(sinks, fall_back_to_pwrite_and_say_why)
{
	rig_make(&rig, SINK_TIFF);
	rig_shape(&rig, 129, 65, PRODUCT_FLOAT32);
	rig.refuse_ring = true;
	rig.config.sinks[0].frames_per_file = 11;
	cr_assert_eq(rig_open(&rig), 0);
	cr_assert_not_null(strstr(sinks_writer_summary(rig.sinks), "pwrite (io_uring refused: "));
	run_series(&rig, 0, 40);
	cr_assert(rig.complete, "%s", rig.said);
	rig_done(&rig);
}

Test(sinks, the_environment_can_force_pwrite)
{
	setenv("OPENBEAM_WRITER", "pwrite", 1);
	rig_make(&rig, SINK_RAW);
	cr_assert_eq(rig_open(&rig), 0);
	cr_assert_not_null(strstr(sinks_writer_summary(rig.sinks), "OPENBEAM_WRITER"));
	run_series(&rig, 0, 10);
	cr_assert(rig.complete);
	rig_done(&rig);
}

Test(sinks, direct_auto_falls_back_with_a_reason_and_yes_refuses)
{
	rig_make(&rig, SINK_RAW);
	rig.refuse_direct = true;
	cr_assert_eq(rig_open(&rig), 0);
	cr_assert_not_null(strstr(sinks_writer_summary(rig.sinks), "refuses O_DIRECT"));
	run_series(&rig, 0, 10);
	cr_assert(rig.complete);
	sinks_close(rig.sinks);
	rig.sinks = NULL;
	rig.config.sinks[0].direct = DIRECT_YES;
	cr_assert_eq(rig_open(&rig), -EINVAL);
	cr_assert_not_null(strstr(rig.why, rig.dirs[0]), "%s", rig.why);
	cr_assert_not_null(strstr(rig.why, "direct"), "%s", rig.why);
	rig_done(&rig);
}

Test(sinks, many_tiny_frames_take_no_quadratic_time)
{
	rig_make(&rig, SINK_TIFF);
	rig_shape(&rig, 32, 32, PRODUCT_UINT16);
	rig.config.sinks[0].frames_per_file = 100000;
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 19000; i++)
		rig_put(&rig, i);
	rig_end(&rig);
	cr_assert(rig.complete, "%s", rig.said);
	cr_assert_eq(rig_count(&rig, FRAME_WRITTEN, 0), 19000);
	cr_assert_eq(rig_files(&rig, ".tif"), 1);
	rig_done(&rig);
}

Test(sinks, file_size_limits_files)
{
	unsigned files;

	rig_make(&rig, SINK_TIFF);
	rig_shape(&rig, 64, 64, PRODUCT_UINT16);
	rig.config.sinks[0].file_size = 100000;
	cr_assert_eq(rig_open(&rig), 0);
	run_series(&rig, 0, 50);
	files = rig_files(&rig, ".tif");
	cr_assert(files >= 5 && files <= 6, "%u files", files);
	for (unsigned i = 0; i < files; i++) {
		char path[4096];
		struct stat st;

		snprintf(path, sizeof path, "%s/wood-0001_%06u.tif", sinks_series_path(rig.sinks),
		         i);
		cr_assert_eq(stat(path, &st), 0);
		cr_assert_leq(st.st_size, 100000);
	}
	rig_done(&rig);
}

Test(sinks, tiff_stays_classic_unless_more_was_asked_for)
{
	const struct format *f = format_find(SINK_TIFF);
	struct config_sink c = { .frames_per_file = CONFIG_AUTO };
	struct sink_shape s = { .bytes = 4u << 20 };

	cr_assert_eq(f->plan(&c, &s).frames, 1000);
	cr_assert_not(f->plan(&c, &s).large);
	s.bytes = 11059200;
	cr_assert_eq(f->plan(&c, &s).frames, 388);
	cr_assert_not(f->plan(&c, &s).large);
	c.frames_per_file = 1000;
	cr_assert_eq(f->plan(&c, &s).frames, 1000);
	cr_assert(f->plan(&c, &s).large);
	c.frames_per_file = CONFIG_AUTO;
	c.file_size = UINT64_C(20) << 30;
	cr_assert(f->plan(&c, &s).large);
	cr_assert_leq(f->plan(&c, &s).frames * s.bytes, c.file_size);
	c.file_size = 1;
	cr_assert_eq(f->plan(&c, &s).frames, 1);
}

Test(sinks, every_sync_makes_frames_durable_while_the_series_runs)
{
	rig_make(&rig, SINK_TIFF);
	rig_shape(&rig, 50, 50, PRODUCT_UINT8);
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 40; i++) {
		rig_put(&rig, i);
		if (i % 10 == 9) {
			for (unsigned tries = 0; rig.durable < i + 1 && tries < 100; tries++)
				rig_poll_for(&rig, 100); /* a busy disk may take a while */
			cr_assert_eq(rig.durable, i + 1);
		}
	}
	rig_end(&rig);
	rig_check(&rig);
	cr_assert(rig.complete);
	rig_done(&rig);
}

Test(sinks, a_drain_settles_everything_and_the_series_goes_on)
{
	rig_make(&rig, SINK_TIFF);
	rig_shape(&rig, 333, 100, PRODUCT_UINT16);
	rig.config.sinks[0].sync_ns = UINT64_C(3600000000000);
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 30; i++) {
		rig_put(&rig, i);
		if (i % 7)
			continue;
		sinks_drain(rig.sinks);
		cr_assert_eq(rig.durable, i + 1);
		cr_assert_eq(sinks_busy(rig.sinks), 0);
	}
	rig_end(&rig);
	rig_check(&rig);
	cr_assert_eq(rig_files(&rig, ".tif"), 1);
	rig_done(&rig);
}

Test(sinks, series_are_numbered_and_never_overwritten)
{
	char path[128];
	struct stat st;

	rig_make(&rig, SINK_RAW);
	snprintf(path, sizeof path, "%s/wood-0002", rig.dirs[0]);
	cr_assert_eq(mkdir(path, 0777), 0);
	cr_assert_eq(rig_open(&rig), 0);
	run_series(&rig, 0, 3);
	cr_assert_eq(sinks_series_number(rig.sinks), 1);
	run_series(&rig, 0, 3);
	cr_assert_eq(sinks_series_number(rig.sinks), 3);
	snprintf(path, sizeof path, "%s/wood-0003/wood-0003_000000.raw", rig.dirs[0]);
	cr_assert_eq(stat(path, &st), 0);
	rig_done(&rig);
}

static int count_folders(void *user, const struct disk_call *c, uint64_t *length)
{
	(void)length;
	*(unsigned *)user += c->kind == DISK_FOLDER;
	return 0;
}

/* The number that a name gets, and how many were tried for it. */
static uint32_t make_folder(struct folder_parent *p, const char *name, unsigned *ret_tried)
{
	const struct disk_io io = { .user = ret_tried, .before = count_folders };
	char made[FOLDER_NAME_MAX], wanted[FOLDER_NAME_MAX];
	uint32_t number;

	*ret_tried = 0;
	cr_assert_eq(folder_make(&io, p, 1, name, made, &number), 0);
	snprintf(wanted, sizeof wanted, "%s-%04u", name, number);
	cr_assert_str_eq(made, wanted);
	cr_assert_geq(p->series, 0);
	close(p->series);
	return number;
}

Test(sinks, numbers_go_on_behind_the_last_one_and_need_one_try)
{
	struct folder_parent p = { .series = -1 };
	char path[128], elsewhere[128];
	unsigned tried;

	rig_make(&rig, SINK_RAW);
	p.path = rig.dirs[0];
	p.directory = open(rig.dirs[0], O_RDONLY | O_DIRECTORY);
	for (unsigned i = 1; i <= 3; i++) { /* of an earlier run, but for the first */
		snprintf(path, sizeof path, "%s/wood-%04u", rig.dirs[0], i + 1);
		cr_assert_eq(mkdir(path, 0777), 0);
	}
	cr_expect_eq(make_folder(&p, "wood", &tried), 1);
	cr_expect_eq(make_folder(&p, "wood", &tried), 5);
	cr_expect_eq(tried, 4, "%u", tried);
	for (unsigned i = 1; i <= 50; i++) { /* two names by turns */
		cr_expect_eq(make_folder(&p, "wood", &tried), 5 + i);
		cr_expect_eq(tried, 1);
		cr_expect_eq(make_folder(&p, "dark", &tried), i);
		cr_expect_eq(tried, 1);
	}
	snprintf(path, sizeof path, "%s/dark-0051", rig.dirs[0]);
	cr_assert_eq(mkdir(path, 0777), 0);
	cr_expect_eq(make_folder(&p, "dark", &tried), 52, "somebody else's");
	for (unsigned i = 0; i < 40; i++) { /* more names than are remembered */
		snprintf(path, sizeof path, "n%u", i);
		cr_expect_eq(make_folder(&p, path, &tried), 1);
	}
	cr_expect_eq(make_folder(&p, "dark", &tried), 53);
	snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", rig.dirs[0]);
	cr_assert_eq(mkdir(elsewhere, 0777), 0);
	close(p.directory);
	p.directory = open(elsewhere, O_RDONLY | O_DIRECTORY);
	p.path = elsewhere;
	cr_expect_eq(make_folder(&p, "dark", &tried), 1, "another directory has its own");
	close(p.directory);
	rig_done(&rig);
}

Test(sinks, two_instances_in_one_directory_take_different_folders)
{
	static struct rig other;
	char first[4096];

	rig_make(&rig, SINK_TIFF);
	rig_make(&other, SINK_TIFF);
	other.config.sinks[0].directory = rig.dirs[0];
	cr_assert_eq(rig_open(&rig), 0);
	cr_assert_eq(rig_open(&other), 0);
	rig_begin(&rig);
	snprintf(first, sizeof first, "%s", sinks_series_path(rig.sinks));
	rig_begin(&other);
	cr_assert_str_neq(first, sinks_series_path(other.sinks));
	rig_put(&rig, 1);
	rig_put(&other, 2);
	rig_end(&rig);
	rig_end(&other);
	rig_check(&rig);
	rig_check(&other);
	sinks_close(other.sinks);
	other.sinks = NULL;
	rig_done(&other);
	rig_done(&rig);
}

Test(sinks, a_name_that_is_none_is_made_one)
{
	rig_make(&rig, SINK_RAW);
	cr_assert_eq(rig_open(&rig), 0);
	cr_assert_eq(sinks_begin(rig.sinks, &(struct sink_start){ .name = "../et,c/\xff x" }), 0);
	cr_assert_not_null(strstr(sinks_series_path(rig.sinks), "/_._et_c__ x-0001"), "%s",
	                   sinks_series_path(rig.sinks));
	cr_assert_not_null(strstr(rig.said, "series name changed"));
	rig_end(&rig);
	rig_done(&rig);
}

Test(sinks, directories_that_cannot_be_used_are_refused_by_name)
{
	char file[128];

	rig_make(&rig, SINK_TIFF);
	snprintf(file, sizeof file, "%s/missing", rig.root);
	rig.config.sinks[0].directory = file;
	cr_assert_eq(rig_open(&rig), -ENOENT);
	cr_assert_not_null(strstr(rig.why, file), "%s", rig.why);
	cr_assert_not_null(strstr(rig.why, "mkdir"), "%s", rig.why);
	fclose(fopen(file, "w"));
	cr_assert_eq(rig_open(&rig), -ENOTDIR);
	if (geteuid() != 0) {
		cr_assert_eq(chmod(rig.dirs[0], 0555), 0);
		rig.config.sinks[0].directory = rig.dirs[0];
		cr_assert_eq(rig_open(&rig), -EACCES);
		cr_assert_eq(chmod(rig.dirs[0], 0777), 0);
	}
	/* Root may write where the mode says no, but not into the kernel's own files. */
	rig.config.sinks[0].directory = (char *)(uintptr_t) "/proc/self";
	cr_assert_lt(rig_open(&rig), 0);
	cr_assert_not_null(strstr(rig.why, "/proc/self"), "%s", rig.why);
	rig_done(&rig);
}

Test(sinks, two_sinks_on_the_same_files_are_refused)
{
	rig_make(&rig, SINK_TIFF);
	rig.config.sink_count = 2;
	rig.config.sinks[1].directory = rig.dirs[0];
	cr_assert_eq(rig_open(&rig), -EEXIST);
	cr_assert_not_null(strstr(rig.why, rig.dirs[0]), "%s", rig.why);
	rig.config.sinks[1].format = SINK_RAW;
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
	rig_done(&rig);
}

Test(sinks, each_frame_is_released_when_the_last_sink_lets_go)
{
	char path[4096];
	struct stat st;

	rig_make(&rig, SINK_TIFF);
	rig_shape(&rig, 256, 128, PRODUCT_UINT16);
	rig.geometry.source = (struct sink_shape){
		.width = 99, .height = 31, .type = PRODUCT_UINT16, 99 * 31 * 2
	};
	rig.config.sink_count = 3;
	rig.config.sinks[0].format = SINK_NULL;
	rig.config.sinks[1].format = SINK_TIFF;
	rig.config.sinks[2].format = SINK_RAW;
	rig.config.sinks[2].product = PRODUCT_SOURCE;
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
	run_series(&rig, 0, 25);
	cr_assert(rig.complete, "%s", rig.said);
	/* The primary sink is the first that keeps pixels. */
	cr_assert_not_null(strstr(sinks_series_path(rig.sinks), rig.dirs[1]));
	cr_assert_eq(rig_files(&rig, "sink-2.csv"), 1);
	cr_assert_eq(rig_files(&rig, "journal-2.bin"), 1);
	cr_assert_eq(rig_files(&rig, "sink-0.csv"), 0);
	snprintf(path, sizeof path, "%s/wood-0001/wood-0001_000000.raw", rig.dirs[2]);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_size, 25 * 99 * 31 * 2);
	rig_done(&rig);
}

Test(sinks, lost_frames_are_in_the_ledger_in_order)
{
	char path[4096], text[4096];
	FILE *f;
	size_t n;

	rig_make(&rig, SINK_RAW);
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	sinks_lose(rig.sinks, 12, FRAME_MISSING, MISSING_REJECTED, 0, 0);
	rig_put(&rig, 10);
	rig_put(&rig, 13);
	sinks_lose(rig.sinks, 14, FRAME_DROPPED, DROPPED_OVERLOAD, FRAME_INCOMPLETE, 77);
	sinks_lose(rig.sinks, 11, FRAME_MISSING, MISSING_NEVER, 0, 0);
	rig_end(&rig);
	snprintf(path, sizeof path, "%s/frames.csv", sinks_series_path(rig.sinks));
	f = fopen(path, "r");
	cr_assert_not_null(f);
	n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	cr_assert_not_null(strstr(text, "\n10,written,,,wood-0001_000000.raw,0,1,,5010,"));
	cr_assert_not_null(strstr(text, "\n11,missing,never,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\n"
	                                "12,missing,rejected,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\n"
	                                "13,written,,,wood-0001_000000.raw,1,1,1013,5013,"),
	                   "%s", text);
	cr_assert_not_null(strstr(text,
	                          "\n14,dropped,overload,incomplete,,,,,77,,,,,,,,,,,,,,,,,,,,,,"
	                          ",,,,\n"),
	                   "%s", text);
	rig_done(&rig);
}

static char *slurp(const char *path)
{
	char *text = calloc(1, 1 << 20);
	FILE *f = fopen(path, "r");

	cr_assert_not_null(f, "%s", path);
	cr_assert_gt(fread(text, 1, (1 << 20) - 1, f), 0);
	fclose(f);
	return text;
}

/* Every column of every line, by rig_check(), and of a further sink the same text. */
static void check_regions(unsigned count)
{
	char path[4096], *ledger, *further;

	rig_make(&rig, SINK_RAW);
	rig_regions(&rig, count);
	rig.config.sink_count = 2;
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 40; i++)
		if (i % 9 != 4)
			rig_put(&rig, i);
	rig_end(&rig);
	rig_check(&rig);
	snprintf(path, sizeof path, "%s/frames.csv", sinks_series_path(rig.sinks));
	ledger = slurp(path);
	snprintf(path, sizeof path, "%s/sink-1.csv", sinks_series_path(rig.sinks));
	further = slurp(path);
	cr_assert_eq(strcspn(ledger, "\n"), strcspn(further, "\n"));
	cr_assert_eq(strncmp(ledger, further, strcspn(ledger, "\n")), 0);
	cr_assert_not_null(strstr(ledger, count ? ",p99.9,r0_mean,r0_std,r0_min,r0_max,r0_snr,"
	                                          "r0_raw_mean,r0_raw_std,r0_raw_min,r0_raw_max,"
	                                          "r0_saturated,r0_good"
	                                        : ",p99.9\n"));
	free(ledger);
	free(further);
	rig_done(&rig);
}

Test(sinks, each_region_has_columns_of_its_own)
{
	check_regions(0);
	check_regions(1);
	check_regions(CONFIG_REGIONS_MAX);
}

Test(sinks, numbers_are_counted_for_each_name_apart)
{
	static const char *const names[] = { "scan",      "scan-dark", "scan",
		                             "scan-dark", "scan-flat", "scan" };
	static const uint32_t numbers[] = { 1, 1, 2, 2, 1, 3 };
	char end[32];

	rig_make(&rig, SINK_RAW);
	cr_assert_eq(rig_open(&rig), 0);
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		rig.start = &(struct sink_start){ .name = names[i] };
		rig_begin(&rig);
		rig_put(&rig, 3);
		rig_end(&rig);
		rig_check(&rig);
		snprintf(end, sizeof end, "/%s-%04u", names[i], numbers[i]);
		cr_assert_not_null(strstr(sinks_series_path(rig.sinks), end), "%s", end);
		cr_assert_eq(sinks_series_number(rig.sinks), numbers[i]);
	}
	rig_done(&rig);
}

static json_t *read_manifest(void)
{
	char path[4096];
	json_t *m;

	snprintf(path, sizeof path, "%s/manifest.json", sinks_series_path(rig.sinks));
	m = json_load_file(path, 0, NULL);
	cr_assert_not_null(m);
	return m;
}

/* A member of the manifest, as JSON text. */
static void check_member(const json_t *m, const char *key, const char *wanted)
{
	char *found = json_dumps(json_object_get(m, key), JSON_ENCODE_ANY | JSON_COMPACT);

	cr_assert_not_null(found, "%s", key);
	cr_assert_str_eq(found, wanted, "%s: %s", key, found);
	free(found);
}

Test(sinks, the_manifest_says_what_is_known_of_quality)
{
	static const struct sink_calibration all[] = {
		{ "dark", "/x/d.tif", 0xab, 10, NULL, 0, 0, 1, false, 0, 0 },
		{ "flat_dark", "/x/e.tif", 0xcd, 11, NULL, 0, 0, 2, true, 50, 1500000000000000001 }
	};
	static const struct sink_finding findings[] = {
		{ "noise", 5, 9, true, 1000000000, 2000000000, 0.5, 0.75, "it is loud" },
		{ "disk", 0, 0, false, 0, 0, INFINITY, NAN, "it fills" }
	};
	static const struct sink_pixels pixels = { 16,           15, 2,    3,    20,   21,
		                                   PIXEL_UINT16, 12, 4095, true, 65535 };
	static const float raw[] = { -INFINITY, 1, 2, 3, INFINITY };
	static const float normalised[] = { 0.25f, 0.5f, 1, 2, NAN };
	json_t *m;

	rig_make(&rig, SINK_RAW);
	rig_regions(&rig, 1);
	cr_assert_eq(rig_open(&rig), 0);
	rig.start = &(struct sink_start){ .name = "wood",
		                          .kind = "blackbox",
		                          .why = "alarm: noise",
		                          .pixels = &pixels,
		                          .calibrations = all,
		                          .calibration_count = 1 };
	rig_begin(&rig);
	m = read_manifest();
	check_member(m, "kind", "\"blackbox\"");
	check_member(m, "why", "\"alarm: noise\"");
	check_member(m, "frames",
	             "{\"width\":16,\"height\":15,\"payload_width\":20,\"payload_height\":21,"
	             "\"left\":2,\"top\":3,\"type\":\"uint16\",\"saturation\":4095.0,"
	             "\"bits\":12,\"no_value\":65535}");
	check_member(m, "regions", "[{\"name\":\"r0\",\"x\":0,\"y\":0,\"width\":3,\"height\":4}]");
	check_member(m, "calibration",
	             "[{\"role\":\"dark\",\"path\":\"/x/d.tif\",\"crc32c\":\"000000ab\","
	             "\"bytes\":10,\"id\":1,\"from_stream\":false,\"frames\":null,"
	             "\"taken\":null}]");
	check_member(m, "findings", "[]");
	check_member(m, "percentiles", "{\"raw\":null,\"normalised\":null}");
	json_decref(m);
	rig_put(&rig, 3);
	rig.summary = (struct sink_summary){ .raw_percentiles = raw,
		                             .percentiles = normalised,
		                             .calibrations = all,
		                             .calibration_count = 2,
		                             .findings = findings,
		                             .finding_count = 2,
		                             .findings_left_out = 7 };
	rig_end(&rig);
	rig_check(&rig);
	m = read_manifest();
	check_member(m, "kind", "\"blackbox\"");
	cr_assert_eq(json_array_size(json_object_get(m, "calibration")), 2);
	check_member(json_array_get(json_object_get(m, "calibration"), 1), "taken",
	             "\"2017-07-14T02:40:00.000000001Z\"");
	check_member(m, "findings",
	             "[{\"sentinel\":\"noise\",\"first_frame\":5,\"last_frame\":9,"
	             "\"from\":\"1970-01-01T00:00:01.000000000Z\","
	             "\"to\":\"1970-01-01T00:00:02.000000000Z\",\"worst\":0.5,\"limit\":0.75,"
	             "\"text\":\"it is loud\"},{\"sentinel\":\"disk\",\"first_frame\":null,"
	             "\"last_frame\":null,\"from\":null,\"to\":null,\"worst\":\"inf\","
	             "\"limit\":null,\"text\":\"it fills\"}]");
	check_member(m, "findings_left_out", "7");
	check_member(m, "percentiles",
	             "{\"raw\":[\"-inf\",1.0,2.0,3.0,\"inf\"],"
	             "\"normalised\":[0.25,0.5,1.0,2.0,null]}");
	json_decref(m);
	rig_done(&rig);
}

Test(sinks, a_gap_of_a_million_frames_takes_no_memory_to_speak_of)
{
	char path[4096];
	struct stat st;

	rig_make(&rig, SINK_RAW);
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	rig_put(&rig, 0);
	for (uint64_t i = 1; i <= 1000000; i++)
		sinks_lose(rig.sinks, i, FRAME_MISSING, MISSING_NEVER, 0, 0);
	rig_end(&rig);
	snprintf(path, sizeof path, "%s/journal.bin", sinks_series_path(rig.sinks));
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_leq(st.st_size, 512 + 256 * 4);
	rig_done(&rig);
}

Test(sinks, files_given_up_at_close_are_still_whole)
{
	rig_make(&rig, SINK_TIFF);
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 5; i++)
		rig_put(&rig, i);
	sinks_close(rig.sinks);
	rig.sinks = NULL;
	cr_assert_eq(rig.released, 5);
	cr_assert_eq(rig.durable, 5);
	rig_done(&rig);
}

Test(sinks, figures_count_what_was_written)
{
	struct sink_figures f;

	rig_make(&rig, SINK_RAW);
	rig_shape(&rig, 512, 256, PRODUCT_UINT16);
	cr_assert_eq(rig_open(&rig), 0);
	run_series(&rig, 0, 4);
	sinks_figures(rig.sinks, &f);
	cr_assert_geq(f.written_bytes, 4u * 512 * 256 * 2);
	cr_assert_geq(f.writes, 4);
	cr_assert_geq(f.syncs, 2);
	cr_assert_eq(f.errors, 0);
	cr_assert_eq(f.write_errors + f.sync_errors, 0);
	cr_assert_gt(f.write_ns_max, 0);
	cr_assert_geq(f.write_ns, f.write_ns_max);
	uint64_t timed = 0;
	for (unsigned i = 0; i < WRITE_TIMES; i++)
		timed += f.write_times[i];
	cr_assert_eq(timed, f.writes);
	rig_done(&rig);
}

Test(sinks, frames_come_with_their_times_once_they_land_and_last)
{
	rig_make(&rig, SINK_RAW);
	rig_shape(&rig, 512, 256, PRODUCT_UINT16);
	rig.config.sink_count = 2; /* the second is not the primary one: nobody hears of it */
	cr_assert_eq(rig_open(&rig), 0);
	run_series(&rig, 0, 4);
	cr_expect_eq(rig.landed.arrived_ns, 100 + 101 + 102 + 103);
	cr_expect_eq(rig.landed.put_ns, 4);
	cr_expect_eq(rig.lasting.arrived_ns, 100 + 101 + 102 + 103);
	cr_expect_eq(rig.lasting.put_ns, 4);
	rig_done(&rig);
}

Test(sinks, each_sink_has_figures_of_its_own)
{
	struct sink_figures f;
	struct sink_longest longest;

	rig_make(&rig, SINK_RAW);
	rig_shape(&rig, 512, 256, PRODUCT_UINT16);
	rig.config.sink_count = 2;
	cr_assert_eq(rig_open(&rig), 0);
	run_series(&rig, 0, 4);
	sinks_figures(rig.sinks, &f);
	for (unsigned i = 0; i < 2; i++)
		cr_expect_geq(f.each[i].written_bytes, 4u * 512 * 256 * 2);
	cr_expect_eq(f.each[0].written_bytes + f.each[1].written_bytes, f.written_bytes);
	cr_expect_eq(f.each[2].written_bytes, 0);
	sinks_longest(rig.sinks, &longest);
	cr_expect_eq(longest.write_ns, f.write_ns_max);
	cr_expect_gt(longest.sync_ns, 0);
	cr_expect_eq(longest.under_way, 0);
	sinks_longest(rig.sinks, &longest);
	cr_expect_eq(longest.write_ns + longest.sync_ns, 0);
	rig_done(&rig);
}
