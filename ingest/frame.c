/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/frame.h"

const char *pixel_name(enum pixel_type t)
{
	static const char *const names[PIXEL_TYPE_COUNT] = {
		[PIXEL_UINT8] = "uint8",
		[PIXEL_UINT16] = "uint16",
		[PIXEL_UINT32] = "uint32",
		[PIXEL_FLOAT32] = "float32",
	};

	return names[t];
}

unsigned wire_bits(enum pixel_type t, enum pixel_packing p)
{
	static const unsigned bits[PACKING_COUNT] = {
		[PACKING_MONO10P] = 10,       [PACKING_MONO10_PACKED] = 12, [PACKING_MONO12P] = 12,
		[PACKING_MONO12_PACKED] = 12, [PACKING_MONO14P] = 14,       [PACKING_NIBBLES] = 4,
	};

	return p == PACKING_NONE ? 8 * pixel_bytes(t) : bits[p];
}

bool wire_bytes(uint32_t width, uint32_t height, enum pixel_type t, enum pixel_packing p,
                uint64_t *ret)
{
	uint64_t bits;

	if (__builtin_mul_overflow((uint64_t)width * height, (uint64_t)wire_bits(t, p), &bits))
		return false;
	*ret = bits / 8 + (bits % 8 != 0);
	return true;
}

const char *wire_name(enum pixel_type t, enum pixel_packing p)
{
	static const char *const names[PACKING_COUNT] = {
		[PACKING_MONO10P] = "Mono10p", [PACKING_MONO10_PACKED] = "Mono10Packed",
		[PACKING_MONO12P] = "Mono12p", [PACKING_MONO12_PACKED] = "Mono12Packed",
		[PACKING_MONO14P] = "Mono14p", [PACKING_NIBBLES] = "4 bit",
	};

	return p == PACKING_NONE ? pixel_name(t) : names[p];
}

const char *reject_name(enum reject r)
{
	static const char *const names[REJECT_COUNT] = {
		[REJECT_HEADER] = "header", [REJECT_PARTS] = "parts",
		[REJECT_SHAPE] = "shape",   [REJECT_TYPE] = "type",
		[REJECT_LENGTH] = "length", [REJECT_ENCODING] = "encoding",
		[REJECT_STEP] = "step",     [REJECT_JUMP] = "jump",
		[REJECT_LATE] = "late",     [REJECT_NO_SERIES] = "no_series",
	};

	return names[r];
}

bool frame_plain_bytes(const struct frame *f, uint64_t *ret)
{
	if (f->stored)
		return !__builtin_mul_overflow((uint64_t)f->width * f->height,
		                               (uint64_t)stored_bytes(f->stored), ret);
	return wire_bytes(f->width, f->height, f->type, f->packing, ret);
}
