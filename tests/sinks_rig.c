/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sinks_rig.h"

#include "kernels/cpu.h"
#include "kernels/crc32c.h"
#include "sinks/hdf5_space.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <tiffio.h>
#include <time.h>
#include <unistd.h>

#define COLUMNS        35 /* and those of regions */
#define COLUMNS_REGION 11
#define COLUMNS_MAX    (COLUMNS + CONFIG_REGIONS_MAX * COLUMNS_REGION)

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The faulty operating system. */

static int rig_ring(void *user)
{
	struct rig *r = user;

	return r->refuse_ring ? -EPERM : 0;
}

static bool is_on(const struct disk_call *c, const char *on)
{
	char link[64], path[4096];
	ssize_t n;

	if (!on)
		return true;
	if (c->name)
		return strstr(c->name, on) != NULL;
	snprintf(link, sizeof link, "/proc/self/fd/%d", c->fd);
	n = readlink(link, path, sizeof path - 1);
	path[n < 0 ? 0 : n] = '\0';
	return strstr(path, on) != NULL;
}

static int rig_before(void *user, const struct disk_call *c, uint64_t *length)
{
	struct rig *r = user;

	if (r->refuse_direct && c->kind == DISK_OPEN && (c->flags & O_DIRECT))
		return -EINVAL;
	for (unsigned i = 0; i < sizeof r->faults / sizeof *r->faults; i++) {
		struct rig_fault *f = &r->faults[i];

		if (f->from == 0 || f->kind != c->kind || c->queued == f->waited ||
		    !is_on(c, f->on))
			continue;
		f->counted++;
		if (f->counted < f->from || f->counted >= f->to)
			continue;
		if (f->error)
			return f->error;
		*length = *length < f->short_bytes ? *length : f->short_bytes;
	}
	return 0;
}

/* What is called back. */

static void on_released(void *user, void *owner)
{
	struct rig *r = user;
	size_t slot = (size_t)(uintptr_t)owner - 1;

	cr_assert(slot < r->slot_count && r->slot_busy[slot], "released twice");
	r->slot_busy[slot] = false;
	r->released++;
	/* Whoever still read it would now see other pixels. */
	memset(r->pixels + slot * r->slot_bytes, 0xee, r->geometry.reduced.bytes);
	if (r->source_pixels)
		memset(r->source_pixels + slot * r->source_slot_bytes, 0xee,
		       r->geometry.source.bytes);
}

static void on_settled(void *user, uint64_t number, enum frame_state state, unsigned reason,
                       bool revoked)
{
	struct rig *r = user;

	cr_assert_lt(number, RIG_FRAMES_MAX);
	if (revoked) {
		cr_assert(r->settled[number] == 1 && r->state[number] == FRAME_WRITTEN);
		cr_assert_eq(state, FRAME_DROPPED);
		r->revoked[number]++;
	} else {
		r->settled[number]++;
	}
	r->state[number] = (unsigned char)state;
	r->reason[number] = (unsigned char)reason;
}

static void on_durable(void *user, uint64_t frames)
{
	((struct rig *)user)->durable += frames;
}

static void on_landed(void *user, const struct sink_times *times)
{
	struct rig *r = user;

	r->landed.arrived_ns += times->arrived_ns;
	r->landed.put_ns += times->put_ns;
}

static void on_lasting(void *user, const struct sink_times *times)
{
	struct rig *r = user;

	r->lasting.arrived_ns += times->arrived_ns;
	r->lasting.put_ns += times->put_ns;
}

static void on_say(void *user, enum sink_say level, const char *text)
{
	struct rig *r = user;
	size_t n = strlen(r->said);

	r->said_errors += level == SINK_ERROR;
	snprintf(r->said + n, sizeof r->said - n, "%s\n", text);
}

void rig_pattern(unsigned char *pixels, const struct sink_shape *shape, uint64_t number)
{
	for (size_t i = 0; i < shape->bytes; i++)
		pixels[i] = (unsigned char)(number * 31 + i * 7 + (i >> 8));
	if (shape->type != PRODUCT_FLOAT32)
		return;
	for (size_t i = 0; i < shape->bytes / 4; i++) { /* no NaN, which readers may change */
		float v = (float)number + (float)i / 1024;

		memcpy(pixels + i * 4, &v, 4);
	}
}

