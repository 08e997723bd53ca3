/* SPDX-License-Identifier: BSD-3-Clause */
/** Command lines as other programs have them, in our spelling. Makes no system call; allocates. */
#ifndef VIRTIOFS_LIB_DAEMON_COMPAT_H
#define VIRTIOFS_LIB_DAEMON_COMPAT_H

#include <argp.h>
#include <stddef.h>

#include <virtiofs/daemon.h>

/** What has become of a command line. All of it is the caller's, who gives it to virtiofs_daemon_compat_free(). */
struct virtiofs_daemon_compat {
  int argc;
  char **argv;     /* NULL-terminated; argv[0] as it was */
  char **warnings; /* what to tell about it, one line each, NULL-terminated; NULL: nothing */
  char *refusal;   /* why it can't be; NULL: it can. May hold any byte but 0 of the command line */
};

/** What it is translated by. Borrowed for the call only. */
struct virtiofs_daemon_dialect {
  const struct argp *argp; /* the options that there are, children included: says which take a value */
  const struct virtiofs_daemon_spelling *program; /* goes before @argp: ended by one without @old; NULL: none */
  const struct virtiofs_daemon_spelling *daemon;  /* goes after it, so that a program's own letters are its own */
};

/**
 * virtiofs_daemon_compat_translate - a command line of other spellings in ours
 * @out: filled in any case
 *
 * Options stay in their order, so that a later one still overrides an earlier one. `-o A,B=C` becomes one option for
 * each word; `,,` and `\,` in it are a comma of a value. Words that are values of other options, what follows "--",
 * abbreviations and what nobody knows are left for argp.
 *
 * Return: 0; -EINVAL with @out->refusal; -ENOMEM.
 */
int virtiofs_daemon_compat_translate(struct virtiofs_daemon_compat *out, const struct virtiofs_daemon_dialect *dialect,
                                     int argc, char *const *argv);

/** virtiofs_daemon_compat_free - also what is all zero, or has been given to it before. */
void virtiofs_daemon_compat_free(struct virtiofs_daemon_compat *compat);

/** What every server knows of the kind. */
extern const struct virtiofs_daemon_spelling virtiofs_daemon_spellings[];

#endif
