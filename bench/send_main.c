/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam-send: a simulated detector. */
#include "bench/phantom.h"
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
#define PUB_QUEUE        1000 /* messages */
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

static int open_pattern(struct pattern *p, struct send_options *o)
{
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
		.memory_limit = o->memory_limit,
		.files = o->files,
		.file_count = o->file_count,
	};
	int err = pattern_open(p, &wanted);

	if (err)
		return complain(status_of(err), p->why);
	if (o->frames == 0 && !o->endless)
		o->frames = pattern_period(p);
	return EX_GOOD;
}

/* Messages that each endpoint may queue. Pages of files are held in memory until sent. */
static int queue_length(const struct send_options *o)
{
	size_t bits = wire_bits(o->format->type, o->format->packing);
	size_t frame_bytes = ((size_t)o->width * o->height * bits + 7) / 8;
	size_t queue = PUSH_QUEUE_BYTES / frame_bytes;

	if (o->queue_messages)
		return o->queue_messages;
	if (o->publish)
		return PUB_QUEUE;
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

static int write_report(const struct send_report *r, const struct send_options *o,
                        const struct pattern *p)
{
	int err = o->report ? send_report_write(r, o, p, o->report) : 0;

	if (!err)
		return EX_GOOD;
	fprintf(stderr, "openbeam-send: cannot write the report %s: %s\n", o->report,
	        strerror(-err));
	return err == -EACCES ? EX_NOPERM : err == -ENOSPC || err == -EIO ? EX_IOERR : EX_CANTCREAT;
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

static int stream(struct send_options *o, struct pattern *p, struct wire *w)
{
	struct send_report report = { 0 };
	struct sender sender = {
		.options = o, .pattern = p, .wire = w, .stop = &stop, .report = &report
	};
	int err = sender_run(&sender);
	int status = err ? complain(EX_IOERR, sender.why) : EX_GOOD;
	int report_status = write_report(&report, o, p);

	if (!o->quiet)
		send_report_print(&report, stderr);
	if (status == EX_GOOD && sender.gave_up && !stop)
		status = complain(EX_IOERR, "not everything was delivered within --linger");
	send_report_done(&report);
	return status ? status : report_status;
}

/* The endpoints come first: what is wrong with them is said at once, and a receiver finds its
 * detector there while frames are still prepared. */
static int send_frames(struct send_options *o)
{
	struct pattern pattern = { 0 };
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
		status = stream(o, &pattern, &wire);
	wire_close(&wire);
	pattern_close(&pattern);
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
