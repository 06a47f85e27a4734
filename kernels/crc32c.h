/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_CRC32C_H
#define KERNELS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli, polynomial 0x1edc6f41 reflected; RFC 3720 appendix B.4).
 *
 *   crc = crc32c(0, a, n);  crc = crc32c(crc, b, m);    is the checksum of a followed by b
 *
 * Initial value and final inversion are inside: crc32c(0, "123456789", 9) is 0xe3069283.
 * Any length, any alignment. Cannot fail. */
typedef uint32_t crc32c_fn(uint32_t crc, const void *data, size_t n);

struct crc32c_impl {
	const char *name;
	unsigned needs; /* enum cpu_flag */
	crc32c_fn *fn;
};

extern const struct crc32c_impl crc32c_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
crc32c_fn *crc32c_for(unsigned cpu);

crc32c_fn crc32c_scalar, crc32c_sse42, crc32c_avx512icl;

#endif
