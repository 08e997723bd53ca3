/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The driver side: speaks to a virtio-fs device as a front-end and a guest do, without a virtual machine.
 *
 * A client connects to a vhost-user socket, or takes a device of this process, gives it memory and rings, and sends
 * FUSE requests:
 *
 *   virtiofs_client_new(&client, &config);
 *   virtiofs_client_init(client, NULL, NULL);
 *   req = virtiofs_client_request_take(client, 1);
 *   req->fuse.header.opcode = VIRTIOFS_FUSE_GETATTR;
 *   req->fuse.in.getattr.node = VIRTIOFS_FUSE_ROOT;
 *   rc = virtiofs_client_request_run(req);               // req->out.attr
 *   virtiofs_client_request_give(req);
 *
 * Many may be in flight: virtiofs_client_request_send() many, and virtiofs_client_wait() until they are done. Below
 * that are calls: messages of anybody's making, for who forwards them. The device is not trusted: it may hang up, lie
 * or never answer, and that is an error within the time that the caller sets.
 *
 * Queue 0 has the high priority: only FORGET, BATCH_FORGET and INTERRUPT go there. 1 and on are request queues.
 *
 * Threads: each queue is used by one thread at a time; different ones may be used by different threads at once.
 * Specification: virtio 1.3, 5.11; vhost-user.
 */
#ifndef VIRTIOFS_CLIENT_H
#define VIRTIOFS_CLIENT_H

#include <stdbool.h>

#include <virtiofs/dax.h>
#include <virtiofs/fuse.h>
#include <virtiofs/log.h>
#include <virtiofs/transport.h>
#include <virtiofs/virtq.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Longest name of a device in bytes, without a NUL. */
#define VIRTIOFS_CLIENT_TAG_MAX 36U

/** Nodeid of the root. */
#define VIRTIOFS_FUSE_ROOT UINT64_C(1)

/* ---- a connection ---- */

/** A connection to a device. Opaque. */
struct virtiofs_client;

/** How a client is made. Zero means default. */
struct virtiofs_client_config {
  size_t size;             /**< sizeof(struct virtiofs_client_config) */
  const char *socket_path; /**< where the device listens; NULL: @fd is used */
  int fd; /**< a connected UNIX stream socket; taken, also after an error; only if @socket_path is NULL */
  uint32_t request_queues; /**< 1 .. 64; 0: 1 */
  uint32_t queue_size;     /**< descriptors of each ring, 8 .. 1024, a power of two; 0: 128 */
  uint32_t requests;       /**< requests that virtiofs_client_request_take() has, of each queue, 1 .. 256; 0: 16 */
  uint32_t max_data;       /**< file contents in one request, in bytes, 4096 .. 1 MiB; 0: 1 MiB */
  size_t memory;           /**< bytes for virtiofs_client_alloc(), up to 2^32 */
  uint64_t features; /**< VIRTIOFS_VIRTQ_F_... that are used if the device has them; 0: INDIRECT_DESC and EVENT_IDX */
  bool poll;         /**< virtiofs_client_wait() looks without sleeping, and the device need not notify */
  int timeout_ms;    /**< how long the device may take for anything; 0: 10000; negative: for ever */
  /**
   * A device in this process instead, and what it is called with; @socket_path and @fd are not used. The device works
   * on the thread that uses the queue, within virtiofs_client_kick(), _process() and _arm() and what calls them. It
   * must outlive the client, and serves nobody else meanwhile.
   */
  const struct virtiofs_transport *transport;
  void *device;        /**< for example of virtiofs_device_new(), with virtiofs_device_transport() */
  bool window;         /**< use the device's DAX window, if it has one */
  uint64_t window_len; /**< of a device in this process, which is given one of so many bytes; 0: 1 GiB */
};

/**
 * virtiofs_client_new - connect, agree on features, give memory, start the rings
 * @out:    NULL after an error
 * @config: copied
 *
 * Return: 0; -EINVAL if something is out of range; -E2BIG if @config is of a newer library and uses it; what connect(2)
 * says; -ENOTSUP if the device is not of virtio 1 or has too few queues; -ETIMEDOUT; -ECONNRESET; -EPROTO if it broke
 * the protocol; -EREMOTEIO if it refused something; -ENOMEM; -errno. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_new(struct virtiofs_client **out,
                                                          const struct virtiofs_client_config *config);

/**
 * virtiofs_client_free - hang up
 *
 * What is in flight is forgotten: no done function is called. All memory that came from the client is gone. NULL is
 * fine. Threads: any, once, while no queue is used.
 */
