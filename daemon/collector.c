/* SPDX-License-Identifier: Apache-2.0 */
/* The collector owns the series, the sinks, the layout, and every slot from the head of its ring
 * until the sinks release it.
 * It waits on one bell: workers ring it for finished entries, io_uring for completions.
 * It ends when every receiver has ended and every ring is empty: then it closes the series, and
 * the workers may end. Pixels are written while it goes on; it waits for the disk where a folder
 * or a file begins and ends. */
#include "daemon/collector.h"
#include "daemon/arrival.h"
#include "daemon/closing.h"
#include "daemon/detectors.h"
#include "daemon/lineage.h"
#include "daemon/losses.h"
#include "daemon/pipeline.h"
#include "daemon/relayout.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_PER_TURN 64
#define SLEEP_MS         100
#define PATIENT_MS       5 /* while a frame waits for other endpoints, or a stop for quiet */

static enum phase phase_of(const struct collector *k)
{
	/* seq_cst pairs with pipeline_phase(), after our word that we sleep. */
	return (enum phase)atomic_load(&k->pipeline->phase);
}

/* ---- slots ---- */

static void give_back(struct collector *k, struct slot *s)
{
	struct receiver *r = &k->pipeline->receivers[s->home];

	keeping_free(&k->pipeline->keeping, s);
	layout_put_defects(k->layout, s->defects);
	s->defects = NULL;
	spare_push(&r->spare, s);
	bell_ring(&r->bell);
}

static void released(void *user, void *owner)
{
	struct collector *k = user;

	stage_turn(&k->stage);
	give_back(k, owner);
}

/* ---- what the sinks say ---- */

static void settled(void *user, uint64_t number, enum frame_state state, unsigned reason,
                    bool revoked)
{
	struct collector *k = user;

	stage_turn(&k->stage);
	if (state == FRAME_WRITTEN) {
		k->totals.written++;
		return;
	}
	k->totals.written -= revoked;
	k->totals.dropped[reason]++;
	losses_add(k, number, state, reason);
}

static void landed(void *user, const struct sink_times *times)
{
	struct collector *k = user;

	latency_add(&k->latency, LATENCY_WRITE, times->put_ns, clock_monotonic_ns());
}

static void lasting(void *user, const struct sink_times *times)
{
	struct collector *k = user;

	latency_add(&k->latency, LATENCY_DURABLE, times->arrived_ns, clock_monotonic_ns());
}

static void became_durable(void *user, uint64_t frames)
{
	struct collector *k = user;

	k->totals.durable += frames;
}

static void say(void *user, enum sink_say level, const char *text)
{
	static const enum log_level levels[] = {
		[SINK_INFO] = LOG_INFO, [SINK_WARNING] = LOG_WARNING, [SINK_ERROR] = LOG_ERROR
	};

	(void)user;
	log_line(levels[level], "sink", "%s", text);
}

/* ---- what the series decides ---- */

const struct calibrated *collector_calibrated(const struct collector *k)
{
	const struct generations *g = &k->pipeline->generations;

	if (k->unpushed)
		return k->unpushed;
	return generations_at(g, generations_current(g));
}

struct sink_frame collector_frame(struct slot *s)
{
	return (struct sink_frame){
		.number = s->frame.number,
		.timestamp_ns = s->frame.timestamp_ns,
		.received_ns = s->frame.received_ns,
		.flags = s->frame.flags,
		.rotation = s->frame.has_rotation ? s->frame.rotation : NAN,
		.averaged = 1,
		.reduced = s->reduced,
		.source = s->source,
		.reduced_packed = s->reduced_packed_bytes ? s->reduced_packed : NULL,
		.source_packed = s->source_packed_bytes ? s->source_packed : NULL,
		.reduced_packed_bytes = s->reduced_packed_bytes,
		.source_packed_bytes = s->source_packed_bytes,
		.reduction = &s->reduction,
		.regions = s->regions,
		.calibration = s->calibration,
		.times = { s->times.arrived_ns, s->times.placed_ns },
		.owner = s,
	};
}

