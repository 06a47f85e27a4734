/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/trend.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS ((uint64_t)1000000000)

int trend_open(struct trend *t, const struct config *c)
{
	*t = (struct trend){ .regions = c->region_count,
		             .columns = TREND_FIXED + TREND_OF_REGION * c->region_count };
	t->values = calloc((size_t)TREND_ROWS * t->columns, sizeof *t->values);
	return t->values ? 0 : -ENOMEM;
}

void trend_close(struct trend *t)
{
	free(t->values);
	t->values = NULL;
}

static double *row_at(const struct trend *t, uint64_t row)
{
	return t->values + row % TREND_ROWS * t->columns;
}

/* A second without frames has a rate, and nothing else. */
static void end_second(struct trend *t)
{
	double *row = row_at(t, t->rows);
	double rate = pace_rate(&t->pace);

	for (unsigned i = TREND_MEAN; i < t->columns; i++)
		row[i] = t->counts[i] > 0 ? t->sums[i] / (double)t->counts[i] : NAN;
	row[TREND_TIME] = (double)(int64_t)(t->second * SECOND_NS - t->ahead_ns) / 1e9;
	row[TREND_FPS] = t->pace.frames > 0 ? rate : 0;
	t->rows++;
	memset(t->sums, 0, sizeof t->sums);
	memset(t->counts, 0, sizeof t->counts);
	t->pace = (struct pace){ 0 };
}

void trend_advance(struct trend *t, const struct steady *clock, uint64_t ns)
{
	uint64_t second = ns / SECOND_NS;

	if (!t->begun)
		t->second = second;
	t->begun = true;
	for (bool once = false; t->second < second; t->second++, once = true) {
		if (once && second - t->second > TREND_ROWS)
			t->second = second - TREND_ROWS;
		end_second(t);
	}
	t->ahead_ns = clock->ahead_ns;
}

static void add(struct trend *t, unsigned column, double value)
{
	if (!isfinite(value))
		return;
	t->sums[column] += value;
	t->counts[column]++;
}

double trend_snr(const struct moments *m)
{
	return m->std > 0 ? m->mean / m->std : NAN;
}

void trend_add(struct trend *t, const struct quality_frame *f, const struct moment *before)
{
	const struct reduction *r = f->reduction;
	const struct moment now = { f->timestamp_ns, f->received_ns };

	pace_add(&t->pace, before, &now);
	add(t, TREND_MEAN, r->normalised.mean);
	add(t, TREND_STD, r->normalised.std);
	add(t, TREND_RAW_MEAN, r->raw.mean);
	add(t, TREND_SATURATED, (double)r->saturated / (double)(r->good + r->bad));
	add(t, TREND_DOSE, r->dose);
	for (unsigned i = 0; i < t->regions; i++) {
		unsigned column = TREND_FIXED + TREND_OF_REGION * i;

		add(t, column, f->regions[i].normalised.mean);
		add(t, column + 1, f->regions[i].raw.mean);
		add(t, column + 2, trend_snr(&f->regions[i].normalised));
	}
}

unsigned trend_copy(const struct trend *t, double *ret_values)
{
	unsigned rows = t->rows < TREND_ROWS ? (unsigned)t->rows : TREND_ROWS;

	for (unsigned i = 0; i < rows; i++)
		memcpy(ret_values + (size_t)i * t->columns, row_at(t, t->rows - rows + i),
		       t->columns * sizeof *ret_values);
	return rows;
}

void trend_names(const struct config *c, char (*ret_names)[96])
{
	static const char *const fixed[TREND_FIXED] = { "time_s", "fps",      "mean",
		                                        "std",    "raw_mean", "saturated_share",
		                                        "dose" };
	static const char *const of_region[TREND_OF_REGION] = { "mean", "raw_mean", "snr" };

	for (unsigned i = 0; i < TREND_FIXED; i++)
		snprintf(ret_names[i], sizeof *ret_names, "%s", fixed[i]);
	for (unsigned i = 0; i < c->region_count; i++)
		for (unsigned j = 0; j < TREND_OF_REGION; j++)
			snprintf(ret_names[TREND_FIXED + TREND_OF_REGION * i + j],
			         sizeof *ret_names, "%.80s_%s", c->regions[i].name, of_region[j]);
}
