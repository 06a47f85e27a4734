/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz_decoder.h"

/* Messages of bsread; see tests/fuzz_parts.h. The choices: the channel. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char any[] = "", camera[] = "CAM:FPICTURE", absent[] = "NOT:THERE";
	static const struct fuzz_config configs[] = { { any, 0, 0 },
		                                      { camera, 0, 0 },
		                                      { absent, 0, 0 } };

	fuzz_decoder("bsread", configs, sizeof configs / sizeof *configs, data, size);
	return 0;
}
