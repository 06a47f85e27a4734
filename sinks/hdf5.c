/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/hdf5_filter.h"
#include "sinks/hdf5_handle.h"
#include "sinks/hdf5_space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A data file of a NeXus series: /entry1/data/data [frames, height, width], and the numbers of
 * its frames beside it. The master (nexus.h) makes one stack of all of them.
 *
 *   0        head: the library's metadata                  HDF5_HEAD_BYTES
 *   16384    frames, back to back
 *   end      frame numbers; with compression the index of the chunks
 *
 * Without compression the dataset is contiguous, early allocated where the frames are. With it
 * each frame is a chunk of filter 32008, and the library is told chunk by chunk where they lie;
 * what it would write of them is thrown away. */

#define FILTER_BITSHUFFLE 32008
#define CHUNKS_AT_ONCE    256
#define INDEX_BYTES       168         /* more than a chunk takes in the index */
#define INDEX_FIXED       (64u << 10) /* nodes that are not full */

struct tail {
	struct format_file file;
	struct hdf5_space space;
	struct hdf5 hdf5;
	hid_t id, data;         /* negative: closed */
	uint64_t indexed;       /* chunks */
	unsigned char *nothing; /* stands for a chunk [longest chunk] */
	bool given;
};

static uint64_t tail_bytes(uint64_t frames, bool large)
{
	(void)large;
	return frames * (INDEX_BYTES + sizeof(uint64_t)) + INDEX_FIXED;
}

static struct format_plan plan(const struct config_sink *c, const struct sink_shape *shape)
{
	return (struct format_plan){
		.frames = format_frames(c, shape->bytes, HDF5_HEAD_BYTES, tail_bytes, false),
		.packed = strcmp(c->compression ? c->compression : "none", "bslz4") == 0,
	};
}

/* The tree. */

static void describe_chunks(struct hdf5 *h, hid_t properties, const struct format_file *f)
{
	hsize_t chunk[3] = { 1, f->shape->height, f->shape->width };
	/* Version 0.3, bytes of an element, the filter's own block size, LZ4. */
	unsigned parameters[5] = { 0, 3, product_bytes(f->shape->type), 0, 2 };

	/* A plugin of the library would put parameters of its own before these. */
	if (hdf5_filter_register() || H5Pset_chunk(properties, 3, chunk) < 0 ||
	    H5Pset_filter(properties, FILTER_BITSHUFFLE, H5Z_FLAG_MANDATORY, 5, parameters) < 0)
		hdf5_failed(h, "cannot describe the chunks", NULL);
}

static void describe_contiguous(struct hdf5 *h, hid_t properties)
{
	if (H5Pset_layout(properties, H5D_CONTIGUOUS) < 0 ||
	    H5Pset_alloc_time(properties, H5D_ALLOC_TIME_EARLY) < 0)
		hdf5_failed(h, "cannot describe the pixels", NULL);
}

static hid_t make_pixels(struct hdf5 *h, struct hdf5_space *s, hid_t group,
                         const struct format_file *f)
{
	double window[2] = { f->window_low, f->window_high };
	hsize_t size[3] = { f->frames, f->shape->height, f->shape->width };
	hid_t properties = hdf5_creation(h), space = H5Screate_simple(3, size, NULL);
	hid_t data = H5I_INVALID_HID;

	if (H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER) < 0)
		hdf5_failed(h, "cannot describe the pixels", NULL);
	if (f->packed)
		describe_chunks(h, properties, f);
	else
		describe_contiguous(h, properties);
	s->pixels_at = HDF5_HEAD_BYTES;
	s->pixels_bytes = f->packed ? 0 : f->frames * f->shape->bytes;
	if (!h->err)
		data = H5Dcreate2(group, "data", hdf5_file_type(hdf5_kind_of(f->shape->type)),
		                  space, H5P_DEFAULT, properties, H5P_DEFAULT);
	if (data < 0)
		hdf5_failed(h, "cannot make the dataset of the pixels", NULL);
	hdf5_close(h, space);
	hdf5_close(h, properties);
	hdf5_attribute_text(h, data, "interpretation", "image");
	if (f->window)
		hdf5_attribute(h, data, "window", HDF5_FLOAT64, 2, window);
	/* That the frames are where the library looks for them is proved by every file. */
	if (!h->err && !f->packed && H5Dget_offset(data) != HDF5_HEAD_BYTES)
		hdf5_fail(h, -EFBIG, "the library has another place for the pixels");
	return data;
}

/* Groups and the dataset of pixels, which is returned. */
static hid_t make_tree(struct hdf5 *h, struct hdf5_space *s, hid_t file,
                       const struct format_file *f)
{
	hid_t entry, group, data;
	char creator[64];

	snprintf(creator, sizeof creator, "openbeam %.40s", f->version ? f->version : "");
	hdf5_attribute_text(h, file, "NX_class", "NXroot");
	hdf5_attribute_text(h, file, "default", "entry1");
	hdf5_attribute_text(h, file, "creator", creator);
	entry = hdf5_group(h, file, "entry1", "NXentry");
	hdf5_attribute_text(h, entry, "default", "data");
	hdf5_attribute_text(h, entry, "series", f->series);
	group = hdf5_group(h, entry, "data", "NXdata");
	hdf5_attribute_text(h, group, "signal", "data");
	data = make_pixels(h, s, group, f);
	hdf5_close(h, group);
	hdf5_close(h, entry);
	return data;
}

