/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/master.h"
#include "sinks/sinks_state.h"
#include "sinks/stream.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The end of a series: reports, masters, the manifest. */

#define REASONS_MAX 32
#define WAIT_NS     20000000u
#define MAPS_MAX    4 /* dark, flat, flat_dark, mask */

/* What makes a series incomplete, for the manifest. */
struct reasons {
	unsigned count;
	const char *at[REASONS_MAX]; /* the summary's, then those in text[] */
	char text[REASONS_MAX][160];
};

static void add_reason(struct reasons *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add_reason(struct reasons *r, const char *format, ...)
{
	va_list arguments;

	if (r->count == REASONS_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(r->text[r->count], sizeof r->text[0], format, arguments);
	va_end(arguments);
	r->at[r->count] = r->text[r->count];
	r->count++;
}

static void add_lane_reasons(struct reasons *r, const struct lane *l, bool summarised)
{
	unsigned unfinished = 0;

	for (size_t i = 0; i < l->ended_count; i++)
		unfinished += l->ended[i].unfinished;
	for (unsigned i = 0; i < DROPPED_COUNT; i++)
		if (l->dropped[i] && !(l->primary && summarised))
			add_reason(r, "sink %u (%s): %" PRIu64 " frames dropped (%s)", l->index,
			           l->format->name, l->dropped[i],
			           frame_reason_name(FRAME_DROPPED, i));
	if (unfinished)
		add_reason(r, "sink %u (%s): %u files left unfinished", l->index, l->format->name,
		           unfinished);
	if (l->ledger_damaged)
		add_reason(r, "sink %u (%s): the ledger is not whole, memory ran out", l->index,
		           l->format->name);
}

/* What lane i's reports are made from; `journal` holds its file name. */
static struct report_source source_of(const struct sinks *s, unsigned i, uint64_t journal_bytes,
                                      char journal[32])
{
	const struct lane *l = &s->lanes[i];
	struct report_source source = { .io = writer_disk(s->writer),
		                        .folder = s->parents[s->parent_of[s->primary]].series,
		                        .journal = journal,
		                        .journal_bytes = journal_bytes,
		                        .lost = &l->lost,
		                        .series = s->series,
		                        .rotation = &s->config->rotation,
		                        .step = s->config->series.step ? s->config->series.step : 1,
		                        .suffix = l->format->suffix,
		                        .files = l->ended,
		                        .file_count = l->ended_count };

	for (size_t k = 0; k < l->ended_count; k++)
		source.any_unfinished = source.any_unfinished || l->ended[k].unfinished;
	sinks_journal_name(s, i, journal);
	return source;
}

static int report_lane(struct sinks *s, unsigned i, uint64_t journal_bytes, char name[32])
{
	char journal[32];
	struct report_source source = source_of(s, i, journal_bytes, journal);

	if (i == s->primary)
		snprintf(name, 32, "frames.csv");
	else
		snprintf(name, 32, "sink-%u.csv", i);
	return journal_bytes ? report_frames(&source, name) : -ENOENT;
}

static void report_or_say(struct sinks *s, struct reasons *r, const char *name, int error)
{
	if (!error)
		return;
	sinks_say_failed(s, name, error);
	add_reason(r, "%s: %s", name, strerror(-error));
}

static void write_reports(struct sinks *s, const struct sink_summary *summary, struct reasons *r,
                          const uint64_t *journal_bytes)
{
	const struct folder_parent *ledger = &s->parents[s->parent_of[s->primary]];
	char name[32];
	int err;

	if (ledger->series < 0) {
		add_reason(r, "no series folder: %s", strerror(-ledger->error));
		return;
	}
	for (unsigned i = 0; i < s->lane_count; i++) {
		add_lane_reasons(r, &s->lanes[i], summary->reason_count > 0);
		if (s->lanes[i].journalled) {
			err = report_lane(s, i, journal_bytes[i], name);
			report_or_say(s, r, name, err);
		}
	}
	err = report_histogram(writer_disk(s->writer), ledger->series, summary, false);
	report_or_say(s, r, "histogram.csv", err);
	if (s->checkpoint.fd >= 0 && !err)
		(void)disk_remove(writer_disk(s->writer), ledger->series, CHECKPOINT_NAME);
}

/* ---- masters of HDF5 series ---- */

/* Those of the calibration that was used last. */
static unsigned maps_of(const struct manifest *m, struct nexus_map *maps)
{
	unsigned count = 0;
	uint32_t last = 0;

	for (unsigned i = 0; i < m->calibration_count; i++)
		last = m->calibrations[i].id > last ? m->calibrations[i].id : last;
	for (unsigned i = 0; i < m->calibration_count && count < MAPS_MAX; i++) {
		const struct sink_calibration *c = &m->calibrations[i];

		if (c->pixels && c->id == last)
			maps[count++] = (struct nexus_map){ .role = c->role,
				                            .path = c->path,
				                            .crc32c = c->crc32c,
				                            .pixels = c->pixels,
				                            .width = c->width,
				                            .height = c->height };
	}
	return count;
}

static int write_master(struct sinks *s, unsigned i, uint64_t journal_bytes,
                        const struct manifest *m, const struct sink_summary *summary, char why[256])
{
	struct lane *l = &s->lanes[i];
	struct nexus_map maps[MAPS_MAX];
	char journal[32];
	struct report_source ledger = source_of(s, i, journal_bytes, journal);
	char *manifest = manifest_text(m);
	struct master_source source = {
		.ledger = &ledger,
		.folder = s->parents[s->parent_of[i]].series,
		.shape = &l->shape,
		.source = l->config->product == PRODUCT_SOURCE,
		.average = s->config->reduce.average ? s->config->reduce.average : 1,
		.reduce = &s->config->reduce,
		.dose_applied = s->config->beam.use == BEAM_APPLY,
		.name = s->name,
		.version = s->program.version,
		.ingest_name = s->config->ingest.name,
		.maps = maps,
		.map_count = maps_of(m, maps),
		.raw = { summary->raw_bins, summary->raw_counts, summary->raw_tails },
		.normalised = { summary->normalised_bins, summary->normalised_counts,
		                summary->normalised_tails },
		.manifest_json = manifest,
		.config_json = s->program.config_json,
		.start_ns = s->started_ns,
		.end_ns = m->end_ns,
		.detector_description = summary->detector ? summary->detector->description : NULL,
		.exposure_s = summary->detector ? summary->detector->exposure_s : 0,
		.period_s = summary->detector ? summary->detector->period_s : 0,
	};
	int err = master_write(&source, why);

	free(manifest);
	return err;
}

static void write_masters(struct sinks *s, const uint64_t *journal_bytes, const struct manifest *m,
                          const struct sink_summary *summary, struct reasons *r)
{
	for (unsigned i = 0; i < s->lane_count; i++) {
		char why[256] = "", text[4608];
		int err;

		if (s->lanes[i].format->id != SINK_HDF5 || !journal_bytes[i] ||
		    s->parents[s->parent_of[i]].series < 0)
			continue;
		err = write_master(s, i, journal_bytes[i], m, summary, why);
		if (!err)
			err = disk_sync(writer_disk(s->writer), s->parents[s->parent_of[i]].series);
		if (!err)
			continue;
		snprintf(text, sizeof text,
		         "cannot write %s/%s.h5: %s: the data files are whole, openbeam recover "
		         "makes it again",
		         s->parents[s->parent_of[i]].series_path, s->series,
		         why[0] ? why : strerror(-err));
		sinks_say(s, SINK_ERROR, text);
		add_reason(r, "%.100s.h5: %.40s", s->series, why[0] ? why : strerror(-err));
	}
}

/* What viewers lose is no reason for the series to be incomplete, but not silent either. */
static void say_lost_to_viewers(struct sinks *s, const struct lane *l)
{
	const struct stream_figures *f = stream_figures(l->stream);
	char text[480];

	if (f->lost == 0)
		return;
	snprintf(text, sizeof text,
	         "sink %u (stream): %" PRIu64 " of %" PRIu64
	         " frames were lost to viewers of %s, too slow or not there; the series is not "
	         "concerned",
	         l->index, f->lost, f->lost + f->sent, stream_summary(l->stream));
	sinks_say(s, SINK_INFO, text);
}

static void close_folders(struct sinks *s)
{
	for (unsigned i = 0; i < s->parent_count; i++) {
		if (s->parents[i].series >= 0)
			close(s->parents[i].series);
		s->parents[i].series = -1;
	}
}

/* The manifest of the series that ends, as far as `r` knows. */
static struct manifest final_manifest(const struct sinks *s, const struct sink_summary *summary,
                                      const struct reasons *r)
{
	struct manifest m = sinks_manifest(s);

	m.state = r->count ? MANIFEST_INCOMPLETE : MANIFEST_COMPLETE;
	m.end_ns = writer_clock_ns(CLOCK_REALTIME);
	m.totals = summary->totals;
	m.expected_from = summary->expected_from;
	m.stopped = summary->stopped;
	m.detector = summary->detector;
	if (summary->calibrations) {
		m.calibrations = summary->calibrations;
		m.calibration_count = summary->calibration_count;
	}
	m.raw_percentiles = summary->raw_percentiles;
	m.percentiles = summary->percentiles;
	m.findings = summary->findings;
	m.finding_count = summary->finding_count;
	m.findings_left_out = summary->findings_left_out;
	m.latency = summary->latency;
	m.latency_count = summary->latency_count;
	m.losses = summary->losses;
	m.loss_count = summary->loss_count;
	m.flow = summary->flow;
	m.reasons = r->at;
	m.reason_count = r->count;
	return m;
}

bool sinks_end(struct sinks *s, const struct sink_summary *summary)
{
	uint64_t journal_bytes[CONFIG_SINKS_MAX];
	int locks[CONFIG_SINKS_MAX];
	struct reasons reasons = { 0 };
	struct manifest manifest;
	int err;

	assert(s->running);
	sinks_run_until(s, lane_end, lane_is_ended);
	while (!checkpoint_idle(&s->checkpoint))
		(void)writer_wait(s->writer, WAIT_NS);
	for (unsigned i = 0; i < summary->reason_count && reasons.count < REASONS_MAX; i++)
		reasons.at[reasons.count++] = summary->reasons[i];
	/* All journals first: what they had allocated is the room for the reports. Their locks stay
	 * until the last of those is there. */
	for (unsigned i = 0; i < s->lane_count; i++) {
		locks[i] = s->lanes[i].journal.fd < 0 ? -1 : dup(s->lanes[i].journal.fd);
		lane_finish(&s->lanes[i], &journal_bytes[i]);
	}
	write_reports(s, summary, &reasons, journal_bytes);
	manifest = final_manifest(s, summary, &reasons);
	write_masters(s, journal_bytes, &manifest, summary, &reasons);
	manifest = final_manifest(s, summary, &reasons);
	err = sinks_write_manifest(s, &manifest);
	if (err)
		sinks_say_failed(s, "manifest.json", err);
	for (unsigned i = 0; i < s->lane_count; i++)
		if (locks[i] >= 0)
			close(locks[i]);
	for (unsigned i = 0; i < s->lane_count; i++)
		if (s->lanes[i].stream)
			say_lost_to_viewers(s, &s->lanes[i]);
	checkpoint_close(&s->checkpoint);
	sinks_say_rest(s);
	close_folders(s);
	s->running = false;
	return reasons.count == 0 && !err;
}
