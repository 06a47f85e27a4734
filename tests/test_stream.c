/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/stream.h"

#include "tests/messages.h"
#include "tests/sinks_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

/* A stream and its viewers, in one thread: viewers are raw ZeroMQ sockets. */

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define LONG_MS    10000
#define FRAMES     300
#define LARGE      (1u << 20) /* bytes of a frame that fills kernel buffers soon */
#define PIXELS_MAX (4u << 20)

static unsigned char pixels[PIXELS_MAX], seen[PIXELS_MAX];
static void *viewers; /* their context */
static struct stream *stream;
static struct sink_shape shape;
static char why[256];

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct config_sink settings(enum stream_socket socket)
{
	static char endpoint[] = "tcp://127.0.0.1:*";

	return (struct config_sink){ .format = SINK_STREAM,
		                     .endpoint = endpoint,
		                     .attach = ATTACH_BIND,
		                     .socket = socket,
		                     .every = 1,
		                     .queue = 10 };
}

static void open_with(const struct config_sink *c)
{
	viewers = zmq_ctx_new();
	cr_assert_eq(stream_open(&stream, c, 0, "camera", why), 0, "%s", why);
}

static void begin(uint32_t width, uint32_t height, enum product_type type, uint64_t stride)
{
	shape = (struct sink_shape){ width, height, type,
		                     (size_t)width * height * product_bytes(type) };
	stream_begin(stream, &shape, "wood-0001", stride);
}

static void offer_at(uint64_t number, uint64_t now_ns)
{
	struct stream_frame f = { .number = number, .pixels = pixels };

	rig_pattern(pixels, &shape, number);
	stream_offer(stream, &f, now_ns);
	memset(pixels, 0xee, shape.bytes); /* the contract: copied */
}

static void offer(uint64_t number)
{
	offer_at(number, monotonic_ns());
}

/* Where it is bound. */
static const char *address(void)
{
	return strchr(stream_summary(stream), ' ') + 1;
}

static void *viewer_of(int type, int queue, int kernel_bytes)
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

static void *viewer(int type)
{
	return viewer_of(type, 1000, -1);
}

static void *slow_viewer(void)
{
	return viewer_of(ZMQ_SUB, 1, 4096);
}

/* One message; false when none comes within `ms`. */
static bool receive(void *v, char header[1024], size_t *ret_bytes, int ms)
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

static uint64_t number_of(const char *header)
{
	json_t *root = json_loads(header, 0, NULL);
	uint64_t number;

	cr_assert_not_null(root, "%s", header);
	number = (uint64_t)json_integer_value(json_object_get(root, "frame"));
	json_decref(root);
	return number;
}

/* The next frame: its number, its pixels compared; UINT64_MAX when none comes. */
static uint64_t see(void *v, int ms)
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
static void wait_for(void **all, unsigned count, uint64_t number)
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

static void close_all(void **all, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		zmq_close(all[i]);
	stream_close(stream);
	zmq_ctx_term(viewers);
}

static void expect_figures(uint64_t sent, uint64_t skipped, uint64_t unwatched, uint64_t lost)
{
	const struct stream_figures *f = stream_figures(stream);

	cr_assert(f->sent == sent && f->skipped == skipped && f->unwatched == unwatched &&
	                  f->lost == lost,
	          "sent %" PRIu64 " skipped %" PRIu64 " unwatched %" PRIu64 " lost %" PRIu64,
	          f->sent, f->skipped, f->unwatched, f->lost);
}

