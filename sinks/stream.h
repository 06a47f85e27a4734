/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_STREAM_H
#define SINKS_STREAM_H

#include "sinks/sinks.h"

/* Frames sent on over ZeroMQ as array-1.0, for people and programs that watch: two parts,
 *
 *   {"htype":"array-1.0","shape":[height,width],"type":"float32","frame":7,"source":"camera",
 *    "series":"wood-0001","timestamp_ns":1700000000000000000,"is_good_frame":0}
 *   pixels, row-major, little-endian
 *
 * the first in one line; timestamp_ns only when the sender gave a time, is_good_frame only when it
 * called the frame damaged. `source` is ingest.name.
 *
 * Sending never waits, and pixels are copied, so no viewer holds up a frame. A viewer has a queue
 * of `queue` frames, and all of them share copies for that many and 4, or of 64 MiB for up to two
 * such queues; with neither, the frame is lost to viewers. So of pub one viewer that stands still
 * costs the others nothing. Over TCP it is disconnected when it has taken nothing for 30 s. At the
 * end what is queued has 100 ms to leave. Nor can one fill the memory: after so many subscriptions,
 * or one that is too long, it is disconnected (viewers.h).
 *
 * What viewers lose is counted here and nowhere else: the data on disk are not concerned.
 *
 * One thread at a time; libzmq has one of its own for each stream. */

struct stream;

/* Of a series: each frame offered is in one of them. */
struct stream_figures {
	uint64_t sent;      /* pub: to every viewer there is; push: to one */
	uint64_t skipped;   /* left out by `every` or `rate` */
	uint64_t unwatched; /* pub: there was nobody to send to */
	uint64_t lost;      /* pub: at least one viewer had no room; push: nobody had. The others
	                       got it. Exact for one slow viewer that stands still, else to a
	                       frame for each time that one catches up */
};

struct stream_frame {
	uint64_t number;
	uint64_t timestamp_ns; /* 0: none */
	uint32_t flags;        /* enum frame_flag */
	const void *pixels;    /* shape.bytes, free again after stream_offer() */
};

/* Open a socket as sink `index` of the configuration says, and attach it.
 *
 * 0, or negative errno with why[] naming sink, endpoint and remedy: -EADDRINUSE, -EADDRNOTAVAIL
 * and -ENODEV where it cannot be bound, -EEXIST for an ipc path that is no socket, -EACCES,
 * -EINVAL, -ENOMEM. */
int stream_open(struct stream **ret, const struct config_sink *c, unsigned index,
                const char *source, char why[256]);

/* Accepts NULL. Takes 100 ms at most. */
void stream_close(struct stream *s);

/* "pub tcp://127.0.0.1:9998", with the port that the system chose for `*`. */
const char *stream_summary(const struct stream *s);

/* A series begins: its frames look like that and rise in steps of `stride`, of which every
 * `every`th is sent, from the first frame on. Figures begin at 0. `series` is copied. */
void stream_begin(struct stream *s, const struct sink_shape *shape, const char *series,
                  uint64_t stride);

/* Send the frame if it is due and somebody has room. now_ns: CLOCK_MONOTONIC. */
void stream_offer(struct stream *s, const struct stream_frame *f, uint64_t now_ns);

const struct stream_figures *stream_figures(const struct stream *s);

/* Bytes that copies of such frames may take. */
uint64_t stream_memory_bytes(const struct config_sink *c, const struct sink_shape *shape);

#endif
