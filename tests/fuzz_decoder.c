/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz_decoder.h"

#include "kernels/cpu.h"
#include "kernels/widen.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Say which line it was: a sanitizer's stack has no lines of inlined calls. */
#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *condition, int line)
{
	fprintf(stderr, "fuzz_decoder.c:%d: broken contract: %s\n", line, condition);
	abort();
}

static void check_text(const char *text, size_t room)
{
	CHECK(memchr(text, '\0', room));
	for (const char *s = text; *s; s++)
		CHECK(*s >= ' ' && *s <= '~');
}

static volatile unsigned char seen; /* by check_bytes(); volatile: so that it does read */

/* Read all of it, so that a sanitizer sees what is not there. */
static void check_bytes(const void *data, size_t bytes)
{
	const unsigned char *at = data;
	unsigned char all = 0;

	for (size_t i = 0; i < bytes; i++)
		all ^= at[i];
	seen = all;
}

static void check_start(const struct decoded *d)
{
	const struct detector *detector = &d->detector;

	check_text(d->why, sizeof d->why);
	check_text(detector->description, sizeof detector->description);
	CHECK(!detector->type_known || detector->type < PIXEL_TYPE_COUNT);
	CHECK(isfinite(detector->exposure_s) && detector->exposure_s >= 0);
	CHECK(isfinite(detector->period_s) && detector->period_s >= 0);
	if (!detector->mask)
		return;
	CHECK(detector->width > 0 && detector->height > 0);
	check_bytes(detector->mask, (size_t)detector->width * detector->height);
}

/* Of a frame or a piece, without its length. */
static void check_form(const struct frame *f)
{
	uint64_t plain = 0, expanded = 0;

	CHECK(f->number != UINT64_MAX);
	CHECK(f->width > 0 && f->height > 0 && f->bytes > 0);
	CHECK(f->type < PIXEL_TYPE_COUNT && f->packing < PACKING_COUNT);
	CHECK(f->stored < STORED_TYPE_COUNT && f->codec < CODEC_COUNT);
	CHECK(packing_fits(f->packing, f->type));
	CHECK(!f->big_endian || f->packing == PACKING_NONE);
	CHECK(!f->stored || f->type == PIXEL_FLOAT32);
	CHECK(f->bits <= 32);
	CHECK(!(f->flags & ~(uint32_t)FRAME_INCOMPLETE));
	CHECK(frame_plain_bytes(f, &plain) && plain <= fuzz_frame_limit);
	CHECK(wire_bytes(f->width, f->height, f->type, f->packing, &expanded) &&
	      expanded <= fuzz_frame_limit);
}

static void check_frame(const struct frame *f)
{
	uint64_t plain = 0;

	check_form(f);
	frame_plain_bytes(f, &plain);
	CHECK(f->ports.columns == 0 && f->ports.rows == 0 && f->ports.flipped == 0);
	CHECK(f->codec != CODEC_NONE || f->bytes == plain);
	CHECK((f->codec != CODEC_BSLZ4 && f->codec != CODEC_BSZSTD) || f->codec_element == 1 ||
	      f->codec_element == 2 || f->codec_element == 4);
}

static void check_piece(const struct decoded *d)
{
	const struct frame *f = &d->frame;
	unsigned columns = f->ports.columns, rows = f->ports.rows, ports = columns * rows;
	uint64_t bytes = 0;

	check_form(f);
	CHECK(columns > 0 && rows > 0 && ports <= PORTS_MAX && d->port < ports);
	CHECK(f->width % columns == 0 && f->height % rows == 0);
	CHECK(f->codec == CODEC_NONE && !f->stored);
	CHECK(wire_bytes(f->width / columns, f->height / rows, f->type, f->packing, &bytes));
	CHECK(f->bytes == bytes);
	CHECK(ports == 64 || f->ports.flipped >> ports == 0);
}

/* The pixels are in the part that is named. */
static void check_place(const struct decoded *d, const struct message *m)
{
	const struct part *part = &m->parts[d->pixel_part];
	const char *pixels = d->frame.pixels, *data;

	CHECK(d->pixel_part < m->part_count && d->pixel_part < MESSAGE_PARTS_MAX);
	data = part->data;
	CHECK(pixels >= data && pixels <= data + part->size);
	CHECK(d->frame.bytes <= (size_t)(data + part->size - pixels));
}

