/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/send_options.h"

#include "bench/arguments.h"
#include "bench/send_reading.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define CHANNEL_MAX 100 /* characters */

static int refuse(const struct reading *r, const char *name, const char *value,
                  const char *accepted)
{
	snprintf(r->why, WHY_BYTES, "--%s %s: %s", name, value, accepted);
	return -EINVAL;
}

static int read_choice(const struct reading *r, const char *name, const char *value, const char *no,
                       const char *yes, bool *ret)
{
	char accepted[64];

	if (strcmp(value, no) == 0)
		*ret = false;
	else if (strcmp(value, yes) == 0)
		*ret = true;
	else {
		snprintf(accepted, sizeof accepted, "must be %s or %s", no, yes);
		return refuse(r, name, value, accepted);
	}
	return 0;
}

static int read_chance(const struct reading *r, const char *name, const char *value, double *ret)
{
	if (argument_double(value, 0.0, 1.0, ret))
		return 0;
	return refuse(r, name, value, "must be a chance from 0 to 1, such as 0.02");
}

static int read_number(const struct reading *r, const char *name, const char *value, uint64_t low,
                       uint64_t high, uint64_t *ret)
{
	char accepted[96];

	if (argument_u64(value, low, high, ret))
		return 0;
	snprintf(accepted, sizeof accepted, "must be a whole number from %llu to %llu",
	         (unsigned long long)low, (unsigned long long)high);
	return refuse(r, name, value, accepted);
}

static int read_amount(const struct reading *r, const char *name, const char *value, double high,
                       double *ret)
{
	char accepted[64];

	if (argument_double(value, 0.0, high, ret))
		return 0;
	snprintf(accepted, sizeof accepted, "must be a number from 0 to %.0f", high);
	return refuse(r, name, value, accepted);
}

static int read_endpoint(const struct reading *r, const char *value)
{
	struct send_options *o = r->o;

	if (!strstr(value, "://"))
		return refuse(r, "to", value,
		              "is no endpoint; write tcp://HOST:PORT or ipc://PATH");
	if (o->endpoint_count == SEND_ENDPOINTS_MAX)
		return refuse(r, "to", value, "is one endpoint too many; 64 can be given");
	o->endpoints[o->endpoint_count++] = value;
	return 0;
}

static int read_protocol(const struct reading *r, const char *value)
{
	r->o->encoder = encoder_find(value);
	if (!r->o->encoder)
		return refuse(r, "protocol", value, "unknown; --help lists the protocols");
	r->o->shm.asked = !r->o->encoder->frame;
	return 0;
}

static int read_compression(const struct reading *r, const char *value)
{
	for (unsigned c = 0; c < COMPRESSION_COUNT; c++)
		if (strcmp(value, compression_name((enum compression)c)) == 0) {
			r->o->compression = (enum compression)c;
			return 0;
		}
	return refuse(r, "compression", value, "must be none, lz4, bslz4 or bszstd");
}

static int read_detail(const struct reading *r, const char *value)
{
	for (unsigned k = 0; k < DETAIL_COUNT; k++)
		if (strcmp(value, header_detail_name((enum header_detail)k)) == 0) {
			r->o->detail = (enum header_detail)k;
			return 0;
		}
	return refuse(r, "header-detail", value, "must be none, basic or all");
}

/* It goes into JSON as it is. */
static int read_channel(const struct reading *r, const char *value)
{
	size_t length = strlen(value);

	for (size_t i = 0; i < length; i++)
		if (value[i] < ' ' || value[i] > '~' || value[i] == '"' || value[i] == '\\')
			return refuse(
				r, "channel", value,
				"must be printable, without quotation marks and back slashes");
	if (length == 0 || length > CHANNEL_MAX)
		return refuse(r, "channel", value, "must have 1 to 100 characters");
	r->o->channel = value;
	return 0;
}

static int read_header(const struct reading *r, const char *value)
{
	if (header_keys_add(r->o->keys, value))
		return 0;
	return refuse(r, "header", value,
	              "must be KEY=VALUE, such as image_key=2; all of them have room for 1000 "
	              "characters");
}

static int read_ports(const struct reading *r, const char *value)
{
	if (argument_size(value, &r->o->columns, &r->o->rows) &&
	    (uint64_t)r->o->columns * r->o->rows <= SEND_ENDPOINTS_MAX)
		return 0;
	return refuse(r, "ports", value, "must be COLUMNSxROWS of at most 64 ports, such as 2x4");
}

static int read_format(const struct reading *r, const char *value)
{
	const struct pixel_format *f = pixel_format_find(value);

	if (!f)
		return refuse(r, "pixel-format", value,
		              "unknown; Mono8, Mono10, Mono12, Mono14, Mono16, Mono10p, Mono12p, "
		              "Mono14p, Mono10Packed, Mono12Packed, Mono4, uint8, uint16, "
		              "uint32 and float32 can be sent");
	r->o->format = f;
	return 0;
}

