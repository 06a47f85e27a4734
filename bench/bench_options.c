/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_options.h"

#include "bench/arguments.h"
#include "bench/send_profiles.h"
#include "daemon/samples.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#define WHY_BYTES  512
#define BENCHMARKS "limits, kernels, rings, pipeline, sinks, profiles, soak"
#define SOAK_S     60.0
#define SOAK_SHARE 0.8

const struct bench_row bench_rows[] = {
	{ "limits", "memory, bare ZeroMQ and the file system", bench_limits },
	{ "kernels", "every kernel on every instruction set, and the whole pass", bench_kernels },
	{ "rings", "what handing an entry from thread to thread costs", bench_rings },
	{ "pipeline", "frames in memory through the daemon's threads to nowhere", bench_pipeline },
	{ "sinks", "every file format and way of writing, beside fio", bench_sinks },
	{ "stream", "openbeam-send to openbeamd to files", bench_stream },
	{ "profiles", "every source that openbeam-send knows, at its rate", bench_profiles },
	{ "soak", "a long run below what is held: does anything grow or fade?", bench_soak },
	{ 0 },
};

static int refuse(char *why, const char *option, const char *value, const char *accepted)
{
	snprintf(why, WHY_BYTES, "%s %s: %s", option, value, accepted);
	return -EINVAL;
}

static int take_benchmark(struct bench_options *o, const char *name, char *why)
{
	if (o->benchmark)
		return refuse(why, "one benchmark at a time, not also", name, "run them in turn");
	for (const struct bench_row *r = bench_rows; r->name; r++)
		if (strcmp(r->name, name) == 0) {
			o->benchmark = r->name;
			return 0;
		}
	return refuse(why, "benchmark", name, "unknown; there are " BENCHMARKS " and stream");
}

/* `value` must be one of the names, which a NULL ends. */
static int take_name(const char **ret, const char *option, const char *value,
                     const char *const *names, const char *accepted, char *why)
{
	for (; *names; names++)
		if (strcmp(*names, value) == 0) {
			*ret = *names;
			return 0;
		}
	return refuse(why, option, value, accepted);
}

/* What is asked of a stream. */
static int take_stream_option(struct bench_options *o, int code, const char *value, char *why)
{
	static const char *const transports[] = { "tcp", "ipc", "shm", NULL };
	static const char *const sinks[] = { "null", "tiff", "raw", "hdf5", NULL };
	uint64_t number;

	switch (code) {
	case 't':
		return take_name(&o->transport, "--transport", value, transports,
		                 "must be tcp, ipc or shm", why);
	case 'k':
		return take_name(&o->sink, "--sink", value, sinks,
		                 "must be null, tiff, raw or hdf5", why);
	default:
		if (!argument_u64(value, 1, 8, &number))
			return refuse(why, "--endpoints", value, "must be a number from 1 to 8");
		o->endpoints = (unsigned)number;
		return 0;
	}
}

static int take_profile(struct bench_options *o, const char *name, char *why)
{
	char known[256];
	int n = snprintf(known, sizeof known, "unknown; there are");

	for (const struct send_profile *p = send_profiles; p->name; p++)
		n += snprintf(known + n, sizeof known - (size_t)n, "%s %s",
		              p == send_profiles ? "" : ",", p->name);
	if (!send_profile_find(name))
		return refuse(why, "--profile", name, known);
	o->profile = name;
	return 0;
}

