/* SPDX-License-Identifier: Apache-2.0 */
#include "config/loading.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/values.h"
#include "config/yaml_tree.h"

/* A document is a tree of libyaml's nodes; it is walked with the option table as the map. The
 * table is three levels deep and the walk follows only keys it knows, so a deep document cannot
 * make it recurse far, and PROBLEMS_MAX bounds what a wide one costs. */

#define PATH_BYTES 192 /* of a dotted key; a longer one is unknown anyway */

/* A key, with the values and places it belongs to. */
struct scope {
	char path[PATH_BYTES]; /* in the table: "sinks.N.format" */
	char key[PATH_BYTES];  /* in messages: "sinks.0.format" */
	void *base;            /* struct config, or of an element of a list */
	struct given *given;   /* [row] */
};

static void apply_key(struct tree *t, const struct scope *scope, int id,
                      const struct place *key_place);

/* Outcome of reading a value into its member. */
static void note(struct tree *t, const struct scope *scope, struct given *given,
                 const struct place *place, int err, const char *why)
{
	if (err == 0)
		return;
	given->refused = true;
	if (err == -ENOMEM)
		t->loading->no_memory = true;
	else
		problems_add(&t->loading->problems, place, scope->key, "%s", why);
}

static void refuse_shape(struct tree *t, const struct scope *scope, const struct option *o,
                         const yaml_node_t *node, const struct place *place)
{
	char buffer[TREE_DESCRIBED], accepts[ACCEPTS_MAX];

	option_accepts(o, accepts);
	problems_add(&t->loading->problems, place, scope->key, "%s does not fit; accepted: %s",
	             tree_describe(buffer, node), accepts);
}

static void apply_element(struct tree *t, const struct scope *scope, const struct option *o,
                          struct given *given, unsigned i, int id)
{
	char why[VALUE_WHY];
	struct place place;
	struct scalar scalar;
	const yaml_node_t *node = tree_node(t, id, &place);

	if (node->type != YAML_SCALAR_NODE) {
		given->refused = true;
		refuse_shape(t, scope, o, node, &place);
		return;
	}
	scalar = tree_scalar(t, node);
	note(t, scope, given, &place, value_read_element(o, scope->base, i, &scalar, why), why);
}

static void apply_list(struct tree *t, const struct scope *scope, const struct option *o,
                       struct given *given, const yaml_node_t *node)
{
	const yaml_node_item_t *items = node->data.sequence.items.start;
	size_t count = (size_t)(node->data.sequence.items.top - items);
	char why[VALUE_WHY];

	value_clear(o, scope->base);
	note(t, scope, given, &given->place, value_check_count(o, count, why), why);
	if (given->refused)
		return;
	for (size_t i = 0; i < count; i++)
		apply_element(t, scope, o, given, (unsigned)i, items[i]);
}

/* One value where a list may stand is a list of one. */
static void apply_single(struct tree *t, const struct scope *scope, const struct option *o,
                         struct given *given, const yaml_node_t *node)
{
	struct scalar scalar = tree_scalar(t, node);
	char why[VALUE_WHY];
	int err = value_check_count(o, 1, why);

	value_clear(o, scope->base);
	if (err == 0)
		err = value_read_element(o, scope->base, 0, &scalar, why);
	note(t, scope, given, &given->place, err, why);
}

static void apply_option(struct tree *t, const struct scope *scope, const struct option *o, int id)
{
	struct given *given = &scope->given[o - options];
	const yaml_node_t *node;
	struct scalar scalar;
	char why[VALUE_WHY];

	node = tree_node(t, id, &given->place);
	given->refused = false;
	if (value_is_list(o) && node->type == YAML_SEQUENCE_NODE) {
		apply_list(t, scope, o, given, node);
	} else if (node->type != YAML_SCALAR_NODE || (value_is_list(o) && tree_is_nothing(node))) {
		given->refused = true;
		refuse_shape(t, scope, o, node, &given->place);
	} else if (value_is_list(o)) {
		apply_single(t, scope, o, given, node);
	} else {
		scalar = tree_scalar(t, node);
		note(t, scope, given, &given->place, value_read(o, scope->base, &scalar, why), why);
	}
}

