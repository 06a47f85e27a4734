/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/slot_layout.h"
#include "daemon/expand.h"
#include "daemon/huge.h"
#include "daemon/packing.h"
#include "daemon/region.h"
#include "ingest/assembly.h"
#include "kernels/mean.h"
#include "kernels/pack.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE              4096u
#define PIECE_BYTES       ((size_t)512 << 20) /* the kernel registers at most 1 GiB at once */
#define SLOTS_LEAST       4u                  /* of each receiver, like all of these */
#define PAYLOADS_LEAST    2u
#define QUEUE_LEAST       1u
#define SLOTS_MOST        8192u /* of each receiver */
#define QUEUE_MOST        1000u
#define PAYLOADS_PER_HAND 2u
#define NORMALISED_HIGH   1.5

struct frame_shape shape_of_frame(const struct frame *f)
{
	return (struct frame_shape){ .width = f->width,
		                     .height = f->height,
		                     .type = f->type,
		                     .packing = f->packing,
		                     .big_endian = f->big_endian && !f->stored,
		                     .bits = f->bits,
		                     .has_no_value = f->has_no_value && !f->stored,
		                     .no_value = f->has_no_value && !f->stored ? f->no_value : 0,
		                     .stored = f->stored,
		                     .compressed = f->codec != CODEC_NONE,
		                     .port_columns = f->ports.columns,
		                     .port_rows = f->ports.rows };
}

bool shape_equal(const struct frame_shape *a, const struct frame_shape *b)
{
	return a->width == b->width && a->height == b->height && a->type == b->type &&
	       a->packing == b->packing && a->big_endian == b->big_endian && a->bits == b->bits &&
	       a->has_no_value == b->has_no_value && a->no_value == b->no_value &&
	       a->stored == b->stored && a->compressed == b->compressed &&
	       a->port_columns == b->port_columns && a->port_rows == b->port_rows;
}

bool shape_fits(const struct frame_shape *l, const struct frame_shape *f)
{
	struct frame_shape wanted = *f;

	wanted.compressed |= l->compressed;
	return shape_equal(l, &wanted);
}

static size_t round_up(size_t bytes, size_t to)
{
	return (bytes + to - 1) / to * to;
}

/* ---- the plan ---- */

static enum raw_layout raw_layout_of(const struct frame_shape *s)
{
	static const enum raw_layout rows[PIXEL_TYPE_COUNT][2] = {
		[PIXEL_UINT8] = { RAW_UINT8, RAW_UINT8 },
		[PIXEL_UINT16] = { RAW_UINT16, RAW_UINT16_BE },
		[PIXEL_UINT32] = { RAW_UINT32, RAW_UINT32_BE },
		[PIXEL_FLOAT32] = { RAW_FLOAT32, RAW_FLOAT32_BE },
	};
	static const enum raw_layout packed[PACKING_COUNT] = {
		[PACKING_MONO10P] = RAW_MONO10P, [PACKING_MONO10_PACKED] = RAW_MONO10_PACKED,
		[PACKING_MONO12P] = RAW_MONO12P, [PACKING_MONO12_PACKED] = RAW_MONO12_PACKED,
		[PACKING_MONO14P] = RAW_MONO14P, [PACKING_NIBBLES] = RAW_NIBBLES,
	};

	return s->packing == PACKING_NONE ? rows[s->type][s->big_endian] : packed[s->packing];
}

static unsigned significant_bits(const struct config *c, const struct frame_shape *s)
{
	if (c->ingest.bits != CONFIG_AUTO)
		return (unsigned)c->ingest.bits;
	return s->bits ? s->bits : 8 * pixel_bytes(s->type);
}

static double saturation_of(const struct layout_needs *n, const struct frame_shape *s)
{
	const struct config *c = n->config;

	if (c->ingest.saturation != CONFIG_AUTO)
		return (double)c->ingest.saturation;
	if (s->type == PIXEL_FLOAT32)
		return INFINITY;
	if (n->detector && n->detector->saturation)
		return (double)n->detector->saturation;
	return ldexp(1.0, (int)significant_bits(c, s)) - 1.0;
}

