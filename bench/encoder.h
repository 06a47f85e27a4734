/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ENCODER_H
#define BENCH_ENCODER_H

#include "bench/draft.h"
#include "bench/framing_kind.h"
#include "ingest/frame.h"

/* The protocols that openbeam-send speaks: how each makes the messages of a series. */

enum header_detail { DETAIL_NONE, DETAIL_BASIC, DETAIL_ALL, DETAIL_COUNT };

/* "none", "basic", "all". */
const char *header_detail_name(enum header_detail d);

/* A series as its sender knows it. */
struct outgoing {
	uint64_t id;
	uint64_t frames;        /* that are announced; 0: nobody knows */
	uint64_t first;         /* frame number */
	uint64_t started_ns;    /* CLOCK_REALTIME */
	uint64_t period_ns;     /* of the frames, as the headers tell */
	uint32_t width, height; /* pixels of a whole frame */
	uint32_t columns, rows; /* grid of ports, 1 x 1 without */
	enum pixel_type type;
	enum pixel_packing packing;
	bool big_endian;
	enum compression compression;
	enum header_detail detail;
	bool timestamps;     /* wanted, where the protocol leaves the choice */
	const char *channel; /* printable, neither " nor \ in it */
	const char *keys;    /* of the header of each frame beside its own, as header_keys_add()
	                      * writes them; NULL: none */
};

/* The pixels of a frame, or of a port's part of it, as they are sent. */
struct cargo {
	void *data; /* [bytes] */
	size_t bytes;
	size_t whole_bytes; /* that there should be: what headers say */
	bool owned;         /* malloc'd */
};

/* All encoders make one message in an initialised draft. 0 or -ENOMEM; the draft wants a
 * draft_done() in any case. `shot` may ask for damage: whatever enum corruption says of it, no
 * receiver may take the message for a frame. Any thread. */

typedef int encode_series_fn(const struct outgoing *o, struct draft *d);

/* On success the payload is in the draft, or was copied and free()d; else it is the caller's. */
typedef int encode_frame_fn(const struct outgoing *o, const struct shot *shot, unsigned port,
                            const struct cargo *p, struct draft *d);

struct encoder {
	const char *name, *summary;
	/* FRAMING_NONE: the protocol has not this compression. */
	enum framing framings[COMPRESSION_COUNT];
	enum compression usual;  /* what its detectors do */
	const char *channel;     /* the usual name; NULL: channels have no names */
	bool packed;             /* takes GenICam's packed formats */
	bool little_only;        /* cannot say that pixels are big-endian */
	bool details;            /* --header-detail */
	bool keys;               /* --header */
	bool timestamps;         /* --timestamps: others have them, or have none */
	bool ports;              /* an endpoint for each port; integers only; 4 and 12 bit packed */
	bool to_all;             /* --start-to-all */
	bool empty_is_no_frame;  /* a payload of no bytes is legal, and nothing is missing then */
	uint64_t number_max;     /* frame number */
	encode_series_fn *start; /* NULL: series have no start */
	encode_frame_fn *frame;  /* `port` is 0 without ports; NULL: by no message */
	encode_series_fn *end;   /* NULL: nor an end */
};

/* Ended by a row with name NULL. */
extern const struct encoder encoders[];

/* The row called `name`, or NULL. */
const struct encoder *encoder_find(const char *name);

/* Why a protocol cannot carry such pixels, or NULL: it can. */
const char *encoder_refuses(const struct encoder *e, enum pixel_type type,
                            enum pixel_packing packing, bool big_endian);

/* The keys that are added to a header, before its closing bracket; "" without. */
static inline const char *outgoing_keys(const struct outgoing *o)
{
	return o->keys ? o->keys : "";
}

/* Exposure times of the index-th frame, in ns since the start of the series. */
static inline uint64_t outgoing_time_ns(const struct outgoing *o, uint64_t index)
{
	return index * o->period_ns;
}

/* Nine tenths of the period: the rest is read out. */
static inline uint64_t outgoing_exposure_ns(const struct outgoing *o)
{
	return o->period_ns - o->period_ns / 10;
}

/* Frames that a header announces: without an end, as many as a detector can be asked for. */
static inline uint64_t outgoing_announced(const struct outgoing *o)
{
	return o->frames ? o->frames : 2000000000;
}

/* The mask of --header-detail all: pixels at eighths of the frame, the first one too, have one bit
 * each, 1, 2, 4, 8, 16, 1, ...; all others 0.
 *
 * ret   uint32 little endian [height][width], malloc'd; the caller's
 *
 * 0 or -ENOMEM. */
int outgoing_mask(const struct outgoing *o, uint32_t **ret);

extern encode_series_fn dectris_v1_start, dectris_v1_end, dectris_v2_start, dectris_v2_end;
extern encode_series_fn sls_end, stins_start, stins_end;
extern encode_frame_fn array10_frame, bsread_frame, dectris_v1_frame, dectris_v2_frame, sls_frame;
extern encode_frame_fn stins_frame, odin_frame;

#endif
