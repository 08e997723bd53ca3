#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Compares a benchmark's instructions per operation, which are the same each time, with those that are written down.
#
#   tests/bench/instructions.sh [--update] NAME     for example virtq: builds build/instructions as it is shipped
#
# tests/bench/NAME.baseline has a line "OPERATION INSTRUCTIONS" for each operation, and in its first line which compiler
# they are from. More than 5 % away, in either direction, is a failure: the file is to be brought up to date with
# --update then. Status: 0 if all is as written, 77 without valgrind or with another compiler, else 1.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
FEW=1600 # these two differ by what every batch and run divides
MANY=17600
PERCENT=5
update=
if [[ ${1:-} == --update ]]; then
  update=1
  shift
fi
name=${1:?which benchmark}
baseline=$here/$name.baseline

compiler() { echo "$(gcc -dumpmachine) gcc $(gcc -dumpversion)"; }

instructions() { # OPERATION COUNT
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" --op "$1" --count "$2" 2>&1 >/dev/null |
    sed -n 's/.*Collected : *\([0-9]*\).*/\1/p'
}

command -v valgrind >/dev/null || {
  echo 'SKIP no valgrind'
  exit 77
}
if [[ -z $update && "# $(compiler)" != "$(head -n 1 "$baseline")" ]]; then
  echo "SKIP $(compiler) is not what the baseline is from"
  exit 77
fi
cmake -S "$root" -B "$root/build/instructions" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_COMPILER=gcc >/dev/null
cmake --build "$root/build/instructions" --target "bench_$name" >/dev/null
program=$root/build/instructions/tests/bench/$name

failed=0
lines="# $(compiler)"
while read -r op want; do
  [[ $op != '#' ]] || continue
  few=$(instructions "$op" "$FEW")
  many=$(instructions "$op" "$MANY")
  got=$(((many - few) / (MANY - FEW)))
  lines+=$'\n'"$op $got"
  verdict=
  if ((got * 100 > want * (100 + PERCENT) || got * 100 < want * (100 - PERCENT))); then
    verdict='  <-- more than 5 % away'
    failed=1
  fi
  printf '%-20s %6d instructions, written down are %d%s\n' "$op" "$got" "$want" "$verdict"
done <"$baseline"
if [[ -n $update ]]; then
  echo "$lines" >"$baseline"
  exit 0
fi
exit "$failed"
