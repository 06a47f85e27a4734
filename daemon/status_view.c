/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/status_view.h"
#include "daemon/idle.h"
#include "daemon/pipeline.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *status_state_name(enum status_state s)
{
	static const char *const names[STATUS_STATE_COUNT] = { "idle", "armed", "running",
		                                               "degraded", "error" };

	return names[s];
}

static void no_quality(struct quality_figures *q)
{
	memset(q, 0, sizeof *q);
	q->mean = q->std = q->raw_mean = q->raw_std = NAN;
	q->saturated_share = q->bad_share = q->dose = q->dose_reference = q->fps = NAN;
	for (unsigned i = 0; i < PERCENTILES; i++)
		q->raw_percentiles[i] = q->percentiles[i] = NAN;
}

/* relaxed throughout: figures for people, each alone. */
static uint64_t figure(const _Atomic uint64_t *f)
{
	return atomic_load_explicit(f, memory_order_relaxed);
}

static void look_at_receivers(struct pipeline *p, struct status_view *v)
{
	for (unsigned i = 0; i < p->receiver_count; i++) {
		const struct receiver *r = &p->receivers[i];

		v->messages += figure(&r->messages);
		v->received_bytes += figure(&r->bytes);
		for (unsigned n = 0; n < r->source_count; n++)
			v->disconnects += figure(&r->sources[n].events.disconnected);
	}
}

/* Slots that are not spare. While they are laid out anew the figures may not fit each other. */
static uint64_t slots_used(struct pipeline *p, uint64_t slots)
{
	uint64_t spare = 0;

	for (unsigned i = 0; i < p->receiver_count; i++)
		spare += spare_count(&p->receivers[i].spare);
	return spare < slots ? slots - spare : 0;
}

void status_sums(struct pipeline *p, uint64_t monotonic_ns, struct rate_sums *ret)
{
	struct figures f;

	figures_get(&p->collector.board, &f);
	*ret = (struct rate_sums){ .ns = monotonic_ns,
		                   .frames = f.ever.received,
		                   .bytes_out = f.sinks.written_bytes,
		                   .slots = f.slots,
		                   .slots_used = slots_used(p, f.slots) };
	for (unsigned i = 0; i < p->receiver_count; i++)
		ret->bytes_in += figure(&p->receivers[i].bytes);
}

void status_look(struct pipeline *p, const struct sink_program *program, const struct rates *r,
                 struct status_view *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->config = p->config;
	ret->version = program->version;
	ret->commit = program->commit;
	ret->isa = program->isa;
	ret->now_ns = clock_real_ns();
	figures_get(&p->collector.board, &ret->figures);
	figures_place(&p->collector.board, &ret->place);
	/* relaxed: a figure. */
	ret->failed = atomic_load_explicit(&p->failed, memory_order_relaxed);
	look_at_receivers(p, ret);
	rates_get(r, &ret->rates);
	ret->slots_used = slots_used(p, ret->figures.slots);
	for (unsigned i = 0; i < p->config->sink_count; i++)
		ret->disks[i] = disks_space(p->disks, i);
	for (unsigned i = 0; i < LATENCY_STAGES; i++) {
		enum latency_stage s = (enum latency_stage)i;

		latency_series(&p->collector.latency, s, &ret->latency[i]);
		latency_ever(&p->collector.latency, s, &ret->latency_ever[i]);
	}
	last_loss_get(&p->collector.last_loss, &ret->last_loss);
	ret->ceiling_bytes = pipeline_ceiling(p->config, p->planes);
	no_quality(&ret->quality);
	ret->has_quality = p->quality != NULL;
	if (p->quality)
		quality_figures(p->quality, &ret->quality);
	calibration_report(p, &ret->calibration);
	blackbox_report(p, &ret->blackbox);
}

static bool any_alarm(const struct status_view *v)
{
	for (unsigned i = 0; i < SENTINEL_COUNT; i++)
		if (v->quality.alarms[i].active)
			return true;
	return false;
}

enum status_state status_state(const struct status_view *v)
{
	const struct totals *t = &v->figures.series;

	if (v->failed)
		return STATUS_ERROR;
	if (!v->figures.running)
		return v->figures.armed ? STATUS_ARMED : STATUS_IDLE;
	if (t->dropped[DROPPED_WRITE] || t->dropped[DROPPED_NO_SPACE])
		return STATUS_ERROR;
	if (totals_dropped(t) || totals_missing(t) || t->flagged || any_alarm(v))
		return STATUS_DEGRADED;
	return STATUS_RUNNING;
}

double status_disk_seconds(const struct status_view *v, uint64_t *ret_free_bytes)
{
	const struct disk_space *least = NULL;

	for (unsigned i = 0; i < v->config->sink_count; i++)
		if (v->disks[i].known && (!least || v->disks[i].free_bytes < least->free_bytes))
			least = &v->disks[i];
	*ret_free_bytes = least ? least->free_bytes : 0;
	if (!least || v->rates.bytes_out_per_s <= 0)
		return INFINITY;
	return (double)least->free_bytes / v->rates.bytes_out_per_s;
}

void status_sink_label(const struct config *c, unsigned sink, char ret[SINK_LABEL_BYTES])
{
	const char *format = config_choice("sinks.N.format", c->sinks[sink].format);
	bool again = false;

	for (unsigned i = 0; i < sink; i++)
		again |= c->sinks[i].format == c->sinks[sink].format;
	if (again)
		snprintf(ret, SINK_LABEL_BYTES, "%s-%u", format, sink);
	else
		snprintf(ret, SINK_LABEL_BYTES, "%s", format);
}

const char *status_dropped_name(unsigned reason)
{
	return frame_reason_name(FRAME_DROPPED, reason);
}

const char *status_missing_name(unsigned reason)
{
	return frame_reason_name(FRAME_MISSING, reason);
}

const char *status_rejected_name(unsigned reason)
{
	return reject_name((enum reject)reason);
}
