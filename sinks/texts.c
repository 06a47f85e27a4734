/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/texts.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

void text_time(uint64_t ns, char ret[TEXT_TIME_BYTES])
{
	time_t seconds = (time_t)(ns / 1000000000u);
	struct tm utc;
	char date[40];

	gmtime_r(&seconds, &utc);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(ret, TEXT_TIME_BYTES, "%s.%09" PRIu64 "Z", date, ns % 1000000000u);
}

size_t text_sequence_bytes(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

	if ((s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}
