/* SPDX-License-Identifier: Apache-2.0 */
/* The collector's side is written by the collector alone, frame by frame. Ten times a second it
 * makes a whole new copy for people, in the one of two places that nobody reads, and then tries the
 * lock to exchange the two. People hold the lock while they copy from the other place. So the
 * collector waits for nobody, and nobody sees half of a copy. */
#include "daemon/quality.h"
#include "daemon/trend.h"
#include "daemon/windows.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISH_NS ((uint64_t)100 * 1000000)
#define IDLE       4 /* intervals without a frame: none come */

/* A copy for people. */
struct shown {
	struct quality_figures figures;
	struct quality_histogram raw[WINDOW_COUNT], normalised[WINDOW_COUNT]; /* counts [room] */
	double *trend; /* [TREND_ROWS][columns] */
	unsigned rows; /* of them */
	uint64_t ever; /* rows of the trend when it was copied */
};

struct findings {
	unsigned count;
	uint64_t left_out;
	int current[SENTINEL_COUNT]; /* index of the active alarm's; -1: none */
	struct finding at[FINDINGS_MAX];
};

struct quality {
	const struct config *config;
	const struct quality_events *events;
	struct sentinels sentinels;
	struct windows raw, normalised;
	struct trend trend;
	struct quality_figures figures; /* of the last frame; no rate, no alarms */
	struct findings findings;

	/* Time. */
	uint64_t now_ns; /* of the sentinels' clock of frames, that goes on without frames */
	bool follows;    /* there is a frame before the next one, in this series: */
	struct moment before;
	struct pace latest; /* of the last frame alone */
	struct {
		uint64_t index;
		struct pace pace;
	} spans[WINDOWS_SPANS]; /* of the last second, by index % WINDOWS_SPANS */

	/* Publishing. */
	bool fresh, published;              /* a frame came since; it was published before */
	uint64_t published_ns;              /* CLOCK_REALTIME */
	uint64_t idle_real_ns, idle_now_ns; /* when a frame was last published, both clocks */

	/* Read by anybody under the lock; the place that is not in front is the collector's. */
	pthread_mutex_t lock;
	bool lock_made;
	unsigned front;
	struct shown shown[2];
};

/* ---- findings ---- */

static void renew_finding(struct quality *q, enum sentinel s, uint64_t to_ns)
{
	const struct watch *w = &q->sentinels.watches[s];
	int i = q->findings.current[s];

	if (i < 0)
		return;
	q->findings.at[i] = (struct finding){ .sentinel = s,
		                              .first_frame = w->alarm.first_frame,
		                              .last_frame = w->alarm.last_frame,
		                              .from_ns = w->alarm.since_ns,
		                              .to_ns = to_ns,
		                              .of_frames = w->alarm.of_frames,
		                              .worst = w->worst.value,
		                              .limit = w->alarm.limit };
	memcpy(q->findings.at[i].text, w->alarm.text, sizeof w->alarm.text);
}

static void add_finding(struct quality *q, enum sentinel s)
{
	struct findings *f = &q->findings;

	if (f->count == FINDINGS_MAX) {
		f->left_out++;
		return;
	}
	f->current[s] = (int)f->count++;
}

static void begin_findings(struct quality *q)
{
	q->findings.count = 0;
	q->findings.left_out = 0;
	for (unsigned i = 0; i < SENTINEL_COUNT; i++) {
		const struct watch *w = &q->sentinels.watches[i];

		q->findings.current[i] = -1;
		if (!w->alarm.active)
			continue;
		add_finding(q, (enum sentinel)i);
		renew_finding(q, (enum sentinel)i, w->last.real_ns);
	}
}

