#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What each option of virtiofs-passthrough costs: the same load with it and without it, taking turns, and the ratios.
#
#   tests/bench/options.sh [--quick] [--ops LIST] [--depth N] [OPTION...]
#
# An OPTION is one word of shell with what is to be given together ("--xattr --killpriv-v2"); without any, those that
# docs/operators.md has figures of. A figure is the median of the rounds. "rate" is with the option over without it,
# "cpu" the server's processor time of an operation with it over without it: less is better, and much less is other
# programs' doing than with the rate. Both are without a sandbox, and sleep as soon as there is nothing to do. --quick takes
# 10 seconds for each option.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/support/common.sh
. "$root/tests/support/common.sh"

rounds=5
seconds=0.5
ops=getattr,lookup,open,read4k,write4k,create,rename
depth=8
options=()
while (($# > 0)); do
  case $1 in
    --quick) rounds=3 seconds=0.2 ;;
    --ops) ops=$2 && shift ;;
    --depth) depth=$2 && shift ;;
    *) options+=("$1") ;;
  esac
  shift
done
((${#options[@]} > 0)) || options=(--xattr "--xattr --killpriv-v2" --posix-acl --inode-file-handles=never --inode-fds=1
  --thread-pool-size=4 "--translate-uid map:0:0:65536" --readdirplus --log-level=trace "--record RECORD")

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
examples=$BUILD_DIR/release/examples

listens() { [[ -S $1 ]]; }

# one_run RESULT OPTION...
one_run() {
  local result=$1 socket=$dir/sock
  shift
  rm -rf "$dir/share" "$dir/record" "$socket"
  mkdir "$dir/share"
  "$examples/passthrough/virtiofs-passthrough" --sandbox=none --poll-us=0 --socket-path "$socket" --shared-dir "$dir/share" "$@" 2>"$dir/log" &
  server=$!
  wait_until 10 listens "$socket" || die "$*: doesn't listen: $(tail -n 3 "$dir/log")"
  "$examples/bench/virtiofs-bench" --socket "$socket" --seconds "$seconds" --entries 1000 --file-size 16 --ops "$ops" \
    --depth "$depth" --server-pid "$server" --json >"$result" ||
    die "$*: $(tail -n 3 "$dir/log")"
  wait "$server" || die "$*: status $?"
  server=
}

for ((at = 0; at < ${#options[@]}; at++)); do
  read -ra words <<<"${options[at]//RECORD/$dir/record}"
  progress "${options[at]}"
  for ((round = 1; round <= rounds; round++)); do
    one_run "$dir/$at.$round.without"
    one_run "$dir/$at.$round.with" "${words[@]}"
  done
done

python3 - "$dir" "$rounds" "${options[@]}" <<'PYTHON'
import json, pathlib, statistics, sys

folder, rounds, options = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]


def results(at, number, which):
    return json.loads((folder / f"{at}.{number}.{which}").read_text())["results"]


for at, option in enumerate(options):
    print(option)
    pairs = [(results(at, r, "without"), results(at, r, "with")) for r in range(1, rounds + 1)]
    for i, op in enumerate(row["op"] for row in pairs[0][0]):
        rate = [b[i]["ops_per_second"] / a[i]["ops_per_second"] for a, b in pairs]
        cpu = [b[i]["server_cpu_us"] / a[i]["server_cpu_us"] for a, b in pairs if a[i].get("server_cpu_us")]
        errors = sum(b[i]["errors"] for a, b in pairs)
        print("  %-12s rate %5.2f (%.2f..%.2f)   cpu %5.2f%s" %
              (op, statistics.median(rate), min(rate), max(rate), statistics.median(cpu) if cpu else 0,
               f"   {errors} errors" if errors else ""))
PYTHON
