/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/send_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void remember(struct send_report *r, unsigned list, uint64_t number)
{
	if (!number_list_add(&r->lists[list], number))
		r->forgot = true;
}

static void remember_pair(struct send_report *r, unsigned list, uint64_t first, uint64_t second)
{
	remember(r, list, first);
	remember(r, list, second);
}

void send_report_series(struct send_report *r, uint64_t id)
{
	struct report_series *s;

	if (r->series_count == r->series_room) {
		size_t room = r->series_room ? 2 * r->series_room : 8;

		s = realloc(r->series, room * sizeof *s);
		if (!s) {
			r->forgot = true;
			return;
		}
		r->series = s;
		r->series_room = room;
	}
	s = &r->series[r->series_count++];
	*s = (struct report_series){ id, r->numbers, r->sent, r->messages, false, false, { 0 } };
	for (unsigned k = 0; k < REPORT_LIST_COUNT; k++)
		s->from[k] = r->lists[k].count;
}

void send_report_started(struct send_report *r)
{
	if (r->series_count)
		r->series[r->series_count - 1].started = true;
}

void send_report_ended(struct send_report *r)
{
	if (r->series_count)
		r->series[r->series_count - 1].ended = true;
}

static void add_usable(struct send_report *r, const struct shot *s)
{
	if (s->repeated) {
		remember(r, REPORT_DUPLICATED, s->number);
		return;
	}
	r->sent++;
	if (s->swapped)
		remember_pair(r, REPORT_SWAPPED, s->number, s->partner);
}

void send_report_add(struct send_report *r, const struct shot *s, const struct shipped *shipped)
{
	r->numbers += !s->repeated;
	if (s->fate == SHOT_LOST) {
		remember(r, REPORT_LOST, s->number);
		return;
	}
	r->messages += shipped->messages;
	r->bytes += shipped->bytes;
	if (s->fate == SHOT_CORRUPTED)
		remember(r, REPORT_CORRUPTED + s->corruption, s->number);
	else if (s->fate == SHOT_TRUNCATED)
		remember(r, REPORT_TRUNCATED, s->number);
	else
		add_usable(r, s);
}

void send_report_port_lost(struct send_report *r, const struct shot *s, unsigned port)
{
	if (!s->repeated)
		remember_pair(r, REPORT_PORTS_LOST, s->number, port);
}

void send_report_unsent(struct send_report *r, const struct shot *s)
{
	if (s->repeated)
		return;
	r->numbers++;
	remember(r, s->fate == SHOT_LOST ? REPORT_LOST : REPORT_UNSENT, s->number);
}

/* The part of the lists that a series has. */
struct extent {
	size_t from[REPORT_LIST_COUNT], to[REPORT_LIST_COUNT];
};

static struct extent whole_extent(const struct send_report *r)
{
	struct extent e = { 0 };

	for (unsigned k = 0; k < REPORT_LIST_COUNT; k++)
		e.to[k] = r->lists[k].count;
	return e;
}

static json_t *numbers_json(const struct send_report *r, const struct extent *e, unsigned list)
{
	json_t *array = json_array();

	for (size_t i = e->from[list]; i < e->to[list]; i++)
		json_array_append_new(array, json_integer((json_int_t)r->lists[list].at[i]));
	return array;
}

static json_t *pairs_json(const struct send_report *r, const struct extent *e, unsigned list)
{
	const uint64_t *at = r->lists[list].at;
	json_t *array = json_array();

	for (size_t i = e->from[list]; i + 1 < e->to[list]; i += 2)
		json_array_append_new(
			array, json_pack("[I, I]", (json_int_t)at[i], (json_int_t)at[i + 1]));
	return array;
}

