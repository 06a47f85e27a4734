/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_options.h"

#include "bench/arguments.h"
#include "daemon/samples.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#define WHY_BYTES  512
#define BENCHMARKS "limits, kernels, rings, pipeline, sinks"

const struct bench_row bench_rows[] = {
	{ "limits", "memory, bare ZeroMQ and the file system", bench_limits },
	{ "kernels", "every kernel on every instruction set, and the whole pass", bench_kernels },
	{ "rings", "what handing an entry from thread to thread costs", bench_rings },
	{ "pipeline", "frames in memory through the daemon's threads to nowhere", bench_pipeline },
	{ "sinks", "every file format and way of writing, beside fio", bench_sinks },
	{ "stream", "openbeam-send to openbeamd to files", bench_stream },
	{ 0 },
};

static int refuse(char *why, const char *option, const char *value, const char *accepted)
{
	snprintf(why, WHY_BYTES, "%s %s: %s", option, value, accepted);
	return -EINVAL;
}

static int take_benchmark(struct bench_options *o, const char *name, char *why)
{
	static const char *const later[] = { "profiles", "soak" };

	if (o->benchmark)
		return refuse(why, "one benchmark at a time, not also", name, "run them in turn");
	for (const struct bench_row *r = bench_rows; r->name; r++)
		if (strcmp(r->name, name) == 0) {
			o->benchmark = r->name;
			return 0;
		}
	for (size_t i = 0; i < sizeof later / sizeof *later; i++)
		if (strcmp(later[i], name) == 0)
			return refuse(why, "benchmark", name,
			              "not in this version, which has " BENCHMARKS " and stream");
	return refuse(why, "benchmark", name, "unknown; there are " BENCHMARKS " and stream");
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
	if (!err && (o.runs || o.file_mb) && o.benchmark && strcmp(o.benchmark, "sinks") != 0)
		err = refuse(why, o.runs ? "--runs" : "--file-size", "", "is for sinks alone");
	if (!err && o.brief && o.benchmark && strcmp(o.benchmark, "pipeline") != 0)
		err = refuse(why, "--brief", "", "is for pipeline alone");
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
	      "  --full             longer runs; sinks: more depths and engines\n"
	      "  --brief            pipeline: the headline alone, on all cores and on one\n"
	      "  --help             print this\n"
	      "  --version          print the version\n"
	      "\n"
	      "exit status: 0 done, 1 frames were lost, 2 usage, 69 a program is missing or\n"
	      "failed, 71 no memory, 73 cannot write, 74 input or output failed, 130 interrupted\n",
	      out);
}
