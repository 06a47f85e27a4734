/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/stream_rig.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Viewers that stand still, are slow, or mean harm. */

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* A viewer that sees everything, and a slow one, at the begin of a series. */
static void open_with_two(const struct config_sink *c, void *v[2])
{
	open_with(c);
	begin(1024, 1024, PRODUCT_UINT8, 1);
	v[0] = viewer(ZMQ_SUB);
	v[1] = slow_viewer();
	wait_for(v, 2, 0);
	begin(1024, 1024, PRODUCT_UINT8, 1);
}

/* libzmq names a full queue once and then leaves the viewer out silently: each frame counts. */
static void check_standing(uint32_t queue)
{
	struct config_sink c = settings(STREAM_PUB);
	const struct stream_figures *f;
	unsigned missed = 0;
	void *v[2];

	c.queue = queue;
	open_with_two(&c, v);
	for (unsigned i = 0; i < FRAMES; i++) {
		offer(i);
		cr_assert_eq(see(v[0], LONG_MS), i, "the other viewer sees every frame");
	}
	f = stream_figures(stream);
	cr_assert_eq(f->sent + f->lost, FRAMES);
	missed = FRAMES;
	while (see(v[1], 300) != UINT64_MAX)
		missed--;
	cr_assert_gt(missed, FRAMES / 2);
	cr_assert(f->lost >= missed - 1 && f->lost <= missed + 1, "lost %" PRIu64 ", missed %u",
	          f->lost, missed);
	close_all(v, 2);
}

Test(viewers, counts_each_frame_that_a_standing_viewer_misses_and_no_other_viewer_does)
{
	check_standing(1);
	check_standing(2);
	check_standing(10);
	check_standing(50);
}

Test(viewers, counts_what_a_viewer_misses_that_is_half_as_fast)
{
	struct config_sink c = settings(STREAM_PUB);
	const struct stream_figures *f;
	unsigned missed = FRAMES;
	void *v[2];

	open_with_two(&c, v);
	for (unsigned i = 0; i < FRAMES; i++) {
		offer(i);
		cr_assert_eq(see(v[0], LONG_MS), i);
		missed -= i % 2 && see(v[1], 200) != UINT64_MAX;
	}
	while (see(v[1], 300) != UINT64_MAX)
		missed--;
	f = stream_figures(stream);
	cr_assert(missed > FRAMES / 4 && missed < FRAMES * 2 / 3, "missed %u", missed);
	cr_assert(f->lost * 5 >= missed * 4u && f->lost * 4 <= missed * 5u,
	          "lost %" PRIu64 ", missed %u", f->lost, missed);
	close_all(v, 2);
}

/* More viewers stand still than copies are kept for: memory and time stay bounded, and when they
 * go the others get frames again. */
/* Connections of viewers that were closed end a while later, and count until then. */
static void wait_until_nothing_is_lost(void *watching)
{
	uint64_t lost, number = 600;

	do {
		lost = stream_figures(stream)->lost;
		offer(number++);
		(void)see(watching, LONG_MS);
	} while (stream_figures(stream)->lost != lost);
}

Test(viewers, many_standing_viewers_neither_stop_it_nor_stay_for_ever)
{
	struct config_sink c = settings(STREAM_PUB);
	enum { STANDING = 5 };
	void *v[STANDING + 1];
	uint64_t started, slowest = 0;

	open_with(&c);
	begin(2048, 2048, PRODUCT_UINT8, 1);
	for (unsigned i = 0; i <= STANDING; i++)
		v[i] = i ? slow_viewer() : viewer(ZMQ_SUB);
	wait_for(v, STANDING + 1, 0);
	begin(2048, 2048, PRODUCT_UINT8, 1);
	for (unsigned i = 0; i < 100; i++) {
		if (i % 10 == 0 && i / 10 < STANDING) /* one after the other: no shared copies */
			for (unsigned k = i / 10 + 1; k <= STANDING; k++)
				while (see(v[k], 20) != UINT64_MAX)
					;
		started = monotonic_ns();
		offer(i);
		slowest = monotonic_ns() - started > slowest ? monotonic_ns() - started : slowest;
		(void)see(v[0], 20);
	}
	cr_expect_lt(slowest, UINT64_C(2000000000));
	cr_expect_gt(stream_figures(stream)->lost, 30);
	for (unsigned i = 1; i <= STANDING; i++)
		zmq_close(v[i]);
	wait_for(v, 1, 500);
	wait_until_nothing_is_lost(v[0]);
	begin(2048, 2048, PRODUCT_UINT8, 1);
	for (unsigned i = 0; i < 20; i++) {
		offer(i);
		cr_assert_eq(see(v[0], LONG_MS), i);
	}
	expect_figures(20, 0, 0, 0);
	close_all(v, 1);
}

