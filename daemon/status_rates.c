/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/status_rates.h"

#include <math.h>

#define SECOND_NS UINT64_C(1000000000)

void rates_add(struct rates *r, const struct rate_sums *now)
{
	r->at[r->count++ % RATES_KEPT] = *now;
}

/* The newest of those that are a second old; else the oldest there is. */
static const struct rate_sums *second_ago(const struct rates *r, const struct rate_sums *now)
{
	uint64_t kept = r->count < RATES_KEPT ? r->count : RATES_KEPT;
	const struct rate_sums *found = now;

	for (uint64_t back = 2; back <= kept; back++) {
		found = &r->at[(r->count - back) % RATES_KEPT];
		if (now->ns - found->ns >= SECOND_NS)
			break;
	}
	return found;
}

static double per_second(uint64_t now, uint64_t before, double seconds)
{
	return now > before ? (double)(now - before) / seconds : 0;
}

void rates_get(const struct rates *r, struct rate_figures *ret)
{
	*ret = (struct rate_figures){ .seconds_to_overflow = INFINITY };
	if (r->count < 2)
		return;
	const struct rate_sums *now = &r->at[(r->count - 1) % RATES_KEPT];
	const struct rate_sums *before = second_ago(r, now);
	double seconds = (double)(now->ns - before->ns) / 1e9;

	if (seconds <= 0)
		return;
	ret->fps = per_second(now->frames, before->frames, seconds);
	ret->bytes_in_per_s = per_second(now->bytes_in, before->bytes_in, seconds);
	ret->bytes_out_per_s = per_second(now->bytes_out, before->bytes_out, seconds);
	double filling = per_second(now->slots_used, before->slots_used, seconds);
	/* Slots that were laid out anew are not being filled. */
	if (filling > 0 && now->slots == before->slots)
		ret->seconds_to_overflow = (double)(now->slots - now->slots_used) / filling;
}
