#!/bin/busybox sh
# The second guest's init, on the share that is its root. After its checks it writes, and writes,
# until the host kills the whole machine.
# shellcheck shell=dash
export PATH=/bin HOME=/root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev 2>/dev/null
exec </dev/console >/dev/console 2>&1
# shellcheck source=/dev/null
. /root/settings
# shellcheck source=tests/guest/inside/checks.sh
. /root/checks.sh
export CHECK_PHASE=root
busybox mount -t tmpfs tmp /tmp

is_root() { want 'the type of /' virtiofs "$(busybox awk '$2 == "/" { type = $3 } END { print type }' /proc/mounts)"; }

runs_programs() {
  want 'the output of a program of the share' 'run from the root' "$(/root/script)"
}

writes() {
  echo 'written by the root guest' >/root/written
  busybox sync
  want 'what was written' 'written by the root guest' "$(busybox cat /root/written)"
  busybox mkdir /root/dir
  busybox mv /root/dir /root/dir2
  busybox rmdir /root/dir2
}

check root-type is_root
check root-programs runs_programs
check root-writes writes

busybox mkdir -p /killed/open
echo held >/killed/open/file
exec 5</killed/open/file 6>/killed/unlinked
busybox rm /killed/unlinked
if busybox dd if=/dev/zero of=/killed/big bs=1M count=4 conv=fsync 2>/dev/null; then
  echo "@@writing@@"
fi
while true; do
  busybox dd if=/dev/zero of=/killed/big bs=1M count=32 conv=notrunc 2>/dev/null
done
