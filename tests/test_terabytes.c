/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit.h"
#include "sinks/format.h"
#include "sinks/hdf5_space.h"
#include "sinks/record.h"
#include "sinks/recover.h"
#include "tests/sinks_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <tiffio.h>
#include <unistd.h>

/* Series of terabytes: their arithmetic, and sparse files of their size. */

#define CAMERA_BYTES (UINT64_C(2560) * 2160 * 2) /* a frame of the reference load */
#define MANY         (UINT64_C(1) << 31)         /* frames */

/* A sparse file may be as large where memory is the disk. */
static const char *where(void)
{
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

/* ---- plans ---- */

static struct format_plan plan_of(const struct format *f, int64_t frames, uint64_t file_size,
                                  uint64_t frame_bytes)
{
	struct config_sink c = { .frames_per_file = frames, .file_size = file_size };
	struct sink_shape s = {
		.width = 1, .height = 1, .type = PRODUCT_UINT8, .bytes = (size_t)frame_bytes
	};

	return f->plan(&c, &s);
}

/* Sizes that a plan stands for are computed without overflow, and fit a signed offset. */
static void check_plan(const struct format *f, const struct format_plan *p, uint64_t frame_bytes)
{
	__uint128_t end = (__uint128_t)f->head_bytes + (__uint128_t)p->frames * frame_bytes,
		    tail = f->tail_bytes(p->frames, p->large);

	cr_assert_geq(p->frames, 1);
	cr_assert_leq(p->frames, UINT32_MAX, "%s: indices have 32 bits", f->name);
	cr_assert(end + tail <= INT64_MAX, "%s: %" PRIu64 " frames of %" PRIu64, f->name, p->frames,
	          frame_bytes);
	cr_assert(tail >= p->frames || f->id == SINK_RAW, "%s: the tail wraps around", f->name);
	if (f->id == SINK_TIFF && end + tail > UINT32_MAX)
		cr_assert(p->large, "%" PRIu64 " frames of %" PRIu64, p->frames, frame_bytes);
}

Test(terabytes, plans_of_any_size_fit_their_offsets)
{
	static const uint64_t sizes[] = { 1,
		                          511,
		                          CAMERA_BYTES,
		                          UINT64_C(1) << 31,
		                          (UINT64_C(1) << 32) - 4096,
		                          UINT64_C(1) << 40,
		                          UINT64_C(1) << 50 };
	static const int64_t counts[] = { CONFIG_AUTO,           1,        1000, (int64_t)MANY,
		                          (int64_t)MANY * 2 - 1, INT64_MAX };
	static const uint64_t limits[] = {
		0, 4096, UINT64_C(1) << 32, UINT64_C(1) << 44, UINT64_C(1) << 62, UINT64_MAX
	};

	for (const struct format *const *f = formats; *f; f++)
		for (unsigned s = 0; s < 7 && (*f)->suffix; s++)
			for (unsigned c = 0; c < 6; c++)
				for (unsigned l = 0; l < 6; l++) {
					struct format_plan p =
						plan_of(*f, counts[c], limits[l], sizes[s]);

					check_plan(*f, &p, sizes[s]);
				}
}

Test(terabytes, frames_of_the_reference_load_are_counted_exactly)
{
	/* 8 EiB / 2 over 11 MB and what a page takes: far above 2^31. */
	cr_assert_eq(plan_of(&format_raw, (int64_t)MANY, 0, CAMERA_BYTES).frames, MANY);
	cr_assert_eq(plan_of(&format_tiff, (int64_t)MANY, 0, CAMERA_BYTES).frames, MANY);
	cr_assert_eq(plan_of(&format_hdf5, (int64_t)MANY, 0, CAMERA_BYTES).frames, MANY);
	/* 10 TiB hold this many frames of 11 059 200 bytes. */
	cr_assert_eq(plan_of(&format_raw, CONFIG_AUTO, UINT64_C(10) << 40, CAMERA_BYTES).frames,
	             994205);
	cr_assert_gt(format_tiff.tail_bytes(MANY, true), MANY);
	cr_assert_gt(format_hdf5.tail_bytes(MANY, false), MANY * 8);
}

/* ---- HDF5 ---- */

static void read_pixels(const char *path, uint64_t frame, uint32_t width, uint16_t *ret)
{
	hsize_t size[3], start[3] = { frame, 0, 0 }, count[3] = { 1, 1, width };
	hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), data, space, memory;

	cr_assert_geq(file, 0, "%s does not open", path);
	data = H5Dopen2(file, "/entry1/data/data", H5P_DEFAULT);
	cr_assert_geq(data, 0);
	space = H5Dget_space(data);
	H5Sget_simple_extent_dims(space, size, NULL);
	cr_assert_gt(size[0], frame);
	memory = H5Screate_simple(3, count, NULL);
	H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
	cr_assert_geq(H5Dread(data, H5T_NATIVE_UINT16, memory, space, H5P_DEFAULT, ret), 0);
	H5Sclose(memory);
	H5Sclose(space);
	H5Dclose(data);
	H5Fclose(file);
}