VIRTIOFS_EXPORT void virtiofs_client_free(struct virtiofs_client *client);

/**
 * virtiofs_client_reconnect - begin again with the device that listens there now
 *
 * After the connection broke, or at any time: what is in flight is done with -ECONNRESET first. Memory, requests and
 * features stay; nodes and handles of before mean nothing any more, so views by path have to be freed before, and
 * virtiofs_client_init() has to be called again. The old device must not write to the memory any more, as one that has
 * hung up doesn't.
 *
 * Return: as virtiofs_client_new(); -EINVAL for a client that was given a descriptor; -ENOTSUP also if this device
 * lacks a feature that the other had. After an error the client stays broken, and it may be tried again. Threads: one,
 * while no queue is used.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_reconnect(struct virtiofs_client *client);

/** virtiofs_client_features - what was agreed on: VIRTIOFS_VIRTQ_F_... Threads: any. */
VIRTIOFS_EXPORT uint64_t virtiofs_client_features(const struct virtiofs_client *client);

/**
 * virtiofs_client_tag - the device's name
 * @tag: filled, terminated
 *
 * Return: 0; -ENOTSUP if the device doesn't tell: then the front-end has one. What virtiofs_client_new() says of the
 * connection. Threads: one at a time.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_tag(struct virtiofs_client *client,
                                                          char tag[VIRTIOFS_CLIENT_TAG_MAX + 1]);

/**
 * virtiofs_client_alloc - memory that the device can see
 * @bytes: rounded up to pages
 *
 * Return: zeroed and aligned to a page; NULL if @config->memory is used up. Lifetime: the client's, it can't be given
 * back. Threads: any, one at a time.
 */
VIRTIOFS_EXPORT void *virtiofs_client_alloc(struct virtiofs_client *client, size_t bytes);

/**
 * virtiofs_client_window - the DAX window
 * @len: gets its bytes; may be NULL
 *
 * What SETUPMAPPING maps at an offset is at that offset from here; host_window.h says what else there is. Mappings are
 * made within virtiofs_client_process() and _wait() of any queue.
 *
 * Return: its first byte; NULL if there is none. Lifetime: until virtiofs_client_reconnect(), after which it is
 * another, or _free(). Threads: any.
 */
VIRTIOFS_EXPORT void *virtiofs_client_window(const struct virtiofs_client *client, uint64_t *len);

/* ---- file contents by the window ---- */

/** Files in the window, of one queue. Opaque; used by the thread that uses the queue. */
struct virtiofs_client_dax;

/** A part of a file in this process's memory. */
struct virtiofs_client_dax_range {
  void *addr;                      /**< of the byte that was asked for */
  uint64_t len;                    /**< bytes from there to the end of the chunk */
  struct virtiofs_dax_chunk chunk; /**< where it lies */
};

/**
 * virtiofs_client_dax_new - begin with an empty window
 * @queue: for SETUPMAPPING and REMOVEMAPPING
 * @shift: log2 of how much of a file is mapped at once; 0: 21, which is 2 MiB
 *
 * The whole window is its own: one for a client. It ends with the mount: after virtiofs_client_init() or _reconnect()
 * it has to be made anew. Return: 0; -ENOTSUP without a window, or if the device wants larger pieces; -ENOMEM; -EINVAL.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_dax_new(struct virtiofs_client_dax **out,
                                                              struct virtiofs_client *client, uint32_t queue,
                                                              uint32_t shift);

/** virtiofs_client_dax_free - NULL is fine. What is mapped stays so until the mount ends. */
VIRTIOFS_EXPORT void virtiofs_client_dax_free(struct virtiofs_client_dax *dax);

