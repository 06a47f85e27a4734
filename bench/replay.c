/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/replay.h"

#include "bench/send_report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

static void write_progress(void *user, double waited_s, char ret_line[160])
{
	const struct replay *r = user;

	if (waited_s > 0)
		snprintf(ret_line, 160,
		         "%" PRIu64 " messages sent, waiting for the receiver %.0f s", r->messages,
		         waited_s);
	else
		snprintf(ret_line, 160, "%" PRIu64 " messages, %.2f GB", r->messages,
		         (double)r->bytes * 1e-9);
}

static unsigned parts_at_most(const struct recording *recording)
{
	unsigned most = 0;

	for (uint64_t i = 0; i < recording->count; i++)
		if (recording->messages[i].part_count > most)
			most = recording->messages[i].part_count;
	return most;
}

/* The largest part is the body: the recording stays as long as the wire. */
static unsigned list_parts(const struct recording_message *m, struct wire_part *ret)
{
	unsigned body = 0;

	for (unsigned i = 0; i < m->part_count; i++) {
		ret[i] = (struct wire_part){ m->parts[i].data, m->parts[i].size };
		if (ret[i].size > ret[body].size)
			body = i;
	}
	return body;
}

static int send_one(struct replay *r, const struct recording_message *recorded,
                    struct wire_part *parts)
{
	unsigned end = (unsigned)(r->messages % r->options->endpoint_count);
	unsigned body = list_parts(recorded, parts);
	struct wire_message m;
	int err = wire_message_init(r->wire, &m, parts, recorded->part_count, body, WIRE_STAYS);

	if (err) {
		snprintf(r->why, sizeof r->why, "no memory for a message");
		return err;
	}
	err = courier_push(&r->courier, end, &m);
	wire_message_done(&m);
	if (err < 0)
		snprintf(r->why, sizeof r->why, "%s", r->courier.why);
	if (err)
		return err;
	r->messages++;
	r->parts += recorded->part_count;
	for (unsigned i = 0; i < recorded->part_count; i++)
		r->bytes += parts[i].size;
	return 0;
}

static int send_all(struct replay *r, struct wire_part *parts)
{
	uint64_t total = r->recording->count * r->options->repeat;
	int err = 0;

	for (uint64_t i = 0; i < total && !err; i++) {
		courier_pace(&r->courier, i);
		if (*r->stop)
			return COURIER_STOPPED;
		err = send_one(r, &r->recording->messages[i % r->recording->count], parts);
		courier_tell(&r->courier, r->courier.step_ns);
	}
	return err;
}

int replay_run(struct replay *r)
{
	struct wire_part *parts = calloc(parts_at_most(r->recording), sizeof *parts);
	int err;

	r->courier = (struct courier){ .options = r->options,
		                       .wire = r->wire,
		                       .stop = r->stop,
		                       .line = write_progress,
		                       .user = r };
	if (!parts) {
		snprintf(r->why, sizeof r->why, "no memory for a list of parts");
		return -ENOMEM;
	}
	courier_begin(&r->courier);
	err = send_all(r, parts);
	r->finished = err == 0;
	courier_finish(&r->courier);
	free(parts);
	return err == COURIER_STOPPED ? 0 : err;
}

static double per_s(const struct replay *r, uint64_t amount)
{
	return r->courier.elapsed_ns ? (double)amount * 1e9 / (double)r->courier.elapsed_ns : 0.0;
}

int replay_report(const struct replay *r, const char *path)
{
	const struct send_options *o = r->options;
	json_t *report = json_pack(
		"{s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:I, s:f, s:b, s:b}",
		"program", "openbeam-send", "version", OPENBEAM_VERSION, "replay", o->replay,
		"kind", r->recording->kind, "endpoints", send_report_endpoints(o), "messages",
		(json_int_t)r->messages, "parts", (json_int_t)r->parts, "bytes",
		(json_int_t)r->bytes, "started_ns", (json_int_t)r->courier.started_ns, "seconds",
		(double)r->courier.elapsed_ns * 1e-9, "messages_per_s", per_s(r, r->messages),
		"bytes_per_s", per_s(r, r->bytes), "late", (json_int_t)r->courier.late,
		"late_max_ms", (double)r->courier.late_max_ns * 1e-6, "finished", (int)r->finished,
		"delivered", (int)r->courier.delivered);

	return send_report_dump(report, path);
}

void replay_print(const struct replay *r, FILE *out)
{
	fprintf(out,
	        "sent %" PRIu64 " messages of %" PRIu64 " parts in %.2f s: %.1f messages/s, "
	        "%.3f GB/s%s\n",
	        r->messages, r->parts, (double)r->courier.elapsed_ns * 1e-9, per_s(r, r->messages),
	        per_s(r, r->bytes) * 1e-9, r->courier.delivered ? "" : ", not all delivered");
}
