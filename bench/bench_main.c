/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam-bench: what the machine can do, and what the program makes of it. */
#include "bench/bench_options.h"
#include "bench/results.h"
#include "ingest/source.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#define EX_BAD_USAGE 2

static int complain(int status, const char *why)
{
	fprintf(stderr, "openbeam-bench: %s\n", why);
	return status;
}

static bench_fn *find(const char *name)
{
	for (const struct bench_row *r = bench_rows; r->name; r++)
		if (strcmp(r->name, name) == 0)
			return r->run;
	return NULL;
}

static int write_json(const struct results *r, const char *path)
{
	int err = path ? results_write(r, path) : 0;

	if (!err)
		return 0;
	fprintf(stderr, "openbeam-bench: cannot write %s: %s\n", path, strerror(-err));
	return err == -EACCES ? EX_NOPERM : EX_CANTCREAT;
}

/* A file that cannot be written is known before a minute of measuring. */
static int try_json(const char *path)
{
	FILE *out = path ? fopen(path, "a") : NULL;

	if (!path)
		return 0;
	if (out) {
		fclose(out);
		return 0;
	}
	fprintf(stderr, "openbeam-bench: cannot write %s: %s\n", path, strerror(errno));
	return errno == EACCES ? EX_NOPERM : EX_CANTCREAT;
}

static int measure(const struct bench_options *o)
{
	struct results results;
	char why[512] = "";
	int status = try_json(o->json), json_status;

	if (status)
		return status;
	if (results_open(&results, o->benchmark))
		return complain(EX_OSERR, "no memory");
	status = find(o->benchmark)(o, &results, why);
	if (why[0])
		complain(status, why);
	json_status = write_json(&results, o->json);
	results_close(&results);
	return status ? status : json_status;
}

int main(int argc, char **argv)
{
	struct bench_options options;
	char why[512];

	source_tune_allocator();
	if (bench_options_parse(&options, argc, argv, why))
		return complain(EX_BAD_USAGE, why);
	if (options.action == BENCH_HELP)
		bench_options_help(stdout);
	if (options.action == BENCH_VERSION)
		puts("openbeam-bench " OPENBEAM_VERSION);
	return options.action == BENCH_RUN ? measure(&options) : 0;
}
