/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HOST_PARTS_H
#define DAEMON_HOST_PARTS_H

#include "daemon/host_check.h"
#include "daemon/planes.h"
#include "daemon/slot_layout.h"

/* What the files of host_check() share. */

struct check {
	const struct config *config;
	const struct host_load *load; /* NULL: nothing is measured */
	FILE *out;
	int status;
	unsigned cpu; /* enum cpu_flag */
	struct planes planes;
	bool has_shape; /* of the frames, by the configuration: */
	struct frame_shape shape;
	struct layout plan; /* without memory */
};

/* One finding. level: "ok", "warning", "error". */
__attribute__((format(printf, 4, 5))) void check_find(struct check *k, const char *level,
                                                      const char *area, const char *format, ...);

/* An error with the exit status that the daemon would end with. */
void check_fail(struct check *k, int status, const char *area, const char *why);

/* Folders of the sinks and their file systems. */
void check_disks(struct check *k);

/* Limits of the process, the kernel and the container. */
void check_limits(struct check *k);

/* Where monitor.http listens, and its token. */
void check_monitor(struct check *k);

/* Measure, and judge what k->load asks. */
void check_fit(struct check *k);

/* Cores that the process may use, as affinity and cpu.max say. */
double check_cores_allowed(void);

/* Bytes: MemAvailable, or memory.max where that is less; 0: not known. */
uint64_t check_memory_available(void);

#endif
