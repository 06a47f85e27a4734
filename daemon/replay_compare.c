/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/replay_parts.h"

#include "kernels/mean.h"
#include "sinks/columns.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same(double a, double b)
{
	return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void differ(struct replay *r, struct replay_frame *f, const char *what, const char *example)
{
	f->alike = false;
	replay_note(&r->result->differences, &f->record.number, what, example);
}

static void compare_real(struct replay *r, struct replay_frame *f, const char *what,
                         double recorded, double found)
{
	char example[120];

	if (same(recorded, found))
		return;
	snprintf(example, sizeof example, "%.17g is recorded, it is %.17g", recorded, found);
	differ(r, f, what, example);
}

static void compare_count(struct replay *r, struct replay_frame *f, const char *what,
                          uint64_t recorded, uint64_t found)
{
	char example[120];

	if (recorded == found)
		return;
	snprintf(example, sizeof example, "%" PRIu64 " is recorded, it is %" PRIu64, recorded,
	         found);
	differ(r, f, what, example);
}

static void compare_moments(struct replay *r, struct replay_frame *f)
{
	const struct journal_record *w = &f->record;
	const struct reduction *d = &f->reduction;

	compare_real(r, f, "raw_min", w->raw_min, d->raw.min);
	compare_real(r, f, "raw_max", w->raw_max, d->raw.max);
	compare_real(r, f, "raw_mean", w->raw_mean, d->raw.mean);
	compare_real(r, f, "raw_std", w->raw_std, d->raw.std);
	compare_real(r, f, "min", w->min, d->normalised.min);
	compare_real(r, f, "max", w->max, d->normalised.max);
	compare_real(r, f, "mean", w->mean, d->normalised.mean);
	compare_real(r, f, "std", w->std, d->normalised.std);
	compare_count(r, f, "good", w->good, d->good);
	compare_count(r, f, "bad", w->bad, d->bad);
	compare_count(r, f, "saturated", w->saturated, d->saturated);
}

static void compare_percentiles(struct replay *r, struct replay_frame *f)
{
	for (unsigned i = 0; i < PERCENTILES; i++) {
		char what[32];

		snprintf(what, sizeof what, "raw_%s", percentile_columns[i]);
		compare_real(r, f, what, (double)f->record.raw_percentiles[i],
		             (double)f->reduction.raw_percentiles[i]);
		compare_real(r, f, percentile_columns[i], (double)f->record.percentiles[i],
		             (double)f->reduction.percentiles[i]);
	}
}

static void compare_region(struct replay *r, struct replay_frame *f, unsigned region)
{
	struct region_stats recorded;

	journal_decode_region(&recorded, f->record.regions + region * JOURNAL_REGION_BYTES);
	for (unsigned i = 0; i < REGION_COLUMNS; i++) {
		char what[JOURNAL_NAME_BYTES + 32];

		snprintf(what, sizeof what, "%s_%s", r->recorded.regions[region].name,
		         region_columns[i].name);
		if (region_columns[i].kind == REGION_COUNT)
			compare_count(r, f, what, region_number(&recorded, i),
			              region_number(&f->regions[region], i));
		else
			compare_real(r, f, what, region_value(&recorded, i),
			             region_value(&f->regions[region], i));
	}
}

/* Region i of the ledger is region i of the configuration: names and places are those that the
 * series was recorded with, or the configuration was changed. */
static bool regions_are_those(const struct replay *r)
{
	if (r->recorded.region_count != r->config.region_count)
		return false;
	for (unsigned i = 0; i < r->recorded.region_count; i++) {
		const struct journal_region *was = &r->recorded.regions[i];
		const struct config_region *is = &r->config.regions[i];

		if (was->x != is->x || was->y != is->y || was->width != is->width ||
		    was->height != is->height)
			return false;
	}
	return true;
}

static void compare_regions(struct replay *r, struct replay_frame *f)
{
	if (!regions_are_those(r)) {
		differ(r, f, "regions",
		       "the ledger has other regions than the configuration of the manifest");
		return;
	}
	for (unsigned i = 0; f->record.regions && i < r->recorded.region_count; i++)
		compare_region(r, f, i);
}

/* One sink's product, whose record is `w`. */
static void compare_with(struct replay *r, struct replay_frame *f, unsigned sink,
                         const struct journal_record *w, bool averaged)
{
	const struct recorded_sink *s = &r->recorded.sinks[sink];
	char what[80], example[120];

	snprintf(what, sizeof what, "clipped of sink %u", s->index);
	compare_count(r, f, what, w->clipped, f->reduction.clipped);
	if (w->crc32c == f->reduction.reduced_crc32c)
		return;
	snprintf(what, sizeof what, "%s of sink %u", averaged ? "page" : "pixels", s->index);
	snprintf(example, sizeof example, "checksum %08" PRIx32 " is recorded, it is %08" PRIx32,
	         w->crc32c, f->reduction.reduced_crc32c);
	differ(r, f, what, example);
}

void replay_compare_product(struct replay *r, struct replay_frame *f, uint32_t members)
{
	bool averaged = r->layout.plan.averaged;

	if (!averaged) /* the source's sink has it, too */
		compare_count(r, f, "clipped", f->record.clipped, f->reduction.clipped);
	for (unsigned i = 0; i < r->recorded.sink_count; i++) {
		struct journal_record w;

		if (r->recorded.sinks[i].is_source ||
		    !recorded_in(&r->recorded, i, f->record.number, &w))
			continue;
		if (w.averaged == members)
			compare_with(r, f, i, &w, averaged);
		else
			replay_note(&r->result->left_out, &f->record.number,
			            "pages with frames that the source product has not", "");
	}
}

void replay_compare(struct replay *r, struct replay_frame *f)
{
	compare_moments(r, f);
	if (r->recorded.has_quality) {
		compare_real(r, f, "dose", f->record.dose, f->reduction.dose);
		compare_percentiles(r, f);
	}
	compare_regions(r, f);
}

/* ---- the series ---- */

static void differ_in_series(struct replay *r, const char *what, const char *example)
{
	replay_note(&r->result->differences, NULL, what, example);
}

static uint64_t sum_of(const uint64_t *counts, uint32_t bins, const struct histogram_tails *t)
{
	uint64_t sum = t->below + t->above + t->nan;

	for (uint32_t i = 0; i < bins; i++)
		sum += counts[i];
	return sum;
}

static void compare_counts(struct replay *r, const char *kind, const struct bins *b,
                           const uint64_t *recorded, const uint64_t *found)
{
	char what[64], example[160];

	for (uint32_t i = 0; i < b->bins; i++) {
		if (recorded[i] == found[i])
			continue;
		snprintf(what, sizeof what, "%s histogram", kind);
		snprintf(example, sizeof example,
		         "bin %u: %" PRIu64 " pixels are recorded, there are %" PRIu64, i,
		         recorded[i], found[i]);
		differ_in_series(r, what, example);
		return;
	}
}

static void compare_tails(struct replay *r, const char *kind, const struct histogram_tails *was,
                          const struct histogram_tails *is)
{
	char what[64], example[240];

	if (was->below == is->below && was->above == is->above && was->nan == is->nan)
		return;
	snprintf(what, sizeof what, "tails of the %s histogram", kind);
	snprintf(example, sizeof example,
	         "below, above and nan: %" PRIu64 ", %" PRIu64 ", %" PRIu64
	         " are recorded, they are %" PRIu64 ", %" PRIu64 ", %" PRIu64,
	         was->below, was->above, was->nan, is->below, is->above, is->nan);
	differ_in_series(r, what, example);
}

static void compare_histogram(struct replay *r, const char *kind, const struct bins *b,
                              const uint64_t *found, const struct histogram_tails *tails)
{
	uint64_t *counts = calloc((size_t)b->bins + 1, sizeof *counts);
	struct histogram_tails was = { 0 };
	char why[RECORDED_WHY];

	if (!counts || b->bins == 0) {
		free(counts);
		return;
	}
	if (!recorded_histogram(&r->recorded, kind, b, counts, &was, why)) {
		differ_in_series(r, "histogram.csv", why);
	} else if (sum_of(counts, b->bins, &was) != sum_of(found, b->bins, tails)) {
		replay_note(&r->result->left_out, NULL,
		            "histogram.csv, which counts other frames than the source product has",
		            "");
	} else {
		compare_counts(r, kind, b, counts, found);
		compare_tails(r, kind, &was, tails);
		r->result->histograms = true;
	}
	free(counts);
}

void replay_compare_histograms(struct replay *r)
{
	const struct reduce_plan *p = &r->layout.plan;

	compare_histogram(r, "raw", &p->raw_bins, r->raw_sums, &r->raw_tails);
	compare_histogram(r, "normalised", &p->normalised_bins, r->normalised_sums,
	                  &r->normalised_tails);
}
