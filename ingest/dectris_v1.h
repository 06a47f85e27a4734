/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_DECTRIS_V1_H
#define INGEST_DECTRIS_V1_H

#include "ingest/protocol.h"

/* DECTRIS stream V1 (SIMPLON API, "legacy"): JSON and blobs in many parts.
 *
 *   dheader-1.0      1 part (header_detail none), 2 (basic) or 8 (all), and an appendix or none:
 *                    header, detector configuration, flat field, pixel mask and count-rate table
 *                    with a JSON part before each
 *   dimage-1.0       4 parts and an appendix or none: {series, frame}, {shape [x, y], type,
 *                    encoding, size}, pixels, {start_time, real_time}
 *   dseries_end-...  1 part
 *
 * encoding   "<" plain, "lz4<" one bare LZ4 block, "bs8-lz4<", "bs16-lz4<", "bs32-lz4<" bitshuffle
 *            with its head; ">" for big-endian pixels
 * series     a number or a string, opaque: what tells series apart
 *
 * Used of the configuration: nimages, ntrigger and trigger_mode (how many frames), count_time and
 * frame_time, the size, bit_depth_image, saturation_value or countrate_correction_count_cutoff,
 * description; the pixel mask, where any bit makes a pixel bad. Integer pixels of all bits set have
 * no value. The flat field and the count-rate table are the detector's own business and skipped,
 * `hash` is no checksum of anything known. Of appendices only an image's is looked at, for
 * rotation.from_key and calibration.from_key, and need not be JSON.
 *
 * start_time counts nanoseconds since the control unit started, on EIGER1 ticks of 20 ns; which of
 * them is seen by comparing real_time with count_time. */

int dectris_v1_open(struct decoder **ret, const struct config_ingest *c, char why[160]);
void dectris_v1_decode(struct decoder *d, const struct message *m, struct decoded *ret);
void dectris_v1_close(struct decoder *d);

#endif
