# shellcheck shell=bash
# What the test scripts share: where things lie, progress lines, ways to end.
# To be sourced; defines functions and REPO_DIR, BUILD_DIR, AT_EXIT, nothing else.

REPO_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD_DIR=${VIRTIOFS_BUILD_DIR:-$REPO_DIR/build}
[[ $BUILD_DIR == /* ]] || BUILD_DIR=$PWD/$BUILD_DIR
# modprobe and its like, which not every user's PATH has.
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*"; }

# A progress line for people: on stderr, with the seconds since the script began.
progress() { printf '[%3ds] %s\n' "$SECONDS" "$*" >&2; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Something that can't be had here: ctest knows 77 as "skipped".
skip() {
  printf 'SKIP %s: %s\n' "${0##*/}" "$*" >&2
  exit 77
}

have() { command -v "$1" >/dev/null 2>&1; }

# need PROGRAM PACKAGE...: skips, naming all that is missing.
need_programs() {
  local missing=() pair
  for pair in "$@"; do
    have "${pair%%:*}" || missing+=("${pair%%:*} (package ${pair##*:})")
  done
  ((${#missing[@]} == 0)) || skip "not installed: ${missing[*]}"
}

# at_exit FUNCTION: it runs once, whichever way the script ends, whose status stays; unless it was 0 and FUNCTION fails.
at_exit() {
  AT_EXIT=$1
  trap at_exit_run EXIT
  trap 'exit 143' TERM
  trap 'exit 130' INT HUP
}

# shellcheck disable=SC2317 # the trap calls it
at_exit_run() {
  local status=$?
  trap - EXIT
  "$AT_EXIT" || ((status != 0)) || status=1
  exit "$status"
}

# wait_until SECONDS COMMAND...: true as soon as COMMAND is, false at the deadline.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# The first thread of a process may have ended before the others, which have its descriptors and mounts still.
alive() {
  awk '$1 == "State:" { state = $2 } $1 == "Threads:" { threads = $2 }
    END { exit !(state != "" && ((state != "Z" && state != "X") || threads > 1)) }' "/proc/$1/status" 2>/dev/null
}

gone() { ! alive "$1"; }

# listens_at PATH: a bound socket isn't enough, since a connect fails until it listens, which is flag 00010000 here. The list isn't
# read at one moment, and what is in it may be missed: who has seen it once doesn't look again.
listens_at() {
  awk -v path="$1" '$4 == "00010000" && $8 == path { found = 1 } END { exit !found }' /proc/net/unix
}

# await_listener PATH PID SECONDS: true as soon as somebody is seen to listen at PATH; false if PID ends before, or at the
# deadline.
await_listener() {
  local deadline=$((SECONDS + $3))
  until listens_at "$1"; do
    { alive "$2" && ((SECONDS < deadline)); } || return 1
    sleep 0.05
  done
}

# for_everybody PROGRAM DIR: tells the path of a copy in DIR that users can run who can't reach where it was built.
for_everybody() {
  local program=$2/${1##*/} library
  mkdir -p "$2"
  cp "$1" "$program.real"
  while read -r library; do cp -L "$library" "$2/"; done < <(ldd "$1" | sed -n 's/.*=> \(.*libvirtiofs[^ ]*\) .*/\1/p')
  # The name that it speaks of itself by is as it was.
  printf '#!/bin/bash\nLD_LIBRARY_PATH=%q exec -a %q %q "$@"\n' "$2" "$program" "$program.real" >"$program"
  chmod -R a+rX "$2"
  chmod a+x "$program" "$program.real"
  echo "$program"
}

# stop_process PID SECONDS: SIGTERM, then SIGKILL at the deadline; false if it took the second.
stop_process() {
  alive "$1" || return 0
  kill -TERM "$1" 2>/dev/null || return 0
  wait_until "$2" gone "$1" && return 0
  kill -KILL "$1" 2>/dev/null || true
  wait_until 10 gone "$1" || true
  return 1
}

# stop_processes SECONDS PID...: one after the other; empty ones are none.
stop_processes() {
  local pid seconds=$1
  shift
  for pid in "$@"; do
    [[ -z $pid ]] || stop_process "$pid" "$seconds" || true
  done
}

# unmount PATH...: those that are mounts.
unmount() {
  local path
  for path in "$@"; do
    if mountpoint -q "$path"; then umount -l "$path"; fi
  done
}

# let_go_of_mounts: in a mount namespace of the script's own, whose mounts are private. What other tests have mounted is in it
# too, and wouldn't end for them before the script does.
let_go_of_mounts() {
  local path type mounts
  mounts=$(cat /proc/self/mounts) # as a whole: it gets shorter
  while read -r _ path type _; do
    path=$(printf '%b' "$path")
    [[ $type != fuse* || ($path != /tmp/* && $path != "${TMPDIR:-/tmp}"/*) ]] || umount -l -i -c "$path" 2>/dev/null || true
  done <<<"$mounts"
}

# All descendants of a process, the youngest generation last.
descendants() {
  local child children
  children=$(cat "/proc/$1/task/"*/children 2>/dev/null) || return 0
  for child in $children; do
    echo "$child"
    descendants "$child"
  done
}

# inside PID: the process that serves, of a server that was started as PID: in a sandbox it is another one.
inside() {
  local all
  all=$(descendants "$1")
  echo "${all:+${all##*$'\n'}}" | grep . || echo "$1"
}

# stop_tree PID SECONDS: a process and all that it has started; each gets SIGTERM, and cleans up behind itself.
stop_tree() {
  local pid pids
  pids="$1 $(descendants "$1" | tr '\n' ' ')"
  # shellcheck disable=SC2086 # words
  kill -TERM $pids 2>/dev/null || true
  for pid in $pids; do
    wait_until "$2" gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
  done
}
