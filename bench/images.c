/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/images.h"

#include "bench/phantom.h"
#include "bench/prng.h"
#include "kernels/coefficients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SEED      1
#define HUGE_PAGE ((size_t)2 << 20)

static void *take(size_t bytes)
{
	void *p;

	if (posix_memalign(&p, HUGE_PAGE, bytes ? bytes : 1))
		return NULL;
	madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

static int phantom_for(struct phantom **ret, const struct images *i)
{
	struct phantom_options scene = {
		i->width, i->height, PIXEL_UINT16, 16, IMAGES_COUNT, SEED
	};

	return phantom_open(ret, &scene);
}

static int make_planes(struct images *i)
{
	size_t pixels = (size_t)i->width * i->height;
	float *dark = take(pixels * sizeof *dark), *flat = take(pixels * sizeof *flat);
	struct phantom *phantom = NULL;
	int err = dark && flat ? phantom_for(&phantom, i) : -ENOMEM;

	if (!err) {
		phantom_mean(phantom, PHANTOM_DARK, 4, dark);
		phantom_mean(phantom, PHANTOM_FLAT, 4, flat);
		coefficients(i->offset, i->gain, dark, flat, NULL, NULL, true, pixels);
	}
	phantom_close(phantom);
	free(dark);
	free(flat);
	return err;
}

static void fill_noise(struct images *i)
{
	uint64_t seed = SEED;
	size_t words = (size_t)IMAGES_COUNT * i->width * i->height;

	for (size_t at = 0; at < words; at++)
		i->frames[at] = (uint16_t)(prng_next(&seed) >> 48);
}

const char *images_name(enum image_kind kind)
{
	static const char *const names[] = { "phantom", "dark", "noise", "saturated" };

	return names[kind];
}

int images_fill(struct images *i, enum image_kind kind)
{
	size_t pixels = (size_t)i->width * i->height;
	struct phantom *phantom;
	int err;

	if (kind == IMAGES_NOISE) {
		fill_noise(i);
		return 0;
	}
	if (kind == IMAGES_SATURATED) {
		memset(i->frames, 0xff, IMAGES_COUNT * pixels * sizeof *i->frames);
		return 0;
	}
	err = phantom_for(&phantom, i);
	for (unsigned f = 0; !err && f < IMAGES_COUNT; f++)
		phantom_frame(phantom, kind == IMAGES_DARK ? PHANTOM_DARK : PHANTOM_SAMPLE, f,
		              i->frames + f * pixels);
	if (!err)
		phantom_close(phantom);
	return err;
}

int images_open(struct images *i, enum image_kind kind, uint32_t width, uint32_t height)
{
	size_t pixels = (size_t)width * height;
	int err = -ENOMEM;

	*i = (struct images){ .width = width, .height = height };
	i->frames = take(IMAGES_COUNT * pixels * sizeof *i->frames);
	i->offset = take(pixels * sizeof *i->offset);
	i->gain = take(pixels * sizeof *i->gain);
	if (i->frames && i->offset && i->gain)
		err = make_planes(i);
	if (!err)
		err = images_fill(i, kind);
	if (err)
		images_close(i);
	return err;
}

void images_close(struct images *i)
{
	free(i->frames);
	free(i->offset);
	free(i->gain);
	*i = (struct images){ 0 };
}
