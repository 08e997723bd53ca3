#!/usr/bin/env bash
# Runs the guest test for several servers under each QEMU and kernel at hand, and prints a table.
#
#   tests/guest/peers-run.sh [SERVER]...      default: c rust
#
# A SERVER is passthrough, c, rust, or NAME=COMMAND LINE as in VIRTIOFS_GUEST_SERVER (one argument). Where
# NAME is, or begins with, one of the three and a dash, what is declared for that one holds.
# The combinations: this system's QEMU and Debian 12's kernel; the newer QEMU and kernel of
# tests/peers.sh, which is run first; and the newer pair with four request queues.
# Status: 0 if no run failed, 1 otherwise.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"

COMBINATIONS=(system newer newer-4-queues)
results=()
failures=0

# choose COMBINATION: sets the environment of one run.
choose() {
  unset VIRTIOFS_GUEST_QEMU VIRTIOFS_GUEST_KERNEL VIRTIOFS_GUEST_MODULES VIRTIOFS_GUEST_QUEUES
  case $1 in
    newer*)
      export VIRTIOFS_GUEST_QEMU=$VIRTIOFS_PEER_QEMU VIRTIOFS_GUEST_KERNEL=$VIRTIOFS_PEER_KERNEL
      export VIRTIOFS_GUEST_MODULES=$VIRTIOFS_PEER_MODULES
      ;;&
    *-4-queues) export VIRTIOFS_GUEST_QUEUES=4 ;;
  esac
}

# one_run SERVER COMBINATION
one_run() {
  local name=${1%%=*} args=("${1%%=*}") status=0 since=$SECONDS log verdict
  choose "$2"
  unset VIRTIOFS_GUEST_SERVER
  if [[ $1 == *=* ]]; then
    export VIRTIOFS_GUEST_SERVER=${1#*=}
    case ${name%%-*} in
      passthrough | c | rust) args=("${name%%-*}") ;;
      *) args=() ;;
    esac
  fi
  log=$BUILD_DIR/guest/peers-run/$name-$2.log
  progress "$name, $2"
  VIRTIOFS_GUEST_NAME=$name-$2 "$here/run.sh" "${args[@]}" </dev/null >"$log" 2>&1 || status=$?
  case $status in
    0) verdict=$(tail -n 1 "$log") ;;
    77) verdict=$(sed -n 's/^SKIP [^:]*: /skipped: /p' "$log" | head -n 1) ;;
    *)
      verdict="FAILED: $(tail -n 1 "$log")"
      failures=$((failures + 1))
      grep -E -A 3 '^not ok ' "$log" | sed 's/^/      /' || true
      ;;
  esac
  results+=("$(printf '%-20s %-16s %4s s  %s' "$name" "$2" $((SECONDS - since)) "$verdict")")
  grep '^optional [a-z]*\/' "$log" | sed 's/^/      /' || true
}

main() {
  local server combination
  if [[ ${1:-} == --help || ${1:-} == -h ]]; then
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"
    exit 0
  fi
  (($# > 0)) || set -- c rust
  mkdir -p "$BUILD_DIR/guest/peers-run"
  "$here/../peers.sh" all >/dev/null || exit $?
  # shellcheck source=/dev/null
  . "$BUILD_DIR/peers/env.sh"
  for server in "$@"; do
    for combination in "${COMBINATIONS[@]}"; do
      one_run "$server" "$combination"
    done
  done
  printf '\n%-20s %-16s %6s  %s\n' server combination time result
  printf '%s\n' "${results[@]}"
  ((failures == 0))
}

main "$@"
