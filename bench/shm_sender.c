/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/shm_sender.h"

#include "daemon/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define STOPPED     1   /* beside negative errno */
#define BLOCKED_MS  100 /* between looks at the stop flag */
#define RING_BYTES  ((uint64_t)64 << 20)
#define SLOTS_MIN   8
#define FAREWELL_NS (2 * NS_PER_S) /* what a stopped sender still gives its consumer */

/* ---- the ring ---- */

static uint32_t slots_wanted(const struct shm_sender *s)
{
	uint64_t room = RING_BYTES / s->pattern->frame_bytes;

	if (s->options->shm.slots)
		return s->options->shm.slots;
	if (room > 65536)
		return 65536;
	return room > SLOTS_MIN ? (uint32_t)room : SLOTS_MIN;
}

/* Where releases come: as asked for, or in a folder that is ours alone. */
static int choose_release(struct shm_sender *s)
{
	if (s->options->shm.release)
		return 0;
	snprintf(s->folder, sizeof s->folder, "/tmp/openbeam-send-XXXXXX");
	if (!mkdtemp(s->folder)) {
		int err = errno;

		snprintf(s->why, sizeof s->why, "cannot make a folder in /tmp: %s", strerror(err));
		s->folder[0] = '\0';
		return -err;
	}
	snprintf(s->release, sizeof s->release, "ipc://%s/release", s->folder);
	return 0;
}

static int write_pixels(struct shm_sender *s, uint32_t slot, uint64_t number, uint64_t index)
{
	struct pattern_pixels pixels;
	int err = pattern_take(s->pattern, number, index, &pixels);

	if (err) {
		snprintf(s->why, sizeof s->why, "%.200s", s->pattern->why);
		return err;
	}
	memcpy(shm_producer_fill(&s->producer, slot), pixels.data, s->pattern->frame_bytes);
	if (pixels.owned)
		free(pixels.data);
	return 0;
}

/* Every slot once: taken in turn, written, put back. */
static int fill_all(struct shm_sender *s)
{
	uint64_t first = s->options->faults.first, step = s->options->faults.step;
	int err = 0;

	for (uint32_t i = 0; i < s->producer.options.slots && !err; i++) {
		uint32_t slot;

		err = shm_producer_take(&s->producer, 0, &slot);
		if (!err)
			err = write_pixels(s, slot, first + i * step, i);
		if (!err)
			shm_producer_put_back(&s->producer, slot);
	}
	return err;
}

int shm_sender_open(struct shm_sender *s)
{
	const struct send_options *o = s->options;
	const struct pattern_options *p = &s->pattern->options;
	struct shm_producer_options wanted = {
		.slots = slots_wanted(s),
		.pixel_bytes = s->pattern->frame_bytes,
		.width = p->width,
		.height = p->height,
		.pixel = (enum shm_pixel)p->type,
		.bits = p->bits,
		.endpoint = o->endpoints[0],
		.bind = o->bind,
		.name = o->shm.name,
		.release = o->shm.release ? o->shm.release : s->release,
		.wait_ms = o->shm.wait_ms,
	};
	int err = choose_release(s);

	if (err)
		return err;
	s->write_each = o->shm.verify || o->pattern == PATTERN_COUNTER ||
	                o->pattern == PATTERN_TIFF || mishap_options_any(&o->mishaps);
	err = shm_producer_open(&s->producer, &wanted);
	if (err) {
		snprintf(s->why, sizeof s->why, "%s", s->producer.why);
		return err;
	}
	return s->write_each ? 0 : fill_all(s);
}

void shm_sender_close(struct shm_sender *s)
{
	shm_producer_close(&s->producer);
	if (s->folder[0]) {
		unlink(s->release + strlen("ipc://"));
		rmdir(s->folder);
	}
	s->folder[0] = '\0';
}

/* ---- the stream ---- */

static void show_progress(struct shm_sender *s, const char *waiting)
{
	const struct send_report *r = s->report;
	uint64_t now = clock_now_ns();
	char line[160];

	if (!progress_due(&s->progress, now))
		return;
	snprintf(line, sizeof line, "%" PRIu64 " frames, %.2f GB%s", r->messages,
	         (double)r->bytes * 1e-9, waiting);
	progress_show(&s->progress, now, line);
}

/* Until somebody is there to announce to, for ever. 0 or STOPPED. */
static int await_consumer(struct shm_sender *s)
{
	while (!*s->stop) {
		if (shm_producer_ready(&s->producer, BLOCKED_MS))
			return 0;
		show_progress(s, ", waiting for a receiver");
	}
	return STOPPED;
}

static int take_slot(struct shm_sender *s, uint32_t *ret_slot)
{
	int err;

	while ((err = shm_producer_take(&s->producer, BLOCKED_MS, ret_slot)) != 0) {
		if (*s->stop)
			return STOPPED;
		show_progress(s, ", waiting for a release");
	}
	return 0;
}

/* Wait for the time of this step; deadlines are absolute. */
static void pace(struct shm_sender *s, uint64_t slot)
{
	double rate = s->options->rate_hz;
	uint64_t deadline, now, late;

	if (rate == 0.0)
		return;
	deadline = s->start_ns + (uint64_t)((double)slot * 1e9 / rate);
	while (!*s->stop && (now = clock_now_ns()) < deadline)
		clock_sleep_until(deadline);
	now = clock_now_ns();
	late = now > deadline ? now - deadline : 0;
	if ((double)late * rate > 1e9)
		s->report->late++;
	if (late > s->report->late_max_ns)
		s->report->late_max_ns = late;
}

