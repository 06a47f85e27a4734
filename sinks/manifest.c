/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/manifest.h"

#include "sinks/texts.h"

#include "sinks/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* A JSON string; bytes that are no UTF-8 (paths may have them) become `?`. */
static json_t *text(const char *s)
{
	json_t *value = json_string(s ? s : "");
	char *copy;

	if (value)
		return value;
	copy = strdup(s ? s : "");
	if (!copy)
		return NULL;
	for (char *c = copy; *c; c++)
		if (*c & 0x80)
			*c = '?';
	value = json_string(copy);
	free(copy);
	return value;
}

/* From the root, so that it is the same from wherever somebody looks. */
static json_t *whole_path(const char *path)
{
	char *whole = path && path[0] ? realpath(path, NULL) : NULL;
	json_t *value = text(whole ? whole : path);

	free(whole);
	return value;
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* json_object_set_new() takes a NULL value as an error and frees nothing twice; the return
 * values add up, so that one look at the end finds a lack of memory. */
static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value);
}

static json_t *time_text(uint64_t ns)
{
	char text_of[TEXT_TIME_BYTES];

	if (ns == 0)
		return json_null();
	text_time(ns, text_of);
	return json_string(text_of);
}

static json_t *host(void)
{
	json_t *o = json_object();
	struct utsname u;

	if (uname(&u) < 0)
		return o;
	set(o, "name", text(u.nodename));
	set(o, "system", text(u.sysname));
	set(o, "release", text(u.release));
	set(o, "version", text(u.version));
	set(o, "machine", text(u.machine));
	set(o, "cpus", number((uint64_t)sysconf(_SC_NPROCESSORS_ONLN)));
	return o;
}

static const char *type_name(enum product_type t)
{
	static const char *const names[PRODUCT_TYPE_COUNT] = { "uint8", "uint16", "uint32",
		                                               "float32" };

	return (unsigned)t < PRODUCT_TYPE_COUNT ? names[t] : "";
}

static json_t *shape(const struct sink_shape *s)
{
	return json_pack("{s:I, s:I, s:s, s:I}", "width", (json_int_t)s->width, "height",
	                 (json_int_t)s->height, "type", type_name(s->type), "bytes",
	                 (json_int_t)s->bytes);
}

static json_t *products(const struct sink_geometry *g)
{
	json_t *o = json_object();

	set(o, "reduced", shape(&g->reduced));
	if (g->source.bytes)
		set(o, "source", shape(&g->source));
	return o;
}

/* Infinite ones as texts, since JSON has no number for them; null: there is none. */
static json_t *real(double v)
{
	if (isfinite(v))
		return json_real(v);
	return isnan(v) ? json_null() : json_string(v > 0 ? "inf" : "-inf");
}

static json_t *calibration(const struct sink_calibration *c)
{
	json_t *o = json_object();
	char crc[16];

	snprintf(crc, sizeof crc, "%08" PRIx32, c->crc32c);
	set(o, "role", text(c->role));
	set(o, "path", whole_path(c->path));
	set(o, "crc32c", text(crc));
	set(o, "bytes", number(c->bytes));
	set(o, "id", number(c->id));
	set(o, "from_stream", json_boolean(c->from_stream));
	set(o, "frames", c->frames ? number(c->frames) : json_null());
	set(o, "taken", time_text(c->taken_ns));
	return o;
}

static json_t *calibrations(const struct manifest *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->calibration_count; i++)
		json_array_append_new(list, calibration(&m->calibrations[i]));
	return list;
}

static json_t *finding(const struct sink_finding *f)
{
	json_t *o = json_object();

	set(o, "sentinel", text(f->sentinel));
	set(o, "first_frame", f->of_frames ? number(f->first_frame) : json_null());
	set(o, "last_frame", f->of_frames ? number(f->last_frame) : json_null());
	set(o, "from", time_text(f->from_ns));
	set(o, "to", time_text(f->to_ns));
	set(o, "worst", real(f->worst));
	set(o, "limit", real(f->limit));
	set(o, "text", text(f->text));
	return o;
}

static json_t *findings(const struct manifest *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->finding_count; i++)
		json_array_append_new(list, finding(&m->findings[i]));
	return list;
}

static json_t *latency(const struct manifest *m)
{
	json_t *o = m->latency ? json_object() : json_null();

	for (unsigned i = 0; m->latency && i < m->latency_count; i++) {
		const struct sink_latency *l = &m->latency[i];
		json_t *stage = json_object();

		set(stage, "count", number(l->frames));
		set(stage, "p50", real(l->p50_ms));
		set(stage, "p99", real(l->p99_ms));
		set(stage, "p999", real(l->p999_ms));
		set(stage, "max", real(l->max_ms));
		set(o, l->stage, stage);
	}
	return o;
}

static json_t *buffer(const struct sink_flow *f)
{
	json_t *o = json_object();

	set(o, "slots", number(f->slots));
	set(o, "slots_peak", number(f->slots_peak));
	set(o, "payloads", number(f->payloads));
	set(o, "payloads_peak", number(f->payloads_peak));
	set(o, "peak_ratio", real(f->peak_ratio));
	return o;
}

