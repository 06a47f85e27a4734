/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam: what a user does beside running the daemon. */
#include "daemon/openbeam_commands.h"
#include "daemon/version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* A subcommand; `run` gets its own arguments, argv[0] being its name, and returns the exit status.
 * NULL: known, but not in this version. */
struct command {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
};

static const char usage[] =
	"usage: openbeam COMMAND [OPTION]...\n"
	"       openbeam --version | --help\n"
	"\n"
	"  keygen [--output NAME]   make a pair of CURVE keys: NAME.key, to be kept secret, and\n"
	"                           NAME.pub; NAME may have folders in it (default: openbeam)\n"
	"  audit [--quick] PATH     prove that the series in folder PATH, or each of those in its\n"
	"                           folders, is on disk as its ledger says\n"
	"  recover [--no-audit] PATH\n"
	"                           finish a series that a crash, a kill or a power cut left "
	"behind\n"
	"  replay PATH              put a recorded series through its configuration once more, "
	"and\n"
	"                           compare what comes out bit for bit\n"
	"\n"
	"To a running daemon (--url http://127.0.0.1:8080):\n"
	"  status                   what it does\n"
	"  dark N, flat N           take the next N frames for a dark or a flat\n"
	"  keep                     write the black box: the last raw frames\n"
	"  cancel                   give up the dark or flat that is being taken\n"
	"\n"
	"Not in this version:\n";

static const char usage_end[] =
	"\n"
	"Exit status: 0 good; 1 a series has losses on record or replays differently, a command\n"
	"failed; 2 usage; 65 files and ledger disagree; 66 no such series; 69 not in this\n"
	"version, or nothing answers; 70 internal; 71 system; 73 cannot create; 74\n"
	"input/output; 76 no openbeamd; 77 permission.\n"
	"openbeam COMMAND --help says more.\n";

int openbeam_complain(const char *what, const char *value)
{
	fprintf(stderr, "openbeam: %s%s%s; see openbeam --help\n", what, value ? ": " : "",
	        value ? value : "");
	return EX_BAD_USAGE;
}

/* ---- commands ---- */

static const struct command commands[] = {
	{ "keygen", "make a pair of CURVE keys", openbeam_keygen },
	{ "audit", "prove a series on disk", openbeam_audit },
	{ "status", "what a running daemon does", openbeam_status },
	{ "top", "the same, refreshed", NULL },
	{ "arm", "wait for the next series", NULL },
	{ "stop", "end the series", NULL },
	{ "abort", "end it and drop what is not written", NULL },
	{ "dark", "take a dark image", openbeam_take },
	{ "flat", "take an open-beam image", openbeam_take },
	{ "keep", "write the black box", openbeam_order },
	{ "cancel", "give up a dark or flat", openbeam_order },
	{ "recover", "finish a series that was cut off", openbeam_recover },
	{ "replay", "put a recorded series through once more", openbeam_replay },
	{ 0 },
};

static void print_usage(void)
{
	fputs(usage, stdout);
	for (const struct command *c = commands; c->name; c++)
		if (!c->run)
			printf("  %-8s %s\n", c->name, c->summary);
	fputs(usage_end, stdout);
}

static int refuse_unknown(const char *name)
{
	fprintf(stderr, "openbeam: there is no command '%.60s'; there are", name);
	for (const struct command *c = commands; c->name; c++)
		if (c->run)
			fprintf(stderr, " %s", c->name);
	fputs(", --help and --version\n", stderr);
	return EX_BAD_USAGE;
}

static int dispatch(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (argc < 2)
		return openbeam_complain("which command?", NULL);
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		print_usage();
		return EX_OK;
	}
	if (strcmp(name, "--version") == 0) {
		printf("openbeam %s commit=%s\n", OPENBEAM_VERSION, OPENBEAM_COMMIT);
		return EX_OK;
	}
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, name) != 0)
			continue;
		if (c->run)
			return c->run(argc - 1, argv + 1);
		fprintf(stderr, "openbeam: %s (%s) is not in this version\n", c->name, c->summary);
		return EX_UNAVAILABLE;
	}
	return refuse_unknown(name);
}

int main(int argc, char **argv)
{
	int status = dispatch(argc, argv);

	/* What was asked for on standard output is there, or the caller must know. */
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "openbeam: cannot write to standard output: %s\n", strerror(errno));
	return EX_IOERR;
}
