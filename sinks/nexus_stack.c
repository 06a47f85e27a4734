/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/nexus_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The stack as a virtual dataset. Each data file is mapped by the union of its runs of frames: a
 * mapping for each run would be right as well, but HDF5 1.10 opens the source anew for each and
 * walks all of them at each read (10 000 of them: 4 s to read a small stack, 10 ms a frame; as
 * unions 0.08 s and below 1 ms). A union's runs are bounded because making and decoding one takes
 * time quadratic in them. */
#define RUNS_MAX 256

enum { KEY_PROJECTION, KEY_FLAT, KEY_DARK, KEY_INVALID };

/* Rows one after the other in the stack and in one file. */
struct run {
	uint32_t file;
	hsize_t row, index, count;
};

/* Runs of one file, ascending in it, that become one mapping. */
struct mapping {
	unsigned count;
	struct run runs[RUNS_MAX];
};

static void add_frame(struct nexus_stack *s, const struct nexus_map *map, int32_t key)
{
	if (!map)
		return;
	s->image_key[s->frame_count] = key;
	s->rotation[s->frame_count] = s->dose[s->frame_count] = NAN;
	s->number[s->frame_count] = UINT64_MAX;
	s->frames[s->frame_count++] = map;
}

static int32_t key_of(const struct nexus_row *r)
{
	if (!r->present)
		return KEY_INVALID;
	return r->flags & FRAME_DARK ? KEY_DARK : r->flags & FRAME_FLAT ? KEY_FLAT : KEY_PROJECTION;
}

bool nexus_stack_init(struct nexus_stack *s, const struct nexus_master *m)
{
	size_t room = m->row_count + sizeof s->frames / sizeof *s->frames;

	*s = (struct nexus_stack){
		.image_key = calloc(room, sizeof *s->image_key),
		.rotation = calloc(room, sizeof *s->rotation),
		.dose = calloc(room, sizeof *s->dose),
		.number = calloc(room, sizeof *s->number),
	};
	if (!s->image_key || !s->rotation || !s->dose || !s->number)
		return false;
	if (!m->normalised) {
		add_frame(s, nexus_find_map(m, "dark"), KEY_DARK);
		add_frame(s, nexus_find_map(m, "flat"), KEY_FLAT);
	}
	for (size_t i = 0; i < m->row_count; i++) {
		const struct nexus_row *r = &m->rows[i];

		s->image_key[s->frame_count + i] = key_of(r);
		s->rotation[s->frame_count + i] = r->rotation;
		s->dose[s->frame_count + i] = r->dose;
		s->number[s->frame_count + i] = r->number;
	}
	s->length = s->frame_count + m->row_count;
	return true;
}

void nexus_stack_done(struct nexus_stack *s)
{
	free(s->image_key);
	free(s->rotation);
	free(s->dose);
	free(s->number);
}

static void set_fill(struct hdf5 *h, hid_t plist, enum product_type type)
{
	uint32_t most = UINT32_MAX >> (32 - 8 * product_bytes(type));
	float none = NAN;
	herr_t err = type == PRODUCT_FLOAT32 ? H5Pset_fill_value(plist, H5T_NATIVE_FLOAT, &none)
	                                     : H5Pset_fill_value(plist, H5T_NATIVE_UINT32, &most);

	if (err < 0)
		hdf5_failed(h, "cannot set the value of absent frames", NULL);
}

