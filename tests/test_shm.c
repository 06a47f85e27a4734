/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/clock.h"
#include "bench/shm_producer.h"
#include "bench/shm_sender.h"
#include "ingest/shm_map.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

/* The producer of bench/ against the consumer of ingest/, in one process but for the sender. */

#define PATIENCE_MS 20000
#define WIDTH       64
#define HEIGHT      48
#define BYTES       (2 * WIDTH * HEIGHT)

static char directory[] = "/tmp/openbeam-shm-XXXXXX";
static char wire_path[48], wire[56], release_path[48], release[56], report_path[48], name[48];
static pid_t child; /* 0: none runs */

static void set_up(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(wire_path, sizeof wire_path, "%s/wire", directory);
	snprintf(wire, sizeof wire, "ipc://%s", wire_path);
	snprintf(release_path, sizeof release_path, "%s/release", directory);
	snprintf(release, sizeof release, "ipc://%s", release_path);
	snprintf(report_path, sizeof report_path, "%s/report", directory);
	snprintf(name, sizeof name, "/openbeam-test-%d", getpid());
}

static void tear_down(void)
{
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	unlink(wire_path);
	unlink(release_path);
	unlink(report_path);
	shm_unlink(name);
	cr_expect_eq(rmdir(directory), 0, "%s is left behind", directory);
}

TestSuite(shm, .init = set_up, .fini = tear_down, .timeout = 60);

static struct shm_producer_options options(uint32_t slots, unsigned wait_ms)
{
	return (struct shm_producer_options){ .slots = slots,
		                              .pixel_bytes = BYTES,
		                              .width = WIDTH,
		                              .height = HEIGHT,
		                              .pixel = SHM_UINT16,
		                              .endpoint = wire,
		                              .bind = true,
		                              .release = release,
		                              .wait_ms = wait_ms };
}

static void open_producer(struct shm_producer *p, const struct shm_producer_options *o)
{
	cr_assert_eq(shm_producer_open(p, o), 0, "%s", p->why);
}

/* What the daemon has of it: a socket and maps. */
struct consumer {
	void *context, *socket;
	struct shm_maps maps;
};

static void open_consumer(struct consumer *c)
{
	int linger = 0;

	c->context = zmq_ctx_new();
	c->socket = zmq_socket(c->context, ZMQ_PULL);
	zmq_setsockopt(c->socket, ZMQ_LINGER, &linger, sizeof linger);
	cr_assert_eq(zmq_connect(c->socket, wire), 0);
	cr_assert_eq(shm_maps_open(&c->maps), 0);
}

static void close_consumer(struct consumer *c)
{
	shm_maps_close(&c->maps);
	zmq_close(c->socket);
	zmq_ctx_term(c->context);
}

static bool hear(struct consumer *c, int timeout_ms, struct shm_announcement *ret)
{
	zmq_pollitem_t item = { .socket = c->socket, .events = ZMQ_POLLIN };

	if (zmq_poll(&item, 1, timeout_ms) <= 0)
		return false;
	cr_assert_eq(zmq_recv(c->socket, ret, sizeof *ret, 0), (int)sizeof *ret);
	cr_assert_eq(memcmp(ret->magic, "OBSA", 4), 0);
	return true;
}

/* The next announcement, which must be a frame, and its slot on loan. */
static struct shm_lease *borrow(struct consumer *c, struct shm_announcement *ret)
{
	struct shm_map *map;
	struct shm_lease *l;

	cr_assert(hear(c, PATIENCE_MS, ret));
	cr_assert_eq(ret->kind, SHM_FRAME);
	map = shm_maps_find(&c->maps, ret);
	cr_assert_not_null(map, "%s", c->maps.why);
	cr_assert(shm_map_holds(map, ret->slot, ret->generation));
	l = shm_map_lend(map, ret->slot, ret->generation);
	cr_assert_not_null(l);
	return l;
}

static void give_back(struct consumer *c, struct shm_lease *l)
{
	shm_lease_return(l);
	shm_maps_tend(&c->maps);
}

static uint32_t take(struct shm_producer *p)
{
	uint32_t slot = UINT32_MAX;

	cr_assert_eq(shm_producer_take(p, PATIENCE_MS, &slot), 0);
	cr_assert_lt(slot, p->options.slots);
	return slot;
}

