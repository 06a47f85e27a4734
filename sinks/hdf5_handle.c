/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/hdf5_handle.h"

#include "sinks/texts.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum hdf5_kind hdf5_kind_of(enum product_type t)
{
	static const enum hdf5_kind kinds[PRODUCT_TYPE_COUNT] = {
		[PRODUCT_UINT8] = HDF5_UINT8,
		[PRODUCT_UINT16] = HDF5_UINT16,
		[PRODUCT_UINT32] = HDF5_UINT32,
		[PRODUCT_FLOAT32] = HDF5_FLOAT32,
	};

	return kinds[t];
}

/* The library's type names are calls: no table can hold them. */
hid_t hdf5_file_type(enum hdf5_kind k)
{
	switch (k) {
	case HDF5_UINT8:
		return H5T_STD_U8LE;
	case HDF5_UINT16:
		return H5T_STD_U16LE;
	case HDF5_UINT32:
		return H5T_STD_U32LE;
	case HDF5_UINT64:
		return H5T_STD_U64LE;
	case HDF5_INT32:
		return H5T_STD_I32LE;
	case HDF5_FLOAT32:
		return H5T_IEEE_F32LE;
	default:
		return H5T_IEEE_F64LE;
	}
}

hid_t hdf5_memory_type(enum hdf5_kind k)
{
	switch (k) {
	case HDF5_UINT8:
		return H5T_NATIVE_UINT8;
	case HDF5_UINT16:
		return H5T_NATIVE_UINT16;
	case HDF5_UINT32:
		return H5T_NATIVE_UINT32;
	case HDF5_UINT64:
		return H5T_NATIVE_UINT64;
	case HDF5_INT32:
		return H5T_NATIVE_INT32;
	case HDF5_FLOAT32:
		return H5T_NATIVE_FLOAT;
	default:
		return H5T_NATIVE_DOUBLE;
	}
}

void hdf5_init(struct hdf5 *h)
{
	*h = (struct hdf5){ 0 };
	if (H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0)
		hdf5_fail(h, -EIO, "cannot start the HDF5 library");
}

struct innermost {
	char text[160];
	bool no_memory;
};

static herr_t take_innermost(unsigned depth, const H5E_error2_t *e, void *user)
{
	struct innermost *i = user;

	if (depth == 0)
		snprintf(i->text, sizeof i->text, "%s: %s", e->func_name, e->desc);
	i->no_memory = i->no_memory || e->min_num == H5E_NOSPACE || e->min_num == H5E_CANTALLOC;
	return 0;
}

void hdf5_failed(struct hdf5 *h, const char *what, const char *name)
{
	struct innermost i = { .text = "no reason given" };

	if (h->err)
		return;
	H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, &i);
	h->err = i.no_memory ? -ENOMEM : -EIO;
	snprintf(h->why, sizeof h->why, "%s%s%.60s: %s", what, name ? " " : "", name ? name : "",
	         i.text);
}

void hdf5_fail(struct hdf5 *h, int err, const char *what)
{
	if (h->err)
		return;
	h->err = err;
	snprintf(h->why, sizeof h->why, "%s", what);
}

void hdf5_close(struct hdf5 *h, hid_t id)
{
	if (id >= 0 && H5Idec_ref(id) < 0)
		hdf5_failed(h, "cannot close an object", NULL);
}

