/* SPDX-License-Identifier: Apache-2.0 */
/* The live view of odin-data. Its float is the 32-bit one, its lengths are texts. */
#include "bench/encoder.h"

#include <inttypes.h>

int odin_frame(const struct outgoing *o, const struct shot *shot, unsigned port,
               const struct cargo *p, struct draft *d)
{
	static const char *const compressions[COMPRESSION_COUNT] = { "none", "LZ4", "BSLZ4", "" };
	const char *type = o->type == PIXEL_FLOAT32 ? "float" : pixel_name(o->type);

	(void)port;
	draft_text(d,
	           "{\"%s\":%" PRIu64 ",\"acquisition_id\":\"series_%" PRIu64
	           "\",\"dtype\":\"%s\",\"dsize\":%zu,\"dataset\":\"%s\",\"compression\":\"%s\","
	           "\"%s\":[\"%" PRIu32 "\",\"%" PRIu32 "\"]%s}",
	           shot_is(shot, CORRUPT_NO_NUMBER) ? "fra_e_num" : "frame_num", shot->number,
	           o->id, shot_is(shot, CORRUPT_UNKNOWN_TYPE) ? "uint13" : type, p->whole_bytes,
	           o->channel, compressions[o->compression],
	           shot_is(shot, CORRUPT_NO_SHAPE) ? "sh_pe" : "shape", o->height, o->width,
	           outgoing_keys(o));
	draft_damage(d, shot);
	draft_body(d, p->data, p->bytes, p->owned);
	return 0;
}