/* Fill a free slot with the number and announce it. */
static uint32_t send_frame(struct shm_producer *p, uint64_t number)
{
	uint32_t slot = take(p);
	uint16_t *pixels = shm_producer_fill(p, slot);

	for (size_t i = 0; i < BYTES / 2; i++)
		pixels[i] = (uint16_t)(number + i);
	cr_assert(shm_producer_ready(p, PATIENCE_MS));
	cr_assert_eq(shm_producer_publish(p, slot, number, 0, 7), 0, "%s", p->why);
	return slot;
}

static void await_drain(struct shm_producer *p)
{
	cr_assert_eq(shm_producer_drain(p, PATIENCE_MS), 0, "%u slots are out", p->out);
}

/* ---- both sides ---- */

Test(shm, a_frame_passes_without_a_copy)
{
	struct shm_producer_options o = options(4, PATIENCE_MS);
	struct shm_producer p;
	struct consumer c;
	struct shm_announcement a;
	struct shm_lease *l;
	const uint16_t *seen;
	uint16_t *written;
	uint32_t slot;

	open_producer(&p, &o);
	open_consumer(&c);
	cr_assert(shm_producer_ready(&p, PATIENCE_MS));
	cr_assert_eq(shm_producer_start(&p, 77, 1), 0);
	cr_assert(hear(&c, PATIENCE_MS, &a));
	cr_assert(a.kind == SHM_START && a.series == 77 && a.frame == 1);
	slot = send_frame(&p, 12);
	l = borrow(&c, &a);
	cr_assert(a.frame == 12 && a.slot == slot && a.series == 77 && a.timestamp_ns == 7);
	cr_assert(a.width == WIDTH && a.height == HEIGHT && a.bytes == BYTES);
	cr_assert(a.pixel == SHM_UINT16 && a.flags == 0 && a.generation % 2 == 0);
	seen = shm_map_pixels(l->map, a.slot);
	written = (uint16_t *)(void *)(p.base + SHM_PAGE + slot * p.ring.slot_bytes + SHM_PAGE);
	cr_assert_eq((uintptr_t)seen % SHM_PAGE, 0);
	for (size_t i = 0; i < BYTES / 2; i++)
		cr_assert_eq(seen[i], (uint16_t)(12 + i));
	written[5] = 4711;
	cr_assert_eq(seen[5], 4711, "the consumer sees the producer's own memory");
	cr_assert(shm_lease_holds(l));
	give_back(&c, l);
	await_drain(&p);
	cr_assert_eq(shm_producer_end(&p), 0);
	cr_assert(hear(&c, PATIENCE_MS, &a));
	cr_assert_eq(a.kind, SHM_END);
	cr_assert(p.announced == 1 && p.reclaimed == 0 && p.ignored == 0);
	close_consumer(&c);
	shm_producer_close(&p);
}

Test(shm, a_released_slot_is_filled_again)
{
	struct shm_producer_options o = options(2, PATIENCE_MS);
	struct shm_producer p;
	struct consumer c;
	struct shm_announcement a;
	uint64_t generation[2] = { 0 };

	o.release = "tcp://127.0.0.1:*";
	open_producer(&p, &o);
	open_consumer(&c);
	for (uint64_t n = 0; n < 12; n++) {
		struct shm_lease *l;

		send_frame(&p, n);
		l = borrow(&c, &a);
		cr_assert_eq(*(const uint16_t *)shm_map_pixels(l->map, a.slot), n);
		cr_assert_eq(a.generation, generation[a.slot] + 2);
		generation[a.slot] = a.generation;
		give_back(&c, l);
	}
	await_drain(&p);
	cr_assert(p.announced == 12 && p.reclaimed == 0 && p.ignored == 0);
	close_consumer(&c);
	shm_producer_close(&p);
}

Test(shm, a_slot_on_loan_is_not_lent_twice)
{
	struct shm_producer_options o = options(2, PATIENCE_MS);
	struct shm_producer p;
	struct consumer c;
	struct shm_announcement a;
	struct shm_lease *l;

	open_producer(&p, &o);
	open_consumer(&c);
	send_frame(&p, 0);
	l = borrow(&c, &a);
	cr_assert_null(shm_map_lend(l->map, a.slot, a.generation));
	give_back(&c, l);
	await_drain(&p);
	close_consumer(&c);
	shm_producer_close(&p);
}

