/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SOURCE_CURVE_H
#define INGEST_SOURCE_CURVE_H

#include "config/config.h"
#include "ingest/curve_keys.h"

/* CURVE (ZeroMQ RFC 25, 26) for a source: encryption, and who may send.
 *
 * Which side is server has nothing to do with which side binds. As a server a source lets in whom
 * the list of allowed keys names; libzmq asks about every peer with a message to
 * inproc://zeromq.zap.01 (ZAP, RFC 27) in the source's own context, which the receiving thread
 * answers in source_watch(). Until then the peer waits, at most as long as a handshake may take. */

struct source;

struct curve_options {
	enum curve_role role;
	struct curve_pair own;           /* both halves, unless the role is none */
	char server_key[CURVE_KEY_TEXT]; /* client: the key of the server that it trusts */
	const char *allowed_path;        /* server: borrowed, outlives the source */
};

/* Of a source, while it is open. */
struct source_curve {
	void *zap; /* the answering socket; NULL unless server */
	struct curve_list allowed;
	struct curve_stamp stamp;
	char problem[CURVE_WHY]; /* why the list was not read again; "": it was */
};

/* Read the files that the configuration names. 0, or negative errno with why: -EACCES, -ENOMEM,
 * else -EINVAL. */
int curve_options_load(struct curve_options *ret, const struct config_ingest *c,
                       char why[CURVE_WHY]);

/* Forget the secret. */
void curve_options_done(struct curve_options *o);

/* Set the role, keys and domain of a ZeroMQ socket, before it binds or connects. 0, or -1 with
 * errno. */
int curve_options_apply(const struct curve_options *o, void *socket);

/* Below: only for source.c and source_watch.c. */

/* Read the list of a server. 0, or negative errno with s->why. */
int source_curve_open(struct source *s);

/* Answer libzmq, and prepare the socket; before it binds or connects. 0, or negative errno with
 * s->why. */
int source_curve_apply(struct source *s);

/* Close the answering socket; the list stays. */
void source_curve_close(struct source *s);

/* Free the list. Accepts a zeroed one. */
void source_curve_done(struct source *s);

/* Answer up to the next request that is worth a log line, in s->last_event: true, and there may
 * be more. Receiving thread. */
bool source_curve_watch(struct source *s);

/* Why a peer was refused whose handshake ended with this ZMQ_PROTOCOL_ERROR, if it was for what it
 * lacks; NULL otherwise. */
const char *source_curve_refusal(const struct source *s, unsigned error);

#endif
