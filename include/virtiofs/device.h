/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * One virtio-fs device: behind a vhost-user socket, mounted on this host, or in the caller's own process.
 *
 * virtiofs_device_new(), then one of
 *   - virtiofs_device_serve() for each front-end that connects,
 *   - virtiofs_device_mount(),
 *   - virtiofs_device_attach() and what stands with it, for a VMM: no thread and no socket, the caller's own event
 * loop, then virtiofs_device_free(). Who only wants a program takes virtiofs_main() (daemon.h), which does that.
 *
 * Specification: virtio 1.3, 5.11; vhost-user.
 */
#ifndef VIRTIOFS_DEVICE_H
#define VIRTIOFS_DEVICE_H

#include <virtiofs/backend.h>
#include <virtiofs/fusedev.h>
#include <virtiofs/log.h>
#include <virtiofs/message.h>
#include <virtiofs/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Longest tag in bytes. */
#define VIRTIOFS_TAG_MAX 36U
/** Most request queues of a device. */
#define VIRTIOFS_REQUEST_QUEUES_MAX 64U

/** A device. Opaque. */
struct virtiofs_device;

/**
 * Who is shown each message of a device on its way in and out, for records and statistics.
 *
 * Both are called on the thread of the message's queue, which does nothing else meanwhile; those of different queues at
 * once. A mount has no queues: there a request's thread is one of those that read, and the reply's is whichever
 * answers. They must not block for long, must not change the message, and must not call into the device. The bytes are
 * the guest's, who may change them at any time, before, while and after they are looked at: what is seen here need not
 * be what was acted on, and must not be trusted.
 */
struct virtiofs_tap {
  size_t size; /**< sizeof(struct virtiofs_tap) */

  /**
   * A request has been taken from the ring, and nothing of it has been looked at: it may be anything.
   * @ctx:   virtiofs_device_config.tap_ctx
   * @queue: 0: the high-priority queue; 1 ..: request queues; of a mount: which thread has read it, 1 ..
   * @msg:   valid during the call
   * Return: anything; reply() is given it. Required.
   */
  uint64_t (*request)(void *ctx, uint32_t queue, const struct virtiofs_message *msg);

  /**
   * The request goes back to the guest, right after this call. Once for each request, also when the driver has taken
   * the ring away meanwhile.
   * @msg:   the same one, whose @in array means nothing any more; the reply is the first @used bytes of its @out. Valid
   *         during the call
   * @used:  bytes of the reply; 0 if there is none (FORGET, no room for a reply)
   * @token: what request() has returned
   * Required.
   */
  void (*reply)(void *ctx, uint32_t queue, const struct virtiofs_message *msg, size_t used, uint64_t token);
};

#define VIRTIOFS_POLL_DEFAULT 100U
#define VIRTIOFS_POLL_MAX 1000000U
#define VIRTIOFS_POLL_NONE UINT32_MAX

/**
 * How a device is made. Zero means default.
 *
 * Rates are those of all request queues together. A queue from which nothing may be taken yet is left alone; nothing
 * else waits for it: not the high-priority queue, other devices, or what was taken before. A request is taken where
 * there is something left for one, and for one that is larger than that it is waited afterwards. Until INIT is answered
 * a guest doesn't wait for bytes that it had before. Of a mount all requests wait alike.
 */
struct virtiofs_device_config {
  size_t size;                    /**< sizeof(struct virtiofs_device_config) */
  const struct virtiofs_ops *ops; /**< the file system; required; copied */
  void *fs;                       /**< virtiofs_req_fs(); borrowed until the device is freed */
  const char *tag;                /**< 1 .. 36 bytes of UTF-8; NULL: the front-end has its own */
  uint32_t request_queues;        /**< 1 .. VIRTIOFS_REQUEST_QUEUES_MAX; 0: 1 */
  uint32_t pool_threads;          /**< threads for blocking operations, 0 .. 64; 0: they run on the queue's worker */
  uint32_t max_write;             /**< largest READ and WRITE in bytes, 4096 .. 1 MiB; 0: 1 MiB */
  uint32_t drain_ms;              /**< how long a stopping queue waits for requests that can be given up; 0: 5000 */
  /** How long a queue's worker goes on looking for requests before it sleeps, in microseconds, while they come that
   * soon; up to 1,000,000; 0: VIRTIOFS_POLL_DEFAULT; VIRTIOFS_POLL_NONE: it sleeps at once */
  uint32_t poll_us;
  uint64_t max_nodes;    /**< nodes that the guest may hold, up to 2^27; 0: 1,048,576; beyond: ENFILE */
  uint64_t max_handles;  /**< open files that the guest may hold, up to 2^27; 0: 65,536; beyond: ENFILE */
  uint64_t window_len;   /**< of the DAX window that is offered to front-ends, in bytes, a multiple of 4096; 0: none */
  uint32_t max_mappings; /**< that a guest may have in the window, up to VIRTIOFS_DAX_MAPPINGS_MAX; 0: 65,536 */
  struct virtiofs_log log;        /**< where to speak; copied */
  const struct virtiofs_tap *tap; /**< who is shown the messages; copied; NULL: nobody, which costs nothing */
  void *tap_ctx;                  /**< passed to the functions of @tap; borrowed until the device is freed */
  uint32_t max_in_flight; /**< requests of one queue that are taken and not answered, up to 1024; 0: as many as it
                             holds. More wait in the ring. The high-priority queue has no limit. What waits for
                             something that another request has to bring must leave room for that */
  uint64_t rate_ops;      /**< requests a second, up to 10,000,000; 0: any. More wait in the ring; see also below */
  uint64_t rate_bytes;    /**< bytes a second of requests and replies together, 1024 .. 2^50; 0: any */
  uint32_t rate_burst_ms; /**< so much of a time without requests may be made up for, up to 60,000; 0: 100 */
  bool timed;             /**< measure how long requests take (stats.h): the clock is read once or twice for each */
};

