# shellcheck shell=bash disable=SC2154 # domains.sh sets program and share
# What libvirt is told of domains. To be sourced by domains.sh.

# filesystem TAG [BINARY-ELEMENTS [MORE [BINARY-ATTRIBUTES]]]: the share by that tag. Without elements the binary isn't named either.
filesystem() {
  printf '%s\n' "<filesystem type='mount' accessmode='passthrough'>" "<driver type='virtiofs' queue='1024'/>"
  [[ -z ${2:-}${4:-} ]] || printf '%s\n' "<binary path='$program' ${4:-}>${2:-}</binary>"
  printf '%s\n' "<source dir='$share'/>" "<target dir='$1'/>" "${3:-}" '</filesystem>'
}

# domain_xml NAME INITRD SERIAL FILESYSTEM [QEMU-ARGUMENT...]
domain_xml() {
  local word
  cat <<XML
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>$1</name>
  <memory unit='MiB'>512</memory>
  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>/vm/kernel</kernel>
    <initrd>$2</initrd>
    <cmdline>$(vm_kernel_line)</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='pci' model='pcie-root'/>
    <controller type='pci' model='pcie-root-port'/>
    <controller type='pci' model='pcie-root-port'/>
    <controller type='pci' model='pcie-root-port'/>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='pipe'><source path='$3'/></serial>
    $4
  </devices>
  <qemu:commandline>
XML
  for word in "${@:5}"; do printf "    <qemu:arg value='%s'/>\n" "$word"; done
  printf '%s\n' '  </qemu:commandline>' '</domain>'
}
