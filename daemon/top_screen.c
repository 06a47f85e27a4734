/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/top_screen.h"
#include "daemon/remote.h"
#include "daemon/top_page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const json_t *part(const struct page *p, const char *key)
{
	return json_object_get(p->view->status, key);
}

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

	page_paint(p, bad ? RED : strcmp(state, "running") == 0 ? GREEN : BOLD);
	page_put(p, bad ? "! " : "");
	page_put(p, state);
	page_paint(p, PLAIN);
	page_paint(p, lost(p) ? RED : PLAIN);
	if (lost(p))
		page_say(p, "  ! %" PRIu64 " LOST", lost(p));
	page_paint(p, alarms ? RED : PLAIN);
	if (alarms)
		page_say(p, "  ! %zu alarm%s", alarms, alarms == 1 ? "" : "s");
	page_paint(p, PLAIN);
}

/* State first: it is what is left on a small screen. */
static void put_head(struct page *p)
{
	const char *time = remote_text(p->view->status, "time");

	page_begin(p, VITAL, NULL);
	if (p->view->status)
		put_state(p);
	else
		page_put(p, "openbeam top");
	page_put(p, "  ");
	page_put(p, remote_text(p->view->status, "source"));
	page_put(p, "  ");
	page_put(p, p->view->url);
	if (strlen(time) >= 19 && page_last(p)->columns + 10 <= p->view->width)
		page_say(p, "  %.8s", time + 11);
	if (!p->view->trouble)
		return;
	page_begin(p, VITAL, NULL);
	page_paint(p, RED);
	page_say(p, "! NO ANSWER since %s: ", p->view->since);
	page_put(p, p->view->trouble);
	page_paint(p, PLAIN);
}

static void put_armed(struct page *p, const json_t *armed)
{
	page_begin(p, NEEDED, "armed");
	page_put(p, "the next frames begin ");
	page_put(p, remote_text(armed, "name")[0] ? remote_text(armed, "name") : "a series");
	if (remote_count(armed, "frames"))
		page_say(p, ", %" PRIu64 " frames", remote_count(armed, "frames"));
	if (remote_has_number(armed, "first"))
		page_say(p, " from number %" PRIu64, remote_count(armed, "first"));
}

static void put_series(struct page *p)
{
	const json_t *series = part(p, "series"), *armed = part(p, "armed");
	const char *path = remote_text(series, "path");

	page_begin(p, WANTED, "series");
	page_put(p, path[0] ? path : "none yet");
	if (strcmp(remote_text(series, "start"), "armed") == 0 && !json_is_object(armed) &&
	    strcmp(remote_text(p->view->status, "state"), "idle") == 0)
		page_put(p, "; the next waits for openbeam arm");
	if (json_is_object(armed))
		put_armed(p, armed);
}

/* A count with its name, on the next row where this one is full. */
static void put_count(struct page *p, const char *name, uint64_t count, const char *colour)
{
	char text[120];
	int n = snprintf(text, sizeof text, "%s%.60s %" PRIu64,
	                 page_last(p)->columns > LABEL ? "  " : "", name, count);

	if (page_last(p)->columns + (unsigned)n > p->view->width)
		page_begin(p, page_last(p)->importance - 1, "  ");
	page_paint(p, count ? colour : PLAIN);
	page_put(p, text);
	page_paint(p, PLAIN);
}

static void put_frames(struct page *p)
{
	static const char *const names[] = { "expected", "received", "pending", "written",
		                             "durable" };
	const json_t *f = part(p, "frames");
	uint64_t expected = remote_count(f, "expected");

	page_begin(p, NEEDED, "frames");
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		put_count(p, names[i], remote_count(f, names[i]), PLAIN);
	if (expected == 0)
		return;
	page_begin(p, NICE, "");
	page_put(p, "  ");
	page_bar(p, (double)remote_count(f, "written") / (double)expected);
	page_say(p, " written, %.0f %% durable",
	         100 * (double)remote_count(f, "durable") / (double)expected);
}

