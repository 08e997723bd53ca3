#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Records the golden messages anew: boots Debian's kernel, and a newer one if tests/peers.sh has fetched it, on a server
# of constant answers, mounts /dev/fuse on this machine, and writes the messages that were exchanged to
# tests/fuse/golden. As root, after `cmake --build --preset debug`. Those written by hand stay as they are.
#
#   tests/fuse/capture/record.sh
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../../support/common.sh"
# shellcheck source=tests/guest/server.sh
. "$here/../../guest/server.sh"

DEADLINE=120
tools=$BUILD_DIR/debug/tests/fuse/capture
dir=
loop=

cleanup() {
  server_cleanup
  if [[ -n $dir ]] && mountpoint -q "$dir/mnt"; then umount "$dir/mnt"; fi
  [[ -z $loop ]] || losetup -d "$loop"
  [[ -z $dir ]] || rm -rf "$dir"
}
at_exit cleanup

# short RELEASE: 6.1 of 6.1.0-56-amd64.
short() { [[ $1 =~ ^[0-9]+\.[0-9]+ ]] && echo "${BASH_REMATCH[0]}"; }

# record_guest NAME: sets RELEASE to the guest's kernel.
record_guest() {
  server_words "$tools/capture_sample --socket-path {socket} --record $dir/$1 --record-data 1048576" "$dir/s" '' ''
  server_start "$dir/log" "$dir/s" 20 || die "the server doesn't listen: $(cat "$dir/log")"
  "$REPO_DIR/tests/guest/boot.sh" --deadline "$DEADLINE" "$dir/s" "$here/inside.sh" "$dir/calls" >"$dir/out" ||
    die "the guest failed: $(cat "$dir/out")"
  server_stop 20
  [[ $SERVER_STATUS == 0 ]] || die "the server's status is $SERVER_STATUS: $(cat "$dir/log")"
  RELEASE=$(short "$(sed -n 's/^release //p' "$dir/out")")
}

main() {
  [[ $(id -u) == 0 ]] || skip "must be root"
  [[ -x $tools/capture_sample ]] || die "build first: cmake --preset debug && cmake --build --preset debug"
  need_programs losetup:mount python3:python3 "${CC:-cc}:gcc"
  dir=$(mktemp -d)
  "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -static -o "$dir/calls" "$here/calls.c"

  record_guest guest
  local sources=("guest=$dir/guest=recorded: Linux $RELEASE guest over virtio-fs")
  if [[ -r $BUILD_DIR/peers/env.sh ]]; then
    # shellcheck source=/dev/null
    . "$BUILD_DIR/peers/env.sh"
    export VIRTIOFS_GUEST_KERNEL=$VIRTIOFS_PEER_KERNEL VIRTIOFS_GUEST_MODULES=$VIRTIOFS_PEER_MODULES
    record_guest new
    sources+=("new=$dir/new=recorded: Linux $RELEASE guest over virtio-fs")
  else
    progress "no newer kernel (tests/peers.sh kernel fetches it): its messages stay as they are"
  fi

  truncate -s 1M "$dir/disk"
  loop=$(losetup -f --show "$dir/disk")
  mkdir "$dir/mnt"
  timeout "$DEADLINE" "$tools/capture_fusedev" "$dir/mnt" "$loop" "$dir/fusedev" || die "fusedev: status $?"
  sources+=("fusedev=$dir/fusedev=captured: Linux $(short "$(uname -r)") /dev/fuse")

  "$here/goldens.py" "$REPO_DIR/tests/fuse/golden" "${sources[@]}"
  git -C "$REPO_DIR" status --short tests/fuse/golden
}

main "$@"
