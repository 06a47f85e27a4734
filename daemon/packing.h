/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PACKING_H
#define DAEMON_PACKING_H

#include "daemon/slot_layout.h"

/* A slot's products compressed for sinks that store them so (sinks_pack()), where they were made:
 * by workers, and pages of the mean by the collector. Without such a sink nothing is done. */

/* Bytes that each thread needs in its scratch, from layout.pack_from on; 0: none. */
size_t packing_bytes(const struct layout *l);

/* Compress one product of the slot; its checksum stays that of the pixels. */
void packing_reduced(const struct layout *l, void *scratch, struct slot *s);
void packing_source(const struct layout *l, void *scratch, struct slot *s);

#endif
