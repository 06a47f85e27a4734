/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/prng.h"
#include "kernels/decompress.h"
#include "kernels/shuffle.h"
#include "tests/fenced.h"
#include "tests/isa_rows.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <lz4.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define ROOM ((size_t)4 << 20) /* of a fence */

/* A decompressor with its data and its output each at a fence. */
struct rig {
	struct decompress d;
	void *scratch;
	struct fence in, out;
};

static void rig_open_for(struct rig *r, unsigned cpu)
{
	r->scratch = aligned_alloc(64, decompress_scratch_bytes());
	cr_assert_not_null(r->scratch);
	decompress_init(&r->d, r->scratch, cpu);
	fence_open(&r->in, ROOM);
	fence_open(&r->out, ROOM);
}

static void rig_open(struct rig *r)
{
	rig_open_for(r, cpu_detect());
}

static void rig_close(struct rig *r)
{
	fence_close(&r->in);
	fence_close(&r->out);
	free(r->scratch);
}

/* Decompress; *ret_out is where, valid until the next call. Nothing around it may be written. */
static const char *run_at(struct rig *r, enum codec c, unsigned element, const void *data,
                          size_t bytes, size_t plain, size_t gap, const unsigned char **ret_out)
{
	unsigned char *in = fence_place(&r->in, bytes, gap);
	unsigned char *out = fence_place(&r->out, plain, gap * 7 % 64);
	const char *why;

	if (bytes)
		memcpy(in, data, bytes);
	why = decompress(&r->d, c, element, out, plain, in, bytes);
	cr_assert(fence_intact(&r->out, out, plain), "%s wrote outside", codec_name(c));
	cr_assert(fence_intact(&r->in, in, bytes));
	cr_assert(!why || why[0]);
	if (ret_out)
		*ret_out = out;
	return why;
}

static const char *run(struct rig *r, enum codec c, unsigned element, const void *data,
                       size_t bytes, size_t plain, const unsigned char **ret_out)
{
	return run_at(r, c, element, data, bytes, plain, 0, ret_out);
}

/* ---- the other way, for tests ---- */

struct packed {
	unsigned char *data;
	size_t size;
};

static void put_be32(struct packed *p, uint32_t value)
{
	for (unsigned shift = 32; shift > 0; shift -= 8)
		p->data[p->size++] = (unsigned char)(value >> (shift - 8));
}

static void put_head(struct packed *p, uint64_t plain, uint32_t block)
{
	put_be32(p, (uint32_t)(plain >> 32));
	put_be32(p, (uint32_t)plain);
	put_be32(p, block);
}

static size_t squeeze(enum codec c, unsigned char *out, size_t room, const void *in, size_t bytes)
{
	if (c == CODEC_BSZSTD)
		return ZSTD_compress(out, room, in, bytes, 1);
	return (size_t)LZ4_compress_default(in, (char *)out, (int)bytes, (int)room);
}

/* The data of `plain` in blocks of `block` bytes; the head says `announced` for that. */
static struct packed pack(enum codec c, unsigned element, const unsigned char *plain, size_t bytes,
                          size_t block, uint32_t announced)
{
	bool shuffled = c == CODEC_BSLZ4 || c == CODEC_BSZSTD;
	size_t tail = shuffled ? bytes % (8 * element) : 0, room = 2 * bytes + 4096;
	struct packed p = { malloc(room + 64 * (bytes / block + 2)), 0 };
	unsigned char *rows = malloc(block);

	if (c == CODEC_LZ4) {
		p.size = squeeze(c, p.data, room, plain, bytes);
		free(rows);
		return p;
	}
	put_head(&p, bytes, announced);
	for (size_t done = 0; done < bytes - tail; done += block) {
		size_t left = bytes - tail - done, n = left < block ? left : block, squeezed;
		const unsigned char *from = plain + done;

		if (shuffled) {
			shuffle_impls[0].fn[element / 2](rows, from, n / element);
			from = rows;
		}
		squeezed = squeeze(c, p.data + p.size + 4, 2 * n + 128, from, n);
		if (!shuffled && squeezed >= n) {
			squeezed = n;
			memcpy(p.data + p.size + 4, from, n);
		}
		put_be32(&p, (uint32_t)squeezed);
		p.size += squeezed;
	}
	memcpy(p.data + p.size, plain + bytes - tail, tail);
	p.size += tail;
	free(rows);
	return p;
}

