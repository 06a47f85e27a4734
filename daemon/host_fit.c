/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/host_fit.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NARROW 1.15 /* less to spare than this is worth a warning */

/* How often a frame passes through memory: written by the network, copied to its message, read by
 * the pass; what is made of it is written, and read by the disk. A sender beside us adds two. */
#define PASSES_IN     4
#define PASSES_OUT    2
#define PASSES_SENDER 2

static const struct {
	const char *area, *name, *remedy;
} limits[FIT_LIMITS] = {
	[FIT_CORES] = { "cores", "cores",
	                "more cores, histogram.raw.bins: 0, a smaller reduce.roi, or the sender on "
	                "another host" },
	[FIT_PATH] = { "cores", "the data path",
	               "daemon.workers: auto, fewer histogram bins, or faster cores" },
	[FIT_WIRE] = { "receiving", "receiving", "more ingest.endpoints, a thread each" },
	[FIT_MEMORY] = { "memory", "memory bandwidth",
	                 "memory in all channels of the board, or the sender on another host" },
	[FIT_DISK] = { "disk", "disk",
	               "write less (reduce.bin, reduce.type uint16 or uint8, reduce.average), or "
	               "to "
	               "a faster disk" },
	[FIT_SPACE] = { "disk", "disk space",
	                "free some space, write less (reduce.bin, reduce.type), or name another "
	                "directory" },
};

/* ---- figures in words ---- */

static const char *time_text(double s, char text[32])
{
	if (s < 10)
		snprintf(text, 32, "%.1f s", s);
	else if (s < 120)
		snprintf(text, 32, "%.0f s", s);
	else if (s < 7200)
		snprintf(text, 32, "%.0f min", s / 60);
	else if (s < 172800)
		snprintf(text, 32, "%.1f h", s / 3600);
	else
		snprintf(text, 32, "%.0f days", fmin(s / 86400, 99999));
	return text;
}

/* Three digits. */
static const char *figure(double value, char text[32])
{
	int digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;

	snprintf(text, 32, "%.*f", digits, value);
	return text;
}

static const char *bytes_text(double bytes, char text[32])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
	unsigned i = 0;
	char number[32];

	for (; bytes >= 999.5 && i + 1 < sizeof units / sizeof *units; i++)
		bytes /= 1000;
	snprintf(text, 32, "%.12s %s", figure(bytes, number), units[i]);
	return text;
}

__attribute__((format(printf, 4, 5))) static void add(struct fit_verdict *v, const char *level,
                                                      const char *area, const char *format, ...)
{
	struct fit_finding *f = &v->findings[v->count++];
	va_list arguments;

	f->level = level;
	f->area = area;
	va_start(arguments, format);
	vsnprintf(f->text, sizeof f->text, format, arguments);
	va_end(arguments);
}

/* ---- arithmetic ---- */

static double cpu_of_frame(const struct fit *f)
{
	return f->path_cpu_s + f->wire_cpu_s + f->sender_cpu_s;
}

static double traffic_of_frame(const struct fit *f)
{
	return (PASSES_IN + (f->sender_cpu_s > 0 ? PASSES_SENDER : 0)) * f->frame_bytes +
	       PASSES_OUT * f->out_bytes;
}

/* The highest rate that each holds; infinite: it was not measured, or is not needed. */
static void rates(const struct fit *f, double ret[FIT_LIMITS])
{
	double cpu = cpu_of_frame(f);

	for (int i = 0; i < FIT_LIMITS; i++)
		ret[i] = INFINITY;
	if (cpu > 0)
		ret[FIT_CORES] = f->cores / cpu;
	if (f->path_rate > 0)
		ret[FIT_PATH] = f->path_rate;
	if (f->wire_rate > 0)
		ret[FIT_WIRE] = f->wire_rate;
	if (f->memory_bytes_per_s > 0)
		ret[FIT_MEMORY] = f->memory_bytes_per_s / traffic_of_frame(f);
	if (f->disk_bytes_per_s > 0 && f->out_bytes > 0 && !f->disk_is_least)
		ret[FIT_DISK] = f->disk_bytes_per_s / f->out_bytes;
}

/* Until the disk is full. */
static double space_s(const struct fit *f, double rate)
{
	double per_s = rate * f->out_bytes;

	return per_s > 0 && f->free_bytes > 0 ? f->free_bytes / per_s : INFINITY;
}

/* ---- findings ---- */

