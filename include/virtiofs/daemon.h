/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A server program around a backend: options, socket, signals. In libvirtiofs-daemon.
 *
 * Every program written with it has the same command line:
 *   --socket-path=PATH   listen there for a front-end (QEMU, cloud-hypervisor, ...)
 *   --socket-group=GROUP and let this group connect
 *   --fd=N               or use this inherited descriptor, a listening UNIX socket; a service manager's
 *                        (LISTEN_FDS) is used where none of these is given
 *   --mountpoint=DIR     or mount the file system on this host, without a virtual machine
 *   --tag=TAG            name under which the guest mounts, for front-ends that ask the device
 *   --queues=N           request queues, 1 .. 64, default 1; threads that read a mount's requests, default 4
 *   --thread-pool-size=N threads for operations that block, 0 .. 64
 *   --log-level=LEVEL    error, warn, info, debug, trace or off
 *   --syslog             lines go to the system's log
 *   --once, --stay       end when the front-end leaves, or wait for the next one
 *   --daemonize          go on in the background once front-ends may connect
 *   --record=FILE        write all messages to FILE: record.h, docs/record-format.md, virtiofs-trace(1)
 *   --record-data=BYTES  how much of what a READ or a WRITE carries is recorded, 0 .. 1 MiB, default 0
 *   --sandbox=MODE       namespace, the default, chroot or none: sandbox.h, docs/security.md; none with --mountpoint
 *   --seccomp=MODE       kill, the default, trap, log or none: a system call that a server has no need of
 *   --rate=ops=N,bytes=N[,burst=MS] requests and bytes a second; more of a guest's wait
 *   --max-inflight=N     requests of one queue that are worked on at once
 *   --modcaps=+A:-B      keep capability A besides those that are needed, and give B up
 *   --rlimit-nofile=N    most open descriptors, default 1,000,000 or what the host allows at most; 0: as it is
 *   --max-inodes=N       files that a guest may know
 *   --max-handles=N      files that a guest may have open
 *   --max-mappings=N     mappings that a guest may have in the DAX window
 *   --metrics=PATH|ADDR  tell what is done as Prometheus text on a UNIX socket, 127.0.0.1:PORT or [::1]:PORT:
 *                        docs/monitoring.md
 *   --control=PATH       add and remove shares while the process runs: docs/control.md, control.h, virtiofs-ctl(1)
 *   --shares=FILE        serve all shares that this file says
 *   --print-capabilities one JSON object on stdout, as docs/interop/vhost-user.json asks
 *   --help, --usage, --version
 * and some of virtiofsd's spellings (docs/virtiofs-passthrough.1 has them all). The server keeps the socket when a
 * front-end leaves and serves the next, unless --once is given or the program's default; a mount ends it when it is
 * taken away. SIGTERM, SIGINT and SIGHUP end it with status 0, and take its mount away; with --once SIGTERM and SIGHUP
 * end it with status 1. SIGUSR1 has it write to the log what it has done so far. A service manager is told when
 * front-ends may connect (NOTIFY_SOCKET).
 */
#ifndef VIRTIOFS_DAEMON_H
#define VIRTIOFS_DAEMON_H

#include <virtiofs/backend.h>
#include <virtiofs/log.h>
#include <virtiofs/metrics.h>
#include <virtiofs/sandbox.h>

