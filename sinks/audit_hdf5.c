/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_parts.h"

#include "sinks/hdf5_filter.h"
#include "sinks/hdf5_handle.h"

#include <errno.h>
#include <hdf5.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A data file of HDF5: dataset /entry1/data/data [frames, height, width], every frame of it read
 * by the library, through whatever filter there is. */

#define DATASET       "/entry1/data/data"
#define RATIO_MAX     ((uint64_t)1 << 16) /* plain to stored bytes */
#define CHUNK_MAX     ((uint64_t)1 << 32)
#define CHUNK_SURPLUS 64 /* a chunk may be so many times a frame */

int64_t audit_hdf5_open(const struct audit_lane *l, const char *name)
{
	char path[AUDIT_PATH_MAX + PART_NAME_MAX];
	hid_t access, file = -1;

	H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
	if (hdf5_filter_register())
		return -1;
	access = H5Pcreate(H5P_FILE_ACCESS);
	if (access < 0)
		return -1;
	snprintf(path, sizeof path, "%s/%s", l->path, name);
	/* Many file systems that are shared cannot lock. */
	H5Pset_file_locking(access, 0, 1);
	file = H5Fopen(path, H5F_ACC_RDONLY, access);
	H5Pclose(access);
	return file;
}

static bool has_type(hid_t dataset, enum product_type t)
{
	hid_t type = H5Dget_type(dataset);
	bool has = type >= 0 && H5Tequal(type, hdf5_file_type(hdf5_kind_of(t))) > 0;

	if (type >= 0)
		H5Tclose(type);
	return has;
}

static bool extent_of(hid_t dataset, hsize_t ret[3])
{
	hid_t space = H5Dget_space(dataset);
	bool ok = space >= 0 && H5Sget_simple_extent_ndims(space) == 3 &&
	          H5Sget_simple_extent_dims(space, ret, NULL) == 3;

	if (space >= 0)
		H5Sclose(space);
	return ok;
}

int64_t audit_hdf5_images(struct audit *a, const struct audit_lane *l, const char *name,
                          int64_t file, const char *path, uint64_t *ret_rows)
{
	const struct journal_header *h = &l->view.header;
	hid_t dataset = H5Dopen2(file, path, H5P_DEFAULT);
	hsize_t extent[3] = { 0 };

	if (dataset < 0) {
		audit_found(a, name, "has no dataset %s that opens", path);
		return -1;
	}
	if (!extent_of(dataset, extent) || extent[1] != h->height || extent[2] != h->width) {
		audit_found(a, name, "%s has not the shape of frames of the ledger", path);
	} else if (!has_type(dataset, (enum product_type)h->type)) {
		audit_found(a, name, "%s is of another type than the ledger says", path);
	} else {
		*ret_rows = extent[0];
		return dataset;
	}
	H5Dclose(dataset);
	return -1;
}

bool audit_hdf5_row(const struct audit_lane *l, int64_t dataset, uint64_t row, void *pixels)
{
	const struct journal_header *h = &l->view.header;
	hsize_t start[3] = { row, 0, 0 }, count[3] = { 1, h->height, h->width };
	hid_t memory = H5Screate_simple(3, count, NULL), space = H5Dget_space(dataset);
	bool ok = memory >= 0 && space >= 0 &&
	          H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
	          H5Dread(dataset, hdf5_file_type(hdf5_kind_of((enum product_type)h->type)), memory,
	                  space, H5P_DEFAULT, pixels) >= 0;

	if (space >= 0)
		H5Sclose(space);
	if (memory >= 0)
		H5Sclose(memory);
	return ok;
}

/* What the library would have to allocate for one chunk is of the size of a frame. */
static bool check_chunks(const struct audit_file *f, hid_t properties)
{
	uint64_t frame = f->lane->view.header.frame_bytes, bytes;
	hsize_t chunk[3];

	if (H5Pget_chunk(properties, 3, chunk) != 3)
		return false;
	bytes = product_bytes((enum product_type)f->lane->view.header.type);
	for (unsigned i = 0; i < 3; i++) {
		if (chunk[i] == 0 || chunk[i] > CHUNK_MAX / bytes)
			return false;
		bytes *= chunk[i];
	}
	return bytes <= frame * CHUNK_SURPLUS;
}

