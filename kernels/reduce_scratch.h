/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_REDUCE_SCRATCH_H
#define KERNELS_REDUCE_SCRATCH_H

#include "kernels/reduce.h"

/* What the pass works in: between the files reduce*.c only. */

#define CACHE_LINE 64

/* One region of a frame while its tiles come in. */
struct region_run {
	struct raw_sums raw; /* integer layouts */
	uint64_t saturated;  /* float layouts, whose raw moments are in region_floats */
	struct moments_run normalised;
};

/* One frame of the hand while its tiles come in. */
struct frame_run {
	struct survey survey;          /* integer layouts: raw sums, and what the survey makes */
	struct moments_run raw_floats; /* float layouts, */
	uint64_t saturated;            /* and their saturated pixels */
	struct moments_run normalised;
	double dose;
	bool dose_applied;
	float scale; /* of T, by the dose */
	struct histogram_tails raw_tails, normalised_tails;
	uint64_t clipped;
	uint32_t reduced_crc32c, source_crc32c;
	uint32_t *raw_tables, *normalised_tables; /* [histogram_tables_size()] */
	uint64_t *code_counts;                    /* [CODE_COUNTS], with the survey */
	uint64_t *value_counts;                   /* [CODE_COUNTS], where raw_by_value */
	struct region_run *regions;               /* [region_count] */
	struct moments_run *region_floats;        /* [region_count], float layouts */
};

/* Lines that are read soon and not yet prefetched. */
struct ahead {
	const char *at;
	size_t lines;
};

/* A worker's scratch, and what the pass reads next. The arrays of a tile are used by one frame
 * after the other. */
struct scratch {
	float *groups; /* where t may be, */
	float *t;      /* and is: aligned as the tile is in its groups */
	float *attenuation, *screened, *offset, *gain, *sum, *count, *binned;
	void *native;
	uint16_t *index;
	uint8_t *codes;
	uint64_t *bad;          /* of the tile in every frame, */
	uint64_t *marked;       /* and in one that lacks pixels */
	const uint64_t *in_use; /* whichever the frame needs */
	float *rows;            /* of reduce_defects() [3][defects_stride()] */
	uint64_t *hot, *dead;   /* bits of one of them [groups of a row] */
	uint32_t *tables;
	uint64_t *counts;
	struct frame_run *runs;
	struct region_run *regions;         /* [hand][region_count] */
	struct moments_run *region_floats;  /* likewise, float layouts */
	float scale;                        /* of the frame or mean that is worked on */
	const struct reduce_mean_job *mean; /* whose product is made; NULL: a frame's */
	struct ahead raw;                   /* the next frame's tile */
	struct ahead planes[2]; /* this frame's share of the next tile's dark and gain */
};

/* A run of whole rows of the frame. */
struct tile {
	size_t first, pixels; /* from the start of the frame */
	uint32_t row, rows;
};

/* Floats from one row of reduce_defects() to the next; its first pixel comes after the padding. */
#define DEFECTS_PAD 16

static inline size_t defects_stride(const struct reduce_plan *p)
{
	return ((size_t)p->width + 2 * DEFECTS_PAD) / DEFECTS_PAD * DEFECTS_PAD + DEFECTS_PAD;
}

/* Whether a tile's raw pixels can be worked on where they lie in the payload. */
bool reduce_in_place(const struct reduce_plan *p);

/* Number in the payload of the first pixel of a row of what is processed. */
static inline size_t payload_pixel(const struct reduce_plan *p, uint32_t row)
{
	return ((size_t)p->top + row) * p->payload_width + p->left;
}

/* The tile's rows in the machine's order, one behind the other; where a port's piece is missing,
 * all bits set. */
void unpack_rows(const struct reduce_plan *p, char *out, const struct reduce_job *job,
                 const struct tile *tile);

/* Whether a port's piece is missing. */
bool lacks_a_port(const struct reduce_plan *p, const struct reduce_job *job);

/* Pixels i to i + n of the tile whose port's piece is missing: they become NaN, or their bits are
 * set, counted from the start of the tile's first group. */
void mark_missing_ports(const struct reduce_plan *p, float *t, const struct reduce_job *job,
                        const struct tile *tile, size_t i, size_t n);
void mark_missing_bits(const struct reduce_plan *p, uint64_t *marked, const struct reduce_job *job,
                       const struct tile *tile);

/* Raw pixels x to x + n of a row in the machine's order: where they are, or in s->native. */
const void *raw_run(const struct reduce_plan *p, struct scratch *s, const struct reduce_job *job,
                    uint32_t row, uint32_t x, uint32_t n);

/* T of them, before it is divided by the dose and before -ln. */
void flatten_run(const struct reduce_plan *p, const struct scratch *s, const struct reduce_job *job,
                 const void *raw, uint32_t row, uint32_t x, uint32_t n, float *ret);

/* T of pixels x to x + n of a row, before it is divided by the dose and before -ln, from the
 * payload. Overwrites s->native. */
void transmission_run(const struct reduce_plan *p, struct scratch *s, const struct reduce_job *job,
                      uint32_t row, uint32_t x, uint32_t n, float *ret);

/* Counts of one frame's tables. */
size_t tables_per_frame(const struct reduce_plan *p); /* uint32 */
size_t codes_per_frame(const struct reduce_plan *p);  /* uint64 */

/* Bytes that one frame takes in a scratch, beside the tile. */
size_t bytes_per_frame(const struct reduce_plan *p);

/* Bytes of a scratch, and its arrays. */
size_t scratch_bytes(const struct reduce_plan *p);
void scratch_open(const struct reduce_plan *p, char *base, struct scratch *ret);

/* Fill the planes that the plan lacks. */
void fill_planes(const struct reduce_plan *p, struct scratch *s);

/* The regions of one frame: begin, add what a tile has of them, end. `t` are the tile's normalised
 * pixels. */
void regions_begin(const struct reduce_plan *p, struct frame_run *f);
void regions_add(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                 const void *raw, const float *t, const struct tile *tile);
void regions_end(const struct reduce_plan *p, struct frame_run *f, struct region_stats *ret);

/* Find the doses of a hand's frames, before their tiles come in. */
void find_doses(const struct reduce_plan *p, struct scratch *s, const struct reduce_job *jobs,
                unsigned n);

/* Find the dose of s->mean, for s->scale. */
void find_mean_dose(const struct reduce_plan *p, struct scratch *s);

/* T of n pixels of s->mean from pixel `first` on, before it is divided by the dose and before -ln.
 */
void mean_transmission(const struct reduce_plan *p, const struct scratch *s, size_t first, size_t n,
                       float *ret);

/* Make the reduced pixels of a tile from s->t. */
void reduce_product(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                    const struct reduce_job *job, const struct tile *tile);

#endif
