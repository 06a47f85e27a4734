/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a file: it is read as a public key, as a secret one, and as a list. */
#include "ingest/curve_keys.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A refusal has a sentence, and what was read is a key. */
static void check_key(const char *text, size_t size, enum curve_half half)
{
	struct curve_pair pair;
	char why[CURVE_WHY] = "";

	if (curve_key_parse(text, size, "input", half, &pair, why) != 0) {
		if (!why[0])
			abort();
		return;
	}
	if (!curve_key_valid(pair.public_key, strlen(pair.public_key)))
		abort();
	if (half == CURVE_SECRET ? !curve_key_valid(pair.secret_key, strlen(pair.secret_key))
	                         : pair.secret_key[0] != '\0')
		abort();
}

static void check_list(const char *text, size_t size)
{
	struct curve_list list;
	char why[CURVE_WHY] = "";

	if (curve_list_parse(text, size, "input", &list, why) != 0) {
		if (!why[0])
			abort();
		return;
	}
	for (unsigned i = 0; i < list.count; i++) {
		if (!curve_key_valid(list.at[i].key, strlen(list.at[i].key)) ||
		    !curve_list_find(&list, list.at[i].key))
			abort();
		for (const char *c = list.at[i].label; *c; c++)
			if (*c < ' ' || *c > '~')
				abort();
	}
	curve_list_done(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_key((const char *)data, size, CURVE_PUBLIC);
	check_key((const char *)data, size, CURVE_SECRET);
	check_list((const char *)data, size);
	return 0;
}