Test(stream, header_is_the_one_documented)
{
	struct config_sink c = settings(STREAM_PUB);
	struct stream_frame f = { .number = UINT64_C(9007199254740993),
		                  .timestamp_ns = UINT64_C(1700000000123456789),
		                  .flags = FRAME_INCOMPLETE,
		                  .pixels = pixels };
	char header[1024];
	size_t bytes;
	void *v;

	open_with(&c);
	begin(5, 3, PRODUCT_FLOAT32, 1);
	v = viewer(ZMQ_SUB);
	wait_for(&v, 1, 7);
	offer(8);
	cr_assert(receive(v, header, &bytes, LONG_MS));
	cr_expect_str_eq(header, "{\"htype\":\"array-1.0\",\"shape\":[3,5],\"type\":\"float32\","
	                         "\"frame\":8,\"source\":\"camera\",\"series\":\"wood-0001\"}");
	stream_offer(stream, &f, monotonic_ns());
	cr_assert(receive(v, header, &bytes, LONG_MS));
	cr_expect_str_eq(header, "{\"htype\":\"array-1.0\",\"shape\":[3,5],\"type\":\"float32\","
	                         "\"frame\":9007199254740993,\"source\":\"camera\","
	                         "\"series\":\"wood-0001\","
	                         "\"timestamp_ns\":1700000000123456789,\"is_good_frame\":0}");
	close_all(&v, 1);
}

static void decode_one(void *v, struct decoder *d, enum product_type type)
{
	static const enum pixel_type types[] = { PIXEL_UINT8, PIXEL_UINT16, PIXEL_UINT32,
		                                 PIXEL_FLOAT32 };
	struct stream_frame f = { .number = 12, .timestamp_ns = 34567, .pixels = pixels };
	struct message m = { 0 };
	struct decoded found;
	char header[1024];
	size_t bytes;

	begin(61, 43, type, 1);
	rig_pattern(pixels, &shape, 12);
	stream_offer(stream, &f, monotonic_ns());
	cr_assert(receive(v, header, &bytes, LONG_MS));
	message_text(&m, header);
	message_add(&m, seen, bytes);
	found = message_decode("array-1.0", d, &m);
	cr_assert_eq(found.verdict, VERDICT_FRAME, "%s", found.why);
	cr_expect_eq(found.frame.number, 12);
	cr_expect_eq(found.frame.timestamp_ns, 34567);
	cr_expect_eq(found.frame.width, 61);
	cr_expect_eq(found.frame.height, 43);
	cr_expect_eq(found.frame.type, types[type]);
	cr_expect_eq(found.frame.flags, 0);
	cr_expect_eq(found.frame.bytes, shape.bytes);
	cr_expect_arr_eq(found.frame.pixels, pixels, shape.bytes);
}

Test(stream, every_type_is_read_by_ingest_as_it_was)
{
	struct config_sink c = settings(STREAM_PUB);
	struct decoder *d = messages_open("array-1.0", "");
	void *v;

	open_with(&c);
	begin(8, 8, PRODUCT_UINT8, 1);
	v = viewer(ZMQ_SUB);
	wait_for(&v, 1, 0);
	for (unsigned type = 0; type < PRODUCT_TYPE_COUNT; type++)
		decode_one(v, d, (enum product_type)type);
	protocol_find("array-1.0")->close(d);
	close_all(&v, 1);
}

Test(stream, frames_without_viewers_are_unwatched_and_not_lost)
{
	struct config_sink c = settings(STREAM_PUB);
	void *v;

	open_with(&c);
	begin(16, 16, PRODUCT_UINT16, 1);
	for (unsigned i = 0; i < 10; i++)
		offer(i);
	expect_figures(0, 0, 10, 0);
	v = viewer(ZMQ_SUB);
	wait_for(&v, 1, 10);
	begin(16, 16, PRODUCT_UINT16, 1);
	offer(11);
	cr_assert_eq(see(v, LONG_MS), 11);
	expect_figures(1, 0, 0, 0);
	zmq_close(v);
	for (unsigned i = 0; i < 200 && stream_figures(stream)->unwatched == 0; i++) {
		offer(12 + i);
		usleep(10000);
	}
	cr_assert_gt(stream_figures(stream)->unwatched, 0, "who has left is no viewer");
	close_all(NULL, 0);
}

