/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_VIEWERS_H
#define SINKS_VIEWERS_H

#include <stdbool.h>
#include <zmq.h>

/* What the viewers of a pub stream say, which is what they subscribe to. libzmq keeps all of it, so
 * a viewer may send only so many messages, VIEWERS_MESSAGES, each of at most VIEWERS_BYTES. The
 * first that is longer ends the connection in libzmq; the first that is one too many ends it here,
 * and so does anything that is no subscription. libzmq then forgets all that it kept for it. */

#define VIEWERS_MESSAGES 256
#define VIEWERS_BYTES    96 /* a handshake has 40 */

struct viewers;

/* For viewers that connect to `endpoint` (bound), or are there; it is borrowed. NULL: no memory. */
struct viewers *viewers_open(const char *endpoint, bool bound);

/* Accepts NULL. */
void viewers_close(struct viewers *v);

/* Take a message from the XPUB socket. Returns 1 when somebody subscribed to a topic that nobody
 * had, -1 when nobody is left of a topic, else 0. */
int viewers_hear(struct viewers *v, zmq_msg_t *message);

#endif
