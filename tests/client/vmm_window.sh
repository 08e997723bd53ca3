#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The example of a VMM with a DAX window, over a vhost-user socket: two after one another, so that the second finds the
# window empty.
#
#   tests/client/vmm_window.sh VMM_WINDOW MEMFS
#
# Status: 0 passed, 1 failed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"

vmm=$1
memfs=$2
SECONDS_MAX=60
dir=$(mktemp -d)
server=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$server"
  rm -rf "$dir"
}
at_exit cleanup

# serve OPTION...
serve() {
  "$memfs" --socket-path "$dir/sock" "$@" >"$dir/log" 2>&1 &
  server=$!
  wait_until "$SECONDS_MAX" listens_at "$dir/sock" || die "doesn't listen: $(cat "$dir/log")"
}

cat >"$dir/expected" <<'EOF'
the window has 16 MiB, and is mapped in pieces of 4096 bytes or more
load:  written by a message
messages for 2097152 loads and stores: 0
READ:  stored by the guest
EOF

serve --cache-size 16M
timeout "$SECONDS_MAX" "$vmm" "$dir/sock" >"$dir/out" || die "status $?; $(cat "$dir/log")"
diff "$dir/expected" "$dir/out" || die 'not as expected'
timeout "$SECONDS_MAX" "$vmm" "$dir/sock" >"$dir/out" || die "the second: status $?; $(cat "$dir/log")"
diff "$dir/expected" "$dir/out" || die 'the second: not as expected'
stop_process "$server" "$SECONDS_MAX" || die "the server doesn't end: $(cat "$dir/log")"
say 'ok maps what the back-end asks for'

serve
if timeout "$SECONDS_MAX" "$vmm" "$dir/sock" >"$dir/out" 2>&1; then die 'a window that nobody has'; fi
grep -q -- '--cache-size' "$dir/out" || die "expected a word on --cache-size: $(cat "$dir/out")"
say 'ok no window, and it says so'
