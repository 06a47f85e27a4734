/* SPDX-License-Identifier: Apache-2.0 */
/* The sender is a process of its own, so that the CPU time of both sides is known apart. It is made
 * before this one has threads, and waits to be told where to send. */
#include "daemon/clock.h"
#include "daemon/host_trial.h"
#include "ingest/source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#define HEADER         "{\"htype\":\"array-1.0\", \"shape\":[2160,2560], \"type\":\"uint16\", \"frame\":0}"
#define QUEUE          4 /* messages */
#define PATIENCE_S     5.0
#define WARM           8 /* messages before the clock starts */
#define PATH_BYTES     80
#define ENDPOINT_BYTES 256

static void send_one(void *socket, const struct trial_frames *t, unsigned n)
{
	zmq_msg_t pixels;

	zmq_send(socket, HEADER, sizeof HEADER - 1, ZMQ_SNDMORE);
	zmq_msg_init_data(&pixels, t->payloads + n % t->count * t->frame.bytes, t->frame.bytes,
	                  NULL, NULL);
	if (zmq_msg_send(&pixels, socket, 0) < 0)
		zmq_msg_close(&pixels);
}

/* The other process; it is killed. */
_Noreturn static void send_for_ever(int told, const struct trial_frames *t)
{
	char endpoint[ENDPOINT_BYTES] = "";
	int queue = QUEUE;
	void *context, *socket;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(told, endpoint, sizeof endpoint - 1) <= 0)
		_exit(1);
	context = zmq_ctx_new();
	socket = context ? zmq_socket(context, ZMQ_PUSH) : NULL;
	if (!socket || zmq_setsockopt(socket, ZMQ_SNDHWM, &queue, sizeof queue) != 0 ||
	    zmq_connect(socket, endpoint) != 0)
		_exit(1);
	for (unsigned n = 0;; n++)
		send_one(socket, t, n);
}

/* Whether a message came before the deadline. */
static bool receive_one(struct source *s, uint64_t deadline_ns)
{
	static struct payload payload;
	static struct message message;
	int got;

	while ((got = source_receive(s, &payload, &message)) == 0) {
		if (clock_now_ns() >= deadline_ns || trial_stopped())
			return false;
		source_wait(s, -1, 50);
		source_watch(s);
	}
	if (got > 0)
		payload_release(&payload);
	return got > 0;
}

/* Frames that came in all; 0: none. */
static uint64_t receive(struct source *s, double seconds, struct trial_wire *ret)
{
	uint64_t begin_ns, cpu_ns, end_ns = clock_now_ns() + (uint64_t)(PATIENCE_S * 1e9);
	uint64_t frames = 0, warm = 0;

	while (warm < WARM && receive_one(s, end_ns))
		warm++;
	if (warm < WARM)
		return 0;
	begin_ns = clock_now_ns();
	cpu_ns = clock_cpu_ns();
	end_ns = begin_ns + (uint64_t)(seconds * 1e9);
	while (clock_now_ns() < end_ns && receive_one(s, end_ns))
		frames++;
	if (frames == 0)
		return 0;
	ret->frames_per_s = (double)frames * 1e9 / (double)(clock_now_ns() - begin_ns);
	ret->cpu_s = (double)(clock_cpu_ns() - cpu_ns) * 1e-9 / (double)frames;
	return warm + frames;
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static void end_sender(pid_t sender, uint64_t frames, struct trial_wire *ret)
{
	struct rusage used = { 0 };

	kill(sender, SIGKILL);
	while (wait4(sender, NULL, 0, &used) < 0 && errno == EINTR)
		;
	if (frames > 0)
		ret->sender_cpu_s =
			(seconds_of(used.ru_utime) + seconds_of(used.ru_stime)) / (double)frames;
}

/* As the first endpoint is reached. */
static void choose_endpoint(const struct config *c, char path[PATH_BYTES])
{
	if (strncmp(c->ingest.endpoints.at[0], "ipc:", 4) == 0)
		snprintf(path, PATH_BYTES, "ipc:///tmp/openbeam-check-%d", (int)getpid());
	else
		snprintf(path, PATH_BYTES, "tcp://127.0.0.1:*");
}

/* 0 with a process and where to write its endpoint to, or negative errno. */
static int begin_sender(const struct trial_frames *frames, pid_t *ret_sender, int *ret_tell)
{
	int ends[2];
	pid_t sender;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	sender = fork();
	if (sender == 0) {
		close(ends[1]);
		send_for_ever(ends[0], frames);
	}
	close(ends[0]);
	if (sender < 0) {
		close(ends[1]);
		return -errno;
	}
	*ret_sender = sender;
	*ret_tell = ends[1];
	return 0;
}

/* Frames that came; 0, or negative errno with why. */
static int receive_from(const struct check *k, const struct trial_frames *frames, int tell,
                        double seconds, struct trial_wire *ret, uint64_t *ret_frames, char why[400])
{
	char endpoint[PATH_BYTES];
	const struct source_options options = {
		.endpoint = endpoint,
		.attach = ATTACH_BIND,
		.socket = SOCKET_PULL,
		.max_message_bytes = (int64_t)frames->frame.bytes + 4096,
		.queue_messages = QUEUE,
	};
	struct source source = { 0 };
	int err;

	choose_endpoint(k->config, endpoint);
	err = source_open(&source, &options);
	if (err < 0) {
		snprintf(why, 400, "%s", source.why);
		return err;
	}
	if (write(tell, source.endpoint, strlen(source.endpoint)) > 0)
		*ret_frames = receive(&source, seconds, ret);
	source_close(&source);
	if (*ret_frames > 0)
		return 0;
	snprintf(why, 400, "no frame came over %s within %.0f s", endpoint, PATIENCE_S);
	return -ETIMEDOUT;
}

int trial_receive(const struct check *k, const struct trial_frames *frames, double seconds,
                  struct trial_wire *ret, char why[400])
{
	struct trial_wire figures = { 0 };
	uint64_t got = 0;
	pid_t sender = 0;
	int tell = -1, err = begin_sender(frames, &sender, &tell);

	if (err < 0) {
		snprintf(why, 400, "cannot start a process that sends: %s", strerror(-err));
		return err;
	}
	err = receive_from(k, frames, tell, seconds, &figures, &got, why);
	close(tell);
	end_sender(sender, got, &figures);
	if (err == 0)
		*ret = figures;
	return err;
}
