#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The list of system calls is complete: servers do all that they can do for a guest while any other call is trapped,
# and says which one it was. Every operation of the passthrough backend is asked for.
#
#   tests/daemon/calls.sh EXAMPLES POSIX ONE_REQUEST DAX
#
# EXAMPLES is the folder of the built examples. Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/support/host_mount.sh
. "$here/../support/host_mount.sh"

examples=$1
posix=$2
one_request=$3
dax=$4
passthrough=$examples/passthrough/virtiofs-passthrough
check=$examples/check/virtiofs-check
SECONDS_MAX=60
POSIX_SECONDS=150
dir=$(mktemp -d)
mnt=$dir/mnt
share=$dir/share
server=
mounter=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$mounter" "$server"
  unmount "$mnt"
  rm -rf "$dir"
}
at_exit cleanup

trapped() { grep 'system call .* is not allowed' "$dir/log"; }
# A line of it is worth more than what the other side has to say.
why() { trapped || tail -n 20 "$dir/log"; }

# serve PROGRAM OPTION...
serve() {
  "$@" --stay --seccomp trap --log-level info --socket-path "$dir/sock" </dev/null >"$dir/log" 2>&1 &
  server=$!
  wait_until "$SECONDS_MAX" listens_at "$dir/sock" || die "$*: doesn't listen: $(why)"
}

# Ends well, after everything.
served() {
  local status=0
  stop_process "$server" "$SECONDS_MAX" || die "it doesn't end: $(why)"
  wait "$server" || status=$?
  server=
  ((status == 0)) || die "status $status: $(why)"
  ! trapped || die 'a system call was trapped'
  grep -q 'INFO sandbox: .*seccomp trap' "$dir/log" || die "it says nothing of a trap: $(tail -n 20 "$dir/log")"
  find "$share" -mindepth 1 -delete
}

checks() {
  "$check" --socket "$dir/sock" --hostile "$@" >"$dir/out" 2>&1 || die "$(why) $(grep -A 6 '^not ok' "$dir/out" | head -n 40)"
}

# Rules and hostile guests, with and without what makes a difference to the calls that are made.
by_rules() {
  serve "$passthrough" --shared-dir "$share" --queues 4 --xattr --posix-acl=auto --device-nodes --record "$dir/record"
  checks --queues 4
  served
  serve "$passthrough" --shared-dir "$share" --thread-pool-size 4 --inode-file-handles=never --cache never --sandbox chroot
  checks
  served
  serve "$examples/memfs/virtiofs-memfs" --queues 2 --thread-pool-size 2
  checks
  served
  serve "$examples/hello/hello"
  checks
  served
  serve "$examples/null/null" --sandbox none
  "$check" --socket "$dir/sock" --only 'getattr/*' >"$dir/out" 2>&1 || true # it answers what nobody would
  served
}

# Each request that the passthrough backend knows, one after the other, as two users.
one_by_one() {
  local request user requests answer
  serve "$passthrough" --shared-dir "$share" --killpriv-v2 --security-label=auto --xattrmap ':map:security.selinux:user.map.:' \
    --record "$dir/each" "$@"
  coproc CLIENT { exec "$one_request" "$dir/sock" "$share" 2>&1; }
  # shellcheck disable=SC2034 # bash takes it away from under us
  local client=$CLIENT_PID out=${CLIENT[0]} in=${CLIENT[1]}
  IFS= read -r -t "$SECONDS_MAX" answer <&"$out" || answer=nothing
  [[ $answer == ready ]] || die "the client: $answer: $(why)"
  echo 'list 0' >&"$in"
  IFS= read -r -t "$SECONDS_MAX" answer <&"$out"
  read -ra requests <<<"$answer"
  for request in "${requests[@]}"; do
    for user in 0 1000; do
      echo "$request $user" >&"$in"
      IFS= read -r -t "$SECONDS_MAX" answer <&"$out" || answer=nothing
      [[ $answer == 0 ]] || die "$request by $user: $answer: $(why)"
    done
  done
  eval "exec $in>&-"
  wait "$client" || die "the client: $(why)"
  served
}

