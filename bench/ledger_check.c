/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/ledger_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the columns are. */
struct columns {
	int frame, state, crc32c, received;
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

/* The field of that number; "" when there is none. */
static const char *column(const char *line, int number)
{
	for (; line && number > 0; number--) {
		line = strchr(line, ',');
		line = line ? line + 1 : NULL;
	}
	return line ? line : "";
}

static bool is_right(const struct ledger_rule *rule, uint64_t number, uint32_t crc)
{
	if (!rule->any_place)
		return crc == rule->crc32c[number % rule->places];
	for (uint64_t i = 0; i < rule->places; i++)
		if (crc == rule->crc32c[i])
			return true;
	return false;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

static void judge(const char *line, const struct columns *at, const struct ledger_rule *rule,
                  unsigned char *seen, struct ledger_found *f)
{
	uint64_t number = strtoull(column(line, at->frame), NULL, 10);
	uint32_t crc = (uint32_t)strtoul(column(line, at->crc32c), NULL, 16);
	uint64_t received_ns = strtoull(column(line, at->received), NULL, 10);

	f->first_received_ns = earlier(received_ns, f->first_received_ns);
	if (number >= rule->frames)
		f->foreign++;
	else if (seen[number])
		f->twice++;
	else if (strncmp(column(line, at->state), "written,", 8) != 0)
		f->lost++;
	else if (is_right(rule, number, crc))
		f->right++;
	else
		f->wrong++;
	if (number < rule->frames)
		seen[number] = 1;
}

static int read_lines(FILE *in, char **line, size_t *room, const struct ledger_rule *rule,
                      unsigned char *seen, struct ledger_found *f)
{
	struct columns at;

	if (getline(line, room, in) < 0)
		return ferror(in) ? -EIO : -EPROTO;
	at = (struct columns){ find_column(*line, "frame"), find_column(*line, "state"),
		               find_column(*line, "crc32c"), find_column(*line, "received_ns") };
	if (at.frame < 0 || at.state < 0 || at.crc32c < 0 || at.received < 0)
		return -EPROTO;
	while (getline(line, room, in) > 0)
		judge(*line, &at, rule, seen, f);
	for (uint64_t i = 0; i < rule->frames; i++)
		f->absent += !seen[i];
	return ferror(in) ? -EIO : 0;
}

int ledger_check(const char *path, const struct ledger_rule *rule, struct ledger_found *ret)
{
	struct ledger_found found = { 0 };
	FILE *in = fopen(path, "re");
	unsigned char *seen;
	size_t room = 0;
	char *line = NULL;
	int err;

	if (!in)
		return -errno;
	seen = calloc(rule->frames + 1, 1);
	err = seen ? read_lines(in, &line, &room, rule, seen, &found) : -ENOMEM;
	free(line);
	free(seen);
	fclose(in);
	if (!err)
		*ret = found;
	return err;
}

uint64_t ledger_faults(const struct ledger_found *f)
{
	return f->wrong + f->twice + f->foreign + f->absent;
}

bool ledger_exact(const struct ledger_found *f)
{
	return f->right > 0 && f->lost + ledger_faults(f) == 0;
}

void ledger_add(struct ledger_found *sum, const struct ledger_found *f)
{
	sum->right += f->right;
	sum->lost += f->lost;
	sum->wrong += f->wrong;
	sum->twice += f->twice;
	sum->foreign += f->foreign;
	sum->absent += f->absent;
	sum->first_received_ns = earlier(f->first_received_ns, sum->first_received_ns);
}
