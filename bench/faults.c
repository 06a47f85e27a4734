/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/faults.h"

#include "bench/prng.h"

#include <string.h>

static enum corruption corrupt(struct faults *f)
{
	enum corruption c = (enum corruption)prng_below(&f->state, CORRUPTION_COUNT);

	return c == CORRUPT_UNKNOWN_TYPE && f->options.type_ignored ? CORRUPT_NO_SHAPE : c;
}

static enum shot_fate draw_fate(const struct fault_options *o, uint64_t *state)
{
	double u = prng_unit(state);

	if (u < o->lose)
		return SHOT_LOST;
	if (u < o->lose + o->corrupt)
		return SHOT_CORRUPTED;
	if (u < o->lose + o->corrupt + o->truncate)
		return SHOT_TRUNCATED;
	return SHOT_USABLE;
}

static unsigned draw_block(struct faults *f, struct shot *ret)
{
	const struct fault_options *o = &f->options;
	unsigned n = 0;

	for (; n < FAULT_BLOCK && f->planned < o->frames; n++, f->planned++)
		ret[n] = (struct shot){
			.number = o->first + f->planned * o->step,
			.index = f->planned,
			.fate = draw_fate(o, &f->state),
			.corruption = corrupt(f),
			.random = prng_next(&f->state),
		};
	return n;
}

/* The places after i of usable frames that still stand where they belong. */
static unsigned free_places(const struct shot *shots, const bool *moved, unsigned i, unsigned n,
                            unsigned *ret_places)
{
	unsigned count = 0;

	for (unsigned j = i + 1; j < n; j++)
		if (shots[j].fate == SHOT_USABLE && !moved[j])
			ret_places[count++] = j;
	return count;
}

static void swap_places(struct faults *f, struct shot *shots, unsigned n)
{
	bool moved[FAULT_BLOCK] = { false };

	for (unsigned i = 0; i < n; i++) {
		unsigned places[FAULT_BLOCK], count, j;
		struct shot later;

		if (prng_unit(&f->state) >= f->options.reorder || moved[i] ||
		    shots[i].fate != SHOT_USABLE)
			continue;
		count = free_places(shots, moved, i, n, places);
		if (count == 0)
			continue;
		j = places[prng_below(&f->state, count)];
		later = shots[j];
		shots[j] = shots[i];
		shots[i] = later;
		shots[i].swapped = true;
		shots[i].partner = shots[j].number;
		moved[i] = moved[j] = true;
	}
}

/* Second copies follow at once or, every other time, at the end of the block. */
static void duplicate(struct faults *f, const struct shot *shots, unsigned n)
{
	struct shot late[FAULT_BLOCK];
	unsigned late_count = 0;

	f->count = 0;
	for (unsigned i = 0; i < n; i++) {
		struct shot copy = shots[i];

		f->block[f->count++] = shots[i];
		copy.repeated = true;
		copy.swapped = false;
		if (prng_unit(&f->state) >= f->options.duplicate || copy.fate != SHOT_USABLE)
			continue;
		if (copy.random & 1)
			f->block[f->count++] = copy;
		else
			late[late_count++] = copy;
	}
	memcpy(f->block + f->count, late, late_count * sizeof *late);
	f->count += late_count;
}

static void plan_block(struct faults *f)
{
	struct shot shots[FAULT_BLOCK];
	uint64_t first_slot = f->planned;
	unsigned n = draw_block(f, shots);

	swap_places(f, shots, n);
	for (unsigned i = 0; i < n; i++)
		shots[i].slot = first_slot + i;
	duplicate(f, shots, n);
	f->at = 0;
}

const char *corruption_name(enum corruption c)
{
	static const char *const names[CORRUPTION_COUNT] = {
		"cut_header", "bracket",      "noise",       "no_number",
		"no_shape",   "unknown_type", "long_pixels",
	};

	return names[c];
}

void faults_init(struct faults *f, const struct fault_options *o)
{
	*f = (struct faults){ .options = *o, .state = prng_stream(o->seed, 0xfa017) };
}

bool faults_next(struct faults *f, struct shot *ret)
{
	if (f->at == f->count)
		plan_block(f);
	if (f->count == 0)
		return false;
	*ret = f->block[f->at++];
	return true;
}

bool faults_at_block(const struct faults *f)
{
	return f->at == f->count;
}
