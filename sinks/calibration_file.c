/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/calibration_file.h"

#include "kernels/cpu.h"
#include "kernels/crc32c.h"
#include "sinks/folder.h"
#include "sinks/format.h"
#include "sinks/part.h"
#include "sinks/texts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the order in which they get their names. */
enum member { IMAGE, VARIANCE, FOUND, SIDECAR, MEMBERS };

static const char *const endings[MEMBERS] = { ".tif", "-variance.tif", "-found.tif", ".json" };
static const char *const keys[SIDECAR] = { "image", "variance", "found" };

struct file {
	char name[PART_NAME_MAX];
	bool part, named; /* there under name.part, under its name */
	uint64_t bytes;
	uint32_t crc32c;
};

struct writing {
	const struct disk_io *io;
	const struct calibration_set *set;
	const char *path; /* of the directory, */
	int directory;    /* file descriptor */
	uint32_t number;
	char stem[PART_NAME_MAX]; /* "dark-0001" */
	struct file files[MEMBERS];
	char why[512];
};

/* "directory/name: what: reason: remedy"; of a long directory, the end. */
static int fail(struct writing *w, const char *name, const char *what, int error)
{
	size_t length = strlen(w->path);
	bool cut = length > 200;

	snprintf(w->why, sizeof w->why, "%s%s%s%.100s: %s: %s: %s", cut ? "..." : "",
	         w->path + (cut ? length - 197 : 0), name[0] ? "/" : "", name, what,
	         strerror(-error), folder_remedy(error));
	return error;
}

static int part_of(char ret[PART_NAME_MAX], const char *name)
{
	int n = snprintf(ret, PART_NAME_MAX, "%s" PART_SUFFIX, name);

	return n < 0 || n >= PART_NAME_MAX ? -ENAMETOOLONG : 0;
}

