/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/monitor_text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_ROOM 4096

static bool make_room(struct text *t, size_t more)
{
	size_t room = t->room ? t->room : FIRST_ROOM;
	char *at;

	while (room - t->length <= more)
		room *= 2;
	if (room == t->room)
		return true;
	at = realloc(t->at, room);
	if (!at)
		return false;
	t->at = at;
	t->room = room;
	return true;
}

void text_add(struct text *t, const char *format, ...)
{
	va_list arguments;
	int n;

	if (t->failed)
		return;
	va_start(arguments, format);
	n = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (n < 0 || !make_room(t, (size_t)n)) {
		t->failed = true;
		return;
	}
	va_start(arguments, format);
	vsnprintf(t->at + t->length, t->room - t->length, format, arguments);
	va_end(arguments);
	t->length += (size_t)n;
}

void text_add_number(struct text *t, double value, int digits)
{
	if (isfinite(value))
		text_add(t, "%.*g", digits, value);
	else
		text_add(t, "null");
}

char *text_take(struct text *t, size_t *ret_length)
{
	char *text = t->failed ? NULL : t->at;

	*ret_length = text ? t->length : 0;
	if (t->failed)
		free(t->at);
	*t = (struct text){ 0 };
	return text;
}