/* {"rx0": {"messages": 1.25, "room": 0}, ...} */
static json_t *waits(const struct sink_flow *f)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < f->wait_count; i++) {
		const struct sink_wait *w = &f->waits[i];

		if (!json_object_get(o, w->thread))
			set(o, w->thread, json_object());
		set(json_object_get(o, w->thread), w->what, real(w->seconds));
	}
	return o;
}

static json_t *loss(const struct sink_loss *l)
{
	json_t *o = json_object();

	set(o, "time", time_text(l->time_ns));
	set(o, "first_frame", number(l->first_frame));
	set(o, "last_frame", number(l->last_frame));
	set(o, "frames", number(l->frames));
	set(o, "state", text(l->state));
	set(o, "reason", text(l->reason));
	set(o, "text", text(l->text));
	return o;
}

static json_t *losses(const struct manifest *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->loss_count; i++)
		json_array_append_new(list, loss(&m->losses[i]));
	return list;
}

static json_t *region(const struct config_region *r)
{
	json_t *o = json_object();

	set(o, "name", text(r->name));
	set(o, "x", number(r->x));
	set(o, "y", number(r->y));
	set(o, "width", number(r->width));
	set(o, "height", number(r->height));
	return o;
}

static json_t *regions(const struct manifest *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->region_count; i++)
		json_array_append_new(list, region(&m->regions[i]));
	return list;
}

static json_t *percentiles_of(const float *at)
{
	json_t *list;

	if (!at)
		return json_null();
	list = json_array();
	for (unsigned i = 0; i < PERCENTILES; i++)
		json_array_append_new(list, real((double)at[i]));
	return list;
}

static json_t *percentiles_object(const struct manifest *m)
{
	json_t *o = json_object();

	set(o, "raw", percentiles_of(m->raw_percentiles));
	set(o, "normalised", percentiles_of(m->percentiles));
	return o;
}

static json_t *frames(const struct sink_pixels *p)
{
	json_t *o;

	if (!p)
		return json_null();
	o = json_object();
	set(o, "width", number(p->width));
	set(o, "height", number(p->height));
	set(o, "payload_width", number(p->payload_width));
	set(o, "payload_height", number(p->payload_height));
	set(o, "left", number(p->left));
	set(o, "top", number(p->top));
	set(o, "type", text(pixel_name(p->type)));
	set(o, "saturation", isfinite(p->saturation) ? json_real(p->saturation) : json_null());
	set(o, "bits", number(p->bits));
	set(o, "no_value", p->has_no_value ? json_integer(p->no_value) : json_null());
	return o;
}

static json_t *dropped_counts(const uint64_t counts[DROPPED_COUNT])
{
	json_t *o = json_object();

	for (unsigned i = 0; i < DROPPED_COUNT; i++)
		set(o, frame_reason_name(FRAME_DROPPED, i), number(counts[i]));
	return o;
}

static json_t *totals(const struct totals *t)
{
	json_t *o = json_object(), *missing = json_object(), *rejected = json_object();

	for (unsigned i = 0; i < MISSING_COUNT; i++)
		set(missing, frame_reason_name(FRAME_MISSING, i), number(t->missing[i]));
	for (unsigned i = 0; i < REJECT_COUNT; i++)
		set(rejected, reject_name((enum reject)i), number(t->rejected[i]));
	set(o, "expected", number(t->expected));
	set(o, "received", number(t->received));
	set(o, "written", number(t->written));
	set(o, "durable", number(t->durable));
	set(o, "pending", number(t->pending));
	set(o, "flagged", number(t->flagged));
	set(o, "dropped", dropped_counts(t->dropped));
	set(o, "missing", missing);
	set(o, "rejected", rejected);
	set(o, "duplicate", number(t->duplicate));
	set(o, "dummies", number(t->dummies));
	return o;
}

static json_t *file(const struct manifest *m, const struct lane *l, const struct lane_file *f)
{
	char name[PART_NAME_MAX];

	snprintf(name, sizeof name, "%s_%06" PRIu32 "%s%s", m->series, f->index,
	         l->format->suffix ? l->format->suffix : "", f->unfinished ? PART_SUFFIX : "");
	return json_pack("{s:o, s:I, s:b}", "name", text(name), "frames", (json_int_t)f->frames,
	                 "complete", !f->unfinished);
}

static void set_stream(json_t *sink, const struct stream *s)
{
	const struct stream_figures *f = stream_figures(s);

	set(sink, "viewers", text(stream_summary(s)));
	set(sink, "sent", number(f->sent));
	set(sink, "skipped", number(f->skipped));
	set(sink, "unwatched", number(f->unwatched));
	set(sink, "lost_to_viewers", number(f->lost));
}

