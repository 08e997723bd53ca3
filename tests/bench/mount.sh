#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What virtiofs-mount costs: fio on our server's files through it, beside the same backend mounted directly by /dev/fuse,
# taking turns.
#
#   tests/bench/mount.sh [--quick] [--json]
#
# A ratio is virtiofs-mount over direct, the median of the rounds. With --quick three short rounds.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/support/common.sh
. "$root/tests/support/common.sh"

rounds=7
seconds=3
json=0
for argument in "$@"; do
  case $argument in
    --quick) rounds=3 seconds=1 ;;
    --json) json=1 ;;
    *) die "usage: mount.sh [--quick] [--json]" ;;
  esac
done

dir=$(mktemp -d)
pids=()
# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  # The mount before what serves it.
  stop_processes 10 "${pids[@]}"
  umount -l "$dir/direct" "$dir/mount" 2>/dev/null || true
  rm -rf "$dir"
}
at_exit cleanup

[[ $(id -u) == 0 && -c /dev/fuse ]] || skip 'needs root and /dev/fuse'
need_programs fio:fio
cmake --preset release -S "$root" -B "$BUILD_DIR/release" >/dev/null
cmake --build "$BUILD_DIR/release" --target virtiofs-mount virtiofs-passthrough >/dev/null
programs=$BUILD_DIR/release/examples

listens() { [[ -S $dir/sock ]]; }

mkdir "$dir/share" "$dir/direct" "$dir/mount"
head -c 64M /dev/urandom >"$dir/share/file"
"$programs/passthrough/virtiofs-passthrough" --shared-dir "$dir/share" --mountpoint "$dir/direct" --queues 1 2>"$dir/log" &
pids+=($!)
"$programs/passthrough/virtiofs-passthrough" --stay --shared-dir "$dir/share" --socket-path "$dir/sock" 2>"$dir/log" &
pids+=($!)
wait_until 10 listens || die 'the server does not listen'
"$programs/mount/virtiofs-mount" "$dir/sock" "$dir/mount" &
pids=($! "${pids[@]}")
wait_until 10 mountpoint -q "$dir/direct" || die 'not mounted directly'
wait_until 10 mountpoint -q "$dir/mount" || die 'not mounted'

# rate WHERE BLOCK DEPTH MODE: I/Os in a second.
rate() {
  fio --name=bench --filename="$dir/$1/file" --size=64M --bs="$2" --iodepth="$3" --rw="$4" --ioengine=libaio --direct=1 \
    --runtime="$seconds" --time_based --minimal | cut -d ';' -f 8
}

loads=("4k 1 randread" "4k 16 randread" "1m 1 read")
for ((round = 1; round <= rounds; round++)); do
  for load in "${loads[@]}"; do
    read -r block depth mode <<<"$load"
    progress "round $round of $rounds: $load"
    echo "$block,$depth,$mode,$(rate direct "$block" "$depth" "$mode"),$(rate mount "$block" "$depth" "$mode")" >>"$dir/rates"
  done
done

python3 - "$dir/rates" "$json" <<'PYTHON'
import collections, json, statistics, sys

loads = collections.defaultdict(list)
for line in open(sys.argv[1]):
    *load, direct, mount = line.strip().split(",")
    loads[" ".join(load)].append((float(direct), float(mount)))
rows = []
for load, pairs in loads.items():
    ratios = sorted(m / d for d, m in pairs)
    rows.append({"load": load, "direct": statistics.median(d for d, _ in pairs), "mount": statistics.median(m for _, m in pairs),
                 "ratio": statistics.median(ratios), "min": ratios[0], "max": ratios[-1]})
if sys.argv[2] == "1":
    print(json.dumps(rows, indent=1))
else:
    print("%-18s %10s %10s  %s" % ("block depth mode", "direct/s", "mount/s", "ratio"))
    for row in rows:
        print("%-18s %10.0f %10.0f  %.2f (%.2f..%.2f)" % tuple(row[k] for k in ("load", "direct", "mount", "ratio", "min", "max")))
PYTHON
