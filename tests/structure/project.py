# SPDX-License-Identifier: BSD-3-Clause
"""What the structural checks know about the project: its layers, and where their files and objects are."""
import pathlib
import re
import subprocess
import sys

# A layer includes and calls only layers of a smaller number; those of one number don't know each other.
LAYERS = {
    "base": 0,
    "msg": 1, "fuse": 1, "mem": 1,
    "virtq": 2, "nodes": 2, "dax": 2,
    "session": 3, "relay": 3,
    "vhost": 4, "fusedev": 4,
    "device": 5, "client": 5,
    "daemon": 6, "backends": 6,
}

# Those that make no system call.
PURE = ["base", "msg", "fuse", "mem", "virtq", "nodes", "dax", "session"]

# Which layer an installed header belongs to.
HEADERS = {
    "types.h": "base", "data.h": "base", "log.h": "base", "version.h": "base",
    "message.h": "msg", "fuse.h": "fuse", "memory.h": "mem",
    "virtq.h": "virtq", "driverq.h": "virtq", "transport.h": "virtq", "dax.h": "dax",
    "backend.h": "session", "request.h": "session", "relay.h": "relay",
    "vhost_user.h": "vhost", "host_window.h": "vhost", "shmem.h": "vhost", "fusedev.h": "fusedev",
    "device.h": "device", "stats.h": "device", "client.h": "client",
    "daemon.h": "daemon", "record.h": "daemon", "sandbox.h": "daemon", "control.h": "daemon",
    "metrics.h": "daemon",
    "passthrough.h": "backends", "memfs.h": "backends", "null.h": "backends",
}
UMBRELLA = "virtiofs.h"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def without_comments(text):
    """C without its comments, line by line as before."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)

    def blank(match):
        found = match.group(0)
        return "\n" * found.count("\n") + " " if found.startswith("/") else found

    return pattern.sub(blank, text)


def read(path):
    return pathlib.Path(path).read_text(encoding="utf-8")


def sources(folder):
    return sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix in (".c", ".h"))


def layer_of(source, path):
    return path.relative_to(pathlib.Path(source) / "lib").parts[0]


def allowed(layer, other):
    return layer == other or LAYERS[other] < LAYERS[layer]


def objects(build):
    """Each object of the libraries with its layer."""
    lib = pathlib.Path(build) / "lib"
    found = [(p.relative_to(lib).parts[0], p) for p in sorted(lib.rglob("*.o"))]
    if not found:
        sys.exit(f"no objects below {lib}: build first")
    return found


def symbols(path, *options):
    """Pairs of type and name of what nm shows."""
    out = subprocess.run(["nm", *options, str(path)], check=True, capture_output=True, text=True).stdout
    pairs = (line.split()[-2:] for line in out.splitlines() if line and not line.endswith(":"))
    return [(kind, name.split("@")[0]) for kind, name in pairs]


def defined(path):
    return {name for kind, name in symbols(path, "-g", "--defined-only") if kind != "A"}


def undefined(path):
    return {name for _, name in symbols(path, "-g", "--undefined-only")}


def declared(source):
    """Each function that an installed header exports, with the header's name."""
    function = re.compile(r"VIRTIOFS_EXPORT\b[^;{(]*?(?:\([^()]*\)[^;{(]*?)?\b(\w+)\s*\(")
    found = {}
    for path in sorted((pathlib.Path(source) / "include" / "virtiofs").glob("*.h")):
        for statement in re.sub(r"^\s*#.*$", "", without_comments(read(path)), flags=re.MULTILINE).split(";"):
            match = function.search(statement)
            if match:
                found[match.group(1)] = path.name
    return found


def report(faults):
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults" if faults else "sound")
    sys.exit(1 if faults else 0)
