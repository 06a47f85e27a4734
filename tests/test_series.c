/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a series as a table: what arrives on the left, what becomes of it on the right. */
#include "daemon/series.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REORDER 4

/* Events, by words:
 *   7    a frame with number 7            d7  the same, dropped for want of a slot
 *   u7   an unusable message of number 7  g7  a frame after the buffer was full (sub)
 *   end  the series is finished           silence  idle_end has passed
 *   force  the buffer is full of waiting frames
 *   start:7  a start message announces 7 frames, 0: it says nothing of that
 *   told:7   the same of the series that runs
 *   stop, abort   it is finished before its time
 *
 * Outcome, by words, in order:
 *   [      a series begins                ]    it is finished
 *   +7     placed                         -7:never  missing (rejected, overload_at_sender)
 *   d7     lost as dropped                a7   lost as aborted       =7   duplicate
 *   !late  rejected */
struct row {
	const char *behaviour;
	struct series_rules rules;
	const char *events, *outcome;
};

static const struct row rows[] = {
	{ "frames in order are placed once the first is known",
	  { 0 },
	  "5 6 7 8 9 end",
	  "[ +5 +6 +7 +8 +9 ]" },
	{ "the smallest of the first frames is the first",
	  { 0 },
	  "3 1 2 0 4 end",
	  "[ +0 +1 +2 +3 +4 ]" },
	{ "a short series places what it has when it ends", { 0 }, "2 1 end", "[ +1 +2 ]" },
	{ "a given first places at once", { .first_given = true }, "0 1 2 end", "[ +0 +1 +2 ]" },
	{ "a given first that never comes is missing",
	  { .first_given = true },
	  "1 2 end",
	  "[ -0:never +1 +2 ]" },
	{ "numbers before a given first belong to no series",
	  { .first_given = true, .first = 10 },
	  "8 9 10 11 3 end",
	  "!no_series !no_series [ +10 +11 !no_series ]" },
	{ "a gap waits for its number",
	  { .first_given = true },
	  "0 2 3 1 4 end",
	  "[ +0 +1 +2 +3 +4 ]" },
	{ "a gap is missing once the newest is more than reorder beyond it",
	  { .first_given = true },
	  "0 2 3 4 5 6 7 end",
	  "[ +0 -1:never +2 +3 +4 +5 +6 +7 ]" },
	{ "a number exactly reorder below the newest is accepted",
	  { .first_given = true },
	  "0 2 3 4 5 1 end",
	  "[ +0 +1 +2 +3 +4 +5 ]" },
	{ "a number declared missing comes too late",
	  { .first_given = true },
	  "0 2 3 4 5 6 1 7 end",
	  "[ +0 -1:never +2 +3 +4 +5 +6 !late +7 ]" },
	{ "a number declared missing is late however old it is",
	  { .first_given = true },
	  "0 2 3 4 5 6 7 8 9 10 11 12 1 13 end",
	  "[ +0 -1:never +2 +3 +4 +5 +6 +7 +8 +9 +10 +11 +12 !late +13 ]" },
	{ "a number is accepted once",
	  { .first_given = true },
	  "0 1 1 0 2 end",
	  "[ +0 +1 =1 =0 +2 ]" },
	{ "a number that waits is a duplicate too",
	  { .first_given = true },
	  "0 2 2 1 end",
	  "[ +0 =2 +1 +2 ]" },
	{ "a number further back than reorder starts a new series",
	  { 0 },
	  "10 11 12 13 14 15 16 10 11 12 13 end",
	  "[ +10 +11 +12 +13 +14 +15 +16 ] [ +10 +11 +12 +13 ]" },
	{ "the first number again starts a new series once the newest is beyond reorder",
	  { .first_given = true },
	  "0 1 2 3 4 5 0 1 end",
	  "[ +0 +1 +2 +3 +4 +5 ] [ +0 +1 ]" },
	{ "the first number again, still within reorder, is a duplicate",
	  { .first_given = true },
	  "0 1 2 3 4 0 end",
	  "[ +0 +1 +2 +3 +4 =0 ]" },
	{ "a given first that was declared missing restarts rather than being late",
	  { .first_given = true },
	  "1 2 3 4 5 6 0 1 end",
	  "[ -0:never +1 +2 +3 +4 +5 +6 ] [ +0 +1 ]" },
	{ "frames come in steps of the sender's counter",
	  { .step = 50 },
	  "7766800 7766850 7766900 7766950 7767000 end",
	  "[ +7766800 +7766850 +7766900 +7766950 +7767000 ]" },
	{ "a number off the step is rejected",
	  { .step = 50, .first_given = true, .first = 25 },
	  "25 75 100 125 end",
	  "[ +25 +75 !step +125 ]" },
	{ "a lost step is one missing number",
	  { .step = 10, .first_given = true },
	  "0 20 30 40 50 60 end",
	  "[ +0 -10:never +20 +30 +40 +50 +60 ]" },
	{ "a jump that is not confirmed is rejected",
	  { .first_given = true, .max_gap = 100 },
	  "0 1 500 2 3 end",
	  "[ +0 +1 !jump +2 +3 ]" },
	{ "three in a row confirm a jump, and a new series starts with the third",
	  { .first_given = false, .max_gap = 100 },
	  "0 1 2 3 500 501 502 503 end",
	  "[ +0 +1 +2 +3 !jump !jump ] [ +502 +503 ]" },
	{ "a good frame between them breaks the row",
	  { .first_given = true, .max_gap = 100 },
	  "0 500 501 1 502 503 2 end",
	  "[ +0 !jump !jump +1 !jump !jump +2 ]" },
	{ "jumps that do not agree with each other confirm nothing",
	  { .first_given = true, .max_gap = 100 },
	  "0 500 900 700 1 end",
	  "[ +0 !jump !jump !jump +1 ]" },
	{ "a jump of exactly max_gap is a gap",
	  { .first_given = true, .max_gap = 6 },
	  "0 6 end",
	  "[ +0 -1:never -2:never -3:never -4:never -5:never +6 ]" },
	{ "nothing confirms a jump before the first frame",
	  { .first_given = true, .max_gap = 100 },
	  "500 501 502 503 0 1 end",
	  "[ !jump !jump !jump !jump +0 +1 ]" },
	{ "an unusable message names the reason of the gap",
	  { .first_given = true },
	  "0 u1 2 end",
	  "[ +0 -1:rejected +2 ]" },
	{ "a good message after an unusable one is taken",
	  { .first_given = true },
	  "0 u1 1 2 end",
	  "[ +0 +1 +2 ]" },
	{ "an unusable message does not harm a frame that is there",
	  { .first_given = true },
	  "0 2 u2 1 end",
	  "[ +0 +1 +2 ]" },
	{ "unusable messages at the tail belong to the series",
	  { .first_given = true },
	  "0 1 u2 u3 end",
	  "[ +0 +1 -2:rejected -3:rejected ]" },
	{ "an unusable message at the head belongs to the series",
	  { 0 },
	  "u4 5 6 end",
	  "[ -4:rejected +5 +6 ]" },
	{ "an unusable number far off is not believed",
	  { .first_given = true },
	  "0 u900 1 end",
	  "[ +0 +1 ]" },
	{ "early unusable numbers are forgotten in silence",
	  { 0 },
	  "u4 silence 5 6 end",
	  "[ +5 +6 ]" },
	{ "a dropped frame is decided in its turn",
	  { .first_given = true },
	  "0 d1 2 end",
	  "[ +0 d1 +2 ]" },
	{ "a second copy of a dropped frame is a duplicate",
	  { .first_given = true },
	  "0 d1 1 2 end",
	  "[ +0 d1 =1 +2 ]" },
	{ "a series may begin with a drop", { 0 }, "d3 4 end", "[ d3 +4 ]" },
	{ "the length of a series ends it",
	  { .first_given = true, .frames = 3 },
	  "0 1 2 3 4",
	  "[ +0 +1 +2 ] !no_series !no_series" },
	{ "the length counts the lost tail",
	  { .first_given = true, .frames = 5 },
	  "0 1 2 end",
	  "[ +0 +1 +2 -3:never -4:never ]" },
	{ "numbers past the end let go of gaps before it",
	  { .first_given = true, .frames = 3 },
	  "0 2 3 4 5 6",
	  "[ +0 !no_series !no_series !no_series -1:never +2 !no_series ]" },
	{ "numbers past the end are not taken in whatever order they come",
	  { .first_given = true, .frames = 3 },
	  "0 2 4 3 end",
	  "[ +0 !no_series !no_series -1:never +2 ]" },
	{ "a length without a first counts from the smallest",
	  { .frames = 3 },
	  "7 9 8 10",
	  "[ +7 +8 +9 ] !no_series" },
	{ "a restart after the end is taken by the rule",
	  { .first_given = true, .frames = 8 },
	  "0 1 2 3 4 5 6 7 9 0 1 end",
	  "[ +0 +1 +2 +3 +4 +5 +6 +7 ] !no_series [ +0 +1 -2:never -3:never -4:never -5:never "
	  "-6:never -7:never ]" },
	{ "a restart close to the end waits for silence",
	  { .first_given = true, .frames = 2 },
	  "0 1 0 silence 0 1",
	  "[ +0 +1 ] !no_series [ +0 +1 ]" },
	{ "silence lets any number begin",
	  { 0 },
	  "5 6 end 7 silence 8 9 end",
	  "[ +5 +6 ] !no_series [ +8 +9 ]" },
	{ "a buffer full of waiting frames decides the gap",
	  { .first_given = true },
	  "0 2 3 force 4 1 end",
	  "[ +0 -1:never +2 +3 +4 !late ]" },
	{ "a buffer full of waiting frames decides the first",
	  { 0 },
	  "5 6 force 7 4 end",
	  "[ +5 +6 +7 !late ]" },
	{ "gaps that open at a sender that could not wait say so",
	  { .first_given = true },
	  "0 1 g4 end",
	  "[ +0 +1 -2:overload_at_sender -3:overload_at_sender +4 ]" },
	{ "long gaps at a sender that could not wait say so throughout",
	  { .first_given = true },
	  "0 g8 end",
	  "[ +0 -1:overload_at_sender -2:overload_at_sender -3:overload_at_sender "
	  "-4:overload_at_sender -5:overload_at_sender -6:overload_at_sender "
	  "-7:overload_at_sender +8 ]" },
	{ "spread numbers in the beginning keep their frames",
	  { 0 },
	  "0 16 32 end",
	  "[ +0 -1:never -2:never -3:never -4:never -5:never -6:never -7:never -8:never -9:never "
	  "-10:never -11:never -12:never -13:never -14:never -15:never +16 -17:never -18:never "
	  "-19:never -20:never -21:never -22:never -23:never -24:never -25:never -26:never "
	  "-27:never -28:never -29:never -30:never -31:never +32 ]" },
	{ "numbers beyond 32 bits are kept",
	  { 0 },
	  "18446744073709551610 18446744073709551611 18446744073709551613 end",
	  "[ +18446744073709551610 +18446744073709551611 -18446744073709551612:never "
	  "+18446744073709551613 ]" },
	{ "an announced length ends the series",
	  { .first_given = true },
	  "start:3 0 1 2 3",
	  "[ +0 +1 +2 ] !no_series" },
	{ "an announced length counts the lost tail",
	  { .first_given = true },
	  "start:4 0 1 end",
	  "[ +0 +1 -2:never -3:never ]" },
	{ "an announced length counts what never began",
	  { .first_given = true },
	  "start:2 end",
	  "[ -0:never -1:never ]" },
	{ "an announced length is believed over the configured one",
	  { .first_given = true, .frames = 2 },
	  "start:3 0 1 2 3",
	  "[ +0 +1 +2 ] !no_series" },
	{ "a start that says no length leaves the configured one",
	  { .first_given = true, .frames = 2 },
	  "start:0 0 1 2",
	  "[ +0 +1 ] !no_series" },
	{ "a start ends what is announced without a first, too",
	  { 0 },
	  "start:3 8 7 9",
	  "[ +7 +8 +9 ]" },
	{ "a tail of exactly max_gap is missing",
	  { .first_given = true, .max_gap = 6 },
	  "start:9 0 1 2 end",
	  "[ +0 +1 +2 -3:never -4:never -5:never -6:never -7:never -8:never ]" },
	{ "a longer tail was stopped, not lost",
	  { .first_given = true, .max_gap = 6 },
	  "start:10 0 1 2 end",
	  "[ +0 +1 +2 ]" },
	{ "a million million frames that were stopped are not lost",
	  { .first_given = true },
	  "start:1000000000000 0 1 3 end",
	  "[ +0 +1 -2:never +3 ]" },
	{ "a million million frames that never began are not lost",
	  { .first_given = true },
	  "start:1000000000000 end",
	  "[ ]" },
	{ "a million million frames without a first are not lost",
	  { 0 },
	  "start:1000000000000 6 5 end",
	  "[ +5 +6 ]" },
	{ "as many frames as there are numbers are not lost",
	  { 0 },
	  "start:18446744073709551615 6 5 end",
	  "[ +5 +6 ]" },
	{ "unusable messages at a tail that was stopped belong to the series",
	  { .first_given = true },
	  "start:1000000000000 0 1 u2 end",
	  "[ +0 +1 -2:rejected ]" },
	{ "a length is taken while the series runs",
	  { .first_given = true },
	  "start:0 0 1 told:3 2 3",
	  "[ +0 +1 +2 ] !no_series" },
	{ "a length that is reached when it is told ends the series",
	  { .first_given = true },
	  "0 1 told:2 2",
	  "[ +0 +1 ] !no_series" },
	{ "a length is told once", { .first_given = true }, "start:2 told:9 0 1", "[ +0 +1 ]" },
	{ "a length that is told as 0 is none",
	  { .first_given = true },
	  "start:0 told:0 0 1 end",
	  "[ +0 +1 ]" },
	{ "a length below what was placed is what was placed",
	  { .first_given = true },
	  "0 1 2 3 told:2 4",
	  "[ +0 +1 +2 +3 ] !no_series" },
	{ "a length below what waits keeps what waits",
	  { .first_given = true },
	  "0 2 d3 told:2 end",
	  "[ +0 -1:never +2 d3 ]" },
	{ "a length below what waits for its first keeps what waits",
	  { 0 },
	  "5 7 6 told:1 end",
	  "[ +5 +6 +7 ]" },
	{ "a configured length keeps what came before its first number",
	  { .frames = 3 },
	  "9 5 end",
	  "[ +5 -6:never -7:never -8:never +9 ]" },
	{ "an unusable message before the first frame belongs to an announced series",
	  { .first_given = true },
	  "start:3 u0 1 2 end",
	  "[ -0:rejected +1 +2 ]" },
	{ "an unusable message before the first frame of an announced series without a first",
	  { 0 },
	  "start:3 u4 5 6 end",
	  "[ -4:rejected +5 +6 ]" },
	{ "unusable messages are all that came of an announced series",
	  { .first_given = true },
	  "start:3 u1 end",
	  "[ -0:never -1:rejected -2:never ]" },
	{ "an unusable number beyond an announced series is not believed",
	  { .first_given = true },
	  "start:2 u2 0 1",
	  "[ +0 +1 ]" },
	{ "an unusable number before the first frame does not push the length out",
	  { .frames = 3 },
	  "u5 9 end",
	  "[ -5:rejected -6:never -7:never -8:never +9 ]" },
	{ "a stop expects what was seen, whatever was announced",
	  { .first_given = true },
	  "start:9 0 1 3 stop 4 silence 7 end",
	  "[ +0 +1 -2:never +3 ] !no_series [ -0:never -1:never -2:never -3:never -4:never "
	  "-5:never -6:never +7 ]" },
	{ "a stop keeps the head that is expected",
	  { .first_given = true, .frames = 9 },
	  "2 3 stop",
	  "[ -0:never -1:never +2 +3 ]" },
	{ "a stop before the first frame leaves nothing",
	  { .first_given = true },
	  "start:9 stop 0",
	  "[ ] !no_series" },
	{ "a stop takes the unusable message that came last for the end",
	  { .first_given = true },
	  "start:9 0 u1 stop",
	  "[ +0 -1:rejected ]" },
	{ "an abort loses what was to come as aborted, and gaps as ever",
	  { .first_given = true },
	  "start:6 0 2 u4 abort",
	  "[ +0 -1:never +2 a3 -4:rejected a5 ]" },
	{ "an abort of a series of unknown length ends with what was seen",
	  { 0 },
	  "7 5 abort",
	  "[ +5 -6:never +7 ]" },
	{ "frames that were asked for win over those announced",
	  { .first_given = true, .frames = 2, .frames_given = true },
	  "start:4 told:5 0 1 2",
	  "[ +0 +1 ] !no_series" },
	{ "an empty series leaves nothing",
	  { .first_given = true },
	  "end silence 0 end",
	  "[ +0 ]" },
};

