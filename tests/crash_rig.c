/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash_rig.h"

#include "kernels/cpu.h"
#include "kernels/crc32c.h"
#include "kernels/pack.h"
#include "sinks/audit.h"
#include "sinks/format.h"
#include "sinks/journal.h"
#include "sinks/recover.h"
#include "sinks/sinks_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SERIES    "crash-0001"
#define PER_FILE  30
#define SLOTS     8
#define SYNC_NS   300000
#define FDS_MAX   256
#define CASES_MAX 32

/* Folders to remove when something fails; OPENBEAM_KEEP in the environment keeps them. */
static struct {
	char path[128];
	pid_t by;
} made[2];
static unsigned made_count;

static void run_on(const char *format, const char *a, const char *b)
{
	char command[512];

	snprintf(command, sizeof command, format, a, b);
	if (system(command) != 0)
		crash_fail("failed: %s", command);
}

void crash_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	for (unsigned i = made_count; i-- > 0;) {
		made_count = i;
		if (made[i].by == getpid() && !getenv("OPENBEAM_KEEP"))
			run_on("rm -rf -- '%s'%s", made[i].path, "");
	}
	exit(1);
}

bool crash_is_long(int argc, char **argv)
{
	const char *asked = getenv("OPENBEAM_LONG");

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--long") == 0)
			return true;
	return asked && asked[0] && strcmp(asked, "0") != 0;
}

bool crash_is_wanted(const struct crash_case *c, int argc, char **argv)
{
	bool any = false;

	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--case") != 0)
			continue;
		any = true;
		if (strcmp(c->name, argv[i + 1]) == 0)
			return true;
	}
	return !any;
}

/* ---- cases ---- */

static const struct crash_case further[] = {
	{ .name = "hdf5 bslz4", .format = SINK_HDF5, .packed = true },
	{ .name = "tiff averaged", .format = SINK_TIFF, .average = 3, .regions = 1 },
	{ .name = "hdf5 averaged",
	  .format = SINK_HDF5,
	  .packed = true,
	  .average = 4,
	  .regions = CONFIG_REGIONS_MAX },
	{ .name = "tiff and raw", .format = SINK_TIFF, .second = true },
	{ .name = "raw endless", .format = SINK_RAW, .endless = true, .regions = 4 },
	{ .name = "hdf5 plain", .format = SINK_HDF5, .plain = true },
	{ .name = "tiff zero copy", .format = SINK_TIFF, .width = 256, .height = 128 },
};

const struct crash_case *crash_cases(unsigned *ret_count)
{
	static struct crash_case cases[CASES_MAX];
	unsigned n = 0;

	for (const struct format *const *f = formats; *f; f++)
		if ((*f)->suffix)
			cases[n++] = (struct crash_case){ .name = (*f)->name, .format = (*f)->id };
	for (unsigned i = 0; i < sizeof further / sizeof *further; i++)
		cases[n++] = further[i];
	for (unsigned i = 0; i < n; i++) {
		cases[i].average = cases[i].average ? cases[i].average : 1;
		cases[i].width = cases[i].width ? cases[i].width : 16;
		cases[i].height = cases[i].height ? cases[i].height : 16;
	}
	*ret_count = n;
	return cases;
}

static size_t frame_bytes(const struct crash_case *c)
{
	return (size_t)c->width * c->height * 2;
}

/* A number that never reaches the sinks. */
static bool is_lost(const struct crash_case *c, uint64_t number)
{
	return c->average > 1 ? number / c->average % 9 == 4
	                      : number % 23 == 11 || number % 37 == 5;
}

/* The frame whose pixels are those of `number`. */
static uint64_t mean_of(const struct crash_case *c, uint64_t number)
{
	uint64_t last = number / c->average * c->average + c->average - 1;

	return last < CRASH_FRAMES ? last : CRASH_FRAMES - 1;
}

/* Frames that went into the one of `number`: groups are lost whole. */
static uint32_t averaged(const struct crash_case *c, uint64_t number)
{
	return (uint32_t)(mean_of(c, number) - number / c->average * c->average) + 1;
}

