/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* Texts that are refused with one line, which holds every part. */
static const struct refusal {
	const char *text;
	const char *parts[3];
} refusals[] = {
	/* names */
	{ "reduce:\n  bim: 2\n", { "beam.yaml:2:3: reduce.bim: unknown key", "reduce.bin" } },
	{ "redcue: {bin: 2}\n", { "beam.yaml:1:1: redcue: unknown key", " reduce\n" } },
	{ "bin: 2\n", { "beam.yaml:1:1: bin: unknown key", "reduce.bin" } },
	{ "reduce.bin: 2\n", { "beam.yaml:1:1: reduce.bin: unknown key", "nested" } },
	{ "sinks:\n  - fromat: raw\n", { "2:5: sinks.0.fromat: unknown key", "sinks.N.format" } },
	{ "sinks[0]: {}\n", { "1:1: sinks[0]: unknown key" } },
	{ "<<: {bin: 2}\n", { "1:1: <<: unknown key" } },
	{ "reduce:\n  bin: 2\n  bin: 2\n", { "3:3: reduce.bin: given twice", "line 2" } },
	{ "reduce: {}\nseries: {}\nreduce: {}\n", { "3:1: reduce: given twice", "line 1" } },
	{ "? [a]\n: 1\n", { "1:3: a key must be a word" } },

	/* shapes */
	{ "- a\n", { "beam.yaml:1:1: the file must be a map" } },
	{ "reduce\n", { "beam.yaml:1:1: the file must be a map" } },
	{ "reduce: 3\n", { "1:9: reduce: '3' where its keys are needed" } },
	{ "reduce: [bin]\n", { "1:9: reduce: a list where its keys are needed" } },
	{ "reduce:\n  bin: {a: 1}\n", { "2:8: reduce.bin: a map does not fit; accepted: 1 | 2" } },
	{ "reduce:\n  bin: [2]\n", { "2:8: reduce.bin: a list does not fit" } },
	{ "ingest:\n  endpoints: [[a]]\n", { "2:15: ingest.endpoints: a list does not fit" } },
	{ "ingest:\n  endpoints:\n", { "ingest.endpoints: nothing does not fit" } },
	{ "sinks: raw\n", { "1:8: sinks: 'raw' where a list of sinks is needed" } },
	{ "sinks: []\n", { "1:8: sinks: the list is empty", "null" } },
	{ "sinks: [raw]\n", { "1:9: sinks.0: 'raw' where its keys are needed" } },
	{ "sinks: [{}, {}, {}, {}, {}, {}, {}, {}, {}]\n", { "sinks: more than 8" } },

	/* words */
	{ "reduce: {type: float}\n", { "1:16: reduce.type: 'float'", "float32 | uint16 | uint8" } },
	{ "ingest: {attach: Bind}\n", { "ingest.attach: 'Bind'", "connect | bind" } },
	{ "sinks: [{direct: true}]\n", { "sinks.0.direct: 'true'", "auto | yes | no" } },
	{ "ingest: {protocol: zmq}\n",
	  { "ingest.protocol: 'zmq'", "accepted: array-1.0 | bsread | " } },

	/* numbers */
	{ "daemon: {batch: eight}\n", { "1:17: daemon.batch: 'eight' is no whole number" } },
	{ "daemon: {batch: 8x}\n", { "'8x' is no whole number", "accepted: 1 to 64 frames" } },
	{ "daemon: {batch: 1.5}\n", { "'1.5' is no whole number" } },
	{ "daemon: {batch: 0x8}\n", { "'0x8' is no whole number" } },
	{ "daemon: {batch: 08}\n", { "'08' begins with a zero" } },
	{ "daemon: {batch: +8}\n", { "'+8' is no whole number" } },
	{ "daemon: {batch: -}\n", { "'-' is no whole number" } },
	{ "daemon: {batch: 65}\n", { "65 is out of range; accepted: 1 to 64 frames" } },
	{ "daemon: {batch: 0}\n", { "0 is out of range" } },
	{ "daemon: {batch: -8}\n", { "-8 is out of range" } },
	{ "daemon: {batch: auto}\n", { "'auto' is no whole number" } },
	{ "daemon: {batch: 4294967304}\n", { "4294967304 is out of range" } },
	{ "daemon: {batch: 18446744073709551624}\n", { "18446744073709551624 is out of range" } },
	{ "daemon: {batch: \"8\"}\n", { "\"8\" in quotes is a text, not a number" } },
	{ "daemon: {batch: }\n", { "daemon.batch: it has no value" } },
	{ "daemon: {batch: \"8\\0\"}\n", { "daemon.batch: " } },
	{ "daemon: {workers: 0}\n", { "accepted: auto, or 1 to 256 threads" } },
	{ "daemon: {cpus: [0, 1024]}\n",
	  { "1:20: daemon.cpus: 1024 is out of range", "0 to 1023" } },
	{ "series: {step: 0}\n", { "series.step: 0 is out of range; accepted: 1 to " } },
	{ "series: {reorder: 0}\n", { "series.reorder: 0 is out of range" } },
	{ "series: {first: -1}\n", { "series.first: -1 is out of range; accepted: auto, or 0" } },
	{ "reduce: {bin: 3}\n", { "reduce.bin: '3'", "1 | 2 | 4 | 8 | 16 | 32" } },
	{ "histogram: {normalised: {bins: 0}}\n",
	  { "histogram.normalised.bins: 0 is out of range" } },
	{ "histogram: {raw: {bins: 65537}}\n", { "65537 is out of range; accepted: 0 to 65536" } },
	{ "histogram: {raw: {low: nan}}\n", { "1:24: histogram.raw.low: 'nan' is no number" } },
	{ "histogram: {raw: {high: .inf}}\n", { "'.inf' is no number" } },
	{ "histogram: {raw: {high: 1e999}}\n", { "1e999 is out of range" } },
	{ "histogram: {raw: {high: 1e31}}\n", { "1e31 is out of range" } },
	{ "histogram: {normalised: {low: auto}}\n", { "'auto' is no number" } },
	{ "reduce: {window: 2}\n", { "reduce.window: 1 given where two numbers are needed" } },
	{ "reduce: {window: [0, 1, 2]}\n", { "reduce.window: 3 given where two numbers" } },
	{ "reduce: {window: [0, x]}\n", { "1:22: reduce.window: 'x' is no number" } },

	/* units */
	{ "ingest: {buffer: 64Mib}\n", { "ingest.buffer: '64Mib' has no known unit", "MiB" } },
	{ "ingest: {buffer: 1G}\n", { "'1G' has no known unit" } },
	{ "ingest: {buffer: lots}\n", { "'lots' is no size; accepted: 1MiB to 16TiB" } },
	{ "ingest: {buffer: 1.3B}\n", { "1.3B is not a whole number of bytes" } },
	{ "ingest: {buffer: 1KiB}\n", { "1KiB is out of range; accepted: 1MiB to 16TiB" } },
	{ "ingest: {buffer: 99999999TiB}\n", { "99999999TiB is out of range" } },
	{ "ingest: {buffer: -1GiB}\n", { "'-1GiB' is no size" } },
	{ "ingest: {frame_limit: 64s}\n", { "'64s' has no known unit" } },
	{ "series: {idle_end: 2}\n",
	  { "series.idle_end: 2 has no unit", "ns, us, ms, s, min or h" } },
	{ "series: {idle_end: 2 sec}\n", { "'2 sec' has no known unit" } },
	{ "series: {idle_end: 2MiB}\n", { "'2MiB' has no known unit" } },
	{ "series: {max_gap: 10000001}\n",
	  { "series.max_gap: 10000001 is out of range; accepted: 1 to 10000000" } },
	{ "series: {idle_end: 0}\n", { "0 is out of range; accepted: 1ms to 24h" } },
	{ "series: {idle_end: soon}\n", { "'soon' is no time" } },

	/* texts */
	{ "series: {name: ../x}\n", { "series.name: '../x' does not fit", "letters, digits" } },
	{ "series: {name: .x}\n", { "series.name: '.x' does not fit" } },
	{ "series: {name: \"\"}\n", { "series.name: it must not be empty" } },
	{ "series: {name: \"a\\nb\"}\n", { "'a?b' holds characters that are not printable" } },
	{ "series: {name: \"a\\0b\"}\n", { "holds characters that are not printable" } },
	{ "calibration: {mask: \"a\\u0085\"}\n", { "holds characters that are not printable" } },
	{ "calibration: {mask: null}\n", { "calibration.mask: null is no text" } },
	{ "calibration: {mask: ~/m.tif}\n", { "'~/m.tif' does not fit", "~ is not expanded" } },
	{ "ingest: {endpoints: []}\n", { "ingest.endpoints: the list is empty" } },
	{ "ingest: {endpoints: [localhost:9999]}\n",
	  { "1:22: ingest.endpoints: 'localhost:9999'" } },
	{ "ingest: {endpoints: [http://h:1]}\n",
	  { "'http://h:1' does not fit", "tcp://HOST:PORT" } },
	{ "ingest: {endpoints: [tcp://h:65536]}\n", { "'tcp://h:65536' does not fit" } },
	{ "ingest: {endpoints: [nonsense, \"tcp://h:1\"], attach: bind}\n"
	  "sinks: [{format: stream, endpoint: \"tcp://h:2\"}]\n",
	  { "'nonsense' does not fit" } },
	{ "ingest: {endpoints: [tcp://h:0]}\n", { "'tcp://h:0' does not fit" } },
	{ "ingest: {endpoints: [tcp://h]}\n", { "'tcp://h' does not fit" } },
	{ "ingest: {endpoints: [\"ipc://\"]}\n", { "'ipc://' does not fit" } },
	{ "ingest: {endpoints: [inproc://a]}\n",
	  { "'inproc://a' does not fit", "tcp://HOST:PORT or ipc://PATH" } },
	{ "monitor: {http: localhost}\n", { "monitor.http: 'localhost' does not fit" } },
	{ "monitor: {allowed_hosts: [\"a b\"]}\n",
	  { "monitor.allowed_hosts: 'a b' does not fit" } },
	{ "monitor: {allowed_hosts: [\"*.psi.ch\"]}\n", { "'*.psi.ch' does not fit" } },
	{ "monitor: {allowed_hosts: [\"a:99999\"]}\n", { "'a:99999' does not fit" } },
	{ "monitor: {allowed_hosts: [\"[::1\"]}\n", { "'[::1' does not fit" } },

	/* values that do not fit */
	{ "reduce: {normalise: logarithm}\n", { "'logarithm' is none of its values" } },
	{ "reduce: {average: 2, type: source, normalise: none}\n",
	  { "reduce.average", "the mean of 2 frames is no pixel as it came" } },
	{ "reduce: {average: 65537}\n", { "reduce.average: 65537 is out of range" } },
	{ "rotation: {from_key: angle, start: 0}\n",
	  { "1:22: rotation.from_key: angles come from the key angle of each header",
	    "not both" } },
	{ "rotation: {step: 0.5, from_key: angle}\n", { "not both" } },
	{ "rotation: {step: 0.5}\n",
	  { "rotation.step: 0.5 degrees from which angle? It needs "
	    "rotation.start" } },
	{ "reduce: {roi: {width: 65537}}\n", { "1:23: reduce.roi.width: 65537 is out of range" } },
	{ "sinks: [{}, {compression: bslz4}]\n",
	  { "1:27: sinks.1.compression: bslz4 needs format hdf5, files of format tiff are not" } },
	{ "sinks: [{compression: gzip}]\n", { "sinks.0.compression: 'gzip' is none of its" } },

	/* keys together, at the place of one that was written */
	{ "ingest: {curve: {role: client, server_key_file: k}}\n",
	  { "1:24: ingest.curve.role: client needs ingest.curve.secret_key_file" } },
	{ "ingest: {curve: {role: server, secret_key_file: k}}\n",
	  { "server needs ingest.curve.allowed_keys_file, or every client would be let in" } },
	{ "ingest: {curve: {role: client, secret_key_file: k, allowed_keys_file: a}}\n",
	  { "client needs ingest.curve.server_key_file" } },
	{ "ingest: {curve: {secret_key_file: k}}\n",
	  { "ingest.curve.secret_key_file: keys without ingest.curve.role encrypt nothing" } },
	{ "reduce:\n  window: [1.5, 0]\n",
	  { "2:11: reduce.window: low 1.5 must be below high 0" } },
	{ "reduce: {window: [1, 1]}\n", { "low 1 must be below high 1" } },
	{ "histogram:\n  raw: {low: 5, high: 4}\n", { "2:23: histogram.raw.high: low 5" } },
	{ "histogram: {raw: {high: -1}}\n", { "histogram.raw.high: low 0 must be below" } },
	{ "histogram:\n  normalised: {low: 2}\n", { "2:21: histogram.normalised.low: low 2" } },
	{ "reduce:\n  normalise: transmission\n",
	  { "2:14: reduce.normalise: transmission needs calibration.flat" } },
	{ "reduce: {normalise: transmission}\ncalibration: {dark: d}\n",
	  { "1:21: reduce.normalise: transmission needs calibration.flat" } },
	{ "reduce: {normalise: dark}\ncalibration: {flat: f}\n",
	  { "1:21: reduce.normalise: dark needs calibration.dark" } },
	{ "calibration: {dark: d}\n",
	  { "1:21: calibration.dark: transmission, the default", "needs calibration.flat" } },
	{ "calibration: {flat: f}\nreduce: {type: source}\n",
	  { "2:16: reduce.type: source", "reduce.normalise: none, which is transmission" } },
	{ "reduce: {type: source, bin: 4}\n",
	  { "1:16: reduce.type: source", "bin: 1, which is 4" } },
	{ "ingest: {frame: {width: 8}}\n", { "1:25: ingest.frame.width: width 8 and height 0" } },
	{ "ingest: {frame: {height: 8}}\n", { "1:26: ingest.frame.height: width 0 and height 8" } },
	{ "ingest: {frame: {width: 10000, height: 10000}}\n", { "above ingest.frame_limit" } },
	{ "ingest: {bits: 12, frame: {type: uint8}}\n",
	  { "1:16: ingest.bits: 12 bits do not fit" } },
	{ "sinks: [{file_size: 1GB, frames_per_file: 10}]\n",
	  { "1:21: sinks.0.file_size: files" } },
	{ "sinks: [{}, {format: stream}]\n", { "1:22: sinks.1.format: stream needs an endpoint" } },
	{ "sinks: [{every: 2}]\n",
	  { "1:17: sinks.0.every: only format stream has it", "this sink is tiff" } },
	{ "sinks: [{format: raw, rate: 5}]\n",
	  { "1:29: sinks.0.rate: only format stream", "this sink is raw" } },
	{ "sinks: [{format: \"null\", endpoint: \"tcp://*:1\"}]\n",
	  { "sinks.0.endpoint: only format stream", "this sink is null" } },
	{ "sinks: [{queue: 100}]\n", { "1:17: sinks.0.queue: only format stream" } },
	{ "sinks: [{socket: push}]\n", { "1:18: sinks.0.socket: only format stream" } },
	{ "sinks: [{attach: connect}]\n", { "1:18: sinks.0.attach: only format stream" } },
	{ "sinks: [{format: stream, endpoint: localhost}]\n",
	  { "1:36: sinks.0.endpoint: 'localhost' does not fit", "tcp://HOST:PORT" } },
	{ "sinks: [{format: stream, endpoint: \"tcp://*:9\", every: 0}]\n",
	  { "sinks.0.every: 0 is out of range", "1 to 1000000000 frames" } },
	{ "sinks: [{format: stream, endpoint: \"ipc://a\"}, {format: stream, endpoint: "
	  "\"ipc://a\"}]\n",
	  { "sinks.1.endpoint: sink 0 binds ipc://a already" } },
	{ "ingest: {attach: bind, endpoints: [\"tcp://*:9\"]}\n"
	  "sinks: [{format: stream, endpoint: \"tcp://*:9\"}]\n",
	  { "2:36: sinks.0.endpoint: ingest.endpoints binds tcp://*:9 already" } },

	/* regions of interest and the beam */
	{ "regions: open\n", { "1:10: regions: 'open' where a list of regions is needed, each" } },
	{ "regions: {name: a}\n", { "1:10: regions: a map where a list of regions is needed" } },
	{ "regions: [a]\n", { "1:11: regions.0: 'a' where its keys are needed" } },
	{ "regions:\n  - {with: 3, name: a, width: 1, height: 1}\n",
	  { "2:6: regions.0.with: unknown key; the nearest known one is regions.N.width" } },
	{ "regions: [{name: a b, width: 1, height: 1}]\n",
	  { "1:18: regions.0.name: 'a b' does not fit", "letters, digits" } },
	{ "regions: [{}]\n", { "1:11: regions.0.width: width 0 and height 0: region region" } },
	{ "regions: [{name: a, width: 8, height: 8}, {width: 8, height: 8, name: a}]\n",
	  { "1:71: regions.1.name: region 0 has the name a already" } },
	{ "regions: [{name: open, x: 5}]\n",
	  { "1:18: regions.0.name: width 0 and height 0: region open needs both, 1 to 65536" } },
	{ "regions: [{name: open, width: 5}]\n",
	  { "1:31: regions.0.width: width 5 and height 0" } },
	{ "regions: [{name: a, x: 600, width: 41, height: 8}]\n"
	  "ingest: {frame: {width: 640, height: 480}}\n",
	  { "1:24: regions.0.x: columns 600 to 640 leave the frame, which has 0 to 639" } },
	{ "regions: [{name: a, width: 8, height: 481}]\n"
	  "ingest: {frame: {width: 640, height: 480}}\n",
	  { "1:39: regions.0.height: rows 0 to 480 leave the frame, which has 0 to 479" } },
	{ "regions: [{name: a, x: 65535, width: 65536, height: 1}]\n"
	  "ingest: {frame: {width: 640, height: 480}}\n",
	  { "regions.0.x: columns 65535 to 131070 leave the frame" } },
	{ "regions: [{name: a, x: 8, y: 8, width: 8, height: 8}]\n"
	  "reduce: {roi: {x: 4, y: 4, width: 11, height: 20}}\n",
	  { "1:24: regions.0.x: columns 8 to 15 leave reduce.roi, which has 4 to 14" } },
	{ "regions: [{name: a, x: 8, width: 8, height: 8}]\n"
	  "reduce: {roi: {y: 4}}\n",
	  { "1:45: regions.0.height: rows 0 to 7 leave reduce.roi, which begins with 4" } },
	{ "beam: {regions: open}\n",
	  { "1:17: beam.regions: there is no region open; those in the section regions are: "
	    "none" } },
	{ "regions: [{name: a, width: 1, height: 1}, {name: b, width: 1, height: 1}]\n"
	  "beam: {regions: [a, c]}\n",
	  { "2:17: beam.regions: there is no region c;", "are: a, b\n" } },
	{ "regions: [{name: a, width: 1, height: 1}]\nbeam: {regions: [a, a]}\n",
	  { "beam.regions: a is in the list twice" } },
	{ "beam: {regions: [a, b c]}\n",
	  { "1:21: beam.regions: 'b c' does not fit", "a list of names of regions" } },
	{ "beam: {use: apply}\n", { "1:13: beam.use: apply divides by the mean of the open" } },
	{ "regions: [{name: open, width: 4, height: 4}]\n"
	  "beam: {regions: [open], use: apply}\n"
	  "reduce: {normalise: none}\n",
	  { "2:30: beam.use: apply divides the transmission, and reduce.normalise is none" } },
	{ "beam: {dip: 0.1}\n", { "1:13: beam.dip: dip 0.1 must be above dump 0.1" } },
	{ "beam: {dump: 0.95}\n", { "1:14: beam.dump: dip 0.9 must be above dump 0.95" } },
	{ "beam: {dip: 1.1}\n",
	  { "1:13: beam.dip: 1.1 is out of range", "accepted: a number, 0 to 1\n" } },

	/* calibration from the stream, sentinels, the black box */
	{ "calibration: {sequence: [dark 0]}\n",
	  { "1:26: calibration.sequence: 'dark 0' does not fit", "\"flat_dark N\"",
	    "1 to 65535" } },
	{ "calibration: {sequence: [dark 5, flat]}\n", { "1:34: calibration.sequence: 'flat'" } },
	{ "calibration: {sequence: [darks 5]}\n", { "'darks 5' does not fit" } },
	{ "calibration: {sequence: [darks 5, flat 3]}\n", { "'darks 5' does not fit" } },
	{ "calibration: {sequence: [dark 5 6]}\n", { "'dark 5 6' does not fit" } },
	{ "calibration: {sequence: [dark5]}\n", { "'dark5' does not fit" } },
	{ "calibration: {sequence: [dark -5]}\n", { "'dark -5' does not fit" } },
	{ "calibration: {sequence: [dark 1000000]}\n", { "'dark 1000000' does not fit" } },
	{ "calibration: {sequence: dark 5, flat: f, dead: -0.5}\n",
	  { "calibration.dead: -0.5 is out of range; accepted: a number, 0 to 1" } },
	{ "calibration: {hot: 2000000}\n",
	  { "calibration.hot: 2000000 is out of range; accepted: a number, 0 to 1000000 "
	    "deviations" } },
	{ "calibration: {timeout: 0s}\n", { "calibration.timeout: 0s is out of range" } },
	{ "calibration: {max_age: 24}\n", { "calibration.max_age: 24 has no unit" } },
	{ "calibration: {flat_dark: d}\n",
	  { "1:26: calibration.flat_dark: the dark of a flat needs a flat" } },
	{ "calibration: {sequence: [flat_dark 5]}\n",
	  { "1:25: calibration.sequence: flat_dark is the dark of a flat, and there is none" } },
	{ "calibration: {sequence: [dark 5]}\nreduce: {normalise: transmission}\n",
	  { "2:21: reduce.normalise: transmission needs calibration.flat",
	    "calibration.sequence" } },
	{ "calibration: {sequence: [flat 5]}\nreduce: {normalise: dark}\n",
	  { "2:21: reduce.normalise: dark needs calibration.dark" } },
	{ "reduce: {normalise: attenuation}\n",
	  { "1:21: reduce.normalise: attenuation needs calibration.flat" } },
	{ "calibration: {sequence: [flat 5]}\nreduce: {type: source}\n",
	  { "2:16: reduce.type: source keeps the pixels as they came" } },
	{ "sentinels: {disk: 60}\n", { "sentinels.disk: 60 has no unit" } },
	{ "sentinels: {buffer: 80}\n", { "sentinels.buffer: 80 is out of range", "0 to 1" } },
	{ "sentinels: {pixels_every: 0}\n", { "sentinels.pixels_every: 0 is out of range" } },
	{ "blackbox: {on: [alarm, never]}\n",
	  { "1:24: blackbox.on: 'never' does not fit", "alarm, loss and command" } },
	{ "blackbox: {on: []}\n", { "1:16: blackbox.on: the list is empty" } },
	{ "blackbox: {memory: 1KiB}\n", { "blackbox.memory: 1KiB is out of range" } },

	/* what is not plain YAML */
	{ "ingest: {\n", { "beam.yaml:2:1: not YAML: " } },
	{ "ingest:\n\tname: a\n", { "beam.yaml:2:1: not YAML: ", "a tab" } },
	{ "a: b: c\n", { "beam.yaml:1:5: not YAML: " } },
	{ "series:\n  name: \"\xff\"\n", { "beam.yaml:2:10: not YAML: " } },
	{ "%YAML 7.0\n---\n", { "beam.yaml:1:1: not YAML: " } },
	{ "--- {}\n--- {}\n", { "beam.yaml:2:1: a second document" } },
	{ "series: {name: &n x}\n", { "beam.yaml:1:16: anchors" } },
	{ "series: {name: !!str x}\n", { "beam.yaml:1:16: tags" } },
	{ "a: [[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]\n",
	  { "1:19: nested more than 16 deep" } },
};

