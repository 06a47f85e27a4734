/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SANITIZER_H
#define INGEST_SANITIZER_H

/* Whether a sanitizer has taken malloc()'s place: it keeps freed blocks, and shadow memory that
 * counts as ours. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#include <stdbool.h>

#endif
