/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/array10.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIMIT (1 << 20)

static uint8_t pixels[LIMIT + 64];

static struct decoder *open_decoder(const char *pixel_format, uint32_t width, uint32_t height)
{
	struct config_ingest c = {
		.pixel_format = (char *)(uintptr_t)pixel_format,
		.width = width,
		.height = height,
		.frame_limit = LIMIT,
	};
	struct decoder *d = NULL;
	char why[160];

	cr_assert_eq(array10_open(&d, &c, why), 0, "%s", why);
	return d;
}

static struct decoded decode(struct decoder *d, const char *header, size_t blob_bytes)
{
	struct message m = {
		.part_count = 2,
		.parts = { { header, strlen(header) }, { pixels, blob_bytes } },
	};
	struct decoded ret;

	memset(&ret, 0xa5, sizeof ret);
	array10_decode(d, &m, &ret);
	return ret;
}

static struct decoded decode_fresh(const char *header, size_t blob_bytes)
{
	struct decoder *d = open_decoder("auto", 0, 0);
	struct decoded ret = decode(d, header, blob_bytes);

	array10_close(d);
	return ret;
}

/* The header of a 3 x 2 frame of uint16 with number 7 and `more` keys. */
static const char *header_with(const char *more)
{
	static char text[1024];

	snprintf(text, sizeof text,
	         "{\"htype\":\"array-1.0\",\"shape\":[2,3],\"type\":\"uint16\",\"frame\":7%s}",
	         more);
	return text;
}

#define EXPECT_REJECTED(decoded, name)                                                             \
	do {                                                                                       \
		cr_expect_eq((decoded).verdict, VERDICT_REJECTED);                                 \
		cr_expect_str_eq(reject_name((decoded).reason), name, "%s: %s",                    \
		                 reject_name((decoded).reason), (decoded).why);                    \
		cr_expect((decoded).why[0] != '\0');                                               \
	} while (0)

Test(array10, reads_the_minimal_message)
{
	struct decoded d = decode_fresh(
		"{\"htype\":\"array-1.0\", \"shape\":[2,3], \"type\":\"uint16\", \"frame\":7}", 12);

	cr_assert_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
	cr_expect(d.number_known);
	cr_expect_eq(d.frame.number, 7);
	cr_expect_eq(d.frame.width, 3);
	cr_expect_eq(d.frame.height, 2);
	cr_expect_eq(d.frame.type, PIXEL_UINT16);
	cr_expect_eq(d.frame.bits, 0);
	cr_expect_eq(d.frame.flags, 0);
	cr_expect_eq(d.frame.timestamp_ns, 0);
	cr_expect_not(d.frame.big_endian);
	cr_expect_eq(d.frame.pixels, pixels);
	cr_expect_eq(d.frame.bytes, 12);
}

Test(array10, reads_every_type_it_takes)
{
	static const struct {
		const char *name;
		enum pixel_type type;
	} rows[] = {
		{ "uint8", PIXEL_UINT8 },
		{ "uint16", PIXEL_UINT16 },
		{ "uint32", PIXEL_UINT32 },
		{ "float32", PIXEL_FLOAT32 },
	};

	for (size_t i = 0; i < 4; i++) {
		char header[128];
		struct decoded d;

		snprintf(header, sizeof header, "{\"shape\":[5,4],\"type\":\"%s\",\"frame\":1}",
		         rows[i].name);
		d = decode_fresh(header, (size_t)20 * pixel_bytes(rows[i].type));
		cr_expect_eq(d.verdict, VERDICT_FRAME, "%s: %s", rows[i].name, d.why);
		cr_expect_eq(d.frame.type, rows[i].type);
		cr_expect_str_eq(pixel_name(d.frame.type), rows[i].name);
	}
}

