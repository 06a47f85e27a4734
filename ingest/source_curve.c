/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/source_curve.h"
#include "ingest/source.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* The library has it; the header of 4.3.4 calls it a draft. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

#define ZAP_ADDRESS "inproc://zeromq.zap.01"
#define ZAP_DOMAIN  "openbeam"
#define ZAP_VERSION "1.0"

#define ZAP_PART_BYTES 255 /* the longest that RFC 27 allows */

/* The parts of a request, in order. */
enum zap_part {
	ZAP_PART_VERSION,
	ZAP_PART_ID,
	ZAP_PART_DOMAIN,
	ZAP_PART_ADDRESS,
	ZAP_PART_IDENTITY,
	ZAP_PART_MECHANISM,
	ZAP_PART_KEY,
	ZAP_PART_COUNT
};

struct zap_request {
	unsigned count; /* parts received, those beyond ZAP_PART_COUNT too */
	bool too_long;  /* one of them was */
	struct {
		unsigned char bytes[ZAP_PART_BYTES];
		size_t size;
	} parts[ZAP_PART_COUNT];
};

/* ---- options ---- */

static int load_keys(struct curve_options *o, const struct config_ingest *c, char why[CURVE_WHY])
{
	struct curve_pair server;
	struct curve_list allowed = { 0 };
	int err = curve_key_read(c->secret_key_file, CURVE_SECRET, &o->own, why);

	if (err < 0)
		return err;
	if (o->role == CURVE_SERVER) {
		o->allowed_path = c->allowed_keys_file;
		err = curve_list_read(o->allowed_path, &allowed, NULL, why);
		curve_list_done(&allowed);
		return err;
	}
	err = curve_key_read(c->server_key_file, CURVE_PUBLIC, &server, why);
	if (err == 0)
		memcpy(o->server_key, server.public_key, sizeof o->server_key);
	return err;
}

int curve_options_load(struct curve_options *ret, const struct config_ingest *c,
                       char why[CURVE_WHY])
{
	struct curve_options o = { .role = c->curve_role };
	char reason[CURVE_WHY] = "";
	int err = 0;

	if (o.role != CURVE_NONE)
		err = load_keys(&o, c, reason);
	if (err == 0)
		*ret = o;
	else
		snprintf(why, CURVE_WHY, "ingest.curve: %.490s", reason);
	curve_options_done(&o);
	return err == 0 || err == -EACCES || err == -EPERM || err == -ENOMEM ? err : -EINVAL;
}

void curve_options_done(struct curve_options *o)
{
	explicit_bzero(&o->own, sizeof o->own);
}

static int set_text(void *socket, int option, const char *text)
{
	return zmq_setsockopt(socket, option, text, strlen(text));
}

int curve_options_apply(const struct curve_options *o, void *socket)
{
	int server = o->role == CURVE_SERVER;

	if (o->role == CURVE_NONE)
		return 0;
	if (set_text(socket, ZMQ_CURVE_SECRETKEY, o->own.secret_key) != 0)
		return -1;
	if (server)
		return zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &server, sizeof server);
	if (set_text(socket, ZMQ_CURVE_PUBLICKEY, o->own.public_key) != 0)
		return -1;
	return set_text(socket, ZMQ_CURVE_SERVERKEY, o->server_key);
}

/* ---- life ---- */

static int fail(struct source *s, const char *what)
{
	int err = zmq_errno() > 0 && zmq_errno() < ZMQ_HAUSNUMERO ? -zmq_errno() : -EIO;

	snprintf(s->why, sizeof s->why, "%.100s: %s: %s", s->options.endpoint, what,
	         zmq_strerror(zmq_errno()));
	return err;
}

int source_curve_open(struct source *s)
{
	const struct curve_options *o = &s->options.curve;
	char why[CURVE_WHY];
	int err;

	if (o->role != CURVE_SERVER)
		return 0;
	err = curve_list_read(o->allowed_path, &s->curve.allowed, &s->curve.stamp, why);
	if (err < 0)
		snprintf(s->why, sizeof s->why, "%.390s", why);
	return err;
}

