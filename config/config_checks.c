/* SPDX-License-Identifier: Apache-2.0 */
#include "config/loading.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

/* A check looks at values that were accepted one by one, and blames a key that somebody wrote.
 * Where one of its values was refused it is silent: the reader has that to mend first. */

#define ONE_SINK(key)   OPTION_SINK "." key
#define ONE_REGION(key) OPTION_REGION "." key

/* Whose keys are meant: those of element `i` of a list, or, below 0, those of no list. */
struct whose {
	enum option_list_index list;
	int i;
};

static const struct whose of_none = { 0, -1 };

static struct whose of_sink(unsigned i)
{
	return (struct whose){ LIST_SINKS, (int)i };
}

static struct whose of_region(unsigned i)
{
	return (struct whose){ LIST_REGIONS, (int)i };
}

static const struct given *given_of(const struct loading *l, struct whose w, const char *path)
{
	size_t row = (size_t)(option_find(path) - options);

	return w.i < 0 ? &l->given[row] : &l->element_given[w.list][w.i][row];
}

static bool is_given(const struct loading *l, const char *path)
{
	return given_of(l, of_none, path)->place.name != NULL;
}

/* Whether no value of these keys was refused. `paths` ends with NULL. */
static bool all_accepted(const struct loading *l, struct whose w, const char *const *paths)
{
	for (; *paths; paths++) {
		if (given_of(l, w, *paths)->refused)
			return false;
	}
	return true;
}

/* Where a key was written, or else the element whose key it is. */
static const struct place *place_of(const struct loading *l, struct whose w, const char *path)
{
	const struct place *place = &given_of(l, w, path)->place;

	return place->name || w.i < 0 ? place : &l->element_place[w.list][w.i];
}

/* Add a problem of several keys, ended by NULL, at the first of them that was given. */
__attribute__((format(printf, 4, 5))) static void
blame(struct loading *l, struct whose w, const char *const *paths, const char *sentence, ...)
{
	const char *path = paths[0];
	char key[96], text[512];
	va_list values;

	for (const char *const *p = paths; *p; p++) {
		if (given_of(l, w, *p)->place.name) {
			path = *p;
			break;
		}
	}
	if (w.i < 0)
		snprintf(key, sizeof key, "%s", path);
	else
		snprintf(key, sizeof key, "%s.%d.%s", option_lists[w.list].path, w.i,
		         strrchr(path, '.') + 1);
	va_start(values, sentence);
	vsnprintf(text, sizeof text, sentence, values);
	va_end(values);
	problems_add(&l->problems, place_of(l, w, path), key, "%s", text);
}

/* Whether the sequence takes one of that role. An entry that was refused is NULL. */
static bool takes(const struct config_calibration *c, enum calibration_role role)
{
	struct config_step step;

	for (unsigned i = 0; i < c->sequence.count; i++) {
		if (c->sequence.at[i] && config_step_read(c->sequence.at[i], &step) &&
		    step.role == role)
			return true;
	}
	return false;
}

/* Whether a dark, or a flat, is read from a file or comes with the stream. */
static bool gets_dark(const struct config *c)
{
	return c->calibration.dark[0] || c->ingest.role_key[0] ||
	       takes(&c->calibration, CALIBRATE_DARK);
}

static bool gets_flat(const struct config *c)
{
	return c->calibration.flat[0] || c->ingest.role_key[0] ||
	       takes(&c->calibration, CALIBRATE_FLAT);
}

/* Where else than from a file they come. */
#define FROM_STREAM                                                                                \
	"take one from the stream (calibration.sequence, calibration.from_key, or, after "         \
	"writing %s: \"\", a command)"

