/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/closing.h"
#include "daemon/detectors.h"
#include "daemon/figures.h"
#include "daemon/lineage.h"
#include "daemon/losses.h"
#include "daemon/pictures.h"
#include "daemon/pipeline.h"
#include "daemon/relayout.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REASONS_MAX (DROPPED_COUNT + MISSING_COUNT + 5)

struct reasons {
	unsigned count;
	const char *at[REASONS_MAX];
	char text[REASONS_MAX][160];
};

static struct sink_start series_start(const struct collector *k,
                                      const struct sink_histograms *histograms,
                                      const struct sink_pixels *pixels)
{
	const struct series *s = &k->series;

	return (struct sink_start){ .name = k->name,
		                    .first_known = s->first_known,
		                    .first = s->first * s->rules.step + s->residue,
		                    .frames = s->frames,
		                    .expected_from = series_expected_from(s),
		                    .histograms = histograms,
		                    .kind = purpose_name(k->calibrating.purpose),
		                    .pixels = pixels,
		                    .calibrations = k->applied.listed,
		                    .calibration_count = k->applied.listed_count };
}

/* As the sinks keep them on disk while the series runs. */
static struct sink_histograms live_histograms(const struct collector *k)
{
	struct sink_histograms h = { .raw_counts = k->raw_counts,
		                     .normalised_counts = k->normalised_counts,
		                     .raw_tails = &k->raw_tails,
		                     .normalised_tails = &k->normalised_tails };

	layout_bins(k->pipeline->config, k->layout ? &k->layout->shape : NULL, &h.raw_bins,
	            &h.normalised_bins);
	return h;
}

/* <name>, <name>-dark, <name>-flat, <name>-flat-dark. */
static void name_series(struct collector *k)
{
	static const char *const suffixes[] = { [PURPOSE_SAMPLE] = "",
		                                [PURPOSE_DARK] = "-dark",
		                                [PURPOSE_FLAT] = "-flat",
		                                [PURPOSE_FLAT_DARK] = "-flat-dark" };

	snprintf(k->name, sizeof k->name, "%s%s", controlling_name(k),
	         suffixes[k->calibrating.purpose]);
}

static void expect_last_picture(const struct collector *k)
{
	const struct series *s = &k->series;
	bool known = s->first_known && s->frames > 0;

	if (k->pipeline->pictures)
		pictures_final(k->pipeline->pictures,
		               known ? (s->first + s->frames - 1) * s->rules.step + s->residue
		                     : UINT64_MAX);
}

void closing_begin(struct collector *k)
{
	if (k->begun)
		return;
	k->begun = true;
	k->series_begun++;
	calibrating_purpose(k);
	controlling_begins(k);
	applied_list(k);
	k->began_ns = clock_monotonic_ns();
	memset(k->raw_counts, 0, k->pipeline->config->histogram.raw.bins * sizeof *k->raw_counts);
	memset(k->normalised_counts, 0,
	       k->pipeline->config->histogram.normalised.bins * sizeof *k->normalised_counts);
	k->raw_tails = k->normalised_tails = (struct histogram_tails){ 0 };
	latency_begin(&k->latency);
	flow_begin(k);
	last_loss_begin(&k->last_loss);
	name_series(k);
	expect_last_picture(k);
	collector_on_disk(k, true);
	struct sink_histograms histograms = live_histograms(k);
	struct sink_pixels pixels = layout_pixels(k->layout);
	struct sink_start start = series_start(k, &histograms, &pixels);
	int err = sinks_begin(k->sinks, &start);
	collector_on_disk(k, false);
	watching_begin(k);
	figures_series_begins(k);
	if (err == 0)
		log_line(LOG_INFO, "series", "series begins path=%s", sinks_series_path(k->sinks));
}

void closing_count(struct collector *k, const struct slot *s)
{
	const struct reduce_plan *p = &k->layout->plan;

	for (uint32_t i = 0; i < p->raw_bins.bins; i++)
		k->raw_counts[i] += s->raw_counts[i];
	for (uint32_t i = 0; i < p->normalised_bins.bins; i++)
		k->normalised_counts[i] += s->normalised_counts[i];
	histogram_tails_add(&k->raw_tails, &s->reduction.raw_tails);
	histogram_tails_add(&k->normalised_tails, &s->reduction.normalised_tails);
}

