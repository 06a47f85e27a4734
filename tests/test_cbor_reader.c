/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/cbor_reader.h"
#include "tests/cbor_message.h"
#include "tests/fenced.h"

#include <criterion/criterion.h>
#include <math.h>

static struct cbor_reader reader_of(const struct cbor_writer *w)
{
	struct cbor_reader r;

	cbor_begin(&r, w->data, w->size);
	return r;
}

/* The only item of the bytes. */
static struct cbor_item item_of(const char *bytes, size_t size)
{
	struct cbor_reader r;
	struct cbor_item item = { .kind = CBOR_KIND_COUNT };

	cbor_begin(&r, bytes, size);
	cr_assert(cbor_next(&r, &item), "%s", r.why);
	return item;
}

#define ITEM(s) item_of(s, sizeof(s) - 1)

Test(cbor_reader, reads_every_kind)
{
	cr_expect(ITEM("\x17").kind == CBOR_UINT && ITEM("\x17").value == 23);
	cr_expect_eq(ITEM("\x18\xff").value, 255);
	cr_expect_eq(ITEM("\x19\x01\x00").value, 256);
	cr_expect_eq(ITEM("\x1a\xff\xff\xff\xff").value, UINT32_MAX);
	cr_expect_eq(ITEM("\x1b\xff\xff\xff\xff\xff\xff\xff\xff").value, UINT64_MAX);
	cr_expect(ITEM("\x20").kind == CBOR_NEGATIVE && ITEM("\x20").value == 0);
	cr_expect(ITEM("\x38\xff").kind == CBOR_NEGATIVE && ITEM("\x38\xff").value == 255);
	cr_expect(ITEM("\x3b\xff\xff\xff\xff\xff\xff\xff\xff").value == UINT64_MAX);
	cr_expect(ITEM("\x42"
	               "ab")
	                  .kind == CBOR_BYTES);
	cr_expect(ITEM("\x62"
	               "ab")
	                  .kind == CBOR_TEXT);
	cr_expect(ITEM("\x82").kind == CBOR_ARRAY && ITEM("\x82").value == 2);
	cr_expect(ITEM("\xa2").kind == CBOR_MAP && ITEM("\xa2").value == 2);
	cr_expect(ITEM("\xd9\xd9\xf7").kind == CBOR_TAG && ITEM("\xd9\xd9\xf7").value == 55799);
	cr_expect(ITEM("\xf4").kind == CBOR_BOOLEAN && ITEM("\xf4").value == 0);
	cr_expect(ITEM("\xf5").kind == CBOR_BOOLEAN && ITEM("\xf5").value == 1);
	cr_expect_eq(ITEM("\xf6").kind, CBOR_NOTHING);
	cr_expect_eq(ITEM("\xf7").kind, CBOR_NOTHING);
	cr_expect_eq(ITEM("\xff").kind, CBOR_BREAK);
	for (const char *c = "\x9f\xbf\x5f\x7f"; *c; c++)
		cr_expect(item_of(c, 1).endless);
}

Test(cbor_reader, reads_reals_of_every_width)
{
	cr_expect_eq(ITEM("\xf9\x3c\x00").real, 1.0);
	cr_expect_eq(ITEM("\xf9\xc0\x00").real, -2.0);
	cr_expect(isinf(ITEM("\xf9\x7c\x00").real));
	cr_expect(isnan(ITEM("\xf9\x7e\x00").real));
	cr_expect_eq(ITEM("\xfa\x3f\xc0\x00\x00").real, 1.5);
	cr_expect_eq(ITEM("\xfb\x3f\xf8\x00\x00\x00\x00\x00\x00").real, 1.5);
	cr_expect_eq(ITEM("\xfb\x3f\xf8\x00\x00\x00\x00\x00\x00").kind, CBOR_REAL);
}

Test(cbor_reader, compares_texts)
{
	struct cbor_item text = ITEM("\x64"
	                             "type");
	struct cbor_item bytes = ITEM("\x44"
	                              "type");
	struct cbor_item endless = ITEM("\x7f");
	struct cbor_item empty = ITEM("\x60");

	cr_expect(cbor_is(&text, "type"));
	cr_expect_not(cbor_is(&text, "typ"));
	cr_expect_not(cbor_is(&text, "types"));
	cr_expect_not(cbor_is(&bytes, "type"));
	cr_expect_not(cbor_is(&endless, ""));
	cr_expect(cbor_is(&empty, ""));
}

/* A message with everything: nested, tagged, of definite and indefinite length. */
static void put_everything(struct cbor_writer *w)
{
	cbor_tag(w, 55799);
	cbor_map(w, 4);
	cbor_text(w, "array");
	cbor_byte(w, 0x9f);
	cbor_uint(w, 1000);
	cbor_negative(w, 70000);
	cbor_tag(w, 40);
	cbor_array(w, 2);
	cbor_null(w);
	cbor_double(w, 1.5);
	cbor_byte(w, 0xff);
	cbor_uint(w, 7);
	cbor_byte(w, 0xbf);
	cbor_text(w, "chunks");
	cbor_byte(w, 0x7f);
	cbor_text(w, "a");
	cbor_text(w, "");
	cbor_byte(w, 0xff);
	cbor_byte(w, 0xff);
	cbor_text(w, "bytes");
	cbor_byte(w, 0x5f);
	cbor_bytes(w, "xyz", 3);
	cbor_byte(w, 0xff);
	cbor_array(w, 0);
	cbor_map(w, 0);
}

