/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_AUDIT_H
#define SINKS_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

/* Proves a series on disk once more: manifest, journals, tables, data files and what they say of
 * each other. Every frame that the ledger calls written is read back where its format's own
 * library finds it, and its CRC-32C compared.
 *
 * Nothing is written. The folder may be anybody's: what it says of sizes and counts is held
 * against what is there before anything is allocated, and only regular files are opened. What the
 * libraries of TIFF and HDF5 do with a damaged file is theirs: call it in a process of its own. */

enum audit_verdict {
	AUDIT_SOUND,      /* everything expected is there and agrees */
	AUDIT_LOSSES,     /* it agrees, but frames were lost or flagged */
	AUDIT_NO_SERIES,  /* there is nothing to prove */
	AUDIT_UNFINISHED, /* the series was cut off, or still runs */
	AUDIT_DAMAGED,    /* files and ledger disagree */
	AUDIT_UNREADABLE, /* something could not be read, for another reason than its content */
	AUDIT_VERDICT_COUNT
};

enum audit_kind {
	AUDIT_FINDING, /* something is not as it should be */
	AUDIT_REMARK   /* what makes the series incomplete, and is on record */
};

struct audit_result {
	enum audit_verdict verdict;
	uint64_t findings;
	uint64_t frames; /* in the ledger of the first sink: each of its numbers once */
	uint64_t written, dropped, missing, flagged;
	uint64_t lost_elsewhere; /* frames that a further sink has not, and the first has */
	uint64_t read_back;      /* frames of the first sink whose pixels have their checksum */
	bool pixels;             /* the first sink keeps any */
	uint64_t files, bytes;   /* data files of all sinks */
};

struct audit_options {
	bool quick; /* no pixels are read */
	void *user;

	/* One sentence: what is the matter with `where`, and what can be done. That is a file of
	 * the folder, a path of another one, or "" for the folder. Both are printable. */
	void (*found)(void *user, enum audit_kind kind, const char *where, const char *what);

	/* Reading file `name` now; so many bytes of pixels were read, of about `all`. Called
	 * often. NULL: nobody wants to know. */
	void (*at)(void *user, const char *name, uint64_t done, uint64_t all);
};

/* Whether the folder has a manifest, a journal or a table of frames. */
bool audit_is_series(const char *path);

/* Prove the series in the folder `path`. One thread at a time: HDF5 has state of its own. */
void audit_series(const char *path, const struct audit_options *o, struct audit_result *ret);

#endif
