/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ARGUMENTS_H
#define BENCH_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

/* Values on a command line. The whole text must be the value; nothing is guessed. */

/* A decimal number from `low` to `high`. */
bool argument_u64(const char *text, uint64_t low, uint64_t high, uint64_t *ret);

/* A finite decimal number from `low` to `high`. */
bool argument_double(const char *text, double low, double high, double *ret);

/* WIDTHxHEIGHT in pixels, each 1 to 65535. */
bool argument_size(const char *text, uint32_t *ret_width, uint32_t *ret_height);

#endif
