/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam-send: a simulated detector. */
#include "bench/phantom.h"
#include "bench/replay.h"
#include "bench/send_options.h"
#include "bench/send_report.h"
#include "bench/sender.h"
#include "bench/shm_sender.h"
#include "bench/tiff_pages.h"
#include "ingest/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define EX_GOOD          0
#define EX_BAD_USAGE     2
#define CALIBRATION_MEAN 16   /* exposures */
#define PUB_QUEUE        1000 /* messages, of a recording, too: it is in memory anyway */
#define PUSH_QUEUE_MIN   6
#define PUSH_QUEUE_MAX   1000
#define PUSH_QUEUE_BYTES ((size_t)64 << 20)

static volatile sig_atomic_t stop;

static void handle_stop(int number)
{
	(void)number;
	stop = 1;
}

/* Without SA_RESTART, so that waiting ends; a second signal ends the program at once. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = handle_stop, .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int complain(int status, const char *why)
{
	fprintf(stderr, "openbeam-send: %s\n", why);
	return status;
}

static int status_of(int err)
{
	switch (err) {
	case -ENOENT:
		return EX_NOINPUT;
	case -EACCES:
	case -EPERM:
		return EX_NOPERM;
	case -EINVAL:
		return EX_DATAERR;
	case -ENOMEM:
		return EX_OSERR;
	default:
		return EX_IOERR;
	}
}

static int write_calibration(struct phantom *phantom, const struct send_options *o,
                             enum phantom_kind kind, const char *path)
{
	char why[512];
	float *mean = malloc((size_t)o->width * o->height * sizeof *mean);
	int err;

	if (!mean)
		return complain(EX_OSERR, "no memory for a calibration image");
	phantom_mean(phantom, kind, CALIBRATION_MEAN, mean);
	err = tiff_image_write(path, mean, o->width, o->height, why);
	free(mean);
	if (err)
		return complain(err == -EACCES ? EX_NOPERM : EX_CANTCREAT, why);
	return EX_GOOD;
}

static int write_calibrations(const struct send_options *o)
{
	struct phantom_options scene = { o->width,        o->height, o->format->type,
		                         o->format->bits, 1,         o->faults.seed };
	struct phantom *phantom;
	int status = EX_GOOD;

	if (!o->write_dark && !o->write_flat)
		return EX_GOOD;
	if (phantom_open(&phantom, &scene))
		return complain(EX_OSERR, "no memory for the phantom: use a smaller --size");
	if (o->write_dark)
		status = write_calibration(phantom, o, PHANTOM_DARK, o->write_dark);
	if (o->write_flat && status == EX_GOOD)
		status = write_calibration(phantom, o, PHANTOM_FLAT, o->write_flat);
	phantom_close(phantom);
	return status;
}

/* Compressed frames share the memory with those they are made of. */
static int open_pattern(struct pattern *p, struct send_options *o)
{
	bool compressed = o->compression != COMPRESSION_NONE;
	struct pattern_options wanted = {
		.kind = o->pattern,
		.width = o->width,
		.height = o->height,
		.type = o->format->type,
		.bits = o->format->bits,
		.packing = o->format->packing,
		.big_endian = o->big_endian,
		.seed = o->faults.seed,
		.frames = o->frames,
		.memory_limit = compressed ? o->memory_limit / 2 : o->memory_limit,
		.noise_places = compressed ? STOCK_NOISE_PLACES : 0,
		.files = o->files,
		.file_count = o->file_count,
		.mishaps = o->mishaps,
	};
	int err = pattern_open(p, &wanted);

	if (err)
		return complain(status_of(err), p->why);
	if (o->frames == 0 && !o->endless)
		o->frames = pattern_period(p);
	return EX_GOOD;
}

/* What only the files could tell. */
static int check_files(const struct pattern *p, const struct send_options *o)
{
	const struct pattern_options *f = &p->options;
	const char *why = encoder_refuses(o->encoder, f->type, f->packing, f->big_endian);

	if (!why)
		return EX_GOOD;
	fprintf(stderr, "openbeam-send: --protocol %s with %s pixels: %s\n", o->encoder->name,
	        pixel_name(f->type), why);
	return EX_BAD_USAGE;
}

