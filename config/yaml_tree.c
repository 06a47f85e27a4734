/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml_tree.h"

#include <string.h>

static struct place place_of(const struct tree *t, yaml_mark_t mark)
{
	return (struct place){ .name = t->name,
		               .is_set = t->is_set,
		               .line = t->is_set ? 0 : mark.line + 1,
		               .column = t->is_set ? 0 : mark.column + 1 };
}

/* Line and column of a byte, where libyaml gives an offset only. */
static void find_offset(const char *text, size_t offset, struct place *ret)
{
	ret->line = 1;
	ret->column = 1;
	for (size_t i = 0; i < offset; i++) {
		ret->column++;
		if (text[i] == '\n') {
			ret->line++;
			ret->column = 1;
		}
	}
}

/* Whether a tab stands there, the usual reason for a character YAML cannot use. */
static bool is_tab(const char *text, size_t length, yaml_mark_t mark)
{
	const char *end = text + length;

	for (size_t line = 0; line < mark.line; line++) {
		text = memchr(text, '\n', (size_t)(end - text));
		if (!text)
			return false;
		text++;
	}
	return mark.column < (size_t)(end - text) && text[mark.column] == '\t';
}

static void refuse_syntax(struct tree *t, const yaml_parser_t *parser, const char *text,
                          size_t length)
{
	size_t offset = parser->problem_offset < length ? parser->problem_offset : length;
	struct place place = place_of(t, parser->problem_mark);
	const char *context = parser->context ? parser->context : "";

	/* libyaml leaves the error out of some failed allocations. */
	if (parser->error == YAML_MEMORY_ERROR || parser->error == YAML_NO_ERROR) {
		t->loading->no_memory = true;
		return;
	}
	if (parser->error == YAML_READER_ERROR && !t->is_set)
		find_offset(text, offset, &place);
	problems_add(&t->loading->problems, &place, NULL, "not YAML: %s%s%s%s%s",
	             parser->problem ? parser->problem : "it cannot be read", *context ? ", " : "",
	             context,
	             is_tab(text, length, parser->problem_mark) ? " (a tab; indent with spaces)"
	                                                        : "",
	             t->is_set ? " (a text with signs in it needs double quotes around it: "
	                         "--set 'KEY=\"VALUE\"')"
	                       : "");
}

/* What of an event is refused, though it could be read. */
static void refuse_properties(struct tree *t, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;
	struct place place = place_of(t, event->start_mark);

	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor || event->type == YAML_ALIAS_EVENT)
		problems_add(&t->loading->problems, &place, NULL,
		             "anchors (&name) and aliases (*name) are not accepted; write the "
		             "value out, or in quotes if it begins like that");
	if (tag)
		problems_add(&t->loading->problems, &place, NULL,
		             "tags (!name) are not accepted; write the value without, or in quotes "
		             "if it begins like that");
}

/* What one more event means for reading on. `state` counts since the start of the stream. */
struct scan {
	unsigned depth, documents;
};

static bool scan_event(struct tree *t, struct scan *scan, const yaml_event_t *event)
{
	struct place place = place_of(t, event->start_mark);

	refuse_properties(t, event);
	if (event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT)
		scan->depth++;
	if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT)
		scan->depth--;
	if (event->type == YAML_DOCUMENT_START_EVENT)
		scan->documents++;
	if (scan->depth > TREE_DEPTH_MAX) {
		problems_add(&t->loading->problems, &place, NULL,
		             "nested more than %d deep; no key is", TREE_DEPTH_MAX);
		return false;
	}
	if (scan->documents > 1) {
		problems_add(&t->loading->problems, &place, NULL,
		             "a second document begins; there must be one only");
		return false;
	}
	return !problems_full(&t->loading->problems);
}

/* Read the stream's events to the end, and refuse it early where its tree would be costly. */
static enum tree_read scan_events(struct tree *t, yaml_parser_t *parser, const char *text,
                                  size_t length)
{
	struct scan scan = { 0 };
	bool ended = false;

	while (!ended) {
		yaml_event_t event;
		bool read_on;

		if (!yaml_parser_parse(parser, &event)) {
			refuse_syntax(t, parser, text, length);
			return TREE_REFUSED;
		}
		ended = event.type == YAML_STREAM_END_EVENT;
		read_on = scan_event(t, &scan, &event);
		yaml_event_delete(&event);
		if (!read_on)
			return TREE_REFUSED;
	}
	return scan.documents == 0 ? TREE_EMPTY : TREE_READ;
}

static enum tree_read load_document(struct tree *t, yaml_parser_t *parser, const char *text,
                                    size_t length)
{
	if (yaml_parser_load(parser, &t->document))
		return TREE_READ;
	refuse_syntax(t, parser, text, length);
	return TREE_REFUSED;
}

typedef enum tree_read reader_fn(struct tree *t, yaml_parser_t *parser, const char *text,
                                 size_t length);

static enum tree_read parse(struct tree *t, const char *text, size_t length, reader_fn *reader)
{
	yaml_parser_t parser;
	enum tree_read read;

	if (!yaml_parser_initialize(&parser)) {
		t->loading->no_memory = true;
		return TREE_REFUSED;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	read = reader(t, &parser, text, length);
	yaml_parser_delete(&parser);
	return read;
}

enum tree_read tree_open(struct tree *t, const char *text, size_t length)
{
	enum tree_read read = parse(t, text, length, scan_events);

	return read == TREE_READ ? parse(t, text, length, load_document) : read;
}

void tree_close(struct tree *t)
{
	yaml_document_delete(&t->document);
}

const yaml_node_t *tree_node(struct tree *t, int id, struct place *ret_place)
{
	const yaml_node_t *node = yaml_document_get_node(&t->document, id);

	*ret_place = place_of(t, node->start_mark);
	return node;
}

struct scalar tree_scalar(const struct tree *t, const yaml_node_t *node)
{
	return (struct scalar){ .text = (const char *)node->data.scalar.value,
		                .length = node->data.scalar.length,
		                .quoted = node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE,
		                .seconds = t->seconds };
}

bool tree_is_nothing(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0 &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

const char *tree_describe(char buffer[TREE_DESCRIBED], const yaml_node_t *node)
{
	char text[SHOWN_MAX];

	if (node->type == YAML_MAPPING_NODE)
		return "a map";
	if (node->type == YAML_SEQUENCE_NODE)
		return "a list";
	if (tree_is_nothing(node))
		return "nothing";
	snprintf(buffer, TREE_DESCRIBED, "'%s'",
	         shown(text, (const char *)node->data.scalar.value));
	return buffer;
}
