/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/bsread.h"
#include "tests/messages.h"

#include <lz4.h>

static const char pixels[64] = "abcdefghijklmnopqrstuvwxyz";

static const char main_header[] = "{\"htype\":\"bsr_m-1.1\",\"pulse_id\":7,\"hash\":\"same\","
				  "\"global_timestamp\":{\"sec\":2,\"ns\":5}}";

static struct decoded decode(struct decoder *d, const struct message *m)
{
	return message_decode("bsread", d, m);
}

/* A message of one channel. */
static struct decoded decode_one(struct decoder *d, const char *first, const char *second,
                                 const void *value, size_t bytes)
{
	struct message m = { .part_count = 0 };

	message_text(&m, first);
	message_text(&m, second);
	message_add(&m, value, bytes);
	message_add(&m, NULL, 0);
	return decode(d, &m);
}

static struct decoded decode_once(const char *first, const char *second, size_t bytes)
{
	struct decoder *d = messages_open("bsread", "");
	struct decoded ret = decode_one(d, first, second, pixels, bytes);

	bsread_close(d);
	return ret;
}

/* The data header of a channel called CAM with these keys. */
static const char *data_header(const char *keys)
{
	static char text[512];

	snprintf(text, sizeof text,
	         "{\"htype\":\"bsr_d-1.1\",\"channels\":[{\"name\":\"CAM\",%s}]}", keys);
	return text;
}

#define USUAL "\"shape\":[3,2],\"type\":\"uint16\""

Test(bsread, takes_a_channel_of_two_dimensions)
{
	struct decoded d = decode_once(main_header, data_header(USUAL), 12);

	cr_assert_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
	cr_expect(d.number_known && d.frame.number == 7);
	cr_expect_eq(d.frame.timestamp_ns, 2000000005);
	cr_expect(d.frame.width == 3 && d.frame.height == 2, "the shape is [x, y]");
	cr_expect_eq(d.pixel_part, 2);
	cr_expect_eq(d.frame.pixels, pixels);
}

Test(bsread, reads_times_of_either_name)
{
	static const struct {
		const char *stamp;
		uint64_t ns;
	} rows[] = {
		{ "{\"epoch\":3,\"ns\":1}", 3000000001 },
		{ "{\"sec\":3}", 3000000000 },
		{ "{\"ns\":1}", 0 },
		{ "{\"sec\":18446744073709551615,\"ns\":1}", 0 },
		{ "{\"sec\":-3,\"ns\":1}", 0 },
		{ "null", 0 },
		{ "7", 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char first[256];
		struct decoded d;

		snprintf(first, sizeof first,
		         "{\"htype\":\"bsr_m-1.0\",\"pulse_id\":7,\"global_timestamp\":%s}",
		         rows[i].stamp);
		d = decode_once(first, data_header(USUAL), 12);
		cr_expect_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
		cr_expect_eq(d.frame.timestamp_ns, rows[i].ns, "row %zu", i);
	}
}

Test(bsread, reads_every_type_it_takes)
{
	static const struct {
		const char *type;
		size_t bytes;
		enum pixel_type pixel;
		enum stored_type stored;
	} rows[] = {
		{ "uint8", 6, PIXEL_UINT8, STORED_PLAIN },
		{ "uint16", 12, PIXEL_UINT16, STORED_PLAIN },
		{ "uint32", 24, PIXEL_UINT32, STORED_PLAIN },
		{ "float32", 24, PIXEL_FLOAT32, STORED_PLAIN },
		{ "int8", 6, PIXEL_FLOAT32, STORED_INT8 },
		{ "int16", 12, PIXEL_FLOAT32, STORED_INT16 },
		{ "int32", 24, PIXEL_FLOAT32, STORED_INT32 },
		{ "int64", 48, PIXEL_FLOAT32, STORED_INT64 },
		{ "uint64", 48, PIXEL_FLOAT32, STORED_UINT64 },
		{ "float64", 48, PIXEL_FLOAT32, STORED_FLOAT64 },
	};
	static const char *const others[] = { "complex64", "string", "bool", "" };
	struct decoded plain;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char keys[128];
		struct decoded d;

		snprintf(keys, sizeof keys, "\"shape\":[3,2],\"type\":\"%s\"", rows[i].type);
		d = decode_once(main_header, data_header(keys), rows[i].bytes);
		cr_expect_eq(d.verdict, VERDICT_FRAME, "%s: %s", rows[i].type, d.why);
		cr_expect_eq(d.frame.type, rows[i].pixel);
		cr_expect_eq(d.frame.stored, rows[i].stored);
		cr_expect_not(d.frame.has_no_value);
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		char keys[128];

		snprintf(keys, sizeof keys, "\"shape\":[3,2],\"type\":\"%s\"", others[i]);
		EXPECT_REJECTED(decode_once(main_header, data_header(keys), 12), "type");
	}
	plain = decode_once(main_header, data_header("\"shape\":[3,2]"), 48);
	cr_expect_eq(plain.verdict, VERDICT_FRAME, "%s", plain.why);
	cr_expect_eq(plain.frame.stored, STORED_FLOAT64, "float64 is the default");
}

