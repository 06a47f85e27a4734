/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ceiling.h"
#include "daemon/log.h"
#include "daemon/pipeline.h"
#include "daemon/planes.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

int ceiling_print(const struct config *c, FILE *out)
{
	struct planes planes = { 0 };

	if (planes_open(&planes, c) < 0) {
		log_line(LOG_ERROR, "calibration", "%s", planes.why);
		planes_close(&planes);
		return 78;
	}
	fprintf(out, "%llu\n", (unsigned long long)pipeline_ceiling(c, &planes));
	planes_close(&planes);
	return 0;
}

/* The path of the group, as "0::/system.slice/openbeamd.service" says. */
static bool read_group(const char *self, char ret[PATH_MAX])
{
	char line[PATH_MAX];
	FILE *f = fopen(self, "re");
	bool found = false;

	while (f && !found && fgets(line, sizeof line, f))
		found = strncmp(line, "0::/", 4) == 0;
	if (f)
		fclose(f);
	if (!found)
		return false;
	line[strcspn(line, "\n")] = '\0';
	snprintf(ret, PATH_MAX, "%s", line + 3);
	return true;
}

static uint64_t limit_of(const char *groups, const char *group)
{
	unsigned long long bytes = UINT64_MAX;
	char path[2 * PATH_MAX];

	snprintf(path, sizeof path, "%s%s/memory.max", groups, group);
	FILE *f = fopen(path, "re");
	if (f && fscanf(f, "%llu", &bytes) != 1)
		bytes = UINT64_MAX; /* "max" */
	if (f)
		fclose(f);
	return bytes;
}

uint64_t ceiling_allowed(const char *groups, const char *self)
{
	uint64_t least = UINT64_MAX;
	char group[PATH_MAX];

	if (!read_group(self, group))
		return UINT64_MAX;
	for (char *slash = group + strlen(group); slash; slash = strrchr(group, '/')) {
		*slash = '\0';
		uint64_t limit = limit_of(groups, group);

		least = limit < least ? limit : least;
	}
	return least;
}

void ceiling_warn(uint64_t ceiling_bytes)
{
	uint64_t allowed = ceiling_allowed("/sys/fs/cgroup", "/proc/self/cgroup");

	if (allowed < ceiling_bytes)
		log_line(LOG_WARNING, "daemon",
		         "this process may use memory_max_bytes=%llu, less than "
		         "memory_ceiling_bytes=%llu: raise MemoryMax of the service (systemctl "
		         "set-property openbeamd MemoryMax=%llu), or lower ingest.buffer",
		         (unsigned long long)allowed, (unsigned long long)ceiling_bytes,
		         (unsigned long long)(ceiling_bytes + ceiling_bytes / 4));
}
