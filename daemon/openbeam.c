/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam: what a user does beside running the daemon. */
#include "daemon/openbeam_commands.h"
#include "daemon/version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* A subcommand; `run` gets its own arguments, argv[0] being its name, and returns the exit status.
 */
struct command {
	const char *name;
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
	"To a running daemon (--url http://127.0.0.1:8080, or $OPENBEAM_URL):\n"
	"  status                   what it does\n"
	"  top                      the same, drawn anew every second\n"
	"  arm                      have the next frames begin a series; --wait: until it is "
	"closed\n"
	"  stop, abort, reset       end the series; end it and drop what is not written;\n"
	"                           between series: forget an arm and what is left over\n"
	"  dark N, flat N           take the next N frames for a dark or a flat\n"
	"  keep                     write the black box: the last raw frames\n"
	"  cancel                   give up the dark or flat that is being taken\n"
	"\n"
	"Exit status: 0 good; 1 a series has losses on record or replays differently, a command\n"
	"failed; 2 usage; 65 files and ledger disagree; 66 no such series; 69 nothing answers;\n"
	"70 internal; 71 system; 73 cannot create; 74 input/output; 76 no openbeamd;\n"
	"77 permission.\n"
	"openbeam COMMAND --help says more.\n";

int openbeam_complain(const char *what, const char *value)
{
	fprintf(stderr, "openbeam: %s%s%s; see openbeam --help\n", what, value ? ": " : "",
	        value ? value : "");
	return EX_BAD_USAGE;
}

int openbeam_getopt(int argc, char **argv, const char *letters, const struct option *options)
{
	char *command = argv[0], name[80];
	int option;

	snprintf(name, sizeof name, "openbeam %.60s", command);
	argv[0] = name;
	option = getopt_long(argc, argv, letters, options, NULL);
	argv[0] = command;
	return option;
}

/* ---- commands ---- */

static const struct command commands[] = {
	{ "keygen", openbeam_keygen },
	{ "audit", openbeam_audit },
	{ "recover", openbeam_recover },
	{ "replay", openbeam_replay },
	{ "status", openbeam_status },
	{ "top", openbeam_top },
	{ "arm", openbeam_series },
	{ "stop", openbeam_series },
	{ "abort", openbeam_series },
	{ "reset", openbeam_series },
	{ "dark", openbeam_take },
	{ "flat", openbeam_take },
	{ "keep", openbeam_order },
	{ "cancel", openbeam_order },
	{ 0 },
};

static int refuse_unknown(const char *name)
{
	fprintf(stderr, "openbeam: there is no command '%.60s'; there are", name);
	for (const struct command *c = commands; c->name; c++)
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
		fputs(usage, stdout);
		return EX_OK;
	}
	if (strcmp(name, "--version") == 0) {
		printf("openbeam %s commit=%s\n", OPENBEAM_VERSION, OPENBEAM_COMMIT);
		return EX_OK;
	}
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c->run(argc - 1, argv + 1);
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