static void changed(void *user, enum sentinel s, enum watch_change change)
{
	struct quality *q = user;
	const struct watch *w = &q->sentinels.watches[s];
	const struct quality_event event = { s, change == WATCH_RAISED, &w->alarm };

	if (change == WATCH_RAISED)
		add_finding(q, s);
	renew_finding(q, s, w->last.real_ns);
	if (change == WATCH_RENEWED)
		return;
	if (change == WATCH_ENDED)
		q->findings.current[s] = -1;
	if (q->events && q->events->happened)
		q->events->happened(q->events->user, &event);
}

unsigned quality_findings(const struct quality *q, const struct finding **ret,
                          uint64_t *ret_left_out)
{
	*ret = q->findings.at;
	*ret_left_out = q->findings.left_out;
	return q->findings.count;
}

/* ---- opening ---- */

static int open_histograms(struct quality_histogram *h, uint32_t room)
{
	for (unsigned i = 0; i < WINDOW_COUNT; i++) {
		h[i].counts = calloc(room ? room : 1, sizeof *h[i].counts);
		if (!h[i].counts)
			return -ENOMEM;
		for (unsigned j = 0; j < PERCENTILES; j++)
			h[i].percentiles[j] = NAN;
	}
	return 0;
}

static int open_shown(struct shown *s, const struct quality *q)
{
	s->trend = calloc((size_t)TREND_ROWS * q->trend.columns, sizeof *s->trend);
	if (!s->trend || open_histograms(s->raw, q->raw.room) < 0 ||
	    open_histograms(s->normalised, q->normalised.room) < 0)
		return -ENOMEM;
	s->figures = q->figures;
	return 0;
}

static void close_shown(struct shown *s)
{
	for (unsigned i = 0; i < WINDOW_COUNT; i++) {
		free(s->raw[i].counts);
		free(s->normalised[i].counts);
	}
	free(s->trend);
}

static const struct moments no_moments = { NAN, NAN, NAN, NAN };

/* Nothing is known yet. */
static void clear_figures(struct quality_figures *f, unsigned region_count)
{
	*f = (struct quality_figures){ .mean = NAN,
		                       .std = NAN,
		                       .raw_mean = NAN,
		                       .raw_std = NAN,
		                       .saturated_share = NAN,
		                       .bad_share = NAN,
		                       .dose = NAN,
		                       .dose_reference = NAN,
		                       .region_count = region_count };
	for (unsigned i = 0; i < PERCENTILES; i++)
		f->raw_percentiles[i] = f->percentiles[i] = NAN;
	for (unsigned i = 0; i < region_count; i++)
		f->regions[i] = (struct quality_region){ { 0, 0, no_moments, no_moments }, NAN };
}

int quality_open(struct quality **ret, const struct config *c, const struct quality_events *events)
{
	struct quality *q = calloc(1, sizeof *q);
	int err = -ENOMEM;

	if (!q)
		return -ENOMEM;
	q->config = c;
	q->events = events;
	sentinels_init(&q->sentinels, c, q, changed);
	begin_findings(q);
	clear_figures(&q->figures, c->region_count);
	if (trend_open(&q->trend, c) < 0 || windows_open(&q->raw, c->histogram.raw.bins) < 0 ||
	    windows_open(&q->normalised, c->histogram.normalised.bins) < 0 ||
	    open_shown(&q->shown[0], q) < 0 || open_shown(&q->shown[1], q) < 0)
		goto fail;
	err = -pthread_mutex_init(&q->lock, NULL);
	if (err < 0)
		goto fail;
	q->lock_made = true;
	*ret = q;
	return 0;

fail:
	quality_close(q);
	return err;
}

void quality_close(struct quality *q)
{
	if (!q)
		return;
	if (q->lock_made)
		pthread_mutex_destroy(&q->lock);
	close_shown(&q->shown[0]);
	close_shown(&q->shown[1]);
	windows_close(&q->raw);
	windows_close(&q->normalised);
	trend_close(&q->trend);
	free(q);
}

/* ---- the collector's side ---- */

void quality_begin(struct quality *q, const struct bins *raw, const struct bins *normalised,
                   bool whole_bins)
{
	windows_begin(&q->raw, raw, whole_bins);
	windows_begin(&q->normalised, normalised, false);
	sentinels_begin(&q->sentinels);
	begin_findings(q);
	q->follows = false;
}