Test(config, refuses_each_mistake_with_place_key_value_and_what_is_accepted)
{
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		const struct refusal *r = &refusals[i];
		char *problems = problems_of(r->text, NULL, 0);

		cr_expect_eq(count_lines(problems), 1, "%s\n%s", r->text, problems);
		for (size_t p = 0; p < 3 && r->parts[p]; p++)
			cr_expect_not_null(strstr(problems, r->parts[p]), "%s\nlacks \"%s\": %s",
			                   r->text, r->parts[p], problems);
		free(problems);
	}
}

/* Texts that load. */
static const char *const accepted[] = {
	"",
	"# nothing\n",
	"---\n",
	"{}",
	"reduce:\nseries:\n",
	"{\"reduce\": {\"type\": \"uint16\"}}",
	"reduce: {bin: 2}\r\nseries: {step: 2}\r\n",
	"\xef\xbb\xbfreduce: {bin: 2}\n",
	"ingest: {endpoints: tcp://h:1}",
	"ingest: {endpoints: [\"tcp://*:5555\", ipc:///run/a, \"tcp://[::1]:9\"]}",
	"ingest: {endpoints: [\"tcp://eth0:*\"]}",
	"sinks: [{format: stream, endpoint: tcp://127.0.0.1:9998}]",
	"sinks: [{format: stream, endpoint: \"tcp://*:*\"}, {format: stream, endpoint: "
	"\"tcp://*:*\"}]",
	"sinks: [{format: stream, endpoint: \"ipc://a\", attach: connect, socket: push, every: 10, "
	"rate: 25}, {format: stream, endpoint: \"ipc://a\"}]",
	"sinks: [{endpoint: \"\", attach: bind, socket: pub, every: 1, rate: 0, queue: 10}]",
	"ingest: {bits: 8, frame: {type: uint8}}",
	"ingest: {frame: {width: 8192, height: 8192}}",
	"ingest: {pixel_format: Mono14, saturation: 16000}",
	"ingest: {pixel_format: Mono12p}",
	"ingest: {buffer: 1.5GiB, frame_limit: \n 64 MiB}",
	"series: {max_gap: 10000000}",
	"series: {idle_end: 0.5s, end_timeout: 1.5 h}",
	"calibration: {mask: 12}",
	"calibration: {flat: f}",
	"calibration: {dark: d}\nreduce: {normalise: dark}",
	"calibration: {dark: d, flat: f}\nreduce: {normalise: none, type: source}",
	"calibration: {dark: d, flat: \"\"}\nreduce: {normalise: transmission}",
	"reduce: {type: source}",
	"histogram: {raw: {low: -1e3, high: 1.5E+4}, normalised: {low: -0.5}}",
	"sinks: [{format: null}, {format: raw, file_size: 2GB}, {}]",
	"monitor: {http: \"\", allowed_hosts: [beam.example.org, \"a:80\"]}",
	"daemon: {cpus: [3, 2, 2], workers: 256, isa: scalar}",
	"regions:\n",
	"regions: []",
	"regions: [{name: a, width: 65536, height: 65536}]",
	"regions: [{name: a, x: 639, y: 479, width: 1, height: 1}]\n"
	"ingest: {frame: {width: 640, height: 480}}\nreduce: {roi: {x: 8, y: 479}}",
	"regions: [{name: a, x: 8, y: 8, width: 4, height: 4}]\n"
	"reduce: {roi: {x: 8, y: 8, width: 4, height: 4}}",
	"beam: {dip: 0, dump: 0.1}",
	"beam: {dip: 0.9, dump: 0}",
	"calibration: {sequence: dark 1}\nreduce: {normalise: dark}",
	"calibration: {sequence: [dark  20, flat_dark 5, flat 20]}\n"
	"reduce: {normalise: attenuation}",
	"calibration: {from_key: image_key}\nreduce: {normalise: transmission}",
	"calibration: {from_key: image_key}\nreduce: {normalise: dark}",
	"calibration: {dark: d, sequence: [flat 5]}",
	"calibration: {flat: \"\"}\nreduce: {normalise: attenuation}",
	"calibration: {dark: \"\"}\nreduce: {normalise: dark}",
	"calibration: {flat: f, flat_dark: d}",
	"calibration: {flat: f, sequence: [flat_dark 5]}",
	"calibration: {dead: 0, hot: 0, noisy: 0, max_age: 0s}",
	"sentinels: {clear: 0s, saturated: 0, saturated_for: 0, dead: 0, hot: 0, flat_drift: 0, "
	"flat_drift_for: 0s, repeated: 0, noise: 0, rate: 0, timestamps: 0, buffer: 0, disk: 0}",
	"blackbox: {before: 0, after: 0, on: loss}",
};

