/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_HDF5_SPACE_H
#define SINKS_HDF5_SPACE_H

#include "sinks/format.h"

#include <hdf5.h>

/* What is in an HDF5 file beside its pixels, composed by the library on memory.
 *
 *   0          superblock, groups, object headers     head[], HDF5_HEAD_BYTES
 *   HEAD       pixels, frame behind frame             written by somebody else, never here
 *   behind     frame numbers, index of chunks         tail[]
 *
 * A file driver of the library: metadata goes into the head while there is room and then into
 * the tail; space for pixels is given where the frames are, and what the library would write
 * there is thrown away. One thread at a time. */

#define HDF5_HEAD_BYTES 16384 /* twice what the tree takes, a multiple of WRITER_ALIGN */

/* The file ends so many bytes behind what was given out: the library extends what lies at the very
 * end in place, where pixels or the head's end may be in the way. */
#define HDF5_SPACE_GAP 8u

struct hdf5_space {
	unsigned char *head; /* [HDF5_HEAD_BYTES] */
	uint64_t head_fill;
	unsigned char *tail;
	uint64_t tail_fill, tail_capacity;
	uint64_t pixels_end; /* where the tail begins */
	uint64_t end;        /* of everything the library has asked for */
	/* The next raw data to be asked for are pixels: from here, so many bytes. 0: other data. */
	uint64_t pixels_at, pixels_bytes;
};

/* pixels_end: HDF5_HEAD_BYTES and all frames. 0 or -ENOMEM. */
int hdf5_space_open(struct hdf5_space *s, uint64_t pixels_end);

/* Accepts a zeroed one. No file may be open in it. */
void hdf5_space_close(struct hdf5_space *s);

/* Create the file in it; close it with H5Fclose(). A negative id on failure. */
hid_t hdf5_space_create(struct hdf5_space *s);

#endif
