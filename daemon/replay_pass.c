/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/replay_parts.h"

#include "daemon/file_checksum.h"
#include "daemon/huge.h"
#include "kernels/mean.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define AMPLE_BUFFER (UINT64_C(1) << 50) /* nothing of it is taken */

/* ---- the plan ---- */

/* The frames that are read are of the region already, and plain. */
static int plan_region(struct replay *r)
{
	struct reduce_plan *p = &r->layout.plan;
	const struct sink_shape *s = &r->recorded.shape;

	if (p->width != s->width || p->height != s->height || p->left != r->pixels.left ||
	    p->top != r->pixels.top)
		return replay_refuse(
			r, -EINVAL,
			"manifest.json: reduce.roi keeps %u x %u pixels from column %u "
			"and row %u, but what was recorded is %u x %u from %u and %u",
			p->width, p->height, p->left, p->top, s->width, s->height, r->pixels.left,
			r->pixels.top);
	p->left = p->top = 0;
	p->payload_width = p->width;
	p->payload_height = p->height;
	p->keep_source = false;
	return reduce_plan_init(p) ? 0 : replay_refuse(r, -EINVAL, "frames cannot be reduced");
}

int replay_plan(struct replay *r)
{
	struct config c = r->planned;
	struct planes none = { 0 };
	const struct layout_needs needs = {
		.config = &c, .planes = &none, .receivers = 1, .workers = 1, .cpu = r->cpu
	};
	char why[320];

	if (!r->recorded.has_pixels)
		return replay_refuse(
			r, -EINVAL,
			"manifest.json does not say under `frames` what the pixels mean: "
			"the series is of a version that did not note it");
	r->pixels = r->recorded.pixels;
	c.ingest.buffer = AMPLE_BUFFER;
	c.ingest.width = c.ingest.height = 0;
	c.ingest.type = FRAME_TYPE_AUTO;
	c.daemon.batch = 1;
	if (c.ingest.saturation == CONFIG_AUTO && isfinite(r->pixels.saturation))
		c.ingest.saturation = (int64_t)r->pixels.saturation;
	struct frame_shape shape = { .width = r->pixels.payload_width,
		                     .height = r->pixels.payload_height,
		                     .type = r->pixels.type,
		                     .bits = (uint8_t)r->pixels.bits,
		                     .has_no_value = r->pixels.has_no_value,
		                     .no_value = r->pixels.no_value };

	if (layout_plan(&r->layout, &needs, &shape, why) < 0)
		return replay_refuse(r, -EINVAL, "manifest.json: %s", why);
	return plan_region(r);
}

/* ---- memory ---- */

static size_t sums_bytes(const struct reduce_plan *p)
{
	return (size_t)p->width * p->height * mean_sum_bytes(product_of_layout(p->layout));
}

int replay_allocate(struct replay *r)
{
	const struct reduce_plan *p = &r->layout.plan;
	uint32_t raw = p->raw_bins.bins, normalised = p->normalised_bins.bins;

	r->scratch = huge_alloc(p->scratch_bytes + 64);
	r->source = huge_alloc(r->recorded.shape.bytes);
	r->reduced = huge_alloc(r->layout.geometry.reduced.bytes);
	r->raw_counts = calloc((size_t)raw + 1, sizeof *r->raw_counts);
	r->normalised_counts = calloc((size_t)normalised + 1, sizeof *r->normalised_counts);
	r->raw_sums = calloc((size_t)raw + 1, sizeof *r->raw_sums);
	r->normalised_sums = calloc((size_t)normalised + 1, sizeof *r->normalised_sums);
	if (p->averaged)
		r->sums = huge_alloc(sums_bytes(p));
	if (!r->scratch || !r->source || !r->reduced || !r->raw_counts || !r->normalised_counts ||
	    !r->raw_sums || !r->normalised_sums || (p->averaged && !r->sums))
		return replay_refuse(r, -ENOMEM, "no memory for frames of %zu bytes",
		                     r->recorded.shape.bytes);
	return 0;
}

void replay_free(struct replay *r)
{
	calibrated_free(r->calibrated);
	planes_close(&r->planes);
	free(r->listed);
	free(r->scratch);
	free(r->source);
	free(r->reduced);
	free(r->sums);
	free(r->raw_counts);
	free(r->normalised_counts);
	free(r->raw_sums);
	free(r->normalised_sums);
}

/* ---- calibration ---- */