Test(config, accepts_what_is_right)
{
	for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
		char *problems = problems_of(accepted[i], NULL, 0);

		cr_expect_str_empty(problems, "%s\n%s", accepted[i], problems);
		free(problems);
	}
}

Test(config, fills_what_the_file_says)
{
	struct config c = loaded("ingest:\n"
	                         "  endpoints: [tcp://a:1, tcp://b:2]\n"
	                         "  socket: sub\n"
	                         "  bits: 12\n"
	                         "  frame: {width: 2560, height: 2160, type: uint16}\n"
	                         "  buffer: 1.5GiB\n"
	                         "series: {name: wood, first: 7, idle_end: 250ms}\n"
	                         "calibration: {flat: \"flat 1.tif\"}\n"
	                         "reduce: {bin: 16, type: uint16, window: [-0.25, 2]}\n"
	                         "histogram: {raw: {high: 4096}}\n"
	                         "sinks:\n"
	                         "  - {format: raw, product: source}\n"
	                         "  - {format: null, sync: 10s}\n"
	                         "daemon: {cpus: [2, 0]}\n",
	                         NULL, 0);

	cr_expect_eq(c.ingest.endpoints.count, 2);
	cr_expect_str_eq(c.ingest.endpoints.at[1], "tcp://b:2");
	cr_expect_eq(c.ingest.socket, SOCKET_SUB);
	cr_expect_eq(c.ingest.bits, 12);
	cr_expect_eq(c.ingest.saturation, CONFIG_AUTO);
	cr_expect_eq(c.ingest.width, 2560);
	cr_expect_eq(c.ingest.height, 2160);
	cr_expect_eq(c.ingest.type, FRAME_UINT16);
	cr_expect_eq(c.ingest.buffer, UINT64_C(1610612736));
	cr_expect_str_eq(c.series.name, "wood");
	cr_expect_eq(c.series.first, 7);
	cr_expect_eq(c.series.idle_end_ns, UINT64_C(250000000));
	cr_expect_str_eq(c.calibration.flat, "flat 1.tif");
	cr_expect_eq(c.reduce.normalise, NORMALISE_TRANSMISSION);
	cr_expect_eq(c.reduce.bin, 16);
	cr_expect_eq(c.reduce.type, REDUCE_UINT16);
	cr_expect_eq(c.reduce.window_low, -0.25);
	cr_expect_eq(c.reduce.window_high, 2);
	cr_expect(c.histogram.raw.low_auto);
	cr_expect_not(c.histogram.raw.high_auto);
	cr_expect_eq(c.histogram.raw.high, 4096);
	cr_expect_eq(c.sink_count, 2);
	cr_expect_eq(c.sinks[0].format, SINK_RAW);
	cr_expect_eq(c.sinks[0].product, PRODUCT_SOURCE);
	cr_expect_str_eq(c.sinks[0].directory, "data");
	cr_expect_eq(c.sinks[1].format, SINK_NULL);
	cr_expect_eq(c.sinks[1].sync_ns, UINT64_C(10000000000));
	cr_expect_eq(c.daemon.cpu_count, 2);
	cr_expect_eq(c.daemon.cpus[0], 2);
	config_done(&c);
}