Test(array10, rejects_the_other_types_of_the_specification_by_name)
{
	static const char *const types[] = { "int8",   "int16",   "int32",   "int64",
		                             "uint64", "float16", "float64", "complex",
		                             "UINT16", "uint16 ", "" };

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		char header[128];
		struct decoded d;

		snprintf(header, sizeof header, "{\"shape\":[2,3],\"type\":\"%s\",\"frame\":1}",
		         types[i]);
		d = decode_fresh(header, 12);
		EXPECT_REJECTED(d, "type");
		cr_expect(strstr(d.why, types[i]), "%s", d.why);
		cr_expect(d.number_known);
	}
}

Test(array10, accepts_what_senders_vary)
{
	static const char *const headers[] = {
		"{\"frame\":7,\"shape\":[2,3],\"type\":\"uint16\",\"htype\":[\"array-1.0\"]}",
		"{\"htype\":\"array-1.1\",\"type\":\"uint16\",\"shape\":[2,3],\"frame\":7}\n",
		" { \"htype\" : \"array-1.0\" , \"type\" : \"uint16\" , \"shape\" : [ 2 , 3 ] ,\r\n"
		" \"frame\" : 7 } ",
		"{\"type\":\"uint16\",\"shape\":[2,3],\"frame\":7}",
		"{\"type\":\"uint16\",\"shape\":[2e0,3.0],\"frame\":0.7e1}",
		"{\"type\":\"uint16\",\"shape\":[2,3],\"frame\":7,\"endianness\":null,"
		"\"encoding\":null,\"image_attributes\":null,\"is_good_frame\":null}",
		"{\"type\":\"uint16\",\"shape\":[2,3],\"frame\":7,\"encoding\":\"\","
		"\"source\":\"caméra\",\"tags\":[\"0\",{\"a\":[1,2.5]}],\"pulse_id\":3682521969,"
		"\"hash\":340282366920938463463374607431768211456}",
		"{\"type\":\"uint16\",\"shape\":[2,3],\"frame\":7,\"endianess\":\"little\","
		"\"endianness\":\"little\"}",
	};

	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
		struct decoded d = decode_fresh(headers[i], 12);

		cr_expect_eq(d.verdict, VERDICT_FRAME, "%s: %s", headers[i], d.why);
		cr_expect_eq(d.frame.number, 7);
		cr_expect_eq(d.frame.width, 3);
		cr_expect_eq(d.frame.flags, 0);
	}
}

Test(array10, reads_the_endianness_in_either_spelling)
{
	cr_expect(decode_fresh(header_with(",\"endianness\":\"big\""), 12).frame.big_endian);
	cr_expect(decode_fresh(header_with(",\"endianess\":\"big\""), 12).frame.big_endian);
	cr_expect_not(decode_fresh(header_with(",\"endianess\":\"little\""), 12).frame.big_endian);
	EXPECT_REJECTED(decode_fresh(header_with(",\"endianess\":\"middle\""), 12), "encoding");
	EXPECT_REJECTED(decode_fresh(header_with(",\"endianness\":\"\""), 12), "encoding");
	EXPECT_REJECTED(decode_fresh(header_with(",\"endianness\":1"), 12), "header");
	EXPECT_REJECTED(
		decode_fresh(header_with(",\"endianness\":\"big\",\"endianess\":\"little\""), 12),
		"encoding");
}

Test(array10, rejects_an_encoding)
{
	struct decoded d = decode_fresh(header_with(",\"encoding\":\"lz4\""), 12);

	EXPECT_REJECTED(d, "encoding");
	cr_expect(strstr(d.why, "lz4"));
	cr_expect(d.number_known);
	EXPECT_REJECTED(decode_fresh(header_with(",\"encoding\":5"), 12), "header");
}

