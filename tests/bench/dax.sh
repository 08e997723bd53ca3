#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a DAX window gives and costs: our server on a directory in memory, our client, and beside each figure the one that it
# is to be compared with, in one run.
#
#   tests/bench/dax.sh [--quick]
#
# A ratio is the median of the rounds. Status: 1 if one is beyond its bound, 77 if it can't be measured here.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/support/common.sh
. "$root/tests/support/common.sh"

POLL_US=1000
rounds=7
case ${1:-} in
  '') ;;
  --quick) rounds=3 ;;
  *) die "usage: dax.sh [--quick]" ;;
esac

[[ -d /dev/shm && -w /dev/shm ]] || skip 'no /dev/shm'
(($(nproc) >= 2)) || skip 'both sides poll: two processors are needed'
dir=$(mktemp -d /dev/shm/virtiofs-dax.XXXXXX)
server=
# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes 10 "$server"
  rm -rf "$dir"
}
at_exit cleanup

cmake -S "$root" -B "$BUILD_DIR/bench" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
cmake --build "$BUILD_DIR/bench" --target bench_dax virtiofs-passthrough >/dev/null
build=$BUILD_DIR/bench

mkdir "$dir/share"
head -c 64M /dev/urandom >"$dir/share/file"
listens() { [[ -S $dir/sock ]]; }
"$build/examples/passthrough/virtiofs-passthrough" --stay --socket-path "$dir/sock" --shared-dir "$dir/share" --cache-size 128M \
  --poll-us "$POLL_US" 2>"$dir/log" &
server=$!
wait_until 10 listens || die 'the server does not listen'
for ((round = 1; round <= rounds; round++)); do
  progress "round $round of $rounds"
  "$build/tests/bench/dax" "$dir/sock" "$dir/share/file" file >>"$dir/rates"
done

python3 - "$dir/rates" <<'PYTHON'
import collections, statistics, sys

# What, and how its ratio may be.
bounds = {
    "random reads a second; READ by eventfds": (10, None),
    "random reads a second; READ by polling": (2.5, None),
    "first pass, bytes a second; fresh mmap": (0.75, None),
    "second pass, bytes a second; plain mmap": (0.9, None),
    "map and unmap, us; bare exchange": (None, 2),
}
rows = collections.defaultdict(list)
for row in open(sys.argv[1]):
    what, got, other, ratio = row.rstrip("\n").rsplit(",", 3)
    rows[what].append((float(got), float(other), float(ratio)))
failed = rows.keys() != bounds.keys()
for what, figures in rows.items():
    ratios = sorted(ratio for _, _, ratio in figures)
    ratio = statistics.median(ratios)
    least, most = bounds[what]
    wrong = (least is not None and ratio < least) or (most is not None and ratio > most)
    failed |= wrong
    print("%-42s %14.1f beside %14.1f, ratio %.2f (%.2f..%.2f)%s" %
          (what, statistics.median(f[0] for f in figures), statistics.median(f[1] for f in figures), ratio, ratios[0], ratios[-1],
           ": beyond its bound" if wrong else ""))
sys.exit(failed)
PYTHON
