/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/latency.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct latency latency;

/* Xorshift; the same numbers in each run. */
static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* From below a microsecond to above 1099 s, evenly on a logarithmic scale. */
static uint64_t some_time(uint64_t *state)
{
	return next(state) >> (22 + next(state) % 42);
}

Test(latency, classes_follow_each_other_and_are_narrow)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < LATENCY_CLASSES - 1; i++) {
		uint64_t low = end;

		end = latency_class_end(i);
		cr_assert_eq(latency_class(low), i);
		cr_assert_eq(latency_class(end - 1), i);
		cr_assert_eq(latency_class(end), i + 1);
		cr_assert(end - low == LATENCY_UNIT_NS || (end - low) * LATENCY_STEPS <= low,
		          "class %u is %llu wide at %llu", i, (unsigned long long)(end - low),
		          (unsigned long long)low);
	}
	cr_expect_eq(end, UINT64_C(1) << 40);
	cr_expect_eq(latency_class(UINT64_MAX), LATENCY_CLASSES - 1);
	cr_expect_eq(latency_class_end(LATENCY_CLASSES - 1), UINT64_MAX);
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static void expect_percentile(double found_ms, const uint64_t *sorted, size_t n, double share)
{
	double true_ms = (double)sorted[(size_t)ceil(share * (double)n) - 1] / 1e6;

	cr_expect_geq(found_ms, true_ms, "%g: %.9g below %.9g", share, found_ms, true_ms);
	cr_expect_leq(found_ms, true_ms * (1 + 1.0 / LATENCY_STEPS) + LATENCY_UNIT_NS / 1e6,
	              "%g: %.9g is far above %.9g", share, found_ms, true_ms);
}

/* Of the times added since the series began. */
static void expect_series(const uint64_t *times, size_t n)
{
	uint64_t *sorted = malloc(n * sizeof *sorted);
	struct latency_figures f;

	cr_assert_not_null(sorted);
	memcpy(sorted, times, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, compare);
	latency_series(&latency, LATENCY_WRITE, &f);
	cr_assert_eq(f.count, n);
	expect_percentile(f.p50_ms, sorted, n, 0.5);
	expect_percentile(f.p99_ms, sorted, n, 0.99);
	expect_percentile(f.p999_ms, sorted, n, 0.999);
	cr_expect_eq(f.max_ms, (double)sorted[n - 1] / 1e6);
	free(sorted);
}

Test(latency, percentiles_of_a_series_are_those_of_its_sorted_times)
{
	static uint64_t times[5000];
	static const size_t lengths[] = { 1, 2, 3, 10, 99, 100, 101, 999, 1001, 5000 };
	uint64_t state = 88172645463325252u;

	for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		latency_begin(&latency); /* what was before does not count */
		for (size_t n = 0; n < lengths[i]; n++) {
			do
				times[n] = some_time(&state);
			while (times[n] >> 40);
			latency_add(&latency, LATENCY_WRITE, 1000, 1000 + times[n]);
		}
		expect_series(times, lengths[i]);
	}
}

Test(latency, without_frames_there_is_nothing)
{
	struct latency_figures f;

	latency_add(&latency, LATENCY_QUEUE, 0, 7000);
	latency_begin(&latency);
	latency_series(&latency, LATENCY_QUEUE, &f);
	cr_expect_eq(f.count, 0);
	cr_expect(isnan(f.p50_ms) && isnan(f.p999_ms) && isnan(f.max_ms));
}

Test(latency, a_second_that_is_before_the_first_counts_as_none)
{
	struct latency_since_start ever;

	latency_add(&latency, LATENCY_SUBMIT, 9000, 8000);
	latency_ever(&latency, LATENCY_SUBMIT, &ever);
	cr_expect_eq(ever.upto[0], 1);
	cr_expect_eq(ever.sum_ns, 0);
}

/* Never too fast, and too slow by a class at most; over all series. */
Test(latency, bounds_since_start_have_all_that_is_well_below_them)
{
	uint64_t state = 1234567, sum = 0, below[LATENCY_BOUNDS] = { 0 },
		 well[LATENCY_BOUNDS] = { 0 };
	struct latency_since_start ever;

	for (unsigned n = 0; n < 20000; n++) {
		uint64_t time = some_time(&state);

		if (n == 7000)
			latency_begin(&latency);
		latency_add(&latency, LATENCY_DURABLE, 0, time);
		sum += time;
		for (unsigned i = 0; i < LATENCY_BOUNDS; i++) {
			uint64_t bound = latency_bound_ns(i);

			below[i] += time <= bound;
			well[i] += time < bound - bound / LATENCY_STEPS;
		}
	}
	latency_ever(&latency, LATENCY_DURABLE, &ever);
	cr_expect_eq(ever.count, 20000);
	cr_expect_eq(ever.sum_ns, sum);
	for (unsigned i = 0; i < LATENCY_BOUNDS; i++) {
		cr_expect_leq(ever.upto[i], below[i]);
		cr_expect_geq(ever.upto[i], well[i]);
		cr_expect(i == 0 || ever.upto[i] >= ever.upto[i - 1]);
	}
	cr_expect_eq(latency_bound_ns(0), 10000);
	cr_expect_eq(latency_bound_ns(1), 25000);
	cr_expect_eq(latency_bound_ns(LATENCY_BOUNDS - 1), UINT64_C(100000000000));
}
