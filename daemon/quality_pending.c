/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/quality.h"

#include <errno.h>

const char *sentinel_name(enum sentinel s)
{
	static const char *const names[SENTINEL_COUNT] = { "saturated", "dead_pixels", "hot_pixels",
		                                           "beam",      "flat_drift",  "repeated",
		                                           "noise",     "frame_rate",  "timestamps",
		                                           "buffer",    "disk" };

	return names[s];
}

void quality_figures(struct quality *q, struct quality_figures *ret)
{
	(void)q;
	*ret = (struct quality_figures){ 0 };
}

int quality_histogram(struct quality *q, bool raw, enum quality_window w,
                      struct quality_histogram *ret)
{
	(void)q;
	(void)raw;
	(void)w;
	(void)ret;
	return -ENOMEM;
}

int quality_trend(struct quality *q, struct quality_trend *ret)
{
	(void)q;
	(void)ret;
	return -ENOMEM;
}

void quality_trend_done(struct quality_trend *t)
{
	(void)t;
}
