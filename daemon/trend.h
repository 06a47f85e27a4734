/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TREND_H
#define DAEMON_TREND_H

#include "config/config.h"
#include "daemon/pace.h"
#include "daemon/quality.h"
#include "daemon/steady.h"

/* The last ten minutes, a row a second. */

enum trend_column {
	TREND_TIME,
	TREND_FPS,
	TREND_MEAN,
	TREND_STD,
	TREND_RAW_MEAN,
	TREND_SATURATED,
	TREND_DOSE,
	TREND_FIXED /* then TREND_OF_REGION for each region: mean, raw mean, signal-to-noise */
};
#define TREND_OF_REGION   3
#define TREND_COLUMNS_MAX (TREND_FIXED + TREND_OF_REGION * CONFIG_REGIONS_MAX)

struct trend {
	unsigned columns, regions;
	double *values; /* [TREND_ROWS][columns], a ring */
	uint64_t rows;  /* ever; the last TREND_ROWS are there */

	/* The second that is not over yet. */
	bool begun;
	uint64_t second;   /* of the steady clock */
	uint64_t ahead_ns; /* of CLOCK_REALTIME */
	struct pace pace;
	double sums[TREND_COLUMNS_MAX];
	uint64_t counts[TREND_COLUMNS_MAX];
};

/* 0 or -ENOMEM. */
int trend_open(struct trend *t, const struct config *c);

/* Accepts a zeroed one. */
void trend_close(struct trend *t);

/* The time is `ns` of `clock`: rows of the seconds that are over. */
void trend_advance(struct trend *t, const struct steady *clock, uint64_t ns);

/* A frame in the second that runs. before: when the one before it came, NULL: there is none. */
void trend_add(struct trend *t, const struct quality_frame *f, const struct moment *before);

/* Write the rows there are, oldest first [TREND_ROWS][columns]; returns how many. */
unsigned trend_copy(const struct trend *t, double *ret_values);

/* mean / std, NaN where there is none. */
double trend_snr(const struct moments *m);

/* Names of the columns [columns]. */
void trend_names(const struct config *c, char (*ret_names)[96]);

#endif