/* What is in no file yet is dropped. */
static bool is_aborted(const struct collector *k)
{
	return phase_of(k) == PHASE_ABORT || k->controlling.ending == ENDING_ABORT;
}

static void note_times(struct collector *k, struct slot *s)
{
	struct slot_times *t = &s->times;

	t->placed_ns = clock_monotonic_ns();
	latency_add(&k->latency, LATENCY_QUEUE, t->arrived_ns, t->claimed_ns);
	latency_add(&k->latency, LATENCY_REDUCE, t->claimed_ns, t->reduced_ns);
	latency_add(&k->latency, LATENCY_COLLECT, t->reduced_ns, t->placed_ns);
	latency_add(&k->latency, LATENCY_SUBMIT, t->arrived_ns, t->placed_ns);
}

static void place(void *user, uint64_t number, void *held)
{
	struct collector *k = user;
	struct slot *s = held;
	struct sink_frame f;

	k->held[s->home]--;
	closing_begin(k);
	if (!is_aborted(k))
		calibrating_place(k, s);
	if (is_aborted(k)) { /* maybe while that waited */
		k->totals.dropped[DROPPED_ABORTED]++;
		losses_add(k, number, FRAME_DROPPED, DROPPED_ABORTED);
		sinks_lose(k->sinks, number, FRAME_DROPPED, DROPPED_ABORTED, s->frame.flags,
		           s->frame.received_ns);
		give_back(k, s);
		return;
	}
	closing_count(k, s);
	watching_place(k, s);
	blackbox_place(&k->pipeline->blackbox, s, k->series_begun);
	keeping_free(&k->pipeline->keeping, s);
	note_times(k, s);
	if (k->layout->plan.averaged) {
		averaging_place(k, number, s);
		return;
	}
	f = collector_frame(s);
	collector_on_disk(k, true); /* a full file is closed and the next one opened here */
	sinks_put(k->sinks, &f);
	collector_on_disk(k, false);
}

static void lose(void *user, uint64_t number, enum frame_state state, unsigned reason)
{
	struct collector *k = user;

	stage_turn(&k->stage); /* a gap may be a million numbers long */
	closing_begin(k);
	if (k->layout && k->layout->plan.averaged)
		averaging_skip(k, number);
	if (state == FRAME_DROPPED)
		k->totals.dropped[reason]++;
	else
		k->totals.missing[reason]++;
	losses_add(k, number, state, reason);
	sinks_lose(k->sinks, number, state, reason, 0, 0);
	if (!is_aborted(k))
		blackbox_trigger(&k->pipeline->blackbox, "loss", "a frame of the series was lost",
		                 clock_real_ns());
}

/* ---- entries ---- */

static void tell_rejected(struct collector *k, uint64_t number)
{
	static const char *const sentences[REJECT_COUNT] = {
		[REJECT_STEP] = "its number is off series.step",
		[REJECT_JUMP] =
			"its number is more than series.max_gap ahead; three in a row are needed",
		[REJECT_LATE] = "its number was already declared missing",
	};
	const char *sentence = k->series.reason == REJECT_NO_SERIES ? controlling_refusal(k)
	                                                            : sentences[k->series.reason];
	char text[200];

	snprintf(text, sizeof text, "frame %llu rejected: %s reason=%s", (unsigned long long)number,
	         sentence ? sentence : "", reject_name(k->series.reason));
	if (log_limit_take(&k->rejections, clock_monotonic_ns(), text))
		log_line(LOG_WARNING, "series", "%s", text);
	controlling_explain(k);
}

