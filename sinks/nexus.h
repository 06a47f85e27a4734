/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_NEXUS_H
#define SINKS_NEXUS_H

#include "config/config.h"
#include "kernels/histogram.h"
#include "sinks/record.h"
#include "sinks/sinks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The NeXus master file of a series whose frames are in HDF5 files beside it: an NXtomo entry over
 * a virtual dataset of them, and what openbeam knows of the series.
 *
 * /                                   NXroot
 *   entry1/                           NXentry
 *     tomo_entry/                     NXsubentry: definition NXtomo, title, start_time, end_time
 *       data/                         NXdata: links to data, rotation_angle, image_key
 *       instrument/                   NXinstrument: source/
 *         detector/                   NXdetector: data [stack][height][width], virtual;
 *                                     image_key [stack]; description, count_time, frame_time
 *       sample/                       NXsample: name, rotation_angle [stack], degrees
 *       control/                      NXmonitor: data [stack], the dose: NaN, not known
 *     process/                        NXprocess: what was done to the pixels
 *     openbeam/                       NXcollection
 *       frame_number                  [stack], of an average its first, 2^64 - 1 for what is no
 *                                     frame
 *       calibration/                  dark, flat, flat_dark, mask: the full images, float32, with
 *                                     path and crc32c; dark_frame, flat_frame: as they are in the
 *                                     stack
 *       ledger/                       the columns of frames.csv, one entry for each frame number
 *       regions/<name>/               NXdata: those of a region, without its name before them;
 *                                     rectangle: x, y, width, height in pixels of the full frame
 *       statistics/                   NXdata: moments, percentiles and dose of the ledger against
 *                                     frame number
 *       histogram/raw, normalised     NXdata: counts, centres [bins], edges [bins + 1]; below,
 *                                     above, nan
 *       manifest, configuration       JSON texts
 *
 * The stack is, in order: the dark (image_key 2) and the flat (1), where pixels were not
 * normalised and there are such images, so that a reader can do it; then the rows, of image_key 0,
 * or 2 and 1 where the frame itself is one of a dark or a flat (of an average its last), or 3 where
 * it is absent: those read as NaN, or as the type's maximum.
 *
 * In the ledger, what frames.csv leaves empty is 0, or NaN; a frame in no file has file and index
 * 2^32 - 1. A ledger that would be absurdly long keeps a record about many lost frames as one entry
 * and has the columns repeat and step besides. */

/* One place of the stack. */
struct nexus_row {
	uint64_t number;
	bool present;
	uint32_t file;   /* of the series: <series>_<six digits>.h5, */
	uint64_t index;  /* and the frame in its dataset NEXUS_DATA; with `present` */
	uint32_t flags;  /* enum frame_flag; with `present` */
	double rotation; /* degrees, NaN: not known */
	double dose;     /* NaN: none, or not known */
};

#define NEXUS_DATA "/entry1/data/data"

/* A calibration image, of the whole frame. */
struct nexus_map {
	const char *role; /* "dark", "flat", "flat_dark", "mask": one of each at most */
	const char *path;
	uint32_t crc32c;        /* of the file's bytes */
	const float *pixels;    /* counts; of a mask non-zero is bad [height][width] */
	uint32_t width, height; /* pixels */
};

/* A histogram of the series. */
struct nexus_histogram {
	struct bins bins;
	const uint64_t *counts; /* [bins.bins]; NULL: not known */
	struct histogram_tails tails;
};

/* What the file is made of. All is borrowed for the call. */
struct nexus_master {
	const char *series;             /* the data files', "wood-0001"; as config's names: no % */
	const char *name;               /* what people call it, the title */
	const char *version;            /* of the program */
	const char *ingest_name;        /* ingest.name */
	const struct sink_shape *shape; /* of a frame in the data files */

	bool source;     /* product `source`: pixels as unpacked, of the region */
	bool normalised; /* pixels went through a reduce.normalise other than none */
	const struct config_reduce *reduce;
	bool dose_applied; /* frames were divided by their dose */

	const struct nexus_row *rows; /* ascending by number [row_count] */
	size_t row_count;
	/* Record i < record_count of the ledger, ascending by number. */
	void (*record)(const void *ledger, size_t i, struct journal_record *ret);
	const void *ledger;
	size_t record_count;
	const struct journal_region *regions; /* of the records [region_count] */
	unsigned region_count;
	const struct nexus_map *maps; /* [map_count] */
	unsigned map_count;
	struct nexus_histogram raw, normalised_values;

	const char *manifest_json, *config_json; /* NULL: left out */
	uint64_t start_ns, end_ns;               /* CLOCK_REALTIME; end 0: not known */
	const char *detector_description;        /* NULL: not said */
	double exposure_s, period_s;             /* 0: not said */
};

/* Compose the file in memory. *ret_image, malloc'd, is what the file's bytes shall be; it can lie
 * under any name in the folder of the data files, which are not opened. With one frame in ten
 * lost, 100 000 frames take half a second and 1 000 000 one or two, most of it for the ledger.
 *
 * 0, or negative errno with why[]: -EINVAL (an image that is not the frame's size), -ENOMEM, -EIO
 * (the library's text). One thread at a time: hdf5_handle.h. */
int nexus_compose(const struct nexus_master *m, void **ret_image, size_t *ret_bytes, char why[256]);

/* A calibration image as a frame of the stack: its region, binned, in the frames' type.
 *
 *   source     of integers: nearest even, clipped; NaN is the maximum.  float32: as it is
 *   reduced    as a frame that is not normalised: the mean over the pixels of a bin that all maps
 *              call good (finite, mask 0), remainders left out; uint8 and uint16: the window to
 *              0 ... maximum - 1, nearest even, clipped; bad ones the maximum, or NaN
 *
 * ret   [shape->height][shape->width] of shape->type, aligned to it
 *
 * 0, -EINVAL when region and binning do not give the shape, -ENOMEM. */
int nexus_map_frame(const struct nexus_master *m, const struct nexus_map *map, void *ret);

#endif
