/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/soak_probe.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* /proc/PID/statm, proc(5): size, resident, in pages. */
static double resident_bytes(pid_t pid)
{
	unsigned long long size, resident;
	char path[64];
	FILE *in;
	int n = 0;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	in = fopen(path, "re");
	if (!in)
		return (double)NAN;
	n = fscanf(in, "%llu %llu", &size, &resident);
	fclose(in);
	return n == 2 ? (double)resident * (double)sysconf(_SC_PAGESIZE) : (double)NAN;
}

/* Entries of the folder /proc/PID/NAME. */
static double count_in(pid_t pid, const char *name)
{
	unsigned count = 0;
	char path[64];
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	d = opendir(path);
	if (!d)
		return (double)NAN;
	for (const struct dirent *e; (e = readdir(d));)
		count += e->d_name[0] != '.';
	closedir(d);
	return count;
}

void soak_probe(pid_t pid, struct soak_process *ret)
{
	*ret = (struct soak_process){ resident_bytes(pid), count_in(pid, "fd"),
		                      count_in(pid, "task") };
}
