/* SPDX-License-Identifier: Apache-2.0 */
/* The calibrating thread owns the images in use and, while it works, one job with its kept frames.
 * It waits for a job.
 * It ends after calibrator_stop(), once a job that it has begun is done.
 * Nobody waits for it but the collector, and that only where frames must. */
#include "daemon/calibrator.h"
#include "daemon/idle.h"
#include "daemon/pipeline.h"
#include "daemon/unpacker.h"
#include "daemon/version.h"
#include "sinks/calibration_file.h"

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static int fail(struct calibration_job *j, int err,
                                                      const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(j->text, sizeof j->text, format, arguments);
	va_end(arguments);
	j->err = err;
	return err;
}

/* ---- frames ---- */

/* The frames of a job, unpacked. */
struct stack {
	struct unpacker unpacker;
	struct frame_shape shape;
	unsigned count;
	uint64_t *numbers; /* [count] */
	void **pixels;     /* [count] */
	uint64_t newest_ns;
	unsigned damaged;
};

static void stack_close(struct stack *s)
{
	for (unsigned i = 0; s->pixels && i < s->count; i++)
		free(s->pixels[i]);
	free(s->pixels);
	free(s->numbers);
	unpacker_close(&s->unpacker);
}

static int unpack_one(struct stack *s, const struct kept *f)
{
	size_t bytes = unpacker_bytes(&s->unpacker);
	struct slot *slot = &s->unpacker.layout.slots[0];
	void *pixels;

	if (!unpacker_run(&s->unpacker, f, slot)) {
		s->damaged++;
		return 0;
	}
	pixels = malloc(bytes);
	if (!pixels)
		return -ENOMEM;
	memcpy(pixels, slot->reduced, bytes);
	s->pixels[s->count] = pixels;
	s->numbers[s->count++] = f->frame.number;
	if (f->frame.received_ns > s->newest_ns)
		s->newest_ns = f->frame.received_ns;
	return 0;
}

static bool is_aborted(const struct calibrator *c)
{
	/* relaxed: a moment later will do. */
	return atomic_load_explicit(&c->pipeline->phase, memory_order_relaxed) == PHASE_ABORT;
}

/* Each message is given up as soon as it is unpacked. */
static int unpack_all(struct calibrator *c, struct calibration_job *j, struct stack *s)
{
	struct kept *f;
	int err = 0;

	while (err == 0 && (f = kept_list_pop(&j->frames))) {
		err = is_aborted(c) ? -ECANCELED : unpack_one(s, f);
		kept_free(&c->pipeline->keeping, f);
	}
	if (err == -ECANCELED)
		return fail(j, err, "no %s: the run is aborted", calibration_role_name(j->role));
	if (err < 0)
		return fail(j, err, "no memory to unpack the frames of the %s",
		            calibration_role_name(j->role));
	if (s->count == 0)
		return fail(j, -EINVAL, "no %s: all of its frames are damaged",
		            calibration_role_name(j->role));
	return 0;
}

static int stack_open(struct calibrator *c, struct calibration_job *j, struct stack *s)
{
	uint64_t frames = j->frames.frames;
	char why[320];
	int err;

	s->shape = shape_of_frame(&j->frames.first->frame);
	s->numbers = calloc(frames, sizeof *s->numbers);
	s->pixels = calloc(frames, sizeof *s->pixels);
	if (!s->numbers || !s->pixels)
		return fail(j, -ENOMEM, "no memory for %llu frames", (unsigned long long)frames);
	err = unpacker_open(&s->unpacker, c->pipeline->config, NULL, NULL, &s->shape,
	                    c->pipeline->cpu, 1, why);
	if (err < 0)
		return fail(j, err, "no %s: %s", calibration_role_name(j->role), why);
	return unpack_all(c, j, s);
}

static void stack_rows(void *user, unsigned frame, uint32_t row, uint32_t rows, void *ret)
{
	const struct stack *s = user;
	size_t row_bytes = s->shape.width * (size_t)product_bytes(unpacker_type(&s->unpacker));

	memcpy(ret, (const char *)s->pixels[frame] + row * row_bytes, rows * row_bytes);
}

