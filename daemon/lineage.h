/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_LINEAGE_H
#define DAEMON_LINEAGE_H

#include "daemon/collector.h"
#include "daemon/receiver.h"

/* Series by what the sender says of them: start and end messages, and the token that its frames
 * bear. daemon/series.h goes by numbers alone. All of it on the collecting thread. */

/* Begin a series, its layout being what it is. */
void lineage_begin(struct collector *k, uint64_t token, uint64_t announced);

/* Whether a frame with this token (0: none) can be of the open series: true also after another
 * one was closed and one of this token begun. False for strays of a series that is over, and,
 * where the configuration says so, without a start message. */
bool lineage_admits(struct collector *k, uint64_t token);

/* A start message: whatever runs is over, unless it is that very series. Answers the receiver. */
void lineage_start(struct collector *k, struct receiver *r, const struct entry *e);

/* Start messages that came while a layout was being made. */
void lineage_start_waiting(struct collector *k);

/* An end message: the series is closed, at once or after series.end_grace. */
void lineage_end(struct collector *k, uint64_t token);

/* Silence: what comes now is no straggler of a closed series. */
void lineage_forget(struct collector *k);

/* The open series was closed. */
void lineage_close(struct collector *k);

#endif