static void check_normalise(struct loading *l)
{
	static const char *const keys[] = { "reduce.normalise",     "calibration.dark",
		                            "calibration.flat",     "calibration.sequence",
		                            "calibration.from_key", NULL };
	const struct config *c = &l->config;
	bool flat = gets_flat(c) || is_given(l, "calibration.flat");
	bool dark = gets_dark(c) || is_given(l, "calibration.dark");

	if (!all_accepted(l, of_none, keys))
		return;
	/* Without calibration the default leaves counts as they are: a daemon runs as installed.
	 * Whoever asks for transmission must say where its flat comes from, or write that there is
	 * none: then a command may take it. */
	if (c->reduce.normalise == NORMALISE_TRANSMISSION && !flat &&
	    (c->calibration.dark[0] || is_given(l, "reduce.normalise")))
		blame(l, of_none, keys,
		      "transmission%s needs calibration.flat; give one, " FROM_STREAM
		      ", or set reduce.normalise to dark or none",
		      is_given(l, "reduce.normalise") ? "" : ", the default of reduce.normalise,",
		      "calibration.flat");
	if (c->reduce.normalise == NORMALISE_ATTENUATION && !flat)
		blame(l, of_none, keys,
		      "attenuation needs calibration.flat; give one, or " FROM_STREAM,
		      "calibration.flat");
	if (c->reduce.normalise == NORMALISE_DARK && !dark)
		blame(l, of_none, keys,
		      "dark needs calibration.dark; give one, " FROM_STREAM
		      ", or set reduce.normalise to none",
		      "calibration.dark");
}

static void check_flat_dark(struct loading *l)
{
	static const char *const keys[] = { "calibration.flat_dark", "calibration.sequence",
		                            "calibration.flat", "calibration.from_key", NULL };
	const struct config *c = &l->config;

	if (!all_accepted(l, of_none, keys) || gets_flat(c))
		return;
	if (c->calibration.flat_dark[0] && !is_given(l, "calibration.flat"))
		blame(l, of_none, keys,
		      "the dark of a flat needs a flat; give calibration.flat, or " FROM_STREAM,
		      "calibration.flat");
	if (takes(&c->calibration, CALIBRATE_FLAT_DARK) && !is_given(l, "calibration.flat"))
		blame(l, of_none, keys + 1,
		      "flat_dark is the dark of a flat, and there is none; add \"flat N\" to the "
		      "sequence, or give calibration.flat");
}

static void check_rotation(struct loading *l)
{
	static const char *const keys[] = { "rotation.from_key", "rotation.start", "rotation.step",
		                            NULL };
	const struct config_rotation *r = &l->config.rotation;
	const char *key = l->config.ingest.rotation_key;

	if (!all_accepted(l, of_none, keys))
		return;
	if (key[0] && (!r->start_auto || r->step != 0))
		blame(l, of_none, keys,
		      "angles come from the key %s of each header, or are computed with "
		      "rotation.start and rotation.step, not both; leave one out",
		      key);
	else if (r->start_auto && r->step != 0)
		blame(l, of_none, keys + 2, "%g degrees from which angle? It needs rotation.start",
		      r->step);
}

static bool has_calibration(const struct loading *l)
{
	return gets_dark(&l->config) || gets_flat(&l->config);
}

static void check_source_type(struct loading *l)
{
	static const char *const normalise[] = { "reduce.type", "reduce.normalise", NULL };
	static const char *const bin[] = { "reduce.type", "reduce.bin", NULL };
	const struct config_reduce *r = &l->config.reduce;

	if (r->type != REDUCE_SOURCE)
		return;
	if (all_accepted(l, of_none, normalise) && r->normalise != NORMALISE_NONE &&
	    !(r->normalise == NORMALISE_TRANSMISSION && !has_calibration(l)))
		blame(l, of_none, normalise,
		      "source keeps the pixels as they came; it needs reduce.normalise: none, "
		      "which "
		      "is %s",
		      config_choice("reduce.normalise", r->normalise));
	if (all_accepted(l, of_none, bin) && r->bin != 1)
		blame(l, of_none, bin,
		      "source keeps the pixels as they came; it needs reduce.bin: 1, which is %u",
		      r->bin);
}

/* The kernels compute in float32, with `parts` of the interval. */
static bool is_interval(double low, double high, double parts)
{
	return (float)low < (float)high && isfinite((float)(parts / (high - low)));
}