/**
 * virtiofs_client_dax_read, _write - copy from a file, or to it, with no message where it is mapped already
 * @node:   a regular file's nodeid
 * @offset: bytes
 * @size:   bytes; the range must lie in the file as it is now
 *
 * Bytes past the end of the file aren't there: whoever touches them gets SIGBUS, and so does who is overtaken by
 * somebody that cuts the file. A file grows by WRITE or SETATTR. What is written is durable after FSYNC.
 *
 * Return: @size; fewer if a later chunk could not be mapped; what SETUPMAPPING said; -EBUSY if all chunks are used.
 */
VIRTIOFS_EXPORT int64_t virtiofs_client_dax_read(struct virtiofs_client_dax *dax, uint64_t node, uint64_t offset,
                                                 void *buf, size_t size);
VIRTIOFS_EXPORT int64_t virtiofs_client_dax_write(struct virtiofs_client_dax *dax, uint64_t node, uint64_t offset,
                                                  const void *buf, size_t size);

/**
 * virtiofs_client_dax_map - a pointer to a part of a file
 * @out: filled; stays good until virtiofs_client_dax_unmap(), and keeps its chunk from being used for others
 *
 * Return: 0; as above; -EBUSY also if it is in use for reading and is to be written.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_dax_map(struct virtiofs_client_dax *dax, uint64_t node,
                                                              uint64_t offset, bool writable,
                                                              struct virtiofs_client_dax_range *out);

/** virtiofs_client_dax_unmap - the pointer isn't used any more. No message is sent. */
VIRTIOFS_EXPORT void virtiofs_client_dax_unmap(struct virtiofs_client_dax *dax,
                                               const struct virtiofs_client_dax_range *range);

/**
 * virtiofs_client_dax_forget - unmap what nobody uses of a file; before FORGET of its node
 *
 * Return: 0 or what REMOVEMAPPING said.
 */
VIRTIOFS_EXPORT int virtiofs_client_dax_forget(struct virtiofs_client_dax *dax, uint64_t node);

/* ---- calls: messages of anybody's making ---- */

struct virtiofs_client_call;

/**
 * virtiofs_client_done_fn - a call is over
 * @used: bytes that the device says it has written; -errno if the connection broke, and then the device may still write
 *
 * Threads: the one that uses the queue, in virtiofs_client_process() or _wait(). It may submit.
 */
typedef void virtiofs_client_done_fn(struct virtiofs_client_call *call, int64_t used);

/** A message. The caller's, and left alone until it is done. */
struct virtiofs_client_call {
  const struct iovec *in;  /**< the request, in memory of virtiofs_client_alloc() */
  const struct iovec *out; /**< room for the reply, there too */
  uint32_t in_count, out_count;
  virtiofs_client_done_fn *done;
  struct virtiofs_client_call *next, *prev; /**< the library's */
};

/**
 * virtiofs_client_submit - put a call into a ring; seen by the device after virtiofs_client_kick()
 * @queue: 0 .. the number of request queues
 *
 * Return: 0; -ENOSPC if the ring is full: kick, and wait for one to be done; -EINVAL if a piece is not in the client's
 * memory, or there are more pieces than a ring has; the error that broke the connection. It is not done after an error.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_submit(struct virtiofs_client *client, uint32_t queue,
                                                             struct virtiofs_client_call *call);

/** virtiofs_client_kick - show the device what was submitted. */
VIRTIOFS_EXPORT void virtiofs_client_kick(struct virtiofs_client *client, uint32_t queue);

/**
 * virtiofs_client_process - call done for what the device has answered; doesn't wait
 *
 * Return: how many; the error that broke the connection, if none: done was called for all that was in flight, then or
 * before.
 */
VIRTIOFS_EXPORT int virtiofs_client_process(struct virtiofs_client *client, uint32_t queue);

/**
 * virtiofs_client_wait - the same, but waits for one at least; kicks before
 *
 * Return: as above; 0 if nothing is in flight.
 */
VIRTIOFS_EXPORT int virtiofs_client_wait(struct virtiofs_client *client, uint32_t queue);

/**
 * virtiofs_client_fd - a descriptor for poll(2), readable when virtiofs_client_process() may have something to do
 *
 * To be used with virtiofs_client_arm(). -1 if the client polls. Lifetime: the client's; don't close it.
 */
VIRTIOFS_EXPORT int virtiofs_client_fd(const struct virtiofs_client *client, uint32_t queue);

