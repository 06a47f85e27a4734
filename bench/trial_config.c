/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/trial_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#define REGION_SIDE 256 /* pixels, at most */
#define FRAMES_HELD 16  /* that ingest.buffer has room for, at least */
/* Frames of one endpoint may be ahead of those of another by what is queued in between. */
#define REORDER_MOST  4096u
#define REORDER_USUAL 64u
#define GIB           ((uint64_t)1 << 30)
#define MIB           ((uint64_t)1 << 20)

/* A port that nobody has now. */
static unsigned free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return 0;
	if (bind(fd, (struct sockaddr *)&address, size) ||
	    getsockname(fd, (struct sockaddr *)&address, &size))
		address.sin_port = 0;
	close(fd);
	return ntohs(address.sin_port);
}

int trial_wire(const struct trial *t, struct trial_wiring *ret, char why[512])
{
	struct sockaddr_un most;
	unsigned port = 0;

	*ret = (struct trial_wiring){ 0 };
	for (unsigned i = 0; i < t->plan.endpoints; i++) {
		char *endpoint = ret->endpoints[i];

		if (t->plan.transport == TRIAL_TCP) {
			port = free_port();
			snprintf(endpoint, sizeof ret->endpoints[i], "tcp://127.0.0.1:%u", port);
		} else {
			snprintf(endpoint, sizeof ret->endpoints[i], "ipc://%s/%u", t->scratch.path,
			         i);
		}
	}
	snprintf(ret->release, sizeof ret->release, "ipc://%s/r", t->scratch.path);
	if (t->plan.everything)
		ret->monitor_port = free_port();
	if (t->plan.transport == TRIAL_TCP ? !port
	                                   : strlen(ret->release) >= sizeof most.sun_path + 6) {
		snprintf(why, WHY_BYTES,
		         "no address for the stream in %.300s: give a --directory "
		         "with a shorter path",
		         t->scratch.path);
		return EX_CANTCREAT;
	}
	return 0;
}

static void write_endpoints(FILE *out, const struct trial *t, const struct trial_wiring *w)
{
	fprintf(out, "  endpoints: [");
	for (unsigned i = 0; i < t->plan.endpoints; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "", w->endpoints[i]);
	fprintf(out, "]\n");
	if (t->plan.transport == TRIAL_SHM)
		fprintf(out, "  protocol: shm\n");
}

static void write_ingest(FILE *out, const struct trial *t, const struct trial_wiring *w)
{
	const struct trial_plan *p = &t->plan;
	const struct pixel_format *f = pixel_format_find(p->pixel_format);
	uint64_t pixels = (uint64_t)p->width * p->height;
	uint64_t held = FRAMES_HELD * (trial_frame_bytes(p) + pixels * pixel_bytes(f->type));

	fprintf(out, "ingest:\n");
	write_endpoints(out, t, w);
	fprintf(out, "  frame: {width: %" PRIu32 ", height: %" PRIu32 ", type: %s}\n", p->width,
	        p->height, pixel_name(f->type));
	if (f->packing != PACKING_NONE)
		fprintf(out, "  pixel_format: %s\n", f->name);
	fprintf(out, "  frame_limit: %" PRIu64 "MiB\n", pixels * pixel_bytes(f->type) / MIB + 2);
	fprintf(out, "  buffer: %" PRIu64 "MiB\n", (held > GIB ? held : GIB) / MIB);
}

static uint32_t region_side(uint32_t across)
{
	uint32_t third = across < 3 ? 1 : across / 3;

	return third < REGION_SIDE ? third : REGION_SIDE;
}

/* The upper corners, where the beam is open, the middle, and the middle of the lower edge. */
static void write_regions(FILE *out, const struct trial_plan *p)
{
	uint32_t width = region_side(p->width), height = region_side(p->height);
	uint32_t right = p->width - width, bottom = p->height - height;
	const uint32_t at[TRIAL_REGIONS][2] = {
		{ 0, 0 }, { right, 0 }, { right / 2, bottom / 2 }, { right / 2, bottom }
	};

	fprintf(out, "regions:\n");
	for (unsigned i = 0; i < TRIAL_REGIONS; i++)
		fprintf(out,
		        "  - {name: r%u, x: %" PRIu32 ", y: %" PRIu32 ", width: %" PRIu32
		        ", height: %" PRIu32 "}\n",
		        i, at[i][0], at[i][1], width, height);
}

static void write_everything(FILE *out, const struct trial *t, const struct trial_wiring *w)
{
	write_regions(out, &t->plan);
	fprintf(out,
	        "beam: {regions: [r0, r1], use: apply}\n"
	        "histogram: {raw: {bins: 4096}}\n"
	        "blackbox: {before: 1s, on: [command], directory: \"%s\"}\n"
	        "monitor: {http: \"127.0.0.1:%u\"}\n",
	        t->scratch.path, w->monitor_port);
}

int trial_configure(const struct trial *t, const struct trial_wiring *w, uint64_t frames,
                    char why[512])
{
	struct trial_path path = trial_in_scratch(t, "openbeam.yaml");
	FILE *out = fopen(path.text, "w");

	if (out) {
		write_ingest(out, t, w);
		fprintf(out,
		        "series: {name: stream, first: 0, frames: %" PRIu64
		        ", idle_end: 20s, reorder: %u}\n"
		        "calibration: {dark: \"%s/dark.tif\", flat: \"%s/flat.tif\"}\n"
		        "reduce: {normalise: transmission, bin: 2, type: uint16}\n"
		        "sinks:\n"
		        "  - {format: %s, product: %s, directory: \"%s/out\"}\n",
		        frames, t->plan.endpoints > 1 ? REORDER_MOST : REORDER_USUAL,
		        t->scratch.path, t->scratch.path, t->plan.sink,
		        trial_keeps_source(&t->plan) ? "source" : "reduced", t->scratch.path);
		if (t->plan.everything)
			write_everything(out, t, w);
		else
			fprintf(out, "monitor: {http: \"\"}\n");
	}
	if (!out || fclose(out)) {
		snprintf(why, WHY_BYTES, "cannot write %.300s: %s", path.text, strerror(errno));
		return EX_CANTCREAT;
	}
	return 0;
}