/* Counts as detectors have them: mostly small ones. */
static unsigned char *counts(size_t bytes, uint64_t seed)
{
	unsigned char *plain = malloc(bytes ? bytes : 1);

	for (size_t i = 0; i < bytes; i++)
		plain[i] = prng_below(&seed, 3) ? 0 : (unsigned char)prng_below(&seed, 40);
	return plain;
}

/* ---- the unit vectors ---- */

struct vector {
	enum codec codec;
	unsigned element;
	const char *encoded, *decoded; /* hexadecimal; decoded NULL: it is to be refused */
};

/* As many as keep the test from being empty; the others lie beside the repository. */
static const struct vector spelled_out[] = {
	{ CODEC_BSLZ4, 1, "00000000000000010000200089", "89" },
	{ CODEC_BSLZ4, 2, "0000000000000002000040008900", "8900" },
	{ CODEC_LZ4_BLOCKS, 0, "0000000000000001000020000000000189", "89" },
	{ CODEC_LZ4_BLOCKS, 0,
	  "000000000000001d000000100000000a16ff010050ffffffffff0000000a13ff010050ffffffffff",
	  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" },
	{ CODEC_LZ4_BLOCKS, 0, "00000000000000030000000200000002ffff00000001ff", "ffffff" },
	{ CODEC_BSLZ4, 2,
	  "00000000000000480000004000000042f031158013f488888382818b2924d1a9005008008a04feffffffddab"
	  "bbf6"
	  "00000000f525e503b0803c5a80fb935e47c210da31102e04fffffffff7fdffdf000000006573206c6f6e672"
	  "e",
	  "4d792068616972206973207368696e676c65642c20616e6420746865206c6f6e6765737420737472616e6473"
	  "2061"
	  "72652061626f7574206e696e6520696e63686573206c6f6e672e" },
	{ CODEC_BSLZ4, 1, "", NULL },
	{ CODEC_LZ4_BLOCKS, 0, "", NULL },
	{ CODEC_LZ4_BLOCKS, 0, "000000000000000100000000", NULL },
	{ CODEC_BSLZ4, 1, "00000000000000010000000100", NULL },
	{ CODEC_LZ4_BLOCKS, 0, "00000000fffffffefffffffe0000000100", NULL },
	{ CODEC_BSLZ4, 0, "000000000000000000000000", NULL },
};

static size_t from_hex(const char *hex, size_t digits, unsigned char *out)
{
	for (size_t i = 0; i + 1 < digits; i += 2) {
		char pair[3] = { hex[i], hex[i + 1], '\0' };

		out[i / 2] = (unsigned char)strtoul(pair, NULL, 16);
	}
	return digits / 2;
}

static void expect_vector(struct rig *r, enum codec c, unsigned element, const char *encoded,
                          size_t encoded_digits, const char *decoded, size_t decoded_digits)
{
	unsigned char in[512], expected[512];
	size_t bytes = from_hex(encoded, encoded_digits, in), plain;
	const unsigned char *out;
	uint64_t announced;
	const char *why;

	if (decoded) {
		plain = from_hex(decoded, decoded_digits, expected);
		cr_assert(decompress_announced(c, element, in, bytes, &announced, &why), "%s", why);
		cr_assert_eq(announced, plain);
		why = run(r, c, element, in, bytes, plain, &out);
		cr_assert_null(why, "%.*s: %s", (int)encoded_digits, encoded, why);
		cr_assert_eq(memcmp(out, expected, plain), 0);
		return;
	}
	/* Whatever the head announces, and a byte. */
	if (decompress_announced(c, element, in, bytes, &announced, &why) && announced < ROOM / 2)
		cr_expect_not_null(run(r, c, element, in, bytes, announced, NULL), "%.*s",
		                   (int)encoded_digits, encoded);
	cr_expect_not_null(run(r, c, element, in, bytes, 1, NULL));
}

Test(decompress, gives_the_bytes_of_the_vectors)
{
	struct rig r;

	rig_open(&r);
	for (size_t i = 0; i < sizeof spelled_out / sizeof *spelled_out; i++) {
		const struct vector *v = &spelled_out[i];

		expect_vector(&r, v->codec, v->element, v->encoded, strlen(v->encoded), v->decoded,
		              v->decoded ? strlen(v->decoded) : 0);
	}
	rig_close(&r);
}

static char *read_file(const char *name, size_t *ret_size)
{
	char path[512], *data;
	FILE *file;
	long size;

	snprintf(path, sizeof path, "%s/../shared/vectors/%s", SOURCE_DIR, name);
	file = fopen(path, "rb");
	if (!file)
		cr_skip_test("%s is not there", path);
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	data = malloc((size_t)size + 1);
	cr_assert_eq(fread(data, 1, (size_t)size, file), (size_t)size);
	data[size] = '\0';
	fclose(file);
	if (ret_size)
		*ret_size = (size_t)size;
	return data;
}

/* The text of a JSON string value behind `key`, from `at` on; NULL: none before `end`. */
static const char *value_of(const char *at, const char *end, const char *key, size_t *ret_size)
{
	const char *value = strstr(at, key);

	if (!value || value >= end)
		return NULL;
	value = strchr(value + strlen(key), ':') + 1;
	value += strspn(value, " ");
	if (*value != '"') {
		*ret_size = strcspn(value, ",\n }");
		return value;
	}
	*ret_size = strcspn(value + 1, "\"");
	return value + 1;
}

Test(decompress, gives_the_bytes_of_all_vectors_of_dectris)
{
	char *text = read_file("dectris_compression_unit/vectors.json", NULL);
	const char *invalid = strstr(text, "\"invalid\"");
	unsigned valid = 0, refused = 0;
	struct rig r;

	rig_open(&r);
	for (const char *at = strstr(text, "\"algorithm\""); at;) {
		const char *next = strstr(at + 1, "\"algorithm\""),
			   *end = next ? next : at + strlen(at);
		size_t name, element, encoded, decoded = 0;
		const char *algorithm = value_of(at, end, "\"algorithm\"", &name);
		const char *size = value_of(at, end, "\"elem_size\"", &element);
		const char *in = value_of(at, end, "\"encoded_hex\"", &encoded);
		const char *out = value_of(at, end, "\"decoded_hex\"", &decoded);
		enum codec c = strncmp(algorithm, "lz4", 3) == 0 ? CODEC_LZ4_BLOCKS : CODEC_BSLZ4;

		cr_assert_eq(out != NULL, at < invalid);
		expect_vector(&r, c, (unsigned)atoi(size), in, encoded, out, decoded);
		valid += out != NULL;
		refused += out == NULL;
		at = next;
	}
	cr_expect_eq(valid, 12);
	cr_expect_eq(refused, 8);
	rig_close(&r);
	free(text);
}

/* ---- there and back ---- */

struct shape {
	enum codec codec;
	unsigned element;
	size_t bytes, block;
	uint32_t announced;
};

static const struct shape shapes[] = {
	{ CODEC_LZ4, 0, 1, 1, 0 },
	{ CODEC_LZ4, 0, 5000, 1, 0 },
	{ CODEC_LZ4_BLOCKS, 0, 5000, 8192, 8192 },
	{ CODEC_LZ4_BLOCKS, 0, 5000, 8, 8 },
	{ CODEC_LZ4_BLOCKS, 0, 5000, 1, 1 },
	{ CODEC_LZ4_BLOCKS, 0, 5000, 4999, 4999 },
	{ CODEC_LZ4_BLOCKS, 0, 5000, 5000, INT32_MAX },
	{ CODEC_LZ4_BLOCKS, 0, 3000000, 2000001,
	  2000001 }, /* these are not bounded by the scratch */
	{ CODEC_BSLZ4, 1, 8192 * 2 + 13, 8192, 0 },
	{ CODEC_BSLZ4, 2, 8192 * 2 + 14, 8192, 0 },
	{ CODEC_BSLZ4, 4, 8192 * 2 + 28, 8192, 0 },
	{ CODEC_BSLZ4, 2, 16, 16, 16 },
	{ CODEC_BSLZ4, 2, 5000, 48, 48 },
	{ CODEC_BSLZ4, 4, 5000, 32, 32 },
	{ CODEC_BSLZ4, 1, 5000, 1000, 1000 },
	{ CODEC_BSLZ4, 1, 7, 8192, 0 },
	{ CODEC_BSLZ4, 2, 3000000, 1 << 20, 1 << 20 },
	{ CODEC_BSLZ4, 2, 1 << 20, 1 << 20, 0xfffffff0 }, /* one block, whatever it says */
	{ CODEC_BSLZ4, 4, 5000, 4992, 0x80000000 },
	{ CODEC_BSZSTD, 1, 8192 * 2 + 13, 8192, 0 },
	{ CODEC_BSZSTD, 2, 8192 * 2 + 14, 8192, 0 },
	{ CODEC_BSZSTD, 4, 5000, 64, 64 },
	{ CODEC_BSZSTD, 2, 3000000, 1 << 20, 1 << 20 },
};

#define SHAPES (sizeof shapes / sizeof *shapes)

static struct packed pack_shape(const struct shape *s, const unsigned char *plain)
{
	return pack(s->codec, s->element, plain, s->bytes, s->block, s->announced);
}

ParameterizedTestParameters(decompress, gives_back_what_was_compressed)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(unshuffle_impls));
}

