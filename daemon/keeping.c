/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keeping.h"
#include "ingest/shm_map.h"

#include <stdlib.h>
#include <string.h>

/* ---- with the slot ---- */

static uint64_t held_bytes(const struct slot *s)
{
	uint64_t bytes = s->hold.lease ? s->frame.bytes : 0;

	for (unsigned i = 0; i < s->hold.count; i++)
		bytes += zmq_msg_size(&s->hold.parts[i]);
	return bytes;
}

/* Memory that a producer wants back: the pixels move into a message of their own. */
static bool own_lease(struct slot *s)
{
	zmq_msg_t copy;

	if (!s->hold.lease)
		return true;
	if (zmq_msg_init_size(&copy, s->frame.bytes) != 0)
		return false;
	memcpy(zmq_msg_data(&copy), s->raw, s->frame.bytes);
	if (!shm_lease_holds(s->hold.lease)) { /* filled anew meanwhile */
		zmq_msg_close(&copy);
		return false;
	}
	hold_release(&s->hold);
	s->raw = hold_take(&s->hold, 0, &copy);
	return true;
}

void keeping_allow(struct keeping *k, bool on, uint64_t limit)
{
	/* relaxed, all: only we write them, a worker sees them within a hand, and what does not
	 * change stays in its cache. */
	if (atomic_load_explicit(&k->limit, memory_order_relaxed) != limit)
		atomic_store_explicit(&k->limit, limit, memory_order_relaxed);
	if (atomic_load_explicit(&k->on, memory_order_relaxed) != on)
		atomic_store_explicit(&k->on, on, memory_order_relaxed);
}

bool keeping_leave(struct keeping *k, struct slot *s)
{
	/* relaxed: one frame more or less is kept; `asked` was set before its frames were sent. */
	if (s->why || (!atomic_load_explicit(&k->on, memory_order_relaxed) &&
	               !atomic_load_explicit(&k->asked, memory_order_relaxed)))
		return false;
	uint64_t bytes = held_bytes(s);
	uint64_t before = atomic_fetch_add_explicit(&k->bytes, bytes, memory_order_relaxed);

	if (before + bytes > atomic_load_explicit(&k->limit, memory_order_relaxed) ||
	    !own_lease(s)) {
		atomic_fetch_sub_explicit(&k->bytes, bytes, memory_order_relaxed);
		return false;
	}
	s->left = true;
	s->left_bytes = bytes;
	return true;
}

void keeping_free(struct keeping *k, struct slot *s)
{
	if (!s->left)
		return;
	hold_release(&s->hold);
	atomic_fetch_sub_explicit(&k->bytes, s->left_bytes, memory_order_relaxed); /* a figure */
	s->left = false;
	s->left_bytes = 0;
}

/* ---- on its own ---- */

void kept_list_init(struct kept_list *l)
{
	*l = (struct kept_list){ .end = &l->first };
}

void kept_list_push(struct kept_list *l, struct kept *f)
{
	f->next = NULL;
	*l->end = f;
	l->end = &f->next;
	l->frames++;
	l->bytes += f->bytes;
}

struct kept *kept_list_pop(struct kept_list *l)
{
	struct kept *f = l->first;

	if (!f)
		return NULL;
	l->first = f->next;
	if (!l->first)
		l->end = &l->first;
	l->frames--;
	l->bytes -= f->bytes;
	return f;
}

/* Small messages lie inside zmq_msg_t and move with it. */
static void share_hold(struct kept *f, const struct slot *s)
{
	for (unsigned i = 0; i < s->hold.count; i++) {
		zmq_msg_init(&f->hold.parts[i]);
		zmq_msg_copy(&f->hold.parts[i], &s->hold.parts[i]);
	}
	f->hold.count = s->hold.count;
	f->raw = s->raw;
	if (s->hold.count == 1 && !s->frame.ports.columns)
		f->raw = (const char *)zmq_msg_data(&f->hold.parts[0]) +
		         ((const char *)s->raw - (const char *)zmq_msg_data(&s->hold.parts[0]));
	f->frame.pixels = f->raw;
}

/* With room for so many parts. */
static struct kept *kept_make(struct keeping *k, const struct slot *s, unsigned parts,
                              uint64_t payload)
{
	size_t own = sizeof(struct kept) + parts * sizeof(zmq_msg_t);
	struct kept *f = malloc(own);

	if (!f)
		return NULL;
	*f = (struct kept){ .frame = s->frame,
		            .calibration = s->calibration,
		            .bytes = payload + own };
	f->frame.pixels = NULL;
	f->hold.parts = (zmq_msg_t *)(void *)(f + 1);
	f->hold.room = parts;
	atomic_fetch_add_explicit(&k->bytes, f->bytes, memory_order_relaxed); /* a figure */
	return f;
}

struct kept *kept_share(struct keeping *k, const struct slot *s)
{
	struct kept *f = s->left ? kept_make(k, s, s->hold.count, s->left_bytes) : NULL;

	if (f)
		share_hold(f, s);
	return f;
}

struct kept *kept_note(struct keeping *k, const struct slot *s)
{
	return kept_make(k, s, 0, 0);
}

void kept_free(struct keeping *k, struct kept *f)
{
	if (!f)
		return;
	hold_release(&f->hold);
	atomic_fetch_sub_explicit(&k->bytes, f->bytes, memory_order_relaxed); /* a figure */
	free(f);
}

void kept_list_free(struct keeping *k, struct kept_list *l)
{
	struct kept *f;

	while ((f = kept_list_pop(l)))
		kept_free(k, f);
}
