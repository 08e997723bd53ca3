#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The shared libraries export what the installed headers declare and nothing else. Usage: exports.py SOURCE BUILD"""
import pathlib
import sys

import project


def library_of(header):
    """Layers from 6 on are in the second library."""
    return "libvirtiofs-daemon.so" if project.LAYERS[project.HEADERS[header]] >= 6 else "libvirtiofs.so"


def main(source, build):
    faults = []
    declared = project.declared(source)
    for library in ("libvirtiofs.so", "libvirtiofs-daemon.so"):
        path = pathlib.Path(build) / "lib" / library
        exported = {name for kind, name in project.symbols(path, "-D", "--defined-only") if kind != "A"}
        wanted = {name for name, header in declared.items() if library_of(header) == library}
        faults += [f"{library}: {name} is declared and not exported" for name in sorted(wanted - exported)]
        faults += [f"{library}: {name} is exported and not declared" for name in sorted(exported - wanted)]
        foreign = sorted(name for name in exported if not name.startswith("virtiofs_"))
        faults += [f"{library}: {name} has a foreign prefix" for name in foreign]
    project.report(faults)


if __name__ == "__main__":
    main(*sys.argv[1:])
