/* SPDX-License-Identifier: Apache-2.0 */
/* What every wire format must keep, whatever it is: the tests loop over protocols[]. A new
 * protocol adds its samples to make_samples(). Of shm, whose pixels are not in the message, the
 * same is asked below, on a ring of the test's own. */
#include "ingest/protocol.h"
#include "ingest/shm_map.h"
#include "ingest/shm_ring.h"
#include "tests/cbor_message.h"
#include "tests/messages.h"

#include <fcntl.h>
#include <math.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAMPLES_MAX 32
#define PARTS_MAX   9 /* of a sample */

/* What the damage of a part may do beside having the message refused. */
enum part_kind {
	PART_STRICT, /* nothing: cut, it is refused */
	PART_FREE,   /* nothing is read of it, or not much depends on it: an appendix, a timestamp,
	                calibration. The verdict stays */
	PART_OPEN,   /* compressed, and nothing outside says how long: the worker finds out */
	PART_KIND_COUNT
};

/* One good message and what it must decode to. */
struct sample {
	const char *protocol, *channel;
	unsigned part_count;
	struct {
		const char *data;
		size_t size;
		enum part_kind kind;
	} parts[PARTS_MAX];
	bool legal_counts[PARTS_MAX + 2]; /* numbers of parts that are good beside part_count */
	bool empty_is_dummy;              /* no bytes of pixels: no frame this time */
	enum verdict verdict;
	struct frame frame; /* bytes: of the pixels in the message */
	unsigned pixel_part, port;
	size_t pixel_offset; /* in that part */
	uint64_t announced;
	uint32_t mask_width; /* 0: no mask is in it */
};

static struct sample samples[SAMPLES_MAX];
static size_t sample_count;

/* ---- making them ---- */

static struct sample *add(const char *protocol, enum verdict verdict)
{
	struct sample *s = &samples[sample_count++];

	cr_assert_leq(sample_count, SAMPLES_MAX);
	*s = (struct sample){ .protocol = protocol, .channel = "", .verdict = verdict };
	return s;
}

static void part(struct sample *s, const void *data, size_t size, enum part_kind kind)
{
	cr_assert_lt(s->part_count, PARTS_MAX);
	s->parts[s->part_count].data = data;
	s->parts[s->part_count].size = size;
	s->parts[s->part_count++].kind = kind;
}

static void text(struct sample *s, const char *t, enum part_kind kind)
{
	part(s, t, strlen(t), kind);
}

/* 3 x 2 pixels of uint16 */
static const char plain12[] = "abcdefghijkl";

/* The same as one LZ4 block of literals. */
static const char lz4_block[] = "\xc0"
				"abcdefghijkl";
#define LZ4_BLOCK_BYTES 13

/* bslz4 of 5 x 2 uint16: one block of 16 bytes, then the 4 that are no 8 elements. */
static const char bslz4[] = "\0\0\0\0\0\0\0\x14"
			    "\0\0\0\x10"
			    "\0\0\0\x12"
			    "\xf0\x01"
			    "abcdefghijklmnop"
			    "tail";
#define BSLZ4_BYTES 38

/* The LZ4 framing of HDF5: 3 x 2 uint16, stored. */
static const char lz4_blocks[] = "\0\0\0\0\0\0\0\x0c"
				 "\0\0\x20\0"
				 "\0\0\0\x0c"
				 "abcdefghijkl";
#define LZ4_BLOCKS_BYTES 28

static struct frame narrow(uint64_t number, uint32_t width, uint32_t height, size_t bytes)
{
	return (struct frame){ .number = number,
		               .width = width,
		               .height = height,
		               .type = PIXEL_UINT16,
		               .bytes = bytes };
}

static void add_array10(void)
{
	struct sample *s = add("array-1.0", VERDICT_FRAME);

	text(s, "{\"htype\":\"array-1.0\",\"shape\":[2,3],\"type\":\"uint16\",\"frame\":7}",
	     PART_STRICT);
	part(s, plain12, 12, PART_STRICT);
	s->frame = narrow(7, 3, 2, 12);
	s->pixel_part = 1;

	s = add("array-1.0", VERDICT_FRAME);
	text(s,
	     "{\"image_attributes\":{\"time_stamp\":155337324560,\"image_is_complete\":false},"
	     "\"tags\":[\"0\"],\"endianess\":\"big\",\"frame\":18446744073709551614,"
	     "\"source\":\"camera\",\"shape\":[3,1],\"htype\":[\"array-1.0\"],\"type\":"
	     "\"float32\"}",
	     PART_STRICT);
	part(s, plain12, 12, PART_STRICT);
	s->frame = (struct frame){ .number = UINT64_MAX - 1,
		                   .timestamp_ns = 155337324560000,
		                   .width = 1,
		                   .height = 3,
		                   .type = PIXEL_FLOAT32,
		                   .big_endian = true,
		                   .flags = FRAME_INCOMPLETE,
		                   .bytes = 12 };
	s->pixel_part = 1;
}

