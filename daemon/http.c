/* SPDX-License-Identifier: Apache-2.0 */
/* The thread `http` owns the server and all its connections.
 * It waits for sockets, a tenth of a second at most, and gives way to the threads of the data path.
 * It ends when it is told to, and cuts what is open.
 * Every byte sent or taken is non-blocking: a slow peer holds up nobody, and a deadline ends it. */
#include "daemon/http_parts.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HEADER_BYTES  (16u << 10)
#define BODY_BYTES    (64u << 10)
#define DISCARD_BYTES (1u << 20)  /* of a body that is refused, so that the answer is read */
#define SEND_BYTES    (128 << 10) /* that the kernel takes of a connection; it doubles them, */
#define RECEIVE_BYTES (64 << 10)  /* and keeps as much */
#define TICK_MS       100
#define JOIN_MS       5000
#define GENTLE        10 /* nice: the data path goes first */

/* One request while it comes in. */
struct exchange {
	unsigned refused; /* status; 0: it is taken */
	bool at_once;     /* and said before the body comes */
	const char *sentence, *allow;
	bool trusted;
	char from[HTTP_HOST_BYTES];
	char *body; /* [BODY_BYTES + 1]; NULL until there is one */
	size_t body_bytes;
};

/* ---- what the headers say ---- */

struct seen {
	const char *host, *origin, *authorization, *length;
	unsigned hosts, origins, lengths;
	bool chunked, forwarded, expects;
};

static enum MHD_Result see(void *argument, enum MHD_ValueKind kind, const char *name,
                           const char *value)
{
	static const char *const proxies[] = { "Forwarded", "X-Forwarded-For", "X-Forwarded-Host",
		                               "X-Real-IP", "Via" };
	struct seen *s = argument;

	(void)kind;
	value = value ? value : "";
	if (strcasecmp(name, "Host") == 0) {
		s->host = value;
		s->hosts++;
	} else if (strcasecmp(name, "Origin") == 0) {
		s->origin = value;
		s->origins++;
	} else if (strcasecmp(name, "Authorization") == 0) {
		s->authorization = value;
	} else if (strcasecmp(name, "Content-Length") == 0) {
		s->length = value;
		s->lengths++;
	} else if (strcasecmp(name, "Transfer-Encoding") == 0) {
		s->chunked = true;
	} else if (strcasecmp(name, "Expect") == 0) {
		s->expects = true;
	}
	for (unsigned i = 0; i < sizeof proxies / sizeof proxies[0]; i++)
		s->forwarded |= strcasecmp(name, proxies[i]) == 0;
	return MHD_YES;
}

static bool longer_than(const char *length, uint64_t limit)
{
	errno = 0;
	return length && (strtoull(length, NULL, 10) > limit || errno != 0);
}

static const struct sockaddr *peer_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	return info ? info->client_addr : NULL;
}

/* The address at which it came in. */
static void local_of(struct MHD_Connection *c, char ret[HTTP_HOST_BYTES])
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sockaddr_storage address;
	socklen_t length = sizeof address;

	ret[0] = '\0';
	if (info && getsockname(info->connect_fd, (struct sockaddr *)&address, &length) == 0)
		http_address_text((struct sockaddr *)&address, ret);
}

static void refuse(struct exchange *e, unsigned status, const char *sentence)
{
	e->refused = status;
	e->sentence = sentence;
}

static void screen_who(struct http *h, struct exchange *e, struct MHD_Connection *c,
                       const struct seen *s)
{
	const struct sockaddr *peer = peer_of(c);
	char local[HTTP_HOST_BYTES];
	const struct http_names names = { h->host, h->port, local, h->options.allowed_hosts };

	local_of(c, local);
	if (peer)
		http_address_text(peer, e->from);
	/* What a proxy on this machine hands on did not come from this machine. */
	bool local_peer = peer && http_from_loopback(peer) && !s->forwarded && s->hosts == 1 &&
	                  http_host_is_loopback(s->host);
	e->trusted = local_peer || http_bearer_matches(s->authorization, h->token);
	if (s->hosts != 1 || !http_host_allowed(s->host, &names))
		refuse(e, 421,
		       "this server does not answer to that name: use its address, or add "
		       "the name to monitor.allowed_hosts");
	else if (s->origins > 1 || (s->origin && !http_origin_allowed(s->origin, s->host)))
		refuse(e, 403, "a page of another origin may not ask");
}