Test(shm, a_dead_consumer_is_noticed_and_its_slots_are_void)
{
	struct shm_producer_options o = options(2, 150);
	struct shm_producer p;
	struct consumer c;
	struct shm_announcement a;
	struct shm_lease *leases[2];
	uint64_t begin;
	uint32_t slot;

	open_producer(&p, &o);
	open_consumer(&c);
	for (unsigned i = 0; i < 2; i++) {
		send_frame(&p, i);
		leases[i] = borrow(&c, &a);
	}
	begin = clock_now_ns();
	cr_assert_eq(shm_producer_take(&p, 20, &slot), -EAGAIN);
	cr_assert_lt(clock_now_ns() - begin, 140 * 1000000u, "the caller's own limit counts");
	while (shm_producer_take(&p, 20, &slot) == -EAGAIN)
		;
	cr_assert_geq(clock_now_ns() - begin, 150 * 1000000u);
	cr_assert(p.reclaimed == 2 && p.out == 0 && p.waits == 1);
	for (unsigned i = 0; i < 2; i++)
		cr_assert(!shm_lease_holds(leases[i]), "overwritten slots are noticed");
	shm_producer_put_back(&p, slot);

	/* It was only asleep: its late releases are nothing, and it goes on. */
	give_back(&c, leases[0]);
	give_back(&c, leases[1]);
	send_frame(&p, 2);
	give_back(&c, borrow(&c, &a));
	await_drain(&p);
	cr_assert(p.ignored == 2 && p.reclaimed == 2);
	close_consumer(&c);
	shm_producer_close(&p);
}

Test(shm, a_second_consumer_goes_on_where_the_first_ended)
{
	struct shm_producer_options o = options(3, 100);
	struct shm_producer p;
	struct consumer first, second;
	struct shm_announcement a;

	open_producer(&p, &o);
	open_consumer(&first);
	send_frame(&p, 0);
	borrow(&first, &a);
	send_frame(&p, 1); /* announced, never looked at */
	cr_assert(hear(&first, PATIENCE_MS, &a));
	close_consumer(&first);

	open_consumer(&second);
	usleep(200000); /* the producer notices that the first is gone */
	for (uint64_t n = 2; n < 40; n++) {
		struct shm_lease *l;

		send_frame(&p, n);
		l = borrow(&second, &a);
		cr_assert_eq(a.frame, n);
		give_back(&second, l);
		usleep(10000);
	}
	await_drain(&p);
	cr_assert_eq(p.reclaimed, 2, "what the first had out is not lost for ever");
	close_consumer(&second);
	shm_producer_close(&p);
}

Test(shm, nobody_to_announce_to_is_said)
{
	struct shm_producer_options o = options(2, 50);
	struct shm_producer p;
	uint32_t slot;

	open_producer(&p, &o);
	cr_assert(!shm_producer_ready(&p, 10));
	cr_assert_eq(shm_producer_start(&p, 1, 0), -EAGAIN);
	slot = take(&p);
	shm_producer_fill(&p, slot);
	cr_assert_eq(shm_producer_publish(&p, slot, 0, 0, 0), -EAGAIN);
	shm_producer_put_back(&p, slot);
	cr_assert(p.out == 0 && p.free_count == 2);
	shm_producer_close(&p);
}

/* ---- the producer among strangers ---- */

Test(shm, releases_that_are_none_are_counted_and_ignored)
{
	struct shm_producer_options o = options(2, PATIENCE_MS);
	struct shm_producer p;
	struct consumer c;
	struct shm_announcement a;
	struct shm_release good, bad[6];
	void *socket;

	open_producer(&p, &o);
	open_consumer(&c);
	send_frame(&p, 0);
	cr_assert(hear(&c, PATIENCE_MS, &a));
	good = (struct shm_release){ { 'O', 'B', 'S', 'R' }, a.slot, a.ring_id, a.generation };
	for (unsigned i = 0; i < 6; i++)
		bad[i] = good;
	bad[0].magic[3] = 'A';
	bad[1].ring_id++;
	bad[2].slot = 2;
	bad[3].slot = 1 - a.slot; /* not out */
	bad[4].generation += 2;
	bad[5].generation--;
	socket = zmq_socket(c.context, ZMQ_PUSH);
	cr_assert_eq(zmq_connect(socket, release), 0);
	for (unsigned i = 0; i < 6; i++)
		zmq_send(socket, &bad[i], sizeof bad[i], 0);
	zmq_send(socket, &good, sizeof good - 1, 0);
	zmq_send(socket, "", 0, 0);
	zmq_send(socket, bad, sizeof good + 1, 0);
	zmq_send(socket, &good, sizeof good, 0);
	while (shm_producer_drain(&p, 100) == -EAGAIN && p.ignored < 9)
		;
	await_drain(&p);
	cr_assert_eq(p.ignored, 9);
	cr_assert_eq(p.reclaimed, 0);
	zmq_send(socket, &good, sizeof good, 0); /* twice */
	while (p.ignored < 10) {
		uint32_t slot = take(&p);

		shm_producer_put_back(&p, slot);
	}
	zmq_close(socket);
	close_consumer(&c);
	shm_producer_close(&p);
}

