/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/cbor_writer.h"
#include "bench/encoder.h"
#include "bench/stock.h"

#include <cbor.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct draft draft;
static uint8_t pixels[0x26736];

static struct outgoing outgoing(uint32_t width, uint32_t height, enum pixel_type type)
{
	return (struct outgoing){
		.id = 6,
		.frames = 10,
		.started_ns = 1676040545281000000, /* 2023-02-10T14:49:05.281Z */
		.period_ns = 22222111,             /* exposed for 19999900 */
		.width = width,
		.height = height,
		.columns = 1,
		.rows = 1,
		.type = type,
		.channel = "threshold_1",
	};
}

static struct cargo cargo(size_t bytes)
{
	return (struct cargo){ pixels, bytes, bytes, false };
}

static struct shot shot_of(uint64_t number, uint64_t index)
{
	return (struct shot){ .number = number, .index = index, .slot = index };
}

static void make_frame(const char *protocol, const struct outgoing *o, const struct shot *shot,
                       size_t bytes)
{
	struct cargo p = cargo(bytes);

	draft_done(&draft);
	cr_assert_eq(encoder_find(protocol)->frame(o, shot, 0, &p, &draft), 0);
}

static void make_mark(encode_series_fn *encode, const struct outgoing *o)
{
	draft_done(&draft);
	cr_assert_eq(encode(o, &draft), 0);
}

static void expect_part(unsigned i, const char *expected)
{
	const struct wire_part *part = &draft.parts[i];

	cr_assert_lt(i, draft.count);
	cr_assert(part->size == strlen(expected) && memcmp(part->data, expected, part->size) == 0,
	          "part %u is\n%.*s\nexpected\n%s", i, (int)part->size, (const char *)part->data,
	          expected);
}

static bool part_contains(unsigned i, const char *text)
{
	return memmem(draft.parts[i].data, draft.parts[i].size, text, strlen(text)) != NULL;
}

static void tear_down(void)
{
	draft_done(&draft);
}

TestSuite(send_messages, .fini = tear_down);

/* ---- as the specification's examples ---- */

Test(send_messages, array10_is_as_the_published_example)
{
	struct outgoing o = outgoing(3, 2, PIXEL_UINT16);
	struct shot shot = shot_of(7, 0);

	make_frame("array-1.0", &o, &shot, 12);
	expect_part(0,
	            "{\"htype\":\"array-1.0\", \"shape\":[2,3], \"type\":\"uint16\", \"frame\":7}");
	cr_assert(draft.count == 2 && draft.body == 1 && draft.parts[1].size == 12);
	cr_assert_eq(draft.parts[1].data, pixels, "not copied");
}

Test(send_messages, array10_has_the_time_by_the_rate_where_it_is_asked_for)
{
	struct outgoing o = outgoing(3, 2, PIXEL_UINT16);
	struct shot shot = shot_of(7, 2);

	o.timestamps = true;
	make_frame("array-1.0", &o, &shot, 12);
	expect_part(0, "{\"htype\":\"array-1.0\", \"shape\":[2,3], \"type\":\"uint16\", "
	               "\"frame\":7, \"timestamp_ns\":1676040545325444222}");
}

Test(send_messages, headers_have_the_keys_that_are_added)
{
	static const char *const protocols[] = { "array-1.0", "stins", "sls", "odin-live",
		                                 "dectris-v1" };

	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
		struct outgoing o = outgoing(3, 2, PIXEL_UINT16);
		struct shot shot = shot_of(7, 0);
		bool appendix = strcmp(protocols[i], "dectris-v1") == 0;
		const struct wire_part *part;
		json_t *header;

		o.channel = "data";
		o.keys = ",\"image_key\":2,\"what\":\"dark\"";
		make_frame(protocols[i], &o, &shot, 12);
		part = &draft.parts[appendix ? draft.count - 1 : 0];
		header = json_loadb(part->data, part->size, 0, NULL);
		cr_assert_not_null(header, "%s", protocols[i]);
		cr_expect_eq(json_integer_value(json_object_get(header, "image_key")), 2);
		cr_expect_str_eq(json_string_value(json_object_get(header, "what")), "dark");
		json_decref(header);
	}
	for (const struct encoder *e = encoders; e->name; e++) {
		bool listed = false;

		for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
			listed = listed || strcmp(protocols[i], e->name) == 0;
		cr_expect_eq(e->keys, listed, "%s", e->name);
	}
}

