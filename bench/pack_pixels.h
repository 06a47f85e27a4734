/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PACK_PIXELS_H
#define BENCH_PACK_PIXELS_H

#include "ingest/frame.h"

/* Pack pixels as a camera sends them.
 *
 * out      the message's pixels, bits of no pixel 0   [n * wire_bits() bits, in whole bytes]
 * pixels   uint16, for PACKING_NIBBLES uint8; any value of the format's significant bits [n]
 * p        not PACKING_NONE
 *
 * out may be pixels itself; otherwise no overlap. */
void pack_pixels(void *out, const void *pixels, size_t n, enum pixel_packing p);

#endif
