/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/format.h"

#include "kernels/cpu.h"
#include "kernels/crc32c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A series through the sinks, for check_sinks.py to read with other programs' libraries.
 *
 *   sinks_write DIRECTORY tiff|raw|hdf5 WIDTH HEIGHT TYPE FRAMES PER_FILE FILE_SIZE
 *
 * Pixel i of frame n is (n * 7919 + i) modulo 251, for float32 divided by 7. TYPE is an enum
 * product_type, PER_FILE -1 is auto, FILE_SIZE 0 is none. */

static bool busy;

static void on_released(void *user, void *owner)
{
	(void)user;
	(void)owner;
	busy = false;
}

static void on_settled(void *user, uint64_t number, enum frame_state state, unsigned reason,
                       bool revoked)
{
	(void)user;
	(void)number;
	(void)reason;
	(void)revoked;
	if (state != FRAME_WRITTEN)
		exit(1);
}

static void on_durable(void *user, uint64_t frames)
{
	*(uint64_t *)user += frames;
}

static void on_say(void *user, enum sink_say level, const char *text)
{
	(void)user;
	(void)level;
	fprintf(stderr, "%s\n", text);
}

static void fill(void *pixels, const struct sink_shape *shape, uint64_t n)
{
	for (size_t i = 0; i < (size_t)shape->width * shape->height; i++) {
		unsigned v = (unsigned)((n * 7919 + i) % 251);

		if (shape->type == PRODUCT_UINT8)
			((uint8_t *)pixels)[i] = (uint8_t)v;
		else if (shape->type == PRODUCT_UINT16)
			((uint16_t *)pixels)[i] = (uint16_t)v;
		else if (shape->type == PRODUCT_UINT32)
			((uint32_t *)pixels)[i] = v;
		else
			((float *)pixels)[i] = (float)v / 7;
	}
}

static void put(struct sinks *s, const struct sink_geometry *g, void *pixels, uint64_t n)
{
	const double v = (double)n;
	struct reduction d = { .good = 1,
		               .dose = v / 3,
		               .raw_percentiles = { -INFINITY, 1.5f, (float)v, 3, INFINITY },
		               .percentiles = { 0.1f, (float)(v / 3), 0.5f, 1, 2 },
		               .raw = { (double)n, (double)n + 0.5, 1.0 / 3, NAN },
		               .normalised = { 0.1f, 2, 1.0 / 3, 1e-20 } };
	const struct region_stats regions[] = {
		{ n, 0, { 0, v, v / 11, NAN }, { 0, v + 1, v / 7, v / 9 } },
		{ n + 1, 1, { 1, v, v / 11, NAN }, { -1, v + 1, v / 7 + 1, v / 9 } }
	};
	struct sink_frame f = { .number = n,
		                .flags = FRAME_DARK | FRAME_NO_BEAM,
		                .calibration = 3,
		                .regions = regions,
		                .received_ns = n + 1,
		                .rotation = NAN,
		                .averaged = 1,
		                .reduced = pixels,
		                .reduction = &d,
		                .owner = &busy };

	while (busy)
		sinks_poll(s, 0);
	fill(pixels, &g->reduced, n);
	d.reduced_crc32c = crc32c_for(cpu_detect())(0, pixels, g->reduced.bytes);
	busy = true;
	sinks_put(s, &f);
}

static void end(struct sinks *s, uint64_t frames, const uint64_t *durable)
{
	struct totals totals = { .expected = frames, .received = frames, .written = frames };
	uint64_t raw[2] = { 3, 4 }, normalised[3] = { 5, 6, 7 };
	struct sink_summary summary = { .totals = &totals,
		                        .expected_from = "seen",
		                        .raw_bins = { 2, 0, 4096 },
		                        .normalised_bins = { 3, 0, 1.5 },
		                        .raw_counts = raw,
		                        .normalised_counts = normalised,
		                        .raw_tails = { 1, 2, 0 },
		                        .normalised_tails = { 8, 9, 10 } };

	sinks_drain(s);
	totals.durable = *durable;
	if (!sinks_end(s, &summary))
		exit(1);
}

static enum sink_format format_named(const char *name)
{
	for (const struct format *const *f = formats; *f; f++)
		if (strcmp((*f)->name, name) == 0)
			return (*f)->id;
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct sink_program program = { .version = "1.2.3",
		                                     .commit = "abc",
		                                     .isa = "avx2",
		                                     .config_json = "{\"key\": [1, 2]}" };
	static char beam[] = "beam", sample[] = "sample";
	static struct config c = { .sink_count = 1,
		                   .series.step = 1,
		                   .region_count = 2,
		                   .regions = { { beam, 1, 2, 3, 4 }, { sample, 5, 6, 7, 8 } },
		                   .reduce.window_high = 1.5,
		                   .rotation = { .start = -90, .step = 0.25 } };
	uint64_t durable = 0, frames = argc == 9 ? strtoull(argv[6], NULL, 10) : 0;
	struct sink_callbacks callbacks = { .user = &durable,
		                            .released = on_released,
		                            .settled = on_settled,
		                            .durable = on_durable,
		                            .say = on_say };
	struct sink_geometry g = { 0 };
	struct sink_memory memory;
	struct sinks *s;
	char why[256];

	if (argc != 9)
		return 2;
	c.sinks[0] = (struct config_sink){ .directory = argv[1],
		                           .format = format_named(argv[2]),
		                           .frames_per_file = atoi(argv[7]),
		                           .file_size = strtoull(argv[8], NULL, 10),
		                           .sync_ns = 1000000000 };
	g.reduced.width = (uint32_t)atoi(argv[3]);
	g.reduced.height = (uint32_t)atoi(argv[4]);
	g.reduced.type = (enum product_type)atoi(argv[5]);
	g.reduced.bytes =
		(size_t)g.reduced.width * g.reduced.height * product_bytes(g.reduced.type);
	memory.bytes = (g.reduced.bytes + 4095) / 4096 * 4096;
	memory.at = aligned_alloc(4096, memory.bytes);
	g.memory = &memory;
	g.memory_count = 1;
	if (!memory.at || sinks_open(&s, &c, &program, &callbacks, -1, why) ||
	    sinks_lay_out(s, &g) || sinks_begin(s, &(struct sink_start){ .name = "check" }))
		return 1;
	for (uint64_t n = 0; n < frames; n++)
		put(s, &g, memory.at, n + 100);
	end(s, frames, &durable);
	puts(sinks_series_path(s));
	sinks_close(s);
	free(memory.at);
	return 0;
}
