#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A server's sandbox from outside: what it sees, who dies with whom, what is left.
#
#   tests/daemon/sandbox.sh HELLO PASSTHROUGH CHECK
#
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/inside/checks.sh
. "$here/../guest/inside/checks.sh"

hello=$1
passthrough=$2
check=$3
SECONDS_MAX=60
DAEMON=1 # a user that every Debian has
dir=$(mktemp -d)
share=$dir/share
server=
serving=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$server"
  unmount "$share"
  rm -rf "$dir"
}
at_exit cleanup

# It has answered: it is in its sandbox, and all is set up.
answers() { "$check" --socket "$dir/run/sock" --only 'getattr/root' >"$dir/out" 2>&1; }
answers_or_gone() { answers || gone "$server"; }

# serve PROGRAM OPTION...
serve() {
  "$@" --socket-path "$dir/run/sock" --stay </dev/null >"$dir/log" 2>&1 &
  server=$!
  wait_until "$SECONDS_MAX" answers_or_gone || true
  answers || die "$*: doesn't answer: $(cat "$dir/out" "$dir/log")"
  serving=$(inside "$server")
}

# ends STATUS: by itself, or since it was told to; nothing is left.
ends() {
  local status=0
  wait_until "$SECONDS_MAX" gone "$server" || die "it doesn't end: $(cat "$dir/log")"
  wait "$server" || status=$?
  ((status == $1)) || die "status $status, expected $1: $(cat "$dir/log")"
  wait_until "$SECONDS_MAX" gone "$serving" || die 'the one inside goes on'
  [[ -z $(ls -A "$dir/run") ]] || die "left $(ls -A "$dir/run")"
  server=
}

stop() {
  kill -TERM "$server"
  ends 0
}

ns() { readlink "/proc/$serving/ns/$1"; }
own() { readlink "/proc/self/ns/$1"; }

# expect_namespaces OWN...: these are its own, and no others.
expect_namespaces() {
  local kind
  for kind in mnt pid net ipc user; do
    if [[ " $* " == *" $kind "* ]]; then
      [[ $(ns "$kind") != "$(own "$kind")" ]] || die "the $kind namespace is the host's"
    else
      [[ $(ns "$kind") == "$(own "$kind")" ]] || die "the $kind namespace is another"
    fi
  done
}

# What it sees at / is the share, and there is nothing beside; its working directory is its descriptors.
expect_share() {
  echo text >"$share/seen"
  want 'what is at its root' seen "$(ls "/proc/$serving/root/")"
  want 'its mounts' "$mounts" "$(wc -l <"/proc/$serving/mountinfo")"
  [[ $(ls "/proc/$serving/cwd/") == *0* ]] || die 'its working directory is something else'
  rm "$share/seen"
}

by_namespaces() {
  mount --bind "$share" "$share"
  mount --make-shared "$share"
  serve "$passthrough" --shared-dir "$share"
  expect_namespaces mnt pid net ipc
  expect_share
  want 'how it is mounted' 'rw,nosuid,nodev,noexec' "$(cut -d ' ' -f 6 "/proc/$serving/mountinfo" | cut -d , -f 1-4)"
  # What the host mounts there later is seen too, if its mounts are shared.
  mkdir "$share/later"
  mount -t tmpfs tmpfs "$share/later"
  want 'mounts then' 2 "$(wc -l <"/proc/$serving/mountinfo")"
  umount "$share/later"
  rmdir "$share/later"
  "$check" --socket "$dir/run/sock" --timeout $((SECONDS_MAX * 1000)) >"$dir/out" 2>&1 || die "checks fail: $(grep -A 6 '^not ok' "$dir/out" | head -n 40)"
  stop
  umount "$share"
}

# The share is what the whole host has, mounts and all.
of_everything() {
  local file
  file=$(mktemp "$dir/XXXXXX")
  serve "$passthrough" --shared-dir /
  [[ -e /proc/$serving/root/$file ]] || die 'the root is not there'
  stop
  rm "$file"
}

