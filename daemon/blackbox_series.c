/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/blackbox_series.h"
#include "daemon/idle.h"
#include "daemon/log.h"
#include "daemon/pipeline.h"
#include "daemon/version.h"
#include "kernels/cpu.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS    8u
#define WAIT_MS  20
#define GAP_MOST 100000 /* numbers noted as missing between two frames */

__attribute__((format(printf, 2, 3))) static void complain(struct blackbox_series *s,
                                                           const char *format, ...)
{
	va_list arguments;

	if (s->error[0])
		return;
	va_start(arguments, format);
	vsnprintf(s->error, sizeof s->error, format, arguments);
	va_end(arguments);
	log_line(LOG_ERROR, "blackbox", "%s", s->error);
}

/* ---- what the sinks say ---- */

static void released(void *user, void *owner)
{
	struct blackbox_series *s = user;

	s->spare[(struct slot *)owner - s->unpacker.layout.slots] = true;
}

static void settled(void *user, uint64_t number, enum frame_state state, unsigned reason,
                    bool revoked)
{
	struct blackbox_series *s = user;

	(void)number;
	if (state == FRAME_WRITTEN) {
		s->totals.written++;
		return;
	}
	s->totals.written -= revoked;
	s->totals.dropped[reason]++;
}

static void became_durable(void *user, uint64_t frames)
{
	struct blackbox_series *s = user;

	s->totals.durable += frames;
}

static void say(void *user, enum sink_say level, const char *text)
{
	struct blackbox_series *s = user;

	if (level == SINK_ERROR && !s->error[0])
		complain(s, "%s", text);
	else if (level != SINK_INFO)
		log_line(level == SINK_ERROR ? LOG_ERROR : LOG_WARNING, "blackbox", "%s", text);
}

/* ---- one series ---- */

static struct sink_histograms histograms_of(const struct blackbox_series *s)
{
	return (struct sink_histograms){ .raw_bins = s->unpacker.layout.plan.raw_bins,
		                         .normalised_bins = s->unpacker.layout.plan.normalised_bins,
		                         .raw_counts = s->raw_counts,
		                         .normalised_counts = s->normalised_counts,
		                         .raw_tails = &s->raw_tails,
		                         .normalised_tails = &s->normalised_tails };
}

static const char *reason_text(const struct blackbox_series *s, char ret[64])
{
	uint64_t dropped = 0;

	for (unsigned i = 0; i < DROPPED_COUNT; i++)
		dropped += s->totals.dropped[i];
	snprintf(ret, 64, "%llu frames were not kept or not written", (unsigned long long)dropped);
	return dropped ? ret : NULL;
}

static void end_series(struct blackbox_series *s)
{
	const struct reduce_plan *p = &s->unpacker.layout.plan;
	char text[64];
	const char *reason;

	if (!s->running)
		return;
	s->running = false;
	sinks_drain(s->sinks);
	reason = reason_text(s, text);
	const struct sink_summary summary = {
		.totals = &s->totals,
		.expected_from = "seen",
		.reasons = &reason,
		.reason_count = reason != NULL,
		.raw_bins = p->raw_bins,
		.normalised_bins = p->normalised_bins,
		.raw_counts = s->raw_counts,
		.normalised_counts = s->normalised_counts,
		.raw_tails = s->raw_tails,
		.normalised_tails = s->normalised_tails,
	};
	if (!sinks_end(s->sinks, &summary) && reason)
		complain(s, "the black box's series is incomplete: %s", reason);
	s->frames += s->totals.written;
	s->series_count++;
}