static size_t corrupted_count(const struct send_report *r)
{
	size_t count = 0;

	for (unsigned k = 0; k < CORRUPTION_COUNT; k++)
		count += r->lists[REPORT_CORRUPTED + k].count;
	return count;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static json_t *corrupted_json(const struct send_report *r, const struct extent *e)
{
	struct number_list all = { 0 };
	json_t *array = json_array();

	for (unsigned k = REPORT_CORRUPTED; k < REPORT_LIST_COUNT; k++)
		for (size_t i = e->from[k]; i < e->to[k]; i++)
			number_list_add(&all, r->lists[k].at[i]);
	if (all.count)
		qsort(all.at, all.count, sizeof *all.at, compare_numbers);
	for (size_t i = 0; i < all.count; i++)
		json_array_append_new(array, json_integer((json_int_t)all.at[i]));
	free(all.at);
	return array;
}

static json_t *by_kind_json(const struct send_report *r, const struct extent *e)
{
	json_t *object = json_object();

	for (unsigned k = 0; k < CORRUPTION_COUNT; k++)
		json_object_set_new(object, corruption_name((enum corruption)k),
		                    numbers_json(r, e, REPORT_CORRUPTED + k));
	return object;
}

static json_t *lists_json(const struct send_report *r, const struct extent *e)
{
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "lost", numbers_json(r, e, REPORT_LOST),
		"duplicated", numbers_json(r, e, REPORT_DUPLICATED), "swapped",
		pairs_json(r, e, REPORT_SWAPPED), "corrupted", corrupted_json(r, e),
		"corrupted_by_kind", by_kind_json(r, e), "truncated",
		numbers_json(r, e, REPORT_TRUNCATED), "unsent", numbers_json(r, e, REPORT_UNSENT),
		"ports_lost", pairs_json(r, e, REPORT_PORTS_LOST));
}

static json_t *counts_json(const struct send_report *r)
{
	const struct number_list *l = r->lists;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "numbers",
	                 (json_int_t)r->numbers, "sent", (json_int_t)r->sent, "messages",
	                 (json_int_t)r->messages, "lost", (json_int_t)l[REPORT_LOST].count,
	                 "duplicated", (json_int_t)l[REPORT_DUPLICATED].count, "swapped",
	                 (json_int_t)l[REPORT_SWAPPED].count / 2, "corrupted",
	                 (json_int_t)corrupted_count(r), "truncated",
	                 (json_int_t)l[REPORT_TRUNCATED].count, "unsent",
	                 (json_int_t)l[REPORT_UNSENT].count, "ports_lost",
	                 (json_int_t)l[REPORT_PORTS_LOST].count / 2);
}

static json_t *one_series_json(const struct send_report *r, size_t i)
{
	const struct report_series *s = &r->series[i],
				   *next = i + 1 < r->series_count ? s + 1 : NULL;
	struct extent e = whole_extent(r);
	json_t *lists, *series;

	memcpy(e.from, s->from, sizeof e.from);
	if (next)
		memcpy(e.to, next->from, sizeof e.to);
	lists = lists_json(r, &e);
	series = json_pack("{s:I, s:I, s:I, s:I, s:b, s:b}", "id", (json_int_t)s->id, "frames",
	                   (json_int_t)((next ? next->numbers : r->numbers) - s->numbers), "sent",
	                   (json_int_t)((next ? next->sent : r->sent) - s->sent), "messages",
	                   (json_int_t)((next ? next->messages : r->messages) - s->messages),
	                   "started", (int)s->started, "ended", (int)s->ended);
	json_object_update(series, lists);
	json_decref(lists);
	return series;
}

static json_t *series_json(const struct send_report *r)
{
	json_t *array = json_array();

	for (size_t i = 0; i < r->series_count; i++)
		json_array_append_new(array, one_series_json(r, i));
	return array;
}

json_t *send_report_endpoints(const struct send_options *o)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < o->endpoint_count; i++)
		json_array_append_new(array, json_string(o->endpoints[i]));
	return array;
}

static json_t *faults_json(const struct send_options *o)
{
	const struct fault_options *f = &o->faults;

	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "lose", f->lose, "duplicate",
	                 f->duplicate, "reorder", f->reorder, "corrupt", f->corrupt, "truncate",
	                 f->truncate, "stall_ms", o->stall_ms, "lose_port", o->lose_port);
}