Test(viewers, sets_memory_aside_for_a_standing_viewer)
{
	struct config_sink c = settings(STREAM_PUB);
	struct sink_shape large = { .bytes = 22118400 }, small = { .bytes = 100 },
			  middle = { .bytes = 4u << 20 };

	cr_expect_eq(stream_memory_bytes(&c, &large), 14 * large.bytes);
	cr_expect_eq(stream_memory_bytes(&c, &middle), 16 * middle.bytes);
	cr_expect_eq(stream_memory_bytes(&c, &small), 24 * small.bytes);
	c.queue = 1;
	cr_expect_eq(stream_memory_bytes(&c, &large), 5 * large.bytes);
	cr_expect_eq(stream_memory_bytes(&c, &small), 6 * small.bytes);
}

Test(viewers, closes_soon_while_a_viewer_takes_nothing)
{
	struct config_sink c = settings(STREAM_PUB);
	uint64_t started;
	void *v;

	open_with(&c);
	begin(1024, 1024, PRODUCT_UINT8, 1);
	v = slow_viewer();
	wait_for(&v, 1, 0);
	for (unsigned i = 0; i < 60; i++)
		offer(i);
	started = monotonic_ns();
	stream_close(stream);
	cr_expect_lt(monotonic_ns() - started, UINT64_C(2000000000));
	zmq_close(v);
	zmq_ctx_term(viewers);
}

/* A viewer that means harm speaks ZMTP 3.0 itself; libzmq's would need the memory first. */

#define FLOOD 20000 /* messages */

struct flood {
	size_t bytes; /* of a message's body */
	unsigned char first;
	int fd; /* -1: not connected */
	unsigned connections;
	uint64_t next;
};

static int connect_plainly(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	bool local = strncmp(address(), "ipc://", 6) == 0;
	int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);

	cr_assert_geq(fd, 0);
	if (local)
		strncpy(un.sun_path, address() + 6, sizeof un.sun_path - 1);
	else
		in.sin_port = htons((in_port_t)atoi(strrchr(address(), ':') + 1));
	cr_assert_eq(local ? connect(fd, (struct sockaddr *)&un, sizeof un)
	                   : connect(fd, (struct sockaddr *)&in, sizeof in),
	             0);
	return fd;
}

static void flood_connect(struct flood *f)
{
	static const char greeting[64] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL";
	static const char ready[] = "\4\x19\5READY\x0bSocket-Type\0\0\0\3SUB";
	char answer[64 + 2];

	f->fd = connect_plainly();
	f->connections++;
	if (send(f->fd, greeting, 64, MSG_NOSIGNAL) == 64 &&
	    recv(f->fd, answer, 66, MSG_WAITALL) == 66 &&
	    recv(f->fd, answer, (size_t)answer[65], MSG_WAITALL) > 0 &&
	    send(f->fd, ready, sizeof ready - 1, MSG_NOSIGNAL) > 0)
		return;
	close(f->fd);
	f->fd = -1;
}

