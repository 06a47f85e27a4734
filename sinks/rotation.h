/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_ROTATION_H
#define SINKS_ROTATION_H

#include "config/config.h"

/* The angle of a frame by its number, degrees; NaN where none is to be computed.
 *
 *   start + rotation.step * (number - first) / step
 *
 * first   smallest number of the series' ledger, not above `number`
 * step    series.step, at least 1 */
double rotation_of(const struct config_rotation *r, uint64_t number, uint64_t first, uint64_t step);

#endif
