#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The conformance test on a directory of this host, and on the same directory as virtiofs-passthrough serves it: mounted
# here by /dev/fuse, and as a vhost-user device by virtiofs-mount. Whatever the host's own result is, the others'
# must be the same, line by line.
#
#   tests/posix/run.sh POSIX PASSTHROUGH MOUNT [few]
#
# few: not with every set of options that makes a difference to what the server does, only with the main ones.
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/inside/checks.sh
. "$here/../guest/inside/checks.sh"
# shellcheck source=tests/support/host_mount.sh
. "$here/../support/host_mount.sh"

posix=$1
passthrough=$2
mount_program=$3
few=${4:-}
SECONDS_MAX=100
AT_LEAST=400
dir=$(mktemp -d)
mnt=$dir/mnt
share=$dir/share
server=
mounter=
failed=0

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$mounter" "$server"
  unmount "$mnt"
  rm -rf "$dir"
}
at_exit cleanup

# judge WHERE STATUS: of the result in $dir/got.
judge() {
  local assertions
  assertions=$(grep -cE '^(not )?ok ' "$dir/got") || true
  if diff "$dir/host" "$dir/got" >"$dir/diff" && (($2 == host_status && assertions >= AT_LEAST)); then
    say "ok $1: $(tail -n 1 "$dir/got")"
    return 0
  fi
  failed=1
  say "not ok $1: status $2, $assertions assertions; the host's result (<) and this one (>):"
  head -n 40 "$dir/diff"
}

# on_host WORD...: what all that follow are compared with.
on_host() {
  words=("$@")
  host_status=0
  "$posix" "$share" "$@" >"$dir/host" || host_status=$?
  ((host_status != 77)) || skip 'the conformance test needs root'
  cp "$dir/host" "$dir/got"
  judge "host $*" "$host_status"
  # A host may differ from what we expect, and then the mounts have to differ alike.
  ((host_status == 0)) || grep '^not ok ' "$dir/host" || true
}

# on WHERE: runs it on the mount.
on() {
  local status=0
  "$posix" "$mnt" "${words[@]}" >"$dir/got" || status=$?
  judge "$1" "$status"
  want 'what it left' '' "$(ls "$share")" || failed=1
}

by_dev_fuse() { # OPTION...
  "$passthrough" --shared-dir "$share" --device-nodes --mountpoint "$mnt" "$@" </dev/null >"$dir/log" 2>&1 &
  server=$!
  await_mount "$server" "$dir/log" "$SECONDS_MAX"
  on "--mountpoint $*"
  umount "$mnt"
  wait "$server" || die "$(cat "$dir/log")"
  server=
}

by_vhost_user() { # OPTION...
  "$passthrough" --stay --shared-dir "$share" --device-nodes --socket-path "$dir/sock" "$@" >"$dir/log" 2>&1 &
  server=$!
  await_listener "$dir/sock" "$server" "$SECONDS_MAX" || die "doesn't listen: $(cat "$dir/log")"
  "$mount_program" "$dir/sock" "$mnt" >"$dir/mount.log" 2>&1 &
  mounter=$!
  await_mount "$mounter" "$dir/mount.log" "$SECONDS_MAX"
  on "virtiofs-mount $*"
  umount "$mnt"
  wait "$mounter" || die "$(cat "$dir/mount.log")"
  mounter=
  stop_process "$server" "$SECONDS_MAX" || die "the server doesn't end"
  server=
}

all() { [[ -n $few ]] || "$@"; }

mkdir "$mnt" "$share"
chmod 755 "$dir" "$share"
need_fuse
on_host interrupt
by_dev_fuse
all by_dev_fuse --no-posix-lock --no-flock
all by_dev_fuse --cache never --allow-mmap
all by_dev_fuse --cache metadata --allow-mmap --allow-direct-io
all by_dev_fuse --cache always
by_dev_fuse --cache always --writeback
all by_dev_fuse --writeback --killpriv-v2
all by_dev_fuse --killpriv-v2
by_dev_fuse --inode-file-handles never
all by_dev_fuse --inode-file-handles mandatory --inode-fds 1
by_vhost_user
by_vhost_user --cache never --allow-mmap
all by_vhost_user --writeback --allow-direct-io
by_vhost_user --killpriv-v2
all by_vhost_user --killpriv-v2 --translate-uid map:1:100001:100000 --translate-gid map:1:200001:100000
on_host xattr
all by_dev_fuse --xattr
on_host xattr acl
all by_dev_fuse --posix-acl
by_dev_fuse --posix-acl --killpriv-v2
by_vhost_user --posix-acl --queues 3 --thread-pool-size 4
all by_vhost_user --posix-acl --killpriv-v2 --queues 3 --thread-pool-size 4
# Where the host doesn't know it by its name, and so doesn't take it away.
on_host xattr
all by_dev_fuse --xattrmap ':map:security.:user.guest.:'
by_dev_fuse --xattrmap ':map:security.:user.guest.:' --killpriv-v2
((failed == 0))
