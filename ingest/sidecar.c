/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/sidecar.h"

#include "ingest/header.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES sizeof(((struct sidecar *)NULL)->path)

/* "path: sentence"; of a long path, the end. */
__attribute__((format(printf, 3, 4))) static int complain(struct sidecar *s, int err,
                                                          const char *format, ...)
{
	size_t length = strlen(s->path);
	bool cut = length > 150;
	int used = snprintf(s->why, sizeof s->why, "%s%s: ", cut ? "..." : "",
	                    s->path + (cut ? length - 147 : 0));
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(s->why + used, sizeof s->why - (size_t)used, format, arguments);
	va_end(arguments);
	header_printable(s->why);
	return err;
}

bool sidecar_path(char ret[4096 + 16], const char *image, const char *ending)
{
	static const char *const endings[] = { ".tif", ".tiff" };
	size_t length = strlen(image);

	for (unsigned i = 0; i < 2; i++) {
		size_t stem = length - strlen(endings[i]);

		if (length <= strlen(endings[i]) || strcasecmp(image + stem, endings[i]) != 0)
			continue;
		return stem + strlen(ending) < PATH_BYTES &&
		       snprintf(ret, PATH_BYTES, "%.*s%s", (int)stem, image, ending) > 0;
	}
	return false;
}

/* A descriptor of a file of usable size; -ENOENT without a complaint. */
static int open_file(struct sidecar *s, size_t *ret_bytes)
{
	/* Non-blocking, for a named pipe would wait for its writer. */
	int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	int err = 0;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : complain(s, -errno, "%s", strerror(errno));
	if (fstat(fd, &status) < 0)
		err = complain(s, -errno, "%s", strerror(errno));
	else if (!S_ISREG(status.st_mode))
		err = complain(s, -EINVAL, "is no regular file");
	else if (status.st_size > SIDECAR_BYTES_MAX)
		err = complain(s, -EFBIG, "is longer than %u bytes", SIDECAR_BYTES_MAX);
	if (err < 0) {
		close(fd);
		return err;
	}
	*ret_bytes = (size_t)status.st_size;
	return fd;
}

/* Up to n bytes; fewer where the file was cut meanwhile. */
static int read_bytes(struct sidecar *s, int fd, char *text, size_t n, size_t *ret_read)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = read(fd, text + done, n - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return complain(s, -errno, "%s", strerror(errno));
		if (got == 0)
			break;
		done += (size_t)got;
	}
	*ret_read = done;
	return 0;
}

/* The file's JSON, owned by the caller. */
static int load(struct sidecar *s, json_t **ret)
{
	size_t bytes = 0, n = 0;
	json_error_t error;
	int fd = open_file(s, &bytes), err;
	char *text;

	if (fd < 0)
		return fd;
	text = malloc(bytes + 1);
	err = text ? read_bytes(s, fd, text, bytes, &n) : complain(s, -ENOMEM, "no memory");
	close(fd);
	if (err == 0) {
		*ret = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
		if (!*ret)
			err = complain(s, -EINVAL,
			               "is no JSON: line %d: %.150s; remove it if it does not "
			               "belong to the image",
			               error.line, error.text);
	}
	free(text);
	return err;
}

static int complain_key(struct sidecar *s, const char *key, const char *expected)
{
	return complain(s, -EINVAL, "%s is missing or not %s", key, expected);
}

static int read_role(struct sidecar *s, const json_t *o)
{
	static const char *const roles[] = { "dark", "flat", "flat_dark" };
	const char *role = json_string_value(json_object_get(o, "role"));

	for (unsigned i = 0; role && i < sizeof roles / sizeof *roles; i++)
		if (strcmp(role, roles[i]) == 0) {
			snprintf(s->role, sizeof s->role, "%s", role);
			return 0;
		}
	return complain_key(s, "role", "dark, flat or flat_dark");
}

static int read_type(struct sidecar *s, const json_t *o)
{
	const char *type = json_string_value(json_object_get(o, "type"));

	for (unsigned i = 0; type && i < PIXEL_TYPE_COUNT; i++)
		if (strcmp(type, pixel_name((enum pixel_type)i)) == 0) {
			s->type = (enum pixel_type)i;
			return 0;
		}
	return complain_key(s, "type", "uint8, uint16, uint32 or float32");
}

