/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_RECORD_H
#define SINKS_RECORD_H

#include "config/config.h"
#include "kernels/reduce.h"
#include "sinks/ledger.h"

#include <stdbool.h>
#include <stddef.h>

/* The bytes of a journal: one header, then records of fixed size, all little-endian, each ended
 * by the CRC-32C of the bytes before it. A journal is valid up to the first record that is not:
 * what a crash left behind it does not count.
 *
 * Header, JOURNAL_HEADER_BYTES and JOURNAL_REGION_BYTES for each region:
 *   0   "OBJRNL01"          8   u32 header bytes      12  u32 record bytes
 *   16  u32 series number   20  u32 width             24  u32 height
 *   28  u32 product type    32  u64 frame bytes       40  u64 bytes before the first frame
 *   48  u64 started, ns     56  u64 step of numbers   64  u32 large files (BigTIFF)
 *   68  u32 frames are compressed
 *   72  char[16] file name suffix, 0-ended            88  char[256] series folder's name
 *   344 f64 window's low and high                     360 u32 bits: 1 window, 2 display (format.h),
 *                                                         4 source product, 8 the primary sink,
 *                                                         16 the first number is known,
 *                                                         32 it counts from the protocol,
 *                                                         128 records have what is from 200 on
 *   364 u32 index of the sink                         368 u64 first number
 *   376 u64 frames expected, 0: not known             384 u32 frames averaged into one
 *   388 u32 enum normalise                            392 f64 rotation's start (with bit 64), step
 *   408 u32 regions                                   508 each of them: char[64] name, 0-ended,
 *                                                         u32 x y width height, pixels
 *   at the end u32 CRC
 * File i of the series is called <folder>_<i, six digits><suffix>.
 *
 * Record, JOURNAL_RECORD_BYTES and JOURNAL_REGION_BYTES for each region:
 *   0   u32 kind, 1         4   u32 index of the record in the journal
 *   8   u64 frame number    16  u8 state   17 u8 reason
 *   18  u8 1: the sender gave the angle               20  u32 flags
 *   24  u32 file            28  u32 index in it       32  u64 offset, u64 length in bytes
 *   48  u32 averaged        52  u32 crc32c of the pixels
 *   56  u64 timestamp       64  u64 received          72  u64 durable, ns each
 *   80  f64 min max mean std of normalised pixels     112 f64 the same of raw ones
 *   144 u64 good bad saturated clipped, pixels        176 u64 how many frames it is about
 *   184 u64 step between their numbers                192 f64 angle, degrees, where 18 says so
 *   200 f64 dose, NaN: none                           208 u32 id of the calibration, 0: none
 *   212 f32[5] percentiles of raw pixels, f32[5] of normalised ones
 *   252 each region: u64 good saturated, f64 min max mean std of raw pixels, then normalised ones
 *   at the end u32 CRC; with all its bits inverted, recovery took the record back: the frame is
 *                       dropped (crash) and in no file
 * Only records of dropped and missing frames are about more than one. A sector of 512 bytes is
 * written whole or not at all; a record with regions lies in several of them. */

#define JOURNAL_HEADER_BYTES 512 /* without regions, */
#define JOURNAL_RECORD_BYTES 256
#define JOURNAL_REGION_BYTES 80 /* more for each of them, in either */
#define JOURNAL_HEADER_MAX   (JOURNAL_HEADER_BYTES + CONFIG_REGIONS_MAX * JOURNAL_REGION_BYTES)
#define JOURNAL_RECORD_MAX   (JOURNAL_RECORD_BYTES + CONFIG_REGIONS_MAX * JOURNAL_REGION_BYTES)
#define JOURNAL_FOLDER_BYTES 256
#define JOURNAL_NAME_BYTES   64 /* of a region's name, with the final 0 */
#define JOURNAL_NO_FILE      UINT32_MAX

/* A region of interest, in pixels of the full frame. */
struct journal_region {
	char name[JOURNAL_NAME_BYTES]; /* as columns bear it: see journal_region_name() */
	uint32_t x, y, width, height;
};

