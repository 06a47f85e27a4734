/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/counting.h"

#include "kernels/cpu.h"

#include <string.h>

/* `tables` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void count_index(uint32_t *restrict at,
                                                              unsigned tables, uint32_t stride,
                                                              const char *restrict index,
                                                              unsigned shift, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t four[2];

		memcpy(four, index + 2 * i, sizeof four);
		for (unsigned j = 0; j < 8; j++)
			at[(j % tables) * stride +
			   ((uint16_t)(four[j / 4] >> 16 * (j % 4)) >> shift)]++;
	}
	for (; i < n; i++) {
		uint16_t one;

		memcpy(&one, index + 2 * i, sizeof one);
		at[one >> shift]++;
	}
}

void count_codes_scalar(uint64_t *restrict counts, const uint8_t *restrict codes, size_t n)
{
	for (size_t i = 0; i < n; i += 8) {
		uint64_t eight;

		memcpy(&eight, codes + i, sizeof eight);
		for (unsigned j = 0; j < 8; j++)
			counts[j % CODE_TABLES * 256 + (uint8_t)(eight >> 8 * j)]++;
	}
}

/* Most are bin numbers, or 12 bits of 16: shifts by a constant. */
static inline __attribute__((always_inline)) void count_in(uint32_t *restrict at, unsigned tables,
                                                           uint32_t stride,
                                                           const char *restrict index,
                                                           unsigned shift, size_t n)
{
	switch (shift) {
	case 0:
		count_index(at, tables, stride, index, 0, n);
		break;
	case 4:
		count_index(at, tables, stride, index, 4, n);
		break;
	default:
		count_index(at, tables, stride, index, shift, n);
	}
}

void count_index_scalar(uint32_t *restrict tables, struct histogram_tables s,
                        const void *restrict index, unsigned shift, size_t n)
{
	switch (s.tables) {
	case 8:
		count_in(tables, 8, s.stride, index, shift, n);
		break;
	case 4:
		count_in(tables, 4, s.stride, index, shift, n);
		break;
	case 2:
		count_in(tables, 2, s.stride, index, shift, n);
		break;
	default:
		count_in(tables, 1, s.stride, index, shift, n);
	}
}

const struct counting_impl *counting_for(unsigned cpu)
{
	const struct counting_impl *best = counting_impls;

	for (const struct counting_impl *i = counting_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best;
}

const struct counting_impl counting_impls[] = {
	{ "scalar", 0, count_codes_scalar, count_index_scalar },
#ifdef __x86_64__
	{ "avx512icl", CPU_AVX512 | CPU_AVX512ICL, count_codes_avx512icl, count_index_avx512icl },
#endif
	{ 0 },
};
