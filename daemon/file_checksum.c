/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/file_checksum.h"

#include "kernels/cpu.h"
#include "kernels/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int file_checksum(const char *path, uint64_t *ret_bytes, uint32_t *ret_crc32c)
{
	crc32c_fn *crc32c = crc32c_for(cpu_detect());
	char chunk[1 << 14];
	uint64_t bytes = 0;
	uint32_t crc = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((n = read(fd, chunk, sizeof chunk)) > 0) {
		crc = crc32c(crc, chunk, (size_t)n);
		bytes += (uint64_t)n;
	}
	int err = n < 0 ? -errno : 0;
	close(fd);
	if (err == 0) {
		*ret_bytes = bytes;
		*ret_crc32c = crc;
	}
	return err;
}
