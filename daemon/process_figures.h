/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PROCESS_FIGURES_H
#define DAEMON_PROCESS_FIGURES_H

#include <stdint.h>

/* What the kernel knows of this process; NaN where it does not say. */
struct process_figures {
	double cpu_s;                 /* user and system, of all threads */
	double started_s;             /* since 1970 */
	double resident_bytes, bytes; /* of memory: in RAM, of address space */
	double open_fds, most_fds;
};
void process_figures(struct process_figures *ret);

#endif
