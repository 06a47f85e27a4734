/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config/options.h"
#include "config/units.h"
#include "config/values.h"

/* What is made from the option table: the manual, the JSON, the words, each row's limits. */

static struct config loaded(const char *text, const char *const *sets, unsigned set_count)
{
	struct config c = { 0 };
	char *problems;
	int err = config_parse(&c, text, text ? strlen(text) : 0, "beam.yaml", sets, set_count,
	                       &problems);

	cr_assert_eq(err, 0, "%s", problems);
	return c;
}

static char *printed(const struct config *c)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	config_print(c, out);
	fclose(out);
	return text;
}

static char *read_manual(void)
{
	FILE *file = fopen(SOURCE_DIR "/config/openbeam.yaml", "r");
	char *text = calloc(1, 1u << 16);

	cr_assert_not_null(file);
	cr_assert_gt(fread(text, 1, (1u << 16) - 1, file), 0);
	fclose(file);
	return text;
}

Test(config_manual, is_what_the_defaults_print)
{
	struct config c = loaded(NULL, NULL, 0);
	char *manual = read_manual(), *text = printed(&c);

	cr_expect_str_eq(text, manual,
	                 "write it anew: openbeamd --print-config > config/openbeam.yaml");
	free(text);
	free(manual);
	config_done(&c);
}

/* What stands before a key: of a list without elements, the mark of a comment too. */
static const char *lead_of(const struct option *o)
{
	const struct option_list *list = option_list_of(o);

	return list && list->defaults == 0 ? " -#" : " -";
}

/* The line "name: ..." of a key. */
static const char *find_line(const char *from, const struct option *o)
{
	const char *name = option_name(o);
	size_t length = strlen(name);

	for (const char *line = from; line; line = strchr(line, '\n')) {
		const char *key;

		line += *line == '\n';
		key = line + strspn(line, lead_of(o));

		if (strncmp(key, name, length) == 0 && key[length] == ':')
			return key;
	}
	return NULL;
}

Test(config_manual, names_every_key_with_its_default_in_order)
{
	char *manual = read_manual();
	const char *at = manual;

	for (const struct option *o = options; o->path; o++) {
		const char *line = find_line(at, o);
		char wanted[256];

		cr_assert_not_null(line, "%s", o->path);
		/* Its comment says the default; its value is it, but for the settled one. */
		snprintf(wanted, sizeof wanted, "Default: %s\n", o->fallback);
		cr_expect(strstr(at, wanted) && strstr(at, wanted) < line, "%s", o->path);
		snprintf(wanted, sizeof wanted, "%s: %s\n", option_name(o), o->fallback);
		cr_expect_eq(strncmp(line, wanted, strlen(wanted)), 0, "%s", o->path);
		at = line;
	}
	free(manual);
}

Test(config_manual, loads_as_the_defaults)
{
	char *manual = read_manual();
	struct config c = loaded(manual, NULL, 0), defaults = loaded(NULL, NULL, 0);
	char *from_manual = config_json(&c), *from_defaults = config_json(&defaults);

	cr_expect_str_eq(from_manual, from_defaults);
	free(from_manual);
	free(from_defaults);
	free(manual);
	config_done(&c);
	config_done(&defaults);
}