static int read_pattern(struct reading *r, const char *value)
{
	for (int k = 0; k < PATTERN_TIFF; k++)
		if (strcmp(value, pattern_name((enum pattern_kind)k)) == 0) {
			r->o->pattern = (enum pattern_kind)k;
			return 0;
		}
	return refuse(r, "pattern", value, "must be phantom, flat, dark, counter or noise");
}

static int read_profile(struct reading *r, const char *value)
{
	r->profile = send_profile_find(value);
	if (!r->profile)
		return refuse(r, "profile", value, "unknown; --help lists the profiles");
	return 0;
}

static int read_queue(const struct reading *r, const char *value)
{
	uint64_t messages;
	int err = read_number(r, "hwm", value, 1, INT_MAX, &messages);

	if (!err)
		r->o->queue_messages = (int)messages;
	return err;
}

static int read_memory(const struct reading *r, const char *value)
{
	uint64_t mib;
	int err = read_number(r, "memory", value, 1, 1u << 24, &mib);

	if (!err)
		r->o->memory_limit = mib << 20;
	return err;
}

static int read_whole(const struct reading *r, const char *name, const char *value, uint64_t low,
                      uint64_t high, unsigned *ret)
{
	uint64_t number;
	int err = read_number(r, name, value, low, high, &number);

	if (!err)
		*ret = (unsigned)number;
	return err;
}

static int read_shm_name(const struct reading *r, const char *value)
{
	if (value[0] != '/' || !value[1] || strchr(value + 1, '/') || strlen(value) > 160)
		return refuse(r, "shm-name", value, "must be /NAME, without another slash");
	r->o->shm.name = value;
	return 0;
}

static int read_release(const struct reading *r, const char *value)
{
	if (strncmp(value, "ipc://", 6) != 0 && strncmp(value, "tcp://127.0.0.1:", 16) != 0)
		return refuse(r, "release", value, "must be ipc://PATH or tcp://127.0.0.1:PORT");
	r->o->shm.release = value;
	return 0;
}

/* Options about shared memory. */
static int take_shm(struct reading *r, enum option_id id, const char *value)
{
	struct shm_options *shm = &r->o->shm;

	switch (id) {
	case OPTION_SLOTS:
		return read_whole(r, "slots", value, 2, 65536, &shm->slots);
	case OPTION_SHM_NAME:
		return read_shm_name(r, value);
	case OPTION_RELEASE:
		return read_release(r, value);
	case OPTION_SHM_WAIT:
		return read_whole(r, "shm-wait", value, 1, 3600000, &shm->wait_ms);
	default:
		shm->verify = true;
		return 0;
	}
}

/* Options about the connection and the way a run goes. */
static int take_transport(struct reading *r, enum option_id id, const char *value)
{
	struct send_options *o = r->o;

	switch (id) {
	case OPTION_TO:
		return read_endpoint(r, value);
	case OPTION_ATTACH:
		return read_choice(r, "attach", value, "connect", "bind", &o->bind);
	case OPTION_SOCKET:
		return read_choice(r, "socket", value, "push", "pub", &o->publish);
	case OPTION_HWM:
		return read_queue(r, value);
	case OPTION_WAIT:
		return read_amount(r, "wait", value, 86400, &o->wait_s);
	case OPTION_LINGER:
		return read_amount(r, "linger", value, 86400, &o->linger_s);
	case OPTION_CURVE_ROLE:
		return read_choice(r, "curve-role", value, "client", "server", &o->curve_server);
	case OPTION_CURVE_SECRET_KEY:
		o->curve_secret_key = value;
		return 0;
	case OPTION_CURVE_SERVER_KEY:
		o->curve_server_key = value;
		return 0;
	case OPTION_REPORT:
		o->report = value;
		return 0;
	case OPTION_WRITE_DARK:
		o->write_dark = value;
		return 0;
	case OPTION_WRITE_FLAT:
		o->write_flat = value;
		return 0;
	case OPTION_QUIET:
		o->quiet = true;
		return 0;
	case OPTION_VERBOSE:
		o->verbose = true;
		return 0;
	case OPTION_HELP:
		o->action = SEND_HELP;
		return 0;
	default:
		o->action = SEND_VERSION;
		return 0;
	}
}

