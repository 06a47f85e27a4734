/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_RECORDING_V1_H
#define BENCH_RECORDING_V1_H

#include <stdbool.h>
#include <stddef.h>

/* Which parts of the DECTRIS stream V1 make up a message. */

struct v1_message {
	const char *name;         /* "header", "image", "end of series" */
	unsigned part_count;      /* without an appendix */
	bool appendix;            /* there may be one */
	const char *const *htype; /* what each part's htype begins with; NULL: not JSON; "": JSON
	                           * with another htype or none [part_count] */
};

/* The message that this part begins, or NULL: none. */
const struct v1_message *v1_message_begun(const void *part, size_t size);

/* Whether this can be part i of a message, 1 <= i < part_count. */
bool v1_message_fits(const struct v1_message *m, unsigned i, const void *part, size_t size);

#endif
