/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/last_loss.h"
#include "sinks/texts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A sentence that grows; what does not fit is cut off. */
struct sentence {
	char *at; /* [LOSS_TEXT] */
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct sentence *s, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(s->at + s->length, LOSS_TEXT - s->length, format, arguments);
	va_end(arguments);
	if (n > 0)
		s->length +=
			(size_t)n < LOSS_TEXT - s->length ? (size_t)n : LOSS_TEXT - s->length - 1;
}

static void add_rate(struct sentence *s, double bytes_per_s, const char *what)
{
	if (bytes_per_s >= 1e9)
		add(s, "%.2f GB/s %s", bytes_per_s / 1e9, what);
	else
		add(s, "%.3g MB/s %s", bytes_per_s / 1e6, what);
}

static void add_time(struct sentence *s, uint64_t ns)
{
	if (ns >= 1000000000u)
		add(s, "%.1f s", (double)ns / 1e9);
	else
		add(s, "%.3g ms", (double)ns / 1e6);
}

/* "frames 512 to 530 dropped (overload)" */
static void add_frames(struct sentence *s, const struct loss_record *r)
{
	uint64_t range = (r->last_frame - r->first_frame) / (r->step ? r->step : 1) + 1;
	enum frame_state state = (enum frame_state)r->state;

	if (r->first_frame == r->last_frame)
		add(s, "frame %" PRIu64, r->first_frame);
	else if (r->frames >= range)
		add(s, "frames %" PRIu64 " to %" PRIu64, r->first_frame, r->last_frame);
	else
		add(s, "%" PRIu64 " of the frames %" PRIu64 " to %" PRIu64, r->frames,
		    r->first_frame, r->last_frame);
	add(s, " %s (%s)", frame_state_name(state), frame_reason_name(state, (unsigned)r->reason));
}

static void add_buffer(struct sentence *s, const struct loss_record *r)
{
	if (r->full_ns > 0) {
		add(s, "the buffer was full for ");
		add_time(s, r->full_ns);
	} else {
		add(s, "the buffer was %.0f %% full", 100 * r->buffer_used);
	}
}

static void add_rates(struct sentence *s, const struct loss_record *r)
{
	add_rate(s, r->bytes_in_per_s, "came, ");
	if (r->bytes_out_per_s > 0)
		add_rate(s, r->bytes_out_per_s, "reached the disk");
	else
		add(s, "nothing reached the disk");
	if (r->write_ns > 0) {
		add(s, ", the longest write took ");
		add_time(s, r->write_ns);
	}
	if (r->sync_ns > r->write_ns) {
		add(s, ", the longest sync ");
		add_time(s, r->sync_ns);
	}
}

/* What holds the frames up, and what helps. */
static void add_cause(struct sentence *s, const struct loss_record *r)
{
	switch (last_loss_cause(r)) {
	case LOSS_WORKERS:
		add(s,
		    "%" PRIu64 " frames waited to be reduced: the processor is too slow: use more "
		    "daemon.workers on more cores, a smaller reduce.roi, or fewer histograms",
		    r->unclaimed / r->samples);
		return;
	case LOSS_GAP:
		add(s,
		    "%" PRIu64 " frames waited for a number before theirs: lower series.reorder, "
		    "or raise ingest.buffer",
		    r->held / r->samples);
		return;
	default:
		add(s, "the disk is too slow: write less (reduce.bin, reduce.type, reduce.roi) or "
		       "to a faster one; a larger ingest.buffer helps where the rate is high only "
		       "for a while");
	}
}

static void add_overload(struct sentence *s, const struct loss_record *r)
{
	add_buffer(s, r);
	add(s, "; ");
	add_rates(s, r);
	add(s, ": ");
	add_cause(s, r);
}

static void add_never(struct sentence *s, const struct loss_record *r)
{
	add(s, "no message had %s; ", r->frames == 1 ? "this number" : "these numbers");
	add_buffer(s, r);
	if (r->full_ns > 0) {
		add(s, ", so that the sender may have had to drop them; ");
		add_rates(s, r);
		add(s, ": ");
		add_cause(s, r);
		return;
	}
	add(s, ": the sender or the network lost them: look at what the sender counts as lost, at "
	       "its queue (high-water mark), and at the network's errors");
}

static void add_why(struct sentence *s, const struct loss_record *r)
{
	static const char *const dropped[DROPPED_COUNT] = {
		[DROPPED_DECODE] = "their data could not be unpacked: see the log for what is "
				   "wrong with it, and look at the sender's settings",
		[DROPPED_WRITE] = "a file or its journal could not be written: see the log for "
				  "which one and why, and look at the disk",
		[DROPPED_NO_SPACE] = "the disk is full: free some space; frames are written again "
				     "as soon as there is some",
		[DROPPED_ABORTED] = "the run was aborted before they were in a file",
		[DROPPED_CRASH] = "",
	};

	if (r->state == FRAME_MISSING && r->reason == MISSING_NEVER)
		add_never(s, r);
	else if (r->state == FRAME_MISSING && r->reason == MISSING_REJECTED)
		add(s, "only messages that are no usable frame had their numbers: see the log for "
		       "what is wrong with those, and look at the sender's settings");
	else if (r->state == FRAME_MISSING || r->reason == DROPPED_OVERLOAD)
		add_overload(s, r);
	else
		add(s, "%s", dropped[r->reason]);
}

void last_loss_text(const struct loss_record *r, char ret[LOSS_TEXT])
{
	struct sentence s = { .at = ret };
	char time[TEXT_TIME_BYTES];

	ret[0] = '\0';
	text_time(r->time_ns, time);
	add(&s, "%.8s UTC: ", strchr(time, 'T') ? strchr(time, 'T') + 1 : time);
	add_frames(&s, r);
	add(&s, ": ");
	add_why(&s, r);
}
