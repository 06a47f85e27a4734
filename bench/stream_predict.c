/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stream_bench.h"

#include "bench/predict.h"
#include "daemon/memory_limit.h"
#include "kernels/cpu.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define MOST_CORES     64
#define MOST_ENDPOINTS 8
/* Times that a byte of a message moves in memory, beside those of the product: a network card
 * writes it, the kernel reads it and writes the copy, the pass reads that; of shared memory only
 * the pass. */
#define TOUCHED_TCP     4.0
#define TOUCHED_SHM     1.0
#define PRODUCT         0.5 /* bytes of the product for each pixel: binned 2 x 2, 16 bit, */
#define TOUCHED_PRODUCT (2 * PRODUCT) /* written, and read by the disk */

/* What the predictions rest on. */
struct basis {
	double pass_per_pixel[4];   /* of 8, 12, 16, 32 bit on the wire */
	double memory_bytes_per_s;  /* of all cores of this machine */
	struct stream_costs shared; /* of the messages about shared memory */
};

static const enum raw_layout layouts[4] = { RAW_UINT8, RAW_MONO12P, RAW_UINT16, RAW_UINT32 };
static const unsigned layout_bits[4] = { 8, 12, 16, 32 };

static double pixels_of(const struct stream_bench *b)
{
	return (double)b->options->width * b->options->height;
}

static int measure_passes(struct stream_bench *b, struct basis *ret, char why[512])
{
	const struct pass_load load = { cpu_detect(), b->cores, true };

	for (unsigned i = 0; i < 4; i++) {
		struct pass_figures figures;

		if (layouts[i] == RAW_UINT16) {
			ret->pass_per_pixel[i] =
				samples_median(&b->found.costs.pass) / pixels_of(b);
			continue;
		}
		if (pass_limit_layout(&b->meter.pass, layouts[i]) ||
		    !pass_limit_measure(&b->meter.pass, &load, 3, b->options->full ? 1.0 : 0.3,
		                        &figures)) {
			snprintf(why, 512, "no memory for the pass over %u-bit pixels",
			         layout_bits[i]);
			return EX_OSERR;
		}
		ret->pass_per_pixel[i] = samples_median(&figures.cpu_s_per_frame) / pixels_of(b);
	}
	pass_limit_layout(&b->meter.pass, RAW_UINT16);
	return 0;
}

static void add_passes(struct stream_bench *b, const struct basis *basis)
{
	for (unsigned i = 0; i < 4; i++) {
		struct samples one = { 0 };
		char name[32];

		snprintf(name, sizeof name, "cost-pass-%ubit", layout_bits[i]);
		samples_add(&one, basis->pass_per_pixel[i]);
		stream_add_cost(b, name, &one, 1e9, "ns/pixel", "CPU of the pass");
	}
}

static int measure_memory(struct stream_bench *b, struct basis *ret, char why[512])
{
	struct samples read = { 0 };
	struct memory_limit limit;

	if (memory_limit_open(&limit, b->cores)) {
		snprintf(why, 512, "no memory to measure memory with");
		return EX_OSERR;
	}
	memory_limit_read(&limit, 5, &read);
	memory_limit_close(&limit);
	ret->memory_bytes_per_s = 1e9 * samples_max(&read);
	results_add(b->results, &(struct result){ .name = "memory-read",
	                                          .unit = "GB/s",
	                                          .samples = &read,
	                                          .note = "all cores" });
	return 0;
}

/* The transport of shared memory costs the same whatever a frame's size. */
static struct predict_unit unit_of(const struct stream_bench *b, const struct basis *basis,
                                   enum trial_transport t, unsigned bits)
{
	const struct stream_costs *c = &b->found.costs;
	double bytes = 2 * pixels_of(b);
	struct predict_unit u = {
		.write_per_pixel = samples_median(&c->write) / pixels_of(b),
		.rest_per_pixel = b->found.rest_disk / pixels_of(b),
		.touched_per_byte = t == TRIAL_SHM ? TOUCHED_SHM : TOUCHED_TCP,
		.touched_per_pixel = TOUCHED_PRODUCT,
	};

	for (unsigned i = 0; i < 4; i++)
		if (layout_bits[i] == bits)
			u.pass_per_pixel = basis->pass_per_pixel[i];
	if (t == TRIAL_SHM)
		u.receive_per_frame = samples_median(&basis->shared.receive);
	else
		u.receive_per_byte = samples_median(&c->receive) / bytes;
	return u;
}

/* ---- frames/s of more cores and endpoints ---- */

