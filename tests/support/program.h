/* SPDX-License-Identifier: BSD-3-Clause */
/** Another program, run by a test: its output, its end. Fails the test when it takes more than a minute. */
#ifndef VIRTIOFS_TESTS_SUPPORT_PROGRAM_H
#define VIRTIOFS_TESTS_SUPPORT_PROGRAM_H

#include <stddef.h>

#include <sys/types.h>

enum { PROGRAM_TEXT = 16384, PROGRAM_ARGS = 16, PROGRAM_FD = 9 };

struct program {
  pid_t pid;
  int pipes[2]; /* stdout, stderr */
  char text[2][PROGRAM_TEXT];
  size_t len[2];
};

/** Runs @path as "hello" with @args, up to NULL. @fd: its descriptor PROGRAM_FD; @out: its stdout; -1: none, a pipe. */
void program_start(struct program *p, const char *path, const char *const *args, int fd, int out);
/** Reads until it has said that on stderr. */
void program_wait_said(struct program *p, const char *words);
/** Reads all. Return: its exit status, or 128 + the number of the signal. */
int program_wait(struct program *p);
/** How many lines it wrote; all must be whole. */
unsigned program_lines(const struct program *p, int stream);

#endif
