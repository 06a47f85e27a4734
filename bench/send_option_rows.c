/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/send_option_rows.h"

#include "bench/send_options.h"

#include <stddef.h>

const char *send_option_name(enum option_id id)
{
	const struct option_row *r = send_option_rows;

	while (r->name && r->id != id)
		r++;
	return r->name ? r->name : "";
}

static void print_protocol(FILE *out, const struct encoder *e)
{
	fprintf(out, "  %-12s %s: %s", e->name, e->summary, compression_name(e->usual));
	for (unsigned c = 0; c < COMPRESSION_COUNT; c++)
		if (e->framings[c] != FRAMING_NONE && c != e->usual)
			fprintf(out, ", %s", compression_name((enum compression)c));
	fputc('\n', out);
}

void send_options_help(FILE *out)
{
	fputs("usage: openbeam-send --to ENDPOINT [options]\n"
	      "       openbeam-send --to ENDPOINT --replay DIR [options]\n"
	      "       openbeam-send --write-dark FILE --write-flat FILE [options]\n"
	      "A simulated detector: streams frames over ZeroMQ, with faults when asked.\n\n",
	      out);
	for (const struct option_row *r = send_option_rows; r->name; r++) {
		char left[64];

		snprintf(left, sizeof left, "--%s %s", r->name, r->value ? r->value : "");
		fprintf(out, "  %-25s %s\n", left, r->help);
	}
	fputs("\nprotocols, and their compressions, the usual one first:\n", out);
	for (const struct encoder *e = encoders; e->name; e++)
		print_protocol(out, e);
	fputs("\nprofiles (--size, --pixel-format, --rate and --seconds at once; each can still be "
	      "given):\n",
	      out);
	for (const struct send_profile *p = send_profiles; p->name; p++)
		fprintf(out, "  %-12s %4ux%-4u %-7s %6g Hz  %5g s  %s\n", p->name, p->width,
		        p->height, p->format, p->rate_hz, p->seconds, p->summary);
	fputs("\nexit status: 0 done or stopped by TERM or INT, 2 usage, 66 a file is not there,\n"
	      "65 a file is no usable TIFF or key, a folder no recording, 69 cannot bind or "
	      "connect,\n"
	      "71 no memory, 73 cannot write a file, 74 input or output failed, 77 permission\n",
	      out);
}

