#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# virtiofs-check against our server and every other that is installed; the tables of docs/conformance.md on stdout.
#
#   tests/client/conformance.sh [CHECK-ARGUMENT...]
#
# Servers: ours (a release build) and the one in memory, the C server of QEMU 7.2 (/usr/lib/qemu/virtiofsd), the Rust server (build/peers, which
# tests/peers.sh makes). Each is started anew by virtiofs-check whenever it ends.
#
# Status: 0, whatever the others do; 1 if ours fails a check.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/support/common.sh
. "$root/tests/support/common.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cmake --preset release -S "$root" -B "$BUILD_DIR/release" >/dev/null
cmake --build "$BUILD_DIR/release" --target virtiofs-check virtiofs-passthrough virtiofs-memfs >/dev/null
check=$BUILD_DIR/release/examples/check/virtiofs-check
rust=${VIRTIOFS_PEER_VIRTIOFSD:-$BUILD_DIR/peers/bin/virtiofsd}

servers=(ours memfs)
[[ -x /usr/lib/qemu/virtiofsd ]] && servers+=(c)
[[ -x $rust ]] && servers+=(rust)

# command_of NAME SOCKET SHARE: sets $command. Everything that a server has is switched on.
command_of() {
  case $1 in
    ours)
      command=("$BUILD_DIR/release/examples/passthrough/virtiofs-passthrough" --stay --socket-path "$2" --shared-dir "$3"
        --queues 4 --xattr --posix-acl=auto --log-level error)
      ;;
    memfs)
      command=("$BUILD_DIR/release/examples/memfs/virtiofs-memfs" --socket-path "$2" --queues 2 --log-level error)
      ;;
    c)
      command=(/usr/lib/qemu/virtiofsd --socket-path="$2" -o "source=$3" -o sandbox=chroot -o cache=auto -o xattr
        -o posix_lock -o flock --thread-pool-size=0)
      ;;
    rust)
      command=("$rust" --socket-path "$2" --shared-dir "$3" --sandbox chroot --cache auto --xattr
        --inode-file-handles=never --thread-pool-size=0)
      ;;
  esac
}

for name in "${servers[@]}"; do
  progress "$name"
  mkdir "$dir/share-$name"
  command_of "$name" "$dir/$name.sock" "$dir/share-$name"
  "$check" --socket "$dir/$name.sock" --timeout 3000 --hostile "$@" -- "${command[@]}" >"$dir/$name.tap" 2>"$dir/$name.log" || true
  grep -q '^# passed' "$dir/$name.tap" || die "$name: $(tail -n 3 "$dir/$name.log")"
done

"$check" --list --hostile >"$dir/list"
python3 - "$dir" "${servers[@]}" <<'PYTHON'
import pathlib, re, sys

folder, servers = pathlib.Path(sys.argv[1]), sys.argv[2:]
rules = dict(line.split("\t", 1) for line in (folder / "list").read_text().splitlines())
results, problems = {}, {}
for server in servers:
    for line in (folder / f"{server}.tap").read_text().splitlines():
        found = re.match(r"(not )?ok \d+ - (\S+)( # SKIP)?", line)
        if found:
            name = found[2]
            results.setdefault(name, {})[server] = "failed" if found[1] else "skipped" if found[3] else "passed"
        found = re.match(r'  problem: "(.*)"$', line)
        if found:
            problems[name, server] = found[1]

titles = {"ours": "ours", "memfs": "ours, memfs", "c": "C (QEMU 7.2)", "rust": "Rust (1.13)"}
print("| group | checks | " + " | ".join(titles[s] for s in servers) + " |")
print("| --- | --- | " + " | ".join("---" for s in servers) + " |")
groups = {}
for name in results:
    groups.setdefault(name.split("/")[0], []).append(name)


def cell(names, server):
    counts = [sum(results[n].get(server) == kind for n in names) for kind in ("passed", "failed", "skipped")]
    text = f"{counts[0]} passed"
    if counts[1]:
        text += f", **{counts[1]} failed**"
    if counts[2]:
        text += f", {counts[2]} skipped"
    return text


for group, names in groups.items():
    print(f"| {group} | {len(names)} | " + " | ".join(cell(names, s) for s in servers) + " |")
print(f"| all | {len(results)} | " + " | ".join(cell(list(results), s) for s in servers) + " |")
for server in servers:
    failed = [n for n in results if results[n].get(server) == "failed"]
    if not failed:
        continue
    # Checks of a group that end alike make one row: what a server dies of may differ from run to run.
    rows = {}
    for name in failed:
        text = re.sub(r"; the server died of.*|^the server died of.*", "", problems[name, server]) or "the server has died"
        text = re.sub(r"nobody listens.*|GETATTR was not answered: nothing came", "the ring stays dead", text)
        rows.setdefault((name.split("/")[0], text), []).append(name)
    print(f"\n### {titles[server]}\n\n| checks | rule | what happens |\n| --- | --- | --- |")
    for (group, text), names in rows.items():
        labels = names[0] + "".join(", " + n.split("/")[1] for n in names[1:])
        rule = rules[names[0]] if len(names) == 1 else "several: `virtiofs-check --list`"
        print("| " + " | ".join(cell.replace("|", "\\|") for cell in (labels, rule, text)) + " |")
sys.exit(any("failed" == r.get("ours") for r in results.values()))
PYTHON