Test(bsread, refuses_channels_that_are_no_image)
{
	EXPECT_REJECTED(
		decode_once(main_header, data_header("\"shape\":[3],\"type\":\"uint16\""), 6),
		"shape");
	EXPECT_REJECTED(decode_once(main_header, data_header("\"type\":\"uint16\""), 6), "shape");
	EXPECT_REJECTED(decode_once(main_header, data_header(USUAL ",\"encoding\":\"middle\""), 12),
	                "encoding");
	EXPECT_REJECTED(
		decode_once(main_header, data_header(USUAL ",\"compression\":\"zstd\""), 12),
		"encoding");
	EXPECT_REJECTED(
		decode_once(main_header,
	                    data_header("\"shape\":[4294967295,4294967295],\"type\":\"uint32\""),
	                    12),
		"shape");
	EXPECT_REJECTED(
		decode_once(main_header, data_header("\"shape\":[-3,2],\"type\":\"uint32\""), 12),
		"shape");
	EXPECT_REJECTED(decode_once(main_header, "{\"htype\":\"bsr_d-1.1\",\"channels\":[]}", 12),
	                "parts");
	EXPECT_REJECTED(decode_once(main_header, "{\"htype\":\"bsr_d-1.1\",\"channels\":{}}", 12),
	                "header");
	EXPECT_REJECTED(decode_once(main_header, "{\"htype\":\"bsr_x-1.1\",\"channels\":[]}", 12),
	                "header");
	EXPECT_REJECTED(decode_once(main_header, "{\"htype\":\"bsr_d-1.1\",\"channels\":[7]}", 12),
	                "shape");
}

