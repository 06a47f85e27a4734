/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/rotation.h"

#include <math.h>

double rotation_of(const struct config_rotation *r, uint64_t number, uint64_t first, uint64_t step)
{
	if (r->start_auto)
		return NAN;
	return r->start + r->step * (double)((number - first) / step);
}
