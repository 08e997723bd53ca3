#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The servers hello and control in a real guest: what their files show, what they take, and what they refuse.
#
#   tests/guest/examples.sh
#
# VIRTIOFS_GUEST_EXAMPLES is the folder that holds hello/hello and control/control, default BUILD/debug/examples.
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/server.sh
. "$here/server.sh"

START_SECONDS=60
STOP_SECONDS=60
examples=${VIRTIOFS_GUEST_EXAMPLES:-$BUILD_DIR/debug/examples}
run_dir=
pids=()

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$STOP_SECONDS" "${pids[@]}"
  [[ -z $run_dir ]] || rm -rf "$run_dir"
}

# start NAME: its socket is run_dir/NAME.sock, what it says goes to run_dir/NAME.log.
start() {
  server_words "$examples/$1/$1 --socket-path {socket}" "$run_dir/$1.sock" '' ''
  if ! server_start "$run_dir/$1.log" "$run_dir/$1.sock" "$START_SECONDS"; then
    cat "$run_dir/$1.log" >&2
    die "$1 doesn't listen"
  fi
  pids+=("$SERVER_PID")
}

# stop NAME PID: it has to end by itself, with status 0, leave no socket and have had nothing to complain of.
stop() {
  local status=0
  kill -TERM "$2"
  wait "$2" || status=$?
  ((status == 0)) || die "$1 ended with status $status"
  [[ ! -e $run_dir/$1.sock ]] || die "$1 left its socket"
  if grep -E 'ERROR|WARN|Sanitizer|runtime error' "$run_dir/$1.log"; then
    die "$1 complained"
  fi
}

at_exit cleanup
run_dir=$(mktemp -d)
start hello
start control
control_pid=$SERVER_PID
cat >"$run_dir/script" <<'SCRIPT'
set -eu
fail() { echo "not ok $*"; exit 1; }
mkdir -p /hello /control
mount -t virtiofs hello /hello
mount -t virtiofs control /control

[ "$(ls /hello)" = hello.txt ] || fail "hello lists '$(ls /hello)'"
[ "$(cat /hello/hello.txt)" = 'hello, guest' ] || fail "hello.txt says '$(cat /hello/hello.txt)'"
[ "$(stat -c '%a %s %F' /hello/hello.txt)" = '444 13 regular file' ] || fail "hello.txt is $(stat /hello/hello.txt)"
if cat /hello/nothing 2>/dev/null; then fail 'nothing is there'; fi
if echo x >/hello/new 2>/dev/null; then fail 'hello took a file'; fi
if rm -f /hello/hello.txt 2>/dev/null; then fail 'hello lost its file'; fi
echo 'ok hello'

[ "$(ls /control | tr '\n' ' ')" = 'counter cpu greeting pid time ' ] || fail "control lists '$(ls /control)'"
[ "$(cat /control/pid)" = "$(cat /job/pid)" ] || fail "pid is $(cat /control/pid), not $(cat /job/pid)"
first=$(cat /control/time)
second=$(cat /control/time)
[ "$first" != "$second" ] || fail 'time stands still'
[ "$(cat /control/counter)" = 0 ] || fail "counter begins with $(cat /control/counter)"
echo 42 >/control/counter
[ "$(cat /control/counter)" = 42 ] || fail "counter is $(cat /control/counter), not 42"
if echo many >/control/counter 2>/dev/null; then fail 'counter took a word'; fi
[ "$(cat /control/counter)" = 42 ] || fail 'a word changed the counter'
echo 'good evening' >/control/greeting
[ "$(cat /control/greeting)" = 'good evening' ] || fail "greeting is '$(cat /control/greeting)'"
if echo 1 >/control/pid 2>/dev/null; then fail 'pid took a number'; fi
echo 'ok control'
umount /hello /control
SCRIPT
# As it is called in its own namespace, which it makes only after it listens.
in_sandbox() { grep -q 'INFO sandbox' "$run_dir/control.log"; }
wait_until "$START_SECONDS" in_sandbox || die "control isn't in its sandbox: $(cat "$run_dir/control.log")"
awk '$1 == "NSpid:" { print $NF }' "/proc/$(inside "$control_pid")/status" >"$run_dir/pid"
status=0
# The second device stands beside the one that boot.sh makes.
VIRTIOFS_GUEST_QEMU_ARGS="-chardev socket,id=fs2,path=$run_dir/control.sock -device vhost-user-fs-pci,chardev=fs2,tag=control" \
  "$here/boot.sh" --tag hello "$run_dir/hello.sock" "$run_dir/script" "$run_dir/pid" || status=$?
((status == 0)) || exit "$status"
stop hello "${pids[0]}"
stop control "${pids[1]}"
pids=()
say '2 passed, 0 failed'
