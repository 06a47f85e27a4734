/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/packing.h"
#include "daemon/pipeline.h"
#include "kernels/cpu.h"
#include "kernels/crc32c.h"
#include "kernels/decompress.h"
#include "kernels/pack.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WIDTH  100
#define HEIGHT 60
#define PIXELS ((size_t)WIDTH * HEIGHT)
#define FRAMES 4

static struct config config;
static struct config_sink parsed; /* the configuration's own */
static struct planes planes;
static struct layout layout;
static struct pipeline *pipeline;
static uint16_t frames[FRAMES][PIXELS];
static char compressed[] = "bslz4", plain[] = "none";

/* Text of the configuration, and sinks that take both products compressed. */
static void configure(const char *text)
{
	char *problems = NULL;

	cr_assert_eq(config_parse(&config, text, strlen(text), "test", NULL, 0, &problems), 0, "%s",
	             problems);
	parsed = config.sinks[0];
	config.sink_count = 2;
	config.sinks[0] = (struct config_sink){ .format = SINK_HDF5, .compression = compressed };
	config.sinks[1] = config.sinks[0];
	config.sinks[1].product = PRODUCT_SOURCE;
}

static void lay_out(void)
{
	const struct layout_needs needs = { .config = &config,
		                            .planes = &planes,
		                            .receivers = 1,
		                            .workers = 1,
		                            .cpu = cpu_detect() };
	const struct frame_shape shape = { .width = WIDTH, .height = HEIGHT, .type = PIXEL_UINT16 };
	char why[320];

	cr_assert_eq(layout_plan(&layout, &needs, &shape, why), 0, "%s", why);
	cr_assert_eq(layout_open(&layout, why), 0, "%s", why);
}

/* A pipeline of one receiver, whose frames are published, and one worker. */
static void make_pipeline(void)
{
	pipeline = aligned_alloc(64, (sizeof *pipeline + 63) / 64 * 64);
	memset(pipeline, 0, sizeof *pipeline);
	pipeline->config = &config;
	pipeline->receiver_count = pipeline->worker_count = 1;
	pipeline->receivers = aligned_alloc(64, (sizeof *pipeline->receivers + 63) / 64 * 64);
	memset(pipeline->receivers, 0, sizeof *pipeline->receivers);
	pipeline->workers = aligned_alloc(64, (sizeof *pipeline->workers + 63) / 64 * 64);
	memset(pipeline->workers, 0, sizeof *pipeline->workers);
	pipeline->workers[0].pipeline = pipeline->receivers[0].pipeline = pipeline;
	atomic_store(&pipeline->layout, &layout);
	cr_assert_eq(sequence_open(&pipeline->receivers[0].ring, 8), 0);
	cr_assert_eq(generations_open(&pipeline->generations, 1), 0);
	generations_restart(&pipeline->generations, calibrated_make(&layout, NULL, 0, &planes));
	for (unsigned i = 0; i < FRAMES; i++) {
		struct entry *e = sequence_next(&pipeline->receivers[0].ring);
		struct slot *s = &layout.slots[i];

		for (size_t k = 0; k < PIXELS; k++)
			frames[i][k] = (uint16_t)(1000 + (k * 7 + i * 31) % 97);
		s->raw = frames[i];
		s->frame = (struct frame){ .number = i, .width = WIDTH, .height = HEIGHT };
		s->generation = generations_current(&pipeline->generations);
		*e = (struct entry){ .kind = ENTRY_FRAME, .slot = s };
		sequence_publish(&pipeline->receivers[0].ring);
	}
}

static bool all_done(void)
{
	const struct sequence *q = &pipeline->receivers[0].ring;

	for (uint64_t i = 0; i < FRAMES; i++)
		if (atomic_load(&sequence_at(q, i)->stamp) != sequence_stamp(i, ENTRY_DONE))
			return false;
	return true;
}

static void run_worker(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, worker_run, &pipeline->workers[0]), 0);
	for (unsigned i = 0; i < 20000 && !all_done(); i++)
		nanosleep(&pause, NULL);
	cr_assert(all_done());
	atomic_store(&pipeline->collected, true);
	gate_notify(&pipeline->work, 1);
	pthread_join(thread, NULL);
}

