/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/pass_limit.h"

#include "daemon/clock.h"
#include "daemon/crew.h"
#include "bench/pack_pixels.h"
#include "kernels/reduce_picture.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HAND_MAX  8
#define RAW_BINS  4096
#define FLAT_BINS 256
#define PACKED    8 /* frames of another layout: at full size outside the caches too */

struct pass_member {
	void *scratch;
	struct reduce_job jobs[HAND_MAX];
	struct reduction results[HAND_MAX];
};

/* What one call of crew_time_ns() does. */
struct pass_run {
	struct pass_limit *limit;
	unsigned threads;
	unsigned hands; /* each member's share */
};

static void *aligned(size_t bytes)
{
	void *p;

	return posix_memalign(&p, 4096, bytes ? bytes : 1) ? NULL : p;
}

static size_t pixels_of(const struct pass_limit *p)
{
	return (size_t)p->images.width * p->images.height;
}

static struct reduce_plan plan_for(const struct pass_limit *p, const struct pass_load *load)
{
	struct reduce_plan plan = {
		.width = p->images.width,
		.height = p->images.height,
		.layout = p->layout,
		.offset = p->offset ? p->offset : p->images.offset,
		.gain = p->gain ? p->gain : p->images.gain,
		.saturation = UINT16_MAX,
		.bin = 2,
		.type = PRODUCT_UINT16,
		.window_low = 0.0f,
		.window_high = 1.5f,
		.normalised_bins = { FLAT_BINS, 0.0, 1.5 },
		.batch = HAND_MAX,
		.cpu = load->cpu,
	};

	if (load->raw_histogram)
		plan.raw_bins = (struct bins){ RAW_BINS, 0, 65536 };
	return plan;
}

static void close_member(struct pass_member *m)
{
	free(m->scratch);
	for (unsigned i = 0; i < HAND_MAX; i++) {
		free(m->jobs[i].reduced);
		free(m->jobs[i].raw_counts);
		free(m->jobs[i].normalised_counts);
	}
	memset(m, 0, sizeof *m);
}

/* Outputs and scratch of one thread, for the present plan. */
static bool open_member(struct pass_member *m, const struct reduce_plan *plan)
{
	size_t reduced = (size_t)plan->out_width * plan->out_height * product_bytes(plan->type);
	bool good;

	*m = (struct pass_member){ .scratch = aligned(plan->scratch_bytes) };
	good = m->scratch;
	for (unsigned i = 0; i < plan->hand && good; i++) {
		struct reduce_job *job = &m->jobs[i];

		job->reduced = aligned(reduced);
		job->raw_counts = aligned(RAW_BINS * sizeof(uint32_t));
		job->normalised_counts = aligned(FLAT_BINS * sizeof(uint32_t));
		job->result = &m->results[i];
		good = job->reduced && job->raw_counts && job->normalised_counts;
	}
	return good;
}

static const void *payload_at(const struct pass_limit *p, unsigned frame)
{
	frame %= p->frame_count;
	return p->payloads ? (const void *)(p->payloads + frame * p->frame_bytes)
	                   : images_frame(&p->images, frame);
}

static void run_hands(void *user, unsigned member)
{
	const struct pass_run *run = user;
	struct pass_limit *p = run->limit;
	struct pass_member *m = &p->members[member];
	/* Members begin apart: no frame is in the cache because another has just read it. */
	unsigned frame = member * p->frame_count / run->threads;

	for (unsigned h = 0; h < run->hands; h++) {
		for (unsigned i = 0; i < p->plan.hand; i++)
			m->jobs[i].raw = payload_at(p, frame++);
		reduce_hand(&p->plan, m->scratch, m->jobs, p->plan.hand);
	}
}

static void use_images(struct pass_limit *p)
{
	free(p->payloads);
	free(p->offset);
	free(p->gain);
	p->payloads = NULL;
	p->offset = p->gain = NULL;
	p->layout = RAW_UINT16;
	p->frame_count = IMAGES_COUNT;
	p->frame_bytes = 2 * pixels_of(p);
}

