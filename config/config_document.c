/* SPDX-License-Identifier: Apache-2.0 */
#include "config/loading.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/values.h"

/* A document is a tree of libyaml's nodes; it is walked with the option table as the map. The
 * table is three levels deep and the walk follows only keys it knows, so a deep document cannot
 * make it recurse far, and PROBLEMS_MAX bounds what a wide one costs. */

#define PATH_BYTES 192 /* of a dotted key; a longer one is unknown anyway */

/* One document being applied. */
struct walk {
	struct loading *loading;
	const char *name; /* see struct place */
	bool is_set;
	yaml_document_t document;
	bool *visited; /* [node]; libyaml resolves an alias to the node it names */
};

/* A key, with the values and places it belongs to. */
struct scope {
	char path[PATH_BYTES]; /* in the table: "sinks.N.format" */
	char key[PATH_BYTES];  /* in messages: "sinks.0.format" */
	void *base;            /* struct config, or struct config_sink */
	struct given *given;   /* [row] */
};

static void apply_key(struct walk *w, const struct scope *scope, int id,
                      const struct place *key_place);

static struct place place_of(const struct walk *w, yaml_mark_t mark)
{
	return (struct place){ .name = w->name,
		               .is_set = w->is_set,
		               .line = w->is_set ? 0 : mark.line + 1,
		               .column = w->is_set ? 0 : mark.column + 1 };
}

static bool has_tag(const yaml_node_t *node)
{
	static const char *const usual[] = {
		[YAML_SCALAR_NODE] = YAML_DEFAULT_SCALAR_TAG,
		[YAML_SEQUENCE_NODE] = YAML_DEFAULT_SEQUENCE_TAG,
		[YAML_MAPPING_NODE] = YAML_DEFAULT_MAPPING_TAG,
	};

	return strcmp((const char *)node->tag, usual[node->type]) != 0;
}

/* The node of that number, or NULL after saying what is wrong with it. `at` is where it was
 * used; *ret_place is where it is. */
static const yaml_node_t *visit(struct walk *w, int id, const char *key, const struct place *at,
                                struct place *ret_place)
{
	const yaml_node_t *node = yaml_document_get_node(&w->document, id);
	struct problems *problems = &w->loading->problems;
	size_t index = (size_t)id - 1;

	if (w->visited[index]) {
		problems_add(problems, at, key,
		             "aliases (*name) are not accepted; write the value out");
		return NULL;
	}
	w->visited[index] = true;
	*ret_place = place_of(w, node->start_mark);
	if (has_tag(node)) {
		problems_add(problems, ret_place, key,
		             "tags (!name) are not accepted; write the value alone");
		return NULL;
	}
	return node;
}

static struct scalar scalar_of(const yaml_node_t *node)
{
	return (struct scalar){ .text = (const char *)node->data.scalar.value,
		                .length = node->data.scalar.length,
		                .quoted = node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE };
}

