/* SPDX-License-Identifier: BSD-3-Clause */
/* A request from its coming in to its answer. */
#include <errno.h>

#include "base/probe.h"
#include "session/req.h"

#define TAG "session"

void *virtiofs_req_fs(const struct virtiofs_req *req) {
  return req->session->fs;
}

struct virtiofs_caller virtiofs_req_caller(const struct virtiofs_req *req) {
  const struct virtiofs_fuse_header *header = &req->fuse.header;
  return (struct virtiofs_caller){.uid = header->uid, .gid = header->gid, .pid = header->pid};
}

uint64_t virtiofs_req_semantics(const struct virtiofs_req *req) {
  return atomic_load_explicit(&req->semantics, memory_order_relaxed);
}

const void *virtiofs_req_session(const struct virtiofs_req *req) {
  return req->session;
}

void virtiofs_req_set_data(struct virtiofs_req *req, void *data) {
  req->data = data;
}

void *virtiofs_req_data(const struct virtiofs_req *req) {
  return req->data;
}

uint32_t virtiofs_session_opcode(const struct virtiofs_req *req) {
  return req->fuse.header.opcode;
}

uint32_t virtiofs_session_length(const struct virtiofs_req *req) {
  return req->fuse.header.len;
}

int virtiofs_session_error(const struct virtiofs_req *req) {
  return req->phase == VIRTIOFS_PHASE_ABANDONED ? -EINTR : req->rc;
}

static void say_refused(struct virtiofs_req *req, int rc) {
  uint64_t count;
  struct virtiofs_session *session = req->session;
  if (virtiofs_log_limit_pass(&session->refused, &count))
    virtiofs_log_write(&session->log, VIRTIOFS_LOG_WARN, TAG,
                       "lane %u: malformed request refused: %s (error %d, %llu so far)", req->lane,
                       virtiofs_fuse_opcode_name(req->fuse.header.opcode), -rc, (unsigned long long)count);
}

static void say_unsound(struct virtiofs_req *req, int rc) {
  uint64_t count;
  struct virtiofs_session *session = req->session;
  if (virtiofs_log_limit_pass(&session->unsound, &count))
    virtiofs_log_write(&session->log, VIRTIOFS_LOG_ERROR, TAG,
                       "the backend's reply to %s is not sound (error %d, %llu so far)",
                       virtiofs_fuse_opcode_name(req->fuse.header.opcode), -rc, (unsigned long long)count);
}

/* Names that are in the listing have given their nodes: the guest has to get them, and hears of the error when it asks
 * on. */
static bool has_listed(const struct virtiofs_req *req) {
  uint32_t opcode = req->fuse.header.opcode;
  return (opcode == VIRTIOFS_FUSE_READDIR || opcode == VIRTIOFS_FUSE_READDIRPLUS) && req->dir.begun &&
         virtiofs_fuse_dirents_size(&req->dir.list) != 0;
}

/* INTERRUPT needs no answer, so a driver may leave no room for one. */
static bool is_silent(const struct virtiofs_req *req) {
  return req->fuse.header.opcode == VIRTIOFS_FUSE_INTERRUPT && req->msg->out_len < VIRTIOFS_FUSE_OUT_HEADER;
}

/* Linux takes what it writes back from its page cache for written, however little the reply says was: what is missing
 * would be lost with nobody told. */
static bool loses_pages(const struct virtiofs_req *req) {
  const struct virtiofs_write_in *in = &req->fuse.in.write;
  return req->fuse.header.opcode == VIRTIOFS_FUSE_WRITE && (in->write_flags & VIRTIOFS_WRITE_CACHE) != 0 &&
         req->out.write.size < in->size;
}

/* Bytes of the reply; 0 if there is none or no room for one. *@rc becomes what the guest is told. */
static size_t encode(struct virtiofs_req *req, int *rc) {
  const struct virtiofs_fuse_header *header = &req->fuse.header;
  const struct virtiofs_message *msg = req->msg;
  if (req->cut != NULL)
    *req->cut = req->uncut;
  if (*rc > 0)
    *rc = -EIO;
  if (has_listed(req))
    *rc = 0;
  if (*rc == 0 && loses_pages(req))
    *rc = -EIO;
  if (*rc == 0)
    *rc = virtiofs_grant(req);
  if (is_silent(req))
    return 0;
  ssize_t len = virtiofs_fuse_reply_encode(&req->session->proto, header, *rc, &req->out, msg->out, msg->out_count);
  if (len < 0 && *rc == 0) {
    virtiofs_grant_undo(req);
    say_unsound(req, (int)len);
    *rc = -EIO;
    len = virtiofs_fuse_reply_encode(&req->session->proto, header, *rc, NULL, msg->out, msg->out_count);
  }
  return len > 0 ? (size_t)len : 0;
}