static struct sample *add_bsread_of(const char *data_header, const void *value, size_t bytes,
                                    enum part_kind kind)
{
	struct sample *s = add("bsread", VERDICT_FRAME);

	text(s,
	     "{\"htype\":\"bsr_m-1.1\",\"pulse_id\":3682521968,\"hash\":\"f161\","
	     "\"global_timestamp\":{\"sec\":1508856598,\"ns\":865393891}}",
	     PART_STRICT);
	text(s, data_header, PART_STRICT);
	part(s, "", 0, PART_STRICT);
	part(s, "", 0, PART_STRICT);
	part(s, value, bytes, kind);
	part(s, "0123456789abcdef", 16, PART_FREE);
	s->empty_is_dummy = true;
	s->legal_counts[5] = true; /* the last timestamp may be left out */
	s->frame = narrow(3682521968, 3, 2, bytes);
	s->frame.timestamp_ns = 1508856598865393891;
	s->pixel_part = 4;
	return s;
}

static void add_bsread(void)
{
	struct sample *s = add_bsread_of("{\"htype\":\"bsr_d-1.1\",\"channels\":[{\"name\":\"E\"},"
	                                 "{\"name\":\"CAM\",\"shape\":[3,2],\"type\":\"uint16\","
	                                 "\"encoding\":\"big\"}]}",
	                                 plain12, 12, PART_STRICT);

	s->frame.big_endian = true;
	s = add_bsread_of("{\"htype\":\"bsr_d-1.1\",\"channels\":[{\"name\":\"E\"},"
	                  "{\"name\":\"CAM\",\"shape\":[5,2],\"type\":\"uint16\","
	                  "\"compression\":\"bitshuffle_lz4\"}]}",
	                  bslz4, BSLZ4_BYTES, PART_OPEN);
	s->channel = "CAM";
	s->frame.width = 5;
	s->frame.codec = CODEC_BSLZ4;
	s->frame.codec_element = 2;
	s = add_bsread_of("{\"htype\":\"bsr_d-1.1\",\"channels\":[{\"name\":\"E\"},"
	                  "{\"name\":\"CAM\",\"shape\":[3,2],\"type\":\"int16\","
	                  "\"compression\":\"lz4\"}]}",
	                  "\x0c\0\0\0"
	                  "\xc0"
	                  "abcdefghijkl",
	                  4 + LZ4_BLOCK_BYTES, PART_OPEN);
	s->frame.type = PIXEL_FLOAT32;
	s->frame.stored = STORED_INT16;
	s->frame.codec = CODEC_LZ4;
	s->frame.codec_element = 2;
	s->frame.bytes = LZ4_BLOCK_BYTES;
	s->pixel_offset = 4;
}

static struct sample *add_v1_image(const char *second, const void *pixels, size_t bytes)
{
	struct sample *s = add("dectris-v1", VERDICT_FRAME);

	text(s, "{\"frame\":5,\"hash\":\"93bf\",\"htype\":\"dimage-1.0\",\"series\":6}",
	     PART_STRICT);
	text(s, second, PART_STRICT);
	part(s, pixels, bytes, PART_STRICT);
	text(s,
	     "{\"htype\":\"dconfig-1.0\",\"real_time\":10,\"start_time\":1430,\"stop_time\":1440}",
	     PART_STRICT);
	s->legal_counts[4] = s->legal_counts[5] = true;
	s->frame = narrow(5, 3, 2, bytes);
	s->frame.timestamp_ns = 1430;
	s->frame.has_no_value = true;
	s->frame.no_value = UINT16_MAX;
	s->pixel_part = 2;
	return s;
}

static void add_v1(void)
{
	struct sample *s = add_v1_image("{\"encoding\":\">\",\"htype\":\"dimage_d-1.0\","
	                                "\"shape\":[3,2],\"size\":12,\"type\":\"uint16\"}",
	                                plain12, 12);

	s->frame.big_endian = true;
	part(s, "{\"acqID\": \"test_1\"}", 19, PART_FREE);
	s = add_v1_image("{\"encoding\":\"lz4<\",\"htype\":\"dimage_d-1.0\",\"shape\":[3,2],"
	                 "\"size\":13,\"type\":\"uint16\"}",
	                 lz4_block, LZ4_BLOCK_BYTES);
	s->frame.codec = CODEC_LZ4;
	s = add_v1_image("{\"encoding\":\"bs16-lz4<\",\"htype\":\"dimage_d-1.0\",\"shape\":[5,2],"
	                 "\"size\":38,\"type\":\"uint16\"}",
	                 bslz4, BSLZ4_BYTES);
	s->frame.width = 5;
	s->frame.codec = CODEC_BSLZ4;
	s->frame.codec_element = 2;

	s = add("dectris-v1", VERDICT_START);
	text(s, "{\"header_detail\":\"all\",\"htype\":\"dheader-1.0\",\"series\":6}", PART_STRICT);
	text(s,
	     "{\"nimages\":10,\"ntrigger\":2,\"trigger_mode\":\"ints\",\"count_time\":0.01,"
	     "\"x_pixels_in_detector\":3,\"y_pixels_in_detector\":2,\"description\":\"E\"}",
	     PART_STRICT);
	text(s, "{\"htype\":\"dflatfield-1.0\",\"shape\":[3,2],\"type\":\"float32\"}", PART_FREE);
	part(s, "0123456789abcdefghijklmn", 24, PART_FREE);
	text(s, "{\"htype\":\"dpixelmask-1.0\",\"shape\":[3,2],\"type\":\"uint32\"}", PART_FREE);
	part(s, "0123456789abcdefghijklmn", 24, PART_FREE);
	text(s, "{\"htype\":\"dcountrate_table-1.0\",\"shape\":[2,1],\"type\":\"float32\"}",
	     PART_FREE);
	part(s, "01234567", 8, PART_FREE);
	s->legal_counts[9] = true;
	s->announced = 20;
	s->mask_width = 3;

	s = add("dectris-v1", VERDICT_END);
	text(s, "{\"htype\":\"dseries_end-1.0\",\"series\":6}", PART_STRICT);
	s->legal_counts[2] = true;
}

