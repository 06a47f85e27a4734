/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/host_trial.h"
#include "daemon/clock.h"
#include "daemon/figures.h"
#include "daemon/pipeline.h"
#include "daemon/scratch_folder.h"
#include "daemon/version.h"
#include "kernels/cpu.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOISE_BYTES   ((size_t)64 << 20) /* outside the caches */
#define PAYLOADS_MOST 64u
#define NOISE         511u /* counts, upon LEVEL */
#define LEVEL         200u
#define BUFFER_LEAST  ((uint64_t)64 << 20)
#define DRAIN_NS      (4 * NS_PER_S) /* for what is in the buffer, before it is given up */
#define JOIN_MS       10000

/* ---- payloads ---- */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Of packed pixels and bytes any bits are pixels. */
static void fill(unsigned char *at, size_t bytes, enum pixel_type type, bool packed)
{
	uint64_t state = 0x9e3779b97f4a7c15u;
	size_t step = packed || type == PIXEL_UINT8 ? 1 : pixel_bytes(type);

	for (size_t i = 0; i + step <= bytes; i += step) {
		uint32_t counts = LEVEL + ((uint32_t)(next_random(&state) >> 40) & NOISE);
		float real = (float)counts;

		memcpy(at + i, type == PIXEL_FLOAT32 && step == 4 ? (void *)&real : (void *)&counts,
		       step);
	}
}

int trial_frames_open(struct trial_frames *t, const struct frame_shape *shape)
{
	struct frame f = { .width = shape->width,
		           .height = shape->height,
		           .type = shape->type,
		           .packing = shape->packing,
		           .bits = shape->bits };
	uint64_t bytes;

	*t = (struct trial_frames){ 0 };
	if (!wire_bytes(f.width, f.height, f.type, f.packing, &bytes) || bytes > SIZE_MAX / 64)
		return -EFBIG;
	f.bytes = (size_t)bytes;
	t->count = (unsigned)(NOISE_BYTES / f.bytes + 2);
	t->count = t->count < PAYLOADS_MOST ? t->count : PAYLOADS_MOST;
	t->payloads = malloc(t->count * f.bytes);
	if (!t->payloads)
		return -ENOMEM;
	fill(t->payloads, t->count * f.bytes, f.type, f.packing != PACKING_NONE);
	f.pixels = t->payloads;
	t->frame = f;
	return 0;
}

void trial_frames_close(struct trial_frames *t)
{
	free(t->payloads);
	*t = (struct trial_frames){ 0 };
}

int trial_stopped(void)
{
	sigset_t pending;

	if (sigpending(&pending) != 0)
		return 0;
	return sigismember(&pending, SIGINT) == 1    ? SIGINT
	       : sigismember(&pending, SIGTERM) == 1 ? SIGTERM
	                                             : 0;
}

/* ---- the machine meanwhile ---- */

struct load {
	uint64_t wall_ns, cpu_ns;
	uint64_t delay_ns;  /* that our threads waited for a core */
	double idle, total; /* ticks of all cores */
};

static uint64_t delay_of(const char *task)
{
	unsigned long long ran, waited = 0;
	char path[300];
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%.200s/schedstat", task);
	f = fopen(path, "re");
	if (f && fscanf(f, "%llu %llu", &ran, &waited) != 2)
		waited = 0;
	if (f)
		fclose(f);
	return waited;
}

static uint64_t delay_now(void)
{
	DIR *tasks = opendir("/proc/self/task");
	uint64_t delay_ns = 0;
	struct dirent *one;

	while (tasks && (one = readdir(tasks)) != NULL)
		if (one->d_name[0] != '.')
			delay_ns += delay_of(one->d_name);
	if (tasks)
		closedir(tasks);
	return delay_ns;
}

static struct load load_now(void)
{
	struct load l = { .wall_ns = clock_now_ns(),
		          .cpu_ns = clock_cpu_ns(),
		          .delay_ns = delay_now() };
	double at[8] = { 0 };
	FILE *f = fopen("/proc/stat", "re");

	if (f && fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &at[0], &at[1], &at[2], &at[3],
	                &at[4], &at[5], &at[6], &at[7]) == 8)
		l.idle = at[3] + at[4]; /* idle, and idle waiting for a disk */
	for (unsigned i = 0; i < 8; i++)
		l.total += at[i];
	if (f)
		fclose(f);
	return l;
}