static bool same_key(const yaml_node_t *a, const yaml_node_t *b)
{
	return b->type == YAML_SCALAR_NODE && a->data.scalar.length == b->data.scalar.length &&
	       memcmp(a->data.scalar.value, b->data.scalar.value, a->data.scalar.length) == 0;
}

/* Whether the key of `pair` was there before in `map`; said then. */
static bool is_repeated(struct tree *t, const struct scope *scope, const yaml_node_t *map,
                        const yaml_node_pair_t *pair, const struct place *place)
{
	const yaml_node_t *key = yaml_document_get_node(&t->document, pair->key);

	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++) {
		const yaml_node_t *other = yaml_document_get_node(&t->document, p->key);

		if (!same_key(key, other))
			continue;
		problems_add(&t->loading->problems, place, scope->key,
		             "given twice, first in line %zu; keep one of them",
		             other->start_mark.line + 1);
		return true;
	}
	return false;
}

static void refuse_unknown(struct tree *t, const struct scope *scope, const struct place *place)
{
	problems_add(&t->loading->problems, place, scope->key,
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

static void apply_pair(struct tree *t, const struct scope *parent, const yaml_node_t *map,
                       const yaml_node_pair_t *pair)
{
	struct place place;
	struct scope child;
	const char *name;
	const yaml_node_t *key = tree_node(t, pair->key, &place);

	if (key->type != YAML_SCALAR_NODE) {
		problems_add(&t->loading->problems, &place, parent->path[0] ? parent->key : NULL,
		             "a key must be a word, not a list or a map");
		return;
	}
	name = (const char *)key->data.scalar.value;
	child = enter(parent, name);
	if (is_repeated(t, &child, map, pair, &place))
		return;
	/* The dotted form of --set would be a second name for a key. */
	if (strpbrk(name, ".["))
		problems_add(&t->loading->problems, &place, child.key,
		             "unknown key; in a file keys are nested, one name in each level");
	else
		apply_key(t, &child, pair->value, &place);
}

static void apply_map(struct tree *t, const struct scope *scope, const yaml_node_t *map)
{
	const yaml_node_pair_t *end = map->data.mapping.pairs.top;

	for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < end; pair++) {
		if (problems_full(&t->loading->problems))
			return;
		apply_pair(t, scope, map, pair);
	}
}

static void refuse_section(struct tree *t, const struct scope *scope, const yaml_node_t *node,
                           const struct place *place)
{
	char buffer[TREE_DESCRIBED];

	problems_add(&t->loading->problems, place, scope->key,
	             "%s where its keys are needed, \"name: value\" each",
	             tree_describe(buffer, node));
}

/* A node that must be a map of keys. Nothing at all is an empty one. */
static void apply_section(struct tree *t, const struct scope *scope, int id)
{
	struct place place;
	const yaml_node_t *node = tree_node(t, id, &place);

	if (tree_is_nothing(node))
		return;
	if (node->type == YAML_MAPPING_NODE)
		apply_map(t, scope, node);
	else
		refuse_section(t, scope, node, &place);
}

/* The places of the values of an element. */
static struct given *element_given(struct loading *l, const struct option_list *list, unsigned i)
{
	return l->element_given[list - option_lists][i];
}

static void set_count(struct loading *l, const struct option_list *list, unsigned count)
{
	memcpy((char *)&l->config + list->count, &count, sizeof count);
}

static void clear_element(struct loading *l, const struct option_list *list, unsigned i)
{
	void *element = option_element(list, &l->config, i);

	for (const struct option *o = options; o->path; o++) {
		if (option_list_of(o) == list)
			value_clear(o, element);
	}
	memset(element, 0, list->size);
}

static void set_defaults(struct loading *l, void *base, struct given *given,
                         const struct option_list *list);

/* One more element at its defaults, written there. There must be room. */
static void add_element(struct loading *l, const struct option_list *list,
                        const struct place *place)
{
	unsigned i = option_list_count(list, &l->config);

	l->element_place[list - option_lists][i] = *place;
	clear_element(l, list, i);
	set_count(l, list, i + 1);
	set_defaults(l, option_element(list, &l->config, i), element_given(l, list, i), list);
}

static struct scope element_scope(struct loading *l, const struct option_list *list, unsigned i)
{
	struct scope scope = { .base = option_element(list, &l->config, i),
		               .given = element_given(l, list, i) };

	snprintf(scope.path, sizeof scope.path, "%s.N", list->path);
	snprintf(scope.key, sizeof scope.key, "%s.%u", list->path, i);
	return scope;
}

/* An element that is no map: a problem, and nothing to look for in its values. */
static void refuse_element(struct tree *t, const struct scope *scope, const yaml_node_t *node,
                           const struct place *place)
{
	refuse_section(t, scope, node, place);
	for (size_t row = 0; row < OPTION_MAX; row++)
		scope->given[row].refused = true;
}

/* Elements in place of those that were there. */
static void apply_elements(struct tree *t, const struct option_list *list, const yaml_node_t *node,
                           const struct place *place)
{
	struct loading *l = t->loading;
	const yaml_node_item_t *items = node->data.sequence.items.start;

	if (items == node->data.sequence.items.top && list->if_empty)
		problems_add(&l->problems, place, list->path, "the list is empty; %s",
		             list->if_empty);
	set_count(l, list, 0);
	for (unsigned i = 0; items < node->data.sequence.items.top; items++, i++) {
		struct place element_place;
		struct scope scope;
		const yaml_node_t *element = tree_node(t, *items, &element_place);

		if (i == list->max) {
			problems_add(&l->problems, place, list->path, "more than %u %ss", list->max,
			             list->one);
			return;
		}
		add_element(l, list, &element_place);
		scope = element_scope(l, list, i);
		if (element->type == YAML_MAPPING_NODE)
			apply_map(t, &scope, element);
		else if (!tree_is_nothing(element))
			refuse_element(t, &scope, element, &element_place);
	}
}

static void apply_elements_or_refuse(struct tree *t, const struct option_list *list, int id)
{
	char buffer[TREE_DESCRIBED];
	struct place place;
	const yaml_node_t *node = tree_node(t, id, &place);

	if (node->type == YAML_SEQUENCE_NODE)
		apply_elements(t, list, node, &place);
	else if (list->if_empty || !tree_is_nothing(node))
		problems_add(&t->loading->problems, &place, list->path,
		             "%s where a list of %ss is needed, each \"- %s\"",
		             tree_describe(buffer, node), list->one, list->first_key);
	else
		set_count(t->loading, list, 0);
}

/* Whether it is the path of each element of a list, "sinks.N". */
static bool is_element(const char *path)
{
	const char *dot = strrchr(path, '.');
	char list[PATH_BYTES];

	if (!dot || strcmp(dot, ".N") != 0)
		return false;
	snprintf(list, sizeof list, "%.*s", (int)(dot - path), path);
	return option_find_list(list) != NULL;
}

static void apply_key(struct tree *t, const struct scope *scope, int id,
                      const struct place *key_place)
{
	const struct option *o = option_find(scope->path);
	const struct option_list *list = option_find_list(scope->path);

	if (o)
		apply_option(t, scope, o, id);
	else if (list)
		apply_elements_or_refuse(t, list, id);
	else if (option_find_section(scope->path) || is_element(scope->path))
		apply_section(t, scope, id);
	else
		refuse_unknown(t, scope, key_place);
}

static struct scope root_scope(struct loading *l)
{
	return (struct scope){ .base = &l->config, .given = l->given };
}

static void set_default(struct loading *l, const struct option *o, void *base, struct given *given)
{
	struct tree t = { .loading = l, .name = o->path, .is_set = true };
	struct scope scope = { .base = base, .given = given };

	snprintf(scope.key, sizeof scope.key, "%s", o->path);
	if (tree_open(&t, o->fallback, strlen(o->fallback)) != TREE_READ)
		return;
	apply_option(&t, &scope, o, 1);
	given[o - options] = (struct given){ 0 };
	tree_close(&t);
}

/* Of the keys of a list's elements, or, with none, of all others. */
static void set_defaults(struct loading *l, void *base, struct given *given,
                         const struct option_list *list)
{
	for (const struct option *o = options; o->path; o++) {
		if (option_list_of(o) == list)
			set_default(l, o, base, given);
	}
}

void document_defaults(struct loading *l)
{
	set_defaults(l, &l->config, l->given, NULL);
	for (unsigned i = 0; i < LIST_COUNT; i++) {
		for (unsigned j = 0; j < option_lists[i].defaults; j++)
			add_element(l, &option_lists[i], &(struct place){ 0 });
	}
}

bool document_file(struct loading *l, const char *name, const char *text, size_t length)
{
	struct tree t = { .loading = l, .name = name, .seconds = l->seconds };
	struct scope scope = root_scope(l);
	struct place place;
	const yaml_node_t *root;
	enum tree_read read = tree_open(&t, text, length);

	if (read != TREE_READ)
		return read == TREE_EMPTY;
	root = tree_node(&t, 1, &place);
	if (root->type == YAML_MAPPING_NODE)
		apply_map(&t, &scope, root);
	else if (!tree_is_nothing(root))
		problems_add(&l->problems, &place, NULL,
		             "the file must be a map of sections, such as \"ingest:\"");
	tree_close(&t);
	return true;
}

/* The number in ".0.format" or "[0].format"; *ret_rest is what follows it. */
static bool read_index(const char *text, unsigned long *ret, const char **ret_rest)
{
	bool bracket = text[0] == '[';
	char *end;

	if (!isdigit((unsigned char)text[1]))
		return false;
	*ret = strtoul(text + 1, &end, 10);
	if (bracket && *end++ != ']')
		return false;
	*ret_rest = end;
	return *end == '.' || *end == '\0';
}

static void refuse_index(struct loading *l, const struct option_list *list,
                         const struct place *place)
{
	const char *key = list->first_key;

	problems_add(&l->problems, place, NULL, "a %s is named by its number, as in %s.0.%.*s",
	             list->one, list->path, (int)strcspn(key, ":"), key);
}

/* Where "sinks.0.format" or "sinks[0].format" leads; `text` is what follows "sinks". An index
 * one past the last adds an element. */
static bool find_element(struct loading *l, const struct option_list *list,
                         const struct place *place, const char *text, struct scope *ret)
{
	unsigned count = option_list_count(list, &l->config);
	const char *rest;
	unsigned long i;

	if (!read_index(text, &i, &rest)) {
		refuse_index(l, list, place);
		return false;
	}
	if (i > count || i >= list->max) {
		problems_add(&l->problems, place, NULL,
		             "there is no %s %lu to set: there are %u, and %u at most", list->one,
		             i, count, list->max);
		return false;
	}
	if (i == count)
		add_element(l, list, place);
	*ret = element_scope(l, list, (unsigned)i);
	if (*rest == '.')
		*ret = enter(ret, rest + 1);
	return true;
}

/* The key of a --set. */
static bool find_key(struct loading *l, const struct place *place, const char *key,
                     struct scope *ret)
{
	struct scope root = root_scope(l);

	for (unsigned i = 0; i < LIST_COUNT; i++) {
		const char *path = option_lists[i].path;
		size_t length = strlen(path);

		if (strncmp(key, path, length) == 0 && (key[length] == '.' || key[length] == '['))
			return find_element(l, &option_lists[i], place, key + length, ret);
	}
	*ret = enter(&root, key);
	return true;
}

static void apply_set(struct tree *t, const struct scope *scope, const char *value,
                      const struct place *place)
{
	enum tree_read read = tree_open(t, value, strlen(value));

	if (read == TREE_READ) {
		apply_key(t, scope, 1, place);
		tree_close(t);
	}
	if (read == TREE_EMPTY)
		problems_add(&t->loading->problems, place, scope->key,
		             "there is no value; # begins a comment unless it is in quotes");
}

void document_set(struct loading *l, const char *set)
{
	struct tree t = { .loading = l, .name = set, .is_set = true };
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
		apply_set(&t, &scope, value, &place);
	free(key);
}
