/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/sls.h"
#include "tests/messages.h"

static const char pixels[64] = "abcdefghijklmnopqrstuvwxyz";

/* A header of the second of two ports side by side, 3 x 2 pixels of 16 bit, `replaced` having
 * the place of one of its keys. */
static const char *header(const char *key, const char *replaced)
{
	static const char *const usual[][2] = {
		{ "bitmode", "16" },       { "detshape", "[2, 1]" },
		{ "shape", "[3, 2]" },     { "progress", "30" },
		{ "fname", "\"/tmp/r\"" }, { "data", "1" },
		{ "completeImage", "1" },  { "frameNumber", "12" },
		{ "timestamp", "5" },      { "row", "0" },
		{ "column", "1" },         { "flipRows", "0" },
		{ "quad", "0" },           { "rx_roi", "[-1, -1, -1, -1]" },
	};
	static char text[2048];
	size_t used = (size_t)sprintf(text, "{\"jsonversion\":4");

	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
		bool ours = key && strcmp(key, usual[i][0]) == 0;

		if (ours && !replaced)
			continue;
		used += (size_t)snprintf(text + used, sizeof text - used, ", \"%s\":%s",
		                         usual[i][0], ours ? replaced : usual[i][1]);
	}
	snprintf(text + used, sizeof text - used, "}\n");
	return text;
}

static struct decoded decode_bytes(const char *first, size_t bytes)
{
	struct decoder *d = messages_open("sls", "");
	struct message m = { .part_count = 0 };
	struct decoded ret;

	message_text(&m, first);
	message_add(&m, pixels, bytes);
	ret = message_decode("sls", d, &m);
	sls_close(d);
	return ret;
}

static struct decoded decode_with(const char *key, const char *replaced)
{
	return decode_bytes(header(key, replaced), 12);
}

Test(sls, takes_the_piece_of_a_port)
{
	struct decoded d = decode_with(NULL, NULL);

	cr_assert_eq(d.verdict, VERDICT_PIECE, "%s", d.why);
	cr_expect(d.number_known && d.frame.number == 12);
	cr_expect(d.frame.width == 6 && d.frame.height == 2);
	cr_expect(d.frame.ports.columns == 2 && d.frame.ports.rows == 1);
	cr_expect(d.port == 1 && d.pixel_part == 1 && d.frame.flags == 0);
	cr_expect_eq(d.frame.ports.flipped, 0);
	cr_expect_eq(d.frame.timestamp_ns, 500);
	cr_expect(d.frame.has_no_value && d.frame.no_value == 65535);
	cr_expect_eq(decode_with("flipRows", "1").frame.ports.flipped, 2);
	cr_expect_eq(decode_with("completeImage", "0").frame.flags, FRAME_INCOMPLETE);
	cr_expect_eq(decode_with("completeImage", NULL).frame.flags, 0);
}

Test(sls, knows_the_number_by_its_old_name)
{
	static char text[2048];
	struct decoded d;

	snprintf(text, sizeof text, "%s", header("frameNumber", NULL));
	strcpy(strrchr(text, '}'), ", \"acqIndex\":99}");
	d = decode_bytes(text, 12);
	cr_expect_eq(d.verdict, VERDICT_PIECE, "%s", d.why);
	cr_expect_eq(d.frame.number, 99);
	snprintf(text, sizeof text, "%s", header(NULL, NULL));
	strcpy(strrchr(text, '}'), ", \"acqIndex\":99}");
	cr_expect_eq(decode_bytes(text, 12).frame.number, 12);
	EXPECT_REJECTED(decode_with("frameNumber", NULL), "header");
	EXPECT_REJECTED(decode_with("frameNumber", "-1"), "header");
	EXPECT_REJECTED(decode_with("frameNumber", "18446744073709551615"), "header");
	EXPECT_REJECTED(decode_with("frameNumber", "18446744073709551616"), "header");
	cr_expect_eq(decode_with("frameNumber", "18446744073709551614").frame.number,
	             UINT64_MAX - 1);
}

