/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_SINKS_H
#define SINKS_SINKS_H

#include "config/config.h"
#include "kernels/reduce.h"
#include "sinks/ledger.h"
#include "sinks/write_times.h"

/* All configured sinks, the journal and the series folder behind one interface, for the one
 * thread that collects frames. Nothing here creates a thread or logs; what people must hear
 * comes through the `say` callback.
 *
 * Life: sinks_open, then for each geometry sinks_lay_out, then for each series sinks_begin,
 * { sinks_put | sinks_lose | sinks_poll }..., sinks_end, and at last sinks_close.
 *
 * The primary sink is the first that keeps pixels; with only `null` and `stream`, the first. The
 * ledger is about it: its events alone reach settled(). Each further pixel-keeping sink has a
 * journal and a sink-<n>.csv of its own, n being its index in the configuration; its losses make
 * the series incomplete. For a primary `null` or `stream`, written means handed over and durable
 * that the ledger is. What the viewers of a stream lose is counted apart (stream.h), and a
 * further `stream` has no ledger.
 *
 * Callbacks come from within sinks_put, _poll, _drain, _begin, _end and _close, and must not call
 * back into the sinks. A sync or journal that fails is one of the reasons for `revoked`.
 *
 * <directory>/<name>-<number>/<name>-<number>_<file>.tif: the number has at least four digits,
 * the file six. */

enum sink_say { SINK_INFO, SINK_WARNING, SINK_ERROR };

/* The caller's clock at two moments of a frame's way: carried along and given back, no more. */
struct sink_times {
	uint64_t arrived_ns; /* its last byte came */
	uint64_t put_ns;     /* it was handed over */
};

struct sink_callbacks {
	void *user;

	/* No sink needs the pixels of `owner` any more. Exactly once for each sinks_put(). */
	void (*released)(void *user, void *owner);

	/* The primary sink has decided: FRAME_WRITTEN when the pixels are in the file,
	 * FRAME_DROPPED with an enum dropped when they never will be. Once per frame put, except
	 * that a sync that fails turns FRAME_WRITTEN into FRAME_DROPPED (`revoked` is true). */
	void (*settled)(void *user, uint64_t number, enum frame_state state, unsigned reason,
	                bool revoked);

	/* So many more frames of the primary sink became durable: pixels and journal synced. */
	void (*durable)(void *user, uint64_t frames);

	/* One sentence for the log, at most a few a second: "disk full: ..., /data/x.tif.part". */
	void (*say)(void *user, enum sink_say level, const char *text);

	/* The primary sink's frames one by one, with settled() and before durable(): the frame's
	 * pixels are in the file; they and its record are synced. NULL: nobody asks. */
	void (*landed)(void *user, const struct sink_times *times);
	void (*lasting)(void *user, const struct sink_times *times);
};

/* What the frames of a series look like, for each product. */
struct sink_shape {
	uint32_t width, height; /* pixels */
	enum product_type type;
	size_t bytes; /* of one frame */
};

struct sink_geometry {
	struct sink_shape reduced, source; /* source.bytes 0 when no sink takes it */

	/* Memory that frames will be put from, so that it can be registered with the kernel;
	 * addresses of the pieces, each 4096-byte aligned, alive until the next sinks_lay_out()
	 * or sinks_close(). */
	const struct sink_memory {
		void *at;
		size_t bytes;
	} * memory;
	unsigned memory_count;
};

/* A calibration file as the manifest names it, and for sinks that store it the image: immutable
 * until the series has ended. */
struct sink_calibration {
	const char *role; /* "dark", "flat", "flat_dark", "mask" */
	const char *path;
	uint32_t crc32c; /* of the file's bytes */
	uint64_t bytes;
	const float
		*pixels; /* of the full frame, counts [height][width]; NULL: no sink stores it */
	uint32_t width, height;
	uint32_t id;       /* of the calibration it is part of; frames name it, 1 is the first */
	bool from_stream;  /* made by this daemon, */
	uint32_t frames;   /* of so many frames; 0: not known */
	uint64_t taken_ns; /* CLOCK_REALTIME, 0: not known */
};

