/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/openbeam_progress.h"
#include "daemon/idle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_NS 5000000000u
#define DRAW_NS 200000000u

void openbeam_progress_begin(struct openbeam_progress *p)
{
	uint64_t now = clock_monotonic_ns();

	*p = (struct openbeam_progress){ .began_ns = now,
		                         .told_ns = now,
		                         .terminal = isatty(STDERR_FILENO) && !getenv("NO_COLOR") };
}

bool openbeam_progress_due(struct openbeam_progress *p, double *ret_seconds)
{
	uint64_t now = clock_monotonic_ns();

	if (now - p->told_ns < (p->terminal ? DRAW_NS : LINE_NS))
		return false;
	p->told_ns = now;
	*ret_seconds = (double)(now - p->began_ns + 1) / 1e9;
	return true;
}

void openbeam_progress_line(struct openbeam_progress *p, const char *format, ...)
{
	va_list arguments;

	if (p->terminal)
		fputs("\r\033[K", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	if (!p->terminal)
		fputc('\n', stderr);
	p->drawn = p->terminal;
}

void openbeam_progress_wipe(struct openbeam_progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}