static json_t *parameters_json(const struct send_options *o, const struct pattern *p)
{
	bool files = o->pattern == PATTERN_TIFF;

	return json_pack(
		"{s:s, s:o, s:s, s:s, s:i, s:i, s:s, s:s?, s:i, s:b, s:s, s:I, s:f, s:I, s:I, "
		"s:I, s:o, s:s, s:I, s:I}",
		"protocol", o->encoder->name, "endpoints", send_report_endpoints(o), "attach",
		o->bind ? "bind" : "connect", "socket", o->publish ? "pub" : "push", "width",
		(int)p->options.width, "height", (int)p->options.height, "type",
		pixel_name(p->options.type), "pixel_format", files ? NULL : o->format->name, "bits",
		files ? 8 * (int)pixel_bytes(p->options.type) : (int)o->format->bits, "big_endian",
		(int)o->big_endian, "pattern", pattern_name(o->pattern), "seed",
		(json_int_t)o->faults.seed, "rate_hz", o->rate_hz, "first",
		(json_int_t)o->faults.first, "frames", (json_int_t)o->frames, "step",
		(json_int_t)o->faults.step, "faults", faults_json(o), "compression",
		compression_name(o->compression), "series", (json_int_t)o->series, "repeat",
		(json_int_t)o->repeat);
}

static json_t *pixel_json(const struct pattern *p, size_t at)
{
	return json_pack("[I, I]", (json_int_t)(at % p->options.width),
	                 (json_int_t)(at / p->options.width));
}

/* The pixels of the phantom's camera that are not as others. */
static json_t *defects_json(const struct pattern *p)
{
	static const char *const names[] = {
		[DEFECT_DEAD] = "dead", [DEFECT_HOT] = "hot", [DEFECT_SATURATED] = "saturated"
	};
	json_t *object = json_object();

	for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
		json_t *array = json_array();

		for (size_t i = 0; i < p->defect_count; i++)
			if (p->defects[i].kind == k)
				json_array_append_new(array, pixel_json(p, p->defects[i].at));
		json_object_set_new(object, names[k], array);
	}
	return object;
}

static void put_span(json_t *object, const char *name, const struct mishap_span *s, double factor)
{
	if (s->count)
		json_object_set_new(object, name,
		                    json_pack("{s:I, s:I, s:f}", "frame", (json_int_t)s->first,
		                              "count", (json_int_t)s->count, "factor", factor));
}

static void put_failures(json_t *object, const char *name, const struct mishap_span *s,
                         const struct pattern *p, const struct mishap_pixel *pixels, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, pixel_json(p, pixels[i].at));
	if (s->count)
		json_object_set_new(object, name,
		                    json_pack("{s:I, s:I, s:O}", "frame", (json_int_t)s->first,
		                              "count", (json_int_t)count, "pixels", array));
	json_decref(array);
}

static json_t *mishaps_json(const struct pattern *p)
{
	const struct mishaps *m = &p->mishaps;
	const struct mishap_options *o = &m->options;
	json_t *object = json_object();

	put_span(object, "dip", &o->dip, o->dip_share);
	put_span(object, "saturate", &o->saturate, o->exposure);
	put_span(object, "freeze", &o->freeze, 1);
	put_failures(object, "new_hot", &o->new_hot, p, m->hot, m->hot_count);
	put_failures(object, "new_dead", &o->new_dead, p, m->dead, m->dead_count);
	return object;
}

/* Microseconds of CPU time a message. */
static double cpu_us(const struct send_report *r)
{
	return r->messages ? (double)r->cpu_ns * 1e-3 / (double)r->messages : 0.0;
}

/* Of one core; 0 to the number of cores. */
static double cpu_share(const struct send_report *r)
{
	return r->elapsed_ns ? (double)r->cpu_ns / (double)r->elapsed_ns : 0.0;
}

/* Nothing where the CPU time was not measured. */
static json_t *cost_json(const struct send_report *r)
{
	if (!r->cpu_ns)
		return json_object();
	return json_pack("{s:f, s:f, s:I, s:I}", "cpu_us_per_frame", cpu_us(r), "cpu_share",
	                 cpu_share(r), "waits", (json_int_t)r->waits, "reclaimed",
	                 (json_int_t)r->reclaimed);
}

