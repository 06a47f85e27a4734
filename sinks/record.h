/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_RECORD_H
#define SINKS_RECORD_H

#include "config/config.h"
#include "sinks/ledger.h"

#include <stdbool.h>

/* The bytes of a journal: one header, then records of fixed size, all little-endian, each ended
 * by the CRC-32C of the bytes before it. A journal is valid up to the first record that is not:
 * what a crash left behind it does not count.
 *
 * Header, JOURNAL_HEADER_BYTES:
 *   0   "OBJRNL01"          8   u32 header bytes      12  u32 record bytes
 *   16  u32 series number   20  u32 width             24  u32 height
 *   28  u32 product type    32  u64 frame bytes       40  u64 bytes before the first frame
 *   48  u64 started, ns     56  u64 step of numbers   64  u32 large files (BigTIFF)
 *   68  u32 frames are compressed
 *   72  char[16] file name suffix, 0-ended            88  char[256] series folder's name
 *   344 f64 window's low and high                     360 u32 bits: 1 window, 2 display (format.h),
 *                                                         4 source product, 8 the primary sink,
 *                                                         16 the first number is known,
 *                                                         32 it counts from the protocol
 *   364 u32 index of the sink                         368 u64 first number
 *   376 u64 frames expected, 0: not known             384 u32 frames averaged into one
 *   388 u32 enum normalise                            392 f64 rotation's start (with bit 64), step
 *   508 u32 CRC
 * File i of the series is called <folder>_<i, six digits><suffix>.
 *
 * Record, JOURNAL_RECORD_BYTES:
 *   0   u32 kind, 1         4   u32 index of the record in the journal
 *   8   u64 frame number    16  u8 state   17 u8 reason
 *   18  u8 1: the sender gave the angle               20  u32 flags
 *   24  u32 file            28  u32 index in it       32  u64 offset, u64 length in bytes
 *   48  u32 averaged        52  u32 crc32c of the pixels
 *   56  u64 timestamp       64  u64 received          72  u64 durable, ns each
 *   80  f64 min max mean std of normalised pixels     112 f64 the same of raw ones
 *   144 u64 good bad saturated clipped, pixels        176 u64 how many frames it is about
 *   184 u64 step between their numbers                192 f64 angle, degrees, where 18 says so
 *   252 u32 CRC
 * Only records of dropped and missing frames are about more than one. */

#define JOURNAL_HEADER_BYTES 512
#define JOURNAL_RECORD_BYTES 256
#define JOURNAL_FOLDER_BYTES 256
#define JOURNAL_NO_FILE      UINT32_MAX

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
};

void journal_encode_header(unsigned char ret[JOURNAL_HEADER_BYTES], const struct journal_header *h);

/* False when it is no header of this version, or damaged. */
bool journal_decode_header(struct journal_header *ret,
                           const unsigned char bytes[JOURNAL_HEADER_BYTES]);

/* position: index of the record in the journal. */
void journal_encode(unsigned char ret[JOURNAL_RECORD_BYTES], const struct journal_record *r,
                    uint32_t position);

/* False when the record is torn, stale, or not the one of this position. */
bool journal_decode(struct journal_record *ret, const unsigned char bytes[JOURNAL_RECORD_BYTES],
                    uint32_t position);

#endif
