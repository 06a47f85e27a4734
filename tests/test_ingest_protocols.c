/* SPDX-License-Identifier: Apache-2.0 */
/* What every wire format must keep, whatever it is: the tests loop over protocols[]. A new
 * protocol adds its samples to the table below. */
#include "ingest/protocol.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* One good message and what it must decode to. */
struct sample {
	const char *protocol;
	unsigned part_count;
	struct {
		const char *data;
		size_t size;
	} parts[MESSAGE_PARTS_MAX];
	struct frame frame; /* pixels: at the begin of the last part */
};

#define TEXT(s)                                                                                    \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}

static const struct sample samples[] = {
	{
		"array-1.0",
		2,
		{ TEXT("{\"htype\":\"array-1.0\",\"shape\":[2,3],\"type\":\"uint16\",\"frame\":7}"),
	          TEXT("abcdefghijkl") },
		{ .number = 7, .width = 3, .height = 2, .type = PIXEL_UINT16, .bytes = 12 },
	},
	{
		"array-1.0",
		2,
		{ TEXT("{\"image_attributes\":{\"time_stamp\":155337324560,"
	               "\"image_is_complete\":false},\"tags\":[\"0\"],\"endianess\":\"big\","
	               "\"frame\":18446744073709551614,\"source\":\"camera\",\"shape\":[3,1],"
	               "\"htype\":[\"array-1.0\"],\"type\":\"float32\"}"),
	          TEXT("abcdefghijkl") },
		{ .number = UINT64_MAX - 1,
	          .timestamp_ns = 155337324560000,
	          .width = 1,
	          .height = 3,
	          .type = PIXEL_FLOAT32,
	          .big_endian = true,
	          .flags = FRAME_INCOMPLETE,
	          .bytes = 12 },
	},
};

static const size_t sample_count = sizeof samples / sizeof samples[0];

/* A message whose parts are blocks of exactly their size, so that a sanitizer sees a step beyond.
 */
struct copy {
	struct message message;
	char *parts[MESSAGE_PARTS_MAX];
};

static struct copy copy_sample(const struct sample *s)
{
	struct copy copy = { .message.part_count = s->part_count };

	for (unsigned i = 0; i < s->part_count; i++) {
		copy.parts[i] = malloc(s->parts[i].size);
		memcpy(copy.parts[i], s->parts[i].data, s->parts[i].size);
		copy.message.parts[i] = (struct part){ copy.parts[i], s->parts[i].size };
	}
	return copy;
}

static void free_copy(struct copy *c)
{
	for (unsigned i = 0; i < MESSAGE_PARTS_MAX; i++)
		free(c->parts[i]);
}

static struct decoder *open_for(const struct sample *s)
{
	struct config_ingest c = {
		.pixel_format = (char[]){ "auto" },
		.channel = (char[]){ "" },
		.frame_limit = 1 << 20,
	};
	struct decoder *d = NULL;
	char why[160];

	cr_assert_eq(protocol_find(s->protocol)->open(&d, &c, why), 0, "%s", why);
	return d;
}

static struct decoded decode(const struct sample *s, struct decoder *d, const struct message *m)
{
	struct decoded ret;

	memset(&ret, 0x5a, sizeof ret);
	protocol_find(s->protocol)->decode(d, m, &ret);
	return ret;
}

static void expect_sample(const struct sample *s, struct decoder *d)
{
	struct copy copy = copy_sample(s);
	struct decoded got = decode(s, d, &copy.message);

	cr_expect_eq(got.verdict, VERDICT_FRAME, "%s: %s", s->protocol, got.why);
	cr_expect_eq(got.frame.number, s->frame.number);
	cr_expect_eq(got.frame.timestamp_ns, s->frame.timestamp_ns);
	cr_expect_eq(got.frame.width, s->frame.width);
	cr_expect_eq(got.frame.height, s->frame.height);
	cr_expect_eq(got.frame.type, s->frame.type);
	cr_expect_eq(got.frame.big_endian, s->frame.big_endian);
	cr_expect_eq(got.frame.flags, s->frame.flags);
	cr_expect_eq(got.frame.bytes, s->frame.bytes);
	cr_expect_eq(got.frame.pixels, copy.parts[s->part_count - 1]);
	free_copy(&copy);
}

/* Whatever the bytes were, the verdict must be one, and a frame must lie inside its part. */
static void expect_sane(const struct sample *s, const struct message *m, const struct decoded *d)
{
	const struct part *last = &m->parts[s->part_count - 1];
	const char *pixels = d->frame.pixels;

	cr_assert_lt(d->verdict, VERDICT_COUNT);
	if (d->verdict == VERDICT_REJECTED) {
		cr_assert_lt(d->reason, REJECT_COUNT);
		cr_assert(memchr(d->why, '\0', sizeof d->why));
		cr_assert(d->why[0] != '\0');
	}
	if (d->verdict == VERDICT_FRAME) {
		cr_assert(pixels >= (const char *)last->data);
		cr_assert(pixels + d->frame.bytes <= (const char *)last->data + last->size);
		cr_assert_eq(d->frame.bytes,
		             (size_t)d->frame.width * d->frame.height * pixel_bytes(d->frame.type));
	}
}

