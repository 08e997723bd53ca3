#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each installed header compiles alone, twice, as C11 and as C++17. Usage: headers.py SOURCE CC CXX"""
import pathlib
import subprocess
import sys

import project

MOST_LINES = 799
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def compile_alone(source, header, compiler, language, standard):
    text = f"#include <virtiofs/{header}>\n#include <virtiofs/{header}>\n"
    command = [compiler, f"-std={standard}", *WARNINGS, "-I", str(source / "include"), "-x", language, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [f"{header} as {standard}:\n{done.stderr}"]


def main(source, cc, cxx):
    source = pathlib.Path(source).resolve()
    faults = []
    for path in sorted((source / "include" / "virtiofs").glob("*.h")):
        lines = project.read(path).count("\n")
        if lines > MOST_LINES:
            faults.append(f"{path.name}: {lines} lines")
        faults += compile_alone(source, path.name, cc, "c", "c11")
        faults += compile_alone(source, path.name, cxx, "c++", "c++17")
    project.report(faults)


if __name__ == "__main__":
    main(*sys.argv[1:])