static void draw(unsigned char *pixels, const struct crash_case *c, uint64_t number)
{
	for (size_t i = 0; i < frame_bytes(c); i++)
		pixels[i] = (unsigned char)(number * 31 + i * 7 + (i >> 8));
}

static uint32_t checksum_of(const struct crash_case *c, uint64_t number)
{
	unsigned char *pixels = malloc(frame_bytes(c));
	uint32_t crc;

	draw(pixels, c, number);
	crc = crc32c_for(cpu_detect())(0, pixels, frame_bytes(c));
	free(pixels);
	return crc;
}

struct crash_notes *crash_notes_new(void)
{
	void *at = mmap(NULL, sizeof(struct crash_notes), PROT_READ | PROT_WRITE,
	                MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		crash_fail("no shared memory: %s", strerror(errno));
	return at;
}

void crash_notes_free(struct crash_notes *n)
{
	munmap(n, sizeof *n);
}

/* ---- writing ---- */

struct slot {
	unsigned char *pixels, *packed;
	bool busy;
};

struct crash_writer {
	const struct crash_run *run;
	struct config config;
	struct disk_io io;
	char dirs[2][160], config_json[64];
	struct sinks *sinks;
	int wake_fd;
	struct slot slots[SLOTS];
	void *scratch;

	/* The primary's journal as the table sees it. */
	bool is_journal[FDS_MAX];
	uint64_t unsynced[CRASH_FRAMES];
	unsigned unsynced_count;
};

static int w_ring(void *user)
{
	const struct crash_writer *w = user;

	return w->run->of->plain ? -EPERM : 0;
}

static void count_call(const struct crash_run *r, enum crash_moment moment)
{
	if (r->moment == moment && r->notes->calls == r->nth)
		raise(SIGKILL);
}

/* Note which frames a batch of the journal is about. */
static void watch_write(struct crash_writer *w, const struct disk_call *c)
{
	const unsigned char *at = c->data;

	const struct journal_header h = { .region_count = w->run->of->regions };
	uint64_t head = journal_header_bytes(h.region_count);
	uint64_t each = journal_record_bytes(h.region_count);

	if (c->offset < head)
		return;
	for (uint64_t i = 0; i + each <= c->length; i += each) {
		uint64_t position = (c->offset - head + i) / each;
		struct journal_record r;

		if (journal_decode(&r, at + i, (uint32_t)position, &h) &&
		    r.state == FRAME_WRITTEN && r.number < CRASH_FRAMES)
			w->unsynced[w->unsynced_count++] = r.number;
	}
}

static void watch_sync(struct crash_writer *w)
{
	const struct crash_run *r = w->run;
	uint64_t now = r->clock ? r->clock(r->clock_user) : 1;

	for (unsigned i = 0; i < w->unsynced_count; i++)
		r->notes->durable[w->unsynced[i]] = now;
	w->unsynced_count = 0;
}

static bool is_journal(const struct crash_writer *w, const struct disk_call *c)
{
	return !c->name && c->fd >= 0 && c->fd < FDS_MAX && w->is_journal[c->fd];
}

static int w_before(void *user, const struct disk_call *c, uint64_t *length)
{
	struct crash_writer *w = user;
	const struct disk_io *beneath = w->run->beneath;

	w->run->notes->calls++;
	count_call(w->run, CRASH_BEFORE);
	if (c->kind == DISK_WRITE && is_journal(w, c))
		watch_write(w, c);
	return beneath ? beneath->before(beneath->user, c, length) : 0;
}

/* The kernel may have completed later calls already: that is as good a moment. */
static void w_after(void *user, const struct disk_call *c, int64_t result)
{
	struct crash_writer *w = user;
	const struct disk_io *beneath = w->run->beneath;

	if (beneath)
		beneath->after(beneath->user, c, result);
	if (c->kind == DISK_OPEN && result >= 0 && result < FDS_MAX)
		w->is_journal[result] = strcmp(c->name, "journal.bin") == 0;
	if (c->kind == DISK_SYNC_DATA && result == 0 && is_journal(w, c))
		watch_sync(w);
	count_call(w->run, CRASH_AFTER);
}

static void on_released(void *user, void *owner)
{
	struct crash_writer *w = user;
	struct slot *s = owner;

	if (!s->busy)
		crash_fail("released twice");
	s->busy = false;
	memset(s->pixels, 0xee, frame_bytes(w->run->of)); /* whoever still reads it is seen */
}

static void on_settled(void *user, uint64_t number, enum frame_state state, unsigned reason,
                       bool revoked)
{
	(void)user;
	if (state != FRAME_WRITTEN || revoked)
		crash_fail("frame %" PRIu64 " was not written: %s", number,
		           frame_reason_name(state, reason));
}

static uint64_t noted(const struct crash_notes *n, uint64_t until)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < CRASH_FRAMES; i++)
		count += n->durable[i] && n->durable[i] <= until;
	return count;
}

