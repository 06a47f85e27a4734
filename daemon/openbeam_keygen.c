/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/openbeam_commands.h"

#include "ingest/curve_keys.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const char usage[] =
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

int openbeam_keygen(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *name = "openbeam";
	int option;

	while ((option = openbeam_getopt(argc, argv, "o:h", options)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return EX_OK;
		}
		if (option != 'o')
			return openbeam_complain("cannot go on", NULL);
		name = optarg;
	}
	if (optind < argc)
		return openbeam_complain("what is this for", argv[optind]);
	if (name[0] == '\0' || name[strlen(name) - 1] == '/')
		return openbeam_complain("--output takes a name for the files, not", name);
	return make_keys(name);
}
