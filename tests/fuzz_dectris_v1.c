/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz_decoder.h"

/* Messages of dectris-v1; see tests/fuzz_parts.h. The choices: none. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char any[] = "";
	static const struct fuzz_config configs[] = { { any, 0, 0 } };

	fuzz_decoder("dectris-v1", configs, sizeof configs / sizeof *configs, data, size);
	return 0;
}
