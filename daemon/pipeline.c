/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pipeline.h"
#include "daemon/http.h"
#include "daemon/pictures.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_MOST 256
#define MARGIN_BYTES ((uint64_t)256 << 20) /* program, libraries, heap, ledger of a series */

unsigned pipeline_workers(const struct config *c)
{
	cpu_set_t set;

	if (c->daemon.workers != CONFIG_AUTO)
		return (unsigned)c->daemon.workers;
	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return 1;
	int cpus = CPU_COUNT(&set);
	return cpus < 1 ? 1 : cpus > WORKERS_MOST ? WORKERS_MOST : (unsigned)cpus;
}

/* One thread polls all ports of a detector, each of whose frames needs all of them. */
unsigned pipeline_receivers(const struct config *c)
{
	const struct protocol *protocol = protocol_find(c->ingest.protocol);

	return protocol && protocol->in_pieces ? 1 : c->ingest.endpoints.count;
}

static int status_of(int err)
{
	switch (err) {
	case -EACCES:
	case -EPERM:
		return 77;
	case -EINVAL:
		return 78;
	case -ENOMEM:
		return 71;
	default:
		return 69;
	}
}

static int attach_receivers(struct pipeline *p, char why[400], int *ret_status)
{
	int err = 0;

	for (unsigned i = 0; err == 0 && i < p->receiver_count; i++)
		err = receiver_attach(&p->receivers[i], why);
	if (err < 0)
		*ret_status = status_of(err);
	return err;
}

static int open_receivers(struct pipeline *p, const struct feed *feed, char why[400],
                          int *ret_status)
{
	const struct config_list *endpoints = &p->config->ingest.endpoints;
	unsigned each = endpoints->count / pipeline_receivers(p->config);
	int err = 0;

	p->receiver_count = pipeline_receivers(p->config);
	p->receivers = aligned_alloc(64, p->receiver_count * sizeof *p->receivers);
	if (!p->receivers)
		return -ENOMEM;
	memset(p->receivers, 0, p->receiver_count * sizeof *p->receivers);
	for (unsigned i = 0; err == 0 && i < p->receiver_count; i++)
		err = receiver_open(&p->receivers[i], p, i, endpoints->at + i * each, each,
		                    i ? NULL : feed, why);
	*ret_status = status_of(err);
	return err;
}

static int open_workers(struct pipeline *p)
{
	p->worker_count = pipeline_workers(p->config);
	p->workers = aligned_alloc(64, p->worker_count * sizeof *p->workers);
	if (!p->workers)
		return -ENOMEM;
	memset(p->workers, 0, p->worker_count * sizeof *p->workers);
	for (unsigned i = 0; i < p->worker_count; i++) {
		p->workers[i].pipeline = p;
		p->workers[i].index = p->workers[i].turn = i;
	}
	return 0;
}

int pipeline_open(struct pipeline *p, const struct config *c, const struct planes *planes,
                  unsigned cpu, const struct pipeline_options *options, char why[400],
                  int *ret_status)
{
	int err;

	memset(p, 0, sizeof *p);
	p->config = c;
	p->planes = planes;
	p->cpu = cpu;
	p->collector.series_limit = options->series_limit;
	p->collector.pipeline = p;
	snprintf(why, 400, "no memory for the pipeline");
	*ret_status = 71;
	err = commands_open(&p->commands);
	if (err == 0)
		err = generations_open(&p->generations, pipeline_receivers(c));
	if (err == 0)
		err = calibrator_open(&p->calibrator, p);
	if (err == 0)
		err = disks_open(&p->disks, c);
	if (err == 0)
		err = blackbox_open(&p->blackbox, p, why, ret_status);
	if (err == 0 && c->monitor.http[0])
		err = pictures_open(&p->pictures, c, PICTURES_INTERVAL_NS);
	if (err == 0)
		err = bell_open(&p->collect);
	if (err == 0)
		err = open_workers(p);
	if (err == 0)
		err = open_receivers(p, options->feed, why, ret_status);
	if (err == 0)
		err = collector_open(&p->collector, p, &options->program, why, ret_status);
	if (err == 0)
		err = attach_receivers(p, why, ret_status);
	if (err < 0)
		pipeline_close(p);
	return err;
}

/* daemon.cpus names cores for the threads in data-path order; those beyond it float. */
static int cpu_for(const struct pipeline *p, unsigned thread)
{
	return thread < p->config->daemon.cpu_count ? p->config->daemon.cpus[thread] : -1;
}

