/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FENCED_H
#define TESTS_FENCED_H

#include <stdbool.h>
#include <stddef.h>

/* Memory that ends at an unmapped page, so that a read past an array's end stops the test. */
struct fence {
	unsigned char *map;
	size_t map_bytes;
	unsigned char *end; /* the first byte that is not there */
};

/* Room for arrays of up to `room` bytes. Aborts the test when there is no memory. */
void fence_open(struct fence *f, size_t room);

void fence_close(struct fence *f);

/* An array of `bytes` that ends `gap` < 64 bytes before the fence: gap 0 catches every read past
 * the end, the others give every alignment. It and its surroundings are poisoned. One array per
 * fence at a time. */
void *fence_place(struct fence *f, size_t bytes, size_t gap);

/* Whether the surroundings of the array `at` are still poison. */
bool fence_intact(const struct fence *f, const void *at, size_t bytes);

#endif
