/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_SINKS_IO_H
#define SINKS_SINKS_IO_H

#include "sinks/sinks.h"
#include "sinks/writer.h"

/* As sinks_open(), over an operating system that a test made: borrowed until sinks_close(). */
int sinks_open_with(struct sinks **ret, const struct config *c, const struct sink_program *program,
                    const struct sink_callbacks *callbacks, int wake_fd, const struct disk_io *io,
                    char why[256]);

#endif
