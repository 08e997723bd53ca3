#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Builds the core for another machine and runs the unit tests of its pure layers by an emulator.
#
#   tests/cross.sh aarch64|s390x
#
# s390x has the other byte order: FUSE messages are in the machine's own, rings are little-endian everywhere.
# Everything lies in build/cross-ARCH; Debian's cmocka for that machine comes through apt with a state of its own
# there, so that the system's architectures and indexes stay as they are.
# Status: 0 if all passed, 77 if something for it can't be had, else 1.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/support/common.sh"
# shellcheck source=tests/support/apt.sh
. "$here/support/apt.sh"

case ${1:-} in
  aarch64) debian=arm64 ;;
  s390x) debian=s390x ;;
  *) die 'which machine? aarch64 or s390x' ;;
esac
arch=$1
triplet=$arch-linux-gnu
build=$BUILD_DIR/cross-$arch
sysroot=$build/sysroot
libraries=$sysroot/usr/lib/$triplet

need_programs "$triplet-gcc:gcc-$triplet" "qemu-$arch-static:qemu-user-static" cmake:cmake ninja:ninja-build

# private_apt COMMAND...: apt-get for the other machine, on indexes of its own.
private_apt() {
  apt_get -o Dir::State="$build/apt/state" -o Dir::State::status="$build/apt/status" -o Dir::Cache="$build/apt/cache" \
    -o Dir::Etc::sourcelist="$build/apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root \
    -o APT::Architecture="$debian" -o APT::Architectures="$debian" "$@"
}

fetch_cmocka() {
  local mirror codename keyring=/usr/share/keyrings/debian-archive-keyring.gpg options=
  mirror=$(apt_mirror)
  [[ -n $mirror ]] || skip "apt's sources name no Debian archive"
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  [[ ! -e $keyring ]] || options="[signed-by=$keyring] "
  mkdir -p "$build/apt/state/lists/partial" "$build/apt/cache/archives/partial" "$build/apt/packages"
  : >"$build/apt/status"
  echo "deb $options$mirror $codename main" >"$build/apt/sources.list"
  private_apt update
  (cd "$build/apt/packages" && private_apt download libcmocka-dev libcmocka0)
}

make_sysroot() {
  [[ ! -e $sysroot/.ready ]] || return 0
  local package
  rm -rf "$sysroot"
  mkdir -p "$build/apt"
  progress "fetching cmocka for $arch"
  fetch_cmocka >"$build/apt/log" 2>&1 || {
    tail -n 20 "$build/apt/log" >&2
    die "can't fetch cmocka for $arch"
  }
  for package in "$build"/apt/packages/*.deb; do
    dpkg -x "$package" "$sysroot"
  done
  touch "$sysroot/.ready"
}

make_sysroot
# The cross packages' kernel headers are older than this machine's, and this one is the same for every machine.
install -D -m 644 -t "$sysroot/usr/include/linux" /usr/include/linux/fuse.h
export PKG_CONFIG_SYSROOT_DIR=$sysroot PKG_CONFIG_LIBDIR=$libraries/pkgconfig
cmake --preset debug -S "$REPO_DIR" -B "$build/build" -DVIRTIOFS_CORE_ONLY=ON -DVIRTIOFS_WERROR=ON \
  -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$arch" -DCMAKE_C_COMPILER="$triplet-gcc" \
  -DVIRTIOFS_TEST_RUNNER="qemu-$arch-static;-L;/usr/$triplet;-E;LD_LIBRARY_PATH=$libraries"
cmake --build "$build/build"
ctest --test-dir "$build/build" --output-on-failure -L unit --no-tests=error
