#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What the host does to the directory while somebody works in the mount of it: delete, replace, truncate and rename, fill
# the disk, make it read-only, set a quota. The right error comes, and nothing is lost.
#
#   tests/backends/host_changes.sh PASSTHROUGH MOUNT
#
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/inside/checks.sh
. "$here/../guest/inside/checks.sh"
# shellcheck source=tests/support/host_mount.sh
. "$here/../support/host_mount.sh"

passthrough=$1
mount_program=$2
SECONDS_MAX=100
USER_ID=1000
export CHECK_PHASE CHECK_OPTIONAL=
dir=$(mktemp -d)
mnt=$dir/mnt
share=$dir/share
as=() # what starts the server
server=
mounter=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$mounter" "$server"
  unmount "$mnt" "$share"
  rm -rf "$dir"
}
at_exit cleanup

# ---- deleting, replacing ----

open_file_lives_on() {
  echo one >"$share/f"
  exec 3<>"$mnt/f"
  rm "$share/f"
  want 'what it reads' one "$(cat <&3)"
  echo two >&3
  want 'the size' 8 "$(stat -L -c %s /proc/self/fd/3)"
  refuse 'No such file' cat "$mnt/f"
  echo new >"$share/f"
  want 'the new one' new "$(cat "$mnt/f")"
  want 'the old one, opened once more' 'one two' "$(tr '\n' ' ' </proc/self/fd/3 | sed 's/ $//')"
  exec 3>&-
  want 'the new one then' new "$(cat "$share/f")"
}

deleted_is_gone() {
  echo one >"$mnt/f"
  stat "$mnt/f" >/dev/null
  rm "$share/f"
  refuse 'No such file' stat "$mnt/f"
  refuse 'No such file' cat "$mnt/f"
  refuse 'No such file' rm "$mnt/f"
  echo two >"$mnt/f"
  want 'what the host has' two "$(cat "$share/f")"
}

replaced_is_another() {
  local i
  for i in {1..50}; do
    echo "$i" >"$share/new"
    mv "$share/new" "$share/f"
    want 'a file moved over it' "$i" "$(cat "$mnt/f")"
    rm "$share/f"
    echo "again $i" >"$share/f"
    want 'a file made in its place' "again $i" "$(cat "$mnt/f")"
  done
}

types_change() {
  echo file >"$mnt/f"
  want 'a file' 'regular file' "$(stat -c %F "$mnt/f")"
  rm "$share/f" && mkdir "$share/f"
  want 'a directory' directory "$(stat -c %F "$mnt/f")"
  refuse 'Is a directory' cat "$mnt/f"
  rmdir "$share/f" && ln -s g "$share/f" && echo target >"$share/g"
  want 'a link' 'symbolic link' "$(stat -c %F "$mnt/f")"
  want 'what it leads to' target "$(cat "$mnt/f")"
  ln -sf nothing "$share/f"
  refuse 'No such file' cat "$mnt/f"
  rm "$share/f" && mkfifo "$share/f"
  want 'a pipe' fifo "$(stat -c %F "$mnt/f")"
  rm "$share/f" && echo file >"$share/f"
  want 'a file again' file "$(cat "$mnt/f")"
}

# A directory that a descriptor holds is empty for ever, as a local one is; else it is stale.
refuse_as_gone() { refuse 'No such file' "$@" || refuse 'Stale file handle' "$@"; }

deleted_cwd() {
  mkdir "$share/d"
  cd "$mnt/d"
  rmdir "$share/d"
  refuse_as_gone touch x
  mkdir "$share/d"
  refuse_as_gone touch x
  want 'what is in the other directory' '' "$(ls "$share/d")"
}

attributes_change() {
  echo file >"$mnt/f"
  chmod 640 "$share/f"
  chown 5:6 "$share/f"
  ln "$share/f" "$share/g"
  want 'mode, owner, links' '640 5:6 2' "$(stat -c '%a %u:%g %h' "$mnt/f")"
  want 'the number of the other name' "$(stat -c %i "$mnt/f")" "$(stat -c %i "$mnt/g")"
  echo more >>"$mnt/g"
  want 'both names' 'file more' "$(tr '\n' ' ' <"$share/f" | sed 's/ $//')"
}

# ---- contents ----

truncated() {
  seq 1000 >"$mnt/f"
  exec 3<>"$mnt/f"
  truncate -s 0 "$share/f"
  want 'what it reads' '' "$(cat <&3)"
  want 'the size' 0 "$(stat -c %s "$mnt/f")"
  seq 2000 >"$share/f"
  cmp "$share/f" /proc/self/fd/3
  truncate -s 4 "$share/f"
  exec 4>>"$mnt/f"
  echo host >>"$share/f"
  echo guest >&4
  want 'what both have appended' '1 2 host guest' "$(tr '\n' ' ' <"$share/f" | sed 's/ $//')"
  exec 3>&- 4>&-
}

# ---- renaming ----

