#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What takes too long for every change: other servers, newer QEMU and kernel, the thread sanitizer under a guest, fuzzing.
#
#   tests/long.sh [STEP...]    all steps, or only those named
#
# Steps:
#   peers     the guest test for the packaged servers and for ours, with every QEMU and kernel
#   dax       a guest with a DAX window, of two sizes; windows and models of them
#   libvirt   domains by libvirt 9.0 and 11.3, in Debian trees of their own; skipped where these can't be made
#   tsan      a guest on four queues and a pool, with the thread sanitizer
#   fuzz      each target for VIRTIOFS_FUZZ_SECONDS, default 300
#   rings     ten million buffers against the model, millions of wake-ups, a larger model of the protocol, packed rings
#   hostile   attacks on a server, plain and with sanitizers, forty times as long
#   many      a million files known to a guest, and a directory of a million
#   memfs     half a million random operations on the file system in memory and on tmpfs, fio in verify mode
#   faults    each system call of each operation fails with each of five errors
#   exercise  a million random operations on mounts, compared with a model
#   stress    stress-ng, fio, git and tar on mounts, on disk and on tmpfs, and in a guest
#   quota     the quotas of ext4 and XFS, below a server that runs in a guest
#   bench     instructions against what is written down; two processes beside one
# Runs after tests/run.sh, which installs and builds. Output goes to build/long/STEP.log. Ends with "N passed, N failed".
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/support/common.sh"

STEPS=(
  peers
  dax
  libvirt
  tsan
  fuzz
  rings
  hostile
  many
  memfs
  faults
  exercise
  stress
  quota
  bench
)
logs=$BUILD_DIR/long
passed=0
failed=0
step_pid=

cleanup() {
  if [[ -n $step_pid ]]; then stop_tree "$step_pid" 60; fi
}
at_exit cleanup

server() { echo "$BUILD_DIR/$1/examples/passthrough/virtiofs-passthrough --stay --socket-path {socket} --shared-dir {dir} --queues {queues} --device-nodes"; }

step_peers() {
  "$here/peers.sh" all
  "$here/guest/peers-run.sh" c rust passthrough "passthrough-asan-pool=$(server asan) --thread-pool-size 4"
}

step_dax() {
  "$here/peers.sh" all
  # shellcheck source=/dev/null
  . "$BUILD_DIR/peers/env.sh"
  VIRTIOFS_GUEST_EXAMPLES=$BUILD_DIR/asan/examples "$here/guest/dax.sh"
  VIRTIOFS_GUEST_KERNEL=$VIRTIOFS_PEER_KERNEL VIRTIOFS_GUEST_MODULES=$VIRTIOFS_PEER_MODULES "$here/guest/dax.sh"
  "$BUILD_DIR/asan/tests/client/test_dax" 1000000
  "$BUILD_DIR/clang/tests/dax/test_window" 1000000
  "$here/bench/dax.sh"
}

step_libvirt() {
  local status=0
  VIRTIOFS_GUEST_EXAMPLES=$BUILD_DIR/clang/examples "$here/libvirt.sh" || status=$?
  ((status == 0 || status == 77))
}

# What is suppressed goes by names, for which the sanitizer starts another program.
step_tsan() {
  "$here/peers.sh" all
  # shellcheck source=/dev/null
  . "$BUILD_DIR/peers/env.sh"
  VIRTIOFS_GUEST_NAME=tsan VIRTIOFS_GUEST_SERVER="$(server tsan) --thread-pool-size 4 --sandbox none --seccomp none" VIRTIOFS_GUEST_QUEUES=4 \
    VIRTIOFS_GUEST_QEMU=$VIRTIOFS_PEER_QEMU VIRTIOFS_GUEST_KERNEL=$VIRTIOFS_PEER_KERNEL \
    VIRTIOFS_GUEST_MODULES=$VIRTIOFS_PEER_MODULES TSAN_OPTIONS="suppressions=$here/support/tsan.supp" \
    "$here/guest/run.sh" passthrough
}

