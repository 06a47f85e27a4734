/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"
#include "config/units.h"
#include "daemon/ceiling.h"
#include "daemon/host_check.h"
#include "daemon/isa.h"
#include "daemon/log.h"
#include "daemon/run_loop.h"
#include "daemon/version.h"
#include "ingest/protocol.h"
#include "ingest/source.h"
#include "kernels/registry.h"
#include "sinks/sinks.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETS_MAX 256

enum mode { MODE_RUN, MODE_CHECK, MODE_PRINT, MODE_CEILING, MODE_LIST, MODE_VERSION, MODE_HELP };

struct arguments {
	enum mode mode;
	const char *config_path; /* NULL: the defaults */
	const char *sets[SETS_MAX];
	unsigned set_count;
	uint64_t series_limit;

	/* Of --check. */
	bool measures;
	struct host_load load;
	char sizes[2][64]; /* sets made of --size */
};

static const char usage[] =
	"usage: openbeamd [-c FILE] [--set KEY=VALUE]... [--series N]\n"
	"       openbeamd --check [--rate HZ|max [--for TIME | --frames N] [--size WxH]]\n"
	"       openbeamd --print-config | --print-ceiling | --list | --version | "
	"--help\n"
	"\n"
	"Takes detector frames off ZeroMQ, corrects and reduces them, writes the results.\n"
	"\n"
	"  -c, --config FILE     the configuration (YAML); without it the defaults\n"
	"  -s, --set KEY=VALUE   set one key over the file, e.g. --set reduce.bin=2\n"
	"      --series N        end after N closed series, with the worst status\n"
	"      --check           hold the configuration against this host, and end\n"
	"      --rate HZ         with --check: measure this host for a few seconds, and say "
	"whether\n"
	"                        it holds so many frames a second of the configured size, what\n"
	"                        ends first, when and what to do; max: say what is the highest.\n"
	"                        Up to 4 GB are written to the configured directories and removed\n"
	"      --for TIME        with --rate: for so long (60s, 2h); --frames N: for so many "
	"frames\n"
	"      --size WxH        with --rate: the size of frames, ingest.frame's by default\n"
	"      --print-config    print the effective values as commented YAML, and end\n"
	"      --print-ceiling   print the most memory that the daemon uses, in bytes, and end\n"
	"      --list            print protocols, kernels and sinks of this version, and end\n"
	"      --version         print version, commit and instruction set, and end\n"
	"  -h, --help            print this, and end\n"
	"\n"
	"TERM and INT take what has arrived and close the series; a second one aborts.\n"
	"Exit status: 0 good; 1 a series ended with frames dropped, missing or flagged, or a load\n"
	"does not fit (--check --rate); 2 usage;\n"
	"69 unavailable, 70 internal, 71 system, 73 cannot create, 74 input/output,\n"
	"77 permission, 78 configuration or calibration.\n";

static int complain(const char *what, const char *value)
{
	fprintf(stderr, "openbeamd: %s%s%s; see openbeamd --help\n", what, value ? ": " : "",
	        value ? value : "");
	return 2;
}

static bool parse_count(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] < '0' || text[0] > '9' ||
	    value == 0)
		return false;
	*ret = value;
	return true;
}

static bool take_rate(struct arguments *a, const char *text)
{
	char *end;

	a->measures = true;
	if (strcmp(text, "max") == 0)
		return true;
	a->load.rate = strtod(text, &end);
	return end != text && *end == '\0' && a->load.rate > 0 && a->load.rate <= 1e9;
}

static bool take_time(struct arguments *a, const char *text)
{
	int64_t ns;

	if (units_time(text, &ns) != UNITS_OK || ns <= 0)
		return false;
	a->load.seconds = (double)ns * 1e-9;
	return true;
}

/* As keys, so that they are checked like those. */
static bool take_size(struct arguments *a, const char *text)
{
	unsigned width, height;
	char end;

	if (sscanf(text, "%9ux%9u%c", &width, &height, &end) != 2 || width == 0 || height == 0 ||
	    a->set_count + 2 > SETS_MAX)
		return false;
	snprintf(a->sizes[0], sizeof a->sizes[0], "ingest.frame.width=%u", width);
	snprintf(a->sizes[1], sizeof a->sizes[1], "ingest.frame.height=%u", height);
	a->sets[a->set_count++] = a->sizes[0];
	a->sets[a->set_count++] = a->sizes[1];
	return true;
}

static int check_together(const struct arguments *a)
{
	bool more = a->load.seconds > 0 || a->load.frames > 0 || a->sizes[0][0];

	if (a->measures && a->mode != MODE_CHECK)
		return complain("--rate is an option of --check", NULL);
	if (more && !a->measures)
		return complain("--for, --frames and --size go with --check --rate", NULL);
	if (a->load.seconds > 0 && a->load.frames > 0)
		return complain("--for or --frames, not both", NULL);
	return 0;
}