ParameterizedTest(unsigned *at, decompress, gives_back_what_was_compressed)
{
	const struct unshuffle_impl *row = &unshuffle_impls[*at];
	struct rig r;

	skip_unless(row->needs);
	rig_open_for(&r, row->needs);
	cr_assert_eq(r.d.unshuffle, row);
	for (size_t i = 0; i < SHAPES; i++) {
		const struct shape *s = &shapes[i];
		unsigned char *plain = counts(s->bytes, i + 1);
		struct packed p = pack_shape(s, plain);

		for (size_t gap = 0; gap<64; gap += s->bytes> 100000 ? 63 : 9) {
			const unsigned char *out;
			const char *why = run_at(&r, s->codec, s->element, p.data, p.size, s->bytes,
			                         gap, &out);

			cr_assert_null(why, "shape %zu: %s", i, why);
			cr_assert_eq(memcmp(out, plain, s->bytes), 0, "shape %zu", i);
		}
		free(plain);
		free(p.data);
	}
	rig_close(&r);
}

Test(decompress, refuses_room_of_another_size)
{
	struct rig r;

	rig_open(&r);
	for (size_t i = 0; i < SHAPES; i++) {
		const struct shape *s = &shapes[i];
		unsigned char *plain = counts(s->bytes, i + 1);
		struct packed p = pack_shape(s, plain);

		cr_expect_not_null(
			run(&r, s->codec, s->element, p.data, p.size, s->bytes - 1, NULL),
			"shape %zu", i);
		cr_expect_not_null(
			run(&r, s->codec, s->element, p.data, p.size, s->bytes + 1, NULL),
			"shape %zu", i);
		free(plain);
		free(p.data);
	}
	rig_close(&r);
}

