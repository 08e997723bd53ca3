#!/usr/bin/env bash
# Makes what a guest is booted from, below BUILD/guest: an uncompressed kernel, an initramfs of
# busybox and the modules that virtio-fs needs, and the test programs, linked statically.
# Fetches nothing that is there already. Prints shell assignments: VM_KERNEL, VM_INITRAMFS,
# VM_PROGRAMS (a directory) and VM_MODULES (how many modules the initramfs loads).
#
#   VIRTIOFS_BUILD_DIR       the build directory, default REPO/build
#   VIRTIOFS_GUEST_KERNEL    a vmlinux or bzImage to take in place of Debian's cloud kernel
#   VIRTIOFS_GUEST_MODULES   that kernel's lib/modules/VERSION; unset when all is built in
#   VIRTIOFS_GUEST_MORE_MODULES  names of modules to load besides, where they aren't built in
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/support/apt.sh
. "$here/../support/apt.sh"
# shellcheck source=tests/support/kernel.sh
. "$here/../support/kernel.sh"

read -ra more_modules <<<"${VIRTIOFS_GUEST_MORE_MODULES:-}"
WANTED_MODULES=(virtio_pci virtiofs "${more_modules[@]}")

guest=$BUILD_DIR/guest
own_kernel=$guest/kernel
scratch=

cleanup() { [[ -z $scratch ]] || rm -rf "$scratch"; }
at_exit cleanup

# module_files DIR: the files to load, in order, one a line; nothing for what is built in.
# False if a wanted module is neither there nor built in.
module_files() {
  local base release name
  base=$(dirname "$(dirname "$(dirname "$1")")")
  release=$(basename "$1")
  for name in "${WANTED_MODULES[@]}"; do
    modprobe -d "$base" -S "$release" --show-depends "$name" 2>/dev/null || return 1
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

fetch_debian_kernel() {
  local flavour packages
  apt_refresh_for linux-image-cloud-amd64 || skip "apt can't read its indexes"
  for flavour in linux-image-cloud-amd64 linux-image-amd64; do
    mapfile -t packages < <(kernel_packages "$flavour" apt-cache depends)
    ((${#packages[@]} > 0)) || continue
    progress "fetching ${packages[0]}"
    scratch=$(mktemp -d "$guest/kernel.XXXXXX")
    (cd "$scratch" && apt_get -o APT::Sandbox::User=root download "${packages[@]}" >/dev/null) ||
      skip "apt can't download ${packages[*]}"
    progress "unpacking ${packages[0]}"
    unpack_kernel "$scratch"
    if module_files "$(modules_dir_of "$scratch/root")" >/dev/null; then
      echo "${packages[0]}" >"$scratch/stamp"
      rm -rf "$own_kernel"
      mv "$scratch" "$own_kernel"
      scratch=
      return 0
    fi
    progress "${packages[0]} lacks one of: ${WANTED_MODULES[*]}"
    rm -rf "$scratch"
  done
  skip "no kernel package of this Debian has ${WANTED_MODULES[*]}"
}

# put_module FILE OUT: as the kernel's insmod wants it, whatever the package compressed it with.
put_module() {
  case $1 in
    *.xz) xz -dc "$1" >"$2" ;;
    *.zst) zstd -dcq "$1" >"$2" ;;
    *.gz) gzip -dc "$1" >"$2" ;;
    *) cp "$1" "$2" ;;
  esac
}

# make_initramfs OUT MODULE...
make_initramfs() {
  local out=$1 file count=100
  shift
  scratch=$(mktemp -d "$guest/initramfs.XXXXXX")
  mkdir -p "$scratch"/{bin,dev,etc,mnt,modules,newroot,proc,root,sys,tmp}
  chmod 755 "$scratch"
  cp "$busybox" "$scratch/bin/busybox"
  ln -s busybox "$scratch/bin/sh"
  cp "$here/inside/init" "$scratch/init"
  chmod 1777 "$scratch/tmp"
  chmod 755 "$scratch/init"
  cp "$here/inside/passwd" "$here/inside/group" "$scratch/etc/"
  for file in "$@"; do
    count=$((count + 1))
    put_module "$file" "$scratch/modules/$count-$(basename "$file" | sed 's/\.ko.*//').ko"
  done
  (cd "$scratch" && find . -print0 | LC_ALL=C sort -z | cpio --quiet -0 -o -H newc -R 0:0) >"$out.new"
  mv "$out.new" "$out"
  rm -rf "$scratch"
  scratch=
}