struct log {
	char text[4096];
	struct series series;
};

__attribute__((format(printf, 2, 3))) static void note(struct log *l, const char *format, ...)
{
	size_t used = strlen(l->text);
	va_list arguments;

	if (used > 0)
		used += (size_t)snprintf(l->text + used, sizeof l->text - used, " ");
	va_start(arguments, format);
	vsnprintf(l->text + used, sizeof l->text - used, format, arguments);
	va_end(arguments);
}

static void note_place(void *user, uint64_t number, void *held)
{
	/* The frame placed is the one that came under this number. */
	cr_assert_eq((uint64_t)(uintptr_t)held, number + 1);
	note(user, "+%llu", (unsigned long long)number);
}

static void note_lose(void *user, uint64_t number, enum frame_state state, unsigned reason)
{
	if (state == FRAME_DROPPED) {
		cr_assert(reason == DROPPED_OVERLOAD || reason == DROPPED_ABORTED);
		note(user, "%c%llu", reason == DROPPED_OVERLOAD ? 'd' : 'a',
		     (unsigned long long)number);
		return;
	}
	note(user, "-%llu:%s", (unsigned long long)number, frame_reason_name(state, reason));
}

static void finish(struct log *l)
{
	if (l->series.state != SERIES_OPEN)
		return;
	series_finish(&l->series);
	note(l, "]");
}

