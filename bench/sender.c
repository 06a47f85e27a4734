/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/sender.h"

#include "daemon/clock.h"
#include "bench/prng.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_NS UINT64_C(1000000) /* in headers, of a stream without a rate */
#define PORT_LOSS UINT64_C(0x9027)  /* stream of random numbers */

static void write_progress(void *user, double waited_s, char ret_line[160])
{
	const struct sender *s = user;
	const struct send_report *r = s->report;

	if (waited_s > 0)
		snprintf(ret_line, 160,
		         "%" PRIu64 " messages sent, waiting for the receiver %.0f s", r->messages,
		         waited_s);
	else
		snprintf(ret_line, 160, "%" PRIu64 " messages, %.2f GB, frame %" PRIu64,
		         r->messages, (double)r->bytes * 1e-9,
		         s->options->faults.first +
		                 (s->newest ? s->newest - 1 : 0) * s->options->faults.step);
}

static int no_memory(struct sender *s, const char *what)
{
	snprintf(s->why, sizeof s->why, "no memory for %s", what);
	return -ENOMEM;
}

/* ---- one message ---- */

/* Send the draft to one end, or to all. */
static int send_draft(struct sender *s, unsigned first, unsigned count)
{
	struct wire_message m;
	int err = draft_message(&s->draft, s->wire, &m);

	if (err)
		return no_memory(s, "a message");
	for (unsigned end = first; end < first + count && !err; end++)
		err = courier_push(&s->courier, end, &m);
	if (err < 0)
		snprintf(s->why, sizeof s->why, "%s", s->courier.why);
	wire_message_done(&m);
	return err;
}

/* The start or the end of a series. */
static int send_mark(struct sender *s, encode_series_fn *encode)
{
	const struct send_options *o = s->options;
	bool to_all = o->start_to_all || o->encoder->ports;
	int err;

	draft_init(&s->draft);
	err = encode(&s->outgoing, &s->draft);
	err = err ? no_memory(s, "the start of a series")
	          : send_draft(s, 0, to_all ? o->endpoint_count : 1);
	draft_done(&s->draft);
	return err;
}

static int send_start(struct sender *s)
{
	encode_series_fn *start = s->options->encoder->start;
	int err = start && !s->options->no_start ? send_mark(s, start) : 0;

	if (!err && start && !s->options->no_start)
		send_report_started(s->report);
	return err;
}

static int send_end(struct sender *s)
{
	encode_series_fn *end = s->options->encoder->end;
	int err;

	if (!end || s->options->no_end || s->ended)
		return 0;
	s->ended = true;
	err = send_mark(s, end);
	if (!err)
		send_report_ended(s->report);
	return err;
}

/* ---- the pixels of a frame ---- */

static int take_frame(struct sender *s, const struct shot *shot, struct cargo *ret)
{
	struct pattern_pixels pixels;
	size_t bytes;
	int err = stock_take(s->stock, shot->number, shot->index, &pixels, &bytes);

	if (err) {
		snprintf(s->why, sizeof s->why, "%s", s->stock->why);
		return err;
	}
	*ret = (struct cargo){ pixels.data, bytes, bytes, pixels.owned };
	return 0;
}

/* A port's part of a frame: rows are whole bytes, as the options were checked. The frame itself,
 * where there is one port. */
static int cut_port(struct sender *s, struct cargo *frame, unsigned port, struct cargo *ret)
{
	const struct outgoing *o = &s->outgoing;
	size_t row_bytes = (size_t)o->width * wire_bits(o->type, o->packing) / 8;
	size_t part_bytes = row_bytes / o->columns, rows = o->height / o->rows;
	const uint8_t *from = (const uint8_t *)frame->data + port / o->columns * rows * row_bytes +
	                      port % o->columns * part_bytes;
	uint8_t *part;

	if (o->columns * o->rows == 1) {
		*ret = *frame;
		frame->owned = false;
		return 0;
	}
	part = malloc(rows * part_bytes);
	if (!part)
		return no_memory(s, "a port's part of a frame");
	for (size_t y = 0; y < rows; y++)
		memcpy(part + y * part_bytes, from + y * row_bytes, part_bytes);
	*ret = (struct cargo){ part, rows * part_bytes, rows * part_bytes, true };
	return 0;
}

