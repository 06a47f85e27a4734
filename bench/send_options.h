/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SEND_OPTIONS_H
#define BENCH_SEND_OPTIONS_H

#include "bench/encoder.h"
#include "bench/faults.h"
#include "bench/header_keys.h"
#include "bench/pattern.h"
#include "bench/send_profiles.h"

#include <stdio.h>

/* What openbeam-send was asked to do. */

#define SEND_ENDPOINTS_MAX 64
#define SEND_FOR_EVER      (-1.0) /* linger_s: until everything was delivered */

enum send_action { SEND_STREAM, SEND_HELP, SEND_VERSION };

/* Frames through shared memory instead of messages. */
struct shm_options {
	bool asked;          /* the others mean nothing without it */
	bool verify;         /* write the pixels of every frame */
	uint32_t slots;      /* 0: chosen from the frame's size */
	const char *name;    /* "/name"; NULL: memory without one */
	const char *release; /* endpoint; NULL: a socket in a folder of its own */
	unsigned wait_ms;    /* for a release, until the receiver is taken for dead */
};

struct send_options {
	enum send_action action;
	unsigned endpoint_count; /* frames go round */
	const char *endpoints[SEND_ENDPOINTS_MAX];
	bool bind, publish;
	int queue_messages; /* per endpoint; 0: chosen from the frame's size */
	bool curve_server;  /* role in the handshake, where a secret key is given */
	const char *curve_secret_key, *curve_server_key; /* paths or NULL */
	double wait_s;   /* publish: how long to wait for a subscriber */
	double linger_s; /* after the last message, or SEND_FOR_EVER */

	const struct encoder *encoder;
	enum compression compression; /* one that the encoder has */
	enum header_detail detail;
	const char *channel;        /* the encoder's, unless another was asked for */
	bool timestamps;            /* where the protocol has a choice */
	char keys[HEADER_KEYS_MAX]; /* of the header of each frame, beside its own */
	uint64_t series;            /* id of the first */
	uint64_t repeat;            /* so many series, at least 1; only 1 when endless */
	bool no_start, no_end, start_to_all;
	uint64_t early_end;     /* frames that come after the end; 0: none */
	uint32_t columns, rows; /* of ports, 1 x 1 without; an endpoint each */
	double lose_port;       /* chance */
	const char *replay;     /* folder of a recording, or NULL; then only `repeat` and rate_hz */

	uint32_t width, height; /* pixels; not with files */
	const struct pixel_format *format;
	bool big_endian;
	enum pattern_kind pattern;
	unsigned file_count;
	const char **files;    /* owned list of borrowed names, PATTERN_TIFF */
	uint64_t memory_limit; /* bytes of prepared frames */

	double rate_hz;  /* 0: as fast as possible */
	uint64_t frames; /* numbers; 0: until stopped or, with files, each page once */
	bool endless;    /* until stopped: asked for with --frames 0 */
	double seconds;  /* 0: `frames` decides; needs a rate */
	double stall_ms; /* one stall in the middle */
	struct mishap_options mishaps; /* of the pixels; not with files */
	struct fault_options faults;   /* first, step, seed and chances; frames as above */

	struct shm_options shm;

	const char *report, *write_dark, *write_flat; /* paths or NULL */
	bool quiet, verbose;
};

/* Read the command line. A profile gives defaults wherever it stands; explicit options win.
 *
 * 0; or -EINVAL with *why [512]: which option, which value, what is accepted; or -ENOMEM. On
 * failure *ret needs no send_options_done(). Main thread, once at a time (getopt). */
int send_options_parse(struct send_options *ret, int argc, char **argv, char why[512]);

/* Accepts a zeroed one. */
void send_options_done(struct send_options *o);

/* Print the usage. */
void send_options_help(FILE *out);

#endif