static void screen_what(struct exchange *e, const struct seen *s, const char *method)
{
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 &&
	    strcmp(method, "POST") != 0) {
		refuse(e, 405, "only GET, HEAD and POST are known here");
		e->allow = "GET, HEAD, POST";
	} else if (s->chunked) {
		refuse(e, 411, "a body needs a Content-Length");
	} else if (s->lengths > 1) {
		refuse(e, 400, "a request has one Content-Length");
	} else if (longer_than(s->length, BODY_BYTES)) {
		refuse(e, 413, "a body has at most 65536 bytes");
	}
}

static void screen(struct http *h, struct exchange *e, struct MHD_Connection *c, const char *method)
{
	struct seen s = { 0 };

	MHD_get_connection_values(c, MHD_HEADER_KIND, see, &s);
	screen_who(h, e, c, &s);
	if (!e->refused)
		screen_what(e, &s, method);
	/* Where a body ends of which nobody knows the length, the next request would be misread. */
	e->at_once =
		e->refused && (s.expects || s.lengths > 1 || longer_than(s.length, DISCARD_BYTES));
}

/* ---- one request ---- */

struct parameters {
	struct http_request *request;
	bool too_many;
};

static enum MHD_Result add_parameter(void *argument, enum MHD_ValueKind kind, const char *name,
                                     const char *value)
{
	struct parameters *p = argument;
	struct http_request *r = p->request;

	(void)kind;
	if (r->parameter_count == HTTP_PARAMETERS_MAX) {
		p->too_many = true;
		return MHD_NO;
	}
	r->parameters[r->parameter_count++] = (struct http_parameter){ name, value ? value : "" };
	return MHD_YES;
}

static enum MHD_Result answer(struct http *h, struct MHD_Connection *c, const struct exchange *e,
                              const char *path, const char *method)
{
	struct http_request request = { .post = strcmp(method, "POST") == 0,
		                        .trusted = e->trusted,
		                        .path = path,
		                        .from = e->from,
		                        .body = e->body ? e->body : "",
		                        .body_bytes = e->body_bytes };
	struct parameters parameters = { &request, false };
	struct http_answer a = { .allow = e->allow };
	struct http_connection *mine = http_connection_of(c);

	if (mine)
		mine->answering = true;
	MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, add_parameter, &parameters);
	if (e->refused)
		http_refuse(&a, e->refused, e->sentence);
	else if (parameters.too_many)
		http_refuse(&a, 400, "too many parameters");
	else
		h->options.answer(h->options.user, &request, &a);
	if (a.events && strcmp(method, "HEAD") == 0) /* libmicrohttpd would send its last chunk */
		a = (struct http_answer){ .type = a.type, .status = a.status, .lasting = "" };
	return http_give(h, c, &a);
}

/* False: the connection is to be cut. */
static bool take_body(struct exchange *e, const char *data, size_t bytes)
{
	e->body_bytes += bytes;
	if (e->refused)
		return e->body_bytes <= DISCARD_BYTES;
	if (e->body_bytes > BODY_BYTES)
		return false; /* more than its Content-Length said */
	if (!e->body)
		e->body = malloc(BODY_BYTES + 1);
	if (!e->body)
		return false;
	memcpy(e->body + e->body_bytes - bytes, data, bytes);
	e->body[e->body_bytes] = '\0';
	return true;
}

static enum MHD_Result handle(void *argument, struct MHD_Connection *c, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *bytes, void **ret_exchange)
{
	struct http *h = argument;
	struct exchange *e = *ret_exchange;

	(void)version;
	if (!e) {
		e = calloc(1, sizeof *e);
		if (!e)
			return MHD_NO;
		*ret_exchange = e;
		screen(h, e, c, method);
		return e->at_once ? answer(h, c, e, path, method) : MHD_YES;
	}
	if (*bytes == 0)
		return answer(h, c, e, path, method);
	bool taken = take_body(e, data, *bytes);
	*bytes = 0;
	return taken ? MHD_YES : MHD_NO;
}

/* ---- deadlines ---- */

struct http_connection *http_connection_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void connected(void *argument, struct MHD_Connection *c, void **context,
                      enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http *h = argument;
	struct http_connection *mine = *context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (mine)
			*mine = (struct http_connection){ 0 };
		return;
	}
	for (unsigned i = 0; !mine && i < HTTP_CONNECTIONS_MAX; i++)
		if (!h->connections[i].used)
			mine = &h->connections[i];
	*context = mine;
	if (mine && info)
		*mine = (struct http_connection){ .used = true,
			                          .fd = info->connect_fd,
			                          .deadline_ns = http_deadline_ns() };
	else if (info)
		shutdown(info->connect_fd, SHUT_RDWR);
}

static void completed(void *argument, struct MHD_Connection *c, void **ret_exchange,
                      enum MHD_RequestTerminationCode code)
{
	struct http_connection *mine = http_connection_of(c);
	struct exchange *e = *ret_exchange;

