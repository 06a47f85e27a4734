/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/sinks_state.h"

#include "sinks/manifest.h"
#include "sinks/report.h"
#include "sinks/stream.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The beginning and the end of a series: folders, journals, reports. */

#define REASONS_MAX 32

/* What makes a series incomplete, for the manifest. */
struct reasons {
	unsigned count;
	const char *at[REASONS_MAX]; /* the summary's, then those in text[] */
	char text[REASONS_MAX][160];
};

static int make_folders(struct sinks *s)
{
	int err = folder_make(s->parents, s->parent_count, s->name, s->series, &s->number);

	for (unsigned i = 0; i < s->parent_count; i++) {
		char text[4352];

		if (!s->parents[i].error)
			continue;
		snprintf(text, sizeof text, "cannot make the series folder %s: %s",
		         s->parents[i].series_path, strerror(-s->parents[i].error));
		sinks_say(s, SINK_ERROR, text);
	}
	snprintf(s->path, sizeof s->path, "%s", s->parents[s->parent_of[s->primary]].series_path);
	return err;
}

static bool is_integer(enum product_type t)
{
	return t != PRODUCT_FLOAT32;
}

static void journal_name(const struct sinks *s, unsigned i, char name[32])
{
	if (i == s->primary)
		snprintf(name, 32, "journal.bin");
	else
		snprintf(name, 32, "journal-%u.bin", i);
}