static void put_line(int fd, uint64_t at, uint64_t frame, uint32_t width)
{
	uint16_t line[4096];

	for (uint32_t i = 0; i < width; i++)
		line[i] = (uint16_t)(frame * 31 + i);
	cr_assert_eq(pwrite(fd, line, width * 2, (off_t)at), (ssize_t)(width * 2), "at %" PRIu64,
	             at);
}

static void check_line(const char *path, uint64_t frame, uint32_t width)
{
	uint16_t line[4096];

	read_pixels(path, frame, width, line);
	for (uint32_t i = 0; i < width; i++)
		cr_assert_eq(line[i], (uint16_t)(frame * 31 + i), "frame %" PRIu64, frame);
}

/* The head of a file that is never filled: 23 PB of holes. */
Test(terabytes, an_hdf5_head_of_2_to_31_frames_opens)
{
	static const uint64_t frames[] = { 0, 400, MANY / 2, MANY - 1 };
	struct sink_shape shape = {
		.width = 2560, .height = 2160, .type = PRODUCT_UINT16, .bytes = CAMERA_BYTES
	};
	struct format_file f = {
		.shape = &shape, .frames = MANY, .series = "large-0001", .version = "1.2.3"
	};
	unsigned char *head = aligned_alloc(4096, HDF5_HEAD_BYTES);
	char path[64];
	int fd;

	cr_assert_eq(format_hdf5.first_head(head, &f), 0);
	snprintf(path, sizeof path, "%s/openbeam-large-XXXXXX", where());
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, head, HDF5_HEAD_BYTES), HDF5_HEAD_BYTES);
	free(head);
	if (ftruncate(fd, (off_t)(HDF5_HEAD_BYTES + MANY * CAMERA_BYTES + (1 << 20))) < 0) {
		unlink(path);
		fprintf(stderr, "skipped: no sparse file of 23 PB: %s\n", strerror(errno));
		cr_skip();
	}
	for (unsigned i = 0; i < 4; i++)
		put_line(fd, HDF5_HEAD_BYTES + frames[i] * CAMERA_BYTES, frames[i], 2560);
	for (unsigned i = 0; i < 4; i++)
		check_line(path, frames[i], 2560);
	close(fd);
	unlink(path);
}

/* ---- recovery ---- */

#define WIDE       32768u
#define HIGH       16384u
#define WIDE_BYTES (UINT64_C(1) << 30) /* of a frame */
#define FRAMES     1100u               /* of one file: 1.2e12 bytes */
#define FILE_INDEX 300000000u
#define FIRST      (UINT64_C(1) << 40)

static const struct journal_header plain = { .quality = true };
static char folder[96];

