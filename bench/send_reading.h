/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SEND_READING_H
#define BENCH_SEND_READING_H

#include "bench/send_option_rows.h"
#include "bench/send_options.h"

/* What is known only while the command line of openbeam-send is read. */

#define WHY_BYTES 512

struct reading {
	struct send_options *o;
	const struct send_profile *profile;
	bool given[OPTION_END - OPTION_TO];
	char *why; /* [WHY_BYTES] */
};

/* When all options were taken: fill in what depends on several, refuse what does not go together.
 * 0, or -EINVAL with *why. */
int reading_check(struct reading *r);

#endif
