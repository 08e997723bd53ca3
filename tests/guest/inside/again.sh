# The third guest, after the second was killed while it wrote: all must be as before.
# shellcheck shell=dash
# shellcheck source=/dev/null
. /job/settings
# shellcheck source=tests/guest/inside/checks.sh
. /job/checks.sh
export CHECK_PHASE=again

leftovers() {
  want 'the file the killed guest held' held "$(cat /mnt/killed/open/file)"
  [ "$(stat -c %s /mnt/killed/big)" -ge 4194304 ] || want 'the size of the file it wrote' 'at least 4194304' "$(stat -c %s /mnt/killed/big)"
  head -c 65536 /mnt/killed/big | tr -d '\000' >/tmp/nonzero
  want 'its non-zero bytes' 0 "$(wc -c </tmp/nonzero)"
  rm -r /mnt/killed/open /mnt/killed/big
}

writes() {
  mkdir /mnt/again
  echo one >/mnt/again/a
  mv /mnt/again/a /mnt/again/b
  dd if=/dev/urandom of=/mnt/again/random bs=1M count=4 2>/dev/null
  cp /mnt/again/random /mnt/again/copy
  cmp /mnt/again/random /mnt/again/copy
  want 'the content' one "$(cat /mnt/again/b)"
  rm /mnt/again/random /mnt/again/b
}

check mount mount -t virtiofs "$TAG" /mnt
[ "$CHECKS_FAILED" = 0 ] || exit 1
check listing same_text /job/expected/listing listing /mnt/tree
check contents same_text /job/expected/contents contents /mnt/tree
check leftovers leftovers
check writes writes
check unmount umount /mnt
[ "$CHECKS_FAILED" = 0 ]
