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

instructions() { # OP COUNT
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$codec" --op "$1" --count "$2" 2>&1 >/dev/null |
    sed -n 's/.*Collected : *\([0-9]*\).*/\1/p'
}

entries=20
for op in GETATTR LOOKUP READ WRITE CREATE READDIRPLUS; do
  few=$(instructions "$op" 100)
  many=$(instructions "$op" 1100)
  printf '%-12s %5d instructions' "$op" $(((many - few) / 1000))
  if [[ $op == READDIRPLUS ]]; then printf ', %d per entry' $(((many - few) / 1000 / entries)); fi
  printf '\n'
done
