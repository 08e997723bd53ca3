#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Very many files: what the passthrough server keeps of them, and directories of them.
#
#   tests/backends/many.sh MANY PASSTHROUGH FILES ENTRIES
#
# Files lie in a file system in memory of their own, where this may mount one, else in the temporary directory.
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"

many=$1
passthrough=$2
files=$3
entries=$4
FDS=1000
SECONDS_MAX=100
dir=$(mktemp -d)
share=$dir/share
limited=()
server=
failed=0

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$server"
  unmount "$share"
  rm -rf "$dir"
}
at_exit cleanup

# It is another process that serves, whose descriptors and memory count: a child of the sandbox's first one.
is_inside() { (($(descendants "$server" | wc -l) == 2)); }

# with WHAT COUNT FDS OPTION...: the test, on an empty share of its own.
with() {
  local what=$1 count=$2 fds=$3 status=0
  shift 3
  mkdir "$share"
  mount -t tmpfs -o nr_inodes=0,size=4G tmpfs "$share" 2>/dev/null || true
  ${limited[@]+"${limited[@]}"} "$passthrough" --stay --shared-dir "$share" --socket-path "$dir/sock" "$@" >"$dir/log" 2>&1 &
  server=$!
  { await_listener "$dir/sock" "$server" "$SECONDS_MAX" && wait_until "$SECONDS_MAX" is_inside; } || die "doesn't listen: $(cat "$dir/log")"
  say "# $what $count $*"
  # shellcheck disable=SC2086 # $fds may be nothing
  "$many" "$what" "$dir/sock" "$share" "$(inside "$server")" "$count" $fds || status=$?
  ((status == 0)) || failed=1
  stop_process "$server" "$SECONDS_MAX" || die "the server doesn't end: $(cat "$dir/log")"
  server=
  mountpoint -q "$share" && umount "$share"
  rm -rf "$share"
}

[[ $(id -u) == 0 ]] || skip 'needs root: opening by file handle does'
with walk "$files" "$FDS" --inode-file-handles=mandatory --inode-fds="$FDS"
with list "$entries" '' --inode-file-handles=never
limited=(prlimit --nofile=600:600)
with limit 2000 '' --inode-file-handles=never --rlimit-nofile=0
((failed == 0))