static const char *const unusual_sets[] = {
	"ingest.name=Cam_2.b",
	"ingest.endpoints=[\"tcp://*:5555\", tcp://h:1, \"ipc:///run/a b\"]",
	"ingest.channel=\"say \\\"null\\\", \\\\ # then: more\"",
	"ingest.bits=14",
	"ingest.saturation=16382",
	"ingest.frame={width: 640, height: 480, type: uint16}",
	"ingest.frame_limit=1000001",
	"ingest.buffer=3000000000",
	"series.first=9223372036854775807",
	"series.idle_end=1500us",
	"series.end_timeout=1.5h",
	"calibration={dark: ./d.tif, flat: \"\xc3\xa9t\xc3\xa9/yes\", mask: \"yes\"}",
	"reduce.window=[-0.1, 0.30000000000000004]",
	"reduce.bin=32",
	"histogram.raw={low: -1e-7, high: 123456789.125}",
	"histogram.normalised={low: 1, high: 1e30}",
	"sinks=[{format: null, directory: \"null\"}, {direct: yes}]",
	"sinks.1.sync=1h",
	"sinks.2={format: raw, directory: \"1.5\", frames_per_file: 7}",
	"sinks.3={format: stream, endpoint: \"tcp://*:9\", socket: push, every: 7, rate: 25}",
	"sinks.3.queue=99",
	"monitor={http: \"[::1]:80\", allowed_hosts: [on, \"2001:1\"]}",
	"regions=[{name: \"1\", width: 7, height: 8}, {name: \"off\", width: 1, height: 9}]",
	"regions.2={name: left, x: 600, y: 3, width: 40, height: 2}",
	"beam={regions: [left, \"1\"], use: apply, dip: 0.8500000000000001, dump: 0}",
	"calibration.sequence=[dark 50, flat_dark  1, flat 65535]",
	"calibration={hot: 12.5, max_age: 36h, memory: 3MiB, combine: median, found: report}",
	"sentinels={clear: 0s, saturated: 1e-6, disk: 90s, repeated: 0}",
	"blackbox={before: 1500ms, on: [loss]}",
	"ingest={io_cpus: [1, 0], huge_pages: no, socket_buffer: 3MiB}",
	"daemon={workers: 3, cpus: [0, 1023], isa: avx2, log: json}",
};

Test(config_manual, prints_values_that_load_to_the_same)
{
	struct config c = loaded(NULL, unusual_sets, sizeof unusual_sets / sizeof *unusual_sets);
	char *text = printed(&c), *json = config_json(&c);
	struct config again = loaded(text, NULL, 0);
	char *text_again = printed(&again), *json_again = config_json(&again);

	cr_expect_str_eq(text, text_again);
	cr_expect_str_eq(json, json_again);
	cr_expect_eq(again.reduce.window_high, 0.30000000000000004);
	cr_expect_str_eq(again.ingest.channel, "say \"null\", \\ # then: more");
	cr_expect_str_eq(again.sinks[0].directory, "null");
	cr_expect_eq(again.reduce.normalise, NORMALISE_TRANSMISSION);
	free(text);
	free(json);
	free(text_again);
	free(json_again);
	config_done(&c);
	config_done(&again);
}

/* Words that YAML 1.1 readers would turn into something else are in quotes. */
static struct config read_back(const char *json)
{
	struct config c = { 0 };
	char *problems;
	int err = config_parse_json(&c, json, strlen(json), "manifest.json", &problems);

	cr_assert_eq(err, 0, "%s", problems);
	return c;
}

Test(config_manual, reads_every_key_of_its_json_back_to_the_same_value)
{
	const char *const *const sets[] = { NULL, unusual_sets };
	const unsigned counts[] = { 0, sizeof unusual_sets / sizeof *unusual_sets };

	for (unsigned i = 0; i < 2; i++) {
		struct config c = loaded(NULL, sets[i], counts[i]), again;
		char *text = printed(&c), *json = config_json(&c), *text_again, *json_again;

		again = read_back(json);
		text_again = printed(&again);
		json_again = config_json(&again);
		cr_expect_str_eq(text, text_again);
		cr_expect_str_eq(json, json_again);
		free(text);
		free(json);
		free(text_again);
		free(json_again);
		config_done(&c);
		config_done(&again);
	}
}

Test(config_manual, reads_each_nanosecond_of_a_time_back)
{
	static const uint64_t times[] = { 1000000, 1000001, 86399999999999, 333333333 };

	for (unsigned i = 0; i < 4; i++) {
		struct config c = loaded(NULL, NULL, 0), again;
		char *json;

		c.series.idle_end_ns = times[i];
		json = config_json(&c);
		again = read_back(json);
		cr_expect_eq(again.series.idle_end_ns, times[i]);
		free(json);
		config_done(&c);
		config_done(&again);
	}
}

