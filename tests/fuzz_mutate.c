/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer knows nothing of lengths: a byte more in one part would shift all that follow. So it
 * gets one part at a time to change, and whole parts and messages are taken away, doubled and
 * exchanged here. One time in eight it has the input as it is. */
#include "tests/fuzz_parts.h"

#include <stdlib.h>
#include <string.h>

#define PIECES_MAX 1200 /* more than a message keeps */
#define ROOM       ((size_t)1 << 20)

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);

/* One part of a message. */
struct piece {
	bool first; /* of its message */
	struct part part;
};

/* An input taken apart. Messages without parts are not kept. */
struct pieces {
	uint8_t choices;
	unsigned count;
	struct piece at[PIECES_MAX];
};

static void take_apart(const uint8_t *data, size_t size, struct pieces *ret)
{
	struct fuzz_reader r;
	unsigned parts;

	ret->choices = fuzz_begin(&r, data, size);
	ret->count = 0;
	while (fuzz_next_count(&r, &parts))
		for (unsigned i = 0; i < parts && ret->count < PIECES_MAX; i++) {
			if (i > 0 && r.at == r.end)
				break;
			ret->at[ret->count++] = (struct piece){ i == 0, fuzz_next_part(&r) };
		}
}

static void put(uint8_t **at, uint32_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		*(*at)++ = (uint8_t)(value >> 8 * i);
}

static unsigned parts_from(const struct pieces *p, unsigned first)
{
	unsigned end = first + 1;

	while (end < p->count && !p->at[end].first)
		end++;
	return end - first;
}

/* Returns the bytes; 0: there is no room. */
static size_t put_together(const struct pieces *p, uint8_t *out, size_t room)
{
	size_t needed = 1;
	uint8_t *at = out;

	for (unsigned i = 0; i < p->count; i++)
		needed += (i == 0 || p->at[i].first ? 2 : 0) + 4 + p->at[i].part.size;
	if (needed > room)
		return 0;
	put(&at, p->choices, 1);
	for (unsigned i = 0; i < p->count; i++) {
		if (i == 0 || p->at[i].first)
			put(&at, parts_from(p, i), 2);
		put(&at, (uint32_t)p->at[i].part.size, 4);
		if (p->at[i].part.size > 0)
			memcpy(at, p->at[i].part.data, p->at[i].part.size);
		at += p->at[i].part.size;
	}
	return needed;
}

static void drop(struct pieces *p, unsigned from, unsigned count)
{
	memmove(&p->at[from], &p->at[from + count], (p->count - from - count) * sizeof *p->at);
	p->count -= count;
	if (p->count > 0)
		p->at[0].first = true;
}

/* Insert before `to` what begins at `from`. */
static void repeat(struct pieces *p, unsigned from, unsigned count, unsigned to)
{
	struct piece copy[PIECES_MAX];

	if (p->count + count > PIECES_MAX)
		return;
	memcpy(copy, &p->at[from], count * sizeof *copy);
	memmove(&p->at[to + count], &p->at[to], (p->count - to) * sizeof *p->at);
	memcpy(&p->at[to], copy, count * sizeof *copy);
	p->count += count;
}

/* The first part of the message that part i is of. */
static unsigned message_of(const struct pieces *p, unsigned i)
{
	while (i > 0 && !p->at[i].first)
		i--;
	return i;
}

static void change_order(struct pieces *p, unsigned kind, unsigned one, unsigned other)
{
	unsigned message = message_of(p, one);
	struct part part = p->at[one].part;

	switch (kind) {
	case 0:
		drop(p, one, 1);
		break;
	case 1:
		drop(p, message, parts_from(p, message));
		break;
	case 2:
		repeat(p, one, 1, one);
		break;
	case 3:
		repeat(p, message, parts_from(p, message), message_of(p, other));
		break;
	case 4:
		p->at[one].part = p->at[other].part;
		p->at[other].part = part;
		break;
	default:
		p->at[one].first = !p->at[one].first;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	static struct pieces p;
	static uint8_t part[ROOM], out[ROOM];
	unsigned one, other, kind = seed % 32;
	size_t made;

	take_apart(data, size, &p);
	if (p.count == 0 || kind < 4 || size_max > ROOM)
		return LLVMFuzzerMutate(data, size, size_max);
	one = seed / 32 % p.count;
	other = seed / 32 / p.count % p.count;
	if (kind == 4) {
		LLVMFuzzerMutate(&p.choices, 1, 1);
	} else if (kind < 11) {
		change_order(&p, kind - 5, one, other);
	} else {
		size_t bytes = p.at[one].part.size;
		size_t room = size_max > size ? bytes + size_max - size : bytes;

		if (bytes > 0)
			memcpy(part, p.at[one].part.data, bytes);
		if (room > 0)
			bytes = LLVMFuzzerMutate(part, bytes, room < ROOM ? room : ROOM);
		p.at[one].part = (struct part){ part, bytes };
	}
	made = put_together(&p, out, size_max);
	if (made == 0)
		return LLVMFuzzerMutate(data, size, size_max);
	memcpy(data, out, made);
	return made;
}
