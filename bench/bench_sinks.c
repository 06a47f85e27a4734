/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds: in each, every cell of a group is measured once, so that a disk whose speed drifts does
 * so for both sides of a ratio. Between measurements the files are removed and
 * the file system is told to finish with them; neither is timed. */
#include "bench/bench_options.h"
#include "daemon/clock.h"
#include "daemon/crew.h"
#include "bench/disk_limit.h"
#include "bench/fio.h"
#include "bench/results.h"
#include "bench/sinks_run.h"
#include "bench/write_pool.h"
#include "sinks/format.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

#define EX_LOST      1
#define EX_STOPPED   130
#define WHY_BYTES    512
#define MB           1e6
#define FIXED_DEPTH  8      /* of the rows with the fixed names */
#define CELLS_MAX    64     /* of a group */
#define PROBE_BYTES  2.56e8 /* of the first run, which tells the rate and is dropped */
#define BETWEEN_S    0.5    /* about what a measurement takes beside its writing */
#define RATIOS_S     25.0   /* for the rows with the fixed names, unless --full or --runs */
#define WHOLE_S      42.0   /* for all of them */
#define RATIOS_BYTES 2.147e9
#define DISK_LIMIT_S 60.0
#define BLOCK_BYTES  4194304.0
#define DEPTHS_MAX   5

enum way {
	WAY_LIMIT, /* fio, or what stands in for it */
	WAY_AGAIN, /* fio once more over the file that the cell before left */
	WAY_SINK,
	WAY_POOL,
};

/* One row of the table. */
struct cell {
	char name[48];
	enum way way;
	bool leave; /* WAY_LIMIT: the file is for WAY_AGAIN */
	const char *format;
	bool buffered, system_calls;
	unsigned depth;
	struct samples rate, cpu, ratio; /* GB/s, s/GB, rate to that of the round's limit */
	uint64_t lost;
	char engine[128];
	char said[160]; /* of the sinks, when frames were lost */
};

struct group {
	struct cell cells[CELLS_MAX];
	unsigned count;
	double bytes;         /* of a measurement */
	unsigned most, least; /* rounds, when time allows; for which time is planned */
	bool in_order;        /* always from the first cell on */
	double until_s;       /* no round begins that would end later, 0: no such thing */
};

/* Where the measurements of one call stand. */
struct measuring {
	const struct bench_options *options;
	struct results *results;
	struct scratch_folder scratch;
	struct frame_slots slots;
	bool has_fio;
	double bytes_per_s;
	struct {
		unsigned depth;
		double gb_per_s;
	} limits[DEPTHS_MAX];
	unsigned limit_count;
	uint64_t begin_ns;
	bool lost;
	struct group group;
};

static volatile sig_atomic_t stop;

static void handle_stop(int number)
{
	(void)number;
	stop = 1;
}

static double elapsed_s(const struct measuring *m)
{
	return (double)(clock_now_ns() - m->begin_ns) * 1e-9;
}

static int refuse(const struct measuring *m, int err, char *why)
{
	snprintf(why, WHY_BYTES, "cannot write to %s: %s%s", m->options->directory, strerror(-err),
	         err == -ENOSPC ? ": free some space or give another --directory" : "");
	return err == -EACCES ? EX_NOPERM : EX_CANTCREAT;
}

