/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/host_check.h"
#include "daemon/collector.h"
#include "daemon/idle.h"
#include "daemon/isa.h"
#include "daemon/pipeline.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct check {
	const struct config *config;
	FILE *out;
	int status;
	unsigned cpu;
	struct planes planes;
};

__attribute__((format(printf, 4, 5))) static void find(struct check *k, const char *level,
                                                       const char *area, const char *format, ...)
{
	va_list arguments;

	fprintf(k->out, "%s %s: ", level, area);
	va_start(arguments, format);
	vfprintf(k->out, format, arguments);
	va_end(arguments);
	fputc('\n', k->out);
}

static void fail(struct check *k, int status, const char *area, const char *why)
{
	find(k, "error", area, "%s", why);
	if (k->status == 0)
		k->status = status;
}

static void check_isa(struct check *k)
{
	char why[400];

	if (isa_choose(k->config->daemon.isa, &k->cpu, why))
		find(k, "ok", "cpu", "kernels for %s", cpu_level_name(k->cpu));
	else
		fail(k, 78, "cpu", why);
}

static void check_calibration(struct check *k)
{
	if (planes_open(&k->planes, k->config) < 0) {
		fail(k, 78, "calibration", k->planes.why);
		return;
	}
	if (k->planes.file_count == 0)
		find(k, k->planes.note[0] ? "warning" : "ok", "calibration", "%s",
		     k->planes.note[0] ? k->planes.note : "none needed");
	else
		find(k, k->planes.note[0] ? "warning" : "ok", "calibration",
		     "%u x %u pixels, %llu bad%s%s", k->planes.width, k->planes.height,
		     (unsigned long long)k->planes.bad, k->planes.note[0] ? ": " : "",
		     k->planes.note);
}

static uint64_t available_bytes(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return (uint64_t)kib * 1024;
}

static void check_memory(struct check *k)
{
	uint64_t ceiling = pipeline_ceiling(k->config, &k->planes), there = available_bytes();

	if (there != 0 && ceiling > there)
		find(k, "warning", "memory",
		     "the ceiling is %llu bytes but only %llu are available: lower ingest.buffer%s",
		     (unsigned long long)ceiling, (unsigned long long)there,
		     blackbox_wanted(k->config) ? ", calibration.memory or blackbox.memory"
		                                : " or calibration.memory");
	else
		find(k, "ok", "memory", "ceiling %llu bytes of %llu available",
		     (unsigned long long)ceiling, (unsigned long long)there);
}

/* Whether calibration.memory holds the frames of each step of the sequence. */
static void check_sequence(struct check *k, const struct layout *l)
{
	const struct config_calibration *c = &k->config->calibration;
	uint64_t bytes = layout_kept_bytes(l);
	struct config_step step;

	for (unsigned i = 0; i < c->sequence.count; i++)
		if (config_step_read(c->sequence.at[i], &step) && step.frames > c->memory / bytes)
			find(k, "warning", "memory",
			     "calibration.memory of %llu bytes holds %llu frames, \"%s\" takes "
			     "more: set it to %llu",
			     (unsigned long long)c->memory, (unsigned long long)(c->memory / bytes),
			     c->sequence.at[i], (unsigned long long)(step.frames * bytes));
}

static void check_layout(struct check *k)
{
	struct layout_needs needs = { .config = k->config,
		                      .planes = &k->planes,
		                      .receivers = pipeline_receivers(k->config),
		                      .workers = pipeline_workers(k->config),
		                      .cpu = k->cpu };
	struct frame_shape shape;
	struct layout l;
	char why[320];

	if (!layout_known_shape(k->config, &k->planes, &shape)) {
		find(k, "ok", "buffer",
		     "shared out at the first frame: ingest.frame does not say its size");
		return;
	}
	if (layout_plan(&l, &needs, &shape, why) < 0) {
		fail(k, 78, "buffer", why);
		return;
	}
	find(k, "ok", "buffer", "%u slots, %u frames of each endpoint in reduction, queues of %d",
	     l.budget.slots, l.budget.payloads, l.budget.queue_messages);
	check_sequence(k, &l);
}

static void check_cores(struct check *k)
{
	unsigned threads = pipeline_receivers(k->config);
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return;
	for (unsigned i = 0; i < k->config->daemon.cpu_count; i++)
		if (k->config->daemon.cpus[i] >= CPU_SETSIZE ||
		    !CPU_ISSET((unsigned)k->config->daemon.cpus[i], &set)) {
			find(k, "error", "cores", "daemon.cpus names core %d, which is not there",
			     k->config->daemon.cpus[i]);
			k->status = k->status ? k->status : 78;
		}
	find(k, threads >= (unsigned)CPU_COUNT(&set) ? "warning" : "ok", "cores",
	     "%d cores for %u receivers and their workers%s", CPU_COUNT(&set), threads,
	     threads >= (unsigned)CPU_COUNT(&set) ? ": use fewer endpoints or more cores" : "");
}

static void check_memlock(struct check *k)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return;
	if (limit.rlim_cur < k->config->ingest.buffer)
		find(k, "warning", "limits",
		     "RLIMIT_MEMLOCK is %llu bytes, ingest.buffer %llu: buffers are not registered "
		     "with "
		     "io_uring unless the process has CAP_IPC_LOCK; raise it with `ulimit -l` or "
		     "LimitMEMLOCK=infinity",
		     (unsigned long long)limit.rlim_cur,
		     (unsigned long long)k->config->ingest.buffer);
}

