/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/controlling.h"
#include "daemon/status_parts.h"
#include "sinks/texts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- parts ---- */

json_t *status_number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

json_t *status_text(const char *text)
{
	json_t *value = json_string(text);
	char *copy = value ? NULL : strdup(text);
	size_t n;

	if (!copy)
		return value;
	for (char *c = copy; *c; c += n) {
		n = text_sequence_bytes(c);
		if (n == 0)
			*c = '?';
		n = n ? n : 1;
	}
	value = json_string(copy);
	free(copy);
	return value;
}

bool status_set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

json_t *status_count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

json_t *status_moment(uint64_t ns)
{
	char text[TEXT_TIME_BYTES];

	if (ns == 0)
		return json_null();
	text_time(ns, text);
	return json_string(text);
}

static json_t *text_or_null(const char *text)
{
	return text[0] ? status_text(text) : json_null();
}

/* ---- frames ---- */

static json_t *by_reason(const uint64_t *counts, unsigned kinds, reason_name_fn *name)
{
	json_t *o = json_object();

	for (unsigned i = 0; o && i < kinds; i++)
		status_set(o, name(i), status_count(counts[i]));
	return o;
}

static void set_totals(json_t *o, const struct totals *t)
{
	status_set(o, "received", status_count(t->received));
	status_set(o, "written", status_count(t->written));
	status_set(o, "durable", status_count(t->durable));
	status_set(o, "flagged", status_count(t->flagged));
	status_set(o, "dropped", by_reason(t->dropped, DROPPED_COUNT, status_dropped_name));
	status_set(o, "missing", by_reason(t->missing, MISSING_COUNT, status_missing_name));
	status_set(o, "rejected", by_reason(t->rejected, REJECT_COUNT, status_rejected_name));
	status_set(o, "duplicate", status_count(t->duplicate));
	status_set(o, "dummies", status_count(t->dummies));
}

static json_t *frames(const struct status_view *v)
{
	json_t *o = json_object();

	status_set(o, "expected", status_count(v->figures.series.expected));
	status_set(o, "pending", status_count(v->figures.series.pending));
	set_totals(o, &v->figures.series);
	return o;
}

static json_t *since_start(const struct status_view *v)
{
	json_t *o = json_object();

	status_set(o, "series_closed", status_count(v->figures.series_closed));
	status_set(o, "messages", status_count(v->messages));
	status_set(o, "received_bytes", status_count(v->received_bytes));
	status_set(o, "written_bytes", status_count(v->figures.sinks.written_bytes));
	status_set(o, "peer_disconnects", status_count(v->disconnects));
	set_totals(o, &v->figures.ever);
	return o;
}

static json_t *series(const struct status_view *v)
{
	json_t *o = json_object();
	bool any = v->place.path[0] != '\0';
	uint64_t ending = v->figures.ending;

	status_set(o, "name",
	           status_text(v->place.name[0] ? v->place.name : v->config->series.name));
	status_set(o, "number", any ? status_count(v->place.number) : json_null());
	status_set(o, "path", text_or_null(v->place.path));
	status_set(o, "start",
	           json_string(v->config->series.start == START_ARMED ? "armed" : "auto"));
	status_set(o, "ending",
	           ending == ENDING_STOP    ? json_string("stop")
	           : ending == ENDING_ABORT ? json_string("abort")
	                                    : json_null());
	return o;
}

/* What an arm command waits with; null: none does. */
static json_t *armed(const struct status_view *v)
{
	const struct figures *f = &v->figures;
	json_t *o;

	if (!f->request.waiting)
		return json_null();
	o = json_object();
	status_set(o, "name",
	           status_text(f->request.name[0] ? f->request.name : v->config->series.name));
	status_set(o, "frames", f->request.frames ? status_count(f->request.frames) : json_null());
	status_set(o, "first",
	           f->request.first_given ? status_count(f->request.first) : json_null());
	return o;
}

/* ---- the machine ---- */

static json_t *rate(const struct status_view *v)
{
	json_t *o = json_object();

	status_set(o, "fps", status_number(v->rates.fps));
	status_set(o, "bytes_in_per_s", status_number(v->rates.bytes_in_per_s));
	status_set(o, "bytes_out_per_s", status_number(v->rates.bytes_out_per_s));
	return o;
}

