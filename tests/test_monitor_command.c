/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/monitor_command.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define SIXTY_FIVE "a2345678901234567890123456789012345678901234567890123456789012345"

static int parse(const char *text, struct command *ret, char why[400])
{
	why[0] = '\0';
	return monitor_command_parse(text, strlen(text), ret, why);
}

Test(monitor_command, a_dark_is_read_with_all_its_keys)
{
	struct command c;
	char why[400];

	cr_assert_eq(parse("{\"command\": \"dark\", \"frames\": 50, \"combine\": \"median\", "
	                   "\"timeout_s\": 1.5, \"for\": \"flats\"}",
	                   &c, why),
	             0, "%s", why);
	cr_expect_eq(c.kind, COMMAND_DARK);
	cr_expect_eq(c.frames, 50);
	cr_expect(c.combine_given);
	cr_expect_eq(c.combine, COMBINE_MEDIAN);
	cr_expect_eq(c.timeout_ns, 1500000000u);
	cr_expect(c.for_flat);
}

Test(monitor_command, what_is_left_out_is_as_configured)
{
	struct command c;
	char why[400];

	cr_assert_eq(parse("{\"frames\": 1, \"command\": \"flat\"}", &c, why), 0, "%s", why);
	cr_expect_eq(c.kind, COMMAND_FLAT);
	cr_expect_eq(c.frames, 1);
	cr_expect_not(c.combine_given);
	cr_expect_eq(c.timeout_ns, 0);
	cr_expect_not(c.for_flat);
}

Test(monitor_command, keep_and_cancel_take_nothing)
{
	struct command c;
	char why[400];

	cr_assert_eq(parse("{\"command\": \"keep\"}", &c, why), 0);
	cr_expect_eq(c.kind, COMMAND_KEEP);
	cr_assert_eq(parse("{\"command\": \"cancel\"}", &c, why), 0);
	cr_expect_eq(c.kind, COMMAND_CANCEL);
	cr_expect_eq(parse("{\"command\": \"keep\", \"frames\": 3}", &c, why), -EINVAL);
	cr_expect(strstr(why, "\"frames\""), "%s", why);
}

Test(monitor_command, an_arm_may_say_everything_of_its_series_or_nothing)
{
	struct command c;
	char why[400];

	cr_assert_eq(parse("{\"command\": \"arm\", \"name\": \"beam-7.b\", \"frames\": 100, "
	                   "\"first\": 0, \"force\": true}",
	                   &c, why),
	             0, "%s", why);
	cr_expect_eq(c.kind, COMMAND_ARM);
	cr_expect_str_eq(c.name, "beam-7.b");
	cr_expect_eq(c.frames, 100);
	cr_expect(c.first_given && c.first == 0 && c.force);
	cr_assert_eq(parse("{\"command\": \"arm\", \"frames\": 0}", &c, why), 0, "%s", why);
	cr_expect(c.name[0] == '\0' && c.frames == 0 && !c.first_given && !c.force);
	cr_expect_eq(parse("{\"command\": \"stop\"}", &c, why), 0);
	cr_expect_eq(parse("{\"command\": \"dance\"}", &c, why), -EINVAL);
	cr_expect(strstr(why, "dance") && strstr(why, "abort"), "%s", why);
}

Test(monitor_command, what_is_wrong_is_named)
{
	static const struct {
		const char *text, *named;
	} rows[] = {
		{ "", "JSON" },
		{ "{", "JSON" },
		{ "[1]", "object" },
		{ "\"dark\"", "JSON" },
		{ "{}", "\"command\"" },
		{ "{\"command\": 5}", "\"command\"" },
		{ "{\"command\": \"dark\"}", "\"frames\"" },
		{ "{\"command\": \"dark\", \"frames\": 0}", "frames" },
		{ "{\"command\": \"dark\", \"frames\": -1}", "1 to 65535, not -1" },
		{ "{\"command\": \"flat\", \"frames\": 65536}", "1 to 65535, not 65536" },
		{ "{\"command\": \"dark\", \"frames\": 1.0}", "frames" },
		{ "{\"command\": \"dark\", \"frames\": \"5\"}", "frames" },
		{ "{\"command\": \"dark\", \"frames\": 1000000001}", "frames" },
		{ "{\"command\": \"dark\", \"frames\": 99999999999999999999}", "JSON" },
		{ "{\"command\": \"dark\", \"frames\": 1, \"frames\": 2}", "duplicate" },
		{ "{\"command\": \"dark\", \"frames\": 1, \"frame\": 2}", "\"frame\"" },
		{ "{\"command\": \"dark\", \"frames\": 1, \"combine\": \"sum\"}", "combine" },
		{ "{\"command\": \"dark\", \"frames\": 1, \"combine\": null}", "combine" },
		{ "{\"command\": \"dark\", \"frames\": 1, \"timeout_s\": 0}", "timeout_s" },
		{ "{\"command\": \"dark\", \"frames\": 1, \"timeout_s\": 1e300}", "timeout_s" },
		{ "{\"command\": \"dark\", \"frames\": 1, \"timeout_s\": \"1s\"}", "timeout_s" },
		{ "{\"command\": \"dark\", \"frames\": 1, \"for\": \"darks\"}", "for" },
		{ "{\"command\": \"flat\", \"frames\": 1, \"for\": \"flats\"}", "\"for\"" },
		{ "{\"command\": \"arm\", \"name\": \"../x\"}", ", not \"../x\"" },
		{ "{\"command\": \"arm\", \"name\": \"a/b\"}", "name" },
		{ "{\"command\": \"arm\", \"name\": \"\"}", "name" },
		{ "{\"command\": \"arm\", \"name\": \".hidden\"}", "name" },
		{ "{\"command\": \"arm\", \"name\": \"a\\u0000b\"}", "NUL" },
		{ "{\"command\": \"arm\", \"name\": \"" SIXTY_FIVE "\"}", "name" },
		{ "{\"command\": \"arm\", \"first\": -1}", "first" },
		{ "{\"command\": \"arm\", \"first\": 9223372036854775806, \"frames\": 9}",
		  "last of 9" },
		{ "{\"command\": \"arm\", \"frames\": \"5\"}", "frames" },
		{ "{\"command\": \"arm\", \"force\": 1}", "force" },
		{ "{\"command\": \"arm\", \"combine\": \"mean\"}", "combine" },
		{ "{\"command\": \"stop\", \"frames\": 1}", "frames" },
		{ "{\"command\": \"dark\", \"frames\": 1, \"name\": \"x\"}", "\"name\"" },
	};
	struct command c = { .frames = 77 };
	char why[400];

	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		cr_expect_eq(parse(rows[i].text, &c, why), -EINVAL, "%s", rows[i].text);
		cr_expect(strstr(why, rows[i].named), "%s: %s", rows[i].text, why);
	}
	cr_expect_eq(c.frames, 77);
}
