/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/dectris_v2.h"
#include "tests/cbor_message.h"
#include "tests/messages.h"

#include <time.h>

static const char pixels[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx";

/* ---- messages ---- */

static struct decoded decode_bytes(struct decoder *d, const void *data, size_t size)
{
	struct message m = { .part_count = 1, .parts = { { data, size } } };

	return message_decode("dectris-v2", d, &m);
}

static struct decoded decode(struct decoder *d, const struct cbor_writer *w)
{
	return decode_bytes(d, w->data, w->size);
}

static struct decoded decode_once(const struct cbor_writer *w)
{
	struct decoder *d = messages_open("dectris-v2", "");
	struct decoded ret = decode(d, w);

	dectris_v2_close(d);
	return ret;
}

/* The begin of an image of `more` pairs beside type, series_id and image_id. */
static void begin_image(struct cbor_writer *w, unsigned more)
{
	w->size = 0;
	cbor_tag(w, 55799);
	cbor_map(w, 3 + more);
	cbor_pair_text(w, "type", "image");
	cbor_pair_uint(w, "series_id", 1);
	cbor_pair_uint(w, "image_id", 9);
}

/* A channel of 3 x 2 uint16. */
static void put_channel(struct cbor_writer *w, const char *name, const char *data)
{
	cbor_text(w, name);
	cbor_grid(w, 2, 3, 69);
	cbor_bytes(w, data, 12);
}

static void put_data(struct cbor_writer *w)
{
	cbor_text(w, "data");
	cbor_map(w, 1);
	put_channel(w, "threshold_1", pixels);
}

static void begin_start(struct cbor_writer *w, unsigned more)
{
	w->size = 0;
	cbor_map(w, 2 + more);
	cbor_pair_text(w, "type", "start");
	cbor_pair_uint(w, "series_id", 1);
}

/* ---- images ---- */

Test(dectris_v2, reads_keys_in_any_order_with_the_magic_or_without)
{
	for (unsigned magic = 0; magic < 2; magic++) {
		struct cbor_writer w = { .size = 0 };
		struct decoded d;

		if (magic)
			cbor_tag(&w, 55799);
		cbor_map(&w, 4);
		put_data(&w);
		cbor_pair_uint(&w, "image_id", 9);
		cbor_pair_uint(&w, "series_id", 1);
		cbor_pair_text(&w, "type", "image");
		d = decode_once(&w);
		cr_assert_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
		cr_expect(d.number_known && d.frame.number == 9);
		cr_expect(d.frame.width == 3 && d.frame.height == 2);
		cr_expect_eq(memcmp(d.frame.pixels, pixels, 12), 0);
		cr_expect_eq(d.frame.timestamp_ns, 0);
	}
}

Test(dectris_v2, reads_maps_of_no_stated_length)
{
	struct cbor_writer w = { .size = 0 };
	struct decoded d;

	cbor_byte(&w, 0xbf);
	cbor_pair_text(&w, "type", "image");
	cbor_pair_uint(&w, "image_id", 9);
	cbor_text(&w, "data");
	cbor_byte(&w, 0xbf);
	put_channel(&w, "threshold_1", pixels);
	cbor_byte(&w, 0xff);
	cbor_byte(&w, 0xff);
	d = decode_once(&w);
	cr_expect_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
	cbor_byte(&w, 0xff);
	EXPECT_REJECTED(decode_once(&w), "length");
}

Test(dectris_v2, passes_over_what_it_does_not_know)
{
	struct cbor_writer w;
	struct decoded d;

	begin_image(&w, 5);
	cbor_text(&w, "user_data");
	cbor_array(&w, 2);
	cbor_uint(&w, 1);
	cbor_text(&w, "\xf0\x9f\x92\x99");
	cbor_uint(&w, 77); /* a key that is no text */
	cbor_tag(&w, 4711);
	cbor_tag(&w, 4712);
	cbor_byte(&w, 0x9f);
	cbor_null(&w);
	cbor_byte(&w, 0xff);
	cbor_text(&w, "az_int_profile");
	cbor_map(&w, 1);
	cbor_array(&w, 1);
	cbor_uint(&w, 1);
	cbor_double(&w, -1.5);
	put_data(&w);
	cbor_tag(&w, 3); /* a tagged key */
	cbor_text(&w, "image_number");
	cbor_uint(&w, 1);
	d = decode_once(&w);
	cr_expect_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
}

static struct decoded decode_typed(uint64_t tag, size_t bytes)
{
	struct cbor_writer w;

	begin_image(&w, 1);
	cbor_text(&w, "data");
	cbor_map(&w, 1);
	cbor_text(&w, "default");
	cbor_grid(&w, 2, 3, tag);
	cbor_bytes(&w, pixels, bytes);
	return decode_once(&w);
}

Test(dectris_v2, reads_every_type_it_takes)
{
	static const struct {
		uint64_t tag;
		size_t bytes;
		enum pixel_type type;
		enum stored_type stored;
		bool big_endian;
	} rows[] = {
		{ 64, 6, PIXEL_UINT8, STORED_PLAIN, false },
		{ 65, 12, PIXEL_UINT16, STORED_PLAIN, true },
		{ 66, 24, PIXEL_UINT32, STORED_PLAIN, true },
		{ 68, 6, PIXEL_UINT8, STORED_PLAIN, false },
		{ 69, 12, PIXEL_UINT16, STORED_PLAIN, false },
		{ 70, 24, PIXEL_UINT32, STORED_PLAIN, false },
		{ 67, 48, PIXEL_FLOAT32, STORED_UINT64, true },
		{ 71, 48, PIXEL_FLOAT32, STORED_UINT64, false },
		{ 72, 6, PIXEL_FLOAT32, STORED_INT8, false },
		{ 73, 12, PIXEL_FLOAT32, STORED_INT16, true },
		{ 74, 24, PIXEL_FLOAT32, STORED_INT32, true },
		{ 75, 48, PIXEL_FLOAT32, STORED_INT64, true },
		{ 77, 12, PIXEL_FLOAT32, STORED_INT16, false },
		{ 78, 24, PIXEL_FLOAT32, STORED_INT32, false },
		{ 79, 48, PIXEL_FLOAT32, STORED_INT64, false },
		{ 80, 12, PIXEL_FLOAT32, STORED_FLOAT16, true },
		{ 81, 24, PIXEL_FLOAT32, STORED_PLAIN, true },
		{ 82, 48, PIXEL_FLOAT32, STORED_FLOAT64, true },
		{ 84, 12, PIXEL_FLOAT32, STORED_FLOAT16, false },
		{ 85, 24, PIXEL_FLOAT32, STORED_PLAIN, false },
		{ 86, 48, PIXEL_FLOAT32, STORED_FLOAT64, false },
	};
	static const uint64_t others[] = { 0, 63, 76, 83, 87, 1000, UINT64_MAX };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct decoded d = decode_typed(rows[i].tag, rows[i].bytes);

		cr_expect_eq(d.verdict, VERDICT_FRAME, "tag %llu: %s",
		             (unsigned long long)rows[i].tag, d.why);
		cr_expect_eq(d.frame.type, rows[i].type);
		cr_expect_eq(d.frame.stored, rows[i].stored);
		cr_expect_eq(d.frame.big_endian, rows[i].big_endian);
		cr_expect_eq(d.frame.has_no_value,
		             rows[i].type != PIXEL_FLOAT32 || rows[i].stored == STORED_UINT64);
		EXPECT_REJECTED(decode_typed(rows[i].tag, rows[i].bytes - 1), "length");
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		EXPECT_REJECTED(decode_typed(others[i], 12), "type");
}

Test(dectris_v2, takes_the_channel_that_is_named_or_the_first)
{
	static const struct {
		const char *channel, *data;
	} rows[] = { { "", "AAAAAAAAAAAA" },
		     { "threshold_1", "AAAAAAAAAAAA" },
		     { "difference", "CCCCCCCCCCCC" } };
	struct cbor_writer w;
	struct decoder *d;

	begin_image(&w, 1);
	cbor_text(&w, "data");
	cbor_map(&w, 3);
	put_channel(&w, "threshold_1", rows[0].data);
	put_channel(&w, "threshold_2", "BBBBBBBBBBBB");
	put_channel(&w, "difference", rows[2].data);
	for (size_t i = 0; i < 3; i++) {
		struct decoded ret;

		d = messages_open("dectris-v2", rows[i].channel);
		ret = decode(d, &w);
		cr_assert_eq(ret.verdict, VERDICT_FRAME, "%s", ret.why);
		cr_expect_eq(memcmp(ret.frame.pixels, rows[i].data, 12), 0);
		dectris_v2_close(d);
	}
	d = messages_open("dectris-v2", "threshold_3");
	EXPECT_REJECTED(decode(d, &w), "shape");
	dectris_v2_close(d);
}

static struct decoded decode_shaped(uint64_t rows, uint64_t columns)
{
	struct cbor_writer w;

	begin_image(&w, 1);
	cbor_text(&w, "data");
	cbor_map(&w, 1);
	cbor_text(&w, "default");
	cbor_grid(&w, rows, columns, 69);
	cbor_bytes(&w, pixels, 12);
	return decode_once(&w);
}

Test(dectris_v2, refuses_hostile_shapes)
{
	EXPECT_REJECTED(decode_shaped(0, 3), "shape");
	EXPECT_REJECTED(decode_shaped(2, 0), "shape");
	EXPECT_REJECTED(decode_shaped(UINT32_MAX, UINT32_MAX), "shape");
	EXPECT_REJECTED(decode_shaped((uint64_t)UINT32_MAX + 1, 1), "shape");
	EXPECT_REJECTED(decode_shaped(UINT64_MAX, UINT64_MAX), "shape");
	EXPECT_REJECTED(decode_shaped(1024, 513), "shape");
	EXPECT_REJECTED(decode_shaped(3, 3), "length");
}

/* An image whose channel is what `put` writes. */
static struct decoded decode_put(void (*put)(struct cbor_writer *w))
{
	struct cbor_writer w;

	begin_image(&w, 1);
	cbor_text(&w, "data");
	cbor_map(&w, 1);
	cbor_text(&w, "default");
	put(&w);
	return decode_once(&w);
}

static void put_column_major(struct cbor_writer *w)
{
	cbor_tag(w, 1040);
	cbor_array(w, 2);
	cbor_array(w, 2);
	cbor_uint(w, 2);
	cbor_uint(w, 3);
	cbor_tag(w, 69);
	cbor_bytes(w, pixels, 12);
}

static void put_three_dimensions(struct cbor_writer *w)
{
	cbor_tag(w, 40);
	cbor_array(w, 2);
	cbor_array(w, 3);
	cbor_uint(w, 1);
	cbor_uint(w, 2);
	cbor_uint(w, 3);
	cbor_tag(w, 69);
	cbor_bytes(w, pixels, 12);
}

static void put_plain_array(struct cbor_writer *w)
{
	cbor_array(w, 1);
	cbor_uint(w, 1);
}

static void put_negative_side(struct cbor_writer *w)
{
	cbor_tag(w, 40);
	cbor_array(w, 2);
	cbor_array(w, 2);
	cbor_negative(w, 1);
	cbor_uint(w, 3);
	cbor_tag(w, 69);
	cbor_bytes(w, pixels, 12);
}

static void put_endless_bytes(struct cbor_writer *w)
{
	cbor_grid(w, 2, 3, 69);
	cbor_byte(w, 0x5f);
	cbor_bytes(w, pixels, 12);
	cbor_byte(w, 0xff);
}

static void put_trpx(struct cbor_writer *w)
{
	cbor_grid(w, 2, 3, 69);
	cbor_compressed(w, "trpx", 0, pixels, 12);
}

static void put_unprintable(struct cbor_writer *w)
{
	cbor_grid(w, 2, 3, 69);
	cbor_compressed(w, "\x1b[31m\n", 0, pixels, 12);
}

static void put_wide_element(struct cbor_writer *w)
{
	cbor_grid(w, 2, 3, 69);
	cbor_compressed(w, "bslz4", 258, "\0\0\0\0\0\0\0\x0c\0\0\0\0abcdefghijkl", 24);
}

static void put_other_size(struct cbor_writer *w)
{
	cbor_grid(w, 2, 3, 69);
	cbor_compressed(w, "bslz4", 2, "\0\0\0\0\0\0\0\x0d\0\0\0\0abcdefghijkl", 24);
}

static void put_tails_only(struct cbor_writer *w)
{
	cbor_grid(w, 2, 3, 69);
	cbor_compressed(w, "bszstd", 2, "\0\0\0\0\0\0\0\x0c\0\0\0\0abcdefghijkl", 24);
}

static void put_short_compression(struct cbor_writer *w)
{
	cbor_grid(w, 2, 3, 69);
	cbor_tag(w, 56500);
	cbor_array(w, 2);
	cbor_text(w, "bslz4");
	cbor_uint(w, 2);
}

static void put_text_modifier(struct cbor_writer *w)
{
	cbor_grid(w, 2, 3, 69);
	cbor_tag(w, 56500);
	cbor_array(w, 3);
	cbor_text(w, "bslz4");
	cbor_text(w, "2");
	cbor_bytes(w, pixels, 12);
}

Test(dectris_v2, refuses_arrays_by_name)
{
	struct decoded d = decode_put(put_column_major);

	EXPECT_REJECTED(d, "shape");
	cr_expect(strstr(d.why, "1040"), "%s", d.why);
	EXPECT_REJECTED(decode_put(put_three_dimensions), "shape");
	EXPECT_REJECTED(decode_put(put_plain_array), "header");
	EXPECT_REJECTED(decode_put(cbor_null), "header");
	EXPECT_REJECTED(decode_put(put_negative_side), "shape");
	EXPECT_REJECTED(decode_put(put_endless_bytes), "header");
	d = decode_put(put_trpx);
	EXPECT_REJECTED(d, "encoding");
	cr_expect(strstr(d.why, "trpx"), "%s", d.why);
	cr_expect(d.number_known && d.frame.number == 9);
	d = decode_put(put_unprintable);
	EXPECT_REJECTED(d, "encoding");
	for (const char *c = d.why; *c; c++)
		cr_expect(*c >= ' ' && *c <= '~');
	EXPECT_REJECTED(decode_put(put_wide_element), "length");
	EXPECT_REJECTED(decode_put(put_other_size), "length");
	EXPECT_REJECTED(decode_put(put_short_compression), "header");
	EXPECT_REJECTED(decode_put(put_text_modifier), "header");
	d = decode_put(put_tails_only);
	cr_expect_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
	cr_expect_eq(d.frame.codec, CODEC_BSZSTD);
}

Test(dectris_v2, refuses_images_without_what_they_need)
{
	struct cbor_writer w;
	struct decoded d;

	begin_image(&w, 0);
	EXPECT_REJECTED(decode_once(&w), "header");

	w.size = 0;
	cbor_map(&w, 2);
	cbor_pair_text(&w, "type", "image");
	put_data(&w);
	d = decode_once(&w);
	EXPECT_REJECTED(d, "header");
	cr_expect_not(d.number_known);

	w.size = 0;
	cbor_map(&w, 3);
	cbor_pair_text(&w, "type", "image");
	cbor_pair_uint(&w, "image_id", UINT64_MAX);
	put_data(&w);
	d = decode_once(&w);
	EXPECT_REJECTED(d, "header");
	cr_expect_not(d.number_known);

	w.size = 0;
	cbor_map(&w, 3);
	cbor_pair_text(&w, "type", "image");
	cbor_text(&w, "image_id");
	cbor_negative(&w, 4);
	put_data(&w);
	EXPECT_REJECTED(decode_once(&w), "header");

	/* Jungfraujoch's format of 2023 */
	begin_image(&w, 1);
	cbor_text(&w, "data");
	cbor_bytes(&w, pixels, 24);
	EXPECT_REJECTED(decode_once(&w), "encoding");

	w.size = 0;
	cbor_array(&w, 0);
	EXPECT_REJECTED(decode_once(&w), "header");
	w.size = 0;
	cbor_map(&w, 0);
	EXPECT_REJECTED(decode_once(&w), "header");
	w.size = 0;
	EXPECT_REJECTED(decode_once(&w), "header");
}

Test(dectris_v2, refuses_the_alpha_format_by_name)
{
	struct cbor_writer w = { .size = 0 };
	struct decoded d;

	cbor_map(&w, 3);
	cbor_pair_text(&w, "type", "image");
	cbor_pair_uint(&w, "series_number", 1);
	cbor_pair_uint(&w, "image_number", 2);
	d = decode_once(&w);
	EXPECT_REJECTED(d, "header");
	cr_expect(strstr(d.why, "alpha"), "%s", d.why);
}

Test(dectris_v2, passes_over_messages_of_other_types)
{
	static const char *const types[] = { "calibration", "metadata", "Image", "" };

	for (size_t i = 0; i < 4; i++) {
		struct cbor_writer w = { .size = 0 };

		cbor_map(&w, 2);
		cbor_pair_text(&w, "type", types[i]);
		cbor_text(&w, "images");
		cbor_array(&w, 0);
		cr_expect_eq(decode_once(&w).verdict, VERDICT_NOTHING);
	}
}

Test(dectris_v2, bounds_depth_and_tags)
{
	struct cbor_writer w;

	begin_image(&w, 2);
	cbor_text(&w, "user_data");
	for (unsigned i = 0; i < 1000; i++)
		cbor_array(&w, 1);
	cbor_null(&w);
	put_data(&w);
	EXPECT_REJECTED(decode_once(&w), "header");

	w.size = 0;
	for (unsigned i = 0; i < 8; i++)
		cbor_tag(&w, 55799);
	cbor_map(&w, 1);
	cbor_pair_text(&w, "type", "metadata");
	cr_expect_eq(decode_once(&w).verdict, VERDICT_NOTHING);

	w.size = 0;
	for (unsigned i = 0; i < 9; i++)
		cbor_tag(&w, 55799);
	cbor_map(&w, 1);
	cbor_pair_text(&w, "type", "metadata");
	EXPECT_REJECTED(decode_once(&w), "header");
}

Test(dectris_v2, knows_the_dummies_of_a_preview)
{
	struct config_ingest c = { .pixel_format = (char[]){ "auto" },
		                   .channel = (char[]){ "" },
		                   .width = 2,
		                   .height = 2,
		                   .frame_limit = MESSAGES_LIMIT };
	struct decoder *d;
	struct cbor_writer w;
	struct decoded ret;
	char why[160];

	begin_image(&w, 1);
	cbor_text(&w, "data");
	cbor_map(&w, 1);
	cbor_text(&w, "default");
	cbor_grid(&w, 2, 2, 69);
	cbor_bytes(&w, pixels, 8);
	ret = decode_once(&w);
	cr_expect_eq(ret.verdict, VERDICT_DUMMY);
	cr_expect(ret.number_known && ret.frame.number == 9);
	cr_expect_null(ret.frame.pixels);
	cr_assert_eq(dectris_v2_open(&d, &c, why), 0);
	cr_expect_eq(decode(d, &w).verdict, VERDICT_FRAME);
	dectris_v2_close(d);
}

/* ---- time ---- */

static uint64_t timestamp_of(const char *date, uint64_t ticks, uint64_t hz)
{
	struct cbor_writer w;
	struct decoded d;

	begin_image(&w, 3);
	cbor_text(&w, "series_date");
	cbor_tag(&w, 0);
	cbor_text(&w, date);
	cbor_text(&w, "start_time");
	cbor_array(&w, 2);
	cbor_uint(&w, ticks);
	cbor_uint(&w, hz);
	put_data(&w);
	d = decode_once(&w);
	cr_assert_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
	return d.frame.timestamp_ns;
}

Test(dectris_v2, adds_the_image_s_time_to_the_series_date)
{
	const uint64_t date = 1676040545281000000; /* 2023-02-10 14:49:05.281 UTC */

	cr_expect_eq(timestamp_of("2023-02-10T15:49:05.281+01:00", 0, 50000000), date);
	cr_expect_eq(timestamp_of("2023-02-10T15:49:05.281+01:00", 50000000, 50000000),
	             date + 1000000000);
	cr_expect_eq(timestamp_of("2023-02-10T14:49:05.281Z", 1, 50000000), date + 20);
	cr_expect_eq(timestamp_of("2023-02-10T09:19:05.281-05:30", 1, 1), date + 1000000000);
	cr_expect_eq(timestamp_of("1970-01-01T00:00:00Z", 7, 1000000000), 7);
	cr_expect_eq(timestamp_of("yesterday", 7, 1000000000), 7);
	cr_expect_eq(timestamp_of("", 7, 1000000000), 7);
	cr_expect_eq(timestamp_of("1960-01-01T00:00:00Z", 7, 1000000000), 7);
	cr_expect_eq(timestamp_of("2023-02-10T15:49:05.281+01:00", 5, 0), 0);
	cr_expect_eq(timestamp_of("2023-02-10T15:49:05.281+01:00", UINT64_MAX, 1), 0);
	cr_expect_eq(timestamp_of("9999-12-31T23:59:59Z", UINT64_MAX, UINT64_MAX), 1000000000);
	cr_expect_eq(timestamp_of("2023-02-10T15:49:05.281+01:0000000000000000000000000000000000",
	                          7, 1000000000),
	             7);
}

/* ---- starts and ends ---- */

Test(dectris_v2, reads_what_the_start_says_of_the_detector)
{
	struct cbor_writer w;
	struct decoded d;

	begin_start(&w, 8);
	cbor_pair_uint(&w, "number_of_images", 1000000000000);
	cbor_pair_uint(&w, "image_size_x", 1030);
	cbor_pair_uint(&w, "image_size_y", 514);
	cbor_pair_text(&w, "image_dtype", "uint16");
	cbor_pair_uint(&w, "saturation_value", 65534);
	cbor_text(&w, "count_time");
	cbor_put(&w, "\xf9\x38\x00", 3); /* half: 0.5 */
	cbor_pair_uint(&w, "frame_time", 1);
	cbor_pair_text(&w, "detector_description", "EIGER2\n\xc3\xa9");
	d = decode_once(&w);
	cr_assert_eq(d.verdict, VERDICT_START, "%s", d.why);
	cr_expect_eq(d.announced, 1000000000000);
	cr_expect(d.detector.width == 1030 && d.detector.height == 514);
	cr_expect(d.detector.type_known && d.detector.type == PIXEL_UINT16);
	cr_expect_eq(d.detector.saturation, 65534);
	cr_expect(d.detector.exposure_s == 0.5 && d.detector.period_s == 1);
	cr_expect_str_eq(d.detector.description, "EIGER2???");
	cr_expect_null(d.detector.mask);
	cr_expect_str_eq(d.why, "");
	cr_expect_neq(d.frame.series, 0);

	begin_start(&w, 5);
	cbor_pair_uint(&w, "image_size_x", UINT64_MAX);
	cbor_text(&w, "image_size_y");
	cbor_negative(&w, 5);
	cbor_pair_text(&w, "image_dtype", "int13");
	cbor_text(&w, "count_time");
	cbor_double(&w, -1);
	cbor_text(&w, "number_of_images");
	cbor_null(&w);
	d = decode_once(&w);
	cr_assert_eq(d.verdict, VERDICT_START);
	cr_expect(d.detector.width == 0 && d.detector.height == 0 && d.announced == 0);
	cr_expect_not(d.detector.type_known);
	cr_expect_eq(d.detector.exposure_s, 0);
}

/* A start message of a detector of 3 x 2 whose mask is what `put` writes; NULL: none. */
static struct decoded decode_masked(struct decoder *d, void (*put)(struct cbor_writer *w))
{
	struct cbor_writer w;

	begin_start(&w, put ? 4 : 3);
	cbor_pair_uint(&w, "image_size_x", 3);
	if (put) {
		cbor_text(&w, "pixel_mask");
		cbor_map(&w, 1);
		cbor_text(&w, "threshold_1");
		put(&w);
	}
	cbor_pair_uint(&w, "image_size_y", 2);
	cbor_pair_uint(&w, "number_of_images", 12);
	return decode(d, &w);
}

static const uint32_t mask[6] = { 0, 1, 0, 0, 16, 0 };

static void put_mask(struct cbor_writer *w)
{
	cbor_grid(w, 2, 3, 70);
	cbor_bytes(w, mask, sizeof mask);
}

/* LZ4 framing of HDF5, stored */
static void put_packed_mask(struct cbor_writer *w)
{
	char data[16 + sizeof mask] = "\0\0\0\0\0\0\0\x18\0\0\x20\0\0\0\0\x18";

	memcpy(data + 16, mask, sizeof mask);
	cbor_grid(w, 2, 3, 70);
	cbor_compressed(w, "lz4", 0, data, sizeof data);
}

static void put_damaged_mask(struct cbor_writer *w)
{
	cbor_grid(w, 2, 3, 70);
	cbor_compressed(w, "lz4", 0, "\0\0\0\0\0\0\0\x18\0\0\x20\0\0\0\0\x02xy", 18);
}

static void put_wide_mask(struct cbor_writer *w)
{
	cbor_grid(w, 2, 4, 70);
	cbor_bytes(w, pixels, 24);
}

static void put_short_mask(struct cbor_writer *w)
{
	cbor_grid(w, 2, 3, 70);
	cbor_bytes(w, pixels, 23);
}

static void put_narrow_mask(struct cbor_writer *w)
{
	cbor_grid(w, 2, 3, 64);
	cbor_bytes(w, pixels, 6);
}

static void put_huge_mask(struct cbor_writer *w)
{
	cbor_grid(w, UINT32_MAX, UINT32_MAX, 70);
	cbor_bytes(w, pixels, 6);
}

Test(dectris_v2, takes_the_pixel_mask)
{
	struct decoder *d = messages_open("dectris-v2", "");
	void (*const puts[])(struct cbor_writer *) = { put_mask, put_packed_mask };

	for (size_t i = 0; i < 2; i++) {
		struct decoded ret = decode_masked(d, puts[i]);

		cr_assert_eq(ret.verdict, VERDICT_START, "%s", ret.why);
		cr_assert_not_null(ret.detector.mask, "%s", ret.why);
		cr_expect(ret.detector.width == 3 && ret.detector.height == 2);
		for (size_t p = 0; p < 6; p++)
			cr_expect_eq(ret.detector.mask[p], mask[p] != 0);
		ret = decode_masked(d, NULL);
		cr_expect_null(ret.detector.mask, "none is left over");
		cr_expect_str_eq(ret.why, "");
	}
	dectris_v2_close(d);
}

Test(dectris_v2, starts_without_a_mask_that_is_wrong_and_says_so)
{
	void (*const puts[])(struct cbor_writer *) = {
		put_damaged_mask,     put_wide_mask,   put_short_mask,
		put_narrow_mask,      put_huge_mask,   put_column_major,
		put_three_dimensions, put_plain_array, put_trpx,
	};
	struct decoder *d = messages_open("dectris-v2", "");

	for (size_t i = 0; i < sizeof puts / sizeof *puts; i++) {
		struct decoded ret = decode_masked(d, puts[i]);

		cr_expect_eq(ret.verdict, VERDICT_START, "mask %zu: %s", i, ret.why);
		cr_expect_null(ret.detector.mask, "mask %zu", i);
		cr_expect(strstr(ret.why, "mask"), "mask %zu: %s", i, ret.why);
		cr_expect_eq(ret.announced, 12, "what comes behind it is read");
		cr_expect(ret.detector.width == 3 && ret.detector.height == 2);
	}
	dectris_v2_close(d);
}

/* A start with an error_value, negative where so, then an image of these elements. */
static struct frame frame_after_error_value(uint64_t value, bool negative, uint64_t tag,
                                            size_t bytes)
{
	struct decoder *d = messages_open("dectris-v2", "");
	struct cbor_writer w;
	struct decoded ret;

	begin_start(&w, 1);
	cbor_text(&w, "error_value");
	if (negative)
		cbor_negative(&w, value);
	else
		cbor_uint(&w, value);
	cr_assert_eq(decode(d, &w).verdict, VERDICT_START);
	begin_image(&w, 1);
	cbor_text(&w, "data");
	cbor_map(&w, 1);
	cbor_text(&w, "default");
	cbor_grid(&w, 2, 3, tag);
	cbor_bytes(&w, pixels, bytes);
	ret = decode(d, &w);
	cr_assert_eq(ret.verdict, VERDICT_FRAME, "%s", ret.why);
	dectris_v2_close(d);
	return ret.frame;
}

Test(dectris_v2, takes_the_error_value_of_the_start_message)
{
	struct frame f = frame_after_error_value(32767, true, 77, 12);

	cr_expect(f.has_no_value && f.no_value == -32768);
	f = frame_after_error_value(7, false, 69, 12);
	cr_expect(f.has_no_value && f.no_value == 7);
	f = frame_after_error_value(UINT64_MAX, false, 69, 12);
	cr_expect(f.has_no_value && f.no_value == UINT16_MAX, "beyond 63 bits it is none");
	f = frame_after_error_value(7, false, 85, 24);
	cr_expect_not(f.has_no_value, "NaN marks floats");
}

Test(dectris_v2, forgets_the_error_value_with_the_next_start)
{
	struct decoder *d = messages_open("dectris-v2", "");
	struct cbor_writer w;
	struct decoded ret;

	begin_start(&w, 1);
	cbor_pair_uint(&w, "error_value", 7);
	cr_assert_eq(decode(d, &w).verdict, VERDICT_START);
	begin_start(&w, 0);
	cr_assert_eq(decode(d, &w).verdict, VERDICT_START);
	begin_image(&w, 1);
	put_data(&w);
	ret = decode(d, &w);
	cr_expect_eq(ret.frame.no_value, UINT16_MAX);
	dectris_v2_close(d);
}

Test(dectris_v2, tells_series_apart_by_the_unique_id)
{
	uint64_t tokens[3];

	for (unsigned i = 0; i < 3; i++) {
		struct cbor_writer w = { .size = 0 };
		struct decoded d;

		cbor_map(&w, i == 2 ? 2 : 3);
		cbor_pair_text(&w, "type", "end");
		cbor_pair_uint(&w, "series_id", 1);
		if (i < 2)
			cbor_pair_text(&w, "series_unique_id", i ? "01GRXUT80JSY" : "01GRXUT80JSZ");
		d = decode_once(&w);
		cr_expect_eq(d.verdict, VERDICT_END);
		tokens[i] = d.frame.series;
		cr_expect_neq(tokens[i], 0);
	}
	cr_expect(tokens[0] != tokens[1] && tokens[0] != tokens[2] && tokens[1] != tokens[2]);
}

/* ---- recorded ---- */

static struct decoded decode_file(const char *name, const char *channel)
{
	struct config_ingest c = { .pixel_format = (char[]){ "auto" },
		                   .channel = (char *)(uintptr_t)channel,
		                   .frame_limit = 64 << 20 };
	struct decoder *d;
	size_t size;
	char *data = message_vector(name, &size), why[160];
	struct decoded ret;

	cr_assert_eq(dectris_v2_open(&d, &c, why), 0);
	ret = decode_bytes(d, data, size);
	dectris_v2_close(d);
	free(data);
	return ret;
}

Test(dectris_v2, reads_the_recorded_messages)
{
	static const char *const channels[] = { "threshold_1", "threshold_2", "difference", "" };
	struct decoded first, second, end;

	for (size_t i = 0; i < 4; i++) {
		first = decode_file("dectris_v2/bslz4_16bit_000001.cbor", channels[i]);
		cr_assert_eq(first.verdict, VERDICT_FRAME, "%s", first.why);
		cr_expect(first.frame.width == 1030 && first.frame.height == 514);
		cr_expect(first.frame.number == 0 && first.frame.codec == CODEC_BSLZ4);
		cr_expect_eq(first.frame.codec_element, 2);
		cr_expect_eq(first.frame.timestamp_ns, 1676040545281000000);
	}
	second = decode_file("dectris_v2/bslz4_16bit_000002.cbor", "");
	cr_expect_eq(second.frame.number, 1);
	cr_expect_gt(second.frame.timestamp_ns, first.frame.timestamp_ns);
	end = decode_file("dectris_v2/bslz4_16bit_000011.cbor", "");
	cr_expect_eq(end.verdict, VERDICT_END);
	cr_expect_eq(end.frame.series, first.frame.series);
	first = decode_file("dectris_v2/lz4_8bit_000001.cbor", "difference");
	cr_expect_eq(first.verdict, VERDICT_FRAME, "%s", first.why);
	cr_expect_eq(first.frame.codec, CODEC_LZ4_BLOCKS);
	cr_expect_eq(first.frame.type, PIXEL_UINT8);
}

Test(dectris_v2, reads_the_synthetic_messages)
{
	struct decoded d = decode_file("synthetic/v2_start.cbor", "");

	cr_assert_eq(d.verdict, VERDICT_START, "%s", d.why);
	cr_expect_eq(d.announced, 2);
	cr_expect_eq(decode_file("synthetic/v2_image_raw.cbor", "").verdict, VERDICT_FRAME);
	cr_expect_eq(decode_file("synthetic/v2_image_lz4_stored.cbor", "").verdict, VERDICT_FRAME);
	cr_expect_eq(decode_file("synthetic/v2_end.cbor", "").verdict, VERDICT_END);
	cr_expect_eq(decode_file("synthetic/v2_end_nomagic.cbor", "").verdict, VERDICT_END);
}

/* ---- cost ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

Test(dectris_v2, prints_the_cost_of_an_image)
{
	struct decoder *d = messages_open("dectris-v2", "");
	static double us[10001];
	const int runs = sizeof us / sizeof *us;
	struct cbor_writer w;

	begin_image(&w, 4);
	cbor_text(&w, "series_date");
	cbor_tag(&w, 0);
	cbor_text(&w, "2023-02-10T15:49:05.281+01:00");
	cbor_text(&w, "start_time");
	cbor_array(&w, 2);
	cbor_uint(&w, 0);
	cbor_uint(&w, 50000000);
	cbor_text(&w, "user_data");
	cbor_array(&w, 2);
	cbor_uint(&w, 1);
	cbor_text(&w, "\xf0\x9f\x92\x99");
	cbor_text(&w, "data");
	cbor_map(&w, 3);
	put_channel(&w, "threshold_1", pixels);
	put_channel(&w, "threshold_2", pixels);
	put_channel(&w, "difference", pixels);
	for (int i = 0; i < runs; i++) {
		struct timespec from, to;

		clock_gettime(CLOCK_MONOTONIC, &from);
		cr_assert_eq(decode(d, &w).verdict, VERDICT_FRAME);
		clock_gettime(CLOCK_MONOTONIC, &to);
		us[i] = (double)(to.tv_sec - from.tv_sec) * 1e6 +
		        (double)(to.tv_nsec - from.tv_nsec) / 1e3;
	}
	qsort(us, (size_t)runs, sizeof *us, by_value);
	fprintf(stderr, "dectris-v2: %.2f us per image, median of %d\n", us[runs / 2], runs);
	dectris_v2_close(d);
}