/* More pixels than the header says: up to a row more, in a copy with room for them. */
static int lengthen(struct sender *s, const struct shot *shot, struct cargo *p)
{
	size_t extra = 1 + shot->random % (s->outgoing.width * pixel_bytes(s->outgoing.type));
	uint8_t *copy = malloc(p->bytes + extra);

	if (!copy)
		return no_memory(s, "a copy of a frame");
	memcpy(copy, p->data, p->bytes);
	memset(copy + p->bytes, 0, extra);
	stock_overstate(s->stock, copy, p->bytes, extra);
	if (p->owned)
		free(p->data);
	p->data = copy;
	p->bytes += extra;
	p->owned = true;
	return 0;
}

static int damage_payload(struct sender *s, const struct shot *shot, struct cargo *p)
{
	size_t least = s->options->encoder->empty_is_no_frame && p->bytes > 1;

	if (shot->fate == SHOT_TRUNCATED)
		p->bytes = least + shot->random % (p->bytes - least);
	return shot_is(shot, CORRUPT_LONG_PIXELS) ? lengthen(s, shot, p) : 0;
}

/* Send one message of a frame; an owned payload is gone afterwards. */
static int send_payload(struct sender *s, const struct shot *shot, unsigned port, unsigned end,
                        struct cargo *p)
{
	int err = damage_payload(s, shot, p);

	draft_init(&s->draft);
	if (!err && s->options->encoder->frame(&s->outgoing, shot, port, p, &s->draft))
		err = no_memory(s, "a message");
	if (err) {
		if (p->owned)
			free(p->data);
	} else {
		err = send_draft(s, end, 1);
	}
	draft_done(&s->draft);
	return err;
}

/* ---- one step of the plan ---- */

/* The same for both copies of a frame. */
static bool port_is_lost(const struct sender *s, const struct shot *shot, unsigned port)
{
	uint64_t state =
		prng_stream(s->options->faults.seed ^ PORT_LOSS, shot->index + s->outgoing.id);

	state += port;
	prng_next(&state);
	return prng_unit(&state) < s->options->lose_port;
}

static int send_ports(struct sender *s, const struct shot *shot, struct cargo *frame,
                      struct shipped *ret)
{
	unsigned ports = s->outgoing.columns * s->outgoing.rows;
	int err = 0;

	for (unsigned port = 0; port < ports && !err; port++) {
		struct cargo part;

		if (port_is_lost(s, shot, port)) {
			send_report_port_lost(s->report, shot, port);
			continue;
		}
		err = cut_port(s, frame, port, &part);
		if (err)
			break;
		err = send_payload(s, shot, port, port, &part);
		ret->bytes += part.bytes;
		ret->messages++;
	}
	return err;
}

static int send_shot(struct sender *s, const struct shot *shot, struct shipped *ret)
{
	struct cargo frame;
	int err = take_frame(s, shot, &frame);

	if (err)
		return err;
	if (s->options->encoder->ports) {
		err = send_ports(s, shot, &frame, ret);
		if (frame.owned)
			free(frame.data);
		return err;
	}
	err = send_payload(s, shot, 0, (unsigned)(s->dealt % s->options->endpoint_count), &frame);
	s->dealt++;
	ret->bytes = frame.bytes;
	ret->messages = 1;
	return err;
}

