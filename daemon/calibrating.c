/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/calibrating.h"
#include "daemon/closing.h"
#include "daemon/collector.h"
#include "daemon/lineage.h"
#include "daemon/pipeline.h"
#include "daemon/worker.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAKING_POLL_MS 20

const char *purpose_name(enum purpose p)
{
	static const char *const names[] = { "sample", "dark", "flat", "flat_dark" };

	return names[p];
}

/* ---- what people are told ---- */

void calibrating_report(struct collector *k)
{
	struct commands *q = &k->pipeline->commands;
	const struct calibrating *c = &k->calibrating;

	pthread_mutex_lock(&q->lock);
	q->report.state = c->state;
	q->report.id = k->calibration_id;
	pthread_mutex_unlock(&q->lock);
}

static void report_begin(struct collector *k)
{
	struct commands *q = &k->pipeline->commands;
	const struct calibrating *c = &k->calibrating;

	atomic_store_explicit(&q->taken, 0, memory_order_relaxed); /* a figure */
	pthread_mutex_lock(&q->lock);
	q->report = (struct calibration_report){ .state = c->state,
		                                 .asked = q->report.asked + 1,
		                                 .role = calibration_role_name(c->role),
		                                 .wanted = c->wanted,
		                                 .id = k->calibration_id };
	pthread_mutex_unlock(&q->lock);
}

/* The last one has ended, well or not. */
static void report_end(struct collector *k, const struct calibration_job *job, const char *text)
{
	struct commands *q = &k->pipeline->commands;
	struct calibration_report *r = &q->report;

	pthread_mutex_lock(&q->lock);
	r->state = CALIBRATION_IDLE;
	r->failed = !job || job->err < 0;
	r->done = !r->failed;
	r->id = k->calibration_id;
	snprintf(r->text, sizeof r->text, "%s", text);
	if (job && job->err == 0) {
		r->taken = job->used + job->left_out;
		r->left_out = job->left_out;
		r->dead = job->dead;
		r->hot = job->hot;
		r->noisy = job->noisy;
		snprintf(r->path, sizeof r->path, "%s", job->path);
	} else {
		r->taken = atomic_load_explicit(&q->taken, memory_order_relaxed);
	}
	pthread_mutex_unlock(&q->lock);
}

/* ---- which payloads workers leave with their slots ---- */

static bool sequence_is_due(const struct collector *k)
{
	return k->calibrating.next_in_sequence < k->pipeline->config->calibration.sequence.count;
}

static void update_keeping(struct collector *k)
{
	const struct pipeline *p = k->pipeline;
	const struct config *c = p->config;
	uint64_t in_flight = k->layout ? k->layout->slot_count * k->layout->budget.frame_bytes : 0;
	bool waited_for = k->calibrating.by_sequence || c->ingest.role_key[0];
	bool on = p->blackbox.configured || k->calibrating.state == CALIBRATION_COLLECTING ||
	          sequence_is_due(k) || c->ingest.role_key[0] ||
	          (waited_for && k->pipeline->generations.oldest !=
	                                 generations_current(&k->pipeline->generations)) ||
	          k->unpushed;
	uint64_t limit = c->calibration.memory + in_flight;

	if (p->blackbox.configured)
		limit += c->blackbox.memory;
	keeping_allow(&k->pipeline->keeping, on, limit);
}

/* ---- beginning and ending one ---- */

static void begin(struct collector *k, enum calibration_role role, uint64_t wanted)
{
	struct calibrating *c = &k->calibrating;

	c->state = CALIBRATION_COLLECTING;
	c->role = role;
	c->combine = k->pipeline->config->calibration.combine;
	c->wanted = wanted;
	c->accepted = c->damaged = 0;
	c->own_series = c->full = c->unkept = c->after_own = false;
	c->by_key = c->by_sequence = false;
	c->timeout_ns = k->pipeline->config->calibration.timeout_ns;
	c->progress_ns = clock_monotonic_ns();
	kept_list_init(&c->frames);
	update_keeping(k);
	report_begin(k);
}

