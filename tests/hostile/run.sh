#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Attacks a server with everything that a guest and a front-end can do, and somebody on the host who helps them.
#
#   tests/hostile/run.sh PASSTHROUGH HOSTILE CHECK [ROUNDS]
#
# The server runs as it would for a guest, sandbox and all. Nothing outside of its share may be touched; in the end its
# memory, descriptors and threads are back where they were, and it still serves. Status: 0, 1; 77: not root, or no
# fanotify.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"

passthrough=$1
hostile=$2
check=$3
rounds=${4:-1}

[[ $EUID -eq 0 ]] || skip 'fanotify and mounts are for root'
# What is mounted is nobody else's business, and gone in the end.
if [[ -z ${VIRTIOFS_HOSTILE_UNSHARED:-} ]]; then
  unshare --mount --propagation private true 2>/dev/null || skip 'no mount namespaces'
  VIRTIOFS_HOSTILE_UNSHARED=1 exec unshare --mount --propagation private "$0" "$@"
fi
let_go_of_mounts

# How much more memory the server may have after the attacks than after the first round of them, in KiB. A sanitizer gives
# memory back when it likes.
MEMORY_SLACK=2048
if grep -q __asan_init "$passthrough"; then MEMORY_SLACK=65536; fi
# Freed memory is kept by the address sanitizer, to find who uses it; not for ever.
ASAN=quarantine_size_mb=2:thread_local_quarantine_size_kb=64:malloc_context_size=4:${ASAN_OPTIONS:-}

dir=$(mktemp -d)
share=$dir/top/mid/share
outside=$dir/outside
server=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes 20 "$server"
  umount -l "$share/bound" "$share/mnt" 2>/dev/null || true
  rm -rf "$dir"
}
at_exit cleanup

# ---- the server: its options are here and nowhere else ----

server_options() {
  echo --socket-path "$dir/sock" --shared-dir "$share" --queues 2 --thread-pool-size 2 --log-level error --stay --xattr
  if "$passthrough" --help | grep -q -- '--sandbox'; then echo --sandbox namespace; fi
  if "$passthrough" --help | grep -q -- '--seccomp'; then echo --seccomp kill; fi
}

start_server() {
  local leaks=0
  # In a sandbox there is no /proc for who looks for leaks.
  [[ $* != *--sandbox=none* ]] || leaks=1
  # shellcheck disable=SC2046 # words
  ASAN_OPTIONS=$ASAN:detect_leaks=$leaks "$passthrough" $(server_options) "$@" >"$dir/log" 2>&1 &
  server=$!
  wait_until 60 listens_at "$dir/sock" || die "the server doesn't listen: $(cat "$dir/log")"
}

stop_server() {
  local status=0
  alive "$server" || die "the server has gone: $(tail -n 40 "$dir/log")"
  stop_process "$server" 30 || die "the server doesn't stop: $(tail -n 40 "$dir/log")"
  wait "$server" || status=$?
  server=
  ((status == 0)) || die "the server ends with $status: $(tail -n 40 "$dir/log")"
  ! grep -E 'runtime error|Sanitizer' "$dir/log" || die 'a sanitizer has found something'
}

# The server and what it has started: with a sandbox it may be more than one process.
processes() {
  echo "$server"
  descendants "$server"
}

