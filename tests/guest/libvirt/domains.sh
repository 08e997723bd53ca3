#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The domains of tests/libvirt.sh, in the room that it makes: starts libvirt's daemons, and puts virtiofs-passthrough through what
# libvirt does with virtiofsd. Prints a verdict a line, and "the end".
#
#   tests/guest/libvirt/domains.sh RUN_DIR LOGS PROGRAM DOMAIN...
set -euo pipefail

run=$1
logs=$2
program=$3
shift 3
share=$run/share
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/common.sh
. "$here/../support/common.sh"
# shellcheck source=tests/guest/vm.sh
. "$here/vm.sh"
# shellcheck source=tests/guest/inside/checks.sh
. "$here/inside/checks.sh"
# shellcheck source=tests/guest/tree.sh
. "$here/tree.sh"
# shellcheck source=tests/guest/libvirt/xml.sh
. "$here/libvirt/xml.sh"

DAEMON_SECONDS=60
GUEST_SECONDS=200
END_SECONDS=15
export CHECK_PHASE=libvirt CHECK_OPTIONAL=

# ---- the daemons ----

# With what Debian has as its defaults but for what there isn't: AppArmor, cgroups, a bus, somebody to ask for passwords.
start_libvirt() {
  mkdir -p /etc/libvirt/qemu /etc/qemu/vhost-user /run/libvirt /var/log/libvirt/qemu
  printf '%s\n' 'unix_sock_dir = "/run/libvirt"' 'auth_unix_ro = "none"' 'auth_unix_rw = "none"' >/etc/libvirt/libvirtd.conf
  printf '%s\n' 'security_driver = "none"' 'cgroup_controllers = []' >/etc/libvirt/qemu.conf
  # What libvirt takes where a domain doesn't say which: the first by name, before a virtiofsd that may be there.
  sed "s|\"binary\": .*|\"binary\": \"$program\"|" "$here/../../examples/passthrough/50-virtiofs-passthrough.json.in" \
    >/etc/qemu/vhost-user/10-virtiofs-passthrough.json
  virtlogd >"$logs/virtlogd.log" 2>&1 &
  libvirtd >"$logs/libvirtd.log" 2>&1 &
  wait_until "$DAEMON_SECONDS" virsh -q version >/dev/null 2>&1 || die "libvirtd doesn't answer: $(tail -n 3 "$logs/libvirtd.log")"
  LIBVIRT=$(virsh version --daemon | sed -n 's/^Using library: libvirt //p')
  say "libvirt $LIBVIRT, $(qemu-system-x86_64 --version | sed -n '1s/ (.*//p'), $("$program" --version | head -n 1)"
  cp "$run/kernel" /vm/kernel
  cp "$run"/*.initrd /vm/
}

# at_least MAJOR
at_least() { ((${LIBVIRT%%.*} >= $1)); }

# ---- domains ----

# The servers: the process that libvirt has started, and those that it has started.
servers() {
  local exe
  for exe in /proc/[0-9]*/exe; do
    [[ $(readlink "$exe") != "$program" ]] || basename "${exe%/exe}"
  done
}

no_servers() { [[ -z $(servers) ]]; }
no_domain() { ! virsh -q list --all --name | grep -qx "$1"; }

# create NAME INITRD FILESYSTEM-XML [QEMU-ARGUMENT...]: with its serial line in logs/NAME.serial.
create() {
  local fifo=/tmp/$1.serial
  VM_LOG=$logs/$1.serial
  VM_ANSWERED=0
  TOLD=0
  : >"$VM_LOG"
  rm -f "$fifo.in" "$fifo.out"
  mkfifo -m 666 "$fifo.in" "$fifo.out"
  exec {VM_INPUT}<>"$fifo.in" {VM_OUTPUT}<>"$fifo.out"
  cat <&"$VM_OUTPUT" >>"$VM_LOG" &
  READER=$!
  domain_xml "$1" "/vm/$2.initrd" "$fifo" "$3" "${@:4}" >"/tmp/$1.xml"
  virsh -q create "/tmp/$1.xml" >"$logs/$1.virsh" 2>&1 || return 1
  VM_PID=$(cat "/run/libvirt/qemu/$1.pid")
}

# After the domain's end, whatever it was.
close_serial() {
  [[ -z $VM_INPUT ]] || exec {VM_INPUT}>&-
  exec {VM_OUTPUT}>&-
  kill "$READER" 2>/dev/null || true
  wait "$READER" 2>/dev/null || true
  VM_INPUT=
  VM_PID=
}

