/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_HEADER_KEYS_H
#define BENCH_HEADER_KEYS_H

#include <stdbool.h>

/* Keys of one's own in the JSON header of each frame, beside those of the protocol. */

#define HEADER_KEYS_MAX 1024 /* bytes, with the terminator */

/* Append "KEY=VALUE" as `,"KEY":VALUE`: a JSON number as it is written, anything else as a text.
 * False, keys untouched, where there is no KEY, something is no UTF-8 or there is no room. */
bool header_keys_add(char keys[HEADER_KEYS_MAX], const char *pair);

#endif