static uint32_t checksum(const void *bytes, size_t n)
{
	return crc32c_for(cpu_detect())(0, bytes, n);
}

/* Life. */

void rig_make(struct rig *r, enum sink_format format)
{
	const char *where = getenv("TMPDIR");

	memset(r, 0, sizeof *r);
	snprintf(r->root, sizeof r->root, "%.30s/openbeam-sinks-XXXXXX", where ? where : "/tmp");
	cr_assert_not_null(mkdtemp(r->root));
	for (unsigned i = 0; i < 3; i++) {
		snprintf(r->dirs[i], sizeof r->dirs[i], "%s/%u", r->root, i);
		cr_assert_eq(mkdir(r->dirs[i], 0777), 0);
		r->config.sinks[i].directory = r->dirs[i];
		r->config.sinks[i].frames_per_file = CONFIG_AUTO;
		r->config.sinks[i].sync_ns = 20000000;
		r->config.sinks[i].format = format;
		r->config.sinks[i].endpoint = "tcp://127.0.0.1:*";
		r->config.sinks[i].attach = ATTACH_BIND;
		r->config.sinks[i].every = 1;
		r->config.sinks[i].queue = 10;
	}
	r->config.ingest.name = "camera";
	r->config.series.step = 1;
	strcpy(r->rotation_key, "angle"); /* of some frames: rig_put() */
	r->config.rotation.start_auto = true;
	r->config.ingest.rotation_key = r->rotation_key;
	r->config.reduce.window_high = 1.5;
	r->config.reduce.normalise = NORMALISE_TRANSMISSION;
	r->config.sink_count = 1;
	r->slot_count = 8;
	r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r->use_io = true;
	rig_shape(r, 16, 16, PRODUCT_UINT16);
}

void rig_shape(struct rig *r, uint32_t width, uint32_t height, enum product_type type)
{
	r->geometry.reduced =
		(struct sink_shape){ .width = width,
		                     .height = height,
		                     .type = type,
		                     .bytes = (size_t)width * height * product_bytes(type) };
}

void rig_regions(struct rig *r, unsigned count)
{
	r->config.region_count = count;
	for (unsigned i = 0; i < count; i++) {
		snprintf(r->region_names[i], sizeof r->region_names[i], "r%u", i);
		r->config.regions[i] = (struct config_region){
			.name = r->region_names[i], .x = i, .y = 2 * i, .width = 3, .height = 4 + i
		};
	}
}

struct region_stats rig_region(uint64_t number, unsigned region)
{
	double n = (double)number + region / 16.0;
	double none = number % 7 == 6 ? NAN : 0; /* no good pixel in it */

	return (struct region_stats){
		.good = 12 + region,
		.saturated = number % 4,
		.raw = { n, n + 4e9, n + 1.0 / 3 + none, 2.5 }, /* of 32 bits */
		.normalised = { -0.1f, (double)(float)(n / 9), n / 9 + none, (double)(number % 3) },
	};
}

