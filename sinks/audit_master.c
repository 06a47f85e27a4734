/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_parts.h"

#include <errno.h>
#include <hdf5.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The master of an HDF5 sink: a virtual dataset over all of its data files. The library shows the
 * fill value where a source is not there, and says nothing: so each one is opened here first, and
 * then every row is read as an analysis program reads it. */

#define DATASET    "/entry1/tomo_entry/data/data"
#define KEYS       "/entry1/tomo_entry/instrument/detector/image_key"
#define NUMBERS    "/entry1/openbeam/frame_number"
#define KEYS_BLOCK 4096
#define ABSENT_MAX 256 /* so many absent rows are read; the others are of the same nothing */

enum image_key { KEY_PROJECTION, KEY_FLAT, KEY_DARK, KEY_INVALID };

struct master {
	struct audit *audit;
	const struct audit_lane *lane;
	char name[PART_NAME_MAX];
	hid_t file, images, keys, numbers;
	uint64_t rows;
	void *pixels; /* one frame; NULL: they are not read */
	unsigned char fill[8];
	uint64_t group;  /* of the next projection */
	size_t next;     /* frame of the ledger */
	uint64_t absent; /* rows without a frame, so far */
};

/* ---- sources ---- */

static bool source_opens(const struct master *m, const char *source, const char *dataset)
{
	hid_t file, images;
	uint64_t rows;

	if (strcmp(source, ".") == 0) { /* calibration frames, of whatever type */
		images = H5Dopen2(m->file, dataset, H5P_DEFAULT);
		if (images >= 0)
			H5Dclose(images);
		else
			audit_found(m->audit, m->name, "has no dataset %s that opens", dataset);
		return images >= 0;
	}
	file = audit_hdf5_open(m->lane, source);
	if (file < 0) {
		audit_found(m->audit, m->name, "takes frames from %s, which does not open", source);
		return false;
	}
	images = audit_hdf5_images(m->audit, m->lane, source, file, dataset, &rows);
	if (images >= 0)
		H5Dclose(images);
	H5Fclose(file);
	return images >= 0;
}

/* Only regular files of the folder are for the library to open. */
static bool check_source(const struct master *m, const char *source, const char *dataset)
{
	uint64_t bytes;
	int fd, err;

	if (strcmp(source, ".") != 0) {
		if (strchr(source, '/')) {
			audit_found(m->audit, m->name,
			            "takes frames from %s, outside of its own folder", source);
			return false;
		}
		err = audit_open_file(m->lane->folder, source, &fd, &bytes);
		if (err) {
			audit_found(m->audit, m->name, "takes frames from %s: %s", source,
			            err == -EMEDIUMTYPE ? "no regular file" : strerror(-err));
			return false;
		}
		close(fd);
	}
	return source_opens(m, source, dataset);
}

static bool check_mapping(const struct master *m, hid_t properties, size_t i)
{
	char source[PART_NAME_MAX], dataset[PART_NAME_MAX];
	ssize_t n = H5Pget_virtual_filename(properties, i, source, sizeof source);
	ssize_t k = H5Pget_virtual_dsetname(properties, i, dataset, sizeof dataset);

	if (n <= 0 || k <= 0 || (size_t)n >= sizeof source || (size_t)k >= sizeof dataset) {
		audit_found(m->audit, m->name, "mapping %zu of %s is damaged", i, DATASET);
		return false;
	}
	return check_source(m, source, dataset);
}

static bool check_mappings(struct master *m)
{
	hid_t properties = H5Dget_create_plist(m->images);
	hid_t type = H5Dget_type(m->images);
	size_t count = 0;
	bool is_virtual = properties >= 0 && H5Pget_layout(properties) == H5D_VIRTUAL;
	bool ok = properties >= 0 && type >= 0 && H5Tget_size(type) <= sizeof m->fill &&
	          H5Pget_fill_value(properties, type, m->fill) >= 0 &&
	          (is_virtual ? H5Pget_virtual_count(properties, &count) >= 0
	                      : m->lane->frame_count == 0); /* a stack of nothing but absent ones */

	if (!ok)
		audit_found(m->audit, m->name, "%s is no virtual dataset", DATASET);
	for (size_t i = 0; ok && i < count; i++)
		ok = check_mapping(m, properties, i);
	if (type >= 0)
		H5Tclose(type);
	if (properties >= 0)
		H5Pclose(properties);
	return ok;
}

