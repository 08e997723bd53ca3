#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Each system call that an operation of virtiofs-passthrough makes fails once: the guest is told, nothing stays open, and
# the same request is answered well afterwards. What an operation calls is seen, not written down here.
#
#   tests/backends/faults.sh PASSTHROUGH ONE_REQUEST [all]
#
# Without "all", each call fails with EIO alone.
#
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"

passthrough=$1
one_request=$2
errors=(EIO)
handles=(prefer)
if [[ ${3:-} == all ]]; then
  errors+=(ENOSPC EINTR ENOMEM EMFILE)
  handles+=(never)
fi
SECONDS_MAX=100 # a loaded disk takes its time for syncfs(2)
USER_ID=1000
AT_LEAST=100
dir=$(mktemp -d)
share=$dir/share
server=
serving= # it, or the one in its sandbox
tracer=
client=
count=0
failed=0

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$tracer" "$client" "$server"
  rm -rf "$dir"
}
at_exit cleanup

# These are the library's, or say nothing that anybody could act on.
quiet='read|write|poll|ppoll|futex|close|munmap|mmap|brk|mprotect|madvise|restart_syscall|gettid|getpid|gettimeofday|clock_gettime|sched_yield|rt_sigtimedwait'

fds() {
  local all=("/proc/$serving/fd/"*)
  echo "${#all[@]}"
}
fds_are() { (($(fds) == $1)); }

# soon COMMAND...: true as soon as COMMAND is, like wait_until but looking more often.
soon() {
  local deadline=$((SECONDS + SECONDS_MAX))
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.005
  done
}

# ask REQUEST UID: its errno.
ask() {
  echo "$1 $2" >&"${CLIENT[1]}"
  IFS= read -r -t "$SECONDS_MAX" answer <&"${CLIENT[0]}" || die "$1: no answer; $(tail -n 5 "$dir/log")"
}

# Strace says so when all are to stop; a thread has its tracer a moment before.
traced() {
  local status
  for status in "/proc/$serving/task/"*/status; do
    [[ $(sed -n 's/^TracerPid:[[:space:]]*//p' "$status" 2>/dev/null) == "$tracer" ]] || return 1
  done
  grep -q ' attached' "$dir/strace.log"
}

# trace STRACE-OPTION...: from here on, until untrace.
trace() {
  strace -f -p "$serving" -o "$dir/trace" "$@" 2>"$dir/strace.log" &
  tracer=$!
  soon traced || die "strace doesn't attach: $(cat "$dir/strace.log")"
}

untrace() {
  kill -INT "$tracer"
  wait "$tracer" || true
  tracer=
}

# before UID: makes the thread the server with all its capabilities; or, for "back", a user who has just made something.
before() {
  if [[ $1 == back ]]; then
    ask mkdir "$USER_ID"
  else
    ask chmod 0
    ask write 0
  fi
}

# calls REQUEST UID: "NAME NUMBER" of each call that the request makes, in their order.
calls() {
  before "$2"
  trace
  ask "$1" "${2/back/0}"
  untrace
  [[ $answer == 0 ]] || die "$1 by $2: $answer"
  sed -nE 's/^[0-9]+ +([a-z0-9_]+)\(.*/\1/p' "$dir/trace" | grep -vxE "$quiet" | awk '{ print $1, ++n[$1] }'
}

number_of() {
  case $1 in
    EINTR) echo 4 ;;
    EIO) echo 5 ;;
    EPERM) echo 1 ;;
    ENOMEM) echo 12 ;;
    EMFILE) echo 23 ;; # ENFILE: it's not the guest's program that has too many open
    ENOSPC) echo 28 ;;
  esac
}