Test(array10, flags_what_the_sender_calls_damaged)
{
	static const struct {
		const char *more;
		bool flagged;
	} rows[] = {
		{ ",\"image_attributes\":{\"image_is_complete\":false}", true },
		{ ",\"image_attributes\":{\"image_is_complete\":0}", true },
		{ ",\"image_attributes\":{\"image_is_complete\":true}", false },
		{ ",\"image_attributes\":{\"image_is_complete\":1}", false },
		{ ",\"image_attributes\":{\"is_good_frame\":0}", true },
		{ ",\"is_good_frame\":0", true },
		{ ",\"is_good_frame\":false", true },
		{ ",\"is_good_frame\":1", false },
		{ ",\"is_good_frame\":true", false },
		{ ",\"is_good_frame\":1,\"image_attributes\":{\"image_is_complete\":false}", true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct decoded d = decode_fresh(header_with(rows[i].more), 12);

		cr_expect_eq(d.verdict, VERDICT_FRAME, "%s: %s", rows[i].more, d.why);
		cr_expect_eq(d.frame.flags, rows[i].flagged ? FRAME_INCOMPLETE : 0u, "%s",
		             rows[i].more);
	}
	EXPECT_REJECTED(decode_fresh(header_with(",\"is_good_frame\":\"no\""), 12), "header");
}

Test(array10, turns_the_time_stamp_into_nanoseconds)
{
	struct decoded d = decode_fresh(
		header_with(",\"image_attributes\":{\"time_stamp\":155337324560}"), 12);

	cr_expect_eq(d.frame.timestamp_ns, 155337324560000);
	d = decode_fresh(header_with(",\"image_attributes\":{\"time_stamp\":18446744073709551615}"),
	                 12);
	cr_expect_eq(d.verdict, VERDICT_FRAME);
	cr_expect_eq(d.frame.timestamp_ns, 0, "a time that does not fit is none");
}

Test(array10, keeps_every_digit_of_the_number)
{
	static const uint64_t numbers[] = { 0,
		                            4294967296,
		                            9007199254740993,
		                            9223372036854775807u,
		                            9223372036854775808u,
		                            UINT64_MAX - 1 };

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		char header[128];
		struct decoded d;

		snprintf(header, sizeof header,
		         "{\"shape\":[2,3],\"type\":\"uint16\",\"frame\":%" PRIu64 "}", numbers[i]);
		d = decode_fresh(header, 12);
		cr_expect_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
		cr_expect_eq(d.frame.number, numbers[i]);
	}
}

Test(array10, rejects_what_is_no_header)
{
	static const char *const headers[] = {
		"",
		"GET / HTTP/1.1\r\nHost: camera\r\n\r\n",
		"{",
		"{\"htype\":\"array-1.0\",\"shape\":[2,3],\"type\":\"uint16\",\"frame\":7",
		"[\"array-1.0\"]",
		"{}",
		"{\"shape\":[2,3],\"type\":\"uint16\"}",
		"{\"shape\":[2,3],\"type\":\"uint16\",\"frame\":null}",
		"{\"shape\":[2,3],\"type\":\"uint16\",\"frame\":-1}",
		"{\"shape\":[2,3],\"type\":\"uint16\",\"frame\":1.5}",
		"{\"shape\":[2,3],\"type\":\"uint16\",\"frame\":\"7\"}",
		"{\"shape\":[2,3],\"type\":\"uint16\",\"frame\":true}",
		"{\"shape\":[2,3],\"type\":\"uint16\",\"frame\":18446744073709551615}",
		"{\"shape\":[2,3],\"type\":\"uint16\",\"frame\":18446744073709551616}",
		"{\"shape\":[2,3],\"type\":\"uint16\",\"frame\":7,\"frame\":8}",
		"{\"shape\":[2,3],\"type\":\"uint16\",\"frame\":7}{\"frame\":8}",
		"{\"shape\":[2,3],\"type\":\"uint16\",\"frame\":7,\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[["
		"["
		"[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
	};

	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
		struct decoded d = decode_fresh(headers[i], 12);

		EXPECT_REJECTED(d, "header");
		cr_expect_not(d.number_known, "%s", headers[i]);
	}
}