/* ---- rows ---- */

static const struct audit_frame *frame_of_group(struct master *m)
{
	const struct audit_lane *l = m->lane;
	const struct audit_frame *f = m->next < l->frame_count ? &l->frames[m->next] : NULL;
	uint64_t first = l->ranges[0].first;

	if (!f ||
	    (f->number - first) / l->view.header.step / audit_page_frames(m->audit, l) != m->group)
		return NULL;
	m->next++;
	return f;
}

static bool is_fill(const struct master *m)
{
	size_t each = product_bytes((enum product_type)m->lane->view.header.type);
	size_t bytes = (size_t)m->lane->view.header.frame_bytes;
	const char *pixels = m->pixels;

	return memcmp(pixels, m->fill, each) == 0 &&
	       memcmp(pixels, pixels + each, bytes - each) == 0;
}

static void check_pixels(struct master *m, uint64_t row, const struct audit_frame *f)
{
	size_t bytes = (size_t)m->lane->view.header.frame_bytes;

	if (!f && m->absent++ >= ABSENT_MAX)
		return;
	if (!audit_hdf5_row(m->lane, m->images, row, m->pixels))
		audit_found(m->audit, m->name, "row %" PRIu64 " cannot be read", row);
	else if (f && m->audit->crc32c(0, m->pixels, bytes) != f->crc32c)
		audit_found(m->audit, m->name,
		            "row %" PRIu64 " is not frame %" PRIu64 " of the ledger", row,
		            f->number);
	else if (!f && !is_fill(m))
		audit_found(m->audit, m->name, "row %" PRIu64 " has no frame, and pixels", row);
	if (f)
		audit_told_progress(m->audit, m->name, bytes);
}

static int key_of(const struct audit_frame *f)
{
	if (!f)
		return KEY_INVALID;
	return f->flags & FRAME_DARK ? KEY_DARK : f->flags & FRAME_FLAT ? KEY_FLAT : KEY_PROJECTION;
}

static void check_row(struct master *m, uint64_t row, int key, uint64_t number)
{
	const struct audit_frame *f;

	if (number == UINT64_MAX && (key == KEY_FLAT || key == KEY_DARK))
		return; /* calibration, which has no line in the ledger */
	f = frame_of_group(m);
	m->group++;
	if (key != key_of(f))
		audit_found(m->audit, m->name,
		            "row %" PRIu64 ": image_key is %d, the ledger calls for %d", row, key,
		            key_of(f));
	else if (m->pixels)
		check_pixels(m, row, f);
}

static bool read_values(hid_t set, hid_t type, uint64_t row, unsigned count, void *values)
{
	hsize_t start = row, n = count;
	hid_t memory = H5Screate_simple(1, &n, NULL), space = H5Dget_space(set);
	bool ok = memory >= 0 && space >= 0 &&
	          H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &n, NULL) >= 0 &&
	          H5Dread(set, type, memory, space, H5P_DEFAULT, values) >= 0;

	if (space >= 0)
		H5Sclose(space);
	if (memory >= 0)
		H5Sclose(memory);
	return ok;
}

