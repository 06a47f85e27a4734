/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_CURVE_KEYS_H
#define INGEST_CURVE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

/* Files with CURVE keys. A key is 32 bytes, written as 40 characters of Z85 (ZeroMQ RFC 32).
 *
 * A key file holds either one key, on the first line that is neither empty nor a comment (#), or
 * a certificate as CZMQ and pyzmq write it, with lines
 *
 *   public-key = "..."
 *   secret-key = "..."
 *
 * A list of allowed keys has one public key on each line and after it, if wanted, a label; empty
 * lines and comments are skipped.
 *
 * No message repeats what a file holds: it may be a secret. */

#define CURVE_KEY_CHARS 40
#define CURVE_KEY_BYTES 32
#define CURVE_KEY_TEXT  (CURVE_KEY_CHARS + 1)
#define CURVE_WHY       512 /* bytes of the sentence about what is wrong */
#define CURVE_LABEL     64

enum curve_half { CURVE_PUBLIC, CURVE_SECRET };

/* Keys as text; secret_key is "" where only the public one is known. */
struct curve_pair {
	char public_key[CURVE_KEY_TEXT];
	char secret_key[CURVE_KEY_TEXT];
};

struct curve_allowed {
	char key[CURVE_KEY_TEXT];
	char label[CURVE_LABEL]; /* printable; "" for none */
};

struct curve_list {
	unsigned count;
	struct curve_allowed *at; /* [count], owned */
};

/* By what a file is known to be the one that was read. */
struct curve_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
	bool recent; /* so young that another change may have the same times */
};

/* Whether `text` [length] is a key. */
bool curve_key_valid(const char *text, size_t length);

/* The key of a file's text. `name` is what messages call the file. For the secret half the public
 * one is derived, and must be the certificate's if that has one. 0, or -EINVAL with why. */
int curve_key_parse(const char *text, size_t length, const char *name, enum curve_half wanted,
                    struct curve_pair *ret, char why[CURVE_WHY]);

/* Read a key file. A file with a secret key must not be readable by group or others.
 *
 * 0, or negative errno with why: -EACCES also for such a file; -EINVAL where it holds no such key.
 * Who has read a secret key clears the pair when done. */
int curve_key_read(const char *path, enum curve_half wanted, struct curve_pair *ret,
                   char why[CURVE_WHY]);

/* The list of a file's text. 0, -ENOMEM, or -EINVAL with why about the first line that is wrong
 * and how many more are. */
int curve_list_parse(const char *text, size_t length, const char *name, struct curve_list *ret,
                     char why[CURVE_WHY]);

/* Read a list. ret_stamp may be NULL. 0, or negative errno with why. */
int curve_list_read(const char *path, struct curve_list *ret, struct curve_stamp *ret_stamp,
                    char why[CURVE_WHY]);

/* Whether the file at `path` may be another than the one with that stamp. */
bool curve_list_changed(const char *path, const struct curve_stamp *stamp);

bool curve_list_equal(const struct curve_list *a, const struct curve_list *b);

/* The line of a key, or NULL. */
const struct curve_allowed *curve_list_find(const struct curve_list *l, const char *key);

/* Accepts a zeroed one. */
void curve_list_done(struct curve_list *l);

/* Make a new pair. 0, or -ENOTSUP where libzmq was built without CURVE. */
int curve_pair_make(struct curve_pair *ret);

/* Write <name>.key (both keys) and <name>.pub (the public one) as certificates, both for the owner
 * only. Nothing is overwritten, and what could not be written as a whole is removed. 0, or negative
 * errno with why; -EEXIST where one of them is there. */
int curve_pair_write(const struct curve_pair *pair, const char *name, char why[CURVE_WHY]);

#endif
