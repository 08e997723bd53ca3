/* SPDX-License-Identifier: BSD-3-Clause */
/* Listings: records go straight into guest memory, whole ones only. */
#include <errno.h>

#include "session/req.h"

bool virtiofs_readdir_fits(const struct virtiofs_readdir_out *out, uint32_t len) {
  uint32_t size = virtiofs_fuse_dirent_size(&out->req->session->proto, len, out->plus);
  return !out->full && size <= out->list.room - virtiofs_fuse_dirents_size(&out->list);
}

/* False if there was no room. @added: is it in the listing? One that breaks the rules is left out. */
static bool add(struct virtiofs_readdir_out *out, const struct virtiofs_dirent *entry,
                const struct virtiofs_entry_out *plus, bool *added) {
  const struct virtiofs_entry_out *known = out->plus ? plus : NULL;
  *added = !out->full && virtiofs_fuse_dirents_add(&out->list, entry, known);
  if (!*added && !out->full)
    out->full = virtiofs_fuse_dirent_sound(entry, known);
  return !out->full;
}

bool virtiofs_readdir_add(struct virtiofs_readdir_out *out, const struct virtiofs_dirent *entry) {
  static const struct virtiofs_entry_out nothing;
  bool added;
  return add(out, entry, &nothing, &added);
}

static bool is_dots(const struct virtiofs_dirent *entry) {
  return entry->name[0] == '.' && (entry->len == 1 || (entry->len == 2 && entry->name[1] == '.'));
}

bool virtiofs_readdirplus_add(struct virtiofs_readdir_out *out, const struct virtiofs_dirent *entry,
                              const struct virtiofs_entry_out *plus) {
  struct virtiofs_session *session = out->req->session;
  uint64_t value = plus != NULL ? plus->node : 0;
  if (value == 0)
    return virtiofs_readdir_add(out, entry);
  if (!out->plus || is_dots(entry) || !virtiofs_readdir_fits(out, entry->len)) {
    virtiofs_reclaim_node(session, value);
    return virtiofs_readdir_add(out, entry);
  }
  struct virtiofs_entry_out known = *plus;
  virtiofs_attr_drop_flags(out->req, &known.attr);
  if (virtiofs_idtable_hold(&session->nodes, value, &known.node) != 0) {
    virtiofs_reclaim_node(session, value);
    return virtiofs_readdir_add(out, entry);
  }
  bool added;
  bool room = add(out, entry, &known, &added);
  if (!added) {
    (void)virtiofs_idtable_forget(&session->nodes, known.node, 1);
    virtiofs_reclaim_wake(session);
  }
  return room;
}