static void tear_down(void)
{
	if (pipeline) {
		sequence_close(&pipeline->receivers[0].ring);
		generations_close(&pipeline->generations);
		free(pipeline->receivers);
		free(pipeline->workers);
	}
	free(pipeline);
	layout_close(&layout);
	config.sinks[0] = parsed;
	config.sinks[1] = (struct config_sink){ 0 };
	config_done(&config);
}

TestSuite(packing, .fini = tear_down);

/* The chunk is of these pixels, in memory that a sink can read whole pages of. */
static void expect_packed(const void *chunk, size_t bytes, const void *pixels,
                          const struct sink_shape *shape)
{
	void *scratch = aligned_alloc(64, (decompress_scratch_bytes() + 63) / 64 * 64);
	char *back = malloc(shape->bytes), *from = layout.memory;
	struct decompress d;
	const char *why;

	cr_assert(chunk && bytes > PACK_HEAD_BYTES);
	cr_expect_eq((uintptr_t)chunk % 4096, 0);
	cr_expect((const char *)chunk >= from &&
	          (const char *)chunk + (bytes + 4095) / 4096 * 4096 <= from + layout.memory_bytes);
	decompress_init(&d, scratch, 0);
	why = decompress(&d, CODEC_BSLZ4, product_bytes(shape->type), back, shape->bytes, chunk,
	                 bytes);
	cr_assert_null(why, "%s", why);
	cr_expect_eq(memcmp(back, pixels, shape->bytes), 0);
	free(back);
	free(scratch);
}

static uint32_t checksum(const void *pixels, const struct sink_shape *shape)
{
	return crc32c_for(cpu_detect())(0, pixels, shape->bytes);
}

Test(packing, workers_hand_on_both_products_packed)
{
	configure("reduce: {normalise: none, bin: 2}\n");
	lay_out();
	make_pipeline();
	run_worker();
	for (unsigned i = 0; i < FRAMES; i++) {
		struct sink_frame f = collector_frame(&layout.slots[i]);

		expect_packed(f.reduced_packed, f.reduced_packed_bytes, f.reduced,
		              &layout.geometry.reduced);
		expect_packed(f.source_packed, f.source_packed_bytes, f.source,
		              &layout.geometry.source);
		cr_expect_eq(memcmp(f.source, frames[i], sizeof frames[i]), 0);
		cr_expect_eq(f.reduction->reduced_crc32c,
		             checksum(f.reduced, &layout.geometry.reduced), "of the pixels");
		cr_expect_eq(f.reduction->source_crc32c,
		             checksum(f.source, &layout.geometry.source));
		cr_expect_lt(f.source_packed_bytes, sizeof frames[i]);
	}
}

Test(packing, is_not_done_where_no_sink_asks_for_it)
{
	configure("reduce: {normalise: none}\n");
	config.sinks[0].compression = plain;
	config.sinks[1].format = SINK_RAW;
	lay_out();
	cr_expect_eq(packing_bytes(&layout), 0);
	cr_expect_null(layout.slots[0].reduced_packed);
	cr_expect_null(layout.slots[0].source_packed);
	make_pipeline();
	run_worker();
	for (unsigned i = 0; i < FRAMES; i++) {
		struct sink_frame f = collector_frame(&layout.slots[i]);

		cr_expect(f.reduced && f.source && !f.reduced_packed && !f.source_packed);
		cr_expect(f.reduced_packed_bytes == 0 && f.source_packed_bytes == 0);
	}
}

Test(packing, asks_by_product)
{
	configure("{}");
	cr_expect(sinks_pack(&config, PRODUCT_REDUCED) && sinks_pack(&config, PRODUCT_SOURCE));
	config.sinks[1].compression = plain;
	cr_expect(sinks_pack(&config, PRODUCT_REDUCED) && !sinks_pack(&config, PRODUCT_SOURCE));
	config.sinks[0].product = PRODUCT_SOURCE;
	cr_expect(!sinks_pack(&config, PRODUCT_REDUCED) && sinks_pack(&config, PRODUCT_SOURCE));
	config.sink_count = 0;
	cr_expect_not(sinks_pack(&config, PRODUCT_SOURCE));
}