Test(config_manual, refuses_json_that_is_no_configuration)
{
	static const char *const texts[] = { "{\"series\": {\"idle_end\": -1}}",
		                             "{\"series\": {\"idle_end\": 1e99}}",
		                             "{\"series\": {\"idle_end\": \"1s\"}}",
		                             "{\"series\": {\"mood\": 1}}",
		                             "[1]",
		                             "{" };

	for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct config c;
		char *problems = NULL;

		cr_expect_eq(config_parse_json(&c, texts[i], strlen(texts[i]), "m", &problems),
		             -EINVAL, "%s", texts[i]);
		cr_expect_not_null(problems);
		free(problems);
	}
}

Test(config_manual, prints_what_other_yaml_readers_take_for_the_same_text)
{
	struct config c = loaded(NULL, unusual_sets, sizeof unusual_sets / sizeof *unusual_sets);
	char *text = printed(&c);

	cr_expect_not_null(strstr(text, "  - format: \"null\"\n"));
	cr_expect_not_null(strstr(text, "    direct: \"yes\"\n"));
	cr_expect_not_null(strstr(text, "    directory: \"1.5\"\n"));
	cr_expect_not_null(strstr(text, "allowed_hosts: [\"on\", \"2001:1\"]\n"));
	cr_expect_not_null(strstr(text, "  bin: 32\n"));
	free(text);
	config_done(&c);
}

Test(config_manual, keeps_lines_short)
{
	char *manual = read_manual();

	for (char *line = strtok(manual, "\n"); line; line = strtok(NULL, "\n"))
		cr_expect_leq(strlen(line), 100, "%s", line);
	free(manual);
}

static json_t *json_of(const struct config *c)
{
	char *text = config_json(c);
	json_t *root;

	cr_assert_not_null(text);
	root = json_loads(text, 0, NULL);
	cr_assert_not_null(root);
	free(text);
	return root;
}

/* The value at "sinks.0.format". */
static json_t *json_at(json_t *value, const char *path)
{
	char copy[128], *rest = NULL;

	snprintf(copy, sizeof copy, "%s", path);
	for (char *name = strtok_r(copy, ".", &rest); name; name = strtok_r(NULL, ".", &rest))
		value = json_is_array(value) ? json_array_get(value, strtoul(name, NULL, 10))
		                             : json_object_get(value, name);
	return value;
}

Test(config_manual, has_every_key_in_the_json)
{
	static const char *const sets[] = { "regions.0={name: a, width: 1, height: 1}" };
	struct config c = loaded(NULL, sets, 1);
	json_t *root = json_of(&c);

	for (const struct option *o = options; o->path; o++) {
		const struct option_list *list = option_list_of(o);
		char path[128];

		if (list)
			snprintf(path, sizeof path, "%s.0.%s", list->path, option_name(o));
		else
			snprintf(path, sizeof path, "%s", o->path);
		cr_expect_not_null(json_at(root, path), "%s", path);
	}
	json_decref(root);
	config_done(&c);
}

Test(config_manual, has_an_empty_list_of_regions_in_the_json)
{
	struct config c = loaded(NULL, NULL, 0);
	json_t *root = json_of(&c);

	cr_expect(json_is_array(json_at(root, "regions")));
	cr_expect_eq(json_array_size(json_at(root, "regions")), 0);
	json_decref(root);
	config_done(&c);
}

Test(config_manual, gives_sizes_in_bytes_and_times_in_seconds)
{
	static const char *const sets[] = { "series.idle_end=250ms", "reduce.bin=4",
		                            "daemon.cpus=[2, 3]", "sinks.1.format=null" };
	struct config c = loaded(NULL, sets, 4);
	json_t *root = json_of(&c);

	cr_expect_eq(json_integer_value(json_at(root, "ingest.frame_limit")), 64 << 20);
	cr_expect_eq(json_real_value(json_at(root, "series.idle_end")), 0.25);
	cr_expect_eq(json_real_value(json_at(root, "sinks.0.sync")), 1.0);
	cr_expect_eq(json_integer_value(json_at(root, "reduce.bin")), 4);
	cr_expect_eq(json_real_value(json_at(root, "reduce.window.1")), 1.5);
	cr_expect_eq(json_integer_value(json_at(root, "daemon.cpus.1")), 3);
	cr_expect_str_eq(json_string_value(json_at(root, "histogram.raw.high")), "auto");
	cr_expect_str_eq(json_string_value(json_at(root, "daemon.workers")), "auto");
	cr_expect_str_eq(json_string_value(json_at(root, "sinks.1.format")), "null");
	cr_expect_str_eq(json_string_value(json_at(root, "ingest.endpoints.0")),
	                 "tcp://127.0.0.1:9999");
	json_decref(root);
	config_done(&c);
}

