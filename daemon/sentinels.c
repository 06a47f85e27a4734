/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sentinels.h"
#include "daemon/quality.h"
#include "daemon/sentinel_texts.h"
#include "ingest/frame.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS ((uint64_t)1000000000)
#define TENTH_NS  (SECOND_NS / 10)

#define DOSE_FRAMES    10                    /* learnt from before a dip is told */
#define OVEREXPOSED    0.01                  /* of the open beam saturated: its dose is no dose */
#define NOISE_FRAMES   100                   /* likewise for the noise */
#define NOISE_APART_NS (SECOND_NS / 100)     /* the median of a second takes so many */
#define INTERVALS      10                    /* before a jump ahead is told */
#define JUMP_S         0.25                  /* the least */
#define DISK_LEAST     ((uint64_t)256 << 20) /* bytes */

/* ---- looks ---- */

static void take(struct sentinels *s, enum sentinel which, const struct watch_look *look)
{
	struct watch *w = &s->watches[which];
	enum watch_change change = watch_take(w, &s->rules[which], look);

	if (change == WATCH_NOTHING)
		return;
	sentinel_text(which, w, s->disk);
	s->changed(s->user, which, change);
}

static struct watch_look look_at(const struct sentinels *s, const struct quality_frame *f)
{
	return (struct watch_look){ .frame = f->number,
		                    .real_ns = f->received_ns,
		                    .steady_ns = s->frame_clock.now_ns };
}

static bool watched(const struct sentinels *s, enum sentinel which)
{
	return s->rules[which].limit > 0;
}

/* ---- pixels ---- */

static void judge_saturated(struct sentinels *s, const struct quality_frame *f)
{
	const struct reduction *r = f->reduction;
	struct watch_look look = look_at(s, f);

	if (!watched(s, SENTINEL_SATURATED) || r->good + r->bad == 0)
		return;
	look.value = (double)r->saturated / (double)(r->good + r->bad);
	look.passed = look.value > s->rules[SENTINEL_SATURATED].limit;
	take(s, SENTINEL_SATURATED, &look);
}

static void judge_lasting(struct sentinels *s, const struct quality_frame *f, enum sentinel which,
                          const struct lasting *l)
{
	struct watch_look look = look_at(s, f);

	if (!watched(s, which))
		return;
	look.value = l->found;
	look.detail = l->more;
	look.usual = f->calibration;
	look.passed = look.value > s->rules[which].limit;
	take(s, which, &look);
}

static void judge_defects(struct sentinels *s, const struct quality_frame *f)
{
	uint64_t pixels = f->reduction->good + f->reduction->bad;

	if (!f->defects)
		return;
	if (pixels != s->defect_pixels) {
		lasting_clear(&s->dead);
		lasting_clear(&s->hot);
	}
	s->defect_pixels = pixels;
	lasting_look(&s->dead, f->defects->dead, f->defects->dead_count);
	lasting_look(&s->hot, f->defects->hot, f->defects->hot_count);
	judge_lasting(s, f, SENTINEL_DEAD, &s->dead);
	judge_lasting(s, f, SENTINEL_HOT, &s->hot);
}

static bool same_pixels(const struct repeat_watch *w, const struct reduction *r)
{
	return w->frames > 0 && w->crc32c == r->reduced_crc32c && w->good == r->good &&
	       memcmp(&w->raw, &r->raw, sizeof w->raw) == 0 &&
	       memcmp(&w->normalised, &r->normalised, sizeof w->normalised) == 0;
}

static void judge_repeated(struct sentinels *s, const struct quality_frame *f)
{
	const struct reduction *r = f->reduction;
	struct repeat_watch *w = &s->repeat;
	struct watch_look look = look_at(s, f);

	if (!watched(s, SENTINEL_REPEATED) || r->good == 0)
		return;
	if (!same_pixels(w, r))
		*w = (struct repeat_watch){ .crc32c = r->reduced_crc32c,
			                    .good = r->good,
			                    .raw = r->raw,
			                    .normalised = r->normalised,
			                    .first = f->number,
			                    .first_ns = f->received_ns };
	w->frames++;
	look.value = w->frames;
	look.before = w->first;
	look.began_ns = w->first_ns;
	look.passed = w->frames > 1 && look.value >= s->rules[SENTINEL_REPEATED].limit;
	take(s, SENTINEL_REPEATED, &look);
}

/* ---- dose ---- */

static bool dose_known(const struct beam_watch *b)
{
	return b->doses.count >= DOSE_FRAMES;
}

