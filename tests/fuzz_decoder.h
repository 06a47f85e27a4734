/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_DECODER_H
#define TESTS_FUZZ_DECODER_H

#include "tests/fuzz_parts.h"

/* What the fuzz targets of decoders share. They abort where a contract is broken. */

/* Hold what came out against ingest/protocol.h. The pixels of a frame or piece, its mask and its
 * texts are read. m: the message it came of. */
void fuzz_check(const struct decoded *d, const struct message *m);

/* Decompress and widen the pixels of a frame as a worker does, into memory of exactly the size
 * that the frame has. Damaged pixels are legal. */
void fuzz_expand(const struct frame *f);

/* Configurations to choose from; the low bits of the choices, as many as needed, say which. */
struct fuzz_config {
	char *channel;
	uint32_t width, height; /* pixels; 0: none */
};

/* Give each message of the input to one decoder of that protocol and check what becomes of it. */
void fuzz_decoder(const char *protocol, const struct fuzz_config *configs, unsigned count,
                  const uint8_t *data, size_t size);

#endif
