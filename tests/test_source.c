/* SPDX-License-Identifier: Apache-2.0 */
/* The ZeroMQ source with real sockets on loopback and in the file system. */
#include "ingest/hold.h"
#include "ingest/sanitizer.h"
#include "ingest/source.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT   1000000 /* bytes of a part */
#define PATIENT 10000   /* ms until something that must come is given up */

static const struct source_options defaults = {
	.endpoint = "tcp://127.0.0.1:*",
	.attach = ATTACH_BIND,
	.socket = SOCKET_PULL,
	.max_message_bytes = LIMIT,
	.queue_messages = 100,
};

/* A sender with its own context. */
struct peer {
	void *context, *socket;
	char endpoint[256];
};

static struct peer open_peer(int type, const char *bind_to, const char *connect_to)
{
	struct peer p = { .context = zmq_ctx_new() };
	size_t size = sizeof p.endpoint;
	int linger = 0, timeout = PATIENT, reconnect = 20, ipv6 = 1;

	p.socket = zmq_socket(p.context, type);
	zmq_setsockopt(p.socket, ZMQ_LINGER, &linger, sizeof linger);
	zmq_setsockopt(p.socket, ZMQ_SNDTIMEO, &timeout, sizeof timeout);
	zmq_setsockopt(p.socket, ZMQ_RECONNECT_IVL, &reconnect, sizeof reconnect);
	if (connect_to && strchr(connect_to, '['))
		zmq_setsockopt(p.socket, ZMQ_IPV6, &ipv6, sizeof ipv6);
	if (bind_to)
		cr_assert_eq(zmq_bind(p.socket, bind_to), 0, "%s", zmq_strerror(errno));
	else
		cr_assert_eq(zmq_connect(p.socket, connect_to), 0, "%s", zmq_strerror(errno));
	zmq_getsockopt(p.socket, ZMQ_LAST_ENDPOINT, p.endpoint, &size);
	return p;
}

