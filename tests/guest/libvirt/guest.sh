# The short guest of the libvirt test: mounts the share, uses it as the host tells it to, and stays until it is ended.
# shellcheck shell=dash
# shellcheck source=/dev/null
. /job/settings
# shellcheck source=tests/guest/inside/checks.sh
. /job/checks.sh
export CHECK_PHASE=short

# ask_host STEP: what the host answers.
ask_host() {
  echo "@@host $1@@" >/dev/console
  read -r answer </dev/console
  echo "$answer"
}

mount_share() { mount -t virtiofs "$1" "$2"; }

read_it() { want 'its sha256' "$(cat /job/expected/big.sha256)" "$(sha256sum <"$1/big.bin")"; }

write_it() {
  echo 'from the guest' >"$1/exchange/$2"
  sync "$1/exchange/$2"
  want 'what was written' 'from the guest' "$(cat "$1/exchange/$2")"
}

locks() { (cd /mnt/work && /job/probe locks "locked-$answer"); }

refused() { refuse "$1" sh -c "echo x >/mnt/exchange/refused"; }

mkdir -p /mnt /second
check mount mount_share "$TAG" /mnt
[ "$CHECKS_FAILED" = 0 ] || exit 1
check read read_it /mnt
# What this one is about, until the host has heard enough.
while :; do
  answer=$(ask_host next)
  case $answer in
    write) check write write_it /mnt short ;;
    locks) check locks locks ;;
    readonly) check readonly refused 'Read-only file system' ;;
    idmap) check idmap refused 'Permission denied' ;;
    mount-second) check mount-second mount_share second /second && check read-second read_it /second ;;
    write-second) check write-second write_it /second second ;;
    unmount-second) check unmount-second umount /second ;;
    stay) ask_host stays ;;
    leave) break ;;
  esac
done
check unmount umount /mnt
[ "$CHECKS_FAILED" = 0 ]