Test(decompress, refuses_data_a_byte_short_or_long)
{
	struct rig r;

	rig_open(&r);
	for (size_t i = 0; i < SHAPES; i++) {
		const struct shape *s = &shapes[i];
		unsigned char *plain = counts(s->bytes, i + 1), *more;
		struct packed p = pack_shape(s, plain);

		cr_expect_not_null(
			run(&r, s->codec, s->element, p.data, p.size - 1, s->bytes, NULL),
			"shape %zu", i);
		more = realloc(p.data, p.size + 1);
		more[p.size] = 0;
		cr_expect_not_null(run(&r, s->codec, s->element, more, p.size + 1, s->bytes, NULL),
		                   "shape %zu", i);
		free(plain);
		free(more);
	}
	rig_close(&r);
}

/* Small data of every codec: several blocks and a tail. */
static const struct shape small[] = {
	{ CODEC_LZ4, 0, 70, 1, 0 },      { CODEC_LZ4_BLOCKS, 0, 70, 32, 32 },
	{ CODEC_BSLZ4, 1, 70, 32, 32 },  { CODEC_BSLZ4, 2, 70, 32, 32 },
	{ CODEC_BSLZ4, 4, 70, 32, 32 },  { CODEC_BSZSTD, 1, 70, 32, 32 },
	{ CODEC_BSZSTD, 2, 70, 32, 32 }, { CODEC_BSZSTD, 4, 70, 64, 64 },
};