Test(array10, rejects_missing_fields_but_knows_the_number)
{
	static const char *const headers[] = {
		"{\"frame\":7,\"type\":\"uint16\"}",
		"{\"frame\":7,\"shape\":[2,3]}",
		"{\"frame\":7,\"shape\":6,\"type\":\"uint16\"}",
		"{\"frame\":7,\"shape\":[2,3],\"type\":16}",
		"{\"frame\":7,\"shape\":[2,3],\"type\":\"uint16\",\"htype\":7}",
		"{\"frame\":7,\"shape\":[2,3],\"type\":\"uint16\",\"htype\":[]}",
		"{\"frame\":7,\"shape\":[2,3],\"type\":\"uint16\",\"htype\":[\"array-1.0\",\"a\"]}",
		"{\"frame\":7,\"shape\":[2,3],\"type\":\"uint16\",\"htype\":\"bsr_m-1.1\"}",
		"{\"frame\":7,\"shape\":[2,3],\"type\":\"uint16\",\"htype\":\"array-2.0\"}",
		"{\"frame\":7,\"shape\":[2,3],\"type\":\"uint16\",\"htype\":\"array-1.\"}",
	};

	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
		struct decoded d = decode_fresh(headers[i], 12);

		EXPECT_REJECTED(d, "header");
		cr_expect(d.number_known, "%s", headers[i]);
		cr_expect_eq(d.frame.number, 7);
	}
}

Test(array10, rejects_shapes_that_are_no_image)
{
	static const char *const shapes[] = {
		"[]",
		"[6]",
		"[1,2,3]",
		"[0,3]",
		"[2,0]",
		"[-2,3]",
		"[-2,-3]",
		"[2.5,3]",
		"[\"2\",\"3\"]",
		"[null,3]",
		"[[2],[3]]",
		"[2,4294967296]",
		"[4294967295,4294967295]",
		"[9223372036854775808,2]",
		"[18446744073709551615,18446744073709551615]",
		"[4294967296,4294967296]",
		"[65536,65536]",
		"[2147483648,2]",
		"[1e30,1]",
		"[40000,40000]",
	};

	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		char header[160];
		struct decoded d;

		snprintf(header, sizeof header, "{\"shape\":%s,\"type\":\"uint16\",\"frame\":7}",
		         shapes[i]);
		d = decode_fresh(header, 12);
		EXPECT_REJECTED(d, "shape");
		cr_expect(d.number_known);
	}
}

Test(array10, rejects_frames_above_the_limit_and_takes_the_largest)
{
	char header[128];

	snprintf(header, sizeof header, "{\"shape\":[1,%d],\"type\":\"uint8\",\"frame\":7}", LIMIT);
	cr_expect_eq(decode_fresh(header, LIMIT).verdict, VERDICT_FRAME);
	snprintf(header, sizeof header, "{\"shape\":[1,%d],\"type\":\"uint8\",\"frame\":7}",
	         LIMIT + 1);
	EXPECT_REJECTED(decode_fresh(header, LIMIT + 1), "shape");
}

Test(array10, rejects_every_other_length)
{
	for (size_t bytes = 0; bytes < 40; bytes++) {
		struct decoded d = decode_fresh(header_with(""), bytes);

		if (bytes == 12) {
			cr_expect_eq(d.verdict, VERDICT_FRAME);
			continue;
		}
		EXPECT_REJECTED(d, "length");
		cr_expect(d.number_known);
		cr_expect_eq(d.frame.number, 7);
	}
}

