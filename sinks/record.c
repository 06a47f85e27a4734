/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/record.h"

#include "kernels/cpu.h"
#include "kernels/crc32c.h"
#include "sinks/little_endian.h"

#include <math.h>
#include <string.h>

#define RECORD_KIND_FRAME 1

enum {
	BIT_WINDOW = 1,
	BIT_DISPLAY = 2,
	BIT_SOURCE = 4,
	BIT_PRIMARY = 8,
	BIT_FIRST = 16,
	BIT_PROTOCOL = 32,
	BIT_ROTATION = 64
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

void journal_encode_header(unsigned char ret[JOURNAL_HEADER_BYTES], const struct journal_header *h)
{
	memset(ret, 0, JOURNAL_HEADER_BYTES);
	memcpy(ret, magic, sizeof magic);
	put32(ret + 8, JOURNAL_HEADER_BYTES);
	put32(ret + 12, JOURNAL_RECORD_BYTES);
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
	put32(ret + 360, (h->window ? BIT_WINDOW : 0) | (h->display ? BIT_DISPLAY : 0) |
	                         (h->source ? BIT_SOURCE : 0) | (h->primary ? BIT_PRIMARY : 0) |
	                         (h->first_known ? BIT_FIRST : 0) |
	                         (h->from_protocol ? BIT_PROTOCOL : 0) |
	                         (h->rotation.start_auto ? 0 : BIT_ROTATION));
	put32(ret + 364, h->sink);
	put64(ret + 368, h->first);
	put64(ret + 376, h->frames);
	put32(ret + 384, h->average);
	put32(ret + 388, h->normalise);
	put_double(ret + 392, h->rotation.start);
	put_double(ret + 400, h->rotation.step);
	memcpy(ret + 72, h->suffix, sizeof h->suffix);
	memcpy(ret + 88, h->folder, sizeof h->folder);
	seal(ret, JOURNAL_HEADER_BYTES);
}

bool journal_decode_header(struct journal_header *ret,
                           const unsigned char bytes[JOURNAL_HEADER_BYTES])
{
	struct journal_header h = { 0 };
	uint32_t bits;

	if (memcmp(bytes, magic, sizeof magic) != 0 || !is_sealed(bytes, JOURNAL_HEADER_BYTES) ||
	    get32(bytes + 8) != JOURNAL_HEADER_BYTES || get32(bytes + 12) != JOURNAL_RECORD_BYTES)
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
	*ret = h;
	return true;
}

void journal_encode(unsigned char ret[JOURNAL_RECORD_BYTES], const struct journal_record *r,
                    uint32_t position)
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
	seal(ret, JOURNAL_RECORD_BYTES);
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

bool journal_decode(struct journal_record *ret, const unsigned char bytes[JOURNAL_RECORD_BYTES],
                    uint32_t position)
{
	struct journal_record r = { 0 };

	if (!is_sealed(bytes, JOURNAL_RECORD_BYTES) || get32(bytes) != RECORD_KIND_FRAME ||
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
	if (!makes_sense(&r))
		return false;
	*ret = r;
	return true;
}
