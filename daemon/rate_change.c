/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/rate_change.h"

#include <math.h>

#define MS       ((uint64_t)1000000)
#define APART_NS (50 * MS)
#define SHORT_NS (1000 * MS)
#define LEAST_NS (3000 * MS)
#define LONG_NS  (10000 * MS)
#define FEW      8 /* frames that a rate is of at least */
#define PAUSE    4 /* usual intervals, if they are more than SHORT_NS */

static const struct rate_moment *moment(const struct rate_change *r, unsigned i)
{
	return &r->moments[(r->oldest + i) % RATE_MOMENTS];
}

static const struct rate_moment *newest(const struct rate_change *r)
{
	return moment(r, r->count - 1);
}

static uint64_t span_ns(const struct rate_change *r)
{
	return newest(r)->ns - moment(r, 0)->ns;
}

/* The rate until the newest moment from the last that is at least `ns` and FEW frames before it, or
 * the oldest. */
static double rate_over(const struct rate_change *r, uint64_t ns)
{
	const struct rate_moment *to = newest(r), *from = moment(r, 0);

	for (unsigned i = r->count - 1; i > 0; i--)
		if (to->ns - moment(r, i)->ns >= ns && to->number - moment(r, i)->number >= FEW) {
			from = moment(r, i);
			break;
		}
	return to->ns > from->ns
	               ? (double)(to->number - from->number) * 1e9 / (double)(to->ns - from->ns)
	               : 0;
}

static double usual_rate(const struct rate_change *r)
{
	if (r->carried > 0)
		return r->carried;
	return span_ns(r) >= LEAST_NS ? rate_over(r, LONG_NS) : 0;
}

/* Does time between this frame and the one before it belong to the rate? */
static bool goes_on(const struct rate_change *r, uint64_t number, uint64_t ns)
{
	const struct rate_moment *before = newest(r);

	if (ns < before->ns || number <= before->number)
		return false;
	/* What comes as slowly twice is slow: there is no pause after one moment. */
	if (r->count == 1 || ns - before->ns <= SHORT_NS)
		return true;
	double intervals = (double)(ns - before->ns) * rate_over(r, LONG_NS) / 1e9;
	return intervals <= PAUSE * (double)(number - before->number);
}

static void begin_anew(struct rate_change *r)
{
	double usual = r->count > 0 ? usual_rate(r) : 0;

	r->carried = usual;
	r->count = 0;
}

static void add(struct rate_change *r, uint64_t number, uint64_t ns)
{
	if (r->count == RATE_MOMENTS) {
		r->oldest = (r->oldest + 1) % RATE_MOMENTS;
		r->count--;
	}
	r->moments[(r->oldest + r->count) % RATE_MOMENTS] = (struct rate_moment){ ns, number };
	r->count++;
	if (span_ns(r) >= LONG_NS)
		r->carried = 0;
}

bool rate_change_take(struct rate_change *r, uint64_t number, uint64_t ns,
                      struct rate_change_figures *ret)
{
	if (r->count > 0 && !goes_on(r, number, ns))
		begin_anew(r);
	if (r->count > 0 && ns - newest(r)->ns < APART_NS)
		return false;
	add(r, number, ns);
	if (span_ns(r) < SHORT_NS)
		return false;
	*ret = (struct rate_change_figures){ rate_over(r, SHORT_NS), usual_rate(r) };
	return ret->usual > 0;
}

void rate_change_clear(struct rate_change *r)
{
	*r = (struct rate_change){ .count = 0 };
}
