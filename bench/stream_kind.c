/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stream_kind.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define REFERENCE_WIDTH  2560
#define REFERENCE_HEIGHT 2160
#define KIB              UINT64_C(1024)
#define MIB              (KIB * KIB)

static void size_name(const struct stream_kind *k, char ret[24])
{
	uint64_t bytes = (uint64_t)2 * k->width * k->height;

	if (k->width == REFERENCE_WIDTH && k->height == REFERENCE_HEIGHT)
		ret[0] = '\0';
	else if (bytes % MIB == 0)
		snprintf(ret, 24, "-%" PRIu64 "MiB", bytes / MIB);
	else if (bytes % KIB == 0 && bytes < MIB)
		snprintf(ret, 24, "-%" PRIu64 "KiB", bytes / KIB);
	else
		snprintf(ret, 24, "-%" PRIu32 "x%" PRIu32, k->width, k->height);
}

void stream_kind_name(const struct stream_kind *k, char ret[STREAM_NAME_BYTES])
{
	char size[24], endpoints[16] = "";

	size_name(k, size);
	if (k->endpoints > 1)
		snprintf(endpoints, sizeof endpoints, "-%ux", k->endpoints);
	snprintf(ret, STREAM_NAME_BYTES, "%s-%s%s%s", trial_transport_name(k->transport),
	         strcmp(k->sink, "tiff") == 0 ? "disk" : k->sink, size, endpoints);
}

static enum trial_transport transport_called(const char *name)
{
	enum trial_transport t = TRIAL_TCP;

	while (t < TRIAL_SHM && strcmp(trial_transport_name(t), name) != 0)
		t++;
	return t;
}

/* What the command line names; without a sink there are two. */
static unsigned asked_for(const struct bench_options *o, struct stream_kind *ret)
{
	static const char *const both[] = { "null", "tiff" };
	unsigned n = 0;

	for (unsigned i = 0; i < (o->sink ? 1 : 2); i++)
		ret[n++] = (struct stream_kind){
			.transport = o->transport ? transport_called(o->transport) : TRIAL_TCP,
			.sink = o->sink ? o->sink : both[i],
			.endpoints = o->endpoints ? o->endpoints : 1,
			.width = o->width,
			.height = o->height,
		};
	return n;
}

/* Sizes of the long run, from 64 KiB to 64 MiB. */
static const struct frame_size {
	uint32_t width, height;
	bool more_endpoints, disk;
} sizes[] = {
	{ REFERENCE_WIDTH, REFERENCE_HEIGHT, true, true },
	{ 256, 128, false, false },   /* 64 KiB */
	{ 512, 256, false, false },   /* 256 KiB */
	{ 1024, 512, true, true },    /* 1 MiB */
	{ 2048, 1024, false, false }, /* 4 MiB */
	{ 4096, 4096, false, false }, /* 32 MiB */
	{ 8192, 4096, false, true },  /* 64 MiB */
};

static unsigned add_size(const struct frame_size *s, struct stream_kind *ret)
{
	unsigned n = 0;

	for (enum trial_transport t = TRIAL_TCP; t <= TRIAL_SHM; t++) {
		unsigned most = s->more_endpoints && t != TRIAL_SHM ? 8 : 1;

		for (unsigned endpoints = 1; endpoints <= most; endpoints *= 2) {
			ret[n++] =
				(struct stream_kind){ t, "null", endpoints, s->width, s->height };
			if (s->disk && endpoints == 1)
				ret[n++] =
					(struct stream_kind){ t, "tiff", 1, s->width, s->height };
		}
	}
	return n;
}

unsigned stream_kinds(const struct bench_options *o, struct stream_kind ret[STREAM_KINDS_MAX])
{
	bool asked = o->sized || o->transport || o->sink || o->endpoints;
	unsigned n = 0;

	if (asked || !o->full)
		return asked_for(o, ret);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		n += add_size(&sizes[i], ret + n);
	return n;
}
