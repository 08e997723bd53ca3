#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Files in a real guest's DAX window: a tree is read, written, mapped, truncated and verified both ways with no READ request, and
# no WRITE but where a file grows; the same directory on a plain device sees each change.
#
#   tests/guest/dax.sh
#
# Needs a QEMU whose vhost-user devices can map files (11.1: VIRTIOFS_PEER_QEMU or build/peers, see tests/peers.sh).
# VIRTIOFS_GUEST_EXAMPLES is the folder that holds passthrough/virtiofs-passthrough, default BUILD/debug/examples.
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/server.sh
. "$here/server.sh"

START_SECONDS=60
STOP_SECONDS=60
QUEUE=128
examples=${VIRTIOFS_GUEST_EXAMPLES:-$BUILD_DIR/debug/examples}
passthrough=$examples/passthrough/virtiofs-passthrough
trace=$examples/trace/virtiofs-trace
qemu=${VIRTIOFS_PEER_QEMU:-$BUILD_DIR/peers/bin/qemu-system-x86_64}
run_dir=
pids=()

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$STOP_SECONDS" "${pids[@]}"
  [[ -z $run_dir ]] || rm -rf "$run_dir"
}
at_exit cleanup

[[ -x $qemu ]] || skip "no $qemu: tests/peers.sh makes it"
"$qemu" -device vhost-user-test-device-pci,help >/dev/null 2>&1 || skip "$qemu has no vhost-user-test-device"

# start NAME OPTION...: its socket is run_dir/NAME.sock, what it says goes to run_dir/NAME.log.
start() {
  server_words "$passthrough --stay --socket-path {socket} --shared-dir {dir} ${*:2}" "$run_dir/$1.sock" "$run_dir/share" ''
  if ! server_start "$run_dir/$1.log" "$run_dir/$1.sock" "$START_SECONDS"; then
    cat "$run_dir/$1.log" >&2
    die "$1 doesn't listen"
  fi
  pids+=("$SERVER_PID")
}

# requests OPCODE: how often the guest has sent it by the device with the window.
requests() { "$trace" --summary "$run_dir/record" | awk -v op="$1" '$1 == op { n = $2 } END { print n + 0 }'; }

# round WINDOW: a guest with a window of that size.
round() {
  local status=0 size=$1
  rm -rf "$run_dir/share" "$run_dir/record"
  mkdir "$run_dir/share"
  head -c 6291456 /dev/urandom >"$run_dir/share/host"
  start dax --cache-size "$size" --tag dax --record "$run_dir/record"
  start plain --cache never
  VIRTIOFS_GUEST_QEMU=$qemu VIRTIOFS_GUEST_QEMU_ARGS="-chardev socket,id=c0,path=$run_dir/dax.sock \
-device vhost-user-test-device-pci,virtio-id=26,num_vqs=2,config_size=44,vq_size=$QUEUE,chardev=c0" \
    "$here/boot.sh" --tag plain "$run_dir/plain.sock" "$run_dir/script" || status=$?
  for pid in "${pids[@]}"; do
    stop_process "$pid" "$STOP_SECONDS" || status=1
  done
  pids=()
  ((status == 0)) || {
    cat "$run_dir/dax.log" >&2
    return "$status"
  }
  cmp "$run_dir/share/f1.host" "$run_dir/share/f0" || die 'the host sees other bytes'
  (($(requests SETUPMAPPING) > 0)) || die 'nothing was mapped'
  (($(requests READ) == 0)) || die "$(requests READ) READ requests"
  (($(grep -c '"refuses"\|refuses message' "$run_dir/dax.log") == 0)) || die 'the front-end has refused something'
  say "ok $size: $(requests SETUPMAPPING) SETUPMAPPING, $(requests REMOVEMAPPING) REMOVEMAPPING, $(requests WRITE) WRITE, 0 READ"
}

run_dir=$(mktemp -d)
cat >"$run_dir/script" <<'SCRIPT'
set -eu
fail() { echo "not ok $*"; exit 1; }
mkdir -p /dax /plain
mount -t virtiofs plain /plain
mount -t virtiofs -o dax=always dax /dax || { dmesg | grep -iE 'virtio|dax|fuse|shm' | tail -20; for d in /sys/bus/virtio/devices/*; do echo $d $(cat $d/device $d/status $d/features); done; fail mount; }
grep ' /dax ' /proc/mounts | grep -q dax=always || fail "mounted without a window: $(grep /dax /proc/mounts)"
cmp /dax/host /plain/host || fail 'the window shows other bytes'
cp /dax/host /dax/copy
cmp /dax/copy /plain/copy || fail 'what was written through the window'
printf TWO | dd of=/dax/copy bs=1 seek=3000000 conv=notrunc 2>/dev/null
[ "$(dd if=/plain/copy bs=1 skip=3000000 count=3 2>/dev/null)" = TWO ] || fail 'an edit'
printf ONE | dd of=/plain/copy bs=1 seek=2999990 conv=notrunc 2>/dev/null
[ "$(dd if=/dax/copy bs=1 skip=2999990 count=3 2>/dev/null)" = ONE ] || fail 'the other way'
cp /plain/copy /tmp/copy # a kernel before 6.6 maps no file of a share without a cache
/job/probe mmap-read /dax/copy /tmp/copy || fail 'reading by mmap'
rm /tmp/copy
/job/probe mmap-change /dax/copy || fail 'writing by mmap'
cmp /dax/copy /plain/copy || fail 'what was written by mmap'
cp /dax/host /dax/cut
truncate -s 2097152 /dax/cut
[ "$(stat -c %s /plain/cut)" = 2097152 ] || fail 'truncating'
truncate -s 6291456 /dax/cut
head -c 2097152 /dax/host >/tmp/want
head -c 4194304 /dev/zero >>/tmp/want
cmp /dax/cut /tmp/want || fail 'what is behind a cut is zero'
i=0
while [ $i -lt 12 ]; do
  head -c 2097152 /dev/urandom >/tmp/f$i
  cp /tmp/f$i /dax/f$i
  i=$((i + 1))
done
i=0
while [ $i -lt 12 ]; do
  cmp /tmp/f$i /dax/f$i || fail "file $i"
  cmp /tmp/f$i /plain/f$i || fail "plain file $i"
  i=$((i + 1))
done
cp /tmp/f1 /plain/f1.host
mv /dax/f1 /dax/f0
rm /dax/f2
cmp /tmp/f1 /dax/f0 || fail 'a renamed file'
sync
umount /dax
mount -t virtiofs -o dax=always dax /dax || { dmesg | grep -iE 'virtio|dax|fuse|shm' | tail -20; for d in /sys/bus/virtio/devices/*; do echo $d $(cat $d/device $d/status $d/features); done; fail mount; }
cmp /dax/copy /plain/copy || fail 'after another mount'
umount /dax
echo 'ok dax'
SCRIPT
round 64M
round 2M
say '2 passed, 0 failed'