/* 0, or the exit status after a complaint. */
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "set", required_argument, NULL, 's' },
		{ "series", required_argument, NULL, 'n' },
		{ "check", no_argument, NULL, 'k' },
		{ "rate", required_argument, NULL, 'r' },
		{ "for", required_argument, NULL, 'f' },
		{ "frames", required_argument, NULL, 'N' },
		{ "size", required_argument, NULL, 'z' },
		{ "print-config", no_argument, NULL, 'p' },
		{ "print-ceiling", no_argument, NULL, 'm' },
		{ "list", no_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:s:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			ret->config_path = optarg;
			break;
		case 's':
			if (ret->set_count == SETS_MAX)
				return complain("too many --set", optarg);
			ret->sets[ret->set_count++] = optarg;
			break;
		case 'n':
			if (!parse_count(optarg, &ret->series_limit))
				return complain("--series takes a number from 1, not", optarg);
			break;
		case 'k':
			ret->mode = MODE_CHECK;
			break;
		case 'r':
			if (!take_rate(ret, optarg))
				return complain("--rate takes frames a second or max, not", optarg);
			break;
		case 'f':
			if (!take_time(ret, optarg))
				return complain("--for takes a time, as 60s or 2h, not", optarg);
			break;
		case 'N':
			if (!parse_count(optarg, &ret->load.frames))
				return complain("--frames takes a number from 1, not", optarg);
			break;
		case 'z':
			if (!take_size(ret, optarg))
				return complain("--size takes WxH in pixels, not", optarg);
			break;
		case 'p':
			ret->mode = MODE_PRINT;
			break;
		case 'm':
			ret->mode = MODE_CEILING;
			break;
		case 'l':
			ret->mode = MODE_LIST;
			break;
		case 'v':
			ret->mode = MODE_VERSION;
			break;
		case 'h':
			ret->mode = MODE_HELP;
			return 0;
		default:
			return complain("cannot go on", NULL);
		}
	}
	if (optind < argc)
		return complain("what is this for", argv[optind]);
	return check_together(ret);
}

static void print_list(void)
{
	struct kernel_bench kernel;

	printf("protocols\n");
	for (const struct protocol *p = protocols; p->name; p++)
		printf("  %-12s %s\n", p->name, p->summary);
	printf("kernels (this CPU: %s)\n", cpu_level_name(cpu_detect()));
	for (unsigned i = 0; kernel_bench_at(i, &kernel); i++)
		printf("  %-24s %-10s%s\n", kernel.kernel, kernel.isa,
		       (kernel.needs & ~cpu_detect()) == 0 ? "" : " not on this CPU");
	printf("sinks\n");
	for (const struct sink_row *s = sink_rows; s->name; s++)
		printf("  %-12s %s\n", s->name, s->summary);
}

/* 0, or the exit status after saying what is wrong. */
static int load(const struct arguments *a, struct config *ret)
{
	char *problems = NULL, why[PATH_MAX + 200];
	int err = config_load(ret, a->config_path, a->sets, a->set_count, &problems);

	if (problems)
		log_lines(LOG_ERROR, problems);
	free(problems);
	if (err == 0)
		return 0;
	if (err != -EINVAL && !problems) {
		snprintf(why, sizeof why, "openbeamd: cannot read the configuration %s: %s",
		         a->config_path ? a->config_path : "", strerror(-err));
		log_lines(LOG_ERROR, why);
	}
	return 78;
}

static int with_configuration(const struct arguments *a)
{
	static struct config config;
	int status = load(a, &config);

	if (status != 0)
		return status;
	log_open(config.daemon.log);
	if (a->mode == MODE_PRINT) {
		config_print(&config, stdout);
	} else if (a->mode == MODE_CEILING) {
		status = ceiling_print(&config, stdout);
	} else if (a->mode == MODE_CHECK) {
		if (a->measures)
			run_block_signals();
		status = host_check(&config, a->measures ? &a->load : NULL, stdout);
	} else {
		struct run_options options = { &config, a->series_limit };

		run_block_signals();
		status = run(&options);
	}
	config_done(&config);
	return status;
}

/* What was asked for on standard output is there, or the caller must know. */
static int with_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "openbeamd: cannot write to standard output: %s\n", strerror(errno));
	return 74;
}

static int dispatch(const struct arguments *arguments)
{
	switch (arguments->mode) {
	case MODE_HELP:
		fputs(usage, stdout);
		return 0;
	case MODE_VERSION:
		printf("openbeamd %s commit=%s isa=%s\n", OPENBEAM_VERSION, OPENBEAM_COMMIT,
		       cpu_level_name(cpu_detect()));
		return 0;
	case MODE_LIST:
		print_list();
		return 0;
	default:
		return with_configuration(arguments);
	}
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .mode = MODE_RUN };

	source_tune_allocator();
	int status = parse_arguments(argc, argv, &arguments);
	if (status != 0)
		return status;
	return with_output(dispatch(&arguments));
}