static void end(struct collector *k)
{
	struct calibrating *c = &k->calibrating;

	kept_list_free(&k->pipeline->keeping, &c->frames);
	c->state = CALIBRATION_IDLE;
	c->own_series = false;
}

static const char *role_of(const struct calibrating *c)
{
	return calibration_role_name(c->role);
}

static void announce(const struct collector *k)
{
	const struct calibrating *c = &k->calibrating;

	if (c->wanted == 1)
		log_line(LOG_INFO, "calibration", "the next frame is for the %s", role_of(c));
	else
		log_line(LOG_INFO, "calibration", "the next %llu frames are for the %s",
		         (unsigned long long)c->wanted, role_of(c));
}

/* The step of the sequence that is due. The text was checked with the configuration. */
static void begin_sequence(struct collector *k)
{
	const struct config_list *l = &k->pipeline->config->calibration.sequence;
	struct config_step step;

	if (!sequence_is_due(k) || k->calibrating.state != CALIBRATION_IDLE ||
	    !config_step_read(l->at[k->calibrating.next_in_sequence], &step))
		return;
	begin(k, step.role, step.frames);
	k->calibrating.by_sequence = true;
	announce(k);
}

/* One more of the sequence is over; frames that follow at once are of the next one. */
static void after_step(struct collector *k)
{
	if (!k->calibrating.by_sequence || !sequence_is_due(k))
		return;
	k->calibrating.next_in_sequence++;
	begin_sequence(k);
}

