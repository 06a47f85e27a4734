/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/rotation.h"
#include "tests/messages.h"

#include <math.h>

static const char pixels[64] = "abcdefghijklmnopqrstuvwxyz";

/* What headers say of each frame: its angle and what it is of. Both keys are `key`. */

static struct decoder *open_with(const char *protocol, const char *key)
{
	char format[] = "auto", channel[] = "";
	struct config_ingest c = { .pixel_format = format,
		                   .channel = channel,
		                   .frame_limit = MESSAGES_LIMIT,
		                   .rotation_key = (char *)(uintptr_t)key,
		                   .role_key = (char *)(uintptr_t)key };
	struct decoder *d = NULL;
	char why[160];

	cr_assert_eq(protocol_find(protocol)->open(&d, &c, why), 0, "%s", why);
	return d;
}

/* A frame of 12 bytes of each protocol, up to where a key can be added. */
static const struct kind {
	const char *protocol, *header;
} kinds[] = {
	{ "array-1.0", "{\"shape\":[2,3],\"type\":\"uint16\",\"frame\":7" },
	{ "stins", "{\"htype\":\"image\",\"shape\":[2,3],\"type\":\"uint16\",\"frame\":7" },
	{ "odin-live", "{\"frame_num\":7,\"dtype\":\"uint16\",\"shape\":[\"2\",\"3\"]" },
	{ "sls", "{\"bitmode\":16,\"detshape\":[2,1],\"shape\":[3,2],\"row\":0,\"column\":1,"
	         "\"frameNumber\":7,\"data\":1" },
};

static struct frame decoded_frame(const struct kind *k, const char *key, const char *more)
{
	struct decoder *d = open_with(k->protocol, key);
	struct message m = { .part_count = 0 };
	struct decoded ret;
	char text[1024];

	snprintf(text, sizeof text, "%s%s}", k->header, more);
	message_text(&m, text);
	message_add(&m, pixels, 12);
	ret = message_decode(k->protocol, d, &m);
	protocol_find(k->protocol)->close(d);
	cr_assert(ret.verdict == VERDICT_FRAME || ret.verdict == VERDICT_PIECE, "%s: %s",
	          k->protocol, ret.why);
	return ret.frame;
}

/* The angle, or NaN. */
static double angle_of(const struct kind *k, const char *key, const char *more)
{
	struct frame f = decoded_frame(k, key, more);

	return f.has_rotation ? f.rotation : NAN;
}

Test(rotation, is_read_of_every_protocol_whose_frames_have_keys)
{
	for (const struct protocol *p = protocols; p->name; p++) {
		const struct kind *k = NULL;

		for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
			if (strcmp(kinds[i].protocol, p->name) == 0)
				k = &kinds[i];
		/* dectris-v1's is in a part of its own: below. */
		cr_assert_eq(p->has_keys, k || strcmp(p->name, "dectris-v1") == 0, "%s", p->name);
		if (k)
			cr_expect_eq(angle_of(k, "angle", ",\"angle\":12.25"), 12.25, "%s",
			             p->name);
	}
}

Test(rotation, is_any_finite_number_or_a_text_of_one)
{
	static const struct {
		const char *more;
		double angle;
	} rows[] = {
		{ ",\"angle\":0", 0 },
		{ ",\"angle\":-7", -7 },
		{ ",\"angle\":-0.5e-3", -0.5e-3 },
		{ ",\"angle\":18000e-2", 180 },
		{ ",\"angle\":18446744073709551615", 18446744073709551615.0 },
		{ ",\"angle\":\"12.5\"", 12.5 },
		{ ",\"angle\":\"-1e2\"", -100 },
		{ ",\"angle\":\"\"", NAN },
		{ ",\"angle\":\"12 deg\"", NAN },
		{ ",\"angle\":\"1.2.3\"", NAN },
		{ ",\"angle\":\"nan\"", NAN },
		{ ",\"angle\":\"inf\"", NAN },
		{ ",\"angle\":\"0x10\"", NAN },
		{ ",\"angle\":\"1e999\"", NAN },
		{ ",\"angle\":99999999999999999999999", NAN },
		{ ",\"angle\":true", NAN },
		{ ",\"angle\":null", NAN },
		{ ",\"angle\":[1]", NAN },
		{ ",\"angle\":{}", NAN },
		{ "", NAN },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		double angle = angle_of(&kinds[0], "angle", rows[i].more);

		cr_expect(angle == rows[i].angle || (isnan(angle) && isnan(rows[i].angle)),
		          "%s: %g", rows[i].more, angle);
	}
}

Test(rotation, is_found_where_dots_lead)
{
	static const char more[] = ",\"a\":{\"b\":{\"c\":3},\"b.d\":4},\"a.b\":5,\"x.y\":{\"z\":6}";

	cr_expect_eq(angle_of(&kinds[0], "a.b.c", more), 3);
	cr_expect_eq(angle_of(&kinds[0], "a.b.d", more), 4);
	cr_expect_eq(angle_of(&kinds[0], "a.b", more), 5);
	cr_expect(isnan(angle_of(&kinds[0], "a", more)));
	cr_expect(isnan(angle_of(&kinds[0], "a.c", more)));
	cr_expect(isnan(angle_of(&kinds[0], "a.b.c.", more)));
	cr_expect(isnan(angle_of(&kinds[0], ".a", more)));
	cr_expect(isnan(angle_of(&kinds[0], "frame.x", more)));
	cr_expect_eq(angle_of(&kinds[3], "addJsonHeader.angle",
	                      ",\"addJsonHeader\":{\"angle\":\"7.5\"}"),
	             7.5);
}

