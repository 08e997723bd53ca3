/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random work on files of a directory, compared with a model in memory.
 *
 *   exercise alone DIR [OPTION...]         processes, each with a file of its own
 *   exercise together DIR [OPTION...]      processes in one file
 *   exercise turns DIR DIR... [OPTION...]  a process on each of several mounts of one share, in turns
 *
 * --ops N (of each process), --seed N, --processes N, --share DIR (the host's own view of DIR, compared too),
 * --no-mmap. The same seed does the same. Status: 0, or 1 after saying what is wrong and what was done before.
 */
#include "exercise.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOTES = 24, NOTE_LEN = 120, DIRS = 16 };

/* ---- chance: xorshift64* ---- */

uint32_t chance_next(struct chance *chance) {
  chance->state ^= chance->state >> 12;
  chance->state ^= chance->state << 25;
  chance->state ^= chance->state >> 27;
  return (uint32_t)((chance->state * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

size_t chance_below(struct chance *chance, size_t below) {
  return chance_next(chance) % below;
}

/* ---- what went wrong ---- */

static char notes[NOTES][NOTE_LEN];
static unsigned long note_count;

void note(const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)vsnprintf(notes[note_count++ % NOTES], NOTE_LEN, format, args);
  va_end(args);
}

void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)fprintf(stderr, "exercise: process %ld, after %lu steps: ", (long)getpid(), note_count);
  (void)vfprintf(stderr, format, args);
  (void)fputc('\n', stderr);
  va_end(args);
  unsigned long first = note_count > NOTES ? note_count - NOTES : 0;
  for (unsigned long i = first; i < note_count; i++)
    (void)fprintf(stderr, "  %lu: %s\n", i, notes[i % NOTES]);
  exit(EXIT_FAILURE);
}

void need(bool right, const char *what) {
  if (!right)
    fail("%s: %s", what, strerror(errno));
}

/* ---- processes ---- */

bool run_processes(unsigned count, void (*work)(const struct plan *, unsigned), const struct plan *plan) {
  bool good = true;
  (void)fflush(NULL);
  for (unsigned i = 0; i < count; i++) {
    pid_t child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
      work(plan, i);
      exit(EXIT_SUCCESS);
    }
  }
  for (unsigned i = 0; i < count; i++) {
    int status;
    need(wait(&status) > 0, "wait");
    good &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return good;
}

/* ---- the command line ---- */

_Noreturn static void usage(void) {
  (void)fputs(
      "usage: exercise alone|together|turns DIR... [--ops N] [--seed N] [--processes N] [--share DIR] [--no-mmap]\n",
      stderr);
  exit(2);
}

static unsigned long number(const char *text) {
  char *end;
  unsigned long value = text != NULL ? strtoul(text, &end, 10) : 0;
  if (text == NULL || *text == 0 || *end != 0 || value == 0)
    usage();
  return value;
}

/* Return: how many directories. */
static unsigned parse(int argc, char **argv, struct plan *plan, char **dirs) {
  unsigned count = 0;
  for (int i = 2; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--no-mmap") == 0) {
      plan->no_mmap = true;
      continue;
    }
    if (strncmp(argv[i], "--", 2) != 0) {
      if (count == DIRS)
        usage();
      dirs[count++] = argv[i];
      continue;
    }
    if (strcmp(argv[i], "--share") == 0 && value != NULL)
      plan->share = value;
    else if (strcmp(argv[i], "--ops") == 0)
      plan->ops = number(value);
    else if (strcmp(argv[i], "--seed") == 0)
      plan->seed = number(value);
    else if (strcmp(argv[i], "--processes") == 0)
      plan->processes = (unsigned)number(value);
    else
      usage();
    i++;
  }
  return count;
}

int main(int argc, char **argv) {
  char *dirs[DIRS];
  struct plan plan = {.seed = 1, .ops = 10000, .processes = 1};
  unsigned count = argc > 2 ? parse(argc, argv, &plan, dirs) : 0;
  if (count == 0)
    usage();
  plan.dir = dirs[0];
  if (strcmp(argv[1], "alone") == 0 && count == 1) {
    if (!run_processes(plan.processes, work_alone, &plan))
      return EXIT_FAILURE;
  } else if (strcmp(argv[1], "together") == 0 && count == 1) {
    work_together(&plan);
  } else if (strcmp(argv[1], "turns") == 0) {
    work_in_turns(&plan, dirs, count);
  } else {
    usage();
  }
  (void)printf("%s: %lu operations\n", argv[1], plan.ops * (strcmp(argv[1], "turns") == 0 ? 1 : plan.processes));
  return EXIT_SUCCESS;
}
