/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam audit: each series is proved in a process of its own. The libraries of TIFF and HDF5
 * read files that may be damaged in ways they do not expect; what kills that process is one more
 * finding about the series, not the end of the audit. */
#include "daemon/openbeam_commands.h"
#include "daemon/openbeam_progress.h"
#include "sinks/audit.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define SHOWN_MAX  20
#define PATH_BYTES 4096

static const char usage[] =
	"usage: openbeam audit [--quick] PATH...\n"
	"\n"
	"Proves a series on disk: that manifest, journals and tables say the same, that every\n"
	"number has one fate, that the files are those the ledger names and no others, and that\n"
	"each frame is read back by its format's library with the checksum it was written with.\n"
	"In an HDF5 master every source of the virtual dataset is opened, and every row read.\n"
	"\n"
	"PATH is the folder of a series, or one that holds such folders: each is then proved,\n"
	"and the exit status is the worst. Nothing is written.\n"
	"\n"
	"  -q, --quick   read no pixels: places, sizes and counts only\n"
	"  -h, --help    print this, and end\n"
	"\n"
	"One line of verdict for each series on standard output, findings on standard error.\n"
	"Exit status: 0 sound and complete; 1 true, but frames were dropped, missing or flagged;\n"
	"2 usage; 65 damaged: files and ledger disagree, or the series was cut off; 66 no such\n"
	"series; 74 something could not be read.\n";

/* What the process that proves a series says of itself, shared with the one that waits for it. */
struct standing {
	char name[256]; /* of the file being read */
};

struct proof {
	struct standing *standing;
	const char *path;
	uint64_t shown, hidden;
	struct openbeam_progress progress;
};

static void on_found(void *user, enum audit_kind kind, const char *where, const char *what)
{
	struct proof *p = user;

	if (kind == AUDIT_FINDING && p->shown >= SHOWN_MAX) {
		p->hidden++;
		return;
	}
	p->shown += kind == AUDIT_FINDING;
	openbeam_progress_wipe(&p->progress);
	if (*where && !strchr(where, '/'))
		fprintf(stderr, "openbeam: %s/%s: %s\n", p->path, where, what);
	else
		fprintf(stderr, "openbeam: %s: %s\n", *where ? where : p->path, what);
}

static void on_reading(void *user, const char *name, uint64_t done, uint64_t all)
{
	struct proof *p = user;
	double gb = (double)done / 1e9, of = (double)all / 1e9, seconds;

	snprintf(p->standing->name, sizeof p->standing->name, "%s", name);
	if (openbeam_progress_due(&p->progress, &seconds))
		openbeam_progress_line(&p->progress, "%s: %.1f of %.1f GB, %.2f GB/s", p->path, gb,
		                       of, gb / seconds);
}

/* ---- verdicts ---- */

static const struct {
	const char *word;
	int status, rank; /* the highest rank is the status of several */
} verdicts[AUDIT_VERDICT_COUNT] = {
	[AUDIT_SOUND] = { "sound", EX_OK, 0 },
	[AUDIT_LOSSES] = { "true, with losses", 1, 1 },
	[AUDIT_NO_SERIES] = { "no series", EX_NOINPUT, 2 },
	[AUDIT_UNFINISHED] = { "unfinished", EX_DATAERR, 3 },
	[AUDIT_DAMAGED] = { "damaged", EX_DATAERR, 3 },
	[AUDIT_UNREADABLE] = { "could not be read", EX_IOERR, 4 },
};

static int rank_of(int status)
{
	for (unsigned i = 0; i < AUDIT_VERDICT_COUNT; i++)
		if (verdicts[i].status == status)
			return verdicts[i].rank;
	return INT_MAX; /* the audit itself could not run */
}

