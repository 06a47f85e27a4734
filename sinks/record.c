/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/record.h"

#include "kernels/cpu.h"
#include "kernels/crc32c.h"
#include "sinks/little_endian.h"

#include <math.h>
#include <string.h>

#define RECORD_KIND_FRAME 1
#define REGIONS_IN_HEADER 508
#define REGIONS_IN_RECORD 252

enum {
	BIT_WINDOW = 1,
	BIT_DISPLAY = 2,
	BIT_SOURCE = 4,
	BIT_PRIMARY = 8,
	BIT_FIRST = 16,
	BIT_PROTOCOL = 32,
	BIT_ROTATION = 64,
	BIT_QUALITY = 128
};

static const char magic[8] = { 'O', 'B', 'J', 'R', 'N', 'L', '0', '1' };

static uint32_t checksum(const unsigned char *bytes, size_t n)
{
	static crc32c_fn *crc32c;

	if (!crc32c)
		crc32c = crc32c_for(cpu_detect());
	return crc32c(0, bytes, n);
}

static void seal(unsigned char *bytes, size_t n)
{
	put32(bytes + n - 4, checksum(bytes, n - 4));
}

static bool is_sealed(const unsigned char *bytes, size_t n)
{
	return get32(bytes + n - 4) == checksum(bytes, n - 4);
}

static bool is_plain(unsigned char c)
{
	return c > 0x20 && c != 0x7f && !strchr(",\"'/", c);
}

void journal_region_name(char ret[JOURNAL_NAME_BYTES], const char *name)
{
	size_t n = 0;

	memset(ret, 0, JOURNAL_NAME_BYTES);
	for (; name[n] && n < JOURNAL_NAME_BYTES - 1; n++)
		ret[n] = is_plain((unsigned char)name[n]) ? name[n] : '_';
	if (n == 0 || ret[0] == '.')
		ret[0] = '_';
}

static void encode_place(unsigned char *at, const struct journal_region *r)
{
	memcpy(at, r->name, sizeof r->name);
	put32(at + 64, r->x);
	put32(at + 68, r->y);
	put32(at + 72, r->width);
	put32(at + 76, r->height);
}

static bool decode_place(struct journal_region *ret, const unsigned char *at)
{
	char plain[JOURNAL_NAME_BYTES];

	memcpy(ret->name, at, sizeof ret->name);
	ret->x = get32(at + 64);
	ret->y = get32(at + 68);
	ret->width = get32(at + 72);
	ret->height = get32(at + 76);
	if (ret->name[sizeof ret->name - 1])
		return false;
	journal_region_name(plain, ret->name);
	return memcmp(plain, ret->name, sizeof plain) == 0;
}

size_t journal_encode_header(unsigned char ret[JOURNAL_HEADER_MAX], const struct journal_header *h)
{
	size_t n = journal_header_bytes(h->region_count);

	memset(ret, 0, n);
	memcpy(ret, magic, sizeof magic);
	put32(ret + 8, (uint32_t)n);
	put32(ret + 12, (uint32_t)journal_record_bytes(h->region_count));
	put32(ret + 16, h->series_number);
	put32(ret + 20, h->width);
	put32(ret + 24, h->height);
	put32(ret + 28, h->type);
	put64(ret + 32, h->frame_bytes);
	put64(ret + 40, h->head_bytes);
	put64(ret + 48, h->started_ns);
	put64(ret + 56, h->step);
	put32(ret + 64, h->large);
	put32(ret + 68, h->packed);
	put_double(ret + 344, h->window_low);
	put_double(ret + 352, h->window_high);
	put32(ret + 360,
	      (h->window ? BIT_WINDOW : 0) | (h->display ? BIT_DISPLAY : 0) |
	              (h->source ? BIT_SOURCE : 0) | (h->primary ? BIT_PRIMARY : 0) |
	              (h->first_known ? BIT_FIRST : 0) | (h->from_protocol ? BIT_PROTOCOL : 0) |
	              (h->rotation.start_auto ? 0 : BIT_ROTATION) | (h->quality ? BIT_QUALITY : 0));
	put32(ret + 364, h->sink);
	put64(ret + 368, h->first);
	put64(ret + 376, h->frames);
	put32(ret + 384, h->average);
	put32(ret + 388, h->normalise);
	put_double(ret + 392, h->rotation.start);
	put_double(ret + 400, h->rotation.step);
	put32(ret + 408, h->region_count);
	memcpy(ret + 72, h->suffix, sizeof h->suffix);
	memcpy(ret + 88, h->folder, sizeof h->folder);
	for (unsigned i = 0; i < h->region_count; i++)
		encode_place(ret + REGIONS_IN_HEADER + i * JOURNAL_REGION_BYTES, &h->regions[i]);
	seal(ret, n);
	return n;
}