static struct bins bins_of(const struct config_bins *b, double auto_high)
{
	return (struct bins){ .bins = b->bins,
		              .low = b->low_auto ? 0.0 : b->low,
		              .high = b->high_auto ? auto_high : b->high };
}

static double raw_high(const struct config *c, const struct frame_shape *s)
{
	unsigned bits = s && s->type != PIXEL_FLOAT32 ? significant_bits(c, s) : 32;

	return bits > 16 ? 65536.0 : ldexp(1.0, (int)bits);
}

void layout_bins(const struct config *c, const struct frame_shape *s, struct bins *ret_raw,
                 struct bins *ret_normalised)
{
	*ret_raw = bins_of(&c->histogram.raw, raw_high(c, s));
	*ret_normalised = bins_of(&c->histogram.normalised, NORMALISED_HIGH);
}

static enum product_type reduced_type(const struct config *c, enum raw_layout raw)
{
	switch (c->reduce.type) {
	case REDUCE_UINT8:
		return PRODUCT_UINT8;
	case REDUCE_UINT16:
		return PRODUCT_UINT16;
	case REDUCE_SOURCE:
		return product_of_layout(raw);
	default:
		return PRODUCT_FLOAT32;
	}
}

static bool wants_source(const struct config *c)
{
	for (unsigned i = 0; i < c->sink_count; i++)
		if (c->sinks[i].product == PRODUCT_SOURCE && c->sinks[i].format != SINK_NULL)
			return true;
	return false;
}

static int check_shape(const struct layout_needs *n, const struct frame_shape *s, char why[320])
{
	static const enum frame_type types[PIXEL_TYPE_COUNT] = { FRAME_UINT8, FRAME_UINT16,
		                                                 FRAME_UINT32, FRAME_FLOAT32 };
	const struct config_ingest *c = &n->config->ingest;
	const struct planes *p = n->planes;

	if (p->width != 0 && (s->width != p->width || s->height != p->height)) {
		snprintf(why, 320, "frames of %u x %u pixels, but %s is %u x %u", s->width,
		         s->height, p->size_from, p->width, p->height);
		return -EINVAL;
	}
	if (c->width != 0 && (s->width != c->width || s->height != c->height)) {
		snprintf(why, 320, "frames of %u x %u pixels, but ingest.frame says %u x %u",
		         s->width, s->height, c->width, c->height);
		return -EINVAL;
	}
	if (c->type != FRAME_TYPE_AUTO && c->type != types[s->type]) {
		snprintf(why, 320, "frames of %s, but ingest.frame.type says another type",
		         pixel_name(s->type));
		return -EINVAL;
	}
	return 0;
}

bool layout_known_shape(const struct config *config, const struct planes *planes,
                        struct frame_shape *ret)
{
	static const enum pixel_type types[] = {
		[FRAME_UINT8] = PIXEL_UINT8,
		[FRAME_UINT16] = PIXEL_UINT16,
		[FRAME_UINT32] = PIXEL_UINT32,
		[FRAME_FLOAT32] = PIXEL_FLOAT32,
	};
	const struct config_ingest *c = &config->ingest;
	uint32_t width = c->width ? c->width : planes->width;
	uint32_t height = c->height ? c->height : planes->height;

	if (width == 0 || height == 0 || c->type == FRAME_TYPE_AUTO ||
	    strcmp(c->pixel_format, "auto") != 0)
		return false;
	*ret = (struct frame_shape){ .width = width, .height = height, .type = types[c->type] };
	return true;
}

