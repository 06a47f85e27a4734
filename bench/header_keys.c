/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/header_keys.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_number(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
	bool number = json_is_number(value);

	json_decref(value);
	return number;
}

/* In quotes, malloc'd; NULL where it is no UTF-8. */
static char *quoted(const char *text, size_t length)
{
	json_t *value = json_stringn(text, length);
	char *json = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

	json_decref(value);
	return json;
}

bool header_keys_add(char keys[HEADER_KEYS_MAX], const char *pair)
{
	const char *equals = strchr(pair, '=');
	char *key = equals && equals > pair ? quoted(pair, (size_t)(equals - pair)) : NULL;
	char *value = NULL;
	size_t used = strlen(keys);
	int length = 0;

	if (key)
		value = is_number(equals + 1) ? strdup(equals + 1)
		                              : quoted(equals + 1, strlen(equals + 1));
	if (value)
		length = snprintf(keys + used, HEADER_KEYS_MAX - used, ",%s:%s", key, value);
	free(key);
	free(value);
	if (length > 0 && (size_t)length < HEADER_KEYS_MAX - used)
		return true;
	keys[used] = '\0';
	return false;
}