static enum series_answer submit(struct log *l, char kind, uint64_t number)
{
	if (kind == 'd')
		return series_drop(&l->series, number, DROPPED_OVERLOAD);
	return series_frame(&l->series, number, (void *)(uintptr_t)(number + 1), kind == 'g');
}

/* As the collector does it. */
static void arrive(struct log *l, char kind, uint64_t number)
{
	enum series_answer answer = submit(l, kind, number);

	if (answer == SERIES_RESTART) {
		finish(l);
		series_begin(&l->series, 0);
		note(l, "[");
		answer = submit(l, kind, number);
		cr_assert_neq(answer, SERIES_RESTART);
	}
	if (answer == SERIES_DUPLICATE)
		note(l, "=%llu", (unsigned long long)number);
	if (answer == SERIES_REJECTED)
		note(l, "!%s", reject_name(l->series.reason));
	if (series_complete(&l->series))
		finish(l);
}

static void play(struct log *l, const char *word)
{
	if (strcmp(word, "end") == 0) {
		finish(l);
	} else if (strcmp(word, "stop") == 0) {
		series_stop(&l->series);
		finish(l);
	} else if (strcmp(word, "abort") == 0) {
		series_abort(&l->series);
		finish(l);
	} else if (strncmp(word, "start:", 6) == 0) {
		finish(l);
		series_begin(&l->series, strtoull(word + 6, NULL, 10));
		note(l, "[");
	} else if (strncmp(word, "told:", 5) == 0) {
		series_announce(&l->series, strtoull(word + 5, NULL, 10));
		if (series_complete(&l->series))
			finish(l);
	} else if (strcmp(word, "silence") == 0) {
		series_settle(&l->series);
	} else if (strcmp(word, "force") == 0) {
		series_force(&l->series);
	} else {
		char kind = strchr("dug", word[0]) ? word[0] : 'f';
		uint64_t number = strtoull(kind == 'f' ? word : word + 1, NULL, 10);

		if (kind == 'u')
			series_unusable(&l->series, number);
		else
			arrive(l, kind, number);
	}
}

