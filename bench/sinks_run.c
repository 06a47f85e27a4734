/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/sinks_run.h"

#include "daemon/clock.h"
#include "daemon/idle.h"
#include "sinks/sinks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define WHY_BYTES  512
#define SETS_BYTES (SCRATCH_PATH_MAX + 128)
#define SLEEP_MS   200 /* between looks at the stop flag */
#define EX_STOPPED 130

/* What one run owns. */
struct run {
	const struct sinks_load *load;
	struct config config;
	struct bell bell;
	struct sinks *sinks;
	void **free_slots; /* [load->depth], the first free_count of them free */
	unsigned free_count;
	struct sinks_figures figures;
	char said[WHY_BYTES]; /* the last warning or error of the sinks */
};

static void on_released(void *user, void *owner)
{
	struct run *r = user;

	r->free_slots[r->free_count++] = owner;
}

static void on_settled(void *user, uint64_t number, enum frame_state state, unsigned reason,
                       bool revoked)
{
	struct run *r = user;

	(void)number, (void)reason;
	if (state == FRAME_WRITTEN)
		r->figures.written++;
	else if (revoked)
		r->figures.written--;
}

static void on_durable(void *user, uint64_t frames)
{
	struct run *r = user;

	r->figures.durable += frames;
}

static void on_say(void *user, enum sink_say level, const char *text)
{
	struct run *r = user;

	if (level != SINK_INFO)
		snprintf(r->said, sizeof r->said, "%s", text);
}

static int configure(struct run *r, char *why)
{
	const struct sinks_load *l = r->load;
	char set[SETS_BYTES];
	const char *const sets[] = { set };
	char *problems = NULL;
	int err;

	snprintf(set, sizeof set, "sinks=[{format: %s, directory: \"%s\", direct: %s}]", l->format,
	         l->scratch->path, l->buffered ? "no" : "auto");
	err = config_load(&r->config, NULL, sets, 1, &problems);
	if (err)
		snprintf(why, WHY_BYTES, "%s", problems ? problems : "no memory");
	free(problems);
	return err ? EX_SOFTWARE : 0;
}

static int open_sinks(struct run *r, char *why)
{
	static const struct sink_program program = { "benchmark", "", "", "{}" };
	const struct sink_callbacks callbacks = { r,      on_released, on_settled, on_durable,
		                                  on_say, NULL,        NULL };
	const struct frame_slots *slots = r->load->slots;
	const struct sink_memory memory = { slots->memory, slots->count * slots->slot_bytes };
	const struct sink_geometry geometry = {
		.reduced = { slots->width, slots->height, PRODUCT_UINT16, slots->frame_bytes },
		.memory = &memory,
		.memory_count = 1,
	};
	int err;

	if (r->load->system_calls)
		setenv("OPENBEAM_WRITER", "pwrite", 1);
	err = sinks_open(&r->sinks, &r->config, &program, &callbacks, r->bell.fd, why);
	if (r->load->system_calls)
		unsetenv("OPENBEAM_WRITER");
	if (!err && sinks_lay_out(r->sinks, &geometry)) {
		snprintf(why, WHY_BYTES, "no memory for the sinks");
		return EX_OSERR;
	}
	return err == 0 ? 0 : err == -ENOMEM ? EX_OSERR : err == -EACCES ? EX_NOPERM : EX_CANTCREAT;
}

static int begin(struct run *r, char *why)
{
	const char *summary = sinks_writer_summary(r->sinks);

	snprintf(r->figures.engine, sizeof r->figures.engine, "%s", summary);
	if (!sinks_begin(r->sinks, &(struct sink_start){ .name = "measured" }))
		return 0;
	snprintf(why, WHY_BYTES, "%s", r->said);
	return EX_CANTCREAT;
}

/* Poll until a slot is free. */
static void wait_for_slot(struct run *r)
{
	while (!r->free_count) {
		uint64_t now_ns, wanted_ns, wait_ms;

		bell_leave(&r->bell);
		now_ns = clock_now_ns();
		wanted_ns = sinks_poll(r->sinks, now_ns);
		if (r->free_count || wanted_ns <= now_ns)
			continue;
		wait_ms = (wanted_ns - now_ns) / 1000000 + 1;
		bell_sleep(&r->bell, wait_ms < SLEEP_MS ? (int)wait_ms : SLEEP_MS);
	}
}

static void put(struct run *r, uint64_t number)
{
	static const struct reduction reduction;
	void *slot = r->free_slots[--r->free_count];
	struct sink_frame frame = { .number = number,
		                    .received_ns = clock_read_ns(CLOCK_REALTIME),
		                    .averaged = 1,
		                    .reduced = slot,
		                    .reduction = &reduction,
		                    .owner = slot };

	sinks_put(r->sinks, &frame);
	sinks_poll(r->sinks, clock_now_ns());
}

static void end(struct run *r, uint64_t put)
{
	struct totals totals = { .expected = put, .received = put };
	const uint64_t none[1] = { 0 };
	const struct sink_summary summary = { .totals = &totals,
		                              .expected_from = "seen",
		                              .raw_bins = { 1, 0, 1 },
		                              .normalised_bins = { 1, 0, 1 },
		                              .raw_counts = none,
		                              .normalised_counts = none };

	sinks_drain(r->sinks);
	totals.written = r->figures.written;
	totals.durable = r->figures.durable;
	sinks_end(r->sinks, &summary);
}

static int stream(struct run *r)
{
	const struct sinks_load *l = r->load;
	uint64_t begin_ns = clock_now_ns(), cpu_ns = clock_cpu_ns(), n = 0;

	for (; n < l->frames && !*l->stop; n++) {
		wait_for_slot(r);
		put(r, n);
	}
	end(r, n);
	r->figures.seconds = (double)(clock_now_ns() - begin_ns) * 1e-9;
	r->figures.cpu_s = (double)(clock_cpu_ns() - cpu_ns) * 1e-9;
	return n < l->frames ? EX_STOPPED : 0;
}

static int take_slots(struct run *r, char *why)
{
	r->free_slots = calloc(r->load->depth, sizeof *r->free_slots);
	if (!r->free_slots || bell_open(&r->bell)) {
		snprintf(why, WHY_BYTES, "no memory for the sinks");
		return EX_OSERR;
	}
	while (r->free_count < r->load->depth) {
		r->free_slots[r->free_count] = frame_slots_at(r->load->slots, r->free_count);
		r->free_count++;
	}
	return 0;
}

static void remove_series(struct run *r)
{
	const char *name = r->sinks ? strrchr(sinks_series_path(r->sinks), '/') : NULL;

	if (name)
		scratch_folder_remove(r->load->scratch, name + 1);
}

static void done(struct run *r)
{
	remove_series(r);
	sinks_close(r->sinks);
	bell_close(&r->bell);
	free(r->free_slots);
	config_done(&r->config);
}

int sinks_run(const struct sinks_load *load, struct sinks_figures *ret, char why[512])
{
	struct run r = { .load = load };
	int status;

	why[0] = '\0';
	status = configure(&r, why);
	if (!status)
		status = take_slots(&r, why);
	if (!status)
		status = open_sinks(&r, why);
	if (!status)
		status = begin(&r, why);
	if (!status)
		status = stream(&r);
	done(&r);
	if (status)
		return status;
	snprintf(why, WHY_BYTES, "%s", r.said);
	*ret = r.figures;
	return 0;
}
