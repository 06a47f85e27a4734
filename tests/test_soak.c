/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/slope.h"
#include "bench/ledger_check.h"
#include "bench/soak_metrics.h"
#include "bench/soak_probe.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUBMIT "openbeam_frame_latency_seconds_bucket{stage=\"submit\",le="

static const char before_text[] =
	"# TYPE openbeam_frames_received_total counter\n"
	"openbeam_frames_received_total{source=\"camera\"} 1000\n"
	"openbeam_frame_latency_seconds_bucket{stage=\"queue\",le=\"1\"} 7\n" SUBMIT
	"\"0.001\"} 500\n" SUBMIT "\"0.0025\"} 900\n" SUBMIT "\"0.005\"} 1000\n" SUBMIT
	"\"+Inf\"} 1000\n";
static const char after_text[] =
	"openbeam_frames_received_total{source=\"camera\"} 1300\n" SUBMIT "\"0.001\"} 500\n" SUBMIT
	"\"0.0025\"} 1000\n" SUBMIT "\"0.005\"} 1100\n" SUBMIT "\"+Inf\"} 1100\n";

Test(soak, reads_metrics)
{
	struct soak_metrics m;

	cr_assert(soak_metrics_parse(before_text, &m));
	cr_assert(m.received == 1000 && m.bounds == 3 && m.count == 1000);
	cr_assert(m.bound_s[1] == 0.0025 && m.upto[1] == 900);
	cr_assert(!soak_metrics_parse("", &m));
	cr_assert(!soak_metrics_parse(NULL, &m));
	cr_assert(!soak_metrics_parse("openbeam_frames_received_total{source=\"x\"} 3\n", &m));
	cr_assert(!soak_metrics_parse("openbeam_frames_received_total{source=\"x\n} 3\n", &m));
	cr_assert(!soak_metrics_parse(SUBMIT "\"1\"} 5\n" SUBMIT "\"1\"} 5\n", &m));
}

/* Of 100 frames between both, all needed 1 to 2.5 ms. */
Test(soak, takes_percentiles_of_what_came_between_two_looks)
{
	struct soak_metrics before, after;

	cr_assert(soak_metrics_parse(before_text, &before));
	cr_assert(soak_metrics_parse(after_text, &after));
	cr_assert_float_eq(soak_metrics_quantile(&before, &after, 0.5), 0.00175, 1e-9);
	cr_assert_float_eq(soak_metrics_quantile(&before, &after, 0.99), 0.002485, 1e-9);
	cr_assert(isnan(soak_metrics_quantile(&after, &after, 0.99)), "there were none");
	after.upto[1] = 900;
	after.upto[2] = 1000; /* beyond the last bound */
	cr_assert_eq(soak_metrics_quantile(&before, &after, 0.99), 0.005);
	after.bounds = 2;
	cr_assert(isnan(soak_metrics_quantile(&before, &after, 0.99)));
}

static const uint32_t crc32c[2] = { 0xa, 0xb };

static const struct ledger_rule four = { 4, crc32c, 2, false };

/* The verdict on a ledger of four frames. */
static struct ledger_found ledger(const char *text)
{
	char path[] = "/tmp/openbeam-soak-XXXXXX";
	int fd = mkstemp(path);
	struct ledger_found l;

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	cr_assert_eq(ledger_check(path, &four, &l), 0);
	unlink(path);
	return l;
}

#define HEAD "frame,state,received_ns,crc32c\n"

Test(soak, knows_an_exact_ledger)
{
	struct ledger_found l = ledger(HEAD "0,written,,0000000a\n2,written,,0000000a\n"
	                                    "1,written,,0000000b\n3,written,,0000000b\n"),
			    sum = { 0 };

	cr_assert(ledger_exact(&l) && l.right == 4);
	ledger_add(&sum, &l);
	ledger_add(&sum, &l);
	cr_assert(ledger_exact(&sum) && sum.right == 8);
	l = ledger(HEAD);
	cr_assert(!ledger_exact(&l) && l.absent == 4);
}

Test(soak, finds_each_fault_of_a_ledger)
{
	struct ledger_found l = ledger(HEAD "0,written,,0000000b\n1,dropped,50,\n"
	                                    "1,written,,0000000b\n2,written,,0000000a\n"
	                                    "9,written,,0000000b\n");

	cr_assert(!ledger_exact(&l));
	cr_assert(l.right == 1 && l.lost == 1 && l.wrong == 1 && l.twice == 1 && l.foreign == 1 &&
	          l.absent == 1);
	cr_assert_eq(l.first_received_ns, 50);
	cr_assert_eq(ledger_faults(&l), 4);
}

Test(soak, takes_a_frame_of_any_place_where_it_may_be)
{
	struct ledger_rule any = { 2, crc32c, 2, true };
	char path[] = "/tmp/openbeam-soak-XXXXXX";
	FILE *out = fdopen(mkstemp(path), "w");
	struct ledger_found l;

	fputs(HEAD "0,written,9,0000000b\n1,written,8,0000000c\n", out);
	fclose(out);
	cr_assert_eq(ledger_check(path, &any, &l), 0);
	unlink(path);
	cr_assert(l.right == 1 && l.wrong == 1 && l.first_received_ns == 8);
}

Test(soak, refuses_what_is_no_ledger)
{
	struct ledger_found l;

	cr_assert_eq(ledger_check("/nowhere/frames.csv", &four, &l), -ENOENT);
	cr_assert_eq(ledger_check("/dev/null", &four, &l), -EPROTO);
	cr_assert_eq(ledger_check("/proc/self/limits", &four, &l), -EPROTO);
}

/* What leaks here is seen from outside, and judged to rise. */
Test(soak, sees_a_process_leak)
{
	static struct slope_samples memory, descriptors;
	static char *leaks[30];
	struct soak_process p;
	struct slope slope;

	for (unsigned i = 0; i < 30; i++) {
		size_t bytes = (size_t)1 << 20;

		leaks[i] = malloc(bytes);
		cr_assert_not_null(leaks[i]);
		memset(leaks[i], (int)i + 1, bytes);
		cr_assert_geq(open("/dev/null", O_RDONLY), 0);
		soak_probe(getpid(), &p);
		slope_add(&memory, i, p.resident_bytes);
		slope_add(&descriptors, i, p.descriptors);
	}
	cr_assert_geq(p.threads, 1);
	cr_assert_eq(slope_judge(&descriptors, &(struct slope_rule){ .absolute = 0.5 }, &slope), 0);
	cr_assert(slope.verdict == SLOPE_RISES && slope.per_s == 1);
	cr_assert_eq(slope_judge(&memory, &(struct slope_rule){ .absolute = 4 << 20 }, &slope), 0);
	cr_assert_eq(slope.verdict, SLOPE_RISES, "%g", slope.change);
}

Test(soak, sees_nothing_of_a_process_that_is_not_there)
{
	struct soak_process p;

	soak_probe(0, &p);
	cr_assert(isnan(p.resident_bytes) && isnan(p.descriptors) && isnan(p.threads));
}
