/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_MESSAGES_H
#define TESTS_MESSAGES_H

#include "ingest/cbor_reader.h"
#include "ingest/protocol.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Messages put together part by part, for the tests of decoders. */

#ifndef SOURCE_DIR
#define SOURCE_DIR "." /* the build says where the repository is */
#endif

#define MESSAGES_LIMIT (1 << 20) /* ingest.frame_limit, bytes */

/* A decoder of the protocol, with ingest.channel and nothing else configured. */
static inline struct decoder *messages_open(const char *protocol, const char *channel)
{
	char format[] = "auto";
	struct config_ingest c = { .pixel_format = format,
		                   .channel = (char *)(uintptr_t)channel,
		                   .frame_limit = MESSAGES_LIMIT };
	struct decoder *d = NULL;
	char why[160];

	cr_assert_eq(protocol_find(protocol)->open(&d, &c, why), 0, "%s", why);
	return d;
}

static inline void message_add(struct message *m, const void *data, size_t size)
{
	m->parts[m->part_count++] = (struct part){ data, size };
}

static inline void message_text(struct message *m, const char *text)
{
	message_add(m, text, strlen(text));
}

/* What the decoder makes of it, on top of what was there before. */
static inline struct decoded message_decode(const char *protocol, struct decoder *d,
                                            const struct message *m)
{
	struct decoded ret;

	memset(&ret, 0xa5, sizeof ret);
	protocol_find(protocol)->decode(d, m, &ret);
	return ret;
}

/* A file of the recorded vectors, which lie beside the repository; skips where they do not.
 * *ret_size bytes and a 0, to be freed. */
static inline char *message_vector(const char *name, size_t *ret_size)
{
	char path[512], *data;
	FILE *file;
	long size;

	snprintf(path, sizeof path, "%s/../shared/vectors/%s", SOURCE_DIR, name);
	file = fopen(path, "rb");
	if (!file)
		cr_skip_test("%s is not there", path);
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	data = malloc((size_t)size + 1);
	cr_assert_eq(fread(data, 1, (size_t)size, file), (size_t)size);
	data[size] = '\0';
	fclose(file);
	*ret_size = (size_t)size;
	return data;
}

/* The next message of a recording, which is a sequence of arrays of byte strings. False at its end.
 */
static inline bool message_recorded(struct cbor_reader *r, struct message *ret)
{
	struct cbor_item item;
	uint64_t parts;

	*ret = (struct message){ .part_count = 0 };
	if (r->at == r->end)
		return false;
	do
		cr_assert(cbor_next(r, &item), "%s", r->why);
	while (item.kind == CBOR_TAG);
	cr_assert_eq(item.kind, CBOR_ARRAY);
	for (parts = item.value; parts > 0; parts--) {
		cr_assert(cbor_next(r, &item), "%s", r->why);
		cr_assert_eq(item.kind, CBOR_BYTES);
		message_add(ret, item.data, item.value);
	}
	return true;
}

/* Let go of parts that came from message_vector(). */
static inline void message_free(struct message *m)
{
	while (m->part_count > 0)
		free((void *)(uintptr_t)m->parts[--m->part_count].data);
}

#define EXPECT_REJECTED(got, name)                                                                 \
	do {                                                                                       \
		struct decoded seen_ = (got);                                                      \
		cr_expect_eq(seen_.verdict, VERDICT_REJECTED, "verdict %d", (int)seen_.verdict);   \
		if (seen_.verdict == VERDICT_REJECTED)                                             \
			cr_expect_str_eq(reject_name(seen_.reason), name, "%s: %s",                \
			                 reject_name(seen_.reason), seen_.why);                    \
		cr_expect(seen_.why[0] != '\0');                                                   \
	} while (0)

#endif
