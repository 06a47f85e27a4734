/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/profile_fit.h"

#include <math.h>

#define LATE_SHARE   0.5
#define SLOW_SHARE   0.005
#define CLOSING_S    0.25
#define QUEUE_MS     250.0
#define BUFFER_SHARE 0.9
#define FRAMES_LEAST 8.0
#define ROUNDING     1e-6

double profile_bytes_per_s(const struct send_profile *p)
{
	const struct pixel_format *f = pixel_format_find(p->format);

	return ceil((double)p->width * p->height * wire_bits(f->type, f->packing) / 8) * p->rate_hz;
}

bool profile_small(const struct send_profile *p)
{
	return profile_bytes_per_s(p) <= PROFILE_SMALL;
}

/* From the sink to the disk, at most; 0 where nothing is kept. */
static double syncing_s(const struct trial_figures *f)
{
	const struct trial_latency *durable = &f->latency[TRIAL_DURABLE],
				   *submit = &f->latency[TRIAL_SUBMIT];

	if (!durable->count || !submit->count)
		return 0;
	return fmax(0, 1e-3 * (durable->max_ms - submit->max_ms));
}

const char *profile_missed(const struct trial_plan *plan, const struct trial_figures *f,
                           uint64_t frames)
{
	double due_s = (double)frames / plan->rate_hz;

	if (f->lost || f->written != frames)
		return "lost";
	if (f->wrong)
		return "wrong";
	if ((double)f->sender_late > LATE_SHARE * (double)frames)
		return "late";
	if (!(f->seconds <= due_s * (1 + SLOW_SHARE) + CLOSING_S + syncing_s(f)))
		return "slow";
	if (f->latency[TRIAL_SUBMIT].p50_ms > QUEUE_MS)
		return "queue";
	return f->buffer_peak >= BUFFER_SHARE ? "buffer" : NULL; /* not known: NaN */
}

double profile_factor(double asked_hz, double reached_hz)
{
	return reached_hz > 0 ? asked_hz / reached_hz : (double)INFINITY;
}

unsigned profile_machines(bool held, double factor)
{
	if (held)
		return 1;
	if (!isfinite(factor))
		return 0;
	return (unsigned)fmax(2, ceil(factor - ROUNDING));
}

uint64_t profile_frames(double rate_hz, double seconds)
{
	return (uint64_t)fmax(FRAMES_LEAST, round(rate_hz * seconds));
}
