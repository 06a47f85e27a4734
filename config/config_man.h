/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_CONFIG_MAN_H
#define CONFIG_CONFIG_MAN_H

#include <stdio.h>

/* Write openbeam.yaml(5) from the option table, in man(7). `date` is YYYY-MM-DD. */
void config_man(FILE *out, const char *version, const char *date);

#endif