/* The sizes that a header tells of are those of its regions, it is there, and whole. */
static bool is_header(const unsigned char *bytes, size_t n)
{
	uint32_t regions;

	if (n < JOURNAL_HEADER_BYTES || memcmp(bytes, magic, sizeof magic) != 0)
		return false;
	regions = get32(bytes + 408);
	return regions <= CONFIG_REGIONS_MAX && journal_header_bytes(regions) <= n &&
	       get32(bytes + 8) == journal_header_bytes(regions) &&
	       get32(bytes + 12) == journal_record_bytes(regions) &&
	       is_sealed(bytes, journal_header_bytes(regions));
}

size_t journal_header_size(const unsigned char *bytes)
{
	return memcmp(bytes, magic, sizeof magic) == 0 ? get32(bytes + 8) : 0;
}

bool journal_decode_header(struct journal_header *ret, const unsigned char *bytes, size_t n)
{
	struct journal_header h = { 0 };
	uint32_t bits;

	if (!is_header(bytes, n))
		return false;
	h.series_number = get32(bytes + 16);
	h.width = get32(bytes + 20);
	h.height = get32(bytes + 24);
	h.type = get32(bytes + 28);
	h.frame_bytes = get64(bytes + 32);
	h.head_bytes = get64(bytes + 40);
	h.started_ns = get64(bytes + 48);
	h.step = get64(bytes + 56);
	h.large = get32(bytes + 64) != 0;
	h.packed = get32(bytes + 68) != 0;
	bits = get32(bytes + 360);
	h.window_low = get_double(bytes + 344);
	h.window_high = get_double(bytes + 352);
	h.window = bits & BIT_WINDOW;
	h.display = bits & BIT_DISPLAY;
	h.source = bits & BIT_SOURCE;
	h.primary = bits & BIT_PRIMARY;
	h.first_known = bits & BIT_FIRST;
	h.from_protocol = bits & BIT_PROTOCOL;
	h.quality = bits & BIT_QUALITY;
	h.sink = get32(bytes + 364);
	h.first = get64(bytes + 368);
	h.frames = get64(bytes + 376);
	h.average = get32(bytes + 384);
	h.normalise = get32(bytes + 388);
	h.rotation = (struct config_rotation){ .start_auto = !(bits & BIT_ROTATION),
		                               .start = get_double(bytes + 392),
		                               .step = get_double(bytes + 400) };
	memcpy(h.suffix, bytes + 72, sizeof h.suffix);
	memcpy(h.folder, bytes + 88, sizeof h.folder);
	if (h.suffix[sizeof h.suffix - 1] || h.folder[sizeof h.folder - 1])
		return false;
	h.region_count = get32(bytes + 408);
	for (unsigned i = 0; i < h.region_count; i++)
		if (!decode_place(&h.regions[i],
		                  bytes + REGIONS_IN_HEADER + i * JOURNAL_REGION_BYTES))
			return false;
	*ret = h;
	return true;
}

static void encode_moments(unsigned char *at, const struct moments *m)
{
	put_double(at, m->min);
	put_double(at + 8, m->max);
	put_double(at + 16, m->mean);
	put_double(at + 24, m->std);
}

static struct moments decode_moments(const unsigned char *at)
{
	return (struct moments){ .min = get_double(at),
		                 .max = get_double(at + 8),
		                 .mean = get_double(at + 16),
		                 .std = get_double(at + 24) };
}

void journal_encode_region(unsigned char ret[JOURNAL_REGION_BYTES], const struct region_stats *s)
{
	put64(ret, s->good);
	put64(ret + 8, s->saturated);
	encode_moments(ret + 16, &s->raw);
	encode_moments(ret + 48, &s->normalised);
}

void journal_decode_region(struct region_stats *ret, const unsigned char *bytes)
{
	*ret = (struct region_stats){ .good = get64(bytes),
		                      .saturated = get64(bytes + 8),
		                      .raw = decode_moments(bytes + 16),
		                      .normalised = decode_moments(bytes + 48) };
}

static void encode_regions(unsigned char *at, const struct journal_record *r, unsigned region_count)
{
	const struct moments none = { NAN, NAN, NAN, NAN };
	const struct region_stats nothing = { .raw = none, .normalised = none };

	if (r->regions)
		memcpy(at, r->regions, region_count * (size_t)JOURNAL_REGION_BYTES);
	else
		for (unsigned i = 0; i < region_count; i++)
			journal_encode_region(at + i * JOURNAL_REGION_BYTES, &nothing);
}

/* What there is since headers have BIT_QUALITY. */
static void encode_quality(unsigned char *ret, const struct journal_record *r)
{
	put_double(ret + 200, r->dose);
	put32(ret + 208, r->calibration);
	for (unsigned i = 0; i < PERCENTILES; i++) {
		put_float(ret + 212 + i * 4, r->raw_percentiles[i]);
		put_float(ret + 232 + i * 4, r->percentiles[i]);
	}
}

static void decode_quality(struct journal_record *ret, const unsigned char *bytes, bool known)
{
	ret->dose = known ? get_double(bytes + 200) : NAN;
	ret->calibration = known ? get32(bytes + 208) : 0;
	for (unsigned i = 0; i < PERCENTILES; i++) {
		ret->raw_percentiles[i] = known ? get_float(bytes + 212 + i * 4) : NAN;
		ret->percentiles[i] = known ? get_float(bytes + 232 + i * 4) : NAN;
	}
}

