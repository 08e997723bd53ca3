#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a guest may use up, with a server at work and this host's kernel as its guest: quota, files, locks, rates.
#
#   tests/backends/limits.sh PASSTHROUGH
#
# Status: 0 passed, 1 failed, 77 no FUSE mounts here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/support/host_mount.sh
. "$here/../support/host_mount.sh"

passthrough=$1
SECONDS_MAX=100
dir=$(mktemp -d)
mnt=$dir/mnt
share=$dir/share
server=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$server"
  unmount "$mnt"
  rm -rf "$dir"
}
at_exit cleanup

# serve ARGUMENT...: mounted when it returns.
serve() {
  "$passthrough" --shared-dir "$share" --mountpoint "$mnt" --tag limits --metrics "$dir/metrics" "$@" </dev/null \
    >"$dir/log" 2>&1 &
  server=$!
  await_mount "$server" "$dir/log" "$SECONDS_MAX"
}

unserve() {
  local status=0
  umount "$mnt"
  wait "$server" || status=$?
  server=
  ((status == 0)) || die "status $status: $(cat "$dir/log")"
}

# refused ERROR COMMAND...: it fails, and says why.
refused() {
  local error=$1
  shift
  if "$@" >"$dir/out" 2>&1; then die "$*: expected '$error'"; fi
  grep -q "$error" "$dir/out" || die "$*: expected '$error': $(cat "$dir/out")"
}

# metric NAME: its value.
metric() {
  python3 - "$dir/metrics" "$1" <<'PYTHON'
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as conn:
    conn.settimeout(100)
    conn.connect(sys.argv[1])
    conn.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    text = b"".join(iter(lambda: conn.recv(65536), b"")).decode()
print(next(line.split()[-1] for line in text.splitlines() if line.startswith(sys.argv[2] + "{")))
PYTHON
}

metric_is() { [[ $(metric "$1") == "$2" ]]; }

quota() {
  local free
  serve --quota 4M,inodes=10
  [[ $(df -B1 --output=size "$mnt" | tail -n 1) -le 4194304 ]] || die "df: $(df -B1 "$mnt")"
  refused 'Disk quota exceeded' dd if=/dev/zero of="$mnt/large" bs=64K count=100
  (($(stat -c %s "$share/large") > 3500000)) || die "only $(stat -c %s "$share/large") bytes had room"
  (($(du -B1 "$share/large" | cut -f1) <= 4194304 + 65536)) || die "$(du -B1 "$share/large") is too much"
  free=$(df -B1 --output=avail "$mnt" | tail -n 1)
  ((free < 400000)) || die "$free bytes are left, says df"
  # What is there may be overwritten.
  dd if=/dev/urandom of="$mnt/large" bs=64K count=20 conv=notrunc,fsync 2>"$dir/out" || die "$(cat "$dir/out")"
  rm "$mnt/large"
  wait_until "$SECONDS_MAX" metric_is virtiofs_passthrough_quota_bytes 0 || die "charged for nothing: $(metric virtiofs_passthrough_quota_bytes)"
  dd if=/dev/zero of="$mnt/again" bs=64K count=40 2>"$dir/out" || die "$(cat "$dir/out")"
  # shellcheck disable=SC2016
  refused 'Disk quota exceeded' sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do mkdir "$1/dir$i" || exit 1; done' sh "$mnt"
  rm -r "$mnt"/dir* "$mnt/again"
  unserve
  # And what was there before, if it is to.
  dd if=/dev/zero of="$share/before" bs=64K count=40 2>/dev/null
  serve --quota 4M --quota-scan
  refused 'Disk quota exceeded' dd if=/dev/zero of="$mnt/more" bs=64K count=40
  unserve
  rm "$share"/*
  say 'ok --quota'
}

can_be_read() { cat "$1" >"$dir/out" 2>&1; }

files() {
  touch "$share"/{1,2,3,4,5,6}
  serve --max-handles 3
  # shellcheck disable=SC2016
  refused 'Too many open files in system' bash -c \
    'exec 4<"$1/1"; exec 5<"$1/2"; exec 6<"$1/3"; exec 7<"$1/4"' bash "$mnt"
  # close(2) doesn't wait until the server has closed, too.
  wait_until "$SECONDS_MAX" can_be_read "$mnt/5" || die "nothing can be opened afterwards: $(cat "$dir/out")"
  unserve
  serve --max-inodes 3
  # shellcheck disable=SC2016
  refused 'Too many open files in system' bash -c \
    'exec 4<"$1/1"; exec 5<"$1/2"; exec 6<"$1/3"; exec 7<"$1/4"; exec 8<"$1/5"' bash "$mnt"
  unserve
  say 'ok --max-handles, --max-inodes'
}

locks() {
  serve --max-locks 3
  refused 'No locks available' python3 -c '
import fcntl, sys
file = open(sys.argv[1], "r+")
for i in range(5):
    fcntl.lockf(file, fcntl.LOCK_EX, 1, 2 * i)' "$mnt/1"
  unserve
  say 'ok --max-locks'
}

rates() {
  local begun=${EPOCHREALTIME/[.,]/}
  serve --rate ops=100,burst=1 --max-inflight 2
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    [[ ! -e $mnt/nothing-$RANDOM$RANDOM ]] || die 'found what is not there'
  done
  # Ten requests at least; two threads may each have taken one early.
  ((${EPOCHREALTIME/[.,]/} - begun >= 60000)) || die 'it was quicker than it may be'
  (($(metric virtiofs_queue_delays_total) + 0 >= 0)) || die 'nothing is told of delays'
  (($(metric virtiofs_passthrough_lock_waiters_limit) == 1)) || die 'as many locks may be waited for as there are places'
  unserve
  say 'ok --rate'
}

dirty() {
  serve --max-dirty 256K
  dd if=/dev/zero of="$mnt/large" bs=64K count=64 2>"$dir/out" || die "$(cat "$dir/out")"
  (($(metric virtiofs_passthrough_dirty_bytes) <= 262144)) || die "$(metric virtiofs_passthrough_dirty_bytes) are dirty"
  (($(metric virtiofs_passthrough_dirty_bytes_limit) == 262144)) || die 'another limit'
  [[ $(stat -c %s "$share/large") == 4194304 ]] || die 'not all was written'
  unserve
  say 'ok --max-dirty'
}

need_fuse
mkdir "$share" "$mnt"
quota
files
locks
rates
dirty