static void close_peer(struct peer *p)
{
	zmq_close(p->socket);
	zmq_ctx_term(p->context);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Receive a message within `ms`, as a receiving thread would. */
static bool receive_within(struct source *s, int ms, struct payload *payload, struct message *m)
{
	uint64_t end = now_ms() + (uint64_t)ms;

	for (;;) {
		int got = source_receive(s, payload, m);

		cr_assert_geq(got, 0, "%s", s->why);
		if (got == 1)
			return true;
		while (source_watch(s))
			;
		if (now_ms() >= end)
			return false;
		cr_assert_eq(source_wait(s, -1, 20), 0, "%s", s->why);
	}
}

/* Receive one message of one part that is `text`. */
static void expect_text(struct source *s, const char *text)
{
	struct payload payload = { 0 };
	struct message m;

	cr_assert(receive_within(s, PATIENT, &payload, &m), "%s did not come: %s", text,
	          s->last_event);
	cr_expect_eq(m.part_count, 1);
	cr_expect_eq(m.parts[0].size, strlen(text));
	cr_expect_eq(memcmp(m.parts[0].data, text, strlen(text)), 0);
	payload_release(&payload);
}

static void send_text(struct peer *p, const char *text)
{
	cr_assert_geq(zmq_send(p->socket, text, strlen(text), 0), 0, "%s", zmq_strerror(errno));
}

/* Watch until `counter` has reached `least`. */
static void await_count(struct source *s, _Atomic uint64_t *counter, uint64_t least)
{
	uint64_t end = now_ms() + PATIENT;

	while (atomic_load(counter) < least && now_ms() < end) {
		source_wait(s, -1, 20);
		while (source_watch(s))
			;
	}
	cr_assert_geq(atomic_load(counter), least, "last event: %s", s->last_event);
}

static struct source_options options_for(enum attach attach, enum socket_kind socket,
                                         const char *endpoint)
{
	struct source_options o = defaults;

	o.attach = attach;
	o.socket = socket;
	o.endpoint = endpoint;
	return o;
}

/* A subscription travels without an acknowledgement: send until something arrives, then take
 * what else is on its way. */
static void await_subscription(struct source *s, struct peer *p)
{
	struct payload payload = { 0 };
	struct message m;
	uint64_t end = now_ms() + PATIENT;
	bool heard = false;

	while (!heard && now_ms() < end) {
		send_text(p, "is anybody there");
		heard = receive_within(s, 50, &payload, &m);
		payload_release(&payload);
	}
	cr_assert(heard, "no subscription: %s", s->last_event);
	while (receive_within(s, 300, &payload, &m))
		payload_release(&payload);
}

/* A source and a sender that reach each other, over `endpoint`. */
static void open_pair(struct source *s, struct peer *p, enum attach attach, enum socket_kind socket,
                      const char *endpoint)
{
	int type = socket == SOCKET_SUB ? ZMQ_PUB : ZMQ_PUSH;
	struct source_options o = options_for(attach, socket, endpoint);

	if (attach == ATTACH_BIND) {
		cr_assert_eq(source_open(s, &o), 0, "%s", s->why);
		*p = open_peer(type, NULL, s->endpoint);
	} else {
		*p = open_peer(type, endpoint, NULL);
		o.endpoint = p->endpoint;
		cr_assert_eq(source_open(s, &o), 0, "%s", s->why);
	}
	await_count(s, &s->events.connected, 1);
	if (socket == SOCKET_SUB)
		await_subscription(s, p);
}

static const struct {
	enum attach attach;
	enum socket_kind socket;
	const char *endpoint;
} attachments[] = {
	{ ATTACH_BIND, SOCKET_PULL, "tcp://127.0.0.1:*" },
	{ ATTACH_BIND, SOCKET_PULL, "tcp://127.0.0.1:0" },
	{ ATTACH_BIND, SOCKET_SUB, "tcp://127.0.0.1:*" },
	{ ATTACH_CONNECT, SOCKET_PULL, "tcp://127.0.0.1:*" },
	{ ATTACH_CONNECT, SOCKET_SUB, "tcp://127.0.0.1:*" },
	{ ATTACH_BIND, SOCKET_PULL, "ipc://*" },
	{ ATTACH_BIND, SOCKET_PULL, "tcp://lo:*" },
	{ ATTACH_BIND, SOCKET_PULL, "tcp://[::1]:*" },
	{ ATTACH_BIND, SOCKET_PULL, "tcp://*:*" },
	{ ATTACH_CONNECT, SOCKET_SUB, "ipc://*" },
};

Test(source, receives_with_every_kind_of_attachment)
{
	for (size_t i = 0; i < sizeof attachments / sizeof attachments[0]; i++) {
		struct source s;
		struct peer p;

		open_pair(&s, &p, attachments[i].attach, attachments[i].socket,
		          attachments[i].endpoint);
		cr_expect_null(strstr(s.endpoint, "*"), "%s", s.endpoint);
		for (int n = 0; n < 3; n++) {
			send_text(&p, "a frame");
			expect_text(&s, "a frame");
		}
		close_peer(&p);
		await_count(&s, &s.events.disconnected, 1);
		source_close(&s);
	}
}

Test(source, names_the_peer_that_came_and_went)
{
	struct source s;
	struct peer p;

	open_pair(&s, &p, ATTACH_BIND, SOCKET_PULL, "tcp://127.0.0.1:*");
	cr_expect(strncmp(s.last_event, "127.0.0.1:", 10) == 0, "%s", s.last_event);
	cr_expect(strstr(s.last_event, s.endpoint), "%s", s.last_event);
	close_peer(&p);
	await_count(&s, &s.events.disconnected, 1);
	cr_expect(strncmp(s.last_event, "127.0.0.1:", 10) == 0, "%s", s.last_event);
	cr_expect(strstr(s.last_event, "1000000"), "the limit: %s", s.last_event);
	source_close(&s);

	open_pair(&s, &p, ATTACH_BIND, SOCKET_PULL, "ipc://*");
	cr_expect(strncmp(s.last_event, "process ", 8) == 0, "%s", s.last_event);
	close_peer(&p);
	source_close(&s);
}

Test(source, returns_nothing_when_nothing_waits)
{
	struct source s;
	struct payload payload = { .kept = 77 };
	struct message m = { .part_count = 77 };

	cr_assert_eq(source_open(&s, &defaults), 0, "%s", s.why);
	cr_expect_eq(source_receive(&s, &payload, &m), 0);
	cr_expect_eq(payload.kept, 77, "untouched");
	cr_expect_eq(m.part_count, 77);
	source_close(&s);
	cr_expect_lt(source_receive(&s, &payload, &m), 0, "a closed one is dead");
	cr_expect_lt(source_wait(&s, -1, 0), 0);
	cr_expect_not(source_watch(&s));
}

Test(source, keeps_512_parts_and_counts_a_thousand)
{
	static const unsigned counts[] = { 1, 2, 4, 5, 1000 };
	struct source s;
	struct peer p;

	open_pair(&s, &p, ATTACH_BIND, SOCKET_PULL, "tcp://127.0.0.1:*");
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		struct payload payload = { 0 };
		struct message m;

		for (unsigned n = 0; n < counts[i]; n++)
			zmq_send(p.socket, &n, sizeof n, n + 1 < counts[i] ? ZMQ_SNDMORE : 0);
		send_text(&p, "next");
		cr_assert(receive_within(&s, PATIENT, &payload, &m));
		cr_expect_eq(m.part_count, counts[i]);
		cr_expect_eq(payload.kept,
		             counts[i] < MESSAGE_PARTS_MAX ? counts[i] : MESSAGE_PARTS_MAX);
		for (unsigned n = 0; n < payload.kept; n++) {
			cr_expect_eq(m.parts[n].size, sizeof n);
			cr_expect_eq(memcmp(m.parts[n].data, &n, sizeof n), 0);
		}
		payload_release(&payload);
		payload_release(&payload);
		expect_text(&s, "next");
	}
	close_peer(&p);
	source_close(&s);
}

