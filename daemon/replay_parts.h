/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_REPLAY_PARTS_H
#define DAEMON_REPLAY_PARTS_H

#include "config/config.h"
#include "daemon/calibrated.h"
#include "daemon/planes.h"
#include "daemon/replaying.h"
#include "daemon/slot_layout.h"
#include "sinks/recorded.h"

/* What the parts of a replay share; for them alone. */

struct replay_writer;
struct replay_flats;

/* What became of one frame. */
struct replay_frame {
	struct journal_record record; /* of the source */
	struct reduction reduction;
	struct region_stats regions[CONFIG_REGIONS_MAX];
	uint32_t calibration; /* id */
	bool repeatable;      /* the same can come out */
	bool alike;           /* and did, so far */
};

struct replay {
	const struct replay_options *options;
	struct replay_result *result;
	struct recorded recorded;
	struct config config;   /* of the manifest */
	struct config planned;  /* the same with the sink of what is written; borrows its texts, */
	struct config defaults; /* or those of these */
	struct sink_pixels pixels;
	unsigned cpu;

	/* The pass. */
	struct layout layout; /* planned, never opened */
	uint32_t id;          /* of the calibration in use; */
	bool has_calibrated;
	struct planes planes;
	struct calibrated *calibrated;
	struct sink_calibration *listed; /* all in use so far [listed_count] */
	unsigned listed_count;
	struct replay_flats *flats; /* NULL: those of the manifest */

	/* Memory, since the first frame was found. */
	void *scratch, *source, *sums;
	void *reduced; /* NULL: the writer's */
	uint32_t *raw_counts, *normalised_counts;

	/* The series' histograms [bins], and whether every frame is in them. */
	uint64_t *raw_sums, *normalised_sums;
	struct histogram_tails raw_tails, normalised_tails;
	bool histograms_whole;

	/* The mean that is being made: of frames of one group. */
	uint64_t group;
	uint32_t members;         /* in the sums */
	bool page_broken;         /* a frame of it is not there, or cannot be repeated */
	bool changed_in_page;     /* the frame has another calibration than those before it */
	uint64_t received_sum_ns; /* since the first of them, */
	uint64_t received_first_ns;
	struct replay_frame last; /* of them */

	struct replay_writer *writer; /* NULL: nothing is written */
};

/* replay_kinds.c: say it of a frame, or of the series. */
void replay_note(struct replay_kinds *k, const uint64_t *frame, const char *what,
                 const char *example);
__attribute__((format(printf, 3, 4))) int replay_refuse(struct replay *r, int error,
                                                        const char *format, ...);
__attribute__((format(printf, 2, 3))) void replay_say(const struct replay *r, const char *format,
                                                      ...);

/* replay_pass.c: the plan by the configuration; 0 or negative errno with why. */
int replay_plan(struct replay *r);

/* Memory for frames. 0 or -ENOMEM with why. */
int replay_allocate(struct replay *r);
void replay_free(struct replay *r);

/* Use calibration `id`. 0, -ENOENT when the manifest does not name it, or another negative errno
 * with why. */
int replay_calibrate(struct replay *r, uint32_t id);

/* Hold every calibration file of the manifest against its checksum. 0 or -EINVAL with why. */
int replay_check_files(struct replay *r);

/* Put r->source through the pass, into `reduced`. */
void replay_reduce(struct replay *r, struct replay_frame *f, void *reduced);

/* replay_compare.c: hold a frame against the ledger. */
void replay_compare(struct replay *r, struct replay_frame *f);
void replay_compare_histograms(struct replay *r);

/* Hold the product of `members` frames, of which f is the last, against the other sinks. */
void replay_compare_product(struct replay *r, struct replay_frame *f, uint32_t members);

/* replay_pages.c: with reduce.average. A frame of this number comes: make the page before it, if it
 * is of another one. 0 or negative errno with why. */
int replay_group(struct replay *r, uint64_t number);

/* The frame joins its page; r->source holds its pixels. */
void replay_join(struct replay *r, struct replay_frame *f);

/* Make the last page. 0 or negative errno with why. */
int replay_finish_pages(struct replay *r);

/* replay_flats.c: two flats, and the one between them at a time. */
int replay_flats_open(struct replay *r);
void replay_flats_close(struct replay *r);

/* The second of them, as a manifest names it. */
struct sink_calibration replay_flats_after(const struct replay *r, uint32_t id);

/* Planes with the flat of time received_ns (CLOCK_REALTIME), instead of those in use. 0 or negative
 * errno with why. */
int replay_flats_use(struct replay *r, uint64_t received_ns);

/* replay_write.c: what comes out, as a series. */
int replay_write_configure(struct replay *r);
int replay_write_open(struct replay *r);

/* Memory for the next reduced product, when there is some. */
void *replay_write_buffer(struct replay *r);

/* A frame, or the page of which it is the last, with the product in the buffer. */
void replay_write_put(struct replay *r, const struct replay_frame *f, uint32_t averaged);

/* A frame that is in the page put next. */
void replay_write_join(struct replay *r, const struct replay_frame *f);

/* A frame whose pixels are not to be had. */
void replay_write_lose(struct replay *r, const struct journal_record *record);

/* End the series. 0 or negative errno with why. */
int replay_write_end(struct replay *r);
void replay_write_close(struct replay *r);

#endif
