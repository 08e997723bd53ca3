#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# virtiofs-passthrough in a user namespace of its own, and run by an ordinary user: whose files are made on the host.
#
#   tests/backends/userns.sh PASSTHROUGH MOUNT
#
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/inside/checks.sh
. "$here/../guest/inside/checks.sh"
# shellcheck source=tests/support/host_mount.sh
. "$here/../support/host_mount.sh"

passthrough=$1
mount_program=$2
SECONDS_MAX=100
DAEMON=1 # a user that every Debian has
dir=$(mktemp -d)
mnt=$dir/mnt
share=$dir/share
server=
mounter=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  stop_processes "$SECONDS_MAX" "$mounter" "$server"
  unmount "$mnt"
  rm -rf "$dir"
}
at_exit cleanup

# serve WORD... -- OPTION...: the words before -- start the program as somebody else.
serve() {
  local as=()
  while [[ $1 != -- ]]; do
    as+=("$1")
    shift
  done
  shift
  ${as[@]+"${as[@]}"} "$passthrough" --stay --socket-path "$dir/run/sock" --shared-dir "$share" "$@" >"$dir/log" 2>&1 &
  server=$!
  await_listener "$dir/run/sock" "$server" "$SECONDS_MAX" || die "doesn't listen: $(cat "$dir/log")"
  "$mount_program" "$dir/run/sock" "$mnt" >"$dir/mount.log" 2>&1 &
  mounter=$!
  await_mount "$mounter" "$dir/mount.log" "$SECONDS_MAX"
}

served() {
  umount "$mnt"
  wait "$mounter" || die "$(cat "$dir/mount.log")"
  mounter=
  stop_process "$server" "$SECONDS_MAX" || die "the server doesn't end: $(cat "$dir/log")"
  server=
  rm -rf "$dir/run/sock.pid" "$dir/run/sock" "${share:?}"/*
}

owner() { stat -c %u:%g "$1"; }
as_user() { setpriv --reuid "$1" --regid "$2" --clear-groups "${@:3}"; }

in_a_namespace() {
  chown 100000:200000 "$share"
  serve -- --uid-map :0:100000:65536: --gid-map /0/200000/65536/ --killpriv-v2
  chmod 1777 "$mnt"
  touch "$mnt/root"
  as_user 1000 1001 touch "$mnt/user"
  as_user 1000 1001 mkdir "$mnt/dir"
  want 'root of the guest' 100000:200000 "$(owner "$share/root")"
  want 'a user of the guest' 101000:201001 "$(owner "$share/user")"
  want 'as the guest sees it' 1000:1001 "$(owner "$mnt/user")"
  chown 5:6 "$mnt/root"
  want 'given away' 100005:200006 "$(owner "$share/root")"
  refuse 'Permission denied' as_user 1000 1001 sh -c "echo x >$mnt/root"
  # Nobody has these ids there.
  refuse 'Invalid argument' chown 70000 "$mnt/root"
  refuse 'Operation not permitted' as_user 70000 1000 touch "$mnt/none"
  local serving
  serving=$(inside "$server")
  # The host's own root is nobody there.
  echo secret >"$share/secret"
  chmod 600 "$share/secret"
  want 'who owns a file of the host' 65534:65534 "$(owner "$mnt/secret")"
  refuse 'Permission denied' cat "$mnt/secret"
  refuse 'Operation not permitted' chown 0 "$mnt/secret"
  want 'its ids' '0:100000:65536 0:200000:65536' "$(awk '{ printf "%s:%s:%s ", $1, $2, $3 }' "/proc/$serving/uid_map" "/proc/$serving/gid_map" | sed 's/ $//')"
  want 'its user' '100000 100000 100000 100000' "$(sed -n 's/^Uid:[[:space:]]*//p' "/proc/$serving/status" | tr '\t' ' ')"
  served
}

# What he may do, in his own name, whoever asks in the guest.
by_an_ordinary_user() {
  chown "$DAEMON:$DAEMON" "$share" "$dir/run"
  serve setpriv --reuid "$DAEMON" --regid "$DAEMON" --clear-groups -- "$@"
  touch "$mnt/root"
  want 'root of the guest' "$DAEMON:$DAEMON" "$(owner "$share/root")"
  echo secret >"$share/secret"
  chmod 600 "$share/secret"
  refuse 'Permission denied' cat "$mnt/secret"
  echo text >"$mnt/root"
  want 'what he wrote' text "$(cat "$share/root")"
  mv "$mnt/root" "$mnt/moved"
  chmod 640 "$mnt/moved"
  want 'its mode' 640 "$(stat -c %a "$share/moved")"
}

