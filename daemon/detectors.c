/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/detectors.h"

#include <stdlib.h>
#include <string.h>

static size_t mask_pixels(const struct detector *d)
{
	return d->mask ? (size_t)d->width * d->height : 0;
}

struct detector *detector_copy(const struct detector *d)
{
	size_t bytes = mask_pixels(d) * sizeof *d->mask;
	struct detector *copy = malloc(sizeof *copy);
	uint8_t *mask = bytes ? malloc(bytes) : NULL;

	if (!copy || (bytes && !mask)) {
		free(copy);
		free(mask);
		return NULL;
	}
	*copy = *d;
	if (bytes)
		memcpy(mask, d->mask, bytes);
	copy->mask = mask;
	return copy;
}

void detector_free(struct detector *d)
{
	if (!d)
		return;
	free((uint8_t *)(uintptr_t)d->mask);
	free(d);
}

bool detector_equal(const struct detector *a, const struct detector *b)
{
	static const struct detector nothing = { 0 };

	a = a ? a : &nothing;
	b = b ? b : &nothing;
	if (a->saturation != b->saturation || mask_pixels(a) != mask_pixels(b))
		return false;
	if (mask_pixels(a) == 0)
		return true;
	return a->width == b->width &&
	       memcmp(a->mask, b->mask, mask_pixels(a) * sizeof *a->mask) == 0;
}

uint64_t detector_bad(const struct detector *d)
{
	uint64_t bad = 0;

	for (size_t i = 0; i < mask_pixels(d); i++)
		bad += d->mask[i] != 0;
	return bad;
}