/* Let the file system finish with what was removed: some give the blocks back to the disk then. */
static void settle(const struct measuring *m)
{
	int fd = open(m->scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	syncfs(fd);
	close(fd);
}

/* Measuring one cell once. */

static void add_sample(struct cell *c, double gb_per_s, double cpu_s_per_gb)
{
	samples_add(&c->rate, gb_per_s);
	samples_add(&c->cpu, cpu_s_per_gb);
}

static uint64_t frames_of(const struct measuring *m, double bytes)
{
	return (uint64_t)fmax(1.0, bytes / (double)m->slots.frame_bytes);
}

static int run_fio(struct measuring *m, struct cell *c, char *why)
{
	const struct fio_load load = { .scratch = &m->scratch,
		                       .depth = c->depth,
		                       .bytes = (uint64_t)fmax(m->group.bytes, BLOCK_BYTES),
		                       .again = c->way == WAY_AGAIN,
		                       .keep = c->leave,
		                       .stop = &stop };
	struct fio_figures f;
	int status = fio_run(&load, &f, why);

	if (status)
		return status;
	snprintf(c->engine, sizeof c->engine, "fio, io_uring, O_DIRECT, 4 MiB blocks");
	add_sample(c, f.gb_per_s, f.cpu_s_per_gb);
	return 0;
}

static int run_own_limit(struct measuring *m, struct cell *c, char *why)
{
	struct disk_limit limit;
	int err = disk_limit_measure(m->scratch.path, 1, DISK_LIMIT_S,
	                             (unsigned long long)fmax(m->group.bytes, BLOCK_BYTES), &limit,
	                             why);

	if (err)
		return err == -EACCES ? EX_NOPERM : EX_CANTCREAT;
	snprintf(c->engine, sizeof c->engine,
	         "fio is NOT INSTALLED: instead %s, 4 MiB blocks by this program", limit.method);
	add_sample(c, limit.gb_per_s.at[0], limit.cpu_s_per_gb.at[0]);
	return 0;
}

static int run_sink(struct measuring *m, struct cell *c, char *why)
{
	const struct sinks_load load = { .scratch = &m->scratch,
		                         .slots = &m->slots,
		                         .format = c->format,
		                         .depth = c->depth,
		                         .buffered = c->buffered,
		                         .system_calls = c->system_calls,
		                         .frames = frames_of(m, m->group.bytes),
		                         .stop = &stop };
	double gb = (double)load.frames * (double)m->slots.frame_bytes * 1e-9;
	struct sinks_figures f;
	int status = sinks_run(&load, &f, why);
	uint64_t kept = status ? 0 : f.durable < f.written ? f.durable : f.written;

	if (status)
		return status;
	add_sample(c, gb / f.seconds, f.cpu_s / gb);
	c->lost += load.frames - kept;
	snprintf(c->engine, sizeof c->engine, "%s", f.engine);
	if (kept < load.frames)
		snprintf(c->said, sizeof c->said, "%.159s", why);
	why[0] = '\0';
	return 0;
}

static int run_pool(struct measuring *m, struct cell *c, char *why)
{
	const struct write_pool_load load = { &m->scratch, &m->slots, c->depth,
		                              frames_of(m, m->group.bytes) };
	double gb = (double)load.frames * (double)m->slots.frame_bytes * 1e-9;
	struct write_pool_figures f;
	int err = write_pool_run(&load, &f);

	if (err)
		return refuse(m, err, why);
	add_sample(c, gb / f.seconds, f.cpu_s / gb);
	snprintf(c->engine, sizeof c->engine, "not a sink: %u threads, pwrite, %s", c->depth,
	         f.direct ? "O_DIRECT" : "buffered");
	return 0;
}

static int run_cell(struct measuring *m, struct cell *c, char *why)
{
	switch (c->way) {
	case WAY_SINK:
		return run_sink(m, c, why);
	case WAY_POOL:
		return run_pool(m, c, why);
	default:
		return m->has_fio ? run_fio(m, c, why) : run_own_limit(m, c, why);
	}
}

/* Groups. */

static double last_rate(const struct cell *c)
{
	return c->rate.count ? c->rate.at[c->rate.count - 1] : 0;
}

/* Each round begins with another cell, since what was removed last slows the next one down. */
static int run_round(struct measuring *m, unsigned round, char *why)
{
	struct group *g = &m->group;
	double limit;

	for (unsigned i = 0; i < g->count; i++) {
		struct cell *c = &g->cells[g->in_order ? i : (i + round) % g->count];
		int status = stop ? EX_STOPPED : run_cell(m, c, why);

		if (status)
			return status;
		settle(m);
	}
	limit = g->cells[0].way == WAY_LIMIT ? last_rate(&g->cells[0]) : 0;
	for (unsigned i = 0; i < g->count && limit > 0; i++)
		samples_add(&g->cells[i].ratio, last_rate(&g->cells[i]) / limit);
	return 0;
}

/* A limit of the same depth, or of the fixed one; 0 before there is any. */
static double limit_for(const struct measuring *m, unsigned depth)
{
	double limit = 0;

	for (unsigned i = 0; i < m->limit_count; i++)
		if (m->limits[i].depth == depth || limit == 0)
			limit = m->limits[i].gb_per_s;
	return limit;
}

static void note_limit(struct measuring *m)
{
	const struct cell *c = &m->group.cells[0];

	if (c->way != WAY_LIMIT || m->limit_count == DEPTHS_MAX)
		return;
	m->limits[m->limit_count].depth = c->depth;
	m->limits[m->limit_count++].gb_per_s = samples_median(&c->rate);
}

static const char *engine_name(const struct cell *c)
{
	return c->way == WAY_POOL   ? "pwrite pool"
	       : c->system_calls    ? "pwrite"
	       : c->buffered        ? "io_uring buffered"
	       : c->way == WAY_SINK ? "io_uring O_DIRECT"
	                            : "limit";
}

static void add_row(struct measuring *m, const struct cell *c, double limit)
{
	double cpu = samples_median(&c->cpu);
	char note[400];
	json_t *more = json_pack(
		"{s:s, s:s, s:s?, s:i, s:I, s:f, s:o}", "engine", engine_name(c), "method",
		c->engine, "format", c->format, "queue_depth", (int)c->depth, "bytes",
		(json_int_t)m->group.bytes, "cpu_s_per_gb", cpu, "ratio_in_rounds",
		c->way == WAY_LIMIT || !c->ratio.count ? json_null()
						       : json_real(samples_median(&c->ratio)));

	snprintf(note, sizeof note, "%.3f s CPU/GB; %s%s%s", cpu, c->engine, c->said[0] ? ": " : "",
	         c->said);
	results_add(m->results, &(struct result){ .name = c->name,
	                                          .unit = "GB/s",
	                                          .samples = &c->rate,
	                                          .limit = c->way == WAY_LIMIT ? 0 : limit,
	                                          .counts_lost = c->way == WAY_SINK,
	                                          .lost = c->lost,
	                                          .more = more,
	                                          .note = note });
	m->lost = m->lost || c->lost;
}

static void add_rows(struct measuring *m)
{
	const struct group *g = &m->group;

	for (unsigned i = 0; i < g->count; i++) {
		bool again = g->cells[i].way == WAY_AGAIN;

		add_row(m, &g->cells[i],
		        again ? samples_median(&g->cells[0].rate)
		              : limit_for(m, g->cells[i].depth));
	}
}

/* At most a quarter of what is free. */
static double fitting(const struct measuring *m, double bytes)
{
	struct statvfs fs;

	if (statvfs(m->scratch.path, &fs))
		return bytes;
	return fmin(bytes, 0.25 * (double)fs.f_bavail * (double)fs.f_frsize);
}

/* What was asked for, or what the time is enough for. */
static void size_group(struct measuring *m, double bytes)
{
	struct group *g = &m->group;
	double each_s = (g->until_s - elapsed_s(m)) / g->least / fmax(g->count, 1) - BETWEEN_S;

	if (m->options->file_mb)
		bytes = (double)m->options->file_mb * MB;
	else if (g->until_s > 0)
		bytes = fmin(bytes, m->bytes_per_s * fmax(each_s, 0.1));
	g->bytes = fitting(m, bytes);
}

static bool has_time(const struct measuring *m, double round_s)
{
	return m->group.until_s <= 0 || elapsed_s(m) + round_s < m->group.until_s;
}

static int run_group(struct measuring *m, double bytes, char *why)
{
	struct group *g = &m->group;
	double round_s = 0;

	if (m->options->runs)
		g->most = m->options->runs;
	if (m->options->runs || m->options->full)
		g->until_s = 0;
	size_group(m, bytes);
	for (unsigned i = 0; i < g->most && (i == 0 || has_time(m, round_s)); i++) {
		double begin_s = elapsed_s(m);
		int status = run_round(m, i, why);

		if (status)
			return status;
		round_s = elapsed_s(m) - begin_s;
	}
	return 0;
}

static struct cell *add_cell(struct measuring *m, const struct cell *c)
{
	struct group *g = &m->group;

	if (g->count == CELLS_MAX)
		return NULL;
	g->cells[g->count] = *c;
	return &g->cells[g->count++];
}

static void add_limit_cell(struct measuring *m, unsigned depth)
{
	struct cell c = { .way = WAY_LIMIT, .depth = depth };

	snprintf(c.name, sizeof c.name, "%s-qd%u", m->has_fio ? "fio" : "disk", depth);
	add_cell(m, &c);
}

/* Every format that keeps pixels; `suffix` is of the row's name. */
static void add_format_cells(struct measuring *m, struct cell c, const char *suffix)
{
	c.way = WAY_SINK;
	for (const struct format *const *f = formats; *f; f++) {
		if (!(*f)->suffix)
			continue;
		c.format = (*f)->name;
		snprintf(c.name, sizeof c.name, "%s%s", c.format, suffix);
		add_cell(m, &c);
	}
}

static void begin_group(struct measuring *m, unsigned most, unsigned least, double until_s)
{
	m->group = (struct group){ .most = most, .least = least, .until_s = until_s };
}

/* The rows with the fixed names. */
static int measure_ratios(struct measuring *m, char *why)
{
	bool full = m->options->full;
	int status;

	begin_group(m, full ? 11 : 5, 3, RATIOS_S);
	add_limit_cell(m, FIXED_DEPTH);
	add_format_cells(m, (struct cell){ .depth = FIXED_DEPTH }, "");
	status = run_group(m, full ? 2 * RATIOS_BYTES : RATIOS_BYTES, why);
	if (status)
		return status;
	note_limit(m);
	add_rows(m);
	return 0;
}

static void add_depth_cells(struct measuring *m, unsigned depth)
{
	struct cell c = { .depth = depth };
	char suffix[32];

	snprintf(suffix, sizeof suffix, "-qd%u", depth);
	if (depth != FIXED_DEPTH) {
		if (m->has_fio) /* the one that stands in for it has a depth of its own */
			add_limit_cell(m, depth);
		add_format_cells(m, c, suffix);
	}
	c.buffered = true;
	snprintf(suffix, sizeof suffix, "-buffered-qd%u", depth);
	add_format_cells(m, c, suffix);
	c = (struct cell){ .depth = depth, .system_calls = true };
	snprintf(suffix, sizeof suffix, "-pwrite-qd%u", depth);
	if (m->options->full && depth == FIXED_DEPTH) /* one call at a time, whatever waits */
		add_format_cells(m, c, suffix);
	c = (struct cell){ .depth = depth, .way = WAY_POOL };
	snprintf(c.name, sizeof c.name, "pwrite-pool-qd%u", depth);
	add_cell(m, &c);
}

/* Every engine at this depth. */
static int measure_depth(struct measuring *m, unsigned depth, double until_s, char *why)
{
	int status;

	begin_group(m, m->options->full ? 5 : 3, 2, until_s);
	add_depth_cells(m, depth);
	status = run_group(m, RATIOS_BYTES, why);
	if (status)
		return status;
	note_limit(m);
	add_rows(m);
	return 0;
}

/* Whether files written before, and kept to be written over, would be faster. */
static int measure_overwriting(struct measuring *m, char *why)
{
	struct cell fresh = { .name = "fallocated",
		              .way = WAY_LIMIT,
		              .leave = true,
		              .depth = FIXED_DEPTH },
		    again = { .name = "overwrite", .way = WAY_AGAIN, .depth = FIXED_DEPTH };
	int status;

	begin_group(m, 9, 9, 0);
	m->group.in_order = true;
	add_cell(m, &fresh);
	add_cell(m, &again);
	status = run_group(m, RATIOS_BYTES, why);
	if (!status)
		add_rows(m);
	return status;
}

/* How fast the disk is, about. */
static int probe(struct measuring *m, char *why)
{
	struct cell *c;
	int status;

	begin_group(m, 1, 1, 0);
	add_limit_cell(m, FIXED_DEPTH);
	c = &m->group.cells[0];
	m->group.bytes =
		fitting(m, m->options->file_mb ? (double)m->options->file_mb * MB : PROBE_BYTES);
	status = run_cell(m, c, why);
	if (status)
		return status;
	settle(m);
	m->bytes_per_s = c->rate.at[0] * 1e9;
	return 0;
}

static int measure_all(struct measuring *m, char *why)
{
	static const unsigned all[] = { 8, 1, 2, 4, 16, 0 }, some[] = { 8, 2, 0 };
	const unsigned *depths = m->options->full ? all : some;
	int status = probe(m, why);

	if (!status)
		status = measure_ratios(m, why);
	for (unsigned i = 0; depths[i] && !status; i++) {
		double left = fmax(0, WHOLE_S - elapsed_s(m));

		status = measure_depth(m, depths[i],
		                       elapsed_s(m) + (depths[i + 1] ? left / 2 : left), why);
	}
	if (!status && m->options->full && m->has_fio)
		status = measure_overwriting(m, why);
	return status;
}

static int open_slots(struct measuring *m, char *why)
{
	const struct bench_options *o = m->options;

	if (!frame_slots_open(&m->slots, o->width, o->height, o->full ? 16 : FIXED_DEPTH))
		return 0;
	snprintf(why, WHY_BYTES, "no memory for the frames: use a smaller --size");
	return EX_OSERR;
}

/* A reader of the table who leaves is a reason to stop, too, and to remove the files. */
static void watch_signals(void)
{
	struct sigaction action = { .sa_handler = handle_stop, .sa_flags = (int)SA_RESETHAND };
	struct sigaction unread = { .sa_handler = handle_stop };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGPIPE, &unread, NULL);
}

int bench_sinks(const struct bench_options *o, struct results *r, char why[512])
{
	struct measuring m = { .options = o, .results = r, .begin_ns = clock_now_ns() };
	int err = scratch_folder_open(&m.scratch, o->directory, "openbeam-bench"), status;

	if (err)
		return refuse(&m, err, why);
	watch_signals();
	m.has_fio = fio_is_installed();
	status = open_slots(&m, why);
	if (!status)
		status = measure_all(&m, why);
	frame_slots_close(&m.slots);
	scratch_folder_close(&m.scratch);
	if (!status && m.lost)
		snprintf(why, WHY_BYTES, "frames were lost: see the table");
	return status ? status : m.lost ? EX_LOST : 0;
}
