/* SPDX-License-Identifier: BSD-3-Clause */
/* Adds shares to a server and removes them while it runs: virtiofs-ctl --control S add NAME --socket-path P
 * --shared-dir D cc ctl.c show.c -o virtiofs-ctl $(pkg-config --cflags --libs libvirtiofs-daemon libcjson) */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <virtiofs/control.h>

#include "show.h"

#define PROGRAM "virtiofs-ctl"

enum { WORDS_MAX = 3 };

struct settings {
  const char *control;
  bool json, now, by_server;
  const char *socket_path, *shared_dir, *tag;
  const char *words[WORDS_MAX]; /* the command and what it is about */
  int count;
  char **options; /* for the server, up to NULL */
};

enum { CONTROL = 256, JSON, NOW, BY_SERVER, SOCKET_PATH, SHARED_DIR, TAG };

static const struct argp_option argp_options[] = {
    {"control", CONTROL, "PATH", 0, "The server's control socket; default: $VIRTIOFS_CONTROL", 0},
    {"json", JSON, NULL, 0, "Print the server's reply as it is", 0},
    {"now", NOW, NULL, 0, "remove: don't wait for the front-end to go", 0},
    {"socket-path", SOCKET_PATH, "PATH", 0, "add: where front-ends come in", 0},
    {"shared-dir", SHARED_DIR, "DIR", 0, "add: the directory to serve, opened here and passed on", 0},
    {"tag", TAG, "TAG", 0, "add: name for mount -t virtiofs", 0},
    {"by-server", BY_SERVER, NULL, 0, "add: the server makes the socket and opens the directory itself", 0},
    {0},
};

_Noreturn static void die(const char *what, const char *whom, const char *why) {
  (void)fprintf(stderr, PROGRAM ": %s%s%s%s%s\n", what, whom != NULL ? " " : "", whom != NULL ? whom : "",
                why != NULL ? ": " : "", why != NULL ? why : "");
  exit(EXIT_FAILURE);
}