/* Options about the protocol. */
static int take_protocol(struct reading *r, enum option_id id, const char *value)
{
	struct send_options *o = r->o;

	switch (id) {
	case OPTION_PROTOCOL:
		return read_protocol(r, value);
	case OPTION_COMPRESSION:
		return read_compression(r, value);
	case OPTION_HEADER_DETAIL:
		return read_detail(r, value);
	case OPTION_CHANNEL:
		return read_channel(r, value);
	case OPTION_SERIES:
		return read_number(r, "series", value, 0, UINT64_MAX >> 1, &o->series);
	case OPTION_REPEAT:
		return read_number(r, "repeat", value, 1, 1000000000, &o->repeat);
	case OPTION_NO_START:
		o->no_start = true;
		return 0;
	case OPTION_NO_END:
		o->no_end = true;
		return 0;
	case OPTION_EARLY_END:
		return read_number(r, "early-end", value, 1, UINT64_MAX >> 8, &o->early_end);
	case OPTION_START_TO_ALL:
		o->start_to_all = true;
		return 0;
	case OPTION_PORTS:
		return read_ports(r, value);
	case OPTION_HEADER:
		return read_header(r, value);
	case OPTION_TIMESTAMPS:
		o->timestamps = true;
		return 0;
	default:
		return read_chance(r, "lose-port", value, &o->lose_port);
	}
}

/* Options about the pixels. */
static int take_picture(struct reading *r, enum option_id id, const char *value)
{
	struct send_options *o = r->o;

	switch (id) {
	case OPTION_PROFILE:
		return read_profile(r, value);
	case OPTION_SIZE:
		if (argument_size(value, &o->width, &o->height))
			return 0;
		return refuse(r, "size", value,
		              "must be WIDTHxHEIGHT in pixels, each from 1 to 65535, such as "
		              "2560x2160");
	case OPTION_PIXEL_FORMAT:
		return read_format(r, value);
	case OPTION_BIG_ENDIAN:
		o->big_endian = true;
		return 0;
	case OPTION_PATTERN:
		return read_pattern(r, value);
	case OPTION_TIFF:
		o->files[o->file_count++] = value;
		return 0;
	case OPTION_MEMORY:
		return read_memory(r, value);
	case OPTION_REPLAY:
		o->replay = value;
		return 0;
	default:
		return read_number(r, "seed", value, 0, UINT64_MAX, &o->faults.seed);
	}
}

/* Options about numbers, time and faults. */
static int take_stream(struct reading *r, enum option_id id, const char *value)
{
	struct send_options *o = r->o;

	switch (id) {
	case OPTION_RATE:
		return read_amount(r, "rate", value, 1e6, &o->rate_hz);
	case OPTION_FRAMES:
		return read_number(r, "frames", value, 0, UINT64_MAX >> 8, &o->frames);
	case OPTION_SECONDS:
		return read_amount(r, "seconds", value, 1e8, &o->seconds);
	case OPTION_FIRST:
		return read_number(r, "first", value, 0, UINT64_MAX >> 1, &o->faults.first);
	case OPTION_STEP:
		return read_number(r, "step", value, 1, 1000000, &o->faults.step);
	case OPTION_LOSE:
		return read_chance(r, "lose", value, &o->faults.lose);
	case OPTION_DUPLICATE:
		return read_chance(r, "duplicate", value, &o->faults.duplicate);
	case OPTION_REORDER:
		return read_chance(r, "reorder", value, &o->faults.reorder);
	case OPTION_CORRUPT:
		return read_chance(r, "corrupt", value, &o->faults.corrupt);
	case OPTION_TRUNCATE:
		return read_chance(r, "truncate", value, &o->faults.truncate);
	default:
		return read_amount(r, "stall", value, 1e9, &o->stall_ms);
	}
}

/* "FRAME:N" or, with a third number allowed, "FRAME:N:FACTOR". Without N, where a default stands in
 * ret->count, that is kept, as the factor is. */
static bool parse_span(const char *value, struct mishap_span *ret, double *ret_factor)
{
	struct mishap_span span = *ret;
	char text[96], *rest = text, *part[3] = { 0 };
	unsigned count = 0;
	double factor = ret_factor ? *ret_factor : 0;

	if (strlen(value) >= sizeof text)
		return false;
	strcpy(text, value);
	while (rest && count < 3)
		part[count++] = strsep(&rest, ":");
	if (rest || (count == 3 && !ret_factor) || (count == 1 && span.count == 0))
		return false;
	if (!argument_u64(part[0], 0, UINT64_MAX >> 1, &span.first) ||
	    (count > 1 && !argument_u64(part[1], 1, 1000000, &span.count)) ||
	    (count > 2 && !argument_double(part[2], 0.0, 1000.0, &factor)))
		return false;
	*ret = span;
	if (ret_factor)
		*ret_factor = factor;
	return true;
}

static int read_span(const struct reading *r, const char *name, const char *value,
                     struct mishap_span usual, struct mishap_span *ret, double *ret_factor)
{
	*ret = usual;
	if (parse_span(value, ret, ret_factor))
		return 0;
	return refuse(r, name, value,
	              ret_factor ? "must be FRAME:N:FACTOR, as in 100:3:0.5; N is 1 to 1000000, "
	                           "FACTOR 0 to 1000"
	                         : "must be FRAME:N, as in 100:3; N is 1 to 1000000");
}