Test(sls, takes_pixels_of_4_to_32_bits)
{
	static const struct {
		const char *bits;
		size_t bytes; /* of 3 x 2 */
		enum pixel_type type;
		enum pixel_packing packing;
		uint8_t significant;
		bool has_no_value;
	} rows[] = {
		{ "4", 3, PIXEL_UINT8, PACKING_NIBBLES, 4, false },
		{ "8", 6, PIXEL_UINT8, PACKING_NONE, 8, false },
		{ "12", 9, PIXEL_UINT16, PACKING_MONO12P, 12, false },
		{ "16", 12, PIXEL_UINT16, PACKING_NONE, 0, true },
		{ "32", 24, PIXEL_UINT32, PACKING_NONE, 0, true },
	};
	static const char *const others[] = { "0", "1", "10", "14", "24", "64", "4294967312" };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct decoded d = decode_bytes(header("bitmode", rows[i].bits), rows[i].bytes);

		cr_assert_eq(d.verdict, VERDICT_PIECE, "%s", d.why);
		cr_expect_eq(d.frame.type, rows[i].type);
		cr_expect_eq(d.frame.packing, rows[i].packing);
		cr_expect_eq(d.frame.bits, rows[i].significant);
		cr_expect_eq(d.frame.has_no_value, rows[i].has_no_value);
		EXPECT_REJECTED(decode_bytes(header("bitmode", rows[i].bits), rows[i].bytes + 1),
		                "length");
		EXPECT_REJECTED(decode_bytes(header("bitmode", rows[i].bits), rows[i].bytes - 1),
		                "length");
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		EXPECT_REJECTED(decode_with("bitmode", others[i]), "type");
	EXPECT_REJECTED(decode_with("bitmode", NULL), "header");
	EXPECT_REJECTED(decode_with("bitmode", "\"16\""), "header");
}

Test(sls, refuses_ports_outside_the_detector)
{
	EXPECT_REJECTED(decode_with("column", "2"), "shape");
	EXPECT_REJECTED(decode_with("row", "1"), "shape");
	EXPECT_REJECTED(decode_with("row", "18446744073709551615"), "shape");
	EXPECT_REJECTED(decode_with("row", "-1"), "header");
	EXPECT_REJECTED(decode_with("row", NULL), "header");
	EXPECT_REJECTED(decode_with("detshape", "[0, 1]"), "shape");
	EXPECT_REJECTED(decode_with("detshape", "[65, 1]"), "shape");
	EXPECT_REJECTED(decode_with("detshape", "[9, 8]"), "shape");
	EXPECT_REJECTED(decode_with("detshape", "[65536, 65536]"), "shape");
	EXPECT_REJECTED(decode_with("detshape", "[2]"), "shape");
	EXPECT_REJECTED(decode_with("detshape", NULL), "shape");
	cr_expect_eq(decode_with("detshape", "[8, 8]").verdict, VERDICT_PIECE);
	cr_expect_eq(decode_with("detshape", "[64, 1]").verdict, VERDICT_PIECE);
}

Test(sls, refuses_hostile_shapes)
{
	EXPECT_REJECTED(decode_with("shape", "[4294967295, 4294967295]"), "shape");
	EXPECT_REJECTED(decode_with("shape", "[2147483648, 1]"), "shape");
	EXPECT_REJECTED(decode_with("shape", "[2147483647, 1]"), "shape");
	EXPECT_REJECTED(decode_with("shape", "[0, 2]"), "shape");
	EXPECT_REJECTED(decode_with("shape", "[-1, 2]"), "shape");
	EXPECT_REJECTED(decode_with("shape", "[512, 513]"), "shape");
	EXPECT_REJECTED(decode_with("shape", "[512, 512]"), "length");
}

