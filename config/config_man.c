/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_man.h"
#include "config/options.h"

#include <stdbool.h>
#include <string.h>

/* One line of text: no character of it is taken for a request or an escape. */
static void put_text(FILE *out, const char *text, size_t length)
{
	if (length > 0 && (text[0] == '.' || text[0] == '\''))
		fputs("\\&", out);
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\\')
			fputs("\\e", out);
		else if (text[i] == '-')
			fputs("\\-", out);
		else if (text[i] == '^')
			fputs("\\(ha", out);
		else if (text[i] == '~')
			fputs("\\(ti", out);
		else
			fputc(text[i], out);
	}
}

static void put_line(FILE *out, const char *text)
{
	put_text(out, text, strlen(text));
	fputc('\n', out);
}

/* Paragraphs; lines that are indented stay as they are. */
static void put_paragraphs(FILE *out, const char *text)
{
	bool as_is = false;

	while (*text) {
		size_t length = strcspn(text, "\n");
		bool indented = text[0] == ' ';

		if (length == 0)
			fputs(as_is ? ".fi\n.PP\n" : ".PP\n", out);
		else if (indented && !as_is)
			fputs(".nf\n", out);
		as_is = indented;
		put_text(out, text, length);
		fputs(length > 0 ? "\n" : "", out);
		text += length + (text[length] == '\n');
	}
	fputs(as_is ? ".fi\n" : "", out);
}

static void put_section(FILE *out, const struct option_section *s)
{
	bool is_top = !strchr(s->path, '.');

	fprintf(out, "%s", is_top ? ".SS " : ".PP\n.B ");
	put_line(out, s->path);
	if (!is_top)
		fputs(".br\n", out);
	put_line(out, s->help);
	if (option_find_list(s->path))
		put_line(out, "A list; N counts its entries from 0.");
}

static void put_option(FILE *out, const struct option *o)
{
	char accepts[ACCEPTS_MAX];

	fputs(".TP\n.B ", out);
	put_line(out, o->path);
	put_line(out, o->help);
	option_accepts(o, accepts);
	fputs(".br\nAccepted: ", out);
	put_text(out, accepts, strlen(accepts));
	fputs(".\n.br\nDefault: ", out);
	put_line(out, o->fallback);
}

static void put_sections(FILE *out, const struct option *o, const struct option *before)
{
	char path[OPTION_SECTION_BYTES] = "";

	while (option_next_section(o, before, path))
		if (option_find_section(path))
			put_section(out, option_find_section(path));
}

void config_man(FILE *out, const char *version, const char *date)
{
	fprintf(out, ".TH OPENBEAM.YAML 5 %s \"openbeam %s\" openbeam\n", date, version);
	fputs(".SH NAME\nopenbeam.yaml \\- configuration of openbeamd\n.SH DESCRIPTION\n", out);
	put_paragraphs(out, option_manual);
	fputs(".SH KEYS\n", out);
	for (const struct option *o = options; o->path; o++) {
		put_sections(out, o, o > options ? o - 1 : NULL);
		put_option(out, o);
	}
	fputs(".SH FILES\n.TP\n.I /etc/openbeam/openbeam.yaml\n"
	      "what the service reads, as the package installs it: every key with its default\n"
	      ".SH SEE ALSO\n.BR openbeamd (8),\n.BR openbeam (1)\n",
	      out);
}
