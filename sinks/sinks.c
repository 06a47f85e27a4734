/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/sinks_io.h"
#include "sinks/sinks_state.h"
#include "sinks/stream.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The fan-out: every frame goes to each lane that wants it, and its pixels are released when the
 * last lane lets go. All state is of the one thread that collects frames. */

#define SAYS_A_SECOND 5
#define WAIT_NS       20000000u
#define POLL_MAX_NS   1000000000u
#define REAP_ROUNDS   64

void sinks_say_rest(struct sinks *s)
{
	char counted[96];

	if (!s->unsaid)
		return;
	snprintf(counted, sizeof counted, "%u further sentences left out", s->unsaid);
	s->unsaid = 0;
	s->callbacks.say(s->callbacks.user, SINK_WARNING, counted);
}

static void start_second(struct sinks *s, uint64_t second)
{
	if (second == s->say_second)
		return;
	sinks_say_rest(s);
	s->said = 0;
	s->say_second = second;
}

void sinks_say(void *user, enum sink_say level, const char *text)
{
	struct sinks *s = user;

	start_second(s, writer_clock_ns(CLOCK_MONOTONIC) / 1000000000u);
	if (s->said++ < SAYS_A_SECOND)
		s->callbacks.say(s->callbacks.user, level, text);
	else
		s->unsaid++;
}

/* Holds. */

static struct frame_hold *hold_new(struct sinks *s)
{
	struct frame_hold *h;

	if (!s->free_holds) {
		struct hold_slab *slab = calloc(1, sizeof *slab);

		if (!slab)
			return NULL;
		slab->next = s->slabs;
		s->slabs = slab;
		for (unsigned i = 0; i < SLAB_HOLDS; i++) {
			slab->holds[i].next = s->free_holds;
			s->free_holds = &slab->holds[i];
		}
	}
	h = s->free_holds;
	s->free_holds = h->next;
	return h;
}

static void release(void *user, struct frame_hold *h)
{
	struct sinks *s = user;
	void *owner = h->owner;

	if (--h->users > 0)
		return;
	h->next = s->free_holds;
	s->free_holds = h;
	s->busy--;
	s->callbacks.released(s->callbacks.user, owner);
}

static void settled(void *user, const struct lane *l, uint64_t number, enum frame_state state,
                    unsigned reason, bool revoked)
{
	struct sinks *s = user;

	if (l->primary)
		s->callbacks.settled(s->callbacks.user, number, state, reason, revoked);
}

static void landed(void *user, const struct lane *l, const struct sink_times *times)
{
	struct sinks *s = user;

	if (l->primary && s->callbacks.landed)
		s->callbacks.landed(s->callbacks.user, times);
}

static void lasting(void *user, const struct lane *l, const struct sink_times *times)
{
	struct sinks *s = user;

	if (l->primary && s->callbacks.lasting)
		s->callbacks.lasting(s->callbacks.user, times);
}

static void durable(void *user, const struct lane *l, uint64_t frames)
{
	struct sinks *s = user;

	if (l->primary)
		s->callbacks.durable(s->callbacks.user, frames);
}

/* Opening. */

static bool keeps_pixels(const struct config_sink *c)
{
	const struct format *f = format_find(c->format);

	return f && f->suffix;
}

static unsigned find_primary(const struct config *c)
{
	for (unsigned i = 0; i < c->sink_count; i++)
		if (keeps_pixels(&c->sinks[i]))
			return i;
	return 0;
}

/* Only where files will be: a further null or stream sink has none. */
static bool needs_directory(const struct sinks *s, unsigned i)
{
	return i == s->primary || keeps_pixels(&s->config->sinks[i]);
}

static unsigned add_parent(struct sinks *s, const char *path, int directory)
{
	for (unsigned i = 0; i < s->parent_count; i++)
		if (folder_is_same(s->parents[i].directory, directory))
			return i;
	s->parents[s->parent_count] =
		(struct folder_parent){ .path = path, .directory = directory, .series = -1 };
	return s->parent_count++;
}

