#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Our server beside every other that is installed: the same load on equal settings, taking turns, and the ratios.
#
#   tests/bench/compare.sh [--quick] [--json] [--ops LIST] [--depth N] [--poll] [--pool THREADS]
#
# Servers: ours (a release build), the C server of QEMU 7.2 (/usr/lib/qemu/virtiofsd), the Rust server (build/peers, which
# tests/peers.sh makes). Each round starts each server anew on a directory of its own and runs virtiofs-bench against it.
# A figure is the median of the rounds; a ratio is ours over theirs, more than 1 is better, with the least and the
# largest of the rounds. --quick takes half a minute for each depth.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/support/common.sh
. "$root/tests/support/common.sh"

rounds=5
seconds=2
entries=10000
json=
extra=()
pool=0
while (($# > 0)); do
  case $1 in
    --quick) rounds=3 seconds=0.2 entries=1000 ;;
    --json) json=1 ;;
    --poll) extra+=(--poll) ;;
    --pool)
      (($# > 1)) || die "$1 wants a value"
      pool=$2
      shift
      ;;
    --ops | --depth)
      (($# > 1)) || die "$1 wants a value"
      extra+=("$1" "$2")
      shift
      ;;
    *) die "usage: compare.sh [--quick] [--json] [--ops LIST] [--depth N] [--poll] [--pool THREADS]" ;;
  esac
  shift
done

dir=$(mktemp -d)
server=
# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes 10 "$server"
  rm -rf "$dir"
}
at_exit cleanup

cmake --preset release -S "$root" -B "$BUILD_DIR/release" >/dev/null
cmake --build "$BUILD_DIR/release" --target virtiofs-bench virtiofs-passthrough >/dev/null
bench=$BUILD_DIR/release/examples/bench/virtiofs-bench
rust=${VIRTIOFS_PEER_VIRTIOFSD:-$BUILD_DIR/peers/bin/virtiofsd}

servers=(ours)
[[ -x /usr/lib/qemu/virtiofsd ]] && servers+=(c)
[[ -x $rust ]] && servers+=(rust)
((${#servers[@]} > 1)) || skip 'no other server is installed'

# Equal terms: the same cache mode, one thread for a queue and as many for operations that take long.
start_server() { # NAME SOCKET SHARE
  local command
  case $1 in
    ours)
      command=("$BUILD_DIR/release/examples/passthrough/virtiofs-passthrough" --stay --socket-path "$2" --shared-dir "$3"
        --cache auto --thread-pool-size="$pool")
      ;;
    c)
      command=(/usr/lib/qemu/virtiofsd --socket-path="$2" -o "source=$3" -o sandbox=chroot -o cache=auto
        --thread-pool-size="$pool")
      ;;
    rust)
      command=("$rust" --socket-path "$2" --shared-dir "$3" --sandbox chroot --cache auto --inode-file-handles=never
        --thread-pool-size="$pool")
      ;;
  esac
  "${command[@]}" >"$dir/$1.log" 2>&1 &
  server=$!
}

listens() { [[ -S $1 ]]; }

# The process that serves: a sandbox may have made a child.
serving() {
  local pid
  pid=$(descendants "$server" | tail -n 1)
  echo "${pid:-$server}"
}

one_round() { # NAME ROUND
  local socket=$dir/$1.sock
  rm -f "$socket"
  mkdir -p "$dir/share-$1"
  start_server "$1" "$socket" "$dir/share-$1"
  wait_until 10 listens "$socket" || die "$1 doesn't listen: $(tail -n 3 "$dir/$1.log")"
  "$bench" --socket "$socket" --seconds "$seconds" --entries "$entries" --server-pid "$(serving)" --json "${extra[@]}" \
    >"$dir/$1.$2.json" || die "$1: $(tail -n 3 "$dir/$1.log")"
  stop_process "$server" 10 || true
  wait "$server" 2>/dev/null || true
  server=
}

for ((round = 1; round <= rounds; round++)); do
  for name in "${servers[@]}"; do
    progress "round $round of $rounds: $name"
    one_round "$name" "$round"
  done
done

python3 - "$dir" "$rounds" "${json:-0}" "${servers[@]}" <<'PYTHON'
import json, pathlib, statistics, sys

folder, rounds, as_json, servers = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1", sys.argv[4:]
runs = {s: [json.loads((folder / f"{s}.{r}.json").read_text()) for r in range(1, rounds + 1)] for s in servers}


def values(server, at, field):
    return [run["results"][at][field] for run in runs[server] if field in run["results"][at]]


table = []
for at, first in enumerate(runs["ours"][0]["results"]):
    row = {"op": first["op"], "ops_per_second": {}, "server_cpu_us": {}, "ratio": {}, "cpu_ratio": {}, "errors": {}}
    for server in servers:
        row["ops_per_second"][server] = statistics.median(values(server, at, "ops_per_second"))
        row["errors"][server] = sum(values(server, at, "errors"))
        cpu = values(server, at, "server_cpu_us")
        if cpu:
            row["server_cpu_us"][server] = statistics.median(cpu)
    for server in servers[1:]:
        # Those of one round were run one after the other.
        ratios = [a / b for a, b in zip(values("ours", at, "ops_per_second"), values(server, at, "ops_per_second")) if b]
        if ratios:
            row["ratio"][server] = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
        if row["server_cpu_us"].get("ours"):
            row["cpu_ratio"][server] = row["server_cpu_us"].get(server, 0) / row["server_cpu_us"]["ours"]
    table.append(row)
if as_json:
    print(json.dumps({"servers": servers, "rounds": rounds, "results": table}, indent=1))
    sys.exit()
print("%-12s" % "op" + "".join("%11s" % f"{s}/s" for s in servers) +
      "".join("%24s%11s" % (f"rate to {s}", "cpu") for s in servers[1:]))
for row in table:
    line = "%-12s" % row["op"] + "".join("%11.0f" % row["ops_per_second"][s] for s in servers)
    for server in servers[1:]:
        ratio = row["ratio"].get(server)
        line += "%24s" % ("%.2f (%.2f..%.2f)" % (ratio["median"], ratio["min"], ratio["max"]) if ratio else "-")
        line += "%11.2f" % row["cpu_ratio"].get(server, 0)
    failed = [f"{s}: {row['errors'][s]} errors" for s in servers if row["errors"][s]]
    print(line + ("  " + ", ".join(failed) if failed else ""))
PYTHON
