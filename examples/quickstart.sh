#!/usr/bin/env bash
# From a fresh Debian 12 to a shell in a virtual machine whose /mnt is a directory of this host,
# served by libvirtiofs. As root:
#
#   examples/quickstart.sh [DIR]           serve DIR, or a sample directory made below build/
#   examples/quickstart.sh --check [DIR]   the same without a terminal: the guest and the host each write
#                                          a file and check the other's; fails where anything differs
#   --dax                                  with either: the guest has files of 2 MiB and more in its address
#                                          space. Needs the QEMU of "tests/peers.sh qemu", which maps 2 MiB
#                                          at a time: what is longer has to be a multiple of that
#
# Installs what is missing by apt-get, builds, serves, boots. Leave the guest with "poweroff".
# VIRTIOFS_QUICKSTART_SERVER takes the place of the built server: a command line in which {socket},
# {dir} and {tag} are filled in.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../tests/support/common.sh"
# shellcheck source=tests/support/apt.sh
. "$here/../tests/support/apt.sh"
# shellcheck source=tests/guest/vm.sh
. "$here/../tests/guest/vm.sh"
# shellcheck source=tests/guest/server.sh
. "$here/../tests/guest/server.sh"

TAG=share
check=0
dax=0
share=
work=$BUILD_DIR/quickstart
run_dir=
check_dir=
terminal=
step_pid=

cleanup() {
  [[ -z $terminal ]] || stty "$terminal" 2>/dev/null || true
  stop_processes 10 "$step_pid"
  vm_cleanup
  server_cleanup
  [[ -z $run_dir ]] || rm -rf "$run_dir"
  [[ -z $check_dir ]] || rm -rf "$check_dir"
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; }

# step WHAT COMMAND...: a line with the seconds so far; while it takes long, what it is at; its output only if it fails.
step() {
  local what=$1 log=$work/step.log next=$((SECONDS + 5)) status=0
  shift
  progress "$what"
  "$@" >"$log" 2>&1 </dev/null &
  step_pid=$!
  while alive "$step_pid"; do
    sleep 0.1
    if ((SECONDS >= next)); then
      progress "  $(tail -n 1 "$log" | tr -d '\r' | cut -c 1-90)"
      next=$((SECONDS + 5))
    fi
  done
  wait "$step_pid" || status=$?
  step_pid=
  if ((status != 0)); then
    tail -n 40 "$log" >&2
    die "$what: failed with status $status"
  fi
}

# Debian 12's QEMU has no device with a window.
find_qemu() {
  export VIRTIOFS_GUEST_QEMU=${VIRTIOFS_PEER_QEMU:-$BUILD_DIR/peers/bin/qemu-system-x86_64} VIRTIOFS_GUEST_WINDOW=1
  "$VIRTIOFS_GUEST_QEMU" -device vhost-user-test-device-pci,help >/dev/null 2>&1 ||
    die "--dax: no QEMU here that maps files for its guest: 'tests/peers.sh qemu' fetches one, or VIRTIOFS_PEER_QEMU names it"
}

parse() {
  local argument
  for argument in "$@"; do
    case $argument in
      -h | --help)
        usage
        exit 0
        ;;
      --check) check=1 ;;
      --dax) dax=1 ;;
      -*) die "no such option: $argument (see --help)" ;;
      *)
        [[ -z $share ]] || die "one directory at most (see --help)"
        [[ -n $argument ]] || die "the directory's name is empty"
        share=$argument
        ;;
    esac
  done
  if [[ -n $share ]]; then
    [[ -e $share ]] || die "$share: no such directory"
    [[ -d $share ]] || die "$share: not a directory"
    share=$(cd "$share" 2>/dev/null && pwd) || die "$share: can't be entered"
  fi
  ((!dax)) || find_qemu
  [[ $(id -u) == 0 ]] || die "must be run as root, to install packages and to serve files as their owners"
  ((check)) || [[ -t 0 && -t 1 ]] || die "no terminal for the guest's shell: use --check"
}

install_missing() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]} > 0)) || return 0
  have apt-get || die "not installed: ${missing[*]}; and there is no apt-get here"
  step "reading the package indexes" apt_get update
  step "installing ${missing[*]}" apt_get --no-install-recommends install "${missing[@]}"
}

build() {
  cd "$REPO_DIR"
  step "configuring" cmake --preset release
  step "building" cmake --build --preset release
}

# In a subshell of its own, where ending the script only ends the step.
prepare_guest() { "$here/../tests/guest/prepare.sh"; }

make_sample() {
  share=$work/sample
  mkdir -p "$share/directory"
  echo 'hello from the host' >"$share/hello.txt"
  echo 'Whatever you write here, the host sees at once, and the other way round.' >"$share/directory/README"
  ((!dax)) || head -c $((32 << 20)) < <(yes 'straight from the page cache of the host') >"$share/directory/32M"
}

