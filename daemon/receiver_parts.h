/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_RECEIVER_PARTS_H
#define DAEMON_RECEIVER_PARTS_H

#include "daemon/pipeline.h"
#include "daemon/receiver.h"

/* Between the files that make a receiver: receiver.c has the loop and what becomes of messages,
 * receiver_place.c finds slots and publishes, receiver_pieces.c puts frames together. */

/* Where the pixels of a frame are until it has a slot. */
struct bundle {
	zmq_msg_t *parts;
	unsigned count;
	struct shm_lease *lease;
};

/* receiver_place.c */

enum phase receiver_phase(const struct receiver *r);

/* Is there a slot for one more frame? True while no layout says how large they are. */
bool receiver_has_room(struct receiver *r);

/* Wait until there is, for a moment at most. */
void receiver_wait_for_room(struct receiver *r);

/* Whether everybody is asked to stand still; and stand still as long. */
bool receiver_paused(const struct receiver *r);
void receiver_park(struct receiver *r);

void receiver_publish(struct receiver *r, const struct entry *content);

/* Publish something that the collector may want to lay out anew for, and wait for its answer. */
enum ask_answer receiver_publish_and_wait(struct receiver *r, const struct entry *content);

/* Publish a usable frame: with a slot, or as dropped where the configuration says so. The bundle's
 * parts are moved, or not; its lease is taken over. May wait for room. */
void receiver_take_frame(struct receiver *r, const struct bundle *b, const struct frame *frame);

/* Publish that a usable frame was dropped. */
void receiver_drop_frame(struct receiver *r, const struct bundle *b, const struct frame *frame);

/* Give back a slot of shared memory that no frame uses. Accepts NULL. */
void receiver_give_up_lease(struct receiver *r, struct shm_lease *lease);

/* receiver.c */

void receiver_tell_rejection(struct receiver *r, const struct decoded *d);
void receiver_publish_verdict(struct receiver *r, const struct decoded *d);
void receiver_watch_peers(struct receiver *r);

/* receiver_pieces.c */

/* Take the piece of the message at hand. */
void pieces_take(struct receiver *r, struct decoded *d, unsigned endpoint);

/* An endpoint says that the series is over. */
void pieces_end_of(struct receiver *r, unsigned endpoint);

/* The series is over, whatever was said. */
void pieces_end(struct receiver *r);

/* Do what waits for nothing but time. */
void pieces_tend(struct receiver *r);

/* Publish frames that are whole or wait no longer; all: whatever is open. */
void pieces_give(struct receiver *r, bool all);

#endif
