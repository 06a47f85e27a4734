/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_NEXUS_PARTS_H
#define SINKS_NEXUS_PARTS_H

#include "sinks/hdf5_handle.h"
#include "sinks/nexus.h"

/* The parts of a NeXus master. Failures are kept in `h`. */

#define NEXUS_OPENBEAM    "/entry1/openbeam"
#define NEXUS_CALIBRATION NEXUS_OPENBEAM "/calibration"

/* The places of the stack, images of calibration first. */
struct nexus_stack {
	const struct nexus_map *frames[2]; /* maps that are frames of it */
	unsigned frame_count;
	size_t length;      /* frames and rows; of each: */
	int32_t *image_key; /* 0 projection, 1 flat, 2 dark, 3 invalid */
	double *rotation;   /* degrees or NaN */
	double *dose;       /* or NaN */
	uint64_t *number;   /* UINT64_MAX: no frame of the detector */
};

/* Whether pixels are as they came: neither binned nor mapped to a window. */
bool nexus_is_unpacked(const struct nexus_master *m);

/* The map of that role, or NULL. */
const struct nexus_map *nexus_find_map(const struct nexus_master *m, const char *role);

/* False without memory. nexus_stack_done() accepts a zeroed one. */
bool nexus_stack_init(struct nexus_stack *s, const struct nexus_master *m);
void nexus_stack_done(struct nexus_stack *s);

/* Make the virtual dataset `data` of the stack; the caller closes it. */
hid_t nexus_write_stack(struct hdf5 *h, hid_t detector, const struct nexus_stack *s,
                        const struct nexus_master *m);

/* /entry1/tomo_entry and /entry1/process. */
void nexus_write_tomo(struct hdf5 *h, hid_t entry, const struct nexus_stack *s,
                      const struct nexus_master *m);
void nexus_write_process(struct hdf5 *h, hid_t entry, const struct nexus_master *m);

/* Groups of /entry1/openbeam. */
void nexus_write_calibration(struct hdf5 *h, hid_t openbeam, const struct nexus_stack *s,
                             const struct nexus_master *m);
void nexus_write_ledger(struct hdf5 *h, hid_t openbeam, const struct nexus_master *m);
void nexus_write_histograms(struct hdf5 *h, hid_t openbeam, const struct nexus_master *m);

#endif