static int refuse_same_names(const struct sinks *s, unsigned i, char why[256])
{
	for (unsigned k = 0; k < i; k++) {
		if (!keeps_pixels(&s->config->sinks[k]) || !keeps_pixels(&s->config->sinks[i]) ||
		    s->parent_of[k] != s->parent_of[i] ||
		    s->config->sinks[k].format != s->config->sinks[i].format)
			continue;
		snprintf(why, 256,
		         "%.120s: sinks %u and %u would both write %s files there: give each its "
		         "own "
		         "directory",
		         s->config->sinks[i].directory, k, i, s->lanes[i].format->name);
		return -EEXIST;
	}
	return 0;
}

static int open_lane(struct sinks *s, unsigned i, char why[256])
{
	const struct config_sink *c = &s->config->sinks[i];
	int directory = -1, err;
	bool direct = false;

	if (!sink_format_built(c->format)) {
		snprintf(why, 256, "sink %u: its format is not part of this version", i);
		return -EINVAL;
	}
	if (needs_directory(s, i)) {
		err = folder_prove(writer_disk(s->writer), c->directory, c->direct, &directory,
		                   &direct, why);
		if (err)
			return err;
		if (why[0] && keeps_pixels(c))
			snprintf(s->direct_note, sizeof s->direct_note, "%s", why);
	}
	lane_open(&s->lanes[i], &s->host, s->writer, s->config, i, directory, direct);
	s->lane_count = i + 1;
	s->lanes[i].primary = i == s->primary;
	s->lanes[i].journalled = needs_directory(s, i);
	if (c->format == SINK_STREAM) {
		err = stream_open(&s->lanes[i].stream, c, i, s->config->ingest.name, why);
		if (err)
			return err;
	}
	if (directory < 0)
		return 0;
	s->parent_of[i] = add_parent(s, c->directory, directory);
	return refuse_same_names(s, i, why);
}

static void compose_summary(struct sinks *s)
{
	bool direct = false, pixels = false;
	const char *buffers = writer_buffers(s->writer);

	for (unsigned i = 0; i < s->lane_count; i++) {
		pixels = pixels || s->lanes[i].format->suffix;
		direct = direct || (s->lanes[i].format->suffix && s->lanes[i].direct);
	}
	snprintf(s->summary, sizeof s->summary, "%s%s%s%s%s%s%s", writer_engine(s->writer),
	         direct   ? ", O_DIRECT"
	         : pixels ? ", buffered"
	                  : "",
	         s->direct_note[0] ? " (" : "", s->direct_note, s->direct_note[0] ? ")" : "",
	         buffers[0] ? ", " : "", buffers);
	for (unsigned i = 0; i < s->lane_count; i++)
		if (s->lanes[i].stream) {
			size_t used = strlen(s->summary);

			snprintf(s->summary + used, sizeof s->summary - used, ", %s",
			         stream_summary(s->lanes[i].stream));
		}
}

int sinks_open(struct sinks **ret, const struct config *c, const struct sink_program *program,
               const struct sink_callbacks *callbacks, int wake_fd, char why[256])
{
	return sinks_open_with(ret, c, program, callbacks, wake_fd, disk_io_default(), why);
}

int sinks_open_with(struct sinks **ret, const struct config *c, const struct sink_program *program,
                    const struct sink_callbacks *callbacks, int wake_fd, const struct disk_io *io,
                    char why[256])
{
	struct sinks *s = calloc(1, sizeof *s);
	int err = -ENOMEM;

	snprintf(why, 256, "no memory for the sinks");
	if (!s)
		return err;
	s->config = c;
	s->program = *program;
	s->callbacks = *callbacks;
	s->checkpoint.fd = -1;
	s->host = (struct lane_host){ .user = s,
		                      .release = release,
		                      .settled = settled,
		                      .landed = landed,
		                      .lasting = lasting,
		                      .durable = durable,
		                      .say = sinks_say };
	s->primary = find_primary(c);
	err = writer_open(&s->writer, io, wake_fd);
	for (unsigned i = 0; i < c->sink_count && !err; i++)
		err = open_lane(s, i, why);
	if (err) {
		sinks_close(s);
		return err;
	}
	compose_summary(s);
	why[0] = '\0';
	*ret = s;
	return 0;
}