memory() { for pid in $(processes); do sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$pid/status"; done | sort -n | tail -n 1; }
descriptors() { for pid in $(processes); do ls "/proc/$pid/fd"; done | wc -l; }
threads() { for pid in $(processes); do ls "/proc/$pid/task"; done | wc -l; }

descriptors_are_back() { (($(descriptors) <= fds)); }
threads_are_back() { (($(threads) <= tasks)); }
memory_is_back() { (($(memory) <= kib + MEMORY_SLACK)); }

# ---- trees ----

make_outside() {
  mkdir -p "$outside/sub" "$outside/etc" "$dir/top/mid" "$outside-shown"
  for file in secret inner spare sub/secret etc/passwd; do echo 'nobody reads this' >"$outside/$file"; done
  echo 'nobody reads this' >"$dir/top/mid/secret"
  ln -s "$outside" "$outside-shown/up"
  echo 'may be seen' >"$outside-shown/shown"
}

make_share() {
  find "$share" -mindepth 1 -maxdepth 1 ! -name bound -exec rm -rf {} +
  mkdir -p "$share"/{dir,swap,mnt,bound}
  for file in dir/inner swap/secret swap/inner spare swapfile; do echo 'in the share' >"$share/$file"; done
  ln -s "$outside" "$share/link"
  ln -s "$outside/secret" "$share/filelink"
  ln -s .. "$share/up"
  ln -s /proc/self/root "$share/magic"
  ln -s /proc/self/cwd "$share/cwd"
  ln -s /proc/self/fd "$share/fds"
  mkfifo "$share/fifo"
  python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$share/sock"
  mknod "$share/null" c 1 3 2>/dev/null || true
  mknod "$share/disk" b 7 0 2>/dev/null || true
}

# ---- attacks ----

# attack NAME...: each on a fresh share.
attack() {
  local name status
  for name in "$@"; do
    make_share
    status=0
    VIRTIOFS_HOSTILE_CONTROL=$dir/control timeout $((120 + 60 * rounds)) "$hostile" "$dir/sock" "$share" "$outside" "$rounds" "$name" || status=$?
    ((status != 77)) || skip 'no fanotify'
    ((status == 0)) || die "attack $name: status $status; the server says: $(tail -n 20 "$dir/log")"
    alive "$server" || die "attack $name: the server has gone: $(tail -n 40 "$dir/log")"
  done
}

ATTACKS=(names links special swaps ancestors mounts ids garbage floods rings frontends descriptors)

# All that virtiofs-check has of that kind: rings, requests and messages, each by itself.
check_hostile() {
  make_share
  timeout 300 "$check" --socket "$dir/sock" --hostile --queues 2 >"$dir/check" 2>&1 ||
    die "virtiofs-check: $(grep -A 6 '^not ok' "$dir/check" | head -n 40)"
}

# The canary sings: what the attacks are looked for with is seen.
canary_sings() {
  local status
  for touch in "cat $outside/secret" "ls $outside/sub" "chmod 600 $outside/inner" "ls $dir/top/mid" "cat $share/null" \
    "touch $outside/sub/new"; do
    make_share
    mkfifo "$dir/ready"
    # shellcheck disable=SC2094 # a fifo
    { read -r _ <"$dir/ready" && $touch; } >/dev/null &
    status=0
    timeout 60 "$hostile" "$dir/ready" "$share" "$outside" 1 listen >"$dir/out" 2>"$dir/err" || status=$?
    wait $!
    rm "$dir/ready"
    ((status != 77)) || skip 'no fanotify'
    # Not every file system lets fanotify tell of those.
    if [[ $touch == */null ]] && grep -q 'special files are not watched' "$dir/out"; then continue; fi
    ((status == 1)) || die "nobody sees $touch"
    grep -q 'which is not in the share' "$dir/err" || die "nobody sees $touch: $(cat "$dir/err")"
  done
  say 'ok the canary is watched'
}

mkdir -p "$share"
make_outside
make_share
mount --bind "$outside-shown" "$share/bound" 2>/dev/null || true

# some NAME... -- OPTION...: attacks a server with these options.
some() {
  split "$@"
  start_server "${options[@]}"
  attack "${names[@]}" normal
  stop_server
  say "ok ${options[*]}"
}

# twice NAME... -- OPTION...: the same, and again: the first time shows how much the server keeps.
twice() {
  local fds tasks kib
  split "$@"
  start_server "${options[@]}"
  attack "${names[@]}" normal
  fds=$(descriptors)
  tasks=$(threads)
  kib=$(memory)
  attack "${names[@]}" normal
  wait_until 30 descriptors_are_back || die "$(descriptors) descriptors, not $fds as after the first round"
  wait_until 30 threads_are_back || die "$(threads) threads, not $tasks as after the first round"
  wait_until 30 memory_is_back || die "$(memory) KiB of memory, not $kib as after the first round"
  say "ok ${options[*]}: $fds descriptors, $tasks threads, $kib KiB before and $(memory) after"
  stop_server
}

# Sets names and options.
split() {
  names=()
  options=()
  while [[ $1 != -- ]]; do
    names+=("$1")
    shift
  done
  shift
  options=("$@")
}

canary_sings
twice "${ATTACKS[@]}" --
# Each file that is known keeps a descriptor, and none is opened by handle. Nothing but the server itself is in the way.
some "${ATTACKS[@]}" -- --inode-file-handles=never --sandbox=none
# The same with what else the kernel has to keep a server where it belongs (Landlock), where it can.
some names links special swaps ancestors mounts -- --inode-file-handles=never
# With a window, into which files are mapped, and guests may have what they send, too.
some ids garbage floods rings frontends descriptors -- --cache-size=16M
twice control frontends -- --control="$dir/control"
start_server
check_hostile
stop_server
say 'ok virtiofs-check'