static const char *level_of(const struct fit *f, double rate)
{
	return f->rate == 0 || rate >= NARROW * f->rate ? "ok"
	       : rate >= f->rate                        ? "warning"
	                                                : "error";
}

/* "480 frames/s, 0.32 times the rate: remedy" */
static const char *beside(const struct fit *f, enum fit_limit limit, double rate, char text[320])
{
	char number[32], times[32];

	if (f->rate == 0)
		snprintf(text, 320, "%s frames/s", figure(rate, number));
	else
		snprintf(text, 320, "%s frames/s, %s times the rate%s%s", figure(rate, number),
		         figure(rate / f->rate, times), rate < NARROW * f->rate ? ": " : "",
		         rate < NARROW * f->rate ? limits[limit].remedy : "");
	return text;
}

static void find_cores(const struct fit *f, double rate, struct fit_verdict *v)
{
	char sender[80] = "", text[320];

	if (f->sender_cpu_s > 0)
		snprintf(sender, sizeof sender,
		         ", %.3g ms sending, as the endpoint is on this host",
		         1e3 * f->sender_cpu_s);
	add(v, level_of(f, rate), "cores",
	    "a frame takes %.3g ms of a core (%.3g ms from its arrival to the disk, %.3g ms "
	    "receiving%s); %.3g cores hold %s",
	    1e3 * cpu_of_frame(f), 1e3 * f->path_cpu_s, 1e3 * f->wire_cpu_s, sender, f->cores,
	    beside(f, FIT_CORES, rate, text));
}

static void find_disk(const struct fit *f, double rate, struct fit_verdict *v)
{
	char per_s[32], frame[32], text[320];

	bytes_text(f->disk_bytes_per_s, per_s);
	bytes_text(f->out_bytes, frame);
	if (f->disk_is_least)
		add(v, "ok", "disk",
		    "took %s/s with syncing, at %s a frame; it was not what was waited for, and "
		    "takes more",
		    per_s, frame);
	else
		add(v, level_of(f, rate), "disk",
		    "took %s/s with syncing; at %s a frame that is %s", per_s, frame,
		    beside(f, FIT_DISK, rate, text));
}

static void find_each(const struct fit *f, const double rate[FIT_LIMITS], struct fit_verdict *v)
{
	char bytes[32], text[320];

	if (isfinite(rate[FIT_CORES]))
		find_cores(f, rate[FIT_CORES], v);
	if (isfinite(rate[FIT_PATH]))
		add(v, level_of(f, rate[FIT_PATH]), "cores",
		    "some stay idle, as one thread collects what all workers do: they take %s",
		    beside(f, FIT_PATH, rate[FIT_PATH], text));
	if (isfinite(rate[FIT_WIRE]))
		add(v, level_of(f, rate[FIT_WIRE]), "receiving",
		    "connections over this host's own network take %s",
		    beside(f, FIT_WIRE, rate[FIT_WIRE], text));
	if (isfinite(rate[FIT_MEMORY]))
		add(v, level_of(f, rate[FIT_MEMORY]), "memory",
		    "copies move %s/s; a frame passes through memory several times: %s",
		    bytes_text(f->memory_bytes_per_s, bytes),
		    beside(f, FIT_MEMORY, rate[FIT_MEMORY], text));
	if (f->disk_bytes_per_s > 0 && f->out_bytes > 0)
		find_disk(f, rate[FIT_DISK], v);
}

/* ---- the verdict ---- */

static const char *fate(const struct fit *f)
{
	return f->sender_is_held ? "then the sender is held back, and loses frames that it cannot "
	                           "keep"
	                         : "then frames are dropped";
}

/* "1.21 GB/s are to be written and this disk took 0.80 GB/s" */
static void because(const struct fit *f, const struct fit_verdict *v, char text[320])
{
	char needed[32], there[32];

	if (v->limit == FIT_DISK)
		snprintf(text, 320, "%s/s are to be written and this disk took %s/s",
		         bytes_text(f->rate * f->out_bytes, needed),
		         bytes_text(f->disk_bytes_per_s, there));
	else if (v->limit == FIT_CORES)
		snprintf(text, 320, "%s cores would be busy and there are %.3g",
		         figure(f->rate * cpu_of_frame(f), needed), f->cores);
	else if (v->limit == FIT_MEMORY)
		snprintf(text, 320, "%s/s would pass through memory, which moves %s/s",
		         bytes_text(f->rate * traffic_of_frame(f), needed),
		         bytes_text(f->memory_bytes_per_s, there));
	else
		snprintf(text, 320, "%s takes %s frames/s", limits[v->limit].name,
		         figure(v->rate, there));
}