/* ---- the image ---- */

static const float *in_use(const struct calibrator *c, enum planes_role r)
{
	return c->images.of[r].pixels;
}

static struct calibration_wish wish_of(const struct calibrator *c, const struct calibration_job *j)
{
	const struct config_calibration *o = &c->pipeline->config->calibration;
	const float *flat_dark = in_use(c, PLANES_FLAT_DARK);

	return (struct calibration_wish){
		.flat = j->role == CALIBRATE_FLAT,
		.combine = j->combine,
		.hot = o->hot,
		.noisy = o->noisy,
		.dead = o->dead,
		.saturation = j->saturation,
		.dark = flat_dark ? flat_dark : in_use(c, PLANES_DARK),
		.flat_in_use = in_use(c, PLANES_FLAT),
	};
}

static int make_image(struct calibrator *c, struct calibration_job *j, struct stack *s,
                      struct calibration_made *ret)
{
	const struct reduce_plan *p = &s->unpacker.layout.plan;
	const struct calibration_frames frames = {
		.count = s->count,
		.numbers = s->numbers,
		.width = s->shape.width,
		.height = s->shape.height,
		.type = p->type,
		.rows = stack_rows,
		.user = s,
		.has_no_value = p->has_no_value,
		.no_value = p->no_value,
	};
	struct calibration_wish wish = wish_of(c, j);
	int err = calibration_make(ret, &frames, &wish);

	if (err < 0)
		return fail(j, err, "no %s: %s", calibration_role_name(j->role), ret->why);
	return 0;
}

static int save(struct calibrator *c, struct calibration_job *j, const struct stack *s,
                const struct calibration_made *made, struct calibration_written *ret)
{
	const struct config *config = c->pipeline->config;
	const struct calibration_set set = {
		.role = calibration_role_name(j->role),
		.width = made->width,
		.height = made->height,
		.image = made->image,
		.variance = made->variance,
		.found = made->found,
		.combine = j->combine == COMBINE_MEDIAN ? "median" : "mean",
		.frames = made->used,
		.asked = j->wanted ? j->wanted : s->count,
		.left_out = made->left_out,
		.left_out_count = made->left_out_count,
		.first = made->first,
		.last = made->last,
		.taken_ns = s->newest_ns,
		.exposure_s = j->exposure_s,
		.type = unpacker_type(&s->unpacker),
		.pixel_format = wire_name(s->shape.type, s->shape.packing),
		.hot = made->hot,
		.noisy = made->noisy,
		.dead = made->dead,
		.level = made->level,
		.noise = made->noise,
		.version = OPENBEAM_VERSION,
	};
	int err = calibration_file_write(ret, disk_io_default(),
	                                 pipeline_directory(config, config->calibration.directory),
	                                 &set);

	if (err < 0)
		return fail(j, err, "no %s: %s", set.role, ret->why);
	return 0;
}

/* ---- the planes ---- */

void owned_image_done(struct owned_image *o)
{
	free(o->pixels);
	free(o->found);
	free(o->path);
	*o = (struct owned_image){ 0 };
}

/* What was made is of the calibrator from now on. */
static int own(struct owned_image *ret, const struct calibration_job *j, const struct stack *s,
               struct calibration_made *made, const struct calibration_written *written)
{
	char *path = strdup(written->path);

	if (!path)
		return -ENOMEM;
	*ret = (struct owned_image){ .pixels = made->image, .found = made->found, .path = path };
	ret->about = (struct sink_calibration){ .role = calibration_role_name(j->role),
		                                .path = path,
		                                .crc32c = written->crc32c,
		                                .bytes = written->bytes,
		                                .width = made->width,
		                                .height = made->height,
		                                .id = j->id,
		                                .from_stream = true,
		                                .frames = made->used,
		                                .taken_ns = s->newest_ns };
	made->image = NULL;
	made->found = NULL;
	return 0;
}