/* What follows "--" is the server's to understand. */
static char **split_options(int *argc, char **argv) {
  for (int i = 1; i < *argc; i++)
    if (strcmp(argv[i], "--") == 0) {
      *argc = i;
      return argv + i + 1;
    }
  return argv + *argc;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct settings *settings = state->input;
  switch (key) {
  case CONTROL:
    settings->control = arg;
    return 0;
  case JSON:
    settings->json = true;
    return 0;
  case NOW:
    settings->now = true;
    return 0;
  case BY_SERVER:
    settings->by_server = true;
    return 0;
  case SOCKET_PATH:
    settings->socket_path = arg;
    return 0;
  case SHARED_DIR:
    settings->shared_dir = arg;
    return 0;
  case TAG:
    settings->tag = arg;
    return 0;
  case ARGP_KEY_ARG:
    if (settings->count == WORDS_MAX)
      die("unexpected argument", arg, NULL);
    settings->words[settings->count++] = arg;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* ---- The request ---- */

/** What is asked, and what goes along. */
struct request {
  cJSON *object, *options, *names; /* the latter two are within the first */
  int fds[VIRTIOFS_CONTROL_FDS_MAX];
  size_t fd_count;
};

static void put(cJSON *object, const char *name, const char *value) {
  if (value != NULL && cJSON_AddStringToObject(object, name, value) == NULL)
    die("no memory", NULL, NULL);
}

static void append(cJSON *list, const char *value) {
  if (cJSON_AddItemToArray(list, cJSON_CreateString(value)) == 0)
    die("no memory", NULL, NULL);
}

static void pass(struct request *request, const char *name, int fd) {
  if (request->names == NULL)
    request->names = cJSON_AddArrayToObject(request->object, "fds");
  append(request->names, name);
  request->fds[request->fd_count++] = fd;
}

/* Two words with an option's value between: a value may begin with anything. */
static void put_option(struct request *request, const char *option, const char *value) {
  size_t size = strlen(option) + strlen(value) + 2;
  char *text = malloc(size);
  if (text == NULL)
    die("no memory", NULL, NULL);
  (void)snprintf(text, size, "%s=%s", option, value);
  append(request->options, text);
  free(text);
}

/* As others find it, who are elsewhere. */
static char *absolute(const char *path) {
  char *dir = path == NULL || *path == '/' ? NULL : getcwd(NULL, 0), *text = NULL;
  if (path == NULL)
    return NULL;
  if ((dir != NULL ? asprintf(&text, "%s/%s", dir, path) : asprintf(&text, "%s", path)) < 0)
    die("no memory", NULL, NULL);
  free(dir);
  return text;
}

/* What the server couldn't reach from its sandbox is made here. Its place is told for those who list it. */
static void open_here(const struct settings *settings, int control, struct request *request) {
  int fds[2];
  if (settings->shared_dir != NULL) {
    int dir = open(settings->shared_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
      die("cannot open", settings->shared_dir, strerror(errno));
    pass(request, "shared-dir", dir);
  }
  if (settings->socket_path == NULL)
    return;
  if (virtiofs_control_listen(control, PROGRAM, settings->socket_path, fds) != 0)
    exit(EXIT_FAILURE);
  pass(request, "socket", fds[0]);
  pass(request, "lock", fds[1]);
}

static void make_add(const struct settings *settings, int control, struct request *request) {
  put(request->object, "name", settings->words[1]);
  put(request->object, "tag", settings->tag);
  char *path = absolute(settings->socket_path);
  put(request->object, "socket-path", path);
  free(path);
  request->options = cJSON_AddArrayToObject(request->object, "options");
  if (!settings->by_server)
    open_here(settings, control, request);
  else if (settings->shared_dir != NULL)
    put_option(request, "--shared-dir", settings->shared_dir);
  for (char **option = settings->options; *option != NULL; option++)
    append(request->options, *option);
}

static void make_request(const struct settings *settings, int control, struct request *request) {
  const char *command = settings->words[0];
  *request = (struct request){.object = cJSON_CreateObject()};
  put(request->object, "command", command);
  if (strcmp(command, "add") == 0)
    make_add(settings, control, request);
  else if (strcmp(command, "log-level") == 0)
    put(request->object, "level", settings->words[1]);
  else
    put(request->object, "name", settings->words[1]);
  if (strcmp(command, "log-level") == 0)
    put(request->object, "name", settings->words[2]);
  if (strcmp(command, "remove") == 0)
    put(request->object, "mode", settings->now ? "now" : "drain");
}

/* ---- The reply ---- */

static char *call(int control, struct request *request) {
  char *text = cJSON_PrintUnformatted(request->object), *reply;
  int rc = text != NULL ? virtiofs_control_call(control, text, request->fds, request->fd_count, &reply) : -ENOMEM;
  if (rc != 0)
    die("no reply", NULL, strerror(-rc));
  cJSON_free(text);
  cJSON_Delete(request->object);
  for (size_t i = 0; i < request->fd_count; i++)
    close(request->fds[i]);
  return reply;
}

static bool is_ok(const cJSON *reply) {
  return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reply, "ok"));
}

static const cJSON *result_of(const cJSON *reply) {
  return cJSON_GetObjectItemCaseSensitive(reply, "result");
}

static void show(const struct settings *settings, const char *text, const cJSON *reply) {
  const cJSON *error = cJSON_GetObjectItemCaseSensitive(reply, "error");
  const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "message"));
  if (settings->json)
    (void)printf("%s\n", text);
  else if (!is_ok(reply))
    (void)fprintf(stderr, PROGRAM ": %s\n", message != NULL ? message : text);
  else if (strcmp(settings->words[0], "list") == 0)
    show_list(result_of(reply));
  else if (strcmp(settings->words[0], "status") == 0 || strcmp(settings->words[0], "version") == 0)
    show_members(result_of(reply));
}

/* Where the sockets of the shares are that the command is about. For cJSON_Delete(). */
static cJSON *find_shares(const struct settings *settings, int control) {
  struct request request = {.object = cJSON_CreateObject()};
  put(request.object, "command", "list");
  put(request.object, "name", settings->words[1]);
  char *text = call(control, &request);
  cJSON *reply = cJSON_Parse(text);
  cJSON *result = cJSON_DetachItemFromObjectCaseSensitive(reply, "result");
  cJSON_Delete(reply);
  free(text);
  return result;
}