const struct option_row send_option_rows[] = {
	{ "to", "ENDPOINT", "tcp://HOST:PORT or ipc://PATH; repeated: frames go round", OPTION_TO },
	{ "attach", "HOW", "bind (default) or connect", OPTION_ATTACH },
	{ "socket", "KIND", "push (default; waits for the receiver) or pub (drops; default of sls)",
	  OPTION_SOCKET },
	{ "hwm", "MESSAGES", "queue per endpoint; default 64 MiB of frames, pub 1000", OPTION_HWM },
	{ "wait", "S", "pub: wait so long for a subscriber (default 10)", OPTION_WAIT },
	{ "linger", "S", "give up delivering S seconds after the end (default: never)",
	  OPTION_LINGER },
	{ "curve-role", "ROLE", "encrypt as client (default with a key) or server (of everybody)",
	  OPTION_CURVE_ROLE },
	{ "curve-secret-key", "FILE", "our secret key, as openbeam keygen writes it",
	  OPTION_CURVE_SECRET_KEY },
	{ "curve-server-key", "FILE", "client: public key of the receiver that is the server",
	  OPTION_CURVE_SERVER_KEY },
	{ "protocol", "NAME", "one of those below (default array-1.0)", OPTION_PROTOCOL },
	{ "compression", "NAME", "none, lz4, bslz4 or bszstd, as far as the protocol has it",
	  OPTION_COMPRESSION },
	{ "header-detail", "NAME", "dectris: none, basic (default) or all, with a pixel mask",
	  OPTION_HEADER_DETAIL },
	{ "channel", "NAME", "of the image: bsread, dectris-v2, odin-live", OPTION_CHANNEL },
	{ "series", "N", "id of the first series (default 1)", OPTION_SERIES },
	{ "repeat", "N", "send N series, each from --first on, or the recording N times",
	  OPTION_REPEAT },
	{ "no-start", NULL, "leave out what announces a series", OPTION_NO_START },
	{ "no-end", NULL, "leave out what ends a series", OPTION_NO_END },
	{ "early-end", "K", "send the end before the last K frames", OPTION_EARLY_END },
	{ "start-to-all", NULL, "dectris-v2: start and end to every endpoint",
	  OPTION_START_TO_ALL },
	{ "ports", "CxR", "sls: columns and rows of ports; a --to for each, row by row",
	  OPTION_PORTS },
	{ "header", "KEY=VALUE",
	  "add a number, else a text, to each frame's header; repeated: array-1.0,\n"
	  "                            dectris-v1 (its appendix), sls, stins, odin-live",
	  OPTION_HEADER },
	{ "timestamps", NULL, "array-1.0: send when each frame was taken, by the rate",
	  OPTION_TIMESTAMPS },
	{ "lose-port", "P", "sls: chance that a port's part of a frame is never sent",
	  OPTION_LOSE_PORT },
	{ "profile", "NAME", "one of the sources below", OPTION_PROFILE },
	{ "size", "WxH", "pixels (default 2560x2160)", OPTION_SIZE },
	{ "pixel-format", "NAME",
	  "Mono16 (default) Mono8 Mono10 Mono12 Mono14, packed Mono10p Mono12p Mono14p\n"
	  "                            Mono10Packed Mono12Packed, for sls Mono4, or uint8 uint16\n"
	  "                            uint32 float32",
	  OPTION_PIXEL_FORMAT },
	{ "big-endian", NULL, "send pixels most significant byte first", OPTION_BIG_ENDIAN },
	{ "pattern", "NAME", "phantom (default), flat, dark, counter or noise", OPTION_PATTERN },
	{ "tiff", "FILE...", "send the pages of TIFF files, again and again", OPTION_TIFF },
	{ "memory", "MIB", "prepared frames take at most this (default 512)", OPTION_MEMORY },
	{ "seed", "N", "of the picture and of the faults (default 1)", OPTION_SEED },
	{ "replay", "DIR", "send recorded messages as they are, --rate of them a second",
	  OPTION_REPLAY },
	{ "rate", "HZ", "numbers a second; 0 (default): as fast as possible", OPTION_RATE },
	{ "frames", "N",
	  "frame numbers, lost ones included (default 1000, of files: each page once); 0: until "
	  "stopped",
	  OPTION_FRAMES },
	{ "seconds", "S", "length at the given rate, instead of --frames", OPTION_SECONDS },
	{ "first", "N", "number of the first frame (default 0)", OPTION_FIRST },
	{ "step", "N", "from one frame number to the next (default 1)", OPTION_STEP },
	{ "lose", "P", "chance that a number is never sent", OPTION_LOSE },
	{ "duplicate", "P", "chance that a usable frame is sent twice", OPTION_DUPLICATE },
	{ "reorder", "P", "chance that it changes places with one up to 7 later", OPTION_REORDER },
	{ "corrupt", "P", "chance that a message is unusable", OPTION_CORRUPT },
	{ "truncate", "P", "chance that a message has too few pixels", OPTION_TRUNCATE },
	{ "stall", "MS", "stop once, in the middle, for so long", OPTION_STALL },
	{ "dip", "FRAME[:N[:SHARE]]",
	  "from number FRAME on, N frames with that share of the beam (3, 0.55)", OPTION_DIP },
	{ "saturate", "FRAME:N[:X]", "N frames exposed X times as long (2)", OPTION_SATURATE },
	{ "freeze", "FRAME:N", "N frames with the pixels of the one before", OPTION_FREEZE },
	{ "new-hot", "FRAME:N", "N pixels become hot", OPTION_NEW_HOT },
	{ "new-dead", "FRAME:N", "N pixels die", OPTION_NEW_DEAD },
	{ "slots", "N", "shm: frames in the ring (default: 64 MiB of them, at least 8)",
	  OPTION_SLOTS },
	{ "shm-name", "/NAME", "shm: of the memory (default: a memfd, which has none)",
	  OPTION_SHM_NAME },
	{ "release", "ENDPOINT", "shm: where slots come back (default: ipc:// in /tmp)",
	  OPTION_RELEASE },
	{ "shm-wait", "MS", "shm: take slots back that long after a release (default 5000)",
	  OPTION_SHM_WAIT },
	{ "verify", NULL, "shm: write the pixels of every frame", OPTION_VERIFY },
	{ "report", "FILE", "write what was sent, lost, damaged as JSON", OPTION_REPORT },
	{ "write-dark", "FILE", "write the phantom's dark as TIFF (float32, mean of 16)",
	  OPTION_WRITE_DARK },
	{ "write-flat", "FILE", "write its open beam, with the dark in it, likewise",
	  OPTION_WRITE_FLAT },
	{ "quiet", NULL, "no progress, no summary", OPTION_QUIET },
	{ "verbose", NULL, "name every fault as it is sent", OPTION_VERBOSE },
	{ "help", NULL, "print this", OPTION_HELP },
	{ "version", NULL, "print the version", OPTION_VERSION },
	{ 0 },
};
