/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/top_page.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define BAR        24 /* columns */
#define SPARK_MOST 60
#define END_BYTES  16 /* of a row, for what ends its colours */

struct row *page_last(struct page *p)
{
	return &p->rows[p->count - 1];
}

static void add_bytes(struct row *r, const char *bytes, size_t n)
{
	if (r->bytes + n + END_BYTES > ROW_BYTES)
		return;
	memcpy(r->text + r->bytes, bytes, n);
	r->bytes += n;
}

void page_paint(struct page *p, const char *colour)
{
	struct row *r = page_last(p);
	const char *now = r->colour ? r->colour : PLAIN;

	if (!p->view->colour || strcmp(colour, now) == 0)
		return;
	add_bytes(r, colour, strlen(colour));
	r->colour = strcmp(colour, PLAIN) != 0 ? colour : NULL;
}

/* One character, if there is still room for it. */
static void put_character(struct page *p, const char *bytes, size_t n, unsigned columns)
{
	struct row *r = page_last(p);

	if (r->columns + columns > p->view->width || r->bytes + n + END_BYTES > ROW_BYTES)
		return;
	add_bytes(r, bytes, n);
	r->columns += columns;
}

/* The character at `text` [left]: its bytes, and its columns; 0 columns: it cannot be shown. */
static size_t character(const struct page *p, const char *text, size_t left, unsigned *ret_columns)
{
	unsigned char c = (unsigned char)text[0];
	mbstate_t state = { 0 };
	wchar_t wide;

	*ret_columns = c >= ' ' && c < 0x7f;
	if (c < 0x80)
		return 1;
	/* Some decoders accept ends of sequences by themselves: one sign for each whole one. */
	size_t n = p->view->utf8 ? mbrtowc(&wide, text, left, &state) : (size_t)-1;
	if (n == (size_t)-1 || n == (size_t)-2) {
		for (n = 1; n < left && ((unsigned char)text[n] & 0xc0) == 0x80; n++)
			;
		return n;
	}
	int columns = wcwidth(wide);
	*ret_columns = columns > 0 ? (unsigned)columns : 0;
	return n;
}

/* Text from anywhere. What turns the direction of writing has no width, and goes with that. */
void page_put(struct page *p, const char *text)
{
	size_t left = strlen(text), n;

	for (; left > 0; text += n, left -= n) {
		unsigned columns;

		n = character(p, text, left, &columns);
		put_character(p, columns ? text : "?", columns ? n : 1, columns ? columns : 1);
	}
}

void page_say(struct page *p, const char *format, ...)
{
	char text[800];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	page_put(p, text);
}

void page_begin(struct page *p, int importance, const char *label)
{
	if (p->count < ROWS_MAX)
		p->count++;
	*page_last(p) = (struct row){ .importance = importance };
	if (p->view->trouble && importance < VITAL)
		page_paint(p, DIM);
	if (label)
		page_say(p, "%-*s", LABEL, label);
}

/* ---- figures ---- */

void page_duration(struct page *p, double s)
{
	if (s < 100)
		page_say(p, "%.1f s", s);
	else if (s < 6000)
		page_say(p, "%.0f min", s / 60);
	else if (s < 3.6e5)
		page_say(p, "%.0f h", s / 3600);
	else if (s < 8.64e8)
		page_say(p, "%.0f days", s / 86400);
	else
		page_put(p, "years");
}

void page_bytes(struct page *p, double bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
	unsigned i = 0;

	for (; bytes >= 999.5 && i + 1 < sizeof units / sizeof *units; i++)
		bytes /= 1000;
	page_say(p,
	         i == 0          ? "%.0f %s"
	         : bytes < 9.995 ? "%.2f %s"
	         : bytes < 99.95 ? "%.1f %s"
	                         : "%.0f %s",
	         bytes, units[i]);
}

void page_bar(struct page *p, double share)
{
	unsigned columns = p->view->width < 60 ? BAR / 3 : BAR;
	unsigned full = share > 0 ? (unsigned)lrint(fmin(share, 1) * columns) : 0;

	page_put(p, "[");
	for (unsigned i = 0; i < columns; i++)
		page_put(p, i < full ? (p->view->utf8 ? "\u2588" : "#")
		                     : (p->view->utf8 ? "\u2591" : "."));
	page_say(p, "] %3.0f %%", 100 * fmin(fmax(share, 0), 1));
}

void page_past(struct page *p, const double *values, unsigned count)
{
	static const char *const blocks[] = { "\u2581", "\u2582", "\u2583", "\u2584",
		                              "\u2585", "\u2586", "\u2587", "\u2588" };
	static const char *const letters[] = { "_", ".", ":", "-", "=", "+", "*", "#" };
	unsigned used = page_last(p)->columns,
		 room = p->view->width > used ? p->view->width - used : 0;
	double top = 0;

	if (count < 2)
		return;
	if (room > SPARK_MOST)
		room = SPARK_MOST;
	if (count > room) {
		values += count - room;
		count = room;
	}
	for (unsigned i = 0; i < count; i++)
		top = fmax(top, values[i]);
	for (unsigned i = 0; i < count; i++) {
		unsigned level = top > 0 ? (unsigned)lrint(7 * fmax(values[i], 0) / top) : 0;

		page_put(p, p->view->utf8 ? blocks[level] : letters[level]);
	}
}

/* The last of the least important ones goes. */
static void remove_row(struct page *p)
{
	unsigned least = 0;

	for (unsigned i = 1; i < p->count; i++)
		if (p->rows[i].importance <= p->rows[least].importance)
			least = i;
	memmove(&p->rows[least], &p->rows[least + 1], (p->count - least - 1) * sizeof *p->rows);
	p->count--;
}

char *page_text(struct page *p)
{
	size_t bytes = 1, at = 0;
	char *text;

	while (p->view->height && p->count > p->view->height)
		remove_row(p);
	for (unsigned i = 0; i < p->count; i++) {
		struct row *r = &p->rows[i];

		if (r->colour) {
			memcpy(r->text + r->bytes, PLAIN, sizeof PLAIN - 1);
			r->bytes += sizeof PLAIN - 1;
		}
		bytes += r->bytes + 1;
	}
	text = malloc(bytes);
	for (unsigned i = 0; text && i < p->count; i++) {
		memcpy(text + at, p->rows[i].text, p->rows[i].bytes);
		at += p->rows[i].bytes;
		text[at++] = '\n';
	}
	if (text)
		text[at] = '\0';
	return text;
}
