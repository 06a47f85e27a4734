/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SNAPSHOT_H
#define DAEMON_SNAPSHOT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Figures that one thread renews all the time and others copy now and then, all of one moment. The
 * writer never waits and takes no lock; a reader that was overtaken copies again.
 *
 * A board is an array of words: a counter of renewals, odd during one, then the figures. */
#define SNAPSHOT_WORDS(type) (1 + sizeof(type) / sizeof(uint64_t))

/* Renew the board. `bytes` is that of the type it was made for, whole words. One thread. About a
 * nanosecond a word. */
void snapshot_put(_Atomic uint64_t *board, const void *from, size_t bytes);

/* Copy what was put last; zeroes before the first time. Any thread. */
void snapshot_get(_Atomic uint64_t *board, void *ret, size_t bytes);

#endif