Test(decompress, refuses_every_prefix)
{
	struct rig r;

	rig_open(&r);
	for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
		const struct shape *s = &small[i];
		unsigned char *plain = counts(s->bytes, i + 1);
		struct packed p = pack_shape(s, plain);

		for (size_t size = 0; size < p.size; size++)
			cr_expect_not_null(
				run(&r, s->codec, s->element, p.data, size, s->bytes, NULL),
				"%s cut to %zu", codec_name(s->codec), size);
		cr_expect_not_null(
			decompress(&r.d, s->codec, s->element, plain, s->bytes, NULL, 0));
		free(plain);
		free(p.data);
	}
	rig_close(&r);
}

Test(decompress, survives_every_other_byte)
{
	struct rig r;

	rig_open(&r);
	for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
		const struct shape *s = &small[i];
		unsigned char *plain = counts(s->bytes, i + 1);
		struct packed p = pack_shape(s, plain);

		for (size_t at = 0; at < p.size; at++) {
			unsigned char good = p.data[at];

			for (unsigned byte = 0; byte < 256; byte++) {
				uint64_t announced;
				const char *why;

				p.data[at] = (unsigned char)byte;
				run(&r, s->codec, s->element, p.data, p.size, s->bytes, NULL);
				cr_expect(decompress_announced(s->codec, s->element, p.data, p.size,
				                               &announced, &why) ||
				          why[0]);
			}
			p.data[at] = good;
		}
		cr_expect_null(run(&r, s->codec, s->element, p.data, p.size, s->bytes, NULL));
		free(plain);
		free(p.data);
	}
	rig_close(&r);
}

/* ---- heads ---- */

static const char *run_head(struct rig *r, enum codec c, unsigned element, uint64_t plain,
                            uint32_t block, uint32_t length, size_t room)
{
	unsigned char data[64] = { 0 };
	struct packed p = { data, 0 };

	put_head(&p, plain, block);
	put_be32(&p, length);
	return run(r, c, element, data, sizeof data, room, NULL);
}

Test(decompress, refuses_blocks_that_cannot_be)
{
	struct rig r;

	rig_open(&r);
	cr_expect_not_null(run_head(&r, CODEC_BSLZ4, 2, 64, 24, 8, 64), "no 8 elements");
	cr_expect_not_null(run_head(&r, CODEC_BSLZ4, 4, 64, 16, 8, 64), "no 8 elements");
	cr_expect_not_null(run_head(&r, CODEC_BSLZ4, 1, 64, 1, 8, 64), "no 8 elements");
	cr_expect_not_null(run_head(&r, CODEC_BSLZ4, 3, 48, 24, 8, 48), "elements of 3");
	cr_expect_not_null(run_head(&r, CODEC_BSLZ4, 0, 48, 24, 8, 48), "elements of 0");
	cr_expect_not_null(run_head(&r, CODEC_BSLZ4, 8, 64, 64, 8, 64), "elements of 8");
	cr_expect_not_null(run_head(&r, CODEC_LZ4_BLOCKS, 0, 64, 0, 8, 64), "no block");
	cr_expect_not_null(run_head(&r, CODEC_LZ4_BLOCKS, 0, 64, 0x80000000, 8, 64), "too large");
	rig_close(&r);
}

Test(decompress, refuses_bitshuffled_blocks_above_1_mib)
{
	struct shape large = { CODEC_BSLZ4, 2, (2 << 20) + 64, (1 << 20) + 16, (1 << 20) + 16 };
	unsigned char *plain = counts(large.bytes, 1);
	struct packed p = pack_shape(&large, plain);
	struct rig r;

	rig_open(&r);
	cr_expect_not_null(run(&r, large.codec, 2, p.data, p.size, large.bytes, NULL));
	rig_close(&r);
	free(plain);
	free(p.data);
}

