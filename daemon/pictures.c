/* SPDX-License-Identifier: Apache-2.0 */
/* Three pictures: one that is looked at, one that is made, and one in the middle, which either side
 * exchanges for its own. There is one reader. Whoever holds the turn is the only writer: workers
 * take it with one compare-and-swap, and only when a picture is due. */
#include "daemon/pictures.h"
#include "daemon/huge.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define POOL         3
#define FRESH        4u /* beside the number of the one in the middle: nobody has looked at it */
#define TAKEN        UINT64_MAX                   /* never a time */
#define OLD_TIMES_NS ((uint64_t)10 * 1000000000u) /* a clock that was put back is believed */

struct pictures {
	const struct config *config;
	uint64_t interval_ns;

	/* The reader's thread. */
	_Alignas(64) _Atomic uint64_t wanted_ns; /* until then */
	unsigned front;
	bool any;

	/* The collector's. */
	_Atomic uint64_t final; /* number of the series' last frame; UINT64_MAX: not known */

	/* Both sides. */
	_Alignas(64) _Atomic unsigned middle;

	/* When the last was taken, 0: none was; TAKEN while a worker has the turn, and with it all
	 * that follows. */
	_Alignas(64) _Atomic uint64_t last_ns;
	unsigned back;
	uint64_t taken_ns, serial;
	uint64_t shown_ns, shown, shown_time_ns, shown_series;
	bool known; /* known_* are of known_generation */
	uint32_t known_generation;
	uint64_t known_bad;
	uint8_t *known_marks; /* [PICTURE_PIXELS_MAX] */

	struct picture pool[POOL];
	void *memory;
};

/* ---- life ---- */

/* Of one picture: four products of at most four bytes a pixel, and marks. */
#define PICTURE_BYTES (PICTURE_PIXELS_MAX * (PICTURE_PRODUCTS * sizeof(float) + 1))
#define MEMORY_BYTES  (POOL * PICTURE_BYTES + PICTURE_PIXELS_MAX)

uint64_t pictures_bytes(void)
{
	return MEMORY_BYTES;
}

static void place(struct pictures *p)
{
	char *at = p->memory;

	for (unsigned i = 0; i < POOL; i++) {
		struct picture *picture = &p->pool[i];

		for (unsigned k = 0; k < PICTURE_PRODUCTS; k++) {
			picture->room[k] = at;
			picture->types[k] = PRODUCT_FLOAT32;
			at += PICTURE_PIXELS_MAX * sizeof(float);
		}
		picture->marks = (uint8_t *)at;
		at += PICTURE_PIXELS_MAX;
	}
	p->known_marks = (uint8_t *)at;
}

int pictures_open(struct pictures **ret, const struct config *c, uint64_t interval_ns)
{
	struct pictures *p = aligned_alloc(64, (sizeof *p + 63) / 64 * 64);

	if (!p)
		return -ENOMEM;
	memset(p, 0, sizeof *p);
	p->memory = huge_alloc(MEMORY_BYTES);
	if (!p->memory) {
		free(p);
		return -ENOMEM;
	}
	/* Workers shall find the pages there. */
	memset(p->memory, 0, MEMORY_BYTES);
	p->config = c;
	p->interval_ns = interval_ns;
	p->front = 0;
	p->back = 1;
	atomic_init(&p->middle, 2u);
	atomic_init(&p->final, UINT64_MAX);
	place(p);
	*ret = p;
	return 0;
}

void pictures_close(struct pictures *p)
{
	if (!p)
		return;
	free(p->memory);
	free(p);
}

/* ---- the HTTP server's thread ---- */

void pictures_want(struct pictures *p, uint64_t now_ns)
{
	/* relaxed: no other data goes with it. */
	atomic_store_explicit(&p->wanted_ns, now_ns + PICTURES_WANTED_NS, memory_order_relaxed);
}

const struct picture *pictures_look(struct pictures *p)
{
	/* relaxed: the exchange orders what matters. */
	if (atomic_load_explicit(&p->middle, memory_order_relaxed) & FRESH) {
		/* acquire pairs with the release in pictures_end(): the picture is whole; release
		 * pairs with the acquire there: we are done with the one that we give back. */
		p->front = atomic_exchange_explicit(&p->middle, p->front, memory_order_acq_rel) &
		           ~FRESH;
		p->any = true;
	}
	return p->any ? &p->pool[p->front] : NULL;
}

bool pictures_newest(struct pictures *p, uint64_t *ret_frame, uint64_t *ret_time_ns)
{
	const struct picture *picture = pictures_look(p);

	if (!picture)
		return false;
	*ret_frame = picture->frame;
	*ret_time_ns = picture->time_ns;
	return true;
}

void pictures_final(struct pictures *p, uint64_t number)
{
	/* relaxed: a short series may be over before workers see it. */
	atomic_store_explicit(&p->final, number, memory_order_relaxed);
}

/* ---- workers ---- */

/* One that came later, and does not follow a newer one of its series: there, a number may come late
 * by series.reorder. After idle_end another series may have begun. */
