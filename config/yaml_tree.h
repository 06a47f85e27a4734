/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_YAML_TREE_H
#define CONFIG_YAML_TREE_H

#include <yaml.h>

#include "config/loading.h"
#include "config/values.h"

/* One YAML document as libyaml's tree of nodes, with places for messages.
 *
 * Anchors, aliases and tags are refused, and so is nesting that no configuration has: libyaml's
 * time grows with the square of the depth and of the number of anchors. */

#define TREE_DEPTH_MAX 16

struct tree {
	struct loading *loading; /* takes problems and lack of memory */
	const char *name;        /* see struct place */
	bool is_set;
	bool seconds; /* see struct scalar */
	yaml_document_t document;
};

enum tree_read {
	TREE_READ,    /* tree_close() is due */
	TREE_EMPTY,   /* no document, at most comments */
	TREE_REFUSED, /* a problem was added, or there was no memory */
};

/* Read the one document of a text. loading, name and is_set must be set. */
enum tree_read tree_open(struct tree *t, const char *text, size_t length);

void tree_close(struct tree *t);

/* The node of a number that libyaml gave, 1 being the root, and where it stands. */
const yaml_node_t *tree_node(struct tree *t, int id, struct place *ret_place);

/* Borrowed from a scalar node. */
struct scalar tree_scalar(const struct tree *t, const yaml_node_t *node);

/* Whether it is what stands behind a `key:` that has nothing behind it. */
bool tree_is_nothing(const yaml_node_t *node);

/* What a node is, for a message: "a map", "'text'". */
#define TREE_DESCRIBED (SHOWN_MAX + 2)
const char *tree_describe(char buffer[TREE_DESCRIBED], const yaml_node_t *node);

#endif
