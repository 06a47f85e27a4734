/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/controlling.h"
#include "daemon/closing.h"
#include "daemon/collector.h"
#include "daemon/lineage.h"
#include "daemon/pipeline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_FULL 0.9       /* share of the slots in use that refuses an arm */
#define PEERS_MAX   1024      /* beyond, the figures did not fit each other */
#define DRY_NS      20000000u /* within which a receiver that slept has seen what arrived */

/* ---- answers ---- */

/* The folder of the running or last series. */
static const char *series_folder(const struct collector *k)
{
	return figures_folder(sinks_series_path(k->sinks));
}

/* Of the one that runs; "" while it has no frame. */
static const char *running_folder(const struct collector *k)
{
	return k->begun ? series_folder(k) : "";
}

static void answer(struct collector *k, uint64_t ticket, const char *series)
{
	struct command_answer a = { .ticket = ticket };

	if (ticket == 0)
		return;
	snprintf(a.series, sizeof a.series, "%s", series);
	figures_publish(k); /* whoever asks for the status next sees what was done */
	commands_answer(&k->pipeline->commands, &a);
}

__attribute__((format(printf, 3, 4))) static void
refuse(struct collector *k, const struct command *c, const char *format, ...)
{
	struct command_answer a = { .ticket = c->ticket, .err = -EBUSY };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(a.why, sizeof a.why, format, arguments);
	va_end(arguments);
	commands_answer(&k->pipeline->commands, &a);
	if (clock_monotonic_ns() - c->given_ns > COMMAND_PATIENCE_NS) /* whoever gave it has left */
		log_line(LOG_WARNING, "series", "a command from %s came too late: %s", c->by,
		         a.why);
}

/* ---- arm: will it fit ---- */

static uint64_t slots_used(const struct collector *k)
{
	uint64_t used = 0;

	for (unsigned i = 0; k->layout && i < k->pipeline->receiver_count; i++)
		used += k->layout->slots_per_receiver -
		        spare_count(&k->pipeline->receivers[i].spare);
	return used;
}

/* Bytes that a sink writes of so many frames; 0: nobody knows before, or it keeps none. */
static uint64_t bytes_of(const struct collector *k, const struct config_sink *s, uint64_t frames)
{
	const struct sink_geometry *g = &k->layout->geometry;
	bool source = s->product == PRODUCT_SOURCE;
	uint64_t average = source ? 1 : k->pipeline->config->reduce.average;
	uint64_t pages = frames / average, bytes = source ? g->source.bytes : g->reduced.bytes;

	if (!disks_has_files(s) || strcmp(s->compression, "none") != 0 || bytes == 0)
		return 0;
	return pages > UINT64_MAX / bytes ? UINT64_MAX : pages * bytes;
}

