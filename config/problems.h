/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_PROBLEMS_H
#define CONFIG_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Everything wrong with a configuration, one line each, in the order it was found. */

#define PROBLEMS_MAX 64 /* lines; beyond, one line says that there are more */
#define SHOWN_MAX    96 /* bytes of text repeated in a message */

/* Where a value was written. */
struct place {
	const char *name;    /* the file, or the text of the --set; NULL: nowhere, the default */
	bool is_set;         /* name is the text of a --set */
	size_t line, column; /* from 1; only in a file */
};

struct problems {
	char *text;
	size_t length;
	FILE *out;
	unsigned count;
};

/* False without memory. */
bool problems_open(struct problems *p);

/* Add "place: key: sentence". */
__attribute__((format(printf, 4, 5))) void problems_add(struct problems *p, const struct place *at,
                                                        const char *key, const char *sentence, ...);

/* Whether further problems would not be listed, so that looking for them can end. */
bool problems_full(const struct problems *p);

/* Close and hand over the text, malloc'd, NULL when there is no problem. False without
 * memory. Accepts one that was not opened. */
bool problems_close(struct problems *p, char **ret_text);

/* `text` made fit for one line of a message: cut to SHOWN_MAX, '?' for what is not printable. */
const char *shown(char buffer[SHOWN_MAX], const char *text);

#endif