	(void)argument;
	(void)code;
	if (e)
		free(e->body);
	free(e);
	*ret_exchange = NULL;
	if (!mine)
		return;
	mine->idle = true;
	mine->answering = false;
	mine->deadline_ns = http_deadline_ns();
}

/* A request line is there: of a connection that was kept, its time begins now. */
static void *begin(void *argument, const char *uri, struct MHD_Connection *c)
{
	struct http_connection *mine = http_connection_of(c);

	(void)argument;
	(void)uri;
	if (mine && mine->idle) {
		mine->idle = false;
		mine->deadline_ns = http_deadline_ns();
	}
	return NULL; /* no exchange yet */
}

/* Texts end at a zero: one in a path or a parameter must not make it another that is known. */
static size_t unescape(void *argument, struct MHD_Connection *c, char *text)
{
	size_t n = MHD_http_unescape(text);

	(void)argument;
	(void)c;
	for (size_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = '\x7f';
	return n;
}

/* The server sees the end of the connection and closes it. */
static void cut(struct http_connection *c)
{
	shutdown(c->fd, SHUT_RDWR);
	c->deadline_ns = UINT64_MAX;
}

/* Whether the peer has ended a connection that owes it no answer. libmicrohttpd takes a short read
 * for the last one until more comes, and so misses an end that came with it. */
static bool has_left(const struct http_connection *c)
{
	char byte;

	return !c->answering && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void cut_left(struct http *h)
{
	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		struct http_connection *c = &h->connections[i];

		if (c->used && c->deadline_ns != UINT64_MAX && has_left(c))
			cut(c);
	}
}

static void cut_late(struct http *h, uint64_t now_ns)
{
	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		struct http_connection *c = &h->connections[i];

		if (c->used && now_ns >= c->deadline_ns)
			cut(c);
	}
}

/* ---- the thread ---- */

static void wait_for_events(struct http *h)
{
	struct pollfd fds[2] = { { .fd = h->events_fd, .events = POLLIN },
		                 { .fd = h->bell.fd, .events = POLLIN } };
	int timeout_ms = TICK_MS;
	MHD_UNSIGNED_LONG_LONG wanted_ms;

	if (MHD_get_timeout(h->server, &wanted_ms) == MHD_YES && wanted_ms < TICK_MS)
		timeout_ms = (int)wanted_ms;
	bell_prepare(&h->bell);
	/* seq_cst pairs with http_close(), after our word that we sleep. */
	if (!atomic_load(&h->stop))
		poll(fds, 2, timeout_ms);
	bell_leave(&h->bell);
}

static void *serve(void *argument)
{
	struct http *h = argument;

	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), GENTLE);
	while (!atomic_load(&h->stop)) {
		stage_turn(&h->stage);
		wait_for_events(h);
		MHD_run(h->server);
		uint64_t now_ns = clock_monotonic_ns();

		cut_late(h, now_ns);
		if (now_ns - h->ticked_ns < (uint64_t)TICK_MS * 1000000u)
			continue;
		h->ticked_ns = now_ns;
		cut_left(h);
		h->options.tick(h->options.user, now_ns);
	}
	return NULL;
}

/* ---- life ---- */

/* Bind the first address that can be bound. A descriptor or negative errno. */
static int bind_any(const struct addrinfo *found)
{
	const int yes = 1, send_bytes = SEND_BYTES, receive_bytes = RECEIVE_BYTES;
	int err = -EADDRNOTAVAIL;

	for (const struct addrinfo *a = found; a; a = a->ai_next) {
		int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (fd < 0) {
			err = -errno;
			continue;
		}
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
		/* Connections have those of the socket that listens. */
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
		if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 &&
		    listen(fd, HTTP_CONNECTIONS_MAX) == 0)
			return fd;
		err = -errno;
		close(fd);
	}
	return err;
}

/* "HOST:PORT" as the configuration's rule has it: also "*:80" and "::1:80". */
static bool split_address(const char *address, char host[HTTP_HOST_BYTES], char port[8])
{
	const char *colon = strrchr(address, ':');
	size_t n = colon ? (size_t)(colon - address) : 0;

	if (n == 0 || n >= HTTP_HOST_BYTES || strlen(colon + 1) >= 8)
		return false;
	bool bracketed = address[0] == '[' && address[n - 1] == ']';
	snprintf(host, HTTP_HOST_BYTES, "%.*s", (int)n - 2 * bracketed, address + bracketed);
	strcpy(port, colon + 1);
	return true;
}