static bool is_there(const struct writing *w, const char *name)
{
	struct stat s;

	return fstatat(w->directory, name, &s, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Name the files by a number. */
static void name_files(struct writing *w, uint32_t number)
{
	int n = snprintf(w->stem, sizeof w->stem, "%.64s-%04" PRIu32, w->set->role, number);

	w->number = number;
	for (unsigned i = 0; i < MEMBERS; i++)
		snprintf(w->files[i].name, sizeof w->files[i].name, "%.*s%s", n, w->stem,
		         endings[i]);
}

static bool is_taken(const struct writing *w)
{
	char part[PART_NAME_MAX];

	for (unsigned i = 0; i < MEMBERS; i++)
		if (is_there(w, w->files[i].name) || part_of(part, w->files[i].name) < 0 ||
		    is_there(w, part))
			return true;
	return false;
}

/* A descriptor of a new name.part, or negative errno. */
static int create(struct writing *w, struct file *f)
{
	char part[PART_NAME_MAX];
	int fd, err = part_of(part, f->name);

	if (err < 0)
		return err;
	fd = disk_open(w->io, w->directory, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
	f->part = fd >= 0;
	return fd;
}

/* The first free number is ours once the image's .part is. */
static int claim(struct writing *w)
{
	for (uint32_t number = 1; number != 0; number++) {
		int fd;

		name_files(w, number);
		if (is_taken(w))
			continue;
		fd = create(w, &w->files[IMAGE]);
		if (fd != -EEXIST)
			return fd;
	}
	return -EEXIST;
}

/* What stands behind the pixels of a TIFF of one page, and the head that leads there. */
struct frame_of_tiff {
	unsigned char head[WRITER_ALIGN];
	unsigned char *tail; /* owned */
	size_t tail_bytes;
};

static int collect_tail(struct frame_of_tiff *ret, const struct format_file *f)
{
	uint64_t room = format_tiff.tail_bytes(1, f->large);
	struct tail *t = NULL;
	const void *bytes;
	size_t n;
	int err = format_tiff.tail_open(&t, f);

	ret->tail = malloc(room);
	if (err == 0 && !ret->tail)
		err = -ENOMEM;
	while (err == 0) {
		err = format_tiff.tail_next(t, &bytes, &n);
		if (err != 0 || n == 0)
			break;
		if (n > room - ret->tail_bytes) {
			err = -EFBIG;
			break;
		}
		memcpy(ret->tail + ret->tail_bytes, bytes, n);
		ret->tail_bytes += n;
	}
	if (err == 0)
		format_tiff.tail_head(t, ret->head);
	format_tiff.tail_close(t);
	return err;
}

static int compose_tiff(const struct writing *w, const struct sink_shape *shape,
                        struct frame_of_tiff *ret)
{
	struct config_sink one = { .frames_per_file = 1 };
	struct format_place place = { .number = w->set->first, .end = WRITER_ALIGN + shape->bytes };
	struct format_file f = { .shape = shape,
		                 .frames = 1,
		                 .large = format_tiff.plan(&one, shape).large,
		                 .places = &place,
		                 .series = w->stem,
		                 .made_ns = w->set->taken_ns,
		                 .version = w->set->version };

	return collect_tail(ret, &f);
}

static int write_tiff(struct writing *w, struct file *f, int fd, const struct sink_shape *shape,
                      const void *pixels)
{
	crc32c_fn *crc32c = crc32c_for(cpu_detect());
	struct frame_of_tiff t = { 0 };
	int err = compose_tiff(w, shape, &t);

	if (err == 0)
		err = disk_write(w->io, fd, t.head, sizeof t.head, 0);
	if (err == 0)
		err = disk_write(w->io, fd, pixels, shape->bytes, sizeof t.head);
	if (err == 0)
		err = disk_write(w->io, fd, t.tail, t.tail_bytes, sizeof t.head + shape->bytes);
	f->bytes = sizeof t.head + shape->bytes + t.tail_bytes;
	if (err == 0) {
		f->crc32c = crc32c(0, t.head, sizeof t.head);
		f->crc32c = crc32c(f->crc32c, pixels, shape->bytes);
		f->crc32c = crc32c(f->crc32c, t.tail, t.tail_bytes);
	}
	free(t.tail);
	return err;
}

/* Sync and close; 0, `err` or the first error of its own. */
static int finish(struct writing *w, int fd, int err)
{
	if (err == 0)
		err = disk_sync(w->io, fd);
	if (close(fd) < 0 && err == 0)
		err = -errno;
	return err;
}

static int write_image(struct writing *w, enum member m, int fd)
{
	const struct calibration_set *s = w->set;
	const void *pixels[SIDECAR] = { s->image, s->variance, s->found };
	struct file *f = &w->files[m];
	struct sink_shape shape = { .width = s->width,
		                    .height = s->height,
		                    .type = m == FOUND ? PRODUCT_UINT8 : PRODUCT_FLOAT32 };
	int err;

	shape.bytes = (size_t)s->width * s->height * product_bytes(shape.type);
	err = finish(w, fd, write_tiff(w, f, fd, &shape, pixels[m]));
	return err < 0 ? fail(w, f->name, "cannot write", err) : 0;
}

static int write_images(struct writing *w)
{
	int fd = claim(w), err;

	if (fd < 0)
		return fail(w, w->files[IMAGE].name, "cannot create", fd);
	err = write_image(w, IMAGE, fd);
	for (unsigned m = VARIANCE; err == 0 && m <= FOUND; m++) {
		fd = create(w, &w->files[m]);
		err = fd < 0 ? fail(w, w->files[m].name, "cannot create", fd)
		             : write_image(w, (enum member)m, fd);
	}
	return err;
}

/* As json_object_set_new(): an error for a NULL value. */
static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value);
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *known_real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *left_out(const struct calibration_set *s)
{
	json_t *list = json_array();
	int bad = 0;

	for (unsigned i = 0; i < s->left_out_count; i++) {
		const struct calibration_left_out *l = &s->left_out[i];
		json_t *o = json_object();

		bad |= set(o, "frame", number(l->frame));
		bad |= set(o, "mean", known_real(l->mean));
		bad |= set(o, "deviations", known_real(l->deviations));
		bad |= json_array_append_new(list, o);
	}
	if (!bad)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *files(const struct writing *w)
{
	json_t *o = json_object();
	int bad = 0;

	for (unsigned i = 0; i < SIDECAR; i++) {
		const struct file *f = &w->files[i];
		char crc[16];

		snprintf(crc, sizeof crc, "%08" PRIx32, f->crc32c);
		bad |= set(o, keys[i],
		           json_pack("{s:s, s:s, s:I}", "name", f->name, "crc32c", crc, "bytes",
		                     (json_int_t)f->bytes));
	}
	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

static const char *type_name(enum product_type t)
{
	static const char *const names[PRODUCT_TYPE_COUNT] = { "uint8", "uint16", "uint32",
		                                               "float32" };

	return names[t];
}

static int set_frames(json_t *o, const struct calibration_set *s)
{
	char taken[TEXT_TIME_BYTES];
	int bad = 0;

	text_time(s->taken_ns, taken);
	bad |= set(o, "frames", number(s->frames));
	bad |= set(o, "asked", number(s->asked));
	bad |= set(o, "left_out", left_out(s));
	bad |= set(o, "first", number(s->first));
	bad |= set(o, "last", number(s->last));
	bad |= set(o, "taken", json_string(taken));
	bad |= set(o, "taken_ns", number(s->taken_ns));
	bad |= set(o, "exposure_s", s->exposure_s > 0 ? known_real(s->exposure_s) : json_null());
	bad |= set(o, "combine", json_string(s->combine));
	return bad;
}

static int set_pixels(json_t *o, const struct calibration_set *s)
{
	int bad = 0;

	bad |= set(o, "width", number(s->width));
	bad |= set(o, "height", number(s->height));
	bad |= set(o, "type", json_string(type_name(s->type)));
	bad |= set(o, "pixel_format", json_string(s->pixel_format));
	bad |= set(o, "level", known_real(s->level));
	bad |= set(o, "noise", known_real(s->noise));
	bad |= set(o, "hot", number(s->hot));
	bad |= set(o, "noisy", number(s->noisy));
	bad |= set(o, "dead", number(s->dead));
	return bad;
}

/* malloc'd text, or NULL. */
static char *sidecar_text(const struct writing *w)
{
	json_t *o = json_object();
	char *text = NULL;
	int bad = 0;

	bad |= set(o, "program", json_string("openbeam"));
	bad |= set(o, "version", json_string(w->set->version));
	bad |= set(o, "role", json_string(w->set->role));
	bad |= set_frames(o, w->set);
	bad |= set_pixels(o, w->set);
	bad |= set(o, "files", files(w));
	if (!bad)
		text = json_dumps(o, JSON_INDENT(2));
	json_decref(o);
	return text;
}

static int write_sidecar(struct writing *w)
{
	struct file *f = &w->files[SIDECAR];
	char *text = sidecar_text(w);
	int fd, err;

	if (!text)
		return fail(w, f->name, "cannot compose", -ENOMEM);
	fd = create(w, f);
	err = fd;
	if (fd >= 0)
		err = finish(w, fd, disk_write(w->io, fd, text, strlen(text), 0));
	free(text);
	return err < 0 ? fail(w, f->name, "cannot write", err) : 0;
}

static int name_one(struct writing *w, struct file *f)
{
	int err = part_rename(w->io, w->directory, f->name);

	if (err < 0)
		return fail(w, f->name, "cannot name the file", err);
	f->part = false;
	f->named = true;
	return 0;
}

static int sync_directory(struct writing *w)
{
	int err = disk_sync(w->io, w->directory);

	return err < 0 ? fail(w, "", "cannot sync the directory", err) : 0;
}

/* The images under their names and on the disk, then the sidecar. */
static int name_all(struct writing *w)
{
	int err = 0;

	for (unsigned i = IMAGE; err == 0 && i < SIDECAR; i++)
		err = name_one(w, &w->files[i]);
	if (err == 0)
		err = sync_directory(w);
	if (err == 0)
		err = name_one(w, &w->files[SIDECAR]);
	return err < 0 ? err : sync_directory(w);
}

/* The sidecar first: without it there is no set. */
static void take_back(struct writing *w)
{
	for (unsigned i = MEMBERS; i-- > 0;) {
		struct file *f = &w->files[i];
		char part[PART_NAME_MAX];

		if (f->named)
			(void)disk_remove(w->io, w->directory, f->name);
		if (f->part && part_of(part, f->name) == 0)
			(void)disk_remove(w->io, w->directory, part);
	}
}

static int write_set(struct writing *w)
{
	int err = write_images(w);

	if (err == 0)
		err = write_sidecar(w);
	if (err == 0)
		err = name_all(w);
	if (err < 0)
		take_back(w);
	return err;
}

int calibration_file_write(struct calibration_written *ret, const struct disk_io *io,
                           const char *directory, const struct calibration_set *s)
{
	struct writing w = { .io = io, .set = s, .path = directory };
	int err;

	*ret = (struct calibration_written){ 0 };
	w.directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w.directory < 0) {
		err = fail(&w, "", "cannot open the directory", -errno);
	} else {
		err = write_set(&w);
		close(w.directory);
	}
	if (err < 0) {
		memcpy(ret->why, w.why, sizeof ret->why);
		return err;
	}
	ret->number = w.number;
	ret->crc32c = w.files[IMAGE].crc32c;
	ret->bytes = w.files[IMAGE].bytes;
	snprintf(ret->path, sizeof ret->path, "%s/%.200s", directory, w.files[IMAGE].name);
	return 0;
}
