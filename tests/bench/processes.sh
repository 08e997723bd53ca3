#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a process boundary costs: GETATTR of the null backend over vhost-user, device and driver each in a process of its
# own and polling, beside both in one thread of one process, taking turns.
#
#   tests/bench/processes.sh [--quick]
#
# A ratio is two processes over one, the median of the rounds. Status: 1 if it is less than a half, 77 if it can't be
# measured here.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/support/common.sh
. "$root/tests/support/common.sh"

LEAST=0.5
DEPTH=64
POLL_US=1000
rounds=7
seconds=1
case ${1:-} in
  '') ;;
  --quick) rounds=3 seconds=0.3 ;;
  *) die "usage: processes.sh [--quick]" ;;
esac

dir=$(mktemp -d)
server=
# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes 10 "$server"
  rm -rf "$dir"
}
at_exit cleanup

(($(nproc) >= 2)) || skip 'both sides poll: two processors are needed'
cmake -S "$root" -B "$BUILD_DIR/bench" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
cmake --build "$BUILD_DIR/bench" --target bench_inprocess virtiofs-bench null >/dev/null
build=$BUILD_DIR/bench

listens() { [[ -S $dir/sock ]]; }
"$build/examples/null/null" --socket-path "$dir/sock" --poll-us "$POLL_US" 2>"$dir/log" &
server=$!
wait_until 10 listens || die 'the server does not listen'

for ((round = 1; round <= rounds; round++)); do
  progress "round $round of $rounds"
  "$build/tests/bench/inprocess" --count 300000 | sed -n 's/^split .*: *\([0-9.]*\) million.*/\1/p' | sort -n | tail -n 1
  "$build/examples/bench/virtiofs-bench" --socket "$dir/sock" --ops getattr --depth "$DEPTH" --poll --seconds "$seconds" \
    2>"$dir/log" | awk '$1 == "getattr" {print $2 / 1e6}'
done >"$dir/rates"

python3 - "$dir/rates" "$LEAST" <<'PYTHON'
import statistics, sys

values = [float(line) for line in open(sys.argv[1])]
one, two = values[0::2], values[1::2]
ratios = sorted(t / o for o, t in zip(one, two, strict=True))
print("one process %.2f million GETATTR per second, two %.2f, ratio %.2f (%.2f..%.2f)" %
      (statistics.median(one), statistics.median(two), statistics.median(ratios), ratios[0], ratios[-1]))
sys.exit(statistics.median(ratios) < float(sys.argv[2]))
PYTHON
