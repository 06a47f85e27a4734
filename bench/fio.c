/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/fio.h"

#include "bench/child.h"
#include "daemon/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define WHY_BYTES  512
#define BLOCK      (UINT64_C(4) << 20)
#define TIMEOUT_S  600
#define EX_STOPPED 130
#define PATH_BYTES (SCRATCH_PATH_MAX + 16)

/* Files of a run, all in the scratch folder. */
struct names {
	char data[2 * PATH_BYTES], report[PATH_BYTES], log[PATH_BYTES];
};

/* fio takes colons for the ends of file names. */
static void escape_colons(char *to, const char *from)
{
	for (; *from; *to++ = *from++)
		if (*from == ':')
			*to++ = '\\';
	*to = '\0';
}

static void name_files(const struct fio_load *load, struct names *n)
{
	const char *folder = load->scratch->path;
	char data[PATH_BYTES];

	snprintf(data, sizeof data, "%s/fio.data", folder);
	escape_colons(n->data, data);
	snprintf(n->report, sizeof n->report, "%s/fio.json", folder);
	snprintf(n->log, sizeof n->log, "%s/fio.log", folder);
}

/* The program's exit status, or negative errno. */
static int run_program(const char *const argv[], const char *log, const volatile sig_atomic_t *stop)
{
	struct child child = { 0 };
	int status = child_start(&child, argv, log);

	if (!status)
		status = child_wait(&child, clock_now_ns() + TIMEOUT_S * NS_PER_S, stop);
	child_end(&child);
	return status;
}

static int start(const struct fio_load *load, const struct names *n)
{
	char data[2 * PATH_BYTES + 16], report[PATH_BYTES + 16], depth[32], size[48];
	const char *const argv[] = {
		"fio",
		"--name=limit",
		data,
		report,
		"--output-format=json",
		"--ioengine=io_uring",
		"--direct=1",
		"--rw=write",
		"--bs=4m",
		"--scramble_buffers=0",
		depth,
		size,
		load->again ? "--fallocate=none" : "--fallocate=posix",
		"--end_fsync=1",
		NULL,
	};

	snprintf(data, sizeof data, "--filename=%s", n->data);
	snprintf(report, sizeof report, "--output=%s", n->report);
	snprintf(depth, sizeof depth, "--iodepth=%u", load->depth);
	snprintf(size, sizeof size, "--size=%" PRIu64, load->bytes / BLOCK * BLOCK);
	return run_program(argv, n->log, load->stop);
}

/* False when the report lacks a figure. */
static bool read_report(const char *path, struct fio_figures *ret)
{
	json_t *all = json_load_file(path, JSON_DISABLE_EOF_CHECK, NULL);
	double bytes = 0, ms = 0, job_ms = 0, user = 0, system = 0;
	bool good = all && !json_unpack(all, "{s:[{s:F, s:F, s:F, s:{s:F, s:F}}]}", "jobs",
	                                "job_runtime", &job_ms, "usr_cpu", &user, "sys_cpu",
	                                &system, "write", "io_bytes", &bytes, "runtime", &ms);

	json_decref(all);
	if (!good || bytes <= 0 || ms <= 0)
		return false;
	*ret = (struct fio_figures){ bytes / ms * 1e-6,
		                     (user + system) * 1e-2 * job_ms * 1e-3 / (bytes * 1e-9) };
	return true;
}

static int refuse(const char *log, char *why)
{
	FILE *in = fopen(log, "r");
	size_t n = (size_t)snprintf(why, WHY_BYTES, "fio failed: ");

	n += in ? fread(why + n, 1, WHY_BYTES - 1 - n, in) : 0;
	why[n] = '\0';
	why[strcspn(why, "\n")] = '\0';
	if (in)
		fclose(in);
	return EX_UNAVAILABLE;
}

bool fio_is_installed(void)
{
	static const volatile sig_atomic_t never;
	const char *const argv[] = { "fio", "--version", NULL };

	return run_program(argv, "/dev/null", &never) == 0;
}

int fio_run(const struct fio_load *load, struct fio_figures *ret, char why[512])
{
	struct names names;
	int status;

	name_files(load, &names);
	status = start(load, &names);
	if (status == -EINTR)
		status = EX_STOPPED;
	else if (status || !read_report(names.report, ret))
		status = refuse(names.log, why);
	if (!load->keep)
		scratch_folder_remove(load->scratch, "fio.data");
	return status;
}