static void step_lanes(struct sinks *s)
{
	for (unsigned i = 0; i < s->lane_count; i++)
		lane_step(&s->lanes[i], s->now_ns);
	writer_submit(s->writer);
}

static bool all_lanes(const struct sinks *s, bool (*is)(const struct lane *l))
{
	for (unsigned i = 0; i < s->lane_count; i++)
		if (!is(&s->lanes[i]))
			return false;
	return true;
}

static bool any_lane_is_ready(const struct sinks *s)
{
	for (unsigned i = 0; i < s->lane_count; i++)
		if (lane_next_ns(&s->lanes[i]) == 0)
			return true;
	return false;
}

void sinks_run_until(struct sinks *s, void (*urge)(struct lane *l),
                     bool (*is)(const struct lane *l))
{
	for (;;) {
		s->now_ns = writer_clock_ns(CLOCK_MONOTONIC);
		for (unsigned i = 0; i < s->lane_count; i++)
			urge(&s->lanes[i]);
		step_lanes(s);
		if (all_lanes(s, is))
			return;
		if (any_lane_is_ready(s))
			(void)writer_reap(s->writer);
		else
			(void)writer_wait(s->writer, WAIT_NS);
	}
}

static void free_slabs(struct sinks *s)
{
	while (s->slabs) {
		struct hold_slab *next = s->slabs->next;

		free(s->slabs);
		s->slabs = next;
	}
}

void sinks_close(struct sinks *s)
{
	if (!s)
		return;
	if (s->running && writer_adopt(s->writer))
		sinks_run_until(s, lane_end, lane_is_ended);
	sinks_say_rest(s);
	for (unsigned i = 0; i < s->lane_count; i++)
		lane_close(&s->lanes[i]);
	writer_close(s->writer);
	checkpoint_close(&s->checkpoint);
	free_slabs(s);
	free(s);
}

const char *sinks_writer_summary(const struct sinks *s)
{
	return s->summary;
}

/* Laying out. */

static const struct sink_shape *shape_of(const struct config_sink *c, const struct sink_geometry *g)
{
	return c->product == PRODUCT_SOURCE ? &g->source : &g->reduced;
}

static void register_memory(struct sinks *s, const struct sink_geometry *g)
{
	unsigned count = 0;
	struct writer_memory *all = calloc(g->memory_count + s->lane_count, sizeof *all);

	if (!all) /* only slower */
		return;
	for (unsigned i = 0; i < s->lane_count; i++) {
		const struct staging *staging = &s->lanes[i].staging;

		if (staging->memory)
			all[count++] = (struct writer_memory){ .at = staging->memory,
				                               .bytes = staging->count *
				                                        staging->block_bytes };
	}
	for (unsigned i = 0; i < g->memory_count; i++)
		all[count++] = (struct writer_memory){ .at = g->memory[i].at,
			                               .bytes = g->memory[i].bytes };
	writer_register(s->writer, all, count);
	free(all);
}

uint64_t sinks_memory_bytes(const struct config *c, const struct sink_geometry *g)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < c->sink_count; i++)
		bytes += lane_memory_bytes(c, i, shape_of(&c->sinks[i], g)) +
		         (uint64_t)(c->reduce.average - 1) *
		                 (sizeof(struct datafile_frame) +
		                  (uint64_t)c->region_count * JOURNAL_REGION_BYTES);
	return bytes;
}

int sinks_lay_out(struct sinks *s, const struct sink_geometry *g)
{
	assert(!s->running);
	writer_register(s->writer, NULL, 0);
	if (g->reduced.bytes == 0) {
		s->laid_out = false;
		return 0;
	}
	for (unsigned i = 0; i < s->lane_count; i++) {
		int err = lane_lay_out(&s->lanes[i], shape_of(s->lanes[i].config, g));

		if (err)
			return err;
	}
	s->geometry = *g;
	s->geometry.memory = NULL;
	s->geometry.memory_count = 0;
	register_memory(s, g);
	compose_summary(s);
	s->laid_out = true;
	return 0;
}

const char *sinks_series_path(const struct sinks *s)
{
	return s->path;
}

uint32_t sinks_series_number(const struct sinks *s)
{
	return s->number;
}