static json_t *sink(const struct manifest *m, const struct lane *l)
{
	json_t *o = json_object(), *files = json_array();

	for (size_t i = 0; i < l->ended_count; i++)
		json_array_append_new(files, file(m, l, &l->ended[i]));
	set(o, "index", number(l->index));
	set(o, "format", text(l->format->name));
	set(o, "product", text(l->config->product == PRODUCT_SOURCE ? "source" : "reduced"));
	set(o, "primary", json_boolean(l->primary));
	set(o, "directory", whole_path(l->format->suffix ? l->folder_path : ""));
	set(o, "written", number(l->written));
	set(o, "durable", number(l->durable));
	set(o, "dropped", dropped_counts(l->dropped));
	set(o, "files", files);
	if (l->stream)
		set_stream(o, l->stream);
	return o;
}

static json_t *sinks(const struct manifest *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->lane_count; i++)
		json_array_append_new(list, sink(m, &m->lanes[i]));
	return list;
}

static json_t *configuration(const struct sink_program *p)
{
	json_t *o = p->config_json ? json_loads(p->config_json, 0, NULL) : NULL;

	return o ? o : json_null();
}

static json_t *reasons(const struct manifest *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->reason_count; i++)
		json_array_append_new(list, text(m->reasons[i]));
	return list;
}

static json_t *known(double value)
{
	return value > 0 ? json_real(value) : json_null();
}

static json_t *detector(const struct sink_detector *d)
{
	json_t *o = json_object();

	set(o, "description", text(d->description));
	set(o, "width", number(d->width));
	set(o, "height", number(d->height));
	set(o, "masked", number(d->masked));
	set(o, "saturation", d->saturation ? number(d->saturation) : json_null());
	set(o, "exposure_s", known(d->exposure_s));
	set(o, "period_s", known(d->period_s));
	return o;
}

static json_t *stopped(const struct sink_stop *s)
{
	json_t *o = json_object();

	set(o, "command", text(s->command));
	set(o, "by", text(s->by));
	set(o, "time", time_text(s->at_ns));
	set(o, "frames", s->frames ? number(s->frames) : json_null());
	return o;
}

static json_t *compose(const struct manifest *m)
{
	static const char *const states[] = { "running", "complete", "incomplete" };
	json_t *o = json_object();
	int bad = 0;

	if (!o)
		return NULL;
	bad |= set(o, "program", text("openbeam"));
	bad |= set(o, "version", text(m->program->version));
	bad |= set(o, "commit", text(m->program->commit));
	bad |= set(o, "isa", text(m->program->isa));
	bad |= set(o, "state", text(states[m->state]));
	bad |= set(o, "reasons", reasons(m));
	bad |= set(o, "series", text(m->series));
	bad |= set(o, "name", text(m->name));
	bad |= set(o, "kind", text(m->kind));
	bad |= set(o, "why", m->why[0] ? text(m->why) : json_null());
	bad |= set(o, "number", number(m->number));
	bad |= set(o, "path", whole_path(m->path));
	bad |= set(o, "start", time_text(m->start_ns));
	bad |= set(o, "start_ns", number(m->start_ns));
	bad |= set(o, "end", time_text(m->end_ns));
	bad |= set(o, "end_ns", m->end_ns ? number(m->end_ns) : json_null());
	bad |= set(o, "expected_from", m->expected_from ? text(m->expected_from) : json_null());
	bad |= set(o, "stopped", m->stopped ? stopped(m->stopped) : json_null());
	bad |= set(o, "detector", m->detector ? detector(m->detector) : json_null());
	bad |= set(o, "totals", m->totals ? totals(m->totals) : json_null());
	bad |= set(o, "products", products(m->geometry));
	bad |= set(o, "sinks", sinks(m));
	bad |= set(o, "calibration", calibrations(m));
	bad |= set(o, "frames", frames(m->pixels));
	bad |= set(o, "regions", regions(m));
	bad |= set(o, "percentiles", percentiles_object(m));
	bad |= set(o, "findings", findings(m));
	bad |= set(o, "findings_left_out", number(m->findings_left_out));
	bad |= set(o, "latency_ms", latency(m));
	bad |= set(o, "losses", losses(m));
	bad |= set(o, "buffer", m->flow ? buffer(m->flow) : json_null());
	bad |= set(o, "waited_s", m->flow ? waits(m->flow) : json_null());
	bad |= set(o, "host", host());
	bad |= set(o, "configuration", configuration(m->program));
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

char *manifest_text(const struct manifest *m)
{
	json_t *o = compose(m);
	char *text_of = o ? json_dumps(o, JSON_INDENT(2)) : NULL;

	json_decref(o);
	return text_of;
}

int manifest_write(const struct disk_io *io, int folder, const struct manifest *m)
{
	json_t *o = compose(m);
	struct part p;
	int err;

	if (!o)
		return -ENOMEM;
	err = part_open(&p, io, folder, "manifest.json");
	if (err) {
		json_decref(o);
		return err;
	}
	/* What cannot be written shows in the stream's state, which part_commit() checks. */
	(void)json_dumpf(o, p.text, JSON_INDENT(2));
	fputc('\n', p.text);
	json_decref(o);
	return part_commit(&p, true);
}
