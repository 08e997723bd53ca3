#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The quotas of a host's own file system, which take a kernel that has them: the server runs inside of a guest, on an ext4 and an
# XFS of that guest, and mounts them by /dev/fuse. Users and projects go to the limits of blocks and of files, on the mount and on
# the file system itself, and are told the same; with a cache in between that writes later they are told so, and nothing that
# was kept is lost.
#
#   tests/guest/quota.sh
#
# VIRTIOFS_GUEST_EXAMPLES is the folder that holds passthrough/virtiofs-passthrough, default BUILD/debug/examples.
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/vm.sh
. "$here/vm.sh"

DEADLINE=900
passthrough=${VIRTIOFS_GUEST_EXAMPLES:-$BUILD_DIR/debug/examples}/passthrough/virtiofs-passthrough
run_dir=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  vm_cleanup
  [[ -z $run_dir ]] || rm -rf "$run_dir"
}
at_exit cleanup

# put_server DIR: the program with what it is linked to, as the loader of the guest finds it there.
put_server() {
  local library
  mkdir -p "$1/lib"
  cp "$passthrough" "$1/server"
  while read -r library; do cp -L "$library" "$1/lib/"; done < <(ldd "$passthrough" | grep -oE '/[^ ]+')
  for library in "$1/lib/"ld-linux*; do mv "$library" "$1/loader"; done
}

need_programs mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs "${CC:-cc}:gcc"
[[ -x $passthrough ]] || skip "no $passthrough"
export VIRTIOFS_GUEST_MORE_MODULES='fuse virtio_blk quota_v2 xfs'
vm_prepare
run_dir=$(mktemp -d "$BUILD_DIR/guest/run.XXXXXX")
mkdir -p "$run_dir/guest/job"
put_server "$run_dir/guest/job"
"${CC:-cc}" -std=c11 -O1 -Wall -Wextra -static -o "$run_dir/guest/job/quota" "$here"/quota/*.c
cp "$here/inside/quota.sh" "$run_dir/guest/job/run"
cp "$here/inside/checks.sh" "$run_dir/guest/job/"
truncate -s 64M "$run_dir/ext4"
mkfs.ext4 -q -b 4096 -I 256 -O quota,project -E quotatype=usrquota:prjquota "$run_dir/ext4"
truncate -s 400M "$run_dir/xfs"
mkfs.xfs -q "$run_dir/xfs"
disks='-cpu Nehalem' # whose instructions a module wants that comes with XFS
for name in ext4 xfs; do
  disks+=" -drive file=$run_dir/$name,format=raw,if=none,id=$name -device virtio-blk-pci,drive=$name"
done
vm_job "$run_dir/job.cpio" "$run_dir/guest"
cat "$VM_INITRAMFS" "$run_dir/job.cpio" >"$run_dir/initrd"
VIRTIOFS_GUEST_QEMU_ARGS=$disks vm_start "$run_dir/serial.log" '' '' "$run_dir/initrd"
vm_wait "$DEADLINE"
vm_lines | grep -v '^@@exit [0-9]*@@$' || true
case $VM_STATUS in
  0) say "$(vm_lines | grep -c '^ok ') passed, 0 failed" ;;
  77) skip 'the kernel has no such file system with quotas' ;;
  *)
    vm_tail >&2
    die "the guest's checks: $VM_STATUS"
    ;;
esac
