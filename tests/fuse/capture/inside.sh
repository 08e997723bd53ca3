# In the guest: mounts the share, makes the calls, and leaves it in order.
# shellcheck shell=dash
# SPDX-License-Identifier: BSD-3-Clause
mount -t virtiofs share /mnt || exit 1
/job/calls /mnt || exit 1
echo 3 >/proc/sys/vm/drop_caches
umount /mnt || exit 1
echo "release $(uname -r)"
