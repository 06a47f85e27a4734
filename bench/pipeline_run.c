/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/pipeline_run.h"

#include "daemon/clock.h"
#include "daemon/scratch_folder.h"
#include "daemon/pipeline.h"
#include "kernels/cpu.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define WHY_BYTES      512
#define SETS           16
#define REGIONS        4
#define OPEN_BEAM      2   /* of them, the first ones */
#define REGION_SIDE    256 /* pixels, at most */
#define SET_BYTES      (SCRATCH_PATH_MAX + 512)
#define FILLING        100 /* frames before the clock starts, at most a quarter */
#define JOIN_MS        10000
#define RUN_TIMEOUT_NS (120 * (uint64_t)1000000000u)

/* The receiving thread's. */
struct feeding {
	const struct images *images;
	uint64_t frames, given, filling;
	uint64_t begin_ns, end_ns; /* when the first measured and the last frame found room */
	uint64_t begin_cpu_ns, end_cpu_ns; /* what the program had used by then */
};

struct run {
	struct scratch_folder scratch;
	struct config config;
	struct planes planes;
	struct pipeline pipeline;
	struct feeding feeding;
};

static bool next_frame(void *user, struct frame *ret)
{
	struct feeding *f = user;
	const struct images *i = f->images;

	if (f->given == f->filling) {
		f->begin_ns = clock_now_ns();
		f->begin_cpu_ns = clock_cpu_ns();
	}
	f->end_ns = clock_now_ns();
	if (f->given == f->frames) {
		f->end_cpu_ns = clock_cpu_ns();
		return false;
	}
	*ret = (struct frame){
		.number = f->given,
		.width = i->width,
		.height = i->height,
		.type = PIXEL_UINT16,
		.pixels = images_frame(i, f->given),
		.bytes = (size_t)i->width * i->height * sizeof *i->frames,
	};
	f->given++;
	return true;
}

static uint32_t region_side(uint32_t across)
{
	uint32_t third = across < 3 ? 1 : across / 3;

	return third < REGION_SIDE ? third : REGION_SIDE;
}

/* The upper corners, where the beam is open, the middle, and the middle of the lower edge. */
static void place_regions(const struct images *images, struct reduce_region ret[REGIONS])
{
	uint32_t width = region_side(images->width), height = region_side(images->height);
	uint32_t right = images->width - width, bottom = images->height - height;

	ret[0] = (struct reduce_region){ 0, 0, width, height };
	ret[1] = (struct reduce_region){ right, 0, width, height };
	ret[2] = (struct reduce_region){ right / 2, bottom / 2, width, height };
	ret[3] = (struct reduce_region){ right / 2, bottom, width, height };
}

/* Everything that is asked about the quality of a frame: the sentinels are on by themselves, and
 * the black box holds the last second. Returns how many sets there are. */
static unsigned configure_quality(const struct images *images, const char *directory,
                                  char (*sets)[SET_BYTES])
{
	struct reduce_region r[REGIONS];
	int at = snprintf(sets[0], SET_BYTES, "regions=[");

	place_regions(images, r);
	for (unsigned i = 0; i < REGIONS; i++)
		at += snprintf(sets[0] + at, SET_BYTES - (size_t)at,
		               "%s{name: r%u, x: %" PRIu32 ", y: %" PRIu32 ", width: %" PRIu32
		               ", height: %" PRIu32 "}%s",
		               i ? ", " : "", i, r[i].left, r[i].top, r[i].width, r[i].height,
		               i + 1 < REGIONS ? "" : "]");
	snprintf(sets[1], SET_BYTES, "beam.regions=[r0, r1]");
	snprintf(sets[2], SET_BYTES, "beam.use=apply");
	snprintf(sets[3], SET_BYTES, "blackbox={before: 1s, on: [command], directory: \"%s\"}",
	         directory);
	return 4;
}

/* And nothing of it. */
static unsigned configure_none(char (*sets)[SET_BYTES])
{
	snprintf(sets[0], SET_BYTES,
	         "sentinels={saturated: 0, dead: 0, hot: 0, flat_drift: 0, "
	         "repeated: 0, noise: 0, rate: 0, timestamps: 0, buffer: 0, disk: 0s}");
	return 1;
}

