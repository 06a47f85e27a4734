/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_WRITE_TIMES_H
#define SINKS_WRITE_TIMES_H

#include <stdint.h>

/* How long writes took, in classes: class i has those of up to write_time_ns(i), and not of the
 * class before. */
#define WRITE_TIMES 9

/* What one sink has in it. */
struct writer_share {
	uint64_t written_bytes, write_errors, sync_errors;
};

/* 0.25 ms, 1 ms, ... 4.096 s; the last one has no limit. */
static inline uint64_t write_time_ns(unsigned i)
{
	return i + 1 < WRITE_TIMES ? (uint64_t)250000 << (2 * i) : UINT64_MAX;
}

#endif