static void check_window(struct loading *l)
{
	static const char *const keys[] = { "reduce.window", NULL };
	const struct config_reduce *r = &l->config.reduce;

	if (all_accepted(l, of_none, keys) &&
	    !is_interval(r->window_low, r->window_high, UINT16_MAX))
		blame(l, of_none, keys, "low %g must be below high %g", r->window_low,
		      r->window_high);
}

static void check_average(struct loading *l)
{
	static const char *const keys[] = { "reduce.average", "reduce.type", NULL };
	const struct config_reduce *r = &l->config.reduce;

	if (all_accepted(l, of_none, keys) && r->average > 1 && r->type == REDUCE_SOURCE)
		blame(l, of_none, keys,
		      "the mean of %u frames is no pixel as it came, which reduce.type source asks "
		      "for: set it to float32, uint16 or uint8, or reduce.average to 1",
		      r->average);
}

static void check_bins(struct loading *l, const struct config_bins *b, const char *const *keys)
{
	double low = b->low_auto ? 0 : b->low;

	if (!all_accepted(l, of_none, keys) || b->high_auto || b->bins == 0)
		return;
	if (!is_interval(low, b->high, b->bins))
		blame(l, of_none, keys, "low %g must be below high %g", low, b->high);
}

static void check_histograms(struct loading *l)
{
	static const char *const raw[] = { "histogram.raw.high", "histogram.raw.low",
		                           "histogram.raw.bins", NULL };
	static const char *const normalised[] = { "histogram.normalised.high",
		                                  "histogram.normalised.low",
		                                  "histogram.normalised.bins", NULL };

	check_bins(l, &l->config.histogram.raw, raw);
	check_bins(l, &l->config.histogram.normalised, normalised);
}

static void check_names(struct loading *l, unsigned region)
{
	static const char *const keys[] = { ONE_REGION("name"), NULL };
	const char *name = l->config.regions[region].name;

	if (!all_accepted(l, of_region(region), keys))
		return;
	for (unsigned i = 0; i < region; i++) {
		const char *other = l->config.regions[i].name;

		if (!other || strcmp(other, name) != 0)
			continue;
		blame(l, of_region(region), keys,
		      "region %u has the name %s already; give each a name of its own", i, name);
		return;
	}
}

/* A stretch of columns or rows: it begins at `from`, and has `length` of them. */
struct stretch {
	uint32_t from, length; /* length 0: to the end, wherever that is */
};

static bool lies_in(struct stretch inner, struct stretch outer)
{
	uint64_t end = (uint64_t)inner.from + inner.length;

	return inner.from >= outer.from &&
	       (outer.length == 0 || end <= (uint64_t)outer.from + outer.length);
}

/* What the region must lie in, and what that is called: the frame or reduce.roi, across or down.
 * Silent where it is not known. */
static void check_inside(struct loading *l, unsigned region, const char *const *keys, bool across)
{
	const struct config_region *r = &l->config.regions[region];
	const struct config_reduce *c = &l->config.reduce;
	const struct config_ingest *i = &l->config.ingest;
	struct stretch inner =
		across ? (struct stretch){ r->x, r->width } : (struct stretch){ r->y, r->height };
	struct stretch frame = { 0, across ? i->width : i->height };
	struct stretch roi = across ? (struct stretch){ c->roi_x, c->roi_width }
	                            : (struct stretch){ c->roi_y, c->roi_height };
	const char *what = across ? "columns" : "rows";
	unsigned last = inner.from + inner.length - 1;

	if (!lies_in(inner, frame))
		blame(l, of_region(region), keys,
		      "%s %u to %u leave the frame, which has 0 to %u (ingest.frame)", what,
		      inner.from, last, frame.length - 1);
	else if (!lies_in(inner, roi) && roi.length > 0)
		blame(l, of_region(region), keys,
		      "%s %u to %u leave reduce.roi, which has %u to %u", what, inner.from, last,
		      roi.from, roi.from + roi.length - 1);
	else if (!lies_in(inner, roi))
		blame(l, of_region(region), keys,
		      "%s %u to %u leave reduce.roi, which begins with %u", what, inner.from, last,
		      roi.from);
}

