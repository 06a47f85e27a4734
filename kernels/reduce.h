/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_REDUCE_H
#define KERNELS_REDUCE_H

#include "kernels/attenuate.h"
#include "kernels/binning.h"
#include "kernels/convert.h"
#include "kernels/counting.h"
#include "kernels/crc32c.h"
#include "kernels/defects.h"
#include "kernels/flatten.h"
#include "kernels/histogram.h"
#include "kernels/invalidate.h"
#include "kernels/layout.h"
#include "kernels/moments.h"
#include "kernels/percentiles.h"
#include "kernels/raw_moments.h"
#include "kernels/survey.h"
#include "kernels/unpack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The pass over the pixels: one hand of frames, tile by tile.
 *
 * Per frame:  the dose -> unpack the region -> T = (I - D) * G, divided by the dose if that is
 *             asked for -> moments, histograms, regions -> bad pixels -> bin -> -ln, if it is
 *             asked for -> convert -> checksum
 *
 * Where -ln is asked for, moments and histograms of normalised pixels are of it.
 *
 * A tile is a run of whole rows small enough for the cache; its dark and gain are read once and
 * serve every frame of the hand. Inside, a bad pixel is NaN in T. The result does not depend on
 * the instruction set, the tile or which frames share a hand. */

/* The kernels of a plan, for its layout and type. */
struct reduce_kernels {
	unpack_fn *unpack;
	flatten_fn *flatten;
	scale_fn *scale; /* NULL: no dose is applied */
	attenuate_fn *attenuate;
	attenuable_fn *attenuable;
	invalidate_fn *invalidate; /* NULL: no raw value says that there is none */
	raw_sums_fn *raw_sums;     /* integer layouts */
	raw_screen_fn *raw_screen; /* float layouts */
	moments_block_fn *moments;
	survey_fn *survey; /* stands for flatten, sums and bin_flat; NULL: where it cannot */
	survey_bad_fn *survey_bad;
	survey_mark_fn *survey_mark;
	bin_raw_fn *bin_raw;
	bin_flat_fn *bin_flat;
	bin_codes_fn *bin_codes; /* instead of bin_flat; NULL: too many bins, or no faster */
	count_codes_fn *count_codes;
	count_index_fn *count_index;
	bin_rows_fn *bin_rows;
	convert_fn *convert;
	crc32c_fn *crc32c;
	find_defects_fn *find_defects;
};

/* A rectangle with statistics of its own, in pixels of what is processed. */
#define REDUCE_REGIONS_MAX 16

struct reduce_region {
	uint32_t left, top, width, height;
};

/* What is known of one region of one frame. Normalised pixels are taken row by row, as those of a
 * frame of the region's size: its moments are the same whatever the tile. */
struct region_stats {
	uint64_t good, saturated;
	struct moments raw, normalised;
};

/* What becomes of the dose. */
enum dose_use { DOSE_RECORD, DOSE_APPLY };

/* What happens to a frame. Filled by the caller up to `cpu`, completed by reduce_plan_init();
 * then immutable and shared by all workers. */
struct reduce_plan {
	uint32_t width, height;  /* pixels, of the region that is kept */
	uint32_t left, top;      /* its first column and row in the payload */
	uint32_t payload_width;  /* pixels of a row of the payload; 0: width */
	uint32_t payload_height; /* its rows; only with a grid of ports */
	enum raw_layout layout;
	const float *offset; /* dark, counts [height][width]; NULL: nothing is subtracted */
	const float *gain;   /* 1 / (flat - dark) or 1; NaN marks bad [height][width]; NULL: 1 */
	bool attenuation;    /* -ln T; what is not above 0 is bad in this frame */
	double saturation;   /* raw values at and above it count as saturated */
	bool has_no_value;   /* pixels of raw value no_value have none: bad, never saturated */
	uint32_t no_value;
	uint32_t port_columns, port_rows; /* 0: the payload is one piece; else one for each port of
	                                     a grid that fills it, of equal size, row by row */
	bool source_only; /* the reduced product is the unpacked pixel as it came; bin is 1, type
	                     becomes product_of_layout() */
	uint32_t bin;     /* 1 2 4 8 16 32: mean over bin x bin, remainders left out */
	enum product_type type;
	float window_low, window_high; /* integer output: mapped to 0 ... max - 1 */
	bool bad_zero;                 /* float output: bad pixels become 0 instead of NaN */
	bool bad_median; /* bad pixels become the median of the good ones of their 8 neighbours, and
	                    stay bad without any. Binning leaves bad pixels out: only with bin 1 */
	bool keep_source; /* also write the unpacked frame, for a source sink */
	bool averaged;    /* a frame has no reduced product: reduce_mean() makes one of several */
	struct bins raw_bins; /* bins 0: no histogram of raw pixels */
	struct bins normalised_bins;
	struct reduce_region regions[REDUCE_REGIONS_MAX];
	uint32_t region_count;
	uint32_t open_beam;  /* bit i: regions[i] is in the open beam; 0: there is no dose */
	enum dose_use dose;  /* DOSE_APPLY: T = ((I - D) * G) * (float)(1 / dose) */
	float least_dose;    /* a dose below it, or none at all, is not applied */
	uint32_t batch;      /* ceiling of a hand, at least 1 */
	uint32_t tile_bytes; /* target size of a tile as float32; 0: chosen from the cache */
	unsigned cpu;        /* enum cpu_flag: what kernels may use */

