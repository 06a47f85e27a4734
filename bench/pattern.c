/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/pattern.h"

#include "bench/pack_pixels.h"
#include "bench/prng.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TURN           64   /* phantom frames in one turn */
#define EXPOSURES      16   /* different darks and flats */
#define COUNTER_PERIOD 4096 /* of the counter pattern, in frames, rows and columns */
#define NOISE_PLACES   4096 /* where noise frames begin, 64 pixels apart */

static int reserve(struct pattern *p, size_t bytes)
{
	p->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->memory == MAP_FAILED) {
		p->memory = NULL;
		snprintf(p->why, sizeof p->why,
		         "no memory for %zu MiB of prepared frames: use a smaller --size",
		         bytes >> 20);
		return -ENOMEM;
	}
	p->memory_bytes = bytes;
	madvise(p->memory, bytes, MADV_HUGEPAGE); /* fewer page faults while it is filled */
	return 0;
}

/* Whether frames are kept as the camera has them: neither packed nor swapped. */
static bool is_native(const struct pattern *p)
{
	return mishap_options_any(&p->options.mishaps);
}

/* Bytes of a frame of the phantom in memory. */
static size_t kept_bytes(const struct pattern *p)
{
	const struct pattern_options *o = &p->options;
	enum pixel_packing packing = is_native(p) ? PACKING_NONE : o->packing;

	return ((size_t)o->width * o->height * wire_bits(o->type, packing) + 7) / 8;
}

/* How many different frames to make: what the limit holds, at most `most`, at least one. */
static uint64_t frames_to_prepare(const struct pattern *p, uint64_t most)
{
	uint64_t room = p->options.memory_limit / kept_bytes(p);
	uint64_t count = room < most ? room : most;

	if (p->options.frames && p->options.frames < count)
		count = p->options.frames;
	return count ? count : 1;
}

static int expose(struct pattern *p, struct phantom *phantom, enum phantom_kind kind, uint64_t i)
{
	size_t pixels = (size_t)p->options.width * p->options.height;
	uint8_t *frame = p->memory + i * kept_bytes(p);
	void *unpacked;

	if (!p->packed) {
		phantom_frame(phantom, kind, i, frame);
		return 0;
	}
	unpacked = malloc(pixels * pixel_bytes(p->options.type));
	if (!unpacked) {
		snprintf(p->why, sizeof p->why, "no memory for a frame: use a smaller --size");
		return -ENOMEM;
	}
	phantom_frame(phantom, kind, i, unpacked);
	pack_pixels(frame, unpacked, pixels, p->options.packing);
	free(unpacked);
	return 0;
}

/* What is to be known of the camera when the phantom is gone. */
static int keep_camera(struct pattern *p, const struct phantom *phantom)
{
	size_t dark_bytes = (size_t)p->options.width * p->options.height * sizeof *p->dark;
	const struct phantom_defect *defects = phantom_defects(phantom, &p->defect_count);

	p->defects = calloc(p->defect_count + 1, sizeof *p->defects);
	p->dark = is_native(p) ? malloc(dark_bytes) : NULL;
	if (!p->defects || (is_native(p) && !p->dark)) {
		snprintf(p->why, sizeof p->why, "no memory for the camera: use a smaller --size");
		return -ENOMEM;
	}
	memcpy(p->defects, defects, p->defect_count * sizeof *p->defects);
	if (p->dark)
		memcpy(p->dark, phantom_dark(phantom), dark_bytes);
	return 0;
}

static int prepare_phantom(struct pattern *p, enum phantom_kind kind, unsigned most)
{
	const struct pattern_options *o = &p->options;
	uint64_t count = frames_to_prepare(p, most);
	/* The turn does not depend on how many frames are wanted of it, unless memory is short:
	 * frame n is the same whatever --frames says. */
	uint64_t room = o->memory_limit / kept_bytes(p);
	struct phantom_options scene = {
		.width = o->width,
		.height = o->height,
		.type = o->type,
		.bits = o->bits,
		.turn = room == 0     ? 1
		        : room < most ? (unsigned)room
		                      : most,
		.seed = o->seed,
	};
	struct phantom *phantom;
	int err = reserve(p, count * kept_bytes(p));

	if (err)
		return err;
	p->packed = o->packing != PACKING_NONE && !is_native(p);
	if (phantom_open(&phantom, &scene)) {
		snprintf(p->why, sizeof p->why, "no memory for the phantom: use a smaller --size");
		return -ENOMEM;
	}
	err = keep_camera(p, phantom);
	for (uint64_t i = 0; i < count && !err; i++)
		err = expose(p, phantom, kind, i);
	phantom_close(phantom);
	p->prepared = count;
	return err;
}