static unsigned char *map_slots(const struct rig *r, size_t bytes, size_t *ret_slot_bytes)
{
	void *at;

	*ret_slot_bytes = (bytes + 4095) & ~(size_t)4095;
	at = mmap(NULL, *ret_slot_bytes * r->slot_count, PROT_READ | PROT_WRITE,
	          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(at, MAP_FAILED);
	return at;
}

int rig_open(struct rig *r)
{
	static const struct sink_program program = {
		.version = "1.2.3", .commit = "abc", .isa = "scalar", .config_json = "{\"a\": 1}"
	};
	struct sink_callbacks callbacks = { .user = r,
		                            .released = on_released,
		                            .settled = on_settled,
		                            .durable = on_durable,
		                            .say = on_say,
		                            .landed = on_landed,
		                            .lasting = on_lasting };
	int err;

	r->io = (struct disk_io){ .user = r, .ring = rig_ring, .before = rig_before };
	err = sinks_open_with(&r->sinks, &r->config, &program, &callbacks, r->wake_fd,
	                      r->use_io ? &r->io : NULL, r->why);
	if (err)
		return err;
	r->pixels = map_slots(r, r->geometry.reduced.bytes, &r->slot_bytes);
	if (r->geometry.source.bytes)
		r->source_pixels = map_slots(r, r->geometry.source.bytes, &r->source_slot_bytes);
	r->memory = (struct sink_memory){ .at = r->pixels, .bytes = r->slot_bytes * r->slot_count };
	r->geometry.memory = &r->memory;
	r->geometry.memory_count = 1;
	cr_assert_eq(sinks_lay_out(r->sinks, &r->geometry), 0);
	return 0;
}

void rig_begin(struct rig *r)
{
	memset(r->settled, 0, sizeof r->settled);
	memset(r->revoked, 0, sizeof r->revoked);
	memset(r->state, 0, sizeof r->state);
	memset(r->reason, 0, sizeof r->reason);
	r->put = r->released = r->durable = 0;
	memset(&r->totals, 0, sizeof r->totals);
	(void)sinks_begin(r->sinks, r->start ? r->start : &(struct sink_start){ .name = "wood" });
}

/* Sleep as the collector does, on the eventfd. */
static void wait_for_wake(struct rig *r, uint64_t until_ns)
{
	uint64_t now = monotonic_ns(), count;
	struct pollfd p = { .fd = r->wake_fd, .events = POLLIN };

	if (until_ns > now)
		(void)poll(&p, 1, (int)((until_ns - now) / 1000000 + 1));
	if (p.revents && read(r->wake_fd, &count, sizeof count) < 0)
		cr_assert_eq(errno, EAGAIN);
}

static size_t free_slot(struct rig *r)
{
	for (uint64_t started = monotonic_ns();;) {
		for (size_t i = 0; i < r->slot_count; i++)
			if (!r->slot_busy[i])
				return i;
		wait_for_wake(r, sinks_poll(r->sinks, monotonic_ns()));
		cr_assert_lt(monotonic_ns() - started, 20000000000u, "no slot came back");
	}
}

static struct reduction reduction_of(const struct rig *r, size_t slot, uint64_t number)
{
	double n = (double)number;
	struct reduction d = { .good = 250,
		               .bad = 6,
		               .saturated = number % 3,
		               .clipped = number % 5,
		               .raw = { n, n + 1000, n + 0.5, 1.0 / 3 },
		               .normalised = { 0.1f, (double)(float)(n / 7), n / 7, 0.25 },
		               .dose = number % 4 ? 1 - n / 1e6 : NAN,
		               .raw_percentiles = { -INFINITY, 1, (float)number, 0.1f, INFINITY },
		               .percentiles = { NAN, (float)n / 3, 1e-20f, 16777216, 1e9f } };

	d.reduced_crc32c = checksum(r->pixels + slot * r->slot_bytes, r->geometry.reduced.bytes);
	if (r->source_pixels)
		d.source_crc32c = checksum(r->source_pixels + slot * r->source_slot_bytes,
		                           r->geometry.source.bytes);
	return d;
}

static uint32_t flags_of(uint64_t number)
{
	return (number % 10 == 9 ? FRAME_INCOMPLETE : 0) | (number % 12 == 11 ? FRAME_BEAM_DIP : 0);
}

void rig_put(struct rig *r, uint64_t number)
{
	size_t slot = free_slot(r);
	unsigned char *pixels = r->pixels + slot * r->slot_bytes;
	struct region_stats regions[CONFIG_REGIONS_MAX];
	struct reduction d;
	struct sink_frame f = { .number = number,
		                .timestamp_ns = number % 2 ? 1000 + number : 0,
		                .received_ns = 5000 + number,
		                .flags = flags_of(number) | r->more_flags,
		                .calibration = (uint32_t)(number % 3),
		                .regions = regions,
		                .rotation = number % 3 ? NAN : (double)number / 8,
		                .averaged = 1,
		                .reduced = pixels,
		                .reduction = &d,
		                .times = { 100 + number, 1 },
		                .owner = (void *)(uintptr_t)(slot + 1) };

	rig_pattern(pixels, &r->geometry.reduced, number);
	if (r->source_pixels) {
		f.source = r->source_pixels + slot * r->source_slot_bytes;
		rig_pattern(r->source_pixels + slot * r->source_slot_bytes, &r->geometry.source,
		            number + 1);
	}
	r->flags[number] = f.flags;
	d = reduction_of(r, slot, number);
	for (unsigned i = 0; i < CONFIG_REGIONS_MAX; i++)
		regions[i] = rig_region(number, i);
	r->slot_busy[slot] = true;
	r->put++;
	sinks_put(r->sinks, &f);
	memset(&d, 0xee, sizeof d); /* the contract: copied */
	memset(regions, 0xee, sizeof regions);
	(void)sinks_poll(r->sinks, monotonic_ns());
}

void rig_poll_for(struct rig *r, unsigned ms)
{
	uint64_t until = monotonic_ns() + ms * UINT64_C(1000000);

	while (monotonic_ns() < until) {
		uint64_t next = sinks_poll(r->sinks, monotonic_ns());

		wait_for_wake(r, next < until ? next : until);
	}
}

void rig_wait_for(struct rig *r, const uint64_t *figure, uint64_t least)
{
	uint64_t until = monotonic_ns() + UINT64_C(20000000000);

	while (*figure < least && monotonic_ns() < until) {
		uint64_t next = sinks_poll(r->sinks, monotonic_ns()),
			 soon = monotonic_ns() + 5000000;

		wait_for_wake(r, next < soon ? next : soon);
	}
}

uint64_t rig_count(const struct rig *r, enum frame_state state, unsigned reason)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < RIG_FRAMES_MAX; i++)
		n += r->settled[i] && r->state[i] == state && r->reason[i] == reason;
	return n;
}

