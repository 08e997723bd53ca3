#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs each fuzz target of build/fuzz for a while, from its committed corpus and what was found before.
#
#   fuzz/run.sh SECONDS [TARGET...]
#
# Prints executions per target; fails if one of them fails. Build first: cmake --preset fuzz && cmake --build --preset fuzz
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
build=${VIRTIOFS_FUZZ_BUILD:-$root/build/fuzz/fuzz}
(($# >= 1)) || {
  echo "usage: fuzz/run.sh SECONDS [TARGET...]" >&2
  exit 2
}
seconds=$1
shift
if (($# == 0)); then
  for corpus in "$root"/fuzz/corpus/*/; do set -- "$@" "$(basename "$corpus")"; done
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
for target in "$@"; do
  # What speaks FUSE knows its words.
  words=()
  case $target in device_* | fuse_* | session_*) words=(-dict="$root/fuzz/fuse.dict") ;; esac
  mkdir -p "$build/found/$target"
  if (cd "$build" && "./$target" -max_total_time="$seconds" -max_len=8192 -print_final_stats=1 \
    ${words[@]+"${words[@]}"} \
    "found/$target" "$root/fuzz/corpus/$target") >"$log" 2>&1; then
    printf '%-20s %s executions\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  else
    tail -n 40 "$log"
    printf '%-20s FAILED\n' "$target"
    failed=1
  fi
done
exit "$failed"
