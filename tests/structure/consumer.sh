#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Installs the project somewhere else and builds against that, as a third party does.
# Usage: consumer.sh SOURCE BUILD CC LIBDIR, the last relative to the prefix.
set -eu

source=$1 build=$2 cc=$3 libdir=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/installed
hello=$source/examples/hello/hello.c

# The output of --print-capabilities is JSON that says what kind of program this is.
check_runs() {
  "$@" --print-capabilities >"$work/capabilities"
  grep -q '"type"' "$work/capabilities" || { cat "$work/capabilities"; echo "$1 says nothing of use" >&2; exit 1; }
}

check_links() {
  if readelf -d "$1" | grep -q 'NEEDED.*libvirtiofs'; then kind=shared; else kind=static; fi
  [ "$kind" = "$2" ] || { echo "$1 is linked with $kind libraries, not $2 ones" >&2; exit 1; }
}

cmake --install "$build" --prefix "$prefix" >"$work/log"
if grep -rlF -e "$source" -e "$build" "$prefix/include" "$prefix/$libdir/cmake" "$prefix/$libdir/pkgconfig"; then
  echo 'installed files name the source or the build folder' >&2
  exit 1
fi

cmake -G Ninja -S "$source/tests/consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
  -DHELLO="$hello" >>"$work/log" || { cat "$work/log"; exit 1; }
cmake --build "$work/cmake" >>"$work/log" || { cat "$work/log"; exit 1; }
check_links "$work/cmake/hello" shared
check_links "$work/cmake/hello-static" static
ldd "$work/cmake/hello" | grep -F "$prefix" >/dev/null
check_runs "$work/cmake/hello"
check_runs "$work/cmake/hello-static"
check_runs "$work/cmake/codec"

PKG_CONFIG_PATH=$prefix/$libdir/pkgconfig
LD_LIBRARY_PATH=$prefix/$libdir
export PKG_CONFIG_PATH LD_LIBRARY_PATH
flags=$(pkg-config --define-variable=prefix="$prefix" --cflags --libs libvirtiofs-daemon)
# shellcheck disable=SC2086 # words on purpose
"$cc" "$hello" -o "$work/by-pkg-config" $flags
check_links "$work/by-pkg-config" shared
ldd "$work/by-pkg-config" | grep -F "$prefix" >/dev/null
check_runs "$work/by-pkg-config"

# The installed program itself, from where it was installed.
unset LD_LIBRARY_PATH
check_runs "$prefix/bin/virtiofs-passthrough"
"$prefix/bin/virtiofs-trace" --version | grep -q '[0-9]\.[0-9]'
