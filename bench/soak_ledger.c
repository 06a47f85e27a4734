/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/soak_ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 1024

/* Where the columns are. */
struct columns {
	int state, crc32c;
};

static int find_column(const char *head, const char *name)
{
	size_t length = strlen(name);

	for (int number = 0; head; number++) {
		if (strncmp(head, name, length) == 0 && strchr(",\r\n", head[length]))
			return number;
		head = strchr(head, ',');
		head = head ? head + 1 : NULL;
	}
	return -1;
}

static const char *column(const char *line, int number)
{
	for (; line && number > 0; number--) {
		line = strchr(line, ',');
		line = line ? line + 1 : NULL;
	}
	return line ? line : "";
}

static void judge(const char *line, const struct columns *at, uint64_t frames,
                  const uint32_t *crc32c, uint64_t places, unsigned char *seen,
                  struct soak_ledger *l)
{
	uint64_t number = strtoull(line, NULL, 10);
	bool written = strncmp(column(line, at->state), "written,", 8) == 0;

	if (number >= frames)
		l->foreign++;
	else if (seen[number])
		l->twice++;
	else if (!written || strtoul(column(line, at->crc32c), NULL, 16) != crc32c[number % places])
		l->wrong++;
	else
		l->right++;
	if (number < frames)
		seen[number] = 1;
}

static int read_all(FILE *in, uint64_t frames, const uint32_t *crc32c, uint64_t places,
                    unsigned char *seen, struct soak_ledger *ret)
{
	char line[LINE_BYTES];
	struct columns at;

	if (!fgets(line, sizeof line, in))
		return ferror(in) ? -EIO : -EPROTO;
	at = (struct columns){ find_column(line, "state"), find_column(line, "crc32c") };
	if (at.state < 0 || at.crc32c < 0 || find_column(line, "frame") != 0)
		return -EPROTO;
	while (fgets(line, sizeof line, in))
		judge(line, &at, frames, crc32c, places, seen, ret);
	return ferror(in) ? -EIO : 0;
}

int soak_ledger_check(const char *path, uint64_t frames, const uint32_t *crc32c, uint64_t places,
                      struct soak_ledger *ret)
{
	struct soak_ledger l = { 0 };
	unsigned char *seen;
	FILE *in = fopen(path, "re");
	int err;

	if (!in)
		return -errno;
	seen = calloc(frames + 1, 1);
	err = seen ? read_all(in, frames, crc32c, places, seen, &l) : -ENOMEM;
	for (uint64_t i = 0; seen && i < frames; i++)
		l.absent += !seen[i];
	free(seen);
	fclose(in);
	if (!err)
		*ret = l;
	return err;
}

bool soak_ledger_exact(const struct soak_ledger *l)
{
	return l->right > 0 && l->wrong + l->twice + l->foreign + l->absent == 0;
}

void soak_ledger_add(struct soak_ledger *sum, const struct soak_ledger *l)
{
	sum->right += l->right;
	sum->wrong += l->wrong;
	sum->twice += l->twice;
	sum->foreign += l->foreign;
	sum->absent += l->absent;
}
