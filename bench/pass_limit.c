/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/pass_limit.h"

#include "bench/clock.h"
#include "bench/crew.h"
#include "bench/pattern.h"
#include "bench/phantom.h"
#include "kernels/coefficients.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES    24 /* different ones: 265 MB at full size, outside the caches */
#define HAND_MAX  8
#define RAW_BINS  4096
#define FLAT_BINS 256
#define SEED      1

struct pass_member {
	void *scratch;
	struct reduce_job jobs[HAND_MAX];
	struct reduction results[HAND_MAX];
};

/* What one call of crew_time_ns() does. */
struct pass_run {
	struct pass_limit *limit;
	unsigned hands; /* each member's share */
};

static void *aligned(size_t bytes)
{
	void *p;

	return posix_memalign(&p, 4096, bytes ? bytes : 1) ? NULL : p;
}

static int make_frames(struct pass_limit *p, const struct phantom_options *scene)
{
	size_t pixels = (size_t)scene->width * scene->height;
	float *dark = aligned(pixels * sizeof *dark), *flat = aligned(pixels * sizeof *flat);
	struct phantom *phantom = NULL;
	int err = -ENOMEM;

	p->frames = aligned(FRAMES * pixels * sizeof *p->frames);
	p->offset = aligned(pixels * sizeof *p->offset);
	p->gain = aligned(pixels * sizeof *p->gain);
	if (dark && flat && p->frames && p->offset && p->gain)
		err = phantom_open(&phantom, scene);
	if (!err) {
		phantom_mean(phantom, PHANTOM_DARK, 4, dark);
		phantom_mean(phantom, PHANTOM_FLAT, 4, flat);
		coefficients(p->offset, p->gain, dark, flat, NULL, true, pixels);
		for (unsigned i = 0; i < FRAMES; i++)
			phantom_frame(phantom, PHANTOM_SAMPLE, i, p->frames + i * pixels);
	}
	phantom_close(phantom);
	free(dark);
	free(flat);
	return err;
}

static struct reduce_plan plan_for(const struct pass_limit *p, uint32_t width, uint32_t height,
                                   unsigned cpu)
{
	return (struct reduce_plan){
		.width = width,
		.height = height,
		.layout = RAW_UINT16,
		.offset = p->offset,
		.gain = p->gain,
		.saturation = 65535,
		.bin = 2,
		.type = PRODUCT_UINT16,
		.window_low = 0.0f,
		.window_high = 1.5f,
		.raw_bins = { RAW_BINS, 0, 65536 },
		.normalised_bins = { FLAT_BINS, 0.0, 1.5 },
		.batch = HAND_MAX,
		.cpu = cpu,
	};
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

static void run_hands(void *user, unsigned member)
{
	const struct pass_run *run = user;
	struct pass_limit *p = run->limit;
	struct pass_member *m = &p->members[member];
	size_t pixels = (size_t)p->plan.width * p->plan.height;
	/* Members begin apart: no frame is in the cache because another has just read it. */
	unsigned frame = member * FRAMES / p->threads;

	for (unsigned h = 0; h < run->hands; h++) {
		for (unsigned i = 0; i < p->plan.hand; i++)
			m->jobs[i].raw = p->frames + (frame++ % FRAMES) * pixels;
		reduce_hand(&p->plan, m->scratch, m->jobs, p->plan.hand);
	}
}

int pass_limit_open(struct pass_limit *p, uint32_t width, uint32_t height, unsigned threads)
{
	struct phantom_options scene = { width, height, PIXEL_UINT16, 16, FRAMES, SEED };
	int err;

	*p = (struct pass_limit){ .threads = threads, .frame_count = FRAMES };
	p->members = calloc(threads, sizeof *p->members);
	err = p->members ? make_frames(p, &scene) : -ENOMEM;
	if (err) {
		pass_limit_close(p);
		return err;
	}
	p->plan = plan_for(p, width, height, 0);
	return 0;
}

void pass_limit_close(struct pass_limit *p)
{
	free(p->members);
	free(p->frames);
	free(p->offset);
	free(p->gain);
	*p = (struct pass_limit){ 0 };
}

static void measure(struct pass_limit *p, unsigned runs, double seconds, struct pass_figures *ret)
{
	struct pass_run run = { p, 1 };
	uint64_t ns = crew_time_ns(p->threads, run_hands, &run); /* warms up, too */
	double frames;

	if (ns == 0)
		return;
	run.hands = (unsigned)fmin(1e6, fmax(1.0, seconds * 1e9 / (double)ns));
	frames = (double)run.hands * p->plan.hand * p->threads;
	for (unsigned i = 0; i < runs; i++) {
		uint64_t cpu = clock_cpu_ns();

		ns = crew_time_ns(p->threads, run_hands, &run);
		if (ns == 0)
			return;
		samples_add(&ret->frames_per_s, frames * 1e9 / (double)ns);
		samples_add(&ret->cpu_s_per_frame, (double)(clock_cpu_ns() - cpu) * 1e-9 / frames);
	}
}

bool pass_limit_measure(struct pass_limit *p, unsigned cpu, unsigned runs, double seconds,
                        struct pass_figures *ret)
{
	struct reduce_plan plan = plan_for(p, p->plan.width, p->plan.height, cpu);
	struct pass_figures figures = { 0 };
	bool good = reduce_plan_init(&plan) && plan.hand <= HAND_MAX;

	if (!good)
		return false;
	p->plan = plan;
	for (unsigned i = 0; i < p->threads; i++)
		good = open_member(&p->members[i], &plan) && good;
	if (good)
		measure(p, runs, seconds, &figures);
	for (unsigned i = 0; i < p->threads; i++)
		close_member(&p->members[i]);
	if (figures.frames_per_s.count == 0)
		return false;
	*ret = figures;
	return true;
}
