#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a guest is put through, without a guest: the same checks, in a root directory of their own, on the passthrough
# server's files mounted by virtiofs-mount, and then by --mountpoint. What is true of one has to be true of the other.
#
#   tests/client/chain.sh MOUNT PASSTHROUGH
#
# Status: 0 passed, 1 failed, 77 no FUSE mounts or no busybox here.
set -euo pipefail

# Mounts of our own, which are gone with us. Where the root is no mount, as in a chroot, it stays as it is.
if [[ -z ${VIRTIOFS_CHAIN_INSIDE:-} ]]; then
  for propagation in private unchanged; do
    if unshare -m --propagation "$propagation" true 2>/dev/null; then
      VIRTIOFS_CHAIN_INSIDE=$propagation exec unshare -m --propagation "$propagation" "$0" "$@"
    fi
  done
  echo "SKIP ${0##*/}: no mount namespaces here" >&2
  exit 77
fi

here=$(cd "$(dirname "$0")/../guest" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
[[ $VIRTIOFS_CHAIN_INSIDE != private ]] || let_go_of_mounts
# shellcheck source=tests/guest/inside/checks.sh
. "$here/inside/checks.sh"
# shellcheck source=tests/guest/tree.sh
. "$here/tree.sh"
# shellcheck source=tests/support/host_mount.sh
. "$here/../support/host_mount.sh"

[[ $VIRTIOFS_CHAIN_INSIDE != private ]] || let_go_of_mounts

program=$1
passthrough=$2
SECONDS_MAX=60
dir=$(mktemp -d)
root=$dir/root
mnt=$root/mnt
share=$dir/share
server=
mounter=
export CHECK_PHASE=chain CHECK_OPTIONAL=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$mounter" "$server"
  umount -l "$mnt" "$root/proc" "$root/dev" 2>/dev/null || true
  rm -rf "$dir"
}
at_exit cleanup

# A root with nothing but busybox and the checks. What concerns the virtual machine itself is left out of them, and the
# conformance test, which tests/posix runs on mounts.
make_root() { # TAG PHASE
  rm -rf "$root"
  mkdir -p "$root"/{bin,dev,etc,job,mnt,proc,root,tmp}
  chmod 1777 "$root/tmp"
  chmod 755 "$dir" "$root"
  cp "$(command -v busybox)" "$root/bin/"
  chroot "$root" /bin/busybox --install -s /bin
  cp "$here/inside/passwd" "$here/inside/group" "$root/etc/"
  cp "$here/inside/checks.sh" "$root/job/"
  cp -r "$dir/expected" "$root/job/expected"
  cp "$dir/probe" "$root/job/"
  printf 'TAG=%q CHECK_OPTIONAL= QUEUES=1\n' "$1" >"$root/job/settings"
  grep -vE '^check (mount|mounted|queues|posix|exercise|host-changes|host-locks|mount-again|listing-again|unmount|kernel-log) ' "$here/inside/main.sh" |
    sed "s/^export CHECK_PHASE=main/export CHECK_PHASE=$2/" >"$root/job/run"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
}

make_fresh_share() {
  rm -rf "$share" "$dir/expected"
  make_share "$share"
  expect_share "$share" "$dir/expected"
}

# Random writes of random sizes, read back and compared.
fio_verifies() {
  fio --name=verify --directory="$mnt/tmp" --size=16M --rw=randrw --bsrange=1k-128k --ioengine=psync --numjobs=2 \
    --verify=crc32c --verify_fatal=1 --group_reporting --minimal
  rm -f "$mnt"/tmp/verify.*
}

run_checks() { # PHASE
  # As a guest has it.
  mount -o remount,dev,suid "$mnt"
  timeout 500 chroot "$root" /bin/env -i PATH=/bin HOME=/root TZ=UTC /bin/sh /job/run || CHECKS_FAILED=$((CHECKS_FAILED + 1))
  export CHECK_PHASE=$1-host
  if have fio; then check fio-verify fio_verifies; fi
  check written-file saw_written_file
  check attributes saw_attributes
  check ownership saw_ownership
  check nothing-left saw_nothing_left
}

leave_root() { umount -l "$root/proc" "$root/dev"; }

by_virtiofs_mount() {
  make_fresh_share
  make_root virtiofs-mount virtiofs-mount
  "$passthrough" --stay --socket-path "$dir/sock" --shared-dir "$share" --device-nodes --queues 2 >"$dir/server.log" 2>&1 &
  server=$!
  wait_until "$SECONDS_MAX" listens_at "$dir/sock" || die "doesn't listen: $(cat "$dir/server.log")"
  "$program" --queues 2 "$dir/sock" "$mnt" >"$dir/log" 2>&1 &
  mounter=$!
  await_mount "$mounter" "$dir/log" "$SECONDS_MAX"
  run_checks virtiofs-mount
  stop_process "$mounter" "$SECONDS_MAX" || die 'virtiofs-mount had to be killed'
  stop_process "$server" "$SECONDS_MAX" || die 'the server had to be killed'
  mounter=
  server=
  leave_root
}

by_mountpoint() {
  make_fresh_share
  make_root "${passthrough##*/}" mountpoint
  "$passthrough" --mountpoint "$mnt" --shared-dir "$share" --device-nodes >"$dir/log" 2>&1 &
  server=$!
  await_mount "$server" "$dir/log" "$SECONDS_MAX"
  run_checks mountpoint
  stop_process "$server" "$SECONDS_MAX" || die 'the server had to be killed'
  server=
  leave_root
}

need_fuse
need_programs busybox:busybox-static
! LC_ALL=C ldd "$(command -v busybox)" >/dev/null 2>&1 || skip "busybox isn't linked statically (package busybox-static)"
"${CC:-cc}" -std=c11 -O1 -static -o "$dir/probe" "$here"/programs/*.c
by_virtiofs_mount
by_mountpoint
((CHECKS_FAILED == 0))