step_memfs() {
  local build=$BUILD_DIR/asan
  "$here/backends/memfs_mount.sh" "$build/examples/memfs/virtiofs-memfs" "$build/tests/backends/alike" \
    "$build/tests/backends/probe" "$build/tests/posix/posix" 60000 11 12 13 14 15 16 17 18
}

step_many() {
  local build=$BUILD_DIR/clang
  "$here/backends/many.sh" "$build/tests/backends/many" "$build/examples/passthrough/virtiofs-passthrough" 1000000 1000000
}

step_faults() {
  local build=$BUILD_DIR/clang
  "$here/backends/faults.sh" "$build/examples/passthrough/virtiofs-passthrough" "$build/tests/backends/one_request" all
}

step_exercise() {
  local build=$BUILD_DIR/clang seed
  local programs=("$build/tests/posix/exercise" "$build/examples/passthrough/virtiofs-passthrough" "$build/examples/mount/virtiofs-mount")
  seed=$(date +%s)
  TMPDIR=/dev/shm "$here/posix/exercise.sh" "${programs[@]}" 20000 "$seed"
  "$here/posix/exercise.sh" "${programs[@]}" 1000 "$seed"
}

step_stress() {
  local examples=$BUILD_DIR/clang/examples
  "$here/posix/stress.sh" "$examples/passthrough/virtiofs-passthrough" "$examples/mount/virtiofs-mount"
  TMPDIR=/dev/shm "$here/posix/stress.sh" "$examples/passthrough/virtiofs-passthrough" "$examples/mount/virtiofs-mount"
  VIRTIOFS_GUEST_EXAMPLES=$examples "$here/guest/source.sh"
}

step_quota() { VIRTIOFS_GUEST_EXAMPLES=$BUILD_DIR/clang/examples "$here/guest/quota.sh"; }

step_fuzz() { VIRTIOFS_FUZZ_BUILD=$BUILD_DIR/fuzz/fuzz "$REPO_DIR/fuzz/run.sh" "${VIRTIOFS_FUZZ_SECONDS:-300}"; }

step_rings() {
  "$BUILD_DIR/clang/tests/virtq/test_model" 10000000
  "$BUILD_DIR/clang/tests/virtq/test_threads" 1000000
  "$BUILD_DIR/tsan/tests/virtq/test_threads" 100000
  "$BUILD_DIR/asan/tests/virtq/test_model" 1000000
  "$BUILD_DIR/asan/tests/virtq/test_scribble" 200000
  "$here/virtq/notify.sh" 8
  VIRTIOFS_GUEST_NAME=packed VIRTIOFS_GUEST_DEVICE_ARGS=packed=on "$here/guest/run.sh" passthrough
}

step_hostile() {
  local name
  for name in clang asan; do
    "$here/hostile/run.sh" "$BUILD_DIR/$name/examples/passthrough/virtiofs-passthrough" "$BUILD_DIR/$name/tests/hostile/hostile" \
      "$BUILD_DIR/$name/examples/check/virtiofs-check" 40
  done
}

step_bench() {
  local status=0
  "$here/bench/instructions.sh" virtq || status=$?
  ((status == 0 || status == 77)) || return 1
  status=0
  "$here/bench/processes.sh" || status=$?
  ((status == 0 || status == 77))
}

main() {
  local step status
  (($# > 0)) || set -- "${STEPS[@]}"
  mkdir -p "$logs"
  for step in "$@"; do
    declare -F "step_$step" >/dev/null || die "no such step: $step (there are ${STEPS[*]})"
  done
  for step in "$@"; do
    progress "$step ..."
    status=0
    "step_$step" >"$logs/$step.log" 2>&1 </dev/null &
    step_pid=$!
    wait "$step_pid" || status=$?
    step_pid=
    if ((status == 0)); then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      tail -n 40 "$logs/$step.log"
      progress "$step FAILED; all of it: ${logs#"$REPO_DIR"/}/$step.log"
    fi
  done
  say "$passed passed, $failed failed"
  ((failed == 0))
}

main "$@"
