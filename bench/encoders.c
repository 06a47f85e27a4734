/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/encoder.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *compression_name(enum compression c)
{
	static const char *const names[COMPRESSION_COUNT] = { "none", "lz4", "bslz4", "bszstd" };

	return names[c];
}

const char *header_detail_name(enum header_detail d)
{
	static const char *const names[DETAIL_COUNT] = { "none", "basic", "all" };

	return names[d];
}

const struct encoder *encoder_find(const char *name)
{
	for (const struct encoder *e = encoders; e->name; e++)
		if (strcmp(e->name, name) == 0)
			return e;
	return NULL;
}

const char *encoder_refuses(const struct encoder *e, enum pixel_type type,
                            enum pixel_packing packing, bool big_endian)
{
	bool port_packing = packing == PACKING_NIBBLES || packing == PACKING_MONO12P;

	if (big_endian && e->little_only)
		return "its pixels are little-endian: leave out --big-endian";
	if (e->ports && type == PIXEL_FLOAT32)
		return "it has no float32 pixels";
	if (packing == PACKING_NONE || (e->ports && port_packing))
		return NULL;
	if (packing == PACKING_NIBBLES)
		return "half bytes are sent by --protocol sls only";
	if (!e->packed)
		return "it has not these packed pixels";
	return NULL;
}

int outgoing_mask(const struct outgoing *o, uint32_t **ret)
{
	size_t pixels = (size_t)o->width * o->height;
	uint32_t *mask = calloc(pixels, sizeof *mask);

	if (!mask)
		return -ENOMEM;
	for (unsigned k = 0; k < 8; k++)
		mask[pixels * k / 8] = htole32(UINT32_C(1) << k % 5);
	*ret = mask;
	return 0;
}

/* In order of compression: none, lz4, bslz4, bszstd. */
const struct encoder encoders[] = {
	{
		.name = "array-1.0",
		.summary = "PSI cameras",
		.framings = { FRAMING_PLAIN },
		.packed = true,
		.keys = true,
		.timestamps = true,
		.number_max = UINT64_MAX,
		.frame = array10_frame,
	},
	{
		.name = "bsread",
		.summary = "PSI cam_server: an intensity and an image",
		.framings = { FRAMING_PLAIN, FRAMING_LZ4_BSREAD, FRAMING_BSLZ4 },
		.channel = "camera1:FPICTURE",
		.empty_is_no_frame = true,
		.number_max = UINT64_MAX,
		.frame = bsread_frame,
	},
	{
		.name = "dectris-v1",
		.summary = "EIGER, EIGER2: JSON and blobs",
		.framings = { FRAMING_PLAIN, FRAMING_LZ4_BLOCK, FRAMING_BSLZ4 },
		.usual = COMPRESSION_BSLZ4,
		.details = true,
		.keys = true,
		.number_max = UINT64_MAX,
		.start = dectris_v1_start,
		.frame = dectris_v1_frame,
		.end = dectris_v1_end,
	},
	{
		.name = "dectris-v2",
		.summary = "EIGER2 and newer: CBOR",
		.framings = { FRAMING_PLAIN, FRAMING_LZ4_HDF5, FRAMING_BSLZ4, FRAMING_BSZSTD },
		.usual = COMPRESSION_BSLZ4,
		.channel = "threshold_1",
		.details = true,
		.to_all = true,
		.number_max = UINT64_MAX,
		.start = dectris_v2_start,
		.frame = dectris_v2_frame,
		.end = dectris_v2_end,
	},
	{
		.name = "sls",
		.summary = "slsDetectorPackage receivers: an endpoint for each port",
		.framings = { FRAMING_PLAIN },
		.little_only = true,
		.keys = true,
		.ports = true,
		.number_max = UINT64_MAX,
		.frame = sls_frame,
		.end = sls_end,
	},
	{
		.name = "stins",
		.summary = "MAX IV",
		.framings = { FRAMING_PLAIN },
		.little_only = true,
		.keys = true,
		.number_max = UINT64_MAX,
		.start = stins_start,
		.frame = stins_frame,
		.end = stins_end,
	},
	{
		.name = "odin-live",
		.summary = "odin-data's live view",
		.framings = { FRAMING_PLAIN, FRAMING_LZ4_BLOCK, FRAMING_BSLZ4 },
		.channel = "data",
		.little_only = true,
		.keys = true,
		.number_max = UINT32_MAX,
		.frame = odin_frame,
	},
	{
		.name = "shm",
		.summary = "frames in shared memory, on one host",
		.framings = { FRAMING_PLAIN },
		.little_only = true,
		.number_max = UINT64_MAX,
	},
	{ 0 },
};
