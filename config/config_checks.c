/* SPDX-License-Identifier: Apache-2.0 */
#include "config/loading.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

/* A check looks at values that were accepted one by one, and blames a key that somebody wrote.
 * Where one of its values was refused it is silent: the reader has that to mend first. */

#define ONE_SINK(key) OPTION_SINK "." key

static const struct given *given_of(const struct loading *l, int sink, const char *path)
{
	size_t row = (size_t)(option_find(path) - options);

	return sink < 0 ? &l->given[row] : &l->sink_given[sink][row];
}

static bool is_given(const struct loading *l, const char *path)
{
	return given_of(l, -1, path)->place.name != NULL;
}

/* Whether no value of these keys was refused. `paths` ends with NULL. */
static bool all_accepted(const struct loading *l, int sink, const char *const *paths)
{
	for (; *paths; paths++) {
		if (given_of(l, sink, *paths)->refused)
			return false;
	}
	return true;
}

/* Add a problem of several keys, ended by NULL, at the first of them that was given. */
__attribute__((format(printf, 4, 5))) static void
blame(struct loading *l, int sink, const char *const *paths, const char *sentence, ...)
{
	const char *path = paths[0];
	char key[96], text[512];
	va_list values;

	for (const char *const *p = paths; *p; p++) {
		if (given_of(l, sink, *p)->place.name) {
			path = *p;
			break;
		}
	}
	if (sink < 0)
		snprintf(key, sizeof key, "%s", path);
	else
		snprintf(key, sizeof key, "sinks.%d.%s", sink, strrchr(path, '.') + 1);
	va_start(values, sentence);
	vsnprintf(text, sizeof text, sentence, values);
	va_end(values);
	problems_add(&l->problems, &given_of(l, sink, path)->place, key, "%s", text);
}

static void check_normalise(struct loading *l)
{
	static const char *const keys[] = { "reduce.normalise", "calibration.dark",
		                            "calibration.flat", NULL };
	const struct config *c = &l->config;

	if (!all_accepted(l, -1, keys))
		return;
	/* Without calibration the default leaves counts as they are: a daemon runs as installed.
	 * Whoever asks for transmission must give a flat, or write that there is none. */
	if (c->reduce.normalise == NORMALISE_TRANSMISSION && !c->calibration.flat[0] &&
	    (c->calibration.dark[0] ||
	     (is_given(l, "reduce.normalise") && !is_given(l, "calibration.flat"))))
		blame(l, -1, keys,
		      "transmission%s needs calibration.flat; give one, or set reduce.normalise to "
		      "dark or none",
		      is_given(l, "reduce.normalise") ? "" : ", the default of reduce.normalise,");
	if (c->reduce.normalise == NORMALISE_ATTENUATION && !c->calibration.flat[0])
		blame(l, -1, keys, "attenuation needs calibration.flat");
	if (c->reduce.normalise == NORMALISE_DARK && !c->calibration.dark[0])
		blame(l, -1, keys,
		      "dark needs calibration.dark; give one, or set reduce.normalise to none");
}

static void check_rotation(struct loading *l)
{
	static const char *const keys[] = { "rotation.from_key", "rotation.start", "rotation.step",
		                            NULL };
	const struct config_rotation *r = &l->config.rotation;
	const char *key = l->config.ingest.rotation_key;

	if (!all_accepted(l, -1, keys))
		return;
	if (key[0] && (!r->start_auto || r->step != 0))
		blame(l, -1, keys,
		      "angles come from the key %s of each header, or are computed with "
		      "rotation.start and rotation.step, not both; leave one out",
		      key);
	else if (r->start_auto && r->step != 0)
		blame(l, -1, keys + 2, "%g degrees from which angle? It needs rotation.start",
		      r->step);
}

static bool has_calibration(const struct loading *l)
{
	return l->config.calibration.dark[0] || l->config.calibration.flat[0];
}

