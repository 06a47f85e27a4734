/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_FORMAT_H
#define SINKS_FORMAT_H

#include "sinks/sinks.h"
#include "sinks/writer.h"

/* A file format: frames back to back, an aligned head before them and a tail behind them that
 * are known only when the file ends. Adding one is a file and a row in sinks.c. */

/* How many frames a file takes, and in which flavour. */
struct format_plan {
	uint64_t frames; /* at least 1 */
	bool large;      /* BigTIFF */
	bool packed;     /* each frame is compressed, and as long as it comes out */
};

/* A frame in a file. */
struct format_place {
	uint64_t number;
	uint64_t end; /* bytes from the start of the file to behind it */
};

/* A file that ends. */
struct format_file {
	const struct sink_shape *shape;
	uint64_t frames; /* at least 1 */
	bool large, packed;
	const struct format_place *places; /* [frames], NULL: not placed yet */
	const char *series;                /* "name-0001" */
	bool window;  /* pixels are mapped from the window to the integer range */
	bool display; /* the window is what people want to see, unmapped */
	double window_low, window_high;
	uint64_t made_ns; /* CLOCK_REALTIME */
	const char *version;
};

struct tail;

struct format {
	enum sink_format id;
	const char *name;
	const char *suffix;  /* ".tif"; NULL: keeps no pixels and the rest is NULL */
	uint64_t head_bytes; /* a multiple of WRITER_ALIGN */

	/* Frames of a file as the configuration asks for them. */
	struct format_plan (*plan)(const struct config_sink *c, const struct sink_shape *shape);

	/* At least as many bytes as the tail of a file of so many frames takes. */
	uint64_t (*tail_bytes)(uint64_t frames, bool large);

	/* The head of a file that will have all its frames, to be written before them, so that
	 * its blocks are there [head_bytes]. NULL: none before the file ends. 0, -ENOMEM or
	 * -EFBIG. */
	int (*first_head)(unsigned char *ret_head, const struct format_file *f);

	/* Compose the tail piece by piece: tail_next gives the next bytes, none when it is
	 * done, or returns 1 to be called again. NULL: no head, no tail. Texts and places of `f`
	 * must stay until tail_close. 0, -ENOMEM, or -EFBIG when the format cannot hold the
	 * file. Sink thread, a few milliseconds. */
	int (*tail_open)(struct tail **ret, const struct format_file *f);
	int (*tail_next)(struct tail *t, const void **ret_bytes, size_t *ret_length);

	/* The head, after the last tail_next [head_bytes]. */
	void (*tail_head)(const struct tail *t, unsigned char *ret_head);

	/* Accepts NULL. */
	void (*tail_close)(struct tail *t);
};

/* Every format of this version, in the order of sink_rows, ended by NULL. */
extern const struct format *const formats[];
extern const struct format format_tiff, format_hdf5, format_raw, format_stream, format_null;

/* The row of `f`, or NULL. */
const struct format *format_find(enum sink_format f);

/* Frames of a file by frames_per_file and file_size, whatever the format: `head` and tail_bytes
 * count into the size. */
uint64_t format_frames(const struct config_sink *c, uint64_t frame_bytes, uint64_t head,
                       uint64_t (*tail_bytes)(uint64_t frames, bool large), bool large);

#endif