/** virtiofs_client_arm - ask for a notification. Return: true if there is something already: don't sleep. */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE bool virtiofs_client_arm(struct virtiofs_client *client, uint32_t queue);

/** virtiofs_client_connection_fd - the socket, for poll(2): it becomes readable only when the device hangs up. -1 for a
 * device of this process. */
VIRTIOFS_EXPORT int virtiofs_client_connection_fd(const struct virtiofs_client *client);

/** virtiofs_client_in_flight - calls of a queue that are not done. */
VIRTIOFS_EXPORT uint32_t virtiofs_client_in_flight(const struct virtiofs_client *client, uint32_t queue);

/* ---- FUSE requests ---- */

struct virtiofs_client_request;

/** A request is over; the thread that uses the queue. It may send, also the same one. */
typedef void virtiofs_client_request_fn(struct virtiofs_client_request *req);

/**
 * A request. The caller sets @fuse.header's opcode, uid, gid and pid, @fuse.in, and where there is some @data; then it
 * is sent, and @error and @out are set.
 */
struct virtiofs_client_request {
  struct virtiofs_fuse_request fuse; /**< header and arguments, with nodeids and handles as the server gave them */
  /**
   * Contents, values and records: those of WRITE, SETXATTR, IOCTL, BATCH_FORGET and NOTIFY_REPLY as the request says,
   * before; those of READ, READDIR, READDIRPLUS, READLINK, GETXATTR, LISTXATTR and IOCTL as the reply says, after.
   * @max_data bytes that the device may change at any time.
   */
  void *data;
  union virtiofs_fuse_out out;
  int error;                        /**< 0 or -errno: what the server said, or the error that broke the connection */
  virtiofs_client_request_fn *done; /**< NULL: nobody is told */
  void *user;                       /**< the caller's */

  /* The library's. */
  struct virtiofs_client_call call;
  struct virtiofs_client *client;
  uint32_t queue;
  bool in_flight;
  unsigned char *head, *reply;
  struct iovec iov[4];
};

/**
 * virtiofs_client_init - begin a mount: INIT
 * @offer: what to say; NULL: all that Linux offers
 * @got:   what was agreed on; may be NULL
 *
 * Ends the mount before it. Return: 0; what the server said; -EPROTO if its reply makes no sense; the error that broke
 * the connection. Threads: one, while no queue is used.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_init(struct virtiofs_client *client,
                                                           const struct virtiofs_fuse_init_in *offer,
                                                           struct virtiofs_fuse_init_out *got);

/** virtiofs_client_proto - what INIT agreed on. Lifetime: the client's. */
VIRTIOFS_EXPORT const struct virtiofs_fuse_proto *virtiofs_client_proto(const struct virtiofs_client *client);

/** virtiofs_client_request_take - a request of a queue; NULL if all are taken. Its fields are zero but for @data. */
VIRTIOFS_EXPORT struct virtiofs_client_request *virtiofs_client_request_take(struct virtiofs_client *client,
                                                                             uint32_t queue);

/** virtiofs_client_request_give - give it back; it is not in flight. */
VIRTIOFS_EXPORT void virtiofs_client_request_give(struct virtiofs_client_request *req);

/**
 * virtiofs_client_request_send - submit it; virtiofs_client_kick() shows it to the device
 *
 * Return: 0; -EINVAL and -ENOSYS for what can't be sent; -EMSGSIZE for more data than max_data; what
 * virtiofs_client_submit() says. After an error @done is not called.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_request_send(struct virtiofs_client_request *req);

/**
 * virtiofs_client_request_run - send it and wait for its end
 *
 * Others of the queue may be done meanwhile. Return: @req->error, or what virtiofs_client_request_send() says.
 */
VIRTIOFS_EXPORT int virtiofs_client_request_run(struct virtiofs_client_request *req);

/* ---- files by path ---- */

/**
 * A view of what a client has mounted, by path: walks names, follows links, and keeps what the server lets it keep.
 * Opaque. For one thread at a time, with a request queue of its own and a request to spare; several views share queue 0
 * among them, which nobody else may use meanwhile. Paths are relative to the root of the mount, whether or not they
 * begin with '/'.
 */
