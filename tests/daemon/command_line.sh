#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The command line of the servers, from outside: options, the socket, signals, exit codes.
#
#   tests/daemon/command_line.sh HELLO PASSTHROUGH
#
# Status: 0 passed, 1 failed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/server.sh
. "$here/../guest/server.sh"

hello=$1
passthrough=$2
SECONDS_MAX=60
dir=$(mktemp -d)
checks=0

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  server_cleanup
  rm -rf "$dir"
}
at_exit cleanup

# In a sandbox there is no /proc, which the leak checker needs.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

passed() {
  checks=$((checks + 1))
  say "ok $*"
}

# refuses PATTERN PROGRAM ARGUMENT...: one line on stderr, which has PATTERN in it; nothing on stdout; status 1.
refuses() {
  local pattern=$1 status=0
  shift
  timeout "$SECONDS_MAX" "$@" </dev/null >"$dir/out" 2>"$dir/err" || status=$?
  ((status == 1)) || die "$*: status $status, expected 1: $(cat "$dir/err")"
  [[ ! -s $dir/out ]] || die "$*: says something on stdout: $(cat "$dir/out")"
  [[ $(wc -l <"$dir/err") == 1 ]] || die "$*: expected one line on stderr: $(cat "$dir/err")"
  grep -q -- "$pattern" "$dir/err" || die "$*: expected '$pattern': $(cat "$dir/err")"
  passed "refuses ${*:2}"
}

# tells PATTERN PROGRAM ARGUMENT...: status 0, PATTERN on stdout, nothing on stderr.
tells() {
  local pattern=$1
  shift
  timeout "$SECONDS_MAX" "$@" </dev/null >"$dir/out" 2>"$dir/err" || die "$*: status $?"
  grep -q -- "$pattern" "$dir/out" || die "$*: expected '$pattern': $(cat "$dir/out")"
  [[ ! -s $dir/err ]] || die "$*: complains: $(cat "$dir/err")"
  passed "tells ${*:2}"
}

in_sandbox() { grep -q 'INFO sandbox' "$dir/log"; }

# start SOCKET: hello listens there, whatever lay there.
start() {
  server_words "$hello --socket-path {socket}" "$1" '' ''
  rm -f "$dir/log"
  server_start_over "$dir/log" "$1" "$SECONDS_MAX" || die "doesn't listen: $(cat "$dir/log")"
  wait_until "$SECONDS_MAX" in_sandbox || die "isn't in its sandbox: $(cat "$dir/log")"
}

# stop SIGNAL SOCKET: ends with status 0 and leaves nothing.
stop() {
  local status=0
  kill -"$1" "$SERVER_PID"
  wait "$SERVER_PID" || status=$?
  SERVER_PID=
  ((status == 0)) || die "status $status after SIG$1: $(cat "$dir/log")"
  [[ ! -e $2 && ! -e $2.pid ]] || die "left its socket or its lock"
  passed "ends by SIG$1"
}

