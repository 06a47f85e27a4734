/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void audit_raw(const struct audit_file *f);

static const struct reader {
	const char *suffix;
	void (*prove)(const struct audit_file *f);
} readers[] = {
	{ ".tif", audit_tiff },
	{ ".raw", audit_raw },
	{ ".h5", audit_hdf5 },
};

#define READERS (sizeof readers / sizeof *readers)

void audit_file_name(char ret[PART_NAME_MAX], const struct audit_lane *l, uint32_t file)
{
	snprintf(ret, PART_NAME_MAX, "%.200s_%06" PRIu32 "%.15s", l->view.header.folder, file,
	         l->view.header.suffix);
}

/* ---- pixels ---- */

bool audit_judge(const struct audit_file *f, const struct audit_frame *frame, uint32_t crc32c)
{
	if (crc32c != frame->crc32c) {
		audit_found(f->audit, f->name,
		            "frame %" PRIu64 " (index %" PRIu32 "): pixels have checksum %08" PRIx32
		            ", the ledger says %08" PRIx32 ": they were changed",
		            frame->number, frame->index, crc32c, frame->crc32c);
		return false;
	}
	if (f->lane->primary)
		f->audit->result->read_back += frame->members;
	return true;
}

void audit_told_progress(struct audit *a, const char *name, uint64_t bytes)
{
	a->done += bytes;
	if (a->options->at)
		a->options->at(a->options->user, name, a->done, a->all);
}

bool audit_read_frame(const struct audit_file *f, const struct audit_frame *frame, uint64_t offset)
{
	struct audit *a = f->audit;
	uint64_t left = f->lane->view.header.frame_bytes;
	uint32_t crc = 0;

	if (offset > f->bytes || left > f->bytes - offset) {
		audit_found(a, f->name,
		            "frame %" PRIu64 " (index %" PRIu32 ") lies behind the end: the file "
		            "was cut",
		            frame->number, frame->index);
		return false;
	}
	while (left > 0) {
		size_t wanted = left < AUDIT_PIECE ? (size_t)left : AUDIT_PIECE;
		ssize_t n = pread(f->fd, a->piece, wanted, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			audit_refused(a, f->name, "cannot be read", n < 0 ? -errno : -EIO);
			return false;
		}
		crc = a->crc32c(crc, a->piece, (size_t)n);
		offset += (uint64_t)n;
		left -= (uint64_t)n;
		audit_told_progress(a, f->name, (uint64_t)n);
	}
	return audit_judge(f, frame, crc);
}

/* ---- raw, and what is unfinished ---- */

static void read_all(const struct audit_file *f)
{
	for (size_t i = 0; i < f->count && !f->audit->options->quick && !f->audit->file_refused;
	     i++)
		audit_read_frame(f, &f->frames[i], f->frames[i].offset);
}

static void audit_raw(const struct audit_file *f)
{
	uint64_t each = f->lane->view.header.frame_bytes;

	if (f->bytes % each || f->bytes / each != f->count)
		audit_found(f->audit, f->name,
		            "has %" PRIu64 " bytes, %zu frames of the ledger have %" PRIu64,
		            f->bytes, f->count, (uint64_t)f->count * each);
	for (size_t i = 0; i < f->count; i++)
		if (f->frames[i].offset != f->frames[i].index * each)
			audit_found(f->audit, f->name,
			            "frame %" PRIu64 " is index %" PRIu32
			            ", and by the ledger at byte %" PRIu64,
			            f->frames[i].number, f->frames[i].index, f->frames[i].offset);
	read_all(f);
}

/* Frames of a file that was never ended are where the journal says. Compressed ones are left to
 * those who finish it. */
static void prove_part(const struct audit_file *f)
{
	bool plain = true;

	for (size_t i = 0; i < f->count; i++)
		plain = plain && f->frames[i].length == f->lane->view.header.frame_bytes;
	if (plain)
		read_all(f);
}

/* ---- a file ---- */

/* Indices count from 0, or some frame lies there that nobody has a line for. */
static bool check_indices(const struct audit_file *f)
{
	for (size_t i = 0; i < f->count; i++) {
		if (f->frames[i].index == i)
			continue;
		audit_found(f->audit, f->name,
		            "index %zu is in no line of the ledger, the next is %" PRIu32, i,
		            f->frames[i].index);
		return false;
	}
	return true;
}

static bool open_part(struct audit_file *f)
{
	strncat(f->name, PART_SUFFIX, sizeof f->name - strlen(f->name) - 1);
	return audit_open_file(f->lane->folder, f->name, &f->fd, &f->bytes) == 0;
}

static bool is_running(const struct audit *a)
{
	return a->manifest && a->state == MANIFEST_RUNNING;
}

/* Not there under its final name. */
static void prove_unnamed(struct audit_file *f)
{
	struct audit *a = f->audit;
	char name[PART_NAME_MAX];

	memcpy(name, f->name, sizeof name);
	if (!open_part(f)) {
		audit_found(a, name, "is not there, the ledger has %zu frames in it", f->count);
		return;
	}
	if (!is_running(a))
		audit_found(a, f->name,
		            "was never finished, the ledger has %zu frames in it: openbeam recover",
		            f->count);
	a->result->files++;
	a->result->bytes += f->bytes;
	prove_part(f);
	close(f->fd);
}

