/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_ISA_ROWS_H
#define TESTS_ISA_ROWS_H

#include "kernels/cpu.h"

#include <criterion/criterion.h>
#include <stddef.h>

/* The rows of a table of implementations as parameters of a test: numbers, since each case runs in
 * a process of its own. */
#define ISA_ROWS_MAX 8

static unsigned isa_rows[ISA_ROWS_MAX] = { 0, 1, 2, 3, 4, 5, 6, 7 };

/* How many there are for this processor: a table ends with a row without a name. */
#define ISA_ROWS_OF(table)                                                                         \
	({                                                                                         \
		size_t n = 0;                                                                      \
		while (n < ISA_ROWS_MAX && (table)[n].name)                                        \
			n++;                                                                       \
		n;                                                                                 \
	})

/* Skip what this CPU cannot run. */
static inline void skip_unless(unsigned needs)
{
	if (needs & ~cpu_detect())
		cr_skip_test("this CPU lacks the instruction set");
}

#endif
