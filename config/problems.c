/* SPDX-License-Identifier: Apache-2.0 */
#include "config/problems.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool problems_open(struct problems *p)
{
	*p = (struct problems){ 0 };
	p->out = open_memstream(&p->text, &p->length);
	return p->out != NULL;
}

static void print_place(FILE *out, const struct place *at)
{
	char buffer[SHOWN_MAX];

	if (!at->name)
		fprintf(out, "defaults: ");
	else if (at->is_set)
		fprintf(out, "--set %s: ", shown(buffer, at->name));
	else if (at->line > 0)
		fprintf(out, "%s:%zu:%zu: ", at->name, at->line, at->column);
	else
		fprintf(out, "%s: ", at->name);
}

void problems_add(struct problems *p, const struct place *at, const char *key, const char *sentence,
                  ...)
{
	va_list values;

	p->count++;
	if (p->count == PROBLEMS_MAX + 1)
		fprintf(p->out, "more problems follow; only the first %d are listed\n",
		        PROBLEMS_MAX);
	if (p->count > PROBLEMS_MAX)
		return;
	print_place(p->out, at);
	if (key)
		fprintf(p->out, "%s: ", key);
	va_start(values, sentence);
	vfprintf(p->out, sentence, values);
	va_end(values);
	fputc('\n', p->out);
}

bool problems_full(const struct problems *p)
{
	return p->count > PROBLEMS_MAX;
}

bool problems_close(struct problems *p, char **ret_text)
{
	bool whole;

	if (!p->out)
		return false;
	whole = !ferror(p->out);
	if (fclose(p->out) != 0)
		whole = false;
	p->out = NULL;
	if (p->count > 0 && !p->text)
		whole = false;
	if (!whole || p->count == 0) {
		free(p->text);
		p->text = NULL;
	}
	if (whole)
		*ret_text = p->text;
	return whole;
}

const char *shown(char buffer[SHOWN_MAX], const char *text)
{
	size_t length = strlen(text);
	size_t kept = length < SHOWN_MAX ? length : SHOWN_MAX - 4;

	/* Never cut inside a UTF-8 sequence. */
	while (kept < length && kept > 0 && ((unsigned char)text[kept] & 0xc0) == 0x80)
		kept--;
	for (size_t i = 0; i < kept; i++) {
		unsigned char c = (unsigned char)text[i];

		buffer[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
	}
	strcpy(buffer + kept, kept < length ? "..." : "");
	return buffer;
}
