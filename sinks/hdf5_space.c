/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/hdf5_space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

#define TAIL_FIRST (64u << 10)

/* A file of the driver, as the library knows it. */
struct space_file {
	H5FD_t file; /* first: the library's own part */
	struct hdf5_space *space;
};

static struct hdf5_space *space_of(const H5FD_t *f)
{
	return ((const struct space_file *)f)->space;
}

static uint64_t round_up(uint64_t n)
{
	return (n + HDF5_SPACE_GAP - 1) / HDF5_SPACE_GAP * HDF5_SPACE_GAP;
}

/* Room of so many bytes at the tail's end; false without memory. */
static bool grow(struct hdf5_space *s, uint64_t bytes)
{
	uint64_t needed = s->tail_fill + bytes, capacity = s->tail_capacity;
	unsigned char *tail;

	if (needed <= capacity)
		return true;
	capacity = capacity ? capacity : TAIL_FIRST;
	while (capacity < needed)
		capacity *= 2;
	tail = realloc(s->tail, capacity);
	if (!tail)
		return false;
	memset(tail + s->tail_capacity, 0, capacity - s->tail_capacity);
	s->tail = tail;
	s->tail_capacity = capacity;
	return true;
}

static haddr_t give_metadata(struct hdf5_space *s, uint64_t bytes)
{
	uint64_t at = round_up(s->head_fill);

	if (at + bytes + HDF5_SPACE_GAP <= HDF5_HEAD_BYTES) {
		s->head_fill = at + bytes;
		return at;
	}
	s->tail_fill = round_up(s->tail_fill);
	if (!grow(s, bytes + HDF5_SPACE_GAP))
		return HADDR_UNDEF;
	at = s->pixels_end + s->tail_fill;
	s->tail_fill += bytes;
	return at;
}

/* The driver. */

static haddr_t space_alloc(H5FD_t *f, H5FD_mem_t type, hid_t dxpl, hsize_t size)
{
	struct hdf5_space *s = space_of(f);
	bool pixels = type == H5FD_MEM_DRAW && s->pixels_bytes > 0;
	haddr_t at;

	(void)dxpl;
	if (pixels && size != s->pixels_bytes)
		return HADDR_UNDEF;
	at = pixels ? s->pixels_at : give_metadata(s, size);
	if (pixels)
		s->pixels_bytes = 0;
	if (at != HADDR_UNDEF && at + size > s->end)
		s->end = at + size;
	return at;
}

static herr_t space_free(H5FD_t *f, H5FD_mem_t type, hid_t dxpl, haddr_t at, hsize_t size)
{
	(void)f;
	(void)type;
	(void)dxpl;
	(void)at;
	(void)size;
	return 0;
}

static haddr_t space_eoa(const H5FD_t *f, H5FD_mem_t type)
{
	const struct hdf5_space *s = space_of(f);

	(void)type;
	return s->end ? s->end + HDF5_SPACE_GAP : 0;
}

static herr_t space_set_eoa(H5FD_t *f, H5FD_mem_t type, haddr_t at)
{
	/* Only what was given out counts. */
	return at <= space_eoa(f, type) ? 0 : -1;
}

/* Where `size` bytes of address `at` are; NULL where only pixels are. */
static unsigned char *find(struct hdf5_space *s, haddr_t at, size_t size)
{
	if (at + size <= HDF5_HEAD_BYTES)
		return s->head + at;
	if (at >= s->pixels_end && at + size <= s->pixels_end + s->tail_fill)
		return s->tail + (at - s->pixels_end);
	return NULL;
}

static herr_t space_read(H5FD_t *f, H5FD_mem_t type, hid_t dxpl, haddr_t at, size_t size, void *to)
{
	const unsigned char *from = find(space_of(f), at, size);

	(void)type;
	(void)dxpl;
	if (!from)
		return -1;
	memcpy(to, from, size);
	return 0;
}

static herr_t space_write(H5FD_t *f, H5FD_mem_t type, hid_t dxpl, haddr_t at, size_t size,
                          const void *from)
{
	struct hdf5_space *s = space_of(f);
	unsigned char *to = find(s, at, size);

	(void)dxpl;
	if (to)
		memcpy(to, from, size);
	else if (type != H5FD_MEM_DRAW || at < HDF5_HEAD_BYTES || at + size > s->pixels_end)
		return -1;
	return 0;
}

static H5FD_t *space_open(const char *name, unsigned flags, hid_t access, haddr_t most)
{
	struct hdf5_space *const *s = H5Pget_driver_info(access);
	struct space_file *f = s ? calloc(1, sizeof *f) : NULL;

	(void)name;
	(void)flags;
	(void)most;
	if (!f)
		return NULL;
	f->space = *s;
	return &f->file;
}

static herr_t space_close(H5FD_t *f)
{
	free(f);
	return 0;
}

static herr_t space_query(const H5FD_t *f, unsigned long *flags)
{
	(void)f;
	*flags = 0; /* nothing is put together that was asked for apart */
	return 0;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION
	.version = H5FD_CLASS_VERSION,
	.value = (H5FD_class_value_t)511, /* of the range for tests and private drivers */
#endif
	.name = "openbeam",
	.maxaddr = INT64_MAX,
	.fc_degree = H5F_CLOSE_STRONG,
	.fapl_size = sizeof(struct hdf5_space *),
	.open = space_open,
	.close = space_close,
	.query = space_query,
	.alloc = space_alloc,
	.free = space_free,
	.get_eoa = space_eoa,
	.set_eoa = space_set_eoa,
	.get_eof = space_eoa,
	.read = space_read,
	.write = space_write,
	.fl_map = { 0 }, /* H5FD_MEM_DEFAULT: freed space of each kind apart */
};

int hdf5_space_open(struct hdf5_space *s, uint64_t pixels_end)
{
	*s = (struct hdf5_space){ .pixels_end = pixels_end };
	s->head = calloc(1, HDF5_HEAD_BYTES);
	if (s->head && grow(s, HDF5_SPACE_GAP))
		return 0;
	hdf5_space_close(s);
	return -ENOMEM;
}

void hdf5_space_close(struct hdf5_space *s)
{
	free(s->head);
	free(s->tail);
	*s = (struct hdf5_space){ 0 };
}

hid_t hdf5_space_create(struct hdf5_space *s)
{
	hid_t access, id = H5FDregister(&driver), file = -1;

	if (id < 0)
		return -1;
	access = H5Pcreate(H5P_FILE_ACCESS);
	if (access >= 0 && H5Pset_driver(access, id, &s) >= 0 &&
	    H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST) >= 0)
		file = H5Fcreate("memory", H5F_ACC_TRUNC, H5P_DEFAULT, access);
	H5Pclose(access);
	H5FDunregister(id); /* the file keeps it */
	return file;
}
