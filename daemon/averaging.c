/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/averaging.h"
#include "daemon/collector.h"
#include "daemon/packing.h"
#include "daemon/pipeline.h"
#include "kernels/mean.h"

static uint64_t place_in_series(const struct collector *k, uint64_t number)
{
	return number / k->series.rules.step - k->series.first;
}

/* Make the page in the buffer of the last frame, and hand all of them over. */
static void put_page(struct collector *k)
{
	struct averaging *a = &k->averaging;
	struct layout *l = k->layout;
	struct slot *s = a->pending;
	const struct reduce_mean_job job = { l->sums, a->frames, s->reduced };
	struct sink_frame f;

	reduce_mean(&collector_calibrated(k)->plan, l->scratch[l->workers], &job,
	            &s->reduction.clipped, &s->reduction.reduced_crc32c);
	packing_reduced(l, l->scratch[l->workers], s);
	f = collector_frame(s);
	f.averaged = a->frames;
	f.calibration = collector_calibrated(k)->id;
	a->pending = NULL;
	a->frames = 0;
	collector_on_disk(k, true); /* a full file is closed and the next one opened here */
	sinks_put(k->sinks, &f);
	collector_on_disk(k, false);
}

/* Add the frame's counts to the sums of its group. */
static void add(struct collector *k, const struct slot *s, bool begin)
{
	const struct reduce_plan *p = &k->layout->plan;
	enum product_type type = product_of_layout(p->layout);
	size_t pixels = (size_t)p->width * p->height;
	uint32_t no_value = p->has_no_value ? p->no_value : UINT32_MAX;

	if (type == PRODUCT_FLOAT32 || (!p->has_no_value && !p->port_columns))
		mean_add(k->layout->sums, s->source, type, pixels, begin);
	else
		mean_add_marked(k->layout->sums, s->source, type, no_value, pixels, begin);
	if (p->port_columns)
		reduce_spoil_ports(p, k->layout->sums, s->frame.ports.missing);
}

/* The group ends before `place`. */
static void end_group_before(struct collector *k, uint64_t place)
{
	struct averaging *a = &k->averaging;

	if (a->frames && place / k->pipeline->config->reduce.average != a->group)
		put_page(k);
}

void averaging_place(struct collector *k, uint64_t number, struct slot *s)
{
	struct averaging *a = &k->averaging;
	uint32_t average = k->pipeline->config->reduce.average;
	uint64_t place = place_in_series(k, number);

	end_group_before(k, place);
	if (a->pending) {
		struct sink_frame f = collector_frame(a->pending);

		sinks_join(k->sinks, &f);
	}
	a->group = place / average;
	a->pending = s;
	add(k, s, a->frames == 0);
	a->frames++;
	if (place % average == average - 1)
		put_page(k);
}

void averaging_skip(struct collector *k, uint64_t number)
{
	uint32_t average = k->pipeline->config->reduce.average;
	uint64_t place = place_in_series(k, number);

	end_group_before(k, place);
	if (k->averaging.frames && place % average == average - 1)
		put_page(k);
}

void averaging_finish(struct collector *k)
{
	if (k->averaging.frames)
		put_page(k);
}
