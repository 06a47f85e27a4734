/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/recover_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES    100
#define LOCK_AGAIN_NS 20000000

void recover_say(struct recover *r, enum sink_say level, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	r->result->troubles += level == SINK_ERROR;
	if (r->options->say)
		r->options->say(r->options->user, level, text);
}

/* ---- opening ---- */

static const struct format *format_of(const struct journal_header *h)
{
	for (const struct format *const *f = formats; *f; f++)
		if ((*f)->suffix && strcmp((*f)->suffix, h->suffix) == 0)
			return *f;
	return NULL;
}

/* Whether what the header says can be counted with. */
static bool is_sane(const struct recover_lane *l)
{
	const struct journal_header *h = &l->view.header;
	uint64_t pixels = (uint64_t)h->width * h->height;

	if (h->suffix[0] && !l->format)
		return false;
	if (h->step == 0 || strchr(h->folder, '/') || h->folder[0] == '\0')
		return false;
	if (!l->format)
		return true;
	return h->type < PRODUCT_TYPE_COUNT && h->normalise <= NORMALISE_ATTENUATION &&
	       h->average > 0 && h->average <= 65536 && pixels > 0 && h->frame_bytes > 0 &&
	       pixels <= UINT64_MAX / 8 &&
	       h->frame_bytes == pixels * product_bytes((enum product_type)h->type) &&
	       h->head_bytes == l->format->head_bytes;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* Manifests say whole paths; one that was written as relative is so to the folder from which the
 * daemon saw this one by the path that is in it. */
static bool resolve(const struct recover *r, const char *directory, char ret[4096])
{
	const char *path = json_string_value(json_object_get(r->manifest, "path"));
	char *here = realpath(r->path, NULL);
	bool found = directory[0] == '/' || (here && path && ends_with(here, path));

	if (directory[0] == '/')
		snprintf(ret, 4096, "%s", directory);
	else if (found)
		snprintf(ret, 4096, "%.*s%s", (int)(strlen(here) - strlen(path)), here, directory);
	free(here);
	return found;
}

/* The folder of a series has its name, wherever it is. */
static bool has_name(const char *directory, const char *folder)
{
	const char *last = strrchr(directory, '/');

	return last && strcmp(last + 1, folder) == 0;
}

/* Data files of a further sink may be in another directory. */
static void open_data_folder(struct recover *r, struct recover_lane *l)
{
	const struct journal_header *h = &l->view.header;
	const char *directory = recover_manifest_directory(r->manifest, h->sink);

	if (h->primary || !directory) {
		l->folder = dup(r->folder);
		snprintf(l->path, sizeof l->path, "%s", r->path);
		return;
	}
	if (!resolve(r, directory, l->path) || !has_name(l->path, h->folder)) {
		recover_say(r, SINK_ERROR,
		            "sink %u: its folder is %s by the manifest, which is no folder of "
		            "series %s seen from here: its files are left alone",
		            h->sink, directory, h->folder);
		return;
	}
	l->folder = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->folder < 0)
		recover_say(r, SINK_ERROR, "sink %u: cannot open its folder %s: %s", h->sink,
		            l->path, strerror(errno));
}

/* What io_uring still had in hand keeps the files of a killed process open, and their locks, for a
 * while after its end. */
static int wait_for_lock(int fd)
{
	const struct timespec moment = { .tv_nsec = LOCK_AGAIN_NS };
	int err = 0;

	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		err = -errno;
		if (err != -EWOULDBLOCK)
			return err;
		(void)nanosleep(&moment, NULL);
	}
	return err;
}

