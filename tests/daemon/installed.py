#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is installed beside the programs: the file by which libvirt finds one, units of systemd, manual pages.

Usage: installed.py CMAKE BUILD. Prints a line for each check; status 0 if all passed. What needs a tool that isn't there
is skipped, with a line that says so."""
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

TIMEOUT = 60
# docs/interop/vhost-user.json of QEMU: VHostUserBackend and VHostUserBackendCapabilities.
BACKEND = {"description": str, "type": str, "binary": str, "tags": list}
COMMON = {"--help", "--usage", "--version"}  # which need no word
FEATURES = {"migrate-precopy", "posix-acl-negotiation-mode", "separate-options"}


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, **more)


def for_libvirt(prefix):
    folder = prefix / "share/qemu/vhost-user"
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["50-virtiofs-passthrough.json"], files
    backend = json.loads(files[0].read_text())
    assert set(backend) - {"tags"} == set(BACKEND) - {"tags"}, backend
    assert all(isinstance(value, BACKEND[name]) for name, value in backend.items()), backend
    assert backend["type"] == "fs" and backend["binary"] == str(prefix / "bin/virtiofs-passthrough"), backend
    said = run(backend["binary"], "--print-capabilities")
    assert said.returncode == 0 and said.stderr == "", said
    capabilities = json.loads(said.stdout)
    assert set(capabilities) == {"type", "features"} and capabilities["type"] == "fs", capabilities
    features = set(capabilities["features"])
    assert len(features) == len(capabilities["features"]) and features <= FEATURES, features
    assert "separate-options" in features, "libvirt would use -o"
    assert "posix-acl-negotiation-mode" in features, "nobody would say which"
    refused = run(backend["binary"], "--socket-path=/nowhere/s", "--shared-dir=/", "--migration-mode=find-paths")
    assert ("migrate-precopy" in features) == ("migrated" not in refused.stderr), "it says what it can't"


def units(prefix):
    folder = prefix / "lib/systemd/system"
    files = sorted(file.name for file in folder.iterdir())
    assert files == ["virtiofs-passthrough.service", "virtiofs-passthrough@.service",
                     "virtiofs-passthrough@.socket"], files
    for name in files:
        text = (folder / name).read_text()
        assert "@bindir@" not in text and (name.endswith("socket") or str(prefix / "bin") in text), name
    if not shutil.which("systemd-analyze"):
        print("SKIP systemd-analyze verify: not installed (package systemd)")
        return
    for name in files:
        verified = run("systemd-analyze", "verify", "--man=no", str(folder / name))
        assert verified.returncode == 0 and verified.stderr == "", (name, verified.stderr)


def words_of(service, environment):
    """ExecStart= as systemd makes words of it: ${NAME} is one, $NAME as many as there are."""
    line = re.search(r"^ExecStart=(.*)$", service, re.M).group(1)
    words = []
    for word in line.split():
        if re.fullmatch(r"\$[A-Z_]+", word):
            words += environment.get(word[1:], "").split()
        else:
            words.append(re.sub(r"\$\{([A-Z_]+)\}", lambda name: environment[name.group(1)], word))
    return words


def features(path):
    """GET_FEATURES of vhost-user: something serves there."""
    deadline = time.monotonic() + TIMEOUT
    conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    while conn.connect_ex(path) != 0:
        assert time.monotonic() < deadline, "doesn't listen"
        time.sleep(0.01)
    conn.settimeout(TIMEOUT)
    conn.sendall(struct.pack("=III", 1, 1, 0))
    assert struct.unpack("=III", conn.recv(12, socket.MSG_WAITALL)) == (1, 5, 8)
    return conn


def started_by_its_unit(prefix):
    """The command line of the template, by systemd's own tool for that."""
    if not shutil.which("systemd-socket-activate"):
        print("SKIP socket activation: systemd-socket-activate is not installed (package systemd)")
        return
    text = (prefix / "lib/systemd/system/virtiofs-passthrough@.service").read_text()
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/share.sock"
        words = words_of(text, {"SHARED_DIR": folder, "OPTIONS": "--xattr --cache auto"})
        starter = subprocess.Popen(["systemd-socket-activate", "-l", path, *words], stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        try:
            features(path).close()
            said = starter.communicate(timeout=TIMEOUT)[1]
        finally:
            starter.kill()
        assert starter.returncode == 0 and b"front-end gone" in said, said


def pages(prefix):
    """Each program has one, in which each of its options stands, and which the formatter has nothing to say about."""
    programs = sorted(file.name for file in (prefix / "bin").iterdir())
    assert "virtiofs-passthrough" in programs
    for name in programs:
        page = (prefix / "share/man/man1" / (name + ".1"))
        text = page.read_text()
        if re.search(r"^The other options.*those of\n\.BR virtiofs-passthrough \(1\)", text, re.M | re.S):
            text += (page.parent / "virtiofs-passthrough.1").read_text()
        plain = re.sub(r"\\f[A-Z]", "", text).replace("\\-", "-").replace('"', "")
        listed = run(str(prefix / "bin" / name), "--help").stdout
        options = set(re.findall(r"^ +(?:-.,? )? *(--[a-z][a-z0-9-]*)", listed, re.M)) - COMMON
        assert options, name
        missing = [option for option in sorted(options) if not re.search(re.escape(option) + r"(?![a-z-])", plain)]
        assert not missing, f"{page.name} says nothing about {' '.join(missing)}"
        if shutil.which("groff"):
            linted = run("groff", "-man", "-Tutf8", "-ww", "-z", str(page))
            assert linted.returncode == 0 and linted.stderr == "", linted.stderr
    if not shutil.which("groff"):
        print("SKIP the form of manual pages: groff is not installed")


def main(cmake, build):
    with tempfile.TemporaryDirectory() as folder:
        prefix = pathlib.Path(os.path.realpath(folder))
        installed = run(cmake, "--install", build, "--prefix", str(prefix))
        assert installed.returncode == 0, installed.stderr
        for check in (for_libvirt, units, started_by_its_unit, pages):
            check(prefix)
            print("ok", check.__name__.replace("_", " "))


if __name__ == "__main__":
    main(*sys.argv[1:])