double sentinels_usual_dose(const struct sentinels *s)
{
	return dose_known(&s->beam) ? running_median(&s->beam.doses) : s->beam.before;
}

static uint32_t beam_flags(const struct sentinels *s, const struct quality_frame *f, double share)
{
	const struct config_beam *b = &s->config->beam;
	bool divided = b->use != BEAM_APPLY || !f->has_flat || f->reduction->dose_applied;

	if (share < b->dump || !divided)
		return FRAME_BEAM_DIP | FRAME_NO_BEAM;
	return share < b->dip && dose_known(&s->beam) ? FRAME_BEAM_DIP : 0;
}

static bool overexposed(const struct sentinels *s, const struct quality_frame *f)
{
	const struct region_stats *r = s->open_beam >= 0 ? &f->regions[s->open_beam] : NULL;

	return r && (double)r->saturated > OVEREXPOSED * (double)r->good;
}

/* Its flags. A frame that is no dip is one of those that tell the usual dose, unless its exposure
 * was another one. */
static uint32_t judge_beam(struct sentinels *s, const struct quality_frame *f)
{
	double dose = f->reduction->dose, usual = sentinels_usual_dose(s);
	double share = usual > 0 ? dose / usual : NAN;
	struct watch_look look = look_at(s, f);

	if (s->config->beam.regions.count == 0)
		return 0;
	uint32_t flags = beam_flags(s, f, share);
	if (isfinite(dose) && !flags && !overexposed(s, f))
		running_median_push(&s->beam.doses, dose, 0);
	if (!watched(s, SENTINEL_BEAM) || isnan(share))
		return flags;
	look.value = share;
	look.usual = s->config->beam.dump;
	look.passed = flags && share < s->rules[SENTINEL_BEAM].limit;
	take(s, SENTINEL_BEAM, &look);
	return flags;
}

/* The mean of the doses of the last second. */
static double drift_mean(struct drift_watch *d, double dose, uint64_t now_ns)
{
	uint64_t index = now_ns / TENTH_NS;
	double sum = 0, count = 0;

	if (d->tenths[index % 10].index != index || d->tenths[index % 10].count == 0) {
		d->tenths[index % 10].index = index;
		d->tenths[index % 10].sum = 0;
		d->tenths[index % 10].count = 0;
	}
	d->tenths[index % 10].sum += dose;
	d->tenths[index % 10].count++;
	for (unsigned i = 0; i < 10; i++)
		if (index - d->tenths[i].index < 10) {
			sum += d->tenths[i].sum;
			count += d->tenths[i].count;
		}
	return sum / count;
}

static void judge_flat_drift(struct sentinels *s, const struct quality_frame *f)
{
	double dose = f->reduction->dose;
	struct watch_look look = look_at(s, f);

	if (!watched(s, SENTINEL_FLAT_DRIFT) || !f->has_flat || !isfinite(dose))
		return;
	look.detail = drift_mean(&s->drift, dose, s->frame_clock.now_ns) - 1;
	look.value = fabs(look.detail);
	look.passed = look.value > s->rules[SENTINEL_FLAT_DRIFT].limit;
	take(s, SENTINEL_FLAT_DRIFT, &look);
}

/* Whether the signal-to-noise of this frame told something new of the last second. */
static bool noise_take(struct noise_watch *n, double snr, uint64_t now_ns)
{
	const struct running_median *m = &n->last;
	unsigned newest = (m->oldest + m->count + RUNNING_MEDIAN - 1) % RUNNING_MEDIAN;

	if (n->judged < NOISE_FRAMES) {
		n->judged++;
		running_median_push(&n->reference, snr, 0);
	}
	if (m->count > 0 && now_ns - m->when_ns[newest] < NOISE_APART_NS)
		return false;
	running_median_push(&n->last, snr, now_ns);
	running_median_forget(&n->last, now_ns < SECOND_NS ? 0 : now_ns - SECOND_NS);
	return true;
}

/* Signal-to-noise of the transmission, also where pixels are -ln T: its error is dT / T. */
static double open_beam_snr(const struct sentinels *s, const struct quality_frame *f)
{
	const struct moments *m = &f->regions[s->open_beam].normalised;

	if (s->config->reduce.normalise == NORMALISE_ATTENUATION)
		return 1 / m->std;
	return m->mean / m->std;
}