Test(array10, rejects_every_other_number_of_parts)
{
	struct decoder *d = open_decoder("auto", 0, 0);
	const char *header = header_with("");
	struct message m = { .parts = { { header, strlen(header) } } };
	static const unsigned counts[] = { 1, 3, 4, 5, 1000 };
	struct decoded ret;

	for (size_t i = 1; i < MESSAGE_PARTS_MAX; i++)
		m.parts[i] = (struct part){ pixels, 12 };
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		m.part_count = counts[i];
		array10_decode(d, &m, &ret);
		EXPECT_REJECTED(ret, "parts");
		cr_expect(ret.number_known);
		cr_expect_eq(ret.frame.number, 7);
	}
	m = (struct message){ 0 };
	array10_decode(d, &m, &ret);
	EXPECT_REJECTED(ret, "parts");
	cr_expect_not(ret.number_known);
	array10_close(d);
}

Test(array10, does_not_reuse_a_number)
{
	struct decoder *d = open_decoder("auto", 0, 0);
	struct decoded ret;

	cr_expect_eq(decode(d, header_with(""), 12).verdict, VERDICT_FRAME);
	ret = decode(d, "{\"htype\":\"array-1.0\",\"shape\":[2,3],", 12);
	EXPECT_REJECTED(ret, "header");
	cr_expect_not(ret.number_known);
	cr_expect_eq(ret.frame.number, 0);
	cr_expect_eq(decode(d, header_with(""), 12).verdict, VERDICT_FRAME, "the next is good");
	array10_close(d);
}

static const char sf_daq_dummy[] =
	"{\"frame\":8,\"is_good_frame\":1,\"daq_rec\":0,\"pulse_id\":3682521969,"
	"\"pedestal_file\":\"\",\"gain_file\":\"\",\"detector_name\":\"JF01\","
	"\"htype\":\"array-1.0\",\"type\":\"uint16\",\"shape\":[2,2]}";
static const char tiny[] = "{\"frame\":9,\"type\":\"uint16\",\"shape\":[2,2]}";

Test(array10, tells_dummies_from_tiny_frames)
{
	struct decoder *d = open_decoder("auto", 0, 0);
	struct decoded ret = decode(d, sf_daq_dummy, 8);

	cr_expect_eq(ret.verdict, VERDICT_DUMMY);
	cr_expect(ret.number_known);
	cr_expect_eq(ret.frame.number, 8);
	cr_expect_null(ret.frame.pixels);
	cr_expect_eq(decode(d, tiny, 8).verdict, VERDICT_DUMMY, "also before any frame");
	cr_expect_eq(decode(d, header_with(""), 12).verdict, VERDICT_FRAME);
	cr_expect_eq(decode(d, tiny, 8).verdict, VERDICT_DUMMY);
	array10_close(d);

	d = open_decoder("auto", 2, 2);
	cr_expect_eq(decode(d, sf_daq_dummy, 8).verdict, VERDICT_FRAME, "2 x 2 is configured");
	cr_expect_eq(decode(d, tiny, 8).verdict, VERDICT_FRAME, "2 x 2 is configured");
	array10_close(d);

	d = open_decoder("auto", 100, 2);
	cr_expect_eq(decode(d, tiny, 8).verdict, VERDICT_DUMMY, "100 x 2 is configured");
	array10_close(d);
}

Test(array10, takes_dummies_of_any_type)
{
	cr_expect_eq(decode_fresh("{\"frame\":8,\"is_good_frame\":0,\"pulse_id\":5,"
	                          "\"type\":\"float32\",\"shape\":[2,2]}",
	                          8)
	                     .verdict,
	             VERDICT_DUMMY);
	EXPECT_REJECTED(decode_fresh(sf_daq_dummy, 9), "length");
}