void rig_end(struct rig *r)
{
	static const char *const lost = "frames were lost";
	uint64_t pixels = r->put * 256; /* as reduction_of() says */
	uint64_t raw[4] = { pixels, 0, 0, 0 }, normalised[2] = { 0, pixels };
	struct sink_summary summary = r->summary;

	summary.totals = &r->totals;
	summary.expected_from = "seen";
	summary.reasons = &lost;
	summary.raw_bins = (struct bins){ 4, 0, 4 };
	summary.normalised_bins = (struct bins){ 2, 0, 1.5 };
	summary.raw_counts = raw;
	summary.normalised_counts = normalised;
	sinks_drain(r->sinks);
	r->totals.expected = r->totals.received = r->put;
	r->totals.written = rig_count(r, FRAME_WRITTEN, 0);
	r->totals.durable = r->durable;
	for (unsigned i = 0; i < DROPPED_COUNT; i++)
		r->totals.dropped[i] = rig_count(r, FRAME_DROPPED, i);
	summary.reason_count = r->totals.written < r->put;
	r->complete = sinks_end(r->sinks, &summary);
}

static void remove_tree(const char *path)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf -- '%s'", path);
	cr_assert_eq(system(command), 0);
}

void rig_done(struct rig *r)
{
	sinks_close(r->sinks);
	if (r->pixels)
		munmap(r->pixels, r->slot_bytes * r->slot_count);
	if (r->source_pixels)
		munmap(r->source_pixels, r->source_slot_bytes * r->slot_count);
	close(r->wake_fd);
	remove_tree(r->root);
}

unsigned rig_files(const struct rig *r, const char *part)
{
	DIR *d = opendir(sinks_series_path(r->sinks));
	unsigned n = 0;

	cr_assert_not_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += strstr(e->d_name, part) != NULL;
	closedir(d);
	return n;
}

/* Checking. */

struct csv_line {
	char text[8192];
	char *column[COLUMNS_MAX];
};

static void split(const struct rig *r, struct csv_line *l)
{
	unsigned n = 0, wanted = COLUMNS + r->config.region_count * COLUMNS_REGION;

	l->text[strcspn(l->text, "\n")] = '\0';
	for (char *at = l->text; at; n++) {
		cr_assert_lt(n, wanted, "too many columns: %s", l->text);
		l->column[n] = at;
		at = strchr(at, ',');
		if (at)
			*at++ = '\0';
	}
	cr_assert_eq(n, wanted, "%u columns", n);
}

