/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/top_screen.h"
#include "daemon/remote.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define ROWS_MAX   80
#define ROW_BYTES  2048
#define LABEL      10 /* columns */
#define BAR        24
#define SPARK_MOST 60
#define END_BYTES  16 /* of a row, for what ends its colours */

/* How long a row stays when there is no room for all. */
enum { GOES_FIRST, NICE, USEFUL, WANTED, NEEDED, VITAL };

struct row {
	int importance;
	size_t bytes;
	unsigned columns;
	const char *colour; /* NULL: plain */
	char text[ROW_BYTES];
};

struct page {
	const struct top_view *view;
	unsigned count;
	struct row rows[ROWS_MAX];
};

#define RED    "\033[1;31m"
#define YELLOW "\033[33m"
#define GREEN  "\033[32m"
#define BOLD   "\033[1m"
#define DIM    "\033[2m"
#define PLAIN  "\033[0m"

/* ---- rows ---- */

static struct row *last(struct page *p)
{
	return &p->rows[p->count - 1];
}

static void add_bytes(struct row *r, const char *bytes, size_t n)
{
	if (r->bytes + n + END_BYTES > ROW_BYTES)
		return;
	memcpy(r->text + r->bytes, bytes, n);
	r->bytes += n;
}

static void paint(struct page *p, const char *colour)
{
	struct row *r = last(p);
	const char *now = r->colour ? r->colour : PLAIN;

	if (!p->view->colour || strcmp(colour, now) == 0)
		return;
	add_bytes(r, colour, strlen(colour));
	r->colour = strcmp(colour, PLAIN) != 0 ? colour : NULL;
}

/* One character, if there is still room for it. */
static void put_character(struct page *p, const char *bytes, size_t n, unsigned columns)
{
	struct row *r = last(p);

	if (r->columns + columns > p->view->width || r->bytes + n + END_BYTES > ROW_BYTES)
		return;
	add_bytes(r, bytes, n);
	r->columns += columns;
}

/* The character at `text` [left]: its bytes, and its columns; 0 columns: it cannot be shown. */
static size_t character(const struct page *p, const char *text, size_t left, unsigned *ret_columns)
{
	unsigned char c = (unsigned char)text[0];
	mbstate_t state = { 0 };
	wchar_t wide;

	*ret_columns = c >= ' ' && c < 0x7f;
	if (c < 0x80)
		return 1;
	/* Some decoders accept ends of sequences by themselves: one sign for each whole one. */
	size_t n = p->view->utf8 ? mbrtowc(&wide, text, left, &state) : (size_t)-1;
	if (n == (size_t)-1 || n == (size_t)-2) {
		for (n = 1; n < left && ((unsigned char)text[n] & 0xc0) == 0x80; n++)
			;
		return n;
	}
	int columns = wcwidth(wide);
	*ret_columns = columns > 0 ? (unsigned)columns : 0;
	return n;
}

/* Text from anywhere. What turns the direction of writing has no width, and goes with that. */
static void put(struct page *p, const char *text)
{
	size_t left = strlen(text), n;

	for (; left > 0; text += n, left -= n) {
		unsigned columns;

		n = character(p, text, left, &columns);
		put_character(p, columns ? text : "?", columns ? n : 1, columns ? columns : 1);
	}
}

__attribute__((format(printf, 2, 3))) static void say(struct page *p, const char *format, ...)
{
	char text[800];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	put(p, text);
}

/* Begin a row; label NULL: all of it is text. */
static void begin(struct page *p, int importance, const char *label)
{
	if (p->count < ROWS_MAX)
		p->count++;
	*last(p) = (struct row){ .importance = importance };
	if (p->view->trouble && importance < VITAL)
		paint(p, DIM);
	if (label)
		say(p, "%-*s", LABEL, label);
}

/* ---- figures ---- */

static const json_t *part(const struct page *p, const char *key)
{
	return json_object_get(p->view->status, key);
}

static void say_duration(struct page *p, double s)
{
	if (s < 100)
		say(p, "%.1f s", s);
	else if (s < 6000)
		say(p, "%.0f min", s / 60);
	else if (s < 3.6e5)
		say(p, "%.0f h", s / 3600);
	else if (s < 8.64e8)
		say(p, "%.0f days", s / 86400);
	else
		put(p, "years");
}

