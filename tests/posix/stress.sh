#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Other people's programs on virtiofs-passthrough's mounts, by /dev/fuse and by virtiofs-mount: stress-ng's stressors of
# file systems, fio in verify mode, git, and tar over a source tree.
#
#   tests/posix/stress.sh PASSTHROUGH MOUNT [SECONDS [STRESSOR...]]
#
# SECONDS: for each stressor on each mount, default 3; fio takes five times as long. Status: 0 passed, 1 failed, 77 can't
# be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/support/host_mount.sh
. "$here/../support/host_mount.sh"

passthrough=$1
mount_program=$2
seconds=${3:-3}
SECONDS_MAX=30
dir=$(mktemp -d)
mnt=$dir/mnt
share=$dir/share
server=
mounter=
failed=0

# Those of its class that work in the directory they are given; the others are about /proc, /dev and special mounts, or
# (fanotify, binderfs, bind-mount) about the host. "handle" wants the mount exported, "verity" and "fiemap" a disk.
STRESSORS=(access chattr chdir chmod chown copy-file dentry dir dirdeep dirmany dnotify dup fallocate fcntl file-ioctl filename
  flock fpunch fsize fstat getdent hdd inode-flags inotify io iomix lease link locka lockf lockofd mknod open rename symlink
  sync-file touch utime xattr)
((${#@} <= 3)) || STRESSORS=("${@:4}")

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  chattr -R -f -i -a "$share" >/dev/null 2>&1 || true
  stop_processes "$SECONDS_MAX" "$mounter" "$server"
  unmount "$mnt"
  rm -rf "$dir"
}
at_exit cleanup

bad() {
  failed=1
  say "not ok $*"
}

# works WHERE NAME COMMAND...: what it prints is the reason if it fails.
works() {
  local where=$1 name=$2
  shift 2
  if "$@" >"$dir/out" 2>&1; then
    say "ok $where: $name"
  else
    bad "$where: $name"
    tail -n 20 "$dir/out"
  fi
  alive "$server" || die "the server is gone: $(tail -n 5 "$dir/log")"
}

one_stressor() { # DIRECTORY STRESSOR
  timeout $((seconds * 4 + 60)) stress-ng --quiet --verify --temp-path "$1" "--$2" 2 --timeout "$seconds" --no-rand-seed
}

with_fio() { # DIRECTORY
  local engine unaligned
  for engine in psync mmap libaio; do
    unaligned=1
    if [[ $engine == libaio ]]; then unaligned=0; fi
    timeout 300 fio --aux-path="$1" --directory="$1" --name="verify-$engine" --ioengine="$engine" --rw=randrw --bsrange=512-128k \
      --bs_unaligned="$unaligned" --size=24m --numjobs=2 --verify=crc32c \
      --verify_backlog=64 --verify_fatal=1 --verify_state_save=0 --time_based=0 --loops=1 --group_reporting --minimal || return 1
    rm -f "$1"/verify-*
  done
}

# A repository with history, as developers have.
make_repository() {
  git -C "$REPO_DIR" rev-parse --git-dir >/dev/null 2>&1 || return 1
  git clone -q --bare "$REPO_DIR" "$dir/origin.git" 2>/dev/null
}

with_git() { # DIRECTORY
  export HOME=$dir GIT_CONFIG_NOSYSTEM=1
  git clone -q "$dir/origin.git" "$1/clone" && cd "$1/clone" || return 1
  git fsck --full --strict --no-progress || return 1
  [[ -z $(git status --porcelain) ]] || return 1
  git -c user.name=t -c user.email=t@example.org commit -q --allow-empty -m one || return 1
  find . -name '*.c' -not -path './.git/*' -exec sed -i '1s/$/ /' {} + || return 1
  [[ $(git status --porcelain | grep -c '^ M.*\.c$') == $(git ls-files '*.c' | wc -l) ]] || return 1
  git stash -q && [[ -z $(git status --porcelain) ]] && git stash pop -q && git checkout -q . || return 1
  git gc -q && git fsck --no-progress || return 1
  cd / && rm -rf "$1/clone"
}

with_tar() { # DIRECTORY
  mkdir "$1/tree" || return 1
  tar -C / -cf - usr/include | tar -C "$1/tree" -xpf - || return 1
  diff -r --no-dereference /usr/include "$1/tree/usr/include" || return 1
  diff -r --no-dereference /usr/include "$share/tree/usr/include" || return 1
  tar -C "$1/tree" -cf - usr/include | tar -C / -df - || return 1 # owners, modes and times too
  find "$1/tree" -type f -print0 | xargs -0 -P 4 -n 100 cat | cksum >"$dir/sum" || return 1
  rm -rf "$1/tree"
}

all_on() { # WHERE DIRECTORY
  local stressor
  for stressor in "${STRESSORS[@]}"; do works "$1" "stress-ng $stressor" one_stressor "$2" "$stressor"; done
  works "$1" fio with_fio "$2"
  if [[ -d $dir/origin.git ]]; then works "$1" git with_git "$2"; fi
  works "$1" tar with_tar "$2"
  # stress-ng's chattr is told to end by a signal, which may reach it just when it takes a flag back.
  chattr -R -f -i -a "$share" >/dev/null 2>&1 || true
  find "$2" -mindepth 1 -delete 2>/dev/null || true
  [[ -z $(ls -A "$2") ]] || bad "$1: left $(find "$2" | head)"
}

need_fuse
need_programs stress-ng:stress-ng fio:fio git:git tar:tar
mkdir "$mnt" "$share"
chmod 755 "$dir"
chmod 1777 "$share"
make_repository || progress 'no repository to clone here'

"$passthrough" --shared-dir "$share" --device-nodes --xattr --killpriv-v2 --mountpoint "$mnt" </dev/null >"$dir/log" 2>&1 &
server=$!
await_mount "$server" "$dir/log" "$SECONDS_MAX"
all_on --mountpoint "$mnt"
umount "$mnt"
wait "$server" || bad "--mountpoint: $(tail -n 5 "$dir/log")"
server=

"$passthrough" --stay --shared-dir "$share" --device-nodes --xattr --queues 3 --thread-pool-size 4 --socket-path "$dir/sock" \
  </dev/null >"$dir/log" 2>&1 &
server=$!
await_listener "$dir/sock" "$server" "$SECONDS_MAX" || die "doesn't listen: $(cat "$dir/log")"
"$mount_program" "$dir/sock" "$mnt" >"$dir/mount.log" 2>&1 &
mounter=$!
await_mount "$mounter" "$dir/mount.log" "$SECONDS_MAX"
all_on virtiofs-mount "$mnt"
umount "$mnt"
wait "$mounter" || bad "virtiofs-mount: $(cat "$dir/mount.log")"
mounter=
stop_process "$server" "$SECONDS_MAX" || bad "the server doesn't end: $(tail -n 5 "$dir/log")"
server=
((failed == 0))