static void begin_stream(struct sinks *s, struct lane *l)
{
	bool averaged = l->config->product == PRODUCT_REDUCED && s->config->reduce.average > 1;
	uint64_t step = s->config->series.step ? s->config->series.step : 1;

	stream_begin(l->stream, &l->shape, s->series,
	             averaged ? step * s->config->reduce.average : step);
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

static int begin_lane(struct sinks *s, unsigned i)
{
	const struct config_reduce *r = &s->config->reduce;
	const struct folder_parent *parent = &s->parents[s->parent_of[i]];
	const struct folder_parent *ledger = &s->parents[s->parent_of[s->primary]];
	bool has = s->lanes[i].directory >= 0, reduced;
	char journal[32];
	struct lane_series series = { .name = s->series,
		                      .path = has ? parent->series_path : "",
		                      .folder = -1,
		                      .ledger = ledger->series,
		                      .journal = journal,
		                      .number = s->number,
		                      .started_ns = s->started_ns,
		                      .step = s->config->series.step ? s->config->series.step : 1,
		                      .window_low = r->window_low,
		                      .window_high = r->window_high,
		                      .version = s->program.version };

	journal_name(s, i, journal);
	reduced = s->lanes[i].config->product == PRODUCT_REDUCED && r->type != REDUCE_SOURCE;
	series.window = reduced && is_integer(s->lanes[i].shape.type);
	/* Without a flat the pixels are counts, whatever the window says. */
	series.display = reduced && !series.window && r->normalise == NORMALISE_TRANSMISSION &&
	                 s->config->calibration.flat && s->config->calibration.flat[0] != '\0';
	if (s->lanes[i].stream)
		begin_stream(s, &s->lanes[i]);
	if (!has) { /* a further null or stream sink keeps no ledger */
		series.folder = series.ledger = -1;
		return lane_begin(&s->lanes[i], &series);
	}
	series.error = parent->error ? parent->error : ledger->error;
	if (parent->series >= 0)
		series.folder = dup(parent->series);
	if (parent->series >= 0 && series.folder < 0)
		series.error = -errno;
	return lane_begin(&s->lanes[i], &series);
}

static int write_manifest(struct sinks *s, enum manifest_state state, uint64_t end_ns,
                          const struct sink_summary *summary, const struct reasons *reasons)
{
	const struct folder_parent *ledger = &s->parents[s->parent_of[s->primary]];
	struct manifest m = { .state = state,
		              .program = &s->program,
		              .series = s->series,
		              .name = s->name,
		              .number = s->number,
		              .path = s->path,
		              .start_ns = s->started_ns,
		              .end_ns = end_ns,
		              .geometry = &s->geometry,
		              .lanes = s->lanes,
		              .lane_count = s->lane_count,
		              .totals = summary ? summary->totals : NULL,
		              .expected_from = summary ? summary->expected_from : NULL,
		              .detector = summary ? summary->detector : NULL,
		              .reasons = reasons ? reasons->at : NULL,
		              .reason_count = reasons ? reasons->count : 0 };
	int err;

	if (ledger->series < 0)
		return ledger->error;
	err = manifest_write(ledger->series, &m);
	if (!err && fsync(ledger->series) < 0)
		err = -errno;
	return err;
}

static void say_failed(struct sinks *s, const char *name, int error)
{
	char text[4352];

	snprintf(text, sizeof text, "cannot write %s/%s: %s", s->path, name, strerror(-error));
	sinks_say(s, SINK_ERROR, text);
}

int sinks_begin(struct sinks *s, const char *name)
{
	int err, first = 0;

	assert(s->laid_out && !s->running);
	(void)writer_adopt(s->writer);
	if (folder_clean_name(s->name, name)) {
		char text[320];

		snprintf(text, sizeof text,
		         "series name changed to %s: %.100s is none for a folder", s->name, name);
		sinks_say(s, SINK_WARNING, text);
	}
	s->started_ns = writer_clock_ns(CLOCK_REALTIME);
	s->now_ns = writer_clock_ns(CLOCK_MONOTONIC);
	first = make_folders(s);
	for (unsigned i = 0; i < s->lane_count; i++) {
		err = begin_lane(s, i);
		first = first ? first : err;
	}
	s->running = true;
	err = write_manifest(s, MANIFEST_RUNNING, 0, NULL, NULL);
	if (err)
		say_failed(s, "manifest.json", err);
	return first ? first : err;
}

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

static int report_lane(struct sinks *s, unsigned i, uint64_t journal_bytes, char name[32])
{
	const struct lane *l = &s->lanes[i];
	char journal[32];
	struct report_source source = { .folder = s->parents[s->parent_of[s->primary]].series,
		                        .journal = journal,
		                        .journal_bytes = journal_bytes,
		                        .lost = &l->lost,
		                        .series = s->series,
		                        .suffix = l->format->suffix,
		                        .files = l->ended,
		                        .file_count = l->ended_count };

	for (size_t k = 0; k < l->ended_count; k++)
		source.any_unfinished = source.any_unfinished || l->ended[k].unfinished;
	journal_name(s, i, journal);
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
	say_failed(s, name, error);
	add_reason(r, "%s: %s", name, strerror(-error));
}

static void write_reports(struct sinks *s, const struct sink_summary *summary, struct reasons *r)
{
	uint64_t journal_bytes[CONFIG_SINKS_MAX];
	const struct folder_parent *ledger = &s->parents[s->parent_of[s->primary]];
	char name[32];

	/* All journals first: what they had allocated is the room for the reports. */
	for (unsigned i = 0; i < s->lane_count; i++)
		lane_finish(&s->lanes[i], &journal_bytes[i]);
	if (ledger->series < 0) {
		add_reason(r, "no series folder: %s", strerror(-ledger->error));
		return;
	}
	for (unsigned i = 0; i < s->lane_count; i++) {
		add_lane_reasons(r, &s->lanes[i], summary->reason_count > 0);
		if (s->lanes[i].journalled) {
			int err = report_lane(s, i, journal_bytes[i], name);

			report_or_say(s, r, name, err);
		}
	}
	report_or_say(s, r, "histogram.csv", report_histogram(ledger->series, summary));
}

static void close_folders(struct sinks *s)
{
	for (unsigned i = 0; i < s->parent_count; i++) {
		if (s->parents[i].series >= 0)
			close(s->parents[i].series);
		s->parents[i].series = -1;
	}
}

bool sinks_end(struct sinks *s, const struct sink_summary *summary)
{
	struct reasons reasons = { 0 };
	int err;

	assert(s->running);
	sinks_run_until(s, lane_end, lane_is_ended);
	for (unsigned i = 0; i < summary->reason_count && reasons.count < REASONS_MAX; i++)
		reasons.at[reasons.count++] = summary->reasons[i];
	write_reports(s, summary, &reasons);
	err = write_manifest(s, reasons.count ? MANIFEST_INCOMPLETE : MANIFEST_COMPLETE,
	                     writer_clock_ns(CLOCK_REALTIME), summary, &reasons);
	if (err)
		say_failed(s, "manifest.json", err);
	for (unsigned i = 0; i < s->lane_count; i++)
		if (s->lanes[i].stream)
			say_lost_to_viewers(s, &s->lanes[i]);
	sinks_say_rest(s);
	close_folders(s);
	s->running = false;
	return reasons.count == 0 && !err;
}
