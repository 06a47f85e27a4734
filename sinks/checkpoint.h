/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_CHECKPOINT_H
#define SINKS_CHECKPOINT_H

#include "sinks/sinks.h"
#include "sinks/writer.h"

/* What a series has counted so far, kept on disk while it runs: its histograms, which no record of
 * the journal has, and the newest frame number, so that recovery knows of frames that came and were
 * not durable yet. histogram.bin holds two copies, written in turn, so that one is always whole; it
 * is removed when histogram.csv is there.
 *
 * A copy, little-endian, at 0 and at half of the file:
 *   0   "OBCHECK1"            8   u64 generation     16  u64 frames counted
 *   24  u64 newest number     32  u32 bins raw, normalised
 *   40  f64 low, high raw     56  f64 low, high normalised
 *   72  u64 below, above, nan raw                    96  the same normalised
 *   128 u64 counts raw, then normalised              then u32 CRC-32C of all before
 *
 * A checkpoint that cannot be written is said once, and costs nothing else. */

#define CHECKPOINT_NAME "histogram.bin"

struct checkpoint {
	struct writer *writer;
	unsigned sink; /* whose figures it counts for */
	int fd;        /* -1: closed */
	const struct sink_histograms *histograms;
	unsigned char *copy; /* [copy_bytes], aligned */
	size_t copy_bytes;
	uint64_t generation;
	uint64_t next_ns; /* monotonic */
	bool busy, failed;
	int error;
	struct writer_op op;
};

/* Create the file in the series' folder with a first copy. Blocks. 0 or negative errno; the file is
 * then removed. `histograms`: see struct sink_start; NULL: no counts. */
int checkpoint_open(struct checkpoint *c, struct writer *w, unsigned sink, int folder,
                    const struct sink_histograms *histograms);

/* Write a copy when the last one is a second old. frames: counted; newest: number. Returns a fresh
 * error once, else 0. */
int checkpoint_step(struct checkpoint *c, uint64_t now_ns, uint64_t frames, uint64_t newest);

/* When it is due; UINT64_MAX: it is closed, failed, or under way. */
uint64_t checkpoint_next_ns(const struct checkpoint *c);

/* Nothing is under way. */
bool checkpoint_idle(const struct checkpoint *c);

/* Close it; only when idle. Accepts a zeroed one with fd -1. The file stays. */
void checkpoint_close(struct checkpoint *c);

/* A copy that was read back; the counts are owned, by checkpoint_view_close(). */
struct checkpoint_view {
	uint64_t frames, newest;
	struct bins raw_bins, normalised_bins;
	struct histogram_tails raw_tails, normalised_tails;
	uint64_t *counts; /* raw, then normalised */
};

/* The newest whole copy. 0, -ENOENT, -EINVAL when none is whole, or another errno. */
int checkpoint_view_open(struct checkpoint_view *ret, int folder);
void checkpoint_view_close(struct checkpoint_view *v);

#endif