static void ignore_released(void *user, void *owner)
{
	(void)user;
	(void)owner;
}

static void ignore_settled(void *user, uint64_t number, enum frame_state state, unsigned reason,
                           bool revoked)
{
	(void)user;
	(void)number;
	(void)state;
	(void)reason;
	(void)revoked;
}

static void ignore_durable(void *user, uint64_t frames)
{
	(void)user;
	(void)frames;
}

static void say(void *user, enum sink_say level, const char *text)
{
	find(user, level == SINK_INFO ? "ok" : "warning", "sinks", "%s", text);
}

static void check_space(struct check *k)
{
	for (unsigned i = 0; i < k->config->sink_count; i++) {
		const char *directory = k->config->sinks[i].directory;
		struct statvfs fs;

		if (statvfs(directory, &fs) != 0)
			continue;
		find(k, "ok", "disk", "%s has %.1f GB free", directory,
		     (double)fs.f_bavail * (double)fs.f_frsize / 1e9);
	}
}

/* The directory that a key names for files, where any are made. */
static void check_directory(struct check *k, const char *area, const char *key, const char *given)
{
	const char *path = pipeline_directory(k->config, given);
	char why[400];
	int err = access(path, W_OK | X_OK) == 0 ? 0 : -errno;

	snprintf(why, sizeof why, "%s: cannot write to %.200s: %s; make it or name another", key,
	         path, strerror(-err));
	if (err < 0)
		fail(k, collector_status_of(err), area, why);
	else
		find(k, "ok", area, "%s: %s can be written", key, path);
}

static void check_directories(struct check *k)
{
	const struct config_calibration *c = &k->config->calibration;

	if (c->directory[0] || c->sequence.count > 0 || k->config->ingest.role_key[0])
		check_directory(k, "calibration", "calibration.directory", c->directory);
	if (blackbox_wanted(k->config))
		check_directory(k, "blackbox", "blackbox.directory", k->config->blackbox.directory);
}

static void check_sinks(struct check *k)
{
	struct sink_callbacks callbacks = {
		k, ignore_released, ignore_settled, ignore_durable, say, NULL, NULL
	};
	struct sink_program program = {
		.version = "", .commit = "", .isa = "", .config_json = "{}"
	};
	struct sinks *sinks = NULL;
	struct bell bell = { 0 };
	char why[256] = "";
	int err = bell_open(&bell);

	if (err == 0)
		err = sinks_open(&sinks, k->config, &program, &callbacks, bell.fd, why);
	if (err < 0)
		fail(k, collector_status_of(err), "sinks", why[0] ? why : strerror(-err));
	else
		find(k, "ok", "sinks", "%s", sinks_writer_summary(sinks));
	sinks_close(sinks);
	bell_close(&bell);
	check_space(k);
}

/* False: the endpoints cannot be tried without the keys. */
static bool check_curve(struct check *k, struct curve_options *ret)
{
	const struct config_ingest *c = &k->config->ingest;
	struct curve_list allowed = { 0 };
	char why[CURVE_WHY];
	int err = curve_options_load(ret, c, why);

	if (err < 0) {
		fail(k, err == -EINVAL ? 78 : err == -ENOMEM ? 71 : 77, "curve", why);
		return false;
	}
	if (c->curve_role == CURVE_NONE)
		find(k, "ok", "curve", "no encryption: ingest.curve.role is none");
	if (c->curve_role == CURVE_CLIENT)
		find(k, "ok", "curve", "client %s with %s, of the server %s in %s",
		     ret->own.public_key, c->secret_key_file, ret->server_key, c->server_key_file);
	if (c->curve_role == CURVE_SERVER &&
	    curve_list_read(ret->allowed_path, &allowed, NULL, why) == 0)
		find(k, allowed.count ? "ok" : "warning", "curve",
		     "server %s with %s, letting in %u keys of %s", ret->own.public_key,
		     c->secret_key_file, allowed.count, c->allowed_keys_file);
	curve_list_done(&allowed);
	return true;
}

static void check_endpoints(struct check *k)
{
	const struct config_ingest *c = &k->config->ingest;
	struct curve_options curve = { 0 };
	bool usable = check_curve(k, &curve);

	for (unsigned i = 0; usable && i < c->endpoints.count && c->attach == ATTACH_BIND; i++) {
		struct source_options options = { .endpoint = c->endpoints.at[i],
			                          .attach = c->attach,
			                          .socket = c->socket,
			                          .max_message_bytes = (int64_t)c->frame_limit,
			                          .queue_messages = 1,
			                          .curve = curve };
		struct source source = { 0 };

		if (source_open(&source, &options) < 0)
			fail(k, 69, "endpoint", source.why);
		else
			find(k, "ok", "endpoint", "%s can be bound", source.endpoint);
		source_close(&source);
	}
	curve_options_done(&curve);
}

int host_check(const struct config *c, FILE *out)
{
	struct check k = { .config = c, .out = out };

	find(&k, "ok", "configuration", "every key is known and in range");
	check_isa(&k);
	check_calibration(&k);
	check_memory(&k);
	check_layout(&k);
	check_cores(&k);
	check_memlock(&k);
	check_endpoints(&k);
	check_sinks(&k);
	check_directories(&k);
	planes_close(&k.planes);
	return k.status;
}
