/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_LANE_H
#define SINKS_LANE_H

#include "sinks/framepool.h"
#include "sinks/journal.h"
#include "sinks/lost.h"

/* One configured sink at work: a queue of frames, the file being filled and those that are
 * ending, the journal, and what became of every frame.
 *
 *   queue ──▶ datafile ──sync──▶ journal ──sync──▶ durable
 *     └────────────┴──── lost ──────┘ */

#define LANE_FILES 4

/* Pixels that several lanes may need. */
struct frame_hold {
	void *owner;
	unsigned users;
	struct frame_hold *next;
};

struct lane;

struct lane_host {
	void *user;
	void (*release)(void *user, struct frame_hold *h); /* one user less */
	void (*settled)(void *user, const struct lane *l, uint64_t number, enum frame_state state,
	                unsigned reason, bool revoked);
	void (*landed)(void *user, const struct lane *l, const struct sink_times *times);
	void (*lasting)(void *user, const struct lane *l, const struct sink_times *times);
	void (*durable)(void *user, const struct lane *l, uint64_t frames);
	void (*say)(void *user, enum sink_say level, const char *text);
};

/* A file that has ended, for reports. */
struct lane_file {
	uint32_t index;
	bool unfinished; /* still .part */
	uint64_t frames;
};

struct stream;

struct lane {
	/* Since lane_open(). */
	const struct lane_host *host;
	const struct config_sink *config;
	const struct config_region *regions; /* [region_count] */
	unsigned region_count;
	const struct format *format;
	struct writer *writer;
	unsigned index; /* in the configuration */
	bool primary, journalled;
	int directory; /* file descriptor, -1: none */
	bool direct;
	struct datafile_events events;
	struct datafile files[LANE_FILES];
	struct stream *stream; /* owned; NULL: of another format */

	/* Since lane_lay_out(). */
	struct sink_shape shape;
	struct format_plan plan;
	bool zero_copy;
	struct staging staging;
	struct frame_pool pool;

	/* Of the series. */
	struct format_file described;
	int folder; /* file descriptor, -1: none */
	const char *folder_name, *folder_path;
	struct journal journal;
	struct lost_list lost;
	struct datafile *current;
	struct datafile_frame *first, *last;         /* waiting for a file */
	struct datafile_frame *joined, *joined_last; /* members of the frame put next */
	struct datafile_frame *handed, *handed_last,
		*handed_batched; /* null: wait for the journal */
	bool head_reserved;      /* the first one has its room in the journal */
	bool stopped, draining, lost_due, ledger_damaged;
	enum dropped stopped_reason, retry_reason;
	uint64_t retry_ns, journal_retry_ns, sync_ns; /* monotonic; 0: none */
	uint32_t next_index;
	uint64_t undurable; /* frames and members in files or handed, without a record */
	uint64_t written, durable, dropped[DROPPED_COUNT];
	uint64_t short_of_space; /* frames dropped since the disk became full */
	uint32_t space_index;    /* a frame that lands in this file or a later one: space again */
	struct lane_file *ended;
	size_t ended_count, ended_capacity;
};

/* Cannot fail. `directory` is an open directory, owned from now on. */
void lane_open(struct lane *l, const struct lane_host *host, struct writer *w,
               const struct config *c, unsigned index, int directory, bool direct);

/* Accepts a zeroed one. Nothing may be under way. */
void lane_close(struct lane *l);

/* 0, -ENOMEM, or -EINVAL for frames without pixels. Between series. */
int lane_lay_out(struct lane *l, const struct sink_shape *shape);

/* Bytes that lane_lay_out() allocates, and frames without a record at most. */
uint64_t lane_memory_bytes(const struct config *c, unsigned index, const struct sink_shape *shape);

struct lane_series {
	const char *name;    /* of the folder */
	const char *path;    /* of the folder */
	int folder;          /* file descriptor, owned from now on; -1: could not be made */
	int ledger;          /* of the folder with the journal; borrowed; -1: none */
	const char *journal; /* its file name */
	uint32_t number;
	uint64_t started_ns;
	uint64_t step;
	const struct sink_start *start;
	bool window, display; /* see format_file */
	double window_low, window_high;
	uint32_t average, normalise;
	const struct config_rotation *rotation;
	const char *version;
	int error; /* why there is no folder */
};

/* Texts are borrowed until lane_finish(). 0, or negative errno after say(): frames are then
 * dropped. */
int lane_begin(struct lane *l, const struct lane_series *s);

/* The frame is a member of the one put next, whose pixels are the mean of both: its record waits
 * for that one's place. The record is copied, with its regions [region_count]. */
void lane_join(struct lane *l, const struct journal_record *record, const struct sink_times *times);

/* Take a frame. `record`, copied likewise, is filled but for file and place; with hold NULL no
 * pixels. `bytes` of them: the frame's, or what compression made of it. */
void lane_put(struct lane *l, const struct journal_record *record, const struct sink_times *times,
              const void *pixels, size_t bytes, struct frame_hold *hold);

/* Note a frame that never came here. */
void lane_lose(struct lane *l, const struct loss *loss);

/* Go as far as possible without waiting for a write or a sync. now_ns: monotonic. */
void lane_step(struct lane *l, uint64_t now_ns);

/* When lane_step() is due at the latest; 0: at once, it stopped only to return soon. */
uint64_t lane_next_ns(const struct lane *l);

/* Sync and journal what is there, without waiting for the interval, until lane_is_drained(). */
void lane_drain(struct lane *l);
bool lane_is_drained(const struct lane *l);

/* End the current file too, until lane_is_ended(). */
void lane_end(struct lane *l);
bool lane_is_ended(const struct lane *l);

/* Forget the series: close the journal (its length stays in *ret_journal_bytes) and the folder.
 * Only when ended. The list of ended files and `lost` stay until the next lane_begin(). */
void lane_finish(struct lane *l, uint64_t *ret_journal_bytes);

#endif
