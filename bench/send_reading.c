/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/send_reading.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PIXELS_MAX ((uint64_t)1 << 28)

static bool was_given(const struct reading *r, enum option_id id)
{
	return r->given[id - OPTION_TO];
}

__attribute__((format(printf, 2, 3))) static int refuse(const struct reading *r, const char *format,
                                                        ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(r->why, WHY_BYTES, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static int apply_profile(struct reading *r)
{
	const struct send_profile *p = r->profile;
	struct send_options *o = r->o;

	if (!p)
		return 0;
	if (!o->format)
		o->format = pixel_format_find(p->format);
	if (!was_given(r, OPTION_SIZE)) {
		o->width = p->width;
		o->height = p->height;
	}
	if (!was_given(r, OPTION_RATE))
		o->rate_hz = p->rate_hz;
	if (!was_given(r, OPTION_FRAMES) && o->seconds == 0.0)
		o->seconds = p->seconds;
	return 0;
}

static int check_files(const struct reading *r)
{
	struct send_options *o = r->o;

	if (o->file_count == 0)
		return 0;
	if (was_given(r, OPTION_SIZE) || o->format || was_given(r, OPTION_PATTERN) || r->profile)
		return refuse(r, "--tiff sends the files' own size and type: leave out --size, "
		                 "--pixel-format, --pattern and --profile");
	if (o->write_dark || o->write_flat)
		return refuse(r,
		              "--write-dark and --write-flat belong to the phantom, not to --tiff");
	o->pattern = PATTERN_TIFF;
	return 0;
}

static int check_length(struct reading *r)
{
	struct send_options *o = r->o;

	if (o->seconds > 0.0 && was_given(r, OPTION_FRAMES))
		return refuse(r, "--seconds and --frames both give the length: use one");
	if (o->seconds > 0.0 && o->rate_hz == 0.0)
		return refuse(r, "--seconds %g needs a --rate above 0", o->seconds);
	if (o->seconds > 0.0)
		o->frames = (uint64_t)fmax(1.0, floor(o->seconds * o->rate_hz + 0.5));
	else if (!was_given(r, OPTION_FRAMES) && o->pattern != PATTERN_TIFF)
		o->frames = 1000;
	o->endless = was_given(r, OPTION_FRAMES) && o->frames == 0;
	if (o->endless && o->stall_ms > 0.0)
		return refuse(r, "--stall %g is in the middle, and --frames 0 has none",
		              o->stall_ms);
	return 0;
}

static int check_together(struct reading *r)
{
	struct send_options *o = r->o;
	double unusable = o->faults.lose + o->faults.corrupt + o->faults.truncate;

	if (unusable > 1.0 + 1e-12)
		return refuse(r,
		              "--lose, --corrupt and --truncate add up to %g; a frame has one "
		              "fate: at most 1",
		              unusable);
	if (o->endpoint_count == 0 && !o->write_dark && !o->write_flat)
		return refuse(r, "where to? give --to ENDPOINT, such as --to tcp://127.0.0.1:9999");
	if (!o->format)
		o->format = pixel_format_find("Mono16");
	if (o->big_endian && o->format->packing != PACKING_NONE)
		return refuse(r,
		              "--big-endian: %s has an order of its own; leave out one of the two",
		              o->format->name);
	o->faults.type_ignored = o->format->packing != PACKING_NONE && o->encoder->packed;
	return 0;
}

static int check_size(const struct reading *r)
{
	const struct send_options *o = r->o;

	if ((uint64_t)o->width * o->height <= PIXELS_MAX)
		return 0;
	return refuse(r, "--size %ux%u: a frame has at most 2^28 pixels, 16384x16384", o->width,
	              o->height);
}

static int check_curve(const struct reading *r)
{
	const struct send_options *o = r->o;

	if (!o->curve_secret_key && (was_given(r, OPTION_CURVE_ROLE) || o->curve_server_key))
		return refuse(r, "CURVE needs --curve-secret-key FILE; openbeam keygen makes one");
	if (!o->curve_secret_key || o->curve_server == !o->curve_server_key)
		return 0;
	if (o->curve_server)
		return refuse(r, "--curve-server-key %s: is for --curve-role client",
		              o->curve_server_key);
	return refuse(r,
	              "--curve-role client needs --curve-server-key FILE, with the public key of "
	              "the receiver");
}

/* What shared memory has no room for, or no need of. */
static int check_shm(const struct reading *r)
{
	const struct send_options *o = r->o;
	const struct {
		bool given;
		const char *option;
	} rows[] = { { o->endpoint_count > 1, "a second --to" },
		     { o->publish, "--socket pub" },
		     { o->queue_messages, "--hwm" },
		     { o->big_endian, "--big-endian" },
		     { o->format->packing != PACKING_NONE, "a packed --pixel-format" },
		     { o->faults.corrupt > 0, "--corrupt" },
		     { o->faults.truncate > 0, "--truncate" },
		     { o->curve_secret_key, "--curve-secret-key" },
		     { o->repeat > 1, "--repeat" },
		     { was_given(r, OPTION_SERIES), "--series" },
		     { o->stall_ms > 0, "--stall" } };

	for (int id = OPTION_SLOTS; id <= OPTION_VERIFY; id++)
		if (!o->shm.asked && was_given(r, (enum option_id)id))
			return refuse(r, "--%s belongs to --protocol shm",
			              send_option_name((enum option_id)id));
	for (size_t i = 0; o->shm.asked && i < sizeof rows / sizeof *rows; i++)
		if (rows[i].given)
			return refuse(r, "--protocol shm does not go with %s", rows[i].option);
	return 0;
}

/* ---- the protocol ---- */

/* Options that belong to some protocols only. */
static int check_belonging(const struct reading *r)
{
	const struct encoder *e = r->o->encoder;
	const struct {
		enum option_id id;
		bool belongs;
	} rows[] = {
		{ OPTION_HEADER_DETAIL, e->details },
		{ OPTION_CHANNEL, e->channel != NULL },
		{ OPTION_NO_START, e->start != NULL },
		{ OPTION_NO_END, e->end != NULL },
		{ OPTION_EARLY_END, e->end != NULL },
		{ OPTION_START_TO_ALL, e->to_all },
		{ OPTION_PORTS, e->ports },
		{ OPTION_HEADER, e->keys },
		{ OPTION_TIMESTAMPS, e->timestamps },
		{ OPTION_LOSE_PORT, e->ports },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (was_given(r, rows[i].id) && !rows[i].belongs)
			return refuse(r, "--%s: %s has no such thing; leave out the option",
			              send_option_name(rows[i].id), e->name);
	return 0;
}

static int check_compression(const struct reading *r)
{
	struct send_options *o = r->o;

	if (!was_given(r, OPTION_COMPRESSION))
		o->compression = o->encoder->usual;
	if (o->encoder->framings[o->compression] != FRAMING_NONE)
		return 0;
	return refuse(r, "--compression %s: %s has not this one; --help says which",
	              compression_name(o->compression), o->encoder->name);
}

static int check_ports(const struct reading *r)
{
	const struct send_options *o = r->o;
	unsigned ports = o->columns * o->rows;

	if (!o->encoder->ports)
		return 0;
	if (o->endpoint_count && o->endpoint_count != ports)
		return refuse(
			r,
			"--ports %ux%u: %u endpoints are given with --to, %u are needed, one for "
			"each port",
			o->columns, o->rows, o->endpoint_count, ports);
	if (o->file_count && ports > 1)
		return refuse(r, "--ports %ux%u: frames of files have one port", o->columns,
		              o->rows);
	if (o->width % o->columns || o->height % o->rows)
		return refuse(r, "--ports %ux%u: a frame of %ux%u cannot be divided so", o->columns,
		              o->rows, o->width, o->height);
	if (ports > 1 &&
	    (uint64_t)o->width / o->columns * wire_bits(o->format->type, o->format->packing) % 8)
		return refuse(r, "--ports %ux%u: rows of %u pixels of %s are no whole bytes",
		              o->columns, o->rows, o->width / o->columns, o->format->name);
	return 0;
}

static int check_series(const struct reading *r)
{
	const struct send_options *o = r->o;
	uint64_t last = o->faults.first;

	if (o->endless && (o->repeat > 1 || o->early_end))
		return refuse(r, "--frames 0 has no end: leave out --repeat and --early-end");
	if (o->early_end && (o->no_end || o->early_end > o->frames))
		return refuse(r, "--early-end %llu: needs as many --frames, and no --no-end",
		              (unsigned long long)o->early_end);
	if (o->frames)
		last += (o->frames - 1) * o->faults.step;
	if (last > o->encoder->number_max)
		return refuse(r, "the last frame would be number %llu; %s ends at %llu",
		              (unsigned long long)last, o->encoder->name,
		              (unsigned long long)o->encoder->number_max);
	return 0;
}

/* Mishaps are of pictures that are made here, by the numbers that they get. */
static int check_mishaps(const struct reading *r)
{
	struct mishap_options *m = &r->o->mishaps;

	m->step = r->o->faults.step;
	m->seed = r->o->faults.seed;
	for (int id = OPTION_DIP; id <= OPTION_NEW_DEAD; id++)
		if (was_given(r, (enum option_id)id) && r->o->file_count)
			return refuse(r,
			              "--%s alters the pictures that are made here; leave out "
			              "--tiff",
			              send_option_name((enum option_id)id));
	if (m->freeze.count && m->freeze.first <= r->o->faults.first)
		return refuse(r,
		              "--freeze %llu: there is no frame before it, the first is number "
		              "%llu",
		              (unsigned long long)m->freeze.first,
		              (unsigned long long)r->o->faults.first);
	return 0;
}

static int check_protocol(const struct reading *r)
{
	struct send_options *o = r->o;
	const char *why =
		encoder_refuses(o->encoder, o->format->type, o->format->packing, o->big_endian);
	int err = check_belonging(r);

	if (!err && why)
		err = refuse(r, "--protocol %s with %s pixels: %s", o->encoder->name,
		             o->format->name, why);
	if (!err)
		err = check_compression(r);
	if (!err)
		err = check_ports(r);
	if (!err)
		err = check_series(r);
	if (!o->channel)
		o->channel = o->encoder->channel;
	if (o->encoder->ports && !was_given(r, OPTION_SOCKET))
		o->publish = true;
	return err;
}

/* A recording has everything in it but the way it is sent. */
static int check_replay(const struct reading *r)
{
	static const enum option_id taken[] = {
		OPTION_TO,      OPTION_ATTACH,     OPTION_SOCKET,           OPTION_HWM,
		OPTION_WAIT,    OPTION_LINGER,     OPTION_REPEAT,           OPTION_MEMORY,
		OPTION_REPLAY,  OPTION_RATE,       OPTION_REPORT,           OPTION_QUIET,
		OPTION_VERBOSE, OPTION_CURVE_ROLE, OPTION_CURVE_SECRET_KEY, OPTION_CURVE_SERVER_KEY,
	};

	for (int id = OPTION_TO; id < OPTION_END; id++) {
		bool goes = false;

		for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
			goes = goes || taken[i] == (enum option_id)id;
		if (r->given[id - OPTION_TO] && !goes)
			return refuse(
				r, "--replay sends messages as they were recorded: leave out --%s",
				send_option_name((enum option_id)id));
	}
	if (r->o->endpoint_count == 0)
		return refuse(r, "where to? give --to ENDPOINT, such as --to tcp://127.0.0.1:9999");
	return 0;
}

int reading_check(struct reading *r)
{
	int err;

	if (!r->o->encoder)
		r->o->encoder = &encoders[0];
	err = check_curve(r);
	if (!err && r->o->replay)
		return check_replay(r);
	if (!err)
		err = check_files(r);
	if (!err)
		err = apply_profile(r);
	if (!err)
		err = check_size(r);
	if (!err)
		err = check_length(r);
	if (!err)
		err = check_together(r);
	if (!err)
		err = check_shm(r);
	if (!err)
		err = check_mishaps(r);
	if (!err)
		err = check_protocol(r);
	return err;
}
