/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/applied.h"
#include "daemon/collector.h"
#include "daemon/fitting.h"
#include "daemon/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void rings_of(const struct collector *k, const struct sequence **ret)
{
	for (unsigned i = 0; i < k->pipeline->receiver_count; i++)
		ret[i] = &k->pipeline->receivers[i].ring;
}

void applied_push(struct collector *k)
{
	const struct sequence *rings[CONFIG_ENDPOINTS_MAX];

	if (!k->layout)
		return;
	rings_of(k, rings);
	if (!k->unpushed) {
		if (generations_retire(&k->pipeline->generations, rings))
			calibrating_let_go(k);
		return;
	}
	if (!generations_push(&k->pipeline->generations, k->unpushed, k->superseded, rings))
		return;
	k->unpushed = NULL;
	k->superseded = NULL;
}

void applied_free_planes(struct planes *p)
{
	if (!p)
		return;
	planes_close(p);
	free(p);
}

void applied_forget_generations(struct collector *k)
{
	calibrated_free(k->unpushed);
	applied_free_planes(k->superseded);
	k->unpushed = NULL;
	k->superseded = NULL;
}

/* One that comes into use again is there. */
static bool is_listed(struct applied *a, const struct sink_calibration *f, uint32_t id)
{
	for (unsigned i = 0; i < a->listed_count; i++)
		if (a->listed[i].id == id && strcmp(a->listed[i].role, f->role) == 0) {
			a->listed[i].pixels = f->pixels;
			return true;
		}
	return false;
}

/* Of a copy, since a path may end with its image before the series does. */
static void list_file(struct applied *a, const struct sink_calibration *f, uint32_t id)
{
	struct sink_calibration *grown;
	char *path;

	if (is_listed(a, f, id))
		return;
	grown = realloc(a->listed, (a->listed_count + 1) * sizeof *grown);
	path = strdup(f->path);
	if (grown)
		a->listed = grown;
	if (!grown || !path) {
		free(path);
		log_line(LOG_WARNING, "calibration", "no memory to list %s in the manifest",
		         f->path);
		return;
	}
	grown[a->listed_count] = *f;
	grown[a->listed_count].path = path;
	grown[a->listed_count++].id = id;
}

static void forget_list(struct applied *a)
{
	for (unsigned i = 0; i < a->listed_count; i++)
		free((char *)(uintptr_t)a->listed[i].path);
	free(a->listed);
	a->listed = NULL;
	a->listed_count = 0;
}

static void list_planes(struct collector *k)
{
	for (unsigned i = 0; i < k->planes->file_count; i++)
		list_file(&k->applied, &k->planes->files[i], k->calibration_id);
}

void applied_list(struct collector *k)
{
	forget_list(&k->applied);
	list_planes(k);
}

void applied_settle_list(struct collector *k)
{
	struct applied *a = &k->applied;

	/* The pixels of those before are gone. */
	for (unsigned i = 0; i < a->listed_count; i++)
		if (a->listed[i].id != k->calibration_id)
			a->listed[i].pixels = NULL;
}

void applied_warn_of_beam(const struct calibrated *c)
{
	if (!calibrated_sees_beam(c))
		log_line(LOG_WARNING, "calibration",
		         "every pixel of beam.regions is bad: there is no dose; place them "
		         "elsewhere, or look at the mask and the flat");
}

const struct planes *applied_choose(struct collector *k, const struct frame_shape *shape)
{
	const struct planes *p = k->stream_planes ? k->stream_planes : k->pipeline->planes;
	bool other_size = p->width && (p->width != shape->width || p->height != shape->height);

	if (p->file_count == 0 || (other_size && !k->stream_planes) ||
	    !calibration_misfits(p, shape, k->detector, k->applied.misfit))
		return p;
	return &k->no_planes;
}

void applied_tell(struct collector *k, const struct planes *before)
{
	struct applied *a = &k->applied;

	calibrating_report(k);
	if (k->planes != &k->no_planes) {
		if (before == &k->no_planes)
			log_line(LOG_INFO, "calibration", "number %u fits again and is used",
			         k->calibration_id);
		a->told[0] = '\0';
		return;
	}
	if (strcmp(a->told, a->misfit) != 0)
		log_line(LOG_ERROR, "calibration",
		         "refused: %s; frames stay without calibration: take a new one", a->misfit);
	memcpy(a->told, a->misfit, sizeof a->told);
}

uint32_t applied_id(const struct collector *k, const struct planes *planes)
{
	return planes->file_count ? k->installed_id : 0;
}

/* The plan with these planes; NULL without memory. */
static struct calibrated *plan_with(struct collector *k, const struct planes *planes, uint32_t id)
{
	const struct layout_needs needs = { .config = k->pipeline->config,
		                            .planes = planes,
		                            .detector = k->detector };

	return calibrated_make(k->layout, layout_mask(&needs, &k->layout->shape), id, planes);
}

static void use(struct collector *k, struct calibrated *next)
{
	applied_warn_of_beam(next);
	calibrated_free(k->unpushed); /* no frame has seen it */
	k->unpushed = next;
	k->planes = next->planes;
	k->calibration_id = next->id;
	if (k->begun) {
		list_planes(k);
		sinks_calibrated(k->sinks, k->applied.listed, k->applied.listed_count);
	}
	applied_push(k);
}

void applied_refit(struct collector *k)
{
	const struct planes *before = k->planes;
	const struct planes *planes = applied_choose(k, &k->layout->shape);
	struct calibrated *next;

	if (planes == k->planes)
		return;
	next = plan_with(k, planes, applied_id(k, planes));
	if (!next) {
		log_line(LOG_ERROR, "calibration", "no memory to change it: it stays as it is");
		return;
	}
	use(k, next);
	k->least_id = k->calibration_id;
	applied_tell(k, before);
}

int applied_install(struct collector *k, struct planes *planes, uint32_t id)
{
	struct planes *old = k->stream_planes;
	struct calibrated *next = plan_with(k, planes, planes->file_count ? id : 0);

	if (!next)
		return -ENOMEM;
	if (k->unpushed && k->unpushed->planes == old) { /* no frame has seen them */
		calibrated_free(k->unpushed);
		k->unpushed = NULL;
		applied_free_planes(old);
	} else if (k->superseded) { /* while none of the two were in use */
		applied_free_planes(old);
	} else {
		k->superseded = old;
	}
	k->stream_planes = planes;
	k->installed_id = id;
	use(k, next);
	return 0;
}

void applied_close(struct collector *k)
{
	applied_forget_generations(k);
	forget_list(&k->applied);
}