static bool is_newer(const struct pictures *p, const struct frame *f)
{
	const struct config *c = p->config;
	uint64_t since_ns = p->taken_ns - p->shown_ns;
	bool back =
		f->number < p->shown && p->shown - f->number <= c->series.reorder * c->series.step;

	if (p->serial == 0)
		return true;
	if (f->received_ns < p->shown_time_ns && since_ns < OLD_TIMES_NS)
		return false;
	return !back || f->series != p->shown_series || since_ns > c->series.idle_end_ns;
}

static void give_turn(struct pictures *p, uint64_t last_ns)
{
	/* release pairs with the acquire in take_turn(): what the turn gives is as we left it. */
	atomic_store_explicit(&p->last_ns, last_ns, memory_order_release);
}

/* The last frame of a series is due whenever it comes: it is what stays to be seen. */
static bool take_turn(struct pictures *p, uint64_t number, uint64_t now_ns)
{
	/* relaxed, all: figures, and the exchange decides. */
	uint64_t wanted_ns = atomic_load_explicit(&p->wanted_ns, memory_order_relaxed);
	uint64_t last_ns = atomic_load_explicit(&p->last_ns, memory_order_relaxed);
	uint64_t interval_ns = now_ns < wanted_ns ? p->interval_ns : PICTURES_UNWATCHED_NS;
	bool final = number == atomic_load_explicit(&p->final, memory_order_relaxed);

	if (last_ns == TAKEN || (!final && last_ns != 0 && now_ns < last_ns + interval_ns))
		return false;
	/* acquire pairs with the release in give_turn(). */
	return atomic_compare_exchange_strong_explicit(&p->last_ns, &last_ns, TAKEN,
	                                               memory_order_acquire, memory_order_relaxed);
}

struct picture *pictures_begin(struct pictures *p, const struct frame *f, uint64_t now_ns)
{
	if (!take_turn(p, f->number, now_ns))
		return NULL;
	p->taken_ns = now_ns;
	if (!is_newer(p, f)) {
		give_turn(p, p->shown_ns);
		return NULL;
	}
	p->pool[p->back].frame = f->number;
	p->pool[p->back].time_ns = f->received_ns;
	p->pool[p->back].series = f->series;
	return &p->pool[p->back];
}

/* Dark and flat of the calibration, where this picture has those of another. */
static void draw_images(struct picture *picture, const struct calibrated *c, uint32_t generation)
{
	static const enum planes_role roles[PICTURE_PRODUCTS] = {
		[PICTURE_DARK] = PLANES_DARK, [PICTURE_FLAT] = PLANES_FLAT
	};

	for (unsigned k = PICTURE_DARK; k <= PICTURE_FLAT; k++) {
		const float *image = c->planes->images.of[roles[k]].pixels;

		picture->pixels[k] = image ? picture->room[k] : NULL;
		if (image)
			picture_of_image(&c->plan, &picture->grid, image, picture->room[k]);
	}
	picture->generation = generation;
}

static void learn_bad(struct pictures *p, const struct calibrated *c, const struct picture_grid *g,
                      uint32_t generation)
{
	if (p->known && p->known_generation == generation)
		return;
	p->known_bad = picture_known_bad(&c->plan, g, p->known_marks);
	p->known_generation = generation;
	p->known = true;
}

void pictures_draw(struct pictures *p, struct picture *picture, const struct calibrated *c,
                   void *scratch, const struct slot *s, const struct reduce_job *job)
{
	const struct reduce_plan *plan = &c->plan;
	bool other = picture->serial == 0 || picture->generation != s->generation;

	picture->grid = picture_grid_for(plan->width, plan->height);
	picture->full_width = plan->width;
	picture->full_height = plan->height;
	picture->types[PICTURE_RAW] = picture_raw_type(plan->layout);
	picture->pixels[PICTURE_RAW] = picture->room[PICTURE_RAW];
	picture->pixels[PICTURE_NORMALISED] = picture->room[PICTURE_NORMALISED];
	learn_bad(p, c, &picture->grid, s->generation);
	if (other)
		draw_images(picture, c, s->generation);
	reduce_picture(plan, scratch,
	               &(struct picture_job){ .grid = picture->grid,
	                                      .frame = job,
	                                      .known_marks = p->known_marks,
	                                      .known_bad = p->known_bad,
	                                      .raw = picture->room[PICTURE_RAW],
	                                      .normalised = picture->room[PICTURE_NORMALISED],
	                                      .marks = picture->marks });
}

void pictures_end(struct pictures *p, struct picture *picture, bool good)
{
	if (good) {
		picture->serial = ++p->serial;
		p->shown = picture->frame;
		p->shown_time_ns = picture->time_ns;
		p->shown_series = picture->series;
		p->shown_ns = p->taken_ns;
		/* release pairs with the acquire in pictures_look(); acquire with the release
		 * there: the one that we get is not looked at any more. */
		p->back = atomic_exchange_explicit(&p->middle, p->back | FRESH,
		                                   memory_order_acq_rel) &
		          ~FRESH;
	}
	give_turn(p, p->taken_ns);
}
