/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LEDGER_CHECK_H
#define BENCH_LEDGER_CHECK_H

#include <stdbool.h>
#include <stdint.h>

/* What frames.csv must say of a series of the numbers 0 to frames - 1: each once, and of those that
 * were written the checksum of their picture. */
struct ledger_rule {
	uint64_t frames;
	const uint32_t *crc32c; /* of the written frames by place of the pattern [places] */
	uint64_t places;
	bool any_place; /* a frame may be of any place, not of its number modulo places */
};

/* What it says. */
struct ledger_found {
	uint64_t right;             /* numbers written, with a right checksum */
	uint64_t lost;              /* numbers of another state */
	uint64_t wrong;             /* written, with another checksum */
	uint64_t twice;             /* further lines of a number that had one */
	uint64_t foreign;           /* lines of a number that is not of the series */
	uint64_t absent;            /* numbers without a line */
	uint64_t first_received_ns; /* the earliest, CLOCK_REALTIME; 0: none was received */
};

/* Read it. 0; negative errno of the file, -EPROTO: it has not the columns, -ENOMEM. */
int ledger_check(const char *path, const struct ledger_rule *rule, struct ledger_found *ret);

/* How much of it should not be there, whatever became of the frames. */
uint64_t ledger_faults(const struct ledger_found *f);

/* Nothing lost, nothing at fault, and something there. */
bool ledger_exact(const struct ledger_found *f);

/* sum += f; the first is that of both. */
void ledger_add(struct ledger_found *sum, const struct ledger_found *f);

#endif
