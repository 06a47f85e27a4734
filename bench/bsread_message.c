/* SPDX-License-Identifier: Apache-2.0 */
/* PSI's bsread: main header, data header, and for each channel its value and its timestamp. Two
 * channels: the light's intensity, as beamlines add it, and the image. */
#include "bench/encoder.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_S    UINT64_C(1000000000)
#define HEADER_ROOM 2048

/* The data header. Returns its length. */
static size_t describe(const struct outgoing *o, const struct shot *shot, char ret[HEADER_ROOM])
{
	static const char *const names[COMPRESSION_COUNT] = { "none", "lz4", "bitshuffle_lz4", "" };
	int camera = (int)strcspn(o->channel, ":");
	int n = snprintf(
		ret, HEADER_ROOM,
		"{\"htype\":\"bsr_d-1.1\",\"channels\":[{\"name\":\"%.*s:INTENSITY\","
		"\"type\":\"float64\",\"shape\":[1],\"encoding\":\"little\"},{\"name\":"
		"\"%s\",\"type\":\"%s\",\"%s\":[%" PRIu32 ",%" PRIu32
		"],\"encoding\":\"%s\",\"compression\":\"%s\",\"modulo\":1,\"offset\":0}]}",
		camera, o->channel, o->channel,
		shot_is(shot, CORRUPT_UNKNOWN_TYPE) ? "uint13" : pixel_name(o->type),
		shot_is(shot, CORRUPT_NO_SHAPE) ? "sh_pe" : "shape", o->width, o->height,
		o->big_endian ? "big" : "little", names[o->compression]);

	return (size_t)n;
}

/* Real senders write the MD5 of the data header. Receivers only ask whether it is the last one's:
 * FNV-1a of 64 bits, with two seeds, answers that as well. */
static uint64_t digest(const char *text, size_t bytes, uint64_t state)
{
	for (size_t i = 0; i < bytes; i++)
		state = (state ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return state;
}

static void add_timestamp(struct draft *d, uint64_t ns, bool big_endian)
{
	uint64_t words[2] = { ns / NS_PER_S, ns % NS_PER_S };

	for (unsigned i = 0; i < 2; i++)
		words[i] = big_endian ? htobe64(words[i]) : htole64(words[i]);
	draft_bytes(d, words, sizeof words);
}

/* Near 1, and another for each pulse. */
static double intensity(uint64_t number)
{
	return 1.0 + (double)(number % 64) / 1024.0;
}

int bsread_frame(const struct outgoing *o, const struct shot *shot, unsigned port,
                 const struct cargo *p, struct draft *d)
{
	char header[HEADER_ROOM];
	size_t bytes = describe(o, shot, header);
	uint64_t ns = o->started_ns + outgoing_time_ns(o, shot->index);
	double scalar = intensity(shot->number);

	(void)port;
	draft_text(d,
	           "{\"htype\":\"bsr_m-1.1\",\"%s\":%" PRIu64 ",\"hash\":\"%016" PRIx64
	           "%016" PRIx64 "\",\"global_timestamp\":{\"sec\":%" PRIu64 ",\"ns\":%" PRIu64
	           "},\"dh_compression\":\"none\"}",
	           shot_is(shot, CORRUPT_NO_NUMBER) ? "pulse_i_" : "pulse_id", shot->number,
	           digest(header, bytes, UINT64_C(0xcbf29ce484222325)),
	           digest(header, bytes, bytes), ns / NS_PER_S, ns % NS_PER_S);
	draft_damage(d, shot);
	draft_bytes(d, header, bytes);
	draft_bytes(d, &scalar, sizeof scalar);
	add_timestamp(d, ns, false);
	draft_body(d, p->data, p->bytes, p->owned);
	add_timestamp(d, ns, o->big_endian);
	return 0;
}
