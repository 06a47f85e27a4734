/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/recover.h"

#include "sinks/record.h"
#include "tests/sinks_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What recovery refuses, and leaves as it was. That it finishes what was cut off: crash_kill. */

static struct rig rig;
static struct recover_result result;
static char why[512];

static int recover(void)
{
	return recover_series(sinks_series_path(rig.sinks),
	                      &(struct recover_options){ .version = "1.2.3" }, &result, why);
}

static void make_series(void)
{
	rig_make(&rig, SINK_TIFF);
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 20; i++)
		rig_put(&rig, i);
	rig_end(&rig);
}

static char *manifest(void)
{
	char *text = calloc(1, 65536), path[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/manifest.json", sinks_series_path(rig.sinks));
	f = fopen(path, "r");
	cr_assert_not_null(f);
	cr_assert_gt(fread(text, 1, 65535, f), 0);
	fclose(f);
	return text;
}

/* As if it had been cut off. */
static void set_running(void)
{
	char path[4096], *text = manifest(), *at = strstr(text, "\"complete\"");
	FILE *f;

	cr_assert_not_null(at);
	snprintf(path, sizeof path, "%s/manifest.json", sinks_series_path(rig.sinks));
	f = fopen(path, "w");
	fprintf(f, "%.*s\"running\"%s", (int)(at - text), text, at + strlen("\"complete\""));
	fclose(f);
	free(text);
}

Test(recover, a_damaged_header_before_records_is_refused)
{
	char path[4096], *before, *after;
	FILE *f;

	make_series();
	set_running();
	snprintf(path, sizeof path, "%s/journal.bin", sinks_series_path(rig.sinks));
	f = fopen(path, "r+");
	cr_assert_not_null(f);
	fputc('X', f);
	fclose(f);
	before = manifest();
	cr_assert_eq(recover(), -EINVAL, "%s", why);
	cr_assert_not_null(strstr(why, "journal.bin"), "%s", why);
	after = manifest();
	cr_assert_str_eq(before, after);
	free(before);
	free(after);
	rig_done(&rig);
}

Test(recover, an_ended_series_without_its_journal_keeps_its_manifest)
{
	char path[4096], *before, *after;

	make_series();
	snprintf(path, sizeof path, "%s/journal.bin", sinks_series_path(rig.sinks));
	cr_assert_eq(unlink(path), 0);
	before = manifest();
	cr_assert_eq(recover(), -ENOENT, "%s", why);
	cr_assert_not_null(strstr(why, "journal"), "%s", why);
	after = manifest();
	cr_assert_str_eq(before, after);
	free(before);
	free(after);
	rig_done(&rig);
}
