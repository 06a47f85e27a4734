/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_HDF5_FILTER_H
#define SINKS_HDF5_FILTER_H

/* Teach this process's HDF5 library to read datasets behind filter 32008 (bitshuffle with LZ4 or
 * zstd, framed as kernels/decompress.h says), for which it otherwise wants a plugin. Writing
 * through the filter is refused: chunks are compressed before they come here.
 *
 * cd_values of a dataset: two of the version, bytes of an element, elements of a block (0: the
 * default), 2 for LZ4, 3 for zstd; without the last bytes are shuffled alone, which is not read.
 *
 * May be called again. 0, or -EIO when the library takes no filter. */
int hdf5_filter_register(void);

#endif