# Whether all is as on the host is another test's question. A mount whose server has died waits for another.
conforms() {
  timeout "$POSIX_SECONDS" "$posix" "$mnt" >"$dir/out" 2>&1 || (($? != 124)) || die "it stands still: $(why) $(tail -n 5 "$dir/out")"
  (($(grep -c '^ok' "$dir/out") >= 50)) || die "the conformance test: $(why) $(tail -n 5 "$dir/out")"
}

# As programs use it: locks that are waited for, owners and rights, mappings.
by_programs() {
  serve "$passthrough" --shared-dir "$share" --killpriv-v2 --xattr --device-nodes --thread-pool-size 2 --inode-idle=1 "$@"
  "$examples/mount/virtiofs-mount" "$dir/sock" "$mnt" >"$dir/mount.log" 2>&1 &
  mounter=$!
  await_mount "$mounter" "$dir/mount.log" "$SECONDS_MAX"
  conforms
  # One waits for the other's lock, by flock(2) and by fcntl(2).
  python3 - "$mnt/lock" <<'PYTHON' || die "locks: $(why)"
import fcntl, os, sys
for lock in (fcntl.flock, fcntl.lockf):
    first = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
    lock(first, fcntl.LOCK_EX)
    ready, go = os.pipe(), os.pipe()
    if os.fork() == 0:
        second = os.open(sys.argv[1], os.O_RDWR)
        os.write(go[1], b"x")
        lock(second, fcntl.LOCK_EX)
        os.write(ready[1], b"x")
        os._exit(0)
    os.read(go[0], 1)
    lock(first, fcntl.LOCK_UN)
    assert os.read(ready[0], 1) == b"x"
    os.wait()
PYTHON
  umount "$mnt"
  wait "$mounter" || die "$(cat "$dir/mount.log")"
  mounter=
  served
}

