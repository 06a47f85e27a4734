/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/blackbox.h"
#include "daemon/blackbox_series.h"
#include "daemon/log.h"
#include "daemon/pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROLONGED_MOST 10 /* times blackbox.after */
#define WRITER_POLL_MS 100
#define LATE_NS        1000000000u /* frames of an event that are not placed yet */

bool blackbox_wanted(const struct config *c)
{
	return c->blackbox.before_ns > 0;
}

bool blackbox_is_kept_on(const struct config *c, const char *occasion)
{
	const struct config_list *l = &c->blackbox.on;

	for (unsigned i = 0; i < l->count; i++)
		if (strcmp(l->at[i], occasion) == 0)
			return true;
	return false;
}

/* ---- life ---- */

int blackbox_open(struct blackbox *b, struct pipeline *p, char why[400], int *ret_status)
{
	const struct config *c = p->config;
	const char *directory = pipeline_directory(c, c->blackbox.directory);
	int err = bell_open(&b->bell);

	b->pipeline = p;
	kept_list_init(&b->recent);
	kept_list_init(&b->queue);
	pthread_mutex_init(&b->lock, NULL);
	pthread_mutex_init(&b->report_lock, NULL);
	if (err < 0 || !blackbox_wanted(c))
		return err;
	b->configured = b->report.configured = true;
	snprintf(b->directory, sizeof b->directory, "%s", directory);
	b->sink = (struct config_sink){ .format = SINK_RAW,
		                        .product = PRODUCT_SOURCE,
		                        .directory = b->directory,
		                        .frames_per_file = CONFIG_AUTO,
		                        .direct = DIRECT_AUTO,
		                        .sync_ns = 1000000000u,
		                        .compression = (char *)(uintptr_t) "none",
		                        .on_error = ON_ERROR_NEXT_FILE,
		                        .endpoint = (char *)(uintptr_t) "",
		                        .attach = ATTACH_BIND,
		                        .every = 1,
		                        .queue = 10 };
	if (access(b->directory, W_OK | X_OK) == 0)
		return 0;
	err = -errno;
	snprintf(why, 400,
	         "blackbox.directory: cannot write to %.200s: %s; make it or name another",
	         b->directory, strerror(-err));
	*ret_status = err == -EACCES ? 77 : 73;
	return err;
}

void blackbox_close(struct blackbox *b)
{
	if (!b->pipeline)
		return;
	kept_list_free(&b->pipeline->keeping, &b->recent);
	kept_list_free(&b->pipeline->keeping, &b->queue);
	pthread_mutex_destroy(&b->lock);
	pthread_mutex_destroy(&b->report_lock);
	bell_close(&b->bell);
	*b = (struct blackbox){ 0 };
}

void blackbox_stop(struct blackbox *b)
{
	if (!b->stage.started)
		return;
	pthread_mutex_lock(&b->lock);
	b->stop = b->over = true;
	pthread_mutex_unlock(&b->lock);
	bell_ring(&b->bell);
}

bool blackbox_ended(struct blackbox *b)
{
	/* relaxed: whoever asks joins it before it believes anything. */
	return !b->stage.started || atomic_load_explicit(&b->stage.ended, memory_order_relaxed);
}

/* ---- the collector's side ---- */

static void enqueue(struct blackbox *b, struct kept *f)
{
	pthread_mutex_lock(&b->lock);
	kept_list_push(&b->queue, f);
	pthread_mutex_unlock(&b->lock);
	bell_ring(&b->bell);
}

static uint64_t queued_bytes(struct blackbox *b)
{
	pthread_mutex_lock(&b->lock);
	uint64_t bytes = b->queue.bytes;
	pthread_mutex_unlock(&b->lock);
	return bytes;
}