/**
 * virtiofs_device_new - make a device
 * @out:    NULL after an error
 * @config: copied
 *
 * Starts no thread. Return: 0; -EINVAL if something is out of range or missing; -E2BIG if @config, its ops or its tap
 * are of a newer library and use it; -ENOMEM; -EMFILE. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_device_new(struct virtiofs_device **out,
                                                          const struct virtiofs_device_config *config);

/**
 * virtiofs_device_serve - serve one front-end until it goes away
 * @dev:     serves nobody now
 * @take_fd: a connected UNIX stream socket; belongs to the device and is closed, also after an error
 *
 * The calling thread becomes the device's control thread; workers for the queues are started and are gone when the call
 * returns. So are the guest's nodes, handles and memory.
 *
 * Return: 0 when the front-end has closed the connection; -ECANCELED after virtiofs_device_stop(); -EPROTO if the
 * front-end broke the protocol; another -errno if the host lacked something. A new front-end may be served after any of
 * them. Threads: one at a time for one device; not from an operation.
 */
VIRTIOFS_EXPORT int virtiofs_device_serve(struct virtiofs_device *dev, int take_fd);

/**
 * virtiofs_device_mount - serve this host's own kernel until the mount is taken away
 * @dev:    serves nobody now
 * @config: where and how; its max_write, message_data and, with `max_in_flight`, messages are the device's to say
 *
 * One thread for each request queue reads requests. Without pool threads as many requests that block as there are
 * queues hold up all others. Needs CAP_SYS_ADMIN.
 *
 * Return: 0 when somebody has unmounted it; -ECANCELED after virtiofs_device_stop(), and then it is unmounted, and
 * whoever still has a file open there gets ENOTCONN; what virtiofs_fusedev_new() says. Threads: one at a time for one
 * device; not from an operation.
 */
VIRTIOFS_EXPORT int virtiofs_device_mount(struct virtiofs_device *dev, const struct virtiofs_fusedev_config *config);

/* ---- In the caller's process ---- */

/**
 * virtiofs_device_features - what the device offers to a driver
 *
 * Return: VIRTIOFS_VIRTQ_F_... (virtq.h) and VIRTIOFS_TRANSPORT_F_VERSION_1. Threads: any.
 */
VIRTIOFS_EXPORT uint64_t virtiofs_device_features(const struct virtiofs_device *dev);

/** virtiofs_device_queues - how many it has: the high-priority queue, which is 0, and the request queues. */
VIRTIOFS_EXPORT uint32_t virtiofs_device_queues(const struct virtiofs_device *dev);

/**
 * virtiofs_device_config_read - bytes of the configuration space; virtio 1.3, 5.11.4
 *
 * Return: 0; -EINVAL outside of it. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_device_config_read(const struct virtiofs_device *dev, uint32_t offset,
                                                                  uint32_t size, void *data);

/**
 * virtiofs_device_attach - a driver in this process is ready
 * @dev:    serves nobody now
 * @driver: copied
 *
 * From now on until virtiofs_device_detach() the device is the caller's: it has no thread but those of
 * `pool_threads`, and works only within the calls below.
 *
 * Return: 0; -EBUSY if it is attached; -EINVAL for features that it doesn't offer, without VERSION_1, or without
 * memory; -E2BIG if @driver is of a newer library and uses it; -errno. Threads: one at a time; see also transport.h.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_device_attach(struct virtiofs_device *dev,
                                                             const struct virtiofs_transport_driver *driver);

/**
 * virtiofs_device_detach - the driver is gone, or resets the device
 *
 * Queues that run are stopped. Nothing of the guest is left afterwards. Nothing happens if it isn't attached.
 */