Test(cbor_reader, skips_whatever_is_whole)
{
	struct cbor_writer w = { .size = 0 };
	struct cbor_reader r;
	struct cbor_item item;

	put_everything(&w);
	cbor_uint(&w, 99);
	r = reader_of(&w);
	cr_assert(cbor_skip(&r), "%s", r.why);
	cr_assert(cbor_next(&r, &item));
	cr_expect(item.kind == CBOR_UINT && item.value == 99);
	cr_expect_eq(r.at, r.end);
	cr_expect_null(r.why);
	cr_expect_not(cbor_next(&r, &item), "there is no more");
	cr_expect_not_null(r.why);
}

Test(cbor_reader, refuses_every_prefix)
{
	struct cbor_writer w = { .size = 0 };
	struct fence fence;

	put_everything(&w);
	fence_open(&fence, w.size);
	for (size_t size = 0; size < w.size; size++) {
		struct cbor_reader r;
		void *at = fence_place(&fence, size, 0);

		memcpy(at, w.data, size);
		cbor_begin(&r, size ? at : NULL, size);
		cr_expect_not(cbor_skip(&r), "of %zu bytes", size);
		cr_assert_not_null(r.why);
		cr_expect(r.why[0]);
	}
	fence_close(&fence);
}

Test(cbor_reader, survives_every_other_byte)
{
	struct cbor_writer w = { .size = 0 };
	struct fence fence;
	uint8_t *at;

	put_everything(&w);
	fence_open(&fence, w.size);
	at = fence_place(&fence, w.size, 0);
	memcpy(at, w.data, w.size);
	for (size_t i = 0; i < w.size; i++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			struct cbor_reader r;

			at[i] = (uint8_t)byte;
			cbor_begin(&r, at, w.size);
			cr_expect(cbor_skip(&r) != (r.why != NULL));
			cr_assert(r.at <= r.end);
		}
		at[i] = w.data[i];
	}
	fence_close(&fence);
}

/* All sequences of three bytes, at an unmapped page. */
Test(cbor_reader, survives_whatever_is_short)
{
	struct fence fence;
	uint8_t *at;

	fence_open(&fence, 3);
	at = fence_place(&fence, 3, 0);
	for (uint32_t bits = 0; bits < 1u << 24; bits += 1 + bits % 7) {
		struct cbor_reader r;

		at[0] = (uint8_t)(bits >> 16);
		at[1] = (uint8_t)(bits >> 8);
		at[2] = (uint8_t)bits;
		cbor_begin(&r, at, 3);
		cbor_skip(&r);
		cr_assert(r.at <= r.end);
	}
	fence_close(&fence);
}

Test(cbor_reader, refuses_lengths_beyond_what_is_there)
{
	static const unsigned majors[] = { 2, 3, 4, 5 };
	static const uint64_t lengths[] = { 3,         INT32_MAX,  UINT32_MAX,
		                            INT64_MAX, UINT64_MAX, UINT64_MAX / 2 + 2 };

	for (size_t m = 0; m < 4; m++)
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
			struct cbor_writer w = { .size = 0 };
			struct cbor_reader r;

			cbor_head(&w, majors[m], lengths[i]);
			cbor_uint(&w, 1);
			cbor_uint(&w, 2);
			r = reader_of(&w);
			cr_expect_not(cbor_skip(&r), "major %u, length %llu", majors[m],
			              (unsigned long long)lengths[i]);
		}
}

static bool skips_nested(unsigned depth, unsigned kind)
{
	struct cbor_writer w = { .size = 0 };
	struct cbor_reader r;

	for (unsigned i = 0; i < depth; i++) {
		if (kind == 0)
			cbor_array(&w, 1);
		else if (kind == 1)
			cbor_tag(&w, 1);
		else if (kind == 2)
			cbor_byte(&w, 0x9f);
		else {
			cbor_map(&w, 1);
			cbor_uint(&w, 0);
		}
	}
	cbor_uint(&w, 0);
	for (unsigned i = 0; kind == 2 && i < depth; i++)
		cbor_byte(&w, 0xff);
	r = reader_of(&w);
	return cbor_skip(&r);
}

Test(cbor_reader, bounds_the_depth)
{
	for (unsigned kind = 0; kind < 4; kind++) {
		cr_expect(skips_nested(CBOR_DEPTH_MAX, kind), "kind %u", kind);
		cr_expect_not(skips_nested(CBOR_DEPTH_MAX + 1, kind), "kind %u", kind);
		cr_expect_not(skips_nested(1000, kind), "kind %u", kind);
	}
}

Test(cbor_reader, refuses_breaks_where_none_can_be)
{
	static const char *const rows[] = {
		"\xff",                 /* alone */
		"\x82\x01\xff",         /* in an array of two */
		"\xa1\xff\x01",         /* as a key of a map of one */
		"\xc1\xff",             /* behind a tag */
		"\x7f\x01\xff",         /* a number among the chunks of a text */
		"\x7f\x7f\xff\xff",     /* an endless chunk */
		"\xf8\x01",             /* a simple value in the long form */
		"\x1c",                 /* reserved */
		"\x5f\x9f\xff\xff\xff", /* an array among chunks */
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct cbor_reader r;

		cbor_begin(&r, rows[i], strlen(rows[i]));
		cr_expect_not(cbor_skip(&r), "row %zu", i);
		cr_expect_not_null(r.why, "row %zu", i);
	}
}

Test(cbor_reader, stays_where_it_failed)
{
	struct cbor_reader r;
	struct cbor_item item;
	const char *why;

	cbor_begin(&r, "\x62", 1);
	cr_expect_not(cbor_next(&r, &item));
	why = r.why;
	cr_expect_not(cbor_next(&r, &item));
	cr_expect_not(cbor_skip(&r));
	cr_expect_eq(r.why, why);
}
