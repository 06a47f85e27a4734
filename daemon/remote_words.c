/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/remote.h"

/* Text from elsewhere, on one line. */
void remote_put(FILE *out, const char *text)
{
	for (; text && *text; text++)
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text, out);
}

int remote_say(int status, const char *text)
{
	fputs("openbeam: ", stderr);
	remote_put(stderr, text);
	fputc('\n', stderr);
	return status;
}

const char *remote_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

uint64_t remote_count(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

uint64_t remote_sum(const json_t *o)
{
	const char *key;
	json_t *value;
	uint64_t sum = 0;

	json_object_foreach((json_t *)(uintptr_t)o, key, value) sum +=
		(uint64_t)json_integer_value(value);
	return sum;
}

double remote_number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

bool remote_has_number(const json_t *o, const char *key)
{
	return json_is_number(json_object_get(o, key));
}

void remote_print_json(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(2));
	putchar('\n');
}
