/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_APPLIED_H
#define DAEMON_APPLIED_H

#include "daemon/calibrated.h"
#include "daemon/planes.h"
#include "daemon/slot_layout.h"
#include "sinks/sinks.h"

/* The calibration that frames are normalised with: those of the configuration, or what was made of
 * the stream and installed; none where that does not fit the frames. The collector's, all of it. */

struct collector;

struct applied {
	char misfit[320]; /* why applied_choose() did not take the installed one, */
	char told[320];   /* and what of that was said */

	/* Of the running series: what its frames were normalised with. */
	struct sink_calibration *listed; /* their paths are owned, too [listed_count] */
	unsigned listed_count;
};

void applied_close(struct collector *k);

/* Accepts NULL. */
void applied_free_planes(struct planes *p);

/* The planes for frames of this shape: those that are installed, or, where they do not fit shape or
 * detector, none. Images of the configuration whose size is another refuse the frames instead:
 * layout_plan(). */
const struct planes *applied_choose(struct collector *k, const struct frame_shape *shape);

/* The id of chosen planes. */
uint32_t applied_id(const struct collector *k, const struct planes *planes);

/* They were changed from `before`: say so where it matters. */
void applied_tell(struct collector *k, const struct planes *before);

/* The detector says something else of itself: change to the planes that fit. No series runs. */
void applied_refit(struct collector *k);

/* Put planes to use, between two frames. They are the collector's from now on, unless there is no
 * memory: -ENOMEM. There is a layout. */
int applied_install(struct collector *k, struct planes *planes, uint32_t id);

/* Make current for workers what could not be made so at once, and let go of what no frame in flight
 * needs. Once a turn. */
void applied_push(struct collector *k);

/* Every frame is home and the layout goes: so do calibrations that no frame has seen. */
void applied_forget_generations(struct collector *k);

/* Say so where a calibration that comes into use leaves the open beam without a good pixel. */
void applied_warn_of_beam(const struct calibrated *c);

/* A series begins to be written: begin its list with the calibration in use. */
void applied_list(struct collector *k);

/* The series' list is handed over: images that are gone have no pixels there. */
void applied_settle_list(struct collector *k);

#endif
