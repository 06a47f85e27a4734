/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/proc_threads.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES 4096

static double ticks(unsigned long long n)
{
	return (double)n / (double)sysconf(_SC_CLK_TCK);
}

/* The name is between the first and the last bracket: it may hold any. */
bool proc_parse_stat(const char *text, struct proc_thread *ret)
{
	unsigned long long minor, major, user, system;
	const char *open = strchr(text, '('), *close = strrchr(text, ')');

	if (!open || !close || close < open ||
	    sscanf(close + 1, " %*c %*d %*d %*d %*d %*d %*u %llu %*u %llu %*u %llu %llu", &minor,
	           &major, &user, &system) != 4)
		return false;
	snprintf(ret->name, sizeof ret->name, "%.*s", (int)(close - open - 1), open + 1);
	ret->faults = minor + major;
	ret->major_faults = major;
	ret->user_s = ticks(user);
	ret->system_s = ticks(system);
	return true;
}

bool proc_parse_schedstat(const char *text, struct proc_thread *ret)
{
	unsigned long long run, queue;

	if (sscanf(text, "%llu %llu", &run, &queue) != 2)
		return false;
	ret->run_s = (double)run * 1e-9;
	ret->queue_s = (double)queue * 1e-9;
	return true;
}

/* The number in a line "NAME: 123". */
static bool number_of(const char *text, const char *name, uint64_t *ret)
{
	size_t length = strlen(name);
	char *end;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, length) == 0 && line[length] == ':') {
			uint64_t number = strtoull(line + length + 1, &end, 10);

			if (end == line + length + 1)
				return false;
			*ret = number;
			return true;
		}
	}
	return false;
}

bool proc_parse_status(const char *text, struct proc_thread *ret, uint64_t *ret_peak_bytes)
{
	uint64_t peak_kib;

	if (number_of(text, "VmHWM", &peak_kib))
		*ret_peak_bytes = peak_kib * 1024;
	return number_of(text, "voluntary_ctxt_switches", &ret->switches) &&
	       number_of(text, "nonvoluntary_ctxt_switches", &ret->preemptions);
}

bool proc_parse_io(const char *text, struct proc_process *ret)
{
	return number_of(text, "syscr", &ret->read_calls) &&
	       number_of(text, "syscw", &ret->write_calls) &&
	       number_of(text, "write_bytes", &ret->written_bytes);
}

/* The times of all cores: user nice system idle iowait irq softirq steal. */
bool proc_parse_machine(const char *text, double *ret_busy_s)
{
	unsigned long long user, nice, system, irq, soft, steal;

	if (sscanf(text, "cpu %llu %llu %llu %*u %*u %llu %llu %llu", &user, &nice, &system, &irq,
	           &soft, &steal) != 6)
		return false;
	*ret_busy_s = ticks(user + nice + system + irq + soft + steal);
	return true;
}

bool proc_parse_loopback(const char *text, uint64_t *ret_bytes)
{
	const char *line = strstr(text, " lo:");

	if (!line)
		return false;
	*ret_bytes = strtoull(line + 4, NULL, 10);
	return true;
}

static bool read_file(char text[TEXT_BYTES], const char *path)
{
	FILE *in = fopen(path, "r");
	size_t n;

	if (!in)
		return false;
	n = fread(text, 1, TEXT_BYTES - 1, in);
	fclose(in);
	text[n] = '\0';
	return n > 0;
}

static bool read_text(char text[TEXT_BYTES], pid_t pid, pid_t thread, const char *name)
{
	char path[64];

	if (thread)
		snprintf(path, sizeof path, "/proc/%d/task/%d/%s", pid, thread, name);
	else
		snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	return read_file(text, path);
}

bool proc_machine_look(double *ret_busy_s)
{
	char text[TEXT_BYTES];

	return read_file(text, "/proc/stat") && proc_parse_machine(text, ret_busy_s);
}

bool proc_loopback_look(uint64_t *ret_bytes)
{
	char text[TEXT_BYTES];

	return read_file(text, "/proc/net/dev") && proc_parse_loopback(text, ret_bytes);
}

static struct proc_thread *find(const struct proc_process *p, pid_t id)
{
	for (unsigned i = 0; i < p->count; i++)
		if (p->threads[i].id == id)
			return (struct proc_thread *)(uintptr_t)&p->threads[i];
	return NULL;
}

static void look_at_thread(struct proc_process *p, pid_t pid, pid_t id)
{
	struct proc_thread *kept = find(p, id), seen = { .id = id };
	char text[TEXT_BYTES];
	uint64_t peak = p->peak_bytes;

	if (!read_text(text, pid, id, "stat") || !proc_parse_stat(text, &seen))
		return;
	if (!read_text(text, pid, id, "status") || !proc_parse_status(text, &seen, &peak))
		return;
	if (read_text(text, pid, id, "schedstat"))
		proc_parse_schedstat(text, &seen);
	if (peak > p->peak_bytes)
		p->peak_bytes = peak;
	if (!kept && p->count < PROC_THREADS_MAX)
		kept = &p->threads[p->count++];
	if (kept)
		*kept = seen;
}

bool proc_process_look(struct proc_process *p, pid_t pid)
{
	struct proc_thread whole = { 0 };
	char path[32], text[TEXT_BYTES];
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return false;
	while ((entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			look_at_thread(p, pid, (pid_t)strtol(entry->d_name, NULL, 10));
	closedir(tasks);
	if (read_text(text, pid, 0, "stat") && proc_parse_stat(text, &whole) &&
	    whole.user_s + whole.system_s > p->cpu_s)
		p->cpu_s = whole.user_s + whole.system_s;
	if (read_text(text, pid, 0, "io"))
		proc_parse_io(text, p);
	return true;
}

struct proc_thread proc_thread_since(const struct proc_thread *now,
                                     const struct proc_process *before)
{
	const struct proc_thread *then = find(before, now->id);
	struct proc_thread d = *now;

	if (!then)
		return d;
	d.user_s -= then->user_s;
	d.system_s -= then->system_s;
	d.run_s -= then->run_s;
	d.queue_s -= then->queue_s;
	d.faults -= then->faults;
	d.major_faults -= then->major_faults;
	d.switches -= then->switches;
	d.preemptions -= then->preemptions;
	return d;
}
