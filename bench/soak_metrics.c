/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/soak_metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RECEIVED "openbeam_frames_received_total{"
#define BUCKET   "openbeam_frame_latency_seconds_bucket{stage=\"submit\",le=\""

static bool begins_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* The value behind the labels. */
static bool value_of(const char *line, uint64_t *ret)
{
	const char *end = line + strcspn(line, "\n");
	const char *at = memchr(line, '}', (size_t)(end - line));
	char *after;

	if (!at)
		return false;
	*ret = strtoull(at + 1, &after, 10);
	return after > at + 1 && after <= end;
}

static bool take_bucket(const char *line, struct soak_metrics *m)
{
	double bound = strtod(line + strlen(BUCKET), NULL);
	uint64_t count;

	if (!value_of(line, &count))
		return false;
	if (isinf(bound)) {
		m->count = count;
		return true;
	}
	if (m->bounds == SOAK_BOUNDS || (m->bounds && bound <= m->bound_s[m->bounds - 1]))
		return false;
	m->bound_s[m->bounds] = bound;
	m->upto[m->bounds++] = count;
	return true;
}

bool soak_metrics_parse(const char *text, struct soak_metrics *ret)
{
	struct soak_metrics m = { 0 };
	bool received = false;

	while (text && *text) {
		if (begins_with(text, RECEIVED))
			received = value_of(text, &m.received);
		else if (begins_with(text, BUCKET) && !take_bucket(text, &m))
			return false;
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	if (!received || m.bounds == 0)
		return false;
	*ret = m;
	return true;
}

double soak_metrics_quantile(const struct soak_metrics *before, const struct soak_metrics *after,
                             double q)
{
	double wanted = q * (double)(after->count - before->count), low_s = 0, below = 0;

	if (after->count <= before->count || after->bounds != before->bounds)
		return (double)NAN;
	for (unsigned i = 0; i < after->bounds; i++) {
		double upto = (double)(after->upto[i] - before->upto[i]);

		if (upto >= wanted && upto > below)
			return low_s +
			       (after->bound_s[i] - low_s) * (wanted - below) / (upto - below);
		low_s = after->bound_s[i];
		below = upto;
	}
	return low_s;
}
