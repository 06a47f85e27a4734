/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/unpack.h"

#include <stdint.h>
#include <string.h>

/* Four pixels of a stream of bits are 4 * bits / 8 whole bytes; `bits` is a constant once inlined,
 * and even. */
static inline uint64_t load_group(const uint8_t *group, unsigned bits)
{
	uint64_t v = 0;

	memcpy(&v, group, bits / 2);
	return v;
}

static inline uint16_t stream_pixel(const uint8_t *raw, size_t at, unsigned bits)
{
	const uint8_t *group = raw + at / 4 * (bits / 2);
	unsigned first = (unsigned)(at % 4) * bits, last = first + bits - 1;
	uint32_t v = 0;

	for (unsigned byte = first / 8; byte <= last / 8; byte++)
		v |= (uint32_t)group[byte] << (8 * (byte - first / 8));
	return (uint16_t)(v >> first % 8 & ((1u << bits) - 1));
}

static inline void store(char *restrict out, size_t i, uint16_t pixel)
{
	memcpy(out + i * sizeof pixel, &pixel, sizeof pixel);
}

static inline void unpack_stream(char *restrict out, const uint8_t *restrict raw, size_t first,
                                 size_t n, unsigned bits)
{
	size_t i = 0;

	for (; i < n && (first + i) % 4; i++)
		store(out, i, stream_pixel(raw, first + i, bits));
	for (; i + 4 <= n; i += 4) {
		uint64_t v = load_group(raw + (first + i) / 4 * (bits / 2), bits);

		for (unsigned k = 0; k < 4; k++)
			store(out, i + k, (uint16_t)(v >> k * bits & ((1u << bits) - 1)));
	}
	for (; i < n; i++)
		store(out, i, stream_pixel(raw, first + i, bits));
}

/* `low` bits of each pixel lie in the byte that two pixels share. */
static inline uint16_t shared_pixel(const uint8_t *raw, size_t at, unsigned low)
{
	const uint8_t *pair = raw + at / 2 * 3;
	unsigned high = pair[at % 2 ? 2 : 0], shared = pair[1] >> (at % 2 ? 4 : 0);

	return (uint16_t)(high << low | (shared & ((1u << low) - 1)));
}

static inline void unpack_shared(char *restrict out, const uint8_t *restrict raw, size_t first,
                                 size_t n, unsigned low)
{
	for (size_t i = 0; i < n; i++)
		store(out, i, shared_pixel(raw, first + i, low));
}

void mono10p_scalar(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack_stream(out, raw, first, n, 10);
}

void mono10packed_scalar(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack_shared(out, raw, first, n, 2);
}

void mono12p_scalar(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack_stream(out, raw, first, n, 12);
}

void mono12packed_scalar(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack_shared(out, raw, first, n, 4);
}

void mono14p_scalar(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack_stream(out, raw, first, n, 14);
}