/* What the manifest says beyond the figures. Texts are borrowed until sinks_close(). */
struct sink_program {
	const char *version, *commit, *isa;
	const char *config_json; /* config_json() */
};

/* One frame, handed over. Pixels must stay untouched until released(), packed ones likewise; they
 * are 4096-byte aligned and readable up to their bytes rounded up to 4096. Everything else is
 * copied. */
struct sink_frame {
	uint64_t number;
	uint64_t timestamp_ns, received_ns; /* timestamp 0: none */
	uint32_t flags;                     /* enum frame_flag */
	double rotation;                    /* degrees, by its sender; NaN: not said */
	uint32_t averaged;                  /* frames in it */
	const void *reduced, *source;
	const void *reduced_packed, *source_packed; /* kernels/pack.h; NULL: not sinks_pack() */
	size_t reduced_packed_bytes, source_packed_bytes;
	const struct reduction *reduction;
	const struct region_stats *regions; /* [config.region_count]; NULL: not known */
	uint32_t calibration;               /* id of the one it was normalised with; 0: none */
	struct sink_times times;
	void *owner;
};

/* What the detector said of itself when the series began. */
struct sink_detector {
	const char *description;
	uint32_t width, height;      /* pixels, 0: not said; */
	uint64_t masked;             /* so many of them bad by its mask */
	uint64_t saturation;         /* counts, 0: not said */
	double exposure_s, period_s; /* 0: not said */
};

/* What a sentinel found. */
struct sink_finding {
	const char *sentinel;
	uint64_t first_frame, last_frame; /* numbers, */
	bool of_frames;                   /* where it is about frames */
	uint64_t from_ns, to_ns;          /* CLOCK_REALTIME */
	double worst, limit;
	const char *text; /* a sentence */
};

/* Who ended a series before its time. */
struct sink_stop {
	const char *command; /* "stop", "abort" */
	const char *by;      /* where it came from */
	uint64_t at_ns;      /* CLOCK_REALTIME */
	uint64_t frames;     /* that were expected until then; 0: not known */
};

/* How long frames took through one stage of their way. Percentiles; NaN: there were none. */
struct sink_latency {
	const char *stage;
	uint64_t frames;
	double p50_ms, p99_ms, p999_ms, max_ms;
};

/* For how long a thread slept for something. */
struct sink_wait {
	const char *thread, *what; /* "rx0", "messages" */
	double seconds;
};

/* How a series flowed through the program. */
struct sink_flow {
	uint64_t slots, slots_peak;       /* that there are, in use at most; of all receivers */
	uint64_t payloads, payloads_peak; /* frames received and not yet reduced, likewise */
	double peak_ratio;                /* the fuller of both for the fullest receiver, 0 to 1 */
	const struct sink_wait *waits;    /* [wait_count], those of a thread in a row */
	unsigned wait_count;
};

/* Frames that were lost together. */
struct sink_loss {
	const char *state, *reason;
	uint64_t first_frame, last_frame; /* numbers; `frames` of those between */
	uint64_t frames;
	uint64_t time_ns; /* CLOCK_REALTIME, of the first */
	const char *text; /* a sentence */
};

/* How a series ended, for histogram.csv and manifest.json. Counts are since it began. */
struct sink_summary {
	const struct totals *totals;
	const struct sink_detector *detector; /* NULL: nothing */
	const char *expected_from;            /* "protocol", "config", "seen" */
	const struct sink_stop *stopped;      /* NULL: it ended by itself */
	const char *const *reasons;           /* why it is incomplete, sentences; */
	unsigned reason_count;                /* 0: complete, unless a further sink lost frames */
	struct bins raw_bins, normalised_bins;
	const uint64_t *raw_counts, *normalised_counts; /* [bins] */
	struct histogram_tails raw_tails, normalised_tails;
	const float *raw_percentiles,
		*percentiles; /* of the series [PERCENTILES]; NULL: not known */