as_himself() {
  by_an_ordinary_user
  want 'his capabilities' 0000000000000000 "$(sed -n 's/^CapEff:[[:space:]]*//p' "/proc/$(inside "$server")/status")"
  refuse 'Invalid argument' chown 0 "$mnt/moved"
  served
}

as_root_of_a_namespace() {
  by_an_ordinary_user --uid-map ":0:$DAEMON:1:"
  want 'as the guest sees it' 0:0 "$(owner "$mnt/moved")"
  chown 0:0 "$mnt/moved"
  refuse 'Operation not permitted' as_user 1000 1000 mkdir "$mnt/dir"
  served
}

squashed() {
  local all=4294967295
  by_an_ordinary_user --translate-uid "squash-guest:0:$DAEMON:$all" --translate-uid "host:$DAEMON:1000:1" \
    --translate-gid "squash-guest:0:$DAEMON:$all" --translate-gid "host:$DAEMON:1000:1"
  want 'as the guest sees it' 1000:1000 "$(owner "$mnt/moved")"
  as_user 1000 1000 sh -c "umask 0; mkdir $mnt/dir && echo text >$mnt/dir/f && chown 1000 $mnt/dir/f"
  want 'a user of the guest' "$DAEMON:$DAEMON" "$(owner "$share/dir/f")"
  served
}

# By /etc/subuid: this script runs itself where that is another.
with_subordinate_ids() {
  chown "$DAEMON:$DAEMON" "$share" "$dir/run"
  echo "$(id -un "$DAEMON"):300000:65536" >"$dir/subids"
  # shellcheck disable=SC2016 # the inner shell expands them
  serve unshare -m bash -c 'mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid &&
    exec setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"' "$dir/subids" "$DAEMON" \
    -- --uid-map ":0:$DAEMON:1:" --uid-map :1:300000:65535: --gid-map ":0:$DAEMON:1:" --gid-map :1:300000:65535:
  chmod 1777 "$mnt"
  touch "$mnt/root"
  as_user 1000 1001 mkdir "$mnt/dir"
  want 'root of the guest' "$DAEMON:$DAEMON" "$(owner "$share/root")"
  want 'a user of the guest' 300999:301000 "$(owner "$share/dir")"
  served
}

refused() {
  local out
  out=$("$passthrough" --stay --socket-path "$dir/run/other" --shared-dir "$share" "$@" 2>&1) && die "$*: accepted"
  [[ ! -e $dir/run/other ]] || die "$*: left its socket"
  printf '%s' "$out"
}

bad_maps() {
  want overlap 'ERROR sandbox: the map of users: ranges overlap' "$(refused --uid-map :0:0:10: --uid-map :9:100:1:)"
  want 'no root' 'ERROR sandbox: the map of groups: neither 0 in the namespace nor the server'"'"'s own id is in it' \
    "$(refused --gid-map :5:5:1:)"
  want 'no number' "virtiofs-passthrough: ids are mapped by :INSIDE:OUTSIDE:COUNT:, numbers below 4294967296, not by ':0:x:1:'" \
    "$(refused --uid-map :0:x:1:)"
}

need_fuse
unshare -U true 2>/dev/null || skip 'no user namespaces'
mkdir "$mnt" "$share" "$dir/run"
chmod 755 "$dir" "$share"
passthrough=$(for_everybody "$passthrough" "$dir/bin")
# Each ends the script where it fails.
step() {
  "$2"
  say "ok $1"
}
step 'a namespace' in_a_namespace
step 'an ordinary user' as_himself
step 'an ordinary user as root of a namespace' as_root_of_a_namespace
step 'an ordinary user, squashed' squashed
if have newuidmap && [[ -e /etc/subuid && -e /etc/subgid ]]; then
  step 'an ordinary user with subordinate ids' with_subordinate_ids
fi
step 'bad maps' bad_maps