struct journal_header {
	uint32_t series_number, width, height, type;
	uint64_t frame_bytes, head_bytes;
	uint64_t started_ns, step;
	bool large, packed;
	bool window, display; /* see struct format_file */
	double window_low, window_high;
	bool source;   /* product: source */
	bool primary;  /* the ledger is about this sink */
	uint32_t sink; /* its index in the configuration */
	bool first_known, from_protocol;
	uint64_t first, frames; /* as struct sink_start */
	uint32_t average, normalise;
	struct config_rotation rotation;
	bool quality; /* records have dose, calibration and percentiles */
	unsigned region_count;
	struct journal_region regions[CONFIG_REGIONS_MAX];
	char suffix[16];
	char folder[JOURNAL_FOLDER_BYTES];
};

struct journal_record {
	uint64_t number;
	enum frame_state state;
	unsigned reason; /* enum dropped or enum missing */
	uint32_t flags;
	uint32_t file;  /* JOURNAL_NO_FILE: in none */
	uint32_t index; /* of the frame in the file */
	uint64_t offset, length;
	uint32_t averaged, crc32c;
	uint64_t timestamp_ns, received_ns, durable_ns;
	double rotation; /* degrees, by the sender; NaN: not said */
	double min, max, mean, std;
	double raw_min, raw_max, raw_mean, raw_std;
	uint64_t good, bad, saturated, clipped;
	uint64_t repeat; /* at least 1 */
	uint64_t step;
	double dose;          /* NaN: none, or not known */
	uint32_t calibration; /* id; 0: none, or not known */
	float raw_percentiles[PERCENTILES], percentiles[PERCENTILES]; /* NaN: none, or not known */

	/* What is known of each region, as journal_encode_region() has it
	 * [region_count][JOURNAL_REGION_BYTES]; NULL: nothing. Borrowed: of a record that was
	 * decoded, from its bytes. */
	const unsigned char *regions;
};

/* Sizes of a journal with so many regions; where record i begins. */
static inline size_t journal_header_bytes(unsigned region_count)
{
	return JOURNAL_HEADER_BYTES + (size_t)region_count * JOURNAL_REGION_BYTES;
}

static inline size_t journal_record_bytes(unsigned region_count)
{
	return JOURNAL_RECORD_BYTES + (size_t)region_count * JOURNAL_REGION_BYTES;
}

static inline uint64_t journal_offset(unsigned region_count, uint64_t i)
{
	return journal_header_bytes(region_count) + i * journal_record_bytes(region_count);
}

/* A region's name for columns: what would end a field or a path, or is no text, becomes `_`; cut
 * to fit. */
void journal_region_name(char ret[JOURNAL_NAME_BYTES], const char *name);

/* Returns how many bytes it has: journal_header_bytes(). */
size_t journal_encode_header(unsigned char ret[JOURNAL_HEADER_MAX], const struct journal_header *h);

/* Of n bytes, of which the header is the first. False when it is no header of this version, or
 * damaged. */
bool journal_decode_header(struct journal_header *ret, const unsigned char *bytes, size_t n);

/* How many bytes the header has by its first sector [JOURNAL_HEADER_BYTES], be it damaged; 0: that
 * is of no journal. */
size_t journal_header_size(const unsigned char *bytes);

/* position: index of the record in the journal. ret [journal_record_bytes()]. */
void journal_encode(unsigned char *ret, const struct journal_record *r, uint32_t position,
                    unsigned region_count);

/* False when the record is torn, stale, or not the one of this position. `h`: of its journal;
 * bytes [journal_record_bytes()]. */
bool journal_decode(struct journal_record *ret, const unsigned char *bytes, uint32_t position,
                    const struct journal_header *h);

/* What a valid record must end with instead to be taken back [4]. */
void journal_encode_taken_back(unsigned char ret[4], const unsigned char *bytes,
                               unsigned region_count);

void journal_encode_region(unsigned char ret[JOURNAL_REGION_BYTES], const struct region_stats *s);
void journal_decode_region(struct region_stats *ret, const unsigned char *bytes);

#endif
