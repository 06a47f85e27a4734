/* SPDX-License-Identifier: Apache-2.0 */
#include "config/options.h"

#include <limits.h>

#include "config/text_rules.h"

/* Only tables: the words, then the sections, then the keys in the order of the file.
 *
 * Building what is refused today is one edit: clear a choice's LATER, raise or drop a row's
 * OPTION_BUILT. */

#define LATER true

#define SECOND INT64_C(1000000000)
#define KiB    INT64_C(1024)
#define MiB    (1024 * KiB)
#define GiB    (1024 * MiB)
#define TiB    (1024 * GiB)

#define MEMBER(name)                                                                               \
	.offset = offsetof(struct config, name), .size = sizeof(((struct config *)NULL)->name)
#define ALSO(name) .also = offsetof(struct config, name)
#define SINK_MEMBER(name)                                                                          \
	.offset = offsetof(struct config_sink, name),                                              \
	.size = sizeof(((struct config_sink *)NULL)->name)

static const struct option_choice attaches[] = {
	{ "connect", ATTACH_CONNECT, false },
	{ "bind", ATTACH_BIND, false },
	{ NULL, 0, false },
};

static const struct option_choice sockets[] = {
	{ "pull", SOCKET_PULL, false },
	{ "sub", SOCKET_SUB, false },
	{ NULL, 0, false },
};

static const struct option_choice protocols_known[] = {
	{ "array-1.0", 0, false },  { "bsread", 0, false }, { "dectris-v1", 0, false },
	{ "dectris-v2", 0, false }, { "sls", 0, false },    { "stins", 0, false },
	{ "odin-live", 0, false },  { "shm", 0, false },    { NULL, 0, false },
};

static const struct option_choice pixel_formats[] = {
	{ "auto", 0, false },    { "Mono8", 0, false },        { "Mono10", 0, false },
	{ "Mono10p", 0, false }, { "Mono10Packed", 0, false }, { "Mono12", 0, false },
	{ "Mono12p", 0, false }, { "Mono12Packed", 0, false }, { "Mono14", 0, false },
	{ "Mono14p", 0, false }, { "Mono16", 0, false },       { NULL, 0, false },
};

static const struct option_choice frame_types[] = {
	{ "auto", FRAME_TYPE_AUTO, false },  { "uint8", FRAME_UINT8, false },
	{ "uint16", FRAME_UINT16, false },   { "uint32", FRAME_UINT32, false },
	{ "float32", FRAME_FLOAT32, false }, { NULL, 0, false },
};

static const struct option_choice overloads[] = {
	{ "block", OVERLOAD_BLOCK, false },
	{ "drop", OVERLOAD_DROP, false },
	{ NULL, 0, false },
};

static const struct option_choice curve_roles[] = {
	{ "none", CURVE_NONE, false },
	{ "client", CURVE_CLIENT, false },
	{ "server", CURVE_SERVER, false },
	{ NULL, 0, false },
};

static const struct option_choice starts[] = {
	{ "auto", START_AUTO, false },
	{ "armed", START_ARMED, LATER },
	{ NULL, 0, false },
};

static const struct option_choice headless[] = {
	{ "accept", HEADLESS_ACCEPT, false },
	{ "reject", HEADLESS_REJECT, false },
	{ NULL, 0, false },
};

static const struct option_choice normalisations[] = {
	{ "none", NORMALISE_NONE, false },
	{ "dark", NORMALISE_DARK, false },
	{ "transmission", NORMALISE_TRANSMISSION, false },
	{ "attenuation", NORMALISE_ATTENUATION, false },
	{ NULL, 0, false },
};

static const struct option_choice replacements[] = {
	{ "nan", BAD_NAN, false },
	{ "zero", BAD_ZERO, false },
	{ "median", BAD_MEDIAN, false },
	{ NULL, 0, false },
};

static const struct option_choice bin_sizes[] = {
	{ "1", 1, false },   { "2", 2, false },   { "4", 4, false },  { "8", 8, false },
	{ "16", 16, false }, { "32", 32, false }, { NULL, 0, false },
};

