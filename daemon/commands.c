/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/commands.h"
#include "daemon/figures.h"
#include "daemon/idle.h"
#include "kernels/combine.h"
#include "daemon/pipeline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define ROOM_POLL_NS   5000000
#define ROOM_POLLS     40
#define ANSWER_POLL_NS 1000000
#define ANSWER_POLLS   (COMMAND_PATIENCE_NS / ANSWER_POLL_NS)

__attribute__((format(printf, 3, 4))) static int refuse(char why[400], int err, const char *format,
                                                        ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, 400, format, arguments);
	va_end(arguments);
	return err;
}

/* What one frame takes of calibration.memory; 0 while no frame was seen. */
static uint64_t frame_bytes(struct pipeline *p)
{
	/* relaxed: a figure. */
	return atomic_load_explicit(&p->commands.frame_bytes, memory_order_relaxed);
}

static int check_frames(struct pipeline *p, const struct command *c, char why[400])
{
	uint64_t bytes = frame_bytes(p), memory = p->config->calibration.memory;
	uint64_t most = bytes ? memory / bytes : COMBINE_FRAMES_MAX;

	if (c->frames == 0)
		return refuse(why, -EINVAL, "0 frames make no %s: ask for at least 1",
		              c->kind == COMMAND_DARK ? "dark" : "flat");
	if (c->frames > COMBINE_FRAMES_MAX)
		return refuse(why, -EFBIG, "%llu frames are too many: at most %u are combined",
		              (unsigned long long)c->frames, COMBINE_FRAMES_MAX);
	if (c->frames > most)
		return refuse(why, -EFBIG,
		              "%llu frames of %llu bytes do not fit calibration.memory (%llu "
		              "bytes): at most %llu do",
		              (unsigned long long)c->frames, (unsigned long long)bytes,
		              (unsigned long long)memory, (unsigned long long)most);
	return 0;
}

static int check(struct pipeline *p, const struct command *c, char why[400])
{
	int phase = atomic_load_explicit(&p->phase, memory_order_acquire);

	if (phase != PHASE_RUN)
		return refuse(why, -ESHUTDOWN, "the daemon is ending");
	switch (c->kind) {
	case COMMAND_DARK:
	case COMMAND_FLAT:
		return check_frames(p, c, why);
	case COMMAND_KEEP:
		if (!blackbox_wanted(p->config))
			return refuse(why, -ENOTSUP,
			              "there is no black box: set blackbox.before to as many "
			              "seconds as it shall hold");
		if (!blackbox_is_kept_on(p->config, "command"))
			return refuse(why, -ENOTSUP,
			              "the black box is not written by command: add command to "
			              "blackbox.on");
		return 0;
	default:
		return 0;
	}
}

int commands_open(struct commands *c)
{
	*c = (struct commands){ 0 };
	return -pthread_mutex_init(&c->lock, NULL);
}

void commands_close(struct commands *c)
{
	pthread_mutex_destroy(&c->lock);
}

static bool calibrates(const struct command *c)
{
	return c->kind == COMMAND_DARK || c->kind == COMMAND_FLAT;
}

/* Whether the collector answers it. */
static bool is_answered(const struct command *c)
{
	return c->kind >= COMMAND_ARM;
}

/* Whether it may take the place of one that the collector has not come to. */
static bool overtakes(const struct command *c, const struct command *before)
{
	return c->kind == COMMAND_ABORT && before->kind == COMMAND_STOP;
}

/* Under the lock. */
static int give(struct commands *q, struct command *c, char why[400])
{
	if (q->waiting && !overtakes(c, &q->command))
		return refuse(why, -EBUSY, "another command is being taken: try again");
	if (calibrates(c) && q->report.state != CALIBRATION_IDLE)
		return refuse(why, -EBUSY,
		              "a %s is being taken: wait for it, or give it up with cancel",
		              q->report.role);
	if (c->kind == COMMAND_CANCEL && q->report.state == CALIBRATION_IDLE)
		return refuse(why, -EBUSY, "no dark or flat is being taken");
	if (c->kind == COMMAND_CANCEL && q->report.state == CALIBRATION_MAKING)
		return refuse(why, -EBUSY,
		              "the frames of the %s are all there, it is being made: wait for it",
		              q->report.role);
	c->ticket = is_answered(c) ? ++q->tickets : 0;
	c->given_ns = clock_monotonic_ns();
	q->command = *c;
	return 0;
}

/* The collector takes one within a turn, unless it waits for a disk or an image. */
static void wait_for_room(struct commands *q)
{
	const struct timespec pause = { .tv_nsec = ROOM_POLL_NS };

	/* relaxed: give() looks again, under the lock. */
	for (unsigned i = 0;
	     i < ROOM_POLLS && atomic_load_explicit(&q->pending, memory_order_relaxed); i++)
		nanosleep(&pause, NULL);
}