Test(config_manual, knows_the_word_of_a_value)
{
	cr_expect_str_eq(config_choice("reduce.type", REDUCE_SOURCE), "source");
	cr_expect_str_eq(config_choice("reduce.normalise", NORMALISE_ATTENUATION), "attenuation");
	cr_expect_str_eq(config_choice("sinks.N.format", SINK_NULL), "null");
	cr_expect_str_eq(config_choice("sinks.3.on_error", ON_ERROR_STOP), "stop");
	cr_expect_str_eq(config_choice("sinks[0].direct", DIRECT_NO), "no");
	cr_expect_str_eq(config_choice("beam.use", BEAM_APPLY), "apply");
	cr_expect_null(config_choice("regions.0.name", 0));
	cr_expect_null(config_choice("regions.", 0));
	cr_expect_null(config_choice("sinks[", 0));
	cr_expect_null(config_choice("reduce.type", 99));
	cr_expect_null(config_choice("reduce.window", 0));
	cr_expect_null(config_choice("ingest.protocol", 0));
	cr_expect_null(config_choice("nonsense", 0));
	cr_expect_null(config_choice("sinks", 0));
}

Test(config_manual, lists_the_options)
{
	unsigned count = config_option_count();
	struct config_option option;

	cr_assert_gt(count, 60);
	for (unsigned i = 0; i < count; i++) {
		config_option_at(i, &option);
		cr_expect_str_eq(option.key, options[i].path);
		cr_expect_not(strlen(option.help) == 0, "%s", option.key);
		cr_expect_not(strlen(option.accepts) == 0, "%s", option.key);
		cr_expect_lt(strlen(option.accepts), sizeof option.accepts - 1, "%s cut",
		             option.key);
		cr_expect_not_null(option.fallback, "%s", option.key);
	}
}

Test(config_manual, has_each_path_once_and_its_sections)
{
	for (const struct option *o = options; o->path; o++) {
		const char *dot = strrchr(o->path, '.');
		char section[64];

		cr_expect_eq(option_find(o->path), o, "%s twice", o->path);
		cr_expect_null(option_find_section(o->path));
		cr_assert_not_null(dot, "%s", o->path);
		snprintf(section, sizeof section, "%.*s", (int)(dot - o->path), o->path);
		cr_expect(option_list_of(o) || option_find_section(section), "%s", section);
	}
}

Test(config_manual, has_a_section_and_room_for_each_list)
{
	for (unsigned i = 0; i < LIST_COUNT; i++) {
		const struct option_list *list = &option_lists[i];

		cr_expect_not_null(option_find_section(list->path), "%s", list->path);
		cr_expect_eq(option_find_list(list->path), list);
		cr_expect_null(option_find(list->path));
		cr_expect_leq(list->max, OPTION_ELEMENTS);
		cr_expect_leq(list->defaults, list->max);
		cr_expect_leq(list->offset + list->max * list->size, sizeof(struct config));
	}
}

Test(config_manual, has_no_two_rows_for_one_member)
{
	for (const struct option *a = options; a->path; a++) {
		for (const struct option *b = a + 1; b->path; b++) {
			bool apart = a->offset + a->size <= b->offset ||
			             b->offset + b->size <= a->offset ||
			             option_list_of(a) != option_list_of(b);

			cr_expect(apart, "%s and %s", a->path, b->path);
		}
	}
}

static int read_text(const struct option *o, void *base, const char *text, char why[VALUE_WHY])
{
	struct scalar s = { .text = text, .length = strlen(text), .quoted = false };

	return value_read(o, base, &s, why);
}

/* Room for any of the structures. */
union target {
	struct config config;
	struct config_sink sink;
	struct config_region region;
};

