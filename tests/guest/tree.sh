# shellcheck shell=bash disable=SC2154 # run.sh sets here and share
# The host's side of the share: what is put there before the first guest, what the guest is told to
# expect, and what must be there afterwards. To be sourced after inside/checks.sh.

MANY=3000
HUNDREDS=400

# put FILE SIZE: that many bytes without a pattern that a block size could divide.
put() { seq 1 1000000 | head -c "$2" >"$1" || true; }

make_tree() {
  local size i deep
  mkdir -p "$1"/odd "$1"/hundreds "$1/with space" "$1/links" "$1/special"
  for size in 1 2 511 512 513 4095 4096 4097 65535 70001 131073 1048577; do
    put "$1/odd/size-$size" "$size"
  done
  : >"$1/empty"
  echo 'spaces' >"$1/with space/a file  with spaces "
  echo 'utf-8' >"$1/with space/Zażółć gęślą jaźń 漢字 🐚"
  printf 'bytes' >"$1/with space/"$'not utf-8: \xff\xfe'
  printf 'newline' >"$1/with space/"$'line\nbreak'
  # shellcheck disable=SC2016 # a name, not an expansion
  printf 'quotes' >"$1/with space/"'$(quo"ted) \back'
  printf 'long' >"$1/with space/$(printf 'n%.0s' {1..255})"
  deep=$1/deep
  for i in {1..40}; do deep+=/level-$i; done
  mkdir -p "$deep"
  echo 'the bottom' >"$deep/bottom"
  ln -s ../odd/size-513 "$1/links/symbolic"
  ln -s /an/absolute/one "$1/links/absolute"
  ln -s "$(printf 'long/%.0s' {1..200})" "$1/links/long"
  ln -s .. "$1/links/directory"
  ln "$1/odd/size-512" "$1/links/hard-1"
  ln "$1/odd/size-512" "$1/links/hard-2"
  for ((i = 0; i < HUNDREDS; i++)); do echo "$i" >"$1/hundreds/entry-$i"; done
  truncate -s 1M "$1/sparse"
  put "$1/odd/tail" 65536
  cat "$1/odd/tail" >>"$1/sparse"
  mkfifo "$1/special/fifo"
  mknod "$1/special/null" c 1 3 2>/dev/null || true
  chmod 0 "$1/odd/size-1"
  chmod 6755 "$1/odd/size-2"
  chmod 1777 "$1/special"
  chown 1000:1000 "$1/odd/size-4096"
  chown 4000000000:3999999999 "$1/odd/size-4097"
  find "$1" -exec touch -h -d '2020-02-29 12:34:56.123456789 UTC' {} +
}

# make_share DIR: all that the guests find there.
make_share() {
  local i
  mkdir -p "$1"/{bin,sbin,dev,proc,sys,tmp,root,etc,work/errors,exchange,perm/{closed,public,setgid},many,killed}
  chmod 755 "$1"
  make_tree "$1/tree"
  head -c 64M /dev/urandom >"$1/big.bin"
  (cd "$1/many" && seq -f 'a-rather-long-name-of-an-entry-%g' "$MANY" | xargs touch)

  echo x >"$1/work/timed"
  echo first >"$1/exchange/file"
  echo there >"$1/exchange/removed"
  echo secret >"$1/perm/secret"
  echo group >"$1/perm/group"
  : >"$1/perm/public/of-root"
  chmod 600 "$1/perm/secret"
  chown 0:1000 "$1/perm/group"
  chmod 640 "$1/perm/group"
  chmod 700 "$1/perm/closed"
  chmod 1777 "$1/perm/public"
  chgrp 50 "$1/perm/setgid"
  chmod 2777 "$1/perm/setgid"

  cp "$(command -v busybox)" "$1/bin/busybox"
  ln -s busybox "$1/bin/sh"
  cp "$here/inside/root.sh" "$1/sbin/init"
  cp "$here/inside/checks.sh" "$1/root/checks.sh"
  printf '#!/bin/sh\necho run from the root\n' >"$1/root/script"
  chmod 755 "$1/sbin/init" "$1/root/script"
  : >"$1/killed/unlinked"
  sync -f "$1"
}

# expect_share DIR OUT: what the guest's own view is compared with.
expect_share() {
  mkdir -p "$2"
  listing "$1/tree" >"$2/listing"
  attributes "$1/tree" >"$2/attributes"
  contents "$1/tree" >"$2/contents"
  sha256sum <"$1/big.bin" >"$2/big.sha256"
  busybox stat -f -c '%S %b %l' "$1" >"$2/statfs"
  echo "$HUNDREDS" >"$2/hundreds.count"
  (cd "$1" && find many -type f | sed 's|^|/mnt/|' | LC_ALL=C sort | sha256sum) >"$2/many.names"
  cp "$1/tree/odd/size-70001" "$2/size-70001"
}

# What the main guest asks for while it runs: a change of each kind that its caches might hide.
host_step_change() {
  echo 'second, and longer' >"$share/exchange/file"
  rm "$share/exchange/removed"
  echo made >"$share/exchange/made"
}

# A lock that the guest is not to get, and then is.
host_step_lock() {
  exec {LOCKED}<>"$share/exchange/locked"
  flock -n "$LOCKED"
}

host_step_unlock() {
  flock -u "$LOCKED"
  exec {LOCKED}>&-
}

saw_written_file() {
  want 'the sha256 of the file that the guest wrote' \
    "$({ echo 'from the guest' && cat "$share/big.bin"; } | sha256sum)" "$(sha256sum <"$share/work/big.out")"
}

saw_attributes() {
  want 'mode, owner, size and time of the file that the guest changed' \
    "2640 1234:4321 2 $(TZ=UTC date -d '2001-02-03 04:05:06' +%s)" "$(stat -c '%a %u:%g %s %Y' "$share/work/changed")"
  want 'the FIFO that the guest made' fifo "$(stat -c %F "$share/work/fifo")"
}

saw_ownership() {
  want "the ordinary user's file" '1000:1000 640 10' "$(stat -c '%u:%g %a %s' "$share/perm/public/file")"
  want 'the file in the setgid directory' 1000:50 "$(stat -c %u:%g "$share/perm/setgid/file")"
}

saw_nothing_left() {
  want 'what is left in the work directory' \
    'allocated appended2 big.out changed cut-open direct errors fifo locked mapped pair.a pair.b positions punched synced timed' \
    "$(cd "$share/work" && echo *)"
}

saw_root_file() {
  want 'the file that the root guest wrote' 'written by the root guest' "$(cat "$share/root/written")"
}

saw_again() { want 'the files that the last guest left' copy "$(ls "$share/again")"; }