Test(source, receives_parts_of_no_length)
{
	struct payload payload = { 0 };
	struct source s;
	struct peer p;
	struct message m;

	open_pair(&s, &p, ATTACH_BIND, SOCKET_PULL, "tcp://127.0.0.1:*");
	zmq_send(p.socket, "", 0, ZMQ_SNDMORE);
	zmq_send(p.socket, "", 0, 0);
	cr_assert(receive_within(&s, PATIENT, &payload, &m));
	cr_expect_eq(m.part_count, 2);
	cr_expect_eq(m.parts[0].size, 0);
	cr_expect_eq(m.parts[1].size, 0);
	payload_release(&payload);
	close_peer(&p);
	source_close(&s);
}

Test(source, moves_payloads_with_their_pixels)
{
	static const size_t sizes[] = { 0, 1, 12, 33, 34, 1000, 100000 };
	struct source s;
	struct peer p;

	open_pair(&s, &p, ATTACH_BIND, SOCKET_PULL, "tcp://127.0.0.1:*");
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct payload first = { 0 };
		zmq_msg_t room[1];
		struct hold second = { .room = 1, .parts = room };
		char *blob = malloc(sizes[i] + 1);
		const void *pixels;
		struct message m;

		memset(blob, (int)i + 1, sizes[i]);
		zmq_send(p.socket, "header", 6, ZMQ_SNDMORE);
		zmq_send(p.socket, blob, sizes[i], 0);
		cr_assert(receive_within(&s, PATIENT, &first, &m));
		pixels = hold_take(&second, 0, &first.parts[1]);
		payload_release(&first);
		memset(&first, 0xa5, sizeof first);
		cr_expect_eq(second.count, 1);
		cr_expect_eq(memcmp(pixels, blob, sizes[i]), 0);
		cr_expect(sizes[i] == 0 || pixels == zmq_msg_data(&second.parts[0]));
		hold_release(&second);
		hold_release(&second);
		free(blob);
	}
	close_peer(&p);
	source_close(&s);
}