# may_be REQUEST CALL ERROR: the answers that are right.
may_be() {
  local number
  number=$(number_of "$3")
  case $1/$2/$3 in
    */open_by_handle_at/ENOMEM) echo 0 ;; # as the host answers for a moment: tried again
    readdir/getdents64/* | readdirplus/getdents64/*) echo "$number 0" ;; # 0: after some names; the rest comes next time
    readdirplus/lseek/*) echo "$number" ;;
    readdirplus/*) echo 0 ;; # the name is listed without its attributes
    create_existing/statx/*) echo "$number 0" ;; # 0: what the walk saw is told
    */set*id/* | */capset/*) echo "0 $number 1" ;; # refused on the way there, tried again on the way back
    *) echo "$number" ;;
  esac
  [[ $3 != EINTR ]] || echo 0 # or it was tried again
}

# fail REQUEST UID CALL NUMBER ERROR
fail() {
  local allowed what="$1 by $2, $3 $4: $5"
  before "$2"
  trace -e trace="$3" -e inject="$3:error=$5:when=$4"
  ask "$1" "${2/back/0}"
  untrace
  count=$((count + 1))
  allowed=$(may_be "$1" "$3" "$5" | tr '\n' ' ')
  alive "$server" || die "$what: the server is gone; $(tail -n 5 "$dir/log")"
  grep -q INJECTED "$dir/trace" || die "$what: was not called"
  if [[ " $allowed" != *" $answer "* ]]; then
    say "not ok $what: errno $answer, expected one of: $allowed"
    failed=1
  fi
  # What the client forgets is closed on another thread.
  soon fds_are "$before_all" || die "$what: $(fds) descriptors are open, $before_all were at the beginning"
  ask "$1" "${2/back/0}"
  [[ $answer == 0 ]] || die "$what: then errno $answer"
}

# A WRITE of which nothing is written must not look like one that is done; a short one goes on.
by_value() {
  trace -e trace=pwritev2 -e inject=pwritev2:retval=0:when=1
  ask write 0
  untrace
  [[ $answer == 5 ]] || die "a WRITE of nothing: errno $answer"
  trace -e trace=copy_file_range -e inject=copy_file_range:retval=0:when=1
  ask copy 0
  untrace
  [[ $answer == 0 ]] || die "a copy of nothing: errno $answer"
}

# Sets before_all: what the client forgets is closed on another thread, which may have to wait for a processor.
settle() {
  local looks=0
  before_all=$(fds)
  while ((looks < 5)); do
    sleep 0.1
    looks=$((looks + 1))
    fds_are "$before_all" || { before_all=$(fds) && looks=0; }
  done
}

# with MODE: all of it, files being known by handle or by descriptor.
with() {
  local request uid call error made requests
  mkdir "$share"
  # A call that strace makes fail is one of number -1, which no filter knows.
  "$passthrough" --stay --seccomp none --shared-dir "$share" --socket-path "$dir/sock" --killpriv-v2 --security-label=auto \
    --xattrmap ':map:security.selinux:user.map.:' --inode-file-handles="$1" \
    --inode-idle=0 >"$dir/log" 2>&1 &
  server=$!
  await_listener "$dir/sock" "$server" "$SECONDS_MAX" || die "doesn't listen: $(cat "$dir/log")"
  coproc CLIENT { exec "$one_request" "$dir/sock" "$share" 2>&1; }
  client=$CLIENT_PID
  IFS= read -r -t "$SECONDS_MAX" answer <&"${CLIENT[0]}"
  [[ $answer == ready ]] || die "the client: $answer"
  serving=$(inside "$server")
  ask list 0
  read -ra requests <<<"$answer"
  # What is asked only once is asked now, and what is kept for the next time is opened.
  for request in "${requests[@]}"; do
    for uid in 0 "$USER_ID"; do
      ask "$request" "$uid"
      [[ $answer == 0 ]] || die "$request by $uid: $answer"
    done
  done
  settle
  for request in "${requests[@]}"; do
    for uid in 0 back "$USER_ID"; do
      # Who asks makes no difference but where something is made, or changed; who was there before only to the server.
      case $uid/$request in
        0/* | back/chmod | back/opendir | back/link) ;;
        "$USER_ID"/create* | "$USER_ID"/tmpfile | "$USER_ID"/mk* | "$USER_ID"/symlink | "$USER_ID"/write_kill) ;;
        *) continue ;;
      esac
      mapfile -t made < <(calls "$request" "$uid")
      for call in "${made[@]}"; do
        for error in "${errors[@]}"; do
          # shellcheck disable=SC2086 # two words
          fail "$request" "$uid" $call "$error"
        done
      done
    done
  done
  by_value
  soon fds_are "$before_all" || die "$(fds) descriptors are open, $before_all were at the beginning"
  eval "exec ${CLIENT[1]}>&-"
  wait "$client" || die 'the client failed'
  client=
  stop_process "$server" "$SECONDS_MAX" || die "the server doesn't end: $(tail -n 5 "$dir/log")"
  server=
  rm -rf "$share"
}

[[ $(id -u) == 0 ]] || skip 'needs root'
have strace || skip 'no strace'
strace -o /dev/null true 2>/dev/null || skip 'strace may not trace'
chmod 755 "$dir"
python3 -c "import os; os.setxattr('$dir', 'user.a', b'a')" 2>/dev/null || skip 'no extended attributes here'
for mode in "${handles[@]}"; do with "$mode"; done
((count >= AT_LEAST)) || die "only $count faults"
say "$count faults"
((failed == 0))
