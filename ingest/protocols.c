/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/protocol.h"

#include "ingest/array10.h"

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
		.open = array10_open,
		.decode = array10_decode,
		.close = array10_close,
	},
	{ 0 },
};