/* Cut off by an oversize message, the next good one arrives: on every kind of attachment that
 * a peer can send such a message through. */
static void survive_oversize(enum attach attach, enum socket_kind socket)
{
	char *large = calloc(1, LIMIT + 1);
	struct source s;
	struct peer p;

	open_pair(&s, &p, attach, socket, "tcp://127.0.0.1:*");
	for (uint64_t i = 1; i <= 3; i++) {
		struct payload payload = { 0 };
		struct message m;
		bool got = false;

		send_text(&p, "before");
		zmq_send(p.socket, large, LIMIT + 1, 0);
		expect_text(&s, "before");
		await_count(&s, &s.events.disconnected, i);
		/* What a sender says while nobody is connected may be lost. */
		for (int tries = 0; tries < 100 && !got; tries++) {
			zmq_send(p.socket, "after", 5, ZMQ_DONTWAIT);
			got = receive_within(&s, 100, &payload, &m);
		}
		cr_assert(got, "%s", s.last_event);
		do
			payload_release(&payload);
		while (receive_within(&s, 100, &payload, &m));
		cr_expect_eq(atomic_load(&s.events.disconnected), i);
	}
	cr_expect_eq(atomic_load(&s.events.connected), 4);
	close_peer(&p);
	source_close(&s);
	free(large);
}

Test(source, survives_an_oversize_message_when_bound)
{
	survive_oversize(ATTACH_BIND, SOCKET_PULL);
}

Test(source, survives_an_oversize_message_when_connected)
{
	survive_oversize(ATTACH_CONNECT, SOCKET_PULL);
}

Test(source, survives_an_oversize_message_when_subscribed)
{
	survive_oversize(ATTACH_CONNECT, SOCKET_SUB);
}

Test(source, takes_the_largest_message)
{
	char *large = calloc(1, LIMIT);
	struct payload payload = { 0 };
	struct source s;
	struct message m;
	struct peer p;

	open_pair(&s, &p, ATTACH_BIND, SOCKET_PULL, "tcp://127.0.0.1:*");
	zmq_send(p.socket, large, LIMIT, 0);
	cr_assert(receive_within(&s, PATIENT, &payload, &m));
	cr_expect_eq(m.parts[0].size, LIMIT);
	payload_release(&payload);
	close_peer(&p);
	source_close(&s);
	free(large);
}

/* A plain TCP connection to a bound source. */
static int dial(const struct source *s)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(strrchr(s->endpoint, ':') + 1)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static unsigned port_of(int fd)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	return ntohs(address.sin_port);
}

/* Read the greeting's first bytes: the connection is accepted and announced then. */
static void await_greeting(int fd)
{
	char greeting[10];

	cr_assert_eq(recv(fd, greeting, sizeof greeting, MSG_WAITALL), (ssize_t)sizeof greeting);
}

/* Hang up and see the other end hang up, so that its descriptor can be used again. */
static void hang_up(int fd)
{
	char rest[64];

	await_greeting(fd);
	shutdown(fd, SHUT_WR);
	while (recv(fd, rest, sizeof rest, 0) > 0)
		;
	close(fd);
}

/* `connections` that come and go before anybody watches, then one that stays: they all had the
 * same descriptor, and only the last has its name. */
