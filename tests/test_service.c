/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ceiling.h"
#include "daemon/service.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND_NS ((uint64_t)1000000000u)

/* A service manager: a datagram socket without a file. */
static int listen_as_manager(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char name[80];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	int n = snprintf(name, sizeof name, "@openbeam-test-%d", (int)getpid());
	memcpy(at.sun_path + 1, name + 1, (size_t)n - 1);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at,
	                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
	             0);
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "10000000", 1);
	unsetenv("WATCHDOG_PID");
	return fd;
}

/* The next datagram; "" when there is none. */
static const char *heard(int fd)
{
	static char text[1000];
	ssize_t n = recv(fd, text, sizeof text - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

Test(notify, tells_nobody_where_there_is_no_manager)
{
	struct notifier n;

	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "10000000", 1);
	cr_assert_eq(notify_open(&n), 0);
	cr_assert_eq(n.watchdog_ns, 0);
	cr_assert_not(notify_send(&n, "READY=1"));
}

Test(notify, refuses_what_is_no_address_of_a_socket)
{
	const char *const wrong[] = { "run/notify", "@", "/", "vsock:2:1" };
	char far[200] = "/";
	struct notifier n;

	memset(far + 1, 'x', sizeof far - 2);
	for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		setenv("NOTIFY_SOCKET", wrong[i], 1);
		cr_expect_eq(notify_open(&n), -EINVAL, "%s", wrong[i]);
		cr_expect_not(notify_send(&n, "READY=1"));
	}
	setenv("NOTIFY_SOCKET", far, 1);
	cr_expect_eq(notify_open(&n), -EINVAL);
}

Test(notify, speaks_to_a_socket_without_a_file)
{
	int fd = listen_as_manager();
	struct notifier n;

	cr_assert_eq(notify_open(&n), 0);
	cr_assert(notify_send(&n, "READY=1"));
	cr_assert_str_eq(heard(fd), "READY=1");
	close(fd);
	cr_assert_not(notify_send(&n, "STATUS=nobody is there"));
	notify_close(&n);
}

Test(notify, leaves_the_watchdog_of_another_process_alone)
{
	struct notifier n;
	char own[20];

	listen_as_manager();
	snprintf(own, sizeof own, "%d", (int)getpid());
	setenv("WATCHDOG_PID", own, 1);
	cr_assert_eq(notify_open(&n), 0);
	cr_assert_eq(n.watchdog_ns, 10 * SECOND_NS);
	notify_close(&n);
	setenv("WATCHDOG_PID", "1", 1);
	cr_assert_eq(notify_open(&n), 0);
	cr_assert_eq(n.watchdog_ns, 0);
	setenv("WATCHDOG_PID", "", 1);
	cr_assert_eq(notify_open(&n), 0);
	cr_assert_eq(n.watchdog_ns, 0);
}

static struct vitals look(struct stage *stages, unsigned count, uint64_t now_ns)
{
	struct vitals v = { .pulse = PULSE_MOVES };

	for (unsigned i = 0; i < count; i++)
		vitals_take(&v, &stages[i], now_ns, SERVICE_STILL_NS);
	return v;
}

Test(service, feeds_the_watchdog_only_while_every_stage_moves_or_waits_for_the_disk)
{
	struct stage stages[3] = { { .started = true }, { .started = true }, { .started = false } };
	int fd = listen_as_manager();
	struct service s = { 0 };
	unsigned fed[40] = { 0 };

	cr_assert_eq(notify_open(&s.notifier), 0);
	for (unsigned second = 1; second < 40; second++) {
		uint64_t now_ns = second * SECOND_NS;

		stage_turn(&stages[0]);
		if (second < 10 || second > 20) /* 10 to 20: stands still */
			if (second < 25)        /* from 25 on: likewise, for the disk */
				stage_turn(&stages[1]);
		atomic_store(&stages[1].on_disk, second >= 25);
		struct vitals v = look(stages, 3, now_ns);
		service_turn(&s, &v, now_ns);
		while (strcmp(heard(fd), "WATCHDOG=1") == 0)
			fed[second]++;
	}
	for (unsigned second = 4; second < 40; second++) {
		unsigned lately = fed[second] + fed[second - 1] + fed[second - 2];

		if (second < 14 || second > 22)
			cr_expect_geq(lately, 1, "second %u: a quarter of 10 s is too long",
			              second);
		if (second >= 14 && second <= 20)
			cr_expect_eq(fed[second], 0, "second %u: a stage stands still", second);
	}
	notify_close(&s.notifier);
}

