/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/results.h"

#include "bench/machine.h"

#include <errno.h>
#include <stdio.h>

int results_open(struct results *r, const char *benchmark)
{
	*r = (struct results){ benchmark, json_array() };
	if (!r->rows)
		return -ENOMEM;
	printf("%-34s %10s %10s %10s  %-10s %4s %10s %6s\n", benchmark, "median", "min", "max",
	       "unit", "runs", "limit", "ratio");
	return 0;
}

void results_close(struct results *r)
{
	json_decref(r->rows);
	*r = (struct results){ 0 };
}

static void print_row(const struct result *one)
{
	const struct samples *s = one->samples;

	printf("%-34s %10.3f %10.3f %10.3f  %-10s %4u", one->name, samples_median(s),
	       samples_min(s), samples_max(s), one->unit, s->count);
	if (one->limit > 0)
		printf(" %10.3f %6.2f", one->limit, samples_median(s) / one->limit);
	else
		printf(" %10s %6s", "", "");
	if (one->counts_lost)
		printf("  %llu lost", (unsigned long long)one->lost);
	printf("%s%s\n", one->note ? "  " : "", one->note ? one->note : "");
	fflush(stdout);
}

static json_t *number_or_null(bool known, double value)
{
	return known ? json_real(value) : json_null();
}

void results_add(struct results *r, const struct result *one)
{
	const struct samples *s = one->samples;
	bool limited = one->limit > 0;
	json_t *row = json_pack(
		"{s:s, s:s, s:f, s:f, s:f, s:i, s:o, s:o, s:o}", "name", one->name, "unit",
		one->unit, "median", samples_median(s), "min", samples_min(s), "max",
		samples_max(s), "runs", (int)s->count, "limit", number_or_null(limited, one->limit),
		"ratio", number_or_null(limited, limited ? samples_median(s) / one->limit : 0),
		"lost", one->counts_lost ? json_integer((json_int_t)one->lost) : json_null());

	print_row(one);
	if (one->more)
		json_object_update(row, one->more);
	json_decref(one->more);
	json_array_append_new(r->rows, row);
}

int results_write(const struct results *r, const char *path)
{
	json_t *all = json_pack("{s:s, s:o, s:s, s:O}", "benchmark", r->benchmark, "machine",
	                        machine_json(), "version", OPENBEAM_VERSION, "results", r->rows);
	FILE *out;
	int err = 0;

	if (!all)
		return -ENOMEM;
	out = fopen(path, "w");
	if (!out) {
		err = -errno;
		json_decref(all);
		return err;
	}
	errno = 0;
	if (json_dumpf(all, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) ||
	    fputc('\n', out) == EOF)
		err = errno ? -errno : -EIO;
	json_decref(all);
	if (fclose(out) && !err)
		err = -errno;
	return err;
}