static void make_journal(const struct format *f)
{
	struct journal_header h = { .series_number = 1,
		                    .width = WIDE,
		                    .height = HIGH,
		                    .type = PRODUCT_UINT16,
		                    .frame_bytes = WIDE_BYTES,
		                    .head_bytes = f->head_bytes,
		                    .started_ns = 1,
		                    .step = 3,
		                    .large = true,
		                    .primary = true,
		                    .first_known = true,
		                    .first = FIRST,
		                    .frames = FRAMES + 5,
		                    .average = 1,
		                    .rotation = { .start_auto = true },
		                    .folder = "large-0001" };
	unsigned char header[JOURNAL_HEADER_MAX], record[JOURNAL_RECORD_BYTES];
	char path[160];
	FILE *j;

	snprintf(h.suffix, sizeof h.suffix, "%s", f->suffix);
	snprintf(path, sizeof path, "%s/journal.bin", folder);
	j = fopen(path, "w");
	cr_assert_not_null(j);
	fwrite(header, journal_encode_header(header, &h), 1, j);
	for (uint32_t i = 0; i < FRAMES; i++) {
		struct journal_record r = { .number = FIRST + (uint64_t)i * 3,
			                    .file = FILE_INDEX,
			                    .index = i,
			                    .offset = f->head_bytes + i * WIDE_BYTES,
			                    .length = WIDE_BYTES,
			                    .averaged = 1,
			                    .rotation = NAN,
			                    .durable_ns = 7,
			                    .repeat = 1 };

		journal_encode(record, &r, i, 0);
		fwrite(record, sizeof record, 1, j);
	}
	fclose(j);
}

static void data_path(char ret[160], const struct format *f, const char *end)
{
	snprintf(ret, 160, "%s/large-0001_%06u%s%s", folder, FILE_INDEX, f->suffix, end);
}

static void make_sparse(const struct format *f)
{
	char path[160];
	int fd;

	data_path(path, f, ".part");
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, (off_t)(f->head_bytes + (FRAMES + 2) * WIDE_BYTES)), 0, "%s",
	             strerror(errno));
	for (uint32_t i = 0; i < FRAMES; i += FRAMES - 1)
		put_line(fd, f->head_bytes + i * WIDE_BYTES, i, 64);
	close(fd);
}

static void check_tiff(const char *path)
{
	TIFF *t = TIFFOpen(path, "r");
	uint64_t *offsets = NULL;

	cr_assert_not_null(t);
	cr_assert(TIFFSetDirectory(t, FRAMES - 1));
	cr_assert(TIFFGetField(t, TIFFTAG_STRIPOFFSETS, &offsets));
	cr_assert_eq(offsets[0], format_tiff.head_bytes + (FRAMES - 1) * WIDE_BYTES);
	cr_assert_not(TIFFReadDirectory(t));
	TIFFClose(t);
}

static void on_say(void *user, enum sink_say level, const char *text)
{
	(void)user;
	cr_assert_neq(level, SINK_ERROR, "%s", text);
}

static void on_found(void *user, enum audit_kind kind, const char *at, const char *what)
{
	(void)user;
	cr_assert_neq(kind, AUDIT_FINDING, "%s: %s", at, what);
}

static void recover_large(const struct format *f)
{
	struct recover_options o = { .version = "1.2.3", .say = on_say };
	struct audit_options quick = { .quick = true, .found = on_found };
	struct recover_result r;
	struct audit_result a;
	char why[512], path[160];
	struct stat st;

	cr_assert_eq(recover_series(folder, &o, &r, why), 0, "%s", why);
	cr_assert_eq(r.written, FRAMES);
	cr_assert_eq(r.expected, FRAMES + 5);
	data_path(path, f, "");
	cr_assert_eq(stat(path, &st), 0, "%s", path);
	cr_assert_geq((uint64_t)st.st_size, f->head_bytes + FRAMES * WIDE_BYTES);
	cr_assert_leq((uint64_t)st.st_size,
	              f->head_bytes + FRAMES * WIDE_BYTES + f->tail_bytes(FRAMES, true));
	if (f->id == SINK_TIFF)
		check_tiff(path);
	if (f->id == SINK_HDF5)
		check_line(path, FRAMES - 1, 64);
	audit_series(folder, &quick, &a);
	cr_assert_eq(a.verdict, AUDIT_LOSSES);
	cr_assert_eq(a.written, FRAMES);
	cr_assert_eq(a.dropped, 5);
}

