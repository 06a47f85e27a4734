/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/replay_parts.h"

#include "daemon/version.h"
#include "kernels/cpu.h"
#include "kernels/pack.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SLOTS    8
#define PAGE     4096u
#define WAIT_MS  20
#define LOST_MAX (UINT64_C(1) << 24) /* numbers that are noted as lost */

/* Memory of one product that is on its way to the disk. */
struct write_slot {
	void *reduced, *packed; /* packed NULL: not wanted */
	bool busy;
};

struct replay_writer {
	struct replay *replay;
	struct sinks *sinks;
	int wake;
	char *config_json;
	struct sink_memory memory;
	struct write_slot slots[SLOTS];
	struct write_slot *current; /* being filled */
	void *pack_scratch;
	struct totals totals;
};

static size_t round_up(size_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- what the sinks say ---- */

static void on_released(void *user, void *owner)
{
	struct write_slot *s = owner;

	(void)user;
	if (s)
		s->busy = false;
}

static void on_settled(void *user, uint64_t number, enum frame_state state, unsigned reason,
                       bool revoked)
{
	struct replay_writer *w = user;

	(void)number;
	if (state == FRAME_WRITTEN)
		w->totals.written++;
	else
		w->totals.dropped[reason]++;
	w->totals.written -= revoked;
}

static void on_durable(void *user, uint64_t frames)
{
	struct replay_writer *w = user;

	w->totals.durable += frames;
}

static void on_say(void *user, enum sink_say level, const char *text)
{
	const struct replay_writer *w = user;

	if (level != SINK_INFO)
		replay_say(w->replay, "%.900s", text);
}

/* ---- opening ---- */

static bool is_kept(const struct config_sink *s)
{
	return s->product == PRODUCT_REDUCED &&
	       (s->format == SINK_TIFF || s->format == SINK_HDF5 || s->format == SINK_RAW);
}

/* The first sink of the configuration that keeps the reduced product, or TIFF. */
static const struct config_sink *sink_like(struct replay *r)
{
	char *problems = NULL;

	for (unsigned i = 0; i < r->config.sink_count; i++)
		if (is_kept(&r->config.sinks[i]))
			return &r->config.sinks[i];
	if (config_parse(&r->defaults, NULL, 0, "", NULL, 0, &problems) == 0)
		return &r->defaults.sinks[0];
	free(problems);
	return NULL;
}

int replay_write_configure(struct replay *r)
{
	const struct config_sink *like = r->options->to ? sink_like(r) : NULL;

	r->planned.sink_count = 0;
	if (!r->options->to)
		return 0;
	if (!like)
		return replay_refuse(r, -ENOMEM, "no memory for a configuration");
	r->planned.sinks[0] = *like;
	r->planned.sinks[0].directory = (char *)r->options->to;
	r->planned.sink_count = 1;
	if (r->options->flats[0])
		r->planned.calibration.flat = (char *)r->options->flats[0];
	return 0;
}

static int allocate(struct replay_writer *w)
{
	const struct layout *l = &w->replay->layout;
	size_t reduced = round_up(l->geometry.reduced.bytes), packed = l->reduced_packed_room;
	char *at;

	w->memory.bytes = SLOTS * (reduced + packed);
	w->memory.at = aligned_alloc(PAGE, w->memory.bytes);
	if (packed)
		w->pack_scratch = aligned_alloc(64, (pack_scratch_bytes() + 63) / 64 * 64);
	if (!w->memory.at || (packed && !w->pack_scratch))
		return -ENOMEM;
	memset(w->memory.at, 0, w->memory.bytes);
	at = w->memory.at;
	for (unsigned i = 0; i < SLOTS; i++, at += reduced + packed)
		w->slots[i] = (struct write_slot){ .reduced = at,
			                           .packed = packed ? at + reduced : NULL };
	return 0;
}

static int open_sinks(struct replay_writer *w, char why[256])
{
	struct replay *r = w->replay;
	const struct sink_callbacks callbacks = { w,      on_released, on_settled, on_durable,
		                                  on_say, NULL,        NULL };
	struct sink_program program = { .version = OPENBEAM_VERSION,
		                        .commit = OPENBEAM_COMMIT,
		                        .isa = cpu_level_name(r->cpu),
		                        .config_json = w->config_json };
	struct sink_geometry g = { .reduced = r->layout.geometry.reduced,
		                   .memory = &w->memory,
		                   .memory_count = 1 };
	const struct sink_start start = { .name = r->config.series.name,
		                          .first_known = true,
		                          .first = r->recorded.first,
		                          .expected_from = "seen",
		                          .pixels = &r->pixels,
		                          .calibrations = r->listed,
		                          .calibration_count = r->listed_count };
	int err = sinks_open(&w->sinks, &r->planned, &program, &callbacks, w->wake, why);

	if (!err)
		err = sinks_lay_out(w->sinks, &g);
	if (!err)
		err = sinks_begin(w->sinks, &start);
	return err;
}

int replay_write_open(struct replay *r)
{
	struct replay_writer *w = calloc(1, sizeof *w);
	char why[256] = "";
	int err = -ENOMEM;

	if (!w)
		return replay_refuse(r, -ENOMEM, "no memory to write");
	*w = (struct replay_writer){ .replay = r, .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	r->writer = w;
	if (mkdir(r->options->to, 0777) < 0 && errno != EEXIST)
		return replay_refuse(r, -errno, "%.600s: %s", r->options->to, strerror(errno));
	w->config_json = config_json(&r->planned);
	if (w->config_json)
		err = allocate(w);
	if (!err)
		err = open_sinks(w, why);
	return err ? replay_refuse(r, err, "%.600s cannot be written: %s", r->options->to,
	                           *why ? why : strerror(-err))
	           : 0;
}

void replay_write_close(struct replay *r)
{
	struct replay_writer *w = r->writer;

	if (!w)
		return;
	sinks_close(w->sinks);
	if (w->wake >= 0)
		close(w->wake);
	free(w->memory.at);
	free(w->pack_scratch);
	free(w->config_json);
	free(w);
	r->writer = NULL;
}

/* ---- frames ---- */

static void wait_for_disk(const struct replay_writer *w)
{
	struct pollfd p = { .fd = w->wake, .events = POLLIN };
	uint64_t count;

	sinks_poll(w->sinks, monotonic_ns());
	if (poll(&p, 1, WAIT_MS) > 0 && read(w->wake, &count, sizeof count) < 0)
		return; /* somebody else took it */
	sinks_poll(w->sinks, monotonic_ns());
}

void *replay_write_buffer(struct replay *r)
{
	struct replay_writer *w = r->writer;

	while (!w->current) {
		for (unsigned i = 0; i < SLOTS && !w->current; i++)
			if (!w->slots[i].busy)
				w->current = &w->slots[i];
		if (!w->current)
			wait_for_disk(w);
	}
	return w->current->reduced;
}

static struct sink_frame frame_of(const struct replay_frame *f)
{
	return (struct sink_frame){ .number = f->record.number,
		                    .timestamp_ns = f->record.timestamp_ns,
		                    .received_ns = f->record.received_ns,
		                    .flags = f->record.flags,
		                    .rotation = f->record.rotation,
		                    .averaged = 1,
		                    .reduction = &f->reduction,
		                    .regions = f->regions,
		                    .calibration = f->calibration };
}

static void count(struct replay_writer *w, const struct replay_frame *f)
{
	w->totals.received++;
	w->totals.flagged += (f->record.flags & FRAME_INCOMPLETE) != 0;
}

static size_t pack(const struct replay_writer *w, const struct write_slot *s)
{
	const struct layout *l = &w->replay->layout;

	if (!s->packed)
		return 0;
	return pack_bslz4(s->packed, l->reduced_packed_room, s->reduced, l->geometry.reduced.bytes,
	                  product_bytes(l->geometry.reduced.type), shuffle_for(l->plan.cpu),
	                  w->pack_scratch);
}

void replay_write_put(struct replay *r, const struct replay_frame *f, uint32_t averaged)
{
	struct replay_writer *w = r->writer;
	struct write_slot *s = w->current;
	struct sink_frame out = frame_of(f);

	out.averaged = averaged;
	out.reduced = s->reduced;
	out.reduced_packed = s->packed;
	out.reduced_packed_bytes = pack(w, s);
	out.owner = s;
	s->busy = true;
	w->current = NULL;
	count(w, f);
	sinks_put(w->sinks, &out);
	sinks_poll(w->sinks, monotonic_ns());
}

void replay_write_join(struct replay *r, const struct replay_frame *f)
{
	struct replay_writer *w = r->writer;
	struct sink_frame out = frame_of(f);

	count(w, f);
	sinks_join(w->sinks, &out);
}

void replay_write_lose(struct replay *r, const struct journal_record *record)
{
	struct replay_writer *w = r->writer;

	if (record->state == FRAME_MISSING)
		w->totals.missing[record->reason]++;
	else
		w->totals.dropped[record->reason]++;
	sinks_lose(w->sinks, record->number, record->state, record->reason, record->flags,
	           record->received_ns);
}

/* ---- the end ---- */

/* What the recorded series lost, number by number. */
static void lose_what_was_lost(struct replay *r)
{
	uint64_t left = LOST_MAX;

	for (size_t i = 0; i < r->recorded.lost_count; i++) {
		struct journal_record loss;

		recorded_loss(&r->recorded, i, &loss);
		if (loss.state == FRAME_WRITTEN) { /* without pixels */
			loss.state = FRAME_DROPPED;
			loss.reason = DROPPED_WRITE;
		}
		for (uint64_t k = 0; k < loss.repeat && left > 0; k++, left--) {
			replay_write_lose(r, &loss);
			loss.number += loss.step;
		}
	}
	if (left == 0)
		replay_say(r, "more than %" PRIu64 " frames were lost: the others are left out",
		           LOST_MAX);
}

static uint64_t lost_of(const struct totals *t)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < DROPPED_COUNT; i++)
		lost += t->dropped[i];
	for (unsigned i = 0; i < MISSING_COUNT; i++)
		lost += t->missing[i];
	return lost;
}

