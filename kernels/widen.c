/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/widen.h"

#include <math.h>
#include <string.h>

unsigned stored_bytes(enum stored_type t)
{
	static const unsigned bytes[STORED_TYPE_COUNT] = {
		[STORED_INT8] = 1,   [STORED_INT16] = 2,   [STORED_INT32] = 4,   [STORED_INT64] = 8,
		[STORED_UINT64] = 8, [STORED_FLOAT16] = 2, [STORED_FLOAT64] = 8,
	};

	return bytes[t];
}

static float of_half(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31;
	uint32_t fraction = half & 1023;
	uint32_t bits = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
	float normal;

	memcpy(&normal, &bits, sizeof normal);
	return exponent ? normal : (sign ? -0x1p-24f : 0x1p-24f) * (float)fraction;
}

static float of_double(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof value);
	return (float)value;
}

#define AS_IS(word)      (word)
#define SWAP16(word)     __builtin_bswap16((uint16_t)(word))
#define SWAP32(word)     __builtin_bswap32((uint32_t)(word))
#define SWAP64(word)     __builtin_bswap64((uint64_t)(word))
#define OF_INTEGER(word) ((float)(word))

#define BLOCK 1024

/* Through arrays that overlap nothing: the loops vectorise, and in place a block is read before it
 * is written over. */
#define WIDEN(NAME, WORD, SWAP, VALUE, IS_INTEGER)                                                 \
	static void NAME(char *out, const char *raw, bool big_endian, int64_t no_value, size_t n)  \
	{                                                                                          \
		bool some_lack = IS_INTEGER && no_value != WIDEN_NO_VALUE &&                       \
		                 (int64_t)(WORD)no_value == no_value;                              \
		WORD words[BLOCK];                                                                 \
		float wide[BLOCK];                                                                 \
                                                                                                   \
		for (size_t from = 0; from < n; from += BLOCK) {                                   \
			size_t count = n - from < BLOCK ? n - from : BLOCK;                        \
                                                                                                   \
			memcpy(words, raw + from * sizeof *words, count * sizeof *words);          \
			if (big_endian)                                                            \
				for (size_t i = 0; i < count; i++)                                 \
					words[i] = (WORD)SWAP(words[i]);                           \
			for (size_t i = 0; i < count; i++)                                         \
				wide[i] = VALUE(words[i]);                                         \
			if (some_lack)                                                             \
				for (size_t i = 0; i < count; i++)                                 \
					wide[i] = words[i] == (WORD)no_value ? NAN : wide[i];      \
			memcpy(out + from * sizeof *wide, wide, count * sizeof *wide);             \
		}                                                                                  \
	}

WIDEN(widen_int8, int8_t, AS_IS, OF_INTEGER, true)
WIDEN(widen_int16, int16_t, SWAP16, OF_INTEGER, true)
WIDEN(widen_int32, int32_t, SWAP32, OF_INTEGER, true)
WIDEN(widen_int64, int64_t, SWAP64, OF_INTEGER, true)
WIDEN(widen_uint64, uint64_t, SWAP64, OF_INTEGER, true)
WIDEN(widen_float16, uint16_t, SWAP16, of_half, false)
WIDEN(widen_float64, uint64_t, SWAP64, of_double, false)

void widen(void *out, const void *raw, enum stored_type type, bool big_endian, int64_t no_value,
           size_t n)
{
	static void (*const rows[STORED_TYPE_COUNT])(char *, const char *, bool, int64_t,
	                                             size_t) = {
		[STORED_INT8] = widen_int8,       [STORED_INT16] = widen_int16,
		[STORED_INT32] = widen_int32,     [STORED_INT64] = widen_int64,
		[STORED_UINT64] = widen_uint64,   [STORED_FLOAT16] = widen_float16,
		[STORED_FLOAT64] = widen_float64,
	};

	rows[type](out, raw, big_endian, no_value, n);
}
