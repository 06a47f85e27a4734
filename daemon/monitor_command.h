/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_MONITOR_COMMAND_H
#define DAEMON_MONITOR_COMMAND_H

#include "daemon/commands.h"

#include <stddef.h>

/* The body of POST /api/v1/command:
 *
 *   {"command": "dark" | "flat", "frames": N, "combine": "mean" | "median", "timeout_s": T,
 *    "for": "flats"}                          all but command and frames may be left out
 *   {"command": "arm", "name": TEXT, "frames": N, "first": N, "force": true}   all but command may
 *                                              be left out; frames 0 is as if it were
 *   {"command": "keep" | "cancel" | "stop" | "abort" | "reset"}
 *
 * Unknown and doubled keys, wrong kinds and values out of range are errors that name them. */

#define COMMAND_FRAMES_MAX 1000000000
#define COMMAND_TIMEOUT_S  86400

/* 0, or -EINVAL with why: one sentence. Any thread. */
int monitor_command_parse(const char *text, size_t bytes, struct command *ret, char why[400]);

/* "dark", "flat", "keep", "cancel", "arm", "stop", "abort", "reset". */
const char *monitor_command_name(enum command_kind kind);

#endif