static void expect_one_name(unsigned connections)
{
	unsigned came = 0, named = 0;
	char last[32];
	struct source s;
	int fd;

	cr_assert_eq(source_open(&s, &defaults), 0, "%s", s.why);
	for (unsigned i = 0; i < connections; i++)
		hang_up(dial(&s));
	fd = dial(&s);
	await_greeting(fd);
	snprintf(last, sizeof last, "127.0.0.1:%u ", port_of(fd));
	while (came <= connections && source_wait(&s, -1, PATIENT) == 0)
		while (source_watch(&s)) {
			bool is_last = strncmp(s.last_event, last, strlen(last)) == 0;

			came += strstr(s.last_event, " connected to ") != NULL;
			named += is_last;
			cr_expect(is_last || strncmp(s.last_event, "a peer ", 7) == 0, "%s",
			          s.last_event);
		}
	cr_expect_eq(came, connections + 1);
	cr_expect_eq(named, 1, "%u of %u have the name of the last", named, came);
	cr_expect_eq(atomic_load(&s.events.handshake_failed), connections);
	close(fd);
	source_close(&s);
}

Test(source, names_no_peer_after_another_that_has_its_descriptor)
{
	expect_one_name(1);
	expect_one_name(8);
	expect_one_name(60);
}

/* Take in whatever comes until `ms` have passed. Returns the number of messages. */
static unsigned swallow(struct source *s, int ms)
{
	struct payload payload = { 0 };
	struct message m;
	unsigned n = 0;

	for (; receive_within(s, ms, &payload, &m); n++)
		payload_release(&payload);
	return n;
}

Test(source, survives_http_on_its_port)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
	struct source s;
	struct peer p;

	open_pair(&s, &p, ATTACH_BIND, SOCKET_PULL, "tcp://127.0.0.1:*");
	for (int i = 0; i < 3; i++) {
		int fd = dial(&s);

		for (int n = 0; n < 20; n++)
			(void)!send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
		swallow(&s, 100);
		close(fd);
	}
	await_count(&s, &s.events.handshake_failed, 3);
	cr_expect(strstr(s.last_event, "no ZeroMQ peer"), "%s", s.last_event);
	send_text(&p, "a frame");
	expect_text(&s, "a frame");
	cr_expect_eq(atomic_load(&s.events.disconnected), 0);
	close_peer(&p);
	source_close(&s);
}

Test(source, survives_random_bytes_on_its_port)
{
	unsigned seed = 1;
	struct source s;
	struct peer p;

	open_pair(&s, &p, ATTACH_BIND, SOCKET_PULL, "tcp://127.0.0.1:*");
	for (int i = 0; i < 30; i++) {
		uint8_t noise[20000];
		int fd = dial(&s);

		for (size_t n = 0; n < sizeof noise; n++)
			noise[n] = (uint8_t)(rand_r(&seed) >> 8);
		if (i % 3 == 0)
			memcpy(noise, "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL", 16);
		(void)!send(fd, noise, sizeof noise, MSG_NOSIGNAL);
		swallow(&s, 20);
		close(fd);
	}
	swallow(&s, 100);
	cr_expect_geq(atomic_load(&s.events.handshake_failed) + atomic_load(&s.events.disconnected),
	              30);
	send_text(&p, "a frame");
	expect_text(&s, "a frame");
	close_peer(&p);
	source_close(&s);
}

/* ZMTP 3.0 greeting and READY of a PUSH socket without security, then a part announced to have
 * 3 GiB of which nothing comes. */
Test(source, cuts_off_a_peer_that_announces_3_gib)
{
	static const char greeting[64] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL";
	static const char ready[] = "\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH";
	static const char announced[] = "\x02\0\0\0\0\xc0\0\0\0";
	struct source s;
	char sink[1024];
	int fd;

	cr_assert_eq(source_open(&s, &defaults), 0, "%s", s.why);
	fd = dial(&s);
	cr_assert_eq(send(fd, greeting, 64, MSG_NOSIGNAL), 64);
	cr_assert_eq(send(fd, ready, sizeof ready - 1, MSG_NOSIGNAL), (ssize_t)sizeof ready - 1);
	await_count(&s, &s.events.connected, 1);
	cr_assert_eq(send(fd, announced, 9, MSG_NOSIGNAL), 9);
	await_count(&s, &s.events.disconnected, 1);
	while (recv(fd, sink, sizeof sink, 0) > 0)
		;
	close(fd);
	source_close(&s);
}

