/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/nexus.h"

#include "sinks/nexus_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORE_STEP (1u << 20) /* bytes the file in memory grows by */

/* The earliest format: only the virtual dataset needs 1.10. And with that version's superblock
 * HDF5 1.10.8 hands out images whose superblock fails its own checksum. */
static hid_t open_core(struct hdf5 *h)
{
	hid_t access, file = H5I_INVALID_HID;

	if (h->err)
		return H5I_INVALID_HID;
	access = H5Pcreate(H5P_FILE_ACCESS);
	if (access >= 0 && H5Pset_fapl_core(access, CORE_STEP, false) >= 0 &&
	    H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V110) >= 0 &&
	    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0)
		file = H5Fcreate("openbeam-master", H5F_ACC_TRUNC, H5P_DEFAULT, access);
	if (file < 0)
		hdf5_failed(h, "cannot make a file in memory", NULL);
	hdf5_close(h, access);
	return file;
}

static void write_openbeam(struct hdf5 *h, hid_t entry, const struct nexus_stack *s,
                           const struct nexus_master *m)
{
	hid_t openbeam = hdf5_group(h, entry, "openbeam", "NXcollection");

	hdf5_values(h, openbeam, "frame_number", HDF5_UINT64, s->length, s->number, NULL);
	nexus_write_calibration(h, openbeam, s, m);
	nexus_write_ledger(h, openbeam, m);
	nexus_write_histograms(h, openbeam, m);
	if (m->manifest_json)
		hdf5_text(h, openbeam, "manifest", m->manifest_json);
	if (m->config_json)
		hdf5_text(h, openbeam, "configuration", m->config_json);
	hdf5_close(h, openbeam);
}

static void write_tree(struct hdf5 *h, hid_t file, const struct nexus_stack *s,
                       const struct nexus_master *m)
{
	hid_t entry;

	hdf5_attribute_text(h, file, "NX_class", "NXroot");
	hdf5_attribute_text(h, file, "default", "entry1");
	hdf5_attribute_text(h, file, "creator", "openbeam");
	entry = hdf5_group(h, file, "entry1", "NXentry");
	hdf5_attribute_text(h, entry, "default", "tomo_entry");
	nexus_write_tomo(h, entry, s, m);
	nexus_write_process(h, entry, m);
	write_openbeam(h, entry, s, m);
	hdf5_close(h, entry);
}

static void *take_image(struct hdf5 *h, hid_t file, size_t *ret_bytes)
{
	ssize_t bytes = -1;
	void *image;

	if (h->err)
		return NULL;
	if (H5Fflush(file, H5F_SCOPE_LOCAL) >= 0)
		bytes = H5Fget_file_image(file, NULL, 0);
	if (bytes <= 0) {
		hdf5_failed(h, "cannot size the file in memory", NULL);
		return NULL;
	}
	image = malloc((size_t)bytes);
	if (!image)
		hdf5_fail(h, -ENOMEM, "no memory for the file");
	else if (H5Fget_file_image(file, image, (size_t)bytes) != bytes)
		hdf5_failed(h, "cannot take the file from memory", NULL);
	*ret_bytes = (size_t)bytes;
	return image;
}

int nexus_compose(const struct nexus_master *m, void **ret_image, size_t *ret_bytes, char why[256])
{
	struct nexus_stack stack = { 0 };
	struct hdf5 h;
	void *image = NULL;
	size_t bytes = 0;
	hid_t file;

	hdf5_init(&h);
	file = open_core(&h);
	if (!nexus_stack_init(&stack, m))
		hdf5_fail(&h, -ENOMEM, "no memory for the stack");
	write_tree(&h, file, &stack, m);
	image = take_image(&h, file, &bytes);
	nexus_stack_done(&stack);
	if (file >= 0 && H5Fclose(file) < 0)
		hdf5_failed(&h, "cannot close the file in memory", NULL);
	if (h.err) {
		free(image);
		snprintf(why, 256, "%s", h.why);
		return h.err;
	}
	*ret_image = image;
	*ret_bytes = bytes;
	return 0;
}

bool nexus_is_unpacked(const struct nexus_master *m)
{
	return m->source || m->reduce->type == REDUCE_SOURCE;
}

const struct nexus_map *nexus_find_map(const struct nexus_master *m, const char *role)
{
	for (unsigned i = 0; i < m->map_count; i++)
		if (strcmp(m->maps[i].role, role) == 0)
			return &m->maps[i];
	return NULL;
}
