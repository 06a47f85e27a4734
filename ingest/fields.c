/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/fields.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct type_row {
	const char *name;
	enum pixel_type type;
	enum stored_type stored;
};

static const struct type_row types[] = {
	{ "uint8", PIXEL_UINT8, STORED_PLAIN },       { "uint16", PIXEL_UINT16, STORED_PLAIN },
	{ "uint32", PIXEL_UINT32, STORED_PLAIN },     { "float32", PIXEL_FLOAT32, STORED_PLAIN },
	{ "int8", PIXEL_FLOAT32, STORED_INT8 },       { "int16", PIXEL_FLOAT32, STORED_INT16 },
	{ "int32", PIXEL_FLOAT32, STORED_INT32 },     { "int64", PIXEL_FLOAT32, STORED_INT64 },
	{ "uint64", PIXEL_FLOAT32, STORED_UINT64 },   { "float16", PIXEL_FLOAT32, STORED_FLOAT16 },
	{ "float64", PIXEL_FLOAT32, STORED_FLOAT64 }, { 0 },
};

/* What a frame is of, as headers say it. */
struct role_row {
	const char *text;
	double number;
	enum frame_role role;
};

static const struct role_row roles[] = {
	{ "sample", 0, ROLE_SAMPLE },
	{ "projection", 0, ROLE_SAMPLE },
	{ "flat", 1, ROLE_FLAT },
	{ "flat field", 1, ROLE_FLAT },
	{ "flat_field", 1, ROLE_FLAT },
	{ "flatfield", 1, ROLE_FLAT },
	{ "dark", 2, ROLE_DARK },
	{ "dark field", 2, ROLE_DARK },
	{ "dark_field", 2, ROLE_DARK },
	{ "darkfield", 2, ROLE_DARK },
	{ 0 },
};

void *field_decoder_open(size_t bytes, const char *protocol, char why[160])
{
	struct header *header = calloc(1, bytes);

	if (header && header_open(header, HEADER_ARENA) == 0)
		return header;
	free(header);
	snprintf(why, 160, "no memory for the decoder of %s", protocol);
	return NULL;
}

void field_decoder_close(void *decoder)
{
	if (decoder)
		header_close(decoder);
	free(decoder);
}

bool field_reject(struct decoded *ret, enum reject reason, const char *format, ...)
{
	va_list arguments;

	ret->verdict = VERDICT_REJECTED;
	ret->reason = reason;
	va_start(arguments, format);
	vsnprintf(ret->why, sizeof ret->why, format, arguments);
	va_end(arguments);
	header_printable(ret->why);
	return false;
}

const json_t *field_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

const char *field_text(const json_t *object, const char *key)
{
	return json_string_value(field_of(object, key));
}

double field_real(const json_t *object, const char *key, double fallback)
{
	const json_t *value = field_of(object, key);
	uint64_t integer;

	if (json_is_real(value))
		return json_real_value(value);
	return header_integer(value, &integer) ? (double)integer : fallback;
}

bool field_number(const json_t *object, const char *key, struct decoded *ret)
{
	const json_t *value = field_of(object, key);
	uint64_t number;

	if (!value)
		return field_reject(ret, REJECT_HEADER, "the header has no frame number (key %s)",
		                    key);
	if (!header_integer(value, &number))
		return field_reject(ret, REJECT_HEADER, "%s is no integer from 0 to 2^64 - 2", key);
	if (number == UINT64_MAX)
		return field_reject(ret, REJECT_HEADER, "%s is 2^64 - 1, which stands for none",
		                    key);
	ret->frame.number = number;
	ret->number_known = true;
	return true;
}

/* The value that a path of keys with dots between them leads to. A key may have dots of its own. */
static const json_t *value_at(const json_t *object, const char *path)
{
	const json_t *value = field_of(object, path);

	for (const char *dot = strchr(path, '.'); !value && dot; dot = strchr(path, '.')) {
		object = json_object_getn(object, path, (size_t)(dot - path));
		path = dot + 1;
		value = field_of(object, path);
	}
	return value;
}

static bool read_real(const json_t *value, double *ret)
{
	const char *text = json_string_value(value);
	uint64_t integer;
	char *end;

	if (header_integer(value, &integer)) {
		*ret = (double)integer;
		return true;
	}
	if (json_is_number(value)) {
		*ret = json_number_value(value);
		return true;
	}
	if (!text || !text[0] || strspn(text, "+-.0123456789eE") != strlen(text))
		return false;
	*ret = strtod(text, &end);
	return *end == '\0';
}

