/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIMULATED_FRAMES_H
#define TESTS_SIMULATED_FRAMES_H

#include "daemon/quality.h"
#include "ingest/frame.h"

#include <math.h>
#include <string.h>

/* What is known of frames of a detector that is well: noise, a beam that wanders by a per cent,
 * clocks and arrival that jitter. Tests spoil single things before they show a frame. */

#define SIM_SECOND  ((uint64_t)1000000000)
#define SIM_START   ((uint64_t)1700000000 * SIM_SECOND)
#define SIM_REGIONS 2
#define SIM_PIXELS  1000000
#define SIM_BINS    64

struct simulated {
	struct config config;
	uint64_t random;
	uint64_t number, step, interval_ns; /* of the next frame */
	uint64_t sent_ns;                   /* by the detector's clock */
	double dose, noise;                 /* usual dose and relative noise of a pixel */
	bool stamped;
	uint64_t look_every; /* for defects; 0: never */
	struct reduction reduction;
	struct region_stats regions[SIM_REGIONS];
	struct defects defects;
	uint32_t raw_counts[SIM_BINS], normalised_counts[SIM_BINS];
	struct quality_frame frame;
};

static inline double sim_uniform(struct simulated *s)
{
	s->random = s->random * 6364136223846793005u + 1442695040888963407u;
	return (double)(s->random >> 11) / 9007199254740992.0;
}

/* Nearly normal, of mean 0 and deviation 1. */
static inline double sim_normal(struct simulated *s)
{
	double sum = 0;

	for (unsigned i = 0; i < 12; i++)
		sum += sim_uniform(s);
	return sum - 6;
}

static inline void sim_init(struct simulated *s)
{
	static char open_name[] = "open", sample_name[] = "sample";

	memset(s, 0, sizeof *s);
	s->config.region_count = SIM_REGIONS;
	s->config.regions[0] = (struct config_region){ sample_name, 0, 0, 100, 100 };
	s->config.regions[1] = (struct config_region){ open_name, 100, 0, 100, 100 };
	s->config.beam.regions = (struct config_list){ 1, { open_name } };
	s->config.beam.dip = 0.8;
	s->config.beam.dump = 0.05;
	s->config.sentinels = (struct config_sentinels){ .clear_ns = 5 * SIM_SECOND,
		                                         .saturated = 0.001,
		                                         .saturated_ns = 2 * SIM_SECOND,
		                                         .dead = 20,
		                                         .hot = 20,
		                                         .pixels_every = 100,
		                                         .flat_drift = 0.05,
		                                         .flat_drift_ns = 5 * SIM_SECOND,
		                                         .repeated = 5,
		                                         .noise = 0.7,
		                                         .rate = 0.2,
		                                         .timestamps = 5,
		                                         .buffer = 0.8,
		                                         .disk_ns = 60 * SIM_SECOND };
	s->config.histogram.raw.bins = s->config.histogram.normalised.bins = SIM_BINS;
	s->random = 1;
	s->step = 1;
	s->interval_ns = SIM_SECOND / 100;
	s->sent_ns = SIM_START;
	s->dose = 1;
	s->noise = 0.02;
	s->stamped = true;
}

static inline struct moments sim_moments(struct simulated *s, double mean, double std)
{
	return (struct moments){ 0.5 * mean, 1.5 * mean, mean * (1 + 1e-4 * sim_normal(s)),
		                 std * (1 + 0.01 * sim_normal(s)) };
}

static inline void sim_pixels(struct simulated *s)
{
	double dose =
		s->dose * (1 + 0.005 * sim_normal(s)) * (1 + 0.01 * sin((double)s->number / 700));

	s->reduction = (struct reduction){ .good = SIM_PIXELS - 100,
		                           .bad = 100,
		                           .saturated = (uint64_t)(200 * sim_uniform(s)),
		                           .raw = sim_moments(s, 20000 * dose, 900),
		                           .normalised = sim_moments(s, 0.6 * dose, 0.2),
		                           .dose = dose,
		                           .reduced_crc32c = (uint32_t)(s->random >> 32) };
	for (unsigned i = 0; i < SIM_REGIONS; i++)
		s->regions[i] = (struct region_stats){
			.good = 10000,
			.raw = sim_moments(s, 30000 * dose, 30000 * dose * s->noise),
			.normalised = sim_moments(s, dose, dose * s->noise),
		};
}

/* Bins of nobody's interest but those who add them up. */
static inline void sim_counts(struct simulated *s)
{
	for (unsigned i = 0; i < SIM_BINS; i++) {
		s->raw_counts[i] = (uint32_t)(100 * sim_uniform(s));
		s->normalised_counts[i] = (uint32_t)(100 * sim_uniform(s));
	}
	s->reduction.raw_tails = (struct histogram_tails){ 1, s->raw_counts[0], 3 };
	s->reduction.normalised_tails = (struct histogram_tails){ s->raw_counts[1], 2, 4 };
}

/* A pixel that was hit, in this frame alone, and two that are always odd. */
static inline void sim_defects(struct simulated *s)
{
	uint32_t *dead = s->defects.dead, *hot = s->defects.hot;

	dead[0] = 17;
	dead[1] = 18 + (uint32_t)(1000 * sim_uniform(s));
	hot[0] = (uint32_t)(1000 * sim_uniform(s));
	hot[1] = 2000;
	s->defects.dead_count = s->defects.hot_count = 2;
}

/* The next frame: s->frame, which points into *s. */
static inline void sim_next(struct simulated *s)
{
	double jitter_ns = (double)s->interval_ns * 0.05 * sim_normal(s);
	double late_ns = 2e6 + 1e6 * fabs(sim_normal(s)) + (sim_uniform(s) < 0.01 ? 6e7 : 0);

	sim_pixels(s);
	sim_counts(s);
	sim_defects(s);
	s->sent_ns += s->interval_ns;
	s->frame.number = s->number;
	s->frame.step = s->step;
	s->frame.timestamp_ns = s->stamped ? s->sent_ns - SIM_START / 2 + (uint64_t)jitter_ns : 0;
	s->frame.received_ns = s->sent_ns + (uint64_t)(late_ns + jitter_ns);
	s->frame.flags = 0;
	s->frame.calibration = s->frame.calibration ? s->frame.calibration : 1;
	s->frame.has_flat = true;
	s->frame.reduction = &s->reduction;
	s->frame.regions = s->regions;
	s->frame.raw_counts = s->raw_counts;
	s->frame.normalised_counts = s->normalised_counts;
	s->frame.defects =
		s->look_every && s->number / s->step % s->look_every == 0 ? &s->defects : NULL;
	s->number += s->step;
}

/* The next `frames` numbers are lost. */
static inline void sim_lose(struct simulated *s, uint64_t frames)
{
	s->number += frames * s->step;
	s->sent_ns += frames * s->interval_ns;
}

#endif
