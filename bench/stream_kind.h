/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_STREAM_KIND_H
#define BENCH_STREAM_KIND_H

#include "bench/bench_options.h"
#include "bench/trial.h"

/* The streams that are measured, 16 bit all of them. */
struct stream_kind {
	enum trial_transport transport;
	const char *sink; /* as in struct trial_plan */
	unsigned endpoints;
	uint32_t width, height; /* pixels */
};

#define STREAM_NAME_BYTES 64
#define STREAM_KINDS_MAX  64

/* Its row's name: "tcp-null", "ipc-disk-64MiB", "tcp-null-2x". The sink tiff is called disk, the
 * size of the reference camera is not named, nor is one endpoint. */
void stream_kind_name(const struct stream_kind *k, char ret[STREAM_NAME_BYTES]);

/* What is asked for, those of one size behind each other. Returns how many. */
unsigned stream_kinds(const struct bench_options *o, struct stream_kind ret[STREAM_KINDS_MAX]);

#endif