static void begin_series(struct blackbox_series *s, const struct kept *f)
{
	const struct reduce_plan *p = &s->unpacker.layout.plan;
	struct sink_histograms histograms = histograms_of(s);
	struct sink_pixels pixels = layout_pixels(&s->unpacker.layout);
	char name[128];
	const struct sink_start start = { .name = name,
		                          .first_known = true,
		                          .first = f->frame.number,
		                          .expected_from = "seen",
		                          .histograms = &histograms,
		                          .kind = "blackbox",
		                          .why = s->why,
		                          .pixels = &pixels };

	snprintf(name, sizeof name, "%s-event", s->pipeline->config->series.name);
	memset(s->raw_counts, 0, (p->raw_bins.bins + 1) * sizeof *s->raw_counts);
	memset(s->normalised_counts, 0, p->normalised_bins.bins * sizeof *s->normalised_counts);
	s->raw_tails = s->normalised_tails = (struct histogram_tails){ 0 };
	s->totals = (struct totals){ 0 };
	sinks_begin(s->sinks, &start);
	snprintf(s->path, sizeof s->path, "%s", sinks_series_path(s->sinks));
	s->running = true;
	s->series = f->series;
	s->newest = f->frame.number;
}

/* ---- one geometry ---- */

static void close_geometry(struct blackbox_series *s)
{
	end_series(s);
	sinks_close(s->sinks);
	s->sinks = NULL;
	unpacker_close(&s->unpacker);
	free(s->config_json);
	free(s->raw_counts);
	free(s->normalised_counts);
	s->config_json = NULL;
	s->raw_counts = s->normalised_counts = NULL;
}

static int open_sinks(struct blackbox_series *s, char why[400])
{
	struct sink_callbacks callbacks = { s, released, settled, became_durable, say, NULL, NULL };
	struct sink_program program = { .version = OPENBEAM_VERSION,
		                        .commit = OPENBEAM_COMMIT,
		                        .isa = cpu_level_name(s->pipeline->cpu),
		                        .config_json = s->config_json };
	int err = sinks_open(&s->sinks, &s->unpacker.config, &program, &callbacks, s->wake_fd, why);

	if (err < 0)
		return err;
	err = sinks_lay_out(s->sinks, &s->unpacker.layout.geometry);
	if (err < 0)
		snprintf(why, 400, "the sinks refuse frames of %u x %u: %s", s->shape.width,
		         s->shape.height, strerror(-err));
	return err;
}

static bool open_geometry(struct blackbox_series *s, const struct frame_shape *shape)
{
	char why[400];
	int err = unpacker_open(&s->unpacker, s->pipeline->config, s->sink, NULL, shape,
	                        s->pipeline->cpu, SLOTS, why);

	s->shape = *shape;
	if (err == 0) {
		const struct reduce_plan *p = &s->unpacker.layout.plan;

		snprintf(why, sizeof why, "no memory");
		memset(s->spare, true, sizeof s->spare);
		s->config_json = config_json(&s->unpacker.config);
		s->raw_counts = calloc(p->raw_bins.bins + 1, sizeof *s->raw_counts);
		s->normalised_counts = calloc(p->normalised_bins.bins, sizeof *s->raw_counts);
		err = s->config_json && s->raw_counts && s->normalised_counts ? 0 : -ENOMEM;
	}
	if (err == -ENOMEM)
		snprintf(why, sizeof why, "no memory");
	if (err == 0)
		err = open_sinks(s, why);
	if (err == 0)
		return true;
	complain(s, "the black box cannot be written: %s", why);
	close_geometry(s);
	return false;
}

/* ---- frames ---- */

static bool is_aborted(const struct blackbox_series *s)
{
	/* relaxed: a moment later will do. */
	return atomic_load_explicit(&s->pipeline->phase, memory_order_relaxed) == PHASE_ABORT;
}

static struct slot *find_spare(struct blackbox_series *s)
{
	sinks_poll(s->sinks, clock_monotonic_ns());
	for (unsigned i = 0; i < SLOTS; i++)
		if (s->spare[i]) {
			s->spare[i] = false;
			return &s->unpacker.layout.slots[i];
		}
	return NULL;
}

/* Waits for the disk; NULL when the run is aborted. */
static struct slot *spare_slot(struct blackbox_series *s)
{
	struct bell *bell = &s->pipeline->blackbox.bell;
	struct slot *found;

