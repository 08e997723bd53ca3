/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/compat.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is being done. */
struct work {
  struct virtiofs_daemon_compat *out;
  const struct virtiofs_daemon_dialect *dialect;
  char *const *argv; /* what is left of it */
  size_t words, warnings;
  size_t room, warning_room;
};

static int append(char ***list, size_t *count, size_t *room, char *text) {
  if (text == NULL)
    return -ENOMEM;
  if (*count + 1 >= *room) {
    size_t more = *room != 0 ? *room * 2 : 16;
    char **grown = realloc(*list, more * sizeof(*grown));
    if (grown == NULL) {
      free(text);
      return -ENOMEM;
    }
    *list = grown;
    *room = more;
  }
  (*list)[(*count)++] = text;
  (*list)[*count] = NULL;
  return 0;
}

static char *print(const char *format, va_list args) {
  char *text;
  return vasprintf(&text, format, args) >= 0 ? text : NULL;
}

static int VIRTIOFS_PRINTF(2, 3) give(struct work *work, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int rc = append(&work->out->argv, &work->words, &work->room, print(format, args));
  va_end(args);
  work->out->argc = (int)work->words;
  return rc;
}

static int VIRTIOFS_PRINTF(2, 3) warn(struct work *work, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int rc = append(&work->out->warnings, &work->warnings, &work->warning_room, print(format, args));
  va_end(args);
  return rc;
}

static int VIRTIOFS_PRINTF(2, 3) refuse(struct work *work, const char *format, ...) {
  va_list args;
  va_start(args, format);
  work->out->refusal = print(format, args);
  va_end(args);
  return work->out->refusal != NULL ? -EINVAL : -ENOMEM;
}

/* An option as it is spelt: "--name", "-n" or "-o name", the name of so many bytes. */
struct spelt {
  const char *dash; /* "--", "-" or "-o " */
  const char *name;
  size_t len;
  const char *value; /* what is said with it; NULL: nothing */
};

static bool is_spelt(const char *old, const struct spelt *spelt) {
  size_t dash = strlen(spelt->dash);
  if (strncmp(old, spelt->dash, dash) != 0 || strncmp(old + dash, spelt->name, spelt->len) != 0)
    return false;
  const char *end = old + dash + spelt->len;
  return *end == 0 || strcmp(end, "=") == 0;
}

static bool wants_value(const char *old) {
  return old[strlen(old) - 1] == '=';
}

/* The one that wants a value if there is one, and the one that doesn't if there isn't, if both are known. */
static const struct virtiofs_daemon_spelling *look_up(const struct virtiofs_daemon_spelling *table,
                                                      const struct spelt *spelt) {
  const struct virtiofs_daemon_spelling *other = NULL;
  for (; table != NULL && table->old != NULL; table++) {
    if (!is_spelt(table->old, spelt))
      continue;
    if (wants_value(table->old) == (spelt->value != NULL))
      return table;
    other = table;
  }
  return other;
}

static bool is_letter(int key) {
  return key > ' ' && key < 0x7f;
}

enum arity { UNKNOWN, ALONE, OPTIONAL, WITH_VALUE };

static enum arity arity_of(const struct argp_option *option) {
  if (option->arg == NULL)
    return ALONE;
  return (option->flags & OPTION_ARG_OPTIONAL) != 0 ? OPTIONAL : WITH_VALUE;
}

/* What is known about one name. */
struct known {
  const struct spelt *spelt;
  bool exact;
  enum arity arity; /* of that, or of one that it abbreviates */
};

static void learn(struct known *known, const struct argp_option *option, const struct argp_option *real) {
  const struct spelt *spelt = known->spelt;
  if (strcmp(spelt->dash, "-o ") == 0)
    return;
  if (strcmp(spelt->dash, "-") == 0) {
    if (is_letter(option->key) && option->key == spelt->name[0])
      *known = (struct known){.spelt = spelt, .exact = true, .arity = arity_of(real)};
    return;
  }
  if (option->name == NULL || known->exact || strncmp(option->name, spelt->name, spelt->len) != 0)
    return;
  known->exact = option->name[spelt->len] == 0;
  known->arity = arity_of(real);
}

