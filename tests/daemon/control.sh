#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Several shares in one server, by virtiofs-ctl, each mounted here: what is done to one is nothing to the others.
#
#   tests/daemon/control.sh PASSTHROUGH CTL MOUNT SANDBOX
#
# Status: 0 passed, 1 failed, 77 no FUSE mounts here.
set -euo pipefail

here=$(cd "$(dirname "$0")/../guest" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/inside/checks.sh
. "$here/inside/checks.sh"
# shellcheck source=tests/support/host_mount.sh
. "$here/../support/host_mount.sh"

passthrough=$1
ctl=$2
mount=$3
sandbox=$4
SECONDS_MAX=30
ROUNDS=${CONTROL_ROUNDS:-20}
dir=$(mktemp -d)
export VIRTIOFS_CONTROL=$dir/control
server=
declare -A mounters=()
pids=()
export CHECK_PHASE=control CHECK_OPTIONAL=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  local name
  : >"$dir/enough" || true
  for name in "${!mounters[@]}"; do stop_process "${mounters[$name]}" "$SECONDS_MAX" || true; done
  stop_processes "$SECONDS_MAX" "${pids[@]}"
  stop_processes "$SECONDS_MAX" "$server"
  unmount "$dir"/mnt.*
  rm -rf "$dir"
}
at_exit cleanup

start_server() {
  "$passthrough" --control "$VIRTIOFS_CONTROL" --sandbox "$sandbox" "$@" >"$dir/server.log" 2>&1 &
  server=$!
  wait_until "$SECONDS_MAX" listens_at "$VIRTIOFS_CONTROL" || die "doesn't listen: $(cat "$dir/server.log")"
}

stop_server() {
  local pid=$server status=0
  "$ctl" stop
  gone "$pid" || die 'stop has come back before the end'
  server=
  wait "$pid" || status=$?
  want 'the exit status' 0 "$status"
  want 'what is left of sockets' '' "$(find "$dir" -maxdepth 1 \( -type s -o -name '*.pid' \))"
}

# add NAME OPTION...: a share of its own directory.
add() {
  mkdir -p "$dir/share.$1"
  echo "$1" >"$dir/share.$1/name"
  "$ctl" add "$1" --socket-path "$dir/$1.sock" --shared-dir "$dir/share.$1" "${@:2}"
}

# mount_it NAME: at mnt.NAME.
mount_it() {
  local mnt=$dir/mnt.$1
  mkdir -p "$mnt"
  "$mount" "$dir/$1.sock" "$mnt" >"$dir/mount.$1.log" 2>&1 &
  mounters[$1]=$!
  await_mount "${mounters[$1]}" "$dir/mount.$1.log" "$SECONDS_MAX"
}

# unmounted NAME STATUS: its mounter has ended.
unmounted() {
  local status=0
  wait "${mounters[$1]}" || status=$?
  unset "mounters[$1]"
  want 'the exit status' "$2" "$status"
}

# state NAME: as the list has it.
state() { "$ctl" list "$1" | awk -v name="$1" '$1 == name { print $2 }'; }
state_is() { [[ $(state "$1") == "$2" ]]; }

each_has_its_own() {
  want 'one' one "$(cat "$dir/mnt.one/name")"
  want 'two' two "$(cat "$dir/mnt.two/name")"
  echo new >"$dir/mnt.two/new"
  want 'what one sees' name "$(ls "$dir/mnt.one")"
  want 'what the host sees' new "$(cat "$dir/share.two/new")"
  want 'the states' 'connected connected' "$(state one) $(state two)"
}

# Writes, reads and compares until it is told to end.
keep_busy() {
  local round=0
  while [[ ! -e $dir/enough ]]; do
    round=$((round + 1))
    seq "$round" "$((round + 100000))" >"$dir/expected"
    cp "$dir/expected" "$1/busy"
    cmp "$dir/expected" "$1/busy"
    mv "$1/busy" "$1/moved"
    cmp "$dir/expected" "$1/moved"
    rm "$1/moved"
    : >"$dir/busy"
  done
  echo "$round rounds"
}

# Others come and go, are mounted or not, and what one is doing goes on.
others_come_and_go() {
  local i busy
  keep_busy "$dir/mnt.one" >"$dir/busy.log" 2>&1 &
  busy=$!
  pids+=("$busy")
  wait_until "$SECONDS_MAX" test -e "$dir/busy" || die 'is not busy'
  for ((i = 0; i < ROUNDS; i++)); do
    add guest -- --cache=never --thread-pool-size=2
    if ((i % 4 == 0)); then
      mount_it guest
      want 'guest' guest "$(cat "$dir/mnt.guest/name")"
      kill -TERM "${mounters[guest]}"
      unmounted guest 0
    fi
    "$ctl" remove guest
  done
  # While it is removed files are open, and requests are under way.
  add guest
  mount_it guest
  exec 7<"$dir/mnt.guest/name"
  "$ctl" remove guest --now
  unmounted guest 1
  exec 7<&-
  refuse "no share 'guest'" "$ctl" list guest
  rm "$dir/busy"
  wait_until "$SECONDS_MAX" test -e "$dir/busy" || die 'is not busy any more'
  : >"$dir/enough"
  wait "$busy" || die "$(cat "$dir/busy.log")"
  want 'complaints' 0 "$(grep -c cmp "$dir/busy.log" || true)"
}