/* `key:` with nothing behind it. */
static bool is_nothing(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0 &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* What a node is, for a message: "a map", "'text'". */
static const char *describe(char buffer[SHOWN_MAX + 2], const yaml_node_t *node)
{
	char text[SHOWN_MAX];

	if (node->type == YAML_MAPPING_NODE)
		return "a map";
	if (node->type == YAML_SEQUENCE_NODE)
		return "a list";
	if (is_nothing(node))
		return "nothing";
	snprintf(buffer, SHOWN_MAX + 2, "'%s'", shown(text, (const char *)node->data.scalar.value));
	return buffer;
}

/* Outcome of reading a value into its member. */
static void note(struct walk *w, const struct scope *scope, struct given *given,
                 const struct place *place, int err, const char *why)
{
	if (err == 0)
		return;
	given->refused = true;
	if (err == -ENOMEM)
		w->loading->no_memory = true;
	else
		problems_add(&w->loading->problems, place, scope->key, "%s", why);
}

static void refuse_shape(struct walk *w, const struct scope *scope, const struct option *o,
                         const yaml_node_t *node, const struct place *place)
{
	char buffer[SHOWN_MAX + 2], accepts[ACCEPTS_MAX];

	option_accepts(o, true, accepts);
	problems_add(&w->loading->problems, place, scope->key, "%s does not fit; accepted: %s",
	             describe(buffer, node), accepts);
}

static void apply_element(struct walk *w, const struct scope *scope, const struct option *o,
                          struct given *given, unsigned i, int id)
{
	char why[VALUE_WHY];
	struct place place;
	struct scalar scalar;
	const yaml_node_t *node = visit(w, id, scope->key, &given->place, &place);

	if (!node || node->type != YAML_SCALAR_NODE) {
		given->refused = true;
		if (node)
			refuse_shape(w, scope, o, node, &place);
		return;
	}
	scalar = scalar_of(node);
	note(w, scope, given, &place, value_read_element(o, scope->base, i, &scalar, why), why);
}

static void apply_list(struct walk *w, const struct scope *scope, const struct option *o,
                       struct given *given, const yaml_node_t *node)
{
	const yaml_node_item_t *items = node->data.sequence.items.start;
	size_t count = (size_t)(node->data.sequence.items.top - items);
	char why[VALUE_WHY];

	value_clear(o, scope->base);
	for (size_t i = 0; i < count && !given->refused; i++)
		apply_element(w, scope, o, given, (unsigned)i, items[i]);
	if (!given->refused)
		note(w, scope, given, &given->place, value_end_list(o, (unsigned)count, why), why);
}

/* One value where a list may stand is a list of one. */
static void apply_single(struct walk *w, const struct scope *scope, const struct option *o,
                         struct given *given, const yaml_node_t *node)
{
	struct scalar scalar = scalar_of(node);
	char why[VALUE_WHY];
	int err;

	value_clear(o, scope->base);
	err = value_read_element(o, scope->base, 0, &scalar, why);
	if (err == 0)
		err = value_end_list(o, 1, why);
	note(w, scope, given, &given->place, err, why);
}

static void apply_option(struct walk *w, const struct scope *scope, const struct option *o, int id,
                         const struct place *key_place)
{
	struct given *given = &scope->given[o - options];
	const yaml_node_t *node;
	struct scalar scalar;
	char why[VALUE_WHY];

	*given = (struct given){ .place = *key_place, .refused = true };
	node = visit(w, id, scope->key, key_place, &given->place);
	if (!node)
		return;
	if (o->kind == OPTION_RESERVED) {
		problems_add(&w->loading->problems, key_place, scope->key,
		             "this key is not in this version; leave it out");
		return;
	}
	given->refused = false;
	if (value_is_list(o) && node->type == YAML_SEQUENCE_NODE) {
		apply_list(w, scope, o, given, node);
	} else if (node->type != YAML_SCALAR_NODE || (value_is_list(o) && is_nothing(node))) {
		given->refused = true;
		refuse_shape(w, scope, o, node, &given->place);
	} else if (value_is_list(o)) {
		apply_single(w, scope, o, given, node);
	} else {
		scalar = scalar_of(node);
		note(w, scope, given, &given->place, value_read(o, scope->base, &scalar, why), why);
	}
}

static bool same_key(const yaml_node_t *a, const yaml_node_t *b)
{
	return b->type == YAML_SCALAR_NODE && a->data.scalar.length == b->data.scalar.length &&
	       memcmp(a->data.scalar.value, b->data.scalar.value, a->data.scalar.length) == 0;
}

/* Whether the key of `pair` was there before in `map`; said then. */
static bool is_repeated(struct walk *w, const struct scope *scope, const yaml_node_t *map,
                        const yaml_node_pair_t *pair, const struct place *place)
{
	const yaml_node_t *key = yaml_document_get_node(&w->document, pair->key);

	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++) {
		const yaml_node_t *other = yaml_document_get_node(&w->document, p->key);

		if (!same_key(key, other))
			continue;
		problems_add(&w->loading->problems, place, scope->key,
		             "given twice, first in line %zu; keep one of them",
		             other->start_mark.line + 1);
		return true;
	}
	return false;
}

static void refuse_unknown(struct walk *w, const struct scope *scope, const struct place *place)
{
	problems_add(&w->loading->problems, place, scope->key,
	             "unknown key; the nearest known one is %s", option_nearest(scope->path));
}