Test(send_messages, sls_is_as_the_receivers_print_it)
{
	struct outgoing o = outgoing(4, 2, PIXEL_UINT8);
	struct shot shot = shot_of(12, 2);

	o.packing = PACKING_NIBBLES;
	o.id = 0;
	o.period_ns = 6172800;
	make_frame("sls", &o, &shot, 4);
	expect_part(0, "{\"jsonversion\":4, \"bitmode\":4, \"fileIndex\":0, \"detshape\":[1, 1], "
	               "\"shape\":[4, 2], \"size\":4, \"acqIndex\":12, \"frameIndex\":2, "
	               "\"progress\":30, \"fname\":\"/tmp/run\", \"data\":1, "
	               "\"completeImage\":1, \"frameNumber\":12, \"expLength\":55555, "
	               "\"packetNumber\":1, \"detSpec1\":0, \"timestamp\":123456, \"modId\":0, "
	               "\"row\":0, \"column\":0, \"detSpec2\":0, \"detSpec3\":0, \"detSpec4\":0, "
	               "\"detType\":1, \"version\":2, \"flipRows\":0, \"quad\":0, "
	               "\"rx_roi\":[-1, -1, -1, -1]}\n");
	make_mark(sls_end, &o);
	cr_assert(draft.count == 1 && !draft.has_body);
	expect_part(0, "{\"jsonversion\":4, \"bitmode\":0, \"fileIndex\":0, \"detshape\":[0, 0], "
	               "\"shape\":[0, 0], \"size\":0, \"acqIndex\":0, \"frameIndex\":0, "
	               "\"progress\":0, \"fname\":\"\", \"data\":0, \"completeImage\":0, "
	               "\"frameNumber\":0, \"expLength\":0, \"packetNumber\":0, \"detSpec1\":0, "
	               "\"timestamp\":0, \"modId\":0, \"row\":0, \"column\":0, \"detSpec2\":0, "
	               "\"detSpec3\":0, \"detSpec4\":0, \"detType\":0, \"version\":0, "
	               "\"flipRows\":0, \"quad\":0, \"rx_roi\":[0, 0, 0, 0]}\n");
}

Test(send_messages, odin_live_has_lengths_as_texts)
{
	struct outgoing o = outgoing(3, 2, PIXEL_UINT16);
	struct shot shot = shot_of(2, 2);

	o.channel = "data";
	make_frame("odin-live", &o, &shot, 12);
	expect_part(0, "{\"frame_num\":2,\"acquisition_id\":\"series_6\",\"dtype\":\"uint16\","
	               "\"dsize\":12,\"dataset\":\"data\",\"compression\":\"none\","
	               "\"shape\":[\"2\",\"3\"]}");
	o.type = PIXEL_FLOAT32;
	o.compression = COMPRESSION_BSLZ4;
	make_frame("odin-live", &o, &shot, 24);
	cr_assert(part_contains(0, "\"dtype\":\"float\",\"dsize\":24") &&
	          part_contains(0, "\"compression\":\"BSLZ4\""));
}

Test(send_messages, stins_is_as_maxiv_sends_it)
{
	struct outgoing o = outgoing(4096, 4, PIXEL_UINT32);
	struct shot shot = shot_of(0, 0);

	make_frame("stins", &o, &shot, 65536);
	expect_part(0, "{\"htype\":\"image\",\"frame\":0,\"shape\":[4,4096],\"type\":\"uint32\","
	               "\"compression\":\"none\"}");
	make_mark(stins_end, &o);
	expect_part(0, "{\"htype\":\"series_end\"}");
	make_mark(stins_start, &o);
	cr_assert(part_contains(0, "{\"htype\":\"header\",\"filename\":"));
}