static void say_bytes(struct page *p, double bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
	unsigned i = 0;

	for (; bytes >= 999.5 && i + 1 < sizeof units / sizeof *units; i++)
		bytes /= 1000;
	say(p,
	    i == 0          ? "%.0f %s"
	    : bytes < 9.995 ? "%.2f %s"
	    : bytes < 99.95 ? "%.1f %s"
	                    : "%.0f %s",
	    bytes, units[i]);
}

static void put_bar(struct page *p, double share)
{
	unsigned columns = p->view->width < 60 ? BAR / 3 : BAR;
	unsigned full = share > 0 ? (unsigned)lrint(fmin(share, 1) * columns) : 0;

	put(p, "[");
	for (unsigned i = 0; i < columns; i++)
		put(p,
		    i < full ? (p->view->utf8 ? "\u2588" : "#") : (p->view->utf8 ? "\u2591" : "."));
	say(p, "] %3.0f %%", 100 * fmin(fmax(share, 0), 1));
}

/* The latest figures, as high as they are beside the greatest of them. */
static void put_past(struct page *p, const double *values, unsigned count)
{
	static const char *const blocks[] = { "\u2581", "\u2582", "\u2583", "\u2584",
		                              "\u2585", "\u2586", "\u2587", "\u2588" };
	static const char *const letters[] = { "_", ".", ":", "-", "=", "+", "*", "#" };
	unsigned used = last(p)->columns, room = p->view->width > used ? p->view->width - used : 0;
	double top = 0;

	if (count < 2)
		return;
	if (room > SPARK_MOST)
		room = SPARK_MOST;
	if (count > room) {
		values += count - room;
		count = room;
	}
	for (unsigned i = 0; i < count; i++)
		top = fmax(top, values[i]);
	for (unsigned i = 0; i < count; i++) {
		unsigned level = top > 0 ? (unsigned)lrint(7 * fmax(values[i], 0) / top) : 0;

		put(p, p->view->utf8 ? blocks[level] : letters[level]);
	}
}

/* ---- what is said ---- */

static uint64_t lost(const struct page *p)
{
	const json_t *f = part(p, "frames");

	return remote_sum(json_object_get(f, "dropped")) +
	       remote_sum(json_object_get(f, "missing"));
}

static void put_state(struct page *p)
{
	const char *state = remote_text(p->view->status, "state");
	bool bad = strcmp(state, "degraded") == 0 || strcmp(state, "error") == 0;
	size_t alarms = json_array_size(part(p, "alarms"));

	paint(p, bad ? RED : strcmp(state, "running") == 0 ? GREEN : BOLD);
	put(p, bad ? "! " : "");
	put(p, state);
	paint(p, PLAIN);
	paint(p, lost(p) ? RED : PLAIN);
	if (lost(p))
		say(p, "  ! %" PRIu64 " LOST", lost(p));
	paint(p, alarms ? RED : PLAIN);
	if (alarms)
		say(p, "  ! %zu alarm%s", alarms, alarms == 1 ? "" : "s");
	paint(p, PLAIN);
}

/* State first: it is what is left on a small screen. */
static void put_head(struct page *p)
{
	const char *time = remote_text(p->view->status, "time");

	begin(p, VITAL, NULL);
	if (p->view->status)
		put_state(p);
	else
		put(p, "openbeam top");
	put(p, "  ");
	put(p, remote_text(p->view->status, "source"));
	put(p, "  ");
	put(p, p->view->url);
	if (strlen(time) >= 19 && last(p)->columns + 10 <= p->view->width)
		say(p, "  %.8s", time + 11);
	if (!p->view->trouble)
		return;
	begin(p, VITAL, NULL);
	paint(p, RED);
	say(p, "! NO ANSWER since %s: ", p->view->since);
	put(p, p->view->trouble);
	paint(p, PLAIN);
}

static void put_armed(struct page *p, const json_t *armed)
{
	begin(p, NEEDED, "armed");
	put(p, "the next frames begin ");
	put(p, remote_text(armed, "name")[0] ? remote_text(armed, "name") : "a series");
	if (remote_count(armed, "frames"))
		say(p, ", %" PRIu64 " frames", remote_count(armed, "frames"));
	if (remote_has_number(armed, "first"))
		say(p, " from number %" PRIu64, remote_count(armed, "first"));
}

static void put_series(struct page *p)
{
	const json_t *series = part(p, "series"), *armed = part(p, "armed");
	const char *path = remote_text(series, "path");

	begin(p, WANTED, "series");
	put(p, path[0] ? path : "none yet");
	if (strcmp(remote_text(series, "start"), "armed") == 0 && !json_is_object(armed) &&
	    strcmp(remote_text(p->view->status, "state"), "idle") == 0)
		put(p, "; the next waits for openbeam arm");
	if (json_is_object(armed))
		put_armed(p, armed);
}