static void prove_named(const struct audit_file *f)
{
	struct audit *a = f->audit;

	a->result->files++;
	a->result->bytes += f->bytes;
	if (a->options->at)
		a->options->at(a->options->user, f->name, a->done, a->all);
	if (!check_indices(f))
		return;
	for (size_t i = 0; i < READERS; i++)
		if (strcmp(readers[i].suffix, f->lane->view.header.suffix) == 0)
			readers[i].prove(f);
}

static void prove_file(struct audit *a, const struct audit_lane *l,
                       const struct audit_frame *frames, size_t count)
{
	struct audit_file f = { .audit = a, .lane = l, .frames = frames, .count = count };
	int err;

	a->file_refused = false;
	audit_file_name(f.name, l, frames->file);
	err = audit_open_file(l->folder, f.name, &f.fd, &f.bytes);
	if (err == -ENOENT) {
		prove_unnamed(&f);
	} else if (err == -EMEDIUMTYPE || err == -ELOOP) {
		audit_found(a, f.name, "is no regular file");
	} else if (err) {
		audit_refused(a, f.name, "cannot be opened", err);
	} else {
		prove_named(&f);
		close(f.fd);
	}
}

void audit_check_files(struct audit *a, const struct audit_lane *l)
{
	size_t first = 0;

	for (size_t i = 1; i <= l->frame_count; i++) {
		if (i < l->frame_count && l->frames[i].file == l->frames[first].file)
			continue;
		prove_file(a, l, &l->frames[first], i - first);
		first = i;
	}
}

/* ---- what else lies there ---- */

static bool is_in_ledger(const struct audit_lane *l, const char *name)
{
	char own[PART_NAME_MAX];
	size_t from = 0, to = l->frame_count;
	uint32_t file;
	int end = -1;

	if (sscanf(name + strlen(l->view.header.folder), "_%" SCNu32 "%n", &file, &end) != 1)
		return false;
	audit_file_name(own, l, file);
	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (l->frames[middle].file < file)
			from = middle + 1;
		else
			to = middle;
	}
	return from < l->frame_count && l->frames[from].file == file && strcmp(own, name) == 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* "wood-0001_000000.tif", whatever the number, and the master. */
static bool is_data_file(const char *name, const struct audit_lane *l)
{
	size_t n = strlen(l->view.header.folder);

	if (strncmp(name, l->view.header.folder, n) != 0 || (name[n] != '_' && name[n] != '.'))
		return false;
	for (size_t i = 0; i < READERS; i++)
		if (ends_with(name, readers[i].suffix))
			return true;
	return false;
}

static bool is_master(const char *name, const struct audit_lane *l)
{
	size_t n = strlen(l->view.header.folder);

	return strcmp(l->view.header.suffix, ".h5") == 0 && strcmp(name + n, ".h5") == 0;
}

static bool is_same_folder(const struct audit_lane *a, const struct audit_lane *b)
{
	return strcmp(a->path, b->path) == 0;
}

/* A .part of a file that the ledger names was told with that file. */
static bool is_told(const struct audit_lane *l, const char *name)
{
	char final[PART_NAME_MAX];
	size_t n = strlen(name) - strlen(PART_SUFFIX);

	if (!l->is_open || strncmp(name, l->view.header.folder, strlen(l->view.header.folder)) != 0)
		return false;
	snprintf(final, sizeof final, "%.*s", (int)n, name);
	return is_in_ledger(l, final) && faccessat(l->folder, final, F_OK, 0) < 0;
}

static bool is_of_some_lane(const struct audit *a, const struct audit_lane *here, const char *name,
                            bool (*is)(const struct audit_lane *l, const char *name))
{
	for (unsigned i = 0; i < a->lane_count; i++) {
		const struct audit_lane *l = &a->lanes[i];

		if (l->is_open && l->keeps_pixels && is_same_folder(l, here) && is(l, name))
			return true;
	}
	return false;
}

static bool is_named(const struct audit_lane *l, const char *name)
{
	return is_data_file(name, l) && (is_master(name, l) || is_in_ledger(l, name));
}

static void check_entry(struct audit *a, const struct audit_lane *l, const char *name)
{
	if (ends_with(name, PART_SUFFIX)) {
		if (!is_of_some_lane(a, l, name, is_told))
			audit_found(a, name,
			            "was never finished, and the ledger has no frame in it: "
			            "remove it when nobody needs it");
	} else if (is_data_file(name, l) && !is_of_some_lane(a, l, name, is_named)) {
		audit_found(a, name, "is in no line of the ledger");
	}
}

void audit_check_folder(struct audit *a, const struct audit_lane *l)
{
	DIR *d;
	int fd;

	for (const struct audit_lane *before = a->lanes; before < l; before++)
		if (before->is_open && before->keeps_pixels && is_same_folder(before, l))
			return; /* looked at already */
	fd = openat(l->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		audit_refused(a, l->path, "cannot be listed", -errno);
		if (fd >= 0)
			close(fd);
		return;
	}
	for (const struct dirent *e = readdir(d); e; e = readdir(d))
		check_entry(a, l, e->d_name);
	closedir(d);
}
