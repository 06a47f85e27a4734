/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/widen.h"

#include <math.h>
#include <string.h>

static void put(char *out, size_t i, int64_t value, int64_t no_value)
{
	float wide = value == no_value ? NAN : (float)value;

	memcpy(out + i * sizeof wide, &wide, sizeof wide);
}

static void widen8(char *out, const char *raw, int64_t no_value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(out, i, (int8_t)raw[i], no_value);
}

static void widen16(char *out, const char *raw, bool swap, int64_t no_value, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t v;

		memcpy(&v, raw + i * sizeof v, sizeof v);
		put(out, i, (int16_t)(swap ? __builtin_bswap16(v) : v), no_value);
	}
}

static void widen32(char *out, const char *raw, bool swap, int64_t no_value, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v;

		memcpy(&v, raw + i * sizeof v, sizeof v);
		put(out, i, (int32_t)(swap ? __builtin_bswap32(v) : v), no_value);
	}
}

void widen_signed(void *out, const void *raw, unsigned bytes, bool big_endian, int64_t no_value,
                  size_t n)
{
	if (bytes == 1)
		widen8(out, raw, no_value, n);
	else if (bytes == 2)
		widen16(out, raw, big_endian, no_value, n);
	else
		widen32(out, raw, big_endian, no_value, n);
}
