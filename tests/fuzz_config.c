/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Up to a zero byte the input is one --set, behind it a file. What loads must print, and what was
 * printed must load to the same. */

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static char *print(const struct config *c, size_t *ret_length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_length);

	if (!out)
		abort();
	config_print(c, out);
	fclose(out);
	return text;
}

static void check_round_trip(const struct config *c)
{
	struct config again;
	size_t length, length_again;
	char *text = print(c, &length), *problems, *text_again;
	char *json = config_json(c);

	if (!json || config_parse(&again, text, length, "printed", NULL, 0, &problems) != 0)
		abort();
	text_again = print(&again, &length_again);
	if (length != length_again || memcmp(text, text_again, length) != 0)
		abort();
	free(text);
	free(text_again);
	free(json);
	config_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const uint8_t *zero = memchr(input, 0, size);
	size_t set_length = zero ? (size_t)(zero - input) : 0;
	char *set = strndup((const char *)input, set_length);
	const char *sets[] = { set };
	size_t skipped = zero ? set_length + 1 : 0;
	struct config c;
	char *problems;

	if (config_parse(&c, (const char *)input + skipped, size - skipped, "input", sets,
	                 set_length > 0, &problems) == 0) {
		check_round_trip(&c);
		config_done(&c);
	} else if (!problems) {
		abort();
	}
	free(problems);
	free(set);
	return 0;
}
