/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/dectris_v1.h"
#include "tests/messages.h"

#include <time.h>

static const char pixels[64] = "abcdefghijklmnopqrstuvwxyz";

/* ---- messages ---- */

static struct decoded decode(struct decoder *d, const struct message *m)
{
	return message_decode("dectris-v1", d, m);
}

static struct decoder *open_decoder(void)
{
	return messages_open("dectris-v1", "");
}

/* An image; `first` and `second` replace the usual JSON where they are not NULL. */
static struct decoded decode_image(struct decoder *d, const char *first, const char *second,
                                   size_t bytes, const char *times)
{
	struct message m = { .part_count = 0 };

	message_text(&m, first ? first : "{\"frame\":3,\"htype\":\"dimage-1.0\",\"series\":6}");
	message_text(&m, second ? second
	                        : "{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[3,2],"
	                          "\"size\":12,\"type\":\"uint16\"}");
	message_add(&m, pixels, bytes);
	message_text(&m, times ? times
	                       : "{\"htype\":\"dconfig-1.0\",\"real_time\":10,"
	                         "\"start_time\":1430,\"stop_time\":1440}");
	return decode(d, &m);
}

static struct decoded decode_image_once(const char *first, const char *second, size_t bytes,
                                        const char *times)
{
	struct decoder *d = open_decoder();
	struct decoded ret = decode_image(d, first, second, bytes, times);

	dectris_v1_close(d);
	return ret;
}

static struct decoded decode_encoding(const char *encoding, const char *type, size_t bytes)
{
	char second[256];

	snprintf(second, sizeof second,
	         "{\"encoding\":\"%s\",\"htype\":\"dimage_d-1.0\",\"shape\":[3,2],\"size\":%zu,"
	         "\"type\":\"%s\"}",
	         encoding, bytes, type);
	return decode_image_once(NULL, second, bytes, NULL);
}

/* A header with this detector configuration, of detail basic. */
static struct decoded decode_config(struct decoder *d, const char *config)
{
	struct message m = { .part_count = 0 };

	message_text(&m, "{\"header_detail\":\"basic\",\"htype\":\"dheader-1.0\",\"series\":6}");
	message_text(&m, config);
	return decode(d, &m);
}

static struct decoded decode_config_once(const char *config)
{
	struct decoder *d = open_decoder();
	struct decoded ret = decode_config(d, config);

	dectris_v1_close(d);
	return ret;
}

/* A header of detail all whose parts 4 to 6 are given. */
static struct decoded decode_masked(struct decoder *d, const char *config, const char *mask_shape,
                                    const void *mask, size_t bytes)
{
	struct message m = { .part_count = 0 };

	message_text(&m, "{\"header_detail\":\"all\",\"htype\":\"dheader-1.0\",\"series\":6}");
	message_text(&m, config);
	message_text(&m, "{\"htype\":\"dflatfield-1.0\",\"shape\":[],\"type\":\"undefined\"}");
	message_add(&m, NULL, 0);
	message_text(&m, mask_shape);
	message_add(&m, mask, bytes);
	message_text(&m,
	             "{\"htype\":\"dcountrate_table-1.0\",\"shape\":[2,0],\"type\":\"float32\"}");
	message_add(&m, NULL, 0);
	return decode(d, &m);
}

/* ---- headers ---- */

Test(dectris_v1, takes_headers_of_every_detail)
{
	struct decoder *d = open_decoder();
	struct message m = { .part_count = 0 };
	struct decoded ret;

	message_text(&m, "{\"header_detail\":\"none\",\"htype\":\"dheader-1.0\",\"series\":6}\n");
	ret = decode(d, &m);
	cr_expect_eq(ret.verdict, VERDICT_START, "%s", ret.why);
	cr_expect_neq(ret.frame.series, 0);
	cr_expect_eq(ret.announced, 0);
	message_text(&m, "not JSON at all");
	cr_expect_eq(decode(d, &m).verdict, VERDICT_START, "with an appendix");
	message_text(&m, "{}");
	EXPECT_REJECTED(decode(d, &m), "parts");
	cr_expect_eq(decode_config(d, "{}").verdict, VERDICT_START);
	EXPECT_REJECTED(decode_config(d, "{"), "header");
	m.part_count = 0;
	message_text(&m, "{\"header_detail\":\"most\",\"htype\":\"dheader-1.0\",\"series\":6}");
	EXPECT_REJECTED(decode(d, &m), "header");
	m.part_count = 0;
	message_text(&m, "{\"header_detail\":\"none\",\"htype\":\"dheader-1.0\"}");
	EXPECT_REJECTED(decode(d, &m), "header");
	dectris_v1_close(d);
}

