/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Load text and sets; the problems, malloc'd, or "" when there are none. */
static char *problems_of(const char *text, const char *const *sets, unsigned set_count)
{
	struct config c;
	char *problems;
	int err = config_parse(&c, text, text ? strlen(text) : 0, "beam.yaml", sets, set_count,
	                       &problems);

	if (err == 0) {
		cr_expect_null(problems);
		config_done(&c);
		return strdup("");
	}
	cr_assert_eq(err, -EINVAL);
	cr_assert_not_null(problems);
	return problems;
}

/* What loads must load; the caller's config_done(). */
static struct config loaded(const char *text, const char *const *sets, unsigned set_count)
{
	struct config c = { 0 };
	char *problems;
	int err = config_parse(&c, text, text ? strlen(text) : 0, "beam.yaml", sets, set_count,
	                       &problems);

	cr_assert_eq(err, 0, "%s", problems);
	return c;
}

Test(config_sets, lets_a_set_win_over_the_file_and_a_later_set_over_an_earlier)
{
	static const char *const sets[] = { "reduce.bin=2",
		                            "series.name=b",
		                            "series.name=c",
		                            "reduce={type: uint8, window: [0, 2]}",
		                            "ingest.endpoints=[tcp://c:3, tcp://d:4]",
		                            "daemon.cpus=5",
		                            "monitor.http=" };
	struct config c = loaded("series: {name: a, step: 3}\n"
	                         "reduce: {bin: 4}\n"
	                         "ingest: {endpoints: [tcp://a:1, tcp://b:2, tcp://x:3]}\n"
	                         "daemon: {cpus: [1, 2, 3]}\n",
	                         sets, 7);

	cr_expect_str_eq(c.series.name, "c");
	cr_expect_eq(c.series.step, 3);
	cr_expect_eq(c.reduce.bin, 2);
	cr_expect_eq(c.reduce.type, REDUCE_UINT8);
	cr_expect_eq(c.reduce.window_high, 2);
	cr_expect_eq(c.ingest.endpoints.count, 2);
	cr_expect_str_eq(c.ingest.endpoints.at[0], "tcp://c:3");
	cr_expect_eq(c.daemon.cpu_count, 1);
	cr_expect_eq(c.daemon.cpus[0], 5);
	cr_expect_str_empty(c.monitor.http);
	config_done(&c);
}

Test(config_sets, mends_the_file_with_a_set)
{
	static const char *const sets[] = { "calibration.flat=f.tif" };
	struct config c = loaded("reduce: {normalise: transmission}", sets, 1);

	cr_expect_eq(c.reduce.normalise, NORMALISE_TRANSMISSION);
	config_done(&c);
}

Test(config_sets, sets_and_appends_sinks_by_number)
{
	static const char *const sets[] = { "sinks.0.format=raw", "sinks[0].directory=/d/e",
		                            "sinks.1.format=null", "sinks[2]={sync: 2s}" };
	struct config c = loaded(NULL, sets, 4);

	cr_expect_eq(c.sink_count, 3);
	cr_expect_eq(c.sinks[0].format, SINK_RAW);
	cr_expect_str_eq(c.sinks[0].directory, "/d/e");
	cr_expect_eq(c.sinks[1].format, SINK_NULL);
	cr_expect_str_eq(c.sinks[1].directory, "data");
	cr_expect_eq(c.sinks[2].sync_ns, UINT64_C(2000000000));
	config_done(&c);
}

Test(config_sets, sets_appends_and_empties_regions)
{
	static const char *const sets[] = { "regions.0={name: a, width: 2, height: 3}",
		                            "regions.0.x=7", "regions[1].name=b",
		                            "regions[1].width=4", "regions.1.height=5" };
	static const char *const none[] = { "regions=[]" };
	struct config c = loaded(NULL, sets, 5);

	cr_expect_eq(c.region_count, 2);
	cr_expect_eq(c.regions[0].x, 7);
	cr_expect_eq(c.regions[0].height, 3);
	cr_expect_str_eq(c.regions[1].name, "b");
	cr_expect_eq(c.regions[1].x, 0);
	config_done(&c);
	c = loaded("regions: [{name: a, width: 1, height: 1}]", none, 1);
	cr_expect_eq(c.region_count, 0);
	config_done(&c);
}