static struct reduce_plan plan_of(const struct layout_needs *n, const struct frame_shape *s,
                                  const struct region *region)
{
	const struct config *c = n->config;
	enum raw_layout raw = raw_layout_of(s);
	struct bins raw_bins, normalised_bins;

	layout_bins(c, s, &raw_bins, &normalised_bins);
	return (struct reduce_plan){
		.width = region->width,
		.height = region->height,
		.left = region->left,
		.top = region->top,
		.payload_width = s->width,
		.payload_height = s->height,
		.layout = raw,
		.attenuation = c->reduce.normalise == NORMALISE_ATTENUATION,
		.saturation = saturation_of(n, s),
		.has_no_value =
			s->has_no_value && s->type != PIXEL_FLOAT32 && s->no_value >= 0 &&
			(uint64_t)s->no_value <= UINT32_MAX >> (32 - 8 * pixel_bytes(s->type)),
		.no_value = (uint32_t)s->no_value,
		.port_columns = s->port_columns,
		.port_rows = s->port_rows,
		.source_only = c->reduce.type == REDUCE_SOURCE,
		.bin = c->reduce.bin,
		.type = reduced_type(c, raw),
		.window_low = (float)c->reduce.window_low,
		.window_high = (float)c->reduce.window_high,
		.bad_zero = c->reduce.bad_pixels == BAD_ZERO,
		.bad_median = c->reduce.bad_pixels == BAD_MEDIAN,
		.keep_source = wants_source(c) || c->reduce.average > 1,
		.averaged = c->reduce.average > 1,
		.raw_bins = raw_bins,
		.normalised_bins = normalised_bins,
		.batch = c->daemon.batch,
		.cpu = n->cpu,
	};
}

/* The named regions as the pass counts pixels: from the corner of what is kept. */
static int place_regions(struct reduce_plan *p, const struct config *c, const struct region *kept,
                         char why[320])
{
	for (unsigned i = 0; i < c->region_count; i++) {
		const struct config_region *r = &c->regions[i];

		if (r->x < kept->left || r->y < kept->top ||
		    (uint64_t)r->x + r->width > (uint64_t)kept->left + kept->width ||
		    (uint64_t)r->y + r->height > (uint64_t)kept->top + kept->height) {
			snprintf(why, 320,
			         "regions.%u (%s): columns %u to %llu and rows %u to %llu leave "
			         "what "
			         "is kept of the frame: columns %u to %llu, rows %u to %llu",
			         i, r->name, r->x, (unsigned long long)r->x + r->width - 1, r->y,
			         (unsigned long long)r->y + r->height - 1, kept->left,
			         (unsigned long long)kept->left + kept->width - 1, kept->top,
			         (unsigned long long)kept->top + kept->height - 1);
			return -EINVAL;
		}
		p->regions[i] = (struct reduce_region){ r->x - kept->left, r->y - kept->top,
			                                r->width, r->height };
		for (unsigned b = 0; b < c->beam.regions.count; b++)
			if (strcmp(c->beam.regions.at[b], r->name) == 0)
				p->open_beam |= (uint32_t)1 << i;
	}
	p->region_count = c->region_count;
	p->dose = c->beam.use == BEAM_APPLY ? DOSE_APPLY : DOSE_RECORD;
	p->least_dose = (float)c->beam.dump;
	return 0;
}

/* A mask of another size, of a detector that sends a part of its pixels, is not for this frame. */
const uint8_t *layout_mask(const struct layout_needs *n, const struct frame_shape *s)
{
	const struct detector *d = n->detector;

	return d && d->width == s->width && d->height == s->height ? d->mask : NULL;
}

/* Of a frame's pixels, as they come or as they are widened to. */
static size_t largest_bytes(const struct reduce_plan *p, const struct frame_shape *s)
{
	size_t pixels = (size_t)s->width * s->height, plain = raw_layout_bytes(p->layout, pixels);
	size_t stored = pixels * stored_bytes(s->stored);

	return stored > plain ? stored : plain;
}

static size_t source_bytes(const struct reduce_plan *p)
{
	return p->keep_source
	               ? (size_t)p->width * p->height * product_bytes(product_of_layout(p->layout))
	               : 0;
}

static struct sink_geometry geometry_of(const struct reduce_plan *p, bool source)
{
	struct sink_geometry g = {
		.reduced = { .width = p->out_width, .height = p->out_height, .type = p->type },
	};

	g.reduced.bytes = (size_t)p->out_width * p->out_height * product_bytes(p->type);
	if (source)
		g.source = (struct sink_shape){ .width = p->width,
			                        .height = p->height,
			                        .type = product_of_layout(p->layout),
			                        .bytes = source_bytes(p) };
	return g;
}

/* Sinks read whole pages of it. */
static size_t packed_room(const struct config *c, enum sink_product product,
                          const struct sink_shape *s)
{
	return sinks_pack(c, product) ? round_up(pack_bound(s->bytes, product_bytes(s->type)), PAGE)
	                              : 0;
}

/* ---- the budget ---- */

