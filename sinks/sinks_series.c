/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/sinks_state.h"

#include "sinks/manifest.h"
#include "sinks/stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The beginning of a series: folders, journals, the manifest. */

static bool is_of_another(const struct sinks *s, const struct folder_parent *p, int directory)
{
	for (unsigned i = 0; i < s->parent_count; i++)
		if (&s->parents[i] != p && folder_is_same(s->parents[i].directory, directory))
			return true;
	return false;
}

/* Go where the path leads now: what was there was removed, moved, or is mounted over. */
static void follow(struct sinks *s, unsigned parent)
{
	struct folder_parent *p = &s->parents[parent];
	char why[256], text[4608];
	int directory;
	bool direct;

	if (folder_is_at(p->path, p->directory))
		return;
	if (folder_prove(writer_disk(s->writer), p->path, DIRECT_AUTO, &directory, &direct, why)) {
		sinks_say(s, SINK_ERROR, why);
		return;
	}
	if (!is_of_another(s, p, directory) && dup3(directory, p->directory, O_CLOEXEC) >= 0) {
		for (unsigned i = 0; i < s->lane_count; i++)
			if (s->parent_of[i] == parent && s->lanes[i].config->direct == DIRECT_AUTO)
				s->lanes[i].direct = s->lanes[i].direct && direct;
		snprintf(text, sizeof text, "%s is another directory now", p->path);
		sinks_say(s, SINK_WARNING, text);
	}
	close(directory);
}

static int make_folders(struct sinks *s)
{
	int err;

	for (unsigned i = 0; i < s->parent_count; i++)
		follow(s, i);
	err = folder_make(writer_disk(s->writer), s->parents, s->parent_count, s->name, s->series,
	                  &s->number);
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

void sinks_journal_name(const struct sinks *s, unsigned i, char name[32])
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

static int begin_lane(struct sinks *s, const struct sink_start *start, unsigned i)
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
		                      .start = start,
		                      .average = r->average ? r->average : 1,
		                      .rotation = &s->config->rotation,
		                      .normalise = r->normalise,
		                      .window_low = r->window_low,
		                      .window_high = r->window_high,
		                      .version = s->program.version };

	sinks_journal_name(s, i, journal);
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

static void keep_start(struct sinks *s, const struct sink_start *start)
{
	s->kind = start->kind ? start->kind : "sample";
	snprintf(s->why, sizeof s->why, "%s", start->why ? start->why : "");
	s->has_pixels = start->pixels != NULL;
	if (start->pixels)
		s->pixels = *start->pixels;
	s->calibrations = start->calibrations;
	s->calibration_count = start->calibration_count;
	s->stopped = NULL;
}

struct manifest sinks_manifest(const struct sinks *s)
{
	return (struct manifest){ .state = MANIFEST_RUNNING,
		                  .program = &s->program,
		                  .series = s->series,
		                  .name = s->name,
		                  .number = s->number,
		                  .path = s->path,
		                  .start_ns = s->started_ns,
		                  .geometry = &s->geometry,
		                  .lanes = s->lanes,
		                  .lane_count = s->lane_count,
		                  .kind = s->kind,
		                  .why = s->why,
		                  .pixels = s->has_pixels ? &s->pixels : NULL,
		                  .regions = s->config->regions,
		                  .region_count = s->config->region_count,
		                  .stopped = s->stopped,
		                  .calibrations = s->calibrations,
		                  .calibration_count = s->calibration_count };
}

int sinks_write_manifest(struct sinks *s, const struct manifest *m)
{
	const struct folder_parent *ledger = &s->parents[s->parent_of[s->primary]];
	int err;

	if (ledger->series < 0)
		return ledger->error;
	err = manifest_write(writer_disk(s->writer), ledger->series, m);
	return err ? err : disk_sync(writer_disk(s->writer), ledger->series);
}

void sinks_say_failed(struct sinks *s, const char *name, int error)
{
	char text[4352];

	snprintf(text, sizeof text, "cannot write %s/%s: %s", s->path, name, strerror(-error));
	sinks_say(s, SINK_ERROR, text);
}

static void open_checkpoint(struct sinks *s, const struct sink_start *start)
{
	const struct folder_parent *ledger = &s->parents[s->parent_of[s->primary]];
	int err;

	s->put_frames = s->newest = 0;
	if (ledger->series < 0 || !start->histograms)
		return;
	s->histograms = *start->histograms;
	err = checkpoint_open(&s->checkpoint, s->writer, ledger->series, &s->histograms);
	if (err)
		sinks_say_failed(s, CHECKPOINT_NAME, err);
}

/* Programs that reconstruct have no use for a stack without angles. */
static void say_without_angles(struct sinks *s)
{
	const char *key = s->config->ingest.rotation_key;

	if (!s->config->rotation.start_auto || (key && key[0]))
		return;
	for (unsigned i = 0; i < s->lane_count; i++) {
		if (s->lanes[i].format->id != SINK_HDF5)
			continue;
		sinks_say(s, SINK_WARNING,
		          "the HDF5 files have no rotation angles, which httomo and Savu need: "
		          "set rotation.start and rotation.step, or rotation.from_key");
		return;
	}
}

static int write_running(struct sinks *s)
{
	struct manifest manifest = sinks_manifest(s);
	int err = sinks_write_manifest(s, &manifest);

	if (err)
		sinks_say_failed(s, "manifest.json", err);
	return err;
}

void sinks_calibrated(struct sinks *s, const struct sink_calibration *calibrations, unsigned count)
{
	if (!s->running)
		return;
	s->calibrations = calibrations;
	s->calibration_count = count;
	(void)write_running(s);
}

void sinks_stopped(struct sinks *s, const struct sink_stop *stopped)
{
	if (!s->running)
		return;
	s->stopped = stopped;
	(void)write_running(s);
}

int sinks_begin(struct sinks *s, const struct sink_start *start)
{
	int err, first = 0;

	assert(s->laid_out && !s->running);
	(void)writer_adopt(s->writer);
	if (folder_clean_name(s->name, start->name)) {
		char text[320];

		snprintf(text, sizeof text,
		         "series name changed to %s: %.100s is none for a folder", s->name,
		         start->name);
		sinks_say(s, SINK_WARNING, text);
	}
	say_without_angles(s);
	keep_start(s, start);
	s->started_ns = writer_clock_ns(CLOCK_REALTIME);
	s->now_ns = writer_clock_ns(CLOCK_MONOTONIC);
	first = make_folders(s);
	for (unsigned i = 0; i < s->lane_count; i++) {
		err = begin_lane(s, start, i);
		first = first ? first : err;
	}
	s->running = true;
	open_checkpoint(s, start);
	err = write_running(s);
	return first ? first : err;
}
