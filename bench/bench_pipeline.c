/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_options.h"
#include "daemon/clock.h"
#include "bench/machine.h"
#include "daemon/memory_limit.h"
#include "bench/pipeline_run.h"
#include "bench/results.h"
#include "daemon/log.h"
#include "kernels/cpu.h"

#include <errno.h>
#include <math.h>
#include <sysexits.h>

#define EX_LOST    1
#define LATE_S     35  /* of the 50 that there are, on a busy machine */
#define TRY_FRAMES 160 /* of the first run on all cores, which tells the rate and is dropped */

/* One row of the table. */
struct load {
	const char *name;
	enum image_kind images;
	bool raw_histogram;
	bool quality;   /* too; what that costs the row before is measured with it in turn */
	unsigned cores; /* 0: all */
	bool brief;     /* measured with --brief, too */
};

static const struct load loads[] = {
	{ "headline", IMAGES_PHANTOM, false, false, 0, true },
	{ "headline-quality", IMAGES_PHANTOM, false, true, 0, false },
	{ "headline-1core", IMAGES_PHANTOM, false, false, 1, true },
	{ "headline-both", IMAGES_PHANTOM, true, false, 0, true },
	{ "headline-both-quality", IMAGES_PHANTOM, true, true, 0, false },
	{ "headline-both-1core", IMAGES_PHANTOM, true, false, 1, false },
	{ "headline-dark", IMAGES_DARK, false, false, 0, false },
	{ "headline-dark-1core", IMAGES_DARK, false, false, 1, false },
};

/* Where the measurements of one call stand. */
struct measuring {
	const struct bench_options *options;
	struct results *results;
	struct images images;
	uint32_t crc32c[2][IMAGES_COUNT]; /* without and with quality */
	double read_gbs[2];               /* of one core, of all */
	double all_cores;                 /* the last rate on all cores, without quality */
	bool failed;                      /* lost frames, or wrong ones */
	uint64_t late_ns;                 /* from then on, each row has one run */
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

/* What is known of one row. */
struct measured {
	struct samples rate;
	struct samples share, cpu; /* of the rate without quality and of its CPU time, run by run */
	struct pipeline_figures last;
	uint64_t lost, wrong;
};

/* The end of a line of the table. */
static void note_of(const struct measuring *m, const struct load *load, const struct measured *d,
                    char ret[160])
{
	const struct bench_options *o = m->options;
	unsigned cores = load->cores ? load->cores : machine_cores();
	double median = samples_median(&d->rate), pixels = (double)o->width * o->height;
	int n = snprintf(ret, 160, "%.1f GB/s, %.3f ns a pixel and core%s", median * frame_gb(o),
	                 1e9 * cores / median / pixels, d->wrong || d->lost ? ", NOT HELD" : "");

	if (load->quality)
		snprintf(ret + n, 160 - (size_t)n,
		         "; %.3f times that without, %.3f times its CPU time",
		         samples_median(&d->share), samples_median(&d->cpu));
	else if (load->cores)
		snprintf(ret + n, 160 - (size_t)n, "; all cores are %.2f times",
		         m->all_cores / median);
}

static json_t *more_of(const struct measuring *m, const struct load *load, const struct measured *d)
{
	const struct bench_options *o = m->options;
	int cores = (int)(load->cores ? load->cores : machine_cores());
	double median = samples_median(&d->rate), pixels = (double)o->width * o->height;
	json_t *more =
		json_pack("{s:i, s:i, s:i, s:s, s:s, s:f, s:f, s:I}", "cores", cores, "workers",
	                  (int)d->last.workers, "hand", (int)d->last.hand, "isa",
	                  cpu_level_name(cpu_detect()), "images", images_name(load->images),
	                  "gb_per_s", median * frame_gb(o), "ns_per_pixel_and_core",
	                  1e9 * cores / median / pixels, "wrong_checksums", (json_int_t)d->wrong);

	if (!load->quality || !more)
		return more;
	json_object_set_new(more, "rate_to_without", json_real(samples_median(&d->share)));
	json_object_set_new(more, "cpu_to_without", json_real(samples_median(&d->cpu)));
	return more;
}

static void add_load(struct measuring *m, const struct load *load, const struct measured *d)
{
	char note[160];

	if (load->cores == 0 && !load->quality)
		m->all_cores = samples_median(&d->rate);
	m->failed = m->failed || d->lost || d->wrong;
	note_of(m, load, d, note);
	results_add(m->results,
	            &(struct result){ .name = load->name,
	                              .unit = "frames/s",
	                              .samples = &d->rate,
	                              .limit = m->read_gbs[load->cores == 0] / frame_gb(m->options),
	                              .counts_lost = true,
	                              .lost = d->lost,
	                              .note = note,
	                              .more = more_of(m, load, d) });
}

static int run_load(const struct measuring *m, const struct load *load, uint64_t frames,
                    struct measured *d, char why[512])
{
	const struct pipeline_setup setup = {
		.images = &m->images,
		.directory = m->options->directory,
		.raw_histogram = load->raw_histogram,
		.quality = load->quality,
		.cores = load->cores,
		.crc32c = m->crc32c[load->quality],
	};
	int status = pipeline_run(&setup, frames, &d->last, why);