Test(config_sets, replaces_all_sinks_with_a_list)
{
	static const char *const sets[] = { "sinks=[{format: null}]" };
	struct config c = loaded("sinks: [{directory: a}, {directory: b}]", sets, 1);

	cr_expect_eq(c.sink_count, 1);
	cr_expect_eq(c.sinks[0].format, SINK_NULL);
	cr_expect_str_eq(c.sinks[0].directory, "data");
	config_done(&c);
}

static const struct bad_set {
	const char *set, *part;
} bad_sets[] = {
	{ "reduce.bin=5",
	  "--set reduce.bin=5: reduce.bin: '5' is none of its values; accepted: 1 |" },
	{ "reduce.bim=2",
	  "--set reduce.bim=2: reduce.bim: unknown key; the nearest known one is red" },
	{ "reduce", "not of the form key.path=value" },
	{ "=2", "not of the form key.path=value" },
	{ "", "not of the form key.path=value" },
	{ "=", "not of the form key.path=value" },
	{ "reduce=2", "reduce: '2' where its keys are needed" },
	{ "reduce={bim: 2}", "--set reduce={bim: 2}: reduce.bim: unknown key" },
	{ "reduce.window=[0, 2", "--set reduce.window=[0, 2: not YAML: " },
	{ "reduce.bin=2\n---\n3", "a second document" },
	{ "reduce.bin=", "reduce.bin: '' is none of its values" },
	{ "series.step=", "series.step: it has no value" },
	{ "series.name=#1", "series.name: there is no value" },
	{ "series.name=*a", "aliases" },
	{ "reduce.bin.x=1", "reduce.bin.x: unknown key" },
	{ "sinks.2.format=raw", "there is no sink 2 to set: there are 1" },
	{ "sinks.99999999999999999999999.format=raw", "there is no sink" },
	{ "sinks.-1.format=raw", "a sink is named by its number" },
	{ "sinks.N.format=raw", "a sink is named by its number" },
	{ "sinks[0.format=raw", "a sink is named by its number" },
	{ "sinks.0.fromat=raw", "sinks.0.fromat: unknown key" },
	{ "sinks.format=raw", "a sink is named by its number" },
	{ "sinks=[]", "the list is empty" },
	{ "regions.1.name=a", "there is no region 1 to set: there are 0, and 16 at most" },
	{ "regions.open.x=1", "a region is named by its number, as in regions.0.name" },
	{ "regions.name=a", "a region is named by its number" },
	{ "regions.0.nmae=a", "regions.0.nmae: unknown key; the nearest known one is regions.N" },
	{ "regions.0.x=1", "regions.0.width: width 0 and height 0: region region needs both" },
	{ "regions=a", "regions: 'a' where a list of regions is needed" },
	{ "blackbox.on=", "blackbox.on: it must not be empty" },
	{ "calibration.sequence=flat", "calibration.sequence: 'flat' does not fit" },
	{ "series.name=\xc3(", "not YAML: " },
	{ "monitor.http=[::1]:0", "double quotes around it: --set 'KEY=\"VALUE\"'" },
	{ "reduce.normalise=transmission",
	  "reduce.normalise: transmission needs calibration.flat" },
};

Test(config_sets, refuses_each_bad_set_by_its_text)
{
	for (size_t i = 0; i < sizeof bad_sets / sizeof *bad_sets; i++) {
		char *problems = problems_of(NULL, &bad_sets[i].set, 1);

		cr_expect_not_null(strstr(problems, bad_sets[i].part), "%s\n%s", bad_sets[i].set,
		                   problems);
		cr_expect_eq(strncmp(problems, "--set ", 6), 0, "%s", problems);
		free(problems);
	}
}

Test(config_sets, are_not_blamed_for_a_file_that_cannot_be_read)
{
	static const char *const sets[] = { "sinks.1.format=raw", "reduce.normalise=transmission" };
	char *problems = problems_of("sinks: [{}, {}\n", sets, 2);

	cr_expect_eq(strncmp(problems, "beam.yaml:2:1: not YAML: ", 25), 0, "%s", problems);
	cr_expect_null(strstr(problems, "--set"));
	free(problems);
}