static enum series_answer submit(struct collector *k, const struct entry *e)
{
	if (e->kind == ENTRY_FRAME && !e->slot->why)
		return series_frame(&k->series, e->frame.number, e->slot, e->gap_at_sender);
	if (e->kind == ENTRY_FRAME)
		return series_drop(&k->series, e->frame.number, e->slot->lost);
	return series_drop(&k->series, e->frame.number,
	                   phase_of(k) == PHASE_ABORT ? DROPPED_ABORTED : DROPPED_OVERLOAD);
}

/* Ask the series about a usable frame, beginning a new one where it says so. */
static enum series_answer answer_for(struct collector *k, const struct entry *e)
{
	enum series_answer answer;

	if (!lineage_admits(k, e->frame.series)) {
		k->series.reason = REJECT_NO_SERIES;
		return SERIES_REJECTED;
	}
	calibrating_settle(k, e->frame.number);
	if (k->series.state != SERIES_OPEN && !controlling_admits(k, e)) {
		k->series.reason = REJECT_NO_SERIES;
		return SERIES_REJECTED;
	}
	answer = submit(k, e);
	if (answer != SERIES_RESTART)
		return answer;
	/* What says that it is of the running series does not begin another one by coming twice. */
	if (e->frame.series && k->series.state == SERIES_OPEN &&
	    e->frame.number / k->series.rules.step <= k->series.newest)
		return SERIES_DUPLICATE;
	closing_finish(k);
	k->series.reason = REJECT_NO_SERIES;
	if (!closing_may_begin(k))
		return SERIES_REJECTED;
	lineage_begin(k, e->frame.series, 0);
	answer = submit(k, e);
	return answer == SERIES_RESTART ? SERIES_REJECTED : answer;
}

static void tell_damaged(struct collector *k, const struct entry *e)
{
	char text[256];

	snprintf(text, sizeof text, "frame %llu dropped: %s reason=%s",
	         (unsigned long long)e->frame.number, e->slot->why,
	         frame_reason_name(FRAME_DROPPED, e->slot->lost));
	if (log_limit_take(&k->damaged, clock_monotonic_ns(), text))
		log_line(LOG_WARNING, "series", "%s", text);
}

static void collect_usable(struct collector *k, const struct entry *e)
{
	struct slot *s = e->slot;
	bool held = s && !s->why;

	if (s && s->why)
		tell_damaged(k, e);
	if (held)
		k->held[s->home]++;
	enum series_answer answer = answer_for(k, e);
	if (answer == SERIES_ACCEPTED) {
		closing_begin(k);
		k->totals.received++;
		k->totals.flagged += held && (e->frame.flags & FRAME_INCOMPLETE);
		k->odd_count = 0;
		if (s && !held)
			give_back(k, s);
		if (held && calibrating_has_all(k))
			closing_finish(k);
		return;
	}
	if (answer == SERIES_DUPLICATE) {
		k->totals.duplicate++;
	} else {
		k->totals.rejected[k->series.reason]++;
		tell_rejected(k, e->frame.number);
	}
	if (s) {
		k->held[s->home] -= held;
		give_back(k, s);
	}
}

static void collect_rejected(struct collector *k, const struct entry *e)
{
	bool strange = e->frame.series && k->lineage.token && e->frame.series != k->lineage.token;

	k->totals.rejected[e->reason]++;
	if (e->number_known && !strange)
		series_unusable(&k->series, e->frame.number);
}

static void collect_entry(struct collector *k, struct receiver *r, const struct entry *e)
{
	switch (e->kind) {
	case ENTRY_FRAME:
	case ENTRY_DROPPED:
		collect_usable(k, e);
		break;
	case ENTRY_REJECTED:
		collect_rejected(k, e);
		break;
	case ENTRY_DUMMY:
		k->totals.dummies++;
		series_unusable(&k->series, e->frame.number);
		break;
	case ENTRY_DUPLICATE:
		k->totals.duplicate++;
		break;
	case ENTRY_START:
		lineage_start(k, r, e);
		break;
	case ENTRY_END:
		lineage_end(k, e->frame.series);
		break;
	case ENTRY_ASK:
		relayout_ask(k, r, e);
		break;
	}
	lineage_start_waiting(k);
	if (series_complete(&k->series))
		closing_finish(k);
}

