/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's own configuration, calibration and plan, with the scalar kernels: what is compared
 * is what the transport and the fast kernels did. */
#include "bench/trial_parts.h"

#include "bench/machine.h"
#include "config/config.h"
#include "daemon/calibrated.h"
#include "daemon/crew.h"
#include "daemon/planes.h"
#include "daemon/slot_layout.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define MIB ((uint64_t)1 << 20)

struct expecting {
	struct trial *trial;
	struct config config;
	struct planes planes;
	struct layout layout;
	struct calibrated *calibrated;
	struct pattern pattern;
	atomic_uint_fast64_t next; /* place that nobody has taken */
	atomic_bool failed;
};

/* One thread's room. */
struct room {
	void *scratch, *reduced, *source;
	uint32_t *raw_counts, *normalised_counts;
};

static bool take_room(struct room *r, const struct reduce_plan *p)
{
	size_t pixels = (size_t)p->width * p->height;

	r->raw_counts = calloc((size_t)p->raw_bins.bins + 1, sizeof *r->raw_counts);
	r->normalised_counts = calloc(p->normalised_bins.bins, sizeof *r->normalised_counts);
	return !posix_memalign(&r->scratch, 64, p->scratch_bytes) &&
	       !posix_memalign(&r->reduced, 64, pixels * sizeof(float)) &&
	       !posix_memalign(&r->source, 64, pixels * sizeof(float)) && r->raw_counts &&
	       r->normalised_counts;
}

static void give_room(struct room *r)
{
	free(r->scratch);
	free(r->reduced);
	free(r->source);
	free(r->raw_counts);
	free(r->normalised_counts);
}

/* What the ledger will say of a place of the pattern. */
static bool expect_place(struct expecting *e, struct room *r, uint64_t place)
{
	const struct trial *t = e->trial;
	struct region_stats regions[REDUCE_REGIONS_MAX];
	struct reduction result;
	struct pattern_pixels pixels;
	struct reduce_job job = { .reduced = r->reduced,
		                  .source = r->source,
		                  .raw_counts = r->raw_counts,
		                  .normalised_counts = r->normalised_counts,
		                  .regions = regions,
		                  .result = &result };

	if (pattern_take_place(&e->pattern, place, &pixels))
		return false;
	job.raw = pixels.data;
	reduce_hand(&e->calibrated->plan, r->scratch, &job, 1);
	t->crc32c[place] =
		trial_keeps_source(&t->plan) ? result.source_crc32c : result.reduced_crc32c;
	if (pixels.owned)
		free(pixels.data);
	return true;
}

static void *expect_places(void *user)
{
	struct expecting *e = user;
	struct room room = { 0 };
	bool good = take_room(&room, &e->calibrated->plan);
	uint64_t place;

	while (good && !*e->trial->stop &&
	       (place = atomic_fetch_add(&e->next, 1)) < e->trial->places)
		good = expect_place(e, &room, place);
	if (!good)
		atomic_store(&e->failed, true);
	give_room(&room);
	return NULL;
}

static int share_places(struct expecting *e, char why[512])
{
	pthread_t helpers[CREW_MAX];
	unsigned count = 0, wanted = machine_cores() - 1;

	e->trial->places = pattern_places(&e->pattern);
	e->trial->crc32c = calloc(e->trial->places, sizeof *e->trial->crc32c);
	if (e->trial->crc32c) {
		while (count < wanted && !pthread_create(&helpers[count], NULL, expect_places, e))
			count++;
		expect_places(e);
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(helpers[i], NULL);
	if (!e->trial->crc32c || atomic_load(&e->failed)) {
		snprintf(why, WHY_BYTES, "no memory for the frames: use a smaller --size");
		return EX_OSERR;
	}
	return 0;
}

static int make_pattern(struct expecting *e, char why[512])
{
	const struct trial_plan *p = &e->trial->plan;
	const struct pixel_format *f = pixel_format_find(p->pixel_format);
	const struct pattern_options o = {
		.kind = PATTERN_PHANTOM,
		.width = p->width,
		.height = p->height,
		.type = f->type,
		.bits = f->bits,
		.packing = f->packing,
		.seed = 1,
		.memory_limit = trial_memory_mib(p) * MIB,
	};

	if (!pattern_open(&e->pattern, &o))
		return 0;
	snprintf(why, WHY_BYTES, "%s", e->pattern.why);
	return EX_OSERR;
}

/* The plan of the pass, as the daemon makes it. */
static int make_plan(struct expecting *e, char why[512])
{
	const struct trial_plan *p = &e->trial->plan;
	const struct pixel_format *f = pixel_format_find(p->pixel_format);
	const struct frame_shape shape = { .width = p->width,
		                           .height = p->height,
		                           .type = f->type,
		                           .packing = f->packing,
		                           .bits = (uint8_t)f->bits };
	const struct layout_needs needs = {
		.config = &e->config, .planes = &e->planes, .receivers = 1, .workers = 1
	};

	if (planes_open(&e->planes, &e->config)) {
		snprintf(why, WHY_BYTES, "%s", e->planes.why);
		return EX_SOFTWARE;
	}
	if (layout_plan(&e->layout, &needs, &shape, why))
		return EX_SOFTWARE;
	e->calibrated = calibrated_make(&e->layout, NULL, 0, &e->planes);
	if (!e->calibrated)
		snprintf(why, WHY_BYTES, "no memory for the plan of the pass");
	return e->calibrated ? 0 : EX_OSERR;
}

static int load_configuration(struct expecting *e, char why[512])
{
	struct trial_path path = trial_in_scratch(e->trial, "openbeam.yaml");
	const char *const *sets = e->trial->plan.settings;
	char *problems = NULL;
	unsigned n = 0;

	while (sets && sets[n])
		n++;
	if (!config_load(&e->config, path.text, sets, n, &problems))
		return 0;
	snprintf(why, WHY_BYTES, "%s", problems ? problems : "no memory");
	free(problems);
	return EX_SOFTWARE;
}

int trial_expect(struct trial *t, char why[512])
{
	struct expecting *e = calloc(1, sizeof *e);
	int status;

	if (!e) {
		snprintf(why, WHY_BYTES, "no memory");
		return EX_OSERR;
	}
	e->trial = t;
	status = load_configuration(e, why);
	if (!status) {
		status = make_plan(e, why);
		if (!status)
			status = make_pattern(e, why);
		if (!status)
			status = share_places(e, why);
		pattern_close(&e->pattern);
		calibrated_free(e->calibrated);
		planes_close(&e->planes);
		config_done(&e->config);
	}
	free(e);
	return status;
}
