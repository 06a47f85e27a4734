/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_PARTS_H
#define TESTS_FUZZ_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ingest/protocol.h"

/* An input of several messages of several parts, so that what a decoder keeps from one message to
 * the next is met. All integers are little-endian.
 *
 *   u8 choices of the target
 *   for each message: u16 parts; for each of them: u32 bytes, the bytes
 *
 * Any input is one: a part has at most what is left, parts that are not there are empty. */

#define FUZZ_MESSAGES_MAX 64 /* of one input; what follows is passed over */

struct fuzz_reader {
	const uint8_t *at, *end;
};

/* What libFuzzer and the replay call. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The choices; 0 of an empty input. */
uint8_t fuzz_begin(struct fuzz_reader *r, const uint8_t *data, size_t size);

/* The next part_count. False at the end. */
bool fuzz_next_count(struct fuzz_reader *r, unsigned *ret);

/* The next part, in the input. */
struct part fuzz_next_part(struct fuzz_reader *r);

/* The next message, each part in memory of exactly its size, so that one byte beyond is seen.
 * False at the end. */
bool fuzz_next_message(struct fuzz_reader *r, struct message *ret);

void fuzz_free_message(struct message *m);

/* ---- for the replay ---- */

/* ingest.frame_limit of the decoders, bytes; recordings are larger than what is fuzzed. */
extern uint64_t fuzz_frame_limit;

/* How often each verdict was given. */
extern uint64_t fuzz_verdicts[VERDICT_COUNT];

/* How often compressed pixels were whole and damaged. */
extern uint64_t fuzz_expanded, fuzz_damaged;

#endif