Test(source, finds_a_peer_that_comes_late_and_comes_back)
{
	struct source_options o = options_for(ATTACH_CONNECT, SOCKET_PULL, NULL);
	struct source s;
	struct peer p = open_peer(ZMQ_PUSH, "tcp://127.0.0.1:*", NULL);
	char endpoint[256];

	strcpy(endpoint, p.endpoint);
	close_peer(&p);
	o.endpoint = endpoint;
	cr_assert_eq(source_open(&s, &o), 0, "%s", s.why);
	for (uint64_t end = now_ms() + PATIENT; !s.last_event[0] && now_ms() < end;) {
		source_wait(&s, -1, 20);
		source_watch(&s);
	}
	cr_expect(strstr(s.last_event, "nobody answers"), "%s", s.last_event);
	for (uint64_t i = 1; i <= 2; i++) {
		p = open_peer(ZMQ_PUSH, endpoint, NULL);
		await_count(&s, &s.events.connected, i);
		send_text(&p, "a frame");
		expect_text(&s, "a frame");
		close_peer(&p);
		await_count(&s, &s.events.disconnected, i);
	}
	source_close(&s);
}

Test(source, opens_again_on_the_same_port_and_drops_what_was_unfinished)
{
	struct source s;
	struct peer p;
	char endpoint[256];

	open_pair(&s, &p, ATTACH_BIND, SOCKET_PULL, "tcp://127.0.0.1:*");
	strcpy(endpoint, s.endpoint);
	for (int i = 0; i < 100; i++)
		zmq_send(p.socket, endpoint, sizeof endpoint, ZMQ_SNDMORE);
	for (uint64_t i = 1; i <= 3; i++) {
		cr_assert_eq(source_reopen(&s), 0, "%s", s.why);
		cr_expect_str_eq(s.endpoint, endpoint);
		cr_expect_eq(atomic_load(&s.events.reopened), i);
	}
	close_peer(&p);
	p = open_peer(ZMQ_PUSH, NULL, s.endpoint);
	send_text(&p, "a frame");
	expect_text(&s, "a frame");
	close_peer(&p);
	source_close(&s);
}

Test(source, opens_again_when_connected)
{
	struct source s;
	struct peer p;

	open_pair(&s, &p, ATTACH_CONNECT, SOCKET_PULL, "tcp://127.0.0.1:*");
	cr_assert_eq(source_reopen(&s), 0, "%s", s.why);
	await_count(&s, &s.events.connected, 2);
	send_text(&p, "a frame");
	expect_text(&s, "a frame");
	close_peer(&p);
	source_close(&s);
}

Test(source, wakes_for_the_descriptor_and_for_messages)
{
	int wake = eventfd(0, EFD_NONBLOCK);
	uint64_t from, one = 1;
	struct source s;
	struct peer p;

	open_pair(&s, &p, ATTACH_BIND, SOCKET_PULL, "tcp://127.0.0.1:*");
	from = now_ms();
	cr_assert_eq(source_wait(&s, wake, 100), 0);
	cr_expect_geq(now_ms() - from, 90, "nothing is there");
	cr_assert_eq(write(wake, &one, sizeof one), 8);
	from = now_ms();
	cr_assert_eq(source_wait(&s, wake, PATIENT), 0);
	cr_expect_lt(now_ms() - from, PATIENT / 2);
	cr_assert_eq(read(wake, &one, sizeof one), 8);

	/* Two messages on one edge: the second must not be slept over. */
	send_text(&p, "one");
	send_text(&p, "two");
	usleep(100000);
	expect_text(&s, "one");
	from = now_ms();
	cr_assert_eq(source_wait(&s, wake, PATIENT), 0);
	cr_expect_lt(now_ms() - from, PATIENT / 2);
	expect_text(&s, "two");
	close(wake);
	close_peer(&p);
	source_close(&s);
}

/* libzmq's heartbeat timeout would end this connection: it reads no answers while its queue
 * is full. */
