# shellcheck shell=bash disable=SC2034,SC2054 # callers read VM_*; QEMU's arguments have commas
# Starting, watching and ending one QEMU guest. To be sourced after support/common.sh, by a script
# whose exit trap calls vm_cleanup. One guest at a time; VM_* variables are this file's.
#
#   VIRTIOFS_GUEST_QEMU         the qemu command, default qemu-system-x86_64
#   VIRTIOFS_GUEST_QEMU_ARGS    more of its arguments
#   VIRTIOFS_GUEST_DEVICE_ARGS  more properties of vhost-user-fs-pci, like "packed=on"
#   VIRTIOFS_GUEST_QUEUES       its num-request-queues
#   VIRTIOFS_GUEST_WINDOW       if set: a device with a DAX window in its place, which takes the server's tag (QEMU 11.1)
#   VIRTIOFS_GUEST_MEMORY       the guest's memory, default 512M
#   VIRTIOFS_GUEST_ACCEL        QEMU's accelerator, default tcg
# and what prepare.sh reads.

VM_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VM_PID=
VM_LOG=
VM_INPUT=
VM_ANSWERED=0
# A process that the guest can't go on without: once it is gone, waiting ends after a short grace.
VM_WATCHED=
VM_GRACE_SECONDS=5

# vm_prepare: makes or finds kernel, initramfs and programs; ends the script with 77 where it can't.
vm_prepare() {
  local settings
  settings=$("$VM_HERE/prepare.sh") || exit $?
  eval "$settings"
  read -ra VM_QEMU <<<"${VIRTIOFS_GUEST_QEMU:-qemu-system-x86_64}"
  have "${VM_QEMU[0]}" || skip "no QEMU: ${VM_QEMU[0]} (package qemu-system-x86)"
  VM_QEMU_VERSION=$("${VM_QEMU[@]}" --version | sed -n '1s/.*version \([^ ]*\).*/\1/p')
  VM_KERNEL_VERSION=$(LC_ALL=C grep -m 1 -aoE 'Linux version [0-9][^ ]+' "$VM_KERNEL" | sed -n '1s/.* //p' || true)
}

# vm_job OUT DIR: packs DIR as /job of the guest's second cpio, with the test programs beside it.
vm_job() {
  cp "$VM_PROGRAMS/probe" "$VM_PROGRAMS/posix" "$VM_PROGRAMS/exercise" "$2/job/"
  (cd "$2" && find job -print0 | LC_ALL=C sort -z | cpio --quiet -0 -o -H newc -R 0:0) >"$1"
}

# vm_arguments SOCKET TAG: without a socket there is no virtio-fs device. Sets VM_ARGUMENTS to all but the serial line, the kernel and the initramfs.
vm_arguments() {
  local memory=${VIRTIOFS_GUEST_MEMORY:-512M} device more
  device="vhost-user-fs-pci,chardev=fs,tag=$2"
  device+=${VIRTIOFS_GUEST_QUEUES:+,num-request-queues=$VIRTIOFS_GUEST_QUEUES}
  [[ -z ${VIRTIOFS_GUEST_WINDOW:-} ]] ||
    device=vhost-user-test-device-pci,virtio-id=26,num_vqs=2,config_size=44,vq_size=128,chardev=fs
  device+=${VIRTIOFS_GUEST_DEVICE_ARGS:+,$VIRTIOFS_GUEST_DEVICE_ARGS}
  read -ra more <<<"${VIRTIOFS_GUEST_QEMU_ARGS:-}"
  VM_ARGUMENTS=(
    -nodefaults -no-user-config -display none -no-reboot -accel "${VIRTIOFS_GUEST_ACCEL:-tcg}"
    -cpu qemu64 -smp 2 -m "$memory"
    -object "memory-backend-memfd,id=m0,size=$memory,share=on" -machine q35,memory-backend=m0
    "${more[@]}"
  )
  [[ -z $1 ]] || VM_ARGUMENTS+=(-chardev "socket,id=fs,path=$1" -device "$device")
}

# vm_kernel_line [WORD...]: the kernel's command line. A processor that gets nothing to do for 20 s is the host's affair, and the
# log is looked through for complaints.
vm_kernel_line() { echo "console=ttyS0 quiet panic=-1 tsc=reliable mitigations=off nosoftlockup rcupdate.rcu_cpu_stall_suppress=1 $*"; }