Test(dectris_v1, announces_images_by_the_trigger_mode)
{
	static const struct {
		const char *config;
		uint64_t announced;
	} rows[] = {
		{ "{\"nimages\":10,\"ntrigger\":3,\"trigger_mode\":\"ints\"}", 30 },
		{ "{\"nimages\":10,\"ntrigger\":3,\"trigger_mode\":\"exts\"}", 30 },
		{ "{\"nimages\":10,\"ntrigger\":3,\"trigger_mode\":\"inte\"}", 3 },
		{ "{\"nimages\":10,\"ntrigger\":3,\"trigger_mode\":\"exte\"}", 3 },
		{ "{\"nimages\":10,\"ntrigger\":3}", 30 },
		{ "{\"nimages\":10}", 10 },
		{ "{\"ntrigger\":3}", 0 },
		{ "{\"nimages\":0,\"ntrigger\":3}", 0 },
		{ "{\"nimages\":-1,\"ntrigger\":3}", 0 },
		{ "{\"nimages\":18446744073709551615,\"ntrigger\":1}", UINT64_MAX },
		{ "{\"nimages\":18446744073709551615,\"ntrigger\":2}", 0 },
		{ "{\"nimages\":18446744073709551616}", 0 },
		{ "{\"nimages\":\"10\"}", 0 },
		{ "{\"nimages\":1e3}", 1000 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct decoded d = decode_config_once(rows[i].config);

		cr_expect_eq(d.verdict, VERDICT_START);
		cr_expect_eq(d.announced, rows[i].announced, "%s: %llu", rows[i].config,
		             (unsigned long long)d.announced);
	}
}

Test(dectris_v1, reads_what_the_configuration_says_of_the_detector)
{
	struct decoded d = decode_config_once(
		"{\"x_pixels_in_detector\":1028,\"y_pixels_in_detector\":1062,"
		"\"bit_depth_image\":32,\"countrate_correction_count_cutoff\":1702012,"
		"\"count_time\":0.5,\"frame_time\":1,\"description\":\"Dectris "
		"\\u00e9\\nEIGER2\"}");

	cr_assert_eq(d.verdict, VERDICT_START);
	cr_expect(d.detector.width == 1028 && d.detector.height == 1062);
	cr_expect(d.detector.type_known && d.detector.type == PIXEL_UINT32);
	cr_expect_eq(d.detector.saturation, 1702013);
	cr_expect_eq(d.detector.exposure_s, 0.5);
	cr_expect_eq(d.detector.period_s, 1.0);
	cr_expect_str_eq(d.detector.description, "Dectris ???EIGER2");
	cr_expect_null(d.detector.mask);
	cr_expect_str_eq(d.why, "");

	d = decode_config_once("{\"saturation_value\":100,"
	                       "\"countrate_correction_count_cutoff\":1702012}");
	cr_expect_eq(d.detector.saturation, 100);
	cr_expect_not(d.detector.type_known);
	d = decode_config_once("{\"bit_depth_image\":12,\"x_pixels_in_detector\":4294967296,"
	                       "\"y_pixels_in_detector\":-5,\"count_time\":-1,\"frame_time\":\"1\","
	                       "\"countrate_correction_count_cutoff\":4294967295}");
	cr_expect_eq(d.verdict, VERDICT_START);
	cr_expect_not(d.detector.type_known);
	cr_expect(d.detector.width == 0 && d.detector.height == 0);
	cr_expect(d.detector.exposure_s == 0 && d.detector.period_s == 0);
	cr_expect_eq(d.detector.saturation, 0);
}

Test(dectris_v1, takes_the_pixel_mask)
{
	static const char shape[] =
		"{\"htype\":\"dpixelmask-1.0\",\"shape\":[3,2],\"type\":\"uint32\"}";
	const uint32_t mask[6] = { 0, 1, 0, 4, 0, 28 };
	struct decoder *d = open_decoder();
	struct decoded ret = decode_masked(d, "{}", shape, mask, sizeof mask);

	cr_assert_eq(ret.verdict, VERDICT_START);
	cr_assert_not_null(ret.detector.mask, "%s", ret.why);
	cr_expect(ret.detector.width == 3 && ret.detector.height == 2);
	for (size_t i = 0; i < 6; i++)
		cr_expect_eq(ret.detector.mask[i], mask[i] != 0);

	/* The next message without one has none. */
	ret = decode_masked(d, "{}", "{\"shape\":[],\"type\":\"undefined\"}", NULL, 0);
	cr_expect_eq(ret.verdict, VERDICT_START);
	cr_expect_null(ret.detector.mask);
	cr_expect_str_eq(ret.why, "", "a detector may have none to give");
	dectris_v1_close(d);
}

Test(dectris_v1, starts_without_a_mask_that_is_wrong_and_says_so)
{
	static const char good[] =
		"{\"htype\":\"dpixelmask-1.0\",\"shape\":[3,2],\"type\":\"uint32\"}";
	static const struct {
		const char *config, *shape;
		size_t bytes;
	} rows[] = {
		{ "{}", good, 23 },
		{ "{}", good, 25 },
		{ "{}", "{\"htype\":\"dpixelmask-1.0\",\"shape\":[3],\"type\":\"uint32\"}", 24 },
		{ "{}", "{\"htype\":\"dpixelmask-1.0\",\"shape\":[3,2],\"type\":\"uint8\"}", 24 },
		{ "{}", "{\"htype\":\"dflatfield-1.0\",\"shape\":[3,2],\"type\":\"uint32\"}", 24 },
		{ "{}",
		  "{\"htype\":\"dpixelmask-1.0\",\"shape\":[4294967295,4294967295],"
		  "\"type\":\"uint32\"}",
		  24 },
		{ "{}",
		  "{\"htype\":\"dpixelmask-1.0\",\"shape\":[1073741824,1],\"type\":\"uint32\"}",
		  0 + 24 },
		{ "{}", "nonsense", 24 },
		{ "{\"x_pixels_in_detector\":4,\"y_pixels_in_detector\":2}", good, 24 },
		{ "{\"x_pixels_in_detector\":3,\"y_pixels_in_detector\":3}", good, 24 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct decoder *d = open_decoder();
		struct decoded ret =
			decode_masked(d, rows[i].config, rows[i].shape, pixels, rows[i].bytes);

		cr_expect_eq(ret.verdict, VERDICT_START, "row %zu", i);
		cr_expect_null(ret.detector.mask, "row %zu", i);
		cr_expect(strstr(ret.why, "mask"), "row %zu: %s", i, ret.why);
		dectris_v1_close(d);
	}
}

Test(dectris_v1, tells_series_apart_by_whatever_names_them)
{
	static const char *const names[] = {
		"6", "7", "\"08/15\"", "\"6\"", "18446744073709551615", "0", "\"\""
	};
	uint64_t tokens[7];

	for (size_t i = 0; i < 7; i++) {
		char first[128], end[128];
		struct decoder *d = open_decoder();
		struct message m = { .part_count = 0 };
		struct decoded ret;

		snprintf(first, sizeof first,
		         "{\"frame\":3,\"htype\":\"dimage-1.0\",\"series\":%s}", names[i]);
		ret = decode_image(d, first, NULL, 12, NULL);
		cr_expect_eq(ret.verdict, VERDICT_FRAME, "%s", ret.why);
		tokens[i] = ret.frame.series;
		cr_expect_neq(tokens[i], 0);
		for (size_t j = 0; j < i; j++)
			cr_expect_neq(tokens[i], tokens[j], "%s %s", names[i], names[j]);
		snprintf(end, sizeof end, "{\"htype\":\"dseries_end-1.0\",\"series\":%s}",
		         names[i]);
		message_text(&m, end);
		ret = decode(d, &m);
		cr_expect_eq(ret.verdict, VERDICT_END);
		cr_expect_eq(ret.frame.series, tokens[i]);
		dectris_v1_close(d);
	}
	EXPECT_REJECTED(decode_image_once("{\"frame\":3,\"htype\":\"dimage-1.0\",\"series\":[1]}",
	                                  NULL, 12, NULL),
	                "header");
}

/* ---- images ---- */

Test(dectris_v1, reads_every_encoding)
{
	static const struct {
		const char *encoding, *type;
		size_t bytes;
		enum codec codec;
		bool big_endian;
	} rows[] = {
		{ "<", "uint16", 12, CODEC_NONE, false },
		{ ">", "uint16", 12, CODEC_NONE, true },
		{ "", "uint8", 6, CODEC_NONE, false },
		{ "<", "float32", 24, CODEC_NONE, false },
		{ "lz4<", "uint32", 9, CODEC_LZ4, false },
		{ "lz4>", "uint16", 9, CODEC_LZ4, true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct decoded d = decode_encoding(rows[i].encoding, rows[i].type, rows[i].bytes);

		cr_expect_eq(d.verdict, VERDICT_FRAME, "row %zu: %s", i, d.why);
		cr_expect_eq(d.frame.codec, rows[i].codec, "row %zu", i);
		cr_expect_eq(d.frame.big_endian, rows[i].big_endian, "row %zu", i);
		cr_expect_eq(d.frame.bytes, rows[i].bytes);
		cr_expect_eq(d.frame.has_no_value, d.frame.type != PIXEL_FLOAT32);
	}
	EXPECT_REJECTED(decode_encoding("bs8-lz4<", "uint16", 12), "encoding");
	EXPECT_REJECTED(decode_encoding("bs16-lz4<", "uint32", 12), "encoding");
	EXPECT_REJECTED(decode_encoding("bs16<", "uint16", 12), "encoding");
	EXPECT_REJECTED(decode_encoding("bs64-lz4<", "uint32", 12), "encoding");
	EXPECT_REJECTED(decode_encoding("lz4<<", "uint16", 12), "encoding");
	EXPECT_REJECTED(decode_encoding("zstd<", "uint16", 12), "encoding");
	EXPECT_REJECTED(decode_encoding("-lz4<", "uint16", 12), "encoding");
	EXPECT_REJECTED(decode_encoding("<", "int16", 12), "type");
	EXPECT_REJECTED(decode_encoding("<", "undefined", 12), "type");
	EXPECT_REJECTED(decode_encoding("bs16-lz4<", "uint16", 12), "length");
}

Test(dectris_v1, takes_all_bits_set_for_no_value)
{
	static const struct {
		const char *type;
		size_t bytes;
		int64_t no_value;
	} rows[] = { { "uint8", 6, 255 }, { "uint16", 12, 65535 }, { "uint32", 24, 4294967295 } };

	for (size_t i = 0; i < 3; i++) {
		struct decoded d = decode_encoding("<", rows[i].type, rows[i].bytes);

		cr_expect(d.frame.has_no_value);
		cr_expect_eq(d.frame.no_value, rows[i].no_value);
	}
}

Test(dectris_v1, refuses_hostile_numbers)
{
	static const char *const firsts[] = {
		"{\"frame\":-1,\"htype\":\"dimage-1.0\",\"series\":6}",
		"{\"frame\":18446744073709551615,\"htype\":\"dimage-1.0\",\"series\":6}",
		"{\"frame\":18446744073709551616,\"htype\":\"dimage-1.0\",\"series\":6}",
		"{\"frame\":1.5,\"htype\":\"dimage-1.0\",\"series\":6}",
		"{\"frame\":\"3\",\"htype\":\"dimage-1.0\",\"series\":6}",
		"{\"htype\":\"dimage-1.0\",\"series\":6}",
	};
	static const struct {
		const char *second, *reason;
	} seconds[] = {
		{ "{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[4294967295,4294967295]"
		  ","
		  "\"size\":12,\"type\":\"uint32\"}",
		  "shape" },
		{ "{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[4294967296,1],"
		  "\"size\":12,"
		  "\"type\":\"uint32\"}",
		  "shape" },
		{ "{\"encoding\":\"lz4<\",\"htype\":\"dimage_d-1.0\",\"shape\":[524289,1],\"size\":"
		  "12,"
		  "\"type\":\"uint16\"}",
		  "shape" },
		{ "{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[-3,-2],\"size\":12,"
		  "\"type\":\"uint16\"}",
		  "shape" },
		{ "{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[0,2],\"size\":12,"
		  "\"type\":\"uint16\"}",
		  "shape" },
		{ "{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[3,2,1],\"size\":12,"
		  "\"type\":\"uint16\"}",
		  "shape" },
		{ "{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[],\"size\":12,"
		  "\"type\":\"uint16\"}",
		  "shape" },
		{ "{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[3,2],"
		  "\"size\":18446744073709551615,\"type\":\"uint16\"}",
		  "length" },
		{ "{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[3,2],\"size\":13,"
		  "\"type\":\"uint16\"}",
		  "length" },
		{ "{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[3,2],\"type\":"
		  "\"uint16\"}",
		  "header" },
		{ "{\"htype\":\"dimage_d-1.0\",\"shape\":[3,2],\"size\":12,\"type\":\"uint16\"}",
		  "header" },
		{ "{\"encoding\":\"<\",\"htype\":\"dconfig-1.0\",\"shape\":[3,2],\"size\":12,"
		  "\"type\":\"uint16\"}",
		  "header" },
	};

	for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
		EXPECT_REJECTED(decode_image_once(firsts[i], NULL, 12, NULL), "header");
	for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
		struct decoded d = decode_image_once(NULL, seconds[i].second, 12, NULL);

		EXPECT_REJECTED(d, seconds[i].reason);
		cr_expect(d.number_known && d.frame.number == 3);
	}
	EXPECT_REJECTED(decode_image_once(NULL, NULL, 0, NULL), "length");
}

/* ---- time ---- */

/* The timestamp of an image after a header with this count_time. */
static uint64_t timestamp_of(const char *config, const char *times)
{
	struct decoder *d = open_decoder();
	struct decoded ret;

	if (config)
		cr_assert_eq(decode_config(d, config).verdict, VERDICT_START);
	ret = decode_image(d, NULL, NULL, 12, times);
	cr_assert_eq(ret.verdict, VERDICT_FRAME, "%s", ret.why);
	dectris_v1_close(d);
	return ret.frame.timestamp_ns;
}

Test(dectris_v1, tells_eiger1_ticks_from_nanoseconds)
{
	static const char eiger1[] =
		"{\"htype\":\"dconfig-1.0\",\"real_time\":99251,\"start_time\":143051295370,"
		"\"stop_time\":143051394995}";
	static const char eiger2[] = "{\"htype\":\"dconfig-1.0\",\"real_time\":999999900,\"start_"
				     "time\":2896044831605460,"
				     "\"stop_time\":2896045831605360}";

	cr_expect_eq(timestamp_of("{\"count_time\":0.00198502}", eiger1), 20 * 143051295370u);
	cr_expect_eq(timestamp_of("{\"count_time\":0.9999999}", eiger2), 2896044831605460u);
	cr_expect_eq(timestamp_of(NULL, eiger1), 143051295370u, "nothing to compare with");
	cr_expect_eq(timestamp_of("{\"count_time\":0}", eiger1), 143051295370u);
}

/* Where the exposure is an external gate, count_time has nothing to do with it. */
Test(dectris_v1, takes_a_short_gate_for_no_eiger1)
{
	cr_expect_eq(timestamp_of("{\"count_time\":1,\"trigger_mode\":\"exte\"}",
	                          "{\"htype\":\"dconfig-1.0\",\"real_time\":5000000,"
	                          "\"start_time\":1000}"),
	             1000);
}

Test(dectris_v1, has_no_timestamp_where_it_does_not_fit)
{
	cr_expect_eq(timestamp_of("{\"count_time\":0.00198502}",
	                          "{\"htype\":\"dconfig-1.0\",\"real_time\":99251,"
	                          "\"start_time\":18446744073709551615}"),
	             0);
	cr_expect_eq(timestamp_of(NULL, "{\"htype\":\"dconfig-1.0\",\"start_time\":-5}"), 0);
	cr_expect_eq(timestamp_of(NULL, "{\"htype\":\"dconfig-1.0\"}"), 0);
}

/* ---- odd messages ---- */

Test(dectris_v1, takes_parts_of_a_cut_image_for_nothing_good)
{
	struct decoder *d = open_decoder();
	struct message m = { .part_count = 0 };

	message_text(&m, "{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[3,2]}");
	EXPECT_REJECTED(decode(d, &m), "header");
	m.part_count = 0;
	message_add(&m, pixels, 12);
	EXPECT_REJECTED(decode(d, &m), "header");
	m.part_count = 0;
	message_text(&m, "{\"htype\":\"deseries_end-1.0\",\"series\":6}");
	EXPECT_REJECTED(decode(d, &m), "header");
	m.part_count = 0;
	message_text(&m, "{\"htype\":\"dseries_end-1.0\",\"series\":6}\n");
	cr_expect_eq(decode(d, &m).verdict, VERDICT_END);
	dectris_v1_close(d);
}

/* ---- recorded ---- */

static struct decoded decode_recorded(struct decoder *d, unsigned first, unsigned parts)
{
	struct message m = { .part_count = 0 };
	struct decoded ret;

	for (unsigned i = 0; i < parts; i++) {
		char name[64], *data;
		size_t size;

		snprintf(name, sizeof name, "dectris_v1_eiger2_1M/streamData.%06u", first + i);
		data = message_vector(name, &size);
		message_add(&m, data, size);
	}
	ret = decode(d, &m);
	message_free(&m);
	return ret;
}

static struct decoder *open_large(void)
{
	struct config_ingest c = { .pixel_format = (char[]){ "auto" },
		                   .channel = (char[]){ "" },
		                   .frame_limit = 64 << 20 };
	struct decoder *d;
	char why[160];

	cr_assert_eq(dectris_v1_open(&d, &c, why), 0);
	return d;
}

Test(dectris_v1, reads_the_recorded_series)
{
	struct decoder *d = open_large();
	uint64_t tokens[2], last = 0;

	for (unsigned s = 0; s < 2; s++) {
		unsigned at = 1 + 49 * s;
		struct decoded ret = decode_recorded(d, at, 8);

		cr_assert_eq(ret.verdict, VERDICT_START, "%s", ret.why);
		cr_expect_eq(ret.announced, 10);
		cr_expect(ret.detector.width == 1028 && ret.detector.height == 1062);
		cr_expect_eq(ret.detector.saturation, 1702013);
		tokens[s] = ret.frame.series;
		for (unsigned i = 0; i < 10; i++) {
			ret = decode_recorded(d, at + 8 + 4 * i, 4);
			cr_assert_eq(ret.verdict, VERDICT_FRAME, "%s", ret.why);
			cr_expect_eq(ret.frame.number, i);
			cr_expect_eq(ret.frame.series, tokens[s]);
			cr_expect_eq(ret.frame.codec, CODEC_LZ4);
			cr_expect(ret.frame.width == 1028 && ret.frame.height == 1062);
			cr_expect_gt(ret.frame.timestamp_ns, last);
			last = ret.frame.timestamp_ns;
		}
		ret = decode_recorded(d, at + 48, 1);
		cr_expect_eq(ret.verdict, VERDICT_END);
		cr_expect_eq(ret.frame.series, tokens[s]);
	}
	cr_expect_neq(tokens[0], tokens[1]);
	dectris_v1_close(d);
}

/* Images whose pixels were cut, as dumps have them: each is refused, and the next is looked at. */
Test(dectris_v1, goes_on_after_recorded_images_that_are_cut)
{
	unsigned verdicts[VERDICT_COUNT] = { 0 };
	struct decoder *d = open_large();
	struct cbor_reader r;
	struct message m;
	size_t size;
	char *data = message_vector("dectris_v1_eiger2_9M_trunc/eiger-small.cbors", &size);

	cbor_begin(&r, data, size);
	while (message_recorded(&r, &m)) {
		struct decoded ret = decode(d, &m);

		verdicts[ret.verdict]++;
		if (ret.verdict == VERDICT_REJECTED) {
			EXPECT_REJECTED(ret, "length");
			cr_expect(ret.number_known);
		}
		if (ret.verdict == VERDICT_START)
			cr_expect(ret.detector.width == 3108 && ret.detector.height == 3262);
	}
	cr_expect_eq(verdicts[VERDICT_START], 1);
	cr_expect_eq(verdicts[VERDICT_REJECTED], 3);
	cr_expect_eq(verdicts[VERDICT_END], 1);
	free(data);
	dectris_v1_close(d);
}

/* ---- cost ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

Test(dectris_v1, prints_the_cost_of_an_image)
{
	static const char first[] = "{\"frame\":0,\"hash\":\"93bf39629df438a054ab4213d273b2e5\","
				    "\"htype\":\"dimage-1.0\","
				    "\"series\":6}";
	static const char second[] =
		"{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[3,2],\"size\":12,"
		"\"type\":\"uint16\"}";
	static const char times[] =
		"{\"htype\":\"dconfig-1.0\",\"real_time\":99251,\"start_time\":143051295370,"
		"\"stop_time\":143051394995}";
	struct decoder *d = open_decoder();
	static double us[10001];
	const int runs = sizeof us / sizeof *us;

	for (int i = 0; i < runs; i++) {
		struct timespec from, to;

		clock_gettime(CLOCK_MONOTONIC, &from);
		cr_assert_eq(decode_image(d, first, second, 12, times).verdict, VERDICT_FRAME);
		clock_gettime(CLOCK_MONOTONIC, &to);
		us[i] = (double)(to.tv_sec - from.tv_sec) * 1e6 +
		        (double)(to.tv_nsec - from.tv_nsec) / 1e3;
	}
	qsort(us, (size_t)runs, sizeof *us, by_value);
	fprintf(stderr, "dectris-v1: %.2f us per image, median of %d\n", us[runs / 2], runs);
	dectris_v1_close(d);
}
