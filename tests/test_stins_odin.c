/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/odin_live.h"
#include "ingest/stins.h"
#include "tests/messages.h"

static const char pixels[64] = "abcdefghijklmnopqrstuvwxyz";

static struct decoded decode_two(const char *protocol, struct decoder *d, const char *first,
                                 size_t bytes)
{
	struct message m = { .part_count = 0 };

	message_text(&m, first);
	message_add(&m, pixels, bytes);
	return message_decode(protocol, d, &m);
}

static struct decoded decode_once(const char *protocol, const char *first, size_t bytes)
{
	struct decoder *d = messages_open(protocol, "");
	struct decoded ret = decode_two(protocol, d, first, bytes);

	protocol_find(protocol)->close(d);
	return ret;
}

/* ---- stins ---- */

static struct decoded stins(const char *keys, size_t bytes)
{
	char first[256];

	snprintf(first, sizeof first, "{\"htype\":\"image\",%s}", keys);
	return decode_once("stins", first, bytes);
}

Test(stins, takes_images)
{
	struct decoded d = stins("\"frame\":4,\"shape\":[2,3],\"type\":\"uint32\"", 24);

	cr_assert_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
	cr_expect(d.frame.number == 4 && d.frame.width == 3 && d.frame.height == 2);
	cr_expect_eq(d.frame.type, PIXEL_UINT32);
	cr_expect_eq(d.pixel_part, 1);
	d = stins("\"frame\":4,\"shape\":[2,3],\"type\":\"int8\",\"compression\":null", 6);
	cr_expect_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
	cr_expect_eq(d.frame.stored, STORED_INT8);
}

Test(stins, refuses_what_it_does_not_take)
{
	EXPECT_REJECTED(
		stins("\"frame\":4,\"shape\":[2,3],\"type\":\"uint8\",\"compression\":\"lz4\"", 6),
		"encoding");
	EXPECT_REJECTED(stins("\"frame\":4,\"shape\":[6],\"type\":\"uint8\"", 6), "shape");
	EXPECT_REJECTED(
		stins("\"frame\":4,\"shape\":[4294967295,4294967295],\"type\":\"uint8\"", 6),
		"shape");
	EXPECT_REJECTED(stins("\"frame\":4,\"shape\":[2,3],\"type\":\"complex64\"", 48), "type");
	EXPECT_REJECTED(stins("\"frame\":4,\"shape\":[2,3]", 6), "header");
	EXPECT_REJECTED(stins("\"frame\":-4,\"shape\":[2,3],\"type\":\"uint8\"", 6), "header");
	EXPECT_REJECTED(
		stins("\"frame\":18446744073709551616,\"shape\":[2,3],\"type\":\"uint8\"", 6),
		"header");
	EXPECT_REJECTED(stins("\"shape\":[2,3],\"type\":\"uint8\"", 6), "header");
	EXPECT_REJECTED(decode_once("stins", "{\"htype\":\"frame\"}", 6), "header");
	EXPECT_REJECTED(decode_once("stins", "{}", 6), "header");
}

Test(stins, starts_and_ends_with_one_word)
{
	struct decoder *d = messages_open("stins", "");
	struct message m = { .part_count = 0 };
	struct decoded ret;

	message_text(&m, "{\"htype\":\"header\",\"filename\":\"/a\",\"msg_number\":0}");
	ret = message_decode("stins", d, &m);
	cr_expect_eq(ret.verdict, VERDICT_START);
	cr_expect(ret.announced == 0 && ret.frame.series == 0 && !ret.detector.mask);
	message_add(&m, "more", 4);
	cr_expect_eq(message_decode("stins", d, &m).verdict, VERDICT_START);
	m.part_count = 0;
	message_text(&m, "{\"htype\":\"series_end\"}");
	cr_expect_eq(message_decode("stins", d, &m).verdict, VERDICT_END);
	stins_close(d);
}