static void check_source_type(struct loading *l)
{
	static const char *const normalise[] = { "reduce.type", "reduce.normalise", NULL };
	static const char *const bin[] = { "reduce.type", "reduce.bin", NULL };
	const struct config_reduce *r = &l->config.reduce;

	if (r->type != REDUCE_SOURCE)
		return;
	if (all_accepted(l, -1, normalise) && r->normalise != NORMALISE_NONE &&
	    !(r->normalise == NORMALISE_TRANSMISSION && !has_calibration(l)))
		blame(l, -1, normalise,
		      "source keeps the pixels as they came; it needs reduce.normalise: none, "
		      "which "
		      "is %s",
		      config_choice("reduce.normalise", r->normalise));
	if (all_accepted(l, -1, bin) && r->bin != 1)
		blame(l, -1, bin,
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

	if (all_accepted(l, -1, keys) && !is_interval(r->window_low, r->window_high, UINT16_MAX))
		blame(l, -1, keys, "low %g must be below high %g", r->window_low, r->window_high);
}

static void check_average(struct loading *l)
{
	static const char *const keys[] = { "reduce.average", "reduce.type", NULL };
	const struct config_reduce *r = &l->config.reduce;

	if (all_accepted(l, -1, keys) && r->average > 1 && r->type == REDUCE_SOURCE)
		blame(l, -1, keys,
		      "the mean of %u frames is no pixel as it came, which reduce.type source asks "
		      "for: set it to float32, uint16 or uint8, or reduce.average to 1",
		      r->average);
}

static void check_bins(struct loading *l, const struct config_bins *b, const char *const *keys)
{
	double low = b->low_auto ? 0 : b->low;

	if (!all_accepted(l, -1, keys) || b->high_auto || b->bins == 0)
		return;
	if (!is_interval(low, b->high, b->bins))
		blame(l, -1, keys, "low %g must be below high %g", low, b->high);
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

	if (!all_accepted(l, -1, keys))
		return;
	if ((i->width == 0) != (i->height == 0))
		blame(l, -1, keys, "width %u and height %u: give both, or neither", i->width,
		      i->height);
	if (bytes > i->frame_limit)
		blame(l, -1, keys,
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

	if (!all_accepted(l, -1, keys) || i->type == FRAME_TYPE_AUTO)
		return;
	if (i->bits > (int64_t)most)
		blame(l, -1, keys, "%d bits do not fit ingest.frame.type: %s", (int)i->bits,
		      config_choice("ingest.frame.type", i->type));
}

static void check_curve(struct loading *l)
{
	static const char *const keys[] = { "ingest.curve.role", "ingest.curve.secret_key_file",
		                            "ingest.curve.server_key_file",
		                            "ingest.curve.allowed_keys_file", NULL };
	const struct config_ingest *i = &l->config.ingest;
	bool files = i->secret_key_file[0] || i->server_key_file[0] || i->allowed_keys_file[0];

	if (!all_accepted(l, -1, keys))
		return;
	/* Whoever writes `none` beside the files means it; who only gives files does not. */
	if (i->curve_role == CURVE_NONE && files && !is_given(l, "ingest.curve.role"))
		blame(l, -1, keys + 1,
		      "keys without ingest.curve.role encrypt nothing; set it to client or server, "
		      "or "
		      "to none");
	if (i->curve_role != CURVE_NONE && !i->secret_key_file[0])
		blame(l, -1, keys,
		      "%s needs ingest.curve.secret_key_file; openbeam keygen makes a pair of keys",
		      config_choice("ingest.curve.role", i->curve_role));
	if (i->curve_role == CURVE_CLIENT && !i->server_key_file[0])
		blame(l, -1, keys,
		      "client needs ingest.curve.server_key_file, a file with the public key of "
		      "the "
		      "server");
	if (i->curve_role == CURVE_SERVER && !i->allowed_keys_file[0])
		blame(l, -1, keys,
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

	if (!all_accepted(l, (int)sink, keys))
		return;
	if (s->file_size > 0 && s->frames_per_file != CONFIG_AUTO)
		blame(l, (int)sink, keys,
		      "files end by file_size or by frames_per_file, not by both; leave one out");
}

static void check_compression(struct loading *l, unsigned sink)
{
	static const char *const keys[] = { ONE_SINK("compression"), ONE_SINK("format"), NULL };
	const struct config_sink *s = &l->config.sinks[sink];

	if (!all_accepted(l, (int)sink, keys))
		return;
	if (strcmp(s->compression, "none") != 0 && s->format != SINK_HDF5)
		blame(l, (int)sink, keys,
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

	if (!all_accepted(l, (int)sink, keys))
		return;
	if (s->format == SINK_STREAM && !s->endpoint[0])
		blame(l, (int)sink, format,
		      "stream needs an endpoint to send frames on at, such as endpoint: "
		      "tcp://*:9998");
	if (s->format != SINK_STREAM && stray[0])
		blame(l, (int)sink, stray,
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

	if (!all_accepted(l, (int)sink, keys) || !s->endpoint[0])
		return;
	for (unsigned i = 0; i < sink; i++)
		if (binds_at(&l->config.sinks[i], s->endpoint) && binds_at(s, s->endpoint)) {
			blame(l, (int)sink, keys,
			      "sink %u binds %s already; give each an endpoint of its own", i,
			      s->endpoint);
			return;
		}
	for (unsigned i = 0; ingest->attach == ATTACH_BIND && i < ingest->endpoints.count; i++)
		if (binds_at(s, ingest->endpoints.at[i])) {
			blame(l, (int)sink, keys,
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
	check_source_type(l);
	check_window(l);
	check_average(l);
	check_histograms(l);
	for (unsigned i = 0; i < l->config.sink_count; i++) {
		check_file_size(l, i);
		check_compression(l, i);
		check_stream_keys(l, i);
		check_stream_address(l, i);
	}
}