bool closing_may_begin(const struct collector *k)
{
	int phase = atomic_load_explicit(&k->pipeline->phase, memory_order_acquire);

	return (k->series_limit == 0 || k->series_closed < k->series_limit) &&
	       (phase == PHASE_RUN || phase == PHASE_DRAIN) && controlling_allows(k);
}

/* ---- the verdict ---- */

__attribute__((format(printf, 2, 3))) static void add_reason(struct reasons *r, const char *format,
                                                             ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(r->text[r->count], sizeof r->text[0], format, arguments);
	va_end(arguments);
	r->at[r->count] = r->text[r->count];
	r->count++;
}

static const char *frames_word(uint64_t count)
{
	return count == 1 ? "frame" : "frames";
}

static void add_losses(struct reasons *r, enum frame_state state, const uint64_t *counts,
                       unsigned kinds)
{
	for (unsigned i = 0; i < kinds; i++)
		if (counts[i] > 0)
			add_reason(r, "%llu %s %s (%s)", (unsigned long long)counts[i],
			           frames_word(counts[i]), frame_state_name(state),
			           frame_reason_name(state, i));
}

static void count_expected(struct collector *k)
{
	struct totals *t = &k->totals;

	t->expected = series_expected(&k->series);
	t->pending = t->expected - t->written - totals_dropped(t) - totals_missing(t);
}

static void find_reasons(const struct collector *k, struct reasons *r)
{
	const struct totals *t = &k->totals;

	add_losses(r, FRAME_DROPPED, t->dropped, DROPPED_COUNT);
	add_losses(r, FRAME_MISSING, t->missing, MISSING_COUNT);
	if (t->flagged > 0)
		add_reason(r, "%llu %s flagged: the sender calls them damaged",
		           (unsigned long long)t->flagged, frames_word(t->flagged));
	if (k->series.cut)
		add_reason(
			r,
			"the detector announced %llu frames and ended %llu before that: more than "
			"series.max_gap, so they are not counted as missing",
			(unsigned long long)k->series.announced_frames,
			(unsigned long long)(k->series.announced_frames - t->expected));
	if (k->series.aborted)
		add_reason(r, "aborted by a command from %s", k->controlling.stop.by);
	if (t->pending > 0)
		add_reason(r, "the ledger does not close: %llu of %llu frames have no state",
		           (unsigned long long)t->pending, (unsigned long long)t->expected);
}

static void tell(const struct collector *k, bool complete, const struct reasons *r)
{
	const struct totals *t = &k->totals;
	double seconds = (double)(clock_monotonic_ns() - k->began_ns) / 1e9;

	log_line(complete ? LOG_INFO : LOG_ERROR, "series",
	         "series %s path=%s expected=%llu written=%llu durable=%llu dropped=%llu "
	         "missing=%llu rejected=%llu duplicate=%llu flagged=%llu seconds=%.2f",
	         complete ? "complete" : "incomplete", sinks_series_path(k->sinks),
	         (unsigned long long)t->expected, (unsigned long long)t->written,
	         (unsigned long long)t->durable, (unsigned long long)totals_dropped(t),
	         (unsigned long long)totals_missing(t), (unsigned long long)totals_rejected(t),
	         (unsigned long long)t->duplicate, (unsigned long long)t->flagged, seconds);
	for (unsigned i = 0; i < r->count; i++)
		log_line(LOG_ERROR, "series", "incomplete: %s", r->at[i]);
}

/* False when the detector has said nothing. */
static bool describe_detector(const struct collector *k, struct sink_detector *ret)
{
	const struct detector *d = k->detector;

	if (!d || (!d->width && !d->description[0]))
		return false;
	*ret = (struct sink_detector){ .description = d->description,
		                       .width = d->width,
		                       .height = d->height,
		                       .masked = detector_bad(d),
		                       .saturation = d->saturation,
		                       .exposure_s = d->exposure_s,
		                       .period_s = d->period_s };
	return true;
}

static void list_latency(struct collector *k, struct sink_latency ret[LATENCY_STAGES])
{
	for (unsigned i = 0; i < LATENCY_STAGES; i++) {
		enum latency_stage stage = (enum latency_stage)i;
		struct latency_figures f;

		latency_series(&k->latency, stage, &f);
		ret[i] = (struct sink_latency){ latency_name(stage), f.count, f.p50_ms, f.p99_ms,
			                        f.p999_ms,           f.max_ms };
	}
}

