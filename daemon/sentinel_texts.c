/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sentinel_texts.h"

#include <math.h>
#include <stdio.h>

#define WORD 32

/* "0.4 %", "12 %". */
static const char *percent(char word[WORD], double share)
{
	double value = 100 * share;

	if (value != 0 && fabs(value) < 0.001)
		snprintf(word, WORD, "less than 0.001 %%");
	else
		snprintf(word, WORD, fabs(value) < 10 ? "%.2g %%" : "%.0f %%", value);
	return word;
}

/* Three digits, no exponent where it is above 0.001. */
static const char *figure(char word[WORD], double value)
{
	snprintf(word, WORD, fabs(value) < 999.5 ? "%.3g" : "%.0f", value);
	return word;
}

/* "3.2 s", "12 s", "3 min", "2.5 h". */
static const char *span(char word[WORD], double seconds)
{
	if (seconds < 10)
		snprintf(word, WORD, "%.2g s", seconds);
	else if (seconds < 120)
		snprintf(word, WORD, "%.0f s", seconds);
	else if (seconds < 7200)
		snprintf(word, WORD, "%.0f min", seconds / 60);
	else
		snprintf(word, WORD, "%.1f h", seconds / 3600);
	return word;
}

/* "since frame 417", "in frames 417 to 430". */
static const char *frames(char words[2 * WORD], const struct alarm *a)
{
	unsigned long long first = a->first_frame, last = a->last_frame;

	if (a->active)
		snprintf(words, 2 * WORD, "since frame %llu", first);
	else if (first == last)
		snprintf(words, 2 * WORD, "in frame %llu", first);
	else
		snprintf(words, 2 * WORD, "in frames %llu to %llu", first, last);
	return words;
}

/* What a text is made of. */
struct told {
	char *text; /* [ALARM_TEXT] */
	const struct alarm *alarm;
	const struct watch_look *look;
	double seconds;
	const char *disk;
};

static void tell_saturated(const struct told *t)
{
	char share[WORD], time[WORD];
	bool lasts = t->seconds > 0; /* an alarm may be raised with its first frame */

	snprintf(t->text, ALARM_TEXT,
	         "%s%s of pixels saturated%s%s: reduce the exposure or the beam",
	         t->alarm->active ? "" : "up to ", percent(share, t->look->value),
	         lasts ? " for " : "", lasts ? span(time, t->seconds) : "");
}

static void tell_pixels(const struct told *t, const char *became[2], const char *are,
                        const char *advice)
{
	const char *more = t->look->detail != 0 ? "more than " : "";
	bool one = t->look->value == 1 && t->look->detail == 0;

	if (t->look->usual != 0)
		snprintf(t->text, ALARM_TEXT,
		         "%s%.0f %s since the calibration: take a new dark and flat, or %s", more,
		         t->look->value, became[!one], advice);
	else
		snprintf(t->text, ALARM_TEXT,
		         "%s%.0f %s %s and no calibration marks %s: take a dark and a flat", more,
		         t->look->value, one ? "pixel is" : "pixels are", are, one ? "it" : "them");
}

static void tell_dead(const struct told *t)
{
	const char *became[2] = { "pixel has died", "pixels have died" };

	tell_pixels(t, became, "dead", "check the detector");
}

static void tell_hot(const struct told *t)
{
	const char *became[2] = { "pixel has become hot", "pixels have become hot" };

	tell_pixels(t, became, "hot", "check the detector's cooling");
}

static void tell_beam(const struct told *t)
{
	char share[WORD], where[2 * WORD];
	bool dumped = t->look->value < t->look->usual;

	snprintf(t->text, ALARM_TEXT, "beam %s %s of the usual dose %s: %s",
	         t->alarm->active ? "at" : "down to", percent(share, fmax(t->look->value, 0)),
	         frames(where, t->alarm),
	         dumped ? "it is dumped or the shutter is closed, wait for it"
	                : "a dip, check beam and shutter and leave these frames out");
}

static void tell_flat_drift(const struct told *t)
{
	char share[WORD], time[WORD];

	snprintf(t->text, ALARM_TEXT, "the open beam %s %s %s the flat for %s: take a new flat",
	         t->alarm->active ? "has been" : "was up to", percent(share, t->look->value),
	         t->look->detail < 0 ? "below" : "above", span(time, t->seconds));
}

static void tell_repeated(const struct told *t)
{
	snprintf(t->text, ALARM_TEXT,
	         "the detector has sent the same pixels %.0f times (frames %llu to %llu): is it "
	         "stuck?",
	         t->look->value, (unsigned long long)t->look->before,
	         (unsigned long long)t->look->frame);
}

