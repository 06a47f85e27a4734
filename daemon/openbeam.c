/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam: what a user does beside running the daemon. */
#include "daemon/version.h"
#include "ingest/curve_keys.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define EX_BAD_USAGE 2

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
	"\n"
	"Not in this version:\n";

static const char usage_end[] =
	"\n"
	"Exit status: 0 good; 2 usage; 69 not in this version; 70 internal; 71 system;\n"
	"73 cannot create; 74 input/output; 77 permission.\n";

static const char keygen_usage[] =
	"usage: openbeam keygen [--output NAME]\n"
	"\n"
	"Makes a pair of CURVE keys and prints the public one.\n"
	"\n"
	"  -o, --output NAME   NAME.key and NAME.pub (default: openbeam); nothing is overwritten\n"
	"  -h, --help          print this, and end\n"
	"\n"
	"NAME.key goes where this side's ingest.curve.secret_key_file says, and nowhere else.\n"
	"NAME.pub of a server goes to its clients, as ingest.curve.server_key_file; the public\n"
	"key of a client goes into the server's ingest.curve.allowed_keys_file, as a line. Both\n"
	"files are certificates as CZMQ and pyzmq read them.\n";

static int complain(const char *what, const char *value)
{
	fprintf(stderr, "openbeam: %s%s%s; see openbeam --help\n", what, value ? ": " : "",
	        value ? value : "");
	return EX_BAD_USAGE;
}

/* ---- keygen ---- */

static int status_of(int err)
{
	switch (err) {
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return EX_NOPERM;
	case -ENOSPC:
	case -EDQUOT:
	case -EIO:
		return EX_IOERR;
	case -ENOMEM:
		return EX_OSERR;
	default:
		return EX_CANTCREAT;
	}
}

static int make_keys(const char *name)
{
	char why[CURVE_WHY] = "";
	struct curve_pair pair;
	int err = curve_pair_make(&pair);

	if (err < 0) {
		fprintf(stderr, "openbeam: this libzmq was built without CURVE\n");
		return EX_UNAVAILABLE;
	}
	err = curve_pair_write(&pair, name, why);
	explicit_bzero(pair.secret_key, sizeof pair.secret_key);
	if (err < 0) {
		fprintf(stderr, "openbeam: %s\n", why);
		return status_of(err);
	}
	printf("%s\n"
	       "\n"
	       "%s.key  both keys, secret: keep it here, as ingest.curve.secret_key_file\n"
	       "%s.pub  the public key printed above. Of a server: give it to the clients, as\n"
	       "        ingest.curve.server_key_file. Of a client: a line with it goes into the\n"
	       "        server's ingest.curve.allowed_keys_file.\n",
	       pair.public_key, name, name);
	return EX_OK;
}

static int keygen(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *name = "openbeam";
	int option;

	while ((option = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(keygen_usage, stdout);
			return EX_OK;
		}
		if (option != 'o')
			return complain("cannot go on", NULL);
		name = optarg;
	}
	if (optind < argc)
		return complain("what is this for", argv[optind]);
	if (name[0] == '\0' || name[strlen(name) - 1] == '/')
		return complain("--output takes a name for the files, not", name);
	return make_keys(name);
}

/* ---- commands ---- */

static const struct command commands[] = {
	{ "keygen", "make a pair of CURVE keys", keygen },
	{ "status", "what a running daemon does", NULL },
	{ "top", "the same, refreshed", NULL },
	{ "arm", "wait for the next series", NULL },
	{ "stop", "end the series", NULL },
	{ "abort", "end it and drop what is not written", NULL },
	{ "dark", "take a mean dark image", NULL },
	{ "flat", "take a mean open-beam image", NULL },
	{ "audit", "check a series on disk", NULL },
	{ "recover", "finish a series that was cut off", NULL },
	{ "replay", "send a series again", NULL },
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
		return complain("which command?", NULL);
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
