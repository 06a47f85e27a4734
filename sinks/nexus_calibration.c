/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/nexus_parts.h"

#include "kernels/binning.h"
#include "kernels/convert.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The part of an image that frames are of. */
struct part {
	uint32_t left, top, width, height; /* pixels of the image */
	unsigned bin;
};

/* False when frames of that shape cannot be made of it. */
static bool find_part(const struct nexus_master *m, const struct nexus_map *map, struct part *ret)
{
	const struct config_reduce *c = m->reduce;
	struct part p = {
		.left = c->roi_x,
		.top = c->roi_y,
		.width = c->roi_width,
		.height = c->roi_height,
		.bin = nexus_is_unpacked(m) ? 1 : c->bin,
	};

	if (p.left >= map->width || p.top >= map->height || p.width > map->width - p.left ||
	    p.height > map->height - p.top)
		return false;
	if (p.width == 0)
		p.width = map->width - p.left;
	if (p.height == 0)
		p.height = map->height - p.top;
	*ret = p;
	return p.bin && p.width / p.bin == m->shape->width && p.height / p.bin == m->shape->height;
}

/* Whether pixel i of the full frame counts in the mean of its bin: as in the frames, which leave
 * out what any of the images calls bad. */
static bool is_good(const struct nexus_master *m, const struct nexus_map *like, size_t i)
{
	for (unsigned j = 0; j < m->map_count; j++) {
		const struct nexus_map *map = &m->maps[j];
		bool mask = strcmp(map->role, "mask") == 0;

		if (map->width != like->width || map->height != like->height)
			continue;
		if (mask ? map->pixels[i] != 0 : !isfinite(map->pixels[i]))
			return false;
	}
	return true;
}

static void copy_part(const struct nexus_map *map, const struct part *p, float *ret)
{
	for (size_t y = 0; y < p->height; y++)
		memcpy(ret + y * p->width, map->pixels + (p->top + y) * map->width + p->left,
		       p->width * sizeof *ret);
}

static void mark_bad(const struct nexus_master *m, const struct nexus_map *map,
                     const struct part *p, float *values)
{
	for (size_t y = 0; y < p->height; y++)
		for (size_t x = 0; x < p->width; x++) {
			size_t i = (p->top + y) * map->width + p->left + x;
			float *v = &values[y * p->width + x];

			if (!isfinite(*v) || (p->bin > 1 && !is_good(m, map, i)))
				*v = NAN;
		}
}

/* In place; `scratch` has two rows. */
static void bin_part(const struct part *p, float *values, float *scratch)
{
	size_t columns = p->width / p->bin, rows = p->height / p->bin;

	for (size_t y = 0; p->bin > 1 && y < rows; y++) {
		bin_rows_scalar(scratch, values + y * p->bin * p->width, scratch,
		                scratch + p->width, p->width, p->bin);
		memcpy(values + y * columns, scratch, columns * sizeof *values);
	}
}

static double clip(double v, double most)
{
	return isnan(v) || v > most ? most : v < 0 ? 0 : v;
}

static void round_to_source(const float *values, enum product_type type, size_t n, void *ret)
{
	double most = UINT32_MAX >> (32 - 8 * product_bytes(type));

	for (size_t i = 0; i < n; i++) {
		uint32_t v = (uint32_t)llrint(clip(values[i], most));

		if (type == PRODUCT_UINT8)
			((uint8_t *)ret)[i] = (uint8_t)v;
		else if (type == PRODUCT_UINT16)
			((uint16_t *)ret)[i] = (uint16_t)v;
		else
			((uint32_t *)ret)[i] = v;
	}
}

/* False when no reduced frame has that type. */
static bool convert(const struct nexus_master *m, const float *values, size_t n, void *ret)
{
	static convert_fn *const converters[PRODUCT_TYPE_COUNT] = {
		[PRODUCT_UINT8] = convert_uint8_scalar,
		[PRODUCT_UINT16] = convert_uint16_scalar,
		[PRODUCT_FLOAT32] = convert_float32_scalar,
	};
	convert_fn *converter = converters[m->shape->type];
	struct window w;

	if (!converter || !window_init(&w, m->shape->type, (float)m->reduce->window_low,
	                               (float)m->reduce->window_high, false))
		return false;
	converter(ret, values, n, &w);
	return true;
}

int nexus_map_frame(const struct nexus_master *m, const struct nexus_map *map, void *ret)
{
	size_t n = (size_t)m->shape->width * m->shape->height, pixels;
	struct part p;
	float *values;
	int err = 0;

	if (!find_part(m, map, &p))
		return -EINVAL;
	pixels = (size_t)p.width * p.height;
	values = malloc((pixels + 2 * (size_t)p.width) * sizeof *values);
	if (!values)
		return -ENOMEM;
	copy_part(map, &p, values);
	if (nexus_is_unpacked(m) && m->shape->type == PRODUCT_FLOAT32) {
		memcpy(ret, values, n * sizeof *values);
	} else if (nexus_is_unpacked(m)) {
		round_to_source(values, m->shape->type, n, ret);
	} else {
		mark_bad(m, map, &p, values);
		bin_part(&p, values, values + pixels);
		err = convert(m, values, n, ret) ? 0 : -EINVAL;
	}
	free(values);
	return err;
}

static void write_image(struct hdf5 *h, hid_t at, const char *name, enum hdf5_kind kind,
                        uint32_t width, uint32_t height, const void *pixels,
                        const struct nexus_map *map)
{
	hsize_t dims[2] = { height, width };
	hid_t set = hdf5_array(h, at, name, kind, 2, dims, pixels);
	char crc[16];

	snprintf(crc, sizeof crc, "%08" PRIx32, map->crc32c);
	hdf5_attribute_text(h, set, "interpretation", "image");
	hdf5_attribute_text(h, set, "path", map->path);
	hdf5_attribute_text(h, set, "crc32c", crc);
	hdf5_close(h, set);
}

static void write_frame(struct hdf5 *h, hid_t at, const struct nexus_map *map,
                        const struct nexus_master *m)
{
	const struct sink_shape *s = m->shape;
	void *pixels;
	char name[32], what[256];
	int err;

	if (h->err)
		return;
	pixels = malloc((size_t)s->width * s->height * product_bytes(s->type));
	err = pixels ? nexus_map_frame(m, map, pixels) : -ENOMEM;
	if (err) {
		snprintf(what, sizeof what,
		         "cannot make a frame of %" PRIu32 " x %" PRIu32
		         " pixels of the %s, which has %" PRIu32 " x %" PRIu32 ": %s",
		         s->width, s->height, map->role, map->width, map->height, strerror(-err));
		hdf5_fail(h, err, what);
	}
	snprintf(name, sizeof name, "%s_frame", map->role);
	write_image(h, at, name, hdf5_kind_of(s->type), s->width, s->height, pixels, map);
	free(pixels);
}

void nexus_write_calibration(struct hdf5 *h, hid_t openbeam, const struct nexus_stack *s,
                             const struct nexus_master *m)
{
	hid_t group = hdf5_group(h, openbeam, "calibration", "NXcollection");

	for (unsigned i = 0; i < m->map_count; i++) {
		const struct nexus_map *map = &m->maps[i];

		write_image(h, group, map->role, HDF5_FLOAT32, map->width, map->height, map->pixels,
		            map);
	}
	for (unsigned i = 0; i < s->frame_count; i++)
		write_frame(h, group, s->frames[i], m);
	hdf5_close(h, group);
}