static bool is_key(const char *key)
{
	return key && key[0];
}

struct field_keys field_keys_of(const struct config_ingest *c)
{
	return (struct field_keys){ .rotation = c->rotation_key, .role = c->role_key };
}

bool field_keys_any(const struct field_keys *k)
{
	return is_key(k->rotation) || is_key(k->role);
}

static void read_rotation(const json_t *value, struct frame *ret)
{
	double angle;

	if (!read_real(value, &angle) || !isfinite(angle))
		return;
	ret->has_rotation = true;
	ret->rotation = angle;
}

static enum frame_role role_of(const json_t *value)
{
	const char *text = json_string_value(value);
	double number = -1;

	read_real(value, &number);
	for (const struct role_row *r = roles; r->text; r++)
		if (number == r->number || (text && strcasecmp(text, r->text) == 0))
			return r->role;
	return ROLE_UNSAID;
}

void field_keys_read(const json_t *object, const struct field_keys *k, struct frame *ret)
{
	if (is_key(k->rotation))
		read_rotation(value_at(object, k->rotation), ret);
	if (is_key(k->role))
		ret->role = role_of(value_at(object, k->role));
}

static bool read_length(const json_t *value, uint32_t *ret)
{
	uint64_t length;

	if (!header_integer(value, &length) || length == 0 || length > UINT32_MAX)
		return false;
	*ret = (uint32_t)length;
	return true;
}

bool field_lengths(const json_t *array, uint32_t *ret_first, uint32_t *ret_second)
{
	uint32_t first, second;

	if (json_array_size(array) != 2 || !read_length(json_array_get(array, 0), &first) ||
	    !read_length(json_array_get(array, 1), &second))
		return false;
	*ret_first = first;
	*ret_second = second;
	return true;
}

bool field_type(const char *name, bool take_stored, struct decoded *ret)
{
	if (!name)
		return field_reject(ret, REJECT_HEADER, "the header has no pixel type (key type)");
	for (const struct type_row *t = types; t->name; t++)
		if (strcmp(t->name, name) == 0 && (take_stored || !t->stored)) {
			ret->frame.type = t->type;
			ret->frame.stored = t->stored;
			return true;
		}
	return field_reject(
		ret, REJECT_TYPE,
		"type is \"%.40s\", uint8, uint16, uint32 or float32 is "
		"taken%s",
		name, take_stored ? "; int8 to int64, uint64, float16 and float64 as float32" : "");
}

/* As the message calls the type of its pixels. */
static const char *sent_name(const struct frame *f)
{
	for (const struct type_row *t = types; t->name; t++)
		if (f->stored && t->stored == f->stored)
			return t->name;
	return wire_name(f->type, f->packing);
}

bool field_size(uint64_t frame_limit, size_t bytes, struct decoded *ret)
{
	struct frame *f = &ret->frame;
	const char *name = sent_name(f);
	uint64_t plain, expanded;

	if (!frame_plain_bytes(f, &plain) ||
	    !wire_bytes(f->width, f->height, f->type, f->packing, &expanded) ||
	    plain > frame_limit || expanded > frame_limit)
		return field_reject(ret, REJECT_SHAPE,
		                    "%u rows of %u %s are more than ingest.frame_limit, %llu bytes",
		                    f->height, f->width, name, (unsigned long long)frame_limit);
	if (f->codec == CODEC_NONE && plain != bytes)
		return field_reject(ret, REJECT_LENGTH,
		                    "the pixels have %zu bytes, %u rows of %u %s have %llu", bytes,
		                    f->height, f->width, name, (unsigned long long)plain);
	if (bytes == 0)
		return field_reject(ret, REJECT_LENGTH, "the pixels have no bytes");
	f->bytes = bytes;
	return true;
}

/* FNV-1a, 64 bits. */
uint64_t field_token(const void *data, size_t size)
{
	const unsigned char *at = data;
	uint64_t token = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		token = (token ^ at[i]) * UINT64_C(0x100000001b3);
	return token ? token : 1;
}

uint64_t field_token_of(const json_t *value)
{
	uint64_t number;

	if (header_integer(value, &number))
		return field_token(&number, sizeof number);
	if (json_is_string(value))
		return field_token(json_string_value(value), json_string_length(value));
	return 0;
}
