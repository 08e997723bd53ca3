#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a server has from whoever starts it, and tells him: sockets, readiness, the group of its socket, the log.

Usage: service.py HELLO. Prints a line for each check; status 0 if all passed."""
import contextlib
import grp
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time

TIMEOUT = 60
started = []  # servers; those that a failed check has left are ended
forked = set()


def start(*words, **more):
    started.append(subprocess.Popen(*words, **more))
    return started[-1]


def features(conn):
    """GET_FEATURES of vhost-user: something serves at the other end."""
    conn.settimeout(TIMEOUT)
    conn.sendall(struct.pack("=III", 1, 1, 0))
    request, flags, size = struct.unpack("=III", conn.recv(12, socket.MSG_WAITALL))
    assert (request, flags, size) == (1, 5, 8), (request, flags, size)
    assert struct.unpack("=Q", conn.recv(8, socket.MSG_WAITALL))[0] & 1 << 32


def listening(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    sock.listen()
    return sock


def served(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as conn:
        conn.connect(path)
        features(conn)


def activate(hello, sockets, *options, names=None, count=None, other_pid=False):
    """As systemd does it: descriptors from 3 on, the process's own id in the environment."""
    saved = [os.dup(sock.fileno()) for sock in sockets]  # above those that the child gets

    def passed():
        high = [os.dup2(fd, 100 + i) for i, fd in enumerate(saved)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)
        os.environ["LISTEN_PID"] = str(os.getpid() + other_pid)
        os.environ["LISTEN_FDS"] = str(len(saved) if count is None else count)
        if names is not None:
            os.environ["LISTEN_FDNAMES"] = names
        os.execv(hello, [hello, *options])

    with tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(err.fileno(), 2)
                passed()
            finally:
                os._exit(127)
        forked.add(pid)
        for fd in saved:
            os.close(fd)
        return pid, os.dup(err.fileno())


def status_of(pid):
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        got, status = os.waitpid(pid, os.WNOHANG)
        if got != 0:
            forked.discard(pid)
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    raise AssertionError("doesn't end")


def text_of(fd):
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(fd, "rb") as file:
        return file.read()


def passed_sockets(hello, folder):
    sock = listening(folder + "/one")
    pid, err = activate(hello, [sock])
    served(folder + "/one")
    served(folder + "/one")
    os.kill(pid, signal.SIGTERM)
    assert status_of(pid) == 0, text_of(err)
    assert os.path.exists(folder + "/one"), "it is not the server's to remove"

    # A connection, as with Accept=yes: it ends with that.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    pid, err = activate(hello, [theirs])
    theirs.close()
    features(ours)
    ours.close()
    assert status_of(pid) == 0, text_of(err)


