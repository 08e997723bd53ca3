#!/usr/bin/env bash
# Boots one guest on a virtio-fs server that runs already, runs a shell script inside, prints what
# comes over the serial line, and exits with the script's status (1 if the guest ended without one).
#
#   tests/guest/boot.sh [--tag TAG] [--deadline SECONDS] SOCKET SCRIPT [FILE]...
#
# In the guest the script is /job/run, run by busybox's sh as root, and the files lie beside it, with
# the test programs (/job/probe). Nothing is mounted: `mount -t virtiofs TAG /mnt` is the script's.
# The tag is "share" unless told; vm.sh and prepare.sh say which variables choose QEMU and kernel.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/vm.sh
. "$here/vm.sh"

tag=share
deadline=800
run_dir=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  vm_cleanup
  [[ -z $run_dir ]] || rm -rf "$run_dir"
}

while [[ ${1:-} == -* ]]; do
  case $1 in
    -h | --help)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"
      exit 0
      ;;
    --tag) tag=${2:?--tag wants a value} ;;
    --deadline) deadline=${2:?--deadline wants a value} ;;
    *) die "no such option: $1" ;;
  esac
  shift 2
done
(($# >= 2)) || die "a socket and a script are needed (see --help)"
socket=$1
script=$2
shift 2
[[ -S $socket ]] || die "$socket: no socket"
[[ -r $script ]] || die "$script: can't read it"

at_exit cleanup
vm_prepare
run_dir=$(mktemp -d "$BUILD_DIR/guest/run.XXXXXX")
mkdir -p "$run_dir/guest/job"
cp "$script" "$run_dir/guest/job/run"
(($# == 0)) || cp -r "$@" "$run_dir/guest/job/"
vm_job "$run_dir/job.cpio" "$run_dir/guest"
cat "$VM_INITRAMFS" "$run_dir/job.cpio" >"$run_dir/initrd"
vm_start "$run_dir/serial.log" "$socket" "$tag" "$run_dir/initrd"
vm_wait "$deadline"
vm_lines | grep -v '^@@exit [0-9]*@@$' || true
case $VM_STATUS in
  timeout) die "the guest didn't end within $deadline s" ;;
  none)
    vm_tail >&2
    die "the guest ended without its script's status"
    ;;
esac
exit "$VM_STATUS"
