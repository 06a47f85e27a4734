/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/child.h"

#include "daemon/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 200 /* between looks at the stop flag */

static void become(const char *const argv[], const char *log)
{
	int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int in = open("/dev/null", O_RDONLY);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
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
	pid_t pid = fork();
	int handle;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(argv, log);
	handle = pidfd_open(pid, 0);
	if (handle < 0) {
		int err = -errno;

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err;
	}
	*c = (struct child){ pid, handle };
	return 0;
}

static int reap(struct child *c)
{
	int status = 0;

	waitpid(c->pid, &status, 0);
	close(c->handle);
	*c = (struct child){ 0 };
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int child_wait(struct child *c, uint64_t deadline_ns, const volatile sig_atomic_t *stop)
{
	for (;;) {
		struct pollfd ended = { .fd = c->handle, .events = POLLIN };

		if (poll(&ended, 1, LOOK_MS) > 0)
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
