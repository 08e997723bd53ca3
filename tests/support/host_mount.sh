# shellcheck shell=bash disable=SC2154 # the script that sources this sets dir, mnt and share
# Checks of a directory that is mounted on this host by /dev/fuse, with the host's own view as the oracle. To be sourced
# after support/common.sh, guest/inside/checks.sh and guest/tree.sh; $dir is for temporary files, $share is what is
# served, with make_tree's tree in it, $mnt is where it is mounted.

need_fuse() { [[ $(id -u) == 0 && -c /dev/fuse ]] || skip 'needs root and /dev/fuse'; }

is_mounted() { mountpoint -q "$mnt"; }
is_mounted_or_gone() { is_mounted || gone "$1"; }

# await_mount PID LOG SECONDS: the process has mounted, or the script ends.
await_mount() {
  wait_until "$3" is_mounted_or_gone "$1" || true
  is_mounted || die "doesn't mount: $(cat "$2")"
}

# ended PID STATUS: the process has ended with it, and the mount is gone.
ended() {
  local status=0
  wait "$1" || status=$?
  want 'the exit status' "$2" "$status"
  if is_mounted; then
    echo 'still mounted'
    return 1
  fi
}

# Without the directory above, which others change.
tree_listing() { listing "$1" | grep -v ' \.\.$'; }

# What the tree is like, before anybody mounts it.
expect_tree() {
  tree_listing "$share/tree" >"$dir/listing"
  attributes "$share/tree" >"$dir/attributes"
  contents "$share/tree" >"$dir/contents"
}

reads_as_the_host() {
  same_text "$dir/listing" tree_listing "$mnt/tree"
  same_text "$dir/attributes" attributes "$mnt/tree"
  same_text "$dir/contents" contents "$mnt/tree"
}

writes_as_the_host() {
  mkdir "$mnt/copy"
  tar -C "$share" -cf - tree | tar -C "$mnt/copy" -xpf -
  contents "$share/tree" >"$dir/contents.expected"
  same_text "$dir/contents.expected" contents "$share/copy/tree"
  mv "$mnt/copy" "$mnt/moved"
  want 'what the host sees' moved "$(cd "$share" && echo mov*)"
  rm -r "$mnt/moved"
  want 'what the host sees then' tree "$(ls "$share")"
}

many_at_once() {
  local i pids=()
  for i in 1 2 3 4 5 6 7 8; do
    (mkdir "$mnt/$i" && cp -r "$mnt/tree/odd" "$mnt/$i/" && diff -r "$share/tree/odd" "$mnt/$i/odd" && rm -r "$mnt/${i:?}") &
    pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i"; done
}