/* A count with its name, on the next row where this one is full. */
static void put_count(struct page *p, const char *name, uint64_t count, const char *colour)
{
	char text[120];
	int n = snprintf(text, sizeof text, "%s%.60s %" PRIu64,
	                 last(p)->columns > LABEL ? "  " : "", name, count);

	if (last(p)->columns + (unsigned)n > p->view->width)
		begin(p, last(p)->importance - 1, "  ");
	paint(p, count ? colour : PLAIN);
	put(p, text);
	paint(p, PLAIN);
}

static void put_frames(struct page *p)
{
	static const char *const names[] = { "expected", "received", "pending", "written",
		                             "durable" };
	const json_t *f = part(p, "frames");
	uint64_t expected = remote_count(f, "expected");

	begin(p, NEEDED, "frames");
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		put_count(p, names[i], remote_count(f, names[i]), PLAIN);
	if (expected == 0)
		return;
	begin(p, NICE, "");
	put(p, "  ");
	put_bar(p, (double)remote_count(f, "written") / (double)expected);
	say(p, " written, %.0f %% durable",
	    100 * (double)remote_count(f, "durable") / (double)expected);
}

/* The sign says it where there is no colour. */
static void put_counts(struct page *p, const char *what, const char *colour, const char *sign)
{
	const json_t *causes = json_object_get(part(p, "frames"), what);
	uint64_t sum = remote_sum(causes);
	const char *key;
	json_t *value;

	begin(p, sum ? NEEDED : USEFUL, what);
	paint(p, sum ? colour : PLAIN);
	say(p, "%s %-2" PRIu64, sum ? sign : " ", sum);
	paint(p, PLAIN);
	json_object_foreach((json_t *)(uintptr_t)causes, key, value)
		put_count(p, key, (uint64_t)json_integer_value(value), colour);
}

static void put_losses(struct page *p)
{
	static const char *const names[] = { "flagged", "duplicate", "dummies" };
	const json_t *f = part(p, "frames");

	put_counts(p, "dropped", RED, "!");
	put_counts(p, "missing", RED, "!");
	put_counts(p, "rejected", YELLOW, "*");
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		put_count(p, names[i], remote_count(f, names[i]), YELLOW);
}

static void put_rate(struct page *p, const char *label, const char *key, const double *past)
{
	double value = remote_number(part(p, "rate"), key);
	bool of_frames = strcmp(key, "fps") == 0;

	begin(p, of_frames ? WANTED : USEFUL, label);
	if (of_frames)
		say(p, "%.1f frames/s", value);
	else
		say_bytes(p, value);
	say(p, "%s", of_frames ? "" : "/s");
	while (last(p)->columns < LABEL + 18 && last(p)->columns < p->view->width)
		put(p, " ");
	if (p->view->past)
		put_past(p, past, p->view->past->count);
}

static void put_rates(struct page *p)
{
	static const struct top_past none;
	const struct top_past *past = p->view->past ? p->view->past : &none;

	put_rate(p, "rate", "fps", past->fps);
	put_rate(p, "in", "bytes_in_per_s", past->in);
	put_rate(p, "out", "bytes_out_per_s", past->out);
}

static void put_buffer(struct page *p)
{
	const json_t *b = part(p, "buffer");
	uint64_t slots = remote_count(b, "slots"), used = remote_count(b, "slots_used");

	begin(p, WANTED, "buffer");
	if (slots == 0) {
		put(p, "laid out at the first frame");
		return;
	}
	paint(p, used * 4 >= slots * 3 ? RED : PLAIN);
	put_bar(p, (double)used / (double)slots);
	put(p, used * 4 >= slots * 3 ? " !" : "");
	paint(p, PLAIN);
	say(p, "  %" PRIu64 " of %" PRIu64 " slots", used, slots);
	/* A few more slots in use than a second ago are no trend. */
	if (remote_has_number(b, "seconds_to_overflow") && used * 10 >= slots) {
		put(p, ", full in ");
		say_duration(p, remote_number(b, "seconds_to_overflow"));
	}
}

static void put_time_left(struct page *p, const json_t *disk)
{
	double left = remote_number(disk, "seconds_left");

	if (!remote_has_number(disk, "seconds_left"))
		return;
	paint(p, left < 600 ? RED : PLAIN);
	put(p, left < 600 ? "! full in " : "full in ");
	say_duration(p, left);
	put(p, "  ");
	paint(p, PLAIN);
}

