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
#include "kernels/defects.h"
struct reduce_plan; struct reduce_job;
void reduce_defects(const struct reduce_plan *p, void *scratch, const struct reduce_job *job, struct defects *ret);
void reduce_defects(const struct reduce_plan *p, void *scratch, const struct reduce_job *job, struct defects *ret)
{ (void)p; (void)scratch; (void)job; ret->dead_count = ret->hot_count = 0; }
int quality_open(struct quality **ret, const struct config *c, const struct quality_events *events) { (void)c;(void)events; *ret = NULL; return 0; }
void quality_close(struct quality *q) { (void)q; }
void quality_begin(struct quality *q, const struct bins *raw, const struct bins *n, bool w) { (void)q;(void)raw;(void)n;(void)w; }
uint32_t quality_frame(struct quality *q, const struct quality_frame *f) { (void)q;(void)f; return 0; }
void quality_end(struct quality *q, uint64_t now) { (void)q;(void)now; }
void quality_machine(struct quality *q, const struct quality_machine *m) { (void)q;(void)m; }
void quality_publish(struct quality *q, uint64_t n) { (void)q;(void)n; }