/* ---- order ---- */

static struct arrival next_arrival(struct collector *k)
{
	const struct pipeline *p = k->pipeline;

	if (p->receiver_count == 1 || k->laying_out)
		return arrival_any(p->receivers, p->receiver_count, &k->series);
	return arrival_next(p->receivers, p->receiver_count, &k->series, clock_real_ns());
}

static void tell_relief(struct collector *k)
{
	k->announced = true;
	log_line(LOG_WARNING, "series",
	         "ingest.buffer holds %u frames of each endpoint: gaps are decided sooner than "
	         "series.reorder=%llu says; raise ingest.buffer",
	         k->layout->slots_per_receiver, (unsigned long long)k->series.rules.reorder);
}

/* Frames that wait for their place must leave slots for those that follow, or the number they
 * wait for could never be received. */
static void relieve(struct collector *k, unsigned home)
{
	unsigned most = k->layout ? k->layout->slots_per_receiver * 3 / 4 : 0;

	while (k->layout && k->held[home] > most) {
		/* Fixing the first number sooner loses nothing; deciding a gap may. */
		bool gap = k->series.first_known;

		if (!series_force(&k->series))
			return;
		if (gap && !k->announced)
			tell_relief(k);
	}
}

void collector_on_disk(struct collector *k, bool on_disk)
{
	if (on_disk)
		k->disk_depth++;
	else
		k->disk_depth--;
	/* relaxed: tells the watchdog that a still loop is the disk's. */
	atomic_store_explicit(&k->stage.on_disk, k->disk_depth > 0, memory_order_relaxed);
}

/* A command is carried out between two turns, soon; but not while receivers are to stand still. */
static bool turn_is_over(const struct collector *k, unsigned taken)
{
	return taken >= ENTRIES_PER_TURN || (k->controlling.given && !k->laying_out);
}

unsigned collector_take(struct collector *k)
{
	unsigned taken = 0;

	while (!turn_is_over(k, taken)) {
		struct arrival next = next_arrival(k);

		if (!next.receiver)
			break;
		struct entry e = *next.head;

		sequence_recycle(&next.receiver->ring);
		bell_ring(&next.receiver->bell);
		if (commands_wait(&k->pipeline->commands)) /* the entry may have come after it */
			calibrating_poll(k, clock_monotonic_ns());
		collect_entry(k, next.receiver, &e);
		controlling_count(&k->controlling, next.receiver->index);
		relieve(k, next.receiver->index);
		taken++;
	}
	return taken;
}

/* ---- time ---- */

static bool receivers_quiet(const struct collector *k)
{
	for (unsigned i = 0; i < k->pipeline->receiver_count; i++) {
		const struct receiver *r = &k->pipeline->receivers[i];

		/* relaxed: an idle clock may start a turn late. */
		if (!atomic_load_explicit(&r->quiet, memory_order_relaxed) ||
		    sequence_waiting(&r->ring) > 0)
			return false;
	}
	return true;
}

/* How long silence has to last to end something. */
static uint64_t silence_limit(const struct collector *k)
{
	const struct config_series *c = &k->pipeline->config->series;
	const struct protocol *protocol = k->pipeline->receivers[0].protocol;
	/* Shared memory is used by producers that tell of series and by others that do not. */
	bool told = protocol->has_end_message && !(protocol->in_shared_memory && !k->lineage.told);

	if (k->lineage.ending && k->series.state == SERIES_OPEN)
		return c->end_grace_ns;
	return told ? c->end_timeout_ns : c->idle_end_ns;
}

