/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_options.h"
#include "daemon/crew.h"
#include "bench/machine.h"
#include "daemon/memory_limit.h"
#include "bench/pass_limit.h"
#include "bench/results.h"
#include "kernels/cpu.h"
#include "kernels/registry.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define PIXEL_BYTES  20 /* of all arrays of one pixel: raw, t, offset, gain, out */
#define MEMORY_BYTES ((size_t)1 << 30)
#define STEP         4096 /* pixels; kernels run on a multiple */

/* One thread's arrays. */
struct arena {
	struct kernel_bench_args args;
	void *memory;
};

/* What all cores, or one, read from memory together at their best, GB/s: it is a limit. */
struct read_limits {
	double one, all;
};

/* A kernel runs on some cores at once, each on its own arrays. */
struct stage {
	unsigned cores;
	size_t pixels; /* of the working set in memory, each core */
	struct arena *arenas;
	const struct kernel_bench *kernel;
	unsigned running;  /* cores that run it */
	size_t run_pixels; /* of the working set that is run */
	unsigned repeats;  /* in one sample */
};

static size_t whole_steps(size_t pixels)
{
	return pixels < STEP ? STEP : pixels / STEP * STEP;
}

/* Values that lie in the histograms' ranges and spread over their bins, as 8 and 16 bits; as
 * float32 raw values are between 0.008 and 500. */
static void fill(struct arena *a, size_t pixels)
{
	uint16_t *raw = (uint16_t *)(uintptr_t)a->args.raw;
	float *t = (float *)(uintptr_t)a->args.t, *offset = (float *)(uintptr_t)a->args.offset;
	float *gain = (float *)(uintptr_t)a->args.gain;

	for (size_t i = 0; i < pixels; i++) {
		uint32_t mixed = (uint32_t)(i * 2654435761u);

		raw[2 * i] = (uint16_t)(mixed >> 16);
		raw[2 * i + 1] = (uint16_t)(0x3c00 + (mixed & 0x7ff));
		t[i] = (float)(mixed >> 8) * (1.2f / 16777216.0f);
		offset[i] = 100.0f + (float)(mixed >> 28);
		gain[i] = 1.0f / 40000.0f;
	}
}

static bool open_arena(struct arena *a, size_t pixels)
{
	size_t array = pixels * 4;
	char *at;

	if (posix_memalign(&a->memory, 4096, 5 * array + KERNEL_BENCH_SCRATCH)) {
		a->memory = NULL;
		return false;
	}
	at = a->memory;
	a->args = (struct kernel_bench_args){ .raw = at,
		                              .t = (float *)(at + array),
		                              .offset = (float *)(at + 2 * array),
		                              .gain = (float *)(at + 3 * array),
		                              .out = at + 4 * array,
		                              .scratch = at + 5 * array };
	memset(a->args.out, 0, array + KERNEL_BENCH_SCRATCH);
	fill(a, pixels);
	return true;
}

static void close_stage(struct stage *s)
{
	for (unsigned i = 0; s->arenas && i < s->cores; i++)
		free(s->arenas[i].memory);
	free(s->arenas);
	s->arenas = NULL;
}

static int open_stage(struct stage *s, const struct bench_options *o)
{
	size_t pixels = (size_t)o->width * o->height;
	size_t room = MEMORY_BYTES / PIXEL_BYTES / machine_cores();

	*s = (struct stage){ .cores = machine_cores() };
	s->pixels = whole_steps(pixels < room ? pixels : room);
	s->arenas = calloc(s->cores, sizeof *s->arenas);
	for (unsigned i = 0; s->arenas && i < s->cores; i++)
		if (!open_arena(&s->arenas[i], s->pixels))
			close_stage(s);
	return s->arenas ? 0 : -ENOMEM;
}

static void run_kernel(void *user, unsigned member)
{
	const struct stage *s = user;

	for (unsigned i = 0; i < s->repeats; i++)
		s->kernel->run(s->kernel, &s->arenas[member].args, s->run_pixels);
}

/* Gpixel/s over the cores that run it. The number of repeats that take `seconds` is found first. */
static void time_kernel(struct stage *s, unsigned runs, double seconds, struct samples *ret)
{
	uint64_t ns = 0;

	for (s->repeats = 1; s->repeats < 1u << 24; s->repeats *= 4) {
		ns = crew_time_ns(s->running, run_kernel, s);
		if (ns == 0 || (double)ns > 0.25e9 * seconds)
			break;
	}
	if (ns == 0)
		return;
	s->repeats = (unsigned)fmax(1.0, s->repeats * seconds * 1e9 / (double)ns);
	for (unsigned i = 0; i < runs; i++) {
		ns = crew_time_ns(s->running, run_kernel, s);
		if (ns)
			samples_add(ret, (double)s->running * s->repeats * (double)s->run_pixels /
			                         (double)ns);
	}
}