static void check_region(struct loading *l, unsigned region)
{
	static const char *const size[] = { ONE_REGION("width"), ONE_REGION("height"),
		                            ONE_REGION("name"), NULL };
	static const char *const across[] = { ONE_REGION("x"), ONE_REGION("width"), NULL };
	static const char *const down[] = { ONE_REGION("y"), ONE_REGION("height"), NULL };
	static const char *const outer[] = { "ingest.frame.width",
		                             "ingest.frame.height",
		                             "reduce.roi.x",
		                             "reduce.roi.y",
		                             "reduce.roi.width",
		                             "reduce.roi.height",
		                             NULL };
	const struct config_region *r = &l->config.regions[region];

	check_names(l, region);
	if (!all_accepted(l, of_region(region), size))
		return;
	if (r->width == 0 || r->height == 0) {
		blame(l, of_region(region), size,
		      "width %u and height %u: region %s needs both, 1 to 65536 pixels", r->width,
		      r->height, r->name);
		return;
	}
	if (!all_accepted(l, of_none, outer))
		return;
	if (all_accepted(l, of_region(region), across))
		check_inside(l, region, across, true);
	if (all_accepted(l, of_region(region), down))
		check_inside(l, region, down, false);
}

static bool has_region(const struct config *c, const char *name)
{
	for (unsigned i = 0; i < c->region_count; i++) {
		if (c->regions[i].name && strcmp(c->regions[i].name, name) == 0)
			return true;
	}
	return false;
}

/* "open, left", or what there is instead. */
static void list_regions(const struct config *c, char ret[200])
{
	snprintf(ret, 200, "%s", c->region_count == 0 ? "none" : "");
	for (unsigned i = 0; i < c->region_count; i++) {
		size_t used = strlen(ret);

		snprintf(ret + used, 200 - used, "%s%s", i > 0 ? ", " : "",
		         c->regions[i].name ? c->regions[i].name : "");
	}
}

static bool is_repeated(const struct config_list *list, unsigned i)
{
	for (unsigned j = 0; j < i; j++) {
		if (strcmp(list->at[j], list->at[i]) == 0)
			return true;
	}
	return false;
}

static void check_beam_regions(struct loading *l)
{
	static const char *const keys[] = { "beam.regions", NULL };
	const struct config_list *list = &l->config.beam.regions;
	char known[200];

	if (!all_accepted(l, of_none, keys))
		return;
	list_regions(&l->config, known);
	for (unsigned i = 0; i < list->count; i++) {
		if (!has_region(&l->config, list->at[i]))
			blame(l, of_none, keys,
			      "there is no region %s; those in the section regions are: %s",
			      list->at[i], known);
		else if (is_repeated(list, i))
			blame(l, of_none, keys, "%s is in the list twice; keep one of them",
			      list->at[i]);
	}
}

static void check_beam(struct loading *l)
{
	static const char *const use[] = { "beam.use", "beam.regions", NULL };
	static const char *const limits[] = { "beam.dip", "beam.dump", NULL };
	static const char *const divided[] = { "beam.use", "reduce.normalise", NULL };
	const struct config_beam *b = &l->config.beam;
	enum normalise n = l->config.reduce.normalise;

	check_beam_regions(l);
	if (all_accepted(l, of_none, use) && b->use == BEAM_APPLY && b->regions.count == 0)
		blame(l, of_none, use,
		      "apply divides by the mean of the open beam; name its regions in "
		      "beam.regions, or set beam.use to record");
	if (all_accepted(l, of_none, divided) && b->use == BEAM_APPLY && n < NORMALISE_TRANSMISSION)
		blame(l, of_none, divided,
		      "apply divides the transmission, and reduce.normalise is %s; set that to "
		      "transmission or attenuation, or beam.use to record",
		      n == NORMALISE_DARK ? "dark" : "none");
	if (all_accepted(l, of_none, limits) && b->dip > 0 && b->dump >= b->dip)
		blame(l, of_none, limits, "dip %g must be above dump %g", b->dip, b->dump);
}