/* Beside other programs no core is idle while we wait for the disk: what counts is whether we
 * wanted one. */
static void compare(const struct load *from, const struct load *to, struct trial_figures *ret)
{
	double total = to->total - from->total, wall = (double)(to->wall_ns - from->wall_ns) + 1;
	double cores = (double)sysconf(_SC_NPROCESSORS_ONLN),
	       cpu = (double)(to->cpu_ns - from->cpu_ns);
	double idle = total > 0 ? (to->idle - from->idle) / total : 0;
	double wanted = cpu + (double)(to->delay_ns - from->delay_ns);

	ret->others_cores = fmax(0, cores * (1 - idle) - cpu / wall);
	ret->waits_share =
		to->delay_ns > 0 ? fmax(0, 1 - wanted / wall / check_cores_allowed()) : idle;
}

/* ---- feeding ---- */

/* The receiving thread's, until it has ended. */
struct feeding {
	const struct trial_frames *frames;
	uint64_t given, most, for_ns, end_ns;
	struct load begin, end;
	_Atomic bool stop; /* main thread */
	_Atomic bool done;
};

static bool next_frame(void *user, struct frame *ret)
{
	struct feeding *f = user;
	uint64_t now_ns = clock_now_ns();

	if (f->given == 0) {
		f->begin = load_now();
		f->end_ns = now_ns + f->for_ns;
	}
	/* relaxed: one frame more is no matter. */
	if (f->given == f->most || now_ns >= f->end_ns ||
	    atomic_load_explicit(&f->stop, memory_order_relaxed)) {
		f->end = load_now();
		/* release pairs with the acquire in watch(). */
		atomic_store_explicit(&f->done, true, memory_order_release);
		return false;
	}
	*ret = f->frames->frame;
	ret->number = f->given;
	ret->pixels = f->frames->payloads + f->given % f->frames->count * ret->bytes;
	f->given++;
	return true;
}

/* ---- one run ---- */

struct trial {
	struct config config; /* the check's, of which texts are borrowed */
	struct scratch_folder scratch[CONFIG_SINKS_MAX];
	struct pipeline pipeline;
	struct feeding feeding;
};

static char empty[] = "", series_name[] = "check", protocol[] = "array-1.0";

/* Frames come from memory as from one endpoint, begin at once, and are samples. */
static void configure(struct trial *t, const struct config *c)
{
	t->config = *c;
	t->config.ingest.endpoints.count = 1;
	t->config.ingest.protocol = protocol;
	t->config.ingest.rotation_key = t->config.ingest.role_key = empty;
	t->config.ingest.overload = OVERLOAD_BLOCK;
	t->config.series.name = series_name;
	t->config.series.start = START_AUTO;
	t->config.series.first = 0;
	t->config.series.frames = 0;
	t->config.series.step = 1;
	t->config.calibration.sequence.count = 0;
	t->config.blackbox.before_ns = 0;
}

static int use_folder(struct trial *t, unsigned sink, const char *directory, char why[400])
{
	int err = scratch_folder_open(&t->scratch[sink], directory, "openbeam-check");

	if (err < 0) {
		snprintf(why, 400, "cannot make a folder in %.200s: %s", directory, strerror(-err));
		return collector_status_of(err);
	}
	t->config.sinks[sink].directory = t->scratch[sink].path;
	return 0;
}

/* A viewer's stream is the running daemon's: its endpoint is not tried. */
static int use_sinks(struct trial *t, bool to_null, char why[400])
{
	int status = 0;

	if (to_null)
		t->config.sink_count = 1;
	for (unsigned i = 0; i < t->config.sink_count && status == 0; i++) {
		struct config_sink *s = &t->config.sinks[i];
		const char *directory = pipeline_directory(&t->config, NULL);

		if (!to_null && s->format != SINK_NULL && s->format != SINK_STREAM)
			directory = s->directory;
		else
			s->format = SINK_NULL;
		status = use_folder(t, i, directory, why);
	}
	return status;
}

