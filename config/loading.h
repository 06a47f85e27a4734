/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_LOADING_H
#define CONFIG_LOADING_H

#include "config/options.h"
#include "config/problems.h"

/* A configuration while it is being read: the values so far, where each was written, and what
 * is wrong with them. */

struct given {
	struct place place; /* where the value was written; name NULL: it is the default */
	bool refused;       /* and was not accepted */
};

struct loading {
	struct config config;
	struct problems problems;
	struct given given[OPTION_MAX]; /* by row of options[] */
	struct given element_given[LIST_COUNT][OPTION_ELEMENTS][OPTION_MAX]; /* of lists */
	struct place element_place[LIST_COUNT][OPTION_ELEMENTS];             /* where they begin */
	bool seconds;   /* in a file times are numbers of seconds, as config_json() writes them */
	bool no_memory; /* something could not be kept; nothing else counts then */
};

/* config_document.c: YAML into the configuration. Problems are added, memory noted. */

/* Every key at its default, and the elements that lists have without configuration. */
void document_defaults(struct loading *l);

/* The text of a file. `name` is what messages call it. False when it is no YAML that can be
 * walked: what else would be found is about a configuration nobody wrote. */
bool document_file(struct loading *l, const char *name, const char *text, size_t length);

/* One "key.path=value". */
void document_set(struct loading *l, const char *set);

/* config_checks.c */

/* What keys must fulfil together, and the default that depends on other keys. Run last. */
void checks_run(struct loading *l);

#endif