static void read_raw(const char *path, uint64_t index, unsigned char *pixels, size_t bytes)
{
	uint64_t head = strstr(path, ".tif")  ? WRITER_ALIGN
	                : strstr(path, ".h5") ? HDF5_HEAD_BYTES
	                                      : 0;
	int fd = open(path, O_RDONLY);

	cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
	cr_assert_eq(pread(fd, pixels, bytes, (off_t)(head + index * bytes)), (ssize_t)bytes, "%s",
	             path);
	close(fd);
}

static void read_tiff(const char *path, uint64_t index, unsigned char *pixels,
                      const struct sink_shape *shape)
{
	TIFF *t = TIFFOpen(path, "rc"); /* c: strips as they are */
	uint32_t width = 0, height = 0;
	uint16_t bits = 0, format = 0;

	cr_assert_not_null(t, "%s", path);
	cr_assert(TIFFSetDirectory(t, (tdir_t)index), "%s page %" PRIu64, path, index);
	TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &width);
	TIFFGetField(t, TIFFTAG_IMAGELENGTH, &height);
	TIFFGetField(t, TIFFTAG_BITSPERSAMPLE, &bits);
	TIFFGetField(t, TIFFTAG_SAMPLEFORMAT, &format);
	cr_assert(width == shape->width && height == shape->height);
	cr_assert_eq(bits, product_bytes(shape->type) * 8);
	cr_assert_eq(format,
	             shape->type == PRODUCT_FLOAT32 ? SAMPLEFORMAT_IEEEFP : SAMPLEFORMAT_UINT);
	cr_assert_eq(TIFFNumberOfStrips(t), 1);
	cr_assert_eq(TIFFReadEncodedStrip(t, 0, pixels, -1), (tmsize_t)shape->bytes);
	TIFFClose(t);
}

static void read_hdf5(const char *path, uint64_t index, unsigned char *pixels,
                      const struct sink_shape *shape)
{
	hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), data, space, memory, type;
	hsize_t size[3], start[3] = { index, 0, 0 }, count[3] = { 1, shape->height, shape->width };

	cr_assert_geq(file, 0, "%s", path);
	data = H5Dopen2(file, "/entry1/data/data", H5P_DEFAULT);
	cr_assert_geq(data, 0, "%s", path);
	space = H5Dget_space(data);
	type = H5Dget_type(data);
	cr_assert_eq(H5Sget_simple_extent_ndims(space), 3);
	H5Sget_simple_extent_dims(space, size, NULL);
	cr_assert(size[0] > index && size[1] == shape->height && size[2] == shape->width);
	cr_assert_eq(H5Tget_size(type), product_bytes(shape->type));
	cr_assert_eq(H5Tget_class(type), shape->type == PRODUCT_FLOAT32 ? H5T_FLOAT : H5T_INTEGER);
	memory = H5Screate_simple(3, count, NULL);
	H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
	cr_assert_geq(H5Dread(data, type, memory, space, H5P_DEFAULT, pixels), 0, "%s", path);
	H5Sclose(memory);
	H5Sclose(space);
	H5Tclose(type);
	H5Dclose(data);
	H5Fclose(file);
}

static uint64_t frames_in_hdf5(const char *path)
{
	hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), data, space;
	hsize_t size[3];

	cr_assert_geq(file, 0, "%s", path);
	data = H5Dopen2(file, "/entry1/data/data", H5P_DEFAULT);
	space = H5Dget_space(data);
	H5Sget_simple_extent_dims(space, size, NULL);
	H5Sclose(space);
	H5Dclose(data);
	H5Fclose(file);
	return size[0];
}

