/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_FRAMING_H
#define INGEST_FRAMING_H

#include "ingest/protocol.h"

/* What detectors' protocols share about the pixels of a frame that is decoded but for them. */

/* Whether the head of compressed pixels announces as many bytes as the frame has. What follows the
 * head is looked at by the worker. False after rejecting the message. */
bool framing_check(const void *pixels, struct decoded *ret);

/* A pixel mask of 32-bit words [pixels] at any alignment as bytes, 0 or 1. malloc'd, NULL without
 * memory. */
uint8_t *framing_mask(const void *words, size_t pixels);

/* All bits set stand for no value, in pixels of an unsigned type. */
void framing_no_value(struct frame *f);

#endif
