/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/unshuffle_lanes.h"

#include <stdint.h>

/* One product of matrices transposes a column's 8 x 8 bits: the rows are the matrix, last row first
 * as the instruction has it, and byte i of the other operand picks bit i of each. */
static inline __attribute__((always_inline)) void bytes_of_rows(__m512i v[8], const char *in,
                                                                size_t stride)
{
	__m512i bits = _mm512_set1_epi64((int64_t)UINT64_C(0x8040201008040201));

	for (size_t r = 0; r < 8; r++)
		v[7 - r] = _mm512_loadu_si512(in + r * stride);
	interleave(v);
	for (int k = 0; k < 8; k++)
		v[k] = _mm512_gf2p8affine_epi64_epi8(bits, v[k], 0);
}

void unshuffle8_avx512icl(void *restrict out, const void *restrict in, size_t n)
{
	unshuffle_lanes(bytes_of_rows, 1, out, in, n);
}

void unshuffle16_avx512icl(void *restrict out, const void *restrict in, size_t n)
{
	unshuffle_lanes(bytes_of_rows, 2, out, in, n);
}

void unshuffle32_avx512icl(void *restrict out, const void *restrict in, size_t n)
{
	unshuffle_lanes(bytes_of_rows, 4, out, in, n);
}