static int make_planes(struct calibrator *c, struct calibration_job *j,
                       const struct planes_images *images)
{
	struct planes *p = calloc(1, sizeof *p);
	int err;

	if (!p)
		return fail(j, -ENOMEM, "no memory for the planes of the calibration");
	err = planes_from_images(p, c->pipeline->config, images);
	if (err < 0) {
		fail(j, err, "no %s: %s", calibration_role_name(j->role), p->why);
		free(p);
		return err;
	}
	j->planes = p;
	return 0;
}

/* ---- the images in use ---- */

static bool differ(double a, double b)
{
	return a > 0 && b > 0 && fabs(a - b) > 1e-6 * a;
}

/* A flat must be of the dark that is taken from it; a dark of another exposure ends the flat. */
static int check_exposure(const struct calibrator *c, struct calibration_job *j,
                          bool *ret_ends_flat)
{
	const struct planes_image *of = c->images.of;
	const struct planes_image *dark =
		&of[of[PLANES_FLAT_DARK].pixels ? PLANES_FLAT_DARK : PLANES_DARK];
	bool for_flat = j->role == CALIBRATE_FLAT_DARK ||
	                (j->role == CALIBRATE_DARK && !of[PLANES_FLAT_DARK].pixels);

	if (j->role == CALIBRATE_FLAT && dark->pixels && differ(dark->exposure_s, j->exposure_s))
		return fail(j, -EINVAL,
		            "no flat: the %s was exposed for %g s and these frames for %g s; take "
		            "a dark of them, or one for the flats (flat_dark)",
		            dark == &of[PLANES_DARK] ? "dark" : "flat_dark", dark->exposure_s,
		            j->exposure_s);
	*ret_ends_flat = for_flat && of[PLANES_FLAT].pixels &&
	                 differ(of[PLANES_FLAT].exposure_s, j->exposure_s);
	return 0;
}

/* Images of another size are of another detector, or of a part of it. */
static void forget_other_sizes(struct calibrator *c, const struct stack *s)
{
	for (unsigned r = 0; r < PLANES_IMAGES; r++) {
		struct planes_image *i = &c->images.of[r];

		if (i->pixels &&
		    (i->about.width != s->shape.width || i->about.height != s->shape.height))
			*i = (struct planes_image){ 0 };
	}
}

/* The role's image, as planes take it. */
static struct planes_image image_of(const struct owned_image *o, const struct calibration_job *j,
                                    const struct stack *s)
{
	return (struct planes_image){ .pixels = o->pixels,
		                      .found = o->found,
		                      .about = o->about,
		                      .exposure_s = j->exposure_s,
		                      .has_type = true,
		                      .type = s->shape.type };
}

/* ---- a job ---- */

/* ", 2 left out (17, 31)" */
static int print_left_out(char *text, size_t room, const struct calibration_made *m)
{
	int n = 0;

	if (m->left_out_count == 0)
		return 0;
	n = snprintf(text, room, ", %u left out (", m->left_out_count);
	for (unsigned i = 0; i < m->left_out_count && i < 8; i++)
		n += snprintf(text + n, room - (size_t)n, "%s%llu", i ? ", " : "",
		              (unsigned long long)m->left_out[i].frame);
	return n +
	       snprintf(text + n, room - (size_t)n, "%s)", m->left_out_count > 8 ? ", ..." : "");
}

static void describe(struct calibration_job *j, const struct calibration_made *m, bool no_flat)
{
	size_t room = sizeof j->text;
	int n = snprintf(j->text, room, "%s of %u frame%s", calibration_role_name(j->role), m->used,
	                 m->used == 1 ? "" : "s");

	n += print_left_out(j->text + n, room - (size_t)n, m);
	n += snprintf(j->text + n, room - (size_t)n, ": level %.6g counts, noise %.3g", m->level,
	              m->noise);
	if (j->role == CALIBRATE_FLAT)
		n += snprintf(j->text + n, room - (size_t)n, ", %llu dead pixel%s",
		              (unsigned long long)m->dead, m->dead == 1 ? "" : "s");
	else
		n += snprintf(j->text + n, room - (size_t)n, ", %llu hot and %llu noisy pixels",
		              (unsigned long long)m->hot, (unsigned long long)m->noisy);
	if (no_flat)
		snprintf(j->text + n, room - (size_t)n,
		         "; the flat was exposed otherwise and is set aside: take a new one");
}

