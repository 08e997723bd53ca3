#!/usr/bin/env bash
# Puts a virtio-fs server through everything a Linux guest does with a share, in three boots:
# a guest that mounts it and runs the checks, a guest whose root file system it is and which is
# killed while it writes, and a guest that comes after that one. One server serves them all.
#
#   tests/guest/run.sh [SERVER]
#
# SERVER is passthrough (default), c or rust: see server.sh. The environment overrides it; a command
# line of one's own keeps what is declared for SERVER, if that is given, and has nothing declared if not:
#   VIRTIOFS_GUEST_SERVER    the server's command line; {socket}, {dir}, {tag} and {queues} are filled in
#   VIRTIOFS_GUEST_RESTART   1: the server exits when its front-end leaves; start it for each guest
#   VIRTIOFS_GUEST_OPTIONAL  checks that may fail because the server lacks the thing
#   VIRTIOFS_GUEST_NAME      what to call this variant in the output and below BUILD/guest/logs
#   VIRTIOFS_GUEST_DEADLINE  seconds for everything, default 300
#   VIRTIOFS_GUEST_TRACE     the virtiofs-trace program: the server is told to --record, and the record must be whole
# vm.sh and prepare.sh say which variables choose QEMU, the kernel and the device's properties.
#
# Ends with a line "N passed, N failed". Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/vm.sh
. "$here/vm.sh"
# shellcheck source=tests/guest/server.sh
. "$here/server.sh"
# shellcheck source=tests/guest/inside/checks.sh
. "$here/inside/checks.sh"
# shellcheck source=tests/guest/tree.sh
. "$here/tree.sh"

TAG='guest-share'
START_SECONDS=20
STOP_SECONDS=30
deadline=${VIRTIOFS_GUEST_DEADLINE:-300}
run_dir=
socket_dir=
export CHECK_PHASE=host CHECK_OPTIONAL

cleanup() {
  vm_cleanup
  server_cleanup
  [[ -z $run_dir ]] || rm -rf "$run_dir"
  [[ -z $socket_dir ]] || rm -rf "$socket_dir"
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; }

time_left() { echo $((deadline > SECONDS ? deadline - SECONDS : 0)); }

# report LINE...: a verdict goes to the reader and to the results that are counted.
report() { tee -a "$logs/results"; }

host_check() { check "$@" | report; }

# passed NAME, failed NAME REASON: for verdicts that aren't a command's.
passed() { CHECK_PHASE=host check_report "$1" 0 '' | report; }
failed() { CHECK_PHASE=host check_report "$1" 1 "$2" | report; }

choose_server() {
  local name=${1:-passthrough} program
  server_profile "$name" || die "no server named '$name': passthrough, c or rust, or set VIRTIOFS_GUEST_SERVER"
  if [[ -n ${VIRTIOFS_GUEST_SERVER:-} ]]; then
    [[ -n ${1:-} ]] || { name=custom; }
    SERVER_COMMAND=$VIRTIOFS_GUEST_SERVER
  fi
  SERVER_RESTART=${VIRTIOFS_GUEST_RESTART:-$SERVER_RESTART}
  CHECK_OPTIONAL=${VIRTIOFS_GUEST_OPTIONAL-$SERVER_OPTIONAL}
  # What the conformance test asks for beyond what every file system has.
  posix_words=
  if [[ " $SERVER_COMMAND " == *' --posix-acl '* ]]; then posix_words='xattr acl'; fi
  variant=${VIRTIOFS_GUEST_NAME:-$name}
  if [[ -n $SERVER_QUEUES ]] && ((${VIRTIOFS_GUEST_QUEUES:-1} > SERVER_QUEUES)); then
    skip "$name can't have ${VIRTIOFS_GUEST_QUEUES} request queues, only $SERVER_QUEUES"
  fi
  program=${SERVER_COMMAND%% *}
  if ! have "$program"; then
    case $name in
      c) skip "no $program (package qemu-system-common)" ;;
      rust) skip "no $program (tests/peers.sh virtiofsd makes it)" ;;
      *) die "no server $program: build it first" ;;
    esac
  fi
}

