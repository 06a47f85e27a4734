/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PICTURES_H
#define DAEMON_PICTURES_H

#include "config/config.h"
#include "daemon/calibrated.h"
#include "daemon/slot.h"
#include "kernels/reduce_picture.h"

#include <stdbool.h>
#include <stdint.h>

/* The picture of the newest frame, for people. A worker makes one of a frame that it has just
 * reduced: five times a second at most while somebody looks, once a second else, so that who comes
 * after the last frame still sees what was measured. Dark and flat frames are shown as well. Within
 * a series the frame shown never gets older. Neither side waits for the other, and frames are not
 * touched. */

enum picture_product {
	PICTURE_NORMALISED,
	PICTURE_RAW,
	PICTURE_DARK,
	PICTURE_FLAT,
	PICTURE_PRODUCTS
};

struct picture {
	uint64_t serial;                  /* differs from that of every other picture */
	uint64_t frame, time_ns;          /* number, and when it was received: CLOCK_REALTIME */
	uint32_t full_width, full_height; /* pixels, of what is processed */
	struct picture_grid grid;
	enum product_type types[PICTURE_PRODUCTS]; /* uint8, uint16 or float32 */
	void *pixels[PICTURE_PRODUCTS]; /* [grid.height][grid.width]; NULL: there is no such image
	                                 */
	uint8_t *marks;                 /* enum picture_mark, likewise */

	/* The pool's. */
	void *room[PICTURE_PRODUCTS];
	uint64_t series;     /* the sender's token */
	uint32_t generation; /* whose dark and flat are there */
};

struct pictures;

#define PICTURES_INTERVAL_NS  ((uint64_t)200 * 1000000u)
#define PICTURES_WANTED_NS    ((uint64_t)3 * 1000000000u)
#define PICTURES_UNWATCHED_NS ((uint64_t)1 * 1000000000u)

/* What they take at most. Bytes. */
uint64_t pictures_bytes(void);

/* `c` is borrowed. At least interval_ns lie between two pictures while somebody looks. 0 or
 * -ENOMEM. Main thread. */
int pictures_open(struct pictures **ret, const struct config *c, uint64_t interval_ns);

/* Accepts NULL. Threads must have ended. */
void pictures_close(struct pictures *p);

/* ---- the HTTP server's thread ---- */

/* Somebody looks: pictures are made more often for the next three seconds. CLOCK_MONOTONIC. */
void pictures_want(struct pictures *p, uint64_t now_ns);

/* The newest picture, valid until the next look; NULL: there is none. */
const struct picture *pictures_look(struct pictures *p);

/* Of what frame that would be. False: there is none. Counts as a look. */
bool pictures_newest(struct pictures *p, uint64_t *ret_frame, uint64_t *ret_time_ns);

/* ---- the collector ---- */

/* The number of the running series' last frame, which is drawn whenever it comes; UINT64_MAX: not
 * known. */
void pictures_final(struct pictures *p, uint64_t number);

/* ---- workers ---- */

/* Whether a picture of this frame is due: then it is the caller's to fill, up to pictures_end().
 * NULL, at once, when it is not. CLOCK_MONOTONIC; another worker may have a later time. */
struct picture *pictures_begin(struct pictures *p, const struct frame *f, uint64_t now_ns);

/* Make it of a frame that was reduced, whose payload is still there. */
void pictures_draw(struct pictures *p, struct picture *picture, const struct calibrated *c,
                   void *scratch, const struct slot *s, const struct reduce_job *job);

/* Show it, unless it is no good. */
void pictures_end(struct pictures *p, struct picture *picture, bool good);

#endif