static const struct option_choice reduce_types[] = {
	{ "float32", REDUCE_FLOAT32, false },
	{ "uint16", REDUCE_UINT16, false },
	{ "uint8", REDUCE_UINT8, false },
	{ "source", REDUCE_SOURCE, false },
	{ NULL, 0, false },
};

static const struct option_choice sink_formats[] = {
	{ "tiff", SINK_TIFF, false },     { "hdf5", SINK_HDF5, false }, { "raw", SINK_RAW, false },
	{ "stream", SINK_STREAM, false }, { "null", SINK_NULL, false }, { NULL, 0, false },
};

static const struct option_choice stream_sockets[] = {
	{ "pub", STREAM_PUB, false },
	{ "push", STREAM_PUSH, false },
	{ NULL, 0, false },
};

static const struct option_choice sink_products[] = {
	{ "reduced", PRODUCT_REDUCED, false },
	{ "source", PRODUCT_SOURCE, false },
	{ NULL, 0, false },
};

static const struct option_choice direct_modes[] = {
	{ "auto", DIRECT_AUTO, false },
	{ "yes", DIRECT_YES, false },
	{ "no", DIRECT_NO, false },
	{ NULL, 0, false },
};

static const struct option_choice compressions[] = {
	{ "none", 0, false },
	{ "bslz4", 0, false },
	{ NULL, 0, false },
};

static const struct option_choice error_actions[] = {
	{ "next-file", ON_ERROR_NEXT_FILE, false },
	{ "stop", ON_ERROR_STOP, false },
	{ NULL, 0, false },
};

static const struct option_choice isas[] = {
	{ "auto", ISA_AUTO, false },           { "scalar", ISA_SCALAR, false },
	{ "avx2", ISA_AVX2, false },           { "avx512", ISA_AVX512, false },
	{ "avx512icl", ISA_AVX512ICL, false }, { NULL, 0, false },
};

static const struct option_choice log_formats[] = {
	{ "text", LOG_TEXT, false },
	{ "json", LOG_JSON, false },
	{ NULL, 0, false },
};

const struct option_section option_sections[] = {
	{ "ingest", "Where the frames come from. A daemon has one source." },
	{ "ingest.frame",
	  "Geometry known in advance, so that all memory is laid out at the start. With 0 it is "
	  "learnt from the first frame." },
	{ "ingest.curve", "Encryption and authentication of the ZeroMQ connection." },
	{ "series",
	  "What a series is: where it begins and ends, and how frame numbers may behave." },
	{ "rotation",
	  "The angle of each frame, of a scan that turns the sample: from its header, or by its "
	  "number. It goes to frames.csv." },
	{ "calibration",
	  "TIFF images of the full frame's size; of a file with several pages the mean is taken. "
	  "Counts are what is stored; tags that re-map values are ignored." },
	{ "reduce", "What is done to each frame, in the order: region, normalise, bad pixels, bin, "
	            "-ln, type." },
	{ "reduce.roi",
	  "Region of interest: the part of the frame that is kept. 0: all of it. Every product is "
	  "of this region." },
	{ "histogram", "Histograms of every pixel of every frame." },
	{ "histogram.raw", "Of the pixels as received, good or bad." },
	{ "histogram.normalised", "Of the pixels after normalisation, at full resolution." },
	{ "sinks", "Where the frames go: a list, each entry with its own format and directory. The "
	           "ledger is "
	           "about the first one that keeps pixels. To throw frames away, use one with "
	           "format null." },
	{ "monitor", "Watching the measurement over HTTP, and commanding it: status, histograms, "
	             "trends, Prometheus metrics, dark and flat. This version has no dashboard." },
	{ "daemon", "How the program uses the machine." },
	{ NULL, NULL },
};

