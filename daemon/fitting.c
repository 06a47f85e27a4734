/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/fitting.h"
#include "ingest/protocol.h"

#include <math.h>
#include <stdio.h>

#define EXPOSURE_TOLERANCE 1e-6 /* relative: what a detector writes and reads back */

static bool other_type(const struct planes *p, const struct frame_shape *s, char why[320])
{
	for (unsigned r = 0; r < PLANES_MASK; r++) {
		const struct planes_image *i = &p->images.of[r];

		if (!i->pixels || !i->has_type || i->type == s->type)
			continue;
		snprintf(why, 320, "%s was made of frames of %s, and these are of %s",
		         i->about.path, pixel_name(i->type), pixel_name(s->type));
		return true;
	}
	return false;
}

static bool differs(double a, double b)
{
	return a > 0 && b > 0 && fabs(a - b) > EXPOSURE_TOLERANCE * b;
}

static bool other_exposure(const struct planes *p, const struct detector *d, char why[320])
{
	const struct planes_image *of = p->images.of;
	const struct planes_image *i = NULL;

	if (of[PLANES_DARK].pixels && differs(of[PLANES_DARK].exposure_s, d->exposure_s))
		i = &of[PLANES_DARK];
	else if (of[PLANES_FLAT].pixels && !of[PLANES_FLAT_DARK].pixels &&
	         differs(of[PLANES_FLAT].exposure_s, d->exposure_s))
		i = &of[PLANES_FLAT];
	if (!i)
		return false;
	snprintf(why, 320, "%s was exposed for %g s, and the detector says %g s", i->about.path,
	         i->exposure_s, d->exposure_s);
	return true;
}

bool calibration_misfits(const struct planes *p, const struct frame_shape *s,
                         const struct detector *d, char why[320])
{
	if (p->width && (p->width != s->width || p->height != s->height)) {
		snprintf(why, 320, "%s is %u x %u pixels, and the frames are %u x %u", p->size_from,
		         p->width, p->height, s->width, s->height);
		return true;
	}
	return other_type(p, s, why) || (d && other_exposure(p, d, why));
}
