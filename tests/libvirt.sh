#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# libvirt itself with virtiofs-passthrough in virtiofsd's place: domains are made, mounted, changed and ended by virsh, in a
# private Debian tree and namespaces of its own. Nothing of it touches this system.
#
#   tests/libvirt.sh [SUITE]...     bookworm (libvirt 9.0) and trixie (libvirt 11.3), or those named
#
# VIRTIOFS_GUEST_EXAMPLES is the folder that holds passthrough/virtiofs-passthrough, default BUILD/debug/examples.
# VIRTIOFS_LIBVIRT_DOMAINS names those domains of tests/guest/libvirt/domains.sh that are wanted, default all.
# Logs go to BUILD/libvirt/logs-SUITE. Ends with "N passed, N failed". Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/support/common.sh"
# shellcheck source=tests/support/apt.sh
. "$here/support/apt.sh"
# shellcheck source=tests/guest/vm.sh
. "$here/guest/vm.sh"
# shellcheck source=tests/guest/inside/checks.sh
. "$here/guest/inside/checks.sh"
here=$here/guest
# shellcheck source=tests/guest/tree.sh
. "$here/tree.sh"

PACKAGES=(libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 libseccomp2 libcap-ng0 libcjson1)
# What the package that starts libvirt by systemd makes, and its daemon wants to be there.
QEMU_USER=libvirt-qemu
QEMU_UID=64055
STOP_SECONDS=60
read -ra domains <<<"${VIRTIOFS_LIBVIRT_DOMAINS:-main chroot namespace readonly idmap hotplug socket broken killed}"
examples=${VIRTIOFS_GUEST_EXAMPLES:-$BUILD_DIR/debug/examples}
base=$BUILD_DIR/libvirt
run_dir=
room=
export CHECK_PHASE=host CHECK_OPTIONAL=

cleanup() {
  local status=$?
  trap - EXIT
  # What is in the namespace of its processes ends with the first of them.
  if [[ -n $room ]]; then stop_tree "$room" "$STOP_SECONDS"; fi
  [[ -z $run_dir ]] || rm -rf "$run_dir"
  exit "$status"
}

# in_tree TREE COMMAND...
in_tree() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
    ${http_proxy:+"http_proxy=$http_proxy"} chroot "$@" </dev/null
}

# fill_debian SUITE TREE MIRROR
fill_debian() {
  local more=()
  debootstrap --variant=minbase "$1" "$2" "$3"
  printf '#!/bin/sh\nexit 101\n' >"$2/usr/sbin/policy-rc.d"
  chmod 755 "$2/usr/sbin/policy-rc.d"
  in_tree "$2" apt-get -q update
  # Newer ones have a package for each daemon.
  if in_tree "$2" apt-cache show libvirt-daemon-log >/dev/null 2>&1; then more=(libvirt-daemon-log); fi
  in_tree "$2" apt-get -q -y --no-install-recommends install "${PACKAGES[@]}" "${more[@]}"
  in_tree "$2" sh -c "getent group kvm || groupadd -r kvm; getent passwd $QEMU_USER ||
    useradd -u $QEMU_UID -g kvm -U -G kvm -M -d /var/lib/libvirt -s /usr/sbin/nologin $QEMU_USER ||
    useradd -u $QEMU_UID -g kvm -M -d /var/lib/libvirt -s /usr/sbin/nologin $QEMU_USER"
  in_tree "$2" apt-get clean
}

# make_debian SUITE
make_debian() {
  local tree=$base/$1 mirror
  [[ ! -e $tree/.ready ]] || return 0
  mirror=$(need_mirror)
  rm -rf "$tree"
  progress "making a private Debian tree with libvirt ($1)"
  if ! fill_debian "$1" "$tree" "$mirror" >"$base/$1.log" 2>&1; then
    tail -n 20 "$base/$1.log" >&2
    skip "no tree of $1 can be made (the whole log: $base/$1.log)"
  fi
  touch "$tree/.ready"
}

