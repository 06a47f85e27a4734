/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/ledger.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const states[FRAME_STATE_COUNT] = { "written", "dropped", "missing" };

static const char *const dropped_names[DROPPED_COUNT] = { "overload", "decode",  "write",
	                                                  "no_space", "aborted", "crash" };

static const char *const missing_names[MISSING_COUNT] = { "never", "rejected",
	                                                  "overload_at_sender" };

static const struct {
	uint32_t flag;
	const char *word;
} flag_words[] = { { FRAME_INCOMPLETE, "incomplete" },
	           { FRAME_DARK, "dark" },
	           { FRAME_FLAT, "flat" },
	           { FRAME_BEAM_DIP, "beam-dip" },
	           { FRAME_NO_BEAM, "no-beam" } };

#define FLAG_WORDS (sizeof flag_words / sizeof *flag_words)

const char *frame_state_name(enum frame_state s)
{
	return (unsigned)s < FRAME_STATE_COUNT ? states[s] : "";
}

const char *frame_reason_name(enum frame_state s, unsigned reason)
{
	if (s == FRAME_DROPPED && reason < DROPPED_COUNT)
		return dropped_names[reason];
	if (s == FRAME_MISSING && reason < MISSING_COUNT)
		return missing_names[reason];
	return "";
}

void frame_flags_text(uint32_t flags, char ret[FRAME_FLAGS_BYTES])
{
	size_t n = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < FLAG_WORDS; i++)
		if (flags & flag_words[i].flag)
			n += (size_t)snprintf(ret + n, FRAME_FLAGS_BYTES - n, "%s%s", n ? "|" : "",
			                      flag_words[i].word);
}

uint32_t frame_flags_of(const char *text)
{
	uint32_t flags = 0;

	while (*text) {
		size_t n = strcspn(text, "|");

		for (size_t i = 0; i < FLAG_WORDS; i++)
			if (strlen(flag_words[i].word) == n &&
			    strncmp(text, flag_words[i].word, n) == 0)
				flags |= flag_words[i].flag;
		text += n + (text[n] == '|');
	}
	return flags;
}