static size_t slot_bytes_of(const struct layout *l)
{
	size_t counts = (size_t)l->plan.raw_bins.bins + l->plan.normalised_bins.bins;

	return round_up(l->geometry.reduced.bytes, PAGE) + round_up(source_bytes(&l->plan), PAGE) +
	       l->reduced_packed_room + l->source_packed_room +
	       round_up(l->plan.region_count * sizeof(struct region_stats) +
	                        counts * sizeof(uint32_t),
	                PAGE);
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
	return value < low ? low : value > high ? high : value;
}

/* Payloads live from reception to reduction, products until they are on disk: more of the
 * latter are needed, above all while numbers out of order wait for each other. Everybody gets
 * the least it can work with; of the rest payloads take up to a third, queues an eighth, and
 * products what remains. */
static int share_out(struct layout *l, const struct layout_needs *n, char why[320])
{
	struct layout_budget *b = &l->budget;
	uint64_t buffer = n->config->ingest.buffer, receivers = n->receivers;
	uint64_t hands = (uint64_t)PAYLOADS_PER_HAND * l->plan.hand * n->workers / receivers;

	b->frame_bytes = largest_bytes(&l->plan, &l->shape);
	b->slot_bytes = slot_bytes_of(l);
	b->sinks_bytes = sinks_memory_bytes(n->config, &l->geometry);
	uint64_t worker_bytes = 0, piece_bytes = 0;

	if (expand_needed(&l->shape)) {
		uint64_t most = buffer / 8 / n->workers / l->expanded_bytes;

		b->expanded = (unsigned)clamp(most, 1, l->plan.hand);
		l->plan.hand = b->expanded; /* the whole hand is decompressed, then reduced */
		worker_bytes = (n->workers + 1) * expand_bytes(l, b->expanded);
	}
	worker_bytes += (n->workers + 1) * packing_bytes(l);
	if (l->shape.port_columns)
		piece_bytes = assembly_open_most(buffer, b->frame_bytes) * b->frame_bytes;
	l->sums_bytes = l->plan.averaged ? (size_t)l->plan.width * l->plan.height *
	                                           mean_sum_bytes(product_of_layout(l->plan.layout))
	                                 : 0;
	/* One more message is being put together by libzmq on each endpoint. */
	uint64_t least = b->sinks_bytes + l->sums_bytes + worker_bytes + piece_bytes +
	                 l->gain_bytes +
	                 receivers * ((PAYLOADS_LEAST + QUEUE_LEAST + 1) * b->frame_bytes +
	                              SLOTS_LEAST * b->slot_bytes);
	if (least > buffer) {
		snprintf(why, 320,
		         "ingest.buffer of %llu bytes is too small for frames of %zu bytes and "
		         "products "
		         "of %zu: set it to at least %llu",
		         (unsigned long long)buffer, b->frame_bytes, b->slot_bytes,
		         (unsigned long long)least);
		return -EINVAL;
	}
	uint64_t share = (buffer - least) / receivers;
	uint64_t payloads = clamp(share / 3 / b->frame_bytes, 0, clamp(hands, 2, SLOTS_MOST));
	uint64_t queue = clamp(share / 8 / b->frame_bytes, 0, QUEUE_MOST - QUEUE_LEAST);
	uint64_t slots = (share - (payloads + queue) * b->frame_bytes) / b->slot_bytes;

	b->payloads = (unsigned)(PAYLOADS_LEAST + payloads);
	b->queue_messages = (int)(QUEUE_LEAST + queue);
	l->slots_per_receiver = (unsigned)clamp(SLOTS_LEAST + slots, SLOTS_LEAST, SLOTS_MOST);
	l->slot_count = l->slots_per_receiver * n->receivers;
	b->slots = l->slot_count;
	b->total_bytes =
		least + receivers * ((payloads + queue) * b->frame_bytes +
	                             (l->slots_per_receiver - SLOTS_LEAST) * b->slot_bytes);
	return 0;
}

