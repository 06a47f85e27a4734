/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/replay_parts.h"

#include "ingest/protocol.h"
#include "kernels/cpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void leave_out(struct replay *r, uint64_t number, const char *why)
{
	replay_note(&r->result->left_out, &number, why, "");
	r->histograms_whole = false;
}

/* ---- opening ---- */

/* "name:line:column: " means nothing to the reader of a manifest. */
static const char *after_place(const char *problem)
{
	const char *at = problem;

	for (unsigned i = 0; i < 3 && at; i++) {
		at = strchr(at, ':');
		at = at ? at + 1 : NULL;
	}
	return at && *at == ' ' ? at + 1 : problem;
}

static int read_configuration(struct replay *r)
{
	char *problems = NULL;
	int err = config_parse_json(&r->config, r->recorded.config_json, r->recorded.config_bytes,
	                            "manifest.json", &problems);

	if (err == -EINVAL && problems)
		problems[strcspn(problems, "\n")] = '\0';
	if (err)
		err = replay_refuse(r, err == -ENOMEM ? -ENOMEM : -EINVAL,
		                    "the configuration in manifest.json is not of this version of "
		                    "openbeam, or was damaged: %.700s",
		                    problems ? after_place(problems) : strerror(-err));
	free(problems);
	return err;
}

static int open_series(struct replay *r)
{
	int err = recorded_open(&r->recorded, r->options->path, r->result->why);

	if (err)
		return err;
	r->result->frames = r->recorded.count;
	err = read_configuration(r);
	if (err)
		return err;
	r->planned = r->config;
	err = replay_write_configure(r);
	if (!err)
		err = replay_plan(r);
	if (!err)
		err = replay_check_files(r);
	if (!err && r->options->flats[0])
		err = replay_flats_open(r);
	return err;
}

/* ---- one frame ---- */

/* What the first one that is there needs. A series is begun when nothing speaks against it. */
static int prepare(struct replay *r, uint64_t received_ns)
{
	int err = replay_allocate(r);

	if (!err && r->flats)
		err = replay_flats_use(r, received_ns);
	if (!err && r->options->to)
		err = replay_write_open(r);
	return err;
}

static bool read_source(struct replay *r, const struct journal_record *record)
{
	char why[RECORDED_WHY];

	if (recorded_read(&r->recorded, record, r->source, why))
		return true;
	replay_note(&r->result->differences, &record->number, "source pixels", why);
	return false;
}

/* Whether the pixels are where the ledger says. */
static bool find_source(struct replay *r, const struct journal_record *record)
{
	char why[RECORDED_WHY];

	if (recorded_find(&r->recorded, record, why))
		return true;
	replay_note(&r->result->differences, &record->number, "source pixels", why);
	return false;
}

/* A frame of one piece is there as it came, whatever its sender calls it. */
static bool lacks_pieces(const struct replay *r, const struct journal_record *record)
{
	const struct protocol *p = protocol_find(r->config.ingest.protocol);

	return (record->flags & FRAME_INCOMPLETE) && p && p->in_pieces;
}

static bool is_repeatable(struct replay *r, const struct replay_frame *f)
{
	if (r->flats)
		return false;
	if (r->changed_in_page)
		leave_out(r, f->record.number, "averaged while the calibration changed");
	else if (lacks_pieces(r, &f->record))
		leave_out(r, f->record.number,
		          "incomplete: which of its pixels were there is not kept");
	else if (r->recorded.masked)
		leave_out(r, f->record.number,
		          "of a detector whose mask of bad pixels is not kept");
	else
		return true;
	return false;
}

/* Of a series from before ledgers said which, the first. */
static uint32_t calibration_of(const struct replay *r, const struct journal_record *record)
{
	return r->recorded.has_quality ? record->calibration : r->recorded.calibration_count > 0;
}

