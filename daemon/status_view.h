/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STATUS_VIEW_H
#define DAEMON_STATUS_VIEW_H

#include "daemon/commands.h"
#include "daemon/figures.h"
#include "daemon/last_loss.h"
#include "daemon/latency.h"
#include "daemon/process_figures.h"
#include "daemon/quality.h"
#include "daemon/disks.h"
#include "daemon/status_rates.h"

/* All that people are told of a run at one moment, before anybody puts it into words: status and
 * metrics both are made of it. */

struct pipeline;

enum status_state {
	STATUS_IDLE,     /* no series runs */
	STATUS_ARMED,    /* an arm command or a start message came, the first frame did not */
	STATUS_RUNNING,  /* a series runs */
	STATUS_DEGRADED, /* and has lost or damaged frames, or an alarm is active */
	STATUS_ERROR,    /* frames cannot be written, or the run cannot go on */
	STATUS_STATE_COUNT
};

/* "idle", "armed", ... */
const char *status_state_name(enum status_state s);

struct status_view {
	const struct config *config;
	const char *version, *commit, *isa;
	uint64_t now_ns; /* CLOCK_REALTIME */
	struct figures figures;
	struct series_place place;
	bool failed; /* the run cannot go on */

	/* Sums over the receivers, since start. */
	uint64_t messages, received_bytes, disconnects;

	struct rate_figures rates;
	uint64_t slots_used; /* of figures.slots */

	struct latency_figures latency[LATENCY_STAGES];          /* of the series */
	struct latency_since_start latency_ever[LATENCY_STAGES]; /* of all */
	struct loss_record last_loss;                            /* time 0: none */

	struct disk_space disks[CONFIG_SINKS_MAX]; /* of each sink */

	struct process_figures process; /* for metrics: whoever tells them asks the kernel */
	uint64_t ceiling_bytes;         /* that its memory should not pass */

	bool has_quality;
	struct quality_figures quality; /* without: NaN, no alarm */
	struct calibration_report calibration;
	struct blackbox_report blackbox;
	struct {
		uint64_t connections, events; /* open ones; streams of events among them */
	} watchers;                           /* the monitor's */
};

/* Gather it, with the rates of `r` and without watchers. Any thread but the collector; waits for
 * others who copy, never for long. */
void status_look(struct pipeline *p, const struct sink_program *program, const struct rates *r,
                 struct status_view *ret);

/* For rates_add(). */
void status_sums(struct pipeline *p, uint64_t monotonic_ns, struct rate_sums *ret);

enum status_state status_state(const struct status_view *v);

/* Seconds until the first disk is full at the rate of the last second; infinite: nothing is
 * written. `ret_free_bytes`: of that disk, the one with the least; 0 where none is known. */
double status_disk_seconds(const struct status_view *v, uint64_t *ret_free_bytes);

/* What a sink is called in metrics: its format, and for a further one of the same its index as
 * well: "tiff", "tiff-2". */
#define SINK_LABEL_BYTES 32
void status_sink_label(const struct config *c, unsigned sink, char ret[SINK_LABEL_BYTES]);

/* The names of reasons, as status and metrics have them. */
typedef const char *reason_name_fn(unsigned reason);
reason_name_fn status_dropped_name, status_missing_name, status_rejected_name;

#endif
