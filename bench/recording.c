/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/recording.h"

#include "bench/cbor_walk.h"
#include "bench/recording_v1.h"
#include "ingest/header.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_SHOWN 5

/* A file of the folder. Those with equal keys make up a message where a kind says so. */
struct recorded_file {
	char *name, *key;
	unsigned rank; /* order among those with its key */
	const uint8_t *data;
	size_t size;
};

struct loading {
	struct recording *r;
	uint64_t limit;
	const char *folder;
	int directory; /* open descriptor, or -1 */
	struct recorded_file *files;
	size_t file_count, file_room;
	uint64_t message_room, part_room;
};

struct kind {
	const char *pattern, *meaning;

	/* Whether the name is of this kind. The key is its first ret_key bytes. */
	bool (*takes)(const char *name, size_t *ret_key, unsigned *ret_rank);

	/* Make messages of the sorted files. 0 or negative errno with why[]. */
	int (*assemble)(struct loading *l);
};

__attribute__((format(printf, 3, 4))) static int refuse(struct recording *r, int err,
                                                        const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(r->why, sizeof r->why, format, ap);
	va_end(ap);
	header_printable(r->why); /* names of files are not to be trusted either */
	return err;
}

static int refuse_memory(struct recording *r)
{
	return refuse(r, -ENOMEM, "memory for the recording: %s", strerror(ENOMEM));
}

/* Bytes more are to be held. */
static int account(struct loading *l, uint64_t bytes, const char *what)
{
	if (l->r->bytes > l->limit || bytes > l->limit - l->r->bytes)
		return refuse(l->r, -EFBIG,
		              "%.200s: with %.200s the recording needs more than the %" PRIu64
		              " bytes of memory it may have",
		              l->folder, what, l->limit);
	l->r->bytes += bytes;
	return 0;
}

/* Make room for one more element. NULL: no memory, and the old array is as it was. */
static void *room_for(void *array, uint64_t count, uint64_t *room, size_t element_bytes)
{
	uint64_t wanted = *room ? 2 * *room : 64;
	void *moved;

	if (count < *room)
		return array;
	if (wanted > SIZE_MAX / element_bytes)
		return NULL;
	moved = realloc(array, wanted * element_bytes);
	if (moved)
		*room = wanted;
	return moved;
}

/* ---- messages. Their parts are pointed to when all are there: until then the list moves. */

static int begin_message(struct loading *l, const struct recorded_file *f)
{
	struct recording *r = l->r;
	struct recording_message *messages;
	int err = account(l, sizeof *messages, f->name);

	if (err)
		return err;
	messages = room_for(r->messages, r->count, &l->message_room, sizeof *messages);
	if (!messages)
		return refuse_memory(r);
	r->messages = messages;
	r->messages[r->count++] = (struct recording_message){ 0 };
	return 0;
}

/* Another part of the message begun last. */
static int add_part(struct loading *l, const struct recorded_file *f, const uint8_t *data,
                    size_t size)
{
	struct recording *r = l->r;
	struct recording_message *m = &r->messages[r->count - 1];
	struct recording_part *parts;
	int err = account(l, sizeof *parts, f->name);

	if (err)
		return err;
	if (m->part_count == RECORDING_PARTS_MAX)
		return refuse(r, -EINVAL, "%.300s: a message has more than %d parts", f->name,
		              RECORDING_PARTS_MAX);
	parts = room_for(r->parts, r->part_count, &l->part_room, sizeof *parts);
	if (!parts)
		return refuse_memory(r);
	r->parts = parts;
	r->parts[r->part_count++] = (struct recording_part){ data, size };
	m->part_count++;
	return 0;
}

static int add_file(struct loading *l, const struct recorded_file *f)
{
	return add_part(l, f, f->data, f->size);
}

static void shrink_lists(struct recording *r)
{
	void *parts = realloc(r->parts, r->part_count * sizeof *r->parts);
	void *messages = realloc(r->messages, r->count * sizeof *r->messages);

	r->parts = parts ? parts : r->parts;
	r->messages = messages ? messages : r->messages;
}

static void point_to_parts(struct recording *r)
{
	const struct recording_part *next = r->parts;

	for (uint64_t i = 0; i < r->count; i++) {
		r->messages[i].parts = next;
		next += r->messages[i].part_count;
	}
}

/* ---- kinds */

static bool ends_with(const char *name, const char *suffix, size_t *ret_stem)
{
	size_t length = strlen(name), end = strlen(suffix);

	if (length <= end || strcmp(name + length - end, suffix) != 0)
		return false;
	*ret_stem = length - end;
	return true;
}

static size_t count_digits(const char *s)
{
	return strspn(s, "0123456789");
}

