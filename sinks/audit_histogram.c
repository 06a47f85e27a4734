/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "histogram.csv"

/* A kind of histogram, as its lines come: the bins in order, then the tails. */
struct kind {
	const char *name;
	uint64_t lines, pixels, tails;
	double high; /* of the bin before */
};

static bool take_number(char **at, double *ret)
{
	char *end;

	*ret = strtod(*at, &end);
	if (end == *at || *end != ',')
		return false;
	*at = end + 1;
	return true;
}

bool audit_parse_bin(char *line, struct audit_bin *ret)
{
	char *comma = strchr(line, ','), *at, *end;
	size_t n = comma ? (size_t)(comma - line) : 0;

	if (n == 0 || n >= sizeof ret->kind)
		return false;
	memcpy(ret->kind, line, n);
	ret->kind[n] = '\0';
	at = comma + 1;
	if (!take_number(&at, &ret->low) || !take_number(&at, &ret->high) || *at < '0' || *at > '9')
		return false;
	errno = 0;
	ret->count = strtoull(at, &end, 10);
	return errno == 0 && strcmp(end, "\n") == 0;
}

/* Bins touch each other; then come below, above and nan. */
static bool follows(const struct kind *k, const struct audit_bin *b)
{
	switch (k->tails) {
	case 0:
		if (isinf(b->low) && b->low < 0)
			return isfinite(b->high);
		return isfinite(b->low) && isfinite(b->high) && b->low < b->high &&
		       (k->lines == 0 || b->low == k->high);
	case 1:
		return isfinite(b->low) && isinf(b->high) && b->high > 0 &&
		       (k->lines == 1 || b->low == k->high);
	case 2:
		return isnan(b->low) && isnan(b->high);
	default:
		return false;
	}
}

static bool take_bin(struct kind *k, const struct audit_bin *b)
{
	if (!follows(k, b))
		return false;
	k->tails += !(isfinite(b->low) && isfinite(b->high));
	if (isfinite(b->high) && isfinite(b->low))
		k->high = b->high;
	k->lines++;
	k->pixels += b->count;
	return true;
}

static bool take_line(struct kind kinds[2], char *line)
{
	struct audit_bin b;

	if (!audit_parse_bin(line, &b))
		return false;
	for (unsigned i = 0; i < 2; i++)
		if (strcmp(b.kind, kinds[i].name) == 0)
			return take_bin(&kinds[i], &b);
	return false;
}

/* Pixels of all frames that went into the histograms, by the ledger. */
static uint64_t pixels_of(const struct audit_lane *l)
{
	uint64_t pixels = 0;

	for (size_t i = 0; i < l->range_count; i++) {
		struct journal_record r;

		journal_view_record(&l->view, l->ranges[i].slot, &r);
		if (r.state == FRAME_WRITTEN)
			pixels += r.good + r.bad;
	}
	return pixels;
}

/* In a complete series the frames that were counted are those that were written. */
static void check_sums(struct audit *a, const struct kind kinds[2])
{
	for (unsigned i = 0; i < a->lane_count; i++) {
		const struct audit_lane *l = &a->lanes[i];
		uint64_t pixels;

		if (!l->primary || !l->is_open)
			continue;
		pixels = pixels_of(l);
		for (unsigned k = 0; k < 2; k++)
			if (kinds[k].lines > 0 && kinds[k].pixels != pixels)
				audit_found(a, NAME,
				            "%s: counts and tails are %" PRIu64
				            " pixels, the frames have %" PRIu64,
				            kinds[k].name, kinds[k].pixels, pixels);
	}
}

static void check_lines(struct audit *a, FILE *f)
{
	struct kind kinds[2] = { { .name = "raw" }, { .name = "normalised" } };
	char line[256];
	uint64_t n = 1;

	if (!fgets(line, sizeof line, f) || strcmp(line, "kind,low,high,count\n") != 0) {
		audit_found(a, NAME, "does not begin with its columns");
		return;
	}
	while (fgets(line, sizeof line, f)) {
		n++;
		if (take_line(kinds, line))
			continue;
		audit_found(a, NAME, "line %" PRIu64 " is damaged, or out of order", n);
		return;
	}
	if (ferror(f)) {
		audit_refused(a, NAME, "cannot be read", -EIO);
		return;
	}
	for (unsigned i = 0; i < 2; i++)
		if (kinds[i].lines > 0 && kinds[i].tails != 3) {
			audit_found(a, NAME, "%s: the tails are not there", kinds[i].name);
			return;
		}
	if (a->state == MANIFEST_COMPLETE)
		check_sums(a, kinds);
}

void audit_check_histogram(struct audit *a)
{
	uint64_t bytes;
	FILE *f;
	int fd;

	/* What a crash took from memory nobody can count again. */
	if (a->state == MANIFEST_INCOMPLETE && faccessat(a->folder, NAME, F_OK, 0) < 0) {
		audit_remark(a, NAME, "is not there");
		return;
	}
	if (!audit_open_told(a, NAME, &fd, &bytes))
		return;
	f = fdopen(fd, "r");
	if (!f) {
		audit_refused(a, NAME, "cannot be read", -ENOMEM);
		close(fd);
		return;
	}
	check_lines(a, f);
	fclose(f);
}