/* parent.name, in the same values. */
static struct scope enter(const struct scope *parent, const char *name)
{
	struct scope child = { .base = parent->base, .given = parent->given };
	const char *dot = parent->path[0] ? "." : "";
	char clean[SHOWN_MAX];

	shown(clean, name);
	snprintf(child.path, sizeof child.path, "%.90s%s%.90s", parent->path, dot, clean);
	snprintf(child.key, sizeof child.key, "%.90s%s%.90s", parent->key, dot, clean);
	return child;
}

static void apply_pair(struct walk *w, const struct scope *parent, const yaml_node_t *map,
                       const yaml_node_pair_t *pair, const struct place *map_place)
{
	struct place place;
	struct scope child;
	const char *name;
	const yaml_node_t *key =
		visit(w, pair->key, parent->path[0] ? parent->key : NULL, map_place, &place);

	if (!key)
		return;
	if (key->type != YAML_SCALAR_NODE) {
		problems_add(&w->loading->problems, &place, parent->path[0] ? parent->key : NULL,
		             "a key must be a word, not a list or a map");
		return;
	}
	name = (const char *)key->data.scalar.value;
	child = enter(parent, name);
	if (is_repeated(w, &child, map, pair, &place))
		return;
	/* In a file keys are nested; the dotted form of --set would be a second name. */
	if (strpbrk(name, ".["))
		refuse_unknown(w, &child, &place);
	else
		apply_key(w, &child, pair->value, &place);
}

static void apply_map(struct walk *w, const struct scope *scope, const yaml_node_t *map,
                      const struct place *place)
{
	const yaml_node_pair_t *end = map->data.mapping.pairs.top;

	for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < end; pair++) {
		if (problems_full(&w->loading->problems))
			return;
		apply_pair(w, scope, map, pair, place);
	}
}

/* A node that must be a map of keys. Nothing at all is an empty one. */
static void apply_section(struct walk *w, const struct scope *scope, int id,
                          const struct place *key_place)
{
	char buffer[SHOWN_MAX + 2];
	struct place place;
	const yaml_node_t *node = visit(w, id, scope->key, key_place, &place);

	if (!node || is_nothing(node))
		return;
	if (node->type == YAML_MAPPING_NODE)
		apply_map(w, scope, node, &place);
	else
		problems_add(&w->loading->problems, &place, scope->key,
		             "%s where its keys are needed, \"name: value\" each",
		             describe(buffer, node));
}

static void clear_sink(struct config_sink *sink)
{
	for (const struct option *o = options; o->path; o++) {
		if (option_in_sink(o))
			value_clear(o, sink);
	}
	*sink = (struct config_sink){ 0 };
}

static void set_defaults(struct loading *l, void *base, struct given *given, bool of_sink);

/* One more sink at its defaults. There must be room. */
static void add_sink(struct loading *l)
{
	unsigned i = l->config.sink_count++;

	clear_sink(&l->config.sinks[i]);
	set_defaults(l, &l->config.sinks[i], l->sink_given[i], true);
}

static struct scope sink_scope(struct loading *l, unsigned i)
{
	struct scope scope = { .path = OPTION_SINK,
		               .base = &l->config.sinks[i],
		               .given = l->sink_given[i] };

	snprintf(scope.key, sizeof scope.key, "sinks.%u", i);
	return scope;
}

static void apply_sinks(struct walk *w, int id, const struct place *key_place)
{
	struct loading *l = w->loading;
	char buffer[SHOWN_MAX + 2];
	struct place place;
	const yaml_node_t *node = visit(w, id, "sinks", key_place, &place);
	const yaml_node_item_t *items;

	if (!node)
		return;
	if (node->type != YAML_SEQUENCE_NODE) {
		problems_add(&l->problems, &place, "sinks",
		             "%s where a list of sinks is needed, each \"- format: ...\"",
		             describe(buffer, node));
		return;
	}
	items = node->data.sequence.items.start;
	if (items == node->data.sequence.items.top)
		problems_add(&l->problems, &place, "sinks",
		             "the list is empty; to keep nothing, give one with format: null");
	l->config.sink_count = 0;
	for (; items < node->data.sequence.items.top; items++) {
		struct scope scope;

		if (l->config.sink_count == CONFIG_SINKS_MAX) {
			problems_add(&l->problems, &place, "sinks", "more than %d sinks",
			             CONFIG_SINKS_MAX);
			return;
		}
		add_sink(l);
		scope = sink_scope(l, l->config.sink_count - 1);
		apply_section(w, &scope, *items, &place);
	}
}