static bool takes_v1(const char *name, size_t *ret_key, unsigned *ret_rank)
{
	static const char start[] = "streamData.";
	const char *number = name + strlen(start);

	if (strncmp(name, start, strlen(start)) != 0 || count_digits(number) == 0 ||
	    number[count_digits(number)] != '\0')
		return false;
	*ret_key = strlen(name);
	*ret_rank = 0;
	return true;
}

/* The message that begins in file `first`. */
static int assemble_v1_message(struct loading *l, size_t first, const struct v1_message *m,
                               size_t *ret_next)
{
	const struct recorded_file *files = l->files;
	int err = begin_message(l, &files[first]);

	for (unsigned i = 0; !err && i < m->part_count; i++) {
		const struct recorded_file *f = &files[first + i];

		if (first + i == l->file_count)
			return refuse(l->r, -EINVAL,
			              "%.200s: the %s that begins here has %u of %u parts: files "
			              "are missing",
			              files[first].name, m->name, i, m->part_count);
		if (i > 0 && !v1_message_fits(m, i, f->data, f->size))
			return refuse(l->r, -EINVAL,
			              "%.150s is not part %u of the %s that begins in %.150s: "
			              "files are missing or damaged",
			              f->name, i + 1, m->name, files[first].name);
		err = add_file(l, f);
	}
	*ret_next = first + m->part_count;
	return err;
}

static int assemble_v1(struct loading *l)
{
	bool appendix = false; /* may come now */
	size_t i = 0;
	int err = 0;

	while (!err && i < l->file_count) {
		const struct recorded_file *f = &l->files[i];
		const struct v1_message *m = v1_message_begun(f->data, f->size);

		if (m) {
			err = assemble_v1_message(l, i, m, &i);
			appendix = m->appendix;
		} else if (appendix) {
			err = add_file(l, f);
			appendix = false;
			i++;
		} else {
			err = refuse(l->r, -EINVAL,
			             "%.300s begins no DECTRIS V1 message and cannot belong to the "
			             "one before: files are missing or damaged",
			             f->name);
		}
	}
	return err;
}

static bool takes_cbors(const char *name, size_t *ret_key, unsigned *ret_rank)
{
	*ret_rank = 0;
	return ends_with(name, ".cbors", ret_key);
}

/* The message at `at` of a sequence. */
static int assemble_cbors_message(struct loading *l, const struct recorded_file *f, size_t at,
                                  size_t *ret_next)
{
	char why[CBOR_WALK_WHY];
	struct cbor_strings s;
	const uint8_t *string;
	size_t bytes;
	int got, err = 0;

	got = cbor_strings_begin(&s, f->data + at, f->size - at, why);
	if (got == 0)
		err = begin_message(l, f);
	if (err)
		return err;
	while (got >= 0 && (got = cbor_strings_next(&s, &string, &bytes, why)) > 0) {
		err = add_part(l, f, string, bytes);
		if (err)
			return err;
	}
	if (got < 0)
		return refuse(l->r, got, "%.200s, from byte %zu: %s", f->name, at, why);
	if (l->r->messages[l->r->count - 1].part_count == 0)
		return refuse(l->r, -EINVAL, "%.200s, from byte %zu: a message of no parts",
		              f->name, at);
	*ret_next = (size_t)(s.reader.at - f->data);
	return 0;
}

static int assemble_cbors(struct loading *l)
{
	for (size_t i = 0; i < l->file_count; i++) {
		const struct recorded_file *f = &l->files[i];
		size_t at = 0;

		if (f->size == 0)
			return refuse(l->r, -EINVAL, "%.300s is empty", f->name);
		while (at < f->size) {
			int err = assemble_cbors_message(l, f, at, &at);

			if (err)
				return err;
		}
	}
	return 0;
}

static bool takes_cbor(const char *name, size_t *ret_key, unsigned *ret_rank)
{
	*ret_rank = 0;
	return ends_with(name, ".cbor", ret_key);
}

static int assemble_cbor(struct loading *l)
{
	int err = 0;

	for (size_t i = 0; !err && i < l->file_count; i++) {
		const struct recorded_file *f = &l->files[i];
		char why[CBOR_WALK_WHY];
		size_t used;

		if (cbor_walk_item(f->data, f->size, &used, why))
			return refuse(l->r, -EINVAL, "%.300s: %s", f->name, why);
		if (used != f->size)
			return refuse(l->r, -EINVAL,
			              "%.300s: %zu bytes follow the CBOR data item of %zu", f->name,
			              f->size - used, used);
		err = begin_message(l, f);
		if (!err)
			err = add_file(l, f);
	}
	return err;
}

/* NNNNNN_NNN.raw */
static bool takes_raw(const char *name, size_t *ret_key, unsigned *ret_rank)
{
	size_t message = count_digits(name), part;

	if (message == 0 || name[message] != '_')
		return false;
	part = count_digits(name + message + 1);
	if (part == 0 || part > 9 || strcmp(name + message + 1 + part, ".raw") != 0)
		return false;
	*ret_key = message;
	*ret_rank = (unsigned)strtoul(name + message + 1, NULL, 10);
	return true;
}

