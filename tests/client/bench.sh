#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# virtiofs-bench from outside: all operations against our server, and what it leaves.
#
#   tests/client/bench.sh BENCH PASSTHROUGH
#
# Status: 0 passed, 1 failed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"

bench=$1
passthrough=$2
dir=$(mktemp -d)
server=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes 60 "$server"
  rm -rf "$dir"
}
at_exit cleanup

# run ARGUMENT...: its JSON is in $dir/out; every operation has succeeded and nothing is left.
run() {
  timeout 120 "$bench" --socket "$dir/sock" --seconds 0.02 --file-size 2 --entries 200 --json "$@" >"$dir/out" 2>"$dir/err" ||
    die "bench $*: $(cat "$dir/err")"
  python3 - "$dir/out" <<'PYTHON' || die "bench $*: $(cat "$dir/out")"
import json, sys
results = json.load(open(sys.argv[1]))["results"]
assert results and all(r["count"] > 0 and r["errors"] == 0 for r in results)
assert all(0 < r["p50_us"] <= r["p99_us"] <= r["p999_us"] for r in results)
assert all(r["ops_per_second"] > 0 and r["server_cpu_us"] >= 0 for r in results)
PYTHON
  [[ -z $(ls -A "$dir/share") ]] || die "bench $*: left $(ls "$dir/share")"
  say "ok bench $*"
}

# refuses PATTERN ARGUMENT...: status 1 and one line that has PATTERN.
refuses() {
  local pattern=$1 status=0
  shift
  timeout 60 "$bench" "$@" >"$dir/out" 2>"$dir/err" || status=$?
  ((status == 1)) || die "$*: status $status"
  grep -q -- "$pattern" "$dir/err" || die "$*: expected '$pattern': $(cat "$dir/err")"
  say "ok refuses $*"
}

mkdir "$dir/share"
"$passthrough" --stay --socket-path "$dir/sock" --shared-dir "$dir/share" --queues 4 >"$dir/log" 2>&1 &
server=$!
wait_until 60 listens_at "$dir/sock" || die "doesn't listen: $(cat "$dir/log")"
run --server-pid "$server" --svg "$dir/plot.svg"
grep -q '</svg>' "$dir/plot.svg" || die 'no picture'
run --server-pid "$server" --depth 8 --queues 4 --ops getattr,create,rename,readdirplus,mixed
run --server-pid "$server" --depth 3 --queues 4 --threads 1 --poll --packed --ops lookup,read4k,write64k,mkdir
refuses 'no operation' --socket "$dir/sock" --ops getattr,nonsense
refuses '--socket is required'
refuses 'cannot use' --socket "$dir/nothing"
refuses '--depth must be' --socket "$dir/sock" --depth 65