Test(terabytes, recovery_finishes_a_file_behind_2_to_40_bytes, .timeout = 60)
{
	for (const struct format *const *f = formats; *f; f++) {
		char command[160];

		if (!(*f)->suffix)
			continue;
		snprintf(folder, sizeof folder, "%s/openbeam-large-XXXXXX", where());
		cr_assert_not_null(mkdtemp(folder));
		make_journal(*f);
		make_sparse(*f);
		recover_large(*f);
		snprintf(command, sizeof command, "rm -rf -- '%s'", folder);
		cr_assert_eq(system(command), 0);
	}
}

/* Records keep every bit of what they say. */
Test(terabytes, records_hold_numbers_and_places_beyond_32_bits)
{
	struct journal_record r = { .number = UINT64_C(1) << 62,
		                    .file = UINT32_MAX - 1,
		                    .index = UINT32_MAX,
		                    .offset = INT64_MAX - (UINT64_C(6) << 40),
		                    .length = UINT64_C(5) << 40,
		                    .repeat = 1,
		                    .step = UINT64_C(1) << 40,
		                    .rotation = 1 };
	unsigned char bytes[JOURNAL_RECORD_BYTES];
	struct journal_record found;

	journal_encode(bytes, &r, UINT32_MAX - 1, 0);
	cr_assert(journal_decode(&found, bytes, UINT32_MAX - 1, &plain));
	cr_assert_not(journal_decode(&found, bytes, UINT32_MAX - 2, &plain));
	cr_assert_eq(found.number, r.number);
	cr_assert_eq(found.file, r.file);
	cr_assert_eq(found.index, r.index);
	cr_assert_eq(found.offset, r.offset);
	cr_assert_eq(found.length, r.length);
	r.state = FRAME_MISSING;
	r.file = JOURNAL_NO_FILE;
	r.repeat = MANY * 1024;
	r.step = 3;
	journal_encode(bytes, &r, (uint32_t)MANY, 0);
	cr_assert(journal_decode(&found, bytes, (uint32_t)MANY, &plain));
	cr_assert_eq(found.repeat, r.repeat);
	cr_assert_eq(found.step, r.step);
}

/* ---- written for real ---- */

static struct rig rig;

static bool is_long(void)
{
	const char *asked = getenv("OPENBEAM_LONG");

	return asked && asked[0] == '1';
}

static void write_large(enum sink_format format)
{
	struct audit_options o = { .found = on_found };
	struct audit_result a;

	rig_make(&rig, format);
	rig_shape(&rig, 4096, 2048, PRODUCT_UINT16);
	rig.config.series.step = 10; /* the rig flags those that end in 9 */
	rig.config.sinks[0].frames_per_file = 1000;
	rig.config.sinks[0].sync_ns = 1000000000;
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 270; i++) /* 4.2 GiB */
		rig_put(&rig, i * 10);
	rig_end(&rig);
	cr_assert(rig.complete, "%s", rig.said);
	cr_assert_eq(rig.durable, 270);
	audit_series(sinks_series_path(rig.sinks), &o, &a);
	cr_assert_eq(a.verdict, AUDIT_SOUND);
	cr_assert_eq(a.read_back, 270);
	rig_done(&rig);
}

Test(terabytes, files_beyond_4_gib_read_back, .timeout = 1200)
{
	const char *asked = getenv("TMPDIR");
	struct statvfs v;

	if (!is_long())
		cr_skip(); /* a minute, which is not asked for */
	if (statvfs(asked ? asked : "/tmp", &v) < 0 ||
	    (uint64_t)v.f_bavail * v.f_frsize < UINT64_C(8) << 30) {
		fprintf(stderr, "skipped: 8 GiB of room are wanted\n");
		cr_skip();
	}
	for (const struct format *const *f = formats; *f; f++)
		if ((*f)->suffix)
			write_large((*f)->id);
}
