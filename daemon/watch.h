/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_WATCH_H
#define DAEMON_WATCH_H

#include "daemon/alarm.h"

/* When an alarm is raised, renewed and ended: near a limit it does not flicker.
 *
 *   quiet ──passed without a break for for_ns──▶ active ──well without a break for clear_ns──▶
 * quiet
 *
 * Pure bookkeeping: time is what the caller says it is. */

#define WATCH_RENEW_NS ((uint64_t)1000000000u) /* from one text of an active alarm to the next */

struct watch_rules {
	double limit;              /* 0: nobody looks */
	uint64_t for_ns, clear_ns; /* see above */
	bool of_frames;            /* looks are at frames, else at the machine */
	bool low;                  /* the smaller value is the worse one */
};

/* One look. */
struct watch_look {
	bool passed; /* the limit is */
	double value;
	double detail, usual; /* for the text: sentinel_texts.h */
	uint64_t frame;       /* its number, */
	uint64_t before;      /* and that of an earlier one: sentinel_texts.h */
	uint64_t real_ns;     /* CLOCK_REALTIME */
	uint64_t began_ns;    /* likewise: it began at frame `before`; 0: here */
	uint64_t steady_ns;   /* steady.h */
};

/* Zeroed: quiet. */
struct watch {
	struct alarm alarm;
	bool pending;              /* quiet, but the last look passed; */
	bool well;                 /* active, but the last look did not */
	uint64_t well_ns, text_ns; /* since when, and of the last text: steady */
	struct watch_look first;   /* that passed, of this alarm or what may become one, */
	struct watch_look last;    /* the last, */
	struct watch_look worst;   /* the worst */
};

enum watch_change {
	WATCH_NOTHING,
	WATCH_RAISED,  /* the alarm needs a text */
	WATCH_RENEWED, /* likewise, a second later */
	WATCH_ENDED,   /* likewise, of the worst */
};

/* Looks of one watch have rising steady_ns. */
enum watch_change watch_take(struct watch *w, const struct watch_rules *r,
                             const struct watch_look *look);

/* There will be no more looks for now: WATCH_ENDED or WATCH_NOTHING. */
enum watch_change watch_end(struct watch *w);

/* From the first look that passed to the last. */
double watch_seconds(const struct watch *w);

#endif
