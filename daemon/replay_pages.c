/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/replay_parts.h"

#include "kernels/mean.h"

#include <string.h>

/* With reduce.average: groups by the place of their numbers in the series, as the daemon makes
 * them. */

static uint64_t group_of(const struct replay *r, uint64_t number)
{
	uint64_t first = r->recorded.first;

	return number < first ? 0 : (number - first) / r->recorded.step / r->config.reduce.average;
}

static void add(struct replay *r)
{
	const struct reduce_plan *p = &r->layout.plan;
	enum product_type type = product_of_layout(p->layout);
	size_t pixels = (size_t)p->width * p->height;

	if (type == PRODUCT_FLOAT32 || !p->has_no_value)
		mean_add(r->sums, r->source, type, pixels, r->members == 0);
	else
		mean_add_marked(r->sums, r->source, type, p->no_value, pixels, r->members == 0);
}

static uint64_t middle_ns(const struct replay *r)
{
	return r->received_first_ns + r->received_sum_ns / r->members;
}

static int make_page(struct replay *r, void *reduced)
{
	const struct reduce_mean_job job = { r->sums, r->members, reduced };
	struct replay_frame *f = &r->last;
	int err = r->flats ? replay_flats_use(r, middle_ns(r)) : 0;

	if (!err)
		reduce_mean(&r->calibrated->plan, r->scratch, &job, &f->reduction.clipped,
		            &f->reduction.reduced_crc32c);
	return err;
}

/* The page of the group is whole, as far as it will be. */
static int end_page(struct replay *r)
{
	uint32_t members = r->members;
	struct replay_frame *f = &r->last;
	int err = 0;

	if (members > 0) {
		err = make_page(r, r->writer ? replay_write_buffer(r) : r->reduced);
		if (!err && r->writer)
			replay_write_put(r, f, members);
		f->alike = true;
		if (!err && !r->page_broken) {
			replay_compare_product(r, f, members);
			r->result->pages++;
		}
	}
	r->members = 0;
	r->page_broken = false;
	return err;
}

int replay_group(struct replay *r, uint64_t number)
{
	uint64_t group = group_of(r, number);
	int err = r->group != group ? end_page(r) : 0;

	r->group = group;
	return err;
}

void replay_join(struct replay *r, struct replay_frame *f)
{
	if (r->members > 0 && r->writer)
		replay_write_join(r, &r->last);
	if (r->members == 0) {
		r->received_sum_ns = 0;
		r->received_first_ns = f->record.received_ns;
	}
	add(r);
	r->members++;
	if (f->record.received_ns > r->received_first_ns)
		r->received_sum_ns += f->record.received_ns - r->received_first_ns;
	r->page_broken |= !f->repeatable;
	r->last = *f;
}

int replay_finish_pages(struct replay *r)
{
	return end_page(r);
}