/* Numbers first, first + step, ... of `count` frames, and those seen. */
static void check_every(uint64_t every, uint64_t stride, uint64_t first, uint64_t step,
                        uint64_t count, const uint64_t *wanted)
{
	struct config_sink c = settings(STREAM_PUB);
	void *v;

	c.every = (uint32_t)every;
	open_with(&c);
	begin(16, 16, PRODUCT_UINT8, 1);
	v = viewer(ZMQ_SUB);
	wait_for(&v, 1, 999); /* the first of that series */
	begin(16, 16, PRODUCT_UINT8, stride);
	for (uint64_t i = 0; i < count; i++)
		offer(first + i * step);
	for (; *wanted; wanted++)
		cr_assert_eq(see(v, LONG_MS), *wanted);
	cr_assert_eq(see(v, 100), UINT64_MAX);
	cr_assert_eq(stream_figures(stream)->sent + stream_figures(stream)->skipped, count);
	close_all(&v, 1);
}

Test(stream, sends_every_nth_number_from_the_first)
{
	check_every(4, 1, 10, 1, 10, (const uint64_t[]){ 10, 14, 18, 0 });
}

Test(stream, counts_in_steps_of_the_camera)
{
	check_every(3, 50, 7766800, 50, 7, (const uint64_t[]){ 7766800, 7766950, 7767100, 0 });
}

Test(stream, numbers_that_are_missing_do_not_move_the_others)
{
	/* Each second number is lost: of the 3rd, 6th, 9th ... only each second is there. */
	check_every(3, 1, 1, 2, 10, (const uint64_t[]){ 1, 7, 13, 19, 0 });
}

Test(stream, counts_averaged_frames_by_their_groups)
{
	/* Groups of 4, numbered by their last frame. */
	check_every(2, 4, 3, 4, 6, (const uint64_t[]){ 3, 11, 19, 0 });
}

static unsigned sent_at_rate(uint32_t rate, uint64_t period_ns, unsigned frames)
{
	struct config_sink c = settings(STREAM_PUSH);
	uint64_t now = UINT64_C(1000000000000);
	unsigned due;

	c.rate = rate;
	open_with(&c);
	begin(16, 16, PRODUCT_UINT8, 1);
	for (unsigned i = 0; i < frames; i++)
		offer_at(i, now + i * period_ns);
	due = frames - (unsigned)stream_figures(stream)->skipped;
	close_all(NULL, 0);
	return due;
}

Test(stream, sends_at_most_so_many_a_second)
{
	cr_expect_eq(sent_at_rate(10, 1000000, 5000), 50);
	cr_expect_eq(sent_at_rate(0, 1000000, 5000), 5000);
	cr_expect_eq(sent_at_rate(1000, 1000000, 5000), 5000, "as many as there are");
	/* 300 Hz, of which 100 a second: not each 4th, for all that they come a little early. */
	cr_expect_eq(sent_at_rate(100, 3333333, 3000), 1000);
	cr_expect_eq(sent_at_rate(1, 10 * UINT64_C(1000000000), 5), 5, "slower than that");
}

Test(stream, after_a_pause_none_are_made_up_for)
{
	struct config_sink c = settings(STREAM_PUSH);
	uint64_t now = UINT64_C(1000000000000);

	c.rate = 10;
	open_with(&c);
	begin(16, 16, PRODUCT_UINT8, 1);
	offer_at(0, now);
	for (unsigned i = 0; i < 100; i++)
		offer_at(1 + i, now + UINT64_C(60000000000) + i * 1000000);
	cr_expect_eq(stream_figures(stream)->skipped, 99);
	close_all(NULL, 0);
}

Test(stream, push_without_a_peer_loses_and_never_waits)
{
	struct config_sink c = settings(STREAM_PUSH);
	uint64_t started;

	open_with(&c);
	begin(512, 512, PRODUCT_FLOAT32, 1);
	started = monotonic_ns();
	for (unsigned i = 0; i < 100; i++)
		offer(i);
	cr_expect_lt(monotonic_ns() - started, UINT64_C(5000000000));
	expect_figures(0, 0, 0, 100);
	close_all(NULL, 0);
}

