/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SLOT_LAYOUT_H
#define DAEMON_SLOT_LAYOUT_H

#include "config/config.h"
#include "daemon/planes.h"
#include "daemon/slot.h"
#include "ingest/frame.h"
#include "sinks/sinks.h"

/* Everything whose size depends on the frames: slots and their memory, scratch, the reduction
 * plan. Made at start when the geometry is known, else at the first frame; replaced only while
 * every slot is home. Built by the thread that collects; read by all. */

/* What makes two frames alike. */
struct frame_shape {
	uint32_t width, height; /* pixels */
	enum pixel_type type;
	enum pixel_packing packing;
	bool big_endian;
	uint8_t bits; /* significant, 0: the type's */
	bool has_no_value;
	int64_t no_value;
	enum stored_type stored;
	bool compressed; /* in any way */
	uint8_t port_columns, port_rows;
};

struct frame_shape shape_of_frame(const struct frame *f);
bool shape_equal(const struct frame_shape *a, const struct frame_shape *b);

/* Whether a layout made for `l` takes frames of `f`: equal, or f plain where l is compressed. */
bool shape_fits(const struct frame_shape *l, const struct frame_shape *f);

/* What a layout is made for beside the configuration. */
struct layout_needs {
	const struct config *config;
	const struct planes *planes;
	const struct detector *detector; /* of the series; NULL: nothing is known of it */
	unsigned receivers, workers;
	unsigned cpu; /* enum cpu_flag */
};

/* How ingest.buffer is shared out. Bytes. */
struct layout_budget {
	size_t frame_bytes;   /* of one payload */
	size_t slot_bytes;    /* products and histograms of one frame */
	unsigned slots;       /* of all receivers */
	unsigned payloads;    /* of each receiver: received and not yet reduced */
	int queue_messages;   /* of each endpoint: ZMQ_RCVHWM */
	unsigned expanded;    /* frames that each worker can have decompressed at once */
	uint64_t sinks_bytes; /* staging of the sinks */
	uint64_t total_bytes; /* all of it; at most ingest.buffer */
};

#define LOOKS 16 /* frames in flight whose defects are known, at most */

struct layout {
	struct frame_shape shape;
	struct reduce_plan plan; /* without calibration: daemon/calibrated.h */
	struct sink_geometry geometry;
	struct layout_budget budget;
	unsigned slot_count, slots_per_receiver;
	struct slot *slots; /* [slot_count]; receiver r owns [r * slots_per_receiver, ...) */
	zmq_msg_t *parts;   /* of all slots, one for each port */
	size_t gain_bytes;  /* of a gain with its bad pixels */
	unsigned bits;      /* significant ones */
	bool subtracts;     /* a dark is subtracted, where there is one */
	size_t reduced_packed_room; /* bytes of a slot for the product compressed, whole pages; */
	size_t source_packed_room;  /* 0: no sink takes it so */
	size_t pack_from;           /* in a thread's scratch: what compressing needs */
	size_t expanded_bytes;      /* of one decompressed frame */
	size_t decompress_from;     /* in a worker's scratch: decompressor, then the frames */
	void *memory;               /* of all slots */
	size_t memory_bytes;
	struct sink_memory *pieces; /* for the sinks; a slot lies in one piece */
	unsigned piece_count;
	unsigned workers;
	unsigned scratch_count; /* workers + 1 */
	void **scratch;         /* [scratch_count]: each worker's, and the collector's */
	struct look {
		_Atomic bool taken;
		struct defects defects;
	} * looks;  /* [LOOKS] */
	void *sums; /* of the group that is being averaged; NULL without averaging */
	size_t sums_bytes;
};

/* The histograms that the configuration asks for; `auto` depends on the pixels, `s` may be NULL
 * while nothing is known of them. */
void layout_bins(const struct config *c, const struct frame_shape *s, struct bins *ret_raw,
                 struct bins *ret_normalised);

/* The shape of frames, when configuration and calibration say it before the first one. */
bool layout_known_shape(const struct config *config, const struct planes *planes,
                        struct frame_shape *ret);

/* Complete the plan and the budget for `shape` without taking memory. 0, or -EINVAL with `why`:
 * a shape the configuration does not allow, or a buffer that is too small (with the size it
 * needs). */
int layout_plan(struct layout *l, const struct layout_needs *needs, const struct frame_shape *shape,
                char why[320]);

/* What a frame takes that is kept for a dark or flat, as it came or unpacked. Of a planned one. */
uint64_t layout_kept_bytes(const struct layout *l);

/* Be content with fewer slots than the buffer has room for. Between layout_plan() and
 * layout_open(). */
void layout_limit_slots(struct layout *l, unsigned slots);

/* The detector's bad pixels in frames of this shape, non-zero [height][width]; NULL: none. The
 * detector's. */
const uint8_t *layout_mask(const struct layout_needs *n, const struct frame_shape *s);

/* Take the memory of a planned layout and touch it all. 0 or -ENOMEM with `why`. */
int layout_open(struct layout *l, char why[320]);

/* The pixels as they are processed, for the manifest. */
struct sink_pixels layout_pixels(const struct layout *l);

/* The raw value at and above which a pixel is saturated; infinite: none is. */
double layout_saturation(const struct layout *l);

/* Room for the defects of one frame; NULL: too many are in flight. Workers. */
struct defects *layout_take_defects(const struct layout *l);

/* Give it back. Accepts NULL. Collector. */
void layout_put_defects(const struct layout *l, struct defects *d);

/* Accepts a zeroed or half-open one. Every slot must be home. */
void layout_close(struct layout *l);

#endif
