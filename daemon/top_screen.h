/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TOP_SCREEN_H
#define DAEMON_TOP_SCREEN_H

#include <jansson.h>
#include <stdbool.h>

/* What `openbeam top` shows: text made of a status, for a terminal of a size and kind. It knows
 * neither terminals nor clocks. */

#define TOP_PAST 240 /* looks remembered */

/* Rates of the last looks, the newest last. */
struct top_past {
	unsigned count;
	double fps[TOP_PAST], in[TOP_PAST], out[TOP_PAST]; /* frames/s, bytes/s */
};

/* Remember the rates of one more status. */
void top_past_add(struct top_past *p, const json_t *status);

struct top_view {
	const json_t *status; /* the last answer of /api/v1/status; NULL: none has come yet */
	const struct top_past *past;
	const char *url;
	const char *trouble; /* why no answer comes, a sentence; NULL: it does */
	const char *since;   /* with trouble: "22:41:07" */
	unsigned width;      /* columns */
	unsigned height;     /* rows; 0: as many as there are */
	bool utf8, colour;
};

/* Lines, each ended by a newline, at most `height` of at most `width` columns; where there is no
 * room for all of them the least important are left out. Text from the daemon is made harmless. In
 * UTF-8 columns are counted as LC_CTYPE says. malloc'd; NULL without memory. */
char *top_screen(const struct top_view *v);

#endif
