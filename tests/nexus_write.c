/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/nexus.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A NeXus master from a plan, for check_nexus.py to read.
 *
 *   nexus_write PLAN.json MASTER.h5
 *
 * The plan has the members of struct nexus_master by name; rows are [number, present, file, index,
 * rotation or null, flags, dose or null], regions a number of them, records [number, state, reason,
 * flags, file, index, repeat, step], maps [role, path of float32 values, width, height, crc32c]. A
 * record's other columns follow from its number: see record_of(). Prints the seconds that composing
 * took and the bytes. */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static const char *text_of(json_t *plan, const char *key)
{
	return json_string_value(json_object_get(plan, key));
}

static uint64_t number_of(json_t *plan, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(plan, key));
}

static double real_of(json_t *plan, const char *key)
{
	return json_number_value(json_object_get(plan, key));
}

static uint64_t item(json_t *list, size_t i)
{
	return (uint64_t)json_integer_value(json_array_get(list, i));
}

static void *must(void *memory)
{
	if (!memory)
		exit(3);
	return memory;
}

static double real_item(json_t *list, size_t i)
{
	json_t *value = json_array_get(list, i);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

static void read_rows(json_t *plan, struct nexus_master *m)
{
	json_t *list = json_object_get(plan, "rows");
	struct nexus_row *rows;

	m->row_count = json_array_size(list);
	m->rows = rows = must(calloc(m->row_count + 1, sizeof *rows));
	for (size_t i = 0; i < m->row_count; i++) {
		json_t *row = json_array_get(list, i);

		rows[i] = (struct nexus_row){
			.number = item(row, 0),
			.present = item(row, 1),
			.file = (uint32_t)item(row, 2),
			.index = item(row, 3),
			.rotation = real_item(row, 4),
			.flags = (uint32_t)item(row, 5),
			.dose = real_item(row, 6),
		};
	}
}

/* What record_of() says of them: borrowed until the next call. */
static const unsigned char *regions_of(double v)
{
	static unsigned char bytes[CONFIG_REGIONS_MAX * JOURNAL_REGION_BYTES];

	for (unsigned i = 0; i < CONFIG_REGIONS_MAX; i++) {
		struct region_stats s = { .good = (uint64_t)v + i,
			                  .saturated = i,
			                  .raw = { v, v + i, v / 2, v / 4 },
			                  .normalised = { -v, v + 1, v / 8, v / 3 + i } };

		journal_encode_region(bytes + i * JOURNAL_REGION_BYTES, &s);
	}
	return bytes;
}

static struct journal_record record_of(json_t *list)
{
	uint64_t n = item(list, 0);
	double v = (double)n;

	return (struct journal_record){
		.number = n,
		.state = (enum frame_state)item(list, 1),
		.reason = (unsigned)item(list, 2),
		.flags = (uint32_t)item(list, 3),
		.file = (uint32_t)item(list, 4),
		.index = (uint32_t)item(list, 5),
		.repeat = item(list, 6),
		.step = item(list, 7),
		.averaged = 1,
		.crc32c = (uint32_t)(n * 2654435761u),
		.timestamp_ns = n * 1000,
		.received_ns = n * 1000 + 1,
		.durable_ns = n * 1000 + 2,
		.min = v - 0.5,
		.max = v + 0.5,
		.mean = v / 3,
		.std = v / 7,
		.raw_min = v - 8,
		.raw_max = v + 8,
		.raw_mean = v / 5,
		.raw_std = v / 9,
		.good = n + 1,
		.bad = n + 2,
		.saturated = n + 3,
		.clipped = n + 4,
		.dose = v / 11,
		.calibration = (uint32_t)(n % 5),
		.raw_percentiles = { -INFINITY, 1, (float)v, 3, INFINITY },
		.percentiles = { NAN, 0.5f, (float)v / 3, 0.75f, 1 },
	};
}

static void record_at(const void *ledger, size_t i, struct journal_record *ret)
{
	*ret = ((const struct journal_record *)ledger)[i];
	if (ret->state == FRAME_WRITTEN)
		ret->regions = regions_of((double)ret->number);
}

static void read_records(json_t *plan, struct nexus_master *m)
{
	json_t *list = json_object_get(plan, "records");
	struct journal_record *records = must(calloc(json_array_size(list) + 1, sizeof *records));

	m->record_count = json_array_size(list);
	m->ledger = records;
	m->record = record_at;
	for (size_t i = 0; i < m->record_count; i++)
		records[i] = record_of(json_array_get(list, i));
}

static void read_regions(json_t *plan, struct nexus_master *m)
{
	static struct journal_region regions[CONFIG_REGIONS_MAX];

	m->regions = regions;
	m->region_count = (unsigned)number_of(plan, "regions");
	for (unsigned i = 0; i < m->region_count; i++) {
		regions[i] = (struct journal_region){ .x = i, .y = 2, .width = 3, .height = 4 };
		snprintf(regions[i].name, sizeof regions[i].name, "r%u", i);
	}
}

static float *read_floats(const char *path, size_t n)
{
	float *values = must(malloc(n * sizeof *values));
	FILE *f = must(fopen(path, "rb"));

	if (fread(values, sizeof *values, n, f) != n)
		exit(4);
	fclose(f);
	return values;
}

static void read_maps(json_t *plan, struct nexus_master *m)
{
	json_t *list = json_object_get(plan, "maps");
	struct nexus_map *maps;

	m->map_count = (unsigned)json_array_size(list);
	m->maps = maps = must(calloc(m->map_count + 1, sizeof *maps));
	for (unsigned i = 0; i < m->map_count; i++) {
		json_t *map = json_array_get(list, i);

		maps[i] = (struct nexus_map){
			.role = json_string_value(json_array_get(map, 0)),
			.path = json_string_value(json_array_get(map, 1)),
			.width = (uint32_t)item(map, 2),
			.height = (uint32_t)item(map, 3),
			.crc32c = (uint32_t)item(map, 4),
		};
		maps[i].pixels = read_floats(maps[i].path, (size_t)maps[i].width * maps[i].height);
	}
}

static struct sink_shape shape_of(json_t *plan)
{
	struct sink_shape s = {
		.width = (uint32_t)number_of(plan, "width"),
		.height = (uint32_t)number_of(plan, "height"),
		.type = (enum product_type)number_of(plan, "type"),
	};

	s.bytes = (size_t)s.width * s.height * product_bytes(s.type);
	return s;
}

static struct config_reduce reduce_of(json_t *plan)
{
	return (struct config_reduce){
		.normalise = (enum normalise)number_of(plan, "normalise"),
		.roi_x = (uint32_t)number_of(plan, "roi_x"),
		.roi_y = (uint32_t)number_of(plan, "roi_y"),
		.roi_width = (uint32_t)number_of(plan, "roi_width"),
		.roi_height = (uint32_t)number_of(plan, "roi_height"),
		.average = 1,
		.bin = (uint32_t)number_of(plan, "bin"),
		.type = (enum reduce_type)number_of(plan, "reduce_type"),
		.window_low = real_of(plan, "window_low"),
		.window_high = real_of(plan, "window_high"),
	};
}

static int write_master(const struct nexus_master *m, const char *path)
{
	double began = seconds();
	void *image;
	size_t bytes;
	char why[256];
	int err = nexus_compose(m, &image, &bytes, why);
	FILE *f;

	if (err) {
		printf("%s\n", why);
		return 2;
	}
	printf("%.3f s, %zu bytes\n", seconds() - began, bytes);
	f = must(fopen(path, "wb"));
	err = fwrite(image, 1, bytes, f) != bytes;
	err |= fclose(f);
	free(image);
	return err ? 1 : 0;
}

static void free_master(struct nexus_master *m)
{
	for (unsigned i = 0; i < m->map_count; i++)
		free((void *)m->maps[i].pixels);
	free((void *)m->maps);
	free((void *)(uintptr_t)m->ledger);
	free((void *)m->rows);
}

int main(int argc, char **argv)
{
	static const uint64_t raw_counts[] = { 3, 4 }, counts[] = { 5, 6, 7 };
	json_t *plan = argc == 3 ? json_load_file(argv[1], 0, NULL) : NULL;
	struct config_reduce reduce = reduce_of(plan);
	struct sink_shape shape = shape_of(plan);
	struct nexus_master m = {
		.series = text_of(plan, "series"),
		.name = text_of(plan, "name"),
		.version = "1.2.3",
		.ingest_name = "camera",
		.shape = &shape,
		.source = number_of(plan, "source"),
		.normalised = number_of(plan, "normalised"),
		.reduce = &reduce,
		.raw = { { 2, 0, 4096 }, raw_counts, { 1, 2, 0 } },
		.normalised_values = { { 3, 0, 1.5 }, counts, { 8, 9, 10 } },
		.manifest_json = "{\"state\": \"complete\", \"name\": \"h\u00f6lzer\"}",
		.config_json = "{\"key\": [1, 2]}",
		.start_ns = UINT64_C(1700000000000000001),
		.end_ns = number_of(plan, "end_ns"),
		.detector_description = text_of(plan, "description"),
		.exposure_s = real_of(plan, "exposure_s"),
	};
	int status;

	if (!plan)
		return 1;
	read_rows(plan, &m);
	read_records(plan, &m);
	read_regions(plan, &m);
	read_maps(plan, &m);
	status = write_master(&m, argv[2]);
	free_master(&m);
	json_decref(plan);
	return status;
}