/* Silence counts only while every receiver waits for messages and has room for them. */
static void watch_silence(struct collector *k, uint64_t now_ns, uint64_t watched_ns)
{
	bool ending = k->lineage.ending;

	log_limit_flush(&k->rejections, now_ns, LOG_WARNING, "series");
	log_limit_flush(&k->damaged, now_ns, LOG_WARNING, "series");
	log_limit_flush(&k->calibrating.kept_old, now_ns, LOG_WARNING, "calibration");
	if (!receivers_quiet(k)) {
		k->last_entry_ns = watched_ns;
		return;
	}
	if (watched_ns - k->last_entry_ns < silence_limit(k))
		return;
	/* A detector that is armed may wait for its trigger for as long as it likes. */
	if (!ending && k->series.state == SERIES_OPEN && k->lineage.told && !k->begun)
		return;
	closing_finish(k);
	if (!ending) {
		series_settle(&k->series);
		lineage_forget(k);
	}
	k->odd_count = 0;
}

/* ---- the loop ---- */

static bool receivers_ended(const struct collector *k)
{
	for (unsigned i = 0; i < k->pipeline->receiver_count; i++)
		/* seq_cst (an acquire) pairs with receiver_run(): what it published is visible;
		 * ordered after our word that we sleep. */
		if (!atomic_load(&k->pipeline->receivers[i].stage.ended))
			return false;
	return true;
}

static bool rings_empty(const struct collector *k)
{
	for (unsigned i = 0; i < k->pipeline->receiver_count; i++)
		if (sequence_waiting(&k->pipeline->receivers[i].ring) > 0)
			return false;
	return true;
}

static void sleep_until(struct collector *k, uint64_t wanted_ns, uint64_t now_ns)
{
	int timeout_ms = SLEEP_MS;

	if (wanted_ns < now_ns + (uint64_t)SLEEP_MS * 1000000u)
		timeout_ms = wanted_ns > now_ns ? (int)((wanted_ns - now_ns) / 1000000u + 1) : 0;
	bell_prepare(&k->pipeline->collect);
	struct arrival next = next_arrival(k);
	if ((next.patient || k->controlling.ending != ENDING_NOT) && timeout_ms > PATIENT_MS)
		timeout_ms = PATIENT_MS;
	if (!next.receiver && (!receivers_ended(k) || !rings_empty(k))) {
		uint64_t from_ns = clock_monotonic_ns();

		bell_sleep(&k->pipeline->collect, timeout_ms);
		stage_waited(&k->stage, WAIT_FRAMES, from_ns);
	}
	bell_leave(&k->pipeline->collect);
}

/* What was rejected since the last series has no manifest to be in. */
static void tell_leftovers(const struct collector *k)
{
	for (unsigned i = 0; i < REJECT_COUNT; i++)
		if (k->totals.rejected[i] > 0)
			log_line(LOG_WARNING, "series",
			         "messages rejected outside a series reason=%s count=%llu",
			         reject_name((enum reject)i),
			         (unsigned long long)k->totals.rejected[i]);
}

static void finish_run(struct collector *k)
{
	closing_finish(k);
	calibrating_finish(k);
	blackbox_finish(&k->pipeline->blackbox);
	tell_leftovers(k);
	figures_publish(k);
	/* seq_cst: ordered before the look whether workers sleep; acquired in worker_run(). */
	atomic_store(&k->pipeline->collected, true);
	gate_notify(&k->pipeline->work, (int)k->pipeline->worker_count);
}