void fuzz_check(const struct decoded *d, const struct message *m)
{
	CHECK(d->verdict < VERDICT_COUNT);
	fuzz_verdicts[d->verdict]++;
	CHECK(!d->number_known || d->frame.number != UINT64_MAX);
	switch (d->verdict) {
	case VERDICT_REJECTED:
		CHECK(d->reason <= REJECT_ENCODING && d->why[0]);
		check_text(d->why, sizeof d->why);
		return;
	case VERDICT_START:
		check_start(d);
		return;
	case VERDICT_DUMMY:
		CHECK(d->frame.number != UINT64_MAX);
		return;
	case VERDICT_FRAME:
		check_frame(&d->frame);
		break;
	case VERDICT_PIECE:
		check_piece(d);
		break;
	default:
		return;
	}
	if (!d->lease)
		check_place(d, m);
	check_bytes(d->frame.pixels, d->frame.bytes);
}

/* ---- as the worker ---- */

static const struct decompress *decompressor(void)
{
	static struct decompress d;
	static void *scratch;

	if (!scratch) {
		scratch = aligned_alloc(64, decompress_scratch_bytes());
		if (!scratch)
			abort();
		decompress_init(&d, scratch, cpu_detect());
		CHECK(d.zstd);
	}
	return &d;
}

void fuzz_expand(const struct frame *f)
{
	size_t pixels = (size_t)f->width * f->height;
	uint64_t plain = 0, all = 0;
	const char *why = NULL;
	const void *from = f->pixels;
	char *out, *at;

	if (f->codec == CODEC_NONE && !f->stored)
		return;
	frame_plain_bytes(f, &plain);
	wire_bytes(f->width, f->height, f->type, f->packing, &all);
	out = malloc(plain > all ? plain : all);
	if (!out)
		abort();
	at = plain < all ? out + (all - plain) : out;
	if (f->codec != CODEC_NONE) {
		why = decompress(decompressor(), f->codec, f->codec_element, at, plain, f->pixels,
		                 f->bytes);
		from = at;
		fuzz_expanded += !why;
		fuzz_damaged += why != NULL;
	}
	if (why)
		CHECK(why[0]);
	else if (f->stored)
		widen(out, from, f->stored, f->big_endian,
		      f->has_no_value ? f->no_value : WIDEN_NO_VALUE, pixels);
	if (!why)
		check_bytes(out, all);
	free(out);
}

/* ---- the decoders ---- */

static struct decoder *open_decoder(const struct protocol *p, const struct fuzz_config *config)
{
	static char automatic[] = "auto";
	struct config_ingest c = {
		.channel = config->channel,
		.pixel_format = automatic,
		.width = config->width,
		.height = config->height,
		.frame_limit = fuzz_frame_limit,
	};
	struct decoder *d = NULL;
	char why[160];

	if (p->open(&d, &c, why) != 0)
		abort();
	return d;
}

void fuzz_decoder(const char *protocol, const struct fuzz_config *configs, unsigned count,
                  const uint8_t *data, size_t size)
{
	static struct message m;
	const struct protocol *p = protocol_find(protocol);
	struct fuzz_reader r;
	const struct fuzz_config *config = &configs[fuzz_begin(&r, data, size) % count];
	struct decoder *d = open_decoder(p, config);
	bool any = false;

	for (unsigned i = 0; i < FUZZ_MESSAGES_MAX && fuzz_next_message(&r, &m); i++) {
		struct decoded ret;

		memset(&ret, 0xa5, sizeof ret);
		p->decode(d, &m, &ret);
		CHECK(!ret.lease);
		CHECK((ret.verdict == VERDICT_PIECE) <= p->in_pieces);
		fuzz_check(&ret, &m);
		if (ret.verdict == VERDICT_FRAME) {
			any = true;
			fuzz_expand(&ret.frame);
		}
		/* Passed over for another dataset, though none is named and none came. */
		if (strcmp(protocol, "odin-live") == 0 && !config->channel[0] && !any)
			CHECK(ret.verdict != VERDICT_NOTHING);
		fuzz_free_message(&m);
		if (p->tend)
			p->tend(d);
	}
	p->close(d);
}
