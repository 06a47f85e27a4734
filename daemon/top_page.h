/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TOP_PAGE_H
#define DAEMON_TOP_PAGE_H

#include "daemon/top_screen.h"

#include <stddef.h>

/* Rows of text as they are made for top_screen(): never wider than the view, and colours only where
 * it has them. Text that does not fit is cut. */

#define ROWS_MAX  80
#define ROW_BYTES 2048
#define LABEL     10 /* columns */

/* How long a row stays when there is no room for all. */
enum { GOES_FIRST, NICE, USEFUL, WANTED, NEEDED, VITAL };

struct row {
	int importance;
	size_t bytes;
	unsigned columns;
	const char *colour; /* NULL: plain */
	char text[ROW_BYTES];
};

struct page {
	const struct top_view *view;
	unsigned count;
	struct row rows[ROWS_MAX];
};

#define RED    "\033[1;31m"
#define YELLOW "\033[33m"
#define GREEN  "\033[32m"
#define BOLD   "\033[1m"
#define DIM    "\033[2m"
#define PLAIN  "\033[0m"

/* Begin a row; label NULL: all of it is text. */
void page_begin(struct page *p, int importance, const char *label);

/* The row that was begun. */
struct row *page_last(struct page *p);

void page_paint(struct page *p, const char *colour);

/* Text from anywhere, on the row that was begun. */
void page_put(struct page *p, const char *text);
__attribute__((format(printf, 2, 3))) void page_say(struct page *p, const char *format, ...);

/* "12.2 s", "8.30 GB". */
void page_duration(struct page *p, double s);
void page_bytes(struct page *p, double bytes);

/* "[####....]  50 %" */
void page_bar(struct page *p, double share);

/* The latest of values [count], the newest last, as high as they are beside the greatest of them.
 */
void page_past(struct page *p, const double *values, unsigned count);

/* All rows that the view has room for. malloc'd; NULL without memory. */
char *page_text(struct page *p);

#endif
