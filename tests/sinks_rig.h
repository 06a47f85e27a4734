/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SINKS_RIG_H
#define TESTS_SINKS_RIG_H

#include "sinks/sinks_io.h"

#define RIG_FRAMES_MAX 20000
#define RIG_SLOTS_MAX  64

/* A faulty operating system: which operation fails how. Counting is over all files whose name
 * contains `on`, from 1. */
struct rig_fault {
	enum disk_kind kind;
	const char *on;       /* part of the file's path; NULL: any */
	unsigned from, to;    /* operations that fail: from <= n < to; 0: none */
	int error;            /* negative errno; 0: end short instead */
	uint64_t short_bytes; /* bytes a short write may take */
	bool waited;          /* those that the caller waits for, instead of the writer's */
	uint64_t counted;
};

/* Sinks over a fresh directory, and a record of everything they call back. Pixels of frame n
 * are a function of n and of the position, so that whoever reads a file can tell. */
struct rig {
	char root[64];        /* made by rig_make(), removed by rig_done() */
	char dirs[3][80];     /* root/0, root/1, root/2 */
	struct config config; /* regions: rig_regions() */
	char rotation_key[8];
	char region_names[CONFIG_REGIONS_MAX][16];
	const struct sink_start *start; /* NULL: its name is wood, and nothing is known */
	struct sink_summary summary;    /* what rig_end() knows nothing of */
	struct sink_geometry geometry;
	struct sink_memory memory;
	struct disk_io io;
	bool use_io;
	bool refuse_ring, refuse_direct;
	struct rig_fault faults[4];
	struct sinks *sinks;
	int wake_fd;
	char why[256];

	unsigned slot_count;
	unsigned char *pixels, *source_pixels; /* [slot_count] frames, page-aligned each */
	size_t slot_bytes, source_slot_bytes;
	bool slot_busy[RIG_SLOTS_MAX];
	uint32_t more_flags; /* of frames put from now on */

	/* By frame number, below RIG_FRAMES_MAX. */
	unsigned char settled[RIG_FRAMES_MAX], revoked[RIG_FRAMES_MAX];
	unsigned char state[RIG_FRAMES_MAX], reason[RIG_FRAMES_MAX];
	uint32_t flags[RIG_FRAMES_MAX];
	uint64_t put, released, durable, said_errors;
	struct sink_times landed, lasting; /* sums over what was said of single frames */
	char said[16384];                  /* every sentence, one a line */
	struct totals totals;
	bool complete;
};

/* One sink of `format` in root/0, 16 x 16 uint16 frames. */
void rig_make(struct rig *r, enum sink_format format);
void rig_shape(struct rig *r, uint32_t width, uint32_t height, enum product_type type);

/* So many regions of interest, r0, r1...; before rig_open(). */
void rig_regions(struct rig *r, unsigned count);

/* What is known of one of them in frame `number`. */
struct region_stats rig_region(uint64_t number, unsigned region);

/* Open and lay out; 0 or the error of sinks_open(), with why[]. */
int rig_open(struct rig *r);
void rig_begin(struct rig *r);

/* Put a frame as soon as a slot is free. */
void rig_put(struct rig *r, uint64_t number);

/* Poll until the figure is so large, on a busy disk too; gives up after 20 s. */
void rig_wait_for(struct rig *r, const uint64_t *figure, uint64_t least);

/* Poll for that long. */
void rig_poll_for(struct rig *r, unsigned ms);

/* Drain, account, end the series. */
void rig_end(struct rig *r);

/* Close the sinks and remove the directory. */
void rig_done(struct rig *r);

/* Assert what must hold of the last series whatever happened: each frame put was released and
 * settled once; frames.csv has each number once and agrees with what was settled; every written
 * frame is in the file and page named, with its pixels and its checksum; files have no page
 * beyond those; the manifest's state is the one returned. */
void rig_check(struct rig *r);

/* Frames of the last series in that state and reason, by what was settled. */
uint64_t rig_count(const struct rig *r, enum frame_state state, unsigned reason);

/* Files in the last series' folder whose name contains `part`. */
unsigned rig_files(const struct rig *r, const char *part);

/* Fill a frame as its number says. */
void rig_pattern(unsigned char *pixels, const struct sink_shape *shape, uint64_t number);

#endif