Test(bsread, refuses_main_headers_that_are_none)
{
	static const char *const rows[] = {
		"{\"htype\":\"bsr_m-1.1\"}",
		"{\"htype\":\"bsr_m-1.1\",\"pulse_id\":-1}",
		"{\"htype\":\"bsr_m-1.1\",\"pulse_id\":18446744073709551615}",
		"{\"htype\":\"bsr_m-1.1\",\"pulse_id\":18446744073709551616}",
		"{\"htype\":\"bsr_d-1.1\",\"pulse_id\":7}",
		"{\"pulse_id\":7}",
		"[]",
		"",
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		EXPECT_REJECTED(decode_once(rows[i], data_header(USUAL), 12), "header");
	EXPECT_REJECTED(decode_once("{\"htype\":\"bsr_m-1.1\",\"pulse_id\":7,"
	                            "\"dh_compression\":\"zip\"}",
	                            data_header(USUAL), 12),
	                "encoding");
}

Test(bsread, counts_values_that_are_not_there)
{
	struct decoded d = decode_once(main_header, data_header(USUAL), 0);

	cr_expect_eq(d.verdict, VERDICT_DUMMY);
	cr_expect(d.number_known && d.frame.number == 7);
	cr_expect_null(d.frame.pixels);
}

/* Senders are said to change the hash with the header; one that does not is read all the same. */
Test(bsread, reads_a_data_header_that_changes_under_the_same_hash)
{
	struct decoder *d = messages_open("bsread", "");
	struct decoded ret;

	for (unsigned round = 0; round < 3; round++) {
		ret = decode_one(d, main_header, data_header(USUAL), pixels, 12);
		cr_expect(ret.verdict == VERDICT_FRAME && ret.frame.width == 3, "%s", ret.why);
		ret = decode_one(d, main_header, data_header("\"shape\":[2,3],\"type\":\"uint16\""),
		                 pixels, 12);
		cr_expect(ret.verdict == VERDICT_FRAME && ret.frame.width == 2, "%s", ret.why);
		EXPECT_REJECTED(decode_one(d, main_header,
		                           data_header("\"shape\":[2],\"type\":\"uint16\""), pixels,
		                           12),
		                "shape");
		EXPECT_REJECTED(decode_one(d, main_header, "{", pixels, 12), "header");
		EXPECT_REJECTED(decode_one(d, main_header, "", pixels, 12), "header");
	}
	/* A refused header leaves the last good one known. */
	ret = decode_one(d, main_header, data_header(USUAL), pixels, 12);
	cr_expect_eq(ret.verdict, VERDICT_FRAME);
	bsread_close(d);
}

Test(bsread, takes_the_channel_that_is_named)
{
	static const char header[] =
		"{\"htype\":\"bsr_d-1.1\",\"channels\":["
		"{\"name\":\"A\",\"shape\":[3,2],\"type\":\"uint16\"},{\"name\":\"B\"},"
		"{\"name\":\"C\",\"shape\":[6,1],\"type\":\"uint16\"}]}";
	static const struct {
		const char *channel;
		unsigned part;
	} rows[] = { { "", 2 }, { "A", 2 }, { "C", 6 } };
	struct message m = { .part_count = 0 };
	struct decoder *d;

	message_text(&m, main_header);
	message_text(&m, header);
	for (unsigned i = 0; i < 3; i++) {
		message_add(&m, pixels, 12);
		message_add(&m, pixels, 16);
	}
	for (size_t i = 0; i < 3; i++) {
		struct decoded ret;

		d = messages_open("bsread", rows[i].channel);
		ret = decode(d, &m);
		cr_expect_eq(ret.verdict, VERDICT_FRAME, "%s", ret.why);
		cr_expect_eq(ret.pixel_part, rows[i].part);
		bsread_close(d);
	}
	d = messages_open("bsread", "B");
	EXPECT_REJECTED(decode(d, &m), "shape");
	bsread_close(d);
	d = messages_open("bsread", "D");
	EXPECT_REJECTED(decode(d, &m), "shape");
	bsread_close(d);
}

/* More channels than parts are kept. */
Test(bsread, refuses_a_channel_beyond_the_parts_that_are_kept)
{
	static char header[40000];
	size_t used = (size_t)sprintf(header, "{\"htype\":\"bsr_d-1.1\",\"channels\":[");
	struct decoder *d = messages_open("bsread", "LAST");
	struct message m = { .part_count = 0 };

	for (unsigned i = 0; i < 299; i++)
		used += (size_t)sprintf(header + used, "{\"name\":\"X\"},");
	sprintf(header + used, "{\"name\":\"LAST\"," USUAL "}]}");
	message_text(&m, main_header);
	message_text(&m, header);
	while (m.part_count < MESSAGE_PARTS_MAX)
		message_add(&m, pixels, 12);
	m.part_count = 2 + 2 * 300;
	EXPECT_REJECTED(decode(d, &m), "parts");
	bsread_close(d);
}

/* ---- compressed ---- */

Test(bsread, holds_the_size_of_an_lz4_value_against_the_channel)
{
	static const struct {
		const char *order;
		unsigned char size[4];
		bool good;
	} rows[] = {
		{ "little", { 12, 0, 0, 0 }, true },  { "big", { 0, 0, 0, 12 }, true },
		{ "little", { 0, 0, 0, 12 }, false }, { "big", { 12, 0, 0, 0 }, false },
		{ "little", { 13, 0, 0, 0 }, false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct decoder *d = messages_open("bsread", "");
		char keys[160], value[20] = { 0 };
		struct decoded ret;

		snprintf(keys, sizeof keys, USUAL ",\"compression\":\"lz4\",\"encoding\":\"%s\"",
		         rows[i].order);
		memcpy(value, rows[i].size, 4);
		ret = decode_one(d, main_header, data_header(keys), value, 17);
		if (rows[i].good) {
			cr_expect_eq(ret.verdict, VERDICT_FRAME, "row %zu: %s", i, ret.why);
			cr_expect_eq(ret.frame.pixels, value + 4);
			cr_expect_eq(ret.frame.bytes, 13);
			cr_expect_eq(ret.frame.codec, CODEC_LZ4);
		} else {
			EXPECT_REJECTED(ret, "length");
		}
		EXPECT_REJECTED(decode_one(d, main_header, data_header(keys), value, 4), "length");
		bsread_close(d);
	}
}

/* A data header of so many bytes, padded with white space, as lz4 with its size in front. */
static size_t pack_header(char *out, size_t bytes, bool big_endian)
{
	char *text = malloc(bytes);
	const char *header = data_header(USUAL);
	int packed;

	memset(text, ' ', bytes);
	memcpy(text, header, strlen(header));
	for (unsigned i = 0; i < 4; i++)
		out[big_endian ? 3 - i : i] = (char)(bytes >> 8 * i);
	packed = LZ4_compress_default(text, out + 4, (int)bytes, LZ4_COMPRESSBOUND((int)bytes));
	cr_assert_gt(packed, 0);
	free(text);
	return 4 + (size_t)packed;
}

Test(bsread, reads_compressed_data_headers_of_either_order)
{
	static const char first[] =
		"{\"htype\":\"bsr_m-1.1\",\"pulse_id\":7,\"dh_compression\":\"lz4\"}";
	static const size_t sizes[] = { 90, 200, 255, 256, 257, 300, 512, 4096, 65280, 65536 };
	static char packed[LZ4_COMPRESSBOUND(65536) + 4];

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (unsigned big = 0; big < 2; big++) {
			struct decoder *d = messages_open("bsread", "");
			struct message m = { .part_count = 0 };
			struct decoded ret;

			message_text(&m, first);
			message_add(&m, packed, pack_header(packed, sizes[i], big));
			message_add(&m, pixels, 12);
			ret = decode(d, &m);
			cr_expect_eq(ret.verdict, VERDICT_FRAME, "%zu bytes, big %u: %s", sizes[i],
			             big, ret.why);
			m.parts[1].size--;
			EXPECT_REJECTED(decode(d, &m), "header");
			m.parts[1].size = 3;
			EXPECT_REJECTED(decode(d, &m), "header");
			bsread_close(d);
		}
}

Test(bsread, refuses_data_headers_that_would_grow)
{
	static const char lz4[] =
		"{\"htype\":\"bsr_m-1.1\",\"pulse_id\":7,\"dh_compression\":\"lz4\"}";
	static const char bslz4[] =
		"{\"htype\":\"bsr_m-1.1\",\"pulse_id\":7,\"dh_compression\":\"bitshuffle_lz4\"}";
	struct decoder *d = messages_open("bsread", "");
	struct message m = { .part_count = 0 };

	message_text(&m, lz4);
	message_add(&m, "\x7f\xff\xff\xff\x10", 5);
	message_add(&m, pixels, 12);
	EXPECT_REJECTED(decode(d, &m), "header");
	m.part_count = 0;
	message_text(&m, bslz4);
	message_add(&m, "\0\0\0\0\x7f\xff\xff\xff\0\0\0\0\x10", 13);
	message_add(&m, pixels, 12);
	EXPECT_REJECTED(decode(d, &m), "header");
	m.parts[1] = (struct part){ "\0\0\0\0\0\0\0\0\0\0\0\0", 12 };
	EXPECT_REJECTED(decode(d, &m), "header");
	bsread_close(d);
}

/* ---- recorded ---- */

Test(bsread, reads_the_recorded_message)
{
	struct decoder *d = messages_open("bsread", "SLG-LCAM-C102:FPICTURE");
	struct message m = { .part_count = 0 };
	struct decoded ret;

	for (unsigned i = 0; i < 4; i++) {
		char name[64];
		size_t size;

		snprintf(name, sizeof name, "bsread_cam/000000_%03u.raw", i);
		message_add(&m, message_vector(name, &size), 0);
		m.parts[i].size = size;
	}
	ret = decode(d, &m);
	cr_assert_eq(ret.verdict, VERDICT_FRAME, "%s", ret.why);
	cr_expect(ret.frame.width == 659 && ret.frame.height == 494);
	cr_expect_eq(ret.frame.number, 3682521968);
	cr_expect_eq(ret.frame.timestamp_ns, 1508856598865393891);
	message_free(&m);
	bsread_close(d);
}
