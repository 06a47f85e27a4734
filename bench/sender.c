/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/sender.h"

#include "bench/array10_message.h"
#include "bench/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define STOPPED          1               /* beside negative errno */
#define BLOCKED_MS       100             /* between looks at the stop flag */
#define FAREWELL_NS      (2 * NS_PER_S)  /* what a stopped sender still gives its receiver */
#define NOTICE_NS        NS_PER_S        /* of waiting before it is called so */
#define QUIET_NS         (NS_PER_S / 10) /* that the connections must stay empty at the end */
#define DELIVERY_POLL_NS (NS_PER_S / 500)

static void show_progress(struct sender *s, uint64_t now_ns)
{
	const struct send_report *r = s->report;
	double seconds = (double)(now_ns - s->step_ns) * 1e-9;
	char line[160];

	if (!progress_due(&s->progress, now_ns))
		return;
	if (now_ns - s->step_ns > NOTICE_NS)
		snprintf(line, sizeof line,
		         "%" PRIu64 " messages sent, waiting for the receiver %.0f s", r->messages,
		         seconds);
	else
		snprintf(line, sizeof line, "%" PRIu64 " messages, %.2f GB, frame %" PRIu64,
		         r->messages, (double)r->bytes * 1e-9,
		         s->options->faults.first + (s->newest - 1) * s->options->faults.step);
	progress_show(&s->progress, now_ns, line);
}

static void sleep_until(const struct sender *s, uint64_t deadline_ns)
{
	while (!*s->stop && clock_now_ns() < deadline_ns)
		clock_sleep_until(deadline_ns);
}

/* A push waits for its receiver, for ever; a publisher gives up and sends all the same. */
static void await_peers(struct sender *s)
{
	bool publish = s->options->publish;
	uint64_t end = clock_now_ns() + (uint64_t)(s->options->wait_s * 1e9);

	while (!*s->stop && !wire_ready(s->wire, BLOCKED_MS)) {
		uint64_t now = clock_now_ns();

		if (publish && now >= end) {
			progress_clear(&s->progress);
			fprintf(stderr,
			        "openbeam-send: no subscriber after %g s: sending all the same\n",
			        s->options->wait_s);
			return;
		}
		if (progress_due(&s->progress, now))
			progress_show(&s->progress, now,
			              publish ? "waiting for a subscriber"
			                      : "waiting for a receiver");
	}
}

/* Wait for the time of this slot. Deadlines are absolute: a late frame does not delay the
 * following ones. */
static void pace(struct sender *s, uint64_t slot)
{
	double rate = s->options->rate_hz;
	uint64_t deadline, now, late;

	if (rate == 0.0)
		return;
	deadline = s->start_ns + (uint64_t)((double)slot * 1e9 / rate);
	sleep_until(s, deadline);
	now = clock_now_ns();
	late = now > deadline ? now - deadline : 0;
	if ((double)late * rate > 1e9)
		s->report->late++;
	if (late > s->report->late_max_ns)
		s->report->late_max_ns = late;
}

/* The clock of the detector stands still meanwhile. */
static void stall(struct sender *s)
{
	uint64_t length_ns = (uint64_t)(s->options->stall_ms * 1e6);

	sleep_until(s, clock_now_ns() + length_ns);
	s->start_ns += length_ns;
}

/* More pixels than the header says: up to a row more, in a copy with room for them. */
static int lengthen(struct sender *s, const struct shot *shot, struct pattern_pixels *pixels,
                    size_t *bytes)
{
	size_t extra = 1 + shot->random % (s->pattern->options.width *
	                                   pixel_bytes(s->pattern->options.type));
	uint8_t *copy = malloc(*bytes + extra);

	if (!copy) {
		snprintf(s->why, sizeof s->why, "no memory for a copy of a frame");
		return -ENOMEM;
	}
	memcpy(copy, pixels->data, *bytes);
	memset(copy + *bytes, 0, extra);
	if (pixels->owned)
		free(pixels->data);
	*pixels = (struct pattern_pixels){ copy, true };
	*bytes += extra;
	return 0;
}

/* The pixels of a step, as long as its fate wants them. */
static int take_pixels(struct sender *s, const struct shot *shot, struct pattern_pixels *ret,
                       size_t *ret_bytes)
{
	size_t bytes = s->pattern->frame_bytes;
	int err = pattern_take(s->pattern, shot->number, shot->index, ret);

	if (err) {
		snprintf(s->why, sizeof s->why, "%s", s->pattern->why);
		return err;
	}
	*ret_bytes = bytes;
	if (shot->fate == SHOT_TRUNCATED)
		*ret_bytes = shot->random % bytes;
	if (shot->fate == SHOT_CORRUPTED && shot->corruption == CORRUPT_LONG_PIXELS)
		return lengthen(s, shot, ret, ret_bytes);
	return 0;
}

static size_t make_header(const struct sender *s, const struct shot *shot,
                          char header[ARRAY10_HEADER_MAX])
{
	const struct pattern_options *p = &s->pattern->options;
	struct array10_shape shape = { p->width, p->height, p->type, p->big_endian };

	if (shot->fate == SHOT_CORRUPTED)
		return array10_damaged_header(&shape, shot, header);
	return array10_header(&shape, shot->number, header);
}

/* Queue the message, waiting as long as it takes. */
static int push(struct sender *s, struct wire_message *m)
{
	unsigned end = (unsigned)(s->report->messages % s->options->endpoint_count);
	int err;

	while ((err = wire_send(s->wire, end, m)) == -EAGAIN) {
		if (*s->stop)
			return STOPPED;
		wire_wait(s->wire, end, BLOCKED_MS);
		show_progress(s, clock_now_ns());
	}
	if (err)
		snprintf(s->why, sizeof s->why, "%s", s->wire->why);
	return err;
}

