# shellcheck shell=dash disable=SC2034 # checks.sh reads CHECK_*
# SPDX-License-Identifier: BSD-3-Clause
# What tests/guest/quota.sh runs in its guest.
. /job/checks.sh
CHECK_OPTIONAL=''
LIMIT=1048576 FILES=16
server=''

# start OPTION...: serves /fs at /mnt.
start() {
  /job/loader --library-path /job/lib /job/server --shared-dir /fs --mountpoint /mnt "$@" >/tmp/server.log 2>&1 &
  server=$!
  for _ in $(seq 600); do
    ! grep -q ' /mnt fuse' /proc/mounts || return 0
    sleep 0.1
  done
  cat /tmp/server.log
  exit 1
}

stop() {
  cd /
  kill "$server"
  wait "$server"
}

# place TYPE NAME USER ID: an empty directory of a user's, or of a project's, with the limits of ID.
place() {
  mkdir "/fs/$2"
  [ "$1" = u ] || /job/quota project "/fs/$2" "$4"
  chown "$3:$3" "/fs/$2"
  chmod 755 "/fs/$2"
  /job/quota limit "$1" "$device" "$4" "$LIMIT" "$FILES"
}

# What is comparable. XFS refuses a write(2) as a whole that has no room, and a mount asks for one of 2 MiB in two.
comparable() {
  if [ "$type" = xfs ]; then grep -v 'one large write' "$1"; else cat "$1"; fi >"$1.compared"
  echo "$1.compared"
}

# same NAME TYPE USER ID USER ID: the same by those who are beside the mount and on it.
same() {
  /job/quota run "/fs/$2-here" "$3" "$2" "$device" "$4" >"/tmp/$1.here"
  /job/quota run "/mnt/$2-there" "$5" "$2" "$device" "$6" >"/tmp/$1.there"
  diff "$(comparable "/tmp/$1.here")" "$(comparable "/tmp/$1.there")" >/tmp/diff || {
    echo "expected what $type says (-), got (+)"
    grep '^[-+]' /tmp/diff
    return 1
  }
}

says() { want "'$2' of $1" "$3" "$(sed -n "s/^$2: //p" "/tmp/$1.there" | tr '\n' ' ' | sed 's/ $//')"; }

# limits_hold NAME ERROR: so that the same isn't the same nothing.
limits_hold() {
  says "$1" write "$2"
  says "$1" 'the next byte' "$2"
  says "$1" 'fallocate of too much' "$2"
  says "$1" 'the last file' "$2"
  says "$1" 'in the end' 0
  says "$1" mkdir "$2 $2"
  says "$1" 'given back' '1 1 1 1 1 1'
  want 'what is intact' "$(sed -n 's/^written: //p' "/tmp/$1.there" | head -n 1)" "$(sed -n 's/^intact: //p' "/tmp/$1.there" | head -n 1)"
}

# late NAME TYPE USER ID ERROR
late() {
  /job/quota late "/mnt/$2-there" "$3" "$2" "$device" "$4" >"/tmp/$1.there"
  says "$1" 'the first bytes' 262144
  says "$1" 'fsync of them' 0
  says "$1" 'far more' 1
  says "$1" 'fsync of that' "$5"
  says "$1" intact 262144
  says "$1" 'given back' '1 1 1'
  for what in 'close without fsync' 'msync of a mapping'; do
    case $(sed -n "s/^$what: //p" "/tmp/$1.there") in
      "$5" | EIO) ;;
      *)
        cat "/tmp/$1.there"
        return 1
        ;;
    esac
  done
}

# Linux lets an owner do it; the server doesn't, since its guest's users own what they make.
stays_in_project() {
  want 'what is said' 'leaving the project: EPERM' "$(/job/quota own /mnt/p-there 1004)"
  want "what $type says" 'leaving the project: 0' "$(/job/quota own /fs/p-here 1003)"
  /job/quota project /fs/p-here 11
}

# round TYPE DEVICE OPTIONS ERROR: all of it on one file system; ERROR is what it says at the end of a project's room.
round() {
  type=$1 device=$2
  mount -t "$1" -o "$3" "$device" /fs || return 77
  chmod 755 /fs
  place u u-here 1001 1001
  place u u-there 1002 1002
  place p p-here 1003 11
  place p p-there 1004 12
  for mode in auto never always; do
    CHECK_PHASE=$1-$mode
    start --cache "$mode"
    check users same users u 1001 1001 1002 1002
    check users-limits limits_hold users EDQUOT
    check projects same projects p 1003 11 1004 12
    check projects-limits limits_hold projects "$4"
    stop
  done
  CHECK_PHASE=$1-writeback
  start --writeback
  check users late users u 1002 1002 EDQUOT
  check projects late projects p 1004 12 "$4"
  check project-stays stays_in_project
  stop
  umount /fs
}

mkdir -p /fs /mnt
round ext4 /dev/vda usrquota,prjquota EDQUOT || exit $?
round xfs /dev/vdb uquota,pquota ENOSPC || exit $?
[ "$CHECKS_FAILED" = 0 ]