/* 0, -ENOMEM, or -EFBIG. */
static int write_numbers(struct tail *t)
{
	uint64_t count = t->file.frames;
	uint64_t *numbers = malloc(count * sizeof *numbers);

	if (!numbers)
		return -ENOMEM;
	for (uint64_t i = 0; i < count; i++)
		numbers[i] = t->file.places[i].number;
	hdf5_values(&t->hdf5, t->id, "/entry1/data/frame", HDF5_UINT64, count, numbers, NULL);
	free(numbers);
	return t->hdf5.err ? -EFBIG : 0;
}

static void close_ids(struct tail *t)
{
	if (t->data >= 0)
		H5Dclose(t->data);
	if (t->id >= 0)
		H5Fclose(t->id);
	t->data = t->id = -1;
}

static void tail_close(struct tail *t)
{
	if (!t)
		return;
	close_ids(t);
	hdf5_space_close(&t->space);
	free(t->nothing);
	free(t);
}

static uint64_t place_start(const struct tail *t, uint64_t i)
{
	return i ? t->file.places[i - 1].end : HDF5_HEAD_BYTES;
}

/* Memory of the longest chunk's length, which the library hands to the driver unread. */
static bool make_nothing(struct tail *t)
{
	uint64_t longest = 1;

	for (uint64_t i = 0; i < t->file.frames; i++) {
		uint64_t bytes = t->file.places[i].end - place_start(t, i);

		longest = bytes > longest ? bytes : longest;
	}
	t->nothing = calloc(1, longest);
	return t->nothing != NULL;
}

static int open_file(struct tail *t)
{
	const struct format_file *f = &t->file;
	uint64_t end = f->places ? f->places[f->frames - 1].end
	                         : HDF5_HEAD_BYTES + f->frames * f->shape->bytes;

	if (hdf5_space_open(&t->space, end))
		return -ENOMEM;
	t->id = hdf5_space_create(&t->space);
	if (t->id >= 0)
		t->data = make_tree(&t->hdf5, &t->space, t->id, f);
	return t->data >= 0 && !t->hdf5.err ? 0 : -EFBIG;
}

static int tail_open(struct tail **ret, const struct format_file *f)
{
	struct tail *t = calloc(1, sizeof *t);
	int err;

	if (!t)
		return -ENOMEM;
	hdf5_init(&t->hdf5);
	t->file = *f;
	t->id = t->data = -1;
	err = open_file(t);
	if (!err && f->packed && f->places && !make_nothing(t))
		err = -ENOMEM;
	if (err) {
		tail_close(t);
		return err;
	}
	*ret = t;
	return 0;
}

static int index_chunk(struct tail *t, uint64_t i)
{
	hsize_t at[3] = { i, 0, 0 };

	t->space.pixels_at = place_start(t, i);
	t->space.pixels_bytes = t->file.places[i].end - t->space.pixels_at;
	return H5Dwrite_chunk(t->data, H5P_DEFAULT, 0, at, t->space.pixels_bytes, t->nothing) < 0 ||
	                       t->space.pixels_bytes != 0
	               ? -1
	               : 0;
}

static int index_chunks(struct tail *t)
{
	uint64_t until = t->indexed + CHUNKS_AT_ONCE;

	until = until < t->file.frames ? until : t->file.frames;
	for (; t->indexed < until; t->indexed++)
		if (index_chunk(t, t->indexed))
			return -EFBIG;
	return 1;
}

static int tail_next(struct tail *t, const void **ret_bytes, size_t *ret_length)
{
	int err;

	*ret_length = 0;
	if (t->given)
		return 0;
	if (t->file.packed && t->indexed < t->file.frames)
		return index_chunks(t);
	err = write_numbers(t);
	if (err)
		return err;
	H5Dclose(t->data);
	t->data = -1;
	if (H5Fclose(t->id) < 0)
		return -EFBIG;
	t->id = -1;
	t->given = true;
	*ret_bytes = t->space.tail;
	*ret_length = (size_t)t->space.tail_fill + HDF5_SPACE_GAP;
	return 0;
}

static void tail_head(const struct tail *t, unsigned char *ret_head)
{
	memcpy(ret_head, t->space.head, HDF5_HEAD_BYTES);
}

static int first_head(unsigned char *ret_head, const struct format_file *f)
{
	struct format_file file = *f;
	struct tail *t;
	int err;

	file.places = NULL;
	err = tail_open(&t, &file);
	if (err)
		return err;
	close_ids(t);
	tail_head(t, ret_head);
	if (t->space.tail_fill > 0) /* there would be no room for it yet */
		err = -EFBIG;
	tail_close(t);
	return err;
}

const struct format format_hdf5 = {
	.id = SINK_HDF5,
	.name = "hdf5",
	.suffix = ".h5",
	.head_bytes = HDF5_HEAD_BYTES,
	.plan = plan,
	.tail_bytes = tail_bytes,
	.first_head = first_head,
	.tail_open = tail_open,
	.tail_next = tail_next,
	.tail_head = tail_head,
	.tail_close = tail_close,
};
