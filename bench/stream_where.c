/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stream_where.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SHOWN 0.002 /* of all CPU time: what needs less is not printed */

/* ---- sums ---- */

/* The kernel's helpers of a process have numbers; all of them are one. */
static void name_of(const struct trial_thread *t, char ret[16])
{
	snprintf(ret, 16, "%s", strncmp(t->name, "iou-wrk", 7) == 0 ? "iou-wrk" : t->name);
}

static unsigned index_of(struct stream_where *w, const struct trial_thread *t, const char name[16])
{
	unsigned i = 0;

	while (i < w->count &&
	       (w->threads[i].process != t->process || strcmp(w->threads[i].name, name) != 0))
		i++;
	if (i == w->count && i < TRIAL_THREADS_MAX) {
		w->threads[i] = (struct trial_thread){ .process = t->process };
		memcpy(w->threads[i].name, name, 16);
		w->members[i] = 0;
		w->count++;
	}
	return i;
}

static void add_thread(struct stream_where *w, const struct trial_thread *t)
{
	char name[16];
	struct trial_thread *sum;
	unsigned i;

	name_of(t, name);
	i = index_of(w, t, name);
	if (i == TRIAL_THREADS_MAX)
		return;
	sum = &w->threads[i];
	sum->user_s += t->user_s;
	sum->system_s += t->system_s;
	sum->run_s += t->run_s;
	sum->queue_s += t->queue_s;
	sum->faults += t->faults;
	sum->major_faults += t->major_faults;
	sum->switches += t->switches;
	sum->preemptions += t->preemptions;
	memcpy(sum->waits, t->waits, sizeof sum->waits);
	w->members[i]++;
}

void stream_where_add(struct stream_where *w, const struct trial_figures *f)
{
	for (unsigned i = 0; i < f->thread_count; i++)
		add_thread(w, &f->threads[i]);
	w->runs++;
	w->frames += f->written;
	w->seconds += f->seconds;
	w->cpu_daemon_s += f->cpu_daemon_s;
	w->cpu_sender_s += f->cpu_sender_s;
	w->others_s += f->others_s;
	w->loopback_bytes += (double)f->loopback_bytes;
}

unsigned stream_where_copies(const struct stream_kind *k)
{
	return k->transport == TRIAL_SHM ? 0 : 2;
}

double stream_where_carried(const struct stream_where *w, const struct stream_kind *k)
{
	double bytes = 2.0 * k->width * k->height * (double)w->frames;

	return k->transport == TRIAL_TCP && bytes > 0 ? w->loopback_bytes / bytes : NAN;
}

double stream_where_others(const struct stream_where *w, unsigned cores)
{
	return isnan(w->others_s) || w->seconds <= 0 ? 0 : w->others_s / (w->seconds * cores);
}

static double ms(const struct stream_where *w, double seconds)
{
	return w->frames ? 1e3 * seconds / (double)w->frames : 0;
}

static double per_frame(const struct stream_where *w, uint64_t n)
{
	return w->frames ? (double)n / (double)w->frames : 0;
}

double stream_where_idle(const struct stream_where *w, unsigned cores)
{
	double others = isnan(w->others_s) ? 0 : w->others_s;
	double idle = cores * w->seconds - w->cpu_daemon_s - w->cpu_sender_s - others;

	return w->frames ? fmax(0, idle) / (double)w->frames : 0;
}

/* Neither on a core nor waiting for one. NAN: threads that come and go. */
static double asleep_s(const struct stream_where *w, unsigned i)
{
	const struct trial_thread *t = &w->threads[i];
	double members = (double)w->members[i] / w->runs;

	if (strcmp(t->name, "iou-wrk") == 0)
		return NAN;
	return fmax(0, members * w->seconds - t->run_s - t->queue_s);
}

/* What a thread of that name sleeps for; what the daemon itself says comes first. */
static const char *asleep_for(const struct trial_thread *t)
{
	static const struct {
		char process;
		const char *begins, *with;
	} rows[] = {
		{ 'd', "openbeamd", "the end" },
		{ 'd', "rx", "messages, or room for them" },
		{ 'd', "work", "frames" },
		{ 'd', "sink", "products, and the disk" },
		{ 'd', "iou-wrk", "" },
		{ 'd', "ZMQbg/IO", "bytes from the socket" },
		{ 's', "ZMQbg/IO", "room in the socket" },
		{ 's', "openbeam-send", "room in the queue, or the time of a frame" },
		{ 0 },
	};

	if (t->waits[0])
		return t->waits;
	for (unsigned i = 0; rows[i].begins; i++)
		if (rows[i].process == t->process &&
		    strncmp(t->name, rows[i].begins, strlen(rows[i].begins)) == 0)
			return rows[i].with;
	return "its turn";
}

/* ---- the table ---- */

/* By the clock ticks, which are coarse; both together are exact. */
static double user_share(const struct trial_thread *t)
{
	double ticks = t->user_s + t->system_s;

	return ticks > 0 ? t->user_s / ticks : 1;
}