static void put_directory(struct page *p, const json_t *d)
{
	double free_bytes = remote_number(d, "free_bytes"), size = remote_number(d, "size_bytes");

	if (size > 0)
		put_bar(p, 1 - free_bytes / size);
	put(p, "  ");
	if (remote_has_number(d, "free_bytes")) {
		say_bytes(p, free_bytes);
		put(p, " free  ");
	}
}

static void put_disk(struct page *p)
{
	const json_t *disk = part(p, "disk"), *list = json_object_get(disk, "directories");
	size_t i;
	json_t *d;

	begin(p, WANTED, "disk");
	if (json_array_size(list) == 0)
		put(p, "no sink writes files");
	json_array_foreach((json_t *)(uintptr_t)list, i, d)
	{
		if (i > 0)
			begin(p, NICE, "");
		put_directory(p, d);
		if (i == 0)
			put_time_left(p, disk);
		put(p, remote_text(d, "directory"));
	}
}

static void put_milliseconds(struct page *p, const json_t *stage, const char *key)
{
	double ms = remote_number(stage, key);

	if (!remote_has_number(stage, key))
		say(p, "%9s", "-");
	else
		say(p, ms < 10 ? "%9.2f" : ms < 1000 ? "%9.1f" : "%9.0f", ms);
}

static void put_latency(struct page *p)
{
	static const struct {
		const char *key, *label;
		int importance;
	} rows[] = { { "p50", "  p50", NICE },
		     { "p99", "  p99", USEFUL },
		     { "p999", "  p99.9", NICE },
		     { "max", "  max", USEFUL } };
	const json_t *stages = part(p, "latency_ms");
	const char *key;
	json_t *stage;

	if (json_object_size(stages) == 0)
		return;
	begin(p, USEFUL, "latency ms");
	json_object_foreach((json_t *)(uintptr_t)stages, key, stage) say(p, "%9.9s", key);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin(p, rows[i].importance, rows[i].label);
		json_object_foreach((json_t *)(uintptr_t)stages, key, stage)
			put_milliseconds(p, stage, rows[i].key);
	}
}

/* What has no room begins another row, as red as this one, and less important. */
static void put_sentence(struct page *p, const char *text)
{
	for (;;) {
		size_t room = p->view->width - last(p)->columns, n = strlen(text);
		char head[400];

		if (n <= room || room >= sizeof head || room < LABEL) {
			put(p, text);
			return;
		}
		for (n = room; n > 0 && text[n] != ' '; n--)
			;
		n = n ? n : room;
		snprintf(head, sizeof head, "%.*s", (int)n, text);
		put(p, head);
		text += n + (text[n] == ' ');
		begin(p, last(p)->importance - 1, "");
		paint(p, RED);
		put(p, "  ");
	}
}

static void put_last_loss(struct page *p)
{
	const json_t *l = part(p, "last_loss");
	const char *time = remote_text(l, "time"), *text = remote_text(l, "text");

	begin(p, json_is_object(l) ? NEEDED : NICE, "last loss");
	if (!json_is_object(l)) {
		put(p, "none");
		return;
	}
	paint(p, RED);
	put(p, "! ");
	if (strlen(time) >= 19 && strncmp(text, time + 11, 8) != 0)
		say(p, "%.8s  ", time + 11);
	put_sentence(p, text);
	paint(p, PLAIN);
}

static void put_alarms(struct page *p)
{
	const json_t *alarms = part(p, "alarms");
	size_t i;
	json_t *a;

	if (json_array_size(alarms) == 0) {
		begin(p, USEFUL, "alarms");
		put(p, "none");
	}
	json_array_foreach((json_t *)(uintptr_t)alarms, i, a)
	{
		begin(p, i == 0 ? NEEDED : WANTED, i == 0 ? "alarms" : "");
		paint(p, RED);
		put(p, "! ");
		put(p, remote_text(a, "sentinel"));
		put(p, ": ");
		put_sentence(p, remote_text(a, "text"));
		paint(p, PLAIN);
	}
}

static void put_image(struct page *p)
{
	const json_t *q = part(p, "quality");

	if (!remote_has_number(q, "raw_mean"))
		return;
	begin(p, NICE, "image");
	say(p, "mean %.6g counts", remote_number(q, "raw_mean"));
	if (remote_has_number(q, "mean"))
		say(p, "  normalised %.6g", remote_number(q, "mean"));
	if (remote_has_number(q, "saturated_share"))
		say(p, "  saturated %.3g %%", 100 * remote_number(q, "saturated_share"));
	if (remote_has_number(q, "dose"))
		say(p, "  dose %.6g", remote_number(q, "dose"));
}