Test(source, keeps_a_peer_through_back_pressure)
{
	struct source_options o = defaults;
	char *frame = calloc(1, LIMIT);
	unsigned sent = 0, got = 0;
	struct payload payload = { 0 };
	struct source s;
	struct message m;
	struct peer p;

	o.queue_messages = 2;
	cr_assert_eq(source_open(&s, &o), 0, "%s", s.why);
	p = open_peer(ZMQ_PUSH, NULL, s.endpoint);
	await_count(&s, &s.events.connected, 1);
	for (uint64_t end = now_ms() + 12000; now_ms() < end; usleep(50000))
		sent += zmq_send(p.socket, frame, LIMIT, ZMQ_DONTWAIT) > 0;
	for (; receive_within(&s, 300, &payload, &m); got++)
		payload_release(&payload);
	cr_expect_eq(got, sent);
	cr_expect_eq(atomic_load(&s.events.disconnected), 0);
	close_peer(&p);
	source_close(&s);
	free(frame);
}

Test(source, refuses_bad_endpoints_with_a_sentence)
{
	static const struct {
		const char *endpoint;
		enum attach attach;
		int err;
	} rows[] = {
		{ "tcp://127.0.0.1", ATTACH_BIND, -EINVAL },
		{ "tcp://127.0.0.1:99999", ATTACH_BIND, -EINVAL },
		{ "tcp://127.0.0.1:99999", ATTACH_CONNECT, -EINVAL },
		{ "tcp://192.0.2.1:5555", ATTACH_BIND, -EADDRNOTAVAIL },
		{ "tcp://127.0.0.1:*", ATTACH_CONNECT, -EINVAL },
		{ "tcp://127.0.0.1:0", ATTACH_CONNECT, -EINVAL },
		{ "tcp://127.0.0.1:-1", ATTACH_BIND, -EINVAL },
		{ "tcp://127.0.0.1:80x", ATTACH_BIND, -EINVAL },
		{ "tcp://no-such-interface:5555", ATTACH_BIND, -ENODEV },
		{ "inproc://x", ATTACH_BIND, -EINVAL },
		{ "http://127.0.0.1:80", ATTACH_CONNECT, -EINVAL },
		{ "", ATTACH_CONNECT, -EINVAL },
		{ "ipc:///no/such/folder/socket", ATTACH_BIND, -ENOENT },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct source_options o =
			options_for(rows[i].attach, SOCKET_PULL, rows[i].endpoint);
		struct source s;
		int err = source_open(&s, &o);

		cr_expect_eq(err, rows[i].err, "%s: %d %s", rows[i].endpoint, err, s.why);
		cr_expect(strstr(s.why, rows[i].endpoint), "%s", s.why);
		cr_expect_null(s.socket);
		source_close(&s);
	}
}

Test(source, refuses_a_port_that_is_taken)
{
	struct source_options o = defaults;
	struct source first, second;

	cr_assert_eq(source_open(&first, &o), 0);
	o.endpoint = first.endpoint;
	cr_expect_eq(source_open(&second, &o), -EADDRINUSE, "%s", second.why);
	source_close(&first);
	cr_expect_eq(source_open(&second, &o), 0, "%s", second.why);
	source_close(&second);
	source_close(&second);
}