/* A whole calibration frame, which is a dataset of this file. */
static void map_frame(struct hdf5 *h, hid_t plist, const struct nexus_stack *s, unsigned i,
                      const struct nexus_master *m)
{
	hsize_t dims[3] = { s->length, m->shape->height, m->shape->width };
	hsize_t start[3] = { i, 0, 0 }, count[3] = { 1, dims[1], dims[2] };
	hid_t stack, source;
	char name[64];

	if (h->err)
		return;
	snprintf(name, sizeof name, NEXUS_CALIBRATION "/%s_frame", s->frames[i]->role);
	stack = H5Screate_simple(3, dims, NULL);
	source = H5Screate_simple(2, dims + 1, NULL);
	if (H5Sselect_hyperslab(stack, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
	    H5Pset_virtual(plist, stack, ".", name, source) < 0)
		hdf5_failed(h, "cannot map", name);
	hdf5_close(h, source);
	hdf5_close(h, stack);
}

/* The union of the runs: where they begin on the first axis is `first` bytes into each. */
static hid_t select_runs(struct hdf5 *h, const struct mapping *map, const hsize_t dims[3],
                         size_t first)
{
	hid_t space = h->err ? H5I_INVALID_HID : H5Screate_simple(3, dims, NULL);
	herr_t err = space < 0 ? -1 : 0;

	for (unsigned i = 0; i < map->count && err >= 0; i++) {
		hsize_t start[3] = { 0 }, count[3] = { map->runs[i].count, dims[1], dims[2] };

		memcpy(start, (const char *)&map->runs[i] + first, sizeof *start);
		err = H5Sselect_hyperslab(space, i ? H5S_SELECT_OR : H5S_SELECT_SET, start, NULL,
		                          count, NULL);
	}
	if (err < 0)
		hdf5_failed(h, "cannot select frames", NULL);
	return space;
}

/* Map what was gathered, and begin anew. */
static void flush_mapping(struct hdf5 *h, hid_t plist, struct mapping *map, size_t length,
                          const struct nexus_master *m)
{
	const struct run *last = map->runs + (map->count ? map->count - 1 : 0);
	hsize_t dims[3] = { length, m->shape->height, m->shape->width };
	hid_t stack, source;
	char name[512];

	if (map->count == 0)
		return;
	stack = select_runs(h, map, dims, offsetof(struct run, row));
	dims[0] = last->index + last->count;
	source = select_runs(h, map, dims, offsetof(struct run, index));
	snprintf(name, sizeof name, "%s_%06" PRIu32 ".h5", m->series, last->file);
	if (!h->err && H5Pset_virtual(plist, stack, name, NEXUS_DATA, source) < 0)
		hdf5_failed(h, "cannot map", name);
	hdf5_close(h, source);
	hdf5_close(h, stack);
	map->count = 0;
}

static void add_row(struct hdf5 *h, hid_t plist, struct mapping *map, size_t length,
                    const struct run *row, const struct nexus_master *m)
{
	struct run *last = map->runs + (map->count ? map->count - 1 : 0);
	bool same = map->count && row->file == last->file;

	if (same && row->index == last->index + last->count &&
	    row->row == last->row + last->count) {
		last->count++;
		return;
	}
	/* Elements pair up in ascending order on both sides: going back needs another mapping. */
	if (!same || map->count == RUNS_MAX || row->index < last->index + last->count)
		flush_mapping(h, plist, map, length, m);
	map->runs[map->count++] = *row;
}

static void map_rows(struct hdf5 *h, hid_t plist, const struct nexus_stack *s,
                     const struct nexus_master *m)
{
	struct mapping map = { 0 };

	for (size_t i = 0; i < m->row_count && !h->err; i++) {
		const struct nexus_row *r = &m->rows[i];
		struct run row = { r->file, s->frame_count + i, r->index, 1 };

		if (r->present)
			add_row(h, plist, &map, s->length, &row, m);
	}
	flush_mapping(h, plist, &map, s->length, m);
}

hid_t nexus_write_stack(struct hdf5 *h, hid_t detector, const struct nexus_stack *s,
                        const struct nexus_master *m)
{
	hsize_t dims[3] = { s->length, m->shape->height, m->shape->width };
	hid_t plist, space, set = H5I_INVALID_HID;

	if (h->err)
		return H5I_INVALID_HID;
	plist = hdf5_creation(h);
	set_fill(h, plist, m->shape->type);
	/* Also where every frame is absent. */
	if (!h->err && H5Pset_layout(plist, H5D_VIRTUAL) < 0)
		hdf5_failed(h, "cannot make the virtual dataset", NULL);
	for (unsigned i = 0; i < s->frame_count; i++)
		map_frame(h, plist, s, i, m);
	map_rows(h, plist, s, m);
	space = H5Screate_simple(3, dims, NULL);
	if (!h->err)
		set = H5Dcreate2(detector, "data", hdf5_file_type(hdf5_kind_of(m->shape->type)),
		                 space, H5P_DEFAULT, plist, H5P_DEFAULT);
	if (set < 0)
		hdf5_failed(h, "cannot make the virtual dataset", NULL);
	hdf5_close(h, space);
	hdf5_close(h, plist);
	return set;
}
