/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lineage.h"
#include "daemon/closing.h"
#include "daemon/detectors.h"
#include "daemon/pipeline.h"
#include "daemon/relayout.h"

/* The closed series of this token, or NULL. */
static struct old_series *find_old(struct lineage *l, uint64_t token)
{
	for (unsigned i = 0; token && i < KNOWN_SERIES && i < l->old_count; i++)
		if (l->old[i].token == token)
			return &l->old[i];
	return NULL;
}

/* Tell receivers that frames of this series need not wait for its start message. */
static void publish_known(struct collector *k, uint64_t token)
{
	struct pipeline *p = k->pipeline;

	if (token == 0)
		return;
	/* seq_cst (a release) pairs with is_known_series() in receiver_place.c: what was laid out
	 * for it; ordered before the looks whether receivers sleep. */
	atomic_store(&p->known_series[k->lineage.known_count++ % KNOWN_SERIES], token);
	for (unsigned i = 0; i < p->receiver_count; i++)
		bell_ring(&p->receivers[i].bell);
}

void lineage_begin(struct collector *k, uint64_t token, uint64_t announced)
{
	k->lineage.token = token;
	k->lineage.told_by = 0;
	k->lineage.told = k->lineage.ending = false;
	calibrating_rules(k);
	controlling_announced(k, announced);
	series_begin(&k->series, announced);
	publish_known(k, token);
}

void lineage_close(struct collector *k)
{
	struct lineage *l = &k->lineage;

	if (l->token)
		l->old[l->old_count++ % KNOWN_SERIES] = (struct old_series){ l->token, l->told_by };
	/* The list is full from then on; its length says no more. */
	if (l->old_count == 2 * KNOWN_SERIES)
		l->old_count = KNOWN_SERIES;
	l->token = 0;
	l->told_by = 0;
	l->told = l->ending = false;
}

void lineage_forget(struct collector *k)
{
	k->lineage.old_count = 0;
}

static bool needs_start(const struct collector *k)
{
	return k->pipeline->receivers[0].protocol->has_start_message &&
	       k->pipeline->config->series.headless == HEADLESS_REJECT;
}

bool lineage_admits(struct collector *k, uint64_t token)
{
	struct lineage *l = &k->lineage;
	bool open = k->series.state == SERIES_OPEN;

	if (needs_start(k) && !(open && l->told))
		return false;
	if (token == 0)
		return true;
	if (open && l->token == token)
		return true;
	if (find_old(l, token))
		return false;
	if (open && l->token == 0 && (!k->series.any || !l->told)) {
		l->token = token; /* it began without a word about itself */
		publish_known(k, token);
		return true;
	}
	if (needs_start(k))
		return false;
	if (open)
		log_line(LOG_WARNING, "series",
		         "frames of another series come without an end message: closing this one");
	closing_finish(k);
	if (!closing_may_begin(k))
		return false;
	lineage_begin(k, token, 0);
	return true;
}

/* A start message about the series that runs: sent to every socket, or late. */
static void amend(struct collector *k, const struct entry *e)
{
	if (!k->lineage.told)
		series_announce(&k->series, e->announced);
	if (!k->lineage.told && k->begun && !detector_equal(k->detector, e->detector))
		log_line(LOG_WARNING, "series",
		         "the start message came after the first frames: its pixel mask and "
		         "saturation are not used in this series");
	k->lineage.told = true;
	detector_free(e->detector);
}

/* Every socket may get a start message of its own about one series, but none gets two: a detector
 * that was switched on anew begins its count of series again. */
static bool is_repeated(struct collector *k, const struct receiver *r, uint64_t token)
{
	uint64_t bit = (uint64_t)1 << r->index % 64;
	struct old_series *old = find_old(&k->lineage, token);

	if (!old || k->pipeline->receiver_count == 1 || old->told_by & bit) {
		if (old)
			old->token = 0;
		return false;
	}
	old->told_by |= bit;
	return true;
}

/* Nobody has asked for the series: its frames will be rejected likewise. */
static void reject_start(struct collector *k)
{
	char text[160];

	k->totals.rejected[REJECT_NO_SERIES]++;
	snprintf(text, sizeof text, "start message rejected: %s reason=%s", controlling_refusal(k),
	         reject_name(REJECT_NO_SERIES));
	if (log_limit_take(&k->rejections, clock_monotonic_ns(), text))
		log_line(LOG_WARNING, "series", "%s", text);
	controlling_explain(k);
}

static void start(struct collector *k, struct receiver *r, const struct entry *e)
{
	struct lineage *l = &k->lineage;
	uint64_t token = e->frame.series, bit = (uint64_t)1 << r->index % 64;
	bool same = k->series.state == SERIES_OPEN && token && l->token == token;

	if (same && !(l->told_by & bit) && (l->told || k->begun)) {
		amend(k, e);
		l->told_by |= bit;
		return;
	}
	if (!same && is_repeated(k, r, token)) {
		detector_free(e->detector);
		return;
	}
	closing_finish(k);
	if (!closing_may_begin(k)) {
		if (!controlling_allows(k))
			reject_start(k);
		detector_free(e->detector);
		return;
	}
	is_repeated(k, r, token); /* forget that one of this name was closed just now */
	relayout_detector(k, e->detector);
	lineage_begin(k, token, e->announced);
	l->told = true;
	l->told_by = bit;
}

void lineage_start(struct collector *k, struct receiver *r, const struct entry *e)
{
	/* The layout that is being made goes by k->detector and its mask. */
	if (k->laying_out) {
		k->asks[r->index] = (struct ask){ .starts = true, .start = *e };
		k->starts++;
		return;
	}
	start(k, r, e);
	relayout_answer(r);
}

void lineage_start_waiting(struct collector *k)
{
	while (k->starts > 0 && !k->laying_out)
		for (unsigned i = 0; i < k->pipeline->receiver_count; i++) {
			struct entry e = k->asks[i].start;

			if (!k->asks[i].starts)
				continue;
			k->asks[i].starts = false;
			k->starts--;
			lineage_start(k, &k->pipeline->receivers[i], &e);
		}
}

void lineage_end(struct collector *k, uint64_t token)
{
	struct lineage *l = &k->lineage;
	const struct pipeline *p = k->pipeline;
	bool others = p->receiver_count > 1 || token != 0;

	if (k->series.state != SERIES_OPEN || (token && l->token && token != l->token))
		return;
	/* Frames that the message overtook are on their way, unless one socket brings all. */
	if (others && p->config->series.end_grace_ns > 0 && !series_complete(&k->series)) {
		l->ending = true;
		return;
	}
	closing_finish(k);
	/* The next frame begins a series where nothing else will. */
	if (!p->receivers[0].protocol->has_start_message)
		series_settle(&k->series);
}