/* A viewer's address where nobody is yet is no viewer. */
Test(stream, push_that_connects_to_nobody_loses)
{
	struct config_sink c = settings(STREAM_PUSH);
	char endpoint[] = "tcp://127.0.0.1:1";

	c.endpoint = endpoint;
	c.attach = ATTACH_CONNECT;
	open_with(&c);
	begin(16, 16, PRODUCT_UINT8, 1);
	for (unsigned i = 0; i < 20; i++)
		offer(i);
	expect_figures(0, 0, 0, 20);
	close_all(NULL, 0);
}

Test(stream, push_gives_each_frame_to_one_viewer)
{
	struct config_sink c = settings(STREAM_PUSH);
	void *v[2];
	unsigned count[FRAMES] = { 0 };
	uint64_t n;

	open_with(&c);
	begin(64, 64, PRODUCT_UINT16, 1);
	for (unsigned i = 0; i < 2; i++)
		v[i] = viewer(ZMQ_PULL);
	for (unsigned i = 0; i < 2; i++) /* both are there */
		while (see(v[i], 10) == UINT64_MAX)
			offer(0);
	for (unsigned i = 0; i < 2; i++)
		while (see(v[i], 100) != UINT64_MAX)
			;
	begin(64, 64, PRODUCT_UINT16, 1);
	for (unsigned i = 0; i < FRAMES; i++) {
		offer(i);
		usleep(500);
	}
	for (unsigned i = 0; i < 2; i++)
		while ((n = see(v[i], 200)) != UINT64_MAX)
			count[n]++;
	expect_figures(FRAMES, 0, 0, 0);
	for (unsigned i = 0; i < FRAMES; i++)
		cr_assert_eq(count[i], 1, "frame %u came %u times", i, count[i]);
	close_all(v, 2);
}

Test(stream, push_counts_what_a_standing_viewer_does_not_take)
{
	struct config_sink c = settings(STREAM_PUSH);
	unsigned got = 0;
	void *v;

	open_with(&c);
	begin(1024, 1024, PRODUCT_UINT8, 1);
	v = viewer_of(ZMQ_PULL, 1, 4096);
	while (see(v, 10) == UINT64_MAX)
		offer(0);
	while (see(v, 200) != UINT64_MAX)
		;
	begin(1024, 1024, PRODUCT_UINT8, 1);
	for (unsigned i = 0; i < FRAMES; i++)
		offer(i);
	while (see(v, 300) != UINT64_MAX)
		got++;
	cr_assert(got > 0 && got < FRAMES / 2, "%u", got);
	expect_figures(got, 0, 0, FRAMES - got);
	close_all(&v, 1);
}