	/* All that were used in the series, ids ascending [calibration_count]; NULL: those that
	 * it began with. The masters of HDF5 sinks hold the images of the highest id. */
	const struct sink_calibration *calibrations;
	unsigned calibration_count;
	const struct sink_finding *findings; /* [finding_count] */
	unsigned finding_count;
	uint64_t findings_left_out;         /* so many more */
	const struct sink_latency *latency; /* [latency_count] */
	unsigned latency_count;
	const struct sink_loss *losses; /* [loss_count] */
	unsigned loss_count;
	const struct sink_flow *flow; /* NULL: not known */
};

struct sinks;

/* Whether this version has the format; `why` says why not. */
bool sink_format_built(enum sink_format f);

/* For --list: name and half a line for each format of this version, ended by name NULL. */
struct sink_row {
	const char *name, *summary;
};
extern const struct sink_row sink_rows[];

/* Whether a sink stores this product compressed: frames must then come with it packed, too. */
bool sinks_pack(const struct config *c, enum sink_product product);

/* Bytes the sinks allocate for themselves beside the frames put (staging, journal), for the
 * memory ceiling. */
uint64_t sinks_memory_bytes(const struct config *c, const struct sink_geometry *g);

/* Open the writer and prove that every directory is there and can be written.
 * wake_fd: an eventfd that completions shall signal, so that the caller can sleep on it.
 * 0, or negative errno with why[] naming the directory: -ENOENT, -EACCES, -EROFS, -ENOSPC,
 * -EEXIST (two sinks on the same file name), -ENOMEM; or with why[] naming the endpoint of a
 * stream: those of stream_open(). */
int sinks_open(struct sinks **ret, const struct config *c, const struct sink_program *program,
               const struct sink_callbacks *callbacks, int wake_fd, char why[256]);

/* Accepts NULL. Outstanding writes are waited for. In mid-series the files are finished, the
 * reports are left to recovery; that is for the thread that began the series. */
void sinks_close(struct sinks *s);

/* "io_uring, O_DIRECT, 4 registered buffers" or "pwrite (io_uring refused: ...)"; for the log. */
const char *sinks_writer_summary(const struct sinks *s);

/* Between series. A geometry without pixels (reduced.bytes 0) only lets go of the memory given
 * before. 0 or negative errno (-ENOMEM). */
int sinks_lay_out(struct sinks *s, const struct sink_geometry *g);

/* The histograms of a running series; what they point to is borrowed until sinks_end(). */
struct sink_histograms {
	struct bins raw_bins, normalised_bins;
	const uint64_t *raw_counts, *normalised_counts; /* [bins] */
	const struct histogram_tails *raw_tails, *normalised_tails;
};

/* The pixels as they are processed, and where in the payload they were: what it takes to send
 * the frames of a source product once more. */
struct sink_pixels {
	uint32_t width, height;                 /* pixels, of the region that is processed, */
	uint32_t left, top;                     /* its first column and row in the payload, */
	uint32_t payload_width, payload_height; /* which has so many */
	enum pixel_type type;
	unsigned bits;     /* significant ones */
	double saturation; /* raw values at and above it count as saturated; infinite: none */
	bool has_no_value; /* raw value no_value: there is none */
	int64_t no_value;
};

/* What is known of a series when it begins, for the journal: recovery leaves no number out. Texts
 * are borrowed for the call, unless they say otherwise. */
struct sink_start {
	const char *name;
	bool first_known;
	uint64_t first;            /* number, */
	uint64_t frames;           /* so many from there; 0: not known */
	const char *expected_from; /* who says so: "protocol", "config", "seen" */
	/* Kept on disk once a second; NULL: not. */
	const struct sink_histograms *histograms;
	const char *kind; /* static: "dark", "flat", "blackbox"; NULL: "sample" */
	const char *why;  /* what a black box was written for; NULL: nothing to say */
	const struct sink_pixels *pixels; /* NULL: not known */