/* Where the pixels are in what the writer wrote last. */
static void finish_v2(struct sample *s, const struct cbor_writer *w, size_t behind)
{
	part(s, w->data, w->size, PART_STRICT);
	s->pixel_offset = w->size - behind - s->frame.bytes;
}

static struct cbor_writer v2_image[3], v2_start, v2_end;

static struct sample *begin_v2_image(struct cbor_writer *w)
{
	struct sample *s = add("dectris-v2", VERDICT_FRAME);

	*w = (struct cbor_writer){ .size = 0 };
	cbor_tag(w, 55799);
	cbor_map(w, 6);
	cbor_pair_text(w, "type", "image");
	cbor_pair_uint(w, "series_id", 1);
	cbor_pair_text(w, "series_unique_id", "01GRXUT80JSY");
	cbor_pair_uint(w, "image_id", 9);
	cbor_text(w, "start_time");
	cbor_array(w, 2);
	cbor_uint(w, 50000000);
	cbor_uint(w, 50000000);
	cbor_text(w, "data");
	cbor_map(w, 1);
	cbor_text(w, "threshold_1");
	s->frame = narrow(9, 3, 2, 12);
	s->frame.timestamp_ns = 1000000000;
	s->frame.has_no_value = true;
	s->frame.no_value = UINT16_MAX;
	return s;
}

static void add_v2(void)
{
	struct cbor_writer *w = &v2_image[0];
	struct sample *s = begin_v2_image(w);

	cbor_grid(w, 2, 3, 65);
	cbor_bytes(w, plain12, 12);
	s->frame.big_endian = true;
	finish_v2(s, w, 0);

	w = &v2_image[1];
	s = begin_v2_image(w);
	cbor_grid(w, 2, 3, 69);
	cbor_compressed(w, "lz4", 0, lz4_blocks, LZ4_BLOCKS_BYTES);
	s->frame.codec = CODEC_LZ4_BLOCKS;
	s->frame.bytes = LZ4_BLOCKS_BYTES;
	finish_v2(s, w, 0);

	w = &v2_image[2];
	s = begin_v2_image(w);
	cbor_grid(w, 2, 5, 77);
	cbor_compressed(w, "bslz4", 2, bslz4, BSLZ4_BYTES);
	s->frame.width = 5;
	s->frame.type = PIXEL_FLOAT32;
	s->frame.stored = STORED_INT16;
	s->frame.has_no_value = false;
	s->frame.no_value = 0;
	s->frame.codec = CODEC_BSLZ4;
	s->frame.codec_element = 2;
	s->frame.bytes = BSLZ4_BYTES;
	finish_v2(s, w, 0);

	s = add("dectris-v2", VERDICT_START);
	w = &v2_start;
	*w = (struct cbor_writer){ .size = 0 };
	cbor_map(w, 6);
	cbor_pair_text(w, "type", "start");
	cbor_pair_uint(w, "series_id", 1);
	cbor_pair_uint(w, "number_of_images", 20);
	cbor_pair_text(w, "detector_description", "EIGER2");
	cbor_text(w, "user_data");
	cbor_array(w, 2);
	cbor_uint(w, 1);
	cbor_text(w, "\xf0\x9f\x92\x99");
	cbor_text(w, "pixel_mask");
	cbor_map(w, 1);
	cbor_text(w, "threshold_1");
	cbor_grid(w, 2, 3, 70);
	cbor_bytes(w, "0123456789abcdefghijklmn", 24);
	part(s, w->data, w->size, PART_STRICT);
	s->announced = 20;
	s->mask_width = 3;

	s = add("dectris-v2", VERDICT_END);
	w = &v2_end;
	*w = (struct cbor_writer){ .size = 0 };
	cbor_map(w, 2);
	cbor_pair_text(w, "type", "end");
	cbor_pair_uint(w, "series_id", 1);
	part(s, w->data, w->size, PART_STRICT);
}

