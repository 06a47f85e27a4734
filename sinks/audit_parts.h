/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_AUDIT_PARTS_H
#define SINKS_AUDIT_PARTS_H

#include "config/config.h"
#include "kernels/crc32c.h"
#include "sinks/audit.h"
#include "sinks/journal.h"
#include "sinks/manifest.h"
#include "sinks/part.h"

#include <jansson.h>
#include <stddef.h>

/* What the parts of an audit share; for them, and for recorded.c, which reads a series likewise. */

#define AUDIT_PATH_MAX  4096
#define AUDIT_PIECE     ((size_t)4 << 20)   /* bytes read at a time */
#define AUDIT_FRAME_MAX ((uint64_t)1 << 32) /* pixels of a frame that are believed */

/* The numbers first, first + step ... last, all of one fate: a record of the journal. */
struct audit_range {
	uint64_t first, last;
	uint32_t slot; /* of the record in the journal */
};

/* Pixels that the ledger names. */
struct audit_frame {
	uint64_t number; /* of the last one that went into it */
	uint64_t offset, length;
	uint32_t file, index, crc32c;
	uint32_t flags;   /* of that last one */
	uint32_t members; /* frames of which it is the mean */
};

struct audit_counts {
	uint64_t numbers, written, flagged;
	uint64_t dropped[DROPPED_COUNT], missing[MISSING_COUNT];
};

/* A sink of the series. */
struct audit_lane {
	unsigned index; /* in the configuration */
	bool primary, keeps_pixels;
	const json_t *said; /* what the manifest says of it, or NULL */
	char journal[32], table[32];
	struct journal_view view; /* header and bytes; its records are taken one by one */
	bool is_open;             /* the journal is */
	int folder;               /* of its data files, -1: not there */
	char path[AUDIT_PATH_MAX];
	struct audit_range *ranges; /* [range_count], by number */
	size_t range_count, range_room;
	struct audit_frame *frames; /* [frame_count], by file and index, each once */
	size_t frame_count, frame_room;
	struct audit_counts counts;
	uint64_t unjournalled; /* losses that only the table has */
};

struct audit {
	const struct audit_options *options;
	struct audit_result *result;
	const char *path;
	int folder;
	json_t *manifest; /* NULL: not there */
	enum manifest_state state;
	uint64_t average; /* frames per page, by the configuration; 0: unknown */
	struct audit_lane lanes[CONFIG_SINKS_MAX];
	unsigned lane_count;
	const char *data_path;         /* of the files being looked at; NULL: the series' folder */
	bool unreadable, file_refused; /* the series; the file being read */
	uint64_t remarks;
	uint64_t done, all; /* bytes of pixels */
	crc32c_fn *crc32c;
	unsigned char *piece; /* AUDIT_PIECE bytes */
};

/* A data file being proved. */
struct audit_file {
	struct audit *audit;
	const struct audit_lane *lane;
	char name[PART_NAME_MAX];
	int fd;
	uint64_t bytes;
	const struct audit_frame *frames; /* [count], by index */
	size_t count;
};

void audit_found(struct audit *a, const char *where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void audit_remark(struct audit *a, const char *where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for what the operating system refused, which makes the series unreadable. */
void audit_refused(struct audit *a, const char *where, const char *doing, int error);

/* Open a regular file, never waiting for it. 0, -EMEDIUMTYPE when it is something else, or another
 * negative errno. */
int audit_open_file(int folder, const char *name, int *ret_fd, uint64_t *ret_bytes);

/* Open it, or tell why not. True with *ret_fd. */
bool audit_open_told(struct audit *a, const char *name, int *ret_fd, uint64_t *ret_bytes);

/* audit_manifest.c: take the manifest apart. Without one, sinks are known by their journals. */
void audit_read_manifest(struct audit *a);
void audit_check_totals(struct audit *a);

/* audit_journal.c: the ledger of one sink. */
void audit_read_journal(struct audit *a, struct audit_lane *l);
void audit_lane_done(struct audit_lane *l);

/* Add a range to counts. */
void audit_count(struct audit_counts *c, const struct journal_record *r, uint64_t frames);

/* audit_table.c: frames.csv, sink-<n>.csv; histogram.csv. */
void audit_check_table(struct audit *a, struct audit_lane *l);
void audit_check_histogram(struct audit *a);

/* A line of histogram.csv: "raw,0,1,17\n". */
struct audit_bin {
	char kind[16];
	double low, high;
	uint64_t count;
};

/* Take it apart; the line is changed. False when it is none. */
bool audit_parse_bin(char *line, struct audit_bin *ret);

/* audit_files.c: the data files of one sink, and what else lies there. */
void audit_check_files(struct audit *a, const struct audit_lane *l);
void audit_check_folder(struct audit *a, const struct audit_lane *l);

/* Whether pixels at `offset` have the frame's checksum. False when that was told. */
bool audit_read_frame(const struct audit_file *f, const struct audit_frame *frame, uint64_t offset);

/* So many bytes of pixels were read of a file. */
void audit_told_progress(struct audit *a, const char *name, uint64_t bytes);

/* Note what a frame's pixels turned out to be. True when they are right. */
bool audit_judge(const struct audit_file *f, const struct audit_frame *frame, uint32_t crc32c);

/* Name of data file `file` of a sink. */
void audit_file_name(char ret[PART_NAME_MAX], const struct audit_lane *l, uint32_t file);

/* Frames on a page of this sink; UINT64_MAX: unknown. */
uint64_t audit_page_frames(const struct audit *a, const struct audit_lane *l);

/* audit_tiff.c, audit_hdf5.c: where the formats' libraries find the frames. */
void audit_tiff(const struct audit_file *f);
void audit_hdf5(const struct audit_file *f);

/* Open a file of the sink in the HDF5 library, which returns its hid_t; below 0: it does not. */
int64_t audit_hdf5_open(const struct audit_lane *l, const char *name);

/* Open dataset `path` of frames of the ledger's shape; below 0 when that was told. */
int64_t audit_hdf5_images(struct audit *a, const struct audit_lane *l, const char *name,
                          int64_t file, const char *path, uint64_t *ret_rows);

/* Read one frame of it into `pixels`, little-endian. */
bool audit_hdf5_row(const struct audit_lane *l, int64_t dataset, uint64_t row, void *pixels);

/* audit_master.c: the virtual dataset over the files of an HDF5 sink. */
void audit_master(struct audit *a, const struct audit_lane *l);

#endif
