/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_CEILING_H
#define DAEMON_CEILING_H

#include "config/config.h"

#include <stdint.h>
#include <stdio.h>

/* The memory ceiling (pipeline_ceiling()) beside what the operating system allows. */

/* Print the ceiling of this configuration in bytes. The exit status: 0, or 78 with what is wrong in
 * the log. */
int ceiling_print(const struct config *c, FILE *out);

/* What the control groups of this process allow, in bytes: the least memory.max from its own group
 * up. UINT64_MAX: no limit, or no control groups of version 2. `groups`: where they are mounted;
 * `self`: the file that names its group. */
uint64_t ceiling_allowed(const char *groups, const char *self);

/* Warn when that is less than the ceiling: the kernel would end the process in a measurement. */
void ceiling_warn(uint64_t ceiling_bytes);

#endif