Test(config, fills_regions_beam_and_quality)
{
	struct config c = loaded("regions:\n"
	                         "  - {name: open, width: 64, height: 32}\n"
	                         "  - {name: sample, x: 100, y: 200, width: 300, height: 400}\n"
	                         "beam: {regions: [open], use: apply, dip: 0.95}\n"
	                         "calibration: {sequence: [dark 50, flat 20], memory: 1GiB,\n"
	                         "  combine: median, found: report, from_key: key, hot: 8}\n"
	                         "sentinels: {saturated: 0.01, disk: 2min, repeated: 5}\n"
	                         "blackbox: {before: 3s, on: [alarm, loss]}\n",
	                         NULL, 0);

	cr_expect_eq(c.region_count, 2);
	cr_expect_str_eq(c.regions[0].name, "open");
	cr_expect_eq(c.regions[0].x, 0);
	cr_expect_eq(c.regions[0].height, 32);
	cr_expect_str_eq(c.regions[1].name, "sample");
	cr_expect_eq(c.regions[1].x, 100);
	cr_expect_eq(c.regions[1].y, 200);
	cr_expect_eq(c.regions[1].width, 300);
	cr_expect_eq(c.beam.regions.count, 1);
	cr_expect_eq(c.beam.use, BEAM_APPLY);
	cr_expect_eq(c.beam.dip, 0.95);
	cr_expect_eq(c.beam.dump, 0.1);
	cr_expect_eq(c.calibration.sequence.count, 2);
	cr_expect_eq(c.calibration.memory, UINT64_C(1) << 30);
	cr_expect_eq(c.calibration.combine, COMBINE_MEDIAN);
	cr_expect_eq(c.calibration.found, FOUND_REPORT);
	cr_expect_eq(c.calibration.hot, 8);
	cr_expect_eq(c.calibration.timeout_ns, UINT64_C(60000000000));
	cr_expect_str_eq(c.ingest.role_key, "key");
	cr_expect_eq(c.sentinels.saturated, 0.01);
	cr_expect_eq(c.sentinels.disk_ns, UINT64_C(120000000000));
	cr_expect_eq(c.sentinels.repeated, 5);
	cr_expect_eq(c.sentinels.pixels_every, 256);
	cr_expect_eq(c.blackbox.before_ns, UINT64_C(3000000000));
	cr_expect_eq(c.blackbox.on.count, 2);
	config_done(&c);
}

