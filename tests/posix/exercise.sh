#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Random work on files, compared with a model in memory: on virtiofs-passthrough's mounts by /dev/fuse and by
# virtiofs-mount, by several processes, and on several mounts of one share.
#
#   tests/posix/exercise.sh EXERCISE PASSTHROUGH MOUNT [OPERATIONS [SEED]]
#
# OPERATIONS: of each process and mount, default 250. Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"

exercise=$1
passthrough=$2
mount_program=$3
ops=${4:-250}
seed=${5:-1}
SECONDS_MAX=100
dir=$(mktemp -d)
share=$dir/share
pids=() # the mounts before what serves them

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "${pids[@]}"
  unmount "$dir"/mnt*
  rm -rf "$dir"
}
at_exit cleanup

# mounted MOUNTPOINT
mounted() { wait_until "$SECONDS_MAX" mountpoint -q "$1" || die "doesn't mount: $(cat "$dir/log")"; }

by_dev_fuse() { # MOUNTPOINT OPTION...
  mkdir -p "$1"
  "$passthrough" --shared-dir "$share" --mountpoint "$@" </dev/null >>"$dir/log" 2>&1 &
  pids=("$!" ${pids[@]+"${pids[@]}"})
  mounted "$1"
}

by_vhost_user() { # MOUNTPOINT OPTION...
  mkdir -p "$1"
  "$passthrough" --stay --shared-dir "$share" --socket-path "$1.sock" "${@:2}" </dev/null >>"$dir/log" 2>&1 &
  pids+=("$!")
  await_listener "$1.sock" "$!" "$SECONDS_MAX" || die "doesn't listen: $(cat "$dir/log")"
  "$mount_program" "$1.sock" "$1" </dev/null >>"$dir/log" 2>&1 &
  pids=("$!" "${pids[@]}")
  mounted "$1"
}

unmount() {
  local pid
  for pid in "${pids[@]}"; do stop_process "$pid" "$SECONDS_MAX" || die "doesn't end: $(cat "$dir/log")"; done
  pids=()
}

# on HOW OPTION...: all the work of one mount, by HOW.
on() {
  "$1" "$dir/mnt" "${@:2}"
  "$exercise" alone "$dir/mnt" --share "$share" --ops "$ops" --processes 3 --seed "$seed" || die "$*"
  "$exercise" together "$dir/mnt" --share "$share" --ops "$ops" --processes 4 --seed "$seed" || die "$*"
  [[ -z $(ls "$share") ]] || die "$*: left $(ls "$share")"
  unmount
  say "ok $*"
}

[[ $(id -u) == 0 && -c /dev/fuse ]] || skip 'needs root and /dev/fuse'
mkdir "$share"
# The host first: it has to agree with the model.
"$exercise" alone "$share" --share "$share" --ops "$ops" --seed "$seed"
"$exercise" together "$share" --ops "$ops" --processes 4 --seed "$seed"
on by_dev_fuse --cache auto
on by_dev_fuse --cache never
on by_dev_fuse --cache always --killpriv-v2
on by_vhost_user --cache auto --queues 3 --thread-pool-size 4
on by_vhost_user --cache never
# Who believes nothing sees what others have done.
by_dev_fuse "$dir/mnt1" --cache never
by_dev_fuse "$dir/mnt2" --cache never
by_vhost_user "$dir/mnt3" --cache never
"$exercise" turns "$dir/mnt1" "$dir/mnt2" "$dir/mnt3" "$share" --ops "$ops" --seed "$seed" || die 'several mounts'
unmount
say 'ok several mounts'
