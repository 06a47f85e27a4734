/* SPDX-License-Identifier: Apache-2.0 */
/* Workers make pictures of the same stream, as often as they can, and one thread looks. Each pixel
 * follows from the frame's number, so that half of a picture shows, and as a race ThreadSanitizer
 * sees it. What is seen never gets older. */
#include "daemon/idle.h"
#include "daemon/pictures.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define WORKERS 3
#define TIME_S  1
#define LEAST   50   /* pictures that are seen */
#define PIXELS  4096 /* of each that are written */

static const struct config config = { .series = { .reorder = 64, .step = 1, .idle_end_ns = 1 } };
static struct pictures *pictures;
static _Atomic bool over;
static _Atomic uint64_t next = 1;
static _Atomic unsigned wrong, made;

static void check(bool good, const char *what)
{
	if (!good && atomic_fetch_add(&wrong, 1) < 10)
		fprintf(stderr, "%s\n", what);
}

/* Frame n has n in each pixel and mark. */
static void draw(struct picture *p)
{
	uint32_t *raw = p->room[PICTURE_RAW];

	for (size_t i = 0; i < PIXELS; i++) {
		raw[i] = (uint32_t)p->frame;
		p->marks[i] = (uint8_t)p->frame;
	}
	p->pixels[PICTURE_RAW] = raw;
}

static void *work(void *argument)
{
	while (!atomic_load(&over)) {
		uint64_t number = atomic_fetch_add(&next, 1);
		const struct frame f = { .number = number, .received_ns = number };
		struct picture *picture = pictures_begin(pictures, &f, clock_monotonic_ns());

		if (!picture)
			continue;
		draw(picture);
		pictures_end(pictures, picture, number % 5 != 0);
		atomic_fetch_add(&made, 1);
	}
	return argument;
}

static void look(uint64_t *seen, uint64_t *last)
{
	const struct picture *p = pictures_look(pictures);
	const uint32_t *raw = p ? p->pixels[PICTURE_RAW] : NULL;

	if (!p)
		return;
	for (size_t i = 0; i < PIXELS; i++)
		check(raw[i] == (uint32_t)p->frame && p->marks[i] == (uint8_t)p->frame,
		      "a picture of two frames");
	check(p->frame % 5 != 0, "a picture that is no good");
	check(p->frame >= *last, "an older picture");
	*seen += p->frame != *last;
	*last = p->frame;
}

static uint64_t seconds(void)
{
	return clock_monotonic_ns() / 1000000000u;
}

int main(void)
{
	pthread_t workers[WORKERS];
	uint64_t seen = 0, last = 0, end = seconds() + TIME_S;

	if (pictures_open(&pictures, &config, 0) < 0)
		return 77;
	for (unsigned i = 0; i < WORKERS; i++)
		if (pthread_create(&workers[i], NULL, work, NULL) != 0)
			return 77;
	while (seconds() <= end || seen < LEAST) {
		pictures_want(pictures, clock_monotonic_ns());
		look(&seen, &last);
	}
	atomic_store(&over, true);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	printf("%u pictures of %llu frames, %llu seen, %u wrong\n", atomic_load(&made),
	       (unsigned long long)atomic_load(&next), (unsigned long long)seen,
	       atomic_load(&wrong));
	pictures_close(pictures);
	return atomic_load(&wrong) == 0 ? 0 : 1;
}