Test(packing, counts_in_the_slots_memory)
{
	size_t packed;

	configure("reduce: {normalise: none}\n");
	lay_out();
	packed = layout.budget.slot_bytes;
	cr_expect_geq(layout.reduced_packed_room, pack_bound(PIXELS * sizeof(float), 4));
	cr_expect_geq(layout.source_packed_room, pack_bound(PIXELS * sizeof(uint16_t), 2));
	cr_expect_leq(layout.budget.total_bytes, config.ingest.buffer);
	layout_close(&layout);
	config.sinks[0].compression = config.sinks[1].compression = plain;
	lay_out();
	cr_expect_eq(packed, layout.budget.slot_bytes + pack_bound(PIXELS * 4, 4) / 4096 * 4096 +
	                             4096 + pack_bound(PIXELS * 2, 2) / 4096 * 4096 + 4096);
}

/* ---- averages: the page is the collector's ---- */

static struct {
	unsigned released, settled;
} heard;

static void released(void *user, void *owner)
{
	(void)user;
	cr_assert_not_null(owner);
	heard.released++;
}

static void settled(void *user, uint64_t number, enum frame_state state, unsigned reason,
                    bool revoked)
{
	(void)user, (void)number, (void)reason;
	heard.settled += state == FRAME_WRITTEN && !revoked;
}

static void durable(void *user, uint64_t count)
{
	(void)user, (void)count;
}

static void say(void *user, enum sink_say level, const char *text)
{
	(void)user;
	cr_assert_neq(level, SINK_ERROR, "%s", text);
}

/* Sinks of format null, whatever the layout was made for. */
static struct sinks *open_sinks(struct config *c, char *directory)
{
	static const struct sink_callbacks callbacks = {
		.released = released, .settled = settled, .durable = durable, .say = say
	};
	static const struct sink_program program = {
		.version = "1", .commit = "c", .isa = "scalar", .config_json = "{}"
	};
	struct sinks *s;
	char why[256];

	*c = config;
	c->sink_count = 1;
	c->sinks[0] = (struct config_sink){ .format = SINK_NULL,
		                            .directory = directory,
		                            .compression = plain,
		                            .sync_ns = 1000000 };
	cr_assert_eq(sinks_open(&s, c, &program, &callbacks, -1, why), 0, "%s", why);
	cr_assert_eq(sinks_lay_out(s, &layout.geometry), 0);
	cr_assert_eq(sinks_begin(s, &(struct sink_start){ .name = "wood" }), 0);
	return s;
}

static void remove_folder(const char *directory, const char *series)
{
	char command[256];

	snprintf(command, sizeof command, "rm -r %s %s", series, directory);
	cr_assert_eq(system(command), 0);
}

Test(packing, the_page_of_an_average_is_packed_when_it_is_made)
{
	char directory[] = "/tmp/openbeam-packing-XXXXXX", series[128];
	struct config of_sinks;
	struct collector *k;

	cr_assert(mkdtemp(directory));
	configure("reduce: {normalise: none, average: 2}\n");
	lay_out();
	make_pipeline();
	run_worker();
	k = &pipeline->collector;
	k->pipeline = pipeline;
	k->layout = &layout;
	k->series.rules.step = 1;
	k->sinks = open_sinks(&of_sinks, directory);
	for (unsigned i = 0; i < FRAMES; i++) {
		struct sink_frame f = collector_frame(&layout.slots[i]);

		cr_expect_null(f.reduced_packed, "a frame of its own has no page");
		expect_packed(f.source_packed, f.source_packed_bytes, f.source,
		              &layout.geometry.source);
		averaging_place(k, i, &layout.slots[i]);
	}
	for (unsigned i = 1; i < FRAMES; i += 2) {
		struct sink_frame f = collector_frame(&layout.slots[i]);
		const float *page = f.reduced;

		expect_packed(f.reduced_packed, f.reduced_packed_bytes, f.reduced,
		              &layout.geometry.reduced);
		cr_expect_eq(page[5], (float)(frames[i - 1][5] + frames[i][5]) / 2);
		cr_expect_eq(f.reduction->reduced_crc32c, checksum(page, &layout.geometry.reduced));
		cr_expect_null(collector_frame(&layout.slots[i - 1]).reduced_packed);
	}
	sinks_drain(k->sinks);
	cr_expect(heard.released == FRAMES && heard.settled == FRAMES);
	snprintf(series, sizeof series, "%s", sinks_series_path(k->sinks));
	sinks_close(k->sinks);
	remove_folder(directory, series);
}
