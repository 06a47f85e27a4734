/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam keep and cancel: a command that is done at once. */
#include "daemon/openbeam_commands.h"
#include "daemon/remote.h"

#include <string.h>

static const char order_usage[] =
	"usage: openbeam keep [OPTION]...     write the black box: the last raw frames\n"
	"       openbeam cancel [OPTION]...   give up the dark or flat that is being taken\n"
	"\n" REMOTE_OPTIONS "\n"
	"Exit status: 0; 1 it cannot be done now; 2 usage; 69 nothing answers; 76 what answers is "
	"no\n"
	"openbeamd; 77 it was refused.\n";

/* keep and cancel. */
int openbeam_order(int argc, char **argv)
{
	bool keep = strcmp(argv[0], "keep") == 0;
	json_t *answer = NULL;
	struct remote r;
	int status = remote_parse(&r, argc, argv, "");

	if (status == 0 && r.help)
		fputs(order_usage, stdout);
	if (status != 0 || r.help)
		return status;
	status = remote_give(&r, argv[0], &answer);
	if (status == 0 && r.as_json)
		remote_print_json(answer);
	else if (status == 0)
		puts(keep ? "the black box is being written; `openbeam status` will have its path"
		          : "cancelled");
	json_decref(answer);
	return status;
}