# compile_programs OUT
compile_programs() {
  local log=$guest/programs.log
  mkdir -p "$1.new"
  if ! "${CC:-cc}" -std=c11 -O1 -Wall -Wextra -static -o "$1.new/probe" "$here"/programs/*.c >"$log" 2>&1 ||
    ! "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -static -o "$1.new/posix" "$here"/../posix/*.c >"$log" 2>&1 ||
    ! "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -static -o "$1.new/exercise" "$here"/../posix/exercise/*.c >"$log" 2>&1; then
    cat "$log" >&2
    die "the guest's programs don't compile"
  fi
  rm -rf "$1"
  mv "$1.new" "$1"
}

# What older versions of these scripts made; a test that runs just now may still use the latest.
forget_old() {
  find "$guest" -maxdepth 1 \( -name 'initramfs-*' -o -name 'programs-*' \) -mtime +0 -exec rm -rf {} +
}

key_of() { sha256sum | cut -c 1-16; }

main() {
  local kernel modules=() modules_dir initramfs programs
  need_programs qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio modprobe:kmod \
    xz:xz-utils zstd:zstd lz4:lz4 flock:util-linux "${CC:-cc}:gcc"
  busybox=$(command -v busybox)
  ! LC_ALL=C ldd "$busybox" >/dev/null 2>&1 || skip "busybox isn't linked statically (package busybox-static)"

  mkdir -p "$guest"
  exec 9>"$guest/lock"
  flock 9

  if [[ -n ${VIRTIOFS_GUEST_KERNEL:-} ]]; then
    kernel=$VIRTIOFS_GUEST_KERNEL
    modules_dir=${VIRTIOFS_GUEST_MODULES:-}
    [[ -r $kernel ]] || die "VIRTIOFS_GUEST_KERNEL: can't read $kernel"
    [[ -z $modules_dir || -d $modules_dir ]] || die "VIRTIOFS_GUEST_MODULES: no directory $modules_dir"
  else
    [[ -s $own_kernel/stamp ]] || fetch_debian_kernel
    kernel=$own_kernel/vmlinux
    modules_dir=$(modules_dir_of "$own_kernel/root")
  fi
  if [[ -n $modules_dir ]]; then
    [[ -e $modules_dir/modules.dep.bin ]] || depmod -b "${modules_dir%/lib/modules/*}" "${modules_dir##*/}"
    mapfile -t modules < <(module_files "$modules_dir" || echo missing)
    [[ " ${modules[*]} " != *' missing '* ]] || die "$modules_dir lacks one of: ${WANTED_MODULES[*]}"
  fi

  initramfs=$guest/initramfs-$({ printf '%s\n' "$modules_dir" "${modules[@]}" && cat "$busybox" "$here/prepare.sh" "$here"/inside/{init,passwd,group}; } | key_of).cpio
  if [[ ! -s $initramfs ]]; then
    forget_old
    progress "making the guest's initramfs"
    make_initramfs "$initramfs" "${modules[@]}"
  fi
  programs=$guest/programs-$(cat "$here/prepare.sh" "$here"/programs/* "$here"/../posix/*.[ch] "$here"/../posix/exercise/*.[ch] | key_of)
  if [[ ! -x $programs/probe ]]; then
    progress "compiling the guest's programs"
    compile_programs "$programs"
  fi
  printf '%s=%q\n' VM_KERNEL "$kernel" VM_INITRAMFS "$initramfs" VM_PROGRAMS "$programs" VM_MODULES "${#modules[@]}"
}

main "$@"
