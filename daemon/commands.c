/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/commands.h"
#include "kernels/combine.h"
#include "daemon/pipeline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define ROOM_POLL_NS 5000000
#define ROOM_POLLS   40

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

/* Under the lock. */
static int give(struct commands *q, const struct command *c, char why[400])
{
	if (q->waiting)
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
	q->command = *c;
	q->waiting = true;
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

int command_give(struct pipeline *p, const struct command *c, char why[400])
{
	int err = check(p, c, why);

	if (err < 0)
		return err;
	wait_for_room(&p->commands);
	pthread_mutex_lock(&p->commands.lock);
	err = give(&p->commands, c, why);
	if (err == 0) {
		/* Frames that are sent after the answer may be reduced before the collector has
		 * seen the command: their payloads are left from now on. */
		atomic_fetch_add(&p->keeping.asked, 1);
		atomic_store(&p->commands.pending, true);
	}
	pthread_mutex_unlock(&p->commands.lock);
	if (err == 0)
		bell_ring(&p->collect);
	return err;
}

bool commands_take(struct commands *q, struct command *ret)
{
	if (!commands_wait(q))
		return false;
	pthread_mutex_lock(&q->lock);
	*ret = q->command;
	q->waiting = false;
	if (calibrates(ret)) /* no other one from now on */
		q->report.state = CALIBRATION_COLLECTING;
	atomic_store(&q->pending, false);
	pthread_mutex_unlock(&q->lock);
	return true;
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