void *collector_run(void *argument)
{
	struct collector *k = argument;
	unsigned round = 0;

	for (;;) {
		stage_turn(&k->stage);
		bool ended = receivers_ended(k);
		calibrating_poll(k, clock_monotonic_ns());
		unsigned taken = collector_take(k);
		controlling_turn(k);
		uint64_t now_ns = clock_monotonic_ns();
		collector_on_disk(k, true);
		uint64_t wanted_ns = sinks_poll(k->sinks, now_ns);
		collector_on_disk(k, false);

		uint64_t watched_ns = watched_clock_ns(&k->watched, now_ns);
		figures_publish(k);
		watching_turn(k, now_ns);
		losses_turn(k, now_ns);
		if (taken > 0) {
			k->last_entry_ns = watched_ns;
			k->controlling.taken_ns = now_ns;
			round = 0;
			continue;
		}
		if (ended && rings_empty(k))
			break;
		watch_silence(k, now_ns, watched_ns);
		if (!idle_spin(round++)) {
			sleep_until(k, wanted_ns, now_ns);
			round = 0;
		}
	}
	finish_run(k);
	/* relaxed: a figure for the main thread. */
	atomic_store_explicit(&k->stage.ended, true, memory_order_relaxed);
	return NULL;
}

/* ---- life ---- */

static struct series_rules rules_of(const struct config_series *c, const struct protocol *protocol)
{
	bool given = c->first != CONFIG_AUTO;

	return (struct series_rules){
		.first_given = given || protocol->counts_from_zero,
		.first_assumed = !given && protocol->counts_from_zero,
		.first = given ? (uint64_t)c->first : 0,
		.frames = c->frames,
		.step = c->step,
		.reorder = c->reorder,
		.max_gap = c->max_gap,
	};
}

int collector_status_of(int err)
{
	if (err == -EEXIST)
		return 78; /* two sinks on the same file names */
	if (err == -EADDRINUSE || err == -EADDRNOTAVAIL || err == -ENODEV)
		return 69; /* where a stream is to be bound */
	return err == -EACCES || err == -EPERM ? 77 : 73;
}

int collector_open(struct collector *k, struct pipeline *p, const struct sink_program *program,
                   char why[400], int *ret_status)
{
	struct series_rules rules =
		rules_of(&p->config->series, protocol_find(p->config->ingest.protocol));
	struct series_output output = { k, place, lose };
	struct sink_callbacks callbacks = { k,   released, settled, became_durable,
		                            say, landed,   lasting };
	char sentence[256] = "";
	int err;

	k->pipeline = p;
	k->rules = rules;
	k->planes = p->planes;
	k->calibration_id = k->installed_id = p->planes->file_count > 0;
	k->held = calloc(p->receiver_count, sizeof *k->held);
	k->asks = calloc(p->receiver_count, sizeof *k->asks);
	k->raw_counts = calloc(p->config->histogram.raw.bins + 1, sizeof *k->raw_counts);
	k->normalised_counts =
		calloc(p->config->histogram.normalised.bins, sizeof *k->normalised_counts);
	*ret_status = 70;
	snprintf(why, 400, "no memory for the ledger");
	if (!k->held || !k->asks || !k->raw_counts || !k->normalised_counts)
		return -ENOMEM;
	err = series_open(&k->series, &rules, &output);
	if (err == 0)
		err = controlling_open(k);
	if (err == 0)
		err = watching_open(k);
	if (err == 0)
		err = calibrating_open(k);
	if (err < 0)
		return err;
	err = sinks_open(&k->sinks, p->config, program, &callbacks, p->collect.fd, sentence);
	if (err < 0) {
		snprintf(why, 400, "%s", sentence);
		*ret_status = collector_status_of(err);
		return err;
	}
	err = relayout_at_start(k, why);
	if (err < 0)
		*ret_status = err == -EINVAL ? 78 : 71;
	return err;
}

void collector_close(struct collector *k)
{
	if (!k->pipeline)
		return;
	calibrating_close(k);
	controlling_close(k);
	applied_close(k);
	sinks_close(k->sinks);
	flow_close(&k->flow);
	series_close(&k->series);
	if (k->layout) {
		layout_close(k->layout);
		free(k->layout);
	}
	if (k->stream_planes)
		planes_close(k->stream_planes);
	free(k->stream_planes);
	detector_free(k->detector);
	free(k->held);
	free(k->asks);
	free(k->raw_counts);
	free(k->normalised_counts);
	*k = (struct collector){ 0 };
}
