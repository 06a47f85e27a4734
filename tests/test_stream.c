/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/messages.h"
#include "tests/stream_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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
	unsigned count[FRAMES] = { 0 }, seen_all = 0;
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
		uint64_t end = monotonic_ns() + LONG_MS * UINT64_C(1000000);

		offer(i);
		/* No more under way than the queue has room for, however slow the machine is. */
		for (unsigned k = 0; i % 8 == 7 && seen_all <= i && monotonic_ns() < end; k++)
			if ((n = see(v[k % 2], 1)) != UINT64_MAX) {
				count[n]++;
				seen_all++;
			}
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

/* The frames of a series that the viewer gets, each as it was put. */
static unsigned receive_series(void *v, unsigned series)
{
	char name[64], header[1024];
	unsigned count = 0;
	size_t bytes;

	snprintf(name, sizeof name, "\"series\":\"wood-%04u\"", series);
	while (count < 8 && receive(v, header, &bytes, count ? 1000 : 100)) {
		cr_assert_not_null(strstr(header, name), "%s", header);
		rig_pattern(pixels, &shape, number_of(header));
		cr_assert_arr_eq(seen, pixels, shape.bytes);
		count++;
	}
	return count;
}

Test(stream, viewers_see_what_the_file_holds)
{
	unsigned series = 0, got = 0;
	bool there = false;
	char endpoint[80];
	json_t *sink;
	void *v;

	begin_rig(STREAM_PUB);
	snprintf(endpoint, sizeof endpoint, "%s",
	         strstr(sinks_writer_summary(rig.sinks), "pub ") + strlen("pub "));
	viewers = zmq_ctx_new();
	v = zmq_socket(viewers, ZMQ_SUB);
	zmq_setsockopt(v, ZMQ_SUBSCRIBE, "", 0);
	cr_assert_eq(zmq_connect(v, endpoint), 0);
	while (got < 8) { /* on a busy machine a viewer may be too slow for one */
		cr_assert_lt(series, 100);
		there |= got > 0;
		rig_begin(&rig);
		for (unsigned i = 0; i < 8; i++)
			rig_put(&rig, i);
		rig_end(&rig);
		rig_check(&rig);
		got = receive_series(v, ++series);
		sink = manifest_sink(1);
		if (there) {
			cr_assert_eq(got, figure(sink, "sent"));
			cr_assert_eq(got + figure(sink, "lost_to_viewers"), 8);
		}
		json_decref(sink);
	}
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
