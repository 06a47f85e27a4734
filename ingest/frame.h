/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_FRAME_H
#define INGEST_FRAME_H

#include "kernels/decompress.h"
#include "kernels/widen.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One detector frame as a protocol describes it. The pixels stay where they were received. */

/* What a pixel is on the wire. */
enum pixel_type { PIXEL_UINT8, PIXEL_UINT16, PIXEL_UINT32, PIXEL_FLOAT32, PIXEL_TYPE_COUNT };

/* Bytes of one pixel. */
static inline unsigned pixel_bytes(enum pixel_type t)
{
	return t == PIXEL_UINT8 ? 1 : t == PIXEL_UINT16 ? 2 : 4;
}

/* "uint8", "uint16", "uint32", "float32". */
const char *pixel_name(enum pixel_type t);

/* Formats that put pixels into fewer bits: GenICam's for PIXEL_UINT16, and half bytes for
 * PIXEL_UINT8, the first pixel in the high half. Rows are not padded: one can begin inside a
 * byte. */
enum pixel_packing {
	PACKING_NONE,
	PACKING_MONO10P,
	PACKING_MONO10_PACKED,
	PACKING_MONO12P,
	PACKING_MONO12_PACKED,
	PACKING_MONO14P,
	PACKING_NIBBLES,
	PACKING_COUNT
};

/* Whether pixels of this type can be packed so. */
static inline bool packing_fits(enum pixel_packing p, enum pixel_type t)
{
	return p == PACKING_NONE || t == (p == PACKING_NIBBLES ? PIXEL_UINT8 : PIXEL_UINT16);
}

/* A frame whose pixels come as one piece from each port of the detector, of equal size, in a grid
 * of columns x rows. */
#define PORTS_MAX 64

struct port_grid {
	uint8_t columns, rows; /* 0: the frame is one piece */
	uint64_t flipped;      /* bit r * columns + c: that port's rows come last first */
	uint64_t missing;      /* likewise: that port's piece is not there; known once reduced */
};

/* Bits of one pixel in the message. */
unsigned wire_bits(enum pixel_type t, enum pixel_packing p);

/* Bytes of the message's pixels. False, *ret untouched, where they are more than 2^61. */
bool wire_bytes(uint32_t width, uint32_t height, enum pixel_type t, enum pixel_packing p,
                uint64_t *ret);

/* As pixel_name(), or GenICam's name of the packing. */
const char *wire_name(enum pixel_type t, enum pixel_packing p);

/* Why a message is no usable frame; each is a counter of that name (design: `rejected`).
 * The decoder gives the first group, the series the second. */
enum reject {
	REJECT_HEADER,   /* no JSON, truncated, a field missing or of the wrong kind */
	REJECT_PARTS,    /* not the number of parts the protocol has */
	REJECT_SHAPE,    /* not two-dimensional, zero, negative, overflowing, or not the series' */
	REJECT_TYPE,     /* a pixel type that is unknown or not taken */
	REJECT_LENGTH,   /* the payload is not as long as shape and type say */
	REJECT_ENCODING, /* an encoding or endianness that is unknown */
	REJECT_STEP,     /* a number off series.step */
	REJECT_JUMP,     /* a jump above series.max_gap, not confirmed */
	REJECT_LATE,     /* a number already declared missing */
	REJECT_NO_SERIES,
	REJECT_COUNT
};

/* "header", "parts", ... as in metrics and the manifest. */
const char *reject_name(enum reject r);

enum frame_flag {
	FRAME_INCOMPLETE = 1u << 0, /* the sender calls it damaged */
	/* The rest says what it is, and makes nothing incomplete. */
	FRAME_DARK = 1u << 1,     /* taken for a dark, */
	FRAME_FLAT = 1u << 2,     /* for a flat */
	FRAME_BEAM_DIP = 1u << 3, /* its dose is below beam.dip, */
	FRAME_NO_BEAM = 1u << 4,  /* below beam.dump: it was not divided by it */
};

/* What a frame is of, by its sender. */
enum frame_role { ROLE_UNSAID, ROLE_SAMPLE, ROLE_FLAT, ROLE_DARK };

struct frame {
	uint64_t number;       /* the sender's own, kept to the end */
	uint64_t timestamp_ns; /* the sender's own clock, 0: none */
	uint64_t received_ns;  /* CLOCK_REALTIME when the last part was here */
	uint32_t width;        /* pixels */
	uint32_t height;       /* pixels */
	enum pixel_type type;
	enum pixel_packing packing; /* packing_fits() the type */
	bool big_endian;            /* never with a packing */
	uint8_t bits;               /* significant bits; 0: not said, the type's */
	bool has_no_value;       /* a raw value says that a pixel has none: bad, never saturated */
	int64_t no_value;        /* with has_no_value, */
	enum stored_type stored; /* other than STORED_PLAIN: what becomes `type`, float32, */
	enum codec codec;        /* and how it is compressed */
	uint8_t codec_element;   /* bytes of an element that bitshuffle took apart */
	uint32_t flags;          /* enum frame_flag */
	bool has_rotation;       /* the header says at which angle it was taken, */
	double rotation;         /* degrees, finite */
	enum frame_role role;
	uint64_t series;        /* whom it belongs to, by the sender; 0: not said */
	struct port_grid ports; /* with columns: pixels are those of one port, if anything */
	const void *pixels;     /* row-major [height][width], any alignment; the message owns it */
	size_t bytes;           /* of them in the message */
};

/* Of a pixel of no packing, as the message has it. */
static inline uint8_t frame_element_bytes(const struct frame *f)
{
	return (uint8_t)(f->stored ? stored_bytes(f->stored) : pixel_bytes(f->type));
}

/* Bytes of the pixels before compression, of the type in the message. False as wire_bytes(). */
bool frame_plain_bytes(const struct frame *f, uint64_t *ret);

#endif