/* Only the working set in memory has the memory for its limit. */
static void add_kernel(struct results *r, struct stage *s, const struct bench_options *o,
                       const char *set, double read_gbs)
{
	const struct kernel_bench *k = s->kernel;
	struct samples rate = { 0 };
	double median, gbs, frames;
	char name[96], note[96];

	time_kernel(s, o->full ? 15 : 5, o->full ? 0.05 : 0.006, &rate);
	if (rate.count == 0)
		return;
	median = samples_median(&rate);
	gbs = median * k->bytes_per_pixel;
	frames = median * 1e9 / ((double)o->width * o->height);
	snprintf(name, sizeof name, "%s %s %s %u", k->kernel, k->isa, set, s->running);
	snprintf(note, sizeof note, "%7.1f GB/s %7.0f frames/s", gbs, frames);
	results_add(r,
	            &(struct result){
			    .name = name,
			    .unit = "Gpixel/s",
			    .samples = &rate,
			    .limit = read_gbs / k->bytes_per_pixel,
			    .note = note,
			    .more = json_pack("{s:s, s:s, s:s, s:i, s:I, s:f, s:f}", "kernel",
	                                      k->kernel, "isa", k->isa, "working_set", set, "cores",
	                                      (int)s->running, "pixels", (json_int_t)s->run_pixels,
	                                      "gb_per_s", gbs, "frames_per_s", frames) });
}

/* In level 2 and from memory, on one core and on all. */
static void add_kernels(struct results *r, struct stage *s, const struct bench_options *o,
                        const struct read_limits *read)
{
	size_t l2_pixels = whole_steps(cpu_l2_bytes() / 2 / PIXEL_BYTES);
	unsigned cpu = cpu_detect();
	struct kernel_bench kernel;

	s->kernel = &kernel;
	for (unsigned i = 0; kernel_bench_at(i, &kernel); i++) {
		if (kernel.needs & ~cpu)
			continue;
		for (s->running = 1; s->running <= s->cores; s->running += s->cores - 1) {
			s->run_pixels = l2_pixels < s->pixels ? l2_pixels : s->pixels;
			add_kernel(r, s, o, "L2", 0.0);
			s->run_pixels = s->pixels;
			add_kernel(r, s, o, "memory", s->running == 1 ? read->one : read->all);
			if (s->cores == 1)
				break;
		}
	}
}

/* One row: `what` is the images or the pixel format. */
static void add_pass(struct results *r, struct pass_limit *pass, const struct pass_load *load,
                     const struct bench_options *o, const char *isa, const char *what,
                     const struct read_limits *read)
{
	double pixels = (double)o->width * o->height, median, ns, gbs;
	double frame_gb = (double)raw_layout_bytes(pass->layout, (size_t)pixels) * 1e-9;
	struct pass_figures f;
	char name[96], note[120];

	if (!pass_limit_measure(pass, load, o->full ? 9 : 5, o->full ? 1.0 : 0.08, &f))
		return;
	median = samples_median(&f.frames_per_s);
	gbs = median * frame_gb;
	ns = 1e9 * load->threads / median / pixels;
	snprintf(name, sizeof name, "pass %s %s%s %u", isa, what,
	         load->raw_histogram ? " both" : "", load->threads);
	snprintf(note, sizeof note, "%6.2f Gpixel/s %6.2f GB/s %.3f ns a pixel and core",
	         median * pixels * 1e-9, gbs, ns);
	results_add(r, &(struct result){
			       .name = name,
			       .unit = "frames/s",
			       .samples = &f.frames_per_s,
			       .limit = (load->threads == 1 ? read->one : read->all) / frame_gb,
			       .note = note,
			       .more = json_pack(
				       "{s:s, s:s, s:i, s:i, s:b, s:f, s:f, s:f, s:f}", "isa", isa,
				       "images", what, "cores", (int)load->threads, "hand",
				       (int)pass->plan.hand, "raw_histogram", load->raw_histogram,
				       "gpixel_per_s", median * pixels * 1e-9, "gb_per_s", gbs,
				       "ns_per_pixel_and_core", ns, "cpu_s_per_frame",
				       samples_median(&f.cpu_s_per_frame)) });
}