parents_move() {
  mkdir -p "$share/a/b"
  echo file >"$share/a/b/f"
  cd "$mnt/a/b"
  exec 3>>f
  mv "$share/a" "$share/z"
  echo more >&3
  exec 3>&-
  echo new >g
  want 'what is seen from inside' 'f g' "$(echo *)"
  want 'what the host has' 'file more new' "$(cat "$share/z/b/f" "$share/z/b/g" | tr '\n' ' ' | sed 's/ $//')"
  refuse 'No such file' ls "$mnt/a"
  want 'what has the new name' 'f g' "$(cd "$mnt/z/b" && echo *)"
  mkdir "$share/a"
  want 'what has the old name' '' "$(ls "$mnt/a")"
  mv "$share/z/b" "$share/b"
  rm f g
  want 'what is left' '' "$(ls "$share/b")"
}

directories_swap() {
  local i
  mkdir "$share/a" "$share/b"
  echo a >"$share/a/f"
  echo b >"$share/b/f"
  for i in {1..10}; do
    want 'before' 'a b' "$(cat "$mnt/a/f" "$mnt/b/f" | tr '\n' ' ' | sed 's/ $//')"
    mv "$share/a" "$share/t" && mv "$share/b" "$share/a" && mv "$share/t" "$share/b"
    want 'after' 'b a' "$(cat "$mnt/a/f" "$mnt/b/f" | tr '\n' ' ' | sed 's/ $//')"
    mv "$share/a" "$share/t" && mv "$share/b" "$share/a" && mv "$share/t" "$share/b"
  done
}

# Each line is a write of its own.
nothing_is_lost_on_the_move() {
  local i
  mkdir "$share/d"
  exec 3>>"$mnt/d/log"
  for i in {1..300}; do
    echo "$i" >&3
    case $((i % 30)) in
      10) mv "$share/d" "$share/e" ;;
      20) mv "$share/e/log" "$share/log" ;;
      0) mv "$share/log" "$share/e/log" && mv "$share/e" "$share/d" ;;
    esac
  done
  exec 3>&-
  seq 300 | cmp - "$share/d/log"
}

# ---- the file system itself ----

has_room() { (($(stat -f -c %a "$share") > 512)); }
has_inode() { (($(stat -f -c %d "$share") > 0)); }
has_inodes() { (($(stat -f -c %d "$share") > 900)); }

full() {
  local size
  head -c 8M /dev/urandom >"$dir/source"
  refuse 'No space left' dd if="$dir/source" of="$mnt/big" bs=1M
  size=$(stat -c %s "$share/big")
  want 'the size here and there' "$size" "$(stat -c %s "$mnt/big")"
  ((size > 1048576)) || want 'the size' 'most of 4 MiB' "$size"
  cmp -n "$size" "$dir/source" "$share/big"
  cmp -n "$size" "$dir/source" "$mnt/big"
  refuse 'No space left' dd if="$dir/source" of="$mnt/more" bs=64k count=20 conv=fsync
  refuse 'No space left' fallocate -l 2M "$mnt/more"
  want 'the room that is left' 0 "$(stat -f -c %a "$mnt")"
  rm "$share/big" # which takes its room until the guest knows that it is gone
  refuse 'No such file' stat "$mnt/big"
  wait_until "$SECONDS_MAX" has_room || want 'the room that is left' 'some of it' none
  dd if="$dir/source" of="$mnt/more" bs=64k count=20 conv=fsync 2>/dev/null
  cmp -n $((20 * 65536)) "$dir/source" "$share/more"
}

# Though nobody looks at the name any more.
room_comes_back() {
  head -c 3M /dev/urandom >"$mnt/big"
  stat "$mnt/big" >/dev/null
  chmod 600 "$mnt/big"
  rm "$share/big"
  wait_until "$SECONDS_MAX" has_room || want 'the room that is left' 'some of it' none
}

# The share has 1000 inodes.
no_names_left() {
  local i
  mkdir "$mnt/d"
  for i in {1..1100}; do
    : >"$mnt/d/$i" || break
  done 2>"$dir/said"
  grep -q 'No space left' "$dir/said" || want 'what it said' 'No space left' "$(cat "$dir/said")"
  refuse 'No space left' mkdir "$mnt/e"
  refuse 'No space left' ln -s x "$mnt/e"
  want 'what is there' "$((i - 1))" "$(find "$share/d" -type f | wc -l)"
  want 'what is seen' "$((i - 1))" "$(find "$mnt/d" -type f | wc -l)"
  rm "$share/d/1" # as above
  refuse 'No such file' stat "$mnt/d/1"
  wait_until "$SECONDS_MAX" has_inode || want 'the inodes that are left' one none
  echo fits >"$mnt/d/1"
  rm -r "$mnt/d" # as above, and others need them
  wait_until "$SECONDS_MAX" has_inodes || want 'the inodes that are left' 'nearly all' "$(stat -f -c %d "$share")"
}