Test(protocols, have_names_summaries_and_samples)
{
	for (const struct protocol *p = protocols; p->name; p++) {
		bool sampled = false, big = false;

		for (size_t i = 0; i < sample_count; i++) {
			bool ours = strcmp(samples[i].protocol, p->name) == 0;

			sampled |= ours;
			big |= ours && samples[i].frame.big_endian;
		}
		cr_expect(sampled && big, "%s lacks a sample", p->name);
		cr_expect(p->summary && p->open && p->decode && p->close);
		cr_expect_eq(protocol_find(p->name), p);
	}
	cr_expect_null(protocol_find("array-1"));
	cr_expect_null(protocol_find(""));
}

Test(protocols, accept_closing_nothing)
{
	for (const struct protocol *p = protocols; p->name; p++)
		p->close(NULL);
}

Test(protocols, decode_their_samples)
{
	for (size_t i = 0; i < sample_count; i++) {
		struct decoder *d = open_for(&samples[i]);

		expect_sample(&samples[i], d);
		protocol_find(samples[i].protocol)->close(d);
	}
}

Test(protocols, refuse_every_prefix_of_every_part)
{
	for (size_t i = 0; i < sample_count; i++) {
		const struct sample *s = &samples[i];
		struct decoder *d = open_for(s);

		for (unsigned part = 0; part < s->part_count; part++)
			for (size_t size = 0; size < s->parts[part].size; size++) {
				struct copy copy = copy_sample(s);
				struct decoded got;

				copy.parts[part] = realloc(copy.parts[part], size ? size : 1);
				copy.message.parts[part] =
					(struct part){ size ? copy.parts[part] : NULL, size };
				got = decode(s, d, &copy.message);
				expect_sane(s, &copy.message, &got);
				cr_expect_eq(got.verdict, VERDICT_REJECTED,
				             "%s sample %zu part %u cut to %zu", s->protocol, i,
				             part, size);
				free_copy(&copy);
			}
		expect_sample(s, d);
		protocol_find(s->protocol)->close(d);
	}
}

Test(protocols, refuse_other_numbers_of_parts)
{
	for (size_t i = 0; i < sample_count; i++) {
		const struct sample *s = &samples[i];
		struct decoder *d = open_for(s);
		struct copy copy = copy_sample(s);

		for (unsigned count = 0; count < 10; count++) {
			struct decoded got;

			copy.message.part_count = count;
			got = decode(s, d, &copy.message);
			cr_expect_eq(got.verdict == VERDICT_FRAME, count == s->part_count, "%u",
			             count);
			if (count != s->part_count)
				cr_expect_eq(got.reason, REJECT_PARTS);
		}
		free_copy(&copy);
		protocol_find(s->protocol)->close(d);
	}
}

Test(protocols, refuse_a_byte_more_of_pixels)
{
	for (size_t i = 0; i < sample_count; i++) {
		const struct sample *s = &samples[i];
		struct decoder *d = open_for(s);
		struct copy copy = copy_sample(s);
		unsigned last = s->part_count - 1;
		struct decoded got;

		copy.parts[last] = realloc(copy.parts[last], s->parts[last].size + 1);
		copy.parts[last][s->parts[last].size] = 0;
		copy.message.parts[last] =
			(struct part){ copy.parts[last], s->parts[last].size + 1 };
		got = decode(s, d, &copy.message);
		cr_expect_eq(got.verdict, VERDICT_REJECTED);
		cr_expect_eq(got.reason, REJECT_LENGTH);
		free_copy(&copy);
		protocol_find(s->protocol)->close(d);
	}
}

Test(protocols, survive_every_flipped_bit_and_every_other_byte)
{
	for (size_t i = 0; i < sample_count; i++) {
		const struct sample *s = &samples[i];
		struct decoder *d = open_for(s);
		struct copy copy = copy_sample(s);

		for (size_t at = 0; at < s->parts[0].size; at++) {
			for (unsigned byte = 0; byte < 256; byte++) {
				struct decoded got;

				copy.parts[0][at] = (char)byte;
				got = decode(s, d, &copy.message);
				expect_sane(s, &copy.message, &got);
			}
			copy.parts[0][at] = s->parts[0].data[at];
		}
		free_copy(&copy);
		expect_sample(s, d);
		protocol_find(s->protocol)->close(d);
	}
}

Test(frame, names_are_there_and_differ)
{
	for (int a = 0; a < REJECT_COUNT; a++)
		for (int b = 0; b < a; b++)
			cr_expect_str_neq(reject_name((enum reject)a), reject_name((enum reject)b));
	cr_expect_str_eq(reject_name(REJECT_NO_SERIES), "no_series");
	cr_expect_str_eq(reject_name(REJECT_HEADER), "header");
	for (int a = 0; a < PIXEL_TYPE_COUNT; a++)
		for (int b = 0; b < a; b++)
			cr_expect_str_neq(pixel_name((enum pixel_type)a),
			                  pixel_name((enum pixel_type)b));
}
