/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lasting.h"

#include <string.h>

void lasting_look(struct lasting *l, const uint32_t *pixels, uint64_t total)
{
	struct lasting_pixel now[DEFECTS_MAX];
	unsigned count = total < DEFECTS_MAX ? (unsigned)total : DEFECTS_MAX;

	l->found = 0;
	for (unsigned i = 0, old = 0; i < count; i++) {
		while (old < l->count && l->at[old].pixel < pixels[i])
			old++;
		uint32_t looks =
			old < l->count && l->at[old].pixel == pixels[i] ? l->at[old].looks : 0;

		looks += looks < LASTING_LOOKS;
		now[i] = (struct lasting_pixel){ pixels[i], looks };
		l->found += looks == LASTING_LOOKS;
	}
	memcpy(l->at, now, count * sizeof *now);
	l->count = count;
	if (total > DEFECTS_MAX)
		l->beyond = LASTING_LOOKS;
	else if (l->beyond > 0)
		l->beyond--;
	l->more = l->beyond > 0;
}

void lasting_clear(struct lasting *l)
{
	l->count = l->beyond = 0;
	l->found = 0;
	l->more = false;
}
