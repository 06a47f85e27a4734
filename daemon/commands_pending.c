/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/commands.h"

#include <errno.h>
#include <stdio.h>

int command_give(struct pipeline *p, const struct command *c, char why[400])
{
	(void)p;
	(void)c;
	snprintf(why, 400, "this version takes no such command");
	return -ENOTSUP;
}

void calibration_report(struct pipeline *p, struct calibration_report *ret)
{
	(void)p;
	*ret = (struct calibration_report){ .role = "" };
}

void blackbox_report(struct pipeline *p, struct blackbox_report *ret)
{
	(void)p;
	*ret = (struct blackbox_report){ 0 };
}