/* Open what has a value for each row. */
static bool open_values(const struct master *m, const char *path, const char *what, hid_t *ret)
{
	hid_t set = H5Dopen2(m->file, path, H5P_DEFAULT);
	hid_t space = set < 0 ? -1 : H5Dget_space(set);
	hsize_t rows = 0;

	if (space >= 0 && H5Sget_simple_extent_ndims(space) == 1)
		H5Sget_simple_extent_dims(space, &rows, NULL);
	if (space >= 0)
		H5Sclose(space);
	*ret = set;
	if (space >= 0 && rows == m->rows)
		return true;
	audit_found(m->audit, m->name, "%s has not a %s for each of the %" PRIu64 " rows", path,
	            what, m->rows);
	return false;
}

/* Rows of the ledger: pages, and where one would be. */
static uint64_t groups_of(const struct master *m)
{
	const struct audit_lane *l = m->lane;
	uint64_t numbers =
		(l->ranges[l->range_count - 1].last - l->ranges[0].first) / l->view.header.step + 1;
	uint64_t page = audit_page_frames(m->audit, l);

	return (numbers - 1) / page + 1;
}

static void check_rows(struct master *m)
{
	static int keys[KEYS_BLOCK];
	static uint64_t numbers[KEYS_BLOCK];
	uint64_t groups = groups_of(m);

	for (uint64_t row = 0; row < m->rows && m->group <= groups; row += KEYS_BLOCK) {
		uint64_t left = m->rows - row;
		unsigned count = left < KEYS_BLOCK ? (unsigned)left : KEYS_BLOCK;

		if (!read_values(m->keys, H5T_NATIVE_INT, row, count, keys) ||
		    !read_values(m->numbers, H5T_NATIVE_UINT64, row, count, numbers)) {
			audit_found(m->audit, m->name, "%s or %s cannot be read", KEYS, NUMBERS);
			return;
		}
		for (unsigned i = 0; i < count && m->group <= groups; i++)
			check_row(m, row + i, keys[i], numbers[i]);
	}
	if (m->group != groups)
		audit_found(m->audit, m->name,
		            "has %s%" PRIu64 " projections, the ledger calls for %" PRIu64,
		            m->group > groups ? "at least " : "", m->group, groups);
}

/* ---- the file ---- */

static bool open_rows(struct master *m)
{
	m->images = audit_hdf5_images(m->audit, m->lane, m->name, m->file, DATASET, &m->rows);
	if (m->images < 0 || !check_mappings(m) || !open_values(m, KEYS, "key", &m->keys) ||
	    !open_values(m, NUMBERS, "number", &m->numbers))
		return false;
	if (m->audit->options->quick)
		return true;
	m->pixels = malloc((size_t)m->lane->view.header.frame_bytes);
	if (!m->pixels)
		audit_refused(m->audit, m->name, "a frame does not fit into memory", -ENOMEM);
	return m->pixels != NULL;
}

static void close_master(struct master *m)
{
	free(m->pixels);
	if (m->numbers >= 0)
		H5Dclose(m->numbers);
	if (m->keys >= 0)
		H5Dclose(m->keys);
	if (m->images >= 0)
		H5Dclose(m->images);
	if (m->file >= 0)
		H5Fclose(m->file);
}

void audit_master(struct audit *a, const struct audit_lane *l)
{
	struct master m = {
		.audit = a, .lane = l, .file = -1, .images = -1, .keys = -1, .numbers = -1
	};
	uint64_t bytes;
	int fd, err;

	if (l->range_count == 0)
		return;
	snprintf(m.name, sizeof m.name, "%.200s.h5", l->view.header.folder);
	err = audit_open_file(l->folder, m.name, &fd, &bytes);
	if (err) {
		audit_found(a, m.name, "cannot be opened: %s",
		            err == -EMEDIUMTYPE ? "no regular file" : strerror(-err));
		return;
	}
	close(fd);
	if (a->options->at)
		a->options->at(a->options->user, m.name, a->done, a->all);
	m.file = audit_hdf5_open(l, m.name);
	if (m.file < 0)
		audit_found(a, m.name, "does not open in the HDF5 library");
	else if (open_rows(&m) && audit_page_frames(a, l) != UINT64_MAX)
		check_rows(&m);
	close_master(&m);
}