/* Let go of what is older than blackbox.before, or does not fit beside what is queued. */
static void forget_old(struct blackbox *b, uint64_t queued)
{
	const struct config_blackbox *c = &b->pipeline->config->blackbox;

	while (b->recent.first &&
	       (b->newest_ns - b->recent.first->frame.received_ns > c->before_ns ||
	        b->recent.bytes + queued > c->memory))
		kept_free(&b->pipeline->keeping, kept_list_pop(&b->recent));
}

static void show(struct blackbox *b)
{
	const struct kept *first = b->recent.first;

	pthread_mutex_lock(&b->lock);
	uint64_t queued = b->queue.bytes;
	bool writing = b->event;
	pthread_mutex_unlock(&b->lock);
	if (pthread_mutex_trylock(&b->report_lock) != 0)
		return; /* somebody reads: at the next turn */
	b->report.frames = b->recent.frames;
	b->report.bytes = b->recent.bytes + queued;
	b->report.seconds = first ? (double)(b->newest_ns - first->frame.received_ns) / 1e9 : 0.0;
	b->report.writing = writing;
	pthread_mutex_unlock(&b->report_lock);
}

void blackbox_place(struct blackbox *b, const struct slot *s, uint64_t series)
{
	bool of_event = b->until_ns && s->frame.received_ns <= b->until_ns;
	struct kept *f = NULL;
	uint64_t queued;

	if (!b->configured)
		return;
	queued = queued_bytes(b);
	if (s->frame.received_ns > b->newest_ns)
		b->newest_ns = s->frame.received_ns;
	if (!of_event || queued + s->left_bytes <= b->pipeline->config->blackbox.memory)
		f = kept_share(&b->pipeline->keeping, s);
	if (!f) /* so that it is not taken for one that never came */
		f = kept_note(&b->pipeline->keeping, s);
	if (!f)
		return;
	f->series = series;
	if (of_event)
		enqueue(b, f);
	else
		kept_list_push(&b->recent, f);
	forget_old(b, queued);
}

/* Under the lock: what is held is of the event, which begins unless one is open. */
static void hand_over(struct blackbox *b, const char *why)
{
	struct kept *f;

	if (!b->event)
		snprintf(b->why, sizeof b->why, "%s", why);
	b->event = true;
	b->over = false;
	while ((f = kept_list_pop(&b->recent)))
		kept_list_push(&b->queue, f);
}

/* False while the one before is still on its way to the disk. */
static bool begin_event(struct blackbox *b, const char *why, uint64_t now_ns)
{
	const struct config_blackbox *c = &b->pipeline->config->blackbox;

	pthread_mutex_lock(&b->lock);
	bool busy = b->event;
	if (!busy)
		hand_over(b, why);
	pthread_mutex_unlock(&b->lock);
	if (busy)
		return false;
	b->until_ns = now_ns + c->after_ns;
	b->most_ns = now_ns + PROLONGED_MOST * c->after_ns;
	log_line(LOG_WARNING, "blackbox", "keeping %.1f s before and %.1f s after: %s",
	         (double)c->before_ns / 1e9, (double)c->after_ns / 1e9, why);
	bell_ring(&b->bell);
	return true;
}

bool blackbox_trigger(struct blackbox *b, const char *kind, const char *why, uint64_t now_ns)
{
	uint64_t until_ns;

	if (!b->configured || !blackbox_is_kept_on(b->pipeline->config, kind))
		return false;
	until_ns = now_ns + b->pipeline->config->blackbox.after_ns;
	if (b->until_ns) {
		b->until_ns = until_ns < b->most_ns ? until_ns : b->most_ns;
		return true;
	}
	if (b->again || begin_event(b, why, now_ns))
		return true;
	b->again = true;
	snprintf(b->again_why, sizeof b->again_why, "%s", why);
	return true;
}

/* Frames that came in its time may wait for their place; not for long when no others follow. */
static bool is_over(const struct blackbox *b, uint64_t now_ns)
{
	return b->until_ns && now_ns > b->until_ns &&
	       (b->newest_ns > b->until_ns || now_ns - b->until_ns > LATE_NS);
}