/* One message that differs from all before it in its first bytes. */
static void flood_send(struct flood *f)
{
	unsigned char message[9 + 1024] = { 2 };
	ssize_t n;

	if (f->fd < 0)
		flood_connect(f);
	if (f->fd < 0)
		return;
	message[7] = (unsigned char)(f->bytes >> 8);
	message[8] = (unsigned char)f->bytes;
	memset(message + 9, 'x', f->bytes);
	message[9] = f->first;
	memcpy(message + 10, &f->next, sizeof f->next);
	for (size_t done = 0; done < 9 + f->bytes; done += (size_t)n) {
		n = send(f->fd, message + done, 9 + f->bytes - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN && done == 0)
			return; /* the stream lets it wait */
		if (n < 0 && errno == EAGAIN)
			n = 0;
		if (n < 0) {
			close(f->fd);
			f->fd = -1;
			return;
		}
	}
	f->next++;
}

static size_t resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long size = 0, resident = 0;

	cr_assert_not_null(f);
	cr_assert_eq(fscanf(f, "%lu %lu", &size, &resident), 2);
	fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void check_flood(size_t bytes, unsigned char first, char *endpoint)
{
	struct config_sink c = settings(STREAM_PUB);
	struct flood f = { .bytes = bytes, .first = first, .fd = -1 };
	uint64_t end = monotonic_ns() + UINT64_C(60000000000);
	size_t before;
	void *v;

	if (endpoint)
		c.endpoint = endpoint;
	open_with(&c);
	begin(16, 16, PRODUCT_UINT16, 1);
	v = viewer(ZMQ_SUB);
	wait_for(&v, 1, 1);
	begin(16, 16, PRODUCT_UINT16, 1);
	before = resident_bytes();
	for (uint64_t i = 0; f.next < FLOOD; i++) {
		cr_assert_lt(monotonic_ns(), end, "%d were sent", (int)f.next);
		for (unsigned k = 0; k < 100; k++)
			flood_send(&f);
		offer(i);
		cr_assert_eq(see(v, LONG_MS), i);
	}
	cr_expect_gt(f.connections, 2, "it is disconnected");
	if (!SANITIZED) /* which keeps what was freed */
		cr_expect_lt(resident_bytes(), before + (30u << 20));
	cr_expect_eq(stream_figures(stream)->lost + stream_figures(stream)->unwatched, 0);
	if (f.fd >= 0)
		close(f.fd);
	close_all(&v, 1);
}

Test(viewers, a_flood_of_long_subscriptions_takes_no_memory_and_no_frame)
{
	check_flood(1000, 1, NULL);
}

Test(viewers, a_flood_of_short_subscriptions_takes_no_memory_and_no_frame)
{
	check_flood(60, 1, NULL);
}

Test(viewers, a_flood_over_a_local_socket_takes_no_memory_and_no_frame)
{
	char endpoint[64], *path = endpoint + strlen("ipc://");

	snprintf(endpoint, sizeof endpoint, "ipc:///tmp/openbeam-stream-%d", (int)getpid());
	check_flood(60, 1, endpoint);
	unlink(path);
}

Test(viewers, a_flood_of_other_messages_takes_no_memory_and_no_frame)
{
	check_flood(60, 'm', NULL);
}

Test(viewers, a_viewer_may_change_its_mind)
{
	struct config_sink c = settings(STREAM_PUB);
	char topic[16];
	void *v;

	open_with(&c);
	begin(16, 16, PRODUCT_UINT16, 1);
	v = viewer(ZMQ_SUB);
	wait_for(&v, 1, 1);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(topic, sizeof topic, "topic %u", i);
		zmq_setsockopt(v, ZMQ_SUBSCRIBE, topic, strlen(topic));
		zmq_setsockopt(v, ZMQ_UNSUBSCRIBE, topic, strlen(topic));
	}
	wait_for(&v, 1, 2);
	zmq_setsockopt(v, ZMQ_UNSUBSCRIBE, "", 0);
	begin(16, 16, PRODUCT_UINT16, 1);
	for (unsigned i = 0; i < 200 && stream_figures(stream)->unwatched == 0; i++) {
		offer(i);
		usleep(10000);
	}
	cr_expect_gt(stream_figures(stream)->unwatched, 0);
	close_all(&v, 1);
}