static int send_shot(struct shm_sender *s, const struct shot *shot)
{
	struct shm_producer *p = &s->producer;
	uint32_t slot = 0;
	int err = take_slot(s, &slot);

	if (err)
		return err;
	if (s->write_each)
		err = write_pixels(s, slot, shot->number, shot->index);
	else
		shm_producer_fill(p, slot);
	if (err)
		return err;
	while ((err = shm_producer_publish(p, slot, shot->number, 0,
	                                   clock_read_ns(CLOCK_REALTIME))) == -EAGAIN) {
		err = await_consumer(s);
		if (err) {
			shm_producer_put_back(p, slot);
			return err;
		}
	}
	if (err)
		snprintf(s->why, sizeof s->why, "%s", p->why);
	return err;
}

/* One step of the plan. 0, STOPPED or negative errno. */
static int take_step(struct shm_sender *s, const struct shot *shot)
{
	struct shipped shipped = { 0 };
	int err = 0;

	if (!shot->repeated)
		pace(s, shot->slot);
	if (*s->stop)
		return STOPPED;
	if (shot->fate != SHOT_LOST)
		err = send_shot(s, shot);
	if (err)
		return err;
	if (shot->index >= s->newest)
		s->newest = shot->index + 1;
	if (shot->fate != SHOT_LOST)
		shipped = (struct shipped){ s->pattern->frame_bytes, 1 };
	send_report_add(s->report, shot, &shipped);
	show_progress(s, "");
	return 0;
}

/* Stopped within a block: numbers that were passed over for a later one were not sent. */
static void record_unsent(struct shm_sender *s, struct faults *plan, const struct shot *first)
{
	struct shot shot = *first;

	for (;;) {
		if (shot.index < s->newest && !shot.repeated)
			send_report_unsent(s->report, &shot);
		if (faults_at_block(plan) || !faults_next(plan, &shot))
			return;
	}
}

static int carry_out(struct shm_sender *s)
{
	struct fault_options planned = s->options->faults;
	struct faults plan;
	struct shot shot;

	planned.frames = s->options->frames ? s->options->frames : UINT64_MAX;
	faults_init(&plan, &planned);
	while (faults_next(&plan, &shot)) {
		int err = take_step(s, &shot);

		if (err) {
			record_unsent(s, &plan, &shot);
			return err == STOPPED ? 0 : err;
		}
	}
	s->report->finished = true;
	return 0;
}

/* Until every slot came back, the consumer is taken for dead, or patience is over. */
static void drain(struct shm_sender *s)
{
	uint64_t begin = clock_now_ns(), stopped = 0, reclaimed = s->producer.reclaimed;

	while (shm_producer_drain(&s->producer, BLOCKED_MS) != 0) {
		uint64_t now = clock_now_ns();

		if (*s->stop && !stopped)
			stopped = now;
		s->gave_up = (stopped && now - stopped > FAREWELL_NS) ||
		             (s->options->linger_s >= 0 &&
		              (double)(now - begin) * 1e-9 > s->options->linger_s);
		if (s->gave_up)
			return;
		show_progress(s, ", waiting for the last releases");
	}
	s->gave_up = s->producer.reclaimed != reclaimed;
}

/* Announce the start or the end of the series, when somebody is there. */
static int mark_series(struct shm_sender *s, uint64_t series)
{
	struct shm_producer *p = &s->producer;
	int err = -EAGAIN;

	while (err == -EAGAIN) {
		if (!series && !shm_producer_ready(p, BLOCKED_MS))
			return 0; /* nobody to tell the end */
		if (series && await_consumer(s) != 0)
			return STOPPED;
		err = series ? shm_producer_start(p, series, s->options->frames)
		             : shm_producer_end(p);
	}
	if (err)
		snprintf(s->why, sizeof s->why, "%s", p->why);
	return err;
}

int shm_sender_run(struct shm_sender *s)
{
	struct send_report *r = s->report;
	uint64_t begin_cpu_ns, begin_ns;
	int err;

	progress_init(&s->progress, s->options->quiet);
	prctl(PR_SET_TIMERSLACK, 1000UL); /* ns; 50 us by default would make frames late */
	err = await_consumer(s);
	r->started_ns = clock_read_ns(CLOCK_REALTIME);
	begin_cpu_ns = clock_cpu_ns();
	begin_ns = s->start_ns = clock_now_ns();
	s->newest = 0;
	send_report_series(r, r->started_ns);
	if (!err)
		err = mark_series(s, r->started_ns);
	if (!err)
		send_report_started(r);
	if (!err)
		err = carry_out(s);
	drain(s);
	r->elapsed_ns = clock_now_ns() - begin_ns;
	r->cpu_ns = clock_cpu_ns() - begin_cpu_ns;
	if (!err && s->producer.series)
		err = mark_series(s, 0);
	if (!err && !s->producer.series)
		send_report_ended(r);
	r->delivered = !s->gave_up && s->producer.reclaimed == 0 && s->producer.out == 0;
	r->waits = s->producer.waits;
	r->reclaimed = s->producer.reclaimed;
	progress_clear(&s->progress);
	return err == STOPPED ? 0 : err;
}