static int lock_journal(const struct recover *r, struct recover_lane *l, char why[512])
{
	int err;

	l->journal_fd = openat(r->folder, l->journal, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (l->journal_fd < 0)
		return -errno;
	err = wait_for_lock(l->journal_fd);
	if (err != -EWOULDBLOCK)
		return err;
	snprintf(why, 512, "%s: a running daemon still writes this series: end it first", r->path);
	return -EBUSY;
}

static int read_journal(struct recover *r, struct recover_lane *l, char why[512])
{
	int err = journal_view_open(&l->view, r->folder, l->journal, UINT64_MAX);

	if (err == -EINVAL && journal_is_unbegun(l->journal_fd)) {
		l->unbegun = true;
		return 0;
	}
	if (err) {
		snprintf(why, 512, "%s/%s: %s", r->path, l->journal,
		         err == -EINVAL ? "is no journal of this version, or its header is damaged"
		                        : strerror(-err));
		return err;
	}
	l->format = format_of(&l->view.header);
	l->shape = (struct sink_shape){ .width = l->view.header.width,
		                        .height = l->view.header.height,
		                        .type = (enum product_type)l->view.header.type,
		                        .bytes = (size_t)l->view.header.frame_bytes };
	if (is_sane(l))
		return 0;
	snprintf(why, 512, "%s/%s: its header makes no sense", r->path, l->journal);
	return -EINVAL;
}

/* 1: there is no such journal. */
static int open_lane(struct recover *r, const char *journal, const char *csv, char why[512])
{
	struct recover_lane *l = &r->lanes[r->lane_count];
	int err;

	*l = (struct recover_lane){ .journal_fd = -1, .folder = -1 };
	snprintf(l->journal, sizeof l->journal, "%s", journal);
	snprintf(l->csv, sizeof l->csv, "%s", csv);
	err = lock_journal(r, l, why);
	if (err == -ENOENT)
		return 1;
	if (err && err != -EBUSY)
		snprintf(why, 512, "%s/%s: %s", r->path, l->journal, strerror(-err));
	r->lane_count++;
	return err;
}

static int read_lanes(struct recover *r, char why[512])
{
	int err = 0;

	for (unsigned i = 0; i < r->lane_count && !err; i++) {
		err = read_journal(r, &r->lanes[i], why);
		if (!err && !r->lanes[i].unbegun)
			open_data_folder(r, &r->lanes[i]);
	}
	return err;
}

static int open_lanes(struct recover *r, char why[512])
{
	int err = open_lane(r, "journal.bin", "frames.csv", why);

	for (unsigned i = 0; i < CONFIG_SINKS_MAX && err >= 0; i++) {
		char journal[32], csv[32];

		if (r->lane_count == CONFIG_SINKS_MAX)
			break;
		snprintf(journal, sizeof journal, "journal-%u.bin", i);
		snprintf(csv, sizeof csv, "sink-%u.csv", i);
		err = open_lane(r, journal, csv, why);
	}
	return err < 0 ? err : 0;
}

static void close_lane(struct recover_lane *l)
{
	journal_view_close(&l->view);
	for (size_t i = 0; i < l->file_count; i++)
		free(l->files[i].places);
	free(l->files);
	if (l->folder >= 0)
		close(l->folder);
	if (l->journal_fd >= 0)
		close(l->journal_fd);
}

/* ---- the series ---- */

static bool was_running(const struct recover *r)
{
	const char *state = json_string_value(json_object_get(r->manifest, "state"));

	return !state || strcmp(state, "running") == 0;
}

/* Recovery found none either, and said so. */
static bool had_no_journal(const struct recover *r)
{
	const json_t *sinks = json_object_get(r->manifest, "sinks");

	return json_is_array(sinks) && json_array_size(sinks) == 0;
}

static int finish_lane(struct recover *r, struct recover_lane *l)
{
	int err = recover_place(r, l), later;

	if (err)
		return err;
	err = recover_files(r, l);
	later = recover_table(r, l);
	if (!later)
		later = recover_ledger(r, l);
	err = err ? err : later;
	if (!later)
		later = recover_report(r, l);
	return err ? err : later;
}

static void count(struct recover *r)
{
	for (unsigned i = 0; i < r->lane_count; i++) {
		const struct recover_lane *l = &r->lanes[i];
		uint64_t lost = l->expected - l->written;

		if (i > 0) {
			r->result->further_lost += lost;
			continue;
		}
		r->result->expected = l->expected;
		r->result->written = l->written;
		r->result->lost = lost;
		r->result->crashed = l->crashed;
	}
}

/* Masters hold the manifest; it is written last, and says that all is done. */
static int write_manifest(struct recover *r)
{
	json_t *m = recover_manifest(r);
	int err = m ? 0 : -ENOMEM;

	for (unsigned i = 0; i < r->lane_count && !r->unbegun && !err; i++)
		err = recover_master(r, &r->lanes[i], m);
	if (m && err) /* what else is there is worth saying */
		recover_manifest_reason(m, "the HDF5 master could not be made");
	if (m) {
		int later = recover_manifest_write(r, m);

		err = err ? err : later;
	}
	json_decref(m);
	return err ? err : disk_sync(r->options->io, r->folder);
}

/* Whether the daemon ended before any frame could be durable: all journals are open before the
 * first one is taken. */
static bool is_empty(const struct recover *r)
{
	bool unbegun = r->lane_count == 0;
	uint64_t records = 0;

	for (unsigned i = 0; i < r->lane_count; i++) {
		unbegun = unbegun || r->lanes[i].unbegun;
		records += r->lanes[i].view.records;
	}
	return unbegun && records == 0;
}

/* What is left is a manifest without sinks; journals that hold nothing go. */
static int finish_empty(struct recover *r)
{
	int err;

	recover_say(r, SINK_WARNING, "%s: " RECOVER_UNBEGUN, r->path);
	r->unbegun = true;
	err = write_manifest(r);
	for (unsigned i = 0; i < r->lane_count && !err; i++)
		err = disk_remove(r->options->io, r->folder, r->lanes[i].journal);
	return err ? err : disk_sync(r->options->io, r->folder);
}

static bool exists(int folder, const char *name)
{
	struct stat st;

	return folder < 0 || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* As it was counted last: frames that came in the second before the crash are not in it, and those
 * that were not durable are. */
static int write_histogram(struct recover *r)
{
	const struct checkpoint_view *v = &r->checkpoint;
	struct sink_summary s = { .raw_bins = v->raw_bins,
		                  .normalised_bins = v->normalised_bins,
		                  .raw_counts = v->counts,
		                  .normalised_counts = v->counts + v->raw_bins.bins,
		                  .raw_tails = v->raw_tails,
		                  .normalised_tails = v->normalised_tails };
	int err;

	if (!r->has_checkpoint)
		return 0;
	if (exists(r->folder, "histogram.csv")) { /* the daemon's own, which is whole */
		(void)disk_remove(r->options->io, r->folder, CHECKPOINT_NAME);
		return 0;
	}
	err = report_histogram(r->options->io, r->folder, &s, true);
	if (err)
		return err;
	(void)disk_remove(r->options->io, r->folder, CHECKPOINT_NAME);
	return 0;
}

static int finish_series(struct recover *r)
{
	int err = 0;

	for (unsigned i = 0; i < r->lane_count; i++) {
		int later = finish_lane(r, &r->lanes[i]);

		if (later == -ENOENT) /* said where it was found: the manifest names it, too */
			later = 0;
		if (later)
			recover_say(r, SINK_ERROR, "%s: recovery with %s failed: %s", r->path,
			            r->lanes[i].journal, strerror(-later));
		err = err ? err : later;
	}
	count(r);
	if (!err)
		err = write_histogram(r);
	return err ? err : write_manifest(r);
}

/* ---- what needs nothing ---- */

static bool has_parts(const struct recover_lane *l)
{
	int again = l->folder < 0 ? -1 : openat(l->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	bool found = false;

	if (!d) {
		if (again >= 0)
			close(again);
		return false;
	}
	for (struct dirent *e = readdir(d); e && !found; e = readdir(d))
		found = ends_with(e->d_name, PART_SUFFIX);
	closedir(d);
	return found;
}

/* Numbers that the journal knows; a daemon whose journal failed told of others in its reports. */
static uint64_t numbers_of(const struct recover_lane *l)
{
	uint64_t numbers = 0;

	for (uint32_t i = 0; i < l->view.records; i++) {
		struct journal_record record;

		journal_view_record(&l->view, i, &record);
		numbers += record.repeat;
	}
	return numbers;
}

static uint64_t total(const json_t *totals, const char *key)
{
	json_t *value = json_object_get(totals, key), *count;
	const char *name;
	uint64_t sum = 0;

	if (json_is_integer(value))
		return (uint64_t)json_integer_value(value);
	json_object_foreach(value, name, count) sum += (uint64_t)json_integer_value(count);
	return sum;
}

static bool lane_is_finished(const struct recover *r, const struct recover_lane *l)
{
	const json_t *totals = json_object_get(r->manifest, "totals");
	char master[PART_NAME_MAX];

	snprintf(master, sizeof master, "%.200s.h5", l->view.header.folder);
	return !l->unbegun && exists(r->folder, l->csv) && !has_parts(l) &&
	       numbers_of(l) == total(totals, "expected") &&
	       l->view.bytes == journal_view_bytes(&l->view) &&
	       (!l->format || l->format->id != SINK_HDF5 || exists(l->folder, master));
}

/* A series that its daemon or recovery ended, and that lacks nothing, is left as it is. */
static bool is_finished(const struct recover *r)
{
	bool finished = r->lane_count > 0 && r->manifest && !was_running(r) && !r->has_checkpoint &&
	                exists(r->folder, "histogram.csv");

	for (unsigned i = 0; i < r->lane_count && finished; i++)
		finished = lane_is_finished(r, &r->lanes[i]);
	return finished;
}

static void tell_totals(struct recover *r)
{
	const json_t *totals = json_object_get(r->manifest, "totals");

	r->result->expected = total(totals, "expected");
	r->result->written = total(totals, "written");
	r->result->lost = total(totals, "dropped") + total(totals, "missing");
}

static void close_all(struct recover *r)
{
	for (unsigned i = 0; i < r->lane_count; i++)
		close_lane(&r->lanes[i]);
	json_decref(r->manifest);
	checkpoint_view_close(&r->checkpoint);
	if (r->folder >= 0)
		close(r->folder);
}

/* Whether the journals are enough to go on: 0, or -ENOENT or -EINVAL with why[]. */
static int check_journals(const struct recover *r, char why[512])
{
	/* A manifest that says how the series ended is worth more than none. */
	if (r->lane_count == 0 && !(r->manifest && (was_running(r) || had_no_journal(r)))) {
		snprintf(why, 512, "%s: %s", r->path,
		         r->manifest ? "its journal is not there: nothing can be finished"
		                     : "no series here: neither a journal nor a manifest");
		return -ENOENT;
	}
	for (unsigned i = 0; i < r->lane_count && !is_empty(r); i++)
		if (r->lanes[i].unbegun) {
			snprintf(why, 512, "%s/%s: is no journal, and others have records", r->path,
			         r->lanes[i].journal);
			return -EINVAL;
		}
	return 0;
}

int recover_series(const char *path, const struct recover_options *o, struct recover_result *ret,
                   char why[512])
{
	struct recover r = { .options = o, .result = ret, .path = path };
	int err;

	*ret = (struct recover_result){ 0 };
	why[0] = '\0';
	r.folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r.folder < 0) {
		err = -errno;
		snprintf(why, 512, "%s: %s", path, strerror(-err));
		return err;
	}
	err = open_lanes(&r, why);
	/* Only with the locks is all of it what the daemon left. */
	r.manifest = recover_manifest_load(r.folder);
	r.has_checkpoint = checkpoint_view_open(&r.checkpoint, r.folder) == 0;
	if (!err)
		err = read_lanes(&r, why);
	if (!err)
		err = check_journals(&r, why);
	if (!err) {
		ret->cut_off = was_running(&r);
		err = recover_check(&r, why);
		if (!err && is_finished(&r))
			tell_totals(&r);
		else if (!err)
			err = is_empty(&r) ? finish_empty(&r) : finish_series(&r);
		if (err && why[0] == '\0')
			snprintf(why, 512, "%s: %s", path, strerror(-err));
	}
	close_all(&r);
	return err;
}
