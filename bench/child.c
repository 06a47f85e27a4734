/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/child.h"

#include "daemon/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 200 /* between looks at the stop flag, at most */

/* Bit i: core i. */
static void confine(unsigned long long cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = 0; i < 64; i++)
		if (cpus >> i & 1)
			CPU_SET(i, &set);
	if (cpus && sched_setaffinity(0, sizeof set, &set))
		_exit(126);
}

static void become(const char *const argv[], const char *log, unsigned long long cpus)
{
	int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int in = open("/dev/null", O_RDONLY);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	confine(cpus);
	if (in >= 0)
		dup2(in, STDIN_FILENO);
	if (out >= 0) {
		dup2(out, STDOUT_FILENO);
		dup2(out, STDERR_FILENO);
	}
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

int child_start(struct child *c, const char *const argv[], const char *log)
{
	return child_start_on(c, argv, log, 0);
}

int child_start_on(struct child *c, const char *const argv[], const char *log,
                   unsigned long long cpus)
{
	pid_t pid = fork();
	int handle;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(argv, log, cpus);
	handle = pidfd_open(pid, 0);
	if (handle < 0) {
		int err = -errno;

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err;
	}
	*c = (struct child){ .pid = pid, .handle = handle };
	return 0;
}

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + 1e-6 * (double)t->tv_usec;
}

static int reap(struct child *c)
{
	struct rusage used = { 0 };
	int status = 0;

	wait4(c->pid, &status, 0, &used);
	close(c->handle);
	*c = (struct child){ .cpu_s = seconds(&used.ru_utime) + seconds(&used.ru_stime) };
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int ms_until(uint64_t deadline_ns)
{
	uint64_t now = clock_now_ns();
	uint64_t ms = now < deadline_ns ? (deadline_ns - now) / 1000000 + 1 : 0;

	return ms < LOOK_MS ? (int)ms : LOOK_MS;
}

int child_wait(struct child *c, uint64_t deadline_ns, const volatile sig_atomic_t *stop)
{
	for (;;) {
		struct pollfd ended = { .fd = c->handle, .events = POLLIN };

		if (poll(&ended, 1, ms_until(deadline_ns)) > 0)
			return reap(c);
		if (*stop)
			return -EINTR;
		if (clock_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
}

void child_end(struct child *c)
{
	static const volatile sig_atomic_t never;

	if (!c->pid)
		return;
	kill(c->pid, SIGTERM);
	if (child_wait(c, clock_now_ns() + 3 * NS_PER_S, &never) != -ETIMEDOUT)
		return;
	kill(c->pid, SIGKILL);
	reap(c);
}