static void say_highest(const struct fit *f, struct fit_verdict *v)
{
	char rate[32], bytes[32], full[32], note[80] = "";

	if (isfinite(space_s(f, v->rate)))
		snprintf(note, sizeof note, "; its disk is then full after %s",
		         time_text(space_s(f, v->rate), full));
	add(v, "ok", "fit", "this host holds about %s frames/s of %s, %s/s; what ends first: %s%s",
	    figure(v->rate, rate), f->what, bytes_text(v->rate * f->frame_bytes, bytes),
	    limits[v->limit].name, note);
}

static void say_fits(const struct fit *f, struct fit_verdict *v)
{
	char times[32], full[32], note[80] = "";

	if (f->seconds == 0 && isfinite(space_s(f, f->rate)))
		snprintf(note, sizeof note, "; the disk is full after %s",
		         time_text(space_s(f, f->rate), full));
	add(v, v->spare < NARROW ? "warning" : "ok", "fit", "fits with %s times to spare (%s)%s%s",
	    figure(v->spare, times), limits[v->limit].name, note,
	    v->spare < NARROW ? ": hardly, and what else this host does may be too much" : "");
}

static void say_excess(const struct fit *f, double hold_s, struct fit_verdict *v)
{
	char text[320], hold[32], seconds[32];

	because(f, v, text);
	v->until_s = hold_s;
	if (f->seconds > 0 && f->seconds <= hold_s) {
		v->fits = true;
		v->until_s = 0;
		add(v, "warning", "fit",
		    "fits for the %s asked for, but not for longer than %s: %s, and the buffer of "
		    "%.0f frames holds the difference",
		    time_text(f->seconds, seconds), time_text(hold_s, hold), text,
		    f->buffer_frames);
		return;
	}
	add(v, "error", "fit",
	    "stops fitting after %s, because %s: the buffer of %.0f frames holds the difference "
	    "for so long, %s. Remedy: %s",
	    time_text(hold_s, hold), text, f->buffer_frames, fate(f), limits[v->limit].remedy);
}

static void say_full(const struct fit *f, double full_s, struct fit_verdict *v)
{
	char full[32], needed[32], there[32];

	v->until_s = full_s;
	v->limit = FIT_SPACE;
	v->spare = full_s / f->seconds;
	add(v, "error", "fit",
	    "stops fitting after %s, because %s are to be written and %s has %s free: then frames "
	    "are dropped. Remedy: %s",
	    time_text(full_s, full), bytes_text(f->rate * f->seconds * f->out_bytes, needed),
	    f->directory, bytes_text(f->free_bytes, there), limits[FIT_SPACE].remedy);
}

/* What there is in excess of the highest rate goes to the buffer. */
static double hold_of(const struct fit *f, double rate)
{
	return f->rate > rate ? f->buffer_frames / (f->rate - rate) : INFINITY;
}

static void judge(const struct fit *f, struct fit_verdict *v)
{
	double full_s = space_s(f, fmin(f->rate, v->rate)), hold_s = hold_of(f, v->rate);
	bool full = f->seconds > 0 && full_s < f->seconds;

	v->spare = v->rate / f->rate;
	if (full && full_s < hold_s) {
		say_full(f, full_s, v);
		return;
	}
	if (isfinite(hold_s)) {
		say_excess(f, hold_s, v);
		return;
	}
	v->fits = true;
	if (f->seconds > 0 && full_s / f->seconds < v->spare) {
		v->spare = full_s / f->seconds;
		v->limit = FIT_SPACE;
	}
	say_fits(f, v);
}

void fit_judge(const struct fit *f, struct fit_verdict *ret)
{
	struct fit_verdict v = { .rate = INFINITY };
	double rate[FIT_LIMITS];

	rates(f, rate);
	for (int i = 0; i < FIT_LIMITS; i++)
		if (rate[i] < v.rate) {
			v.rate = rate[i];
			v.limit = (enum fit_limit)i;
		}
	find_each(f, rate, &v);
	if (!isfinite(v.rate))
		add(&v, "error", "fit", "nothing could be measured");
	else if (f->rate == 0)
		say_highest(f, &v);
	else
		judge(f, &v);
	v.fits = v.fits || (f->rate == 0 && isfinite(v.rate));
	*ret = v;
}