/* An integer from `low` to `high`. */
static int read_integer(struct sidecar *s, const json_t *o, const char *key, uint64_t low,
                        uint64_t high, uint64_t *ret)
{
	const json_t *value = json_object_get(o, key);
	json_int_t v = json_integer_value(value);
	char expected[64];

	if (json_is_integer(value) && v >= 0 && (uint64_t)v >= low && (uint64_t)v <= high) {
		*ret = (uint64_t)v;
		return 0;
	}
	snprintf(expected, sizeof expected, "an integer from %llu to %llu", (unsigned long long)low,
	         (unsigned long long)high);
	return complain_key(s, key, expected);
}

static int read_exposure(struct sidecar *s, const json_t *o)
{
	const json_t *value = json_object_get(o, "exposure_s");
	double v = json_number_value(value);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_number(value) || !isfinite(v) || v <= 0)
		return complain_key(s, "exposure_s", "a time in seconds or null");
	s->exposure_s = v;
	return 0;
}

/* Exactly eight hexadecimal digits. */
static bool read_crc(const char *text, uint32_t *ret)
{
	if (!text || strlen(text) != 8 || strspn(text, "0123456789abcdefABCDEF") != 8)
		return false;
	*ret = (uint32_t)strtoul(text, NULL, 16);
	return true;
}

static int read_file(struct sidecar *s, const json_t *o, const char *key, struct sidecar_file *ret)
{
	const json_t *file = json_object_get(json_object_get(o, "files"), key);
	struct sidecar_file f = { .there = true };
	int err = read_integer(s, file, "bytes", 1, INT64_MAX, &f.bytes);

	if (err < 0)
		return err;
	if (!read_crc(json_string_value(json_object_get(file, "crc32c")), &f.crc32c))
		return complain_key(s, "crc32c", "eight hexadecimal digits");
	*ret = f;
	return 0;
}

static int read_keys(struct sidecar *s, const json_t *o)
{
	uint64_t width = 0, height = 0;
	int err = read_role(s, o);

	if (err == 0)
		err = read_integer(s, o, "width", 1, UINT32_MAX, &width);
	if (err == 0)
		err = read_integer(s, o, "height", 1, UINT32_MAX, &height);
	if (err == 0)
		err = read_type(s, o);
	if (err == 0)
		err = read_exposure(s, o);
	if (err == 0)
		err = read_integer(s, o, "taken_ns", 0, INT64_MAX, &s->taken_ns);
	if (err == 0)
		err = read_integer(s, o, "frames", 1, UINT32_MAX, &s->frames);
	if (err == 0)
		err = read_file(s, o, "image", &s->image);
	if (err == 0 && json_object_get(json_object_get(o, "files"), "found"))
		err = read_file(s, o, "found", &s->found);
	s->width = (uint32_t)width;
	s->height = (uint32_t)height;
	return err;
}

static bool is_ours(const json_t *o)
{
	const char *program = json_string_value(json_object_get(o, "program"));

	return program && strcmp(program, "openbeam") == 0;
}

/* What somebody wrote beside an image of another program; 0 when it is no time. */
static uint64_t taken_by_others(const json_t *o)
{
	json_int_t v = json_integer_value(json_object_get(o, "taken_ns"));

	return v > 0 ? (uint64_t)v : 0;
}

int sidecar_read(struct sidecar *ret, const char *image)
{
	struct sidecar s = { 0 };
	json_t *o = NULL;
	int err;

	*ret = s;
	if (!sidecar_path(s.path, image, ".json"))
		return 0;
	err = load(&s, &o);
	if (err == 0 && is_ours(o)) {
		err = read_keys(&s, o);
		s.there = true;
	} else if (err == 0) {
		s.taken_ns = taken_by_others(o);
	}
	json_decref(o);
	if (err == 0)
		*ret = s;
	else if (err < 0 && err != -ENOENT)
		memcpy(ret->why, s.why, sizeof ret->why);
	return err == -ENOENT ? 0 : err;
}
