/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/crc32c.h"

#include <immintrin.h>
#include <string.h>

/* The crc32 instruction takes three cycles and starts one in each: three stretches of the data
 * run side by side and are joined by multiplication in GF(2). */
#define STRETCH 1024 /* bytes */

/* x^(8 n - 33) mod P, reflected, for n = STRETCH and 2 STRETCH: multiplying a state by it, the
 * product's 33 further steps being those of the carry-less multiply and of the crc32 that reduces
 * it, appends n zero bytes. */
#define APPEND_1 0x170076fa
#define APPEND_2 0xa51b6135

static inline uint64_t load64(const char *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	return v;
}

static inline uint64_t append_zeros(uint64_t state, uint64_t factor)
{
	__m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)state),
	                                       _mm_cvtsi64_si128((long long)factor), 0);

	return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

static inline uint64_t add_three(uint64_t state, const char *at)
{
	uint64_t second = 0, third = 0;

	for (size_t i = 0; i < STRETCH; i += 8) {
		state = _mm_crc32_u64(state, load64(at + i));
		second = _mm_crc32_u64(second, load64(at + STRETCH + i));
		third = _mm_crc32_u64(third, load64(at + 2 * STRETCH + i));
	}
	return append_zeros(state, APPEND_2) ^ append_zeros(second, APPEND_1) ^ third;
}

uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t n)
{
	const char *at = data;
	uint64_t state = (uint32_t)~crc;

	for (; n >= 3 * STRETCH; at += 3 * STRETCH, n -= 3 * STRETCH)
		state = add_three(state, at);
	for (; n >= 8; at += 8, n -= 8)
		state = _mm_crc32_u64(state, load64(at));
	for (; n > 0; at++, n--)
		state = _mm_crc32_u8((uint32_t)state, (unsigned char)*at);
	return ~(uint32_t)state;
}
