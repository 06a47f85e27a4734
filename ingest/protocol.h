/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_PROTOCOL_H
#define INGEST_PROTOCOL_H

#include "config/config.h"
#include "ingest/frame.h"

struct shm_lease;

/* A wire format: one message in, one verdict out. Adding one is a file and a row in
 * protocols.c. A decoder belongs to one receiving thread and touches no pixel. */

#define MESSAGE_PARTS_MAX 512 /* parts kept; further ones are drained and only counted */

struct part {
	const void *data; /* may be NULL when size is 0 */
	size_t size;      /* bytes */
};

/* The parts of one message, borrowed. */
struct message {
	unsigned endpoint;   /* which of the receiver's it came from */
	unsigned part_count; /* as received; may be above MESSAGE_PARTS_MAX */
	struct part parts[MESSAGE_PARTS_MAX];
};

enum verdict {
	VERDICT_FRAME,    /* `frame` is a usable one, its pixels in part `pixel_part` */
	VERDICT_PIECE,    /* the pixels of one port of a frame, or word that they are lost */
	VERDICT_DUMMY,    /* metadata only (PSI's 2x2 frames); number known, no pixels */
	VERDICT_START,    /* a start-of-series message: `announced` and `detector` hold */
	VERDICT_END,      /* an end-of-series message */
	VERDICT_NOTHING,  /* legal, and about nothing that is taken here */
	VERDICT_REJECTED, /* `reason` says why */
	VERDICT_COUNT
};

/* What a start message says of the detector; 0 and NULL: nothing. */
struct detector {
	uint32_t width, height; /* pixels */
	bool type_known;
	enum pixel_type type;
	uint64_t saturation;  /* raw value that counts as saturated */
	double exposure_s;    /* light is collected so long for each frame, */
	double period_s;      /* which follow each other so */
	const uint8_t *mask;  /* not 0: bad [height][width]; decoder's, until its next message */
	char description[96]; /* printable ASCII */
};

/* What became of one message. Fields beyond `verdict` hold only where the verdict says so. */
struct decoded {
	enum verdict verdict;
	enum reject reason;       /* VERDICT_REJECTED */
	bool number_known;        /* frame.number was read, though the message was rejected */
	uint64_t announced;       /* VERDICT_START: frames of the series, 0: not said */
	struct detector detector; /* VERDICT_START */
	unsigned pixel_part;      /* VERDICT_FRAME, VERDICT_PIECE: in which part the pixels are */
	unsigned port;            /* VERDICT_PIECE: whose they are, below columns x rows */
	struct shm_lease *lease;  /* not NULL: the pixels are in shared memory; whatever the verdict
	                             is, the caller gives it back (shm_lease_return) */
	struct frame frame;       /* VERDICT_FRAME, VERDICT_PIECE, VERDICT_DUMMY; VERDICT_START and
	                             VERDICT_END: `series` only; else only number, if known */
	char why[160];            /* VERDICT_REJECTED: one sentence with the value that is wrong;
	                             VERDICT_START: what is not used of it, "" for nothing */
};

struct decoder;

struct protocol {
	const char *name;
	const char *summary;    /* for --list, half a line */
	bool counts_from_zero;  /* the first frame of a series is number 0 */
	bool has_start_message; /* series begin by a message, as a rule */
	bool has_end_message;   /* series end by a message; idle_end does not apply */
	unsigned largest_part;  /* of a message, in frames of ingest.frame_limit; 0: 1 */
	bool brings_mask;       /* start messages may hold a pixel mask */
	bool has_keys;  /* frames come with JSON, which the configuration's keys are read of */
	bool in_pieces; /* each endpoint sends one port's part of every frame */
	bool in_shared_memory; /* endpoints announce frames of a memory-mapped ring */

	/* Make a decoder. -ENOMEM, or -EINVAL with `why` when the configuration asks for what
	 * the protocol does not have. Main thread. */
	int (*open)(struct decoder **ret, const struct config_ingest *c, char why[160]);

	/* Decode one message; allocates nothing that outlives the call. The pixels of the
	 * frame point into m. Never fails otherwise: whatever the bytes are, a verdict.
	 * Receiving thread. */
	void (*decode)(struct decoder *d, const struct message *m, struct decoded *ret);

	/* What has to be done now and then, whether messages come or not; NULL: nothing.
	 * Receiving thread. */
	void (*tend)(struct decoder *d);

	/* Accepts NULL. */
	void (*close)(struct decoder *d);
};

/* Every protocol of this version, ended by a row with name NULL. */
extern const struct protocol protocols[];

/* The row called `name`, or NULL. */
const struct protocol *protocol_find(const char *name);

#endif
