/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/recover_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The data files: which frames each has, by the journal, and its end and name. */

/* ---- places ---- */

static struct recover_file *find_file(struct recover_lane *l, uint32_t index)
{
	for (size_t i = l->file_count; i-- > 0;) /* mostly the last one */
		if (l->files[i].index == index)
			return &l->files[i];
	return NULL;
}

static struct recover_file *add_file(struct recover_lane *l, uint32_t index)
{
	if (l->file_count == l->file_capacity) {
		size_t capacity = l->file_capacity ? l->file_capacity * 2 : 16;
		struct recover_file *files = realloc(l->files, capacity * sizeof *files);

		if (!files)
			return NULL;
		l->files = files;
		l->file_capacity = capacity;
	}
	l->files[l->file_count] = (struct recover_file){ .index = index };
	return &l->files[l->file_count++];
}

static uint64_t end_of(const struct recover_lane *l, const struct recover_file *f)
{
	return f->frames ? f->places[f->frames - 1].end : l->format->head_bytes;
}

/* Frames that were averaged into one share its place; it bears the number of the last. */
static int add_place(const struct recover_lane *l, struct recover_file *f,
                     const struct journal_record *r)
{
	bool shared = f->frames > 0 && r->index == f->frames - 1;
	uint64_t start = end_of(l, f);

	if (shared && r->offset + r->length == start) {
		f->places[f->frames - 1].number = r->number;
		return 0;
	}
	if (r->index != f->frames || r->offset != start || r->length == 0 ||
	    r->length > INT64_MAX - start ||
	    (!l->view.header.packed && r->length != l->shape.bytes))
		return -EINVAL;
	if (f->frames == f->capacity) {
		uint64_t capacity = f->capacity ? f->capacity * 2 : 256;
		struct format_place *places = realloc(f->places, capacity * sizeof *places);

		if (!places)
			return -ENOMEM;
		f->places = places;
		f->capacity = capacity;
	}
	f->places[f->frames++] =
		(struct format_place){ .number = r->number, .end = start + r->length };
	return 0;
}

int recover_place(struct recover *r, struct recover_lane *l)
{
	for (uint32_t i = 0; i < l->view.records; i++) {
		struct journal_record record;
		struct recover_file *f;
		int err;

		journal_view_record(&l->view, i, &record);
		if (record.state != FRAME_WRITTEN || record.file == JOURNAL_NO_FILE || !l->format ||
		    i >= l->torn_from)
			continue;
		f = find_file(l, record.file);
		if (!f)
			f = add_file(l, record.file);
		err = f ? add_place(l, f, &record) : -ENOMEM;
		if (err) {
			recover_say(r, SINK_ERROR,
			            "%s/%s: record %" PRIu32 ", frame %" PRIu64
			            ": its place in file %" PRIu32 " makes no sense",
			            r->path, l->journal, i, record.number, record.file);
			return err;
		}
	}
	return 0;
}

/* ---- one file ---- */

static void file_name(const struct recover_lane *l, uint32_t index, char ret[PART_NAME_MAX])
{
	snprintf(ret, PART_NAME_MAX - sizeof PART_SUFFIX, "%.200s_%06" PRIu32 "%.16s",
	         l->view.header.folder, index, l->view.header.suffix);
}

static struct format_file describe(const struct recover *r, const struct recover_lane *l,
                                   const struct recover_file *f)
{
	const struct journal_header *h = &l->view.header;

	return (struct format_file){ .shape = &l->shape,
		                     .frames = f->frames,
		                     .large = h->large,
		                     .packed = h->packed,
		                     .places = f->places,
		                     .series = h->folder,
		                     .window = h->window,
		                     .display = h->display,
		                     .window_low = h->window_low,
		                     .window_high = h->window_high,
		                     .made_ns = h->started_ns,
		                     .version = r->options->version };
}

static int write_head(const struct disk_io *io, int fd, const struct format *format,
                      const struct tail *t)
{
	unsigned char *head = malloc(format->head_bytes);
	int err;

	if (!head)
		return -ENOMEM;
	format->tail_head(t, head);
	err = disk_write(io, fd, head, format->head_bytes, 0);
	free(head);
	return err;
}

/* Compose what lies around the frames. */
static int write_ends(const struct disk_io *io, int fd, const struct format *format,
                      const struct format_file *f, uint64_t end)
{
	struct tail *t;
	int err;

	if (!format->tail_open)
		return 0;
	err = format->tail_open(&t, f);
	if (err)
		return err;
	for (;;) {
		const void *bytes = NULL;
		size_t n = 0;

		err = format->tail_next(t, &bytes, &n);
		if (err < 0 || (err == 0 && n == 0))
			break;
		err = n ? disk_write(io, fd, bytes, n, end) : 0;
		end += n;
		if (err)
			break;
	}
	if (!err)
		err = write_head(io, fd, format, t);
	format->tail_close(t);
	return err;
}