/* The time is `ns` of the clock of frames, or that was longer ago than what is known. */
static void advance(struct quality *q, uint64_t ns)
{
	uint64_t spans;

	if (ns <= q->now_ns)
		return;
	spans = ns / WINDOWS_SPAN_NS - q->now_ns / WINDOWS_SPAN_NS;
	for (uint64_t i = 0; i < spans && i < WINDOWS_SPANS; i++) {
		windows_next_span(&q->raw);
		windows_next_span(&q->normalised);
	}
	q->now_ns = ns;
	trend_advance(&q->trend, &q->sentinels.frame_clock, ns);
}

static void keep_pace(struct quality *q, const struct quality_frame *f)
{
	const struct moment *before = q->follows ? &q->before : NULL;
	const struct moment now = { f->timestamp_ns, f->received_ns };
	uint64_t index = q->now_ns / WINDOWS_SPAN_NS;

	if (q->spans[index % WINDOWS_SPANS].index != index) {
		q->spans[index % WINDOWS_SPANS].index = index;
		q->spans[index % WINDOWS_SPANS].pace = (struct pace){ 0 };
	}
	pace_add(&q->spans[index % WINDOWS_SPANS].pace, before, &now);
	q->latest = (struct pace){ 0 };
	pace_add(&q->latest, before, &now);
	trend_add(&q->trend, f, before);
	q->before = now;
	q->follows = true;
}

static void keep_figures(struct quality_figures *f, const struct quality_frame *frame)
{
	const struct reduction *r = frame->reduction;
	double pixels = (double)(r->good + r->bad);

	f->frame = frame->number;
	f->mean = r->normalised.mean;
	f->std = r->normalised.std;
	f->raw_mean = r->raw.mean;
	f->raw_std = r->raw.std;
	f->saturated_share = (double)r->saturated / pixels;
	f->bad_share = (double)r->bad / pixels;
	f->dose = r->dose;
	memcpy(f->raw_percentiles, r->raw_percentiles, sizeof f->raw_percentiles);
	memcpy(f->percentiles, r->percentiles, sizeof f->percentiles);
	for (unsigned i = 0; i < f->region_count; i++)
		f->regions[i] = (struct quality_region){ frame->regions[i],
			                                 trend_snr(&frame->regions[i].normalised) };
}

uint32_t quality_frame(struct quality *q, const struct quality_frame *f)
{
	uint32_t flags = sentinels_frame(&q->sentinels, f);

	advance(q, q->sentinels.frame_clock.now_ns);
	windows_add(&q->raw, f->raw_counts, &f->reduction->raw_tails);
	windows_add(&q->normalised, f->normalised_counts, &f->reduction->normalised_tails);
	keep_pace(q, f);
	keep_figures(&q->figures, f);
	q->fresh = true;
	return flags;
}

void quality_end(struct quality *q, uint64_t now_ns)
{
	sentinels_end(&q->sentinels);
	for (unsigned i = 0; i < SENTINEL_COUNT; i++)
		renew_finding(q, (enum sentinel)i, now_ns);
	q->follows = false;
}

void quality_machine(struct quality *q, const struct quality_machine *m)
{
	sentinels_machine(&q->sentinels, m);
}

/* ---- publishing ---- */

/* Without frames time goes on by the clock, from when one was last published. Frames that wait to
 * be placed are older than the clock says: while there are some, time is theirs. */
static void go_on(struct quality *q, uint64_t now_ns)
{
	if (q->fresh || now_ns < q->idle_real_ns) {
		q->idle_real_ns = now_ns;
		q->idle_now_ns = q->now_ns;
	} else if (q->sentinels.frame_clock.begun) {
		advance(q, q->idle_now_ns + (now_ns - q->idle_real_ns));
	}
	q->fresh = false;
}

