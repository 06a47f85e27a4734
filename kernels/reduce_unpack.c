/* SPDX-License-Identifier: Apache-2.0 */
/* From the payload, or a detector's ports, to pixels in the machine's order. */
#include "kernels/mean.h"
#include "kernels/reduce_scratch.h"

#include <math.h>
#include <string.h>

/* A run of a row of the frame that lies in one port's piece. */
struct port_run {
	unsigned port;
	uint32_t x, n; /* columns of what is processed */
	size_t first;  /* pixel of the piece */
};

/* The run that begins in column x of what is processed, in row `row` of it. */
static struct port_run port_run(const struct reduce_plan *p, const struct reduce_job *job,
                                uint32_t row, uint32_t x)
{
	uint32_t width = p->payload_width / p->port_columns;
	uint32_t height = p->payload_height / p->port_rows;
	uint32_t column = (p->left + x) / width, left = (p->left + x) % width;
	uint32_t y = (p->top + row) % height;
	struct port_run run = { .port = (p->top + row) / height * p->port_columns + column,
		                .x = x };

	if (job->flipped >> run.port & 1)
		y = height - 1 - y;
	run.n = width - left < p->width - x ? width - left : p->width - x;
	run.first = (size_t)y * width + left;
	return run;
}

/* Pixels x to x + n of a row, put together from the ports' pieces. Missing ones leave all bits set,
 * as detectors that pad do. */
static void unpack_ports(const struct reduce_plan *p, char *out, const struct reduce_job *job,
                         uint32_t row, uint32_t x, uint32_t n)
{
	size_t pixel = product_bytes(product_of_layout(p->layout));
	uint32_t end = x + n;

	while (x < end) {
		struct port_run run = port_run(p, job, row, x);
		uint32_t here = run.n < end - x ? run.n : end - x;

		if (job->pieces[run.port])
			p->kernels.unpack(out, job->pieces[run.port], run.first, here);
		else
			memset(out, 0xff, here * pixel);
		out += here * pixel;
		x += here;
	}
}

static void unpack_run(const struct reduce_plan *p, char *out, const struct reduce_job *job,
                       uint32_t row, uint32_t x, uint32_t n)
{
	if (p->port_columns)
		unpack_ports(p, out, job, row, x, n);
	else
		p->kernels.unpack(out, job->raw, payload_pixel(p, row) + x, n);
}

void unpack_rows(const struct reduce_plan *p, char *out, const struct reduce_job *job,
                 const struct tile *tile)
{
	size_t row_bytes = p->width * (size_t)product_bytes(product_of_layout(p->layout));

	if (p->payload_width == p->width && !p->port_columns) {
		p->kernels.unpack(out, job->raw, payload_pixel(p, tile->row), tile->pixels);
		return;
	}
	for (uint32_t y = 0; y < tile->rows; y++, out += row_bytes)
		unpack_run(p, out, job, tile->row + y, 0, p->width);
}

void mark_missing_ports(const struct reduce_plan *p, float *t, const struct reduce_job *job,
                        const struct tile *tile, size_t i, size_t n)
{
	for (size_t at = i; at < i + n;) {
		uint32_t y = (uint32_t)(at / p->width), x = (uint32_t)(at % p->width);
		struct port_run run = port_run(p, job, tile->row + y, x);
		size_t end = at + run.n < i + n ? at + run.n : i + n;

		for (; at < end && !job->pieces[run.port]; at++)
			t[at - i] = NAN;
		at = end;
	}
}

bool lacks_a_port(const struct reduce_plan *p, const struct reduce_job *job)
{
	for (uint32_t i = 0; i < p->port_columns * p->port_rows; i++)
		if (!job->pieces[i])
			return true;
	return false;
}

void mark_missing_bits(const struct reduce_plan *p, uint64_t *marked, const struct reduce_job *job,
                       const struct tile *tile)
{
	size_t lead = tile->first % SURVEY_GROUP;

	for (size_t at = 0; at < tile->pixels;) {
		struct port_run run = port_run(p, job, tile->row + (uint32_t)(at / p->width),
		                               (uint32_t)(at % p->width));

		for (size_t i = at; i < at + run.n && !job->pieces[run.port]; i++)
			marked[(lead + i) / 64] |= UINT64_C(1) << (lead + i) % 64;
		at += run.n;
	}
}

const void *raw_run(const struct reduce_plan *p, struct scratch *s, const struct reduce_job *job,
                    uint32_t row, uint32_t x, uint32_t n)
{
	size_t pixel = product_bytes(product_of_layout(p->layout));

	if (reduce_in_place(p))
		return (const char *)job->raw + (payload_pixel(p, row) + x) * pixel;
	unpack_run(p, s->native, job, row, x, n);
	return s->native;
}

void flatten_run(const struct reduce_plan *p, const struct scratch *s, const struct reduce_job *job,
                 const void *raw, uint32_t row, uint32_t x, uint32_t n, float *ret)
{
	const struct tile tile = { .row = row };
	size_t i = (size_t)row * p->width + x;

	p->kernels.flatten(ret, raw, p->offset ? p->offset + i : s->offset,
	                   p->gain ? p->gain + i : s->gain, n);
	if (p->kernels.invalidate)
		p->kernels.invalidate(ret, raw, p->no_value, n);
	if (lacks_a_port(p, job))
		mark_missing_ports(p, ret, job, &tile, x, n);
}

void transmission_run(const struct reduce_plan *p, struct scratch *s, const struct reduce_job *job,
                      uint32_t row, uint32_t x, uint32_t n, float *ret)
{
	flatten_run(p, s, job, raw_run(p, s, job, row, x, n), row, x, n, ret);
}

void reduce_spoil_ports(const struct reduce_plan *p, void *sums, uint64_t missing)
{
	enum product_type type = product_of_layout(p->layout);
	const struct reduce_job any = { 0 };

	for (uint32_t y = 0; missing && y < p->height; y++)
		for (uint32_t x = 0; x < p->width;) {
			struct port_run run = port_run(p, &any, y, x);
			size_t i = (size_t)y * p->width + x;

			if (missing >> run.port & 1)
				mean_spoil((char *)sums + i * mean_sum_bytes(type), type, run.n);
			x += run.n;
		}
}
