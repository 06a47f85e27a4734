/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_LITTLE_ENDIAN_H
#define SINKS_LITTLE_ENDIAN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Numbers in the files of ours, at any alignment. */

static inline void put32(unsigned char *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof v);
}

static inline void put64(unsigned char *at, uint64_t v)
{
	v = htole64(v);
	memcpy(at, &v, sizeof v);
}

static inline void put_double(unsigned char *at, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	put64(at, bits);
}

static inline void put_float(unsigned char *at, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof bits);
	put32(at, bits);
}

static inline uint32_t get32(const unsigned char *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof v);
	return le32toh(v);
}

static inline uint64_t get64(const unsigned char *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	return le64toh(v);
}

static inline double get_double(const unsigned char *at)
{
	uint64_t bits = get64(at);
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static inline float get_float(const unsigned char *at)
{
	uint32_t bits = get32(at);
	float v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

#endif