static int open_zap(struct source *s)
{
	const int linger = 0, enforce = 1;

	s->curve.zap = zmq_socket(s->context, ZMQ_REP);
	if (!s->curve.zap ||
	    zmq_setsockopt(s->curve.zap, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
	    zmq_bind(s->curve.zap, ZAP_ADDRESS) != 0)
		return fail(s, "answering who may connect");
	/* Without the second a peer would be let in whenever nobody answers. */
	if (set_text(s->socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN) != 0 ||
	    zmq_setsockopt(s->socket, ZMQ_ZAP_ENFORCE_DOMAIN, &enforce, sizeof enforce) != 0)
		return fail(s, "asking who may connect");
	return 0;
}

/* With a queue of one message a connection with CURVE stalls for ever (seen with libzmq 4.3.4, of
 * frames of 4 MiB); with two it does not. */
static int widen_queue(struct source *s)
{
	const int least = 2;

	if (s->options.queue_messages >= least ||
	    zmq_setsockopt(s->socket, ZMQ_RCVHWM, &least, sizeof least) == 0)
		return 0;
	return fail(s, "the length of the queue");
}

int source_curve_apply(struct source *s)
{
	const struct curve_options *o = &s->options.curve;
	int err = o->role == CURVE_SERVER ? open_zap(s) : 0;

	if (err == 0 && curve_options_apply(o, s->socket) != 0)
		err = fail(s, "CURVE keys");
	return err != 0 || o->role == CURVE_NONE ? err : widen_queue(s);
}

void source_curve_close(struct source *s)
{
	if (s->curve.zap)
		zmq_close(s->curve.zap);
	s->curve.zap = NULL;
}

void source_curve_done(struct source *s)
{
	curve_list_done(&s->curve.allowed);
	curve_options_done(&s->options.curve);
}

/* ---- the list, read again ---- */

/* Take over what was read. True when it differs, or could not be read before. */
static bool adopt_list(struct source *s, struct curve_list *list, const struct curve_stamp *stamp)
{
	struct source_curve *c = &s->curve;
	bool news = c->problem[0] || !curve_list_equal(list, &c->allowed);

	curve_list_done(&c->allowed);
	c->allowed = *list;
	c->stamp = *stamp;
	c->problem[0] = '\0';
	if (news) {
		s->warns = false;
		snprintf(s->last_event, sizeof s->last_event,
		         "allowed keys read again: %u in %.200s", c->allowed.count,
		         s->options.curve.allowed_path);
	}
	return news;
}

/* Read the list again where it may have changed. True when it is worth a log line. */
static bool refresh_list(struct source *s)
{
	const char *path = s->options.curve.allowed_path;
	struct source_curve *c = &s->curve;
	struct curve_list list = { 0 };
	struct curve_stamp stamp;
	char why[CURVE_WHY];

	if (!curve_list_changed(path, &c->stamp))
		return false;
	if (curve_list_read(path, &list, &stamp, why) == 0)
		return adopt_list(s, &list, &stamp);
	if (strcmp(why, c->problem) == 0)
		return false;
	memcpy(c->problem, why, sizeof why);
	s->warns = true;
	snprintf(s->last_event, sizeof s->last_event,
	         "allowed keys stay as they were, %u of them: %.400s", c->allowed.count, why);
	return true;
}

/* ---- requests ---- */

static bool has_request(struct source *s)
{
	int events = 0;
	size_t size = sizeof events;

	return zmq_getsockopt(s->curve.zap, ZMQ_EVENTS, &events, &size) == 0 &&
	       (events & ZMQ_POLLIN);
}

static void keep_part(struct zap_request *r, zmq_msg_t *part)
{
	size_t size = zmq_msg_size(part);

	if (size > ZAP_PART_BYTES) {
		r->too_long = true;
		size = ZAP_PART_BYTES;
	}
	if (r->count < ZAP_PART_COUNT) {
		memcpy(r->parts[r->count].bytes, zmq_msg_data(part), size);
		r->parts[r->count].size = size;
	}
	r->count++;
}

static bool receive_request(struct source *s, struct zap_request *ret)
{
	bool more = true;

	memset(ret, 0, sizeof *ret);
	while (more) {
		zmq_msg_t part;

		zmq_msg_init(&part);
		if (zmq_msg_recv(&part, s->curve.zap, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&part);
			return false;
		}
		keep_part(ret, &part);
		more = zmq_msg_more(&part);
		zmq_msg_close(&part);
	}
	return true;
}

static bool part_is(const struct zap_request *r, enum zap_part part, const char *text)
{
	return r->parts[part].size == strlen(text) &&
	       memcmp(r->parts[part].bytes, text, strlen(text)) == 0;
}

static bool is_well_formed(const struct zap_request *r)
{
	return r->count == ZAP_PART_COUNT && !r->too_long &&
	       part_is(r, ZAP_PART_VERSION, ZAP_VERSION) &&
	       part_is(r, ZAP_PART_DOMAIN, ZAP_DOMAIN) && part_is(r, ZAP_PART_MECHANISM, "CURVE") &&
	       r->parts[ZAP_PART_KEY].size == CURVE_KEY_BYTES;
}

static void reply(struct source *s, const struct zap_request *r, bool allowed, const char *key)
{
	const struct {
		const void *bytes;
		size_t size;
	} parts[] = {
		{ ZAP_VERSION, strlen(ZAP_VERSION) },
		{ r->parts[ZAP_PART_ID].bytes, r->parts[ZAP_PART_ID].size },
		{ allowed ? "200" : "400", 3 },
		{ allowed ? "OK" : "refused", allowed ? 2 : 7 },
		{ key, strlen(key) }, /* the user's name */
		{ "", 0 },            /* metadata */
	};
	const size_t count = sizeof parts / sizeof parts[0];

	for (size_t i = 0; i < count; i++)
		zmq_send(s->curve.zap, parts[i].bytes, parts[i].size,
		         ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0));
}