static void encode_regions(unsigned char *ret, const struct region_stats *regions, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		journal_encode_region(ret + i * JOURNAL_REGION_BYTES, &regions[i]);
}

static void fill_record(struct journal_record *r, const struct sink_frame *f)
{
	const struct reduction *d = f->reduction;

	*r = (struct journal_record){ .number = f->number,
		                      .state = FRAME_WRITTEN,
		                      .flags = f->flags,
		                      .file = JOURNAL_NO_FILE,
		                      .averaged = f->averaged,
		                      .crc32c = d->reduced_crc32c,
		                      .timestamp_ns = f->timestamp_ns,
		                      .received_ns = f->received_ns,
		                      .rotation = f->rotation,
		                      .min = d->normalised.min,
		                      .max = d->normalised.max,
		                      .mean = d->normalised.mean,
		                      .std = d->normalised.std,
		                      .raw_min = d->raw.min,
		                      .raw_max = d->raw.max,
		                      .raw_mean = d->raw.mean,
		                      .raw_std = d->raw.std,
		                      .good = d->good,
		                      .bad = d->bad,
		                      .saturated = d->saturated,
		                      .clipped = d->clipped,
		                      .repeat = 1,
		                      .dose = d->dose,
		                      .calibration = f->calibration };
	memcpy(r->raw_percentiles, d->raw_percentiles, sizeof r->raw_percentiles);
	memcpy(r->percentiles, d->percentiles, sizeof r->percentiles);
}

static void put_without_memory(struct sinks *s, const struct sink_frame *f)
{
	sinks_say(s, SINK_ERROR, "no memory to take a frame: it is dropped");
	sinks_lose(s, f->number, FRAME_DROPPED, DROPPED_WRITE, f->flags, f->received_ns);
	s->callbacks.settled(s->callbacks.user, f->number, FRAME_DROPPED, DROPPED_WRITE, false);
	s->callbacks.released(s->callbacks.user, f->owner);
}

static bool takes_source(const struct lane *l)
{
	return l->config->product == PRODUCT_SOURCE;
}

static void put_pixels(struct lane *l, const struct journal_record *r, const struct sink_frame *f,
                       struct frame_hold *h)
{
	bool source = takes_source(l);

	if (l->plan.packed)
		lane_put(l, r, &f->times, source ? f->source_packed : f->reduced_packed,
		         source ? f->source_packed_bytes : f->reduced_packed_bytes, h);
	else
		lane_put(l, r, &f->times, source ? f->source : f->reduced, l->shape.bytes, h);
}

static void note_number(struct sinks *s, uint64_t number)
{
	s->newest = number > s->newest ? number : s->newest;
}

/* Every lane takes the frame; with `join`, those of reduced frames its record only. */
static void put(struct sinks *s, const struct sink_frame *f, bool join)
{
	unsigned char regions[CONFIG_REGIONS_MAX * JOURNAL_REGION_BYTES];
	struct frame_hold *h = hold_new(s);
	struct journal_record r;

	if (!h) {
		put_without_memory(s, f);
		return;
	}
	note_number(s, f->number);
	s->put_frames++;
	h->owner = f->owner;
	h->users = 1; /* this call */
	for (unsigned i = 0; i < s->lane_count; i++)
		h->users += !join || takes_source(&s->lanes[i]);
	s->busy++;
	fill_record(&r, f);
	if (s->config->region_count && f->regions) {
		encode_regions(regions, f->regions, s->config->region_count);
		r.regions = regions;
	}
	for (unsigned i = 0; i < s->lane_count; i++) {
		bool source = takes_source(&s->lanes[i]);

		r.crc32c = source ? f->reduction->source_crc32c : f->reduction->reduced_crc32c;
		r.averaged = source ? 1 : f->averaged;
		if (join && !source)
			lane_join(&s->lanes[i], &r, &f->times);
		else
			put_pixels(&s->lanes[i], &r, f, h);
	}
	step_lanes(s);
	release(s, h);
}

void sinks_join(struct sinks *s, const struct sink_frame *f)
{
	put(s, f, true);
}

void sinks_put(struct sinks *s, const struct sink_frame *f)
{
	put(s, f, false);
}