static void learn_all(struct known *known, const struct argp *argp) {
  const struct argp_option *real = NULL;
  if (argp == NULL)
    return;
  for (const struct argp_option *o = argp->options; o != NULL && (o->name != NULL || o->key != 0 || o->doc != NULL);
       o++) {
    if ((o->flags & OPTION_ALIAS) == 0 || real == NULL)
      real = o;
    if ((o->flags & OPTION_DOC) == 0)
      learn(known, o, real);
  }
  for (const struct argp_child *child = argp->children; child != NULL && child->argp != NULL; child++)
    learn_all(known, child->argp);
}

static struct known knows(const struct work *work, const struct spelt *spelt) {
  struct known known = {.spelt = spelt};
  learn_all(&known, work->dialect->argp);
  return known;
}

/* The program's spellings count before its options, everybody's after them. */
static const struct virtiofs_daemon_spelling *find(const struct work *work, const struct spelt *spelt) {
  const struct virtiofs_daemon_spelling *found = look_up(work->dialect->program, spelt);
  if (found == NULL && !knows(work, spelt).exact)
    found = look_up(work->dialect->daemon, spelt);
  return found;
}

/* "-o cache=" is shown as "-o cache". */
static int bare(const char *text) {
  return (int)strcspn(text, "=");
}

static int become(struct work *work, const struct virtiofs_daemon_spelling *spelling, const char *value) {
  const char *old = spelling->old, *now = spelling->option;
  int rc = 0;
  if (wants_value(old) && value == NULL)
    return refuse(work, "'%.*s' requires an argument", bare(old), old);
  if (!wants_value(old) && value != NULL)
    return refuse(work, "'%s' takes no argument, but there is '%s'", old, value);
  switch (spelling->kind) {
  case VIRTIOFS_DAEMON_SPELLING_REFUSED:
    return refuse(work, "%.*s: %s", bare(old), old, spelling->why);
  case VIRTIOFS_DAEMON_SPELLING_IGNORED:
    return warn(work, "'%.*s' has no effect: %s", bare(old), old, spelling->why);
  case VIRTIOFS_DAEMON_SPELLING_OLD:
    rc = warn(work, "'%.*s' is an old spelling of %.*s", bare(old), old,
              wants_value(now) ? bare(now) : (int)strlen(now), now);
    break;
  case VIRTIOFS_DAEMON_SPELLING_ALIAS:
    break;
  }
  return rc == 0 ? give(work, "%s%s", now, value != NULL && wants_value(now) ? value : "") : rc;
}

/* One of -o's, which is written to for a moment. */
static int one_word(struct work *work, char *word) {
  char *equals = strchr(word, '=');
  struct spelt spelt = {.dash = "-o ",
                        .name = word,
                        .len = equals != NULL ? (size_t)(equals - word) : strlen(word),
                        .value = equals != NULL ? equals + 1 : NULL};
  if (*word == 0)
    return 0;
  const struct virtiofs_daemon_spelling *spelling = spelt.len != 0 ? find(work, &spelt) : NULL;
  if (spelling == NULL)
    return refuse(work, "unknown option '-o %s'", word);
  return become(work, spelling, spelt.value);
}

/* As QEMU has it, and so libvirt, or as libfuse: a comma that doesn't end the word. */
static bool is_escaped(const char *at) {
  return (at[0] == ',' && at[1] == ',') || (at[0] == '\\' && at[1] == ',');
}

static int all_words(struct work *work, char *group) {
  char *from = group, *to = group, *word = group;
  int rc = 0;
  for (; rc == 0 && *from != 0; from++) {
    if (is_escaped(from)) {
      *to++ = *++from;
    } else if (*from == ',') {
      *to = 0;
      rc = one_word(work, word);
      word = to = from + 1;
    } else {
      *to++ = *from;
    }
  }
  *to = 0;
  return rc == 0 ? one_word(work, word) : rc;
}

