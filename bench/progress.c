/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/progress.h"

#include "daemon/clock.h"

#include <stdio.h>
#include <unistd.h>

static uint64_t interval_ns(const struct progress *p)
{
	return p->terminal ? NS_PER_S / 2 : 5 * NS_PER_S;
}

void progress_init(struct progress *p, bool quiet)
{
	*p = (struct progress){ .quiet = quiet, .terminal = isatty(STDERR_FILENO) };
	p->next_ns = clock_now_ns() + interval_ns(p);
}

bool progress_due(const struct progress *p, uint64_t now_ns)
{
	return !p->quiet && now_ns >= p->next_ns;
}

void progress_show(struct progress *p, uint64_t now_ns, const char *line)
{
	if (p->quiet)
		return;
	p->next_ns = now_ns + interval_ns(p);
	if (p->terminal) /* back to the first column, erase to the end */
		fprintf(stderr, "\r%s\033[K", line);
	else
		fprintf(stderr, "%s\n", line);
	fflush(stderr);
	p->drawn = p->terminal;
}

void progress_clear(struct progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}