static void apply_key(struct walk *w, const struct scope *scope, int id,
                      const struct place *key_place)
{
	const struct option *o = option_find(scope->path);

	if (o)
		apply_option(w, scope, o, id, key_place);
	else if (strcmp(scope->path, "sinks") == 0)
		apply_sinks(w, id, key_place);
	else if (option_find_section(scope->path) || strcmp(scope->path, OPTION_SINK) == 0)
		apply_section(w, scope, id, key_place);
	else
		refuse_unknown(w, scope, key_place);
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

static void refuse_syntax(struct walk *w, const yaml_parser_t *parser, const char *text,
                          size_t length)
{
	struct place place = place_of(w, parser->problem_mark);
	const char *context = parser->context ? parser->context : "";

	if (parser->error == YAML_MEMORY_ERROR) {
		w->loading->no_memory = true;
		return;
	}
	if (parser->error == YAML_READER_ERROR && !w->is_set)
		find_offset(text, parser->problem_offset < length ? parser->problem_offset : length,
		            &place);
	problems_add(&w->loading->problems, &place, NULL, "not YAML: %s%s%s",
	             parser->problem ? parser->problem : "it cannot be read", *context ? ", " : "",
	             context);
}

/* Whether the stream holds no second document. Said if not. */
static bool is_last(struct walk *w, yaml_parser_t *parser, const char *text, size_t length)
{
	yaml_document_t second;
	const yaml_node_t *root;
	bool last;

	if (!yaml_parser_load(parser, &second)) {
		refuse_syntax(w, parser, text, length);
		return false;
	}
	root = yaml_document_get_root_node(&second);
	last = root == NULL;
	if (!last) {
		struct place place = place_of(w, root->start_mark);

		problems_add(&w->loading->problems, &place, NULL,
		             "a second document begins (---); one is read");
	}
	yaml_document_delete(&second);
	return last;
}

/* Read one document. False when there is none to walk: it is empty, or said why not. On true
 * close_walk() is due. */
static bool open_walk(struct walk *w, const char *text, size_t length)
{
	yaml_parser_t parser;
	size_t nodes;
	bool loaded;

	if (!yaml_parser_initialize(&parser)) {
		w->loading->no_memory = true;
		return false;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	loaded = yaml_parser_load(&parser, &w->document);
	if (!loaded) {
		refuse_syntax(w, &parser, text, length);
	} else if (!yaml_document_get_root_node(&w->document) ||
	           !is_last(w, &parser, text, length)) {
		yaml_document_delete(&w->document);
		loaded = false;
	}
	yaml_parser_delete(&parser);
	if (!loaded)
		return false;
	nodes = (size_t)(w->document.nodes.top - w->document.nodes.start);
	w->visited = calloc(nodes, sizeof *w->visited);
	if (!w->visited) {
		w->loading->no_memory = true;
		yaml_document_delete(&w->document);
		return false;
	}
	return true;
}

static void close_walk(struct walk *w)
{
	free(w->visited);
	yaml_document_delete(&w->document);
}

static struct scope root_scope(struct loading *l)
{
	return (struct scope){ .base = &l->config, .given = l->given };
}

static void set_default(struct loading *l, const struct option *o, void *base, struct given *given)
{
	struct walk w = { .loading = l, .name = o->path, .is_set = true };
	struct scope scope = { .base = base, .given = given };
	struct place place = { 0 };

	snprintf(scope.key, sizeof scope.key, "%s", o->path);
	if (!open_walk(&w, o->fallback, strlen(o->fallback)))
		return;
	apply_option(&w, &scope, o, 1, &place);
	given[o - options] = (struct given){ 0 };
	close_walk(&w);
}

static void set_defaults(struct loading *l, void *base, struct given *given, bool of_sink)
{
	for (const struct option *o = options; o->path; o++) {
		if (o->kind != OPTION_RESERVED && option_in_sink(o) == of_sink)
			set_default(l, o, base, given);
	}
}

void document_defaults(struct loading *l)
{
	set_defaults(l, &l->config, l->given, false);
	add_sink(l);
}

void document_file(struct loading *l, const char *name, const char *text, size_t length)
{
	struct walk w = { .loading = l, .name = name };
	struct scope scope = root_scope(l);
	struct place place = { .name = name };
	const yaml_node_t *root;

	if (!open_walk(&w, text, length))
		return;
	root = visit(&w, 1, NULL, &place, &place);
	if (root && root->type == YAML_MAPPING_NODE)
		apply_map(&w, &scope, root, &place);
	else if (root && !is_nothing(root))
		problems_add(&l->problems, &place, NULL,
		             "the file must be a map of sections, such as \"ingest:\"");
	close_walk(&w);
}

/* Where "sinks.0.format" or "sinks[0].format" leads; `rest` is what follows "sinks". An index
 * one past the last adds a sink. */
static bool find_sink(struct loading *l, const struct place *place, const char *rest,
                      struct scope *ret)
{
	bool bracket = rest[0] == '[';
	char *end;
	unsigned long i;

	if (!isdigit((unsigned char)rest[1])) {
		problems_add(&l->problems, place, NULL,
		             "a sink is named by its number, as in sinks.0.format");
		return false;
	}
	i = strtoul(rest + 1, &end, 10);
	if ((bracket && *end++ != ']') || (*end != '.' && *end != '\0')) {
		problems_add(&l->problems, place, NULL,
		             "a sink is named by its number, as in sinks.0.format");
		return false;
	}
	if (i > l->config.sink_count || i >= CONFIG_SINKS_MAX) {
		problems_add(&l->problems, place, NULL,
		             "there is no sink %lu to set: there are %u, and %d at most", i,
		             l->config.sink_count, CONFIG_SINKS_MAX);
		return false;
	}
	if (i == l->config.sink_count)
		add_sink(l);
	*ret = sink_scope(l, (unsigned)i);
	if (*end == '.')
		*ret = enter(ret, end + 1);
	return true;
}

/* The key of a --set. */
static bool find_key(struct loading *l, const struct place *place, const char *key,
                     struct scope *ret)
{
	struct scope root = root_scope(l);

	if (strncmp(key, "sinks.", 6) == 0 || strncmp(key, "sinks[", 6) == 0)
		return find_sink(l, place, key + 5, ret);
	*ret = enter(&root, key);
	return true;
}

static void apply_set(struct walk *w, const struct scope *scope, const char *value,
                      const struct place *place)
{
	struct loading *l = w->loading;
	unsigned problems = l->problems.count;

	if (open_walk(w, value, strlen(value))) {
		apply_key(w, scope, 1, place);
		close_walk(w);
	} else if (l->problems.count == problems) {
		problems_add(&l->problems, place, scope->key,
		             "there is no value; # begins a comment unless it is in quotes");
	}
}

void document_set(struct loading *l, const char *set)
{
	struct walk w = { .loading = l, .name = set, .is_set = true };
	struct place place = { .name = set, .is_set = true };
	const char *equals = strchr(set, '=');
	const char *value = equals ? equals + 1 : "";
	struct scope scope;
	char *key;

	if (!equals || equals == set) {
		problems_add(&l->problems, &place, NULL,
		             "not of the form key.path=value, as in reduce.bin=2");
		return;
	}
	key = strndup(set, (size_t)(equals - set));
	if (!key) {
		l->no_memory = true;
		return;
	}
	/* Nothing behind the '=' is an empty text, not an empty document. */
	if (value[strspn(value, " \t")] == '\0')
		value = "\"\"";
	if (find_key(l, &place, key, &scope))
		apply_set(&w, &scope, value, &place);
	free(key);
}