static unsigned bytes_of(enum frame_type type)
{
	return type == FRAME_UINT16 ? 2 : type == FRAME_UINT32 || type == FRAME_FLOAT32 ? 4 : 1;
}

static void check_frame(struct loading *l)
{
	static const char *const keys[] = { "ingest.frame.width", "ingest.frame.height",
		                            "ingest.frame.type", "ingest.frame_limit", NULL };
	const struct config_ingest *i = &l->config.ingest;
	uint64_t bytes = (uint64_t)i->width * i->height * bytes_of(i->type);

	if (!all_accepted(l, of_none, keys))
		return;
	if ((i->width == 0) != (i->height == 0))
		blame(l, of_none, keys, "width %u and height %u: give both, or neither", i->width,
		      i->height);
	if (bytes > i->frame_limit)
		blame(l, of_none, keys,
		      "%u x %u pixels are %llu bytes or more, above ingest.frame_limit, which is "
		      "%llu",
		      i->width, i->height, (unsigned long long)bytes,
		      (unsigned long long)i->frame_limit);
}

static void check_bits(struct loading *l)
{
	static const char *const keys[] = { "ingest.bits", "ingest.frame.type", NULL };
	const struct config_ingest *i = &l->config.ingest;
	unsigned most = 8 * bytes_of(i->type);

	if (!all_accepted(l, of_none, keys) || i->type == FRAME_TYPE_AUTO)
		return;
	if (i->bits > (int64_t)most)
		blame(l, of_none, keys, "%d bits do not fit ingest.frame.type: %s", (int)i->bits,
		      config_choice("ingest.frame.type", i->type));
}

static void check_curve(struct loading *l)
{
	static const char *const keys[] = { "ingest.curve.role", "ingest.curve.secret_key_file",
		                            "ingest.curve.server_key_file",
		                            "ingest.curve.allowed_keys_file", NULL };
	const struct config_ingest *i = &l->config.ingest;
	bool files = i->secret_key_file[0] || i->server_key_file[0] || i->allowed_keys_file[0];

	if (!all_accepted(l, of_none, keys))
		return;
	/* Whoever writes `none` beside the files means it; who only gives files does not. */
	if (i->curve_role == CURVE_NONE && files && !is_given(l, "ingest.curve.role"))
		blame(l, of_none, keys + 1,
		      "keys without ingest.curve.role encrypt nothing; set it to client or server, "
		      "or "
		      "to none");
	if (i->curve_role != CURVE_NONE && !i->secret_key_file[0])
		blame(l, of_none, keys,
		      "%s needs ingest.curve.secret_key_file; openbeam keygen makes a pair of keys",
		      config_choice("ingest.curve.role", i->curve_role));
	if (i->curve_role == CURVE_CLIENT && !i->server_key_file[0])
		blame(l, of_none, keys,
		      "client needs ingest.curve.server_key_file, a file with the public key of "
		      "the "
		      "server");
	if (i->curve_role == CURVE_SERVER && !i->allowed_keys_file[0])
		blame(l, of_none, keys,
		      "server needs ingest.curve.allowed_keys_file, or every client would be let "
		      "in; "
		      "write the public key of each client there, one a line (openbeam keygen "
		      "prints "
		      "it)");
}

static void check_file_size(struct loading *l, unsigned sink)
{
	static const char *const keys[] = { ONE_SINK("file_size"), ONE_SINK("frames_per_file"),
		                            NULL };
	const struct config_sink *s = &l->config.sinks[sink];

	if (!all_accepted(l, of_sink(sink), keys))
		return;
	if (s->file_size > 0 && s->frames_per_file != CONFIG_AUTO)
		blame(l, of_sink(sink), keys,
		      "files end by file_size or by frames_per_file, not by both; leave one out");
}

static void check_compression(struct loading *l, unsigned sink)
{
	static const char *const keys[] = { ONE_SINK("compression"), ONE_SINK("format"), NULL };
	const struct config_sink *s = &l->config.sinks[sink];

	if (!all_accepted(l, of_sink(sink), keys))
		return;
	if (strcmp(s->compression, "none") != 0 && s->format != SINK_HDF5)
		blame(l, of_sink(sink), keys,
		      "%s needs format hdf5, files of format %s are not compressed", s->compression,
		      config_choice("sinks.N.format", s->format));
}

