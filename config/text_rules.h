/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_TEXT_RULES_H
#define CONFIG_TEXT_RULES_H

#include "config/options.h"

/* What texts must look like. Whether a file, a host or an address exists is asked where it is
 * opened. */

extern const struct option_rule rule_name;     /* goes into file names and metric labels */
extern const struct option_rule rule_region;   /* a name, of one of the regions */
extern const struct option_rule rule_path;     /* as the shell leaves it */
extern const struct option_rule rule_endpoint; /* a ZeroMQ address */
extern const struct option_rule rule_address;  /* HOST:PORT to listen on */
extern const struct option_rule rule_host;     /* of an HTTP Host header */
extern const struct option_rule rule_step;     /* of calibration.sequence */
extern const struct option_rule rule_occasion; /* on which the black box is written */

#endif
