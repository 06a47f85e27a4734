/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam top: what a running daemon does, drawn anew. */
#include "daemon/openbeam_commands.h"
#include "daemon/remote.h"
#include "daemon/terminal.h"
#include "daemon/top_screen.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 2000 /* for a daemon that hangs: keys wait for so long */
#define PLAIN_WIDTH 80

static const char top_usage[] =
	"usage: openbeam top [OPTION]...\n"
	"\n"
	"Shows what a running daemon does, drawn anew every second: the series and its frames,\n"
	"losses by their reason, rates, buffer, disk, latencies, alarms. A daemon that goes away\n"
	"is waited for. Where standard output is no terminal, it is printed once.\n"
	"q ends it.\n"
	"\n"
	"  -i, --interval TIME    between two looks (default: 1s)\n"
	"  -1, --once             print it once, without colours, as wide as "
	"$COLUMNS\n" REMOTE_OPTIONS "\n"
	"Colours stay away with NO_COLOR set, characters beyond ASCII where the locale lacks "
	"them.\n"
	"Exit status: 0; 2 usage; 69 nothing answers (--once); 76 what answers is no openbeamd;\n"
	"77 it was refused; 128 and its number after a signal.\n";

struct top {
	const struct remote *remote;
	struct top_past past;
	json_t *status;
	char why[REMOTE_WHY]; /* no answer comes, "": it does, */
	char since[16];       /* since then */
	bool utf8, colour;
};

static bool locale_is_utf8(void)
{
	setlocale(LC_CTYPE, "");
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static void note_time(char since[16])
{
	time_t now = time(NULL);
	struct tm parts;

	localtime_r(&now, &parts);
	strftime(since, 16, "%H:%M:%S", &parts);
}

/* 0, or the exit status that --once has. */
static int look(struct top *t)
{
	json_t *answer = NULL;
	char why[REMOTE_WHY];
	int status = remote_try(t->remote, "/api/v1/status", NULL, &answer, why);

	if (status != 0) {
		if (!t->why[0])
			note_time(t->since);
		memcpy(t->why, why, sizeof why);
		return status;
	}
	t->why[0] = '\0';
	json_decref(t->status);
	t->status = answer;
	top_past_add(&t->past, answer);
	return 0;
}

static char *draw(const struct top *t, unsigned width, unsigned height)
{
	const struct top_view view = {
		.status = t->status,
		.past = &t->past,
		.url = t->remote->url_text,
		.trouble = t->why[0] ? t->why : NULL,
		.since = t->since,
		.width = width,
		.height = height,
		.utf8 = t->utf8,
		.colour = t->colour,
	};

	return top_screen(&view);
}

static int no_memory(void)
{
	return remote_say(EX_OSERR, "no memory");
}

/* ---- once ---- */

static unsigned plain_width(void)
{
	const char *columns = getenv("COLUMNS");
	int width = columns ? atoi(columns) : 0;

	return width >= 20 && width <= 1000 ? (unsigned)width : PLAIN_WIDTH;
}

static int print_once(struct top *t)
{
	int status = look(t);
	char *text;

	if (status != 0)
		return remote_say(status, t->why);
	if (t->remote->as_json) {
		remote_print_json(t->status);
		return EX_OK;
	}
	text = draw(t, plain_width(), 0);
	if (!text)
		return no_memory();
	fputs(text, stdout);
	free(text);
	return EX_OK;
}

/* ---- on a terminal ---- */

static bool show(const struct top *t)
{
	unsigned width, height;
	char *text;

	terminal_size(&width, &height);
	text = draw(t, width, height);
	if (text)
		terminal_draw(text);
	free(text);
	return text != NULL;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Until the next look is due. False when the program shall end. */
static bool wait_until(const struct top *t, double due_s)
{
	for (;;) {
		double left = due_s - now_s();
		char key = 0;

		switch (terminal_wait(left > 0 ? (int)(left * 1e3) + 1 : 0, &key)) {
		case TERMINAL_ENDED:
			return false;
		case TERMINAL_KEY:
			if (key == 'q' || key == 'Q')
				return false;
			break;
		case TERMINAL_RESIZED:
			if (!show(t))
				return false;
			break;
		case TERMINAL_TIME:
			break;
		}
		if (now_s() >= due_s)
			return true;
	}
}

static int watch(struct top *t)
{
	int err = terminal_open();
	bool go_on = true;

	if (err < 0)
		return remote_say(EX_OSERR, strerror(-err));
	while (go_on) {
		double begin_s = now_s();

		look(t);
		go_on = show(t) && wait_until(t, begin_s + t->remote->interval_s);
	}
	terminal_close();
	return terminal_status();
}

int openbeam_top(int argc, char **argv)
{
	struct remote r;
	struct top *t = calloc(1, sizeof *t);
	int status = t ? remote_parse(&r, argc, argv, "i1") : no_memory();

	if (status == 0 && r.help)
		fputs(top_usage, stdout);
	if (status == 0 && !r.help) {
		bool once = r.once || r.as_json || !isatty(STDOUT_FILENO);
		const char *no_colour = getenv("NO_COLOR");

		t->remote = &r;
		t->utf8 = locale_is_utf8();
		t->colour = !once && !(no_colour && no_colour[0]);
		r.url.patience_ms = once ? r.url.patience_ms : PATIENCE_MS;
		status = once ? print_once(t) : watch(t);
	}
	json_decref(t ? t->status : NULL);
	free(t);
	return status;
}
