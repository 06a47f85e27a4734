/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam recover: finish what a crash cut off, then prove it as openbeam audit does. */
#include "daemon/file_checksum.h"
#include "daemon/openbeam_commands.h"
#include "daemon/version.h"
#include "ingest/calibration.h"
#include "sinks/audit.h"
#include "sinks/recover.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

static const char usage[] =
	"usage: openbeam recover [--no-audit] PATH...\n"
	"\n"
	"Finishes a series that a crash, a kill or a power cut left behind: every durable frame\n"
	"gets into a file under its final name, frames without a record become dropped (crash),\n"
	"and the ledger, the reports, the manifest and the HDF5 master are made again from the\n"
	"journal. Then the series is proved as by openbeam audit.\n"
	"\n"
	"PATH is the folder of a series, or one that holds such folders: those that need it are\n"
	"finished, and the exit status is the worst. It may be run again, also after it was cut\n"
	"off itself. A series that a daemon still writes is refused.\n"
	"\n"
	"  -n, --no-audit   do not read the pixels back afterwards\n"
	"  -h, --help       print this, and end\n"
	"\n"
	"One line of verdict for each series on standard output, what was done on standard error.\n"
	"Exit status: 0 all frames are there; 1 frames were lost; 2 usage; 65 files and journal\n"
	"disagree; 66 no such series; 69 a running daemon writes it; 74 input or output failed;\n"
	"77 permission.\n";

static void say(void *user, enum sink_say level, const char *text)
{
	static const char *const words[] = {
		[SINK_INFO] = "", [SINK_WARNING] = "warning: ", [SINK_ERROR] = "error: "
	};

	(void)user;
	fprintf(stderr, "openbeam: %s%s\n", words[level], text);
}

/* A calibration image for the master, if its file is still the one that was used. */
static int load_map(void *user, const char *role, const char *path, uint32_t crc32c,
                    struct sink_calibration *ret)
{
	struct image image;
	uint32_t crc;
	uint64_t bytes;
	int err = file_checksum(path, &bytes, &crc);

	(void)user;
	if (err)
		return err;
	if (crc != crc32c)
		return -ESTALE;
	err = image_read(&image, path, UINT64_C(4) << 30);
	if (err)
		return err;
	*ret = (struct sink_calibration){ .role = role,
		                          .path = path,
		                          .crc32c = crc,
		                          .bytes = bytes,
		                          .pixels = image.pixels,
		                          .width = image.width,
		                          .height = image.height };
	image.pixels = NULL; /* the caller's now, by free() */
	image_done(&image);
	return 0;
}

static int status_of(int err)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
		return EX_NOINPUT;
	case -EBUSY:
		return EX_UNAVAILABLE;
	case -EINVAL:
		return EX_DATAERR;
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return EX_NOPERM;
	case -ENOMEM:
		return EX_OSERR;
	default:
		return EX_IOERR;
	}
}

static void print_verdict(const char *path, const struct recover_result *r)
{
	const char *word = !r->cut_off && !r->finished  ? "nothing to finish"
	                   : r->lost || r->further_lost ? "recovered, with losses"
	                                                : "recovered";

	printf("%s: %s: %" PRIu64 " frames, %" PRIu64 " durable, %" PRIu64 " lost", word, path,
	       r->expected, r->written, r->lost);
	if (r->crashed)
		printf(" (%" PRIu64 " by the crash)", r->crashed);
	if (r->further_lost)
		printf(", %" PRIu64 " lost by further sinks", r->further_lost);
	printf(", %u file%s finished", r->finished, r->finished == 1 ? "" : "s");
	if (r->removed)
		printf(", %u empty ones removed", r->removed);
	putchar('\n');
	fflush(stdout);
}

static int recover_one(const char *path, bool audit)
{
	struct recover_options o = { .version = OPENBEAM_VERSION,
		                     .say = say,
		                     .load_map = load_map };
	struct recover_result r;
	char why[512];
	int err = recover_series(path, &o, &r, why), status;

	if (err) {
		fprintf(stderr, "openbeam: %s\n", why);
		printf("not recovered: %s\n", path);
		return status_of(err);
	}
	print_verdict(path, &r);
	status = r.troubles ? EX_DATAERR : r.lost || r.further_lost ? 1 : EX_OK;
	if (audit) {
		char *argv[] = { "audit", (char *)(uintptr_t)path, NULL };
		int proof;

		optind = 0; /* as getopt_long() wants it to begin anew */
		proof = openbeam_audit(2, argv);
		/* A series may be incomplete for what recovery did not lose: flagged frames. */
		if (proof > 1 && status <= 1)
			status = proof;
	}
	return status;
}

static int worse(int a, int b)
{
	return a > b ? a : b;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The series in a folder of them; -1 when there is none. */
static int recover_all(const char *path, bool audit)
{
	struct dirent **entries = NULL;
	int n = scandir(path, &entries, NULL, by_name), status = -1;

	for (int i = 0; i < n; i++) {
		char below[4096];

		if (entries[i]->d_name[0] != '.' &&
		    snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name) <
		            (int)sizeof below &&
		    audit_is_series(below))
			status = worse(status, recover_one(below, audit));
		free(entries[i]);
	}
	free(entries);
	return status;
}

static int recover_path(const char *path, bool audit)
{
	int status = audit_is_series(path) ? -1 : recover_all(path, audit);

	return status < 0 ? recover_one(path, audit) : status;
}

int openbeam_recover(int argc, char **argv)
{
	static const struct option options[] = {
		{ "no-audit", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option, status = EX_OK;
	bool audit = true;

	while ((option = openbeam_getopt(argc, argv, "nh", options)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return EX_OK;
		}
		if (option != 'n')
			return openbeam_complain("cannot go on", NULL);
		audit = false;
	}
	if (optind == argc)
		return openbeam_complain("recover which series?", NULL);
	for (int i = optind, last = argc; i < last; i++)
		status = worse(status, recover_path(argv[i], audit));
	return status;
}