static int open_stock(struct stock *s, struct pattern *p, const struct send_options *o)
{
	enum framing framing = o->encoder->framings[o->compression];
	int status = check_files(p, o), err;

	if (status)
		return status;
	err = stock_open(s, p, framing, o->memory_limit / 2, o->frames);
	return err ? complain(status_of(err), s->why) : EX_GOOD;
}

/* Messages that each endpoint may queue. Pages of files are held in memory until sent. */
static int queue_length(const struct send_options *o)
{
	size_t frame_bytes, queue;

	if (o->queue_messages)
		return o->queue_messages;
	if (o->publish || o->replay)
		return PUB_QUEUE;
	frame_bytes =
		((size_t)o->width * o->height * wire_bits(o->format->type, o->format->packing) +
	         7) /
		8;
	queue = PUSH_QUEUE_BYTES / frame_bytes;
	if (o->pattern == PATTERN_TIFF || queue < PUSH_QUEUE_MIN)
		return PUSH_QUEUE_MIN;
	return queue < PUSH_QUEUE_MAX ? (int)queue : PUSH_QUEUE_MAX;
}

/* The status after a complaint, or EX_GOOD. */
static int load_curve(struct curve_options *ret, const struct send_options *o)
{
	char why[CURVE_WHY] = "";
	struct curve_pair server = { 0 };
	int err = 0;

	if (o->curve_server_key)
		err = curve_key_read(o->curve_server_key, CURVE_PUBLIC, &server, why);
	if (err == 0 && o->curve_secret_key)
		err = curve_key_read(o->curve_secret_key, CURVE_SECRET, &ret->own, why);
	if (err < 0)
		return complain(status_of(err), why);
	if (o->curve_secret_key)
		ret->role = o->curve_server ? CURVE_SERVER : CURVE_CLIENT;
	memcpy(ret->server_key, server.public_key, sizeof ret->server_key);
	return EX_GOOD;
}

static int open_wire(struct wire *w, const struct send_options *o)
{
	struct curve_options curve = { 0 };
	struct wire_options wanted = { o->endpoint_count, o->endpoints,    o->bind,
		                       o->publish,        queue_length(o), &curve };
	int status = load_curve(&curve, o);
	int err = status == EX_GOOD ? wire_open(w, &wanted) : 0;

	curve_options_done(&curve);
	if (!err)
		return status;
	return complain(err == -EINVAL ? EX_BAD_USAGE : EX_UNAVAILABLE, w->why);
}

static int report_status(const struct send_options *o, int err)
{
	if (!err)
		return EX_GOOD;
	fprintf(stderr, "openbeam-send: cannot write the report %s: %s\n", o->report,
	        strerror(-err));
	return err == -EACCES ? EX_NOPERM : err == -ENOSPC || err == -EIO ? EX_IOERR : EX_CANTCREAT;
}

static int write_report(const struct send_report *r, const struct send_options *o,
                        const struct pattern *p)
{
	return report_status(o, o->report ? send_report_write(r, o, p, o->report) : 0);
}

/* A report that cannot be written is known before an hour of frames is sent. */
static int try_report(const struct send_options *o)
{
	FILE *out = o->report ? fopen(o->report, "a") : NULL;

	if (!o->report)
		return EX_GOOD;
	if (out) {
		fclose(out);
		return EX_GOOD;
	}
	fprintf(stderr, "openbeam-send: cannot write the report %s: %s\n", o->report,
	        strerror(errno));
	return errno == EACCES ? EX_NOPERM : EX_CANTCREAT;
}

static int stream(struct send_options *o, struct stock *stock, struct wire *w)
{
	struct send_report report = { 0 };
	struct sender sender = {
		.options = o, .stock = stock, .wire = w, .stop = &stop, .report = &report
	};
	int err = sender_run(&sender);
	int status = err ? complain(EX_IOERR, sender.why) : EX_GOOD;
	int written = write_report(&report, o, stock->pattern);

	if (!o->quiet)
		send_report_print(&report, stderr);
	if (status == EX_GOOD && sender.courier.gave_up && !stop)
		status = complain(EX_IOERR, "not everything was delivered within --linger");
	send_report_done(&report);
	return status ? status : written;
}

