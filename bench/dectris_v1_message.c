/* SPDX-License-Identifier: Apache-2.0 */
/* DECTRIS stream V1 as an EIGER2 sends it: JSON with sorted keys, times in ns since the start of
 * the series. */
#include "bench/encoder.h"

#include "bench/prng.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RATE_TABLE_ROWS 4

/* [bs<BIT>-]lz4 and the byte order. */
static void encoding_text(const struct outgoing *o, char ret[16])
{
	char order = o->big_endian ? '>' : '<';

	if (o->compression == COMPRESSION_BSLZ4)
		snprintf(ret, 16, "bs%u-lz4%c", 8 * pixel_bytes(o->type), order);
	else
		snprintf(ret, 16, "%s%c", o->compression == COMPRESSION_LZ4 ? "lz4" : "", order);
}

static void add_configuration(const struct outgoing *o, struct draft *d)
{
	time_t now = (time_t)(o->started_ns / 1000000000);
	unsigned bits = 8 * pixel_bytes(o->type);
	struct tm at = { 0 };
	char date[32];

	gmtime_r(&now, &at);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S.000+00:00", &at);
	draft_text(d,
	           "{\"beam_center_x\":%.1f,\"beam_center_y\":%.1f,\"bit_depth_image\":%u,"
	           "\"bit_depth_readout\":%u,\"compression\":\"%s\",\"count_time\":%.9g,"
	           "\"countrate_correction_applied\":false,"
	           "\"countrate_correction_count_cutoff\":%" PRIu64
	           ",\"data_collection_date\":\"%s\",\"description\":\"Dectris openbeam-send\","
	           "\"detector_distance\":0.1,\"detector_number\":\"E-00-0000\","
	           "\"flatfield_correction_applied\":true,\"frame_time\":%.9g,\"nimages\":%" PRIu64
	           ",\"ntrigger\":1,\"photon_energy\":8041.5,\"pixel_mask_applied\":false,"
	           "\"sensor_material\":\"Si\",\"sensor_thickness\":0.00045,"
	           "\"software_version\":\"1.8.0\",\"threshold_energy\":4020.75,"
	           "\"trigger_mode\":\"ints\",\"wavelength\":1.5418,\"x_pixel_size\":0.000075,"
	           "\"x_pixels_in_detector\":%" PRIu32
	           ",\"y_pixel_size\":0.000075,\"y_pixels_in_detector\":%" PRIu32 "}",
	           o->width / 2.0, o->height / 2.0, bits, bits < 16 ? bits : 16,
	           compression_name(o->compression), (double)outgoing_exposure_ns(o) * 1e-9,
	           (UINT64_C(1) << bits) - 3, date, (double)o->period_ns * 1e-9,
	           outgoing_announced(o), o->width, o->height);
}

/* Flat field (1 everywhere), pixel mask, count-rate table (measured = true). */
static int add_calibration(const struct outgoing *o, struct draft *d)
{
	static const float rates[RATE_TABLE_ROWS][2] = {
		{ 0, 0 }, { 1e5f, 1e5f }, { 1e6f, 1e6f }, { 1e7f, 1e7f }
	};
	size_t pixels = (size_t)o->width * o->height;
	float *flat = malloc(pixels * sizeof *flat);
	uint32_t *mask = NULL;

	if (!flat || outgoing_mask(o, &mask)) {
		free(flat);
		return -ENOMEM;
	}
	for (size_t i = 0; i < pixels; i++)
		flat[i] = 1;
	draft_text(d,
	           "{\"htype\":\"dflatfield-1.0\",\"shape\":[%" PRIu32 ",%" PRIu32
	           "],\"type\":\"float32\"}",
	           o->width, o->height);
	draft_own(d, flat, pixels * sizeof *flat);
	draft_text(d,
	           "{\"htype\":\"dpixelmask-1.0\",\"shape\":[%" PRIu32 ",%" PRIu32
	           "],\"type\":\"uint32\"}",
	           o->width, o->height);
	draft_own(d, mask, pixels * sizeof *mask);
	draft_text(d, "{\"htype\":\"dcountrate_table-1.0\",\"shape\":[2,%d],\"type\":\"float32\"}",
	           RATE_TABLE_ROWS);
	draft_bytes(d, rates, sizeof rates);
	return 0;
}

int dectris_v1_start(const struct outgoing *o, struct draft *d)
{
	draft_text(d, "{\"header_detail\":\"%s\",\"htype\":\"dheader-1.0\",\"series\":%" PRIu64 "}",
	           header_detail_name(o->detail), o->id);
	if (o->detail != DETAIL_NONE)
		add_configuration(o, d);
	return o->detail == DETAIL_ALL ? add_calibration(o, d) : 0;
}

/* `hash` is no checksum of anything known: any 32 digits do. */
int dectris_v1_frame(const struct outgoing *o, const struct shot *shot, unsigned port,
                     const struct cargo *p, struct draft *d)
{
	uint64_t start = outgoing_time_ns(o, shot->index), real = outgoing_exposure_ns(o);
	uint64_t state = prng_stream(o->id, shot->number), high = prng_next(&state);
	char encoding[16];

	(void)port;
	encoding_text(o, encoding);
	draft_text(d,
	           "{\"%s\":%" PRIu64 ",\"hash\":\"%016" PRIx64 "%016" PRIx64
	           "\",\"htype\":\"dimage-1.0\",\"series\":%" PRIu64 "}",
	           shot_is(shot, CORRUPT_NO_NUMBER) ? "fra_e" : "frame", shot->number, high,
	           prng_next(&state), o->id);
	draft_damage(d, shot);
	draft_text(d,
	           "{\"encoding\":\"%s\",\"htype\":\"dimage_d-1.0\",\"%s\":[%" PRIu32 ",%" PRIu32
	           "],\"size\":%zu,\"type\":\"%s\"}",
	           encoding, shot_is(shot, CORRUPT_NO_SHAPE) ? "sh_pe" : "shape", o->width,
	           o->height, p->whole_bytes,
	           shot_is(shot, CORRUPT_UNKNOWN_TYPE) ? "uint13" : pixel_name(o->type));
	draft_body(d, p->data, p->bytes, p->owned);
	draft_text(d,
	           "{\"htype\":\"dconfig-1.0\",\"real_time\":%" PRIu64 ",\"start_time\":%" PRIu64
	           ",\"stop_time\":%" PRIu64 "}",
	           real, start, start + real);
	if (outgoing_keys(o)[0])
		draft_text(d, "{%s}", outgoing_keys(o) + 1);
	return 0;
}

int dectris_v1_end(const struct outgoing *o, struct draft *d)
{
	draft_text(d, "{\"htype\":\"dseries_end-1.0\",\"series\":%" PRIu64 "}", o->id);
	return 0;
}
