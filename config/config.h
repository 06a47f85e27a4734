/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The effective configuration: the YAML file, then every --set, over the defaults.
 * One option table (options.c) describes each key; this is what it fills.
 *
 * Sizes are bytes, times nanoseconds. Text is owned by the configuration; empty text is "",
 * never NULL. Immutable after config_load(); any thread may read it. */

#define CONFIG_AUTO          (-1) /* in a signed number that may be `auto` */
#define CONFIG_ENDPOINTS_MAX 64
#define CONFIG_SINKS_MAX     8
#define CONFIG_CPUS_MAX      1024
#define CONFIG_LIST_MAX      64
#define CONFIG_REGIONS_MAX   16

enum attach { ATTACH_CONNECT, ATTACH_BIND };
enum socket_kind { SOCKET_PULL, SOCKET_SUB };
enum huge_pages { HUGE_PAGES_AUTO, HUGE_PAGES_NO };
enum overload { OVERLOAD_BLOCK, OVERLOAD_DROP };
enum series_start { START_AUTO, START_ARMED };
enum series_headless { HEADLESS_ACCEPT, HEADLESS_REJECT };
enum frame_type { FRAME_TYPE_AUTO, FRAME_UINT8, FRAME_UINT16, FRAME_UINT32, FRAME_FLOAT32 };
enum normalise { NORMALISE_NONE, NORMALISE_DARK, NORMALISE_TRANSMISSION, NORMALISE_ATTENUATION };
enum bad_pixels { BAD_NAN, BAD_ZERO, BAD_MEDIAN };
enum reduce_type { REDUCE_FLOAT32, REDUCE_UINT16, REDUCE_UINT8, REDUCE_SOURCE };
enum sink_format { SINK_TIFF, SINK_HDF5, SINK_RAW, SINK_STREAM, SINK_NULL };
enum stream_socket { STREAM_PUB, STREAM_PUSH };
enum sink_product { PRODUCT_REDUCED, PRODUCT_SOURCE };
enum direct_mode { DIRECT_AUTO, DIRECT_YES, DIRECT_NO };
enum on_error { ON_ERROR_NEXT_FILE, ON_ERROR_STOP };
enum curve_role { CURVE_NONE, CURVE_CLIENT, CURVE_SERVER };
enum log_format { LOG_TEXT, LOG_JSON };
enum combine { COMBINE_MEAN, COMBINE_MEDIAN };
enum calibration_role { CALIBRATE_DARK, CALIBRATE_FLAT, CALIBRATE_FLAT_DARK, CALIBRATE_COUNT };
enum found_pixels { FOUND_BAD, FOUND_REPORT };
enum beam_use { BEAM_RECORD, BEAM_APPLY };
enum isa_choice { ISA_AUTO, ISA_SCALAR, ISA_AVX2, ISA_AVX512, ISA_AVX512ICL };

/* A list of words; at[i] is owned by the configuration. */
struct config_list {
	unsigned count;
	char *at[CONFIG_LIST_MAX];
};

struct config_ingest {
	char *name;
	struct config_list endpoints; /* at least one */
	enum attach attach;
	enum socket_kind socket;
	char *protocol; /* a name in ingest/protocols.c; whether it exists is asked there */
	char *channel;
	char *pixel_format;     /* "auto" or a GenICam name */
	int64_t bits;           /* significant bits, or CONFIG_AUTO */
	int64_t saturation;     /* raw value, or CONFIG_AUTO */
	uint32_t width;         /* pixels; 0: learnt from the first frame */
	uint32_t height;        /* pixels */
	enum frame_type type;   /* FRAME_TYPE_AUTO: learnt from the first frame */
	uint64_t frame_limit;   /* bytes */
	uint64_t buffer;        /* bytes */
	uint64_t socket_buffer; /* bytes; 0: the kernel's choice */
	enum huge_pages huge_pages;
	unsigned io_cpu_count;
	int io_cpus[CONFIG_CPUS_MAX]; /* cores of libzmq's threads, by endpoint */
	enum overload overload;
	uint64_t assembly_timeout_ns;
	char *rotation_key; /* rotation.from_key: where a frame's header has its angle; "": nowhere
	                     */
	char *role_key;     /* calibration.from_key: likewise what the frame is of */
	enum curve_role curve_role;
	char *secret_key_file;
	char *server_key_file;
	char *allowed_keys_file;
};

