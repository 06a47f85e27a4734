/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include "daemon/status_view.h"

#include <jansson.h>

/* GET /api/v1/status, and what other answers share with it. What is not known is null. */

/* NULL: no memory. */
json_t *status_json(const struct status_view *v);

/* JSON has neither NaN nor infinity: null. */
json_t *status_number(double value);

/* Text of any bytes: what is not UTF-8 becomes '?'. */
json_t *status_text(const char *text);

/* Set a member. False, taking `value` all the same, without memory (value NULL). */
bool status_set(json_t *object, const char *key, json_t *value);

#endif