static void print_thread(const struct stream_where *w, unsigned i)
{
	const struct trial_thread *t = &w->threads[i];
	double user = user_share(t) * t->run_s, asleep = asleep_s(w, i);
	char sleep[16] = "-";

	if (!isnan(asleep))
		snprintf(sleep, sizeof sleep, "%.3f", ms(w, asleep));
	printf("  %-14s %-15s %8.3f %8.3f %8.3f %9s %8.2f %8.2f  %s\n",
	       t->process == 'd' ? "openbeamd" : "openbeam-send", t->name, ms(w, user),
	       ms(w, t->run_s - user), ms(w, t->queue_s), sleep, per_frame(w, t->faults),
	       per_frame(w, t->switches + t->preemptions), asleep_for(t));
}

static void print_calls(const struct stream_calls *c)
{
	static const char *const names[] = { "openbeamd", "openbeam-send" };

	for (unsigned i = 0; i < 2; i++)
		if (isnan(c->per_frame[i]))
			printf("  system calls a frame, %s: %s\n", names[i], c->text[i]);
		else
			printf("  system calls a frame, %s: %.2f under strace, where all wait more "
			       "often (%s)\n",
			       names[i], c->per_frame[i], c->text[i]);
}

/* By what the programs are: they do not copy, and a socket copies twice. */
static void print_copies(const struct stream_where *w, const struct stream_kind *k)
{
	printf("  copies of the pixels: %u by the kernel%s, none by the programs",
	       stream_where_copies(k),
	       k->transport == TRIAL_SHM ? "" : " (into the socket, out of the socket)");
	if (k->transport == TRIAL_TCP)
		printf("; the loopback interface carried %.2f frames for each, whoever sent them",
		       stream_where_carried(w, k));
	putchar('\n');
}

void stream_where_print(const struct stream_where *w, const struct stream_account *a)
{
	double reached = w->cpu_daemon_s + w->cpu_sender_s;

	printf("where the time of %s went, ms a frame; page faults and context switches a "
	       "frame:\n"
	       "  %-14s %-15s %8s %8s %8s %9s %8s %8s  %s\n",
	       a->name, "process", "thread", "user", "system", "no core", "asleep", "faults",
	       "switches", "asleep for");
	for (unsigned i = 0; i < w->count; i++)
		if (w->threads[i].run_s >= SHOWN * reached)
			print_thread(w, i);
	printf("  CPU time: limit %.3f, reached %.3f, %.2f of it (openbeamd %.3f, openbeam-send "
	       "%.3f); of %u cores idle %.3f, other programs %.3f\n",
	       1e3 * a->limit_s, ms(w, reached), a->limit_s * 1e3 / ms(w, reached),
	       ms(w, w->cpu_daemon_s), ms(w, w->cpu_sender_s), a->cores,
	       1e3 * stream_where_idle(w, a->cores), ms(w, w->others_s));
	print_copies(w, a->kind);
	print_calls(a->calls);
	fflush(stdout);
}

/* ---- JSON ---- */

static json_t *number(double value)
{
	return isnan(value) ? json_null() : json_real(value);
}

static json_t *thread_json(const struct stream_where *w, unsigned i)
{
	const struct trial_thread *t = &w->threads[i];
	double user = user_share(t) * t->run_s;

	return json_pack("{s:s, s:s, s:f, s:f, s:f, s:o, s:f, s:f, s:f, s:f, s:s}", "process",
	                 t->process == 'd' ? "openbeamd" : "openbeam-send", "thread", t->name,
	                 "user_ms", ms(w, user), "system_ms", ms(w, t->run_s - user), "no_core_ms",
	                 ms(w, t->queue_s), "asleep_ms", number(ms(w, asleep_s(w, i))), "faults",
	                 per_frame(w, t->faults), "major_faults", per_frame(w, t->major_faults),
	                 "switches", per_frame(w, t->switches), "preemptions",
	                 per_frame(w, t->preemptions), "asleep_for", asleep_for(t));
}

json_t *stream_where_json(const struct stream_where *w, const struct stream_account *a)
{
	double reached = ms(w, w->cpu_daemon_s + w->cpu_sender_s);
	json_t *threads = json_array();

	for (unsigned i = 0; i < w->count; i++)
		json_array_append_new(threads, thread_json(w, i));
	return json_pack(
		"{s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:f, s:o, s:i, s:i, s:o, s:o, s:s, s:s, s:o}",
		"limit_cpu_ms", 1e3 * a->limit_s, "reached_cpu_ms", reached, "cpu_ratio",
		reached > 0 ? 1e3 * a->limit_s / reached : 0, "daemon_cpu_ms",
		ms(w, w->cpu_daemon_s), "sender_cpu_ms", ms(w, w->cpu_sender_s), "idle_ms",
		1e3 * stream_where_idle(w, a->cores), "others_ms", number(ms(w, w->others_s)),
		"others_share", stream_where_others(w, a->cores), "loopback_frames",
		number(stream_where_carried(w, a->kind)), "kernel_copies",
		(int)stream_where_copies(a->kind), "program_copies", 0, "daemon_calls",
		number(a->calls->per_frame[0]), "sender_calls", number(a->calls->per_frame[1]),
		"daemon_calls_text", a->calls->text[0], "sender_calls_text", a->calls->text[1],
		"threads", threads);
}
