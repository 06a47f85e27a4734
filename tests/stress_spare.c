/* SPDX-License-Identifier: Apache-2.0 */
/* Slots go round between two threads through two spare rings, one each way. Each owner checks what
 * the other left in the slot and writes its own over it with plain stores, so that a hand-over
 * too early is a torn pattern, and a race for ThreadSanitizer. Slots come in the order in which
 * they went, none twice, and the counters pass the end of 32 bits on the way. */
#include "daemon/idle.h"
#include "daemon/slot.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOTS    5u
#define CAPACITY 8u
#define WORDS    16u
#define LAPS     1000000u
#define TIME_NS  ((uint64_t)6 * 1000000000u)
#define LIMIT_MS 5000
#define LEAST    10000u

static struct slot *ring_there[CAPACITY], *ring_back[CAPACITY];
static struct spare there, back;
static struct bell bell_there, bell_back;
static struct slot slots[SLOTS];
static uint64_t words[SLOTS][WORDS];
static _Atomic bool over;
static _Atomic unsigned wrong, lost;

static uint64_t word_of(uint64_t number, unsigned side, unsigned i)
{
	return (number * 2 + side) * 0x9e3779b97f4a7c15u + i;
}

static void write_words(const struct slot *s, uint64_t number, unsigned side)
{
	uint64_t *w = s->reduced;

	for (unsigned i = 0; i < WORDS; i++)
		w[i] = word_of(number, side, i);
}

static void check(bool good, const char *what, uint64_t number)
{
	if (good)
		return;
	if (atomic_fetch_add(&wrong, 1) < 10)
		fprintf(stderr, "hand-over %llu: %s\n", (unsigned long long)number, what);
}

static void check_words(const struct slot *s, uint64_t number, unsigned side)
{
	const uint64_t *w = s->reduced;
	bool good = s->frame.number == number;

	for (unsigned i = 0; i < WORDS; i++)
		good = good && w[i] == word_of(number, side, i);
	check(good, side == 0 ? "there: not what was sent" : "back: not what was sent", number);
}

/* The next slot, or NULL when it is over. */
static struct slot *take(struct spare *r, struct bell *b)
{
	struct slot *s;

	for (unsigned round = 0; !(s = spare_pop(r));) {
		if (atomic_load(&over))
			return NULL;
		if (idle_spin(round++ * 8))
			continue;
		uint64_t began_ns = clock_monotonic_ns();
		bell_prepare(b);
		if (atomic_load(&r->tail) == r->head && !atomic_load(&over))
			bell_sleep(b, LIMIT_MS);
		bell_leave(b);
		if (clock_monotonic_ns() - began_ns >= (uint64_t)LIMIT_MS * 1000000u)
			atomic_fetch_add(&lost, 1);
		round = 0;
	}
	return s;
}

static void give(struct spare *r, struct bell *b, struct slot *s)
{
	spare_push(r, s);
	bell_ring(b);
}

static void *answer(void *argument)
{
	struct slot *s;

	(void)argument;
	for (uint64_t number = 0; (s = take(&there, &bell_there)); number++) {
		check_words(s, number, 0);
		write_words(s, number, 1);
		give(&back, &bell_back, s);
	}
	return NULL;
}

static uint64_t send_round(void)
{
	uint64_t until_ns = clock_monotonic_ns() + TIME_NS, sent = 0;

	for (; sent < SLOTS; sent++) {
		slots[sent].frame.number = sent;
		write_words(&slots[sent], sent, 0);
		give(&there, &bell_there, &slots[sent]);
	}
	for (; sent < LAPS && (sent % 256 != 0 || clock_monotonic_ns() < until_ns); sent++) {
		struct slot *s = take(&back, &bell_back);

		check(s == &slots[sent % SLOTS], "back: slots changed their order", sent);
		check_words(s, sent - SLOTS, 1);
		check(spare_count(&there) <= SLOTS && spare_count(&back) <= SLOTS,
		      "more slots than there are", sent);
		s->frame.number = sent;
		write_words(s, sent, 0);
		give(&there, &bell_there, s);
	}
	for (uint64_t number = sent - SLOTS; number < sent; number++)
		check_words(take(&back, &bell_back), number, 1);
	return sent;
}

static void open_ring(struct spare *r, struct slot **at)
{
	uint32_t start = UINT32_MAX - 1000; /* the end of 32 bits is on the way */

	*r = (struct spare){ .tail = start, .head = start, .at = at, .capacity = CAPACITY };
}

int main(void)
{
	pthread_t thread;

	open_ring(&there, ring_there);
	open_ring(&back, ring_back);
	for (unsigned i = 0; i < SLOTS; i++)
		slots[i].reduced = words[i];
	if (bell_open(&bell_there) < 0 || bell_open(&bell_back) < 0)
		return 1;
	if (pthread_create(&thread, NULL, answer, NULL) != 0)
		return 1;
	uint64_t sent = send_round();
	check(!spare_pop(&back), "back: a slot too many", sent);
	atomic_store(&over, true);
	bell_ring(&bell_there);
	pthread_join(thread, NULL);
	check(!spare_pop(&there), "there: a slot too many", sent);
	bell_close(&bell_there);
	bell_close(&bell_back);
	printf("%llu hand-overs each way, %u wrong, %u wake-ups lost\n", (unsigned long long)sent,
	       wrong, lost);
	return wrong == 0 && lost == 0 && sent >= LEAST ? 0 : 1;
}
