/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_RECORDING_H
#define BENCH_RECORDING_H

#include <stddef.h>
#include <stdint.h>

/* A folder of recorded messages, in memory, to be sent again.
 *
 * What the folder holds is known by the names in it; the first line below with a file counts,
 * other files are passed over:
 *
 *   streamData.NNNNNN  DECTRIS stream V1, a part in each. By their htype, parts make up
 *                      a header (1, 2 or 8 parts, as header_detail says), an image (4) or the
 *                      end of a series (1); a further part that begins no message is the appendix
 *                      of the header or image before it
 *   NAME.cbors         CBOR sequences: every item an array of byte or text strings, the parts of
 *                      a message
 *   NNNNNN_NNN.raw     number of the message, number of its part, from 000
 *   NAME.hdr           a message each, with NAME.blob as its second part where there is one.
 *                      NAME.meta is a binary header: the first part where there is no NAME.hdr,
 *                      the one behind it where there is
 *   NAME.cbor          DECTRIS stream V2, a message of one part in each: one CBOR item
 *
 * Files are taken in the order of their names, numbers in them by value; hidden ones never. Parts
 * are kept as they are: an image cut short is for the receiver to find. */

#define RECORDING_PARTS_MAX 65536 /* of one message; more is refused */

struct recording_part {
	const void *data; /* not NULL, any alignment; constant until recording_close() */
	size_t size;      /* may be 0 */
};

struct recording_message {
	unsigned part_count; /* at least 1 */
	const struct recording_part *parts;
};

struct recording {
	const char *kind; /* as above: "streamData.NNNNNN", ... */
	uint64_t bytes;   /* held: the files and the lists of messages and parts */
	uint64_t file_count;
	uint64_t passed_over; /* files of other names, and folders; hidden ones are not counted */
	uint64_t count;       /* at least 1 */
	struct recording_message *messages;
	uint64_t part_count;
	struct recording_part *parts; /* of all messages */
	uint8_t *contents;            /* of all files */
	char why[512];                /* after an error: one sentence with the file */
};

/* Read a folder.
 *
 * memory_limit   bytes that may be held
 *
 * 0, or negative errno with why[]: -EINVAL (nothing of the above, a file that is not what its
 * name says, is cut off or changes while it is read), -EFBIG (more than memory_limit), -ENOMEM,
 * of opendir(3), open(2), read(2). After an error nothing but why[] is held. */
int recording_open(struct recording *r, const char *folder, uint64_t memory_limit);

/* Accepts a zeroed one. No part may still be in use. */
void recording_close(struct recording *r);

#endif
