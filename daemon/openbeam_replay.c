/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam replay: whether what was recorded comes out of its source frames once more. */
#include "daemon/openbeam_commands.h"
#include "daemon/openbeam_progress.h"
#include "daemon/replaying.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static const char usage[] =
	"usage: openbeam replay [--json] [--to DIR [--flats BEFORE,AFTER]] PATH\n"
	"\n"
	"Puts a recorded series through the pass once more, by the configuration of its manifest,\n"
	"and compares what comes out with what was recorded, bit for bit: moments, percentiles,\n"
	"dose and the values of the regions, counts of pixels, the checksum of the reduced\n"
	"product of every sink, and the histograms. PATH is the folder of a series that has a\n"
	"sink of product source; calibration files are believed when they have the checksums\n"
	"that the manifest has. A frame that cannot be repeated is named and left out: one with\n"
	"ports missing, or of a detector that sent a mask of bad pixels.\n"
	"\n"
	"  -t, --to DIR       write the reduced product as a new series in DIR, which is made if\n"
	"                     it is not there; in the format of the first sink that kept one,\n"
	"                     else TIFF\n"
	"  -f, --flats BEFORE,AFTER\n"
	"                     with --to: normalise each frame with the flat of its time, on the\n"
	"                     straight line from one flat to the other in every pixel, and the\n"
	"                     nearer one outside; a mean with that of its frames' mean time. "
	"Times\n"
	"                     are those that the JSON beside each image has as taken_ns, else the\n"
	"                     file's. Nothing is compared then\n"
	"  -j, --json         print the result as a JSON object\n"
	"  -h, --help         print this, and end\n"
	"\n"
	"One line of verdict on standard output, differences on standard error.\n"
	"Exit status: 0 alike; 1 different; 2 usage; 65 this series cannot be replayed; 66 no "
	"such\n"
	"series; 69 it still runs or was cut off; 71 system; 73, 74 input or output failed; 77\n"
	"permission.\n";

struct show {
	const char *path;
	struct openbeam_progress progress;
};

static void on_frame(void *user, uint64_t done, uint64_t all)
{
	struct show *s = user;
	double seconds;

	if (openbeam_progress_due(&s->progress, &seconds))
		openbeam_progress_line(&s->progress,
		                       "%s: frame %" PRIu64 " of %" PRIu64 ", %.1f frames/s",
		                       s->path, done, all, (double)done / seconds);
}

/* Texts may hold what somebody else wrote, and end on a terminal. */
static void print_text(FILE *out, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		fputc(*c < 0x20 || *c == 0x7f ? '?' : *c, out);
}

static void on_say(void *user, const char *text)
{
	struct show *s = user;

	openbeam_progress_wipe(&s->progress);
	fputs("openbeam: ", stderr);
	print_text(stderr, text);
	fputc('\n', stderr);
}

/* ---- as text ---- */

static uint64_t named(const struct replay_kind *k)
{
	return !k->of_frames ? 0 : k->count < REPLAY_NAMED ? k->count : REPLAY_NAMED;
}

static void print_frames(const struct replay_kind *k)
{
	if (!k->of_frames)
		return;
	fprintf(stderr, " in %" PRIu64 " %s:", k->count, k->count == 1 ? "frame" : "frames");
	for (uint64_t i = 0; i < named(k); i++)
		fprintf(stderr, "%s %" PRIu64, i ? "," : "", k->first[i]);
	if (k->count > REPLAY_NAMED)
		fputs(", ...", stderr);
}

static void print_kinds(const char *path, const char *verb, const struct replay_kinds *kinds)
{
	for (unsigned i = 0; i < kinds->count; i++) {
		const struct replay_kind *k = &kinds->at[i];

		fprintf(stderr, "openbeam: %s: ", path);
		print_text(stderr, k->what);
		fprintf(stderr, ": %s", verb);
		print_frames(k);
		if (k->example[0]) {
			fputs("; ", stderr);
			print_text(stderr, k->example);
		}
		fputc('\n', stderr);
	}
	if (kinds->beyond)
		fprintf(stderr, "openbeam: %s: and more, %" PRIu64 " times\n", path, kinds->beyond);
}

static const char *verdict_of(const struct replay_result *r)
{
	return r->differences.count > 0 ? "different" : r->compared ? "alike" : "not compared";
}

static void print_verdict(const char *path, const struct replay_result *r)
{
	printf("%s: %s: %" PRIu64 " %s replayed", verdict_of(r), path, r->frames,
	       r->frames == 1 ? "frame" : "frames");
	if (r->compared && r->alike == r->compared && r->compared == r->frames &&
	    r->differences.count == 0)
		fputs(": all alike", stdout);
	else if (r->compared || r->differences.count)
		printf(": %" PRIu64 " compared, %" PRIu64 " alike", r->compared, r->alike);
	if (r->pages)
		printf(", %" PRIu64 " pages", r->pages);
	if (r->histograms)
		fputs(", with histograms", stdout);
	if (r->folder[0])
		printf("; %" PRIu64 " written: %s", r->written, r->folder);
	putchar('\n');
}