/* The endpoints come first: what is wrong with them is said at once, and a receiver finds its
 * detector there while frames are still prepared. */
static int send_frames(struct send_options *o)
{
	struct pattern pattern = { 0 };
	struct stock stock = { 0 };
	struct wire wire = { 0 };
	int status = try_report(o);

	if (status == EX_GOOD)
		status = open_wire(&wire, o);
	if (status == EX_GOOD && !o->quiet)
		fprintf(stderr, "openbeam-send: preparing frames of pattern %s\n",
		        pattern_name(o->pattern));
	if (status == EX_GOOD)
		status = open_pattern(&pattern, o);
	if (status == EX_GOOD)
		status = open_stock(&stock, &pattern, o);
	if (status == EX_GOOD)
		status = stream(o, &stock, &wire);
	wire_close(&wire);
	stock_close(&stock);
	pattern_close(&pattern);
	return status;
}

static int replay_all(struct send_options *o, struct recording *recording, struct wire *w)
{
	struct replay replay = { .options = o, .recording = recording, .wire = w, .stop = &stop };
	int err = replay_run(&replay);
	int status = err ? complain(EX_IOERR, replay.why) : EX_GOOD;
	int written = report_status(o, o->report ? replay_report(&replay, o->report) : 0);

	if (!o->quiet)
		replay_print(&replay, stderr);
	if (status == EX_GOOD && replay.courier.gave_up && !stop)
		status = complain(EX_IOERR, "not everything was delivered within --linger");
	return status ? status : written;
}

static int open_recording(struct recording *r, const struct send_options *o)
{
	int err = recording_open(r, o->replay, o->memory_limit);

	if (err == -EFBIG)
		return complain(EX_DATAERR, r->why);
	return err ? complain(status_of(err), r->why) : EX_GOOD;
}

static int send_recording(struct send_options *o)
{
	struct recording recording = { 0 };
	struct wire wire = { 0 };
	int status = try_report(o);

	if (status == EX_GOOD)
		status = open_recording(&recording, o);
	if (status == EX_GOOD)
		status = open_wire(&wire, o);
	if (status == EX_GOOD)
		status = replay_all(o, &recording, &wire);
	wire_close(&wire);
	recording_close(&recording);
	return status;
}

/* Frames through shared memory. */
static int share_frames(struct send_options *o)
{
	struct pattern pattern = { 0 };
	struct send_report report = { 0 };
	struct shm_sender sender = {
		.options = o, .pattern = &pattern, .stop = &stop, .report = &report
	};
	int status = try_report(o), err;

	if (status == EX_GOOD)
		status = open_pattern(&pattern, o);
	if (status == EX_GOOD && (err = shm_sender_open(&sender)) != 0)
		status = complain(err == -EINVAL ? EX_BAD_USAGE : EX_UNAVAILABLE, sender.why);
	if (status == EX_GOOD) {
		if (shm_sender_run(&sender))
			status = complain(EX_IOERR, sender.why);
		if (status == EX_GOOD && sender.gave_up && !stop)
			status = complain(EX_IOERR, "the receiver did not release every frame");
		err = write_report(&report, o, &pattern);
		status = status ? status : err;
		if (!o->quiet)
			send_report_print(&report, stderr);
	}
	shm_sender_close(&sender);
	pattern_close(&pattern);
	send_report_done(&report);
	return status;
}

static int run(struct send_options *o)
{
	int status;

	if (o->action == SEND_HELP) {
		send_options_help(stdout);
		return EX_GOOD;
	}
	if (o->action == SEND_VERSION) {
		puts("openbeam-send " OPENBEAM_VERSION);
		return EX_GOOD;
	}
	catch_signals();
	if (o->replay)
		return send_recording(o);
	status = write_calibrations(o);
	if (status == EX_GOOD && o->endpoint_count)
		status = o->shm.asked ? share_frames(o) : send_frames(o);
	return status;
}

int main(int argc, char **argv)
{
	struct send_options options;
	char why[512];
	int status, err;

	source_tune_allocator();
	err = send_options_parse(&options, argc, argv, why);
	if (err)
		return complain(err == -ENOMEM ? EX_OSERR : EX_BAD_USAGE, why);
	status = run(&options);
	send_options_done(&options);
	return status;
}
