/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/recording_v1.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define JSON_BYTES_MAX 65536 /* what tells messages apart is a tenth of this */
#define HTYPE_BYTES    32

/* Of a part of JSON; "": absent or too long to be known. */
struct description {
	char htype[HTYPE_BYTES], header_detail[HTYPE_BYTES];
};

static const char *const header_htypes[] = { "dheader-",    "",   "dflatfield-",       NULL,
	                                     "dpixelmask-", NULL, "dcountrate_table-", NULL };
static const char *const image_htypes[] = { "dimage-", "dimage_d-", NULL, "dconfig-" };
static const char *const end_htypes[] = { "dseries_end" };

static const struct v1_message header_none = { "header", 1, true, header_htypes };
static const struct v1_message header_basic = { "header", 2, true, header_htypes };
static const struct v1_message header_all = { "header", 8, true, header_htypes };
static const struct v1_message image = { "image", 4, true, image_htypes };
static const struct v1_message end_of_series = { "end of series", 1, false, end_htypes };

static bool begins_with(const char *s, const char *start)
{
	return strncmp(s, start, strlen(start)) == 0;
}

static void copy_text(const json_t *object, const char *key, char ret[HTYPE_BYTES])
{
	const char *text = json_string_value(json_object_get(object, key));

	snprintf(ret, HTYPE_BYTES, "%s", text && strlen(text) < HTYPE_BYTES ? text : "");
}

/* False: not a JSON object, or more of one than is looked at. */
static bool describe(const void *part, size_t size, struct description *ret)
{
	json_t *object;

	if (size == 0 || size > JSON_BYTES_MAX)
		return false;
	/* numbers of 64 bits without a sign are more than jansson's integers hold */
	object = json_loadb(part, size, JSON_DECODE_INT_AS_REAL, NULL);
	if (!json_is_object(object)) {
		json_decref(object);
		return false;
	}
	copy_text(object, "htype", ret->htype);
	copy_text(object, "header_detail", ret->header_detail);
	json_decref(object);
	return true;
}

static const struct v1_message *header_of(const char *detail)
{
	if (strcmp(detail, "all") == 0)
		return &header_all;
	if (strcmp(detail, "basic") == 0)
		return &header_basic;
	if (strcmp(detail, "none") == 0)
		return &header_none;
	return NULL;
}

const struct v1_message *v1_message_begun(const void *part, size_t size)
{
	struct description d;

	if (!describe(part, size, &d))
		return NULL;
	if (begins_with(d.htype, header_htypes[0]))
		return header_of(d.header_detail);
	if (begins_with(d.htype, image_htypes[0]))
		return &image;
	if (begins_with(d.htype, end_htypes[0]))
		return &end_of_series;
	return NULL;
}

bool v1_message_fits(const struct v1_message *m, unsigned i, const void *part, size_t size)
{
	const char *htype = m->htype[i];
	struct description d;

	if (!htype)
		return true;
	if (htype[0])
		return describe(part, size, &d) && begins_with(d.htype, htype);
	return size > 0 && *(const char *)part == '{' && !v1_message_begun(part, size);
}