static uint64_t add_bytes(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* The first directory that cannot hold all of the frames, with those sinks that write to it, too;
 * NULL: none. */
static const char *full_directory(const struct collector *k, uint64_t frames, uint64_t *ret_needed,
                                  uint64_t *ret_free)
{
	const struct config *c = k->pipeline->config;

	for (unsigned i = 0; i < c->sink_count; i++) {
		struct disk_space space = disks_space(k->pipeline->disks, i);
		uint64_t needed = 0;

		for (unsigned n = 0; n < c->sink_count; n++)
			if (strcmp(c->sinks[n].directory, c->sinks[i].directory) == 0)
				needed = add_bytes(needed, bytes_of(k, &c->sinks[n], frames));
		if (!space.known || needed <= space.free_bytes)
			continue;
		*ret_needed = needed;
		*ret_free = space.free_bytes;
		return c->sinks[i].directory;
	}
	return NULL;
}

/* False after saying why not. */
static bool fits(struct collector *k, const struct command *c)
{
	uint64_t frames = c->frames ? c->frames : k->rules.frames, needed = 0, left = 0;
	uint64_t used = slots_used(k), slots = k->layout ? k->layout->slot_count : 0;
	const char *full = NULL;

	if (c->force || !k->layout)
		return true;
	if ((double)used > BUFFER_FULL * (double)slots) {
		refuse(k, c,
		       "%llu of %llu slots of ingest.buffer are in use: the first frames would "
		       "find no room; wait for the disk, or arm with \"force\": true",
		       (unsigned long long)used, (unsigned long long)slots);
		return false;
	}
	if (frames)
		full = full_directory(k, frames, &needed, &left);
	if (full)
		refuse(k, c,
		       "%llu frames take %.3g GB in %.100s, which has %.3g GB left: make room "
		       "there, ask for fewer, or arm with \"force\": true",
		       (unsigned long long)frames, (double)needed / 1e9, full, (double)left / 1e9);
	return !full;
}

/* ---- arm ---- */

static const char *armed_name(const struct collector *k)
{
	const struct arming *a = &k->controlling.next;

	return a->name[0] ? a->name : k->pipeline->config->series.name;
}

/* What keeps it from being armed now; false after saying so. */
static bool may_arm(struct collector *k, const struct command *c)
{
	const struct calibrating *l = &k->calibrating;
	bool own = k->begun && l->purpose != PURPOSE_SAMPLE;

	if (k->begun && !own) {
		refuse(k, c, "series %s runs: stop or abort it, or wait for its end",
		       series_folder(k));
		return false;
	}
	/* The sequence is taken of the same stream that the samples follow in. */
	if ((own || l->state == CALIBRATION_COLLECTING) && !l->by_sequence) {
		refuse(k, c, "a %s is being taken: wait for it, or give it up with cancel",
		       calibration_role_name(l->role));
		return false;
	}
	return fits(k, c);
}

/* The next series is one of a dark or flat. */
static bool calibration_is_next(const struct collector *k)
{
	const struct calibrating *l = &k->calibrating;

	return l->state == CALIBRATION_COLLECTING && !l->by_key && l->frames.frames == 0;
}

/* Its start message came, its first frame did not. */
static bool is_announced(const struct collector *k)
{
	return k->series.state == SERIES_OPEN && !k->begun && !k->series.any;
}

static void tell_armed(const struct collector *k)
{
	const struct arming *a = &k->controlling.next;
	char frames[40] = "until its end", first[40] = "any";

	if (a->frames)
		snprintf(frames, sizeof frames, "%llu", (unsigned long long)a->frames);
	if (a->first_given)
		snprintf(first, sizeof first, "%llu", (unsigned long long)a->first);
	log_line(LOG_INFO, "series", "armed for the next series name=%s frames=%s first=%s",
	         armed_name(k), frames, first);
}

static void arm(struct collector *k, const struct command *c)
{
	struct arming *next = &k->controlling.next;

	if (!may_arm(k, c))
		return;
	if (next->waiting)
		log_line(LOG_WARNING, "series",
		         "the arm before, name=%s, had no series: it is replaced", armed_name(k));
	*next = (struct arming){ .waiting = true,
		                 .frames = c->frames,
		                 .first_given = c->first_given,
		                 .first = c->first };
	snprintf(next->name, sizeof next->name, "%s", c->name);
	tell_armed(k);
	if (is_announced(k) && !calibration_is_next(k)) { /* it is about that one */
		uint64_t announced = k->series.announced_frames;

		k->series.rules = k->rules;
		controlling_rules(k, &k->series.rules);
		controlling_announced(k, announced);
		series_begin(&k->series, announced);
	}
	answer(k, c->ticket, armed_name(k));
}

/* ---- stop and abort ---- */

static bool is_quiet(const struct receiver *r)
{
	/* relaxed: seen a turn later at worst. */
	return atomic_load_explicit(&r->quiet, memory_order_relaxed) &&
	       sequence_waiting(&r->ring) == 0;
}

static uint64_t peers_of(const struct receiver *r)
{
	uint64_t peers = 0;

	for (unsigned i = 0; i < r->source_count; i++) {
		const struct source_events *e = &r->sources[i].events;

		/* relaxed: a figure. */
		peers += atomic_load_explicit(&e->connected, memory_order_relaxed) -
		         atomic_load_explicit(&e->disconnected, memory_order_relaxed);
	}
	return peers > 0 && peers < PEERS_MAX ? peers : 1;
}

/* As many entries as may be of messages that had arrived. */
static uint64_t arrived(const struct collector *k, const struct receiver *r, enum ending how)
{
	uint64_t waiting = sequence_waiting(&r->ring);

	if (how == ENDING_ABORT || !k->layout)
		return waiting;
	return waiting + (uint64_t)k->layout->budget.queue_messages * peers_of(r);
}

static void end_series(struct collector *k, const struct command *command, enum ending how)
{
	static const char *const commands[] = { [ENDING_STOP] = "stop", [ENDING_ABORT] = "abort" };
	struct controlling *c = &k->controlling;

	answer(k, c->ticket, running_folder(k)); /* a stop that an abort overtakes */
	c->ending = how;
	c->ticket = command->ticket;
	c->since_ns = clock_monotonic_ns();
	for (unsigned i = 0; i < k->pipeline->receiver_count; i++)
		c->left[i] = arrived(k, &k->pipeline->receivers[i], how);
	snprintf(c->by, sizeof c->by, "%s", command->by);
	c->stop = (struct sink_stop){ .command = commands[how],
		                      .by = c->by,
		                      .at_ns = clock_real_ns(),
		                      .frames = k->series.frames };
	log_line(LOG_INFO, "series",
	         how == ENDING_STOP ? "stop: taking what has arrived, then closing the series"
	                            : "abort: frames not in a file yet are dropped");
	if (how == ENDING_ABORT) { /* it must not wait for the disk */
		answer(k, c->ticket, running_folder(k));
		c->ticket = 0;
		return;
	}
	collector_on_disk(k, true);
	sinks_stopped(k->sinks, &c->stop);
	collector_on_disk(k, false);
}

static void disarm(struct collector *k, const struct command *c)
{
	char name[COMMAND_SERIES_BYTES];

	snprintf(name, sizeof name, "%s", armed_name(k));
	k->controlling.next = (struct arming){ 0 };
	log_line(LOG_INFO, "series", "disarmed name=%s", name);
	answer(k, c->ticket, name);
}

static void end(struct collector *k, const struct command *c)
{
	enum ending how = c->kind == COMMAND_STOP ? ENDING_STOP : ENDING_ABORT;
	const char *word = how == ENDING_STOP ? "stop" : "abort";

	if (c->series != k->series_begun + !k->begun)
		refuse(k, c, "the series has ended already: there is nothing to %s", word);
	else if (k->controlling.ending == ENDING_ABORT)
		refuse(k, c, "series %s is being aborted: wait for it", series_folder(k));
	else if (k->controlling.ending == how)
		answer(k, c->ticket, running_folder(k));
	else if (k->begun || is_announced(k))
		end_series(k, c, how);
	else if (k->controlling.next.waiting)
		disarm(k, c);
	else
		refuse(k, c, "no series runs and none is armed: there is nothing to %s", word);
}

/* Every entry that is of the series that is being ended was collected. */
static bool has_all(struct collector *k)
{
	struct controlling *c = &k->controlling;
	bool may_be_dry = clock_monotonic_ns() - c->since_ns >= DRY_NS;
	uint64_t left = 0;

	for (unsigned i = 0; i < k->pipeline->receiver_count; i++) {
		if (may_be_dry && is_quiet(&k->pipeline->receivers[i]))
			c->left[i] = 0;
		left += c->left[i];
	}
	return left == 0;
}

/* ---- reset ---- */

static void reset(struct collector *k, const struct command *c)
{
	struct calibrating *l = &k->calibrating;

	if (k->begun) {
		refuse(k, c, "series %s runs: stop or abort it first", series_folder(k));
		return;
	}
	if (is_announced(k)) {
		series_stop(&k->series);
		closing_finish(k);
	}
	if (l->state == CALIBRATION_COLLECTING && !l->by_sequence && !l->by_key)
		calibrating_give_up(k, "reset");
	k->controlling.next = (struct arming){ 0 };
	series_settle(&k->series);
	lineage_forget(k);
	watching_end(k); /* alarms about frames */
	if (k->layout)
		watching_begin(k); /* histograms */
	latency_begin(&k->latency);
	figures_forget(k);
	log_line(LOG_INFO, "series", "reset: the next frame may begin a series");
	answer(k, c->ticket, "");
}

/* ---- the turn ---- */

void controlling_take(struct collector *k, const struct command *c)
{
	k->controlling.given = true;
	k->controlling.command = *c;
}

static void obey(struct collector *k, const struct command *c)
{
	switch (c->kind) {
	case COMMAND_ARM:
		arm(k, c);
		break;
	case COMMAND_STOP:
	case COMMAND_ABORT:
		end(k, c);
		break;
	case COMMAND_RESET:
		reset(k, c);
		break;
	default:
		break;
	}
}

void controlling_turn(struct collector *k)
{
	struct controlling *c = &k->controlling;

	if (c->given)
		obey(k, &c->command);
	c->given = false;
	if (c->ending == ENDING_NOT || !has_all(k))
		return;
	figures_publish(k); /* the disk may take its time */
	closing_finish(k);
}

int controlling_open(struct collector *k)
{
	k->controlling.left = calloc(k->pipeline->receiver_count, sizeof *k->controlling.left);
	return k->controlling.left ? 0 : -ENOMEM;
}

void controlling_close(struct collector *k)
{
	free(k->controlling.left);
}

/* ---- how a series begins ---- */

bool controlling_allows(const struct collector *k)
{
	return k->pipeline->config->series.start != START_ARMED || k->controlling.next.waiting ||
	       calibration_is_next(k);
}

/* Its number says that it goes on where the series before ended. */
static bool goes_on(const struct series *s, uint64_t position)
{
	if (s->state != SERIES_CLOSED || !s->any)
		return false;
	if (position > s->newest)
		return position - s->newest <= s->rules.max_gap;
	return position > s->first && s->newest - position <= s->rules.reorder;
}

static bool may_be_first(const struct collector *k, uint64_t number)
{
	const struct arming *a = &k->controlling.next;
	uint64_t step = k->rules.step;
	uint64_t place = a->first_given && number >= a->first ? (number - a->first) / step : 0;

	if (a->first_given && (number < a->first || (a->frames && place >= a->frames)))
		return false;
	if (a->first_given && place <= k->rules.reorder)
		return true;
	if (!goes_on(&k->series, number / step))
		return true;
	return !a->first_given &&
	       clock_monotonic_ns() - k->controlling.taken_ns >= CONTROLLING_PAUSE_NS;
}

/* A stream that pauses between any two frames cannot be told from one that ended. */
static void warn_of_leftovers(const struct collector *k, uint64_t number)
{
	if (!k->controlling.next.first_given && goes_on(&k->series, number / k->rules.step))
		log_line(LOG_WARNING, "series",
		         "the armed series begins with frame %llu, which goes on where the series "
		         "before ended: if it is left over of that one, stop the detector before "
		         "you arm, or give first",
		         (unsigned long long)number);
}

bool controlling_admits(struct collector *k, const struct entry *e)
{
	if (calibration_is_next(k))
		return true;
	if (!k->controlling.next.waiting)
		return controlling_allows(k);
	if (e->frame.series == 0 && !may_be_first(k, e->frame.number))
		return false;
	if (e->frame.series == 0)
		warn_of_leftovers(k, e->frame.number);
	series_settle(&k->series);
	return true;
}

const char *controlling_refusal(const struct collector *k)
{
	if (!controlling_allows(k))
		return "series.start is armed, and nothing is armed";
	if (k->controlling.next.waiting)
		return "the series that is armed does not begin with it";
	return "no series runs that it could belong to";
}

void controlling_explain(struct collector *k)
{
	if (k->controlling.explained || controlling_allows(k))
		return;
	k->controlling.explained = true;
	log_line(LOG_WARNING, "series",
	         "series.start is armed: a series begins only after openbeam arm, or POST "
	         "/api/v1/command {\"command\": \"arm\"}, and until then nothing is taken");
}

void controlling_rules(const struct collector *k, struct series_rules *r)
{
	const struct arming *a = &k->controlling.next;

	if (!a->waiting)
		return;
	if (a->frames) {
		r->frames = a->frames;
		r->frames_given = true;
	}
	if (a->first_given) {
		r->first_given = true;
		r->first_assumed = false;
		r->first = a->first;
	}
}

void controlling_announced(const struct collector *k, uint64_t frames)
{
	const struct arming *a = &k->controlling.next;

	if (a->waiting && a->frames && frames && frames != a->frames && !calibration_is_next(k))
		log_line(LOG_WARNING, "series",
		         "the detector announces %llu frames, and %llu are armed: those count",
		         (unsigned long long)frames, (unsigned long long)a->frames);
}

void controlling_begins(struct collector *k)
{
	struct controlling *c = &k->controlling;

	c->current = (struct arming){ 0 };
	if (k->calibrating.purpose != PURPOSE_SAMPLE)
		return;
	c->current = c->next;
	c->next = (struct arming){ 0 };
}

const char *controlling_name(const struct collector *k)
{
	const struct arming *a = &k->controlling.current;

	return a->name[0] ? a->name : k->pipeline->config->series.name;
}

/* ---- and ends ---- */

void controlling_finish(struct collector *k)
{
	struct controlling *c = &k->controlling;

	if (c->ending == ENDING_NOT)
		return;
	if (is_announced(k))
		c->next = (struct arming){ 0 };
	if (c->ending == ENDING_ABORT && k->series.any)
		series_abort(&k->series);
	else if (!series_complete(&k->series)) /* which has ended by itself */
		series_stop(&k->series);
}

const struct sink_stop *controlling_stop(const struct collector *k)
{
	return k->series.stopped || k->series.aborted ? &k->controlling.stop : NULL;
}

void controlling_ended(struct collector *k, bool begun)
{
	struct controlling *c = &k->controlling;
	uint64_t ticket = c->ticket;

	c->current = (struct arming){ 0 };
	c->ending = ENDING_NOT;
	c->ticket = 0;
	answer(k, ticket, begun ? series_folder(k) : "");
}
