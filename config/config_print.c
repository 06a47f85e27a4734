/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <inttypes.h>
#include <string.h>

#include "config/options.h"
#include "config/units.h"
#include "config/values.h"

#define COLUMNS 96 /* of a comment */

const char option_manual[] =
	"Configuration of openbeamd: every key, what it means, what it accepts and its default. A "
	"key that is left out has its default, so a file of your own needs only what differs.\n"
	"\n"
	"  openbeamd -c FILE --check          look for mistakes in a file, and on this host\n"
	"  openbeamd -c FILE --print-config   the values in effect, written like this file\n"
	"  --set reduce.bin=2                 one key for one run; also sinks.0.directory=/data\n"
	"\n"
	"Sizes are bytes, or have a unit: B, KB, MB, GB, TB (1000) or KiB, MiB, GiB, TiB (1024). "
	"Times have a unit: ns, us, ms, s, min or h. Keys that are not known are refused.";

static void indent(FILE *out, unsigned columns)
{
	for (unsigned i = 0; i < columns; i++)
		fputc(' ', out);
}

/* One paragraph as comment lines, broken at spaces. */
static void print_paragraph(FILE *out, unsigned columns, const char *text, size_t length)
{
	size_t width = COLUMNS - columns - 2;

	do {
		size_t line = length;

		if (line > width) {
			line = width;
			while (line > 0 && text[line] != ' ')
				line--;
			if (line == 0)
				line = width;
		}
		indent(out, columns);
		fprintf(out, line ? "# %.*s\n" : "#\n", (int)line, text);
		text += line;
		length -= line;
		while (length > 0 && *text == ' ') {
			text++;
			length--;
		}
	} while (length > 0);
}

static void print_comment(FILE *out, unsigned columns, const char *text)
{
	for (;;) {
		size_t length = strcspn(text, "\n");

		print_paragraph(out, columns, text, length);
		if (text[length] == '\0')
			return;
		text += length + 1;
	}
}

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char digits[] = "0123456789";

/* Words that YAML 1.1 takes for something else. */
static bool is_yaml_word(const char *text)
{
	static const char *const words[] = { "null", "true", "false", "yes", "no",
		                             "on",   "off",  "y",     "n" };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcasecmp(text, words[i]) == 0)
			return true;
	}
	return false;
}

/* Begins like no number: with a letter or slash, or it is an IP address. */
static bool begins_as_text(const char *text)
{
	if (*text == '/' || (*text && strchr(letters, *text)))
		return true;
	return *text && strchr(digits, *text) && strchr(text, '.') != strrchr(text, '.');
}

/* Whether every YAML reader takes the text for itself without quotes. */
static bool is_plain(const char *text)
{
	if (!begins_as_text(text) || is_yaml_word(text) || text[strlen(text) - 1] == ':')
		return false;
	for (; *text; text++) {
		if (!strchr(letters, *text) && !strchr(digits, *text) && !strchr("_-./:", *text))
			return false;
	}
	return true;
}