/* Sender and daemon share the cores, as in tcp-disk. */
static void predict_cores_row(struct stream_bench *b, const struct basis *basis, unsigned cores)
{
	const struct predict_load here = { "here", b->options->width, b->options->height, 16, 1 };
	struct predict_unit u = unit_of(b, basis, TRIAL_TCP, 16);
	struct predict_costs c = predict_costs_of(&u, &here);
	struct samples fps = { 0 };
	json_t *by = json_object();
	char name[48], note[160] = "endpoints";
	size_t at = strlen(note);

	c.send = samples_median(&b->found.costs.send) + b->found.rest_sender;
	for (unsigned e = 1; e <= MOST_ENDPOINTS; e *= 2) {
		const struct predict_machine m = { cores, e,
			                           basis->memory_bytes_per_s * cores / b->cores };
		double one = predict_fps(&c, &m);
		char key[8];

		snprintf(key, sizeof key, "%u", e);
		json_object_set_new(by, key, json_real(one));
		at += (size_t)snprintf(note + at, sizeof note - at, "%s %u: %.0f", e > 1 ? "," : "",
		                       e, one);
		if (e == MOST_ENDPOINTS)
			samples_add(&fps, one);
	}
	if (cores == b->cores)
		snprintf(note + at, sizeof note - at, "; measured with 1: %.0f",
		         samples_median(&b->found.rate_disk));
	snprintf(name, sizeof name, "predict-cores-%u", cores);
	results_add(b->results,
	            &(struct result){ .name = name,
	                              .unit = "frames/s",
	                              .samples = &fps,
	                              .note = note,
	                              .more = json_pack("{s:i, s:o}", "cores", (int)cores,
	                                                "by_endpoints", by) });
}

/* ---- what a detector needs ---- */

static void predict_load_row(struct stream_bench *b, const struct basis *basis,
                             const struct predict_load *l, enum trial_transport t)
{
	struct predict_unit u = unit_of(b, basis, t, l->wire_bits);
	struct predict_costs c = predict_costs_of(&u, l);
	const struct predict_machine here = { b->cores, t == TRIAL_SHM ? 1 : MOST_ENDPOINTS,
		                              basis->memory_bytes_per_s };
	unsigned cores = predict_cores(&c, l->rate_hz);
	unsigned endpoints = predict_endpoints(&c, l->rate_hz);
	unsigned machines = predict_machines(&c, &here, l->rate_hz);
	double fps = predict_fps(&c, &here);
	struct samples needed = { 0 };
	char name[64], note[200];

	samples_add(&needed, cores);
	snprintf(name, sizeof name, "predict-%s-%s", l->name, trial_transport_name(t));
	snprintf(note, sizeof note,
	         "of %.0f Hz and %.1f GB/s; %u endpoints; this machine %.0f Hz: %u of them "
	         "(memory %.1f GB/s)",
	         l->rate_hz, predict_bytes_per_s(l) * 1e-9, endpoints, fps, machines,
	         c.memory_bytes * l->rate_hz * 1e-9);
	results_add(
		b->results,
		&(struct result){
			.name = name,
			.unit = "cores",
			.samples = &needed,
			.note = note,
			.more = json_pack(
				"{s:f, s:f, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
				"rate_hz", l->rate_hz, "gb_per_s", predict_bytes_per_s(l) * 1e-9,
				"endpoints", (int)endpoints, "machines", (int)machines,
				"fps_of_this_machine", fps, "cpu_ms_per_frame",
				1e3 * predict_cpu_s(&c), "receive_ms", 1e3 * c.receive, "pass_ms",
				1e3 * c.pass, "write_ms", 1e3 * c.write, "rest_ms", 1e3 * c.rest,
				"memory_gb_per_s", c.memory_bytes * l->rate_hz * 1e-9) });
}

static void say_what_is_left_out(void)
{
	puts("predict-cores-*: sender and daemon on the same cores, reduced frames to disk, the "
	     "note is frames/s by\nendpoints; memory grows with the cores. predict-reference-*, "
	     "predict-csaxs-*: cores for the daemon alone, the\nsender being elsewhere. From the "
	     "costs above; left out: the network card and its interrupts, NUMA, memory\nthat cores "
	     "of one socket share, turbo, how fast the disk is, and other programs.\n"
	     "What openbeamd needs beside the parts is taken from tcp-disk, also for shared "
	     "memory.");
}

/* The disk need not have been measured. */
static void need_write(struct stream_bench *b)
{
	if (!b->found.costs.write.count)
		b->found.rest_disk = b->found.rest;
}

int stream_predict(struct stream_bench *b, char why[512])
{
	const struct stream_kind shared = { TRIAL_SHM, "null", 1, b->options->width,
		                            b->options->height };
	struct basis basis = { 0 };
	int status = measure_passes(b, &basis, why);

	if (!status)
		status = measure_memory(b, &basis, why);
	if (!status)
		status = stream_meter_round(&b->meter, &shared, false, 0.3, &basis.shared, why);
	if (status)
		return status;
	need_write(b);
	add_passes(b, &basis);
	for (unsigned cores = 1; cores <= MOST_CORES; cores *= 2)
		predict_cores_row(b, &basis, cores);
	for (const struct predict_load *l = predict_loads; l->name; l++) {
		predict_load_row(b, &basis, l, TRIAL_TCP);
		predict_load_row(b, &basis, l, TRIAL_SHM);
	}
	say_what_is_left_out();
	return 0;
}