Test(stins, reads_the_recorded_series)
{
	unsigned verdicts[VERDICT_COUNT] = { 0 };
	struct decoder *d = messages_open("stins", "");
	struct cbor_reader r;
	struct message m;
	size_t size;
	char *data = message_vector("maxiv_stins/xspress3-multipart.cbors", &size);

	cbor_begin(&r, data, size);
	while (message_recorded(&r, &m)) {
		struct decoded ret = message_decode("stins", d, &m);

		if (ret.verdict == VERDICT_FRAME) {
			cr_expect_eq(ret.frame.number, verdicts[VERDICT_FRAME]);
			cr_expect(ret.frame.width == 4096 && ret.frame.height == 4);
			cr_expect_eq(ret.frame.type, PIXEL_UINT32);
		}
		verdicts[ret.verdict]++;
	}
	cr_expect_eq(verdicts[VERDICT_START], 1);
	cr_expect_eq(verdicts[VERDICT_FRAME], 5);
	cr_expect_eq(verdicts[VERDICT_END], 1);
	free(data);
	stins_close(d);
}

/* ---- odin-live ---- */

static const char *odin_header(const char *keys)
{
	static char first[512];

	snprintf(first, sizeof first, "{\"frame_num\":2,\"acquisition_id\":\"\",%s}", keys);
	return first;
}

static struct decoded odin(const char *keys, size_t bytes)
{
	return decode_once("odin-live", odin_header(keys), bytes);
}

Test(odin_live, takes_64_bits_as_float32_and_their_bitshuffle_not)
{
	struct decoded plain = odin("\"dtype\":\"uint64\",\"shape\":[\"2\",\"3\"]", 48);
	struct decoded packed = odin("\"dtype\":\"uint64\",\"compression\":\"BSLZ4\","
	                             "\"shape\":[\"2\",\"3\"]",
	                             48);

	cr_assert_eq(plain.verdict, VERDICT_FRAME, "%s", plain.why);
	cr_expect_eq(plain.frame.type, PIXEL_FLOAT32);
	cr_expect_eq(plain.frame.stored, STORED_UINT64);
	cr_assert_eq(packed.verdict, VERDICT_REJECTED);
	cr_expect(strstr(packed.why, "bitshuffle of elements other than 1, 2 and 4 bytes"), "%s",
	          packed.why);
}

Test(odin_live, takes_images)
{
	struct decoded d = odin("\"dtype\":\"uint16\",\"dsize\":12,\"shape\":[\"2\",\"3\"]", 12);

	cr_assert_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
	cr_expect(d.frame.number == 2 && d.frame.width == 3 && d.frame.height == 2);
	cr_expect_eq(d.pixel_part, 1);
	cr_expect_eq(odin("\"dtype\":\"float\",\"shape\":[\"1\",\"2\",\"3\"]", 24).frame.type,
	             PIXEL_FLOAT32);
	d = odin("\"dtype\":\"uint8\",\"compression\":\"LZ4\",\"shape\":[\"2\",\"3\"]", 4);
	cr_expect(d.verdict == VERDICT_FRAME && d.frame.codec == CODEC_LZ4, "%s", d.why);
	d = odin("\"dtype\":\"uint8\",\"compression\":\"NONE\",\"shape\":[\"2\",\"3\"]", 6);
	cr_expect(d.verdict == VERDICT_FRAME && d.frame.codec == CODEC_NONE, "%s", d.why);
}

Test(odin_live, refuses_what_it_does_not_take)
{
	static const char *const shapes[] = {
		"[2,3]",
		"[\"2\"]",
		"[\"2\",\"2\",\"3\"]",
		"[\"0\",\"3\"]",
		"[\"-2\",\"3\"]",
		"[\"2 \",\"3\"]",
		"[\"0x2\",\"3\"]",
		"[\"\",\"3\"]",
		"\"2\"",
		"[]",
		"[\"4294967296\",\"1\"]",
		"[\"4294967295\",\"4294967295\"]",
		"[\"99999999999999999999\",\"1\"]",
		"[\"1\",\"1\",\"2\",\"3\"]",
	};

	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		char keys[256];

		snprintf(keys, sizeof keys, "\"dtype\":\"uint16\",\"shape\":%s", shapes[i]);
		EXPECT_REJECTED(odin(keys, 12), "shape");
	}
	EXPECT_REJECTED(odin("\"dtype\":\"complex64\",\"shape\":[\"2\",\"3\"]", 48), "type");
	EXPECT_REJECTED(odin("\"dtype\":\"unknown\",\"shape\":[\"2\",\"3\"]", 48), "type");
	EXPECT_REJECTED(odin("\"shape\":[\"2\",\"3\"]", 48), "header");
	EXPECT_REJECTED(odin("\"dtype\":\"uint16\",\"dsize\":13,\"shape\":[\"2\",\"3\"]", 12),
	                "length");
	EXPECT_REJECTED(
		odin("\"dtype\":\"uint16\",\"compression\":\"blosc\",\"shape\":[\"2\",\"3\"]", 12),
		"encoding");
	EXPECT_REJECTED(
		odin("\"dtype\":\"uint16\",\"compression\":\"BSLZ4\",\"shape\":[\"2\",\"3\"]", 12),
		"length");
	EXPECT_REJECTED(
		decode_once("odin-live",
	                    "{\"frame_num\":-1,\"dtype\":\"uint8\",\"shape\":[\"2\",\"3\"]}", 6),
		"header");
}

