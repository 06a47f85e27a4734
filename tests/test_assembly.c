/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/assembly.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MS      ((uint64_t)1000000u)
#define TIMEOUT (100 * MS)
#define BUFFER  ((uint64_t)1 << 20)

static unsigned freed; /* parts whose memory was let go */

static void count_free(void *data, void *hint)
{
	(void)hint;
	free(data);
	freed++;
}

struct bench {
	struct assembly a;
	uint64_t now_ns;
	uint32_t width, height; /* of frames */
	uint8_t columns, rows;
	unsigned given;       /* parts */
	enum frame_role role; /* of the pieces that are added */
};

static void bench_open_with(struct bench *b, uint8_t columns, uint8_t rows, uint64_t buffer)
{
	*b = (struct bench){ .now_ns = 5000 * MS,
		             .width = columns * 2u,
		             .height = rows * 2u,
		             .columns = columns,
		             .rows = rows };
	freed = 0;
	cr_assert_eq(assembly_open(&b->a, TIMEOUT, buffer), 0);
}

static void bench_open(struct bench *b, uint8_t columns, uint8_t rows)
{
	bench_open_with(b, columns, rows, BUFFER);
}

/* Everything that was given is let go of. */
static void bench_close(struct bench *b)
{
	assembly_close(&b->a);
	cr_expect_eq(freed, b->given);
	assembly_close(&b->a);
}

static enum assembly_answer add_with(struct bench *b, uint64_t number, unsigned port,
                                     uint32_t flags, bool flipped)
{
	struct decoded piece = {
		.verdict = VERDICT_PIECE,
		.port = port,
		.frame = { .number = number,
		           .width = b->width,
		           .height = b->height,
		           .type = PIXEL_UINT16,
		           .flags = flags,
		           .role = b->role,
		           .ports = { .columns = b->columns,
		                      .rows = b->rows,
		                      .flipped = (uint64_t)flipped << port } },
	};
	size_t bytes = 64; /* beyond what libzmq keeps inside */
	char *data = malloc(bytes);
	enum assembly_answer answer;
	zmq_msg_t part;

	memset(data, (int)(number * 16 + port), bytes);
	zmq_msg_init_data(&part, data, bytes, count_free, NULL);
	b->given++;
	answer = assembly_add(&b->a, &piece, &part, b->now_ns);
	zmq_msg_close(&part);
	return answer;
}

static enum assembly_answer add(struct bench *b, uint64_t number, unsigned port)
{
	return add_with(b, number, port, 0, false);
}

static struct gathered *next(struct bench *b)
{
	return assembly_next(&b->a, b->now_ns, false);
}

/* The next frame must be this one, with the pieces `there`. */
static void expect_next(struct bench *b, struct gathered *g, uint64_t number, uint64_t there)
{
	cr_assert_not_null(g, "frame %llu", (unsigned long long)number);
	cr_assert_eq(g->frame.number, number, "%llu", (unsigned long long)g->frame.number);
	cr_expect_eq(g->there, there);
	cr_expect_eq(g->ports, (unsigned)(b->columns * b->rows));
	for (unsigned p = 0; p < g->ports; p++) {
		bool has = there >> p & 1;

		cr_expect_eq(zmq_msg_size(&g->parts[p]), has ? 64u : 0u);
		if (has)
			cr_expect_eq(*(unsigned char *)zmq_msg_data(&g->parts[p]),
			             (unsigned char)(number * 16 + p));
	}
	assembly_done(&b->a, g);
}

Test(assembly, puts_pieces_together_in_any_order)
{
	static const unsigned orders[][4] = { { 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 2, 0, 3, 1 } };
	struct bench b;

	bench_open(&b, 2, 2);
	for (uint64_t n = 0; n < 300; n++) {
		for (unsigned i = 0; i < 4; i++) {
			cr_assert_null(next(&b));
			cr_assert_eq(add(&b, n, orders[n % 3][i]), ASSEMBLY_TAKEN);
		}
		expect_next(&b, next(&b), n, 15);
		cr_assert_null(next(&b));
		cr_assert_eq(b.a.count, 0);
	}
	bench_close(&b);
}

Test(assembly, of_a_single_port_gives_every_piece_at_once)
{
	struct bench b;

	bench_open(&b, 1, 1);
	for (uint64_t n = 7; n < 20; n++) {
		cr_assert_eq(add(&b, n, 0), ASSEMBLY_TAKEN);
		expect_next(&b, next(&b), n, 1);
	}
	bench_close(&b);
}

Test(assembly, takes_64_ports)
{
	struct bench b;

	bench_open(&b, 8, 8);
	for (unsigned p = 0; p < 64; p++) {
		cr_assert_null(next(&b));
		cr_assert_eq(add(&b, 1, p), ASSEMBLY_TAKEN);
	}
	expect_next(&b, next(&b), 1, UINT64_MAX);
	bench_close(&b);
}

