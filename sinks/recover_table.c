/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/recover_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Losses that only the table of an ended series has: its daemon noted them there when the journal
 * took no more. They go into the journal, from which the table is made anew. */

#define LINE_MAX_ 8192

enum column { NUMBER, STATE, REASON, FLAGS, TIMESTAMP = 7, RECEIVED = 8, COLUMN_COUNT };

struct table {
	struct recover *recover;
	struct recover_lane *lane;
	struct journal_record *known; /* [known_count], by number */
	size_t known_count;
	uint32_t records; /* in the journal, with those appended */
};

static int by_number(const void *a, const void *b)
{
	const struct journal_record *left = a, *right = b;

	return left->number < right->number ? -1 : left->number > right->number;
}

/* Whether a record is about the number. */
static bool is_known(const struct table *t, uint64_t number)
{
	size_t low = 0, high = t->known_count;
	const struct journal_record *r;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->known[middle].number <= number)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	r = &t->known[low - 1]; /* the last that does not begin behind it */
	return r->number == number || (r->step && (number - r->number) % r->step == 0 &&
	                               (number - r->number) / r->step < r->repeat);
}

static int list_known(struct table *t)
{
	const struct journal_view *v = &t->lane->view;

	t->known = malloc((v->records ? v->records : 1) * sizeof *t->known);
	if (!t->known)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->records; i++)
		journal_view_record(v, i, &t->known[t->known_count++]);
	qsort(t->known, t->known_count, sizeof *t->known, by_number);
	return 0;
}

static bool find_reason(struct journal_record *r, const char *state, const char *reason)
{
	for (unsigned s = FRAME_DROPPED; s <= FRAME_MISSING; s++)
		for (unsigned i = 0; strcmp(state, frame_state_name((enum frame_state)s)) == 0 &&
		                     *frame_reason_name((enum frame_state)s, i);
		     i++)
			if (strcmp(reason, frame_reason_name((enum frame_state)s, i)) == 0) {
				r->state = (enum frame_state)s;
				r->reason = i;
				return true;
			}
	return false;
}

/* A line of a frame that was lost. */
static bool parse(char *line, uint64_t step, struct journal_record *ret)
{
	char *column[COLUMN_COUNT], *end;

	line[strcspn(line, "\n")] = '\0';
	for (unsigned i = 0; i < COLUMN_COUNT; i++) {
		column[i] = line ? strsep(&line, ",") : NULL;
		if (!column[i])
			return false;
	}
	*ret = (struct journal_record){
		.file = JOURNAL_NO_FILE, .repeat = 1, .step = step, .rotation = NAN, .dose = NAN
	};
	errno = 0;
	ret->number = strtoull(column[NUMBER], &end, 10);
	ret->timestamp_ns = strtoull(column[TIMESTAMP], NULL, 10);
	ret->received_ns = strtoull(column[RECEIVED], NULL, 10);
	ret->flags = frame_flags_of(column[FLAGS]);
	return end != column[NUMBER] && *end == '\0' && errno == 0 &&
	       find_reason(ret, column[STATE], column[REASON]);
}

static int append(struct table *t, const struct journal_record *r)
{
	const struct disk_io *io = t->recover->options->io;
	unsigned regions = t->lane->view.header.region_count;
	unsigned char bytes[JOURNAL_RECORD_MAX];
	uint64_t end = journal_offset(regions, t->records);

	journal_encode(bytes, r, t->records++, regions);
	return disk_write(io, t->lane->journal_fd, bytes, journal_record_bytes(regions), end);
}

static int take_lines(struct table *t, FILE *f)
{
	char line[LINE_MAX_];
	int err = 0;

	while (!err && fgets(line, sizeof line, f)) {
		struct journal_record r;

		if (parse(line, t->lane->view.header.step, &r) && !is_known(t, r.number))
			err = append(t, &r);
	}
	return err;
}

static FILE *open_table(const struct recover *r, const struct recover_lane *l)
{
	int fd = openat(r->folder, l->csv, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	FILE *f = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? fdopen(fd, "r") : NULL;

	if (!f && fd >= 0)
		close(fd);
	return f;
}

int recover_table(struct recover *r, struct recover_lane *l)
{
	struct table t = { .recover = r, .lane = l, .records = l->view.records };
	FILE *f = r->result->cut_off ? NULL : open_table(r, l);
	int err;

	if (!f)
		return 0;
	err = list_known(&t);
	if (!err)
		err = take_lines(&t, f);
	fclose(f);
	free(t.known);
	if (!err && t.records > l->view.records) {
		err = disk_sync(r->options->io, l->journal_fd);
		if (!err)
			err = recover_map_again(r, l);
	}
	return err;
}