int layout_plan(struct layout *l, const struct layout_needs *needs, const struct frame_shape *shape,
                char why[320])
{
	struct region region;
	int err;

	*l = (struct layout){ .shape = *shape, .workers = needs->workers };
	err = check_shape(needs, shape, why);
	if (err == 0)
		err = region_of(&needs->config->reduce, shape->width, shape->height, &region, why);
	if (err < 0)
		return err;
	l->plan = plan_of(needs, shape, &region);
	err = place_regions(&l->plan, needs->config, &region, why);
	if (err < 0)
		return err;
	if (!reduce_plan_init(&l->plan)) {
		snprintf(why, 320, "%u x %u pixels leave nothing after reduce.bin %u", region.width,
		         region.height, l->plan.bin);
		return -EINVAL;
	}
	l->bits = significant_bits(needs->config, shape);
	l->subtracts = needs->config->reduce.normalise != NORMALISE_NONE;
	l->geometry = geometry_of(&l->plan, wants_source(needs->config));
	l->reduced_packed_room = packed_room(needs->config, PRODUCT_REDUCED, &l->geometry.reduced);
	l->source_packed_room = packed_room(needs->config, PRODUCT_SOURCE, &l->geometry.source);
	l->expanded_bytes = largest_bytes(&l->plan, shape);
	if (layout_mask(needs, shape))
		l->gain_bytes = (size_t)region.width * region.height * sizeof *l->plan.gain;
	return share_out(l, needs, why);
}

void layout_limit_slots(struct layout *l, unsigned slots)
{
	l->slots_per_receiver = l->slot_count = l->budget.slots = slots;
}

uint64_t layout_kept_bytes(const struct layout *l)
{
	uint64_t pixels = (uint64_t)l->shape.width * l->shape.height;
	uint64_t unpacked = pixels * product_bytes(product_of_layout(l->plan.layout));

	return unpacked > l->budget.frame_bytes ? unpacked : l->budget.frame_bytes;
}

/* ---- the memory ---- */

/* Parts of messages that a frame may be in. */
static unsigned parts_of(const struct layout *l)
{
	return l->shape.port_columns ? l->shape.port_columns * l->shape.port_rows : 1;
}

/* The next `bytes` at *at; NULL where there are none. */
static void *take(char **at, size_t bytes)
{
	void *taken = bytes ? *at : NULL;

	*at += bytes;
	return taken;
}

static void place_slots(struct layout *l)
{
	for (unsigned i = 0; i < l->slot_count; i++) {
		char *at = (char *)l->memory + i * l->budget.slot_bytes;
		struct slot *s = &l->slots[i];

		s->home = i / l->slots_per_receiver;
		s->reduced = take(&at, round_up(l->geometry.reduced.bytes, PAGE));
		s->source = take(&at, round_up(source_bytes(&l->plan), PAGE));
		s->reduced_packed = take(&at, l->reduced_packed_room);
		s->source_packed = take(&at, l->source_packed_room);
		s->regions = take(&at, l->plan.region_count * sizeof *s->regions);
		s->raw_counts = (uint32_t *)(void *)at;
		s->normalised_counts = s->raw_counts + l->plan.raw_bins.bins;
		s->hold.room = parts_of(l);
		s->hold.parts = l->parts + (size_t)i * s->hold.room;
	}
}

static int make_pieces(struct layout *l)
{
	size_t slots = PIECE_BYTES / l->budget.slot_bytes;

	if (slots == 0)
		slots = 1;
	l->piece_count = (unsigned)((l->slot_count + slots - 1) / slots);
	l->pieces = calloc(l->piece_count, sizeof *l->pieces);
	if (!l->pieces)
		return -ENOMEM;
	for (unsigned i = 0; i < l->piece_count; i++) {
		size_t from = i * slots * l->budget.slot_bytes;
		size_t left = l->memory_bytes - from, most = slots * l->budget.slot_bytes;

		l->pieces[i].at = (char *)l->memory + from;
		l->pieces[i].bytes = left < most ? left : most;
	}
	l->geometry.memory = l->pieces;
	l->geometry.memory_count = l->piece_count;
	return 0;
}