Test(service, says_that_it_is_ready_once_the_manager_takes_it)
{
	const struct vitals well = { .pulse = PULSE_MOVES };
	int fd = listen_as_manager();
	struct service s = { 0 };

	setenv("WATCHDOG_PID", "1", 1);
	cr_assert_eq(notify_open(&s.notifier), 0);
	while (notify_send(&s.notifier, "STATUS=the queue fills"))
		;
	service_ready(&s);
	service_turn(&s, &well, SECOND_NS);
	while (strcmp(heard(fd), "STATUS=the queue fills") == 0)
		;
	service_turn(&s, &well, 2 * SECOND_NS);
	cr_expect_str_eq(heard(fd), "READY=1");
	service_turn(&s, &well, 3 * SECOND_NS);
	cr_expect_str_empty(heard(fd), "once");
	notify_close(&s.notifier);
}

Test(service, asks_for_time_to_close_a_series_while_stages_move)
{
	const struct vitals well = { .pulse = PULSE_MOVES };
	struct stage stage = { .name = "sink" };
	const struct vitals stuck = { PULSE_STILL, &stage, 9 * SECOND_NS };
	int fd = listen_as_manager();
	struct service s = { 0 };

	setenv("WATCHDOG_PID", "1", 1);
	cr_assert_eq(notify_open(&s.notifier), 0);
	service_stopping(&s, NULL);
	service_stopping(&s, "once is enough");
	cr_expect_str_eq(heard(fd), "STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000\nSTATUS=ending");
	service_turn(&s, &well, 10 * SECOND_NS);
	cr_expect_str_eq(heard(fd), "EXTEND_TIMEOUT_USEC=30000000\n");
	service_turn(&s, &stuck, 20 * SECOND_NS);
	cr_expect_str_empty(heard(fd));
	notify_close(&s.notifier);
}

Test(service, names_the_stage_that_is_worst)
{
	struct stage stages[3] = { { .started = true, .on_disk = true },
		                   { .started = true },
		                   { .started = true } };
	struct vitals v = look(stages, 3, SECOND_NS);

	cr_assert_null(v.stage);
	stage_turn(&stages[2]);
	v = look(stages, 3, 8 * SECOND_NS);
	cr_assert_eq(v.pulse, PULSE_STILL);
	cr_assert_eq(v.stage, &stages[1]);
	cr_assert_eq(v.still_ns, 7 * SECOND_NS);
	atomic_store(&stages[1].ended, true);
	v = look(stages, 3, 9 * SECOND_NS);
	cr_assert_eq(v.pulse, PULSE_ON_DISK);
	cr_assert_eq(v.stage, &stages[0]);
}

static void put_file(const char *folder, const char *name, const char *text)
{
	char path[300];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	cr_assert_not_null(f, "%s", path);
	fputs(text, f);
	fclose(f);
}

Test(ceiling, what_is_allowed_is_the_least_limit_of_a_group_and_those_above)
{
	char folder[] = "/tmp/ob-groups-XXXXXX", self[60], path[80];

	cr_assert_not_null(mkdtemp(folder));
	snprintf(self, sizeof self, "%s/self", folder);
	snprintf(path, sizeof path, "%s/system.slice", folder);
	cr_assert_eq(mkdir(path, 0755), 0);
	put_file(path, "memory.max", "5000000000\n");
	snprintf(path, sizeof path, "%s/system.slice/o.service", folder);
	cr_assert_eq(mkdir(path, 0755), 0);
	put_file(path, "memory.max", "max\n");

	cr_expect_eq(ceiling_allowed(folder, self), UINT64_MAX, "no such file");
	put_file(folder, "self", "1:name=systemd:/a\n");
	cr_expect_eq(ceiling_allowed(folder, self), UINT64_MAX, "no groups of version 2");
	put_file(folder, "self", "1:name=systemd:/a\n0::/system.slice/o.service\n");
	cr_expect_eq(ceiling_allowed(folder, self), 5000000000);
	put_file(path, "memory.max", "4000000000\n");
	cr_expect_eq(ceiling_allowed(folder, self), 4000000000);
	snprintf(path, sizeof path, "rm -r %s", folder);
	cr_assert_eq(system(path), 0);
}
