#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks the model of notifications by spin: each variant holds, and each without one of its barriers or looks does not.
#
#   tests/virtq/notify.sh [BUFFERS]    default 5. Status: 0 if all is as it should be, 77 without spin, else 1.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
buffers=${1:-5}
command -v spin >/dev/null || {
  echo 'SKIP no spin'
  exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0

# check RESULT DEFINE...: holds or fails.
check() {
  local want=$1 got
  shift
  spin -a -DN="$buffers" "$@" "$here/notify.pml" >spin.log || { cat spin.log; exit 1; }
  cc -O1 -DSAFETY -DCOLLAPSE -o pan pan.c >cc.log 2>&1 || { cat cc.log; exit 1; }
  ./pan -m1000000 >pan.log
  if grep -q 'max search depth too small' pan.log; then
    cat pan.log
    exit 1
  fi
  if grep -q 'errors: 0$' pan.log; then got=holds; else got=fails; fi
  printf '%-5s %s states  %s\n' "$got" "$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)" "$*"
  [[ $got == "$want" ]] || failed=1
}

for variant in EVENT_IDX FLAGS PACKED; do
  check holds -D$variant
  for broken in DRIVER_NO_FENCE DEVICE_NO_FENCE DRIVER_NO_WAIT DEVICE_NO_WAIT DRIVER_NO_LOOK DEVICE_NO_LOOK; do
    check fails -D$variant -D$broken
  done
done
exit "$failed"