static void check_pixels(const struct rig *r, const struct csv_line *l, uint64_t number)
{
	const struct sink_shape *shape = &r->geometry.reduced;
	unsigned char *expected = malloc(shape->bytes), *found = malloc(shape->bytes);
	uint64_t index = strtoull(l->column[5], NULL, 10);
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", sinks_series_path(r->sinks), l->column[4]);
	rig_pattern(expected, shape, number);
	memset(found, 0, shape->bytes);
	if (strstr(path, ".part") || strstr(path, ".raw"))
		read_raw(path, index, found, shape->bytes);
	else if (strstr(path, ".h5"))
		read_hdf5(path, index, found, shape);
	else
		read_tiff(path, index, found, shape);
	cr_assert_eq(memcmp(expected, found, shape->bytes), 0, "frame %" PRIu64 " in %s", number,
	             path);
	cr_assert_eq(strtoul(l->column[22], NULL, 16), checksum(expected, shape->bytes));
	free(expected);
	free(found);
}

static void check_value(const char *text, double wanted)
{
	if (isnan(wanted))
		cr_assert_str_eq(text, "");
	else
		cr_assert_eq(strtod(text, NULL), wanted, "'%s' is not %.17g", text, wanted);
}

/* Columns from the calibration on, and the dose. */
static void check_quality(const struct csv_line *l, uint64_t number)
{
	char whole[32], third[32];

	snprintf(whole, sizeof whole, "%.9g", (double)(float)number);
	snprintf(third, sizeof third, "%.9g", (double)((float)number / 3));
	check_value(l->column[21], number % 4 ? 1 - (double)number / 1e6 : NAN);
	cr_assert_str_eq(l->column[24], number % 3 == 0 ? "" : number % 3 == 1 ? "1" : "2");
	cr_assert_str_eq(l->column[25], "-inf");
	cr_assert_str_eq(l->column[26], "1");
	cr_assert_str_eq(l->column[27], whole);
	cr_assert_str_eq(l->column[28], "0.100000001");
	cr_assert_str_eq(l->column[29], "inf");
	cr_assert_str_eq(l->column[30], "");
	cr_assert_str_eq(l->column[31], third);
	cr_assert_str_eq(l->column[32], "9.99999968e-21");
	cr_assert_str_eq(l->column[33], "16777216");
	cr_assert_str_eq(l->column[34], "1e+09");
}

static void check_region(char *const *column, uint64_t number, unsigned region)
{
	struct region_stats s = rig_region(number, region);

	check_value(column[0], s.normalised.mean);
	check_value(column[1], s.normalised.std);
	cr_assert_str_eq(column[2], "-0.100000001");
	cr_assert_eq(strtof(column[3], NULL), (float)s.normalised.max);
	check_value(column[4], s.normalised.mean / s.normalised.std);
	check_value(column[5], s.raw.mean);
	check_value(column[6], s.raw.std);
	cr_assert_eq(strtof(column[7], NULL), (float)s.raw.min);
	if (region % 16 == 0) /* a whole number */
		check_value(column[8], s.raw.max);
	cr_assert_eq(strtoull(column[9], NULL, 10), s.saturated);
	cr_assert_eq(strtoull(column[10], NULL, 10), s.good);
}

static void check_lost(const struct rig *r, const struct csv_line *l)
{
	cr_assert_str_eq(l->column[4], "");
	for (unsigned i = 9; i < COLUMNS + r->config.region_count * COLUMNS_REGION; i++)
		cr_assert_str_eq(l->column[i], "", "column %u", i);
}

static void check_flags(const struct rig *r, const char *text, uint64_t number)
{
	char words[FRAME_FLAGS_BYTES];

	frame_flags_text(r->flags[number], words);
	cr_assert_str_eq(text, words);
	cr_assert_eq(frame_flags_of(text), r->flags[number]);
}

static void check_figures(const struct rig *r, const struct csv_line *l, uint64_t number)
{
	double n = (double)number;

	cr_assert_eq(strtoull(l->column[6], NULL, 10), 1);
	cr_assert_eq(strtoull(l->column[7], NULL, 10), number % 2 ? 1000 + number : 0);
	cr_assert_eq(strtoull(l->column[8], NULL, 10), 5000 + number);
	cr_assert_gt(strtoull(l->column[9], NULL, 10), UINT64_C(1600000000000000000));
	cr_assert_eq(strtof(l->column[11], NULL), (float)(n / 7));
	cr_assert_eq(strtod(l->column[12], NULL), n / 7);
	cr_assert_eq(strtod(l->column[14], NULL), n);
	cr_assert_eq(strtod(l->column[17], NULL), 1.0 / 3);
	cr_assert_eq(strtoull(l->column[18], NULL, 10), number % 3);
	cr_assert_eq(strtoull(l->column[19], NULL, 10), 6);
	cr_assert_eq(strtoull(l->column[20], NULL, 10), number % 5);
	check_flags(r, l->column[3], number);
	check_quality(l, number);
	for (unsigned i = 0; i < r->config.region_count; i++)
		check_region(l->column + COLUMNS + i * COLUMNS_REGION, number, i);
	cr_assert_eq(l->column[23][0] == '\0', number % 3 != 0);
	cr_assert_eq(strtod(l->column[23], NULL), number % 3 ? 0 : n / 8);
}

