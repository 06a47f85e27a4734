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

/* As Prometheus writes numbers, and the line's end. */
static void add_number(struct text *t, double value)
{
	if (isnan(value))
		text_add(t, "NaN\n");
	else if (isinf(value))
		text_add(t, "%sInf\n", value > 0 ? "+" : "-");
	else
		text_add(t, "%.17g\n", value);
}

/* Without a label where it is NULL. */
static void add_value(struct text *t, const char *name, const char *label, const char *label_value,
                      double value)
{
	char text[LABEL_BYTES];

	text_add(t, "openbeam_%s", name);
	if (label)
		text_add(t, "{%s=\"%s\"}", label, quoted(label_value, text));
	text_add(t, " ");
	add_number(t, value);
}

/* A histogram's sum and count, which take the place of a last bucket without limit. */
static void add_sum(struct text *t, const char *name, const char *label, uint64_t sum_ns,
                    uint64_t count)
{
	text_add(t, "openbeam_%s_sum%s %.9f\n", name, label, (double)sum_ns / 1e9);
	text_add(t, "openbeam_%s_count%s %" PRIu64 "\n", name, label, count);
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
	head(t, "series_closed_total", "counter", "Series of samples that were closed.");
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
	add_sum(t, "write_duration_seconds", "", f->write_ns, below);
}

static void add_errors(struct text *t, const char *sink, const char *operation, uint64_t count)
{
	text_add(t, "openbeam_io_errors_total{sink=\"%s\",operation=\"%s\"} %" PRIu64 "\n", sink,
	         operation, count);
}

/* Whether the sink has files, be it only the ledger. */
static bool writes(const struct status_view *v, unsigned sink, unsigned primary)
{
	return sink == primary || disks_has_files(&v->config->sinks[sink]);
}

static void files(struct text *t, const struct status_view *v, unsigned primary)
{
	const struct writer_share *shares = v->figures.sinks.each;
	char each[SINK_LABEL_BYTES];

	head(t, "written_bytes_total", "counter", "Bytes written to files.");
	for (unsigned i = 0; i < v->config->sink_count; i++) {
		status_sink_label(v->config, i, each);
		if (writes(v, i, primary))
			add_count(t, "written_bytes_total", "sink", each, shares[i].written_bytes);
	}
	write_times(t, &v->figures.sinks);
	head(t, "io_errors_total", "counter", "Writes and syncs that failed for good.");
	for (unsigned i = 0; i < v->config->sink_count; i++) {
		status_sink_label(v->config, i, each);
		if (!writes(v, i, primary))
			continue;
		add_errors(t, each, "write", shares[i].write_errors);
		add_errors(t, each, "sync", shares[i].sync_errors);
	}
	head(t, "storage_free_bytes", "gauge", "Space left where the sink writes.");
	for (unsigned i = 0; i < v->config->sink_count; i++) {
		if (!disks_has_files(&v->config->sinks[i]))
			continue;
		status_sink_label(v->config, i, each);
		add_value(t, "storage_free_bytes", "sink", each,
		          v->disks[i].known ? (double)v->disks[i].free_bytes : (double)NAN);
	}
	uint64_t free_bytes;
	gauge(t, "disk_seconds_left",
	      "Until the first disk is full, at the rate of the last second.",
	      status_disk_seconds(v, &free_bytes));
}

/* ---- times ---- */

static void latency_of(struct text *t, const char *stage, const struct latency_since_start *l)
{
	static const char name[] = "frame_latency_seconds";
	char label[64];

	for (unsigned i = 0; i < LATENCY_BOUNDS; i++)
		text_add(t, "openbeam_%s_bucket{stage=\"%s\",le=\"%g\"} %" PRIu64 "\n", name, stage,
		         (double)latency_bound_ns(i) / 1e9, l->upto[i]);
	text_add(t, "openbeam_%s_bucket{stage=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, stage,
	         l->count);
	snprintf(label, sizeof label, "{stage=\"%s\"}", stage);
	add_sum(t, name, label, l->sum_ns, l->count);
}

static void latency(struct text *t, const struct status_view *v)
{
	head(t, "frame_latency_seconds", "histogram",
	     "Of frames placed in a series, by stage of their way; times up to 3 % below a bound "
	     "may "
	     "be counted above it.");
	for (unsigned i = 0; i < LATENCY_STAGES; i++)
		latency_of(t, latency_name((enum latency_stage)i), &v->latency_ever[i]);
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
	gauge(t, "buffer_seconds_to_overflow", "Until the slots are full, as they fill now.",
	      v->rates.seconds_to_overflow);
	gauge(t, "last_loss_timestamp_seconds",
	      "When the last burst of lost frames began; 0: none was lost.",
	      (double)v->last_loss.time_ns / 1e9);
	gauge(t, "memory_ceiling_bytes", "What the memory of the program should not pass.",
	      (double)v->ceiling_bytes);
}

/* By their customary names, without our prefix. */
static void process(struct text *t, const struct process_figures *p)
{
	const struct {
		const char *name, *type, *help;
		double value;
	} rows[] = {
		{ "cpu_seconds_total", "counter", "User and system time of all threads.",
		  p->cpu_s },
		{ "start_time_seconds", "gauge", "Since 1970.", p->started_s },
		{ "resident_memory_bytes", "gauge", "Memory in RAM.", p->resident_bytes },
		{ "virtual_memory_bytes", "gauge", "Address space.", p->bytes },
		{ "open_fds", "gauge", "Open files and sockets.", p->open_fds },
		{ "max_fds", "gauge", "How many there may be.", p->most_fds },
	};

	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		text_add(t, "# HELP process_%s %s\n# TYPE process_%s %s\nprocess_%s ", rows[i].name,
		         rows[i].help, rows[i].name, rows[i].type, rows[i].name);
		add_number(t, rows[i].value);
	}
}

/* The first that keeps pixels; without one the first. */
static unsigned primary_of(const struct config *c)
{
	for (unsigned i = 0; i < c->sink_count; i++)
		if (disks_has_files(&c->sinks[i]))
			return i;
	return 0;
}

char *metrics_text(const struct status_view *v, size_t *ret_length)
{
	struct text t = { 0 };
	unsigned primary = primary_of(v->config);
	char label[SINK_LABEL_BYTES];

	status_sink_label(v->config, primary, label);
	state(&t, v);
	frames(&t, v, label);
	latency(&t, v);
	files(&t, v, primary);
	image(&t, v);
	regions(&t, v);
	alarms(&t, v);
	process(&t, &v->process);
	return text_take(&t, ret_length);
}
