/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_STREAM_RIG_H
#define TESTS_STREAM_RIG_H

#include "sinks/stream.h"
#include "tests/sinks_rig.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

/* A stream and its viewers, in one thread: viewers are raw ZeroMQ sockets. */

#define LONG_MS    10000
#define FRAMES     300
#define LARGE      (1u << 20) /* bytes of a frame that fills kernel buffers soon */
#define PIXELS_MAX (4u << 20)

static unsigned char pixels[PIXELS_MAX], seen[PIXELS_MAX];
static void *viewers; /* their context */
static struct stream *stream;
static struct sink_shape shape;
static char why[256];

static inline uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline struct config_sink settings(enum stream_socket socket)
{
	static char endpoint[] = "tcp://127.0.0.1:*";

	return (struct config_sink){ .format = SINK_STREAM,
		                     .endpoint = endpoint,
		                     .attach = ATTACH_BIND,
		                     .socket = socket,
		                     .every = 1,
		                     .queue = 10 };
}

static inline void open_with(const struct config_sink *c)
{
	viewers = zmq_ctx_new();
	cr_assert_eq(stream_open(&stream, c, 0, "camera", why), 0, "%s", why);
}

static inline void begin(uint32_t width, uint32_t height, enum product_type type, uint64_t stride)
{
	shape = (struct sink_shape){ width, height, type,
		                     (size_t)width * height * product_bytes(type) };
	stream_begin(stream, &shape, "wood-0001", stride);
}

static inline void offer_at(uint64_t number, uint64_t now_ns)
{
	struct stream_frame f = { .number = number, .pixels = pixels };

	rig_pattern(pixels, &shape, number);
	stream_offer(stream, &f, now_ns);
	memset(pixels, 0xee, shape.bytes); /* the contract: copied */
}

static inline void offer(uint64_t number)
{
	offer_at(number, monotonic_ns());
}

/* Where it is bound. */
static inline const char *address(void)
{
	return strchr(stream_summary(stream), ' ') + 1;
}

static inline void *viewer_of(int type, int queue, int kernel_bytes)
{
	void *v = zmq_socket(viewers, type);
	int linger = 0, patience = LONG_MS;

	cr_assert_not_null(v);
	zmq_setsockopt(v, ZMQ_LINGER, &linger, sizeof linger);
	zmq_setsockopt(v, ZMQ_RCVTIMEO, &patience, sizeof patience);
	zmq_setsockopt(v, ZMQ_RCVHWM, &queue, sizeof queue);
	zmq_setsockopt(v, ZMQ_RCVBUF, &kernel_bytes, sizeof kernel_bytes);
	if (type == ZMQ_SUB)
		zmq_setsockopt(v, ZMQ_SUBSCRIBE, "", 0);
	cr_assert_eq(zmq_connect(v, address()), 0);
	return v;
}

static inline void *viewer(int type)
{
	return viewer_of(type, 1000, -1);
}

static inline void *slow_viewer(void)
{
	return viewer_of(ZMQ_SUB, 1, 4096);
}

/* One message; false when none comes within `ms`. */
static inline bool receive(void *v, char header[1024], size_t *ret_bytes, int ms)
{
	zmq_pollitem_t item = { .socket = v, .events = ZMQ_POLLIN };
	int n, more = 0;
	size_t size = sizeof more;

	if (zmq_poll(&item, 1, ms) <= 0)
		return false;
	n = zmq_recv(v, header, 1023, 0);
	cr_assert(n > 0 && n < 1023);
	header[n] = '\0';
	cr_assert_eq(zmq_getsockopt(v, ZMQ_RCVMORE, &more, &size), 0);
	cr_assert(more, "a header alone");
	n = zmq_recv(v, seen, sizeof seen, 0);
	cr_assert(n >= 0 && n <= (int)sizeof seen);
	*ret_bytes = (size_t)n;
	cr_assert_eq(zmq_getsockopt(v, ZMQ_RCVMORE, &more, &size), 0);
	cr_assert_not(more, "a third part");
	return true;
}

static inline uint64_t number_of(const char *header)
{
	json_t *root = json_loads(header, 0, NULL);
	uint64_t number;

	cr_assert_not_null(root, "%s", header);
	number = (uint64_t)json_integer_value(json_object_get(root, "frame"));
	json_decref(root);
	return number;
}

/* The next frame: its number, its pixels compared; UINT64_MAX when none comes. */
static inline uint64_t see(void *v, int ms)
{
	char header[1024];
	size_t bytes;
	uint64_t number;

	if (!receive(v, header, &bytes, ms))
		return UINT64_MAX;
	number = number_of(header);
	cr_assert_eq(bytes, shape.bytes);
	rig_pattern(pixels, &shape, number);
	cr_assert_arr_eq(seen, pixels, shape.bytes, "pixels of frame %" PRIu64, number);
	return number;
}

/* Wait until the stream knows of so many viewers, by frames that are seen by all of them. */
static inline void wait_for(void **all, unsigned count, uint64_t number)
{
	uint64_t end = monotonic_ns() + LONG_MS * UINT64_C(1000000);
	unsigned there = 0;

	while (there < count) {
		cr_assert_lt(monotonic_ns(), end, "viewers did not connect");
		offer(number);
		there = 0;
		for (unsigned i = 0; i < count; i++)
			there += see(all[i], 50) == number;
	}
	for (unsigned i = 0; i < count; i++)
		while (see(all[i], 50) != UINT64_MAX)
			;
}

static inline void close_all(void **all, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		zmq_close(all[i]);
	stream_close(stream);
	zmq_ctx_term(viewers);
}

static inline void expect_figures(uint64_t sent, uint64_t skipped, uint64_t unwatched,
                                  uint64_t lost)
{
	const struct stream_figures *f = stream_figures(stream);

	cr_assert(f->sent == sent && f->skipped == skipped && f->unwatched == unwatched &&
	                  f->lost == lost,
	          "sent %" PRIu64 " skipped %" PRIu64 " unwatched %" PRIu64 " lost %" PRIu64,
	          f->sent, f->skipped, f->unwatched, f->lost);
}

#endif
