/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_AVERAGING_H
#define DAEMON_AVERAGING_H

#include <stdint.h>

struct collector;
struct slot;

/* reduce.average: group g of a series is the frames first + g N ... first + (g + 1) N - 1, and its
 * page is their mean.
 *
 * Which group a frame is in is known when the series places it: then its first number is sure,
 * duplicates are out, and numbers rise, so that one group is open at a time and even sums of
 * floats have an order. So the sum is the collector's and not the workers', which leave the
 * unpacked pixels in the slot and make the frame's statistics only. The last frame of a group
 * lends its slot's buffer to the page. */
struct averaging {
	uint64_t group;       /* that is open, while there is a frame in it */
	uint32_t frames;      /* in it */
	struct slot *pending; /* the last of them; the others' records are with the sinks */
};

/* The next frame of the series. Its slot is the sinks' from the next call on. Collector. */
void averaging_place(struct collector *k, uint64_t number, struct slot *s);

/* The next number has no frame. */
void averaging_skip(struct collector *k, uint64_t number);

/* The series ends: put the page of what there is. */
void averaging_finish(struct collector *k);

#endif