static json_t *buffer(const struct status_view *v)
{
	const struct figures *f = &v->figures;
	json_t *o = json_object();

	status_set(o, "used", status_count(v->slots_used * f->slot_bytes));
	status_set(o, "size", status_count(f->slots * f->slot_bytes));
	status_set(o, "slots_used", status_count(v->slots_used));
	status_set(o, "slots", status_count(f->slots));
	status_set(o, "slots_held", status_count(f->held));
	status_set(o, "peak_ratio", status_number(f->buffer_peak));
	status_set(o, "slots_writing", status_count(f->busy));
	status_set(o, "seconds_to_overflow", status_number(v->rates.seconds_to_overflow));
	return o;
}

static json_t *directory(const struct status_view *v, unsigned sink)
{
	const struct disk_space *d = &v->disks[sink];
	char label[SINK_LABEL_BYTES];
	json_t *o = json_object();

	status_sink_label(v->config, sink, label);
	status_set(o, "sink", json_string(label));
	status_set(o, "directory", status_text(v->config->sinks[sink].directory));
	status_set(o, "free_bytes", d->known ? status_count(d->free_bytes) : json_null());
	status_set(o, "size_bytes", d->known ? status_count(d->size_bytes) : json_null());
	return o;
}

static json_t *disk(const struct status_view *v)
{
	json_t *o = json_object(), *directories = json_array();
	uint64_t free_bytes;
	double seconds = status_disk_seconds(v, &free_bytes);
	bool any = false;

	for (unsigned i = 0; i < v->config->sink_count; i++) {
		any |= v->disks[i].known;
		if (disks_has_files(&v->config->sinks[i]))
			json_array_append_new(directories, directory(v, i));
	}
	status_set(o, "free_bytes", any ? status_count(free_bytes) : json_null());
	status_set(o, "seconds_left", status_number(seconds));
	status_set(o, "directories", directories);
	return o;
}

/* ---- quality ---- */

static void set_alarm(json_t *o, enum sentinel s, const struct alarm *a)
{
	status_set(o, "sentinel", json_string(sentinel_name(s)));
	status_set(o, "since", status_moment(a->since_ns));
	status_set(o, "text", status_text(a->text));
	status_set(o, "value", status_number(a->value));
	status_set(o, "limit", status_number(a->limit));
	status_set(o, "first_frame", a->of_frames ? status_count(a->first_frame) : json_null());
	status_set(o, "last_frame", a->of_frames ? status_count(a->last_frame) : json_null());
}

static json_t *alarms(const struct status_view *v)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < SENTINEL_COUNT; i++) {
		const struct alarm *a = &v->quality.alarms[i];
		json_t *o = a->active ? json_object() : NULL;

		if (!o)
			continue;
		set_alarm(o, (enum sentinel)i, a);
		json_array_append_new(list, o);
	}
	return list;
}

