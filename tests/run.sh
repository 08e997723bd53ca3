#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Everything that has to pass before a change lands: installs what is missing, builds, tests, sums up.
#
#   tests/run.sh [STEP...]     all steps, or only those named
#
# Steps: debug (gcc), release (clang), asan, tsan, aarch64, s390x, fuzz, coverage, quickstart. Each step's output goes to
# build/run/STEP.log; the end of it is shown where the step fails. As root: packages come from Debian by apt-get.
# Ends with a line "N passed, N failed". Status: 0 if all passed, else 1. tests/long.sh has what takes longer.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/support/common.sh"
# shellcheck source=tests/support/apt.sh
. "$here/support/apt.sh"

STEPS=(debug release asan tsan aarch64 s390x fuzz coverage quickstart)
TEST_PACKAGES=(g++ clang llvm libclang-rt-14-dev libcmocka-dev qemu-user-static gcc-aarch64-linux-gnu
  gcc-s390x-linux-gnu libc6-dev-arm64-cross libc6-dev-s390x-cross universal-ctags python3 git gcovr spin strace uidmap fio
  stress-ng systemd groff-base systemtap-sdt-dev binutils)
LOG_LINES=60
# The same of a test that failed.
TEST_LINES=40
JOBS=$(nproc)
logs=$BUILD_DIR/run
passed=0
failed=0
failures=()
step_pid=

cleanup() {
  if [[ -n $step_pid ]]; then stop_tree "$step_pid" 60; fi
}
at_exit cleanup

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "${BUILD_PACKAGES[@]}" "${GUEST_PACKAGES[@]}" "${TEST_PACKAGES[@]}" | sort -u)
  ((${#missing[@]} == 0)) && return 0
  progress "installing ${missing[*]}"
  apt_get update >"$logs/install.log" 2>&1 && apt_get install --no-install-recommends "${missing[@]}" >>"$logs/install.log" 2>&1 && return 0
  tail -n "$LOG_LINES" "$logs/install.log"
  die "can't install what the tests need"
}

# build NAME PRESET COMPILER OPTION...: configures and builds into build/NAME.
build() {
  local name=$1 preset=$2 compiler=$3 dir=$BUILD_DIR/$1
  shift 3
  # CMake forgets the preset's settings when the compiler of a folder changes.
  if [[ -f $dir/CMakeCache.txt ]] && ! grep -q "^CMAKE_C_COMPILER:[A-Z]*=.*/$compiler\$" "$dir/CMakeCache.txt"; then
    rm -rf "$dir"
  fi
  set -- -DCMAKE_C_COMPILER="$compiler" "$@"
  cmake --preset "$preset" -B "$BUILD_DIR/$name" -DVIRTIOFS_WERROR=ON "$@"
  cmake --build "$BUILD_DIR/$name"
}

run_tests() {
  local name=$1
  shift
  ctest --test-dir "$BUILD_DIR/$name" --output-on-failure -j "$JOBS" "$@"
}

# The unit tests, the structure of the sources, and a guest on what gcc built.
step_debug() {
  build debug debug gcc
  run_tests debug
}

# The same on what clang built, optimised; the model of the rings is no matter of a compiler.
step_release() {
  build clang release clang -DBUILD_TESTING=ON
  run_tests clang -LE model
}

step_asan() {
  build asan asan gcc
  run_tests asan -LE structure
}

# No guest: its server is another process, and one guest under each of the others is enough.
step_tsan() {
  build tsan tsan clang
  run_tests tsan -L unit
}

step_aarch64() { "$here/cross.sh" aarch64; }
step_s390x() { "$here/cross.sh" s390x; }

# Builds the targets and replays their corpora; tests/long.sh looks for more.
step_fuzz() {
  build fuzz fuzz clang
  run_tests fuzz -L fuzz
}

# The codec: at least 95 % of its lines, 90 % of its branches.
step_coverage() { "$here/coverage.sh"; }

step_quickstart() { "$REPO_DIR/examples/quickstart.sh" --check; }

# why LOG: what each failed test of a step said, or else the end of it.
why() {
  awk -v most=$TEST_LINES '
    / (Test|Testing) +#[0-9]+: .*\*\*\*/ { lines = most; said = 1 }
    /^ +Start +[0-9]+: / || (/^ *[0-9]+\/[0-9]+ Test +#/ && !/\*\*\*/) { lines = 0 }
    lines-- > 0
    END { exit !said }' "$1" || tail -n "$LOG_LINES" "$1"
}

# Runs one step with its output in a log; counts it.
run_step() {
  local name=$1 begun=$SECONDS status=0
  progress "$name ..."
  "step_$name" >"$logs/$name.log" 2>&1 </dev/null &
  step_pid=$!
  wait "$step_pid" || status=$?
  step_pid=
  if ((status == 0)); then
    passed=$((passed + 1))
    grep -hE '^[0-9]+% tests passed|^[0-9]+ passed, [0-9]+ failed|^lib/[a-z]+: lines' "$logs/$name.log" | sed "s/^/        $name: /" || true
    grep -hE 'Skipped|^SKIP ' "$logs/$name.log" | sed "s/^/        $name: /" || true
    progress "$name passed in $((SECONDS - begun)) s"
  else
    failed=$((failed + 1))
    failures+=("$name")
    progress "$name FAILED in $((SECONDS - begun)) s; all of it: ${logs#"$REPO_DIR"/}/$name.log"
  fi
}

main() {
  local step
  (($# > 0)) || set -- "${STEPS[@]}"
  for step in "$@"; do
    declare -F "step_$step" >/dev/null || die "no such step: $step (there are ${STEPS[*]})"
  done
  cd "$REPO_DIR"
  mkdir -p "$logs"
  [[ $EUID -eq 0 ]] || progress "not root: packages can't be installed, and some tests are skipped"
  [[ $EUID -ne 0 ]] || install_packages
  for step in "$@"; do
    run_step "$step"
  done
  for step in ${failures[@]+"${failures[@]}"}; do
    say "---- $step:"
    why "$logs/$step.log"
  done
  say
  say "$passed passed, $failed failed"
  ((failed == 0))
}

main "$@"