/* A key of streams that this sink, of another format, does not heed. NULL: none. Values that are
 * the defaults do no harm: the manual and --print-config have them in every sink. */
static const char *stray_stream_key(const struct config_sink *s)
{
	if (s->endpoint[0])
		return ONE_SINK("endpoint");
	if (s->attach != ATTACH_BIND)
		return ONE_SINK("attach");
	if (s->socket != STREAM_PUB)
		return ONE_SINK("socket");
	if (s->every != 1)
		return ONE_SINK("every");
	if (s->rate != 0)
		return ONE_SINK("rate");
	return s->queue != 10 ? ONE_SINK("queue") : NULL;
}

static void check_stream_keys(struct loading *l, unsigned sink)
{
	static const char *const format[] = { ONE_SINK("format"), NULL };
	static const char *const keys[] = { ONE_SINK("format"), ONE_SINK("endpoint"),
		                            ONE_SINK("attach"), ONE_SINK("socket"),
		                            ONE_SINK("every"),  ONE_SINK("rate"),
		                            ONE_SINK("queue"),  NULL };
	const struct config_sink *s = &l->config.sinks[sink];
	const char *const stray[] = { stray_stream_key(s), NULL };

	if (!all_accepted(l, of_sink(sink), keys))
		return;
	if (s->format == SINK_STREAM && !s->endpoint[0])
		blame(l, of_sink(sink), format,
		      "stream needs an endpoint to send frames on at, such as endpoint: "
		      "tcp://*:9998");
	if (s->format != SINK_STREAM && stray[0])
		blame(l, of_sink(sink), stray,
		      "only format stream has it, and this sink is %s; leave it out, or set format "
		      "to stream",
		      config_choice(ONE_SINK("format"), s->format));
}

static bool binds_at(const struct config_sink *s, const char *endpoint)
{
	const char *port = strrchr(endpoint, ':');

	return s->format == SINK_STREAM && s->attach == ATTACH_BIND &&
	       strcmp(s->endpoint, endpoint) == 0 && strcmp(port, ":*") != 0;
}

/* Whoever binds an ipc address later takes it away from the first without a word. */
static void check_stream_address(struct loading *l, unsigned sink)
{
	static const char *const keys[] = { ONE_SINK("endpoint"), ONE_SINK("attach"), NULL };
	const struct config_ingest *ingest = &l->config.ingest;
	const struct config_sink *s = &l->config.sinks[sink];

	if (!all_accepted(l, of_sink(sink), keys) || !s->endpoint[0])
		return;
	for (unsigned i = 0; i < sink; i++)
		if (binds_at(&l->config.sinks[i], s->endpoint) && binds_at(s, s->endpoint)) {
			blame(l, of_sink(sink), keys,
			      "sink %u binds %s already; give each an endpoint of its own", i,
			      s->endpoint);
			return;
		}
	for (unsigned i = 0; ingest->attach == ATTACH_BIND && i < ingest->endpoints.count; i++)
		/* One that was refused is NULL. */
		if (ingest->endpoints.at[i] && binds_at(s, ingest->endpoints.at[i])) {
			blame(l, of_sink(sink), keys,
			      "ingest.endpoints binds %s already; give the stream one of its own",
			      s->endpoint);
			return;
		}
}

void checks_run(struct loading *l)
{
	check_frame(l);
	check_bits(l);
	check_curve(l);
	check_rotation(l);
	check_normalise(l);
	check_flat_dark(l);
	check_source_type(l);
	check_window(l);
	check_average(l);
	check_histograms(l);
	for (unsigned i = 0; i < l->config.region_count; i++)
		check_region(l, i);
	check_beam(l);
	for (unsigned i = 0; i < l->config.sink_count; i++) {
		check_file_size(l, i);
		check_compression(l, i);
		check_stream_keys(l, i);
		check_stream_address(l, i);
	}
}