static int send_shot(struct sender *s, const struct shot *shot, size_t *ret_bytes)
{
	char header[ARRAY10_HEADER_MAX];
	struct pattern_pixels pixels;
	struct wire_message m;
	int err = take_pixels(s, shot, &pixels, ret_bytes);

	if (err)
		return err;
	err = wire_message_init(s->wire, &m, header, make_header(s, shot, header), pixels.data,
	                        *ret_bytes, pixels.owned);
	if (err) {
		snprintf(s->why, sizeof s->why, "no memory for a message");
		if (pixels.owned)
			free(pixels.data);
		return err;
	}
	err = push(s, &m);
	wire_message_done(&m);
	return err;
}

static void name_fault(struct sender *s, const struct shot *shot)
{
	static const char *const fates[SHOT_FATE_COUNT] = { "", "lost", "corrupted", "truncated" };

	if (!s->options->verbose ||
	    (shot->fate == SHOT_USABLE && !shot->repeated && !shot->swapped))
		return;
	progress_clear(&s->progress);
	fprintf(stderr, "frame %" PRIu64 " %s", shot->number, fates[shot->fate]);
	if (shot->fate == SHOT_CORRUPTED)
		fprintf(stderr, ": %s", corruption_name(shot->corruption));
	if (shot->repeated)
		fputs("sent again", stderr);
	if (shot->swapped)
		fprintf(stderr, "changes places with %" PRIu64, shot->partner);
	fputc('\n', stderr);
}

/* Stopped within a block: numbers that were passed over for a later one were not sent. */
static void record_unsent(struct sender *s, struct faults *plan, const struct shot *first)
{
	struct shot shot = *first;

	for (;;) {
		if (shot.index < s->newest && !shot.repeated)
			send_report_unsent(s->report, &shot);
		if (faults_at_block(plan) || !faults_next(plan, &shot))
			return;
	}
}

/* One step of the plan. 0, STOPPED or negative errno. */
static int take_step(struct sender *s, const struct shot *shot)
{
	size_t bytes = 0;
	int err = 0;

	if (!shot->repeated)
		pace(s, shot->slot);
	s->step_ns = clock_now_ns();
	if (*s->stop)
		return STOPPED;
	if (shot->fate != SHOT_LOST)
		err = send_shot(s, shot, &bytes);
	if (err)
		return err;
	if (shot->index >= s->newest)
		s->newest = shot->index + 1;
	send_report_add(s->report, shot, bytes);
	name_fault(s, shot);
	show_progress(s, s->step_ns);
	return 0;
}

static int carry_out(struct sender *s, struct faults *plan)
{
	bool stalled = s->options->stall_ms == 0.0;
	struct shot shot;

	while (faults_next(plan, &shot)) {
		int err;

		if (!stalled && shot.slot >= plan->options.frames / 2) {
			stall(s);
			stalled = true;
		}
		err = take_step(s, &shot);
		if (err) {
			record_unsent(s, plan, &shot);
			return err == STOPPED ? 0 : err;
		}
	}
	s->report->finished = true;
	return 0;
}

/* When delivering is given up: the linger time is over, or the patience after a stop. */
static bool gives_up(const struct sender *s, uint64_t now_ns, uint64_t *stopped_ns)
{
	double waited_s = (double)(now_ns - s->step_ns) * 1e-9;

	if (*s->stop && !*stopped_ns)
		*stopped_ns = now_ns;
	if (*stopped_ns && now_ns - *stopped_ns > FAREWELL_NS)
		return true;
	return s->options->linger_s >= 0 && waited_s > s->options->linger_s;
}

/* Wait until everything sent has left, and has been so for a while. Returns when it had. */
static uint64_t deliver(struct sender *s)
{
	uint64_t now = clock_now_ns(), empty_ns = 0, stopped_ns = 0;

	s->step_ns = now;
	while (!(s->gave_up = gives_up(s, now, &stopped_ns))) {
		if (!wire_drained(s->wire))
			empty_ns = 0;
		else if (!empty_ns)
			empty_ns = now;
		else if (now - empty_ns > QUIET_NS)
			break;
		clock_sleep_until(now + DELIVERY_POLL_NS);
		now = clock_now_ns();
		if (progress_due(&s->progress, now))
			progress_show(&s->progress, now,
			              "waiting until the receiver took the last");
	}
	s->report->delivered = empty_ns && !s->wire->cut_off;
	return empty_ns ? empty_ns : now;
}

int sender_run(struct sender *s)
{
	struct fault_options planned = s->options->faults;
	struct faults plan;
	uint64_t begin_ns;
	int err;

	planned.frames = s->options->frames ? s->options->frames : UINT64_MAX;
	faults_init(&plan, &planned);
	progress_init(&s->progress, s->options->quiet);
	prctl(PR_SET_TIMERSLACK, 1000UL); /* ns; 50 us by default would make frames late */
	await_peers(s);
	s->report->started_ns = clock_read_ns(CLOCK_REALTIME);
	begin_ns = clock_now_ns();
	s->start_ns = begin_ns;
	s->step_ns = begin_ns;
	s->newest = 0;
	err = carry_out(s, &plan);
	s->report->elapsed_ns = deliver(s) - begin_ns;
	progress_clear(&s->progress);
	return err;
}