Test(array10, lets_the_pixel_format_overrule_the_type)
{
	static const struct {
		const char *format;
		enum pixel_type type;
		uint8_t bits;
	} rows[] = {
		{ "Mono8", PIXEL_UINT8, 8 },    { "Mono10", PIXEL_UINT16, 10 },
		{ "Mono12", PIXEL_UINT16, 12 }, { "Mono14", PIXEL_UINT16, 14 },
		{ "Mono16", PIXEL_UINT16, 16 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct decoder *d = open_decoder(rows[i].format, 0, 0);
		size_t bytes = (size_t)6 * pixel_bytes(rows[i].type);
		struct decoded ret =
			decode(d, "{\"shape\":[2,3],\"type\":\"float64\",\"frame\":7}", bytes);

		cr_expect_eq(ret.verdict, VERDICT_FRAME, "%s: %s", rows[i].format, ret.why);
		cr_expect_eq(ret.frame.type, rows[i].type);
		cr_expect_eq(ret.frame.bits, rows[i].bits);
		ret = decode(d, "{\"shape\":[2,3],\"frame\":7}", bytes);
		cr_expect_eq(ret.verdict, VERDICT_FRAME, "the type may be left out");
		EXPECT_REJECTED(decode(d, header_with(""), bytes + 1), "length");
		array10_close(d);
	}
}

Test(array10, takes_packed_pixels_of_exactly_their_bytes)
{
	static const struct {
		const char *format;
		enum pixel_packing packing;
		uint8_t bits;
		size_t bytes; /* of 5 x 3 pixels */
	} rows[] = {
		{ "Mono10p", PACKING_MONO10P, 10, 19 },
		{ "Mono10Packed", PACKING_MONO10_PACKED, 10, 23 },
		{ "Mono12p", PACKING_MONO12P, 12, 23 },
		{ "Mono12Packed", PACKING_MONO12_PACKED, 12, 23 },
		{ "Mono14p", PACKING_MONO14P, 14, 27 },
	};
	static const char header[] =
		"{\"shape\":[3,5],\"type\":\"uint8\",\"frame\":7,\"endianness\":\"big\"}";

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct decoder *d = open_decoder(rows[i].format, 0, 0);
		struct decoded ret = decode(d, header, rows[i].bytes);

		cr_expect_eq(ret.verdict, VERDICT_FRAME, "%s: %s", rows[i].format, ret.why);
		cr_expect_eq(ret.frame.type, PIXEL_UINT16);
		cr_expect_eq(ret.frame.packing, rows[i].packing);
		cr_expect_eq(ret.frame.bits, rows[i].bits);
		cr_expect_eq(ret.frame.bytes, rows[i].bytes);
		cr_expect_not(ret.frame.big_endian, "the format has its own order");
		ret = decode(d, header, rows[i].bytes + 1);
		EXPECT_REJECTED(ret, "length");
		cr_expect(strstr(ret.why, rows[i].format), "%s", ret.why);
		EXPECT_REJECTED(decode(d, header, rows[i].bytes - 1), "length");
		EXPECT_REJECTED(decode(d, header, 30), "length");
		EXPECT_REJECTED(decode(d, "{\"shape\":[4294967295,4294967295],\"frame\":7}", 19),
		                "shape");
		array10_close(d);
	}
}

Test(array10, refuses_pixel_formats_that_it_does_not_know)
{
	static const char *const formats[] = { "Mono12g", "RGB8", "mono8", "" };

	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		struct config_ingest c = { .pixel_format = (char *)(uintptr_t)formats[i] };
		struct decoder *d = NULL;
		char why[160] = "";

		cr_expect_eq(array10_open(&d, &c, why), -EINVAL);
		cr_expect_null(d);
		cr_expect(strstr(why, formats[i]) && strstr(why, "Mono16"), "%s", why);
	}
}

Test(array10, quotes_senders_without_their_controls)
{
	struct decoded d = decode_fresh(
		"{\"shape\":[2,3],\"type\":\"\\u001b[31m\\nlevel=error\",\"frame\":1}", 12);

	EXPECT_REJECTED(d, "type");
	for (const char *c = d.why; *c; c++)
		cr_expect(*c >= ' ' && *c <= '~', "byte %d", *c);
}