made_read_only() { mount -o remount,ro "$share" 2>"$dir/said"; }

read_only() {
  echo file >"$mnt/f"
  mkdir "$mnt/d"
  # Busy until the server has closed the file, for which close(2) doesn't wait.
  wait_until "$SECONDS_MAX" made_read_only || want 'what mount said' '' "$(cat "$dir/said")"
  refuse 'Read-only file system' touch "$mnt/new"
  refuse 'Read-only file system' dd if=/dev/null of="$mnt/f" conv=notrunc
  refuse 'Read-only file system' truncate -s 0 "$mnt/f"
  refuse 'Read-only file system' chmod 600 "$mnt/f"
  refuse 'Read-only file system' mv "$mnt/f" "$mnt/g"
  refuse 'Read-only file system' rm "$mnt/f"
  refuse 'Read-only file system' rmdir "$mnt/d"
  refuse 'Read-only file system' ln "$mnt/f" "$mnt/g"
  want 'what it reads' file "$(cat "$mnt/f")"
  mount -o remount,rw "$share"
  echo more >>"$mnt/f"
  want 'what the host has' 'file more' "$(tr '\n' ' ' <"$share/f" | sed 's/ $//')"
}

changes() {
  local each
  # First what files that are deleted and still known would be in the way of.
  for each in read_only full no_names_left open_file_lives_on deleted_is_gone replaced_is_another types_change \
    deleted_cwd attributes_change truncated parents_move directories_swap nothing_is_lost_on_the_move; do
    check "$each" "$each"
    rm -rf "${mnt:?}"/*
  done
}

room() {
  check room_comes_back room_comes_back
  rm -rf "${mnt:?}"/*
}

# ---- where ----

by_dev_fuse() { # CHECKS OPTION...
  CHECK_PHASE=mountpoint
  ${as[@]+"${as[@]}"} "$passthrough" --shared-dir "$share" --mountpoint "$mnt" --cache never "${@:2}" </dev/null >"$dir/log" 2>&1 &
  server=$!
  await_mount "$server" "$dir/log" "$SECONDS_MAX"
  "$1"
  umount "$mnt"
  wait "$server" || die "$(cat "$dir/log")"
  server=
}

by_vhost_user() { # CHECKS OPTION...
  CHECK_PHASE=virtiofs-mount
  "$passthrough" --stay --shared-dir "$share" --socket-path "$dir/sock" --cache never "${@:2}" >"$dir/log" 2>&1 &
  server=$!
  await_listener "$dir/sock" "$server" "$SECONDS_MAX" || die "doesn't listen: $(cat "$dir/log")"
  "$mount_program" "$dir/sock" "$mnt" >"$dir/mount.log" 2>&1 &
  mounter=$!
  await_mount "$mounter" "$dir/mount.log" "$SECONDS_MAX"
  "$1"
  umount "$mnt"
  wait "$mounter" || die "$(cat "$dir/mount.log")"
  mounter=
  stop_process "$server" "$SECONDS_MAX" || die "the server doesn't end"
  server=
}

# ---- quota ----

over_quota() {
  setpriv --reuid $USER_ID --regid $USER_ID --clear-groups head -c 512K /dev/zero >"$mnt/user/fits"
  refuse 'quota exceeded' setpriv --reuid $USER_ID --regid $USER_ID --clear-groups \
    dd if=/dev/zero of="$mnt/user/more" bs=64k count=64
  setpriv --reuid $USER_ID --regid $USER_ID --clear-groups rm "$mnt/user/more"
  head -c 2M /dev/zero >"$mnt/root"
}

quotas() { check quota over_quota; }

# A server with CAP_SYS_RESOURCE is above quotas.
quota() {
  truncate -s 32M "$dir/image"
  if ! mkfs.ext4 -q -O quota -E quotatype=usrquota "$dir/image" 2>/dev/null || ! mount -o loop,usrquota "$dir/image" "$share" 2>/dev/null; then
    say "skipped quota: this kernel mounts no ext4 with quotas (CONFIG_QFMT_V2)"
    return 0
  fi
  if have setquota && setquota -u $USER_ID 0 1024 0 0 "$share"; then
    mkdir "$share/user" && chown $USER_ID:$USER_ID "$share/user"
    chmod 755 "$share"
    as=(setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource --)
    by_dev_fuse quotas
    as=()
  else
    say 'skipped quota: no setquota (package quota)'
  fi
  umount "$share"
}

mkdir "$mnt" "$share"
need_fuse
mount -t tmpfs -o size=4M,nr_inodes=1000,mode=755 tmpfs "$share" || skip 'may not mount a file system in memory'
by_dev_fuse changes
by_dev_fuse room --inode-idle 1
by_dev_fuse changes --inode-fds 1
by_vhost_user changes
by_dev_fuse changes --inode-file-handles never
by_vhost_user changes --inode-file-handles never
umount "$share"
quota
((CHECKS_FAILED == 0))