static const char *remedy(int err)
{
	switch (err) {
	case -EADDRINUSE:
		return "another program has it, maybe another openbeamd: choose another port";
	case -EACCES:
		return "ports below 1024 need CAP_NET_BIND_SERVICE: choose another port";
	case -EADDRNOTAVAIL:
		return "this machine has no such address: use one of its own, or 127.0.0.1";
	default:
		return "choose an address of this machine";
	}
}

/* A descriptor or negative errno. */
static int listen_at(const char *address, char ret_host[HTTP_HOST_BYTES], char why[400])
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found;
	char port[8];

	if (!split_address(address, ret_host, port)) {
		snprintf(why, 400, "%.200s is not HOST:PORT", address);
		return -EINVAL;
	}
	int code = getaddrinfo(strcmp(ret_host, "*") == 0 ? NULL : ret_host, port, &hints, &found);
	if (code != 0) {
		snprintf(why, 400, "cannot listen on %.200s: %s", address, gai_strerror(code));
		return -EADDRNOTAVAIL;
	}
	int fd = bind_any(found);
	freeaddrinfo(found);
	if (fd < 0)
		snprintf(why, 400, "cannot listen on %.200s: %s: %s", address, strerror(-fd),
		         remedy(fd));
	return fd;
}

int http_try(const char *address, char why[400])
{
	char host[HTTP_HOST_BYTES];
	int fd = listen_at(address, host, why);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* With the address it has: a port that was chosen by the system is known only now. */
static void find_url(struct http *h)
{
	struct sockaddr_storage address = { 0 };
	socklen_t length = sizeof address;
	char host[HTTP_HOST_BYTES];

	getsockname(h->listen_fd, (struct sockaddr *)&address, &length);
	bool six = address.ss_family == AF_INET6;
	h->port = ntohs(six ? ((struct sockaddr_in6 *)&address)->sin6_port
	                    : ((struct sockaddr_in *)&address)->sin_port);
	http_address_text((struct sockaddr *)&address, host);
	six = strchr(host, ':');
	snprintf(h->url, sizeof h->url, "http://%s%s%s:%u", six ? "[" : "", host, six ? "]" : "",
	         h->port);
}

static int start_server(struct http *h)
{
	h->server = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, h,
		MHD_OPTION_LISTEN_SOCKET, h->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned)HTTP_CONNECTIONS_OF_ONE, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HEADER_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_DEADLINE_S,
		MHD_OPTION_NOTIFY_COMPLETED, completed, h, MHD_OPTION_NOTIFY_CONNECTION, connected,
		h, MHD_OPTION_URI_LOG_CALLBACK, begin, h, MHD_OPTION_UNESCAPE_CALLBACK, unescape,
		NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
		h->server ? MHD_get_daemon_info(h->server, MHD_DAEMON_INFO_EPOLL_FD) : NULL;

	if (!info)
		return -ENOMEM;
	h->events_fd = info->epoll_fd;
	return 0;
}

int http_open(struct http **ret, const struct http_options *o, char why[400])
{
	struct http *h = aligned_alloc(64, (sizeof *h + 63) / 64 * 64);
	int err = -ENOMEM;

	snprintf(why, 400, "no memory for the server");
	if (!h)
		return err;
	memset(h, 0, sizeof *h);
	h->listen_fd = -1;
	h->options = *o;
	snprintf(h->token, sizeof h->token, "%s", o->token);
	h->listen_fd = listen_at(o->address, h->host, why);
	err = h->listen_fd;
	if (err < 0)
		goto fail;
	find_url(h);
	snprintf(why, 400, "the server for %.200s cannot be started", o->address);
	err = bell_open(&h->bell);
	if (err == 0)
		err = start_server(h);
	if (err < 0)
		goto fail;
	*ret = h;
	err = stage_start(&h->stage, "http", serve, h, -1);
	if (err == 0)
		return 0;
	*ret = NULL;

fail:
	http_close(h);
	return err;
}

const char *http_url(const struct http *h)
{
	return h->url;
}

bool http_close(struct http *h)
{
	if (!h)
		return true;
	if (h->stage.started) {
		/* seq_cst: ordered before the look whether the thread sleeps. */
		atomic_store(&h->stop, true);
		bell_ring(&h->bell);
	}
	if (!stage_join(&h->stage, JOIN_MS))
		return false;
	http_release_watchers(h);
	if (h->server)
		MHD_stop_daemon(h->server); /* closes the socket, too */
	else if (h->listen_fd >= 0)
		close(h->listen_fd);
	bell_close(&h->bell);
	explicit_bzero(h->token, sizeof h->token);
	free(h);
	return true;
}
