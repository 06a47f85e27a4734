/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include "bench/mishaps.h"
#include "bench/phantom.h"
#include "bench/tiff_pages.h"

#include <stdbool.h>

/* Where the pixels of a stream come from. All but large TIFF sets are made before the first
 * frame is sent, in memory that is never written again, so that sending copies nothing:
 *
 *   phantom  up to 64 frames of a turning sample, then again from the first
 *   flat     up to 16 open beam exposures of the same camera
 *   dark     up to 16 exposures without light
 *   counter  pixel (y, x) of frame f is ((f * 7919 + y * 131 + x * 31) mod 4096) mod 2^bits.
 *            131 and 7919 are odd, so every frame is a window of one tall image: frame f
 *            begins at its row f * 7919 / 131 (mod 4096)
 *   noise    uniform over [0, 2^bits); frame f is a window of one long random plane
 *   tiff     pages of files, cyclically; more than the memory limit is read page by page */

enum pattern_kind {
	PATTERN_PHANTOM,
	PATTERN_FLAT,
	PATTERN_DARK,
	PATTERN_COUNTER,
	PATTERN_NOISE,
	PATTERN_TIFF,
	PATTERN_COUNT
};

struct pattern_options {
	enum pattern_kind kind;
	uint32_t width, height;     /* pixels; not with PATTERN_TIFF */
	enum pixel_type type;       /* not with PATTERN_TIFF */
	unsigned bits;              /* significant bits, 1 to 24 */
	enum pixel_packing packing; /* one for the type; not with PATTERN_TIFF or big_endian */
	bool big_endian;
	uint64_t seed;
	uint64_t frames;          /* no more than this many are needed; 0: unknown */
	uint64_t memory_limit;    /* bytes of prepared frames; at least one frame is made */
	unsigned noise_places;    /* different noise frames; 0: 4096 */
	const char *const *files; /* PATTERN_TIFF [file_count], alive until pattern_close() */
	unsigned file_count;
	struct mishap_options mishaps; /* not with PATTERN_TIFF */
};

struct pattern {
	struct pattern_options options; /* with width, height and type of the files */
	size_t frame_bytes;
	uint64_t prepared; /* frames or pages ready in memory; 0: pages are read when taken */
	uint8_t *memory;
	bool packed;  /* the pixels in memory are */
	bool swapped; /* and in big-endian order */
	size_t memory_bytes;
	struct phantom_defect *defects; /* of the phantom's camera */
	size_t defect_count;
	float *dark;             /* its level without light, where mishaps need it */
	struct mishaps mishaps;  /* that are asked for */
	struct tiff_pages pages; /* PATTERN_TIFF */
	char why[512];           /* after an error: one sentence */
};

/* Pixels of one frame: owned ones are malloc'd and the taker's to free(), the others stay until
 * pattern_close() and must not be written. */
struct pattern_pixels {
	void *data; /* [height][width] of type, packed and in the byte order as asked for */
	bool owned;
};

/* "phantom", ...; "tiff" for PATTERN_TIFF. */
const char *pattern_name(enum pattern_kind k);

/* Where the pixels are altered by mishaps the frames are kept as the camera has them, and made
 * ready when taken: a copy each.
 *
 * Prepare the frames: takes seconds at full size. The struct must not move afterwards.
 * 0, or negative errno with why[]: -ENOMEM, or of tiff_pages_open() and tiff_pages_read(). */
int pattern_open(struct pattern *p, const struct pattern_options *o);

/* Accepts a zeroed or half-opened one. Nothing taken may still be in use. */
void pattern_close(struct pattern *p);

/* The frame with this number, the index-th of the stream.
 * 0, or -ENOMEM, -EIO with why[]: only where pages are read when taken, where frames of the
 * counter pattern would begin inside a byte and are packed when taken, and with mishaps. */
int pattern_take(struct pattern *p, uint64_t number, uint64_t index, struct pattern_pixels *ret);

/* Frames at the same place have the same pixels, unless pattern_is_altered(); there are
 * pattern_places() of them. Place p is the frame with index p of files, phantom, flat and dark. */
uint64_t pattern_place(const struct pattern *p, uint64_t number, uint64_t index);
uint64_t pattern_places(const struct pattern *p);

/* Whether mishaps have altered the pixels of that frame. */
bool pattern_is_altered(const struct pattern *p, uint64_t number);

/* As pattern_take(), by place, not altered. */
int pattern_take_place(struct pattern *p, uint64_t place, struct pattern_pixels *ret);

/* Pages of the files, for PATTERN_TIFF; otherwise frames before the pattern repeats, 0 for a
 * pattern that follows the frame number. */
uint64_t pattern_period(const struct pattern *p);

#endif