/* One more scratch, and the sums, are the collector's. */
static int make_scratch(struct layout *l)
{
	size_t bytes = round_up(l->plan.scratch_bytes + 64, 64);

	l->pack_from = bytes;
	bytes = round_up(bytes + packing_bytes(l), 64);
	l->decompress_from = bytes;
	if (l->budget.expanded)
		bytes += expand_bytes(l, l->budget.expanded);

	l->scratch_count = l->workers + 1;
	l->scratch = calloc(l->scratch_count, sizeof *l->scratch);
	l->looks = calloc(LOOKS, sizeof *l->looks);
	if (!l->scratch || !l->looks)
		return -ENOMEM;
	if (l->sums_bytes) {
		l->sums = huge_alloc(l->sums_bytes);
		if (!l->sums)
			return -ENOMEM;
		memset(l->sums, 0, l->sums_bytes);
	}
	for (unsigned i = 0; i < l->scratch_count; i++) {
		l->scratch[i] = huge_alloc(bytes);
		if (!l->scratch[i])
			return -ENOMEM;
		memset(l->scratch[i], 0, bytes);
		if (l->budget.expanded)
			expand_init(l, l->scratch[i], l->plan.cpu);
	}
	return 0;
}

/* Mapped apart from the heap, in huge pages where the kernel gives them, and touched at once:
 * the first frames of a run must not pay for page faults. */
static int map_memory(struct layout *l)
{
	l->memory_bytes = (size_t)l->slot_count * l->budget.slot_bytes;
	l->memory = mmap(NULL, l->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	                 -1, 0);
	if (l->memory == MAP_FAILED) {
		l->memory = NULL;
		return -errno;
	}
	madvise(l->memory, l->memory_bytes, MADV_HUGEPAGE);
	for (size_t at = 0; at < l->memory_bytes; at += PAGE)
		((volatile char *)l->memory)[at] = 0;
	return 0;
}

int layout_open(struct layout *l, char why[320])
{
	int err = -ENOMEM;

	l->slots = calloc(l->slot_count, sizeof *l->slots);
	if (!l->slots)
		goto fail;
	l->parts = calloc(l->slot_count, parts_of(l) * sizeof *l->parts);
	if (!l->parts)
		goto fail;
	err = map_memory(l);
	if (err < 0)
		goto fail;
	place_slots(l);
	err = make_pieces(l);
	if (err < 0)
		goto fail;
	err = make_scratch(l);
	if (err < 0)
		goto fail;
	return 0;

fail:
	snprintf(why, 320, "cannot take %llu bytes for the buffer: %s; lower ingest.buffer",
	         (unsigned long long)l->budget.total_bytes, strerror(-err));
	layout_close(l);
	return err;
}

struct sink_pixels layout_pixels(const struct layout *l)
{
	const struct reduce_plan *p = &l->plan;

	return (struct sink_pixels){ .width = p->width,
		                     .height = p->height,
		                     .left = p->left,
		                     .top = p->top,
		                     .payload_width = l->shape.width,
		                     .payload_height = l->shape.height,
		                     .type = l->shape.type,
		                     .bits = l->bits,
		                     .saturation = p->saturation,
		                     .has_no_value = p->has_no_value,
		                     .no_value = p->no_value };
}

double layout_saturation(const struct layout *l)
{
	const struct reduce_plan *p = &l->plan;

	return p->can_saturate || product_of_layout(p->layout) == PRODUCT_FLOAT32 ? p->saturation
	                                                                          : INFINITY;
}

struct defects *layout_take_defects(const struct layout *l)
{
	for (unsigned i = 0; i < LOOKS; i++)
		/* acquire pairs with layout_put_defects(): the collector is done reading. */
		if (!atomic_exchange_explicit(&l->looks[i].taken, true, memory_order_acquire))
			return &l->looks[i].defects;
	return NULL;
}

void layout_put_defects(const struct layout *l, struct defects *d)
{
	for (unsigned i = 0; d && i < LOOKS; i++)
		if (d == &l->looks[i].defects)
			/* release pairs with layout_take_defects(). */
			atomic_store_explicit(&l->looks[i].taken, false, memory_order_release);
}

void layout_close(struct layout *l)
{
	for (unsigned i = 0; l->scratch && i < l->scratch_count; i++)
		free(l->scratch[i]);
	free(l->looks);
	free(l->sums);
	free(l->scratch);
	free(l->pieces);
	free(l->slots);
	free(l->parts);
	if (l->memory)
		munmap(l->memory, l->memory_bytes);
	*l = (struct layout){ 0 };
}