Test(assembly, gives_whole_frames_in_order)
{
	struct bench b;

	bench_open(&b, 2, 1);
	for (uint64_t n = 0; n < 5; n++)
		add(&b, n, 0);
	for (uint64_t n = 5; n-- > 0;)
		add(&b, n, 1);
	for (uint64_t n = 0; n < 5; n++)
		expect_next(&b, next(&b), n, 3);
	bench_close(&b);
}

Test(assembly, gives_up_a_frame_that_waits_for_too_long)
{
	struct bench b;
	struct gathered *g;

	bench_open(&b, 2, 2);
	add(&b, 10, 0);
	add(&b, 10, 2);
	b.now_ns += TIMEOUT - MS;
	cr_assert_null(next(&b));
	b.now_ns += 3 * MS;
	g = next(&b);
	cr_assert_not_null(g);
	cr_expect_eq(g->frame.flags, FRAME_INCOMPLETE);
	expect_next(&b, g, 10, 5);
	cr_expect_eq(add(&b, 10, 1), ASSEMBLY_LATE);
	cr_expect_null(next(&b));
	bench_close(&b);
}

Test(assembly, gives_all_of_them_at_the_end)
{
	struct bench b;

	bench_open(&b, 1, 2);
	add(&b, 3, 0);
	add(&b, 2, 1);
	add(&b, 4, 0);
	add(&b, 4, 1);
	expect_next(&b, assembly_next(&b.a, b.now_ns, true), 4, 3);
	expect_next(&b, assembly_next(&b.a, b.now_ns, true), 2, 2);
	expect_next(&b, assembly_next(&b.a, b.now_ns, true), 3, 1);
	cr_assert_null(assembly_next(&b.a, b.now_ns, true));
	bench_close(&b);
}

Test(assembly, knows_a_piece_that_comes_twice)
{
	struct bench b;

	bench_open(&b, 2, 1);
	cr_expect_eq(add(&b, 1, 0), ASSEMBLY_TAKEN);
	cr_expect_eq(add(&b, 1, 0), ASSEMBLY_DUPLICATE);
	cr_expect_eq(add(&b, 1, 1), ASSEMBLY_TAKEN);
	expect_next(&b, next(&b), 1, 3);
	cr_expect_eq(add(&b, 1, 1), ASSEMBLY_LATE);
	bench_close(&b);
}

Test(assembly, refuses_pieces_of_another_geometry)
{
	struct bench b;

	bench_open(&b, 2, 1);
	add(&b, 1, 0);
	b.width += 2;
	cr_expect_eq(add(&b, 1, 1), ASSEMBLY_OTHER);
	b.width -= 2;
	b.columns = 1;
	b.rows = 2;
	cr_expect_eq(add(&b, 1, 1), ASSEMBLY_OTHER);
	b.columns = 2;
	b.rows = 1;
	cr_expect_eq(add(&b, 1, 1), ASSEMBLY_TAKEN);
	expect_next(&b, next(&b), 1, 3);
	bench_close(&b);
}

Test(assembly, gathers_flags_and_flipped_ports)
{
	struct bench b;
	struct gathered *g;

	bench_open(&b, 1, 2);
	add_with(&b, 1, 0, 0, false);
	add_with(&b, 1, 1, FRAME_INCOMPLETE, true);
	g = next(&b);
	cr_assert_not_null(g);
	cr_expect_eq(g->frame.flags, FRAME_INCOMPLETE);
	cr_expect_eq(g->frame.ports.flipped, 2);
	bench_close(&b);
}

Test(assembly, takes_the_role_from_the_first_piece_that_says_one)
{
	struct bench b;
	struct gathered *g;

	bench_open(&b, 1, 3);
	add(&b, 1, 0);
	b.role = ROLE_FLAT;
	add(&b, 1, 1);
	b.role = ROLE_DARK;
	add(&b, 1, 2);
	g = next(&b);
	cr_assert_not_null(g);
	cr_expect_eq(g->frame.role, ROLE_FLAT);
	bench_close(&b);
}

Test(assembly, lets_whole_frames_be_ahead_so_far_and_no_further)
{
	struct bench b;

	bench_open(&b, 2, 1);
	add(&b, 100, 0);
	for (uint64_t n = 101; n <= 100 + ASSEMBLY_BEHIND; n++) {
		add(&b, n, 0);
		add(&b, n, 1);
		expect_next(&b, next(&b), n, 3);
		b.now_ns += 2 * MS;
		cr_assert_null(next(&b), "%llu", (unsigned long long)n);
	}
	add(&b, 101 + ASSEMBLY_BEHIND, 0);
	add(&b, 101 + ASSEMBLY_BEHIND, 1);
	expect_next(&b, next(&b), 101 + ASSEMBLY_BEHIND, 3);
	b.now_ns += 2 * MS;
	expect_next(&b, next(&b), 100, 1);
	bench_close(&b);
}