static void write_ledger(struct collector *k)
{
	struct reasons reasons = { 0 };
	struct sink_detector detector;
	struct sink_finding findings[FINDINGS_MAX];
	struct sink_latency latency[LATENCY_STAGES];
	struct losses_listed losses;
	struct sink_flow flow;
	float raw_percentiles[PERCENTILES], normalised_percentiles[PERCENTILES];
	struct sink_summary summary;
	struct bins raw, normalised;

	sinks_drain(k->sinks);
	count_expected(k);
	find_reasons(k, &reasons);
	layout_bins(k->pipeline->config, k->layout ? &k->layout->shape : NULL, &raw, &normalised);
	percentiles_of_series(raw_percentiles, &raw, k->raw_counts, &k->raw_tails,
	                      k->layout->plan.raw_whole);
	percentiles_of_series(normalised_percentiles, &normalised, k->normalised_counts,
	                      &k->normalised_tails, false);
	applied_settle_list(k);
	list_latency(k, latency);
	losses_list(k, &losses);
	flow_list(k, &flow);
	summary = (struct sink_summary){
		.totals = &k->totals,
		.detector = describe_detector(k, &detector) ? &detector : NULL,
		.expected_from = series_expected_from(&k->series),
		.stopped = controlling_stop(k),
		.reasons = reasons.at,
		.reason_count = reasons.count,
		.raw_bins = raw,
		.normalised_bins = normalised,
		.raw_counts = k->raw_counts,
		.normalised_counts = k->normalised_counts,
		.raw_tails = k->raw_tails,
		.normalised_tails = k->normalised_tails,
		.raw_percentiles = raw.bins ? raw_percentiles : NULL,
		.percentiles = normalised_percentiles,
		.calibrations = k->applied.listed,
		.calibration_count = k->applied.listed_count,
		.findings = findings,
		.latency = latency,
		.latency_count = LATENCY_STAGES,
		.losses = losses.at,
		.loss_count = losses.count,
		.flow = &flow,
	};
	summary.finding_count = watching_findings(k, findings, &summary.findings_left_out);
	bool complete = sinks_end(k->sinks, &summary) && reasons.count == 0;
	if (!complete)
		k->status = 1;
	tell(k, complete, &reasons);
}

/* Nothing was ever received, and nothing says what files would hold. */
static void tell_empty(struct collector *k)
{
	uint64_t expected = series_expected(&k->series);

	if (expected == 0)
		return;
	log_line(
		LOG_ERROR, "series",
		"series incomplete: %llu frames were expected, none came; no files are made, since "
		"nothing says what frames would look like",
		(unsigned long long)expected);
	controlling_begins(k);
	k->status = 1;
	k->series_closed++;
	k->totals.expected = k->totals.missing[MISSING_NEVER] = expected;
	losses_add_all(k, expected);
	figures_series_ends(k);
	if (k->series_limit > 0 && k->series_closed >= k->series_limit)
		pipeline_phase(k->pipeline, PHASE_END);
}

void closing_finish(struct collector *k)
{
	if (k->series.state != SERIES_OPEN)
		return;
	controlling_finish(k);
	if (!k->layout && series_expected(&k->series) > 0)
		relayout_from_detector(k);
	if (!k->layout) {
		tell_empty(k);
		k->series.state = SERIES_CLOSED;
		lineage_close(k);
		controlling_ended(k, false);
		return;
	}
	collector_on_disk(k, true);
	series_finish(&k->series);
	averaging_finish(k);
	bool begun = k->begun;
	if (begun) {
		watching_end(k);
		write_ledger(k);
		k->series_closed += k->calibrating.purpose == PURPOSE_SAMPLE;
		figures_series_ends(k);
		calibrating_series_ended(k);
	}
	k->begun = k->announced = false;
	lineage_close(k);
	/* What the reports took goes back before somebody holds it against the ceiling. */
	(void)malloc_trim(0);
	collector_on_disk(k, false);
	controlling_ended(k, begun);
	if (k->series_limit > 0 && k->series_closed >= k->series_limit)
		pipeline_phase(k->pipeline, PHASE_END);
}