static void print_size(uint64_t bytes)
{
	static const char *const units[] = { "bytes", "kB", "MB", "GB", "TB" };
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 1000 && unit + 1 < sizeof units / sizeof *units) {
		value /= 1000;
		unit++;
	}
	printf(unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void print_pixels(const struct audit_result *r, bool quick)
{
	printf("%" PRIu64 " written", r->written);
	if (!r->pixels)
		fputs(", no pixels were kept", stdout);
	else if (quick)
		fputs(", pixels not read", stdout);
	else if (r->read_back == r->written)
		fputs(" and read back", stdout);
	else
		printf(" and %" PRIu64 " read back", r->read_back);
}

static void print_losses(const struct audit_result *r)
{
	uint64_t lost = r->dropped + r->missing;

	printf(", %" PRIu64 " lost", lost);
	if (lost)
		printf(" (%" PRIu64 " dropped, %" PRIu64 " missing)", r->dropped, r->missing);
	if (r->flagged)
		printf(", %" PRIu64 " flagged", r->flagged);
	if (r->lost_elsewhere)
		printf(", %" PRIu64 " lost by further sinks", r->lost_elsewhere);
}

static void print_verdict(const char *path, const struct audit_result *r, bool quick)
{
	printf("%s: %s: ", verdicts[r->verdict].word, path);
	if (r->findings)
		printf("%" PRIu64 " %s; ", r->findings, r->findings == 1 ? "finding" : "findings");
	printf("%" PRIu64 " %s, ", r->frames, r->frames == 1 ? "frame" : "frames");
	print_pixels(r, quick);
	print_losses(r);
	printf(", %" PRIu64 " %s, ", r->files, r->files == 1 ? "file" : "files");
	print_size(r->bytes);
	putchar('\n');
}

/* ---- one series ---- */

static int prove(const char *path, bool quick, struct standing *standing)
{
	struct proof p = { .standing = standing, .path = path };
	struct audit_options o = {
		.quick = quick, .user = &p, .found = on_found, .at = on_reading
	};
	struct audit_result r;

	openbeam_progress_begin(&p.progress);
	audit_series(path, &o, &r);
	openbeam_progress_wipe(&p.progress);
	if (p.hidden)
		fprintf(stderr, "openbeam: and %" PRIu64 " more\n", p.hidden);
	print_verdict(path, &r, quick);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return verdicts[r.verdict].status;
	fprintf(stderr, "openbeam: cannot write to standard output: %s\n", strerror(errno));
	return EX_IOERR;
}

/* The process died: a damaged file, or a medium that gives no more. */
static int tell_crash(const char *path, int signal_number, const struct standing *standing)
{
	enum audit_verdict v = signal_number == SIGBUS ? AUDIT_UNREADABLE : AUDIT_DAMAGED;

	fprintf(stderr, "openbeam: %s/%.255s: reading it ended in: %s\n", path, standing->name,
	        strsignal(signal_number));
	printf("%s: %s: reading it could not be finished\n", verdicts[v].word, path);
	return verdicts[v].status;
}

static int prove_apart(const char *path, bool quick)
{
	struct standing *standing = mmap(NULL, sizeof *standing, PROT_READ | PROT_WRITE,
	                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t child = -1;

	fflush(NULL);
	if (standing != MAP_FAILED)
		child = fork();
	if (child < 0) {
		fprintf(stderr, "openbeam: %s: no process to prove it in: %s\n", path,
		        strerror(errno));
		return EX_OSERR;
	}
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		_exit(prove(path, quick, standing));
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	status = WIFEXITED(status) ? WEXITSTATUS(status)
	                           : tell_crash(path, WTERMSIG(status), standing);
	munmap(standing, sizeof *standing);
	return status;
}

/* ---- folders ---- */

static int is_candidate(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int worse(int a, int b)
{
	return rank_of(b) > rank_of(a) ? b : a;
}

static int tell_none(const char *path, const char *why)
{
	fprintf(stderr, "openbeam: %s: %s\n", path, why);
	printf("%s: %s\n", verdicts[AUDIT_NO_SERIES].word, path);
	return verdicts[AUDIT_NO_SERIES].status;
}

static int tell_refused(const char *path, int error)
{
	if (error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG)
		return tell_none(path, strerror(error));
	fprintf(stderr, "openbeam: %s: %s\n", path, strerror(error));
	printf("%s: %s\n", verdicts[AUDIT_UNREADABLE].word, path);
	return verdicts[AUDIT_UNREADABLE].status;
}

/* Each series in a folder of the folder. */
static int prove_folder(const char *path, bool quick)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_candidate, alphasort), status = EX_OK;
	unsigned series = 0;

	if (count < 0)
		return tell_refused(path, errno);
	for (int i = 0; i < count; i++) {
		char inner[PATH_BYTES];
		int n = snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);

		free(entries[i]);
		if (n < 0 || (size_t)n >= sizeof inner || !audit_is_series(inner))
			continue;
		series++;
		status = worse(status, prove_apart(inner, quick));
	}
	free(entries);
	if (series > 0)
		return status;
	return tell_none(path, "has neither manifest.json nor journal.bin, and no folder of it "
	                       "has: of a further sink's folder, audit that of the first");
}

static int prove_path(char *path, bool quick)
{
	struct stat st;

	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	if (stat(path, &st) < 0)
		return tell_refused(path, errno);
	if (!S_ISDIR(st.st_mode))
		return tell_none(path, "is no folder: name the one it lies in");
	return audit_is_series(path) ? prove_apart(path, quick) : prove_folder(path, quick);
}

int openbeam_audit(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool quick = false;
	int option, status = EX_OK;

	while ((option = openbeam_getopt(argc, argv, "qh", options)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return EX_OK;
		}
		if (option != 'q')
			return openbeam_complain("cannot go on", NULL);
		quick = true;
	}
	if (optind == argc)
		return openbeam_complain("audit which folder?", NULL);
	for (int i = optind; i < argc; i++)
		status = worse(status, prove_path(argv[i], quick));
	return status;
}
