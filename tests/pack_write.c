/* SPDX-License-Identifier: Apache-2.0 */
/* pack_write ELEMENT: little-endian pixels on standard input to one bslz4 chunk on standard output;
 * tests/check_pack.py holds it against the bitshuffle library. */
#include "kernels/cpu.h"
#include "kernels/pack.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST ((size_t)1 << 24)

int main(int argc, char **argv)
{
	unsigned element = argc == 2 ? (unsigned)atoi(argv[1]) : 0;
	void *scratch = aligned_alloc(64, (pack_scratch_bytes() + 63) / 64 * 64);
	char *in = malloc(MOST), *out;
	size_t bytes, used;

	if (!scratch || !in || (element != 1 && element != 2 && element != 4))
		return 2;
	bytes = fread(in, 1, MOST, stdin);
	out = malloc(pack_bound(bytes, element));
	if (!out)
		return 2;
	used = pack_bslz4(out, pack_bound(bytes, element), in, bytes, element,
	                  shuffle_for(cpu_detect()), scratch);
	if (used == 0 || fwrite(out, 1, used, stdout) != used)
		return 1;
	free(out);
	free(in);
	free(scratch);
	return 0;
}