/* libzmq names a full queue once and then leaves the viewer out silently: each frame counts. */
static void check_standing(uint32_t queue)
{
	struct config_sink c = settings(STREAM_PUB);
	const struct stream_figures *f;
	unsigned missed = 0;
	void *v[2];

	c.queue = queue;
	open_with(&c);
	begin(1024, 1024, PRODUCT_UINT8, 1);
	v[0] = viewer(ZMQ_SUB);
	v[1] = slow_viewer();
	wait_for(v, 2, 0);
	begin(1024, 1024, PRODUCT_UINT8, 1);
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

Test(stream, counts_each_frame_that_a_standing_viewer_misses_and_no_other_viewer_does)
{
	check_standing(1);
	check_standing(2);
	check_standing(10);
	check_standing(50);
}

Test(stream, counts_what_a_viewer_misses_that_is_half_as_fast)
{
	struct config_sink c = settings(STREAM_PUB);
	const struct stream_figures *f;
	unsigned missed = FRAMES;
	void *v[2];

	open_with(&c);
	begin(1024, 1024, PRODUCT_UINT8, 1);
	v[0] = viewer(ZMQ_SUB);
	v[1] = slow_viewer();
	wait_for(v, 2, 0);
	begin(1024, 1024, PRODUCT_UINT8, 1);
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
Test(stream, many_standing_viewers_neither_stop_it_nor_stay_for_ever)
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
	begin(2048, 2048, PRODUCT_UINT8, 1);
	for (unsigned i = 0; i < 20; i++) {
		offer(i);
		cr_assert_eq(see(v[0], LONG_MS), i);
	}
	expect_figures(20, 0, 0, 0);
	close_all(v, 1);
}

Test(stream, frames_of_another_size_come_in_the_next_series)
{
	static const uint32_t widths[] = { 1000, 3, 2000, 64, 1 };
	struct config_sink c = settings(STREAM_PUB);
	void *v;

	open_with(&c);
	begin(10, 10, PRODUCT_UINT8, 1);
	v = viewer(ZMQ_SUB);
	wait_for(&v, 1, 0);
	for (unsigned s = 0; s < sizeof widths / sizeof *widths; s++) {
		begin(widths[s], 97, PRODUCT_FLOAT32, 1);
		for (unsigned i = 0; i < 30; i++) {
			offer(i);
			cr_assert_eq(see(v, LONG_MS), i);
		}
		expect_figures(30, 0, 0, 0);
	}
	close_all(&v, 1);
}

/* `burst` frames follow each other at once. */
static void check_late(enum stream_socket socket, unsigned burst)
{
	struct config_sink c = settings(socket);
	uint64_t number;
	void *v;

	c.queue = burst + 1;
	open_with(&c);
	begin(32, 32, PRODUCT_UINT16, 1);
	for (unsigned i = 0; i < 50; i++)
		offer(i);
	v = viewer(socket == STREAM_PUB ? ZMQ_SUB : ZMQ_PULL);
	for (number = 50; stream_figures(stream)->sent == 0; number++)
		offer(number);
	for (unsigned i = 0; i < burst; i++)
		offer(number + i);
	cr_assert_eq(stream_figures(stream)->sent, burst + 1);
	for (unsigned i = 0; i < burst + 1; i++)
		cr_assert_eq(see(v, LONG_MS), number - 1 + i);
	close_all(&v, 1);
}

Test(stream, a_burst_as_long_as_the_queue_is_seen_whole)
{
	for (unsigned round = 0; round < 20; round++) {
		check_late(STREAM_PUB, 9);
		check_late(STREAM_PUB, 500);
		check_late(STREAM_PUSH, 500);
	}
}

/* Each shape costs what the header says; many and one are the ends of `queue`. */
Test(stream, sets_memory_aside_for_a_standing_viewer)
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

Test(stream, closes_soon_while_a_viewer_takes_nothing)
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

Test(stream, connects_to_a_viewer_that_binds)
{
	struct config_sink c = settings(STREAM_PUB);
	char endpoint[128];
	size_t size = sizeof endpoint;
	int patience = LONG_MS;
	void *v;

	viewers = zmq_ctx_new();
	v = zmq_socket(viewers, ZMQ_SUB);
	zmq_setsockopt(v, ZMQ_SUBSCRIBE, "", 0);
	zmq_setsockopt(v, ZMQ_RCVTIMEO, &patience, sizeof patience);
	cr_assert_eq(zmq_bind(v, "tcp://127.0.0.1:*"), 0);
	cr_assert_eq(zmq_getsockopt(v, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
	c.endpoint = endpoint;
	c.attach = ATTACH_CONNECT;
	cr_assert_eq(stream_open(&stream, &c, 0, "camera", why), 0, "%s", why);
	begin(16, 16, PRODUCT_UINT16, 1);
	wait_for(&v, 1, 3);
	close_all(&v, 1);
}

/* Addresses. */

static void expect_refused(struct config_sink c, int error, const char *reason)
{
	struct stream *second = NULL;

	why[0] = '\0';
	cr_assert_eq(stream_open(&second, &c, 2, "camera", why), error, "%s", why);
	cr_expect_null(second);
	cr_expect_not_null(strstr(why, "sink 2 (stream)"), "%s", why);
	cr_expect_not_null(strstr(why, c.endpoint), "%s", why);
	cr_expect_not_null(strstr(why, reason), "%s", why);
	cr_expect_not_null(strstr(why, "sinks.2.endpoint"), "%s", why);
}

Test(stream, an_address_in_use_is_refused_by_name)
{
	struct config_sink c = settings(STREAM_PUB), second = c;
	char bound[128], path[64], ipc[80];

	open_with(&c);
	snprintf(bound, sizeof bound, "%s", address());
	second.endpoint = bound;
	expect_refused(second, -EADDRINUSE, "choose another port");
	stream_close(stream);
	snprintf(path, sizeof path, "/tmp/openbeam-stream-%d", (int)getpid());
	snprintf(ipc, sizeof ipc, "ipc://%s", path);
	second.endpoint = ipc;
	cr_assert_eq(stream_open(&stream, &second, 0, "camera", why), 0, "%s", why);
	expect_refused(second, -EADDRINUSE, "choose another port or path");
	close_all(NULL, 0);
	unlink(path);
}

Test(stream, a_file_that_is_no_socket_is_left_alone)
{
	struct config_sink c = settings(STREAM_PUB);
	char path[64], ipc[80];
	struct stat status;
	int fd;

	snprintf(path, sizeof path, "/tmp/openbeam-stream-%d", (int)getpid());
	snprintf(ipc, sizeof ipc, "ipc://%s", path);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, "data", 4), 4);
	close(fd);
	c.endpoint = ipc;
	expect_refused(c, -EEXIST, "remove that file");
	cr_expect_eq(stat(path, &status), 0);
	cr_expect_eq(status.st_size, 4);
	unlink(path);
}

Test(stream, an_address_of_another_host_is_refused_by_name)
{
	struct config_sink c = settings(STREAM_PUB);
	char elsewhere[] = "tcp://192.0.2.1:9998", nowhere[] = "tcp://no-such-card:9998";

	c.endpoint = elsewhere;
	expect_refused(c, -EADDRNOTAVAIL, "of this host");
	c.endpoint = nowhere;
	expect_refused(c, -ENODEV, "of this host");
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

Test(stream, a_flood_of_long_subscriptions_takes_no_memory_and_no_frame)
{
	check_flood(1000, 1, NULL);
}

Test(stream, a_flood_of_short_subscriptions_takes_no_memory_and_no_frame)
{
	check_flood(60, 1, NULL);
}

Test(stream, a_flood_over_a_local_socket_takes_no_memory_and_no_frame)
{
	char endpoint[64], *path = endpoint + strlen("ipc://");

	snprintf(endpoint, sizeof endpoint, "ipc:///tmp/openbeam-stream-%d", (int)getpid());
	check_flood(60, 1, endpoint);
	unlink(path);
}

Test(stream, a_flood_of_other_messages_takes_no_memory_and_no_frame)
{
	check_flood(60, 'm', NULL);
}

Test(stream, a_viewer_may_change_its_mind)
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

/* Beside files. */

static struct rig rig;

static json_t *manifest_sink(unsigned i)
{
	char path[4352];
	json_t *root, *sink;

	snprintf(path, sizeof path, "%s/manifest.json", sinks_series_path(rig.sinks));
	root = json_load_file(path, 0, NULL);
	cr_assert_not_null(root);
	cr_assert_str_eq(json_string_value(json_object_get(root, "state")), "complete");
	sink = json_incref(json_array_get(json_object_get(root, "sinks"), i));
	json_decref(root);
	return sink;
}

static json_int_t figure(const json_t *sink, const char *name)
{
	cr_assert(json_is_integer(json_object_get(sink, name)), "%s", name);
	return json_integer_value(json_object_get(sink, name));
}

static void begin_rig(enum stream_socket socket)
{
	rig_make(&rig, SINK_TIFF);
	rig_shape(&rig, 1024, 512, PRODUCT_UINT16);
	rig.config.sink_count = 2;
	rig.config.sinks[1].format = SINK_STREAM;
	rig.config.sinks[1].socket = socket;
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
	shape = rig.geometry.reduced;
}

Test(stream, losses_of_viewers_leave_the_series_complete)
{
	json_t *sink;

	begin_rig(STREAM_PUSH);
	cr_expect_not_null(strstr(sinks_writer_summary(rig.sinks), ", push tcp://127.0.0.1:"), "%s",
	                   sinks_writer_summary(rig.sinks));
	rig_begin(&rig);
	for (unsigned i = 0; i < 50; i++)
		rig_put(&rig, i);
	rig_end(&rig);
	rig_check(&rig);
	cr_assert(rig.complete);
	cr_assert_eq(rig_count(&rig, FRAME_WRITTEN, 0), 50);
	sink = manifest_sink(1);
	cr_expect_eq(figure(sink, "lost_to_viewers"), 50);
	cr_expect_eq(figure(sink, "sent"), 0);
	cr_expect_eq(figure(sink, "written"), 50, "handed over");
	cr_expect_eq(json_array_size(json_object_get(sink, "files")), 0);
	cr_expect_eq(rig_files(&rig, "sink-1.csv"), 0);
	cr_expect_not_null(
		strstr(rig.said, "sink 1 (stream): 50 of 50 frames were lost to viewers"), "%s",
		rig.said);
	json_decref(sink);
	sink = manifest_sink(0);
	cr_expect_null(json_object_get(sink, "sent"));
	json_decref(sink);
	rig_done(&rig);
}

Test(stream, viewers_see_what_the_file_holds)
{
	char endpoint[80], name[64], header[1024];
	size_t bytes;
	json_t *sink;
	void *v;

	begin_rig(STREAM_PUB);
	snprintf(endpoint, sizeof endpoint, "%s",
	         strstr(sinks_writer_summary(rig.sinks), "pub ") + strlen("pub "));
	viewers = zmq_ctx_new();
	v = zmq_socket(viewers, ZMQ_SUB);
	zmq_setsockopt(v, ZMQ_SUBSCRIBE, "", 0);
	cr_assert_eq(zmq_connect(v, endpoint), 0);
	for (unsigned s = 1, there = 0; there < 2; s++) { /* a whole series, once it is there */
		cr_assert_lt(s, 100);
		rig_begin(&rig);
		for (unsigned i = 0; i < 8; i++)
			rig_put(&rig, i);
		rig_end(&rig);
		rig_check(&rig);
		snprintf(name, sizeof name, "\"series\":\"wood-%04u\"", s);
		if (!receive(v, header, &bytes, 100))
			continue;
		there++;
		for (uint64_t i = number_of(header); there == 2 && i < 8; i++) {
			cr_assert_not_null(strstr(header, name), "%s", header);
			cr_assert_eq(number_of(header), i);
			rig_pattern(pixels, &shape, i);
			cr_assert_arr_eq(seen, pixels, shape.bytes);
			cr_assert(i == 7 || receive(v, header, &bytes, LONG_MS));
		}
		while (there == 1 && receive(v, header, &bytes, 200))
			;
	}
	sink = manifest_sink(1);
	cr_expect_eq(figure(sink, "sent"), 8);
	cr_expect_eq(figure(sink, "lost_to_viewers"), 0);
	json_decref(sink);
	zmq_close(v);
	zmq_ctx_term(viewers);
	rig_done(&rig);
}

Test(stream, an_address_in_use_keeps_the_sinks_from_opening)
{
	struct config_sink c = settings(STREAM_PUB);
	char bound[128];

	open_with(&c);
	snprintf(bound, sizeof bound, "%s", address());
	rig_make(&rig, SINK_RAW);
	rig.config.sink_count = 2;
	rig.config.sinks[1].format = SINK_STREAM;
	rig.config.sinks[1].endpoint = bound;
	cr_assert_eq(rig_open(&rig), -EADDRINUSE);
	cr_expect_not_null(strstr(rig.why, bound), "%s", rig.why);
	rig_done(&rig);
	close_all(NULL, 0);
}
