/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/slope.h"

#include "daemon/samples.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is judged, and room to sort in [n (n - 1) / 2]. */
struct judged {
	unsigned n;
	const double *time_s, *value; /* [n] */
	double *room;
};

static double median_of_sorted(const double *sorted, size_t n)
{
	return n % 2 ? sorted[n / 2] : 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]);
}

/* Of values [n], n > 0; sorts a copy in `room`. */
static double median_of(const double *values, size_t n, double *room)
{
	memcpy(room, values, n * sizeof *room);
	qsort(room, n, sizeof *room, samples_compare);
	return median_of_sorted(room, n);
}

static double theil_sen(const struct judged *j)
{
	size_t pairs = 0;

	for (unsigned b = 1; b < j->n; b++)
		for (unsigned a = 0; a < b; a++)
			if (j->time_s[b] > j->time_s[a])
				j->room[pairs++] =
					(j->value[b] - j->value[a]) / (j->time_s[b] - j->time_s[a]);
	if (pairs == 0)
		return 0.0;
	qsort(j->room, pairs, sizeof *j->room, samples_compare);
	return median_of_sorted(j->room, pairs);
}

static double order_of(const struct judged *j)
{
	double s = 0;

	for (unsigned b = 1; b < j->n; b++)
		for (unsigned a = 0; a < b; a++)
			s += (j->value[b] > j->value[a]) - (j->value[b] < j->value[a]);
	return s;
}

static double of_group(double g)
{
	return g * (g - 1) * (2 * g + 5);
}

static double variance_of(const struct judged *j)
{
	double variance = of_group(j->n);
	unsigned group = 1;

	memcpy(j->room, j->value, j->n * sizeof *j->room);
	qsort(j->room, j->n, sizeof *j->room, samples_compare);
	for (unsigned i = 1; i <= j->n; i++, group++) {
		if (i < j->n && !(j->room[i] > j->room[i - 1]))
			continue;
		variance -= of_group(group);
		group = 0;
	}
	return variance / 18;
}

static double mann_kendall(const struct judged *j)
{
	double s = order_of(j), variance = variance_of(j);

	if (s == 0.0 || !(variance > 0))
		return 1.0;
	return erfc((fabs(s) - 1) / sqrt(2 * variance));
}

static double change_of(const struct judged *j, double per_s, bool steps)
{
	unsigned fifth = j->n / 5;
	double by_slope = per_s * (j->time_s[j->n - 1] - j->time_s[0]), by_ends;

	if (!steps)
		return by_slope;
	by_ends = median_of(j->value + j->n - fifth, fifth, j->room) -
	          median_of(j->value, fifth, j->room);
	return fabs(by_slope) > fabs(by_ends) ? by_slope : by_ends;
}

static void judge(const struct judged *j, const struct slope_rule *rule, struct slope *s)
{
	s->per_s = theil_sen(j);
	s->p = mann_kendall(j);
	s->change = change_of(j, s->per_s, rule->steps);
	s->verdict = SLOPE_FLAT;
	if (s->p < SLOPE_P && fabs(s->change) > fmax(rule->share * fabs(s->level), rule->absolute))
		s->verdict = s->change > 0 ? SLOPE_RISES : SLOPE_FALLS;
}

void slope_add(struct slope_samples *s, double time_s, double value)
{
	if (!isfinite(value) || s->count == SLOPE_SAMPLES_MAX)
		return;
	s->time_s[s->count] = time_s;
	s->value[s->count++] = value;
}

void slope_floor(struct slope_samples *s)
{
	for (unsigned i = s->count; i-- > 1;)
		s->value[i - 1] = fmin(s->value[i - 1], s->value[i]);
}

int slope_judge(const struct slope_samples *s, const struct slope_rule *rule, struct slope *ret)
{
	struct slope slope = { 0, NAN, NAN, NAN, NAN, NAN, NAN, SLOPE_TOO_SHORT };
	unsigned first = 0;
	struct judged j;

	while (first < s->count && s->time_s[first] < rule->from_s)
		first++;
	j = (struct judged){ s->count - first, s->time_s + first, s->value + first, NULL };
	j.room = malloc(((size_t)j.n * j.n / 2 + 1) * sizeof *j.room);
	if (!j.room)
		return -ENOMEM;
	slope.count = j.n;
	if (j.n > 0) {
		slope.level = median_of(j.value, j.n, j.room);
		slope.least = slope.most = j.value[0];
	}
	for (unsigned i = 0; i < j.n; i++) {
		slope.least = fmin(slope.least, j.value[i]);
		slope.most = fmax(slope.most, j.value[i]);
	}
	if (j.n >= SLOPE_SAMPLES_LEAST)
		judge(&j, rule, &slope);
	free(j.room);
	*ret = slope;
	return 0;
}

const char *slope_verdict_name(enum slope_verdict v)
{
	static const char *const names[] = { [SLOPE_TOO_SHORT] = "too short",
		                             [SLOPE_FLAT] = "flat",
		                             [SLOPE_RISES] = "rises",
		                             [SLOPE_FALLS] = "falls" };

	return names[v];
}