	if (status)
		return status;
	d->lost += d->last.expected - d->last.written;
	d->wrong += d->last.wrong;
	return 0;
}

static bool is_late(const struct measuring *m)
{
	return !m->options->full && clock_now_ns() > m->late_ns;
}

/* About how many frames a second there will be. */
static int try_load(const struct measuring *m, const struct load *load, double *ret_rate,
                    char why[512])
{
	struct measured d = { 0 };
	int status;

	if (load->cores) {
		*ret_rate = m->all_cores * load->cores / machine_cores();
		return 0;
	}
	status = run_load(m, load, TRY_FRAMES, &d, why);
	*ret_rate = d.last.frames_per_s;
	return status;
}

/* A load and, when there is one, the same with quality: in turn, so that what else the machine does
 * hits both. */
static int measure_loads(struct measuring *m, const struct load *loads_at, unsigned n,
                         char why[512])
{
	struct measured d[2] = { 0 };
	unsigned runs = m->options->full ? 9 : n == 2 ? 4 : 3;
	double seconds = m->options->full ? 4.0 : n == 2 ? 0.7 : 0.9;
	double rate = 0;
	int status = try_load(m, &loads_at[0], &rate, why);
	uint64_t frames = (uint64_t)fmin(1e6, fmax(TRY_FRAMES, rate * seconds));

	for (unsigned i = 0; i < runs && !status && (i == 0 || !is_late(m)); i++)
		for (unsigned j = 0; j < n && !status; j++) {
			status = run_load(m, &loads_at[j], frames, &d[j], why);
			samples_add(&d[j].rate, d[j].last.frames_per_s);
			samples_add(&d[j].share, d[j].last.frames_per_s / d[0].last.frames_per_s);
			samples_add(&d[j].cpu,
			            d[j].last.cpu_s_per_frame / d[0].last.cpu_s_per_frame);
		}
	for (unsigned j = 0; j < n && !status; j++)
		add_load(m, &loads_at[j], &d[j]);
	return status;
}

static int use_images(struct measuring *m, enum image_kind kind, char why[512])
{
	if (!images_fill(&m->images, kind) && pipeline_expect(&m->images, false, m->crc32c[0]) &&
	    (kind != IMAGES_PHANTOM || pipeline_expect(&m->images, true, m->crc32c[1])))
		return 0;
	snprintf(why, 512, "no memory for the frames: use a smaller --size");
	return EX_OSERR;
}

static int measure_all(struct measuring *m, char why[512])
{
	size_t count = sizeof loads / sizeof *loads;
	int status = 0;

	for (size_t i = 0, n; i < count && !status; i += n) {
		n = i + 1 < count && loads[i + 1].quality && !m->options->brief ? 2 : 1;
		if (m->options->brief && !loads[i].brief)
			continue;
		if (i == 0 || loads[i].images != loads[i - 1].images)
			status = use_images(m, loads[i].images, why);
		if (!status)
			status = measure_loads(m, &loads[i], (unsigned)n, why);
	}
	return status;
}

int bench_pipeline(const struct bench_options *o, struct results *r, char why[512])
{
	struct measuring m = { .options = o,
		               .results = r,
		               .late_ns = clock_now_ns() + LATE_S * NS_PER_S };
	int status;

	log_least(LOG_ERROR);
	if (measure_read(&m, 1, "memory-read-one-core", &m.read_gbs[0]) ||
	    measure_read(&m, machine_cores(), "memory-read", &m.read_gbs[1]) ||
	    images_open(&m.images, IMAGES_PHANTOM, o->width, o->height)) {
		snprintf(why, 512, "no memory for the frames: use a smaller --size");
		return EX_OSERR;
	}
	status = measure_all(&m, why);
	images_close(&m.images);
	if (!status)
		why[0] = '\0';
	if (!status && m.failed) {
		snprintf(why, 512, "frames were lost or their checksums are wrong: see the table");
		status = EX_LOST;
	}
	return status;
}
