/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/crc32c.h"

#include "kernels/cpu.h"

#include <string.h>

/* A table of 256 remainders is linear in the index: eight of them, those of the powers of two,
 * give all. */
#define ENTRY(i, a, b, c, d, e, f, g, h)                                                           \
	(((i) >> 0 & 1) * a ^ ((i) >> 1 & 1) * b ^ ((i) >> 2 & 1) * c ^ ((i) >> 3 & 1) * d ^       \
	 ((i) >> 4 & 1) * e ^ ((i) >> 5 & 1) * f ^ ((i) >> 6 & 1) * g ^ ((i) >> 7 & 1) * h)
#define ENTRIES4(i, ...)                                                                           \
	ENTRY(i, __VA_ARGS__), ENTRY(i + 1, __VA_ARGS__), ENTRY(i + 2, __VA_ARGS__),               \
		ENTRY(i + 3, __VA_ARGS__)
#define ENTRIES16(i, ...)                                                                          \
	ENTRIES4(i, __VA_ARGS__), ENTRIES4(i + 4, __VA_ARGS__), ENTRIES4(i + 8, __VA_ARGS__),      \
		ENTRIES4(i + 12, __VA_ARGS__)
#define ENTRIES64(i, ...)                                                                          \
	ENTRIES16(i, __VA_ARGS__), ENTRIES16(i + 16, __VA_ARGS__), ENTRIES16(i + 32, __VA_ARGS__), \
		ENTRIES16(i + 48, __VA_ARGS__)
#define TABLE(...)                                                                                 \
	{                                                                                          \
		ENTRIES64(0u, __VA_ARGS__), ENTRIES64(64u, __VA_ARGS__),                           \
			ENTRIES64(128u, __VA_ARGS__), ENTRIES64(192u, __VA_ARGS__)                 \
	}

/* remainders[k][i]: of byte i followed by k zero bytes. */
static const uint32_t remainders[8][256] = {
	TABLE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc,
	      0x82f63b78),
	TABLE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604,
	      0xfbc3faf9),
	TABLE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9,
	      0x8b277743),
	TABLE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7,
	      0x52a0c93f),
	TABLE(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae,
	      0x6ea2d55c),
	TABLE(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb,
	      0x1c08b7d6),
	TABLE(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a,
	      0xf56e0ef4),
	TABLE(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32,
	      0x34019664),
};

static inline uint32_t add8(uint32_t state, const char *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	v ^= state;
	state = 0;
	for (unsigned i = 0; i < 8; i++)
		state ^= remainders[7 - i][v >> 8 * i & 0xff];
	return state;
}

uint32_t crc32c_scalar(uint32_t crc, const void *data, size_t n)
{
	const char *at = data;
	uint32_t state = ~crc;

	for (; n >= 8; at += 8, n -= 8)
		state = add8(state, at);
	for (; n > 0; at++, n--)
		state = state >> 8 ^ remainders[0][(state ^ (unsigned char)*at) & 0xff];
	return ~state;
}

crc32c_fn *crc32c_for(unsigned cpu)
{
	const struct crc32c_impl *best = crc32c_impls;

	for (const struct crc32c_impl *i = crc32c_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best->fn;
}

const struct crc32c_impl crc32c_impls[] = {
	{ "scalar", 0, crc32c_scalar },
#ifdef __x86_64__
	{ "sse42", CPU_SSE42, crc32c_sse42 },
	{ "avx512icl", CPU_AVX512ICL, crc32c_avx512icl },
#endif
	{ 0 },
};