#define NARROW "\"dtype\":\"uint16\",\"shape\":[\"2\",\"3\"],\"dataset\":"

Test(odin_live, stays_with_the_dataset_that_came_first)
{
	struct decoder *d = messages_open("odin-live", "");

	cr_expect_eq(decode_two("odin-live", d, odin_header(NARROW "\"raw\""), 12).verdict,
	             VERDICT_FRAME);
	cr_expect_eq(decode_two("odin-live", d, odin_header(NARROW "\"sum\""), 12).verdict,
	             VERDICT_NOTHING);
	cr_expect_eq(decode_two("odin-live", d, odin_header(NARROW "\"raw\""), 12).verdict,
	             VERDICT_FRAME);
	odin_live_close(d);
}

/* What is wrong with the others is no concern of ours. */
Test(odin_live, passes_over_datasets_that_it_could_not_take)
{
	static const char *const others[] = {
		"\"dtype\":\"uint64\",\"shape\":[\"2\",\"3\"],\"dataset\":\"sum\"",
		"\"dtype\":\"uint16\",\"shape\":[\"12\"],\"dataset\":\"spectrum\"",
		"\"dtype\":\"uint8\",\"compression\":\"blosc\",\"shape\":[\"2\"],\"dataset\":\"b\"",
	};
	struct decoder *named = messages_open("odin-live", "raw");
	struct decoder *first = messages_open("odin-live", "");

	cr_expect_eq(decode_two("odin-live", first, odin_header(NARROW "\"raw\""), 12).verdict,
	             VERDICT_FRAME);
	for (size_t i = 0; i < 3; i++) {
		const char *header = odin_header(others[i]);

		cr_expect_eq(decode_two("odin-live", named, header, 12).verdict, VERDICT_NOTHING);
		cr_expect_eq(decode_two("odin-live", first, header, 12).verdict, VERDICT_NOTHING);
	}
	odin_live_close(named);
	odin_live_close(first);
}

Test(odin_live, takes_no_dataset_for_its_own_that_is_refused)
{
	struct decoder *d = messages_open("odin-live", "");

	EXPECT_REJECTED(decode_two("odin-live", d,
	                           odin_header("\"dtype\":\"unknown\",\"shape\":[\"2\",\"3\"],"
	                                       "\"dataset\":\"sum\""),
	                           48),
	                "type");
	cr_expect_eq(decode_two("odin-live", d, odin_header(NARROW "\"raw\""), 12).verdict,
	             VERDICT_FRAME);
	odin_live_close(d);
}

Test(odin_live, reads_the_synthetic_message)
{
	struct decoder *d = messages_open("odin-live", "data");
	struct message m = { .part_count = 0 };
	struct decoded ret;
	size_t size, blob;
	char *first = message_vector("synthetic/odin_live.hdr", &size);
	char *second = message_vector("synthetic/odin_live.blob", &blob);

	message_add(&m, first, size);
	message_add(&m, second, blob);
	ret = message_decode("odin-live", d, &m);
	cr_expect_eq(ret.verdict, VERDICT_FRAME, "%s", ret.why);
	cr_expect(ret.frame.number == 2 && ret.frame.width == 3 && ret.frame.height == 2);
	message_free(&m);
	odin_live_close(d);
}
