/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz_decoder.h"

/* Messages of odin-live; see tests/fuzz_parts.h. The choices: the dataset. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char any[] = "", data_set[] = "data";
	static const struct fuzz_config configs[] = { { any, 0, 0 }, { data_set, 0, 0 } };

	fuzz_decoder("odin-live", configs, sizeof configs / sizeof *configs, data, size);
	return 0;
}