static void on_durable(void *user, uint64_t frames)
{
	struct crash_writer *w = user;
	struct crash_notes *n = w->run->notes;

	n->called_back += frames;
	if (n->called_back > noted(n, UINT64_MAX))
		crash_fail("%" PRIu64 " frames were called durable before their records were",
		           n->called_back - noted(n, UINT64_MAX));
}

static void on_say(void *user, enum sink_say level, const char *text)
{
	(void)user;
	if (level == SINK_ERROR)
		crash_fail("said: %s", text);
}

static void configure(struct crash_writer *w)
{
	static char bslz4[] = "bslz4", none[] = "none", names[CONFIG_REGIONS_MAX][16];
	const struct crash_case *c = w->run->of;

	for (unsigned i = 0; i < 2; i++) {
		snprintf(w->dirs[i], sizeof w->dirs[i], "%s/%u", w->run->root, i);
		w->config.sinks[i] =
			(struct config_sink){ .format = i ? SINK_RAW : c->format,
			                      .directory = w->dirs[i],
			                      .frames_per_file = PER_FILE,
			                      .sync_ns = SYNC_NS,
			                      .direct = c->direct,
			                      .compression = !i && c->packed ? bslz4 : none };
	}
	w->config.region_count = c->regions;
	for (unsigned i = 0; i < c->regions; i++) {
		snprintf(names[i], sizeof names[i], "r%u", i);
		w->config.regions[i] = (struct config_region){ .name = names[i], .x = i };
	}
	w->config.sink_count = c->second ? 2 : 1;
	w->config.series.step = 1;
	w->config.rotation.start_auto = true;
	w->config.reduce.window_high = 1.5;
	w->config.reduce.average = c->average;
	w->config.reduce.normalise = NORMALISE_TRANSMISSION;
}

static void *take_memory(size_t bytes)
{
	void *at = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);

	if (!at)
		crash_fail("no memory");
	return at;
}

