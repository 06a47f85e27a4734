/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/protocol.h"

#include "ingest/array10.h"
#include "ingest/bsread.h"
#include "ingest/dectris_v1.h"
#include "ingest/dectris_v2.h"
#include "ingest/odin_live.h"
#include "ingest/shm.h"
#include "ingest/sls.h"
#include "ingest/stins.h"

#include <string.h>

const struct protocol *protocol_find(const char *name)
{
	for (const struct protocol *p = protocols; p->name; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

const struct protocol protocols[] = {
	{
		.name = "array-1.0",
		.summary =
			"PSI array-1.0: JSON header and pixels (GigaFRoST, std_daq, sf_daq, mflow)",
		.has_keys = true,
		.open = array10_open,
		.decode = array10_decode,
		.close = array10_close,
	},
	{
		.name = "bsread",
		.summary = "PSI bsread: one image channel (cam_server, SwissFEL cameras)",
		.open = bsread_open,
		.decode = bsread_decode,
		.close = bsread_close,
	},
	{
		.name = "dectris-v1",
		.summary = "DECTRIS stream V1: JSON and blobs (EIGER, EIGER2)",
		.counts_from_zero = true,
		.has_start_message = true,
		.has_end_message = true,
		.largest_part = 4, /* masks of 4 bytes a pixel */
		.brings_mask = true,
		.has_keys = true,
		.open = dectris_v1_open,
		.decode = dectris_v1_decode,
		.close = dectris_v1_close,
	},
	{
		.name = "dectris-v2",
		.summary = "DECTRIS stream V2, Jungfraujoch: CBOR",
		.counts_from_zero = true,
		.has_start_message = true,
		.has_end_message = true,
		.largest_part = 8, /* several channels, their masks and flat fields */
		.brings_mask = true,
		.open = dectris_v2_open,
		.decode = dectris_v2_decode,
		.close = dectris_v2_close,
	},
	{
		.name = "sls",
		.summary =
			"slsDetectorPackage receivers: an endpoint for each port (JUNGFRAU, EIGER)",
		.has_end_message = true,
		.in_pieces = true,
		.has_keys = true,
		.open = sls_open,
		.decode = sls_decode,
		.close = sls_close,
	},
	{
		.name = "stins",
		.summary = "MAX IV STINS: JSON header and pixels",
		.counts_from_zero = true,
		.has_start_message = true,
		.has_end_message = true,
		.has_keys = true,
		.open = stins_open,
		.decode = stins_decode,
		.close = stins_close,
	},
	{
		.name = "odin-live",
		.summary = "live view of odin-data: JSON header and pixels",
		.has_keys = true,
		.open = odin_live_open,
		.decode = odin_live_decode,
		.close = odin_live_close,
	},
	{
		.name = "shm",
		.summary = "frames in shared memory of a process on this host (ingest/shm.md)",
		.has_start_message = true,
		.has_end_message = true,
		.in_shared_memory = true,
		.open = shm_open_decoder,
		.decode = shm_decode,
		.tend = shm_tend,
		.close = shm_close,
	},
	{ 0 },
};