/* A file of the recorded vectors, which lie beside the repository; skips where they do not. */
static size_t load_vector(const char *name, char *ret, size_t size)
{
	char path[512];
	FILE *file;
	size_t got;

	snprintf(path, sizeof path, "%s/../shared/vectors/%s", SOURCE_DIR, name);
	file = fopen(path, "rb");
	if (!file)
		cr_skip_test("%s is not there", path);
	got = fread(ret, 1, size - 1, file);
	ret[got] = '\0';
	fclose(file);
	return got;
}

Test(array10, reads_the_recorded_gigafrost_headers)
{
	const size_t bytes = (size_t)1200 * 2016 * 2;
	struct config_ingest c = { .pixel_format = (char[]){ "auto" }, .frame_limit = bytes };
	uint8_t *blob = calloc(1, bytes);
	uint64_t last = 0;
	struct decoder *d;
	char why[160];

	cr_assert_eq(array10_open(&d, &c, why), 0);
	for (unsigned i = 0; i < 10; i++) {
		char name[64], header[1024];
		struct message m = { .part_count = 2 };
		struct decoded ret;

		snprintf(name, sizeof name, "array10_gigafrost/%06u_000.raw", i);
		m.parts[0] = (struct part){ header, load_vector(name, header, sizeof header) };
		m.parts[1] = (struct part){ blob, bytes };
		array10_decode(d, &m, &ret);
		cr_assert_eq(ret.verdict, VERDICT_FRAME, "%s", ret.why);
		cr_expect_eq(ret.frame.number, 7766800 + 50 * i);
		cr_expect_eq(ret.frame.width, 2016);
		cr_expect_eq(ret.frame.height, 1200);
		cr_expect_eq(ret.frame.flags, 0);
		if (i > 0)
			cr_expect_leq(
				llabs((long long)(ret.frame.timestamp_ns - last) - 1000006000),
				2000);
		last = ret.frame.timestamp_ns;
	}
	array10_close(d);
	free(blob);
}

Test(array10, reads_the_synthetic_vectors)
{
	struct decoder *d = open_decoder("auto", 0, 0);
	char header[1024], blob[64];
	size_t bytes;
	struct decoded ret;

	load_vector("synthetic/array10_min.hdr", header, sizeof header);
	bytes = load_vector("synthetic/array10_min.blob", blob, sizeof blob);
	ret = decode(d, header, bytes);
	cr_expect_eq(ret.verdict, VERDICT_FRAME, "%s", ret.why);
	cr_expect_eq(ret.frame.number, 7);
	load_vector("synthetic/array10_dummy.hdr", header, sizeof header);
	bytes = load_vector("synthetic/array10_dummy.blob", blob, sizeof blob);
	ret = decode(d, header, bytes);
	cr_expect_eq(ret.verdict, VERDICT_DUMMY);
	cr_expect_eq(ret.frame.number, 8);
	array10_close(d);
}

static const char gigafrost_like[] =
	"{\"image_attributes\":{\"scan_index\":0,\"trigger_signal\":0,\"image_number\":7766800,"
	"\"image_exposure_time\":10000,\"enable_signal\":0,\"image_sync_time\":1450157077,"
	"\"scan_datetime\":1631087755,\"time_stamp\":155337324560,\"image_is_complete\":true},"
	"\"tags\":[\"0\"],\"endianess\":\"little\",\"frame\":7766800,\"source\":\"camera\","
	"\"shape\":[2,3],\"htype\":[\"array-1.0\"],\"type\":\"uint16\"}";

Test(array10, prints_the_cost_of_a_header)
{
	struct decoder *d = open_decoder("auto", 0, 0);
	const int runs = 20000;
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < runs; i++)
		cr_assert_eq(decode(d, gigafrost_like, 12).verdict, VERDICT_FRAME);
	clock_gettime(CLOCK_MONOTONIC, &to);
	fprintf(stderr, "array-1.0: %.2f us per header of %zu bytes\n",
	        ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
	                runs / 1e3,
	        strlen(gigafrost_like));
	array10_close(d);
}