int pass_limit_open(struct pass_limit *p, uint32_t width, uint32_t height, unsigned threads)
{
	int err;

	*p = (struct pass_limit){ .threads = threads };
	p->members = calloc(threads, sizeof *p->members);
	err = p->members ? images_open(&p->images, IMAGES_PHANTOM, width, height) : -ENOMEM;
	if (err) {
		pass_limit_close(p);
		return err;
	}
	use_images(p);
	return 0;
}

void pass_limit_close(struct pass_limit *p)
{
	use_images(p);
	images_close(&p->images);
	free(p->members);
	*p = (struct pass_limit){ 0 };
}

int pass_limit_images(struct pass_limit *p, enum image_kind kind)
{
	use_images(p);
	return images_fill(&p->images, kind);
}

/* Bits that a 16-bit pixel loses in the layout. */
static unsigned bits_lost(enum raw_layout layout)
{
	switch (layout) {
	case RAW_UINT8:
		return 8;
	case RAW_MONO10P:
	case RAW_MONO10_PACKED:
		return 6;
	case RAW_MONO12P:
	case RAW_MONO12_PACKED:
		return 4;
	case RAW_MONO14P:
		return 2;
	default:
		return 0;
	}
}

static enum pixel_packing packing_of(enum raw_layout layout)
{
	static const enum pixel_packing packings[RAW_LAYOUT_COUNT] = {
		[RAW_MONO10P] = PACKING_MONO10P, [RAW_MONO10_PACKED] = PACKING_MONO10_PACKED,
		[RAW_MONO12P] = PACKING_MONO12P, [RAW_MONO12_PACKED] = PACKING_MONO12_PACKED,
		[RAW_MONO14P] = PACKING_MONO14P,
	};

	return packings[layout];
}

/* One pixel of whole bytes, in the layout's order. */
static void put_pixel(unsigned char *at, uint16_t v, enum raw_layout layout)
{
	unsigned bytes = raw_layout_bits(layout) / 8;
	bool big = layout == RAW_UINT16_BE || layout == RAW_UINT32_BE || layout == RAW_FLOAT32_BE;
	uint32_t word = v;
	float real = v;

	if (layout == RAW_FLOAT32 || layout == RAW_FLOAT32_BE)
		memcpy(&word, &real, sizeof word);
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (unsigned char)(word >> 8 * (big ? bytes - 1 - i : i));
}

static void fill_payload(const struct pass_limit *p, unsigned char *out, const uint16_t *pixels,
                         uint16_t *narrow)
{
	unsigned lost = bits_lost(p->layout), bytes = raw_layout_bits(p->layout) / 8;
	size_t n = pixels_of(p);

	for (size_t i = 0; i < n; i++)
		narrow[i] = (uint16_t)(pixels[i] >> lost);
	if (packing_of(p->layout) != PACKING_NONE) {
		pack_pixels(out, narrow, n, packing_of(p->layout));
		return;
	}
	for (size_t i = 0; i < n; i++)
		put_pixel(out + i * bytes, narrow[i], p->layout);
}

static void scale_planes(struct pass_limit *p)
{
	float scale = (float)(1u << bits_lost(p->layout));

	for (size_t i = 0; i < pixels_of(p); i++) {
		p->offset[i] = p->images.offset[i] / scale;
		p->gain[i] = p->images.gain[i] * scale;
	}
}

int pass_limit_layout(struct pass_limit *p, enum raw_layout layout)
{
	size_t n = pixels_of(p);
	uint16_t *narrow;

	use_images(p);
	if (layout == RAW_UINT16)
		return 0;
	p->layout = layout;
	p->frame_count = PACKED;
	p->frame_bytes = raw_layout_bytes(layout, n);
	p->payloads = aligned(PACKED * p->frame_bytes);
	p->offset = aligned(n * sizeof *p->offset);
	p->gain = aligned(n * sizeof *p->gain);
	narrow = aligned(n * sizeof *narrow);
	if (!p->payloads || !p->offset || !p->gain || !narrow) {
		free(narrow);
		use_images(p);
		return -ENOMEM;
	}
	scale_planes(p);
	for (unsigned f = 0; f < PACKED; f++)
		fill_payload(p, p->payloads + f * p->frame_bytes, images_frame(&p->images, f),
		             narrow);
	free(narrow);
	return 0;
}