const struct option options[] = {
	{ .path = "ingest.name",
	  .kind = OPTION_TEXT,
	  MEMBER(ingest.name),
	  .low = 1,
	  .high = 64,
	  .rule = &rule_name,
	  .fallback = "camera",
	  .help = "Label of the source in files and metrics." },
	{ .path = "ingest.endpoints",
	  .kind = OPTION_TEXTS,
	  .flags = OPTION_FILLED,
	  MEMBER(ingest.endpoints),
	  .low = 1,
	  .high = 255,
	  .rule = &rule_endpoint,
	  .fallback = "[tcp://127.0.0.1:9999]",
	  .help = "Addresses of the stream. Each has a socket, a receiving thread and an I/O "
	          "thread "
	          "of its own." },
	{ .path = "ingest.attach",
	  .kind = OPTION_CHOICE,
	  MEMBER(ingest.attach),
	  .choices = attaches,
	  .fallback = "connect",
	  .help = "connect: the addresses are the detector's. bind: they are ours and the detector "
	          "connects." },
	{ .path = "ingest.socket",
	  .kind = OPTION_CHOICE,
	  MEMBER(ingest.socket),
	  .choices = sockets,
	  .fallback = "pull",
	  .help = "The counterpart of the detector's push or pub. With sub a sender does not wait "
	          "for us: it throws away what does not fit." },
	{ .path = "ingest.protocol",
	  .kind = OPTION_WORD,
	  MEMBER(ingest.protocol),
	  .choices = protocols_known,
	  .fallback = "array-1.0",
	  .help = "Format of the messages." },
	{ .path = "ingest.channel",
	  .kind = OPTION_TEXT,
	  MEMBER(ingest.channel),
	  .high = 255,
	  .fallback = "\"\"",
	  .help = "Which channel, where a protocol has several. Empty: the first." },
	{ .path = "ingest.pixel_format",
	  .kind = OPTION_WORD,
	  MEMBER(ingest.pixel_format),
	  .choices = pixel_formats,
	  .fallback = "auto",
	  .help = "GenICam name of the pixels. auto: the message's header says what they are; any "
	          "other value overrides it." },
	{ .path = "ingest.bits",
	  .kind = OPTION_INTEGER,
	  .flags = OPTION_AUTO,
	  MEMBER(ingest.bits),
	  .low = 1,
	  .high = 32,
	  .unit = "bits",
	  .fallback = "auto",
	  .help = "Significant bits of a pixel. auto: the header's, else the format's." },
	{ .path = "ingest.saturation",
	  .kind = OPTION_INTEGER,
	  .flags = OPTION_AUTO,
	  MEMBER(ingest.saturation),
	  .low = 1,
	  .high = UINT32_MAX,
	  .unit = "counts",
	  .fallback = "auto",
	  .help = "Raw value that counts as saturated. auto: the header's, else 2^bits - 1." },
	{ .path = "ingest.frame.width",
	  .kind = OPTION_INTEGER,
	  MEMBER(ingest.width),
	  .high = 65536,
	  .unit = "pixels",
	  .fallback = "0",
	  .help = "Columns of the frame. Width and height are given both or not at all." },
	{ .path = "ingest.frame.height",
	  .kind = OPTION_INTEGER,
	  MEMBER(ingest.height),
	  .high = 65536,
	  .unit = "pixels",
	  .fallback = "0",
	  .help = "Rows of the frame." },
	{ .path = "ingest.frame.type",
	  .kind = OPTION_CHOICE,
	  MEMBER(ingest.type),
	  .choices = frame_types,
	  .fallback = "auto",
	  .help = "What a pixel is in the message." },
	{ .path = "ingest.frame_limit",
	  .kind = OPTION_SIZE,
	  MEMBER(ingest.frame_limit),
	  .low = KiB,
	  .high = 4 * GiB,
	  .fallback = "64MiB",
	  .help = "The largest frame accepted, uncompressed, and the largest part of a message: a "
	          "larger one ends the connection. Parts of dectris-v1 may be 4 times as large, "
	          "those of dectris-v2 8 times: they hold masks and several channels." },
	{ .path = "ingest.buffer",
	  .kind = OPTION_SIZE,
	  MEMBER(ingest.buffer),
	  .low = MiB,
	  .high = 16 * TiB,
	  .fallback = "1GiB",
	  .help = "Memory for frames: slots, what ZeroMQ may queue and output buffers. The log "
	          "says how many frames that is." },
	{ .path = "ingest.overload",
	  .kind = OPTION_CHOICE,
	  MEMBER(ingest.overload),
	  .choices = overloads,
	  .fallback = "block",
	  .help = "When the buffer is full. block: stop receiving, so that the sender waits. drop: "
	          "receive and drop frames, each of them counted." },
	{ .path = "ingest.assembly_timeout",
	  .kind = OPTION_TIME,
	  MEMBER(ingest.assembly_timeout_ns),
	  .low = SECOND / 1000,
	  .high = 60 * SECOND,
	  .fallback = "500ms",
	  .help = "How long a frame waits for the pieces of all ports, where a detector sends them "
	          "apart (sls). Then it goes on without, flagged." },
	{ .path = "ingest.curve.role",
	  .kind = OPTION_CHOICE,
	  MEMBER(ingest.curve_role),
	  .choices = curve_roles,
	  .fallback = "none",
	  .help = "Our side of the handshake, whichever side binds. none: neither encryption nor "
	          "authentication." },
	{ .path = "ingest.curve.secret_key_file",
	  .kind = OPTION_TEXT,
	  MEMBER(ingest.secret_key_file),
	  .high = 4095,
	  .rule = &rule_path,
	  .fallback = "\"\"",
	  .help = "File with our secret key, mode 0600: as openbeam keygen writes it, a "
	          "certificate of "
	          "CZMQ or pyzmq, or the key alone." },
	{ .path = "ingest.curve.server_key_file",
	  .kind = OPTION_TEXT,
	  MEMBER(ingest.server_key_file),
	  .high = 4095,
	  .rule = &rule_path,
	  .fallback = "\"\"",
	  .help = "File with the public key of the server that a client trusts." },
	{ .path = "ingest.curve.allowed_keys_file",
	  .kind = OPTION_TEXT,
	  MEMBER(ingest.allowed_keys_file),
	  .high = 4095,
	  .rule = &rule_path,
	  .fallback = "\"\"",
	  .help = "File with the public keys of the clients that a server lets in, one a line and "
	          "a "
	          "label after it. It is read again when it has changed." },

	{ .path = "series.name",
	  .kind = OPTION_TEXT,
	  MEMBER(series.name),
	  .low = 1,
	  .high = 64,
	  .rule = &rule_name,
	  .fallback = "series",
	  .help = "Name of folders and files. A running number is added, nothing is overwritten." },
	{ .path = "series.start",
	  .kind = OPTION_CHOICE,
	  MEMBER(series.start),
	  .choices = starts,
	  .fallback = "auto",
	  .help = "auto: a series starts with its first frame. armed: only after a command." },
	{ .path = "series.first",
	  .kind = OPTION_INTEGER,
	  .flags = OPTION_AUTO,
	  MEMBER(series.first),
	  .high = INT64_MAX,
	  .fallback = "auto",
	  .help = "Number of the first frame. auto: the protocol's, else the smallest among the "
	          "first frames." },
	{ .path = "series.frames",
	  .kind = OPTION_INTEGER,
	  MEMBER(series.frames),
	  .high = INT64_MAX,
	  .unit = "frames",
	  .fallback = "0",
	  .help = "How many numbers a series has from the first. 0: until the end message or idle. "
	          "Only with this, or a protocol that announces it, can a lost head or tail be "
	          "known." },
	{ .path = "series.step",
	  .kind = OPTION_INTEGER,
	  MEMBER(series.step),
	  .low = 1,
	  .high = 1000000000,
	  .fallback = "1",
	  .help = "From one frame number to the next. A decimated stream counts in steps." },
	{ .path = "series.reorder",
	  .kind = OPTION_INTEGER,
	  MEMBER(series.reorder),
	  .low = 1,
	  .high = 4096,
	  .unit = "frames",
	  .fallback = "64",
	  .help = "How far frames may come out of order." },
	{ .path = "series.max_gap",
	  .kind = OPTION_INTEGER,
	  MEMBER(series.max_gap),
	  .low = 1,
	  .high = 10000000,
	  .unit = "frames",
	  .fallback = "1000000",
	  .help = "A larger jump of the number must be confirmed by three frames in a row. A "
	          "smaller one is a gap, each frame of which takes a line of the ledger." },
	{ .path = "series.headless",
	  .kind = OPTION_CHOICE,
	  MEMBER(series.headless),
	  .choices = headless,
	  .fallback = "accept",
	  .help = "Images whose start message was missed, of a protocol that has them. accept: "
	          "they "
	          "begin a series of which neither length nor detector is known. reject: they are "
	          "rejected until a series starts." },
	{ .path = "series.idle_end",
	  .kind = OPTION_TIME,
	  MEMBER(series.idle_end_ns),
	  .low = SECOND / 1000,
	  .high = 86400 * SECOND,
	  .fallback = "2s",
	  .help = "Silence that ends a series of a protocol without end messages." },
	{ .path = "series.end_grace",
	  .kind = OPTION_TIME,
	  MEMBER(series.end_grace_ns),
	  .high = 60 * SECOND,
	  .fallback = "1s",
	  .help = "How long a series whose end message came before its last frame waits for it: "
	          "end "
	          "messages overtake frames where several sockets share a stream. Likewise, how "
	          "long images wait for a start message that another socket gets." },
	{ .path = "series.end_timeout",
	  .kind = OPTION_TIME,
	  MEMBER(series.end_timeout_ns),
	  .low = SECOND / 1000,
	  .high = 86400 * SECOND,
	  .fallback = "60s",
	  .help = "Silence that ends a series of a protocol whose end message never came. A series "
	          "that was announced waits for its first frame as long as it takes." },

	{ .path = "rotation.from_key",
	  .kind = OPTION_TEXT,
	  MEMBER(ingest.rotation_key),
	  .high = 255,
	  .fallback = "\"\"",
	  .help = "Key of the angle, in degrees, in the header of each frame: a number, or a text "
	          "that "
	          "is one. A dot leads into an object: image_attributes.angle, "
	          "addJsonHeader.angle. Read of array-1.0, sls, stins and odin-live, and of the "
	          "image appendix of dectris-v1. Empty: none." },
	{ .path = "rotation.start",
	  .kind = OPTION_REAL,
	  .flags = OPTION_AUTO,
	  MEMBER(rotation.start),
	  ALSO(rotation.start_auto),
	  .fallback = "auto",
	  .help = "Or computed: angle of the first frame. auto: none is computed." },
	{ .path = "rotation.step",
	  .kind = OPTION_REAL,
	  MEMBER(rotation.step),
	  .unit = "degrees",
	  .fallback = "0.0",
	  .help = "And from one frame number to the next, a lost one too." },

	{ .path = "calibration.dark",
	  .kind = OPTION_TEXT,
	  MEMBER(calibration.dark),
	  .high = 4095,
	  .rule = &rule_path,
	  .fallback = "\"\"",
	  .help = "Image without beam, the dark. Empty: none." },
	{ .path = "calibration.flat",
	  .kind = OPTION_TEXT,
	  MEMBER(calibration.flat),
	  .high = 4095,
	  .rule = &rule_path,
	  .fallback = "\"\"",
	  .help = "Image with beam and without sample, the open beam. Empty: none." },
	{ .path = "calibration.mask",
	  .kind = OPTION_TEXT,
	  MEMBER(calibration.mask),
	  .high = 4095,
	  .rule = &rule_path,
	  .fallback = "\"\"",
	  .help = "Image whose non-zero pixels are bad. Empty: none." },

	{ .path = "reduce.normalise",
	  .kind = OPTION_CHOICE,
	  MEMBER(reduce.normalise),
	  .choices = normalisations,
	  .fallback = "transmission",
	  .help = "none: the counts as they came. dark: image - dark, needs a dark. transmission: "
	          "(image - dark) / (flat - dark), needs a flat; without a dark, dark is 0. With "
	          "neither of them the counts stay as they came, as with none. attenuation: -ln "
	          "of the transmission; a pixel whose transmission is not above 0 is bad in that "
	          "frame." },
	{ .path = "reduce.bad_pixels",
	  .kind = OPTION_CHOICE,
	  MEMBER(reduce.bad_pixels),
	  .choices = replacements,
	  .fallback = "nan",
	  .help = "What replaces a bad pixel: one where flat - dark is not positive, or that a "
	          "mask "
	          "names. median: of the good ones among its 8 neighbours, not a number without "
	          "any. Binning leaves bad pixels out anyway." },
	{ .path = "reduce.roi.x",
	  .kind = OPTION_INTEGER,
	  MEMBER(reduce.roi_x),
	  .high = 65535,
	  .unit = "pixels",
	  .fallback = "0",
	  .help = "First column of the region." },
	{ .path = "reduce.roi.y",
	  .kind = OPTION_INTEGER,
	  MEMBER(reduce.roi_y),
	  .high = 65535,
	  .unit = "pixels",
	  .fallback = "0",
	  .help = "First row of the region." },
	{ .path = "reduce.roi.width",
	  .kind = OPTION_INTEGER,
	  MEMBER(reduce.roi_width),
	  .high = 65536,
	  .unit = "pixels",
	  .fallback = "0",
	  .help = "Columns of the region. 0: all." },
	{ .path = "reduce.roi.height",
	  .kind = OPTION_INTEGER,
	  MEMBER(reduce.roi_height),
	  .high = 65536,
	  .unit = "pixels",
	  .fallback = "0",
	  .help = "Rows of the region. 0: all." },
	{ .path = "reduce.average",
	  .kind = OPTION_INTEGER,
	  MEMBER(reduce.average),
	  .low = 1,
	  .high = 65536,
	  .unit = "frames",
	  .fallback = "1",
	  .help = "How many frames are averaged into one: of the first number and those behind it. "
	          "Raw "
	          "counts are summed, their mean is normalised. The ledger keeps a line for each "
	          "frame, and sinks of product source keep each frame." },
	{ .path = "reduce.bin",
	  .kind = OPTION_CHOICE,
	  .flags = OPTION_NUMBER,
	  MEMBER(reduce.bin),
	  .choices = bin_sizes,
	  .fallback = "1",
	  .help = "Mean over bin x bin pixels. What is left over at the right and lower edge is "
	          "left "
	          "out." },
	{ .path = "reduce.type",
	  .kind = OPTION_CHOICE,
	  MEMBER(reduce.type),
	  .choices = reduce_types,
	  .fallback = "float32",
	  .help = "Pixels of the result. uint8 and uint16 map the window. source: the pixel as it "
	          "came, only with normalise none and bin 1." },
	{ .path = "reduce.window",
	  .kind = OPTION_INTERVAL,
	  MEMBER(reduce.window_low),
	  ALSO(reduce.window_high),
	  .fallback = "[0.0, 1.5]",
	  .help = "Values that become the lowest and the highest integer of types uint8 and "
	          "uint16; "
	          "what is outside is clipped and counted." },

	{ .path = "histogram.raw.bins",
	  .kind = OPTION_INTEGER,
	  MEMBER(histogram.raw.bins),
	  .low = 0,
	  .high = 65536,
	  .unit = "bins",
	  .fallback = "4096",
	  .help = "Number of bins. 0: no histogram of raw pixels, which saves its time." },
	{ .path = "histogram.raw.low",
	  .kind = OPTION_REAL,
	  .flags = OPTION_AUTO,
	  MEMBER(histogram.raw.low),
	  ALSO(histogram.raw.low_auto),
	  .fallback = "auto",
	  .help = "Lower edge of the first bin, in counts. auto: 0." },
	{ .path = "histogram.raw.high",
	  .kind = OPTION_REAL,
	  .flags = OPTION_AUTO,
	  MEMBER(histogram.raw.high),
	  ALSO(histogram.raw.high_auto),
	  .fallback = "auto",
	  .help = "Upper edge of the last bin, in counts. auto: 2^bits; for 32 bit and float "
	          "65536." },
	{ .path = "histogram.normalised.bins",
	  .kind = OPTION_INTEGER,
	  MEMBER(histogram.normalised.bins),
	  .low = 1,
	  .high = 65536,
	  .unit = "bins",
	  .fallback = "256",
	  .help = "Number of bins." },
	{ .path = "histogram.normalised.low",
	  .kind = OPTION_REAL,
	  MEMBER(histogram.normalised.low),
	  .fallback = "0.0",
	  .help = "Lower edge of the first bin." },
	{ .path = "histogram.normalised.high",
	  .kind = OPTION_REAL,
	  MEMBER(histogram.normalised.high),
	  .fallback = "1.5",
	  .help = "Upper edge of the last bin." },

	{ .path = OPTION_SINK ".format",
	  .kind = OPTION_CHOICE,
	  SINK_MEMBER(format),
	  .choices = sink_formats,
	  .fallback = "tiff",
	  .help = "tiff: multi-page files. raw: frames back to back, little-endian. stream: frames "
	          "sent on over ZeroMQ as array-1.0. null: nothing is kept but the ledger." },
	{ .path = OPTION_SINK ".product",
	  .kind = OPTION_CHOICE,
	  SINK_MEMBER(product),
	  .choices = sink_products,
	  .fallback = "reduced",
	  .help = "reduced: the result of the section reduce. source: the frames as received." },
	{ .path = OPTION_SINK ".directory",
	  .kind = OPTION_TEXT,
	  SINK_MEMBER(directory),
	  .low = 1,
	  .high = 4095,
	  .rule = &rule_path,
	  .fallback = "data",
	  .help = "Where the folder of each series is made. It must exist." },
	{ .path = OPTION_SINK ".frames_per_file",
	  .kind = OPTION_INTEGER,
	  .flags = OPTION_AUTO,
	  SINK_MEMBER(frames_per_file),
	  .low = 1,
	  .high = 1000000000,
	  .unit = "frames",
	  .fallback = "auto",
	  .help = "When the next file is begun. auto: 1000, less where a TIFF would pass 4 GiB." },
	{ .path = OPTION_SINK ".file_size",
	  .kind = OPTION_SIZE,
	  SINK_MEMBER(file_size),
	  .high = 64 * TiB,
	  .fallback = "0",
	  .help = "Or by size: the next file is begun before this one would pass it. 0: by "
	          "frames_per_file." },
	{ .path = OPTION_SINK ".direct",
	  .kind = OPTION_CHOICE,
	  SINK_MEMBER(direct),
	  .choices = direct_modes,
	  .fallback = "auto",
	  .help = "O_DIRECT, past the page cache. auto: where the file system can." },
	{ .path = OPTION_SINK ".sync",
	  .kind = OPTION_TIME,
	  SINK_MEMBER(sync_ns),
	  .low = SECOND / 1000,
	  .high = 3600 * SECOND,
	  .fallback = "1s",
	  .help = "How often frames become durable: what a power cut can cost." },
	{ .path = OPTION_SINK ".compression",
	  .kind = OPTION_WORD,
	  SINK_MEMBER(compression),
	  .choices = compressions,
	  .fallback = "none",
	  .help = "Of the pixels in the file, with format hdf5. bslz4: bitshuffle and LZ4, HDF5 "
	          "filter 32008; the workers do it." },
	{ .path = OPTION_SINK ".on_error",
	  .kind = OPTION_CHOICE,
	  SINK_MEMBER(on_error),
	  .choices = error_actions,
	  .fallback = "next-file",
	  .help = "After a failed write the file is closed. next-file: the series goes on in a new "
	          "one. stop: it ends." },
	{ .path = OPTION_SINK ".endpoint",
	  .kind = OPTION_TEXT,
	  SINK_MEMBER(endpoint),
	  .high = 255,
	  .rule = &rule_endpoint,
	  .fallback = "\"\"",
	  .help = "Of format stream: the address that frames are sent on at, such as "
	          "tcp://*:9998." },
	{ .path = OPTION_SINK ".attach",
	  .kind = OPTION_CHOICE,
	  SINK_MEMBER(attach),
	  .choices = attaches,
	  .fallback = "bind",
	  .help = "Of format stream. bind: the address is ours and viewers connect. connect: it is "
	          "the viewer's." },
	{ .path = OPTION_SINK ".socket",
	  .kind = OPTION_CHOICE,
	  SINK_MEMBER(socket),
	  .choices = stream_sockets,
	  .fallback = "pub",
	  .help = "Of format stream. pub: each viewer gets every frame it has room for. push: each "
	          "frame goes to one of those that have room." },
	{ .path = OPTION_SINK ".every",
	  .kind = OPTION_INTEGER,
	  SINK_MEMBER(every),
	  .low = 1,
	  .high = 1000000000,
	  .unit = "frames",
	  .fallback = "1",
	  .help = "Of format stream: the first of every so many frames is sent. The numbers stay "
	          "the camera's." },
	{ .path = OPTION_SINK ".rate",
	  .kind = OPTION_INTEGER,
	  SINK_MEMBER(rate),
	  .high = 1000000,
	  .unit = "frames a second",
	  .fallback = "0",
	  .help = "Of format stream: at most so many are sent. 0: no limit." },
	{ .path = OPTION_SINK ".queue",
	  .kind = OPTION_INTEGER,
	  SINK_MEMBER(queue),
	  .low = 1,
	  .high = 1000,
	  .unit = "frames",
	  .fallback = "10",
	  .help = "Of format stream: how many wait for a viewer that is late; those beyond are "
	          "lost to it. Memory for so many and four is set aside in ingest.buffer." },

	{ .path = "monitor.http",
	  .kind = OPTION_TEXT,
	  MEMBER(monitor.http),
	  .high = 255,
	  .rule = &rule_address,
	  .fallback = "127.0.0.1:8080",
	  .help = "Address to listen on. Port 0: any that is free, named in the log. Empty: "
	          "none." },
	{ .path = "monitor.token_file",
	  .kind = OPTION_TEXT,
	  MEMBER(monitor.token_file),
	  .high = 4095,
	  .rule = &rule_path,
	  .fallback = "\"\"",
	  .help = "File with a secret that commands from anywhere but this host must show, as "
	          "Authorization: Bearer. Empty: none are taken from there." },
	{ .path = "monitor.allowed_hosts",
	  .kind = OPTION_TEXTS,
	  MEMBER(monitor.allowed_hosts),
	  .low = 1,
	  .high = 255,
	  .rule = &rule_host,
	  .fallback = "[]",
	  .help = "Names under which this server may be reached, beside localhost and its own "
	          "address." },

	{ .path = "daemon.workers",
	  .kind = OPTION_INTEGER,
	  .flags = OPTION_AUTO,
	  MEMBER(daemon.workers),
	  .low = 1,
	  .high = 256,
	  .unit = "threads",
	  .fallback = "auto",
	  .help = "Threads that compute. auto: one for each core that the daemon may run on." },
	{ .path = "daemon.cpus",
	  .kind = OPTION_INTEGERS,
	  MEMBER(daemon.cpus),
	  ALSO(daemon.cpu_count),
	  .high = CONFIG_CPUS_MAX - 1,
	  .fallback = "[]",
	  .help = "CPUs that threads are pinned to, in the order of the data path. Empty: none." },
	{ .path = "daemon.isa",
	  .kind = OPTION_CHOICE,
	  MEMBER(daemon.isa),
	  .choices = isas,
	  .fallback = "auto",
	  .help = "Instructions the kernels use. auto: the best this CPU has. The results are the "
	          "same bits with all of them." },
	{ .path = "daemon.batch",
	  .kind = OPTION_INTEGER,
	  MEMBER(daemon.batch),
	  .low = 1,
	  .high = 64,
	  .unit = "frames",
	  .fallback = "8",
	  .help = "How many waiting frames a worker takes at once, at most." },
	{ .path = "daemon.log",
	  .kind = OPTION_CHOICE,
	  MEMBER(daemon.log),
	  .choices = log_formats,
	  .fallback = "text",
	  .help = "Format of the log." },
	{ .path = NULL },
};

_Static_assert(sizeof options / sizeof *options <= OPTION_MAX, "raise OPTION_MAX");