static void judge_noise(struct sentinels *s, const struct quality_frame *f)
{
	struct watch_look look = look_at(s, f);

	if (!watched(s, SENTINEL_NOISE) || s->open_beam < 0)
		return;
	double snr = open_beam_snr(s, f);
	if (!isfinite(snr) || snr <= 0 || !noise_take(&s->noise, snr, s->frame_clock.now_ns) ||
	    s->noise.judged < NOISE_FRAMES)
		return;
	look.detail = running_median(&s->noise.last);
	look.usual = running_median(&s->noise.reference);
	look.value = look.detail / look.usual;
	look.passed = look.value < s->rules[SENTINEL_NOISE].limit;
	take(s, SENTINEL_NOISE, &look);
}

/* ---- time ---- */

static void judge_rate(struct sentinels *s, const struct quality_frame *f)
{
	struct rate_change_figures rate;
	struct watch_look look = look_at(s, f);
	bool stamped = f->timestamp_ns != 0;
	uint64_t step = f->step > 0 ? f->step : 1;

	if (!watched(s, SENTINEL_RATE))
		return;
	if (stamped != s->rate.stamped)
		rate_change_clear(&s->rate.change);
	s->rate.stamped = stamped;
	if (!rate_change_take(&s->rate.change, f->number / step,
	                      stamped ? f->timestamp_ns : s->frame_clock.now_ns, &rate))
		return;
	look.detail = rate.last;
	look.usual = rate.usual;
	look.value = fabs(rate.last / rate.usual - 1);
	look.passed = look.value > s->rules[SENTINEL_RATE].limit;
	take(s, SENTINEL_RATE, &look);
}

static double seconds_from(uint64_t before_ns, uint64_t now_ns)
{
	return (double)(int64_t)(now_ns - before_ns) / 1e9;
}

static void judge_interval(struct sentinels *s, const struct quality_frame *f, double usual)
{
	const struct stamp_watch *w = &s->stamps;
	double numbers = (double)(f->number - w->number);
	double passed = seconds_from(w->stamp_ns, f->timestamp_ns);
	double here = seconds_from(w->received_ns, f->received_ns);
	double each = passed / numbers, limit = s->rules[SENTINEL_TIMESTAMPS].limit;
	struct watch_look look = look_at(s, f);

	look.value = usual > 0 ? fabs(each) / usual : 0;
	look.passed = each < 0 || (each > JUMP_S && look.value > limit);
	look.detail = usual > 0 ? passed - usual * numbers : passed;
	look.usual = passed > 0 && here > passed / 2;
	look.before = w->number;
	take(s, SENTINEL_TIMESTAMPS, &look);
	if (each >= 0)
		running_median_push(&s->stamps.intervals, each, 0);
}

static void judge_timestamps(struct sentinels *s, const struct quality_frame *f)
{
	struct stamp_watch *w = &s->stamps;

	if (!watched(s, SENTINEL_TIMESTAMPS))
		return;
	if (w->any && f->timestamp_ns != 0 && f->number > w->number)
		judge_interval(s, f,
		               w->intervals.count >= INTERVALS ? running_median(&w->intervals) : 0);
	w->any = f->timestamp_ns != 0;
	w->number = f->number;
	w->stamp_ns = f->timestamp_ns;
	w->received_ns = f->received_ns;
}

/* ---- frames ---- */

/* The scale of doses and noise, and which pixels are bad, changed with the calibration. */
static void new_calibration(struct sentinels *s)
{
	running_median_clear(&s->beam.doses);
	s->beam.before = NAN;
	s->drift = (struct drift_watch){ .tenths[0].count = 0 };
	s->noise = (struct noise_watch){ .judged = 0 };
	lasting_clear(&s->dead);
	lasting_clear(&s->hot);
}

static uint32_t judge_frame(struct sentinels *s, const struct quality_frame *f)
{
	uint32_t flags = judge_beam(s, f);

	judge_saturated(s, f);
	judge_defects(s, f);
	judge_repeated(s, f);
	if (!flags)
		judge_noise(s, f);
	if (!flags && !(f->flags & FRAME_FLAT))
		judge_flat_drift(s, f);
	return flags;
}

uint32_t sentinels_frame(struct sentinels *s, const struct quality_frame *f)
{
	uint32_t flags = 0;

	steady_at(&s->frame_clock, f->received_ns);
	if (f->calibration != s->calibration || f->has_flat != s->has_flat)
		new_calibration(s);
	s->calibration = f->calibration;
	s->has_flat = f->has_flat;
	if (!(f->flags & (FRAME_DARK | FRAME_INCOMPLETE)))
		flags = judge_frame(s, f);
	judge_rate(s, f);
	judge_timestamps(s, f);
	return flags;
}

void sentinels_begin(struct sentinels *s)
{
	s->beam.before = sentinels_usual_dose(s);
	running_median_clear(&s->beam.doses);
	s->repeat.frames = 0;
	s->noise = (struct noise_watch){ .judged = 0 };
	rate_change_clear(&s->rate.change);
	s->stamps.any = false;
	running_median_clear(&s->stamps.intervals);
}