/* The sign says it where there is no colour. */
static void put_counts(struct page *p, const char *what, const char *colour, const char *sign)
{
	const json_t *causes = json_object_get(part(p, "frames"), what);
	uint64_t sum = remote_sum(causes);
	const char *key;
	json_t *value;

	page_begin(p, sum ? NEEDED : USEFUL, what);
	page_paint(p, sum ? colour : PLAIN);
	page_say(p, "%s %-2" PRIu64, sum ? sign : " ", sum);
	page_paint(p, PLAIN);
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

	page_begin(p, of_frames ? WANTED : USEFUL, label);
	if (of_frames)
		page_say(p, "%.1f frames/s", value);
	else
		page_bytes(p, value);
	page_say(p, "%s", of_frames ? "" : "/s");
	while (page_last(p)->columns < LABEL + 18 && page_last(p)->columns < p->view->width)
		page_put(p, " ");
	if (p->view->past)
		page_past(p, past, p->view->past->count);
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

	page_begin(p, WANTED, "buffer");
	if (slots == 0) {
		page_put(p, "laid out at the first frame");
		return;
	}
	page_paint(p, used * 4 >= slots * 3 ? RED : PLAIN);
	page_bar(p, (double)used / (double)slots);
	page_put(p, used * 4 >= slots * 3 ? " !" : "");
	page_paint(p, PLAIN);
	page_say(p, "  %" PRIu64 " of %" PRIu64 " slots", used, slots);
	/* A few more slots in use than a second ago are no trend. */
	if (remote_has_number(b, "seconds_to_overflow") && used * 10 >= slots) {
		page_put(p, ", full in ");
		page_duration(p, remote_number(b, "seconds_to_overflow"));
	}
}

static void put_time_left(struct page *p, const json_t *disk)
{
	double left = remote_number(disk, "seconds_left");

	if (!remote_has_number(disk, "seconds_left"))
		return;
	page_paint(p, left < 600 ? RED : PLAIN);
	page_put(p, left < 600 ? "! full in " : "full in ");
	page_duration(p, left);
	page_put(p, "  ");
	page_paint(p, PLAIN);
}

static void put_directory(struct page *p, const json_t *d)
{
	double free_bytes = remote_number(d, "free_bytes"), size = remote_number(d, "size_bytes");

	if (size > 0)
		page_bar(p, 1 - free_bytes / size);
	page_put(p, "  ");
	if (remote_has_number(d, "free_bytes")) {
		page_bytes(p, free_bytes);
		page_put(p, " free  ");
	}
}

static void put_disk(struct page *p)
{
	const json_t *disk = part(p, "disk"), *list = json_object_get(disk, "directories");
	size_t i;
	json_t *d;

	page_begin(p, WANTED, "disk");
	if (json_array_size(list) == 0)
		page_put(p, "no sink writes files");
	json_array_foreach((json_t *)(uintptr_t)list, i, d)
	{
		if (i > 0)
			page_begin(p, NICE, "");
		put_directory(p, d);
		if (i == 0)
			put_time_left(p, disk);
		page_put(p, remote_text(d, "directory"));
	}
}

static void put_milliseconds(struct page *p, const json_t *stage, const char *key)
{
	double ms = remote_number(stage, key);

	if (!remote_has_number(stage, key))
		page_say(p, "%9s", "-");
	else
		page_say(p, ms < 10 ? "%9.2f" : ms < 1000 ? "%9.1f" : "%9.0f", ms);
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
	page_begin(p, USEFUL, "latency ms");
	json_object_foreach((json_t *)(uintptr_t)stages, key, stage) page_say(p, "%9.9s", key);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		page_begin(p, rows[i].importance, rows[i].label);
		json_object_foreach((json_t *)(uintptr_t)stages, key, stage)
			put_milliseconds(p, stage, rows[i].key);
	}
}

/* What has no room begins another row, as red as this one, and less important. */
static void put_sentence(struct page *p, const char *text)
{
	for (;;) {
		size_t room = p->view->width - page_last(p)->columns, n = strlen(text);
		char head[400];

		if (n <= room || room >= sizeof head || room < LABEL) {
			page_put(p, text);
			return;
		}
		for (n = room; n > 0 && text[n] != ' '; n--)
			;
		n = n ? n : room;
		snprintf(head, sizeof head, "%.*s", (int)n, text);
		page_put(p, head);
		text += n + (text[n] == ' ');
		page_begin(p, page_last(p)->importance - 1, "");
		page_paint(p, RED);
		page_put(p, "  ");
	}
}

