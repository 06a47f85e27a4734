/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_BENCH_OPTIONS_H
#define BENCH_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What openbeam-bench was asked to do. */

enum bench_action { BENCH_RUN, BENCH_HELP, BENCH_VERSION };

struct bench_options {
	enum bench_action action;
	const char *benchmark;  /* BENCH_RUN: a name in bench_rows */
	const char *json;       /* path or NULL */
	const char *directory;  /* where files are written */
	uint32_t width, height; /* pixels of a frame */
	bool full;              /* longer runs, more of them */
	bool brief;             /* pipeline: what others are compared with, alone */
	unsigned runs;          /* sinks: of each measurement; 0: as many as time allows */
	uint64_t file_mb;       /* sinks: written in each, 10^6 bytes; 0: by time and space */
	bool sized;             /* width and height were asked for */
	const char *transport;  /* stream, profiles: "tcp", "ipc", "shm"; NULL: not asked for */
	const char *sink;       /* stream: "null", "tiff", "raw", "hdf5"; NULL: not asked for */
	unsigned endpoints;     /* stream: 1 to 8; 0: not asked for */
	const char *profile;    /* profiles: the row of send_profiles, NULL: all of them */
	double seconds;         /* soak: how long */
	double rate_share;      /* soak: of the rate that is held */
};

struct results;

/* A benchmark: adds its results. 0, or an exit status of sysexits with why. */
typedef int bench_fn(const struct bench_options *o, struct results *r, char why[512]);

struct bench_row {
	const char *name, *summary;
	bench_fn *run;
};

/* Every benchmark of this version, ended by a row with name NULL. */
extern const struct bench_row bench_rows[];

bench_fn bench_limits, bench_kernels, bench_rings, bench_pipeline, bench_sinks, bench_stream;
bench_fn bench_profiles, bench_soak;

/* Read the command line. 0, or -EINVAL with why: which word, what is accepted. */
int bench_options_parse(struct bench_options *ret, int argc, char **argv, char why[512]);

/* Print the usage. */
void bench_options_help(FILE *out);

#endif