static void check_choices(const struct option *o, union target *target)
{
	char why[VALUE_WHY];

	for (const struct option_choice *c = o->choices; c->word; c++) {
		int err = read_text(o, target, c->word, why);

		cr_expect_eq(err, 0, "%s: %s", o->path, c->word);
		if (o->kind == OPTION_WORD)
			cr_expect_str_eq(value_text(o, target), c->word);
		else
			cr_expect_eq(value_number(o, target), (int64_t)c->value, "%s: %s", o->path,
			             c->word);
	}
	cr_expect_eq(read_text(o, target, "nonsense", why), -EINVAL);
}

static void print_number(const struct option *o, int64_t value, char text[UNITS_TEXT])
{
	if (o->kind == OPTION_TIME)
		units_print_time(value, text);
	else
		snprintf(text, UNITS_TEXT, "%" PRId64, value);
}

static void check_number(const struct option *o, union target *target, int64_t value, bool fits)
{
	char text[UNITS_TEXT], why[VALUE_WHY];
	int err;

	print_number(o, value, text);
	err = read_text(o, target, text, why);
	cr_expect_eq(err, fits ? 0 : -EINVAL, "%s: %s", o->path, text);
	if (fits)
		cr_expect_eq(value_number(o, target), value, "%s: %s", o->path, text);
	else
		cr_expect_not_null(strstr(why, "; accepted: "), "%s", why);
}

static void check_limits(const struct option *o, union target *target)
{
	char why[VALUE_WHY];

	check_number(o, target, o->low, true);
	check_number(o, target, o->high, true);
	check_number(o, target, o->low - 1, false);
	if (o->high < INT64_MAX)
		check_number(o, target, o->high + 1, false);
	cr_expect_eq(read_text(o, target, "auto", why), o->flags & OPTION_AUTO ? 0 : -EINVAL);
	if (o->flags & OPTION_AUTO)
		cr_expect_eq(value_number(o, target), CONFIG_AUTO, "%s", o->path);
}

static void check_real(const struct option *o, union target *target, double value, bool fits)
{
	char text[UNITS_TEXT], why[VALUE_WHY];
	double read = 0;

	snprintf(text, sizeof text, "%.17g", value);
	cr_expect_eq(read_text(o, target, text, why), fits ? 0 : -EINVAL, "%s: %s", o->path, text);
	if (!fits)
		cr_expect_not_null(strstr(why, "; accepted: "), "%s", why);
	else if (value_real(o, target, &read))
		cr_expect_eq(read, value, "%s: %s", o->path, text);
}

static void check_real_limits(const struct option *o, union target *target)
{
	double least = option_least(o), most = option_most(o);

	cr_assert_lt(least, most, "%s", o->path);
	check_real(o, target, least, true);
	check_real(o, target, most, true);
	check_real(o, target, least - (most - least) / 1e6, false);
	check_real(o, target, most + (most - least) / 1e6, false);
}

Test(config_manual, accepts_each_row_to_its_limits_and_not_beyond)
{
	for (const struct option *o = options; o->path; o++) {
		union target target;

		memset(&target, 0, sizeof target);
		if (o->kind == OPTION_CHOICE || o->kind == OPTION_WORD)
			check_choices(o, &target);
		if (o->kind == OPTION_INTEGER || o->kind == OPTION_SIZE || o->kind == OPTION_TIME)
			check_limits(o, &target);
		if (o->kind == OPTION_REAL)
			check_real_limits(o, &target);
		value_clear(o, &target);
	}
}

Test(config_manual, writes_only_the_member_of_a_row)
{
	for (const struct option *o = options; o->path; o++) {
		unsigned char target[sizeof(union target)];
		char why[VALUE_WHY];

		if (o->kind != OPTION_CHOICE && o->kind != OPTION_INTEGER &&
		    o->kind != OPTION_SIZE && o->kind != OPTION_TIME)
			continue;
		memset(target, 0x5a, sizeof target);
		cr_assert_eq(read_text(o, target, o->fallback, why), 0, "%s", why);
		for (size_t i = 0; i < sizeof target; i++)
			cr_expect(target[i] == 0x5a || (i >= o->offset && i < o->offset + o->size),
			          "%s writes byte %zu", o->path, i);
	}
}
