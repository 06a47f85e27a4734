/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/stream.h"

#include "ingest/frame.h"
#include "sinks/folder.h"
#include "sinks/viewers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

/* How a viewer's loss is seen. libzmq keeps a queue for each viewer and drops what does not fit
 * without a word. With ZMQ_XPUB_NODROP it says EAGAIN instead when a queue is full, and sends to
 * nobody; the frame is then sent again without that option, so that the others get it. But from
 * this moment on libzmq leaves the full viewer out, until that one has taken half of its queue,
 * and says nothing of it. So the copy whose end tells that the half was taken is marked as a
 * gate, and until libzmq gives it back each frame counts as lost. */

#define LINGER_MS     100
#define SUBSCRIPTIONS 1024 /* heard before a frame, at most */
#define WAITING       16   /* messages of a viewer that wait to be heard; then it waits */

/* The length of a queue is for good: viewers connect before frames are known, and libzmq 4.3.4
 * cannot change it while they come and go. It would write to connections that are gone, and never
 * report room again in a queue that was full.
 *
 * Copies for a full queue, the frame under way to that viewer, and one each to make, to send and to
 * spare: a viewer that stands still costs the others nothing. Where frames are small, for two. */
#define COPIES_LEAST(queue) ((queue) + 4)
#define COPIES_MOST(queue)  (2 * ((queue) + 2))
#define COPIES_BYTES        (64u << 20)

/* A copy of a frame. */
struct parcel {
	/* libzmq has it. Set by us, cleared by whichever thread sends it last: release in
	 * give_back() pairs with acquire in is_busy(). */
	atomic_bool busy;
	bool gate;         /* while it is busy, a viewer is left out */
	uint64_t sequence; /* of the frame in it */
	void *pixels;
	size_t capacity; /* bytes */
};

struct stream {
	void *context, *socket;
	struct viewers *viewers;
	bool push;
	uint32_t every, rate, queue;
	char source[80];
	char endpoint[300];
	char summary[320];

	char series[FOLDER_NAME_MAX];
	struct sink_shape shape;
	uint64_t stride, first;
	bool begun;        /* `first` is known */
	uint64_t sequence; /* of the last frame sent */
	uint64_t next_ns;  /* before, `rate` lets none through */
	uint64_t topics;   /* pub: somebody has subscribed to */
	struct stream_figures figures;
	unsigned copies;       /* of this size of frame, at most */
	unsigned parcel_count; /* of any */
	struct parcel *parcels;
};

struct int_option {
	int name, value;
};

static const struct int_option socket_options[] = {
	{ ZMQ_LINGER, LINGER_MS },
	{ ZMQ_RCVHWM, WAITING },
	{ ZMQ_IMMEDIATE, 1 },            /* push: no queue for a viewer that is not there */
	{ ZMQ_HANDSHAKE_IVL, 10000 },    /* ms */
	{ ZMQ_RECONNECT_IVL, 50 },       /* ms, doubled up to */
	{ ZMQ_RECONNECT_IVL_MAX, 2000 }, /* ms */
	{ ZMQ_TCP_KEEPALIVE, 1 },
	{ ZMQ_TCP_KEEPALIVE_IDLE, 15 }, /* s */
	{ ZMQ_TCP_KEEPALIVE_INTVL, 5 }, /* s */
	{ ZMQ_TCP_KEEPALIVE_CNT, 6 },
	{ ZMQ_TCP_MAXRT, 30000 }, /* ms a viewer may take nothing */
};

/* Opening. */

static const char *remedy(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "choose another port or path, or end who has it";
	case -EADDRNOTAVAIL:
	case -ENODEV:
		return "name an address or a network interface of this host, or *";
	case -EEXIST:
		return "remove that file, or choose another path";
	case -EACCES:
	case -EPERM:
		return "choose a port above 1023, or a path this user may write";
	default:
		return "tcp://HOST:PORT or ipc://PATH is expected";
	}
}

static int refuse(const struct config_sink *c, unsigned index, int error, char why[256])
{
	snprintf(why, 256, "sink %u (stream): cannot %s %.80s: %s: %s (sinks.%u.endpoint)", index,
	         c->attach == ATTACH_BIND ? "bind" : "connect to", c->endpoint, strerror(-error),
	         remedy(error), index);
	return error;
}