/* What is no file, or of another length, is not even read. */
static int checksum_of(const struct recorded_calibration *c, uint64_t *ret_bytes, uint32_t *ret_crc)
{
	struct stat st;

	if (stat(c->path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EMEDIUMTYPE;
	*ret_bytes = (uint64_t)st.st_size;
	*ret_crc = 0;
	return *ret_bytes == c->bytes ? file_checksum(c->path, ret_bytes, ret_crc) : 0;
}

static int check_file(struct replay *r, const struct recorded_calibration *c)
{
	uint64_t bytes = 0;
	uint32_t crc = 0;
	int err = checksum_of(c, &bytes, &crc);

	if (err < 0)
		return replay_refuse(r, -EINVAL, "calibration.%s: %.600s: %s", c->role, c->path,
		                     err == -EMEDIUMTYPE ? "is no regular file" : strerror(-err));
	if (bytes != c->bytes)
		return replay_refuse(r, -EINVAL,
		                     "calibration.%s: %.600s was changed: it has %" PRIu64
		                     " bytes, by the manifest %" PRIu64,
		                     c->role, c->path, bytes, c->bytes);
	if (crc == c->crc32c)
		return 0;
	return replay_refuse(r, -EINVAL,
	                     "calibration.%s: %.600s was changed: it has checksum %08" PRIx32
	                     ", by the manifest %08" PRIx32,
	                     c->role, c->path, crc, c->crc32c);
}

int replay_check_files(struct replay *r)
{
	int err = 0;

	for (unsigned i = 0; !err && i < r->recorded.calibration_count; i++) {
		const struct recorded_calibration *c = &r->recorded.calibrations[i];

		/* Of several flats only the two that were given count. */
		if (!r->options->flats[0] || strcmp(c->role, "flat") != 0)
			err = check_file(r, c);
	}
	return err;
}

/* The files of calibration `id` in place of those of the configuration. False when the manifest
 * names none of it. */
static bool name_files(const struct replay *r, uint32_t id, struct config *c)
{
	static char none[] = "";
	char **const paths[PLANES_IMAGES] = { &c->calibration.dark, &c->calibration.flat,
		                              &c->calibration.flat_dark, &c->calibration.mask };
	bool any = id == 0;

	for (unsigned i = 0; i < PLANES_IMAGES; i++)
		*paths[i] = none;
	for (unsigned k = 0; k < r->recorded.calibration_count; k++) {
		const struct recorded_calibration *file = &r->recorded.calibrations[k];

		if (file->id != id)
			continue;
		any = true;
		for (unsigned i = 0; i < PLANES_IMAGES; i++)
			if (strcmp(file->role, planes_role_name((enum planes_role)i)) == 0)
				*paths[i] = (char *)file->path;
	}
	if (r->flats)
		*paths[PLANES_FLAT] = (char *)r->options->flats[0];
	return any;
}

/* There is room for every role of every calibration. */
static struct sink_calibration *find_listed(struct replay *r, const char *role, uint32_t id)
{
	for (unsigned i = 0; i < r->listed_count; i++)
		if (r->listed[i].id == id && strcmp(r->listed[i].role, role) == 0)
			return &r->listed[i];
	return &r->listed[r->listed_count++];
}

/* The manifest of what is written names what was used, and holds the images of the last one. */
static void list_files(struct replay *r, uint32_t id)
{
	for (unsigned i = 0; i < r->listed_count; i++)
		r->listed[i].pixels = NULL;
	for (unsigned i = 0; i < r->planes.file_count; i++) {
		struct sink_calibration *l = find_listed(r, r->planes.files[i].role, id);

		*l = r->planes.files[i];
		l->id = id;
	}
	if (r->flats)
		*find_listed(r, "flat_after", id) = replay_flats_after(r, id);
}

static int use_planes(struct replay *r, uint32_t id)
{
	r->calibrated = calibrated_make(&r->layout, NULL, id, &r->planes);
	if (!r->calibrated)
		return replay_refuse(r, -ENOMEM, "no memory for the calibration");
	r->id = id;
	r->has_calibrated = true;
	return 0;
}

/* Whether the planes are of the frames. */
static int check_planes(struct replay *r)
{
	const struct planes *p = &r->planes;

	if (p->file_count == 0 ||
	    (p->width == r->pixels.payload_width && p->height == r->pixels.payload_height))
		return 0;
	return replay_refuse(r, -EINVAL, "%.600s is %u x %u pixels, but the frames were %u x %u",
	                     p->size_from, p->width, p->height, r->pixels.payload_width,
	                     r->pixels.payload_height);
}

static int open_planes(struct replay *r, uint32_t id)
{
	struct config c = r->planned;
	int err;

	if (!name_files(r, id, &c))
		return -ENOENT;
	calibrated_free(r->calibrated);
	r->calibrated = NULL;
	r->has_calibrated = false;
	planes_close(&r->planes);
	c.calibration.max_age_ns = 0; /* they are as old as the series */
	err = planes_open(&r->planes, &c);
	if (err < 0)
		return replay_refuse(r, -EINVAL, "%.900s", r->planes.why);
	err = check_planes(r);
	if (!err)
		err = use_planes(r, id);
	if (!err)
		list_files(r, id);
	return err;
}

int replay_calibrate(struct replay *r, uint32_t id)
{
	if (!r->listed) {
		size_t ids = (size_t)r->recorded.calibration_count + 1;

		r->listed = calloc(ids * (PLANES_IMAGES + 1), sizeof *r->listed);
		if (!r->listed)
			return replay_refuse(r, -ENOMEM, "no memory for the calibration");
	}
	return r->has_calibrated && r->id == id ? 0 : open_planes(r, id);
}

void replay_reduce(struct replay *r, struct replay_frame *f, void *reduced)
{
	struct reduce_job job = { .raw = r->source,
		                  .reduced = reduced,
		                  .raw_counts = r->raw_counts,
		                  .normalised_counts = r->normalised_counts,
		                  .result = &f->reduction,
		                  .regions = f->regions };
	const struct reduce_plan *p = &r->calibrated->plan;

	reduce_hand(p, r->scratch, &job, 1);
	f->calibration = r->id;
	f->reduction.source_crc32c = f->record.crc32c; /* it was held against it */
	for (uint32_t i = 0; i < p->raw_bins.bins; i++)
		r->raw_sums[i] += r->raw_counts[i];
	for (uint32_t i = 0; i < p->normalised_bins.bins; i++)
		r->normalised_sums[i] += r->normalised_counts[i];
	histogram_tails_add(&r->raw_tails, &f->reduction.raw_tails);
	histogram_tails_add(&r->normalised_tails, &f->reduction.normalised_tails);
}
