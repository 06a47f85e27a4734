/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PROFILE_FIT_H
#define BENCH_PROFILE_FIT_H

#include "bench/send_profiles.h"
#include "bench/trial.h"

#include <stdbool.h>
#include <stdint.h>

/* What a source asks, what a run of it gave, and how many machines that makes. */

/* A source of up to 1 GB/s must be held by any machine; more is measured as far as it goes. */
#define PROFILE_SMALL 1e9

/* A source that asks for more than this share above the highest rate is not tried at its own. */
#define PROFILE_REACH 1.3

/* Bytes a second that the source sends. */
double profile_bytes_per_s(const struct send_profile *p);

bool profile_small(const struct send_profile *p);

/* Why a run of `frames` at plan->rate_hz was not held, or NULL when it was:
 *
 *   "lost"    not every frame was written
 *   "wrong"   a checksum or a number is
 *   "late"    more than half of the messages were sent over a period late: the sender was made to
 *             wait, or is too slow itself. One that did not get a core for a moment, and sent what
 *             was due when it did, has fewer: a camera would not have waited, and the buffer takes
 *             what comes at once
 *   "slow"    it took longer than the frames do at their rate, by more than 0.5 %, a quarter of a
 *             second, in which files are closed, and the longest time from the sink to the disk:
 *             the last frames have that before them
 *   "queue"   half of the frames waited over a quarter of a second before they got to the sink:
 *             what waits is growing
 *   "buffer"  nine tenths of the buffer were in use: a longer run would fill it
 *
 * frames > 0, rate_hz > 0. */
const char *profile_missed(const struct trial_plan *plan, const struct trial_figures *f,
                           uint64_t frames);

/* asked / reached, infinite when nothing was reached. */
double profile_factor(double asked_hz, double reached_hz);

/* Machines that such a source needs: 1 when this one held it; else by the factor, at least 2.
 * 0: not known, since nothing was reached. */
unsigned profile_machines(bool held, double factor);

/* Frames of a run of `seconds` at a rate, at least 8. */
uint64_t profile_frames(double rate_hz, double seconds);

#endif