/* One pixel of an integer pattern; float32 holds values of up to 24 bits exactly. */
static void store_pixel(enum pixel_type type, void *pixels, size_t at, uint32_t value)
{
	switch (type) {
	case PIXEL_UINT8:
		((uint8_t *)pixels)[at] = (uint8_t)value;
		return;
	case PIXEL_UINT16:
		((uint16_t *)pixels)[at] = (uint16_t)value;
		return;
	case PIXEL_UINT32:
		((uint32_t *)pixels)[at] = value;
		return;
	case PIXEL_FLOAT32:
	case PIXEL_TYPE_COUNT:
		((float *)pixels)[at] = (float)value;
	}
}

/* Pack a plane that frames are windows of, where all of these begin on a byte. */
static void pack_plane(struct pattern *p, size_t pixels, size_t window_step)
{
	if (p->options.packing == PACKING_NONE || is_native(p) ||
	    window_step * wire_bits(p->options.type, p->options.packing) % 8 != 0)
		return;
	pack_pixels(p->memory, p->memory, pixels, p->options.packing);
	p->packed = true;
}

static int prepare_counter(struct pattern *p)
{
	const struct pattern_options *o = &p->options;
	size_t rows = COUNTER_PERIOD + (size_t)o->height;
	uint32_t mask = (1u << o->bits) - 1;
	int err = reserve(p, rows * o->width * pixel_bytes(o->type));

	if (err)
		return err;
	for (size_t y = 0; y < rows; y++)
		for (uint32_t x = 0; x < o->width; x++) {
			uint32_t value = (uint32_t)(y * 131 + x * UINT64_C(31)) % COUNTER_PERIOD;

			store_pixel(o->type, p->memory, y * o->width + x, value & mask);
		}
	pack_plane(p, rows * o->width, o->width);
	p->prepared = COUNTER_PERIOD;
	return 0;
}

/* The row y of the tall image with y * 131 = f * 7919 (mod 4096); 3627 * 131 = 1 (mod 4096). */
static uint64_t counter_row(uint64_t number)
{
	return number % COUNTER_PERIOD * 7919 % COUNTER_PERIOD * 3627 % COUNTER_PERIOD;
}

static int prepare_noise(struct pattern *p)
{
	const struct pattern_options *o = &p->options;
	size_t pixels = (size_t)o->width * o->height + 64 * (size_t)NOISE_PLACES;
	uint64_t state = prng_stream(o->seed, 0x4015e);
	int err = reserve(p, pixels * pixel_bytes(o->type));

	if (err)
		return err;
	for (size_t i = 0; i < pixels; i++)
		store_pixel(o->type, p->memory, i, (uint32_t)(prng_next(&state) >> (64 - o->bits)));
	pack_plane(p, pixels, 64);
	p->prepared = o->noise_places ? o->noise_places : NOISE_PLACES;
	return 0;
}

static uint64_t noise_place(const struct pattern *p, uint64_t number)
{
	uint64_t state = prng_stream(p->options.seed, number);

	return prng_below(&state, p->prepared);
}

static int read_page(struct pattern *p, uint64_t page, void *ret_pixels)
{
	int err = tiff_pages_read(&p->pages, page, ret_pixels);

	if (err)
		snprintf(p->why, sizeof p->why, "%s", p->pages.why);
	return err;
}

static int prepare_tiff(struct pattern *p)
{
	struct tiff_pages *pages = &p->pages;
	uint64_t needed;
	int err = tiff_pages_open(pages, p->options.files, p->options.file_count);

	if (err) {
		snprintf(p->why, sizeof p->why, "%s", pages->why);
		return err;
	}
	p->options.width = pages->width;
	p->options.height = pages->height;
	p->options.type = pages->type;
	p->frame_bytes = pages->bytes;
	needed = pages->count;
	if (p->options.frames && p->options.frames < needed)
		needed = p->options.frames;
	if (p->options.memory_limit / p->frame_bytes < needed)
		return 0; /* read when taken */
	err = reserve(p, needed * p->frame_bytes);
	for (uint64_t i = 0; i < needed && !err; i++)
		err = read_page(p, i, p->memory + i * p->frame_bytes);
	if (!err)
		p->prepared = needed;
	return err;
}