Test(send_messages, dectris_v1_is_as_recorded)
{
	struct outgoing o = outgoing(2070, 2167, PIXEL_UINT16);
	struct shot shot = shot_of(0, 0);

	o.compression = COMPRESSION_BSLZ4;
	make_frame("dectris-v1", &o, &shot, sizeof pixels);
	cr_assert(draft.count == 4 && draft.body == 2 && draft.parts[2].data == pixels);
	cr_assert_eq(draft.parts[0].size, 85, "with 32 digits of hash");
	cr_assert(memcmp(draft.parts[0].data, "{\"frame\":0,\"hash\":\"", 19) == 0);
	cr_assert(part_contains(0, "\",\"htype\":\"dimage-1.0\",\"series\":6}"));
	expect_part(1, "{\"encoding\":\"bs16-lz4<\",\"htype\":\"dimage_d-1.0\","
	               "\"shape\":[2070,2167],\"size\":157494,\"type\":\"uint16\"}");
	expect_part(3, "{\"htype\":\"dconfig-1.0\",\"real_time\":19999900,\"start_time\":0,"
	               "\"stop_time\":19999900}");
	make_mark(dectris_v1_end, &o);
	expect_part(0, "{\"htype\":\"dseries_end-1.0\",\"series\":6}");
	o.id = 71;
	o.detail = DETAIL_ALL;
	make_mark(dectris_v1_start, &o);
	cr_assert_eq(draft.count, 8);
	expect_part(0, "{\"header_detail\":\"all\",\"htype\":\"dheader-1.0\",\"series\":71}");
}

Test(send_messages, dectris_v1_names_every_encoding)
{
	static const struct {
		enum pixel_type type;
		enum compression compression;
		bool big_endian;
		const char *expected;
	} rows[] = {
		{ PIXEL_UINT8, COMPRESSION_NONE, false, "\"<\"" },
		{ PIXEL_UINT32, COMPRESSION_LZ4, false, "\"lz4<\"" },
		{ PIXEL_UINT8, COMPRESSION_BSLZ4, false, "\"bs8-lz4<\"" },
		{ PIXEL_UINT32, COMPRESSION_BSLZ4, true, "\"bs32-lz4>\"" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct outgoing o = outgoing(4, 2, rows[i].type);
		struct shot shot = shot_of(0, 0);

		o.compression = rows[i].compression;
		o.big_endian = rows[i].big_endian;
		make_frame("dectris-v1", &o, &shot, 32);
		cr_assert(part_contains(1, rows[i].expected), "%s", rows[i].expected);
	}
}

/* ---- CBOR ---- */

static size_t from_hex(const char *hex, uint8_t *ret)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned byte;

		cr_assert_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
		ret[i] = (uint8_t)byte;
	}
	return n;
}

/* Returns where the expected bytes end. */
static size_t expect_hex(size_t at, const char *hex)
{
	const uint8_t *data = draft.parts[0].data;
	uint8_t expected[512];
	size_t n = from_hex(hex, expected);

	cr_assert_leq(at + n, draft.parts[0].size);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(data[at + i], expected[i], "byte %zu is %02x, expected %02x", at + i,
		             data[at + i], expected[i]);
	return at + n;
}

Test(send_messages, dectris_v2_is_as_recorded_but_for_the_unique_id)
{
	struct outgoing o = outgoing(1030, 514, PIXEL_UINT16);
	struct shot shot = shot_of(0, 0);
	size_t at;

	o.id = 1;
	o.compression = COMPRESSION_BSLZ4;
	make_mark(dectris_v2_end, &o);
	cr_assert(draft.count == 1 && draft.parts[0].size == 69 && draft.body_owned);
	expect_hex(0, "d9d9f7a3647479706563656e64697365726965735f696401707365726965735f756e69717565"
	              "5f6964781a");
	make_frame("dectris-v2", &o, &shot, sizeof pixels);
	at = expect_hex(0, "d9d9f7a9647479706565696d616765697365726965735f696401707365726965735f75"
	                   "6e697175655f6964781a");
	at = expect_hex(at + 26,
	                "68696d6167655f69640069"
	                "7265616c5f74696d65821a000f423b1a02faf0806b7365726965735f64617465c0"
	                "781d323032332d30322d31305431343a34393a30352e3238312b30303a30306a73"
	                "746172745f74696d6582001a02faf080"
	                "6973746f705f74696d65821a000f423b1a02faf080"
	                "6464617461a16b7468726573686f6c645f31d8288282190202190406d845d9dcb4"
	                "836562736c7a34025a00026736");
	cr_assert_eq(draft.parts[0].size, at + sizeof pixels);
}

/* The map of the message; NULL: it is no CBOR, or not to its end. */
static cbor_item_t *load(void)
{
	struct cbor_load_result result;
	cbor_item_t *item = cbor_load(draft.parts[0].data, draft.parts[0].size, &result);
	cbor_item_t *inner;

	if (!item)
		return NULL;
	if (result.read != draft.parts[0].size) {
		cbor_decref(&item);
		return NULL;
	}
	cr_assert(cbor_isa_tag(item) && cbor_tag_value(item) == 55799);
	inner = cbor_move(cbor_tag_item(item));
	cbor_incref(inner);
	cbor_decref(&item);
	return inner;
}