/* All of them, with the last alarm of each. */
static json_t *sentinels(const struct status_view *v)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < SENTINEL_COUNT; i++) {
		const struct alarm *a = &v->quality.alarms[i];
		json_t *o = json_object();

		status_set(o, "active", json_boolean(a->active));
		status_set(o, "times", status_count(a->times));
		set_alarm(o, (enum sentinel)i, a);
		status_set(o, "until", status_moment(a->until_ns));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *moments(const struct moments *m)
{
	json_t *o = json_object();

	status_set(o, "min", status_number(m->min));
	status_set(o, "max", status_number(m->max));
	status_set(o, "mean", status_number(m->mean));
	status_set(o, "std", status_number(m->std));
	return o;
}

static json_t *region(const struct config_region *c, const struct quality_region *r)
{
	json_t *o = json_object();

	status_set(o, "name", status_text(c->name));
	status_set(o, "good", status_count(r->stats.good));
	status_set(o, "saturated", status_count(r->stats.saturated));
	status_set(o, "raw", moments(&r->stats.raw));
	status_set(o, "normalised", moments(&r->stats.normalised));
	status_set(o, "snr", status_number(r->snr));
	return o;
}

static json_t *ranks(const float at[PERCENTILES])
{
	static const char *const names[PERCENTILES] = { "0.1", "1", "50", "99", "99.9" };
	json_t *o = json_object();

	for (unsigned i = 0; i < PERCENTILES; i++)
		status_set(o, names[i], status_number((double)at[i]));
	return o;
}

static json_t *quality(const struct status_view *v)
{
	const struct quality_figures *q = &v->quality;
	json_t *o = json_object(), *regions = json_array();

	status_set(o, "frame", v->has_quality ? status_count(q->frame) : json_null());
	status_set(o, "fps", status_number(q->fps));
	status_set(o, "mean", status_number(q->mean));
	status_set(o, "std", status_number(q->std));
	status_set(o, "raw_mean", status_number(q->raw_mean));
	status_set(o, "raw_std", status_number(q->raw_std));
	status_set(o, "saturated_share", status_number(q->saturated_share));
	status_set(o, "bad_share", status_number(q->bad_share));
	status_set(o, "dose", status_number(q->dose));
	status_set(o, "dose_reference", status_number(q->dose_reference));
	status_set(o, "dead_pixels", status_count(q->dead));
	status_set(o, "hot_pixels", status_count(q->hot));
	status_set(o, "raw_percentiles", ranks(q->raw_percentiles));
	status_set(o, "percentiles", ranks(q->percentiles));
	for (unsigned i = 0; i < q->region_count && i < v->config->region_count; i++)
		json_array_append_new(regions, region(&v->config->regions[i], &q->regions[i]));
	status_set(o, "regions", regions);
	return o;
}

/* ---- what was commanded ---- */

static json_t *calibration(const struct calibration_report *c)
{
	static const char *const states[] = { [CALIBRATION_IDLE] = "idle",
		                              [CALIBRATION_COLLECTING] = "collecting",
		                              [CALIBRATION_MAKING] = "making" };
	json_t *o = json_object();

	status_set(o, "state", json_string(states[c->state]));
	status_set(o, "asked", status_count(c->asked));
	status_set(o, "done", json_boolean(c->done));
	status_set(o, "failed", json_boolean(c->failed));
	status_set(o, "role", text_or_null(c->role ? c->role : ""));
	status_set(o, "wanted", status_count(c->wanted));
	status_set(o, "taken", status_count(c->taken));
	status_set(o, "left_out", status_count(c->left_out));
	status_set(o, "dead", status_count(c->dead));
	status_set(o, "hot", status_count(c->hot));
	status_set(o, "noisy", status_count(c->noisy));
	status_set(o, "id", status_count(c->id));
	status_set(o, "path", text_or_null(c->path));
	status_set(o, "text", status_text(c->text));
	return o;
}

static json_t *blackbox(const struct blackbox_report *b)
{
	json_t *o = json_object();

	status_set(o, "configured", json_boolean(b->configured));
	status_set(o, "writing", json_boolean(b->writing));
	status_set(o, "frames", status_count(b->frames));
	status_set(o, "bytes", status_count(b->bytes));
	status_set(o, "seconds", status_number(b->seconds));
	status_set(o, "written", status_count(b->written));
	status_set(o, "path", text_or_null(b->path));
	status_set(o, "text", status_text(b->text));
	return o;
}

static json_t *watchers(const struct status_view *v)
{
	json_t *o = json_object();

	status_set(o, "connections", status_count(v->watchers.connections));
	status_set(o, "events", status_count(v->watchers.events));
	return o;
}

json_t *status_json(const struct status_view *v)
{
	json_t *o = json_object();
	bool good = o != NULL;

	good = good && status_set(o, "version", json_string(v->version));
	good = good && status_set(o, "commit", json_string(v->commit));
	good = good && status_set(o, "isa", json_string(v->isa));
	good = good && status_set(o, "source", status_text(v->config->ingest.name));
	good = good && status_set(o, "time", status_moment(v->now_ns));
	good = good && status_set(o, "state", json_string(status_state_name(status_state(v))));
	good = good && status_set(o, "series", series(v));
	good = good && status_set(o, "armed", armed(v));
	good = good && status_set(o, "frames", frames(v));
	good = good && status_set(o, "since_start", since_start(v));
	good = good && status_set(o, "rate", rate(v));
	good = good && status_set(o, "latency_ms", status_latency(v));
	good = good && status_set(o, "last_loss", status_last_loss(v));
	good = good && status_set(o, "buffer", buffer(v));
	good = good && status_set(o, "disk", disk(v));
	good = good && status_set(o, "alarms", alarms(v));
	good = good && status_set(o, "sentinels", sentinels(v));
	good = good && status_set(o, "quality", quality(v));
	good = good && status_set(o, "calibration", calibration(&v->calibration));
	good = good && status_set(o, "blackbox", blackbox(&v->blackbox));
	good = good && status_set(o, "watchers", watchers(v));
	if (good)
		return o;
	json_decref(o);
	return NULL;
}
