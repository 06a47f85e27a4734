/* SPDX-License-Identifier: Apache-2.0 */
#include "config/options.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "config/units.h"

#define SPELLING_MAX 64 /* bytes of a key that are compared */

const struct option *option_find(const char *path)
{
	for (const struct option *o = options; o->path; o++) {
		if (strcmp(o->path, path) == 0)
			return o;
	}
	return NULL;
}

const struct option_section *option_find_section(const char *path)
{
	for (const struct option_section *s = option_sections; s->path; s++) {
		if (strcmp(s->path, path) == 0)
			return s;
	}
	return NULL;
}

bool option_next_section(const struct option *o, const struct option *before,
                         char path[OPTION_SECTION_BYTES])
{
	size_t seen = strlen(path);

	for (const char *dot = strchr(o->path + seen + (seen > 0), '.'); dot;
	     dot = strchr(dot + 1, '.')) {
		size_t length = (size_t)(dot - o->path);

		if (before && strncmp(before->path, o->path, length + 1) == 0)
			continue;
		snprintf(path, OPTION_SECTION_BYTES, "%.*s", (int)length, o->path);
		return true;
	}
	return false;
}

static unsigned smaller(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Letters to insert, delete or replace to make one of the other (Levenshtein), one row of the
 * table at a time. */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[SPELLING_MAX + 1];
	size_t a_length = strnlen(a, SPELLING_MAX), b_length = strnlen(b, SPELLING_MAX);

	for (unsigned j = 0; j <= b_length; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a_length; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= b_length; j++) {
			unsigned replaced = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = smaller(replaced, smaller(row[j], row[j - 1]) + 1);
		}
	}
	return row[b_length];
}

static const char *last_name(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot ? dot + 1 : path;
}

/* A slip in the name weighs as much as the right name in the wrong section. */
static unsigned key_distance(const char *unknown, const char *known)
{
	return smaller(edit_distance(unknown, known),
	               edit_distance(last_name(unknown), last_name(known)) + 1);
}

const char *option_nearest(const char *path)
{
	const char *nearest = NULL;
	unsigned nearest_distance = 0;

	for (const struct option *o = options; o->path; o++) {
		unsigned distance = key_distance(path, o->path);

		if (!nearest || distance < nearest_distance) {
			nearest = o->path;
			nearest_distance = distance;
		}
	}
	for (const struct option_section *s = option_sections; s->path; s++) {
		unsigned distance = key_distance(path, s->path);

		if (distance < nearest_distance) {
			nearest = s->path;
			nearest_distance = distance;
		}
	}
	return nearest;
}

const struct option_list *option_find_list(const char *path)
{
	for (unsigned i = 0; i < LIST_COUNT; i++) {
		if (strcmp(option_lists[i].path, path) == 0)
			return &option_lists[i];
	}
	return NULL;
}

/* Whether a path is the list's and then `mark`. */
static bool is_within(const struct option_list *list, const char *path, const char *mark)
{
	size_t length = strlen(list->path);

	return strncmp(path, list->path, length) == 0 &&
	       strncmp(path + length, mark, strlen(mark)) == 0;
}

const struct option_list *option_list_of(const struct option *o)
{
	for (unsigned i = 0; i < LIST_COUNT; i++) {
		if (is_within(&option_lists[i], o->path, ".N."))
			return &option_lists[i];
	}
	return NULL;
}

unsigned option_list_count(const struct option_list *list, const struct config *c)
{
	unsigned count;

	memcpy(&count, (const char *)c + list->count, sizeof count);
	return count;
}

void *option_element(const struct option_list *list, struct config *c, unsigned i)
{
	return (char *)c + list->offset + i * list->size;
}

const void *option_const_element(const struct option_list *list, const struct config *c, unsigned i)
{
	return (const char *)c + list->offset + i * list->size;
}

const char *option_name(const struct option *o)
{
	return last_name(o->path);
}

static bool has_limits(const struct option *o)
{
	return o->least < 0 || o->most > 0;
}

double option_least(const struct option *o)
{
	return has_limits(o) ? o->least : -OPTION_REAL_LIMIT;
}

double option_most(const struct option *o)
{
	return has_limits(o) ? o->most : OPTION_REAL_LIMIT;
}

const struct option_choice *option_choice(const struct option *o, const char *word)
{
	for (const struct option_choice *c = o->choices; c->word; c++) {
		if (strcmp(c->word, word) == 0)
			return c;
	}
	return NULL;
}

/* Text in a buffer of ACCEPTS_MAX that grows at its end. */
static void append(char *text, const char *more)
{
	size_t used = strlen(text);

	snprintf(text + used, ACCEPTS_MAX - used, "%s", more);
}

