#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# --mountpoint: file systems on this host, with the host's own as the oracle.
#
#   tests/daemon/mount.sh HELLO PASSTHROUGH TRACE
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

hello=$1
passthrough=$2
trace=$3
SECONDS_MAX=60
dir=$(mktemp -d)
mnt=$dir/mnt
share=$dir/share
server=
export CHECK_PHASE=mount CHECK_OPTIONAL=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$server"
  unmount "$mnt"
  rm -rf "$dir"
}
at_exit cleanup

# serve PROGRAM ARGUMENT...: mounted when it returns.
serve() {
  "$@" --mountpoint "$mnt" </dev/null >"$dir/log" 2>&1 &
  server=$!
  await_mount "$server" "$dir/log" "$SECONDS_MAX"
}

# server_ended STATUS: it was our server.
server_ended() {
  local pid=$server
  server=
  ended "$pid" "$1"
}

hello_is_there() {
  serve "$hello"
  want 'the listing' 'hello.txt' "$(ls "$mnt")"
  want 'the content' 'hello, guest' "$(cat "$mnt/hello.txt")"
  want 'the type' fuse.virtiofs "$(awk -v dir="$mnt" '$2 == dir { print $3 }' /proc/mounts)"
  umount "$mnt"
  server_ended 0
}

ends_while_in_use() {
  exec 5<"$mnt/tree/odd/size-70001"
  kill -TERM "$server"
  server_ended 0
  if head -c 1 <&5 2>"$dir/err"; then
    echo 'expected an error for what is read after the end'
    return 1
  fi
  exec 5<&-
}

# What was recorded of all that: each request has its reply, and nothing is there that FUSE doesn't know.
record_is_whole() {
  "$trace" --summary "$dir/record" >"$dir/summary"
  tail -n 1 "$dir/summary"
  tail -n 1 "$dir/summary" | grep -qE '^[0-9]{4,} requests, 0 notifications, 0 unanswered, 0 unparsed$'
  grep -qE '^READ +[1-9]' "$dir/summary"
}

mkdir "$mnt" "$share"
make_tree "$share/tree"
need_fuse
expect_tree

# Not in a subshell: they start and end the server.
hello_is_there
check_report hello 0 ''
serve "$passthrough" --shared-dir "$share" --device-nodes --record "$dir/record"
check reads-as-the-host reads_as_the_host
check writes-as-the-host writes_as_the_host
check many-at-once many_at_once
ends_while_in_use
check_report ends-while-in-use 0 ''
check record record_is_whole
((CHECKS_FAILED == 0))