Test(sls, refuses_arrangements_it_does_not_know)
{
	EXPECT_REJECTED(decode_with("quad", "1"), "shape");
	EXPECT_REJECTED(decode_with("quad", "2"), "header");
	EXPECT_REJECTED(decode_with("flipRows", "2"), "header");
	EXPECT_REJECTED(decode_with("completeImage", "\"no\""), "header");
	EXPECT_REJECTED(decode_with("rx_roi", "[0, 2, 0, 1]"), "shape");
	cr_expect_eq(decode_with("rx_roi", "[-1, -1]").verdict, VERDICT_PIECE);
	cr_expect_eq(decode_with("rx_roi", NULL).verdict, VERDICT_PIECE);
}

Test(sls, mends_headers_that_are_no_json)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ "progress", "inf" },
		{ "progress", "-inf" },
		{ "progress", "nan" },
		{ "progress", "-nan" },
		{ "fname", "\"C:\\data\\run\"" },
		{ "fname", "\"/tmp/\x01\xff\"" },
		{ "fname", "\"\"" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct decoded d = decode_with(rows[i].key, rows[i].value);

		cr_expect_eq(d.verdict, VERDICT_PIECE, "row %zu: %s", i, d.why);
	}
	EXPECT_REJECTED(decode_with("progress", "oops\""), "header");
	EXPECT_REJECTED(decode_with("fname", "\"a\"b\""), "header");
	EXPECT_REJECTED(decode_with("fname", "\"\\"), "header");
}

/* The buffer that is mended in ends before the largest header does. */
Test(sls, refuses_long_headers_that_are_no_json)
{
	for (size_t bytes = 8180; bytes < 8200; bytes++) {
		char *text = malloc(bytes);
		struct decoder *d = messages_open("sls", "");
		struct message m = { .part_count = 0 };

		memset(text, '\\', bytes);
		memcpy(text, "{\"progress\":inf,\"fname\":", 24);
		message_add(&m, text, bytes);
		message_add(&m, pixels, 12);
		EXPECT_REJECTED(message_decode("sls", d, &m), "header");
		memset(text, '\0', bytes);
		EXPECT_REJECTED(message_decode("sls", d, &m), "header");
		sls_close(d);
		free(text);
	}
}

Test(sls, ends_with_a_header_without_data)
{
	struct decoder *d = messages_open("sls", "");
	struct message m = { .part_count = 0 };

	message_text(&m, header("data", "0"));
	cr_expect_eq(message_decode("sls", d, &m).verdict, VERDICT_END);
	message_add(&m, pixels, 12);
	EXPECT_REJECTED(message_decode("sls", d, &m), "parts");
	m.part_count = 0;
	message_text(&m, header("data", "false"));
	cr_expect_eq(message_decode("sls", d, &m).verdict, VERDICT_END);
	m.part_count = 0;
	message_text(&m, header("data", "7"));
	EXPECT_REJECTED(message_decode("sls", d, &m), "header");
	sls_close(d);
}

Test(sls, has_no_timestamp_where_it_does_not_fit)
{
	cr_expect_eq(decode_with("timestamp", "18446744073709551615").frame.timestamp_ns, 0);
	cr_expect_eq(decode_with("timestamp", "-4").frame.timestamp_ns, 0);
	cr_expect_eq(decode_with("timestamp", NULL).frame.timestamp_ns, 0);
}

Test(sls, reads_the_synthetic_messages)
{
	struct decoder *d = messages_open("sls", "");
	struct message m = { .part_count = 0 };
	struct decoded ret;
	size_t size, blob;
	char *first = message_vector("synthetic/sls_4bit.hdr", &size);
	char *second = message_vector("synthetic/sls_4bit.blob", &blob);

	message_add(&m, first, size);
	message_add(&m, second, blob);
	ret = message_decode("sls", d, &m);
	cr_assert_eq(ret.verdict, VERDICT_PIECE, "%s", ret.why);
	cr_expect_eq(ret.frame.packing, PACKING_NIBBLES);
	cr_expect(ret.frame.width == 4 && ret.frame.height == 2);
	message_free(&m);
	first = message_vector("synthetic/sls_end.hdr", &size);
	message_add(&m, first, size);
	cr_expect_eq(message_decode("sls", d, &m).verdict, VERDICT_END);
	message_free(&m);
	sls_close(d);
}