/* False when it cannot be read without more memory than the file is worth. */
static bool check_layout(const struct audit_file *f, hid_t dataset, bool *ret_chunked)
{
	hid_t properties = H5Dget_create_plist(dataset);
	H5D_layout_t layout = properties < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(properties);
	uint64_t frame = f->lane->view.header.frame_bytes;
	bool ok =
		layout == H5D_CONTIGUOUS || (layout == H5D_CHUNKED && check_chunks(f, properties));

	*ret_chunked = layout == H5D_CHUNKED;
	if (properties >= 0)
		H5Pclose(properties);
	ok = ok && frame / RATIO_MAX <= f->bytes;
	if (!ok)
		audit_found(f->audit, f->name, "%s is stored in a way that is none of a series",
		            DATASET);
	return ok;
}

/* Where the library has the frame. False when it does not say. */
static bool place_of(const struct audit_file *f, hid_t dataset, bool chunked, uint64_t index,
                     uint64_t *ret_offset)
{
	hsize_t start[3] = { index, 0, 0 }, bytes;
	unsigned mask;
	haddr_t at;

	if (chunked)
		return H5Dget_chunk_info_by_coord(dataset, start, &mask, ret_offset, &bytes) >= 0 &&
		       *ret_offset != HADDR_UNDEF;
	at = H5Dget_offset(dataset);
	*ret_offset = at + index * f->lane->view.header.frame_bytes;
	return at != HADDR_UNDEF;
}

static void check_place(const struct audit_file *f, hid_t dataset, bool chunked,
                        const struct audit_frame *frame)
{
	uint64_t offset;

	if (!place_of(f, dataset, chunked, frame->index, &offset))
		audit_found(f->audit, f->name,
		            "frame %" PRIu64 " (index %" PRIu32 ") is not stored in it",
		            frame->number, frame->index);
	else if (offset != frame->offset)
		audit_found(f->audit, f->name,
		            "frame %" PRIu64 " (index %" PRIu32 ") is at byte %" PRIu64
		            ", by the ledger at %" PRIu64,
		            frame->number, frame->index, offset, frame->offset);
}

static void prove_row(const struct audit_file *f, hid_t dataset, const struct audit_frame *frame,
                      void *pixels)
{
	size_t bytes = (size_t)f->lane->view.header.frame_bytes;

	if (audit_hdf5_row(f->lane, dataset, frame->index, pixels))
		audit_judge(f, frame, f->audit->crc32c(0, pixels, bytes));
	else
		audit_found(f->audit, f->name,
		            "frame %" PRIu64 " (index %" PRIu32
		            ") cannot be read by the HDF5 library",
		            frame->number, frame->index);
	audit_told_progress(f->audit, f->name, bytes);
}

static void prove_rows(const struct audit_file *f, hid_t dataset, bool chunked)
{
	void *pixels = NULL;

	if (!f->audit->options->quick) {
		pixels = malloc((size_t)f->lane->view.header.frame_bytes);
		if (!pixels) {
			audit_refused(f->audit, f->name, "a frame does not fit into memory",
			              -ENOMEM);
			return;
		}
	}
	for (size_t i = 0; i < f->count; i++) {
		check_place(f, dataset, chunked, &f->frames[i]);
		if (pixels)
			prove_row(f, dataset, &f->frames[i], pixels);
	}
	free(pixels);
}

void audit_hdf5(const struct audit_file *f)
{
	hid_t file = audit_hdf5_open(f->lane, f->name), dataset;
	uint64_t rows = 0;
	bool chunked;

	if (file < 0) {
		audit_found(f->audit, f->name, "does not open in the HDF5 library");
		return;
	}
	dataset = audit_hdf5_images(f->audit, f->lane, f->name, file, DATASET, &rows);
	if (dataset >= 0) {
		if (rows != f->count)
			audit_found(f->audit, f->name, "has %" PRIu64 " frames, by the ledger %zu",
			            rows, f->count);
		else if (check_layout(f, dataset, &chunked))
			prove_rows(f, dataset, chunked);
		H5Dclose(dataset);
	}
	H5Fclose(file);
}
