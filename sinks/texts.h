/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_TEXTS_H
#define SINKS_TEXTS_H

#include <stddef.h>
#include <stdint.h>

/* Texts as every file of a series has them. */

#define TEXT_TIME_BYTES 64

/* A moment as ISO 8601 in UTC, to the nanosecond: "2026-11-27T15:14:07.000000000Z".
 * ns: CLOCK_REALTIME. */
void text_time(uint64_t ns, char ret[TEXT_TIME_BYTES]);

/* Bytes of the UTF-8 sequence at s, 1 to 4; 0 when it is none (overlong, a surrogate, beyond
 * Unicode, cut off by the final 0). */
size_t text_sequence_bytes(const char *s);

#endif
