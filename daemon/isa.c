/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/isa.h"

#include <stdio.h>

static const char *const names[] = {
	[ISA_SCALAR] = "scalar",
	[ISA_AVX2] = "avx2",
	[ISA_AVX512] = "avx512",
	[ISA_AVX512ICL] = "avx512icl",
};

bool isa_choose(enum isa_choice choice, unsigned *ret_cpu, char why[400])
{
	unsigned here = cpu_detect();

	if (choice == ISA_AUTO) {
		*ret_cpu = here;
		return true;
	}
	unsigned wanted = cpu_level_flags(names[choice]);
	if ((wanted & ~here) != 0) {
		snprintf(why, 400,
		         "daemon.isa: this CPU has no %s; the highest here is %s, and `auto` "
		         "takes it",
		         names[choice], cpu_level_name(here));
		return false;
	}
	*ret_cpu = wanted;
	return true;
}
