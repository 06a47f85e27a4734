/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TERMINAL_H
#define DAEMON_TERMINAL_H

#include <stdbool.h>

/* The terminal of `openbeam top`: its other screen, without echo, and back to what it was before
 * however the program ends. There is one. Main thread. */

enum terminal_event {
	TERMINAL_TIME,    /* timeout_ms have passed */
	TERMINAL_KEY,     /* *ret_key was pressed */
	TERMINAL_RESIZED, /* or is in the foreground again: draw anew */
	TERMINAL_ENDED,   /* a signal asks to end, or the terminal is gone */
};

/* Take over the terminal that is standard output; keys come from standard input, if that is one.
 * 0 or negative errno. */
int terminal_open(void);

/* Give it back. Accepts one that was not opened. */
void terminal_close(void);

/* Columns and rows; 80 x 24 where they are not known. */
void terminal_size(unsigned *ret_width, unsigned *ret_height);

/* Replace what is on the screen. text: lines, each ended by a newline. */
void terminal_draw(const char *text);

/* Signals take effect here alone. */
enum terminal_event terminal_wait(int timeout_ms, char *ret_key);

/* 128 and the number of the signal that asked to end; 0: none did. */
int terminal_status(void);

#endif
