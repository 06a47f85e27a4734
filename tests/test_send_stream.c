/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/sender.h"
#include "config/config.h"
#include "ingest/protocol.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A sender in a process of its own against a receiver that decodes as the daemon does. */

#define FRAMES     2000
#define WIDTH      16
#define HEIGHT     12
#define PATIENCE_S 20

static char directory[] = "/tmp/openbeam-send-XXXXXX";
static char report_path[40], sender_endpoint[48]; /* in the directory */
static pid_t child;                               /* 0: none runs */

static void set_up(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(report_path, sizeof report_path, "%s/report", directory);
	snprintf(sender_endpoint, sizeof sender_endpoint, "ipc://%s/wire", directory);
}

/* The sender's process ends without closing its socket, whose file stays. */
static void tear_down(void)
{
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	unlink(report_path);
	unlink(sender_endpoint + strlen("ipc://"));
	cr_expect_eq(rmdir(directory), 0, "%s is left behind", directory);
}

TestSuite(send_stream, .init = set_up, .fini = tear_down);

static volatile sig_atomic_t stopped;

static void stop_now(int number)
{
	(void)number;
	stopped = 1;
}

/* What the receiver saw of each frame number. */
struct tally {
	unsigned usable[FRAMES], unusable[FRAMES];
	unsigned nameless; /* unusable messages without a number that can be read */
	unsigned order;    /* usable frames that came behind a higher number */
	unsigned messages;
};

static struct send_options options_of(const char *line)
{
	struct send_options o;
	static char words[512];
	char *argv[40] = { "openbeam-send" }, why[512];
	int argc = 1;

	snprintf(words, sizeof words, "%s", line);
	for (char *word = strtok(words, " "); word && argc < 39; word = strtok(NULL, " "))
		argv[argc++] = word;
	cr_assert_eq(send_options_parse(&o, argc, argv, why), 0, "%s", why);
	return o;
}

/* The child's whole life; its exit status is what sender_run() said. */
static void send_and_exit(const char *line)
{
	struct send_options o = options_of(line);
	struct pattern_options wanted = { .kind = o.pattern,
		                          .width = o.width,
		                          .height = o.height,
		                          .type = o.format->type,
		                          .bits = o.format->bits,
		                          .memory_limit = 1 << 24 };
	struct wire_options ends = { o.endpoint_count, o.endpoints, o.bind, o.publish, 100, NULL };
	struct pattern pattern;
	struct stock stock;
	struct wire wire;
	struct send_report report = { 0 };
	struct sender sender = {
		.options = &o, .stock = &stock, .wire = &wire, .stop = &stopped, .report = &report
	};
	struct sigaction action = { .sa_handler = stop_now };
	int err;

	sigaction(SIGTERM, &action, NULL);
	alarm(0);
	if (pattern_open(&pattern, &wanted) || wire_open(&wire, &ends) ||
	    stock_open(&stock, &pattern, FRAMING_PLAIN, 0, 0))
		_exit(2);
	err = sender_run(&sender);
	if (send_report_write(&report, &o, &pattern, report_path))
		_exit(3);
	_exit(err ? 1 : 0);
}

/* Start a sender to `sender_endpoint`. */
static void start_sender(const char *options)
{
	char line[400];

	snprintf(line, sizeof line, "--to %s --size 16x12 --pattern counter --quiet %s",
	         sender_endpoint, options);
	child = fork();
	cr_assert_geq(child, 0);
	if (child == 0)
		send_and_exit(line);
}

static json_t *finish_sender(void)
{
	json_t *report;
	int status = -1;

	cr_assert_eq(waitpid(child, &status, 0), child);
	child = 0;
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
	report = json_load_file(report_path, 0, NULL);
	cr_assert_not_null(report);
	return report;
}

/* All parts of one message; false when the socket fell silent for `timeout_ms`. */
static bool receive(void *socket, int timeout_ms, zmq_msg_t parts[2], unsigned *ret_count)
{
	zmq_pollitem_t item = { .socket = socket, .events = ZMQ_POLLIN };
	int more = 1;

	if (zmq_poll(&item, 1, timeout_ms) <= 0)
		return false;
	for (*ret_count = 0; more; ++*ret_count) {
		cr_assert_lt(*ret_count, 2, "a message has two parts");
		zmq_msg_init(&parts[*ret_count]);
		cr_assert_geq(zmq_msg_recv(&parts[*ret_count], socket, 0), 0);
		more = zmq_msg_more(&parts[*ret_count]);
	}
	return true;
}

