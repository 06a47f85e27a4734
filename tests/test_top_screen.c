/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/top_screen.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* Recorded from a daemon, with a ' for each ". */
static const char busy[] =
	"{'version':'0.1.0','commit':'b51b8ca3fdab-dirty','isa':'avx512icl','source':'camera'"
	",'time':'2026-11-27T22:49:01.753868485Z','state':'degraded','series':{'name':'series"
	"','number':1,'path':'/data/run-0042'},'frames':{'expected':12000,'pending':12,'recei"
	"ved':8432,'written':8408,'durable':8100,'flagged':0,'dropped':{'overload':11,'decode"
	"':0,'write':0,'no_space':0,'aborted':0,'crash':0},'missing':{'never':1,'rejected':0,"
	"'overload_at_sender':0},'rejected':{'header':0,'parts':0,'shape':0,'type':0,'length'"
	":0,'encoding':0,'step':0,'jump':0,'late':0,'no_series':0},'duplicate':0,'dummies':0}"
	",'rate':{'fps':1503.2,'bytes_in_per_s':8300000000.0,'bytes_out_per_s':2080000000.0},"
	"'latency_ms':{'queue':{'count':8432,'p50':0.41,'p99':4.2,'p999':12.5,'max':1340.0},'"
	"reduce':{'count':8432,'p50':0.41,'p99':4.2,'p999':12.5,'max':1340.0},'collect':{'cou"
	"nt':8432,'p50':0.41,'p99':4.2,'p999':12.5,'max':1340.0},'submit':{'count':8432,'p50'"
	":0.41,'p99':4.2,'p999':12.5,'max':1340.0},'write':{'count':8432,'p50':0.41,'p99':4.2"
	",'p999':12.5,'max':1340.0},'durable':{'count':0,'p50':null,'p99':null,'p999':null,'m"
	"ax':null}},'buffer':{'used':8638464,'size':203988992,'slots_used':100,'slots':128,'s"
	"lots_held':57,'slots_writing':0,'seconds_to_overflow':12.25},'disk':{'free_bytes':80"
	"190922752,'seconds_left':1615949.2403484625,'directories':[{'sink':'tiff','directory"
	"':'/tmp/fd','free_bytes':80190922752,'size_bytes':270553174016}]},'alarms':[{'sentin"
	"el':'saturated','text':'0.4 % of pixels saturated for 12 s: reduce the exposure','si"
	"nce':null}],'quality':{'raw_mean':29859.725261688232,'mean':29859.725261688232,'satu"
	"rated_share':3.814697265625e-06,'dose':null},'calibration':{'state':'collecting','as"
	"ked':0,'done':false,'failed':false,'role':'dark','wanted':50,'taken':3,'left_out':0,"
	"'dead':0,'hot':0,'noisy':0,'id':0,'path':null,'text':''},'blackbox':{'configured':tr"
	"ue,'writing':false,'frames':1500,'bytes':0,'seconds':1.0,'written':0,'path':null,'te"
	"xt':''},'last_loss':{'time':'2026-11-27T22:48:59.5Z','first_frame':4210,'last_frame'"
	":4220,'frames':11,'state':'dropped','reason':'overload','text':'11 frames from 4210 "
	"were dropped: the disk took 0.8 GB/s'},'watchers':{'connections':3,'events':2}}";

static const char idle[] =
	"{'state':'idle','source':'camera','series':{'name':'series','number':null,'path':nul"
	"l,'start':'armed'},'armed':null,'frames':{'expected':0,'pending':0,'received':0,'wri"
	"tten':0,'durable':0,'flagged':0,'dropped':{'overload':0},'missing':{'never':0},'reje"
	"cted':{'header':0},'duplicate':0,'dummies':0},'rate':{'fps':0.0,'bytes_in_per_s':0.0"
	",'bytes_out_per_s':0.0},'latency_ms':{},'buffer':{'slots':0},'disk':{'free_bytes':nu"
	"ll,'seconds_left':null,'directories':[]},'alarms':[],'last_loss':null}";

