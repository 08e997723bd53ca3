#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# --metrics and SIGUSR1 of a server that is at work: the text is Prometheus', and says what was done.
#
#   tests/daemon/metrics.sh MEMFS BENCH
#
# Status: 0 passed, 1 failed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/server.sh
. "$here/../guest/server.sh"

memfs=$1
bench=$2
SECONDS_MAX=60
dir=$(mktemp -d)

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  server_cleanup
  rm -rf "$dir"
}
at_exit cleanup

# In a sandbox there is no /proc, which the leak checker needs.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

has_summary() { grep -q "INFO metrics: LOOKUP: [0-9]* requests.*% below" "$dir/log"; }

socket=$dir/socket
server_words "$memfs --socket-path {socket} --tag memory --log-level error --metrics $dir/metrics" "$socket" '' ''
server_start "$dir/log" "$socket" "$SECONDS_MAX" || die "doesn't listen: $(cat "$dir/log")"
"$bench" --socket "$socket" --seconds 0.1 --file-size 1 --entries 10 >"$dir/bench" || die "bench: status $?"
kill -USR1 "$SERVER_PID"

python3 - "$dir/metrics" <<'PYTHON' || die 'the metrics'
import collections, re, socket, sys


def ask(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as conn:
        conn.settimeout(60)
        conn.connect(path)
        conn.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return b"".join(iter(lambda: conn.recv(65536), b"")).decode()


head, body = ask(sys.argv[1]).split("\r\n\r\n", 1)
assert head.startswith("HTTP/1.0 200 OK\r\n") and "text/plain; version=0.0.4" in head, head
sample = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\})? ([0-9.e+-]+)')
types, seen, values, family = {}, set(), {}, None
for line in body.splitlines():
    if line.startswith("# TYPE "):
        _, _, family, kind = line.split(" ")
        assert family not in types, f"{family} twice"
        types[family] = kind
        continue
    if line.startswith("# HELP "):
        continue
    match = sample.fullmatch(line)
    assert match, line
    assert match[1] == family or types[family] == "histogram" and match[1].startswith(family + "_"), line
    assert (match[1], match[2]) not in values, f"{line} twice"
    values[match[1], match[2]] = float(match[3])
assert any(kind == "histogram" for kind in types.values())

done = collections.Counter()
for (name, labels), value in values.items():
    if name == "virtiofs_requests_total":
        done[re.search('opcode="([^"]*)"', labels)[1]] += value
assert done["INIT"] >= 1 and done["LOOKUP"] >= 1 and done["READ"] >= 1 and done["WRITE"] >= 1, done

duration = "virtiofs_request_duration_seconds"
for (name, labels), value in values.items():
    if name != duration + "_count":
        continue
    buckets = [v for (n, l), v in values.items() if n == duration + "_bucket" and l.startswith(labels + ",le=")]
    assert len(buckets) == 28 and buckets == sorted(buckets) and buckets[-1] == value, (labels, buckets)
    assert value == values["virtiofs_requests_total", labels], labels
    assert 0 < values[duration + "_sum", labels] < 60, labels
assert values["virtiofs_nodes_limit", 'share="memory"'] == 1 << 20
PYTHON
wait_until "$SECONDS_MAX" has_summary || die "SIGUSR1 says nothing of it: $(cat "$dir/log")"
grep -q "share 'memory'" "$dir/log" || die "SIGUSR1 doesn't say which share: $(cat "$dir/log")"

status=0
kill -TERM "$SERVER_PID"
wait "$SERVER_PID" || status=$?
SERVER_PID=
((status == 0)) || die "status $status"
[[ ! -e $dir/metrics && ! -e $dir/metrics.pid ]] || die 'left its socket'
say 'ok metrics'