asked() { (($(vm_lines | grep -c '^@@host next@@$') > TOLD)) || gone "$VM_PID"; }

# heard: until it asks again, that is until it has done all that it was told.
heard() { wait_until "$GUEST_SECONDS" asked && alive "$VM_PID" || { progress "the guest doesn't ask" && return 1; }; }

# tell WORD...: to the short guest, each when it asks. One that has ended says so in its verdicts and status.
tell() {
  local word
  for word in "$@"; do
    heard || return 0
    TOLD=$((TOLD + 1))
    VM_ANSWERED=$TOLD
    echo "$word" >&"$VM_INPUT"
  done
}

verdicts() { vm_lines | sed -nE "s,^(ok|not ok|optional) (short|main)/,\1 $1/,p; /^expected /p" || true; }

# ended NAME: domain, servers and what they had are gone.
ended() {
  wait_until "$END_SECONDS" no_domain "$1" || { echo "expected no domain '$1', got $(virsh list --all)"; return 1; }
  wait_until "$END_SECONDS" no_servers || { echo "expected no server, got process $(servers | xargs)"; return 1; }
  want 'what is left of it' '' "$(find /run/libvirt/qemu /var/lib/libvirt/qemu -name "*-$1*" | grep -v '/channel/target$' || true)"
  want 'mounts of the share that are left' '' "$(grep -F "$share" /proc/self/mountinfo | grep -v ' /vm' || true)"
}

# complained NAME FILESYSTEM: of a server in its log.
quiet_log() { want "complaints in the server's log" '' "$(grep -hE 'ERROR|Sanitizer|runtime error' "/var/log/libvirt/qemu/$1-$2-virtiofsd.log" || true)"; }

started() { [[ -s /run/libvirt/qemu/$1.xml ]] || { cat "$logs/$1.virsh"; return 1; }; }

# What the one who serves has from who started him is his socket and his log, and nothing else to get at the host by.
nothing_inherited() {
  local server link
  server=$(inside "$(cat /run/libvirt/qemu/*-"$1"-fs0-fs.pid)")
  for link in "/proc/$server/fd/"*; do
    case $(readlink "$link") in
      /run/* | /var/* | /etc/*)
        echo "expected nothing of libvirt's, got descriptor ${link##*/}: $(readlink "$link")"
        return 1
        ;;
    esac
  done
}

