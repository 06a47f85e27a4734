/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <jansson.h>

/* What the figures were measured on: cpu, cores, isa, caches, memory, kernel, compiler. A new
 * reference, or NULL without memory. */
json_t *machine_json(void);

/* Cores this process may run on, 1 to CREW_MAX. */
unsigned machine_cores(void);

#endif
