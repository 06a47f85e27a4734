/* SPDX-License-Identifier: Apache-2.0 */
/* How long frames take, and why the last ones were lost. */
#include "daemon/status_parts.h"
#include "sinks/texts.h"

static json_t *stage(const struct latency_figures *f)
{
	json_t *o = json_object();

	status_set(o, "count", status_count(f->count));
	status_set(o, "p50", status_number(f->count ? f->p50_ms : (double)NAN));
	status_set(o, "p99", status_number(f->count ? f->p99_ms : (double)NAN));
	status_set(o, "p999", status_number(f->count ? f->p999_ms : (double)NAN));
	status_set(o, "max", status_number(f->count ? f->max_ms : (double)NAN));
	return o;
}

json_t *status_latency(const struct status_view *v)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < LATENCY_STAGES; i++)
		status_set(o, latency_name((enum latency_stage)i), stage(&v->latency[i]));
	return o;
}

static const char *cause_name(const struct loss_record *r)
{
	static const char *const names[LOSS_CAUSE_COUNT] = { "disk", "workers", "gap" };
	bool asked = r->full_ns > 0 || (r->state == FRAME_DROPPED && r->reason == DROPPED_OVERLOAD);

	return asked ? names[last_loss_cause(r)] : NULL;
}

json_t *status_last_loss(const struct status_view *v)
{
	const struct loss_record *r = &v->last_loss;
	enum frame_state state = (enum frame_state)r->state;
	const char *cause = cause_name(r);
	char text[LOSS_TEXT];
	json_t *o;

	if (r->time_ns == 0)
		return json_null();
	o = json_object();
	last_loss_text(r, text);
	status_set(o, "time", status_moment(r->time_ns));
	status_set(o, "first_frame", status_count(r->first_frame));
	status_set(o, "last_frame", status_count(r->last_frame));
	status_set(o, "frames", status_count(r->frames));
	status_set(o, "state", json_string(frame_state_name(state)));
	status_set(o, "reason", json_string(frame_reason_name(state, (unsigned)r->reason)));
	status_set(o, "text", status_text(text));
	status_set(o, "cause", cause ? json_string(cause) : json_null());
	status_set(o, "buffer_used", status_number(r->buffer_used));
	status_set(o, "buffer_full_s", status_number((double)r->full_ns / 1e9));
	status_set(o, "fps", status_number(r->fps));
	status_set(o, "bytes_in_per_s", status_number(r->bytes_in_per_s));
	status_set(o, "bytes_out_per_s", status_number(r->bytes_out_per_s));
	status_set(o, "write_ms_max", status_number((double)r->write_ns / 1e6));
	status_set(o, "sync_ms_max", status_number((double)r->sync_ns / 1e6));
	status_set(o, "writes_under_way", status_count(r->under_way));
	return o;
}
