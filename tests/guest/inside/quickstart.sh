# The guest of examples/quickstart.sh: a shell in the share for people, or a check without one.
# shellcheck shell=dash
# shellcheck source=/dev/null
. /job/settings

mount -t virtiofs ${OPTIONS:+-o "$OPTIONS"} "$TAG" /mnt || {
  echo "the share '$TAG' can't be mounted"
  exit 1
}
cd /mnt || exit 1

if [ -n "$CHECK_DIR" ]; then
  cd "$CHECK_DIR" || exit 1
  sha256sum <from-host >/tmp/sum
  echo "the guest reads from-host: $(cut -c 1-16 /tmp/sum).."
  echo "written by a Linux $(uname -r) guest" >from-guest
  cat from-host >>from-guest
  cp /tmp/sum from-guest.sum
  sync
  cd / && umount /mnt
  exit $?
fi

[ -z "$ROWS" ] || stty rows "$ROWS" cols "$COLUMNS" </dev/console
cat <<END

This is a shell inside a virtual machine: Linux $(uname -r), busybox.
/mnt here is $SHARE of the host${OPTIONS:+, mounted with $OPTIONS}.
Try:   ls -la     echo hello > from-guest     df -h /mnt
Leave: poweroff   (or Ctrl-D; Ctrl-A X ends QEMU at once)

END
printf 'PS1="guest:\\w# "\nalias ll="ls -la"\npoweroff() { sync; command poweroff -f; }\n' >/tmp/shrc
ENV=/tmp/shrc setsid cttyhack sh -i
cd /
umount /mnt
poweroff -f
