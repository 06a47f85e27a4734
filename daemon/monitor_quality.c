/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms and trends over HTTP. */
#include "daemon/monitor_parts.h"
#include "daemon/pipeline.h"

#include <math.h>
#include <stdlib.h>

static const char *const kinds[] = { "normalised", "raw", NULL };
static const char *const windows[WINDOW_COUNT + 1] = {
	[WINDOW_FRAME] = "frame", [WINDOW_SECOND] = "second", [WINDOW_SERIES] = "series"
};
static const char *const percentile_names[PERCENTILES] = { "0.1", "1", "50", "99", "99.9" };

static void add_percentiles(struct text *t, const float at[PERCENTILES])
{
	text_add(t, "{");
	for (unsigned i = 0; i < PERCENTILES; i++) {
		text_add(t, "%s\"%s\":", i ? "," : "", percentile_names[i]);
		text_add_number(t, (double)at[i], 9);
	}
	text_add(t, "}");
}

/* saturation: NaN: none. */
static void add_histogram(struct text *t, const char *kind, const char *window,
                          const struct quality_histogram *h, double saturation)
{
	text_add(t, "{\"kind\":\"%s\",\"window\":\"%s\",\"frames\":%llu,\"low\":", kind, window,
	         (unsigned long long)h->frames);
	text_add_number(t, h->bins.low, 17);
	text_add(t, ",\"high\":");
	text_add_number(t, h->bins.high, 17);
	text_add(t, ",\"counts\":[");
	for (uint32_t i = 0; i < h->bins.bins; i++)
		text_add(t, "%s%llu", i ? "," : "", (unsigned long long)h->counts[i]);
	text_add(t, "],\"below\":%llu,\"above\":%llu,\"nan\":%llu,\"percentiles\":",
	         (unsigned long long)h->tails.below, (unsigned long long)h->tails.above,
	         (unsigned long long)h->tails.nan);
	add_percentiles(t, h->percentiles);
	text_add(t, ",\"saturation\":");
	text_add_number(t, saturation, 17);
	text_add(t, "}");
}

static char *histogram(struct monitor *m, unsigned kept, size_t *ret_bytes)
{
	unsigned kind = (kept - KEPT_HISTOGRAM) / WINDOW_COUNT;
	unsigned window = (kept - KEPT_HISTOGRAM) % WINDOW_COUNT;
	struct quality_histogram h = { 0 };
	struct figures f;
	struct text t = { 0 };

	if (quality_histogram(m->pipeline->quality, kind == 1, (enum quality_window)window, &h) < 0)
		return NULL;
	figures_get(&m->pipeline->collector.board, &f);
	add_histogram(&t, kinds[kind], windows[window], &h, kind == 1 ? f.saturation : NAN);
	free(h.counts);
	return text_take(&t, ret_bytes);
}

void monitor_get_histogram(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	static const char *const names[] = { "kind", "window", NULL };
	unsigned kind = 0, window = WINDOW_SERIES;

	if (!monitor_all_known(r, names, a) ||
	    !monitor_choose(r, "kind", kinds, "raw or normalised", &kind, a) ||
	    !monitor_choose(r, "window", windows, "series, second or frame", &window, a))
		return;
	if (!m->pipeline->quality)
		return http_refuse(a, 503, "nothing is known of the frames yet");
	monitor_give_kept(m, KEPT_HISTOGRAM + WINDOW_COUNT * kind + window, MONITOR_JSON, histogram,
	                  a);
}

static void add_columns(struct text *t, const struct quality_trend *trend)
{
	text_add(t, "{\"columns\":[");
	for (unsigned i = 0; i < trend->columns; i++)
		text_add(t, "%s\"%s\"", i ? "," : "", trend->names[i]);
	text_add(t, "],");
}

static void add_row(struct text *t, const struct quality_trend *trend, unsigned row)
{
	text_add(t, "[");
	for (unsigned i = 0; i < trend->columns; i++) {
		text_add(t, i ? "," : "");
		text_add_number(t, trend->values[(size_t)row * trend->columns + i], i ? 9 : 17);
	}
	text_add(t, "]");
}

static void add_trend(struct text *t, const struct quality_trend *trend)
{
	add_columns(t, trend);
	text_add(t, "\"rows\":[");
	for (unsigned row = 0; row < trend->rows; row++) {
		text_add(t, row ? "," : "");
		add_row(t, trend, row);
	}
	text_add(t, "]}");
}

void monitor_add_last_row(struct text *t, const struct quality_trend *trend)
{
	add_columns(t, trend);
	text_add(t, "\"row\":");
	add_row(t, trend, trend->rows - 1);
	text_add(t, "}");
}

static char *all_rows(struct monitor *m, unsigned kept, size_t *ret_bytes)
{
	struct quality_trend trend = { 0 };
	struct text t = { 0 };

	(void)kept;
	if (quality_trend(m->pipeline->quality, TREND_ROWS, &trend) < 0)
		return NULL;
	add_trend(&t, &trend);
	quality_trend_done(&trend);
	return text_take(&t, ret_bytes);
}

void monitor_get_trend(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	if (!monitor_all_known(r, monitor_no_parameters, a))
		return;
	if (!m->pipeline->quality)
		return http_refuse(a, 503, "nothing is known of the frames yet");
	monitor_give_kept(m, KEPT_TREND, MONITOR_JSON, all_rows, a);
}