__attribute__((format(printf, 2, 3))) static void fail(struct collector *k, const char *format, ...)
{
	struct calibrating *c = &k->calibrating;
	char text[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	log_line(LOG_ERROR, "calibration", "%s (%s)", text,
	         k->calibration_id ? "the calibration before stays in use"
	                           : "frames stay without calibration");
	if (!c->by_key && c->by_sequence)
		k->status = 1;
	end(k);
	report_end(k, NULL, text);
	after_step(k);
	update_keeping(k);
}

void calibrating_give_up(struct collector *k, const char *why)
{
	if (k->calibrating.state == CALIBRATION_COLLECTING)
		fail(k, "the %s was given up after %llu frames: %s", role_of(&k->calibrating),
		     (unsigned long long)k->calibrating.frames.frames, why);
}

/* ---- making ---- */

/* The geometry may have changed while it was being made. Planes without a size are of images that
 * reduce.normalise has no use for. */
static bool fits_layout(const struct collector *k, const struct planes *p)
{
	return k->layout && (p->width == 0 || (p->width == k->layout->shape.width &&
	                                       p->height == k->layout->shape.height));
}

/* Without memory it is never freed: somebody may read it. */
static void keep_image(struct image_list *l, const struct owned_image *o)
{
	struct owned_image *grown =
		o->pixels ? realloc(l->at, (l->count + 1) * sizeof *grown) : NULL;

	if (!grown)
		return;
	l->at = grown;
	l->at[l->count++] = *o;
}

static void free_images(struct image_list *l)
{
	for (unsigned i = 0; i < l->count; i++)
		owned_image_done(&l->at[i]);
	free(l->at);
	*l = (struct image_list){ 0 };
}

void calibrating_let_go(struct collector *k)
{
	if (k->calibrating.replaced.count > 0)
		free_images(&k->calibrating.replaced);
}

static void finish_job(struct collector *k, struct calibration_job *job)
{
	struct calibrating *c = &k->calibrating;
	bool waited_for = c->by_sequence || c->by_key;

	if (job->err == 0 && !fits_layout(k, job->planes)) {
		job->err = -EINVAL;
		snprintf(job->text, sizeof job->text,
		         "the frames have another size now: the %s does not fit", role_of(c));
	}
	if (job->err == 0 && applied_install(k, job->planes, job->id) < 0) {
		job->err = -ENOMEM;
		snprintf(job->text, sizeof job->text, "no memory to put the %s to use", role_of(c));
	}
	if (job->err < 0) {
		applied_free_planes(job->planes);
		job->planes = NULL;
		for (unsigned i = 0; i < 2; i++) /* of the planes that stay in use */
			keep_image(&c->refused, &job->replaced[i]);
		fail(k, "%s", job->text);
		return;
	}
	for (unsigned i = 0; i < 2; i++)
		keep_image(&c->replaced, &job->replaced[i]);
	c->last_id = job->id;
	if (waited_for)
		k->least_id = k->calibration_id;
	log_line(LOG_INFO, "calibration", "%s calibration=%u path=%s", job->text, k->calibration_id,
	         job->path);
	if (k->planes->note[0])
		log_line(LOG_WARNING, "calibration", "%s", k->planes->note);
	end(k);
	report_end(k, job, job->text);
	after_step(k);
	update_keeping(k);
}

static bool is_aborted(const struct collector *k)
{
	return atomic_load_explicit(&k->pipeline->phase, memory_order_acquire) == PHASE_ABORT;
}

/* Frames behind it are not placed before it is there, unless the run is aborted: it is then left to
 * calibrating_close(). The disk and the receivers go on meanwhile as far as there is room. */
static void wait_for_job(struct collector *k)
{
	struct calibration_job *job;

	while (!(job = calibrator_take(&k->pipeline->calibrator))) {
		if (is_aborted(k))
			return;
		stage_turn(&k->stage);
		bell_prepare(&k->pipeline->collect);
		bell_sleep(&k->pipeline->collect, MAKING_POLL_MS);
		bell_leave(&k->pipeline->collect);
	}
	finish_job(k, job);
}

/* Enough frames are there: hand them over. */
static void make(struct collector *k)
{
	struct calibrating *c = &k->calibrating;

	c->job = (struct calibration_job){
		.role = c->role,
		.combine = c->combine,
		.wanted = c->wanted,
		.exposure_s = k->detector ? k->detector->exposure_s : 0,
		.saturation = layout_saturation(k->layout),
		.id = (c->last_id > k->installed_id ? c->last_id : k->installed_id) + 1
	};
	c->job.frames = c->frames;
	if (!c->frames.first)
		c->job.frames.end = &c->job.frames.first;
	kept_list_init(&c->frames);
	c->state = CALIBRATION_MAKING;
	calibrating_report(k);
	update_keeping(k);
	calibrator_give(&k->pipeline->calibrator, &c->job);
	if (c->by_sequence || c->by_key)
		wait_for_job(k);
}

/* No more frames come: at least half of them make one. */
static void make_of_what_came(struct collector *k)
{
	struct calibrating *c = &k->calibrating;
	unsigned long long taken = c->frames.frames, wanted = c->wanted;

	if (taken == 0 && c->damaged)
		fail(k, "no %s: its sender calls all %llu frames damaged", role_of(c),
		     (unsigned long long)c->damaged);
	else if (taken == 0)
		fail(k, "no %s: no usable frame of it came", role_of(c));
	else if (taken * 2 < wanted && c->full)
		fail(k,
		     "no %s: calibration.memory holds only %llu of %llu frames: set it higher, or "
		     "take fewer",
		     role_of(c), taken, wanted);
	else if (taken * 2 < wanted)
		fail(k, "no %s: only %llu of %llu frames came before the series ended", role_of(c),
		     taken, wanted);
	else
		make(k);
}

/* ---- frames ---- */

/* No further frame has room. In a series of its own the rest of it is still to come. */
static void become_full(struct collector *k)
{
	struct calibrating *c = &k->calibrating;

	if (!c->full)
		log_line(LOG_WARNING, "calibration",
		         "calibration.memory holds %llu frames: those beyond are not used for the "
		         "%s",
		         (unsigned long long)c->frames.frames, role_of(c));
	c->full = true;
	if (!c->own_series && !c->by_key)
		make_of_what_came(k);
}

/* Reduced before it was wanted, or without room for what is kept. */
static void tell_unkept(struct collector *k)
{
	struct calibrating *c = &k->calibrating;

	if (!c->unkept)
		log_line(LOG_WARNING, "calibration",
		         "frames whose pixels are not there any more are not used for the %s",
		         role_of(c));
	c->unkept = true;
}

static void take(struct collector *k, struct slot *s)
{
	struct calibrating *c = &k->calibrating;
	uint64_t most =
		k->pipeline->config->calibration.memory /
		atomic_load_explicit(&k->pipeline->commands.frame_bytes, memory_order_relaxed);
	struct kept *f;

	s->frame.flags |= c->role == CALIBRATE_FLAT ? FRAME_FLAT : FRAME_DARK; /* used or not */
	if (s->frame.flags & FRAME_INCOMPLETE) {
		c->damaged++;
		return;
	}
	if (c->frames.frames >= most) {
		become_full(k);
		return;
	}
	f = kept_share(&k->pipeline->keeping, s);
	if (!f) {
		tell_unkept(k);
		return;
	}
	kept_list_push(&c->frames, f);
	c->progress_ns = clock_monotonic_ns();
	atomic_store_explicit(&k->pipeline->commands.taken, c->frames.frames,
	                      memory_order_relaxed); /* a figure */
	if (c->wanted && c->frames.frames >= c->wanted)
		make(k);
}

/* What the header says that the frame is of, where it is asked. */
static void follow_key(struct collector *k, const struct slot *s)
{
	struct calibrating *c = &k->calibrating;
	bool dark = s->frame.role == ROLE_DARK, flat = s->frame.role == ROLE_FLAT;
	enum calibration_role role = flat ? CALIBRATE_FLAT : CALIBRATE_DARK;

	if (c->state == CALIBRATION_COLLECTING && c->by_key &&
	    ((!dark && !flat) || role != c->role))
		make_of_what_came(k);
	if ((dark || flat) && c->state == CALIBRATION_MAKING)
		wait_for_job(k);
	if ((dark || flat) && c->state == CALIBRATION_IDLE) {
		begin(k, role, 0);
		c->by_key = true;
	}
}

/* The frame was reduced before its calibration was there. */
static void renew(struct collector *k, struct slot *s)
{
	char text[160];

	if (s->left || k->pipeline->receivers[s->home].feed) {
		worker_reduce_again(k->layout, collector_calibrated(k), s);
		return;
	}
	snprintf(text, sizeof text,
	         "frame %llu keeps the calibration before: its pixels are not there any more",
	         (unsigned long long)s->frame.number);
	if (log_limit_take(&k->calibrating.kept_old, clock_monotonic_ns(), text))
		log_line(LOG_WARNING, "calibration", "%s", text);
}

/* Whether the frame is one of those that are waited for. */
static bool is_wanted(const struct collector *k, const struct slot *s)
{
	const struct calibrating *c = &k->calibrating;

	if (c->state != CALIBRATION_COLLECTING)
		return false;
	if (c->by_key)
		return s->frame.role == ROLE_DARK || s->frame.role == ROLE_FLAT;
	/* A series that its sender announced is of one step, however many frames it has. */
	return c->own_series || !c->by_sequence || !k->lineage.told;
}

void calibrating_place(struct collector *k, struct slot *s)
{
	struct calibrating *c = &k->calibrating;

	if (k->pipeline->config->ingest.role_key[0])
		follow_key(k, s);
	if (s->calibration < k->least_id)
		renew(k, s);
	if (c->purpose != PURPOSE_SAMPLE)
		s->frame.flags |= c->purpose == PURPOSE_FLAT ? FRAME_FLAT : FRAME_DARK;
	if (is_wanted(k, s))
		take(k, s);
}

void calibrating_series_ended(struct collector *k)
{
	struct calibrating *c = &k->calibrating;
	bool own = c->purpose != PURPOSE_SAMPLE;

	if (is_aborted(k) || k->series.aborted)
		calibrating_give_up(k, "aborted");
	if (c->state == CALIBRATION_COLLECTING && (c->own_series || c->frames.frames > 0))
		make_of_what_came(k);
	c->after_own = own;
	c->purpose = PURPOSE_SAMPLE;
}

/* ---- commands and time ---- */

static void obey_take(struct collector *k, const struct command *command)
{
	struct calibrating *c = &k->calibrating;
	enum calibration_role role = command->kind == COMMAND_FLAT ? CALIBRATE_FLAT
	                             : command->for_flat           ? CALIBRATE_FLAT_DARK
	                                                           : CALIBRATE_DARK;

	if (c->state != CALIBRATION_IDLE) { /* the sequence or a key was faster */
		calibrating_report(k);
		log_line(LOG_WARNING, "calibration",
		         "a %s is being taken: the command for a %s came too late", role_of(c),
		         calibration_role_name(role));
		return;
	}
	begin(k, role, command->frames);
	if (command->combine_given)
		c->combine = command->combine;
	if (command->timeout_ns)
		c->timeout_ns = command->timeout_ns;
	if (k->series.state == SERIES_CLOSED)
		series_settle(&k->series);
	announce(k);
}

static void obey(struct collector *k, const struct command *command)
{
	switch (command->kind) {
	case COMMAND_DARK:
	case COMMAND_FLAT:
		obey_take(k, command);
		break;
	case COMMAND_KEEP:
		blackbox_trigger(&k->pipeline->blackbox, "command", "asked for by command",
		                 clock_real_ns());
		break;
	case COMMAND_CANCEL:
		calibrating_give_up(k, "cancelled");
		break;
	default:
		controlling_take(k, command);
		break;
	}
}

static void watch_time(struct collector *k, uint64_t now_ns)
{
	struct calibrating *c = &k->calibrating;

	if (c->state != CALIBRATION_COLLECTING || c->by_sequence || c->by_key ||
	    now_ns < c->progress_ns + c->timeout_ns)
		return;
	if (c->frames.frames == 0 && c->damaged == 0 && !c->unkept)
		fail(k,
		     "no %s: no frame came within %.3g s; is the detector sending, and to where "
		     "ingest.endpoints says?",
		     role_of(c), (double)c->timeout_ns / 1e9);
	else if (c->frames.frames > 0 && c->frames.frames * 2 < c->wanted)
		fail(k, "no %s: only %llu of %llu frames came, and none for %.3g s", role_of(c),
		     (unsigned long long)c->frames.frames, (unsigned long long)c->wanted,
		     (double)c->timeout_ns / 1e9);
	else
		make_of_what_came(k);
}

void calibrating_poll(struct collector *k, uint64_t now_ns)
{
	struct calibrating *c = &k->calibrating;
	struct command command;

	if (c->state == CALIBRATION_MAKING) {
		struct calibration_job *job = calibrator_take(&k->pipeline->calibrator);

		if (job)
			finish_job(k, job);
	}
	if (!k->controlling.given && commands_take(&k->pipeline->commands, &command)) {
		obey(k, &command);
		/* seq_cst: after `on`, which is set where it must. */
		atomic_fetch_sub(&k->pipeline->keeping.asked, 1);
	}
	begin_sequence(k);
	watch_time(k, now_ns);
	applied_push(k);
	update_keeping(k);
}

/* ---- life ---- */

int calibrating_open(struct collector *k)
{
	kept_list_init(&k->calibrating.frames);
	update_keeping(k);
	calibrating_report(k);
	return 0;
}

void calibrating_finish(struct collector *k)
{
	k->calibrating.next_in_sequence = k->pipeline->config->calibration.sequence.count;
	if (k->calibrating.state == CALIBRATION_MAKING)
		wait_for_job(k);
	calibrating_give_up(k, "the daemon ends");
}

/* What was being made when the run was aborted: it is done, or was not begun. */
static void discard_job(struct collector *k)
{
	struct calibration_job *job = &k->calibrating.job;

	kept_list_free(&k->pipeline->keeping, &job->frames);
	applied_free_planes(job->planes);
	for (unsigned i = 0; i < 2; i++)
		owned_image_done(&job->replaced[i]);
}

void calibrating_close(struct collector *k)
{
	struct calibrating *c = &k->calibrating;

	if (c->state == CALIBRATION_MAKING)
		discard_job(k);
	kept_list_free(&k->pipeline->keeping, &c->frames);
	free_images(&c->replaced);
	free_images(&c->refused);
}
