#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# How much of the codec its unit tests and the fuzzers' corpora run through.
#
#   tests/coverage.sh
#
# Builds with the coverage preset in build/coverage, runs the tests of lib/base, lib/msg and lib/fuse and replays the
# codec's corpora, prints a table of files, and then lines and branches in percent. Status: 0; 1 if a test fails, or if
# lib/fuse has less than 95 % of its lines or 90 % of its branches; 77 without gcovr.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/common.sh
. "$here/support/common.sh"

LINES_PERCENT=95
BRANCHES_PERCENT=90
build=$BUILD_DIR/coverage

# measure LAYER OPTION...: the layer's files on stdout, the sum as its last line; false if that is below what the options
# ask for.
measure() {
  local layer=$1 status=0
  shift
  gcovr --root "$REPO_DIR" --filter "$REPO_DIR/lib/$layer/" --exclude-unreachable-branches --print-summary "$@" \
    "$build" >"$build/$layer.txt" || status=$?
  sed '/^lines: /,$d' "$build/$layer.txt"
  awk -v layer="lib/$layer" '$1 == "lines:" { lines = $2 } $1 == "branches:" { branches = $2 }
    END { printf "%s: lines %s, branches %s\n", layer, lines, branches }' "$build/$layer.txt"
  return "$status"
}

main() {
  need_programs gcovr:gcovr gcov:gcc cmake:cmake ninja:ninja-build
  cd "$REPO_DIR"
  cmake --preset coverage -B "$build" -DCMAKE_C_COMPILER=gcc -DVIRTIOFS_WERROR=ON
  cmake --build "$build" --target tests/base/all tests/msg/all tests/fuse/all fuzz/all
  # What earlier runs have counted.
  find "$build" -name '*.gcda' -delete
  ctest --test-dir "$build" --output-on-failure --no-tests=error -L '^(base|msg|fuse)$'
  ctest --test-dir "$build" --output-on-failure --no-tests=error -R '^fuzz/fuse_'
  measure base
  measure msg
  measure fuse --fail-under-line "$LINES_PERCENT" --fail-under-branch "$BRANCHES_PERCENT" ||
    die "lib/fuse: at least $LINES_PERCENT % of the lines and $BRANCHES_PERCENT % of the branches must be covered"
}

main "$@"