/* What a daemon may say that wants to do harm, or has too much of everything. */
static const char hostile[] =
	"{'state':'running\\u001b[2J','source':'caf\\u00e9 \\u65e5\\u672c\\u8a9e "
	"\\u202e\\u009b31m',"
	"'time':'x','series':{'path':'/d\\n\\r\\t/"
	"\\u0007bell'},'armed':{'name':'\\u001b]0;x','first':0},"
	"'frames':{'expected':9223372036854775807,'written':9223372036854775807,'received':-1,"
	"'dropped':{'a-reason-of-a-length-that-nobody-has-thought-of-when-the-screen-was-made':"
	"9223372036854775807,'\\u001bc':1},'missing':7,'rejected':[1,2]},"
	"'rate':{'fps':1e300,'bytes_in_per_s':-5,'bytes_out_per_s':1e19},"
	"'latency_ms':{'\\u001bstage':{'p50':1e308},'x':5},"
	"'buffer':{'slots':1,'slots_used':9223372036854775807,'seconds_to_overflow':1e300},"
	"'disk':{'seconds_left':1e300,'free_bytes':1e300,'directories':[{'directory':'\\u001b[H',"
	"'free_bytes':1e300,'size_bytes':1},7,{}]},"
	"'alarms':[{'sentinel':'\\u001b[0m','text':'\\u0000'},{},3],'last_loss':{'text':'\\u001b[?"
	"1049l'}}";

static json_t *status(const char *text)
{
	char *json = strdup(text);
	json_t *s;

	for (char *c = json; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	s = json_loads(json, JSON_ALLOW_NUL, NULL);
	cr_assert(s);
	free(json);
	return s;
}

static char *screen(const char *text, unsigned width, unsigned height, bool utf8, bool colour,
                    const char *trouble)
{
	json_t *s = text ? status(text) : NULL;
	struct top_past past = { 0 };

	for (unsigned i = 0; s && i < TOP_PAST + 10; i++)
		top_past_add(&past, s);
	char *made = top_screen(&(struct top_view){ .status = s,
	                                            .past = &past,
	                                            .url = "http://127.0.0.1:8080",
	                                            .trouble = trouble,
	                                            .since = "22:41:07",
	                                            .width = width,
	                                            .height = height,
	                                            .utf8 = utf8,
	                                            .colour = colour });
	cr_assert(made);
	json_decref(s);
	return made;
}

/* Columns of a line, without colours. Nothing but those may be an escape. */
static unsigned columns_of(const char *line, size_t bytes)
{
	unsigned columns = 0;

	for (size_t i = 0; i < bytes;) {
		mbstate_t state = { 0 };
		wchar_t wide;

		if (line[i] == '\033') {
			size_t end = i + strcspn(line + i, "m");

			cr_assert_eq(strspn(line + i + 1, "[0123456789;"), end - i - 1);
			i = end + 1;
			continue;
		}
		size_t n = mbrtowc(&wide, line + i, bytes - i, &state);
		cr_assert_leq(n, 4u, "whole characters");
		cr_assert_geq(wcwidth(wide), 0, "no control characters");
		columns += (unsigned)wcwidth(wide);
		i += n;
	}
	return columns;
}

static void expect_fits(char *made, unsigned width, unsigned height)
{
	unsigned rows = 0;
	const char *line = made;

	for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1, rows++)
		cr_expect_leq(columns_of(line, (size_t)(end - line)), width);
	cr_expect_eq(*line, '\0');
	cr_expect(height == 0 || rows <= height, "%u rows", rows);
	free(made);
}