/* Everything that was decided is expected, and nothing is held back. */
static void check_account(const struct log *l)
{
	uint64_t decided = 0;

	for (const char *at = strrchr(l->text, '['); at && *at; at++)
		decided += *at == '+' || (*at == '-' && at[-1] == ' ') ||
		           ((*at == 'd' || *at == 'a') && at[-1] == ' ');
	cr_expect_eq(l->series.held, 0);
	if (strrchr(l->text, '['))
		cr_expect_eq(series_expected(&l->series), decided, "%s: %llu expected", l->text,
		             (unsigned long long)series_expected(&l->series));
}

static void play_row(const struct row *row, struct log *l)
{
	struct series_rules rules = row->rules;
	struct series_output output = { l, note_place, note_lose };
	char events[512];

	rules.step = rules.step ? rules.step : 1;
	rules.max_gap = rules.max_gap ? rules.max_gap : 1000000;
	rules.reorder = REORDER;
	cr_assert_eq(series_open(&l->series, &rules, &output), 0);
	snprintf(events, sizeof events, "%s", row->events);
	for (char *word = strtok(events, " "); word; word = strtok(NULL, " "))
		play(l, word);
	if (l->series.state == SERIES_CLOSED)
		check_account(l);
	series_close(&l->series);
}

ParameterizedTestParameters(series, follows_the_rules)
{
	static unsigned numbers[sizeof rows / sizeof *rows];

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
		numbers[i] = i;
	return cr_make_param_array(unsigned, numbers, sizeof rows / sizeof *rows);
}

