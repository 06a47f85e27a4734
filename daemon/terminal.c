/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[0m\033[?25h\033[?1049l"

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
static const int crashing[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

static struct {
	volatile sig_atomic_t entered;
	bool has_keys;
	struct termios before;
	sigset_t mask_before;
} terminal;

static volatile sig_atomic_t end_signal, resized, stopped;

static void write_text(const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(STDOUT_FILENO, text, bytes);

		if (n < 0 && errno != EINTR)
			return;
		text += n > 0 ? n : 0;
		bytes -= n > 0 ? (size_t)n : 0;
	}
}

/* Nothing but what a signal handler may call. */
static void leave(void)
{
	if (!terminal.entered)
		return;
	terminal.entered = 0;
	write_text(LEAVE, sizeof LEAVE - 1);
	if (terminal.has_keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.before);
}

static void enter(void)
{
	struct termios now = terminal.before;

	now.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	now.c_cc[VMIN] = 0;
	now.c_cc[VTIME] = 0;
	terminal.entered = 1;
	if (terminal.has_keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &now);
	write_text(ENTER, sizeof ENTER - 1);
}

static void on_end(int number)
{
	end_signal = number;
}

static void on_resize(int number)
{
	(void)number;
	resized = 1;
}

static void on_stop(int number)
{
	(void)number;
	stopped = 1;
}

/* The handler was reset: the signal ends the program once this returns. */
static void on_crash(int number)
{
	leave();
	raise(number);
}

static void handle(int number, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(number, &action, NULL);
}

/* All but those of a crash wait for terminal_wait(). */
static void watch_signals(void)
{
	sigset_t waiting;

	sigemptyset(&waiting);
	for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
		handle(ending[i], on_end, 0);
		sigaddset(&waiting, ending[i]);
	}
	handle(SIGWINCH, on_resize, 0);
	handle(SIGCONT, on_resize, 0);
	handle(SIGTSTP, on_stop, 0);
	sigaddset(&waiting, SIGWINCH);
	sigaddset(&waiting, SIGCONT);
	sigaddset(&waiting, SIGTSTP);
	sigprocmask(SIG_BLOCK, &waiting, &terminal.mask_before);
	for (size_t i = 0; i < sizeof crashing / sizeof *crashing; i++)
		handle(crashing[i], on_crash, (int)SA_RESETHAND);
}

int terminal_open(void)
{
	terminal.has_keys = isatty(STDIN_FILENO);
	if (terminal.has_keys && tcgetattr(STDIN_FILENO, &terminal.before) != 0)
		return -errno;
	watch_signals();
	atexit(leave);
	enter();
	return 0;
}

void terminal_close(void)
{
	leave();
}

void terminal_size(unsigned *ret_width, unsigned *ret_height)
{
	struct winsize size = { 0 };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*ret_width = size.ws_col ? size.ws_col : 80;
	*ret_height = size.ws_row ? size.ws_row : 24;
}

/* One write, from the upper left corner, each line cleared behind its end: nothing flickers. The
 * last line has no newline, which would scroll. */
void terminal_draw(const char *text)
{
	size_t room = 4 * strlen(text) + 64, at = 0;
	char *screen = malloc(room);

	if (!screen)
		return;
	at += (size_t)snprintf(screen + at, room - at, "\033[H");
	for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
		at += (size_t)snprintf(screen + at, room - at, "%.*s\033[K%s", (int)(end - text),
		                       text, end[1] ? "\r\n" : "");
	at += (size_t)snprintf(screen + at, room - at, "\033[J");
	write_text(screen, at);
	free(screen);
}

/* As the shell's job control expects it. */
static void stop_here(void)
{
	stopped = 0;
	leave();
	raise(SIGSTOP);
	enter();
	resized = 1;
}

static bool read_key(char *ret_key, bool *ret_gone)
{
	ssize_t n = read(STDIN_FILENO, ret_key, 1);

	*ret_gone = n < 0 && errno != EINTR && errno != EAGAIN;
	return n == 1;
}

enum terminal_event terminal_wait(int timeout_ms, char *ret_key)
{
	struct pollfd keys = { .fd = terminal.has_keys ? STDIN_FILENO : -1, .events = POLLIN };
	struct timespec limit = { .tv_sec = timeout_ms / 1000,
		                  .tv_nsec = timeout_ms % 1000 * 1000000L };
	bool gone = false;
	int n = ppoll(&keys, 1, &limit, &terminal.mask_before);

	if (stopped)
		stop_here();
	if (end_signal)
		return TERMINAL_ENDED;
	if (resized) {
		resized = 0;
		return TERMINAL_RESIZED;
	}
	if (n > 0 && read_key(ret_key, &gone))
		return TERMINAL_KEY;
	return gone || (n > 0 && (keys.revents & (POLLHUP | POLLERR | POLLNVAL))) ? TERMINAL_ENDED
	                                                                          : TERMINAL_TIME;
}

int terminal_status(void)
{
	return end_signal ? 128 + end_signal : 0;
}