Test(top_screen, fits_every_size_whatever_the_daemon_says)
{
	static const unsigned sizes[][2] = { { 1, 1 },   { 20, 5 },   { 39, 12 },
		                             { 80, 24 }, { 200, 60 }, { 1000, 0 } };
	static const char *const texts[] = { busy, idle, hostile, "{}", NULL };

	cr_assert(setlocale(LC_CTYPE, "C.UTF-8"));
	for (unsigned t = 0; t < 5; t++)
		for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
			for (unsigned kind = 0; kind < 8; kind++)
				expect_fits(screen(texts[t], sizes[i][0], sizes[i][1], kind & 1,
				                   kind & 2,
				                   kind & 4 ? "nothing \033[2J answers" : NULL),
				            sizes[i][0], sizes[i][1]);
}

Test(top_screen, is_plain_ascii_where_nothing_else_is_known)
{
	char *made = screen(hostile, 200, 0, false, false, NULL);

	for (const char *c = made; *c; c++)
		cr_assert(*c == '\n' || (*c >= ' ' && *c < 0x7f));
	cr_expect(strstr(made, "caf? ???"));
	free(made);
}

static void expect_all(const char *made, const char *const *wanted)
{
	for (; *wanted; wanted++)
		cr_expect(strstr(made, *wanted), "'%s' is not in:\n%s", *wanted, made);
}

Test(top_screen, shows_a_measurement_in_80_by_24)
{
	static const char *const wanted[] = {
		"! degraded  ! 12 LOST  ! 1 alarm  camera",
		"series    /data/run-0042",
		"expected 12000  received 8432  pending 12  written 8408  durable 8100",
		"dropped   ! 11  overload 11  decode 0  write 0  no_space 0",
		"missing   ! 1   never 1  rejected 0  overload_at_sender 0",
		"1503.2 frames/s",
		"8.30 GB/s",
		"!  100 of 128 slots, full in 12.2 s",
		"80.2 GB free  full in 19 days  /tmp",
		"latency ms    queue   reduce  collect   submit    write  durable",
		"  p99          4.20     4.20     4.20     4.20     4.20        -",
		"  max          1340     1340",
		"last loss ! 22:48:59  11 frames from 4210 were dropped: the disk took "
		"0.8",
		"alarms    ! saturated: 0.4 % of pixels saturated for 12 s: reduce the exposure",
		"calibrate collecting: dark, 3 of 50 frames",
		NULL,
	};
	char *made = screen(busy, 80, 24, false, false, NULL);

	expect_all(made, wanted);
	free(made);
}

Test(top_screen, says_at_zero_that_nothing_is_lost)
{
	static const char *const wanted[] = { "  camera  http",
		                              "none yet; the next waits for openbeam arm",
		                              "dropped     0   overload 0",
		                              "missing     0   never 0",
		                              "last loss none",
		                              "alarms    none",
		                              NULL };
	char *made = screen(idle, 80, 24, false, true, NULL);

	expect_all(made, wanted);
	cr_expect_not(strstr(made, "\033[1;31m"), "nothing is red:\n%s", made);
	free(made);
}

Test(top_screen, keeps_state_and_losses_where_there_is_no_room)
{
	char *made = screen(busy, 30, 4, false, true, NULL);

	cr_expect(strstr(made, "  ! 12 LOST"), "%s", made);
	cr_expect(strstr(made, "\033[1;31m! 11"), "red:\n%s", made);
	cr_expect(strstr(made, "overload 11"), "%s", made);
	free(made);
}

Test(top_screen, says_since_when_no_answer_comes_and_keeps_the_last)
{
	static const char *const wanted[] = { "! NO ANSWER since 22:41:07: nothing listens",
		                              "expected 12000", NULL };
	char *made = screen(busy, 80, 24, false, false, "nothing listens");

	expect_all(made, wanted);
	free(made);
}

Test(top_screen, draws_what_the_rates_were)
{
	struct top_past past = { .count = 3, .fps = { 0, 50, 100 } };
	json_t *s = status(idle);
	char *made = top_screen(&(struct top_view){
		.status = s, .past = &past, .url = "", .width = 80, .utf8 = false });

	cr_expect(strstr(made, "0.0 frames/s      _=#\n"), "%s", made);
	free(made);
	json_decref(s);
}