struct virtiofs_client_fs;

/** An open file or directory. Opaque. */
struct virtiofs_client_file;

/**
 * virtiofs_client_fs_new - a view
 * @queue:   a request queue, which the view uses alone
 * @entries: names that it remembers at most, 16 .. 65536; 0: 1024
 *
 * After virtiofs_client_init(). Return: 0; -EINVAL; -EBUSY if no request is to spare; -ENOMEM. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_fs_new(struct virtiofs_client_fs **out,
                                                             struct virtiofs_client *client, uint32_t queue,
                                                             uint32_t entries);

/** virtiofs_client_fs_free - give back all nodes; files must be closed before; NULL is fine. */
VIRTIOFS_EXPORT void virtiofs_client_fs_free(struct virtiofs_client_fs *fs);

/** virtiofs_client_fs_caller - who asks from now on; the superuser at first. The server decides what that means. */
VIRTIOFS_EXPORT void virtiofs_client_fs_caller(struct virtiofs_client_fs *fs, uint32_t uid, uint32_t gid, uint32_t pid);

/*
 * All of these return 0 or -errno: what the server says; -ENOENT, -ENOTDIR, -ELOOP (more than 40 links) and
 * -ENAMETOOLONG as the kernel finds them on its way; the error that broke the connection.
 */

/** virtiofs_client_fs_stat - attributes; @follow: of what a link at the end points to. */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_fs_stat(struct virtiofs_client_fs *fs, const char *path,
                                                              bool follow, struct virtiofs_attr *attr);

/** virtiofs_client_fs_readlink - a link's target, terminated and cut off at @size bytes. */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_fs_readlink(struct virtiofs_client_fs *fs, const char *path,
                                                                  char *target, size_t size);

VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_fs_mkdir(struct virtiofs_client_fs *fs, const char *path,
                                                               uint32_t mode);
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_fs_rmdir(struct virtiofs_client_fs *fs, const char *path);
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_fs_unlink(struct virtiofs_client_fs *fs, const char *path);
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_fs_symlink(struct virtiofs_client_fs *fs, const char *target,
                                                                 const char *path);
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_fs_rename(struct virtiofs_client_fs *fs, const char *from,
                                                                const char *to);

/** virtiofs_client_fs_truncate - make a file @size bytes long. */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_fs_truncate(struct virtiofs_client_fs *fs, const char *path,
                                                                  uint64_t size);

/**
 * virtiofs_client_fs_open - open a file or a directory
 * @out:   NULL after an error
 * @flags: open(2)'s: the access mode, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW
 * @mode:  permissions of a file that is made
 *
 * Lifetime: until virtiofs_client_fs_close(), before the view's end.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_fs_open(struct virtiofs_client_fs *fs,
                                                              struct virtiofs_client_file **out, const char *path,
                                                              int flags, uint32_t mode);

/** virtiofs_client_fs_close - flush and close; the file is gone after an error too. */
VIRTIOFS_EXPORT int virtiofs_client_fs_close(struct virtiofs_client_file *file);

/**
 * virtiofs_client_fs_pread, virtiofs_client_fs_pwrite - contents, as many requests as it takes
 *
 * Return: bytes read, less than asked for only at the end of the file; bytes written, less only after an error; -errno
 * if none.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int64_t virtiofs_client_fs_pread(struct virtiofs_client_file *file, void *buf,
                                                                   size_t size, uint64_t offset);
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int64_t virtiofs_client_fs_pwrite(struct virtiofs_client_file *file, const void *buf,
                                                                    size_t size, uint64_t offset);

/** virtiofs_client_fs_fsync - until all that was written will be there after a power failure. */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_fs_fsync(struct virtiofs_client_file *file, bool data_only);

/** One name of a directory. Return: false to stop. It must not use the view. */
typedef bool virtiofs_client_fs_name_fn(void *ctx, const struct virtiofs_dirent *entry);

/** virtiofs_client_fs_list - all names of an open directory, "." and ".." among them if the server has them. */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_client_fs_list(struct virtiofs_client_file *dir,
                                                              virtiofs_client_fs_name_fn *fn, void *ctx);

#ifdef __cplusplus
}
#endif

#endif