VIRTIOFS_EXPORT void virtiofs_device_detach(struct virtiofs_device *dev);

/**
 * virtiofs_device_memory - the guest's memory has changed
 * @map: one reference more is taken
 *
 * Queues move to it when they are processed next; the old map goes when the last request that uses it is answered.
 * Return: 0; -EINVAL if it isn't attached; -ENOMEM.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_device_memory(struct virtiofs_device *dev, struct virtiofs_memory *map);

/**
 * virtiofs_device_queue_start - a queue is ready
 * @index: 0 .. virtiofs_device_queues() - 1
 *
 * Return: 0; -EINVAL if it isn't attached or the queue runs; -EPROTO if the ring isn't in memory, or can't be so;
 * -errno.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_device_queue_start(struct virtiofs_device *dev, uint32_t index,
                                                                  const struct virtiofs_transport_queue *queue);

/**
 * virtiofs_device_queue_stop - nothing more is taken from a queue, and all that was taken is answered
 * @base: where it is; may be NULL
 *
 * Pending requests are told to give up; after `drain_ms` those that hold no guest memory are answered EINTR in the
 * backend's place. So an operation that is completed on the thread which waits here keeps it for that long.
 *
 * Return: 0; -EINVAL if it doesn't run.
 */
VIRTIOFS_EXPORT int virtiofs_device_queue_stop(struct virtiofs_device *dev, uint32_t index, uint32_t *base);

/**
 * virtiofs_device_process_queue - take the requests that a queue has now, and publish what is answered
 *
 * Calls operations, and the driver's notify and broken. Each call takes as many as the ring has room for at most.
 *
 * Return: how much was done; 0: nothing, and there will be nothing before the driver notifies or
 * virtiofs_device_queue_fd() becomes readable. Threads: one at a time for one queue, different queues at once.
 */
VIRTIOFS_EXPORT int virtiofs_device_process_queue(struct virtiofs_device *dev, uint32_t index);

/**
 * virtiofs_device_process - the same for all queues
 *
 * The caller's loop: call it until it returns 0, then sleep until virtiofs_device_poll_fd() is readable (or the driver
 * has notified a queue that has no kick_fd), and so on. Return and threads: as above, with no other call at once.
 */
VIRTIOFS_EXPORT int virtiofs_device_process(struct virtiofs_device *dev);

/**
 * virtiofs_device_poll_fd - a descriptor for poll(2): readable when virtiofs_device_process() has something to do
 *
 * That is, when a kick_fd was notified, or another thread has answered a request. -1 if the device isn't attached.
 * Lifetime: until it is detached; don't read or close it. Threads: any.
 */
VIRTIOFS_EXPORT int virtiofs_device_poll_fd(const struct virtiofs_device *dev);

/**
 * virtiofs_device_queue_fd - the same for one queue and virtiofs_device_process_queue(), without its kick_fd
 *
 * Lifetime: the device's; don't read or close it. Threads: any.
 */
VIRTIOFS_EXPORT int virtiofs_device_queue_fd(const struct virtiofs_device *dev, uint32_t index);

/**
 * virtiofs_device_transport - the calls above as a table, for virtiofs_client_new(); the device is its `void *`
 *
 * Return: a constant. Threads: any.
 */
VIRTIOFS_EXPORT const struct virtiofs_transport *virtiofs_device_transport(void);

/* ---- The end ---- */

/**
 * virtiofs_device_stop - make virtiofs_device_serve() and virtiofs_device_mount() return, now and each time they are
 * called later
 *
 * Threads: any; also from a signal handler.
 */
VIRTIOFS_EXPORT void virtiofs_device_stop(struct virtiofs_device *dev);

/** virtiofs_device_stopped - was virtiofs_device_stop() called? Threads: any. */
VIRTIOFS_EXPORT bool virtiofs_device_stopped(const struct virtiofs_device *dev);

/**
 * virtiofs_device_stop_fd - a descriptor that becomes readable for good after virtiofs_device_stop(), for poll(2)
 *
 * Lifetime: the device's; don't read or close it. Threads: any.
 */
VIRTIOFS_EXPORT int virtiofs_device_stop_fd(const struct virtiofs_device *dev);

/** virtiofs_device_free - end a device that serves nobody, or is attached; NULL is fine. Threads: any, once. */
VIRTIOFS_EXPORT void virtiofs_device_free(struct virtiofs_device *dev);

#ifdef __cplusplus
}
#endif

#endif