static void open_sinks(struct crash_writer *w)
{
	const struct crash_case *c = w->run->of;
	struct sink_program program = {
		.version = "1.2.3", .commit = "abc", .isa = "scalar", .config_json = w->config_json
	};
	struct sink_geometry g = { .reduced = { .width = c->width,
		                                .height = c->height,
		                                .type = PRODUCT_UINT16,
		                                .bytes = frame_bytes(c) } };
	struct sink_callbacks callbacks = { .user = w,
		                            .released = on_released,
		                            .settled = on_settled,
		                            .durable = on_durable,
		                            .say = on_say };
	char why[256];

	configure(w);
	snprintf(w->config_json, sizeof w->config_json, "{\"reduce\": {\"average\": %u}}",
	         c->average);
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->io = (struct disk_io){ .user = w, .ring = w_ring, .before = w_before, .after = w_after };
	if (sinks_open_with(&w->sinks, &w->config, &program, &callbacks, w->wake_fd, &w->io, why))
		crash_fail("%s", why);
	if (sinks_lay_out(w->sinks, &g))
		crash_fail("cannot lay out");
	w->scratch = take_memory(pack_scratch_bytes());
	for (unsigned i = 0; i < SLOTS; i++) {
		w->slots[i].pixels = take_memory(frame_bytes(c));
		w->slots[i].packed = take_memory(pack_bound(frame_bytes(c), 2));
	}
}

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void poll_sinks(struct crash_writer *w)
{
	uint64_t next = sinks_poll(w->sinks, monotonic_ns()), now = monotonic_ns(), count;
	struct pollfd p = { .fd = w->wake_fd, .events = POLLIN };

	if (next > now)
		(void)poll(&p, 1, (int)((next - now) / 1000000 + 1));
	if (p.revents && read(w->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		crash_fail("eventfd: %s", strerror(errno));
}

static struct slot *free_slot(struct crash_writer *w)
{
	for (;;) {
		for (unsigned i = 0; i < SLOTS; i++)
			if (!w->slots[i].busy)
				return &w->slots[i];
		poll_sinks(w);
	}
}

static void put(struct crash_writer *w, uint64_t number)
{
	const struct crash_case *c = w->run->of;
	struct slot *s = free_slot(w);
	struct region_stats regions[CONFIG_REGIONS_MAX] = { 0 };
	struct reduction d = { .good = (uint64_t)c->width * c->height,
		               .raw = { 1, 2, 1.5, 0.5 },
		               .normalised = { 0, 1, 0.5, 0.25 },
		               .dose = (double)number,
		               .reduced_crc32c = checksum_of(c, number) };
	struct sink_frame f = { .number = number,
		                .received_ns = 5000 + number,
		                .rotation = NAN,
		                .averaged = averaged(c, number),
		                .reduced = s->pixels,
		                .reduction = &d,
		                .regions = regions,
		                .calibration = 7,
		                .owner = s };

	for (unsigned i = 0; i < c->regions; i++)
		regions[i] = (struct region_stats){ .good = number * 100 + i };

	draw(s->pixels, c, number);
	if (c->packed) {
		f.reduced_packed = s->packed;
		f.reduced_packed_bytes =
			pack_bslz4(s->packed, pack_bound(frame_bytes(c), 2), s->pixels,
		                   frame_bytes(c), 2, shuffle_for(cpu_detect()), w->scratch);
	}
	s->busy = true;
	if (mean_of(c, number) == number)
		sinks_put(w->sinks, &f);
	else
		sinks_join(w->sinks, &f);
	(void)sinks_poll(w->sinks, monotonic_ns());
}

static uint64_t frames_put(const struct crash_case *c)
{
	uint64_t frames = 0;

	for (uint64_t i = 0; i < CRASH_FRAMES; i++)
		frames += !is_lost(c, i);
	return frames;
}

static void end_series(struct crash_writer *w)
{
	static const char *const lost = "frames were lost";
	struct totals totals = { 0 };
	uint64_t pixels = frames_put(w->run->of) * w->run->of->width * w->run->of->height;
	uint64_t raw[4] = { pixels }, normalised[2] = { pixels };
	struct sink_summary summary = { .totals = &totals,
		                        .expected_from = "config",
		                        .reasons = &lost,
		                        .reason_count = 1,
		                        .raw_bins = { 4, 0, 4 },
		                        .normalised_bins = { 2, 0, 1.5 },
		                        .raw_counts = raw,
		                        .normalised_counts = normalised };

	sinks_drain(w->sinks);
	totals.expected = CRASH_FRAMES;
	totals.received = totals.written = totals.durable = frames_put(w->run->of);
	totals.missing[MISSING_NEVER] = CRASH_FRAMES - totals.written;
	(void)sinks_end(w->sinks, &summary);
	w->run->notes->ended = true;
}

static void close_sinks(struct crash_writer *w)
{
	sinks_close(w->sinks);
	close(w->wake_fd);
	free(w->scratch);
	for (unsigned i = 0; i < SLOTS; i++) {
		free(w->slots[i].pixels);
		free(w->slots[i].packed);
	}
}

void crash_write(const struct crash_run *r)
{
	struct crash_writer *w = calloc(1, sizeof *w);
	struct sink_start start = { .name = "crash",
		                    .first_known = !r->of->endless,
		                    .frames = r->of->endless ? 0 : CRASH_FRAMES,
		                    .expected_from = "config" };

	if (!w)
		crash_fail("no memory");
	w->run = r;
	open_sinks(w);
	if (r->opened)
		r->opened(r->clock_user);
	if (sinks_begin(w->sinks, &start))
		crash_fail("the series did not begin");
	for (uint64_t i = 0; i < CRASH_FRAMES; i++) {
		if (is_lost(r->of, i))
			sinks_lose(w->sinks, i, FRAME_MISSING, MISSING_NEVER, 0, 0);
		else
			put(w, i);
	}
	end_series(w);
	close_sinks(w);
	free(w);
}

/* ---- tables ---- */

static int k_before(void *user, const struct disk_call *c, uint64_t *length)
{
	const struct crash_kill *k = user;

	(void)c;
	(void)length;
	if (++*k->calls == k->nth && k->moment == CRASH_BEFORE)
		raise(SIGKILL);
	return 0;
}

static void k_after(void *user, const struct disk_call *c, int64_t result)
{
	const struct crash_kill *k = user;

	(void)c;
	(void)result;
	if (*k->calls == k->nth && k->moment == CRASH_AFTER)
		raise(SIGKILL);
}

const struct disk_io *crash_kill_io(struct crash_kill *k)
{
	k->io = (struct disk_io){ .user = k, .before = k_before, .after = k_after };
	return &k->io;
}

/* ---- proving ---- */

struct said {
	char text[16384];
	unsigned errors;
};

static void add_line(struct said *s, const char *where, const char *what)
{
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof s->text - n, "  %s%s%s\n", where, *where ? ": " : "", what);
}

static void on_recover_say(void *user, enum sink_say level, const char *text)
{
	struct said *s = user;

	s->errors += level == SINK_ERROR;
	add_line(s, "", text);
}

static void on_found(void *user, enum audit_kind kind, const char *where, const char *what)
{
	if (kind == AUDIT_FINDING)
		add_line(user, where, what);
}

static void series_path(char ret[256], const char *root, unsigned parent)
{
	snprintf(ret, 256, "%s/%u/" SERIES, root, parent);
}

static int recover(const char *root, const struct disk_io *io, struct recover_result *ret,
                   struct said *said, char why[512])
{
	struct recover_options o = {
		.io = io, .version = "1.2.3", .user = said, .say = on_recover_say
	};
	char path[256];

	series_path(path, root, 0);
	return recover_series(path, &o, ret, why);
}

int crash_recover(const char *root, const struct disk_io *io, char why[512])
{
	struct recover_result r;
	struct said said = { 0 };

	return recover(root, io, &r, &said, why);
}

/* Names in the folder that end so. */
static unsigned count_names(const char *folder, const char *suffix)
{
	DIR *d = opendir(folder);
	unsigned n = 0;

	if (!d)
		return 0;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		size_t length = strlen(e->d_name), end = strlen(suffix);

		n += length >= end && strcmp(e->d_name + length - end, suffix) == 0;
	}
	closedir(d);
	return n;
}

