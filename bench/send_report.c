/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/send_report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

static void remember(struct send_report *r, struct number_list *l, uint64_t number)
{
	if (!number_list_add(l, number))
		r->forgot = true;
}

static void add_usable(struct send_report *r, const struct shot *s)
{
	if (s->repeated) {
		remember(r, &r->duplicated, s->number);
		return;
	}
	r->sent++;
	if (s->swapped) {
		remember(r, &r->swapped, s->number);
		remember(r, &r->swapped, s->partner);
	}
}

void send_report_add(struct send_report *r, const struct shot *s, size_t pixel_bytes)
{
	r->numbers += !s->repeated;
	if (s->fate == SHOT_LOST) {
		remember(r, &r->lost, s->number);
		return;
	}
	r->messages++;
	r->bytes += pixel_bytes;
	if (s->fate == SHOT_CORRUPTED)
		remember(r, &r->corrupted[s->corruption], s->number);
	else if (s->fate == SHOT_TRUNCATED)
		remember(r, &r->truncated, s->number);
	else
		add_usable(r, s);
}

void send_report_unsent(struct send_report *r, const struct shot *s)
{
	if (s->repeated)
		return;
	r->numbers++;
	if (s->fate == SHOT_LOST)
		remember(r, &r->lost, s->number);
	else
		remember(r, &r->unsent, s->number);
}

static json_t *numbers_json(const struct number_list *l)
{
	json_t *array = json_array();

	for (size_t i = 0; i < l->count; i++)
		json_array_append_new(array, json_integer((json_int_t)l->at[i]));
	return array;
}

static json_t *pairs_json(const struct number_list *l)
{
	json_t *array = json_array();

	for (size_t i = 0; i + 1 < l->count; i += 2)
		json_array_append_new(
			array, json_pack("[I, I]", (json_int_t)l->at[i], (json_int_t)l->at[i + 1]));
	return array;
}

static size_t corrupted_count(const struct send_report *r)
{
	size_t count = 0;

	for (int k = 0; k < CORRUPTION_COUNT; k++)
		count += r->corrupted[k].count;
	return count;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static json_t *corrupted_json(const struct send_report *r)
{
	struct number_list all = { 0 };
	json_t *array;

	for (int k = 0; k < CORRUPTION_COUNT; k++)
		for (size_t i = 0; i < r->corrupted[k].count; i++)
			number_list_add(&all, r->corrupted[k].at[i]);
	if (all.count)
		qsort(all.at, all.count, sizeof *all.at, compare_numbers);
	array = numbers_json(&all);
	free(all.at);
	return array;
}

static json_t *by_kind_json(const struct send_report *r)
{
	json_t *object = json_object();

	for (int k = 0; k < CORRUPTION_COUNT; k++)
		json_object_set_new(object, corruption_name((enum corruption)k),
		                    numbers_json(&r->corrupted[k]));
	return object;
}

static json_t *counts_json(const struct send_report *r)
{
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "numbers", (json_int_t)r->numbers,
		"sent", (json_int_t)r->sent, "messages", (json_int_t)r->messages, "lost",
		(json_int_t)r->lost.count, "duplicated", (json_int_t)r->duplicated.count, "swapped",
		(json_int_t)r->swapped.count / 2, "corrupted", (json_int_t)corrupted_count(r),
		"truncated", (json_int_t)r->truncated.count, "unsent", (json_int_t)r->unsent.count);
}

static json_t *endpoints_json(const struct send_options *o)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < o->endpoint_count; i++)
		json_array_append_new(array, json_string(o->endpoints[i]));
	return array;
}

static json_t *faults_json(const struct send_options *o)
{
	const struct fault_options *f = &o->faults;

	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "lose", f->lose, "duplicate",
	                 f->duplicate, "reorder", f->reorder, "corrupt", f->corrupt, "truncate",
	                 f->truncate, "stall_ms", o->stall_ms);
}

static json_t *parameters_json(const struct send_options *o, const struct pattern *p)
{
	bool files = o->pattern == PATTERN_TIFF;

	return json_pack(
		"{s:s, s:o, s:s, s:s, s:i, s:i, s:s, s:s?, s:i, s:b, s:s, s:I, s:f, s:I, s:I, "
		"s:I, s:o}",
		"protocol", o->shm.asked ? "shm" : "array-1.0", "endpoints", endpoints_json(o),
		"attach", o->bind ? "bind" : "connect", "socket", o->publish ? "pub" : "push",
		"width", (int)p->options.width, "height", (int)p->options.height, "type",
		pixel_name(p->options.type), "pixel_format", files ? NULL : o->format->name, "bits",
		files ? 8 * (int)pixel_bytes(p->options.type) : (int)o->format->bits, "big_endian",
		(int)o->big_endian, "pattern", pattern_name(o->pattern), "seed",
		(json_int_t)o->faults.seed, "rate_hz", o->rate_hz, "first",
		(json_int_t)o->faults.first, "frames", (json_int_t)o->frames, "step",
		(json_int_t)o->faults.step, "faults", faults_json(o));
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
	json_t *report = json_pack("{s:s, s:s, s:o, s:b, s:b, s:b}", "program", "openbeam-send",
	                           "version", OPENBEAM_VERSION, "parameters", parameters_json(o, p),
	                           "finished", (int)r->finished, "delivered", (int)r->delivered,
	                           "lists_complete", (int)!r->forgot);
	json_t *figures = json_pack(
		"{s:I, s:f, s:f, s:I, s:f, s:I, s:f}", "started_ns", (json_int_t)r->started_ns,
		"seconds", seconds, "frames_per_s", (double)r->messages * per_s, "bytes",
		(json_int_t)r->bytes, "bytes_per_s", (double)r->bytes * per_s, "late",
		(json_int_t)r->late, "late_max_ms", (double)r->late_max_ns * 1e-6);
	json_t *lists = json_pack(
		"{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "sent", (json_int_t)r->sent,
		"counts", counts_json(r), "lost", numbers_json(&r->lost), "duplicated",
		numbers_json(&r->duplicated), "swapped", pairs_json(&r->swapped), "corrupted",
		corrupted_json(r), "corrupted_by_kind", by_kind_json(r), "truncated",
		numbers_json(&r->truncated), "unsent", numbers_json(&r->unsent));
	json_t *cost = cost_json(r);
	bool good = report && figures && lists && cost && !json_object_update(report, figures) &&
	            !json_object_update(report, cost) && !json_object_update(report, lists);

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
	json_t *report = report_json(r, o, p);
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
	print_count(out, "lost", r->lost.count);
	print_count(out, "duplicated", r->duplicated.count);
	print_count(out, "pairs swapped", r->swapped.count / 2);
	print_count(out, "corrupted", corrupted_count(r));
	print_count(out, "truncated", r->truncated.count);
	print_count(out, "not sent", r->unsent.count);
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
	struct number_list *lists[] = { &r->lost, &r->duplicated, &r->truncated, &r->unsent,
		                        &r->swapped };

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		free(lists[i]->at);
	for (int k = 0; k < CORRUPTION_COUNT; k++)
		free(r->corrupted[k].at);
	*r = (struct send_report){ 0 };
}
