#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Instructions per operation of the codec, which are the same each time: two counts under callgrind, their difference.
#
#   tests/bench/callgrind.sh [CODEC]    default: builds build/bench as it is shipped
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
codec=${1:-}
if [[ -z $codec ]]; then
  cmake -S "$root" -B "$root/build/bench" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
  cmake --build "$root/build/bench" --target bench_codec >/dev/null
  codec=$root/build/bench/tests/bench/codec
fi

# Those of the codec alone: what is inside of these functions.
inside=(virtiofs_fuse_request_decode virtiofs_fuse_reply_encode virtiofs_fuse_dirents_init virtiofs_fuse_dirents_add
  copy_names)

instructions() { # OP COUNT ENTRIES
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "${inside[@]/#/--toggle-collect=}" \
    "$codec" --op "$1" --count "$2" --entries "$3" 2>&1 >/dev/null | sed -n 's/.*Collected : *\([0-9]*\).*/\1/p'
}

each() { # OP ENTRIES
  local few many
  few=$(instructions "$1" 100 "$2")
  many=$(instructions "$1" 1100 "$2")
  echo $(((many - few) / 1000))
}

entries=20
for op in GETATTR LOOKUP READ WRITE CREATE; do
  printf '%-12s %5d instructions\n' "$op" "$(each "$op" 0)"
done
page=$(each READDIRPLUS "$entries")
printf '%-12s %5d instructions, %d per entry; to copy its name takes %d\n' READDIRPLUS "$page" \
  $(((page - $(each READDIRPLUS 0)) / entries)) $((($(each names "$entries") - $(each names 0)) / entries))
