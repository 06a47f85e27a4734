/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_QUALITY_H
#define DAEMON_QUALITY_H

#include "config/config.h"
#include "daemon/sentinels.h"
#include "kernels/defects.h"
#include "kernels/reduce.h"
#include "sinks/sinks.h"

#include <stdbool.h>
#include <stdint.h>

/* The quality of the frames of a series, as they are placed: sentinels, trends, histograms of the
 * last frame, the last second and the series, percentiles. The collector feeds it; people read a
 * copy that it renews ten times a second and never waits for them. */

struct quality;

/* One placed frame. What pointers lead to is read during the call. */
struct quality_frame {
	uint64_t number, step; /* of the sender's counter */
	uint64_t timestamp_ns; /* the sender's clock, 0: none */
	uint64_t received_ns;  /* CLOCK_REALTIME */
	uint32_t flags;        /* enum frame_flag: darks and flats are not judged by their dose */
	uint32_t calibration;  /* id; 0: none */
	bool has_flat;         /* that one has a flat: T is 1 in the open beam */
	const struct reduction *reduction;
	const struct region_stats *regions;             /* [config.region_count] */
	const uint32_t *raw_counts, *normalised_counts; /* [bins of quality_begin()] */
	const struct defects *defects;                  /* NULL: not looked for in this frame */
};

/* The machine, once a second. CLOCK_REALTIME. */
struct quality_machine {
	uint64_t now_ns;
	double buffer_used;                   /* share, 0 to 1 */
	double seconds_to_overflow;           /* infinite: not filling */
	uint64_t disk_free_bytes, disk_bytes; /* bytes 0: how large it is is not known */
	double disk_seconds_left;             /* infinite: nothing is written */
	const char *disk;                     /* directory; NULL: there is none to watch */
};

/* Something that happened to an alarm. */
struct quality_event {
	enum sentinel sentinel;
	bool raised; /* false: it ended */
	const struct alarm *alarm;
};

struct quality_events {
	void *user;
	void (*happened)(void *user,
	                 const struct quality_event *e); /* from within the calls below */
};

/* 0, -ENOMEM or what pthread_mutex_init() refuses. `c` and `events` are borrowed; events may be
 * NULL. Room for the histograms is that of c->histogram. */
int quality_open(struct quality **ret, const struct config *c, const struct quality_events *events);

/* Accepts NULL. */
void quality_close(struct quality *q);

/* A series begins: its bins, and whether raw pixels are integers in bins one count wide. Histograms
 * and findings begin anew, trends and alarms go on. Collector, as all below that do not say
 * otherwise. */
void quality_begin(struct quality *q, const struct bins *raw, const struct bins *normalised,
                   bool whole_bins);

/* The next frame of the series, numbers rising. About a microsecond, and half a nanosecond a bin.
 * Returns flags to add to the frame's: FRAME_BEAM_DIP, FRAME_NO_BEAM. */
uint32_t quality_frame(struct quality *q, const struct quality_frame *f);

/* The series ended, or pauses: alarms about frames end when it is said. now_ns: CLOCK_REALTIME. */
void quality_end(struct quality *q, uint64_t now_ns);

/* Once a second. */
void quality_machine(struct quality *q, const struct quality_machine *m);

/* Renew what people see, unless one of them is reading; at most ten times a second, however often
 * it is called. now_ns: CLOCK_REALTIME. */
void quality_publish(struct quality *q, uint64_t now_ns);

/* ---- for anybody, any thread: waits for nobody but other readers and one copy ---- */

enum quality_window { WINDOW_FRAME, WINDOW_SECOND, WINDOW_SERIES, WINDOW_COUNT };

/* A histogram as people see it. */
struct quality_histogram {
	uint64_t frames; /* in it */
	struct bins bins;
	uint64_t *counts; /* [bins.bins], to be freed by the caller */
	struct histogram_tails tails;
	float percentiles[PERCENTILES];
};

/* 0 or -ENOMEM. raw: of pixels as received, else of normalised ones. The last second is the ten
 * last tenths of it, the one that runs included. */
int quality_histogram(struct quality *q, bool raw, enum quality_window w,
                      struct quality_histogram *ret);

/* What is known of the last frame, and its rate. NaN where there is nothing. */
struct quality_figures {
	uint64_t frame; /* number of the last */
	double mean, std, raw_mean, raw_std, saturated_share, bad_share, dose, dose_reference;
	float raw_percentiles[PERCENTILES], percentiles[PERCENTILES];
	uint64_t dead, hot; /* pixels found that the calibration did not know, lasting */
	double fps;         /* of the last second, or the last interval where that is longer; by the
	                       sender's clock where it has one, else as received; 0: none come */
	unsigned region_count;
	struct quality_region {
		struct region_stats stats;
		double snr; /* mean / std of normalised pixels */
	} regions[CONFIG_REGIONS_MAX];
	struct alarm alarms[SENTINEL_COUNT];
};
void quality_figures(struct quality *q, struct quality_figures *ret);

/* Trends: one row a second, of the last ten minutes, means over that second's frames. Columns:
 * time_s (CLOCK_REALTIME), fps, mean, std, raw_mean, saturated_share, dose, and of each region
 * <name>_mean, <name>_raw_mean, <name>_snr. A second without frames has fps 0. */
#define TREND_ROWS 600

struct quality_trend {
	unsigned columns, rows;
	uint64_t ever;     /* rows since start */
	char (*names)[96]; /* [columns] */
	double *values;    /* [rows][columns], oldest first; NaN: nothing */
};
/* The newest rows, at most `most`. 0 or -ENOMEM; freed with quality_trend_done(). */
int quality_trend(struct quality *q, unsigned most, struct quality_trend *ret);
void quality_trend_done(struct quality_trend *t);

/* The findings of a series for its manifest and the log, in the order in which they came: each
 * alarm that was raised while it ran, with its frames, and those about the machine that were active
 * when it began. At most FINDINGS_MAX; more are counted. Complete after quality_end(), until the
 * next quality_begin(). */
#define FINDINGS_MAX 256

struct finding {
	enum sentinel sentinel;
	uint64_t first_frame, last_frame, from_ns, to_ns;
	bool of_frames;
	double worst, limit;
	char text[ALARM_TEXT];
};
unsigned quality_findings(const struct quality *q, const struct finding **ret,
                          uint64_t *ret_left_out);

#endif