Test(config, refuses_the_seventeenth_region)
{
	char text[1024] = "regions:\n", *problems;

	for (unsigned i = 0; i <= CONFIG_REGIONS_MAX; i++)
		sprintf(text + strlen(text), "  - {name: r%u, width: 1, height: 1}\n", i);
	problems = problems_of(text, NULL, 0);
	cr_expect_str_eq(problems, "beam.yaml:2:3: regions: more than 16 regions\n");
	free(problems);
}

Test(config, has_no_regions_and_no_black_box_by_default)
{
	struct config c = loaded(NULL, NULL, 0);

	cr_expect_eq(c.region_count, 0);
	cr_expect_eq(c.beam.regions.count, 0);
	cr_expect_eq(c.beam.use, BEAM_RECORD);
	cr_expect_eq(c.calibration.sequence.count, 0);
	cr_expect_str_empty(c.ingest.role_key);
	cr_expect_eq(c.blackbox.before_ns, 0);
	cr_expect_eq(c.blackbox.on.count, 3);
	config_done(&c);
}

Test(config, reads_the_entries_of_a_sequence)
{
	struct config_step step = { 0 };

	cr_expect(config_step_read("dark 50", &step));
	cr_expect_eq(step.role, CALIBRATE_DARK);
	cr_expect_eq(step.frames, 50);
	cr_expect(config_step_read("flat_dark   7", &step));
	cr_expect_eq(step.role, CALIBRATE_FLAT_DARK);
	cr_expect(config_step_read("flat 65535", &step));
	cr_expect_eq(step.role, CALIBRATE_FLAT);
	cr_expect_eq(step.frames, 65535);
	cr_expect_not(config_step_read("flat 65536", &step));
	cr_expect_not(config_step_read("", &step));
	cr_expect_not(config_step_read("flat ", &step));
	cr_expect_not(config_step_read("flat 1 ", &step));
	cr_expect_eq(step.frames, 65535);
	cr_expect_str_eq(calibration_role_name(CALIBRATE_FLAT_DARK), "flat_dark");
}

