/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers. Before jansson sees the text, each JSON number that is a non-negative integer is
 * rewritten as its plain digits: 1.5e3 becomes 1500. Integers that do not fit jansson's signed
 * 64 bits become strings of a mark and the digits; the mark, U+FFFF, is no character, so no
 * text that a sender has bears it. header_integer() reads both. */
#include "ingest/header.h"

#include <errno.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK       "\xef\xbf\xbf"
#define MARK_BYTES 3
/* What grows most is "1e19", from 4 bytes to 20 digits with mark and quotes. */
#define HEADER_TEXT_MAX (8 * HEADER_BYTES_MAX)

/* The arena that jansson allocates from on this thread; NULL: malloc. */
static _Thread_local struct header *active;

/* Where to go when the arena is full. jansson 2.14 does not survive an allocation that fails (it
 * runs past the end of a string it could not store), so it is left in the middle; all it has
 * is in the arena. */
static _Thread_local jmp_buf arena_full;

static void *arena_take(struct header *h, size_t size)
{
	const size_t align = alignof(max_align_t);
	size_t room = h->arena_bytes - h->arena_used;
	size_t rounded = (size + align - 1) / align * align;
	void *memory = h->arena + h->arena_used;

	if (size > room || rounded > room)
		longjmp(arena_full, 1);
	h->arena_used += rounded;
	return memory;
}

static void *header_malloc(size_t size)
{
	return active ? arena_take(active, size) : malloc(size);
}

static void header_free(void *memory)
{
	if (!active)
		free(memory);
}

/* What the parser must know of a number's text. */
struct number {
	const char *digits; /* mantissa, with or without a point */
	size_t digits_bytes;
	bool negative, plain; /* plain: neither point nor exponent */
	long exponent;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t digits_at(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && is_digit(s[i]))
		i++;
	return i;
}

/* The exponent in s[0..n), which is "e", a sign or none, digits. False if it is not. */
static bool read_exponent(const char *s, size_t n, long *ret)
{
	size_t i = 1;
	long value = 0;
	bool negative = false;

	if (i < n && (s[i] == '+' || s[i] == '-'))
		negative = s[i++] == '-';
	if (i == n || digits_at(s + i, n - i) != n - i)
		return false;
	for (; i < n; i++)
		value = value > HEADER_BYTES_MAX ? value : value * 10 + (s[i] - '0');
	*ret = negative ? -value : value;
	return true;
}

/* Split s[0..n) by JSON's grammar for numbers. False: it is no number, jansson will say so. */
static bool read_number(const char *s, size_t n, struct number *ret)
{
	struct number number = { .negative = n > 0 && s[0] == '-', .plain = true };
	size_t i = number.negative, whole, fraction;

	number.digits = s + i;
	whole = digits_at(s + i, n - i);
	if (whole == 0 || (whole > 1 && s[i] == '0'))
		return false;
	i += whole;
	if (i < n && s[i] == '.') {
		fraction = digits_at(s + i + 1, n - i - 1);
		if (fraction == 0)
			return false;
		i += 1 + fraction;
		number.exponent = -(long)fraction;
		number.plain = false;
	}
	number.digits_bytes = (size_t)(s + i - number.digits);
	if (i < n) {
		long exponent;

		if ((s[i] != 'e' && s[i] != 'E') || !read_exponent(s + i, n - i, &exponent))
			return false;
		number.exponent += exponent;
		number.plain = false;
	}
	*ret = number;
	return true;
}

static bool append_digit(unsigned long long *value, unsigned digit)
{
	return !__builtin_mul_overflow(*value, 10, value) &&
	       !__builtin_add_overflow(*value, digit, value);
}

/* The value of `number` if it is an integer from 0 to 2^64 - 1. */
static bool number_integer(const struct number *number, unsigned long long *ret)
{
	long exponent = number->exponent;
	size_t end = number->digits_bytes;
	unsigned long long value = 0;

	/* Zeros at the end of the mantissa are the exponent's: 1.20e1 is 12. */
	while (exponent < 0 && end > 0 &&
	       (number->digits[end - 1] == '0' || number->digits[end - 1] == '.'))
		exponent += number->digits[--end] == '0';
	for (size_t i = 0; i < end; i++)
		if (number->digits[i] != '.' &&
		    !append_digit(&value, (unsigned)(number->digits[i] - '0')))
			return false;
	if (value == 0) {
		*ret = 0;
		return true;
	}
	if (exponent < 0 || number->negative)
		return false;
	for (; exponent > 0; exponent--)
		if (!append_digit(&value, 0))
			return false;
	*ret = value;
	return true;
}