void sinks_lose(struct sinks *s, uint64_t number, enum frame_state state, unsigned reason,
                uint32_t flags, uint64_t received_ns)
{
	struct loss loss = { .number = number,
		             .received_ns = received_ns,
		             .flags = flags,
		             .state = (uint8_t)state,
		             .reason = (uint8_t)reason };

	note_number(s, number);
	for (unsigned i = 0; i < s->lane_count; i++)
		lane_lose(&s->lanes[i], &loss);
}

static void step_checkpoint(struct sinks *s)
{
	char text[256];
	int err = checkpoint_step(&s->checkpoint, s->now_ns, s->put_frames, s->newest);

	if (!err)
		return;
	snprintf(text, sizeof text,
	         "%.120s/" CHECKPOINT_NAME ": %s: after a crash there would be no histogram.csv",
	         s->path, strerror(-err));
	sinks_say(s, SINK_WARNING, text);
}

uint64_t sinks_poll(struct sinks *s, uint64_t now_ns)
{
	uint64_t next = now_ns + POLL_MAX_NS, at;
	unsigned rounds = 0, finished;

	s->now_ns = now_ns;
	start_second(s, now_ns / 1000000000u);
	step_checkpoint(s);
	do {
		finished = writer_reap(s->writer);
		step_lanes(s);
	} while (finished && ++rounds < REAP_ROUNDS && !writer_blocks(s->writer));
	at = writer_next_ns(s->writer);
	next = at < next ? at : next;
	at = checkpoint_next_ns(&s->checkpoint);
	next = at < next ? at : next;
	for (unsigned i = 0; i < s->lane_count; i++) {
		at = lane_next_ns(&s->lanes[i]);
		next = at < next ? at : next;
	}
	if (finished && rounds == REAP_ROUNDS)
		return now_ns;
	return next > now_ns ? next : now_ns;
}

uint64_t sinks_busy(const struct sinks *s)
{
	return s->busy;
}

void sinks_drain(struct sinks *s)
{
	sinks_run_until(s, lane_drain, lane_is_drained);
	for (unsigned i = 0; i < s->lane_count; i++)
		s->lanes[i].draining = false;
}

void sinks_figures(const struct sinks *s, struct sink_figures *ret)
{
	struct writer_figures f;

	writer_figures(s->writer, &f);
	*ret = (struct sink_figures){ .written_bytes = f.written_bytes,
		                      .writes = f.writes,
		                      .syncs = f.syncs,
		                      .errors = f.errors,
		                      .write_errors = f.write_errors,
		                      .sync_errors = f.sync_errors,
		                      .write_ns_max = f.write_ns_max,
		                      .write_ns = f.write_ns };
	memcpy(ret->write_times, f.write_times, sizeof ret->write_times);
	memcpy(ret->each, f.each, sizeof ret->each);
}

void sinks_longest(struct sinks *s, struct sink_longest *ret)
{
	writer_longest(s->writer, &ret->write_ns, &ret->sync_ns);
	ret->under_way = writer_busy(s->writer);
}

bool sinks_pack(const struct config *c, enum sink_product product)
{
	for (unsigned i = 0; i < c->sink_count; i++) {
		const struct config_sink *s = &c->sinks[i];

		if (s->format == SINK_HDF5 && s->product == product &&
		    strcmp(s->compression, "bslz4") == 0)
			return true;
	}
	return false;
}

bool sink_format_built(enum sink_format f)
{
	return format_find(f) != NULL;
}

const struct format *const formats[] = { &format_tiff,   &format_hdf5, &format_raw,
	                                 &format_stream, &format_null, NULL };

const struct sink_row sink_rows[] = {
	{ "tiff", "multi-page TIFF, ImageJ-readable; BigTIFF when more than 4 GiB was asked for" },
	{ "hdf5", "NeXus (NXtomo): data files and a master with all of them as one stack" },
	{ "raw", "frames back to back, little-endian, no header" },
	{ "stream",
	  "sends frames on over ZeroMQ as array-1.0, PUB or PUSH, every Nth or N a second" },
	{ "null", "counts frames, keeps no pixels" },
	{ 0 },
};