static const cbor_item_t *value_of(const cbor_item_t *map, const char *key)
{
	const struct cbor_pair *pairs = cbor_map_handle(map);

	for (size_t i = 0; i < cbor_map_size(map); i++)
		if (cbor_isa_string(pairs[i].key) &&
		    cbor_string_length(pairs[i].key) == strlen(key) &&
		    memcmp(cbor_string_handle(pairs[i].key), key, strlen(key)) == 0)
			return pairs[i].value;
	return NULL;
}

Test(send_messages, dectris_v2_starts_are_whole_maps)
{
	struct outgoing o = outgoing(33, 17, PIXEL_UINT8);

	for (int detail = 0; detail < DETAIL_COUNT; detail++) {
		cbor_item_t *map;

		o.detail = (enum header_detail)detail;
		make_mark(dectris_v2_start, &o);
		map = load();
		cr_assert(map && cbor_isa_map(map));
		cr_assert_eq(cbor_get_int(value_of(map, "number_of_images")), 10);
		cr_assert_eq(cbor_get_int(value_of(map, "image_size_x")), 33);
		cr_assert_eq(cbor_get_int(value_of(map, "image_size_y")), 17);
		cr_assert_eq(value_of(map, "pixel_mask") != NULL, detail == DETAIL_ALL);
		cbor_decref(&map);
	}
	o.frames = 0;
	make_mark(dectris_v2_start, &o);
	cr_assert(memmem(draft.parts[0].data, draft.parts[0].size, "\x1a\x77\x35\x94\x00", 5),
	          "2000000000 where there is no end");
}