static void add_on_cores(struct results *r, struct pass_limit *pass, struct pass_load load,
                         const struct bench_options *o, const char *isa, const char *what,
                         const struct read_limits *read)
{
	load.threads = 1;
	add_pass(r, pass, &load, o, isa, what, read);
	load.threads = pass->threads;
	if (pass->threads > 1)
		add_pass(r, pass, &load, o, isa, what, read);
}

/* Every instruction set on the phantom; the best one on every kind of image, and with the raw
 * histogram too. */
static int add_images(struct results *r, struct pass_limit *pass, const struct bench_options *o,
                      const struct read_limits *read)
{
	unsigned cpu = cpu_detect();
	const char *best = cpu_level_name(cpu);
	int err = 0;

	for (const struct cpu_level *level = cpu_levels; level->name; level++)
		if (!(level->flags & ~cpu))
			add_on_cores(r, pass, (struct pass_load){ .cpu = level->flags }, o,
			             level->name, images_name(IMAGES_PHANTOM), read);
	for (int kind = 0; kind < IMAGES_KIND_COUNT && !err; kind++) {
		struct pass_load load = { .cpu = cpu };

		err = kind == IMAGES_PHANTOM ? 0 : pass_limit_images(pass, (enum image_kind)kind);
		if (!err && kind != IMAGES_PHANTOM)
			add_on_cores(r, pass, load, o, best, images_name((enum image_kind)kind),
			             read);
		load.raw_histogram = true;
		if (!err)
			add_on_cores(r, pass, load, o, best, images_name((enum image_kind)kind),
			             read);
	}
	return err;
}

/* Each pixel format beside Mono16, in pixels. */
static int add_formats(struct results *r, struct pass_limit *pass, const struct bench_options *o,
                       const struct read_limits *read)
{
	static const char *const names[RAW_LAYOUT_COUNT] = {
		"Mono8",    "Mono16",  "Mono16-be",    "uint32",  "uint32-be",    "float32",
		"float-be", "Mono10p", "Mono10Packed", "Mono12p", "Mono12Packed", "Mono14p"
	};
	struct pass_load load = { .cpu = cpu_detect(), .threads = pass->threads };
	int err = pass_limit_images(pass, IMAGES_PHANTOM);

	for (int layout = 0; layout < RAW_LAYOUT_COUNT && !err; layout++) {
		err = pass_limit_layout(pass, (enum raw_layout)layout);
		if (!err)
			add_pass(r, pass, &load, o, cpu_level_name(load.cpu), names[layout], read);
	}
	return err;
}

/* The picture that people look at, beside the pass. */
static void add_picture(struct results *r, struct pass_limit *pass, const struct bench_options *o)
{
	struct pass_load load = { .cpu = cpu_detect(), .threads = 1 };
	struct samples ms = { 0 };
	char note[96];

	if (!pass_limit_picture(pass, &load, o->full ? 15 : 5, &ms))
		return;
	snprintf(note, sizeof note, "%.2f %% of a core at 5 a second", 0.5 * samples_median(&ms));
	results_add(r, &(struct result){
			       .name = "picture", .unit = "ms", .samples = &ms, .note = note });
}

static int add_passes(struct results *r, const struct bench_options *o,
                      const struct read_limits *read)
{
	struct pass_limit pass;
	int err = pass_limit_open(&pass, o->width, o->height, machine_cores());

	if (err)
		return err;
	add_picture(r, &pass, o);
	err = add_images(r, &pass, o, read);
	if (!err)
		err = add_formats(r, &pass, o, read);
	pass_limit_close(&pass);
	return err;
}

static int add_read_limit(struct results *r, const struct bench_options *o, const char *name,
                          unsigned cores, double *ret_gbs)
{
	struct samples read = { 0 };
	struct memory_limit m;

	if (memory_limit_open(&m, cores))
		return -ENOMEM;
	memory_limit_read(&m, o->full ? 21 : 7, &read);
	memory_limit_close(&m);
	results_add(r, &(struct result){ .name = name, .unit = "GB/s", .samples = &read });
	*ret_gbs = samples_max(&read);
	return 0;
}

int bench_kernels(const struct bench_options *o, struct results *r, char why[512])
{
	struct stage stage;
	struct read_limits read;
	int err = add_read_limit(r, o, "memory-read-one-core", 1, &read.one);

	if (!err)
		err = add_read_limit(r, o, "memory-read", machine_cores(), &read.all);
	if (!err)
		err = add_passes(r, o, &read);
	if (!err)
		err = open_stage(&stage, o);
	if (!err) {
		add_kernels(r, &stage, o, &read);
		close_stage(&stage);
	}
	if (err)
		snprintf(why, 512, "no memory for the frames: use a smaller --size");
	return err ? EX_OSERR : 0;
}
