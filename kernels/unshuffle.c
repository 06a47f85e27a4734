/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/unshuffle.h"

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

			for (size_t r = 0; r < 8; r++)
				square |= (uint64_t)in[(8 * b + r) * stride + j] << 8 * r;
			square = bit_square_transpose(square);
			for (size_t i = 0; i < 8; i++)
				out[(8 * j + i) * elem_bytes + b] =
					(unsigned char)(square >> 8 * i);
		}
	}
}

void unshuffle_columns(void *restrict out, const void *restrict in, size_t elem_bytes, size_t n,
                       size_t column)
{
	columns(out, in, elem_bytes, n, column);
}

void unshuffle8_scalar(void *restrict out, const void *restrict in, size_t n)
{
	columns(out, in, 1, n, 0);
}

void unshuffle16_scalar(void *restrict out, const void *restrict in, size_t n)
{
	columns(out, in, 2, n, 0);
}

void unshuffle32_scalar(void *restrict out, const void *restrict in, size_t n)
{
	columns(out, in, 4, n, 0);
}

const struct unshuffle_impl *unshuffle_for(unsigned cpu)
{
	const struct unshuffle_impl *best = unshuffle_impls;

	for (const struct unshuffle_impl *i = unshuffle_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best;
}

const struct unshuffle_impl unshuffle_impls[] = {
	{ "scalar", 0, { unshuffle8_scalar, unshuffle16_scalar, unshuffle32_scalar } },
#ifdef __x86_64__
	{ "avx2", CPU_AVX2, { unshuffle8_avx2, unshuffle16_avx2, unshuffle32_avx2 } },
	{ "avx512", CPU_AVX512, { unshuffle8_avx512, unshuffle16_avx512, unshuffle32_avx512 } },
	{ "avx512icl",
	  CPU_AVX512 | CPU_AVX512ICL,
	  { unshuffle8_avx512icl, unshuffle16_avx512icl, unshuffle32_avx512icl } },
#endif
	{ 0 },
};