/* What only one benchmark has a use for. */
static int check_owners(const struct bench_options *o, char *why)
{
	const struct {
		bool given;
		const char *option, *owner;
	} rows[] = {
		{ o->runs, "--runs", "sinks" },
		{ o->file_mb, "--file-size", "sinks" },
		{ o->profile, "--profile", "profiles" },
		{ o->seconds > 0, "--seconds", "soak" },
		{ o->rate_share > 0, "--rate-share", "soak" },
		{ o->sink, "--sink", "stream" },
		{ o->endpoints, "--endpoints", "stream" },
		{ o->brief, "--brief", "pipeline" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char only[32];

		snprintf(only, sizeof only, "is for %s alone", rows[i].owner);
		if (rows[i].given && o->benchmark && strcmp(o->benchmark, rows[i].owner) != 0)
			return refuse(why, rows[i].option, "", only);
	}
	if (o->transport && o->benchmark && strcmp(o->benchmark, "stream") != 0 &&
	    strcmp(o->benchmark, "profiles") != 0)
		return refuse(why, "--transport", "", "is for stream and profiles alone");
	if (o->endpoints > 1 && o->transport && strcmp(o->transport, "shm") == 0)
		return refuse(why, "--endpoints", "", "shared memory has one endpoint");
	return 0;
}

static int take_option(struct bench_options *o, int code, const char *value, char *why)
{
	uint64_t number;

	switch (code) {
	case 'j':
		o->json = value;
		return 0;
	case 'd':
		o->directory = value;
		return 0;
	case 's':
		if (!argument_size(value, &o->width, &o->height) || o->width < 64 || o->height < 64)
			return refuse(why, "--size", value,
			              "must be WIDTHxHEIGHT in pixels, each from 64 to 65535");
		o->sized = true;
		return 0;
	case 'r':
		if (!argument_u64(value, 1, SAMPLES_MAX, &number))
			return refuse(why, "--runs", value, "must be a number from 1 to 64");
		o->runs = (unsigned)number;
		return 0;
	case 'm':
		if (!argument_u64(value, 1, 1000000, &o->file_mb))
			return refuse(why, "--file-size", value,
			              "must be in MB, a number from 1 to 1000000");
		return 0;
	case 't':
	case 'k':
	case 'e':
		return take_stream_option(o, code, value, why);
	case 'p':
		return take_profile(o, value, why);
	case 'S':
		if (!argument_double(value, 20, 604800, &o->seconds))
			return refuse(why, "--seconds", value,
			              "must be a number from 20 to 604800");
		return 0;
	case 'R':
		if (!argument_double(value, 0.05, 1, &o->rate_share))
			return refuse(why, "--rate-share", value,
			              "must be a number from 0.05 to 1");
		return 0;
	case 'f':
		o->full = true;
		return 0;
	case 'b':
		o->brief = true;
		return 0;
	case 'h':
		o->action = BENCH_HELP;
		return 0;
	case 'v':
		o->action = BENCH_VERSION;
		return 0;
	default:
		return take_benchmark(o, value, why);
	}
}

int bench_options_parse(struct bench_options *ret, int argc, char **argv, char why[512])
{
	static const struct option table[] = {
		{ "json", required_argument, NULL, 'j' },
		{ "directory", required_argument, NULL, 'd' },
		{ "size", required_argument, NULL, 's' },
		{ "runs", required_argument, NULL, 'r' },
		{ "file-size", required_argument, NULL, 'm' },
		{ "transport", required_argument, NULL, 't' },
		{ "endpoints", required_argument, NULL, 'e' },
		{ "sink", required_argument, NULL, 'k' },
		{ "profile", required_argument, NULL, 'p' },
		{ "seconds", required_argument, NULL, 'S' },
		{ "rate-share", required_argument, NULL, 'R' },
		{ "full", no_argument, NULL, 'f' },
		{ "brief", no_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	struct bench_options o = { .directory = ".", .width = 2560, .height = 2160 };
	int code, err = 0;

	opterr = 0;
	optind = 0; /* glibc: begin anew */
	while (!err && (code = getopt_long(argc, argv, "-:h", table, NULL)) != -1) {
		const char *word = argv[optind > 1 ? optind - 1 : 1];

		if (code == ':')
			err = refuse(why, word, "", "needs a value; --help shows it");
		else if (code == '?')
			err = refuse(why, word, "", "is not an option; --help lists them");
		else
			err = take_option(&o, code, optarg, why);
	}
	for (; !err && optind < argc; optind++) /* after "--" */
		err = take_benchmark(&o, argv[optind], why);
	if (!err && o.action == BENCH_RUN && !o.benchmark) {
		snprintf(why, WHY_BYTES, "which benchmark? " BENCHMARKS " or stream");
		err = -EINVAL;
	}
	if (!err)
		err = check_owners(&o, why);
	o.seconds = o.seconds > 0 ? o.seconds : SOAK_S;
	o.rate_share = o.rate_share > 0 ? o.rate_share : SOAK_SHARE;
	if (!err)
		*ret = o;
	return err;
}

void bench_options_help(FILE *out)
{
	fputs("usage: openbeam-bench BENCHMARK [options]\n"
	      "Measures what this machine and this program can do, side by side.\n\n",
	      out);
	for (const struct bench_row *r = bench_rows; r->name; r++)
		fprintf(out, "  %-18s %s\n", r->name, r->summary);
	fputs("\n"
	      "  --json FILE        write the results as JSON\n"
	      "  --directory DIR    where files are written and removed again (default .)\n"
	      "  --size WxH         pixels of a frame (default 2560x2160)\n"
	      "  --runs N           sinks: repeat each measurement N times, however long that "
	      "takes\n"
	      "  --file-size MB     sinks: write so many MB in each (default 2147, less when time "
	      "or\n"
	      "                     space is short)\n"
	      "  --transport NAME   stream, profiles: over tcp, ipc or shm alone\n"
	      "  --endpoints N      stream: 1 to 8 of them\n"
	      "  --sink NAME        stream: to null, tiff, raw or hdf5 alone\n"
	      "  --profile NAME     profiles: that source alone, of openbeam-send --help\n"
	      "  --seconds S        soak: how long (default 60)\n"
	      "  --rate-share X     soak: of the rate that is held (default 0.8)\n"
	      "  --full             longer runs; sinks: more depths and engines; stream: more\n"
	      "                     transports, endpoints and sizes; profiles: a minute each\n"
	      "  --brief            pipeline: the headline alone, on all cores and on one\n"
	      "  --help             print this\n"
	      "  --version          print the version\n"
	      "\n"
	      "exit status: 0 done; 1 frames were lost or wrong, a profile of up to 1 GB/s was "
	      "not\n"
	      "held (a larger one is measured as far as the machine goes), soak found what does "
	      "not\n"
	      "stay flat; 2 usage, 69 a program is missing or failed, 71 no memory, 73 cannot "
	      "write,\n"
	      "74 input or output failed, 130 interrupted\n",
	      out);
}
