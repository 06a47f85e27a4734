/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/curve_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#define KEY_FILE_BYTES_MAX  ((size_t)64 << 10)
#define LIST_FILE_BYTES_MAX ((size_t)1 << 20)
#define RECENT_S            2

#define A_KEY "a key of 40 characters, as openbeam keygen prints,"

/* One line of a text, without blanks around it. */
struct line {
	const char *text;
	size_t length;
	unsigned number; /* from 1 */
};

struct lines {
	const char *next, *end;
	unsigned number;
};

__attribute__((format(printf, 3, 4))) static int refuse(char why[CURVE_WHY], int err,
                                                        const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vsnprintf(why, CURVE_WHY, format, values);
	va_end(values);
	return err;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void trim(struct line *l)
{
	for (; l->length > 0 && is_blank(l->text[0]); l->text++)
		l->length--;
	while (l->length > 0 && is_blank(l->text[l->length - 1]))
		l->length--;
}

/* The next line that is neither empty nor a comment. No key begins with #: the first character of
 * five stands for at most 82, # for 84. */
static bool next_line(struct lines *s, struct line *ret)
{
	while (s->next < s->end) {
		const char *end = memchr(s->next, '\n', (size_t)(s->end - s->next));

		if (!end)
			end = s->end;
		*ret = (struct line){ s->next, (size_t)(end - s->next), ++s->number };
		s->next = end < s->end ? end + 1 : end;
		trim(ret);
		if (ret->length > 0 && ret->text[0] != '#')
			return true;
	}
	return false;
}

/* ---- keys ---- */

bool curve_key_valid(const char *text, size_t length)
{
	static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				       "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
	uint64_t value = 0;

	if (length != CURVE_KEY_CHARS)
		return false;
	for (size_t i = 0; i < length; i++) {
		const char *digit = text[i] ? strchr(alphabet, text[i]) : NULL;

		if (!digit)
			return false;
		value = (i % 5 ? value * 85 : 0) + (uint64_t)(digit - alphabet);
		if (value > UINT32_MAX)
			return false;
	}
	return true;
}

static void copy_key(char ret[CURVE_KEY_TEXT], const char *text)
{
	memcpy(ret, text, CURVE_KEY_CHARS);
	ret[CURVE_KEY_CHARS] = '\0';
}

/* Whether the line is `name = value`; ret_value is then the value without its quotes. */
static bool is_setting(const struct line *l, const char *name, struct line *ret_value)
{
	size_t length = strlen(name);
	struct line rest = *l;

	if (l->length < length || memcmp(l->text, name, length) != 0)
		return false;
	rest.text += length;
	rest.length -= length;
	trim(&rest);
	if (rest.length == 0 || rest.text[0] != '=')
		return false;
	rest.text++;
	rest.length--;
	trim(&rest);
	if (rest.length >= 2 && (rest.text[0] == '"' || rest.text[0] == '\'') &&
	    rest.text[rest.length - 1] == rest.text[0]) {
		rest.text++;
		rest.length -= 2;
	}
	*ret_value = rest;
	return true;
}

/* Whether the line is any `name = value`, which keys with a = in them are not. */
static bool is_any_setting(const struct line *l)
{
	static const char name[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t i = 0;

	while (i < l->length && l->text[i] && strchr(name, l->text[i]))
		i++;
	if (i == 0)
		return false;
	while (i < l->length && is_blank(l->text[i]))
		i++;
	return i < l->length && l->text[i] == '=';
}

static bool is_word(const struct line *l, const char *word)
{
	return l->length == strlen(word) && memcmp(l->text, word, l->length) == 0;
}

/* Take one line of a certificate. */
static int take_setting(const struct line *l, const char *name, struct curve_pair *pair,
                        char why[CURVE_WHY])
{
	struct line value;
	char *key;

	if (is_setting(l, "public-key", &value))
		key = pair->public_key;
	else if (is_setting(l, "secret-key", &value))
		key = pair->secret_key;
	else if (is_word(l, "metadata") || is_word(l, "curve") || is_any_setting(l))
		return 0; /* sections, and what people note there */
	else
		return refuse(why, -EINVAL,
		              "%.200s:%u: is no key; " A_KEY
		              " or a certificate (public-key = \"...\") is expected",
		              name, l->number);
	if (key[0])
		return refuse(why, -EINVAL, "%.200s:%u: the same key is given twice; leave one out",
		              name, l->number);
	if (!curve_key_valid(value.text, value.length))
		return refuse(why, -EINVAL,
		              "%.200s:%u: the value is no key; " A_KEY " is expected, in quotes",
		              name, l->number);
	copy_key(key, value.text);
	return 0;
}

static int parse_certificate(struct lines *lines, struct line l, const char *name,
                             struct curve_pair *pair, char why[CURVE_WHY])
{
	do {
		int err = take_setting(&l, name, pair, why);

		if (err < 0)
			return err;
	} while (next_line(lines, &l));
	return 0;
}

/* Derive the public key, or compare it with the one that is there. */
static int complete(struct curve_pair *pair, const char *name, char why[CURVE_WHY])
{
	char derived[CURVE_KEY_TEXT];

	if (!zmq_has("curve") || zmq_curve_public(derived, pair->secret_key) != 0)
		return refuse(why, -EINVAL,
		              "%.200s: libzmq cannot use its secret key: was it built with CURVE?",
		              name);
	if (pair->public_key[0] && strcmp(pair->public_key, derived) != 0)
		return refuse(why, -EINVAL,
		              "%.200s: its public key does not belong to its secret key; make a "
		              "new pair with openbeam keygen",
		              name);
	copy_key(pair->public_key, derived);
	return 0;
}

static int parse_pair(struct lines *lines, const char *name, enum curve_half wanted,
                      struct curve_pair *pair, char why[CURVE_WHY])
{
	char *key = wanted == CURVE_SECRET ? pair->secret_key : pair->public_key;
	struct line l;

	if (!next_line(lines, &l))
		return refuse(why, -EINVAL, "%.200s: is empty; " A_KEY " is expected", name);
	if (!curve_key_valid(l.text, l.length))
		return parse_certificate(lines, l, name, pair, why);
	copy_key(key, l.text);
	if (next_line(lines, &l))
		return refuse(why, -EINVAL,
		              "%.200s:%u: something follows the key; one key is expected", name,
		              l.number);
	return 0;
}

int curve_key_parse(const char *text, size_t length, const char *name, enum curve_half wanted,
                    struct curve_pair *ret, char why[CURVE_WHY])
{
	struct lines lines = { text, text + length, 0 };
	struct curve_pair pair = { 0 };
	int err = parse_pair(&lines, name, wanted, &pair, why);

	if (err == 0 && wanted == CURVE_PUBLIC) {
		memset(pair.secret_key, 0, sizeof pair.secret_key);
		if (!pair.public_key[0])
			err = refuse(why, -EINVAL,
			             "%.200s: holds no public key; a line public-key = \"...\" is "
			             "expected",
			             name);
	} else if (err == 0) {
		err = pair.secret_key[0]
		              ? complete(&pair, name, why)
		              : refuse(why, -EINVAL,
		                       "%.200s: holds no secret key, only a public one; give the "
		                       "file that openbeam keygen calls NAME.key",
		                       name);
	}
	if (err == 0)
		*ret = pair;
	explicit_bzero(&pair, sizeof pair);
	return err;
}

/* ---- files ---- */

static int read_whole(int fd, char *text, size_t room, size_t *ret_length)
{
	size_t length = 0;

	while (length < room) {
		ssize_t n = read(fd, text + length, room - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	*ret_length = length;
	return 0;
}

/* Open a regular file. A FIFO does not hold us up. */
static int open_file(const char *path, struct stat *ret_status, char why[CURVE_WHY])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int err;

	if (fd < 0) {
		err = -errno;
		return refuse(why, err, "%.200s: cannot be read: %s", path, strerror(-err));
	}
	if (fstat(fd, ret_status) == 0 && S_ISREG(ret_status->st_mode))
		return fd;
	close(fd);
	return refuse(why, -EINVAL, "%.200s: is no file; a file with keys is expected", path);
}

/* The whole of a file, malloc'd; at most `most` bytes. */
static int read_text(int fd, const char *path, size_t most, char **ret_text, size_t *ret_length,
                     char why[CURVE_WHY])
{
	char *text = malloc(most + 1);
	size_t length = 0;
	int err;

	if (!text)
		return refuse(why, -ENOMEM, "%.200s: no memory to read it", path);
	err = read_whole(fd, text, most + 1, &length);
	if (err < 0)
		refuse(why, err, "%.200s: cannot be read: %s", path, strerror(-err));
	else if (length > most)
		err = refuse(why, -EINVAL, "%.200s: is larger than any file of keys (%zu bytes)",
		             path, most);
	if (err < 0) {
		explicit_bzero(text, length);
		free(text);
		return err;
	}
	*ret_text = text;
	*ret_length = length;
	return 0;
}

static int check_mode(const struct stat *status, const char *path, char why[CURVE_WHY])
{
	if ((status->st_mode & 077) == 0)
		return 0;
	return refuse(why, -EACCES,
	              "%.200s: mode %04o lets others at the secret key: chmod 600 %.200s", path,
	              (unsigned)status->st_mode & 07777, path);
}

int curve_key_read(const char *path, enum curve_half wanted, struct curve_pair *ret,
                   char why[CURVE_WHY])
{
	struct stat status;
	size_t length = 0;
	char *text = NULL;
	int fd = open_file(path, &status, why);
	int err;

	if (fd < 0)
		return fd;
	err = wanted == CURVE_SECRET ? check_mode(&status, path, why) : 0;
	if (err == 0)
		err = read_text(fd, path, KEY_FILE_BYTES_MAX, &text, &length, why);
	close(fd);
	if (err < 0)
		return err;
	err = curve_key_parse(text, length, path, wanted, ret, why);
	explicit_bzero(text, length);
	free(text);
	return err;
}

/* ---- lists ---- */

static bool take_allowed(const struct line *l, struct curve_allowed *ret)
{
	struct line label = *l;
	size_t key = 0;

	while (key < l->length && !is_blank(l->text[key]))
		key++;
	if (!curve_key_valid(l->text, key))
		return false;
	memset(ret, 0, sizeof *ret);
	copy_key(ret->key, l->text);
	label.text += key;
	label.length -= key;
	trim(&label);
	for (size_t i = 0; i < label.length && i < CURVE_LABEL - 1; i++)
		ret->label[i] = label.text[i] >= ' ' && label.text[i] <= '~' ? label.text[i] : '?';
	return true;
}

static unsigned count_lines(const char *text, size_t length)
{
	struct lines lines = { text, text + length, 0 };
	struct line l;
	unsigned n = 0;

	while (next_line(&lines, &l))
		n++;
	return n;
}

int curve_list_parse(const char *text, size_t length, const char *name, struct curve_list *ret,
                     char why[CURVE_WHY])
{
	struct lines lines = { text, text + length, 0 };
	struct curve_list list = { 0 };
	unsigned wrong = 0, first = 0;
	struct line l;

	list.at = calloc((size_t)count_lines(text, length) + 1, sizeof *list.at);
	if (!list.at)
		return refuse(why, -ENOMEM, "%.200s: no memory for its keys", name);
	while (next_line(&lines, &l)) {
		if (take_allowed(&l, &list.at[list.count])) {
			list.count++;
			continue;
		}
		if (wrong++ == 0)
			first = l.number;
	}
	if (wrong == 0) {
		*ret = list;
		return 0;
	}
	curve_list_done(&list);
	refuse(why, -EINVAL,
	       "%.200s:%u: does not begin with a key; the public key of a client (40 characters, "
	       "as "
	       "openbeam keygen prints) and, if wanted, a label is expected",
	       name, first);
	if (wrong > 1) {
		size_t used = strlen(why);

		snprintf(why + used, CURVE_WHY - used, " (so are %u more lines)", wrong - 1);
	}
	return -EINVAL;
}

static void take_stamp(const struct stat *s, struct curve_stamp *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct curve_stamp){
		.device = s->st_dev,
		.inode = s->st_ino,
		.size = s->st_size,
		.modified = s->st_mtim,
		.changed = s->st_ctim,
		.recent = s->st_mtim.tv_sec + RECENT_S >= now.tv_sec ||
		          s->st_ctim.tv_sec + RECENT_S >= now.tv_sec,
	};
}

int curve_list_read(const char *path, struct curve_list *ret, struct curve_stamp *ret_stamp,
                    char why[CURVE_WHY])
{
	struct stat status;
	size_t length = 0;
	char *text = NULL;
	int fd = open_file(path, &status, why);
	int err;

	if (fd < 0)
		return fd;
	err = read_text(fd, path, LIST_FILE_BYTES_MAX, &text, &length, why);
	close(fd);
	if (err < 0)
		return err;
	err = curve_list_parse(text, length, path, ret, why);
	free(text);
	if (err == 0 && ret_stamp)
		take_stamp(&status, ret_stamp);
	return err;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool curve_list_changed(const char *path, const struct curve_stamp *stamp)
{
	struct stat status;

	return stamp->recent || stat(path, &status) != 0 || status.st_dev != stamp->device ||
	       status.st_ino != stamp->inode || status.st_size != stamp->size ||
	       !same_time(status.st_mtim, stamp->modified) ||
	       !same_time(status.st_ctim, stamp->changed);
}

bool curve_list_equal(const struct curve_list *a, const struct curve_list *b)
{
	return a->count == b->count &&
	       (a->count == 0 || memcmp(a->at, b->at, a->count * sizeof *a->at) == 0);
}

const struct curve_allowed *curve_list_find(const struct curve_list *l, const char *key)
{
	for (unsigned i = 0; i < l->count; i++)
		if (strcmp(l->at[i].key, key) == 0)
			return &l->at[i];
	return NULL;
}

void curve_list_done(struct curve_list *l)
{
	free(l->at);
	*l = (struct curve_list){ 0 };
}

/* ---- making a pair ---- */

int curve_pair_make(struct curve_pair *ret)
{
	struct curve_pair pair;

	if (!zmq_has("curve") || zmq_curve_keypair(pair.public_key, pair.secret_key) != 0)
		return -ENOTSUP;
	*ret = pair;
	explicit_bzero(&pair, sizeof pair);
	return 0;
}

/* Create a file that was not there, for the owner only. The descriptor, or negative errno. */
static int create_file(const char *path, char why[CURVE_WHY])
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = -errno;

	if (fd >= 0 && fchmod(fd, 0600) == 0) /* whatever the umask left */
		return fd;
	if (fd >= 0) {
		err = -errno;
		close(fd);
		unlink(path);
	}
	if (err == -EEXIST)
		return refuse(why, err,
		              "%.200s: is there already, and no key is overwritten; give another "
		              "name with --output",
		              path);
	return refuse(why, err, "%.200s: cannot be created: %s", path, strerror(-err));
}

static int write_file(int fd, const char *path, const char *text, char why[CURVE_WHY])
{
	size_t length = strlen(text), written = 0;

	while (written < length) {
		ssize_t n = write(fd, text + written, length - written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		written += (size_t)n;
	}
	if (written == length && fsync(fd) == 0)
		return 0;
	int err = -errno;
	return refuse(why, err, "%.200s: cannot be written: %s", path, strerror(-err));
}

/* Make the names durable. What cannot be synced (some file systems) is not worth a refusal. */
static void sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(folder);
}

static int write_both(const int fds[2], char *const paths[2], const struct curve_pair *pair,
                      char why[CURVE_WHY])
{
	char text[512];
	int err;

	snprintf(text, sizeof text,
	         "# CURVE certificate with a SECRET key, made by openbeam keygen.\n"
	         "# Whoever has this file can pretend to be its owner.\n"
	         "metadata\n"
	         "curve\n"
	         "    public-key = \"%s\"\n"
	         "    secret-key = \"%s\"\n",
	         pair->public_key, pair->secret_key);
	err = write_file(fds[0], paths[0], text, why);
	explicit_bzero(text, sizeof text);
	if (err < 0)
		return err;
	snprintf(text, sizeof text,
	         "# CURVE certificate with a public key, made by openbeam keygen.\n"
	         "metadata\n"
	         "curve\n"
	         "    public-key = \"%s\"\n",
	         pair->public_key);
	return write_file(fds[1], paths[1], text, why);
}

int curve_pair_write(const struct curve_pair *pair, const char *name, char why[CURVE_WHY])
{
	char *paths[2] = { NULL, NULL };
	int fds[2] = { -1, -1 };
	int err = -ENOMEM;

	if (asprintf(&paths[0], "%s.key", name) < 0)
		paths[0] = NULL;
	if (asprintf(&paths[1], "%s.pub", name) < 0)
		paths[1] = NULL;
	if (!paths[0] || !paths[1]) {
		refuse(why, err, "no memory");
		goto done;
	}
	/* Both are there before the secret goes into one of them. */
	err = fds[0] = create_file(paths[0], why);
	if (err >= 0)
		err = fds[1] = create_file(paths[1], why);
	if (err >= 0)
		err = write_both(fds, paths, pair, why);
	if (err == 0)
		sync_folder(paths[0]);

done:
	for (int i = 0; i < 2; i++) {
		if (fds[i] >= 0 && err < 0)
			unlink(paths[i]);
		if (fds[i] >= 0)
			close(fds[i]);
		free(paths[i]);
	}
	return err;
}