/* The peer's address, which for ipc is empty. */
static void name_peer(const struct zap_request *r, char ret[64])
{
	size_t size = r->parts[ZAP_PART_ADDRESS].size;

	for (size_t i = 0; i < size && i < 63; i++) {
		char c = (char)r->parts[ZAP_PART_ADDRESS].bytes[i];

		ret[i] = c > ' ' && c <= '~' ? c : '?';
	}
	ret[size < 63 ? size : 63] = '\0';
	if (size == 0)
		snprintf(ret, 64, "a peer");
}

static void refuse_peer(struct source *s, const char *peer, const char *key)
{
	/* Relaxed: a figure for people, nothing is ordered by it. */
	atomic_fetch_add_explicit(&s->events.refused, 1, memory_order_relaxed);
	s->warns = true;
	if (key[0])
		snprintf(s->last_event, sizeof s->last_event,
		         "%s refused at %.80s: its public key %s is not in %.200s", peer,
		         s->endpoint, key, s->options.curve.allowed_path);
	else
		snprintf(s->last_event, sizeof s->last_event,
		         "%s refused at %.80s: the request about it is not as RFC 27 says", peer,
		         s->endpoint);
}

static void answer_request(struct source *s, const struct zap_request *r)
{
	const struct curve_allowed *found = NULL;
	char key[CURVE_KEY_TEXT] = "", peer[64];

	name_peer(r, peer);
	if (is_well_formed(r)) {
		zmq_z85_encode(key, r->parts[ZAP_PART_KEY].bytes, CURVE_KEY_BYTES);
		found = curve_list_find(&s->curve.allowed, key);
	}
	reply(s, r, found != NULL, found ? key : "");
	if (!found) {
		refuse_peer(s, peer, key);
		return;
	}
	s->warns = false;
	snprintf(s->last_event, sizeof s->last_event, "%s let in at %.80s with public key %s%s%s",
	         peer, s->endpoint, key, found->label[0] ? ", " : "", found->label);
}

bool source_curve_watch(struct source *s)
{
	struct zap_request request;

	if (!s->curve.zap || !has_request(s))
		return false;
	if (refresh_list(s))
		return true; /* the request waits for the next call */
	if (!receive_request(s, &request))
		return false;
	answer_request(s, &request);
	return true;
}

const char *source_curve_refusal(const struct source *s, unsigned error)
{
	if (s->options.curve.role == CURVE_NONE)
		return NULL;
	if (error == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
		return s->options.curve.role == CURVE_SERVER
		               ? "it does not encrypt with CURVE as a client"
		               : "it is no CURVE server";
	if (error == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
		return s->options.curve.role == CURVE_SERVER
		               ? "it trusts another server's public key than ours"
		               : "it has not the key of ingest.curve.server_key_file";
	return NULL;
}