static void tell_noise(const struct told *t)
{
	char share[WORD], now[WORD], usual[WORD], where[2 * WORD];

	snprintf(t->text, ALARM_TEXT,
	         "the open beam's signal-to-noise %s %s of what it was at first (%s instead of %s) "
	         "%s: check exposure, gain and beam",
	         t->alarm->active ? "is" : "fell to", percent(share, t->look->value),
	         figure(now, t->look->detail), figure(usual, t->look->usual),
	         frames(where, t->alarm));
}

static void tell_rate(const struct told *t)
{
	char now[WORD], usual[WORD], where[2 * WORD];

	snprintf(t->text, ALARM_TEXT,
	         "the frame rate %s %s instead of %s frames/s %s: check the detector's trigger and "
	         "the network",
	         t->alarm->active ? "is" : "was", figure(now, t->look->detail),
	         figure(usual, t->look->usual), frames(where, t->alarm));
}

static void tell_timestamps(const struct told *t)
{
	unsigned long long before = t->look->before, frame = t->look->frame;
	double seconds = t->look->detail;
	char time[WORD];

	span(time, fabs(seconds));
	if (t->look->usual != 0)
		snprintf(t->text, ALARM_TEXT,
		         "the detector paused for %s between frames %llu and %llu: check its "
		         "trigger",
		         time, before, frame);
	else
		snprintf(t->text, ALARM_TEXT,
		         "the detector's clock jumped %s %s between frames %llu and %llu: check "
		         "its source of time",
		         seconds < 0 ? "back by" : "by", time, before, frame);
}

static void tell_buffer(const struct told *t)
{
	char share[WORD], time[WORD], overflow[2 * WORD] = "";

	if (isfinite(t->look->detail) && t->alarm->active)
		snprintf(overflow, sizeof overflow, " and overflows in %s",
		         span(time, t->look->detail));
	snprintf(t->text, ALARM_TEXT,
	         "the buffer %s %s full%s: disks or processing are too slow for this rate",
	         t->alarm->active ? "is" : "was up to", percent(share, t->look->value), overflow);
}

static void tell_disk(const struct told *t)
{
	char time[WORD];

	if (t->look->usual != 0)
		snprintf(t->text, ALARM_TEXT, "disk %s %s %.0f MiB left: free space or stop",
		         t->disk, t->alarm->active ? "has" : "had",
		         floor(t->look->detail / (1 << 20)));
	else
		snprintf(t->text, ALARM_TEXT,
		         "disk %s %s full in %s at this rate: free space or stop", t->disk,
		         t->alarm->active ? "is" : "would have been", span(time, t->look->value));
}

void sentinel_text(enum sentinel s, struct watch *w, const char *disk)
{
	static void (*const tell[SENTINEL_COUNT])(const struct told *) = {
		[SENTINEL_SATURATED] = tell_saturated,
		[SENTINEL_DEAD] = tell_dead,
		[SENTINEL_HOT] = tell_hot,
		[SENTINEL_BEAM] = tell_beam,
		[SENTINEL_FLAT_DRIFT] = tell_flat_drift,
		[SENTINEL_REPEATED] = tell_repeated,
		[SENTINEL_NOISE] = tell_noise,
		[SENTINEL_RATE] = tell_rate,
		[SENTINEL_TIMESTAMPS] = tell_timestamps,
		[SENTINEL_BUFFER] = tell_buffer,
		[SENTINEL_DISK] = tell_disk,
	};
	const struct told told = { w->alarm.text, &w->alarm, w->alarm.active ? &w->last : &w->worst,
		                   watch_seconds(w), disk };

	tell[s](&told);
}

const char *sentinel_name(enum sentinel s)
{
	static const char *const names[SENTINEL_COUNT] = {
		[SENTINEL_SATURATED] = "saturated",
		[SENTINEL_DEAD] = "dead_pixels",
		[SENTINEL_HOT] = "hot_pixels",
		[SENTINEL_BEAM] = "beam",
		[SENTINEL_FLAT_DRIFT] = "flat_drift",
		[SENTINEL_REPEATED] = "repeated",
		[SENTINEL_NOISE] = "noise",
		[SENTINEL_RATE] = "frame_rate",
		[SENTINEL_TIMESTAMPS] = "timestamps",
		[SENTINEL_BUFFER] = "buffer",
		[SENTINEL_DISK] = "disk",
	};

	return names[s];
}