static bool same_message(const struct loading *l, size_t i, size_t j)
{
	return j < l->file_count && strcmp(l->files[i].key, l->files[j].key) == 0;
}

static int assemble_raw(struct loading *l)
{
	int err = 0;

	for (size_t first = 0, i = 0; !err && i < l->file_count; i++) {
		const struct recorded_file *f = &l->files[i];

		if (!same_message(l, first, i))
			first = i;
		if (f->rank != i - first)
			return refuse(l->r, -EINVAL,
			              "%.200s is not part %zu of its message: a file is missing or "
			              "there twice",
			              f->name, i - first);
		if (i == first)
			err = begin_message(l, f);
		if (!err)
			err = add_file(l, f);
	}
	return err;
}

enum { RANK_HDR, RANK_META, RANK_BLOB };

static bool takes_hdr(const char *name, size_t *ret_key, unsigned *ret_rank)
{
	static const char *const suffixes[] = { ".hdr", ".meta", ".blob" };

	for (unsigned i = RANK_HDR; i <= RANK_BLOB; i++)
		if (ends_with(name, suffixes[i], ret_key)) {
			*ret_rank = i;
			return true;
		}
	return false;
}

static int assemble_hdr(struct loading *l)
{
	int err = 0;

	for (size_t first = 0, i = 0; !err && i < l->file_count; i++) {
		const struct recorded_file *f = &l->files[i];

		if (!same_message(l, first, i))
			first = i;
		if (i == first && f->rank == RANK_BLOB)
			return refuse(l->r, -EINVAL, "%.200s has no header: %.200s.hdr is missing",
			              f->name, f->key);
		if (i == first && f->size == 0)
			return refuse(l->r, -EINVAL, "%.300s is empty", f->name);
		if (i == first)
			err = begin_message(l, f);
		if (!err)
			err = add_file(l, f);
	}
	return err;
}

static const struct kind kinds[] = {
	{ "streamData.NNNNNN", "parts of DECTRIS V1", takes_v1, assemble_v1 },
	{ "NAME.cbors", "sequences of messages", takes_cbors, assemble_cbors },
	{ "NNNNNN_NNN.raw", "message and part", takes_raw, assemble_raw },
	{ "NAME.hdr", "with NAME.blob", takes_hdr, assemble_hdr },
	{ "NAME.cbor", "messages of DECTRIS V2", takes_cbor, assemble_cbor },
};

/* ---- files */

static int list_folder(struct loading *l, DIR *folder)
{
	const struct dirent *entry;

	while (errno = 0, (entry = readdir(folder))) {
		uint64_t room = l->file_room;
		struct recorded_file *files;

		if (entry->d_name[0] == '.')
			continue;
		files = room_for(l->files, l->file_count, &room, sizeof *files);
		if (!files)
			return refuse_memory(l->r);
		l->files = files;
		l->file_room = (size_t)room;
		files[l->file_count] = (struct recorded_file){ .name = strdup(entry->d_name) };
		if (!files[l->file_count++].name)
			return refuse_memory(l->r);
	}
	if (errno)
		return refuse(l->r, -errno, "%.300s: %s", l->folder, strerror(errno));
	return 0;
}

static void forget_file(struct recorded_file *f)
{
	free(f->name);
	free(f->key);
}

static int by_name(const void *a, const void *b)
{
	const struct recorded_file *f = a, *g = b;

	return strverscmp(f->name, g->name);
}

static int by_key(const void *a, const void *b)
{
	const struct recorded_file *f = a, *g = b;
	int order = strverscmp(f->key, g->key);

	if (order)
		return order;
	if (f->rank != g->rank)
		return f->rank < g->rank ? -1 : 1;
	return strcmp(f->name, g->name);
}

/* Say what is there and what would be understood. */
static int refuse_folder(struct loading *l)
{
	char found[200] = "", known[200] = "";
	size_t at = 0;

	if (l->file_count > 0)
		qsort(l->files, l->file_count, sizeof *l->files, by_name);
	for (size_t i = 0; i < l->file_count && i < NAMES_SHOWN && at < sizeof found; i++)
		at += (size_t)snprintf(found + at, sizeof found - at, "%s%.30s", i ? ", " : "",
		                       l->files[i].name);
	if (l->file_count > NAMES_SHOWN)
		snprintf(found + at, sizeof found - at, " and %zu more",
		         l->file_count - NAMES_SHOWN);
	at = 0;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && at < sizeof known; i++)
		at += (size_t)snprintf(known + at, sizeof known - at, "%s%s (%s)", i ? ", " : "",
		                       kinds[i].pattern, kinds[i].meaning);
	return refuse(l->r, -EINVAL, "%.80s holds %s; understood are %s", l->folder,
	              l->file_count ? found : "no files", known);
}