void journal_encode(unsigned char *ret, const struct journal_record *r, uint32_t position,
                    unsigned region_count)
{
	memset(ret, 0, JOURNAL_RECORD_BYTES);
	put32(ret, RECORD_KIND_FRAME);
	put32(ret + 4, position);
	put64(ret + 8, r->number);
	ret[16] = (unsigned char)r->state;
	ret[17] = (unsigned char)r->reason;
	ret[18] = (unsigned char)!isnan(r->rotation);
	put32(ret + 20, r->flags);
	put32(ret + 24, r->file);
	put32(ret + 28, r->index);
	put64(ret + 32, r->offset);
	put64(ret + 40, r->length);
	put32(ret + 48, r->averaged);
	put32(ret + 52, r->crc32c);
	put64(ret + 56, r->timestamp_ns);
	put64(ret + 64, r->received_ns);
	put64(ret + 72, r->durable_ns);
	put_double(ret + 80, r->min);
	put_double(ret + 88, r->max);
	put_double(ret + 96, r->mean);
	put_double(ret + 104, r->std);
	put_double(ret + 112, r->raw_min);
	put_double(ret + 120, r->raw_max);
	put_double(ret + 128, r->raw_mean);
	put_double(ret + 136, r->raw_std);
	put64(ret + 144, r->good);
	put64(ret + 152, r->bad);
	put64(ret + 160, r->saturated);
	put64(ret + 168, r->clipped);
	put64(ret + 176, r->repeat);
	put64(ret + 184, r->step);
	if (ret[18])
		put_double(ret + 192, r->rotation);
	encode_quality(ret, r);
	encode_regions(ret + REGIONS_IN_RECORD, r, region_count);
	seal(ret, journal_record_bytes(region_count));
}

void journal_encode_taken_back(unsigned char ret[4], const unsigned char *bytes,
                               unsigned region_count)
{
	put32(ret, ~checksum(bytes, journal_record_bytes(region_count) - 4));
}

static bool makes_sense(const struct journal_record *r)
{
	if (r->repeat == 0 || (r->repeat > 1 && r->step == 0))
		return false;
	switch (r->state) {
	case FRAME_WRITTEN:
		return r->reason == 0 && r->repeat == 1;
	case FRAME_DROPPED:
		return r->reason < DROPPED_COUNT;
	case FRAME_MISSING:
		return r->reason < MISSING_COUNT;
	default:
		return false;
	}
}

static void take_back(struct journal_record *r)
{
	r->state = FRAME_DROPPED;
	r->reason = DROPPED_CRASH;
	r->file = JOURNAL_NO_FILE;
	r->repeat = 1;
}

bool journal_decode(struct journal_record *ret, const unsigned char *bytes, uint32_t position,
                    const struct journal_header *h)
{
	size_t n = journal_record_bytes(h->region_count);
	uint32_t crc32c = checksum(bytes, n - 4), found = get32(bytes + n - 4);
	struct journal_record r = { 0 };

	if ((found != crc32c && found != ~crc32c) || get32(bytes) != RECORD_KIND_FRAME ||
	    get32(bytes + 4) != position || bytes[16] >= FRAME_STATE_COUNT)
		return false;
	r.number = get64(bytes + 8);
	r.state = (enum frame_state)bytes[16];
	r.reason = bytes[17];
	r.flags = get32(bytes + 20);
	r.file = get32(bytes + 24);
	r.index = get32(bytes + 28);
	r.offset = get64(bytes + 32);
	r.length = get64(bytes + 40);
	r.averaged = get32(bytes + 48);
	r.crc32c = get32(bytes + 52);
	r.timestamp_ns = get64(bytes + 56);
	r.received_ns = get64(bytes + 64);
	r.durable_ns = get64(bytes + 72);
	r.min = get_double(bytes + 80);
	r.max = get_double(bytes + 88);
	r.mean = get_double(bytes + 96);
	r.std = get_double(bytes + 104);
	r.raw_min = get_double(bytes + 112);
	r.raw_max = get_double(bytes + 120);
	r.raw_mean = get_double(bytes + 128);
	r.raw_std = get_double(bytes + 136);
	r.good = get64(bytes + 144);
	r.bad = get64(bytes + 152);
	r.saturated = get64(bytes + 160);
	r.clipped = get64(bytes + 168);
	r.repeat = get64(bytes + 176);
	r.step = get64(bytes + 184);
	r.rotation = bytes[18] ? get_double(bytes + 192) : NAN;
	decode_quality(&r, bytes, h->quality);
	r.regions = h->region_count ? bytes + REGIONS_IN_RECORD : NULL;
	if (!makes_sense(&r))
		return false;
	if (found != crc32c)
		take_back(&r);
	*ret = r;
	return true;
}
