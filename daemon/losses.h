/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_LOSSES_H
#define DAEMON_LOSSES_H

#include "daemon/last_loss.h"
#include "sinks/sinks.h"

/* Between the collector and last_loss.h: looks at the machine, says in the log why frames were
 * lost. All of it on the collecting thread. */

struct collector;

/* A frame of the series is lost. */
void losses_add(struct collector *k, uint64_t number, enum frame_state state, unsigned reason);

/* None of so many expected frames came, and the log has said so. */
void losses_add_all(struct collector *k, uint64_t expected);

/* Once a turn. now_ns: of this turn; frames may have been lost since. */
void losses_turn(struct collector *k, uint64_t now_ns);

/* For the manifest of the series that ends; what was not said yet is said. */
struct losses_listed {
	struct sink_loss at[LOSS_KINDS];
	char texts[LOSS_KINDS][LOSS_TEXT];
	unsigned count;
};
void losses_list(struct collector *k, struct losses_listed *ret);

#endif