/* Keep only the files of the first kind that there is a file of, with their keys. */
static int keep_kind(struct loading *l, const struct kind **ret)
{
	const struct kind *kind = NULL;
	size_t kept = 0, key;
	unsigned rank;

	for (size_t k = 0; !kind && k < sizeof kinds / sizeof *kinds; k++)
		for (size_t i = 0; !kind && i < l->file_count; i++)
			if (kinds[k].takes(l->files[i].name, &key, &rank))
				kind = &kinds[k];
	if (!kind)
		return refuse_folder(l);
	for (size_t i = 0; i < l->file_count; i++) {
		struct recorded_file f = l->files[i];

		if (!kind->takes(f.name, &key, &f.rank)) {
			forget_file(&f);
			l->r->passed_over++;
			continue;
		}
		f.key = strndup(f.name, key);
		l->files[kept++] = f;
	}
	l->file_count = kept;
	for (size_t i = 0; i < kept; i++)
		if (!l->files[i].key)
			return refuse_memory(l->r);
	qsort(l->files, kept, sizeof *l->files, by_key);
	*ret = kind;
	return 0;
}

static int open_file(struct loading *l, const struct recorded_file *f, struct stat *ret_status)
{
	/* a pipe of that name is not waited for */
	int fd = openat(l->directory, f->name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int err = fd < 0 || fstat(fd, ret_status) < 0 ? errno : 0;

	if (err == 0 && S_ISREG(ret_status->st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	return refuse(l->r, err ? -err : -EINVAL, "%.300s: %s", f->name,
	              err ? strerror(err) : "this is not a file");
}

static int measure_files(struct loading *l)
{
	for (size_t i = 0; i < l->file_count; i++) {
		struct stat status;
		int err, fd = open_file(l, &l->files[i], &status);

		if (fd < 0)
			return fd;
		close(fd);
		l->files[i].size = (size_t)status.st_size;
		err = account(l, (uint64_t)status.st_size, l->files[i].name);
		if (err)
			return err;
	}
	return 0;
}

static int read_file(struct loading *l, const struct recorded_file *f, uint8_t *to)
{
	struct stat status;
	int fd = open_file(l, f, &status);
	size_t at = 0;
	ssize_t got = 1;

	if (fd < 0)
		return fd;
	while (at < f->size && got > 0) {
		got = read(fd, to + at, f->size - at);
		at += got > 0 ? (size_t)got : 0;
	}
	if (got < 0) {
		int err = errno;

		close(fd);
		return refuse(l->r, -err, "%.300s: %s", f->name, strerror(err));
	}
	close(fd);
	if (at < f->size || (size_t)status.st_size != f->size)
		return refuse(l->r, -EINVAL,
		              "%.300s changes while it is read: wait until it is written", f->name);
	return 0;
}

static int read_files(struct loading *l)
{
	struct recording *r = l->r;
	uint8_t *to;
	int err = measure_files(l);

	if (err)
		return err;
	r->contents = malloc(r->bytes ? r->bytes : 1);
	if (!r->contents)
		return refuse_memory(r);
	to = r->contents;
	for (size_t i = 0; !err && i < l->file_count; i++) {
		l->files[i].data = to;
		err = read_file(l, &l->files[i], to);
		to += l->files[i].size;
	}
	return err;
}

static int load(struct loading *l, DIR *folder)
{
	const struct kind *kind = NULL;
	int err = list_folder(l, folder);

	if (!err)
		err = keep_kind(l, &kind);
	if (!err)
		err = read_files(l);
	if (!err)
		err = kind->assemble(l);
	if (err)
		return err;
	l->r->kind = kind->pattern;
	l->r->file_count = l->file_count;
	shrink_lists(l->r);
	point_to_parts(l->r);
	return 0;
}

int recording_open(struct recording *r, const char *folder, uint64_t memory_limit)
{
	struct loading l = { .r = r, .limit = memory_limit, .folder = folder };
	DIR *open_folder = opendir(folder);
	int err;

	*r = (struct recording){ 0 };
	if (!open_folder) {
		err = errno;
		return refuse(r, -err, "%.300s: %s", folder, strerror(err));
	}
	l.directory = dirfd(open_folder);
	err = load(&l, open_folder);
	closedir(open_folder);
	for (size_t i = 0; i < l.file_count; i++)
		forget_file(&l.files[i]);
	free(l.files);
	if (err)
		recording_close(r);
	return err;
}

void recording_close(struct recording *r)
{
	char why[sizeof r->why];

	free(r->contents);
	free(r->parts);
	free(r->messages);
	memcpy(why, r->why, sizeof why);
	*r = (struct recording){ 0 };
	memcpy(r->why, why, sizeof why);
}
