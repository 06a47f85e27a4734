/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A whole number from 1, else 0. */
static uint64_t read_number(const char *name)
{
	const char *text = getenv(name);
	char *end;

	if (!text || text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? number : 0;
}

/* The variables are inherited by whatever the manager started: they may be about another one. */
static uint64_t watchdog_ns(void)
{
	uint64_t us = read_number("WATCHDOG_USEC");

	if (getenv("WATCHDOG_PID") && read_number("WATCHDOG_PID") != (uint64_t)getpid())
		return 0;
	return us <= UINT64_MAX / 1000 ? us * 1000 : 0;
}

int notify_open(struct notifier *n)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;

	*n = (struct notifier){ .fd = -1 };
	if (length == 0)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || length < 2 || length >= sizeof n->to.sun_path)
		return -EINVAL;
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, path, length);
	if (path[0] == '@')
		n->to.sun_path[0] = '\0';
	n->to_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd < 0)
		return -errno;
	n->watchdog_ns = watchdog_ns();
	return 0;
}

bool notify_send(const struct notifier *n, const char *lines)
{
	size_t length = strlen(lines);

	return n->fd >= 0 &&
	       sendto(n->fd, lines, length, MSG_DONTWAIT | MSG_NOSIGNAL,
	              (const struct sockaddr *)&n->to, n->to_length) == (ssize_t)length;
}

void notify_close(struct notifier *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}
