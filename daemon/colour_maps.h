/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COLOUR_MAPS_H
#define DAEMON_COLOUR_MAPS_H

#include <stdint.h>

/* Colours of rising brightness. */
enum colour_map { COLOUR_VIRIDIS, COLOUR_GREY, COLOUR_INFERNO, COLOUR_MAPS };

/* "viridis", "grey", "inferno"; ended by NULL. */
extern const char *const colour_map_names[];

struct colour {
	uint8_t red, green, blue;
};

/* Colour `at` of `count` that span the map evenly, 0 <= at < count, count >= 2. */
struct colour colour_map_at(enum colour_map map, unsigned at, unsigned count);

#endif