/* What waited in queues comes faster than the clock moves. */
Test(assembly, lets_whole_frames_be_ahead_no_further_in_a_burst)
{
	struct bench b;
	struct gathered *g = NULL;
	uint64_t n;

	bench_open(&b, 2, 1);
	b.now_ns += 10 * MS;
	cr_assert_null(next(&b), "the clock is looked at");
	add(&b, 100, 0);
	for (n = 101; n <= 100 + 2 * ASSEMBLY_BEHIND + 2; n++) {
		add(&b, n, 0);
		add(&b, n, 1);
		expect_next(&b, next(&b), n, 3);
		g = next(&b);
		if (g)
			break;
	}
	cr_assert_not_null(g, "it is given up with the clock standing still");
	expect_next(&b, g, 100, 1);
	bench_close(&b);
}

Test(assembly, bounds_the_frames_that_are_open)
{
	struct bench b;

	cr_expect_eq(assembly_open_most(0, 100), 2);
	cr_expect_eq(assembly_open_most(8000, 100), 10);
	cr_expect_eq(assembly_open_most(UINT64_MAX, 1), ASSEMBLY_OPEN_MAX);
	cr_expect_eq(assembly_open_most(UINT64_MAX, 0), ASSEMBLY_OPEN_MAX);
	bench_open_with(&b, 2, 1, 8 * 10 * 16); /* ten frames of 4 x 2 uint16 */
	for (uint64_t n = 0; n < 1000; n++) {
		add(&b, n, 0);
		cr_assert_leq(b.a.count, 10);
		if (b.a.count == 10)
			expect_next(&b, next(&b), n - 9, 1);
	}
	bench_close(&b);
}

Test(assembly, makes_way_for_a_number_that_shares_its_place)
{
	struct bench b;

	bench_open(&b, 2, 1);
	add(&b, 5, 0);
	cr_expect_null(assembly_in_the_way(&b.a, 5));
	cr_expect_null(assembly_in_the_way(&b.a, 6));
	cr_expect_eq(add(&b, 5 + ASSEMBLY_OPEN_MAX, 0), ASSEMBLY_LATE, "it was not made way for");
	expect_next(&b, assembly_in_the_way(&b.a, 5 + ASSEMBLY_OPEN_MAX), 5, 1);
	cr_expect_eq(add(&b, 5 + ASSEMBLY_OPEN_MAX, 0), ASSEMBLY_TAKEN);
	bench_close(&b);
}

Test(assembly, lets_numbers_begin_again_after_the_end)
{
	struct bench b;

	bench_open(&b, 2, 1);
	for (uint64_t n = 0; n < 40; n++) {
		add(&b, n, 0);
		add(&b, n, 1);
		expect_next(&b, next(&b), n, 3);
	}
	assembly_restart(&b.a);
	cr_expect_eq(add(&b, 0, 0), ASSEMBLY_TAKEN);
	b.now_ns += 2 * MS;
	cr_expect_null(next(&b));
	cr_expect_eq(add(&b, 0, 1), ASSEMBLY_TAKEN);
	expect_next(&b, next(&b), 0, 3);
	bench_close(&b);
}

/* A detector that is stopped may say nothing, or its word is lost. */
Test(assembly, lets_numbers_begin_again_after_silence)
{
	struct bench b;

	bench_open(&b, 2, 1);
	for (uint64_t n = 1000; n < 1040; n++) {
		add(&b, n, 0);
		add(&b, n, 1);
		expect_next(&b, next(&b), n, 3);
	}
	b.now_ns += 2000 * MS;
	for (uint64_t n = 1000; n < 1005; n++) {
		cr_assert_eq(add(&b, n, 0), ASSEMBLY_TAKEN);
		b.now_ns += 2 * MS;
		cr_assert_null(next(&b), "it is not behind those of before");
		cr_assert_eq(add(&b, n, 1), ASSEMBLY_TAKEN);
		expect_next(&b, next(&b), n, 3);
	}
	bench_close(&b);
}

Test(assembly, forgives_a_number_that_is_far_off)
{
	struct bench b;

	bench_open(&b, 2, 1);
	add(&b, UINT64_MAX - 1, 0);
	b.now_ns += 2 * TIMEOUT;
	expect_next(&b, next(&b), UINT64_MAX - 1, 1);
	for (uint64_t n = 50; n < 60; n++) {
		cr_assert_eq(add(&b, n, 0), ASSEMBLY_TAKEN);
		b.now_ns += 2 * MS;
		cr_assert_null(next(&b), "frame %llu is given its time", (unsigned long long)n);
		cr_assert_eq(add(&b, n, 1), ASSEMBLY_TAKEN);
		expect_next(&b, next(&b), n, 3);
	}
	bench_close(&b);
}

Test(assembly, lets_go_of_what_is_open_when_it_is_closed)
{
	struct bench b;

	bench_open(&b, 8, 8);
	for (unsigned p = 0; p < 60; p++)
		add(&b, p % 7, p);
	bench_close(&b);
}
