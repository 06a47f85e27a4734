/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_CALIBRATOR_H
#define DAEMON_CALIBRATOR_H

#include "config/config.h"
#include "daemon/calibration_make.h"
#include "daemon/keeping.h"
#include "daemon/planes.h"
#include "daemon/stage.h"

#include <pthread.h>
#include <stdatomic.h>

/* The thread that makes dark and flat of kept frames: unpacks them, combines them, saves the image
 * and makes planes of it and of the images that are in use. The collector gives it one job at a
 * time and puts the planes to use. */

struct pipeline;

/* An image made of frames. */
struct owned_image {
	float *pixels;
	uint8_t *found;
	char *path;
	struct sink_calibration about; /* its path is `path` */
};

/* Accepts a zeroed one. */
void owned_image_done(struct owned_image *o);

_Static_assert((int)CALIBRATE_DARK == (int)PLANES_DARK && (int)CALIBRATE_FLAT == (int)PLANES_FLAT &&
                       (int)CALIBRATE_FLAT_DARK == (int)PLANES_FLAT_DARK,
               "roles number the planes' images");

struct calibration_job {
	enum calibration_role role;
	enum combine combine;
	uint64_t wanted;         /* frames that were asked for; 0: as many as came */
	struct kept_list frames; /* freed one by one as they are unpacked */
	double exposure_s;       /* of the detector, 0: not known */
	double saturation;       /* raw value, infinite: none */
	uint32_t id;             /* of the calibration that it becomes */

	/* Its result. */
	int err; /* negative errno: refused or failed, as text says; all else is then unset */
	struct planes *planes;          /* the taker's, from malloc() */
	struct owned_image replaced[2]; /* the taker's, to be freed when nobody reads them */
	uint64_t used, left_out, dead, hot, noisy;
	char path[4352];
	char text[400];
};

struct calibrator {
	struct stage stage;
	struct pipeline *pipeline;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct calibration_job *job; /* under lock: being made; NULL: none */
	bool stop;                   /* under lock */
	struct calibration_job *_Atomic done;

	/* The thread's. */
	struct planes_images images;             /* in use: the configuration's, or those below */
	struct owned_image own[CALIBRATE_COUNT]; /* made of frames */
};

/* 0 or negative errno. */
int calibrator_open(struct calibrator *c, struct pipeline *p);

/* Accepts a zeroed one. The thread must have ended. */
void calibrator_close(struct calibrator *c);

void *calibrator_run(void *argument);
void calibrator_stop(struct calibrator *c);

/* Make this; the job is lent until calibrator_take() returns it. One at a time. Collector. */
void calibrator_give(struct calibrator *c, struct calibration_job *job);

/* The job that is done, or NULL. The thread rings the collector's bell when it is. Collector. */
struct calibration_job *calibrator_take(struct calibrator *c);

#endif
