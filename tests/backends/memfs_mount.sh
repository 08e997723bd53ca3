#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# virtiofs-memfs mounted on this host, with the host's tmpfs as the oracle.
#
#   tests/backends/memfs_mount.sh MEMFS ALIKE PROBE POSIX [STEPS [SEED...]]
#
# ALIKE does the same random operations on both and compares; PROBE has the guest's checks; what POSIX says of both must
# be the same, line by line; trees are copied and compared whole. Default: 6000 steps for each of two seeds. Status: 0 passed, 1 failed, 77 no FUSE mounts here.
set -euo pipefail

here=$(cd "$(dirname "$0")/../guest" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/inside/checks.sh
. "$here/inside/checks.sh"
# shellcheck source=tests/guest/tree.sh
. "$here/tree.sh"
# shellcheck source=tests/support/host_mount.sh
. "$here/../support/host_mount.sh"

memfs=$1
alike=$2
probe=$3
posix=$4
steps=${5:-6000}
shift 4
(($# == 0)) || shift
seeds=("$@")
((${#seeds[@]} > 0)) || seeds=(1 2)

SECONDS_MAX=100
dir=$(mktemp -d)
mnt=$dir/mnt
share=$dir/share
oracle=$dir/oracle
server=
export CHECK_PHASE=memfs CHECK_OPTIONAL=
export TSAN_OPTIONS="suppressions=$here/../support/tsan.supp${TSAN_OPTIONS:+:$TSAN_OPTIONS}"

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$server"
  unmount "$mnt" "$oracle"
  rm -rf "$dir"
}
at_exit cleanup

# serve ARGUMENT...: mounted when it returns.
serve() {
  # What is suppressed goes by names, for which the sanitizer starts another program.
  "$memfs" --mountpoint "$mnt" --seccomp none "$@" </dev/null >"$dir/log" 2>&1 &
  server=$!
  await_mount "$server" "$dir/log" "$SECONDS_MAX"
}

# served: unmounts; the server ends by itself and has nothing to complain of.
served() {
  local pid=$server
  server=
  umount "$mnt"
  ended "$pid" 0
  if grep -E 'ERROR|WARN|Sanitizer|runtime error' "$dir/log"; then return 1; fi
}

# A fresh one; fuse.virtiofs is mounted so too.
mount_oracle() {
  if mountpoint -q "$oracle"; then umount "$oracle"; fi
  mount -t tmpfs -o nosuid,nodev,mode=755,size=1G tmpfs "$oracle"
}

# same_operations SEED ALIKE-ARGUMENT...
same_operations() {
  mount_oracle
  "$alike" "$1" "$steps" "$oracle" "$mnt" "${@:2}"
  (cd "$oracle" && tree_text) >"$dir/text.oracle"
  (cd "$mnt" && tree_text) >"$dir/text.mnt"
  diff "$dir/text.oracle" "$dir/text.mnt"
}

# Names, types, sizes, links, owners and contents below the working directory.
tree_text() {
  find . -printf '%P %y %m %n %U:%G %l\n' | LC_ALL=C sort
  find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
}

# The attributes are those of tmpfs but for numbers, and the sizes of directories.
copies_trees() {
  local at
  mount_oracle
  for at in "$oracle" "$mnt"; do
    tar -C "$share" -cf - tree | tar -C "$at" -xpf -
    attributes "$at/tree" | sed -E -e 's/ ino=[0-9]+//' -e 's/ ctime=.*//' -e '/type=symbolic/ s/ blocks=[0-9]+//' \
      -e '/type=directory/ s/ size=[0-9]+ blocks=[0-9]+//' >"$dir/attributes.${at##*/}"
    contents "$at/tree" >"$dir/contents.${at##*/}"
  done
  diff "$dir/attributes.oracle" "$dir/attributes.mnt"
  diff "$dir/contents.oracle" "$dir/contents.mnt"
  cp -a "$mnt/tree" "$mnt/again"
  diff -r --no-dereference "$mnt/tree" "$mnt/again" 2>&1 | grep -v -e 'is a fifo' -e 'is a character special' || true
  rm -r "$mnt/again" "$mnt/tree"
}

# The conformance test's opinion of both. [PATTERN]: of all lines but these.
conforms() {
  local status=0
  mount_oracle
  chmod 755 "$oracle"
  "$posix" "$oracle" >"$dir/posix.oracle" || status=$?
  "$posix" "$mnt" >"$dir/posix.mnt" || true
  want 'the status' 0 "$status"
  diff <(grep -vE "${1:-^$}" "$dir/posix.oracle") <(grep -vE "${1:-^$}" "$dir/posix.mnt")
  want 'what it left' '' "$(ls -A "$mnt")"
}

# Random writes of random sizes, read back and compared.
fio_verifies() {
  fio --name=verify --directory="$mnt" --size=32M --rw=randrw --bsrange=1k-128k --ioengine=psync --numjobs=2 \
    --verify=crc32c --verify_fatal=1 --group_reporting --minimal
  rm -f "$mnt"/verify.*
}

probes() {
  local name
  cd "$mnt"
  mkdir errors
  echo x >timed
  for name in append unlinked truncate-open positions fallocate punch-hole fsync direct mmap-write locks socket; do
    "$probe" "$name" "probe-$name"
  done
  "$probe" errors "$mnt/errors"
  "$probe" open-many "$mnt/errors"
  "$probe" parallel "$mnt/errors"
  "$probe" times "$mnt/timed"
  printf a >pair.a
  printf b >pair.b
  "$probe" rename-noreplace pair.a pair.b
  printf a >pair.a
  printf b >pair.b
  "$probe" rename-exchange pair.a pair.b
}

# All but the root is free: the kernel forgets what was removed in its own time.
is_empty() { [[ $(stat -f -c '%b %c' "$mnt") == "$(stat -f -c '%a' "$mnt") $(($(stat -f -c '%d' "$mnt") + 1))" ]]; }

full() {
  refuse 'No space left' dd if=/dev/zero of="$mnt/big" bs=1M count=9
  want 'the size that went in' $((8 << 20)) "$(stat -c %s "$mnt/big")"
  want 'what is free' '0' "$(stat -f -c %a "$mnt")"
  rm "$mnt/big"
  wait_until "$SECONDS_MAX" is_empty || want 'what is free then' "$(stat -f -c '%b %c' "$mnt")" "$(stat -f -c '%a %d' "$mnt")"
  seq -f "$mnt/f%g" 1 49 | xargs touch
  refuse 'No space left' touch "$mnt/f50"
  rm "$mnt"/f*
}

removed_while_listed() {
  mkdir "$mnt/many"
  (cd "$mnt/many" && seq -f 'entry-%g' 5000 | xargs touch)
  want 'the names' 5000 "$(find "$mnt/many" -type f | wc -l)"
  rm -r "$mnt/many"
}

need_fuse
need_programs busybox:busybox
mkdir "$mnt" "$share" "$oracle"
chmod 755 "$dir"
make_tree "$share/tree"

serve --size 1G
for seed in "${seeds[@]}"; do
  check "same-operations-$seed" same_operations "$seed"
  find "$mnt" -mindepth 1 -delete
done
check conforms conforms
check copies-trees copies_trees
check removed-while-listed removed_while_listed
check probes probes
if ((steps > 10000)) && have fio; then check fio-verify fio_verifies; fi
served
check_report ends 0 ''
serve --size 1G --writeback --queues 2
# Linux keeps ctime to itself then, by a clock that may stand still for longer than the test waits.
check conforms-writeback conforms 'ctime_moved|^# '
check same-operations-writeback same_operations "${seeds[0]}" lazy
served
serve --size 8M --nodes 50
check full full
served
((CHECKS_FAILED == 0))
