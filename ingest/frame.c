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
