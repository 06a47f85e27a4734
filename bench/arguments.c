/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/arguments.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool argument_u64(const char *text, uint64_t low, uint64_t high, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	if (!isdigit((unsigned char)text[0])) /* strtoull takes blanks and signs */
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end || errno || value < low || value > high)
		return false;
	*ret = value;
	return true;
}

bool argument_double(const char *text, double low, double high, double *ret)
{
	char *end;
	double value;

	if (text[0] == '\0' || strspn(text, "0123456789.eE+-") != strlen(text))
		return false;
	errno = 0;
	value = strtod(text, &end);
	if (*end || errno || !(value >= low && value <= high))
		return false;
	*ret = value;
	return true;
}

bool argument_size(const char *text, uint32_t *ret_width, uint32_t *ret_height)
{
	const char *x = strchr(text, 'x');
	char width[8] = "";
	uint64_t w, h;

	if (!x || (size_t)(x - text) >= sizeof width)
		return false;
	memcpy(width, text, (size_t)(x - text));
	if (!argument_u64(width, 1, 65535, &w) || !argument_u64(x + 1, 1, 65535, &h))
		return false;
	*ret_width = (uint32_t)w;
	*ret_height = (uint32_t)h;
	return true;
}