/* The least that works from what is plenty: a full buffer has to be written before the end. */
static void use_buffer(struct trial *t, const struct check *k)
{
	struct layout_needs needs = { .config = &t->config,
		                      .planes = &k->planes,
		                      .receivers = 1,
		                      .workers = pipeline_workers(&t->config),
		                      .cpu = k->cpu };
	uint64_t most = t->config.ingest.buffer;
	struct layout l;
	char why[320];

	for (uint64_t bytes = BUFFER_LEAST; bytes < most; bytes *= 2) {
		t->config.ingest.buffer = bytes;
		if (layout_plan(&l, &needs, &k->shape, why) == 0)
			return;
	}
	t->config.ingest.buffer = most;
}

/* Until everything is closed, or nobody waits for it any longer. */
static void watch(struct trial *t)
{
	uint64_t deadline_ns = 0;

	while (!pipeline_ended(&t->pipeline)) {
		uint64_t now_ns = clock_now_ns();

		usleep(2000);
		if (trial_stopped())
			atomic_store_explicit(&t->feeding.stop, true, memory_order_relaxed);
		if (deadline_ns == 0 &&
		    atomic_load_explicit(&t->feeding.done, memory_order_acquire))
			deadline_ns = now_ns + DRAIN_NS;
		if (deadline_ns == 0 && trial_stopped())
			deadline_ns = now_ns + DRAIN_NS;
		if (deadline_ns != 0 && now_ns > deadline_ns)
			pipeline_phase(&t->pipeline, PHASE_ABORT);
	}
}

static int stream(struct trial *t, struct trial_figures *ret, char why[400])
{
	struct pipeline *p = &t->pipeline;
	struct figures f;

	if (pipeline_start(p) < 0)
		pipeline_fail(p, 71, "cannot start the threads");
	watch(t);
	uint64_t end_ns = clock_now_ns(), cpu_ns = clock_cpu_ns();
	if (!pipeline_join(p, JOIN_MS)) {
		fprintf(stderr, "openbeamd: threads of a trial do not end\n");
		_exit(70);
	}
	if (p->failed) {
		snprintf(why, 400, "%s", p->failure);
		return p->failure_status;
	}
	figures_get(&p->collector.board, &f);
	if (f.ever.written == 0) {
		snprintf(why, 400, "no frame was written");
		return 74;
	}
	ret->fed = (double)t->feeding.given;
	ret->frames = (double)f.ever.written;
	ret->bytes = (double)f.sinks.written_bytes;
	ret->seconds = (double)(end_ns - t->feeding.begin.wall_ns) * 1e-9;
	ret->cpu_s = (double)(cpu_ns - t->feeding.begin.cpu_ns) * 1e-9;
	compare(&t->feeding.begin, &t->feeding.end, ret);
	return 0;
}

static int run_configured(struct trial *t, const struct check *k, struct trial_figures *ret,
                          char why[400])
{
	const struct feed feed = { next_frame, &t->feeding };
	const struct pipeline_options options = {
		.series_limit = 1,
		.program = { .version = OPENBEAM_VERSION,
		             .commit = OPENBEAM_COMMIT,
		             .isa = cpu_level_name(k->cpu),
		             .config_json = "{}" },
		.feed = &feed,
	};
	int status;

	if (pipeline_open(&t->pipeline, &t->config, &k->planes, k->cpu, &options, why, &status) < 0)
		return status;
	status = stream(t, ret, why);
	pipeline_close(&t->pipeline);
	return status;
}

int trial_path(const struct check *k, const struct trial_frames *frames, bool to_null,
               double seconds, double most_bytes, struct trial_figures *ret, char why[400])
{
	struct trial *t = aligned_alloc(64, (sizeof *t + 63) / 64 * 64);
	double out = (double)(k->plan.geometry.reduced.bytes + k->plan.geometry.source.bytes);
	int status;

	if (!t) {
		snprintf(why, 400, "no memory");
		return 71;
	}
	memset(t, 0, sizeof *t);
	t->feeding.frames = frames;
	t->feeding.for_ns = (uint64_t)(seconds * 1e9);
	t->feeding.most = to_null ? UINT64_MAX : (uint64_t)(most_bytes / out) + 1;
	configure(t, k->config);
	use_buffer(t, k);
	status = use_sinks(t, to_null, why);
	if (status == 0)
		status = run_configured(t, k, ret, why);
	for (unsigned i = 0; i < CONFIG_SINKS_MAX; i++)
		scratch_folder_close(&t->scratch[i]);
	free(t);
	return status;
}
