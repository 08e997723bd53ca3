# shellcheck shell=dash
# Checks with a name, for the guest's shell and the host's alike. To be sourced.
#
# CHECK_PHASE is put before each name; CHECK_OPTIONAL names the checks (without phase) that may fail.
CHECKS_FAILED=0

# check NAME COMMAND...: runs it under set -e; what it prints is the reason if it fails.
check() {
  check_name=$1
  shift
  case $- in *e*) check_mode=-e ;; *) check_mode=+e ;; esac
  set +e
  check_output=$(
    set -e
    "$@" 2>&1
  )
  check_status=$?
  set $check_mode
  check_report "$check_name" "$check_status" "$check_output"
}

# check_report NAME STATUS REASON
check_report() {
  if [ "$2" = 0 ]; then
    echo "ok $CHECK_PHASE/$1"
    return 0
  fi
  case " $CHECK_OPTIONAL " in
    *" $1 "*) check_verdict=optional ;;
    *)
      check_verdict='not ok'
      CHECKS_FAILED=$((CHECKS_FAILED + 1))
      ;;
  esac
  echo "$check_verdict $CHECK_PHASE/$1: ${3:-expected success, got status $2}" | head -n 25
}

# want WHAT EXPECTED GOT: false unless they are the same.
want() {
  [ "$2" = "$3" ] || {
    echo "expected $1 to be '$2', got '$3'"
    return 1
  }
}

# refuse WHAT COMMAND...: the command must fail, and say WHAT.
refuse() {
  refuse_reason=$1
  shift
  if refuse_output=$("$@" 2>&1); then
    echo "expected '$refuse_reason' from '$*', got success"
    return 1
  fi
  case $refuse_output in
    *"$refuse_reason"*) ;;
    *)
      echo "expected '$refuse_reason' from '$*', got '$refuse_output'"
      return 1
      ;;
  esac
}

# listing DIR, attributes DIR, contents DIR: the three views of a tree that host and guest compare.
listing() { (cd "$1" && LC_ALL=C TZ=UTC busybox ls -lanR .); }

attributes() {
  (export TZ=UTC && cd "$1" && busybox find . -print0 | busybox sort -z |
    busybox xargs -0 busybox stat -c '%n ino=%i mode=%a type=%F size=%s blocks=%b links=%h owner=%u:%g rdev=%t:%T mtime=%y ctime=%z')
}

contents() {
  (
    cd "$1"
    busybox find . -type f -print0 | busybox sort -z | busybox xargs -0 busybox sha256sum
    busybox find . -type l | busybox sort | while IFS= read -r link; do
      echo "$(busybox readlink "$link")  $link"
    done
  )
}

# same_text EXPECTED-FILE COMMAND...: the command's output; the first differing lines are the reason.
same_text() {
  same_file=$1
  shift
  "$@" >/tmp/same.$$ || return 1
  if ! diff -u "$same_file" /tmp/same.$$ >/tmp/diff.$$ 2>&1; then
    echo "expected what the host sees (-), got (+) for '$*':"
    grep '^[-+]' /tmp/diff.$$ | grep -v -e '^--- ' -e '^+++ ' | head -n 12
    rm -f /tmp/same.$$ /tmp/diff.$$
    return 1
  fi
  rm -f /tmp/same.$$ /tmp/diff.$$
}
