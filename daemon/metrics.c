/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metrics.h"
#include "daemon/monitor_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LABEL_BYTES 512

static void head(struct text *t, const char *name, const char *type, const char *help)
{
	text_add(t, "# HELP openbeam_%s %s\n# TYPE openbeam_%s %s\n", name, help, name, type);
}

/* A label's value between quotes. What is not ASCII is rare here, and may be no UTF-8. */
static const char *quoted(const char *value, char ret[LABEL_BYTES])
{
	size_t n = 0;

	for (; *value && n + 3 < LABEL_BYTES; value++) {
		unsigned char c = (unsigned char)*value;

		if (c == '\\' || c == '"')
			ret[n++] = '\\';
		ret[n++] = c < ' ' || c > '~' ? '?' : (char)c;
	}
	ret[n] = '\0';
	return ret;
}

static void add_count(struct text *t, const char *name, const char *label, const char *value,
                      uint64_t count)
{
	char text[LABEL_BYTES];

	text_add(t, "openbeam_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, quoted(value, text),
	         count);
}

/* As Prometheus writes numbers; without a label where it is NULL. */
static void add_value(struct text *t, const char *name, const char *label, const char *label_value,
                      double value)
{
	char text[LABEL_BYTES];

	text_add(t, "openbeam_%s", name);
	if (label)
		text_add(t, "{%s=\"%s\"}", label, quoted(label_value, text));
	if (isnan(value))
		text_add(t, " NaN\n");
	else if (isinf(value))
		text_add(t, " %sInf\n", value > 0 ? "+" : "-");
	else
		text_add(t, " %.17g\n", value);
}

static void counter(struct text *t, const char *name, const char *help, const char *label,
                    const char *value, uint64_t count)
{
	head(t, name, "counter", help);
	add_count(t, name, label, value, count);
}

static void gauge(struct text *t, const char *name, const char *help, double value)
{
	head(t, name, "gauge", help);
	add_value(t, name, NULL, NULL, value);
}

/* ---- frames ---- */

static void by_reason(struct text *t, const char *name, const char *help, const char *source,
                      const uint64_t *counts, unsigned kinds, reason_name_fn *reason)
{
	char text[LABEL_BYTES];

	head(t, name, "counter", help);
	for (unsigned i = 0; i < kinds; i++)
		text_add(t, "openbeam_%s{source=\"%s\",reason=\"%s\"} %" PRIu64 "\n", name,
		         quoted(source, text), reason(i), counts[i]);
}

static void frames(struct text *t, const struct status_view *v, const char *primary)
{
	const struct totals *ever = &v->figures.ever;
	const char *source = v->config->ingest.name;

	counter(t, "frames_received_total", "Usable frames, without duplicates.", "source", source,
	        ever->received);
	counter(t, "frames_written_total", "Frames whose pixels are in the primary sink's file.",
	        "sink", primary, ever->written);
	counter(t, "frames_durable_total", "Frames whose pixels and ledger are synced.", "sink",
	        primary, ever->durable);
	counter(t, "frames_flagged_total", "Frames that their sender calls damaged.", "source",
	        source, ever->flagged);
	by_reason(t, "frames_dropped_total", "Frames that were received and not written.", source,
	          ever->dropped, DROPPED_COUNT, status_dropped_name);
	by_reason(t, "frames_missing_total", "Frame numbers that never came in a usable message.",
	          source, ever->missing, MISSING_COUNT, status_missing_name);
	counter(t, "frames_duplicate_total", "Frames whose number was there already.", "source",
	        source, ever->duplicate);
	by_reason(t, "messages_rejected_total", "Messages that are no usable frame.", source,
	          ever->rejected, REJECT_COUNT, status_rejected_name);
	counter(t, "messages_received_total", "Messages of any kind.", "source", source,
	        v->messages);
	counter(t, "received_bytes_total", "Bytes of all messages.", "source", source,
	        v->received_bytes);
	counter(t, "peer_disconnects_total", "Connections of detectors that ended.", "source",
	        source, v->disconnects);
	head(t, "series_closed_total", "counter", "Series that were closed.");
	text_add(t, "openbeam_series_closed_total %" PRIu64 "\n", v->figures.series_closed);
}

/* ---- files ---- */

static void write_times(struct text *t, const struct sink_figures *f)
{
	uint64_t below = 0;

	head(t, "write_duration_seconds", "histogram",
	     "Single writes, of pixels and of the ledger.");
	for (unsigned i = 0; i < WRITE_TIMES; i++) {
		below += f->write_times[i];
		if (i + 1 < WRITE_TIMES)
			text_add(t,
			         "openbeam_write_duration_seconds_bucket{le=\"%g\"} %" PRIu64 "\n",
			         (double)write_time_ns(i) / 1e9, below);
	}
	text_add(t, "openbeam_write_duration_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", below);
	text_add(t, "openbeam_write_duration_seconds_sum %.9f\n", (double)f->write_ns / 1e9);
	text_add(t, "openbeam_write_duration_seconds_count %" PRIu64 "\n", below);
}

