# shellcheck shell=bash
# Taking a kernel package apart. To be sourced after common.sh.

# The magic numbers, as grep -P sees them, of the compressions a Linux image may have, and what unpacks each.
KERNEL_COMPRESSIONS=(
  '\xfd7zXZ\x00|xz -dc'
  '\x28\xb5\x2f\xfd|zstd -dcq'
  '\x02\x21\x4c\x18|lz4 -dc'
  '\x1f\x8b\x08|gzip -dc'
)

is_elf() { [[ $(head -c 4 "$1" | tr -d '\0') == $'\x7fELF' ]]; }

# extract_vmlinux IMAGE OUT: unpacks the ELF kernel out of a bzImage. QEMU boots that by PVH,
# more than twice as fast as the bzImage, whose unpacking would run in the guest.
extract_vmlinux() {
  local image=$1 out=$2 entry unpack offset
  for entry in "${KERNEL_COMPRESSIONS[@]}"; do
    read -ra unpack <<<"${entry##*|}"
    while IFS=: read -r offset _; do
      # What follows the compressed kernel is garbage to the unpacker: its status means nothing.
      { tail -c "+$((offset + 1))" "$image" | "${unpack[@]}" >"$out.part" 2>/dev/null; } || true
      if is_elf "$out.part"; then
        mv "$out.part" "$out"
        return 0
      fi
    done < <(LC_ALL=C grep -obaP -- "${entry%%|*}" "$image" | cut -d: -f1)
  done
  rm -f "$out.part"
  die "no kernel found in $image"
}

# The modules' directory inside an unpacked kernel package (older packages have no /usr).
modules_dir_of() {
  local dir
  for dir in "$1"/usr/lib/modules/* "$1"/lib/modules/*; do
    if [[ -d $dir/kernel ]]; then
      echo "$dir"
      return 0
    fi
  done
  die "no kernel modules below $1"
}

# depends_of PACKAGE COMMAND...: the names that it depends on; COMMAND is the right tree's `apt-cache depends`.
depends_of() {
  local package=$1
  shift
  LC_ALL=C "$@" "$package" | sed -n 's/^[ |]*Depends: \([^<].*\)/\1/p'
}

# kernel_packages META COMMAND...: the packages that together are the kernel META stands for:
# one up to Linux 6, since then an image's binary, its modules and the list of what is built in lie in siblings of the same version.
kernel_packages() {
  local meta=$1 image version
  shift
  image=$(depends_of "$meta" "$@" | grep -m 1 '^linux-image-[0-9]') || die "$meta names no kernel package"
  version=${image#linux-image-}
  echo "$image"
  depends_of "$image" "$@" | grep -E "^linux-(base|binary|modules)-" | grep -F -- "-$version" || true
}

# unpack_kernel DIR: makes DIR/vmlinux, DIR/root out of the packages lying in DIR.
unpack_kernel() {
  local dir=$1 deb image
  for deb in "$dir"/*.deb; do
    dpkg -x "$deb" "$dir/root"
  done
  image=$(find "$dir/root" -name 'vmlinuz*' -type f | head -n 1)
  [[ -n $image ]] || die "the kernel packages in $dir hold no vmlinuz"
  depmod -b "$(dirname "$(dirname "$(dirname "$(modules_dir_of "$dir/root")")")")" \
    "$(basename "$(modules_dir_of "$dir/root")")"
  rm -f "$dir"/*.deb
  extract_vmlinux "$image" "$dir/vmlinux"
}