/* Write the number text s[0..n) to `out` as the essay says. Returns the bytes written. */
static size_t put_number(char *out, const char *s, size_t n)
{
	struct number number;
	unsigned long long value;

	if (read_number(s, n, &number) && !(number.plain && number.digits_bytes <= 18)) {
		if (number_integer(&number, &value))
			return (size_t)sprintf(out, value > INT64_MAX ? "\"" MARK "%llu\"" : "%llu",
			                       value);
		/* Beyond 64 bits, or so negative that jansson might refuse it: a header may
		 * hold such numbers under keys that are none of ours. */
		if (number.plain)
			return (size_t)sprintf(out, "\"" MARK "%.*s\"", (int)n, s);
	}
	memcpy(out, s, n);
	return n;
}

static size_t number_at(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && (is_digit(s[i]) || s[i] == '-' || s[i] == '+' || s[i] == '.' ||
	                 s[i] == 'e' || s[i] == 'E'))
		i++;
	return i;
}

/* Length of the string that begins at s[0] == '"', quotes included; n if it does not end. */
static size_t string_at(const char *s, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (s[i] == '"')
			return i + 1;
		if (s[i] == '\\')
			i++;
	}
	return n;
}

/* Copy s[0..n) to h->text with the numbers normalised. The length, or 0 where it nests too
 * deep. What is no JSON stays none. */
static size_t normalise_text(struct header *h, const char *s, size_t n)
{
	size_t used = 0, run;
	int depth = 0;

	for (size_t i = 0; i < n; i += run) {
		run = 1;
		if (s[i] == '-' || is_digit(s[i])) {
			run = number_at(s + i, n - i);
			used += put_number(h->text + used, s + i, run);
			continue;
		}
		if (s[i] == '"') {
			run = string_at(s + i, n - i);
			memcpy(h->text + used, s + i, run);
			used += run;
			continue;
		}
		depth += (s[i] == '{' || s[i] == '[') - (s[i] == '}' || s[i] == ']');
		if (depth > HEADER_DEPTH_MAX)
			return 0;
		h->text[used++] = s[i];
	}
	return used;
}

/* json_loadb() in the arena. NULL with *error set, or as it was where the arena is too small. */
static const json_t *load(struct header *h, size_t size, json_error_t *error)
{
	const json_t *root;

	h->arena_used = 0;
	active = h;
	if (setjmp(arena_full) != 0) {
		active = NULL;
		return NULL;
	}
	root = json_loadb(h->text, size, JSON_REJECT_DUPLICATES, error);
	active = NULL;
	return root;
}

static const json_t *parse_text(struct header *h, size_t size)
{
	json_error_t error = { .text = "" };
	const json_t *root = load(h, size, &error);

	if (json_is_object(root))
		return root;
	if (root)
		snprintf(h->why, sizeof h->why, "the header is a JSON array, no object");
	else if (error.text[0])
		snprintf(h->why, sizeof h->why, "the header is no JSON: %.90s", error.text);
	else
		snprintf(h->why, sizeof h->why, "the header holds too many values");
	header_printable(h->why);
	return NULL;
}

int header_open(struct header *h, size_t arena_bytes)
{
	*h = (struct header){ .arena_bytes = arena_bytes };
	h->text = malloc(HEADER_TEXT_MAX);
	h->arena = malloc(arena_bytes + 1);
	if (!h->text || !h->arena) {
		header_close(h);
		return -ENOMEM;
	}
	json_object_seed(0);
	json_set_alloc_funcs(header_malloc, header_free);
	return 0;
}

void header_close(struct header *h)
{
	free(h->text);
	free(h->arena);
	*h = (struct header){ 0 };
}

const json_t *header_parse(struct header *h, const void *data, size_t size)
{
	if (size == 0) {
		snprintf(h->why, sizeof h->why, "the header is empty");
		return NULL;
	}
	if (size > HEADER_BYTES_MAX) {
		snprintf(h->why, sizeof h->why, "the header has %zu bytes, more than %d", size,
		         HEADER_BYTES_MAX);
		return NULL;
	}
	size = normalise_text(h, data, size);
	if (size == 0) {
		snprintf(h->why, sizeof h->why, "the header nests deeper than %d levels",
		         HEADER_DEPTH_MAX);
		return NULL;
	}
	return parse_text(h, size);
}

bool header_integer(const json_t *value, uint64_t *ret)
{
	const char *text = json_string_value(value);
	char *end;
	unsigned long long number;

	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*ret = (uint64_t)json_integer_value(value);
		return true;
	}
	if (!text || strncmp(text, MARK, MARK_BYTES) != 0 || !is_digit(text[MARK_BYTES]))
		return false;
	errno = 0;
	number = strtoull(text + MARK_BYTES, &end, 10);
	if (errno || *end)
		return false;
	*ret = number;
	return true;
}

bool header_boolean(const json_t *value, bool *ret)
{
	uint64_t number;

	if (json_is_boolean(value)) {
		*ret = json_is_true(value);
		return true;
	}
	if (!header_integer(value, &number) || number > 1)
		return false;
	*ret = number == 1;
	return true;
}

void header_printable(char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}
