/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/monitor_command.h"
#include "config/text_rules.h"
#include "kernels/combine.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[COMMAND_COUNT] = {
	[COMMAND_DARK] = "dark",     [COMMAND_FLAT] = "flat",  [COMMAND_KEEP] = "keep",
	[COMMAND_CANCEL] = "cancel", [COMMAND_ARM] = "arm",    [COMMAND_STOP] = "stop",
	[COMMAND_ABORT] = "abort",   [COMMAND_RESET] = "reset"
};

const char *monitor_command_name(enum command_kind kind)
{
	return names[kind];
}

__attribute__((format(printf, 2, 3))) static int say(char why[400], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, 400, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

/* ---- one key each ---- */

static int take_frames(const json_t *value, struct command *c, char why[400])
{
	json_int_t frames = json_integer_value(value);
	bool arms = c->kind == COMMAND_ARM;
	int least = arms ? 0 : 1, most = arms ? COMMAND_FRAMES_MAX : COMBINE_FRAMES_MAX;

	if (!json_is_integer(value) || frames < least || frames > most)
		return say(why, "frames takes a whole number from %d to %d", least, most);
	c->frames = (uint64_t)frames;
	return 0;
}

static int take_combine(const json_t *value, struct command *c, char why[400])
{
	const char *word = json_string_value(value);

	if (!word || (strcmp(word, "mean") != 0 && strcmp(word, "median") != 0))
		return say(why, "combine takes \"mean\" or \"median\"");
	c->combine_given = true;
	c->combine = strcmp(word, "mean") == 0 ? COMBINE_MEAN : COMBINE_MEDIAN;
	return 0;
}

static int take_timeout(const json_t *value, struct command *c, char why[400])
{
	double seconds = json_number_value(value);

	if (!json_is_number(value) || !(seconds >= 0.001) || seconds > COMMAND_TIMEOUT_S)
		return say(why, "timeout_s takes a number of seconds from 0.001 to %d",
		           COMMAND_TIMEOUT_S);
	c->timeout_ns = (uint64_t)llrint(seconds * 1e9);
	return 0;
}

static int take_name(const json_t *value, struct command *c, char why[400])
{
	const char *name = json_string_value(value);

	if (!name || strlen(name) >= sizeof c->name || !rule_name.fits(name))
		return say(why, "name takes %s, at most %zu of them, as series.name",
		           rule_name.accepts, sizeof c->name - 1);
	snprintf(c->name, sizeof c->name, "%s", name);
	return 0;
}

static int take_first(const json_t *value, struct command *c, char why[400])
{
	json_int_t first = json_integer_value(value);

	if (!json_is_integer(value) || first < 0)
		return say(why, "first takes a frame number, a whole number from 0");
	c->first_given = true;
	c->first = (uint64_t)first;
	return 0;
}

static int take_force(const json_t *value, struct command *c, char why[400])
{
	if (!json_is_boolean(value))
		return say(why, "force takes true or false");
	c->force = json_is_true(value);
	return 0;
}

static int take_for(const json_t *value, struct command *c, char why[400])
{
	const char *word = json_string_value(value);

	if (!word || strcmp(word, "flats") != 0)
		return say(why, "for takes \"flats\"");
	c->for_flat = true;
	return 0;
}

struct key {
	const char *name;
	int (*take)(const json_t *value, struct command *c, char why[400]);
};

static const struct key keys_of_dark[] = {
	{ "frames", take_frames },
	{ "combine", take_combine },
	{ "timeout_s", take_timeout },
	{ "for", take_for },
	{ NULL, NULL },
};

static const struct key keys_of_flat[] = {
	{ "frames", take_frames },
	{ "combine", take_combine },
	{ "timeout_s", take_timeout },
	{ NULL, NULL },
};

static const struct key keys_of_arm[] = {
	{ "name", take_name },   { "frames", take_frames },
	{ "first", take_first }, { "force", take_force },
	{ NULL, NULL },
};

static const struct key no_keys[] = { { NULL, NULL } };

static const struct {
	const struct key *keys;
	const char *listed;
} taken[COMMAND_COUNT] = {
	[COMMAND_DARK] = { keys_of_dark, "frames, combine, timeout_s, for" },
	[COMMAND_FLAT] = { keys_of_flat, "frames, combine, timeout_s" },
	[COMMAND_KEEP] = { no_keys, "no others" },
	[COMMAND_CANCEL] = { no_keys, "no others" },
	[COMMAND_ARM] = { keys_of_arm, "name, frames, first, force" },
	[COMMAND_STOP] = { no_keys, "no others" },
	[COMMAND_ABORT] = { no_keys, "no others" },
	[COMMAND_RESET] = { no_keys, "no others" },
};

/* Say of a value that was refused what it is. */
static void add_value(const json_t *value, char why[400])
{
	size_t n = strlen(why);
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);

	if (text)
		snprintf(why + n, 400 - n, ", not %.80s%s", text, strlen(text) > 80 ? "..." : "");
	free(text);
}

static bool is_image(const struct command *c)
{
	return c->kind == COMMAND_DARK || c->kind == COMMAND_FLAT;
}

static int take_key(const char *name, const json_t *value, struct command *c, char why[400])
{
	if (strcmp(name, "command") == 0)
		return 0;
	for (const struct key *k = taken[c->kind].keys; k->name; k++) {
		if (strcmp(k->name, name) != 0)
			continue;
		int err = k->take(value, c, why);

		if (err < 0)
			add_value(value, why);
		return err;
	}
	return say(why, "unknown key \"%.60s\"; the command %s takes %s", name, names[c->kind],
	           taken[c->kind].listed);
}

/* ---- the whole ---- */

static int find_kind(const json_t *root, struct command *c, char why[400])
{
	const char *word = json_string_value(json_object_get(root, "command"));

	if (!word)
		return say(why, "\"command\" is missing, or is no text");
	for (unsigned i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(word, names[i]) == 0) {
			c->kind = (enum command_kind)i;
			return 0;
		}
	return say(why,
	           "there is no command \"%.60s\"; there are arm, stop, abort, reset, dark, flat, "
	           "keep, cancel",
	           word);
}

static int take_all(json_t *root, struct command *c, char why[400])
{
	const char *name;
	json_t *value;
	int err;

	if (!json_is_object(root))
		return say(why,
		           "the body is a JSON object: {\"command\": \"dark\", \"frames\": 50}");
	err = find_kind(root, c, why);
	if (err < 0)
		return err;
	json_object_foreach(root, name, value)
	{
		err = take_key(name, value, c, why);
		if (err < 0)
			return err;
	}
	if (is_image(c) && c->frames == 0)
		return say(why, "\"frames\" is missing: how many frames the %s is taken of",
		           names[c->kind]);
	if (c->first > INT64_MAX - c->frames)
		return say(why, "the last of %llu frames from %llu on has a number above %lld",
		           (unsigned long long)c->frames, (unsigned long long)c->first,
		           (long long)INT64_MAX);
	return 0;
}

int monitor_command_parse(const char *text, size_t bytes, struct command *ret, char why[400])
{
	struct command c = { 0 };
	json_error_t problem;
	json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &problem);
	int err;

	if (!root)
		return say(why, "the body is no JSON: %.200s, at byte %d", problem.text,
		           problem.position);
	err = take_all(root, &c, why);
	json_decref(root);
	if (err == 0)
		*ret = c;
	return err;
}
