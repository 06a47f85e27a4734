/* SPDX-License-Identifier: Apache-2.0 */
/* The receiver stream of slsDetectorPackage: a message for each port, JSON that ends in a newline
 * and the port's pixels. Keys, order and spaces are those that the receiver prints. */
#include "bench/encoder.h"

#include <inttypes.h>

#define TICK_NS  100
#define EIGER    1
#define JUNGFRAU 3

static unsigned bitmode(const struct outgoing *o)
{
	return o->packing == PACKING_NONE ? 8 * pixel_bytes(o->type)
	                                  : wire_bits(o->type, o->packing);
}

int sls_frame(const struct outgoing *o, const struct shot *shot, unsigned port,
              const struct cargo *p, struct draft *d)
{
	bool numbered = !shot_is(shot, CORRUPT_NO_NUMBER);
	uint64_t percent = o->frames ? 100 * (shot->index + 1) / o->frames : 0;

	draft_text(d,
	           "{\"jsonversion\":4, \"bitmode\":%u, \"fileIndex\":%" PRIu64
	           ", \"detshape\":[%" PRIu32 ", %" PRIu32 "], \"%s\":[%" PRIu32 ", %" PRIu32
	           "], \"size\":%zu, \"%s\":%" PRIu64 ", \"frameIndex\":%" PRIu64
	           ", \"progress\":%" PRIu64
	           ", \"fname\":\"/tmp/run\", \"data\":1, \"completeImage\":1, \"%s\":%" PRIu64
	           ", \"expLength\":%" PRIu64
	           ", \"packetNumber\":1, \"detSpec1\":0, \"timestamp\":%" PRIu64
	           ", \"modId\":%u, \"row\":%" PRIu32 ", \"column\":%" PRIu32
	           ", \"detSpec2\":0, \"detSpec3\":0, \"detSpec4\":0, \"detType\":%d, "
	           "\"version\":2, \"flipRows\":0, \"quad\":0, \"rx_roi\":[-1, -1, -1, -1]%s}\n",
	           shot_is(shot, CORRUPT_UNKNOWN_TYPE) ? 13 : bitmode(o), o->id, o->columns,
	           o->rows, shot_is(shot, CORRUPT_NO_SHAPE) ? "sh_pe" : "shape",
	           o->width / o->columns, o->height / o->rows, p->whole_bytes,
	           numbered ? "acqIndex" : "acqInde_", shot->number, shot->index, percent,
	           numbered ? "frameNumber" : "frameNumbe_", shot->number,
	           outgoing_exposure_ns(o) / TICK_NS, outgoing_time_ns(o, shot->index) / TICK_NS,
	           port, port / o->columns, port % o->columns, bitmode(o) == 16 ? JUNGFRAU : EIGER,
	           outgoing_keys(o));
	draft_damage(d, shot);
	draft_body(d, p->data, p->bytes, p->owned);
	return 0;
}

int sls_end(const struct outgoing *o, struct draft *d)
{
	(void)o;
	draft_text(d, "{\"jsonversion\":4, \"bitmode\":0, \"fileIndex\":0, \"detshape\":[0, 0], "
	              "\"shape\":[0, 0], \"size\":0, \"acqIndex\":0, \"frameIndex\":0, "
	              "\"progress\":0, \"fname\":\"\", \"data\":0, \"completeImage\":0, "
	              "\"frameNumber\":0, \"expLength\":0, \"packetNumber\":0, \"detSpec1\":0, "
	              "\"timestamp\":0, \"modId\":0, \"row\":0, \"column\":0, \"detSpec2\":0, "
	              "\"detSpec3\":0, \"detSpec4\":0, \"detType\":0, \"version\":0, "
	              "\"flipRows\":0, \"quad\":0, \"rx_roi\":[0, 0, 0, 0]}\n");
	return 0;
}