Test(shm, the_producer_says_what_it_cannot_have)
{
	const struct {
		struct shm_producer_options o;
		int err;
		const char *said;
	} rows[] = {
		{ { .slots = 1, .pixel_bytes = 1, .release = release }, -EINVAL, "2 to 65536" },
		{ { .slots = 65537, .pixel_bytes = 1, .release = release }, -EINVAL, "2 to 65536" },
		{ { .slots = 2, .pixel_bytes = 0, .release = release }, -EINVAL, "large" },
		{ { .slots = 2, .pixel_bytes = UINT64_MAX, .release = release }, -EINVAL, "large" },
		{ { .slots = 2, .pixel_bytes = 1, .release = "tcp://*:1" }, -EINVAL, "127.0.0.1" },
		{ { .slots = 2, .pixel_bytes = 1, .release = release, .name = "/a/b" },
		  -EINVAL,
		  "/NAME" },
		{ { .slots = 2, .pixel_bytes = 1, .release = "ipc:///no/where/x" },
		  -ENOENT,
		  "releases at ipc:///no" },
		{ { .slots = 2, .pixel_bytes = 1, .release = release, .endpoint = "x://" },
		  -EINVAL,
		  "x://" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct shm_producer p;

		cr_assert_eq(shm_producer_open(&p, &rows[i].o), rows[i].err, "row %zu: %s", i,
		             p.why);
		cr_assert(strstr(p.why, rows[i].said), "row %zu: %s", i, p.why);
		shm_producer_close(&p);
	}
}

Test(shm, a_name_is_replaced_after_a_crash_and_kept_while_in_use)
{
	struct shm_producer_options o = options(2, 100);
	struct shm_producer p, other;
	int status;

	o.name = name;
	child = fork();
	if (child == 0) {
		alarm(0);
		_exit(shm_producer_open(&p, &o) ? 1 : 0);
	}
	cr_assert(waitpid(child, &status, 0) == child && status == 0);
	child = 0;
	cr_assert_eq(access("/dev/shm", F_OK) != 0 || shm_unlink(name) == 0, true);

	child = fork();
	if (child == 0) {
		alarm(0);
		_exit(shm_producer_open(&p, &o) ? 1 : 0);
	}
	cr_assert(waitpid(child, &status, 0) == child && status == 0);
	child = 0;
	open_producer(&p, &o);
	o.release = "tcp://127.0.0.1:*";
	cr_assert_eq(shm_producer_open(&other, &o), -EBUSY, "%s", other.why);
	cr_assert(strstr(other.why, name), "%s", other.why);
	shm_producer_close(&other);
	shm_producer_close(&p);
	cr_assert(shm_open(name, O_RDONLY, 0) < 0 && errno == ENOENT, "unlinked at the end");
}

/* ---- the consumer among strangers ---- */

/* Memory with a first page as it should be, to be spoilt. */
struct rig {
	int fd;
	struct shm_ring ring;
	struct shm_announcement a;
	struct shm_maps maps;
};

static void open_rig(struct rig *r, int seals)
{
	*r = (struct rig){ .fd = memfd_create("rig", MFD_CLOEXEC | MFD_ALLOW_SEALING),
		           .ring = { .magic = SHM_RING_MAGIC,
		                     .version = SHM_RING_VERSION,
		                     .slot_count = 2,
		                     .slot_bytes = UINT64_C(2) * SHM_PAGE,
		                     .first_slot = SHM_PAGE,
		                     .ring_id = 99 },
		           .a = { .ring_id = 99 } };
	snprintf(r->ring.release, sizeof r->ring.release, "%s", release);
	snprintf(r->a.memory, sizeof r->a.memory, "/proc/%d/fd/%d", getpid(), r->fd);
	cr_assert(r->fd >= 0 && fchmod(r->fd, 0600) == 0);
	cr_assert_eq(ftruncate(r->fd, 5 * SHM_PAGE), 0);
	cr_assert(!seals || fcntl(r->fd, F_ADD_SEALS, seals) == 0);
	cr_assert_eq(shm_maps_open(&r->maps), 0);
}

static void write_ring(struct rig *r)
{
	cr_assert_eq(pwrite(r->fd, &r->ring, sizeof r->ring, 0), (ssize_t)sizeof r->ring);
}

/* Refused with these words, or with none mapped. */
static void expect(struct rig *r, const char *said)
{
	struct shm_map *map;

	write_ring(r);
	map = shm_maps_find(&r->maps, &r->a);
	if (said) {
		cr_expect_null(map, "mapped, not refused with '%s'", said);
		cr_expect(strstr(r->maps.why, said), "'%s', not '%s'", r->maps.why, said);
	} else {
		cr_expect_not_null(map, "%s", r->maps.why);
	}
	shm_maps_close(&r->maps);
	close(r->fd);
}

Test(shm, a_ring_as_it_should_be_is_mapped_once)
{
	struct rig r;
	struct shm_map *map;

	open_rig(&r, F_SEAL_SHRINK);
	write_ring(&r);
	map = shm_maps_find(&r.maps, &r.a);
	cr_assert_not_null(map, "%s", r.maps.why);
	cr_assert_eq(shm_maps_find(&r.maps, &r.a), map);
	expect(&r, NULL);
}

Test(shm, memory_that_others_may_open_is_refused)
{
	struct rig r;

	open_rig(&r, F_SEAL_SHRINK);
	fchmod(r.fd, 0644);
	expect(&r, "has mode 644, 600 is expected");
	open_rig(&r, F_SEAL_SHRINK);
	if (fchown(r.fd, geteuid() + 1, (gid_t)-1) == 0)
		expect(&r, "belongs to user"); /* only root can give away */
	else
		expect(&r, NULL);
}

Test(shm, a_memfd_that_can_shrink_is_refused)
{
	struct rig r;

	open_rig(&r, 0);
	expect(&r, "lacks F_SEAL_SHRINK");
	open_rig(&r, F_SEAL_GROW);
	expect(&r, "lacks F_SEAL_SHRINK");
}

Test(shm, a_first_page_that_is_wrong_is_refused)
{
	static const char larger[] = "larger than its memory", impossible[] = "impossible sizes";
	static const struct {
		uint32_t slot_count;
		uint64_t slot_bytes, first_slot;
		const char *said;
	} rows[] = {
		{ 3, 2 * SHM_PAGE, SHM_PAGE, larger },
		{ 2, 3 * SHM_PAGE, SHM_PAGE, larger },
		{ 2, 2 * SHM_PAGE, 2 * SHM_PAGE, larger },
		{ 65536, (uint64_t)1 << 44, SHM_PAGE, larger },
		{ 1, 2 * SHM_PAGE, SHM_PAGE, impossible },
		{ 65537, 2 * SHM_PAGE, SHM_PAGE, impossible },
		{ 2, SHM_PAGE, SHM_PAGE, impossible },
		{ 2, 2 * SHM_PAGE + 1, SHM_PAGE, impossible },
		{ 2, UINT64_MAX / SHM_PAGE * SHM_PAGE, SHM_PAGE, impossible },
		{ 2, 2 * SHM_PAGE, 0, impossible },
		{ 2, 2 * SHM_PAGE, SHM_PAGE + 8, impossible },
		{ 2, 2 * SHM_PAGE, UINT64_MAX / SHM_PAGE * SHM_PAGE, impossible },
	};
	struct rig r;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		open_rig(&r, F_SEAL_SHRINK);
		r.ring.slot_count = rows[i].slot_count;
		r.ring.slot_bytes = rows[i].slot_bytes;
		r.ring.first_slot = rows[i].first_slot;
		expect(&r, rows[i].said);
	}
	open_rig(&r, F_SEAL_SHRINK);
	r.ring.ring_id = 98;
	expect(&r, "another ring than announced");
	open_rig(&r, F_SEAL_SHRINK);
	r.ring.magic[7] = '2';
	expect(&r, "no ring of version 1");
	open_rig(&r, F_SEAL_SHRINK);
	r.ring.version = 2;
	expect(&r, "no ring of version 1");
}

