/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include "config/config.h"

/* The option table: every key there is, once. Reading a file, --set, --print-config, the JSON in
 * the manifest and config/openbeam.yaml are all made from it.
 *
 * Some sections are lists (option_lists): a key of each element has a path that starts with the
 * list's and ".N.", and its offsets are in the structure of one element. Those of all others are
 * in struct config. */

#define OPTION_MAX      144 /* rows, at most */
#define OPTION_ELEMENTS 16  /* of a list, at most */
#define OPTION_REGION   "regions.N"
#define OPTION_SINK     "sinks.N"
#define ACCEPTS_MAX     360 /* bytes */

enum option_kind {
	OPTION_CHOICE,   /* one of `choices`; the member holds its value */
	OPTION_WORD,     /* one of `choices`; the member is text */
	OPTION_TEXT,     /* low to high bytes that `rule` accepts */
	OPTION_TEXTS,    /* struct config_list of them */
	OPTION_INTEGER,  /* low to high, in `unit` */
	OPTION_INTEGERS, /* an array of int, the count in `also` */
	OPTION_SIZE,     /* low to high bytes */
	OPTION_TIME,     /* low to high nanoseconds */
	OPTION_REAL,     /* least to most, in `unit` */
	OPTION_INTERVAL, /* [low, high], two reals; the upper one in `also` */
};

#define OPTION_REAL_LIMIT 1e30 /* the difference of two is then finite in float32 */

enum option_flag {
	OPTION_AUTO = 1u << 0, /* `auto` is accepted: CONFIG_AUTO, or for a real the bool `also` */
	OPTION_NUMBER = 1u << 1, /* the words of `choices` are numbers */
	OPTION_FILLED = 1u << 2, /* a list that must not be empty */
};

/* One accepted word. */
struct option_choice {
	const char *word;
	unsigned value;
};

/* What a text must look like. */
struct option_rule {
	const char *accepts;
	bool (*fits)(const char *text);
};

struct option {
	const char *path;
	enum option_kind kind;
	unsigned flags;                      /* enum option_flag */
	size_t offset, size;                 /* of the member */
	size_t also;                         /* offset of the second member */
	int64_t low, high;                   /* of a number, or bytes of a text */
	double least, most;                  /* of a real; both 0: OPTION_REAL_LIMIT either way */
	const struct option_choice *choices; /* ended by a NULL word */
	const struct option_rule *rule;      /* NULL: any */
	const char *unit;                    /* plural, NULL: none */
	const char *fallback;                /* the default, as YAML */
	const char *help;                    /* one sentence or two */
};

/* Keys that hold keys. */
struct option_section {
	const char *path, *help;
};

/* A section that is a list of sections. */
struct option_list {
	const char *path;      /* "sinks" */
	const char *one;       /* what messages call an element: "sink" */
	const char *first_key; /* how an element is begun: "format: ..." */
	const char *if_empty;  /* what to write in place of an empty list; NULL: it may be empty */
	size_t offset, size;   /* of the first element in struct config, of one */
	size_t count;          /* offset of how many there are, an unsigned */
	unsigned max;          /* elements, up to OPTION_ELEMENTS */
	unsigned defaults;     /* elements that there are without configuration */
};

enum option_list_index { LIST_REGIONS, LIST_SINKS, LIST_COUNT };

extern const struct option_list option_lists[LIST_COUNT];
extern const struct option options[]; /* in the order of the file, ended by a NULL path */
extern const struct option_section option_sections[]; /* likewise */

/* What the manual starts with: paragraphs, and lines that are indented as they are. */
extern const char option_manual[];

/* The row of that path, or NULL. */
const struct option *option_find(const char *path);

/* The section of that path, or NULL. */
const struct option_section *option_find_section(const char *path);

/* The sections that begin with this key, one after the other: those of its path that the key before
 * it (NULL: it is the first) does not share. path: "" first, then what the last call left there.
 * False: there are no more. */
#define OPTION_SECTION_BYTES 64
bool option_next_section(const struct option *o, const struct option *before,
                         char path[OPTION_SECTION_BYTES]);

/* The known key that is nearest to an unknown one by spelling. Never NULL. */
const char *option_nearest(const char *path);

/* The list of that path, or NULL. */
const struct option_list *option_find_list(const char *path);

/* The list it is a key of each element of; NULL: none. */
const struct option_list *option_list_of(const struct option *o);

/* How many elements a list has, and element i of it. */
unsigned option_list_count(const struct option_list *list, const struct config *c);
void *option_element(const struct option_list *list, struct config *c, unsigned i);
const void *option_const_element(const struct option_list *list, const struct config *c,
                                 unsigned i);

/* Its last name: "bin" of "reduce.bin". */
const char *option_name(const struct option *o);

/* The limits of a real. */
double option_least(const struct option *o);
double option_most(const struct option *o);

/* The choice of that word, or NULL. */
const struct option_choice *option_choice(const struct option *o, const char *word);

/* What it accepts: "1 to 64 frames". */
void option_accepts(const struct option *o, char ret[ACCEPTS_MAX]);

#endif
