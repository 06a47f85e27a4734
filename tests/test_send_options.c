/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/send_options.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define WORDS_MAX 40

/* Split at blanks and parse; the words must outlive the options. */
static int parse(struct send_options *o, char *line, char why[512])
{
	char *argv[WORDS_MAX + 1] = { "openbeam-send" };
	int argc = 1;

	why[0] = '\0';
	for (char *word = strtok(line, " "); word && argc < WORDS_MAX; word = strtok(NULL, " "))
		argv[argc++] = word;
	return send_options_parse(o, argc, argv, why);
}

Test(send_options, gives_the_defaults)
{
	struct send_options o;
	char line[] = "--to tcp://127.0.0.1:9999", why[512];

	cr_assert_eq(parse(&o, line, why), 0, "%s", why);
	cr_assert(o.action == SEND_STREAM && o.endpoint_count == 1 && o.bind && !o.publish);
	cr_assert_str_eq(o.endpoints[0], "tcp://127.0.0.1:9999");
	cr_assert(o.width == 2560 && o.height == 2160 && o.frames == 1000 && !o.endless);
	cr_assert_str_eq(o.format->name, "Mono16");
	cr_assert(o.rate_hz == 0 && o.faults.first == 0 && o.faults.step == 1);
	cr_assert(o.pattern == PATTERN_PHANTOM && o.linger_s == SEND_FOR_EVER);
	send_options_done(&o);
}

Test(send_options, takes_every_option)
{
	struct send_options o;
	char line[] = "--to tcp://h:1 --to ipc:///x --attach connect --socket pub --size 64x32 "
		      "--pixel-format Mono12 --rate 99.5 --frames 12 --first 3 --step 2 --lose .1";
	char more[] = "--to tcp://h:1 --duplicate 0.2 --reorder 0.3 --corrupt 0.04 --truncate 0.05 "
		      "--stall 250 --report r.json --seed 9 --pattern counter --big-endian --quiet";
	char why[512];

	cr_assert_eq(parse(&o, line, why), 0, "%s", why);
	cr_assert(o.endpoint_count == 2 && !o.bind && o.publish);
	cr_assert(o.width == 64 && o.height == 32 && o.format->bits == 12);
	cr_assert(o.rate_hz == 99.5 && o.frames == 12 && o.faults.first == 3);
	cr_assert(o.faults.step == 2 && o.faults.lose == 0.1);
	send_options_done(&o);
	cr_assert_eq(parse(&o, more, why), 0, "%s", why);
	cr_assert(o.faults.duplicate == 0.2 && o.faults.reorder == 0.3);
	cr_assert(o.faults.corrupt == 0.04 && o.faults.truncate == 0.05 && o.stall_ms == 250);
	cr_assert(o.faults.seed == 9 && o.pattern == PATTERN_COUNTER && o.big_endian && o.quiet);
	cr_assert_str_eq(o.report, "r.json");
	send_options_done(&o);
}

Test(send_options, takes_mishaps)
{
	struct send_options o;
	char line[] =
		"--to tcp://h:1 --dip 40 --saturate 50:6 --freeze 7:2 --new-hot 9:12 --step 3 "
		"--new-dead 0:5 --seed 8";
	char more[] = "--to tcp://h:1 --dip 40:1:0.25 --saturate 50:6:1.5";
	char why[512];

	cr_assert_eq(parse(&o, line, why), 0, "%s", why);
	cr_expect(o.mishaps.dip.first == 40 && o.mishaps.dip.count == 3);
	cr_expect_eq(o.mishaps.dip_share, 0.55);
	cr_expect(o.mishaps.saturate.first == 50 && o.mishaps.saturate.count == 6);
	cr_expect_eq(o.mishaps.exposure, 2);
	cr_expect(o.mishaps.freeze.first == 7 && o.mishaps.freeze.count == 2);
	cr_expect(o.mishaps.new_hot.first == 9 && o.mishaps.new_hot.count == 12);
	cr_expect(o.mishaps.new_dead.first == 0 && o.mishaps.new_dead.count == 5);
	cr_expect(o.mishaps.step == 3 && o.mishaps.seed == 8);
	send_options_done(&o);
	cr_assert_eq(parse(&o, more, why), 0, "%s", why);
	cr_expect(o.mishaps.dip.count == 1 && o.mishaps.dip_share == 0.25);
	cr_expect_eq(o.mishaps.exposure, 1.5);
	send_options_done(&o);
}