Test(shm, releases_go_to_this_host_only)
{
	static const char *const endpoints[] = { "tcp://10.0.0.1:99", "tcp://127.0.0.10:99",
		                                 "tcp://*:99", "udp://127.0.0.1:99", "" };
	struct rig r;

	for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
		open_rig(&r, F_SEAL_SHRINK);
		snprintf(r.ring.release, sizeof r.ring.release, "%s", endpoints[i]);
		expect(&r, "neither at ipc:// nor at");
	}
	open_rig(&r, F_SEAL_SHRINK);
	memset(r.ring.release, 'x', sizeof r.ring.release);
	memcpy(r.ring.release, "ipc://", 6);
	expect(&r, "neither at ipc:// nor at");
}

Test(shm, a_name_that_is_no_memory_is_refused)
{
	static const struct {
		const char *memory, *said;
	} rows[] = {
		{ "/etc/passwd", "neither /name nor /proc/" },
		{ "", "neither /name nor /proc/" },
		{ "/", "neither /name nor /proc/" },
		{ "/..", "neither /name nor /proc/" },
		{ "/proc/self/fd/3", "neither /name nor /proc/" },
		{ "/proc/1/fd/3/../../../etc/passwd", "neither /name nor /proc/" },
		{ "/openbeam-is-not-there", "cannot open the memory" },
		{ "/proc/4194305/fd/3", "cannot open the memory" },
	};
	struct rig r;
	int pipes[2];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		open_rig(&r, F_SEAL_SHRINK);
		snprintf(r.a.memory, sizeof r.a.memory, "%s", rows[i].memory);
		expect(&r, rows[i].said);
	}
	open_rig(&r, F_SEAL_SHRINK);
	memset(r.a.memory, '/', sizeof r.a.memory);
	expect(&r, "names no ring");
	open_rig(&r, F_SEAL_SHRINK);
	r.a.ring_id = 0;
	expect(&r, "names no ring");
	cr_assert_eq(pipe(pipes), 0);
	open_rig(&r, F_SEAL_SHRINK);
	snprintf(r.a.memory, sizeof r.a.memory, "/proc/%d/fd/%d", getpid(), pipes[0]);
	expect(&r, "is no memory");
}

