/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sequence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sequence_open(struct sequence *q, uint64_t capacity)
{
	*q = (struct sequence){ .capacity = capacity };
	if (capacity == 0 || (capacity & (capacity - 1)) != 0)
		return -EINVAL;
	if (capacity > SIZE_MAX / sizeof *q->entries)
		return -ENOMEM;
	q->entries = aligned_alloc(64, capacity * sizeof *q->entries);
	if (!q->entries)
		return -ENOMEM;
	memset(q->entries, 0, capacity * sizeof *q->entries);
	for (uint64_t i = 0; i < capacity; i++)
		atomic_init(&q->entries[i].stamp, sequence_stamp(i, ENTRY_SPARE));
	return 0;
}

void sequence_close(struct sequence *q)
{
	free(q->entries);
	*q = (struct sequence){ 0 };
}
