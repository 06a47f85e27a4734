/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/replay_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct replay_kind *find(struct replay_kinds *k, const char *what)
{
	for (unsigned i = 0; i < k->count; i++)
		if (strncmp(k->at[i].what, what, sizeof k->at[i].what - 1) == 0)
			return &k->at[i];
	return NULL;
}

static struct replay_kind *add(struct replay_kinds *k, const char *what, const char *example)
{
	struct replay_kind *kind = &k->at[k->count];

	if (k->count == REPLAY_KINDS) {
		k->beyond++;
		return NULL;
	}
	k->count++;
	*kind = (struct replay_kind){ 0 };
	snprintf(kind->what, sizeof kind->what, "%s", what);
	snprintf(kind->example, sizeof kind->example, "%s", example);
	return kind;
}

void replay_note(struct replay_kinds *k, const uint64_t *frame, const char *what,
                 const char *example)
{
	struct replay_kind *kind = find(k, what);

	if (!kind)
		kind = add(k, what, example);
	if (!kind)
		return;
	kind->of_frames = frame != NULL;
	if (frame && kind->count < REPLAY_NAMED)
		kind->first[kind->count] = *frame;
	kind->count++;
}

int replay_refuse(struct replay *r, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(r->result->why, sizeof r->result->why, format, arguments);
	va_end(arguments);
	return error;
}

void replay_say(const struct replay *r, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	if (!r->options->say)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	r->options->say(r->options->user, text);
}
