#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# How many system calls an operation of the passthrough backend takes, counted by strace: those of a run with many of
# them without those of a run with none.
#
#   tests/backends/calls.sh PASSTHROUGH_CALLS
#
# Status: 0 passed, 1 failed, 77 no strace, or it may not trace here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"

program=$1
COUNT=500
failed=0

have strace || skip 'no strace'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
strace -o /dev/null true 2>/dev/null || skip 'strace may not trace'

# calls OPERATION COUNT [never|keep]: all that the program makes.
calls() {
  mkdir -p "$dir/share"
  strace -f -c -o "$dir/counts" "$program" "$dir/share" "$@"
  awk '$NF == "total" { print $4 }' "$dir/counts"
}

# at_most CALLS OPERATION [never|keep]
at_most() {
  local none many each
  none=$(calls "$2" 0 "${3-}")
  many=$(calls "$2" "$COUNT" "${3-}")
  each=$(awk -v d=$((many - none)) -v n="$COUNT" 'BEGIN { printf "%.2f", d / n }')
  # What the C library asks for besides, memory, is far less than one call in ten operations.
  if ((many - none < COUNT * 9 / 10 || many - none > $1 * COUNT + COUNT / 10)); then
    say "not ok $2 ${3-}: $each system calls, expected $1"
    failed=1
  else
    say "ok $2 ${3-}: $each system calls"
  fi
}

at_most 1 getattr
at_most 1 lookup-known
at_most 1 lookup-absent
at_most 2 lookup-new
at_most 3 lookup-new never
at_most 3 getattr-evicted
at_most 2 lookup-evicted
at_most 1 read-within
at_most 1 read-to-end
at_most 1 read-behind
at_most 1 write
at_most 1 write-kill
# rmdir of the test's own, mkdir, openat and statx; and ids and capabilities there and back, three each.
at_most 10 mkdir-as-user
# Kept from one request to the next: rmdir, mkdir, openat and statx; or the same and the lookup before it.
at_most 4 mkdir-as-user keep
at_most 5 mkdir-after-lookup keep
((failed == 0))