Test(decompress, refuses_lengths_that_overflow)
{
	static const uint32_t lengths[] = { 49,         0x7fffffff, 0x80000000,
		                            0xfffffffb, 0xfffffffc, 0xffffffff };
	struct rig r;

	rig_open(&r);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		for (enum codec c = CODEC_LZ4_BLOCKS; c < CODEC_COUNT; c++)
			cr_expect_not_null(run_head(&r, c, 2, 64, 64, lengths[i], 64), "%s, %x",
			                   codec_name(c), lengths[i]);
	for (enum codec c = CODEC_LZ4_BLOCKS; c < CODEC_COUNT; c++) {
		cr_expect_not_null(run_head(&r, c, 2, UINT64_MAX, 64, 8, 64));
		cr_expect_not_null(run_head(&r, c, 2, (uint64_t)1 << 32, 64, 8, 64));
	}
	rig_close(&r);
}

Test(decompress, of_nothing_has_nothing_behind_it)
{
	struct rig r;

	rig_open(&r);
	for (enum codec c = CODEC_LZ4_BLOCKS; c < CODEC_COUNT; c++) {
		cr_expect_null(run(&r, c, 1, "\0\0\0\0\0\0\0\0\0\0\0\0", 12, 0, NULL));
		cr_expect_not_null(run(&r, c, 1, "\0\0\0\0\0\0\0\0\0\0\0\0x", 13, 0, NULL), "%s",
		                   codec_name(c));
	}
	rig_close(&r);
}

Test(decompress, of_a_bare_block_announces_nothing)
{
	uint64_t announced = 4711;
	const char *why = NULL;

	cr_expect_not(decompress_announced(CODEC_LZ4, 0, "0123456789abcdef", 16, &announced, &why));
	cr_expect_not_null(why);
	cr_expect_eq(announced, 4711);
	cr_expect_not(decompress_announced(CODEC_BSLZ4, 2, NULL, 0, &announced, &why));
}

Test(decompress, names_its_codecs)
{
	for (int a = 0; a < CODEC_COUNT; a++)
		for (int b = 0; b < a; b++)
			cr_expect_str_neq(codec_name((enum codec)a), codec_name((enum codec)b));
}

/* A zstd frame that asks for a large window gets none: the scratch is all there is. */
Test(decompress, takes_zstd_frames_of_any_window)
{
	size_t bytes = 1 << 20;
	unsigned char *plain = counts(bytes, 3), *rows = malloc(bytes);
	struct packed p = { malloc(2 * bytes), 0 };
	ZSTD_CCtx *context = ZSTD_createCCtx();
	const unsigned char *out;
	size_t squeezed;
	struct rig r;

	ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
	shuffle_impls[0].fn[1](rows, plain, bytes / 2);
	put_head(&p, bytes, (uint32_t)bytes);
	squeezed = ZSTD_compress2(context, p.data + 16, 2 * bytes - 16, rows, bytes);
	cr_assert_not(ZSTD_isError(squeezed));
	put_be32(&p, (uint32_t)squeezed);
	rig_open(&r);
	cr_assert_null(run(&r, CODEC_BSZSTD, 2, p.data, p.size + squeezed, bytes, &out));
	cr_expect_eq(memcmp(out, plain, bytes), 0);
	rig_close(&r);
	ZSTD_freeCCtx(context);
	free(plain);
	free(rows);
	free(p.data);
}

/* ---- recorded frames ---- */

/* The sha256 of data, as sha256sum has it. */
static void sha256_of(const void *data, size_t bytes, char ret[65])
{
	char path[] = "/tmp/openbeam-sha256-XXXXXX", command[128];
	int fd = mkstemp(path);
	FILE *file;

	cr_assert_geq(fd, 0);
	file = fdopen(fd, "wb");
	cr_assert_eq(fwrite(data, 1, bytes, file), bytes);
	fclose(file);
	snprintf(command, sizeof command, "sha256sum %s", path);
	file = popen(command, "r");
	cr_assert_not_null(file);
	cr_assert_eq(fread(ret, 1, 64, file), 64);
	ret[64] = '\0';
	pclose(file);
	remove(path);
}