struct config_series {
	char *name;
	enum series_start start;
	int64_t first;    /* frame number, or CONFIG_AUTO */
	uint64_t frames;  /* 0: until the end */
	uint64_t step;    /* of the sender's counter, at least 1 */
	uint64_t reorder; /* frames */
	uint64_t max_gap; /* frames */
	enum series_headless headless;
	uint64_t idle_end_ns;
	uint64_t end_grace_ns;
	uint64_t end_timeout_ns;
};

/* Angles by frame number; ingest.rotation_key is for those that frames bring. */
struct config_rotation {
	bool start_auto;    /* not given: no angle is computed */
	double start, step; /* degrees */
};

struct config_calibration {
	char *dark; /* paths, "" for none */
	char *flat;
	char *flat_dark; /* of the flat, where it is another one than the frames' */
	char *mask;

	/* Taken from the stream. */
	struct config_list sequence; /* in this order before the first sample: "dark 50" */
	uint64_t memory;             /* bytes that the frames of one may take */
	char *directory;             /* of what is made; "": that of the first sink with files */
	enum combine combine;
	enum found_pixels found; /* what becomes of pixels found dead, hot or noisy */
	double dead;             /* share of the median response below which a pixel is dead */
	double hot, noisy;       /* robust deviations above the median */
	uint64_t timeout_ns;     /* without a frame */
	uint64_t max_age_ns;     /* of an image before a warning; 0: any */
};

/* A named rectangle of the full frame with statistics of its own, in pixels. */
struct config_region {
	char *name;
	uint32_t x, y, width, height;
};

struct config_beam {
	struct config_list
		regions;   /* names of regions in the open beam; their mean T is the dose */
	enum beam_use use; /* whether T is divided by it */
	double dip, dump;  /* shares of the usual dose */
};

/* Limits at which sentinels raise an alarm; 0: that one is off. */
struct config_sentinels {
	uint64_t clear_ns;     /* an alarm ends when all was well for so long */
	double saturated;      /* share of the pixels */
	uint64_t saturated_ns; /* for so long */
	double dead, hot;      /* pixels that the calibration did not know */
	uint32_t pixels_every; /* frames between two looks for them */
	double flat_drift;     /* share by which the open beam differs from the flat */
	uint64_t flat_drift_ns;
	uint32_t repeated; /* frames with the same pixels in a row */
	double noise;      /* the open beam's signal-to-noise, as a share of what it was at first */
	double rate;       /* share by which the frame rate changes */
	double timestamps; /* usual intervals between two frames that follow each other */
	double buffer;     /* share of the buffer in use */
	uint64_t disk_ns;  /* until the disk is full */
};

/* The black box: raw frames kept in memory, written out when something happens. */
struct config_blackbox {
	uint64_t before_ns, after_ns; /* before 0: there is none */
	uint64_t memory;              /* bytes */
	char *directory;              /* "": that of the first sink with files */
	struct config_list on;        /* "alarm", "loss", "command" */
};

struct config_reduce {
	enum normalise normalise;
	enum bad_pixels bad_pixels;
	uint32_t roi_x, roi_y, roi_width, roi_height; /* pixels; width 0: all */
	uint32_t average;                             /* frames per output frame */
	uint32_t bin;                                 /* 1 2 4 8 16 32 */
	enum reduce_type type;
	double window_low, window_high; /* mapped to the integer range */
};

struct config_bins {
	uint32_t bins;
	bool low_auto, high_auto;
	double low, high;
};

struct config_histogram {
	struct config_bins raw, normalised;
};

struct config_sink {
	enum sink_format format;
	enum sink_product product;
	char *directory;
	int64_t frames_per_file; /* CONFIG_AUTO: 1000, less where a TIFF would pass 4 GiB */
	uint64_t file_size;      /* bytes, 0: by frames_per_file */
	enum direct_mode direct;
	uint64_t sync_ns;
	char *compression; /* "none", "bslz4" */
	enum on_error on_error;

