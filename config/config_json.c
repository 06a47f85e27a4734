/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <jansson.h>
#include <string.h>

#include "config/options.h"
#include "config/values.h"

/* jansson's setters take the reference and fail on NULL, so that a value that could not be made
 * fails where it is put. */

static json_t *json_number(const struct option *o, const void *base)
{
	int64_t value = value_number(o, base);

	if ((o->flags & OPTION_AUTO) && value == CONFIG_AUTO)
		return json_string("auto");
	if (o->kind == OPTION_TIME)
		return json_real((double)value / 1e9);
	return json_integer(value);
}

static json_t *json_real_or_auto(const struct option *o, const void *base)
{
	double value;

	return value_real(o, base, &value) ? json_real(value) : json_string("auto");
}

static json_t *json_list(const struct option *o, const void *base)
{
	json_t *list = json_array();
	unsigned count = value_count(o, base);

	for (unsigned i = 0; i < count; i++) {
		json_t *element = o->kind == OPTION_INTEGERS
		                          ? json_integer(value_integer_at(o, base, i))
		                          : json_string(value_text_at(o, base, i));

		if (json_array_append_new(list, element) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *json_value(const struct option *o, const void *base)
{
	double ends[2];

	switch (o->kind) {
	case OPTION_CHOICE:
		if (o->flags & OPTION_NUMBER)
			return json_number(o, base);
		return json_string(config_choice(o->path, (unsigned)value_number(o, base)));
	case OPTION_WORD:
	case OPTION_TEXT:
		return json_string(value_text(o, base));
	case OPTION_TEXTS:
	case OPTION_INTEGERS:
		return json_list(o, base);
	case OPTION_REAL:
		return json_real_or_auto(o, base);
	case OPTION_INTERVAL:
		value_interval(o, base, ends);
		return json_pack("[f, f]", ends[0], ends[1]);
	default:
		return json_number(o, base);
	}
}

/* The object that a key lies in, made where it is not there yet. Borrowed; NULL without memory. */
static json_t *object_of(json_t *root, const char *path)
{
	json_t *object = root;
	const char *dot;

	for (; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
		char name[64];
		json_t *inner;

		snprintf(name, sizeof name, "%.*s", (int)(dot - path), path);
		inner = json_object_get(object, name);
		if (!inner) {
			inner = json_object();
			if (json_object_set_new(object, name, inner) < 0)
				return NULL;
		}
		object = inner;
	}
	return object;
}

static json_t *json_element(const struct option_list *list, const void *element)
{
	json_t *object = json_object();

	for (const struct option *o = options; o->path; o++) {
		if (option_list_of(o) != list)
			continue;
		if (json_object_set_new(object, option_name(o), json_value(o, element)) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static bool put_list(json_t *root, const struct option_list *list, const struct config *c)
{
	json_t *array = json_array();
	unsigned count = option_list_count(list, c);

	if (json_object_set_new(root, list->path, array) < 0)
		return false;
	for (unsigned i = 0; i < count; i++) {
		const void *element = option_const_element(list, c, i);

		if (json_array_append_new(array, json_element(list, element)) < 0)
			return false;
	}
	return true;
}

/* One row; a list where the first key of its elements stands. */
static bool put_option(json_t *root, const struct option *o, const struct config *c)
{
	const struct option_list *list = option_list_of(o);
	json_t *object;

	if (list)
		return json_object_get(root, list->path) != NULL || put_list(root, list, c);
	object = object_of(root, o->path);
	return object && json_object_set_new(object, option_name(o), json_value(o, c)) == 0;
}

char *config_json(const struct config *c)
{
	json_t *root = json_object();
	char *text = NULL;
	bool whole = root != NULL;

	for (const struct option *o = options; whole && o->path; o++)
		whole = put_option(root, o, c);
	if (whole)
		text = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	return text;
}
