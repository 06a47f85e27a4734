/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzz target without its fuzzer: runs it once with each file that is given, or that is in a
 * folder that is given. Fails where there is none.
 *
 *   replay_NAME [--frame-limit BYTES] FILE_OR_FOLDER... */
#include "tests/fuzz_parts.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The number of inputs run; negative errno after a line about it. */
static int replay_file(const char *path)
{
	FILE *in = fopen(path, "rb");
	char *data = NULL, buffer[65536];
	size_t size = 0, bytes;
	FILE *all = open_memstream(&data, &size);
	int err = 0;

	if (!in || !all) {
		err = -errno;
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		goto out;
	}
	while ((bytes = fread(buffer, 1, sizeof buffer, in)) > 0)
		fwrite(buffer, 1, bytes, all);
	fclose(all);
	all = NULL;
	/* Without the 0 behind it: exactly its bytes. */
	char *exact = malloc(size ? size : 1);
	if (!exact) {
		err = -ENOMEM;
		goto out;
	}
	memcpy(exact, data, size);
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput((const uint8_t *)exact, size);
	free(exact);
out:
	if (all)
		fclose(all);
	if (in)
		fclose(in);
	free(data);
	return err ? err : 1;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int replay_folder(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_visible, alphasort), run = 0, err = 0;

	if (count < 0) {
		err = -errno;
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return err;
	}
	for (int i = 0; i < count; i++) {
		char *file = NULL;
		int one = asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0
		                  ? -ENOMEM
		                  : replay_file(file);

		run += one > 0;
		err = one < 0 ? one : err;
		free(file);
		free(entries[i]);
	}
	free(entries);
	return err ? err : run;
}

static void print_verdicts(void)
{
	static const char *const names[VERDICT_COUNT] = { "frames", "pieces",  "dummies", "starts",
		                                          "ends",   "nothing", "rejected" };

	for (unsigned i = 0; i < VERDICT_COUNT; i++)
		if (fuzz_verdicts[i] > 0)
			printf(" %s=%" PRIu64, names[i], fuzz_verdicts[i]);
	printf(" expanded=%" PRIu64 " damaged=%" PRIu64 "\n", fuzz_expanded, fuzz_damaged);
}

int main(int argc, char **argv)
{
	int inputs = 0, first = 1;

	if (argc > 2 && strcmp(argv[1], "--frame-limit") == 0) {
		fuzz_frame_limit = strtoull(argv[2], NULL, 10);
		first = 3;
	}
	for (int i = first; i < argc; i++) {
		struct stat status;
		bool folder = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
		int run = folder ? replay_folder(argv[i]) : replay_file(argv[i]);

		if (run < 0)
			return 1;
		inputs += run;
	}
	printf("%d inputs replayed:", inputs);
	print_verdicts();
	return inputs > 0 ? 0 : 1;
}