# Up to a quota, where the host is asked what a change would add, and beyond.
by_quota() {
  serve "$passthrough" --shared-dir "$share" --quota 4M,inodes=1000 --quota-scan "$@"
  "$examples/mount/virtiofs-mount" "$dir/sock" "$mnt" >"$dir/mount.log" 2>&1 &
  mounter=$!
  await_mount "$mounter" "$dir/mount.log" "$SECONDS_MAX"
  dd if=/dev/zero of="$mnt/file" bs=64K count=128 2>"$dir/out" && die 'more than the quota'
  grep -q 'quota exceeded' "$dir/out" || die "beyond the quota: $(cat "$dir/out") $(why)"
  dd if=/dev/zero of="$mnt/file" bs=64K count=8 conv=notrunc 2>/dev/null || die "what is there: $(why)"
  truncate -s 1M "$mnt/file"
  fallocate -l 64K "$mnt/other" || die "less again: $(why)"
  cp "$mnt/other" "$mnt/third"
  rm "$mnt"/*
  umount "$mnt"
  wait "$mounter" || die "$(cat "$dir/mount.log")"
  mounter=
  served
}

# The same without a virtual machine: what it takes to mount.
by_mountpoint() {
  "$passthrough" --shared-dir "$share" --mountpoint "$mnt" --seccomp trap </dev/null >"$dir/log" 2>&1 &
  server=$!
  await_mount "$server" "$dir/log" "$SECONDS_MAX"
  conforms
  served
}

# by_window none|some OPTION...: how many mappings are refused.
by_window() {
  local file=$share/file expected=$1 refused
  shift
  head -c 64M /dev/zero >"$file"
  serve "$passthrough" --shared-dir "$share" --cache-size 128M "$@" --record "$dir/window"
  "$dax" "$dir/sock" "$file" file >"$dir/out" 2>&1 || die "the window: $(why) $(tail -n 5 "$dir/out")"
  served
  refused=$("$examples/trace/virtiofs-trace" --summary "$dir/window" | awk '$1 == "SETUPMAPPING" { print $3 }')
  [[ $refused =~ ^[0-9]+$ ]] || die 'no SETUPMAPPING in the record'
  if [[ $expected == some ]]; then ((refused > 0)); else ((refused == 0)); fi || die "$refused mappings were refused"
}

# What an operator asks.
by_operators() {
  serve "$examples/memfs/virtiofs-memfs" --metrics "$dir/metrics"
  python3 - "$dir/metrics" <<'PYTHON' || die "metrics: $(why)"
import socket, sys
with socket.socket(socket.AF_UNIX) as conn:
    conn.settimeout(60)
    conn.connect(sys.argv[1])
    conn.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    got = b"".join(iter(lambda: conn.recv(65536), b""))
assert b"200 OK" in got and b"virtiofs" in got, got
PYTHON
  kill -USR1 "$server"
  # shellcheck disable=SC2317 # it is passed by name
  reported() { grep -q 'INFO metrics' "$dir/log"; }
  wait_until "$SECONDS_MAX" reported || die "SIGUSR1: $(why)"
  served
}

# Shares that come and go while others are served.
by_control() {
  local ctl=("$examples/ctl/virtiofs-ctl" --control "$dir/ctl")
  mkdir -p "$dir/more"
  serve "$passthrough" --shared-dir "$share" --control "$dir/ctl" --xattr "$@"
  for _ in 1 2; do
    "${ctl[@]}" add more --socket-path "$dir/more.sock" --shared-dir "$dir/more" -- --thread-pool-size=2 --quota=1G --xattr \
      >"$dir/out" || die "add: $(why)"
    "$check" --socket "$dir/more.sock" --hostile >"$dir/out" 2>&1 || die "the other share: $(why) $(grep -A 6 '^not ok' "$dir/out" | head -n 20)"
    "${ctl[@]}" list >"$dir/out" || die "list: $(why)"
    grep -q more "$dir/out" || die "it is not listed: $(cat "$dir/out")"
    "${ctl[@]}" status >/dev/null || die "status: $(why)"
    "${ctl[@]}" log-level debug >/dev/null || die "log-level: $(why)"
    "${ctl[@]}" remove more >/dev/null || die "remove: $(why)"
  done
  "${ctl[@]}" add more --socket-path "$dir/more.sock" --shared-dir "$dir/more" -- --nonsense >"$dir/out" 2>&1 && die 'nonsense is added'
  checks --only 'getattr/*'
  served
  rm -rf "$dir/more"
}

# Each operation that the backend's table has was seen on the way.
every_operation() {
  local seen operation missing=()
  for record in record each window; do
    "$examples/trace/virtiofs-trace" --summary "$dir/$record" 2>/dev/null || true
  done | awk '{ print $1 }' | sort -u >"$dir/seen"
  while read -r operation; do
    seen=${operation^^}
    grep -qx "$seen" "$dir/seen" || missing+=("$seen")
  done < <(sed -n 's/^    \.\([a-z_]*\) = virtiofs_passthrough_.*/\1/p' "$REPO_DIR/lib/backends/passthrough/passthrough.c")
  (($(wc -l <"$dir/seen") >= 40)) || die "only $(wc -l <"$dir/seen") operations were seen"
  ((${#missing[@]} == 0)) || die "never asked for: ${missing[*]}"
}

need_fuse
unshare -mpn true 2>/dev/null || skip 'no namespaces'
mkdir "$mnt" "$share"
chmod 755 "$dir" "$share"
step() {
  "${@:2}"
  say "ok $1"
}
step 'rules and hostile guests' by_rules
step 'each request' one_by_one
step 'each request, by descriptors' one_by_one --inode-file-handles=never
step 'programs' by_programs
step 'programs, by descriptors' by_programs --inode-file-handles=never
step 'a quota' by_quota
step 'a mount' by_mountpoint
if [[ -x $dax ]]; then
  step 'a window of few mappings' by_window some --max-mappings 8
  step 'a window' by_window none
fi
step 'operators' by_operators
step 'shares that come and go' by_control
step 'shares that come and go, in a chroot' by_control --sandbox chroot
step 'every operation' every_operation