static void print_text(FILE *out, const char *text)
{
	if (is_plain(text)) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void print_choice(FILE *out, const struct option *o, const void *base)
{
	const char *word = config_choice(o->path, (unsigned)value_number(o, base));

	if (o->flags & OPTION_NUMBER)
		fputs(word, out);
	else
		print_text(out, word);
}

static void print_number(FILE *out, const struct option *o, const void *base)
{
	int64_t value = value_number(o, base);
	char text[UNITS_TEXT];

	if ((o->flags & OPTION_AUTO) && value == CONFIG_AUTO)
		snprintf(text, sizeof text, "auto");
	else if (o->kind == OPTION_SIZE)
		units_print_size(value, text);
	else if (o->kind == OPTION_TIME)
		units_print_time(value, text);
	else
		snprintf(text, sizeof text, "%" PRId64, value);
	fputs(text, out);
}

static void print_real(FILE *out, const struct option *o, const void *base)
{
	char text[UNITS_TEXT] = "auto";
	double value;

	if (value_real(o, base, &value))
		units_print_real(value, text);
	fputs(text, out);
}

static void print_interval(FILE *out, const struct option *o, const void *base)
{
	char low[UNITS_TEXT], high[UNITS_TEXT];
	double ends[2];

	value_interval(o, base, ends);
	units_print_real(ends[0], low);
	units_print_real(ends[1], high);
	fprintf(out, "[%s, %s]", low, high);
}

static void print_list(FILE *out, const struct option *o, const void *base)
{
	unsigned count = value_count(o, base);

	fputc('[', out);
	for (unsigned i = 0; i < count; i++) {
		fputs(i > 0 ? ", " : "", out);
		if (o->kind == OPTION_INTEGERS)
			fprintf(out, "%d", value_integer_at(o, base, i));
		else
			print_text(out, value_text_at(o, base, i));
	}
	fputc(']', out);
}

static void print_value(FILE *out, const struct option *o, const void *base)
{
	switch (o->kind) {
	case OPTION_CHOICE:
		print_choice(out, o, base);
		break;
	case OPTION_WORD:
	case OPTION_TEXT:
		print_text(out, value_text(o, base));
		break;
	case OPTION_TEXTS:
	case OPTION_INTEGERS:
		print_list(out, o, base);
		break;
	case OPTION_INTEGER:
	case OPTION_SIZE:
	case OPTION_TIME:
		print_number(out, o, base);
		break;
	case OPTION_REAL:
		print_real(out, o, base);
		break;
	case OPTION_INTERVAL:
		print_interval(out, o, base);
		break;
	}
}

/* How deep a key lies: the dots in its path. */
static unsigned depth(const char *path)
{
	unsigned dots = 0;

	for (; *path; path++)
		dots += *path == '.';
	return dots;
}

/* Meaning, accepted values and default, above the key. */
static void print_manual(FILE *out, const struct option *o, unsigned columns)
{
	char accepts[ACCEPTS_MAX], line[ACCEPTS_MAX + 128];
	size_t split;

	option_accepts(o, accepts);
	split = (size_t)snprintf(line, sizeof line, "Accepted: %s.", accepts);
	snprintf(line + split, sizeof line - split, " Default: %s", o->fallback);
	if (strlen(line) > COLUMNS - columns - 2)
		line[split] = '\n';
	print_comment(out, columns, o->help);
	print_comment(out, columns, line);
}

static void print_option(FILE *out, const struct option *o, const void *base, bool begins_section)
{
	unsigned columns = 2 * depth(o->path);

	if (!begins_section)
		fputc('\n', out);
	print_manual(out, o, columns);
	indent(out, columns);
	fprintf(out, "%s: ", option_name(o));
	print_value(out, o, base);
	fputc('\n', out);
}

/* What a section is about, above it. */
static void print_help(FILE *out, const char *path, bool apart)
{
	if (apart)
		fputc('\n', out);
	print_comment(out, 2 * depth(path), option_find_section(path)->help);
}

static void print_section(FILE *out, const char *path, bool apart)
{
	const char *dot = strrchr(path, '.');

	print_help(out, path, apart);
	indent(out, 2 * depth(path));
	fprintf(out, "%s:\n", dot ? dot + 1 : path);
}

/* The headings of the sections that begin with this key. Whether there were any. */
static bool print_sections(FILE *out, const struct option *o, const struct option *before)
{
	char path[OPTION_SECTION_BYTES] = "";
	bool any = false;

	while (option_next_section(o, before, path)) {
		print_section(out, path, !any);
		any = true;
	}
	return any;
}

/* The manual goes above the keys of the first element only. */
static void print_element(FILE *out, const struct option_list *list, const void *element,
                          bool with_manual)
{
	const char *lead = "  - ";

	for (const struct option *o = options; o->path; o++) {
		if (option_list_of(o) != list)
			continue;
		if (with_manual && lead[2] == ' ')
			fputc('\n', out);
		if (with_manual)
			print_manual(out, o, 4);
		fprintf(out, "%s%s: ", lead, option_name(o));
		print_value(out, o, element);
		fputc('\n', out);
		lead = "    ";
	}
}

/* Of an empty list the manual is all there is: an element as a comment. */
static void print_empty_list(FILE *out, const struct option_list *list)
{
	const char *lead = "  # - ";

	fprintf(out, "%s: []\n", list->path);
	for (const struct option *o = options; o->path; o++) {
		if (option_list_of(o) != list)
			continue;
		if (lead[4] == ' ')
			fputc('\n', out);
		print_manual(out, o, 2);
		fprintf(out, "%s%s: %s\n", lead, option_name(o), o->fallback);
		lead = "  #   ";
	}
}

static void print_elements(FILE *out, const struct option_list *list, const struct config *c)
{
	unsigned count = option_list_count(list, c);

	if (count == 0) {
		print_help(out, list->path, true);
		print_empty_list(out, list);
		return;
	}
	print_section(out, list->path, true);
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			fputc('\n', out);
		print_element(out, list, option_const_element(list, c, i), i == 0);
	}
}

void config_print(const struct config *c, FILE *out)
{
	const struct option *before = NULL;
	const struct option_list *printed = NULL;

	print_comment(out, 0, option_manual);
	for (const struct option *o = options; o->path; o++) {
		const struct option_list *list = option_list_of(o);

		if (list && list != printed)
			print_elements(out, list, c);
		printed = list;
		if (!list) {
			bool begins = print_sections(out, o, before);

			print_option(out, o, c, begins);
		}
		before = o;
	}
}