int pipeline_start(struct pipeline *p)
{
	unsigned thread = p->receiver_count;
	char name[32];
	int err = 0;

	/* Against the data: nothing arrives before everything behind it runs. */
	for (unsigned i = 0; err == 0 && i < p->worker_count; i++) {
		snprintf(name, sizeof name, "work%u", i);
		err = stage_start(&p->workers[i].stage, name, worker_run, &p->workers[i],
		                  cpu_for(p, thread++));
	}
	if (err == 0)
		err = stage_start(&p->collector.stage, "sink", collector_run, &p->collector,
		                  cpu_for(p, thread));
	if (err == 0)
		err = stage_start(&p->calibrator.stage, "calibrate", calibrator_run, &p->calibrator,
		                  -1);
	if (err == 0 && p->blackbox.configured)
		err = stage_start(&p->blackbox.stage, "keep", blackbox_run, &p->blackbox, -1);
	for (unsigned i = 0; err == 0 && i < p->receiver_count; i++) {
		snprintf(name, sizeof name, "rx%u", i);
		err = stage_start(&p->receivers[i].stage, name, receiver_run, &p->receivers[i],
		                  cpu_for(p, i));
	}
	/* The collector waits for every receiver to end: those that never ran have. */
	for (unsigned i = 0; err < 0 && i < p->receiver_count; i++)
		if (!p->receivers[i].stage.started)
			atomic_store(&p->receivers[i].stage.ended, true);
	return err;
}

void pipeline_phase(struct pipeline *p, enum phase phase)
{
	int now = atomic_load(&p->phase);

	/* seq_cst: ordered before the looks whether threads sleep. */
	while (now < (int)phase && !atomic_compare_exchange_weak(&p->phase, &now, (int)phase))
		;
	for (unsigned i = 0; i < p->receiver_count; i++)
		bell_ring(&p->receivers[i].bell);
	bell_ring(&p->collect);
	gate_notify(&p->work, (int)p->worker_count);
}

void pipeline_fail(struct pipeline *p, int status, const char *why)
{
	if (atomic_exchange(&p->failing, true))
		return; /* somebody was first */
	snprintf(p->failure, sizeof p->failure, "%s", why);
	p->failure_status = status;
	/* release pairs with the acquire in the main thread: publishes the text. */
	atomic_store_explicit(&p->failed, true, memory_order_release);
	pipeline_phase(p, PHASE_DRAIN);
}

bool pipeline_ended(struct pipeline *p)
{
	/* relaxed: the main thread joins before it believes anything. */
	return atomic_load_explicit(&p->collector.stage.ended, memory_order_relaxed) &&
	       blackbox_ended(&p->blackbox);
}

bool pipeline_join(struct pipeline *p, unsigned timeout_ms)
{
	bool all = true;

	for (unsigned i = 0; i < p->receiver_count; i++)
		all = stage_join(&p->receivers[i].stage, timeout_ms) && all;
	all = stage_join(&p->collector.stage, timeout_ms) && all;
	calibrator_stop(&p->calibrator);
	blackbox_stop(&p->blackbox);
	all = stage_join(&p->calibrator.stage, timeout_ms) && all;
	all = stage_join(&p->blackbox.stage, timeout_ms) && all;
	for (unsigned i = 0; i < p->worker_count; i++)
		all = stage_join(&p->workers[i].stage, timeout_ms) && all;
	return all;
}

void pipeline_close(struct pipeline *p)
{
	/* The sinks give slots back to the receivers' rings to the last. */
	collector_close(&p->collector);
	generations_close(&p->generations);
	calibrator_close(&p->calibrator);
	disks_close(p->disks); /* one that hangs in a file system is left behind */
	blackbox_close(&p->blackbox);
	quality_close(p->quality);
	pictures_close(p->pictures);
	commands_close(&p->commands);
	for (unsigned i = 0; i < p->receiver_count; i++)
		receiver_close(&p->receivers[i]);
	bell_close(&p->collect);
	free(p->receivers);
	free(p->workers);
	memset(p, 0, sizeof *p);
}

/* Start messages with pixel masks: what libzmq may hold of each, each receiver's mask and the
 * collector's as bytes, and one being decompressed as words. */
static uint64_t mask_bytes(const struct config *c)
{
	const struct protocol *protocol = protocol_find(c->ingest.protocol);

	return protocol && protocol->brings_mask
	               ? (c->ingest.endpoints.count * (1 + protocol->largest_part) + 2 +
	                  sizeof(uint32_t)) *
	                         c->ingest.frame_limit
	               : 0;
}

const char *pipeline_directory(const struct config *c, const char *given)
{
	if (given && given[0])
		return given;
	for (unsigned i = 0; i < c->sink_count; i++)
		if (c->sinks[i].format != SINK_NULL && c->sinks[i].format != SINK_STREAM)
			return c->sinks[i].directory;
	return ".";
}

/* A frame is unpacked before its message is given up; an image has planes, variance and sums. The
 * black box unpacks a few frames at a time. */
uint64_t pipeline_kept_bytes(const struct config *c)
{
	uint64_t few = 16 * c->ingest.frame_limit, box = c->blackbox.memory;

	return c->calibration.memory + few +
	       (blackbox_wanted(c) ? box + (few < box ? few : box) : 0);
}

uint64_t pipeline_ceiling(const struct config *c, const struct planes *planes)
{
	return c->ingest.buffer + c->ingest.buffer / 4 + planes->bytes + mask_bytes(c) +
	       pipeline_kept_bytes(c) +
	       (c->monitor.http[0] ? pictures_bytes() + HTTP_MEMORY_BYTES : 0) + MARGIN_BYTES;
}
