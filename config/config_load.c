/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/loading.h"
#include "config/values.h"

#define FILE_BYTES_MAX (1u << 20)

/* Read `fd` to its end into `text`. 0, -EFBIG, or the errno of read(). */
static int read_all(int fd, char *text, size_t *ret_length)
{
	size_t length = 0;

	for (;;) {
		ssize_t n = read(fd, text + length, FILE_BYTES_MAX + 1 - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
		if (length > FILE_BYTES_MAX)
			return -EFBIG;
	}
	*ret_length = length;
	return 0;
}

/* The whole of a file, malloc'd. */
static int read_file(const char *path, char **ret_text, size_t *ret_length)
{
	char *text;
	int err;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	text = malloc(FILE_BYTES_MAX + 1);
	err = text ? read_all(fd, text, ret_length) : -ENOMEM;
	close(fd);
	if (err)
		free(text);
	else
		*ret_text = text;
	return err;
}

/* The one line about a file that cannot be read. */
static char *file_problem(const char *path, int err)
{
	char *line;
	int printed;

	if (err == -EFBIG)
		printed = asprintf(&line,
		                   "%s: larger than 1 MiB, which no configuration is; check that "
		                   "it is the right file\n",
		                   path);
	else
		printed = asprintf(&line, "%s: cannot be read: %s\n", path, strerror(-err));
	return printed < 0 ? NULL : line;
}

/* Close what was opened, and make the result of it: 0 moves the configuration to *ret. */
static int finish(struct loading *l, struct config *ret, char **ret_problems)
{
	bool wrong = l->problems.count > 0;
	char *text = NULL;
	int err = 0;

	if (!problems_close(&l->problems, &text) || l->no_memory)
		err = -ENOMEM;
	else if (wrong)
		err = -EINVAL;
	if (err == -ENOMEM) {
		free(text);
		text = NULL;
	}
	if (err)
		config_done(&l->config);
	else
		*ret = l->config;
	*ret_problems = text;
	free(l);
	return err;
}

/* The file, then the sets over it, then what they must fulfil together. */
static void apply(struct loading *l, const char *text, size_t length, const char *name,
                  const char *const *sets, unsigned set_count)
{
	document_defaults(l);
	if (text && !l->no_memory && !document_file(l, name, text, length))
		return;
	for (unsigned i = 0; i < set_count && !l->no_memory; i++)
		document_set(l, sets[i]);
	if (!l->no_memory)
		checks_run(l);
}

/* What both texts have in common. */
static int parse(struct config *ret, const char *text, size_t length, const char *name,
                 const char *const *sets, unsigned set_count, bool seconds, char **ret_problems)
{
	struct loading *l = calloc(1, sizeof *l);

	*ret_problems = NULL;
	if (!l)
		return -ENOMEM;
	if (!problems_open(&l->problems)) {
		free(l);
		return -ENOMEM;
	}
	l->seconds = seconds;
	apply(l, text, length, name, sets, set_count);
	return finish(l, ret, ret_problems);
}

int config_parse(struct config *ret, const char *text, size_t length, const char *name,
                 const char *const *sets, unsigned set_count, char **ret_problems)
{
	return parse(ret, text, length, name, sets, set_count, false, ret_problems);
}

int config_parse_json(struct config *ret, const char *json, size_t length, const char *name,
                      char **ret_problems)
{
	return parse(ret, json, length, name, NULL, 0, true, ret_problems);
}

int config_load(struct config *ret, const char *path, const char *const *sets, unsigned set_count,
                char **ret_problems)
{
	char *text = NULL;
	size_t length = 0;
	int err = 0;

	*ret_problems = NULL;
	if (path)
		err = read_file(path, &text, &length);
	if (err) {
		*ret_problems = file_problem(path, err);
		return err;
	}
	err = config_parse(ret, text, length, path, sets, set_count, ret_problems);
	free(text);
	return err;
}

void config_done(struct config *c)
{
	for (const struct option *o = options; o->path; o++) {
		const struct option_list *list = option_list_of(o);

		for (unsigned i = 0; list && i < list->max; i++)
			value_clear(o, option_element(list, c, i));
		if (!list)
			value_clear(o, c);
	}
	*c = (struct config){ 0 };
}