static void expect_counter_pixels(const struct frame *f)
{
	const char *pixels = f->pixels; /* at any address */

	for (uint64_t y = 0; y < HEIGHT; y++)
		for (uint64_t x = 0; x < WIDTH; x++) {
			uint16_t value;

			memcpy(&value, pixels + 2 * (y * WIDTH + x), sizeof value);
			cr_assert_eq(value, (f->number * 7919 + y * 131 + x * 31) % 4096);
		}
}

static void count(struct tally *t, const struct decoded *d, uint64_t *newest)
{
	t->messages++;
	if (d->verdict != VERDICT_FRAME) {
		cr_assert_eq(d->verdict, VERDICT_REJECTED);
		if (d->number_known)
			t->unusable[d->frame.number]++;
		else
			t->nameless++;
		return;
	}
	cr_assert_lt(d->frame.number, FRAMES);
	expect_counter_pixels(&d->frame);
	t->usable[d->frame.number]++;
	t->order += d->frame.number < *newest;
	*newest = d->frame.number > *newest ? d->frame.number : *newest;
}

static void *open_socket(void *context, int type, const char *endpoint)
{
	void *socket = zmq_socket(context, type);
	int linger = 0;

	cr_assert_not_null(socket);
	zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
	if (type == ZMQ_SUB)
		zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
	cr_assert_eq(zmq_connect(socket, endpoint), 0);
	return socket;
}

static void close_socket(void *context, void *socket)
{
	zmq_close(socket);
	zmq_ctx_term(context);
}

/* Receive until silence; patient before the first message only. */
static void receive_all(void *socket, struct tally *t)
{
	const struct protocol *array10 = protocol_find("array-1.0");
	struct config config;
	struct decoder *decoder;
	char *problems, why[160];
	uint64_t newest = 0;
	zmq_msg_t parts[2];
	unsigned parts_count;

	cr_assert_not_null(array10);
	cr_assert_eq(config_load(&config, NULL, NULL, 0, &problems), 0);
	cr_assert_eq(array10->open(&decoder, &config.ingest, why), 0, "%s", why);
	while (receive(socket, t->messages ? 700 : PATIENCE_S * 1000, parts, &parts_count)) {
		struct message m = { .part_count = parts_count };
		struct decoded d;

		for (unsigned i = 0; i < parts_count; i++)
			m.parts[i] =
				(struct part){ zmq_msg_data(&parts[i]), zmq_msg_size(&parts[i]) };
		array10->decode(decoder, &m, &d);
		count(t, &d, &newest);
		for (unsigned i = 0; i < parts_count; i++)
			zmq_msg_close(&parts[i]);
	}
	array10->close(decoder);
	config_done(&config);
}

static size_t listed(json_t *report, const char *list, uint64_t number)
{
	json_t *array = json_object_get(report, list), *value;
	size_t index, found = 0;

	json_array_foreach(array, index, value) found +=
		json_is_integer(value) && (uint64_t)json_integer_value(value) == number;
	return found;
}

static json_int_t counted(json_t *report, const char *name)
{
	json_t *counts = json_object_get(report, "counts");

	cr_assert(json_is_integer(json_object_get(counts, name)), "counts.%s", name);
	return json_integer_value(json_object_get(counts, name));
}

static struct tally *new_tally(void)
{
	struct tally *t = calloc(1, sizeof *t);

	cr_assert_not_null(t);
	return t;
}

/* Every number is where the report says, and nowhere else. */
static void compare(json_t *report, const struct tally *t)
{
	unsigned unusable = t->nameless;

	for (uint64_t n = 0; n < FRAMES; n++) {
		size_t lost = listed(report, "lost", n), twice = listed(report, "duplicated", n);
		size_t damaged = listed(report, "corrupted", n) + listed(report, "truncated", n);

		cr_assert_leq(lost + damaged, 1);
		cr_assert_eq(t->usable[n], lost + damaged ? 0 : 1 + twice,
		             "frame %lu came %u times", (unsigned long)n, t->usable[n]);
		cr_assert(!lost || !t->unusable[n], "frame %lu", (unsigned long)n);
		unusable += t->unusable[n];
	}
	cr_assert_eq(unusable, counted(report, "corrupted") + counted(report, "truncated"));
	cr_assert_eq(t->messages, counted(report, "messages"));
	cr_assert_eq(counted(report, "numbers"), counted(report, "sent") + counted(report, "lost") +
	                                                 counted(report, "corrupted") +
	                                                 counted(report, "truncated"));
}

