/* SPDX-License-Identifier: Apache-2.0 */
/* MAX IV's STINS. */
#include "bench/encoder.h"

#include <inttypes.h>

int stins_start(const struct outgoing *o, struct draft *d)
{
	draft_text(d,
	           "{\"htype\":\"header\",\"filename\":\"/data/openbeam-%" PRIu64
	           ".h5\",\"msg_number\":%" PRIu64 "}",
	           o->id, o->id);
	return 0;
}

int stins_frame(const struct outgoing *o, const struct shot *shot, unsigned port,
                const struct cargo *p, struct draft *d)
{
	(void)port;
	draft_text(d,
	           "{\"htype\":\"image\",\"%s\":%" PRIu64 ",\"%s\":[%" PRIu32 ",%" PRIu32
	           "],\"type\":\"%s\",\"compression\":\"none\"%s}",
	           shot_is(shot, CORRUPT_NO_NUMBER) ? "fra_e" : "frame", shot->number,
	           shot_is(shot, CORRUPT_NO_SHAPE) ? "sh_pe" : "shape", o->height, o->width,
	           shot_is(shot, CORRUPT_UNKNOWN_TYPE) ? "uint13" : pixel_name(o->type),
	           outgoing_keys(o));
	draft_damage(d, shot);
	draft_body(d, p->data, p->bytes, p->owned);
	return 0;
}

int stins_end(const struct outgoing *o, struct draft *d)
{
	(void)o;
	draft_text(d, "{\"htype\":\"series_end\"}");
	return 0;
}