# arguments NAME WORD...: they stand on the server's command line.
arguments() {
  local line word
  line=" $(tr '\0' ' ' <"/proc/$(cat /run/libvirt/qemu/*-"$1"-fs0-fs.pid)/cmdline")"
  for word in "${@:2}"; do
    [[ $line == *" $word "* || $line == *[,=]"$word"[,\ ]* ]] || { echo "expected '$word', got$line"; return 1; }
  done
}

# finish NAME: the guest's own end; finish NAME destroy: it is cut off.
finish() {
  if [[ ${2:-} == destroy ]]; then
    check "$1-destroy" virsh -q destroy "$1"
    verdicts "$1"
  else
    vm_wait "$GUEST_SECONDS"
    verdicts "$1"
    check "$1-status" want "its script's status" 0 "$VM_STATUS"
  fi
  close_serial
  check "$1-ended" ended "$1"
  check "$1-log" quiet_log "$1" fs0
}

# begin NAME INITRD XML: false, and said so, if it can't be started.
begin() {
  create "$@" || true
  check "$1-started" started "$1"
  [[ -s /run/libvirt/qemu/$1.xml ]] || { close_serial; return 1; }
}

# refused NAME TEXT XML: by libvirt, before it starts anything.
refused() {
  local status=0
  create "$1" short "$3" || status=$?
  check "$1" want 'what libvirt says' yes "$(grep -qF "$2" "$logs/$1.virsh" && echo yes || cat "$logs/$1.virsh")"
  ((status != 0)) || virsh -q destroy "$1"
  close_serial
}

# ---- what is tried ----

# The whole guest test; the binary is found by the installed description.
domain_main() {
  begin main main "$(filesystem share)" || return 0
  check main-found want 'the program that libvirt has found' "$program" \
    "$(readlink "/proc/$(cat /run/libvirt/qemu/*-main-fs0-fs.pid)/exe")"
  vm_wait "$GUEST_SECONDS"
  verdicts main
  check main-status want "its script's status" 0 "$VM_STATUS"
  close_serial
  check main-ended ended main
  check main-log quiet_log main fs0
}

domain_chroot() {
  local locks="<lock posix='on' flock='on'/>"
  if at_least 10; then
    # It asks what the server can, and gives lock options to the C virtiofsd alone.
    refused locks-refused 'locking options are not supported' "$(filesystem share "<cache mode='always'/>$locks" '' "xattr='on'")"
    locks=
  fi
  begin chroot short "$(filesystem share "<cache mode='always'/><sandbox mode='chroot'/>$locks<thread_pool size='4'/>" '' "xattr='on'")" || return 0
  tell write locks
  heard || true
  check chroot-arguments arguments chroot always chroot --thread-pool-size=4
  check chroot-inherited nothing_inherited chroot
  tell stay
  finish chroot destroy
}

domain_namespace() {
  begin namespace short "$(filesystem share "<cache mode='none'/><sandbox mode='namespace'/>")" || return 0
  tell write locks
  heard || true
  check namespace-inherited nothing_inherited namespace
  tell leave
  finish namespace
}

domain_readonly() {
  local xml
  xml=$(filesystem share '' '<readonly/>')
  if ! at_least 11; then
    refused readonly-refused 'read-only' "$xml"
    return 0
  fi
  begin readonly short "$xml" || return 0
  tell readonly leave
  finish readonly
}

# Nobody's files belong to anybody whom the guest has.
domain_idmap() {
  at_least 10 || return 0
  begin idmap short "$(filesystem share '' "<idmap><uid start='0' target='100000' count='65536'/><gid start='0' target='100000' count='65536'/></idmap>")" || return 0
  tell idmap leave
  finish idmap
}

# Without cgroups libvirtd 9.0 dies of any such attaching, whatever the server.
domain_hotplug() {
  at_least 10 || return 0
  begin hotplug short "$(filesystem share)" || return 0
  heard || true
  filesystem second "<cache mode='always'/>" >/tmp/second.xml
  check hotplug-attach virsh -q attach-device hotplug /tmp/second.xml
  tell mount-second write-second unmount-second
  heard || true
  want_servers=$(servers | wc -l)
  check hotplug-detach virsh -q detach-device hotplug /tmp/second.xml
  check hotplug-detached wait_until "$END_SECONDS" fewer_servers
  tell write leave
  finish hotplug
}

fewer_servers() { (($(servers | wc -l) < want_servers)) && ! no_servers; }

# A server that somebody else has started, and its socket given to QEMU's user.
domain_socket() {
  local server status=0
  "$program" --socket-path /run/external.sock --socket-group kvm --shared-dir "$share" >"$logs/socket-server.log" 2>&1 &
  server=$!
  wait_until "$END_SECONDS" listens_at /run/external.sock
  chown libvirt-qemu /run/external.sock
  if begin socket short "<filesystem type='mount'><driver type='virtiofs' queue='1024'/><source socket='/run/external.sock'/><target dir='share'/></filesystem>"; then
    tell write locks leave
    vm_wait "$GUEST_SECONDS"
    verdicts socket
    check socket-status want "its script's status" 0 "$VM_STATUS"
    close_serial
    check socket-ended ended socket
    wait "$server" || status=$?
    check socket-server want "the server's status" 0 "$status"
  fi
  stop_tree "$server" "$END_SECONDS"
}

# The server is up when QEMU gives up: libvirt has to be able to end it.
domain_broken() {
  local status=0
  create broken short "$(filesystem share)" -nonesuch || status=$?
  check broken-refused want "virsh's status" 1 "$status"
  close_serial
  check broken-ended ended broken
}

# QEMU dies under the guest.
domain_killed() {
  begin killed short "$(filesystem share)" || return 0
  heard || true
  kill -KILL "$VM_PID"
  wait_until "$END_SECONDS" gone "$VM_PID"
  close_serial
  check killed-ended ended killed
  check killed-log quiet_log killed fs0
}

# It is the first process of its namespace, to which a signal means nothing that nobody waits for; the rest ends with it.
trap 'exit 143' TERM INT HUP
start_libvirt
for name in "$@"; do
  progress "libvirt $LIBVIRT: $name"
  "domain_$name"
done
cp /var/log/libvirt/qemu/*.log "$logs/"
say 'the end'