make_directories() {
  logs=$BUILD_DIR/guest/logs/${variant//[^A-Za-z0-9._+-]/_}
  rm -rf "$logs"
  mkdir -p "$logs"
  run_dir=$(mktemp -d "$BUILD_DIR/guest/run.XXXXXX")
  share=$run_dir/share
  socket=$run_dir/fs.sock
  # A socket's address holds 108 bytes.
  if ((${#socket} > 100)); then
    socket_dir=$(mktemp -d)
    socket=$socket_dir/fs.sock
  fi
  server_words "$SERVER_COMMAND" "$socket" "$share" "$TAG"
  if [[ -n ${VIRTIOFS_GUEST_TRACE:-} ]]; then
    SERVER_WORDS+=(--record "$run_dir/record")
  fi
}

make_jobs() {
  local guest
  printf '%s=%q\n' TAG "$TAG" CHECK_OPTIONAL "$CHECK_OPTIONAL" QUEUES "${VIRTIOFS_GUEST_QUEUES:-1}" POSIX_WORDS "$posix_words" | tee "$share/root/settings" >"$run_dir/settings"
  for guest in main again; do
    mkdir -p "$run_dir/$guest/job"
    cp "$here/inside/$guest.sh" "$run_dir/$guest/job/run"
    cp "$here/inside/checks.sh" "$run_dir/settings" "$run_dir/$guest/job/"
    cp -r "$run_dir/expected" "$run_dir/$guest/job/expected"
    vm_job "$run_dir/$guest.cpio" "$run_dir/$guest"
    cat "$VM_INITRAMFS" "$run_dir/$guest.cpio" >"$run_dir/$guest.initrd"
  done
}

# What the conformance test says on the host's own file system.
expect_posix() {
  mkdir "$run_dir/posix"
  # shellcheck disable=SC2086 # words
  "$VM_PROGRAMS/posix" "$run_dir/posix" $posix_words >"$run_dir/expected/posix" || progress "the host's own file system fails it too"
  rmdir "$run_dir/posix"
}

start_server() {
  local since=$SECONDS
  if ! server_start "$logs/server.log" "$socket" $START_SECONDS; then
    failed server-start "expected it to listen on its socket within $START_SECONDS s, got $(alive "$SERVER_PID" && echo 'no socket' || echo 'its end'):
$(tail -n 20 "$logs/server.log")"
    return 1
  fi
  VM_WATCHED=$SERVER_PID
  progress "the server listens (process $SERVER_PID, after $((SECONDS - since)) s)"
}

# before_guest: in restart mode each guest has a server of its own.
before_guest() {
  if (($(time_left) == 0)); then
    failed deadline "expected all within $deadline s, got no time for another guest"
    return 1
  fi
  if [[ -n $SERVER_PID ]]; then
    wait_until $START_SECONDS listens_at "$socket" && return 0
    failed server-listens "expected it to listen for the next guest within $START_SECONDS s, got nothing"
    return 1
  fi
  [[ $1 == first ]] || say "restart mode: starting the server again for the next guest"
  start_server
}

# after_guest NAME: the server must go on, or, in restart mode, end properly.
after_guest() {
  if ((SERVER_RESTART)); then
    server_wait $STOP_SECONDS
    if [[ $SERVER_STATUS == 0 ]]; then
      passed "server-ended-$1"
    else
      failed "server-ended-$1" "expected exit status 0 when the front-end left, got $SERVER_STATUS"
      server_cleanup
    fi
    return 0
  fi
  if ! alive "$SERVER_PID"; then
    server_wait 1
    failed "server-alive-$1" "expected it to go on, got exit status $SERVER_STATUS:
$(tail -n 20 "$logs/server.log")"
    return 1
  fi
  passed "server-alive-$1"
  # What a guest held open must not stay open after it.
  if wait_until 10 files_closed; then
    passed "files-closed-$1"
  else
    failed "files-closed-$1" "expected $files_before descriptors in the share as before the guest, got $(server_open_files "$share")"
  fi
}

files_closed() { (($(server_open_files "$share") <= files_before)); }

# verdicts: the guest's own, out of its serial log.
verdicts() { vm_lines | grep -E '^(ok|not ok|optional) |^expected |^[-+].' || true; }

# finish_guest NAME: waits for its end and takes its verdicts over.
finish_guest() {
  vm_wait "$(time_left)"
  verdicts | report
  case $VM_STATUS in
    0) passed "guest-$1" ;;
    1) vm_lines | grep -q '^not ok ' || failed "guest-$1" "expected a failed check to explain exit status 1, got none" ;;
    abandoned) failed "guest-$1" "expected the server to serve it to its end, got the server's end" ;;
    timeout) failed "guest-$1" "expected its end within $deadline s of the test's start, got none" ;;
    *) failed "guest-$1" "expected an exit status from its script, got '$VM_STATUS'" ;;
  esac
  [[ $VM_STATUS == 0 || $VM_STATUS == 1 ]] && return 0
  vm_tail
  return 1
}

main_guest() {
  before_guest first || return 1
  files_before=$(server_open_files "$share")
  progress "booting the main guest"
  vm_start "$logs/main.log" "$socket" "$TAG" "$run_dir/main.initrd"
  if finish_guest main; then
    progress "the main guest is off"
    host_check written-file saw_written_file
    host_check attributes saw_attributes
    host_check ownership saw_ownership
    host_check nothing-left saw_nothing_left
  fi
  after_guest main
}