options() {
  refuses 'one of --socket-path, --fd and --mountpoint' "$hello"
  refuses 'one of --socket-path, --fd and --mountpoint' "$hello" --socket-path "$dir/s" --fd 3
  refuses 'unrecognized option' "$hello" --nonsense
  refuses 'character 5: a rule' "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --xattrmap ':ok:'
  refuses 'uids, rule at character 12: the range overlaps' "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" \
    --translate-uid map:0:0:10 --translate-uid guest:5:0:1
  refuses 'gids, rule at character 1: the type must be' "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --translate-gid 0:0:10
  refuses 'no POSIX ACLs while' "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --translate-gid map:0:0:1 --posix-acl
  refuses 'must be never, auto or always' "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --security-label=maybe
  refuses 'never, auto or always' "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --posix-acl=perhaps
  refuses 'requires an argument' "$hello" --socket-path
  refuses "unexpected argument 'extra'" "$hello" --socket-path "$dir/s" extra
  refuses "--queues must be" "$hello" --socket-path "$dir/s" --queues 0
  refuses "--queues must be" "$hello" --socket-path "$dir/s" --queues 65
  refuses "--queues must be" "$hello" --socket-path "$dir/s" --queues 2x
  refuses "--queues must be" "$hello" --socket-path "$dir/s" --queues -1
  refuses "--thread-pool-size must be" "$hello" --socket-path "$dir/s" --thread-pool-size 99999999999999999999
  refuses "--log-level must be" "$hello" --socket-path "$dir/s" --log-level loud
  refuses "--tag must be" "$hello" --socket-path "$dir/s" --tag ''
  refuses "--tag must be" "$hello" --socket-path "$dir/s" --tag 1234567890123456789012345678901234567
  refuses "--fd must be" "$hello" --fd x
  refuses "--shared-dir is required" "$passthrough" --socket-path "$dir/s"
  refuses "No such file" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir/none"
  refuses "Not a directory" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir/out"
  refuses "--cache must be" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --cache sometimes
  refuses "--lock-waiters must be" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --lock-waiters 0
  refuses "--lock-waiters must be" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --lock-waiters 5x
  refuses "--record-data must be" "$hello" --socket-path "$dir/s" --record "$dir/r" --record-data 1048577
  refuses "--max-inodes must be" "$hello" --socket-path "$dir/s" --max-inodes 0
  refuses "--max-inodes must be" "$hello" --socket-path "$dir/s" --max-inodes 134217729
  refuses "--max-inflight must be" "$hello" --socket-path "$dir/s" --max-inflight 0
  refuses "--max-inflight must be" "$hello" --socket-path "$dir/s" --max-inflight 1025
  refuses "--max-mappings must be" "$hello" --socket-path "$dir/s" --max-mappings 0
  refuses "--max-mappings must be" "$hello" --socket-path "$dir/s" --max-mappings 16777217
  refuses "--lock-waiters 16 must be less than --max-inflight 16" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --lock-waiters 16 --max-inflight 16
  refuses "--max-locks must be" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --max-locks 0
  refuses "--max-locks must be" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --max-locks 1048577
  local quota
  for quota in '' 0 65535 63K 2000T '1M,' 1M,inodes=0 1M,inodes= 1M,files=5 -5M 1X; do
    refuses "--quota must be" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --quota "$quota"
  done
  refuses "--max-dirty must be" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --max-dirty 1K
  refuses "--quota-scan is nothing without" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --quota-scan
  refuses "--max-handles must be" "$hello" --socket-path "$dir/s" --max-handles +5
  local rate
  for rate in '' ops=0 ops=10000001 ops=5x ops= bytes=1023 bytes=2000T bytes=18446744073709551616 bytes=K burst=5 'ops=5,' ',ops=5' \
    ops=5,ops=6 ops=5,speed=7 ops=5,burst=0 ops=5,burst=60001 "ops=$(printf '%060d' 5)"; do
    refuses "--rate must be" "$hello" --socket-path "$dir/s" --rate "$rate"
  done
  refuses "No such file" "$hello" --socket-path "$dir/none/s" --rate bytes=1024T,burst=60000,ops=10000000
  refuses "--metrics must be" "$hello" --socket-path "$dir/s" --metrics ''
  refuses "others than this host" "$hello" --socket-path "$dir/s" --metrics 0.0.0.0:9100
  refuses "cannot listen on localhost:9100" "$hello" --socket-path "$dir/s" --metrics localhost:9100
  refuses "without --record" "$hello" --socket-path "$dir/s" --record-data 1
  refuses "No such file" "$hello" --socket-path "$dir/s" --record "$dir/none/record"
  refuses "Is a directory" "$hello" --socket-path "$dir/s" --record "$dir"
  refuses "no regular file" "$hello" --socket-path "$dir/s" --record /dev/null
  refuses "unknown option '-o source=" "$hello" --socket-path "$dir/s" -o "source=$dir"
  refuses "unknown option '-o nonsense'" "$passthrough" --socket-path "$dir/s" -o "source=$dir,nonsense"
  refuses "can't be migrated yet" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --migration-mode=find-paths
  refuses "nothing without --socket-path" "$passthrough" --fd 3 --socket-group root --shared-dir "$dir"
  refuses "there is no group" "$passthrough" --socket-path "$dir/s" --socket-group 'no such' --shared-dir "$dir"
  refuses "--timeout must be" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --timeout 1s
  refuses "--timeout must be" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --timeout nan
  refuses "--timeout must be" "$passthrough" --socket-path "$dir/s" --shared-dir "$dir" --timeout 86400.5
  [[ ! -e $dir/s && ! -e $dir/s.pid ]] || die 'what is refused leaves a socket'
  tells 'Usage: virtiofs-passthrough' "$passthrough" -h
  tells 'Usage: hello' "$hello" --help
  tells 'Usage: hello' "$hello" --usage
  tells '[0-9]\.[0-9]' "$hello" --version
  tells 'virtiofs-passthrough [0-9]' "$passthrough" --version
  tells '"fs"' "$hello" --print-capabilities
  "$passthrough" --print-capabilities | python3 -c '
import json, sys
said = json.load(sys.stdin)
sys.exit(said["type"] != "fs" or said["features"] != ["separate-options", "posix-acl-negotiation-mode"])' || die 'capabilities are not as they should be'
  passed 'capabilities are JSON'
}