Test(send_messages, cbor_heads_are_as_short_as_can_be)
{
	static const struct {
		uint64_t value;
		const char *expected; /* RFC 8949, appendix A */
	} rows[] = {
		{ 0, "00" },
		{ 23, "17" },
		{ 24, "1818" },
		{ 100, "1864" },
		{ 1000, "1903e8" },
		{ 1000000, "1a000f4240" },
		{ 1000000000000, "1b000000e8d4a51000" },
		{ UINT64_MAX, "1bffffffffffffffff" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct cbor_writer w = { 0 };
		uint8_t expected[16];
		size_t n = from_hex(rows[i].expected, expected);

		cbor_uint(&w, rows[i].value);
		cr_assert(w.size == n && memcmp(w.at, expected, n) == 0, "%s", rows[i].expected);
		free(w.at);
	}
}

/* ---- bsread ---- */

static json_t *parse(unsigned part)
{
	return json_loadb(draft.parts[part].data, draft.parts[part].size, JSON_REJECT_DUPLICATES,
	                  NULL);
}

static const char *hash_of(const struct outgoing *o, uint64_t number, char ret[33])
{
	struct shot shot = shot_of(number, number);
	json_t *main_header;

	make_frame("bsread", o, &shot, 12);
	main_header = parse(0);
	snprintf(ret, 33, "%s", json_string_value(json_object_get(main_header, "hash")));
	json_decref(main_header);
	return ret;
}

Test(send_messages, bsread_has_a_scalar_and_an_image)
{
	struct outgoing o = outgoing(3, 2, PIXEL_UINT16);
	struct shot shot = shot_of(3682521968, 1);
	json_int_t pulse, sec, ns, width, height;
	const char *scalar, *name, *compression, *encoding, *type;
	json_t *main_header, *data_header;

	o.channel = "camera1:FPICTURE";
	o.compression = COMPRESSION_BSLZ4;
	o.big_endian = true;
	make_frame("bsread", &o, &shot, 12);
	cr_assert(draft.count == 6 && draft.body == 4 && draft.parts[4].data == pixels);
	cr_assert(draft.parts[2].size == 8 && draft.parts[3].size == 16 &&
	          draft.parts[5].size == 16);
	main_header = parse(0);
	data_header = parse(1);
	cr_assert_eq(json_unpack(main_header, "{s:I, s:{s:I, s:I}}", "pulse_id", &pulse,
	                         "global_timestamp", "sec", &sec, "ns", &ns),
	             0);
	cr_assert(pulse == 3682521968 && sec == 1676040545 && ns == 281000000 + 22222111);
	cr_assert_eq(json_unpack(data_header, "{s:[{s:s}, {s:s, s:s, s:[I, I], s:s, s:s}]}",
	                         "channels", "name", &scalar, "name", &name, "type", &type, "shape",
	                         &width, &height, "encoding", &encoding, "compression",
	                         &compression),
	             0);
	cr_assert_str_eq(scalar, "camera1:INTENSITY");
	cr_assert_str_eq(name, "camera1:FPICTURE");
	cr_assert_str_eq(type, "uint16");
	cr_assert_str_eq(encoding, "big");
	cr_assert_str_eq(compression, "bitshuffle_lz4");
	cr_assert(width == 3 && height == 2);
	cr_assert_eq(((const uint8_t *)draft.parts[3].data)[0], (uint8_t)1676040545,
	             "little-endian");
	cr_assert_eq(((const uint8_t *)draft.parts[5].data)[7], (uint8_t)1676040545, "big-endian");
	json_decref(main_header);
	json_decref(data_header);
}

Test(send_messages, the_hash_of_bsread_follows_the_data_header)
{
	struct outgoing o = outgoing(3, 2, PIXEL_UINT16), other = outgoing(3, 2, PIXEL_UINT8);
	char first[33], second[33];

	o.channel = other.channel = "c";
	cr_assert_str_eq(hash_of(&o, 1, first), hash_of(&o, 2, second));
	cr_assert_str_neq(hash_of(&o, 1, first), hash_of(&other, 1, second));
	cr_assert_eq(strlen(first), 32);
}

/* ---- damage ---- */

static const char *number_key(const char *protocol)
{
	static const struct {
		const char *protocol, *key;
	} rows[] = { { "bsread", "pulse_id" },
		     { "sls", "frameNumber" },
		     { "odin-live", "frame_num" } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strcmp(rows[i].protocol, protocol) == 0)
			return rows[i].key;
	return "frame";
}

/* Whether the damaged message shows its number to somebody who looks for it. */
static bool number_readable(const char *protocol, uint64_t expected)
{
	bool readable;
	json_t *root;

	if (strcmp(protocol, "dectris-v2") == 0) {
		cbor_item_t *map = load();
		const cbor_item_t *number =
			map && cbor_isa_map(map) ? value_of(map, "image_id") : NULL;

		readable = number && cbor_get_int(number) == expected;
		if (map)
			cbor_decref(&map);
		return readable;
	}
	root = parse(0);
	readable = (uint64_t)json_integer_value(json_object_get(root, number_key(protocol))) ==
	           expected;
	json_decref(root);
	return readable;
}

Test(send_messages, the_number_is_readable_as_the_corruption_says)
{
	for (const struct encoder *e = encoders; e->frame; e++) /* shm, the last, has none */
		for (int c = 0; c < CORRUPTION_COUNT; c++)
			for (uint64_t random = 0; random < 300; random++) {
				struct outgoing o = outgoing(8, 4, PIXEL_UINT16);
				struct shot shot = shot_of(7, 7);

				shot.fate = SHOT_CORRUPTED;
				shot.corruption = (enum corruption)c;
				shot.random = random;
				make_frame(e->name, &o, &shot, 64);
				cr_assert_eq(number_readable(e->name, 7), c >= CORRUPT_NO_SHAPE,
				             "%s, %s, %d", e->name,
				             corruption_name((enum corruption)c), (int)random);
			}
}

/* ---- the wire ---- */

static void *pull_from(void *context, const char *endpoint)
{
	void *socket = zmq_socket(context, ZMQ_PULL);
	int patience_ms = 10000;

	cr_assert_eq(zmq_connect(socket, endpoint), 0);
	zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
	return socket;
}

static void expect_message(void *socket, const struct wire_part *parts, unsigned count)
{
	static char found[300000];

	for (unsigned i = 0; i < count; i++) {
		int n = zmq_recv(socket, found, sizeof found, 0), more = 0;
		size_t size = sizeof more;

		cr_assert_eq(n, (int)parts[i].size, "part %u", i);
		cr_assert(n == 0 || memcmp(found, parts[i].data, parts[i].size) == 0);
		zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
		cr_assert_eq(more, i + 1 < count);
	}
}

Test(send_messages, many_parts_reach_several_ends_and_the_body_is_given_back, .timeout = 60)
{
	char folder[] = "/tmp/openbeam-wire-XXXXXX", names[2][64];
	const char *endpoints[2] = { names[0], names[1] };
	struct wire_options options = { 2, endpoints, true, false, 100, NULL };
	void *context = zmq_ctx_new(), *sockets[2];
	struct wire_part parts[5] = {
		{ "one", 3 }, { "", 0 }, { NULL, 200000 }, { "four", 4 }, { "5", 1 }
	};
	struct wire_message m;
	struct wire w;
	char *body;

	cr_assert(mkdtemp(folder));
	for (int i = 0; i < 2; i++)
		snprintf(names[i], sizeof names[i], "ipc://%s/%d", folder, i);
	cr_assert_eq(wire_open(&w, &options), 0, "%s", w.why);
	for (int i = 0; i < 2; i++)
		sockets[i] = pull_from(context, endpoints[i]);
	for (unsigned where = 0; where < 5; where++) { /* the body is each of them once */
		body = malloc(parts[2].size);
		cr_assert_not_null(body);
		memset(body, 'a' + (int)where, parts[2].size);
		parts[2].data = body;
		cr_assert_eq(wire_message_init(&w, &m, parts, 5, where,
		                               where == 2 ? WIRE_OWNED : WIRE_COPIED),
		             0);
		for (unsigned end = 0; end < 2; end++) {
			int err;

			while ((err = wire_send(&w, end, &m)) == -EAGAIN)
				wire_wait(&w, end, 100);
			cr_assert_eq(err, 0);
		}
		for (int i = 0; i < 2; i++)
			expect_message(sockets[i], parts, 5);
		wire_message_done(&m);
		if (where != 2)
			free(body);
	}
	for (int tries = 0; !wire_drained(&w) && tries < 5000; tries++)
		usleep(1000);
	cr_assert(wire_drained(&w));
	for (int i = 0; i < 2; i++)
		zmq_close(sockets[i]);
	zmq_ctx_term(context);
	wire_close(&w);
	for (int i = 0; i < 2; i++)
		unlink(names[i] + strlen("ipc://"));
	rmdir(folder);
}

/* ---- compressed frames ---- */

Test(send_messages, frames_are_compressed_once_while_memory_lasts)
{
	struct pattern_options o = { .kind = PATTERN_PHANTOM,
		                     .width = 64,
		                     .height = 48,
		                     .type = PIXEL_UINT16,
		                     .bits = 16,
		                     .seed = 1,
		                     .memory_limit = 1 << 22 };
	struct pattern_pixels first, again;
	size_t bytes, again_bytes;
	struct pattern p;
	struct stock s;

	cr_assert_eq(pattern_open(&p, &o), 0);
	cr_assert_eq(stock_open(&s, &p, FRAMING_BSLZ4, 1 << 22, 0), 0, "%s", s.why);
	cr_assert_eq(stock_take(&s, 3, 3, &first, &bytes), 0);
	cr_assert_eq(stock_take(&s, 3 + 64, 3 + 64, &again, &again_bytes), 0);
	cr_assert(!first.owned && first.data == again.data && bytes == again_bytes);
	cr_assert_eq(((const uint8_t *)first.data)[6], (64 * 48 * 2) >> 8, "size in front");
	stock_close(&s);
	cr_assert_eq(stock_open(&s, &p, FRAMING_BSLZ4, 0, 0), 0);
	cr_assert_eq(stock_take(&s, 3, 3, &first, &again_bytes), 0);
	cr_assert(first.owned && bytes == again_bytes, "no room to keep it");
	stock_overstate(&s, first.data, again_bytes, 300);
	cr_assert_eq(((const uint8_t *)first.data)[6], (64 * 48 * 2 + 300) >> 8);
	free(first.data);
	stock_close(&s);
	pattern_close(&p);
}

Test(send_messages, plain_frames_are_those_of_the_pattern)
{
	struct pattern_options o = { .kind = PATTERN_COUNTER,
		                     .width = 8,
		                     .height = 4,
		                     .type = PIXEL_UINT16,
		                     .bits = 16,
		                     .memory_limit = 1 << 22 };
	struct pattern_pixels taken, plain;
	struct pattern p;
	struct stock s;
	size_t bytes;

	cr_assert_eq(pattern_open(&p, &o), 0);
	cr_assert_eq(stock_open(&s, &p, FRAMING_PLAIN, 0, 0), 0);
	cr_assert_eq(stock_take(&s, 9, 0, &taken, &bytes), 0);
	cr_assert_eq(pattern_take(&p, 9, 0, &plain), 0);
	cr_assert(taken.data == plain.data && !taken.owned && bytes == 64);
	stock_close(&s);
	pattern_close(&p);
}
