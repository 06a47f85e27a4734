/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/process_figures.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* The fields of /proc/self/stat behind the program's name, which may hold anything. proc(5): utime,
 * stime are 14 and 15, starttime 22, vsize 23, rss 24. */
static int read_stat(unsigned long long *utime, unsigned long long *stime,
                     unsigned long long *started, unsigned long long *bytes, long long *pages)
{
	FILE *f = fopen("/proc/self/stat", "re");
	char line[1024];
	const char *rest = NULL;

	if (f && fgets(line, sizeof line, f))
		rest = strrchr(line, ')');
	if (f)
		fclose(f);
	return rest && sscanf(rest + 1,
	                      " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d "
	                      "%*d %*d %*d %llu %llu %lld",
	                      utime, stime, started, bytes, pages) == 5;
}

/* CLOCK_REALTIME less CLOCK_BOOTTIME, by which the kernel tells when processes started. */
static double booted_s(void)
{
	struct timespec now, since_boot;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	return (double)(now.tv_sec - since_boot.tv_sec) +
	       (double)(now.tv_nsec - since_boot.tv_nsec) / 1e9;
}

static double count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned count = 0;

	if (!d)
		return NAN;
	for (const struct dirent *e; (e = readdir(d));)
		count += e->d_name[0] != '.';
	closedir(d);
	return count - 1; /* that of looking */
}

void process_figures(struct process_figures *ret)
{
	unsigned long long utime, stime, started, bytes;
	double ticks = (double)sysconf(_SC_CLK_TCK);
	struct rlimit most;
	long long pages;

	*ret = (struct process_figures){ NAN, NAN, NAN, NAN, count_fds(), NAN };
	if (getrlimit(RLIMIT_NOFILE, &most) == 0)
		ret->most_fds =
			most.rlim_cur == RLIM_INFINITY ? (double)INFINITY : (double)most.rlim_cur;
	if (!read_stat(&utime, &stime, &started, &bytes, &pages))
		return;
	ret->cpu_s = (double)(utime + stime) / ticks;
	ret->started_s = booted_s() + (double)started / ticks;
	ret->bytes = (double)bytes;
	ret->resident_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE);
}