/* Leave it for the collector. */
static int leave(struct pipeline *p, struct command *c, char why[400])
{
	struct commands *q = &p->commands;
	int err;

	pthread_mutex_lock(&q->lock);
	err = give(q, c, why);
	if (err == 0 && !q->waiting) {
		/* Frames that are sent after the answer may be reduced before the collector has
		 * seen the command: their payloads are left from now on. */
		atomic_fetch_add(&p->keeping.asked, 1);
		q->waiting = true;
		atomic_store(&q->pending, true);
	}
	pthread_mutex_unlock(&q->lock);
	if (err == 0)
		bell_ring(&p->collect);
	return err;
}

static bool find_answer(struct commands *q, uint64_t ticket, struct command_answer *ret)
{
	const struct command_answer *a = &q->answers[ticket % COMMAND_ANSWERS];
	bool found;

	pthread_mutex_lock(&q->lock);
	found = a->ticket == ticket;
	if (found)
		*ret = *a;
	pthread_mutex_unlock(&q->lock);
	return found;
}

/* Nobody has come for it: take it back. False when somebody just did. */
static bool withdraw(struct pipeline *p, const struct command *c)
{
	struct commands *q = &p->commands;
	bool found;

	pthread_mutex_lock(&q->lock);
	found = q->waiting && q->command.ticket == c->ticket;
	if (found) {
		q->waiting = false;
		atomic_store(&q->pending, false);
		atomic_fetch_sub(&p->keeping.asked, 1);
	}
	pthread_mutex_unlock(&q->lock);
	return found;
}

static bool ends_series(const struct command *c)
{
	return c->kind == COMMAND_STOP || c->kind == COMMAND_ABORT;
}

/* What the collector says of it. A stop or abort that it has not come to stays. */
static int await(struct pipeline *p, const struct command *c, struct command_answer *ret)
{
	const struct timespec pause = { .tv_nsec = ANSWER_POLL_NS };

	for (unsigned i = 0; i < ANSWER_POLLS; i++) {
		if (find_answer(&p->commands, c->ticket, ret))
			return ret->err;
		nanosleep(&pause, NULL);
	}
	if (!ends_series(c) && withdraw(p, c))
		return refuse(
			ret->why, -EAGAIN,
			"the daemon waits for a disk and takes no commands: try again, or see "
			"its log for which");
	if (find_answer(&p->commands, c->ticket, ret))
		return ret->err;
	return 0;
}

/* The series that a stop or abort is about, as whoever asks sees it: one that begins behind it must
 * not be ended in its place. */
static int find_series(struct pipeline *p, struct command *c, struct command_answer *ret)
{
	struct series_place place;
	struct figures f;

	figures_get(&p->collector.board, &f);
	figures_place(&p->collector.board, &place);
	if (!f.running && !f.armed)
		return refuse(ret->why, -EBUSY,
		              "no series runs and none is armed: there is nothing to %s",
		              c->kind == COMMAND_STOP ? "stop" : "abort");
	c->series = f.series_begun + !f.running;
	snprintf(ret->series, sizeof ret->series, "%.*s", (int)sizeof ret->series - 1,
	         f.running ? figures_folder(place.path) : "");
	return 0;
}

int command_give(struct pipeline *p, const struct command *command,
                 char ret_series[COMMAND_SERIES_BYTES], char why[400])
{
	struct command_answer answer = { 0 };
	struct command c = *command;
	int err = check(p, &c, answer.why);

	if (err == 0)
		wait_for_room(&p->commands);
	if (err == 0 && ends_series(&c))
		err = find_series(p, &c, &answer);
	if (err == 0)
		err = leave(p, &c, answer.why);
	if (err == 0 && is_answered(&c))
		err = await(p, &c, &answer);
	snprintf(ret_series, COMMAND_SERIES_BYTES, "%s", answer.series);
	snprintf(why, 400, "%s", answer.why);
	return err;
}

bool commands_take(struct commands *q, struct command *ret)
{
	bool found;

	if (!commands_wait(q))
		return false;
	pthread_mutex_lock(&q->lock);
	found = q->waiting; /* it may have been taken back */
	if (found)
		*ret = q->command;
	q->waiting = false;
	if (found && calibrates(ret)) /* no other one from now on */
		q->report.state = CALIBRATION_COLLECTING;
	atomic_store(&q->pending, false);
	pthread_mutex_unlock(&q->lock);
	return found;
}

void commands_answer(struct commands *q, const struct command_answer *answer)
{
	pthread_mutex_lock(&q->lock);
	q->answers[answer->ticket % COMMAND_ANSWERS] = *answer;
	pthread_mutex_unlock(&q->lock);
}

void calibration_report(struct pipeline *p, struct calibration_report *ret)
{
	pthread_mutex_lock(&p->commands.lock);
	*ret = p->commands.report;
	pthread_mutex_unlock(&p->commands.lock);
	/* relaxed: figures. */
	if (ret->state == CALIBRATION_COLLECTING)
		ret->taken = atomic_load_explicit(&p->commands.taken, memory_order_relaxed);
}