hid_t hdf5_group(struct hdf5 *h, hid_t at, const char *name, const char *nx_class)
{
	hid_t group;

	if (h->err)
		return H5I_INVALID_HID;
	group = H5Gcreate2(at, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	if (group < 0)
		hdf5_failed(h, "cannot make the group", name);
	if (nx_class)
		hdf5_attribute_text(h, group, "NX_class", nx_class);
	return group;
}

hid_t hdf5_creation(struct hdf5 *h)
{
	hid_t plist = H5Pcreate(H5P_DATASET_CREATE);

	if (plist < 0 || H5Pset_obj_track_times(plist, 0) < 0)
		hdf5_failed(h, "cannot describe a dataset", NULL);
	return plist;
}

/* Creation properties under which unwritten values read as 0 or NaN. */
static hid_t unwritten(struct hdf5 *h, enum hdf5_kind kind)
{
	hid_t plist = hdf5_creation(h);
	double none = NAN;

	if (plist < 0 || ((kind == HDF5_FLOAT32 || kind == HDF5_FLOAT64) &&
	                  H5Pset_fill_value(plist, H5T_NATIVE_DOUBLE, &none) < 0))
		hdf5_failed(h, "cannot set a fill value", NULL);
	return plist;
}

hid_t hdf5_array(struct hdf5 *h, hid_t at, const char *name, enum hdf5_kind kind, unsigned rank,
                 const hsize_t *dims, const void *values)
{
	hid_t space, plist, set = H5I_INVALID_HID;

	if (h->err)
		return H5I_INVALID_HID;
	space = rank ? H5Screate_simple((int)rank, dims, NULL) : H5Screate(H5S_SCALAR);
	plist = unwritten(h, kind);
	if (!h->err && space >= 0)
		set = H5Dcreate2(at, name, hdf5_file_type(kind), space, H5P_DEFAULT, plist,
		                 H5P_DEFAULT);
	if (set < 0 || (values && H5Dwrite(set, hdf5_memory_type(kind), H5S_ALL, H5S_ALL,
	                                   H5P_DEFAULT, values) < 0))
		hdf5_failed(h, "cannot write the dataset", name);
	hdf5_close(h, plist);
	hdf5_close(h, space);
	return set;
}

void hdf5_values(struct hdf5 *h, hid_t at, const char *name, enum hdf5_kind kind, size_t count,
                 const void *values, const char *units)
{
	hsize_t dims[1] = { count };
	hid_t set = hdf5_array(h, at, name, kind, 1, dims, values);

	if (units)
		hdf5_attribute_text(h, set, "units", units);
	hdf5_close(h, set);
}

void hdf5_value(struct hdf5 *h, hid_t at, const char *name, enum hdf5_kind kind, const void *value,
                const char *units)
{
	hid_t set = hdf5_array(h, at, name, kind, 0, NULL, value);

	if (units)
		hdf5_attribute_text(h, set, "units", units);
	hdf5_close(h, set);
}

/* A copy that is UTF-8, or NULL after hdf5_fail(). */
static char *readable(struct hdf5 *h, const char *text)
{
	char *copy = strdup(text ? text : "");
	size_t n;

	if (!copy) {
		hdf5_fail(h, -ENOMEM, "no memory for a text");
		return NULL;
	}
	for (char *c = copy; *c; c += n) {
		n = text_sequence_bytes(c);
		if (n == 0) {
			*c = '?';
			n = 1;
		}
	}
	return copy;
}

static hid_t text_type(struct hdf5 *h)
{
	hid_t type = H5Tcopy(H5T_C_S1);

	if (type < 0 || H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)
		hdf5_failed(h, "cannot make the type of texts", NULL);
	return type;
}

void hdf5_text(struct hdf5 *h, hid_t at, const char *name, const char *text)
{
	hid_t type, space, plist, set = H5I_INVALID_HID;
	char *copy;

	if (h->err)
		return;
	copy = readable(h, text);
	type = text_type(h);
	space = H5Screate(H5S_SCALAR);
	plist = hdf5_creation(h);
	if (!h->err && space >= 0)
		set = H5Dcreate2(at, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
	if (set < 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &copy) < 0)
		hdf5_failed(h, "cannot write the text", name);
	hdf5_close(h, set);
	hdf5_close(h, plist);
	hdf5_close(h, space);
	hdf5_close(h, type);
	free(copy);
}

/* Write an attribute of what `values` points to. Takes the space over. */
static void write_attribute(struct hdf5 *h, hid_t at, const char *name, hid_t file_type,
                            hid_t memory_type, hid_t space, const void *values)
{
	hid_t attribute = H5I_INVALID_HID;

	if (!h->err && space >= 0)
		attribute = H5Acreate2(at, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
	if (attribute < 0 || H5Awrite(attribute, memory_type, values) < 0)
		hdf5_failed(h, "cannot write the attribute", name);
	hdf5_close(h, attribute);
	hdf5_close(h, space);
}

void hdf5_attribute_text(struct hdf5 *h, hid_t at, const char *name, const char *text)
{
	hid_t type;
	char *copy;

	if (h->err)
		return;
	copy = readable(h, text);
	type = text_type(h);
	write_attribute(h, at, name, type, type, H5Screate(H5S_SCALAR), &copy);
	hdf5_close(h, type);
	free(copy);
}

void hdf5_attribute_texts(struct hdf5 *h, hid_t at, const char *name, const char *const *texts,
                          size_t count)
{
	hsize_t dims[1] = { count };
	hid_t type;

	if (h->err)
		return;
	type = text_type(h);
	write_attribute(h, at, name, type, type, H5Screate_simple(1, dims, NULL), texts);
	hdf5_close(h, type);
}

void hdf5_attribute(struct hdf5 *h, hid_t at, const char *name, enum hdf5_kind kind, size_t count,
                    const void *values)
{
	hsize_t dims[1] = { count };

	if (!h->err)
		write_attribute(h, at, name, hdf5_file_type(kind), hdf5_memory_type(kind),
		                H5Screate_simple(1, dims, NULL), values);
}

void hdf5_link(struct hdf5 *h, hid_t at, const char *name, hid_t to, const char *new_name)
{
	if (!h->err && H5Lcreate_hard(at, name, to, new_name, H5P_DEFAULT, H5P_DEFAULT) < 0)
		hdf5_failed(h, "cannot link", name);
}
