/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_RELAYOUT_H
#define DAEMON_RELAYOUT_H

#include "daemon/collector.h"
#include "daemon/sequence.h"

struct receiver;

/* Frames of another geometry: whether they are refused or start a new series, and how slots,
 * products and plan change while every receiver stands still. On the collecting thread. */

/* Lay out before the first frame when configuration and calibration say everything. Main thread,
 * before the threads start. 0, or -EINVAL, -ENOMEM with `why`. */
int relayout_at_start(struct collector *k, char why[400]);

/* Answer a receiver that holds a frame which does not fit the layout. */
void relayout_ask(struct collector *k, struct receiver *r, const struct entry *e);

/* Take up to one turn's entries; what the loop does, for when receivers are to stand still.
 * Returns how many were taken. In collector.c. */
unsigned collector_take(struct collector *k);

/* A series begins: from now on frames are reduced with what its start message says of the detector
 * (owned by this call; NULL: nothing). Lays out anew where that changes anything. No series is
 * open.
 */
void relayout_detector(struct collector *k, struct detector *d);

/* Lay out for the frames that the detector announced and of which none came, so that the series can
 * have its ledger. Only while there is no layout. */
void relayout_from_detector(struct collector *k);

/* The receiver that published a start message may go on. */
void relayout_answer(struct receiver *r);

#endif