# With all built in, the kernel mounts its root itself; else the initramfs does it and hands over.
root_guest() {
  local initrd=$VM_INITRAMFS
  before_guest next || return 1
  ((VM_MODULES > 0)) || initrd=
  progress "booting a guest with the share as its root"
  vm_start "$logs/root.log" "$socket" "$TAG" "$initrd" "root=$TAG" rootfstype=virtiofs rw init=/sbin/init
  if vm_wait_line "$(time_left)" '@@writing@@'; then
    vm_kill
    progress "killed it while it wrote"
    verdicts | report
    passed guest-root
    host_check root-file saw_root_file
  else
    vm_kill
    verdicts | report
    failed guest-root "expected the line that it has begun to write, got none"
    vm_tail
  fi
  after_guest killed
}

again_guest() {
  before_guest next || return 1
  progress "booting a guest after the killed one"
  vm_start "$logs/again.log" "$socket" "$TAG" "$run_dir/again.initrd"
  if finish_guest again; then
    host_check again saw_again
  fi
  after_guest again
}

end_server() {
  ((!SERVER_RESTART)) || return 0
  server_stop $STOP_SECONDS
  if [[ $SERVER_STATUS == timeout ]]; then
    failed server-stop "expected it to end within $STOP_SECONDS s of SIGTERM, got nothing"
  elif ((SERVER_STATUS >= 128 && SERVER_STATUS != 143)); then
    failed server-stop "expected an orderly end after SIGTERM, got status $SERVER_STATUS (signal $((SERVER_STATUS - 128)))"
  else
    passed server-stop
  fi
}

check_sanitizers() {
  local found
  found=$(grep -anE -m 1 -A 30 'ERROR: [A-Za-z]*Sanitizer|WARNING: [A-Za-z]*Sanitizer|runtime error:|DEADLYSIGNAL|Assertion .* failed|panicked at' "$logs/server.log" || true)
  if [[ -z $found ]]; then
    passed server-stderr
  else
    failed server-stderr "expected no sanitizer's report in $logs/server.log, got
$found"
  fi
}

# What Linux sent in all three guests, operation by operation; each has its answer, and nothing is there that FUSE doesn't know.
RECORDED_OPS=(INIT LOOKUP FORGET GETATTR SETATTR READLINK SYMLINK MKNOD MKDIR UNLINK RMDIR RENAME RENAME2 LINK OPEN READ
  WRITE STATFS RELEASE FSYNC FLUSH OPENDIR READDIR READDIRPLUS RELEASEDIR CREATE DESTROY FALLOCATE LSEEK)

record_is_whole() {
  local summary=$logs/trace-summary op
  "$VIRTIOFS_GUEST_TRACE" --summary "$run_dir/record" >"$summary"
  for op in "${RECORDED_OPS[@]}"; do
    grep -qE "^$op +[1-9]" "$summary" || want "requests of $op" some none
  done
  want 'the last line of the summary' 'requests, 0 notifications, 0 unanswered, 0 unparsed' "$(tail -n 1 "$summary" | sed 's/^[0-9]* //')"
}

check_record() {
  [[ -n ${VIRTIOFS_GUEST_TRACE:-} ]] || return 0
  host_check record record_is_whole
}

main() {
  [[ ${1:-} != --help && ${1:-} != -h ]] || { usage && exit 0; }
  (($# <= 1)) || die "one server at most"
  [[ $(id -u) == 0 ]] || skip "must be root, as servers are"
  need_programs setpriv:util-linux
  choose_server "$@"
  at_exit cleanup
  vm_prepare
  make_directories
  say "== $variant, QEMU $VM_QEMU_VERSION, Linux ${VM_KERNEL_VERSION:-of unknown version}"
  ((!SERVER_RESTART)) || say "restart mode: this server exits with its front-end and is started for each guest"
  [[ -z $CHECK_OPTIONAL ]] || say "optional for this server: $CHECK_OPTIONAL"
  progress "making the share"
  make_share "$share"
  expect_share "$share" "$run_dir/expected"
  expect_posix
  make_jobs
  if main_guest && root_guest && again_guest; then
    end_server
  fi
  check_sanitizers
  check_record
  progress "done"
  count "$(grep -c '^ok ' "$logs/results" || true)" "$(grep -c '^not ok ' "$logs/results" || true)" \
    "$(grep -c '^optional ' "$logs/results" || true)"
}

# count PASSED FAILED OPTIONAL
count() {
  (($3 == 0)) || say "$3 optional checks did not pass (declared for this server)"
  (($2 == 0)) || say "logs: $logs"
  say "$1 passed, $2 failed"
  (($2 == 0 && $1 > 0))
}

main "$@"
