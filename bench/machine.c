/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/machine.h"

#include "daemon/crew.h"
#include "kernels/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* First line of a small file without its newline; "" when it cannot be read. */
static void read_line(const char *path, char *line, size_t size)
{
	FILE *in = fopen(path, "r");

	line[0] = '\0';
	if (!in)
		return;
	if (fgets(line, (int)size, in))
		line[strcspn(line, "\n")] = '\0';
	fclose(in);
}

static void read_cpu_model(char *model, size_t size)
{
	char line[256];
	FILE *in = fopen("/proc/cpuinfo", "r");

	snprintf(model, size, "unknown");
	while (in && fgets(line, sizeof line, in)) {
		char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !value)
			continue;
		value[strcspn(value, "\n")] = '\0';
		snprintf(model, size, "%s", value + 2);
		break;
	}
	if (in)
		fclose(in);
}

/* "48K L1 Data, 32K L1 Instruction, ..." of core 0. */
static void read_caches(char *caches, size_t size)
{
	size_t at = 0;

	caches[0] = '\0';
	for (int i = 0; i < 8 && at < size; i++) {
		char path[96], level[16], type[32], bytes[32];

		snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
		read_line(path, level, sizeof level);
		snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", i);
		read_line(path, type, sizeof type);
		snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
		read_line(path, bytes, sizeof bytes);
		if (!level[0] || !bytes[0])
			return;
		at += (size_t)snprintf(caches + at, size - at, "%s%s L%s %s", at ? ", " : "", bytes,
		                       level, type);
	}
}

unsigned machine_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) || CPU_COUNT(&set) < 1)
		return 1;
	return CPU_COUNT(&set) < CREW_MAX ? (unsigned)CPU_COUNT(&set) : CREW_MAX;
}

json_t *machine_json(void)
{
	char model[128], caches[256], kernel[256] = "unknown";
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	struct utsname system;

	read_cpu_model(model, sizeof model);
	read_caches(caches, sizeof caches);
	if (!uname(&system))
		snprintf(kernel, sizeof kernel, "%.80s %.80s %.64s", system.sysname, system.release,
		         system.machine);
	return json_pack("{s:s, s:i, s:s, s:s, s:I, s:s, s:s}", "cpu", model, "cores",
	                 (int)machine_cores(), "isa", cpu_level_name(cpu_detect()), "caches",
	                 caches, "memory_bytes", (json_int_t)pages * page, "kernel", kernel,
	                 "compiler", COMPILER);
}
