/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/unpack.h"

#include "kernels/cpu.h"

#include <stdint.h>
#include <string.h>

void copy8(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	memcpy(out, (const char *)raw + first, n);
}

void copy16(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	memcpy(out, (const char *)raw + 2 * first, 2 * n);
}

void copy32(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	memcpy(out, (const char *)raw + 4 * first, 4 * n);
}

void swap16_scalar(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t v;

		memcpy(&v, (const char *)raw + 2 * (first + i), sizeof v);
		v = __builtin_bswap16(v);
		memcpy((char *)out + 2 * i, &v, sizeof v);
	}
}

void swap32_scalar(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v;

		memcpy(&v, (const char *)raw + 4 * (first + i), sizeof v);
		v = __builtin_bswap32(v);
		memcpy((char *)out + 4 * i, &v, sizeof v);
	}
}

static uint8_t nibble(const uint8_t *raw, size_t pixel)
{
	return pixel % 2 ? raw[pixel / 2] & 15 : raw[pixel / 2] >> 4;
}

/* By pairs, which the compiler makes vectors of. */
void nibbles_scalar(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	const uint8_t *from = raw;
	uint8_t *to = out;
	size_t odd = first % 2 && n > 0, pairs = (n - odd) / 2;

	if (odd)
		*to++ = nibble(from, first);
	from += (first + odd) / 2;
	for (size_t i = 0; i < pairs; i++) {
		to[2 * i] = from[i] >> 4;
		to[2 * i + 1] = from[i] & 15;
	}
	if (odd + 2 * pairs < n)
		to[2 * pairs] = from[pairs] >> 4;
}

const struct unpack_impl *unpack_for(unsigned cpu)
{
	const struct unpack_impl *best = unpack_impls;

	for (const struct unpack_impl *i = unpack_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best;
}

/* The payload's little-endian layouts are the machine's: big-endian machines are not built for. */
#define UNPACK_ROW(name, needs, swap, packed)                                                      \
	{                                                                                          \
		name, needs,                                                                       \
		{                                                                                  \
			[RAW_UINT8] = copy8, [RAW_UINT16] = copy16,                                \
			[RAW_UINT16_BE] = swap16_##swap, [RAW_UINT32] = copy32,                    \
			[RAW_UINT32_BE] = swap32_##swap, [RAW_FLOAT32] = copy32,                   \
			[RAW_FLOAT32_BE] = swap32_##swap, [RAW_MONO10P] = mono10p_##packed,        \
			[RAW_MONO10_PACKED] = mono10packed_##packed,                               \
			[RAW_MONO12P] = mono12p_##packed,                                          \
			[RAW_MONO12_PACKED] = mono12packed_##packed,                               \
			[RAW_MONO14P] = mono14p_##packed, [RAW_NIBBLES] = nibbles_scalar           \
		}                                                                                  \
	}

const struct unpack_impl unpack_impls[] = {
	UNPACK_ROW("scalar", 0, scalar, scalar),
#ifdef __x86_64__
	UNPACK_ROW("avx2", CPU_AVX2, avx2, avx2),
	UNPACK_ROW("avx512", CPU_AVX512, avx512, avx512),
	UNPACK_ROW("avx512icl", CPU_AVX512 | CPU_AVX512ICL, avx512, avx512icl),
#endif
	{ 0 },
};