static bool end_series(struct replay_writer *w, const char *reason)
{
	const struct replay *r = w->replay;
	const struct reduce_plan *p = &r->layout.plan;
	const struct sink_summary summary = { .totals = &w->totals,
		                              .expected_from = "seen",
		                              .reasons = &reason,
		                              .reason_count = *reason != '\0',
		                              .raw_bins = p->raw_bins,
		                              .normalised_bins = p->normalised_bins,
		                              .raw_counts = r->raw_sums,
		                              .normalised_counts = r->normalised_sums,
		                              .raw_tails = r->raw_tails,
		                              .normalised_tails = r->normalised_tails,
		                              .calibrations = r->listed,
		                              .calibration_count = r->listed_count };

	return sinks_end(w->sinks, &summary);
}

int replay_write_end(struct replay *r)
{
	struct replay_writer *w = r->writer;
	char reason[120] = "";
	uint64_t lost;
	bool complete;

	lose_what_was_lost(r);
	sinks_drain(w->sinks);
	lost = lost_of(&w->totals);
	w->totals.expected = w->totals.written + lost;
	if (lost)
		snprintf(reason, sizeof reason, "%" PRIu64 " frames are not in the source product",
		         lost);
	else if (w->totals.flagged)
		snprintf(reason, sizeof reason, "%" PRIu64 " frames are flagged",
		         w->totals.flagged);
	complete = end_series(w, reason);
	r->result->written = w->totals.written;
	snprintf(r->result->folder, sizeof r->result->folder, "%s", sinks_series_path(w->sinks));
	if (w->totals.written == w->totals.received && (complete || *reason))
		return 0;
	return replay_refuse(r, -EIO, "%.600s could not be written in full", r->result->folder);
}