static void name_fault(struct sender *s, const struct shot *shot)
{
	static const char *const fates[SHOT_FATE_COUNT] = { "", "lost", "corrupted", "truncated" };

	if (!s->options->verbose ||
	    (shot->fate == SHOT_USABLE && !shot->repeated && !shot->swapped))
		return;
	progress_clear(&s->courier.progress);
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

/* One step of the plan, whose series begins at `slot`. 0, COURIER_STOPPED or negative errno. */
static int take_step(struct sender *s, uint64_t slot, const struct shot *shot)
{
	struct shipped shipped = { 0 };
	int err = 0;

	if (shot->repeated)
		s->courier.step_ns = clock_now_ns();
	else
		courier_pace(&s->courier, slot + shot->slot);
	if (*s->stop)
		return COURIER_STOPPED;
	if (shot->fate != SHOT_LOST)
		err = send_shot(s, shot, &shipped);
	if (err)
		return err;
	if (shot->index >= s->newest)
		s->newest = shot->index + 1;
	send_report_add(s->report, shot, &shipped);
	name_fault(s, shot);
	courier_tell(&s->courier, s->courier.step_ns);
	return 0;
}

/* ---- series ---- */

/* What is due before the step: the stall in the middle, the end that comes too early. */
static int precede(struct sender *s, const struct shot *shot, uint64_t frames, bool *stalled)
{
	uint64_t early = s->options->early_end;

	if (!*stalled && shot->slot >= frames / 2) {
		courier_stall(&s->courier);
		*stalled = true;
	}
	return early && shot->slot + early >= frames ? send_end(s) : 0;
}

static int carry_out(struct sender *s, struct faults *plan, uint64_t slot, bool *stalled)
{
	struct shot shot;
	int err = 0;

	while (!err && faults_next(plan, &shot)) {
		err = precede(s, &shot, plan->options.frames, stalled);
		if (!err)
			err = take_step(s, slot, &shot);
		if (err)
			record_unsent(s, plan, &shot);
	}
	return err;
}

static void begin_series(struct sender *s, uint64_t nth)
{
	const struct send_options *o = s->options;
	const struct pattern_options *p = &s->stock->pattern->options;

	s->newest = 0;
	s->ended = false;
	s->outgoing = (struct outgoing){
		.id = o->series + nth,
		.frames = o->frames,
		.first = o->faults.first,
		.started_ns = clock_read_ns(CLOCK_REALTIME),
		.period_ns = o->rate_hz > 0 ? (uint64_t)(1e9 / o->rate_hz) : PERIOD_NS,
		.width = p->width,
		.height = p->height,
		.columns = o->columns,
		.rows = o->rows,
		.type = p->type,
		.packing = p->packing,
		.big_endian = p->big_endian,
		.compression = o->compression,
		.detail = o->detail,
		.channel = o->channel,
		.timestamps = o->timestamps,
		.keys = o->keys,
	};
	send_report_series(s->report, s->outgoing.id);
}

/* Each series has faults of its own. The end is tried after a stop, too. */
static int run_series(struct sender *s, uint64_t nth, bool *stalled)
{
	struct fault_options planned = s->options->faults;
	struct faults plan;
	int err, end_err;

	planned.frames = s->options->frames ? s->options->frames : UINT64_MAX;
	planned.seed += nth;
	faults_init(&plan, &planned);
	begin_series(s, nth);
	err = send_start(s);
	if (!err)
		err = carry_out(s, &plan, nth * s->options->frames, stalled);
	if (err < 0)
		return err;
	end_err = send_end(s);
	return err ? err : end_err;
}

int sender_run(struct sender *s)
{
	bool stalled = s->options->stall_ms == 0.0;
	struct send_report *r = s->report;
	int err = 0;

	s->courier = (struct courier){ .options = s->options,
		                       .wire = s->wire,
		                       .stop = s->stop,
		                       .line = write_progress,
		                       .user = s };
	s->dealt = 0;
	courier_begin(&s->courier);
	for (uint64_t nth = 0; nth < s->options->repeat && !err; nth++)
		err = run_series(s, nth, &stalled);
	r->finished = err == 0;
	courier_finish(&s->courier);
	r->started_ns = s->courier.started_ns;
	r->elapsed_ns = s->courier.elapsed_ns;
	r->late = s->courier.late;
	r->late_max_ns = s->courier.late_max_ns;
	r->delivered = s->courier.delivered;
	return err == COURIER_STOPPED ? 0 : err;
}