/* Pages of every finished TIFF in the folder, and whole frames of every raw file. */
static uint64_t frames_in_files(const struct rig *r)
{
	DIR *d = opendir(sinks_series_path(r->sinks));
	uint64_t frames = 0;

	cr_assert_not_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		char path[4096];
		struct stat st;
		TIFF *t;

		snprintf(path, sizeof path, "%s/%s", sinks_series_path(r->sinks), e->d_name);
		if (strstr(path, ".part"))
			continue;
		if (strstr(path, ".raw") && stat(path, &st) == 0) {
			cr_assert_eq((uint64_t)st.st_size % r->geometry.reduced.bytes, 0);
			frames += (uint64_t)st.st_size / r->geometry.reduced.bytes;
		}
		if (strstr(e->d_name, ".h5") && strstr(e->d_name, "_0"))
			frames += frames_in_hdf5(path);
		if (!strstr(path, ".tif"))
			continue;
		t = TIFFOpen(path, "r");
		cr_assert_not_null(t, "%s", path);
		frames += TIFFNumberOfDirectories(t);
		TIFFClose(t);
	}
	closedir(d);
	return frames;
}

static void check_manifest(const struct rig *r)
{
	char path[4096];
	json_t *m;

	snprintf(path, sizeof path, "%s/manifest.json", sinks_series_path(r->sinks));
	m = json_load_file(path, 0, NULL);
	cr_assert_not_null(m, "%s", path);
	cr_assert_str_eq(json_string_value(json_object_get(m, "state")),
	                 r->complete ? "complete" : "incomplete");
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(m, "totals"), "written")),
	             (json_int_t)r->totals.written);
	cr_assert_eq(json_array_size(json_object_get(m, "reasons")) == 0, r->complete);
	json_decref(m);
}

void rig_check(struct rig *r)
{
	static struct csv_line l;
	uint64_t lines = 0, named = 0, previous = 0, in_parts = 0;
	char path[4096];
	FILE *f;

	cr_assert_eq(r->released, r->put);
	cr_assert_eq(sinks_busy(r->sinks), 0);
	cr_assert_eq(r->durable, rig_count(r, FRAME_WRITTEN, 0));
	snprintf(path, sizeof path, "%s/frames.csv", sinks_series_path(r->sinks));
	f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	cr_assert_not_null(fgets(l.text, sizeof l.text, f)); /* the header */
	split(r, &l);
	while (fgets(l.text, sizeof l.text, f)) {
		uint64_t number;

		split(r, &l);
		number = strtoull(l.column[0], NULL, 10);
		cr_assert(lines == 0 || number > previous, "line order");
		previous = number;
		lines++;
		cr_assert_eq(r->settled[number], 1, "frame %" PRIu64, number);
		cr_assert_str_eq(l.column[1], frame_state_name(r->state[number]));
		cr_assert_str_eq(l.column[2],
		                 frame_reason_name(r->state[number], r->reason[number]));
		if (r->state[number] != FRAME_WRITTEN) {
			check_lost(r, &l);
			continue;
		}
		check_figures(r, &l, number);
		if (l.column[4][0])
			check_pixels(r, &l, number);
		in_parts += strstr(l.column[4], ".part") != NULL;
		named += l.column[4][0] != '\0';
	}
	fclose(f);
	cr_assert_eq(lines, r->put);
	cr_assert_eq(frames_in_files(r), named - in_parts);
	check_manifest(r);
}
