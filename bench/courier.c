/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/courier.h"

#include "daemon/clock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>

#define BLOCKED_MS       100             /* between looks at the stop flag */
#define FAREWELL_NS      (2 * NS_PER_S)  /* what a stopped sender still gives its receiver */
#define NOTICE_NS        NS_PER_S        /* of waiting before it is called so */
#define QUIET_NS         (NS_PER_S / 10) /* that the connections must stay empty at the end */
#define DELIVERY_POLL_NS (NS_PER_S / 500)

void courier_tell(struct courier *c, uint64_t now_ns)
{
	uint64_t waited_ns = now_ns - c->step_ns;
	char line[160];

	if (!progress_due(&c->progress, now_ns))
		return;
	c->line(c->user, waited_ns > NOTICE_NS ? (double)waited_ns * 1e-9 : 0.0, line);
	progress_show(&c->progress, now_ns, line);
}

static void sleep_until(const struct courier *c, uint64_t deadline_ns)
{
	while (!*c->stop && clock_now_ns() < deadline_ns)
		clock_sleep_until(deadline_ns);
}

/* A push waits for its receiver, for ever; a publisher gives up and sends all the same. */
static void await_peers(struct courier *c)
{
	bool publish = c->options->publish;
	uint64_t end = clock_now_ns() + (uint64_t)(c->options->wait_s * 1e9);

	while (!*c->stop && !wire_ready(c->wire, BLOCKED_MS)) {
		uint64_t now = clock_now_ns();

		if (publish && now >= end) {
			progress_clear(&c->progress);
			fprintf(stderr,
			        "openbeam-send: no subscriber after %g s: sending all the same\n",
			        c->options->wait_s);
			return;
		}
		if (progress_due(&c->progress, now))
			progress_show(&c->progress, now,
			              publish ? "waiting for a subscriber"
			                      : "waiting for a receiver");
	}
}

void courier_begin(struct courier *c)
{
	progress_init(&c->progress, c->options->quiet);
	prctl(PR_SET_TIMERSLACK, 1000UL); /* ns; 50 us by default would make messages late */
	await_peers(c);
	c->started_ns = clock_read_ns(CLOCK_REALTIME);
	c->begin_ns = clock_now_ns();
	c->start_ns = c->begin_ns;
	c->step_ns = c->begin_ns;
}

/* Deadlines are absolute: a late message does not delay the following ones. */
void courier_pace(struct courier *c, uint64_t slot)
{
	double rate = c->options->rate_hz;
	uint64_t deadline, now, late;

	c->step_ns = clock_now_ns();
	if (rate == 0.0)
		return;
	deadline = c->start_ns + (uint64_t)((double)slot * 1e9 / rate);
	sleep_until(c, deadline);
	now = clock_now_ns();
	late = now > deadline ? now - deadline : 0;
	if ((double)late * rate > 1e9)
		c->late++;
	if (late > c->late_max_ns)
		c->late_max_ns = late;
	c->step_ns = now;
}

void courier_stall(struct courier *c)
{
	uint64_t length_ns = (uint64_t)(c->options->stall_ms * 1e6);

	sleep_until(c, clock_now_ns() + length_ns);
	c->start_ns += length_ns;
}

int courier_push(struct courier *c, unsigned end, struct wire_message *m)
{
	int err;

	while ((err = wire_send(c->wire, end, m)) == -EAGAIN) {
		if (*c->stop)
			return COURIER_STOPPED;
		wire_wait(c->wire, end, BLOCKED_MS);
		courier_tell(c, clock_now_ns());
	}
	if (err)
		snprintf(c->why, sizeof c->why, "%s", c->wire->why);
	return err;
}

/* When delivering is given up: the linger time is over, or the patience after a stop. */
static bool gives_up(const struct courier *c, uint64_t now_ns, uint64_t *stopped_ns)
{
	double waited_s = (double)(now_ns - c->step_ns) * 1e-9;

	if (*c->stop && !*stopped_ns)
		*stopped_ns = now_ns;
	if (*stopped_ns && now_ns - *stopped_ns > FAREWELL_NS)
		return true;
	return c->options->linger_s >= 0 && waited_s > c->options->linger_s;
}

/* Everything has left when the connections have been empty for a while. */
void courier_finish(struct courier *c)
{
	uint64_t now = clock_now_ns(), empty_ns = 0, stopped_ns = 0;

	c->step_ns = now;
	while (!(c->gave_up = gives_up(c, now, &stopped_ns))) {
		if (!wire_drained(c->wire))
			empty_ns = 0;
		else if (!empty_ns)
			empty_ns = now;
		else if (now - empty_ns > QUIET_NS)
			break;
		clock_sleep_until(now + DELIVERY_POLL_NS);
		now = clock_now_ns();
		if (progress_due(&c->progress, now))
			progress_show(&c->progress, now,
			              "waiting until the receiver took the last");
	}
	c->delivered = empty_ns && !c->wire->cut_off;
	c->elapsed_ns = (empty_ns ? empty_ns : now) - c->begin_ns;
	progress_clear(&c->progress);
}
