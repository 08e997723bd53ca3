#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A host whose reads and writes are always short and often interrupted: the conformance test's result on
# virtiofs-passthrough's mount must be the host's own all the same, and long files must come and go whole.
#
#   tests/backends/short_io.sh PASSTHROUGH POSIX SHORT_IO
#
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/support/host_mount.sh
. "$here/../support/host_mount.sh"

passthrough=$1
posix=$2
short_io=$3
SECONDS_MAX=100
dir=$(mktemp -d)
mnt=$dir/mnt
share=$dir/share
server=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$server"
  unmount "$mnt"
  rm -rf "$dir"
}
at_exit cleanup

need_fuse
mkdir "$mnt" "$share"
chmod 755 "$dir" "$share"
"$posix" "$share" >"$dir/host" || true
LD_PRELOAD=$short_io "$passthrough" --shared-dir "$share" --device-nodes --killpriv-v2 --mountpoint "$mnt" \
  >"$dir/log" 2>&1 &
server=$!
await_mount "$server" "$dir/log" "$SECONDS_MAX"
"$posix" "$mnt" >"$dir/got" || true
diff "$dir/host" "$dir/got" >"$dir/diff" || die "the host's result (<) and this one (>): $(head -n 20 "$dir/diff")"
say "ok $(tail -n 1 "$dir/got")"
# Bytes that tell where they are.
seq 1000000 >"$dir/numbers"
cp "$dir/numbers" "$mnt/numbers"
cmp "$dir/numbers" "$share/numbers" || die 'written wrong'
echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || true
cmp "$dir/numbers" "$mnt/numbers" || die 'read wrong'
say 'ok a long file'
umount "$mnt"
wait "$server" || die "$(cat "$dir/log")"
server=
grep -q '^short_io: [1-9][0-9]* calls were short' "$dir/log" || die 'nothing was short'
