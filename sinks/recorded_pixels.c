/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/recorded.h"

#include "kernels/cpu.h"
#include "sinks/audit_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RATIO_MAX 256 /* no block of LZ4 expands more than 255 times */

_Static_assert(RECORDED_NAME == PART_NAME_MAX, "a name fits");

static const struct audit_lane *source_of(const struct recorded *r)
{
	return &r->audit->lanes[r->source];
}

/* A file that was never ended still has the other suffix. */
static int open_either(struct recorded *r, uint32_t file)
{
	const struct audit_lane *l = source_of(r);
	int err;

	audit_file_name(r->file_name, l, file);
	err = audit_open_file(l->folder, r->file_name, &r->fd, &r->file_bytes);
	if (err == -ENOENT) {
		char part[PART_NAME_MAX + sizeof PART_SUFFIX];

		snprintf(part, sizeof part, "%s" PART_SUFFIX, r->file_name);
		err = audit_open_file(l->folder, part, &r->fd, &r->file_bytes);
	}
	return err;
}

static bool use_file(struct recorded *r, uint32_t file, char why[RECORDED_WHY])
{
	int err;

	if (r->fd >= 0 && r->file == file)
		return true;
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	err = open_either(r, file);
	if (!err) {
		r->file = file;
		return true;
	}
	snprintf(why, RECORDED_WHY, "%s %s", r->file_name,
	         err == -ENOENT                         ? "is not there"
	         : err == -EMEDIUMTYPE || err == -ELOOP ? "is no regular file"
	                                                : strerror(-err));
	return false;
}

static bool is_packed(const struct recorded *r)
{
	return source_of(r)->view.header.packed;
}

bool recorded_find(struct recorded *r, const struct journal_record *f, char why[RECORDED_WHY])
{
	bool length_fits = is_packed(r) ? r->shape.bytes / RATIO_MAX <= f->length
	                                : r->shape.bytes == f->length;

	if (!use_file(r, f->file, why))
		return false;
	if (!length_fits) {
		snprintf(why, RECORDED_WHY,
		         "the ledger gives it %" PRIu64 " bytes, a frame has %zu", f->length,
		         r->shape.bytes);
		return false;
	}
	if (f->offset <= r->file_bytes && f->length <= r->file_bytes - f->offset)
		return true;
	snprintf(why, RECORDED_WHY, "%s ends before it: it was cut", r->file_name);
	return false;
}

static bool read_bytes(const struct recorded *r, void *to, size_t n, uint64_t offset,
                       char why[RECORDED_WHY])
{
	char *at = to;

	while (n > 0) {
		ssize_t got = pread(r->fd, at, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			snprintf(why, RECORDED_WHY, "%s cannot be read: %s", r->file_name,
			         got < 0 ? strerror(errno) : "it was cut");
			return false;
		}
		at += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return true;
}

static bool open_decompress(struct recorded *r)
{
	if (r->scratch)
		return true;
	r->scratch = aligned_alloc(64, (decompress_scratch_bytes() + 63) / 64 * 64);
	if (!r->scratch)
		return false;
	decompress_init(&r->decompress, r->scratch, cpu_detect());
	return true;
}

static bool make_room(struct recorded *r, size_t bytes)
{
	void *larger;

	if (bytes <= r->packed_room)
		return true;
	larger = realloc(r->packed, bytes);
	if (!larger)
		return false;
	r->packed = larger;
	r->packed_room = bytes;
	return true;
}

static bool read_packed(struct recorded *r, const struct journal_record *f, void *pixels,
                        char why[RECORDED_WHY])
{
	const char *wrong;

	if (!open_decompress(r) || !make_room(r, f->length)) {
		snprintf(why, RECORDED_WHY, "no memory to decompress it");
		return false;
	}
	if (!read_bytes(r, r->packed, f->length, f->offset, why))
		return false;
	wrong = decompress(&r->decompress, CODEC_BSLZ4, product_bytes(r->shape.type), pixels,
	                   r->shape.bytes, r->packed, f->length);
	if (wrong)
		snprintf(why, RECORDED_WHY, "%s: %s", r->file_name, wrong);
	return !wrong;
}

bool recorded_read(struct recorded *r, const struct journal_record *f, void *pixels,
                   char why[RECORDED_WHY])
{
	uint32_t crc;

	if (!(is_packed(r) ? read_packed(r, f, pixels, why)
	                   : read_bytes(r, pixels, f->length, f->offset, why)))
		return false;
	crc = r->audit->crc32c(0, pixels, r->shape.bytes);
	if (crc == f->crc32c)
		return true;
	snprintf(why, RECORDED_WHY,
	         "%s: its pixels have checksum %08" PRIx32 ", the ledger says %08" PRIx32,
	         r->file_name, crc, f->crc32c);
	return false;
}

/* ---- histogram.csv ---- */

/* Line i of its kind: the bins, then below, above and nan. */
static bool take(const struct audit_bin *b, uint32_t i, const struct bins *bins,
                 uint64_t *ret_counts, struct histogram_tails *ret_tails)
{
	uint64_t *const tails[] = { &ret_tails->below, &ret_tails->above, &ret_tails->nan };

	if (i < bins->bins) {
		ret_counts[i] = b->count;
		return i > 0 || b->low == bins->low;
	}
	if (i >= bins->bins + 3)
		return false;
	*tails[i - bins->bins] = b->count;
	if (i == bins->bins)
		return b->high == bins->low;
	return i > bins->bins + 1 || b->low == bins->high;
}

static bool read_lines(FILE *f, const char *kind, const struct bins *bins, uint64_t *ret_counts,
                       struct histogram_tails *ret_tails)
{
	char line[256];
	uint32_t i = 0;

	if (!fgets(line, sizeof line, f))
		return false;
	while (fgets(line, sizeof line, f)) {
		struct audit_bin b;

		if (!audit_parse_bin(line, &b))
			return false;
		if (strcmp(b.kind, kind) != 0)
			continue;
		if (!take(&b, i, bins, ret_counts, ret_tails))
			return false;
		i++;
	}
	return i == bins->bins + 3;
}

bool recorded_histogram(const struct recorded *r, const char *kind, const struct bins *bins,
                        uint64_t *ret_counts, struct histogram_tails *ret_tails,
                        char why[RECORDED_WHY])
{
	uint64_t bytes;
	int fd;
	FILE *f;
	bool ok;

	if (audit_open_file(r->audit->folder, "histogram.csv", &fd, &bytes)) {
		snprintf(why, RECORDED_WHY, "histogram.csv is not there");
		return false;
	}
	f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		snprintf(why, RECORDED_WHY, "histogram.csv cannot be read");
		return false;
	}
	ok = read_lines(f, kind, bins, ret_counts, ret_tails);
	fclose(f);
	if (!ok)
		snprintf(why, RECORDED_WHY, "histogram.csv has not the bins of the %s histogram",
		         kind);
	return ok;
}