static void measure(struct pass_limit *p, unsigned threads, unsigned runs, double seconds,
                    struct pass_figures *ret)
{
	struct pass_run run = { p, threads, 1 };
	uint64_t ns = crew_time_ns(threads, run_hands, &run); /* warms up, too */
	double frames;

	if (ns == 0)
		return;
	run.hands = (unsigned)fmin(1e6, fmax(1.0, seconds * 1e9 / (double)ns));
	frames = (double)run.hands * p->plan.hand * threads;
	for (unsigned i = 0; i < runs; i++) {
		uint64_t cpu = clock_cpu_ns();

		ns = crew_time_ns(threads, run_hands, &run);
		if (ns == 0)
			return;
		samples_add(&ret->frames_per_s, frames * 1e9 / (double)ns);
		samples_add(&ret->cpu_s_per_frame, (double)(clock_cpu_ns() - cpu) * 1e-9 / frames);
	}
}

bool pass_limit_measure(struct pass_limit *p, const struct pass_load *load, unsigned runs,
                        double seconds, struct pass_figures *ret)
{
	struct reduce_plan plan = plan_for(p, load);
	struct pass_figures figures = { 0 };
	bool good = reduce_plan_init(&plan) && plan.hand <= HAND_MAX && load->threads <= p->threads;

	if (!good)
		return false;
	p->plan = plan;
	for (unsigned i = 0; i < load->threads; i++)
		good = open_member(&p->members[i], &plan) && good;
	if (good)
		measure(p, load->threads, runs, seconds, &figures);
	for (unsigned i = 0; i < load->threads; i++)
		close_member(&p->members[i]);
	if (figures.frames_per_s.count == 0)
		return false;
	*ret = figures;
	return true;
}

/* A picture's planes in one piece. */
static struct picture_job picture_in(void *memory, const struct reduce_plan *plan,
                                     const struct reduce_job *frame)
{
	struct picture_job job = { .grid = picture_grid_for(plan->width, plan->height),
		                   .frame = frame,
		                   .raw = memory };
	uint8_t *known = (uint8_t *)memory + PICTURE_PIXELS_MAX * 8;

	job.normalised = (float *)memory + PICTURE_PIXELS_MAX;
	job.marks = known + PICTURE_PIXELS_MAX;
	job.known_marks = known;
	job.known_bad = picture_known_bad(plan, &job.grid, known);
	return job;
}

static void time_pictures(struct pass_limit *p, struct pass_member *m, void *memory, unsigned runs,
                          struct samples *ret_ms)
{
	struct reduce_job *frame = &m->jobs[0];
	struct picture_job job = picture_in(memory, &p->plan, frame);

	for (unsigned i = 0; i <= runs; i++) {
		uint64_t ns;

		frame->raw = payload_at(p, i);
		reduce_hand(&p->plan, m->scratch, frame, 1);
		ns = clock_cpu_ns();
		reduce_picture(&p->plan, m->scratch, &job);
		if (i > 0) /* the first one warms up */
			samples_add(ret_ms, (double)(clock_cpu_ns() - ns) * 1e-6);
	}
}

bool pass_limit_picture(struct pass_limit *p, const struct pass_load *load, unsigned runs,
                        struct samples *ret_ms)
{
	struct reduce_plan plan = plan_for(p, load);
	void *memory = aligned(PICTURE_PIXELS_MAX * (2 * sizeof(float) + 2));
	bool good = memory && reduce_plan_init(&plan) && plan.hand <= HAND_MAX;

	if (good) {
		p->plan = plan;
		good = open_member(&p->members[0], &plan);
		if (good)
			time_pictures(p, &p->members[0], memory, runs, ret_ms);
		close_member(&p->members[0]);
	}
	free(memory);
	return good;
}
