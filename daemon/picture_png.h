/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PICTURE_PNG_H
#define DAEMON_PICTURE_PNG_H

#include "daemon/colour_maps.h"
#include "daemon/picture_levels.h"

/* A picture in colours, as a PNG of 8-bit indices into a palette:
 *
 *   i = (int)((v - low) * (254 / (high - low)))                      linear
 *   i = (int)((ln v - ln low) * (254 / (ln high - ln low)))          logarithmic
 *
 * in float32, i limited to 0 ... 253, which span the colour map; 0 for what has no value, and for
 * v <= 0 on the logarithmic scale, where a low that is not above 0 means high / 100000. Entry 254
 * is red, for blocks with a saturated pixel, and 255 magenta, for those with a bad one and no
 * saturated one. Dark and flat show bad ones only.
 *
 * Texts in it: Frame, Time (ns), Product, Levels ("low high"), Scale. */

#define PNG_COLOURS   254u
#define PNG_SATURATED 254u
#define PNG_BAD       255u

/* How it is drawn. */
struct picture_style {
	enum picture_product product; /* the picture has it */
	enum colour_map map;
	bool logarithmic; /* levels.high is above 0 */
	bool marks;
	struct picture_levels levels; /* finite, low < high */
};

/* "normalised", "raw", "dark", "flat"; ended by NULL. */
extern const char *const picture_product_names[];

/* Malloc'd; NULL without memory. indices: working memory [PICTURE_PIXELS_MAX] */
char *picture_png(const struct picture *p, const struct picture_style *style, uint8_t *indices,
                  size_t *ret_bytes);

#endif