static json_t *report_json(const struct send_report *r, const struct send_options *o,
                           const struct pattern *p)
{
	double seconds = (double)r->elapsed_ns * 1e-9;
	double per_s = seconds > 0 ? 1.0 / seconds : 0.0;
	struct extent all = whole_extent(r);
	json_t *report = json_pack("{s:s, s:s, s:o, s:b, s:b, s:b}", "program", "openbeam-send",
	                           "version", OPENBEAM_VERSION, "parameters", parameters_json(o, p),
	                           "finished", (int)r->finished, "delivered", (int)r->delivered,
	                           "lists_complete", (int)!r->forgot);
	json_t *figures = json_pack(
		"{s:I, s:f, s:f, s:I, s:f, s:I, s:f}", "started_ns", (json_int_t)r->started_ns,
		"seconds", seconds, "frames_per_s", (double)r->messages * per_s, "bytes",
		(json_int_t)r->bytes, "bytes_per_s", (double)r->bytes * per_s, "late",
		(json_int_t)r->late, "late_max_ms", (double)r->late_max_ns * 1e-6);
	json_t *sums =
		json_pack("{s:I, s:o, s:s, s:o}", "sent", (json_int_t)r->sent, "counts",
	                  counts_json(r), "protocol", o->encoder->name, "series", series_json(r));
	json_t *lists = lists_json(r, &all);
	json_t *camera =
		json_pack("{s:o, s:o}", "defects", defects_json(p), "mishaps", mishaps_json(p));
	json_t *cost = cost_json(r);
	bool good = report && figures && sums && lists && cost && camera &&
	            !json_object_update(report, camera) && !json_object_update(report, cost) &&
	            !json_object_update(report, figures) && !json_object_update(report, sums) &&
	            !json_object_update(report, lists);

	json_decref(camera);
	json_decref(sums);
	json_decref(figures);
	json_decref(cost);
	json_decref(lists);
	if (good)
		return report;
	json_decref(report);
	return NULL;
}

int send_report_write(const struct send_report *r, const struct send_options *o,
                      const struct pattern *p, const char *path)
{
	return send_report_dump(report_json(r, o, p), path);
}

int send_report_dump(json_t *report, const char *path)
{
	FILE *out;
	int err = 0;

	if (!report)
		return -ENOMEM;
	out = fopen(path, "w");
	if (!out) {
		err = -errno;
		json_decref(report);
		return err;
	}
	if (json_dumpf(report, out, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) ||
	    fputc('\n', out) == EOF)
		err = errno ? -errno : -EIO;
	json_decref(report);
	if (fclose(out) && !err)
		err = -errno;
	return err;
}

static void print_count(FILE *out, const char *name, size_t count)
{
	if (count)
		fprintf(out, ", %zu %s", count, name);
}

void send_report_print(const struct send_report *r, FILE *out)
{
	double seconds = (double)r->elapsed_ns * 1e-9;
	double per_s = seconds > 0 ? 1.0 / seconds : 0.0;

	fprintf(out, "sent %" PRIu64 " of %" PRIu64 " frames in %.2f s: %.1f messages/s, %.3f GB/s",
	        r->sent, r->numbers, seconds, (double)r->messages * per_s,
	        (double)r->bytes * per_s * 1e-9);
	print_count(out, "lost", r->lists[REPORT_LOST].count);
	print_count(out, "duplicated", r->lists[REPORT_DUPLICATED].count);
	print_count(out, "pairs swapped", r->lists[REPORT_SWAPPED].count / 2);
	print_count(out, "corrupted", corrupted_count(r));
	print_count(out, "truncated", r->lists[REPORT_TRUNCATED].count);
	print_count(out, "parts of ports lost", r->lists[REPORT_PORTS_LOST].count / 2);
	print_count(out, "not sent", r->lists[REPORT_UNSENT].count);
	if (r->late)
		fprintf(out, ", %" PRIu64 " late by up to %.1f ms", r->late,
		        (double)r->late_max_ns * 1e-6);
	if (r->cpu_ns)
		fprintf(out,
		        "; %.1f us of CPU a frame, %.2f %% of a core; waited %" PRIu64
		        " times, %" PRIu64 " slots reclaimed",
		        cpu_us(r), 100 * cpu_share(r), r->waits, r->reclaimed);
	fputs(r->delivered ? "\n" : ", not all delivered\n", out);
}

void send_report_done(struct send_report *r)
{
	for (unsigned k = 0; k < REPORT_LIST_COUNT; k++)
		free(r->lists[k].at);
	free(r->series);
	*r = (struct send_report){ 0 };
}