Test(source, replaces_a_stale_ipc_socket_and_nothing_else)
{
	char directory[] = "/tmp/openbeam-source-XXXXXX", path[64], endpoint[80];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct source_options o = defaults;
	struct source first, second;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	FILE *file;

	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/s", directory);
	snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
	o.endpoint = endpoint;

	strcpy(address.sun_path, path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
	cr_expect_eq(source_open(&first, &o), 0, "stale: %s", first.why);
	cr_expect_eq(source_open(&second, &o), -EADDRINUSE, "alive: %s", second.why);
	source_close(&first);

	unlink(path);
	file = fopen(path, "w");
	cr_assert(file);
	fclose(file);
	cr_expect_eq(source_open(&first, &o), -EEXIST, "a file: %s", first.why);
	cr_expect_eq(access(path, F_OK), 0, "the file is still there");
	unlink(path);
	rmdir(directory);
}

/* ---- the allocator ---- */

#define LARGE   40000000 /* bytes: above the 32 MiB that mallopt() takes as a threshold */
#define WARM_UP 20
#define FRAMES  40

static char large[LARGE];

static void keep(void *data, void *hint)
{
	(void)data;
	(void)hint;
}

static void *send_large(void *argument)
{
	struct peer *p = argument;

	for (int i = 0; i < FRAMES; i++) {
		zmq_msg_t m;

		zmq_msg_init_data(&m, large, LARGE, keep, NULL);
		if (zmq_msg_send(&m, p->socket, 0) < 0)
			break;
	}
	return NULL;
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* Page faults per frame of 40 MB over ipc, once the heap has grown. */
static long faults_per_frame(void)
{
	struct source_options o = options_for(ATTACH_BIND, SOCKET_PULL, "ipc://*");
	struct source s;
	struct peer p;
	pthread_t sender;
	long from = 0;

	memset(large, 1, sizeof large);
	o.max_message_bytes = LARGE;
	o.queue_messages = 2;
	cr_assert_eq(source_open(&s, &o), 0, "%s", s.why);
	p = open_peer(ZMQ_PUSH, NULL, s.endpoint);
	pthread_create(&sender, NULL, send_large, &p);
	for (int i = 0; i < FRAMES; i++) {
		struct payload payload = { 0 };
		struct message m;

		if (i == WARM_UP)
			from = faults();
		cr_assert(receive_within(&s, PATIENT, &payload, &m));
		payload_release(&payload);
	}
	from = (faults() - from) / (FRAMES - WARM_UP);
	pthread_join(sender, NULL);
	close_peer(&p);
	source_close(&s);
	return from;
}

/* Page faults of the first frames of 40 MB, two at a time, in memory set aside for three. */
static long faults_of_first_frames(void)
{
	long from;

	if (!source_reserve_memory(3 * (size_t)LARGE, 0, true))
		return -1;
	from = faults();
	for (int i = 0; i < 4; i++) {
		char *volatile one = malloc(LARGE), *volatile two = malloc(LARGE);

		memset(one, i, LARGE);
		memset(two, i, LARGE);
		free(one);
		free(two);
	}
	return faults() - from;
}

enum allocator { AS_IT_IS, TUNED, RESERVED };

/* The figure of a process of its own: what mallopt() sets cannot be taken back. */
static long faults_of_process(enum allocator a)
{
	int ends[2];
	long result = -1;
	pid_t child;

	cr_assert_eq(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		if (a != AS_IT_IS)
			source_tune_allocator();
		result = a == RESERVED ? faults_of_first_frames() : faults_per_frame();
		(void)!write(ends[1], &result, sizeof result);
		_exit(0);
	}
	close(ends[1]);
	(void)!read(ends[0], &result, sizeof result);
	close(ends[0]);
	waitpid(child, NULL, 0);
	cr_assert_geq(result, 0);
	return result;
}

Test(source, recycles_frames_above_32_mib_without_page_faults)
{
	long before, after;

	if (SANITIZED)
		cr_skip_test("the sanitizer has an allocator of its own");
	before = faults_of_process(AS_IT_IS);
	after = faults_of_process(TUNED);
	fprintf(stderr, "page faults per frame of 40 MB: %ld, tuned %ld\n", before, after);
	cr_expect_lt(after, before / 4);
}

Test(source, takes_the_first_frames_from_reserved_memory_without_page_faults)
{
	long reserved;

	if (SANITIZED)
		cr_skip_test("the sanitizer has an allocator of its own");
	reserved = faults_of_process(RESERVED);
	fprintf(stderr, "page faults of the first frames: %ld\n", reserved);
	cr_expect_lt(reserved, 100);
}
