/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_VALUES_H
#define CONFIG_VALUES_H

#include "config/options.h"

/* From the text of one value to the member an option describes, and back.
 *
 * `base` is the struct config, or the element for an option of a list's elements. */

#define VALUE_WHY 640 /* bytes of a sentence about a refused value */

/* One YAML scalar. */
struct scalar {
	const char *text; /* ends with a zero byte, and may hold others */
	size_t length;    /* bytes */
	bool quoted;
	bool seconds; /* a time is a number of seconds, without a unit */
};

/* Whether values of this kind are written as a list. */
bool value_is_list(const struct option *o);

/* Read a value that is no list. 0, -EINVAL with why[] saying what is wrong and what is accepted,
 * -ENOMEM. */
int value_read(const struct option *o, void *base, const struct scalar *s, char why[VALUE_WHY]);

/* Check how many elements a list is given, before any is read. 0 or -EINVAL with why[]. */
int value_check_count(const struct option *o, size_t count, char why[VALUE_WHY]);

/* Read element `i` of a list of a checked count, after the ones before it. Errors as of
 * value_read(). */
int value_read_element(const struct option *o, void *base, unsigned i, const struct scalar *s,
                       char why[VALUE_WHY]);

/* Free what the member owns and leave it empty. */
void value_clear(const struct option *o, void *base);

/* The number in a CHOICE, INTEGER, SIZE or TIME member. */
int64_t value_number(const struct option *o, const void *base);

/* The text in a WORD or TEXT member; borrowed. */
const char *value_text(const struct option *o, const void *base);

/* The real in a REAL member; false when it is auto. */
bool value_real(const struct option *o, const void *base, double *ret);

/* Both ends in an INTERVAL member. */
void value_interval(const struct option *o, const void *base, double ret[2]);

/* How many elements a TEXTS or INTEGERS member has, and element i of it. */
unsigned value_count(const struct option *o, const void *base);
const char *value_text_at(const struct option *o, const void *base, unsigned i);
int value_integer_at(const struct option *o, const void *base, unsigned i);

#endif