ParameterizedTest(unsigned *number, series, follows_the_rules)
{
	const struct row *row = &rows[*number];
	struct log log = { 0 };

	play_row(row, &log);
	cr_assert_str_eq(log.text, row->outcome, "%s\n  events   %s\n  expected %s\n  got      %s",
	                 row->behaviour, row->events, row->outcome, log.text);
}

/* ---- random streams: the identity holds at every moment ---- */

struct account {
	struct series series;
	uint64_t placed, lost, accepted_frames;
	uint64_t next_number;
	bool any;
	unsigned char seen[4096]; /* times each number was decided */
};

static void decide(struct account *a, uint64_t number)
{
	if (a->any)
		cr_assert_gt(number, a->next_number, "numbers are decided in rising order");
	a->any = true;
	a->next_number = number;
	cr_assert_lt(number, sizeof a->seen);
	cr_assert_eq(a->seen[number]++, 0, "%llu was decided twice", (unsigned long long)number);
}

static void account_place(void *user, uint64_t number, void *held)
{
	struct account *a = user;

	cr_assert_eq((uint64_t)(uintptr_t)held, number + 1);
	a->placed++;
	decide(a, number);
}

static void account_lose(void *user, uint64_t number, enum frame_state state, unsigned reason)
{
	struct account *a = user;

	(void)state;
	(void)reason;
	a->lost++;
	decide(a, number);
}

