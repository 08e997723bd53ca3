#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a guest sees of what others do, in each cache mode: two mounts of one share on this host, each with a server of
# its own, and the share itself. And databases, for which that counts. Most of the time is waiting: all at once.
#
#   tests/posix/modes.sh PASSTHROUGH                              all
#   tests/posix/modes.sh PASSTHROUGH PROGRAM WHAT [OPTION...]     one of them; OPTIONs are the servers'
#
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/support/host_mount.sh
. "$here/../support/host_mount.sh"

passthrough=$1
SECONDS_MAX=100
dir=$(mktemp -d)
share=$dir/share
mnt=
pids=()

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "${pids[@]}"
  unmount "$dir/one" "$dir/two"
  rm -rf "$dir"
}
at_exit cleanup

# one PROGRAM WHAT OPTION...: both mounts, each with a server of its own.
one() {
  local program=$1 what=$2 pid failed=0
  shift 2
  mkdir "$share" "$dir/one" "$dir/two"
  for mnt in "$dir/one" "$dir/two"; do
    "$passthrough" --shared-dir "$share" --mountpoint "$mnt" "$@" </dev/null >"$mnt.log" 2>&1 &
    pids+=($!)
    await_mount "$!" "$mnt.log" "$SECONDS_MAX"
  done
  python3 "$here/$program.py" "$what" "$share" "$dir/one" "$dir/two" >"$dir/out" 2>&1 || failed=1
  if ((failed != 0)); then grep -v '^ok ' "$dir/out"; else say "ok $program $what $*: $(tail -n 1 "$dir/out")"; fi
  umount "$dir/one" "$dir/two"
  for pid in "${pids[@]}"; do wait "$pid" || die "a server ends with $?: $(cat "$dir"/*.log)"; done
  pids=()
  return "$failed"
}

each() {
  count=$((count + 1))
  "$here/modes.sh" "$passthrough" "$@" >"$dir/$count" 2>&1 &
  pids+=($!)
}

need_fuse
command -v python3 >/dev/null || skip 'needs python3'
if (($# > 1)); then
  shift
  one "$@"
  exit
fi
count=0
each modes never --cache never
each modes auto
each modes metadata --cache metadata
each modes always --cache always
each modes writeback --writeback
each modes never-mmap --cache never --allow-mmap
each modes metadata-mmap --cache metadata --allow-mmap
if python3 -c 'import sqlite3'; then
  each databases no-wal --cache never
  each databases wal --cache never --allow-mmap
  each databases wal --cache auto
  each databases shared --cache never
fi
failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
pids=()
cat "$dir"/[0-9]*
((failed == 0))