	/* Of format stream alone; elsewhere they have their defaults. */
	char *endpoint; /* "" where it is not given */
	enum attach attach;
	enum stream_socket socket;
	uint32_t every; /* frames, at least 1 */
	uint32_t rate;  /* frames a second at most, 0: no limit */
	uint32_t queue; /* frames that wait for a viewer, at least 1 */
};

struct config_monitor {
	char *http;
	char *token_file;
	struct config_list allowed_hosts;
};

struct config_daemon {
	int64_t workers; /* CONFIG_AUTO: one for each core that receivers leave */
	unsigned cpu_count;
	int cpus[CONFIG_CPUS_MAX];
	enum isa_choice isa;
	uint32_t batch; /* frames, ceiling of a hand */
	enum log_format log;
};

struct config {
	struct config_ingest ingest;
	struct config_series series;
	struct config_rotation rotation;
	struct config_calibration calibration;
	struct config_reduce reduce;
	struct config_histogram histogram;
	unsigned region_count;
	struct config_region regions[CONFIG_REGIONS_MAX];
	struct config_beam beam;
	struct config_sentinels sentinels;
	struct config_blackbox blackbox;
	unsigned sink_count;
	struct config_sink sinks[CONFIG_SINKS_MAX];
	struct config_monitor monitor;
	struct config_daemon daemon;
};

/* An entry of calibration.sequence, "flat_dark 50": what is taken, and how many frames. */
struct config_step {
	enum calibration_role role;
	uint32_t frames; /* at least 1 */
};

/* Read one. False, *ret untouched, for a text that is none; those of a loaded configuration are. */
bool config_step_read(const char *text, struct config_step *ret);

/* "dark", "flat", "flat_dark". */
const char *calibration_role_name(enum calibration_role role);

/* Load `path` (NULL: defaults only) and apply `sets`, each "key.path=value" in order.
 *
 * Everything wrong is found in one go: unknown keys (with the nearest known one), wrong types,
 * values out of range, bad units, keys given twice, values that exist in the format but not in
 * this version. One line each goes to *ret_problems, "file:line:column: key: what, which value,
 * what is accepted" ("--set key=value:" for a set). *ret_problems is malloc'd text, NULL when
 * there is none; the caller frees it.
 *
 * 0, or -EINVAL with problems, -ENOENT, -EACCES or another errno of reading with one line
 * about the file, -ENOMEM. On failure *ret needs no config_done(). */
int config_load(struct config *ret, const char *path, const char *const *sets, unsigned set_count,
                char **ret_problems);

/* The same from memory. `text` (NULL: defaults only) has `length` bytes of YAML; `name` is what
 * problems call it. Needs not outlive the call. */
int config_parse(struct config *ret, const char *text, size_t length, const char *name,
                 const char *const *sets, unsigned set_count, char **ret_problems);

/* Read back what config_json() wrote, `length` bytes of it: the same values. What a text of another
 * version lacks has its default; what it has and this one does not know is a problem. Otherwise as
 * config_parse(). */
int config_parse_json(struct config *ret, const char *json, size_t length, const char *name,
                      char **ret_problems);

/* Free what the configuration owns. Accepts a zeroed one. */
void config_done(struct config *c);

/* Write the effective values as commented YAML that config_load() reads back to the same
 * values. The text of config/openbeam.yaml is this for the defaults. */
void config_print(const struct config *c, FILE *out);

/* The effective values as a JSON object (malloc'd text), for the manifest; NULL without memory.
 * Names and nesting are the YAML's. Sizes are bytes, times seconds, `auto` is "auto". */
char *config_json(const struct config *c);

/* The word that stands for a value of a key with choices: config_choice("reduce.type",
 * REDUCE_UINT16) is "uint16". Keys of sinks are "sinks.N.format", or with a number for N. NULL
 * for another key or value. Static text. */
const char *config_choice(const char *key, unsigned value);

/* One key, for usage texts and manual pages. All but `accepts` is static text. */
struct config_option {
	const char *key;      /* "reduce.bin"; of each sink "sinks.N.format" */
	const char *fallback; /* the default as YAML */
	const char *help;     /* one sentence or more */
	char accepts[360];    /* "1 to 64 frames" */
};

/* Every key, in the order of the file: i < config_option_count(). */
unsigned config_option_count(void);
void config_option_at(unsigned i, struct config_option *ret);

#endif