	/* Filled by reduce_plan_init(). */
	uint32_t out_width, out_height; /* of the reduced product */
	uint32_t hand;                  /* frames a hand may have: batch, less where L2 is small */
	uint32_t tile_rows;
	size_t scratch_bytes; /* one worker's scratch */
	struct bin_map raw_map, normalised_map;
	bool raw_by_value; /* uint8: values are counted, and become bins at the end of the frame */
	struct value_bins raw_values;
	bool raw_by_shift; /* raw bins are the high bits of all uint16: counted without numbering */
	bool raw_whole; /* raw pixels are integers in bins of one count: percentiles are pixels */
	struct histogram_tables raw_tables, normalised_tables;
	struct window window;
	uint32_t raw_saturation; /* the integer that counts as saturated, */
	bool can_saturate;       /* when the type reaches it */
	float float_saturation;  /* for float layouts */
	struct reduce_kernels kernels;
};

/* Complete the plan. False when width, height, bin, type, window or bins make no sense (out_width
 * or out_height 0, bin not one of the list, normalised bins 0, bins above HISTOGRAM_BINS_MAX, low
 * >= high, bins too narrow to tell apart, a region that leaves the payload's columns or, with
 * ports, its rows, ports of unequal size, uint32 other than source_only, batch 0). */
bool reduce_plan_init(struct reduce_plan *p);

/* What is known of one frame after the pass. */
struct reduction {
	uint64_t good, bad, saturated; /* pixels of the frame; saturated ones are good ones */
	uint64_t clipped;              /* pixels of the reduced product outside the window */
	struct moments raw;            /* counts */
	struct moments normalised;     /* of T, full resolution */
	struct histogram_tails raw_tails, normalised_tails;
	double dose;       /* mean of T, before it is divided by this and before -ln, over the good
	                      pixels of all regions in the open beam, in their order; NaN: none */
	bool dose_applied; /* not when there is none, or it is below the least */
	float raw_percentiles[PERCENTILES], percentiles[PERCENTILES]; /* kernels/percentiles.h */
	uint32_t reduced_crc32c; /* of the reduced product's bytes */
	uint32_t source_crc32c;  /* of the source product's, with keep_source */
};

/* One frame of a hand. */
struct reduce_job {
	const void *raw;             /* payload, any alignment [raw_layout_bytes()] */
	void *reduced;               /* [out_height][out_width] of type, 64-byte aligned */
	void *source;                /* [height][width] of product_of_layout(), with keep_source */
	uint32_t *raw_counts;        /* [raw_bins.bins], overwritten */
	uint32_t *normalised_counts; /* [normalised_bins.bins], overwritten */
	struct reduction *result;
	struct region_stats *regions; /* [region_count], written */
	const void *const *pieces; /* of a grid of ports, instead of raw: each port's payload; NULL:
	                              it is missing, its pixels are bad [port_rows][port_columns] */
	uint64_t flipped;          /* bit i: rows of pieces[i] are in reverse order */
};

/* Run the pass over 1 <= n <= p->hand frames.
 *
 * scratch   one worker's own, 64-byte aligned   [p->scratch_bytes]
 *
 * No allocation, no system call. Cannot fail. Any thread; one call per scratch at a time. */
void reduce_hand(const struct reduce_plan *p, void *scratch, const struct reduce_job *jobs,
                 unsigned n);

/* Find the dead and hot pixels of one frame, by T before it is divided by the dose and before -ln.
 * A good pixel with at least 3 good ones among its 8 neighbours is
 *
 *   hot    T > greatest of them + margin,       margin = 0.5 |mean of T|
 *   dead   T < least of them - margin
 *
 * the mean being that of the good pixels of rows 0, 16, 32, ... Nothing is found where it is 0 or
 * not finite, or where there is none. Of the job, only the payload is used. Scratch as for
 * reduce_hand(). */
void reduce_defects(const struct reduce_plan *p, void *scratch, const struct reduce_job *job,
                    struct defects *ret);

/* Spoil the sums of mean.h where the ports of `missing` (bit i: port i) would be: an average has no
 * value there. */
void reduce_spoil_ports(const struct reduce_plan *p, void *sums, uint64_t missing);

/* The mean of several frames. */
struct reduce_mean_job {
	const void *sums; /* from mean_add() of source products [height][width] */
	uint32_t frames;  /* in them */
	void *reduced;    /* as in struct reduce_job */
};

/* Make the reduced product of the mean of several frames: normalise it, with the dose of the mean
 * itself, and from there on as reduce_hand(). For plans with `averaged`; scratch as there.
 *
 * ret_clipped   pixels of the product outside the window
 * ret_crc32c    of the product's bytes */
void reduce_mean(const struct reduce_plan *p, void *scratch, const struct reduce_mean_job *job,
                 uint64_t *ret_clipped, uint32_t *ret_crc32c);

#endif