static void accepts_choice(const struct option *o, char *text)
{
	for (const struct option_choice *c = o->choices; c->word; c++) {
		append(text, c == o->choices ? "" : " | ");
		append(text, c->word);
	}
}

static void print_bound(const struct option *o, int64_t value, char ret[UNITS_TEXT])
{
	if (o->kind == OPTION_SIZE)
		units_print_size(value, ret);
	else if (o->kind == OPTION_TIME)
		units_print_time(value, ret);
	else
		snprintf(ret, UNITS_TEXT, "%" PRId64, value);
}

/* "1 to 64 frames", "0 or more frames", "1" where both ends are the same. */
static void append_range(const struct option *o, char *text)
{
	char bound[UNITS_TEXT];

	print_bound(o, o->low, bound);
	append(text, bound);
	if (o->high == INT64_MAX) {
		append(text, " or more");
	} else if (o->high != o->low) {
		print_bound(o, o->high, bound);
		append(text, " to ");
		append(text, bound);
	}
	if (o->unit && o->high != o->low) {
		append(text, " ");
		append(text, o->unit);
	}
}

static void accepts_number(const struct option *o, char *text)
{
	append(text, o->flags & OPTION_AUTO ? "auto, or " : "");
	append_range(o, text);
}

/* 0.5, 1000000, 1e30. */
static void append_real(double value, char *text)
{
	char bound[UNITS_TEXT];
	char *plus;

	snprintf(bound, sizeof bound, "%.15g", value);
	plus = strchr(bound, '+');
	if (plus)
		memmove(plus, plus + 1, strlen(plus));
	append(text, bound);
}

/* "a number, 0 to 1", "a number, 0 to 1000 deviations". */
static void accepts_real(const struct option *o, char *text)
{
	append(text, o->flags & OPTION_AUTO ? "auto, or " : "");
	append(text, "a number, ");
	append_real(option_least(o), text);
	append(text, " to ");
	append_real(option_most(o), text);
	append(text, o->unit ? " " : "");
	append(text, o->unit ? o->unit : "");
}

static void accepts_text(const struct option *o, char *text)
{
	append(text, o->low > 0 ? "" : "\"\", or ");
	append(text, o->rule ? o->rule->accepts : "text");
	if (o->high < 1000) {
		char most[48];

		snprintf(most, sizeof most, ", at most %" PRId64 " bytes", o->high);
		append(text, most);
	}
}

static void accepts_list(const struct option *o, char *text)
{
	append(text, o->flags & OPTION_FILLED ? "a list, not empty, of " : "a list of ");
	if (o->kind == OPTION_INTEGERS)
		append_range(o, text);
	else
		append(text, o->rule->accepts);
}

void option_accepts(const struct option *o, char ret[ACCEPTS_MAX])
{
	ret[0] = '\0';
	switch (o->kind) {
	case OPTION_CHOICE:
	case OPTION_WORD:
		accepts_choice(o, ret);
		break;
	case OPTION_TEXT:
		accepts_text(o, ret);
		break;
	case OPTION_TEXTS:
	case OPTION_INTEGERS:
		accepts_list(o, ret);
		break;
	case OPTION_INTEGER:
	case OPTION_SIZE:
	case OPTION_TIME:
		accepts_number(o, ret);
		break;
	case OPTION_REAL:
		accepts_real(o, ret);
		break;
	case OPTION_INTERVAL:
		append(ret, "[low, high], two numbers, -1e30 to 1e30");
		break;
	}
}

/* "sinks.3.format" or "sinks[3].format" is the row "sinks.N.format". */
static const struct option *find_key(const char *key)
{
	const char *dot = strrchr(key, '.');
	char path[SPELLING_MAX];

	for (unsigned i = 0; dot && i < LIST_COUNT; i++) {
		const struct option_list *list = &option_lists[i];

		if (!is_within(list, key, ".") && !is_within(list, key, "["))
			continue;
		snprintf(path, sizeof path, "%s.N%s", list->path, dot);
		return option_find(path);
	}
	return option_find(key);
}

const char *config_choice(const char *key, unsigned value)
{
	const struct option *o = find_key(key);

	if (!o || o->kind != OPTION_CHOICE)
		return NULL;
	for (const struct option_choice *c = o->choices; c->word; c++) {
		if (c->value == value)
			return c->word;
	}
	return NULL;
}

unsigned config_option_count(void)
{
	unsigned count = 0;

	while (options[count].path)
		count++;
	return count;
}

void config_option_at(unsigned i, struct config_option *ret)
{
	const struct option *o = &options[i];

	_Static_assert(sizeof ret->accepts == ACCEPTS_MAX, "the same text");
	assert(i < config_option_count());
	*ret = (struct config_option){ .key = o->path, .fallback = o->fallback, .help = o->help };
	option_accepts(o, ret->accepts);
}