static bool exists(const char *folder, const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

/* What is at the frame's place, without any library. */
static void check_bytes(const struct crash_case *c, const char *folder, const char *suffix,
                        const struct journal_record *r, const char *what)
{
	unsigned char *expected = malloc(frame_bytes(c)), *found = calloc(1, frame_bytes(c));
	char path[512];
	int fd;

	snprintf(path, sizeof path, "%s/" SERIES "_%06" PRIu32 "%s", folder, r->file, suffix);
	fd = open(path, O_RDONLY);
	draw(expected, c, mean_of(c, r->number));
	if (fd < 0 || r->length != frame_bytes(c) ||
	    pread(fd, found, frame_bytes(c), (off_t)r->offset) != (ssize_t)frame_bytes(c) ||
	    memcmp(expected, found, frame_bytes(c)) != 0)
		crash_fail("%s: frame %" PRIu64 " is not in %s at %" PRIu64, what, r->number, path,
		           r->offset);
	close(fd);
	free(expected);
	free(found);
}

static void check_quality(const struct crash_case *c, const struct journal_record *r,
                          const char *what)
{
	bool same = r->dose == (double)r->number && r->calibration == 7;

	for (unsigned i = 0; i < c->regions; i++) {
		struct region_stats s;

		journal_decode_region(&s, r->regions + i * (size_t)JOURNAL_REGION_BYTES);
		same = same && s.good == r->number * 100 + i;
	}
	if (!same)
		crash_fail("%s: the record of frame %" PRIu64 " has another dose or region", what,
		           r->number);
}

static void check_record(const struct crash_case *c, const char *folder, const char *suffix,
                         const struct journal_record *r, const char *what)
{
	check_quality(c, r, what);
	if (r->number >= CRASH_FRAMES || r->crc32c != checksum_of(c, mean_of(c, r->number)))
		crash_fail("%s: the record of frame %" PRIu64 " has a wrong checksum", what,
		           r->number);
	if (!c->packed || strcmp(suffix, ".raw") == 0)
		check_bytes(c, folder, suffix, r, what);
}

/* Which numbers a journal calls written; each number of the series once. */
static uint64_t read_ledger(const struct crash_case *c, const char *root, const char *journal,
                            unsigned parent, bool written[CRASH_FRAMES], const char *what)
{
	struct journal_view v;
	char folder[256], data[256];
	uint64_t count = 0, all = 0;
	int fd, err;

	series_path(folder, root, 0);
	series_path(data, root, parent);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = journal_view_open(&v, fd, journal, UINT64_MAX);
	close(fd);
	if (err)
		crash_fail("%s: %s: %s", what, journal, strerror(-err));
	memset(written, 0, CRASH_FRAMES * sizeof *written);
	for (uint32_t i = 0; i < v.records; i++) {
		struct journal_record r;

		journal_view_record(&v, i, &r);
		all += r.repeat;
		if (r.state != FRAME_WRITTEN)
			continue;
		check_record(c, data, v.header.suffix, &r, what);
		if (written[r.number])
			crash_fail("%s: frame %" PRIu64 " is written twice", what, r.number);
		written[r.number] = true;
		count++;
	}
	if (all != CRASH_FRAMES && !(c->endless && all < CRASH_FRAMES))
		crash_fail("%s: %s is about %" PRIu64 " frames", what, journal, all);
	journal_view_close(&v);
	return count;
}

static void check_promise(const struct crash_notes *n, uint64_t until,
                          const bool written[CRASH_FRAMES], const char *what)
{
	for (unsigned i = 0; i < CRASH_FRAMES; i++)
		if (n->durable[i] && n->durable[i] <= until && !written[i])
			crash_fail("%s: frame %u was durable and is lost", what, i);
}

/* Before there is a journal there is nothing to recover, and nothing may have been promised. */
static bool nothing_yet(const char *root, const struct crash_notes *n, uint64_t until, int err,
                        const char *what)
{
	char path[256];

	series_path(path, root, 0);
	if (err != -ENOENT || exists(path, "journal.bin") || exists(path, "manifest.json"))
		return false;
	if (noted(n, until))
		crash_fail("%s: %" PRIu64 " durable frames and no series", what, noted(n, until));
	return true;
}

static struct audit_result audit(const char *root, struct said *said)
{
	struct audit_options o = { .user = said, .found = on_found };
	struct audit_result a;
	char path[256];

	series_path(path, root, 0);
	audit_series(path, &o, &a);
	return a;
}

static void check_again(const char *root, const char *what)
{
	uint64_t sum = crash_folder_sum(root);
	struct recover_result r;
	struct said said = { 0 };
	char why[512];
	int err = recover(root, NULL, &r, &said, why);

	if (err || said.errors)
		crash_fail("%s: recovery once more: %s\n%s", what, why, said.text);
	if (crash_folder_sum(root) != sum)
		crash_fail("%s: recovery once more changes something\n%s", what, said.text);
}

static uint64_t check_frames(const struct crash_case *c, const char *root,
                             const struct crash_notes *n, uint64_t until,
                             const struct audit_result *a, const char *what)
{
	bool written[CRASH_FRAMES];
	char path[256];
	uint64_t count = read_ledger(c, root, "journal.bin", 0, written, what);

	check_promise(n, until, written, what);
	if (a->written != count || a->frames < count || a->read_back != count)
		crash_fail("%s: %" PRIu64 " frames are written, the audit has %" PRIu64
		           " and reads back %" PRIu64,
		           what, count, a->written, a->read_back);
	series_path(path, root, 0);
	/* The last journal is there before the first frame is. */
	if (c->second && (noted(n, until) || exists(path, "journal-1.bin")))
		(void)read_ledger(c, root, "journal-1.bin", 1, written, what);
	return count;
}

uint64_t crash_prove(const struct crash_case *c, const char *root, const struct crash_notes *n,
                     uint64_t until, const char *what)
{
	struct said said = { 0 };
	struct recover_result r;
	struct audit_result a;
	char why[512], path[256];
	uint64_t written = 0;
	int err = recover(root, NULL, &r, &said, why);

	if (nothing_yet(root, n, until, err, what))
		return 0;
	if (err || said.errors)
		crash_fail("%s: recovery: %s\n%s", what, why, said.text);
	a = audit(root, &said);
	if (a.verdict != AUDIT_SOUND && a.verdict != AUDIT_LOSSES)
		crash_fail("%s: audit: verdict %d\n%s", what, a.verdict, said.text);
	series_path(path, root, 0);
	if (exists(path, "journal.bin"))
		written = check_frames(c, root, n, until, &a, what);
	else if (noted(n, until))
		crash_fail("%s: durable frames and no journal", what);
	for (unsigned i = 0; i < 2; i++) {
		series_path(path, root, i);
		if (count_names(path, ".part"))
			crash_fail("%s: a .part is left in %s\n%s", what, path, said.text);
	}
	check_again(root, what);
	return written;
}

/* ---- folders ---- */

const char *crash_memory(void)
{
	const char *asked = getenv("TMPDIR");

	if (asked && asked[0])
		return asked;
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static void make_parents(const char *root)
{
	char path[160];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%u", root, i);
		if (mkdir(path, 0777) < 0 && errno != EEXIST)
			crash_fail("%s: %s", path, strerror(errno));
	}
}

void crash_folder_make(char ret[128], const char *where, const char *name)
{
	snprintf(ret, 128, "%.60s/openbeam-%.20s-XXXXXX", where, name);
	if (!mkdtemp(ret))
		crash_fail("%s: %s", ret, strerror(errno));
	if (made_count < sizeof made / sizeof *made) {
		snprintf(made[made_count].path, sizeof made[0].path, "%s", ret);
		made[made_count++].by = getpid();
	}
	make_parents(ret);
}

void crash_folder_remove(const char *root)
{
	run_on("rm -rf -- '%s'%s", root, "");
	made_count = 0; /* all of them are, together */
}

/* Names of a folder without those of itself and its parent, sorted; the caller's to free. */
static int is_inside(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static void each_inside(const char *folder, void (*visit)(const char *path, void *user), void *user)
{
	struct dirent **names;
	int n = scandir(folder, &names, is_inside, alphasort);

	for (int i = 0; i < n; i++) {
		char path[640];

		snprintf(path, sizeof path, "%.380s/%.255s", folder, names[i]->d_name);
		visit(path, user);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static bool is_folder(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void remove_one(const char *path, void *user)
{
	if (is_folder(path))
		each_inside(path, remove_one, user);
	if (remove(path) < 0)
		crash_fail("%s: %s", path, strerror(errno));
}

void crash_folder_wipe(const char *root)
{
	each_inside(root, remove_one, NULL);
}

void crash_folder_empty(const char *root)
{
	crash_folder_wipe(root);
	make_parents(root);
}

void crash_folder_copy(const char *from, const char *to)
{
	crash_folder_empty(to);
	run_on("cp -a -- '%s/.' '%s'", from, to);
}

static void sum_bytes(uint64_t *sum, const void *bytes, size_t n)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < n; i++)
		*sum = (*sum ^ at[i]) * UINT64_C(0x100000001b3);
}

static void sum_one(const char *path, void *user)
{
	unsigned char bytes[65536];
	int fd;

	sum_bytes(user, path, strlen(path));
	if (is_folder(path)) {
		each_inside(path, sum_one, user);
		return;
	}
	fd = open(path, O_RDONLY);
	for (ssize_t n = read(fd, bytes, sizeof bytes); n > 0; n = read(fd, bytes, sizeof bytes))
		sum_bytes(user, bytes, (size_t)n);
	close(fd);
}

uint64_t crash_folder_sum(const char *root)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	each_inside(root, sum_one, &sum);
	return sum;
}