static void errors(struct text *t, const struct sink_figures *f, const char *sink)
{
	const struct {
		const char *operation;
		uint64_t count;
	} rows[] = { { "write", f->write_errors }, { "sync", f->sync_errors } };

	head(t, "io_errors_total", "counter", "Writes and syncs that failed for good.");
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
		text_add(t, "openbeam_io_errors_total{sink=\"%s\",operation=\"%s\"} %" PRIu64 "\n",
		         sink, rows[i].operation, rows[i].count);
}

static void files(struct text *t, const struct status_view *v, const char *label)
{
	char each[SINK_LABEL_BYTES];

	counter(t, "written_bytes_total", "Bytes written to files.", "sink", label,
	        v->figures.sinks.written_bytes);
	write_times(t, &v->figures.sinks);
	errors(t, &v->figures.sinks, label);
	head(t, "storage_free_bytes", "gauge", "Space left where the sink writes.");
	for (unsigned i = 0; i < v->config->sink_count; i++) {
		if (!disks_has_files(&v->config->sinks[i]))
			continue;
		status_sink_label(v->config, i, each);
		add_value(t, "storage_free_bytes", "sink", each,
		          v->disks[i].known ? (double)v->disks[i].free_bytes : (double)NAN);
	}
}

/* ---- quality ---- */

static void image(struct text *t, const struct status_view *v)
{
	const struct quality_figures *q = &v->quality;

	gauge(t, "image_mean", "Mean of normalised pixels, of the last second.", q->mean);
	gauge(t, "image_raw_mean", "Mean of pixels as received, of the last second.", q->raw_mean);
	gauge(t, "image_saturated_ratio", "Share of pixels that are saturated.",
	      q->saturated_share);
	gauge(t, "image_dose", "Mean transmission of the open beam.", q->dose);
	gauge(t, "dead_pixels", "Pixels found dead that the calibration does not know.",
	      (double)q->dead);
	gauge(t, "hot_pixels", "Pixels found hot that the calibration does not know.",
	      (double)q->hot);
	gauge(t, "calibration_id", "The calibration in use; 0: none.", (double)v->calibration.id);
}

static void regions(struct text *t, const struct status_view *v)
{
	const struct config *c = v->config;
	unsigned known = v->quality.region_count;

	if (c->region_count == 0)
		return;
	head(t, "region_mean", "gauge", "Mean of a region's normalised pixels.");
	for (unsigned i = 0; i < c->region_count; i++)
		add_value(t, "region_mean", "region", c->regions[i].name,
		          i < known ? v->quality.regions[i].stats.normalised.mean : (double)NAN);
	head(t, "region_snr", "gauge", "Mean of a region's normalised pixels over their spread.");
	for (unsigned i = 0; i < c->region_count; i++)
		add_value(t, "region_snr", "region", c->regions[i].name,
		          i < known ? v->quality.regions[i].snr : (double)NAN);
}

static void alarms(struct text *t, const struct status_view *v)
{
	head(t, "alarm", "gauge", "Whether the sentinel's alarm is active.");
	for (unsigned i = 0; i < SENTINEL_COUNT; i++)
		add_count(t, "alarm", "sentinel", sentinel_name((enum sentinel)i),
		          v->quality.alarms[i].active);
	head(t, "alarms_total", "counter", "Alarms that the sentinel raised.");
	for (unsigned i = 0; i < SENTINEL_COUNT; i++)
		add_count(t, "alarms_total", "sentinel", sentinel_name((enum sentinel)i),
		          v->quality.alarms[i].times);
}

/* ---- the daemon ---- */

static void state(struct text *t, const struct status_view *v)
{
	enum status_state now = status_state(v);

	head(t, "series_state", "gauge", "1 for the state that the daemon is in.");
	for (unsigned i = 0; i < STATUS_STATE_COUNT; i++)
		add_count(t, "series_state", "state", status_state_name((enum status_state)i),
		          i == (unsigned)now);
	head(t, "build_info", "gauge", "1; what runs.");
	text_add(t, "openbeam_build_info{version=\"%s\",commit=\"%s\",isa=\"%s\"} 1\n", v->version,
	         v->commit, v->isa);
	head(t, "buffer_used_ratio", "gauge", "Share of the slots that hold a frame.");
	add_value(t, "buffer_used_ratio", "source", v->config->ingest.name,
	          v->figures.slots ? (double)v->slots_used / (double)v->figures.slots : 0);
}

/* The first that keeps pixels; without one the first. How many do. */
static unsigned primary_of(const struct config *c, unsigned *ret_files)
{
	unsigned primary = 0;

	*ret_files = 0;
	for (unsigned i = 0; i < c->sink_count; i++)
		if (disks_has_files(&c->sinks[i]) && (*ret_files)++ == 0)
			primary = i;
	return primary;
}

char *metrics_text(const struct status_view *v, size_t *ret_length)
{
	struct text t = { 0 };
	char primary[SINK_LABEL_BYTES];
	unsigned file_sinks;

	status_sink_label(v->config, primary_of(v->config, &file_sinks), primary);
	state(&t, v);
	frames(&t, v, primary);
	files(&t, v, file_sinks > 1 ? "all" : primary);
	image(&t, v);
	regions(&t, v);
	alarms(&t, v);
	return text_take(&t, ret_length);
}
