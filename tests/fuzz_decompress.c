/* SPDX-License-Identifier: Apache-2.0 */
/* Input: the codec (below CODEC_COUNT - 1, plus one), the element, 3 bytes of plain size
 * (little-endian; the highest bit: as the head announces), the data.
 *
 * What every instruction set makes of it must be the same, in memory of exactly the plain size. */
#include "kernels/cpu.h"
#include "tests/fuzz_parts.h"

#include <stdlib.h>
#include <string.h>

#define PLAIN_MAX ((size_t)1 << 18)
#define HEAD      5

static uint64_t plain_of(enum codec c, unsigned element, const uint8_t *input, const uint8_t *data,
                         size_t bytes)
{
	uint64_t plain = input[2] | (uint64_t)input[3] << 8 | (uint64_t)(input[4] & 3) << 16;
	uint64_t announced;
	const char *why = NULL;

	if (decompress_announced(c, element, data, bytes, &announced, &why)) {
		if (why || c == CODEC_LZ4)
			abort();
		if (input[4] & 128)
			plain = announced;
	} else if (!why || !why[0]) {
		abort();
	}
	return plain < PLAIN_MAX ? plain : PLAIN_MAX;
}

static const char *run(const struct cpu_level *level, enum codec c, unsigned element,
                       unsigned char *out, size_t plain, const void *data, size_t bytes)
{
	static void *scratch;
	struct decompress d;
	const char *why;

	if (!scratch)
		scratch = aligned_alloc(64, decompress_scratch_bytes());
	if (!scratch)
		abort();
	decompress_init(&d, scratch, level->flags);
	if (!d.zstd)
		abort();
	why = decompress(&d, c, element, out, plain, data, bytes);
	if (why && !why[0])
		abort();
	return why;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const unsigned elements[] = { 1, 2, 4, 0, 3, 8, 255, 256 };
	const struct cpu_level *best = cpu_levels;
	unsigned cpu = cpu_detect(), element;
	unsigned char *data, *first, *other;
	const char *why;
	enum codec c;
	size_t bytes, plain;

	if (size < HEAD)
		return 0;
	bytes = size - HEAD;
	c = (enum codec)(1 + input[0] % (CODEC_COUNT - 1));
	element = elements[input[1] & 7];
	data = malloc(bytes);
	if (bytes > 0)
		memcpy(data, input + HEAD, bytes);
	plain = plain_of(c, element, input, data, bytes);
	first = malloc(plain);
	other = malloc(plain);
	if (!data || !first || !other)
		abort();
	memset(first, 0x5a, plain);
	why = run(best, c, element, first, plain, data, bytes);
	fuzz_expanded += !why;
	fuzz_damaged += why != NULL;
	for (const struct cpu_level *l = cpu_levels + 1; l->name; l++) {
		if (l->flags & ~cpu)
			continue;
		memset(other, 0xa5, plain);
		/* The sentences are static: the same one is the same pointer. */
		if (run(l, c, element, other, plain, data, bytes) != why ||
		    (!why && memcmp(first, other, plain) != 0))
			abort();
	}
	free(data);
	free(first);
	free(other);
	return 0;
}
