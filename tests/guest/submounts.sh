#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# File systems that are mounted below the directory, as a real guest sees them: mounts of its own, each with its st_dev,
# its space and its files; or, with --no-announce-submounts, one file system. In a mount namespace of its own.
#
#   tests/guest/submounts.sh
#
# VIRTIOFS_GUEST_EXAMPLES is the folder that holds passthrough/virtiofs-passthrough, default BUILD/debug/examples.
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/server.sh
. "$here/server.sh"

if [[ ${1:-} != --private ]]; then
  [[ $(id -u) == 0 ]] || skip 'needs root'
  unshare --mount --propagation private true 2>/dev/null || skip 'may not have a mount namespace'
  exec unshare --mount --propagation private "$0" --private
fi

START_SECONDS=60
STOP_SECONDS=60
passthrough=${VIRTIOFS_GUEST_EXAMPLES:-$BUILD_DIR/debug/examples}/passthrough/virtiofs-passthrough
run_dir=
pids=()

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$STOP_SECONDS" "${pids[@]}"
  if [[ -n $run_dir ]]; then
    umount -R "$run_dir/share" 2>/dev/null || true
    rm -rf "$run_dir"
  fi
}

# start NAME OPTION: its socket is run_dir/NAME.sock, what it says goes to run_dir/NAME.log.
start() {
  server_words "$passthrough --stay --socket-path {socket} --shared-dir {dir} $2" "$run_dir/$1.sock" "$run_dir/share" ''
  if ! server_start "$run_dir/$1.log" "$run_dir/$1.sock" "$START_SECONDS"; then
    cat "$run_dir/$1.log" >&2
    die "$1 doesn't listen"
  fi
  pids+=("$SERVER_PID")
}

at_exit cleanup
run_dir=$(mktemp -d)
mkdir "$run_dir/share"
mount -t tmpfs -o size=16M tmpfs "$run_dir/share"
mkdir "$run_dir/share/"{a,plain,bound}
mount -t tmpfs -o size=8M tmpfs "$run_dir/share/a"
mkdir "$run_dir/share/a/b"
mount -t tmpfs -o size=4M tmpfs "$run_dir/share/a/b"
mount --bind "$run_dir/share/plain" "$run_dir/share/bound"
echo bound >"$run_dir/share/plain/file"
# Subvolumes are no mounts, but have an st_dev of their own, and the numbers of the others.
subvolume=
if have mkfs.btrfs && truncate -s 128M "$run_dir/image" && mkfs.btrfs -q -M "$run_dir/image" >/dev/null 2>&1 &&
  mkdir "$run_dir/share/btrfs" && mount -o loop "$run_dir/image" "$run_dir/share/btrfs" 2>/dev/null; then
  btrfs -q subvolume create "$run_dir/share/btrfs/sub"
  subvolume=btrfs/sub
else
  rmdir "$run_dir/share/btrfs" 2>/dev/null || true
  say 'without a btrfs (package btrfs-progs, or the kernel has none)'
fi
printf 'subvolume=%s\n' "$subvolume" >"$run_dir/settings"
start announced --announce-submounts
start one --no-announce-submounts
cat >"$run_dir/script" <<'SCRIPT'
set -eu
. /job/settings
fail() { echo "not ok $*"; exit 1; }
# Linux mounts there when somebody goes in, for which a look from outside is not enough.
dev() { stat -c %d "$1/."; }
mib() { set -- $(stat -f -c '%b %S' "$1/."); echo $(($1 * $2 / 1048576)); }
mkdir -p /announced /one
mount -t virtiofs announced /announced
mount -t virtiofs one /one

cd /announced
all=$(for d in . a a/b bound; do dev $d; done | sort -u | wc -l)
[ "$all" = 4 ] || fail "four file systems have $all numbers"
[ "$(dev plain)" = "$(dev .)" ] || fail 'a directory is called a file system'
[ "$(stat -c %i plain/file)" = "$(stat -c %i bound/file)" ] || fail 'the bind mount has other files'
[ "$(mib .) $(mib a) $(mib a/b) $(mib plain)" = '16 8 4 16' ] || fail "sizes $(mib .) $(mib a) $(mib a/b) $(mib plain)"
[ "$(grep -c ' /announced/[ab][^t ]* virtiofs ' /proc/mounts)" = 3 ] || fail "mounts: $(cat /proc/mounts)"
found=$(find . -xdev | grep -v btrfs | sort | tr '\n' ' ')
[ "$found" = '. ./a ./bound ./plain ./plain/file ' ] || fail "-xdev found $found"
echo deep >a/b/file
ln a/b/file a/b/second
if ln a/b/file a/file 2>/dev/null; then fail 'a link into another file system'; fi
mv a/b/file a/moved
[ "$(cat a/moved)" = deep ] || fail 'moving between them'
if [ -n "$subvolume" ]; then
  [ "$(stat -c %i "$subvolume/..")" = "$(stat -c %i "$subvolume/.")" ] || fail 'the subvolume has other numbers'
  [ "$(dev "$subvolume")" != "$(dev "$subvolume/..")" ] || fail 'the subvolume is a directory'
  echo sub >"$subvolume/file"
fi
ls -lR . >/dev/null
sync
cd /
[ -z "$subvolume" ] || umount "/announced/$subvolume" /announced/btrfs
umount /announced/a/b /announced/a /announced/bound /announced
echo 'ok announced'

cd /one
all=$(for d in . a a/b bound plain; do dev $d; done | sort -u | wc -l)
[ "$all" = 1 ] || fail "one file system has $all numbers"
[ "$(cat a/moved)" = deep ] || fail 'what was moved'
cd /
umount /one
echo 'ok one'
SCRIPT
status=0
# The second device stands beside the one that boot.sh makes.
VIRTIOFS_GUEST_QEMU_ARGS="-chardev socket,id=fs2,path=$run_dir/one.sock -device vhost-user-fs-pci,chardev=fs2,tag=one" \
  "$here/boot.sh" --tag announced "$run_dir/announced.sock" "$run_dir/script" "$run_dir/settings" || status=$?
((status == 0)) || exit "$status"
[[ $(cat "$run_dir/share/a/moved" "$run_dir/share/a/b/second") == $'deep\ndeep' ]] || die "the host's files are others"
say '2 passed, 0 failed'
