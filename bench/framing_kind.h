/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_FRAMING_KIND_H
#define BENCH_FRAMING_KIND_H

/* How pixels are compressed, and what the bytes look like then: one name means different bytes in
 * different protocols. */

enum compression {
	COMPRESSION_NONE,
	COMPRESSION_LZ4,
	COMPRESSION_BSLZ4,
	COMPRESSION_BSZSTD,
	COMPRESSION_COUNT
};

enum framing {
	FRAMING_NONE, /* there is no such bytes */
	FRAMING_PLAIN,
	FRAMING_LZ4_BLOCK,  /* one bare block */
	FRAMING_LZ4_HDF5,   /* filter 32004 */
	FRAMING_LZ4_BSREAD, /* 4 bytes of size, one block */
	FRAMING_BSLZ4,      /* filter 32008 */
	FRAMING_BSZSTD,
};

/* "none", "lz4", "bslz4", "bszstd". */
const char *compression_name(enum compression c);

#endif
