/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam status: what a running daemon does. */
#include "daemon/openbeam_commands.h"
#include "daemon/remote.h"

#include <inttypes.h>
#include <string.h>

static const char status_usage[] =
	"usage: openbeam status [OPTION]...\n"
	"\n"
	"Says what a running daemon does: the series, its frames, rates, space, alarms.\n"
	"\n" REMOTE_OPTIONS "\n"
	"Exit status: 0; 2 usage; 69 nothing answers; 76 what answers is no openbeamd; 77 it was\n"
	"refused.\n";

static void print_reasons(const char *what, const json_t *reasons)
{
	const char *key, *between = " (";
	json_t *value;

	printf("  %s %" PRIu64, what, remote_sum(reasons));
	json_object_foreach((json_t *)(uintptr_t)reasons, key, value)
	{
		if (json_integer_value(value) == 0)
			continue;
		printf("%s", between);
		remote_put(stdout, key);
		printf(" %" PRIu64, (uint64_t)json_integer_value(value));
		between = ", ";
	}
	printf("%s", between[0] == ',' ? ")" : "");
}

static void print_frames(const json_t *f)
{
	printf("frames       expected %" PRIu64 "  received %" PRIu64 "  written %" PRIu64
	       "  durable %" PRIu64 "  pending %" PRIu64 "\n",
	       remote_count(f, "expected"), remote_count(f, "received"), remote_count(f, "written"),
	       remote_count(f, "durable"), remote_count(f, "pending"));
	printf("lost       ");
	print_reasons("dropped", json_object_get(f, "dropped"));
	print_reasons("missing", json_object_get(f, "missing"));
	print_reasons("rejected", json_object_get(f, "rejected"));
	printf("  duplicate %" PRIu64 "  flagged %" PRIu64 "\n", remote_count(f, "duplicate"),
	       remote_count(f, "flagged"));
}

static void print_machine(const json_t *s)
{
	const json_t *rate = json_object_get(s, "rate"), *buffer = json_object_get(s, "buffer"),
		     *disk = json_object_get(s, "disk");
	uint64_t slots = remote_count(buffer, "slots");

	printf("rate         %.1f frames/s  in %.3f GB/s  out %.3f GB/s\n",
	       remote_number(rate, "fps"), remote_number(rate, "bytes_in_per_s") / 1e9,
	       remote_number(rate, "bytes_out_per_s") / 1e9);
	if (slots > 0)
		printf("buffer       %" PRIu64 " of %" PRIu64 " slots in use",
		       remote_count(buffer, "slots_used"), slots);
	else
		printf("buffer       laid out at the first frame");
	/* A few more slots in use than a second ago are no trend. */
	if (remote_has_number(buffer, "seconds_to_overflow") &&
	    remote_count(buffer, "slots_used") * 10 >= slots)
		printf(", full in %.1f s", remote_number(buffer, "seconds_to_overflow"));
	printf("\ndisk         ");
	if (remote_has_number(disk, "free_bytes"))
		printf("%.1f GB free", remote_number(disk, "free_bytes") / 1e9);
	else
		printf("not known");
	if (remote_has_number(disk, "seconds_left"))
		printf(", full in %.0f s", remote_number(disk, "seconds_left"));
	printf("\n");
}

static void print_quality(const json_t *q)
{
	if (!remote_has_number(q, "raw_mean"))
		return;
	printf("image        mean %.6g counts", remote_number(q, "raw_mean"));
	if (remote_has_number(q, "mean"))
		printf("  normalised %.6g", remote_number(q, "mean"));
	if (remote_has_number(q, "saturated_share"))
		printf("  saturated %.3g %%", 100 * remote_number(q, "saturated_share"));
	if (remote_has_number(q, "dose"))
		printf("  dose %.6g", remote_number(q, "dose"));
	printf("\n");
}

static void print_calibration(const json_t *c)
{
	const char *state = remote_text(c, "state"), *role = remote_text(c, "role");

	if (strcmp(state, "collecting") == 0 || strcmp(state, "making") == 0) {
		printf("calibration  %s: ", state);
		remote_put(stdout, role);
		printf(", %" PRIu64 " of %" PRIu64 " frames\n", remote_count(c, "taken"),
		       remote_count(c, "wanted"));
	} else if (remote_text(c, "text")[0]) {
		printf("calibration  ");
		remote_put(stdout, remote_text(c, "text"));
		printf("\n");
	}
}

static void print_blackbox(const json_t *b)
{
	const char *path = remote_text(b, "path");

	if (!json_is_true(json_object_get(b, "configured")))
		return;
	printf("black box    %s, holds %" PRIu64 " frames of %.1f s\n",
	       json_is_true(json_object_get(b, "writing")) ? "being written" : "ready",
	       remote_count(b, "frames"), remote_number(b, "seconds"));
	if (!path[0])
		return;
	printf("             last: ");
	remote_put(stdout, path);
	printf(": ");
	remote_put(stdout, remote_text(b, "text"));
	printf("\n");
}

static void print_alarms(const json_t *alarms)
{
	size_t i;
	json_t *alarm;

	json_array_foreach((json_t *)(uintptr_t)alarms, i, alarm)
	{
		printf("alarm        ");
		remote_put(stdout, remote_text(alarm, "sentinel"));
		printf(": ");
		remote_put(stdout, remote_text(alarm, "text"));
		printf("\n");
	}
}

static void print_armed(const json_t *armed)
{
	if (!json_is_object(armed))
		return;
	printf("armed        the next frames begin ");
	remote_put(stdout, remote_text(armed, "name")[0] ? remote_text(armed, "name") : "a series");
	if (remote_count(armed, "frames"))
		printf(", %" PRIu64 " frames", remote_count(armed, "frames"));
	if (remote_has_number(armed, "first"))
		printf(" from number %" PRIu64, remote_count(armed, "first"));
	printf("\n");
}

static void print_last_loss(const json_t *loss)
{
	if (!json_is_object(loss))
		return;
	printf("last loss    ");
	remote_put(stdout, remote_text(loss, "text"));
	printf("\n");
}

static void print_status(const json_t *s)
{
	const json_t *series = json_object_get(s, "series");
	const char *path = remote_text(series, "path");

	remote_put(stdout, remote_text(s, "state"));
	printf("%s", path[0] ? ": " : ": no series yet");
	remote_put(stdout, path);
	printf("\n");
	print_armed(json_object_get(s, "armed"));
	print_frames(json_object_get(s, "frames"));
	print_last_loss(json_object_get(s, "last_loss"));
	print_machine(s);
	print_quality(json_object_get(s, "quality"));
	print_calibration(json_object_get(s, "calibration"));
	print_blackbox(json_object_get(s, "blackbox"));
	print_alarms(json_object_get(s, "alarms"));
}

int openbeam_status(int argc, char **argv)
{
	struct remote r;
	json_t *answer = NULL;
	int status = remote_parse(&r, argc, argv, "");

	if (status == 0 && r.help)
		fputs(status_usage, stdout);
	if (status != 0 || r.help)
		return status;
	status = remote_ask(&r, "/api/v1/status", NULL, false, &answer);
	if (status == 0 && r.as_json)
		remote_print_json(answer);
	else if (status == 0)
		print_status(answer);
	json_decref(answer);
	return status;
}