static int group(struct work *work, const char *text) {
  if (text == NULL)
    return refuse(work, "option requires an argument -- 'o'");
  char *copy = strdup(*text == '=' ? text + 1 : text);
  if (copy == NULL)
    return -ENOMEM;
  int rc = all_words(work, copy);
  free(copy);
  return rc;
}

/* The next argument, whatever it looks like; NULL: there is none. */
static const char *next(struct work *work) {
  return *work->argv != NULL ? *work->argv++ : NULL;
}

static int give_next(struct work *work) {
  const char *value = next(work);
  return value != NULL ? give(work, "%s", value) : 0;
}

static int long_option(struct work *work, const char *arg) {
  size_t len = strcspn(arg + 2, "=");
  const char *value = arg[2 + len] == '=' ? arg + 2 + len + 1 : NULL;
  struct spelt spelt = {.dash = "--", .name = arg + 2, .len = len, .value = value};
  const struct virtiofs_daemon_spelling *spelling = len != 0 ? find(work, &spelt) : NULL;
  if (spelling != NULL)
    return become(work, spelling, value == NULL && wants_value(spelling->old) ? next(work) : value);
  int rc = give(work, "%s", arg);
  if (rc == 0 && value == NULL && knows(work, &spelt).arity == WITH_VALUE)
    rc = give_next(work);
  return rc;
}

/* What follows a letter that takes a value is that, whether it stands close or apart. */
static int letter_with_rest(struct work *work, const char *letter, bool takes_next) {
  int rc = give(work, "-%s", letter);
  return rc == 0 && takes_next && letter[1] == 0 ? give_next(work) : rc;
}

/* Letters behind one dash, each of which may be one of ours or an old one. */
static int letters(struct work *work, const char *letter) {
  int rc = 0;
  for (; rc == 0 && *letter != 0; letter++) {
    struct spelt spelt = {.dash = "-", .name = letter, .len = 1};
    struct known known = knows(work, &spelt);
    const struct virtiofs_daemon_spelling *spelling = find(work, &spelt);
    if (spelling != NULL)
      rc = become(work, spelling, NULL);
    else if (known.arity == WITH_VALUE || known.arity == OPTIONAL)
      return letter_with_rest(work, letter, known.arity == WITH_VALUE);
    else if (known.arity == UNKNOWN && *letter == 'o')
      return group(work, letter[1] != 0 ? letter + 1 : next(work));
    else
      rc = give(work, "-%c", *letter);
  }
  return rc;
}

static int one(struct work *work) {
  const char *arg = next(work);
  if (strncmp(arg, "--", 2) == 0 && arg[2] != 0)
    return long_option(work, arg);
  if (arg[0] == '-' && arg[1] != '-' && arg[1] != 0)
    return letters(work, arg + 1);
  int rc = give(work, "%s", arg);
  while (rc == 0 && strcmp(arg, "--") == 0 && *work->argv != NULL)
    rc = give_next(work);
  return rc;
}

int virtiofs_daemon_compat_translate(struct virtiofs_daemon_compat *out, const struct virtiofs_daemon_dialect *dialect,
                                     int argc, char *const *argv) {
  struct work work = {.out = out, .dialect = dialect, .argv = argv};
  *out = (struct virtiofs_daemon_compat){0};
  int rc = argc > 0 ? give_next(&work) : give(&work, "%s", "");
  while (rc == 0 && argc > 0 && *work.argv != NULL)
    rc = one(&work);
  return rc;
}

static void free_list(char **list) {
  for (size_t i = 0; list != NULL && list[i] != NULL; i++)
    free(list[i]);
  free(list);
}

void virtiofs_daemon_compat_free(struct virtiofs_daemon_compat *compat) {
  free_list(compat->argv);
  free_list(compat->warnings);
  free(compat->refusal);
  *compat = (struct virtiofs_daemon_compat){0};
}
