/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HOST_FIT_H
#define DAEMON_HOST_FIT_H

#include <stdbool.h>

/* Will it fit? Arithmetic and words about figures that were measured (host_measure.h). */

/* Everything that is known. Rates are frames/s, times s, sizes bytes; 0: not measured, not asked
 * for, does not apply. */
struct fit {
	const char *what;      /* "2560 x 2160 uint16" */
	const char *directory; /* whose disk has the least space */

	double rate;    /* that is asked for; 0: what is the highest? */
	double seconds; /* for so long; 0: without end */

	double frame_bytes; /* a frame as it arrives, */
	double out_bytes;   /* what is written of it */

	double cores;              /* that the daemon may use */
	double path_cpu_s;         /* of a frame: reducing, collecting, writing; */
	double wire_cpu_s;         /* receiving; */
	double sender_cpu_s;       /* sending, where the sender is on this host; else 0 */
	double path_rate;          /* what one thread of the data path limits; 0: none does */
	double wire_rate;          /* of all endpoints together */
	double memory_bytes_per_s; /* moved by copying on all cores, read and written */
	double disk_bytes_per_s;   /* with syncing */
	bool disk_is_least;        /* the disk was not what was waited for: it takes more */
	double free_bytes;         /* on the disk */
	double buffer_frames;      /* that ingest.buffer holds */
	bool sender_is_held;       /* ingest.overload block over push: else frames are dropped */
};

/* What ends first. */
enum fit_limit { FIT_CORES, FIT_PATH, FIT_WIRE, FIT_MEMORY, FIT_DISK, FIT_SPACE, FIT_LIMITS };

struct fit_finding {
	const char *level, *area; /* "ok", "warning", "error" */
	char text[640];           /* a sentence, with the remedy */
};

struct fit_verdict {
	bool fits;
	enum fit_limit limit; /* the tightest */
	double rate;          /* the highest that is held without end, but for the space */
	double spare;         /* rate / that which is asked for; with FIT_SPACE of the space */
	double until_s;       /* it stops fitting then; 0: it fits */

	/* One for each thing that was measured, and the verdict, area "fit". */
	struct fit_finding findings[FIT_LIMITS + 2];
	unsigned count;
};

void fit_judge(const struct fit *f, struct fit_verdict *ret);

#endif