Test(send_options, takes_keys_of_the_header)
{
	struct send_options o;
	char line[] = "--to tcp://h:1 --header image_key=2 --header=stage.angle=-1.5e2 "
		      "--header what=a\"b --header half=1x --header none=";
	char why[512];

	cr_assert_eq(parse(&o, line, why), 0, "%s", why);
	cr_expect_str_eq(o.keys, ",\"image_key\":2,\"stage.angle\":-1.5e2,\"what\":\"a\\\"b\","
	                         "\"half\":\"1x\",\"none\":\"\"");
	send_options_done(&o);
}

Test(send_options, refuses_with_the_option_the_value_and_the_remedy)
{
	static const struct {
		const char *line, *part, *remedy;
	} rows[] = {
		{ "--to tcp://h:1 --size 0x5", "--size 0x5", "1 to 65535" },
		{ "--to tcp://h:1 --size 2560", "--size 2560", "WIDTHxHEIGHT" },
		{ "--to tcp://h:1 --size 70000x5", "--size 70000x5", "65535" },
		{ "--to tcp://h:1 --size 5x5x5", "--size 5x5x5", "WIDTHxHEIGHT" },
		{ "--to tcp://h:1 --size 65535x65535", "--size 65535x65535", "2^28" },
		{ "--to tcp://h:1 --rate -1", "--rate -1", "0 to" },
		{ "--to tcp://h:1 --rate nan", "--rate nan", "0 to" },
		{ "--to tcp://h:1 --rate 5Hz", "--rate 5Hz", "number" },
		{ "--to tcp://h:1 --frames -3", "--frames -3", "whole number" },
		{ "--to tcp://h:1 --frames 1e3", "--frames 1e3", "whole number" },
		{ "--to tcp://h:1 --frames 99999999999999999999", "--frames 9", "whole number" },
		{ "--to tcp://h:1 --step 0", "--step 0", "from 1" },
		{ "--to tcp://h:1 --lose 1.5", "--lose 1.5", "0 to 1" },
		{ "--to tcp://h:1 --corrupt x", "--corrupt x", "0 to 1" },
		{ "--to tcp://h:1 --lose .6 --corrupt .3 --truncate .2", "1.1", "at most 1" },
		{ "--to tcp://h:1 --pattern zebra", "--pattern zebra", "phantom" },
		{ "--to tcp://h:1 --pixel-format RGB8", "--pixel-format RGB8", "uint16" },
		{ "--to tcp://h:1 --pixel-format Mono12g", "--pixel-format Mono12g", "Mono12p" },
		{ "--to tcp://h:1 --pixel-format Mono12p --big-endian", "Mono12p", "leave out" },
		{ "--to tcp://h:1 --protocol carrots", "--protocol carrots", "--help" },
		{ "--to tcp://h:1 --compression gzip", "--compression gzip", "bszstd" },
		{ "--to tcp://h:1 --compression lz4", "--compression lz4", "array-1.0" },
		{ "--to tcp://h:1 --protocol dectris-v1 --compression bszstd", "bszstd", "--help" },
		{ "--to tcp://h:1 --protocol stins --compression lz4", "lz4", "stins" },
		{ "--to tcp://h:1 --header-detail all", "--header-detail", "array-1.0" },
		{ "--to tcp://h:1 --protocol dectris-v1 --header-detail some", "some", "basic" },
		{ "--to tcp://h:1 --protocol dectris-v1 --channel x", "--channel", "dectris-v1" },
		{ "--to tcp://h:1 --protocol bsread --channel a\"b", "--channel", "quotation" },
		{ "--to tcp://h:1 --protocol bsread --no-start", "--no-start", "bsread" },
		{ "--to tcp://h:1 --protocol sls --no-start", "--no-start", "sls" },
		{ "--to tcp://h:1 --protocol odin-live --no-end", "--no-end", "odin-live" },
		{ "--to tcp://h:1 --protocol dectris-v1 --start-to-all", "--start-to-all",
		  "leave out" },
		{ "--to tcp://h:1 --protocol stins --early-end 11 --frames 10", "11", "--frames" },
		{ "--to tcp://h:1 --protocol stins --early-end 1 --no-end", "--early-end 1",
		  "--no-end" },
		{ "--to tcp://h:1 --frames 0 --repeat 2", "--frames 0", "--repeat" },
		{ "--to tcp://h:1 --repeat 0", "--repeat 0", "from 1" },
		{ "--to tcp://h:1 --ports 2x1", "--ports", "array-1.0" },
		{ "--to tcp://h:1 --header angle", "--header angle", "KEY=VALUE" },
		{ "--to tcp://h:1 --header =5", "--header =5", "KEY=VALUE" },
		{ "--to tcp://h:1 --header a=\xff", "--header a=", "KEY=VALUE" },
		{ "--to tcp://h:1 --protocol bsread --header a=1", "--header", "bsread" },
		{ "--to tcp://h:1 --protocol sls --timestamps", "--timestamps", "sls" },
		{ "--to tcp://h:1 --dip x", "--dip x", "FRAME:N:FACTOR" },
		{ "--to tcp://h:1 --dip 3:0", "--dip 3:0", "N is 1" },
		{ "--to tcp://h:1 --dip 3:1:-1", "--dip 3:1:-1", "FACTOR 0" },
		{ "--to tcp://h:1 --dip 3:1:1:1", "--dip 3:1:1:1", "FRAME:N" },
		{ "--to tcp://h:1 --saturate 3", "--saturate 3", "FRAME:N" },
		{ "--to tcp://h:1 --freeze 3:1:1", "--freeze 3:1:1", "FRAME:N" },
		{ "--to tcp://h:1 --freeze 0:1", "--freeze 0", "the first is number 0" },
		{ "--to tcp://h:1 --new-hot :", "--new-hot :", "FRAME:N" },
		{ "--to tcp://h:1 --new-dead 5:2000000", "5:2000000", "1000000" },
		{ "--to tcp://h:1 --new-dead 5:2 --tiff a.tif", "--new-dead", "--tiff" },
		{ "--to tcp://h:1 --protocol sls --ports 9x9", "--ports 9x9", "64" },
		{ "--to tcp://h:1 --protocol sls --ports 2x1", "1 endpoints", "2 are needed" },
		{ "--to tcp://h:1 --to tcp://h:2 --protocol sls --ports 2x1 --size 5x5", "5x5",
		  "divided" },
		{ "--to a://h:1 --to a://h:2 --protocol sls --ports 2x1 --size 6x2 --pixel-format "
		  "Mono4",
		  "3 pixels", "whole bytes" },
		{ "--to tcp://h:1 --protocol sls --pixel-format float32", "float32", "sls" },
		{ "--to tcp://h:1 --protocol sls --pixel-format Mono10p", "Mono10p", "packed" },
		{ "--to tcp://h:1 --protocol bsread --pixel-format Mono12p", "Mono12p", "packed" },
		{ "--to tcp://h:1 --pixel-format Mono4", "Mono4", "sls" },
		{ "--to tcp://h:1 --protocol odin-live --big-endian", "odin-live", "--big-endian" },
		{ "--to tcp://h:1 --protocol odin-live --first 4294967000", "4294967999",
		  "4294967295" },
		{ "--to tcp://h:1 --replay d --size 5x5", "--replay", "--size" },
		{ "--to tcp://h:1 --replay d --pattern flat", "--replay", "--pattern" },
		{ "--replay d", "--to", "tcp://127.0.0.1:9999" },
		{ "--to tcp://h:1 --profile nobody", "--profile nobody", "--help" },
		{ "--to tcp://h:1 --attach sideways", "--attach sideways", "bind" },
		{ "--to tcp://h:1 --socket pull", "--socket pull", "push or pub" },
		{ "--to tcp://h:1 --seconds 5", "--seconds 5", "--rate" },
		{ "--to tcp://h:1 --rate 5 --seconds 5 --frames 2", "--frames", "use one" },
		{ "--to tcp://h:1 --frames 0 --stall 5", "--stall 5", "--frames 0" },
		{ "--to tcp://h:1 --tiff a.tif --size 5x5", "--size", "leave out" },
		{ "--to tcp://h:1 --tiff a.tif --profile gopro", "--profile", "leave out" },
		{ "--to tcp://h:1 --tiff a.tif --write-dark d.tif", "--write-dark", "phantom" },
		{ "--to nowhere", "--to nowhere", "tcp://HOST:PORT" },
		{ "--to tcp://h:1 --slots 9", "--slots", "--protocol shm" },
		{ "--to tcp://h:1 --verify", "--verify", "--protocol shm" },
		{ "--to tcp://h:1 --protocol shm --slots 1", "--slots 1", "from 2" },
		{ "--to tcp://h:1 --protocol shm --shm-wait 0", "--shm-wait 0", "from 1" },
		{ "--to tcp://h:1 --protocol shm --shm-name x", "--shm-name x", "/NAME" },
		{ "--to tcp://h:1 --protocol shm --shm-name /x/y", "/x/y", "/NAME" },
		{ "--to tcp://h:1 --protocol shm --release tcp://h:1", "tcp://h:1", "127.0.0.1" },
		{ "--to tcp://h:1 --to tcp://h:2 --protocol shm", "--to", "shm" },
		{ "--to tcp://h:1 --protocol shm --socket pub", "--socket pub", "shm" },
		{ "--to tcp://h:1 --protocol shm --hwm 5", "--hwm", "shm" },
		{ "--to tcp://h:1 --protocol shm --big-endian", "--big-endian", "shm" },
		{ "--to tcp://h:1 --protocol shm --pixel-format Mono12p", "packed", "shm" },
		{ "--to tcp://h:1 --protocol shm --corrupt .1", "--corrupt", "shm" },
		{ "--to tcp://h:1 --protocol shm --truncate .1", "--truncate", "shm" },
		{ "--to tcp://h:1 --protocol shm --repeat 2", "--repeat", "shm" },
		{ "--to tcp://h:1 --protocol shm --ports 2x1", "--ports", "shm" },
		{ "--to tcp://h:1 --protocol shm --stall 5", "--stall", "shm" },
		{ "--to", "--to", "value" },
		{ "--bogus", "--bogus", "--help" },
		{ "stray", "stray", "name" },
		{ "--size 5x5", "--to", "tcp://127.0.0.1:9999" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct send_options o;
		char line[256], why[512];

		snprintf(line, sizeof line, "%s", rows[i].line);
		cr_assert_eq(parse(&o, line, why), -EINVAL, "%s was taken", rows[i].line);
		cr_assert(strstr(why, rows[i].part), "\"%s\": %s", rows[i].line, why);
		cr_assert(strstr(why, rows[i].remedy), "\"%s\": %s", rows[i].line, why);
	}
}

Test(send_options, a_profile_gives_defaults_wherever_it_stands)
{
	struct send_options o;
	char line[] = "--rate 20 --to tcp://h:1 --profile lightsheet --frames 5", why[512];
	char whole[] = "--to tcp://h:1 --profile gopro";
	char words[] = "--to tcp://h:1 --profile headline-12 --pixel-format Mono12";
	char packed[] = "--to tcp://h:1 --profile headline-12";

	cr_assert_eq(parse(&o, line, why), 0, "%s", why);
	cr_assert(o.width == 2048 && o.height == 2048 && o.rate_hz == 20 && o.frames == 5);
	send_options_done(&o);
	cr_assert_eq(parse(&o, whole, why), 0, "%s", why);
	cr_assert(o.width == 3840 && o.rate_hz == 30 && o.frames == 1800);
	cr_assert_str_eq(o.format->name, "Mono8");
	send_options_done(&o);
	cr_assert_eq(parse(&o, words, why), 0, "%s", why);
	cr_assert(o.format->bits == 12 && o.width == 2560 && o.format->packing == PACKING_NONE);
	cr_assert_not(o.faults.type_ignored);
	send_options_done(&o);
	cr_assert_eq(parse(&o, packed, why), 0, "%s", why);
	cr_assert(o.format->packing == PACKING_MONO12P && o.width == 2560 && o.rate_hz == 1500);
	cr_assert(o.faults.type_ignored);
	send_options_done(&o);
}

Test(send_options, takes_the_options_of_shared_memory)
{
	struct send_options o;
	char line[] = "--to tcp://h:1 --protocol shm --slots 9 --shm-name /x --shm-wait 70 "
		      "--release ipc:///y --verify";
	char plain[] = "--to tcp://h:1 --protocol shm", why[512];

	cr_assert_eq(parse(&o, line, why), 0, "%s", why);
	cr_assert(o.shm.asked && o.shm.slots == 9 && o.shm.wait_ms == 70 && o.shm.verify);
	cr_assert_str_eq(o.shm.name, "/x");
	cr_assert_str_eq(o.shm.release, "ipc:///y");
	send_options_done(&o);
	cr_assert_eq(parse(&o, plain, why), 0, "%s", why);
	cr_assert(o.shm.asked && o.shm.slots == 0 && o.shm.wait_ms == 5000 && !o.shm.verify);
	cr_assert(!o.shm.name && !o.shm.release);
	send_options_done(&o);
}

Test(send_options, every_profile_names_a_format_that_exists)
{
	for (const struct send_profile *p = send_profiles; p->name; p++) {
		cr_assert_not_null(pixel_format_find(p->format), "%s", p->name);
		cr_assert(p->width && p->height && p->rate_hz > 0 && p->seconds >= 60);
	}
}

Test(send_options, takes_files_after_tiff_until_the_next_option)
{
	struct send_options o;
	char line[] = "--tiff a.tif b.tif c.tif --to tcp://h:1 --tiff d.tif", why[512];

	cr_assert_eq(parse(&o, line, why), 0, "%s", why);
	cr_assert(o.pattern == PATTERN_TIFF && o.file_count == 4 && o.frames == 0 && !o.endless);
	cr_assert_str_eq(o.files[0], "a.tif");
	cr_assert_str_eq(o.files[3], "d.tif");
	send_options_done(&o);
}

Test(send_options, help_and_version_need_nothing_else)
{
	struct send_options o;
	char help[] = "--help", version[] = "--version", why[512];

	cr_assert_eq(parse(&o, help, why), 0);
	cr_assert_eq(o.action, SEND_HELP);
	send_options_done(&o);
	cr_assert_eq(parse(&o, version, why), 0);
	cr_assert_eq(o.action, SEND_VERSION);
	send_options_done(&o);
}

Test(send_options, calibration_files_need_no_endpoint)
{
	struct send_options o;
	char line[] = "--write-dark d.tif --write-flat f.tif", why[512];

	cr_assert_eq(parse(&o, line, why), 0, "%s", why);
	cr_assert_eq(o.endpoint_count, 0);
	send_options_done(&o);
}

Test(send_options, takes_what_belongs_to_a_protocol)
{
	struct send_options o;
	char v1[] =
		"--to tcp://h:1 --protocol dectris-v1 --header-detail all --series 7 --repeat 3 "
		"--early-end 2 --no-start";
	char v2[] = "--to tcp://h:1 --to tcp://h:2 --protocol dectris-v2 --compression bszstd "
		    "--channel default --start-to-all";
	char sls[] = "--to tcp://h:1 --to tcp://h:2 --protocol sls --ports 1x2 --lose-port .1 "
		     "--pixel-format Mono4 --size 8x4";
	char pushed[] = "--to tcp://h:1 --protocol sls --socket push --pixel-format Mono12p";
	char replay[] = "--to tcp://h:1 --replay folder --rate 5 --repeat 2", why[512];

	cr_assert_eq(parse(&o, v1, why), 0, "%s", why);
	cr_assert_str_eq(o.encoder->name, "dectris-v1");
	cr_assert(o.compression == COMPRESSION_BSLZ4 && o.detail == DETAIL_ALL && o.no_start);
	cr_assert(o.series == 7 && o.repeat == 3 && o.early_end == 2 && !o.no_end);
	send_options_done(&o);
	cr_assert_eq(parse(&o, v2, why), 0, "%s", why);
	cr_assert(o.compression == COMPRESSION_BSZSTD && o.start_to_all && !o.publish);
	cr_assert_str_eq(o.channel, "default");
	send_options_done(&o);
	cr_assert_eq(parse(&o, sls, why), 0, "%s", why);
	cr_assert(o.columns == 1 && o.rows == 2 && o.lose_port == 0.1 && o.publish);
	cr_assert(o.format->packing == PACKING_NIBBLES && !o.faults.type_ignored);
	send_options_done(&o);
	cr_assert_eq(parse(&o, pushed, why), 0, "%s", why);
	cr_assert_not(o.publish);
	send_options_done(&o);
	cr_assert_eq(parse(&o, replay, why), 0, "%s", why);
	cr_assert_str_eq(o.replay, "folder");
	cr_assert(o.rate_hz == 5 && o.repeat == 2);
	send_options_done(&o);
}
