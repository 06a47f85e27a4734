/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_HDF5_HANDLE_H
#define SINKS_HDF5_HANDLE_H

#include "kernels/layout.h"

#include <hdf5.h>
#include <stddef.h>

/* The calls that write an HDF5 file's groups, attributes and small datasets.
 *
 * The first failure is kept with the library's text; whatever comes after it does nothing and gives
 * H5I_INVALID_HID, which every function here takes for "nothing". So a tree is written straight
 * down, and one look at `err` at the end says whether it is whole.
 *
 * The library is not made for threads: one of them at a time may be in here. It prints nothing
 * after the first hdf5_init(). */
struct hdf5 {
	int err;       /* 0, or the first failure: -ENOMEM, -EIO, or what hdf5_fail() was given */
	char why[256]; /* "cannot ...: ...", with err */
};

/* Values of a dataset or attribute: little-endian in the file, the machine's in memory. */
enum hdf5_kind {
	HDF5_UINT8,
	HDF5_UINT16,
	HDF5_UINT32,
	HDF5_UINT64,
	HDF5_INT32,
	HDF5_FLOAT32,
	HDF5_FLOAT64,
	HDF5_KIND_COUNT
};

/* Of product pixels. */
enum hdf5_kind hdf5_kind_of(enum product_type t);

/* The types of a kind. The library's own: not to be closed. */
hid_t hdf5_file_type(enum hdf5_kind k);
hid_t hdf5_memory_type(enum hdf5_kind k);

void hdf5_init(struct hdf5 *h);

/* The call that should have done `what` ("cannot make the group x") has failed: keep it with the
 * innermost text of the library's error stack, unless something failed before. */
void hdf5_failed(struct hdf5 *h, const char *what, const char *name);

/* The same for a failure that is not the library's. */
void hdf5_fail(struct hdf5 *h, int err, const char *what);

/* Close whatever the id is of. */
void hdf5_close(struct hdf5 *h, hid_t id);

/* Make a group, with the attribute NX_class unless that is NULL. The caller closes it. */
hid_t hdf5_group(struct hdf5 *h, hid_t at, const char *name, const char *nx_class);

/* Properties to create a dataset with, which the caller closes: without the time, so that the same
 * series gives the same bytes. */
hid_t hdf5_creation(struct hdf5 *h);

/* Make a dataset of the values, [dims[0]][dims[1]]..., and leave it open for its attributes; rank
 * 0 is a single value. values NULL: nothing is written, and what is read is 0, or NaN for
 * floating-point values. */
hid_t hdf5_array(struct hdf5 *h, hid_t at, const char *name, enum hdf5_kind kind, unsigned rank,
                 const hsize_t *dims, const void *values);

/* Such a dataset, closed; `units` NULL: none. */
void hdf5_values(struct hdf5 *h, hid_t at, const char *name, enum hdf5_kind kind, size_t count,
                 const void *values, const char *units);
void hdf5_value(struct hdf5 *h, hid_t at, const char *name, enum hdf5_kind kind, const void *value,
                const char *units);

/* Texts are UTF-8 of variable length; bytes that are none become '?'. NULL is "". */
void hdf5_text(struct hdf5 *h, hid_t at, const char *name, const char *text);
void hdf5_attribute_text(struct hdf5 *h, hid_t at, const char *name, const char *text);
void hdf5_attribute_texts(struct hdf5 *h, hid_t at, const char *name, const char *const *texts,
                          size_t count);
void hdf5_attribute(struct hdf5 *h, hid_t at, const char *name, enum hdf5_kind kind, size_t count,
                    const void *values);

/* A second name, hard, for the object called `name`. */
void hdf5_link(struct hdf5 *h, hid_t at, const char *name, hid_t to, const char *new_name);

#endif
