/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_RECORDED_H
#define SINKS_RECORDED_H

#include "kernels/decompress.h"
#include "sinks/journal.h"
#include "sinks/sinks.h"

#include <stdbool.h>
#include <stddef.h>

/* A recorded series that has a source product: its configuration, its ledgers, and the pixels as
 * they came in. Nothing is written. The folder may be anybody's: what it says of sizes and counts
 * is held against what is there before anything is allocated, and only regular files are opened.
 *
 * Not of an unfinished series: recovery first. One thread. */

#define RECORDED_WHY  1024
#define RECORDED_NAME 256 /* bytes of a file's name, with the final 0 */

/* A calibration file, as the manifest names it. */
struct recorded_calibration {
	const char *role, *path; /* borrowed from the manifest */
	uint64_t bytes;
	uint32_t crc32c;
	uint32_t id; /* of the calibration it is part of */
	bool from_stream;
};

/* A sink of the series that has a ledger. */
struct recorded_sink {
	unsigned index;   /* in the configuration */
	bool is_source;   /* product: source */
	const char *name; /* of its journal */
};

struct audit; /* how the folder is read */

struct recorded {
	struct audit *audit;
	unsigned source; /* the sink in sinks[] whose pixels are read */
	struct recorded_sink sinks[CONFIG_SINKS_MAX];
	unsigned sink_count;
	char *config_json; /* the effective configuration */
	size_t config_bytes;
	struct sink_shape shape; /* of a frame of the source */
	bool has_pixels;
	struct sink_pixels pixels; /* what they mean, and where they were; with has_pixels */
	uint64_t masked; /* so many pixels were bad by a mask of the detector, which is not kept */
	struct recorded_calibration *calibrations; /* [calibration_count] */
	unsigned calibration_count;
	uint64_t first, step; /* numbers: the first of the series, and from one to the next */
	bool has_quality; /* records say dose, percentiles, calibration, and values of regions: */
	unsigned region_count;
	const struct journal_region *regions; /* borrowed from the journal */
	/* Slots of records in the source's journal, by number: of frames with pixels, and of those
	 * without. */
	uint32_t *frames, *lost; /* [count], [lost_count] */
	size_t count, lost_count;

	/* The file being read. */
	int fd; /* -1: none */
	uint32_t file;
	uint64_t file_bytes;
	char file_name[RECORDED_NAME];
	struct decompress decompress;
	void *scratch; /* its memory; NULL: nothing compressed was read yet */
	void *packed;  /* [packed_room] */
	size_t packed_room;
};

/* Open the series in the folder `path`, borrowed. 0, or negative errno with a sentence in why[]:
 * -ENOENT when there is no series, -EBUSY when it was cut off or still runs, -EINVAL when it cannot
 * be used (no source product, no configuration, damaged ledgers), -ENOMEM, -EIO and others when it
 * could not be read. On failure *ret needs no recorded_close(). */
int recorded_open(struct recorded *ret, const char *path, char why[RECORDED_WHY]);

/* Accepts a zeroed one. */
void recorded_close(struct recorded *r);

/* The record of frame i < count in the source's journal, and of loss i < lost_count, which may be
 * about several numbers. */
void recorded_frame(const struct recorded *r, size_t i, struct journal_record *ret);
void recorded_loss(const struct recorded *r, size_t i, struct journal_record *ret);

/* What sinks[sink] noted of frame `number`. False when it did not write it. */
bool recorded_in(const struct recorded *r, unsigned sink, uint64_t number,
                 struct journal_record *ret);

/* Whether the pixels of a frame can be where its record says: the file is there, and as long. So
 * many bytes as a frame has may then be allocated. False with why[], a few words: "x.tif is not
 * there". */
bool recorded_find(struct recorded *r, const struct journal_record *frame, char why[RECORDED_WHY]);

/* Read the pixels of a frame that was found, little-endian, and hold them against their checksum.
 * False with why[]: they are not those that were recorded, or cannot be read.
 *
 * pixels   [shape.bytes] */
bool recorded_read(struct recorded *r, const struct journal_record *frame, void *pixels,
                   char why[RECORDED_WHY]);

/* Read histogram.csv: the counts of `kind`, "raw" or "normalised". False with why[] when there is
 * none with these bins, or it is damaged.
 *
 * ret_counts   [bins->bins] */
bool recorded_histogram(const struct recorded *r, const char *kind, const struct bins *bins,
                        uint64_t *ret_counts, struct histogram_tails *ret_tails,
                        char why[RECORDED_WHY]);

#endif
