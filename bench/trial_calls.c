/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/trial_parts.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define SUMMARY_BYTES 16384

static struct trial_call *call_named(struct trial_calls *c, const char *name)
{
	for (unsigned i = 0; i < c->count; i++)
		if (strcmp(c->at[i].name, name) == 0)
			return &c->at[i];
	if (c->count == TRIAL_CALLS_MAX)
		return NULL;
	snprintf(c->at[c->count].name, sizeof c->at->name, "%s", name);
	return &c->at[c->count++];
}

/* "% time  seconds  usecs/call  calls  errors  syscall": errors may be missing. */
static bool parse_row(const char *line, unsigned long long *ret_calls, char name[24])
{
	return sscanf(line, " %*f %*f %*u %llu %*u %23[a-z0-9_]", ret_calls, name) == 2 ||
	       sscanf(line, " %*f %*f %*u %llu %23[a-z0-9_]", ret_calls, name) == 2;
}

bool trial_calls_parse(const char *summary, struct trial_calls *ret)
{
	bool any = false;

	for (const char *line = summary; line; line = strchr(line, '\n')) {
		unsigned long long calls;
		struct trial_call *one;
		char name[24];

		line += *line == '\n';
		if (!parse_row(line, &calls, name) || strcmp(name, "total") == 0)
			continue;
		one = call_named(ret, name);
		if (one)
			one->calls += calls;
		any = true;
	}
	return any;
}

int trial_read_calls(const struct trial *t, struct trial_figures *ret, char why[512])
{
	static const char *const names[] = { "daemon.calls", "send.calls" };

	for (unsigned i = 0; i < 2; i++) {
		struct trial_path path = trial_in_scratch(t, names[i]);
		FILE *in = fopen(path.text, "r");
		char text[SUMMARY_BYTES];
		size_t n = in ? fread(text, 1, sizeof text - 1, in) : 0;

		text[n] = '\0';
		if (in)
			fclose(in);
		if (!trial_calls_parse(text, &ret->calls[i])) {
			snprintf(why, WHY_BYTES, "strace left no summary in %.300s", path.text);
			return EX_UNAVAILABLE;
		}
	}
	return 0;
}
