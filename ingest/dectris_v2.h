/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_DECTRIS_V2_H
#define INGEST_DECTRIS_V2_H

#include "ingest/protocol.h"

/* DECTRIS stream V2, and what Jungfraujoch sends since 2024: one CBOR map a message, after the tag
 * 55799 or not.
 *
 *   type "start"  series_id, series_unique_id, number_of_images, image_size_x, image_size_y,
 *                 image_dtype, saturation_value, error_value, count_time, frame_time,
 *                 detector_description, pixel_mask {channel: array}
 *   type "image"  series_id, series_unique_id, image_id, series_date, start_time [ticks, hz],
 *                 data {channel: array}
 *   type "end"    series_id, series_unique_id
 *
 * An array is tag 40 [[rows, columns], typed array], the typed array tag 64 to 86 of bytes or of
 * tag 56500 [algorithm, element size, bytes]. Taken: integers of 8 to 64 bits and floats of 16 to
 * 64, of either byte order (signed integers and what is not of 8, 16 or 32 bits as float32); bslz4
 * and bszstd of elements up to 4 bytes, lz4 or none. Keys, tags and types that are not named here
 * are passed over: user_data may hold anything, and messages of other types (calibration, metadata)
 * are legal.
 *
 * Of several channels, the one that ingest.channel names, else the first in the message. All bits
 * set mean no value, or error_value where the start message has it. A pixel of the mask with any
 * bit is bad. Refused by name: column-major arrays, the alpha format (series_number), trpx.
 *
 * Frames of 2 x 2 pixels stand for those that a preview leaves out: VERDICT_DUMMY, unless
 * ingest.frame says that frames are. */

int dectris_v2_open(struct decoder **ret, const struct config_ingest *c, char why[160]);
void dectris_v2_decode(struct decoder *d, const struct message *m, struct decoded *ret);
void dectris_v2_close(struct decoder *d);

#endif
