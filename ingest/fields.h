/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_FIELDS_H
#define INGEST_FIELDS_H

#include "ingest/header.h"
#include "ingest/protocol.h"

/* What decoders of JSON headers have in common. */

/* Decoders of JSON headers begin with a struct header. Memory for one, zeroed but for that, which
 * is open; NULL with a sentence that names the protocol. */
void *field_decoder_open(size_t bytes, const char *protocol, char why[160]);

/* Accepts NULL. */
void field_decoder_close(void *decoder);

/* Reject the message: one printable sentence. Always false, so that a step can end with it. */
__attribute__((format(printf, 3, 4))) bool field_reject(struct decoded *ret, enum reject reason,
                                                        const char *format, ...);

/* The value of a key; NULL where it is absent or null, or `object` is none. */
const json_t *field_of(const json_t *object, const char *key);

/* The text of a key; NULL where it is absent or no string. */
const char *field_text(const json_t *object, const char *key);

/* The number of a key, an integer or not; `fallback` where there is none. */
double field_real(const json_t *object, const char *key, double fallback);

/* The frame number in `key`, into ret->frame.number: an integer from 0 to 2^64 - 2. False after
 * rejecting the message. */
bool field_number(const json_t *object, const char *key, struct decoded *ret);

/* Keys of the header of each frame that the configuration names. They may lead through objects by
 * dots ("image_attributes.angle"). "", NULL: nothing is looked for. Borrowed from it. */
struct field_keys {
	const char *rotation; /* a finite number, or a text that is one: degrees */
	const char *role;     /* 0 or "sample", 1 or "flat", 2 or "dark", as NXtomo's image_key */
};

struct field_keys field_keys_of(const struct config_ingest *c);

/* Whether one of them is given. */
bool field_keys_any(const struct field_keys *k);

/* The frame's angle and role. Another value than is expected is as none: no reason to reject a
 * frame. Texts of roles may be in capitals, and "projection", "flat field", "flat_field" and so on
 * are taken as well. */
void field_keys_read(const json_t *object, const struct field_keys *k, struct frame *ret);

/* Two lengths from 1 to 2^32 - 1. False where it is anything else. */
bool field_lengths(const json_t *array, uint32_t *ret_first, uint32_t *ret_second);

/* Pixel types by their names in headers. False after rejecting the message: `name` is NULL, not
 * known, or not taken. With take_stored those that become float32 are, as the frame's `stored`. */
bool field_type(const char *name, bool take_stored, struct decoded *ret);

/* Hold the frame's size against ingest.frame_limit and, uncompressed, against the bytes there
 * are; set frame.bytes. False after rejecting the message. */
bool field_size(uint64_t frame_limit, size_t bytes, struct decoded *ret);

/* A token that stands for a series, from whatever its sender calls it. Never 0. */
uint64_t field_token(const void *data, size_t size);

/* A token of a JSON value: a string or an integer; 0 for anything else. */
uint64_t field_token_of(const json_t *value);

#endif
