/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/watching.h"
#include "daemon/collector.h"
#include "daemon/log.h"
#include "daemon/pipeline.h"

#include <math.h>

#define SECOND_NS 1000000000u

/* ---- what happens ---- */

static void happened(void *user, const struct quality_event *e)
{
	struct collector *k = user;
	const char *name = sentinel_name(e->sentinel);

	if (!e->raised) {
		log_line(LOG_INFO, "quality", "well again: %s sentinel=%s", e->alarm->text, name);
		return;
	}
	log_line(LOG_WARNING, "quality", "%s sentinel=%s", e->alarm->text, name);
	blackbox_trigger(&k->pipeline->blackbox, "alarm", e->alarm->text, clock_real_ns());
}

int watching_open(struct collector *k)
{
	k->watching.events = (struct quality_events){ k, happened };
	return quality_open(&k->pipeline->quality, k->pipeline->config, &k->watching.events);
}

/* ---- frames ---- */

void watching_begin(struct collector *k)
{
	const struct reduce_plan *p = &k->layout->plan;

	quality_begin(k->pipeline->quality, &p->raw_bins, &p->normalised_bins, p->raw_whole);
}

void watching_end(struct collector *k)
{
	quality_end(k->pipeline->quality, clock_real_ns());
}

void watching_place(struct collector *k, struct slot *s)
{
	const struct quality_frame f = {
		.number = s->frame.number,
		.step = k->series.rules.step,
		.timestamp_ns = s->frame.timestamp_ns,
		.received_ns = s->frame.received_ns,
		.flags = s->frame.flags,
		.calibration = s->calibration,
		.has_flat = k->pipeline->config->reduce.normalise >= NORMALISE_TRANSMISSION &&
		            planes_have_flat(k->planes),
		.reduction = &s->reduction,
		.regions = s->regions,
		.raw_counts = s->raw_counts,
		.normalised_counts = s->normalised_counts,
		.defects = s->defects,
	};

	s->frame.flags |= quality_frame(k->pipeline->quality, &f);
	layout_put_defects(k->layout, s->defects);
	s->defects = NULL;
}

unsigned watching_findings(const struct collector *k, struct sink_finding ret[FINDINGS_MAX],
                           uint64_t *ret_left_out)
{
	const struct finding *found;
	unsigned count = quality_findings(k->pipeline->quality, &found, ret_left_out);

	for (unsigned i = 0; i < count; i++)
		ret[i] = (struct sink_finding){ .sentinel = sentinel_name(found[i].sentinel),
			                        .first_frame = found[i].first_frame,
			                        .last_frame = found[i].last_frame,
			                        .of_frames = found[i].of_frames,
			                        .from_ns = found[i].from_ns,
			                        .to_ns = found[i].to_ns,
			                        .worst = found[i].worst,
			                        .limit = found[i].limit,
			                        .text = found[i].text };
	return count;
}

/* ---- the machine ---- */

/* Where the least is left; NULL: no sink keeps files, or nobody knows. */
static const char *fullest_disk(struct pipeline *p, struct disk_space *ret)
{
	const struct config *c = p->config;
	const char *directory = NULL;

	for (unsigned i = 0; i < c->sink_count; i++) {
		struct disk_space s = disks_space(p->disks, i);

		if (!s.known || (directory && s.free_bytes >= ret->free_bytes))
			continue;
		*ret = s;
		directory = c->sinks[i].directory;
	}
	return directory;
}

static uint64_t slots_in_use(const struct collector *k)
{
	uint64_t used = 0;

	for (unsigned i = 0; k->layout && i < k->pipeline->receiver_count; i++)
		used += k->layout->slots_per_receiver -
		        spare_count(&k->pipeline->receivers[i].spare);
	return used;
}

static void look_at_machine(struct collector *k, double seconds)
{
	struct watching *w = &k->watching;
	uint64_t slots = k->layout ? k->layout->slot_count : 0, used = slots_in_use(k);
	struct sink_figures figures;
	struct disk_space space = { 0 };
	struct quality_machine m = { .now_ns = clock_real_ns(),
		                     .seconds_to_overflow = INFINITY,
		                     .disk_seconds_left = INFINITY };

	sinks_figures(k->sinks, &figures);
	if (slots)
		m.buffer_used = (double)used / (double)slots;
	if (used > w->used)
		m.seconds_to_overflow = (double)(slots - used) * seconds / (double)(used - w->used);
	m.disk = fullest_disk(k->pipeline, &space);
	m.disk_free_bytes = space.free_bytes;
	m.disk_bytes = space.size_bytes;
	if (m.disk && figures.written_bytes > w->written)
		m.disk_seconds_left = (double)m.disk_free_bytes * seconds /
		                      (double)(figures.written_bytes - w->written);
	w->used = used;
	w->written = figures.written_bytes;
	quality_machine(k->pipeline->quality, &m);
}

void watching_turn(struct collector *k, uint64_t now_ns)
{
	struct watching *w = &k->watching;

	if (w->second_ns == 0)
		w->second_ns = now_ns;
	if (now_ns - w->second_ns >= SECOND_NS) {
		look_at_machine(k, (double)(now_ns - w->second_ns) / 1e9);
		w->second_ns = now_ns;
	}
	quality_publish(k->pipeline->quality, clock_real_ns());
	blackbox_tick(&k->pipeline->blackbox, clock_real_ns());
}