static void swap_bytes(enum pixel_type type, void *pixels, size_t bytes)
{
	uint16_t *u16 = pixels;
	uint32_t *u32 = pixels;

	if (pixel_bytes(type) == 2)
		for (size_t i = 0; i < bytes / 2; i++)
			u16[i] = __builtin_bswap16(u16[i]);
	if (pixel_bytes(type) == 4)
		for (size_t i = 0; i < bytes / 4; i++)
			u32[i] = __builtin_bswap32(u32[i]);
}

static int prepare(struct pattern *p)
{
	switch (p->options.kind) {
	case PATTERN_PHANTOM:
		return prepare_phantom(p, PHANTOM_SAMPLE, TURN);
	case PATTERN_FLAT:
		return prepare_phantom(p, PHANTOM_FLAT, EXPOSURES);
	case PATTERN_DARK:
		return prepare_phantom(p, PHANTOM_DARK, EXPOSURES);
	case PATTERN_COUNTER:
		return prepare_counter(p);
	case PATTERN_NOISE:
		return prepare_noise(p);
	case PATTERN_TIFF:
	case PATTERN_COUNT:
		break;
	}
	return prepare_tiff(p);
}

static int no_memory(struct pattern *p, const char *what)
{
	snprintf(p->why, sizeof p->why, "no memory for a %s of %zu bytes", what, p->frame_bytes);
	return -ENOMEM;
}

static int read_when_taken(struct pattern *p, uint64_t page, struct pattern_pixels *ret)
{
	void *pixels = malloc(p->frame_bytes);
	int err;

	if (!pixels)
		return no_memory(p, "page");
	err = read_page(p, page, pixels);
	if (err) {
		free(pixels);
		return err;
	}
	*ret = (struct pattern_pixels){ pixels, true };
	return 0;
}

/* The frame that begins at pixel `first` of the plane. */
static void *window(const struct pattern *p, size_t first)
{
	enum pixel_packing packing = p->packed ? p->options.packing : PACKING_NONE;

	return p->memory + first * wire_bits(p->options.type, packing) / 8;
}

/* As it is kept: finish() is due. */
static int take_kept(struct pattern *p, uint64_t place, struct pattern_pixels *ret)
{
	void *pixels;

	if (p->options.kind == PATTERN_COUNTER)
		pixels = window(p, (size_t)place * p->options.width);
	else if (p->options.kind == PATTERN_NOISE)
		pixels = window(p, 64 * (size_t)place);
	else if (!p->prepared)
		return read_when_taken(p, place, ret);
	else
		pixels = p->memory + place * kept_bytes(p);
	*ret = (struct pattern_pixels){ pixels, false };
	return 0;
}

/* Make pixels that are not packed the taker's own, so that they can be written. */
static int own(struct pattern *p, struct pattern_pixels *pixels)
{
	size_t bytes = (size_t)p->options.width * p->options.height * pixel_bytes(p->options.type);
	void *copy;

	if (pixels->owned)
		return 0;
	copy = malloc(bytes);
	if (!copy)
		return no_memory(p, "frame");
	memcpy(copy, pixels->data, bytes);
	*pixels = (struct pattern_pixels){ copy, true };
	return 0;
}

static int pack(struct pattern *p, struct pattern_pixels *pixels)
{
	void *packed = malloc(p->frame_bytes);

	if (!packed)
		return no_memory(p, "frame");
	pack_pixels(packed, pixels->data, (size_t)p->options.width * p->options.height,
	            p->options.packing);
	if (pixels->owned)
		free(pixels->data);
	*pixels = (struct pattern_pixels){ packed, true };
	return 0;
}

/* Pack and swap what is kept otherwise than it is sent. */
static int finish(struct pattern *p, struct pattern_pixels *pixels)
{
	int err = 0;

	if (p->options.packing != PACKING_NONE && !p->packed)
		return pack(p, pixels);
	if (!p->options.big_endian || p->swapped)
		return 0;
	err = own(p, pixels);
	if (!err)
		swap_bytes(p->options.type, pixels->data, p->frame_bytes);
	return err;
}

