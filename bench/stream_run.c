/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stream_run.h"

#include "bench/child.h"
#include "daemon/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define WHY_BYTES     512
#define PATH_BYTES    (SCRATCH_PATH_MAX + 64)
#define EX_STOPPED    130
#define SETUP_SECONDS 60

/* A file or folder in the scratch folder. */
struct path {
	char text[PATH_BYTES];
};

static struct path in_scratch(const struct stream_setup *s, const char *name)
{
	struct path p;

	snprintf(p.text, sizeof p.text, "%s/%s", s->scratch.path, name);
	return p;
}

static struct path program(const struct stream_setup *s, const char *name)
{
	struct path p;

	snprintf(p.text, sizeof p.text, "%s/%s", s->programs, name);
	return p;
}

static int find_programs(struct stream_setup *s, char why[512])
{
	static const char *const names[] = { "openbeam-send", "openbeamd" };
	ssize_t n = readlink("/proc/self/exe", s->programs, sizeof s->programs - 1);
	char *slash;

	s->programs[n > 0 ? n : 0] = '\0';
	slash = strrchr(s->programs, '/');
	if (slash)
		*slash = '\0';
	for (int i = 0; i < 2; i++) {
		struct path p = program(s, names[i]);

		if (access(p.text, X_OK)) {
			snprintf(why, WHY_BYTES, "%.*s is not there: build all programs", 400,
			         p.text);
			return EX_UNAVAILABLE;
		}
	}
	return 0;
}

/* The end of a program's log, on one line. */
static void read_tail(const struct stream_setup *s, const char *log, char *tail, size_t size)
{
	struct path path = in_scratch(s, log);
	FILE *in = fopen(path.text, "r");
	size_t n;

	tail[0] = '\0';
	if (!in)
		return;
	if (fseek(in, -(long)(size - 1), SEEK_END))
		rewind(in);
	n = fread(tail, 1, size - 1, in);
	fclose(in);
	tail[n] = '\0';
	for (char *c = tail; *c; c++)
		if (*c == '\n')
			*c = ';';
}

static int refuse(const struct stream_setup *s, const char *name, const char *log, int status,
                  char why[512])
{
	char tail[320];

	if (status == -EINTR) {
		snprintf(why, WHY_BYTES, "interrupted");
		return EX_STOPPED;
	}
	read_tail(s, log, tail, sizeof tail);
	if (status == -ETIMEDOUT)
		snprintf(why, WHY_BYTES, "%s did not end in time; it said: %s", name, tail);
	else
		snprintf(why, WHY_BYTES, "%s ended with status %d; it said: %s", name, status,
		         tail);
	return EX_UNAVAILABLE;
}

static int make_calibration(const struct stream_setup *s, char why[512])
{
	struct path send = program(s, "openbeam-send"), log = in_scratch(s, "send.log");
	struct path dark = in_scratch(s, "dark.tif"), flat = in_scratch(s, "flat.tif");
	char size[32];
	const char *argv[] = { send.text, "--size",       size,      "--write-dark",
		               dark.text, "--write-flat", flat.text, NULL };
	struct child child;
	int status;

	snprintf(size, sizeof size, "%" PRIu32 "x%" PRIu32, s->width, s->height);
	status = child_start(&child, argv, log.text);
	if (status) {
		snprintf(why, WHY_BYTES, "cannot start openbeam-send: %s", strerror(-status));
		return EX_UNAVAILABLE;
	}
	status = child_wait(&child, clock_now_ns() + SETUP_SECONDS * NS_PER_S, s->stop);
	child_end(&child);
	return status ? refuse(s, "openbeam-send", "send.log", status, why) : 0;
}

int stream_setup_open(struct stream_setup *s, const char *directory, uint32_t width,
                      uint32_t height, const volatile sig_atomic_t *stop, char why[512])
{
	int err, status;

	*s = (struct stream_setup){ .width = width, .height = height, .stop = stop };
	status = find_programs(s, why);
	if (status)
		return status;
	err = scratch_folder_open(&s->scratch, directory, "openbeam-bench");
	if (err) {
		snprintf(why, WHY_BYTES,
		         "cannot make a folder in %.300s: %s: give another --directory", directory,
		         strerror(-err));
		return err == -EACCES ? EX_NOPERM : EX_CANTCREAT;
	}
	status = make_calibration(s, why);
	if (status)
		stream_setup_close(s);
	return status;
}

void stream_setup_close(struct stream_setup *s)
{
	scratch_folder_close(&s->scratch);
}

/* A port that nobody has now. */
static unsigned free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return 0;
	if (bind(fd, (struct sockaddr *)&address, size) ||
	    getsockname(fd, (struct sockaddr *)&address, &size))
		address.sin_port = 0;
	close(fd);
	return ntohs(address.sin_port);
}

