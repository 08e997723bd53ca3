#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# virtiofs-mount: a vhost-user device on this host, with the host's own view as the oracle.
#
#   tests/client/mount.sh MOUNT PASSTHROUGH
#
# Status: 0 passed, 1 failed, 77 no FUSE mounts here.
set -euo pipefail

here=$(cd "$(dirname "$0")/../guest" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/inside/checks.sh
. "$here/inside/checks.sh"
# shellcheck source=tests/guest/tree.sh
. "$here/tree.sh"
# shellcheck source=tests/support/host_mount.sh
. "$here/../support/host_mount.sh"

program=$1
passthrough=$2
SECONDS_MAX=60
dir=$(mktemp -d)
mnt=$dir/mnt
share=$dir/share
server=
mounter=
export CHECK_PHASE=virtiofs-mount CHECK_OPTIONAL=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$mounter" "$server"
  unmount "$mnt"
  rm -rf "$dir"
}
at_exit cleanup

serve() {
  "$passthrough" --stay --socket-path "$dir/sock" --shared-dir "$share" --device-nodes --queues 3 >"$dir/server.log" 2>&1 &
  server=$!
  wait_until "$SECONDS_MAX" listens_at "$dir/sock" || die "doesn't listen: $(cat "$dir/server.log")"
}

start() {
  "$program" "$@" "$dir/sock" "$mnt" >"$dir/log" 2>&1 &
  mounter=$!
  await_mount "$mounter" "$dir/log" "$SECONDS_MAX"
}

# mount_ended STATUS
mount_ended() {
  local pid=$mounter
  mounter=
  ended "$pid" "$1" || die "$(cat "$dir/log")"
}

works() { # OPTION...
  start "$@"
  check "reads-as-the-host $*" reads_as_the_host
  check "writes-as-the-host $*" writes_as_the_host
  check "many-at-once $*" many_at_once
  umount "$mnt"
  mount_ended 0
}

read_only_is_read_only() {
  want 'a listing' tree "$(ls "$mnt")"
  if : 2>"$dir/err" >"$mnt/new"; then
    echo 'made a file'
    return 1
  fi
}

# The device is gone: whoever asks gets an error, and the mount goes.
server_goes() {
  exec 5<"$mnt/tree/odd/size-131073"
  kill -TERM "$server"
  wait "$server" || true
  server=
  mount_ended 1
  if head -c 1 <&5 2>"$dir/err"; then
    echo 'expected an error for what is read after the end'
    return 1
  fi
  exec 5<&-
  want 'what it says' 1 "$(grep -c 'hung up' "$dir/log")"
}

mkdir "$mnt" "$share"
make_tree "$share/tree"
need_fuse
expect_tree
serve
works
works --queues 3
works --queues 2 --packed
works --poll
start --read-only
check read-only read_only_is_read_only
kill -TERM "$mounter"
mount_ended 0
start
server_goes
check_report server-goes 0 ''
((CHECKS_FAILED == 0))