/* Enough for all flags of INIT by name. */
#define LINE_BYTES 1280
/* struct fuse_getxattr_out */
#define XATTR_SIZE_REPLY 8U

static void trace_request(const struct virtiofs_req *req) {
  char line[LINE_BYTES];
  if (!virtiofs_log_wants(&req->session->log, VIRTIOFS_LOG_TRACE))
    return;
  (void)virtiofs_fuse_request_format(&req->fuse, line, sizeof(line));
  virtiofs_log_write(&req->session->log, VIRTIOFS_LOG_TRACE, TAG, "lane %u: %s", req->lane, line);
}

static void trace_reply(const struct virtiofs_req *req, int rc) {
  char line[LINE_BYTES];
  if (!virtiofs_log_wants(&req->session->log, VIRTIOFS_LOG_TRACE))
    return;
  (void)virtiofs_fuse_reply_format(&req->fuse.header, rc, &req->out, line, sizeof(line));
  virtiofs_log_write(&req->session->log, VIRTIOFS_LOG_TRACE, TAG, "lane %u: %s", req->lane, line);
}

void virtiofs_req_finish(struct virtiofs_req *req, int rc) {
  struct virtiofs_session *session = req->session;
  struct virtiofs_session_lane *lane = &session->lanes[req->lane];
  size_t used = encode(req, &rc);
  trace_reply(req, rc);
  const struct virtiofs_fuse_header *header = &req->fuse.header;
  VIRTIOFS_PROBE_REPLY(req->lane, req->msg, header->unique, header->opcode, header->nodeid, rc, used);
  req->rc = rc;
  virtiofs_req_let_go(req);
  atomic_fetch_sub(&lane->in_flight, 1);
  if (atomic_load(&session->state) == VIRTIOFS_SESSION_PARKED)
    virtiofs_session_unpark(session);
  /* Last of all: whoever waits for this message may end the session then. */
  virtiofs_message_complete(req->msg, used);
}

static void begin(struct virtiofs_req *req, struct virtiofs_session *session, uint32_t lane,
                  struct virtiofs_message *msg) {
  req->session = session;
  req->msg = msg;
  atomic_store_explicit(&req->semantics, 0, memory_order_relaxed);
  req->lane = lane;
  req->phase = VIRTIOFS_PHASE_CALLING;
  req->pinned = false;
  req->cancelled = false;
  req->interrupted = false;
  req->cancelling = false;
  req->holds_data = false;
  req->rc = 0;
  req->on_cancel = NULL;
  req->data = NULL;
  req->cut = NULL;
  req->dir.begun = false;
  for (unsigned i = 0; i < VIRTIOFS_HAZARDS; i++)
    req->slots[i] = NULL;
}

/* Decodes; 0 if an operation is to be called, else what the answer is. */
static int decode(struct virtiofs_req *req, bool running) {
  static const struct virtiofs_fuse_proto nothing;
  const struct virtiofs_fuse_proto *proto = running ? &req->session->proto : &nothing;
  int rc = virtiofs_fuse_request_decode(&req->fuse, proto, req->msg->in, req->msg->in_count);
  bool malformed = rc == -EINVAL || rc == -EPROTO;
  /* Before anything is done: what is missing may be what the request is about, or what makes it a whole one. */
  if (req->msg->cut && (rc == 0 || malformed))
    return -EFAULT;
  if (malformed)
    say_refused(req, rc);
  return rc == -EPROTO ? -EIO : rc;
}

/* Asked for its size alone a list or a value is answered by a struct, else by its bytes, of which there may be none. */
static uint32_t size_reply(const struct virtiofs_req *req) {
  const union virtiofs_fuse_in *in = &req->fuse.in;
  uint32_t opcode = req->fuse.header.opcode;
  bool asks = (opcode == VIRTIOFS_FUSE_GETXATTR && in->getxattr.size == 0) ||
              (opcode == VIRTIOFS_FUSE_LISTXATTR && in->listxattr.size == 0);
  return asks ? XATTR_SIZE_REPLY : 0;
}

