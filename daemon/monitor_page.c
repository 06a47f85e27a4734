/* SPDX-License-Identifier: Apache-2.0 */
/* The page for people, and the files that it is made of: all of them are part of the program. */
#include "daemon/embedded.h"
#include "daemon/monitor_parts.h"

#include <string.h>

#define HTML   "text/html; charset=utf-8"
#define STYLE  "text/css; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"

/* Asked for anew each time: after an upgrade of the daemon its files fit each other. */
#define OURS "no-cache"
/* Debian's, and large. */
#define LIBRARY "max-age=86400"

/* Nothing from anywhere else, and nothing inline. Styles that scripts set are no inline ones. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
			     "img-src 'self' blob: data:; connect-src 'self'; "
			     "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

extern const struct embedded page_index_html, page_page_css, page_dygraph_min_js, page_colours_js,
	page_command_js, page_dom_js, page_feed_js, page_figures_js, page_format_js,
	page_histogram_js, page_latency_js, page_latest_js, page_machine_js, page_notices_js,
	page_page_js, page_picture_js, page_picture_data_js, page_state_js, page_theme_js,
	page_trend_js;

static const struct page_file {
	const char *path, *type, *cache;
	const struct embedded *bytes;
} files[] = {
	{ "/", HTML, OURS, &page_index_html },
	{ "/assets/page.css", STYLE, OURS, &page_page_css },
	{ "/assets/dygraph.min.js", SCRIPT, LIBRARY, &page_dygraph_min_js },
	{ "/assets/colours.js", SCRIPT, OURS, &page_colours_js },
	{ "/assets/command.js", SCRIPT, OURS, &page_command_js },
	{ "/assets/dom.js", SCRIPT, OURS, &page_dom_js },
	{ "/assets/feed.js", SCRIPT, OURS, &page_feed_js },
	{ "/assets/figures.js", SCRIPT, OURS, &page_figures_js },
	{ "/assets/format.js", SCRIPT, OURS, &page_format_js },
	{ "/assets/histogram.js", SCRIPT, OURS, &page_histogram_js },
	{ "/assets/latency.js", SCRIPT, OURS, &page_latency_js },
	{ "/assets/latest.js", SCRIPT, OURS, &page_latest_js },
	{ "/assets/machine.js", SCRIPT, OURS, &page_machine_js },
	{ "/assets/notices.js", SCRIPT, OURS, &page_notices_js },
	{ "/assets/page.js", SCRIPT, OURS, &page_page_js },
	{ "/assets/picture.js", SCRIPT, OURS, &page_picture_js },
	{ "/assets/picture_data.js", SCRIPT, OURS, &page_picture_data_js },
	{ "/assets/state.js", SCRIPT, OURS, &page_state_js },
	{ "/assets/theme.js", SCRIPT, OURS, &page_theme_js },
	{ "/assets/trend.js", SCRIPT, OURS, &page_trend_js },
	{ 0 },
};

void monitor_get_page(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	const struct page_file *f = files;

	(void)m;
	while (f->path && strcmp(f->path, r->path) != 0)
		f++;
	if (!f->path)
		return http_refuse(a, 404, "the page has no such file: load it again");
	a->status = 200;
	a->type = f->type;
	a->cache = f->cache;
	a->policy = policy;
	a->lasting = f->bytes->at;
	a->bytes = f->bytes->bytes;
}