static void add_sls(void)
{
	struct sample *s = add("sls", VERDICT_PIECE);

	text(s,
	     "{\"jsonversion\":4, \"bitmode\":16, \"detshape\":[2, 2], \"shape\":[3, 2], "
	     "\"size\":12, \"frameNumber\":12, \"progress\":30, \"fname\":\"/tmp/run\", "
	     "\"data\":1, "
	     "\"completeImage\":0, \"timestamp\":123456, \"row\":1, \"column\":0, \"flipRows\":1, "
	     "\"quad\":0, \"rx_roi\":[-1, -1, -1, -1]}",
	     PART_STRICT);
	part(s, plain12, 12, PART_STRICT);
	s->frame = narrow(12, 6, 4, 12);
	s->frame.timestamp_ns = 12345600;
	s->frame.flags = FRAME_INCOMPLETE;
	s->frame.has_no_value = true;
	s->frame.no_value = UINT16_MAX;
	s->frame.ports = (struct port_grid){ .columns = 2, .rows = 2, .flipped = 4 };
	s->port = 2;
	s->pixel_part = 1;

	s = add("sls", VERDICT_PIECE);
	text(s,
	     "{\"jsonversion\":4, \"bitmode\":4, \"detshape\":[1, 1], \"shape\":[4, 2], "
	     "\"size\":4, "
	     "\"acqIndex\":3, \"progress\":inf, \"fname\":\"C:\\data\\run\", \"data\":1, "
	     "\"row\":0, "
	     "\"column\":0}",
	     PART_STRICT);
	part(s, "\x12\x34\x56\x78", 4, PART_STRICT);
	s->frame = (struct frame){ .number = 3,
		                   .width = 4,
		                   .height = 2,
		                   .type = PIXEL_UINT8,
		                   .packing = PACKING_NIBBLES,
		                   .bits = 4,
		                   .ports = { .columns = 1, .rows = 1 },
		                   .bytes = 4 };
	s->pixel_part = 1;

	s = add("sls", VERDICT_END);
	text(s, "{\"jsonversion\":4, \"bitmode\":0, \"detshape\":[0, 0], \"data\":0}", PART_STRICT);
}

static void add_others(void)
{
	struct sample *s = add("stins", VERDICT_FRAME);

	text(s,
	     "{\"htype\":\"image\",\"frame\":0,\"shape\":[2,3],\"type\":\"int16\","
	     "\"compression\":\"none\"}",
	     PART_STRICT);
	part(s, plain12, 12, PART_STRICT);
	part(s, "\x80\x04N.", 4, PART_FREE);
	s->legal_counts[2] = true;
	s->frame = narrow(0, 3, 2, 12);
	s->frame.type = PIXEL_FLOAT32;
	s->frame.stored = STORED_INT16;
	s->pixel_part = 1;

	s = add("odin-live", VERDICT_FRAME);
	text(s,
	     "{\"frame_num\":2,\"acquisition_id\":\"test\",\"dtype\":\"uint16\",\"dsize\":12,"
	     "\"dataset\":\"data\",\"compression\":\"none\",\"shape\":[\"2\",\"3\"]}",
	     PART_STRICT);
	part(s, plain12, 12, PART_STRICT);
	s->channel = "data";
	s->frame = narrow(2, 3, 2, 12);
	s->pixel_part = 1;

	s = add("odin-live", VERDICT_FRAME);
	text(s,
	     "{\"frame_num\":2,\"dtype\":\"uint16\",\"dsize\":38,\"dataset\":\"data\","
	     "\"compression\":\"bslz4\",\"shape\":[\"1\",\"2\",\"5\"]}",
	     PART_STRICT);
	part(s, bslz4, BSLZ4_BYTES, PART_STRICT);
	s->channel = "data";
	s->frame = narrow(2, 5, 2, BSLZ4_BYTES);
	s->frame.codec = CODEC_BSLZ4;
	s->frame.codec_element = 2;
	s->pixel_part = 1;
}

static void make_samples(void)
{
	sample_count = 0;
	add_array10();
	add_bsread();
	add_v1();
	add_v2();
	add_sls();
	add_others();
}

TestSuite(protocols, .init = make_samples);

/* ---- decoding them ---- */

/* A message whose parts are blocks of exactly their size, so that a sanitizer sees a step beyond.
 */
struct copy {
	struct message message;
	char *parts[PARTS_MAX];
};

static struct copy copy_sample(const struct sample *s)
{
	struct copy copy = { .message.part_count = s->part_count };

	for (unsigned i = 0; i < s->part_count; i++) {
		size_t size = s->parts[i].size;

		copy.parts[i] = malloc(size ? size : 1);
		memcpy(copy.parts[i], s->parts[i].data, size);
		copy.message.parts[i] = (struct part){ size ? copy.parts[i] : NULL, size };
	}
	return copy;
}

static void free_copy(struct copy *c)
{
	for (unsigned i = 0; i < PARTS_MAX; i++)
		free(c->parts[i]);
}