static int finish_file(struct recover *r, struct recover_lane *l, struct recover_file *f,
                       const char *part)
{
	const struct disk_io *io = r->options->io;
	struct format_file described = describe(r, l, f);
	int fd = disk_open(io, l->folder, part, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0), err;
	uint64_t end = end_of(l, f);
	struct stat st;

	if (fd < 0)
		return fd;
	err = fstat(fd, &st) < 0 ? -errno : 0;
	if (!err && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < end)) {
		recover_say(r, SINK_ERROR,
		            "%s/%s: is shorter than its durable frames (%" PRIu64 " of %" PRIu64
		            " bytes): the storage lost what it had called safe",
		            l->path, part, (uint64_t)st.st_size, end);
		err = -EIO;
	}
	if (!err)
		err = disk_truncate(io, fd, end);
	if (!err)
		err = write_ends(io, fd, l->format, &described, end);
	if (!err)
		err = disk_sync(io, fd);
	close(fd);
	return err;
}

static bool exists(int folder, const char *name)
{
	struct stat st;

	return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int recover_one(struct recover *r, struct recover_lane *l, struct recover_file *f)
{
	char name[PART_NAME_MAX], part[PART_NAME_MAX];
	int err;

	file_name(l, f->index, name);
	snprintf(part, sizeof part, "%.240s" PART_SUFFIX, name);
	if (exists(l->folder, name)) {
		f->usable = true;
		return 0;
	}
	if (!exists(l->folder, part)) {
		recover_say(r, SINK_ERROR,
		            "%s/%s: the journal has %" PRIu64 " frames in it, but it is not there",
		            l->path, name, f->frames);
		return -ENOENT;
	}
	err = finish_file(r, l, f, part);
	if (!err)
		err = part_rename(r->options->io, l->folder, name);
	if (err) {
		recover_say(r, SINK_ERROR, "%s/%s: cannot be finished: %s", l->path, part,
		            strerror(-err));
		return err;
	}
	f->usable = f->finished = true;
	r->result->finished++;
	recover_say(r, SINK_INFO, "%s/%s: finished with %" PRIu64 " frames", l->path, name,
	            f->frames);
	return 0;
}

/* ---- what no record names ---- */

/* "<series>_<digits><suffix>.part" */
static bool is_data_part(const struct recover_lane *l, const char *name, uint32_t *ret_index)
{
	const struct journal_header *h = &l->view.header;
	size_t n = strlen(h->folder);
	unsigned long long index;
	int used = 0;

	if (strncmp(name, h->folder, n) != 0 || name[n] != '_' ||
	    sscanf(name + n + 1, "%9llu%n", &index, &used) != 1 || used < 6)
		return false;
	name += n + 1 + (size_t)used;
	n = strlen(h->suffix);
	*ret_index = (uint32_t)index;
	return strncmp(name, h->suffix, n) == 0 && strcmp(name + n, PART_SUFFIX) == 0;
}

/* Only names of ours. */
static bool is_report_part(const struct recover_lane *l, const char *name)
{
	static const char *const reports[] = { "frames.csv" PART_SUFFIX,
		                               "histogram.csv" PART_SUFFIX,
		                               "manifest.json" PART_SUFFIX };
	const struct journal_header *h = &l->view.header;
	size_t folder = strlen(h->folder);
	unsigned sink;
	int used = 0;

	for (size_t i = 0; i < sizeof reports / sizeof *reports; i++)
		if (strcmp(name, reports[i]) == 0)
			return true;
	if (strncmp(name, h->folder, folder) == 0 &&
	    strcmp(name + folder, ".h5" PART_SUFFIX) == 0) /* a master */
		return true;
	return sscanf(name, "sink-%3u.csv" PART_SUFFIX "%n", &sink, &used) == 1 &&
	       name[used] == '\0' && used > 0;
}

static void remove_part(struct recover *r, struct recover_lane *l, const char *name, bool data)
{
	if (disk_remove(r->options->io, l->folder, name)) {
		recover_say(r, SINK_ERROR, "%s/%s: cannot be removed: %s", l->path, name,
		            strerror(errno));
		return;
	}
	if (!data)
		return;
	r->result->removed++;
	recover_say(r, SINK_WARNING, "%s/%s: removed, no frame in it is durable", l->path, name);
}

static void remove_parts(struct recover *r, struct recover_lane *l)
{
	int again = openat(l->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);

	if (!d) {
		if (again >= 0)
			close(again);
		return;
	}
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		uint32_t index = 0;
		bool data = l->format && is_data_part(l, e->d_name, &index);

		if (data ? !find_file(l, index) : is_report_part(l, e->d_name))
			remove_part(r, l, e->d_name, data);
	}
	closedir(d);
}

int recover_files(struct recover *r, struct recover_lane *l)
{
	int err = 0;

	if (l->folder < 0)
		return l->file_count ? -ENOENT : 0;
	for (size_t i = 0; i < l->file_count; i++) {
		int later = recover_one(r, l, &l->files[i]);

		err = err ? err : later;
	}
	remove_parts(r, l);
	if (!err && l->folder >= 0)
		err = disk_sync(r->options->io, l->folder);
	return err;
}
