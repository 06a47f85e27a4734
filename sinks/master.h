/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_MASTER_H
#define SINKS_MASTER_H

#include "sinks/nexus.h"
#include "sinks/report.h"

/* The master file of an HDF5 series, from its journal: <series>.h5 beside the data files. */

struct master_source {
	const struct report_source *ledger; /* its journal and what that did not take */
	int folder;                         /* of the data files, file descriptor */
	const struct sink_shape *shape;
	bool source; /* product: source */
	uint32_t average;
	const struct config_reduce *reduce;
	bool dose_applied; /* beam.use is apply */
	const char *name, *version, *ingest_name;
	const struct nexus_map *maps; /* [map_count] */
	unsigned map_count;
	struct nexus_histogram raw, normalised;
	const char *manifest_json, *config_json; /* NULL: left out */
	uint64_t start_ns, end_ns;
	const char *detector_description; /* NULL: not said */
	double exposure_s, period_s;      /* 0: not said */
};

/* Compose it, write it as .part, sync it and give it its name. 0, or negative errno with why[]
 * (of what is about the file itself, strerror() says enough). */
int master_write(const struct master_source *s, char why[256]);

#endif