/* What it replaces is not freed before the collector has let go of it. */
static void put_to_use(struct calibrator *c, struct calibration_job *j, struct owned_image *next,
                       const struct planes_images *images)
{
	j->replaced[0] = c->own[j->role];
	c->own[j->role] = *next;
	if (!images->of[PLANES_FLAT].pixels) {
		j->replaced[1] = c->own[CALIBRATE_FLAT];
		c->own[CALIBRATE_FLAT] = (struct owned_image){ 0 };
	}
	c->images = *images;
	*next = (struct owned_image){ 0 };
}

static void report(struct calibration_job *j, const struct calibration_made *made,
                   const struct calibration_written *written)
{
	j->used = made->used;
	j->left_out = made->left_out_count;
	j->dead = made->dead;
	j->hot = made->hot;
	j->noisy = made->noisy;
	memcpy(j->path, written->path, sizeof j->path);
}

static int make_and_save(struct calibrator *c, struct calibration_job *j, struct stack *s)
{
	struct planes_images images = c->images;
	struct calibration_made made = { 0 };
	struct calibration_written written;
	struct owned_image next = { 0 };
	bool no_flat = false;
	int err = check_exposure(c, j, &no_flat);

	if (err == 0)
		err = make_image(c, j, s, &made);
	if (err == 0)
		err = save(c, j, s, &made, &written);
	if (err == 0) {
		describe(j, &made, no_flat);
		err = own(&next, j, s, &made, &written);
	}
	if (err == 0) {
		images.of[j->role] = image_of(&next, j, s);
		if (no_flat)
			images.of[PLANES_FLAT] = (struct planes_image){ 0 };
		err = make_planes(c, j, &images);
	}
	if (err == 0) {
		report(j, &made, &written);
		put_to_use(c, j, &next, &images);
	}
	owned_image_done(&next);
	calibration_made_done(&made);
	return err;
}

static void execute(struct calibrator *c, struct calibration_job *j)
{
	const struct planes_images before = c->images;
	struct stack stack = { 0 };
	int err = stack_open(c, j, &stack);

	if (err == 0) {
		forget_other_sizes(c, &stack);
		err = make_and_save(c, j, &stack);
	}
	if (err < 0)
		c->images = before;
	j->err = err;
	kept_list_free(&c->pipeline->keeping, &j->frames);
	stack_close(&stack);
	(void)malloc_trim(0); /* what was kept goes back before it is held against the ceiling */
}

/* ---- the thread ---- */

void *calibrator_run(void *argument)
{
	struct calibrator *c = argument;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		struct calibration_job *j = c->job;

		if (!j) {
			pthread_cond_wait(&c->wake, &c->lock);
			continue;
		}
		c->job = NULL;
		pthread_mutex_unlock(&c->lock);
		execute(c, j);
		atomic_store(&c->done,
		             j); /* seq_cst: before the look whether the collector sleeps */
		bell_ring(&c->pipeline->collect);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	/* relaxed: a figure for the main thread. */
	atomic_store_explicit(&c->stage.ended, true, memory_order_relaxed);
	return NULL;
}

void calibrator_stop(struct calibrator *c)
{
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

void calibrator_give(struct calibrator *c, struct calibration_job *job)
{
	pthread_mutex_lock(&c->lock);
	c->job = job;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

struct calibration_job *calibrator_take(struct calibrator *c)
{
	/* acquire pairs with calibrator_run(): publishes the result. */
	struct calibration_job *j = atomic_load_explicit(&c->done, memory_order_acquire);

	if (j)
		atomic_store_explicit(&c->done, NULL, memory_order_relaxed); /* one at a time */
	return j;
}

/* ---- life ---- */

int calibrator_open(struct calibrator *c, struct pipeline *p)
{
	*c = (struct calibrator){ .pipeline = p, .images = p->planes->images };
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	return 0;
}

void calibrator_close(struct calibrator *c)
{
	if (!c->pipeline)
		return;
	for (unsigned r = 0; r < CALIBRATE_COUNT; r++)
		owned_image_done(&c->own[r]);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	*c = (struct calibrator){ 0 };
}