static int configure(const struct pipeline_setup *s, uint64_t frames, struct run *r, char *why)
{
	char sets[SETS][SET_BYTES];
	const char *at[SETS];
	char *problems = NULL;
	unsigned n = 0;

	snprintf(sets[n++], SET_BYTES, "ingest.frame.width=%" PRIu32, s->images->width);
	snprintf(sets[n++], SET_BYTES, "ingest.frame.height=%" PRIu32, s->images->height);
	snprintf(sets[n++], SET_BYTES, "ingest.frame.type=uint16");
	snprintf(sets[n++], SET_BYTES, "ingest.frame_limit=1GiB");
	snprintf(sets[n++], SET_BYTES, "series.first=0");
	snprintf(sets[n++], SET_BYTES, "series.frames=%" PRIu64, frames);
	snprintf(sets[n++], SET_BYTES, "reduce.bin=2");
	snprintf(sets[n++], SET_BYTES, "reduce.type=uint16");
	snprintf(sets[n++], SET_BYTES, "histogram.raw.bins=%u", s->raw_histogram ? 4096 : 0);
	snprintf(sets[n++], SET_BYTES, "sinks=[{format: null, directory: \"%s\"}]",
	         r->scratch.path);
	n += s->quality ? configure_quality(s->images, r->scratch.path, sets + n)
	                : configure_none(sets + n);
	for (unsigned i = 0; i < n; i++)
		at[i] = sets[i];
	if (config_load(&r->config, NULL, at, n, &problems)) {
		snprintf(why, WHY_BYTES, "%s", problems ? problems : "no memory");
		free(problems);
		return EX_SOFTWARE;
	}
	return 0;
}

/* Threads inherit the cores that this one may use. */
static bool confine(unsigned cores, cpu_set_t *ret_before)
{
	cpu_set_t some;
	unsigned left = cores;

	if (sched_getaffinity(0, sizeof *ret_before, ret_before))
		return false;
	CPU_ZERO(&some);
	for (size_t cpu = 0; cpu < CPU_SETSIZE && left; cpu++)
		if (CPU_ISSET(cpu, ret_before)) {
			CPU_SET(cpu, &some);
			left--;
		}
	return cores == 0 || sched_setaffinity(0, sizeof some, &some) == 0;
}

static int stream(struct run *r, char *why)
{
	uint64_t deadline = clock_now_ns() + RUN_TIMEOUT_NS;
	bool late = false;

	if (pipeline_start(&r->pipeline) < 0)
		pipeline_fail(&r->pipeline, EX_OSERR, "cannot start the threads");
	while (!pipeline_ended(&r->pipeline) && !late) {
		usleep(1000);
		late = clock_now_ns() > deadline;
	}
	if (late)
		pipeline_phase(&r->pipeline, PHASE_ABORT);
	if (!pipeline_join(&r->pipeline, JOIN_MS)) {
		fprintf(stderr, "openbeam-bench: threads of the pipeline do not end\n");
		_exit(EX_SOFTWARE);
	}
	if (r->pipeline.failed || late) {
		snprintf(why, WHY_BYTES, "%s",
		         late ? "a series did not end in time" : r->pipeline.failure);
		return late ? EX_UNAVAILABLE : r->pipeline.failure_status;
	}
	return 0;
}

/* The column of that name in a line of the ledger; NULL when there is none. */
static const char *column(const char *line, unsigned number)
{
	for (; line && number; number--) {
		line = strchr(line, ',');
		line = line ? line + 1 : NULL;
	}
	return line;
}

