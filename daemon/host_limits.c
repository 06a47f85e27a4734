/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/host_parts.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define FILES_LEAST      1024
#define RECEIVE_BUFFER   4194304 /* bytes that a socket should be able to have for fast frames */
#define FAST_BYTES_PER_S 1e9

/* ---- small files of the kernel ---- */

/* The first line of a file without its end; false: it cannot be read. */
static bool read_line(const char *path, char *ret, size_t room)
{
	FILE *f = fopen(path, "re");
	bool good = f && fgets(ret, (int)room, f);

	if (f)
		fclose(f);
	if (good)
		ret[strcspn(ret, "\n")] = '\0';
	return good;
}

static bool read_number(const char *path, unsigned long long *ret)
{
	char line[64], *end;

	if (!read_line(path, line, sizeof line))
		return false;
	*ret = strtoull(line, &end, 10);
	return end != line;
}

/* A figure of the process' cgroup, of version 2; the tightest of it and those above it. False:
 * there is none, or no limit. */
static bool cgroup_least(const char *name, double (*value)(const char *line), double *ret)
{
	char line[1024], path[1200], text[128], *group = line + 3, *slash;
	double least = 0;

	if (!read_line("/proc/self/cgroup", line, sizeof line) || strncmp(line, "0::/", 4) != 0)
		return false;
	if (!group[1])
		group++;
	do { /* "/a/b", "/a", "" */
		snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", group, name);
		double one = read_line(path, text, sizeof text) ? value(text) : 0;

		least = one > 0 && (least == 0 || one < least) ? one : least;
		slash = strrchr(group, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
	*ret = least;
	return least > 0;
}

static double bytes_of(const char *line)
{
	return strtod(line, NULL); /* "max": 0 */
}

/* "200000 100000": time a period. */
static double cores_of(const char *line)
{
	char *end;
	double time = strtod(line, &end), period = strtod(end, NULL);

	return time > 0 && period > 0 ? time / period : 0;
}

double check_cores_allowed(void)
{
	cpu_set_t set;
	double cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1, most;

	return cgroup_least("cpu.max", cores_of, &most) && most < cores ? most : cores;
}

/* A figure of /proc/meminfo in bytes; 0: it is not there. */
static uint64_t memory_figure(const char *name)
{
	unsigned long long kib = 0;
	char line[128];
	size_t n = strlen(name);
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, name, n) == 0 && line[n] == ':')
			kib = strtoull(line + n + 1, NULL, 10);
	if (f)
		fclose(f);
	return (uint64_t)kib * 1024;
}

uint64_t check_memory_available(void)
{
	double there = (double)memory_figure("MemAvailable"), most;

	return (uint64_t)(cgroup_least("memory.max", bytes_of, &most) && most < there ? most
	                                                                              : there);
}

/* ---- the process ---- */

static void check_memlock(struct check *k)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return;
	if (limit.rlim_cur < k->config->ingest.buffer)
		check_find(k, "warning", "limits",
		           "RLIMIT_MEMLOCK is %llu bytes, ingest.buffer %llu: buffers are not "
		           "registered with "
		           "io_uring unless the process has CAP_IPC_LOCK; raise it with `ulimit "
		           "-l` or "
		           "LimitMEMLOCK=infinity",
		           (unsigned long long)limit.rlim_cur,
		           (unsigned long long)k->config->ingest.buffer);
}

static void check_files(struct check *k)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FILES_LEAST)
		check_find(k, "warning", "limits",
		           "RLIMIT_NOFILE is %llu: many peers or viewers may be refused; raise it "
		           "to %d with `ulimit -n` or LimitNOFILE=%d",
		           (unsigned long long)limit.rlim_cur, FILES_LEAST, FILES_LEAST);
}

/* ---- the container ---- */

static void check_container(struct check *k)
{
	double cores, bytes;

	if (cgroup_least("cpu.max", cores_of, &cores))
		check_find(k, "warning", "limits",
		           "cpu.max of the container or unit gives %.3g cores, and stops the "
		           "program when they are used up: leave it out, or bind it to cores "
		           "(cpuset, CPUAffinity)",
		           cores);
	if (cgroup_least("memory.max", bytes_of, &bytes))
		check_find(k, "ok", "limits", "memory.max of the container or unit is %.0f bytes",
		           bytes);
}

/* ---- the kernel ---- */

static void check_io_uring(struct check *k)
{
	unsigned long long disabled;

	if (read_number("/proc/sys/kernel/io_uring_disabled", &disabled) && disabled > 0)
		check_find(k, "warning", "limits",
		           "kernel.io_uring_disabled is %llu: files are written by one call at a "
		           "time, slower; set it to 0 with sysctl",
		           disabled);
}

static void check_huge_pages(struct check *k)
{
	char line[128];

	if (read_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line) &&
	    strstr(line, "[never]"))
		check_find(k, "warning", "limits",
		           "transparent huge pages are off: reading the planes costs more; write "
		           "madvise to /sys/kernel/mm/transparent_hugepage/enabled");
}

static bool has_tcp(const struct config *c)
{
	for (unsigned i = 0; i < c->ingest.endpoints.count; i++)
		if (strncmp(c->ingest.endpoints.at[i], "tcp:", 4) == 0)
			return true;
	return false;
}

/* Small receive buffers hold a fast link up. */
static void check_receive_buffer(struct check *k)
{
	unsigned long long most;
	double per_s =
		k->load && k->has_shape ? k->load->rate * (double)k->plan.budget.frame_bytes : 0;

	if (has_tcp(k->config) && per_s >= FAST_BYTES_PER_S &&
	    read_number("/proc/sys/net/core/rmem_max", &most) && most < RECEIVE_BUFFER)
		check_find(k, "warning", "limits",
		           "net.core.rmem_max is %llu bytes, little for %.1f GB/s over tcp from "
		           "another host: set it and the last figure of net.ipv4.tcp_rmem to %d "
		           "or more with sysctl",
		           most, per_s / 1e9, 4 * RECEIVE_BUFFER);
}

/* ---- the machine ---- */

static void check_governor(struct check *k)
{
	char line[64];

	if (read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", line, sizeof line) &&
	    strcmp(line, "performance") != 0)
		check_find(k, "warning", "limits",
		           "the CPU governor is %s: cores may be slow when frames come after a "
		           "pause; `cpupower frequency-set -g performance`",
		           line);
}

/* Memory that is not needed now may be there; what is swapped in again makes frames wait. */
static void check_swap(struct check *k)
{
	uint64_t all = memory_figure("SwapTotal"), left = memory_figure("SwapFree");

	if (all > left && (all - left) * 10 > all)
		check_find(k, "warning", "memory",
		           "%.1f GB are swapped out: other programs need more memory than there "
		           "is; end some, or set vm.swappiness to 1 with sysctl",
		           (double)(all - left) / 1e9);
}

void check_limits(struct check *k)
{
	check_memlock(k);
	check_files(k);
	check_container(k);
	check_io_uring(k);
	check_huge_pages(k);
	check_receive_buffer(k);
	check_governor(k);
	check_swap(k);
}
