/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_EMBEDDED_H
#define DAEMON_EMBEDDED_H

#include <stddef.h>

/* A file that is part of the program: embed.cmake makes one of each. */
struct embedded {
	const char *at; /* [bytes], ended by a 0 that does not count */
	size_t bytes;
};

#endif
