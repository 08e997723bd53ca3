#!/usr/bin/env bash
# Prepares newer peers than Debian 12 has, in a private tree below the build directory:
# Debian 13 with its backports' QEMU and cloud kernel, and the Rust virtiofsd.
# The system itself and its apt sources stay as they are.
#
#   tests/peers.sh [qemu|virtiofsd|kernel|all]...
#
# Writes BUILD/peers/env.sh, which exports VIRTIOFS_PEER_QEMU, VIRTIOFS_PEER_VIRTIOFSD,
# VIRTIOFS_PEER_KERNEL and VIRTIOFS_PEER_MODULES for what has been prepared so far.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/support/common.sh"
# shellcheck source=tests/support/apt.sh
. "$here/support/apt.sh"
# shellcheck source=tests/support/kernel.sh
. "$here/support/kernel.sh"

SUITE=trixie
WANT_QEMU=11.1.3
WANT_VIRTIOFSD=1.13
WANT_KERNEL=7.2

peers=$BUILD_DIR/peers
tree=$peers/$SUITE
kernel=$peers/kernel

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; }

# in_tree COMMAND...: inside the private tree, which has no /proc and starts no service.
in_tree() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
    ${proxy:+"http_proxy=$proxy"} chroot "$tree" "$@" </dev/null
}

# run_logged WHAT COMMAND...: quiet unless it fails.
run_logged() {
  local what=$1
  shift
  progress "$what"
  "$@" >>"$peers/log" 2>&1 || {
    tail -n 30 "$peers/log" >&2
    die "$what: failed (the whole log: $peers/log)"
  }
}

make_tree() {
  [[ -e $tree/.ready ]] && return 0
  local mirror
  mirror=$(need_mirror)
  rm -rf "$tree"
  run_logged "making a private Debian tree ($SUITE)" \
    debootstrap --variant=minbase "$SUITE" "$tree" "$mirror"
  printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
  chmod 755 "$tree/usr/sbin/policy-rc.d"
  echo "deb $mirror $SUITE-backports main" >"$tree/etc/apt/sources.list.d/backports.list"
  run_logged "reading the private tree's indexes" in_tree apt-get -q update
  touch "$tree/.ready"
}

# note_version WHAT GOT WANTED
note_version() {
  if [[ $2 == *"$3"* ]]; then
    progress "$1 $2"
  else
    progress "$1 $2 (the mirror has no $3, taking this one)"
  fi
}

# suite_of PACKAGE: where to take it from.
suite_of() {
  if in_tree apt-cache madison "$1" | grep -q "$SUITE-backports/"; then
    echo "$SUITE-backports"
  else
    echo "$SUITE"
  fi
}

install_in_tree() {
  run_logged "installing $1 in the private tree" \
    in_tree apt-get -q -y --no-install-recommends -t "$(suite_of "$1")" install "$@"
}

# wrapper NAME PROGRAM [LINE...]: a command that runs the tree's program by the tree's own loader.
wrapper() {
  local name=$1 program=$2
  shift 2
  mkdir -p "$peers/bin"
  {
    echo '#!/bin/sh'
    printf '%s\n' "$@"
    echo "exec '$tree/lib64/ld-linux-x86-64.so.2' --library-path '$tree/usr/lib/x86_64-linux-gnu' \\"
    echo "  '$tree$program' \$args \"\$@\""
  } >"$peers/bin/$name.new"
  chmod 755 "$peers/bin/$name.new"
  mv "$peers/bin/$name.new" "$peers/bin/$name"
}

prepare_qemu() {
  if [[ ! -x $peers/bin/qemu-system-x86_64 ]]; then
    make_tree
    install_in_tree qemu-system-x86
    local dirs="$tree/usr/share/qemu" dir args=''
    for dir in "$tree/usr/share/seabios" "$tree/usr/lib/ipxe/qemu"; do
      [[ -d $dir ]] && dirs+=" $dir"
    done
    for dir in $dirs; do args+="-L $dir "; done
    wrapper qemu-system-x86_64 /usr/bin/qemu-system-x86_64 \
      "export QEMU_MODULE_DIR='$tree/usr/lib/x86_64-linux-gnu/qemu'" "args='$args'"
  fi
  note_version QEMU "$("$peers/bin/qemu-system-x86_64" --version | sed -n '1s/.*version \([^ ]*\).*/\1/p')" "$WANT_QEMU"
}

prepare_virtiofsd() {
  if [[ ! -x $peers/bin/virtiofsd ]]; then
    make_tree
    install_in_tree virtiofsd
    wrapper virtiofsd /usr/libexec/virtiofsd "args=''"
  fi
  note_version virtiofsd "$("$peers/bin/virtiofsd" --version | sed 's/.* //')" "$WANT_VIRTIOFSD"
}

fetch_kernel() {
  local meta=linux-image-cloud-amd64 suite packages
  suite=$(suite_of $meta)
  mapfile -t packages < <(kernel_packages $meta in_tree apt-cache depends -t "$suite")
  ((${#packages[@]} > 0)) || die "the private tree's $meta names no kernel package"
  rm -rf "$kernel" "$tree/var/tmp/kernel"
  mkdir -p "$tree/var/tmp/kernel" "$kernel"
  # shellcheck disable=SC2016 # the inner shell expands its own "$@"
  run_logged "fetching ${packages[0]}" in_tree \
    sh -c 'cd /var/tmp/kernel && apt-get -q download -t "$@"' sh "$suite" "${packages[@]}"
  mv "$tree/var/tmp/kernel/"*.deb "$kernel"
  run_logged "unpacking ${packages[0]}" unpack_kernel "$kernel"
}

prepare_kernel() {
  if [[ ! -s $kernel/vmlinux ]]; then
    make_tree
    fetch_kernel
  fi
  note_version Linux "$(basename "$(modules_dir_of "$kernel/root")")" "$WANT_KERNEL"
}

write_env() {
  {
    if [[ -x $peers/bin/qemu-system-x86_64 ]]; then echo "export VIRTIOFS_PEER_QEMU='$peers/bin/qemu-system-x86_64'"; fi
    if [[ -x $peers/bin/virtiofsd ]]; then echo "export VIRTIOFS_PEER_VIRTIOFSD='$peers/bin/virtiofsd'"; fi
    if [[ -s $kernel/vmlinux ]]; then
      echo "export VIRTIOFS_PEER_KERNEL='$kernel/vmlinux'"
      echo "export VIRTIOFS_PEER_MODULES='$(modules_dir_of "$kernel/root")'"
    fi
  } >"$peers/env.sh.new"
  mv "$peers/env.sh.new" "$peers/env.sh"
}

main() {
  local part
  (($# > 0)) || set -- all
  for part in "$@"; do
    case $part in
      qemu | virtiofsd | kernel | all) ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) die "no such peer: $part (qemu, virtiofsd, kernel or all)" ;;
    esac
  done
  [[ $(id -u) == 0 ]] || skip "must be root to make a private tree"
  need_programs debootstrap:debootstrap chroot:coreutils xz:xz-utils zstd:zstd lz4:lz4
  mkdir -p "$peers"
  exec 9>"$peers/lock"
  flock 9
  proxy=$(apt_proxy)
  if [[ -n $proxy ]]; then export http_proxy="$proxy"; fi
  [[ " $* " != *' all '* ]] || set -- qemu virtiofsd kernel
  for part in "$@"; do
    "prepare_$part"
  done
  write_env
  cat "$peers/env.sh"
}

main "$@"
