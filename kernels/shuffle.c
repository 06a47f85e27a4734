/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/shuffle.h"

#include "kernels/bit_square.h"
#include "kernels/cpu.h"

/* Eight elements are a byte of each row. */
static inline __attribute__((always_inline)) void columns(unsigned char *restrict out,
                                                          const unsigned char *restrict in,
                                                          size_t elem_bytes, size_t n, size_t first)
{
	size_t stride = n / 8;

	for (size_t j = first; j < stride; j++) {
		for (size_t b = 0; b < elem_bytes; b++) {
			uint64_t square = 0;

			for (size_t i = 0; i < 8; i++)
				square |= (uint64_t)in[(8 * j + i) * elem_bytes + b] << 8 * i;
			square = bit_square_transpose(square);
			for (size_t r = 0; r < 8; r++)
				out[(8 * b + r) * stride + j] = (unsigned char)(square >> 8 * r);
		}
	}
}

void shuffle_columns(void *restrict out, const void *restrict in, size_t elem_bytes, size_t n,
                     size_t column)
{
	columns(out, in, elem_bytes, n, column);
}

void shuffle8_scalar(void *restrict out, const void *restrict in, size_t n)
{
	columns(out, in, 1, n, 0);
}

void shuffle16_scalar(void *restrict out, const void *restrict in, size_t n)
{
	columns(out, in, 2, n, 0);
}

void shuffle32_scalar(void *restrict out, const void *restrict in, size_t n)
{
	columns(out, in, 4, n, 0);
}

const struct shuffle_impl *shuffle_for(unsigned cpu)
{
	const struct shuffle_impl *best = shuffle_impls;

	for (const struct shuffle_impl *i = shuffle_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best;
}

const struct shuffle_impl shuffle_impls[] = {
	{ "scalar", 0, { shuffle8_scalar, shuffle16_scalar, shuffle32_scalar } },
#ifdef __x86_64__
	{ "avx2", CPU_AVX2, { shuffle8_avx2, shuffle16_avx2, shuffle32_avx2 } },
	{ "avx512", CPU_AVX512, { shuffle8_avx512, shuffle16_avx512, shuffle32_avx512 } },
#endif
	{ 0 },
};
