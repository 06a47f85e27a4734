/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_options.h"
#include "bench/machine.h"
#include "bench/results.h"
#include "bench/rings_run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define EX_WRONG    1
#define RATES_S     10.0 /* all hand-overs at full speed, unless --full */
#define WORKERS_MAX 8    /* different numbers of workers */

/* What the rows of one side and plan collect over the runs. */
struct measured {
	struct samples first;                /* M/s, or the median time in us */
	struct samples second;               /* CPU time in ns, or the 99th percentile in us */
	struct samples collect, collect_p99; /* us */
	uint64_t entries, wrong;
};

/* Where the measurements of one call stand. */
struct measuring {
	const struct bench_options *options;
	struct results *results;
	uint64_t wrong;
};

static const struct rings_side *const sides[] = { &rings_lock_free, &rings_locked };
enum { LOCK_FREE, LOCKED, SIDES };

static void keep(struct measured *d, const struct rings_plan *plan, const struct rings_figures *f)
{
	bool waits = plan->period_ns > 0;

	samples_add(&d->first, waits ? f->claim_p50_us : 1e3 / f->ns_per_entry);
	samples_add(&d->second, waits ? f->claim_p99_us : f->cpu_ns_per_entry);
	samples_add(&d->collect, f->collect_p50_us);
	samples_add(&d->collect_p99, f->collect_p99_us);
	d->entries += f->entries;
	d->wrong += f->wrong;
}

/* Both sides in turn, so that what else the machine does hits both. The first runs warm up. */
static int run_both(struct measuring *m, const struct rings_plan *plan, unsigned runs,
                    struct measured d[SIDES], char why[512])
{
	for (unsigned i = 0; i <= runs; i++)
		for (unsigned s = 0; s < SIDES; s++) {
			struct rings_plan once = *plan;
			struct rings_figures f;
			int err;

			if (i == 0)
				once.seconds /= 5;
			err = rings_run(sides[s], &once, &f);
			if (!err && f.entries == 0)
				err = -ETIMEDOUT;
			if (err) {
				snprintf(why, 512, "%s with %u workers: %s", sides[s]->name,
				         plan->workers, strerror(-err));
				return EX_OSERR;
			}
			if (i > 0)
				keep(&d[s], plan, &f);
			m->wrong += f.wrong;
		}
	return 0;
}

static void add_rate(struct measuring *m, const struct rings_plan *plan, unsigned s,
                     const struct measured d[SIDES])
{
	double rate = samples_median(&d[s].first);
	double times = samples_median(&d[LOCK_FREE].first) / samples_median(&d[LOCKED].first);
	char name[64], note[160];
	int n;

	snprintf(name, sizeof name, "%s-%uworker%s-hand%u", sides[s]->name, plan->workers,
	         plan->workers == 1 ? "" : "s", plan->hand);
	n = snprintf(note, sizeof note, "%.0f ns an entry, %.0f ns CPU", 1e3 / rate,
	             samples_median(&d[s].second));
	if (s == LOCK_FREE)
		snprintf(note + n, sizeof note - (size_t)n, "; %.2f times the locked queue", times);
	results_add(
		m->results,
		&(struct result){ .name = name,
	                          .unit = "M/s",
	                          .samples = &d[s].first,
	                          .counts_lost = true,
	                          .lost = d[s].wrong,
	                          .note = note,
	                          .more = json_pack("{s:i, s:i, s:f, s:f, s:f, s:I}", "workers",
	                                            (int)plan->workers, "hand", (int)plan->hand,
	                                            "ns_per_entry", 1e3 / rate, "cpu_ns_per_entry",
	                                            samples_median(&d[s].second), "to_locked",
	                                            s == LOCK_FREE ? times : 1.0, "entries",
	                                            (json_int_t)d[s].entries) });
}

static void add_wait(struct measuring *m, const char *name, const struct samples *p50,
                     const struct samples *p99, const struct measured *d, const char *of)
{
	char note[160];

	snprintf(note, sizeof note, "p99 %.1f us, %s", samples_median(p99), of);
	results_add(m->results, &(struct result){ .name = name,
	                                          .unit = "us",
	                                          .samples = p50,
	                                          .counts_lost = true,
	                                          .lost = d->wrong,
	                                          .note = note,
	                                          .more = json_pack("{s:f, s:f, s:I}", "p50_us",
	                                                            samples_median(p50), "p99_us",
	                                                            samples_median(p99), "entries",
	                                                            (json_int_t)d->entries) });
}

static int measure_rate(struct measuring *m, unsigned workers, unsigned hand, double seconds,
                        char why[512])
{
	const struct rings_plan plan = { .workers = workers, .hand = hand, .seconds = seconds };
	struct measured d[SIDES] = { 0 };
	int status = run_both(m, &plan, m->options->full ? 9 : 5, d, why);

	for (unsigned s = 0; s < SIDES && !status; s++)
		add_rate(m, &plan, s, d);
	return status;
}

/* 1, 2, 4, ... and all; how many. */
static unsigned list_workers(unsigned list[WORKERS_MAX])
{
	unsigned all = machine_cores(), n = 0;

	for (unsigned w = 1; w < all && n + 1 < WORKERS_MAX; w *= 2)
		list[n++] = w;
	list[n++] = all;
	return n;
}

static int measure_rates(struct measuring *m, char why[512])
{
	static const unsigned hands[] = { 1, 8 };
	unsigned workers[WORKERS_MAX], n = list_workers(workers);
	/* Two hands, two sides, five runs and a short one. */
	double seconds = m->options->full ? 2.0 : RATES_S / (n * 2 * 2 * 5.2);
	int status = 0;

	for (unsigned i = 0; i < n && !status; i++)
		for (unsigned h = 0; h < sizeof hands / sizeof *hands && !status; h++)
			status = measure_rate(m, workers[i], hands[h], seconds, why);
	return status;
}

/* One entry at a time to one worker. */
static int measure_waits(struct measuring *m, bool spin, char why[512])
{
	const struct rings_plan plan = {
		.workers = 1,
		.hand = 1,
		.seconds = m->options->full ? 2.0 : 0.3,
		.period_ns = spin ? 200000 : 1000000,
		.spin = spin,
	};
	struct measured d[SIDES] = { 0 };
	int status = run_both(m, &plan, m->options->full ? 9 : 5, d, why);

	for (unsigned s = 0; s < SIDES && !status; s++) {
		const struct measured *one = &d[s];
		char name[64];

		snprintf(name, sizeof name, "%s-claim-%s", sides[s]->name,
		         spin ? "spinning" : "sleeping");
		add_wait(m, name, &one->first, &one->second, one,
		         spin ? "published until a worker that spins has it"
		              : "published until a worker that sleeps has it");
		if (spin)
			continue;
		snprintf(name, sizeof name, "%s-collect-sleeping", sides[s]->name);
		add_wait(m, name, &one->collect, &one->collect_p99, one,
		         "done until the collector, which sleeps, has it");
	}
	return status;
}

int bench_rings(const struct bench_options *o, struct results *r, char why[512])
{
	struct measuring m = { .options = o, .results = r };
	int status = measure_rates(&m, why);

	if (!status)
		status = measure_waits(&m, true, why);
	if (!status)
		status = measure_waits(&m, false, why);
	if (!status && m.wrong) {
		snprintf(why, 512, "%llu entries did not come once and in order",
		         (unsigned long long)m.wrong);
		status = EX_WRONG;
	}
	return status;
}