static void put_calibration(struct page *p)
{
	const json_t *c = part(p, "calibration");
	const char *state = remote_text(c, "state");
	bool busy = strcmp(state, "collecting") == 0 || strcmp(state, "making") == 0;

	if (!busy && !remote_text(c, "text")[0])
		return;
	begin(p, busy ? WANTED : GOES_FIRST, "calibrate");
	if (!busy) {
		put(p, remote_text(c, "text"));
		return;
	}
	say(p, "%s: ", state);
	put(p, remote_text(c, "role"));
	say(p, ", %" PRIu64 " of %" PRIu64 " frames", remote_count(c, "taken"),
	    remote_count(c, "wanted"));
}

static void put_blackbox(struct page *p)
{
	const json_t *b = part(p, "blackbox");
	bool writing = json_is_true(json_object_get(b, "writing"));

	if (!json_is_true(json_object_get(b, "configured")))
		return;
	begin(p, writing ? WANTED : GOES_FIRST, "black box");
	say(p, "%s, holds %" PRIu64 " frames of ", writing ? "being written" : "ready",
	    remote_count(b, "frames"));
	say_duration(p, remote_number(b, "seconds"));
	if (remote_text(b, "path")[0]) {
		put(p, "; last ");
		put(p, remote_text(b, "path"));
	}
}

static void put_foot(struct page *p)
{
	begin(p, GOES_FIRST, NULL);
	paint(p, DIM);
	if (p->view->height)
		put(p, "q quits  ");
	put(p, "openbeam ");
	put(p, remote_text(p->view->status, "version"));
	put(p, " ");
	put(p, remote_text(p->view->status, "isa"));
	if (json_is_object(part(p, "watchers")))
		say(p, "  %" PRIu64 " connections watch",
		    remote_count(part(p, "watchers"), "connections"));
	paint(p, PLAIN);
}

/* ---- the whole ---- */

/* The last of the least important ones goes. */
static void remove_row(struct page *p)
{
	unsigned least = 0;

	for (unsigned i = 1; i < p->count; i++)
		if (p->rows[i].importance <= p->rows[least].importance)
			least = i;
	memmove(&p->rows[least], &p->rows[least + 1], (p->count - least - 1) * sizeof *p->rows);
	p->count--;
}

static char *text_of(struct page *p)
{
	size_t bytes = 1, at = 0;
	char *text;

	for (unsigned i = 0; i < p->count; i++) {
		struct row *r = &p->rows[i];

		if (r->colour) {
			memcpy(r->text + r->bytes, PLAIN, sizeof PLAIN - 1);
			r->bytes += sizeof PLAIN - 1;
		}
		bytes += r->bytes + 1;
	}
	text = malloc(bytes);
	for (unsigned i = 0; text && i < p->count; i++) {
		memcpy(text + at, p->rows[i].text, p->rows[i].bytes);
		at += p->rows[i].bytes;
		text[at++] = '\n';
	}
	if (text)
		text[at] = '\0';
	return text;
}

static void fill(struct page *p)
{
	put_head(p);
	if (!p->view->status)
		return;
	put_series(p);
	put_frames(p);
	put_losses(p);
	put_last_loss(p);
	put_alarms(p);
	put_rates(p);
	put_buffer(p);
	put_disk(p);
	put_latency(p);
	put_image(p);
	put_calibration(p);
	put_blackbox(p);
	put_foot(p);
}

char *top_screen(const struct top_view *v)
{
	struct page *p = calloc(1, sizeof *p);
	char *text;

	if (!p)
		return NULL;
	p->view = v;
	fill(p);
	while (v->height && p->count > v->height)
		remove_row(p);
	text = text_of(p);
	free(p);
	return text;
}

void top_past_add(struct top_past *p, const json_t *status)
{
	const json_t *rate = json_object_get(status, "rate");
	size_t kept = (TOP_PAST - 1) * sizeof *p->fps;

	if (p->count == TOP_PAST) {
		memmove(p->fps, p->fps + 1, kept);
		memmove(p->in, p->in + 1, kept);
		memmove(p->out, p->out + 1, kept);
		p->count--;
	}
	p->fps[p->count] = remote_number(rate, "fps");
	p->in[p->count] = remote_number(rate, "bytes_in_per_s");
	p->out[p->count] = remote_number(rate, "bytes_out_per_s");
	p->count++;
}