/* What expected.json says of a file and, in it, of a part. */
static bool expected_sha256(const char *json, const char *name, const char *part, char ret[65])
{
	for (const char *at = json; (at = strstr(at, "\"file\"")); at++) {
		const char *next = strstr(at + 1, "\"file\""), *end = next ? next : at + strlen(at);
		size_t file_size, part_size, size;
		const char *file = value_of(at, end, "\"file\"", &file_size);
		const char *its_part = value_of(at, end, "\"part\"", &part_size);
		const char *sum = value_of(at, end, "\"sha256_decoded_native_le\"", &size);

		if (strncmp(file, name, file_size) != 0 || strlen(name) != file_size ||
		    (part && strncmp(its_part, part, strlen(part)) != 0))
			continue;
		memcpy(ret, sum, 64);
		ret[64] = '\0';
		return true;
	}
	return false;
}

static void expect_recorded(const char *json, const char *name, const char *part, enum codec c,
                            unsigned element, const void *data, size_t bytes, size_t plain)
{
	char expected[65], got[65];
	const unsigned char *out;
	const char *why;
	struct rig r;

	r.scratch = aligned_alloc(64, decompress_scratch_bytes());
	decompress_init(&r.d, r.scratch, cpu_detect());
	fence_open(&r.in, bytes);
	fence_open(&r.out, plain);
	why = run(&r, c, element, data, bytes, plain, &out);
	cr_assert_null(why, "%s: %s", name, why);
	cr_assert(expected_sha256(json, name, part, expected), "%s %s", name, part ? part : "");
	sha256_of(out, plain, got);
	cr_expect_str_eq(got, expected, "%s", name);
	rig_close(&r);
}

Test(decompress, gives_the_recorded_frames_of_dectris_v1)
{
	char *json = read_file("expected.json", NULL);

	for (unsigned s = 0; s < 2; s++)
		for (unsigned i = 0; i < 10; i++) {
			char name[64], *data;
			size_t bytes;

			snprintf(name, sizeof name, "dectris_v1_eiger2_1M/streamData.%06u",
			         11 + 49 * s + 4 * i);
			data = read_file(name, &bytes);
			expect_recorded(json, name, NULL, CODEC_LZ4, 0, data, bytes,
			                (size_t)1062 * 1028 * 4);
			free(data);
		}
	free(json);
}

/* The bytes behind a channel's name: tags and shape, then the head of a byte string. */
static const unsigned char *channel_data(const char *message, size_t size, const char *channel,
                                         size_t *ret_size)
{
	const unsigned char *at = memmem(message, size, channel, strlen(channel));
	static const unsigned char tag[] = { 0xd9, 0xdc, 0xb4, 0x83 };

	cr_assert_not_null(at);
	at = memmem(at, 64, tag, sizeof tag);
	cr_assert_not_null(at);
	at += sizeof tag;
	at += 1 + (*at & 31); /* the algorithm */
	at += 1;              /* the element */
	cr_assert_eq(*at, 0x5a, "a byte string of a 32-bit length");
	*ret_size = (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4];
	return at + 5;
}

Test(decompress, gives_the_recorded_frames_of_dectris_v2)
{
	static const char *const channels[] = { "threshold_1", "threshold_2", "difference" };
	static const struct {
		const char *name;
		enum codec codec;
		unsigned element;
	} files[] = { { "dectris_v2/bslz4_16bit_000001.cbor", CODEC_BSLZ4, 2 },
		      { "dectris_v2/bslz4_16bit_000002.cbor", CODEC_BSLZ4, 2 },
		      { "dectris_v2/lz4_8bit_000001.cbor", CODEC_LZ4_BLOCKS, 0 } };
	char *json = read_file("expected.json", NULL);

	for (size_t f = 0; f < 3; f++) {
		size_t size, bytes;
		char *message = read_file(files[f].name, &size);

		for (size_t c = 0; c < 3; c++) {
			const unsigned char *data =
				channel_data(message, size, channels[c], &bytes);
			unsigned pixel = files[f].element ? files[f].element : 1;

			expect_recorded(json, files[f].name, channels[c], files[f].codec,
			                files[f].element, data, bytes, (size_t)514 * 1030 * pixel);
		}
		free(message);
	}
	free(json);
}
