/* SPDX-License-Identifier: Apache-2.0 */
#include "config/values.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/problems.h"
#include "config/units.h"

static void *member(const struct option *o, void *base)
{
	return (char *)base + o->offset;
}

static const void *const_member(const struct option *o, const void *base)
{
	return (const char *)base + o->offset;
}

static const void *const_second(const struct option *o, const void *base)
{
	return (const char *)base + o->also;
}

static void *second_member(const struct option *o, void *base)
{
	return (char *)base + o->also;
}

/* "sentence; accepted: ...". Always -EINVAL. */
__attribute__((format(printf, 3, 4))) static int refuse(const struct option *o, char why[VALUE_WHY],
                                                        const char *sentence, ...)
{
	char accepts[ACCEPTS_MAX];
	va_list values;
	int used;

	va_start(values, sentence);
	used = vsnprintf(why, VALUE_WHY, sentence, values);
	va_end(values);
	option_accepts(o, accepts);
	if (used >= 0 && used < VALUE_WHY)
		snprintf(why + used, VALUE_WHY - (size_t)used, "; accepted: %s", accepts);
	return -EINVAL;
}

static int set_text(char **text, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

static void set_number(const struct option *o, void *base, int64_t value)
{
	uint32_t narrow = (uint32_t)value;

	if (o->size == sizeof narrow)
		memcpy(member(o, base), &narrow, sizeof narrow);
	else
		memcpy(member(o, base), &value, sizeof value);
}

static int read_choice(const struct option *o, void *base, const struct scalar *s,
                       char why[VALUE_WHY])
{
	char buffer[SHOWN_MAX];
	const struct option_choice *choice = option_choice(o, s->text);

	if (!choice)
		return refuse(o, why, "'%s' is none of its values", shown(buffer, s->text));
	if (o->kind == OPTION_WORD)
		return set_text(member(o, base), choice->word);
	set_number(o, base, choice->value);
	return 0;
}

/* Characters that print as they are and that YAML reads back between quotes. */
static bool is_printable(const struct scalar *s)
{
	for (const unsigned char *c = (const unsigned char *)s->text; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			return false;
		if (*c == 0xc2 && c[1] < 0xa0) /* U+0080 to U+009F */
			return false;
		if (*c == 0xe2 && c[1] == 0x80 && (c[2] == 0xa8 || c[2] == 0xa9)) /* U+2028, 9 */
			return false;
		if (*c == 0xef && c[1] == 0xbb && c[2] == 0xbf) /* U+FEFF */
			return false;
		if (*c == 0xef && c[1] == 0xbf && c[2] >= 0xbe) /* U+FFFE, U+FFFF */
			return false;
	}
	return strlen(s->text) == s->length;
}

static bool is_null(const struct scalar *s)
{
	static const char *const words[] = { "~", "null", "Null", "NULL" };

	for (size_t i = 0; !s->quoted && i < sizeof words / sizeof *words; i++) {
		if (strcmp(s->text, words[i]) == 0)
			return true;
	}
	return false;
}

static int check_text(const struct option *o, const struct scalar *s, char why[VALUE_WHY])
{
	char buffer[SHOWN_MAX];

	if (!is_printable(s))
		return refuse(o, why, "'%s' holds characters that are not printable",
		              shown(buffer, s->text));
	if (is_null(s))
		return refuse(o, why, "%s is no text (nothing is written \"\")", s->text);
	if ((int64_t)s->length < o->low)
		return refuse(o, why, "it must not be empty");
	if ((int64_t)s->length > o->high)
		return refuse(o, why, "'%s' is %zu bytes long, %lld are the most",
		              shown(buffer, s->text), s->length, (long long)o->high);
	if (s->length > 0 && o->rule && !o->rule->fits(s->text))
		return refuse(o, why, "'%s' does not fit", shown(buffer, s->text));
	return 0;
}

static int read_text(const struct option *o, void *base, const struct scalar *s,
                     char why[VALUE_WHY])
{
	int err = check_text(o, s, why);

	return err ? err : set_text(member(o, base), s->text);
}

/* The sentence about a number that was not read. */
static int refuse_number(const struct option *o, const char *text, enum units_read read,
                         char why[VALUE_WHY])
{
	char buffer[SHOWN_MAX];
	const char *units = o->kind == OPTION_TIME ? units_of_time : units_of_size;

	shown(buffer, text);
	switch (read) {
	case UNITS_LEADING_ZERO:
		return refuse(o, why, "'%s' begins with a zero, which some read as octal", buffer);
	case UNITS_HUGE:
		return refuse(o, why, "%s is out of range", buffer);
	case UNITS_NO_UNIT:
		return refuse(o, why, "%s has no unit, it needs one of %s", buffer, units);
	case UNITS_UNKNOWN_UNIT:
		return refuse(o, why, "'%s' has no known unit, which are %s", buffer, units);
	case UNITS_UNEVEN:
		return refuse(o, why, "%s is not a whole number of %s", buffer,
		              o->kind == OPTION_TIME ? "nanoseconds" : "bytes");
	default:
		break;
	}
	switch (o->kind) {
	case OPTION_SIZE:
		return refuse(o, why, "'%s' is no size", buffer);
	case OPTION_TIME:
		return refuse(o, why, "'%s' is no time", buffer);
	case OPTION_INTEGER:
	case OPTION_INTEGERS:
		return refuse(o, why, "'%s' is no whole number", buffer);
	default:
		return refuse(o, why, "'%s' is no number", buffer);
	}
}

static bool is_auto(const struct option *o, const struct scalar *s)
{
	return (o->flags & OPTION_AUTO) && strcmp(s->text, "auto") == 0;
}

/* What every number is checked for before its digits. */
static int check_number(const struct option *o, const struct scalar *s, char why[VALUE_WHY])
{
	char buffer[SHOWN_MAX];

	if (s->length == 0)
		return refuse(o, why, "it has no value");
	if (s->quoted)
		return refuse(o, why, "\"%s\" in quotes is a text, not a number",
		              shown(buffer, s->text));
	if (strlen(s->text) != s->length)
		return refuse_number(o, s->text, UNITS_MALFORMED, why);
	return 0;
}

static enum units_read read_time(const struct scalar *s, int64_t *ret)
{
	return s->seconds ? units_seconds(s->text, ret) : units_time(s->text, ret);
}

static int read_integer(const struct option *o, const struct scalar *s, char why[VALUE_WHY],
                        int64_t *ret)
{
	char buffer[SHOWN_MAX];
	enum units_read read;
	int64_t value = 0;
	int err = check_number(o, s, why);

	if (err)
		return err;
	read = o->kind == OPTION_SIZE   ? units_size(s->text, &value)
	       : o->kind == OPTION_TIME ? read_time(s, &value)
	                                : units_integer(s->text, &value);
	if (read != UNITS_OK)
		return refuse_number(o, s->text, read, why);
	if (value < o->low || value > o->high)
		return refuse(o, why, "%s is out of range", shown(buffer, s->text));
	*ret = value;
	return 0;
}

static int read_number(const struct option *o, void *base, const struct scalar *s,
                       char why[VALUE_WHY])
{
	int64_t value = CONFIG_AUTO;
	int err = is_auto(o, s) ? 0 : read_integer(o, s, why, &value);

	if (err == 0)
		set_number(o, base, value);
	return err;
}

static int read_real_number(const struct option *o, const struct scalar *s, char why[VALUE_WHY],
                            double *ret)
{
	char buffer[SHOWN_MAX];
	enum units_read read;
	double value = 0;
	int err = check_number(o, s, why);

	if (err)
		return err;
	read = units_real(s->text, &value);
	if (read != UNITS_OK)
		return refuse_number(o, s->text, read, why);
	if (value < option_least(o) || value > option_most(o))
		return refuse(o, why, "%s is out of range", shown(buffer, s->text));
	*ret = value;
	return 0;
}

static int read_real(const struct option *o, void *base, const struct scalar *s,
                     char why[VALUE_WHY])
{
	bool automatic = is_auto(o, s);
	int err = automatic ? 0 : read_real_number(o, s, why, member(o, base));

	if (err == 0 && (o->flags & OPTION_AUTO))
		memcpy(second_member(o, base), &automatic, sizeof automatic);
	return err;
}

bool value_is_list(const struct option *o)
{
	return o->kind == OPTION_TEXTS || o->kind == OPTION_INTEGERS || o->kind == OPTION_INTERVAL;
}

int value_read(const struct option *o, void *base, const struct scalar *s, char why[VALUE_WHY])
{
	switch (o->kind) {
	case OPTION_CHOICE:
	case OPTION_WORD:
		return read_choice(o, base, s, why);
	case OPTION_TEXT:
		return read_text(o, base, s, why);
	case OPTION_INTEGER:
	case OPTION_SIZE:
	case OPTION_TIME:
		return read_number(o, base, s, why);
	case OPTION_REAL:
		return read_real(o, base, s, why);
	default:
		return refuse(o, why, "it takes a list");
	}
}

/* How many elements a list member has room for. */
static size_t capacity(const struct option *o)
{
	if (o->kind == OPTION_TEXTS)
		return CONFIG_LIST_MAX;
	return o->kind == OPTION_INTEGERS ? o->size / sizeof(int) : 2;
}

int value_check_count(const struct option *o, size_t count, char why[VALUE_WHY])
{
	if (o->kind == OPTION_INTERVAL && count != 2)
		return refuse(o, why, "%zu given where two numbers are needed", count);
	if (count > capacity(o))
		return refuse(o, why, "%zu values, %zu are the most", count, capacity(o));
	if ((o->flags & OPTION_FILLED) && count == 0)
		return refuse(o, why, "the list is empty");
	return 0;
}

static int read_list_text(const struct option *o, void *base, unsigned i, const struct scalar *s,
                          char why[VALUE_WHY])
{
	struct config_list *list = member(o, base);
	int err = check_text(o, s, why);

	if (err == 0)
		err = set_text(&list->at[i], s->text);
	if (err == 0)
		list->count = i + 1;
	return err;
}

static int read_list_integer(const struct option *o, void *base, unsigned i, const struct scalar *s,
                             char why[VALUE_WHY])
{
	int *numbers = member(o, base);
	unsigned *count = second_member(o, base);
	int64_t value;
	int err = read_integer(o, s, why, &value);

	if (err)
		return err;
	numbers[i] = (int)value;
	*count = i + 1;
	return 0;
}

int value_read_element(const struct option *o, void *base, unsigned i, const struct scalar *s,
                       char why[VALUE_WHY])
{
	if (o->kind == OPTION_TEXTS)
		return read_list_text(o, base, i, s, why);
	if (o->kind == OPTION_INTEGERS)
		return read_list_integer(o, base, i, s, why);
	return read_real_number(o, s, why, i == 0 ? member(o, base) : second_member(o, base));
}

static void clear_text(char **text)
{
	free(*text);
	*text = NULL;
}

void value_clear(const struct option *o, void *base)
{
	struct config_list *list;

	switch (o->kind) {
	case OPTION_WORD:
	case OPTION_TEXT:
		clear_text(member(o, base));
		break;
	case OPTION_TEXTS:
		list = member(o, base);
		for (unsigned i = 0; i < CONFIG_LIST_MAX; i++)
			clear_text(&list->at[i]);
		list->count = 0;
		break;
	case OPTION_INTEGERS:
		*(unsigned *)second_member(o, base) = 0;
		break;
	default:
		break;
	}
}

int64_t value_number(const struct option *o, const void *base)
{
	uint32_t narrow;
	int64_t value;

	if (o->size == sizeof narrow) {
		memcpy(&narrow, const_member(o, base), sizeof narrow);
		return narrow;
	}
	memcpy(&value, const_member(o, base), sizeof value);
	return value;
}

const char *value_text(const struct option *o, const void *base)
{
	return *(char *const *)const_member(o, base);
}

bool value_real(const struct option *o, const void *base, double *ret)
{
	bool automatic = false;

	if (o->flags & OPTION_AUTO)
		memcpy(&automatic, const_second(o, base), sizeof automatic);
	if (!automatic)
		memcpy(ret, const_member(o, base), sizeof *ret);
	return !automatic;
}

void value_interval(const struct option *o, const void *base, double ret[2])
{
	memcpy(&ret[0], const_member(o, base), sizeof ret[0]);
	memcpy(&ret[1], const_second(o, base), sizeof ret[1]);
}

unsigned value_count(const struct option *o, const void *base)
{
	const struct config_list *list = const_member(o, base);

	return o->kind == OPTION_TEXTS ? list->count : *(const unsigned *)const_second(o, base);
}

const char *value_text_at(const struct option *o, const void *base, unsigned i)
{
	const struct config_list *list = const_member(o, base);

	return list->at[i];
}

int value_integer_at(const struct option *o, const void *base, unsigned i)
{
	const int *numbers = const_member(o, base);

	return numbers[i];
}