static int lose(struct replay *r, struct journal_record *record)
{
	record->state = FRAME_DROPPED;
	record->reason = DROPPED_DECODE;
	r->histograms_whole = false;
	if (r->writer)
		replay_write_lose(r, record);
	r->page_broken = true;
	return 0;
}

/* Put the pixels through. */
static int pass(struct replay *r, struct replay_frame *f)
{
	bool averaged = r->layout.plan.averaged;
	void *reduced = r->writer && !averaged ? replay_write_buffer(r) : r->reduced;
	int err = r->flats ? replay_flats_use(r, f->record.received_ns) : 0;

	if (err)
		return err;
	replay_reduce(r, f, reduced);
	f->repeatable = is_repeatable(r, f);
	f->alike = true;
	if (f->repeatable)
		replay_compare(r, f);
	if (averaged) {
		replay_join(r, f);
	} else {
		if (f->repeatable)
			replay_compare_product(r, f, 1);
		if (r->writer)
			replay_write_put(r, f, 1);
	}
	r->result->compared += f->repeatable;
	r->result->alike += f->repeatable && f->alike;
	return 0;
}

/* The calibration of the frame, put to use. -ENOENT: there is none of that name. */
static int calibrate(struct replay *r, const struct journal_record *record)
{
	uint32_t id = calibration_of(r, record);
	int err = 0;

	/* The ledger has what the page was normalised with, which came behind this frame. */
	r->changed_in_page = r->has_calibrated && r->id != id && r->members > 0;
	err = replay_calibrate(r, id);
	if (err == -ENOENT)
		leave_out(r, record->number,
		          "normalised with a calibration that the manifest does not name");
	return err;
}

static int take_frame(struct replay *r, size_t i)
{
	struct replay_frame f = { 0 };
	int err = 0;

	recorded_frame(&r->recorded, i, &f.record);
	if (r->layout.plan.averaged)
		err = replay_group(r, f.record.number);
	if (err)
		return err;
	if (!find_source(r, &f.record))
		return lose(r, &f.record);
	err = calibrate(r, &f.record);
	if (err == -ENOENT)
		return lose(r, &f.record);
	if (!err && !r->source)
		err = prepare(r, f.record.received_ns);
	if (err)
		return err;
	return read_source(r, &f.record) ? pass(r, &f) : lose(r, &f.record);
}

/* ---- the series ---- */

static int take_frames(struct replay *r)
{
	int err = 0;

	for (size_t i = 0; !err && i < r->recorded.count; i++) {
		err = take_frame(r, i);
		if (r->options->at)
			r->options->at(r->options->user, i + 1, r->recorded.count);
	}
	if (!err && r->layout.plan.averaged && r->source)
		err = replay_finish_pages(r);
	if (err)
		return err;
	if (r->source && r->histograms_whole && !r->flats)
		replay_compare_histograms(r);
	return r->writer ? replay_write_end(r) : 0;
}

static int judge(struct replay *r)
{
	if (r->options->to || r->result->differences.count > 0 || r->result->compared > 0)
		return 0;
	if (r->recorded.count == 0)
		return replay_refuse(r, -EINVAL, "has no frame in its source product");
	return replay_refuse(r, -EINVAL, "nothing can be compared: %s",
	                     r->result->left_out.count ? r->result->left_out.at[0].what : "");
}

int replay(const struct replay_options *o, struct replay_result *ret)
{
	struct replay *r = calloc(1, sizeof *r);
	int err;

	memset(ret, 0, sizeof *ret);
	if (!r) {
		strcpy(ret->why, "no memory");
		return -ENOMEM;
	}
	r->options = o;
	r->result = ret;
	r->histograms_whole = true;
	r->cpu = cpu_detect();
	err = open_series(r);
	if (!err)
		err = take_frames(r);
	if (!err)
		err = judge(r);
	replay_write_close(r);
	replay_flats_close(r);
	replay_free(r);
	recorded_close(&r->recorded);
	config_done(&r->config);
	config_done(&r->defaults);
	free(r);
	return err;
}