void sentinels_end(struct sentinels *s)
{
	for (unsigned i = 0; i < SENTINEL_COUNT; i++) {
		if (!s->rules[i].of_frames || watch_end(&s->watches[i]) == WATCH_NOTHING)
			continue;
		sentinel_text((enum sentinel)i, &s->watches[i], s->disk);
		s->changed(s->user, (enum sentinel)i, WATCH_ENDED);
	}
	rate_change_clear(&s->rate.change);
	s->stamps.any = false;
	s->repeat.frames = 0;
}

/* ---- the machine ---- */

static void name_disk(struct sentinels *s, const char *path)
{
	size_t length = strlen(path);

	if (length < sizeof s->disk)
		memcpy(s->disk, path, length + 1);
	else
		snprintf(s->disk, sizeof s->disk, "...%s",
		         path + length - (sizeof s->disk - sizeof "..."));
}

static void judge_buffer(struct sentinels *s, const struct quality_machine *m,
                         struct watch_look look)
{
	if (!watched(s, SENTINEL_BUFFER))
		return;
	look.value = m->buffer_used;
	look.detail = m->seconds_to_overflow;
	look.passed = look.value > s->rules[SENTINEL_BUFFER].limit;
	take(s, SENTINEL_BUFFER, &look);
}

static void judge_disk(struct sentinels *s, const struct quality_machine *m, struct watch_look look)
{
	if (!watched(s, SENTINEL_DISK) || !m->disk)
		return;
	name_disk(s, m->disk);
	look.value = m->disk_seconds_left;
	look.detail = (double)m->disk_free_bytes;
	bool soon = look.value < s->rules[SENTINEL_DISK].limit;
	bool few = m->disk_free_bytes < DISK_LEAST || m->disk_free_bytes < m->disk_bytes / 100;
	look.usual = few && !soon;
	look.passed = soon || few;
	take(s, SENTINEL_DISK, &look);
}

void sentinels_machine(struct sentinels *s, const struct quality_machine *m)
{
	struct watch_look look = { .real_ns = m->now_ns,
		                   .steady_ns = steady_at(&s->machine_clock, m->now_ns) };

	judge_buffer(s, m, look);
	judge_disk(s, m, look);
}

/* ---- configuration ---- */

static int first_open_beam(const struct config *c)
{
	if (c->beam.regions.count > 0)
		for (unsigned i = 0; i < c->region_count; i++)
			if (strcmp(c->regions[i].name, c->beam.regions.at[0]) == 0)
				return (int)i;
	return -1;
}

static void set_rules(struct watch_rules rules[SENTINEL_COUNT], const struct config *c)
{
	const struct config_sentinels *l = &c->sentinels;
	const struct watch_rules of[SENTINEL_COUNT] = {
		[SENTINEL_SATURATED] = { l->saturated, l->saturated_ns, .of_frames = true },
		[SENTINEL_DEAD] = { l->dead, .of_frames = true },
		[SENTINEL_HOT] = { l->hot, .of_frames = true },
		[SENTINEL_BEAM] = { fmax(c->beam.dip, c->beam.dump), .of_frames = true,
		                    .low = true },
		[SENTINEL_FLAT_DRIFT] = { l->flat_drift, l->flat_drift_ns, .of_frames = true },
		[SENTINEL_REPEATED] = { l->repeated, .of_frames = true },
		[SENTINEL_NOISE] = { l->noise, SECOND_NS, .of_frames = true, .low = true },
		[SENTINEL_RATE] = { l->rate, 2 * SECOND_NS, .of_frames = true },
		[SENTINEL_TIMESTAMPS] = { l->timestamps, .of_frames = true },
		[SENTINEL_BUFFER] = { l->buffer, SECOND_NS, .of_frames = false },
		[SENTINEL_DISK] = { (double)l->disk_ns / 1e9, .low = true },
	};

	memcpy(rules, of, sizeof of);
	for (unsigned i = 0; i < SENTINEL_COUNT; i++)
		rules[i].clear_ns = l->clear_ns;
}

void sentinels_init(struct sentinels *s, const struct config *c, void *user,
                    void (*changed)(void *user, enum sentinel s, enum watch_change change))
{
	memset(s, 0, sizeof *s);
	s->config = c;
	s->open_beam = first_open_beam(c);
	s->beam.before = NAN;
	s->user = user;
	s->changed = changed;
	set_rules(s->rules, c);
}