static double rate(const struct quality *q)
{
	uint64_t index = q->now_ns / WINDOWS_SPAN_NS;
	struct pace second = { 0 };
	double last = pace_rate(&q->latest);
	uint64_t since_ns = q->now_ns - q->sentinels.frame_clock.now_ns;

	for (uint64_t i = index - (WINDOWS_SPANS - 1); i <= index; i++)
		if (q->spans[i % WINDOWS_SPANS].index == i)
			pace_join(&second, &q->spans[i % WINDOWS_SPANS].pace);
	if (second.frames > 0)
		return pace_rate(&second);
	return (double)since_ns * last < IDLE * 1e9 ? last : 0;
}

static void show(struct quality *q, struct shown *s)
{
	s->figures = q->figures;
	s->figures.fps = rate(q);
	s->figures.dead = q->sentinels.dead.found;
	s->figures.hot = q->sentinels.hot.found;
	s->figures.dose_reference = sentinels_usual_dose(&q->sentinels);
	for (unsigned i = 0; i < SENTINEL_COUNT; i++)
		s->figures.alarms[i] = q->sentinels.watches[i].alarm;
	for (unsigned i = 0; i < WINDOW_COUNT; i++) {
		windows_show(&q->raw, (enum quality_window)i, &s->raw[i]);
		windows_show(&q->normalised, (enum quality_window)i, &s->normalised[i]);
	}
	if (s->ever != q->trend.rows)
		s->rows = trend_copy(&q->trend, s->trend);
	s->ever = q->trend.rows;
}

void quality_publish(struct quality *q, uint64_t now_ns)
{
	if (q->published && now_ns - q->published_ns < PUBLISH_NS)
		return;
	go_on(q, now_ns);
	show(q, &q->shown[!q->front]);
	q->published = true;
	q->published_ns = now_ns;
	if (pthread_mutex_trylock(&q->lock) != 0)
		return;
	q->front = !q->front;
	pthread_mutex_unlock(&q->lock);
}

/* ---- people's side ---- */

int quality_histogram(struct quality *q, bool raw, enum quality_window w,
                      struct quality_histogram *ret)
{
	uint32_t room = raw ? q->raw.room : q->normalised.room;
	uint64_t *counts = malloc((room ? room : 1) * sizeof *counts);

	if (!counts)
		return -ENOMEM;
	pthread_mutex_lock(&q->lock);
	const struct shown *s = &q->shown[q->front];
	const struct quality_histogram *h = raw ? &s->raw[w] : &s->normalised[w];

	memcpy(counts, h->counts, h->bins.bins * sizeof *counts);
	*ret = *h;
	pthread_mutex_unlock(&q->lock);
	ret->counts = counts;
	return 0;
}

void quality_figures(struct quality *q, struct quality_figures *ret)
{
	pthread_mutex_lock(&q->lock);
	*ret = q->shown[q->front].figures;
	pthread_mutex_unlock(&q->lock);
}

int quality_trend(struct quality *q, unsigned most, struct quality_trend *ret)
{
	unsigned columns = q->trend.columns;
	struct quality_trend t = { .columns = columns,
		                   .names = calloc(columns, sizeof *t.names),
		                   .values = malloc((size_t)most * columns * sizeof *t.values) };

	if (!t.names || !t.values) {
		quality_trend_done(&t);
		return -ENOMEM;
	}
	trend_names(q->config, t.names);
	pthread_mutex_lock(&q->lock);
	const struct shown *s = &q->shown[q->front];

	t.ever = s->ever;
	t.rows = s->rows < most ? s->rows : most;
	memcpy(t.values, s->trend + (size_t)(s->rows - t.rows) * columns,
	       (size_t)t.rows * columns * sizeof *t.values);
	pthread_mutex_unlock(&q->lock);
	*ret = t;
	return 0;
}

void quality_trend_done(struct quality_trend *t)
{
	free(t->names);
	free(t->values);
	*t = (struct quality_trend){ 0 };
}
