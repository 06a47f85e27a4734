/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/array10_message.h"

#include "bench/encoder.h"
#include "bench/prng.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* With the keys in the order, and the spaces, that fast live streams of this format use. */
static size_t write_header(const struct array10_shape *s, const char *shape_key, const char *type,
                           const char *number_key, uint64_t number,
                           char ret_header[ARRAY10_HEADER_MAX])
{
	char time[40] = "";
	int n;

	if (s->timestamp_ns)
		snprintf(time, sizeof time, ", \"timestamp_ns\":%" PRIu64, s->timestamp_ns);
	n = snprintf(ret_header, ARRAY10_HEADER_MAX,
	             "{\"htype\":\"array-1.0\", \"%s\":[%" PRIu32 ",%" PRIu32
	             "], \"type\":\"%s\", \"%s\":%" PRIu64 "%s%s%s}",
	             shape_key, s->height, s->width, type, number_key, number,
	             s->big_endian ? ", \"endianness\":\"big\"" : "", time, s->keys ? s->keys : "");
	return (size_t)n;
}

static void fill_with_noise(char *header, size_t size, uint64_t random)
{
	for (size_t i = 0; i < size; i++)
		header[i] = (char)(prng_next(&random) >> 56);
	header[0] |= (char)0x80; /* neither a bracket nor white space */
}

size_t array10_header(const struct array10_shape *s, uint64_t number,
                      char ret_header[ARRAY10_HEADER_MAX])
{
	return write_header(s, "shape", pixel_name(s->type), "frame", number, ret_header);
}

size_t array10_damaged_header(const struct array10_shape *s, const struct shot *shot,
                              char ret_header[ARRAY10_HEADER_MAX])
{
	const char *type = pixel_name(s->type);
	size_t size;

	switch (shot->corruption) {
	case CORRUPT_NO_NUMBER:
		return write_header(s, "shape", type, "fra_e", shot->number, ret_header);
	case CORRUPT_NO_SHAPE:
		return write_header(s, "sh_pe", type, "frame", shot->number, ret_header);
	case CORRUPT_UNKNOWN_TYPE:
		return write_header(s, "shape", "uint13", "frame", shot->number, ret_header);
	default:
		break;
	}
	size = array10_header(s, shot->number, ret_header);
	if (shot->corruption == CORRUPT_CUT_HEADER)
		return 1 + (size_t)(shot->random % (size - 1));
	if (shot->corruption == CORRUPT_BRACKET)
		ret_header[0] = '[';
	if (shot->corruption == CORRUPT_NOISE)
		fill_with_noise(ret_header, size, shot->random);
	return size;
}

int array10_frame(const struct outgoing *o, const struct shot *shot, unsigned port,
                  const struct cargo *p, struct draft *d)
{
	struct array10_shape shape = {
		.width = o->width,
		.height = o->height,
		.type = o->type,
		.big_endian = o->big_endian,
		.timestamp_ns =
			o->timestamps ? o->started_ns + outgoing_time_ns(o, shot->index) : 0,
		.keys = o->keys,
	};
	char header[ARRAY10_HEADER_MAX];
	size_t bytes = shot->fate == SHOT_CORRUPTED ? array10_damaged_header(&shape, shot, header)
	                                            : array10_header(&shape, shot->number, header);

	(void)port;
	draft_bytes(d, header, bytes);
	draft_body(d, p->data, p->bytes, p->owned);
	return 0;
}