static unsigned number_of_column(const char *head, const char *name)
{
	unsigned number = 0;
	size_t length = strlen(name);

	for (const char *at = head; at; number++) {
		if (strncmp(at, name, length) == 0 && strchr(",\r\n", at[length]))
			return number;
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
	return number;
}

/* A frame is written when its line says so, and right when its checksum is as expected. */
static void read_ledger(FILE *in, const uint32_t *crc32c, struct pipeline_figures *ret)
{
	char line[1024];
	unsigned state, sum;

	if (!fgets(line, sizeof line, in))
		return;
	state = number_of_column(line, "state");
	sum = number_of_column(line, "crc32c");
	while (fgets(line, sizeof line, in)) {
		uint64_t frame = strtoull(line, NULL, 10);
		const char *is = column(line, state), *crc = column(line, sum);

		if (!is || strncmp(is, "written,", 8) != 0)
			continue;
		ret->written++;
		if (crc32c && (!crc || strtoul(crc, NULL, 16) != crc32c[frame % IMAGES_COUNT]))
			ret->wrong++;
	}
}

/* What became of the frames, by the ledger. */
static int check_ledger(const struct run *r, const uint32_t *crc32c, struct pipeline_figures *ret,
                        char *why)
{
	char pattern[SCRATCH_PATH_MAX + 32];
	FILE *in = NULL;
	glob_t found;

	snprintf(pattern, sizeof pattern, "%s/*/frames.csv", r->scratch.path);
	if (!glob(pattern, 0, NULL, &found)) {
		in = fopen(found.gl_pathv[0], "r");
		globfree(&found);
	}
	if (!in) {
		snprintf(why, WHY_BYTES, "the pipeline left no ledger in %.400s", r->scratch.path);
		return EX_SOFTWARE;
	}
	read_ledger(in, crc32c, ret);
	fclose(in);
	return 0;
}

static void read_figures(const struct run *r, struct pipeline_figures *ret)
{
	const struct feeding *f = &r->feeding;

	ret->frames_per_s =
		(double)(f->frames - f->filling) * 1e9 / (double)(f->end_ns - f->begin_ns + 1);
	ret->cpu_s_per_frame =
		(double)(f->end_cpu_ns - f->begin_cpu_ns) * 1e-9 / (double)(f->frames - f->filling);
	ret->expected = f->frames;
	ret->workers = r->pipeline.worker_count;
	ret->hand = r->pipeline.collector.layout ? r->pipeline.collector.layout->plan.hand : 0;
}

static int run_configured(const struct pipeline_setup *s, struct run *r,
                          struct pipeline_figures *ret, char *why)
{
	const struct feed feed = { next_frame, &r->feeding };
	const struct pipeline_options options = {
		.series_limit = 1,
		.program = { .version = OPENBEAM_VERSION,
		             .commit = "",
		             .isa = cpu_level_name(cpu_detect()),
		             .config_json = "{}" },
		.feed = &feed,
	};
	int status;

	if (pipeline_open(&r->pipeline, &r->config, &r->planes, cpu_detect(), &options, why,
	                  &status) < 0)
		return status;
	status = stream(r, why);
	if (!status)
		read_figures(r, ret);
	pipeline_close(&r->pipeline);
	if (!status)
		status = check_ledger(r, s->crc32c, ret, why);
	return status;
}

static int run_confined(const struct pipeline_setup *s, uint64_t frames, struct run *r,
                        struct pipeline_figures *ret, char *why)
{
	cpu_set_t before;
	int status;

	if (!confine(s->cores, &before)) {
		snprintf(why, WHY_BYTES, "cannot choose cores: %s", strerror(errno));
		return EX_OSERR;
	}
	status = configure(s, frames, r, why);
	if (!status) {
		status = run_configured(s, r, ret, why);
		config_done(&r->config);
	}
	sched_setaffinity(0, sizeof before, &before);
	return status;
}

int pipeline_run(const struct pipeline_setup *s, uint64_t frames, struct pipeline_figures *ret,
                 char why[512])
{
	struct run *r = aligned_alloc(64, (sizeof *r + 63) / 64 * 64);
	int status;

	if (!r) {
		snprintf(why, WHY_BYTES, "no memory");
		return EX_OSERR;
	}
	memset(r, 0, sizeof *r);
	*ret = (struct pipeline_figures){ 0 };
	r->feeding = (struct feeding){ .images = s->images,
		                       .frames = frames,
		                       .filling = frames / 4 < FILLING ? frames / 4 : FILLING };
	r->planes = (struct planes){ .width = s->images->width,
		                     .height = s->images->height,
		                     .offset = s->images->offset,
		                     .gain = s->images->gain };
	r->planes.images.of[PLANES_FLAT].pixels = s->images->gain; /* T is 1 in the open beam */
	if (scratch_folder_open(&r->scratch, s->directory, "openbeam-bench")) {
		snprintf(why, WHY_BYTES, "cannot make a folder in %.300s: give another --directory",
		         s->directory);
		free(r);
		return EX_CANTCREAT;
	}
	status = run_confined(s, frames, r, ret, why);
	scratch_folder_close(&r->scratch);
	free(r);
	return status;
}

bool pipeline_expect(const struct images *images, bool quality, uint32_t *ret_crc32c)
{
	struct reduce_plan plan = {
		.width = images->width,
		.height = images->height,
		.layout = RAW_UINT16,
		.offset = images->offset,
		.gain = images->gain,
		.saturation = UINT16_MAX,
		.bin = 2,
		.type = PRODUCT_UINT16,
		.window_high = 1.5f,
		.normalised_bins = { 256, 0.0, 1.5 },
		.region_count = quality ? REGIONS : 0,
		.open_beam = quality ? (1u << OPEN_BEAM) - 1 : 0,
		.dose = DOSE_APPLY,
		.batch = 1,
	};
	struct region_stats regions[REGIONS];
	uint32_t counts[256];
	struct reduction result;
	struct reduce_job job = { .normalised_counts = counts,
		                  .result = &result,
		                  .regions = regions };
	size_t bytes = (size_t)images->width * images->height * sizeof(uint16_t);
	void *scratch = NULL;
	bool good;

	place_regions(images, plan.regions);
	good = reduce_plan_init(&plan) && !posix_memalign(&job.reduced, 64, bytes) &&
	       !posix_memalign(&scratch, 64, plan.scratch_bytes);

	for (unsigned i = 0; good && i < IMAGES_COUNT; i++) {
		job.raw = images_frame(images, i);
		reduce_hand(&plan, scratch, &job, 1);
		ret_crc32c[i] = result.reduced_crc32c;
	}
	free(job.reduced);
	free(scratch);
	return good;
}
