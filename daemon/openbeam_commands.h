/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_OPENBEAM_COMMANDS_H
#define DAEMON_OPENBEAM_COMMANDS_H

#include <getopt.h>

/* What the files of the program `openbeam` share. */

#define EX_BAD_USAGE 2

/* Say what is wrong with the command line, and with which of its words (or NULL); EX_BAD_USAGE. */
int openbeam_complain(const char *what, const char *value);

/* getopt_long(), whose complaints begin with "openbeam COMMAND", argv[0] being the command. */
int openbeam_getopt(int argc, char **argv, const char *letters, const struct option *options);

/* Subcommands. argv[0] is the command's name; returns the exit status. */
int openbeam_keygen(int argc, char **argv);
int openbeam_audit(int argc, char **argv);
int openbeam_recover(int argc, char **argv);
int openbeam_replay(int argc, char **argv);
int openbeam_status(int argc, char **argv);
int openbeam_top(int argc, char **argv);
int openbeam_series(int argc, char **argv); /* arm, stop, abort, reset */
int openbeam_take(int argc, char **argv);   /* dark, flat */
int openbeam_order(int argc, char **argv);  /* keep, cancel */

#endif