Test(send_stream, a_faulty_stream_is_as_the_report_says, .timeout = 60)
{
	char faults[160];
	struct tally *t = new_tally();
	void *context = zmq_ctx_new(), *socket;
	json_t *report;

	snprintf(faults, sizeof faults,
	         "--frames %d --lose .03 --duplicate .05 --reorder .05 --corrupt .04 "
	         "--truncate .02 --seed 6",
	         FRAMES);
	start_sender(faults);
	socket = open_socket(context, ZMQ_PULL, sender_endpoint);
	receive_all(socket, t);
	report = finish_sender();
	compare(report, t);
	cr_assert(counted(report, "lost") > 30 && counted(report, "corrupted") > 40);
	cr_assert(counted(report, "truncated") > 20 && counted(report, "duplicated") > 50);
	cr_assert_gt(t->order, (unsigned)counted(report, "swapped"), "late partners, late copies");
	cr_assert_eq(json_array_size(json_object_get(report, "swapped")),
	             (size_t)counted(report, "swapped"));
	cr_assert(json_is_true(json_object_get(report, "finished")));
	cr_assert(json_is_true(json_object_get(report, "delivered")));
	json_decref(report);
	close_socket(context, socket);
	free(t);
}

Test(send_stream, a_publisher_waits_for_its_subscriber, .timeout = 60)
{
	struct tally *t = new_tally();
	void *context = zmq_ctx_new(), *socket;
	json_t *report;

	start_sender("--socket pub --frames 50 --rate 500 --wait 20");
	usleep(300000); /* more than the 50 frames would take */
	socket = open_socket(context, ZMQ_SUB, sender_endpoint);
	receive_all(socket, t);
	report = finish_sender();
	for (unsigned n = 0; n < 50; n++)
		cr_assert_eq(t->usable[n], 1, "frame %u", n);
	json_decref(report);
	close_socket(context, socket);
	free(t);
}

Test(send_stream, keeps_the_rate, .timeout = 60)
{
	struct tally *t = new_tally();
	void *context = zmq_ctx_new(), *socket;
	double seconds;
	json_t *report;

	start_sender("--frames 101 --rate 200 --stall 250");
	socket = open_socket(context, ZMQ_PULL, sender_endpoint);
	receive_all(socket, t);
	report = finish_sender();
	seconds = json_real_value(json_object_get(report, "seconds"));
	/* 100 periods of 5 ms and the stall; never early, and a busy machine may be late */
	cr_assert(seconds > 0.745 && seconds < 5, "%g s", seconds);
	cr_assert_eq(t->messages, 101);
	json_decref(report);
	close_socket(context, socket);
	free(t);
}

Test(send_stream, reports_what_was_sent_when_it_is_stopped, .timeout = 60)
{
	struct tally *t = new_tally();
	void *context = zmq_ctx_new(), *socket;
	json_t *report;
	zmq_msg_t parts[2];
	unsigned parts_count;

	start_sender("--frames 0 --rate 100");
	socket = open_socket(context, ZMQ_PULL, sender_endpoint);
	cr_assert(receive(socket, PATIENCE_S * 1000, parts, &parts_count));
	zmq_msg_close(&parts[0]);
	zmq_msg_close(&parts[1]);
	t->messages = 1;
	kill(child, SIGTERM);
	receive_all(socket, t);
	report = finish_sender();
	cr_assert(json_is_false(json_object_get(report, "finished")));
	cr_assert_eq(json_integer_value(json_object_get(report, "sent")), t->messages);
	json_decref(report);
	close_socket(context, socket);
	free(t);
}

Test(send_stream, names_the_endpoint_it_cannot_use)
{
	static const struct {
		const char *endpoint;
		bool bind;
		int err;
	} rows[] = { { "tcp://127.0.0.1", true, -EINVAL },
		     { "carrier://pigeon:1", false, -EINVAL },
		     { "ipc:///nowhere/at/all", true, -ENOENT },
		     { "tcp://203.0.113.7:9999", true, -ENODEV } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct wire_options o = { 1, &rows[i].endpoint, rows[i].bind, false, 10, NULL };
		struct wire w;
		int err = wire_open(&w, &o);

		cr_assert_lt(err, 0, "%s was opened", rows[i].endpoint);
		cr_assert_eq(err == -EINVAL, rows[i].err == -EINVAL, "%s: %d", rows[i].endpoint,
		             err);
		cr_assert(strstr(w.why, rows[i].endpoint), "%s", w.why);
		wire_close(&w);
	}
}

Test(send_stream, does_not_share_a_port)
{
	const char *endpoint = "tcp://127.0.0.1:*";
	struct wire_options o = { 1, &endpoint, true, false, 10, NULL };
	struct wire first, second;

	cr_assert_eq(wire_open(&first, &o), 0, "%s", first.why);
	endpoint = first.ends[0].endpoint;
	cr_assert_eq(wire_open(&second, &o), -EADDRINUSE);
	cr_assert(strstr(second.why, "another program"), "%s", second.why);
	wire_close(&second);
	wire_close(&first);
}
