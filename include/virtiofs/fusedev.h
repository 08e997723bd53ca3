/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A mount on this host: the kernel's requests from /dev/fuse, as messages.
 *
 * A mount has channels. A channel is read by one thread and gives messages as a virtqueue does; what is done with them
 * is up to the reader: a session (virtiofs_device_mount() of device.h does all of it), or another device's queue.
 *
 *   virtiofs_fusedev_new(&mount, &config);
 *   virtiofs_fusedev_channel_new(&channel, mount);
 *   poll(virtiofs_fusedev_channel_fd(channel)), then
 *   while ((rc = virtiofs_fusedev_read(channel, &msg)) > 0)
 *     hand msg on; whoever has filled msg->out calls virtiofs_message_complete(msg, used)
 *
 * Needs CAP_SYS_ADMIN, for mount(2). Specification: linux/fuse.h; Documentation/filesystems/fuse.rst of Linux.
 */
#ifndef VIRTIOFS_FUSEDEV_H
#define VIRTIOFS_FUSEDEV_H

#include <stdbool.h>

#include <virtiofs/log.h>
#include <virtiofs/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A mount. Opaque. */
struct virtiofs_fusedev;

/** One way to its requests. Opaque. */
struct virtiofs_fusedev_channel;

/** How a mount is made. Zero means default. */
struct virtiofs_fusedev_config {
  size_t size;            /**< sizeof(struct virtiofs_fusedev_config) */
  const char *mountpoint; /**< a directory; required */
  const char *source;     /**< what /proc/mounts shows first, without ','; NULL: "virtiofs" */
  uint32_t max_write;     /**< largest READ and WRITE in bytes that there will be, 4096 .. 1 MiB; 0: 1 MiB */
  uint32_t message_data;  /**< bytes of the reader's own for each message, up to 1 MiB; zero before its first use */
  uint32_t messages;      /**< most messages of one channel that are in flight, 1 .. 1024; 0: 64 */
  bool read_only;         /**< the kernel refuses what would change something */
  bool private_mount;     /**< only for the user who mounts; else for all, by the files' permissions */
  bool devices;           /**< device nodes work; else MS_NODEV */
  bool set_id;            /**< set-user-ID bits count; else MS_NOSUID */
  /**
   * Where the bytes of a message are to lie, for who hands them on to somebody that sees only some memory: @bytes, at a
   * page, for as long as there is a channel; NULL if there is none. Called by the thread that reads, once for each
   * message. NULL: memory of the library's own.
   */
  void *(*pages)(void *ctx, size_t bytes);
  void *pages_ctx;
};

/**
 * virtiofs_fusedev_new - mount
 * @out:    NULL after an error
 * @config: copied
 *
 * The kernel checks permissions by the attributes (default_permissions), as it does for virtio-fs. Its first request,
 * INIT, is there to be read at once.
 *
 * Return: 0; -EINVAL if something is out of range; -E2BIG if @config is of a newer library and uses it; -ENOTDIR;
 * -EPERM; -ENOMEM; what open(2), stat(2) and mount(2) say. Nothing is mounted then. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_fusedev_new(struct virtiofs_fusedev **out,
                                                           const struct virtiofs_fusedev_config *config);

/**
 * virtiofs_fusedev_unmount - take the mount away
 *
 * Channels must still be served: the kernel may have to ask before. If somebody uses a file there, the mount goes from
 * the tree at once and the connection stays until he is done, or until virtiofs_fusedev_free().
 *
 * Return: 0, and then virtiofs_fusedev_read() will say -ENODEV; -EBUSY if it is in use; -EINVAL if it was not there any
 * more; -errno. Threads: any, but not the one that reads the only channel.
 */
VIRTIOFS_EXPORT int virtiofs_fusedev_unmount(struct virtiofs_fusedev *mount);

/**
 * virtiofs_fusedev_free - end the connection
 *
 * Unmounts if virtiofs_fusedev_unmount() wasn't called. Whoever still uses a file there gets ENOTCONN. All channels are
 * freed. NULL is fine. Threads: any, once.
 */
VIRTIOFS_EXPORT void virtiofs_fusedev_free(struct virtiofs_fusedev *mount);

/**
 * virtiofs_fusedev_channel_new - another way to the requests of a mount, so that threads don't wait for each other
 * @out: NULL after an error
 *
 * Return: 0; -ENOMEM; -errno. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_fusedev_channel_new(struct virtiofs_fusedev_channel **out,
                                                                   struct virtiofs_fusedev *mount);

/**
 * virtiofs_fusedev_channel_close - read no more
 *
 * Replies to messages that are in flight go nowhere; their storage stays. Threads: the channel's, and none completes a
 * message meanwhile.
 */
VIRTIOFS_EXPORT void virtiofs_fusedev_channel_close(struct virtiofs_fusedev_channel *channel);

/** virtiofs_fusedev_channel_free - no message is in flight; NULL is fine. Threads: any, once. */
VIRTIOFS_EXPORT void virtiofs_fusedev_channel_free(struct virtiofs_fusedev_channel *channel);

/**
 * virtiofs_fusedev_channel_fd - a descriptor that poll(2) finds readable when there is a request
 *
 * Lifetime: the channel's; don't read or close it. Threads: any.
 */
VIRTIOFS_EXPORT int virtiofs_fusedev_channel_fd(const struct virtiofs_fusedev_channel *channel);

/**
 * virtiofs_fusedev_read - take one request; doesn't wait
 * @msg: a message with room for the largest reply; complete() writes it and gives the storage back
 *
 * Return: 1; 0 if there is none now; -ENOBUFS if all messages are in flight: try again when one is completed; -ENODEV
 * when the mount is gone; -errno if the connection is broken. Threads: one at a time for one channel.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_fusedev_read(struct virtiofs_fusedev_channel *channel,
                                                            struct virtiofs_message **msg);

/** virtiofs_fusedev_message_data - the reader's own bytes; of the config's size, aligned as for malloc(). */
VIRTIOFS_EXPORT void *virtiofs_fusedev_message_data(struct virtiofs_message *msg);

/**
 * virtiofs_fusedev_reply - the first half of completing: write the reply
 * @used: bytes of it; 0: none is written
 *
 * For readers that keep the storage for longer: they set @msg->complete to a function of their own, which calls this
 * and later virtiofs_fusedev_message_free(). Threads: any.
 */
VIRTIOFS_EXPORT void virtiofs_fusedev_reply(struct virtiofs_message *msg, size_t used);

/** virtiofs_fusedev_message_free - the second half: give the storage back to the channel. Threads: any. */
VIRTIOFS_EXPORT void virtiofs_fusedev_message_free(struct virtiofs_message *msg);

#ifdef __cplusplus
}
#endif

#endif
