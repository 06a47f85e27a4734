/* SPDX-License-Identifier: Apache-2.0 */
/* One thread feeds frames and publishes, three read all there is to read. Each frame's figures,
 * bins and alarms follow from its number, so that half of a copy shows, and as a race
 * ThreadSanitizer sees it. What a reader sees never gets older. */
#include "daemon/quality.h"
#include "tests/simulated_frames.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define READERS 3
#define TIME_S  2
#define LEAST   200 /* looks of each reader */

static struct simulated sim;
static struct quality *quality;
static _Atomic bool over;
static _Atomic unsigned wrong;

static void check(bool good, const char *what)
{
	if (!good && atomic_fetch_add(&wrong, 1) < 10)
		fprintf(stderr, "%s\n", what);
}

/* Frame n has n mod 1000 in every bin, and n as every mean. */
static void spoil(void)
{
	double n = (double)sim.frame.number;

	for (unsigned i = 0; i < SIM_BINS; i++)
		sim.raw_counts[i] = sim.normalised_counts[i] = (uint32_t)(sim.frame.number % 1000);
	sim.reduction.raw_tails = sim.reduction.normalised_tails =
		(struct histogram_tails){ sim.frame.number, sim.frame.number, sim.frame.number };
	sim.reduction.raw.mean = sim.reduction.normalised.mean = n;
	sim.regions[0].raw.mean = sim.regions[1].normalised.mean = n;
	sim.reduction.saturated = sim.frame.number / 500 % 2 ? SIM_PIXELS / 2 : 0;
}

static void check_histogram(bool raw, enum quality_window w, uint64_t *frames)
{
	struct quality_histogram h;

	if (quality_histogram(quality, raw, w, &h) < 0) {
		check(false, "no memory");
		return;
	}
	for (uint32_t i = 1; i < h.bins.bins; i++)
		check(h.counts[i] == h.counts[0], "a bin of another frame");
	check(h.tails.below == h.tails.nan && h.tails.below == h.tails.above, "half of the tails");
	if (w == WINDOW_FRAME)
		check(h.frames == 0 || h.counts[0] == h.tails.below % 1000, "tails of another");
	if (w == WINDOW_SERIES) {
		check(h.frames >= *frames, "an older histogram");
		check(h.frames == 0 || h.tails.below == h.frames * (h.frames - 1) / 2,
		      "not all frames");
		*frames = h.frames;
	}
	free(h.counts);
}

static void check_figures(uint64_t *frame)
{
	static _Thread_local struct quality_figures f;

	quality_figures(quality, &f);
	check(f.frame >= *frame, "older figures");
	if (!isnan(f.mean))
		check(f.mean == (double)f.frame && f.raw_mean == f.mean &&
		              f.regions[1].stats.normalised.mean == f.mean,
		      "figures of two frames");
	check(!f.alarms[SENTINEL_SATURATED].active || f.alarms[SENTINEL_SATURATED].text[0],
	      "an alarm without a text");
	*frame = f.frame;
}

static void check_trend(double *last)
{
	struct quality_trend t;

	if (quality_trend(quality, TREND_ROWS, &t) < 0) {
		check(false, "no memory");
		return;
	}
	for (unsigned i = 0; i < t.rows; i++) {
		const double *row = t.values + (size_t)i * t.columns;

		check(i == 0 || row[0] == row[0 - (int)t.columns] + 1, "a row is missing");
		check(isnan(row[2]) || row[2] == row[4], "half of a row");
	}
	if (t.rows > 0) {
		check(t.values[(size_t)(t.rows - 1) * t.columns] >= *last, "an older trend");
		*last = t.values[(size_t)(t.rows - 1) * t.columns];
	}
	quality_trend_done(&t);
}

static void *read_all(void *argument)
{
	unsigned *looks = argument;
	uint64_t frames[2] = { 0 }, frame = 0;
	double last = 0;

	for (*looks = 0; !atomic_load(&over); ++*looks) {
		for (unsigned w = 0; w < WINDOW_COUNT; w++) {
			check_histogram(false, (enum quality_window)w, &frames[0]);
			check_histogram(true, (enum quality_window)w, &frames[1]);
		}
		check_figures(&frame);
		check_trend(&last);
	}
	return NULL;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t feed(void)
{
	double until = seconds() + TIME_S;

	while (seconds() < until) {
		sim_next(&sim);
		spoil();
		quality_frame(quality, &sim.frame);
		quality_publish(quality, sim.sent_ns);
	}
	return sim.number;
}

int main(void)
{
	const struct bins bins = { SIM_BINS, 0, 1 };
	pthread_t threads[READERS];
	unsigned looks[READERS];
	unsigned least = UINT32_MAX;

	sim_init(&sim);
	if (quality_open(&quality, &sim.config, NULL) < 0)
		return 1;
	quality_begin(quality, &bins, &bins, false);
	for (unsigned i = 0; i < READERS; i++)
		if (pthread_create(&threads[i], NULL, read_all, &looks[i]) != 0)
			return 1;
	uint64_t frames = feed();
	atomic_store(&over, true);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		least = looks[i] < least ? looks[i] : least;
	}
	quality_close(quality);
	printf("%llu frames, %u looks or more of each reader, %u wrong\n",
	       (unsigned long long)frames, least, wrong);
	return wrong == 0 && least >= LEAST ? 0 : 1;
}
