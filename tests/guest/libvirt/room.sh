#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Makes a Debian tree the root of the mount namespace that it is run in, and runs a command there. What the command leaves in
# /run, /tmp, /var and /etc/libvirt ends with the namespace.
#
#   unshare --mount --pid --fork tests/guest/libvirt/room.sh TREE REPO BUILD COMMAND...
#
# REPO is seen by the command where it was, not to be written to; BUILD too, to be.
set -euo pipefail

tree=$1
seen=("$2" "$3")
shift 3

mount --make-rprivate /
mount --bind "$tree" "$tree"
mkdir -p "$tree/.old" "$tree/vm"
for dir in "${seen[@]}"; do
  mkdir -p "$tree$dir"
  mount --bind "$dir" "$tree$dir"
  [[ $dir != "${seen[0]}" ]] || mount -o remount,bind,ro "$tree$dir"
done
for dir in run tmp vm var/lib/libvirt var/log var/cache/libvirt var/tmp etc/libvirt etc/qemu; do
  mkdir -p "$tree/$dir"
  mount -t tmpfs -o mode=755 room "$tree/$dir"
done
chmod 1777 "$tree/tmp" "$tree/var/tmp"
mount -t tmpfs -o mode=755 dev "$tree/dev"
for node in null zero full random urandom tty; do
  : >"$tree/dev/$node"
  mount --bind "/dev/$node" "$tree/dev/$node"
done
mkdir "$tree/dev/pts" "$tree/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$tree/dev/pts"
mount -t tmpfs shm "$tree/dev/shm"
ln -s pts/ptmx "$tree/dev/ptmx"
ln -s /proc/self/fd "$tree/dev/fd"
mount -t proc proc "$tree/proc"
# By itself, without the cgroups that are mounted below.
mount --bind /sys "$tree/sys"
mount -o remount,bind,ro "$tree/sys"
cd "$tree"
pivot_root . .old
umount -l /.old
cd /
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb "$@"
