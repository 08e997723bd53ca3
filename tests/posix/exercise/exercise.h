/* SPDX-License-Identifier: BSD-3-Clause */
/** Random work on files, compared with a model in memory. */
#ifndef VIRTIOFS_TESTS_POSIX_EXERCISE_EXERCISE_H
#define VIRTIOFS_TESTS_POSIX_EXERCISE_EXERCISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** What is asked for. */
struct plan {
  const char *dir;   /**< where to work */
  const char *share; /**< the same directory as the host sees it; NULL: not looked at */
  uint64_t seed;
  unsigned long ops;
  unsigned processes;
  bool no_mmap;
};

/* ---- chance ---- */

struct chance {
  uint64_t state;
};
uint32_t chance_next(struct chance *chance);
/** Less than @below, which is at least 1. */
size_t chance_below(struct chance *chance, size_t below);

/* ---- saying what went wrong ---- */

/** Remembers what is done, for the end: a printf format. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Says what is wrong, and what was done last, and ends the process. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Ends the process unless @right; says errno. */
void need(bool right, const char *what);

/* ---- kinds of work; each ends the process if something is wrong ---- */

/** One process, one file, all that can be done with it. @number makes its name. */
void work_alone(const struct plan *plan, unsigned number);

/** Processes in one file, in interleaved pieces that are no pages. */
void work_together(const struct plan *plan);

/** A process on each of @count mounts of one share, taking turns in one file: what one did, the next sees. */
void work_in_turns(const struct plan *plan, char **dirs, unsigned count);

/** Runs @work in so many processes and waits for all. Return: true if none failed. */
bool run_processes(unsigned count, void (*work)(const struct plan *, unsigned), const struct plan *plan);

#endif