/* A hostile end of a POSIX shared memory, which has no seals. */
Test(shm, memory_that_is_cut_short_reads_as_zeros_and_is_given_up)
{
	struct shm_producer_options o = options(2, PATIENCE_MS);
	struct shm_producer p;
	struct consumer c;
	struct shm_announcement a;
	struct shm_lease *l;
	const uint16_t *seen;
	int fd;

	shm_map_guard();
	o.name = name;
	open_producer(&p, &o);
	open_consumer(&c);
	send_frame(&p, 1);
	l = borrow(&c, &a);
	cr_assert_str_eq(a.memory, name);
	seen = shm_map_pixels(l->map, a.slot);
	cr_assert_eq(seen[0], 1);
	cr_assert(shm_lease_holds(l));
	fd = shm_open(name, O_RDWR, 0);
	/* the slot's first page stays: the generation alone would not tell */
	cr_assert_eq(ftruncate(fd, SHM_PAGE + (off_t)(a.slot * p.ring.slot_bytes) + SHM_PAGE), 0);
	close(fd);
	for (size_t i = 0; i < BYTES / 2; i++)
		cr_assert_eq(((const volatile uint16_t *)seen)[i], 0);
	cr_assert(!shm_lease_holds(l));
	cr_assert(!shm_map_holds(l->map, a.slot, a.generation));
	give_back(&c, l);
	close_consumer(&c);
	shm_producer_close(&p);
}

/* ---- openbeam-send ---- */

static volatile sig_atomic_t never;