by_chroot() {
  serve "$passthrough" --shared-dir "$share" --sandbox chroot
  expect_namespaces
  echo text >"$share/seen"
  want 'its root' seen "$(ls "/proc/$serving/root/")"
  rm "$share/seen"
  "$check" --socket "$dir/run/sock" --timeout $((SECONDS_MAX * 1000)) >"$dir/out" 2>&1 || die "checks fail: $(grep -A 6 '^not ok' "$dir/out" | head -n 40)"
  stop
  # With ids too.
  chown 100000:100000 "$share"
  serve "$passthrough" --shared-dir "$share" --sandbox chroot --uid-map :0:100000:1000: --gid-map :0:100000:1000:
  expect_namespaces user
  stop
  chown 0:0 "$share"
}

# A server that is started in a chroot: its root directory is no mount, which namespaces could leave behind. The host shares
# its mounts, as most do.
in_a_chroot() {
  local jail=$dir/jail
  mkdir "$jail"
  # shellcheck disable=SC2016 # the other shell's
  serve unshare -m bash -ec 'jail=$1
    mount --make-rshared /
    for each in /bin /lib /lib64 /usr /etc /proc /dev "$2" "$3"; do
      [[ -e $each ]] || continue
      mkdir -p "$jail$each"
      mount --rbind "$each" "$jail$each"
    done
    shift 3
    grep -c " $jail/" /proc/self/mountinfo >"$jail.mounts"
    exec chroot "$jail" "$@"' bash "$jail" "$BUILD_DIR" "$dir/run" "$passthrough" --shared-dir /etc
  expect_namespaces mnt pid net ipc
  grep -q 'WARN sandbox: this is a chroot' "$dir/log" || die "no word of it: $(cat "$dir/log")"
  want 'its root' "$(ls /etc)" "$(ls "/proc/$serving/root/")"
  # What could be reached there is held by nobody.
  want 'mounts of its namespace that lie in the chroot' 0 "$(nsenter -t "$serving" -m grep -c " $jail/" /proc/self/mountinfo || true)"
  want "the host's mounts there" "$(cat "$jail.mounts")" "$(nsenter -t "$server" -m grep -c " $jail/" /proc/self/mountinfo || true)"
  stop
  rmdir "$jail"/* 2>/dev/null || true
}

# What a launcher has left open, as libvirt its pid file, the one outside keeps and the one inside hasn't.
inherited() {
  local mode
  for mode in namespace chroot; do
    : >"$dir/launchers"
    exec 7>"$dir/launchers" 8</dev/null
    serve "$passthrough" --shared-dir "$share" --sandbox "$mode"
    exec 7>&- 8<&-
    want 'what is outside' "$dir/launchers" "$(readlink "/proc/$server/fd/7")"
    # Nor its lock and its log: all of a file system can be opened by handle, and any descriptor on it.
    want 'what is inside' '' "$(find "/proc/$serving/fd" -lname "$dir/launchers" -o -lname "$dir/run/*" -o -lname "$dir/log" -o -lname '/dev/*')"
    want 'what is outside of these' 2 "$(find "/proc/$server/fd" -lname "$dir/run/*" -o -name 2 -lname "$dir/log" | wc -l)"
    stop
    grep -q 'INFO daemon: ended by SIGTERM' "$dir/log" || die "its last words are lost: $(cat "$dir/log")"
  done
  rm "$dir/launchers"
}

without() {
  serve "$passthrough" --shared-dir "$share" --sandbox none
  expect_namespaces
  want 'the one process' "$server" "$serving"
  stop
}

of_nothing() {
  serve "$hello"
  expect_namespaces mnt pid net ipc
  want 'its root' '' "$(ls -A "/proc/$serving/root/")"
  want 'how it is mounted' 'ro,nosuid,nodev,noexec' "$(cut -d ' ' -f 6 "/proc/$serving/mountinfo" | cut -d , -f 1-4)"
  stop
  serve "$hello" --sandbox chroot
  ! touch "/proc/$serving/root/new" 2>/dev/null || die 'something can be made there'
  stop
}

by_an_ordinary_user() {
  chown "$DAEMON:$DAEMON" "$share" "$dir/run"
  serve setpriv --reuid "$DAEMON" --regid "$DAEMON" --clear-groups -- "$(for_everybody "$passthrough" "$dir/bin")" --shared-dir "$share"
  expect_namespaces mnt pid net ipc user
  expect_share
  stop
  chown 0:0 "$share" "$dir/run"
}

caps() { sed -n "s/^Cap$1:[[:space:]]*//p" "/proc/$serving/status"; }

# expect_caps OPTION... -- NUMBER...: those of capability.h.
expect_caps() {
  local options=() mask=0 number
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  shift
  for number in "$@"; do mask=$((mask | 1 << number)); done
  serve "$passthrough" --shared-dir "$share" ${options[@]+"${options[@]}"}
  want "what ${options[*]} keeps" "$(printf %016x "$mask")" "$(caps Prm)"
  want 'in effect' "$(caps Prm)" "$(caps Eff)"
  want 'what is left to get' "$(caps Prm)" "$(caps Bnd)"
  want 'what is passed on' 0000000000000000 "$(caps Inh)"
  want 'no new privileges' 1 "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' "/proc/$serving/status")"
  stop
}

# 0 chown 1 dac_override 2 dac_read_search 3 fowner 4 fsetid 6 setgid 7 setuid 18 sys_chroot 21 sys_admin 27 mknod
# 31 setfcap
capabilities() {
  expect_caps -- 0 1 2 3 4 6 7
  expect_caps --inode-file-handles=never -- 0 1 3 4 6 7
  expect_caps --xattr --device-nodes -- 0 1 2 3 4 6 7 27 31
  expect_caps --xattrmap ':map::user.guest.:' -- 0 1 2 3 4 6 7 31
  expect_caps --xattrmap ':map::trusted.guest.:' -- 0 1 2 3 4 6 7 21 31
  expect_caps --modcaps=+sys_chroot:-CAP_FOWNER --sandbox none -- 0 1 2 4 6 7 18
  expect_caps --modcaps=+mknod:-mknod --sandbox chroot -- 0 1 2 3 4 6 7
  serve "$hello"
  want 'what hello keeps' 0000000000000000 "$(caps Prm)"
  stop
  refuses "must be like +sys_admin:-chown, not '+nonsense'" "$hello" --modcaps +nonsense
  refuses "must be like +sys_admin:-chown, not 'chown'" "$hello" --modcaps chown
  refuses 'has no capability sys_time' setpriv --bounding-set -sys_time -- "$hello" --modcaps +sys_time
}

limits() {
  local most
  most=$(cat /proc/sys/fs/nr_open)
  most=$((most < 1000000 ? most : 1000000))
  # Who may not have more, even as root, has what there is.
  (ulimit -Hn "$most") 2>/dev/null || most=$(ulimit -Hn)
  serve "$hello"
  want 'by default' "$most" "$(awk '/^Max open files/ { print $4 }' "/proc/$serving/limits")"
  stop
  serve "$hello" --rlimit-nofile 5000
  want 'as many as asked for' '5000 5000' "$(awk '/^Max open files/ { print $4, $5 }' "/proc/$serving/limits")"
  stop
  serve prlimit --nofile=300:400 "$hello" --rlimit-nofile=0
  want 'as it was' '300 400' "$(awk '/^Max open files/ { print $4, $5 }' "/proc/$serving/limits")"
  stop
  # Too few for it to begin: one line, wherever it comes to that. Sanitizers have a word of their own on it.
  for most in 4 6 8; do ASAN_OPTIONS=detect_leaks=0 refuses 'Too many open files' "$hello" --rlimit-nofile=$most; done
  refuses 'must be a number' "$hello" --rlimit-nofile=-1
  refuses 'cannot have 2000000000 descriptors' "$hello" --rlimit-nofile=2000000000
}

signals() {
  local signal
  for signal in TERM INT HUP; do
    serve "$hello"
    kill -"$signal" "$server"
    ends 0
  done
  # Who is inside dies: the other one tells, cleans up, and dies alike.
  serve "$hello"
  kill -ABRT "$serving"
  ends 134
  grep -q 'ERROR sandbox: the server has died of signal 6' "$dir/log" || die "no word of it: $(cat "$dir/log")"
  # Who is outside dies: nobody is left.
  serve "$hello"
  local between
  between=$(descendants "$server")
  between=${between%%$'\n'*}
  kill -KILL "$server"
  wait "$server" 2>/dev/null || true
  wait_until "$SECONDS_MAX" gone "$serving" || die 'the one inside lives on'
  wait_until "$SECONDS_MAX" gone "$between" || die 'the one between lives on'
  rm -f "$dir/run/"*
  serve "$hello" --sandbox chroot
  kill -KILL "$server"
  wait "$server" 2>/dev/null || true
  wait_until "$SECONDS_MAX" gone "$serving" || die 'the one in its chroot lives on'
  server=
  # The next one doesn't take their place before they are gone.
  serve "$hello"
  stop
}

# refuses PATTERN PROGRAM OPTION...: one line; nothing is left.
refuses() {
  local pattern=$1 status=0
  shift
  "$@" --socket-path "$dir/run/sock" </dev/null >"$dir/out" 2>&1 || status=$?
  ((status == 1)) || die "$*: status $status"
  want "the lines of $*" 1 "$(wc -l <"$dir/out")"
  grep -q -- "$pattern" "$dir/out" || die "$*: expected '$pattern': $(cat "$dir/out")"
  [[ -z $(ls -A "$dir/run") ]] || die "left $(ls -A "$dir/run")"
}

# Never with less than was asked for.
refusals() {
  refuses 'use --sandbox=none' setpriv --bounding-set -sys_chroot -- "$hello" --sandbox chroot
  refuses 'use --sandbox=chroot, as root, or --sandbox=none' unshare -Ur sh -c \
    'echo 0 >/proc/sys/user/max_pid_namespaces && exec "$@"' sh "$hello"
  refuses "can't open '$dir/none': No such file" "$passthrough" --shared-dir "$dir/none"
  refuses "can't open '$dir/log': Not a directory" "$passthrough" --shared-dir "$dir/log"
  refuses "must be namespace, chroot or none, not 'jail'" "$hello" --sandbox jail
  local status=0
  "$hello" --mountpoint "$dir" --sandbox namespace >"$dir/out" 2>&1 || status=$?
  ((status == 1)) || die 'a mount in a namespace is accepted'
}

[[ $(id -u) == 0 ]] || skip 'needs root'
unshare -mpn true 2>/dev/null || skip 'no namespaces'
unshare -U true 2>/dev/null || skip 'no user namespaces'
mkdir "$share" "$dir/run"
# One is all that is left; where this itself is a chroot the new root is none that the kernel would show.
mounts=1
mountpoint -q / || mounts=0
chmod 755 "$dir" "$share"
step() {
  "$2"
  say "ok $1"
}
step 'a directory by namespaces' by_namespaces
step 'all of the host' of_everything
step 'a directory by chroot' by_chroot
step 'in a chroot' in_a_chroot
step 'what was inherited' inherited
step 'no sandbox' without
step 'no directory' of_nothing
step 'an ordinary user' by_an_ordinary_user
step 'capabilities' capabilities
step 'limits' limits
step 'signals' signals
step 'what is refused' refusals