static struct decoder *open_with(const struct sample *s, uint64_t frame_limit)
{
	char format[] = "auto";
	struct config_ingest c = { .pixel_format = format,
		                   .channel = (char *)(uintptr_t)s->channel,
		                   .frame_limit = frame_limit };
	struct decoder *d = NULL;
	char why[160];

	cr_assert_eq(protocol_find(s->protocol)->open(&d, &c, why), 0, "%s", why);
	return d;
}

static struct decoder *open_for(const struct sample *s)
{
	return open_with(s, MESSAGES_LIMIT);
}

static void close_for(const struct sample *s, struct decoder *d)
{
	protocol_find(s->protocol)->close(d);
}

static struct decoded decode(const struct sample *s, struct decoder *d, const struct message *m)
{
	return message_decode(s->protocol, d, m);
}

static bool has_pixels(enum verdict v)
{
	return v == VERDICT_FRAME || v == VERDICT_PIECE;
}

static void expect_frame(const struct sample *s, const struct copy *copy, const struct decoded *got)
{
	const struct frame *f = &got->frame, *expected = &s->frame;

	cr_expect_eq(f->number, expected->number);
	cr_expect_eq(f->timestamp_ns, expected->timestamp_ns, "%s: %llu", s->protocol,
	             (unsigned long long)f->timestamp_ns);
	cr_expect_eq(f->width, expected->width);
	cr_expect_eq(f->height, expected->height);
	cr_expect_eq(f->type, expected->type);
	cr_expect_eq(f->packing, expected->packing);
	cr_expect_eq(f->big_endian, expected->big_endian);
	cr_expect_eq(f->bits, expected->bits);
	cr_expect_eq(f->has_no_value, expected->has_no_value);
	cr_expect_eq(f->no_value, expected->no_value);
	cr_expect_eq(f->stored, expected->stored);
	cr_expect_eq(f->codec, expected->codec);
	if (f->codec == CODEC_BSLZ4 || f->codec == CODEC_BSZSTD)
		cr_expect_eq(f->codec_element, expected->codec_element);
	cr_expect_eq(f->flags, expected->flags);
	cr_expect_eq(f->ports.columns, expected->ports.columns);
	cr_expect_eq(f->ports.rows, expected->ports.rows);
	cr_expect_eq(f->ports.flipped, expected->ports.flipped);
	cr_expect_eq(f->bytes, expected->bytes);
	cr_expect_eq(got->port, s->port);
	cr_expect_eq(got->pixel_part, s->pixel_part);
	cr_expect_eq(f->pixels, copy->parts[s->pixel_part] + s->pixel_offset, "%s", s->protocol);
}

static void expect_sample(const struct sample *s, struct decoder *d)
{
	struct copy copy = copy_sample(s);
	struct decoded got = decode(s, d, &copy.message);

	cr_assert_eq(got.verdict, s->verdict, "%s: %s", s->protocol, got.why);
	if (has_pixels(s->verdict))
		expect_frame(s, &copy, &got);
	if (s->verdict == VERDICT_START) {
		cr_expect_eq(got.announced, s->announced);
		cr_expect_eq(got.detector.mask != NULL, s->mask_width != 0, "%s", got.why);
		if (s->mask_width)
			cr_expect_eq(got.detector.width, s->mask_width);
	}
	free_copy(&copy);
}

/* ---- what holds whatever the bytes were ---- */

static void expect_printable(const char *sentence, size_t room)
{
	cr_assert(memchr(sentence, '\0', room));
	for (; *sentence; sentence++)
		cr_assert(*sentence >= ' ' && *sentence <= '~', "byte %d", *sentence);
}

static void expect_sane_frame(const struct message *m, const struct decoded *d)
{
	const struct frame *f = &d->frame;
	const struct part *part = &m->parts[d->pixel_part];
	const char *pixels = f->pixels;
	uint64_t plain, expanded;

	cr_assert_lt(d->pixel_part, m->part_count);
	cr_assert(pixels >= (const char *)part->data);
	cr_assert(pixels + f->bytes <= (const char *)part->data + part->size);
	cr_assert_neq(f->number, UINT64_MAX);
	cr_assert(f->width > 0 && f->height > 0 && f->bytes > 0);
	cr_assert(f->type < PIXEL_TYPE_COUNT && f->codec < CODEC_COUNT &&
	          f->packing < PACKING_COUNT && f->stored < STORED_TYPE_COUNT);
	cr_assert(packing_fits(f->packing, f->type));
	cr_assert(!(f->big_endian && f->packing));
	cr_assert(!f->stored || f->type == PIXEL_FLOAT32);
	cr_assert(frame_plain_bytes(f, &plain));
	cr_assert(wire_bytes(f->width, f->height, f->type, f->packing, &expanded));
	cr_assert(plain <= MESSAGES_LIMIT && expanded <= MESSAGES_LIMIT);
	if (d->verdict == VERDICT_FRAME && f->codec == CODEC_NONE)
		cr_assert_eq(plain, f->bytes);
	if (f->codec == CODEC_BSLZ4 || f->codec == CODEC_BSZSTD)
		cr_assert(f->codec_element == 1 || f->codec_element == 2 || f->codec_element == 4);
	if (d->verdict != VERDICT_PIECE) {
		cr_assert_eq(f->ports.columns, 0);
		return;
	}
	cr_assert(f->ports.columns > 0 && f->ports.rows > 0);
	cr_assert_leq(f->ports.columns * f->ports.rows, PORTS_MAX);
	cr_assert_lt(d->port, (unsigned)(f->ports.columns * f->ports.rows));
	cr_assert_eq(f->ports.flipped & ~((uint64_t)1 << d->port), 0);
	cr_assert(f->width % f->ports.columns == 0 && f->height % f->ports.rows == 0);
	cr_assert(wire_bytes(f->width / f->ports.columns, f->height / f->ports.rows, f->type,
	                     f->packing, &plain));
	cr_assert_eq(plain, f->bytes);
}