/* The sender's whole life. */
static void send_and_exit(const char *line)
{
	static char words[512];
	char *argv[40] = { "openbeam-send" }, why[512];
	struct send_options o;
	struct pattern pattern;
	struct send_report report = { 0 };
	struct shm_sender s = {
		.options = &o, .pattern = &pattern, .stop = &never, .report = &report
	};
	int argc = 1, err;

	alarm(0);
	snprintf(words, sizeof words, "%s", line);
	for (char *word = strtok(words, " "); word && argc < 39; word = strtok(NULL, " "))
		argv[argc++] = word;
	if (send_options_parse(&o, argc, argv, why))
		_exit(4);
	if (pattern_open(&pattern, &(struct pattern_options){ .kind = o.pattern,
	                                                      .width = o.width,
	                                                      .height = o.height,
	                                                      .type = o.format->type,
	                                                      .bits = o.format->bits,
	                                                      .memory_limit = 1 << 24 }) ||
	    shm_sender_open(&s))
		_exit(2);
	err = shm_sender_run(&s);
	if (send_report_write(&report, &o, &pattern, report_path))
		_exit(3);
	shm_sender_close(&s);
	pattern_close(&pattern);
	_exit(err ? 1 : 0);
}

static json_t *finish_sender(void)
{
	json_t *report;
	int status = -1;

	cr_assert_eq(waitpid(child, &status, 0), child);
	child = 0;
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
	report = json_load_file(report_path, 0, NULL);
	cr_assert_not_null(report);
	return report;
}

static size_t listed(json_t *report, const char *list, uint64_t number)
{
	json_t *array = json_object_get(report, list), *value;
	size_t index, found = 0;

	json_array_foreach(array, index, value) found +=
		(uint64_t)json_integer_value(value) == number;
	return found;
}

Test(shm, a_faulty_stream_is_as_the_report_says)
{
	enum { FIRST = 1000, FRAMES = 300 };
	unsigned seen[FRAMES] = { 0 };
	struct shm_announcement a;
	struct consumer c;
	json_t *report;
	char line[300];

	snprintf(line, sizeof line,
	         "--to %s --protocol shm --size 64x48 --pattern counter --quiet --first %d "
	         "--frames %d --lose .1 --duplicate .1 --reorder .1 --rate 2000 --slots 4",
	         wire, FIRST, FRAMES);
	child = fork();
	if (child == 0)
		send_and_exit(line);
	open_consumer(&c);
	cr_assert(hear(&c, PATIENCE_MS, &a) && a.kind == SHM_START && a.frame == FRAMES);
	while (hear(&c, PATIENCE_MS, &a) && a.kind == SHM_FRAME) {
		struct shm_map *map = shm_maps_find(&c.maps, &a);
		struct shm_lease *l;
		const uint16_t *pixels;

		cr_assert_not_null(map, "%s", c.maps.why);
		l = shm_map_lend(map, a.slot, a.generation);
		cr_assert(l && a.frame >= FIRST && a.frame < FIRST + FRAMES);
		pixels = shm_map_pixels(map, a.slot);
		for (uint64_t y = 0; y < HEIGHT; y++)
			for (uint64_t x = 0; x < WIDTH; x++)
				cr_assert_eq(pixels[y * WIDTH + x],
				             (a.frame * 7919 + y * 131 + x * 31) % 4096);
		cr_assert(shm_lease_holds(l));
		seen[a.frame - FIRST]++;
		give_back(&c, l);
	}
	cr_assert_eq(a.kind, SHM_END);
	report = finish_sender();
	for (uint64_t n = 0; n < FRAMES; n++)
		cr_assert_eq(seen[n], listed(report, "lost", n + FIRST)
		                              ? 0
		                              : 1 + listed(report, "duplicated", n + FIRST));
	cr_assert(json_is_true(json_object_get(report, "delivered")));
	cr_assert_eq(json_integer_value(json_object_get(report, "reclaimed")), 0);
	cr_assert_gt(json_real_value(json_object_get(report, "cpu_us_per_frame")), 0);
	json_decref(report);
	close_consumer(&c);
}

Test(shm, a_sender_whose_consumer_dies_says_so)
{
	struct shm_announcement a;
	struct consumer c;
	json_t *report;
	char line[300];

	snprintf(line, sizeof line,
	         "--to %s --protocol shm --size 64x48 --pattern noise --quiet --frames 4 "
	         "--slots 8 --shm-wait 200",
	         wire);
	child = fork();
	if (child == 0)
		send_and_exit(line);
	open_consumer(&c);
	for (unsigned i = 0; i < 5; i++)
		cr_assert(hear(&c, PATIENCE_MS, &a));
	report = finish_sender();
	cr_assert(json_is_true(json_object_get(report, "finished")));
	cr_assert(json_is_false(json_object_get(report, "delivered")));
	cr_assert_eq(json_integer_value(json_object_get(report, "reclaimed")), 4);
	json_decref(report);
	close_consumer(&c);
}