sockets() {
  local socket=$dir/socket serving
  refuses 'No such file' "$hello" --socket-path "$dir/none/socket"
  refuses 'too long' "$hello" --socket-path "/$(printf '%0120d' 0)"
  echo precious >"$dir/file"
  refuses 'no socket' "$hello" --socket-path "$dir/file"
  [[ $(cat "$dir/file") == precious ]] || die 'a file that is no socket was touched'
  refuses 'Bad file descriptor' "$hello" --fd 99
  refuses 'non-socket' "$hello" --fd 0

  start "$socket"
  [[ $(stat -c %a "$socket") == 700 || $(stat -c %a "$socket") == 600 ]] || die "others may use the socket: $(stat -c %a "$socket")"
  [[ $(cat "$socket.pid") == "$SERVER_PID" ]] || die "$socket.pid holds $(cat "$socket.pid")"
  refuses 'another server' "$hello" --socket-path "$socket"
  [[ -S $socket ]] || die 'the other server lost its socket'
  stop TERM "$socket"
  start "$socket"
  stop INT "$socket"
  start "$socket"
  stop HUP "$socket"

  # A server that was killed leaves its socket; the next one takes the place.
  start "$socket"
  serving=$(inside "$SERVER_PID")
  kill -KILL "$SERVER_PID"
  wait "$SERVER_PID" 2>/dev/null || true
  SERVER_PID=
  wait_until "$SECONDS_MAX" gone "$serving" || die 'the one in its sandbox lives on'
  [[ -S $socket ]] || die 'no stale socket to test with'
  start "$socket"
  passed 'replaces a stale socket'
  stop TERM "$socket"
}

# With descriptors that somebody else has made: listening, connected, and of the wrong kind.
descriptors() {
  python3 - "$hello" <<'PYTHON' || die 'inherited descriptors'
import os, socket, struct, subprocess, sys, tempfile

hello = sys.argv[1]


def features(conn):
    """GET_FEATURES of vhost-user: something serves at the other end."""
    conn.settimeout(60)
    conn.sendall(struct.pack("=III", 1, 1, 0))
    request, flags, size = struct.unpack("=III", conn.recv(12, socket.MSG_WAITALL))
    assert (request, flags, size) == (1, 5, 8), (request, flags, size)
    return struct.unpack("=Q", conn.recv(8, socket.MSG_WAITALL))[0]


with tempfile.TemporaryDirectory() as folder:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(folder + "/s")
    listener.listen()
    server = subprocess.Popen([hello, "--fd", str(listener.fileno())], pass_fds=[listener.fileno()])
    for _ in range(2):  # one front-end after the other
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as conn:
            conn.connect(folder + "/s")
            assert features(conn) & 1 << 32
    server.terminate()
    assert server.wait(60) == 0
    assert os.path.exists(folder + "/s"), "it is not the server's to remove"

ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
server = subprocess.Popen([hello, "--fd", str(theirs.fileno())], pass_fds=[theirs.fileno()])
theirs.close()
assert features(ours) & 1 << 32
ours.close()
assert server.wait(60) == 0, "ends when its one front-end has left"

datagrams, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
server = subprocess.run([hello, "--fd", str(other.fileno())], pass_fds=[other.fileno()], capture_output=True, timeout=60)
assert server.returncode == 1 and server.stderr.count(b"\n") == 1, server.stderr
PYTHON
  passed 'inherited descriptors'
}

# The file is there, and its owner's, before anybody connects; options that are refused leave an old one as it was.
records() {
  local socket=$dir/recorded before
  server_words "$hello --socket-path {socket} --record $dir/record --record-data 64" "$socket" '' ''
  server_start "$dir/log" "$socket" "$SECONDS_MAX" || die "doesn't listen: $(cat "$dir/log")"
  [[ $(stat -c '%a %s' "$dir/record") == '600 40' ]] || die "the record: $(stat -c '%a %s' "$dir/record")"
  [[ $(head -c 6 "$dir/record") == vfsrec ]] || die 'the record has no header'
  refuses 'another server records' "$hello" --socket-path "$dir/other" --record "$dir/record"
  [[ $(stat -c %s "$dir/record") == 40 ]] || die 'another server has changed the record'
  stop TERM "$socket"
  before=$(md5sum <"$dir/record")
  refuses "--queues must be" "$hello" --socket-path "$dir/s" --record "$dir/record" --queues 0
  [[ $(md5sum <"$dir/record") == "$before" ]] || die 'a command line that was refused has changed the record'
  passed 'makes a record'
}

options
sockets
records
descriptors
say "$checks passed, 0 failed"
