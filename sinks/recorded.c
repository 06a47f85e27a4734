/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/recorded.h"

#include "kernels/cpu.h"
#include "sinks/audit_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALIBRATIONS_MAX 4096
#define CONFIG_BYTES_MAX ((size_t)1 << 20)
#define COUNTS_MAX       1e15                /* of a saturation */
#define SIDE_MAX         ((uint32_t)1 << 20) /* pixels of a payload's side that are believed */

/* The first thing that was wrong, while the parts of the audit read. */
struct complaint {
	bool is_there;
	char text[RECORDED_WHY];
};

static void on_found(void *user, enum audit_kind kind, const char *where, const char *what)
{
	struct complaint *c = user;

	if (kind != AUDIT_FINDING || c->is_there)
		return;
	c->is_there = true;
	snprintf(c->text, sizeof c->text, "%s%s%s", where, *where ? ": " : "", what);
}

__attribute__((format(printf, 3, 4))) static int refuse(char why[RECORDED_WHY], int error,
                                                        const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, RECORDED_WHY, format, arguments);
	va_end(arguments);
	return error;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* A count that is not there, or is none, is 0. */
static uint64_t count_of(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

/* ---- the manifest ---- */

static int keep_configuration(struct recorded *r, char why[RECORDED_WHY])
{
	const json_t *c = json_object_get(r->audit->manifest, "configuration");

	if (!json_is_object(c))
		return refuse(why, -EINVAL, "manifest.json has no configuration to run again");
	r->config_json = json_dumps(c, JSON_INDENT(2));
	if (!r->config_json)
		return refuse(why, -ENOMEM, "no memory for the configuration");
	r->config_bytes = strlen(r->config_json);
	if (r->config_bytes > CONFIG_BYTES_MAX)
		return refuse(why, -EINVAL, "manifest.json: the configuration is larger than any");
	return 0;
}

static bool read_calibration(const json_t *o, struct recorded_calibration *ret)
{
	const char *crc = text_of(o, "crc32c");
	char *end;
	const json_t *id = json_object_get(o, "id");

	*ret = (struct recorded_calibration){ .role = text_of(o, "role"),
		                              .path = text_of(o, "path"),
		                              .bytes = count_of(o, "bytes"),
		                              .id = id ? (uint32_t)json_integer_value(id) : 1,
		                              .from_stream = json_is_true(
						      json_object_get(o, "from_stream")) };
	ret->crc32c = (uint32_t)strtoul(crc, &end, 16);
	return *ret->role && *ret->path && strlen(crc) == 8 && *end == '\0';
}

static int keep_calibrations(struct recorded *r, char why[RECORDED_WHY])
{
	const json_t *list = json_object_get(r->audit->manifest, "calibration"), *o;
	size_t count = json_array_size(list), i;

	if (count > CALIBRATIONS_MAX)
		return refuse(why, -EINVAL, "manifest.json names %zu calibration files", count);
	r->calibrations = calloc(count + 1, sizeof *r->calibrations);
	if (!r->calibrations)
		return refuse(why, -ENOMEM, "no memory for %zu calibration files", count);
	json_array_foreach(list, i, o) if (!read_calibration(o, &r->calibrations[i])) return refuse(
		why, -EINVAL,
		"manifest.json: calibration %zu has no role, path and "
		"checksum",
		i);
	r->calibration_count = (unsigned)count;
	return 0;
}

static uint32_t side_of(const json_t *object, const char *key)
{
	uint64_t n = count_of(object, key);

	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* In counts; null: none is too bright. */
static double saturation_of(const json_t *frames)
{
	const json_t *v = json_object_get(frames, "saturation");

	return json_is_number(v) ? json_number_value(v) : json_is_null(v) ? INFINITY : NAN;
}

static bool lies_in_payload(const struct sink_pixels *p)
{
	return p->payload_width <= SIDE_MAX && p->payload_height <= SIDE_MAX &&
	       p->left <= p->payload_width && p->width <= p->payload_width - p->left &&
	       p->top <= p->payload_height && p->height <= p->payload_height - p->top;
}

static bool type_of(const char *name, enum product_type as, enum pixel_type *ret)
{
	static const enum product_type products[PIXEL_TYPE_COUNT] = {
		[PIXEL_UINT8] = PRODUCT_UINT8,
		[PIXEL_UINT16] = PRODUCT_UINT16,
		[PIXEL_UINT32] = PRODUCT_UINT32,
		[PIXEL_FLOAT32] = PRODUCT_FLOAT32,
	};

	for (unsigned i = 0; i < PIXEL_TYPE_COUNT; i++)
		if (products[i] == as) {
			*ret = (enum pixel_type)i;
			return strcmp(pixel_name(*ret), name) == 0;
		}
	return false;
}

static int keep_pixels(struct recorded *r, char why[RECORDED_WHY])
{
	const json_t *o = json_object_get(r->audit->manifest, "frames");
	const json_t *no_value = json_object_get(o, "no_value");
	struct sink_pixels p = { .width = side_of(o, "width"),
		                 .height = side_of(o, "height"),
		                 .left = side_of(o, "left"),
		                 .top = side_of(o, "top"),
		                 .payload_width = side_of(o, "payload_width"),
		                 .payload_height = side_of(o, "payload_height"),
		                 .bits = side_of(o, "bits"),
		                 .saturation = saturation_of(o),
		                 .has_no_value = json_is_integer(no_value),
		                 .no_value = json_integer_value(no_value) };

	if (!json_is_object(o))
		return 0;
	if (!lies_in_payload(&p) || p.width != r->shape.width || p.height != r->shape.height ||
	    !type_of(text_of(o, "type"), r->shape.type, &p.type) || p.bits > 32 ||
	    !(p.saturation >= 0 && (p.saturation <= COUNTS_MAX || isinf(p.saturation))))
		return refuse(why, -EINVAL,
		              "manifest.json: what `frames` says, %u x %u pixels of %.20s, is not "
		              "what the ledger has",
		              p.width, p.height, text_of(o, "type"));
	r->has_pixels = true;
	r->pixels = p;
	return 0;
}

/* ---- the sinks ---- */

static void keep_sinks(struct recorded *r)
{
	const struct audit *a = r->audit;

	for (unsigned i = 0; i < a->lane_count; i++) {
		const struct audit_lane *l = &a->lanes[i];

		r->sinks[i] = (struct recorded_sink){ .index = l->index,
			                              .is_source = l->view.header.source,
			                              .name = l->journal };
	}
	r->sink_count = a->lane_count;
}

static int choose_source(struct recorded *r, char why[RECORDED_WHY])
{
	const struct audit *a = r->audit;

	for (unsigned i = 0; i < a->lane_count; i++) {
		const struct audit_lane *l = &a->lanes[i];

		if (!l->view.header.source || !l->keeps_pixels)
			continue;
		if (l->folder < 0)
			return refuse(why, -EINVAL,
			              "the folder %s of the source product is not there; it lies "
			              "beside this one when both are moved together",
			              l->path);
		r->source = i;
		return 0;
	}
	return refuse(why, -EINVAL,
	              "has no source product to run again: record one with a sink of product: "
	              "source and format tiff, hdf5 or raw");
}

static int read_journals(struct recorded *r, char why[RECORDED_WHY])
{
	struct audit *a = r->audit;
	struct complaint *c = a->options->user;

	c->is_there = false; /* of the manifest what is needed is asked for by name */
	for (unsigned i = 0; i < a->lane_count; i++) {
		audit_read_journal(a, &a->lanes[i]);
		if (c->is_there)
			return refuse(why, a->unreadable ? -EIO : -EINVAL,
			              "%.800s: openbeam audit says more", c->text);
	}
	return 0;
}

/* ---- frames ---- */

static void record_at(const struct audit_lane *l, uint32_t slot, struct journal_record *ret)
{
	journal_view_record(&l->view, slot, ret);
}

static int keep_frames(struct recorded *r, char why[RECORDED_WHY])
{
	const struct audit_lane *l = &r->audit->lanes[r->source];
	const struct journal_header *h = &l->view.header;

	r->frames = calloc(l->range_count + 1, sizeof *r->frames);
	r->lost = calloc(l->range_count + 1, sizeof *r->lost);
	if (!r->frames || !r->lost)
		return refuse(why, -ENOMEM, "no memory for %zu frames", l->range_count);
	for (size_t i = 0; i < l->range_count; i++) {
		struct journal_record record;

		record_at(l, l->ranges[i].slot, &record);
		if (record.state == FRAME_WRITTEN && record.file != JOURNAL_NO_FILE)
			r->frames[r->count++] = l->ranges[i].slot;
		else
			r->lost[r->lost_count++] = l->ranges[i].slot;
	}
	r->step = h->step;
	r->has_quality = h->quality;
	r->regions = h->regions;
	r->region_count = h->region_count;
	r->first = h->first_known ? h->first : l->range_count > 0 ? l->ranges[0].first : 0;
	r->shape = (struct sink_shape){ .width = h->width,
		                        .height = h->height,
		                        .type = (enum product_type)h->type,
		                        .bytes = h->frame_bytes };
	return 0;
}

void recorded_frame(const struct recorded *r, size_t i, struct journal_record *ret)
{
	record_at(&r->audit->lanes[r->source], r->frames[i], ret);
}

void recorded_loss(const struct recorded *r, size_t i, struct journal_record *ret)
{
	record_at(&r->audit->lanes[r->source], r->lost[i], ret);
}

static int by_number(const void *key, const void *range)
{
	uint64_t number = *(const uint64_t *)key;
	const struct audit_range *at = range;

	return number < at->first ? -1 : number > at->last;
}

bool recorded_in(const struct recorded *r, unsigned sink, uint64_t number,
                 struct journal_record *ret)
{
	const struct audit_lane *l = &r->audit->lanes[sink];
	const struct audit_range *at =
		bsearch(&number, l->ranges, l->range_count, sizeof *l->ranges, by_number);
	struct journal_record record;

	if (!at)
		return false;
	record_at(l, at->slot, &record);
	if (record.state != FRAME_WRITTEN)
		return false;
	*ret = record;
	return true;
}

/* ---- the series ---- */

static int read_series(struct recorded *r, const char *path, char why[RECORDED_WHY])
{
	struct audit *a = r->audit;
	int err;

	audit_read_manifest(a);
	if (!a->manifest)
		return refuse(why, a->unreadable ? -EIO : -ENOENT,
		              "%s: a series that can be run again has manifest.json and "
		              "journal.bin; of a further sink's folder, name that of the first",
		              ((struct complaint *)a->options->user)->text);
	if (a->state == MANIFEST_RUNNING)
		return refuse(
			why, -EBUSY,
			"the series still runs or was cut off: wait, or openbeam recover %.800s",
			path);
	if (a->lane_count == 0)
		return refuse(why, -EINVAL, "manifest.json names no sink that kept a ledger");
	err = read_journals(r, why);
	if (err)
		return err;
	keep_sinks(r);
	err = choose_source(r, why);
	if (!err)
		err = keep_frames(r, why);
	if (!err)
		err = keep_configuration(r, why);
	if (!err)
		err = keep_calibrations(r, why);
	if (!err)
		err = keep_pixels(r, why);
	r->masked = count_of(json_object_get(a->manifest, "detector"), "masked");
	return err;
}

/* What the parts of an audit want to have around them. */
struct reading {
	struct audit audit;
	struct audit_options options;
	struct audit_result result;
	struct complaint complaint;
};

static int open_reading(struct recorded *r, const char *path)
{
	struct reading *g = calloc(1, sizeof *g);

	if (!g)
		return -ENOMEM;
	g->options = (struct audit_options){ .user = &g->complaint, .found = on_found };
	g->audit = (struct audit){ .options = &g->options,
		                   .result = &g->result,
		                   .path = path,
		                   .folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		                   .average = 1,
		                   .crc32c = crc32c_for(cpu_detect()) };
	r->audit = &g->audit;
	return g->audit.folder < 0 ? -errno : 0;
}

int recorded_open(struct recorded *ret, const char *path, char why[RECORDED_WHY])
{
	struct recorded r = { .fd = -1 };
	int err = open_reading(&r, path);

	if (err == -ENOTDIR)
		refuse(why, err, "is no folder: name that of the series");
	else if (err)
		refuse(why, err, "%s", strerror(-err));
	else
		err = read_series(&r, path, why);
	if (err == -ENOTDIR)
		err = -ENOENT;
	if (err)
		recorded_close(&r);
	else
		*ret = r;
	return err;
}

void recorded_close(struct recorded *r)
{
	struct audit *a = r->audit;

	if (!a)
		return;
	for (unsigned i = 0; i < a->lane_count; i++)
		audit_lane_done(&a->lanes[i]);
	json_decref(a->manifest);
	if (a->folder >= 0)
		close(a->folder);
	if (r->fd >= 0)
		close(r->fd);
	free(a); /* the first member of what was allocated */
	free(r->config_json);
	free(r->calibrations);
	free(r->frames);
	free(r->lost);
	free(r->scratch);
	free(r->packed);
	*r = (struct recorded){ .fd = -1 };
}
