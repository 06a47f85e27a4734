/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SEND_OPTION_ROWS_H
#define BENCH_SEND_OPTION_ROWS_H

/* The options of openbeam-send: parsed and explained from one table. */

/* In groups: transport, protocol (PROTOCOL to LOSE_PORT), picture (PROFILE to REPLAY), stream (RATE
 * to STALL), output. */
enum option_id {
	OPTION_TO = 256,
	OPTION_ATTACH,
	OPTION_SOCKET,
	OPTION_HWM,
	OPTION_WAIT,
	OPTION_LINGER,
	OPTION_PROTOCOL,
	OPTION_COMPRESSION,
	OPTION_HEADER_DETAIL,
	OPTION_CHANNEL,
	OPTION_SERIES,
	OPTION_REPEAT,
	OPTION_NO_START,
	OPTION_NO_END,
	OPTION_EARLY_END,
	OPTION_START_TO_ALL,
	OPTION_PORTS,
	OPTION_LOSE_PORT,
	OPTION_PROFILE,
	OPTION_SIZE,
	OPTION_PIXEL_FORMAT,
	OPTION_BIG_ENDIAN,
	OPTION_PATTERN,
	OPTION_TIFF,
	OPTION_MEMORY,
	OPTION_SEED,
	OPTION_REPLAY,
	OPTION_RATE,
	OPTION_FRAMES,
	OPTION_SECONDS,
	OPTION_FIRST,
	OPTION_STEP,
	OPTION_LOSE,
	OPTION_DUPLICATE,
	OPTION_REORDER,
	OPTION_CORRUPT,
	OPTION_TRUNCATE,
	OPTION_STALL,
	OPTION_REPORT,
	OPTION_WRITE_DARK,
	OPTION_WRITE_FLAT,
	OPTION_QUIET,
	OPTION_VERBOSE,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_END
};

struct option_row {
	const char *name, *value, *help;
	enum option_id id;
};

/* Ended by a row with name NULL; `value` is NULL for an option without one. */
extern const struct option_row send_option_rows[];

/* Without the dashes. */
const char *send_option_name(enum option_id id);

#endif
