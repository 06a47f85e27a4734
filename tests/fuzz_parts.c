/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz_parts.h"

#include <stdlib.h>
#include <string.h>

uint64_t fuzz_frame_limit = 65536;
uint64_t fuzz_verdicts[VERDICT_COUNT];
uint64_t fuzz_expanded, fuzz_damaged;

/* An integer of so many bytes; those beyond the end are 0. */
static uint32_t take(struct fuzz_reader *r, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes && r->at < r->end; i++)
		value |= (uint32_t)*r->at++ << 8 * i;
	return value;
}

uint8_t fuzz_begin(struct fuzz_reader *r, const uint8_t *data, size_t size)
{
	*r = (struct fuzz_reader){ data, data + size };
	return (uint8_t)take(r, 1);
}

bool fuzz_next_count(struct fuzz_reader *r, unsigned *ret)
{
	if (r->at == r->end)
		return false;
	*ret = take(r, 2);
	return true;
}

struct part fuzz_next_part(struct fuzz_reader *r)
{
	size_t size = take(r, 4), left = (size_t)(r->end - r->at);
	struct part p = { r->at, size < left ? size : left };

	r->at += p.size;
	return p;
}

bool fuzz_next_message(struct fuzz_reader *r, struct message *ret)
{
	if (!fuzz_next_count(r, &ret->part_count))
		return false;
	ret->endpoint = 0;
	for (unsigned i = 0; i < ret->part_count; i++) {
		/* Nothing is left: this part and all behind it are empty. */
		if (r->at == r->end) {
			unsigned kept = ret->part_count < MESSAGE_PARTS_MAX ? ret->part_count
			                                                    : MESSAGE_PARTS_MAX;

			if (i < kept)
				memset(&ret->parts[i], 0, (kept - i) * sizeof ret->parts[0]);
			break;
		}
		struct part p = fuzz_next_part(r);
		void *copy = NULL;

		if (i >= MESSAGE_PARTS_MAX)
			continue;
		if (p.size > 0) {
			copy = malloc(p.size);
			if (!copy)
				abort();
			memcpy(copy, p.data, p.size);
		}
		ret->parts[i] = (struct part){ copy, p.size };
	}
	return true;
}

void fuzz_free_message(struct message *m)
{
	for (unsigned i = 0; i < m->part_count && i < MESSAGE_PARTS_MAX; i++)
		free((void *)(uintptr_t)m->parts[i].data);
}
