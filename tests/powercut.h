/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_POWERCUT_H
#define TESTS_POWERCUT_H

#include "sinks/disk.h"

#include <stdbool.h>
#include <stdint.h>

/* What a power cut may leave of files that were being written: a table records each call with its
 * data, and trees are built as a disk could have kept them.
 *
 * Kept is what a sync that had returned was asked for after the call had: of a file its bytes and
 * its size, of a folder its entries. Syncing a file says nothing about its entry. Of later calls,
 * begun before the cut:
 *
 *   POWERCUT_STRICT    of each write any sectors of 512 bytes; the file's size is any it has had
 *                      since; of a folder's changes any, but a name or a file has them in their
 *                      order, so that it is never under two names
 *   POWERCUT_ORDERED   as ext4 does it: changes of folders and of sizes up to some moment and none
 *                      behind it, data behind a size that grew are there; of writes within it any
 *                      sectors
 *
 * Space that was only allocated is not looked at: it reads as zeros. One thread. */

struct powercut;

enum powercut_model { POWERCUT_STRICT, POWERCUT_ORDERED, POWERCUT_MODEL_COUNT };

/* Record what happens below `root`, whose files and folders of now are kept whatever happens. */
struct powercut *powercut_open(const char *root);
void powercut_close(struct powercut *p);

/* The table, valid until powercut_close(). */
const struct disk_io *powercut_io(struct powercut *p);

/* Syncs of this kind count for nothing: what relies on them is then seen to be lost. */
void powercut_forget(struct powercut *p, enum disk_kind kind);

/* Moments so far: each call's beginning is one, and its end. */
uint64_t powercut_now(const struct powercut *p);

/* Calls recorded. */
unsigned powercut_calls(const struct powercut *p);

/* Make what is below `root` a tree as a cut after moment `cut` may have left it; the same seed
 * gives the same one. */
void powercut_build(const struct powercut *p, uint64_t cut, enum powercut_model model,
                    uint64_t seed, const char *root);

#endif
