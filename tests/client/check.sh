#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# virtiofs-check from outside: our server passes, hostile checks too; servers that lie don't; what it leaves.
#
#   tests/client/check.sh CHECK PASSTHROUGH LYING_SERVER HELLO MEMFS
#
# Status: 0 passed, 1 failed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"

check=$1
passthrough=$2
liar=$3
hello=$4
memfs=$5
dir=$(mktemp -d)
server=
leaves= # set where the server doesn't let go

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes 60 "$server"
  rm -rf "$dir"
}
at_exit cleanup

# what_fails: the names of the checks that are "not ok".
what_fails() { sed -n 's/^not ok [0-9]* - //p' "$dir/out"; }

# run STATUS ARGUMENT...: its TAP is in $dir/out, whole, and nothing is left in the share.
run() {
  local wanted=$1 status=0 planned
  shift
  timeout 250 "$check" --socket "$dir/sock" --timeout 60000 "$@" >"$dir/out" 2>"$dir/err" || status=$?
  ((status == wanted)) || die "check $*: status $status, not $wanted: $(grep -A 6 '^not ok' "$dir/out" "$dir/err" | head -40)"
  [[ $(head -n 1 "$dir/out") == 'TAP version 13' ]] || die "check $*: no TAP"
  planned=$(sed -n 's/^1\.\.//p' "$dir/out")
  (($(grep -c '^\(not \)\?ok ' "$dir/out") == planned)) || die "check $*: not as many results as planned"
  [[ -n $leaves || -z $(ls -A "$dir/share") ]] || die "check $*: left $(ls "$dir/share")"
  say "ok check $*: $(tail -n 1 "$dir/out")"
}

# finds LIE PATTERN CHECK...: only these fail, of those that match. What never comes is waited for for LIE_MS, if that is set.
finds() {
  local lie=$1 pattern=$2
  shift 2
  run 1 ${LIE_MS:+--timeout "$LIE_MS"} --only "$pattern" -- "$liar" "$dir/sock" "$dir/share" "$lie"
  [[ $(what_fails) == "$(printf '%s\n' "$@")" ]] || die "$lie: expected $*, got: $(what_fails)"
  (($(grep -c '^  \(problem\|sent\|got\|rule\): "..*"$' "$dir/out") == 4 * $#)) || die "$lie: a diagnosis is missing"
}

mkdir "$dir/share"
"$check" --list >"$dir/list"
(($(wc -l <"$dir/list") >= 150)) || die 'fewer than 150 checks'
! cut -f 1 "$dir/list" | sort | uniq -d | grep . || die 'two checks have one name'
! cut -f 2 "$dir/list" | grep -v '^\(FUSE\|POSIX\|CVE-\|virtio\|vhost-user\|Linux\|[a-z_0-9]*(2)\)' || die 'a rule has no source'

"$passthrough" --stay --socket-path "$dir/sock" --shared-dir "$dir/share" --queues 4 --log-level error >"$dir/log" 2>&1 &
server=$!
wait_until 60 listens_at "$dir/sock" || die "doesn't listen: $(cat "$dir/log")"
run 0 --hostile --queues 4
alive "$server" || die "the server has gone: $(tail -n 20 "$dir/log")"
stop_process "$server" 60 || die "the server doesn't stop: $(tail -n 20 "$dir/log")"
wait "$server" || die "the server ends with $?: $(tail -n 20 "$dir/log")"
server=

# In memory, where nearly nothing is skipped.
run 0 --hostile -- "$memfs" --socket-path "$dir/sock" --queues 2
(($(grep -c '# SKIP' "$dir/out") <= 20)) || die 'memfs skips too much'

# A backend that has one file and makes none: what it doesn't have is skipped.
run 0 --hostile -- "$hello" --socket-path "$dir/sock"
(($(grep -c '^ok [0-9]* - [^ ]*$' "$dir/out") >= 100)) || die 'hello passes too few checks'

run 0 --only 'lookup/*' -- "$liar" "$dir/sock" "$dir/share" none
finds size 'getattr/*' getattr/file getattr/handle getattr/unlinked getattr/symlink
finds read 'read/part' read/part
leaves=1
finds unlink 'unlink/removed' unlink/removed
leaves=
rm -rf "$dir/share"
mkdir "$dir/share"
finds mkdir 'mkdir/*made' mkdir/made
finds rename 'rename/noreplace' rename/noreplace
finds fsync 'sync/f*sync' sync/fsync sync/fdatasync
finds unique 'sync/statfs' sync/statfs
finds length 'sync/statfs' sync/statfs
finds error 'lookup/nothing' lookup/nothing
finds init 'init/unknown-flags' init/unknown-flags
finds dies 'sync/statfs*' sync/statfs sync/statfs-of-file
grep -q 'died of signal 6' "$dir/out" || die "no word of the server's death"
LIE_MS=5000 finds hangs 'sync/statfs' sync/statfs
grep -q 'no answer came' "$dir/out" || die 'no word of the timeout'

# Without somebody who starts it again a server that goes ends the checks.
if "$check" --socket "$dir/nothing" --timeout 10 --only 'getattr/*' >"$dir/out" 2>&1; then die 'nobody listens, and it passes'; fi
grep -q '^Bail out!' "$dir/out" || die 'no bail out'
say 'ok bails out'