static void put_last_loss(struct page *p)
{
	const json_t *l = part(p, "last_loss");
	const char *time = remote_text(l, "time"), *text = remote_text(l, "text");

	page_begin(p, json_is_object(l) ? NEEDED : NICE, "last loss");
	if (!json_is_object(l)) {
		page_put(p, "none");
		return;
	}
	page_paint(p, RED);
	page_put(p, "! ");
	if (strlen(time) >= 19 && strncmp(text, time + 11, 8) != 0)
		page_say(p, "%.8s  ", time + 11);
	put_sentence(p, text);
	page_paint(p, PLAIN);
}

static void put_alarms(struct page *p)
{
	const json_t *alarms = part(p, "alarms");
	size_t i;
	json_t *a;

	if (json_array_size(alarms) == 0) {
		page_begin(p, USEFUL, "alarms");
		page_put(p, "none");
	}
	json_array_foreach((json_t *)(uintptr_t)alarms, i, a)
	{
		page_begin(p, i == 0 ? NEEDED : WANTED, i == 0 ? "alarms" : "");
		page_paint(p, RED);
		page_put(p, "! ");
		page_put(p, remote_text(a, "sentinel"));
		page_put(p, ": ");
		put_sentence(p, remote_text(a, "text"));
		page_paint(p, PLAIN);
	}
}

static void put_image(struct page *p)
{
	const json_t *q = part(p, "quality");

	if (!remote_has_number(q, "raw_mean"))
		return;
	page_begin(p, NICE, "image");
	page_say(p, "mean %.6g counts", remote_number(q, "raw_mean"));
	if (remote_has_number(q, "mean"))
		page_say(p, "  normalised %.6g", remote_number(q, "mean"));
	if (remote_has_number(q, "saturated_share"))
		page_say(p, "  saturated %.3g %%", 100 * remote_number(q, "saturated_share"));
	if (remote_has_number(q, "dose"))
		page_say(p, "  dose %.6g", remote_number(q, "dose"));
}

static void put_calibration(struct page *p)
{
	const json_t *c = part(p, "calibration");
	const char *state = remote_text(c, "state");
	bool busy = strcmp(state, "collecting") == 0 || strcmp(state, "making") == 0;

	if (!busy && !remote_text(c, "text")[0])
		return;
	page_begin(p, busy ? WANTED : GOES_FIRST, "calibrate");
	if (!busy) {
		page_put(p, remote_text(c, "text"));
		return;
	}
	page_say(p, "%s: ", state);
	page_put(p, remote_text(c, "role"));
	page_say(p, ", %" PRIu64 " of %" PRIu64 " frames", remote_count(c, "taken"),
	         remote_count(c, "wanted"));
}

static void put_blackbox(struct page *p)
{
	const json_t *b = part(p, "blackbox");
	bool writing = json_is_true(json_object_get(b, "writing"));

	if (!json_is_true(json_object_get(b, "configured")))
		return;
	page_begin(p, writing ? WANTED : GOES_FIRST, "black box");
	page_say(p, "%s, holds %" PRIu64 " frames of ", writing ? "being written" : "ready",
	         remote_count(b, "frames"));
	page_duration(p, remote_number(b, "seconds"));
	if (remote_text(b, "path")[0]) {
		page_put(p, "; last ");
		page_put(p, remote_text(b, "path"));
	}
}

static void put_foot(struct page *p)
{
	page_begin(p, GOES_FIRST, NULL);
	page_paint(p, DIM);
	if (p->view->height)
		page_put(p, "q quits  ");
	page_put(p, "openbeam ");
	page_put(p, remote_text(p->view->status, "version"));
	page_put(p, " ");
	page_put(p, remote_text(p->view->status, "isa"));
	if (json_is_object(part(p, "watchers")))
		page_say(p, "  %" PRIu64 " connections watch",
		         remote_count(part(p, "watchers"), "connections"));
	page_paint(p, PLAIN);
}

/* ---- the whole ---- */

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
	text = page_text(p);
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
