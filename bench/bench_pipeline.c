/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_options.h"
#include "bench/clock.h"
#include "bench/machine.h"
#include "bench/memory_limit.h"
#include "bench/pipeline_run.h"
#include "bench/results.h"
#include "daemon/log.h"
#include "kernels/cpu.h"

#include <errno.h>
#include <math.h>
#include <sysexits.h>

#define EX_LOST    1
#define TRY_FRAMES 160 /* of the first run, which tells the rate and is dropped */

/* One row of the table. */
struct load {
	const char *name;
	enum image_kind images;
	bool raw_histogram;
	unsigned cores; /* 0: all */
};

static const struct load loads[] = {
	{ "headline", IMAGES_PHANTOM, false, 0 },
	{ "headline-1core", IMAGES_PHANTOM, false, 1 },
	{ "headline-both", IMAGES_PHANTOM, true, 0 },
	{ "headline-both-1core", IMAGES_PHANTOM, true, 1 },
	{ "headline-dark", IMAGES_DARK, false, 0 },
	{ "headline-dark-1core", IMAGES_DARK, false, 1 },
};

/* Where the measurements of one call stand. */
struct measuring {
	const struct bench_options *options;
	struct results *results;
	struct images images;
	uint32_t crc32c[IMAGES_COUNT];
	double read_gbs[2]; /* of one core, of all */
	double all_cores;   /* the last rate on all cores */
	bool failed;        /* lost frames, or wrong ones */
};

static double frame_gb(const struct bench_options *o)
{
	return 2e-9 * o->width * o->height;
}

static int measure_read(struct measuring *m, unsigned cores, const char *name, double *ret_gbs)
{
	struct samples read = { 0 };
	struct memory_limit limit;

	if (memory_limit_open(&limit, cores))
		return -ENOMEM;
	memory_limit_read(&limit, m->options->full ? 21 : 7, &read);
	memory_limit_close(&limit);
	results_add(m->results, &(struct result){ .name = name, .unit = "GB/s", .samples = &read });
	*ret_gbs = samples_max(&read);
	return 0;
}

static void add_load(struct measuring *m, const struct load *load, const struct samples *rate,
                     const struct pipeline_figures *f, uint64_t lost, uint64_t wrong)
{
	const struct bench_options *o = m->options;
	unsigned cores = load->cores ? load->cores : machine_cores();
	double median = samples_median(rate), pixels = (double)o->width * o->height;
	double ns = 1e9 * cores / median / pixels;
	char note[160];

	if (load->cores == 0)
		m->all_cores = median;
	snprintf(note, sizeof note, "%.1f GB/s, %.3f ns a pixel and core%s", median * frame_gb(o),
	         ns, wrong || lost ? ", NOT HELD" : "");
	if (load->cores)
		snprintf(note + strlen(note), sizeof note - strlen(note),
		         "; all cores are %.2f times", m->all_cores / median);
	results_add(m->results,
	            &(struct result){
			    .name = load->name,
			    .unit = "frames/s",
			    .samples = rate,
			    .limit = m->read_gbs[load->cores == 0] / frame_gb(o),
			    .counts_lost = true,
			    .lost = lost,
			    .note = note,
			    .more = json_pack("{s:i, s:i, s:i, s:s, s:s, s:f, s:f, s:I}", "cores",
	                                      (int)cores, "workers", (int)f->workers, "hand",
	                                      (int)f->hand, "isa", cpu_level_name(cpu_detect()),
	                                      "images", images_name(load->images), "gb_per_s",
	                                      median * frame_gb(o), "ns_per_pixel_and_core", ns,
	                                      "wrong_checksums", (json_int_t)wrong) });
}

static int measure_load(struct measuring *m, const struct load *load, char why[512])
{
	const struct bench_options *o = m->options;
	const struct pipeline_setup setup = { &m->images, o->directory, load->raw_histogram,
		                              load->cores, m->crc32c };
	unsigned runs = o->full ? 9 : 3;
	double seconds = o->full ? 4.0 : 1.4;
	struct pipeline_figures f;
	struct samples rate = { 0 };
	uint64_t lost = 0, wrong = 0;
	int status = pipeline_run(&setup, TRY_FRAMES, &f, why);
	uint64_t frames = (uint64_t)fmin(1e6, fmax(TRY_FRAMES, f.frames_per_s * seconds));

	for (unsigned i = 0; i < runs && !status; i++) {
		status = pipeline_run(&setup, frames, &f, why);
		if (status)
			break;
		samples_add(&rate, f.frames_per_s);
		lost += f.expected - f.written;
		wrong += f.wrong;
	}
	if (status)
		return status;
	m->failed = m->failed || lost || wrong;
	add_load(m, load, &rate, &f, lost, wrong);
	return 0;
}

static int measure_loads(struct measuring *m, char why[512])
{
	enum image_kind images = IMAGES_KIND_COUNT;
	int status = 0;

	for (size_t i = 0; i < sizeof loads / sizeof *loads && !status; i++) {
		if (loads[i].images != images) {
			images = loads[i].images;
			if (images_fill(&m->images, images) ||
			    !pipeline_expect(&m->images, m->crc32c)) {
				snprintf(why, 512,
				         "no memory for the frames: use a smaller --size");
				return EX_OSERR;
			}
		}
		status = measure_load(m, &loads[i], why);
	}
	return status;
}

int bench_pipeline(const struct bench_options *o, struct results *r, char why[512])
{
	struct measuring m = { .options = o, .results = r };
	int status;

	log_least(LOG_ERROR);
	if (measure_read(&m, 1, "memory-read-one-core", &m.read_gbs[0]) ||
	    measure_read(&m, machine_cores(), "memory-read", &m.read_gbs[1]) ||
	    images_open(&m.images, IMAGES_PHANTOM, o->width, o->height)) {
		snprintf(why, 512, "no memory for the frames: use a smaller --size");
		return EX_OSERR;
	}
	status = measure_loads(&m, why);
	images_close(&m.images);
	if (!status)
		why[0] = '\0';
	if (!status && m.failed) {
		snprintf(why, 512, "frames were lost or their checksums are wrong: see the table");
		status = EX_LOST;
	}
	return status;
}