# vm_start LOG SOCKET TAG INITRD [WORD...]: starts a guest; INITRD may be empty, the words go to the kernel.
vm_start() {
  local log=$1 socket=$2 tag=$3 initrd=$4 fifo
  shift 4
  vm_arguments "$socket" "$tag"
  fifo=$(mktemp -u "${log%/*}/input.XXXXXX")
  mkfifo "$fifo"
  exec {VM_INPUT}<>"$fifo"
  rm -f "$fifo"
  : >"$log"
  VM_LOG=$log
  VM_ANSWERED=0
  VM_GONE_SINCE=
  setpriv --pdeathsig KILL -- "${VM_QEMU[@]}" "${VM_ARGUMENTS[@]}" -serial stdio \
    -kernel "$VM_KERNEL" ${initrd:+-initrd "$initrd"} -append "$(vm_kernel_line "$@")" \
    <&"$VM_INPUT" >"$log" 2>"$log.qemu" &
  VM_PID=$!
}

# vm_interactive SOCKET TAG INITRD: a guest whose serial console is this terminal, until it is off.
vm_interactive() {
  vm_arguments "$1" "$2"
  setpriv --pdeathsig KILL -- "${VM_QEMU[@]}" "${VM_ARGUMENTS[@]}" -serial mon:stdio \
    -kernel "$VM_KERNEL" -initrd "$3" -append "$(vm_kernel_line)" <&0 &
  VM_PID=$!
  wait "$VM_PID" || true
  VM_PID=
}

# vm_lines: the serial log as lines of text.
vm_lines() { tr -d '\r\0' <"$VM_LOG"; }

vm_has_line() { vm_lines | grep -qxF -- "$1"; }

# The guest asks the host to do something by a line @@host STEP@@ and waits for one line back.
vm_answer() {
  local steps
  mapfile -t steps < <(vm_lines | sed -n 's/^@@host \(.*\)@@$/\1/p')
  while ((VM_ANSWERED < ${#steps[@]})); do
    "host_step_${steps[VM_ANSWERED]}"
    VM_ANSWERED=$((VM_ANSWERED + 1))
    echo 'done' >&"$VM_INPUT"
  done
}

vm_watched_gone() {
  if [[ -z $VM_WATCHED ]] || alive "$VM_WATCHED"; then
    VM_GONE_SINCE=
    return 1
  fi
  VM_GONE_SINCE=${VM_GONE_SINCE:-$SECONDS}
  ((SECONDS - VM_GONE_SINCE >= VM_GRACE_SECONDS))
}

vm_ended_or_line() {
  vm_answer
  gone "$VM_PID" || { [[ -n $1 ]] && vm_has_line "$1"; } || vm_watched_gone
}

# vm_wait_line SECONDS LINE: until the guest prints it; false if QEMU ends or the time is over first.
vm_wait_line() { wait_until "$1" vm_ended_or_line "$2" && vm_has_line "$2"; }

# vm_wait SECONDS: until the guest is off. VM_STATUS is its script's exit status;
# "none" if it ended without saying one, "timeout" or "abandoned" if it had to be killed, the
# second because what it needs is gone.
vm_wait() {
  VM_STATUS=timeout
  if wait_until "$1" vm_ended_or_line '' && alive "$VM_PID"; then
    VM_STATUS=abandoned
  elif gone "$VM_PID"; then
    VM_STATUS=$(vm_lines | sed -n 's/^@@exit \([0-9]*\)@@$/\1/p' | tail -n 1)
    VM_STATUS=${VM_STATUS:-none}
  fi
  vm_kill
}

# vm_kill: SIGKILL, as a crashed or killed QEMU; no matter if it is gone.
vm_kill() {
  [[ -n $VM_PID ]] || return 0
  kill -KILL "$VM_PID" 2>/dev/null || true
  wait "$VM_PID" 2>/dev/null || true
  VM_PID=
  [[ -z $VM_INPUT ]] || exec {VM_INPUT}>&-
  VM_INPUT=
}

# vm_tail: the ends of the last guest's logs, for a failure's report.
vm_tail() {
  printf -- '--- the end of the serial line (%s)\n' "$VM_LOG"
  vm_lines | tail -n 25
  if [[ -s $VM_LOG.qemu ]]; then
    printf -- '--- what QEMU said\n'
    tail -n 10 "$VM_LOG.qemu"
  fi
  printf -- '---\n'
}

vm_cleanup() { vm_kill; }