	while (!(found = find_spare(s)) && !is_aborted(s)) {
		bell_sleep(bell, WAIT_MS);
		bell_leave(bell);
	}
	return found;
}

static void lose(struct blackbox_series *s, const struct kept *f, enum dropped reason)
{
	s->totals.received++;
	s->totals.expected++;
	s->totals.dropped[reason]++;
	sinks_lose(s->sinks, f->frame.number, FRAME_DROPPED, reason, f->frame.flags,
	           f->frame.received_ns);
}

/* Numbers between the last frame and this one never came, or were lost before. */
static void note_gap(struct blackbox_series *s, uint64_t number)
{
	uint64_t step = s->pipeline->config->series.step;

	for (uint64_t n = s->newest + step; n < number; n += step) {
		s->totals.expected++;
		s->totals.missing[MISSING_NEVER]++;
		sinks_lose(s->sinks, n, FRAME_MISSING, MISSING_NEVER, 0, 0);
	}
}

static void count(struct blackbox_series *s, const struct slot *slot)
{
	const struct reduce_plan *p = &s->unpacker.layout.plan;

	for (uint32_t i = 0; i < p->raw_bins.bins; i++)
		s->raw_counts[i] += slot->raw_counts[i];
	for (uint32_t i = 0; i < p->normalised_bins.bins; i++)
		s->normalised_counts[i] += slot->normalised_counts[i];
	histogram_tails_add(&s->raw_tails, &slot->reduction.raw_tails);
	histogram_tails_add(&s->normalised_tails, &slot->reduction.normalised_tails);
}

static void write_frame(struct blackbox_series *s, const struct kept *f)
{
	struct slot *slot = is_aborted(s) ? NULL : spare_slot(s);

	if (!slot) {
		lose(s, f, DROPPED_ABORTED);
		return;
	}
	if (!unpacker_run(&s->unpacker, f, slot)) {
		s->spare[slot - s->unpacker.layout.slots] = true;
		lose(s, f, DROPPED_DECODE);
		return;
	}
	struct sink_frame out = collector_frame(slot);

	out.calibration = 0;
	s->totals.received++;
	s->totals.expected++;
	s->totals.flagged += (f->frame.flags & FRAME_INCOMPLETE) != 0;
	count(s, slot);
	sinks_put(s->sinks, &out);
}

/* Whether the frame can follow those of the running series. */
static bool follows(const struct blackbox_series *s, const struct kept *f)
{
	return s->running && f->series == s->series && f->frame.number > s->newest &&
	       (f->frame.number - s->newest) / s->pipeline->config->series.step < GAP_MOST;
}

void blackbox_series_put(struct blackbox_series *s, const struct kept *f)
{
	struct frame_shape shape = shape_of_frame(&f->frame);

	shape.compressed = true; /* or not */
	if (s->sinks && !shape_fits(&s->shape, &shape))
		close_geometry(s);
	if (!s->sinks && !open_geometry(s, &shape))
		return;
	if (!follows(s, f)) {
		end_series(s);
		begin_series(s, f);
	} else {
		note_gap(s, f->frame.number);
	}
	if (kept_whole(f))
		write_frame(s, f);
	else
		lose(s, f, DROPPED_OVERLOAD);
	s->newest = f->frame.number;
	sinks_poll(s->sinks, clock_monotonic_ns());
}

void blackbox_series_poll(struct blackbox_series *s)
{
	if (s->sinks)
		sinks_poll(s->sinks, clock_monotonic_ns());
}

void blackbox_series_init(struct blackbox_series *s, struct pipeline *p,
                          const struct config_sink *sink, int wake_fd, const char *why)
{
	*s = (struct blackbox_series){
		.pipeline = p, .sink = sink, .wake_fd = wake_fd, .why = why
	};
}

void blackbox_series_finish(struct blackbox_series *s)
{
	close_geometry(s);
}
