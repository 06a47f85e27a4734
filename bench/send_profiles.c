/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/send_profiles.h"

#include <string.h>

const struct pixel_format *pixel_format_find(const char *name)
{
	for (const struct pixel_format *f = pixel_formats; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

const struct send_profile *send_profile_find(const char *name)
{
	for (const struct send_profile *p = send_profiles; p->name; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

/* GenICam's names, and the plain types. 32-bit types carry what a 16-bit camera counts: that is
 * the range of their default histogram. */
const struct pixel_format pixel_formats[] = {
	{ "Mono8", PIXEL_UINT8, 8, PACKING_NONE },
	{ "Mono10", PIXEL_UINT16, 10, PACKING_NONE },
	{ "Mono12", PIXEL_UINT16, 12, PACKING_NONE },
	{ "Mono14", PIXEL_UINT16, 14, PACKING_NONE },
	{ "Mono16", PIXEL_UINT16, 16, PACKING_NONE },
	{ "uint8", PIXEL_UINT8, 8, PACKING_NONE },
	{ "uint16", PIXEL_UINT16, 16, PACKING_NONE },
	{ "uint32", PIXEL_UINT32, 16, PACKING_NONE },
	{ "float32", PIXEL_FLOAT32, 16, PACKING_NONE },
	{ "Mono10p", PIXEL_UINT16, 10, PACKING_MONO10P },
	{ "Mono10Packed", PIXEL_UINT16, 10, PACKING_MONO10_PACKED },
	{ "Mono12p", PIXEL_UINT16, 12, PACKING_MONO12P },
	{ "Mono12Packed", PIXEL_UINT16, 12, PACKING_MONO12_PACKED },
	{ "Mono14p", PIXEL_UINT16, 14, PACKING_MONO14P },
	{ "Mono4", PIXEL_UINT8, 4, PACKING_NIBBLES },
	{ 0 },
};

const struct send_profile send_profiles[] = {
	{ "headline", 2560, 2160, "Mono16", 1500, 60, "the reference camera, 16.6 GB/s" },
	{ "headline-8", 2560, 2160, "Mono8", 1500, 60, "the same at 8 bit, 8.3 GB/s" },
	{ "headline-12", 2560, 2160, "Mono12p", 1500, 60, "the same, packed 12 bit" },
	{ "srxtm", 2016, 2016, "Mono16", 1000, 60, "tomography microscope, 8.1 GB/s" },
	{ "srxtm-12", 2016, 2016, "Mono12", 1000, 60, "the same, 12 bit in 16-bit words" },
	{ "csaxs", 3108, 3262, "uint32", 740, 60, "diffraction patterns, 30 GB/s" },
	{ "nanoscopium", 2048, 2048, "Mono16", 13.8, 86400, "116 MB/s for a day" },
	{ "lightsheet", 2048, 2048, "Mono16", 60, 60, "light sheet microscope, 503 MB/s" },
	{ "confocal", 512, 512, "Mono12", 200, 60, "12 bit in 16-bit words, 105 MB/s" },
	{ "gopro", 3840, 2160, "Mono8", 30, 60, "luma of an action camera, 249 MB/s" },
	{ "fps1000", 640, 480, "Mono8", 840, 60, "hand-held high speed camera, 258 MB/s" },
	{ 0 },
};
