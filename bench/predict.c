/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/predict.h"

#include <math.h>
#include <stddef.h>

#define A_HAIR 1e-9 /* so that what fits exactly is not rounded up */

const struct predict_load predict_loads[] = {
	{ "reference-8", 2560, 2160, 8, 1500 },
	{ "reference-12", 2560, 2160, 12, 1500 },
	{ "reference-16", 2560, 2160, 16, 1500 },
	{ "csaxs", 3108, 3262, 32, 740 },
	{ 0 },
};

double predict_cpu_s(const struct predict_costs *c)
{
	return c->send + c->receive + c->pass + c->write + c->rest;
}

double predict_fps(const struct predict_costs *c, const struct predict_machine *m)
{
	double fps = m->cores / predict_cpu_s(c);

	if (c->receive > 0)
		fps = fmin(fps, m->endpoints / c->receive);
	if (c->memory_bytes > 0 && m->memory_bytes_per_s > 0)
		fps = fmin(fps, m->memory_bytes_per_s / c->memory_bytes);
	return fps;
}

static unsigned round_up(double n)
{
	return n > 1 ? (unsigned)ceil(n - A_HAIR) : 1;
}

unsigned predict_cores(const struct predict_costs *c, double rate_hz)
{
	return round_up(rate_hz * predict_cpu_s(c));
}

unsigned predict_endpoints(const struct predict_costs *c, double rate_hz)
{
	return round_up(rate_hz * c->receive);
}

unsigned predict_machines(const struct predict_costs *c, const struct predict_machine *m,
                          double rate_hz)
{
	double fps = predict_fps(c, m);

	return fps > 0 ? round_up(rate_hz / fps) : 0;
}

static double bytes_of(const struct predict_load *l)
{
	return (double)l->width * l->height * l->wire_bits / 8;
}

struct predict_costs predict_costs_of(const struct predict_unit *u, const struct predict_load *l)
{
	double pixels = (double)l->width * l->height, bytes = bytes_of(l);

	return (struct predict_costs){
		.send = u->send_per_frame + u->send_per_byte * bytes,
		.receive = u->receive_per_frame + u->receive_per_byte * bytes,
		.pass = u->pass_per_pixel * pixels,
		.write = u->write_per_pixel * pixels,
		.rest = u->rest_per_pixel * pixels,
		.memory_bytes = u->touched_per_byte * bytes + u->touched_per_pixel * pixels,
	};
}

double predict_bytes_per_s(const struct predict_load *l)
{
	return l->rate_hz * bytes_of(l);
}