static uint64_t random_below(uint64_t *state, uint64_t limit)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 33) % limit;
}

static void random_stream(uint64_t seed, bool first_given)
{
	struct series_rules rules = { .first_given = first_given,
		                      .first = 100,
		                      .step = 1,
		                      .reorder = 1 + random_below(&seed, 16),
		                      .max_gap = 50 };
	struct account a = { 0 };
	struct series_output output = { &a, account_place, account_lose };
	uint64_t newest = 100;

	cr_assert_eq(series_open(&a.series, &rules, &output), 0);
	series_begin(&a.series, 0);
	for (unsigned i = 0; i < 1500; i++) {
		uint64_t back = random_below(&seed, rules.reorder + 1);
		uint64_t number = random_below(&seed, 3) ? newest + 1 + random_below(&seed, 3)
		                                         : newest - (back < newest - 99 ? back : 0);
		enum series_answer answer = SERIES_REJECTED;

		if (random_below(&seed, 20) == 0)
			series_unusable(&a.series, number + random_below(&seed, 4));
		else if (random_below(&seed, 10) == 0)
			answer = series_drop(&a.series, number, DROPPED_OVERLOAD);
		else
			answer = series_frame(&a.series, number, (void *)(uintptr_t)(number + 1),
			                      false);
		if (answer == SERIES_RESTART)
			break;
		if (random_below(&seed, 50) == 0)
			series_force(&a.series);
		if (answer == SERIES_ACCEPTED && number > newest)
			newest = number;
		cr_assert_leq(a.placed + a.lost + a.series.held, series_expected(&a.series));
		if (newest > 3500)
			break;
	}
	series_finish(&a.series);
	cr_assert_eq(a.series.held, 0);
	cr_assert_eq(a.placed + a.lost, series_expected(&a.series));
	series_close(&a.series);
}

