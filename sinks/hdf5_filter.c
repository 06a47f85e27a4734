/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/hdf5_filter.h"

#include "kernels/cpu.h"
#include "kernels/decompress.h"

#include <errno.h>
#include <hdf5.h>
#include <stdlib.h>

#define FILTER_BITSHUFFLE 32008
#define ELEMENT_AT        2 /* in cd_values */
#define CODEC_AT          4
#define RATIO_MAX         ((uint64_t)1 << 16) /* plain to compressed bytes; more is no image */
#define PLAIN_MAX         ((uint64_t)1 << 32) /* HDF5's chunks are smaller */

/* Whether what the head of a chunk announces may be allocated. */
static bool announced(enum codec c, unsigned element, const void *data, size_t bytes,
                      uint64_t *ret_plain)
{
	const char *why;

	return decompress_announced(c, element, data, bytes, ret_plain, &why) && *ret_plain > 0 &&
	       *ret_plain < PLAIN_MAX && *ret_plain / RATIO_MAX <= bytes;
}

static const char *expand(enum codec c, unsigned element, void *out, size_t plain, const void *data,
                          size_t bytes)
{
	size_t scratch_bytes = (decompress_scratch_bytes() + 63) & ~(size_t)63;
	void *scratch = aligned_alloc(64, scratch_bytes);
	struct decompress d;
	const char *why;

	if (!scratch)
		return "no memory";
	decompress_init(&d, scratch, cpu_detect());
	why = decompress(&d, c, element, out, plain, data, bytes);
	free(scratch);
	return why;
}

/* As H5Z_func_t: 0 for failure; a buffer that is replaced is freed here. */
static size_t filter(unsigned flags, size_t count, const unsigned values[], size_t bytes,
                     size_t *buffer_bytes, void **buffer)
{
	enum codec codec;
	unsigned element;
	uint64_t plain;
	void *out;

	if (!(flags & H5Z_FLAG_REVERSE) || count <= CODEC_AT)
		return 0;
	codec = values[CODEC_AT] == 2   ? CODEC_BSLZ4
	        : values[CODEC_AT] == 3 ? CODEC_BSZSTD
	                                : CODEC_NONE;
	element = values[ELEMENT_AT];
	if (codec == CODEC_NONE || (element != 1 && element != 2 && element != 4 && element != 8) ||
	    !announced(codec, element, *buffer, bytes, &plain))
		return 0;
	out = malloc((size_t)plain);
	if (!out)
		return 0;
	if (expand(codec, element, out, (size_t)plain, *buffer, bytes)) {
		free(out);
		return 0;
	}
	free(*buffer);
	*buffer = out;
	*buffer_bytes = (size_t)plain;
	return (size_t)plain;
}

int hdf5_filter_register(void)
{
	static const H5Z_class2_t class = { .version = H5Z_CLASS_T_VERS,
		                            .id = FILTER_BITSHUFFLE,
		                            /* Without one no dataset can be made. */
		                            .encoder_present = 1,
		                            .decoder_present = 1,
		                            .name = "bitshuffle; see kernels/decompress.h",
		                            .filter = filter };

	return H5Zregister(&class) < 0 ? -EIO : 0;
}