/* What was read; volatile, so that it was. */
static volatile uint32_t read_all;

/* All of the mask is read. */
static void expect_sane_detector(const struct detector *d)
{
	uint32_t sum = 0;

	expect_printable(d->description, sizeof d->description);
	cr_assert(d->exposure_s >= 0 && isfinite(d->exposure_s));
	cr_assert(d->period_s >= 0 && isfinite(d->period_s));
	cr_assert(!d->type_known || d->type < PIXEL_TYPE_COUNT);
	for (size_t i = 0; d->mask && i < (size_t)d->width * d->height; i++)
		sum += d->mask[i];
	read_all = sum;
}

/* The verdict must be one, and what goes with it must hold. */
static void expect_sane(const struct message *m, const struct decoded *d)
{
	cr_assert_lt(d->verdict, VERDICT_COUNT);
	cr_assert_null(d->lease);
	if (d->verdict == VERDICT_REJECTED) {
		cr_assert_lt(d->reason, REJECT_COUNT);
		cr_assert(d->why[0] != '\0');
		expect_printable(d->why, sizeof d->why);
	}
	if (d->verdict == VERDICT_DUMMY)
		cr_assert_null(d->frame.pixels);
	if (d->verdict == VERDICT_START) {
		expect_printable(d->why, sizeof d->why);
		expect_sane_detector(&d->detector);
	}
	if (has_pixels(d->verdict))
		expect_sane_frame(m, d);
}

/* ---- the tests ---- */

Test(protocols, have_names_summaries_and_samples)
{
	for (const struct protocol *p = protocols; p->name; p++) {
		bool sampled = p->in_shared_memory,
		     start = p->in_shared_memory || !p->has_start_message,
		     end = p->in_shared_memory || !p->has_end_message;

		for (size_t i = 0; i < sample_count; i++) {
			bool ours = strcmp(samples[i].protocol, p->name) == 0;

			sampled |= ours && samples[i].verdict ==
			                           (p->in_pieces ? VERDICT_PIECE : VERDICT_FRAME);
			start |= ours && samples[i].verdict == VERDICT_START;
			end |= ours && samples[i].verdict == VERDICT_END;
		}
		start |= strcmp(p->name, "stins") == 0; /* of one word; in test_stins_odin.c */
		end |= strcmp(p->name, "stins") == 0;
		cr_expect(sampled && start && end, "%s lacks a sample", p->name);
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

		for (unsigned times = 0; times < 3; times++)
			expect_sample(&samples[i], d);
		close_for(&samples[i], d);
	}
}

/* Whether a part of `size` bytes less than all of it may be taken so. */
static bool may_be_cut(const struct sample *s, unsigned at, size_t size, const struct decoded *got)
{
	if (s->parts[at].kind == PART_FREE)
		return got->verdict == s->verdict;
	if (s->empty_is_dummy && at == s->pixel_part && size == 0)
		return got->verdict == VERDICT_DUMMY;
	if (s->parts[at].kind == PART_OPEN && got->verdict == VERDICT_FRAME)
		return got->frame.bytes == size - s->pixel_offset;
	return got->verdict == VERDICT_REJECTED;
}

Test(protocols, refuse_every_prefix_of_every_part)
{
	for (size_t i = 0; i < sample_count; i++) {
		const struct sample *s = &samples[i];
		struct decoder *d = open_for(s);

		for (unsigned at = 0; at < s->part_count; at++)
			for (size_t size = 0; size < s->parts[at].size; size++) {
				struct copy copy = copy_sample(s);
				struct decoded got;

				copy.parts[at] = realloc(copy.parts[at], size ? size : 1);
				copy.message.parts[at] =
					(struct part){ size ? copy.parts[at] : NULL, size };
				got = decode(s, d, &copy.message);
				expect_sane(&copy.message, &got);
				cr_expect(may_be_cut(s, at, size, &got),
				          "%s sample %zu part %u cut to %zu: verdict %d %s",
				          s->protocol, i, at, size, (int)got.verdict, got.why);
				free_copy(&copy);
			}
		expect_sample(s, d);
		close_for(s, d);
	}
}

