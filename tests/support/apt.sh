# shellcheck shell=bash
# Debian's mirror as this machine's own apt knows it. To be sourced after common.sh.

APT_LOCK_TIMEOUT=${VIRTIOFS_APT_LOCK_TIMEOUT:-200}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y -o "DPkg::Lock::Timeout=$APT_LOCK_TIMEOUT" "$@" </dev/null
}

# True where apt has an index that offers the package.
apt_knows() {
  local candidate
  candidate=$(LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p')
  [[ -n $candidate && $candidate != '(none)' ]]
}

# apt_refresh_for PACKAGE: fetches the indexes only where they don't offer the package yet.
apt_refresh_for() {
  apt_knows "$1" || apt_get update >/dev/null
}

# The address of Debian's main archive, from whichever style of source file this machine has.
apt_mirror() {
  # shellcheck disable=SC2016 # $(...) is apt's own format syntax
  apt-get indextargets --format '$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F'|' '$1 == "Debian" && $2 == "main" && !seen { sub("/$", "", $3); print $3; seen = 1 }'
}

# apt's proxy, for programs that only know the environment variable.
apt_proxy() {
  local value
  eval "$(apt-config shell value Acquire::http::Proxy)"
  echo "${value:-}"
}

# What it takes to build the project, and to boot a guest.
# shellcheck disable=SC2034 # for those who source this
{
  BUILD_PACKAGES=(cmake ninja-build gcc libc6-dev pkg-config libcjson-dev libseccomp-dev libcap-ng-dev)
  GUEST_PACKAGES=(qemu-system-x86 busybox-static kmod cpio xz-utils zstd lz4 util-linux gcc libc6-dev)
}

# missing_packages PACKAGE...: those that aren't installed, one a line.
missing_packages() {
  local package status
  for package in "$@"; do
    # shellcheck disable=SC2016 # dpkg-query's own format syntax
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $status == installed ]] || echo "$package"
  done
}

# need_mirror: the same, as apt says after an update if it must; or else the test is skipped.
need_mirror() {
  local mirror
  mirror=$(apt_mirror)
  if [[ -z $mirror ]]; then
    apt_get update >/dev/null 2>&1 || true
    mirror=$(apt_mirror)
  fi
  [[ -n $mirror ]] || skip "apt's sources name no Debian archive"
  echo "$mirror"
}
