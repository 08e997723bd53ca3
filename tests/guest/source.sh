#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What developers do all day, on a share in a real guest: git and tar over a source tree, this one, and fio and stress-ng
# where the host has them. The host's own programs are copied into the guest's memory with their libraries.
#
#   tests/guest/source.sh
#
# VIRTIOFS_GUEST_EXAMPLES is the folder that holds passthrough/virtiofs-passthrough, default BUILD/debug/examples.
# Status: 0 passed, 1 failed, 77 can't be run here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/server.sh
. "$here/server.sh"

START_SECONDS=60
DEADLINE=1800
passthrough=${VIRTIOFS_GUEST_EXAMPLES:-$BUILD_DIR/debug/examples}/passthrough/virtiofs-passthrough
run_dir=

# shellcheck disable=SC2317 # at_exit calls it
cleanup() {
  server_cleanup
  [[ -z $run_dir ]] || rm -rf "$run_dir"
}
at_exit cleanup

# take PROGRAM: it and the libraries that it needs go to where they are on this host, below the share's tools.
take() {
  local file
  while IFS= read -r file; do
    mkdir -p "$run_dir/share/tools${file%/*}"
    cp -L "$file" "$run_dir/share/tools$file"
  done < <({ echo "$1"; ldd "$1" 2>/dev/null | grep -o '/[^ ]*'; } | sort -u)
}

need_programs git:git tar:tar
run_dir=$(mktemp -d)
mkdir -p "$run_dir/share/tools" "$run_dir/share/src"
for folder in lib include tests examples docs fuzz; do cp -r "$REPO_DIR/$folder" "$run_dir/share/src/"; done
find "$run_dir/share/src" -type f | wc -l >"$run_dir/share/count"
take "$(command -v git)"
core=$(git --exec-path)
for program in git git-upload-pack; do
  [[ ! -e $core/$program ]] || take "$core/$program"
done
take "$(command -v tar)"
if have fio; then take "$(command -v fio)"; fi
if have stress-ng; then take "$(command -v stress-ng)"; fi

server_words "$passthrough --stay --socket-path {socket} --shared-dir {dir} --xattr" "$run_dir/sock" "$run_dir/share" ''
server_start "$run_dir/log" "$run_dir/sock" "$START_SECONDS" || die "doesn't listen: $(cat "$run_dir/log")"
cat >"$run_dir/script" <<'SCRIPT'
set -eu
fail() { echo "not ok $*"; exit 1; }
mkdir -p /mnt /tmp
mount -t virtiofs share /mnt
cp -r /mnt/tools/* /
# The host's, as busybox has some of that name.
TAR=/usr/bin/tar; [ -x $TAR ] || TAR=/bin/tar
GIT=/usr/bin/git
export HOME=/root GIT_AUTHOR_NAME=guest GIT_AUTHOR_EMAIL=guest@example.org GIT_COMMITTER_NAME=guest
export GIT_COMMITTER_EMAIL=guest@example.org GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
mkdir -p /root /usr/share/git-core/templates
cd /mnt
$TAR cf /mnt/src.tar src || fail 'tar c'
mkdir copy
$TAR xf /mnt/src.tar -C copy || fail 'tar x'
$TAR df /mnt/src.tar -C copy || fail 'tar d'
diff -r src copy/src || fail 'the copy differs'
[ "$(find copy -type f | wc -l)" = "$(cat count)" ] || fail 'how many files'
echo 'ok tar'

cd src
$GIT init -q . && $GIT add -A && $GIT commit -q -m one || fail 'git commit'
echo more >>docs/architecture.md
$GIT mv lib/base lib/moved
$GIT commit -q -a -m two || fail 'git commit -a'
$GIT clone -q --no-local . /mnt/clone || fail 'git clone'
cd /mnt/clone
$GIT fsck --no-progress --full --strict || fail 'git fsck'
[ -z "$($GIT status --porcelain)" ] || fail "git status: $($GIT status --porcelain)"
$GIT checkout -q HEAD~1 || fail 'git checkout'
$GIT gc -q || fail 'git gc'
$GIT fsck --no-progress --full || fail 'git fsck after gc'
cd /mnt
mv clone/.git clone.git
diff -r copy/src clone || fail 'the first commit is not what was there'
echo 'ok git'

if [ -x /usr/bin/fio ]; then
  mkdir fio
  /usr/bin/fio --aux-path=/tmp --directory=/mnt/fio --name=verify --ioengine=psync --rw=randrw --bsrange=1k-64k --size=4m \
    --numjobs=2 --verify=crc32c --verify_fatal=1 --minimal >/tmp/fio.out 2>&1 || { cat /tmp/fio.out; fail 'fio'; }
  rm -r fio
  echo 'ok fio'
fi
if [ -x /usr/bin/stress-ng ]; then
  mkdir stress
  cd stress
  for stressor in dentry dir fallocate fcntl flock fstat hdd lease link locka lockf open rename seek symlink utime xattr; do
    /usr/bin/stress-ng --temp-path /mnt/stress --$stressor 2 --$stressor-ops 50 --timeout 20 --verify >/tmp/stress.out 2>&1 ||
      { cat /tmp/stress.out; fail "stress-ng $stressor"; }
  done
  cd /mnt
  rm -r stress
  echo 'ok stress-ng'
fi
cd /
umount /mnt || fail umount
SCRIPT
VIRTIOFS_GUEST_MEMORY=${VIRTIOFS_GUEST_MEMORY:-1024M} "$here/boot.sh" --tag share --deadline "$DEADLINE" "$run_dir/sock" "$run_dir/script"
cmp "$run_dir/share/src/docs/dax.md" "$run_dir/share/clone/docs/dax.md" || die 'the host sees another file'
diff -r "$run_dir/share/copy/src" "$run_dir/share/clone" || die "the host's files are others"
say 'passed'
