/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/host_parts.h"
#include "daemon/isa.h"
#include "daemon/pipeline.h"
#include "ingest/array10.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>

void check_find(struct check *k, const char *level, const char *area, const char *format, ...)
{
	va_list arguments;

	fprintf(k->out, "%s %s: ", level, area);
	va_start(arguments, format);
	vfprintf(k->out, format, arguments);
	va_end(arguments);
	fputc('\n', k->out);
	fflush(k->out);
}

void check_fail(struct check *k, int status, const char *area, const char *why)
{
	check_find(k, "error", area, "%s", why);
	if (k->status == 0)
		k->status = status;
}

static void check_isa(struct check *k)
{
	char why[400];

	if (isa_choose(k->config->daemon.isa, &k->cpu, why))
		check_find(k, "ok", "cpu", "kernels for %s", cpu_level_name(k->cpu));
	else
		check_fail(k, 78, "cpu", why);
}

static void check_calibration(struct check *k)
{
	if (planes_open(&k->planes, k->config) < 0) {
		check_fail(k, 78, "calibration", k->planes.why);
		return;
	}
	if (k->planes.file_count == 0)
		check_find(k, k->planes.note[0] ? "warning" : "ok", "calibration", "%s",
		           k->planes.note[0] ? k->planes.note : "none needed");
	else
		check_find(k, k->planes.note[0] ? "warning" : "ok", "calibration",
		           "%u x %u pixels, %llu bad%s%s", k->planes.width, k->planes.height,
		           (unsigned long long)k->planes.bad, k->planes.note[0] ? ": " : "",
		           k->planes.note);
}

static void check_memory(struct check *k)
{
	uint64_t ceiling = pipeline_ceiling(k->config, &k->planes),
		 there = check_memory_available();

	if (there != 0 && ceiling > there)
		check_find(k, "warning", "memory",
		           "the ceiling is %llu bytes but only %llu are available: lower "
		           "ingest.buffer%s",
		           (unsigned long long)ceiling, (unsigned long long)there,
		           blackbox_wanted(k->config) ? ", calibration.memory or blackbox.memory"
		                                      : " or calibration.memory");
	else
		check_find(k, "ok", "memory", "ceiling %llu bytes of %llu available",
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
			check_find(
				k, "warning", "memory",
				"calibration.memory of %llu bytes holds %llu frames, \"%s\" takes "
				"more: set it to %llu",
				(unsigned long long)c->memory,
				(unsigned long long)(c->memory / bytes), c->sequence.at[i],
				(unsigned long long)(step.frames * bytes));
}

/* With a pixel format the daemon lays out at the first frame all the same. */
static bool know_shape(struct check *k)
{
	struct frame f = { 0 };

	k->has_shape = layout_known_shape(k->config, &k->planes, &k->shape);
	if (k->has_shape || !k->load || !array10_pixel_format(k->config->ingest.pixel_format, &f))
		return k->has_shape;
	f.width = k->config->ingest.width ? k->config->ingest.width : k->planes.width;
	f.height = k->config->ingest.height ? k->config->ingest.height : k->planes.height;
	k->shape = shape_of_frame(&f);
	k->has_shape = f.width > 0 && f.height > 0;
	return k->has_shape;
}

static void check_layout(struct check *k)
{
	struct layout_needs needs = { .config = k->config,
		                      .planes = &k->planes,
		                      .receivers = pipeline_receivers(k->config),
		                      .workers = pipeline_workers(k->config),
		                      .cpu = k->cpu };
	struct layout *l = &k->plan;
	char why[320];

	if (!know_shape(k)) {
		check_find(
			k, "ok", "buffer",
			"shared out at the first frame: ingest.frame does not say size and type");
		return;
	}
	if (layout_plan(l, &needs, &k->shape, why) < 0) {
		k->has_shape = false;
		check_fail(k, 78, "buffer", why);
		return;
	}
	check_find(k, "ok", "buffer",
	           "%u slots, %u frames of each endpoint in reduction, queues of %d",
	           l->budget.slots, l->budget.payloads, l->budget.queue_messages);
	check_sequence(k, l);
}

static void check_core_list(struct check *k, const char *key, const int *cpus, unsigned count,
                            const cpu_set_t *set)
{
	for (unsigned i = 0; i < count; i++)
		if (cpus[i] >= CPU_SETSIZE || !CPU_ISSET((unsigned)cpus[i], set)) {
			check_find(k, "error", "cores", "%s names core %d, which is not there", key,
			           cpus[i]);
			k->status = k->status ? k->status : 78;
		}
}

static void check_cores(struct check *k)
{
	unsigned threads = pipeline_receivers(k->config);
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return;
	check_core_list(k, "daemon.cpus", k->config->daemon.cpus, k->config->daemon.cpu_count,
	                &set);
	check_core_list(k, "ingest.io_cpus", k->config->ingest.io_cpus,
	                k->config->ingest.io_cpu_count, &set);
	check_find(k, threads >= (unsigned)CPU_COUNT(&set) ? "warning" : "ok", "cores",
	           "%d cores for %u receivers and their workers%s", CPU_COUNT(&set), threads,
	           threads >= (unsigned)CPU_COUNT(&set) ? ": use fewer endpoints or more cores"
	                                                : "");
}

/* False: the endpoints cannot be tried without the keys. */
static bool check_curve(struct check *k, struct curve_options *ret)
{
	const struct config_ingest *c = &k->config->ingest;
	struct curve_list allowed = { 0 };
	char why[CURVE_WHY];
	int err = curve_options_load(ret, c, why);

	if (err < 0) {
		check_fail(k, err == -EINVAL ? 78 : err == -ENOMEM ? 71 : 77, "curve", why);
		return false;
	}
	if (c->curve_role == CURVE_NONE)
		check_find(k, "ok", "curve", "no encryption: ingest.curve.role is none");
	if (c->curve_role == CURVE_CLIENT)
		check_find(k, "ok", "curve", "client %s with %s, of the server %s in %s",
		           ret->own.public_key, c->secret_key_file, ret->server_key,
		           c->server_key_file);
	if (c->curve_role == CURVE_SERVER &&
	    curve_list_read(ret->allowed_path, &allowed, NULL, why) == 0)
		check_find(k, allowed.count ? "ok" : "warning", "curve",
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
			check_fail(k, 69, "endpoint", source.why);
		else
			check_find(k, "ok", "endpoint", "%s can be bound", source.endpoint);
		source_close(&source);
	}
	curve_options_done(&curve);
}

int host_check(const struct config *c, const struct host_load *load, FILE *out)
{
	struct check k = { .config = c, .load = load, .out = out };

	check_find(&k, "ok", "configuration", "every key is known and in range");
	check_isa(&k);
	check_calibration(&k);
	check_memory(&k);
	check_layout(&k);
	check_cores(&k);
	check_limits(&k);
	check_endpoints(&k);
	check_monitor(&k);
	check_disks(&k);
	if (load)
		check_fit(&k);
	planes_close(&k.planes);
	return k.status;
}
