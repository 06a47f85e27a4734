/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SEND_OPTION_ROWS_H
#define BENCH_SEND_OPTION_ROWS_H

/* The options of openbeam-send: parsed and explained from one table. */

/* In groups: transport, picture (PROTOCOL to SEED), stream (RATE to STALL), output, shared memory
 * (SLOTS to VERIFY). */
enum option_id {
	OPTION_TO = 256,
	OPTION_ATTACH,
	OPTION_SOCKET,
	OPTION_HWM,
	OPTION_WAIT,
	OPTION_LINGER,
	OPTION_CURVE_ROLE,
	OPTION_CURVE_SECRET_KEY,
	OPTION_CURVE_SERVER_KEY,
	OPTION_PROTOCOL,
	OPTION_PROFILE,
	OPTION_SIZE,
	OPTION_PIXEL_FORMAT,
	OPTION_BIG_ENDIAN,
	OPTION_PATTERN,
	OPTION_TIFF,
	OPTION_MEMORY,
	OPTION_SEED,
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
	OPTION_SLOTS,
	OPTION_SHM_NAME,
	OPTION_RELEASE,
	OPTION_SHM_WAIT,
	OPTION_VERIFY
};

struct option_row {
	const char *name, *value, *help;
	enum option_id id;
};

/* Ended by a row with name NULL; `value` is NULL for an option without one. */
extern const struct option_row send_option_rows[];

#endif
