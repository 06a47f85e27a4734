/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stream_costs.h"

#include "bench/disk_limit.h"
#include "bench/machine.h"
#include "bench/zmq_limit.h"
#include "kernels/cpu.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#define ABOUT_BYTES  64 /* of a message that says which slot of shared memory */
#define WRITE_BYTES  (1ull << 30)
#define WRITE_FACTOR 1.5 /* a disk takes longer to be steady */

int stream_meter_open(struct stream_meter *m, const char *directory, const struct stream_kind *k,
                      char why[512])
{
	*m = (struct stream_meter){ .cores = machine_cores(), .directory = directory };
	if (pass_limit_open(&m->pass, k->width, k->height, m->cores)) {
		snprintf(why, 512, "no memory for the frames of the pass");
		return EX_OSERR;
	}
	m->width = k->width;
	m->height = k->height;
	return 0;
}

void stream_meter_close(struct stream_meter *m)
{
	if (m->width)
		pass_limit_close(&m->pass);
	*m = (struct stream_meter){ 0 };
}

static int add_carried(const struct zmq_load *load, double messages, double seconds,
                       struct stream_costs *ret, char why[512])
{
	struct zmq_limit limit;
	double send, receive;

	if (zmq_limit_run(load, 1, seconds, &limit, why))
		return EX_UNAVAILABLE;
	send = samples_median(&limit.send_s_per_frame);
	receive = samples_median(&limit.receive_s_per_frame);
	/* Of what is announced and released both sides send and receive one. */
	samples_add(&ret->send, messages > 1 ? send + receive : send);
	samples_add(&ret->receive, messages > 1 ? send + receive : receive);
	samples_add(&ret->faults, messages * samples_median(&limit.faults_per_frame));
	samples_add(&ret->zmq, messages * samples_median(&limit.cpu_s_per_frame));
	return 0;
}

static int measure_transport(const struct stream_kind *k, double seconds, struct stream_costs *ret,
                             char why[512])
{
	bool shared = k->transport == TRIAL_SHM;
	struct zmq_load load = {
		.endpoint = k->transport == TRIAL_TCP ? "tcp://127.0.0.1:*" : "ipc://*",
		.frame_bytes = shared ? ABOUT_BYTES : (size_t)2 * k->width * k->height,
		.links = k->endpoints,
	};

	return add_carried(&load, shared ? 2 : 1, seconds, ret, why);
}

static int measure_pass(struct stream_meter *m, double seconds, struct stream_costs *ret,
                        char why[512])
{
	const struct pass_load load = { cpu_detect(), m->cores, true };
	struct pass_figures figures;

	if (!pass_limit_measure(&m->pass, &load, 1, seconds, &figures)) {
		snprintf(why, 512, "no memory for the pass");
		return EX_OSERR;
	}
	samples_add(&ret->pass, samples_median(&figures.cpu_s_per_frame));
	return 0;
}

static int measure_write(const struct stream_meter *m, double seconds, struct stream_costs *ret,
                         char why[512])
{
	double product_gb = 2e-9 * (m->width / 2) * (m->height / 2);
	struct disk_limit limit;
	int err = disk_limit_measure(m->directory, 1, seconds, WRITE_BYTES, &limit, why);

	if (err)
		return err == -EACCES ? EX_NOPERM : EX_CANTCREAT;
	samples_add(&ret->write, samples_median(&limit.cpu_s_per_gb) * product_gb);
	return 0;
}

static double last(const struct samples *s)
{
	return s->count ? s->at[s->count - 1] : 0;
}

int stream_meter_round(struct stream_meter *m, const struct stream_kind *k, bool disk,
                       double seconds, struct stream_costs *ret, char why[512])
{
	int status = measure_transport(k, seconds, ret, why);

	if (!status)
		status = measure_pass(m, seconds, ret, why);
	if (!status && disk)
		status = measure_write(m, WRITE_FACTOR * seconds, ret, why);
	if (status)
		return status;
	samples_add(&ret->null, last(&ret->zmq) + last(&ret->pass));
	if (disk)
		samples_add(&ret->disk, last(&ret->null) + last(&ret->write));
	return 0;
}

double stream_spread(const struct samples *s)
{
	return s->count > 1 ? (samples_max(s) - samples_min(s)) / samples_median(s) : 0;
}