removed_while_in_use() {
  exec 5<"$dir/mnt.two/name"
  "$ctl" remove two --now
  unmounted two 1
  if head -c 1 <&5 2>"$dir/err"; then
    echo 'expected an error for what is read after the end'
    return 1
  fi
  exec 5<&-
  want 'one' one "$(cat "$dir/mnt.one/name")"
  want 'the socket' '' "$(find "$dir" -name 'two.sock*')"
}

# Waits for the guest; nobody else gets in meanwhile.
drained() {
  "$ctl" remove one >"$dir/remove.log" 2>&1 &
  local remover=$!
  pids+=("$remover")
  wait_until "$SECONDS_MAX" state_is one ending || die "is $(state one)"
  want 'one' one "$(cat "$dir/mnt.one/name")"
  refuse 'Connection refused' "$mount" "$dir/one.sock" "$dir"
  alive "$remover" || die 'it has not waited'
  umount "$dir/mnt.one"
  unmounted one 0
  wait "$remover" || die "$(cat "$dir/remove.log")"
  want 'the list' 'NAME' "$("$ctl" list | awk '{ print $1 }')"
}

wrong_words() {
  refuse 'say what to do' "$ctl"
  refuse 'no command' "$ctl" frobnicate
  refuse 'too few' "$ctl" add
  refuse 'too few' "$ctl" list a b
  refuse 'only add' "$ctl" list --tag x
  refuse 'only remove' "$ctl" list --now
  refuse 'No such file' "$ctl" add a --socket-path "$dir/a.sock" --shared-dir /no/such
  refuse '--cache must be' "$ctl" add a --socket-path "$dir/a.sock" --shared-dir / -- --cache=x
  refuse '--control is required' "$ctl" --control '' list
  refuse 'cannot connect' "$ctl" --control "$dir/nobody" list
  want 'the sockets' "$VIRTIOFS_CONTROL" "$(find "$dir" -maxdepth 1 -type s)"
  want 'JSON' 1 "$("$ctl" status --json | grep -c '^{"ok":true,.*"shares":0,.*}$')"
  want 'an error in JSON' 1 "$("$ctl" remove none --json | grep -c '^{"ok":false,.*ENOENT')"
}

# The server itself can do what it is asked for, too, if it can reach it.
by_the_server() {
  "$ctl" log-level warn
  "$ctl" add one --by-server --socket-path "$dir/one.sock" --shared-dir "$dir/share.one" --tag first
  want 'the tag' first "$("$ctl" list | awk '$1 == "one" { print $7 }')"
  mount_it one
  want 'one' one "$(cat "$dir/mnt.one/name")"
  umount "$dir/mnt.one"
  unmounted one 0
}

# From a file, as the shares of a sandbox that is made around them; removed and added again at the same place.
from_a_file() {
  local name
  for name in one two; do
    printf '{"name": "%s", "socket-path": "%s", "options": ["--shared-dir=%s"]}\n' "$name" "$dir/$name.sock" \
      "$dir/share.$name"
  done | share_file >"$dir/shares"
  start_server --log-level=error --shares "$dir/shares"
  wait_until "$SECONDS_MAX" state_is two waiting || die "$(cat "$dir/server.log")"
  mount_it one
  mount_it two
  each_has_its_own
  "$ctl" remove one --now
  unmounted one 1
  want 'the socket' '' "$(find "$dir" -name 'one.sock*')"
  add one
  mount_it one
  each_has_its_own
  umount "$dir/mnt.one"
  unmounted one 0
  umount "$dir/mnt.two"
  unmounted two 0
}

# Lines of objects as the file has them.
share_file() { printf '{"shares": [\n%s\n]}\n' "$(paste -sd,)"; }

need_fuse
start_server --log-level=error
# Not in a subshell: they start and end processes.
wrong_words
check_report wrong-words 0 ''
add one
add two
mount_it one
mount_it two
each_has_its_own
check_report each-has-its-own 0 ''
others_come_and_go
check_report others-come-and-go 0 ''
removed_while_in_use
check_report removed-while-in-use 0 ''
drained
check_report drained 0 ''
if [[ $sandbox == none ]]; then
  by_the_server
  check_report by-the-server 0 ''
fi
stop_server
check_report stopped 0 ''
from_a_file
check_report from-a-file 0 ''
stop_server
check_report stopped-again 0 ''
