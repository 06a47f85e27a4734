/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_HEADER_H
#define INGEST_HEADER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* JSON headers off the wire, read with jansson, without the heap and without losing digits.
 *
 * jansson makes some twenty allocations per header; here they come from an arena that is reset
 * for the next message. Its integers are signed 64 bit and scientific notation becomes a double;
 * here every number that is an integer from 0 to 2^64 - 1 arrives exactly, however it is written.
 *
 * jansson's allocator is one per process: header_open() installs one that serves from the arena
 * of the calling thread while header_parse() runs there and from malloc otherwise, so that
 * other users of jansson, on this thread and on others, notice nothing. */

#define HEADER_BYTES_MAX 65536     /* a longer header is refused */
#define HEADER_DEPTH_MAX 32        /* arrays and objects inside each other; more is refused */
#define HEADER_ARENA     (1 << 20) /* bytes; as good for 10 000 numbers in a header */

struct header {
	char *text; /* the header with its numbers normalised [HEADER_TEXT_MAX] */
	char *arena;
	size_t arena_bytes, arena_used;
	char why[128]; /* after header_parse() returned NULL: what is wrong */
};

/* Get the buffers. arena_bytes is HEADER_ARENA except in tests. 0 or -ENOMEM. Main thread,
 * before other threads use jansson. */
int header_open(struct header *h, size_t arena_bytes);

/* Accepts a zeroed one. */
void header_close(struct header *h);

/* Parse `size` bytes at `data` (may be NULL when size is 0) as one JSON object, followed by
 * nothing but white space. Strict: keys given twice are refused.
 *
 * The object, or NULL with why[]. It is valid until the next call and is not to be changed,
 * kept, or given to json_decref(). One thread at a time. */
const json_t *header_parse(struct header *h, const void *data, size_t size);

/* An integer from 0 to 2^64 - 1, exactly. False for everything else, NULL too. */
bool header_integer(const json_t *value, uint64_t *ret);

/* true, false, 1 or 0. False for everything else, NULL too. */
bool header_boolean(const json_t *value, bool *ret);

/* Replace all but printable ASCII by '?': sentences that quote a sender go to logs and
 * terminals, which must get neither line ends nor controls from it. */
void header_printable(char *s);

#endif