start_server() {
  local ours="$REPO_DIR/build/release/examples/passthrough/virtiofs-passthrough --socket-path {socket} --shared-dir {dir}"
  ((!dax)) || ours+=" --tag {tag} --cache-size 256M --dax inode --record $work/record"
  rm -f "$work/record"
  server_words "${VIRTIOFS_QUICKSTART_SERVER:-$ours}" "$run_dir/fs.sock" "$share" "$TAG"
  : >"$work/server.log"
  progress "serving $share"
  if ! server_start "$work/server.log" "$run_dir/fs.sock" 60; then
    tail -n 20 "$work/server.log" >&2
    die "the server doesn't listen"
  fi
}

# make_guest CHECK-DIR: what the guest runs; the directory's name inside the share, or empty for a shell.
make_guest() {
  local size=()
  [[ ! -t 0 ]] || read -ra size <<<"$(stty size)"
  mkdir -p "$run_dir/guest/job"
  printf '%s=%q\n' TAG "$TAG" CHECK_DIR "$1" SHARE "$share" ROWS "${size[0]:-}" COLUMNS "${size[1]:-}" \
    OPTIONS "$( ((!dax)) || echo dax=inode)" >"$run_dir/guest/job/settings"
  cp "$VM_HERE/inside/quickstart.sh" "$run_dir/guest/job/run"
  vm_job "$run_dir/job.cpio" "$run_dir/guest"
  cat "$VM_INITRAMFS" "$run_dir/job.cpio" >"$run_dir/initrd"
}

shell_in_guest() {
  make_guest ''
  terminal=$(stty -g)
  progress "booting; leave the guest with poweroff or Ctrl-A X"
  vm_interactive "$run_dir/fs.sock" "$TAG" "$run_dir/initrd"
  stty "$terminal"
  progress "the guest is off"
}

# differs WHAT EXPECTED GOT
differs() { die "$1: expected $2, got $3"; }

check_in_guest() {
  local sum got
  check_dir=$(mktemp -d "$share/quickstart-check.XXXXXX") || die "$share: can't write there"
  head -c "$( ((dax)) && echo $((6 << 20)) || echo 1000003)" /dev/urandom >"$check_dir/from-host"
  sum=$(sha256sum <"$check_dir/from-host")
  make_guest "${check_dir##*/}"
  progress "booting a guest"
  VM_WATCHED=$SERVER_PID
  vm_start "$work/serial.log" "$run_dir/fs.sock" "$TAG" "$run_dir/initrd"
  vm_wait 300
  if [[ $VM_STATUS != 0 ]]; then
    vm_tail >&2
    die "the guest ended with status '$VM_STATUS'"
  fi
  vm_lines | grep '^the guest reads' | while IFS= read -r got; do progress "$got"; done
  got=$(cat "$check_dir/from-guest.sum")
  [[ $got == "$sum" ]] || differs "from-host as the guest read it" "$sum" "$got"
  got=$(head -n 1 "$check_dir/from-guest")
  [[ $got == 'written by a Linux '*' guest' ]] || differs "the first line of from-guest" "'written by a Linux .. guest'" "'$got'"
  progress "the host reads from-guest: $got"
  got=$(tail -n +2 "$check_dir/from-guest" | sha256sum)
  [[ $got == "$sum" ]] || differs "the rest of from-guest" "$sum" "$got"
  progress "both sides see the same"
  ((!dax)) || show_requests
}

# How the guest has read, if the server was ours.
show_requests() {
  local counts
  server_cleanup
  [[ -e $work/record ]] || return 0
  counts=$("$REPO_DIR/build/release/examples/trace/virtiofs-trace" --summary "$work/record" |
    awk '$1 == "SETUPMAPPING" || $1 == "READ" { n[$1] = $2 } END { print n["SETUPMAPPING"] + 0, n["READ"] + 0 }')
  progress "for what it has read the guest has sent ${counts% *} SETUPMAPPING and ${counts#* } READ"
  [[ ${counts% *} != 0 ]] || die "nothing was mapped"
  [[ ${counts#* } == 0 ]] || die "from-host was not read through the window"
}

main() {
  parse "$@"
  mkdir -p "$work"
  at_exit cleanup
  if [[ -n ${VIRTIOFS_QUICKSTART_SERVER:-} ]]; then
    install_missing "${GUEST_PACKAGES[@]}"
  else
    install_missing "${BUILD_PACKAGES[@]}" "${GUEST_PACKAGES[@]}"
    build
  fi
  step "preparing a kernel and an initramfs" prepare_guest
  vm_prepare
  [[ -n $share ]] || make_sample
  run_dir=$(mktemp -d)
  start_server
  if ((check)); then
    check_in_guest
    say "quickstart: ok"
  else
    shell_in_guest
  fi
}

main "$@"