Test(series, accounts_for_every_number_of_random_streams)
{
	for (uint64_t seed = 1; seed <= 2000; seed++)
		random_stream(seed, seed % 2 == 0);
}

/* Lengths that are configured, announced and told, right or wrong. */
static void random_announced_stream(uint64_t seed)
{
	uint64_t begin = seed;

	bool first_given = random_below(&seed, 2);
	struct series_rules rules = { .first_given = first_given,
		                      .step = 1,
		                      .frames =
		                              random_below(&seed, 2) ? random_below(&seed, 40) : 0,
		                      .reorder = 1 + random_below(&seed, 16),
		                      .max_gap = 20 };
	struct account a = { 0 };
	struct series_output output = { &a, account_place, account_lose };
	uint64_t at = first_given ? 0 : random_below(&seed, 30);

	cr_assert_eq(series_open(&a.series, &rules, &output), 0);
	series_begin(&a.series, random_below(&seed, 3) ? 0 : random_below(&seed, 60));
	for (unsigned i = 0; i < 60 && !series_complete(&a.series); i++) {
		uint64_t back = random_below(&seed, rules.reorder + 1);
		uint64_t number = at > back ? at - back : at;

		at += random_below(&seed, 3);
		if (random_below(&seed, 6) == 0)
			series_unusable(&a.series, number);
		else if (series_frame(&a.series, number, (void *)(uintptr_t)(number + 1), false) ==
		         SERIES_RESTART)
			break;
		if (random_below(&seed, 30) == 0)
			series_announce(&a.series, random_below(&seed, 2) ? random_below(&seed, 60)
			                                                  : 1000000000000);
	}
	series_finish(&a.series);
	cr_assert_eq(a.series.held, 0, "seed %llu", (unsigned long long)begin);
	cr_assert_eq(a.placed + a.lost, series_expected(&a.series), "%llu of %llu",
	             (unsigned long long)(a.placed + a.lost),
	             (unsigned long long)series_expected(&a.series));
	series_close(&a.series);
}

Test(series, accounts_for_every_number_of_announced_streams)
{
	for (uint64_t seed = 1; seed <= 5000; seed++)
		random_announced_stream(seed);
}

Test(series, says_what_its_length_goes_by)
{
	struct series_rules rules = {
		.first_given = true, .frames = 3, .step = 1, .reorder = 4, .max_gap = 10
	};
	struct account a = { 0 };
	struct series_output output = { &a, account_place, account_lose };
	struct series *s = &a.series;

	cr_assert_eq(series_open(s, &rules, &output), 0);
	series_begin(s, 0);
	cr_expect_str_eq(series_expected_from(s), "config");
	cr_expect_eq(series_expected(s), 3);
	series_begin(s, 1000);
	cr_expect_str_eq(series_expected_from(s), "protocol");
	cr_expect_eq(series_expected(s), 1000);
	series_frame(s, 0, (void *)(uintptr_t)1, false);
	series_finish(s);
	cr_expect_str_eq(series_expected_from(s), "seen");
	cr_expect_eq(series_expected(s), 1);
	cr_expect(s->cut && s->announced_frames == 1000);
	s->rules.frames = 0;
	series_begin(s, 0);
	cr_expect_str_eq(series_expected_from(s), "seen");
	series_close(s);
}