static int write_configuration(const struct stream_setup *s, const char *format, uint64_t frames,
                               unsigned port)
{
	struct path path = in_scratch(s, "openbeam.yaml");
	uint64_t frame_mib = ((uint64_t)2 * s->width * s->height >> 20) + 1;
	FILE *out = fopen(path.text, "w");

	if (!out)
		return -errno;
	fprintf(out,
	        "ingest:\n"
	        "  endpoints: [\"tcp://127.0.0.1:%u\"]\n"
	        "  frame: {width: %" PRIu32 ", height: %" PRIu32 ", type: uint16}\n"
	        "  frame_limit: %" PRIu64 "MiB\n"
	        "series: {name: stream, first: 0, frames: %" PRIu64 ", idle_end: 20s}\n"
	        "calibration: {dark: \"%s/dark.tif\", flat: \"%s/flat.tif\"}\n"
	        "reduce: {normalise: transmission, bin: 2, type: uint16}\n"
	        "monitor: {http: \"\"}\n"
	        "sinks:\n"
	        "  - {format: %s, directory: \"%s/out\"}\n",
	        port, s->width, s->height, frame_mib + 1, frames, s->scratch.path, s->scratch.path,
	        format, s->scratch.path);
	return fclose(out) ? -errno : 0;
}

static int start_daemon(const struct stream_setup *s, struct child *ret)
{
	struct path daemon = program(s, "openbeamd"), log = in_scratch(s, "daemon.log");
	struct path config = in_scratch(s, "openbeam.yaml");
	const char *argv[] = { daemon.text, "-c", config.text, "--series", "1", NULL };

	return child_start(ret, argv, log.text);
}

static int start_sender(const struct stream_setup *s, uint64_t frames, unsigned port,
                        struct child *ret)
{
	struct path send = program(s, "openbeam-send"), log = in_scratch(s, "send.log");
	char size[32], count[32], endpoint[64];
	const char *argv[] = { send.text, "--to",    endpoint,   "--size", size, "--frames",
		               count,     "--quiet", "--memory", "256",    NULL };

	snprintf(size, sizeof size, "%" PRIu32 "x%" PRIu32, s->width, s->height);
	snprintf(count, sizeof count, "%" PRIu64, frames);
	snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
	return child_start(ret, argv, log.text);
}

/* An integer in a JSON file; 0 where there is none. */
static uint64_t read_integer(json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static int read_manifest(const struct stream_setup *s, struct stream_figures *ret, char why[512])
{
	struct path pattern = in_scratch(s, "out/*/manifest.json");
	json_t *manifest = NULL, *totals;
	glob_t found;

	if (!glob(pattern.text, 0, NULL, &found)) {
		manifest = json_load_file(found.gl_pathv[0], 0, NULL);
		globfree(&found);
	}
	totals = json_object_get(manifest, "totals");
	if (!json_is_integer(json_object_get(totals, "expected"))) {
		json_decref(manifest);
		snprintf(why, WHY_BYTES, "openbeamd left no manifest with totals in its series");
		return EX_SOFTWARE;
	}
	ret->seconds =
		(double)(read_integer(manifest, "end_ns") - read_integer(manifest, "start_ns")) *
		1e-9;
	ret->expected = read_integer(totals, "expected");
	ret->written = read_integer(totals, "written");
	json_decref(manifest);
	return 0;
}

/* Both run; wait for the daemon, then for the sender. Status 1 of the daemon is a series with
 * losses: a result, not an error. */
static int await_both(const struct stream_setup *s, struct child *daemon, struct child *sender,
                      uint64_t deadline_ns, char why[512])
{
	int status = child_wait(daemon, deadline_ns, s->stop);

	if (status != 0 && status != 1)
		return refuse(s, "openbeamd", "daemon.log", status, why);
	status = child_wait(sender, deadline_ns, s->stop);
	return status ? refuse(s, "openbeam-send", "send.log", status, why) : 0;
}

static int run_both(const struct stream_setup *s, uint64_t frames, unsigned port,
                    uint64_t deadline_ns, char why[512])
{
	struct child daemon = { 0 }, sender = { 0 };
	int status = 0, err = start_daemon(s, &daemon);

	if (!err)
		err = start_sender(s, frames, port, &sender);
	if (err) {
		snprintf(why, WHY_BYTES, "cannot start the programs: %s", strerror(-err));
		status = EX_UNAVAILABLE;
	}
	if (!status)
		status = await_both(s, &daemon, &sender, deadline_ns, why);
	child_end(&sender);
	child_end(&daemon);
	return status;
}

int stream_run(const struct stream_setup *s, const char *format, uint64_t frames, double timeout_s,
               struct stream_figures *ret, char why[512])
{
	uint64_t deadline_ns = clock_now_ns() + (uint64_t)(timeout_s * 1e9);
	struct path out = in_scratch(s, "out");
	unsigned port = free_port();
	int status = 0;

	if (mkdir(out.text, 0700) || !port || write_configuration(s, format, frames, port)) {
		snprintf(why, WHY_BYTES, "cannot prepare a run in %.300s: %s", s->scratch.path,
		         strerror(errno));
		status = EX_CANTCREAT;
	}
	if (!status)
		status = run_both(s, frames, port, deadline_ns, why);
	if (!status)
		status = read_manifest(s, ret, why);
	scratch_folder_remove(&s->scratch, "out");
	return status;
}