# make_job NAME SCRIPT: run_dir/NAME.initrd, for a guest that runs the script.
make_job() {
  mkdir -p "$run_dir/$1/job"
  cp "$2" "$run_dir/$1/job/run"
  cp "$here/inside/checks.sh" "$run_dir/settings" "$run_dir/$1/job/"
  cp -r "$run_dir/expected" "$run_dir/$1/job/expected"
  vm_job "$run_dir/$1.cpio" "$run_dir/$1"
  cat "$VM_INITRAMFS" "$run_dir/$1.cpio" >"$run_dir/$1.initrd"
}

# libvirt has no element for --device-nodes.
make_jobs() {
  printf '%s=%q\n' TAG share CHECK_OPTIONAL device-nodes QUEUES 1 POSIX_WORDS '' >"$run_dir/settings"
  mkdir "$run_dir/posix"
  "$VM_PROGRAMS/posix" "$run_dir/posix" >"$run_dir/expected/posix" || progress "the host's own file system fails it too"
  rmdir "$run_dir/posix"
  make_job main "$here/inside/main.sh"
  make_job short "$here/libvirt/guest.sh"
  rm -rf "$run_dir"/{main,short} "$run_dir"/*.cpio
}

# one_suite SUITE: its verdicts go to BUILD/libvirt/logs-SUITE/results.
one_suite() {
  local share logs=$base/logs-$1 last status=0
  progress "$1: making the share"
  run_dir=$(mktemp -d "$base/run.XXXXXX")
  rm -rf "$logs"
  mkdir -p "$logs"
  share=$run_dir/share
  make_share "$share"
  expect_share "$share" "$run_dir/expected"
  make_jobs
  cp "$VM_KERNEL" "$run_dir/kernel"
  unshare --mount --pid --net --ipc --fork --kill-child=KILL -- \
    "$here/libvirt/room.sh" "$base/$1" "$REPO_DIR" "$BUILD_DIR" \
    bash "$here/libvirt/domains.sh" "$run_dir" "$logs" "$examples/passthrough/virtiofs-passthrough" "${domains[@]}" </dev/null >"$logs/results" &
  room=$!
  wait "$room" || status=$?
  room=
  last=$(tail -n 1 "$logs/results")
  {
    if [[ " ${domains[*]} " == *' main '* ]]; then
      check written-file saw_written_file
      check attributes saw_attributes
      check ownership saw_ownership
    fi
    check all-done want 'the last line, and the status' 'the end 0' "$last $status"
  } >>"$logs/results"
  sed "s/^\(ok\|not ok\|optional\) /\1 $1 /" "$logs/results"
  rm -rf "$run_dir"
  run_dir=
}

main() {
  local suite passed=0 failed=0
  [[ ${1:-} != --help && ${1:-} != -h ]] || { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0" && exit 0; }
  [[ $(id -u) == 0 ]] || skip "must be root, as libvirt's server is"
  need_programs debootstrap:debootstrap unshare:util-linux setpriv:util-linux
  [[ -x $examples/passthrough/virtiofs-passthrough ]] || die "no $examples/passthrough/virtiofs-passthrough: build it first"
  unshare --mount --pid --net --ipc --fork true 2>/dev/null || skip "no namespaces can be made here"
  (($# > 0)) || set -- bookworm trixie
  mkdir -p "$base"
  exec 9>"$base/lock"
  flock 9
  trap cleanup EXIT
  trap 'exit 143' TERM
  trap 'exit 130' INT HUP
  http_proxy=$(apt_proxy)
  export http_proxy
  vm_prepare
  for suite in "$@"; do make_debian "$suite"; done
  for suite in "$@"; do
    one_suite "$suite"
    passed=$((passed + $(grep -c '^ok ' "$base/logs-$suite/results" || true)))
    failed=$((failed + $(grep -c '^not ok ' "$base/logs-$suite/results" || true)))
  done
  say "$passed passed, $failed failed"
  ((failed == 0 && passed > 0))
}

main "$@"