void blackbox_tick(struct blackbox *b, uint64_t now_ns)
{
	if (!b->configured)
		return;
	if (is_over(b, now_ns)) {
		b->until_ns = 0;
		pthread_mutex_lock(&b->lock);
		b->over = true;
		pthread_mutex_unlock(&b->lock);
		bell_ring(&b->bell);
	}
	if (b->again && begin_event(b, b->again_why, now_ns))
		b->again = false;
	show(b);
}

void blackbox_finish(struct blackbox *b)
{
	if (!b->stage.started)
		return;
	pthread_mutex_lock(&b->lock);
	if (b->again)
		hand_over(b, b->again_why);
	pthread_mutex_unlock(&b->lock);
	blackbox_stop(b);
}

/* ---- the thread ---- */

enum next { NEXT_NOTHING, NEXT_FRAME, NEXT_OVER, NEXT_STOP };

/* What to do next; *ret_frame is then ours. */
static enum next next_of(struct blackbox *b, struct kept **ret_frame)
{
	enum next next = NEXT_NOTHING;

	pthread_mutex_lock(&b->lock);
	*ret_frame = b->event ? kept_list_pop(&b->queue) : NULL;
	if (*ret_frame)
		next = NEXT_FRAME;
	else if (b->event && b->over)
		next = NEXT_OVER;
	else if (b->stop)
		next = NEXT_STOP;
	pthread_mutex_unlock(&b->lock);
	return next;
}

static void tell_result(struct blackbox *b, const struct blackbox_series *s)
{
	pthread_mutex_lock(&b->report_lock);
	pthread_mutex_lock(&b->lock);
	b->event = b->report.writing = b->queue.first != NULL; /* of blackbox_finish() */
	b->report.written += s->series_count;
	snprintf(b->report.path, sizeof b->report.path, "%s", s->path);
	snprintf(b->report.text, sizeof b->report.text, "%s", s->error[0] ? s->error : b->why);
	pthread_mutex_unlock(&b->lock);
	pthread_mutex_unlock(&b->report_lock);
	if (s->path[0])
		log_line(s->error[0] ? LOG_WARNING : LOG_INFO, "blackbox",
		         "kept frames=%llu path=%s", (unsigned long long)s->frames, s->path);
	else if (!s->error[0])
		log_line(LOG_WARNING, "blackbox", "nothing was kept: no frame came");
}

static void wait_for_work(struct blackbox *b)
{
	bell_prepare(&b->bell);
	pthread_mutex_lock(&b->lock);
	bool idle = !(b->event && (b->queue.first || b->over)) && !b->stop;
	pthread_mutex_unlock(&b->lock);
	if (idle)
		bell_sleep(&b->bell, WRITER_POLL_MS);
	bell_leave(&b->bell);
}

void *blackbox_run(void *argument)
{
	struct blackbox *b = argument;
	struct blackbox_series series;
	struct kept *f;

	blackbox_series_init(&series, b->pipeline, &b->sink, b->bell.fd, b->why);
	for (;;) {
		enum next next = next_of(b, &f);

		stage_turn(&b->stage);
		if (next == NEXT_STOP)
			break;
		if (next == NEXT_FRAME) {
			blackbox_series_put(&series, f);
			kept_free(&b->pipeline->keeping, f);
		} else if (next == NEXT_OVER) {
			blackbox_series_finish(&series);
			tell_result(b, &series);
			blackbox_series_init(&series, b->pipeline, &b->sink, b->bell.fd, b->why);
		} else {
			blackbox_series_poll(&series);
			wait_for_work(b);
		}
	}
	/* relaxed: a figure for the main thread. */
	atomic_store_explicit(&b->stage.ended, true, memory_order_relaxed);
	return NULL;
}

void blackbox_report(struct pipeline *p, struct blackbox_report *ret)
{
	pthread_mutex_lock(&p->blackbox.report_lock);
	*ret = p->blackbox.report;
	pthread_mutex_unlock(&p->blackbox.report_lock);
}