/* ---- as JSON ---- */

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* Bytes that are no UTF-8 (paths may have them) become `?`. */
static json_t *text(const char *s)
{
	json_t *value = json_string(s);
	char copy[4096];

	if (value)
		return value;
	snprintf(copy, sizeof copy, "%s", s);
	for (char *c = copy; *c; c++)
		if (*c & 0x80)
			*c = '?';
	return json_string(copy);
}

static json_t *kinds_json(const struct replay_kinds *kinds)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < kinds->count; i++) {
		const struct replay_kind *k = &kinds->at[i];
		json_t *o = json_object(), *frames = json_array();

		for (uint64_t f = 0; f < named(k); f++)
			json_array_append_new(frames, number(k->first[f]));
		json_object_set_new(o, "what", text(k->what));
		json_object_set_new(o, "count", number(k->count));
		json_object_set_new(o, "frames", k->of_frames ? frames : json_null());
		if (!k->of_frames)
			json_decref(frames);
		json_object_set_new(o, "example", k->example[0] ? text(k->example) : json_null());
		json_array_append_new(list, o);
	}
	return list;
}

static void print_json(const char *path, const struct replay_result *r, int err)
{
	json_t *o = json_object();

	json_object_set_new(o, "path", text(path));
	json_object_set_new(o, "verdict", json_string(err ? "refused" : verdict_of(r)));
	json_object_set_new(o, "why", err ? text(r->why) : json_null());
	json_object_set_new(o, "frames", number(r->frames));
	json_object_set_new(o, "compared", number(r->compared));
	json_object_set_new(o, "alike", number(r->alike));
	json_object_set_new(o, "pages", number(r->pages));
	json_object_set_new(o, "histograms", json_boolean(r->histograms));
	json_object_set_new(o, "differences", kinds_json(&r->differences));
	json_object_set_new(o, "left_out", kinds_json(&r->left_out));
	json_object_set_new(o, "written", number(r->written));
	json_object_set_new(o, "folder", r->folder[0] ? text(r->folder) : json_null());
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

/* ---- the command ---- */

static int status_of(int err)
{
	switch (err) {
	case 0:
		return EX_OK;
	case -EINVAL:
		return EX_DATAERR;
	case -ENOENT:
	case -ELOOP:
	case -ENAMETOOLONG:
		return EX_NOINPUT;
	case -EBUSY:
		return EX_UNAVAILABLE;
	case -ENOMEM:
		return EX_OSERR;
	case -EACCES:
	case -EPERM:
		return EX_NOPERM;
	case -EEXIST:
	case -EROFS:
		return EX_CANTCREAT;
	default:
		return EX_IOERR;
	}
}

static int run(struct replay_options *o, bool json)
{
	struct show show = { .path = o->path };
	struct replay_result *r = calloc(1, sizeof *r);
	int err, status;

	if (!r)
		return EX_OSERR;
	openbeam_progress_begin(&show.progress);
	o->user = &show;
	o->at = on_frame;
	o->say = on_say;
	err = replay(o, r);
	openbeam_progress_wipe(&show.progress);
	print_kinds(o->path, "different", &r->differences);
	print_kinds(o->path, "left out", &r->left_out);
	if (err) {
		fprintf(stderr, "openbeam: %s: ", o->path);
		print_text(stderr, r->why);
		fputc('\n', stderr);
	}
	if (json)
		print_json(o->path, r, err);
	else if (!err)
		print_verdict(o->path, r);
	status = err ? status_of(err) : r->differences.count > 0;
	free(r);
	return status;
}

/* "BEFORE,AFTER", taken apart in place. */
static bool split_flats(char *word, const char *ret[2])
{
	char *comma = strchr(word, ',');

	if (!comma || comma == word || !comma[1] || strchr(comma + 1, ','))
		return false;
	*comma = '\0';
	ret[0] = word;
	ret[1] = comma + 1;
	return true;
}

int openbeam_replay(int argc, char **argv)
{
	static const struct option options[] = {
		{ "to", required_argument, NULL, 't' },
		{ "flats", required_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct replay_options o = { 0 };
	bool json = false;
	int option;

	while ((option = openbeam_getopt(argc, argv, "t:f:jh", options)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return EX_OK;
		}
		if (option == 'f' && !split_flats(optarg, o.flats))
			return openbeam_complain("--flats takes BEFORE,AFTER, two files", NULL);
		if (option == '?')
			return openbeam_complain("cannot go on", NULL);
		json |= option == 'j';
		if (option == 't')
			o.to = optarg;
	}
	if (optind + 1 != argc)
		return openbeam_complain("replay which series? Name one folder", NULL);
	if (o.flats[0] && !o.to)
		return openbeam_complain("--flats needs --to DIR: nothing that was recorded can "
		                         "equal what comes out",
		                         NULL);
	o.path = argv[optind];
	return run(&o, json);
}