Test(protocols, refuse_other_numbers_of_parts)
{
	for (size_t i = 0; i < sample_count; i++) {
		const struct sample *s = &samples[i];
		struct decoder *d = open_for(s);
		struct copy copy = copy_sample(s);

		for (unsigned count = 0; count <= PARTS_MAX + 1; count++) {
			struct decoded got;

			copy.message.part_count = count;
			got = decode(s, d, &copy.message);
			if (count == s->part_count || s->legal_counts[count]) {
				cr_expect_eq(got.verdict, s->verdict, "%s sample %zu of %u parts",
				             s->protocol, i, count);
				continue;
			}
			cr_expect_eq(got.verdict, VERDICT_REJECTED, "%s sample %zu of %u parts",
			             s->protocol, i, count);
			cr_expect_eq(got.reason, REJECT_PARTS, "%s sample %zu of %u parts: %s",
			             s->protocol, i, count, got.why);
		}
		copy.message.part_count = MESSAGE_PARTS_MAX + 1;
		EXPECT_REJECTED(decode(s, d, &copy.message), "parts");
		free_copy(&copy);
		close_for(s, d);
	}
}

Test(protocols, refuse_a_byte_more_of_pixels)
{
	for (size_t i = 0; i < sample_count; i++) {
		const struct sample *s = &samples[i];
		unsigned at = s->pixel_part;
		size_t size = s->parts[at].size + 1;
		struct decoder *d = open_for(s);
		struct copy copy = copy_sample(s);
		struct decoded got;

		copy.parts[at] = realloc(copy.parts[at], size);
		copy.parts[at][size - 1] = 0;
		copy.message.parts[at] = (struct part){ copy.parts[at], size };
		got = decode(s, d, &copy.message);
		expect_sane(&copy.message, &got);
		if (!has_pixels(s->verdict))
			; /* it was only survived */
		else if (s->parts[at].kind == PART_OPEN)
			cr_expect_eq(got.frame.bytes, s->frame.bytes + 1);
		else
			EXPECT_REJECTED(got, "length");
		free_copy(&copy);
		close_for(s, d);
	}
}

Test(protocols, take_frames_up_to_the_limit_and_none_beyond)
{
	for (size_t i = 0; i < sample_count; i++) {
		const struct sample *s = &samples[i];
		uint64_t plain, expanded, most;
		struct decoder *d;
		struct copy copy;

		if (!has_pixels(s->verdict))
			continue;
		frame_plain_bytes(&s->frame, &plain);
		wire_bytes(s->frame.width, s->frame.height, s->frame.type, s->frame.packing,
		           &expanded);
		most = plain > expanded ? plain : expanded;
		d = open_with(s, most);
		expect_sample(s, d);
		close_for(s, d);
		d = open_with(s, most - 1);
		copy = copy_sample(s);
		EXPECT_REJECTED(decode(s, d, &copy.message), "shape");
		free_copy(&copy);
		close_for(s, d);
	}
}

Test(protocols, survive_every_flipped_bit_and_every_other_byte)
{
	for (size_t i = 0; i < sample_count; i++) {
		const struct sample *s = &samples[i];
		struct decoder *d = open_for(s);
		struct copy copy = copy_sample(s);

		for (unsigned at = 0; at < s->part_count; at++)
			for (size_t n = 0; n < s->parts[at].size; n++) {
				for (unsigned byte = 0; byte < 256; byte++) {
					struct decoded got;

					copy.parts[at][n] = (char)byte;
					got = decode(s, d, &copy.message);
					expect_sane(&copy.message, &got);
				}
				copy.parts[at][n] = s->parts[at].data[n];
			}
		free_copy(&copy);
		expect_sample(s, d);
		close_for(s, d);
	}
}

/* A decoder that saw a good message must not make a worse one good. */
Test(protocols, do_not_reuse_what_they_read_before)
{
	for (size_t i = 0; i < sample_count; i++) {
		const struct sample *s = &samples[i];
		struct decoder *d = open_for(s);
		struct copy copy = copy_sample(s);
		struct decoded got;

		expect_sample(s, d);
		copy.message.parts[0] = (struct part){ NULL, 0 };
		got = decode(s, d, &copy.message);
		cr_expect_eq(got.verdict, VERDICT_REJECTED);
		cr_expect_not(got.number_known);
		cr_expect_eq(got.frame.number, 0);
		free_copy(&copy);
		close_for(s, d);
	}
}

/* ---- shared memory ---- */

#define RING_SLOTS 2
#define SLOT_BYTES (2 * SHM_PAGE)

/* A ring in a memfd of this process, its slots filled. */
struct ring {
	int fd;
	char *base;
	struct shm_announcement announcement;
	struct decoder *decoder;
};