/* Options about what befalls the camera. */
static int take_mishap(struct reading *r, enum option_id id, const char *value)
{
	static const struct mishap_span none = { 0 }, three = { .count = 3 };
	struct mishap_options *m = &r->o->mishaps;

	switch (id) {
	case OPTION_DIP:
		return read_span(r, "dip", value, three, &m->dip, &m->dip_share);
	case OPTION_SATURATE:
		return read_span(r, "saturate", value, none, &m->saturate, &m->exposure);
	case OPTION_FREEZE:
		return read_span(r, "freeze", value, none, &m->freeze, NULL);
	case OPTION_NEW_HOT:
		return read_span(r, "new-hot", value, none, &m->new_hot, NULL);
	default:
		return read_span(r, "new-dead", value, none, &m->new_dead, NULL);
	}
}

static int take_option(struct reading *r, enum option_id id, const char *value)
{
	r->given[id - OPTION_TO] = true;
	if (id >= OPTION_PROTOCOL && id <= OPTION_LOSE_PORT)
		return take_protocol(r, id, value);
	if (id >= OPTION_PROFILE && id <= OPTION_REPLAY)
		return take_picture(r, id, value);
	if (id >= OPTION_RATE && id <= OPTION_STALL)
		return take_stream(r, id, value);
	if (id >= OPTION_DIP && id <= OPTION_NEW_DEAD)
		return take_mishap(r, id, value);
	if (id >= OPTION_SLOTS && id <= OPTION_VERIFY)
		return take_shm(r, id, value);
	return take_transport(r, id, value);
}

#define ROWS_MAX 80

static void getopt_table(struct option table[ROWS_MAX])
{
	unsigned n = 0;

	for (; send_option_rows[n].name; n++)
		table[n] = (struct option){ send_option_rows[n].name,
			                    send_option_rows[n].value ? required_argument
			                                              : no_argument,
			                    NULL, (int)send_option_rows[n].id };
	table[n] = (struct option){ 0 };
}

static int refuse_unread(const struct reading *r, int code, const char *text)
{
	if (code == ':')
		snprintf(r->why, WHY_BYTES, "%s needs a value; --help shows it", text);
	else
		snprintf(r->why, WHY_BYTES, "%s is not an option; --help lists them", text);
	return -EINVAL;
}

/* A word that is no option: a further file. */
static int take_word(struct reading *r, const char *word, bool after_tiff)
{
	if (after_tiff)
		return take_picture(r, OPTION_TIFF, word);
	snprintf(r->why, WHY_BYTES, "%s: an option's name is missing before it", word);
	return -EINVAL;
}

static int read_line(struct reading *r, int argc, char **argv)
{
	struct option table[ROWS_MAX];
	bool after_tiff = false;
	int code, err = 0;

	getopt_table(table);
	opterr = 0;
	optind = 0; /* glibc: begin anew */
	while (!err && (code = getopt_long(argc, argv, "-:hq", table, NULL)) != -1) {
		if (code == '?' || code == ':')
			return refuse_unread(r, code, argv[optind > 1 ? optind - 1 : 1]);
		if (code == 'h')
			code = OPTION_HELP;
		if (code == 'q')
			code = OPTION_QUIET;
		if (code == 1) {
			err = take_word(r, optarg, after_tiff);
			continue;
		}
		after_tiff = code == OPTION_TIFF;
		err = take_option(r, (enum option_id)code, optarg);
	}
	for (; !err && optind < argc; optind++) /* after "--" */
		err = take_word(r, argv[optind], after_tiff);
	return err;
}

int send_options_parse(struct send_options *ret, int argc, char **argv, char why[512])
{
	struct send_options o = {
		.bind = true,
		.wait_s = 10.0,
		.linger_s = SEND_FOR_EVER,
		.width = 2560,
		.height = 2160,
		.memory_limit = UINT64_C(512) << 20,
		.detail = DETAIL_BASIC,
		.series = 1,
		.repeat = 1,
		.columns = 1,
		.rows = 1,
		.faults = { .step = 1, .seed = 1 },
		.mishaps = { .dip_share = 0.55, .exposure = 2 },
		.shm = { .wait_ms = 5000 },
	};
	struct reading r = { .o = &o, .why = why };
	int err;

	o.files = calloc((size_t)argc + 1, sizeof *o.files);
	if (!o.files) {
		snprintf(why, WHY_BYTES, "no memory");
		return -ENOMEM;
	}
	err = read_line(&r, argc, argv);
	if (!err && o.action == SEND_STREAM)
		err = reading_check(&r);
	if (err) {
		send_options_done(&o);
		return err;
	}
	*ret = o;
	return 0;
}

void send_options_done(struct send_options *o)
{
	free(o->files);
	o->files = NULL;
}