/* The negative errno of the library call that just failed; its own codes become the system's. */
static int library_error(void)
{
	if (errno == EMTHREAD)
		return -EMFILE;
	return errno > 0 && errno < ZMQ_HAUSNUMERO ? -errno : -EINVAL;
}

static bool is_answered(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool answered;

	if (fd < 0)
		return false;
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	/* EAGAIN: its backlog is full, so it is alive. */
	answered = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN;
	close(fd);
	return answered;
}

/* libzmq unlinks whatever is at an ipc path before it binds. */
static int check_ipc_path(const char *endpoint)
{
	const char *path = endpoint + strlen("ipc://");
	struct stat status;

	if (strncmp(endpoint, "ipc://", 6) != 0 || path[0] == '@' || lstat(path, &status) != 0)
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	return is_answered(path) ? -EADDRINUSE : 0;
}

static int set_option(struct stream *s, int name, int value)
{
	return zmq_setsockopt(s->socket, name, &value, sizeof value) == 0 ? 0 : library_error();
}

static int set_options(struct stream *s, const char *endpoint)
{
	const int64_t largest = VIEWERS_BYTES;
	int err = 0;

	for (size_t i = 0; i < sizeof socket_options / sizeof *socket_options && !err; i++)
		err = set_option(s, socket_options[i].name, socket_options[i].value);
	if (!err && zmq_setsockopt(s->socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest) != 0)
		err = library_error();
	if (!err)
		err = set_option(s, ZMQ_SNDHWM, (int)s->queue);
	if (!err && !s->push)
		err = set_option(s, ZMQ_XPUB_NODROP, true);
	/* Where IPv4 is meant, libzmq's IPv6 would make addresses that peers without it cannot
	 * connect to. */
	if (!err && (strncmp(endpoint, "tcp://[", 7) == 0 || strncmp(endpoint, "tcp://*", 7) == 0))
		err = set_option(s, ZMQ_IPV6, 1);
	return err;
}

static int attach(struct stream *s, const struct config_sink *c)
{
	size_t size = sizeof s->endpoint;
	int err;

	if (c->attach == ATTACH_CONNECT) {
		snprintf(s->endpoint, sizeof s->endpoint, "%s", c->endpoint);
		return zmq_connect(s->socket, c->endpoint) == 0 ? 0 : library_error();
	}
	err = check_ipc_path(c->endpoint);
	if (err)
		return err;
	if (zmq_bind(s->socket, c->endpoint) != 0 ||
	    zmq_getsockopt(s->socket, ZMQ_LAST_ENDPOINT, s->endpoint, &size) != 0)
		return library_error();
	return 0;
}

static int open_socket(struct stream *s, const struct config_sink *c)
{
	int err;

	s->context = zmq_ctx_new();
	if (!s->context)
		return -ENOMEM;
	/* XPUB is a PUB that hears of its subscribers. */
	s->socket = zmq_socket(s->context, s->push ? ZMQ_PUSH : ZMQ_XPUB);
	if (!s->socket)
		return library_error();
	err = set_options(s, c->endpoint);
	return err ? err : attach(s, c);
}

int stream_open(struct stream **ret, const struct config_sink *c, unsigned index,
                const char *source, char why[256])
{
	struct stream *s = calloc(1, sizeof *s);
	int err;

	if (!s) {
		snprintf(why, 256, "sink %u (stream): no memory", index);
		return -ENOMEM;
	}
	s->push = c->socket == STREAM_PUSH;
	s->every = c->every;
	s->rate = c->rate;
	s->queue = c->queue;
	snprintf(s->source, sizeof s->source, "%s", source);
	s->parcels = calloc(COPIES_MOST(s->queue), sizeof *s->parcels);
	s->parcel_count = s->parcels ? COPIES_MOST(s->queue) : 0;
	s->viewers = viewers_open(s->endpoint, c->attach == ATTACH_BIND);
	err = s->parcels && s->viewers ? open_socket(s, c) : -ENOMEM;
	if (err) {
		stream_close(s);
		return refuse(c, index, err, why);
	}
	snprintf(s->summary, sizeof s->summary, "%s %s", s->push ? "push" : "pub", s->endpoint);
	*ret = s;
	return 0;
}