Test(config, says_everything_that_is_wrong_at_once_in_order)
{
	static const char text[] = "ingest:\n"
				   "  nmae: a\n"
				   "  endpoints: [http://a, tcp://b:1, {}]\n"
				   "series: {step: 0, step: 1}\n"
				   "reduce: {window: [3, 2]}\n"
				   "sinks: [{format: hdf4}, raw]\n";
	static const char *const places[] = { "2:3: ",  "3:15: ", "3:36: ", "4:16: ",
		                              "4:19: ", "6:18: ", "6:25: ", "5:18: " };
	char *problems = problems_of(text, NULL, 0);
	const char *line = problems;

	cr_expect_eq(count_lines(problems), 8, "%s", problems);
	for (size_t i = 0; i < 8 && line; i++) {
		cr_expect_eq(strncmp(line, "beam.yaml:", 10), 0, "%s", line);
		cr_expect_eq(strncmp(line + 10, places[i], strlen(places[i])), 0, "not %s: %s",
		             places[i], line);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	free(problems);
}

Test(config, runs_without_any_calibration)
{
	static const char *const texts[] = {
		NULL,
		"calibration: {dark: \"\", flat: \"\"}",
		"calibration: {mask: m.tif}",
		"reduce: {normalise: transmission}\ncalibration: {dark: \"\", flat: \"\"}",
		"reduce: {type: source}",
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct config c = loaded(texts[i], NULL, 0);

		cr_expect_eq(c.reduce.normalise, NORMALISE_TRANSMISSION);
		cr_expect_str_empty(c.calibration.flat);
		config_done(&c);
	}
}

/* Write a file of its own; the caller unlinks it. */
static void write_file(char path[32], const char *text, size_t length)
{
	int fd;

	strcpy(path, "/tmp/openbeam-config-XXXXXX");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	for (size_t done = 0; done < length;) {
		ssize_t n = write(fd, text + done, length - done);

		cr_assert_gt(n, 0);
		done += (size_t)n;
	}
	close(fd);
}

Test(config, loads_a_file_and_names_it_in_problems)
{
	struct config c;
	char path[32], *problems;

	write_file(path, "reduce: {bin: 8}\n", 17);
	cr_assert_eq(config_load(&c, path, NULL, 0, &problems), 0);
	cr_expect_null(problems);
	cr_expect_eq(c.reduce.bin, 8);
	config_done(&c);
	unlink(path);

	write_file(path, "reduce: {bin: 9}\n", 17);
	cr_assert_eq(config_load(&c, path, NULL, 0, &problems), -EINVAL);
	cr_expect_eq(strncmp(problems, path, strlen(path)), 0);
	free(problems);
	unlink(path);
}

Test(config, says_in_one_line_why_a_file_cannot_be_read)
{
	struct config c;
	char *problems;

	cr_expect_eq(config_load(&c, "/nonexistent/beam.yaml", NULL, 0, &problems), -ENOENT);
	cr_expect_str_eq(problems,
	                 "/nonexistent/beam.yaml: cannot be read: No such file or directory\n");
	free(problems);
	cr_expect_eq(config_load(&c, "/", NULL, 0, &problems), -EISDIR);
	cr_expect_str_eq(problems, "/: cannot be read: Is a directory\n");
	free(problems);
	cr_expect_eq(config_load(&c, "/dev/zero", NULL, 0, &problems), -EFBIG);
	cr_expect_eq(count_lines(problems), 1);
	free(problems);
}

Test(config, takes_a_file_of_one_mebibyte_and_no_more)
{
	size_t length = (1u << 20) + 1;
	char *text = malloc(length), path[32], *problems;
	struct config c;

	memset(text, '#', length);
	write_file(path, text, length - 1);
	cr_assert_eq(config_load(&c, path, NULL, 0, &problems), 0);
	config_done(&c);
	unlink(path);
	write_file(path, text, length);
	cr_expect_eq(config_load(&c, path, NULL, 0, &problems), -EFBIG);
	cr_expect_not_null(strstr(problems, "1 MiB"));
	free(problems);
	unlink(path);
	free(text);
}

Test(config, leaves_the_result_untouched_on_failure)
{
	struct config c, before;
	char *problems;

	memset(&c, 0x5a, sizeof c);
	memcpy(&before, &c, sizeof c);
	cr_assert_eq(config_parse(&c, "x", 1, "beam.yaml", NULL, 0, &problems), -EINVAL);
	cr_expect_eq(memcmp(&c, &before, sizeof c), 0);
	free(problems);
}

Test(config, frees_a_zeroed_one_and_twice)
{
	struct config c = { 0 };

	config_done(&c);
	c = loaded(NULL, NULL, 0);
	config_done(&c);
	config_done(&c);
}