	/* In use, until sinks_end() [calibration_count]. */
	const struct sink_calibration *calibrations;
	unsigned calibration_count;
};

/* Make the series folders, the journal and a manifest in state `running`. The running number is
 * the first free one, the same in every directory. A directory is the one that its path leads to
 * now, be it another than at sinks_open(). 0, or negative errno after say(). After a
 * failure frames may be put all the same: they are settled as dropped (write, no_space). */
int sinks_begin(struct sinks *s, const struct sink_start *start);

/* Calibrations came into use since the series began: the manifest that a crash would leave names
 * all of them, ids ascending, borrowed until sinks_end() [count]. Waits until it is on the disk; an
 * error is said. Nothing without a running series. */
void sinks_calibrated(struct sinks *s, const struct sink_calibration *calibrations, unsigned count);

/* The series is being stopped: what a crash would leave says so, and recovery does not wait for
 * frames that were announced. Borrowed until sinks_end(). As sinks_calibrated(). */
void sinks_stopped(struct sinks *s, const struct sink_stop *stopped);

/* Folder of the running or last series, "" before the first; its number. */
const char *sinks_series_path(const struct sinks *s);
uint32_t sinks_series_number(const struct sinks *s);

/* The frame is averaged with the one that sinks_put() hands over next. Sinks of product source
 * take it like any other; for the others it has no pixels of its own, and its record shares that
 * one's place. */
void sinks_join(struct sinks *s, const struct sink_frame *f);

/* Hand over the next frame; numbers rise within a series. Its writes are only queued,
 * but creating, cutting and naming a file are system calls made here and in sinks_poll(), which
 * a slow file system can hold up. */
void sinks_put(struct sinks *s, const struct sink_frame *f);

/* Record a frame that was dropped before the sinks, or is missing. Any order. */
void sinks_lose(struct sinks *s, uint64_t number, enum frame_state state, unsigned reason,
                uint32_t flags, uint64_t received_ns);

/* Reap completions, submit what waits, sync and journal when due. Waits for no write and
 * no sync (with the pwrite fallback: for one of them), only as sinks_put() says. now_ns:
 * CLOCK_MONOTONIC. Returns when it wants to be called again at the latest (monotonic ns),
 * completions signal wake_fd before that. */
uint64_t sinks_poll(struct sinks *s, uint64_t now_ns);

/* Frames put and not yet released. */
uint64_t sinks_busy(const struct sinks *s);

/* Finish what was put: write, sync, journal. Blocks, calling back as frames settle; the caller
 * then knows the totals. sinks_end() does it too. */
void sinks_drain(struct sinks *s);

/* Close the series: drain, finish the files under their final names, write frames.csv from the
 * journal, histogram.csv and the final manifest, sync the folder. True when the series is
 * complete (summary and every sink). Errors are said and make it false. */
bool sinks_end(struct sinks *s, const struct sink_summary *summary);

/* Bytes written to files and errors by operation, since sinks_open(). Only the calling thread
 * writes them. */
struct sink_figures {
	uint64_t written_bytes, writes, syncs, errors;
	uint64_t write_errors, sync_errors;
	uint64_t write_ns_max, write_ns; /* of one write, of all */
	uint64_t write_times[WRITE_TIMES];
	struct writer_share each[CONFIG_SINKS_MAX]; /* of each sink */
};
void sinks_figures(const struct sinks *s, struct sink_figures *ret);

/* The longest write and the longest sync that ended since the last call, and the operations that
 * are under way now. */
struct sink_longest {
	uint64_t write_ns, sync_ns;
	unsigned under_way;
};
void sinks_longest(struct sinks *s, struct sink_longest *ret);

#endif