/* ---- with the amended consumer ---- */

Test(shm, a_burst_loses_no_release)
{
	struct shm_producer_options o = options(2, PATIENCE_MS);
	struct shm_producer p;
	struct consumer c;
	struct shm_announcement a;

	open_producer(&p, &o);
	open_consumer(&c);
	for (uint64_t n = 0; n < 5000; n++) {
		send_frame(&p, n);
		give_back(&c, borrow(&c, &a));
	}
	await_drain(&p);
	cr_assert(p.announced == 5000 && p.reclaimed == 0 && p.ignored == 0);
	close_consumer(&c);
	shm_producer_close(&p);
}

Test(shm, a_fifo_holds_nobody_up)
{
	struct rig r;
	char path[80];

	snprintf(path, sizeof path, "/dev/shm%s", name);
	cr_assert_eq(mkfifo(path, 0600), 0);
	open_rig(&r, F_SEAL_SHRINK);
	snprintf(r.a.memory, sizeof r.a.memory, "%s", name);
	expect(&r, "is no memory");
}

Test(shm, a_release_endpoint_is_a_port_and_nothing_else)
{
	static const char *const endpoints[] = { "tcp://127.0.0.1:0;10.0.0.1:99",
		                                 "tcp://127.0.0.1:", "tcp://127.0.0.1:9 9",
		                                 "tcp://127.0.0.1:*" };
	struct rig r;

	for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
		open_rig(&r, F_SEAL_SHRINK);
		snprintf(r.ring.release, sizeof r.ring.release, "%s", endpoints[i]);
		expect(&r, "neither at ipc:// nor at");
	}
}

Test(shm, rings_of_producers_that_ended_are_let_go)
{
	struct consumer c;
	struct shm_announcement a;
	struct shm_producer_options o = options(2, PATIENCE_MS);
	unsigned mapped = 0;

	open_consumer(&c);
	for (unsigned i = 0; i < 12; i++) {
		struct shm_producer p;

		o.name = i % 2 ? name : NULL;
		open_producer(&p, &o);
		send_frame(&p, i);
		give_back(&c, borrow(&c, &a));
		await_drain(&p);
		shm_producer_close(&p);
	}
	for (unsigned i = 0; i < SHM_MAPS_MAX; i++)
		mapped += c.maps.maps[i].ring_id != 0;
	cr_assert_eq(mapped, 1);
	close_consumer(&c);
}

Test(shm, what_is_refused_is_released_unless_it_is_on_loan)
{
	struct shm_producer_options o = options(2, PATIENCE_MS);
	struct shm_producer p;
	struct consumer c;
	struct shm_announcement a;
	struct shm_map *map;
	struct shm_lease *l;

	open_producer(&p, &o);
	open_consumer(&c);
	send_frame(&p, 0);
	cr_assert(hear(&c, PATIENCE_MS, &a));
	map = shm_maps_find(&c.maps, &a);
	cr_assert_not_null(map);
	shm_map_refuse(map, a.slot, a.generation);
	await_drain(&p);
	send_frame(&p, 1);
	l = borrow(&c, &a);
	shm_map_refuse(map, a.slot, a.generation);
	cr_assert_eq(shm_producer_drain(&p, 100), -EAGAIN);
	give_back(&c, l);
	await_drain(&p);
	cr_assert_eq(p.ignored, 0);
	close_consumer(&c);
	shm_producer_close(&p);
}

Test(shm, a_bad_announcement_puts_no_ring_out)
{
	struct rig r[SHM_MAPS_MAX];
	struct shm_maps maps;

	cr_assert_eq(shm_maps_open(&maps), 0);
	for (unsigned i = 0; i < SHM_MAPS_MAX; i++) {
		open_rig(&r[i], F_SEAL_SHRINK);
		r[i].ring.ring_id = r[i].a.ring_id = 100 + i;
		write_ring(&r[i]);
		cr_assert_not_null(shm_maps_find(&maps, &r[i].a));
	}
	r[0].a.ring_id = 7;
	cr_assert_null(shm_maps_find(&maps, &r[0].a));
	for (unsigned i = 0; i < SHM_MAPS_MAX; i++) {
		cr_assert_eq(maps.maps[i].ring_id, 100 + i);
		shm_maps_close(&r[i].maps);
		close(r[i].fd);
	}
	shm_maps_close(&maps);
}
