/* SPDX-License-Identifier: Apache-2.0 */
/* Writes openbeam.yaml(5) to standard output: VERSION DATE. For the build; not installed. */
#include "config/config_man.h"

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	config_man(stdout, argv[1], argv[2]);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 74;
}