/**
 * Nothing may have happened yet when a reply turns out not to fit. How large INIT's is, the driver says itself: what
 * was agreed on before may be changing, as another INIT may be running.
 */
static bool has_room(const struct virtiofs_req *req) {
  const struct virtiofs_fuse_init_in *init = &req->fuse.in.init;
  struct virtiofs_fuse_proto newest = {.minor = VIRTIOFS_FUSE_MINOR};
  if (is_silent(req))
    return true;
  if (req->fuse.header.opcode != VIRTIOFS_FUSE_INIT)
    return req->msg->out_len >=
           virtiofs_fuse_reply_room(&req->session->proto, req->fuse.header.opcode) + size_reply(req);
  if (init->major <= VIRTIOFS_FUSE_MAJOR && init->minor < VIRTIOFS_FUSE_MINOR)
    newest.minor = init->minor;
  return req->msg->out_len >= virtiofs_fuse_reply_room(&newest, VIRTIOFS_FUSE_INIT);
}

/* What could be slow must not stand in the high-priority queue; virtio 1.3, 5.11.6.1. */
static bool has_place(const struct virtiofs_req *req) {
  uint32_t opcode = req->fuse.header.opcode;
  return req->lane != VIRTIOFS_LANE_HIPRIO || opcode == VIRTIOFS_FUSE_INTERRUPT || !virtiofs_fuse_has_reply(opcode);
}

enum virtiofs_submit virtiofs_session_submit(struct virtiofs_session *session, uint32_t lane, struct virtiofs_req *req,
                                             struct virtiofs_message *msg, bool may_defer) {
  begin(req, session, lane, msg);
  atomic_fetch_add(&session->lanes[lane].in_flight, 1);
  bool running = atomic_load(&session->state) == VIRTIOFS_SESSION_RUNNING;
  int rc = decode(req, running);
  uint32_t opcode = req->fuse.header.opcode;
  if (atomic_load_explicit(&session->rings_stopped, memory_order_relaxed) && opcode != VIRTIOFS_FUSE_INIT)
    atomic_store(&session->rings_stopped, false); /* a pause */
  if (rc == 0)
    trace_request(req);
  if (rc == 0 && (!has_room(req) || !has_place(req))) {
    rc = -EIO;
    say_refused(req, rc);
  }
  if (rc != 0) {
    virtiofs_req_finish(req, rc);
    return VIRTIOFS_SUBMIT_TAKEN;
  }
  if (opcode == VIRTIOFS_FUSE_INIT || opcode == VIRTIOFS_FUSE_DESTROY) {
    virtiofs_session_park(req);
    return VIRTIOFS_SUBMIT_TAKEN;
  }
  bool blocking = false;
  rc = virtiofs_req_prepare(req, &blocking);
  if (rc != 0) {
    virtiofs_req_finish(req, rc);
    return VIRTIOFS_SUBMIT_TAKEN;
  }
  if (blocking && may_defer) {
    virtiofs_req_defer(req);
    return VIRTIOFS_SUBMIT_DEFER;
  }
  rc = virtiofs_req_call(req);
  if (rc == VIRTIOFS_PENDING)
    virtiofs_req_settle(req);
  else
    virtiofs_req_finish(req, rc);
  return VIRTIOFS_SUBMIT_TAKEN;
}

/* What has to be done even if nobody waits for it: the guest asks for it once, and takes no error for an answer. */
static bool is_due(const struct virtiofs_req *req) {
  uint32_t opcode = req->fuse.header.opcode;
  return opcode == VIRTIOFS_FUSE_RELEASE || opcode == VIRTIOFS_FUSE_RELEASEDIR;
}

void virtiofs_session_run(struct virtiofs_req *req) {
  /* Nothing must be done for a guest that has been told that it was interrupted. */
  int rc = virtiofs_req_is_abandoned(req) && !is_due(req) ? -EINTR : virtiofs_req_call(req);
  if (rc != VIRTIOFS_PENDING)
    virtiofs_req_complete(req, rc);
}
