# The first guest: everything that a mounted share must do.
# Each check is a function that runs under set -e and says what it expected and what came.
# shellcheck shell=dash disable=SC2164
# shellcheck source=/dev/null
. /job/settings
# shellcheck source=tests/guest/inside/checks.sh
. /job/checks.sh
export CHECK_PHASE=main

# probe NAME ARGUMENT...: one of the compiled programs, in the work directory.
probe() { (cd /mnt/work && /job/probe "$@"); }

mount_share() { mount -t virtiofs "$TAG" /mnt; }

is_mounted() {
  want 'the mounted type' virtiofs "$(awk '$2 == "/mnt" { print $3 }' /proc/mounts)"
  want 'the mounted source' "$TAG" "$(awk '$2 == "/mnt" { print $1 }' /proc/mounts)"
}

# Linux takes one interrupt for each request queue that it uses, and more than one since 6.11.
request_queues() {
  expected=$QUEUES
  release=$(uname -r)
  minor=${release#*.}
  [ $((${release%%.*} * 1000 + ${minor%%.*})) -ge 6011 ] || expected=1
  [ "$expected" -le "$(nproc)" ] || expected=$(nproc)
  want 'the request queues in use' "$expected" "$(grep -c 'virtio[0-9]*-requests' /proc/interrupts)"
}

read_big() { want 'its sha256' "$(cat /job/expected/big.sha256)" "$(sha256sum </mnt/big.bin)"; }

# The host compares; one line more makes every block straddle two of the source's.
write_big() {
  { echo 'from the guest' && cat /mnt/big.bin; } >/mnt/work/big.out
  sync /mnt/work/big.out
  want 'the size' "$((64 * 1048576 + 15))" "$(stat -c %s /mnt/work/big.out)"
}

small_files() {
  mkdir /mnt/work/small
  cd /mnt/work/small
  i=0
  while [ $i -lt 2000 ]; do
    echo "content $i" >"file-$i"
    i=$((i + 1))
  done
  want 'their number' 2000 "$(find . -type f | wc -l)"
  seq 0 1999 | sed 's/^/content /' | sort >/tmp/small.expected
  cat file-* | sort >/tmp/small.got
  cmp /tmp/small.expected /tmp/small.got
  cd /
  rm -r /mnt/work/small
  refuse 'No such file' ls /mnt/work/small
}

rename_file() {
  cd /mnt/work
  echo first >rename.a
  mv rename.a rename.b
  want 'the content' first "$(cat rename.b)"
  refuse 'No such file' cat rename.a
  mkdir rename.dir
  mv rename.b rename.dir/c
  want 'the content in the other directory' first "$(cat rename.dir/c)"
  rm -r rename.dir
}

rename_over() {
  cd /mnt/work
  echo old >over.old
  echo new >over.new
  exec 3<over.old
  mv over.new over.old
  want 'the new content' new "$(cat over.old)"
  want 'the old file through its descriptor' old "$(cat <&3)"
  rm over.old
}

rename_directory() {
  cd /mnt/work
  mkdir -p tree.a/below other empty
  echo deep >tree.a/below/file
  mv tree.a other/tree.b
  want 'a file below it' deep "$(cat other/tree.b/below/file)"
  want 'its parent' "$(stat -c %i other)" "$(stat -c %i other/tree.b/..)"
  mv other/tree.b empty/
  want 'what is left' '' "$(ls other)"
  want 'a file below it in the third place' deep "$(cat empty/tree.b/below/file)"
  rm -r other empty
}

hard_links() {
  cd /mnt/work
  echo linked >link.a
  ln link.a link.b
  want 'the number of links' 2 "$(stat -c %h link.a)"
  want 'the inode' "$(stat -c %i link.a)" "$(stat -c %i link.b)"
  echo more >>link.b
  want 'the content by the other name' 'linked more ' "$(tr '\n' ' ' <link.a)"
  rm link.a
  want 'the number of links left' 1 "$(stat -c %h link.b)"
  rm link.b
}

symbolic_links() {
  cd /mnt/work
  echo target >sym.target
  ln -s sym.target sym.link
  ln -s /nowhere/at/all sym.broken
  want 'the target' sym.target "$(readlink sym.link)"
  want 'the content' target "$(cat sym.link)"
  want 'a broken target' /nowhere/at/all "$(readlink sym.broken)"
  refuse 'No such file' cat sym.broken
  rm sym.*
}

truncation() {
  cd /mnt/work
  yes 0123456 | head -c 100000 >shrunk
  truncate -s 12345 shrunk
  want 'the size after shrinking' 12345 "$(stat -c %s shrunk)"
  truncate -s 50000 shrunk
  want 'the size after growing' 50000 "$(stat -c %s shrunk)"
  want 'the zeros' 37655 "$(tail -c +12346 shrunk | tr -d -c '\000' | wc -c)"
  : >shrunk
  want 'the size after >' 0 "$(stat -c %s shrunk)"
  rm shrunk
}

appending() {
  cd /mnt/work
  for i in 1 2 3 4 5; do echo "line $i" >>appended; done
  want 'the lines' 'line 1 line 2 line 3 line 4 line 5 ' "$(tr '\n' ' ' <appended)"
  rm appended
  probe append appended2
}

directories() {
  cd /mnt/work
  mkdir -p dirs/a/b/c
  want 'the links of a directory with one' 3 "$(stat -c %h dirs/a)"
  echo x >dirs/a/b/c/file
  refuse 'not empty' rmdir dirs/a/b/c
  rm dirs/a/b/c/file
  rmdir dirs/a/b/c dirs/a/b dirs/a dirs
  refuse 'No such file' ls dirs
}

disk_free() {
  want 'block size, blocks and the longest name' "$(cat /job/expected/statfs)" "$(stat -f -c '%S %b %l' /mnt)"
  want "df's file system" "$TAG" "$(df /mnt | awk 'NR == 2 { print $1 }')"
}

changes_for_host() {
  cd /mnt/work
  echo x >changed
  chmod 4751 changed
  chown 1234:4321 changed
  chmod 2640 changed
  touch -d '2001-02-03 04:05:06' changed
  want 'the mode seen here' 2640 "$(stat -c %a changed)"
  want 'the owner seen here' 1234:4321 "$(stat -c %u:%g changed)"
  mkfifo fifo
}

# Some servers refuse these on purpose.
device_nodes() {
  cd /mnt/work
  mknod node c 1 3
  want 'type and number' 'character special file 1:3' "$(stat -c '%F %t:%T' node)"
  echo discarded >node
  rm node
}

mmap_read() { /job/probe mmap-read /mnt/tree/odd/size-70001 /job/expected/size-70001; }

rename_pair() {
  cd /mnt/work
  printf a >pair.a
  printf b >pair.b
  /job/probe "$1" pair.a pair.b
}

big_directory() {
  want 'the names, by their checksum' "$(cat /job/expected/many.names)" "$(find /mnt/many -type f | sort | sha256sum)"
}

readdir_seek() { /job/probe readdir-seek /mnt/tree/hundreds "$(cat /job/expected/hundreds.count)"; }

readdir_remove() {
  mkdir /mnt/work/emptied
  cd /mnt/work/emptied
  i=0
  while [ $i -lt 500 ]; do
    : >"file-$i"
    i=$((i + 1))
  done
  cd /
  /job/probe readdir-remove /mnt/work/emptied 500
}

user_refused() {
  refuse 'Permission denied' su user -c 'cat /mnt/perm/secret'
  refuse 'Permission denied' su user -c 'echo x >/mnt/perm/made'
  refuse 'Permission denied' su user -c 'ls /mnt/perm/closed'
  refuse 'not permitted' su user -c 'chmod 777 /mnt/perm/public'
  refuse 'not permitted' su user -c 'rm -f /mnt/perm/public/of-root'
  want 'a group member reads' group "$(su user -c 'cat /mnt/perm/group')"
}

user_owns() {
  su user -c 'umask 027; echo mine >/mnt/perm/public/file; mkdir /mnt/perm/public/dir; ln -s x /mnt/perm/public/link; cd /mnt/perm/public; mkfifo fifo'
  for name in file dir link fifo; do
    want "the owner of $name" 1000:1000 "$(stat -c %u:%g /mnt/perm/public/$name)"
  done
  want 'the mode of the file' 640 "$(stat -c %a /mnt/perm/public/file)"
  want 'the mode of the directory' 750 "$(stat -c %a /mnt/perm/public/dir)"
  su user -c 'echo more >>/mnt/perm/public/file; rm /mnt/perm/public/link'
}

setgid_directory() {
  su user -c 'echo x >/mnt/perm/setgid/file; mkdir /mnt/perm/setgid/dir'
  want "the file's group" 1000:50 "$(stat -c %u:%g /mnt/perm/setgid/file)"
  want "the directory's group" 1000:50 "$(stat -c %u:%g /mnt/perm/setgid/dir)"
  want "the directory's mode" 2755 "$(stat -c %a /mnt/perm/setgid/dir)"
}

# Writing as an ordinary user takes the set-id bits away.
setid_cleared() {
  echo program >/mnt/perm/public/setid
  chmod 6777 /mnt/perm/public/setid
  su user -c 'echo changed >>/mnt/perm/public/setid'
  want 'the mode' 777 "$(stat -c %a /mnt/perm/public/setid)"
}

# ask_host STEP: the host does it and then sends a line.
ask_host() {
  echo "@@host $1@@" >/dev/console
  read -r _ </dev/console
}

# A cache may be a second old, not more than a few.
within_seconds() {
  until_tries=0
  until "$@" >/dev/null 2>&1; do
    until_tries=$((until_tries + 1))
    [ $until_tries -lt 50 ] || {
      echo "expected '$*' within 5 s, got nothing of it"
      return 1
    }
    sleep 0.1
  done
}

host_changed_file() { [ "$(cat /mnt/exchange/file)" = 'second, and longer' ]; }
host_removed_file() { ! cat /mnt/exchange/removed; }
host_made_file() { [ "$(cat /mnt/exchange/made)" = made ]; }

host_changes() {
  want 'the first content' first "$(cat /mnt/exchange/file)"
  want 'the file to be removed' there "$(cat /mnt/exchange/removed)"
  refuse 'No such file' cat /mnt/exchange/made
  ask_host change
  within_seconds host_changed_file
  within_seconds host_removed_file
  within_seconds host_made_file
}

# What the host has locked the guest waits for.
host_locks() {
  ask_host lock
  probe flock-refused /mnt/exchange/locked
  probe flock-wait /mnt/exchange/locked &
  lock_waiter=$!
  ask_host unlock
  wait "$lock_waiter"
}

mount_again() {
  cd /
  umount /mnt
  want 'what is left of the mount' '' "$(ls /mnt)"
  mount_share
  is_mounted
  want 'a file from before' 'from the guest' "$(head -n 1 /mnt/work/big.out)"
}

# What the kernel has to say about the device or itself; its own banner is not a complaint.
kernel_log() {
  want "the kernel's complaints" '' \
    "$(dmesg | grep -E 'WARNING:|BUG:|Oops:|Call Trace:|blocked for more|virtio.*(bad|invalid|wrong|broken|not a head|used len)|(virtiofs|fuse): .*(bad|invalid|err|fail)')"
}

# The conformance test of tests/posix: the same lines as on the host's own file system. Before Linux 6.3 a guest doesn't tell
# the server that its user is in a directory's group, so set-group-id is lost on what he makes there.
posix_conformance() {
  mkdir /mnt/work/posix
  # shellcheck disable=SC2086 # words
  /job/posix /mnt/work/posix $POSIX_WORDS >/tmp/posix.all || true
  rmdir /mnt/work/posix
  case $(uname -r) in
    [1-5].* | 6.[0-2][.-]*) untold='mode_of("team/t")' ;;
    *) untold='no such line' ;;
  esac
  grep -v -F -e "$untold" -e ' failed' /job/expected/posix >/tmp/posix.expected
  same_text /tmp/posix.expected grep -v -F -e "$untold" -e ' failed' /tmp/posix.all
}

