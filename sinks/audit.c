/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_parts.h"

#include "kernels/cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names and texts of a folder may hold anything, and end on somebody's terminal. */
static void make_printable(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
}

static void tell(struct audit *a, enum audit_kind kind, const char *where, const char *format,
                 va_list arguments)
{
	char what[4096], name[AUDIT_PATH_MAX + PART_NAME_MAX];
	bool elsewhere = a->data_path && !strchr(where, '/');

	vsnprintf(what, sizeof what, format, arguments);
	snprintf(name, sizeof name, "%s%s%s", elsewhere ? a->data_path : "", elsewhere ? "/" : "",
	         where);
	make_printable(what);
	make_printable(name);
	if (kind == AUDIT_FINDING)
		a->result->findings++;
	else
		a->remarks++;
	if (a->options->found)
		a->options->found(a->options->user, kind, name, what);
}

void audit_found(struct audit *a, const char *where, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell(a, AUDIT_FINDING, where, format, arguments);
	va_end(arguments);
}

void audit_remark(struct audit *a, const char *where, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell(a, AUDIT_REMARK, where, format, arguments);
	va_end(arguments);
}

void audit_refused(struct audit *a, const char *where, const char *doing, int error)
{
	a->unreadable = a->file_refused = true;
	audit_found(a, where, "%s: %s", doing, strerror(-error));
}

int audit_open_file(int folder, const char *name, int *ret_fd, uint64_t *ret_bytes)
{
	struct stat st;
	int fd;

	/* Opening a device can have effects of its own, so it is looked at first. */
	if (fstatat(folder, name, &st, 0) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EMEDIUMTYPE;
	fd = openat(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EMEDIUMTYPE;
	}
	*ret_fd = fd;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

bool audit_open_told(struct audit *a, const char *name, int *ret_fd, uint64_t *ret_bytes)
{
	int err = audit_open_file(a->folder, name, ret_fd, ret_bytes);

	if (!err)
		return true;
	if (err == -ENOENT)
		audit_found(a, name, "is not there");
	else if (err == -EMEDIUMTYPE || err == -ELOOP)
		audit_found(a, name, "is no regular file");
	else
		audit_refused(a, name, "cannot be opened", err);
	return false;
}

bool audit_is_series(const char *path)
{
	static const char *const signs[] = { "manifest.json", "journal.bin", "frames.csv" };

	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
		char name[AUDIT_PATH_MAX];
		struct stat st;
		int n = snprintf(name, sizeof name, "%s/%s", path, signs[i]);

		if (n > 0 && (size_t)n < sizeof name && lstat(name, &st) == 0)
			return true;
	}
	return false;
}

/* Frames of HDF5 are read from their files, and through the master. */
static uint64_t pixel_bytes_of(const struct audit_lane *l)
{
	uint64_t times = strcmp(l->view.header.suffix, ".h5") == 0 ? 2 : 1;

	return l->is_open ? times * l->frame_count * l->view.header.frame_bytes : 0;
}

static uint64_t lost_by(const struct audit_counts *c)
{
	return c->numbers - c->written;
}

static uint64_t sum(const uint64_t *counts, unsigned kinds)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < kinds; i++)
		total += counts[i];
	return total;
}

static void count_results(struct audit *a)
{
	const struct audit_counts *first = NULL;

	for (unsigned i = 0; i < a->lane_count; i++)
		if (a->lanes[i].primary)
			first = &a->lanes[i].counts;
	if (!first)
		return;
	a->result->frames = first->numbers;
	a->result->written = first->written;
	a->result->flagged = first->flagged;
	a->result->dropped = sum(first->dropped, DROPPED_COUNT);
	a->result->missing = sum(first->missing, MISSING_COUNT);
	for (unsigned i = 0; i < a->lane_count; i++)
		if (!a->lanes[i].primary && lost_by(&a->lanes[i].counts) > lost_by(first))
			a->result->lost_elsewhere += lost_by(&a->lanes[i].counts) - lost_by(first);
}

static void judge_series(struct audit *a)
{
	struct audit_result *r = a->result;

	if (a->unreadable)
		r->verdict = AUDIT_UNREADABLE;
	else if (a->manifest && a->state == MANIFEST_RUNNING)
		r->verdict = AUDIT_UNFINISHED;
	else if (r->findings > 0)
		r->verdict = AUDIT_DAMAGED;
	else if (a->remarks || a->state != MANIFEST_COMPLETE || r->dropped || r->missing ||
	         r->flagged || r->lost_elsewhere)
		r->verdict = AUDIT_LOSSES;
	else
		r->verdict = AUDIT_SOUND;
}

static void check_ledger(struct audit *a)
{
	for (unsigned i = 0; i < a->lane_count; i++) {
		audit_read_journal(a, &a->lanes[i]);
		a->result->pixels |= a->lanes[i].primary && a->lanes[i].keeps_pixels;
		a->all += pixel_bytes_of(&a->lanes[i]);
		if (a->state != MANIFEST_RUNNING)
			audit_check_table(a, &a->lanes[i]);
	}
	if (a->state == MANIFEST_RUNNING)
		return;
	audit_check_totals(a);
	audit_check_histogram(a);
}

static void check_lane(struct audit *a, const struct audit_lane *l)
{
	audit_check_files(a, l);
	if (a->state == MANIFEST_RUNNING)
		return;
	audit_check_folder(a, l);
	if (strcmp(l->view.header.suffix, ".h5") == 0)
		audit_master(a, l);
}

static void check_data(struct audit *a)
{
	for (unsigned i = 0; i < a->lane_count; i++) {
		const struct audit_lane *l = &a->lanes[i];

		if (!l->is_open || !l->keeps_pixels || l->folder < 0)
			continue;
		a->data_path = strcmp(l->path, a->path) == 0 ? NULL : l->path;
		check_lane(a, l);
		a->data_path = NULL;
	}
}

static int open_series(struct audit *a)
{
	a->folder = open(a->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->folder < 0)
		return -errno;
	a->piece = malloc(AUDIT_PIECE);
	return a->piece ? 0 : -ENOMEM;
}

static void close_series(struct audit *a)
{
	for (unsigned i = 0; i < a->lane_count; i++)
		audit_lane_done(&a->lanes[i]);
	json_decref(a->manifest);
	free(a->piece);
	if (a->folder >= 0)
		close(a->folder);
}

void audit_series(const char *path, const struct audit_options *o, struct audit_result *ret)
{
	struct audit *a = calloc(1, sizeof *a);
	int err = a ? 0 : -ENOMEM;

	*ret = (struct audit_result){ .verdict = AUDIT_UNREADABLE, .findings = a ? 0 : 1 };
	if (!a)
		return;
	*a = (struct audit){ .options = o,
		             .result = ret,
		             .path = path,
		             .folder = -1,
		             .average = 1,
		             .crc32c = crc32c_for(cpu_detect()) };
	err = open_series(a);
	if (err) {
		audit_refused(a, "", "cannot be opened", err);
		if (err == -ENOENT || err == -ENOTDIR)
			ret->verdict = AUDIT_NO_SERIES;
	} else if (!audit_is_series(path)) {
		audit_found(a, "", "is no series: it has neither manifest.json nor journal.bin");
		ret->verdict = AUDIT_NO_SERIES;
	} else {
		audit_read_manifest(a);
		check_ledger(a);
		check_data(a);
		count_results(a);
		judge_series(a);
	}
	close_series(a);
	free(a);
}
