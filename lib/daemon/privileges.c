/* SPDX-License-Identifier: BSD-3-Clause */
/* What of root's power a process keeps. */
#include <virtiofs/sandbox.h>

#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/config.h"
#include "daemon/landlock.h"

#define TAG "sandbox"
enum { WORD_BITS = 32, MOST_CAPS = 64, NAME_MAX_LEN = 32, LIST_MAX = 640 };

/* ---- names ---- */

static int number_of(const char *name, size_t len) {
  static const char prefix[] = "cap_";
  char word[NAME_MAX_LEN];
  if (len > sizeof(prefix) - 1 && strncasecmp(name, prefix, sizeof(prefix) - 1) == 0) {
    name += sizeof(prefix) - 1;
    len -= sizeof(prefix) - 1;
  }
  if (len == 0 || len >= sizeof(word))
    return -1;
  memcpy(word, name, len);
  word[len] = 0;
  return capng_name_to_capability(word);
}

int virtiofs_sandbox_modcaps(const char *text, uint64_t *add, uint64_t *remove) {
  while (*text != 0) {
    size_t len = strcspn(text, ":");
    int number = len > 1 && (*text == '+' || *text == '-') ? number_of(text + 1, len - 1) : -1;
    if (number < 0 || number >= MOST_CAPS)
      return -EINVAL;
    uint64_t bit = UINT64_C(1) << number;
    *add = *text == '+' ? *add | bit : *add & ~bit;
    *remove = *text == '-' ? *remove | bit : *remove & ~bit;
    text += len;
    if (*text == ':' && *++text == 0)
      return -EINVAL;
  }
  return 0;
}

/* "chown,setuid", or "none". */
static const char *names_of(uint64_t caps, char list[LIST_MAX]) {
  size_t at = 0;
  list[0] = 0;
  for (unsigned i = 0; i < MOST_CAPS; i++) {
    const char *name = (caps >> i & 1) != 0 ? capng_capability_to_name(i) : NULL;
    int n = name != NULL ? snprintf(list + at, LIST_MAX - at, "%s%s", at > 0 ? "," : "", name) : 0;
    at += n > 0 && (size_t)n < LIST_MAX - at ? (size_t)n : 0;
  }
  return at > 0 ? list : "none";
}

/* ---- sets ---- */

/* By the bare system calls: to ask what the process has the library wants /proc, which is out of reach by now. */
static int get_permitted(uint64_t *permitted) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
  if (syscall(SYS_capget, &header, caps) != 0)
    return -errno;
  *permitted = (uint64_t)caps[1].permitted << WORD_BITS | caps[0].permitted;
  return 0;
}

static int set_all(uint64_t kept) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  const struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {
      {.effective = (uint32_t)kept, .permitted = (uint32_t)kept},
      {.effective = (uint32_t)(kept >> WORD_BITS), .permitted = (uint32_t)(kept >> WORD_BITS)}};
  return syscall(SYS_capset, &header, caps) == 0 ? 0 : -errno;
}

/* What no program that it might run would ever get back either. */
static int bound(uint64_t kept) {
  for (unsigned i = 0; i < MOST_CAPS && prctl(PR_CAPBSET_READ, i) >= 0; i++)
    if ((kept >> i & 1) == 0 && prctl(PR_CAPBSET_DROP, i) != 0)
      return -errno;
  return 0;
}

static int drop(uint64_t kept, uint64_t permitted) {
  int rc = (permitted >> CAP_SETPCAP & 1) != 0 ? bound(kept) : 0;
  if (rc == 0)
    rc = set_all(kept);
  if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    rc = -errno;
  return rc;
}

int virtiofs_sandbox_drop(struct virtiofs_sandbox_inside *inside, const struct virtiofs_sandbox_config *given) {
  struct virtiofs_sandbox_config config = {.size = sizeof(config)};
  char list[LIST_MAX];
  uint64_t permitted = 0;
  int rc = given != NULL ? virtiofs_config_copy(&config, sizeof(config), given, given->size) : -EINVAL;
  if (rc == 0)
    rc = get_permitted(&permitted);
  if (rc != 0)
    return rc;
  uint64_t missing = config.add_capabilities & ~config.remove_capabilities & ~permitted;
  if (missing != 0) {
    virtiofs_log_write(&config.log, VIRTIOFS_LOG_ERROR, TAG, "the server has no capability %s, which --modcaps adds",
                       names_of(missing, list));
    return -EPERM;
  }
  uint64_t kept = ((config.capabilities | config.add_capabilities) & ~config.remove_capabilities) & permitted;
  rc = drop(kept, permitted);
  /* Its memory has the guest's; also set by the kernel whenever a thread becomes a guest's user. */
  if (rc == 0 && config.mode != VIRTIOFS_SANDBOX_NONE && prctl(PR_SET_DUMPABLE, 0) != 0)
    rc = -errno;
  if (rc != 0)
    virtiofs_log_write(&config.log, VIRTIOFS_LOG_ERROR, TAG, "can't give capabilities up: %s", strerror(-rc));
  else
    virtiofs_log_write(&config.log, VIRTIOFS_LOG_DEBUG, TAG, "capabilities kept: %s", names_of(kept, list));
  bool by_handle = config.by_handle && (kept >> CAP_DAC_READ_SEARCH & 1) != 0;
  return rc == 0 ? virtiofs_sandbox_landlock(inside, &config, by_handle) : rc;
}