#ifdef __cplusplus
extern "C" {
#endif

struct argp;
struct argp_state;

/** One of several shares of a process. The library's, for as long as the share. Newer libraries may have more at the
 * end. */
struct virtiofs_daemon_share_in {
  const char *name; /**< by which the operator knows it */
  int dir_fd; /**< the directory to serve, opened by somebody else, perhaps by O_PATH: by who adds the share, or, where
                   it was the root that @sandbox asked for, on the way into the sandbox; the library's; there when
                   @start is called, and until that has returned; -1: none */
};

/** What becomes of another spelling. */
enum virtiofs_daemon_spelling_kind {
  VIRTIOFS_DAEMON_SPELLING_OLD,     /**< it is the option, and a warning says so */
  VIRTIOFS_DAEMON_SPELLING_ALIAS,   /**< it is the option */
  VIRTIOFS_DAEMON_SPELLING_IGNORED, /**< nothing, and a warning says why */
  VIRTIOFS_DAEMON_SPELLING_REFUSED  /**< the program ends with status 1 and says why */
};

/**
 * Another way to say something on the command line, as launchers know it from another program. It is replaced where it
 * stands before the command line is parsed, so that what comes later still counts.
 */
struct virtiofs_daemon_spelling {
  const char *old;    /**< "--name", "-n", or "-o name" for a word of -o NAME,NAME=VALUE...; with "=" at its end where a
                           value is given with it; not abbreviated; NULL: the table's end */
  const char *option; /**< with OLD and ALIAS: "--name" or "--name=value"; with "=" at its end: the value goes there */
  const char *why;    /**< with IGNORED and REFUSED: the rest of the line */
  enum virtiofs_daemon_spelling_kind kind;
};

/** What a program may add to the common command line. Zero means default. */
struct virtiofs_daemon_config {
  size_t size;             /**< sizeof(struct virtiofs_daemon_config) */
  const char *doc;         /**< one line for --help: what is served; NULL: nothing said */
  const char *version;     /**< for --version, "NAME 1.2"; NULL: the library's; must be constant */
  const struct argp *argp; /**< the program's own options (argp(3)); keys below 0x10000 are the program's; NULL: none */
  void *argp_input;        /**< state->input of @argp's parser */
  const char *const *features; /**< what --print-capabilities lists; NULL-terminated; NULL: nothing */

  /**
   * After the sandbox is entered and before @start: give up what isn't needed from here on. No thread of the library
   * runs yet. The pointer is the one given to virtiofs_daemon_main(). Return 0, or -errno after having said why
   * on stderr or in the log. NULL: nothing to give up.
   */
  int (*isolate)(void *fs, const struct virtiofs_log *log);

  /**
   * After the options are parsed and the socket is made, and before a front-end is served: prepare the file system.
   * *@fs is the pointer given to virtiofs_daemon_main() and may be set to another, which virtiofs_req_fs() gives then.
   * Return 0, or -errno after having said why on stderr; the program then ends with status 1. NULL: nothing to prepare.
   */
  int (*start)(void **fs, const struct virtiofs_log *log);

  /** When everything has ended, with the pointer that start left. May be NULL. Not called if start failed. */
  void (*stop)(void *fs);

  uint64_t max_nodes;   /**< nodes that a guest may hold; 0: 1,048,576 */
  uint64_t max_handles; /**< open files that a guest may hold; 0: 65,536 */

  /**
   * After the options are parsed and the socket is made, and before the sandbox is entered: what the file system needs
   * of the host. @config comes with what the options say; root, read_only, trees, users, groups, network and
   * capabilities may be added, and have to stay as long as the program. No thread of the library runs yet. The pointer
   * is the one given to virtiofs_daemon_main(). What has to be opened by a path on the host is opened here, or by a
   * tree of @config. Return 0, or -errno after having said why on stderr or in the log. NULL: nothing is needed: the
   * server sees an empty directory. With several shares it is called for each that is there from the start, too, with
   * the settings of that one: the root that it asks for becomes its dir_fd. Shares that are added later get no more
   * than what these had.
   */
  int (*sandbox)(void *fs, struct virtiofs_sandbox_config *config);

  /** Inside, before @isolate and @start. @inside: the library's, for as long as the program. NULL: it need not know. */
  void (*entered)(void *fs, const struct virtiofs_sandbox_inside *inside);

  /**
   * A process can have several shares (--shares, --control); each is a file system and a device of its own. This makes
   * the settings of one: *@fs, which is the pointer given to virtiofs_daemon_main(), is to be set to them. That is then
   * the input of @argp's parser for the share's own options, and what @start is given. Options that are for the process
   * as a whole have to be refused there by virtiofs_daemon_option_error(). Return 0 or -errno. Threads: the program's
   * first; @start, @stop and @share_free are called by a thread of the share's own, and several shares' at once. NULL:
   * the program serves the one share that its command line says.
   */
  int (*share_new)(const struct virtiofs_daemon_share_in *in, void **fs);

  /** What share_new() has left in *@fs is not used any more. It may not have been started. May be NULL. */
  void (*share_free)(void *fs);

  const struct virtiofs_daemon_spelling *spellings; /**< other ways to give options, borrowed; NULL: those that every
                                                         program has, which docs/virtiofs-passthrough.1 lists, alone */
  const char *log_env; /**< a variable of the environment that says the log level, as env_logger's do, and wins over
                            --log-level; NULL: none */
  bool once;           /**< end when the front-end leaves unless --stay is given; else --once ends it */

  /**
   * Numbers that --metrics and SIGUSR1 are to tell beside the library's: to be given to virtiofs_metrics_gauge() and
   * _counter(). With the pointer that start left, from after start until before stop, on threads of the library, one at
   * a time. It must not wait. May be NULL.
   */
  void (*metrics)(void *fs, struct virtiofs_metrics *metrics);
};

/**
 * virtiofs_main - a whole server
 * @argc, @argv: main()'s
 * @ops:         the file system; copied
 * @fs:          what virtiofs_req_fs() gives; the caller's, borrowed
 *
 * Makes the process fit for acting for others: umask 0, no supplementary groups if it is root, SIGPIPE and SIGXFSZ
 * ignored; SIGTERM, SIGINT and SIGHUP blocked, as a thread waits for them. Then it goes into its sandbox, which is
 * another process: this one waits for it outside, passes signals on, removes the socket, and never returns.
 *
 * Return, in the process that serves: its exit status: 0, or 1 after one line on stderr that says why.
 * Threads: the program's first; no other may run.
 */
VIRTIOFS_EXPORT int virtiofs_main(int argc, char **argv, const struct virtiofs_ops *ops, void *fs);

/**
 * virtiofs_daemon_main - the same for a program with options of its own
 * @config: borrowed; NULL: as virtiofs_main()
 *
 * Return and threads: as virtiofs_main().
 */
VIRTIOFS_EXPORT int virtiofs_daemon_main(int argc, char **argv, const struct virtiofs_ops *ops, void *fs,
                                         const struct virtiofs_daemon_config *config);

/**
 * virtiofs_daemon_option_error - what is wrong with an option, for the parser of a program's own options
 * @state:  the parser's
 * @format: as printf's, one line without the program's name and without a newline
 *
 * Says it on stderr and ends the process with status 1; or, if the options are those of a share that is added while
 * others are served, says it to whoever wants to add it and returns. A program whose parser ends the process itself
 * can't have several shares.
 *
 * Return: EINVAL, which is for the parser to return. Threads: the parser's.
 */
VIRTIOFS_EXPORT int virtiofs_daemon_option_error(const struct argp_state *state, const char *format, ...)
    VIRTIOFS_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif

#endif
