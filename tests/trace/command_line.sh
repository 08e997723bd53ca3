#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# virtiofs-trace from outside, on a record of golden messages.
#
#   tests/trace/command_line.sh TRACE MAKE_RECORD
#
# Status: 0 passed, 1 failed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"

trace=$1
make_record=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
checks=0

passed() {
  checks=$((checks + 1))
  say "ok $*"
}

# refuses PATTERN ARGUMENT...: one line on stderr with PATTERN in it, nothing on stdout, status 1.
refuses() {
  local pattern=$1 status=0
  shift
  "$trace" "$@" </dev/null >"$dir/out" 2>"$dir/err" || status=$?
  ((status == 1)) || die "$*: status $status, expected 1: $(cat "$dir/err")"
  [[ ! -s $dir/out ]] || die "$*: says something on stdout: $(cat "$dir/out")"
  [[ $(wc -l <"$dir/err") == 1 ]] || die "$*: expected one line on stderr: $(cat "$dir/err")"
  grep -q -- "$pattern" "$dir/err" || die "$*: expected '$pattern': $(cat "$dir/err")"
  passed "refuses $*"
}

# shows LINES PATTERN ARGUMENT...: so many lines of the record, PATTERN in each; status 0.
shows() {
  local lines=$1 pattern=$2
  shift 2
  "$trace" "$@" "$dir/record" >"$dir/out" 2>"$dir/err" || die "$*: status $?: $(cat "$dir/err")"
  [[ $(wc -l <"$dir/out") == "$lines" ]] || die "$*: expected $lines lines: $(cat "$dir/out")"
  [[ $(grep -c -- "$pattern" "$dir/out" || true) == "$lines" ]] || die "$*: expected '$pattern': $(cat "$dir/out")"
  passed "shows $lines: $*"
}

"$make_record" >"$dir/record"
all=$("$trace" "$dir/record" | wc -l)
((all > 45)) || die "expected a line for each message, got $all"

refuses 'a file is required'
refuses "unexpected argument 'b'" a b
refuses 'No such file' "$dir/none"
refuses 'is no record' /dev/null
refuses 'is no record' "$0"
refuses 'cannot be read' "$dir"
refuses "no operation 'NONSENSE'" --op LOOKUP,NONSENSE "$dir/record"
refuses "no operation ''" --op '' "$dir/record"
refuses "no operation" --op LOOKUP, "$dir/record"
refuses '--node must be' --node x "$dir/record"
refuses '--node must be' --node 1g "$dir/record"
refuses '--unique must be' --unique -1 "$dir/record"
refuses '--unique must be' --unique 99999999999999999999 "$dir/record"
refuses '--slower must be' --slower fast "$dir/record"
refuses '--slower must be' --slower -1 "$dir/record"
refuses '--slower must be' --slower 1e300 "$dir/record"
refuses '--from must be' --from nan "$dir/record"
refuses '--to must be' --to 1x "$dir/record"
refuses 'unrecognized option' --nonsense "$dir/record"

shows 2 ' LOOKUP node=' --op lookup
shows 3 ' \(GETATTR\|MKDIR\|READLINK\) ' -o GETATTR,MKDIR,READLINK
shows 2 '= ENOENT\|no FUSE request' --errors
shows 1 '= ENOENT' --errors --op LOOKUP
shows 1 '<2.500' --slower 2000
shows 0 '' --slower 2501
shows 2 '^     2.50' --from 2
shows $((all - 2)) '^     0.00' --to 2
shows 0 '' --from 1 --to 2.4
shows 0 '' --op NOTIFY
shows 2 ' 12:34:5[67]\.\|12:34:56\.' --op LOOKUP --wall
shows 1 'SETLKW .* = ? (unanswered)' --op SETLKW --from 2
shows 1 '= - <' --op FORGET
node=$("$trace" --op WRITE "$dir/record" | sed 's/.* node=\([0-9a-f]*\) .*/\1/')
shows 1 "node=$node .* = 0 size=5" --node "$node" --op WRITE
unique=$("$trace" --op WRITE "$dir/record" | sed 's/.* #\([0-9]*\) .*/\1/')
shows 1 "#$unique WRITE" --unique "$unique" --op WRITE

# From a pipe; a file that ends too early is shown as far as it goes.
[[ $("$trace" - <"$dir/record" | wc -l) == "$all" ]] || die 'standard input'
passed 'reads standard input'
head -c 1000 "$dir/record" >"$dir/cut"
status=0
"$trace" "$dir/cut" >"$dir/out" 2>"$dir/err" || status=$?
((status == 1)) || die "a file that is cut off: status $status"
[[ $(wc -l <"$dir/out") -ge 2 && $(wc -l <"$dir/err") == 1 ]] || die "a file that is cut off: $(cat "$dir/out" "$dir/err")"
grep -q 'within a record, at byte 1000' "$dir/err" || die "$(cat "$dir/err")"
passed 'shows a file that is cut off'

"$trace" --summary "$dir/record" >"$dir/out"
grep -qE '^LOOKUP +2 +1 ' "$dir/out" || die "$(cat "$dir/out")"
grep -q "^$all requests, 0 notifications, 1 unanswered, 1 unparsed\$" "$dir/out" || die "$(cat "$dir/out")"
passed 'sums up'
"$trace" --json "$dir/record" | python3 -c '
import json, sys
said = json.load(sys.stdin)
ops = {each["operation"]: each for each in said["operations"]}
assert said["requests"] == int(sys.argv[1]) and said["unparsed"] == 1 and said["unanswered"] == 1, said
assert sum(each["count"] for each in ops.values()) == said["requests"]
assert ops["STATFS"]["count"] == 2 and ops["STATFS"]["latency_ns"]["max"] == 2500001000, ops["STATFS"]
assert ops["WRITE"]["bytes_in"] == 85 and ops["WRITE"]["bytes_out"] == 24 and ops["WRITE"]["errors"] == 0' "$all" ||
  die 'the JSON is not as it should be'
passed 'sums up in JSON'
"$trace" --json --op READ "$dir/record" | python3 -c '
import json, sys
assert [each["operation"] for each in json.load(sys.stdin)["operations"]] == ["READ"]' || die 'a filtered summary'
passed 'sums up what passes the filters'

status=0
"$trace" "$dir/record" >/dev/full 2>"$dir/err" || status=$?
((status == 1)) || die "a full disk: status $status"
passed 'tells of a full disk'
say "$checks passed, 0 failed"
