/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A server program around a backend: options, socket, signals. In libvirtiofs-daemon.
 *
 * Every program written with it has the same command line:
 *   --socket-path=PATH   listen there for a front-end (QEMU, cloud-hypervisor, ...)
 *   --fd=N               or use this inherited descriptor, a listening UNIX socket
 *   --mountpoint=DIR     or mount the file system on this host, without a virtual machine
 *   --tag=TAG            name under which the guest mounts, for front-ends that ask the device
 *   --queues=N           request queues, 1 .. 64, default 1; threads that read a mount's requests, default 4
 *   --thread-pool-size=N threads for operations that block, 0 .. 64
 *   --log-level=LEVEL    error, warn, info, debug or trace
 *   --record=FILE        write all messages to FILE: record.h, docs/record-format.md, virtiofs-trace(1)
 *   --record-data=BYTES  how much of what a READ or a WRITE carries is recorded, 0 .. 1 MiB, default 0
 *   --sandbox=MODE       namespace, the default, chroot or none: sandbox.h, docs/security.md; none with --mountpoint
 *   --print-capabilities one JSON object on stdout, as docs/interop/vhost-user.json asks
 *   --help, --usage, --version
 * The server keeps the socket when a front-end leaves and serves the next; a mount ends it when it is taken
 * away. SIGTERM, SIGINT and SIGHUP end it with status 0, and take its mount away.
 */
#ifndef VIRTIOFS_DAEMON_H
#define VIRTIOFS_DAEMON_H

#include <virtiofs/backend.h>
#include <virtiofs/log.h>
#include <virtiofs/sandbox.h>

#ifdef __cplusplus
extern "C" {
#endif

struct argp;

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
   * of the host. @config comes with what the options say; root, read_only, trees, users, groups and network may be
   * added, and have to stay as long as the program. No thread of the library runs yet. The pointer is the one given to
   * virtiofs_daemon_main(). What has to be opened by a path on the host is opened here, or by a tree of @config. Return
   * 0, or -errno after having said why on stderr or in the log. NULL: nothing is needed: the server sees an empty
   * directory.
   */
  int (*sandbox)(void *fs, struct virtiofs_sandbox_config *config);

  /** Inside, before @isolate and @start. @inside: the library's, for as long as the program. NULL: it need not know. */
  void (*entered)(void *fs, const struct virtiofs_sandbox_inside *inside);
};

/**
 * virtiofs_main - a whole server
 * @argc, @argv: main()'s
 * @ops:         the file system; copied
 * @fs:          what virtiofs_req_fs() gives; the caller's, borrowed
 *
 * Makes the process fit for acting for others: umask 0, no supplementary groups if it is root, as many descriptors as
 * the hard limit allows, SIGPIPE and SIGXFSZ ignored; SIGTERM, SIGINT and SIGHUP blocked, as a thread waits for them.
 * Then it goes into its sandbox, which is another process: this one waits for it outside, passes signals on, removes
 * the socket, and never returns.
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

#ifdef __cplusplus
}
#endif

#endif
