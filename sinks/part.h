/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_PART_H
#define SINKS_PART_H

#include <stdbool.h>
#include <stdio.h>

/* Files bear the suffix .part until they are complete, and then take their final name in one
 * step, so that whoever finds a file under its final name can read it. */

#define PART_SUFFIX   ".part"
#define PART_NAME_MAX 256 /* bytes of a name with its suffix and the final 0 */

/* Give `name`.part its final name; never over an existing file. 0, -EEXIST or another errno. */
int part_rename(int directory, const char *name);

/* Create `name`.part in `directory` for text. 0 or negative errno. */
int part_open(FILE **ret, int directory, const char *name);

/* Flush, sync, close, and give it its final name; with `replace` over an older one. On failure
 * the .part is removed. 0 or the first error as negative errno. */
int part_commit(FILE *f, int directory, const char *name, bool replace);

#endif