void stream_close(struct stream *s)
{
	if (!s)
		return;
	if (s->socket)
		zmq_close(s->socket);
	/* Until then libzmq's thread reads the copies. */
	while (s->context && zmq_ctx_term(s->context) != 0 && errno == EINTR)
		;
	for (unsigned i = 0; i < s->parcel_count; i++)
		free(s->parcels[i].pixels);
	free(s->parcels);
	viewers_close(s->viewers);
	free(s);
}

const char *stream_summary(const struct stream *s)
{
	return s->summary;
}

static unsigned copy_count(unsigned queue, const struct sink_shape *shape)
{
	size_t fit = COPIES_BYTES / (shape->bytes ? shape->bytes : 1);

	if (fit > COPIES_MOST(queue))
		return COPIES_MOST(queue);
	return fit > COPIES_LEAST(queue) ? (unsigned)fit : COPIES_LEAST(queue);
}

uint64_t stream_memory_bytes(const struct config_sink *c, const struct sink_shape *shape)
{
	return (uint64_t)copy_count(c->queue, shape) * shape->bytes;
}

static bool is_busy(struct parcel *p)
{
	return atomic_load_explicit(&p->busy, memory_order_acquire);
}

/* Copies of another size make room for those to come; libzmq may still have some. */
static void free_other_sizes(struct stream *s, size_t bytes)
{
	for (unsigned i = 0; i < s->parcel_count; i++) {
		struct parcel *p = &s->parcels[i];

		if (p->capacity == bytes || is_busy(p))
			continue;
		free(p->pixels);
		p->pixels = NULL;
		p->capacity = 0;
	}
}

void stream_begin(struct stream *s, const struct sink_shape *shape, const char *series,
                  uint64_t stride)
{
	snprintf(s->series, sizeof s->series, "%s", series);
	s->shape = *shape;
	free_other_sizes(s, shape->bytes);
	s->stride = stride;
	s->begun = false;
	s->copies = copy_count(s->queue, shape);
	s->figures = (struct stream_figures){ 0 };
}

const struct stream_figures *stream_figures(const struct stream *s)
{
	return &s->figures;
}

/* Which frames. */

static bool is_due(struct stream *s, uint64_t number, uint64_t now_ns)
{
	uint64_t interval_ns, place;

	if (!s->begun)
		s->first = number;
	s->begun = true;
	/* The last frame of a group that was averaged may be missing: the nearest place. */
	place = (number - s->first + s->stride / 2) / s->stride;
	if (place % s->every != 0)
		return false;
	if (s->rate == 0)
		return true;
	if (now_ns < s->next_ns)
		return false;
	interval_ns = 1000000000u / s->rate;
	/* What comes a little late does not delay all that follow. */
	s->next_ns = (now_ns - s->next_ns < interval_ns ? s->next_ns : now_ns) + interval_ns;
	return true;
}

/* Viewers. */

static void hear_subscriptions(struct stream *s)
{
	zmq_msg_t message;

	zmq_msg_init(&message);
	for (unsigned i = 0; i < SUBSCRIPTIONS; i++) {
		int change;

		if (zmq_msg_recv(&message, s->socket, ZMQ_DONTWAIT) < 0)
			break;
		change = viewers_hear(s->viewers, &message);
		if (change > 0)
			s->topics++;
		else if (change < 0 && s->topics > 0)
			s->topics--;
	}
	zmq_msg_close(&message);
}

static bool has_room(struct stream *s)
{
	int events = 0;
	size_t size = sizeof events;

	return zmq_getsockopt(s->socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLOUT);
}

/* Copies. */

static void give_back(void *pixels, void *parcel)
{
	struct parcel *p = parcel;

	(void)pixels;
	/* release pairs with acquire in is_busy(): whoever sent it is done reading. */
	atomic_store_explicit(&p->busy, false, memory_order_release);
}

/* The first that is free, so that few are ever touched, or NULL. */
static struct parcel *find_free(struct stream *s)
{
	for (unsigned i = 0; i < s->copies; i++)
		if (!is_busy(&s->parcels[i]))
			return &s->parcels[i];
	return NULL;
}

static bool is_viewer_left_out(struct stream *s)
{
	for (unsigned i = 0; i < s->parcel_count; i++)
		if (s->parcels[i].gate && is_busy(&s->parcels[i]))
			return true;
	return false;
}

