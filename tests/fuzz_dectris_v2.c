/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz_decoder.h"

/* Messages of dectris-v2; see tests/fuzz_parts.h. The choices: the channel, frames of 2 x 2. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char any[] = "", one[] = "threshold_1", difference[] = "difference";
	static const struct fuzz_config configs[] = {
		{ any, 0, 0 }, { one, 0, 0 }, { difference, 0, 0 }, { any, 2, 2 }
	};

	fuzz_decoder("dectris-v2", configs, sizeof configs / sizeof *configs, data, size);
	return 0;
}
