/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text_rules.h"

#include <stdlib.h>
#include <string.h>

#define STEP_DIGITS     5
#define STEP_FRAMES_MAX 65535 /* as many as are combined */

static const char letters_and_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789";

static bool fits_name(const char *text)
{
	const char *c = text + strspn(text, letters_and_digits);

	if (c == text)
		return false;
	while (*c && (strchr("_-.", *c) || strchr(letters_and_digits, *c)))
		c++;
	return *c == '\0';
}

static bool fits_path(const char *text)
{
	return text[0] != '~';
}

/* A port from 1 (or 0) to 65535. */
static bool is_port(const char *text, unsigned lowest)
{
	size_t digits = strspn(text, "0123456789");
	unsigned port = 0;

	if (digits == 0 || digits > 5 || text[digits] != '\0')
		return false;
	for (size_t i = 0; i < digits; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	return port >= lowest && port <= 65535;
}

static bool has_space(const char *text)
{
	return strchr(text, ' ') != NULL;
}

static bool fits_endpoint(const char *text)
{
	const char *port;

	if (strncmp(text, "ipc://", 6) == 0)
		return text[6] != '\0';
	if (strncmp(text, "tcp://", 6) != 0 || has_space(text))
		return false;
	port = strrchr(text + 6, ':');
	return port && port > text + 6 && (is_port(port + 1, 1) || strcmp(port, ":*") == 0);
}

static bool fits_address(const char *text)
{
	const char *port = strrchr(text, ':');

	return port && port > text && is_port(port + 1, 0) && !has_space(text) &&
	       !strchr(text, '/');
}

/* As a Host header has it: no patterns; the first two signs are only between brackets. */
static bool fits_host(const char *text)
{
	static const char signs[] = ":%.-_0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	bool bracketed = text[0] == '[';
	const char *begin = text + bracketed;
	const char *rest = begin + strspn(begin, bracketed ? signs : signs + 2);

	if (rest == begin || (bracketed && *rest++ != ']'))
		return false;
	return *rest == '\0' || (*rest == ':' && is_port(rest + 1, 1));
}

static const char *const role_names[CALIBRATE_COUNT] = {
	[CALIBRATE_DARK] = "dark",
	[CALIBRATE_FLAT] = "flat",
	[CALIBRATE_FLAT_DARK] = "flat_dark",
};

const char *calibration_role_name(enum calibration_role role)
{
	return role_names[role];
}

/* The number of frames behind the word: spaces, then 1 to 65535. 0: it is none. */
static uint32_t step_frames(const char *text)
{
	size_t spaces = strspn(text, " ");
	size_t digits = strspn(text + spaces, "0123456789");
	unsigned long frames;

	if (spaces == 0 || digits == 0 || digits > STEP_DIGITS || text[spaces + digits] != '\0')
		return 0;
	frames = strtoul(text + spaces, NULL, 10);
	return frames <= STEP_FRAMES_MAX ? (uint32_t)frames : 0;
}

bool config_step_read(const char *text, struct config_step *ret)
{
	size_t word = strcspn(text, " ");
	uint32_t frames = step_frames(text + word);

	for (enum calibration_role r = 0; r < CALIBRATE_COUNT && frames > 0; r++) {
		if (strlen(role_names[r]) != word || strncmp(role_names[r], text, word) != 0)
			continue;
		*ret = (struct config_step){ .role = r, .frames = frames };
		return true;
	}
	return false;
}

static bool fits_step(const char *text)
{
	struct config_step step;

	return config_step_read(text, &step);
}

static bool fits_occasion(const char *text)
{
	static const char *const words[] = { "alarm", "loss", "command" };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(words[i], text) == 0)
			return true;
	}
	return false;
}

const struct option_rule rule_name = {
	"letters, digits, _ - and ., a letter or digit first",
	fits_name,
};

const struct option_rule rule_region = {
	"names of regions",
	fits_name,
};

const struct option_rule rule_path = {
	"a path (~ is not expanded)",
	fits_path,
};

const struct option_rule rule_endpoint = {
	"tcp://HOST:PORT or ipc://PATH",
	fits_endpoint,
};

const struct option_rule rule_address = {
	"HOST:PORT",
	fits_address,
};

const struct option_rule rule_host = {
	"host names, with the port where it is not the listening one",
	fits_host,
};

const struct option_rule rule_step = {
	"\"dark N\", \"flat N\" and \"flat_dark N\", N frames being 1 to 65535",
	fits_step,
};

const struct option_rule rule_occasion = {
	"alarm, loss and command",
	fits_occasion,
};