static void ring_open(struct ring *r)
{
	size_t bytes = SHM_PAGE + RING_SLOTS * SLOT_BYTES;
	struct shm_ring head = { .magic = { 'O', 'B', 'S', 'H', 'M', '0', '0', '1' },
		                 .version = SHM_RING_VERSION,
		                 .slot_count = RING_SLOTS,
		                 .slot_bytes = SLOT_BYTES,
		                 .first_slot = SHM_PAGE,
		                 .ring_id = 77,
		                 .release = "ipc:///tmp/openbeam-nobody-listens" };

	*r = (struct ring){ .fd = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING) };
	cr_assert_geq(r->fd, 0);
	cr_assert_eq(fchmod(r->fd, 0600), 0);
	cr_assert_eq(ftruncate(r->fd, (off_t)bytes), 0);
	cr_assert_eq(fcntl(r->fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	r->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	cr_assert_neq(r->base, MAP_FAILED);
	memcpy(r->base, &head, sizeof head);
	for (unsigned i = 0; i < RING_SLOTS; i++) {
		struct shm_slot slot = { .generation = 2, .frame = i };
		char *at = r->base + SHM_PAGE + i * SLOT_BYTES;

		memcpy(at, &slot, sizeof slot);
		memcpy(at + SHM_PAGE, plain12, 12);
	}
	r->announcement = (struct shm_announcement){ .magic = { 'O', 'B', 'S', 'A' },
		                                     .kind = SHM_FRAME,
		                                     .ring_id = 77,
		                                     .series = 5,
		                                     .frame = 31,
		                                     .generation = 2,
		                                     .timestamp_ns = 99,
		                                     .bytes = 12,
		                                     .slot = 1,
		                                     .width = 3,
		                                     .height = 2,
		                                     .pixel = SHM_UINT16 };
	snprintf(r->announcement.memory, sizeof r->announcement.memory, "/proc/%d/fd/%d",
	         (int)getpid(), r->fd);
	r->decoder = messages_open("shm", "");
}

static void ring_close(struct ring *r)
{
	protocol_find("shm")->close(r->decoder);
	munmap(r->base, SHM_PAGE + RING_SLOTS * SLOT_BYTES);
	close(r->fd);
}

static struct decoded announce(struct ring *r, const void *data, size_t size)
{
	char *copy = malloc(size ? size : 1);
	struct message m = { .part_count = 1, .parts = { { copy, size } } };
	struct decoded ret;

	memcpy(copy, data, size);
	ret = message_decode("shm", r->decoder, &m);
	free(copy);
	return ret;
}

/* Whatever was announced: pixels inside the ring, and the slot is given back. */
static void expect_sane_loan(struct ring *r, const struct decoded *d)
{
	uint32_t sum = 0;

	cr_assert_lt(d->verdict, VERDICT_COUNT);
	if (d->verdict == VERDICT_REJECTED)
		cr_assert(d->why[0] != '\0');
	if (d->verdict == VERDICT_FRAME) {
		cr_assert_not_null(d->lease);
		cr_assert_leq(d->frame.bytes, SLOT_BYTES - SHM_PAGE);
		for (size_t i = 0; i < d->frame.bytes; i++)
			sum += ((const unsigned char *)d->frame.pixels)[i];
	}
	if (d->lease)
		shm_lease_return(d->lease);
	protocol_find("shm")->tend(r->decoder);
	read_all = sum;
}

static void expect_loan(struct ring *r)
{
	struct decoded d = announce(r, &r->announcement, sizeof r->announcement);

	cr_assert_eq(d.verdict, VERDICT_FRAME, "%s", d.why);
	cr_expect(d.frame.number == 31 && d.frame.width == 3 && d.frame.height == 2);
	cr_expect(d.frame.type == PIXEL_UINT16 && d.frame.series == 5 &&
	          d.frame.timestamp_ns == 99);
	cr_expect_eq(d.frame.bytes, 12);
	cr_expect_eq(memcmp(d.frame.pixels, plain12, 12), 0);
	expect_sane_loan(r, &d);
}

Test(protocols, decode_what_shared_memory_announces)
{
	struct ring r;

	ring_open(&r);
	for (unsigned times = 0; times < 3; times++)
		expect_loan(&r);
	ring_close(&r);
}

Test(protocols, refuse_every_prefix_of_an_announcement_and_a_byte_more)
{
	struct ring r;
	char more[sizeof(struct shm_announcement) + 1] = { 0 };

	ring_open(&r);
	memcpy(more, &r.announcement, sizeof r.announcement);
	for (size_t size = 0; size <= sizeof more; size++) {
		struct decoded d;

		if (size == sizeof r.announcement)
			continue;
		d = announce(&r, more, size);
		EXPECT_REJECTED(d, "header");
		expect_sane_loan(&r, &d);
	}
	expect_loan(&r);
	ring_close(&r);
}

Test(protocols, survive_every_flipped_bit_of_an_announcement)
{
	struct ring r;

	ring_open(&r);
	for (size_t at = 0; at < sizeof r.announcement; at++)
		for (unsigned bit = 0; bit < 9; bit++) {
			struct shm_announcement a = r.announcement;
			struct decoded d;

			((char *)&a)[at] = (char)(((char *)&a)[at] ^ (bit < 8 ? 1 << bit : 0xff));
			d = announce(&r, &a, sizeof a);
			expect_sane_loan(&r, &d);
		}
	expect_loan(&r);
	ring_close(&r);
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