static bool fill(struct parcel *p, const void *pixels, size_t bytes)
{
	if (p->capacity != bytes) {
		free(p->pixels);
		p->pixels = malloc(bytes);
		p->capacity = p->pixels ? bytes : 0;
	}
	if (!p->pixels)
		return false;
	memcpy(p->pixels, pixels, bytes);
	p->gate = false;
	return true;
}

/* The newest copy under way that is older. */
static struct parcel *newest_before(struct stream *s, uint64_t sequence)
{
	struct parcel *newest = NULL;

	for (unsigned i = 0; i < s->parcel_count; i++) {
		struct parcel *p = &s->parcels[i];

		if (p->sequence < sequence && (!newest || p->sequence > newest->sequence) &&
		    is_busy(p))
			newest = p;
	}
	return newest;
}

/* A viewer's queue is full. libzmq hears of it again when half of it is left; the frame before
 * that half is then on its way to the viewer, and the one before that has arrived. */
static void mark_gate(struct stream *s, uint64_t sequence)
{
	unsigned wanted = s->queue / 2 + 2;
	struct parcel *gate = NULL, *p;

	while (wanted-- > 0 && (p = newest_before(s, sequence)) != NULL) {
		gate = p;
		sequence = p->sequence;
	}
	if (gate)
		gate->gate = true;
}

/* Sending. */

static size_t compose_header(const struct stream *s, const struct stream_frame *f, char text[640])
{
	static const char *const types[PRODUCT_TYPE_COUNT] = { "uint8", "uint16", "uint32",
		                                               "float32" };
	char time[48] = "";

	if (f->timestamp_ns)
		snprintf(time, sizeof time, ",\"timestamp_ns\":%" PRIu64, f->timestamp_ns);
	/* Neither name holds a quote or a backslash: rule_name, folder_clean_name(). */
	return (size_t)snprintf(
		text, 640,
		"{\"htype\":\"array-1.0\",\"shape\":[%" PRIu32 ",%" PRIu32
		"],\"type\":\"%s\",\"frame\":%" PRIu64 ",\"source\":\"%s\",\"series\":\"%s\"%s%s}",
		s->shape.height, s->shape.width, types[s->shape.type], f->number, s->source,
		s->series, time, f->flags & FRAME_INCOMPLETE ? ",\"is_good_frame\":0" : "");
}

/* Both parts or none: libzmq asks for room at the first. */
static bool send_parts(struct stream *s, const char *header, size_t length, zmq_msg_t *pixels)
{
	return zmq_send(s->socket, header, length, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0 &&
	       zmq_msg_send(pixels, s->socket, ZMQ_DONTWAIT) >= 0;
}

/* True when every viewer that libzmq did not leave out gets it. */
static bool send_parcel(struct stream *s, const struct stream_frame *f, struct parcel *p)
{
	char header[640];
	size_t length = compose_header(s, f, header);
	zmq_msg_t pixels;
	bool sent;

	if (zmq_msg_init_data(&pixels, p->pixels, s->shape.bytes, give_back, p) != 0)
		return false;
	/* Whoever reads it as false reads pixels that are ours again. */
	atomic_store_explicit(&p->busy, true, memory_order_relaxed);
	p->sequence = ++s->sequence;
	sent = send_parts(s, header, length, &pixels);
	if (!sent && !s->push && errno == EAGAIN) {
		mark_gate(s, p->sequence);
		(void)set_option(s, ZMQ_XPUB_NODROP, false);
		(void)send_parts(s, header, length, &pixels);
		(void)set_option(s, ZMQ_XPUB_NODROP, true);
	}
	zmq_msg_close(&pixels); /* gives back what was not sent */
	return sent;
}

/* True when no viewer lost it. */
static bool send_copy(struct stream *s, const struct stream_frame *f)
{
	bool left_out = is_viewer_left_out(s);
	struct parcel *p = find_free(s);

	return p && fill(p, f->pixels, s->shape.bytes) && send_parcel(s, f, p) && !left_out;
}

void stream_offer(struct stream *s, const struct stream_frame *f, uint64_t now_ns)
{
	if (!is_due(s, f->number, now_ns)) {
		s->figures.skipped++;
		return;
	}
	if (!s->push)
		hear_subscriptions(s);
	if (!s->push && s->topics == 0)
		s->figures.unwatched++;
	else if ((!s->push || has_room(s)) && send_copy(s, f))
		s->figures.sent++;
	else
		s->figures.lost++;
}
