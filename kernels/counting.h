/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_COUNTING_H
#define KERNELS_COUNTING_H

#include "kernels/histogram.h"

#include <stddef.h>
#include <stdint.h>

/* Count bin numbers of at most 16 bits into the tables of one histogram of one frame.
 *
 *   tables[index[i] >> shift]++     in any of the tables; they are added up at the end
 *
 * tables  added to                                    [histogram_tables_size()]
 * index   uint16, shifted it is below bins            [n], any alignment, any n below 2^31
 * shift   0 for bin numbers; raw pixels whose bins are a power of two wide need no numbering
 *
 * Every implementation adds the same, to whichever tables. Cannot fail. */
typedef void count_index_fn(uint32_t *restrict tables, struct histogram_tables s,
                            const void *restrict index, unsigned shift, size_t n);

/* The same for bin numbers of 8 bits.
 *
 * counts  added to, aligned to 64 bytes     [CODE_TABLES][256]
 * codes                                     [n], n a multiple of 64 */
#define CODE_TABLES 4
#define CODE_COUNTS ((size_t)CODE_TABLES * 256)

typedef void count_codes_fn(uint64_t *restrict counts, const uint8_t *restrict codes, size_t n);

struct counting_impl {
	const char *name;
	unsigned needs; /* enum cpu_flag */
	count_codes_fn *codes;
	count_index_fn *index;
};

extern const struct counting_impl counting_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
const struct counting_impl *counting_for(unsigned cpu);

count_codes_fn count_codes_scalar, count_codes_avx512icl;
count_index_fn count_index_scalar, count_index_avx512icl;

#endif
