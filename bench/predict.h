/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PREDICT_H
#define BENCH_PREDICT_H

#include <stdint.h>

/* How many frames a second more cores, endpoints and machines would reduce, from what each part of
 * the way costs: arithmetic on measured figures, which leaves out what was not measured. */

/* CPU time of one frame, seconds. */
struct predict_costs {
	double send;    /* 0: the sender is on another machine */
	double receive; /* all threads of the receiving side */
	double pass;
	double write;
	double rest;         /* what the daemon needed beside these */
	double memory_bytes; /* that go to or from memory for it; 0: not counted */
};

struct predict_machine {
	unsigned cores, endpoints;
	double memory_bytes_per_s; /* of all its cores; 0: not known */
};

/* What a stream brings. */
struct predict_load {
	const char *name;
	uint32_t width, height; /* pixels */
	unsigned wire_bits;     /* of a pixel in the message */
	double rate_hz;
};

/* What one frame of `pixels` of so many bits costs, of what is known for another size: */
struct predict_unit {
	double send_per_byte, receive_per_byte; /* of the message, seconds */
	double send_per_frame, receive_per_frame;
	double pass_per_pixel;
	double write_per_pixel, rest_per_pixel;
	double touched_per_byte;  /* bytes of memory traffic for each byte of the message */
	double touched_per_pixel; /* and for each pixel, by what is made of it */
};

/* The sum of what it takes of cores, seconds. */
double predict_cpu_s(const struct predict_costs *c);

/* The least of cores / CPU time, endpoints / time of one receiving side, and memory. An endpoint's
 * message is received by one core at a time. */
double predict_fps(const struct predict_costs *c, const struct predict_machine *m);

/* Cores and endpoints that are busy all the time at this rate, rounded up; at least 1. */
unsigned predict_cores(const struct predict_costs *c, double rate_hz);
unsigned predict_endpoints(const struct predict_costs *c, double rate_hz);

/* Machines that share the frames; at least 1. 0: no number of them would do. */
unsigned predict_machines(const struct predict_costs *c, const struct predict_machine *m,
                          double rate_hz);

/* Costs of a load's frame. */
struct predict_costs predict_costs_of(const struct predict_unit *u, const struct predict_load *l);

/* Bytes a second on the wire. */
double predict_bytes_per_s(const struct predict_load *l);

/* The reference camera at 8, 12 and 16 bit, and cSAXS's 30 GB/s; ended by a row with name NULL. */
extern const struct predict_load predict_loads[];

#endif
