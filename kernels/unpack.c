/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/unpack.h"

#include "kernels/cpu.h"

#include <stdint.h>
#include <string.h>

void copy8(void *restrict out, const void *restrict raw, size_t n)
{
	memcpy(out, raw, n);
}

void copy16(void *restrict out, const void *restrict raw, size_t n)
{
	memcpy(out, raw, 2 * n);
}

void copy32(void *restrict out, const void *restrict raw, size_t n)
{
	memcpy(out, raw, 4 * n);
}

void swap16_scalar(void *restrict out, const void *restrict raw, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t v;

		memcpy(&v, (const char *)raw + 2 * i, sizeof v);
		v = __builtin_bswap16(v);
		memcpy((char *)out + 2 * i, &v, sizeof v);
	}
}

void swap32_scalar(void *restrict out, const void *restrict raw, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v;

		memcpy(&v, (const char *)raw + 4 * i, sizeof v);
		v = __builtin_bswap32(v);
		memcpy((char *)out + 4 * i, &v, sizeof v);
	}
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
#define UNPACK_ROW(name, needs, swap16, swap32)                                                    \
	{                                                                                          \
		name, needs,                                                                       \
		{                                                                                  \
			[RAW_UINT8] = copy8, [RAW_UINT16] = copy16, [RAW_UINT16_BE] = swap16,      \
			[RAW_UINT32] = copy32, [RAW_UINT32_BE] = swap32, [RAW_FLOAT32] = copy32,   \
			[RAW_FLOAT32_BE] = swap32                                                  \
		}                                                                                  \
	}

const struct unpack_impl unpack_impls[] = {
	UNPACK_ROW("scalar", 0, swap16_scalar, swap32_scalar),
#ifdef __x86_64__
	UNPACK_ROW("avx2", CPU_AVX2, swap16_avx2, swap32_avx2),
	UNPACK_ROW("avx512", CPU_AVX512, swap16_avx512, swap32_avx512),
#endif
	{ 0 },
};
