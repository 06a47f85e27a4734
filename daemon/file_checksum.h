/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_FILE_CHECKSUM_H
#define DAEMON_FILE_CHECKSUM_H

#include <stdint.h>

/* Length and CRC-32C of a file's bytes, by which it is known again. 0 or negative errno. */
int file_checksum(const char *path, uint64_t *ret_bytes, uint32_t *ret_crc32c);

#endif