const char *pattern_name(enum pattern_kind k)
{
	static const char *const names[PATTERN_COUNT] = { "phantom", "flat",  "dark",
		                                          "counter", "noise", "tiff" };

	return names[k];
}

static int open_mishaps(struct pattern *p)
{
	const struct pattern_options *o = &p->options;
	const struct mishap_camera camera = {
		.pixels = (size_t)o->width * o->height,
		.type = o->type,
		.full = (float)((1u << o->bits) - 1u),
		.lit = o->kind != PATTERN_DARK,
		.dark = p->dark,
		.defects = p->defects,
		.defect_count = p->defect_count,
	};
	int err = mishaps_open(&p->mishaps, &o->mishaps, &camera);

	return err ? no_memory(p, "map") : 0;
}

int pattern_open(struct pattern *p, const struct pattern_options *o)
{
	int err;

	*p = (struct pattern){ .options = *o };
	p->frame_bytes = ((size_t)o->width * o->height * wire_bits(o->type, o->packing) + 7) / 8;
	err = prepare(p);
	if (!err && is_native(p))
		err = open_mishaps(p);
	if (err) {
		pattern_close(p);
		return err;
	}
	p->swapped = o->big_endian && p->memory && !is_native(p);
	if (p->swapped)
		swap_bytes(p->options.type, p->memory, p->memory_bytes);
	return 0;
}

void pattern_close(struct pattern *p)
{
	tiff_pages_close(&p->pages);
	if (p->memory)
		munmap(p->memory, p->memory_bytes);
	p->memory = NULL;
	mishaps_close(&p->mishaps);
	free(p->defects);
	free(p->dark);
	p->defects = NULL;
	p->dark = NULL;
}

uint64_t pattern_place(const struct pattern *p, uint64_t number, uint64_t index)
{
	mishaps_thaw(&p->mishaps, &number, &index);
	switch (p->options.kind) {
	case PATTERN_COUNTER:
		return counter_row(number);
	case PATTERN_NOISE:
		return noise_place(p, number);
	default:
		return index % pattern_places(p);
	}
}

uint64_t pattern_places(const struct pattern *p)
{
	return p->prepared ? p->prepared : p->pages.count;
}

bool pattern_is_altered(const struct pattern *p, uint64_t number)
{
	uint64_t index = 0;

	mishaps_thaw(&p->mishaps, &number, &index);
	return mishaps_touch(&p->mishaps, number);
}

static void release(struct pattern_pixels *pixels)
{
	if (pixels->owned)
		free(pixels->data);
}

int pattern_take_place(struct pattern *p, uint64_t place, struct pattern_pixels *ret)
{
	struct pattern_pixels pixels;
	int err = take_kept(p, place, &pixels);

	if (err)
		return err;
	err = finish(p, &pixels);
	if (err)
		release(&pixels);
	else
		*ret = pixels;
	return err;
}

/* The frame, with what befell it. */
static int take_altered(struct pattern *p, uint64_t number, uint64_t index,
                        struct pattern_pixels *ret)
{
	struct pattern_pixels pixels;
	int err = take_kept(p, pattern_place(p, number, index), &pixels);

	if (err)
		return err;
	err = own(p, &pixels);
	if (!err) {
		mishaps_thaw(&p->mishaps, &number, &index);
		mishaps_apply(&p->mishaps, number, pixels.data);
		err = finish(p, &pixels);
	}
	if (err)
		release(&pixels);
	else
		*ret = pixels;
	return err;
}

int pattern_take(struct pattern *p, uint64_t number, uint64_t index, struct pattern_pixels *ret)
{
	if (pattern_is_altered(p, number))
		return take_altered(p, number, index, ret);
	return pattern_take_place(p, pattern_place(p, number, index), ret);
}

uint64_t pattern_period(const struct pattern *p)
{
	if (p->options.kind == PATTERN_TIFF)
		return p->pages.count;
	if (p->options.kind == PATTERN_COUNTER || p->options.kind == PATTERN_NOISE)
		return 0;
	return p->prepared;
}
