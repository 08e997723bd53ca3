# shellcheck shell=bash disable=SC2034 # callers read SERVER_*
# Starting and watching the server that is tested. To be sourced after support/common.sh, by a
# script whose exit trap calls server_cleanup. SERVER_* variables are this file's.

SERVER_PID=
SERVER_CHILDREN=

# server_profile NAME: what we know of a server: SERVER_COMMAND, SERVER_RESTART (1: it exits when its
# front-end leaves), SERVER_OPTIONAL (checks it may fail, as it lacks the thing), SERVER_QUEUES (how many
# request queues it can have, where that is few). False for an unknown name.
server_profile() {
  SERVER_RESTART=0
  SERVER_OPTIONAL=
  SERVER_QUEUES=
  case $1 in
    passthrough)
      SERVER_COMMAND="$BUILD_DIR/debug/examples/passthrough/virtiofs-passthrough --stay --socket-path {socket} --shared-dir {dir} --device-nodes --posix-acl"
      # Where nobody asks for several, its default is tested.
      if [[ -n ${VIRTIOFS_GUEST_QUEUES:-} ]]; then SERVER_COMMAND+=' --queues {queues}'; fi
      ;;
    c)
      SERVER_COMMAND="/usr/lib/qemu/virtiofsd --socket-path={socket} -o source={dir} -o sandbox=chroot -o cache=auto -o xattr"
      SERVER_OPTIONAL='posix host-locks'
      SERVER_RESTART=1
      SERVER_QUEUES=1
      ;;
    rust)
      SERVER_COMMAND="${VIRTIOFS_PEER_VIRTIOFSD:-$BUILD_DIR/peers/bin/virtiofsd} --socket-path {socket} --shared-dir {dir} --sandbox chroot --cache auto --xattr --inode-file-handles=never"
      SERVER_OPTIONAL='posix host-locks'
      SERVER_RESTART=1
      SERVER_QUEUES=1
      ;;
    *) return 1 ;;
  esac
}

# server_words TEMPLATE SOCKET DIR TAG: sets SERVER_WORDS; split first, then filled in, so paths may hold spaces.
server_words() {
  local word words
  read -ra words <<<"$1"
  SERVER_WORDS=()
  for word in "${words[@]}"; do
    word=${word//'{socket}'/$2}
    word=${word//'{dir}'/$3}
    word=${word//'{queues}'/${VIRTIOFS_GUEST_QUEUES:-1}}
    SERVER_WORDS+=("${word//'{tag}'/$4}")
  done
  ((${#SERVER_WORDS[@]} > 0)) || die "the server's command is empty"
}

# server_start LOG SOCKET SECONDS: starts SERVER_WORDS, whose output is added to LOG, and waits until it listens.
server_start() {
  rm -f "$2"
  server_start_over "$@"
}

# The same, where a socket may lie that another server has left.
server_start_over() {
  setpriv --pdeathsig KILL -- "${SERVER_WORDS[@]}" </dev/null >>"$1" 2>&1 &
  SERVER_PID=$!
  SERVER_CHILDREN=
  await_listener "$2" "$SERVER_PID" "$3"
}

# server_wait SECONDS: until it has ended by itself; SERVER_STATUS is its status, or "timeout".
server_wait() {
  SERVER_STATUS=timeout
  wait_until "$1" gone "$SERVER_PID" || return 0
  SERVER_STATUS=0
  wait "$SERVER_PID" || SERVER_STATUS=$?
  SERVER_PID=
}

# server_stop SECONDS: SIGTERM; SERVER_STATUS as above, "timeout" after it had to be killed.
server_stop() {
  SERVER_CHILDREN=$(descendants "$SERVER_PID")
  kill -TERM "$SERVER_PID" 2>/dev/null || true
  server_wait "$1"
}

# How many descriptors of the server point into the directory that it serves.
server_open_files() {
  local pid link count=0
  for pid in "$SERVER_PID" $(descendants "$SERVER_PID"); do
    while IFS= read -r link; do
      [[ $link != "$1"/* ]] || count=$((count + 1))
    done < <(find "/proc/$pid/fd" -type l -printf '%l\n' 2>/dev/null)
  done
  echo "$count"
}

server_cleanup() {
  local pid
  [[ -n $SERVER_PID ]] || return 0
  SERVER_CHILDREN+=" $(descendants "$SERVER_PID")"
  stop_process "$SERVER_PID" 5 || true
  for pid in $SERVER_CHILDREN; do
    kill -KILL "$pid" 2>/dev/null || true
  done
  wait "$SERVER_PID" 2>/dev/null || true
  SERVER_PID=
}
