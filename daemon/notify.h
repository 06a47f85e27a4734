/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Datagrams to a service manager, as sd_notify(3) documents them: lines of NAME=value to the unix
 * socket that NOTIFY_SOCKET names; one that starts with @ has no file. */

struct notifier {
	int fd; /* -1: nobody wants to know */
	struct sockaddr_un to;
	socklen_t to_length;
	uint64_t watchdog_ns; /* feed it more often than that; 0: there is none */
};

/* From the environment: NOTIFY_SOCKET, and WATCHDOG_USEC unless WATCHDOG_PID is another process.
 * 0, also where there is no manager; -EINVAL for a NOTIFY_SOCKET that is no such address; another
 * negative errno. After an error notify_send() does nothing. */
int notify_open(struct notifier *n);

/* False when it could not be sent: the manager is busy or gone. Never waits. */
bool notify_send(const struct notifier *n, const char *lines);

void notify_close(struct notifier *n);

#endif