Test(rotation, is_not_looked_for_without_a_key)
{
	cr_expect_not(decoded_frame(&kinds[0], "", ",\"\":1").has_rotation);
	cr_expect_not(decoded_frame(&kinds[0], NULL, ",\"\":1").has_rotation);
}

/* An image of dectris-v1 with this appendix. */
static struct decoded decode_dectris(const char *key, const char *appendix)
{
	struct decoder *d = open_with("dectris-v1", key);
	struct message m = { .part_count = 0 };
	struct decoded ret;

	message_text(&m, "{\"htype\":\"dimage-1.0\",\"series\":6,\"frame\":7}");
	message_text(&m, "{\"htype\":\"dimage_d-1.0\",\"shape\":[3,2],\"type\":\"uint16\","
	                 "\"encoding\":\"<\",\"size\":12}");
	message_add(&m, pixels, 12);
	message_text(&m, "{\"htype\":\"dconfig-1.0\",\"start_time\":1}");
	if (appendix)
		message_text(&m, appendix);
	ret = message_decode("dectris-v1", d, &m);
	protocol_find("dectris-v1")->close(d);
	cr_assert_eq(ret.verdict, VERDICT_FRAME, "%s", ret.why);
	cr_assert(ret.frame.width == 3 && ret.frame.number == 7 && ret.frame.timestamp_ns == 1);
	return ret;
}

Test(rotation, is_in_the_appendix_of_a_dectris_image)
{
	struct decoded d = decode_dectris("omega", "{\"omega\": 45}");

	cr_expect(d.frame.has_rotation && d.frame.rotation == 45);
	cr_expect_not(decode_dectris("omega", NULL).frame.has_rotation);
	cr_expect_not(decode_dectris("omega", "").frame.has_rotation);
	cr_expect_not(decode_dectris("omega", "no JSON").frame.has_rotation);
	cr_expect_not(decode_dectris("", "{\"omega\": 45}").frame.has_rotation);
}

Test(role, is_read_of_every_protocol_whose_frames_have_keys)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct frame f = decoded_frame(&kinds[i], "image_key", ",\"image_key\":2");

		cr_expect_eq(f.role, ROLE_DARK, "%s", kinds[i].protocol);
	}
	cr_expect_eq(decode_dectris("k", "{\"k\": 1}").frame.role, ROLE_FLAT);
	cr_expect_eq(decode_dectris("k", "no JSON").frame.role, ROLE_UNSAID);
}

Test(role, is_a_number_or_a_word)
{
	static const struct {
		const char *more;
		enum frame_role role;
	} rows[] = {
		{ ",\"k\":0", ROLE_SAMPLE },
		{ ",\"k\":1", ROLE_FLAT },
		{ ",\"k\":2", ROLE_DARK },
		{ ",\"k\":2.0", ROLE_DARK },
		{ ",\"k\":\"1\"", ROLE_FLAT },
		{ ",\"k\":\"sample\"", ROLE_SAMPLE },
		{ ",\"k\":\"projection\"", ROLE_SAMPLE },
		{ ",\"k\":\"flat\"", ROLE_FLAT },
		{ ",\"k\":\"Flat Field\"", ROLE_FLAT },
		{ ",\"k\":\"DARK\"", ROLE_DARK },
		{ ",\"k\":\"dark_field\"", ROLE_DARK },
		{ ",\"k\":3", ROLE_UNSAID },
		{ ",\"k\":-1", ROLE_UNSAID },
		{ ",\"k\":1.5", ROLE_UNSAID },
		{ ",\"k\":18446744073709551615", ROLE_UNSAID },
		{ ",\"k\":\"\"", ROLE_UNSAID },
		{ ",\"k\":\"darkness\"", ROLE_UNSAID },
		{ ",\"k\":true", ROLE_UNSAID },
		{ ",\"k\":null", ROLE_UNSAID },
		{ ",\"k\":[2]", ROLE_UNSAID },
		{ ",\"k\":{\"dark\":2}", ROLE_UNSAID },
		{ "", ROLE_UNSAID },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_expect_eq(decoded_frame(&kinds[0], "k", rows[i].more).role, rows[i].role, "%s",
		             rows[i].more);
}

Test(role, is_found_where_dots_lead_and_only_with_a_key)
{
	static const char more[] = ",\"a\":{\"b\":\"dark\"},\"\":2";

	cr_expect_eq(decoded_frame(&kinds[0], "a.b", more).role, ROLE_DARK);
	cr_expect_eq(decoded_frame(&kinds[0], "a", more).role, ROLE_UNSAID);
	cr_expect_eq(decoded_frame(&kinds[0], "", more).role, ROLE_UNSAID);
	cr_expect_eq(decoded_frame(&kinds[0], NULL, more).role, ROLE_UNSAID);
}

Test(rotation, is_computed_by_number)
{
	struct config_rotation r = { .start = -90, .step = 0.25 };

	cr_expect_eq(rotation_of(&r, 100, 100, 1), -90);
	cr_expect_eq(rotation_of(&r, 820, 100, 1), 90);
	cr_expect_eq(rotation_of(&r, 820, 100, 2), 0);
	cr_expect_eq(rotation_of(&r, UINT64_MAX, UINT64_MAX - 4, 1), -89);
	r.step = 0;
	cr_expect_eq(rotation_of(&r, 820, 100, 1), -90);
	r.start_auto = true;
	cr_expect(isnan(rotation_of(&r, 100, 100, 1)));
}