# Random work, compared with a model: tests/posix/exercise.
random_work() {
  mkdir /mnt/work/exercise
  /job/exercise alone /mnt/work/exercise --ops 150 --processes 2
  /job/exercise together /mnt/work/exercise --ops 150 --processes 3
  rmdir /mnt/work/exercise
}

check mount mount_share
[ "$CHECKS_FAILED" = 0 ] || exit 1
check mounted is_mounted
check queues request_queues
check listing same_text /job/expected/listing listing /mnt/tree
check attributes same_text /job/expected/attributes attributes /mnt/tree
check contents same_text /job/expected/contents contents /mnt/tree
check read-64m read_big
check write-64m write_big
check small-files small_files
check big-directory big_directory
check readdir-seek readdir_seek
check readdir-remove readdir_remove
check rename-file rename_file
check rename-over rename_over
check rename-directory rename_directory
check rename-noreplace rename_pair rename-noreplace
check rename-exchange rename_pair rename-exchange
check hard-links hard_links
check symbolic-links symbolic_links
check truncate truncation
check truncate-open probe truncate-open cut-open
check append appending
check positions probe positions positions
check directories directories
check errors probe errors /mnt/work/errors
check unlinked probe unlinked unlinked
check statfs disk_free
check attributes-set changes_for_host
check device-nodes device_nodes
check times probe times /mnt/work/timed
check fsync probe fsync synced
check mmap-read mmap_read
check mmap-write probe mmap-write mapped
check fallocate probe fallocate allocated
check punch-hole probe punch-hole punched
check seek-holes probe seek-holes /mnt/tree/sparse
check open-many probe open-many /mnt/work/errors
check direct probe direct direct
check parallel probe parallel /mnt/work/errors
check locks probe locks locked
check socket probe socket socket
check user-refused user_refused
check user-owns user_owns
check setgid-directory setgid_directory
check setid-cleared setid_cleared
check host-changes host_changes
check host-locks host_locks
check exercise random_work
check posix posix_conformance
check mount-again mount_again
check listing-again same_text /job/expected/listing listing /mnt/tree
check unmount umount /mnt
check kernel-log kernel_log
[ "$CHECKS_FAILED" = 0 ]