def link_of(pid, fd):
    """What that is; nothing where it is closed, which it may be at any time."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{fd}")
    except FileNotFoundError:
        return ""


def passed_by_name(hello, folder):
    socks = [listening(folder + f"/named{i}") for i in range(3)]
    pid, err = activate(hello, socks, "--tag=second", names="first:second:third")
    served(folder + "/named1")
    assert not any(link_of(pid, fd).startswith("socket:") for fd in ("3", "5")), "the others stay open"
    os.kill(pid, signal.SIGTERM)
    assert status_of(pid) == 0, text_of(err)
    for tag, names in (("fourth", "first:second:third"), ("twice", "twice:twice:third"), ("a", None), ("", "a:b:c"),
                       ("secon", "first:second:third"), ("second", "first")):
        pid, err = activate(hello, socks, *(["--tag=" + tag] if tag else []), names=names)
        assert status_of(pid) == 1, (tag, names)
        said = text_of(err)
        assert said.count(b"\n") == 1 and b"3 sockets were passed" in said, said


def passed_to_another(hello, folder):
    sock = listening(folder + "/other")
    for words in ({"other_pid": True}, {"count": "0"}, {"count": "-1"}, {"count": "1x"}, {"count": ""}):
        pid, err = activate(hello, [sock], **words)
        assert status_of(pid) == 1, words
        assert b"one of --socket-path" in text_of(err), words
    # What is said on the command line counts.
    pid, err = activate(hello, [sock], "--socket-path", folder + "/said")
    while not os.path.exists(folder + "/said"):
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    assert status_of(pid) == 0, text_of(err)


def tells_its_manager(hello, folder):
    for path in (folder + "/notify", "\0virtiofs-test-" + str(os.getpid())):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(TIMEOUT)
            server = start([hello, "--socket-path", folder + "/s"],
                           env={"NOTIFY_SOCKET": path.replace("\0", "@")}, stderr=subprocess.DEVNULL)
            assert manager.recv(100) == b"READY=1"
            served(folder + "/s")  # at once
            server.terminate()
            assert server.wait(TIMEOUT) == 0
    # Nobody there is no reason not to serve.
    server = start([hello, "--socket-path", folder + "/s", "--once"],
                   env={"NOTIFY_SOCKET": folder + "/nobody"}, stderr=subprocess.DEVNULL)
    while not os.path.exists(folder + "/s"):
        time.sleep(0.01)
    with contextlib.suppress(ConnectionRefusedError):
        served(folder + "/s")
    server.terminate()
    assert server.wait(TIMEOUT) in (0, 1)


def in_the_background(hello, folder):
    path = folder + "/background"
    done = subprocess.run([hello, "--daemonize", "--once", "--socket-path", path], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=TIMEOUT)  # ends only when nobody holds its output any more
    assert done.returncode == 0 and done.stdout == b"", done
    with open(path + ".pid") as file:
        pid = int(file.read())
    assert os.getsid(pid) == pid
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
    served(path)
    deadline = time.monotonic() + TIMEOUT
    while os.path.exists(path + ".pid"):
        assert time.monotonic() < deadline, "doesn't end with its front-end"
        time.sleep(0.01)
    for refused in (["--socket-path", folder + "/none/s"], ["--fd", "77"], ["--socket-path", path, "--queues=0"]):
        done = subprocess.run([hello, "--daemonize", *refused], capture_output=True, timeout=TIMEOUT)
        assert done.returncode == 1 and done.stderr.count(b"\n") == 1, done


def for_a_group(hello, folder):
    if os.geteuid() != 0:
        print("SKIP the group of a socket: needs root")
        return
    name = grp.getgrall()[-1].gr_name
    for group, gid in ((name, grp.getgrnam(name).gr_gid), ("54321", 54321)):
        path = folder + "/grouped"
        server = start([hello, "--socket-path", path, "--socket-group", group, "--once"],
                       stderr=subprocess.DEVNULL)
        while not os.path.exists(path + ".pid") or not listens(path):
            time.sleep(0.01)
        made = os.stat(path)
        assert (stat.S_IMODE(made.st_mode), made.st_uid, made.st_gid) == (0o660, 0, gid), made
        assert stat.S_IMODE(os.stat(path + ".pid").st_mode) == 0o600
        served(path)
        assert server.wait(TIMEOUT) == 0


def listens(path):
    with open("/proc/net/unix") as table:
        return any(line.split()[3] == "00010000" and line.endswith(" " + path + "\n") for line in table)


def to_the_system_log(hello, folder):
    """In a mount namespace of its own, whose /dev/log is ours."""
    script = ('mount -t tmpfs none "$1/dev" && touch "$1/dev/null" && mount --bind /dev/null "$1/dev/null" && '
              'mount --rbind "$1/dev" /dev && exec python3 "$2" --log "$3" "$1"')
    os.mkdir(folder + "/dev")
    words = ["unshare", "-m", "sh", "-c", script, "sh", folder, os.path.realpath(sys.argv[0]), hello]
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        print("SKIP the system's log: needs root and mount namespaces")
        return
    subprocess.run(words, check=True, timeout=60)


def log_of_its_own(hello, folder):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind("/dev/log")
        log.settimeout(TIMEOUT)
        path = folder + "/logs"
        server = start([hello, "--socket-path", path, "--syslog", "--once", "-d"], stderr=subprocess.PIPE)
        line = log.recv(2000)
        assert line.startswith(b"<28>") and line.endswith(
            b" hello[%d]: daemon: '-d' is an old spelling of --log-level=debug" % server.pid), line
        while not os.path.exists(path) or not listens(path):
            time.sleep(0.01)
        served(path)
        assert server.communicate(timeout=TIMEOUT)[1] == b"" and server.returncode == 0
        lines = []
        with contextlib.suppress(BlockingIOError):
            log.setblocking(False)
            while True:
                lines.append(log.recv(2000))
        assert any(b"front-end connected" in line for line in lines), lines


def main(hello):
    for check in (passed_sockets, passed_by_name, passed_to_another, tells_its_manager, in_the_background, for_a_group,
                  to_the_system_log):
        with tempfile.TemporaryDirectory() as folder:
            check(hello, folder)
        print("ok", check.__name__.replace("_", " "))


def end_all():
    for server in started:
        if server.poll() is None:
            server.kill()
            server.wait()
    for pid in forked:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    try:
        if sys.argv[1] == "--log":
            log_of_its_own(*sys.argv[2:])
        else:
            main(*sys.argv[1:])
    finally:
        end_all()