/* A server in a sandbox can't take away sockets that were made here. */
static void clean_up(const cJSON *shares) {
  const cJSON *share;
  cJSON_ArrayForEach(share, cJSON_GetObjectItemCaseSensitive(shares, "shares")) {
    const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(share, "socket-path"));
    if (path != NULL)
      (void)virtiofs_control_unlisten(PROGRAM, path);
  }
}

/* The process that made the socket: it is the last to end, if there are several. Return: to poll; -1: unknown. */
static int process_of(int control) {
  struct ucred peer;
  socklen_t len = sizeof(peer);
  if (getsockopt(control, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || peer.pid <= 0)
    return -1;
  return (int)syscall(SYS_pidfd_open, peer.pid, 0);
}

/* It lets go of us when all is done, and then ends. */
static void wait_for_end(int control, int process) {
  struct pollfd end = {.fd = process, .events = POLLIN};
  char byte;
  while (read(control, &byte, 1) > 0)
    continue;
  while (process >= 0 && poll(&end, 1, -1) < 0 && errno == EINTR)
    continue;
}

static int run(const struct settings *settings) {
  struct request request;
  bool stop = strcmp(settings->words[0], "stop") == 0, remove = strcmp(settings->words[0], "remove") == 0;
  bool add_here = strcmp(settings->words[0], "add") == 0 && !settings->by_server && settings->socket_path != NULL;
  int control = virtiofs_control_connect(settings->control);
  if (control < 0)
    die("cannot connect to", settings->control, strerror(-control));
  int process = process_of(control);
  cJSON *shares = stop || remove ? find_shares(settings, control) : NULL;
  make_request(settings, control, &request);
  char *text = call(control, &request);
  cJSON *reply = cJSON_Parse(text);
  bool ok = is_ok(reply);
  show(settings, text, reply);
  if (ok && stop)
    wait_for_end(control, process);
  if (ok)
    clean_up(shares);
  else if (add_here)
    (void)virtiofs_control_unlisten(PROGRAM, settings->socket_path);
  cJSON_Delete(shares);
  cJSON_Delete(reply);
  free(text);
  if (process >= 0)
    close(process);
  close(control);
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- The command line ---- */

static void check(const struct settings *settings) {
  static const struct {
    const char *name;
    int least, most;
  } commands[] = {
      {"add", 2, 2},     {"remove", 2, 2},    {"list", 1, 2}, {"status", 1, 1},
      {"version", 1, 1}, {"log-level", 2, 3}, {"stop", 1, 1},
  };
  if (settings->count == 0)
    die("say what to do: add, remove, list, status, version, log-level or stop", NULL, NULL);
  size_t i = 0;
  while (i < sizeof(commands) / sizeof(commands[0]) && strcmp(commands[i].name, settings->words[0]) != 0)
    i++;
  if (i == sizeof(commands) / sizeof(commands[0]))
    die("there is no command", settings->words[0], NULL);
  if (settings->count < commands[i].least || settings->count > commands[i].most)
    die("too few or too many words for", settings->words[0], NULL);
  bool add = strcmp(settings->words[0], "add") == 0;
  if (!add && (settings->socket_path != NULL || settings->shared_dir != NULL || settings->tag != NULL ||
               settings->by_server || *settings->options != NULL))
    die("only add takes options of a share", NULL, NULL);
  if (settings->now && strcmp(settings->words[0], "remove") != 0)
    die("only remove takes --now", NULL, NULL);
  if (settings->control == NULL || *settings->control == 0)
    die("--control is required", NULL, NULL);
}

int main(int argc, char **argv) {
  static const char doc[] =
      "Add shares to a virtio-fs server and remove them while it runs.\v"
      "Commands: add NAME, remove NAME, list [NAME], status, version, log-level LEVEL [NAME], stop. What follows '--' "
      "after add is options of the share, as the server has them on its command line.";
  static const struct argp argp = {.options = argp_options, .parser = parse, .args_doc = "COMMAND", .doc = doc};
  struct settings settings = {.control = getenv("VIRTIOFS_CONTROL")};
  argp_program_version = PROGRAM " " VIRTIOFS_VERSION_STRING;
  argp_err_exit_status = EXIT_FAILURE;
  settings.options = split_options(&argc, argv);
  if (argp_parse(&argp, argc, argv, 0, NULL, &settings) != 0)
    return EXIT_FAILURE;
  check(&settings);
  return run(&settings);
}
