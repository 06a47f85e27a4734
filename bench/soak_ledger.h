/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SOAK_LEDGER_H
#define BENCH_SOAK_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the ledger of a series is exact: each number once, written, with its checksum. */
struct soak_ledger {
	uint64_t right;   /* numbers with a line of theirs, as it must be */
	uint64_t wrong;   /* lines of another state or with another checksum */
	uint64_t twice;   /* further lines of a number that had one */
	uint64_t foreign; /* lines of a number that is not of the series */
	uint64_t absent;  /* numbers without a line */
};

/* Read the frames.csv at `path` of a series of the numbers 0 to frames - 1.
 * crc32c   of the written frames, by number modulo `places` [places]
 * 0; negative errno of the file, -EPROTO: it has not the columns, -ENOMEM. */
int soak_ledger_check(const char *path, uint64_t frames, const uint32_t *crc32c, uint64_t places,
                      struct soak_ledger *ret);

bool soak_ledger_exact(const struct soak_ledger *l);

/* sum += l. */
void soak_ledger_add(struct soak_ledger *sum, const struct soak_ledger *l);

#endif
