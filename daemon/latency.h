/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_LATENCY_H
#define DAEMON_LATENCY_H

#include "daemon/snapshot.h"

#include <stdatomic.h>
#include <stdint.h>

/* How long the frames of a series take through each stage of the data path, and how long all did
 * since start: histograms with classes of 1/32 of their lower end (after HdrHistogram: Tene), from
 * a microsecond to 1099 s. The collector counts, since it alone knows which frames are of the
 * series; anybody reads meanwhile, and is off by the frames of that moment at most. All times are
 * CLOCK_MONOTONIC: a step of the wall clock does not show. */

enum latency_stage {
	LATENCY_QUEUE,   /* last byte received to claimed by a worker */
	LATENCY_REDUCE,  /* claimed to reduced */
	LATENCY_COLLECT, /* reduced to in its place in the series */
	LATENCY_SUBMIT,  /* last byte received to handed to the sinks */
	LATENCY_WRITE,   /* handed to the sinks to pixels in the file */
	LATENCY_DURABLE, /* last byte received to pixels and journal synced */
	LATENCY_STAGES
};

/* "queue", "reduce", ... */
const char *latency_name(enum latency_stage s);

#define LATENCY_STEPS   32  /* classes in each power of two */
#define LATENCY_UNIT_NS 32  /* width of the narrowest */
#define LATENCY_CLASSES 993 /* the last one has no end: 2^40 ns and above */

/* The class of a time, and the first time that is beyond a class. */
unsigned latency_class(uint64_t ns);
uint64_t latency_class_end(unsigned class);

/* What was counted of one stage. Whole words. */
struct latency_counts {
	uint64_t at[LATENCY_CLASSES], sum_ns;
};

struct latency {
	struct latency_counting {
		_Atomic uint64_t at[LATENCY_CLASSES]; /* since start, */
		_Atomic uint64_t sum_ns;
		_Atomic uint64_t max_ns; /* of the series */
		/* As it was when the series began. */
		_Alignas(64) _Atomic uint64_t begun[SNAPSHOT_WORDS(struct latency_counts)];
	} stages[LATENCY_STAGES];
};

/* A series begins: its figures start at nothing. Some microseconds. Collector. */
void latency_begin(struct latency *l);

/* A frame needed the time between the two, nothing where the second is the earlier. Collector. */
void latency_add(struct latency *l, enum latency_stage s, uint64_t from_ns, uint64_t to_ns);

/* Of the running or the last series. A percentile is at most 1/32 above the time that the share of
 * the frames did not exceed, and never below it; NaN without frames. */
struct latency_figures {
	uint64_t count;
	double p50_ms, p99_ms, p999_ms, max_ms;
};

/* Any thread. */
void latency_series(struct latency *l, enum latency_stage s, struct latency_figures *ret);

/* The same as a histogram with few classes, since start: 1, 2.5 and 5 of each decade. A time that
 * is less than 1/32 below a bound may be counted above it, never the other way. */
#define LATENCY_BOUNDS 22

/* 10 us, 25 us, ... 100 s; i < LATENCY_BOUNDS. */
uint64_t latency_bound_ns(unsigned i);

struct latency_since_start {
	uint64_t upto[LATENCY_BOUNDS]; /* frames that needed no longer than the bound */
	uint64_t count, sum_ns;
};

/* Any thread. */
void latency_ever(struct latency *l, enum latency_stage s, struct latency_since_start *ret);

#endif
